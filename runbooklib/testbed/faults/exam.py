"""The exam: each fault broken, diagnosed, mended as the finding says, diagnosed again, and taken back."""

from __future__ import annotations

import io
import json
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from dns.exception import DNSException

from runbooklib import diagnosis, host, params, probes, runs, stages
from runbooklib.diagnosis import Evidence, Finding
from runbooklib.results import RunbookError, Status, Table
from runbooklib.testbed.engine import Say
from runbooklib.testbed.faults import broken
from runbooklib.testbed.faults.fault import Fault
from runbooklib.testbed.faults.prints import differing, taken
from runbooklib.testbed.faults.scene import PARAMS, Scene, SceneError

HEALTHY = "(a healthy site)"
BY_HAND = "by hand"
DEPLOYED_BY = ("01-bootstrap", "02-relay", "03-dkim", "04-dns")
BROKEN = (RunbookError, OSError, DNSException)
SETTLING = 15.0  # seconds in which what waited in the queue must have left after a fix
COLUMNS = ("fault", "first cause named", "right", "seconds", "false findings", "mended by", "green again")


@dataclass(frozen=True)
class Graded:
    """How one fault, or a pair of them, was diagnosed."""

    fault: str
    wanted: tuple[str, ...]  # ids of rules
    named: tuple[str, ...] = ()  # those of the causes found, likeliest first
    seconds: float = 0.0  # of the diagnosis
    mended_by: tuple[str, ...] = ()
    left: tuple[str, ...] = ()  # what is found or not to be seen after the fix, and in which words
    behind: tuple[str, ...] = ()  # what stands otherwise than before the fault, once it is taken back
    trouble: str = ""  # why it could not be tried to the end

    @property
    def right(self) -> bool:
        """The cause first; of a pair both causes before anything else; of a healthy site none."""
        first = set(self.named[: len(self.wanted)]) if self.wanted else set(self.named)
        return not self.trouble and first == set(self.wanted)

    @property
    def false(self) -> tuple[str, ...]:
        """What is named as a cause and is none."""
        return tuple(name for name in self.named if name not in self.wanted)

    @property
    def green(self) -> bool:
        """Whether the fix left nothing to find, and mending nothing otherwise than before."""
        return not (self.left or self.behind or self.trouble)

    @property
    def passed(self) -> bool:
        return self.right and self.green and not self.false

    def row(self) -> tuple[str, ...]:
        """Its line in the table."""
        after = "; ".join((*self.left, *self.behind, *filter(None, [self.trouble])))
        return (
            self.fault,
            ", ".join(self.named[: max(1, len(self.wanted))]) or "none",
            "yes" if self.right else f"no, it is {', '.join(self.wanted) or 'none'}",
            f"{self.seconds:.1f}",
            ", ".join(self.false) or "none",
            ", ".join(self.mended_by) or "nothing to mend",
            "yes" if self.green else f"no: {after}",
        )


@dataclass(frozen=True)
class Exam:
    """All that was graded, and how many seconds the whole took."""

    graded: tuple[Graded, ...]
    seconds: float

    @property
    def passed(self) -> bool:
        return all(one.passed for one in self.graded)

    def table(self) -> Table:
        return Table("exam", COLUMNS, tuple(one.row() for one in self.graded))

    def json(self) -> str:
        """What was graded, for whoever makes a table of it."""
        told = [asdict(one) | {"passed": one.passed} for one in self.graded]
        return json.dumps({"score": self.score(), "seconds": round(self.seconds), "graded": told}, indent=1) + "\n"

    def score(self) -> str:
        """The sentence under the table."""
        count, right = len(self.graded), sum(one.right for one in self.graded)
        green, false = sum(one.green for one in self.graded), sum(len(one.false) for one in self.graded)
        return (
            f"{right} of {count} right, {green} of {count} green again after the fix, {false} false findings; "
            f"{self.seconds / 60:.1f} minutes"
        )


def whole(scene: Scene, groups: Iterable[Sequence[Fault]], say: Say) -> Exam:
    """The exam of a site that its stages deploy first, where it is not; raises as `examine` does."""
    began = time.monotonic()
    _require_whole(scene)
    say(f"{PARAMS}: deployed by {', '.join(DEPLOYED_BY)}, where it is not")
    _walk(scene, *DEPLOYED_BY)
    return replace(examine(scene, groups, say), seconds=time.monotonic() - began)


def examine(scene: Scene, groups: Iterable[Sequence[Fault]], say: Say) -> Exam:
    """Grades the healthy site first, then each group of faults that are injected together.

    Raises SceneError when something is broken already.
    """
    _require_whole(scene)
    began, graded = time.monotonic(), list[Graded]()
    for one in _one_by_one(scene, groups):
        say("  ".join(one.row()))
        graded.append(one)
    return Exam(tuple(graded), time.monotonic() - began)


def _require_whole(scene: Scene) -> None:
    if broken.known(scene.root):
        raise SceneError("something is broken already: `runbook testbed mend` takes it back")


def _one_by_one(scene: Scene, groups: Iterable[Sequence[Fault]]) -> Iterator[Graded]:
    yield _healthy(scene)
    before = taken(scene)
    for group in groups:
        if stuck := broken.known(scene.root):
            yield Graded(_name(group), _wanted(group), trouble=f"not tried, as {', '.join(stuck)} is not taken back")
            continue
        one = _graded(scene, group)
        after = taken(scene)
        yield replace(one, behind=differing(before, after))
        before = after  # what one fault left behind is not held against the next


def _healthy(scene: Scene) -> Graded:
    named, dark, seconds = _diagnosed(scene)
    return Graded(HEALTHY, (), tuple(finding.rule.id for finding in named), seconds, trouble="; ".join(dark))


def _graded(scene: Scene, group: Sequence[Fault]) -> Graded:
    graded = Graded(_name(group), _wanted(group))
    try:
        for fault in group:
            broken.break_(scene, fault)
        found, _, seconds = _diagnosed(scene)
        graded = replace(graded, named=tuple(finding.rule.id for finding in found), seconds=seconds)
        graded = replace(graded, mended_by=tuple(_mended(scene, found, group)))
        _settle(scene, group)
        still, dark, _ = _diagnosed(scene)
        graded = replace(graded, left=(*(f"{f.rule.id}: {f.signs[0].said}" for f in still), *dark))
    except BROKEN as error:
        graded = replace(graded, trouble=_words(error))
    try:
        broken.mend(scene)
    except BROKEN as error:
        graded = replace(graded, trouble=" / ".join(filter(None, (graded.trouble, _words(error)))))
    return graded


def _name(group: Sequence[Fault]) -> str:
    return " + ".join(fault.id for fault in group)


def _wanted(group: Sequence[Fault]) -> tuple[str, ...]:
    return tuple(fault.cause for fault in group)


def _words(error: BaseException) -> str:
    return " ".join(f"{error}".split())[:300] or type(error).__name__


def _diagnosed(scene: Scene) -> tuple[list[Finding], tuple[str, ...], float]:
    """The causes, what could not be seen, and how long it took."""
    began = time.monotonic()
    evidence = probes.gather(scene.site, budget=scene.budget)
    return diagnosis.findings(evidence), unlit(evidence), time.monotonic() - began


def unlit(evidence: Evidence) -> tuple[str, ...]:
    """What could not be seen and is no mere addition: where nothing is found in the dark, nothing is green."""
    rows = diagnosis.diagnose(evidence)
    return tuple(f"{row.name}: {row.observed}" for row in rows if row.status is Status.UNKNOWN and not row.advisory)


def _mended(scene: Scene, found: Sequence[Finding], group: Sequence[Fault]) -> Iterator[str]:
    """Does what the findings say; what only a hand outside can do, the fault's own mending does."""
    named = {finding.rule.id: finding for finding in found}
    walked = set[str]()
    for fault in group:
        finding = named.get(fault.cause)
        if finding and finding.rule.cell:
            stage = finding.rule.cell.partition("#")[0]
            if stage not in walked:
                _walk(scene, stage)
            walked.add(stage)
            yield finding.rule.cell
        elif finding and finding.commands:
            for command in finding.commands:
                host.connect(scene.site).run(("sh", "-c", command))
            yield "; ".join(f"`{command}`" for command in finding.commands)
        else:
            broken.mend_one(scene, fault)
            yield BY_HAND


def _walk(scene: Scene, *names: str) -> None:
    """Stages applied as `runbook run` does it.

    Raises SceneError when one of its gates stays closed.
    """
    out = io.StringIO()
    with tempfile.TemporaryDirectory() as folder:
        place = runs.begin(scene.site, Path(folder), apply=True)
        chosen = stages.choose(stages.find(stages.folder()), names)
        place = runs.execute(place, params.read(PARAMS), chosen, out)
    if place.run.raised:
        raise SceneError(f"{', '.join(names)} did not come to its end: {out.getvalue()}")


def _settle(scene: Scene, group: Sequence[Fault]) -> None:
    """Time passes: resolvers forget, what waited is tried again, and users send once more."""
    scene.forget()
    left = scene.await_mail("postqueue -f; postqueue -j")
    meets = [fault.meet for fault in group if fault.meet]
    for meet in meets:
        meet(scene)
    if left or meets:
        scene.until(lambda: not scene.waiting(), "an empty queue after the fix", SETTLING)
