"""Rules about what somebody pasted: each refusal in it with its own meaning, and what can be done."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from runbooklib.diagnosis import letters
from runbooklib.diagnosis.evidence import Evidence
from runbooklib.diagnosis.queue_rules import REPLIES
from runbooklib.diagnosis.rules import Rule, Sign, Symptom
from runbooklib.eml.statuses import NOTHING, Meaning, explain
from runbooklib.results import Status

GENERAL = {"policy"}  # such words say less than the status code does
FAILED = {"fail", "softfail", "hardfail", "permerror", "temperror", "policy", "neutral"}  # RFC 8601 2.7
UNAUTHENTIC = {
    "spf": ("let SPF of that domain name the server that handed it over (04); forwards need SRS", "RFC 7208 8.4"),
    "dkim": (
        "`runbook eml` on the whole message says whether key or content is broken",
        "RFC 6376 6.1",
    ),
    "dmarc": ("SPF or DKIM has to pass for the domain of From itself (03, 04, 05)", "RFC 9989 4.4"),
}
EXPECTED = (
    "paste one of these: the bounce as it arrived (its source, or the text a reader sees), the answer that the program "
    "showed (such as 550 5.7.1 and its words), the lines of the mail log about the message, or the message that arrived"
)


def meaning(said: str, status: str, by: str) -> Meaning:
    """A receiver's own words first, then what servers of the same kind say, then the code of RFC 3463."""
    own = explain("", said, by)
    if own is not NOTHING:
        return own
    reply = next((r for r in REPLIES if r.id not in GENERAL and re.search(r.pattern, said, re.IGNORECASE)), None)
    return Meaning(reply.cause, reply.fix, reply.ref) if reply else explain(status, said, by)


def _told(evidence: Evidence, *, final: bool) -> Iterator[Sign]:
    for each in (evidence["pasted"] or {}).get("told", []):
        if each["final"] == final:
            found = meaning(each["said"], each["status"], each["by"])
            yield Sign(f"{_whom(each)}{found.means} ({each['said']})", each["to"], found.todo, found.ref)


def _whom(each: dict[str, Any]) -> str:
    words = (f"to {each['to']}" if each["to"] else "", f"by {each['by']}" if each["by"] else "")
    about = " ".join(filter(None, words))
    return f"{about}: " if about else ""


def refused(evidence: Evidence) -> Iterator[Sign]:
    """What nobody tries any more."""
    return _told(evidence, final=True)


def put_off(evidence: Evidence) -> Iterator[Sign]:
    """What is tried again."""
    return _told(evidence, final=False)


def unread(evidence: Evidence) -> Iterator[str]:
    """A paste in which nothing was found."""
    told = evidence["pasted"]
    if told and told["kind"] == letters.PASTED:
        if not list(unauthentic(evidence)):
            yield f"a message in which nothing failed: {'; '.join(_known(told))}"
    elif told and not told["told"]:
        yield "lines of a log, in which nothing failed" if told["kind"] else "no bounce, no answer and no log is in it"


def _known(told: Mapping[str, Any]) -> Iterator[str]:
    yield from map(_verdict, told["results"])
    yield from (f"signed with s={each['selector']} d={each['domain']}" for each in told["signed"])


def _verdict(result: Mapping[str, str]) -> str:
    about = f" for {result['about']}" if result["about"] else ""
    return f"{result['by'] or 'the receiver'} says {result['method']}={result['result']}{about}"


def unauthentic(evidence: Evidence) -> Iterator[Sign]:
    """What did not pass with who received a message, and how the site's own signature in it differs from params."""
    told = evidence["pasted"]
    if not told or told["kind"] != letters.PASTED:
        return
    for each in told["results"]:
        if each["result"] in FAILED:
            yield Sign(_verdict(each), each["about"], *UNAUTHENTIC[each["method"]])
    for domain in (d for d in evidence.domains if d["name"] == told["author"]):
        own = [each["selector"] for each in told["signed"] if each["domain"] == domain["name"]]
        if not own:
            yield Sign(f"no signature of {domain['name']} is in it", domain["name"], "run stage 03", "RFC 6376 3.3")
        elif domain.get("selector") not in own:
            said = f"it is signed with s={', '.join(own)}, params say {domain.get('selector')}"
            yield Sign(said, domain["name"], "run stage 03, or name the selector that signs in params", "RFC 6376 3.1")


PASTED_RULES = (
    Rule(
        id="pasted-refused",
        cause="what was pasted tells of a refusal",
        needs=("pasted",),
        match=refused,
        fix="its words say why",
        ref="RFC 3463",
        symptoms=(Symptom.BOUNCED, Symptom.CANNOT_SEND, Symptom.JUNK),
    ),
    Rule(
        id="pasted-put-off",
        cause="what was pasted tells of mail that was put off, and is tried again",
        needs=("pasted",),
        match=put_off,
        fix="wait; its words say why",
        ref="RFC 3463",
        status=Status.WARN,
        symptoms=(Symptom.SLOW, Symptom.BOUNCED),
    ),
    Rule(
        id="pasted-unauthentic",
        cause="who received the message that was pasted did not find it authentic",
        needs=("pasted",),
        match=unauthentic,
        fix="its words say why",
        ref="RFC 8601",
        status=Status.WARN,
        symptoms=(Symptom.JUNK, Symptom.BOUNCED),
    ),
    Rule(
        id="pasted-unread",
        cause="nothing that failed was recognised in what was pasted",
        needs=("pasted",),
        match=unread,
        fix=EXPECTED,
        ref="RFC 3464, RFC 5321 4.2",
        status=Status.WARN,
        symptoms=(Symptom.BOUNCED,),
    ),
)
