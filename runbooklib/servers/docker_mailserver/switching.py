"""Stage 02 on docker-mailserver: from the routes that stand to those the params ask for, and back by the same way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from runbooklib.host import CommandChange, FileChange
from runbooklib.params import Relay, Site
from runbooklib.results import Change, Plan
from runbooklib.servers import blocks, materials, nexthops, retired, standing
from runbooklib.servers.docker_mailserver import bootstrap, layout, relaying
from runbooklib.servers.docker_mailserver.state import State, path
from runbooklib.servers.retired import Retired
from runbooklib.servers.standing import Standing

STAGE = "02-relay"
WHY = "mail leaves by the relay, over verified TLS"


def plan(site: Site, have: Standing[State], null: str, waiting: Mapping[str, str], leaving: Iterable[Retired]) -> Plan:
    """What makes each domain leave by its relay, in the order login, policy, route.

    `null` is the way proved for mail without a sender; `waiting` names the stage that a domain waits for before it may
    switch, and it keeps its route until then; `leaving` is what stays published of the relays that are left.
    """
    title = "routes"
    if not have.there:
        return Plan(title, held=f"known after {bootstrap.BOOTSTRAP}")
    held = f"known after {max(waiting.values())}" if set(waiting) == {d.name for d in site.domains} else ""
    staying = {} if held else {name: have.current.get(name, "") for name in waiting}
    routes = nexthops.wanted(site, null, staying)
    entries = standing.remembered(site, have.state.retired, staying, leaving)
    relays = standing.in_play(site, have.queued, routes, entries)
    return Plan(title, tuple(_changes(site, have, routes, relays, entries)), held=held)


def _changes(
    site: Site,
    have: Standing[State],
    routes: nexthops.Routes,
    relays: Mapping[str, Relay],
    entries: tuple[Retired, ...],
) -> Iterable[Change]:
    state = have.state
    want = files(site, state, routes, relays)
    anew = bootstrap.container_change(site, state, want)
    senders = nexthops.sender_map(routes)
    yield from bootstrap.files_changes(site, state, want, WHY)
    yield from bootstrap.text_change(site, state, layout.RETIRED, retired.text(entries), 20, RETIREMENT)
    yield from _login(site, state, routes, relays)
    yield from _senders(site, state, senders, anew=bool(anew))
    yield from anew
    if have.queued:
        script = "until postqueue -f; do sleep 1; done"
        argv = ("docker", "exec", layout.CONTAINER, "timeout", "60", "sh", "-c", script)
        moved = anew or senders != (state.text(layout.RELAY_MAP) or "")
        before, why = f"{len(have.queued)} waiting", "queued mail follows the new routes"
        yield from [CommandChange(54, "queue", before, "tried again", why, argv=argv)] if moved else []


RETIREMENT = "a relay that is left keeps its records and login until nothing needs them"


def files(site: Site, have: State, routes: nexthops.Routes, relays: Mapping[str, Relay]) -> dict[str, bytes]:
    """The files of stage 02 that only a new container reads, beside what stage 01 and the administrator wrote."""
    ours = {
        layout.ENV: relaying.environment(routes),
        layout.MAIN_CF: relaying.main_cf(site, routes, relays),
        layout.PATCHES: relaying.patches(routes),
    }
    texts = {name: blocks.with_block(have.text(name) or "", STAGE, lines).encode() for name, lines in ours.items()}
    ca = b"".join(dict.fromkeys(materials.material(r.ca) for r in relays.values() if r.ca))
    return bootstrap.with_compose(site, have, texts | ({layout.RELAY_CA: ca} if ca else {}))


def _senders(site: Site, have: State, text: str, *, anew: bool) -> list[Change]:
    """The sender map, which a running container takes up at once.

    Where the policies change too, it would do so before it knows them, and log in to whoever answers: it stops first.
    """
    why = "each domain leaves by its own relay (sender_dependent_relayhost_maps)"
    changes = bootstrap.text_change(site, have, layout.RELAY_MAP, text, 49 if anew else 23, why)
    if changes and anew and have.container and have.container.state == "running":
        argv = ("docker", "compose", "-f", path(site, layout.COMPOSE), "stop")
        reason = "no mail may leave by a new route before its TLS policy holds"
        changes.append(CommandChange(48, f"container {layout.CONTAINER}", "running", "stopped", reason, argv=argv))
    return changes


def _login(site: Site, have: State, routes: nexthops.Routes, relays: Mapping[str, Relay]) -> list[Change]:
    content, mode = nexthops.logins(routes, relays).encode(), bootstrap.SECRET_MODE
    if not (content or layout.LOGINS in have.files) or bootstrap.same(have, layout.LOGINS, content, mode):
        return []
    before = "other logins" if layout.LOGINS in have.files else "absent"
    hops = ", ".join(dict.fromkeys(nexthops.next_hop(r) for r in relays.values() if r.password))
    why = "Postfix logs in only where the map's key equals the next hop byte for byte"
    target, after = path(site, layout.LOGINS), f"login for {hops}, root only" if hops else "no login"
    return [FileChange(21, target, before, after, why, path=target, content=content, mode=mode)]
