"""What makes senders insist on TLS: MTA-STS, TLS-RPT, and who may issue certificates."""

from __future__ import annotations

import re

from runbooklib import mtasts, tlsrpt
from runbooklib.answers import Answer
from runbooklib.mtasts import StsError
from runbooklib.records.rules import Comparison, missing, right
from runbooklib.records.wanted import Wanted
from runbooklib.results import Status
from runbooklib.tlsrpt import TlsRptError

ISSUE = re.compile(r'(?P<flags>\d+) issue "\s*(?P<issuer>[^\s;"]*)')  # RFC 8659 4.2


def announcement(wanted: Wanted, answer: Answer) -> Comparison:
    """One record with the id of the policy that is served; another id is of a policy of before."""
    found = [v for v in answer.values if mtasts.is_sts(v)]
    if not found:
        return missing(wanted, answer)
    if len(found) > 1:
        said = f"{len(found)} MTA-STS records, which count as none: {' and '.join(found)}"
        return Comparison(Status.FAIL, said, fix=f"keep one: {wanted.values[0]}")
    try:
        same = mtasts.parse_record(found[0]) == mtasts.parse_record(wanted.values[0])
    except StsError:
        same = False
    if same:
        return right(found[0])
    return Comparison(Status.FAIL, found[0], tuple(wanted.values[0] if v == found[0] else v for v in answer.values))


def reports(wanted: Wanted, answer: Answer) -> Comparison:
    """One record that can be read; who gets the reports beside us, or instead, is the owner's choice."""
    found = [v for v in answer.values if tlsrpt.is_tlsrpt(v)]
    if not found:
        return missing(wanted, answer)
    try:
        stands, ours = tlsrpt.asked(found), tlsrpt.parse(wanted.values[0])
    except TlsRptError as error:
        return Comparison(Status.FAIL, f"{' and '.join(found)}: {error}", fix=f"make it one: {wanted.values[0]}")
    if set(ours.destinations) <= set(stands.destinations):
        return right(found[0])
    fix = f"left as it is; when reports shall come to us, make it {wanted.values[0]} yourself"
    return Comparison(Status.WARN, found[0], fix=fix)


def issuers(wanted: Wanted, answer: Answer) -> Comparison:
    """Our CA among those that may issue; whom else the owner allows stays allowed."""
    allowed = {m["issuer"] for v in answer.values if (m := ISSUE.match(v))}
    ours = {m["issuer"] for v in wanted.values if (m := ISSUE.match(v))}
    return right(answer.shown) if ours <= allowed else missing(wanted, answer)
