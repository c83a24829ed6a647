"""MTA-STS and TLS-RPT: records, the policy file, reports."""

from __future__ import annotations

import contextlib
import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runbooklib import mtasts, tlsrpt
from runbooklib.mtasts import Announcement, Policy, StsError
from runbooklib.tlsrpt import TlsRptError


@pytest.mark.parametrize("text", ["v=STSv1; id=20261122a;", "v=STSv1;id=20261122a", "v=STSv1 ; id=20261122a; x=y"])
def test_an_announcement_is_its_id(text: str) -> None:
    assert mtasts.parse_record(text) == Announcement("20261122a")


def test_what_is_written_is_read_again() -> None:
    assert mtasts.parse_record(str(Announcement("1"))) == Announcement("1")
    policy = Policy("testing", ("mx.lantern.example", "*.lantern.example"), 86400)
    assert mtasts.parse_policy(str(policy)) == policy


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([], "no MTA-STS records"),
        (["v=spf1 -all"], "no MTA-STS records"),
        (["v=STSv1; id=1", "v=STSv1; id=2"], "2 MTA-STS records, which count as none"),
        (["v=STSv1;"], "id="),
        (["v=STSv1; id=2026-11-22"], "id="),
        (["v=STSv1; id=" + "1" * 33], "id="),
        (["v=STSv1; id=1; id=2"], "stands twice"),
        (["id=1; v=STSv1;"], "no MTA-STS records"),
    ],
)
def test_what_announces_nothing(values: list[str], said: str) -> None:
    with pytest.raises(StsError, match=said):
        mtasts.announced(values)


def test_others_at_the_name_do_not_count() -> None:
    assert mtasts.announced(["v=spf1 -all", "v=STSv1; id=1;"]) == Announcement("1")


FILE = "version: STSv1\nmode: enforce\nmx: mail.lantern.example\nmx: *.in.Lantern.example\nmax_age: 604800\n"


@pytest.mark.parametrize(
    "text",
    [
        FILE,
        FILE.replace("\n", "\r\n"),
        FILE.rstrip("\n"),
        FILE.replace(": ", ":"),
        FILE + "max_age: 5\nnew_field: whatever\n",  # the first counts; what nobody knows is left alone
    ],
)
def test_a_policy_file_is_read(text: str) -> None:
    expected = Policy("enforce", ("mail.lantern.example", "*.in.lantern.example"), 604800)
    assert mtasts.parse_policy(text) == expected


@pytest.mark.parametrize(
    ("host", "covered"),
    [
        ("mail.lantern.example", True),
        ("MAIL.lantern.example.", True),
        ("a.in.lantern.example", True),
        ("a.b.in.lantern.example", False),
        ("in.lantern.example", False),
        ("other.lantern.example", False),
        ("example", False),
        ("", False),
    ],
)
def test_a_wildcard_is_one_label(host: str, covered: bool) -> None:
    assert mtasts.parse_policy(FILE).covers(host) is covered


def test_every_reason_is_said_at_once() -> None:
    with pytest.raises(StsError) as error:
        mtasts.parse_policy("version: STSv2\nmode: on\nmx: mail..example\nmax_age: 99999999\n<html>\n")
    assert str(error.value) == (
        "'<html>' is no field; version is STSv1; mode is one of none, testing, enforce; "
        "max_age is 0 to 31557600 seconds; mx 'mail..example' is no host name (RFC 8461 3.2)"
    )


@pytest.mark.parametrize(
    "wrong", ["mx: *lantern.example", "mx: *.*.example", "mx: a b", "mx: -a.example", "mx: é.example"]
)
def test_no_pattern(wrong: str) -> None:
    with pytest.raises(StsError, match="no host name"):
        mtasts.parse_policy(f"{FILE}{wrong}\n")


def test_a_policy_that_ends_needs_no_mx() -> None:
    assert mtasts.parse_policy("version: STSv1\nmode: none\nmax_age: 86400\n") == Policy("none", (), 86400)
    with pytest.raises(StsError, match="at least one mx"):
        mtasts.parse_policy("version: STSv1\nmode: testing\nmax_age: 86400\n")


def test_where_tls_reports_go() -> None:
    found = tlsrpt.parse("v=TLSRPTv1; rua=mailto:tls@lantern.example,https://reports.example/v1;")
    assert [d.host for d in found.destinations] == ["lantern.example", "reports.example"]
    assert tlsrpt.asked(["other", "v=TLSRPTv1;rua=mailto:tls@lantern.example"]).destinations[0].mail


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([], "no TLS-RPT records"),
        (["v=TLSRPTv1; rua=mailto:a@b.example"] * 2, "2 TLS-RPT records, which count as none"),
        (["v=TLSRPTv1;"], "rua= says"),
        (["v=TLSRPTv1; rua=a@b.example"], "no URI"),
        (["v=TLSRPTv1; rua=ftp://b.example/x"], "neither mailto: nor https:"),
        (["v=TLSRPTv1; rua=mailto:a@b.example; rua=mailto:c@d.example"], "stands twice"),
    ],
)
def test_what_asks_for_no_report(values: list[str], said: str) -> None:
    with pytest.raises(TlsRptError, match=said):
        tlsrpt.asked(values)


def report(**changes: Any) -> str:
    policy = {
        "policy": {"policy-type": "sts", "policy-domain": "Lantern.example", "mx-host": ["mail.lantern.example"]},
        "summary": {"total-successful-session-count": 5326, "total-failure-session-count": 303},
        "failure-details": [
            {"result-type": "certificate-expired", "failed-session-count": 100},
            {"result-type": "starttls-not-supported", "failed-session-count": 200},
            {"result-type": "certificate-expired", "failed-session-count": 3},
        ],
    }
    whole: dict[str, Any] = {
        "organization-name": "Stranger",
        "date-range": {"start-datetime": "2026-11-21T00:00:00Z", "end-datetime": "2026-11-21T23:59:59Z"},
        "report-id": "1",
        "policies": [policy | changes],
    }
    return json.dumps(whole)


def test_a_report_is_counts_by_policy() -> None:
    found = tlsrpt.parse_report(report())
    (policy,) = found.policies
    assert (found.organization, found.start[:10], found.clean) == ("Stranger", "2026-11-21", False)
    assert (policy.domain, policy.policy, policy.successful, policy.failed) == ("lantern.example", "sts", 5326, 303)
    assert policy.failures == {"certificate-expired": 103, "starttls-not-supported": 200}


def test_a_clean_report_has_no_failure() -> None:
    summary = {"total-successful-session-count": 7, "total-failure-session-count": 0}
    clean = json.loads(report(summary=summary))
    del clean["policies"][0]["failure-details"]
    assert tlsrpt.parse_report(json.dumps(clean)).clean is True
    assert tlsrpt.parse_report(report(summary=summary)).clean is False  # details against the sum: not clean


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "null",
        '"text"',
        "[" * 100_000,
        report(policy=None),
        report(summary={"total-successful-session-count": -1, "total-failure-session-count": 0}),
        report(summary={"total-successful-session-count": True, "total-failure-session-count": 0}),
        report(**{"failure-details": {"result-type": "x"}}),
        report(**{"failure-details": ["x"]}),
        json.dumps(json.loads(report()) | {"policies": "x"}),
        json.dumps(json.loads(report()) | {"policies": ["x"]}),
        json.dumps(json.loads(report()) | {"date-range": "today"}),
    ],
)
def test_what_is_no_report(text: str) -> None:
    with pytest.raises(TlsRptError):
        tlsrpt.parse_report(text)


PIECES = [
    "v=STSv1;",
    "v=TLSRPTv1;",
    "id=1;",
    "rua=",
    "mailto:a@b.example",
    ",",
    "https://x/",
    "version: STSv1\n",
    " ",
    "é",
]
PIECES += [
    "mode: none\n",
    "mode: testing\n",
    "mx: a.example\n",
    "mx: *.",
    "max_age: 5\n",
    "max_age: x",
    "\r\n",
    ":",
    ";",
]
TEXT = st.text(max_size=40) | st.lists(st.sampled_from(PIECES), max_size=9).map("".join)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["policies", "policy", "summary", "date-range", "failure-details", "x"]), inner
        )
    ),
    max_leaves=10,
)


@settings(deadline=None, max_examples=40)
@given(TEXT)
def test_no_text_raises_anything_but_its_own_error(text: str) -> None:
    with contextlib.suppress(StsError):
        assert mtasts.parse_record(text).id
    with contextlib.suppress(StsError):
        policy = mtasts.parse_policy(text)
        assert mtasts.parse_policy(str(policy)) == policy
    with contextlib.suppress(TlsRptError):
        assert tlsrpt.parse(text).destinations


@settings(deadline=None, max_examples=20)
@given(JSON)
def test_no_report_raises_anything_but_its_own_error(told: Any) -> None:
    with contextlib.suppress(TlsRptError):
        tlsrpt.parse_report(json.dumps(told))
    with contextlib.suppress(TlsRptError):
        tlsrpt.parse_report(json.dumps(json.loads(report()) | {"policies": told}))


@pytest.mark.parametrize(
    "text",
    ["version: STSv1\n" * 4_000, "mx: " + "a." * 30_000, "x" * 1_000_000, "a:" + " " * 60_000 + "\r", "\n" * 60_000],
    ids=["many fields", "a long name", "a megabyte", "blanks", "lines"],
)
def test_hostile_policies_cost_little(text: str) -> None:
    began = time.process_time()
    with pytest.raises(StsError) as error:
        mtasts.parse_policy(text)
    assert len(str(error.value)) < 1000
    assert time.process_time() - began < 0.3
