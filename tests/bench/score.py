"""The golden set as a score: how often the audit says what is true, and checkdmarc where it has the check.

Both are read generously: a warning counts as heard where something is wrong, and as nothing where all is well.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping

import peer
from figures import Figure, figure
from golden import judging, scenarios
from golden.judging import Verdict
from golden.scenarios import WORDS, Scenario

from runbooklib.results import Check, Status

POLICY = ("dns.mta-sts.policy",)  # judged where the scenario has one to give
SUBJECTS = {  # what checkdmarc looks at, and which of our checks do; DNSSEC is left out: a literal has no signatures
    "soa": ("dns.zone",),
    "ns": ("dns.ns.count", "dns.ns.names"),
    "mx": ("dns.mx", "dns.mx.null", "dns.mx.name", "dns.mx.address"),
    "spf": (
        *("dns.spf.record", "dns.spf.single", "dns.spf.syntax", "dns.spf.targets"),
        *("dns.spf.lookup-limit", "dns.spf.void-limit", "dns.spf.ptr"),
    ),
    "dmarc": ("dns.dmarc.record", "dns.dmarc.single", "dns.dmarc.syntax", "dns.dmarc.authorised"),
    "mta_sts": ("dns.mta-sts.record", *POLICY),
    "smtp_tls_reporting": ("dns.tls-rpt",),
}
SAID = {Status.FAIL: "wrong", Status.WARN: "warned", Status.UNKNOWN: "unknown", Status.PASS: "good"}
VERDICTS = {  # by the truth: what each word is
    "wrong": {"wrong": Verdict.RIGHT, "warned": Verdict.RIGHT, "unknown": Verdict.NEEDLESS_UNKNOWN},
    "good": {"good": Verdict.RIGHT, "warned": Verdict.RIGHT, "unknown": Verdict.NEEDLESS_UNKNOWN},
    "unknown": {"unknown": Verdict.RIGHT, "wrong": Verdict.FALSE_FAIL, "warned": Verdict.FALSE_FAIL},
}
Tally = Counter[Verdict]


def figures(say: Callable[[str], None]) -> list[Figure]:
    """The score of the whole set, then of what both have."""
    found = [(scenario, asyncio.run(judging.rows(scenario))) for scenario in scenarios.every()]
    whole = Counter(j.verdict for scenario, rows in found for j in judging.judge(scenario, rows))
    ours, theirs = Tally(), Tally()
    for scenario, rows in found:
        for subject, truth, mine, other in _compared(scenario, rows):
            ours[_verdict(truth, mine)] += 1
            theirs[_verdict(truth, other)] += 1
            if _verdict(truth, mine) is not _verdict(truth, other):
                say(f"{scenario}: {subject} is {truth}: {mine} here, {other} there ({_verdict(truth, other)})")
    say(_table({"whole set": whole, "same checks": ours, "checkdmarc, same checks": theirs}))
    return [
        figure("golden set, right", _share(whole), 100, "the goal", "%"),
        figure("golden set, right where checkdmarc has the check", _share(ours), _share(theirs), "checkdmarc", "%"),
    ]


def _compared(scenario: Scenario, rows: tuple[Check, ...]) -> Iterator[tuple[str, str, str, str]]:
    """Subject, truth, what we say and what checkdmarc says, where it looks at the same names and asks the same way."""
    subject = scenario.subject
    if subject is None or subject.return_paths or scenario.authoritative:
        return
    unasked = () if scenario.policy is not None else POLICY
    ids = {name: tuple(id_ for id_ in of if id_ not in unasked) for name, of in SUBJECTS.items()}
    truths = {name: truth for name, of in ids.items() if (truth := _truth(scenario, of))}
    worst, theirs = judging.said(rows), peer.says(scenario, truths)
    for name, truth in truths.items():
        there = [worst[id_] for id_ in ids[name] if id_ in worst]
        yield name, truth, SAID[Status.worst(there)], theirs[name]


def _truth(scenario: Scenario, ids: tuple[str, ...]) -> str:
    """What is true of these checks together; empty where that is a matter of opinion."""
    allowed = [t.allowed for t in scenario.truth if set(t.ids) <= set(ids)]
    if any(a <= WORDS["bad"] for a in allowed):
        return "wrong"
    if any(a == WORDS["unknown"] for a in allowed):
        return "unknown"
    good = bool(allowed) and all(a <= WORDS["unused"] | WORDS["warn"] for a in allowed)
    return "good" if good and any(a <= WORDS["unused"] for a in allowed) else ""


def _verdict(truth: str, word: str) -> Verdict:
    return VERDICTS[truth].get(word, Verdict.FALSE_FAIL if truth == "good" else Verdict.FALSE_PASS)


def _share(tally: Mapping[Verdict, int]) -> float:
    return 100 * tally.get(Verdict.RIGHT, 0) / max(1, sum(tally.values()))


def _table(tallies: Mapping[str, Mapping[Verdict, int]]) -> str:
    head = ["| golden set |", *(f" {verdict} |" for verdict in Verdict)]
    rows = [f"| {name} |" + "".join(f" {t.get(v, 0)} |" for v in Verdict) for name, t in tallies.items()]
    return "\n".join(["".join(head), "|---|" + "---|" * len(Verdict), *rows])
