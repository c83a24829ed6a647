"""Mail that is sent on, mail without a sender, and mail refused before it is accepted, so that nothing bounces."""

from __future__ import annotations

import imaplib
import re
import shlex
import time
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
import rehearsal
from rehearsal import PUT_BACK, Rehearsal
from rehearsed import Rehearsed, message

from runbooklib import params, servers
from runbooklib.params import Site
from runbooklib.relays import egress, vantage
from runbooklib.results import Check, Checklist, Plan, Status
from runbooklib.servers.docker_mailserver import doors
from runbooklib.testbed import snapshots, world
from runbooklib.testbed.state import Account

FRIEND, NOBODY = "friend@stranger.example", "nobody@stranger.example"
HI, ADA = "hi@lantern.example", "ada@lantern.example"
AWAY, GONE, SALES, TEAM, MADE_UP = (
    f"{local}@lantern.example" for local in ("away", "gone", "sales", "team", "made-up")
)
ALIASES = {AWAY: FRIEND, GONE: NOBODY, SALES: ADA, TEAM: [ADA, HI]}
BOXES = [
    {"address": HI, "password": "testbed:mailboxes.hi"},
    {"address": ADA, "password": "testbed:mailboxes.ada", "quota": "20k"},
]
PIER = "pier@pier.example"
PIER_DOMAIN = {
    "name": "pier.example",
    "relay": "direct",
    "mailboxes": [{"address": PIER, "password": "testbed:mailboxes.pier"}],
}
LIMIT = 10_240_000
ARRIVAL = 60
REWRITTEN = re.compile(r"<SRS0=[^=@]+=[^=@]+=stranger\.example=friend@mail\.lantern\.example>")
SPEAK = """
import smtplib, sys
client = smtplib.SMTP(sys.argv[1], 25, "mx.stranger.example", timeout=30)
client.ehlo()
for line in sys.argv[2:]:
    if line.startswith("<"):
        client.sock.sendall((b"a" * 78 + b"\\r\\n") * (int(line[1:-1]) // 80 + 1) + b".\\r\\n")
        code, said = client.getreply()
    else:
        code, said = client.docmd(line)
    print(code, said.decode().replace("\\n", " "))
"""


@pytest.fixture(scope="module")
def forwarding(testbed: Rehearsed, rehearsal: Rehearsal) -> Iterator[Rehearsed]:
    """The deployed server with port 25 open, aliases that lead away, a small mailbox, and a second, direct domain."""
    assert rehearsal.applied.status == 0, rehearsal.applied.output
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RUNBOOK_TESTBED", str(world.folder_of(testbed.root)))
        before = snapshots.published(testbed.root)
        world.up(testbed.root, print, egress_25=True)
        try:
            testbed.await_mail()
            publish(testbed)
            deploy(site())
            yield testbed
        finally:
            world.up(testbed.root, print)
            testbed.ssh(PUT_BACK)
            snapshots.reset_zone(testbed.root, before)


def publish(testbed: Rehearsed) -> None:
    """The SPF record that forwards need, which stage 04 would publish."""
    server = testbed.state.server
    assert testbed.publish(("mail", "TXT", f'"v=spf1 ip4:{server.ipv4} ip6:{server.ipv6} ~all"')) == "NOERROR"
    testbed.restart("resolver")  # forgets that there was nothing a moment ago
    snapshots.reset_mail(testbed.root)


def site() -> Site:
    """The rehearsal site whose aliases lead away, directly, beside a domain without a catch-all."""
    here = rehearsal.site(
        domains__0__forward="direct",
        domains__0__aliases=ALIASES,
        domains__0__mailboxes=BOXES,
        domains__0__catch_all=ADA,
    )
    given = here.model_dump(mode="json", exclude_none=True)
    return params.load(given | {"domains": [*given["domains"], PIER_DOMAIN]})


def deploy(here: Site) -> None:
    """What stages 01 and 02 change, taken up by one new container."""
    first = servers.plan(here, servers.observe(here))
    files = Plan(first.title, tuple(c for c in first if not c.target.startswith("container ")))
    servers.apply(here, files, apply=True)
    servers.apply(here, servers.plan_routes(here, servers.routes(here), Checklist("", ()), "direct"), apply=True)
    assert doors.until_ready(here, 60).status is Status.PASS


def submit(testbed: Rehearsed, recipient: str, subject: str) -> None:
    """The stranger writes, by the stranger's own server."""
    with testbed.smtp(testbed.state.mx, 587) as client:
        client.send_message(message(FRIEND, recipient, subject), FRIEND, [recipient])


def write(testbed: Rehearsed, author: str, recipient: str, subject: str) -> None:
    """One of ours writes, logged in."""
    server, password = testbed.state.server, testbed.state.mailboxes[author.partition("@")[0]]
    account = Account(server.ipv4, server.ipv6, "mail.lantern.example", author, password)
    with testbed.smtp(account, 587) as client:
        client.send_message(message(author, recipient, subject), author, [recipient])


def speak(testbed: Rehearsed, *lines: str) -> list[str]:
    """The server's answers to an SMTP dialogue from the stranger's address; <n> stands for a message of n bytes."""
    status, said = testbed.inside("mx", "python3", "-c", SPEAK, testbed.state.server.ipv4, *lines)
    assert status == 0, said
    return said.splitlines()


def inbox(testbed: Rehearsed, user: str, subject: str) -> list[EmailMessage]:
    """What a mailbox here holds with that subject."""
    local = user.partition("@")[0]
    with imaplib.IMAP4(testbed.state.server.ipv4, 143, timeout=20) as client:
        client.host = "mail.lantern.example"
        client.starttls(testbed.tls())
        client.login(user, testbed.state.mailboxes[local])
        client.select(readonly=True)
        numbers = client.search(None, "SUBJECT", f'"{subject}"')[1][0].split()
        raw = [client.fetch(number, "(RFC822)")[1][0] for number in numbers]
    return [message_from_bytes(part[1], policy=policy.default) for part in raw if isinstance(part, tuple)]


def await_inbox(testbed: Rehearsed, user: str, subject: str) -> EmailMessage:
    """The message with that subject in a mailbox here, waited for."""
    until = time.monotonic() + ARRIVAL
    while time.monotonic() < until:
        if found := inbox(testbed, user, subject):
            return found[-1]
        time.sleep(0.5)
    raise AssertionError(f"no message {subject!r} for {user} within {ARRIVAL} s")


def nothing_waits_or_bounced(testbed: Rehearsed, before: int) -> None:
    """The queue empties, and the stranger got no message."""
    await_empty_queue(testbed)
    assert servers.of(site()).queue().count == 0
    assert strangers_mail(testbed) == before


def strangers_mail(testbed: Rehearsed) -> int:
    with testbed.imap() as client:
        return len(client.search(None, "ALL")[1][0].split())


# Before port 25 is opened


def test_mail_without_a_sender_leaves_by_the_relay_that_takes_it(deployed: Rehearsed) -> None:
    receipt = f"From: {HI}\nTo: {FRIEND}\nSubject: a receipt\n\nread\n"
    inside(deployed, "sh", "-c", f"printf %s {shlex.quote(receipt)} | sendmail -f '' {FRIEND}")
    arrived = deployed.arrived("a receipt")
    assert str(arrived["Return-Path"]) == "<>"
    assert any("by smtp.relay.example" in hop for hop in arrived.get_all("Received", []))


@pytest.mark.usefixtures("deployed")
def test_port_25_must_be_open_where_forwards_leave_directly() -> None:
    row = egress.direct_25(site(), vantage.of(site()))
    assert row.status is Status.FAIL
    assert "dropped" in row.observed
    assert "name a relay" in row.fix


# Sent on


def test_a_forward_leaves_under_our_name_with_the_authors_signature_and_a_copy_stays(forwarding: Rehearsed) -> None:
    submit(forwarding, AWAY, "sent on")
    arrived = forwarding.arrived("sent on")
    assert REWRITTEN.fullmatch(str(arrived["Return-Path"]))
    verdict = str(arrived["Authentication-Results"])
    for passed in ("spf=pass", "dkim=pass header.d=stranger.example", "dmarc=pass"):
        assert passed in verdict
    assert not any("smtp.relay.example" in hop for hop in arrived.get_all("Received", []))
    # The domain's owner, here the one its catch-all names, keeps a copy.
    assert str(await_inbox(forwarding, ADA, "sent on")["From"]) == FRIEND


def test_our_own_mail_keeps_its_sender_and_its_relay(forwarding: Rehearsed) -> None:
    write(forwarding, HI, FRIEND, "own mail")
    arrived = forwarding.arrived("own mail")
    assert str(arrived["Return-Path"]) == f"<{HI}>"
    assert any("by smtp.relay.example" in hop for hop in arrived.get_all("Received", []))


def test_what_is_refused_there_comes_back_to_its_author_directly(forwarding: Rehearsed) -> None:
    submit(forwarding, GONE, "refused there")
    bounce = forwarding.arrived("Undelivered Mail Returned to Sender")
    assert str(bounce["Return-Path"]) == "<>"
    assert "refused there" in bounce.as_string()
    assert str(bounce["To"]) == FRIEND
    assert not any("smtp.relay.example" in hop for hop in bounce.get_all("Received", []))


def test_a_bounce_made_here_reaches_its_sender_here(forwarding: Rehearsed) -> None:
    write(forwarding, PIER, NOBODY, "to nobody")
    bounce = await_inbox(forwarding, PIER, "Undelivered Mail Returned to Sender")
    assert str(bounce["Return-Path"]) == "<>"
    assert "to nobody" in bounce.as_string()
    assert NOBODY in bounce.as_string()


# Refused before it is accepted


@pytest.mark.parametrize("recipient", ["nobody@pier.example", "leaked@lantern.example"])
def test_an_unknown_recipient_is_refused_at_rcpt(forwarding: Rehearsed, recipient: str) -> None:
    before = strangers_mail(forwarding)
    _, said = speak(forwarding, f"MAIL FROM:<{FRIEND}>", f"RCPT TO:<{recipient}>")
    assert said.startswith("550 5.1.1 ")
    nothing_waits_or_bounced(forwarding, before)


def await_empty_queue(testbed: Rehearsed) -> None:
    until = time.monotonic() + ARRIVAL
    while inside(testbed, "postqueue", "-j") and time.monotonic() < until:
        time.sleep(0.2)


def inside(testbed: Rehearsed, *argv: str) -> str:
    """What a command in the mail server's container prints."""
    return testbed.ssh(f"docker exec mailserver {shlex.join(argv)}")


def test_a_message_too_large_is_refused_when_announced_and_when_sent(forwarding: Rehearsed) -> None:
    before = strangers_mail(forwarding)
    (announced,) = speak(forwarding, f"MAIL FROM:<{FRIEND}> SIZE={LIMIT + 1}")
    assert announced.startswith("552 5.3.4 ")
    *_, sent = speak(forwarding, f"MAIL FROM:<{FRIEND}>", f"RCPT TO:<{HI}>", "DATA", f"<{LIMIT + 1}>")
    assert sent.startswith("552 5.3.4 ")
    nothing_waits_or_bounced(forwarding, before)


def size_shown(status: Status) -> Check:
    """The row about the size, once it has this status or time is up: smtpd reads its settings a moment after reload."""
    until = time.monotonic() + ARRIVAL
    while True:
        row = next(check for check in doors.recipients(site()) if check.name == "server.size")
        if row.status is status or time.monotonic() > until:
            return row
        time.sleep(0.2)


def test_01_shows_a_size_that_is_not_refused(forwarding: Rehearsed) -> None:
    inside(forwarding, "sh", "-c", f"postconf message_size_limit={LIMIT + 5}; postfix reload")
    try:
        row = size_shown(Status.FAIL)
        assert row.status is Status.FAIL
        assert row.observed.startswith("250 ")
        assert "message_size_limit" in row.fix
    finally:
        inside(forwarding, "sh", "-c", f"postconf message_size_limit={LIMIT}; postfix reload")


# Last, as the mailbox stays full


@pytest.fixture(scope="module")
def full(forwarding: Rehearsed) -> Rehearsed:
    """Ada's mailbox, filled beyond its quota by mail without a sender."""
    fill = "for i in $(seq 40); do printf 'Subject: filling\\n\\n' | sendmail -f '' ada@lantern.example; done"
    inside(forwarding, "sh", "-c", fill)
    await_empty_queue(forwarding)
    return forwarding


def test_a_full_mailbox_refuses_at_rcpt_by_whatever_name(full: Rehearsed) -> None:
    before = strangers_mail(full)
    names = {"mailbox": ADA, "alias": SALES, "catch-all": MADE_UP, "forward": AWAY}
    _, *said = speak(full, f"MAIL FROM:<{FRIEND}>", *(f"RCPT TO:<{name}>" for name in names.values()))
    assert {what: answer[:10] for what, answer in zip(names, said, strict=True)} == dict.fromkeys(names, "552 5.2.2 ")
    nothing_waits_or_bounced(full, before)


def test_what_was_accepted_for_several_is_stored_though_one_is_full(full: Rehearsed) -> None:
    before = strangers_mail(full)
    submit(full, TEAM, "for the team")
    for user in (ADA, HI):
        await_inbox(full, user, "for the team")
    nothing_waits_or_bounced(full, before)
