"""Stages 01 and 03 on the testbed's mailcow: adopted through its API alone, asked at its doors, a message signed."""

from __future__ import annotations

import pytest
from rehearsed import Rehearsed

from runbooklib import params, servers
from runbooklib.results import Status
from runbooklib.testbed import world


def test_a_mailcow_is_adopted_and_its_own_doors_and_keys_prove_it(
    clean: Rehearsed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNBOOK_TESTBED", str(world.folder_of(clean.root)))
    site = params.load("params/rehearsal-mailcow.yaml")
    assert servers.preflight(site).require()
    done = servers.apply(site, servers.plan(site, servers.observe(site)), apply=True)
    found = servers.verify(site, done, 60)
    assert [str(c) for c in found if c.status is not Status.PASS] == []
    keys = servers.verify_keys(site, done, apply=True, wait=20)
    assert [str(c) for c in keys if c.status is not Status.PASS] == []
    assert {c.name for c in keys if c.name.startswith("dkim.proof")} == {
        "dkim.proof harbour.example",
        "dkim.proof pier.example",
    }
    assert "status=sent" in servers.of(site).log()
    assert not servers.plan(site, servers.observe(site))
