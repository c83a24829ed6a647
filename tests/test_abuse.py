"""What the server must refuse: each question passes at a good server and turns red at the matching bad one."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Barrier, get_ident
from typing import Any

import pytest
import sites
from postoffice import PostOffice
from scripts import SILENCE, START_TLS, Authority, Script

from runbooklib.delivery import abuse, asking, bans, doors, questions
from runbooklib.delivery.asking import TAKEN, Asked, ask, ask_all
from runbooklib.delivery.bans import Bans, parse, room, within
from runbooklib.delivery.questions import SMTP_PORT, SUBMISSION, SUBMISSIONS, Kind, Question
from runbooklib.delivery.transfer import AT_ONCE
from runbooklib.params import Site
from runbooklib.results import Check, Status

PASS, WARN, FAIL, UNKNOWN = Status.PASS, Status.WARN, Status.FAIL, Status.UNKNOWN
HI, ADA = "hi@lantern.example", "ada@lantern.example"
BOXES = [{"address": HI, "password": "env:HI_PASSWORD"}, {"address": ADA, "password": "env:ADA_PASSWORD"}]
HOST = "mail.lantern.example"
DENIED = "554 5.7.1 <somebody@example.org>: Relay access denied"
NOT_OWNED = "553 5.7.1 <{}>: Sender address rejected: not owned by user"


def site(**changes: Any) -> Site:
    return sites.make(**({"test": {"smtp25": True}, "domains__0__mailboxes": BOXES} | changes))


def question(kind: Kind, port: int = SMTP_PORT, at: Site | None = None) -> Question:
    """The question of the plan that has this kind, at this port."""
    found = (q for q in questions.plan(at or site()) if (q.kind, q.port) == (kind, port))
    return next(found)


def row(asked: Asked, at: Site | None = None) -> Check:
    (found,) = abuse.judge(at or site(), asked)
    return found


def test_every_kind_is_asked_and_judged() -> None:
    assert {q.kind for q in questions.plan(site())} == set(Kind)
    assert set(asking.ASKED) == set(abuse.JUDGED) == set(abuse.EXPECTED) == set(abuse.REFERENCES) == set(Kind)


def test_names_tell_the_questions_apart() -> None:
    names = [q.name for q in questions.plan(site())]
    assert len(names) == len(set(names))
    assert {abuse.pending(q).status for q in questions.plan(site())} == {Status.PENDING}


def test_wrong_logins_are_two_at_most() -> None:
    assert sum(q.kind is Kind.PASSWORD for q in questions.plan(site())) == 1


def test_strangers_have_reserved_names_and_nothing_is_sent_to_others() -> None:
    ours = {"lantern.example", "localhost"}
    for each in (e for q in questions.plan(site()) for e in q.envelopes):
        domains = {a.rpartition("@")[2] for a in (each.sender, each.recipient) if "@" in a}
        assert domains <= ours | {"example.org", "example.net", "[192.0.2.25]"}


def test_port_25_is_left_alone_where_this_machine_may_not_speak_to_it() -> None:
    plan = questions.plan(site(test={"smtp25": False}))
    assert {q.port for q in plan if q.kind is not Kind.SMUGGLING} == {SUBMISSION, SUBMISSIONS}
    assert [c.advisory for c in questions.missing(site(test={}))] == [True]


def test_without_a_catch_all_an_address_that_nobody_has_is_refused() -> None:
    closed = site(domains__0__catch_all=None)
    refused = [q for q in questions.plan(closed) if q.kind is Kind.REFUSED]
    assert [q.about for q in refused] == ["leaked@lantern.example", "runbook-unused@lantern.example"]
    taken = row(Asked(refused[1], (TAKEN,)), closed)
    assert (taken.status, "without a catch-all nobody takes it" in taken.fix) == (FAIL, True)
    assert [q.about for q in questions.plan(site()) if q.kind is Kind.REFUSED] == ["leaked@lantern.example"]


PIER = {"name": "pier.example", "relay": "office", "mailboxes": [{"address": "bo@pier.example", "password": "env:BO"}]}


def several(*others: dict[str, Any]) -> Site:
    """The site with more domains than one."""
    return site(domains=[sites.given(domains__0__mailboxes=BOXES)["domains"][0], *others])


def test_each_domain_without_a_catch_all_is_asked_and_what_would_ban_has_a_row() -> None:
    at = several(PIER, PIER | {"name": "quay.example", "mailboxes": []})
    asked = [q for q in questions.plan(at) if q.kind is Kind.REFUSED]
    unused = ["runbook-unused@pier.example", "runbook-unused@quay.example"]
    assert [q.about for q in asked] == ["leaked@lantern.example", *unused]
    cut = {q.about: why for q, why in within(asked, Bans("fail2ban bans after 5", 2))}
    assert cut == {"leaked@lantern.example": "", unused[0]: "", unused[1]: "not asked: fail2ban bans after 5"}


def test_as_whom_each_mailbox_tries_to_send() -> None:
    at = site(domains__0__aliases={"sales@lantern.example": ADA})
    mine, theirs = ({(e.sender, e.may) for e in questions.as_whom(at, box)} for box in (HI, ADA))
    unused, sales = "runbook-unused@lantern.example", "sales@lantern.example"
    assert mine == {(HI, True), (unused, True), (ADA, False), (sales, False), ("somebody@example.org", False)}
    assert theirs == {
        (ADA, True), (sales, True), (HI, False), (unused, False), ("somebody@example.org", False),
    }  # fmt: skip


def test_who_reads_several_catch_alls_is_tried_in_each() -> None:
    pier = PIER | {"catch_all": HI, "aliases": {"shop@pier.example": "bo@pier.example", "us@pier.example": HI}}
    more = [PIER | {"name": f"pier{n}.example", "mailboxes": [], "catch_all": HI} for n in range(questions.EACH)]
    asked = questions.as_whom(several(pier, *more), HI)
    senders = {form: [e.sender for e in asked if e.form == form] for form in {e.form for e in asked}}
    assert senders["its alias"] == ["sales@lantern.example", "us@pier.example"]
    assert senders["an unused address of its catch-all"][:2] == [
        f"{questions.UNUSED}@{d}.example" for d in ("lantern", "pier")
    ]
    assert senders["another mailbox"] == [ADA, "bo@pier.example"]
    assert senders["an alias of somebody else's"] == ["shop@pier.example"]
    assert max(map(len, senders.values())) == questions.EACH
    assert [e.form for e in asked if e.may] == [e.form for e in asked][: sum(e.may for e in asked)]


@pytest.mark.parametrize("at_once", [AT_ONCE, 3])
def test_no_more_is_asked_side_by_side_than_one_client_may(at_once: int) -> None:
    waves = 5
    at = site(domains__0__refuse=[f"leaked{n}@lantern.example" for n in range(waves * at_once)])
    asked = [q for q in questions.plan(at) if q.kind is Kind.REFUSED]
    together, threads = Barrier(at_once, timeout=10), set()

    def dial(address: str, port: int, timeout: float) -> socket.socket:
        del address, port, timeout
        threads.add(get_ident())
        together.wait()
        raise ConnectionRefusedError

    assert len(ask_all(at, asked, dial, Bans("nobody", at_once=at_once))) == waves * at_once
    assert len(threads) == at_once


NO_CATCH_ALL = {"domains__0__catch_all": None}
GREY = "450 4.2.0 <somebody@example.org>: Recipient address rejected: Greylisted"
DEFERRED = "454 4.7.1 <somebody@example.org>: Relay access denied"
NULL_MX = (
    "556 5.1.10 <somebody@example.org>: Recipient address rejected: Domain example.org does not accept mail (nullMX)"
)
NO_SENDER = (
    "550 5.7.27 <someone@example.net>: Sender address rejected: Domain example.net does not accept mail (nullMX)"
)
NO_DOMAIN = "450 4.1.8 <postmaster@localhost>: Sender address rejected: Domain not found"
NO_USER = "550 5.1.1 <somebody%example.org@lantern.example>: Recipient address rejected: User unknown"
LISTED = "554 5.7.1 Service unavailable; Client host [198.51.100.7] blocked using zen.spamhaus.org"
NO_NAME = "450 4.7.25 Client host rejected: cannot find your hostname, [198.51.100.7]"
KEPT_OUT = "554 5.7.1 <unknown[198.51.100.7]>: Client host rejected: Access denied"


def relaying(rest: str = DENIED, *, kept: int = 11, **said: str) -> Asked:
    """What a server says to the forms named, with words joined by underscores, and to all the others."""
    asked = question(Kind.OPEN_RELAY)
    envelopes = asked.envelopes[:kept]
    assert {name.replace("_", " ") for name in said} <= {e.form for e in envelopes}
    return Asked(
        replace(asked, envelopes=envelopes), tuple(said.get(e.form.replace(" ", "_"), rest) for e in envelopes)
    )


@pytest.mark.parametrize(
    ("asked", "changes", "expected"),
    [
        (relaying(), {}, PASS),
        (relaying(DEFERRED), {}, PASS),
        (relaying("550 relay not permitted"), {}, PASS),
        (relaying(null_sender=TAKEN), {}, FAIL),
        (relaying(outside_to_outside=TAKEN), {}, FAIL),
        (relaying(GREY, own_domain_as_sender=TAKEN), {}, FAIL),
        (relaying(source_route=TAKEN), {}, FAIL),
        (relaying(percent_hack=TAKEN), {}, WARN),  # the catch-all may have it
        (relaying(percent_hack=TAKEN), NO_CATCH_ALL, FAIL),
        # What was denied for its sender, or as an address that nobody has, is no way to relay.
        (relaying(outside_to_outside=NO_SENDER, localhost_as_sender=NO_DOMAIN, percent_hack=NO_USER), {}, PASS),
        (relaying(own_domain_as_sender="553 5.7.1 <x>: Sender address rejected: not logged in"), {}, PASS),
        # One form put off may be the one that is open.
        (relaying(GREY, null_sender=DENIED), {}, UNKNOWN),
        (relaying(GREY, null_sender=DEFERRED), {}, UNKNOWN),
        (relaying(null_sender=GREY), {}, UNKNOWN),
        (relaying(null_sender="MAIL FROM: 451 4.7.1 Greylisting in action"), {}, UNKNOWN),
        (relaying(percent_hack=TAKEN, source_route=GREY), {}, UNKNOWN),
        (relaying(own_domain_as_sender=NULL_MX), {}, UNKNOWN),
        (relaying(NULL_MX, percent_hack=NO_USER, kept=4), {}, UNKNOWN),
        (relaying(NO_SENDER), {}, UNKNOWN),
        (relaying("550 5.1.1 User unknown"), {}, UNKNOWN),
        (relaying("501 5.1.3 Bad recipient address syntax", percent_hack=DENIED), {}, UNKNOWN),
        (relaying(NULL_MX, kept=1), {}, UNKNOWN),
        (relaying("451 4.3.0 try again", kept=1), {}, UNKNOWN),
        (relaying(LISTED), {}, UNKNOWN),
        (relaying(KEPT_OUT), {}, UNKNOWN),
        (relaying(bang_path=NO_NAME), {}, UNKNOWN),
        (relaying(bang_path="MAIL FROM: -1 what?"), {}, UNKNOWN),
        (replace(relaying(TAKEN, kept=1), trouble="broke off"), {}, FAIL),
        (replace(relaying(kept=1), trouble="broke off"), {}, UNKNOWN),
    ],
)
def test_an_open_relay_is_told_from_a_catch_all_and_from_what_nothing_is_known_of(
    asked: Asked, changes: dict[str, Any], expected: Status
) -> None:
    assert row(asked, site(**changes)).status is expected


def test_only_what_was_denied_is_counted_and_what_is_not_known_is_named() -> None:
    found = row(relaying(GREY, null_sender=DENIED, source_route="421 4.7.0 too many errors", kept=5))
    assert found.observed.startswith(
        "not known of outside to outside, own domain as sender, percent hack, source route: "
        f"{GREY}; 421 4.7.0 too many errors; 1 form denied"
    )
    assert "run again in 10 minutes" in found.fix
    assert row(relaying(outside_to_outside=NO_SENDER)).observed == (
        f"10 forms denied; refused for another reason: outside to outside: {NO_SENDER}"
    )


@pytest.mark.parametrize(("said", "blocks"), [(LISTED, False), (KEPT_OUT, False), (NO_NAME, False), (GREY, True)])
def test_what_keeps_this_machine_out_stops_nobody(said: str, *, blocks: bool) -> None:
    assert row(relaying(said)).blocks is blocks
    assert row(Asked(question(Kind.REFUSED), (said,))).blocks is blocks


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (KEPT_OUT, PASS),  # so Postfix's submission denies whoever has not logged in
        ("554 5.7.1 <somebody@example.org>: Recipient address rejected: Access denied", PASS),
        ("MAIL FROM: 530 5.7.0 Authentication required", PASS),
        (TAKEN, FAIL),
        (LISTED, UNKNOWN),
        (GREY, UNKNOWN),
    ],
)
def test_submission_relays_for_nobody_without_a_login(said: str, expected: Status) -> None:
    assert row(Asked(question(Kind.OPEN_RELAY, SUBMISSION), (said,))).status is expected


def test_a_relay_that_is_open_to_ipv6_alone_is_looked_for() -> None:
    at = site(server__ipv6="2001:db8::10")
    asked = next(q for q in questions.plan(at) if q.ipv6)
    assert [envelope.sender for envelope in asked.envelopes] == [""]  # which no rule about senders refuses
    assert asked.name == "delivery.open-relay 25 IPv6"
    if not doors.own_address("2001:db8::10"):
        (unasked,) = ask_all(at, [asked], limits=Bans("nobody"))
        assert not row(unasked, at).blocks
    assert row(Asked(asked, (TAKEN,)), at).status is FAIL


def test_fewer_forms_are_said() -> None:
    said = "2 forms denied; 9 of 11 were not asked, which would have us banned"
    assert row(relaying(kept=2)).observed == said


def answered(kind: Kind, *replies: str, port: int = SMTP_PORT) -> Asked:
    return Asked(question(kind, port), replies)


GREETED = ("220 mail.lantern.example ESMTP", "250-mail.lantern.example", HOST)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (answered(Kind.REFUSED, "550 5.1.1 <leaked@lantern.example>: User unknown"), PASS),
        (answered(Kind.REFUSED, DENIED), FAIL),
        (answered(Kind.REFUSED, TAKEN), FAIL),
        (answered(Kind.REFUSED, "450 4.2.0 Greylisted"), UNKNOWN),
        (answered(Kind.REFUSED, LISTED), UNKNOWN),
        (answered(Kind.REFUSED, KEPT_OUT), UNKNOWN),
        (answered(Kind.REFUSED, "MAIL FROM: 451 4.7.1 Greylisting in action"), UNKNOWN),
        (answered(Kind.REFUSED, "MAIL FROM: 421 4.7.0 too many connections"), UNKNOWN),
        (answered(Kind.REFUSED, "MAIL FROM: 550 5.7.1 no null sender"), UNKNOWN),
        (answered(Kind.CLEAR, "no AUTH", "AUTH PLAIN"), PASS),
        (answered(Kind.CLEAR, "AUTH PLAIN LOGIN", "AUTH PLAIN"), FAIL),
        (answered(Kind.CLEAR, "no AUTH", "530 5.7.0 Must issue a STARTTLS command first", port=SUBMISSION), PASS),
        (answered(Kind.CLEAR, "no AUTH", "250 2.1.0 Ok", port=SUBMISSION), FAIL),
        (answered(Kind.CLEAR, "no AUTH", "421 4.7.0 too many connections", port=SUBMISSION), UNKNOWN),
        (answered(Kind.CLEAR, "AUTH PLAIN", "421 4.7.0 too many connections", port=SUBMISSION), FAIL),
        (answered(Kind.CLEAR, "AUTH PLAIN", "530 5.7.0 Must issue a STARTTLS command first", port=SUBMISSION), FAIL),
        (answered(Kind.PASSWORD, "refused: 535 5.7.8", port=SUBMISSION), PASS),
        (answered(Kind.PASSWORD, TAKEN, port=SUBMISSION), FAIL),
        (answered(Kind.PASSWORD, "doveadm could not tell: not found", port=SUBMISSION), UNKNOWN),
        (answered(Kind.LOGIN, TAKEN, port=SUBMISSIONS), PASS),
        (answered(Kind.IMPLICIT, "TLSv1.3", port=SUBMISSIONS), PASS),
        (answered(Kind.GREETING, *GREETED), PASS),
        (answered(Kind.GREETING, "220 mailserver ESMTP", *GREETED[1:]), FAIL),
        (answered(Kind.GREETING, GREETED[0], "250-localhost", HOST), FAIL),
        (answered(Kind.GREETING, "421 4.7.0 too many connections", GREETED[1], HOST), UNKNOWN),
        (answered(Kind.GREETING, GREETED[0], "421 4.3.2 shutting down", HOST), UNKNOWN),
        (answered(Kind.GREETING, *GREETED[:2], "PTR static.host.example, which does not lead back"), WARN),
        (answered(Kind.GREETING, *GREETED[:2], "?no answer in time"), UNKNOWN),
        (answered(Kind.GREETING, "220 mail.lantern.example ESMTP Exim 4.96", *GREETED[1:]), WARN),
        (answered(Kind.ACCOUNTS, "252 2.0.0 …", "252 2.0.0 …"), PASS),
        (answered(Kind.ACCOUNTS, "252 2.0.0 …", "550 5.1.1 …: User unknown"), WARN),
        (answered(Kind.ACCOUNTS, "421 4.7.0 too many errors", "421 4.7.0 too many errors"), UNKNOWN),
        (answered(Kind.SMUGGLING, "mail_version = 3.7.11", "smtpd_forbid_bare_newline = yes"), PASS),
        (answered(Kind.SMUGGLING, "mail_version = 3.9.1", "smtpd_forbid_bare_newline = normalize"), PASS),
        (answered(Kind.SMUGGLING, "mail_version = 3.7.11", "smtpd_forbid_bare_newline = no"), FAIL),
        (answered(Kind.SMUGGLING, "mail_version = 3.4.13"), FAIL),
        (
            answered(
                Kind.SMUGGLING, "mail_version = 3.9.1", "smtpd_forbid_bare_newline = yes",
                "smtp/inet/smtpd_forbid_bare_newline = no",
            ),
            FAIL,
        ),
        (answered(Kind.SMUGGLING, "mailcow = 2026-07a"), PASS),
        (answered(Kind.SMUGGLING, "mailcow = 2023-12"), FAIL),
        (answered(Kind.SMUGGLING, "mailcow = "), UNKNOWN),
        (answered(Kind.SMUGGLING), UNKNOWN),
    ],
)  # fmt: skip
def test_each_answer_is_judged(asked: Asked, expected: Status) -> None:
    assert row(asked).status is expected


SALES, UNUSED, ELSE = "sales@lantern.example", "runbook-unused@lantern.example", "somebody@example.org"
OF_ADA = "shop@lantern.example"
WITH_ALIASES = {"domains__0__aliases": {SALES: HI, OF_ADA: ADA}}
OWN = question(Kind.SENDS_AS, SUBMISSION, site(**WITH_ALIASES))
GOOD = {e.sender: TAKEN if e.may else NOT_OWNED.format(e.sender) for e in OWN.envelopes}
AGAIN = "451 4.3.0 try again"


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, PASS),
        ({ADA: TAKEN}, FAIL),
        ({OF_ADA: TAKEN}, FAIL),  # which is not nobody else's, though it is in the catch-all's domain
        ({ELSE: TAKEN}, FAIL),
        ({HI: NOT_OWNED.format(HI)}, FAIL),
        ({SALES: NOT_OWNED.format(SALES)}, FAIL),
        ({UNUSED: NOT_OWNED.format(UNUSED)}, WARN),
        ({UNUSED: NOT_OWNED.format(UNUSED), SALES: NOT_OWNED.format(SALES)}, FAIL),
        ({HI: AGAIN}, UNKNOWN),
        ({ADA: AGAIN}, UNKNOWN),
        ({ADA: f"MAIL FROM: {AGAIN}", OF_ADA: AGAIN, ELSE: AGAIN}, UNKNOWN),
        ({ADA: AGAIN, UNUSED: NOT_OWNED.format(UNUSED)}, UNKNOWN),
        ({SALES: AGAIN, ADA: TAKEN, OF_ADA: TAKEN, ELSE: TAKEN}, FAIL),
        ({SALES: NOT_OWNED.format(SALES), ADA: AGAIN}, FAIL),
        ({ELSE: NO_SENDER}, UNKNOWN),  # another rule said no
        ({ADA: KEPT_OUT}, UNKNOWN),
        ({ADA: "-1 what?"}, UNKNOWN),
    ],
)
def test_a_mailbox_sends_as_what_it_owns_and_as_nothing_else(changed: dict[str, str], expected: Status) -> None:
    assert set(changed) <= set(GOOD)
    assert row(Asked(OWN, tuple((GOOD | changed).values()))).status is expected


def test_a_theft_is_named_whatever_else_is_put_off_and_what_is_not_known_too() -> None:
    stolen = row(Asked(OWN, tuple((GOOD | {SALES: AGAIN, ADA: TAKEN}).values())))
    assert stolen.observed == f"also as another mailbox ({ADA})"
    later = row(Asked(OWN, tuple((GOOD | {ADA: AGAIN}).values())))
    assert later.observed.startswith(f"not known of another mailbox ({ADA}): {AGAIN}; as itself ({HI}), ")
    assert ADA not in later.observed.partition("; as ")[2]


@pytest.mark.parametrize(
    ("kind", "port", "trouble", "blocks"),
    [
        (Kind.OPEN_RELAY, SMTP_PORT, "not asked: fail2ban", False),
        (Kind.SMUGGLING, SMTP_PORT, "postconf cannot be run", False),
        (Kind.OPEN_RELAY, SMTP_PORT, "no answer (dropped)", True),
    ],
)
def test_what_could_not_be_asked_is_unknown_never_wrong(kind: Kind, port: int, trouble: str, *, blocks: bool) -> None:
    found = row(Asked(question(kind, port), trouble=trouble))
    assert (found.status, found.blocks) == (UNKNOWN, blocks)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("", None),
        ("sshd 5 600\n", None),
        ("postfix 5 600 127.0.0.1/8\n", 2),
        ("dovecot 10 600\npostfix-sasl 3 600\n", 1),
        ("postfix 6 604800\n", 0),  # docker-mailserver's: refusals of a week count
        ("postfix 6 604800 127.0.0.1/8 198.51.100.0/24\n", None),
        ("postfix 5 600 These IP addresses/networks are ignored: |- 198.51.100.0/24 `- ::1\n", None),
        ("postfix 5 600 These IP addresses/networks are ignored: |- 127.0.0.0/8 `- ::1\n", 2),
        ("postfix Sorry but\n", 2),  # it counts, and does not say how far: fail2ban's own numbers
        ("postfix \n", 2),
        ("postfix 5 \n\n", 2),
        ("postfix 5 \u00b2\n", 2),
    ],
)
def test_as_much_is_asked_as_bans_leave_room_for(told: str, expected: int | None) -> None:
    assert parse(told, "198.51.100.7").room == expected


@pytest.mark.parametrize(
    ("limit", "expected"),
    [("50", AT_ONCE), ("10", 5), ("3", 1), ("1", 1), ("0", AT_ONCE), ("", AT_ONCE), ("${fifty}", AT_ONCE)],
)
def test_a_server_that_lets_clients_have_few_connections_is_asked_by_fewer(limit: str, expected: int) -> None:
    for jail, left in (("", None), ("postfix 5 600\n", 2)):
        found = parse(f"connections {limit}\n{jail}", "198.51.100.7")
        assert (found.at_once, found.room) == (expected, left)


@pytest.mark.parametrize("retries", range(1, 12))
def test_two_runs_in_a_row_stay_below_the_limit(retries: int) -> None:
    assert 2 * room(retries, 600) < retries


def test_what_would_ban_is_cut_and_the_rest_is_asked() -> None:
    plan = questions.plan(site())
    cut = list(within(plan, Bans("fail2ban bans after 5", 2)))
    assert sum(q.refusals for q, why in cut if not why) == 2
    assert len(cut[0][0].envelopes) == 2
    assert [q for q, _ in cut][1:] == list(plan)[1:]
    assert all(why.startswith("not asked: fail2ban") for q, why in cut[1:] if q.refusals)
    assert [why for _, why in within(plan, Bans(""))] == [""] * len(plan)


def test_a_mailcow_bans_for_logins_only() -> None:
    assert bans.observe(site(mail=COW)).room is None


@contextmanager
def near(scripts: dict[int, int]) -> Iterator[Any]:
    """A dial that leads to the scripted servers, by the port that was meant; what is not there refuses."""

    def dial(address: str, port: int, timeout: float) -> socket.socket:
        del address
        if port not in scripts:
            raise ConnectionRefusedError
        return socket.create_connection(("127.0.0.1", scripts[port]), timeout)

    yield dial


COW = {"server": "mailcow", "url": "https://mail.lantern.example", "api_key": "env:MAILCOW_API_KEY"}


def near_to(ca: str | None, mail: dict[str, Any] | None = None) -> Site:
    """The site with a certificate of the test's, and resolvers that answer nobody."""
    trusting = {"mail": mail | {"tls": {"ca": ca}}} if mail else {"mail__tls__ca": ca} if ca else {}
    return site(dns={"resolvers": ["255.255.255.255"]}, **trusting)


def played(lines: Sequence[str], asked: Question, tls: Any = None, **changes: Any) -> tuple[Asked, list[str]]:
    """What is heard of a scripted server, and what it heard."""
    at = near_to(changes.pop("ca", None), changes.pop("mail", None))
    with Script(lines, tls, **changes) as script, near({asked.port: script.port}) as dial:
        return ask(at, asked, dial), script.heard


def test_a_probe_stops_at_rcpt_and_is_never_a_message() -> None:
    asked = replace(question(Kind.OPEN_RELAY), envelopes=question(Kind.OPEN_RELAY).envelopes[3:5])
    lines = ["220 there", "250 there", "250 2.1.0 Ok", DENIED, "250 2.0.0 Ok", "250 2.1.0 Ok", "250 2.1.5 Ok",
             "250 2.0.0 Ok", "221 bye"]  # fmt: skip
    found, heard = played(lines, asked)
    assert found.replies == (DENIED, TAKEN)
    assert heard[1:] == [
        "MAIL FROM:<>", "RCPT TO:<somebody%example.org@lantern.example>", "rset",
        "MAIL FROM:<>", "RCPT TO:<@lantern.example:somebody@example.org>", "rset", "quit",
    ]  # fmt: skip


def test_what_is_no_reply_is_not_taken_for_a_yes_and_a_last_word_is_kept() -> None:
    asked = replace(question(Kind.OPEN_RELAY), envelopes=question(Kind.OPEN_RELAY).envelopes[:2])
    found, _ = played(["220 there", "250 there", "250 2.1.0 Ok", "what?"], asked)
    assert TAKEN not in found.replies
    assert row(found).status is UNKNOWN
    shut, _ = played(["220 there", "250 there", "250 2.1.0 Ok", "421 4.7.0 too many errors"], asked)
    assert shut.replies == ("421 4.7.0 too many errors",)


def test_what_was_taken_counts_though_the_connection_breaks_then() -> None:
    asked = replace(question(Kind.OPEN_RELAY), envelopes=question(Kind.OPEN_RELAY).envelopes[:2])
    found, _ = played(["220 there", "250 there", "250 2.1.0 Ok", "250 2.1.5 Ok", "250 2.0.0 Ok"], asked)
    assert (found.replies, row(found).status) == ((TAKEN,), FAIL)
    assert "broke off" in found.trouble


def test_a_connection_bears_three_refusals() -> None:
    """Mailcow's Postfix hangs up after five."""
    lines = ["220 there", "250 there", *["250 2.1.0 Ok", DENIED, "250 2.0.0 Ok"] * 3, "221 bye"]
    found, heard = played(lines, question(Kind.OPEN_RELAY))
    assert len(found.replies) == len(questions.classic(site()))
    assert sum(line.startswith("ehlo") for line in heard) == 4


@pytest.mark.parametrize(("ehlo", "expected"), [("250 there", PASS), ("250-there\n250 AUTH PLAIN", FAIL)])
def test_auth_in_clear_on_25_is_seen(ehlo: str, expected: Status) -> None:
    found, _ = played(["220 there", ehlo, "221 bye"], question(Kind.CLEAR))
    assert row(found).status is expected


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["220 there", "250-there\n250 STARTTLS", "530 5.7.0 Must issue STARTTLS", "221 bye"], PASS),
        (["220 there", "250-there\n250 AUTH PLAIN", "530 5.7.0 Must issue STARTTLS", "221 bye"], FAIL),
        (["220 there", "250 there", "250 2.1.0 Ok", "221 bye"], FAIL),
        (["554 no service"], FAIL),
        (["421 too busy"], UNKNOWN),
    ],
)
def test_submission_in_clear_is_seen(lines: list[str], expected: Status) -> None:
    assert row(played(lines, question(Kind.CLEAR, SUBMISSION))[0]).status is expected


def test_a_465_without_tls_from_the_first_byte_fails_and_one_that_is_not_there_does_not(tmp_path: Path) -> None:
    ca, asked = Authority(tmp_path), question(Kind.IMPLICIT, SUBMISSIONS)
    good = played(["220 there", "250 there", "221 bye"], asked, ca.serving(HOST), implicit=True, ca=ca.pem)[0]
    plain = played(["220 there ESMTP", SILENCE], asked, ca=ca.pem)[0]
    assert (row(good).status, row(plain).status) == (PASS, FAIL)
    with near({}) as dial:
        assert not row(ask(site(), asked, dial)).blocks


SECURED = ("220 there", "250-there\n250 STARTTLS", "220 go", START_TLS)


@pytest.mark.parametrize(
    ("answer", "expected"), [("535 5.7.8 no", PASS), ("235 2.7.0 in", FAIL), ("454 4.7.0", UNKNOWN)]
)
def test_one_wrong_password_is_tried(tmp_path: Path, answer: str, expected: Status) -> None:
    ca = Authority(tmp_path)
    lines = [
        "220 there",
        "250-there\n250 STARTTLS",
        "220 go",
        START_TLS,
        "250-there\n250 AUTH PLAIN",
        answer,
        "221 bye",
    ]
    found, heard = played(lines, question(Kind.PASSWORD, SUBMISSION), ca.serving(HOST), ca=ca.pem, mail=COW)
    assert row(found).status is expected
    assert sum(line.startswith("AUTH") for line in heard) == 1


def test_a_service_without_a_login_says_nothing_of_passwords(tmp_path: Path) -> None:
    ca = Authority(tmp_path)
    lines = [*SECURED, "250 there", "221 bye"]
    found, _ = played(lines, question(Kind.PASSWORD, SUBMISSION), ca.serving(HOST), ca=ca.pem, mail=COW)
    assert found.trouble.startswith("no login by PLAIN or LOGIN offered")


@pytest.mark.parametrize(("password", "expected"), [("hi-Passw0rd", PASS), ("another-one", FAIL)])
def test_as_whom_is_asked_after_the_login(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, password: str, expected: Status
) -> None:
    monkeypatch.setenv("HI_PASSWORD", password)
    ca = Authority(tmp_path)
    asked = replace(OWN, envelopes=tuple(e for e in OWN.envelopes if e.may))
    with PostOffice(ca.serving(HOST), {HI: "hi-Passw0rd"}) as office, near({SUBMISSION: office.submission}) as dial:
        found = ask(site(mail__tls__ca=ca.pem), asked, dial)
    assert row(found).status is expected
    assert office.messages == []


def test_banner_and_ehlo_are_read_as_they_stand() -> None:
    lines = ["220-mail.lantern.example\n220 mail.lantern.example ESMTP", "250-other.example\n250 SIZE", ""]
    found, heard = played(lines, question(Kind.GREETING))
    assert found.replies[:2] == ("220-mail.lantern.example", "250-other.example")
    assert heard[0].startswith("EHLO [")


def test_all_are_asked_side_by_side_and_a_wrong_password_from_here_last() -> None:
    plan = [q for q in questions.plan(site()) if q.kind in {Kind.LOGIN, Kind.PASSWORD, Kind.SENDS_AS}]
    order: list[int] = []

    def dial(address: str, port: int, timeout: float) -> socket.socket:
        del address, timeout
        order.append(port)
        raise ConnectionRefusedError

    found = ask_all(site(mail=COW), plan, dial, Bans("nobody"))
    assert [a.question for a in found] == plan
    assert all("refused" in a.trouble for a in found)
    assert (len(order), order[-1]) == (len(plan), SUBMISSION)
    assert ask_all(site(), (), dial) == ()


def test_an_answer_that_nobody_thought_of_costs_no_other() -> None:
    def dial(address: str, port: int, timeout: float) -> socket.socket:
        del address, timeout
        if port == SUBMISSION:
            raise ZeroDivisionError("odd")
        raise ConnectionRefusedError

    plan = [q for q in questions.plan(site()) if q.kind in {Kind.LOGIN, Kind.SENDS_AS}]
    found = ask_all(site(), plan, dial, Bans("nobody"))
    assert {a.trouble.partition(":")[0] for a in found if a.question.port == SUBMISSION} == {"ZeroDivisionError"}
    assert all("refused" in a.trouble for a in found if a.question.port != SUBMISSION)
    assert all(row(a).status is not PASS and row(a).fix for a in found)
