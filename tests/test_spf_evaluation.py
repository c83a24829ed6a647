"""What a receiver makes of a client: RFC 7208's own suite stands in tests/peers; here is what it leaves open."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from zones import Zones

from runbooklib import spf
from runbooklib.answers import Answer, Question, Word
from runbooklib.spf import Evaluation, macros
from runbooklib.spf.outcome import EndError
from runbooklib.spf.session import PATIENCE, Client, Session, preferred

ME = "192.0.2.1"


def zones(told: dict[str, Any]) -> Zones:
    return Zones({name: [{"TXT": here}] if isinstance(here, str) else here for name, here in told.items()})


def judged(zone: dict[str, Any], ip: str = ME, sender: str = "a@example.org", helo: str = "h.example") -> Evaluation:
    return asyncio.run(spf.evaluate(zones(zone), ip, sender, helo))


@pytest.mark.parametrize(
    ("record", "result", "reason"),
    [
        ("v=spf1 ip4:192.0.2.0/24 -all", "pass", "ip4:192.0.2.0/24"),
        ("v=spf1 a -all", "fail", "-all: nothing before it in the record of example.org matches 192.0.2.1"),
        ("v=spf1", "neutral", "nothing in the record of example.org matches"),
        ("v=spf1 include:example.org -all", "permerror", "eleventh term"),
        ("v=spf1 include:nowhere.example", "permerror", "include:nowhere.example: nowhere.example has no SPF record"),
        ("v=spf1 include:pool.example -all", "pass", "include:pool.example, there ip4:192.0.2.1"),
        ("v=spf1 redirect=pool.example", "pass", "ip4:192.0.2.1"),
        ("v=spf1 a:x.example a:y.example a:z.example", "permerror", "third term that finds nothing"),
        ("v=spf1 foo", "permerror", "'foo' is no mechanism or modifier"),
        ("v=spf10", "none", "example.org has no SPF record"),
        ("v=spf1 a:caf\xe9.example -all", "permerror", "is no domain"),
        ("v=spf1 exists:%{p}.x.example -all", "fail", "-all"),
    ],
)
def test_a_result_says_why(record: str, result: str, reason: str) -> None:
    got = judged({"example.org": [{"TXT": record}, {"A": "192.0.2.9"}], "pool.example": "v=spf1 ip4:192.0.2.1 -all"})
    assert (got.result, reason in got.reason) == (result, True), got.reason


@pytest.mark.parametrize("word", [w for w in Word if not Answer(Question("", ""), "", w).heard])
@pytest.mark.parametrize("silent", ["example.org", "mail.example"])
def test_whatever_could_not_be_asked_is_temperror(word: Word, silent: str) -> None:
    zone = Zones({"example.org": [{"TXT": "v=spf1 a:mail.example -all"}]})

    async def look(name: str, kind: str) -> Answer:
        return Answer(Question(name, kind), "192.0.2.53", word) if name == silent else await zone(name, kind)

    got = asyncio.run(spf.evaluate(look, ME, "a@example.org", "h.example"))
    assert got.result == "temperror"
    assert silent in got.reason


@pytest.mark.parametrize(
    ("ip", "sender", "helo", "result"),
    [
        (ME, "", "example.org", "pass"),
        (ME, "example.org", "", "pass"),
        (f"::ffff:{ME}", "a@example.org", "", "pass"),
        ("2001:db8::1", "a@example.org", "", "fail"),
        (ME, "a@bücher.example", "", "pass"),
        (ME, "a@" + "ü" * 300, "", "none"),
        (ME, "a" * 400 + "@example.org", "", "none"),
        (ME, "a@[192.0.2.1]", "", "none"),
        (ME, "", "[192.0.2.1]", "none"),
        (ME, "", "", "none"),
        (ME, "a@example..org", "", "none"),
        ("nonsense", "a@example.org", "", "none"),
        ("", "a@example.org", "", "none"),
    ],
)
def test_whose_record_is_asked(ip: str, sender: str, helo: str, result: str) -> None:
    zone = {"example.org": f"v=spf1 ip4:{ME} -all", "xn--bcher-kva.example": f"v=spf1 ip4:{ME} -all"}
    assert judged(zone, ip, sender, helo).result == result


def test_a_local_part_outside_ascii_matches_no_name_made_of_it() -> None:
    """RFC 8616 4."""
    zone = {"example.org": "v=spf1 exists:%{l}.x.example -all", "xn--9ca.x.example": [{"A": "127.0.0.2"}]}
    assert judged(zone, sender="é@example.org").result == "fail"


def test_the_name_of_the_client_costs_a_lookup() -> None:
    assert judged({"example.org": "v=spf1 exists:%{p}.x.example -all"}).lookups == 2


@pytest.mark.parametrize(
    ("names", "p"),
    [
        (("z.example", "mx.example.org", "example.org"), "example.org"),
        (("z.example", "mx.example.org"), "mx.example.org"),
        (("z.example", "notexample.org"), "z.example"),
        ((), "unknown"),
    ],
)
def test_of_several_names_the_one_nearest_the_domain_is_taken(names: tuple[str, ...], p: str) -> None:
    """RFC 7208 7.3."""
    assert preferred(names, "Example.org") == p


def test_a_mail_exchanger_with_old_addresses_only_is_one_void_for_a_new_client() -> None:
    hosts = {f"m{i}.example": [{"A": "192.0.2.9"}] for i in range(3)}
    domain = [{"TXT": "v=spf1 mx ip6:2001:db8::1 -all"}, *({"MX": [1, host]} for host in hosts)]
    got = judged({"example.org": domain, **hosts}, ip="2001:db8::1")
    assert (got.result, got.voids) == ("pass", 1)


VALUES = Client.of(ME, "strong-bad@email.example.com", "mail.example.org", "mx.example.net").values("email.example.com")


@pytest.mark.parametrize(  # RFC 7208 7.4
    ("text", "expanded"),
    [
        ("%{s}", "strong-bad@email.example.com"),
        ("%{o}", "email.example.com"),
        ("%{d4}", "email.example.com"),
        ("%{d2}", "example.com"),
        ("%{d1}", "com"),
        ("%{dr}", "com.example.email"),
        ("%{d2r}", "example.email"),
        ("%{l-}", "strong.bad"),
        ("%{lr-}", "bad.strong"),
        ("%{l1r-}", "strong"),
        ("%{ir}.%{v}._spf.%{d2}", "1.2.0.192.in-addr._spf.example.com"),
        ("%{d99999999999999999999}", "email.example.com"),
        ("%{d00001}", "com"),
        ("%{S}", "strong-bad%40email.example.com"),
        ("%{c} %{r} %%%_%-", "192.0.2.1 mx.example.net % %20"),
    ],
)
def test_macros_expand_as_the_rfc_shows(text: str, expanded: str) -> None:
    assert macros.expand(text, VALUES) == expanded


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a." * 200 + "example", "a." * 123 + "example"),
        ("x" * 64 + ".example", ""),
        ("a..example", ""),
        ("%{d}.", "email.example.com"),
        ("x" * 300, ""),
    ],
)
def test_a_name_is_cut_at_the_left_until_it_fits(text: str, name: str) -> None:
    assert macros.name(text, VALUES) == name


def test_a_name_reaches_dns_with_its_unusual_characters_written_by_number() -> None:
    zone = Zones({"example.org": [{"TXT": "v=spf1 a:%{l}.example -all"}]})
    asyncio.run(spf.evaluate(zone, ME, '"a\\b (c)"@example.org', "h.example"))
    assert Question(r"\034a\092b\032\040c\041\034.example", "A") in zone.asked


@pytest.mark.parametrize(
    "exp",
    [["because %{i}"], ["one", "two"], ["caf\xe9"], ["broken %{x}"], ["TIMEOUT"], []],
)
def test_an_explanation_is_given_only_when_it_is_sound(exp: list[str]) -> None:
    told = ["TIMEOUT"] if exp == ["TIMEOUT"] else [{"TXT": text} for text in exp]
    got = judged({"example.org": "v=spf1 -all exp=why.example", "why.example": told})
    assert (got.result, got.explanation) == ("fail", "because 192.0.2.1" if exp[0:1] == ["because %{i}"] else "")


HOSTILE = {
    "a loop": {"example.org": "v=spf1 include:b.example", "b.example": "v=spf1 redirect=example.org"},
    "includes that double": {
        name: f"v=spf1 {' '.join([f'include:{below}.example'] * 100)}"
        for name, below in [("example.org", "b"), ("b.example", "c"), ("c.example", "d"), ("d.example", "example.org")]
    },
    "ten exchangers ten times": {
        "example.org": [{"TXT": "v=spf1" + " mx" * 20}, *({"MX": [i, f"m{i}.example"]} for i in range(10))]
    }
    | {f"m{i}.example": [{"A": "192.0.2.9"}] for i in range(10)},
    "many names of a client": {
        "example.org": "v=spf1" + " ptr" * 20,
        "1.2.0.192.in-addr.arpa": [{"PTR": f"n{i}.example"} for i in range(50)],
    },
    "sixty thousand characters": {"example.org": "v=spf1" + " ip4:192.0.2.9" * 4000 + " -all"},
    "macros that swell": {"example.org": "v=spf1 exists:" + "%{s255r}" * 7000 + ".example -all"},
    "many big macros": {"example.org": "v=spf1" + (" exists:" + "%{S}" * 200 + ".example") * 60},
    "an explanation that swells": {"example.org": "v=spf1 -all exp=why.example", "why.example": "%{S} " * 12000},
    "transformers": {"example.org": "v=spf1 exists:%{d" + "9" * 30000 + "r}.example -all"},
    "a broken macro": {"example.org": "v=spf1 exists:" + "%{s" * 20000},
}


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_hostile_record_costs_bounded_time_and_bounded_questions(hostile: str) -> None:
    zone = zones(HOSTILE[hostile])
    started = time.process_time()
    asyncio.run(spf.evaluate(zone, ME, "a" * 250 + "@example.org", "h" * 5000))
    assert time.process_time() - started < 1
    assert len(zone.asked) <= 1 + 10 * 11 + 1


def test_a_check_that_takes_too_long_ends_as_temperror() -> None:
    session = Session(Zones({}), Client.of(ME, "a@example.org", ""), started=time.monotonic() - PATIENCE - 1)
    with pytest.raises(EndError, match="20 seconds") as ended:
        asyncio.run(session.ask("example.org", "TXT"))
    assert ended.value.result == "temperror"


MECHANISMS = (
    "a mx ptr a/24//64 ip4:192.0.2.1 ip6:::/0 -all ~all include:example.org include:%{l}.%{h} a:%{d}.%{S} mx:x%.y"
)
MODIFIERS = "redirect=example.org exp=example.org exists:%{i}.%{p}.x mx:%%.x.example %{ %{x}"
WORDS = st.sampled_from(f"{MECHANISMS} {MODIFIERS}".split(" ")) | st.text(max_size=12)
LATIN = st.text(st.characters(max_codepoint=255), max_size=40)


@settings(max_examples=60)
@given(
    st.lists(st.lists(WORDS, max_size=6), max_size=2),
    LATIN,
    st.text(max_size=20),
    st.text(max_size=20),
    st.text(max_size=8),
)
def test_nothing_raises(records: list[list[str]], other: str, local: str, helo: str, ip: str) -> None:
    texts = [" ".join(["v=spf1", *words]).encode("utf-8", "replace").decode("latin-1") for words in records]
    zone = Zones({"example.org": [{"TXT": t} for t in (*texts, other)] + [{"A": "192.0.2.9"}]})
    for address in (ME, "2001:db8::1", ip):
        got = asyncio.run(spf.evaluate(zone, address, f"{local}@example.org", helo))
        assert got.lookups <= 11
