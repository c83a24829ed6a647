"""Handing over and looking side by side: each message waits for all the others, which those one by one never meet."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from threading import Barrier, Thread

import pytest
import sites
from letters import MARKER
from postoffice import PostOffice
from scripts import Authority
from test_letters import REHEARSED
from test_searching import letter as written

from runbooklib import delivery
from runbooklib.delivery.handover import Handed, Sent
from runbooklib.delivery.messages import Letter, Letters, Route
from runbooklib.delivery.transfer import AT_ONCE
from runbooklib.params import Site

HERE, FRIEND, HI = "127.0.0.1", "friend@stranger.example", "hi@lantern.example"
PATIENCE = 20  # seconds; who is not met by then never comes


@pytest.fixture(autouse=True)
def password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HI_PASSWORD", "hi-Passw0rd")


@pytest.fixture
def ca(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def opened(ca: Authority, *addresses: str) -> PostOffice:
    return PostOffice(ca.serving(HERE), dict.fromkeys(addresses, "hi-Passw0rd"))


def site(ca: Authority, offices: dict[str, PostOffice]) -> Site:
    """A site whose recipients outside are at these offices."""
    recipients = [
        {"address": address, "submission": _login(ca, address, o.submission), "imap": _login(ca, address, o.ports[143])}
        for address, o in offices.items()
    ]
    server = REHEARSED | {"host": HERE, "ssh": {"port": 1}}  # where nobody listens: the log stays unread
    return sites.make(server=server, test={"recipients": recipients})


def _login(ca: Authority, address: str, port: int) -> dict[str, object]:
    return {"host": HERE, "port": port, "username": address, "password": "env:HI_PASSWORD", "ca": ca.pem}


def test_messages_are_handed_over_side_by_side_and_their_time_begins_with_that(ca: Authority) -> None:
    together, taken, began = Barrier(AT_ONCE), list[float](), time.time()

    def deliver(message: bytes) -> bytes:
        together.wait(PATIENCE)
        taken.append(time.time())
        return message

    letters = [Letter(n, Route.INBOUND, "lantern.example", FRIEND, f"hi+{n}@lantern.example") for n in range(AT_ONCE)]
    with replace(opened(ca, FRIEND), deliver=deliver) as office:
        plan = Letters("run", "marker", tuple(letters))
        sent = delivery.send(site(ca, {FRIEND: office}), plan, apply=True)
        assert [(h.letter.number, h.fate) for h in sent] == [(n, "accepted") for n in range(AT_ONCE)]
        assert len(office.messages) == AT_ONCE
    assert all(began <= h.at < min(taken) for h in sent)


def test_mailboxes_are_looked_into_side_by_side(ca: Authority) -> None:
    """What each waits for comes only once all of them are being looked into."""
    addresses = [f"{name}@stranger.example" for name in ("friend", "other", "third")]
    letters = tuple(Letter(n, Route.INBOUND, "lantern.example", a, HI, a) for n, a in enumerate(addresses, 1))
    handed = tuple(Handed(letter, "accepted", "250 Ok") for letter in letters)
    sent = Sent(Letters("run", MARKER, letters), handed, applied=True)
    with ExitStack() as stack:
        offices = {a: stack.enter_context(opened(ca, a)) for a in addresses}
        coming = Thread(target=_come_together, args=[list(offices.values())])
        coming.start()
        arrived = delivery.fetch(site(ca, offices), sent, wait=PATIENCE, settles=0)
        coming.join()
    assert [len(parcel.of("message")) for parcel in arrived] == [1] * len(letters)


def _come_together(offices: list[PostOffice]) -> None:
    until = time.monotonic() + PATIENCE
    while not all(office.asked for office in offices):
        if time.monotonic() > until:
            return
        time.sleep(0.01)
    for number, office in enumerate(offices, 1):
        office.messages.append(written(number))


def test_one_letter_that_breaks_costs_no_word_on_the_others(ca: Authority) -> None:
    nobody = Letter(1, Route.INBOUND, "lantern.example", "who@stranger.example", HI)  # whose login is nowhere
    plan = Letters("run", "breaking", (nobody, Letter(2, Route.INBOUND, "lantern.example", FRIEND, HI)))
    with opened(ca, FRIEND) as office:
        sent = delivery.send(site(ca, {FRIEND: office}), plan, apply=True)
    assert [h.fate for h in sent] == ["unknown", "accepted"]
    assert sent.handed[0].said.startswith("KeyError: ")
