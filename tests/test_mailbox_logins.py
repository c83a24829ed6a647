"""Logins as providers want them: a token, a client that says who it is, and their refusals in our words."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest
from postoffice import PostOffice
from scripts import Authority, Script

from runbooklib import credentials, endpoint
from runbooklib.credentials import Secret, Token
from runbooklib.endpoint import Endpoint, FolderError, LoginError
from runbooklib.results import Status

HOST, ME = "mail.elsewhere.example", "me@elsewhere.example"
PASSWORD, TOKEN = "correct horse battery", "ya29.a0AfB_byC-0123456789"
EXPIRED = "ya29.a0AfB_byC-expired"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("P", PASSWORD)
    monkeypatch.setenv("T", TOKEN)
    monkeypatch.setenv("OLD", EXPIRED)
    yield
    credentials.forget()


def office(ca: Authority, **settings: Any) -> PostOffice:
    return PostOffice(ca.serving(HOST), {ME: PASSWORD}, **settings)


def read(there: PostOffice, ca: Authority, secret: Secret, *, identify: bool = False) -> None:
    """Logs in over IMAP and opens the inbox."""
    where = Endpoint(HOST, there.imaps, "implicit", ca.pem)
    with endpoint.leaving(endpoint.imap(where, endpoint.local_dial, "127.0.0.1", 5)) as client:
        endpoint.imap_login(client, ME, secret, identify=identify)
        endpoint.examine(client)


def write(there: PostOffice, ca: Authority, secret: Secret) -> None:
    """Logs in for submission."""
    where = Endpoint(HOST, there.submission, "starttls", ca.pem)
    with endpoint.ending(endpoint.smtp(where, endpoint.local_dial, "127.0.0.1", 5)) as client:
        endpoint.login(client, ME, secret)


WAYS = pytest.mark.parametrize("way", [read, write])


@WAYS
def test_a_token_opens_what_takes_no_passwords(authority: Authority, way: Any) -> None:
    with office(authority, plain=False, tokens={ME: TOKEN}) as there:
        way(there, authority, Token("env:T"))
        assert there.logins == [ME]


@WAYS
def test_a_refused_token_is_told_with_what_the_server_says_of_it(authority: Authority, way: Any) -> None:
    with office(authority, tokens={ME: TOKEN}) as there, pytest.raises(LoginError) as caught:
        way(there, authority, Token("env:OLD"))
    assert caught.value.status is Status.FAIL
    assert "status 401 (expired, revoked or no token); it wants the scope https://mail.example.org/" in str(
        caught.value
    )
    assert "into env:OLD" in caught.value.fix
    assert there.logins == [ME]  # tried once


@WAYS
def test_where_no_tokens_are_taken_none_is_shown(authority: Authority, way: Any) -> None:
    with office(authority) as there, pytest.raises(LoginError, match="XOAUTH2") as caught:
        way(there, authority, Token("env:T"))
    assert "password:" in caught.value.fix
    assert there.logins == []


def test_a_password_where_only_tokens_are_taken_over_smtp_is_told() -> None:
    with Script(["220 hi", "250-x\n250 AUTH XOAUTH2"]) as script:
        where = Endpoint(HOST, script.port, "none")
        client = endpoint.smtp(where, endpoint.local_dial, "127.0.0.1", 5)
        with endpoint.ending(client), pytest.raises(LoginError) as caught:
            endpoint.login(client, ME, Secret("env:P"))
    assert "oauth:" in caught.value.fix


def test_a_password_where_imap_takes_only_tokens_is_told(authority: Authority) -> None:
    there = office(authority, plain=False, tokens={ME: TOKEN}, offers="LOGINDISABLED")
    with there, pytest.raises(LoginError, match=r"LOGIN is disabled there.*only AUTH=XOAUTH2") as caught:
        read(there, authority, Secret("env:P"))
    assert "oauth:" in caught.value.fix
    assert there.logins == []


def test_a_token_is_masked_in_every_form_it_is_sent_in() -> None:
    credentials.learn(TOKEN, "env:T")
    sent = base64.b64encode(f"user={ME}\1auth=Bearer {TOKEN}\1\1".encode()).decode()
    for said in (TOKEN, f"auth=Bearer {TOKEN}", sent, f"AUTH XOAUTH2 {sent}"):
        masked = credentials.mask(said)
        assert "‹env:T›" in masked
        for start in range(len(TOKEN) - 11):  # no longer run of it is left
            assert TOKEN[start : start + 12] not in masked
        assert sent[-30:-4] not in masked


def test_a_client_says_who_it_is_before_a_folder_is_opened(authority: Authority) -> None:
    with office(authority, asks_who=True) as there:
        read(there, authority, Secret("env:P"))
    (said,) = there.visitors
    assert said.startswith('("name" "mail-runbooks" "version" "')
    assert ME not in said


def test_it_is_said_unasked_only_where_params_wish_it(authority: Authority) -> None:
    with office(authority) as there:
        read(there, authority, Secret("env:P"))
        assert there.visitors == []
        read(there, authority, Secret("env:P"), identify=True)
        assert len(there.visitors) == 1


def test_where_only_login_is_offered_user_and_password_are_quoted(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("P", 'pass "word" \\ more')
    there = PostOffice(authority.serving(HOST), {ME: 'pass "word" \\ more'}, sasl=False)
    with there:
        read(there, authority, Secret("env:P"))
    assert there.logins == [ME]


def test_a_password_that_login_cannot_carry_is_told(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("P", "пароль-密码")
    with office(authority, sasl=False) as there, pytest.raises(LoginError, match="outside ASCII"):
        read(there, authority, Secret("env:P"))
    assert there.logins == []


QQ = (
    "Login fail. Account is abnormal, service is not open, password is incorrect, login frequency limited, or system "
    "is busy."
)


@pytest.mark.parametrize(
    ("said", "status", "words"),
    [
        ("[ALERT] Application-specific password required: https://support.example", Status.FAIL, "app password"),
        ("Please using authorized code to login. More at http://service.example", Status.FAIL, "authorisation code"),
        ("Login Fail. Please enter your authorization code to login.", Status.FAIL, "authorisation code"),
        (QQ, Status.UNKNOWN, "too many logins"),
        ("[AUTHENTICATIONFAILED] 5.7.139 basic authentication is disabled.", Status.FAIL, "oauth:"),
        ("5.7.139 SmtpClientAuthentication is disabled for the Mailbox", Status.FAIL, "administrator"),
        ("[WEBALERT https://x.example] Web login required.", Status.FAIL, "web browser"),
        ("IMAP access is disabled for your domain", Status.FAIL, "turn IMAP on"),
        ("[UNAVAILABLE] Temporary authentication failure", Status.UNKNOWN, "wait"),
        ("Too many login failures", Status.UNKNOWN, "wait"),
        ("[AUTHENTICATIONFAILED] Invalid credentials (Failure)", Status.FAIL, "check username and password"),
    ],
)
@WAYS
def test_a_refusal_is_told_with_its_cause(
    authority: Authority, way: Any, said: str, status: Status, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("P", "not this one")
    with office(authority, says_no=said) as there, pytest.raises(LoginError) as caught:
        way(there, authority, Secret("env:P"))
    assert said in str(caught.value)
    assert (caught.value.status, words in caught.value.fix) == (status, True)
    assert there.logins == [ME]


@pytest.mark.parametrize(
    ("folder", "asks_who", "words"), [("INBOX", True, "preset: 163"), ("Gone", False, "shown to IMAP")]
)
def test_a_folder_that_is_not_opened_is_told(
    authority: Authority, folder: str, asks_who: bool, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("P", PASSWORD)
    with office(authority, asks_who=asks_who) as there:
        where = Endpoint(HOST, there.imaps, "implicit", authority.pem)
        with endpoint.leaving(endpoint.imap(where, endpoint.local_dial, "127.0.0.1", 5)) as client:
            client.authenticate("PLAIN", lambda _: f"\0{ME}\0{PASSWORD}".encode())
            with pytest.raises(FolderError) as caught:
                endpoint.examine(client, folder)
    assert words in caught.value.fix
    assert caught.value.status is Status.FAIL
