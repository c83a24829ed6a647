"""Bad days of a relay: its real Postfix made to behave so on ports of their own, and all proved in one walk."""

from __future__ import annotations

import base64
import io
import json
import smtplib
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import rehearsal
from rehearsed import ANSWER, Rehearsed, message
from scripts import Authority

from runbooklib import params, relays, servers
from runbooklib.results import Check, Checklist, GateError, Status
from runbooklib.testbed import snapshots, world
from runbooklib.testbed.state import Account

HOST = "smtp.relay.example"
NASTY = "a:b$c\"d#e f'g\\h`i%j{k} пароль-密ß"  # what an env file, YAML, a shell or a map might take for its own

WRONG = "not the password"
KNOWN = ("lantern.example", "pier.example")  # to the provider, which calls them verified
BOUND = {"id": "bound", "token": "re_bound_to_pier", "permission": "sending_access", "domain_id": "pier.example"}


def refusing(restriction: str, kind: str, answer: str) -> str:
    return f"-o {{ smtpd_{restriction}_restrictions = check_{kind}_access static:{{{answer}}} }}"


# What each bad day adds to a listener of its own, as master.cf of the relay has it.
DAYS = {
    "no-auth": "-o smtpd_sasl_auth_enable=no",
    "cram-only": "-o smtpd_sasl_mechanism_filter=cram-md5",
    "expired": "-o smtpd_tls_chain_files=/testbed/bad/smtp.relay.example.-1.pem",
    "wrong-name": "-o smtpd_tls_chain_files=/testbed/bad/other.example.30.pem",
    "unknown-ca": "-o smtpd_tls_chain_files=/testbed/bad/smtp.relay.example.30.pem",
    "no-starttls": "-o smtpd_tls_security_level=none -o smtpd_tls_auth_only=no",
    "busy": refusing("client", "client", "421 4.7.0 Too many connections, try again later"),
    "away": refusing("client", "client", "554 5.7.1 This host is not welcome here"),
    "put-off": refusing("sender", "sender", "451 4.7.1 Try again later"),
    "hung-up": refusing("sender", "sender", "421 4.7.0 Closing the channel"),
    "daily-limit": refusing("sender", "sender", "550 5.7.1 You have reached your daily email sending quota"),
    "throttled": refusing("sender", "sender", "454 4.7.0 Throttling failure: Daily message quota exceeded"),
    "not-owned": "-o smtpd_sender_login_maps=static:somebody-else "
    "-o smtpd_sender_restrictions=reject_sender_login_mismatch",
    "no-recipient": "-o smtpd_sender_restrictions= "
    + refusing("recipient", "recipient", "550 5.1.1 The recipient is on your suppression list"),
}
ALLOWED = "allow-listed"  # no bad day: a relay that knows its customers by their address
DAYS[ALLOWED] = (
    "-o smtpd_sasl_auth_enable=no -o smtpd_sender_restrictions= "
    "-o { smtpd_relay_restrictions = check_client_access static:permit, reject }"
)
PORTS = {name: port for port, name in enumerate(DAYS, 10001)}
OWN_CA = ("expired", "wrong-name")  # of a CA that params do name, so that nothing else is wrong
SAME_PORT: dict[str, dict[str, Any]] = {
    "unverified": {},
    "wrong-user": {"username": "nobody"},
    "wrong-password": {"password": "env:WRONG"},
    "nasty": {"username": "nasty", "password": "env:NASTY"},
    "no-login": {"username": None, "password": None},
    "closed": {"port": 588},
    "nowhere": {"host": "nowhere.relay.example"},
    "starttls-on-465": {"port": 465, "tls": "starttls"},
    "implicit-on-587": {"port": 587, "tls": "implicit"},
    "somebody-else": {"host": "mx.stranger.example"},
    "unnamed-ca": {"ca": None},
}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("bad"))


@pytest.fixture(scope="module")
def misbehaving(testbed: Rehearsed, authority: Authority) -> Iterator[Rehearsed]:
    """The testbed while its relay has all these listeners and users; put back afterwards."""
    for host, days in ((HOST, -1), (HOST, 30), ("other.example", 30)):
        authority.serving(host, days)
    known = f"nasty:{{PLAIN.b64}}{base64.b64encode(NASTY.encode()).decode()}\n"
    lines = "".join(f"{PORTS[name]} inet n - n - - smtpd {options}\n" for name, options in DAYS.items())
    testbed.container("relay").put_archive("/", archive(authority.folder, users=known, listeners=lines))
    relay(
        testbed,
        "cp -a /etc/postfix /etc/postfix.before; cp -a /testbed/users /testbed/users.before",
        "cat /testbed/bad/listeners >>/etc/postfix/master.cf; cat /testbed/bad/users >>/testbed/users",
        "sed -i.before 's/^auth_mechanisms = .*/& cram-md5/' /opt/testbed/relay/dovecot.conf",
        "postconf -e smtpd_client_connection_count_limit=0",
        RELOAD,
    )
    yield testbed
    relay(
        testbed,
        "cp -a /etc/postfix.before/*.cf /etc/postfix/; rm -r /etc/postfix.before",
        "mv /testbed/users.before /testbed/users; rm -r /testbed/bad",
        "mv /opt/testbed/relay/dovecot.conf.before /opt/testbed/relay/dovecot.conf",
        RELOAD,
    )


RELOAD = "doveadm -c /opt/testbed/relay/dovecot.conf reload; postfix reload"


def relay(testbed: Rehearsed, *commands: str) -> None:
    status, said = testbed.inside("relay", "sh", "-ec", "\n".join(commands))
    assert status == 0, said


def archive(folder: Path, **texts: str) -> bytes:
    """The certificates of a folder and some texts, for /testbed/bad."""
    files = {p.name: p.read_bytes() for p in folder.glob("*.pem")} | {n: t.encode() for n, t in texts.items()}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"testbed/bad/{name}")
            entry.size, entry.mode = len(content), 0o600
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture(scope="module")
def proofs(misbehaving: Rehearsed, authority: Authority) -> Checklist:
    """One walk over every bad day, each a domain with a relay of its own."""
    changes: dict[str, dict[str, Any]] = {name: {"port": port} for name, port in PORTS.items()} | SAME_PORT
    for name in OWN_CA:
        changes[name] = changes[name] | {"ca": authority.pem}
    changes[ALLOWED] = changes[ALLOWED] | SAME_PORT["no-login"]
    return walk(misbehaving, changes)


def walk(testbed: Rehearsed, changes: Mapping[str, dict[str, Any]]) -> Checklist:
    """What is proved of a site with one more domain and relay for each of these."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RUNBOOK_TESTBED", str(world.folder_of(testbed.root)))
        patch.setenv("WRONG", WRONG)
        patch.setenv("NASTY", NASTY)
        here = rehearsal.site().model_dump(mode="json", exclude_none=True)
        good = here["relays"]["smarthost"]
        given = {"smarthost": good} | {name: named(good | change) for name, change in changes.items()}
        domains = [{"name": f"{name}.example", "relay": name} for name in changes]
        return relays.prove(rehearsal.site(relays=given, domains=here["domains"][:1] + domains), {})


def named(given: Mapping[str, Any]) -> dict[str, Any]:
    """A relay as params name it; what is None is not named."""
    return {key: value for key, value in given.items() if value is not None}


def of(proofs: Checklist, name: str) -> dict[str, Check]:
    """The rows of one relay and its domain, by their first word."""
    found = {c.name.partition(" ")[0]: c for c in proofs if c.name.split(" ")[-1] in {name, f"{name}.example"}}
    assert found, name
    return found


RED = [
    ("no-auth", "relay.login", Status.FAIL, "only none"),
    ("cram-only", "relay.login", Status.FAIL, "only CRAM-MD5"),
    ("expired", "relay.port", Status.FAIL, "certificate expired"),
    ("wrong-name", "relay.port", Status.FAIL, "foreign certificate: wrong name"),
    ("unknown-ca", "relay.port", Status.FAIL, "foreign certificate: unknown CA"),
    ("no-starttls", "relay.port", Status.FAIL, "STARTTLS not offered"),
    ("unnamed-ca", "relay.port", Status.FAIL, "foreign certificate: unknown CA"),
    ("busy", "relay.port", Status.UNKNOWN, "turned away with 421"),
    ("away", "relay.port", Status.FAIL, "turned away with 554"),
    ("put-off", "relay.sender", Status.UNKNOWN, "451 4.7.1"),
    ("hung-up", "relay.sender", Status.UNKNOWN, "421 4.7.0"),
    ("daily-limit", "relay.sender", Status.FAIL, "daily email sending quota"),
    ("throttled", "relay.sender", Status.UNKNOWN, "Daily message quota exceeded"),
    ("not-owned", "relay.sender", Status.FAIL, "not owned by user"),
    ("no-recipient", "relay.sender", Status.FAIL, "RCPT TO:<friend@stranger.example>: 550"),
    ("wrong-user", "relay.login", Status.FAIL, "535"),
    ("wrong-password", "relay.login", Status.FAIL, "535"),
    ("no-login", "relay.sender", Status.FAIL, "530 5.7.0"),
    ("somebody-else", "relay.login", Status.FAIL, "535"),
    ("closed", "relay.port", Status.UNKNOWN, "refused"),
    ("nowhere", "relay.name", Status.FAIL, "NXDOMAIN"),
    ("starttls-on-465", "relay.port", Status.FAIL, "connected, then silence"),
    ("implicit-on-587", "relay.port", Status.FAIL, "no TLS"),
]
FIXES = {
    "cram-only": "PLAIN",
    "no-login": "name username and password",
    "expired": "renew",
    "closed": "under relays.closed write `port: 587`",
    "nowhere": "correct relays.nowhere.host",
    "starttls-on-465": "write `tls: implicit`",
    "implicit-on-587": "write `tls: starttls`",
    "unknown-ca": "no login was sent",
    "unnamed-ca": "name its CA in relays.unnamed-ca.ca",
    "not-owned": "mailbox of this domain",
    "daily-limit": "allowance",
    "throttled": "allowance",
    "busy": "try again later",
}


@pytest.mark.parametrize(("name", "row", "status", "words"), RED, ids=[name for name, *_ in RED])
def test_a_bad_day_is_a_red_row(proofs: Checklist, name: str, row: str, status: Status, words: str) -> None:
    found = of(proofs, name)
    assert (found[row].status, words in found[row].observed) == (status, True), found[row]
    assert found[row].blocks
    assert FIXES.get(name, "") in found[row].fix
    assert found[row].fix
    if row != "relay.sender":
        assert "relay.sender" not in found


def test_every_bad_day_has_its_row() -> None:
    assert {name for name, *_ in RED} | {"unverified", "nasty", ALLOWED} == {*DAYS, *SAME_PORT}


def test_a_domain_the_provider_has_not_verified_waits_for_dns(proofs: Checklist) -> None:
    row = of(proofs, "unverified")["relay.sender"]
    assert (row.status, row.waits_for) == (Status.PENDING, "04-dns")
    assert "The unverified.example domain is not verified" in row.observed


def test_a_relay_that_knows_us_by_our_address_needs_no_login(proofs: Checklist) -> None:
    found = of(proofs, ALLOWED)
    assert {row.status for row in found.values()} == {Status.PASS}
    assert found["relay.sender"].observed.startswith("250")


def test_any_legal_password_logs_in(proofs: Checklist) -> None:
    assert of(proofs, "nasty")["relay.login"].status is Status.PASS


def test_any_legal_password_goes_through_postfix_s_own_map(
    misbehaving: Rehearsed, spoilt: Rehearsed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NASTY", NASTY)
    here = rehearsal.site(relays__smarthost__username="nasty", relays__smarthost__password="env:NASTY")
    have, proved = servers.routes(here), Checklist("")
    null = relays.null_way(here, proved, have.null)
    plan = servers.plan_routes(here, have, proved, null)
    assert [c.target for c in plan] == [f"{rehearsal.HERE}/config/postfix-sasl-password.cf"]
    done = servers.apply(here, plan, apply=True)
    rows = servers.verify_routes(here, done, proved, null, wait=30).require()
    assert rows["relay.login-map smarthost"].status is Status.PASS
    write(spoilt, "through the map")
    assert spoilt.arrived("through the map")
    assert b"sasl_username=nasty" in misbehaving.container("relay").logs()


def write(testbed: Rehearsed, subject: str) -> None:
    """One of ours writes to the stranger."""
    server, sender = testbed.state.server, "hi@lantern.example"
    account = Account(server.ipv4, server.ipv6, "mail.lantern.example", sender, testbed.state.mailboxes["hi"])
    with testbed.smtp(account, 587) as client:
        client.send_message(message(sender, "friend@stranger.example", subject))


def test_a_login_that_is_offered_only_inside_tls(misbehaving: Rehearsed, proofs: Checklist) -> None:
    with smtplib.SMTP(misbehaving.state.relay.ipv4, 587, timeout=ANSWER) as client:
        client.ehlo("client.lantern.example")
        assert not client.has_extn("auth")
    assert of(proofs, "unverified")["relay.login"].status is Status.PASS


def test_a_red_row_stops_the_stage(proofs: Checklist) -> None:
    with pytest.raises(GateError, match=r"relay.login wrong-password: fail"):
        proofs.require()


def test_no_password_stands_in_any_row(proofs: Checklist) -> None:
    said = str(proofs)
    assert not [secret for secret in (WRONG, NASTY) if secret in said]


def test_what_the_server_itself_is_told(proofs: Checklist) -> None:
    assert proofs["server.public-ipv4"].status is Status.PASS
    assert "dropped" in proofs["relay.direct-25"].observed
    assert proofs["relay.null-sender unverified"].status is Status.PASS


@pytest.fixture
def between(testbed: Rehearsed) -> Iterator[Rehearsed]:
    """The testbed while the server's network drops the relay's 587 and answers 465 itself; mended afterwards."""
    to = f"-p tcp -d {testbed.state.relay.ipv4} --dport"
    rules = (
        f"-t mangle {{}} POSTROUTING {to} 587 -j DROP",
        f"-t nat {{}} OUTPUT {to} 465 -j DNAT --to-destination {testbed.state.mx.ipv4}:465",
    )
    testbed.ssh("; ".join(f"iptables {rule.format('-I')}" for rule in rules))
    yield testbed
    testbed.ssh("; ".join(f"iptables {rule.format('-D')}" for rule in rules))


def test_a_dropped_port_and_an_intercepted_one_are_different_things(between: Rehearsed) -> None:
    proofs = walk(between, {"dropped": {}, "intercepted": {"port": 465}})
    assert proofs["relay.ports dropped"].observed == (
        "25 dropped; 465 intercepted (foreign certificate: wrong name); 587 dropped; 2465 refused; 2525 open"
    )
    for name, status in (("dropped", Status.UNKNOWN), ("intercepted", Status.FAIL)):
        found = of(proofs, name)
        assert (found["relay.port"].status, found["relay.port"].observed.startswith(name)) == (status, True)
        assert f"under relays.{name} write `port: 2525`" in found["relay.port"].fix
        assert "relay.login" not in found


def test_a_key_bound_to_another_domain_and_a_domain_not_verified_are_different_things(
    clean: Rehearsed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNBOOK_TESTBED", str(world.folder_of(clean.root)))
    monkeypatch.setenv("BOUND", BOUND["token"])
    every = snapshots.accounts(clean.root)
    told = {"keys": [BOUND], "domains": {name: {"id": name, "status": "verified"} for name in KNOWN}}
    resend = json.dumps(json.loads(every["resend"]) | told).encode()
    snapshots.reset_accounts(clean.root, every | {"resend": resend})
    here = params.load(rehearsal.ROOT / "params/rehearsal-resend.yaml").model_dump(mode="json", exclude_none=True)
    relay = here["relays"]["resend"] | {"password": "env:BOUND"}
    others = [{"name": name, "relay": "resend"} for name in ("pier.example", "harbour.example")]
    site = params.load(here | {"relays": {"resend": relay}, "domains": here["domains"] + others})
    proofs = relays.prove(site, {})
    found = {name: proofs[f"relay.sender {name}"] for name in (*KNOWN, "harbour.example")}
    assert [row.status for row in found.values()] == [Status.FAIL, Status.PASS, Status.PENDING]
    assert "make a sending key for it" in found["lantern.example"].fix
    assert found["harbour.example"].waits_for == "04-dns"
    assert "501" in proofs["relay.null-sender resend"].observed
    assert relays.null_way(site, proofs, "") == "postmaster"
    assert proofs["relay.ports resend"].observed == "25 dropped; 465 open; 587 open; 2465 open; 2587 open"
