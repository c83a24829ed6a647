"""What makes one testbed different from every other: its keys, passwords and zones, written for its hosts."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from runbooklib.testbed import authority, providers, zones
from runbooklib.testbed.authority import Authority, DkimKey, SshKey
from runbooklib.testbed.hosts import NAMES, Plot
from runbooklib.testbed.state import (
    Account,
    Dns,
    Image,
    Mailcow,
    Provider,
    Registry,
    Resolver,
    Server,
    State,
    Stranger,
    Tsig,
)

MAIL = "mail.lantern.example"
PRIVATE = 0o600
TLS_HOSTS = ("registry", "relay", "resend", "mxroute", "mailcow", "mx")
Seed = Callable[[Provider, DkimKey], dict[str, Any]]
MAILBOXES = ("hi", "ada", "no-reply", "pier", "harbour")


def create(plot: Plot, bridge: str, image: Image, *, egress_25: bool) -> State:
    """Makes every secret new, writes each host's files, and says what the site's owner may know of them."""
    ca = authority.create()
    _write(plot.folder / "ca.pem", ca.pem)
    _write(plot.folder / "ca.key", authority.private_pem(ca.key), PRIVATE)  # faults have bad certificates signed
    _write(plot.folder / "resolv.conf", f"nameserver {plot.addresses.ipv4('resolver')}\n")
    relay, friend = _account(plot, "relay", "lantern"), _account(plot, "mx", "friend@stranger.example")
    mx = Stranger(**asdict(friend), rspamd=f"http://{friend.ipv4}:11334")
    resend, mxroute = providers.resend(plot), providers.mxroute(plot)
    dns = Dns(plot.addresses.ipv4("dns"), plot.addresses.ipv6("dns"), _tsig())
    keys = _write_accounts(plot, relay, mx)
    keys["resend"] = _write_provider(plot, "resend", resend, providers.resend_seed)
    _write_provider(plot, "mxroute", mxroute, providers.mxroute_seed)
    _write_dns(plot, dns.tsig, zones.Keys(keys["relay"].record, keys["mx"].record, keys["resend"].record))
    _write_tls(plot, ca)
    return State(
        name=plot.name,
        bridge=bridge,
        subnet4=str(plot.addresses.subnet4),
        subnet6=str(plot.addresses.subnet6),
        server=_server(plot, ca, egress_25=egress_25),
        dns=dns,
        resolver=Resolver(plot.addresses.ipv4("resolver"), plot.addresses.ipv6("resolver")),
        registry=Registry(plot.addresses.ipv4("registry"), plot.addresses.ipv6("registry"), NAMES["registry"]),
        relay=relay,
        resend=resend,
        mxroute=mxroute,
        mailcow=_mailcow(plot),
        mx=mx,
        mailboxes={name: providers.password() for name in MAILBOXES},
        ca=str(plot.folder / "ca.pem"),
        image=image,
    )


def _tsig() -> Tsig:
    return Tsig("lantern-update", "hmac-sha256", base64.b64encode(secrets.token_bytes(32)).decode())


def _account(plot: Plot, host: str, username: str) -> Account:
    return Account(plot.addresses.ipv4(host), plot.addresses.ipv6(host), NAMES[host], username, providers.password())


def _write(path: Path, text: str, mode: int = 0o644) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=PRIVATE)
    path.write_text(text)
    path.chmod(mode)
    return path


def _write_tls(plot: Plot, ca: Authority) -> None:
    """Certificates of all hosts that speak TLS, and by whom they check those of others."""
    for host in TLS_HOSTS:
        pair = ca.issue(NAMES[host], plot.addresses.ipv4(host), plot.addresses.ipv6(host))
        _write(plot.files(host) / "testbed/tls.pem", pair.certificate)
        _write(plot.files(host) / "testbed/tls.key", pair.key, PRIVATE)
        _write(plot.files(host) / "testbed/ca.pem", ca.pem)


def _write_accounts(plot: Plot, relay: Account, mx: Account) -> dict[str, DkimKey]:
    """The login and the signing key of the hosts where all is as on the first day."""
    keys = {}
    for host, account in (("relay", relay), ("mx", mx)):
        keys[host] = _write_key(plot, host)
        # Dovecot's auth process reads this under its own user
        _write(plot.files(host) / "testbed/users", f"{account.username}:{{PLAIN}}{account.password}\n")
    return keys


def _write_provider(plot: Plot, host: str, account: Provider, seed: Seed) -> DkimKey:
    """The signing key of a host with an API, and what its state begins with."""
    key = _write_key(plot, host)
    _write(plot.files(host) / "testbed/state.json", json.dumps(seed(account, key), indent=1), PRIVATE)
    return key


def _write_key(plot: Plot, host: str) -> DkimKey:
    key = authority.dkim_key()
    _write(plot.files(host) / "testbed/dkim.key", key.private, PRIVATE)
    return key


def _write_dns(plot: Plot, tsig: Tsig, dkim: zones.Keys) -> None:
    every = zones.initial(plot.addresses, dkim)
    dns, resolver = plot.files("dns") / "testbed", plot.files("resolver") / "testbed"
    for zone in every:
        _write(dns / "zones" / f"{zone.label}.zone", zone.text)
        _write(dns / "keys" / f"{zone.label}.pem", zone.pem, PRIVATE)
    _write(dns / "knot.conf", zones.knot(every, tsig), PRIVATE)
    _write(resolver / "unbound.conf", zones.unbound(plot.addresses))
    _write(resolver / "root.hints", zones.hints(plot.addresses))
    _write(resolver / "root.anchor", every[-1].ds + "\n")


def _mailcow(plot: Plot) -> Mailcow:
    """Mailcow as after its installation: two keys, no domain; they work from anywhere in the testbed."""
    ipv4, ipv6, (rw, ro) = plot.addresses.ipv4("mailcow"), plot.addresses.ipv6("mailcow"), (_key(), _key())
    networks = f"{plot.addresses.subnet4},{plot.addresses.subnet6}"
    known = {"hostname": NAMES["mailcow"], "keys": {rw: "rw", ro: "ro"}, "allow_from": networks}
    _write(plot.files("mailcow") / "testbed/state.json", json.dumps(known, indent=1), PRIVATE)
    return Mailcow(ipv4, ipv6, NAMES["mailcow"], f"https://{ipv4}", rw, ro)


def _key() -> str:
    """A key as mailcow's page makes one: five times six hexadecimal digits."""
    return "-".join(secrets.token_hex(3).upper() for _ in range(5))


def _server(plot: Plot, ca: Authority, *, egress_25: bool) -> Server:
    login, host_key, mail = authority.ssh_key(), authority.ssh_key(), ca.issue(MAIL)
    _write_server(plot.files("server"), login, host_key, ca.pem)
    write_egress(plot, egress_25=egress_25)
    return Server(
        ipv4=plot.addresses.ipv4("server"),
        ipv6=plot.addresses.ipv6("server"),
        host_key=host_key.fingerprint,
        ssh_key=str(_write(plot.folder / "id_ed25519", login.private, PRIVATE)),
        certificate=str(_write(plot.folder / f"{MAIL}.pem", mail.certificate)),
        certificate_key=str(_write(plot.folder / f"{MAIL}.key", mail.key, PRIVATE)),
        egress_25=egress_25,
    )


def _write_server(root: Path, login: SshKey, host_key: SshKey, ca: str) -> None:
    _write(root / "root/.ssh/authorized_keys", f"{login.public} root\n", PRIVATE)
    _write(root / "etc/ssh/ssh_host_ed25519_key", host_key.private, PRIVATE)
    _write(root / "etc/ssh/ssh_host_ed25519_key.pub", f"{host_key.public}\n")
    _write(root / "usr/local/share/ca-certificates/testbed.crt", ca)
    _write(root / "etc/docker/certs.d" / NAMES["registry"] / "ca.crt", ca)


def write_egress(plot: Plot, *, egress_25: bool) -> str:
    """Notes for the server's next start whether new connections to port 25 may leave."""
    word = "open" if egress_25 else "closed"
    _write(plot.files("server") / "etc/testbed/egress", word)
    return word
