"""The whole path once against a bare server: shown, applied, applied again; and what stood before and after each."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rehearsed import Rehearsed

from runbooklib import params as site_params
from runbooklib.params import Site
from runbooklib.testbed import snapshots, world

ROOT = Path(__file__).parents[1]
PARAMS = ROOT / "params" / "rehearsal.yaml"
DEPLOYED = "deployed"
# The words of a run of all that changes something, without the messages of 05 and the look of 06.
SETTING_UP = [w for stage in ("01-bootstrap", "02-relay", "03-dkim", "04-dns") for w in ("--stage", stage)]
HERE = "/opt/mail.lantern.example"
KEPT = "/srv/deployed.tar"
# Everything a run could touch; mail, logs, queue and what programs keep for themselves left out.
FINGERPRINT = f"""
find {HERE} /etc/docker /etc/apt /etc/rc2.d -type f -not -path '{HERE}/mail-*' -printf '%p %m %u:%g %T@ ' \\
  -exec sha256sum {{}} \\; | sort
docker ps -a --no-trunc --format '{{{{.ID}}}} {{{{.Image}}}} {{{{.CreatedAt}}}}'
docker inspect mailserver --format '{{{{.State.StartedAt}}}} {{{{.RestartCount}}}}'
dpkg-query -W -f '${{Package}} ${{Version}}\\n'
"""


KEEP = f"docker stop -t 5 mailserver && tar -C {HERE} -cpf {KEPT} . && docker start mailserver"
# The mail server alone, in a third of the time that the whole server takes from its snapshot.
PUT_BACK = f"""docker rm -f mailserver; mkdir -p {HERE} && rm -rf {HERE}/* && tar -C {HERE} -xpf {KEPT} &&
docker compose -f {HERE}/compose.yaml up -d --quiet-pull"""


def site(**changes: Any) -> Site:
    """The rehearsal site, with values replaced at dotted paths written with double underscores."""
    given: Any = site_params.load(PARAMS).model_dump(mode="json", exclude_none=True)
    for path, value in changes.items():
        node = given
        *parents, last = path.split("__")
        for part in parents:
            node = node[int(part) if part.isdigit() else part]
        node[last] = value
    return site_params.load(given)


@dataclass(frozen=True)
class Ran:
    """A run of the command line and what it archived."""

    status: int
    output: str
    folder: Path
    seconds: float

    @property
    def checks(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads((self.folder / "checks.json").read_text())
        return told

    @property
    def last(self) -> dict[str, dict[str, Any]]:
        """The last walk of each stage."""
        return {walk["stage"]: walk for walk in self.checks["stages"]}


@dataclass(frozen=True)
class Rehearsal:
    """The runs in their order, with what stood before and after."""

    shown: Ran
    applied: Ran
    again: Ran
    bare_before: str
    bare_after: str
    settled: str
    settled_again: str
    serials: tuple[str, str, str, str]


def run(testbed: Rehearsed, runs: Path, *words: str, params: Path = PARAMS) -> Ran:
    """`runbook run` as a person would type it."""
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "runbooklib.cli", "run", str(params), "--runs", str(runs), *words],
        env=os.environ | {"RUNBOOK_TESTBED": str(world.folder_of(testbed.root))},
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    newest = max(runs.glob("*/*/"), key=lambda folder: folder.name)
    return Ran(done.returncode, done.stdout + done.stderr, newest, time.monotonic() - began)


def serial(testbed: Rehearsed) -> str:
    (soa,) = testbed.texts("lantern.example", "SOA", testbed.state.dns.ipv4)
    return soa.split()[2]


def bare(testbed: Rehearsed) -> str:
    return testbed.ssh("dpkg-query -W; ls -la /opt /etc/docker 2>&1; ls /etc/rc2.d; which docker || true")


def rehearse(testbed: Rehearsed, runs: Path) -> Rehearsal:
    """Runs every stage three times; the deployed server is kept as a snapshot for whoever needs one."""
    snapshots.reset(testbed.root)
    snapshots.reset_zone(testbed.root)
    snapshots.reset_accounts(testbed.root)
    snapshots.reset_mail(testbed.root)
    before, first = bare(testbed), serial(testbed)
    shown = run(testbed, runs)
    after, second = bare(testbed), serial(testbed)
    applied = run(testbed, runs, "--apply")
    settled, third = testbed.ssh(FINGERPRINT), serial(testbed)
    again = run(testbed, runs, "--apply", *SETTING_UP)
    settled_again, fourth = testbed.ssh(FINGERPRINT), serial(testbed)
    testbed.ssh(KEEP)
    snapshots.take(testbed.root, DEPLOYED)
    return Rehearsal(shown, applied, again, before, after, settled, settled_again, (first, second, third, fourth))
