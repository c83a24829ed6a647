"""What only resolvers can say: what stands behind an alias, consents in the zones of others, reverse names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from runbooklib import domainkeys
from runbooklib.answers import Answer
from runbooklib.domainkeys import KeyRecordError
from runbooklib.records.caches import advice, cached, repeated, silent
from runbooklib.records.comparison import behind as judged
from runbooklib.records.comparison import compare, repeats
from runbooklib.records.observed import Observed
from runbooklib.records.rules.names import kept_elsewhere
from runbooklib.records.wanted import Wanted, reversed_address
from runbooklib.results import Check, Status


def behind(wanted: Wanted, seen: Observed, alias: Check) -> Iterator[Check]:
    """The row of what stands at the end of a CNAME that `alias` is about, where there is one."""
    if wanted.kind == "dkim" and wanted.type == "CNAME":
        yield _key(wanted, seen, alias)


def _key(wanted: Wanted, seen: Observed, alias: Check) -> Check:
    """A provider's key, as a verifier finds it (RFC 6376 3.6.2)."""
    name, expected = f"dns.dkim.key {wanted.name}", "a readable key at the end of the CNAME"
    row = Check(name, Status.UNKNOWN, expected, "", ref="RFC 6376 3.6.2")
    if alias.status not in {Status.PASS, Status.WARN}:
        status = Status.PENDING if alias.status in {Status.PENDING, Status.FAIL} else Status.UNKNOWN
        said = f"the CNAME is {alias.status}"
        return replace(row, status=status, observed=said, fix=alias.fix, waits_for=alias.waits_for)
    answers = seen.at_resolvers(wanted)
    heard = [a for a in answers if a.heard]
    if not heard:
        return _unheard(row, answers)
    without = [a for a in heard if not any(map(_signs, a.values))]
    if without:
        fix = "the provider has to publish the key behind this name: is the domain added there, the target right?"
        return replace(row, status=Status.FAIL, observed=without[0].shown, fix=fix)
    return replace(row, status=Status.PASS, observed=f"key{repeated(heard)}".replace(";", ""))


def _signs(value: str) -> bool:
    try:
        return not domainkeys.parse(value).revoked
    except KeyRecordError:
        return False


def led(wanted: Wanted, seen: Observed, target: str) -> Check:
    """The row of a name that is an alias, by what stands where it leads (RFC 1034 3.6.2)."""
    row = Check(wanted.check, Status.UNKNOWN, wanted.expected, f"CNAME {target}", ref=wanted.ref)
    found = [judged(wanted, a) for a in seen.at_resolvers(wanted) if a.heard and repeats(wanted, a, seen)]
    if not found:
        return cached(row, wanted, seen)
    worst = next((c for c in found if not c.good), None) or max(found, key=lambda c: c.status is Status.WARN)
    row = replace(row, status=worst.status, observed=f"CNAME {target}: {worst.said}")
    if worst.status is Status.PASS:
        return cached(row, wanted, seen)
    return replace(row, fix=kept_elsewhere(wanted, target))


def reverse(wanted: Wanted, seen: Observed, rows: dict[str, Check]) -> Check:
    """FCrDNS: the address has a name, and the name leads back to it."""
    address, host = reversed_address(wanted.name), wanted.values[0]
    forward = rows[f"dns.address.{'ipv6' if ':' in address else 'ipv4'} {host}"]
    answers = seen.at_resolvers(wanted)
    heard = [a for a in answers if a.heard]
    row = Check(wanted.check, Status.UNKNOWN, f"PTR {host}, and back", "", ref=wanted.ref, advisory=wanted.advisory)
    if not heard:
        return _unheard(row, answers)
    wrong = next((a for a in heard if not compare(wanted, a).good), None)
    if wrong:
        status = Status.WARN if wanted.advisory else Status.FAIL
        return replace(row, status=status, observed=wrong.shown, fix=_request(address, host))
    said = f"PTR {heard[0].shown}, {host} {forward.observed}"
    if forward.status is Status.PASS:
        return replace(row, status=Status.PASS, observed=said)
    return replace(row, status=forward.status, observed=said, fix=forward.fix, waits_for=forward.waits_for)


def _request(address: str, host: str) -> str:
    return f"ask the provider of the server: please set the reverse DNS (PTR record) of {address} to {host}"


def consent(wanted: Wanted, seen: Observed) -> Check:
    """Whether those who shall get the reports have agreed: without that nobody sends them any."""
    answers = seen.at_resolvers(wanted)
    heard = [a for a in answers if a.heard]
    row = Check(wanted.check, Status.UNKNOWN, wanted.expected, "", ref=wanted.ref, advisory=True)
    if not heard:
        return _unheard(row, answers)
    lacking = next((a for a in heard if not compare(wanted, a).good), None)
    if lacking is None:
        return replace(row, status=Status.PASS, observed=heard[0].shown)
    fix = f"no reports will come: have {wanted.expected} published at {wanted.name}, or name an address of this domain"
    return replace(row, status=Status.WARN, observed=lacking.shown, fix=f"{fix} in dmarc.rua")


def _unheard(row: Check, answers: tuple[Answer, ...]) -> Check:
    """Neither right nor wrong: no resolver said anything."""
    said = silent(answers).lstrip("; ") or "no resolver was asked"
    return replace(row, observed=said, fix=advice(answers))
