"""From a provider's own words to records as a zone holds them: whole names, bare values, each with its reason."""

from __future__ import annotations

import re
from collections.abc import Iterator

from runbooklib import domainkeys, spf
from runbooklib.domainkeys import KeyRecordError
from runbooklib.records import TTL, Wanted
from runbooklib.relays import mxroute, resend
from runbooklib.relays.calls import ConflictError, MalformedError

STAGE = "02-relay"
QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
NEEDED = {"SPF", "DKIM"}  # Resend offers more: receiving and tracking are not ours
KEY_WHY = "the key {relay} signs with for {domain}; it aligns, so DMARC passes by it"
PATH_WHY = "{relay} sends with MAIL FROM under {name}, so SPF is judged there and not at {domain}"
POOL_WHY = (
    "authorises the pool {relay} sends from. Own addresses are left out, because this server sends nothing for "
    "{domain} itself; relays.*.spf may add them as ip4: (exact, to be kept up to date) or as `a mx` (follows the "
    "records, costs two of the ten lookups of RFC 7208 4.6.4)"
)


def absolute(name: str, domain: str) -> str:
    """The whole name of a record that a provider tells relative to the zone, whichever zone holds the domain.

    Resend says `send.news` for the domain news.example.org, `@` means the domain, and a whole name may come as well.
    """
    short = name.lower().rstrip(".")
    if short in {"", "@"} or short == domain or short.endswith(f".{domain}"):
        return domain if short in {"", "@"} else short
    labels, own = short.split("."), domain.split(".")
    for shared in range(min(len(labels), len(own) - 2), 0, -1):
        if labels[-shared:] == own[:shared]:
            return ".".join([*labels[:-shared], domain])
    return f"{short}.{domain}"


def unquoted(value: str) -> str:
    """A TXT value as it is meant: joined, without the quotes a zone file needs."""
    return "".join(QUOTED.findall(value)) if value.strip().startswith('"') else value.strip()


def by_resend(relay: str, domain: str, records: tuple[resend.Record, ...]) -> Iterator[Wanted]:
    """What sending through Resend needs.

    Raises MalformedError for a value that no zone could hold there, ConflictError where it wants the domain's own MX.
    """
    for record in records:
        if record.purpose not in NEEDED:
            continue
        name = absolute(record.name, domain)
        if record.purpose == "DKIM":
            yield _key(relay, domain, name, record.type, record.value)
        elif record.type in {"MX", "CNAME"}:
            yield _returning(relay, domain, name, record)
        else:
            why = PATH_WHY.format(relay=relay, name=name, domain=domain)
            yield Wanted(name, "TXT", (_spf(record.value),), TTL, why, "RFC 7208 2.4", STAGE, returns=name != domain)


def _returning(relay: str, domain: str, name: str, record: resend.Record) -> Wanted:
    if name == domain:  # domains added before there were return paths
        said = f"{relay} wants the {record.type} of {domain}, which is this server's: remove it there and add it again"
        raise ConflictError(f"{said}, with a custom return path")
    if record.type == "CNAME":
        why = PATH_WHY.format(relay=relay, name=name, domain=domain)
        return Wanted(name, "CNAME", (_name(record.value),), TTL, why, "RFC 1034 3.6.2", STAGE, returns=True)
    target = f"{record.priority or 10} {_name(record.value)}"
    return Wanted(name, "MX", (target,), TTL, f"bounces of {relay} return to it", "RFC 5321 4.4", STAGE, returns=True)


def unneeded(records: tuple[resend.Record, ...]) -> Iterator[str]:
    """What Resend offers beside it."""
    return (f"{r.purpose}: {r.type} {r.name}" for r in records if r.purpose not in NEEDED)


def by_mxroute(relay: str, domain: str, values: mxroute.Values) -> Iterator[Wanted]:
    """What sending through MXRoute needs; a key that is not made yet has no value."""
    if values.spf:
        why = POOL_WHY.format(relay=relay, domain=domain)
        text = str(spf.of(t.text for t in spf.parse(_spf(values.spf.value)).tested))
        yield Wanted(absolute(values.spf.name, domain), "TXT", (text,), TTL, why, "RFC 7208 3", STAGE)
    if values.dkim:
        yield _key(relay, domain, absolute(values.dkim.name, domain), values.dkim.type, values.dkim.value)


def ownership(relay: str, domain: str, record: mxroute.Record) -> Wanted:
    """What proves to MXRoute that the domain is ours."""
    why = f"{relay} adds {domain} only after this proves who owns it; may go once the domain is added"
    ref = "api.mxroute.com GET /verification-key"
    return Wanted(absolute(record.name, domain), record.type, (unquoted(record.value),), TTL, why, ref, STAGE)


def _key(relay: str, domain: str, name: str, kind: str, value: str) -> Wanted:
    held = _name(value) if kind == "CNAME" else unquoted(value)
    try:
        readable = kind == "CNAME" or not domainkeys.parse(held).revoked
    except KeyRecordError:
        readable = False
    if not readable:
        raise MalformedError(f"the DKIM value for {name} is no key")
    return Wanted(name, kind, (held,), TTL, KEY_WHY.format(relay=relay, domain=domain), "RFC 6376 3.6.2", STAGE)


def _spf(value: str) -> str:
    held = unquoted(value)
    try:
        return str(spf.parse(held))
    except spf.SpfError as error:
        raise MalformedError(f"the SPF value is none: {error}") from None


def _name(value: str) -> str:
    return value.strip().lower().rstrip(".")
