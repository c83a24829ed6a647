"""What a relay's ports and answers mean: each bad day has a word, and no login goes to whoever is not the relay."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import paramiko
import pytest
import sites
from scripts import SILENCE, START_TLS, Authority, Script

from runbooklib import endpoint
from runbooklib.endpoint import (
    CertificateError,
    Endpoint,
    EndpointError,
    GreetingError,
    NoStartTlsError,
    Reply,
    TlsError,
    UnreachableError,
)
from runbooklib.host import Answer, Host
from runbooklib.params import Relay, Site
from runbooklib.relays import egress, envelope, ports, proof, vantage
from runbooklib.relays.ports import Attempt, Survey
from runbooklib.relays.proof import Known
from runbooklib.results import Check, Checklist, Status

HOST = "smtp.example.net"
EHLO = f"250-{HOST}\n250-STARTTLS\n250 AUTH PLAIN"
HELLO = ["220 hi", EHLO]
TLS = [*HELLO, "220 go ahead", START_TLS, EHLO]
LOGIN, OK, BYE = "235 2.7.0 ok", "250 2.0.0 ok", "221 2.0.0 bye"
TAKEN = [*TLS, LOGIN, *(OK,) * 6, BYE]  # MAIL, RCPT and RSET for the domain and for no sender
SEEN = "250-x\n250 PIPELINING"
At = Mapping[int, Script]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OFFICE_SMTP", "correct horse")


def dial_to(scripts: At) -> endpoint.Dial:
    """Ports that a script stands behind; the others refuse, and 25 is dropped as clouds have it."""

    def dial(address: str, port: int, timeout: float) -> socket.socket:
        if port in scripts:
            return endpoint.local_dial("127.0.0.1", scripts[port].port, timeout)
        raise TimeoutError(address) if port == 25 else ConnectionRefusedError(address)

    return dial


def site(authority: Authority, **changes: Any) -> Site:
    return sites.make(
        relays__office__ca=authority.pem,
        test={"recipients": [{"address": "someone@example.org"}]},
        **{f"relays__office__{k}": v for k, v in changes.items()},
    )


@pytest.fixture
def serve(authority: Authority) -> Iterator[Callable[..., At]]:
    """Scripts behind ports: lines for the relay itself, or a script."""
    with ExitStack() as stack:

        def start(each: Mapping[int, list[str] | Script]) -> At:
            made = {p: s if isinstance(s, Script) else Script(s, authority.serving(HOST)) for p, s in each.items()}
            return {port: stack.enter_context(script) for port, script in made.items()}

        yield start


def rows(here: Site, scripts: At, patience: float = 30) -> dict[str, Check]:
    """What is proved of the relay, by the first word of each row."""
    seen = ports.survey(here.used_relays, dial_to(scripts), {HOST: "192.0.2.1"}, patience)
    found = proof.spoken(Known(here), "office", seen["office"])
    return {check.name.partition(" ")[0]: check for check in found}


@dataclass
class Moment:
    """A server from which the first connection to 587 breaks off, or every one, and later ones reach the relay."""

    relay: Script
    trouble: Script
    times: int
    tried: int = 0

    def facts(self, names: Mapping[str, str]) -> dict[str, Answer]:
        return dict.fromkeys(names, Answer(0, "192.0.2.1 STREAM"))

    def dial(self, address: str, port: int, timeout: float) -> socket.socket:
        if port != 587:
            raise ConnectionRefusedError(address)
        self.tried += 1
        at = self.trouble if self.tried <= self.times else self.relay
        return endpoint.local_dial("127.0.0.1", at.port, timeout)


@pytest.mark.parametrize(
    ("times", "tried", "status"), [(1, 2, Status.PASS), (9, 2, Status.UNKNOWN)], ids=["once", "always"]
)
def test_a_relay_that_broke_off_is_asked_once_more(
    authority: Authority, serve: Callable[..., At], times: int, tried: int, status: Status
) -> None:
    scripts = serve({587: TAKEN, 2525: []})
    server = Moment(scripts[587], scripts[2525], times)
    checks = proof.ask(Known(site(authority)), vantage.at(cast("Host", server)), pause=0)
    (row,) = [c for c in checks if c.name == "relay.port office"]
    assert (server.tried, row.status) == (tried, status)


def test_a_good_relay_is_asked_everything_and_sent_nothing(authority: Authority, serve: Callable[..., At]) -> None:
    scripts = serve({587: TAKEN, 2525: TLS})
    found = rows(site(authority), scripts)
    assert {name: check.status for name, check in found.items()} == dict.fromkeys(
        ["relay.port", "relay.ports", "relay.login", "relay.sender", "relay.null-sender"], Status.PASS
    )
    assert found["relay.ports"].observed == "25 dropped; 465 refused; 587 open; 2465 refused; 2525 open"
    said = [line for line in scripts[587].heard if line.split(" ")[0] not in {"ehlo", "STARTTLS", "AUTH"}]
    assert [line.lower() for line in said] == [
        "mail from:<hi@lantern.example>",
        "rcpt to:<someone@example.org>",
        "rset",
        "mail from:<>",
        "rcpt to:<someone@example.org>",
        "rset",
        "quit",
    ]
    assert [line for line in scripts[2525].heard if line.startswith("AUTH")] == []


def other(authority: Authority, folder: Path, kind: str) -> Script:
    """Somebody on the way who speaks for the relay."""
    return {
        "wrong name": lambda: Script(TLS, authority.serving("proxy.example.org")),
        "unknown CA": lambda: Script(TLS, Authority(folder, "other").serving(HOST)),
        "STARTTLS not offered": lambda: Script(["220 proxy", "250-x\n250 AUTH PLAIN LOGIN", LOGIN]),
        "plain text instead of TLS": lambda: Script(["220 proxy", EHLO, LOGIN]),
    }[kind]()


@pytest.mark.parametrize(
    ("port", "kind"),
    [
        (587, "wrong name"),
        (587, "unknown CA"),
        (587, "STARTTLS not offered"),
        (465, "wrong name"),
        (465, "unknown CA"),
        (465, "plain text instead of TLS"),
    ],
)
def test_on_an_intercepted_port_no_login_is_sent(
    authority: Authority, serve: Callable[..., At], tmp_path: Path, port: int, kind: str
) -> None:
    proxy = other(authority, tmp_path, kind)
    proxy.implicit = port == 465 and proxy.tls is not None
    proxy.lines = HELLO if proxy.implicit else proxy.lines
    scripts = serve({port: proxy, 2525: TLS})
    found = rows(site(authority, port=port), scripts)
    row = found["relay.port"]
    assert (row.status, list(found)) == (Status.FAIL, ["relay.port", "relay.ports"])
    assert row.observed.startswith("intercepted (")
    assert kind in row.observed
    assert "no login was sent" in row.fix
    assert "under relays.office write `port: 2525`" in row.fix
    heard = [line.upper() for script in scripts.values() for line in script.heard]
    assert not [line for line in heard if "AUTH" in line or "MAIL" in line]


def test_a_foreign_certificate_everywhere_may_be_params_fault(authority: Authority, serve: Callable[..., At]) -> None:
    elsewhere = authority.serving("relay.example.org")
    scripts = serve({587: Script(TLS, elsewhere), 2525: Script(TLS, elsewhere)})
    found = rows(site(authority), scripts)
    assert found["relay.port"].observed.startswith("foreign certificate: wrong name")
    assert "correct relays.office.host or name its CA in relays.office.ca" in found["relay.port"].fix
    assert found["relay.ports"].status is Status.FAIL


@pytest.mark.parametrize(
    ("given", "open_ports", "line"),
    [
        ({"provider": "resend", "port": 587}, (465, 2465, 2587, 25), "`port: 2587`"),
        ({"provider": "resend", "port": 2587}, (465, 2465), "`port: 465`"),
        ({"provider": "mxroute", "port": 587}, (465, 2525), "`port: 2525`"),
        ({"provider": "smtp", "port": 465, "tls": "implicit"}, (2525,), "`port: 2525` and `tls: starttls`"),
    ],
)
def test_the_first_good_starttls_port_is_proposed(
    given: dict[str, Any], open_ports: tuple[int, ...], line: str
) -> None:
    seen = survey(given, dict.fromkeys(open_ports), UnreachableError("", dropped=True))
    row = ports.wanted("r", seen)
    assert row.observed.startswith("dropped; ")
    assert f"under relays.r write {line}" in row.fix
    assert ports.table("r", seen).status is Status.PASS


def survey(given: dict[str, Any], each: Mapping[int, EndpointError | None], wanted: EndpointError | None) -> Survey:
    """A survey as it would be, without a network."""
    relay = Relay.model_validate({"host": HOST, "username": "u", "password": "env:OFFICE_SMTP", **given})

    def attempt(port: int, error: EndpointError | None) -> Attempt:
        return Attempt(Endpoint(HOST, port, "implicit" if port in ports.IMPLICIT else "starttls"), error)

    mine = Attempt(Endpoint(HOST, relay.port, relay.mode), wanted)
    return Survey(relay, mine, tuple(attempt(port, error) for port, error in each.items()))


FOREIGN = CertificateError("x", "wrong name")


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (None, "open"),
        (UnreachableError("x", dropped=True), "dropped"),
        (UnreachableError("x", refused=True), "refused"),
        (UnreachableError("no route"), "unreachable"),
        (FOREIGN, "intercepted (foreign certificate: wrong name)"),
        (CertificateError("x", "unknown CA"), "intercepted (foreign certificate: unknown CA)"),
        (CertificateError("x", "expired"), "certificate expired"),
        (NoStartTlsError("x"), "intercepted (STARTTLS not offered)"),
        (NoStartTlsError("454 later", 454), "no TLS"),
        (TlsError("x"), "no TLS"),
        (GreetingError("421 busy", 421), "turned away with 421"),
        (GreetingError("x"), "connected, then silence"),
    ],
)
def test_what_happened_at_a_port_has_a_word(error: EndpointError | None, word: str) -> None:
    seen = survey({"provider": "resend", "port": 465}, {587: error}, None)
    assert seen.word(seen.others[0]) == word


def test_port_25_of_a_relay_nobody_documented_may_be_without_tls() -> None:
    seen = survey({"provider": "smtp"}, {25: NoStartTlsError("x")}, None)
    assert seen.word(seen.others[0]) == "STARTTLS not offered"


@pytest.mark.parametrize(
    ("errors", "status"),
    [
        ({587: UnreachableError("x", dropped=True), 25: UnreachableError("x", refused=True)}, Status.UNKNOWN),
        ({587: GreetingError("421 busy", 421), 25: UnreachableError("x", dropped=True)}, Status.UNKNOWN),
        ({587: FOREIGN, 25: UnreachableError("x", dropped=True)}, Status.FAIL),
    ],
)
def test_no_port_at_all(errors: Mapping[int, EndpointError], status: Status) -> None:
    seen = survey({"provider": "smtp", "port": 465}, errors, UnreachableError("x", dropped=True))
    assert ports.table("r", seen).status is status


@pytest.mark.parametrize(("port", "tls", "kind"), [(465, "starttls", "implicit"), (587, "implicit", "starttls")])
def test_tls_of_the_other_kind_is_told_by_its_name(
    authority: Authority, serve: Callable[..., At], port: int, tls: str, kind: str
) -> None:
    here = authority.serving(HOST)
    scripts = serve({port: Script(HELLO, here, implicit=True) if port == 465 else Script(TLS, here)})
    found = rows(site(authority, port=port, tls=tls), scripts, patience=2)  # each waits for the other to begin
    assert found["relay.port"].status is Status.FAIL
    assert f"under relays.office write `tls: {kind}`" in found["relay.port"].fix
    assert "relay.login" not in found


@pytest.mark.parametrize(
    ("lines", "name", "status", "words"),
    [
        (["421 4.3.2 too busy"], "relay.port", Status.UNKNOWN, "turned away with 421"),
        (["554 5.7.1 go away"], "relay.port", Status.FAIL, "turned away with 554"),
        ([SILENCE], "relay.port", Status.UNKNOWN, "connected, then silence"),
        ([*TLS, "454 4.7.0 later"], "relay.login", Status.UNKNOWN, "454"),
        ([*TLS[:-1], SEEN], "relay.login", Status.FAIL, "only none"),
        ([*TLS[:-1], "250-x\n250 AUTH GSSAPI CRAM-MD5"], "relay.login", Status.FAIL, "only GSSAPI, CRAM-MD5"),
        ([*TLS, LOGIN, "421 4.7.0 leaving"], "relay.sender", Status.UNKNOWN, "MAIL FROM:<hi@lantern.example>: 421"),
        ([*TLS, LOGIN], "relay.sender", Status.UNKNOWN, "the dialogue broke"),
        ([*TLS, LOGIN, OK, "554 5.7.1 relay denied", OK], "relay.sender", Status.FAIL, "RCPT TO:<someone@example.org>"),
    ],
)
def test_a_relay_that_breaks_off_turns_red(
    authority: Authority, serve: Callable[..., At], lines: list[str], name: str, status: Status, words: str
) -> None:
    found = rows(site(authority), serve({587: lines}), patience=0.5 if SILENCE in lines else 30)
    assert (found[name].status, words in found[name].observed) == (status, True), found[name]
    assert found[name].fix
    assert "relay.sender" not in found or found["relay.sender"].status is not Status.PASS


@pytest.mark.parametrize(
    ("said", "status", "waits_for", "fix"),
    [
        ("550 The x domain is not verified. Please, add and verify your domain", Status.PENDING, "04-dns", "04-dns"),
        ("451 4.7.1 The x domain is not verified", Status.PENDING, "04-dns", "04-dns"),
        ("554 Message rejected: Email address is not verified.", Status.PENDING, "04-dns", "04-dns"),
        ("550 not authorized to relay for x", Status.PENDING, "04-dns", "04-dns"),
        ("550 This API key is not authorized to send emails from x", Status.FAIL, "", "sending key"),
        ("554 User is not authorized to perform ses:SendRawEmail", Status.FAIL, "", "sending key"),
        ("553 5.7.1 <a@x>: Sender address rejected: not owned by user u", Status.FAIL, "", "mailbox of this domain"),
        ("550 Sender verify failed", Status.FAIL, "", "local mail hosting"),
        ("550 You have reached your daily email sending quota.", Status.FAIL, "", "allowance"),
        ("454 Throttling failure: Daily message quota exceeded.", Status.UNKNOWN, "", "allowance"),
        ("530 5.7.0 Authentication required", Status.FAIL, "", "username and password"),
        ("451 4.3.0 try again", Status.UNKNOWN, "", "answer says why"),
        ("550 5.7.1 no", Status.FAIL, "", "answer says why"),
    ],
)
def test_why_a_sender_is_refused(said: str, status: Status, waits_for: str, fix: str) -> None:
    row = endpoint.judge("relay.sender x", "taken", Reply("MAIL FROM:<a@x>", int(said[:3]), said), "[old.example]:587")
    assert (row.status, row.waits_for) == (status, waits_for)
    assert fix in row.fix
    assert row.fix.endswith("the route stays [old.example]:587")
    assert said in row.observed


@pytest.mark.parametrize(
    ("answers", "status", "takes"),
    [
        ([OK, OK, OK], Status.PASS, True),
        (["501 Invalid MAIL FROM address provided", OK], Status.PASS, False),
        ([OK, "550 5.7.1 no bounces here", OK], Status.PASS, False),
        (["451 4.7.1 later", OK], Status.UNKNOWN, None),
        ([], Status.UNKNOWN, None),
    ],
)
def test_mail_without_a_sender(
    authority: Authority, serve: Callable[..., At], answers: list[str], status: Status, takes: bool | None
) -> None:
    scripts = serve({587: [*TLS, LOGIN, OK, OK, OK, *answers]})
    row = rows(site(authority), scripts)["relay.null-sender"]
    assert row.status is status
    assert not row.blocks
    assert envelope.takes_null_sender(Checklist("", (row,)), "office") is takes
    assert envelope.takes_null_sender(Checklist(""), "office") is None


class Told(Host):
    """A server that answers facts from a table."""

    def __init__(self, **told: Answer) -> None:
        super().__init__(paramiko.SSHClient())
        self.told = told

    def facts(self, commands: Mapping[str, str], *_: object, **__: object) -> dict[str, Answer]:
        return {name: self.told[name] for name in commands}


ADDRESSES = """2: ens3    inet 8.8.8.8/24 brd 8.8.8.255 scope global ens3\\       valid_lft forever
3: docker0    inet 172.17.0.1/16 brd 172.17.255.255 scope global docker0\\       valid_lft forever"""
ROUTE = "9.9.9.9 via {0} dev ens3 src {0} uid 0 \n    cache"


@pytest.mark.parametrize(
    ("own", "out", "status", "words"),
    [
        (Answer(0, ADDRESSES), Answer(0, ROUTE.format("8.8.8.8")), Status.PASS, "on an interface"),
        (Answer(0, ADDRESSES[90:]), Answer(0, ROUTE.format("100.72.1.9")), Status.FAIL, "100.72.1.9, behind carrier"),
        (Answer(0, ""), Answer(2, "RTNETLINK answers: Network is unreachable"), Status.FAIL, "no way out by IPv4"),
        (Answer(127, "sh: ip: not found"), Answer(127, "sh: ip: not found"), Status.UNKNOWN, "ip: not found"),
    ],
)
def test_the_server_s_interfaces_are_asked(own: Answer, out: Answer, status: Status, words: str) -> None:
    row = egress.public_ipv4(sites.make(server__ipv4="8.8.8.8"), vantage.at(Told(own=own, out=out)))
    assert (row.status, words in row.observed) == (status, True), row


def adopted(**changes: Any) -> Site:
    """A mailcow that is reached by its API alone."""
    mail = {"server": "mailcow", "url": "https://mail.lantern.example", "api_key": "env:COW_KEY"}
    return sites.make(**{"mail": mail, "test": {"recipients": [{"address": "a@192.0.2.1"}]}} | changes)


@pytest.mark.parametrize("ipv4", ["8.8.8.8", "10.0.0.5"])
def test_without_a_shell_only_the_server_could_tell(ipv4: str) -> None:
    here = adopted(server__ipv4=ipv4)
    place = vantage.of(here)
    address, way_out = egress.public_ipv4(here, place), egress.direct_25(here, place)
    assert (way_out.status, way_out.advisory, way_out.observed) == (Status.UNKNOWN, True, vantage.NO_SHELL)
    assert address.status is (Status.UNKNOWN if ipv4 == "8.8.8.8" else Status.FAIL)
    assert address.blocks is (ipv4 != "8.8.8.8")


def test_without_a_shell_the_relay_is_proved_from_this_machine(authority: Authority, serve: Callable[..., At]) -> None:
    scripts, here = serve({587: TAKEN}), site(authority)
    place = replace(
        vantage.here(here), addresses=lambda names: dict.fromkeys(names, "192.0.2.1"), dial=dial_to(scripts)
    )
    found = {check.name: check for check in proof.ask(Known(here), place)}
    assert found["relay.name office"].expected == f"{HOST} resolves for this machine"
    assert {c.status for c in found.values()} == {Status.PASS}


def test_a_name_that_only_has_ipv6_here_is_not_known_to_be_wrong() -> None:
    here = sites.make(relays__office__host="192.0.2.7")
    assert vantage.here(here).addresses(["192.0.2.7", "2001:db8::7"]) == {"192.0.2.7": "192.0.2.7"}
    place = replace(vantage.here(here), addresses=lambda _: {})
    (row,) = proof.ask(Known(here), place, pause=0)
    assert (row.name, row.status, row.observed) == ("relay.name office", Status.UNKNOWN, "only 192.0.2.7")


@pytest.mark.parametrize(
    ("reached", "ipv4", "own", "source", "status", "words"),
    [
        ("8.8.8.8", "8.8.8.8", ["8.8.8.8"], "8.8.8.8", Status.PASS, "on an interface"),
        ("8.8.8.8", "8.8.8.8", ["10.0.0.5"], "10.0.0.5", Status.PASS, "maps 8.8.8.8 to it"),
        ("203.0.113.9", "8.8.8.8", ["10.0.0.5"], "10.0.0.5", Status.WARN, "behind NAT"),
        ("8.8.8.8", "8.8.8.8", ["9.9.9.9"], "9.9.9.9", Status.WARN, "leaves as 9.9.9.9"),
        ("8.8.8.8", "8.8.8.8", ["100.72.1.9"], "100.72.1.9", Status.FAIL, "carrier-grade NAT"),
        ("8.8.8.8", "8.8.8.8", ["192.0.0.2"], "192.0.0.2", Status.FAIL, "DS-Lite"),
        ("2001:db8::1", "8.8.8.8", [], "", Status.FAIL, "no way out by IPv4"),
        ("2001:db8::1", "100.64.0.9", ["100.64.0.9"], "100.64.0.9", Status.FAIL, "which is not public: carrier"),
        ("10.0.0.5", "10.0.0.5", ["10.0.0.5"], "10.0.0.5", Status.FAIL, "which is not public: private"),
        ("198.18.7.10", "198.18.7.10", ["198.18.7.10"], "198.18.7.10", Status.PASS, "on an interface"),
        ("8.8.8.8", "8.8.8.8", ["198.18.7.10"], "198.18.7.10", Status.PASS, "maps 8.8.8.8 to it"),
    ],
)
def test_whether_the_server_s_address_is_public(
    reached: str, ipv4: str, own: list[str], source: str, status: Status, words: str
) -> None:
    row = egress.judge(sites.make(server__ipv4=ipv4), own, source, reached)
    assert (row.status, words in row.observed) == (status, True), row
    assert bool(row.fix) is (status is not Status.PASS)
    if status is Status.FAIL:
        assert "most senders cannot reach" in row.fix
