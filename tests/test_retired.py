"""What is no longer used, as the server remembers it."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbooklib.servers import retired
from runbooklib.servers.retired import KEY, RELAY, Retired, RetiredError

SINCE = datetime(2026, 11, 21, 22, 50, 7, tzinfo=UTC)
OLD_KEY = Retired(KEY, "lantern.example", SINCE, "7d", selector="mail", public="v=DKIM1; k=rsa; p=MIGf")
OLD_RELAY = Retired(
    RELAY,
    "lantern.example",
    SINCE,
    "36h",
    relay="office",
    next_hop="[smtp.example.net]:587",
    spf=("include:spf.example.net",),
    records=(("x._domainkey.lantern.example", "TXT"), ("s1._domainkey.lantern.example", "CNAME", "s1.example.net")),
)


def test_the_file_says_what_it_remembers() -> None:
    assert retired.text([OLD_KEY]) == (
        "# Written by mail-runbooks: what is no longer used, and since when (UTC).\n"
        "- kind: key\n  domain: lantern.example\n  since: '2026-11-21T22:50:07Z'\n  period: 7d\n"
        "  selector: mail\n  public: v=DKIM1; k=rsa; p=MIGf\n"
    )


def test_what_was_written_is_read_again_whatever_its_order() -> None:
    assert retired.parse(retired.text([OLD_RELAY, OLD_KEY])) == (OLD_KEY, OLD_RELAY)
    assert retired.text([OLD_RELAY, OLD_KEY]) == retired.text([OLD_KEY, OLD_RELAY])


@given(st.timedeltas(timedelta(0), timedelta(days=36500)), st.integers(1, 999), st.sampled_from("mhd"))
def test_any_moment_and_period_survive_the_file(later: timedelta, count: int, unit: str) -> None:
    since = (SINCE + later).replace(microsecond=0)
    entry = Retired(KEY, "a.example", since, f"{count}{unit}", selector="s")
    assert retired.parse(retired.text([entry])) == (entry,)


def test_nothing_is_an_empty_file_and_an_empty_file_nothing() -> None:
    assert retired.text([]) == ""
    assert retired.parse("") == retired.parse("# a comment\n") == ()


@pytest.mark.parametrize("moment", ["2026-11-21T22:50:07Z", "2026-11-21 22:50:07", "'2026-11-21T23:50:07+01:00'"])
def test_a_time_an_administrator_wrote_otherwise_is_read(moment: str) -> None:
    line = f"- {{kind: key, domain: a.example, selector: s, since: {moment}}}\n"
    assert retired.parse(line)[0].since == SINCE


@pytest.mark.parametrize(("period", "length"), [("90m", timedelta(minutes=90)), ("36h", timedelta(hours=36))])
def test_it_may_go_when_its_period_is_over_and_not_a_second_sooner(period: str, length: timedelta) -> None:
    entry = Retired(KEY, "a.example", SINCE, period, selector="s")
    assert not entry.due(SINCE + length - timedelta(seconds=1))
    assert entry.due(SINCE + length)


@pytest.mark.parametrize(
    "text",
    [
        "- [",
        "kind: key",
        "- kind: key\n",
        "- {kind: hat, domain: a.example, selector: s, since: '2026-11-21T22:50:07Z'}",
        "- {kind: key, domain: a.example, since: '2026-11-21T22:50:07Z'}",
        "- {kind: key, domain: a.example, selector: s, since: yesterday}",
        "- {kind: key, domain: a.example, selector: s, since: '2026-11-21T22:50:07Z', period: soon}",
        "- {kind: key, domain: a.example, selector: s, since: '2026-11-21T22:50:07Z', colour: red}",
        "7",
    ],
)
def test_a_file_that_says_something_else_is_named(text: str) -> None:
    with pytest.raises(RetiredError, match=r"runbook-retired\.yaml"):
        retired.parse(text)


def test_what_was_left_in_dns_is_known_again_by_its_value() -> None:
    unknown = dataclasses.replace(OLD_KEY, public="")
    assert [(u.name, u.type, u.values, u.mechanisms) for u in retired.unwanted([OLD_KEY, OLD_RELAY, unknown])] == [
        ("mail._domainkey.lantern.example", "TXT", ("v=DKIM1; k=rsa; p=MIGf",), ()),
        ("lantern.example", "TXT", (), ("include:spf.example.net",)),
        ("s1._domainkey.lantern.example", "CNAME", ("s1.example.net",), ()),
    ]
