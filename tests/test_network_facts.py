"""What is read of the way between: Docker's bindings, TCP's counters, who came by the log, disks, large packets."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import sites

from runbooklib.diagnosis import Evidence, Fact, Sureness
from runbooklib.diagnosis import network_symptoms as network
from runbooklib.diagnosis.findings import findings
from runbooklib.endpoint import GreetingError
from runbooklib.probes import machine
from runbooklib.probes import network as facts

SITE = {"hostname": "mail.lantern.example", "ipv4": "203.0.113.10", "ports": [25, 587, 993], "domains": []}
LOG = """\
2026-11-22T12:00:00+00:00 mail postfix/submission/smtpd[7]: connect from unknown[192.0.2.9]
2026-11-22T12:00:01+00:00 mail postfix/smtpd[8]: connect from localhost[127.0.0.1]
2026-11-22T12:00:02+00:00 mail postfix/smtpd[8]: disconnect from localhost[127.0.0.1] quit=1 commands=1
2026-11-22T12:00:03+00:00 mail postfix/submission/smtpd[9]: connect from unknown[2001:db8::9]
"""
PROC = """\
Tcp: RtoAlgorithm MaxConn InSegs OutSegs RetransSegs
Tcp: 1 -1 100 90 7
TcpExt: SyncookiesSent TCPSynRetrans TCPDSACKRecv TCPOFOQueue
TcpExt: 0 3 1 5
"""
DF = """\
Filesystem 1024-blocks Used Available Capacity Mounted on
overlay 100 38 62 38% /
tmpfs 256 256 0 100% /var/mail
Filesystem Inodes IUsed IFree IUse% Mounted on
overlay 1000 990 10 99% /
btrfs 0 0 0 - /home
"""


def evidence(**told: object) -> Evidence:
    return Evidence(SITE, {name.replace("_", " "): Fact(value) for name, value in told.items()})


def test_what_docker_was_told_of_the_containers_network() -> None:
    ports = {
        "25/tcp": [{"HostIp": "", "HostPort": "25"}],
        "53/udp": [{"HostIp": "", "HostPort": "53"}],
        "143/tcp": None,
    }
    told = {"HostConfig": {"NetworkMode": "mail", "PortBindings": ports, "Dns": None}}
    assert facts.published(told) == {"network": "mail", "dns": [], "ports": {"25": [""]}}
    assert facts.published({"HostConfig": {"NetworkMode": "host", "PortBindings": None}})["ports"] == {}


def test_the_gateways_of_a_containers_networks() -> None:
    networks = {"a": {"Gateway": "172.18.0.1", "IPv6Gateway": "fd00::1"}, "b": {"Gateway": "172.19.0.1"}}
    assert facts.gateways({"NetworkSettings": {"Networks": networks}}) == ["172.18.0.1", "fd00::1", "172.19.0.1"]


def test_the_largest_packets_of_those_interfaces_that_there_are() -> None:
    assert facts.mtu(outer="1500\n", inner="") == {"outer": 1500}
    assert facts.mtu(outer="cat: no such file", inner="1400") == {"inner": 1400}


def test_the_counters_of_tcp_by_their_names() -> None:
    told = {"sent": 90, "resent": 7, "unanswered": 3, "needless": 1, "received": 100, "early": 5}
    assert facts.counters(PROC) == told


def test_who_came_after_a_line_of_the_log() -> None:
    first, *_ = LOG.splitlines()
    assert facts.arrivals(LOG) == ["192.0.2.9", "2001:db8::9"]
    assert facts.arrivals(facts.since(first, LOG)) == ["2001:db8::9"]
    assert facts.arrivals(facts.since("", LOG)) == facts.arrivals(facts.since("long gone", LOG)) == facts.arrivals(LOG)


def test_how_full_disks_are_of_space_and_of_inodes() -> None:
    told = {mount: (volume.percent, volume.free) for mount, volume in machine.used(DF).items()}
    assert told == {"/": (38, 62 * 1024), "/var/mail": (100, 0), "/ (inodes)": (99, 10)}


HOLDING = {"docker-mailserver": "/var/lib/docker", "postfix": "/var/spool/postfix"}


@pytest.mark.parametrize("server", HOLDING)
def test_only_disks_are_asked_for_that_hold_what_mail_needs(server: str) -> None:
    asked = machine.folders(sites.make(mail={"server": server}) if server == "postfix" else sites.make())
    assert HOLDING[server] in asked
    assert not {"/", "/home", "/var"} & set(asked)


@pytest.mark.parametrize(
    ("disk", "found"),
    [
        ({"/": {"percent": 97, "free": 30 * 2**20}}, ["disk-filling"]),
        ({"/": {"percent": 40, "free": 15 * 10**6}}, ["disk-full"]),  # small, and 1.5 messages do not fit
        ({"/var/mail": {"percent": 96, "free": 160 * 2**30}}, []),  # 4 TB
        ({"/var/mail": {"percent": 100, "free": 30 * 2**30}}, []),  # df rounds up
        ({"/ (inodes)": {"percent": 99, "free": 90}}, ["disk-full"]),
        ({"/ (inodes)": {"percent": 99, "free": 9000}}, ["disk-filling"]),
        ({"/dev/vda1": {"percent": 97}}, ["disk-filling"]),  # as mailcow tells it
        ({"/dev/vda1": {"percent": 100}}, ["disk-full"]),
    ],
)
def test_a_disk_is_full_when_no_message_fits(disk: dict[str, object], found: list[str]) -> None:
    assert [each.rule.id for each in findings(evidence(disk=disk))] == found


@pytest.mark.parametrize("settings", [{"message_size_limit": "100000000"}, {"queue_minfree": "100000000"}])
def test_how_much_must_be_free_is_what_postfix_wants(settings: dict[str, str]) -> None:
    told = evidence(disk={"/": {"percent": 97, "free": 90_000_000}}, postfix=settings)
    assert [each.rule.id for each in findings(told)] == ["disk-full"]


def test_a_full_disk_hides_no_refused_login() -> None:
    group = {"status": "deferred", "count": 1, "senders": [], "recipients": [], "relay": ""}
    said = ("535 5.7.8 no", "452 4.3.1 Insufficient system storage")
    queue = {"count": 2, "oldest": 9, "held": 0, "groups": [group | {"said": words} for words in said]}
    told = evidence(disk={"/": {"percent": 100, "free": 0}}, queue=queue)
    assert [each.rule.id for each in findings(told)] == ["disk-full", "queue-login"]


@dataclass
class Relay:
    """Says its replies, one after each thing it hears, and then nothing more."""

    replies: list[bytes]

    def sendall(self, said: bytes) -> None:
        """Hears it."""

    def recv(self, _: int) -> bytes:
        if not self.replies:
            raise TimeoutError
        return self.replies.pop(0)


def relayed(*replies: bytes) -> dict[str, str]:
    return facts.large(Relay(list(replies)), "smtp.relay.example:587", starttls=True)  # type: ignore[arg-type]


GREETED = (b"220 hi\r\n", b"250-x\r\n250 STARTTLS\r\n", b"220 go ahead\r\n")


def test_a_large_hello_that_is_answered_and_one_that_vanishes() -> None:
    assert relayed(*GREETED, b"\x16")["state"] == "ok"
    assert relayed(*GREETED, b"")["state"] == "ok"  # hanging up shows that it was heard
    stalled = relayed(*GREETED)
    assert stalled["state"] == "stalls"
    assert "answers small packets" in stalled["said"]


def test_a_relay_that_will_not_talk_says_nothing_about_packets() -> None:
    with pytest.raises(GreetingError, match="554 no"):
        relayed(b"554 no\r\n")


def port(number: int, state: str) -> dict[str, object]:
    return {f"port_{number}": {"state": state}}


def test_without_a_look_at_the_server_a_dropped_port_may_be_the_fault_of_the_network_here() -> None:
    (found,) = findings(evidence(**port(465, "dropped")))
    assert (found.rule.id, found.rule.sureness) == ("port-closed", Sureness.LIKELY)
    assert "another network" in found.check(apply=True).fix


@pytest.mark.parametrize(
    ("outer", "state", "found"),
    [
        ([""], "refused", []),
        (["0.0.0.0"], "dropped", []),  # noqa: S104 - as Docker says
        (["203.0.113.10"], "dropped", []),
        (["127.0.0.1"], "refused", ["587"]),
        ([], "refused", ["587"]),
        ([], "open", []),  # a proxy in front answers
    ],
)
def test_a_port_is_published_where_it_leads_to_the_container(outer: list[str], state: str, found: list[str]) -> None:
    published = {"network": "mail", "dns": [], "ports": {"587": outer} if outer else {}}
    told = evidence(published=published, listeners=[587], **port(587, state))
    assert [sign.about for sign in network.unpublished(told)] == found
    shared = evidence(published=published | {"network": "host"}, listeners=[587], **port(587, state))
    assert not list(network.unpublished(shared))


@pytest.mark.parametrize(
    ("came", "lost"),
    [
        ({"IPv4": ["172.18.0.1"]}, True),
        ({"IPv4": ["172.18.0.1", "192.0.2.9"]}, False),  # the host itself came at the same moment
        ({"IPv4": ["192.0.2.9"], "IPv6": ["172.18.0.1", "192.0.2.9"]}, True),
        ({"IPv4": []}, False),
    ],
)
def test_a_client_is_lost_when_only_the_gateway_comes(came: dict[str, list[str]], lost: bool) -> None:
    assert bool(list(network.gateway_comes(evidence(clients={"gateways": ["172.18.0.1"], "came": came})))) == lost


@pytest.mark.parametrize(
    ("counted", "lost"),
    [
        ({"resent": 9}, True),
        ({"resent": 9, "unanswered": 9}, False),  # a port that is dropped
        ({"resent": 9, "needless": 8}, False),  # sent again too soon
        ({"early": 4}, True),
        ({"early": 3}, False),
    ],
)
def test_packets_are_lost_when_the_other_side_missed_them(counted: dict[str, int], lost: bool) -> None:
    nothing = {"sent": 130, "resent": 0, "unanswered": 0, "needless": 0, "received": 130, "early": 0}
    assert bool(list(network.losing(evidence(segments=nothing | counted)))) == lost


def test_an_ipv6_address_counts_only_where_dns_gives_it_and_ipv4_is_open() -> None:
    name = f"address_{SITE['hostname']}"
    deaf = {"port6_25": {"state": "refused"}}
    there = {name: {"A": [], "AAAA": ["2001:db8::10"]}}
    assert list(network.deaf_over_ipv6(evidence(**there, **deaf, **port(25, "open"))))
    assert not list(network.deaf_over_ipv6(evidence(**there, **deaf, **port(25, "dropped"))))
    assert not list(network.deaf_over_ipv6(evidence(**{name: {"A": [], "AAAA": []}}, **deaf, **port(25, "open"))))


@pytest.mark.parametrize(
    ("told", "cause"),
    [
        ({"resolver": "nothing", "published": {"network": "mail", "dns": ["192.0.2.53"], "ports": {}}}, "overridden"),
        ({"resolver": "SERVFAIL"}, "broken"),
    ],
)
def test_a_server_that_resolves_no_names_greets_late_and_that_is_one_cause(told: dict[str, object], cause: str) -> None:
    found = findings(evidence(**told, **port(25, "silent")))
    assert [(one.rule.id, one.following) for one in found] == [(f"resolver-{cause}", ("port-silent",))]
