"""Every port a relay documents, tried from the server at once: which show its certificate, what stops the others."""

from __future__ import annotations

import smtplib
import socket
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from runbooklib import endpoint
from runbooklib.endpoint import (
    CertificateError,
    Dial,
    Endpoint,
    EndpointError,
    GreetingError,
    NoStartTlsError,
    Tls,
    TlsError,
    UnreachableError,
)
from runbooklib.params import Relay
from runbooklib.results import Check, Status, passed

CONNECT_SECONDS = 3  # time for one repeated SYN (RFC 6298 2.1); a cloud's filter drops without a word
WANTED_SECONDS = 5  # where it matters that a slow network is not taken for a filter
DIALOGUE_SECONDS = 7  # for each answer from there on
DOCUMENTED: Mapping[str, tuple[int, ...]] = {  # resend.com and mxroute.com, each on its SMTP page
    "resend": (25, 465, 587, 2465, 2587),
    "mxroute": (25, 465, 587, 2525),
    "smtp": (25, 465, 587, 2465, 2525),
}
IMPLICIT = {465, 2465}  # RFC 8314 7.3, and what providers made of it
FAVOURED = (587, 2587, 2525, 25, 465, 2465)  # STARTTLS first: every mail server's Postfix speaks it without more ado
FOREIGN = {"wrong name", "unknown CA"}
REF = "RFC 3207, RFC 8314 3.3"


@dataclass(frozen=True)
class Attempt:
    """One port, tried in one way."""

    where: Endpoint
    error: EndpointError | None = None
    client: smtplib.SMTP | None = field(default=None, compare=False)  # kept open at the wanted port

    @property
    def open(self) -> bool:
        """Whether it answers and shows the relay's certificate."""
        return self.error is None

    @property
    def silent(self) -> bool:
        """Whether it took the connection and then said nothing to the end, or did not even take it."""
        unheard = isinstance(self.error, GreetingError) and not self.error.code
        return unheard or (isinstance(self.error, UnreachableError) and self.error.dropped)

    @property
    def usual(self) -> bool:
        """Whether TLS begins as everybody else has it on this port."""
        return self.where.tls == _usual(self.where.port)


@dataclass(frozen=True)
class Survey:
    """What became of the port that params name, and of the others."""

    relay: Relay
    wanted: Attempt
    others: tuple[Attempt, ...] = ()
    address: str = ""

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """All, by port."""
        return tuple(sorted((self.wanted, *self.others), key=lambda a: (a.where.port, not a.usual)))

    @property
    def alternative(self) -> Attempt | None:
        """Another port that shows the relay's certificate, one with STARTTLS first."""
        rank = {port: place for place, port in enumerate(FAVOURED)}
        found = [a for a in self.others if a.open]
        return min(found, key=lambda a: rank.get(a.where.port, len(rank)), default=None)

    @property
    def silent(self) -> bool:
        """Whether the wanted port fell silent, or no port of the relay was heard at all."""
        greeted = isinstance(self.wanted.error, GreetingError)
        return self.wanted.silent and (greeted or all(a.silent for a in self.others))

    @property
    def other_kind(self) -> bool:
        """Whether the wanted port answers where TLS begins the other way."""
        return not self.wanted.open and any(a.open and a.where.port == self.wanted.where.port for a in self.others)

    def word(self, attempt: Attempt) -> str:
        """What happened at a port: open, dropped, refused and intercepted are four different things."""
        suspect = self._foreign(attempt)
        if suspect:
            return f"intercepted ({suspect})" if self._certain(attempt) else suspect
        return _word(attempt.error)

    def _certain(self, attempt: Attempt) -> bool:
        """Whether only somebody on the way can have answered.

        Of a relay that nobody documented, params may name the wrong host or CA, and port 25 may be without TLS.
        """
        one_is_good = self.wanted.open or self.alternative is not None
        return self.relay.provider != "smtp" or (one_is_good and attempt.where.port != smtplib.SMTP_PORT)

    def _foreign(self, attempt: Attempt) -> str:
        """What somebody else's answer was; empty where nothing speaks for somebody else."""
        if isinstance(attempt.error, CertificateError) and attempt.error.reason in FOREIGN:
            return f"foreign certificate: {attempt.error.reason}"
        if not attempt.usual:
            return ""
        if isinstance(attempt.error, NoStartTlsError) and not attempt.error.code:
            return "STARTTLS not offered"
        return "plain text instead of TLS" if isinstance(attempt.error, TlsError) and attempt.error.plaintext else ""


def _word(error: EndpointError | None) -> str:
    match error:
        case None:
            return "open"
        case UnreachableError():
            return "dropped" if error.dropped else "refused" if error.refused else "unreachable"
        case CertificateError():
            return f"certificate {error.reason}"
        case GreetingError():
            return f"turned away with {error.code}" if error.code else "connected, then silence"
    return "no TLS"


def survey(
    relays: Mapping[str, Relay], dial: Dial, addresses: Mapping[str, str], patience: float = DIALOGUE_SECONDS
) -> dict[str, Survey]:
    """For each relay its documented ports, and the one params name, whose connection stays open when it is good.

    All are tried at once, and those that relays have in common once. Nothing is said but a greeting and TLS.
    """
    each = {name: (_place(relay, relay.port, relay.mode), _around(relay)) for name, relay in relays.items()}
    common = dict.fromkeys(place for _, around in each.values() for place in around)
    with ThreadPoolExecutor(len(each) + len(common)) as pool:
        kept = {n: pool.submit(_kept, dial, addresses[at.host], patience, at) for n, (at, _) in each.items()}
        tried = {at: pool.submit(_tried, dial, addresses[at.host], patience, at) for at in common}
    return {
        name: Survey(relays[name], kept[name].result(), tuple(tried[p].result() for p in around), addresses[at.host])
        for name, (at, around) in each.items()
    }


def _place(relay: Relay, port: int, tls: Tls) -> Endpoint:
    return Endpoint(relay.host or "", port, tls, relay.ca)


def _around(relay: Relay) -> list[Endpoint]:
    """Every other documented port, and the wanted one where params begin TLS another way than everybody else."""
    usual = dict.fromkeys(_place(relay, port, _usual(port)) for port in (relay.port, *DOCUMENTED[relay.provider]))
    return [place for place in usual if place != _place(relay, relay.port, relay.mode)]


def _usual(port: int) -> Tls:
    return "implicit" if port in IMPLICIT else "starttls"


def _kept(dial: Dial, address: str, patience: float, where: Endpoint) -> Attempt:
    try:
        client = endpoint.smtp(where, partial(_within, WANTED_SECONDS, dial), address, patience)
    except EndpointError as error:
        return Attempt(where, error)
    return Attempt(where, client=client)


def _tried(dial: Dial, address: str, patience: float, where: Endpoint) -> Attempt:
    try:
        with endpoint.ending(endpoint.smtp(where, partial(_within, CONNECT_SECONDS, dial), address, patience)):
            return Attempt(where)
    except EndpointError as error:
        return Attempt(where, error)


def _within(seconds: float, dial: Dial, address: str, port: int, timeout: float) -> socket.socket:
    """Connecting is quick or never; a greeting may take its time."""
    sock = dial(address, port, seconds)
    sock.settimeout(timeout)
    return sock


def wanted(name: str, seen: Survey) -> Check:
    """The port params name: open with a valid certificate, or what stands in the way and which port to take."""
    at = seen.wanted
    check, expected = f"relay.port {name}", f"{at.where} answers, its certificate valid"
    if at.error is None:
        how = "STARTTLS" if at.where.tls == "starttls" else "implicit TLS"
        return passed(check, expected, f"verified TLS by {how} at {at.where}", REF)
    observed = f"{seen.word(at)}; {at.error}"
    status = Status.FAIL if seen.other_kind else at.error.status
    return Check(check, status, expected, observed, _fix(name, seen, at.error), REF)


def _fix(name: str, seen: Survey, error: EndpointError) -> str:
    """The exact line for params where another port is good, else what the error itself advises."""
    if seen.other_kind:
        kind = "implicit" if seen.wanted.where.tls == "starttls" else "starttls"
        return f"TLS begins the other way here: under relays.{name} write `tls: {kind}`"
    if isinstance(error, GreetingError) and error.code:
        return error.fix  # it is the relay that answers so, at whatever port
    suspect = seen.word(seen.wanted).startswith("intercepted")
    why = "somebody on the way answers for the relay, no login was sent; " if suspect else ""
    if seen.alternative:
        better = seen.alternative.where
        return f"{why}port {better.port} is open: under relays.{name} write {_line(seen.relay, better)}"
    if isinstance(error, CertificateError):
        foreign = f"if it is the relay after all, correct relays.{name}.host or name its CA in relays.{name}.ca"
        return why + (foreign if error.reason in FOREIGN else "its operator has to renew the certificate; ask there")
    return why + error.fix


def _line(relay: Relay, found: Endpoint) -> str:
    said = relay.tls is not None and relay.tls != found.tls
    return f"`port: {found.port}`" + (f" and `tls: {found.tls}`" if said else "")


def table(name: str, seen: Survey) -> Check:
    """Every documented port in a word each; red when none shows the relay's certificate."""
    check, told = f"relay.ports {name}", [_told(seen, a) for a in seen.attempts]
    expected = (
        f"the relay's certificate at a port of {', '.join(dict.fromkeys(str(a.where.port) for a in seen.attempts))}"
    )
    if seen.wanted.open or seen.alternative:
        return passed(check, expected, "; ".join(told), "the provider's SMTP documentation")
    status = Status.worst(a.error.status for a in seen.attempts if a.error)
    fix = "ask the server's provider which ports its network lets out, and the relay's which it listens on"
    # The row of the wanted port stops the run; this one says that no other would do.
    return Check(check, status, expected, "; ".join(told), fix, "the provider's SMTP documentation", advisory=True)


def _told(seen: Survey, attempt: Attempt) -> str:
    kind = "" if attempt.usual else f" ({attempt.where.tls})"
    return f"{attempt.where.port}{kind} {seen.word(attempt)}"
