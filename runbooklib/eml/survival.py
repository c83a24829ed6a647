"""What the way did to our own DKIM signature: which signed header was changed, and what to leave out of `h=`.

Relays rewrite: all that stand on Amazon SES, Resend among them, give each message a Message-ID and a Date of their own
and refuse one that carries a signature header twice. A signature that covers what is rewritten breaks.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import dkim
from dkim.canonicalization import CanonicalizationPolicy, InvalidCanonicalizationPolicyError
from dkim.util import InvalidTagValueList, parse_tag_value

from runbooklib.eml.signatures import Signature
from runbooklib.results import Check, Status

Header = tuple[bytes, bytes]
UNSIGNABLE = {"received", "return-path", "dkim-signature", "authentication-results", "x-original-to"}


@dataclass(frozen=True)
class Way:
    """What is different between the message that was handed over and the one that arrived."""

    signed: tuple[str, ...]  # changed headers that our signature covers
    unsigned: tuple[str, ...]  # changed headers that it rightly leaves out
    body: bool  # whether the body is another than the one signed

    @property
    def changed(self) -> str:
        """What breaks the signature, in words."""
        return " and ".join(filter(None, [", ".join(self.signed), "the body" if self.body else ""]))


def compare(handed: bytes, arrived: bytes, signature: bytes) -> Way | None:
    """The two versions as the signature sees them; None where its header cannot be read.

    The body is held against the hash in the signature itself (RFC 6376 3.7), so nothing else is needed for it.
    """
    try:
        tags = parse_tag_value(signature)
        canon = CanonicalizationPolicy.from_c_value(tags.get(b"c", b"simple/simple"))
    except (InvalidTagValueList, InvalidCanonicalizationPolicyError):
        return None
    before, (after, body) = dkim.rfc822_parse(handed)[0], dkim.rfc822_parse(arrived)
    covered = [name.strip().decode("ascii", "replace").lower() for name in tags.get(b"h", b"").split(b":")]
    names = dict.fromkeys([*covered, *(n for n in _names([*before, *after]) if n not in UNSIGNABLE)])
    changed = [n for n in names if before and _differs(n, max(covered.count(n), 1), canon, before, after)]
    return Way(
        tuple(_known_as(n, after) for n in changed if n in covered),
        tuple(_known_as(n, after) for n in changed if n not in covered and _stood(n, before)),
        _body_changed(tags, canon, body),
    )


def _names(headers: Iterable[Header]) -> list[str]:
    return [name.decode("ascii", "replace").lower() for name, _ in headers]


def _stood(name: str, headers: Iterable[Header]) -> bool:
    return name in _names(headers)


def _known_as(name: str, headers: Iterable[Header]) -> str:
    """The header's name as it is written."""
    return next((n.decode("ascii", "replace") for n, _ in headers if n.lower() == name.encode()), name.title())


def _differs(name: str, count: int, canon: CanonicalizationPolicy, before: list[Header], after: list[Header]) -> bool:
    """Whether the last `count` headers of that name are others: signers take them from the bottom (RFC 6376 5.4.2)."""
    kept, come = (
        canon.canonicalize_headers([h for h in headers if h[0].lower() == name.encode()][-count:])
        for headers in (before, after)
    )
    return [value for _, value in kept] != [value for _, value in come]


def _body_changed(tags: dict[bytes, bytes], canon: CanonicalizationPolicy, body: bytes) -> bool:
    whole = canon.canonicalize_body(body)
    told = tags.get(b"l", b"")
    length = int(told) if told.isdigit() and len(told) <= len(str(len(whole))) else len(whole)
    digest = base64.b64encode(hashlib.sha256(whole[:length]).digest())
    return digest != b"".join(tags.get(b"bh", b"").split())


def judge(about: str, handed: bytes, arrived: bytes, ours: Signature) -> Check:
    """Whether our own signature reached the recipient; where not, what broke it and what to do."""
    name, ref = f"delivery.survives {about}", "RFC 6376 5.4.1"
    expected = f"our signature ({ours.selector}) arrives unbroken"
    way = compare(handed, arrived, ours.value)
    if way is None or ours.status is Status.UNKNOWN:
        return Check(name, Status.UNKNOWN, expected, ours.said, "see delivery.dkim", ref, advisory=True)
    if ours.status is Status.PASS:
        rewritten = f"; rewritten on the way and rightly not signed: {', '.join(way.unsigned)}" if way.unsigned else ""
        return Check(name, Status.PASS, expected, f"it does{rewritten}", ref=ref)
    if way.changed:
        said = f"broken: {way.changed} changed after signing"
        return Check(name, Status.FAIL, expected, said, _remedy(way), ref)
    if not handed:
        fix = "compare the signed headers with what was sent; the body is as it was signed"
        return Check(
            name, Status.FAIL, expected, "broken: a signed header was changed, or DNS has another key", fix, ref
        )
    fix = "compare the key in DNS with the server's (03, 04)"
    return Check(name, Status.FAIL, expected, "broken, though nothing it covers was changed on the way", fix, ref)


def _remedy(way: Way) -> str:
    said = []
    if way.signed:
        said.append(
            f"leave {', '.join(way.signed)} out of h= "
            "(OpenDKIM: OmitHeaders; mailcow's rspamd: sign_headers in data/conf/rspamd/override.d/dkim_signing.conf)"
        )
    if way.body:
        said.append("switch off what rewrites the body: open and click tracking at the relay, footers")
    return "; ".join(said)
