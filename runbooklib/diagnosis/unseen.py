"""What could not be seen: one row for each reason, however many facts share it, with the rules not tried for it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from runbooklib.diagnosis.evidence import Evidence
from runbooklib.diagnosis.rules import Rule
from runbooklib.results import Check, Status

ENTRANCES = ("ssh", "api", "bundle")  # behind which facts stand of which not even the names are known when it is shut
GIVEN = {"pasted"}  # facts that somebody hands over: nobody could have seen them
MOST = 12  # names in a row; the others are counted
FIX = "see to it that this can be observed"
NOT_ALLOWED = "log in as root, or let server.ssh.user use sudo without a password"


@dataclass(frozen=True)
class Reason:
    """Why several facts are not seen at once, though each command says it in a sentence of its own."""

    pattern: str
    said: str
    fix: str


REASONS = (
    Reason(
        r"permission denied.*docker|docker.*permission denied|dial unix .*docker\.sock: connect: permission denied",
        "Docker on the server refuses the user that SSH logs in as",
        f"{NOT_ALLOWED}; or make it a member of the group docker",
    ),
    Reason(r"sudo: .*(password|terminal|tty) is required|not in the sudoers", "sudo asks for a password", NOT_ALLOWED),
    Reason(
        r"Cannot connect to the Docker daemon|[Ii]s the docker daemon running",
        "Docker does not run on the server",
        "`systemctl start docker` on the server (`service docker start` without systemd), or run stage 01",
    ),
    Reason(
        r"within the time budget of [\d.]+ s",
        "no answer within the time budget",
        "look at what these have in common (a firewall that drops, a resolver, a server under load), or give more time",
    ),
)


@dataclass(frozen=True)
class Gap:
    """Facts that were not seen for one reason."""

    reason: str
    fix: str
    names: tuple[str, ...]
    advisory: bool

    def words(self) -> set[str]:
        return {name.partition(" ")[0] for name in self.names}

    def check(self, untried: Sequence[str]) -> Check:
        """The row, named after the first of the facts."""
        others = f" (not seen: {_list(self.names)})" if len(self.names) > 1 else ""
        tried = f"; not fully tried: {_list(untried)}" if untried else ""
        said = f"{self.reason}{others}{tried}"
        return Check(f"evidence.{self.names[0]}", Status.UNKNOWN, "to be seen", said, self.fix, advisory=self.advisory)


def rows(evidence: Evidence, rules: Sequence[Rule], explained: Iterable[str]) -> Iterator[Check]:
    """A row for each reason; facts whose first word is `explained` by a cause that was found need none."""
    words = set(explained)
    hidden = [name for name in evidence.facts if name.partition(" ")[0] not in words]
    for gap in gaps(evidence, hidden):
        missing = gap.words() | _behind(evidence, rules, gap.words())
        yield gap.check([rule.id for rule in rules if missing & set(rule.needs)])


def gaps(evidence: Evidence, names: Iterable[str]) -> list[Gap]:
    """The reasons why the named facts were not seen, the ways in first."""
    found: dict[tuple[str, str], list[str]] = {}
    for name in sorted(names, key=lambda name: name not in ENTRANCES):
        fact = evidence.facts[name]
        if fact.unseen:
            found.setdefault(_reason(fact.unseen, fact.fix), []).append(name)
    advisory = {name for name, fact in evidence.facts.items() if fact.advisory}
    return [Gap(said, fix, tuple(group), advisory.issuperset(group)) for (said, fix), group in found.items()]


def _reason(unseen: str, fix: str) -> tuple[str, str]:
    known = next((reason for reason in REASONS if re.search(reason.pattern, unseen)), None)
    return (known.said, known.fix) if known else (unseen, fix or FIX)


def untried(evidence: Evidence, rules: Sequence[Rule]) -> list[Rule]:
    """The rules that lack a fact they need, or one of those of its word: what they did not find is not known."""
    dark = {name.partition(" ")[0] for name, fact in evidence.facts.items() if fact.unseen}
    missing = dark | _behind(evidence, rules, dark)
    return [rule for rule in rules if missing & set(rule.needs)]


def _behind(evidence: Evidence, rules: Sequence[Rule], dark: set[str]) -> set[str]:
    """The words of facts that nobody came to ask for, as a way in was shut or never tried; else they do not apply."""
    entered = any(name in evidence.facts for name in ENTRANCES)
    if entered and not dark & set(ENTRANCES):
        return set()
    asked = {word for rule in rules for word in rule.needs} - GIVEN
    return asked - {name.partition(" ")[0] for name in evidence.facts}


def _list(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST} more" if len(names) > MOST else ""
    return f"{', '.join(names[:MOST])}{more}"
