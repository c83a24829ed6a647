"""Queue and log as facts: what is recent, what is over, in whatever form a server hands its lines out."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sites import make

from runbooklib import maillog
from runbooklib.host import Answer
from runbooklib.probes import mailflow
from runbooklib.servers import logs, queues

NOW = datetime(2026, 11, 21, 20, 0, tzinfo=UTC)
HOP, OTHER = "smtp.relay.example[198.51.100.5]:587", "mx.stranger.example[198.51.100.6]:25"
SAID = "host smtp.relay.example[198.51.100.5] said: 450 4.7.1 <you@stranger.example>: later"


def line(text: str, program: str = "postfix/smtp", at: str = "2026-11-21T19:59:00+00:00") -> str:
    return f"{at} mail {program}[1]: {text}"


def came(queue_id: str, sender: str) -> str:
    return line(f"{queue_id}: from=<{sender}>, size=900, nrcpt=1 (queue active)", "postfix/qmgr")


def tried(queue_id: str, status: str, said: str = SAID, *, to: str = "you@stranger.example", relay: str = HOP) -> str:
    return line(f"{queue_id}: to=<{to}>, relay={relay}, delay=1, delays=0/0/1/0, dsn=4.7.1, status={status} ({said})")


def gone(queue_id: str) -> str:
    return line(f"{queue_id}: removed", "postfix/qmgr")


def refused(said: str, sender: str = "x@other.example", to: str = "hi@lantern.example") -> str:
    about = f"NOQUEUE: reject: RCPT from unknown[192.0.2.9]: {said}; from=<{sender}> to=<{to}> proto=ESMTP"
    return line(about, "postfix/smtpd")


def groups(*lines: str) -> list[tuple[str, int, list[str]]]:
    told = maillog.unfinished(maillog.parse("\n".join(lines)))
    return [(group.status, group.count, group.senders) for group in told]


A, B = "AAAAAA1", "BBBBBB2"
OURS = came(A, "hi@lantern.example")
UNKNOWN = "550 5.1.1 <hi@lantern.example>: Recipient address rejected: User unknown in virtual mailbox table"
NO_ROOM = line(
    "NOQUEUE: reject: MAIL from unknown[192.0.2.9]: 452 4.3.1 Insufficient system storage; from=<x@other.example> "
    "proto=ESMTP helo=<x>",
    "postfix/smtpd",
)
OPEN: dict[str, tuple[tuple[str, ...], list[tuple[str, int, list[str]]]]] = {
    "it waits, and was tried twice": (
        (OURS, tried(A, "deferred"), tried(A, "deferred")),
        [("deferred", 1, ["lantern.example"])],
    ),
    "it came back": ((OURS, tried(A, "bounced"), gone(A)), [("bounced", 1, ["lantern.example"])]),
    "it was sent in the end": ((OURS, tried(A, "deferred"), tried(A, "sent", "250 ok"), gone(A)), []),
    "somebody deleted it": ((OURS, tried(A, "deferred"), gone(A)), []),
    "it waited for too long": (
        (
            OURS,
            tried(A, "deferred"),
            line(f"{A}: from=<hi@lantern.example>, status=expired, returned to sender", "postfix/qmgr"),
            gone(A),
        ),
        [("bounced", 1, ["lantern.example"])],
    ),
    "a later one of the domain got through, by another host": (
        (OURS, tried(A, "bounced"), came(B, "ada@lantern.example"), tried(B, "sent", "250 ok", relay=OTHER)),
        [],
    ),
    "an earlier one got through": (
        (came(B, "ada@lantern.example"), tried(B, "sent", "250 ok"), OURS, tried(A, "bounced")),
        [("bounced", 1, ["lantern.example"])],
    ),
    "one of another domain got through": (
        (OURS, tried(A, "bounced"), came(B, "post@pier.example"), tried(B, "sent", "250 ok")),
        [("bounced", 1, ["lantern.example"])],
    ),
    "one to another domain got through": (
        (OURS, tried(A, "bounced"), came(B, "hi@lantern.example"), tried(B, "sent", "250 ok", to="a@b.example")),
        [("bounced", 1, ["lantern.example"])],
    ),
    "only a filter on the same machine took it": (
        (
            OURS,
            tried(A, "bounced"),
            came(B, "hi@lantern.example"),
            tried(B, "sent", "250 ok", relay="127.0.0.1[127.0.0.1]:10024"),
        ),
        [("bounced", 1, ["lantern.example"])],
    ),
    "two senders, the same words about two recipients": (
        (
            OURS,
            tried(A, "deferred"),
            came(B, "post@pier.example"),
            tried(B, "deferred", SAID.replace("you@", "me@"), to="me@stranger.example"),
        ),
        [("deferred", 2, ["lantern.example", "pier.example"])],
    ),
    "a bounce that bounces": ((came(A, ""), tried(A, "bounced")), [("bounced", 1, [""])]),
    "nobody knows whose it is": ((tried(A, "bounced"),), [("bounced", 1, [])]),
    "our server refused it": ((refused("450 4.7.1 later"),), [("rejected", 1, ["other.example"])]),
    "our server refused it, and took it later": (
        (refused("450 4.7.1 later"), came(A, "x@other.example"), tried(A, "sent", "saved", to="hi@lantern.example")),
        [],
    ),
    "our server refused it, and took another one's": (
        (refused("450 4.7.1 later"), came(A, "y@other.example"), tried(A, "sent", "saved", to="hi@lantern.example")),
        [("rejected", 1, ["other.example"])],
    ),
    "nobody reached a mailbox, and then somebody else did": (
        (refused(UNKNOWN), came(A, "y@b.example"), tried(A, "sent", "saved", to="hi@lantern.example")),
        [],
    ),
    "nobody reached a mailbox, and somebody reached another": (
        (refused(UNKNOWN), came(A, "x@other.example"), tried(A, "sent", "saved", to="ada@lantern.example")),
        [("rejected", 1, ["other.example"])],
    ),
    "no room, before there was an address": ((NO_ROOM, NO_ROOM), [("rejected", 2, ["other.example"])]),
    "no room, and something was taken since": ((NO_ROOM, line(f"{A}: client=x[192.0.2.9]", "postfix/smtpd")), []),
    "strangers from many places, in the same words": (
        (refused("550 5.7.1 no"), refused("550 5.7.1 no", "z@b.example").replace("192.0.2.9", "192.0.2.10")),
        [("rejected", 2, ["b.example", "other.example"])],
    ),
}


@pytest.mark.parametrize("case", OPEN)
def test_what_has_not_got_through_since_is_told_and_no_more(case: str) -> None:
    lines, wanted = OPEN[case]
    assert groups(*lines) == wanted


def test_a_group_names_the_host_that_said_it() -> None:
    [group] = maillog.unfinished(maillog.parse("\n".join([OURS, tried(A, "deferred")])))
    assert (group.said, group.relay, group.recipients) == (SAID, HOP, ["stranger.example"])
    dead = "connect to smtp.relay.example[198.51.100.5]:587: Connection refused"
    [group] = maillog.unfinished(maillog.parse("\n".join([OURS, tried(A, "deferred", dead, relay="none")])))
    assert group.relay == HOP


def entry(sender: str, said: str = SAID, *, age: int = 60, queue: str = "deferred") -> dict[str, Any]:
    recipients = [{"address": "you@stranger.example", **({"delay_reason": said} if said else {})}]
    arrived = NOW.timestamp() - age
    return {"queue_name": queue, "queue_id": A, "arrival_time": arrived, "sender": sender, "recipients": recipients}


def waiting(*entries: dict[str, Any], now: datetime | None = None) -> dict[str, Any]:
    return mailflow.waiting(queues.Queue([*entries], len(entries)), now)


def test_the_queue_is_told_by_the_servers_own_clock() -> None:
    seen = waiting(entry("hi@lantern.example"), entry("MAILER-DAEMON", "", age=90, queue="hold"), now=NOW)
    assert (seen["count"], seen["oldest"], seen["held"]) == (2, 90, 1)
    [group] = seen["groups"]
    assert (group["senders"], group["relay"]) == (["lantern.example"], HOP.removesuffix(":587"))
    assert waiting(entry("hi@lantern.example"), entry("", age=90))["oldest"] == 30
    nothing = {"count": 0, "read": 0, "oldest": 0, "held": 0, "untried": [], "senders": {}, "groups": []}
    assert waiting(now=NOW) == nothing


def test_what_waits_without_a_reason_for_long_was_never_tried() -> None:
    fresh, held, told = entry("a@b.example", ""), entry("a@b.example", "", age=9000, queue="hold"), entry("", age=9000)
    assert waiting(fresh, held, told, now=NOW)["untried"] == []
    assert waiting(fresh, held, told, entry("a@b.example", "", age=9000, queue="active"), now=NOW)["untried"] == [A]


def test_of_a_large_queue_the_first_part_is_read_and_all_are_counted(tmp_path: Path) -> None:
    program, listing = tmp_path / "postqueue", tmp_path / "listing"
    line_ = f"{json.dumps(entry('hi@lantern.example'))}\n"
    listing.write_text(line_ * 300)
    program.write_text(f"#!/bin/sh\ncat {listing}\n")
    program.chmod(0o755)
    seen = queues.of(lambda argv: shell(["env", f"PATH={tmp_path}:/usr/bin:/bin", *argv]), len(line_) * 20)
    assert (len(seen.read), seen.count) == (20, 300)
    told = mailflow.waiting(seen, NOW)
    assert (told["count"], told["read"], told["senders"]) == (300, 20, {"hi@lantern.example": 20})
    assert queues.parse("") == queues.Queue([], 0)


FORMS = {
    "RFC 3339": "2026-11-21T19:59:00.123456+00:00 mail postfix/smtp[1]: {}",
    "syslog": "Nov 21 19:59:00 mail postfix/smtp[1]: {}",
    "syslog with its priority": "<22>Nov 21 19:59:00 mail postfix/smtp[1]: {}",
    "journalctl -o short-iso": "2026-11-21T19:59:00+0000 mail postfix/smtp[1]: {}",
    "journalctl -o json": '{{"__REALTIME_TIMESTAMP": "1795291140000000", "SYSLOG_IDENTIFIER": "postfix/smtp", '
    '"MESSAGE": "{}"}}',
    "journalctl -o export": "__REALTIME_TIMESTAMP=1795291140000000\nSYSLOG_IDENTIFIER=postfix/smtp\nMESSAGE={}\n",
    "docker logs -t": "2026-11-21T19:59:00.123456789Z Nov 21 19:59:00 mail postfix/smtp[1]: {}",
    "docker compose logs": "postfix-mailcow-1  | Nov 21 19:59:00 5c3e7b postfix/smtp[1]: {}",
    "in colour": "\x1b[33mpostfix-mailcow-1  |\x1b[0m Nov 21 19:59:00 5c3e7b postfix/smtp[1]: {}",
}


@pytest.mark.parametrize("form", FORMS)
def test_a_line_is_the_same_event_in_every_form(form: str) -> None:
    text = f"{A}: to=<you@stranger.example>, relay={HOP}, delay=1, dsn=2.0.0, status=sent (250 ok)"
    [event] = maillog.parse(FORMS[form].format(text))
    assert (event.program, event.queue_id, event.text) == ("postfix/smtp", A, text)
    assert maillog.moment(event.time, NOW).replace(microsecond=0) == NOW - timedelta(minutes=1)  # type: ignore[union-attr]
    assert maillog.attempt(event)


def test_what_other_programs_write_by_themselves() -> None:
    rspamd = (
        "2026-11-21 19:59:00 #24(rspamd_proxy) <5d1a2b>; task; rspamd_task_write_log: id: <x@y>, qid: <4F3A2B1C0D>, "
    )
    dovecot = "Nov 21 19:59:00 imap-login: Info: Disconnected: Connection closed"
    scanned, told = maillog.parse(f"{rspamd}ip: 192.0.2.1\n{dovecot}")
    assert (scanned.program, scanned.queue_id) == ("rspamd", "4F3A2B1C0D")
    assert (told.program, told.text) == ("imap-login", "Info: Disconnected: Connection closed")


DAY = timedelta(days=1)
CLOCKS: dict[str, tuple[list[str], datetime | None, int]] = {
    "recent, an hour old": (["2026-11-21T19:59:00+00:00", "2026-11-21T19:00:00+00:00"], NOW, 1),
    "a quiet server": (["2026-11-19T19:59:00+00:00"], NOW, 0),
    "no year and no zone": (["Nov 21 20:59:00", "Nov 21 20:01:00"], NOW.astimezone(timezone(timedelta(hours=1))), 1),
    "no year, on New Year's Day": (["Dec 31 23:59:00"], datetime(2027, 1, 1, 0, 5, tzinfo=UTC), 1),
    "a server a day behind, by its own clock": (["2026-11-20T19:59:00+00:00"], NOW - DAY, 1),
    "whoever writes the log is a day ahead": (["2026-11-21T19:59:00+00:00", "2026-11-22T19:59:00+00:00"], NOW, 1),
    "a clock that was a day ahead and is mended": (["2026-11-22T19:00:00+00:00", "2026-11-21T19:59:00+00:00"], NOW, 1),
    "only an API": (["2026-11-18T19:00:00+00:00", "2026-11-19T19:59:00+00:00"], None, 1),
    "only an API, and stamps that say too little": (["Nov 19 19:59:00"], None, 1),
    "the 29th of February of a leap year": (["Feb 29 12:00:00"], datetime(2028, 2, 29, 12, 5, tzinfo=UTC), 1),
    "no day of any year": (["Feb 30 12:00:00"], NOW, 1),
}


@pytest.mark.parametrize("case", CLOCKS)
def test_recent_is_what_the_servers_own_clock_says(case: str) -> None:
    stamps, clock, kept = CLOCKS[case]
    told = maillog.parse("\n".join(line("warning: x", at=stamp) for stamp in stamps))
    assert len(mailflow.recent(told, clock)) == kept


def test_of_a_log_the_notable_lines_and_the_groups_are_kept() -> None:
    told = [OURS, tried(A, "bounced"), line("connect from x[192.0.2.1]"), line("warning: " + "x" * 9000)]
    seen = mailflow.digest(maillog.parse("\n".join(told)), NOW)
    assert [text[:20] for text in seen["lines"]] == ["postfix/smtp: warnin"]
    assert len(seen["lines"][0]) == mailflow.LONGEST
    assert [group["status"] for group in seen["groups"]] == ["bounced"]


def test_what_came_back_is_told_for_a_day_and_notable_lines_for_minutes() -> None:
    old = [text.replace("T19:59", "T01:00") for text in (OURS, tried(A, "bounced"), line("warning: x"))]
    older = [text.replace("2026-11-21T19:59", "2026-11-20T19:00") for text in (OURS, tried(B, "bounced"))]
    seen = mailflow.digest(maillog.parse("\n".join([*older, *old])), NOW)
    assert (seen["lines"], seen["since"]) == ([], "2026-11-21T01:00:00+00:00")
    assert [(group["status"], group["ids"]) for group in seen["groups"]] == [("bounced", [A])]


def test_refused_logins_are_kept_of_users_and_not_of_guesses() -> None:
    refused = [{"user": name, "count": 1} for name in ("hi@lantern.example", "sales", "root", "x@b.example")]
    assert mailflow.users(make(), refused) == refused[:2]


def test_the_events_of_what_has_not_got_through_are_kept_by_queue_id() -> None:
    told = [OURS, tried(A, "deferred"), came(B, "hi@b.example"), tried(B, "sent", "250 ok", to="x@c.example"), gone(B)]
    seen = mailflow.digest(maillog.parse("\n".join([*told, refused("550 5.7.1 no")])), NOW)
    assert {queue_id: len(steps) for queue_id, steps in seen["messages"].items()} == {A: 2}
    assert "status=deferred" in seen["messages"][A][1]


@settings(max_examples=25)
@given(st.text(alphabet=st.characters(codec="utf-8")), st.sampled_from(list(FORMS.values())))
def test_no_text_raises(text: str, form: str) -> None:
    lines = [form.replace("{}", text), text, tried(A, text), came(text, text), refused(text, text)]
    mailflow.digest(maillog.parse("\n".join(lines)), NOW)


HOSTILE = [
    "to=<>, relay=",
    "reject: A from [",
    "{" * 50,
    "status=sent (",
    ": from=<",
    "<" * 40,
    "a=b, ",
    "\x1b[",
    "[" * 30,
]


@pytest.mark.parametrize("piece", HOSTILE)
def test_time_grows_with_length_alone(piece: str) -> None:
    began = time.process_time()
    mailflow.digest(maillog.parse(line(f"{A}: " + piece * 20_000)), NOW)
    assert time.process_time() - began < 0.5


def shell(argv: Sequence[str]) -> Answer:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return Answer(done.returncode, done.stdout, done.stderr)


def test_rotated_files_are_read_as_one_log_the_newest_octets_only(tmp_path: Path) -> None:
    log = tmp_path / "mail log"
    for name, text in {"mail log.2": "first\n", "mail log.1": "second\n", "mail log": "third\n"}.items():
        (tmp_path / name).write_text(text)
    subprocess.run(["gzip", str(tmp_path / "mail log.2")], check=True)
    assert logs.read(shell, str(tmp_path / "none"), str(log)) == "first\nsecond\nthird\n"
    log.unlink()
    assert logs.read(shell, str(log)) == "first\nsecond\n"
    assert logs.read(shell, str(tmp_path / "none")) == ""
    log.write_text("x" * (logs.OCTETS + 9) + "\n")
    assert len(logs.read(shell, str(log))) == logs.OCTETS
