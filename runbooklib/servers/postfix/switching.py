"""Stage 02 on plain Postfix: from the routes that stand to those the params ask for, and back by the same way.

Two steps, each checked and reloaded by itself: logins and policies first, routes when every program knows them. In one
step a delivery program from before the reload could take mail by a new route without its login or policy.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping

from runbooklib.host import CommandChange
from runbooklib.params import Relay, Site
from runbooklib.results import Change, Plan
from runbooklib.servers import materials, nexthops, retired, standing
from runbooklib.servers.blocks import difference
from runbooklib.servers.nexthops import Routes
from runbooklib.servers.postfix import editing, layout, overruling, relaying, sending, tables
from runbooklib.servers.postfix.editing import Content, Part
from runbooklib.servers.postfix.sending import Sending
from runbooklib.servers.retired import Retired
from runbooklib.servers.standing import Standing

TITLE, BEFORE = "routes", "01-bootstrap"
LOGIN, ROUTE, QUEUE = 21, 31, 54  # the order of the steps
OPEN, SECRET = 0o644, 0o600
WHY = {
    sending.SENDERS: "each domain leaves by its own relay",
    sending.TRANSPORTS: "TLS from the first byte where the relay's port asks for it; <> where no relay takes it",
    sending.POLICIES: "TLS is mandatory and the relay's certificate verified",
    sending.LOGINS: "the login's key equals the next hop byte for byte; only root reads it",
}


def plan(
    site: Site, have: Standing[Sending], null: str, waiting: Mapping[str, str], leaving: Iterable[Retired]
) -> Plan:
    """What makes each domain leave by its relay.

    `null` is the way proved for mail without a sender; `waiting` names the stage that a domain waits for before it may
    switch, and it keeps its route until then; `leaving` is what stays published of the relays that are left.
    """
    if not have.there:
        return Plan(TITLE, held=f"known after {BEFORE}")
    held = f"known after {max(waiting.values())}" if set(waiting) == {d.name for d in site.domains} else ""
    staying = {} if held else {name: have.current.get(name, "") for name in waiting}
    now = have.state
    routes = relaying.wanted(site, now, null, staying)
    entries = standing.remembered(site, now.host.retired, staying, leaving)
    relays = standing.in_play(site, have.queued, routes, entries)
    texts = relaying.tables(routes, now, staying, relays)
    moves = [*_route(now, routes, texts)]
    changes = [
        *editing.together(
            LOGIN,
            [*_memory(now, entries), *_login(site, now, routes, relays, texts)],
            f"{now.directory}/undo-login",
            target="Postfix: logins and policies",
        ),
        *editing.together(ROUTE, moves, f"{now.directory}/undo-routes", target="Postfix: routes"),
        *(_again(have) if moves and have.queued else ()),
    ]
    return Plan(TITLE, tuple(changes), overruling.refusals(site, routes, now, staying), held)


def _login(
    site: Site, have: Sending, routes: Routes, relays: Mapping[str, Relay], texts: Mapping[str, str]
) -> Iterator[Part]:
    """What has to be known before any mail takes a new route."""
    yield from _anchors(have, relays)
    yield from _table(have, sending.POLICIES, texts)
    yield from _table(have, sending.LOGINS, texts)
    login = any(relay.password for relay in relays.values())
    for name, (value, why) in relaying.beside(site, routes, have, login=login) if relays else ():
        yield from editing.parameter(have.host.parameters.get(name), name, value, why)
    if any(relay.mode == "implicit" for relay in relays.values()):
        name = f"{nexthops.SMTPS}/unix"
        why = "a transport of its own: in main.cf the wrapper mode would reach every next hop (RFC 8314 3.3)"
        yield from editing.service(have.host.services.get(name), name, relaying.SERVICE, why)


def _route(have: Sending, routes: Routes, texts: Mapping[str, str]) -> Iterator[Part]:
    yield from _table(have, sending.SENDERS, texts)
    yield from _table(have, sending.TRANSPORTS, texts)
    for name, (value, why) in relaying.everybody(routes, have):
        if value != have.value(name):
            yield from editing.parameter(have.host.parameters.get(name), name, value, why)


def _table(have: Sending, parameter: str, texts: Mapping[str, str]) -> Iterator[Part]:
    """One of our tables, and its place before those of others, which stay; none where nothing has to be said."""
    name, text = sending.FILES[parameter], texts[parameter]
    stands = have.host.files.get(name)
    if not (text or stands):
        return
    secret = parameter == sending.LOGINS
    yield from content(have, name, text.encode(), WHY[parameter], SECRET if secret else OPEN, said=_keys(text))
    value = have.host.parameters.get(parameter)
    why = "ours is asked first; what stands there goes on" if value else WHY[parameter]
    yield from editing.parameter(value, parameter, tables.in_front(value, have.table(parameter)), why)


def _keys(text: str) -> str:
    """What a table of logins may show of itself."""
    return f"login for {', '.join(line.partition(' ')[0] for line in text.splitlines())}" if text else "no login"


def _anchors(have: Sending, relays: Mapping[str, Relay]) -> Iterator[Part]:
    """The private CAs, for the relays that name them and for nobody else; beside the file its copy for the chroot.

    The policy's tafile is opened while mail is sent, by a program that may see the queue's folder as its root.
    """
    given = b"".join(dict.fromkeys(materials.material(relay.ca) for relay in relays.values() if relay.ca))
    if not given:
        return
    why = "the CA that params name for a relay"
    yield from content(have, layout.RELAY_CA, given, why)
    if have.jailed != hashlib.sha256(given).hexdigest():
        before, after = "another" if have.jailed else "absent", f"as {layout.RELAY_CA}"
        yield Content(0, have.jail, before, after, why, path=have.jail, content=given)


def content(have: Sending, name: str, data: bytes, why: str, mode: int = OPEN, said: str = "") -> tuple[Content, ...]:
    """The change of a file of ours, shown line by line where it holds no secret."""
    stands = have.host.files.get(name)
    if stands and (stands.digest, stands.mode) == (hashlib.sha256(data).hexdigest(), mode):
        return ()
    target = name if name.startswith("/") else f"{have.directory}/{name}"
    before = (
        "absent"
        if stands is None
        else "another"
        if mode == SECRET
        else f"{len((stands.text or '').splitlines())} lines"
    )
    after = said if mode == SECRET else difference(stands.text if stands else None, data.decode())
    return (Content(0, target, before, after, why, path=target, content=data, mode=mode),)


def _memory(have: Sending, entries: tuple[Retired, ...]) -> Iterator[Part]:
    """Written with the first step: cut off after it, the next walk still knows what is being left."""
    text = retired.text(entries)
    if text != (have.host.text(layout.RETIRED) or ""):
        why = "a relay that is left keeps its records and login until nothing needs them"
        yield from content(have, layout.RETIRED, text.encode(), why)


def _again(have: Standing[Sending]) -> tuple[Change, ...]:
    script = "until postqueue -f; do sleep 1; done"
    argv = ("timeout", "60", "sh", "-c", script)
    before, why = f"{len(have.queued)} waiting", "queued mail follows the new routes"
    return (CommandChange(QUEUE, "queue", before, "tried again", why, argv=argv),)
