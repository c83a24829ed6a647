"""What should stand in DNS for a site: each rrset with its reason, its reference and the stage that needs it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from runbooklib import spf
from runbooklib.params import Domain, Relay, Site
from runbooklib.records.unwanted import Unwanted, still
from runbooklib.results import Shown, Table

TTL = 3600  # seconds; what a new rrset gets
WIDEST = 100  # characters of a value in a verdict
KINDS = {
    "A": "address",
    "AAAA": "address",
    "MX": "mx",
    "PTR": "ptr",
    "CNAME": "alias",
    "SRV": "service",
    "TLSA": "tlsa",
}


@dataclass(frozen=True)
class Wanted:
    """One rrset as it should be; without values and `known_after`, nobody has said yet what it should hold."""

    name: str  # lower case, no final dot
    type: str
    values: tuple[str, ...]  # TXT unquoted and joined; names in lower case without final dot
    ttl: int
    reason: str
    ref: str
    stage: str  # the one that needs it
    known_after: str = ""  # the stage that makes the value
    advisory: bool = False  # mail passes without it

    @property
    def kind(self) -> str:
        """The word of the field for it: address, mx, spf, dkim, dmarc, ownership, ptr, alias, service or tlsa."""
        if "._domainkey." in self.name:
            return "dkim"
        if self.type == "TXT" and self.name.startswith("_"):  # RFC 8552: no mail comes from such a name
            return "dmarc" if self.name.startswith("_dmarc.") else "ownership"
        if self.type == "TXT":
            return "spf"
        return KINDS[self.type]

    @property
    def check(self) -> str:
        """The id of its row, unique within a site: what is checked and where."""
        if self.kind == "address":
            return f"dns.address.{'ipv4' if self.type == 'A' else 'ipv6'} {self.name}"
        return f"dns.{self.kind} {reversed_address(self.name) if self.kind == 'ptr' else self.name}"

    @property
    def asked(self) -> tuple[str, str]:
        """The question whose answer shows it: a key as verifiers ask, through any CNAME, an alias as its users do."""
        return self.name, {"dkim": "TXT", "alias": "A"}.get(self.kind, self.type)

    @property
    def expected(self) -> str:
        """What a row shows; a key is cut in its middle."""
        if self.values:
            shown = (v if len(v) <= WIDEST else f"{v[:40]}…{v[-20:]}" for v in self.values)
            return f"{self.type} {' + '.join(shown)}"
        return f"{self.type}, known after {self.known_after}" if self.known_after else f"{self.type}, not in params"


@dataclass(frozen=True)
class Desired(Shown):
    """Every rrset a site needs, and what was published for it once and may go."""

    records: tuple[Wanted, ...]
    unwanted: tuple[Unwanted, ...] = ()

    def __iter__(self) -> Iterator[Wanted]:
        return iter(self.records)

    def __len__(self) -> int:
        return len(self.records)

    def parts(self) -> tuple[str, Sequence[str], Sequence[Sequence[str]]]:
        rows = [(w.name, w.type, self._value(w), w.reason, w.stage, w.ref) for w in self.records]
        return "what should be there", ("name", "type", "value", "why", "needed by", "reference"), rows

    @staticmethod
    def _value(wanted: Wanted) -> str:
        return "\n".join(wanted.values) or wanted.expected.partition(", ")[2]

    def data(self) -> dict[str, Any]:
        title, columns, rows = self.parts()
        return Table(title, tuple(columns), tuple(tuple(r) for r in rows)).data()


def desired(site: Site, *others: Iterable[Wanted], unwanted: Iterable[Unwanted] = ()) -> Desired:
    """What the site itself wants, and what server and relays add to it; the same rrset is wanted once.

    An SPF record that a relay's provider told takes the place of the one params know. `unwanted` is what keys and
    relays left behind; what is wanted again, or still, is not among it.
    """
    added = [w for some in others for w in some]
    told = {w.name for w in added if w.kind == "spf"}
    mail = [w for w in _mail(site) if w.kind != "spf" or w.stage != "02-relay" or w.name not in told]
    every = [*_addresses(site), *mail, *added, *_policies(site), *_reverse(site), *setup(site)]
    wanted = tuple(dict.fromkeys(every))
    return Desired(wanted, still(unwanted, wanted))


def _addresses(site: Site) -> Iterator[Wanted]:
    server = site.server
    why, ref = "where the MX name leads: the server's own address", "RFC 5321 5.1"
    yield Wanted(server.hostname, "A", (server.ipv4,), TTL, why, ref, "05-send")
    if server.ipv6:
        yield Wanted(server.hostname, "AAAA", (server.ipv6,), TTL, why, ref, "05-send")


def _mail(site: Site) -> Iterator[Wanted]:
    for domain in site.domains:
        why = "receiving does not pass the relay: strangers deliver to this server"
        yield Wanted(domain.name, "MX", (f"10 {site.server.hostname}",), TTL, why, "RFC 5321 5.1", "05-send")
        yield from _spf(site, domain)
    if site.sends_directly:
        why = "bounces carry no envelope sender, so SPF is judged at the HELO name"
        why += "; SRS puts it into MAIL FROM of forwards" if site.srs_domain == site.server.hostname else ""
        record = (str(spf.of(_own_addresses(site))),)
        yield Wanted(site.server.hostname, "TXT", record, TTL, why, "RFC 7208 2.4", "05-send")


def _spf(site: Site, domain: Domain) -> Iterator[Wanted]:
    """SPF at the domain, where it stands in MAIL FROM: a relay with a return path of its own is judged there."""
    if domain.relay == "direct":
        why = "the server sends for this domain itself"
        yield Wanted(domain.name, "TXT", (str(spf.of(_own_addresses(site))),), TTL, why, "RFC 7208 3", "05-send")
    elif not site.relays[domain.relay].return_path:
        why = f"authorises the pool {domain.relay} sends from; this server sends nothing itself"
        record = _authorises(site.relays[domain.relay])
        yield Wanted(domain.name, "TXT", record, TTL, why, "RFC 7208 3", "02-relay")


def _authorises(relay: Relay) -> tuple[str, ...]:
    return (str(spf.of(relay.spf.split())),) if relay.spf else ()


def _own_addresses(site: Site) -> list[str]:
    server = site.server
    return [f"ip4:{server.ipv4}", *([f"ip6:{server.ipv6}"] if server.ipv6 else [])]


def _policies(site: Site) -> Iterator[Wanted]:
    for domain in site.domains:
        rua = f"; rua=mailto:{domain.dmarc.rua}" if domain.dmarc.rua else ""
        value = f"v=DMARC1; p={domain.dmarc.policy}{rua}"
        why = "says what receivers do with mail that passes neither SPF nor DKIM in alignment"
        yield Wanted(f"_dmarc.{domain.name}", "TXT", (value,), TTL, why, "RFC 9989 4", "05-send")


def _reverse(site: Site) -> Iterator[Wanted]:
    """PTR is the address owner's to set: checked, never published; it decides only where we send directly."""
    why = "an address that sends should have a name that leads back to it; relayed mail shows the relay's"
    for address in filter(None, (site.server.ipv4, site.server.ipv6)):
        name = ipaddress.ip_address(address).reverse_pointer
        values = (site.server.hostname,)
        yield Wanted(name, "PTR", values, TTL, why, "RFC 1912 2.1", "05-send", advisory=not site.sends_directly)


SERVICES = {"_imaps": 993, "_submissions": 465, "_submission": 587}


def setup(site: Site) -> Iterator[Wanted]:
    """What mail programs look for to set themselves up; params name it, mail needs none of it."""
    host, asked = site.server.hostname, site.dns.optional
    for name in (domain.name for domain in site.domains):
        for label in ("autodiscover", "autoconfig"):
            if label in asked:
                why = "mail programs find their settings there"
                yield Wanted(f"{label}.{name}", "CNAME", (host,), TTL, why, "RFC 1034 3.6.2", "", advisory=True)
        if "autodiscover" in asked:
            yield _service("_autodiscover", 443, name, host, "Outlook finds its settings there", "RFC 2782")
        if "srv" in asked:
            for label, port in SERVICES.items():
                yield _service(
                    label, port, name, host, "mail programs find the server there", "RFC 6186 3, RFC 8314 5.1"
                )


def _service(label: str, port: int, domain: str, host: str, why: str, ref: str) -> Wanted:
    return Wanted(f"{label}._tcp.{domain}", "SRV", (f"0 1 {port} {host}",), TTL, why, ref, "", advisory=True)


def reversed_address(name: str) -> str:
    """The address a name under in-addr.arpa or ip6.arpa stands for."""
    labels = name.removesuffix(".in-addr.arpa").removesuffix(".ip6.arpa").split(".")[::-1]
    if name.endswith(".in-addr.arpa"):
        return ".".join(labels)
    nibbles = "".join(labels)
    return str(ipaddress.ip_address(":".join(nibbles[i : i + 4] for i in range(0, 32, 4))))
