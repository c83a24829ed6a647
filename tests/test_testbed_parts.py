"""The testbed's parts that need no container: apt sources, addresses, zones, keys, state."""

from __future__ import annotations

import json
import stat
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import dns.dnssec
import dns.dnssectypes
import dns.name
import dns.rdata
import dns.rdatatype
import dns.zone
import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store
from docker.errors import APIError
from docker.models.networks import Network

from runbooklib.testbed import apt, authority, contents, engine, images, network, state, zones
from runbooklib.testbed.apt import KEYRING, Source
from runbooklib.testbed.hosts import Plot
from runbooklib.testbed.network import Range
from runbooklib.testbed.state import Image, State, Tsig

ONE_LINE = """\
# deb http://commented.example/debian bookworm main
deb http://mirror.example/debian bookworm main contrib # the near one
deb [arch=amd64 signed-by=/usr/share/keyrings/own.gpg] https://mirror.example/security bookworm-security main
deb-src http://mirror.example/debian bookworm main
deb https://download.other.example/linux bookworm stable
deb http://pg.example/apt bookworm-pgdg main
"""
DEB822 = """\
Types: deb deb-src
# a comment inside
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/own.gpg

Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main
Enabled: no

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mQINBF
"""


def test_one_line_sources() -> None:
    first, second, *_ = found = apt.one_line(ONE_LINE)
    assert len(found) == 4
    assert first == Source(("http://mirror.example/debian",), ("bookworm",), ("main", "contrib"))
    assert second.signed_by == "/usr/share/keyrings/own.gpg"


def test_deb822_sources() -> None:
    main, security = apt.deb822(DEB822)
    assert main == Source(
        ("http://mirror.example/debian",), ("bookworm", "bookworm-updates"), ("main",), "/usr/share/keyrings/own.gpg"
    )
    assert security.signed_by == KEYRING  # a key written into the file is Debian's own


def test_only_debians_own_archive_is_used() -> None:
    kept = apt.of_debian(apt.one_line(ONE_LINE), "bookworm")
    assert [source.suites for source in kept] == [("bookworm",), ("bookworm-security",)]


def test_a_source_turned_to_another_release_reads_back() -> None:
    (main, _) = apt.deb822(DEB822)
    turned = apt.turned(main, "bookworm", "trixie")
    assert turned.suites == ("trixie", "trixie-updates")
    assert apt.deb822(str(turned)) == (turned,)


def test_both_formats_are_read_from_a_machine(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list").write_text(ONE_LINE)
    (tmp_path / "sources.list.d/debian.sources").write_text(DEB822)
    assert len(apt.of_machine(tmp_path)) == 6


@pytest.mark.parametrize("index", [0, 255, 256, 511])
def test_a_range_is_strange_to_everybody_and_its_addresses_end_alike(index: int) -> None:
    addresses = Range.number(index)
    assert addresses.subnet4.subnet_of(network.BENCHMARKING)
    assert addresses.subnet6.subnet_of(network.DOCUMENTATION)
    for host, number in network.NUMBERS.items():
        assert addresses.ipv4(host).endswith(f".{number}")
        assert addresses.ipv6(host).endswith(f"::{number}")
        assert ip_address(addresses.ipv6(host)) in addresses.subnet6


class Kept(Network):  # type: ignore[misc]
    """A network with an endpoint that outlived its container: it goes once that is let go, or never."""

    def __init__(self, *, stale: bool = False, stuck: bool = False) -> None:
        super().__init__({"Name": "testbed"})
        self.stale, self.stuck, self.gone = stale, stuck, False

    def reload(self) -> None:
        self.attrs["Containers"] = {"ep-5f": {"Name": "testbed-dns"}} if self.stale else {}

    def disconnect(self, container: str, *args: Any, **kwargs: Any) -> None:
        del args
        assert (container, kwargs) == ("testbed-dns", {"force": True})
        self.stale = False

    def remove(self) -> None:
        if self.stale or self.stuck:
            raise APIError("403 Client Error", explanation="network testbed has active endpoints")
        self.gone = True


@pytest.mark.parametrize(
    ("kept", "said"),
    [(Kept(), ""), (Kept(stale=True), ""), (Kept(stuck=True), "network testbed has active endpoints")],
    ids=["free", "stale endpoint", "stuck"],
)
def test_a_network_goes_with_what_hangs_on_it_or_says_why_it_stays(kept: Kept, said: str) -> None:
    assert (network.remove(kept, rest=0), kept.gone) == (said, not said)


def test_ranges_do_not_overlap() -> None:
    everyone = [Range.number(index) for index in range(512)]
    assert len({r.subnet4 for r in everyone}) == len({r.subnet6 for r in everyone}) == 512


@pytest.fixture(scope="module")
def every() -> dict[str, zones.Zone]:
    made = zones.initial(Range.number(7), zones.Keys("v=DKIM1; p=" + "A" * 400, "v=DKIM1; p=B", "v=DKIM1; p=C"))
    return {zone.name: zone for zone in made}


def test_every_delegation_is_vouched_for_by_its_parent(every: dict[str, zones.Zone]) -> None:
    for child in every.values():
        if child.name != ".":
            parent = every["example." if child.name.endswith(".example.") else "."]
            assert child.ds in parent.records
            assert f"{child.name} NS {zones.NS[0]}" in parent.records


def test_the_ds_is_that_of_the_key_that_signs(every: dict[str, zones.Zone]) -> None:
    zone = every["relay.example."]
    key = dns.dnssec.make_dnskey(zone.key.public_key(), dns.dnssectypes.Algorithm.ECDSAP256SHA256, 257)
    given = dns.rdata.from_text("IN", "DS", zone.ds.split(" DS ")[1])
    assert given == dns.dnssec.make_ds(dns.name.from_text(zone.name), key, "SHA256")


def test_zone_files_parse_and_the_sites_hold_nothing_yet(every: dict[str, zones.Zone]) -> None:
    parsed = {name: dns.zone.from_text(zone.text, name) for name, zone in every.items()}
    for site in zones.SITES:
        nodes = parsed[f"{site}."].nodes.values()
        assert {rdataset.rdtype.name for node in nodes for rdataset in node} == {"SOA", "NS"}
    (key,) = parsed["relay.example."].find_rdataset("*.dkim", "TXT")
    assert [len(part) for part in key.strings] == [255, 156]


def test_reverse_zones_hold_all_of_a_range() -> None:
    four, six = zones.reverse_names(Range.number(0x1F4))
    assert (four, six) == ("244.19.198.in-addr.arpa.", "4.f.1.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.")


def test_only_the_sites_zones_take_updates(every: dict[str, zones.Zone]) -> None:
    text = zones.knot(tuple(every.values()), Tsig("k", "hmac-sha256", "c2VjcmV0"))
    assert text.count("acl: site") == len(zones.SITES)
    for site in zones.SITES:
        assert f'domain: "{site}."\n    file: {site}.zone\n    acl: site' in text


def test_a_certificate_is_good_for_its_name_and_no_other() -> None:
    ca = authority.create()
    leaf, *rest = x509.load_pem_x509_certificates(ca.issue("mail.lantern.example").certificate.encode())
    builder = PolicyBuilder().store(Store([ca.certificate]))
    builder.build_server_verifier(x509.DNSName("mail.lantern.example")).verify(leaf, rest)
    with pytest.raises(x509.verification.VerificationError):
        builder.build_server_verifier(x509.DNSName("smtp.relay.example")).verify(leaf, rest)
    (addressed, *_) = x509.load_pem_x509_certificates(
        ca.issue("x.example", "198.18.0.7", "2001:db8::7").certificate.encode()
    )
    for address in ("198.18.0.7", "2001:db8::7"):
        builder.build_server_verifier(x509.IPAddress(ip_address(address))).verify(addressed, rest)
    with pytest.raises(x509.verification.VerificationError):
        PolicyBuilder().store(Store([authority.create().certificate])).build_server_verifier(
            x509.DNSName("mail.lantern.example")
        ).verify(leaf, rest)


def test_a_testbed_that_runs_has_its_ca_sign_a_certificate_that_is_over() -> None:
    ca = authority.create()
    again = authority.kept(ca.pem, authority.private_pem(ca.key))
    over = again.issue("mail.lantern.example", lifetime=-timedelta(days=1))
    leaf, _ = x509.load_pem_x509_certificates(over.certificate.encode())
    leaf.verify_directly_issued_by(ca.certificate)
    assert leaf.not_valid_before_utc < leaf.not_valid_after_utc < datetime.now(UTC)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("testbed")


@pytest.fixture(scope="module")
def known(folder: Path) -> State:
    plot = Plot("mail-runbooks-0", folder, Range.number(3))
    return contents.create(plot, "mrb-0", Image("r", "sha256:1", "stand-in", "d"), egress_25=False)


def test_the_state_comes_back_as_it_was_written_and_is_private(tmp_path: Path, known: State) -> None:
    state.save(tmp_path, known)
    assert state.load(tmp_path) == known
    assert stat.S_IMODE((tmp_path / state.FILE).stat().st_mode) == 0o600


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"name": "x"}'])
def test_a_state_nobody_understands_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / state.FILE).write_text(text)
    assert state.load(tmp_path) is None


def test_private_keys_are_files_of_their_owner(folder: Path, known: State) -> None:
    assert known.server.host_key.startswith("SHA256:")
    keys = [p for p in folder.rglob("*") if p.is_file() and "PRIVATE KEY" in p.read_text()]
    assert len(keys) == 29
    assert {stat.S_IMODE(path.stat().st_mode) for path in keys} == {0o600}


@pytest.mark.parametrize("host", ["resend", "mxroute"])
def test_a_provider_begins_with_the_keys_its_customer_holds(folder: Path, known: State, host: str) -> None:
    account = getattr(known, host)
    path = folder / "hosts" / host / "testbed/state.json"
    text = path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert account.api == f"https://{account.ipv4}"
    assert account.api_key in {key["token"] for key in json.loads(text)["keys"]}
    assert account.password in text


def test_an_images_name_changes_with_its_contents(tmp_path: Path) -> None:
    class Engine:
        """Answers what the engine is asked here: the base image's id."""

        images = property(lambda self: self)
        id = "sha256:1"

        def get(self, name: str) -> Engine:
            assert name == "mail-runbooks/debian:trixie"
            return self

    (tmp_path / "Dockerfile").write_text("FROM x")
    recipe = images.Recipe("try", tmp_path, "trixie")
    first = recipe.tag(Engine())  # type: ignore[arg-type]
    (tmp_path / "Dockerfile").write_text("FROM y")
    assert first.startswith("mail-runbooks/try:")
    assert recipe.tag(Engine()) != first  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("info", "said"),
    [
        ({"OperatingSystem": "Docker Desktop"}, "Docker Desktop"),
        (
            {"OperatingSystem": "Debian", "SecurityOptions": ["name=seccomp,profile=default", "name=rootless"]},
            "rootless",
        ),
    ],
)
def test_an_engine_whose_containers_cannot_be_reached_is_refused_at_once(info: dict[str, object], said: str) -> None:
    class Engine:
        """An engine that describes itself."""

        def info(self) -> dict[str, object]:
            return info

    with pytest.raises(engine.EngineError, match=said):
        engine.require_reachable(Engine())  # type: ignore[arg-type]
