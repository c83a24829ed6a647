"""Stage 02 on mailcow: from the routes that stand to those the params ask for, and back by the same way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from runbooklib.params import Domain, Relay, Site
from runbooklib.results import Change, Plan
from runbooklib.servers.mailcow import relaytest, steps, transports
from runbooklib.servers.mailcow.state import NO_RELAY
from runbooklib.servers.mailcow.transports import Outbound, Transport
from runbooklib.servers.mailcow.writes import Write
from runbooklib.servers.nexthops import next_hop
from runbooklib.servers.retired import Retired
from runbooklib.servers.standing import Standing

BOOTSTRAP = "01-bootstrap"
FIRST, APART, LAST = 20, 10, 900  # each relay's steps come together: what one has finished, another cannot stop
ROW, LOGIN, POLICY, TRIAL, CLEARED, ASSIGNED = range(6)
MADE_UP = "not-set-yet"  # what add/relayhost stores before edit brings the real one, which it does not escape
TRIMMED = " \t\n\r\0\x0b"  # what mailcow cuts from both ends of a password
UNDO = "the same run with the old params"


def plan(site: Site, have: Standing[Outbound], waiting: Mapping[str, str], leaving: Iterable[Retired]) -> Plan:
    """What makes each domain leave by its relay, in the order row, login, policy, mailcow's own test, assignment.

    `waiting` names the stage that a domain waits for before it may switch, and it keeps its route until then;
    `leaving` is what stays published of the relays that are left.
    """
    title = "routes"
    if not have.there or any(d.name not in have.state.have.domains for d in site.domains):
        return Plan(title, held=f"known after {BOOTSTRAP}")
    held = f"known after {max(waiting.values())}" if set(waiting) == {d.name for d in site.domains} else ""
    going = [d for d in site.domains if held or d.name not in waiting]
    notes = {entry.domain: _note(entry) for entry in leaving}
    changes = [*_by_relays(site, have.state, going, notes), *_directly(have.state, going, notes)]
    return Plan(title, tuple(changes), () if held else tuple(_refusals(site, have.state, going)), held)


def _note(entry: Retired) -> str:
    """There is no place in mailcow to remember what was left, so the one who reads the plan has to."""
    return (
        f"; what {entry.relay} needed stays in DNS and its transport in mailcow: take both away by hand from "
        f"{entry.until:%Y-%m-%d} on"
    )


def _by_relays(site: Site, out: Outbound, going: list[Domain], notes: Mapping[str, str]) -> Iterator[Change]:
    for i, name in enumerate(dict.fromkeys(d.relay for d in going if d.relay in site.relays)):
        domains = [d for d in going if d.relay == name]
        yield from Towards(site, out, name, domains, FIRST + APART * i).changes(notes)


@dataclass(frozen=True)
class Towards:
    """The domains that are to leave by one relay."""

    site: Site
    out: Outbound
    name: str
    domains: list[Domain]
    first: int

    @property
    def relay(self) -> Relay:
        return self.site.relays[self.name]

    def row(self, domain: Domain) -> str:
        """The id of the row it is to use: the one it uses, where that is the relay's; empty: it is to be made."""
        used = self.out.transports.get(self.out.assigned(domain.name))
        if used and used.leads_to(self.relay):
            return used.id
        rows = transports.of(self.relay, self.out.transports.values())
        return rows[0].id if rows else ""

    def changes(self, notes: Mapping[str, str]) -> Iterator[Change]:
        """Row, login, policy, test, cleared mailboxes, assignment."""
        rows = list(dict.fromkeys(self.row(d) for d in self.domains))
        made = [self._made()] if "" in rows else []
        stored = [step for row in rows for step in self._login(row)]
        assigned = [self._assigned(d, notes) for d in self.domains if self.row(d) != self.out.assigned(d.name)]
        trial = self._trial() if made or stored or assigned else []
        cleared = [_cleared(self.first + CLEARED, b, self.out) for d in self.domains for b in self.own_ways(d)]
        yield from (*made, *stored, *self._policy(), *trial, *cleared, *assigned)

    def own_ways(self, domain: Domain) -> list[str]:
        """Those of its mailboxes that leave by a row of their own, which is not this relay's."""
        return [b for b in own_ways(self.out, domain.name, self.relay) if b in self.site.mailboxes]

    def _made(self) -> Change:
        hop, username = next_hop(self.relay), self.relay.username or ""
        body = {"hostname": hop, "username": username, "password": MADE_UP if username else ""}
        return Write(
            self.first + ROW,
            f"transport {hop}",
            "absent",
            f"a sender-dependent transport for {username or 'no user'}, its password not set yet",
            f"mail for {self.name} needs a row; the password follows, because add would escape its colons",
            "mailcow: delete the transport",
            path="add/relayhost",
            body=body,
            read=("relayhost", "all"),
            shows={"hostname": hop, "username": username},
        )

    def _login(self, row: str) -> list[Change]:
        stored, login = self.out.transports.get(row), transports.login(self.relay)
        if stored and stored.active and stored.login == login:
            return []
        after = f"active, login as {self.relay.username}" if self.relay.username else "active, without a login"
        why = "mailcow keeps it in clear: whoever has one of its API keys, the read-only one too, reads it"
        target = f"login of {next_hop(self.relay)}" + (f" (id {row})" if row else "")
        return [
            steps.LoginStored(
                self.first + LOGIN, target, _stored(stored, login), after, why, UNDO, relay=self.relay, row=row
            )
        ]

    def _policy(self) -> list[Change]:
        hop, have = next_hop(self.relay), self.out.policies.get(next_hop(self.relay))
        if have and have.suffices(self.relay):
            return []
        level, parameters = transports.policy_for(self.relay)
        attributes = {"policy": level, "parameters": parameters, "active": "1"}
        body: dict[str, Any] = {"items": [have.id], "attr": attributes} if have else {"dest": hop, **attributes}
        why = "without it the login goes to whoever answers, in clear where TLS is not offered"
        return [
            Write(
                self.first + POLICY,
                f"TLS policy {hop}",
                str(have or "none: opportunistic"),
                f"{level} {parameters}".strip(),
                why,
                "mailcow: delete the policy",
                path=f"{'edit' if have else 'add'}/tls-policy-map",
                body=body,
                read=("tls-policy-map", "all"),
                shows={"dest": hop, **attributes},
            )
        ]

    def _trial(self) -> list[Change]:
        asked = addresses(self.site, self.domains)
        if not asked.possible:
            return []
        row = self.row(next(d for d in self.domains if asked.sender.endswith(f"@{d.name}")))
        return [
            steps.Tried(
                self.first + TRIAL,
                f"relay test {self.name}",
                "not tried",
                f"one message from {asked.sender} to {asked.recipient}, taken by {self.name}",
                "mailcow's own test of what it has stored; no domain is assigned before the relay took a message",
                relay=self.relay,
                name=self.name,
                row=row,
                sender=asked.sender,
                recipient=asked.recipient,
            )
        ]

    def _assigned(self, domain: Domain, notes: Mapping[str, str]) -> Change:
        why = f"{domain.name} sends through {self.name}{notes.get(domain.name, '')}"
        order, target = self.first + ASSIGNED, f"route of {domain.name}"
        before, after = _leaves(self.out, domain.name), f"by {next_hop(self.relay)}"
        row = self.row(domain)
        return steps.Assigned(order, target, before, after, why, UNDO, relay=self.relay, row=row, domain=domain.name)


def _stored(have: Transport | None, login: str) -> str:
    """What is wrong with the login that stands."""
    if have is None:
        return "a made-up password"
    wrong = "" if have.login == login else ESCAPED if have.escaped else "another password"
    return ", ".join(filter(None, ("" if have.active else "inactive", wrong)))


ESCAPED = "a password with the colons that add escaped, which is refused"


def _leaves(out: Outbound, domain: str) -> str:
    hop, id_ = out.way(f"@{domain}").hop, out.assigned(domain)
    if out.dangles(id_):
        return f"directly: its transport {id_} is inactive or not there"
    return f"by {hop}" if hop else "directly"


def own_ways(out: Outbound, domain: str, relay: Relay | None) -> list[str]:
    """The mailboxes of a domain with an active row of their own that is not this relay's, with its login."""
    boxes = (b for b in out.have.mailboxes.values() if b.address.endswith(f"@{domain}"))
    rows = {b.address: out.transports.get(b.relayhost) for b in boxes}
    login = transports.login(relay) if relay else ""
    return [
        address
        for address, row in sorted(rows.items())
        if row and row.active and not (relay and row.leads_to(relay) and row.login == login)
    ]


def _cleared(order: int, address: str, out: Outbound) -> Change:
    hop = out.way(address).hop
    why = "with a transport of its own beside its domain's, mail goes to the one with the other's login, and bounces"
    return steps.Cleared(
        order, f"transport of {address}", f"its own, {hop}", "that of its domain", why, UNDO, address=address
    )


def _directly(out: Outbound, going: list[Domain], notes: Mapping[str, str]) -> Iterator[Change]:
    for domain in (d for d in going if d.relay == "direct"):
        boxes = {b.address for b in domain.mailboxes}
        yield from (_cleared(LAST, b, out) for b in own_ways(out, domain.name, None) if b in boxes)
        if out.assigned(domain.name) != NO_RELAY:
            why = f"params send {domain.name} directly{notes.get(domain.name, '')}"
            target, before = f"route of {domain.name}", _leaves(out, domain.name)
            yield Write(LAST + 1, target, before, "directly", why, UNDO, **steps.assignment(domain.name, NO_RELAY))


def _refusals(site: Site, out: Outbound, going: list[Domain]) -> Iterator[str]:
    for name, relay in site.used_relays.items():
        password = relay.password.reveal() if relay.password else ""
        if password != password.strip(TRIMMED):
            yield f"relays.{name}.password begins or ends with a blank, which mailcow cuts off: have another one made"
    for domain in (d for d in going if d.relay in site.relays):
        for address in own_ways(out, domain.name, site.relays[domain.relay]):
            if address not in site.mailboxes:
                yield (
                    f"{address} has a transport of its own, {out.way(address).hop}: its mail would go there with the "
                    f"login of {domain.name}, and bounce. Clear it in mailcow, or name the mailbox in params"
                )


@dataclass(frozen=True)
class Asked:
    """Between which addresses the test is made; where it cannot be, why."""

    sender: str = ""
    recipient: str = ""
    why_not: str = ""
    fix: str = ""

    @property
    def possible(self) -> bool:
        return not self.why_not


def addresses(site: Site, domains: Iterable[Domain]) -> Asked:
    """A mailbox of one of these domains, and the first recipient of params; never what the page would put in."""
    if not site.test.recipients:
        return Asked(why_not="params name nobody to send it to", fix="add one to test.recipients")
    recipient = site.test.recipients[0].address
    senders = [b.address for d in domains for b in d.mailboxes if relaytest.askable(b.address)]
    if not senders:
        return Asked(why_not="no domain of it has a mailbox in params whose address mailcow's test page takes")
    if not relaytest.askable(recipient):
        return Asked(why_not=f"mailcow's test page may not take {recipient}", fix="name a plainer one first")
    return Asked(senders[0], recipient)
