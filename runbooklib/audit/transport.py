"""What protects mail on its way here: MTA-STS, TLS-RPT and DANE."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from runbooklib import mtasts, tlsrpt
from runbooklib.answers import Answer, Lookup, Word
from runbooklib.audit.claims import Claim
from runbooklib.audit.policies import PolicyError, SilentPolicyError
from runbooklib.audit.subject import Subject
from runbooklib.audit.usage import absent, hosts, validated
from runbooklib.mtasts import Policy, StsError
from runbooklib.results import Check
from runbooklib.tlsrpt import TlsRptError
from runbooklib.zone import Stub

Fetch = Callable[[str], Awaitable[str]]
DAY = 86400  # seconds
USED, PKIX = {"2", "3"}, {"0", "1"}  # certificate usages (RFC 7672 3.1)
DIGITS = {"1": 64, "2": 128}  # hexadecimal digits of a SHA-256 and of a SHA-512 digest
SEQUENCE = "30"  # how DER begins one (X.690 8.9), in hexadecimal


async def checks(stub: Stub, subject: Subject, fetch: Fetch | None = None) -> list[Check]:
    """All three; what is not used is no fault."""
    jobs = (_sts(stub, subject, fetch), _reports(stub, subject.domain), _dane(stub, subject))
    return [row for rows in await asyncio.gather(*jobs) for row in rows]


# MTA-STS


async def _sts(look: Lookup, subject: Subject, fetch: Fetch | None) -> list[Check]:
    domain = subject.domain
    answer = await look(f"_mta-sts.{domain}", "TXT")
    claim = Claim("dns.mta-sts.record", domain, "one MTA-STS record that can be read, or none")
    if not answer.heard:
        return [claim.unheard(answer)]
    if not any("stsv1" in v[:10].lower() for v in answer.values):
        return [claim.passed("not used")]
    try:
        announced = mtasts.announced(answer.values)
    except StsError as error:
        return [claim.failed(f"{answer.shown}: {error}", "correct it, or remove it: senders act as if there were none")]
    return [claim.passed(str(announced)), *await _policy(look, domain, fetch)]


async def _policy(look: Lookup, domain: str, fetch: Fetch | None) -> list[Check]:
    claim = Claim("dns.mta-sts.policy", domain, f"a policy at https://mta-sts.{domain}/.well-known/mta-sts.txt")
    host, mx = await asyncio.gather(look(f"mta-sts.{domain}", "A"), look(domain, "MX"))
    fix = "serve the policy there with a certificate that verifies, or remove the record"
    if absent(host) and absent(await look(f"mta-sts.{domain}", "AAAA")):
        return [claim.failed(f"mta-sts.{domain}: {host.shown}", fix)]
    if fetch is None:
        return [claim.unknown("not fetched", "it is a web page, and this look asks DNS only")]
    try:
        policy = mtasts.parse_policy(await fetch(domain))
    except SilentPolicyError as error:
        return [claim.unknown(str(error), fix)]
    except (PolicyError, StsError) as error:
        return [claim.failed(str(error), fix)]
    return [claim.passed(f"mode {policy.mode}"), _listed(domain, policy, mx), _age(domain, policy)]


def _listed(domain: str, policy: Policy, mx: Answer) -> Check:
    claim = Claim("dns.mta-sts.mx", domain, "every MX in the policy, and nothing else")
    if not mx.heard:
        return claim.unheard(mx)
    names = hosts(mx)
    told = f"policy {', '.join(policy.mx) or 'none'}; MX {', '.join(names) or 'none'}"
    missing = [n for n in names if not policy.covers(n)]
    if missing and policy.mode != "none":
        fix = f"add {', '.join(missing)} to the policy, and give the record a new id"
        return claim.failed(told, fix) if policy.mode == "enforce" else claim.warned(told, fix)
    extra = [p for p in policy.mx if not any(Policy("enforce", (p,), 0).covers(n) for n in names)]
    fix = f"take {', '.join(extra)} out of the policy: no MX is called so"
    return claim.doubted(policy.mode == "none" or not extra, told, fix)


def _age(domain: str, policy: Policy) -> Check:
    claim = Claim("dns.mta-sts.age", domain, "a policy that senders keep for more than a day")
    fix = "set max_age to weeks: whoever can block the policy for its life takes the protection away"
    return claim.doubted(policy.mode == "none" or policy.max_age > DAY, f"{policy.max_age} s", fix)


# TLS-RPT


async def _reports(look: Lookup, domain: str) -> list[Check]:
    answer = await look(f"_smtp._tls.{domain}", "TXT")
    claim = Claim("dns.tls-rpt", domain, "one TLS-RPT record that can be read, or none")
    if not answer.heard:
        return [claim.unheard(answer)]
    if not any("tlsrpt" in v[:12].lower() for v in answer.values):
        return [claim.passed("not used")]
    try:
        record = tlsrpt.asked(answer.values)
    except TlsRptError as error:
        return [claim.failed(f"{answer.shown}: {error}", "correct it: until then nobody sends reports")]
    return [claim.passed(", ".join(d.uri for d in record.destinations))]


# DANE


async def _dane(stub: Stub, subject: Subject) -> list[Check]:
    """Asked where senders would ask: behind an MX that validates (RFC 7672 2.2), and for our own host."""
    mx = await validated(stub, subject.domain, "MX")
    names = [n for n in hosts(mx) if mx.secure or n == subject.host]
    answers = await asyncio.gather(*(validated(stub, f"_25._tcp.{n}", "TLSA") for n in names))
    return [_pins(name, answer, mx) for name, answer in zip(names, answers, strict=True)]


def _pins(host: str, answer: Answer, mx: Answer) -> Check:
    claim = Claim("dns.dane", host, "TLSA records that senders can use, or none")
    if answer.word is Word.BOGUS:
        return claim.failed("bogus", "senders that know DANE hold mail back: correct the zone's signatures")
    if not answer.heard:
        return claim.unheard(answer)
    if not answer.values:
        return claim.passed("not used")
    wrong = [v for v in answer.values if not _whole(v)]
    if wrong:
        return claim.failed("; ".join(wrong), "publish 3 1 1 and the SHA-256 of the server's public key, 64 digits")
    fix = "publish 3 1 1: senders do not look at authorities here, and then nothing is verified"
    if not any(v.split()[0] in USED for v in answer.values):
        return claim.warned("; ".join(answer.values), fix)
    signed = mx.secure and answer.secure
    unused = "sign the zones of the domain and of the host: without DNSSEC no sender looks at TLSA"
    return claim.doubted(signed or not answer.recursive, "; ".join(answer.values), unused)


def _whole(value: str) -> bool:
    """Fields in their ranges, and a digest of its length; without one the key or certificate itself, a DER sequence."""
    usage, selector, matching, *parts = value.split()
    data = "".join(parts)
    known = usage in USED | PKIX and selector in {"0", "1"} and matching in {"0", *DIGITS}
    return known and (len(data) == DIGITS[matching] if matching in DIGITS else data.startswith(SEQUENCE))
