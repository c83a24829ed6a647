"""Every way a mail service can fail to be spoken to has a name of its own; the servers are real, on loopback."""

from __future__ import annotations

import base64
import socket
from pathlib import Path

import pytest
from scripts import SILENCE, START_TLS, Authority, Script

from runbooklib import endpoint
from runbooklib.credentials import Secret
from runbooklib.endpoint import (
    CertificateError,
    Endpoint,
    EndpointError,
    GreetingError,
    LoginError,
    NoStartTlsError,
    Tls,
    TlsError,
    UnreachableError,
)
from runbooklib.endpoint.connection import tls_error
from runbooklib.results import Status

HOST = "mail.lantern.example"
EHLO = "250-mail.lantern.example\n250-STARTTLS\n250 AUTH PLAIN LOGIN"
HELLO = ["220 hi", EHLO]
TLS = [*HELLO, "220 go ahead", START_TLS, EHLO]
PATIENCE, SILENT = 30.0, 0.5  # seconds for an answer that comes, and for one that does not


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("P", "correct horse")


def smtp(script: Script, ca: str | None = None, tls: Tls = "starttls", timeout: float = PATIENCE) -> str:
    """Opens, says how TLS stands, and closes."""
    where = Endpoint(HOST, script.port, tls, ca)
    with endpoint.ending(endpoint.smtp(where, endpoint.local_dial, "127.0.0.1", timeout)) as client:
        return str(getattr(client.sock, "version", lambda: "plain")())


def test_starttls_is_verified_against_the_name_not_the_address(authority: Authority) -> None:
    with Script(TLS, authority.serving(HOST)) as script:
        assert smtp(script, authority.pem) == "TLSv1.3"
    assert script.heard[:3] == ["ehlo runbook.invalid", "STARTTLS", "ehlo runbook.invalid"]


def test_implicit_tls(authority: Authority) -> None:
    with Script(HELLO, authority.serving(HOST), implicit=True) as script:
        assert smtp(script, authority.pem, "implicit") == "TLSv1.3"


def test_no_tls_where_none_is_asked_for() -> None:
    with Script(HELLO) as script:
        assert smtp(script, tls="none") == "plain"
    assert "STARTTLS" not in script.heard


@pytest.mark.parametrize(("name", "days", "reason"), [(HOST, -1, "expired"), ("other.example", 30, "wrong name")])
def test_a_bad_certificate_is_refused_with_its_reason(authority: Authority, name: str, days: int, reason: str) -> None:
    with Script(TLS, authority.serving(name, days)) as script, pytest.raises(CertificateError) as caught:
        smtp(script, authority.pem)
    assert caught.value.reason == reason
    assert caught.value.status is Status.FAIL
    assert reason in str(caught.value)


def test_a_certificate_of_a_stranger_s_ca_is_refused(authority: Authority, tmp_path: Path) -> None:
    with Script(TLS, Authority(tmp_path, "other").serving(HOST)) as script, pytest.raises(CertificateError) as caught:
        smtp(script, authority.pem)
    assert caught.value.reason == "unknown CA"


def test_without_a_ca_the_public_ones_count(authority: Authority) -> None:
    with Script(TLS, authority.serving(HOST)) as script, pytest.raises(CertificateError, match="unknown CA"):
        smtp(script)


@pytest.mark.parametrize(
    ("lines", "error", "words", "status"),
    [
        (["220 hi", "250-x\n250 PIPELINING"], NoStartTlsError, "not offered", Status.FAIL),
        ([*HELLO, "454 4.7.0 TLS not available"], NoStartTlsError, "454 4.7.0 TLS not available", Status.FAIL),
        ([*HELLO, "220 go ahead", "this is no TLS"], TlsError, "no TLS handshake", Status.FAIL),
        (["554 5.7.1 go away"], GreetingError, "554 5.7.1 go away", Status.FAIL),
        (["421 4.3.2 too busy"], GreetingError, "421 4.3.2 too busy", Status.UNKNOWN),
        (["220 hi", "502 5.5.2 what"], GreetingError, "EHLO answered 502", Status.FAIL),
        (["220 hi", "421 4.3.2 leaving"], GreetingError, "EHLO answered 421", Status.UNKNOWN),
        ([], GreetingError, "broke off", Status.UNKNOWN),
        ([SILENCE], GreetingError, "said nothing in time", Status.UNKNOWN),
    ],
)
def test_each_failure_says_what_was_seen(
    lines: list[str], error: type[EndpointError], words: str, status: Status
) -> None:
    with Script(lines) as script, pytest.raises(error, match=words) as caught:
        smtp(script, timeout=SILENT if SILENCE in lines else PATIENCE)
    assert caught.value.status is status


def test_a_handshake_that_nobody_answers_is_silence_and_no_fault_of_tls() -> None:
    error = tls_error(Endpoint(HOST, 465, "implicit"), TimeoutError("The handshake operation timed out"))
    assert isinstance(error, GreetingError)
    assert (str(error), error.status) == (f"{HOST}:465: no TLS answer in time", Status.UNKNOWN)
    assert "reply" not in error.fix
    assert "reply" in GreetingError("421 4.3.2 too busy", 421).fix


def test_starttls_spoken_to_a_port_of_implicit_tls_is_told(authority: Authority) -> None:
    with Script(HELLO, authority.serving(HOST), implicit=True) as script, pytest.raises(GreetingError):
        smtp(script, timeout=SILENT)


def test_implicit_tls_spoken_to_a_port_of_starttls_is_told(authority: Authority) -> None:
    with Script(HELLO) as script, pytest.raises(TlsError, match="no TLS handshake") as caught:
        smtp(script, authority.pem, "implicit")
    assert caught.value.plaintext


def test_a_refused_connection_is_not_a_dropped_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(UnreachableError, match="refused") as caught:
        endpoint.smtp(Endpoint(HOST, port, "starttls"), endpoint.local_dial, "127.0.0.1")
    assert (caught.value.refused, caught.value.dropped, caught.value.status) == (True, False, Status.UNKNOWN)


def test_silence_is_a_dropped_connection() -> None:
    def dial(address: str, port: int, timeout: float) -> socket.socket:
        raise TimeoutError(address, port, timeout)

    with pytest.raises(UnreachableError, match="dropped") as caught:
        endpoint.smtp(Endpoint(HOST, 25, "none"), dial, "192.0.2.1", 1)
    assert (caught.value.refused, caught.value.dropped) == (False, True)


def test_the_next_address_is_tried_when_one_cannot_be_reached() -> None:
    tried: list[str] = []

    def attempt(address: str) -> str:
        tried.append(address)
        if address.endswith(".1"):
            raise UnreachableError("no route")
        return address

    assert endpoint.first(["192.0.2.1", "192.0.2.2", "192.0.2.3"], attempt) == "192.0.2.2"
    assert tried == ["192.0.2.1", "192.0.2.2"]
    with pytest.raises(UnreachableError):
        endpoint.first(["192.0.2.1"], attempt)


def login(script: Script) -> None:
    where = Endpoint(HOST, script.port, "none")
    with endpoint.ending(endpoint.smtp(where, endpoint.local_dial, "127.0.0.1", PATIENCE)) as client:
        client.sock.settimeout(SILENT if SILENCE in script.lines else PATIENCE)
        endpoint.login(client, "hi", Secret("env:P"))


def test_a_refused_login_is_tried_once_and_does_not_show_the_password() -> None:
    with Script([*HELLO, "535 5.7.8 no", "535 5.7.8 no"]) as script, pytest.raises(LoginError) as caught:
        login(script)
    assert "535 5.7.8 no" in str(caught.value)
    assert "horse" not in str(caught.value)
    assert [line.split()[:2] for line in script.heard if line.startswith("AUTH")] == [["AUTH", "PLAIN"]]


def test_login_by_the_mechanism_that_is_offered() -> None:
    said = ["220 hi", "250-x\n250 AUTH LOGIN XOAUTH2", "334 UGFzc3dvcmQ6", "235 2.7.0 ok"]
    with Script(said) as script:
        login(script)
    assert script.heard[1] == "AUTH LOGIN aGk="


@pytest.mark.parametrize("password", ['pass:$"# word', "päss wörd", "пароль-密码"])
@pytest.mark.parametrize(
    ("offer", "answers"), [("PLAIN", ["235 ok"]), ("PLAIN", ["334 ", "235 ok"]), ("LOGIN", ["334 ", "235 ok"])]
)
def test_any_password_is_sent_as_utf8(
    password: str, offer: str, answers: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("P", password)
    with Script(["220 hi", f"250-x\n250 AUTH {offer}", *answers]) as script:
        login(script)
    heard = base64.b64decode(script.heard[len(answers)].split()[-1])
    assert heard.rpartition(b"\0")[2].decode() == password  # RFC 4616 2


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ("535 5.7.8 no", Status.FAIL),
        ("534 5.7.9 too weak", Status.FAIL),
        ("454 4.7.0 Temporary authentication failure", Status.UNKNOWN),
        ("421 4.3.2 leaving", Status.UNKNOWN),
        (SILENCE, Status.UNKNOWN),
    ],
)
def test_a_login_put_off_is_not_a_login_refused(said: str, status: Status) -> None:
    with Script([*HELLO, said]) as script, pytest.raises(LoginError) as caught:
        login(script)
    assert caught.value.status is status


@pytest.mark.parametrize(
    ("offer", "words"), [("AUTH XOAUTH2 GSSAPI", "only XOAUTH2, GSSAPI"), ("PIPELINING", "only none")]
)
def test_no_known_login_offered(offer: str, words: str) -> None:
    with Script(["220 hi", f"250-x\n250 {offer}"]) as script, pytest.raises(LoginError, match=words) as caught:
        login(script)
    assert caught.value.status is Status.FAIL
    assert not any(line.startswith("AUTH") for line in script.heard)


@pytest.mark.parametrize(("said", "words"), [("421 4.3.2 busy", "EHLO answered 421"), (SILENCE, "in time")])
def test_a_service_that_turns_away_once_inside_tls(authority: Authority, said: str, words: str) -> None:
    lines = [*HELLO, "220 go ahead", START_TLS, said]
    with Script(lines, authority.serving(HOST)) as script, pytest.raises(GreetingError, match=words) as caught:
        smtp(script, authority.pem, timeout=2 if said == SILENCE else PATIENCE)  # four answers come before the silence
    assert caught.value.status is Status.UNKNOWN


def test_imap_over_implicit_tls_is_verified(authority: Authority) -> None:
    with Script(["* PREAUTH hi"], authority.serving("other.example"), implicit=True) as script:
        where = Endpoint(HOST, script.port, "implicit", authority.pem)
        with pytest.raises(CertificateError, match="wrong name"):
            endpoint.imap(where, endpoint.local_dial, "127.0.0.1", PATIENCE)


def test_imap_that_does_not_greet() -> None:
    with Script([SILENCE]) as script, pytest.raises(GreetingError, match="said nothing in time") as caught:
        endpoint.imap(Endpoint(HOST, script.port, "none"), endpoint.local_dial, "127.0.0.1", SILENT)
    assert caught.value.status is Status.UNKNOWN


def test_an_address_needs_no_resolver() -> None:
    assert endpoint.resolve("192.0.2.7", []) == ["192.0.2.7"]
    assert endpoint.resolve("2001:db8::7", []) == ["2001:db8::7"]
