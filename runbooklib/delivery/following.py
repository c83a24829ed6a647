"""How far a message came: accepted, relayed, arrived once, answered."""

from __future__ import annotations

from runbooklib.delivery import deferrals, denials, duplicates, returning
from runbooklib.delivery.arriving import LOG
from runbooklib.delivery.cases import Case
from runbooklib.delivery.messages import Form, Route
from runbooklib.maillog import Attempt, Refusal
from runbooklib.results import Check, Status

BORROWED = {Form.SUB_ADDRESS, Form.ALIAS}  # senders that are no mailbox: a relay may verify the address
NOT_WIDE = "5.6.7"  # RFC 6531 3.5: an address outside ASCII, and the next host takes none
LONG = 20.0  # seconds in which every attempt ends that is not hanging


def accepted(case: Case) -> Check:
    """The submission service took the message, inside TLS and after a login."""
    handed, expected = case.parcel.handed, f"{case.letter.sender} submits over TLS"
    if handed.fate == "unknown":
        return _perhaps(case, expected)
    if handed.fate == "unsent":
        asked = "sent where the server offers what it needs" if handed.verdict is Status.PASS else expected
        return case.check("accepted", handed.verdict, asked, handed.said, handed.fix)
    if handed.fate == "refused" and (fix := denials.todo(handed.said)):
        return case.check("accepted", Status.UNKNOWN, expected, handed.said, fix)
    # Of what an earlier walk handed over, the log may be all that is left, and it does not tell of TLS.
    without = "by an earlier walk of this run" if handed.earlier else "without TLS"
    said, fix = f"{handed.said} ({handed.tls or without})", handed.fix or "the reply says why; see 06"
    taken = handed.fate == "accepted" and (handed.earlier or bool(handed.tls))
    return case.judged("accepted", taken, expected, said, fix, "RFC 6409")


def _perhaps(case: Case, expected: str) -> Check:
    """The connection broke before the answer: what was seen of it since tells."""
    said = case.parcel.handed.said
    if case.parcel.of("message"):
        return case.check("accepted", Status.PASS, expected, f"{said}; but it arrived")
    if case.parcel.tries:
        return case.check("accepted", Status.PASS, expected, f"{said}; but the server's log has it")
    again = "begin a new run to send all anew" if case.parcel.handed.earlier else "then send again"
    return case.check("accepted", Status.UNKNOWN, expected, said, f"look for it in the server's log, {again}")


def relayed(case: Case) -> Check:
    """The relay, and no one else, accepted it: our server's own log says so."""
    relay, tries = case.relay, case.parcel.tries
    expected = f"accepted by the relay {relay.host}" if relay else "handed to the recipient's MX directly"
    if not tries:
        return _unfollowed(case, expected)
    last, before = tries[-1], deferrals.before(tries)
    if last.status != "sent":
        return _kept(case, expected, last)
    taken = relay is None or last.relay.lower().startswith(f"{relay.host}[")
    said = "; ".join(filter(None, [f"accepted by {last.relay}: {last.said}", before]))
    return case.judged("relayed", taken, expected, said, "run stage 02: Postfix sends this domain's mail elsewhere")


def _kept(case: Case, expected: str, last: Attempt) -> Check:
    """The last attempt failed: for good, or until the next."""
    status, said = deferrals.verdict(last), f"{last.status}: {last.relay}: {last.said}"
    if last.status == "bounced" and case.letter.route is Route.BOUNCE:
        return case.check("relayed", Status.PASS, f"{expected}, or refused at once", said)
    if last.status == "bounced" and last.dsn == NOT_WIDE and case.letter.form is Form.SMTPUTF8:
        fix = "nobody here can write to such addresses by this relay; few providers take them"
        return case.check("relayed", Status.WARN, expected, said, fix, "RFC 6531 3.5")
    if last.status == "bounced" and case.letter.form in BORROWED:
        fix = f"this relay takes no such sender: {case.letter.sender} can be read, not written as, until it knows it"
        return case.check("relayed", Status.WARN, expected, said, fix)
    if status is not Status.FAIL:
        return case.check("relayed", status, expected, said, f"{deferrals.RETRIES}: run again later")
    fix = "it stays in the queue: mend the cause, then `postqueue -f` on the server"
    if last.status == "bounced":
        fix = "it is bounced for good: mend the cause and send anew"
    return case.check("relayed", status, expected, said, f"the answer says why; {fix}")


def _unfollowed(case: Case, expected: str) -> Check:
    if trouble := case.arrived.troubles.get(LOG):
        said = f"the log could not be read: {trouble}"
        return case.check("relayed", Status.UNKNOWN, expected, said, trouble.fix)
    said = f"no delivery attempt of {case.parcel.handed.queue_id or 'it'} in the log within {case.arrived.wait:g} s"
    fix = "see `postqueue -p` on the server; a relay on an implicit-TLS port can hang without a word"
    long = case.parcel.handed.fate == "accepted" and case.arrived.wait >= LONG
    return case.check("relayed", Status.FAIL if long else Status.UNKNOWN, expected, said, fix)


def arrived_at(case: Case) -> Check:
    """It can be read where it should be."""
    box, found = case.letter.lands, case.parcel.of("message")
    expected = f"in the inbox of {box}"
    if not found:
        return absent(case, "arrived", expected, box)
    folder, seconds = found[0].folder, case.parcel.after(found[0])
    if folder == "INBOX":
        return case.check("arrived", Status.PASS, expected, f"after {seconds:.1f} s")
    said, fix = f"in {folder} after {seconds:.1f} s", "a rule of its reader's filed it; nothing to do for the sender"
    if found[0].junk:
        said += _reason(case)
        fix = "see what the filter disliked: SPF, DKIM, DMARC and PTR first, then delivery.score"
    return case.check("arrived", Status.WARN, expected, said, fix)


FILTERED = ("X-Spam-Status", "X-Spamd-Result", "X-Forefront-Antispam-Report", "X-Spam-Level", "X-Spam-Flag")
SHORT = 120  # characters of a filter's own words


def _reason(case: Case) -> str:
    """What the filter wrote into the message, where it did."""
    message = case.parcel.of("message")[0].message
    said = next((f"{name}: {' '.join(str(message[name]).split())}" for name in FILTERED if message[name]), "")
    return f"; {said[:SHORT]}" if said else ""


def absent(case: Case, what: str, expected: str, box: str) -> Check:
    """Not seen within `wait`: wrong where something says that it will not come, pending where it is only put off."""
    return _gone(case, what, expected) or _unread(case, what, expected, box) or _late(case, what, expected)


def _gone(case: Case, what: str, expected: str) -> Check | None:
    tries = case.parcel.tries
    taken = f"{tries[-1].relay} had accepted it, and then it was " if tries and tries[-1].status == "sent" else ""
    if bounced := case.parcel.of("bounce"):
        said, fix = f"{taken}{returning.words(case, bounced[0])}", returning.todo(case, bounced[0])
        return case.check(what, Status.FAIL, expected, said, fix, returning.REF)
    if any(a.status == "bounced" for a in tries):
        return case.check(what, Status.FAIL, expected, f"it bounced: {tries[-1].said}", "the answer says why")
    if refused := [r for r in _refusals(case, what) if r.permanent]:
        said = f"our server refused it at {refused[-1].time}: {refused[-1].said}"
        return case.check(what, Status.FAIL, expected, said, "its own restrictions or filter did: see 06")
    return None


def _unread(case: Case, what: str, expected: str, box: str) -> Check | None:
    trouble = case.arrived.troubles.get(box)
    if trouble is None:
        return None
    said = f"the mailbox could not be read: {trouble}"
    return case.check(what, Status.UNKNOWN, expected, said, trouble.fix or "mend the imap login")


def _late(case: Case, what: str, expected: str) -> Check:
    late, tries, delays = f"not there within {case.arrived.wait:g} s", case.parcel.tries, case.parcel.of("delay")
    if put_off := _refusals(case, what):
        said = f"{late}; our server put it off: {put_off[-1].said}"
        fix = "who sends tries again by itself: run again later; greylisting knows it then"
        return case.check(what, Status.PENDING, expected, said, fix)
    if tries and deferrals.verdict(tries[-1]) is Status.PENDING:
        said = f"{late}; put off by {tries[-1].relay}: {tries[-1].said}"
        return case.check(what, Status.PENDING, expected, said, f"{deferrals.RETRIES}: run again later")
    if delays:
        said = f"{late}; it is still tried, {returning.words(case, delays[0])}"
        return case.check(what, Status.PENDING, expected, said, "run again later", returning.REF)
    return case.check(what, Status.UNKNOWN, expected, f"{late}; {_last_known(case, what)}", _next(case, what))


def _refusals(case: Case, what: str) -> list[Refusal]:
    """What our server did not take of what is missed here: a message from outside, or an answer."""
    return list(case.parcel.refusals) if case.letter.inbound or what == "answered" else []


def _last_known(case: Case, what: str) -> str:
    if what == "answered" and case.parcel.answer:
        return f"the answer was handed over there: {case.parcel.answer.said}"
    if tries := case.parcel.tries:
        return f"last known: {tries[-1].relay}: {tries[-1].said}"
    if case.letter.inbound and LOG not in case.arrived.troubles:
        return "our server's log does not know it: it is still with whoever took it from us"
    return f"last known: {case.parcel.handed.said}"


def _next(case: Case, what: str) -> str:
    if case.letter.inbound or what == "answered":
        return "wait longer (wait), then look into the log of the service it was handed to, and see the MX record (04)"
    relay = case.relay
    where = f"{relay.host}'s own log or web page" if relay else "the recipient's own log"
    return f"wait longer (wait), then look into {where}, and whether the recipient holds it in quarantine"


def answered(case: Case) -> Check:
    """An answer from where it arrived comes back to its sender."""
    box, answer = case.letter.answered_in, case.parcel.answer
    expected = f"an answer from {case.letter.recipient} in the inbox of {box}"
    if found := case.parcel.of("answer"):
        return case.check("answered", Status.PASS, expected, f"after {case.parcel.after(found[0]):.1f} s")
    if answer and answer.fate in {"unsent", "refused"}:
        fix = denials.todo(answer.said) if answer.fate == "refused" else ""
        status = Status.UNKNOWN if fix else answer.verdict
        said = f"the answer was {answer.fate}: {answer.said}"
        return case.check("answered", status, expected, said, answer.fix or fix or "the reply says why")
    if answer and answer.earlier and answer.fate == "unknown":
        return case.check("answered", Status.UNKNOWN, expected, answer.said, "begin a new run to send all anew")
    if case.letter.route is Route.OUTBOUND and not answer:
        fix = "see delivery.arrived of the same message"
        return case.check("answered", Status.UNKNOWN, expected, "not answered, because it was not seen there", fix)
    return absent(case, "answered", expected, box)


def once(case: Case) -> Check:
    """No second copy came."""
    copies = case.parcel.of("message")
    if len(copies) == 1:
        return case.check("once", Status.PASS, "one copy", "1 copy")
    said = f"{len(copies)} copies; {duplicates.origin(copies)}"
    fix = "see whether an alias, a forward or a retry there delivers it a second time"
    return case.check("once", Status.WARN, "one copy", said, fix)
