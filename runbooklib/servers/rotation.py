"""Stage 03 on docker-mailserver: a key made once, a new one that signs once the world knows it, the old one kept.

A new selector takes three walks: the key is made beside the one that signs; stage 04 publishes it; when every resolver
shows it, the signer changes over, in a new container. The old key stays for `retire_after`, then it is taken away.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from runbooklib.host import CommandChange
from runbooklib.params import Domain, Site
from runbooklib.records import TTL, Answer, Desired, Observed, Wanted, compare
from runbooklib.results import Change, Plan
from runbooklib.servers import docker_mailserver as dms
from runbooklib.servers import layout, retired
from runbooklib.servers.docker_mailserver import State
from runbooklib.servers.retired import KEY, Retired

TITLE = "DKIM keys"
REMEMBER, TABLES, REMOVE = 42, 43, 60  # after the keys are made (41), around the new container (50)
ONE_ALGORITHM = (
    "OpenDKIM 2.11 signs with one algorithm for all keys and puts off mail that has a key of another kind beside it; "
    "leave dkim.ed25519 out"
)


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


def turns(site: Site, have: State, seen: Observed | None) -> list[Turn]:
    """How far each domain is; `seen` is what DNS says of `records`."""
    return [_turn(domain, have, seen) for domain in site.domains]


def _turn(domain: Domain, have: State, seen: Observed | None) -> Turn:
    public = have.keys.get((domain.name, domain.dkim.selector), "")
    unseen = _unseen(_wanted(domain.name, domain.dkim.selector, public), seen) if public else "it is not made yet"
    return Turn(domain, have.signs(domain.name), bool(public), unseen)


def _unseen(wanted: Wanted, seen: Observed | None) -> str:
    """Who does not show the key; resolvers are asked only once the authoritative servers hold it."""
    answers = seen.at_resolvers(wanted) if seen else ()
    if not answers:
        return "it is not published yet"
    return ", ".join(_says(a) for a in answers if not (a.heard and compare(wanted, a).good))


def _says(answer: Answer) -> str:
    return f"{answer.server} says {answer.shown}" if answer.heard else f"{answer.server} {answer.word}"


def records(site: Site, have: State, now: datetime) -> Desired:
    """The public halves DNS has to hold: of params, of what signs today, of what mail on its way was signed with.

    Without a value where the key is not made yet.
    """
    kept = [e for e in have.retired if e.kind == KEY and not e.due(now)]
    found: dict[tuple[str, str], Wanted] = {}
    for domain in site.domains:
        older = [have.signs(domain.name), *(e.selector for e in kept if e.domain == domain.name)]
        selectors = [domain.dkim.selector, *(s for s in older if (domain.name, s) in have.keys)]
        found |= {(domain.name, s): _wanted(domain.name, s, have.keys.get((domain.name, s), "")) for s in selectors}
    return Desired(tuple(found.values()))


def _wanted(domain: str, selector: str, public: str) -> Wanted:
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


def plan(site: Site, have: State, seen: Observed | None, now: datetime | None = None) -> Plan:
    """Keys that are missing, the change to a key that is known by now, and the end of one whose time is over."""
    if have.container is None:
        return Plan(TITLE, held=f"known after {dms.BOOTSTRAP}")
    now = now or datetime.now(UTC)
    steps, before = turns(site, have, seen), have.retired
    over = [e for e in before if _over(e, steps, now)]
    changes = [
        *(dms.make_key(site, have, t.domain) for t in steps if not t.made),
        *_memory(site, have, before, _entries(have, before, steps, now)),
        *_tables(site, have, steps, over),
        *_container(site, have, steps),
        *(_removal(site, e) for e in over if (e.domain, e.selector) in have.keys),
    ]
    return Plan(TITLE, tuple(changes), tuple(refusals(site, have, now).values()))


def refusals(site: Site, have: State, now: datetime) -> dict[str, str]:
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


def _may_return(entry: Retired, have: State, now: datetime) -> bool:
    """Going back: the old key signs still, or it is still there and published."""
    there = (entry.domain, entry.selector) in have.keys
    return have.signs(entry.domain) == entry.selector or (there and not entry.due(now))


def _entries(have: State, before: Iterable[Retired], steps: Iterable[Turn], now: datetime) -> tuple[Retired, ...]:
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


def _memory(site: Site, have: State, before: Iterable[Retired], entries: Iterable[Retired]) -> list[Change]:
    """Written before the signer changes over: cut off in between, the next walk still knows the old key."""
    known, kept = set(before), set(entries)
    said = [f"{record_name(e.domain, e.selector)} is kept until {e.until:%Y-%m-%d %H:%MZ}" for e in kept - known]
    said += [f"{record_name(e.domain, e.selector)} signs again" for e in known - kept if _back(e, kept)]
    why = "a key that is left stays for as long as mail signed with it may be on its way"
    return dms.text_change(site, have, layout.RETIRED, retired.text(entries), REMEMBER, why, "\n".join(sorted(said)))


def _back(entry: Retired, kept: Iterable[Retired]) -> bool:
    return entry.key not in {e.key for e in kept}


def _tables(site: Site, have: State, steps: Iterable[Turn], over: Iterable[Retired]) -> Iterator[Change]:
    """The tables the next container reads, where `setup` does not leave them so by itself."""
    made = have.tables
    for turn in (t for t in steps if not t.made):
        made = made.with_key(turn.domain.name, turn.wanted)
    want = made
    for turn in steps:
        there = (turn.domain.name, turn.target) in have.keys or not turn.made
        if there and want.signer(turn.domain.name) != turn.target:
            want = want.signed_by(turn.domain.name, turn.target)
    for entry in over:
        want = want.without(entry.domain, entry.selector)
    why = "the first row of a domain signs, a second one is ignored (opendkim.conf(5), SigningTable)"
    for relative, text, left in (
        (layout.KEY_TABLE, want.keys, made.keys),
        (layout.SIGNING_TABLE, want.rows, made.rows),
    ):
        yield from dms.text_change(site, have, relative, text, TABLES, why) if text != left else []


def _container(site: Site, have: State, steps: Iterable[Turn]) -> list[Change]:
    """A new container where the signer does not sign as it should; one that waits for DNS is left alone."""
    behind = [t for t in steps if not t.waits and not signs_live(have, t.domain.name, t.wanted)]
    why = "OpenDKIM's keys and tables are read by a new container only"
    return [dms.up(site, have.container, force=True, why=why)] if behind else []


def signs_live(have: State, domain: str, selector: str) -> bool:
    """Whether the running signer signs with this key, the same as on disk."""
    return have.signing.get(domain) == selector and (domain, selector) in have.live


def _over(entry: Retired, steps: Iterable[Turn], now: datetime) -> bool:
    """Whether a key has had its time; one that signs, or shall sign again, has not."""
    in_use = {(t.domain.name, s) for t in steps for s in (t.signs, t.target)}
    return entry.kind == KEY and entry.due(now) and (entry.domain, entry.selector) not in in_use


def _removal(site: Site, entry: Retired) -> Change:
    files = [
        dms.path(site, f"{layout.DKIM_KEYS}/{entry.domain}/{entry.selector}.{half}") for half in ("private", "txt")
    ]
    why = f"retired on {entry.since:%Y-%m-%d}; mail signed with it has arrived or bounced"
    target = f"DKIM key {record_name(entry.domain, entry.selector)}"
    return CommandChange(REMOVE, target, "kept", "removed from the server", why, argv=("rm", "-f", "--", *files))
