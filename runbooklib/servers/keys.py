"""A domain's DKIM keys, whatever server holds them: how far a change of selector is, and the rows that judge them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from runbooklib import domainkeys, signing
from runbooklib.answers import Answer
from runbooklib.params import Domain, Site
from runbooklib.records import TTL, Desired, Observed, Wanted, compare
from runbooklib.records.clock import stamp
from runbooklib.results import Check, Status, judged
from runbooklib.servers.opendkim import Tables
from runbooklib.servers.retired import KEY, Retired

USUAL, LONG = 2048, 4096  # bits
MEMORY = "a key that is left stays for as long as mail signed with it may be on its way"
ROWS = "the first row of a domain signs, a second one is ignored (opendkim.conf(5), SigningTable)"
ONE_ALGORITHM = (
    "OpenDKIM 2.11 signs with one algorithm for all keys and puts off mail that has a key of another kind beside it; "
    "leave dkim.ed25519 out"
)


class Keyring(Protocol):
    """The keys a server holds, by domain and selector, and which of them sign."""

    @property
    def keys(self) -> Mapping[tuple[str, str], str]:
        """The public halves."""

    @property
    def private(self) -> frozenset[tuple[str, str]]:
        """Those whose private half is there."""

    @property
    def live(self) -> frozenset[tuple[str, str]]:
        """Those the running signer holds, equal to what is stored."""

    @property
    def signing(self) -> Mapping[str, str]:
        """For each domain the selector the running signer signs with."""

    @property
    def retired(self) -> tuple[Retired, ...]:
        """What was left, as the server remembers it."""

    def signs(self, domain: str) -> str:
        """The selector that signs a domain's mail; empty for none."""


@dataclass(frozen=True)
class Turn:
    """How far one domain is on the way to the key that params name."""

    domain: Domain
    signs: str  # the selector that signs today; empty: none
    made: bool  # whether the key of params is there
    unseen: str  # why it may not sign yet; empty: every resolver shows it

    @property
    def wanted(self) -> str:
        return self.domain.dkim.selector

    @property
    def target(self) -> str:
        """The selector that should sign now: an old key goes on until the new one is known."""
        return self.signs if self.waits else self.wanted

    @property
    def waits(self) -> bool:
        return bool(self.signs and self.signs != self.wanted and self.unseen)

    @property
    def name(self) -> str:
        """Where the key of params is published."""
        return record_name(self.domain.name, self.wanted)


def record_name(domain: str, selector: str) -> str:
    """Where a verifier looks for a key (RFC 6376 3.6.2.1)."""
    return f"{selector}._domainkey.{domain}"


def turns(site: Site, have: Keyring, seen: Observed | None) -> list[Turn]:
    """How far each domain is; `seen` is what DNS says of `records`."""
    return [_turn(domain, have, seen) for domain in site.domains]


def _turn(domain: Domain, have: Keyring, seen: Observed | None) -> Turn:
    public = have.keys.get((domain.name, domain.dkim.selector), "")
    unseen = _unseen(record(domain.name, domain.dkim.selector, public), seen) if public else "it is not made yet"
    return Turn(domain, have.signs(domain.name), bool(public), unseen)


def _unseen(wanted: Wanted, seen: Observed | None) -> str:
    """Who does not show the key; resolvers are asked only once the authoritative servers hold it."""
    answers = seen.at_resolvers(wanted) if seen else ()
    if not answers:
        return "it is not published yet"
    return ", ".join(_says(a) for a in answers if not (a.heard and compare(wanted, a).good))


def _says(answer: Answer) -> str:
    """What a resolver says instead, and until when its cache may."""
    if not answer.heard:
        return f"{answer.server} {answer.word}"
    return f"{answer.server} says {answer.shown}, cached until {stamp(answer.until)}"


def records(site: Site, have: Keyring, now: datetime) -> Desired:
    """The public halves DNS has to hold: of params, of what signs today, of what mail on its way was signed with.

    Without a value where the key is not made yet.
    """
    kept = [e for e in have.retired if e.kind == KEY and not e.due(now)]
    found: dict[tuple[str, str], Wanted] = {}
    for domain in site.domains:
        older = [have.signs(domain.name), *(e.selector for e in kept if e.domain == domain.name)]
        selectors = [domain.dkim.selector, *(s for s in older if (domain.name, s) in have.keys)]
        found |= {(domain.name, s): record(domain.name, s, have.keys.get((domain.name, s), "")) for s in selectors}
    return Desired(tuple(found.values()))


def record(domain: str, selector: str, public: str) -> Wanted:
    """The record of a key; without a value where the key is not made yet."""
    return Wanted(
        record_name(domain, selector),
        "TXT",
        (public,) if public else (),
        TTL,
        "verifies what the server itself signs",
        "RFC 6376 3.6.2",
        "03-dkim",
        known_after="" if public else "03-dkim",
    )


def refusals(site: Site, have: Keyring, now: datetime) -> dict[str, str]:
    """For each domain whose params no plan can carry out the reason."""
    said = {d.name: f"{d.name}: {ONE_ALGORITHM}" for d in site.domains if d.dkim.ed25519}
    old = {(e.domain, e.selector): e for e in have.retired if e.kind == KEY}
    for domain in site.domains:
        key = domain.name, domain.dkim.selector
        if key in have.private and key not in have.keys:
            said[domain.name] = (
                f"{domain.name}: the private half of {record_name(*key)} is there without a readable public half: "
                f"write {domain.dkim.selector}.txt beside it again, or choose a new selector"
            )
        if key in old and not _may_return(old[key], have, now):
            said[domain.name] = (
                f"{domain.name}: selector {domain.dkim.selector} was retired on {old[key].since:%Y-%m-%d} and a name "
                "is never used for a second key, caches may hold the first: choose a new selector"
            )
    return said


def _may_return(entry: Retired, have: Keyring, now: datetime) -> bool:
    """Going back: the old key signs still, or it is still there and published."""
    there = (entry.domain, entry.selector) in have.keys
    return have.signs(entry.domain) == entry.selector or (there and not entry.due(now))


def entries(have: Keyring, before: Iterable[Retired], steps: Iterable[Turn], now: datetime) -> tuple[Retired, ...]:
    """What is to be remembered: with each key that is left now, without one that signs again."""
    entries = {e.key: e for e in before}
    for turn in steps:
        name = turn.domain.name
        entries.pop((name, KEY, turn.target), None)
        if turn.signs and turn.signs != turn.target:
            public, period = have.keys.get((name, turn.signs), ""), turn.domain.dkim.retire_after
            left = Retired(KEY, name, now, period, selector=turn.signs, public=public)
            entries[left.key] = left
    return tuple(entries.values())


def news(before: Iterable[Retired], entries: Iterable[Retired]) -> str:
    """What is remembered from now on and what no longer, a line each."""
    known, kept = set(before), set(entries)
    said = [f"{record_name(e.domain, e.selector)} is kept until {e.until:%Y-%m-%d %H:%MZ}" for e in kept - known]
    named = {e.key for e in kept}
    said += [f"{record_name(e.domain, e.selector)} signs again" for e in known - kept if e.key not in named]
    return "\n".join(sorted(said))


def tables(made: Tables, have: Keyring, steps: Iterable[Turn], over: Iterable[Retired]) -> Tables:
    """OpenDKIM's tables as they should be; `made` are those that stand once the missing keys are made."""
    want = made
    for turn in steps:
        there = (turn.domain.name, turn.target) in have.keys or not turn.made
        if there and want.signer(turn.domain.name) != turn.target:
            want = want.signed_by(turn.domain.name, turn.target)
    for entry in over:
        want = want.without(entry.domain, entry.selector)
    return want


def signs_live(have: Keyring, domain: str, selector: str) -> bool:
    """Whether the running signer signs with this key, the same as on disk."""
    return have.signing.get(domain) == selector and (domain, selector) in have.live


def over(entry: Retired, steps: Iterable[Turn], now: datetime) -> bool:
    """Whether a key has had its time; one that signs, or shall sign again, has not."""
    in_use = {(t.domain.name, s) for t in steps for s in (t.signs, t.target)}
    return entry.kind == KEY and entry.due(now) and (entry.domain, entry.selector) not in in_use


@dataclass(frozen=True)
class Half:
    """What the server says of a private half: its file's mode, and the public half computed from it."""

    mode: str = ""
    public: str = ""


def refused_row(domain: str, why: str) -> Check:
    """The row of a domain whose params no plan can carry out."""
    return Check(f"dkim.params {domain}", Status.FAIL, "params that can be carried out", why, "change dkim in params")


def key_rows(turn: Turn, have: Keyring, halves: Mapping[tuple[str, str], Half]) -> Iterator[Check]:
    """The key of params and, while it is another, the one that signs."""
    for selector in dict.fromkeys([turn.wanted, turn.target]):
        key = turn.domain.name, selector
        name, public = record_name(*key), have.keys.get(key, "")
        wanted = turn.domain.dkim.size if selector == turn.wanted else 0
        yield size_row(name, public, wanted)
        if public:
            yield from _half_rows(name, public, halves.get(key, Half()))
            if selector == turn.target:
                yield _live_row(name, live=key in have.live)


def size_row(name: str, public: str, wanted: int) -> Check:
    """The key and its length (RFC 8301 3.2: 1024 bits at least, 2048 should be; verifiers know up to 4096)."""
    bits, expected = (
        domainkeys.parse(public).bits if public else 0,
        f"an RSA key of {wanted} bits" if wanted else "an RSA key",
    )
    if not public:
        return Check(f"dkim.key {name}", Status.FAIL, expected, "none", "run 03-dkim with apply")
    status, said, fix = Status.PASS, f"RSA, {bits} bits", ""
    if bits < USUAL:
        status, fix = Status.WARN, "rotate: set another dkim.selector and dkim.size 2048 in params"
        said += ": the least verifiers accept, and some no longer do"
    elif wanted and bits != wanted:
        status, fix = Status.WARN, "rotate: set another dkim.selector in params"
        said += ": kept, a key that signs is never replaced in passing"
    elif bits >= LONG:
        said += (
            f": a record of {len(public)} characters, more than the 512 octets of an old UDP answer (RFC 1035 2.3.4)"
        )
    return Check(f"dkim.key {name}", status, expected, said, fix, "RFC 8301 3.2")


def _half_rows(name: str, public: str, half: Half) -> Iterator[Check]:
    fits = domainkeys.parse(public).public == half.public
    yield judged(
        f"dkim.pair {name}",
        fits,
        "public and private halves belong together",
        "they do" if fits else "they do not",
        "rotate to a new selector: this pair can only produce signatures that fail",
        "RFC 6376 3.6.1",
    )
    yield judged(
        f"dkim.permissions {name}",
        bool(half.mode) and not int(half.mode, 8) & 0o077,
        "the private half readable by root only",
        half.mode or "not there",
        "chmod 600 it",
    )


def _live_row(name: str, *, live: bool) -> Check:
    return judged(
        f"dkim.live {name}",
        live,
        "the running signer holds this key",
        "it does" if live else "it holds another or none: it reads them only when it starts anew",
        "run 03-dkim with apply",
    )


def signing_row(turn: Turn, have: Keyring) -> Check:
    """Which key signs; an old one goes on until every resolver shows the new one."""
    name, expected = f"dkim.signing {turn.domain.name}", f"{turn.wanted} signs"
    if turn.waits:
        said = f"{turn.signs} signs still; {turn.wanted} not yet: {turn.unseen}"
        fix = "04-dns publishes it; once every resolver in dns.resolvers shows it, this stage changes over"
        return Check(name, Status.PENDING, expected, said, fix, "RFC 6376 3.1", waits_for="04-dns")
    signs = have.signing.get(turn.domain.name, "")
    said = f"{signs or 'no key'} signs"
    return judged(name, signs == turn.wanted, expected, said, "run 03-dkim with apply", "RFC 6376 3.1")


def retired_rows(have: Keyring, now: datetime) -> Iterator[Check]:
    """Until when each old key is kept, so that mail on its way verifies and going back is possible."""
    for entry in have.retired:
        if entry.kind != KEY or entry.due(now):
            continue
        until, there = f"{entry.until:%Y-%m-%d %H:%MZ}", (entry.domain, entry.selector) in have.keys
        name, expected = f"dkim.retired {record_name(entry.domain, entry.selector)}", f"kept until {until}"
        if there:
            yield Check(name, Status.PASS, expected, f"kept; its end is planned after {until}")
        else:
            fix = "nothing to do but to leave its record in DNS; going back needs a new selector"
            yield Check(name, Status.WARN, expected, "its files are gone from the server", fix)


def signature_row(name: str, expected: str, turn: Turn, raw: bytes, keys: Mapping[tuple[str, str], str]) -> Check:
    """Whether the key that should sign did, by the public halves on the server."""
    made = list(signing.signatures(raw, {record_name(*key): public for key, public in keys.items()}))
    if not made:
        fix = "the signer's table holds no row for this sender, or the key is not live: run 03-dkim with apply"
        return Check(name, Status.FAIL, expected, "no DKIM-Signature header", fix, "RFC 6376 5")
    ours = any(s.good and (s.domain, s.selector) == (turn.domain.name, turn.target) for s in made)
    said = ", ".join(f"{s.selector} for {s.domain} {'verifies' if s.good else 'does not verify'}" for s in made)
    return judged(name, ours, expected, said, "the running signer has another key than the one stored: run 03-dkim")
