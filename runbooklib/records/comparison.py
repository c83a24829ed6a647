"""Wanted against existing, compared by meaning: one rule a kind of record."""

from __future__ import annotations

from dataclasses import dataclass, replace

from runbooklib import spf
from runbooklib.records.observed import Answer, Observed, Word
from runbooklib.records.texts import DkimKey, Policy, TagError, dkim_key, dmarc_policy, is_dmarc
from runbooklib.records.wanted import Wanted
from runbooklib.results import Status


@dataclass(frozen=True)
class Comparison:
    """What a rule says of an rrset; `values` is the whole rrset as it should be, None: leave it alone."""

    status: Status
    said: str
    values: tuple[str, ...] | None = None
    fix: str = ""
    refusal: str = ""  # why no plan may touch it

    @property
    def good(self) -> bool:
        """Whether it stands as wanted, be it with a warning."""
        return self.status in {Status.PASS, Status.WARN}


def compare(wanted: Wanted, answer: Answer) -> Comparison:
    """How the rrset that `answer` shows relates to what is wanted; the answer must have been heard."""
    if wanted.kind == "dkim" and wanted.type == "CNAME":
        return _key_alias(wanted, answer)
    if wanted.kind == "alias":
        return _alias(wanted, answer)
    if answer.chain and not answer.recursive:
        return _shadowed(wanted, answer)
    return RULES[wanted.kind](wanted, answer)


def _ok(said: str) -> Comparison:
    return Comparison(Status.PASS, said)


def _missing(wanted: Wanted, answer: Answer) -> Comparison:
    return Comparison(Status.FAIL, str(answer.word), answer.values + wanted.values)


def _shadowed(wanted: Wanted, answer: Answer) -> Comparison:
    """Beside a CNAME nothing else may stand (RFC 2181 10.1), so nothing can be added."""
    fix = f"{wanted.name} is an alias: put the records where it leads, or replace the CNAME by address records"
    return Comparison(Status.FAIL, f"CNAME {answer.chain[0]}", fix=fix)


def _address(wanted: Wanted, answer: Answer) -> Comparison:
    if set(answer.values) == set(wanted.values):
        return _ok(answer.shown)
    if not answer.values:
        return _missing(wanted, answer)
    fix = (
        f"another machine answers to {wanted.name} (old server, CDN or proxy): changing it moves all who use the name, "
        f"so change it yourself to {wanted.values[0]} alone, unproxied, or correct server in params"
    )
    return Comparison(Status.FAIL, answer.shown, fix=fix)


def _mx(wanted: Wanted, answer: Answer) -> Comparison:
    """An MX that is not ours is never replaced: it would move mail that arrives elsewhere today."""
    ours, hosts = wanted.values[0].split()[1], [v.split()[1] for v in answer.values]
    if hosts in ([], ["."]):  # none, or the null MX that receives nothing (RFC 7505)
        return Comparison(Status.FAIL, answer.shown, wanted.values)
    others = [h for h in hosts if h != ours]
    if not others:
        return _ok(answer.shown)
    said = f"{', '.join(others)} receives for {wanted.name}{' beside us' if len(others) < len(hosts) else ''}"
    fix = f"left as it is; when mail shall arrive here, make {wanted.values[0]} the only MX yourself"
    return Comparison(Status.WARN, said, fix=fix)


def _spf(wanted: Wanted, answer: Answer) -> Comparison:
    """One record, holding at least the mechanisms wanted; what else it holds is the owner's."""
    found = [v for v in answer.values if spf.is_spf(v)]
    if not found:
        return replace(_missing(wanted, answer), said="no SPF record" if answer.values else str(answer.word))
    if len(found) > 1:
        return _twice(found)
    try:
        stands = spf.parse(found[0])
    except spf.SpfError as error:
        fix = f"correct it by hand; it should hold {wanted.values[0]}"
        return Comparison(Status.FAIL, f"{found[0]}: permerror, {error}", fix=fix)
    return _merged(answer, found[0], stands, spf.parse(wanted.values[0]))


def _merged(answer: Answer, text: str, stands: spf.Spf, wanted: spf.Spf) -> Comparison:
    merged = stands.merged(wanted)
    if merged != stands:
        return Comparison(Status.FAIL, text, tuple(str(merged) if v == text else v for v in answer.values))
    if stands.all and stands.all.qualifier == "+":
        fix = "end it in ~all: +all lets the whole world send as this domain"
        return Comparison(Status.WARN, text, fix=fix)
    return _ok(text)


def _twice(found: list[str]) -> Comparison:
    said = f"{len(found)} SPF records, which is permerror (RFC 7208 4.5): {' and '.join(found)}"
    try:
        first, *others = map(spf.parse, found)
    except spf.SpfError:
        return Comparison(Status.FAIL, said, fix="keep one record, correct and complete")
    for other in others:
        first = first.merged(other)
    return Comparison(Status.FAIL, said, fix=f"replace them by one: {first}")


def _key_alias(wanted: Wanted, answer: Answer) -> Comparison:
    """A provider's key behind a CNAME."""
    target = wanted.values[0]
    if answer.chain[:1] == (target,):
        return _ok(f"CNAME {target}")
    if not answer.chain and not answer.values:
        return Comparison(Status.FAIL, str(answer.word), (target,))
    if answer.chain:
        return _foreign_key(wanted, f"CNAME {answer.chain[0]}")
    if not any(map(_readable_key, answer.values)):
        fix = f"no CNAME may stand beside it (RFC 2181 10.1): remove the TXT record, then run again for CNAME {target}"
        return Comparison(Status.FAIL, f"TXT {answer.shown}, no key", fix=fix)
    fix = f"a copy of the key goes stale when the provider renews it: replace the TXT by CNAME {target}"
    return Comparison(Status.WARN, f"TXT {answer.shown}", fix=fix)


def _key(wanted: Wanted, answer: Answer) -> Comparison:
    """The same public key, however it is written; another one may be signing today and stays."""
    if not answer.values:
        return _missing(wanted, answer)
    ours = dkim_key(wanted.values[0])
    keys = [_readable_key(v) for v in answer.values]
    if len(keys) > 1:
        fix = f"keep one: {wanted.values[0]}"
        return Comparison(Status.FAIL, f"{len(keys)} TXT records, undefined by RFC 6376 3.6.2.2", fix=fix)
    if keys[0] == ours:
        return _ok(f"key {_short(ours)}")
    if keys[0] is None or _cut(keys[0], ours):
        return Comparison(Status.FAIL, f"{answer.shown}: no verifier can read this key", wanted.values)
    return _foreign_key(wanted, f"another key, {_short(keys[0])}" if keys[0].public else "a revoked key")


def _cut(key: DkimKey, whole: DkimKey) -> bool:
    """Whether a panel lost the key's end."""
    return 0 < len(key.public) < len(whole.public) and whole.public.startswith(key.public)


def _readable_key(value: str) -> DkimKey | None:
    try:
        key = dkim_key(value)
    except TagError:
        return None
    return key if key.readable or not key.public else None


def _short(key: DkimKey) -> str:
    return f"{key.public[:8]}…{key.public[-8:]}"


def _foreign_key(wanted: Wanted, said: str) -> Comparison:
    fix = f"find out who signs with it; use another selector, or remove it by hand and publish {wanted.expected}"
    refusal = f"{wanted.name} holds {said}: replacing it would break every signature made with it"
    return Comparison(Status.FAIL, said, fix=fix, refusal=refusal)


def _policy(wanted: Wanted, answer: Answer) -> Comparison:
    """A published policy is kept when it asks for as much or more; it is never weakened."""
    found = [v for v in answer.values if is_dmarc(v)]
    if not found:
        return _missing(wanted, answer)
    if len(found) > 1:
        fix = f"keep one: with several none applies (RFC 7489 6.6.3): {' and '.join(found)}"
        return Comparison(Status.FAIL, f"{len(found)} DMARC records", fix=fix)
    try:
        stands, ours = dmarc_policy(found[0]), dmarc_policy(wanted.values[0])
    except TagError as error:
        return Comparison(Status.FAIL, f"{found[0]}: {error}", fix=f"correct it by hand, e.g. {wanted.values[0]}")
    if stands.at_least(ours):
        return _ok(found[0])
    raised = str(stands.raised_to(ours))
    return Comparison(Status.FAIL, found[0], tuple(raised if v == found[0] else v for v in answer.values))


def repeats(wanted: Wanted, answer: Answer, have: Observed) -> bool:
    """Whether a resolver says of this record what an authoritative server says."""
    told = compare(wanted, answer)
    held = [compare(wanted, a) for a in have.at_authority(wanted) if a.heard]
    return any((told.status, told.said) == (c.status, c.said) for c in held)


def inherited(wanted: Wanted, have: Observed) -> str:
    """The stricter DMARC record a subdomain has from above while it has none itself: ours would weaken it.

    The nearest record above counts, its sp= before its p= (RFC 9989 4.7, 4.10).
    """
    if any(is_dmarc(v) for a in have.at_authority(wanted) for v in a.values):
        return ""
    nearest = next((v for a in have.above(wanted) for v in a.values if is_dmarc(v)), "")
    try:
        above, ours = dmarc_policy(nearest), dmarc_policy(wanted.values[0])
    except TagError:
        return ""
    passed_on = Policy({"p": above.tags.get("sp", above.asks)})
    return nearest if passed_on.at_least(ours) and passed_on.asks != ours.asks else ""


def _reverse(wanted: Wanted, answer: Answer) -> Comparison:
    if set(wanted.values) <= set(answer.values):
        return _ok(answer.shown)
    return Comparison(Status.FAIL, answer.shown)


def _ownership(wanted: Wanted, answer: Answer) -> Comparison:
    """A token among whatever else stands at the name."""
    return _ok(answer.shown) if set(wanted.values) <= set(answer.values) else _missing(wanted, answer)


def _alias(wanted: Wanted, answer: Answer) -> Comparison:
    """A name that leads to the server, or nowhere yet; where it leads elsewhere, that is somebody's choice."""
    target = wanted.values[0]
    if answer.chain[:1] == (target,):
        return _ok(f"CNAME {target}")
    if answer.chain or answer.values:
        fix = f"left as it is; when it shall lead here, make it CNAME {target} yourself"
        return Comparison(Status.WARN, answer.shown, fix=fix)
    if answer.word is Word.NODATA:
        fix = f"no CNAME may stand beside what is there (RFC 2181 10.1): remove that, or drop dns.optional for {target}"
        return Comparison(Status.FAIL, "other records, and no address", fix=fix)
    return Comparison(Status.FAIL, str(answer.word), (target,))


def _service(wanted: Wanted, answer: Answer) -> Comparison:
    """Port and host count; priority, weight and a host of other hands are theirs (RFC 2782)."""
    if not answer.values:
        return _missing(wanted, answer)
    ours = wanted.values[0].split()[2:]
    if any(value.split()[2:] == ours for value in answer.values):
        return _ok(answer.shown)
    fix = f"left as it is; when programs shall come here, make it {wanted.expected} yourself"
    return Comparison(Status.WARN, answer.shown, fix=fix)


def _pinned(wanted: Wanted, answer: Answer) -> Comparison:
    """Ours beside whatever else is pinned: the key of a certificate to come must stand there early (RFC 7671 8.1)."""
    if set(wanted.values) <= set(answer.values):
        return _ok(answer.shown)
    if not answer.values:
        return _missing(wanted, answer)
    said = f"{answer.shown}, and not the key that is shown: where the zone is signed, senders that validate keep mail"
    return replace(_missing(wanted, answer), said=said)


RULES = {
    "address": _address,
    "mx": _mx,
    "spf": _spf,
    "dkim": _key,
    "dmarc": _policy,
    "ownership": _ownership,
    "ptr": _reverse,
    "service": _service,
    "tlsa": _pinned,
}
