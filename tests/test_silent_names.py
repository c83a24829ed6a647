"""Names that send nothing, and those that receive nothing: said only where params name them and it is true."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
import sites

from runbooklib import records, zone
from runbooklib.params import ParamsError, Site
from runbooklib.records import Wanted
from runbooklib.results import Check, Status
from runbooklib.servers import bounces
from runbooklib.servers.standing import Standing

AUTHORITY, RESOLVER = "192.0.2.1", "192.0.2.53"
HEAD = "@ 3600 SOA ns1.lantern.example. h.lantern.example. 7 3600 600 86400 300\nmail 300 A 203.0.113.10\n"
HOST, NAME = "mail.lantern.example", "www.lantern.example"


def site(sends: list[str], receives: list[str] | None = None, **changes: Any) -> Site:
    dns = {"resolvers": [RESOLVER], "authoritative": [AUTHORITY]}
    return sites.make(**{"dns": dns | {"sends_nothing": sends, "receives_nothing": receives or []}, **changes})


def judged(
    here: Site, kind: str, text: str, name: str = NAME, told: Iterable[Wanted] = ()
) -> tuple[tuple[str, ...], Check]:
    zones = {AUTHORITY: {"lantern.example": HEAD + text}, RESOLVER: {"lantern.example": HEAD + text}}
    want = records.Desired(tuple(w for w in records.desired(here, told) if w.kind == kind and w.name == name))
    seen = zone.observe(here, want, wire=zone.Literal(zones, {RESOLVER}))
    plan = records.diff(want, seen)
    return tuple(c.after for c in plan), records.verify(want, seen, plan)[want.records[0].check]


@pytest.mark.parametrize(
    ("text", "status", "planned"),
    [
        ("www 300 A 203.0.113.10", Status.PENDING, True),
        ('www 300 TXT "v=spf1 -all"', Status.PASS, False),
        ('www 300 TXT "V=SPF1  -ALL"', Status.PASS, False),
        ('www 300 TXT "v=spf1 include:shop.example.net ~all"', Status.WARN, False),
        ('www 300 TXT "v=spf1 ~all"', Status.WARN, False),
        ('www 300 TXT "v=spf1 -all"\nwww 300 TXT "v=spf1 a -all"', Status.FAIL, False),
    ],
)
def test_a_silent_name_says_so_and_what_others_said_stays(text: str, status: Status, planned: bool) -> None:
    after, row = judged(site([NAME]), "spf", text)
    assert (row.status, after) == (status, ("v=spf1 -all",) if planned else ())


@pytest.mark.parametrize(
    ("text", "status", "planned"),
    [
        ("www 300 A 203.0.113.10", Status.PENDING, True),
        ("www 300 MX 0 .", Status.PASS, False),
        ("www 300 MX 10 mx.other.example.", Status.WARN, False),
    ],
)
def test_a_null_mx_never_takes_the_place_of_one_that_receives(text: str, status: Status, planned: bool) -> None:
    after, row = judged(site([NAME], [NAME]), "null-mx", text)
    assert (row.status, after) == (status, ("0 .",) if planned else ())


@pytest.mark.parametrize(
    ("sends", "receives", "changes", "said"),
    [
        (["lantern.example"], [], {}, "is a mail domain"),
        (["send.lantern.example"], [], {"relays__office__return_path": "send"}, "return path of office"),
        ([HOST], [], {"domains__0__relay": "direct"}, "HELO name"),  # bounces are judged there (RFC 7208 2.4)
        ([HOST], [HOST], {}, "stands in From"),
        ([], [NAME], {}, "not in sends_nothing"),
    ],
)
def test_a_name_in_use_is_not_silent(sends: list[str], receives: list[str], changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ParamsError, match=said):
        site(sends, receives, **changes)


@pytest.mark.parametrize(
    ("routes", "text", "status", "planned"),
    [
        (None, "", Status.UNKNOWN, False),
        (Standing(None, {}, there=False), "", Status.PENDING, False),
        (Standing(None, {}, "direct"), "", Status.PENDING, False),
        (Standing(None, {}, "direct"), 'mail 300 TXT "v=spf1 -all"', Status.FAIL, False),  # bounces are refused
        (Standing(None, {}, "direct"), 'mail 300 TXT "v=spf1 a -all"', Status.WARN, False),
        (Standing(None, {}, "postmaster"), "", Status.PENDING, True),
        (Standing(None, {}, "[smtp.example.net]:587"), 'mail 300 TXT "v=spf1 -all"', Status.PASS, False),
    ],
)
def test_the_host_is_silent_where_its_bounces_leave_by_others(
    routes: Standing[None] | None, text: str, status: Status, planned: bool
) -> None:
    here = site([HOST])
    told = (bounces.wanted(here, routes),) if routes else ()
    after, row = judged(here, "spf", text, HOST, told)
    assert (row.status, after) == (status, ("v=spf1 -all",) if planned else ())


def test_a_name_outside_the_mail_domains_is_said_in_its_own_zone() -> None:
    here, head = site(["parked.example"], ["parked.example"]), HEAD.replace("lantern.example", "parked.example")
    zones = {AUTHORITY: {"lantern.example": HEAD, "parked.example": head}}
    want = records.Desired(tuple(w for w in records.desired(here) if w.name == "parked.example"))
    seen = zone.observe(here, want, wire=zone.Literal(zones, {RESOLVER}))
    changes = [c for c in records.diff(want, seen) if isinstance(c, records.RecordChange)]
    assert [(c.zone, c.type, c.added) for c in changes] == [
        ("parked.example", "MX", ("0 .",)),
        ("parked.example", "TXT", ("v=spf1 -all",)),
    ]
