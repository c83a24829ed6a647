"""How a Postfix sends today, by our tables and by those of others, read in two round trips."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from runbooklib import host
from runbooklib.host import Host
from runbooklib.params import Site
from runbooklib.results import Shown
from runbooklib.servers import addresses, nexthops
from runbooklib.servers.effective import Effective
from runbooklib.servers.nexthops import next_hop
from runbooklib.servers.postfix import layout, state, tables
from runbooklib.servers.postfix.state import State
from runbooklib.servers.postfix.tables import Lookup

SENDERS, TRANSPORTS = "sender_dependent_relayhost_maps", "sender_dependent_default_transport_maps"
LOGINS, POLICIES, BY_RECIPIENT = "smtp_sasl_password_maps", "smtp_tls_policy_maps", "transport_maps"
FILES = {SENDERS: layout.SENDERS, TRANSPORTS: layout.TRANSPORTS, LOGINS: layout.LOGINS, POLICIES: layout.POLICIES}
RELAYHOST, TRANSPORT, QUEUE = "relayhost", "default_transport", "queue_directory"
SASL, CA_FILE, CA_PATH = "smtp_sasl_tls_security_options", "smtp_tls_CAfile", "smtp_tls_CApath"
VALUES = (RELAYHOST, TRANSPORT, SASL, CA_FILE, CA_PATH, QUEUE)
PLAIN = "ls /usr/lib/*/sasl2/libplain.so*"  # of libsasl2-modules
EVERYBODY = "*"  # what transport(5) looks up last, for any recipient
NOBODY = "address-without-a-line-of-its-own"  # a local part that only a rule for all of a domain knows
DUNNO = "DUNNO"  # ends the search without an answer (postconf(5))


@dataclass(frozen=True)
class Sending(Shown):
    """Which way mail leaves today."""

    host: State
    directory: str = "/etc/postfix/runbook"
    values: Mapping[str, str] = field(default_factory=dict)  # parameters as they hold, set or by default
    lookups: Mapping[str, Lookup] = field(default_factory=dict)  # the tables behind a parameter
    plain: bool = True  # whether Postfix has the module for AUTH PLAIN
    jailed: str = ""  # digest of the private CAs as a daemon in its chroot sees them

    @property
    def ours(self) -> bool:
        """Whether stage 01 set this host up; else it serves others, whose mail keeps its way."""
        return self.host.marked

    @property
    def unread(self) -> tuple[str, ...]:
        """What is said of tables that cannot be read."""
        return tuple(dict.fromkeys(said for found in self.lookups.values() for said in found.unread))

    def maps(self, parameter: str) -> Lookup:
        """The tables of a parameter."""
        return self.lookups.get(parameter, Lookup())

    def others(self, parameter: str) -> Lookup:
        """The same without our own."""
        return self.maps(parameter).without(self.table(parameter))

    def table(self, parameter: str) -> str:
        """Our own table; texthash needs no postmap, so no second file can say something else than the text."""
        return f"texthash:{self.directory}/{FILES[parameter]}"

    @property
    def jail(self) -> str:
        """Where a daemon in its chroot finds the private CAs: the same name below the queue's folder."""
        return f"{self.value(QUEUE)}{self.directory}/{layout.RELAY_CA}"

    def value(self, parameter: str) -> str:
        """A parameter as it holds."""
        return self.values.get(parameter, "")

    def parts(self) -> tuple[str, Sequence[str], Sequence[Sequence[str]]]:
        told = {name: value or "empty" for name, value in self.values.items()}
        told |= {name: ", ".join(found.tables) or "none" for name, found in self.lookups.items()}
        return "how Postfix sends", ("parameter", "value"), list(told.items())

    def data(self) -> dict[str, Any]:
        title, columns, rows = self.parts()
        return {"kind": "table", "title": title, "columns": list(columns), "rows": [list(r) for r in rows]}


def observe(site: Site) -> Sending:
    """How Postfix sends; empty but for the host's state where there is none."""
    have = state.observe(site)
    if not have.there:
        return Sending(have, site.mail.directory)
    return asked(site, have, host.connect(site))


def asked(site: Site, have: State, server: Host) -> Sending:
    """The parameters first, then the tables they name."""
    names = (*VALUES, *FILES, BY_RECIPIENT)
    told = server.facts({"plain": PLAIN} | {name: f"postconf -xh {name} 2>/dev/null" for name in names})
    values = {name: told[name].out.strip() for name in names if name in told and told[name].ok}
    named = {name: tables.split(values.pop(name, "")) for name in (*FILES, BY_RECIPIENT)}
    inside = f"{values.get(QUEUE, '')}{site.mail.directory}/{layout.RELAY_CA}"
    answers = server.facts({"jailed": f"sha256sum <{inside}"} | dict(_questions(site, named)))
    lookups = {
        name: tables.lookup(found, [answers[f"{name} {n}"] for n in range(len(found))]) for name, found in named.items()
    }
    jailed = answers["jailed"].out.split(" ")[0] if answers["jailed"].ok else ""
    return Sending(have, site.mail.directory, values, lookups, told["plain"].ok, jailed)


def _questions(site: Site, named: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str]]:
    domains = [d.name for d in site.domains]
    hops = [next_hop(r) for r in site.relays.values()]
    senders = [*senders_of(site), *_addresses(site)]
    keys = {SENDERS: senders, TRANSPORTS: senders, LOGINS: [*senders, *hops], POLICIES: hops}
    for name, found in named.items():
        for n, table in enumerate(found):
            listed = domains if name in {SENDERS, TRANSPORTS, LOGINS} else ()
            asked = keys.get(name, (EVERYBODY,))
            yield f"{name} {n}", tables.question(table, asked, listed, sealed=name == LOGINS)


def senders_of(site: Site) -> list[str]:
    """Those who may have a line of ours: each domain, and mail without a sender."""
    named = filter(None, [*(d.name for d in site.domains), site.srs_domain])
    return [*dict.fromkeys(f"@{name}" for name in named), nexthops.NULL]


def _addresses(site: Site) -> Iterable[str]:
    """Whole addresses to ask tables for that cannot be listed: rules, and databases."""
    known = [*site.mailboxes, *(a for a in addresses.aliases(site) if not a.startswith("@"))]
    return [*known, *(f"{NOBODY}@{d.name}" for d in site.domains)]


def effective(site: Site, have: Sending) -> Effective:
    """The answers of all tables together, as every Postfix is judged by."""
    senders, hops = senders_of(site), [next_hop(r) for r in site.used_relays.values()]
    told = {name: have.maps(name) for name in FILES}
    hop = {s: found for s in senders if (found := told[SENDERS].find(s)) not in {"", DUNNO}}
    modes = {path: fact.mode for path, fact in have.host.files.items() if path == layout.LOGINS}
    return Effective(
        relayhost=have.value(RELAYHOST),
        transport=have.value(TRANSPORT),
        senders=hop,
        transports={s: way for s in senders if (way := told[TRANSPORTS].find(s))},
        policies={h: told[POLICIES].find(h) for h in hops},
        logins={k: login for k in (*senders, *hops) if (login := told[LOGINS].find(k))},
        modes=modes,
        anchors=f"{have.directory}/{layout.RELAY_CA}",
    )
