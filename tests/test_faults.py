"""The catalogue of faults holds together with the rules that should name them, and the exam grades strictly."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import nbformat
import pytest
from test_diagnosis import evidence

from runbooklib import cli, stages
from runbooklib.diagnosis import RULES, Sureness, findings
from runbooklib.params import DOCKER_MAILSERVER
from runbooklib.testbed import world
from runbooklib.testbed.faults import FAST, FAULTS, PAIRS, Scene, SceneError, break_, every, mend, named
from runbooklib.testbed.faults.exam import HEALTHY, Exam, Graded, examine, unlit

AT_LEAST = 45
BY_ID = {rule.id: rule for rule in RULES[DOCKER_MAILSERVER]}
GOOD = Graded("mx-missing", ("mx-missing",), ("mx-missing",), 3.0, ("04-dns#apply",))


def test_there_are_as_many_faults_as_were_promised_and_no_two_of_one_name() -> None:
    assert len(FAULTS) >= AT_LEAST
    assert len(every()) == len(FAULTS) + len(PAIRS)
    assert len({fault.what for fault in FAULTS.values()}) == len(FAULTS)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_fault_s_cause_is_a_rule_that_fits_its_symptom(fault: object) -> None:
    assert fault.cause in BY_ID  # type: ignore[attr-defined]
    assert fault.symptom in BY_ID[fault.cause].symptoms  # type: ignore[attr-defined]


def test_the_fast_subset_and_the_pairs_are_of_the_catalogue() -> None:
    assert {name for group in (*FAST, *PAIRS) for name in group} <= set(FAULTS)
    assert all(FAULTS[one].cause != FAULTS[other].cause for one, other in PAIRS)


@pytest.mark.parametrize("server", RULES)
def test_every_rule_says_what_mends_it_and_what_to_look_at_where_it_is_not_sure(server: str) -> None:
    notebooks = {stage.name: nbformat.read(stage.notebook, 4) for stage in stages.find(stages.folder())}
    cells = {f"{name}#{cell.id}" for name, notebook in notebooks.items() for cell in notebook.cells}
    for rule in RULES[server]:
        assert rule.fix, rule.id
        assert rule.symptoms, rule.id
        assert not (rule.cell and rule.command), rule.id
        assert not rule.cell or rule.cell in cells, rule.id
        assert (rule.sureness is Sureness.CERTAIN) or rule.observe, rule.id


@pytest.mark.parametrize("server", RULES)
def test_rules_name_only_rules_and_facts_that_exist(server: str) -> None:
    ids, words = (
        {rule.id for rule in RULES[server]},
        {word for rules in RULES.values() for r in rules for word in r.needs},
    )
    every_id = {rule.id for rules in RULES.values() for rule in rules}
    for rule in RULES[server]:
        assert {*rule.entails, *rule.excludes} <= every_id - {rule.id}, rule.id
        assert set(rule.explains) <= words | {"ssh", "startup", "tls"}, rule.id
    assert len(ids) == len(RULES[server])


def test_a_fault_that_does_not_exist_is_refused_with_where_to_look(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SceneError, match="runbook testbed faults"):
        named(["mx-missing", "gremlins"])
    assert cli.main(["testbed", "break", "gremlins"]) == cli.USAGE
    assert "gremlins: no such fault" in capsys.readouterr().err


def test_the_list_of_faults_is_there_for_scripts(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["testbed", "faults", "--json"]) == cli.OK
    told = json.loads(capsys.readouterr().out)
    assert [fault["fault"] for fault in told] == list(FAULTS)


WRONG = {
    "the second cause is not the first": replace(GOOD, named=("dkim-missing", "mx-missing")),
    "nothing was named": replace(GOOD, named=()),
    "one of a pair is hidden": replace(GOOD, wanted=("mx-missing", "spf-twice"), named=("mx-missing",)),
    "something is found on a healthy site": Graded(HEALTHY, (), ("disk-full",)),
    "a healthy site cannot be seen": Graded(HEALTHY, (), trouble="evidence.ssh: no answer"),
    "it could not be tried": replace(GOOD, trouble="the name server answers REFUSED"),
}


@pytest.mark.parametrize("graded", WRONG.values(), ids=WRONG)
def test_what_is_not_right(graded: Graded) -> None:
    assert not graded.right
    assert not graded.passed


def test_what_is_right_may_still_not_pass() -> None:
    assert GOOD.passed
    beside = replace(GOOD, named=("mx-missing", "spf-twice"))
    assert (beside.right, beside.false, beside.passed) == (True, ("spf-twice",), False)
    assert not replace(GOOD, left=("mx-missing",)).passed
    assert not replace(GOOD, behind=("dns: @ MX",)).passed
    swapped = replace(GOOD, wanted=("mx-missing", "spf-twice"), named=("spf-twice", "mx-missing"))
    assert swapped.passed


def test_nothing_found_in_the_dark_is_not_green() -> None:
    assert unlit(evidence()) == ()
    dark = evidence(queue="no answer within the time budget of 20 s")
    assert findings(dark) == []
    [said] = unlit(dark)
    assert said.startswith("evidence.queue: no answer within the time budget")


def test_a_fault_of_which_nobody_knows_how_far_it_came_is_not_taken_back_blindly(tmp_path: Path) -> None:
    def half_way(_: Scene) -> None:
        raise SceneError("the name server answers REFUSED")

    fault = replace(FAULTS["mx-missing"], injure=half_way)
    world.folder_of(tmp_path).mkdir()
    with pytest.raises(SceneError, match="REFUSED"):
        break_(Scene(tmp_path), fault)
    with pytest.raises(SceneError, match="testbed down"):
        mend(Scene(tmp_path))
    with pytest.raises(SceneError, match="broken already"):
        examine(Scene(tmp_path), every(), print)


def test_the_score_counts_what_it_says() -> None:
    exam = Exam((GOOD, replace(GOOD, left=("mx-missing",)), WRONG["nothing was named"]), 150.0)
    assert exam.score() == "2 of 3 right, 2 of 3 green again after the fix, 0 false findings; 2.5 minutes"
    assert not exam.passed
    assert json.loads(exam.json())["graded"][0]["passed"]
