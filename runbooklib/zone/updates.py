"""RFC 2136 updates with TSIG: one message a zone, refused by the server when the zone is no longer as it was seen.

ZoneError
├── UnansweredError   the server could not be reached, or said nothing in time
├── TsigError         key name, algorithm, secret or clock do not match
├── NoZoneError       the server does not hold a zone for the name
├── OvertakenError    the zone was changed by someone else meanwhile
└── RefusedError      everything else the server says no with
"""

from __future__ import annotations

import binascii
from collections.abc import Iterable

import dns.exception
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.tsig
import dns.update

from runbooklib.answers import Question, Word
from runbooklib.params import Rfc2136
from runbooklib.records import RecordChange, quoted
from runbooklib.results import RunbookError
from runbooklib.zone.reading import read, text

UNSURE = "it may be written all the same"
# Values nobody publishes, by the type of what they would be deleted from.
NEVER = {"A": "255.255.255.255", "MX": "65535 nobody.invalid.", "TXT": '"asked whether this key may write here"'}
PATIENCE = 10.0  # seconds; a signed zone is signed again before the server answers


class ZoneError(RunbookError):
    """A DNS server could not be asked or updated: what was expected, what was seen, what to do."""

    def __init__(self, expected: str, saw: str, fix: str) -> None:
        self.expected, self.saw, self.fix = expected, saw, fix
        super().__init__(f"expected {expected}; saw {saw}; {fix}")


class UnansweredError(ZoneError):
    """No answer over TCP."""


class TsigError(ZoneError):
    """The signature was refused, by the server or by us (RFC 8945 5.2)."""


class NoZoneError(ZoneError):
    """NOTAUTH or NOTZONE: the names are not in a zone this server holds."""


class OvertakenError(ZoneError):
    """A prerequisite failed (RFC 2136 2.4): the old values are no longer what was seen."""


class RefusedError(ZoneError):
    """The server does not allow this key to update."""


TSIG_FAULTS: dict[type[Exception], tuple[str, str]] = {
    dns.tsig.PeerBadKey: (
        "BADKEY",
        "the server knows no key of this name, or (Knot) lets it not write this: compare dns.rfc2136.key.name, its acl",
    ),
    dns.tsig.PeerBadSignature: (
        "BADSIG",
        "the secret or the algorithm differs: compare dns.rfc2136.key with the server",
    ),
    dns.tsig.PeerBadTime: ("BADTIME", "the clocks differ by more than the signature allows: set both by NTP"),
    dns.tsig.PeerBadTruncation: ("BADTRUNC", "the server wants a longer signature: use hmac-sha256 untruncated"),
    dns.tsig.BadTime: ("a reply from another time", "the clocks differ by more than allowed: set both by NTP"),
    dns.tsig.BadSignature: ("a reply with a wrong signature", "the secret differs: compare dns.rfc2136.key"),
    dns.tsig.PeerError: ("an unknown TSIG error", "look at the server's log"),
    dns.tsig.BadKey: ("a reply signed with another key", "compare dns.rfc2136.key.name"),
    dns.tsig.BadAlgorithm: ("a reply signed by another algorithm", "compare dns.rfc2136.key.algorithm"),
    dns.message.UnknownTSIGKey: ("a reply signed with another key", "compare dns.rfc2136.key.name"),
    # RFC 8945 5.3: an unsigned reply to a signed request proves nothing; dnspython calls it malformed.
    dns.exception.FormError: (
        "an unsigned or broken reply",
        f"{UNSURE}: look at the server's log, run again",
    ),
}
OVERTAKEN = {dns.rcode.YXDOMAIN, dns.rcode.YXRRSET, dns.rcode.NXRRSET, dns.rcode.NXDOMAIN}


def zone_of(target: Rfc2136, name: str) -> tuple[str, int]:
    """The zone the server keeps `name` in, by its SOA, and the serial.

    Raises UnansweredError, NoZoneError.
    """
    query = dns.message.make_query(name, "SOA")
    try:
        reply = dns.query.tcp(query, target.server, timeout=PATIENCE, port=target.port)
    except (OSError, EOFError, dns.exception.DNSException) as error:
        raise _unanswered(target, error) from None
    answer = read(Question(name, "SOA"), target.server, reply, recursive=False)
    soa = [r for r in (*reply.answer, *reply.authority) if r.rdtype == dns.rdatatype.SOA]
    if not answer.heard or not soa:
        kind = NoZoneError if answer.word in {Word.REFUSED, Word.LAME} else UnansweredError
        raise kind(f"a zone that holds {name} at {target.server}", answer.word, _holds(target))
    return text(soa[0].name), soa[0][0].serial


def probe(target: Rfc2136, zone: str, records: Iterable[tuple[str, str]] = ()) -> None:
    """An update that changes nothing: proves the key, and the permission to write these names and types.

    To delete what is not there is no error and changes nothing (RFC 2136 3.4.2.4), yet servers whose policy is one of
    names and types (BIND's update-policy, Knot's acl) judge it like any other update.

    Raises ZoneError as `send` does.
    """
    message = _message(target, zone)
    message.present(dns.name.from_text(zone), "SOA")
    for name, kind in records:
        message.delete(dns.name.from_text(name), kind, NEVER[kind])
    _exchange(target, zone, message)


def send(target: Rfc2136, zone: str, changes: Iterable[RecordChange]) -> None:
    """Publishes the changes of one zone, all or none.

    Raises TsigError, RefusedError, OvertakenError, NoZoneError, UnansweredError.
    """
    message = _message(target, zone)
    for change in changes:
        _require(message, change)
        _write(message, change)
    try:
        _exchange(target, zone, message)
    except UnansweredError as error:
        raise UnansweredError(error.expected, error.saw, f"{error.fix} {UNSURE}, run again") from None


def _message(target: Rfc2136, zone: str) -> dns.update.UpdateMessage:
    key = target.key
    try:
        name = dns.name.from_text(key.name)
        signer = dns.tsig.Key(name, key.secret.reveal(), f"{key.algorithm}.")
    except (binascii.Error, ValueError, dns.exception.DNSException):
        fix = f"correct {key.secret}: the server's key file shows it"
        raise TsigError("a key name and a secret in base64", "one that does not decode", fix) from None
    message = dns.update.UpdateMessage(zone)
    message.use_tsig(signer)
    return message


def _require(message: dns.update.UpdateMessage, change: RecordChange) -> None:
    """The rrset is still what was seen (RFC 2136 2.4); an alias and other data never meet at one name."""
    name = dns.name.from_text(change.name)
    if change.stands:
        message.present(name, change.type, *change.stands)
    elif change.type == "CNAME":
        message.absent(name)
    else:
        message.absent(name, change.type)
        message.absent(name, "CNAME")


def _write(message: dns.update.UpdateMessage, change: RecordChange) -> None:
    name = dns.name.from_text(change.name)
    for gone in change.removed:
        message.delete(name, change.type, gone)
    for new in change.added:
        message.add(name, change.ttl, change.type, rdata_text(change.type, new))


def rdata_text(kind: str, value: str) -> str:
    """A value as a zone file writes it: TXT quoted and cut, names absolute."""
    if kind == "TXT":
        return quoted(value)
    return f"{value}." if kind in {"MX", "CNAME", "PTR", "SRV"} and not value.endswith(".") else value


def _exchange(target: Rfc2136, zone: str, message: dns.update.UpdateMessage) -> None:
    try:
        reply = dns.query.tcp(message, target.server, timeout=PATIENCE, port=target.port)
    except tuple(TSIG_FAULTS) as error:
        raise TsigError(f"{target.server} to accept key {target.key.name}", *_fault(error)) from None
    except (OSError, EOFError, dns.exception.DNSException) as error:
        raise _unanswered(target, error) from None
    _judge(target, zone, reply)


def _fault(error: Exception) -> tuple[str, str]:
    """The first entry that fits: subclasses stand before their base."""
    return next(said for kind, said in TSIG_FAULTS.items() if isinstance(error, kind))


def _judge(target: Rfc2136, zone: str, reply: dns.message.Message) -> None:
    rcode = reply.rcode()
    expected, saw = f"{target.server} to update {zone}", dns.rcode.to_text(rcode)
    if rcode in OVERTAKEN:
        fix = "someone changed the zone since it was read: nothing was written, run again"
        raise OvertakenError(expected, saw, fix)
    if rcode in {dns.rcode.NOTAUTH, dns.rcode.NOTZONE}:
        raise NoZoneError(expected, saw, _holds(target))
    if rcode != dns.rcode.NOERROR:
        fix = f"allow key {target.key.name} to update {zone} there (allow-update, update-policy or acl)"
        raise RefusedError(expected, saw, fix)


def _holds(target: Rfc2136) -> str:
    return f"does {target.server} hold this zone as its primary? dns.rfc2136.server names where updates go"


def _unanswered(target: Rfc2136, error: Exception) -> UnansweredError:
    late = isinstance(error, dns.exception.Timeout)
    saw = "no answer in time" if late else getattr(error, "strerror", None) or type(error).__name__
    fix = "is it up, and may this machine reach it?"
    return UnansweredError(f"{target.server} to answer on TCP port {target.port}", saw, fix)
