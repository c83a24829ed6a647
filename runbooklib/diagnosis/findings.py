"""Rules applied to evidence: causes first, what follows from them beneath, what was not seen last."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from runbooklib.diagnosis.container_rules import CONTAINER_RULES
from runbooklib.diagnosis.dns_rules import DNS_RULES
from runbooklib.diagnosis.evidence import Evidence
from runbooklib.diagnosis.mailcow_rules import MAILCOW_RULES
from runbooklib.diagnosis.postfix_rules import POSTFIX_RULES
from runbooklib.diagnosis.queue_rules import QUEUE_RULES
from runbooklib.diagnosis.rules import Rule
from runbooklib.diagnosis.server_rules import SERVER_RULES
from runbooklib.params import DOCKER_MAILSERVER, MAILCOW, POSTFIX
from runbooklib.results import Check, Checklist, Status, passed

OWN: Mapping[str, tuple[Rule, ...]] = {
    DOCKER_MAILSERVER: CONTAINER_RULES,
    MAILCOW: MAILCOW_RULES,
    POSTFIX: POSTFIX_RULES,
}
# For each mail server its rules, its own before those of all, in the order in which causes are looked for.
RULES: Mapping[str, tuple[Rule, ...]] = {
    server: (*own, *SERVER_RULES, *QUEUE_RULES, *DNS_RULES) for server, own in OWN.items()
}
NOTHING_KNOWN = "no known cause of trouble"


@dataclass(frozen=True)
class Finding:
    """A rule that matched, what was seen, and the findings that follow from it."""

    rule: Rule
    seen: tuple[str, ...]
    shadows: tuple[str, ...] = ()

    def check(self, *, apply: bool) -> Check:
        rule = self.rule
        planned = rule.mended_by and not apply
        said = "; ".join(self.seen) + (f" (explains: {', '.join(self.shadows)})" if self.shadows else "")
        return Check(
            f"diagnosis.{rule.id}",
            Status.PENDING if planned else rule.status,
            NOTHING_KNOWN,
            f"{rule.cause}: {said}",
            rule.fix,
            rule.ref,
            waits_for=rule.mended_by if planned else "",
        )


def diagnose(evidence: Evidence, *, apply: bool = True) -> Checklist:
    """The causes found; what an unapplied plan explains is pending, what could not be seen unknown."""
    found = findings(evidence)
    checks = [finding.check(apply=apply) for finding in found]
    checks += _unseen(evidence, [finding.rule for finding in found])
    if not found:
        facts = sum(not fact.unseen for fact in evidence.facts.values())
        looked = f"{len(RULES[evidence.server])} rules on {facts} facts found nothing wrong"
        checks.append(passed("diagnosis.nothing-found", NOTHING_KNOWN, looked))
    return Checklist("diagnosis", tuple(checks))


def findings(evidence: Evidence) -> list[Finding]:
    """What matched, in the order of the rules, without what only follows from something else that did."""
    matched = [(rule, tuple(rule.match(evidence))) for rule in RULES[evidence.server]]
    matched = [(rule, seen) for rule, seen in matched if seen]
    rules = [rule for rule, _ in matched]
    return [
        Finding(rule, seen, tuple(other.id for other in rules if rule.shadows(other)))
        for rule, seen in matched
        if not any(other.shadows(rule) for other in rules)
    ]


def _unseen(evidence: Evidence, causes: Iterable[Rule]) -> Iterator[Check]:
    """A row for each fact that could not be seen, unless a cause explains why."""
    explained = {word for rule in causes for word in rule.explains}
    for name, fact in evidence.facts.items():
        if fact.unseen and name.split()[0] not in explained:
            yield Check(
                f"evidence.{name}",
                Status.UNKNOWN,
                "to be seen",
                fact.unseen,
                "see to it that this can be observed; rules that need it were not tried",
                advisory=fact.advisory,
            )
