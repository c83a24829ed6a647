"""What the deployed server refuses of strangers and of its own users; broken, each verdict turns red."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator

import pytest
import rehearsal
import wideopen
from rehearsed import Rehearsed

from runbooklib import delivery
from runbooklib.delivery import bans, doors
from runbooklib.delivery.messages import Letter, Route
from runbooklib.params import Site
from runbooklib.results import Checklist, Status

HI = "hi@lantern.example"
INSIDE = "docker exec mailserver"


@pytest.fixture
def site(deployed: Rehearsed) -> Site:
    """The rehearsal site of the deployed testbed."""
    assert deployed.state
    return rehearsal.site()


@pytest.fixture
def broken(deployed: Rehearsed) -> Iterator[None]:
    """A mail server that lets everything through; put back to the byte."""
    deployed.ssh(f"{INSIDE} sh -c '{wideopen.opened(wideopen.ANY_2_3)}'")
    yield
    deployed.ssh(f"{INSIDE} sh -c '{wideopen.CLOSED}'")
    deployed.await_mail()


def brought(site: Site, keep: Callable[[Letter], bool]) -> Checklist:
    """The verdict on the letters that this machine brings itself."""
    plan = delivery.plan(site).only(lambda letter: letter.route in {Route.DIRECT, Route.FORGED} and keep(letter))
    arrived = delivery.fetch(site, delivery.send(site, plan, apply=True), wait=20)
    return delivery.judge(site, delivery.prove(site, arrived), delivery.Truth())  # no relay has had them


def test_a_good_server_refuses_what_it_must_and_takes_our_letters_by_every_door(site: Site) -> None:
    assert wideopen.doubted(site) == {}
    assert bans.observe(site).room is None
    found = brought(site, lambda _: True)
    assert {c.name: c.observed for c in found if c.status is not Status.PASS} == {}
    seen = next(c.observed for c in found if c.name == f"delivery.client-address direct {HI}")
    assert {doors.own_address(a) in seen for a in (site.server.ipv4, site.server.ipv6 or "")} == {True}
    assert [c.name for c in found if "forgery" in c.name] == [f"delivery.forgery forged {HI}"]


@pytest.mark.usefixtures("broken")
def test_a_server_that_lets_everything_through_is_red_throughout(site: Site) -> None:
    assert wideopen.good(site) == wideopen.GOOD
    forged = brought(site, lambda letter: letter.route is Route.FORGED)[f"delivery.forgery forged {HI}"]
    assert (forged.status, forged.observed) == (Status.FAIL, "taken into the inbox, with no mark")
    assert smuggled(site)


def test_a_bare_lf_ends_no_message(site: Site) -> None:
    assert not smuggled(site)


def smuggled(site: Site) -> bool:
    """Whether a second message comes out of the first at a dot between bare LFs; both are for a mailbox of ours."""
    name = f"smuggled-{time.time_ns()}"
    envelope = f"MAIL FROM:<>\r\nRCPT TO:<{HI}>\r\nDATA\r\n"
    text = f"Subject: {name}-outer\r\n\r\nfirst\n.\r\n{envelope}Subject: {name}-inner\r\n\r\nsecond\r\n.\r\nQUIT\r\n"
    with socket.create_connection((site.server.ipv4, 25), 20) as sock, sock.makefile("rb") as lines:
        heard = [lines.readline()]
        for said in ("EHLO [127.0.0.1]\r\n", *(f"{line}\r\n" for line in envelope.splitlines())):
            sock.sendall(said.encode())
            while (line := lines.readline())[3:4] == b"-":
                pass
            heard.append(line)
        assert heard[-1].startswith(b"354"), heard
        sock.sendall(text.encode())
        answers = lines.read().decode(errors="replace").splitlines()
    return sum("queued as" in answer for answer in answers) > 1
