"""What somebody pasted, a bounce, an answer, a log or a message, as a fact: who refused what for whom, in which words.

Nothing here raises on hostile input, and the time it takes grows with the length alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from runbooklib import maillog
from runbooklib.diagnosis import letters
from runbooklib.eml import dsn, source
from runbooklib.eml.source import SourceError
from runbooklib.eml.statuses import NOTHING, explain
from runbooklib.maillog import Event

READ = 2**20  # characters; what comes later is not read
MOST = 20  # refusals
PIECES = 2000  # paragraphs
PARAGRAPH, SAID = 4000, 600  # characters
BOUNCE, ANSWER, LOG, NONE = "a bounce", "an answer", "a log", ""
STATUS = re.compile(r"(?<![\d.])([45]\.\d{1,3}\.\d{1,3})(?![\d.])")  # RFC 3463 2
# The codes of RFC 5321 4.2.3, RFC 4954 6 and what receivers use beside them; 465 and 587 are ports.
REPLY = re.compile(
    r"(?<![\w.#:/-])(4(?:21|22|31|32|41|42|5[0-5]|71)|5(?:0[0-5]|1[0-3]|2[1-5]|3[0-8]|41|5\d|71))(?=[- #])"
)
CONTINUED = re.compile(r"\n[ \t>]*[45]\d\d[- ](?:[45]\.\d{1,3}\.\d{1,3} )?")  # the next line of the same answer
PARAGRAPHS = re.compile(r"\n[ \t>]*\n")
REFUSING = re.compile(r"\breject|refused|failed|status=(?:deferred|bounced)", re.IGNORECASE)
ADDRESS = re.compile(r"[\w.+%=-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
HOST = re.compile(
    r"(?:host|server|by|from remote mail server|remote-mta: dns;) +<?([\w-]{1,63}(?:\.[\w-]{1,63}){1,8})", re.IGNORECASE
)


def pasted(text: str) -> dict[str, Any]:
    """The kind of what was pasted, and each refusal or deferral in it, like ones once."""
    text = text[:READ].replace("\r\n", "\n").replace("\r", "\n")
    if told := _distinct(_bounce(text)):
        return {"kind": BOUNCE, "told": told}
    if events := maillog.parse(text):
        return {"kind": LOG, "told": _distinct(_log(events)) or _distinct(_lines(events))}
    letter = letters.letter(text)
    told = _distinct(_answers(letters.body(text) if letter else text))
    return letter if letter and not told else {"kind": ANSWER if told else NONE, "told": told}


def _distinct(told: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    kept = dict[tuple[str, str], dict[str, Any]]()
    for each in told:
        kept.setdefault((each["said"], each["to"]), each)
        if len(kept) == MOST:
            break
    return list(kept.values())


def _refusal(said: str, status: str = "", to: str = "", by: str = "", *, final: bool | None = None) -> dict[str, Any]:
    words = " ".join(said.split())
    reply, found = REPLY.search(words), STATUS.search(words)
    level = reply[1][0] if reply else status[:1]
    vague = not status or status.endswith(".0.0")
    code = (found[1] if found and vague else status) or (f"{level}.0.0" if level else "")
    return {
        "said": words[:SAID],
        "status": code,
        "to": to,
        "by": by,
        "final": not code.startswith("4") if final is None else final,
    }


def _bounce(text: str) -> Iterator[dict[str, Any]]:
    """What a message says that is a notification (RFC 3464), or one of those that follow no standard."""
    try:
        told = dsn.parse(source.read(text.encode(errors="replace")).raw)
    except SourceError:
        return
    for fate in told.fates if told else ():
        if fate.action in {"failed", "delayed"} or fate.permanent:
            words = fate.diagnostic or str(fate)
            yield _refusal(words, fate.status, fate.address, fate.remote, final=fate.action != "delayed")


def _log(events: Sequence[Event]) -> Iterator[dict[str, Any]]:
    for group in maillog.unfinished(events):
        to = ", ".join(group.recipients)
        by = group.relay if group.status != "rejected" else "our own server"
        yield _refusal(group.said, "", to, by, final=group.status != "deferred" and not group.said.startswith("4"))


def _lines(events: Sequence[Event]) -> Iterator[dict[str, Any]]:
    """Lines that tell of a refusal and not of whom."""
    return (_refusal(event.text) for event in events if REFUSING.search(event.text))


def _answers(text: str) -> Iterator[dict[str, Any]]:
    """The paragraphs that quote a server, each with the address in it or the last one above."""
    to = ""
    for paragraph in dict.fromkeys(PARAGRAPHS.split(text, PIECES)):
        whole = " ".join(CONTINUED.sub(" ", paragraph[:PARAGRAPH]).split())
        here = ADDRESS.search(whole)
        to = here[0] if here else to
        if REPLY.search(whole) or STATUS.search(whole) or explain("", whole) is not NOTHING:
            by = HOST.search(whole)
            yield _refusal(_quoted(whole), "", to, by[1] if by else "")


def _quoted(whole: str) -> str:
    """From the answer's code on, where words for a reader come before it."""
    reply = REPLY.search(whole) or STATUS.search(whole)
    return whole[max(0, reply.start() - SAID // 3) :] if reply else whole
