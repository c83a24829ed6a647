"""What is wanted, merged into what stands by what it means."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from zones import Zones

from runbooklib import spf

OWNER = "example.org"


@pytest.mark.parametrize(
    ("stands", "wanted", "merged"),
    [
        ("ip4:192.0.2.0/24 -all", "ip4:192.0.2.7", None),
        ("ip6:2001:db8::/32 -all", "ip6:2001:db8::25", None),
        ("ip4:192.0.2.7 -all", "ip4:192.0.2.0/24", "ip4:192.0.2.7 ip4:192.0.2.0/24 -all"),
        ("ip4:192.0.2.0/24 -all", "ip4:192.0.3.7", "ip4:192.0.2.0/24 ip4:192.0.3.7 -all"),
        ("ip4:192.0.2.0/24 -all", "ip6:2001:db8::25", "ip4:192.0.2.0/24 ip6:2001:db8::25 -all"),
        ("-ip4:192.0.2.7 ip4:192.0.2.0/24 -all", "ip4:192.0.2.7", "ip4:192.0.2.7 -ip4:192.0.2.7 ip4:192.0.2.0/24 -all"),
        ("ip4:192.0.2.0/24 -ip4:192.0.2.7 -all", "ip4:192.0.2.7", None),
        ("?ip4:192.0.2.0/24 -all", "ip4:192.0.2.7", "ip4:192.0.2.7 ?ip4:192.0.2.0/24 -all"),
        ("mx ~ip4:192.0.0.0/16 ?all", "ip4:192.0.2.0/24", "mx ip4:192.0.2.0/24 ~ip4:192.0.0.0/16 ?all"),
        ("a -all", "a:example.org", None),
        ("mx:EXAMPLE.org. -all", "mx", None),
        ("a:%{d} -all", "a:example.org", None),
        ("a/24 -all", "a", None),
        ("a -all", "a/24", "a a/24 -all"),
        ("a//64 -all", "a", None),
        ("a -all", "a//64", "a a//64 -all"),
        ("a:mail.example.org -all", "a", "a:mail.example.org a -all"),
        ("a -all", "mx", "a mx -all"),
        ("include:r.example -all", "?include:r.example", None),
        ("~include:r.example -all", "?include:r.example", None),
        ("ip4:192.0.2.7 -all", "?ip4:192.0.2.0/24", None),
        ("-all", "?include:r.example", "?include:r.example -all"),
        ("-include:bad.example -all", "include:r.example", "-include:bad.example include:r.example -all"),
    ],
)
def test_only_what_is_not_covered_is_added_and_nothing_becomes_stricter(
    stands: str, wanted: str, merged: str | None
) -> None:
    found = spf.parse(f"v=spf1 {stands}").merged(spf.of([wanted]), OWNER)
    assert str(found) == f"v=spf1 {merged or stands}"


def test_without_the_owners_name_its_own_name_is_another() -> None:
    assert str(spf.parse("v=spf1 a -all").merged(spf.of(["a:example.org"]))) == "v=spf1 a a:example.org -all"


FOUR = ["192.0.2.0", "192.0.2.5", "192.0.2.9", "198.51.100.7"]
CLIENTS = [*FOUR, "2001:db8::5", "2001:db8:1::9"]
MARKS = st.sampled_from(["", "-", "~", "?", "+"])
NETWORKS = st.one_of(
    st.builds("ip4:{}/{}".format, st.sampled_from(FOUR), st.sampled_from([0, 24, 29, 30, 32])),
    st.builds("ip6:{}/{}".format, st.sampled_from(CLIENTS[4:]), st.sampled_from([0, 32, 48, 128])),
)
NAMES = st.sampled_from(["a", "a/29", f"a:{OWNER}", "a:b.example//48"])
PLACES = NETWORKS | NAMES
STANDING = st.lists(st.builds("{}{}".format, MARKS, PLACES), max_size=5)
ENDINGS = st.sampled_from(["-all", "~all", "?all", "all", ""])
ORDER = ["permerror", "fail", "softfail", "neutral", "pass"]


def results(*records: spf.Spf) -> list[tuple[str, ...]]:
    """Of each client under each record."""
    told = {"b.example": [{"A": "198.51.100.7"}, {"AAAA": "2001:db8:1::1"}]}

    async def judged(record: spf.Spf, ip: str) -> str:
        here = [{"TXT": str(record)}, {"A": "192.0.2.5"}, {"AAAA": "2001:db8::5"}]
        return (await spf.evaluate(Zones(told | {OWNER: here}), ip, f"a@{OWNER}", "h.example")).result

    async def all_judged() -> list[tuple[str, ...]]:
        return [tuple([await judged(record, ip) for record in records]) for ip in CLIENTS]

    return asyncio.run(all_judged())


@settings(max_examples=25)
@given(STANDING, ENDINGS, st.lists(PLACES, max_size=3))
def test_who_passed_passes_and_nobody_moves_who_was_not_wanted(stands: list[str], end: str, wanted: list[str]) -> None:
    before, ours = spf.parse(" ".join(["v=spf1", *stands, end])), spf.of(wanted, "")
    merged = before.merged(ours, OWNER)
    assert merged.merged(ours, OWNER) == merged
    for then, asked, after in results(before, ours, merged):
        assert after in {then, "pass"}
        assert after == then or asked == "pass"


@pytest.mark.parametrize(("kind", "other"), [(NETWORKS, NAMES), (NAMES, NETWORKS)])
def test_who_is_wanted_passes(kind: st.SearchStrategy[str], other: st.SearchStrategy[str]) -> None:
    """As far as words can tell: which addresses a name has is not in them, so the other kind only allows."""
    standing = st.lists(st.builds("{}{}".format, MARKS, kind) | other, max_size=5)

    @settings(max_examples=20)
    @given(standing, ENDINGS, st.lists(kind, max_size=3))
    def holds(stands: list[str], end: str, wanted: list[str]) -> None:
        before, ours = spf.parse(" ".join(["v=spf1", *stands, end])), spf.of(wanted, "")
        told = results(ours, before.merged(ours, OWNER))
        assert all(after == "pass" for asked, after in told if asked == "pass")

    holds()


@settings(max_examples=25)
@given(STANDING, MARKS, PLACES)
def test_a_wanted_term_of_any_qualifier_makes_no_result_worse(stands: list[str], mark: str, wanted: str) -> None:
    before = spf.parse(" ".join(["v=spf1", *stands, "-all"]))
    told = results(before, before.merged(spf.of([f"{mark}{wanted}"]), OWNER))
    assert all(ORDER.index(after) >= ORDER.index(then) for then, after in told)


@settings(max_examples=50)
@given(STANDING, st.sampled_from(["-all", "~ALL", "redirect=b.example exp=b.example", "x=%{d} ?all"]))
def test_what_is_read_is_written_as_it_stood(stands: list[str], ending: str) -> None:
    text = " ".join(["v=spf1", *stands, ending])
    assert str(spf.parse(text)) == text
    assert spf.parse(str(spf.parse(text))) == spf.parse(text)
