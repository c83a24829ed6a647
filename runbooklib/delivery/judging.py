"""The verdict on each message: accepted, relayed, arrived, authentic, encrypted, answered."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from runbooklib.delivery import authenticity, hops, webmail
from runbooklib.delivery.arriving import LOG, Arrived, Copy, Parcel
from runbooklib.delivery.hops import Hop
from runbooklib.delivery.messages import Letter, Letters, Route
from runbooklib.delivery.names import Names
from runbooklib.delivery.sending import TAKEN, Asked
from runbooklib.endpoint import ResolverError
from runbooklib.maillog import Attempt
from runbooklib.params import DOCKER_MAILSERVER, Domain, Relay, Site
from runbooklib.results import Check, Checklist, Status, Table, judged

SANE = timedelta(minutes=10)  # between our clock and a Date header; more is a clock gone wrong
TITLE = "test messages"


@dataclass(frozen=True)
class Case:
    """One parcel with all that judging it takes."""

    site: Site
    arrived: Arrived
    parcel: Parcel
    names: Names

    @property
    def letter(self) -> Letter:
        return self.parcel.letter

    @property
    def domain(self) -> Domain:
        return next(d for d in self.site.domains if d.name == self.letter.domain)

    @property
    def relay(self) -> Relay | None:
        return self.site.relays.get(self.domain.relay)

    def check(self, what: str, status: Status, expected: str, observed: str, fix: str = "", ref: str = "") -> Check:
        """A row about this message."""
        said = "" if status is Status.PASS else fix
        return Check(f"delivery.{what} {self.letter.name}", status, expected, observed, said, ref)

    def judged(self, what: str, ok: bool, expected: str, observed: str, fix: str, ref: str = "") -> Check:
        return judged(f"delivery.{what} {self.letter.name}", ok, expected, observed, fix, ref)


def judge(site: Site, arrived: Arrived) -> Checklist:
    """Every claim about every message; what was not sent is pending, what cannot be seen advisory."""
    return verdict(site, arrived, Names.asked_of(site.dns.resolvers)) + Checklist(TITLE, webmail.rows(site))


def verdict(site: Site, arrived: Arrived, names: Names) -> Checklist:
    """`judge`, with DNS as it is given."""
    plan = arrived.sent.plan
    if not arrived.sent:
        return Checklist(TITLE, (*_pending(plan), *plan.missing))
    cases = [Case(site, arrived, parcel, names) for parcel in arrived]
    checks = [check for case in cases for check in _verdict(case)]
    asked = (*map(refused, arrived.asked), *map(as_alias, arrived.senders))
    return Checklist(TITLE, (*checks, *asked, *plan.missing))


def _pending(plan: Letters) -> Iterator[Check]:
    asked = [f"refused {address}" for address in plan.refuse] + [f"as {alias}" for alias, _ in plan.senders]
    for what in (*(letter.name for letter in plan), *asked):
        yield Check(f"delivery.sent {what}", Status.PENDING, "sent and seen", "not sent: apply is False")


def _verdict(case: Case) -> Iterator[Check]:
    found = case.parcel.of("message")
    yield accepted(case)
    if case.parcel.handed.fate not in {"accepted", "unknown"}:
        return
    if not case.letter.inbound:
        yield (relay := relayed(case))
        if relay.status is Status.FAIL and not found:
            return  # what did not leave cannot arrive: one row is enough
    if case.letter.lands:
        yield arrived_at(case)
    if case.letter.answered_in:
        yield answered(case)
    if found:
        yield once(case)
        yield from (_inbound if case.letter.inbound else _outbound)(case, found[0])


def refused(asked: Asked) -> Check:
    """A leaked address answers 550 5.1.1 in spite of the catch-all."""
    name, expected = f"delivery.refused {asked.address}", "RCPT TO: 550 5.1.1"
    if asked.status is not Status.PASS:
        return Check(name, asked.status, expected, asked.said, asked.fix)
    fix = "run stage 01: it writes the addresses in refuse to the server"
    return judged(name, asked.said.startswith(expected), expected, asked.said, fix, "RFC 3463 3.2")


def as_alias(asked: Asked) -> Check:
    """Who reads an alias may also write as it."""
    name, expected = f"delivery.sender {asked.address}", "the mailbox behind the alias may send as it"
    if asked.status is not Status.PASS:
        return Check(name, asked.status, expected, asked.said, asked.fix)
    fix = "run stage 01: it lets the alias's mailbox send as it"
    return judged(name, asked.said.startswith(TAKEN), expected, asked.said, fix, "RFC 6409 6.1")


def accepted(case: Case) -> Check:
    """The submission service took the message, inside TLS and after a login."""
    handed, expected = case.parcel.handed, f"{case.letter.sender} submits over TLS"
    if handed.fate == "unknown" and case.parcel.of("message"):
        return case.check("accepted", Status.PASS, expected, f"{handed.said}; but it arrived")
    if handed.fate == "unknown":
        fix = "look for it in the server's log before sending again"
        return case.check("accepted", Status.UNKNOWN, expected, handed.said, fix)
    if handed.fate == "unsent":
        return case.check("accepted", handed.verdict, expected, handed.said, handed.fix)
    said = f"{handed.said} ({handed.tls or 'without TLS'})"
    fix = handed.fix or "the reply says why; see 06"
    return case.judged("accepted", handed.fate == "accepted" and bool(handed.tls), expected, said, fix, "RFC 6409")


def relayed(case: Case) -> Check:
    """The relay, and no one else, accepted it: our server's own log says so."""
    relay, attempts = case.relay, [a for a in case.parcel.attempts if not a.filtered]
    expected = f"accepted by the relay {relay.host}" if relay else "handed to the recipient's MX directly"
    if not attempts:
        return _unfollowed(case, expected)
    last = attempts[-1]
    said = f"{last.relay}: {last.said}"
    if last.status != "sent":
        return case.check("relayed", Status.FAIL, expected, f"{last.status}: {said}", _mend(last))
    taken = relay is None or last.relay.lower().startswith(f"{relay.host}[")
    fix = "run stage 02: Postfix sends this domain's mail elsewhere"
    return case.judged("relayed", taken, expected, f"accepted by {said}", fix)


def _unfollowed(case: Case, expected: str) -> Check:
    trouble = case.arrived.troubles.get(LOG)
    if trouble:
        return case.check("relayed", Status.UNKNOWN, expected, f"the log could not be read: {trouble}")
    said = f"no delivery attempt of {case.parcel.handed.queue_id or 'it'} in the log within {case.arrived.wait:g} s"
    fix = "see `postqueue -p` on the server; a relay on an implicit-TLS port can hang without a word"
    return case.check("relayed", Status.FAIL, expected, said, fix)


def _mend(attempt: Attempt) -> str:
    if attempt.status == "bounced":
        return "the answer says why; it is bounced for good: mend the cause and send anew"
    return "the answer says why; it stays in the queue: mend the cause, then `postqueue -f` on the server"


def arrived_at(case: Case) -> Check:
    """It can be read where it should be."""
    box, found = case.letter.lands, case.parcel.of("message")
    expected = f"in the inbox of {box}"
    if not found:
        return _absent(case, "arrived", expected, box)
    seconds = found[0].at - case.parcel.handed.at
    if found[0].folder != "INBOX":
        fix = "see its headers for what the filter disliked; SPF, DKIM, DMARC and PTR first"
        return case.check("arrived", Status.WARN, expected, f"in {found[0].folder} after {seconds:.1f} s", fix)
    return case.check("arrived", Status.PASS, expected, f"after {seconds:.1f} s")


def _absent(case: Case, what: str, expected: str, box: str) -> Check:
    """Not seen within `wait`: failed where something says that it will not come, unknown where nothing does."""
    bounced, tries = case.parcel.of("bounce"), [a for a in case.parcel.attempts if not a.filtered]
    if bounced or any(a.status == "bounced" for a in tries):
        said = str(bounced[0].message["Subject"]) if bounced else tries[-1].said
        return case.check(what, Status.FAIL, expected, f"it bounced: {said}", "the bounce says why")
    if box in case.arrived.troubles:
        said = f"the mailbox could not be read: {case.arrived.troubles[box]}"
        return case.check(what, Status.UNKNOWN, expected, said, "mend the imap login")
    late = f"not there within {case.arrived.wait:g} s"
    known = f"; last known: {tries[-1].relay}: {tries[-1].said}" if tries else ""
    fix = "wait longer (wait), then look into the relay's or recipient's own log and junk folder"
    return case.check(what, Status.UNKNOWN, expected, late + known, fix)


def answered(case: Case) -> Check:
    """An answer from where it arrived comes back to its sender."""
    box, answer = case.letter.answered_in, case.parcel.answer
    expected = f"an answer from {case.letter.recipient} in the inbox of {box}"
    if found := case.parcel.of("answer"):
        return case.check("answered", Status.PASS, expected, f"after {found[0].at - case.parcel.handed.at:.1f} s")
    if answer and answer.fate in {"unsent", "refused"}:
        status = answer.verdict if answer.fate == "unsent" else Status.FAIL
        return case.check("answered", status, expected, f"the answer was {answer.fate}: {answer.said}", answer.fix)
    if case.letter.route is Route.OUTBOUND and not answer:
        return case.check("answered", Status.UNKNOWN, expected, "not answered, because it was not seen there")
    return _absent(case, "answered", expected, box)


def once(case: Case) -> Check:
    """No second copy came."""
    copies = len(case.parcel.of("message"))
    fix = "see whether an alias or a forward delivers it a second time"
    status = Status.PASS if copies == 1 else Status.WARN
    return case.check("once", status, "one copy", f"{copies} cop{'y' if copies == 1 else 'ies'}", fix)


def _outbound(case: Case, copy: Copy) -> Iterator[Check]:
    way = hops.read(copy.message)
    yield from _authentic(case, copy)
    yield _way_out(case, way)
    yield tls(case, way)
    yield envelope(case, copy)
    yield headers(case, copy)


def _authentic(case: Case, copy: Copy) -> list[Check]:
    domain = case.letter.recipient.rpartition("@")[2]
    try:
        receivers = [*case.names.mx(domain), domain]
    except ResolverError as error:
        return [case.check("dmarc", Status.UNKNOWN, "aligned authentication", str(error), error.fix)]
    return authenticity.judge(case.parcel, copy, receivers, case.names, case.domain, case.relay)


def _way_out(case: Case, way: list[Hop]) -> Check:
    """Who handed it to the recipient: never our own address where a relay sends."""
    ours = {case.site.server.ipv4, case.site.server.ipv6}
    last = next((hop for hop in reversed(way) if not hop.local), None)
    expected = f"through {case.relay.host}" if case.relay else "straight from our server"
    seen = " → ".join(hop.by for hop in way if not hop.local) or "no hop between two hosts"
    direct = last is not None and last.address in ours
    fix = "run stage 02, and see whether the sender's domain has a relay"
    return case.judged("path", last is not None and direct == (case.relay is None), expected, seen, fix)


def tls(case: Case, way: list[Hop]) -> Check:
    """TLS from host to host, as each receiving host wrote it down (RFC 3848)."""
    between = [hop for hop in way if not hop.local]
    bare = [hop for hop in between if not hop.secure]
    ours = [hop for hop in bare if case.site.server.hostname in {hop.by, hop.said}]
    seen = "; ".join(f"{hop.by}: {hop.tls or hop.protocol or 'nothing said'}" for hop in between) or "no hop"
    status = Status.FAIL if ours or not between else Status.WARN if bare else Status.PASS
    fix = "give our side a certificate and TLS (01), and the relay's policy `encrypt` or `secure` (02)"
    return case.check("tls", status, "TLS on each hop between hosts", seen, fix, "RFC 3848")


def envelope(case: Case, copy: Copy) -> Check:
    """The envelope sender as it arrived: kept, or rewritten to the relay's return path."""
    sender, path = case.letter.sender, str(copy.message["Return-Path"] or "").strip("<> ")
    label = case.relay.return_path if case.relay else None
    host = path.rpartition("@")[2].lower()
    expected = f"rewritten to {label}.{case.domain.name}" if label else f"kept as {sender}"
    if not path:
        return case.check("envelope", Status.UNKNOWN, expected, "no Return-Path: the recipient does not keep it")
    observed = "kept" if path.lower() == sender else f"rewritten to {path}"
    right = host == f"{label}.{case.domain.name}" if label else path.lower() == sender
    fix = "set return_path of the relay in params to what it really uses, so that 04 publishes SPF there"
    return case.check("envelope", Status.PASS if right else Status.WARN, expected, observed, fix, "RFC 5321 4.4")


def headers(case: Case, copy: Copy) -> Check:
    """From as written, one Message-ID, and a Date near our clock (RFC 5322 3.6)."""
    message = copy.message
    wrong = []
    if authenticity.author_domain(message) != case.domain.name:
        wrong.append(f"From is {message['From']}")
    if len(message.get_all("Message-ID", [])) != 1:
        wrong.append(f"{len(message.get_all('Message-ID', []))} Message-ID headers")
    if not _near(str(message["Date"] or ""), copy.at):
        wrong.append(f"Date is {message['Date']}")
    ours = case.arrived.sent.plan.marker in str(message["Message-ID"])
    kept = "Message-ID kept" if ours else f"Message-ID rewritten to {message['Message-ID']}"
    fix = "see whether the relay rewrites headers, and the clocks here and on the server"
    expected = f"From @{case.domain.name}, one Message-ID, Date of now"
    return case.judged("headers", not wrong, expected, "; ".join(wrong) or kept, fix, "RFC 5322 3.6")


def _near(date: str, at: float) -> bool:
    try:
        said = parsedate_to_datetime(date)
    except (TypeError, ValueError):
        return False
    aware = said if said.tzinfo else said.replace(tzinfo=UTC)
    return abs(aware - datetime.fromtimestamp(at, UTC)) < SANE


def _inbound(case: Case, copy: Copy) -> Iterator[Check]:
    way = hops.read(copy.message)
    border = next((hop for hop in reversed(way) if not hop.local), None)
    yield from authenticity.received(case.letter.name, copy, case.site.server.hostname, case.names)
    yield _client(case, border)
    yield tls(case, [border] if border else [])
    yield _without_relay(case, way)
    if case.letter.route is Route.CATCH_ALL:
        yield written_to(case, copy)


def _client(case: Case, border: Hop | None) -> Check:
    """Our server sees the sender's own address, not a gateway of Docker's; SPF and bans depend on it."""
    expected, fix = "our server logs the sender's own address", "Docker hides it: IPv6 in Docker, or no AAAA (01, 04)"
    if border is None or not border.address:
        return case.check("client-address", Status.FAIL, expected, "no address in the Received header", fix)
    address = ipaddress.ip_address(border.address)
    own = {case.site.server.ipv4, case.site.server.ipv6}
    hidden = any(address in net for net in PRIVATE if net.version == address.version) or str(address) in own
    return case.judged("client-address", not hidden, expected, border.address, fix)


# 172.16.0.0/12 and its like, where Docker's bridges are; `is_private` would also cover the testbed's 198.18.0.0/15.
PRIVATE = [ipaddress.ip_network(n) for n in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fe80::/10")]


def _without_relay(case: Case, way: list[Hop]) -> Check:
    """What comes in does not pass the relay."""
    hosts = {relay.host for relay in case.site.used_relays.values() if relay.host}
    through = [hop.by for hop in way if hosts & {hop.by, hop.said}]
    seen = " → ".join(hop.by for hop in way if not hop.local)
    fix = "the MX record points to the relay: see 04"
    return case.judged("no-relay", not through, "no hop at the relay", seen, fix)


def written_to(case: Case, copy: Copy) -> Check:
    """The address somebody wrote to stays visible in the message, so that a leak can be traced."""
    named = ("X-Original-To", "Delivered-To", "Envelope-To", "X-Envelope-To")
    seen = [n for n in named for value in copy.message.get_all(n, []) if case.letter.recipient in str(value).lower()]
    told = f"in {', '.join(dict.fromkeys(seen))}" if seen else "in none of " + ", ".join(named)
    expected, fix = "the address written to in a header of its own", "run 01 with apply: lmtp in master.cf has flags=O"
    row = case.judged("written-to", bool(seen), expected, told, fix)
    if seen or case.site.mail.server == DOCKER_MAILSERVER:
        return row
    # How others store mail is their own: RFC 5321 4.4 lets a Received of one recipient name it.
    if any(f"for <{case.letter.recipient}>" in str(value).lower() for value in copy.message.get_all("Received", [])):
        row = replace(row, observed=f"{told}; only in Received, which names it where there is one recipient")
    return replace(
        row, status=Status.WARN, fix="lmtp(8) with flags=O in master.cf would keep it; till then ask Received"
    )


def path(arrived: Arrived) -> Table:
    """Each message's way, hop by hop, as the receiving hosts wrote it down."""
    columns = ("message", "hop", "from", "address", "by", "with", "time", "seconds")
    rows = [row for parcel in arrived for copy in parcel.copies for row in _steps(parcel, copy)]
    return Table("the way hop by hop", columns, tuple(rows))


def _steps(parcel: Parcel, copy: Copy) -> Iterator[tuple[str, ...]]:
    before = None
    for i, hop in enumerate(hops.read(copy.message), 1):
        clock = f"{hop.time:%H:%M:%S}" if hop.time else ""
        took = f"{(hop.time - before).total_seconds():.0f}" if hop.time and before else ""
        name = f"{parcel.letter.name} ({copy.kind})"
        with_ = " ".join(filter(None, (hop.protocol, hop.tls)))
        yield name, str(i), hop.said, hop.address, hop.by, with_, clock, took
        before = hop.time or before
