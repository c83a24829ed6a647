"""A claim of the catalogue about one name, and the verdicts it can come to."""

from __future__ import annotations

from dataclasses import dataclass, replace

from runbooklib.answers import Answer, Word
from runbooklib.audit.catalogue import CATALOGUE
from runbooklib.results import Check, Status

ADVICE = {
    Word.BOGUS: "its DNSSEC is broken: compare the DS record at the parent with the zone's keys and signatures",
    Word.SERVFAIL: "the resolver got nothing from the zone's nameservers, or does not trust what it got (DNSSEC)",
    Word.LAME: "a nameserver that is asked for the zone does not hold it: set it up there, or correct the delegation",
    Word.REFUSED: "this server does not answer this machine: ask another resolver",
    Word.TIMEOUT: "is the server up, and is port 53 open from here?",
    Word.UNREACHABLE: "is there a way to that server from here?",
    Word.MALFORMED: "what came back could not be read: ask another resolver",
}


@dataclass(frozen=True)
class Claim:
    """What a row expects of a name, with the catalogue's reference."""

    id: str
    about: str  # the domain, host or address
    expected: str
    needed: bool = False  # mail depends on it, so that not knowing it stops a stage

    def check(self, status: Status, observed: str, fix: str = "") -> Check:
        """The row with a verdict."""
        row = Check(f"{self.id} {self.about}", status, self.expected, observed, fix, CATALOGUE[self.id].ref)
        return replace(row, advisory=True) if status is Status.UNKNOWN and not self.needed else row

    def passed(self, observed: str) -> Check:
        """It holds, or what it is about is not used."""
        return self.check(Status.PASS, observed)

    def warned(self, observed: str, fix: str) -> Check:
        """It works and will hurt later."""
        return self.check(Status.WARN, observed, fix)

    def failed(self, observed: str, fix: str) -> Check:
        """Observed, and wrong."""
        return self.check(Status.FAIL, observed, fix)

    def unknown(self, observed: str, fix: str) -> Check:
        """Neither can be proved."""
        return self.check(Status.UNKNOWN, observed, fix)

    def judged(self, ok: bool, observed: str, fix: str) -> Check:
        """Pass when `ok`, else fail."""
        return self.passed(observed) if ok else self.failed(observed, fix)

    def doubted(self, ok: bool, observed: str, fix: str) -> Check:
        """Pass when `ok`, else warn."""
        return self.passed(observed) if ok else self.warned(observed, fix)

    def unheard(self, *answers: Answer) -> Check:
        """Unknown, with what was heard instead of an answer."""
        silent = [a for a in answers if not a.heard]
        return self.unknown("; ".join(map(said, silent)), ADVICE.get(silent[0].word, "") if silent else "")


def said(answer: Answer) -> str:
    """A question and how it ended, with who said so."""
    asked = f"{answer.question.name} {answer.question.type}"
    return " ".join(filter(None, [f"{asked}:", answer.shown if answer.heard else answer.word, _by(answer)]))


def _by(answer: Answer) -> str:
    told = ", ".join(filter(None, [answer.server and f"by {answer.server}", "" if answer.heard else answer.note]))
    return f"({told})" if told else ""
