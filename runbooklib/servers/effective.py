"""Which way Postfix really sends each domain's mail, with which TLS policy and login, in its own words."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from runbooklib.host import Answer
from runbooklib.params import Relay, Site
from runbooklib.results import Check, Status, judged
from runbooklib.servers import nexthops
from runbooklib.servers.nexthops import DIRECT, Route, Routes, next_hop
from runbooklib.servers.standing import Queued

# A login is compared by its digest; here nobody reads it.
DIGESTED = (
    """while IFS='\t' read -r k v; do printf '%s\\t%s\\n' "$k" "$(printf %s "$v" | sha256sum | cut -d' ' -f1)"; done"""
)
SECONDS = 4  # for one table; a database behind it may be gone


@dataclass(frozen=True)
class Effective:
    """Postfix's own view of its routes; logins as digests."""

    relayhost: str = ""
    transport: str = ""  # of whoever no line names
    senders: Mapping[str, str] = field(default_factory=dict)  # @domain or <> -> next hop
    transports: Mapping[str, str] = field(default_factory=dict)
    policies: Mapping[str, str] = field(default_factory=dict)
    logins: Mapping[str, str] = field(default_factory=dict)  # @domain or next hop -> digest
    modes: Mapping[str, int] = field(default_factory=dict)
    anchors: str = ""  # the file of private CAs that a policy names, where Postfix is told of them so

    def hop(self, domain: str) -> str:
        """Where mail of this domain leaves; empty: directly."""
        return self.senders.get(f"@{domain}") or self.relayhost

    def way(self, sender: str) -> str:
        """The next hop of a sender, direct, or postmaster where its mail stays here."""
        if self.transports.get(sender, "").startswith("error:"):
            return nexthops.POSTMASTER
        return self.senders.get(sender) or self.relayhost or DIRECT

    def login(self, sender: str, hop: str) -> str:
        """The digest of the login used; Postfix asks for the sender first."""
        return self.logins.get(sender) or self.logins.get(hop, "")

    def implicit(self, sender: str) -> bool:
        """Whether mail of this sender goes by the transport that begins with TLS."""
        return (self.transports.get(sender) or self.transport).partition(":")[0] == nexthops.SMTPS


def questions(site: Site) -> dict[str, str]:
    """The commands that ask Postfix for its ways, by the names under which `effective` looks for the answers."""
    hops, senders = _hops(site), _senders(site)
    return {
        "relayhost": "postconf -h relayhost",
        "default transport": "postconf -h default_transport",
        "hops of senders": _looked_up("sender_dependent_relayhost_maps", senders),
        "transports of senders": _looked_up("sender_dependent_default_transport_maps", senders),
        "logins": f"{_looked_up('smtp_sasl_password_maps', [*senders, *hops])} | {DIGESTED}",
        "policies": _looked_up("smtp_tls_policy_maps", hops),
    }


def effective(site: Site, told: Mapping[str, Answer], modes: Mapping[str, int]) -> Effective:
    """From the answers to `questions`; all empty where no Postfix answered.

    `modes` are those of the files that hold logins.
    """
    hops, senders = _hops(site), _senders(site)
    policies = _found(told, "policies", hops)
    return Effective(
        relayhost=_said(told, "relayhost").strip(),
        transport=_said(told, "default transport").strip(),
        senders=_found(told, "hops of senders", senders),
        transports=_found(told, "transports of senders", senders),
        policies={hop: policies.get(hop, "") for hop in hops},
        logins=_found(told, "logins", [*senders, *hops]),
        modes=modes,
    )


def _hops(site: Site) -> list[str]:
    return [nexthops.next_hop(relay) for relay in site.used_relays.values()]


def _senders(site: Site) -> list[str]:
    named = filter(None, [*(d.name for d in site.domains), site.srs_domain])
    return [*dict.fromkeys(f"@{name}" for name in named), nexthops.NULL]


def _said(told: Mapping[str, Answer], name: str) -> str:
    return told[name].out if name in told and told[name].ok else ""


def _found(told: Mapping[str, Answer], name: str, keys: Iterable[str]) -> dict[str, str]:
    """What a table said of each of the keys that it knows."""
    pairs = {key: value.strip() for key, _, value in (ln.partition("\t") for ln in _said(told, name).splitlines())}
    return {key: pairs[key] for key in keys if pairs.get(key)}


def _looked_up(maps: str, keys: Sequence[str]) -> str:
    """What Postfix finds in the table it uses; postmap waits a second before it complains of a file that is not there.

    The table of last resort behind the TLS policies is left out: what it says is said of everybody.
    """
    used = f"m=$(postconf -h {maps}); m=${{m% {nexthops.OPPORTUNISTIC}}}"
    there = 'case "$m" in "") false;; texthash:*) test -f "${m#texthash:}";; esac'
    return f"{used}; {there} && printf '%s\\n' {shlex.join(keys)} | timeout {SECONDS} postmap -q - \"$m\""


def rows(site: Site, have: Effective, want: Routes, waiting: Mapping[str, str]) -> list[Check]:
    """Each domain's next hop, and the TLS policy and login towards each relay."""
    found = [_route(have, route) for route in want.each if route.sender.removeprefix("@") not in waiting]
    if site.srs_domain not in waiting:
        found += forwards(site, have)
    for name, relay in site.used_relays.items():
        if any(route.by == name for route in want.each):
            found += _towards(site, name, relay, have)
    return found


def _route(have: Effective, route: Route) -> Check:
    """One sender's way: its next hop, and the transport that speaks TLS as that port does."""
    seen = have.way(route.sender)
    about = "null-sender" if route.sender == nexthops.NULL else route.sender.removeprefix("@")
    kind = "implicit TLS" if route.implicit else "STARTTLS"
    expected = f"{route}, {kind}" if route.hop else str(route)
    observed = f"{seen}, {'implicit TLS' if have.implicit(route.sender) else 'STARTTLS'}" if route.hop else seen
    fix = "run 02-relay with apply"
    return judged(f"relay.route {about}", expected == observed, expected, observed, fix, "transport(5)")


def forwards(site: Site, have: Effective) -> list[Check]:
    """What is sent on to others leaves as the name that SRS gives it in the envelope."""
    if not site.srs_domain:
        return []
    by = site.forward_route
    want, seen = DIRECT if by == DIRECT else next_hop(site.relays[by]), have.way(f"@{site.srs_domain}")
    expected, fix = f"{want}, as {site.srs_domain}", "run 02-relay with apply"
    return [
        judged("relay.route forwards", seen == want, expected, f"{seen}, as {site.srs_domain}", fix, "transport(5)")
    ]


def _towards(site: Site, name: str, relay: Relay, have: Effective) -> Iterable[Check]:
    """The TLS policy and the login for a relay's next hop."""
    hop = nexthops.next_hop(relay)
    policy, want = have.policies.get(hop, ""), nexthops.policy(relay, have.anchors)
    fix = "run 02-relay with apply: without it the login goes to whoever answers"
    yield judged(f"relay.tls-policy {name}", policy == want, want, policy or "none", fix, "postconf(5)")
    if relay.password:
        login = hashlib.sha256(f"{relay.username}:{relay.password.reveal()}".encode()).hexdigest()
        seen = {have.login(f"@{d.name}", hop) for d in site.domains if d.relay == name}
        said = "the same" if seen == {login} else "another one" if any(seen) else "none for this next hop"
        fix = "run 02-relay with apply; the map's key must equal the next hop byte for byte"
        yield judged(f"relay.login-map {name}", seen == {login}, "the login that params name", said, fix, "SASL_README")


def held(waiting: Mapping[str, str]) -> Iterable[Check]:
    """The rows of domains that keep their route until another stage has done its part."""
    for domain, stage in waiting.items():
        name = f"relay.route {domain}".strip()
        yield Check(
            name,
            Status.PENDING,
            "leaves by the relay of params",
            f"known after {stage}; the route stays",
            waits_for=stage,
        )


def sealed(site: Site, have: Effective) -> list[Check]:
    """Whether only root reads the files that hold logins."""
    if not any(r.password for r in site.used_relays.values()):
        return []
    loose = sorted(f"{path} {mode:o}" for path, mode in have.modes.items() if mode & 0o077)
    said = ", ".join(loose) or ", ".join(f"{path} {mode:o}" for path, mode in have.modes.items()) or "no file"
    good = not loose and bool(have.modes)
    return [judged("relay.login-files", good, "readable by root only", said, "chmod 600 them")]


def late(queue: Iterable[Queued]) -> list[Check]:
    """What still waits in the queue, and why."""
    held_up = [q for q in queue if q.reason]
    said = "; ".join(f"{q.sender or 'mail without a sender'}: {q.reason}" for q in held_up[:3]) or "nothing waits"
    status = Status.WARN if held_up else Status.PASS
    fix = "read why; it is tried again by itself for five days" if held_up else ""
    return [Check("relay.queue", status, "no mail is held up", said, fix, "qmgr(8)")]


def queued(entries: Iterable[Mapping[str, Any]]) -> tuple[Queued, ...]:
    """The messages that wait in the queue, as `postqueue -j` tells them."""
    return tuple(
        Queued(
            told.get("sender", "").replace("MAILER-DAEMON", ""),
            datetime.fromtimestamp(told["arrival_time"], UTC),
            next((r["delay_reason"] for r in told.get("recipients", ()) if r.get("delay_reason")), ""),
        )
        for told in entries
    )
