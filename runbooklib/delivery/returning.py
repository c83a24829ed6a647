"""What came back instead: bounces and notices of delay, read from the sender's mailbox (RFC 3464)."""

from __future__ import annotations

from runbooklib.delivery.arriving import Copy, comes_back
from runbooklib.delivery.cases import Case
from runbooklib.eml import dsn, statuses
from runbooklib.eml.dsn import Fate
from runbooklib.results import Check, Status

ADDRESS = ("5.0.0", "5.1.", "5.2.1", "5.4.1", "5.4.4")  # RFC 3463 3.2: nobody there; anything else is another reason
REF = "RFC 3464 2.3"


def fate(case: Case, copy: Copy) -> Fate | None:
    """What a notification says of this message's recipient; of a single one, whatever it calls it."""
    told = dsn.parse(copy.raw)
    if told is None:
        return None
    return told.of(case.letter.recipient) or (told.fates[0] if len(told.fates) == 1 else None)


def words(case: Case, copy: Copy) -> str:
    """What a bounce says: who gave up, the status and the words of whoever refused it."""
    told, found = dsn.parse(copy.raw), fate(case, copy)
    by = told.reporter if told and told.reporter else str(copy.message["From"])
    said = str(found) if found else f"{copy.message['Subject']}, without a word on {case.letter.recipient}"
    return f"given back by {by}: {said}"


def todo(case: Case, copy: Copy) -> str:
    """What the status of a bounce asks for."""
    found = fate(case, copy)
    if found is None:
        return "the bounce itself says why"
    return str(statuses.explain(found.status, found.diagnostic, found.remote))


def returned(case: Case) -> Check | None:
    """The bounce that was asked for: it comes, is about our message and its recipient, and says that nobody is there.

    None where the relay's own return path gets it: what became of the message only the provider tells.
    """
    letter = case.letter
    if not comes_back(case.site, letter):
        return None
    expected, copies = f"a bounce about {letter.recipient} in the mailbox of {letter.sender}", case.parcel.of("bounce")
    if not copies:
        return _missing(case, expected)
    copy, found = copies[0], fate(case, copies[0])
    said = f"after {case.parcel.after(copy):.1f} s: {words(case, copy)}"
    if found is None or letter.recipient not in {found.address.lower(), found.original.lower()}:
        fix = "see who writes such bounces; a sender cannot tell from it which address was wrong"
        return case.check("bounced", Status.WARN, expected, said, fix, REF)
    right = found.permanent and found.status.startswith(ADDRESS)
    return case.judged("bounced", right, expected, said, todo(case, copy), REF)


def _missing(case: Case, expected: str) -> Check:
    box = case.letter.sender
    if trouble := case.arrived.troubles.get(box):
        said = f"the mailbox could not be read: {trouble}"
        return case.check("bounced", Status.UNKNOWN, expected, said, trouble.fix or "mend the imap login")
    late = f"no bounce within {case.arrived.wait:g} s"
    if case.parcel.tries:
        late += f"; last known: {case.parcel.tries[-1].relay}: {case.parcel.tries[-1].said}"
    fix = "wait longer (wait); then see in 02 which way mail without a sender takes, and the relay's own log"
    return case.check("bounced", Status.UNKNOWN, expected, late, fix, REF)
