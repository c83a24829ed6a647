"""Messages of stage 05 on a testbed, and the bad days that the relay and the stranger can have."""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rehearsed import Rehearsed

from runbooklib import delivery, servers
from runbooklib.params import Site
from runbooklib.results import Checklist, Status, Table

FRIEND = "friend@stranger.example"
OUT = f"outbound lantern.example {FRIEND}"
HTML = f"{OUT} html 587"  # the same, which nobody answers
TO_ECHO = "reflector lantern.example"
TO_JUNK = "outbound lantern.example jürgen@stranger.example smtputf8 587"  # another name of the friend's
SAID = 60  # seconds that a line of the log may take on a busy machine
WRONG = "not the password"
MAIN, KEPT = "/etc/postfix/main.cf", "/etc/postfix/main.cf.kept"


def send(site: Site, *names: str, until: str = "", wait: float = 60, settles: float = 1) -> tuple[Checklist, Table]:
    """The cells of 05, with these messages alone, looked for once the server's log says `until` of each."""
    plan = delivery.plan(site).only(lambda letter: letter.name in names)
    assert len(plan) == len(names)
    sent = delivery.send(site, plan, apply=True)
    for handed in sent if until else ():
        assert handed.queue_id, handed.said
        await_log(site, rf"{handed.queue_id}: .*{until}")
    arrived = delivery.fetch(site, sent, wait=wait, settles=settles)
    return judged(site, arrived), delivery.path(arrived)


def await_log(site: Site, pattern: str) -> None:
    """Waits for a line of the server's log."""
    end = time.monotonic() + SAID
    while not re.search(pattern, servers.of(site).log()):
        assert time.monotonic() < end, f"the log does not say {pattern} within {SAID} s"
        time.sleep(0.5)


def judged(site: Site, arrived: delivery.Arrived) -> Checklist:
    proven = delivery.prove(site, arrived)
    return delivery.judge(site, proven, delivery.truth(site, proven))


@contextmanager
def bent(testbed: Rehearsed, host: str, **settings: str) -> Iterator[None]:
    """The Postfix of a host with other settings; put back, and what it still holds is thrown away."""
    values = shlex.join(f"{name}={value}" for name, value in settings.items())
    _at(testbed, host, f"cp -p {MAIN} {KEPT} && postconf -e {values} && postfix reload")
    try:
        yield
    finally:
        _at(testbed, host, f"mv {KEPT} {MAIN} && postfix reload && postsuper -d ALL")


def unreadable(site: Site) -> None:
    """A site whose password for the recipient's mailbox is wrong: what was relayed stays known."""
    verdict, _ = send(site, OUT)
    assert verdict[f"delivery.relayed {OUT}"].status is Status.PASS
    row = verdict[f"delivery.arrived {OUT}"]
    assert (row.status, "IMAP login" in row.observed, bool(row.fix)) == (Status.UNKNOWN, True, True)
    assert WRONG not in str(verdict)


def _at(testbed: Rehearsed, host: str, command: str) -> None:
    status, output = testbed.inside(host, "sh", "-c", command)
    assert status == 0, output


@contextmanager
def junked(testbed: Rehearsed) -> Iterator[dict[str, str]]:
    """A junk folder of the friend's, with the settings by which Postfix files there what another name of his gets."""
    with testbed.imap() as client:
        client.create("Junk")
    try:
        _, maps = testbed.inside("mx", "postconf", "-h", "virtual_mailbox_maps")
        yield {"virtual_mailbox_maps": maps.strip().replace(f"={FRIEND}/", f"={FRIEND}/.Junk/")}
    finally:
        with testbed.imap() as client:
            client.delete("Junk")


def answers(**said: str) -> str:
    """What Postfix says to recipients at the stranger, by their local parts."""
    told = " ".join(f"{{ {name}@stranger.example = {words} }}" for name, words in said.items())
    return f"check_recipient_access inline:{{ {told} }}"
