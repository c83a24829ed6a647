"""Stage 02 on mailcow: which way its Postfix sends each domain's mail, told from the tables it reads live."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from runbooklib.params import Domain, Relay, Site
from runbooklib.results import Check, Checklist, Outcome, Status, judged, passed
from runbooklib.servers import effective as asked
from runbooklib.servers.doors import planned
from runbooklib.servers.mailcow import api, state, steps, switching, transports
from runbooklib.servers.mailcow.api import MailcowError
from runbooklib.servers.mailcow.running import Server
from runbooklib.servers.mailcow.switching import own_ways
from runbooklib.servers.mailcow.transports import Outbound
from runbooklib.servers.nexthops import DIRECT, next_hop
from runbooklib.servers.standing import Queued, Standing

RUN = "run 02-relay with apply"
REF = "mailcow: Sender-dependent transports"


def routes(site: Site) -> Standing[Outbound]:
    """Where each domain's mail leaves, and what waits in the queue.

    Raises MailcowError.
    """
    have = state.observe(site)
    if have.silent:
        return Standing(Outbound(have), dict.fromkeys((d.name for d in site.domains), ""), there=False)
    out = transports.read(api.of(site), have)
    current = {d.name: out.way(f"@{d.name}").hop for d in site.domains}
    return Standing(out, current, DIRECT, queued(site))


def queued(site: Site) -> tuple[Queued, ...]:
    """The messages that wait in the queue."""
    return asked.queued(Server(site).queue().read)


def verify(site: Site, done: Outcome, waiting: Mapping[str, str]) -> Checklist:
    """Read back: each domain's way, TLS policy and login, what overrules or crosses them, and what waits."""
    title = "routes"
    if done.plan.held:
        return Checklist(title, tuple(asked.held(waiting or {"": done.plan.held.removeprefix("known after ")})))
    try:
        have = routes(site)
    except MailcowError as error:
        row = Check("relay.route", error.status, "mailcow tells its routes", str(error), error.fix)
        return Checklist(title, (row,))
    told = tuple(tells(site, have.state))
    if done.plan and not done.applied:
        return Checklist(title, (planned("relay.route", "each domain leaves by its relay"), *told))
    going = [d for d in site.domains if d.name not in waiting]
    rows = [*_tried(site, done, going), *_rows(site, have.state, going, done.waits)]
    settled = all(c.status in {Status.PASS, Status.WARN} for c in rows)
    late = asked.late(have.queued) if settled else ()  # only asked where the routes hold
    return Checklist(title, (*rows, *told, *asked.held(waiting), *late))


def _rows(site: Site, out: Outbound, going: list[Domain], waits: Check | None) -> Iterator[Check]:
    rows = [_route(site, out, domain) for domain in going]
    for name, relay in site.used_relays.items():
        if any(d.relay == name for d in going):
            yield _policy(out, name, relay)
            rows += [_login(site, out, name, relay)] if relay.password else []
    yield from (_postponed(row, waits) if waits and row.status is Status.FAIL else row for row in rows)
    yield _null_sender(site)


def _route(site: Site, out: Outbound, domain: Domain) -> Check:
    """The way of a domain, and of those mailboxes and aliases of it that would leave otherwise."""
    relay = site.relay_of(domain)
    want = next_hop(relay) if relay else DIRECT
    ours = (f"@{domain.name}", *(b.address for b in domain.mailboxes), *domain.aliases)
    ways = {sender: out.way(sender) for sender in ours}
    wrong = [_said(sender, way.hop or DIRECT) for sender, way in ways.items() if (way.hop or DIRECT) != want]
    wrong += [f"{sender} with another row's login" for sender, way in ways.items() if way.crossed]
    return judged(f"relay.route {domain.name}", not wrong, want, "; ".join(wrong) or want, RUN, REF)


def _said(sender: str, hop: str) -> str:
    return hop if sender.startswith("@") else f"{sender} leaves by {hop}"


def _postponed(row: Check, waits: Check) -> Check:
    """What was not assigned because the relay does not know the domain yet, is not wrong."""
    seen = f"{row.observed}; the route stays"
    return Check(row.name, Status.PENDING, row.expected, seen, waits.fix, row.ref, waits_for=waits.waits_for)


def _tried(site: Site, done: Outcome, going: Iterable[Domain]) -> Iterator[Check]:
    """What mailcow's own test said, where the plan had one; where it needed one and had none, why."""
    if done.waits:
        yield done.waits
    tried = {c.name: c for c in done.done if isinstance(c, steps.Tried)}
    for name in dict.fromkeys(d.relay for d in going if d.relay in site.relays):
        check, ref = f"relay.test {name}", "RFC 5321 4.2.5"
        if name in tried:
            yield passed(check, tried[name].after, "answered 2yz right after the final dot", ref)
        elif done.done and not (why := switching.addresses(site, [d for d in going if d.relay == name])).possible:
            expected = f"mailcow hands {name} a message"
            yield Check(check, Status.UNKNOWN, expected, f"not tried: {why.why_not}", why.fix, ref, advisory=True)


def _login(site: Site, out: Outbound, name: str, relay: Relay) -> Check:
    """The login that goes with a relay's next hop."""
    rows = [t for d in site.domains if d.relay == name and (t := out.transports.get(out.assigned(d.name)))]
    mine = {t.login for t in rows if t.leads_to(relay)}
    said = "the same" if mine == {transports.login(relay)} else "another one" if mine else "none for this next hop"
    return judged(f"relay.login-map {name}", said == "the same", "the login that params name", said, RUN, REF)


def _policy(out: Outbound, name: str, relay: Relay) -> Check:
    """A private CA is none that mailcow knows, unless its administrator saw to it: then TLS is only encrypted."""
    check, want = f"relay.tls-policy {name}", " ".join(transports.policy_for(relay)).strip()
    have = out.policies.get(next_hop(relay))
    if have is None or not have.suffices(relay):
        fix = f"{RUN}: without it the login goes to whoever answers"
        return Check(check, Status.FAIL, want, str(have or "none"), fix, "postconf(5)")
    if have.level in transports.VERIFYING:
        return passed(check, want, str(have), "postconf(5)")
    said = f"{have}: its certificate, of a private CA, was verified by us and is not by mailcow"
    fix = (
        "give mailcow's Postfix the CA (smtp_tls_CAfile in data/conf/postfix/extra.cf), then set the policy there to "
        f"`secure match={relay.host}`; it is left so"
    )
    return Check(check, Status.WARN, want, said, fix, "postconf(5)")


def _null_sender(site: Site) -> Check:
    """Bounces and receipts: mailcow asks its tables for a sender's domain, and these have none."""
    name, expected = "relay.route null-sender", "known which way bounces and receipts take"
    said = "directly: mailcow has no transport for mail without a sender"
    if site.sends_directly:
        return passed(name, expected, said, "RFC 5321 4.5.5")
    fix = "where outbound port 25 is closed they wait and are lost after five days: have it opened, or live with it"
    return Check(name, Status.WARN, expected, said, fix, "RFC 5321 4.5.5")


def tells(site: Site, out: Outbound) -> Iterator[Check]:
    """What stands in mailcow beside our rows, and would surprise: found and told, not touched."""
    if out.overruling:
        said = ", ".join(f"{to} by {hop}" for to, hop in sorted(out.overruling.items()))
        fix = "delete those that should not overrule the sender's relay: mailcow, Routing, Transport maps"
        yield Check("relay.transport-maps", Status.WARN, "no destination has a way of its own", said, fix, REF)
    for name, relay in site.used_relays.items():
        rows = transports.of(relay, out.transports.values())
        if len(rows) > 1:
            said = ", ".join(f"id {t.id}{'' if t.used else ', unused'}" for t in rows)
            fix = "delete the unused ones in mailcow, where no mailbox uses them"
            yield Check(f"relay.duplicate {name}", Status.WARN, "one transport", said, fix, REF)
    yield from _dangling(site, out)
    yield from _others(site, out)


def _dangling(site: Site, out: Outbound) -> Iterator[Check]:
    """Ids that lead nowhere: Postfix does not see such a row, and nobody is told."""
    names = {d.name for d in site.domains}
    named = {d.name: out.assigned(d.name) for d in site.domains}
    named |= {b.address: b.relayhost for b in out.have.mailboxes.values() if b.address.rpartition("@")[2] in names}
    for who, row in named.items():
        if out.dangles(row):
            said = f"transport {row}, which is {'inactive' if row in out.transports else 'not there'}"
            fix = f"choose another one for {who} in mailcow, or none"
            yield Check(f"relay.dangling {who}", Status.WARN, "a transport that is there", said, fix, REF)


def _others(site: Site, out: Outbound) -> Iterator[Check]:
    """Mailboxes that params do not name and that leave by a transport of their own."""
    for domain in site.domains:
        for address in own_ways(out, domain.name, site.relay_of(domain)):
            if address not in site.mailboxes:
                way = out.way(address)
                status = Status.FAIL if way.crossed else Status.WARN
                said = f"{way.hop}{' with the login of its domain: its mail bounces' if way.crossed else ''}"
                fix = "clear it in mailcow, or name the mailbox in params"
                yield Check(f"relay.mailbox {address}", status, "no transport of its own", said, fix, REF)
