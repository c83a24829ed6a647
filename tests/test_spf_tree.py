"""What a record costs, and who in it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from zones import Zones

from runbooklib import spf
from runbooklib.answers import Answer


def zones(told: dict[str, Any]) -> Zones:
    return Zones({name: [{"TXT": here}] if isinstance(here, str) else here for name, here in told.items()})


def grown(told: dict[str, Any]) -> spf.Tree:
    return asyncio.run(spf.cost(zones(told), "Example.org."))


GROWN = {
    "example.org": [
        {"TXT": "v=spf1 mx a include:pool.example ip4:192.0.2.1 ~all ptr redirect=x.example"},
        {"MX": [10, "mail.example.org"]},
        {"A": "192.0.2.1"},
    ],
    "mail.example.org": [{"A": "192.0.2.1"}],
    "pool.example": "v=spf1 include:one.example include:two.example exists:%{i}.x.example -all",
    "one.example": "v=spf1 ip4:198.51.100.0/24 -all",
    "two.example": "v=spf1 a:gone.example -all",
}


def test_each_term_shows_what_it_costs_with_all_below_it() -> None:
    tree = grown(GROWN)
    assert [(term.strip(), cost) for term, cost, _ in tree.rows] == [
        ("example.org", "7"),
        ("mx", "1"),
        ("a", "1"),
        ("include:pool.example", "5"),
        ("include:one.example", "1"),
        ("include:two.example", "2"),
        ("a:gone.example", "1"),
        ("exists:%{i}.x.example", "1"),
    ]
    assert (tree.lookups, tree.voids, tree.problems, tree.unheard) == (7, 1, (), ())


def test_it_is_read_at_a_glance() -> None:
    lines = str(grown(GROWN)).splitlines()
    assert lines[0] == "SPF of example.org: 7 of 10 lookups, 1 of 2 void"
    assert [len(line) - len(line.lstrip()) for line in lines[2:]] == [0, 2, 2, 2, 4, 4, 6, 4]
    assert "never looked at, as all decides: ptr redirect=x.example" in lines[2]
    assert "now 10 mail.example.org" in lines[3]
    assert "void: gone.example has no A or AAAA record" in lines[8]


def test_it_counts_as_a_receiver_does_who_comes_to_the_end() -> None:
    tree = grown(GROWN)
    got = asyncio.run(spf.evaluate(zones(GROWN), "203.0.113.9", "a@example.org", "h.example"))
    assert (got.result, got.lookups) == ("softfail", tree.lookups)


@pytest.mark.parametrize(
    ("told", "problem"),
    [
        ({"example.org": "v=spf1 include:example.org"}, "a loop: example.org leads here"),
        ({"example.org": "v=spf1 include:b.example", "b.example": "v=spf1 redirect=example.org"}, "a loop"),
        ({"example.org": "v=spf1 include:b.example"}, "b.example has no SPF record (NXDOMAIN)"),
        ({"example.org": "v=spf1 redirect=b.example", "b.example": "other"}, "b.example has no SPF record (NOERROR)"),
        ({"example.org": "v=spf1 include:b.example", "b.example": "v=spf1 foo"}, "b.example: 'foo' is no mechanism"),
        ({"example.org": "v=spf1 foo"}, "example.org: 'foo' is no mechanism"),
        ({"example.org": [{"TXT": "v=spf1"}, {"TXT": "v=spf1 a"}]}, "example.org has 2 SPF records"),
        ({"example.org": "v=spf1" + " exists:%{i}.x" * 11}, "11 terms ask DNS, the limit is 10"),
        ({"example.org": "v=spf1 a:x.example a:y.example a:z.example"}, "3 terms find nothing, the limit is 2"),
        (
            {"example.org": [{"TXT": "v=spf1 mx a:x.example a:y.example"}, {"MX": [1, "m.x"]}]},
            "3 terms find nothing, the limit is 2",
        ),
        ({"example.org": [{"TXT": "v=spf1 mx"}, *({"MX": [1, f"m{i}.x"]} for i in range(11))]}, "11 MX records"),
        ({"example.org": "v=spf1 include:x..y.example"}, "no domain name"),
    ],
)
def test_what_receivers_answer_permerror_for_is_a_problem(told: dict[str, Any], problem: str) -> None:
    tree = grown(told)
    assert any(problem in said for said in tree.problems), tree.problems
    assert asyncio.run(spf.evaluate(zones(told), "203.0.113.9", "a@example.org", "")).result == "permerror"


@pytest.mark.parametrize("silent", ["example.org", "pool.example", "gone.example"])
def test_what_could_not_be_asked_is_no_problem_and_not_forgotten(silent: str) -> None:
    tree = grown(GROWN | {silent: ["TIMEOUT"]})
    assert (tree.problems, len(tree.unheard)) == ((), 1)
    assert silent in tree.unheard[0]


def test_exchangers_without_an_address_are_void() -> None:
    tree = grown({"example.org": [{"TXT": "v=spf1 mx -all"}, {"MX": [1, "m.x"]}, {"MX": [2, "n.x"]}]})
    assert tree.rows[1][2] == "void: m.x, n.x has no A or AAAA record"
    assert grown({"example.org": [{"TXT": "v=spf1 mx"}, {"MX": [0, "."]}]}).voids == 1


@pytest.mark.parametrize(("there", "voids"), [([], 1), ([{"TXT": "other"}], 0)])
def test_an_include_that_leads_nowhere_is_void(there: list[Any], voids: int) -> None:
    assert grown({"example.org": "v=spf1 include:b.example -all", "b.example": there}).voids == voids


def test_a_domain_without_a_record_costs_nothing() -> None:
    tree = grown({})
    assert (tree.record, tree.lookups, tree.problems, tree.rows[0][2]) == (
        None,
        0,
        (),
        "example.org has no SPF record (NXDOMAIN)",
    )


def test_macros_that_name_the_domain_are_followed() -> None:
    tree = grown({"example.org": "v=spf1 include:%{d}.x.example", "example.org.x.example": "v=spf1 exists:%{i}.%{p}.y"})
    assert [cost for _, cost, _ in tree.rows] == ["3", "3", "2"]


def test_it_takes_as_long_as_it_is_deep() -> None:
    """Rounds of questions, each answered only after all that were asked beside it."""
    zone = zones(GROWN)
    rounds: list[int] = []
    waiting: list[asyncio.Event] = []

    async def look(name: str, kind: str) -> Answer:
        waiting.append(asyncio.Event())
        await waiting[-1].wait()
        return await zone(name, kind)

    async def turn() -> spf.Tree:
        task = asyncio.create_task(spf.cost(look, "example.org"))
        while not task.done():
            for _ in range(20):
                await asyncio.sleep(0)
            rounds.append(len(waiting))
            while waiting:
                waiting.pop().set()
        return await task

    assert asyncio.run(turn()).lookups == 7
    assert [many for many in rounds if many] == [1, 4, 4, 2]


HOSTILE = {
    "wide": {
        "example.org": "v=spf1" + " include:b.example a mx" * 1000,
        "b.example": "v=spf1" + " include:c.example" * 1000,
    },
    "doubling": {
        f"{name}.example".replace("a.example", "example.org"): f"v=spf1 include:{below}.example include:{below}.example"
        for name, below in zip("abcdefghijklm", "bcdefghijklmn", strict=True)
    },
    "deep": {"example.org": "v=spf1 include:0.example"}
    | {f"{i}.example": f"v=spf1 include:{i + 1}.example" for i in range(500)},
    "long": {"example.org": "v=spf1" + " ip4:192.0.2.9" * 4000 + " include:" + "%{d}" * 1000},
}


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_hostile_tree_ends_after_a_bounded_number_of_questions(hostile: str) -> None:
    zone = zones(HOSTILE[hostile])
    tree = asyncio.run(spf.cost(zone, "example.org"))
    assert len(zone.asked) <= 1 + 40 * (1 + 2 * 10)
    assert tree.problems
