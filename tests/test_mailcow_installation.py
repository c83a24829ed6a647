"""What an installation of mailcow would do, from the facts of a server as data; its steps run in the testbed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import sites

from runbooklib import credentials
from runbooklib.host import Answer, CommandChange
from runbooklib.params import Site
from runbooklib.results import Change, Check, Outcome, Status
from runbooklib.servers import engine
from runbooklib.servers.mailcow import bootstrap, installation, installed, prerequisites, readiness
from runbooklib.servers.mailcow.api import UnavailableError, UntrustedError
from runbooklib.servers.mailcow.installation import Block
from runbooklib.servers.mailcow.installed import Installed
from runbooklib.servers.mailcow.readiness import CertificateToComeError
from runbooklib.servers.mailcow.state import State

KEY, TAG, HOSTNAME = "A1B2C3-D4E5F6-A1B2C3-D4E5F6", "2026-07a", "mail.lantern.example"
DOCKER = engine.Engine(os={"ID": "debian"}, systemd=True, version="28.1", installed=True, compose="2.30", enabled=True)
BARE = Installed(replace(DOCKER, version="", installed=False, compose=""), missing=("git", "jq", "sha1sum", "cut"))
MARKS = "# >>> 01-bootstrap (managed by mail-runbooks; edit outside of these marks)\n{}# <<< 01-bootstrap\n"
LINES = f"API_KEY={KEY}\nAPI_ALLOW_FROM=172.22.1.1,127.0.0.1,203.0.113.77\n"
CONF = f"MAILCOW_HOSTNAME={HOSTNAME}\nDBPASS=never-shown\nIPV4_NETWORK=172.22.1\n#API_KEY=\n"
RUNNING = Installed(
    DOCKER, files=True, checkout=True, release=TAG, conf=CONF + MARKS.format(LINES), mode="600", running=True,
    memory=8 << 20, whence="203.0.113.77", default_admins=0,
)  # fmt: skip


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setenv("COW_KEY", KEY)
    return given()


def given(**mail: Any) -> Site:
    asked = {"server": "mailcow", "url": f"https://{HOSTNAME}", "api_key": "env:COW_KEY", "tag": TAG}
    return sites.make(mail=asked | mail)


def targets(changes: list[Change]) -> list[str]:
    return [c.target.rpartition("/")[2] for c in sorted(changes, key=lambda c: c.order)]


def test_a_running_one_with_our_key_is_left_alone(site: Site) -> None:
    assert not installation.changes(site, RUNNING)
    assert not list(installation.refusals(site, RUNNING))


def test_a_bare_server_gets_everything_in_order(site: Site) -> None:
    assert targets(installation.changes(site, BARE)) == [
        "packages", "Docker Engine and Compose", "Docker service", "mailcow-dockerized (git checkout)",
        "mailcow.conf", "mailcow.conf (API)", "images of mailcow", "containers of mailcow",
    ]  # fmt: skip
    assert all(c.order < bootstrap.STARTED for c in installation.changes(site, BARE))
    packages = next(iter(installation.changes(site, BARE)))
    assert packages.after == "coreutils git jq"


@pytest.mark.parametrize(
    ("have", "planned"),
    [
        (replace(RUNNING, running=False), ["images of mailcow", "containers of mailcow"]),
        (replace(RUNNING, release="2026-03", running=True), []),
        (replace(RUNNING, mode="644"), ["mailcow.conf (API)", "containers of mailcow"]),
        (replace(RUNNING, whence="203.0.113.99"), ["mailcow.conf (API)", "containers of mailcow"]),
        (replace(RUNNING, conf=CONF), ["mailcow.conf (API)", "containers of mailcow"]),
        (
            replace(RUNNING, conf=CONF + MARKS.format(LINES.replace(KEY, "AN-OLDER-KEY"))),
            ["mailcow.conf (API)", "containers of mailcow"],
        ),
        (
            replace(RUNNING, conf=CONF + MARKS.format(LINES.replace("203.0", "198.51.100.1,203.0"))),
            [],  # more addresses than ours are nobody's fault
        ),
        (
            replace(RUNNING, conf=None, release="", running=False),
            ["mailcow-dockerized (git checkout)", "mailcow.conf", "mailcow.conf (API)", "images of mailcow",
             "containers of mailcow"],
        ),
        (
            replace(RUNNING, conf=None, running=False),
            ["mailcow.conf", "mailcow.conf (API)", "images of mailcow", "containers of mailcow"],
        ),
    ],
)  # fmt: skip
def test_it_goes_on_from_where_it_stands(site: Site, have: Installed, planned: list[str]) -> None:
    assert targets(installation.changes(site, have)) == planned


def argv(changes: list[Change], target: str) -> tuple[str, ...]:
    found = next(c for c in changes if c.target.endswith(target))
    assert isinstance(found, CommandChange)
    return found.argv


@pytest.mark.parametrize(("memory", "skip"), [(0, "n"), (2 << 20, "y"), (4 << 20, "n")])
def test_the_configuration_is_told_what_it_would_ask(site: Site, memory: int, skip: str) -> None:
    have = replace(BARE, memory=memory, zone="Europe/Vienna")
    told = argv(installation.changes(site, have), "mailcow.conf")
    assert told[1:6] == (
        f"MAILCOW_HOSTNAME={HOSTNAME}", "MAILCOW_TZ=Europe/Vienna", "MAILCOW_BRANCH=master", f"SKIP_CLAMD={skip}",
        "FORCE=1",
    )  # fmt: skip
    assert told[-3:] == ("/opt/mailcow-dockerized", HOSTNAME, TAG)


def test_the_checkout_names_the_release_and_no_branch(site: Site) -> None:
    told = argv(installation.changes(site, BARE), "(git checkout)")
    assert told[-3:] == ("/opt/mailcow-dockerized", "https://github.com/mailcow/mailcow-dockerized", TAG)


@pytest.mark.parametrize(
    ("whence", "conf", "allowed"),
    [
        ("203.0.113.77", CONF, "172.22.1.1,127.0.0.1,203.0.113.77"),
        ("::ffff:203.0.113.77", "", "172.22.1.1,127.0.0.1,203.0.113.77"),
        ("2001:DB8::7", "IPV4_NETWORK=10.9.8\n", "10.9.8.1,127.0.0.1,2001:db8::7"),
        ("", CONF, "172.22.1.1,127.0.0.1"),
    ],
)
def test_the_key_is_let_in_from_here_and_from_the_host_itself(site: Site, whence: str, conf: str, allowed: str) -> None:
    assert installation.key_lines(site, whence, conf) == [f"API_KEY={KEY}", f"API_ALLOW_FROM={allowed}"]


class Conf:
    """A server that holds one file."""

    def __init__(self, text: str) -> None:
        self.text, self.mode = text, 0o644

    def run(self, argv: tuple[str, ...]) -> Answer:
        assert argv[0] == "cat"
        return Answer(0, self.text)

    def write(self, path: str, content: str, mode: int) -> None:
        assert path.endswith("mailcow.conf")
        self.text, self.mode = content, mode


def test_the_block_leaves_every_other_line(site: Site) -> None:
    (block,) = (c for c in installation.changes(site, replace(RUNNING, conf=CONF)) if isinstance(c, Block))
    server = Conf(CONF)
    for _ in range(2):
        block.do(server)  # type: ignore[arg-type]  # all of it that is used
    assert server.text == CONF + MARKS.format(LINES)
    assert server.mode == 0o600
    assert "DBPASS" not in f"{block}{block!r}{block.data()}"
    assert KEY not in f"{block}{block!r}{block.data()}"


@pytest.mark.parametrize(
    ("have", "why"),
    [
        (replace(RUNNING, conf=CONF.replace(HOSTNAME, "mx.example.org")), "MAILCOW_HOSTNAME=mx.example.org"),
        (replace(RUNNING, conf=CONF + "API_KEY=another\n"), "API_KEY of other hands"),
        (replace(RUNNING, conf=None, checkout=False), "no git checkout"),
        (replace(BARE, docker=replace(DOCKER, version="20.10.24")), "Docker 20.10.24"),
    ],
)
def test_what_other_hands_made_is_not_taken_over(site: Site, have: Installed, why: str) -> None:
    (reason,) = installation.refusals(site, have)
    assert why in reason


def test_our_own_key_written_by_hand_is_no_other(site: Site) -> None:
    assert not list(installation.refusals(site, replace(RUNNING, conf=f"{CONF}API_KEY={KEY}\n")))


def test_a_key_that_mailcow_would_read_as_another_is_refused(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COW_KEY", "with_underscores_and=signs")
    (reason,) = installation.refusals(site, BARE)
    assert "only letters, digits and dashes" in reason
    assert "with_underscores" not in reason
    credentials.forget()


def test_the_facts_are_read() -> None:
    told = {
        "missing": Answer(0, "git\njq"),
        "there": Answer(0, "README.md"),
        "git": Answer(1, ""),
        "release": Answer(128, "fatal: no tag exactly matches"),
        "conf": Answer(0, "A=1"),
        "mode": Answer(0, "600"),
        "running": Answer(0, ""),
        "zone": Answer(0, "Europe/Vienna"),
        "memory": Answer(0, "8000000"),
        "disk": Answer(0, "/dev/vda 100 40 26000000  40% /\n/dev/vdb 100 40 9000000 40% /var/lib"),
        "listening": Answer(0, SOCKETS),
        "virtual": Answer(0, "lxc"),
        "whence": Answer(0, "203.0.113.77"),
        "default admin": Answer(0, "1"),
    }
    have = installed.parse(told)
    assert (have.missing, have.files, have.checkout, have.release) == (("git", "jq"), True, False, "")
    assert (have.conf, have.mode, have.running, have.zone) == ("A=1\n", "600", True, "Europe/Vienna")
    assert (have.memory, have.disk, have.virtual, have.whence) == (8000000, 9000000, "lxc", "203.0.113.77")
    assert (have.listening, have.default_admins) == ({25: "master", 443: "something", 22: "sshd"}, 1)
    assert "A=1" not in repr(have)
    assert installed.parse({"zone": Answer(0, "no such file\nEtc/UTC")}).zone == ""
    nothing = installed.parse({})
    assert (nothing.conf, nothing.running, nothing.default_admins, nothing.whence) == (None, False, None, "")


SOCKETS = """LISTEN 0      100          0.0.0.0:25        0.0.0.0:*    users:(("master",pid=812,fd=13))
LISTEN 0      511             [::]:443          [::]:*
LISTEN 0      128          0.0.0.0:22        0.0.0.0:*    users:(("sshd",pid=1,fd=3))
LISTEN 0      128            [::1]:993          [::]:*    users:(("x",pid=1,fd=3))
LISTEN 0      80         127.0.0.1:3306      0.0.0.0:*    users:(("mariadbd",pid=9,fd=3))
"""
FIT = Installed(DOCKER, memory=8 << 20, disk=40 << 20)


@pytest.mark.parametrize(
    ("have", "row", "status"),
    [
        (FIT, "", Status.PASS),
        (replace(FIT, virtual="lxc"), "server.virtualization", Status.FAIL),
        (replace(FIT, virtual="docker"), "", Status.PASS),
        (replace(FIT, memory=4 << 20), "server.memory", Status.WARN),
        (replace(FIT, memory=1 << 20), "server.memory", Status.FAIL),
        (replace(FIT, memory=0), "server.memory", Status.UNKNOWN),
        (replace(FIT, disk=12 << 20), "server.disk", Status.WARN),
        (replace(FIT, disk=5 << 20), "server.disk", Status.FAIL),
        (replace(FIT, listening={22: "sshd"}), "", Status.PASS),
        (replace(FIT, listening={25: "master", 80: "nginx"}), "server.ports", Status.FAIL),
        (replace(RUNNING, listening={25: "docker-proxy"}), "", Status.PASS),
    ],
)
def test_what_the_server_must_bring(have: Installed, row: str, status: Status) -> None:
    found = {c.name: c.status for c in prerequisites.rows(have) if c.status is not Status.PASS}
    assert found == ({row: status} if row else {})


@pytest.mark.parametrize(
    ("have", "row", "status"),
    [
        (RUNNING, "", Status.PASS),
        (replace(RUNNING, release="2026-09"), "server.release", Status.WARN),
        (replace(RUNNING, release=""), "server.release", Status.WARN),
        (replace(RUNNING, default_admins=1), "server.admin", Status.FAIL),
        (replace(RUNNING, default_admins=None), "server.admin", Status.UNKNOWN),
    ],
)
def test_what_is_said_of_an_installed_one(site: Site, have: Installed, row: str, status: Status) -> None:
    found = {c.name: c for c in prerequisites.standing(site, have) if c.status is not Status.PASS}
    assert {name: c.status for name, c in found.items()} == ({row: status} if row else {})
    assert not any(c.blocks for c in found.values() if c.status is Status.UNKNOWN)


def test_the_plan_waits_for_it_before_it_speaks_to_it(site: Site) -> None:
    plan = bootstrap.plan(site, State(silent="no answer", installed=BARE))
    spoken = [c.target for c in plan if c.order >= bootstrap.STARTED]
    assert spoken[0] == f"https://{HOSTNAME}"
    assert "lantern.example" in " ".join(spoken[1:])
    assert not bootstrap.plan(site, State(silent="", installed=RUNNING)).touches(f"https://{HOSTNAME}")


@pytest.mark.parametrize(
    ("tag", "error", "status", "waits_for"),
    [
        (TAG, UntrustedError("self-signed"), Status.PENDING, "04-dns"),
        (None, UntrustedError("self-signed"), Status.FAIL, ""),
        (TAG, UnavailableError("HTTP 502"), Status.FAIL, ""),
    ],
)
def test_the_certificate_of_a_new_one_needs_its_name_first(
    site: Site, tag: str | None, error: Any, status: Status, waits_for: str
) -> None:
    here = given(tag=tag) if tag else sites.make(mail=adopted(site))
    row = readiness.hindered(here, Check("server.ready", Status.FAIL, "", str(error)), error)
    assert (row.status, row.waits_for) == (status, waits_for)
    if waits_for:
        assert Outcome(bootstrap.plan(site, State()), waits=row).waits
        assert CertificateToComeError(row).status is Status.PENDING


def adopted(site: Site) -> dict[str, Any]:
    return {"server": "mailcow", "url": site.mail.url, "api_key": "env:COW_KEY"}
