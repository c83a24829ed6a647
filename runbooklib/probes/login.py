"""Whether a relay takes a verified connection, our login, and then our senders; nothing is sent."""

from __future__ import annotations

import smtplib
import socket
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from runbooklib import endpoint, host
from runbooklib.endpoint import (
    CertificateError,
    Dial,
    Endpoint,
    EndpointError,
    GreetingError,
    LoginError,
    NameMissingError,
    NoStartTlsError,
    Reply,
    TlsError,
    UnreachableError,
)
from runbooklib.params import Domain, Relay, Site
from runbooklib.relays import envelope
from runbooklib.results import Status

WORDS: Mapping[type[EndpointError], str] = {
    UnreachableError: "unreachable",
    CertificateError: "certificate",
    NoStartTlsError: "tls",
    TlsError: "tls",
    GreetingError: "greeting",
    LoginError: "login",
}
FLEETING = {"unreachable", "greeting"}  # a relay that reloads hangs up on somebody; a busy machine loses a packet
CONNECT_SECONDS, DIALOGUE_SECONDS = 5.0, 8.0  # a firewall that drops says nothing for ever; a relay may take its time
AGAIN_SECONDS = 2.0  # to connect once more: TCP itself has asked three times by then (RFC 6298 2.1)
SENDERS = 3  # of each domain; a login for one mailbox alone shows at the second
HERE = "asked from this machine, since mailcow is reached by its API alone"


def told(site: Site, name: str, address: str, dial: Dial) -> dict[str, Any]:
    """What became of it, in one word, what was said, and the answer to each sender; silence is asked once more.

    Raises LoginError where the relay puts the login off, which says nothing of it.
    """
    found = _told(site, name, address, partial(_quick, dial, CONNECT_SECONDS))
    return _told(site, name, address, partial(_quick, dial, AGAIN_SECONDS)) if found["state"] in FLEETING else found


def _told(site: Site, name: str, address: str, dial: Dial) -> dict[str, Any]:
    relay = site.relays[name]
    where = Endpoint(relay.host or "", relay.port, relay.mode, relay.ca)
    try:
        with endpoint.ending(endpoint.smtp(where, dial, address, DIALOGUE_SECONDS)) as client:
            if relay.username and relay.password:
                endpoint.login(client, relay.username, relay.password)
            said = f"{where} took the login" if relay.username else f"{where} answers"
            return {"state": "ok", "said": said, "answers": dict(_answers(site, name, client))}
    except EndpointError as error:
        if isinstance(error, LoginError) and error.status is Status.UNKNOWN:
            raise
        return {"state": WORDS.get(type(error), "greeting"), "said": str(error)}


def _quick(dial: Dial, seconds: float, address: str, port: int, timeout: float) -> socket.socket:
    """Connecting is quick or never; what is said may take its time."""
    sock = dial(address, port, seconds)
    sock.settimeout(timeout)
    return sock


def _answers(site: Site, name: str, client: smtplib.SMTP) -> Iterator[tuple[str, dict[str, Any]]]:
    """What the relay says to our senders, and last to mail without one; to none after it hung up."""
    mine = [domain for domain in site.domains if domain.relay == name]
    for sender in (*senders(mine), ""):
        try:
            yield sender, _worded(envelope.ask(site, client, sender))
        except OSError:
            return


def senders(domains: Iterable[Domain]) -> Iterator[str]:
    """The first mailboxes of each domain; of one without any its postmaster (RFC 5321 4.5.1)."""
    for domain in domains:
        boxes = [mailbox.address for mailbox in domain.mailboxes]
        yield from boxes[:SENDERS] or [f"postmaster@{domain.name}"]


def _worded(answer: Reply) -> dict[str, Any]:
    return {"code": answer.code, "said": str(answer)}


def nameless(relay: Relay, seen_by: str) -> dict[str, Any]:
    """What is said of a relay whose name leads nowhere."""
    return {"state": "name", "said": f"{relay.host} has no address for {seen_by}"}


def unanswered(relay: Relay, seen_by: str, word: str) -> dict[str, Any]:
    """What is said of a relay whose name nobody there can tell the address of."""
    return {"state": "unanswered", "said": f"{seen_by} says {word} of {relay.host}"}


def by_resolvers(site: Site, name: str) -> dict[str, Any]:
    """Found by the site's resolvers, and asked from the server where there is a shell, else from here."""
    relay = site.relays[name]
    try:
        addresses = endpoint.resolve(relay.host or "", site.dns.resolvers)
    except NameMissingError:
        return nameless(relay, "the resolvers of params")
    if site.mail.over_ssh:
        return told(site, name, addresses[0], host.connect(site).dial)
    found = told(site, name, addresses[0], endpoint.local_dial)
    return found | {"said": f"{found['said']} ({HERE})"}
