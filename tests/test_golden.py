"""The golden set: the audit says of each scenario what is true of it, neither more nor less."""

from __future__ import annotations

import asyncio
import fnmatch

import pytest
from golden import judging, scenarios
from golden.judging import Verdict
from golden.scenarios import WORDS, Scenario

from runbooklib.audit import CATALOGUE

SCENARIOS = scenarios.every()
ENOUGH = 320
# What judges a text that was heard, or what others have told already: a silent server leaves no row of it.
HEARD = ("dns.ns.ipv6", "dns.mx.*", "dns.spf.*", "dns.dkim.*", "dns.dmarc.*", "dns.dnssec.algorithm", "dns.ptr.*")
ASKED = ("dns.spf.record", "dns.spf.targets", "dns.spf.sends", "dns.dkim.published", "dns.dmarc.record")


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_the_audit_says_what_is_true(scenario: Scenario) -> None:
    assert scenario.wire._zones, "zone text that cannot be read would be taken for a server that cannot be heard"
    found = asyncio.run(judging.rows(scenario))
    wrong = [j for j in judging.judge(scenario, found) if j.verdict is not Verdict.RIGHT]
    told = [row.advice() for row in found if any(row.name.split()[0] in j.id for j in wrong)]
    assert not wrong, "\n".join([scenario.why, *map(str, wrong), *told])


def test_every_check_is_proved_good_wrong_and_unknown() -> None:
    assert len(SCENARIOS) >= ENOUGH
    allowed = {id_: [t.allowed for s in SCENARIOS for t in s.truth if id_ in t.ids] for id_ in CATALOGUE}
    assert not [id_ for id_, said in allowed.items() if not any(a <= WORDS["unused"] for a in said)], "never good"
    assert not [id_ for id_, said in allowed.items() if not any(a <= WORDS["bad"] for a in said)], "never wrong"
    never = {id_ for id_, said in allowed.items() if not any("unknown" in a and not a & WORDS["bad"] for a in said)}
    assert not [id_ for id_ in never if id_ in ASKED or not any(fnmatch.fnmatch(id_, like) for like in HEARD)]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ({"truth": {"dns.nonsense": "pass"}}, "no such check"),
        ({"truth": {"dns.mx": "perhaps"}}, "perhaps"),
        ({"truth": {}, "color": "blue"}, "no such keys"),
        ({"truth": {}, "zone": "nonsense"}, "no record"),
        ({"truth": {}, "outages": {"ns1": "asleep"}}, "no outage"),
        ({"truth": {}, "subject": {"name": "lantern.example"}}, "name"),
    ],
)
def test_a_scenario_that_is_not_well_formed_is_refused(line: dict[str, object], said: str) -> None:
    with pytest.raises((ValueError, KeyError, TypeError), match=said):
        scenarios.scenario("some", {"name": "one", "why": "so", "base": "lantern"} | line)
