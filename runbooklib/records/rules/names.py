"""Names and where they lead: addresses, aliases, services, reverse names, pins, and tokens of ownership."""

from __future__ import annotations

from dataclasses import replace

from runbooklib import dmarc
from runbooklib.answers import Answer, Word
from runbooklib.records.rules import Comparison, missing, right
from runbooklib.records.wanted import Wanted
from runbooklib.results import Status


def shadowed(wanted: Wanted, answer: Answer) -> Comparison:
    """The mail host by another name: whoever keeps that moves the server, and an MX must not lead to an alias."""
    fix = f"{wanted.name} is an alias, which no MX may name (RFC 2181 10.3): replace the CNAME by address records"
    return Comparison(Status.FAIL, f"CNAME {answer.chain[0]}", fix=fix)


def led(answer: Answer) -> Comparison:
    """An alias: nothing can be added beside it (RFC 2181 10.1), what resolvers find behind it is judged."""
    return right(f"CNAME {answer.chain[0]}")


def kept_elsewhere(wanted: Wanted, target: str) -> str:
    """What to do where something else than what is wanted stands behind an alias (RFC 1034 3.6.2)."""
    if wanted.kind not in {"mx", "spf"} or wanted.returns:
        return f"whoever keeps {target} has to publish {wanted.expected}; or put that in the place of the CNAME"
    return (
        f"beside a CNAME no MX or TXT may stand (RFC 2181 10.1), so one of these: replace the CNAME by the A and AAAA "
        f"records of {target}; let the DNS provider answer with them (ALIAS, ANAME, CNAME flattening); use another "
        f"name for mail, such as mail.{wanted.name}; or have its MX and SPF records published at {target}"
    )


def address(wanted: Wanted, answer: Answer) -> Comparison:
    """The server's own address and no other: who answers there besides is not ours to move."""
    if set(answer.values) == set(wanted.values):
        return right(answer.shown)
    if not answer.values:
        return missing(wanted, answer)
    fix = (
        f"another machine answers to {wanted.name} (old server, CDN or proxy): changing it moves all who use the name, "
        f"so change it yourself to {wanted.values[0]} alone, unproxied, or correct server in params"
    )
    return Comparison(Status.FAIL, answer.shown, fix=fix)


def alias(wanted: Wanted, answer: Answer) -> Comparison:
    """A name that leads to the server, or nowhere yet; where it leads elsewhere, that is somebody's choice."""
    target = wanted.values[0]
    if answer.chain[:1] == (target,):
        return right(f"CNAME {target}")
    if wanted.returns and (answer.chain or answer.values or answer.word is Word.NODATA):
        fix = f"the relay has to be alone at {wanted.name}: remove what stands there yourself, and run again"
        return Comparison(Status.FAIL, answer.shown, fix=fix)
    if answer.chain or answer.values:
        fix = f"left as it is; when it shall lead here, make it CNAME {target} yourself"
        return Comparison(Status.WARN, answer.shown, fix=fix)
    if answer.word is Word.NODATA:
        fix = f"no CNAME may stand beside what is there (RFC 2181 10.1): remove that, or drop dns.optional for {target}"
        return Comparison(Status.FAIL, "other records, and no address", fix=fix)
    return Comparison(Status.FAIL, str(answer.word), (target,))


def service(wanted: Wanted, answer: Answer) -> Comparison:
    """Port and host count; priority, weight and a host of other hands are theirs (RFC 2782)."""
    if not answer.values:
        return missing(wanted, answer)
    ours = wanted.values[0].split()[2:]
    if any(value.split()[2:] == ours for value in answer.values):
        return right(answer.shown)
    fix = f"left as it is; when programs shall come here, make it {wanted.expected} yourself"
    return Comparison(Status.WARN, answer.shown, fix=fix)


def reverse(wanted: Wanted, answer: Answer) -> Comparison:
    """The host's name among those an address has."""
    if set(wanted.values) <= set(answer.values):
        return right(answer.shown)
    return Comparison(Status.FAIL, answer.shown)


def token(wanted: Wanted, answer: Answer) -> Comparison:
    """A token among whatever else stands at the name."""
    return right(answer.shown) if set(wanted.values) <= set(answer.values) else missing(wanted, answer)


def consent(wanted: Wanted, answer: Answer) -> Comparison:
    """Any record that agrees, whatever else it says (RFC 9990 4)."""
    told = dmarc.agreement(wanted.name.partition("._report._dmarc.")[2], wanted.name, answer)
    return right(answer.shown) if told.status is Status.PASS else replace(missing(wanted, answer), said=told.said)


def pin(wanted: Wanted, answer: Answer) -> Comparison:
    """Ours beside whatever else is pinned: the key of a certificate to come must stand there early (RFC 7671 8.1)."""
    if set(wanted.values) <= set(answer.values):
        return right(answer.shown)
    if not answer.values:
        return missing(wanted, answer)
    if set(wanted.values[:1]) <= set(answer.values):
        return replace(missing(wanted, answer), said=f"{answer.shown}, and not the key to come")
    said = f"{answer.shown}, and not the key that is shown: where the zone is signed, senders that validate keep mail"
    return replace(missing(wanted, answer), said=said)
