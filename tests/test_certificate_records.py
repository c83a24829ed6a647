"""Records that rest on the certificate the server shows: the pin of its key, and who may issue it."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import pytest
import sites
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from scripts import Authority, Script

from runbooklib import endpoint, records, zone
from runbooklib.params import Site
from runbooklib.records import Wanted
from runbooklib.results import Check, Plan, Status
from runbooklib.servers import certificates, dane, docker_mailserver, issuers, postfix
from runbooklib.servers.engine import Engine
from runbooklib.servers.files import FileFact
from runbooklib.servers.issuers import Above

AUTHORITY, RESOLVER = "192.0.2.1", "192.0.2.53"
HEAD = "@ 3600 SOA ns1.lantern.example. h.lantern.example. 7 3600 600 86400 300\nmail 300 A 203.0.113.10\n"
HOST, PIN = "mail.lantern.example", "_25._tcp.mail.lantern.example"
END = b"-----END PRIVATE KEY-----\n"
OTHER = "3 1 1 " + "cd" * 32


def site(**tls: Any) -> Site:
    mail = sites.GIVEN["mail"]
    dns = {"resolvers": [RESOLVER], "authoritative": [AUTHORITY], "optional": ["tlsa", "caa"]}
    return sites.make(mail=mail | {"tls": mail["tls"] | tls}, dns=dns)


def judged(wanted: Wanted, text: str) -> tuple[tuple[str, ...], Check]:
    """What would be published, and the row."""
    zones = {AUTHORITY: {"lantern.example": HEAD + text}, RESOLVER: {"lantern.example": HEAD + text}}
    want = records.Desired((wanted,))
    seen = zone.observe(site(), want, wire=zone.Literal(zones, {RESOLVER}))
    plan = records.diff(want, seen)
    return tuple(v for c in plan for v in c.after.split("\n")), records.verify(want, seen, plan)[wanted.check]


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key and certificate in one file."""
    folder = tmp_path_factory.mktemp("ca")
    Authority(folder).serving(HOST)
    return folder / f"{HOST}.30.pem"


@pytest.fixture(scope="module")
def certificate(pem: Path) -> bytes:
    return x509.load_pem_x509_certificate(pem.read_bytes().partition(END)[2]).public_bytes(Encoding.DER)


# the pin


@pytest.mark.parametrize(
    ("tls", "signed", "standing", "status", "planned"),
    [
        ({"key_kept": True}, True, False, Status.PENDING, True),
        ({"key_kept": True}, True, True, Status.PASS, False),
        ({"key_kept": True}, False, False, Status.PENDING, False),  # nobody would look
        ({"key_kept": True}, None, False, Status.UNKNOWN, False),
        ({}, True, False, Status.PENDING, False),  # the next renewal would break it
        ({}, True, True, Status.WARN, False),
        ({"next_key": "nowhere.pem"}, True, False, Status.UNKNOWN, False),
    ],
)
def test_the_pin_waits_for_signed_zones_and_for_a_word_about_renewals(
    certificate: bytes, tls: dict[str, Any], signed: bool | None, standing: bool, status: Status, planned: bool
) -> None:
    ours = f"3 1 1 {dane.digest(certificate)}"
    after, row = judged(
        dane.wanted(site(**tls), certificate, validated=signed), f"{PIN}. 300 TLSA {ours}" if standing else ""
    )
    assert (row.status, after) == (status, (ours,) if planned else ())
    assert bool(row.fix) == (status is not Status.PASS)
    assert not row.blocks


def test_a_pin_of_another_key_is_a_fault_where_anybody_looks(certificate: bytes) -> None:
    text = f"{PIN}. 300 TLSA {OTHER}"
    for tls, signed, status in (({}, True, Status.FAIL), ({}, False, Status.PENDING)):
        after, row = judged(dane.wanted(site(**tls), certificate, validated=signed), text)
        assert (row.status, after) == (status, ())


def test_the_key_to_come_is_pinned_beside_it(certificate: bytes, pem: Path, tmp_path: Path) -> None:
    ours = f"3 1 1 {dane.digest(certificate)}"
    Authority(tmp_path).serving(HOST)
    whole = (tmp_path / f"{HOST}.30.pem").read_bytes()
    coming = x509.load_pem_x509_certificate(whole.partition(END)[2])
    public = coming.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    theirs = f"3 1 1 {dane.digest(coming.public_bytes(Encoding.DER))}"
    for name, text in (("all.pem", whole), ("public.pem", public), ("key.pem", whole.partition(END)[0] + END)):
        (tmp_path / name).write_bytes(text)
        wanted = dane.wanted(site(next_key=str(tmp_path / name)), certificate, validated=True)
        assert wanted.values == (ours, theirs)
        assert "two TTLs" in wanted.reason
    after, row = judged(wanted, f"{PIN}. 300 TLSA {ours}")
    assert (after, row.status) == ((theirs,), Status.PENDING)
    assert "the key to come" in row.observed
    (tmp_path / "key.pem").write_text("nothing")
    assert judged(dane.wanted(site(next_key=str(tmp_path / "key.pem")), certificate, validated=True), "")[1].status is (
        Status.UNKNOWN
    )
    assert dane.wanted(site(next_key=str(pem)), certificate, validated=True).values == (ours,)


@pytest.mark.parametrize(
    ("tls", "standing", "contradicted"),
    [
        ({"key_kept": True}, [OTHER], True),
        ({"key_kept": True}, ["ours", OTHER], False),
        ({"key_kept": True}, [], False),
        ({"next_key": "all.pem"}, [OTHER], False),  # nobody said that it stays
    ],
)
def test_a_key_that_changed_although_params_say_it_is_kept_is_a_failure_and_its_pin_is_added(
    certificate: bytes, pem: Path, tls: dict[str, Any], standing: list[str], contradicted: bool
) -> None:
    ours = f"3 1 1 {dane.digest(certificate)}"
    wanted = dane.wanted(
        site(**tls | ({"next_key": str(pem)} if "next_key" in tls else {})), certificate, validated=True
    )
    text = "".join(f"{PIN}. 300 TLSA {ours if pin == 'ours' else pin}\n" for pin in standing)
    wire = zone.Literal({AUTHORITY: {"lantern.example": HEAD + text}}, {RESOLVER})
    seen = zone.observe(site(), records.Desired((wanted,)), wire=wire)
    plan = records.diff(records.Desired((wanted,)), seen)
    rows = [c for c in records.verify(records.Desired((wanted,)), seen, plan) if c.name == f"dns.tlsa.kept {PIN}"]
    assert [c.status for c in rows] == ([Status.FAIL] if contradicted else [])
    assert plan.touches(PIN) is ("ours" not in standing)


SERVED = FileFact("of another key", 0o600, "root:root")


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ([], ""),  # not validated
        ([{"ours"}, {"ours", OTHER}], ""),
        ([set(), set()], ""),  # nothing is pinned
        ([{OTHER}], "does not list"),
        ([{"ours", OTHER}, {OTHER}], "two TTLs later, 7200 s"),  # one still remembers what stood before
        ([set(), {OTHER}], "does not list"),
        (None, "nobody says"),
    ],
)
def test_a_new_key_is_not_uploaded_before_every_resolver_shows_its_pin(
    certificate: bytes, pem: Path, told: list[set[str]] | None, said: str
) -> None:
    ours = f"3 1 1 {dane.digest(certificate)}"

    def pins(_site: Site) -> list[frozenset[str]]:
        if told is None:
            raise endpoint.ResolverError("no answer")
        return [frozenset(ours if p == "ours" else p for p in each) for each in told]

    here = site(key=str(pem))
    reasons = list(dane.unlisted(here, SERVED, pins))
    assert (len(reasons), said in "".join(reasons)) == (1 if said else 0, True)
    digest = hashlib.sha256(pem.read_bytes()).hexdigest()
    assert not list(dane.unlisted(here, replace(SERVED, digest=digest), asked_nobody))


def asked_nobody(_site: Site) -> list[frozenset[str]]:
    raise AssertionError


def test_nobody_is_asked_for_pins_where_there_is_no_key_yet_or_no_tlsa_is_wanted(pem: Path) -> None:
    assert not list(dane.unlisted(site(key=str(pem)), None, asked_nobody))
    assert not list(dane.unlisted(sites.make(mail__tls__key=str(pem)), SERVED, asked_nobody))


def test_a_key_that_cannot_be_read_is_not_uploaded_beside_pins(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text("nothing")
    (reason,) = dane.unlisted(site(key=str(tmp_path / "key.pem")), SERVED, asked_nobody)
    assert "no PEM of a key" in reason


DEBIAN = {"ID": "debian", "VERSION_ID": "13", "VERSION_CODENAME": "trixie", "PRETTY_NAME": "Debian 13"}


@pytest.mark.parametrize(
    ("server", "plan", "bare", "key"),
    [
        (
            "docker-mailserver",
            docker_mailserver.bootstrap.plan,
            docker_mailserver.state.State(Engine(DEBIAN, systemd=True)),
            docker_mailserver.layout.KEY,
        ),
        ("postfix", postfix.bootstrap.plan, postfix.state.State(DEBIAN), postfix.layout.KEY),
    ],
)
def test_the_plan_of_01_uploads_no_key_that_pins_may_not_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: str, plan: Callable[..., Plan], bare: Any, key: str
) -> None:
    monkeypatch.setenv("HI_PASSWORD", "correct horse")
    files = {name: str(tmp_path / name) for name in ("certificate", "key")}
    for path in files.values():
        Path(path).write_text("another")
    here = sites.make(mail=sites.GIVEN["mail"] | {"server": server, "tls": files})
    pinned = here.model_copy(update={"dns": here.dns.model_copy(update={"optional": ("tlsa",)})})
    have = replace(bare, files={key: SERVED})
    (reason,) = plan(pinned, have).refusals
    assert "no PEM of a key" in reason
    assert not plan(pinned, bare).refusals
    assert not plan(here, have).refusals


@pytest.mark.parametrize(
    ("host", "name"), [("mail.lantern.example", "lantern.example"), ("lantern.co.uk", "lantern.co.uk")]
)
def test_a_signed_suffix_says_nothing_of_the_hosts_zone(host: str, name: str) -> None:
    assert dane.existing(host) == name


def test_without_a_certificate_nothing_is_pinned() -> None:
    after, row = judged(dane.wanted(site(key_kept=True), None, validated=True), "")
    assert (after, row.status, row.waits_for) == ((), Status.PENDING, "01-bootstrap")


def test_only_a_certificate_that_verifies_is_taken(tmp_path: Path) -> None:
    ca = Authority(tmp_path)
    with Script(["* hello"], ca.serving(HOST), implicit=True) as server:
        here = sites.make(server__ipv4="127.0.0.1", mail=sites.GIVEN["mail"] | {"tls": {**PLAIN, "ca": ca.pem}})
        shown = certificates.implicit(here, server.port)
        with pytest.raises(endpoint.EndpointError):
            certificates.implicit(sites.make(server__ipv4="127.0.0.1"), server.port)
    served = x509.load_pem_x509_certificate((tmp_path / f"{HOST}.30.pem").read_bytes().partition(END)[2])
    assert shown == served.public_bytes(Encoding.DER)


PLAIN = {"certificate": "certs/mail.pem", "key": "certs/mail.key"}


def test_nobody_is_asked_where_nothing_is_asked_for() -> None:
    assert list(certificates.records(sites.make(server__host="192.0.2.99"))) == []


@pytest.mark.parametrize(
    ("flags", "rcode", "found"),
    [
        (dns.flags.AD, dns.rcode.NOERROR, True),
        (dns.flags.AD, dns.rcode.NXDOMAIN, True),  # that there is none was validated
        (0, dns.rcode.NOERROR, False),
        (0, dns.rcode.SERVFAIL, None),
    ],
)
def test_a_resolver_says_that_it_validated(flags: int, rcode: dns.rcode.Rcode, found: bool | None) -> None:
    with resolver(flags, rcode) as port:
        if found is None:
            with pytest.raises(endpoint.ResolverError):
                endpoint.validated("lantern.example", "SOA", ["127.0.0.1"], 2, port)
        else:
            assert endpoint.validated("lantern.example", "SOA", ["127.0.0.1"], 2, port) is found


@contextmanager
def resolver(flags: int, rcode: dns.rcode.Rcode) -> Iterator[int]:
    """Answers one question so."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(5)

        def answer() -> None:
            wire, client = sock.recvfrom(512)
            query = dns.message.from_wire(wire)
            assert query.flags & dns.flags.AD  # RFC 6840 5.7: else a resolver need not say it
            reply = dns.message.make_response(query)
            reply.flags |= flags
            reply.set_rcode(rcode)
            sock.sendto(reply.to_wire(), client)

        thread = threading.Thread(target=answer)
        thread.start()
        yield sock.getsockname()[1]
        thread.join()


# who may issue

OURS = '0 issue "letsencrypt.org"'
ANOTHER = '0 issue "ca.example.net"'


@pytest.mark.parametrize(
    ("above", "standing", "status", "planned"),
    [
        (Above(), "", Status.PENDING, (OURS,)),
        (Above(), f"mail 300 CAA {OURS}", Status.PASS, ()),
        (Above(), 'mail 300 CAA 0 issue "letsencrypt.org; validationmethods=dns-01"', Status.PASS, ()),
        (Above(), f"mail 300 CAA {ANOTHER}", Status.PENDING, (OURS,)),
        (Above(), 'mail 300 CAA 0 issue ";"', Status.PENDING, (OURS,)),
        (Above("lantern.example", (OURS,)), "", Status.PASS, ()),
        (Above("lantern.example", (OURS,)), f"mail 300 CAA {ANOTHER}", Status.FAIL, ()),
        (Above("lantern.example", (ANOTHER,)), "", Status.PENDING, (ANOTHER, OURS)),  # narrows nothing
        (Above(unseen="no answer"), "", Status.UNKNOWN, ()),
    ],
)
def test_the_ca_in_use_may_issue_and_nobody_who_may_today_is_shut_out(
    above: Above, standing: str, status: Status, planned: tuple[str, ...]
) -> None:
    after, row = judged(issuers.wanted(site(issuer="letsencrypt.org"), None, above), standing)
    assert (row.status, after) == (status, planned)
    assert bool(row.fix) == (status is not Status.PASS)


def test_a_ca_that_is_not_known_has_to_be_named(certificate: bytes) -> None:
    for seen in (None, certificate):
        after, row = judged(issuers.wanted(site(), seen, Above()), "")
        assert (after, row.status) == ((), Status.PENDING)
        assert "mail.tls.issuer" in row.fix
