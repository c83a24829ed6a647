"""06 on plain Postfix: a host that stage 01 set up has no trouble of its own, and each break of it is named alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from rehearsal import DEPLOYED
from rehearsed import Rehearsed

from runbooklib import diagnosis, host, params, probes, servers
from runbooklib.params import Site
from runbooklib.results import Status
from runbooklib.testbed import snapshots, world

PARAMS = Path(__file__).parents[2] / "params" / "rehearsal-postfix.yaml"
QUIET = ">/dev/null 2>&1 </dev/null"
MAIN, KEPT = "/etc/postfix/main.cf", "/root/kept"
ALIASES, LMTP = "/etc/postfix/runbook/aliases", "/var/spool/postfix/private/dovecot-lmtp"
BREAKS = {  # what breaks it, and what mends it
    "service-down": (f"service dovecot stop {QUIET}", f"service dovecot start {QUIET}"),
    "lmtp-down": (f"mv {LMTP} {KEPT}", f"mv {KEPT} {LMTP}"),
    "table-missing": (f"mv {ALIASES} {KEPT}", f"mv {KEPT} {ALIASES}"),
    "configuration-broken": (f"cp -p {MAIN} {KEPT}; echo message_size_limit = many >>{MAIN}", f"mv {KEPT} {MAIN}"),
}


@pytest.fixture(scope="module")
def site(testbed: Rehearsed) -> Iterator[Site]:
    """The rehearsal site on plain Postfix, set up by stage 01; the server is put back for those that follow."""
    snapshots.reset(testbed.root)
    host._open.clear()  # the server is another machine now
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RUNBOOK_TESTBED", str(world.folder_of(testbed.root)))
        made = params.load(PARAMS)
        servers.apply(made, servers.plan(made, servers.observe(made)), apply=True)
        yield made
    try:
        snapshots.reset(testbed.root, DEPLOYED)
    except snapshots.SnapshotError:  # nobody deployed a mail server on it
        snapshots.reset(testbed.root)


def failing(site: Site) -> list[str]:
    """The causes that no plan of a later stage would mend."""
    found = diagnosis.diagnose(probes.gather(site), apply=False)
    return [check.name for check in found if check.status is Status.FAIL]


def test_a_host_as_stage_01_leaves_it_has_no_trouble_of_its_own(site: Site) -> None:
    seen = probes.gather(site)
    assert [name for name, fact in seen.facts.items() if fact.unseen] == []
    assert seen["services"] == {"postfix": "RUNNING", "dovecot": "RUNNING"}
    assert seen["sockets"] == {"lmtp unix:private/dovecot-lmtp": True, "login unix:private/auth": True}
    assert (seen["configuration"], seen["tables"], seen["resolver"]) == ([], [], "NOERROR")
    assert failing(site) == []


@pytest.mark.parametrize("cause", BREAKS)
def test_what_breaks_it_is_named_alone(testbed: Rehearsed, site: Site, cause: str) -> None:
    breaks, mends = BREAKS[cause]
    testbed.ssh(breaks)
    try:
        assert failing(site) == [f"diagnosis.{cause}"]
    finally:
        testbed.ssh(mends)
