"""What stands in a Postfix of others and beats our lines: whole addresses are asked for before @domain is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from runbooklib.params import Site
from runbooklib.results import Check, Status
from runbooklib.servers.nexthops import DIRECT, NULL, Route, Routes
from runbooklib.servers.postfix import relaying, sending
from runbooklib.servers.postfix.sending import Sending

SERVICES = ("smtp/unix", "rewrite/unix")  # who sends, and who finds the next hop
FIX = "take it out of that table, or take the domain out of params"


@dataclass(frozen=True)
class Overruled:
    """An address whose mail does not go as params say, and why."""

    who: str
    how: str
    by: str = ""  # the table
    fix: str = FIX

    def __str__(self) -> str:
        where = f" ({self.by}, which comes before our line for the domain)" if self.by else ""
        return f"{self.who} {self.how}{where}: {self.fix}"


def found(site: Site, routes: Routes, have: Sending, staying: Iterable[str] = ()) -> list[Overruled]:
    """Everything on this host that our lines cannot change; domains that stay where they are do not ask."""
    moving = [r for r in routes.each if r.sender.removeprefix("@") not in staying]
    return [
        *_everywhere(have),
        *_by_service(have),
        *(said for route in moving if route.sender != NULL for said in _single(site, route, routes, have)),
        *(said for route in moving for said in _directly(route, routes, have)),
    ]


def _everywhere(have: Sending) -> Iterator[Overruled]:
    maps = have.maps(sending.BY_RECIPIENT)
    if way := maps.find(sending.EVERYBODY):
        fix = "transport_maps beats every sender's line: name single recipients' domains there, not all"
        yield Overruled("everybody", f"leaves by {way}", maps.where(sending.EVERYBODY), fix)


def _by_service(have: Sending) -> Iterator[Overruled]:
    """What master.cf sets for one service beats main.cf, where our tables are named."""
    for name in SERVICES:
        set_there = set(re.findall(r"-o\s+\{?\s*(\w+)\s*=", have.host.services.get(name, "")))
        for parameter in sorted(set_there & {*sending.FILES, sending.RELAYHOST, sending.TRANSPORT}):
            fix = f"take it out there, so that main.cf says it for all (postconf -PX {name}/{parameter})"
            yield Overruled("everybody", f"has another {parameter}", f"-o of {name} in master.cf", fix)


def _single(site: Site, route: Route, routes: Routes, have: Sending) -> Iterator[Overruled]:
    """Lines and rules for whole addresses, in any table."""
    domain = route.sender.removeprefix("@")
    maps = have.others(sending.SENDERS)
    for address, told in maps.whole(domain).items():
        hop = relaying.relayhost(routes, have) if told == sending.DUNNO else told
        if hop != route.hop:
            yield Overruled(_who(address), f"leaves by {hop or DIRECT}", maps.where(address))
    maps = have.others(sending.TRANSPORTS)
    for address, way in maps.whole(domain).items():
        if route.hop and way.rstrip(":") != relaying.service(route):
            yield Overruled(_who(address), f"takes the transport {way}", maps.where(address))
    maps, relay = have.others(sending.LOGINS), site.relays.get(route.by)
    for address, digest in maps.whole(domain).items():
        if relay and relay.password and digest != relaying.login(relay):
            yield Overruled(_who(address), "logs in as somebody else", maps.where(address))


def _who(address: str) -> str:
    local, _, domain = address.rpartition("@")
    return f"everybody at {domain}" if local == sending.NOBODY else address


def _directly(route: Route, routes: Routes, have: Sending) -> Iterator[Overruled]:
    """Postfix knows no line that says *directly* where a relay stands for everybody."""
    around = relaying.without_us(have, route.sender, relaying.relayhost(routes, have))
    if route.by == DIRECT and around:
        fix = "no line can say *directly* where others' say a relay: name a relay for the domain in params"
        yield Overruled(route.sender, f"leaves by {around}", have.others(sending.SENDERS).where(route.sender), fix)


def refusals(site: Site, routes: Routes, have: Sending, staying: Mapping[str, str]) -> tuple[str, ...]:
    """Why the routes cannot hold on this host, whatever is written."""
    said = [f"a table of Postfix cannot be read: {words}" for words in have.unread]
    if not have.plain and any(r.by in site.relays and site.relays[r.by].password for r in routes.each):
        said.append("without the package libsasl2-modules Postfix logs in to no relay: install it")
    return (*said, *(str(one) for one in found(site, routes, have, staying)))


def rows(site: Site, routes: Routes, have: Sending, staying: Mapping[str, str]) -> Iterator[Check]:
    """The same as verdicts, and what else has a way of its own."""
    expected, ref = "no table of others beats the domain's line", "ADDRESS_REWRITING_README, postconf(5)"
    for said in have.unread:
        fix = "Postfix itself puts off mail while it cannot read it: mend the table"
        yield Check("relay.tables", Status.UNKNOWN, "every table can be read", said, fix, "DATABASE_README")
    beaten = found(site, routes, have, staying)
    for one in beaten:
        seen = f"{one.how}, says {one.by}" if one.by else one.how
        yield Check(f"relay.overruled {one.who}", Status.FAIL, expected, seen, one.fix, ref)
    if not beaten and not have.unread:
        yield Check("relay.overruled", Status.PASS, expected, "none does", ref=ref)
    yield from _by_recipient(have)


def _by_recipient(have: Sending) -> Iterator[Check]:
    """Entries for single recipients go before any sender's way; they are there for a reason, so they are only told."""
    maps = have.maps(sending.BY_RECIPIENT)
    if maps.tables and not maps.find(sending.EVERYBODY):
        said = f"{', '.join(maps.tables)}: mail to whom it names leaves as it says, whoever sends"
        yield Check("relay.transport-maps", Status.PASS, "known", said, ref="transport(5)")
