"""What mailcow says of itself through its API, and, where stage 01 installed it, its server over SSH."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from runbooklib import endpoint, host, maillog, servers
from runbooklib.endpoint import EndpointError
from runbooklib.params import Site
from runbooklib.probes import login, machine, mailflow
from runbooklib.probes.asking import once
from runbooklib.probes.mailflow import UnseenError
from runbooklib.results import RunbookError
from runbooklib.servers import addresses
from runbooklib.servers.mailcow import api, transports
from runbooklib.servers.mailcow.api import (
    AddressRefusedError,
    EmptyError,
    KeyRefusedError,
    MailcowError,
    UnavailableError,
    UntrustedError,
)
from runbooklib.servers.mailcow.transports import Outbound, Transport
from runbooklib.servers.standing import Standing

Probe = Callable[[], Any]
SECONDS = 8.0  # for the first answer; 06 has a budget for all
WORDS: dict[type[MailcowError], str] = {
    KeyRefusedError: "key",
    AddressRefusedError: "address",
    EmptyError: "empty",
    UntrustedError: "certificate",
}
NO_SHELL = "mail.tag is not given, so mailcow is reached by its API alone: it tells of mail, not of the machine below"
MOST = 5  # attempts named
WATCHDOG = re.compile(r"^(WATCHDOG_NOTIFY_EMAIL|WATCHDOG_NOTIFY_WEBHOOK)=[\"']?([^\"'\n]*)", re.MULTILINE)


def probes(site: Site) -> Iterator[tuple[str, Probe]]:
    """Everything that is asked of mailcow, by the fact's name; of one that does not let us in, only why."""
    try:
        told = reached(site)
    except RunbookError as error:
        told = {}
        yield "api", partial(_raise, error)
    else:
        yield "api", lambda: told
    yield from _over_ssh(site) if site.mail.over_ssh else [("machine", partial(_raise, UnseenError(NO_SHELL)))]
    if told.get("state") == "ok":
        yield from _by_api(site)
    yield from ((f"relay {name}", partial(login.by_resolvers, site, name)) for name in site.used_relays)


def _raise(error: RunbookError) -> None:
    raise error


def reached(site: Site) -> dict[str, str]:
    """What the API does with our key, in one word: ok, key, address, empty, certificate, absent.

    Raises MailcowError where it cannot be told.
    """
    try:
        found = replace(api.of(site), timeout=SECONDS, pauses=()).facts("status", "version")
    except tuple(WORDS) as error:
        if isinstance(error, UntrustedError) and _absent(site):
            return {"state": "absent", "said": str(error)}
        return {"state": WORDS[type(error)], "said": str(error)}
    except UnavailableError as error:
        if _absent(site):
            return {"state": "absent", "said": str(error)}
        raise
    version = str(found.get("version", ""))
    return {"state": "ok", "said": f"mailcow {version}", "version": version}


def _absent(site: Site) -> bool:
    """Whether the server, as far as it can be asked, holds no mailcow yet."""
    if not site.mail.over_ssh:
        return False
    return not host.connect(site).run(("test", "-e", f"{site.mail.directory}/mailcow.conf"), check=False).ok


def _over_ssh(site: Site) -> Iterator[tuple[str, Probe]]:
    """What the machine under it tells."""
    yield from ((name, partial(probe, site)) for name, probe in machine.PROBES.items())
    yield "watchdog", partial(watchdog, site)


def watchdog(site: Site) -> dict[str, Any]:
    """To whom mailcow's watchdog writes, whether it calls a webhook, and whether port 25 lets such mail out."""
    server = host.connect(site)
    email, hook = notified(server.read(f"{site.mail.directory}/mailcow.conf") or "")
    return {"email": email, "webhook": hook, "port 25": _port_25(site, server, email) if email else "not tried"}


def notified(conf: str) -> tuple[str, bool]:
    """To whom mailcow.conf lets the watchdog write, and whether it calls a webhook, whose address is a secret."""
    told = dict(WATCHDOG.findall(conf))
    return told.get("WATCHDOG_NOTIFY_EMAIL", ""), bool(told.get("WATCHDOG_NOTIFY_WEBHOOK"))


def _port_25(site: Site, server: host.Host, recipient: str) -> str:
    """Whether a connection from the server reaches the MX of an address; nothing is said there."""
    domain = recipient.partition(",")[0].rpartition("@")[2]
    try:
        found = endpoint.lookup(domain, "MX", site.dns.resolvers)
        exchange = min(found, key=lambda r: int(getattr(r, "preference", 0)), default=None)
        name = str(getattr(exchange, "exchange", domain)).rstrip(".")
        server.dial(endpoint.resolve(name, site.dns.resolvers)[0], 25, SECONDS).close()
    except EndpointError as error:
        raise UnseenError(f"the MX of {domain}: {error}") from None
    except TimeoutError:
        return "dropped"
    except OSError:
        return "refused"
    return "open"


def _by_api(site: Site) -> Iterator[tuple[str, Probe]]:
    """The tables are read once, and each fact is a view of them."""
    tables = once(partial(servers.routes, site))
    yield from ((name, partial(_seen, view, site, tables)) for name, view in VIEWS.items())
    yield "foreign", lambda: foreign(mailflow.events(site), known(site, tables().state))
    yield from ((name, partial(probe, site)) for name, probe in ASKED.items())


def _seen(view: Callable[[Site, Standing[Outbound]], Any], site: Site, tables: Callable[[], Standing[Outbound]]) -> Any:
    return view(site, tables())


def rows(site: Site, have: Standing[Outbound]) -> list[dict[str, Any]]:
    """The sender-dependent transports that the site's domains and mailboxes name; of the login only whether it fits."""
    out = have.state
    used = {out.assigned(d.name) for d in site.domains} | {out.own(address) for address in site.mailboxes}
    return [_row(site, out.transports[i]) for i in sorted(used & set(out.transports))]


def _row(site: Site, row: Transport) -> dict[str, Any]:
    ours = next((relay for relay in site.used_relays.values() if row.leads_to(relay)), None)
    fits = row.login == transports.login(ours) if ours else None
    shown = {"id": row.id, "hop": row.hop, "username": row.username, "hangs": row.hangs}
    return shown | {"fits": fits, "escaped": row.escaped and fits is not True}


def domains(site: Site, have: Standing[Outbound]) -> dict[str, dict[str, Any]]:
    """The site's domains as mailcow holds them; an alias domain is what it stands for."""
    out, found = have.state, dict[str, dict[str, Any]]()
    for name in (d.name for d in site.domains):
        hosted = out.have.domains.get(out.have.alias_domains.get(name, name))
        if hosted:
            dangles = out.dangles(hosted.relayhost)
            found[name] = {"relayhost": hosted.relayhost, "dangles": dangles, "relayed": hosted.relayed}
    return found


def ways(site: Site, have: Standing[Outbound]) -> dict[str, dict[str, Any]]:
    """For each address that may send, the next hop, and whether it gets another row's login."""
    senders = [*site.mailboxes, *(a for d in site.domains for a in d.aliases)]
    return {a: {"hop": have.state.way(a).hop, "crossed": have.state.way(a).crossed} for a in senders}


def aliases(site: Site, have: Standing[Outbound]) -> dict[str, dict[str, bool]]:
    """The site's aliases as mailcow holds them."""
    held = have.state.have.aliases
    names = [address for address in addresses.aliases(site) if address in held]
    return {name: {"active": held[name].active, "sender": held[name].sender} for name in names}


def overruling(site: Site, have: Standing[Outbound]) -> dict[str, str]:
    """Transport maps by destination that lead elsewhere than the site's relays."""
    own = {have.current.get(d.name, "") for d in site.domains}
    return {to: hop for to, hop in have.state.overruling.items() if {hop} != own}


def known(site: Site, out: Outbound) -> set[str]:
    """The domains whose mail has a way of its own: those mailcow holds, and its own name."""
    return {*out.have.domains, *out.have.alias_domains, site.server.hostname}


def foreign(events: Sequence[maillog.Event], hosted: Collection[str]) -> list[dict[str, str]]:
    """Recent messages that left, of senders in a domain mailcow does not have, each with who had logged in."""
    recent = mailflow.recent(events, None)  # its API gives stamps with their zone
    gone = [d for d in maillog.departures(recent) if d.sender and d.sender.rpartition("@")[2] not in hosted]
    return [
        {"sender": d.sender, "login": d.login, "relay": d.attempt.relay, "status": d.attempt.status}
        for d in gone[-MOST:]
    ]


def disk(site: Site) -> dict[str, dict[str, int]]:
    """How full the disks are where mail is kept; what is free the API tells in words too round to judge by."""
    told = api.of(site).facts("status", "vmail")
    under = machine.disk(site) if site.mail.over_ssh else {}
    return under | {str(told["disk"]): {"percent": int(str(told["used_percent"]).rstrip("%"))}}


VIEWS: dict[str, Callable[[Site, Standing[Outbound]], Any]] = {
    "containers": lambda _, have: dict(have.state.have.containers),
    "routes": lambda _, have: dict(have.current),
    "alias domains": lambda _, have: sorted(have.state.have.alias_domains),
    "domains": domains,
    "transports": rows,
    "ways": ways,
    "aliases": aliases,
    "overruling": overruling,
}
ASKED: dict[str, Callable[[Site], Any]] = {
    "queue": mailflow.queue,
    "log": mailflow.log,
    "keys": mailflow.keys,
    "disk": disk,
}
