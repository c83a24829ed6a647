"""Plain Postfix on the server itself: configurations of other hands keep every byte, a fresh host is set up."""

from __future__ import annotations

import imaplib
import smtplib
from collections.abc import Callable
from pathlib import Path

import postfixes
import pytest
from postfixes import NAMES, SUMS, changed, settings, without
from rehearsed import Rehearsed, message

from runbooklib import host, params, servers
from runbooklib.params import Site
from runbooklib.results import Outcome, Plan, Status
from runbooklib.servers.postfix import bootstrap, doors, state
from runbooklib.servers.postfix.editing import Content, Part, RefusedError, parameter, service, together
from runbooklib.testbed import snapshots, world

PARAMS = Path(__file__).parents[2] / "params" / "rehearsal-postfix.yaml"
HERE = "/etc/postfix/runbook"
SiteOf = Callable[[], Site]


@pytest.fixture(scope="module", autouse=True)
def _installed(bare: Rehearsed) -> None:
    """A server with Postfix, of which every test makes its own."""
    postfixes.install(bare)


@pytest.fixture
def site(testbed: Rehearsed, monkeypatch: pytest.MonkeyPatch) -> Site:
    """The rehearsal site on plain Postfix."""
    monkeypatch.setenv("RUNBOOK_TESTBED", str(world.folder_of(testbed.root)))
    return params.load(PARAMS)


def edits(have: state.State) -> list[Part]:
    """A change as stage 02 makes it: parameters that stand over several lines or twice among them."""
    senders, own = have.parameters.get("sender_dependent_relayhost_maps", ""), f"texthash:{HERE}/senders"
    values = {
        "sender_dependent_relayhost_maps": f"{own}, {senders}".strip(", "),
        "message_size_limit": "50000000",
        "smtpd_recipient_restrictions": "permit_mynetworks, reject_unauth_destination",
        "smtp_sasl_auth_enable": "yes",
    }
    content = Content(
        0, "senders", "absent", "new", "", path=f"{HERE}/senders", content=b"@lantern.example [r.example]:587\n"
    )
    rows: list[Part] = [content]
    for name, value in values.items():
        rows += parameter(have.parameters.get(name), name, value, "")
    entry = "smtps-relay unix - - n - - smtp -o smtp_tls_wrappermode=yes"
    return [*rows, *service(have.services.get("smtps-relay/unix"), "smtps-relay/unix", entry, "")]


def texts(testbed: Rehearsed) -> list[str]:
    """main.cf and master.cf."""
    return [testbed.ssh(f"cat /etc/postfix/{name}") for name in ("main.cf", "master.cf")]


@pytest.mark.parametrize("name", NAMES)
def test_a_change_leaves_all_else_as_it_stands_and_goes_back_to_the_byte(
    testbed: Rehearsed, site: Site, name: str
) -> None:
    postfixes.place(testbed, name)
    have = servers.observe(site)
    assert have.kind.startswith("serves already")
    assert not bootstrap.plan(site, have)
    if name == "rspamd":
        _what_is_missing_is_said(site)
    sums, before, was = testbed.ssh(SUMS), settings(testbed), texts(testbed)
    rows = edits(have)
    ours = {part.name for part in rows if hasattr(part, "name")}
    host.apply(site, Plan("edit", together(1, rows, HERE)), apply=True)
    assert changed(before, settings(testbed)) == ours
    now, words = texts(testbed), {name.partition("/")[0] for name in ours}
    for old, new in zip(was, now, strict=True):
        assert without(new, words) == without(old, words)
    testbed.ssh(f"sh {HERE}/before/undo")
    assert testbed.ssh(SUMS) == sums
    assert testbed.ssh(f"cat {HERE}/senders 2>&1 || true").endswith("No such file or directory\n")


def _what_is_missing_is_said(site: Site) -> None:
    """Rows for the mailboxes of params that this server does not answer, and what its administrator may do."""
    rows = servers.verify(site, Outcome(Plan("")), wait=5)
    assert rows["server.ready"].status is Status.PASS
    missing = rows["server.rcpt.mailbox hi@lantern.example"]
    assert missing.status is Status.FAIL
    assert "make the mailbox where this server keeps them (virtual_mailbox_maps = lmdb:" in missing.fix
    assert rows["server.signer"].observed == "rspamd"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (parameter(None, "default_process_limit", "many", ""), "bad numerical configuration"),
        (parameter(None, "transport_maps", f"texthash:{HERE}/nobody-made-it", ""), "No such file"),
        (service(None, "x/unix", "x unix - - sometimes - - smtp", ""), "invalid"),
    ],
)
def test_what_a_check_refuses_leaves_what_stood_to_the_byte(
    testbed: Rehearsed, site: Site, wrong: tuple[Part, ...], said: str
) -> None:
    if "harbour-club" not in testbed.ssh("cat /etc/postfix/main.cf"):
        postfixes.place(testbed, "handmade")
    sums = testbed.ssh(SUMS)
    (step, *_) = together(1, [*edits(servers.observe(site)), *wrong], HERE)
    with pytest.raises(RefusedError, match=said):
        step.do(host.connect(site))  # type: ignore[attr-defined]
    assert testbed.ssh(SUMS) == sums
    assert testbed.ssh(f"ls {HERE}").split() == ["before"]


def test_a_step_that_activation_refuses_is_taken_back(testbed: Rehearsed, site: Site) -> None:
    sums = testbed.ssh(SUMS)
    (step, *_) = together(1, edits(servers.observe(site)), HERE, then=("echo no such luck; exit 3",))
    with pytest.raises(RefusedError, match=r"what stood before is back: no such luck"):
        step.do(host.connect(site))  # type: ignore[attr-defined]
    assert testbed.ssh(SUMS) == sums


def test_a_host_with_dovecot_2_3_is_set_up_from_bare_and_a_second_plan_is_empty(testbed: Rehearsed, site: Site) -> None:
    snapshots.reset(testbed.root, snapshots.BOOKWORM)
    host._open.clear()  # the server is another machine now
    have = servers.observe(site)
    assert have.kind.startswith("fresh")
    done = servers.apply(site, servers.plan(site, have), apply=True)
    assert len(done.done) == len(done.plan)
    assert servers.verify(site, done, wait=20).require().status is Status.PASS
    again = servers.observe(site)
    assert (again.dovecot, again.marked, list(servers.plan(site, again))) == ((2, 3), True, [])
    _delivers(testbed)
    _turns_red(testbed, site)
    assert testbed.state.mailboxes["hi"] not in testbed.ssh(f"cat {HERE}/* /var/log/mail.log 2>/dev/null; ps ax")


def _turns_red(testbed: Rehearsed, site: Site) -> None:
    """Passwords in clear and a relay for everybody are seen, and planned back."""
    testbed.ssh("postconf -e smtpd_tls_auth_only=no mynetworks=0.0.0.0/0 smtpd_sasl_auth_enable=yes")
    testbed.ssh("postconf -P submission/inet/smtpd_tls_security_level=may && postfix reload 2>/dev/null; sleep 1")
    have = state.observe(site)
    red = {c.name.partition(" ")[0] for c in (*doors.logins(site, have), *doors.recipients(site, have)) if c.blocks}
    assert red == {"server.login.25", "server.login.587", "server.rcpt.open-relay"}
    back = [c.target for c in servers.plan(site, have)]
    assert back[1:] == ["main.cf: mynetworks", "main.cf: smtpd_tls_auth_only", "master.cf: submission/inet"]


def _delivers(testbed: Rehearsed) -> None:
    """A message to an address that only the catch-all takes arrives by LMTP and is read over IMAPS."""
    server, password = testbed.state.server, testbed.state.mailboxes["hi"]
    with smtplib.SMTP(server.ipv4, 25, timeout=20) as client:
        client.send_message(message("guest@unpublished.example", "made-up@lantern.example", "to the catch-all"))
    subject = 'SUBJECT "to the catch-all"'
    testbed.ssh(
        f"for i in $(seq 50); do doveadm search -u hi@lantern.example {subject} | grep -q . && exit; sleep 0.2; done"
    )
    context = testbed.tls()
    context.check_hostname = False  # by address; the certificate itself is verified
    with imaplib.IMAP4_SSL(server.ipv4, 993, ssl_context=context) as mailbox:
        mailbox.login("hi@lantern.example", password)
        mailbox.select()
        (found,) = mailbox.search(None, subject)[1][0].split()
        raw = mailbox.fetch(found, "(BODY[HEADER])")[1][0]
        assert isinstance(raw, tuple)
        assert b"X-Original-To: made-up@lantern.example" in raw[1]
        assert b"Delivered-To: hi@lantern.example" in raw[1]
