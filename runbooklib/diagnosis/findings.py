"""Rules applied to evidence: causes first, what follows from them beneath, what was not seen last."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from runbooklib.diagnosis import unseen
from runbooklib.diagnosis.certificate_rules import (
    CERTIFICATE_RULES,
    FETCHED,
    NOT_LOADED_IN_CONTAINER,
    NOT_LOADED_ON_HOST,
)
from runbooklib.diagnosis.container_rules import CONTAINER_RULES
from runbooklib.diagnosis.dns_rules import DNS_RULES
from runbooklib.diagnosis.evidence import Evidence
from runbooklib.diagnosis.facts import readable
from runbooklib.diagnosis.key_rules import KEY_RULES, SIGNER_RULES, UNREADABLE_IN_CONTAINER, UNREADABLE_ON_HOST
from runbooklib.diagnosis.mailcow_rules import MAILCOW_RULES
from runbooklib.diagnosis.network_rules import BRIDGE_RULES, NETWORK_RULES
from runbooklib.diagnosis.pasted_rules import PASTED_RULES
from runbooklib.diagnosis.postfix_rules import POSTFIX_RULES
from runbooklib.diagnosis.queue_rules import QUEUE_RULES
from runbooklib.diagnosis.refusal_rules import CLIENT_BANNED, GATEWAY_BANNED, NOT_OWNED, REFUSAL_RULES
from runbooklib.diagnosis.relay_rules import RELAY_RULES, TABLE_RULES
from runbooklib.diagnosis.rules import Rule, Sign, Sureness, Symptom
from runbooklib.diagnosis.server_rules import CLOCK_WRONG, SERVER_RULES
from runbooklib.params import DOCKER_MAILSERVER, MAILCOW, POSTFIX
from runbooklib.results import Check, Checklist, Status, passed

OWN: Mapping[str, tuple[Rule, ...]] = {
    DOCKER_MAILSERVER: (
        *CONTAINER_RULES,
        *TABLE_RULES,
        NOT_LOADED_IN_CONTAINER,
        *CERTIFICATE_RULES,
        UNREADABLE_IN_CONTAINER,
        *SIGNER_RULES,
        *BRIDGE_RULES,
        NOT_OWNED,
        GATEWAY_BANNED,
        CLIENT_BANNED,
    ),
    MAILCOW: (*MAILCOW_RULES, *FETCHED),
    POSTFIX: (
        *POSTFIX_RULES,
        *TABLE_RULES,
        NOT_LOADED_ON_HOST,
        *CERTIFICATE_RULES,
        UNREADABLE_ON_HOST,
        *SIGNER_RULES,
        CLIENT_BANNED,
    ),
}
# For each mail server its rules, its own before those of all, in the order in which causes are looked for.
RULES: Mapping[str, tuple[Rule, ...]] = {
    server: (
        *PASTED_RULES,
        CLOCK_WRONG,
        *own,
        *NETWORK_RULES,
        *SERVER_RULES,
        *RELAY_RULES,
        *QUEUE_RULES,
        *REFUSAL_RULES,
        *KEY_RULES,
        *DNS_RULES,
    )
    for server, own in OWN.items()
}
NOTHING_KNOWN = "no known cause of trouble"
LONG = 500  # characters of what was seen
MOST = 20  # signs of a finding that are told one by one; the others are counted


Tried = Sequence[tuple[Rule, tuple[Sign, ...] | None]]  # what speaks for each rule; None: it could not read a fact


@dataclass(frozen=True)
class Finding:
    """A rule that matched, what was seen, and the ids of the rules whose findings follow from it."""

    rule: Rule
    signs: tuple[Sign, ...]
    following: tuple[str, ...] = ()

    def check(self, *, apply: bool) -> Check:
        rule = self.rule
        planned = rule.mended_by and not apply
        return Check(
            f"diagnosis.{rule.id}",
            Status.PENDING if planned else rule.status,
            NOTHING_KNOWN,
            self._said(),
            self._fix(),
            self._told("ref") or rule.ref,
            waits_for=rule.mended_by if planned else "",
        )

    def _said(self) -> str:
        sure = "" if self.rule.sureness is Sureness.CERTAIN else f" ({self.rule.sureness})"
        seen = _some([readable(sign.said, LONG) for sign in self.signs[:MOST]], len(self.signs))
        explained = f" (explains: {', '.join(self.following)})" if self.following else ""
        return f"{self.rule.cause}{sure}: {seen}{explained}"

    def _fix(self) -> str:
        rule = self.rule
        next_look = f"look first: {rule.observe}; then " if rule.observe else ""
        commands = self.commands
        exact = f": `{_some(commands[:MOST], len(commands))}`" if commands else ""
        return f"{next_look}{self._told('fix') or rule.fix}{f' ({rule.cell})' if rule.cell else exact}"

    def _told(self, what: str) -> str:
        """What the signs themselves say, each once."""
        return "; ".join(dict.fromkeys(filter(None, (getattr(sign, what) for sign in self.signs[:MOST]))))

    @property
    def commands(self) -> tuple[str, ...]:
        """What mends it in a shell on the server, once for each thing it is about."""
        command = self.rule.command
        return tuple(dict.fromkeys(command.replace("{about}", _quoted(s)) for s in self.signs)) if command else ()


def _some(told: Sequence[str], of: int) -> str:
    """The first of so many, and how many more there are."""
    return "; ".join(told) + (f"; … and {of - len(told)} more" if of > len(told) else "")


def _quoted(sign: Sign) -> str:
    """What the sign is about, as words of a shell: what came in by a log must not become a command."""
    return " ".join(map(shlex.quote, sign.about.split()))


def diagnose(evidence: Evidence, *, symptom: str = "", apply: bool = True) -> Checklist:
    """The causes found; what an unapplied plan explains is pending, what could not be seen unknown."""
    asked = Symptom.named(symptom)
    tried = _all_tried(evidence)
    found = _found(tried, asked)
    rules = [rule for rule, _ in tried if rule.concerns(asked)]
    checks = [finding.check(apply=apply) for finding in found]
    checks += unseen.rows(evidence, rules, {word for one in found for word in one.rule.explains})
    checks += _puzzling(tried)
    if not found:
        checks += _nothing(evidence, rules)
    return Checklist("diagnosis", tuple(checks))


def _nothing(evidence: Evidence, rules: Sequence[Rule]) -> list[Check]:
    """What was looked at in vain; a rule of which a fact is missing has not looked, nor one of what nobody gave it."""
    rules = [rule for rule in rules if not unseen.GIVEN.issuperset(rule.needs)]
    facts = sum(not fact.unseen for fact in evidence.facts.values())
    left = [rule.id for rule in unseen.untried(evidence, rules)]
    looked = f"{len(rules) - len(left)} rules on {facts} facts found nothing wrong{_reach(evidence)}"
    rest = f"; {len(left)} not fully tried, as facts are missing" if left else ""
    return [passed("diagnosis.nothing-found", NOTHING_KNOWN, looked + rest)] if len(left) < len(rules) else []


def _reach(evidence: Evidence) -> str:
    """How far back the log was read."""
    log = evidence["log"]
    since = log.get("since") if isinstance(log, Mapping) else ""
    return f", in the log since {readable(str(since))}" if since else ""


def _puzzling(tried: Tried) -> Iterator[Check]:
    """A row about facts that are not of the shape that rules of this version read."""
    puzzled = [rule.id for rule, signs in tried if signs is None]
    if puzzled:
        said = f"facts of a shape that this version does not know; not tried: {', '.join(puzzled)}"
        fix = "diagnose with the version that gathered them, or gather anew"
        yield Check("evidence.shape", Status.UNKNOWN, "facts as rules read them", said, fix)


def findings(evidence: Evidence, symptom: Symptom | None = None) -> list[Finding]:
    """What matched, likeliest cause first, without what only follows from something else that did."""
    return _found(_all_tried(evidence), symptom)


def _found(tried: Tried, symptom: Symptom | None) -> list[Finding]:
    matched = [Seen(rule, signs) for rule, signs in tried if signs and rule.concerns(symptom)]
    causes = [seen for one in matched if (seen := one.without(other for other in matched if other.shadows(one))).signs]
    whole = [Finding(cause.rule, cause.signs, _following(cause, matched)) for cause in causes]
    return sorted(whole, key=lambda finding: _rank(finding.rule, symptom))


def _all_tried(evidence: Evidence) -> Tried:
    return [(rule, _tried(rule, evidence)) for rule in RULES[evidence.server]]


def _tried(rule: Rule, evidence: Evidence) -> tuple[Sign, ...] | None:
    """What speaks for the rule; None where a saved fact is not what the rule takes it for."""
    try:
        return tuple(Sign(sign) if isinstance(sign, str) else sign for sign in rule.match(evidence))
    except (LookupError, TypeError, ValueError, AttributeError):
        return None


class Seen:
    """A rule's signs, with all that they are about: whether another follows is a look, not a walk through them."""

    def __init__(self, rule: Rule, signs: tuple[Sign, ...]) -> None:
        self.rule, self.signs = rule, signs
        words = [_words(sign) for sign in signs]
        self.words, self.everywhere = frozenset[str]().union(*words), not all(words)

    def shadows(self, other: Seen) -> bool:
        return self.rule.shadows(other.rule)

    def covers(self, sign: Sign) -> bool:
        """Whether it is about the same thing; a sign of the whole site is about each, others about all they name."""
        words = _words(sign)
        return bool(self.signs) and (self.everywhere or not words or not words.isdisjoint(self.words))

    def without(self, others: Iterable[Seen]) -> Seen:
        """What none of the others covers."""
        above = tuple(others)
        return Seen(self.rule, tuple(sign for sign in self.signs if not any(one.covers(sign) for one in above)))


def _words(sign: Sign) -> frozenset[str]:
    """All it is about; what is about an address is about its domain."""
    return frozenset(part for word in sign.about.split() for part in (word, word.rpartition("@")[2]))


def _following(cause: Seen, matched: Sequence[Seen]) -> tuple[str, ...]:
    """The ids of all that follows, through whatever lies between."""
    left, reached = {one.rule.id: one for one in matched if one.rule is not cause.rule}, [cause]
    for one in reached:  # grows while it is walked; each sign comes into it once
        for other in [other for other in left.values() if one.rule.explaining(other.rule)]:
            rest = other.without((one,))
            follows = Seen(other.rule, tuple(sign for sign in other.signs if one.covers(sign)))
            left[other.rule.id] = rest
            reached += [follows] if follows.signs else []
    return tuple(dict.fromkeys(one.rule.id for one in reached[1:]))


def _rank(rule: Rule, symptom: Symptom | None) -> tuple[bool, bool, int]:
    """What fits the symptom before the rest, what is broken before what will hurt later, the surest first."""
    return symptom is not None and symptom not in rule.symptoms, rule.status is not Status.FAIL, _order(rule.sureness)


def _order(sureness: Sureness) -> int:
    return list(Sureness).index(sureness)
