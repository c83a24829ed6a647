"""Aggregate reports and the ladder they allow: files as receivers send them, days as tables."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from typing import Any

import pytest
import sites
from hypothesis import given
from hypothesis import strategies as st

from runbooklib import dmarc, eml, records, reports, zone
from runbooklib.answers import Answer, Question, Word
from runbooklib.dmarc import aggregate
from runbooklib.dmarc.aggregate import Report, ReportError, Row
from runbooklib.dmarc.ladder import Rung, rung
from runbooklib.records import Desired, Observed
from runbooklib.reports import Heard
from runbooklib.results import Status
from runbooklib.tlsrpt import TlsRptError

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
DOMAIN = "lantern.example"
ROW = """<record><row><source_ip>{source}</source_ip><count>3</count><policy_evaluated><disposition>none</disposition>
<dkim>{dkim}</dkim><spf>fail</spf>{reason}</policy_evaluated></row><identifiers><header_from>Lantern.example.</header_from>
</identifiers><auth_results><spf><domain>send.lantern.example</domain><result>pass</result></spf></auth_results></record>"""
XML = """<?xml version="1.0" encoding="UTF-8"?>
<feedback{namespace}><report_metadata><org_name>receiver.example</org_name><email>noreply@receiver.example</email>
<report_id>r-{begin}</report_id><date_range><begin>{begin}</begin><end>{end}</end></date_range></report_metadata>
<policy_published><domain>lantern.example</domain><p>none</p><sp>none</sp></policy_published>{rows}</feedback>"""


def xml(source: str = "192.0.2.7", dkim: str = "pass", reason: str = "", namespace: str = "", begin: int = 0) -> bytes:
    """A report of one day as it is sent."""
    row = ROW.format(source=source, dkim=dkim, reason=reason)
    return XML.format(namespace=namespace, begin=begin, end=begin + 86399, rows=row).encode()


def zipped(data: bytes, *more: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as folder:
        for name in ("report.xml", *more):
            folder.writestr(name, data)
    return packed.getvalue()


ALIGNED = Row("192.0.2.7", 5, dkim=True, spf=False, header_from=DOMAIN)


def days(first: int, last: int, *rows: Row, policy: str = "none") -> list[Report]:
    """A report for each day, counted back from today."""
    told = rows or (ALIGNED,)
    midnight = NOW.replace(hour=0)
    return [
        Report("receiver.example", f"{n}-{policy}", DOMAIN, begin, begin + timedelta(days=1), policy, told)
        for n in range(first, last, -1)
        for begin in [midnight - timedelta(days=n)]
    ]


NOBODYS = Row("192.0.2.7", 0, dkim=False, spf=False, header_from=DOMAIN)
STRANGER = Row("198.51.100.9", 2, dkim=False, spf=False, header_from=DOMAIN)


@pytest.mark.parametrize("packed", [bytes, gzip.compress, zipped])
@pytest.mark.parametrize("namespace", ["", ' xmlns="urn:ietf:params:xml:ns:dmarc-2.0"'])
def test_a_report_is_read_however_it_is_packed(packed: Any, namespace: str) -> None:
    reason = "<reason><type>forwarded</type><comment/></reason>"
    found = reports.mailbox.parse(packed(xml(reason=reason, namespace=namespace, begin=1795132800)))
    assert isinstance(found, Report)
    assert (found.domain, found.policy, found.reporter) == (DOMAIN, "none", "receiver.example")
    assert found.rows == (Row("192.0.2.7", 3, dkim=True, spf=False, header_from=DOMAIN, reasons=("forwarded",)),)
    assert found.end - found.begin == timedelta(days=1, seconds=-1)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "expected XML"),
        (b"<html/>", "expected the element feedback, saw 'html'"),
        (xml(source="mail.example.org"), "expected an address as source_ip"),
        (xml().replace(b"<count>3", b"<count>-3"), "expected a number, saw '-3'"),
        (xml().replace(b"<count>3", b"<count>" + b"9" * 5000), "expected a number"),
        (xml().replace(b"<p>none</p>", b""), "expected policy_published/p, saw none"),
        (xml().replace(b"<begin>0<", b"<begin>yesterday<"), "expected a number, saw 'yesterday'"),
        (b'<!DOCTYPE f [<!ENTITY a "aaaa">]><feedback>&a;</feedback>', "saw EntitiesForbidden"),
        (gzip.compress(b" " * (aggregate.LARGEST + 1)), "expected at most"),
        (gzip.compress(xml())[:-20], "expected gzip or zip, saw EOFError"),
        (zipped(xml(), "another.xml"), "expected one file in the zip, saw 2"),
        (zipped(xml())[:90], "expected gzip or zip, saw BadZipFile"),
    ],
    ids=str.split("empty html name negative endless policy date entity bomb cut two-files broken-zip"),
)
def test_what_is_no_report_says_why(data: bytes, said: str) -> None:
    with pytest.raises(ReportError, match=said):
        reports.mailbox.parse(data)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for some in (data, b"PK\x03\x04" + data, b"\x1f\x8b" + data, xml() + data):
        try:
            reports.mailbox.parse(some)
        except (ReportError, TlsRptError):
            continue


@pytest.mark.parametrize(
    ("told", "disowned", "published", "allowed", "said"),
    [
        ([], (), "", "none", "no reports"),
        (days(14, 0), (), "", "quarantine", "14 days under p=none, the last of 2026-11-22, every source aligned"),
        (days(13, 0), (), "none", "none", "reports of 13 days"),
        (days(14, 0, policy="quarantine"), (), "quarantine", "reject", "every source aligned or disowned"),
        (days(14, 0, policy="reject"), (), "reject", "reject", "every source aligned or disowned"),
        (days(14, 0, policy="quarantine"), (), "none", "none", "no reports under p=none"),
        (days(30, 13) + days(13, 0, policy="quarantine"), (), "quarantine", "quarantine", "13 days under p=quarantine"),
        (days(14, 2) + days(2, 0, STRANGER), (), "", "none", "unaligned: 198.51.100.9 (4)"),
        (
            days(14, 2) + days(2, 0, STRANGER),
            ("198.51.100.0/24",),
            "",
            "quarantine",
            "every source aligned or disowned",
        ),
        (days(40, 38, STRANGER) + days(14, 0), (), "", "quarantine", "every source aligned or disowned"),
        (days(30, 8), (), "", "none", "too old"),
        (days(14, 0, NOBODYS), (), "", "none", "reports of 0 days"),
    ],
)
def test_the_rung_that_reports_allow(
    told: list[Report], disowned: tuple[str, ...], published: str, allowed: str, said: str
) -> None:
    found = rung(DOMAIN, told, disowned, NOW, published)
    assert (found.allowed, said in found.said) == (allowed, True), found


def forged(policy: str, began: int, length: int) -> Report:
    """One aligned row in a report that begins so many days ago."""
    begin = NOW - timedelta(days=began)
    return Report("forged.example", "f", DOMAIN, begin, begin + timedelta(days=length), policy, (ALIGNED,))


@pytest.mark.parametrize("policy", ["none", "quarantine", "reject"])
@pytest.mark.parametrize("published", ["", "none"])
@pytest.mark.parametrize(("began", "length"), [(20, 20), (1, 1000), (1, 1), (-1, 1), (1, -1)])
def test_one_forged_report_moves_nothing(policy: str, published: str, began: int, length: int) -> None:
    true = days(19, 0, Row("198.51.100.9", 700, dkim=False, spf=False, header_from=DOMAIN))
    found = rung(DOMAIN, [*true, forged(policy, began, length)], (), NOW, published)
    assert (found.allowed, "unaligned: 198.51.100.9" in found.said) == ("none", True)
    assert ("1 left out, of more than 2 days or of the future" in found.said) is ((began, length) != (1, 1))
    assert rung(DOMAIN, [*days(12, 0), forged(policy, began, length)], (), NOW, published).allowed == "none"


def test_reports_about_others_count_for_nothing() -> None:
    assert rung("pier.example", days(14, 0), (), NOW).allowed == "none"


@pytest.mark.parametrize(
    ("allowed", "goal", "limit"),
    [("none", "reject", "none"), ("quarantine", "reject", "quarantine"), ("reject", "none", "none")],
)
def test_a_rung_limits_the_goal(allowed: str, goal: str, limit: str) -> None:
    assert Rung(DOMAIN, allowed).limits(goal) == limit


def site(policy: str = "none", rua: str | None = "hi@lantern.example") -> Any:
    return sites.make(domains__0__dmarc={"policy": policy} | ({"rua": rua} if rua else {}))


def seen(*texts: str, word: Word = Word.NOERROR) -> Observed:
    return Observed((Answer(Question("_dmarc.lantern.example", "TXT"), "192.0.2.1", word, values=texts),))


@pytest.mark.parametrize(
    ("policy", "stands", "told", "status", "said"),
    [
        ("none", "none", [], Status.PASS, "no reports"),
        ("none", "none", days(14, 0), Status.PASS, "every source aligned"),
        ("reject", "none", [], Status.PENDING, "p=none for now; no reports"),
        ("reject", "none", days(14, 0), Status.PENDING, "p=quarantine for now"),
        ("quarantine", "none", days(14, 0), Status.PASS, "every source aligned"),
        ("reject", "reject", [], Status.PASS, "p=reject; no reports"),
    ],
)
def test_a_row_says_where_the_ladder_stands(policy: str, stands: str, told: Any, status: Status, said: str) -> None:
    rows = reports.verify(site(policy), Heard(tuple(told)), seen(f"v=DMARC1; p={stands}"), NOW)
    (row,) = rows
    assert (row.status, said in row.observed) == (status, True), row


def test_a_proved_rung_is_offered() -> None:
    (row,) = reports.verify(site(), Heard(tuple(days(14, 0))), seen("v=DMARC1; p=none"), NOW)
    assert row.fix == "p=quarantine is proved: set dmarc.policy when you want it"


def test_reports_that_could_not_be_read_are_unknown_and_stop_nothing() -> None:
    heard = Heard(troubles={"hi@lantern.example": "refused"})
    (row,) = reports.verify(site("quarantine"), heard, seen("v=DMARC1; p=none"), NOW)
    assert (row.status, row.advisory, "refused" in row.observed) == (Status.UNKNOWN, True, True)


def test_without_reports_asked_for_and_nothing_wanted_there_is_no_row_and_nobody_is_asked() -> None:
    assert not len(reports.verify(site(rua=None), Heard(), seen(), NOW))
    assert reports.read(site(rua=None)) == Heard()


@pytest.mark.parametrize(
    ("rua", "box"),
    [
        ("hi@lantern.example", "hi@lantern.example"),
        ("elsewhere@example.org", ""),
        ("sales@lantern.example", "hi@lantern.example"),
        ("nobody@lantern.example", "hi@lantern.example"),  # by the catch-all
        ("postmaster@lantern.example", "hi@lantern.example"),
        ("away@lantern.example", "hi@lantern.example"),  # the owner keeps a copy of what leads out
    ],
)
def test_the_mailbox_that_reports_arrive_in(rua: str, box: str) -> None:
    aliases = {"sales@lantern.example": "hi@lantern.example", "away@lantern.example": "someone@example.org"}
    assert reports.mailbox.mailbox(sites.make(domains__0__aliases=aliases), rua) == box


def test_the_catch_all_of_another_domain_takes_nothing() -> None:
    assert reports.mailbox.mailbox(sites.make(domains__0__catch_all=None), "nobody@lantern.example") == ""


def test_reports_that_arrive_elsewhere_are_said_to_be_unread() -> None:
    heard = reports.read(site("quarantine", "elsewhere@example.org"), NOW, world("v=DMARC1; p=none"))
    assert list(heard.troubles) == ["elsewhere@example.org"]
    assert "not read" in str(heard)
    (row,) = reports.verify(site("quarantine", "elsewhere@example.org"), heard, seen("v=DMARC1; p=none"), NOW)
    assert (row.status, "no mailbox of this site" in row.observed) == (Status.UNKNOWN, True)


@pytest.mark.parametrize(
    ("changes", "asked"),
    [
        ({}, []),
        ({"dns": {"optional": ["tls-rpt"]}}, ["postmaster@lantern.example"]),
        ({"domains__0__tls_rpt": "sales@lantern.example"}, ["sales@lantern.example"]),
        ({"domains__0__dmarc": {"rua": "hi@lantern.example"}}, ["hi@lantern.example"]),
    ],
)
def test_every_address_that_reports_are_asked_for_to_is_read(changes: dict[str, Any], asked: list[str]) -> None:
    assert list(reports.mailbox._asked_for(sites.make(**changes))) == asked


def world(text: str, word: Word | None = None) -> zone.Literal:
    """A server of the zone that publishes this policy, and no resolver."""
    held = f'@ 60 SOA ns1 h 1 2 3 4 60\n@ 60 NS ns1\nns1 60 A 192.0.2.1\n_dmarc 60 TXT "{text}"'
    return zone.Literal({"192.0.2.1": {"lantern.example": held}}, (), {("192.0.2.1", "*"): word} if word else {})


@pytest.mark.parametrize(
    ("policy", "stands", "word", "told"),
    [
        ("reject", "v=DMARC1; p=quarantine", None, {DOMAIN: "quarantine"}),
        ("reject", "v=DMARC1; p=quarantine", Word.TIMEOUT, {DOMAIN: ""}),
        ("reject", "nothing of DMARC", None, {DOMAIN: ""}),
        ("none", "v=DMARC1; p=quarantine", None, {}),
    ],
)
def test_the_policy_that_stands_is_what_the_servers_of_the_zone_say(
    policy: str, stands: str, word: Word | None, told: dict[str, str]
) -> None:
    dns = {"authoritative": ["192.0.2.1"], "resolvers": ["192.0.2.53"]}
    here = sites.make(dns=dns, domains__0__dmarc={"policy": policy, "rua": "hi@lantern.example"})
    assert reports.standing.standing(here, world(stands, word)) == told


def message(*files: tuple[str, str, bytes]) -> EmailMessage:
    found = EmailMessage()
    found["Subject"] = "Report domain: lantern.example Submitter: receiver.example"
    found.set_content("This is an aggregate report.")
    for kind, name, data in files:
        main, _, sub = kind.partition("/")
        found.add_attachment(data, maintype=main, subtype=sub, filename=name)
    return found


TLS = json.dumps(
    {
        "organization-name": "receiver.example",
        "date-range": {"start-datetime": "2026-11-20T00:00:00Z", "end-datetime": "2026-11-20T23:59:59Z"},
        "contact-info": "tls@receiver.example",
        "report-id": "t1",
        "policies": [
            {
                "policy": {"policy-type": "sts", "policy-domain": DOMAIN},
                "summary": {"total-successful-session-count": 41, "total-failure-session-count": 2},
            }
        ],
    }
).encode()


def test_messages_are_sorted_into_reports_and_what_is_none() -> None:
    found: Iterable[EmailMessage] = [
        message(("application/gzip", "a.xml.gz", gzip.compress(xml()))),
        message(("application/gzip", "again.xml.gz", gzip.compress(xml()))),
        message(("application/tlsrpt+gzip", "t.json.gz", gzip.compress(TLS))),
        message(("application/zip", "bad.zip", b"PK\x03\x04 nothing"), ("image/png", "logo.png", b"\x89PNG")),
    ]
    heard = reports.mailbox._sorted((eml.read(m.as_bytes()) for m in found), HOST)
    assert [r.domain for r in heard.aggregate] == [DOMAIN]
    assert [r.organization for r in heard.tls] == ["receiver.example"]
    assert heard.unreadable == ("bad.zip: expected gzip or zip, saw BadZipFile",)
    assert [r.organization for r in heard.sessions[DOMAIN]] == ["receiver.example"]
    assert "3 aligned" in str(heard)
    assert "41 sessions with TLS, 2 failed" in str(heard)


HOST, CLIENT = "mail.lantern.example", "from out.receiver.example (out.receiver.example [198.51.100.7])"
RECEIVED = f"{CLIENT} by {HOST} with ESMTPS id 4X; Sat, 21 Nov 2026 03:00:00 +0000"


@pytest.mark.parametrize(
    ("results", "counts"),
    [
        ("", True),
        (f"{HOST}; dmarc=pass header.from=receiver.example", True),
        (f"{HOST}; dmarc=fail header.from=receiver.example; dkim=pass header.d=forger.example", False),
        (f"{HOST}; dkim=pass header.d=reports.receiver.example", True),
        (f"{HOST}; dkim=pass header.d=forger.example", False),
        (f"{HOST}; dkim=none; spf=pass smtp.mailfrom=reports@receiver.example", True),
        (f"{HOST}; dkim=none; spf=pass smtp.mailfrom=forger.example", False),
        (f"{HOST}; dmarc=none; dkim=pass header.d=receiver.example", True),
        (f"{HOST}; dmarc=temperror", False),
        ("forger.example; dmarc=fail", True),  # not our server's word
        (f"{HOST}; spf=softfail smtp.mailfrom=forger.example", True),  # it does not look at DKIM
    ],
)
@pytest.mark.parametrize("data", [gzip.compress(xml()), TLS], ids=["dmarc", "tls"])
def test_a_report_of_a_sender_that_our_server_doubts_is_left_out(results: str, counts: bool, data: bytes) -> None:
    mail = message(("application/octet-stream", "report", data)).as_bytes()
    head = "".join(f"Authentication-Results: {told}\n" for told in [results] if told)
    mail = f"{head}Received: {RECEIVED}\nFrom: reports@receiver.example\n".encode() + mail
    heard = reports.mailbox._sorted([eml.read(mail)], HOST)
    assert (len(heard.aggregate) + len(heard.tls), len(heard.unproved)) == ((1, 0) if counts else (0, 1))
    assert ("left out: 1 of a sender not proved" in str(heard)) is not counts


def test_what_a_forger_writes_below_our_server_counts_for_nothing() -> None:
    mail = message(("application/gzip", "a.xml.gz", gzip.compress(xml()))).as_bytes()
    ours, his = f"{HOST}; dmarc=fail", f"{HOST}; dmarc=pass"
    head = f"Authentication-Results: {ours}\nReceived: {RECEIVED}\nAuthentication-Results: {his}\n"
    heard = reports.mailbox._sorted([eml.read(f"{head}From: reports@receiver.example\n".encode() + mail)], HOST)
    assert (heard.aggregate, len(heard.unproved)) == ((), 1)


def test_what_reports_allow_is_what_is_wanted() -> None:
    here = site("reject")
    assert policy(records.desired(here, reports.records(here, Heard(tuple(days(14, 0))), NOW))) == "quarantine"
    assert policy(records.desired(here, reports.records(here, Heard(), NOW))) == "none"
    assert policy(records.desired(here)) == "none"


def policy(want: Desired) -> str:
    (found,) = (w for w in want if w.name == "_dmarc.lantern.example")
    return dmarc.parse(found.values[0]).policy
