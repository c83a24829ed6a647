"""Statuses, checks, plans and outcomes, and how they show themselves."""

from __future__ import annotations

import importlib
import itertools
import pkgutil

import pytest

import runbooklib
from runbooklib import results
from runbooklib.results import (
    MIME,
    Change,
    Check,
    Checklist,
    GateError,
    Outcome,
    Plan,
    RunbookError,
    Status,
    Table,
    UnsafePlanError,
)

ORDER = ["fail", "unknown", "pending", "warn", "pass"]


def check(status: str, name: str = "a.b", *, advisory: bool = False) -> Check:
    return Check(name, Status(status), "so", "thus", "mend it", "RFC 1", advisory)


@pytest.mark.parametrize("statuses", list(itertools.combinations(ORDER, 2)))
def test_the_worst_row_counts(statuses: tuple[str, str]) -> None:
    assert Status.worst(Status(s) for s in reversed(statuses)) == statuses[0]
    assert Checklist("", tuple(check(s) for s in statuses)).status == statuses[0]
    assert Status.worst([]) is Status.PASS


@pytest.mark.parametrize("status", ["pass", "warn", "pending"])
def test_require_lets_these_through(status: str) -> None:
    rows = Checklist("", (check(status),))
    assert rows.require() is rows


def test_require_raises_for_fail_and_unknown_with_one_message_a_row_and_its_fix() -> None:
    rows = Checklist(
        "", (check("pass", "a"), check("unknown", "b"), check("fail", "c"), check("unknown", "d", advisory=True))
    )
    with pytest.raises(GateError) as raised:
        rows.require()
    assert str(raised.value) == (
        "c: fail: expected so; saw thus\n    → mend it\nb: unknown: expected so; saw thus\n    → mend it"
    )
    assert raised.value._render_traceback_() == [f"GateError: {raised.value}"]


def test_failures_stand_on_top_status_first() -> None:
    rows = Checklist("rows", tuple(check(s, s) for s in reversed(ORDER)))
    assert [line.split()[0] for line in str(rows).splitlines()[2:]] == ORDER
    assert str(rows).splitlines()[1].split()[0] == "status"


def test_a_plan_is_sorted_and_empty_is_falsy() -> None:
    changes = (Change(2, "a", "", "x", "w"), Change(1, "b", "", "x", "w"), Change(1, "a", "", "x", "w"))
    plan = Plan("p", changes)
    assert [(c.order, c.target) for c in plan] == [(1, "a"), (1, "b"), (2, "a")]
    assert (bool(plan), bool(Plan("p")), len(plan)) == (True, False, 3)
    assert str(Plan("p")) == "p: nothing to change"


def test_an_unsafe_plan_refuses_and_says_every_reason() -> None:
    plan = Plan("p", (), ("it would drop the zone", "and the mail"))
    with pytest.raises(UnsafePlanError, match=r"(?s)drop the zone.*and the mail"):
        plan.refuse_unsafe()
    assert "drop the zone" in str(plan)
    Plan("p").refuse_unsafe()


def test_an_outcome_says_what_was_done() -> None:
    plan = Plan("p", (Change(1, "a", "old", "new", "w"),))
    assert not Outcome(plan)
    assert "nothing was touched" in str(Outcome(plan))
    done = Outcome(plan, plan.changes, applied=True)
    assert bool(done)
    assert [c["applied"] for c in done.data()["changes"]] == [True]
    assert "nothing was touched" in str(Outcome(Plan("p"), (), applied=True))


@pytest.mark.parametrize(
    "shown",
    [
        check("fail"),
        Checklist("c"),
        Plan("p"),
        Outcome(Plan("p")),
        Table.of("t", {"<a>": "& b"}),
    ],
)
def test_everything_shows_itself_as_text_html_and_data(shown: Check) -> None:
    bundle = shown._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html", MIME}
    assert bundle[MIME]["kind"] in {"checklist", "plan", "outcome", "table"}
    assert "<a>" not in bundle["text/html"]


def test_rows_become_a_frame() -> None:
    frame = Checklist("", (check("pass", "x"), check("fail", "y"))).frame()
    assert list(frame["check"]) == ["y", "x"]


def test_the_error_tree_is_drawn_whole() -> None:
    for module in pkgutil.walk_packages(runbooklib.__path__, "runbooklib."):
        if ".standin" not in module.name and ".services" not in module.name:  # programs of the containers
            importlib.import_module(module.name)
    missing = [e.__name__ for e in RunbookError.__subclasses__() if e.__name__ not in (results.__doc__ or "")]
    assert missing == []
