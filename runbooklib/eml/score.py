"""What a spam filter makes of a message: rspamd's answer and SpamAssassin's report as values, judged row by row.

ScoreError  an answer is not what the filter documents
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from runbooklib.eml import symbols
from runbooklib.eml.hops import Hop
from runbooklib.eml.reading import Eml
from runbooklib.results import Check, RunbookError, Status

RSPAMD, SPAMASSASSIN = "rspamd", "SpamAssassin"
# What rspamd counts against an address outside ASCII as such (3.4 knows no SMTPUTF8, RFC 6531).
OUTSIDE_ASCII = {"INVALID_RCPT_8BIT", "TO_NEEDS_ENCODING", "RCVD_ILLEGAL_CHARS", "RCVD_NO_TLS_LAST"}
NOTICED = 0.5  # points from which a symbol is worth a change
# What rspamd advises a server to do (rspamd.com: actions); an action somebody made up is only noticed.
ACTIONS = {
    "no action": Status.PASS,
    "greylist": Status.WARN,
    "soft reject": Status.WARN,
    "add header": Status.FAIL,
    "rewrite subject": Status.FAIL,
    "quarantine": Status.FAIL,
    "reject": Status.FAIL,
    "discard": Status.FAIL,
}
BLANK = re.compile(rb"(\r?\n)\r?\n")  # RFC 5322 2.1: the body follows
RECEIVED = re.compile(rb"^received:", re.IGNORECASE | re.MULTILINE)
VERDICT = re.compile(rb"^x-(?:spamd?|rspamd)(?:-[a-z-]+)?:.*\n(?:[ \t].*\n)*", re.IGNORECASE | re.MULTILINE)
NUMBER = r"(-?\d+(?:\.\d+)?)"
TOTALS = (  # of `spamc -R`, in its first line; in the header
    re.compile(rf"\A\s*{NUMBER}/{NUMBER}\s*$", re.MULTILINE),
    re.compile(rf"^X-Spam-Status: \w+, score={NUMBER} required={NUMBER}", re.MULTILINE),
)
RULE = re.compile(rf"^[ \t]*\*?[ \t]*{NUMBER} +([A-Z][A-Z0-9_]+)(?: +(.*))?$")
MORE = re.compile(r"^(?: {20}|[ \t]*\*)[ \t]*(\S.*)$")


class ScoreError(RunbookError):
    """An answer that is not what the filter documents."""


@dataclass(frozen=True)
class Symbol:
    """One test that matched, and what it added or took."""

    name: str
    points: float
    described: str = ""  # the filter's own words
    options: tuple[str, ...] = ()  # what it matched on


@dataclass(frozen=True)
class Score:
    """What one filter makes of one message."""

    filter: str
    points: float
    limit: float | None  # the points from which it is filed as spam; None: the filter did not say
    action: str  # rspamd's advice, SpamAssassin's yes or no
    symbols: tuple[Symbol, ...] = ()
    apart: float = 0.0  # points that were left out

    @property
    def status(self) -> Status:
        """What becomes of the message: delivered, delayed, or filed as spam."""
        return ACTIONS.get(self.action, Status.WARN)

    def __str__(self) -> str:
        of = "" if self.limit is None else f" of {self.limit:g}"
        apart = f"; {self.apart:g} more, as it knows no address outside ASCII" if self.apart else ""
        return f"{self.points:g}{of} points by {self.filter}: {self.action}{apart}"


def rspamd(text: str) -> Score:
    """The JSON that /checkv2 answers with, as rspamd 2 and 3 write it.

    Raises ScoreError.
    """
    try:
        told = json.loads(text)
        if not isinstance(told, dict) or "error" in told:
            raise ScoreError(f"rspamd answered {text[:200]!r}")
        found = tuple(_symbol(name, about) for name, about in dict(told["symbols"]).items())
        return Score(RSPAMD, round(float(told["score"]), 2), _limit(told), str(told["action"]), found)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ScoreError(f"no answer of rspamd's: {type(error).__name__}: {error}") from None


def _symbol(name: str, about: Mapping[str, Any]) -> Symbol:
    """`score` is what counted, after the limits of its group; `metric_score` is what it would have been alone."""
    options = tuple(str(option) for option in about.get("options") or ())
    return Symbol(name, round(float(about["score"]), 2), str(about.get("description") or ""), options)


def _limit(told: Mapping[str, Any]) -> float | None:
    """Newer versions tell each threshold; older ones the highest that is set."""
    found = (told.get("thresholds") or {}).get("add header", told.get("required_score"))
    return None if found is None else float(found)


def spamassassin(text: str) -> Score:
    """The report of `spamc -R`, or what `spamassassin -t` makes of the message: its last table counts.

    Raises ScoreError.
    """
    total = next(filter(None, (pattern.search(text) for pattern in TOTALS)), None)
    if total is None or not float(total[2]):  # spamc says 0/0 where nobody has judged it
        raise ScoreError(f"no report of SpamAssassin's: {text[:200]!r}")
    points, limit = float(total[1]), float(total[2])
    _, _, table = text.rpartition("---- ----")
    return Score(SPAMASSASSIN, points, limit, "add header" if points >= limit else "no action", tuple(_rules(table)))


def _rules(table: str) -> Iterator[Symbol]:
    """One rule a line; a long description goes on in the next ones."""
    found: list[tuple[str, str, str]] = []
    for line in table.splitlines()[1:]:
        if rule := RULE.match(line):
            found.append((rule[2], rule[1], rule[3] or ""))
        elif found and (more := MORE.match(line)):
            found[-1] = (*found[-1][:2], f"{found[-1][2]} {more[1]}")
        elif found and line.strip():
            break
    for name, points, described in found:
        yield Symbol(name, float(points), "" if described.startswith("No description") else described.strip())


def taken(mail: Eml, border: Hop | None) -> bytes:
    """The message as its recipient's own servers took it: without what they, and their filter, wrote into it since.

    A filter would judge what another has written, and believe the recipient's own hosts to be the way.
    """
    own = next((i for i, hop in enumerate(reversed(mail.hops)) if hop is border), 0)
    end = blank.end(1) if (blank := BLANK.search(mail.raw)) else len(mail.raw)
    starts = [found.start() for found in RECEIVED.finditer(mail.raw, 0, end)]
    if border is None or own >= len(starts):
        return mail.raw
    # Milters put their verdict below their server's own Received, or at the end of the headers: whose it is none tells.
    return VERDICT.sub(b"", mail.raw[starts[own] : end]) + mail.raw[end:]


def to_wide(found: Score) -> Score:
    """What a filter makes of a message to an address outside ASCII, but for that: no sender can help it."""
    apart = round(sum(s.points for s in found.symbols if s.name in OUTSIDE_ASCII), 2)
    points, kept = round(found.points - apart, 2), tuple(s for s in found.symbols if s.name not in OUTSIDE_ASCII)
    below = apart and found.limit is not None and points < found.limit
    return replace(found, points=points, action="no action" if below else found.action, symbols=kept, apart=apart)


def total(about: str, score: Score) -> Check:
    """What becomes of the message."""
    limit = "" if score.limit is None else f" ({score.limit:g} points)"
    expected = f"below what is filed as spam{limit}"
    fix = "" if score.status is Status.PASS else f"change what adds most: {_most(score.symbols)}"
    return Check(f"delivery.score {about}", score.status, expected, str(score), fix)


def _most(found: Iterable[Symbol]) -> str:
    worst = sorted((s for s in found if s.points > 0), key=lambda s: -s.points)[:3]
    return ", ".join(f"{s.name} ({s.points:g})" for s in worst) or "no symbol adds points: the filter's own rules do"


def telling(score: Score) -> tuple[Symbol, ...]:
    """The symbols that cost points, or say at no cost here what costs mail elsewhere."""
    return tuple(s for s in score.symbols if s.points > 0 or symbols.explain(s.name, s.described).anyway)


def matched(about: str, found: Sequence[tuple[str, Symbol]], of: int) -> Check:
    """One symbol over all messages of a domain: what it means and what to change; `found` has the messages' names."""
    worst = max((symbol for _, symbol in found), key=lambda s: s.points)
    told = symbols.explain(worst.name, worst.described)
    named = [name for name, _ in found]
    where = f"in {len(named)} of {of} messages" if of > 1 else "in the message"
    only = f" ({', '.join(named)})" if len(named) < min(of, 4) else ""
    said = f"{worst.points:g}: {told.means}{_on(worst)}; {where}{only}"
    status = Status.WARN if worst.points >= NOTICED or told.anyway else Status.PASS
    return Check(f"delivery.symbol {about} {worst.name}", status, "not matched", said, told.fix, told.ref)


def _on(symbol: Symbol) -> str:
    shown = ", ".join(symbol.options)[:120]
    return f" [{shown}]" if shown else ""
