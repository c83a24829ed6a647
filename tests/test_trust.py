"""Who may send without a login, by mynetworks: the server itself, its neighbours, strangers."""

from __future__ import annotations

import pytest
from test_diagnosis import DOCKER, HOST, names, seen

from runbooklib.diagnosis import diagnose
from runbooklib.results import Status

HERE = "127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128 [fe80::]/64 hash:/etc/postfix/networks !10.0.0.0/8"
RELAY, NEAR = "diagnosis.open-relay", "diagnosis.neighbours-trusted"


@pytest.mark.parametrize("server", [DOCKER, HOST])
@pytest.mark.parametrize(
    ("networks", "found"),
    [
        ("", []),
        ("203.0.113.10/32, [2001:db8::10]/128", []),  # the server's own
        ("172.18.0.2/32 10.0.0.5", []),  # behind NAT, or in a container
        ("10.0.0.0/8", [NEAR]),
        ("[fd00:1::]/64 100.64.0.0/10", [NEAR]),
        ("198.51.100.7", [NEAR]),  # named on purpose
        ("[2001:db8::]/64", [NEAR]),  # what the hoster gave it
        ("198.51.100.0/25", [RELAY]),
        ("203.0.113.0/24", [RELAY]),  # the neighbours of a rented address are strangers
        ("198.51.100.0/31", [RELAY]),
        ("[2001:db8::]/32", [RELAY]),
        ("[2001:db8:7::]/64", [RELAY]),
        ("0.0.0.0/0 [::]/0", [RELAY]),
        ("10.0.0.0/7", [RELAY]),  # more than what RFC 1918 keeps
        ("192.168.0.0/16 198.51.100.0/25", [RELAY, NEAR]),
    ],
)
def test_who_may_send_without_a_login(server: str, networks: str, found: list[str]) -> None:
    rows = diagnose(seen({"postfix": {"mynetworks": f"{HERE} {networks}"}}, server))
    assert sorted(names(rows)) == sorted(found)
    assert [rows[name].status for name in found] == [Status.FAIL if name == RELAY else Status.WARN for name in found]


@pytest.mark.parametrize("server", [DOCKER, HOST])
def test_no_command_takes_away_what_neighbours_may(server: str) -> None:
    row = diagnose(seen({"postfix": {"mynetworks": "10.0.0.0/8"}}, server))[NEAR]
    assert "look first: who is in these networks" in row.fix
    assert "docker exec" not in row.fix
    assert "postconf -e" not in row.fix
