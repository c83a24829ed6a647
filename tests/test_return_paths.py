"""Return paths receive nothing but a relay's bounces: zones as literals."""

from __future__ import annotations

import pytest
from test_aliased_names import EU, US, site, walked
from test_records import row

from runbooklib import records, relays
from runbooklib.answers import Answer, Question, Word
from runbooklib.records import Wanted
from runbooklib.results import Check, Checklist, Status

OURS = f"10 {EU}".removesuffix(".")


@pytest.mark.parametrize("stands", [[US], [US, EU]])
def test_the_relays_own_mx_of_another_region_gives_way(stands: list[str]) -> None:
    plan, checks = walked("\n".join(f"send 300 MX 10 {host}" for host in stands))
    (change,) = [c for c in plan if c.target == "send.lantern.example MX"]
    assert f"10 {US}".removesuffix(".") in change.before
    assert change.after in {OURS, ""}
    assert not plan.refusals
    assert row(checks, "dns.mx send").status is Status.PENDING


def test_a_strangers_mx_at_a_return_path_stays_and_is_wrong() -> None:
    plan, checks = walked("send 300 MX 10 mx.host.example.")
    found = row(checks, "dns.mx send")
    assert not plan.touches("send.lantern.example MX")
    assert found.status is Status.FAIL
    assert "take_over_mx" not in found.fix
    assert "another return path" in found.fix


@pytest.mark.parametrize(
    ("word", "chain", "status", "planned"),
    [
        (Word.NXDOMAIN, (), Status.FAIL, True),
        (Word.NODATA, ("s.host.example",), Status.PASS, False),
        (Word.NODATA, ("old.host.example",), Status.FAIL, False),
        (Word.NODATA, (), Status.FAIL, False),
    ],
)
def test_a_return_path_that_is_an_alias(word: Word, chain: tuple[str, ...], status: Status, *, planned: bool) -> None:
    alias = Wanted("send.lantern.example", "CNAME", ("s.host.example",), 3600, "", "", "", returns=True)
    compared = records.compare(alias, Answer(Question(*alias.asked), "", word, chain=chain))
    assert (compared.status, compared.values is not None) == (status, planned)


def test_what_does_not_stand_of_a_domain_is_not_its_neighbours() -> None:
    rows = [Check(f"dns.mx {name}", Status.FAIL, "", "") for name in ("notlantern.example", "send.lantern.example")]
    checks = relays.confirm(site(), relays.observe(site()), apply=False, wait=0, dns=Checklist("DNS", tuple(rows)))
    said = row(checks, "relay.verified lantern.example").observed
    assert "dns.mx send.lantern.example" in said
    assert "notlantern" not in said
