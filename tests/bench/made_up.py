"""Made-up domains of every shape, as the records of one name server: sound ones, careless ones, broken ones."""

from __future__ import annotations

import base64
import random
from collections.abc import Iterator

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

PROVIDERS = 25  # mail providers that the domains include and point at
SELECTOR = "mail"
SOA = "ns1.hosting.example. hostmaster.hosting.example. 2026112201 7200 3600 1209600 300"
SPKI = PublicFormat.SubjectPublicKeyInfo
RECEIVING = {
    0: ["10 mx1.{name}."],
    1: ["10 mx1.{name}.", "20 mx2.{name}."],
    2: ["10 mx.{provider}."],
    3: ["1 mx.{provider}.", "5 mx2.{provider}."],
    4: ["10 alias.{name}."],  # broken: an alias
    5: ["0 ."],
    6: [],
    7: ["10 mx.{provider}."],
    8: ["10 nowhere.{name}."],  # broken: no address
    9: ["10 mx1.{name}."],
}
SENDING = [
    ["v=spf1 mx -all"],
    ["v=spf1 include:_spf.{provider} ~all"],
    ["v=spf1 a mx ip4:198.18.0.{octet} -all"],
    ["v=spf1 include:_spf.{provider} include:_spf.{other} -all"],
    ["v=spf1 ip4:198.18.0.0/24 ip6:2001:db8::/48 ?all"],
    ["v=spf1 redirect=_spf.{provider}"],
    ["v=spf1 -all"],
    ["v=spf1 mx -all", "v=spf1 include:_spf.{provider} -all"],  # broken: two
    ["v=spf1 ip4:198.18.0.999 -all"],  # broken: no address
    [],
    ["v=spf1 include:_spf.gone.example -all"],  # broken: what it includes does not exist
]
ASKING = [
    ["v=DMARC1; p=none; rua=mailto:dmarc@{name}"],
    ["v=DMARC1; p=quarantine; rua=mailto:reports@{provider}"],
    ["v=DMARC1; p=reject; sp=quarantine; rua=mailto:dmarc@{name}; adkim=s; aspf=s"],
    ["v=DMARC1; p=reject"],
    [],
    ["v=DMARC1; p=perhaps"],  # broken
]


def names(count: int) -> list[str]:
    """The domains."""
    return [f"d{n:05}.example" for n in range(count)]


def zones(count: int) -> dict[str, dict[str, list[str]]]:
    """Every name with its records by type; TXT values unquoted. A name with an SOA record begins a zone."""
    found: dict[str, dict[str, list[str]]] = {}
    chance = random.Random(5321)  # noqa: S311 - the same domains each time
    for name, kind, values in [*_shared(), *(r for n in range(count) for r in _domain(n, chance))]:
        found.setdefault(name, {}).setdefault(kind, []).extend(values)
    return found


Rrset = tuple[str, str, list[str]]


def _shared() -> Iterator[Rrset]:
    yield "example", "SOA", [SOA]
    yield "example", "NS", ["ns1.hosting.example.", "ns2.hosting.example."]
    for n in (1, 2):
        yield f"ns{n}.hosting.example", "A", [f"198.18.0.{n}"]
        yield f"ns{n}.hosting.example", "AAAA", [f"2001:db8::{n}"]
    for n in range(PROVIDERS):
        yield from _provider(f"provider{n}.example", n)


def _provider(name: str, n: int) -> Iterator[Rrset]:
    yield from _apex(name)
    for host in ("mx", "mx2"):
        yield f"{host}.{name}", "A", [f"198.18.0.{n + 10}"]
        yield f"{host}.{name}", "AAAA", [f"2001:db8:{n:x}::25"]
    yield f"_spf.{name}", "TXT", [f"v=spf1 include:_a._spf.{name} include:_b._spf.{name} ~all"]
    yield f"_a._spf.{name}", "TXT", [f"v=spf1 ip4:198.18.0.{n}/32 ip4:198.18.0.{n + 100}/32 ~all"]
    yield f"_b._spf.{name}", "TXT", [f"v=spf1 ip6:2001:db8:{n:x}::/64 ~all"]
    yield f"{SELECTOR}.dkim.{name}", "TXT", [_key(random.Random(n))]  # noqa: S311 - no key of anyone
    yield f"*._report._dmarc.{name}", "TXT", ["v=DMARC1"]


def _domain(n: int, chance: random.Random) -> Iterator[Rrset]:
    name = f"d{n:05}.example"
    words = {
        "name": name,
        "provider": f"provider{n % PROVIDERS}.example",
        "other": f"provider{(n + 7) % PROVIDERS}.example",
        "octet": str(n % 250 + 1),
    }
    yield from _apex(name)
    yield name, "A", [f"198.18.0.{n % 250 + 1}"]
    for host in ("mx1", "mx2"):
        yield f"{host}.{name}", "A", [f"198.18.0.{n % 200 + 20}"]
    yield f"mx1.{name}", "AAAA", [f"2001:db8:1::{n:x}"]
    yield f"alias.{name}", "CNAME", [f"mx1.{name}."]
    yield from _texts(name, "MX", RECEIVING[n % 10], words)
    yield from _texts(name, "TXT", chance.choice(SENDING), words)
    yield from _texts(f"_dmarc.{name}", "TXT", chance.choice(ASKING), words)
    yield from _keys(name, words["provider"], chance)
    if n % 4 == 0:
        yield f"_smtp._tls.{name}", "TXT", [f"v=TLSRPTv1; rua=mailto:tls@{name}"]
    if n % 5 == 0:
        yield f"_mta-sts.{name}", "TXT", ["v=STSv1; id=20261122"]
        yield f"mta-sts.{name}", "A", [f"198.18.0.{n % 250 + 1}"]
    if n % 50 == 0:
        yield f"*.{name}", "A", ["198.18.0.80"]


def _texts(name: str, kind: str, values: list[str], words: dict[str, str]) -> Iterator[Rrset]:
    if values:
        yield name, kind, [v.format(**words) for v in values]


def _keys(name: str, provider: str, chance: random.Random) -> Iterator[Rrset]:
    """Half of them hold their key, some point at their provider's, the rest have none."""
    shape = chance.random()
    if shape < 0.5:
        yield f"{SELECTOR}._domainkey.{name}", "TXT", [_key(chance)]
    elif shape < 0.7:
        yield f"{SELECTOR}._domainkey.{name}", "CNAME", [f"{SELECTOR}.dkim.{provider}."]


def _key(chance: random.Random) -> str:
    """A public key of 2048 bits, whose private half nobody has."""
    key = rsa.RSAPublicNumbers(65537, chance.getrandbits(2048) | 1 << 2047 | 1).public_key()
    return "v=DKIM1; k=rsa; p=" + base64.b64encode(key.public_bytes(Encoding.DER, SPKI)).decode()


def _apex(name: str) -> Iterator[Rrset]:
    yield name, "SOA", [SOA]
    yield name, "NS", ["ns1.hosting.example.", "ns2.hosting.example."]
