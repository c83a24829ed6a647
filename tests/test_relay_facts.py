"""What 06 asks relays and their providers: login and senders by SMTP, domains and keys by API, Postfix's tables."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from doubles import MANAGING, SENDING, Double, mxroute_state, resend_state, running
from scripts import START_TLS, Authority, Script
from sites import make

from runbooklib import credentials, endpoint
from runbooklib.endpoint import Dial, LoginError
from runbooklib.params import Site
from runbooklib.probes import login, providers, sending
from runbooklib.probes.mailflow import UnseenError
from runbooklib.relays import ProviderError
from runbooklib.servers.effective import Effective

HI, FRIEND = "hi@lantern.example", "friend@stranger.example"
HOP, PASSWORD = "[smtp.example.net]:587", "a long password"
HOST = "smtp.example.net"
TLS = ["220 hi", "250-x\n250 STARTTLS", "220 go ahead", START_TLS]
GREETED = [*TLS, "250-x\n250 AUTH PLAIN"]
LET_IN = [*GREETED, "235 ok"]
DIGEST = hashlib.sha256(f"u:{PASSWORD}".encode()).hexdigest()


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("OFFICE_SMTP", PASSWORD)
    monkeypatch.setenv("RESEND_ADMIN_KEY", MANAGING)
    yield
    credentials.forget()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


def asked(lines: list[str], authority: Authority, dial: Dial = endpoint.local_dial) -> tuple[dict[str, Any], list[str]]:
    """What is told of a relay that a script plays, and what that heard."""
    with Script(lines, authority.serving(HOST)) as script:
        relay = {"relays__office__host": HOST, "relays__office__port": script.port, "relays__office__tls": "starttls"}
        site = make(**relay, relays__office__ca=authority.pem)
        return login.told(site, "office", "127.0.0.1", dial), script.heard


def test_a_relay_that_lets_us_in_is_asked_for_each_sender_and_for_none(authority: Authority) -> None:
    found, heard = asked([*LET_IN, "250 a", "250 b", "501 Invalid MAIL FROM", "250 c", "221 bye"], authority)
    assert found["state"] == "ok"
    assert found["answers"] == {
        HI: {"code": 250, "said": "250 a"},
        "": {"code": 501, "said": "MAIL FROM:<>: 501 Invalid MAIL FROM"},
    }
    assert [line.split(":")[0] for line in heard[-5:]] == ["mail FROM", "rset", "mail FROM", "rset", "quit"]


def test_after_a_relay_hung_up_nobody_else_is_asked(authority: Authority) -> None:
    found, _ = asked([*LET_IN, "421 Too many messages"], authority)
    assert found["answers"] == {HI: {"code": 421, "said": f"MAIL FROM:<{HI}>: 421 Too many messages"}}


@pytest.mark.parametrize(
    ("lines", "state"),
    [
        (["554 go away"], "greeting"),
        (["220 hi", "250 x"], "tls"),
        ([*GREETED, "535 wrong"], "login"),
        ([*TLS, "250 x"], "login"),
    ],
    ids=["turned away", "no TLS offered", "refused", "no login offered"],
)
def test_what_became_of_the_login_in_a_word(authority: Authority, lines: list[str], state: str) -> None:
    found, _ = asked(lines, authority)
    assert found["state"] == state
    assert PASSWORD not in str(found)


def test_one_silence_is_none_and_two_are(authority: Authority) -> None:
    def deaf(times: int) -> Dial:
        silences = iter(range(times))

        def dial(address: str, port: int, timeout: float) -> socket.socket:
            if next(silences, None) is not None:
                raise TimeoutError
            return endpoint.local_dial(address, port, timeout)

        return dial

    lines = [*LET_IN, "250 a", "250 b", "250 c", "250 d", "221 bye"]
    assert asked(lines, authority, deaf(1))[0]["state"] == "ok"
    assert asked(lines, authority, deaf(2))[0]["state"] == "unreachable"


def test_a_login_that_is_put_off_was_not_seen(authority: Authority) -> None:
    with pytest.raises(LoginError, match="454"):
        asked([*GREETED, "454 Temporary authentication failure"], authority)


def test_the_first_mailboxes_of_a_domain_are_asked_for_and_its_postmaster_where_it_has_none() -> None:
    boxes = [{"address": f"box{n}@lantern.example", "password": "env:HI_PASSWORD"} for n in range(9)]
    full = {"name": "lantern.example", "relay": "office", "mailboxes": boxes}
    site = make(domains=[full, {"name": "pier.example", "relay": "office"}])
    first = [f"box{n}@lantern.example" for n in range(login.SENDERS)]
    assert list(login.senders(site.domains)) == [*first, "postmaster@pier.example"]


@pytest.fixture
def resend(tmp_path: Path) -> Iterator[Double]:
    with running("resend", tmp_path, resend_state()) as double:
        yield double


def site(double: Double, **changes: Any) -> Site:
    relay = {"provider": double.name, "api": double.url, "ca": str(double.ca), "api_key": "env:RESEND_ADMIN_KEY"}
    relay |= {"password": "env:OFFICE_SMTP"} | changes
    return make(domains__0__relay="it", relays={"it": relay}, test={"recipients": [{"address": FRIEND}]})


def told(double: Double, **changes: Any) -> dict[str, Any]:
    """The one fact of a site whose only relay has this provider."""
    ((name, probe),) = providers.probes(site(double, **changes))
    assert name == "provider it"
    return probe()


def domain(status: str, record: str) -> dict[str, Any]:
    records = [{"record": "SPF", "name": "send", "type": "TXT", "value": "v=spf1", "status": record}]
    return {"lantern.example": {"id": "d", "status": status, "region": "us-east-1", "records": records}}


def test_what_resend_says_of_the_domain_its_allowance_and_whom_it_drops(resend: Double) -> None:
    resend.set(domains=domain("failed", "failed"), suppressions=[{"email": FRIEND, "created_at": "2026-11-20"}])
    found = told(resend)
    lacks = ["TXT send.lantern.example: failed"]
    assert found["domains"]["lantern.example"] == {"status": "failed", "trusted": False, "missing": lacks}
    assert found["suppressed"] == [{"address": FRIEND, "origin": "bounce", "since": "2026-11-20"}]
    assert found["used"] == {"today": 3, "this month": 41}


def test_a_domain_that_resend_does_not_know_and_one_it_trusts(resend: Double) -> None:
    assert told(resend)["domains"]["lantern.example"]["status"] == "absent"
    resend.set(domains=domain("partially_verified", "verified"))
    assert told(resend)["domains"]["lantern.example"]["trusted"]


def test_a_key_that_is_refused_is_seen_and_an_api_that_fails_is_not(resend: Double) -> None:
    resend.set(keys=[])
    found = told(resend)
    assert found["state"] == "key"
    assert MANAGING not in str(found)
    resend.fault(status=404)
    with pytest.raises(ProviderError):
        told(resend)


def test_a_key_that_may_only_send_tells_nothing(resend: Double, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESEND_ADMIN_KEY", SENDING)
    with pytest.raises(ProviderError, match="restricted_api_key"):
        told(resend)


def test_nobody_asks_a_provider_without_a_managing_key(resend: Double) -> None:
    assert not list(providers.probes(site(resend, api_key=None)))
    assert not list(providers.probes(make()))


def test_mxroute_knows_the_domains_that_were_proved_to_it(tmp_path: Path) -> None:
    login_there = {"host": "name.mxrouting.example", "username": HI, "api_user": "lantern"}
    with running("mxroute", tmp_path, mxroute_state()) as double:
        assert told(double, **login_there)["domains"]["lantern.example"]["status"] == "absent"
        double.set(domains={"lantern.example": {"status": "verified", "mail_hosting": False}})
        assert told(double, **login_there)["domains"]["lantern.example"]["trusted"]


@pytest.mark.parametrize(("held", "word"), [(DIGEST, "same"), ("0" * 64, "another"), ("", "none")])
def test_the_login_postfix_holds_is_compared_by_its_digest(held: str, word: str) -> None:
    have = Effective(transport="smtp", senders={"@lantern.example": HOP}, logins={HOP: held} if held else {})
    way = sending.told(make(), have)["lantern.example"]
    assert way == {"hop": HOP, "line": True, "implicit": False, "login": word}


def test_mail_without_a_line_leaves_as_everybody_s_and_mail_without_a_sender_has_a_way_of_its_own() -> None:
    have = Effective(relayhost="[other.example]:465", transport="smtps-relay:", senders={"<>": HOP})
    found = sending.told(make(), have)
    assert found["lantern.example"] == {"hop": "[other.example]:465", "line": False, "implicit": True, "login": "none"}
    assert sending.hops(found) == {"lantern.example": "[other.example]:465"}
    assert found["<>"] == {"hop": HOP, "line": True, "implicit": True, "login": ""}


def test_where_no_postfix_answers_no_way_was_seen() -> None:
    with pytest.raises(UnseenError):
        sending.told(make(), Effective())
