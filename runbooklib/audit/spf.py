"""Who may send with a name in MAIL FROM."""

from __future__ import annotations

import asyncio

from runbooklib import spf
from runbooklib.answers import Answer, Lookup
from runbooklib.audit import reach
from runbooklib.audit.claims import Claim
from runbooklib.audit.subject import Subject
from runbooklib.audit.usage import sends
from runbooklib.results import Check
from runbooklib.spf import LOOKUPS, VOIDS, Result, Tree

DATAGRAM = 512  # octets that every path and every old resolver takes (RFC 7208 3.4)
STRING = 255  # octets in one TXT string (RFC 1035 3.3)
MARK = "spf1"  # what a spoiled record still has near its beginning


async def checks(look: Lookup, subject: Subject) -> list[Check]:
    """The domain's own record and that of each return path; then the addresses that send."""
    names = dict.fromkeys([subject.domain, *subject.return_paths])
    jobs = [_name(look, subject, name) for name in names]
    return [row for rows in await asyncio.gather(*jobs, _senders(look, subject)) for row in rows]


async def _name(look: Lookup, subject: Subject, name: str) -> list[Check]:
    answer, tree, used = await asyncio.gather(look(name, "TXT"), spf.cost(look, name), _used(look, subject, name))
    elsewhere = name == subject.domain and bool(subject.return_paths) and not subject.senders
    found = [v for v in answer.values if spf.is_spf(v)]
    rows = [_record(name, answer, found, used=used, elsewhere=elsewhere)]
    if not found:
        return rows
    rows.append(_single(name, found))
    if len(found) > 1:
        return rows
    rows.append(_syntax(name, found[0], tree))
    if tree.record is None:
        return rows
    wide, proxies, ending = await asyncio.gather(
        reach.breadth(look, name, tree.record), reach.proxies(look, name, tree.record), _ending(look, name, tree.record)
    )
    return [*rows, *_limits(name, tree), _targets(name, tree), ending, *_habits(name, answer, tree), wide, proxies]


async def _used(look: Lookup, subject: Subject, name: str) -> bool | None:
    """Whether the name stands in MAIL FROM."""
    return True if name != subject.domain else await sends(look, subject)


def _record(name: str, answer: Answer, found: list[str], *, used: bool | None, elsewhere: bool) -> Check:
    """Where every MAIL FROM is a return path's, the domain itself needs no record."""
    claim = Claim("dns.spf.record", name, f"SPF for MAIL FROM at {name}", needed=used is True)
    if not answer.heard:
        return claim.unheard(answer)
    if found:
        return claim.passed("; ".join(found))
    spoiled = [v for v in answer.values if MARK in v[: 3 * len(MARK)].lower()]
    if spoiled:
        fix = "it begins with `v=spf1` and a blank, without quotes of its own: panels add those"
        return claim.failed(f"{spoiled[0]}: no SPF record to receivers", fix)
    told = answer.word if not answer.values else "no SPF record"
    if elsewhere:
        return claim.passed(f"{told}; no MAIL FROM is there")
    if used:
        return claim.failed(told, f"publish who sends with MAIL FROM at {name}, ending in ~all")
    return claim.warned(told, f"publish who sends for {name}; `v=spf1 -all` where nobody does")


def _single(name: str, found: list[str]) -> Check:
    claim = Claim("dns.spf.single", name, "one SPF record")
    fix = "merge them into one: with several, receivers answer permerror"
    return claim.judged(len(found) == 1, f"{len(found)}: {' and '.join(found)}", fix)


def _syntax(name: str, text: str, tree: Tree) -> Check:
    claim = Claim("dns.spf.syntax", name, "every term can be read")
    fix = "correct it: receivers answer permerror to the whole record"
    return claim.judged(tree.record is not None, tree.root.problem or text, fix)


def _limits(name: str, tree: Tree) -> list[Check]:
    return [_lookups(name, tree), _voids(name, tree)]


def _lookups(name: str, tree: Tree) -> Check:
    claim = Claim("dns.spf.lookup-limit", name, f"at most {LOOKUPS} terms that ask DNS")
    told = f"{tree.lookups} of {LOOKUPS}"
    dearest = max(tree.root.branches, key=lambda b: b.lookups, default=tree.root)
    fix = f"name addresses instead of names, drop what no longer sends; {dearest.text} costs {dearest.lookups}"
    if tree.lookups > LOOKUPS:
        return claim.failed(told, fix)
    if tree.unheard:
        return claim.unknown(f"{told}, without {'; '.join(tree.unheard)}", "ask again later, or another resolver")
    return claim.doubted(tree.lookups < LOOKUPS - 1, told, fix)


def _voids(name: str, tree: Tree) -> Check:
    claim = Claim("dns.spf.void-limit", name, f"at most {VOIDS} terms that find nothing")
    empty = [branch.text for _, branch in tree.root.walk() if branch.void]
    told = f"{tree.voids} of {VOIDS}" + (f": {', '.join(empty)}" if empty else "")
    fix = "remove what finds nothing, or publish what it names"
    if tree.voids > VOIDS:
        return claim.failed(told, fix)
    if tree.unheard:
        return claim.unknown(f"{told}, without {'; '.join(tree.unheard)}", "ask again later, or another resolver")
    return claim.doubted(tree.voids < VOIDS, told, fix)


def _targets(name: str, tree: Tree) -> Check:
    claim = Claim("dns.spf.targets", name, "SPF wherever it includes or redirects to, and no loop")
    below = [branch for depth, branch in tree.root.walk() if depth]
    wrong = [f"{branch.text}: {branch.problem}" for branch in below if branch.problem]
    if wrong:
        return claim.failed("; ".join(wrong), "correct or remove the term: receivers answer permerror")
    silent = [f"{branch.text}: {branch.unheard}" for branch in below if branch.unheard]
    if silent:
        return claim.unknown("; ".join(silent), "ask again later; receivers answer temperror meanwhile")
    return claim.passed(", ".join(b.text for b in tree.root.branches) or "it refers to nothing")


async def _ending(look: Lookup, name: str, record: spf.Spf) -> Check:
    claim = Claim("dns.spf.ending", name, "-all or ~all for those whom nothing names")
    last, way = await reach.last(look, record)
    if last is None:
        return claim.unknown(f"{way}nobody knows", "see what it redirects to")
    advice = spf.ending(last)
    return claim.check(advice.status, f"{way}{' '.join(filter(None, [advice.term, advice.means]))}", advice.fix)


def _habits(name: str, answer: Answer, tree: Tree) -> list[Check]:
    """What is allowed and hurts."""
    terms = tree.record.terms if tree.record else ()
    slow = [t.text for t in terms if t.name == "ptr" and t.qualifier]
    fix = "name the addresses instead: ptr is slow and should not be used"
    size = datagram(answer)
    told = f"{size} octets with all TXT records of the name"
    wide = "move other TXT records away, or shorten it: some paths lose answers over 512 octets"
    return [
        Claim("dns.spf.ptr", name, "no ptr").doubted(not slow, ", ".join(slow) or "none", fix),
        Claim("dns.spf.size", name, f"an answer of at most {DATAGRAM} octets").doubted(size <= DATAGRAM, told, wide),
    ]


def datagram(answer: Answer) -> int:
    """Octets of the answer without EDNS: header, question, and each record with a compressed name."""
    octets = [len(value.encode()) for value in answer.values]
    return 12 + len(answer.question.name) + 6 + sum(12 + n + max(1, -(-n // STRING)) for n in octets)


async def _senders(look: Lookup, subject: Subject) -> list[Check]:
    """check_host() as a receiver runs it."""
    who = f"postmaster@{subject.domain}"
    jobs = (spf.evaluate(look, address, who, subject.host or subject.domain) for address in subject.senders)
    found = await asyncio.gather(*jobs)
    return [_sends(subject.domain, a, f) for a, f in zip(subject.senders, found, strict=True)]


def _sends(domain: str, address: str, found: spf.Evaluation) -> Check:
    claim = Claim("dns.spf.sends", f"{domain} {address}", f"pass for {address}", needed=True)
    told = f"{found.result}: {found.reason}"
    if found.result is Result.TEMPERROR:
        return claim.unknown(told, "ask again later, or another resolver")
    kind = "ip6" if ":" in address else "ip4"
    return claim.judged(found.result is Result.PASS, told, f"add {kind}:{address}, or what names it, before `all`")
