"""Stage 03 on plain Postfix: keys made once and followed by others, and signers of other hands never doubled."""

from __future__ import annotations

import base64
import dataclasses
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sites import make

from runbooklib.answers import Answer, Question, Word
from runbooklib.host import Answer as Said
from runbooklib.host import CommandChange, FileChange
from runbooklib.params import Site
from runbooklib.records import Observed
from runbooklib.results import Plan, Status
from runbooklib.servers import keys, retired
from runbooklib.servers.keys import Half
from runbooklib.servers.opendkim import Tables
from runbooklib.servers.postfix import layout, ring, rotation
from runbooklib.servers.postfix.editing import Content, Parameter, PostfixChange
from runbooklib.servers.postfix.ring import Ring
from runbooklib.servers.postfix.state import FileFact, State

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
DOMAIN = "lantern.example"
MARKED = {layout.MARK: FileFact("", 0o644, "root:root", "")}
HOST = State(packages=dict.fromkeys(("postfix", *rotation.PACKAGES), "1"), files=MARKED)
BARE = Ring()
HERE = "/etc/postfix/runbook"


def site(selector: str = "mail", **changes: Any) -> Site:
    return make(
        mail={"server": "postfix", "tls": {"mode": "existing"}}, domains__0__dkim={"selector": selector}, **changes
    )


def half(selector: str) -> Half:
    return Half("600", base64.b64encode(selector.encode()).decode())


def signing(*selectors: str, **changes: Any) -> Ring:
    """A host whose OpenDKIM we set up, with these keys, the first of them signing."""
    tables = Tables()
    for selector in selectors:
        tables = tables.with_key(DOMAIN, selector)
    halves = {(DOMAIN, s): half(s) for s in selectors}
    have = Ring("opendkim", tables=tables, conf=rotation.conf(HOST), halves=halves, fresh=True)
    return dataclasses.replace(have, **changes)


def wired(host: State = HOST) -> State:
    """With the milter in place."""
    own = dict.fromkeys(rotation.MILTERS, ring.MILTER)
    return dataclasses.replace(host, parameters={**own, **host.parameters})


def shown(*selectors: str, have: Ring, lacking: str = "") -> Observed:
    """DNS with these keys published; one resolver remembers an absence."""
    answers = []
    for selector in selectors:
        question = Question(keys.record_name(DOMAIN, selector), "TXT")
        for server in ("192.0.2.1", "192.0.2.2"):
            word = Word.NXDOMAIN if server == lacking else Word.NOERROR
            values = (have.keys[DOMAIN, selector],) if word is Word.NOERROR else ()
            answers.append(Answer(question, server, word, recursive=True, values=values))
    return Observed(tuple(answers))


def plan(here: Site, have: Ring, seen: Observed | None = None, now: datetime = NOW, host: State = HOST) -> Plan:
    return rotation.plan(here, host if not have.kind else wired(host), have, seen, now)


def applied(have: Ring, changes: Plan) -> Ring:
    """What stands after the plan."""
    for change in changes:
        if isinstance(change, CommandChange) and change.argv[2:3] == (rotation.MAKE_KEY,):
            have = dataclasses.replace(have, halves={**have.halves, (DOMAIN, change.argv[5]): half(change.argv[5])})
        elif isinstance(change, CommandChange) and change.argv[0] == "rm":
            gone = change.argv[-1].rpartition("/")[2].removesuffix(".private")
            have = dataclasses.replace(have, halves={k: h for k, h in have.halves.items() if k[1] != gone})
        elif isinstance(change, FileChange):
            have = dataclasses.replace(have, retired=retired.parse(change.content.decode()))
        elif isinstance(change, PostfixChange):
            have = _written(have, change)
        elif change.target == "service opendkim":
            have = dataclasses.replace(have, fresh=True)
    return have


def _written(have: Ring, step: PostfixChange) -> Ring:
    files = {p.path: (p.content or b"").decode() for p in step.edits if isinstance(p, Content)}
    tables = Tables(files.get(have.files[0], have.tables.keys), files.get(have.files[1], have.tables.rows))
    conf = files.get(ring.CONF, have.conf)
    return dataclasses.replace(have, kind="opendkim", tables=tables, conf=conf, fresh=True)


def targets(changes: Plan) -> list[str]:
    return [c.target.removeprefix("/etc/opendkim/").removeprefix(f"{HERE}/") for c in changes]


def signs(here: Site, have: Ring, seen: Observed | None) -> tuple[Status, str]:
    (turn,) = keys.turns(here, have, seen)
    row = keys.signing_row(turn, have)
    return row.status, row.waits_for


def test_a_fresh_host_gets_a_key_and_a_signer_and_then_is_still() -> None:
    first = plan(site(), BARE)
    assert targets(first) == [
        "DKIM key mail._domainkey.lantern.example",
        "OpenDKIM",
        "/etc/opendkim.conf",
        "KeyTable",
        "SigningTable",
        "TrustedHosts",
        "main.cf: non_smtpd_milters",
        "main.cf: smtpd_milters",
    ]
    after = applied(BARE, first)
    assert signs(site(), after, None) == (Status.PASS, "")
    assert not plan(site(), after)


def test_a_milter_that_stands_is_joined_and_not_doubled() -> None:
    given = {"smtpd_milters": "inet:127.0.0.1:7357", "non_smtpd_milters": "$smtpd_milters"}
    host = dataclasses.replace(HOST, parameters=given)
    (step,) = [c for c in plan(site(), BARE, host=host) if isinstance(c, PostfixChange)]
    told = {p.name: p.value for p in step.edits if isinstance(p, Parameter)}
    assert told == {"smtpd_milters": f"inet:127.0.0.1:7357, {ring.MILTER}"}


def test_a_missing_package_is_installed_before_all_else() -> None:
    host = dataclasses.replace(HOST, packages={"postfix": "3.7"})
    assert plan(site(), BARE, host=host).changes[0].target == "opendkim, opendkim-tools"
    assert rotation.plan(site(), State(), BARE, None, NOW).held == "known after 01-bootstrap"


def test_a_new_selector_takes_three_walks_and_the_old_key_its_time() -> None:
    here, have = site("next"), signing("mail")
    made = applied(have, plan(here, have))
    assert signs(here, made, None) == (Status.PENDING, "04-dns")
    assert made.signs(DOMAIN) == "mail"
    partly = shown("next", have=made, lacking="192.0.2.2")
    assert not plan(here, made, partly)
    seen = shown("next", have=made)
    changed = applied(made, plan(here, made, seen))
    assert signs(here, changed, seen) == (Status.PASS, "")
    assert [e.selector for e in changed.retired] == ["mail"]
    assert not plan(here, changed, seen)
    later = NOW + timedelta(days=8)
    end = plan(here, changed, seen, later)
    assert "DKIM key mail._domainkey.lantern.example" in targets(end)
    over = applied(changed, end)
    assert set(over.keys) == {(DOMAIN, "next")}
    assert "mail._domainkey" not in over.tables.keys + over.tables.rows


def test_back_to_the_old_key_while_it_is_kept() -> None:
    here, have = site("next"), signing("mail")
    made = applied(have, plan(here, have))
    changed = applied(made, plan(here, made, shown("next", have=made)))
    back = applied(changed, plan(site("mail"), changed, shown("mail", have=changed)))
    assert back.signs(DOMAIN) == "mail"
    assert [e.selector for e in back.retired] == ["next"]


def test_a_signer_that_runs_with_older_tables_is_started_anew_and_seen() -> None:
    stale = signing("mail", fresh=False)
    (turn,) = keys.turns(site(), stale, None)
    assert {c.name: c.status for c in keys.key_rows(turn, stale, stale.halves)}[
        "dkim.live mail._domainkey.lantern.example"
    ] is Status.FAIL
    assert signs(site(), stale, None)[0] is Status.FAIL
    assert targets(plan(site(), stale)) == ["service opendkim"]
    assert not plan(site(), applied(stale, plan(site(), stale)))


def test_a_key_of_others_that_signs_stays_and_its_tables_are_only_added_to() -> None:
    theirs = Tables("a other.example:old:/srv/a.pem\n", "# mine\n*@other.example a\n")
    have = Ring("opendkim", tables=theirs, conf="Mode s\n", halves={("other.example", "old"): half("old")}, fresh=True)
    first = plan(site(), have)
    assert targets(first) == ["DKIM key mail._domainkey.lantern.example", "OpenDKIM", "KeyTable", "SigningTable"]
    after = applied(have, first)
    assert after.tables.rows.startswith(theirs.rows)
    assert after.tables.keys.startswith(theirs.keys)
    assert after.signing == {"lantern.example": "mail", "other.example": "old"}


@pytest.mark.parametrize("why", [ring.BOX, ring.ONE_KEY, ring.PATTERNS, ring.RSPAMD_OWN, ring.FOREIGN.format("amavis")])
def test_a_signer_that_is_not_ours_to_change_is_asked_for_and_never_doubled(why: str) -> None:
    missing = plan(site(), Ring("opendkim", why, fresh=True))
    assert not missing.changes
    assert why in missing.refusals[0]
    other = plan(site("next"), signing("mail", closed=why))
    assert "name mail as dkim.selector" in other.refusals[0]
    content = plan(site(), signing("mail", closed=why))
    assert not content.changes
    assert not content.refusals


@pytest.mark.parametrize(
    ("conf", "signer", "closed"),
    [
        ("KeyTable refile:/k\nSigningTable refile:/s\n", "", ""),
        ("KeyTable /k\nSigningTable file:/s\n", "", ring.PATTERNS),
        ("KeyTable csl:a=b\nSigningTable refile:/s\n", "", ring.PATTERNS),
        ("# a comment\nDomain lantern.example\nSelector one\nKeyFile /k.pem\n", "one", ring.ONE_KEY),
        ("Mode v\n", "", ""),
    ],
)
def test_opendkim_conf_says_where_keys_are(conf: str, signer: str, closed: str) -> None:
    found, files, why = ring._tables(ring.settings(conf))
    assert (found.signer(DOMAIN), why) == (signer, closed)
    assert files == (("/k", "/s") if "/s" in conf and "csl" not in conf else (ring.KEY_TABLE, ring.SIGNING_TABLE))


def test_plain_names_in_a_signing_table_are_read_as_their_domain() -> None:
    told = {"keys": Said(0, "n lantern.example:one:/k.pem"), "rows": Said(0, "# them\nlantern.example n")}
    assert ring._read(told, patterns=False).signer(DOMAIN) == "one"
    assert ring._located(ring._read(told, patterns=False)) == [(DOMAIN, "one", "/k.pem")]


@pytest.mark.parametrize(
    ("started", "changed", "expected"),
    [("100", "90", True), ("100", "101", True), ("100", "105", False), ("", "90", None), ("100", "", None)],
)
def test_opendkim_knows_what_was_written_before_it_started(started: str, changed: str, expected: bool | None) -> None:
    assert ring._newer({"started": Said(0, started), "changed": Said(0, changed)}) is expected


def test_rspamds_keys_are_found_by_its_own_settings() -> None:
    told = {"selector": "s1", "domain": {"pier.example": {"selector": "p", "path": "/k/$selector.$domain"}}}
    assert ring.rspamd_keys(json.dumps(told), ["lantern.example", "pier.example"]) == [
        ("lantern.example", "s1", "/var/lib/rspamd/dkim/lantern.example.s1.key"),
        ("pier.example", "p", "/k/p.pier.example"),
    ]
    assert ring.rspamd_keys("no json", ["lantern.example"]) == []
    assert ring.rspamd_keys('{"enabled": false}', ["lantern.example"]) == []
