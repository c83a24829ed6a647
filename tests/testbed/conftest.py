"""The session's testbed in the states that tests ask for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from rehearsal import DEPLOYED, PUT_BACK, Rehearsal, rehearse
from rehearsed import Rehearsed

from runbooklib.testbed import snapshots, world


@pytest.fixture
def clean(testbed: Rehearsed) -> Iterator[Rehearsed]:
    """The session's testbed, its zones, providers and mailboxes as on the first day; put back afterwards."""
    before, known = snapshots.published(testbed.root), snapshots.accounts(testbed.root)
    snapshots.reset_zone(testbed.root)
    snapshots.reset_accounts(testbed.root)
    snapshots.reset_mail(testbed.root)
    yield testbed
    snapshots.reset_zone(testbed.root, before)
    snapshots.reset_accounts(testbed.root, known)


@pytest.fixture(scope="module")
def bare(testbed: Rehearsed) -> Iterator[Rehearsed]:
    """The session's testbed, its server as it was rented for a whole file of tests; put back afterwards."""
    snapshots.reset(testbed.root)
    yield testbed
    try:
        snapshots.reset(testbed.root, DEPLOYED)
    except snapshots.SnapshotError:  # nobody deployed a mail server on it
        snapshots.reset(testbed.root)


@pytest.fixture
def second(tmp_path: Path) -> Iterator[Path]:
    """Where another testbed may stand; taken down afterwards whatever became of it."""
    yield tmp_path
    world.down(tmp_path, print)


@pytest.fixture(scope="session")
def rehearsal(testbed: Rehearsed, tmp_path_factory: pytest.TempPathFactory) -> Rehearsal:
    """The runs of the whole path, made once."""
    return rehearse(testbed, tmp_path_factory.mktemp("runs"))


@pytest.fixture
def deployed(testbed: Rehearsed, rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> Rehearsed:
    """The testbed with its server as the rehearsal left it, for tests that break something and put it back."""
    assert rehearsal.applied.status == 0, rehearsal.applied.output
    monkeypatch.setenv("RUNBOOK_TESTBED", str(world.folder_of(testbed.root)))
    testbed.await_mail()
    return testbed


@pytest.fixture
def spoilt(deployed: Rehearsed) -> Iterator[Rehearsed]:
    """The same, its mail server put back afterwards, for tests that spoil nothing else."""
    yield deployed
    deployed.ssh(PUT_BACK)
