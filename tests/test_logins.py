"""Logins of one run: how often a wrong password is tried, and that the right ones do not wait for it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Barrier

import pytest
import sites
from postoffice import PostOffice
from scripts import Authority
from test_abuse import COW
from test_letters import REHEARSED

from runbooklib import delivery
from runbooklib.credentials import Secret
from runbooklib.delivery import asking
from runbooklib.delivery.bans import Bans
from runbooklib.delivery.handover import Sent
from runbooklib.delivery.logins import MOST, WINDOW, Logins, of
from runbooklib.delivery.messages import Letter, Letters, Route
from runbooklib.delivery.questions import SUBMISSION, Envelope, Kind, Question
from runbooklib.endpoint import LoginError, local_dial
from runbooklib.params import Site
from runbooklib.results import Status

HERE, FRIEND, OTHER, HI = "127.0.0.1", "friend@stranger.example", "other@stranger.example", "hi@lantern.example"
PASSWORD = Secret("env:HI_PASSWORD")
UNKNOWN = Status.UNKNOWN


@pytest.fixture(autouse=True)
def password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HI_PASSWORD", "stale-Passw0rd")


@pytest.fixture
def ca(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def office(ca: Authority) -> Iterator[PostOffice]:
    with PostOffice(ca.serving(HERE), {FRIEND: "another"}) as office:
        yield office


def site(ca: Authority, office: PostOffice, *addresses: str) -> Site:
    def login(address: str, port: int) -> dict[str, object]:
        return {"host": HERE, "port": port, "username": address, "password": "env:HI_PASSWORD", "ca": ca.pem}

    recipients = [
        {"address": a, "submission": login(a, office.submission), "imap": login(a, office.ports[143])}
        for a in addresses
    ]
    return sites.make(server=REHEARSED | {"ssh": {"port": 1}}, test={"recipients": recipients})


def letters(count: int, *senders: str) -> Letters:
    boxes = [senders[n % len(senders)] for n in range(count)]
    return Letters(
        "run",
        f"logins-{count}",
        tuple(Letter(n, Route.INBOUND, "lantern.example", a, HI, a) for n, a in enumerate(boxes)),
    )


def test_a_stale_password_is_tried_once_however_many_letters_and_mailboxes_need_it(
    ca: Authority, office: PostOffice
) -> None:
    here, plan = site(ca, office, FRIEND), letters(6, FRIEND)
    sent = delivery.send(here, plan, apply=True)
    arrived = delivery.fetch(here, Sent(plan, (replace(sent.handed[0], fate="accepted"),), applied=True), wait=1)
    assert office.logins == [FRIEND]
    first = [h for h in sent if h.verdict is Status.FAIL]
    rest = [h for h in sent if h.verdict is UNKNOWN]
    assert (len(first), len(rest)) == (1, 5)
    assert {h.fate for h in sent} == {"unsent"}
    assert all(h.said.startswith("not tried, this password was refused before: login as friend") for h in rest)
    assert all(h.fix for h in sent)
    assert arrived.troubles[FRIEND].said.startswith("not tried")


def test_many_stale_passwords_stay_below_what_bans(ca: Authority, office: PostOffice) -> None:
    boxes = [f"box{n}@stranger.example" for n in range(4)]
    sent = delivery.send(site(ca, office, *boxes), letters(8, *boxes), apply=True)
    assert len(office.logins) == MOST
    left = [h.said for h in sent if "refused 2 passwords" in h.said]
    assert len(left) == 2 * 2
    assert all("who goes on is banned" in said for said in left)


def test_another_mailbox_goes_on_side_by_side(ca: Authority, office: PostOffice) -> None:
    together = Barrier(3)

    def deliver(message: bytes) -> bytes:
        together.wait(20)
        return message

    office.passwords, office.deliver = {OTHER: "stale-Passw0rd"}, deliver
    sent = delivery.send(site(ca, office, FRIEND, OTHER), letters(6, FRIEND, OTHER), apply=True)
    assert [h.fate for h in sent] == ["unsent", "accepted"] * 3
    assert office.logins.count(FRIEND) == 1


def test_the_deliberate_wrong_password_counts_among_the_others(ca: Authority) -> None:
    """mailcow, where it can be asked by a login only; five mailboxes of our own are stale besides."""
    more = [{"address": f"box{n}@lantern.example", "password": "env:HI_PASSWORD"} for n in range(5)]
    here = sites.make(
        mail=COW | {"tls": {"ca": ca.pem}},
        domains__0__mailboxes=more,
        domains__0__relay="direct",
        domains__0__aliases={},
        domains__0__catch_all=None,
    )
    with PostOffice(ca.serving("mail.lantern.example"), {}) as office:
        asked = [Question(Kind.PASSWORD, SUBMISSION, box=more[0]["address"])]
        asked += [Question(Kind.SENDS_AS, SUBMISSION, a, a, (Envelope("itself", a, a),)) for a in map(_address, more)]

        def dial(_: str, port: int, timeout: float) -> socket.socket:
            return local_dial(HERE, office.ports[port], timeout)

        told = asking.ask_all(here, asked, dial, Bans("nothing bans", None))
        assert len(office.logins) == MOST
    assert [a.status for a in told].count(Status.FAIL) == MOST
    assert "refused 2 passwords" in told[0].trouble


def _address(box: dict[str, str]) -> str:
    return box["address"]


def refuses(status: Status = Status.FAIL, *, refused: bool = True) -> LoginError:
    return LoginError("login as x: 535 no", status, refused=refused)


def tried(logins: Logins, user: str, error: LoginError | None = None, host: str = "mail.example.net") -> bool:
    """Whether a login was tried at all."""
    asked: list[str] = []

    def login() -> None:
        asked.append(user)
        if error:
            raise error

    with suppress(LoginError):
        logins.enter(host, user, PASSWORD, login)
    return bool(asked)


def test_what_is_not_known_to_be_wrong_is_tried_again() -> None:
    logins = Logins()
    assert [tried(logins, "a", refuses(UNKNOWN, refused=False)) for _ in range(4)] == [True] * 4  # 454, a hang-up
    assert [tried(logins, "a") for _ in range(3)] == [True] * 3


def test_a_host_that_refused_two_passwords_is_given_only_those_it_took() -> None:
    logins = Logins()
    assert tried(logins, "good")
    assert [tried(logins, user, refuses()) for user in ("a", "b", "a", "c")] == [True, True, False, False]
    assert tried(logins, "good")
    assert not tried(logins, "new")
    assert tried(logins, "new", host="imap.example.org")


def test_a_password_that_was_set_meanwhile_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    logins = Logins()
    assert [tried(logins, "a", refuses()), tried(logins, "a")] == [True, False]
    monkeypatch.setenv("HI_PASSWORD", "mended-Passw0rd")
    assert tried(logins, "a")


def test_a_password_that_was_taken_and_is_refused_now_is_not_tried_on() -> None:
    logins = Logins()
    assert [tried(logins, "a"), tried(logins, "a", refuses()), tried(logins, "a")] == [True, True, False]


def test_what_bans_have_forgotten_may_be_tried_again() -> None:
    now = [0.0]
    logins = Logins(lambda: now[0])
    assert [tried(logins, "a", refuses()), tried(logins, "b", refuses())] == [True, True]
    now[0] = WINDOW - 1
    assert not tried(logins, "a")
    now[0] = WINDOW + 1
    assert tried(logins, "a")


def test_the_cells_of_a_stage_share_them_and_a_site_that_is_loaded_anew_has_its_own() -> None:
    one, other = sites.make(), sites.make()
    assert of(one) is of(one)
    assert of(one) is not of(other)
