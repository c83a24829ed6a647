"""What stands in a mailcow, as its API tells it; what is not the site's is counted and left alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

from runbooklib import signing
from runbooklib.domainkeys import KeyRecordError
from runbooklib.params import Site
from runbooklib.results import Shown, Table
from runbooklib.servers.mailcow import api, installed
from runbooklib.servers.mailcow.api import Api, RouteMissingError
from runbooklib.servers.mailcow.installed import Installed
from runbooklib.servers.mailcow.writes import targets
from runbooklib.servers.retired import Retired

MEBIBYTE = 1024 * 1024  # mailcow takes quotas in MiB and tells them in bytes
ON = 1
NO_RELAY = "0"


@dataclass(frozen=True)
class Hosted:
    """A domain and its limits, quotas in MiB."""

    name: str
    active: bool = True
    relayed: bool = False  # backup MX: mail for it goes on elsewhere
    relayhost: str = NO_RELAY  # id of its sender-dependent transport
    mailboxes: int = 0
    aliases: int = 0
    largest: int = 0  # quota of one mailbox
    whole: int = 0  # of all together


@dataclass(frozen=True)
class Box:
    """A mailbox, its quota in MiB, 0 for none."""

    address: str
    active: int = ON  # 2: mail arrives, nobody may log in
    quota: int = 0
    relayhost: str = NO_RELAY
    barred: tuple[str, ...] = ()  # smtp, imap: what its owner may not use


@dataclass(frozen=True)
class Alias:
    """An alias; a catch-all stands as @domain."""

    id: str
    address: str
    targets: frozenset[str]
    active: bool = True
    sender: bool = True  # whether its targets may send under its address
    comment: str = ""  # the private one: by it ours are known


@dataclass(frozen=True)
class State(Shown):
    """What stands in mailcow."""

    version: str = ""
    containers: Mapping[str, str] = field(default_factory=dict)  # name -> state
    domains: Mapping[str, Hosted] = field(default_factory=dict)
    alias_domains: Mapping[str, str] = field(default_factory=dict)  # name -> the domain it stands for
    mailboxes: Mapping[str, Box] = field(default_factory=dict)
    aliases: Mapping[str, Alias] = field(default_factory=dict)
    keys: Mapping[tuple[str, str], str] = field(default_factory=dict)  # (domain, selector) -> public half
    policy: Mapping[str, int] = field(default_factory=dict)  # what a new password needs; empty: not told
    silent: str = ""  # why nothing is known: mailcow does not answer, or is not there yet
    installed: Installed | None = field(default=None, repr=False)  # where we install it ourselves

    @property
    def signing(self) -> Mapping[str, str]:
        """The selector of each domain's key: mailcow holds one, and signs with it from when it is made."""
        return dict(list(self.keys))

    @property
    def retired(self) -> tuple[Retired, ...]:
        """Nothing: mailcow does not remember what was left."""
        return ()

    @property
    def private(self) -> frozenset[tuple[str, str]]:
        """All: mailcow keeps both halves of a key together, and shows one."""
        return frozenset(self.keys)

    @property
    def live(self) -> frozenset[tuple[str, str]]:
        """All: its signer reads the same store."""
        return frozenset(self.keys)

    def signs(self, domain: str) -> str:
        """The selector that signs a domain's mail; empty for none."""
        return self.signing.get(domain, "")

    def parts(self) -> tuple[str, tuple[str, ...], list[tuple[str, ...]]]:
        stopped = sorted(name for name, state in self.containers.items() if state != "running")
        told = {
            "mailcow": self.version or self.silent or "absent",
            "containers": f"{len(self.containers)}, not running: {', '.join(stopped) or 'none'}",
            "domains": ", ".join(sorted(self.domains)) or "none",
            "mailboxes": ", ".join(sorted(self.mailboxes)) or "none",
            "aliases": "\n".join(f"{a.address}: {', '.join(sorted(a.targets))}" for a in self.sorted_aliases) or "none",
            "DKIM keys": ", ".join(f"{s}._domainkey.{d}" for d, s in sorted(self.keys)) or "none",
        }
        return "in mailcow", ("what", "is"), list(told.items())

    @property
    def sorted_aliases(self) -> list[Alias]:
        """By address, catch-alls first."""
        return sorted(self.aliases.values(), key=lambda a: a.address)

    def data(self) -> dict[str, Any]:
        title, columns, rows = self.parts()
        return Table(title, columns, tuple(rows)).data()


def observe(site: Site) -> State:
    """What stands in mailcow: all of it in outline, mailboxes, aliases and keys of the site's domains.

    Raises MailcowError and HostError; where an installation is asked for, a mailcow that is not there yet is told in
    the state.
    """
    if not site.mail.over_ssh:
        return read(api.of(site), [d.name for d in site.domains])
    found = installed.observe(site)
    try:
        have = read(api.of(site), [d.name for d in site.domains])
    except TO_COME as error:
        have = State(silent=str(error))
    return replace(have, installed=found)


# Where an installation is under way: no mailcow yet, no certificate yet, or one that does not know the key yet.
TO_COME = (api.UnavailableError, api.UntrustedError, api.KeyRefusedError, api.AddressRefusedError)


def read(mailcow: Api, names: Iterable[str]) -> State:
    """The state of these domains; `names` that are not in mailcow are not asked about."""
    version = str(mailcow.facts("status", "version").get("version", ""))  # alone first: a bad key is sent once
    whole = {
        "containers": ("status", "containers"),
        "domains": ("domain", "all"),
        "alias domains": ("alias-domain", "all"),
        "aliases": ("alias", "all"),
        "policy": ("passwordpolicy",),
    }
    told = _asked(mailcow, whole)
    domains = {d.name: d for d in map(hosted, told["domains"])}
    here = [name for name in names if name in domains]
    told |= _asked(mailcow, {f"mailboxes {n}": ("mailbox", "all", n) for n in here})
    told |= _asked(mailcow, {f"key {n}": ("dkim", n) for n in here})
    boxes = [box(each) for n in here for each in told[f"mailboxes {n}"]]
    return State(
        version=version,
        containers=containers(next(iter(told["containers"]), {})),
        domains=domains,
        alias_domains={str(a["alias_domain"]): str(a["target_domain"]) for a in told["alias domains"]},
        mailboxes={b.address: b for b in boxes},
        aliases={a.address: a for a in map(alias, told["aliases"]) if a.address.rpartition("@")[2] in here},
        keys={(n, s): public for n in here for s, public in key(next(iter(told[f"key {n}"]), {}))},
        policy=policy(next(iter(told["policy"]), {})),
    )


def _asked(mailcow: Api, paths: Mapping[str, tuple[str, ...]]) -> dict[str, list[dict[str, Any]]]:
    with ThreadPoolExecutor(4) as pool:
        return dict(zip(paths, pool.map(lambda path: _items(mailcow, path), paths.values()), strict=True))


def _items(mailcow: Api, path: tuple[str, ...]) -> list[dict[str, Any]]:
    """A collection; what an older release cannot be asked is not known, and no reason to stop."""
    try:
        return mailcow.items(*path)
    except RouteMissingError:
        return []


def hosted(told: Mapping[str, Any]) -> Hosted:
    """A domain as get/domain tells it."""
    return Hosted(
        name=str(told["domain_name"]),
        active=_number(told.get("active")) == ON,
        relayed=_number(told.get("backupmx")) == ON,
        relayhost=str(told.get("relayhost") or NO_RELAY),
        mailboxes=_number(told.get("max_num_mboxes_for_domain")),
        aliases=_number(told.get("max_num_aliases_for_domain")),
        largest=_number(told.get("max_quota_for_mbox")) // MEBIBYTE,
        whole=_number(told.get("max_quota_for_domain")) // MEBIBYTE,
    )


def box(told: Mapping[str, Any]) -> Box:
    """A mailbox as get/mailbox tells it."""
    attributes = told.get("attributes") or {}
    return Box(
        address=str(told["username"]).lower(),
        active=_number(told.get("active")),
        quota=_number(told.get("quota")) // MEBIBYTE,
        relayhost=str(attributes.get("relayhost") or NO_RELAY),
        barred=tuple(name for name in ("smtp", "imap") if str(attributes.get(f"{name}_access", "1")) == "0"),
    )


def alias(told: Mapping[str, Any]) -> Alias:
    """An alias as get/alias tells it; releases before sender_allowed let every alias send."""
    return Alias(
        id=str(told["id"]),
        address=str(told["address"]).lower(),
        targets=targets(str(told.get("goto") or "")),
        active=_number(told.get("active")) != 0,
        sender=_number(told.get("sender_allowed", ON)) == ON,
        comment=str(told.get("private_comment") or ""),
    )


def key(told: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Selector and public half of a domain's key, none where there is no readable one."""
    try:
        return [(str(told["dkim_selector"]), signing.public_text(str(told["dkim_txt"])))]
    except (KeyError, KeyRecordError):
        return []


def containers(told: Mapping[str, Any]) -> dict[str, str]:
    """The state of each container."""
    return {name: str(each.get("state", "unknown")) for name, each in told.items() if isinstance(each, Mapping)}


def policy(told: Mapping[str, Any]) -> dict[str, int]:
    """What a new password needs: its length, and which kinds of characters."""
    return {name: _number(value) for name, value in told.items()}


def _number(told: Any) -> int:
    """A number, which mailcow writes now as one, now as text."""
    text = str(told if told is not None else 0)
    return int(text) if text.lstrip("-").isdigit() else 0
