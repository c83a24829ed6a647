"""check_host() of RFC 7208 4: what a receiver makes of a client that names a domain."""

from __future__ import annotations

import asyncio
import ipaddress
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from runbooklib.answers import Answer, Lookup
from runbooklib.spf import macros
from runbooklib.spf.outcome import QUALIFIED, EndError, Evaluation, Result
from runbooklib.spf.record import Spf, is_spf, parse
from runbooklib.spf.session import NAMES, Client, Session, addresses, exchangers
from runbooklib.spf.terms import EXPLAINING, VISIBLE, SpfError, Term

EXPLAIN_STRING = re.compile(rf"(?:{EXPLAINING}|{VISIBLE}| )*", re.IGNORECASE)  # RFC 7208 6.2
LONGEST_EXPLANATION = 500  # characters: it ends up in one reply of SMTP (RFC 5321 4.5.3.1.5)


@dataclass(frozen=True)
class Finding:
    """How one record, with all it refers to, ended; `record` is the one whose exp= counts."""

    result: Result
    reason: str
    term: str = ""
    domain: str = ""
    record: Spf | None = None


async def evaluate(look: Lookup, ip: str, sender: str, helo: str, receiver: str = "") -> Evaluation:
    """The result for a client at `ip` that says HELO `helo` and MAIL FROM `sender` (empty: HELO is checked).

    Never raises: what is broken is permerror, what could not be asked temperror (RFC 7208 2.6).
    """
    try:
        session = Session(look, Client.of(ip, sender, helo, receiver))
    except EndError as end:
        return Evaluation(end.result, str(end))
    try:
        found = await check(session, session.client.domain)
    except EndError as end:
        found = Finding(end.result, str(end))
    explanation = await explain(session, found) if found.result is Result.FAIL else ""
    return Evaluation(found.result, found.reason, found.term, explanation, session.lookups, session.voids)


async def check(session: Session, domain: str) -> Finding:
    """What the record of `domain` says of the client; `include` and `redirect` come here again."""
    record = select(domain, await session.ask(macros.presented(domain), "TXT"))
    if record is None:
        return Finding(Result.NONE, f"{domain} has no SPF record")
    for term in (*record.tested, *filter(None, [record.all])):
        matched = await MATCHES[term.name](session, term, domain)
        if matched:
            return Finding(QUALIFIED[term.qualifier], matched, term.text, domain, record)
    if record.redirect:
        return await _redirected(session, record.redirect, domain)
    # RFC 7208 4.7: neither all nor redirect
    return Finding(Result.NEUTRAL, f"nothing in the record of {domain} matches", "", domain, record)


def select(domain: str, answer: Answer) -> Spf | None:
    """The one SPF record among the TXT values (RFC 7208 4.5).

    Raises EndError with permerror when there are several, or it is broken.
    """
    found = [value for value in answer.values if is_spf(value)]
    if len(found) > 1:
        raise EndError(Result.PERMERROR, f"{domain} has {len(found)} SPF records")
    try:
        return parse(found[0]) if found else None
    except SpfError as error:
        raise EndError(Result.PERMERROR, f"{domain}: {error}") from None


async def explain(session: Session, found: Finding) -> str:
    """What `exp=` says, expanded; empty where anything is wrong with it (RFC 7208 6.2)."""
    term = found.record.explanation if found.record else None
    if not term:
        return ""
    try:
        target = await session.name(term.value, found.domain)
        answer = await session.ask(macros.presented(target), "TXT") if target else None
        if not answer or len(answer.values) != 1 or not EXPLAIN_STRING.fullmatch(answer.values[0]):
            return ""
        text = answer.values[0]
        return macros.expand(text, await session.values(text, found.domain))[:LONGEST_EXPLANATION]
    except EndError:
        return ""


async def _redirected(session: Session, term: Term, domain: str) -> Finding:
    session.count(term.text)
    found = await _referred(session, term, domain)
    if found.result is Result.NONE:  # RFC 7208 6.1
        raise EndError(Result.PERMERROR, f"{term.text}: {found.reason}")
    return found


async def _referred(session: Session, term: Term, domain: str) -> Finding:
    target = await session.name(term.value, domain, term.text)
    if "." not in target:
        return Finding(Result.NONE, "no domain name")
    return await check(session, target)


async def _include(session: Session, term: Term, domain: str) -> str:
    """RFC 7208 5.2: only a pass matches, and a record must be there."""
    session.count(term.text)
    found = await _referred(session, term, domain)
    if found.result is Result.NONE:
        raise EndError(Result.PERMERROR, f"{term.text}: {found.reason}")
    return f"{term.text}, there {found.reason}" if found.result is Result.PASS else ""


async def _target(session: Session, term: Term, domain: str) -> str:
    return await session.name(term.value, domain, term.text) if term.value else domain


async def _a(session: Session, term: Term, domain: str) -> str:
    """RFC 7208 5.3."""
    session.count(term.text)
    target = await _target(session, term, domain)
    if not target:
        return ""
    answer = await session.ask(macros.presented(target), session.client.version)
    if not answer.values:
        session.void(term.text)
    return _near(session, term, answer)


async def _mx(session: Session, term: Term, domain: str) -> str:
    """RFC 7208 5.4: the addresses of at most ten hosts, and never those of the name itself."""
    session.count(term.text)
    target = await _target(session, term, domain)
    if not target:
        return ""
    told = await session.ask(macros.presented(target), "MX")
    if len(told.values) > NAMES:
        raise EndError(Result.PERMERROR, f"{term.text}: {len(told.values)} MX records, the limit is {NAMES}")
    hosts = exchangers(told)
    answers = await asyncio.gather(*(session.try_to_ask(host, session.client.version) for host in hosts))
    for host, answer in zip(hosts, answers, strict=True):
        if not answer.heard:
            raise EndError(Result.TEMPERROR, f"{term.text}: {host} {session.client.version}: {answer.shown}")
        if _near(session, term, answer):
            return f"{term.text}, there {host}"
    if not any(answer.values for answer in answers):
        session.void(term.text)
    return ""


def _near(session: Session, term: Term, answer: Answer) -> str:
    prefix = term.prefix4 if session.client.version == "A" else term.prefix6
    ip = session.client.ip
    same = [a for a in addresses(answer) if a.version == ip.version]
    return term.text if any(ip in ipaddress.ip_network((a, prefix), strict=False) for a in same) else ""


async def _ptr(session: Session, term: Term, domain: str) -> str:
    """RFC 7208 5.5: a validated name that is the target or below it."""
    session.count(term.text)
    target = macros.presented(await _target(session, term, domain))
    names = await session.validated() if target else ()
    if names is None:
        session.void(term.text)
    match = next((n for n in names or () if n == target or n.endswith(f".{target}")), "")
    return f"{term.text}, by {match}" if match else ""


async def _exists(session: Session, term: Term, domain: str) -> str:
    """RFC 7208 5.7: any A record, whatever the client's family."""
    session.count(term.text)
    target = await _target(session, term, domain)
    if not target:
        return ""
    if (await session.ask(macros.presented(target), "A")).values:
        return term.text
    session.void(term.text)
    return ""


async def _ip(session: Session, term: Term, domain: str) -> str:
    """RFC 7208 5.6."""
    del domain
    return term.text if term.network and session.client.ip in term.network else ""


async def _all(session: Session, term: Term, domain: str) -> str:
    """RFC 7208 5.1: always matches."""
    return f"{term.text}: nothing before it in the record of {domain} matches {session.client.ip}"


MATCHES: dict[str, Callable[[Session, Term, str], Awaitable[str]]] = {
    "include": _include,
    "a": _a,
    "mx": _mx,
    "ptr": _ptr,
    "exists": _exists,
    "ip4": _ip,
    "ip6": _ip,
    "all": _all,
}
