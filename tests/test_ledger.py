"""What a run handed over before: notebooks and logs as literals, and what the two together allow to be sent."""

from __future__ import annotations

import json
import select
import socket
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import sites

from runbooklib import maillog
from runbooklib.delivery import ledger
from runbooklib.delivery.arriving import Arrived, Parcel
from runbooklib.delivery.handover import Handed, Sent
from runbooklib.delivery.ledger import ANSWERING, SENDING, Heard, Step, Walk
from runbooklib.delivery.messages import Letter, Letters, Route
from runbooklib.params import Site
from runbooklib.results import MIME, Shown

RUN = "20261121T201613Z"
MARKER = f"{RUN}-lantern"
BEGAN = datetime(2026, 11, 21, 20, 16, 13, tzinfo=UTC)
AT = BEGAN.timestamp()


def letter(number: int, route: Route = Route.OUTBOUND) -> Letter:
    return Letter(number, route, "lantern.example", "hi@lantern.example", f"r{number}@stranger.example")


OUT, OTHER, IN, MADE_UP = letter(11), letter(22), letter(33, Route.INBOUND), letter(44, Route.CATCH_ALL)
FORGED = letter(55, Route.FORGED)
PLAN = Letters(RUN, MARKER, (OUT, OTHER, IN))


def accepted(of: Letter, said: str = "250 2.0.0 Ok: queued as 9EAA32F83C2") -> Handed:
    return Handed(of, "accepted", said, AT + 1, "9EAA32F83C2", "TLSv1.3 X")


def cell(name: str, shown: Shown | None = None, began: datetime | None = BEGAN) -> dict[str, Any]:
    """An executed cell as papermill leaves it; one that was killed shows nothing, one that never began has no time."""
    outputs = [{"output_type": "execute_result", "data": {MIME: shown.data()}}] if shown else []
    times = {"papermill": {"start_time": began and began.isoformat()}}
    return {"cell_type": "code", "id": name, "metadata": times, "outputs": outputs}


def book(folder: Path, *cells: dict[str, Any], name: str = "05-send.ipynb", apply: bool = True) -> Path:
    notebook = {"cells": cells, "metadata": {"papermill": {"parameters": {"apply": apply}}}}
    (folder / name).write_text(json.dumps(notebook))
    return folder / name


def read(path: Path, plan: Letters = PLAN, step: Step = SENDING) -> Walk | None:
    return ledger.read(path, plan, step)


def test_a_finished_apply_cell_names_what_was_handed_over_and_what_was_refused_may_be_sent(tmp_path: Path) -> None:
    refused, lost = Handed(OTHER, "refused", "RCPT TO: 451 later", AT), Handed(IN, "unknown", "broke off", AT)
    sent = Sent(PLAN, (accepted(OUT), refused, lost), applied=True)
    walk = read(book(tmp_path, cell("plan", PLAN), cell("apply", sent)))
    assert walk
    assert walk.handed
    found = {number: (h.fate, h.queue_id, h.tls, h.at) for number, h in walk.handed.items()}
    assert found == {11: ("accepted", "9EAA32F83C2", "TLSv1.3 X", AT + 1), 33: ("unknown", "", "", AT)}
    assert "05-send.ipynb" in walk.handed[11].said


def test_a_killed_apply_cell_may_have_handed_over_its_whole_plan(tmp_path: Path) -> None:
    walk = read(book(tmp_path, cell("plan", PLAN), cell("apply")))
    assert walk == Walk("05-send.ipynb", AT, {11, 22, 33})


@pytest.mark.parametrize(
    ("cells", "apply"),
    [
        ((cell("plan", PLAN), cell("apply", began=None)), True),
        ((cell("plan", PLAN), cell("apply", Sent(PLAN))), False),
    ],
)
def test_a_cell_that_never_began_or_was_only_shown_handed_nothing_over(
    tmp_path: Path, cells: tuple[dict[str, Any], ...], apply: bool
) -> None:
    assert read(book(tmp_path, *cells, apply=apply)) is None


@pytest.mark.parametrize("text", ["", '{"cells": [', "[]", '{"cells": [], "metadata": {}}'])
def test_a_notebook_that_cannot_be_read_may_have_sent_everything(tmp_path: Path, text: str) -> None:
    (tmp_path / "05-send.ipynb").write_text(text)
    assert read(tmp_path / "05-send.ipynb") == Walk("05-send.ipynb", 0.0, [11, 22, 33])


def test_messages_that_new_params_add_were_never_handed_over_and_a_changed_sender_stays_as_sent(tmp_path: Path) -> None:
    sent = Sent(Letters(RUN, MARKER, (OUT,)), (accepted(OUT),), applied=True)
    path = book(tmp_path, cell("plan", Letters(RUN, MARKER, (OUT,))), cell("apply", sent))
    moved = replace(PLAN, letters=(replace(OUT, sender="me@lantern.example"), OTHER))
    walk = read(path, moved)
    assert walk
    assert walk.handed
    assert {n: h.letter.sender for n, h in walk.handed.items()} == {11: "hi@lantern.example"}
    killed = read(book(tmp_path, cell("plan", Letters(RUN, MARKER, (OUT,))), cell("apply")), moved)
    assert killed
    assert not killed.may_have(OTHER.number)


def test_another_runs_messages_are_not_this_ones(tmp_path: Path) -> None:
    other = Letters("20261121T201614Z", "20261121T201614Z-lantern", PLAN.letters)
    sent = Sent(other, (accepted(OUT),), applied=True)
    walk = read(book(tmp_path, cell("plan", other), cell("apply", sent)))
    assert walk
    assert (walk.handed, walk.may_have(11)) == (None, False)


LOG = f"""\
2026-11-21T20:16:10+00:00 mail postfix/smtpd[1]: connect from laptop[192.0.2.77]
2026-11-21T20:16:14+00:00 mail postfix/submission/smtpd[1]: 9EAA32F83C2: client=laptop[192.0.2.77]
2026-11-21T20:16:14+00:00 mail postfix/cleanup[2]: 9EAA32F83C2: message-id=<{MARKER}.11@lantern.example>
2026-11-21T20:16:14+00:00 mail postfix/qmgr[3]: 9EAA32F83C2: from=<hi@lantern.example>, size=9 (queue active)
2026-11-21T20:16:14+00:00 mail postfix/cleanup[2]: AAAA32F83C2: message-id=<{MARKER}.11@lantern.example>
2026-11-21T20:16:14+00:00 mail postfix/qmgr[3]: AAAA32F83C2: from=<hi@lantern.example>, size=9 (queue active)
2026-11-21T20:16:15+00:00 mail postfix/cleanup[2]: BEAA32F83C2: message-id=<{MARKER}.22@lantern.example>
2026-11-21T20:16:15+00:00 mail postfix/cleanup[2]: BEAA32F83C2: milter-reject: END-OF-MESSAGE from laptop: 5.7.1 no
2026-11-21T20:16:16+00:00 mail postfix/cleanup[2]: CEAA32F83C2: message-id=<{MARKER}.11.re@stranger.example>
2026-11-21T20:16:16+00:00 mail postfix/qmgr[3]: CEAA32F83C2: from=<friend@stranger.example>, size=9 (queue active)
2026-11-21T20:16:16+00:00 mail postfix/cleanup[2]: DEAA32F83C2: message-id=<{MARKER}b.33@stranger.example>
2026-11-21T20:16:16+00:00 mail postfix/qmgr[3]: DEAA32F83C2: from=<friend@stranger.example>, size=9 (queue active)
"""


def hear(log: str = LOG, step: Step = SENDING) -> Heard:
    return ledger.hear(maillog.parse(log), MARKER, step, BEGAN)


def test_the_log_names_what_was_queued_by_its_first_queue_id_and_nothing_that_was_refused() -> None:
    assert hear().handed == {11: ("9EAA32F83C2", AT + 1)}
    assert hear().begun == set()
    assert hear(step=ANSWERING).handed == {11: ("CEAA32F83C2", AT + 3)}


@pytest.mark.parametrize(
    ("stamps", "since"),
    [
        (("2026-11-21T20:16:13.5+01:00",), datetime(2026, 11, 21, 19, 16, 13, 500000, UTC)),
        (("Nov 21 20:16:13",), BEGAN),  # a line alone may be of this moment, whatever its zone
        (("Nov 21 20:16:13", "Nov 21 20:21:13"), BEGAN - timedelta(minutes=5)),  # UTC
        (("Nov 21 21:11:13", "Nov 21 21:16:13"), BEGAN - timedelta(minutes=5)),  # UTC+1
        (("Nov 21 12:11:13", "Nov 21 12:16:13"), BEGAN - timedelta(minutes=5)),  # UTC-8
        (("Nov  3 20:16:13", "Nov  3 20:16:13"), datetime(2026, 11, 4, 8, 16, 13, tzinfo=UTC)),  # quiet since
        (("Dec 31 20:16:13", "Nov 21 20:16:13"), datetime(2025, 12, 31, 20, 16, 13, tzinfo=UTC)),
    ],
)
def test_how_far_back_a_log_reaches_is_never_thought_further_than_it_is(stamps: Sequence[str], since: datetime) -> None:
    heard = hear("".join(f"{stamp} mail postfix/smtpd[1]: connect from laptop[192.0.2.77]\n" for stamp in stamps))
    assert heard == Heard({}, since, set())


@pytest.mark.parametrize("log", ["", "Feb 29 20:16:13 mail postfix/smtpd[1]: connect from laptop[192.0.2.77]\n"])
def test_a_log_that_is_empty_or_of_another_year_denies_nothing(log: str) -> None:
    assert hear(log).since is None


def test_what_the_log_names_and_neither_queued_nor_refused_is_not_sent_again() -> None:
    lines = [line for line in LOG.splitlines() if "9EAA32F83C2: from=" not in line and "AAAA" not in line]
    heard = hear("\n".join(lines))
    assert (heard.handed, heard.begun) == ({}, {11})
    found = ledger.known(OUT, SENDING, [KILLED], heard)
    assert found
    assert found.fate == "unknown"
    assert "the server's log names it without its end" in found.said


KILLED = Walk("05-send.ipynb", AT, {11, 22, 33, 44, 55})
BEFORE, AFTER = Heard({}, BEGAN - timedelta(minutes=1)), Heard({}, BEGAN + timedelta(seconds=1))


@pytest.mark.parametrize(
    ("of", "walks", "heard", "fate"),
    [
        (OUT, [], BEFORE, None),
        (OUT, [KILLED], BEFORE, None),  # the log would know
        (FORGED, [KILLED], BEFORE, None),
        (OUT, [KILLED], AFTER, "unknown"),  # rotated since
        (OUT, [KILLED], Heard(), "unknown"),
        (IN, [KILLED], BEFORE, "unknown"),  # it may wait in the stranger's queue
        (MADE_UP, [KILLED], BEFORE, "unknown"),
        (OUT, [KILLED], hear(), "accepted"),
        (OUT, [], hear(), "accepted"),
        (OTHER, [KILLED], hear(), None),  # refused at its end
        (OUT, [Walk("a", AT, {11}, {11: accepted(OUT)})], Heard(), "accepted"),
        (OUT, [Walk("a", AT, {11}, {11: accepted(OUT)}), KILLED], Heard(), "accepted"),
        (OUT, [Walk("a", AT, {11}, {})], Heard(), None),  # it was refused there
        (OUT, [Walk("a", AT, {11}, {11: Handed(OUT, "unknown", "broke off")})], BEFORE, "unknown"),
        (OUT, [Walk("a", AT, {11}, {11: Handed(OUT, "unknown", "broke off")})], hear(), "accepted"),
        (letter(66), [KILLED], Heard(), None),  # was not in that plan
    ],
)
def test_what_both_witnesses_say_together(of: Letter, walks: list[Walk], heard: Heard, fate: str | None) -> None:
    found = ledger.known(of, SENDING, walks, heard)
    assert (found.fate if found else None) == fate
    assert found is None or found.earlier


@pytest.mark.parametrize(("door", "secured"), [("", True), ("IPv6 STARTTLS", True), ("IPv4", False)])
def test_only_the_log_knows_it_yet_it_was_handed_over_in_tls_where_that_was_asked(door: str, secured: bool) -> None:
    found = ledger.known(replace(OUT, door=door), SENDING, [KILLED], hear())
    assert found
    assert bool(found.tls) is secured


def test_what_perhaps_was_handed_over_says_so() -> None:
    found = ledger.known(IN, SENDING, [KILLED], BEFORE)
    assert found
    assert found.said.startswith("perhaps handed over before: 05-send.ipynb broke off, and the server's log does not")
    assert "looked for, not sent again" in found.said
    unread = ledger.known(OUT, SENDING, [KILLED], Heard())
    assert unread
    assert "could not be read" in unread.said


def test_an_answer_is_never_denied_by_our_log() -> None:
    found = ledger.known(OUT, ANSWERING, [KILLED], BEFORE)
    assert found
    assert found.fate == "unknown"


@pytest.fixture
def door() -> Iterator[socket.socket]:
    """A port that is ours and refuses everybody until the test listens there."""
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        door.settimeout(30)
        yield door


def knocked(door: socket.socket) -> bool:
    """Whether somebody waits to be let in."""
    return bool(select.select([door], [], [], 0)[0])


@pytest.fixture
def deaf(door: socket.socket) -> Site:
    """A site whose log nobody can read: no SSH answers at its address."""
    return sites.make(server__host="127.0.0.1", server__ssh={"port": door.getsockname()[1]})


@pytest.fixture
def plan(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Letters:
    """The plan of a run that no other test of this process has walked, in JupyterLab."""
    monkeypatch.delenv(ledger.RUN, raising=False)
    monkeypatch.delenv(ledger.FOLDER, raising=False)
    run = request.node.name
    return Letters(run, f"{run}-lantern", PLAN.letters)


@pytest.fixture
def folder(plan: Letters, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of that run, headless."""
    monkeypatch.setenv(ledger.RUN, plan.run)
    monkeypatch.setenv(ledger.FOLDER, str(tmp_path))
    return tmp_path


def now() -> dict[str, Any]:
    """The apply cell that asks."""
    return cell("apply", began=datetime.now(UTC))


def test_a_new_run_sends_everything_and_asks_no_log(
    deaf: Site, door: socket.socket, plan: Letters, folder: Path
) -> None:
    book(folder, cell("plan", plan), now())
    door.listen()
    assert ledger.earlier(deaf, plan) == {}
    assert not knocked(door)


def test_another_runs_notebook_in_the_folder_is_no_reason_to_ask_the_log(
    deaf: Site, door: socket.socket, plan: Letters, folder: Path
) -> None:
    book(folder, cell("plan", PLAN), cell("apply"))
    door.listen()
    assert ledger.earlier(deaf, plan) == {}
    assert not knocked(door)


def fates(found: dict[int, Handed]) -> dict[int, str]:
    return {number: handed.fate for number, handed in found.items()}


def test_a_resumed_run_takes_over_what_stands_in_its_folder(deaf: Site, plan: Letters, folder: Path) -> None:
    first = Sent(plan, (accepted(OUT), Handed(OTHER, "unsent", "no route", AT)), applied=True)
    book(folder, cell("plan", plan), cell("apply", first))
    book(folder, cell("plan", plan), now(), name="05-send.2.ipynb")
    assert fates(ledger.earlier(deaf, plan)) == {11: "accepted"}


def test_a_resumed_run_was_killed_and_is_resumed(deaf: Site, plan: Letters, folder: Path) -> None:
    first = Sent(plan, (accepted(OUT), Handed(OTHER, "unsent", "no route", AT)), applied=True)
    book(folder, cell("plan", plan), cell("apply", first))
    book(folder, cell("plan", plan), cell("apply", began=BEGAN + timedelta(hours=1)), name="05-send.2.ipynb")
    book(folder, cell("plan", plan), now(), name="05-send.3.ipynb")
    assert fates(ledger.earlier(deaf, plan)) == {11: "accepted", 22: "unknown", 33: "unknown"}


def test_answers_of_an_earlier_walk_are_not_written_again(deaf: Site, plan: Letters, folder: Path) -> None:
    sent = Sent(plan, (accepted(OUT), accepted(OTHER)), applied=True)
    arrived = Arrived(sent, (Parcel(accepted(OUT), answer=accepted(OUT)), Parcel(accepted(OTHER))))
    book(folder, cell("plan", plan), cell("apply", sent), cell("observed", arrived))
    going_on = cell("observed", began=datetime.now(UTC))
    book(folder, cell("plan", plan), cell("apply", sent), going_on, name="05-send.2.ipynb")
    assert fates(ledger.earlier(deaf, plan, ANSWERING)) == {11: "accepted"}


def test_a_cell_that_runs_twice_in_one_kernel_sends_only_what_was_refused(deaf: Site, plan: Letters) -> None:
    assert ledger.earlier(deaf, plan) == {}
    ledger.ended(plan, [accepted(OUT), Handed(OTHER, "refused", "RCPT TO: 451 later"), Handed(IN, "unknown", "lost")])
    assert fates(ledger.earlier(deaf, plan)) == {11: "accepted", 33: "unknown"}


def test_a_cell_that_was_interrupted_in_this_kernel_may_have_sent_everything(deaf: Site, plan: Letters) -> None:
    assert ledger.earlier(deaf, plan) == {}
    assert set(fates(ledger.earlier(deaf, plan)).values()) == {"unknown"}


def test_a_run_named_from_outside_has_its_log_asked(
    deaf: Site, door: socket.socket, plan: Letters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ledger.RUN, plan.run)
    door.listen()
    asking = Thread(target=ledger.earlier, args=(deaf, plan))
    asking.start()
    door.accept()[0].close()
    asking.join()
