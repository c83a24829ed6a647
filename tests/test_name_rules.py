"""Causes in the zone that come together, and what only looks like one."""

from __future__ import annotations

import pytest
import shown_names
from test_diagnosis import EVERYWHERE, names, seen

from runbooklib.diagnosis import diagnose, findings
from runbooklib.diagnosis.receiving_rules import RECEIVING_RULES

RELAYED = EVERYWHERE["mx-at-relay"] | EVERYWHERE["stale-cache"]


@pytest.mark.parametrize(("changes", "causes"), shown_names.TOGETHER, ids="+".join)
def test_causes_that_come_together_are_all_named_and_nothing_else(
    changes: dict[str, object], causes: list[str]
) -> None:
    assert names(diagnose(seen(changes))) == [f"diagnosis.{cause}" for cause in causes]


@pytest.mark.parametrize("why", shown_names.NOTHING_WRONG)
def test_what_is_no_fault_is_not_found(why: str) -> None:
    assert findings(seen(shown_names.NOTHING_WRONG[why])) == []


@pytest.mark.parametrize("rule", [rule.id for rule in RECEIVING_RULES if rule.id.startswith("mx-")])
def test_whoever_corrects_an_mx_by_hand_reads_the_record_to_set(rule: str) -> None:
    if rule != "mx-missing":
        said = diagnose(seen(EVERYWHERE[rule]))[f"diagnosis.{rule}"].observed
        assert "`lantern.example. MX 10 mail.lantern.example.`" in said


def test_what_differs_is_said_with_both_values() -> None:
    said = diagnose(seen(EVERYWHERE["address-differs"]))["diagnosis.address-differs"].observed
    assert "A is 203.0.113.99; it should be `mail.lantern.example. A 203.0.113.10`" in said
    said = diagnose(seen(RELAYED))["diagnosis.stale-cache"].observed
    assert "10 old.example; cached until 2026-11-22T13:00:00Z, its zone holds: 10 mail.lantern.example" in said


def test_two_spf_records_are_shown_as_the_one_they_should_be() -> None:
    both = ["v=spf1 include:_spf.relay.example ~all", "v=spf1 include:news.example mx -all"]
    found = diagnose(seen({"spf lantern.example": both}))["diagnosis.spf-twice"]
    assert found.observed.endswith("`v=spf1 include:_spf.relay.example include:news.example mx ~all`")
    found = diagnose(seen({"spf lantern.example": [both[0], "v=spf1 ip4:nobody"]}))["diagnosis.spf-twice"]
    assert "it should be" not in found.observed
