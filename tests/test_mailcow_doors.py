"""What is seen of a running mailcow: its doors, its log and queue, its DKIM keys and a message they signed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import dkim
import pytest
from cows import Cow
from cowsites import client, elsewhere, grazing, site
from letters import key
from postoffice import PostOffice
from scripts import SILENCE, START_TLS, Authority, Script
from sites import given

from runbooklib import maillog, servers
from runbooklib.host import HostError
from runbooklib.params import Site
from runbooklib.results import Outcome, Plan, Status
from runbooklib.servers.mailcow import doors, running, signer
from runbooklib.servers.mailcow.doors import Doors
from runbooklib.servers.mailcow.state import Hosted, State

HI, NAME = "hi@lantern.example", "mail.lantern.example"


@pytest.fixture
def cow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cow]:
    with grazing(monkeypatch) as cow:
        yield cow


@pytest.fixture(autouse=True)
def password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HI_PASSWORD", "hi-Passw0rd")


@pytest.fixture
def ca(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def near(ca: Authority, **changes: Any) -> Site:
    mail = {"server": "mailcow", "url": f"https://{NAME}", "api_key": "env:COW_KEY", "tls": {"ca": ca.pem}}
    return elsewhere(**{"mail": mail, "server__ipv4": "127.0.0.1", **changes})


def at(where: Site, office: PostOffice, **others: Any) -> Doors:
    """Its doors; at the others nobody listens."""
    return replace(Doors(where, 1, 2, 3, 4), submission=office.submission, imaps=office.imaps, **others)


def office(ca: Authority, password: str = "hi-Passw0rd", **settings: Any) -> PostOffice:  # noqa: S107 - made up
    return PostOffice(ca.serving(NAME), {HI: password}, **settings)


def test_every_tls_door_is_verified_by_name(ca: Authority) -> None:
    wrong = Script(["220 there", "250 there", "221 bye"], tls=ca.serving("another.example"), implicit=True)
    with office(ca) as post, wrong:
        rows = doors.certificates(at(near(ca), post, submissions=wrong.port))
        found = {c.name.rpartition(".")[2]: c for c in rows}
    assert found[str(post.submission)].status is Status.PASS
    assert found[str(post.imaps)].status is Status.PASS
    assert found[str(wrong.port)].status is Status.FAIL
    assert "wrong name" in found[str(wrong.port)].observed


def test_a_door_that_is_shut_is_unknown(ca: Authority) -> None:
    assert {c.status for c in doors.certificates(Doors(near(ca), 1, 2, 3, 4))} == {Status.UNKNOWN}


def test_a_password_that_opens_both_doors_passes(ca: Authority) -> None:
    with office(ca) as post:
        (row,) = doors.logins(at(near(ca), post))
    assert (row.name, row.status) == (f"server.login {HI}", Status.PASS)
    assert post.logins == [HI, HI]


def test_a_wrong_password_is_a_failure_and_is_tried_once(ca: Authority) -> None:
    with office(ca, "another-Passw0rd") as post:
        (row,) = doors.logins(at(near(ca), post))
    assert row.status is Status.FAIL
    assert "hi-Passw0rd" not in str(row)
    assert post.logins == [HI]


@pytest.mark.parametrize("answer", ["454 4.7.0 Temporary authentication failure", SILENCE])
def test_a_login_that_could_not_be_judged_is_unknown(ca: Authority, answer: str) -> None:
    lines = [
        "220 there",
        "250-there\n250 STARTTLS",
        "220 go",
        START_TLS,
        "250-there\n250 AUTH PLAIN",
        answer,
        "221 bye",
    ]
    with Script(lines, tls=ca.serving(NAME)) as script:
        (row,) = doors.logins(replace(Doors(near(ca)), submission=script.port, patience=0.5))
    assert row.status is Status.UNKNOWN


def test_after_three_refusals_no_more_passwords_are_tried(ca: Authority) -> None:
    boxes = [{"address": f"box{n}@lantern.example", "password": "env:HI_PASSWORD"} for n in range(5)]
    where = near(ca, domains__0__mailboxes=boxes, domains__0__aliases={}, domains__0__catch_all=None)
    with office(ca) as post:
        found = [c.status for c in doors.logins(at(where, post))]
    assert found == [Status.FAIL] * 3 + [Status.UNKNOWN] * 2
    assert len(post.logins) == 3


NOT_THERE = "550 5.1.1 User unknown in virtual mailbox table"
OPEN = {"test": {"smtp25": True}, "domains__0__catch_all": None}


def port25(*answers: str) -> Script:
    """Answers to MAIL FROM and six recipients: mailbox, postmaster, abuse, alias, made up, foreign."""
    return Script(["220 there", "250 there", "250 well", *answers, "221 bye"])


@pytest.mark.parametrize(
    ("answers", "worst"),
    [
        (["250 well"] * 4 + [NOT_THERE, "554 5.7.1 Relay access denied"], Status.PASS),
        (["250 well"] * 4 + [NOT_THERE, "454 4.7.1 Relay access denied"], Status.PASS),
        (["250 well"] * 4 + [NOT_THERE, "450 4.2.0 later"], Status.UNKNOWN),
        (["250 well"] * 6, Status.FAIL),  # takes everything, also for others
        ([NOT_THERE] * 5 + ["554 5.7.1 Relay access denied"], Status.FAIL),
        (["550 5.7.1 Service unavailable; client [192.0.2.1] blocked using zen.example"] * 6, Status.UNKNOWN),
    ],
)
def test_port_25_is_asked_about_every_kind_of_recipient(ca: Authority, answers: list[str], worst: Status) -> None:
    with port25(*answers) as script:
        rows = doors.recipients(replace(Doors(near(ca, **OPEN)), smtp=script.port))
    assert Status.worst(c.status for c in rows) is worst, rows


def test_a_port_25_nobody_listens_at_is_unknown(ca: Authority) -> None:
    (row,) = doors.recipients(Doors(near(ca, **OPEN), 1))
    assert (row.name, row.status, row.advisory) == ("server.recipients", Status.UNKNOWN, False)


def test_port_25_is_left_alone_where_params_do_not_allow_it(ca: Authority) -> None:
    (row,) = doors.recipients(Doors(near(ca)))
    assert (row.status, row.advisory) == (Status.UNKNOWN, True)


KEYED = State(
    domains={"lantern.example": Hosted("lantern.example")},
    keys={("lantern.example", "dkim"): key()[1].replace("k=rsa;", "k=rsa; t=s; s=email;")},
)


def signed(message: bytes, selector: str = "dkim") -> bytes:
    """As mailcow's signer does it."""
    header: bytes = dkim.sign(message, selector.encode(), b"lantern.example", key()[0], include_headers=[b"from"])
    return header + message


@pytest.mark.parametrize(
    ("deliver", "status"),
    [
        (signed, Status.PASS),
        (lambda m: m, Status.FAIL),
        (lambda m: signed(m).replace(b"may be deleted", b"was changed"), Status.FAIL),
        (lambda m: signed(m, "another"), Status.FAIL),
        (lambda _: None, Status.UNKNOWN),
    ],
    ids=["signed", "unsigned", "changed", "another key", "lost"],
)
def test_a_real_message_shows_whether_the_key_signs(ca: Authority, deliver: Any, status: Status) -> None:
    where, least = near(ca), 0.3 if status is Status.UNKNOWN else 10
    with office(ca, deliver=deliver) as post:
        row = signer.proof(at(where, post), where.domains[0], KEYED, apply=True, wait=0, least=least)
    assert (row.name, row.status) == ("dkim.proof lantern.example", status), row


@pytest.mark.parametrize(
    ("settings", "status"),
    [
        ({"refuse": "550 5.7.1 no"}, Status.FAIL),
        ({"refuse": "450 4.7.1 later"}, Status.UNKNOWN),
        ({"password": "another-Passw0rd"}, Status.FAIL),
    ],
)
def test_a_message_that_is_not_taken_says_why(ca: Authority, settings: dict[str, str], status: Status) -> None:
    where = near(ca)
    with office(ca, **settings) as post:
        row = signer.proof(at(where, post), where.domains[0], KEYED, apply=True, wait=0, least=0.3)
    assert row.status is status, row


def test_without_apply_no_message_is_sent(ca: Authority) -> None:
    where = near(ca)
    with office(ca) as post:
        row = signer.proof(at(where, post), where.domains[0], KEYED, apply=False, wait=0)
    assert (row.status, post.messages, post.logins) == (Status.PENDING, [], [])


def test_a_domain_without_mailboxes_writes_as_its_postmaster(ca: Authority) -> None:
    second = {"name": "pier.example", "relay": "office"}
    where = near(ca, domains=[given()["domains"][0] | {"refuse": []}, second])
    assert signer.writer(where, where.domains[1]) == ("postmaster@pier.example", where.mailboxes[HI])


def test_a_missing_key_is_made_once_and_never_replaced(cow: Cow) -> None:
    where = site(cow)
    servers.apply(where, servers.plan(where, servers.observe(where)), apply=True)
    client(cow).post("delete/dkim", ("lantern.example",))
    plan = servers.plan_keys(where, servers.observe(where))
    assert [c.target for c in plan] == ["DKIM key dkim._domainkey.lantern.example"]
    servers.apply(where, plan, apply=True)
    have = servers.observe(where)
    assert not servers.plan_keys(where, have)
    assert not servers.plan_keys(site(cow, domains__0__dkim={"selector": "another"}), have)


@pytest.mark.parametrize(
    ("selector", "have", "names"),
    [
        ("dkim", KEYED, {"dkim.key dkim._domainkey.lantern.example": "pass", "dkim.signing lantern.example": "pass"}),
        ("mail", KEYED, {"dkim.key dkim._domainkey.lantern.example": "pass", "dkim.signing lantern.example": "fail"}),
    ],
)
def test_another_selector_than_the_one_that_signs_is_a_failure(
    selector: str, have: State, names: dict[str, str]
) -> None:
    where = elsewhere(domains__0__dkim={"selector": selector, "size": 2048})
    rows = signer.rows(Doors(where), where.domains[0], have, planned=False, apply=False, wait=0)
    found = {c.name: c for c in rows}
    assert {n: found[n].status for n in names} == names
    if selector == "mail":
        assert "set dkim.selector to dkim" in found["dkim.signing lantern.example"].fix


@pytest.mark.parametrize(
    ("have", "planned", "status"),
    [
        (State(), False, Status.PENDING),
        (replace(KEYED, keys={}), True, Status.PENDING),
        (replace(KEYED, keys={}), False, Status.FAIL),
    ],
)
def test_a_missing_key_is_pending_or_wrong(have: State, planned: bool, status: Status) -> None:
    where = elsewhere()
    (row,) = signer.rows(Doors(where), where.domains[0], have, planned=planned, apply=False, wait=0)
    assert row.status is status


def test_a_second_kind_of_key_is_refused() -> None:
    where = elsewhere(domains__0__dkim={"selector": "dkim", "ed25519": "ed"})
    assert "one RSA key" in signer.plan(where, KEYED, None).refusals[0]


def test_the_key_that_signs_is_the_one_to_publish() -> None:
    where = elsewhere(domains__0__dkim={"selector": "mail"})
    (record,) = signer.records(where, KEYED)
    assert record.name == "dkim._domainkey.lantern.example"
    assert "t=s" in record.values[0]
    (missing,) = signer.records(where, replace(KEYED, keys={}))
    assert (missing.name, missing.values, missing.known_after) == ("mail._domainkey.lantern.example", (), "03-dkim")


LOG = [  # the newest first
    {
        "time": "1795281880",
        "priority": "info",
        "program": "postfix/smtp",
        "message": "4XyZ1q2w3rz1: to=<x@y.example>, relay=smtp.example.net[192.0.2.1]:587, delay=1, delays=0/0/0/1, "
        "dsn=2.0.0, status=sent (250 ok)\n",
    },
    {"time": "1795281879", "priority": "info", "program": "postfix/qmgr", "message": "4XyZ1q2w3rz1: from=<hi@y>"},
]


def test_the_log_is_read_as_a_syslog_file_oldest_first(cow: Cow) -> None:
    cow.behind.lines["postfix"] = LOG
    events = maillog.parse(servers.of(site(cow)).log())
    assert [e.program for e in events] == ["postfix/qmgr", "postfix/smtp"]
    assert events[0].time == "2026-11-21T17:24:39+00:00"
    (tried,) = maillog.follow(events, "4XyZ1q2w3rz1")
    assert (tried.relay, tried.status) == ("smtp.example.net[192.0.2.1]:587", "sent")


def test_what_dovecot_and_postfix_wrote_is_one_history(cow: Cow) -> None:
    refused = "imap-login: Info: Disconnected (auth failed, 1 attempts): user=<hi@lantern.example>, rip=192.0.2.9"
    cow.behind.lines["postfix"] = LOG
    cow.behind.lines["dovecot"] = [LOG[1] | {"program": "dovecot", "time": "1795281879.5", "message": refused}]
    events = maillog.parse(servers.of(site(cow)).history())
    assert [event.program for event in events] == ["postfix/qmgr", "dovecot", "postfix/smtp"]
    assert [login.user for login in maillog.shut_out(events)] == ["hi@lantern.example"]


def test_the_queue_is_told_as_postqueue_tells_it(cow: Cow) -> None:
    waiting = {"queue_name": "deferred", "queue_id": "4XyZ", "sender": HI, "arrival_time": 1795281880}
    told = [
        {"address": "x@y.example", "delay_reason": "connect to y (192.0.2.9): timed out"},
        {"address": "z@y.example"},
    ]
    cow.behind.waiting = [{**waiting, "recipients": told}]
    assert servers.of(site(cow)).queue().read == [{**waiting, "recipients": told}]
    assert running.queued({"queue_id": "A"})["recipients"] == []


def test_its_containers_are_told_and_no_command_is_run(cow: Cow) -> None:
    cow.behind.states = {"postfix-mailcow": "exited"}
    server = servers.of(site(cow))
    assert [(c.name, c.state) for c in server.containers()] == [("postfix-mailcow", "exited")]
    with pytest.raises(HostError, match="postqueue cannot be run"):
        server.inside(("postqueue", "-j"))


def test_the_stage_says_what_stands_between(cow: Cow) -> None:
    done = Outcome(Plan("DKIM"))
    rows = servers.verify_keys(site(cow), done, None, apply=False, wait=0)
    assert [(c.status, c.waits_for) for c in rows] == [(Status.PENDING, "01-bootstrap")]
