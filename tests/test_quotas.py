"""Quotas and sizes: what Dovecot is told, which limits are set, and what the doors make of an answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sites import make

from runbooklib.host import Answer, CommandChange
from runbooklib.params import Site
from runbooklib.results import Status
from runbooklib.servers import doors
from runbooklib.servers.docker_mailserver import bootstrap, layout, quotas, state
from runbooklib.servers.docker_mailserver.state import FileFact, State
from runbooklib.servers.engine import Engine

HI, ADA = "hi@lantern.example", "ada@lantern.example"
BARE = State(Engine({"ID": "debian", "VERSION_ID": "13"}, systemd=True))


def site(hi: str | None = "5G", **aliases: Any) -> Site:
    """A site of two mailboxes, hi with a quota, and these aliases."""
    boxes = [{"address": HI, "password": "env:HI_PASSWORD", "quota": hi}, {"address": ADA, "password": "env:ADA"}]
    named = {f"{local}@lantern.example": targets for local, targets in aliases.items()}
    return make(domains__0__mailboxes=boxes, domains__0__aliases=named, domains__0__forward="direct")


def test_without_a_quota_dovecot_is_left_alone() -> None:
    assert quotas.files(site(None)) == {layout.DOVECOT: [], layout.QUOTA_RECIPIENTS: []}
    assert not {layout.DOVECOT, layout.QUOTA_RECIPIENTS} & bootstrap.bootstrap_files(site(None), BARE).keys()


def test_an_administrators_own_dovecot_cf_stays() -> None:
    own = FileFact("d", 0o600, "root:root", "mail_max_userip_connections = 77\n")
    have = State(BARE.engine, files={layout.DOVECOT: own})
    assert layout.DOVECOT not in bootstrap.bootstrap_files(site(None), have)
    assert bootstrap.bootstrap_files(site(), have)[layout.DOVECOT].startswith(
        b"mail_max_userip_connections = 77\n# >>> "
    )


def test_a_quota_that_is_gone_from_params_takes_our_lines_back() -> None:
    written = bootstrap.bootstrap_files(site(), BARE)
    have = State(
        BARE.engine, files={name: FileFact("d", 0o644, "root:root", text.decode()) for name, text in written.items()}
    )
    assert bootstrap.bootstrap_files(site(None), have)[layout.DOVECOT] == b""


@pytest.mark.parametrize(
    ("aliases", "line"),
    [
        ({}, "@lantern.example:::::/var/mail/lantern.example/hi/home::userdb_quota_rule=*:bytes=5G"),
        (
            {"team": [ADA, HI]},
            "team@lantern.example:::::/var/mail/lantern.example/ada/home::userdb_quota_rule=*:bytes=0",
        ),
        (
            {"away": "x@stranger.example"},
            "away@lantern.example:::::/var/mail/lantern.example/hi/home::userdb_quota_rule=*:bytes=5G",
        ),
        (
            {"away": [ADA, "x@stranger.example"]},
            "away@lantern.example:::::/var/mail/lantern.example/ada/home::userdb_quota_rule=*:bytes=0",
        ),
    ],
)
def test_recipients_count_in_their_one_mailbox_here(aliases: dict[str, Any], line: str) -> None:
    assert line in quotas.recipients(site(**aliases))


def test_an_alias_of_one_mailbox_is_docker_mailservers_own_user() -> None:
    assert [line for line in quotas.recipients(site(sales=ADA)) if line.startswith("sales@")] == []


@pytest.mark.parametrize(
    ("standing", "differing"),
    [
        ("", {HI: ("", "5G")}),
        (f"{HI}:5G\n", {}),
        (f"{ADA}:1G\n{HI}:1G\n", {HI: ("1G", "5G")}),
    ],
)
def test_a_limit_is_set_where_it_differs(standing: str, differing: dict[str, tuple[str, str]]) -> None:
    assert quotas.differing(site(), standing) == differing


def test_the_plan_sets_it_with_setup_after_the_mailbox_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "certs").mkdir()
    for name in ("mail.pem", "mail.key"):
        (tmp_path / "certs" / name).touch()
    (box, limit) = (c for c in bootstrap.plan(site(), BARE) if c.target in {f"mailbox {HI}", f"quota {HI}"})
    assert isinstance(limit, CommandChange)
    assert limit.argv[-4:] == ("quota", "set", HI, "5G")
    assert (limit.before, limit.after, limit.undo) == ("none", "5G", f"setup quota del {HI}")
    assert box.order < limit.order


def test_the_standing_limits_are_read() -> None:
    fact = Answer(0, f"644 root:root\n{'a' * 64}  -\n{'aGlAbGFudGVybi5leGFtcGxlOjVHCg=='}\n", "")
    have = state.parse({f"file {layout.QUOTAS}": fact})
    assert have.text(layout.QUOTAS) == f"{HI}:5G\n"


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ("552 5.3.4 Message size exceeds fixed limit", Status.PASS),
        ("250 2.1.0 Ok", Status.FAIL),
        ("451 4.3.0 later", Status.FAIL),
    ],
)
def test_a_message_too_large_is_refused_when_it_is_announced(answer: str, status: Status) -> None:
    check = doors.too_large(site(), answer)
    assert (check.name, check.status) == ("server.size", status)
    assert "SIZE=10240001" in check.expected
