"""The ladder none → quarantine → reject: a rung more only where reports prove that no mail of ours would be lost."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from runbooklib.dmarc.aggregate import Report
from runbooklib.dmarc.record import POLICIES

DAYS = 14  # with reports, every source in them aligned or disowned
FRESH = timedelta(days=7)  # older reports say nothing of what sends today
LONGEST = timedelta(days=2)  # receivers report each day (RFC 9990 3.5.3); one forged report shall not stand for many


@dataclass(frozen=True)
class Rung:
    """The strictest policy that reports allow for a domain, and what they say."""

    domain: str
    allowed: str = POLICIES[0]
    said: str = "no reports"
    fix: str = ""

    def limits(self, goal: str) -> str:
        """The policy to publish on the way to `goal`."""
        return min(self.allowed, goal, key=POLICIES.index)


def rung(domain: str, reports: Iterable[Report], disowned: Collection[str], now: datetime, published: str = "") -> Rung:
    """How far up the reports of a domain let it go: one above the policy that its own servers publish.

    Test messages prove only this server's mail, so nothing but reports counts, and of them those made under that
    policy. What a report says is believed as it stands: a forged one can hold the ladder back, and adds days only where
    all others agree.
    """
    stands = published or POLICIES[0]
    ours = [r for r in reports if r.domain == domain]
    plausible = [r for r in ours if r.begin <= r.end <= now and r.end - r.begin <= LONGEST]
    current = sorted((r for r in plausible if r.policy == stands), key=lambda r: r.end)
    lost = len(ours) - len(plausible)
    left = f"; {lost} left out, of more than {LONGEST.days} days or of the future" if lost else ""
    if not current:
        fix = "publish rua= with a mailbox of this server, and wait for receivers to report"
        return Rung(domain, stands, f"no reports{f' under p={stands}' if ours else ''}{left}", fix)
    days = sorted({day for r in current for day in _days(r)})[-DAYS:]
    said = f"reports of {len(days)} days under p={stands}, the last of {current[-1].end:%Y-%m-%d}{left}"
    if now - current[-1].end > FRESH:
        return Rung(domain, stands, f"{said}, too old", "is rua= still published, and does its mail arrive?")
    if len(days) < DAYS:
        return Rung(domain, stands, said, f"wait until {DAYS} days are reported: {DAYS - len(days)} to come")
    strangers = _strangers(current, set(days), disowned)
    if strangers:
        return Rung(domain, stands, f"{said}; unaligned: {_listed(strangers)}", EITHER)
    return Rung(domain, _above(stands), f"{said}, every source aligned or disowned")


EITHER = "let each sign or send in alignment (SPF or DKIM), or name it under dmarc.disowned when it is not yours"


def _above(policy: str) -> str:
    return POLICIES[min(POLICIES.index(policy) + 1, len(POLICIES) - 1)]


def _days(report: Report) -> list[date]:
    """The days (UTC) it covers, where it counted any message."""
    if not any(row.count for row in report.rows):
        return []
    first, last = report.begin.date(), max(report.begin, report.end - timedelta(seconds=1)).date()
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def _strangers(reports: Iterable[Report], days: set[date], disowned: Collection[str]) -> Counter[str]:
    """Messages by address that aligned by nothing and that nobody has disowned."""
    networks = [ipaddress.ip_network(network) for network in disowned]
    found: Counter[str] = Counter()
    for report in reports:
        if days.intersection(_days(report)):
            for row in report.rows:
                if not row.aligned and not any(ipaddress.ip_address(row.source) in n for n in networks):
                    found[row.source] += row.count
    return +found


def _listed(strangers: Counter[str]) -> str:
    shown = [f"{source} ({count})" for source, count in strangers.most_common(5)]
    more = len(strangers) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
