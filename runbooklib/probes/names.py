"""What DNS says about the site's names, from one look at all of them; each record a fact of its own.

The facts `address`, `mx`, `spf`, `dkim`, `dmarc` and `ptr` are what the authoritative servers hold, or, where none of
them can be heard, what a resolver says; nobody heard, the fact is unseen. Beside them stand

    delegation DOMAIN   its zone, each server's word and serial, the nameservers that parent and zone name
    recursor ADDRESS    a resolver's word on each zone, and the records that it gives otherwise, until when
    strays DOMAIN       what stands of its DMARC policy and DKIM key at names where nobody looks for them
    exchangers DOMAIN   each MX host with its addresses, and what it is an alias of
    spf-tree NAME       the terms that asking for SPF there leads to, what they cost, what is wrong with them
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import dns.reversename

from runbooklib.answers import Answer, Question, Word
from runbooklib.endpoint import ResolverError
from runbooklib.params import Domain, Relay, Site
from runbooklib.probes import rrsets
from runbooklib.probes.asking import once
from runbooklib.probes.rrsets import SILENT, View
from runbooklib.zone import Wire
from runbooklib.zone.authorities import Referral, above
from runbooklib.zone.resolvers import resolvers

Fact = Callable[[View], Any]
STRAY = re.compile(r"v\s*=\s*dmarc1|v\s*=\s*dkim1|(.*;)?\s*p\s*=\s*[A-Za-z0-9+/]{100}", re.IGNORECASE)


def probes(site: Site, wire: Wire | None = None) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Address and reverse names of the server; MX, SPF, DKIM and DMARC of each domain; zones and resolvers."""
    records = dict(_records(site))
    senders = tuple(dict.fromkeys(judged_at(d, site.relay_of(d)) for d in site.domains))
    seen = once(partial(rrsets.look, site, [q for asked, _ in records.values() for q in asked], senders, wire))
    facts = {name: fact for name, (_, fact) in records.items()} | dict(_around(site, senders))
    for name, fact in facts.items():
        yield name, partial(_told, fact, seen)


def _told(fact: Fact, seen: Callable[[], View]) -> Any:
    return fact(seen())


def judged_at(domain: Domain, relay: Relay | None) -> str:
    """Where receivers look for SPF: at MAIL FROM, which a relay may put under a name of its own (RFC 7208 2.4)."""
    return f"{relay.return_path}.{domain.name}" if relay and relay.return_path else domain.name


def _records(site: Site) -> Iterator[tuple[str, tuple[list[Question], Fact]]]:
    """Each fact about records with its questions."""
    addresses = {kind: Question(site.server.hostname, kind) for kind in rrsets.HOSTS}
    yield (
        f"address {site.server.hostname}",
        (list(addresses.values()), lambda view: {kind: _values(view, q) for kind, q in addresses.items()}),
    )
    for address in filter(None, (site.server.ipv4, site.server.ipv6)):
        reverse = Question(dns.reversename.from_address(address).to_text(omit_final_dot=True), "PTR")
        yield f"ptr {address}", ([reverse], partial(_values, question=reverse))
    for domain in site.domains:
        exchange = Question(domain.name, "MX")
        yield f"mx {domain.name}", ([exchange], partial(_mx, question=exchange))
        for word, subject, name, start in _texts(domain, site.relay_of(domain)):
            text = Question(name, "TXT")
            yield f"{word} {subject}", ([text], partial(_starting, question=text, start=start))
        astray = [Question(name, "TXT") for name in places(domain)]
        yield f"strays {domain.name}", (astray, partial(_strays, questions=astray))


def places(domain: Domain) -> tuple[str, ...]:
    """Where panels and people put a policy or a key by mistake: the zone twice, no underscore, no label at all."""
    key, zone = f"{domain.dkim.selector}._domainkey.{domain.name}", domain.name
    return zone, f"dmarc.{zone}", f"_dmarc.{zone}.{zone}", f"{key}.{zone}", key.replace("_", "")


def _strays(view: View, questions: list[Question]) -> dict[str, list[str]]:
    """The policies and keys that stand there."""
    found = {q.name: [text for text in _values(view, q) if STRAY.match(text)] for q in questions}
    return {name: texts for name, texts in found.items() if texts}


def _texts(domain: Domain, relay: Relay | None) -> Iterator[tuple[str, str, str, str]]:
    """TXT records: the fact's two words, where it stands, how it begins."""
    yield "spf", (sender := judged_at(domain, relay)), sender, "v=spf1"
    yield (
        "dmarc",
        domain.name,
        f"_dmarc.{domain.name}",
        "",
    )  # one that does not begin as it should is told apart by rules
    for selector in (domain.dkim.selector, *(d.selector for d in (relay.keys_for(domain.name) if relay else ()))):
        yield "dkim", (name := f"{selector}._domainkey.{domain.name}"), name, ""


def _values(view: View, question: Question) -> list[str]:
    """Raises ResolverError where nobody could say."""
    answer = view.answers[question]
    if not answer.heard:
        said = " ".join(filter(None, [answer.word, answer.note]))
        raise ResolverError(f"{question.name} {question.type}: {answer.server or 'nobody to ask'} {said}")
    return sorted(answer.values)


def _mx(view: View, question: Question) -> list[str]:
    """The hosts, the preferred first."""
    pairs = [value.split() for value in _values(view, question)]
    return [host for _, host in sorted((int(preference), host) for preference, host in pairs)]


def _starting(view: View, question: Question, start: str) -> list[str]:
    return [text for text in _values(view, question) if text.lower().replace(" ", "").startswith(start)]


def _around(site: Site, senders: tuple[str, ...]) -> Iterator[tuple[str, Fact]]:
    for top in above(site):
        yield f"delegation {top}", partial(_delegation, top=top)
    for resolver in resolvers(site):
        named = "resolvers" in site.dns.model_fields_set
        yield f"recursor {resolver}", partial(_recursor, resolver=resolver, named=named)
    for domain in site.domains:
        yield f"exchangers {domain.name}", partial(_exchangers, domain=domain.name)
    for name in senders:
        yield f"spf-tree {name}", partial(_tree, name=name)


def _delegation(view: View, top: str) -> dict[str, Any]:
    holder = view.holders[top]
    own = Referral(holder.zone, tuple(sorted(holder.listed)), {}) if holder.listed else None
    said = view.heads[top] or [a for a in (holder.missing,) if a]
    return {
        "zone": holder.zone,
        "servers": {answer.server: _head(answer) for answer in said},
        "parent": _listed(holder.parent),
        "child": _listed(own),
    }


def _head(answer: Answer) -> dict[str, Any]:
    serial = int(answer.values[0].split()[2]) if answer.heard and answer.values else None
    return {"word": str(answer.word), "note": answer.note, "serial": serial}


def _listed(referral: Referral | None) -> list[str] | None:
    return sorted(referral.names) if referral else None


def _recursor(view: View, resolver: str, *, named: bool) -> dict[str, Any]:
    """Silent to all questions, or its word on each zone; what it gives otherwise than the authoritative servers."""
    said = view.resolvers[resolver]
    silent = [answer.word for answer in said if answer.word in SILENT]
    return {
        "named": named,
        "word": str(silent[0] if len(silent) == len(said) else Word.NOERROR),
        "zones": {a.question.name: {"word": str(a.word), "note": a.note} for a in said},
        "old": [_old(echo, view.answers[echo.question]) for echo in _differing(view, resolver)],
    }


def _differing(view: View, resolver: str) -> list[Answer]:
    own = (echo for echo in view.echoes if echo.server == resolver and echo.heard)
    return [echo for echo in own if sorted(echo.values) != sorted(view.answers[echo.question].values)]


def _old(echo: Answer, stands: Answer) -> dict[str, Any]:
    return {
        "name": echo.question.name,
        "type": echo.question.type,
        "said": sorted(echo.values),
        "stands": sorted(stands.values),
        "until": f"{echo.until:%FT%TZ}",
    }


def _exchangers(view: View, domain: str) -> dict[str, Any]:
    hosts = [value.split()[-1] for value in _values(view, Question(domain, "MX"))]
    return {host: _host(view.hosts[host]) for host in hosts if host in view.hosts}


def _host(answers: Mapping[str, Answer]) -> dict[str, Any]:
    chain = next((a.chain for a in answers.values() if a.chain), ())
    heard = all(a.heard for a in answers.values())
    return {"alias": chain[0] if chain else "", "heard": heard, **{kind: list(a.values) for kind, a in answers.items()}}


def _tree(view: View, name: str) -> dict[str, Any]:
    tree = view.trees[name]
    branches = [branch for _, branch in tree.root.walk()]
    return {
        "terms": [branch.text for branch in branches[1:]],
        "lookups": tree.lookups,
        "voids": tree.voids,
        "problems": [branch.problem for branch in branches if branch.problem],
        "unheard": [branch.unheard for branch in branches if branch.unheard],
    }
