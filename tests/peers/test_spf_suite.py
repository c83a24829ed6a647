"""The test suite of RFC 7208 (openspf, release 2014.04): every case, every explanation."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import yaml
from zones import Zones

from runbooklib import spf


def test_all_203_cases_of_rfc_7208(pyspf: Path) -> None:
    scenarios = list(yaml.safe_load_all((pyspf / "test" / "rfc7208-tests.yml").read_text()))
    said = [line for s in scenarios for case, t in s["tests"].items() for line in judged(case, t, Zones(s["zonedata"]))]
    assert sum(len(s["tests"]) for s in scenarios) == 203
    assert said == []


def judged(case: str, told: dict[str, object], look: Zones) -> list[str]:
    """What is not as the case allows."""
    got = asyncio.run(spf.evaluate(look, str(told["host"]), str(told["mailfrom"]), str(told["helo"])))
    allowed = told["result"] if isinstance(told["result"], list) else [told["result"]]
    said = [] if got.result in allowed else [f"{case}: {got.result} ({got.reason}), not {allowed}"]
    wanted = told.get("explanation")
    if wanted is not None and got.explanation != (wanted if wanted != "DEFAULT" else ""):
        said.append(f"{case}: {got.explanation!r}, not {wanted!r}")
    return said


@pytest.mark.parametrize(("result", "explanation"), [("pass", None), ("fail", "because")])
def test_a_wrong_answer_would_be_seen(result: str, explanation: str | None) -> None:
    look = Zones({"example.org": [{"TXT": "v=spf1 -all"}]})
    case = {"host": "192.0.2.1", "mailfrom": "a@example.org", "helo": "h.example", "result": result}
    assert len(judged("made-up", case | {"explanation": explanation}, look)) == 1
