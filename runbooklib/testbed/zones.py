"""The testbed's DNS: a private root, the zones below it as they stand on the first day, and the servers' settings."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address

import dns.dnssec
import dns.dnssectypes
import dns.name
import dns.reversename
from cryptography.hazmat.primitives.asymmetric import ec

from runbooklib.testbed.authority import private_pem
from runbooklib.testbed.network import Range
from runbooklib.testbed.state import Tsig

NS = ("ns1.example.", "ns2.example.")  # one server: the first name has its IPv4 address, the second the other
TTL = 60
SITES = ("lantern.example", "pier.example", "harbour.example")
NAMES = {
    "server": "mail.lantern.example.",
    "relay": "smtp.relay.example.",
    "mx": "mx.stranger.example.",
    "resend": "smtp.resend.example.",
    "mxroute": "name.mxrouting.example.",
    "mailcow": "mail.harbour.example.",
}

# As IANA publishes it: nobody may send in this name, so whoever does is a forger.
FORBIDDEN = ("@ MX 0 .", '@ TXT "v=spf1 -all"', '_dmarc TXT "v=DMARC1;p=reject;sp=reject;adkim=s;aspf=s"')


@dataclass(frozen=True)
class Zone:
    """A zone's name (with its dot), records, and the one key that signs it."""

    name: str
    records: tuple[str, ...]
    key: ec.EllipticCurvePrivateKey

    @property
    def label(self) -> str:
        """The name as it stands in file names."""
        return self.name.rstrip(".") or "root"

    @property
    def pem(self) -> str:
        """The signing key."""
        return private_pem(self.key)

    @property
    def ds(self) -> str:
        """The DS record the parent publishes (RFC 4034 5)."""
        key = dns.dnssec.make_dnskey(self.key.public_key(), dns.dnssectypes.Algorithm.ECDSAP256SHA256, flags=257)
        return f"{self.name} {TTL} IN DS {dns.dnssec.make_ds(dns.name.from_text(self.name), key, 'SHA256')}"

    @property
    def text(self) -> str:
        """The zone file."""
        soa = f"@ SOA {NS[0]} hostmaster.example. 1 3600 600 604800 {TTL}"
        servers = [f"@ NS {name}" for name in NS]
        return "\n".join([f"$ORIGIN {self.name}", f"$TTL {TTL}", soa, *servers, *self.records, ""])


@dataclass(frozen=True)
class Keys:
    """The DKIM records of those who sign from the first day."""

    relay: str
    stranger: str
    resend: str


def initial(addresses: Range, dkim: Keys) -> tuple[Zone, ...]:
    """Every zone, children before the parents that vouch for them."""
    leaves = [
        *(_zone(f"{site}.") for site in SITES),
        _zone("relay.example.", *_relay(addresses, dkim.relay)),
        _zone("resend.example.", *_resend(addresses, dkim.resend)),
        _zone("mxrouting.example.", *_mxroute(addresses)),
        _zone("stranger.example.", *_stranger(addresses, dkim.stranger)),
        _zone("registry.example.", *_addresses("@", "registry", addresses)),
        _zone("dnsbl.example.", "2.0.0.127 A 127.0.0.2"),  # blocklists hold their test entries, and nobody (RFC 5782 5)
        _zone("dbl.example.", "test A 127.0.0.2"),
    ]
    example = _zone("example.", *_servers(addresses), *_delegations(leaves))
    top = [example, *_reverse(addresses)]
    root = _zone(".", *_servers(addresses), *_delegations([*top, (forbidden := _zone("example.com.", *FORBIDDEN))]))
    return (*leaves, *top, forbidden, root)


def _zone(name: str, *records: str) -> Zone:
    return Zone(name, records, ec.generate_private_key(ec.SECP256R1()))


def _delegations(children: list[Zone]) -> list[str]:
    return [line for zone in children for line in (*(f"{zone.name} NS {name}" for name in NS), zone.ds)]


def _servers(addresses: Range) -> list[str]:
    return [f"{NS[0]} A {addresses.ipv4('dns')}", f"{NS[1]} AAAA {addresses.ipv6('dns')}"]


def _addresses(name: str, host: str, addresses: Range) -> list[str]:
    return [f"{name} A {addresses.ipv4(host)}", f"{name} AAAA {addresses.ipv6(host)}"]


def _relay(addresses: Range, key: str) -> list[str]:
    """A provider's zone: its SPF to include, and under dkim a key for every customer's CNAME."""
    return [
        *_addresses("smtp", "relay", addresses),
        '@ TXT "v=spf1 -all"',
        'smtp TXT "v=spf1 a -all"',
        f"_spf TXT {_pool('relay', addresses)}",
        f"*.dkim TXT {_strings(key)}",
    ]


def _resend(addresses: Range, key: str) -> list[str]:
    """Resend's names and those of Amazon SES behind it: the pool, where bounces return to, keys for CNAMEs."""
    return [
        *_addresses("smtp", "resend", addresses),
        *_addresses("feedback-smtp", "resend", addresses),
        f"@ TXT {_pool('resend', addresses)}",
        'smtp TXT "v=spf1 a -all"',
        f"ses._domainkey TXT {_strings(key)}",
        f"*.dkim TXT {_strings(key)}",
    ]


def _mxroute(addresses: Range) -> list[str]:
    """MXRoute's names; customers include the apex, as they include mxroute.com."""
    return [
        *_addresses("name", "mxroute", addresses),
        f"@ TXT {_pool('mxroute', addresses)}",
        'name TXT "v=spf1 a -all"',
    ]


def _pool(host: str, addresses: Range) -> str:
    """The SPF record that customers of a relay include."""
    return f'"v=spf1 ip4:{addresses.ipv4(host)} ip6:{addresses.ipv6(host)} -all"'


def _stranger(addresses: Range, key: str) -> list[str]:
    return [
        "@ MX 10 mx",
        *_addresses("mx", "mx", addresses),
        '@ TXT "v=spf1 mx -all"',
        'mx TXT "v=spf1 a -all"',
        f"mail._domainkey TXT {_strings(key)}",
        '_dmarc TXT "v=DMARC1; p=reject"',
    ]


def _strings(text: str) -> str:
    """A long text as strings of at most 255 octets (RFC 1035 3.3)."""
    return " ".join(f'"{text[i : i + 255]}"' for i in range(0, len(text), 255))


def _reverse(addresses: Range) -> list[Zone]:
    """Both reverse zones; the servers' PTR stand from the start, set where their owner rents them."""
    by_zone: dict[str, list[str]] = {name: [] for name in reverse_names(addresses)}
    for host, name in NAMES.items():
        for address in (addresses.ipv4(host), addresses.ipv6(host)):
            pointer = dns.reversename.from_address(address).to_text()
            zone = next(z for z in by_zone if pointer.endswith(f".{z}"))
            by_zone[zone].append(f"{pointer} PTR {name}")
    return [_zone(name, *records) for name, records in by_zone.items()]


def reverse_names(addresses: Range) -> tuple[str, str]:
    """The names of the two reverse zones: three labels of IPv4, sixteen nibbles of IPv6."""
    four = dns.reversename.from_address(str(addresses.subnet4.network_address)).to_text()
    six = dns.reversename.from_address(str(ip_address(str(addresses.subnet6.network_address)))).to_text()
    return four.split(".", 1)[1], six.split(".", 16)[16]


def knot(zones: tuple[Zone, ...], tsig: Tsig) -> str:
    """The authoritative server's settings; only the sites' zones may be updated, and only with the key."""
    listed = "\n".join(
        f'  - domain: "{zone.name}"\n    file: {zone.label}.zone\n' + ("    acl: site\n" if zone.label in SITES else "")
        for zone in zones
    )
    return f"""\
server:
  listen: ["0.0.0.0@53", "::@53"]
  user: knot:knot
  rundir: /run/knot
log:
  - target: stderr
    any: info
database:
  storage: /var/lib/knot
key:
  - id: {tsig.name}
    algorithm: {tsig.algorithm}
    secret: {tsig.secret}
acl:
  - id: site
    key: {tsig.name}
    action: [update, transfer]
policy:
  # one key a zone, made before the start so that the parents' DS and the resolver's anchor are known;
  # signatures of a month, so that no serial moves by itself while a testbed lives
  - id: signed
    manual: on
    single-type-signing: on
    algorithm: ecdsap256sha256
    rrsig-lifetime: 30d
    rrsig-refresh: 7d
    cds-cdnskey-publish: none
template:
  - id: default
    storage: /testbed/zones
    dnssec-signing: on
    dnssec-policy: signed
    zonefile-sync: -1
    zonefile-load: whole
    journal-content: changes
zone:
{listed}"""


def unbound(addresses: Range) -> str:
    """The resolver's settings.

    Answers are kept for 5 s, refusals to exist for 2 s: a rehearsal publishes a record and wants to see it, and must
    not wait for a TTL to pass.
    """
    nodefault = "\n".join(f'  local-zone: "{name}" nodefault' for name in (*reverse_names(addresses), *DOCUMENTATION))
    return f"""\
server:
  interface: 0.0.0.0
  interface: ::0
  access-control: {addresses.subnet4} allow
  access-control: {addresses.subnet6} allow
  username: unbound
  chroot: ""
  use-syslog: no
  logfile: ""
  module-config: "validator iterator"
  root-hints: /testbed/root.hints
  trust-anchor-file: /testbed/root.anchor
  qname-minimisation: yes
  aggressive-nsec: no
  cache-max-ttl: 5
  cache-max-negative-ttl: 2
  infra-host-ttl: 5
  val-bogus-ttl: 2
  num-threads: 1
{nodefault}
remote-control:
  control-enable: no
"""


DOCUMENTATION = ("8.b.d.0.1.0.0.2.ip6.arpa.",)  # Unbound answers NXDOMAIN here by itself (RFC 6303)


def hints(addresses: Range) -> str:
    """The root's name servers."""
    return "\n".join([*(f". NS {name}" for name in NS), *_servers(addresses), ""])
