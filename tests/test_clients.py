"""Whether IPv6 reaches port 25 as itself, by the log; the AAAA record waits for that."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sites
from hypothesis import given
from hypothesis import strategies as st

from runbooklib import records, zone
from runbooklib.params import Site
from runbooklib.records import Held
from runbooklib.results import Check, RunbookError, Status
from runbooklib.servers import clients

# As stage 01's own checks and two visitors stand in the log of docker-mailserver; the third is from mailcow.
OWN = """\
2026-11-22T05:26:37.654448+00:00 mail postfix/postscreen[183]: CONNECT from [172.18.0.1]:36230 to [172.18.0.2]:25
2026-11-22T05:26:37.732462+00:00 mail postfix/submission/smtpd[185]: connect from unknown[2001:db8:0:1de::9]
2026-11-22T05:26:43.726630+00:00 mail postfix/smtpd[203]: connect from unknown[172.18.0.1]
2026-11-22T05:26:43.862480+00:00 mail postfix/smtpd[203]: CC6B659268F: reject: RCPT from unknown[172.18.0.1]: \
550 5.1.1 <leaked@lantern.example>: Recipient address rejected: User unknown; from=<> to=<leaked@lantern.example> \
proto=ESMTP helo=<[127.0.0.1]>
2026-11-22T05:26:43.865089+00:00 mail postfix/smtpd[203]: disconnect from unknown[172.18.0.1] ehlo=1 mail=1/2
2026-11-22T05:26:44.100000+00:00 mail postfix/smtpd[203]: connect from localhost[127.0.0.1]
"""
ITSELF = "2026-11-22T05:26:44.200000+00:00 mail postfix/smtpd[203]: connect from unknown[2001:db8::10]\n"
IPV4 = """\
2026-11-22T05:27:57.085521+00:00 mail postfix/postscreen[183]: CONNECT from [198.19.222.1]:35976 to [172.18.0.2]:25
"""
IPV6 = """\
2026-11-22T05:27:57.094781+00:00 mail postfix/postscreen[183]: CONNECT from [2001:db8:0:1de::1]:45452 to \
[fdfe:76c0:5d2d:34e1::2]:25
"""
MAILCOW = "2026-11-22T05:28:50+00:00 mailcow postfix/smtpd: connect from unknown[2001:db8:0:1de::1]\n"
MASKED = """\
2026-11-22T05:40:01.000000+00:00 mail postfix/smtpd[203]: connect from unknown[172.18.0.1]
2026-11-22T05:40:01.500000+00:00 mail postfix/smtpd[203]: NOQUEUE: reject: RCPT from unknown[172.18.0.1]: 550 5.7.23 \
<hi@lantern.example>: Recipient address rejected: Message rejected due to: SPF fail; from=<a@stranger.example> \
to=<hi@lantern.example> proto=ESMTP helo=<mx.stranger.example>
"""
HOST, ADDRESS = "mail.lantern.example", "2001:db8::10"
AUTHORITY, RESOLVER = "192.0.2.1", "192.0.2.53"


def site(**changes: object) -> Site:
    dns = {"resolvers": [RESOLVER], "authoritative": [AUTHORITY]}
    return sites.make(**{"server__ipv6": ADDRESS, "dns": dns, **changes})


def arrived(log: str, **changes: object) -> clients.Arrivals:
    return clients.observe(site(**changes), lambda: log)


@pytest.mark.parametrize(
    ("log", "ipv4", "ipv6", "gateway"),
    [
        ("", "", "", ""),
        (OWN + ITSELF, "", "", ""),  # the host's own visits come through the gateway and speak for nothing
        (OWN + IPV4, "198.19.222.1", "", ""),
        (OWN + IPV4 + IPV6, "198.19.222.1", "2001:db8:0:1de::1", ""),
        (MAILCOW, "", "2001:db8:0:1de::1", ""),
        (OWN + MASKED, "", "", "172.18.0.1"),
        (MASKED.replace("helo=<mx.stranger.example>", f"helo=<{HOST}>"), "", "", ""),
        (MASKED.replace("helo=<mx.stranger.example>", "helo=<runbook.invalid>"), "", "", ""),
        (MASKED.replace("172.18.0.1", "fd00::1"), "", "", "fd00::1"),
        (IPV6.replace("2001:db8:0:1de::1", "fe80::1"), "", "", ""),
        (IPV6.replace("postfix/postscreen", "postfix/submission/smtpd"), "", "", ""),
        (IPV6.replace("2001:db8:0:1de::1", "1:2"), "", "", ""),
    ],
)
def test_the_log_names_who_came_to_port_25(log: str, ipv4: str, ipv6: str, gateway: str) -> None:
    seen = arrived(log)
    assert (seen.ipv4, seen.ipv6, seen.gateway) == (ipv4, ipv6, gateway)


@given(st.lists(st.sampled_from([OWN, IPV4, IPV6, MAILCOW, MASKED]) | st.text(max_size=80), max_size=5))
def test_any_text_is_a_log(parts: list[str]) -> None:
    assert isinstance(clients.parse("\n".join(parts)).ipv6, str)


def row(held: Held | None, standing: str = "") -> Check:
    """The row of stage 04 and whether the plan touches it."""
    here, head = site(), "@ 3600 SOA ns1.lantern.example. h.lantern.example. 7 3600 600 86400 300\n"
    text = head + "mail 300 A 203.0.113.10\n" + (f"mail 300 AAAA {standing}\n" if standing else "")
    wire = zone.Literal({AUTHORITY: {"lantern.example": text}, RESOLVER: {"lantern.example": text}}, {RESOLVER})
    want = records.Desired((records.ipv6(here, ADDRESS, held),))
    seen = zone.observe(here, want, wire=wire)
    plan = records.diff(want, seen)
    assert plan.touches("AAAA") == (held is None and not standing)
    return records.verify(want, seen, plan)[f"dns.address.ipv6 {HOST}"]


@pytest.mark.parametrize(
    ("log", "standing", "status"),
    [
        (OWN + IPV6, "", Status.PENDING),  # planned
        (OWN + IPV6, ADDRESS, Status.PASS),
        (OWN + IPV6 + MASKED, ADDRESS, Status.PASS),  # one who is behind the gateway is not all
        (OWN, "", Status.PENDING),
        (OWN, ADDRESS, Status.WARN),
        (MASKED, "", Status.PENDING),
        (MASKED, ADDRESS, Status.FAIL),
        (OWN, "2001:db8::99", Status.FAIL),
    ],
)
def test_the_record_waits_for_a_client_that_was_seen_as_itself(log: str, standing: str, status: Status) -> None:
    found = row(clients.held(site(), arrived(log)), standing)
    assert found.status is status
    assert bool(found.fix) == (status is not Status.PASS)


def test_a_log_that_cannot_be_read_is_no_evidence_either_way() -> None:
    def log() -> str:
        raise RunbookError("no route")

    seen = clients.observe(site(), log)
    assert "no route" in seen.unseen
    found = row(clients.held(site(), seen))
    assert (found.status, found.blocks) == (Status.UNKNOWN, False)


def test_without_a_look_into_the_log_it_is_unknown_and_what_stands_is_left_in_peace() -> None:
    assert [row(records.addresses.UNSEEN, standing).status for standing in ("", ADDRESS)] == [
        Status.UNKNOWN,
        Status.PASS,
    ]


def test_without_an_address_in_params_there_is_no_row() -> None:
    assert not list(clients.wanted(sites.make(), clients.Arrivals()))
    assert not [w for w in records.desired(sites.make()) if w.type == "AAAA"]


@contextmanager
def smtp_server(log: list[str], line: str) -> Iterator[int]:
    """Greets one client over IPv6 as an SMTP server does, and logs it with a line."""
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listening:
        listening.settimeout(5)

        def serve() -> None:
            client, _ = listening.accept()
            with client, client.makefile("rwb") as talk:
                log.append(line)
                for said in (b"220 hello\r\n", b"250 hello\r\n", b"221 bye\r\n"):
                    talk.write(said)
                    talk.flush()
                    talk.readline()

        thread = threading.Thread(target=serve)
        thread.start()
        yield listening.getsockname()[1]
        thread.join()


@pytest.mark.parametrize(("line", "ipv6", "gateway"), [(IPV6, "2001:db8:0:1de::1", ""), (MASKED, "", "172.18.0.1")])
def test_where_params_allow_it_this_machine_knocks_once_and_looks_again(line: str, ipv6: str, gateway: str) -> None:
    log = [OWN]
    with smtp_server(log, line.splitlines()[0] + "\n") as port:
        here = site(server__ipv6="::1", test={"smtp25": True})
        seen = clients.observe(here, lambda: "".join(log), port=port, settles=0)
    assert seen.knocked.startswith("greeted")
    assert (seen.ipv6, seen.gateway) == (ipv6, gateway)
    assert len(log) == 2


def test_it_does_not_knock_without_leave_nor_when_the_log_says_enough() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listening:
        listening.settimeout(0)
        port = listening.getsockname()[1]
        assert clients.observe(site(server__ipv6="::1"), lambda: OWN, port=port).knocked == ""
        allowed = site(server__ipv6="::1", test={"smtp25": True})
        assert clients.observe(allowed, lambda: IPV6, port=port).knocked == ""
        with pytest.raises(BlockingIOError):
            listening.accept()


def test_a_door_that_is_shut_is_said_and_decides_nothing() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listening:
        port = listening.getsockname()[1]
    seen = clients.observe(site(server__ipv6="::1", test={"smtp25": True}), lambda: OWN, port=port)
    assert "refused" in seen.knocked
    held = clients.held(site(), seen)
    assert held
    assert "refused" in held.why
    assert row(held).status is Status.PENDING
