"""checkdmarc on a scenario of the golden set: its own functions, each with a resolver that asks the literal world."""

from __future__ import annotations

import asyncio
import errno
import logging
import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import dns.flags
import dns.message
import dns.nameserver
import dns.resolver
from golden.scenarios import Scenario

from runbooklib.zone import Literal

LIFETIME = 0.05  # seconds a question may take: the literal answers at once, or never
OPTIONAL = {"mta_sts", "smtp_tls_reporting"}  # having none is no fault
ABSENT = re.compile(r"does not exist|not found|no .* record|does not have", re.IGNORECASE)
UNHEARD = re.compile(
    r"timeout|timed out|lifetime|nameservers failed|SERVFAIL|REFUSED|failed to answer|unreachable|malformed",
    re.IGNORECASE,
)


class Within(dns.nameserver.Nameserver):
    """A resolver of a literal world, asked without a socket."""

    def __init__(self, wire: Literal, address: str) -> None:
        super().__init__()
        self.wire, self.address = wire, address

    def __str__(self) -> str:
        return self.address

    def kind(self) -> str:
        return "literal"

    def is_always_max_size(self) -> bool:
        return True

    def answer_nameserver(self) -> str:
        return self.address

    def answer_port(self) -> int:
        return 53

    def query(self, request: dns.message.QueryMessage, *_: object, **__: object) -> dns.message.Message:
        """The reply, or what a network raises: nobody listens on TCP where a literal truncates."""
        reply = asyncio.run(self.wire.exchange(request, self.address))
        if reply.flags & dns.flags.TC:
            raise ConnectionRefusedError(errno.ECONNREFUSED, "unreachable over TCP")
        return reply


def says(scenario: Scenario, subjects: Iterable[str]) -> dict[str, str]:
    """good, warned, wrong or unknown, for each of these subjects."""
    asked = _asked(scenario)
    return {subject: _word(subject, asked[subject]) for subject in subjects}


def _asked(scenario: Scenario) -> dict[str, Callable[[], Mapping[str, Any]]]:
    """Its checks of the scenario's domain; a policy is given to it, as there is no web server to fetch it from."""
    import checkdmarc  # noqa: PLC0415 - only `make bench` has it
    from checkdmarc import dmarc, dnssec, mta_sts, smtp, smtp_tls_reporting, soa, spf, utils  # noqa: PLC0415 - as above

    for cache in (utils.DNS_CACHE, dnssec.DNSSEC_CACHE, dnssec.DNSKEY_CACHE, dnssec.TLSA_CACHE):
        cache.clear()
    logging.getLogger("checkdmarc").addHandler(logging.NullHandler())
    servers = [Within(scenario.wire, address) for address in scenario.resolvers]
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers, resolver.lifetime, resolver.timeout = list(servers), LIFETIME, LIFETIME
    given: dict[str, Any] = {"nameservers": servers, "resolver": resolver, "retries": 0, "timeout": LIFETIME}
    subject = scenario.subject
    domain = subject.domain if subject else ""
    parked = {"parked": bool(subject and subject.sends is False and subject.receives is False)}

    def mta() -> Mapping[str, Any]:
        record = mta_sts.query_mta_sts_record(domain, **given)
        found = mta_sts.parse_mta_sts_record(record["record"])
        noted = record["warnings"] + found["warnings"]
        if scenario.policy is not None:
            noted += mta_sts.parse_mta_sts_policy(scenario.policy)["warnings"]
        return {"warnings": noted}

    without_retries = {k: v for k, v in given.items() if k != "retries"}
    return {
        "soa": lambda: soa.check_soa(domain, **without_retries),
        "ns": lambda: checkdmarc.check_ns(domain, **given),
        "mx": lambda: smtp.check_mx(domain, **given),
        "spf": lambda: spf.check_spf(domain, **parked, **given),
        "dmarc": lambda: dmarc.check_dmarc(domain, **parked, **given),
        "mta_sts": mta,
        "smtp_tls_reporting": lambda: smtp_tls_reporting.check_smtp_tls_reporting(domain, **given),
    }


def _word(subject: str, check: Callable[[], Mapping[str, Any]]) -> str:
    try:
        with warnings.catch_warnings(action="ignore"):
            found = check()
    except Exception as error:  # noqa: BLE001 - whatever it raises is its answer
        found = {"error": str(error) or type(error).__name__}
    error = str(found.get("error", ""))
    if error:
        return _refused(subject, error)
    noted = found.get("warnings", [])
    if any(UNHEARD.search(str(line)) for line in noted):
        return "unknown"
    return "warned" if noted else "good"


def _refused(subject: str, error: str) -> str:
    if UNHEARD.search(error):
        return "unknown"
    return "good" if subject in OPTIONAL and ABSENT.search(error) else "wrong"
