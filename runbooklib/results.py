"""The values every stage speaks in: statuses, checks, changes and plans, and how they show themselves.

The error tree, drawn once:

    RunbookError
    ├── GateError            a stage's requirement was not met
    ├── UnsafePlanError      a plan that would do harm was about to be applied
    ├── CredentialError      a reference to a secret leads nowhere            (credentials)
    ├── TestbedMissingError  `testbed:` without a running testbed             (places)
    ├── ParamsError          everything wrong in a params file, at once       (params)
    ├── EndpointError        a service could not be spoken to                 (endpoint)
    ├── HttpsError           an HTTP API gave no answer                       (https)
    ├── HostError            SSH: unreachable, refused, unknown key, command  (host)
    ├── ZoneError            a DNS server could not be asked or updated       (zone)
    ├── SpfError, TagError, KeyRecordError, DmarcError, ReportError, StsError, TlsRptError
    │                        a DNS text is not the record it claims to be     (the language of each)
    ├── ScoreError           a spam filter's answer is not what it documents  (eml)
    ├── PolicyError          an MTA-STS policy is not served as it must be     (audit)
    ├── DomainListError      a list of domains has lines that name none       (audit)
    ├── SourceError          what was saved or pasted is no message           (eml)
    ├── MaterialError        a file to be uploaded cannot be read             (servers)
    ├── MailcowError         mailcow's API said no, or nothing usable         (servers)
    ├── RelayTestError       mailcow's own test of a relay was not passed     (servers)
    ├── RetiredError         what the server remembers cannot be read         (servers)
    ├── ProviderError        the API of a relay's provider said no, or nothing usable (relays)
    ├── DeliveryError        a message could not be handed over or fetched    (delivery)
    ├── AutoconfigError      a file for mail programs does not say what they need (autoconfig)
    ├── BundleError          a file is no evidence that can be read           (diagnosis)
    ├── SymptomError         a symptom is none of those known                 (diagnosis)
    ├── DraftError           a form's params file could not be written        (form)
    ├── NothingToDiagnoseError  neither a site nor evidence nor a paste      (diagnosing)
    ├── ParameterError       what was passed to a notebook is not what it takes (signature)
    ├── TestbedError         the testbed could not be made or used            (testbed)
    ├── ArchiveError         a file of a run is not what it should be         (archive)
    └── RunError             a run cannot start, go on, or be read            (stages)
        └── StageError       the notebooks make no sequence of stages         (stages)
"""

from __future__ import annotations

import html
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import pandas as pd

MIME = "application/vnd.mail-runbooks.v1+json"


class RunbookError(Exception):
    """The base of all our errors; a notebook shows its message and no stack trace."""

    def _render_traceback_(self) -> list[str]:
        return [f"{type(self).__name__}: {self}"]


class GateError(RunbookError):
    """A requirement was not met; the message names each failing row and its fix."""


class UnsafePlanError(RunbookError):
    """A plan that would do harm refuses to be applied."""


class Status(StrEnum):
    """What a check can say; *fail* was observed and is wrong, *unknown* could not be observed."""

    FAIL = "fail"
    UNKNOWN = "unknown"
    PENDING = "pending"
    WARN = "warn"
    PASS = "pass"  # noqa: S105 - a verdict, not a password

    @classmethod
    def worst(cls, statuses: Iterable[Status]) -> Status:
        """The first of fail, unknown, pending, warn, pass that occurs; pass when there is none."""
        seen = set(statuses)
        return next((s for s in cls if s in seen), cls.PASS)


MARKS = {Status.FAIL: "✗", Status.UNKNOWN: "?", Status.PENDING: "…", Status.WARN: "!", Status.PASS: "✓"}
COLOURS = {
    Status.FAIL: "#c62828",
    Status.UNKNOWN: "#6a1b9a",
    Status.PENDING: "#1565c0",
    Status.WARN: "#b26a00",
    Status.PASS: "#2e7d32",
}
# A row's verdict as a badge, white on colour: legible on JupyterLab's light and dark ground alike.
BADGES = {str(s): (MARKS[s], COLOURS[s]) for s in Status} | {
    "done": ("✓", COLOURS[Status.PASS]),
    "planned": ("→", COLOURS[Status.PENDING]),
    "refused": ("✗", COLOURS[Status.FAIL]),
}
VERDICTS = ("status", "")  # the columns that hold one
LEFT = "text-align:left;vertical-align:top;padding:3px 8px"
LINES = "margin:0;white-space:pre-wrap;overflow-wrap:anywhere;max-height:24em;overflow-y:auto;min-width:16em"
SHORT, LONG = 16, 24  # characters


class Shown:
    """Shows itself as text, as HTML and as data; subclasses say `title`, `columns`, `rows` and `data`."""

    def parts(self) -> tuple[str, Sequence[str], Sequence[Sequence[str]]]:
        raise NotImplementedError

    def data(self) -> dict[str, Any]:
        """What reports and tests read instead of scraping HTML."""
        raise NotImplementedError

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        del include, exclude
        return {"text/plain": str(self), "text/html": table_html(*self.parts()), MIME: self.data()}

    def __str__(self) -> str:
        return table_text(*self.parts())

    def frame(self) -> pd.DataFrame:
        """The rows as a pandas table, for those who compute with them."""
        import pandas as pd  # noqa: PLC0415 - half a second that headless runs need not spend

        _, columns, rows = self.parts()
        return pd.DataFrame([list(r) for r in rows], columns=list(columns))


@dataclass(frozen=True)
class Check(Shown):
    """One claim about the world: what was expected, what was seen, what to do."""

    name: str  # stable id, e.g. dns.spf.lookup-limit
    status: Status
    expected: str
    observed: str
    fix: str = ""
    ref: str = ""  # RFC and section, or the documentation that says so
    advisory: bool = False  # an unknown here does not stop a stage
    waits_for: str = ""  # a pending row rests on this stage's plan, e.g. 04-dns

    def parts(self) -> tuple[str, Sequence[str], Sequence[Sequence[str]]]:
        return Checklist("", (self,)).parts()

    def data(self) -> dict[str, Any]:
        return Checklist("", (self,)).data()

    @property
    def blocks(self) -> bool:
        """Whether `require` stops here."""
        return self.status is Status.FAIL or (self.status is Status.UNKNOWN and not self.advisory)

    def advice(self) -> str:
        """One line for an error message: what is wrong and what to do."""
        said = f"{self.name}: {self.status}: expected {self.expected}; saw {self.observed}"
        return f"{said}\n    → {self.fix}" if self.fix else said


def passed(name: str, expected: str, observed: str, ref: str = "") -> Check:
    """A check that holds."""
    return Check(name, Status.PASS, expected, observed, ref=ref)


def judged(name: str, ok: bool, expected: str, observed: str, fix: str, ref: str = "") -> Check:
    """Pass when `ok`, else fail with its fix."""
    return Check(name, Status.PASS if ok else Status.FAIL, expected, observed, "" if ok else fix, ref)


@dataclass(frozen=True)
class Checklist(Shown):
    """Checks that belong together; falsy only when empty."""

    title: str
    checks: tuple[Check, ...] = ()

    def __iter__(self) -> Iterator[Check]:
        return iter(self.checks)

    def __len__(self) -> int:
        return len(self.checks)

    def __add__(self, other: Checklist) -> Checklist:
        return replace(self, checks=self.checks + other.checks)

    def __getitem__(self, name: str) -> Check:
        return next(c for c in self.checks if c.name == name)

    @property
    def status(self) -> Status:
        """The worst row."""
        return Status.worst(c.status for c in self.checks)

    def require(self) -> Self:
        """Shows the table and raises GateError when a row fails, or is unknown and not advisory."""
        blocking = [c for c in self._sorted() if c.blocks]
        if not blocking:
            return self
        show(self)
        raise GateError("\n".join(c.advice() for c in blocking))

    def _sorted(self) -> list[Check]:
        order = list(Status)
        return sorted(self.checks, key=lambda c: order.index(c.status))

    def parts(self) -> tuple[str, Sequence[str], Sequence[Sequence[str]]]:
        rows = [(c.status, c.name, c.expected, c.observed, c.fix, c.ref) for c in self._sorted()]
        return self.title, ("status", "check", "expected", "observed", "fix", "reference"), rows

    def data(self) -> dict[str, Any]:
        return {"kind": "checklist", "title": self.title, "checks": [asdict(c) for c in self.checks]}


@dataclass(frozen=True, order=True)
class Change(Shown):
    """One thing a plan would do: old value → new value, with the reason; subclasses say how."""

    order: int  # the step it belongs to; ties are settled by the target
    target: str
    before: str
    after: str
    why: str
    undo: str = ""

    def parts(self) -> tuple[str, Sequence[str], Sequence[Sequence[str]]]:
        return Plan("", (self,)).parts()

    def data(self) -> dict[str, Any]:
        """The five words of a change; what a subclass carries to do it stays inside."""
        return {"target": self.target, "before": self.before, "after": self.after, "why": self.why, "undo": self.undo}


@dataclass(frozen=True)
class Plan(Shown):
    """Changes, sorted; empty is falsy; `refusals` say why it must not be applied."""

    title: str
    changes: tuple[Change, ...] = ()
    refusals: tuple[str, ...] = ()
    held: str = ""  # why it is shown but not applied yet, e.g. "known after 04-dns"

    def __post_init__(self) -> None:
        object.__setattr__(self, "changes", tuple(sorted(self.changes, key=lambda c: (c.order, c.target))))

    def __bool__(self) -> bool:
        return bool(self.changes)

    def __iter__(self) -> Iterator[Change]:
        return iter(self.changes)

    def __len__(self) -> int:
        return len(self.changes)

    def touches(self, target: str) -> bool:
        """Whether a change of this plan has `target` in its target."""
        return any(target in c.target for c in self.changes)

    def refuse_unsafe(self) -> None:
        """Raises UnsafePlanError with every reason."""
        if self.refusals:
            raise UnsafePlanError("this plan is not applied:\n" + "\n".join(f"  - {r}" for r in self.refusals))

    def parts(self) -> tuple[str, Sequence[str], Sequence[Sequence[str]]]:
        rows: list[tuple[str, ...]] = [("refused", r, "", "", "") for r in self.refusals]
        rows += [("held" if self.held else "planned", c.target, c.before, c.after, c.why) for c in self.changes]
        return " - ".join(filter(None, (self.title or "plan", self.held))), ("", "target", "is", "will be", "why"), rows

    def __str__(self) -> str:
        return super().__str__() if self or self.refusals else f"{self.title}: nothing to change"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        bundle = super()._repr_mimebundle_(include, exclude)
        return bundle if self or self.refusals else bundle | {"text/html": f"<p>{html.escape(str(self))}</p>"}

    def data(self) -> dict[str, Any]:
        return {
            "kind": "plan",
            "title": self.title,
            "changes": [c.data() for c in self.changes],
            "refusals": list(self.refusals),
            "held": self.held,
        }


@dataclass(frozen=True)
class Outcome(Shown):
    """What became of a plan: `done` is empty when it was only shown."""

    plan: Plan
    done: tuple[Change, ...] = ()
    applied: bool = False
    waits: Check | None = None  # the step that is not yet possible, and why; what comes after it was not done

    def __bool__(self) -> bool:
        return bool(self.done)

    def parts(self) -> tuple[str, Sequence[str], Sequence[Sequence[str]]]:
        waiting = "held" if self.plan.held else "planned"
        rows = [("done" if c in self.done else waiting, c.target, c.before, c.after, c.why) for c in self.plan]
        return self.plan.title, ("", "target", "was" if self.applied else "is", "will be", "why"), rows

    def __str__(self) -> str:
        if not self.plan:
            return f"{self.plan.title}: nothing to change, nothing was touched"
        return f"{self._ended()}\n{super().__str__()}"

    def _ended(self) -> str:
        if self.waits:
            return f"applied up to a step that is not possible yet: {self.waits.observed}"
        return "applied" if self.applied else f"{self.plan.held or 'shown only (apply is False)'}: nothing was touched"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        bundle = super()._repr_mimebundle_(include, exclude)
        first = f"<p>{html.escape(str(self).splitlines()[0])}</p>"
        return bundle | {"text/html": first + (bundle["text/html"] if self.plan else "")}

    def data(self) -> dict[str, Any]:
        changes = [c.data() | {"applied": c in self.done} for c in self.plan]
        return self.plan.data() | {"kind": "outcome", "changes": changes, "applied": self.applied}


@dataclass(frozen=True)
class Table(Shown):
    """Facts that carry no verdict."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...] = field(default=())

    def parts(self) -> tuple[str, Sequence[str], Sequence[Sequence[str]]]:
        return self.title, self.columns, self.rows

    def data(self) -> dict[str, Any]:
        return {
            "kind": "table",
            "title": self.title,
            "columns": list(self.columns),
            "rows": [list(r) for r in self.rows],
        }

    @classmethod
    def of(cls, title: str, facts: Mapping[str, object]) -> Table:
        """Two columns: a name and its value."""
        return cls(title, ("what", "value"), tuple((k, str(v)) for k, v in facts.items()))


def say(line: str) -> None:
    """One line of progress, seen at once in a notebook and on a terminal."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def show(thing: Shown) -> None:
    """Shows in a notebook; elsewhere the error that follows says enough."""
    try:
        from IPython import get_ipython  # noqa: PLC0415 - the command line works without IPython
        from IPython.display import display  # noqa: PLC0415
    except ImportError:
        return
    if get_ipython() is not None:
        display(thing)  # type: ignore[no-untyped-call]


def table_text(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A plain table: columns as wide as their widest cell, empty columns left out."""
    kept = [i for i in range(len(columns)) if any(str(r[i]) for r in rows)]
    lines = [[columns[i] for i in kept], *([str(r[i]).replace("\n", " ") for i in kept] for r in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(kept))]
    text = ["  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([title, *text] if title else text)


def table_html(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The same table for a notebook or a report; the verdict of a row is a coloured word with a mark."""
    heading = f"<p><b>{html.escape(title)}</b></p>" if title else ""
    kept = [i for i in range(len(columns)) if any(str(r[i]) for r in rows)]
    if not kept:
        return heading
    head = "".join(f"<th style='text-align:left'>{html.escape(columns[i])}</th>" for i in kept)
    body = "".join("<tr>" + "".join(_cell(r[i], verdict=columns[i] in VERDICTS) for i in kept) + "</tr>" for r in rows)
    return f"{heading}<table style='margin-left:0'><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(value: str, *, verdict: bool) -> str:
    text = html.escape(str(value))
    if verdict and str(value) in BADGES:
        mark, colour = BADGES[str(value)]
        badge = f"background:{colour};color:#fff;padding:1px 8px;border-radius:9px;white-space:nowrap;font-weight:600"
        return f"<td style='{LEFT}'><span style='{badge}'>{mark} {text}</span></td>"
    if "\n" in text:
        return f"<td style='{LEFT}'><pre style='{LINES}'>{text}</pre></td>"
    # Long keys may break anywhere, but never squeeze their column to a letter's width; a few words stay together.
    width = "min-width:12em;overflow-wrap:anywhere" if len(text) > LONG else "overflow-wrap:break-word"
    width = "white-space:nowrap" if len(text) <= SHORT else width
    return f"<td style='{LEFT};{width}'>{text}</td>"
