"""Whether a site may publish as its params say: an update that changes nothing, or a login at the provider's API."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from runbooklib.params import Lexicon, Rfc2136, Site
from runbooklib.results import Check, Status
from runbooklib.zone import lexicons
from runbooklib.zone.authorities import within
from runbooklib.zone.updates import RefusedError, TsigError, UnansweredError, ZoneError, probe, zone_of


def rows(site: Site, zones: Mapping[str, str]) -> list[Check]:
    """One row a name, or a zone; none where a person publishes. `zones` is the zone of each name, empty where none."""
    if site.dns.publish == "rfc2136" and site.dns.rfc2136:
        return list(_updates(site, site.dns.rfc2136, zones))
    if site.dns.publish == "lexicon" and site.dns.lexicon:
        return [_login(site.dns.lexicon, zone) for zone in dict.fromkeys(zones.values()) if zone]
    return []


def _updates(site: Site, target: Rfc2136, names: Mapping[str, str]) -> Iterator[Check]:
    """The key may update each zone, and there what this stage may have to: shown by updates that change nothing."""
    tried: set[str] = set()
    for name in names:
        check, expected = f"dns.update {name}", f"{target.server} lets key {target.key.name} update the zone of {name}"
        try:
            zone, serial = zone_of(target, name)
            if zone not in tried:
                probe(target, zone)
            tried.add(zone)
            denied = _denied(target, zone, records := _records(site, name))
        except ZoneError as error:
            yield _refused(check, error, "RFC 2136 3, RFC 8945")
        else:
            row = Check(check, Status.PASS, expected, f"zone {zone}, serial {serial}", ref="RFC 2136 3, RFC 8945")
            yield _limited(row, denied, target, useless=len(denied) == len(records) > 1) if denied else row


def _records(site: Site, name: str) -> list[tuple[str, str]]:
    """What this stage publishes at a name or below it, by name and type."""
    host = [(site.server.hostname, "A")] if within(site.server.hostname, name) else []
    domain = next((d for d in site.domains if d.name == name), None)
    if domain:
        key = f"{domain.dkim.selector}._domainkey.{name}"
        return [(name, "MX"), (name, "TXT"), (f"_dmarc.{name}", "TXT"), (key, "TXT"), *host]
    return host or [(name, "TXT")]


def _denied(target: Rfc2136, zone: str, records: Sequence[tuple[str, str]]) -> list[str]:
    """Those that the key may not write although it may write to the zone; a name in a zone below is none of them.

    Knot says BADKEY of a key that it knows, where its acl does not allow the update.

    Raises UnansweredError.
    """
    if not _refusal(target, zone, records):
        return []
    refusals = {f"{name} {kind}": _refusal(target, zone, [(name, kind)]) for name, kind in records}
    return [record for record, error in refusals.items() if isinstance(error, RefusedError | TsigError)]


def _refusal(target: Rfc2136, zone: str, records: Sequence[tuple[str, str]]) -> ZoneError | None:
    try:
        probe(target, zone, records)
    except UnansweredError:
        raise
    except ZoneError as error:
        return error
    return None


def _limited(row: Check, denied: Sequence[str], target: Rfc2136, *, useless: bool) -> Check:
    said = f"{row.observed}; the key may not write {', '.join(denied)}"
    fix = f"a plan with any of these is refused: let key {target.key.name} write them (update-policy, acl)"
    return replace(row, status=Status.FAIL if useless else Status.WARN, observed=said, fix=fix)


def _login(target: Lexicon, zone: str) -> Check:
    check, expected = f"dns.update {zone}", f"{target.provider} lets us in and holds {zone}"
    try:
        lexicons.probe(target, zone)
    except ZoneError as error:
        return _refused(check, error, "")
    return Check(check, Status.PASS, expected, "logged in, zone found")


def _refused(check: str, error: ZoneError, ref: str) -> Check:
    status = Status.UNKNOWN if isinstance(error, UnansweredError) else Status.FAIL
    return Check(check, status, error.expected, error.saw, error.fix, ref)
