"""SPF parsing and merging."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runbooklib import spf

GOOD = [
    "v=spf1",
    "V=SPF1 -ALL",
    "v=spf1  include:_spf.example.net   ~all",
    "v=spf1 a mx a:mail.example.org/24//64 mx/30 mx//48 ptr ptr:example.org -all",
    "v=spf1 ip4:192.0.2.1 ip4:192.0.2.0/24 ip6:2001:db8::/32 ?all",
    "v=spf1 exists:%{ir}.%{v}._spf.%{d2} redirect=_spf.example.net",
    "v=spf1 include:%{d}.example.net. exp=explain._spf.%{d} x-new=anything%%goes",
    "v=spf1 a:1.example.a1 a/0 -all",
]
BAD = [
    ("", "v=spf1"),
    ("v=spf10 -all", "v=spf1"),
    (" v=spf1 -all", "v=spf1"),
    ("v=spf1 includ:example.net", "no mechanism"),
    ("v=spf1 include", "include is not written so"),
    ("v=spf1 include:", "include is not written so"),
    ("v=spf1 include:localhost", "no domain"),
    ("v=spf1 include:example.123", "no domain"),
    ("v=spf1 all:example.org", "all is not written so"),
    ("v=spf1 all/24", "no prefix length"),
    ("v=spf1 include:example.org/24", "no prefix length"),
    ("v=spf1 a:", "a is not written so"),
    ("v=spf1 a/33", "no prefix length"),
    ("v=spf1 a/024", "no prefix length"),
    ("v=spf1 mx//129", "no prefix length"),
    ("v=spf1 ip4:192.0.2.300", "no ip4 network"),
    ("v=spf1 ip4:2001:db8::1", "no ip4 network"),
    ("v=spf1 ip6:192.0.2.1", "no ip6 network"),
    ("v=spf1 ip6:fe80::1%eth0", "no ip6 network"),
    ("v=spf1 ip4:192.0.2.0//24", "one slash"),
    ("v=spf1 exists:%{x}.example.org", "no domain"),
    ("v=spf1 exists:%{d0}.example.org", "no domain"),
    ("v=spf1 redirect=example.org redirect=example.net", "more than once"),
    ("v=spf1 -redirect=example.org", "no mechanism"),
    ("v=spf1\t-all", "v=spf1"),
    ("v=spf1 a\t-all", "no mechanism"),
    ("v=spf1 ünicode", "no mechanism"),
]


@pytest.mark.parametrize("text", GOOD)
def test_a_record_by_the_grammar_is_read_and_kept_word_by_word(text: str) -> None:
    assert str(spf.parse(text)).split()[1:] == text.split()[1:]


@pytest.mark.parametrize(("text", "said"), BAD)
def test_a_broken_record_says_which_word_and_why(text: str, said: str) -> None:
    with pytest.raises(spf.SpfError, match=said):
        spf.parse(text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("include:Spf.Example.NET", "include:spf.example.net."),
        ("+a", "A"),
        ("ip4:192.0.2.7/24", "ip4:192.0.2.0/24"),
        ("ip4:192.0.2.1", "ip4:192.0.2.1/32"),
        ("ip6:2001:db8:0:0::/32", "ip6:2001:DB8::/32"),
        ("a/32//128", "a"),
    ],
)
def test_terms_compare_by_meaning(one: str, other: str) -> None:
    assert spf.parse(f"v=spf1 {one}") == spf.parse(f"v=spf1 {other}")


def test_the_case_of_a_macro_letter_is_meaning() -> None:
    assert spf.parse("v=spf1 exists:%{L}.x.example") != spf.parse("v=spf1 exists:%{l}.x.example")


@pytest.mark.parametrize(
    ("stands", "merged"),
    [
        ("v=spf1 -all", "v=spf1 include:r.example -all"),
        ("v=spf1 mx ?all", "v=spf1 mx include:r.example ?all"),
        ("v=spf1 a", "v=spf1 a include:r.example"),
        ("v=spf1", "v=spf1 include:r.example"),
        ("v=spf1 redirect=_spf.example", "v=spf1 include:r.example redirect=_spf.example"),
        ("v=spf1 a redirect=_spf.example", "v=spf1 a include:r.example redirect=_spf.example"),
        ("v=spf1 INCLUDE:R.example -all", "v=spf1 INCLUDE:R.example -all"),
        ("v=spf1 all=x a", "v=spf1 all=x a include:r.example"),
        ("v=spf1 -all include:r.example", "v=spf1 include:r.example -all include:r.example"),
        ("v=spf1 ?include:r.example -all", "v=spf1 include:r.example ?include:r.example -all"),
    ],
)
def test_merging_adds_what_is_lacking_where_it_is_tested(stands: str, merged: str) -> None:
    assert str(spf.parse(stands).merged(spf.of(["include:r.example"]))) == merged


def test_a_first_record_ends_softly() -> None:
    assert str(spf.of(["ip4:192.0.2.1", "include:r.example"])) == "v=spf1 ip4:192.0.2.1 include:r.example ~all"


WORDS = st.sampled_from(" ".join(GOOD + [b for b, _ in BAD]).split(" ")) | st.text(max_size=20)


@settings(deadline=None)
@given(st.lists(WORDS, max_size=12), st.lists(WORDS, max_size=4))
def test_nothing_typed_raises_anything_but_our_own_and_merging_is_stable(here: list[str], there: list[str]) -> None:
    try:
        stands, wanted = spf.parse(" ".join(["v=spf1", *here])), spf.parse(" ".join(["v=spf1", *there]))
    except spf.SpfError:
        return
    merged = stands.merged(wanted)
    assert merged.merged(wanted) == merged
    assert all(merged.has(t) for t in wanted.tested)
    assert [t for t in merged.terms if t in stands.terms and t not in wanted.tested] == [
        t for t in stands.terms if t not in wanted.tested
    ]
    assert spf.parse(str(merged)) == merged


@pytest.mark.parametrize(
    "word",
    [
        "a:" + "1" * 60000,
        "a:" + "a." * 30000 + ".",
        "a:" + "%{s" * 20000,
        "a:" + "%{s" + "-" * 60000,
        "a" + "/1" * 30000,
        "ip4:" + "1." * 30000,
        "x=" + "%" * 59999,
        "include:" + "a-" * 30000 + ".",
        "a/" + "9" * 60000,
    ],
)
def test_a_hostile_record_costs_little_time(word: str) -> None:
    started = time.process_time()
    with pytest.raises(spf.SpfError):
        spf.parse(f"v=spf1 {word}")
    assert time.process_time() - started < 1


def test_what_never_came_from_dns_is_not_read() -> None:
    with pytest.raises(spf.SpfError):
        spf.parse("v=spf1 " + "a " * 40000)
