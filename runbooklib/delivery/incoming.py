"""How our own server took in what came from outside."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address

from runbooklib.delivery import denials, doors
from runbooklib.delivery.arriving import Copy
from runbooklib.delivery.cases import Case
from runbooklib.delivery.messages import Route
from runbooklib.delivery.outgoing import tls
from runbooklib.eml import comparison
from runbooklib.eml.hops import Hop
from runbooklib.params import DOCKER_MAILSERVER, MAILCOW, POSTFIX
from runbooklib.results import Check, Status
from runbooklib.servers.clients import inner

REF = "RFC 5321 4.2.1"
# What a server's policy says of a client or sender, and not of a recipient: RFC 3463 3.8, 3.2 (X.1.7, X.1.8).
POLICY = re.compile(r"\b[45]\.7\.\d+\b|\b[45]\.1\.[78]\b|sender address rejected", re.IGNORECASE)
MARKED = ("X-Spam-Flag", "X-Spam-Status", "X-Spam", "X-Spamd-Bar")
BAD = {"fail", "softfail"}


def rows(case: Case, copy: Copy) -> Iterator[Check]:
    """What our server wrote about it, and by which door it came."""
    if (proof := case.proof) is None:
        return
    way = list(proof.mail.hops)
    border = proof.border or next((hop for hop in reversed(way) if not hop.local), None)
    if case.letter.route in {Route.INBOUND, Route.CATCH_ALL}:
        yield comparison.checked(case.letter.name, proof)
    yield client(case, border)
    yield in_tls(case, border)
    yield without_relay(case, way)
    if case.letter.route is Route.CATCH_ALL:
        yield written_to(case, copy)


def taken(case: Case) -> Check:
    """What port 25 said to a message of this machine's own: a policy against us proves nothing about anybody else."""
    handed, letter = case.parcel.handed, case.letter
    if letter.route is Route.FORGED:
        return _forgery(case)
    expected = f"port 25 takes it over {letter.door or 'IPv4'}"
    said = f"{handed.said} ({handed.tls or 'in clear'})" if handed.fate == "accepted" else handed.said
    if handed.fate == "unsent":
        return case.check("accepted", handed.verdict, expected, said, handed.fix)
    if handed.fate == "unknown":
        status = Status.PASS if case.parcel.of("message") else Status.UNKNOWN
        return case.check("accepted", status, expected, said, "look for it in the server's log")
    if handed.fate == "accepted":
        return case.check("accepted", Status.PASS, expected, said, ref=REF)
    if "STARTTLS" in said and not handed.tls:
        fix = "take mail in clear on port 25, too: RFC 3207 4 forbids to require TLS there"
        return case.check("accepted", Status.FAIL, expected, said, fix, "RFC 3207 4")
    denied = case.check("accepted", Status.FAIL, expected, said, "the reply says why", REF)
    return _put_off(case, "accepted", expected) or denied


def _put_off(case: Case, what: str, expected: str) -> Check | None:
    """A deferral, as of greylisting, or a refusal of this machine: nothing is known; None where neither was said."""
    said = case.parcel.handed.said
    policy = case.letter.route is Route.DIRECT and POLICY.search(said)
    if fix := denials.todo(said) or (denials.KEPT_OUT if policy else ""):
        return replace(case.check(what, Status.UNKNOWN, expected, said, fix), advisory=True)
    return None


def _forgery(case: Case) -> Check:
    """A sender whose owner forbids it: refused at once is best; taken, the mailbox shows what became of it."""
    handed, expected = case.parcel.handed, f"a message as {case.letter.sender}, which SPF and DMARC forbid, is refused"
    if handed.fate == "unsent":
        return replace(case.check("forgery", handed.verdict, expected, handed.said, handed.fix), advisory=True)
    if handed.fate == "refused":
        refused = case.check("forgery", Status.PASS, expected, handed.said, ref="RFC 7208 8.4")
        return _put_off(case, "forgery", expected) or refused
    if case.parcel.of("message"):
        return forged(case, case.parcel.of("message")[0])
    fix = "look for it in quarantine; the server's log says what became of it"
    return replace(
        case.check("forgery", Status.UNKNOWN, expected, f"{handed.said}, and seen nowhere", fix), advisory=True
    )


def forged(case: Case, copy: Copy) -> Check:
    """Where a forgery that was taken lies, and whether its reader is warned: judged by what the server should do."""
    expected = f"a message as {case.letter.sender}, which SPF and DMARC forbid, is refused"
    ref = "RFC 7208 8.4, RFC 9989 5.4"
    if copy.junk:
        return case.check("forgery", Status.PASS, f"{expected} or filed as junk", f"filed in {copy.folder}", ref=ref)
    marks = [*_marks(copy), *_results(case)]
    said = f"taken into the inbox, {'marked: ' + ', '.join(marks) if marks else 'with no mark'}"
    if case.site.mail.server == POSTFIX:
        # A fresh host has OpenDMARC from stage 01; what one of other hands asks of senders is theirs to say.
        fix = "let a milter that honours DMARC (OpenDMARC with RejectFailures, rspamd) look at what comes in"
        return case.check("forgery", Status.WARN, expected, said, fix, ref)
    fix = {
        DOCKER_MAILSERVER: "ENABLE_POLICYD_SPF=1 and ENABLE_OPENDMARC=1 in mailserver.env: run stage 01",
        MAILCOW: "see whether rspamd runs, and its thresholds, in mailcow",
    }[case.site.mail.server]
    return case.check("forgery", Status.WARN if marks else Status.FAIL, expected, said, fix, ref)


def _marks(copy: Copy) -> list[str]:
    """The headers by which a filter says that it dislikes a message."""
    found = ((name, str(copy.message[name] or "")) for name in MARKED)
    return [f"{name}: {value[:20]}" for name, value in found if value.lower().startswith(("yes", "++++"))]


def _results(case: Case) -> list[str]:
    told = case.proof.told if case.proof else ()
    return [f"{m.name}={m.result}" for m in told if m.name in {"spf", "dmarc"} and m.result in BAD]


def client(case: Case, border: Hop | None) -> Check:
    """Our server sees the sender's own address, not a gateway of Docker's; SPF and bans depend on it."""
    expected, fix = "our server logs the sender's own address", "Docker hides it: IPv6 in Docker, or no AAAA (01, 04)"
    written = border.address if border else ""
    logged, ours = case.parcel.client or written, case.parcel.handed.client
    if not logged:
        return case.check("client-address", Status.FAIL, expected, "no address in the log, nor in Received", fix)
    own = {case.site.server.ipv4, case.site.server.ipv6}
    hidden = (inner(logged) or ip_address(logged).is_loopback or logged in own) and logged != ours
    said = f"{logged}{'' if written in {logged, ''} else f' in the log, {written} in Received'}"
    if ours and _apart(logged, ours):
        return case.check("client-address", Status.FAIL, f"{expected}, {ours}", said, fix)
    behind = f"; this machine is {ours} behind a NAT" if ours and ours != logged else ""
    return case.judged("client-address", not hidden, expected, f"{said}{behind}", fix)


def _apart(logged: str, ours: str) -> bool:
    """Whether the log names somebody else than us, though no NAT lies between."""
    return logged != ours and ((":" in logged) != (":" in ours) or not inner(ours))


def in_tls(case: Case, border: Hop | None) -> Check:
    """It came in TLS, or in clear where that was asked: both have to work (RFC 3207 4)."""
    if case.letter.route is Route.DIRECT and not case.letter.door.endswith(doors.TLS):
        plain = border is not None and not border.secure
        said = "in clear" if plain else "in TLS, or no hop"
        return case.judged("in-clear", plain, "came in clear, as asked", said, "see the log", "RFC 3207 4")
    return tls(case, [border] if border else [])


def without_relay(case: Case, way: list[Hop]) -> Check:
    """What comes in does not pass the relay: neither its hops nor our server's log name it."""
    hosts = {relay.host for relay in case.site.used_relays.values() if relay.host}
    through = [hop.by for hop in way if hosts & {hop.by, hop.said}]
    passed_on = [a.relay for a in case.parcel.tries if a.relay.partition("[")[0].lower() in hosts]
    seen = " → ".join(hop.by for hop in way if not hop.local)
    logged = (
        f"; in the log: {', '.join(dict.fromkeys(a.relay for a in case.parcel.tries))}" if case.parcel.tries else ""
    )
    fix = (
        "the MX record points to the relay: see 04" if through else "our server sends it on: see aliases and transports"
    )
    return case.judged("no-relay", not (through or passed_on), "no hop at the relay", f"{seen}{logged}", fix)


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
