"""The mailcow of this session, watched over so that what is made there is gone afterwards.

The double, unless the environment names a real one: MAILCOW_URL and MAILCOW_API_KEY (read and write), and where they
apply MAILCOW_CA (PEM of a private CA), MAILCOW_API_KEY_RO, MAILCOW_TEST_RELAY (smtp://user:password@host:port) and
MAILCOW_TEST_RCPT, who may get one message.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import cows
import pytest
from herds import Herd, real
from ledgers import Access, Ledger, left, watch


@pytest.fixture(scope="session")
def cow(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Herd]:
    """The double, or the real mailcow of the environment; what a run made there is taken away."""
    run, access = f"r{secrets.token_hex(4)}", real()
    folder = tmp_path_factory.getbasetemp()
    budget = (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "wrong-keys"  # all workers' own
    if access is None:
        with cows.double() as double:
            found = Access(double.url, double.key, str(double.ca))
            ledger = Ledger(tmp_path_factory.mktemp("ledger") / f"{run}.ledger", run)
            yield from _watched(Herd(found, run, ledger, budget, double, double.ro_key))
        return
    folder = Path(request.config.cache.mkdir("mailcow"))  # type: ignore[union-attr]  # outlives a killed run
    for old in left(folder, access):
        old.sweep(access)
    ledger = Ledger(folder / f"{run}.ledger", run)
    yield from _watched(Herd(access, run, ledger, budget, None, os.environ.get("MAILCOW_API_KEY_RO", "")))


def _watched(herd: Herd) -> Iterator[Herd]:
    herd.ledger.open(herd.access)
    reaper = watch(herd.ledger, herd.access)
    try:
        yield herd
    finally:
        herd.client.close()
        herd.ledger.sweep(herd.access)
        reaper.communicate()
