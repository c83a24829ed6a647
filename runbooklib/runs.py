"""Runs: stages executed once against a site, in order, archived as they go."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from runbooklib import archive, credentials, kernel, params, report, software
from runbooklib.results import MARKS, Check, GateError, RunbookError, Status
from runbooklib.stages import RunError, Stage

ID = "%Y%m%dT%H%M%SZ"
KERNEL = "python3"
PASSED = {Status.PASS, Status.WARN}
COMPLETED, SECRETS = "run.stage.completed", "run.archive.secrets"
MOST_WALKS = 4  # of one stage in one run
VERDICT = "the stage reaches its verdict"


@dataclass(frozen=True)
class Walk:
    """One stage walked once: its executed notebook, read."""

    stage: str
    walk: int
    notebook: str  # file name in the run's folder
    status: Status = Status.PASS
    raised: bool = False  # a gate, or whatever else, stopped it before its end
    interrupted: bool = False
    seconds: float = 0
    checks: tuple[Check, ...] = ()
    changes: tuple[dict[str, Any], ...] = ()
    cells: tuple[str, ...] = ()  # the ids of its code cells
    pictures: tuple[dict[str, str], ...] = ()  # title and SVG of each
    files: tuple[str, ...] = ()  # what else it left in the run's folder

    def waits_for(self, stage: str) -> bool:
        """Whether a row of it is pending until `stage` has run."""
        return any(c.status is Status.PENDING and c.waits_for == stage for c in self.checks)

    def line(self) -> str:
        """How it went, for the console: one line, and one for each row that stopped it."""
        made = sum(c["applied"] for c in self.changes)
        planned = f", {len(self.changes) - made} planned" if len(self.changes) > made else ""
        changes = f"{made} change{'s'[: made != 1]}{planned}"
        first = f"{MARKS[self.status]} {self.status:<8}{self.seconds:>6.1f} s   {changes}"
        return "\n".join([first, *(f"  {row.advice()}" for row in self.checks if row.blocks)])


@dataclass(frozen=True)
class Run:
    """What checks.json says."""

    run: str
    site: str
    apply: bool
    image: str  # what the mail server is: an image, or a release and where it stands
    started: str
    ended: str | None = None  # None: still going, or killed
    walks: tuple[Walk, ...] = ()

    @property
    def last(self) -> dict[str, Walk]:
        """The last walk of each stage."""
        return {w.stage: w for w in self.walks}

    @property
    def status(self) -> Status:
        """The worst of the last walks; of a run that has not ended nobody can tell yet."""
        open_end = [] if self.ended else [Status.UNKNOWN]
        return Status.worst([*open_end, *(w.status for w in self.last.values())])

    @property
    def raised(self) -> bool:
        """Whether a gate stands closed: a walk that was made good by a later one does not count."""
        return any(w.raised for w in self.last.values())

    @property
    def interrupted(self) -> bool:
        """Whether someone stopped it."""
        return any(w.interrupted for w in self.last.values())

    def waiting(self) -> list[Check]:
        """The rows of the last walks that are not yet so."""
        return [c for w in self.last.values() for c in w.checks if c.status is Status.PENDING]

    def data(self) -> dict[str, Any]:
        """As checks.json holds it."""
        told = asdict(self)
        told["stages"] = told.pop("walks")
        return {**told, "status": self.status, "interrupted": self.interrupted}


@dataclass(frozen=True)
class Place:
    """A run and the folder it is archived in."""

    folder: Path
    run: Run

    def save(self) -> None:
        """Writes checks.json and report.html, whole."""
        data = credentials.mask_tree(self.run.data())
        archive.write(self.folder / "checks.json", json.dumps(data, ensure_ascii=False, indent=1) + "\n")
        archive.write(self.folder / "report.html", report.render(data))

    def told(self, **news: Any) -> Place:
        """The same place with news in its run, saved."""
        place = replace(self, run=replace(self.run, **news))
        place.save()
        return place


def begin(site: params.Site, runs: Path, apply: bool) -> Place:
    """A new run in a folder of its own, named by the UTC second it begins in."""
    while True:
        now = datetime.now(UTC)
        folder = runs / site.name / now.strftime(ID)
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            time.sleep(1 - now.microsecond / 1e6)  # another run began in this second
            continue
        return Place(folder, Run(folder.name, site.name, apply, software.named(site), _iso(now))).told()


def resume(site: params.Site, runs: Path, run: str, apply: bool) -> Place:
    """The place of an earlier run of this site, given by its id or its folder.

    Raises RunError when there is none, or it was of another site.
    """
    folder = next((f for f in (Path(run), runs / site.name / run) if (f / "checks.json").is_file()), None)
    if folder is None:
        raise RunError(f"no run {run} of {site.name}: {runs / site.name} does not hold it")
    earlier = read(folder)
    if earlier.site != site.name:
        raise RunError(f"{folder} is a run of {earlier.site}, not of {site.name}")
    for unfinished in folder.glob(".*.tmp"):  # what a killed run was about to put in place
        unfinished.unlink()
    return Place(folder, replace(earlier, apply=apply, ended=None))


def read(folder: Path) -> Run:
    """The run archived in a folder.

    Raises RunError when checks.json is missing or not what it should be.
    """
    try:
        told = json.loads((folder / "checks.json").read_text(encoding="utf-8"))
        del told["status"], told["interrupted"]  # they follow from the walks
        walks = tuple(_read_back(walk) for walk in told.pop("stages"))
        return Run(**told, walks=walks)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{folder} holds no readable checks.json: {type(error).__name__}") from None


def _read_back(walk: dict[str, Any]) -> Walk:
    checks = tuple(archive.check(row) for row in walk["checks"])
    lists: dict[str, Any] = {n: tuple(walk[n]) for n in ("changes", "cells", "pictures", "files") if n in walk}
    return Walk(**{**walk, **lists, "status": Status(walk["status"]), "checks": checks})


def execute(place: Place, given: Mapping[str, Any], stages: Sequence[Stage], out: TextIO) -> Place:
    """Walks the stages, one line each on `out`; with `apply` a closed gate ends it, without all of them are walked."""
    waiting = [s for s in stages if not _done(place, s)]
    try:
        with _told_to_kernels(place), _sigterm_interrupts():
            while waiting:
                kernel.prepare(KERNEL, [stage.imports for stage in waiting[:2]])
                stage = waiting.pop(0)
                walk = _walk(place, given, stage, out)
                place = place.told(walks=(*place.run.walks, walk))
                if walk.interrupted or (walk.raised and place.run.apply):
                    break
                again = _again(place.run, stages, stage)
                waiting = [*again, *(s for s in waiting if s not in again)]
    finally:
        kernel.dismiss()
    checks = [check for walk in place.run.walks for check in walk.checks]
    return place.told(ended=_iso(datetime.now(UTC)), image=software.named(params.load(given), checks))


@contextlib.contextmanager
def _told_to_kernels(place: Place) -> Iterator[None]:
    """Which run it is: stage 05 names its messages by it, and reads in its folder which of them were sent before."""
    told = {"RUNBOOK_RUN": place.run.run, "RUNBOOK_FOLDER": str(place.folder.resolve())}
    before = {name: os.environ.get(name) for name in told}
    os.environ.update(told)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _done(place: Place, stage: Stage) -> bool:
    """Whether a resumed run has this stage behind it, with a notebook that shows it."""
    walk = place.run.last.get(stage.name)
    if walk is None or walk.raised or walk.status not in PASSED:
        return False
    with contextlib.suppress(archive.ArchiveError):
        archive.read(place.folder / walk.notebook)
        return True
    return False


def _again(run: Run, stages: Sequence[Stage], now: Stage) -> list[Stage]:
    """The earlier stages that waited for the one just walked; an unapplied run changes nothing to wait for.

    Two stages that wait for each other take turns, but not for ever.
    """
    if not run.apply or run.last[now.name].raised:
        return []
    walked = Counter(w.stage for w in run.walks)
    others = (s for s in stages if s.name != now.name and s.name in run.last)
    return [s for s in others if run.last[s.name].waits_for(now.name) and walked[s.name] < MOST_WALKS]


def _walk(place: Place, given: Mapping[str, Any], stage: Stage, out: TextIO) -> Walk:
    number = _next(place.folder, stage)
    notebook = _file(stage, number)
    print(f"{notebook.removesuffix('.ipynb'):<18}", end="", file=out, flush=True)
    began = time.monotonic()
    row = _papermill(stage, place.folder / notebook, {"site": dict(given), "apply": place.run.apply})
    walk = _read_walk(place.folder, Walk(stage.name, number, notebook, seconds=round(time.monotonic() - began, 1)), row)
    print(walk.line(), file=out, flush=True)
    return walk


def _next(folder: Path, stage: Stage) -> int:
    """The first number whose name is free: what stands there already is the record of an earlier walk."""
    return next(n for n in itertools.count(1) if not (folder / _file(stage, n)).exists())


def _file(stage: Stage, number: int) -> str:
    return f"{stage.name}.ipynb" if number == 1 else f"{stage.name}.{number}.ipynb"


def _papermill(stage: Stage, archived: Path, parameters: dict[str, Any]) -> Check | None:
    """Executes the notebook; a row about what ended it from outside, if anything did."""
    # Where jsonschema finds this package it compiles some forty grammars for IRIs; notebooks hold none to check.
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
    import papermill  # noqa: PLC0415 - a second, spent while the first kernel starts

    try:
        papermill.execute_notebook(str(stage.notebook), str(archived), parameters, progress_bar=False)
    except papermill.PapermillExecutionError:
        return None  # the notebook says it
    except KeyboardInterrupt:
        return Check(COMPLETED, Status.UNKNOWN, VERDICT, "interrupted", "resume the run with --resume")
    except RunbookError as error:
        return Check(COMPLETED, Status.FAIL, VERDICT, str(error), "put this right and run again")
    except Exception as error:  # noqa: BLE001 - whatever a kernel dies of belongs in the record
        return Check(COMPLETED, Status.FAIL, VERDICT, f"{type(error).__name__}: {error}", "run again with --resume")
    return None


def _read_walk(folder: Path, walk: Walk, ended: Check | None) -> Walk:
    """The walk with what its notebook shows, and a row for what the notebook cannot say itself."""
    leaked = archive.sweep(folder)
    record = archive.read(folder / walk.notebook) if (folder / walk.notebook).exists() else archive.Record()
    rows = [row for row in (ended or _died(record), _leak(leaked)) if row]
    checks = (*record.checks, *rows)
    return replace(
        walk,
        status=Status.worst(c.status for c in checks),
        raised=bool(record.error or rows),
        interrupted=ended is not None and ended.status is Status.UNKNOWN,
        checks=checks,
        changes=record.changes,
        cells=record.cells,
        pictures=record.pictures,
        files=record.files,
    )


def _died(record: archive.Record) -> Check | None:
    """A row for an error that is no closed gate, or a gate none of whose rows was shown."""
    told = any(c.blocks for c in record.checks)
    if not record.error or (record.error == GateError.__name__ and told):
        return None
    saw = f"{record.error} in cell {record.cell}: {record.said}"
    return Check(COMPLETED, Status.FAIL, VERDICT, saw, "the archived notebook shows where; put it right and run again")


def _leak(references: list[str]) -> Check | None:
    if not references:
        return None
    saw = f"{', '.join(references)} had come as far as the archive and was masked there"
    fix = "do not print it; change it if anyone looked on"
    return Check(SECRETS, Status.FAIL, "no secret leaves the kernel", saw, fix)


@contextlib.contextmanager
def _sigterm_interrupts() -> Iterator[None]:
    """Lets SIGTERM end a run as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def summary(place: Place, source: str) -> str:
    """The last lines on the console: the verdict, what is waited for, where the report is."""
    run = place.run
    lines = [f"{MARKS[run.status]} {run.status}: {run.site} on {run.image}"]
    waiting = run.waiting() if run.apply else []
    if waiting and not run.raised:
        lines += [f"  waits: {c.name}: {c.observed}" for c in waiting]
        lines.append(f"  run again: runbook run {source} --apply")
    return "\n".join([*lines, f"report: {place.folder / 'report.html'}"])
