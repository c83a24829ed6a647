"""What this run handed over before, so that nothing is handed over twice.

Two witnesses: the notebooks that earlier walks of the stage left in the run's folder, and the server's own log. What
either of them names is not sent again. Where a walk was killed between the two, what may have been handed over is
looked for, not sent again, unless the log reaches back far enough to say that it was not.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from runbooklib import maillog, servers
from runbooklib.delivery.handover import Handed
from runbooklib.delivery.messages import Letter, Letters, Route
from runbooklib.params import Site
from runbooklib.results import MIME, RunbookError

RUN, FOLDER = "RUNBOOK_RUN", "RUNBOOK_FOLDER"  # in the environment of a run's kernels: its id, and where it is archived
STAGE = "05-send"
LINES = 20_000  # of the log: as far back as a busy server writes in a day or so
BEHIND_UTC = timedelta(hours=12)  # a stamp without a zone may be local time, which is at most so far behind UTC
FOREIGN = {Route.INBOUND, Route.CATCH_ALL}  # submitted elsewhere: our log knows them only once they have come


@dataclass(frozen=True)
class Step:
    """A cell that hands messages over, and how its messages are known."""

    cell: str
    kind: str  # of what the cell shows
    suffix: str  # of the number in its Message-IDs
    foreign: bool = False  # whether all of it is submitted elsewhere


SENDING = Step("apply", "sent", "")
ANSWERING = Step("observed", "arrived", ".re", foreign=True)


@dataclass(frozen=True)
class Walk:
    """What is known of a step that began before; without `handed` nobody knows how far it came."""

    name: str
    at: float  # seconds since the epoch, when it began
    numbers: Collection[int]  # what it was about to hand over
    handed: Mapping[int, Handed] | None = None

    def may_have(self, number: int) -> bool:
        return self.handed is None and number in self.numbers


@dataclass(frozen=True)
class Heard:
    """What the server's log tells of a step's messages."""

    handed: Mapping[int, tuple[str, float]] = field(default_factory=dict)  # by number: queue id and time, 0 if untold
    since: datetime | None = None  # its first line; None where it could not be read
    begun: Collection[int] = ()  # named, neither queued nor refused: it broke off, or the log is being written

    def denies(self, letter: Letter, step: Step, walk: Walk) -> bool:
        """Whether silence means that a message was not handed over: the log would know, and reaches back."""
        elsewhere = step.foreign or letter.route in FOREIGN
        reaches = self.since is not None and self.since.timestamp() <= walk.at
        return reaches and not elsewhere and letter.number not in self.begun


LOADED = time.time()
# What this kernel handed over: JupyterLab writes no notebook before somebody saves it, and a cell can be run twice.
_here: dict[tuple[str, str], Walk] = {}


def earlier(site: Site, plan: Letters, step: Step = SENDING) -> dict[int, Handed]:
    """What of a plan was, or may have been, handed over before; whoever asks hands over the rest now."""
    walks = [*_archived(plan, step), *filter(None, [_here.get((plan.marker, step.cell))])]
    fresh = not walks and (FOLDER in os.environ or plan.run != os.environ.get(RUN))
    heard = Heard() if fresh else listen(site, plan.marker, step)
    _here[plan.marker, step.cell] = Walk("this kernel", time.time(), [letter.number for letter in plan])
    found = {letter.number: known(letter, step, walks, heard) for letter in plan}
    return {number: handed for number, handed in found.items() if handed}


def ended(plan: Letters, handed: Iterable[Handed], step: Step = SENDING) -> None:
    """Notes what became of the rest."""
    begun = _here[plan.marker, step.cell]
    _here[plan.marker, step.cell] = replace(begun, handed={h.letter.number: h for h in handed if _gone(h.fate)})


def _gone(fate: str) -> bool:
    return fate in {"accepted", "unknown"}


def known(letter: Letter, step: Step, walks: Sequence[Walk], heard: Heard) -> Handed | None:
    """What the witnesses together say of one message; None: it was not handed over."""
    told = [walk.handed[letter.number] for walk in walks if walk.handed and letter.number in walk.handed]
    accepted = [handed for handed in told if handed.fate == "accepted"]
    if accepted:
        return replace(accepted[-1], earlier=True)
    if letter.number in heard.handed:
        queue_id, at = heard.handed[letter.number]
        said = f"queued as {queue_id} before, by the server's log"
        # The log does not tell; our client hands over in TLS, but for the doors that are tried in clear.
        tls = "" if letter.door and "STARTTLS" not in letter.door else "TLS, version not noted"
        return Handed(letter, "accepted", said, at or _began(walks), queue_id, tls, earlier=True)
    if told:
        return replace(told[-1], earlier=True)
    lost = [walk for walk in walks if walk.may_have(letter.number) and not heard.denies(letter, step, walk)]
    return _perhaps(letter, lost[-1], heard) if lost else None


def _began(walks: Sequence[Walk]) -> float:
    return walks[0].at if walks else time.time()


def _perhaps(letter: Letter, walk: Walk, heard: Heard) -> Handed:
    named = "names it without its end" if letter.number in heard.begun else "does not name it"
    log = f"the server's log {named if heard.since else 'could not be read'}"
    said = f"perhaps handed over before: {walk.name} broke off, and {log}; looked for, not sent again"
    return Handed(letter, "unknown", said, walk.at, earlier=True)


def listen(site: Site, marker: str, step: Step = SENDING) -> Heard:
    """Asks the server's log for a run's messages; a log that cannot be read tells nothing."""
    try:
        return hear(maillog.parse(servers.of(site).log(LINES)), marker, step, datetime.now(UTC))
    except RunbookError:
        return Heard()


def hear(events: Sequence[maillog.Event], marker: str, step: Step, now: datetime) -> Heard:
    """What a log tells; Postfix names the Message-ID before the message's end, and queues it after (cleanup, qmgr)."""
    pattern = re.compile(rf"message-id=<{re.escape(marker)}\.(\d+){re.escape(step.suffix)}@")
    queued = {event.queue_id for event in events if event.program.endswith("qmgr")}
    refused = {event.queue_id for event in events if "reject: " in event.text}
    named = [(found[1], event) for event in events if (found := pattern.search(event.text))]
    # The first is where the message came in; a content filter gives it another queue id later.
    handed = {int(n): (e.queue_id, _seconds(e.time)) for n, e in reversed(named) if e.queue_id in queued}
    begun = {int(n) for n, e in named if e.queue_id not in queued | refused}
    return Heard(handed, _since([event.time for event in events], now), begun)


def _seconds(stamp: str) -> float:
    """Seconds since the epoch; 0 for a stamp that does not say its year and zone."""
    return datetime.fromisoformat(stamp).timestamp() if stamp[0].isdigit() else 0.0


def _since(stamps: Sequence[str], now: datetime) -> datetime | None:
    """When the log begins at the latest; without a zone it is as old as its lines lie apart, whatever clock it has."""
    if not stamps or stamps[0][0].isdigit():
        return datetime.fromisoformat(stamps[0]) if stamps else None
    try:
        first, last = (_local(stamp, now) for stamp in (stamps[0], stamps[-1]))
    except ValueError:  # February 29 of another year
        return None
    return min(first + BEHIND_UTC, now - (last - first))


def _local(stamp: str, now: datetime) -> datetime:
    """A stamp without year and zone, as if it were UTC."""
    told = datetime.strptime(f"{now.year} {stamp} +0000", "%Y %b %d %H:%M:%S %z")
    return told.replace(year=now.year - 1) if told > now + timedelta(days=1) + BEHIND_UTC else told


def _archived(plan: Letters, step: Step) -> list[Walk]:
    """The walks that notebooks in the run's folder tell of, oldest first, but for the one that is going on."""
    folder = os.environ.get(FOLDER)
    walks = [read(path, plan, step) for path in Path(folder).glob(f"{STAGE}*.ipynb")] if folder else []
    found = sorted(filter(None, walks), key=lambda walk: walk.at)
    # A notebook is written as each cell begins: the one being executed is there, and no other began later.
    going_on = found and found[-1].handed is None and found[-1].at >= LOADED
    before = found[:-1] if going_on else found
    return [walk for walk in before if walk.numbers]  # others were of another run


def read(path: Path, plan: Letters, step: Step) -> Walk | None:
    """What one executed notebook tells; None where the step did not begin in it, or with `apply` false."""
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        parameters = notebook["metadata"]["papermill"]["parameters"]
        cells = {cell.get("id", ""): cell for cell in notebook["cells"]}
        began = cells[step.cell]["metadata"]["papermill"]["start_time"]
        if not began or parameters.get("apply") is False:
            return None
        return _told(path.name, datetime.fromisoformat(began).timestamp(), cells, plan, step)
    except (OSError, ValueError, KeyError, TypeError):
        return Walk(path.name, 0.0, [letter.number for letter in plan])  # whatever it was, it may have sent all


def _told(name: str, at: float, cells: Mapping[str, Any], plan: Letters, step: Step) -> Walk:
    shown = [value for cell in cells.values() for value in _values(cell) if value.get("marker") == plan.marker]
    numbers = {number for value in shown for number in value.get("numbers", ())}
    records = [value["handed"] for value in shown if value["kind"] == step.kind]
    return Walk(name, at, numbers, _taken_over(records[-1], name, plan) if records else None)


def _values(cell: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """What a cell shows, as data."""
    return (o["data"][MIME] for o in cell.get("outputs", ()) if MIME in o.get("data", {}))


def _taken_over(entries: Iterable[Mapping[str, Any]], name: str, plan: Letters) -> dict[int, Handed]:
    """What was handed over, of messages that are still in the plan, as they were sent."""
    letters = {letter.number: letter for letter in plan}
    gone = [e for e in entries if _gone(e["fate"]) and e["number"] in letters]
    return {e["number"]: _handed(e, letters[e["number"]], name) for e in gone}


def _handed(entry: Mapping[str, Any], letter: Letter, name: str) -> Handed:
    told = {word: entry[word] for word in ("fate", "at", "queue_id", "tls", "client")}
    return Handed(letter=replace(letter, sender=entry["sender"]), said=f"{entry['said']} (by {name})", **told)
