"""Stage 03 on docker-mailserver: a key made once, a new one that signs once the world knows it, the old one kept.

A new selector takes three walks: the key is made beside the one that signs; stage 04 publishes it; when every resolver
shows it, the signer changes over, in a new container. The old key stays for `retire_after`, then it is taken away.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from runbooklib.host import CommandChange
from runbooklib.params import Site
from runbooklib.records import Observed
from runbooklib.results import Change, Plan
from runbooklib.servers import keys, retired
from runbooklib.servers.docker_mailserver import bootstrap, layout
from runbooklib.servers.docker_mailserver.state import State, path
from runbooklib.servers.keys import Turn
from runbooklib.servers.retired import Retired

TITLE = "DKIM keys"
REMEMBER, TABLES, REMOVE = 42, 43, 60  # after the keys are made (41), around the new container (50)


def plan(site: Site, have: State, seen: Observed | None, now: datetime | None = None) -> Plan:
    """Keys that are missing, the change to a key that is known by now, and the end of one whose time is over."""
    if have.container is None:
        return Plan(TITLE, held=f"known after {bootstrap.BOOTSTRAP}")
    now = now or datetime.now(UTC)
    steps, before = keys.turns(site, have, seen), have.retired
    over = [e for e in before if keys.over(e, steps, now)]
    changes = [
        *(bootstrap.make_key(site, have, t.domain) for t in steps if not t.made),
        *_memory(site, have, before, keys.entries(have, before, steps, now)),
        *_tables(site, have, steps, over),
        *_container(site, have, steps),
        *(_removal(site, e) for e in over if (e.domain, e.selector) in have.keys),
    ]
    return Plan(TITLE, tuple(changes), tuple(keys.refusals(site, have, now).values()))


def _memory(site: Site, have: State, before: Sequence[Retired], entries: Sequence[Retired]) -> list[Change]:
    """Written before the signer changes over: cut off in between, the next walk still knows the old key."""
    said = keys.news(before, entries)
    return bootstrap.text_change(site, have, layout.RETIRED, retired.text(entries), REMEMBER, keys.MEMORY, said)


def _tables(site: Site, have: State, steps: Iterable[Turn], over: Iterable[Retired]) -> Iterator[Change]:
    """The tables the next container reads, where `setup` does not leave them so by itself."""
    made = have.tables
    for turn in (t for t in steps if not t.made):
        made = made.with_key(turn.domain.name, turn.wanted)
    want = keys.tables(made, have, steps, over)
    for relative, text, left in (
        (layout.KEY_TABLE, want.keys, made.keys),
        (layout.SIGNING_TABLE, want.rows, made.rows),
    ):
        yield from bootstrap.text_change(site, have, relative, text, TABLES, keys.ROWS) if text != left else []


def _container(site: Site, have: State, steps: Iterable[Turn]) -> list[Change]:
    """A new container where the signer does not sign as it should; one that waits for DNS is left alone."""
    behind = [t for t in steps if not t.waits and not keys.signs_live(have, t.domain.name, t.wanted)]
    why = "OpenDKIM's keys and tables are read by a new container only"
    return [bootstrap.up(site, have.container, force=True, why=why)] if behind else []


def _removal(site: Site, entry: Retired) -> Change:
    files = [path(site, f"{layout.DKIM_KEYS}/{entry.domain}/{entry.selector}.{half}") for half in ("private", "txt")]
    why = f"retired on {entry.since:%Y-%m-%d}; mail signed with it has arrived or bounced"
    target = f"DKIM key {keys.record_name(entry.domain, entry.selector)}"
    return CommandChange(REMOVE, target, "kept", "removed from the server", why, argv=("rm", "-f", "--", *files))
