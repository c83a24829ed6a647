"""What is known of a host with Postfix: captured answers in, whose host it is and who signs out."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace

import pytest
from sites import make

from runbooklib.host import Answer
from runbooklib.params import Site
from runbooklib.results import Check, Status
from runbooklib.servers.postfix import doors, dovecot, layout, state
from runbooklib.servers.postfix.state import FileFact, Listener, State

DEBIANS = """compatibility_level = 3.9
mydestination = $myhostname, mail.lantern.example, localhost
relayhost =
smtpd_relay_restrictions = permit_mynetworks permit_sasl_authenticated defer_unauth_destination"""
SS = """LISTEN 0 100 0.0.0.0:25 0.0.0.0:* users:(("master",pid=4571,fd=13))
LISTEN 0 100 [::]:993 [::]:* users:(("dovecot",pid=1,fd=30),("imap-login",pid=2,fd=3))
LISTEN 0 20 127.0.0.1:587 0.0.0.0:* users:(("exim4",pid=7,fd=3))"""


def site() -> Site:
    return make(mail={"server": "postfix", "tls": {"certificate": "certs/mail.pem", "key": "certs/mail.key"}})


def parsed(**told: str) -> State:
    return state.parse(site(), {name.replace("_", " "): Answer(0, text) for name, text in told.items()})


def test_a_bare_host_is_fresh() -> None:
    have = state.parse(site(), {"os": Answer(0, "ID=debian"), "parameters": Answer(127, "sh: postconf: not found")})
    assert (have.fresh, have.marked, have.parameters) == (True, False, {})
    assert have.kind == "fresh: stage 01 sets it up"


@pytest.mark.parametrize(
    ("told", "fresh"),
    [
        ({"parameters": DEBIANS}, True),
        ({"parameters": DEBIANS, "doveconf": "passdb {\n  driver = pam\n}"}, True),
        ({"parameters": DEBIANS, "doveconf": "passdb pam {\n}"}, True),
        ({"parameters": DEBIANS.replace("relayhost =", "relayhost = [smtp.example.net]:587")}, False),
        ({"parameters": DEBIANS + "\nvirtual_alias_maps = hash:/etc/postfix/virtual"}, False),
        ({"parameters": DEBIANS, "local": "lantern.example, localhost"}, False),  # mailboxes of the system's users
        ({"parameters": DEBIANS, "services": "submission inet n - y - - smtpd"}, False),
        ({"parameters": DEBIANS, "doveconf": "passdb {\n  args = /etc/d.conf\n  driver = sql\n}"}, False),
        ({"doveconf": "passdb sql {\n  query = x\n}"}, False),
    ],
)
def test_a_host_is_ours_to_set_up_only_where_nobody_did(told: dict[str, str], *, fresh: bool) -> None:
    assert parsed(**told).fresh is fresh


def test_a_host_that_stage_01_set_up_stays_its_own_whatever_main_cf_says() -> None:
    mark = f"644 root:root\n{'0' * 64}  -\n{base64.b64encode(layout.MARKED.encode()).decode()}"
    facts = {"parameters": Answer(0, "virtual_mailbox_domains = x"), f"file {layout.MARK}": Answer(0, mark)}
    have = state.parse(site(), facts)
    assert (have.fresh, have.kind) == (True, "set up by stage 01")
    assert have.text(layout.MARK) == layout.MARKED


@pytest.mark.parametrize(
    ("parameters", "signers"),
    [
        ("smtpd_milters = inet:127.0.0.1:8891 inet:127.0.0.1:8893", ("opendkim",)),
        ("smtpd_milters = inet:127.0.0.1:11332", ("rspamd",)),
        ("non_smtpd_milters = unix:opendkim/opendkim.sock", ("opendkim",)),
        ("content_filter = smtp-amavis:[127.0.0.1]:10024", ("amavis",)),
        ("smtpd_milters =", ()),
        ("smtpd_milters = inet:127.0.0.1:9999", ()),
    ],
)
def test_who_signs_is_known_by_where_postfix_hands_mail(parameters: str, signers: tuple[str, ...]) -> None:
    assert parsed(parameters=parameters).signers == signers


def test_a_milter_of_one_service_counts() -> None:
    assert parsed(services="submission inet n - - - - smtpd -o smtpd_milters=inet:127.0.0.1:8891").signers == (
        "opendkim",
    )


def test_listeners_are_told_from_those_of_this_host_alone() -> None:
    have = parsed(listeners=SS)
    assert have.listeners[1] == Listener("[::]", 993, "dovecot")
    assert (have.listening(25), have.listening(993), have.listening(587)) == ("master", "dovecot", "")
    assert have.ports == {25, 587, 993}


def test_packages_are_those_that_are_installed() -> None:
    told = "ii  postfix 3.10.13-0+deb13u1\nrc  exim4-daemon-light 4.98\nun  opendkim \ndpkg-query: no packages found"
    have = state.parse(site(), {"packages": Answer(1, told)})
    assert have.packages == {"postfix": "3.10.13-0+deb13u1"}


@pytest.mark.parametrize(
    ("said", "version"),
    [("2.3.19.1 (9b53102964)", (2, 3)), ("2.4.1-4 (7d8c0e5759)", (2, 4)), ("sh: 1: dovecot: not found", ()), ("", ())],
)
def test_the_version_of_dovecot(said: str, version: tuple[int, ...]) -> None:
    assert dovecot.version_of(said) == version


def test_a_sealed_file_is_known_by_its_digest_alone() -> None:
    digest = hashlib.sha256(b"key").hexdigest()
    have = state.parse(site(), {f"file {layout.KEY}": Answer(0, f"600 root:root\n{digest}  -")})
    assert (have.files[layout.KEY].digest, have.files[layout.KEY].mode, have.files[layout.KEY].text) == (
        digest,
        0o600,
        "",
    )


WHOLE = State(
    packages=dict.fromkeys(state.PACKAGES, "1"),
    parameters={"smtpd_forbid_bare_newline": "yes"},
    mailboxes=frozenset({"hi@lantern.example"}),
    listeners=tuple(Listener("*", port, "master") for port in (25, 143, 465, 587, 993)),
    running=frozenset({"master", "dovecot", "opendmarc"}),
    enabled=frozenset({"postfix", "dovecot", "opendmarc"}),
    files={layout.MARK: FileFact("0", 0o644, "root:root", layout.MARKED)},
)


def without(names: frozenset[str], name: str) -> frozenset[str]:
    return names - {name}


@pytest.mark.parametrize(
    ("have", "red"),
    [
        (WHOLE, set()),
        (replace(WHOLE, packages={"postfix": "3"}), {"server.packages"}),
        (replace(WHOLE, enabled=without(WHOLE.enabled, "postfix")), {"server.boot postfix"}),
        (replace(WHOLE, parameters={}), {"server.bare-newline"}),
        (replace(WHOLE, parameters={"smtpd_forbid_bare_newline": "no"}), {"server.bare-newline"}),
        (replace(WHOLE, mailboxes=frozenset()), {"server.mailboxes"}),
    ],
)
def test_what_the_facts_prove_turns_red(have: State, red: set[str]) -> None:
    assert {row.name for row in doors._standing(site(), have) if row.blocks} == red


def test_what_postfix_complains_of_is_a_word_of_warning() -> None:
    have = replace(WHOLE, complaints=("postconf: warning: unused parameter: smtpd_tls_auht_only=yes",))
    (row,) = [r for r in doors._standing(site(), have) if r.name == "server.complaints"]
    assert (row.status, "auht" in row.observed) == (Status.WARN, True)


@pytest.mark.parametrize(
    ("have", "missing"),
    [
        (WHOLE, []),
        (replace(WHOLE, running=frozenset({"master", "opendmarc"})), ["dovecot"]),
        (replace(WHOLE, listeners=WHOLE.listeners[1:]), ["port 25"]),
        (replace(WHOLE, listeners=(Listener("127.0.0.1", 25, "master"), *WHOLE.listeners[1:])), ["port 25"]),
        (State(parameters={"virtual_mailbox_domains": "x"}), ["port 25", "port 587", "postfix"]),
    ],
)
def test_what_is_not_there_yet(have: State, missing: list[str]) -> None:
    assert doors._missing(have) == missing


@pytest.mark.parametrize(
    ("row", "networks", "became"),
    [
        (Check("server.size", Status.FAIL, "552", "250 2.1.0 Ok"), (), Status.WARN),
        (Check("server.size", Status.PASS, "552", "552 5.3.4 too big"), (), Status.PASS),
        (Check("server.rcpt.mailbox a@b", Status.FAIL, "250", "554 5.7.1 Relay access denied"), (), Status.FAIL),
        (Check("server.rcpt.mailbox a@b", Status.FAIL, "250", "450 4.2.0 Greylisted"), (), Status.UNKNOWN),
        (Check("server.rcpt.mailbox a@b", Status.PASS, "250", "250 2.1.5 Ok"), (), Status.PASS),
        (Check("server.rcpt.mailbox a@b", Status.PASS, "250", "250 2.1.5 Ok"), ("198.51.100.0/24",), Status.UNKNOWN),
        (Check("server.rcpt.made-up a@b", Status.FAIL, "550", "250 2.1.5 Ok"), ("198.51.100.0/24",), Status.UNKNOWN),
    ],
)
def test_what_an_answer_of_a_server_of_other_hands_proves(
    row: Check, networks: tuple[str, ...], became: Status
) -> None:
    have = State(address="198.51.100.7", networks=networks)
    assert doors._theirs(site(), row, have).status is became


@pytest.mark.parametrize(
    ("networks", "trusted"),
    [
        (("127.0.0.0/8", "[::1]/128"), False),
        (("0.0.0.0/0",), True),
        (("203.0.113.0/24",), True),
        (("cidr:/etc/postfix/networks", "nonsense"), False),
    ],
)
def test_who_is_trusted_by_mynetworks(networks: tuple[str, ...], *, trusted: bool) -> None:
    assert doors.trusted(doors.ANYBODY, networks) is trusted
