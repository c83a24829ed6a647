"""Looks for what was handed over, in the mailboxes it should reach and in the server's log, all side by side."""

from __future__ import annotations

import imaplib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from threading import Condition

from runbooklib import endpoint, servers
from runbooklib.delivery import ledger, logins
from runbooklib.delivery.arriving import LOG, Arrived, Copy, Kind, Parcel, Trouble, answering, comes_back
from runbooklib.delivery.asking import ask_all
from runbooklib.delivery.forms import answered_to, compose_answer
from runbooklib.delivery.handover import BROKEN, Handed, Sent, broken
from runbooklib.delivery.messages import Account, Letter, Route, boxes, posts
from runbooklib.delivery.searching import Box
from runbooklib.delivery.sending import submit
from runbooklib.delivery.tracing import Traces
from runbooklib.params import Site
from runbooklib.results import RunbookError, Status

QUICK, SLOW = 0.2, 5.0  # seconds between two looks: a tenth of the time since the messages left, within these
LOG_QUICK = 1.0  # the same for the log, which is read whole each time
SETTLES = 1.0  # seconds after the last message in which a second copy of it would come
ANSWERS = 4  # connections side by side
LINES, LINES_EACH = 2000, 50  # of the log's end; what filters and milters say of one message are some thirty

Due = tuple[int, Kind, str]  # which message, what of it, in whose mailbox or in the log


def fetch(site: Site, sent: Sent, *, wait: float, settles: float = SETTLES) -> Arrived:
    """Waits at most `wait` seconds for what was sent, answers what can be answered, and returns the bytes found."""
    if not sent:
        return Arrived(sent)
    awaited = sent.plan.only(lambda a: a.number in answering(sent) and a.route is Route.OUTBOUND)
    watch = Watch(site, sent, wait, ledger.earlier(site, awaited, ledger.ANSWERING), settles)
    accounts = {a: b for a, b in boxes(site).items() if a in watch.readers()}
    with ThreadPoolExecutor(len(accounts) or 1) as pool, ThreadPoolExecutor(1) as asking:
        asked = asking.submit(ask_all, site, sent.plan.questions)
        looking = [pool.submit(look, watch, address, account) for address, account in accounts.items()]
        try:
            follow(watch)
            for looked in looking:
                looked.result()
            for written in watch.writing:
                written.result()
        finally:
            watch.stop()  # an interrupt must not wait for the others' deadline
            ledger.ended(awaited, watch.answers.values(), ledger.ANSWERING)
    return Arrived(sent, tuple(watch.parcel(h) for h in sent), asked.result(), dict(watch.troubles), wait)


class Watch:
    """What is still awaited and what was found, shared by the threads that look."""

    def __init__(
        self,
        site: Site,
        sent: Sent,
        wait: float,
        answers: Mapping[int, Handed] | None = None,
        settles: float = SETTLES,
    ) -> None:
        self.site, self.sent, self.settles, self.began = site, sent, settles, time.monotonic()
        self.deadline = self.began + wait
        self.handed = {h.letter.number: h for h in sent}
        self.answering = answering(sent)
        self.due = {due for h in sent for due in self._dues(h)}
        self.changed = Condition()
        self.copies: list[Copy] = []
        self.answers = dict(answers or {})  # those of an earlier walk of the run are not written again
        self.troubles: dict[str, Trouble] = {}
        self.traces = Traces(sent.plan.marker)
        self.answerers = ThreadPoolExecutor(ANSWERS)
        self.writing: list[Future[None]] = []

    def _dues(self, handed: Handed) -> Iterator[Due]:
        letter = handed.letter
        awaited: dict[Kind, str] = {
            "message": letter.lands,
            "answer": letter.answered_in if letter.number in self.answering else "",
            "bounce": letter.sender if comes_back(self.site, letter) else "",
            "attempt": "" if letter.inbound else LOG,
        }
        if handed.taken:
            yield from ((letter.number, kind, box) for kind, box in awaited.items() if box)

    def readers(self) -> set[str]:
        """The mailboxes to look into: where something is awaited, and where a bounce would go."""
        left = {h.letter.submitter for h in self.sent if h.taken}
        return {box for _, _, box in self.due} | left

    @property
    def since(self) -> float:
        """When the first message left."""
        return min((h.at for h in self.sent if h.at), default=time.time())

    def misses(self, box: str) -> bool:
        """Whether a message did not come to this mailbox that may have come."""
        return any(kind == "message" and where == box for _, kind, where in self.due)

    @property
    def pending(self) -> bool:
        return bool(self.due) and time.monotonic() < self.deadline

    @property
    def mail_due(self) -> bool:
        return any(box != LOG for _, _, box in self.due)

    def rest(self, least: float) -> None:
        """Sleeps until the next look; ends at once when the last thing that was awaited has come."""
        pause = min(max(least, (time.monotonic() - self.began) / 10), SLOW)
        with self.changed:
            waiting = bool(self.mail_due)
            left = min(pause, self.deadline - time.monotonic())
            self.changed.wait_for(lambda: not self.due or self.mail_due != waiting, max(left, 0))

    def settle(self) -> None:
        """Waits for what comes right after: a second copy, the last line of the log."""
        if self.copies:
            time.sleep(self.settles)

    def stop(self) -> None:
        """Waits for nothing any more, but for an answer that is just being handed over."""
        self._forget(lambda _: True)
        self.answerers.shutdown(cancel_futures=True)

    def _forget(self, which: Callable[[Due], bool]) -> None:
        with self.changed:
            self.due = {due for due in self.due if not which(due)}
            self.changed.notify_all()

    def unreadable(self, box: str, error: Exception) -> None:
        """No longer waits for anything in a mailbox, nor for answers to what only could be seen there."""
        foreseen = isinstance(error, RunbookError | imaplib.IMAP4.error | OSError)
        said, fix = (str(error), getattr(error, "fix", "")) if foreseen else (broken(error), BROKEN)
        self.troubles[box] = Trouble(said, fix)
        unanswerable = {number for number, kind, where in self.due if kind == "message" and where == box}
        self._forget(lambda due: due[2] == box or (due[1] == "answer" and due[0] in unanswerable))

    def found(self, copies: Iterable[Copy]) -> None:
        """Notes what a look has found."""
        for copy in copies:
            letter = self.handed[copy.number].letter if copy.number in self.handed else None
            if letter and copy.box == {"message": letter.lands, "answer": letter.answered_in}.get(copy.kind, copy.box):
                self._note(replace(copy, kind="notice") if self._by_itself(copy) else copy)

    def _by_itself(self, copy: Copy) -> bool:
        """Whether a machine wrote an answer where a person was to (RFC 3834 5): it proves no way back."""
        written = str(copy.message["Auto-Submitted"] or "no").strip().lower()
        reflected = self.handed[copy.number].letter.route is Route.REFLECTOR
        return copy.kind == "answer" and not reflected and written != "no"

    def _note(self, copy: Copy) -> None:
        with self.changed:
            self.copies.append(copy)
        if copy.kind == "bounce":
            self._forget(lambda due: due[0] == copy.number)
            return
        if copy.kind == "message" and copy.number in self.answering:
            self._answer(copy)
        self._forget(lambda due: due == (copy.number, copy.kind, copy.box))

    def followed(self, log: str) -> None:
        """Notes what the log tells; what was sent on is no longer awaited there, what bounced nowhere else."""
        self.troubles.pop(LOG, None)
        self.traces.read(log, self.handed)
        told = {n: {a.status for a in tries if not a.filtered} for n, tries in self.traces.attempts.items()}
        sent = {n for n, statuses in told.items() if statuses & {"sent", "bounced"}}
        lost = {n for n, statuses in told.items() if "bounced" in statuses}
        self._forget(lambda d: (d[1] == "attempt" and d[0] in sent) or (d[1] != "bounce" and d[0] in lost))

    def _answer(self, copy: Copy) -> None:
        """Has somebody write back from where an outbound message arrived, once; the looks go on meanwhile."""
        letter = self.handed[copy.number].letter
        with self.changed:
            if letter.route is Route.OUTBOUND and copy.number not in self.answers:
                self.answers[copy.number] = Handed(letter, "unknown", "an answer was being written")
                self.writing.append(self.answerers.submit(self._write_back, letter, copy))

    def _write_back(self, letter: Letter, copy: Copy) -> None:
        began = time.time()
        try:
            handed = self._answered(letter, copy)
        except Exception as error:  # noqa: BLE001 - whatever a stranger wrote costs this answer, and no other evidence
            handed = Handed(letter, "unsent", broken(error), fix=BROKEN, verdict=Status.UNKNOWN)
        self.answers[copy.number] = replace(handed, at=began)
        if handed.fate in {"unsent", "refused"}:
            self._forget(lambda due: due == (letter.number, "answer", letter.answered_in))

    def _answered(self, letter: Letter, copy: Copy) -> Handed:
        """Goes to addresses of ours only: others did not ask for it."""
        goes_to = answered_to(copy.raw)
        if not self.site.takes(goes_to):
            said = f"not written: a plain answer would go to {goes_to or 'nobody'}, which is no address of this site"
            return Handed(letter, "unsent", said, fix="see who put that From or Reply-To there, and take it out")
        answer = compose_answer(self.sent.plan, letter, copy.raw, goes_to)
        return submit(self.site, posts(self.site)[letter.recipient], letter, letter.recipient, goes_to, answer)

    def parcel(self, handed: Handed) -> Parcel:
        number = handed.letter.number
        copies = tuple(sorted((c for c in self.copies if c.number == number), key=lambda c: c.at))
        tries, signers = self.traces.attempts.get(number, ()), self.traces.signers.get(number, ())
        refusals = self.traces.refusals.get(number, ())
        client = self.traces.clients.get(number, "")
        return Parcel(handed, copies, self.answers.get(number), tries, signers, refusals, client)


def look(watch: Watch, address: str, account: Account) -> None:
    """Watches one mailbox; a connection that breaks is opened once more."""
    seen: set[tuple[str, int]] = set()
    try:
        try:
            _look_until(watch, address, account, seen)
        except (imaplib.IMAP4.error, OSError):
            _look_until(watch, address, account, seen)
    except Exception as error:  # noqa: BLE001 - what one mailbox brings must not lose what the others tell
        watch.unreadable(address, error)


def _look_until(watch: Watch, address: str, account: Account, seen: set[tuple[str, int]]) -> None:
    """Looks until nothing is awaited anywhere or time is up, then once more for duplicates."""
    with _opened(watch.site, account) as client:
        box = Box(client, address, watch.sent.plan.marker, watch.since, seen)
        while watch.pending:
            watch.found(box.new())
            watch.rest(QUICK)
        watch.settle()
        watch.found(box.new())
        if watch.misses(address):
            watch.found(box.elsewhere())


@contextmanager
def _opened(site: Site, account: Account) -> Iterator[imaplib.IMAP4]:
    def attempt(address: str) -> imaplib.IMAP4:
        return endpoint.imap(account.endpoint, endpoint.local_dial, address)

    with endpoint.leaving(endpoint.first(account.addresses(site), attempt)) as client:
        host, ours = account.endpoint.host, logins.of(site)
        ours.imap(client, host, account.username, account.password, identify=account.identify)
        yield client


def follow(watch: Watch) -> None:
    """Follows the messages in the server's log while something is awaited, and once at the end."""
    while watch.pending:
        _read_log(watch)
        watch.rest(LOG_QUICK)
    watch.settle()
    if LOG not in watch.troubles:
        _read_log(watch)


def _read_log(watch: Watch) -> None:
    try:
        watch.followed(servers.of(watch.site).log(LINES + LINES_EACH * len(watch.handed)))
    except Exception as error:  # noqa: BLE001 - as above
        watch.unreadable(LOG, error)
