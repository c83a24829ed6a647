"""The score of what arrived: the server's own filter, one that params name, none; and DNSBLs of who sends."""

from __future__ import annotations

import asyncio
import json
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from letters import AT, RELAYED, TAKEN, Out, Zone, zone
from test_truth import FRIEND, HANDED, LETTER, POOL, US, site

from runbooklib.answers import Answer as DnsAnswer
from runbooklib.answers import Question, Word
from runbooklib.delivery import by_hand
from runbooklib.delivery.arriving import Arrived, Copy, Parcel
from runbooklib.delivery.filters import SCAN, NoFilterError, Sample, find, remote
from runbooklib.delivery.handover import Sent
from runbooklib.delivery.messages import Form, Letters
from runbooklib.delivery.proving import Proven, authenticated
from runbooklib.delivery.scoring import scored
from runbooklib.eml.score import ScoreError
from runbooklib.host import Answer
from runbooklib.params import Site
from runbooklib.results import Checklist, Status

REAL = Path(__file__).parent / "fixtures" / "scores"
PASS, WARN, FAIL, UNKNOWN = Status.PASS, Status.WARN, Status.FAIL, Status.UNKNOWN
SAMPLE = Sample("a", b"From: x\r\n\r\n\xff\r\n", "198.51.100.5", "smtp.example.net", "", "hi@lantern.example", FRIEND)
GOOD = json.dumps({"score": 0.1, "required_score": 15, "action": "no action", "symbols": {}})
COW = {"server": "mailcow", "url": "https://mail.lantern.example", "api_key": "env:MAILCOW_API_KEY"}


# the filter beside the mail server: its command is run here, with programs of our own


class Shell:
    """Runs commands with nothing but these programs beside the usual ones."""

    def __init__(self, folder: Path, **programs: str) -> None:
        self.folder, self.runs = folder, 0
        for name, text in ({"pgrep": "exit 1"} | programs).items():
            path = folder / name
            path.write_text(f"#!/bin/sh\n{text}\n")
            path.chmod(0o755)

    def __call__(self, argv: tuple[str, ...], stdin: str, timeout: float) -> Answer:
        self.runs += 1
        env = {"PATH": f"{self.folder}:/usr/bin:/bin", "LC_ALL": "C", "TMPDIR": str(self.folder)}
        done = subprocess.run(argv, input=stdin, capture_output=True, text=True, env=env, timeout=timeout, check=False)
        return Answer(done.returncode, done.stdout, done.stderr)


def says(name: str) -> str:
    return f"cat {REAL / name}"


@pytest.mark.parametrize(
    ("programs", "filtering", "points"),
    [
        ({"rspamc": says("rspamd.json")}, "none", 18.6),
        ({"rspamc": "exit 1", "spamc": says("spamc.txt")}, "none", 4.6),  # rspamd is installed and off
        ({"spamc": "exit 74", "spamassassin": says("spamassassin.txt")}, "spamassassin", 20.1),
        ({"pgrep": "exit 0", "spamassassin": says("spamassassin.txt")}, "none", 20.1),  # within amavis
        ({"spamassassin": says("spamassassin.txt")}, "none", None),  # installed, and used by nobody
        ({}, "none", None),
    ],
)
def test_the_server_s_own_filter_is_what_runs_there(
    tmp_path: Path, programs: dict[str, str], filtering: str, points: float | None
) -> None:
    at = site(mail__filter=filtering)
    if points is None:
        with pytest.raises(NoFilterError):
            find(at, Shell(tmp_path, **programs), SAMPLE)
        return
    ask, first = find(at, Shell(tmp_path, **programs), SAMPLE)
    assert first.points == points
    assert ask(SAMPLE) == first
    assert not list(tmp_path.glob("tmp.*")), "the message is taken away again"


def test_the_filter_is_told_what_smtp_said_and_gets_every_octet(tmp_path: Path) -> None:
    note = tmp_path / "note"
    shell = Shell(tmp_path, rspamc=f'printf "%s\\n" "$@" >{note}; cat >>{note}; echo \'{GOOD}\'')
    find(site(), shell, replace(SAMPLE, helo="$(reboot); 'x'"))
    told = note.read_bytes()
    assert told.endswith(SAMPLE.raw)
    assert b"--ip=198.51.100.5\n--helo=$(reboot); 'x'\n--hostname=\n--from=hi@lantern.example\n" in told


def test_a_filter_that_breaks_is_unknown_not_absent(tmp_path: Path) -> None:
    shell = Shell(tmp_path, spamassassin="echo broken rules >&2; exit 2")
    with pytest.raises(ScoreError, match="status 2: broken rules"):
        find(site(mail__filter="spamassassin"), shell, SAMPLE)
    assert "$6" in SCAN


# one that params name


class Rspamd(ThreadingHTTPServer):
    """A controller on loopback."""

    status, answer = 200, GOOD
    seen: list[tuple[str, dict[str, str], bytes]]


class Handler(BaseHTTPRequestHandler):
    """What the controller does with a request."""

    server: Rspamd

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write(self.server.answer.encode())

    def log_message(self, *_: Any) -> None: ...


@contextmanager
def rspamd(answer: str = GOOD, status: int = 200) -> Iterator[Rspamd]:
    server = Rspamd(("127.0.0.1", 0), Handler)
    server.answer, server.status, server.seen = answer, status, []
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def naming(server: Rspamd, **more: Any) -> Site:
    url = f"http://127.0.0.1:{server.server_port}"
    return site(test={"rspamd": {"url": url, **more}})


def test_an_rspamd_elsewhere_is_told_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RSPAMD", "q1w2e3r4t5")
    with rspamd() as server:
        at = naming(server, password="env:RSPAMD").test.rspamd
        assert at
        foreign = replace(SAMPLE, recipient="jürgen@stranger.example", helo="a\r\nPassword: x")
        assert remote(at)(foreign).points == 0.1
    ((path, headers, body),) = server.seen
    assert (path, body) == ("/checkv2", SAMPLE.raw)
    assert (headers["ip"], headers["from"], headers["password"]) == ("198.51.100.5", "hi@lantern.example", "q1w2e3r4t5")
    assert "rcpt" not in headers, "no HTTP header can carry it"
    assert "helo" not in headers


@pytest.mark.parametrize(("answer", "status"), [("Unauthorized", 403), ("<html>", 200), ('{"error": "x"}', 500)])
def test_what_an_rspamd_refuses_is_an_error(answer: str, status: int) -> None:
    with rspamd(answer, status) as server:
        at = naming(server).test.rspamd
        assert at
        with pytest.raises(ScoreError):
            remote(at)(SAMPLE)


# the rows


def nothing(argv: tuple[str, ...], stdin: str, timeout: float) -> Answer:
    """A server without any filter."""
    del argv, stdin, timeout
    return Answer(69, "")


class Dns(Zone):
    """A zone that also knows addresses."""

    addresses: Mapping[tuple[str, str], tuple[str, ...]]

    async def __call__(self, name: str, type: str) -> DnsAnswer:  # noqa: A002 - the field's word
        if values := self.addresses.get((name.rstrip("."), type)):
            return DnsAnswer(Question(name, type), "192.0.2.53", Word.NOERROR, values=values)
        return await super().__call__(name, type)


def dns(*silent: str, **listed: str) -> Dns:
    """A list that is alive and holds what is given by the last octet of 198.51.100.x or 203.0.113.x."""
    made = zone(*silent, at=POOL)
    found = Dns(made.texts, made.silent)
    found.addresses = {
        ("2.0.0.127.dnsbl.example", "A"): ("127.0.0.2",),
        ("5.100.51.198.in-addr.arpa", "PTR"): ("smtp.example.net",),
        ("smtp.example.net", "A"): ("198.51.100.5",),
    } | {(f"{name[1:]}.dnsbl.example".replace("_", "."), "A"): (value,) for name, value in listed.items()}
    return found


LISTING = site().model_dump(mode="json")["dns"] | {"blocklists": ["dnsbl.example"]}


def proven(at: Site, look: Zone, forms: tuple[Form, ...] = (Form.PLAIN,), message: Out = Out()) -> Proven:  # noqa: B008 - frozen
    letters = [replace(LETTER, number=i, form=form) for i, form in enumerate(forms, 1)]
    letters = [replace(a, recipient="jürgen@stranger.example") if a.form is Form.SMTPUTF8 else a for a in letters]
    copies = [(Copy(letter.number, "message", FRIEND, "INBOX", AT, message.raw()),) for letter in letters]
    parcels = tuple(Parcel(replace(HANDED, letter=a), b) for a, b in zip(letters, copies, strict=True))
    sent = Sent(Letters("r", "m", tuple(letters)), tuple(p.handed for p in parcels), applied=True)
    return asyncio.run(authenticated(look, at, Arrived(sent, parcels)))


def judged(at: Site, look: Zone, *forms: Form, message: Out = Out()) -> Checklist:  # noqa: B008 - frozen
    whole = proven(at, look, forms or (Form.PLAIN,), message)
    return asyncio.run(scored(look, nothing, at, whole))


def test_each_form_is_scored_once_and_each_symbol_has_one_row() -> None:
    bad = json.loads((REAL / "rspamd.json").read_text())
    with rspamd(json.dumps(bad)) as server:
        at = naming(server)
        at = at.model_copy(update={"dns": site(dns=LISTING).dns})
        found = judged(at, dns(), Form.PLAIN, Form.HTML, Form.PLAIN)
    assert len(server.seen) == 2
    totals = [c for c in found if c.name.startswith("delivery.score ")]
    assert {c.status for c in totals} == {FAIL}
    assert "FROM_NEQ_DISPLAY_NAME (4)" in totals[0].fix
    spoofed = found[f"delivery.symbol {US} FROM_NEQ_DISPLAY_NAME"]
    assert spoofed.status is WARN
    assert "in 2 of 2 messages" in spoofed.observed
    headers = server.seen[0][1]
    assert (headers["ip"], headers["helo"], headers["hostname"]) == (
        "198.51.100.5", "smtp.example.net", "smtp.example.net",
    )  # fmt: skip
    assert server.seen[0][2].startswith(TAKEN.split("\n")[0].encode()), "nothing that its recipient wrote"


def test_what_a_filter_counts_against_smtputf8_is_left_out_and_said() -> None:
    wide = {"INVALID_RCPT_8BIT": {"score": 6.0}, "MISSING_MID": {"score": 2.5}}
    told = {"score": 8.5, "required_score": 6.0, "action": "add header", "symbols": wide}
    with rspamd(json.dumps(told)) as server:
        at = naming(server).model_copy(update={"dns": site(dns=LISTING).dns})
        found = judged(at, dns(), Form.PLAIN, Form.SMTPUTF8)
    totals = {c.name.split()[-2]: c for c in found if c.name.startswith("delivery.score ")}
    assert {name: c.status for name, c in totals.items()} == {"lantern.example": FAIL, "smtputf8": PASS}
    assert "2.5 of 6 points by rspamd: no action; 6 more" in totals["smtputf8"].observed
    assert "in 1 of 2 messages" in found[f"delivery.symbol {US} INVALID_RCPT_8BIT"].observed


def test_a_good_message_passes() -> None:
    with rspamd() as server:
        at = naming(server).model_copy(update={"dns": site(dns=LISTING).dns})
        found = judged(at, dns())
    assert found.status is PASS, str(found)
    assert {c.name.split()[0] for c in found} == {"delivery.score", "dns.dnsbl", "dns.dnsbl.health"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "test.rspamd"),
        ({"mail": COW}, "{url: https://mail.lantern.example/rspamd, password: env:RSPAMD_PASSWORD}"),
        ({"test": {"rspamd": "http://127.0.0.1:9"}}, "whether the filter answers"),
    ],
)
def test_without_a_filter_the_score_is_advisory_and_says_what_to_name(changes: dict[str, Any], words: str) -> None:
    found = judged(site(**changes, dns=LISTING), dns())
    row = found[f"delivery.score {US}"]
    assert (row.status, row.blocks) == (UNKNOWN, False)
    assert words in row.fix


@pytest.mark.parametrize(
    ("changes", "listed", "name", "expected"),
    [
        ({}, {"_5_100_51_198": "127.0.0.4"}, "198.51.100.5", WARN),
        ({}, {}, "198.51.100.5", PASS),
        ({}, {"_5_100_51_198": "127.255.255.254"}, "198.51.100.5", UNKNOWN),  # asked through a public resolver
        ({}, {"_5_100_51_198": "127.255.255.252"}, "198.51.100.5", UNKNOWN),
        ({}, {"_5_100_51_198": "127.255.255.255"}, "198.51.100.5", UNKNOWN),
        ({"domains__0__relay": "direct"}, {"_10_113_0_203": "127.0.0.2"}, "203.0.113.10", FAIL),
    ],
)
def test_a_list_that_holds_who_sends_turns_red_and_its_error_answers_never_do(
    changes: dict[str, Any], listed: dict[str, str], name: str, expected: Status
) -> None:
    found = judged(site(**changes, dns=LISTING), dns(**listed))
    row = found[f"dns.dnsbl {name} dnsbl.example"]
    assert row.status is expected, str(row)
    assert ("office's support" in row.fix) is (expected is WARN)
    assert row.blocks is (expected is FAIL)


def test_our_own_address_is_not_asked_for_where_only_the_relay_sends() -> None:
    found = judged(site(dns=LISTING), dns())
    assert not [c for c in found if "203.0.113.10" in c.name]


def test_nothing_arrived_nothing_is_scored() -> None:
    empty = Proven(Arrived(Sent(Letters("r", "m", (LETTER,)), (HANDED,), applied=True), (Parcel(HANDED),)))
    assert len(asyncio.run(scored(dns(), nothing, site(dns=LISTING), empty))) == 0


def test_a_message_without_a_border_is_scored_as_it_is() -> None:
    with rspamd() as server:
        at = naming(server).model_copy(update={"dns": site(dns=LISTING).dns})
        found = judged(at, dns(), message=Out(taken="", relayed=RELAYED))
    assert "ip" not in server.seen[0][1]
    assert [c.name for c in found] == ["delivery.score outbound lantern.example friend@stranger.example"]


def test_testers_are_written_to_by_hand() -> None:
    at = site(test={"testers": ["test-x1y2@srv1.mail-tester.com", "a@own.example.org"]})
    shown = by_hand(at)
    assert shown.rows[0][:2] == ("test-x1y2@srv1.mail-tester.com", "https://www.mail-tester.com/test-x1y2")
    assert shown.rows[1] == ("a@own.example.org", "the page that showed the address", "not known")
    assert "https://www.mail-tester.com" in str(by_hand(site()))
