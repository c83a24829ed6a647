"""Rules about how mail finds its way here: the host's addresses, each domain's MX, and the address's own name."""

# ruff: noqa: D103 - a symptom's name is its sentence; the rule that names it says what it means

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

from runbooklib.diagnosis.evidence import Evidence
from runbooklib.diagnosis.rules import DNS, Rule, Sign, Symptom
from runbooklib.diagnosis.zone_rules import home
from runbooklib.dmarc.suffixes import registered
from runbooklib.results import Status

PUBLISH = "04-dns#apply"
NOBODY = "."  # a null MX (RFC 7505)
BY_HAND = "set the record that is named in the DNS panel; stage 04 does it only with take_over_mx: true"


def address_missing(evidence: Evidence) -> Iterator[Sign]:
    for name, found in evidence.under("address"):
        if not found["A"]:
            yield Sign(f"{name} has no A record; it should be {evidence.site['ipv4']}", home(evidence, name))


def address_differs(evidence: Evidence) -> Iterator[Sign]:
    for name, found in evidence.under("address"):
        for kind, field in (("A", "ipv4"), ("AAAA", "ipv6")):
            ours = evidence.site[field]
            if found[kind] and [ip_address(value) for value in found[kind]] != [ours and ip_address(ours)]:
                right = f"`{name}. {kind} {ours}`" if ours else f"no {kind} record, as params name no address"
                said = f"{name} {kind} is {', '.join(found[kind])}; it should be {right}"
                yield Sign(said, home(evidence, name))


def mx_missing(evidence: Evidence) -> Iterator[Sign]:
    for domain, found in evidence.under("mx"):
        if not found:
            yield Sign(f"{domain} has no MX", domain)


def mx_null(evidence: Evidence) -> Iterator[Sign]:
    for domain, found in evidence.under("mx"):
        if NOBODY in found:
            yield Sign(f"{domain} MX is 0 .{_wanted(evidence, domain)}", domain)


def mx_cname(evidence: Evidence) -> Iterator[Sign]:
    for domain, hosts in evidence.under("exchangers"):
        for host, seen in hosts.items():
            if seen["alias"]:
                own = host == evidence.site["hostname"]
                right = _address(evidence, host) if own else _wanted(evidence, domain)
                yield Sign(f"{domain} MX names {host}, an alias of {seen['alias']}{right}", domain)


def mx_at_relay(evidence: Evidence) -> Iterator[Sign]:
    for domain in evidence.domains:
        smarthost = _smarthost(domain["next_hop"])
        for host in evidence[f"mx {domain['name']}"] or []:
            if _at(evidence, domain["name"], host, smarthost):
                said = f"{domain['name']} MX names {host}, where its mail leaves for {smarthost}"
                yield Sign(f"{said}{_wanted(evidence, domain['name'])}", domain["name"])


def mx_elsewhere(evidence: Evidence) -> Iterator[Sign]:
    for domain, found in evidence.under("mx"):
        others = [_reached(evidence, domain, host) for host in found if host != evidence.site["hostname"]]
        if others:
            yield Sign(f"{domain} MX names {', '.join(others)}{_wanted(evidence, domain)}", domain)


def _smarthost(next_hop: str) -> str:
    """The host in a next hop of Postfix, such as [smtp.example.net]:587."""
    return re.sub(r"^\[?([^\]:]*)\]?(:\d+)?$", r"\1", next_hop).lower()


def _at(evidence: Evidence, domain: str, host: str, smarthost: str) -> bool:
    """Whether an MX host is the relay, or its neighbour in the provider's domain."""
    if not smarthost or host == evidence.site["hostname"]:
        return False
    near = _within(host, registered(smarthost)) and not _within(host, domain)
    return host == smarthost or near


def _within(name: str, domain: str) -> bool:
    return name == domain or name.endswith(f".{domain}")


def _reached(evidence: Evidence, domain: str, host: str) -> str:
    """An MX host, and whether anybody can reach it."""
    seen: dict[str, Any] = (evidence[f"exchangers {domain}"] or {}).get(host, {})
    nowhere = seen.get("heard") and not (seen["A"] or seen["AAAA"])
    return f"{host} (which has no address)" if nowhere else host


def _wanted(evidence: Evidence, domain: str) -> str:
    return f"; it should be `{domain}. MX 10 {evidence.site['hostname']}.`"


def _address(evidence: Evidence, host: str) -> str:
    return f"; it should be `{host}. A {evidence.site['ipv4']}`"


def ptr_missing(evidence: Evidence) -> Iterator[Sign]:
    for address, found in evidence.under("ptr"):
        if not found:
            yield Sign(f"{address} has no PTR record; it should be {evidence.site['hostname']}", address)


def ptr_mismatch(evidence: Evidence) -> Iterator[Sign]:
    for address, found in evidence.under("ptr"):
        if found and evidence.site["hostname"] not in found:
            yield Sign(f"{address} is {', '.join(found)}; it should be {evidence.site['hostname']}", address)


RECEIVING_RULES = (
    Rule(
        id="address-missing",
        cause="the mail server's name has no address, so nobody finds it",
        needs=("address",),
        match=address_missing,
        fix="run stage 04",
        ref="RFC 5321 5.1",
        mended_by=DNS,
        cell=PUBLISH,
        symptoms=(Symptom.CANNOT_RECEIVE, Symptom.CLIENT),
    ),
    Rule(
        id="address-differs",
        cause="the mail server's name leads to another machine",
        needs=("address",),
        match=address_differs,
        fix="set the record that is named in the DNS panel, as others may use the name; where the machine is the right "
        "one, correct server.ipv4 and ipv6 in params",
        ref="RFC 5321 5.1",
        symptoms=(Symptom.CANNOT_RECEIVE, Symptom.CLIENT),
    ),
    Rule(
        id="mx-missing",
        cause="nobody knows where this domain receives mail",
        needs=("mx",),
        match=mx_missing,
        fix="run stage 04",
        ref="RFC 5321 5.1",
        mended_by=DNS,
        cell=PUBLISH,
        symptoms=(Symptom.CANNOT_RECEIVE,),
    ),
    Rule(
        id="mx-null",
        cause="the domain says that it receives no mail",
        needs=("mx",),
        match=mx_null,
        fix=BY_HAND,
        ref="RFC 7505 3",
        excludes=("mx-elsewhere",),
        symptoms=(Symptom.CANNOT_RECEIVE,),
    ),
    Rule(
        id="mx-cname",
        cause="the MX names an alias, which some senders refuse to follow",
        needs=("exchangers",),
        match=mx_cname,
        fix=BY_HAND,
        ref="RFC 2181 10.3",
        excludes=("mx-elsewhere",),
        symptoms=(Symptom.CANNOT_RECEIVE,),
    ),
    Rule(
        id="mx-at-relay",
        cause="the MX names the relay in place of this server: mail for the domain is refused there, or kept",
        needs=("mx",),
        match=mx_at_relay,
        fix=BY_HAND,
        ref="RFC 5321 5.1",
        excludes=("mx-elsewhere",),
        symptoms=(Symptom.CANNOT_RECEIVE,),
    ),
    Rule(
        id="mx-elsewhere",
        cause="mail for the domain goes to another server",
        needs=("mx",),
        match=mx_elsewhere,
        fix=BY_HAND,
        ref="RFC 5321 5.1",
        symptoms=(Symptom.CANNOT_RECEIVE,),
    ),
    Rule(
        id="ptr-missing",
        cause="the server's address has no name; receivers refuse what it sends directly",
        needs=("ptr",),
        match=ptr_missing,
        fix="set it in the panel of whoever gave you the address; it cannot be published in your zone",
        ref="RFC 1912 2.1",
        status=Status.WARN,
        symptoms=(Symptom.JUNK, Symptom.BOUNCED),
    ),
    Rule(
        id="ptr-mismatch",
        cause="reverse DNS does not lead to the mail server's name; it matters for what is sent directly",
        needs=("ptr",),
        match=ptr_mismatch,
        fix="set it in the panel of whoever gave you the address; it cannot be published in your zone",
        ref="RFC 1912 2.1",
        status=Status.WARN,
        symptoms=(Symptom.JUNK, Symptom.BOUNCED),
    ),
)
