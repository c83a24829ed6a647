"""mailcow installed on a bare server, up to its images, which nobody here may fetch: a checkout of our own double."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from rehearsed import Rehearsed

from runbooklib import host, params, servers
from runbooklib.params import Site
from runbooklib.results import GateError, Status
from runbooklib.testbed import world

FIXTURES = Path(__file__).parents[1] / "fixtures" / "mailcow"
FOLDER, REPOSITORY, TAG, KEY = "/opt/mailcow-dockerized", "/srv/mailcow", "2026-07a", "A1B2C3-D4E5F6-A1B2C3-D4E5F6"
# Two releases, the wanted one not the newest.
PUBLISH = f"""set -e; apt-get update -qq; apt-get install -yqq --no-install-recommends git >/dev/null
cd {REPOSITORY}; git init -q -b master; ln -s mailcow.conf .env
git config user.name x; git config user.email x@y.example; git config user.signingkey ''
git add -A; git commit -qm one; git tag {TAG}; echo later >later.txt; git add -A; git commit -qm two; git tag 2026-09"""


@pytest.fixture
def site(bare: Rehearsed, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A mailcow that is to be installed on the server, from a repository that lies there."""
    monkeypatch.setenv("RUNBOOK_TESTBED", str(world.folder_of(bare.root)))
    monkeypatch.setenv("COW_KEY", KEY)
    given = yaml.safe_load((Path(__file__).parents[2] / "params" / "rehearsal.yaml").read_text())["site"]
    mail = {"server": "mailcow", "url": "https://mail.lantern.example", "api_key": "env:COW_KEY", "tag": TAG}
    given["domains"][0].pop("refuse")  # which mailcow cannot beside a catch-all
    found = params.load(given | {"mail": mail | {"repository": f"file://{REPOSITORY}"}})
    server = host.connect(found)
    for path in FIXTURES.iterdir():
        server.write(f"{REPOSITORY}/{path.name}", path.read_bytes(), 0o755)
    server.run(("sh", "-c", PUBLISH), timeout=120)
    return found


def test_everything_up_to_the_images_and_nothing_twice(testbed: Rehearsed, site: Site) -> None:
    before = servers.preflight(site).require()
    assert before["mailcow.reach"].status is Status.PENDING
    assert before["server.ports"].status is Status.PASS
    plan = servers.plan(site, servers.observe(site))
    assert [c.target.rpartition("/")[2] for c in plan][:9] == [
        "packages", "daemon.json", "Docker Engine and Compose", "Docker service",
        "mailcow-dockerized (git checkout)", "mailcow.conf", "mailcow.conf (API)",
        "images of mailcow", "containers of mailcow",
    ]  # fmt: skip
    assert not servers.apply(site, plan, apply=False).done
    assert KEY not in str(plan)

    with pytest.raises(GateError, match=r"apply images of mailcow: fail: .*nowhere\.example") as broken:
        servers.apply(site, plan, apply=True)
    assert "ghcr.io" in str(broken.value)
    git = f"git -C {FOLDER}"
    assert testbed.ssh(f"{git} describe --tags --exact-match HEAD").strip() == TAG
    assert testbed.ssh(f"{git} status -sb").splitlines()[0] == "## master...origin/master [behind 1]"
    assert testbed.ssh(f"{git} config --get-all remote.origin.tagOpt || true") == ""
    told = dict(line.split("=") for line in testbed.ssh(f"cat {FOLDER}/asked.txt").split())
    assert told == {
        "MAILCOW_HOSTNAME": site.server.hostname, "MAILCOW_TZ": "Etc/UTC", "SKIP_CLAMD": "n",
        "MAILCOW_BRANCH": "master", "FORCE": "1",
    }  # fmt: skip
    assert f'VERSION="{TAG}"' in testbed.ssh(f"cat {FOLDER}/data/web/inc/app_info.inc.php")
    assert testbed.ssh(f"stat -c '%a %U' {FOLDER}/mailcow.conf").strip() == "600 root"
    conf = testbed.ssh(f"cat {FOLDER}/mailcow.conf")
    assert conf.startswith("# what the administrator adds stays\nMAILCOW_HOSTNAME=")
    whence = testbed.ssh("echo ${SSH_CONNECTION%% *}").strip()
    assert f"\nAPI_KEY={KEY}\nAPI_ALLOW_FROM=172.22.1.1,127.0.0.1,{whence}\n" in conf
    environment = testbed.ssh(f"cd {FOLDER} && docker compose config | grep API_")
    assert KEY in environment

    again = servers.plan(site, servers.observe(site))
    assert [c.target for c in again][:2] == ["images of mailcow", "containers of mailcow"]
    assert len(again) == len(plan) - 7
    with pytest.raises(GateError, match="apply images of mailcow"):
        servers.apply(site, again, apply=True)
    assert testbed.ssh(f"cat {FOLDER}/mailcow.conf") == conf
