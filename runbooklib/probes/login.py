"""Whether a relay takes a verified connection and our login."""

from __future__ import annotations

from collections.abc import Mapping

from runbooklib import endpoint, host
from runbooklib.endpoint import (
    CertificateError,
    Endpoint,
    EndpointError,
    GreetingError,
    LoginError,
    NameMissingError,
    NoStartTlsError,
    TlsError,
    UnreachableError,
)
from runbooklib.params import Relay, Site

WORDS: Mapping[type[EndpointError], str] = {
    UnreachableError: "unreachable",
    CertificateError: "certificate",
    NoStartTlsError: "tls",
    TlsError: "tls",
    GreetingError: "greeting",
    LoginError: "login",
}
HERE = "asked from this machine, since mailcow is reached by its API alone"


def told(relay: Relay, address: str, dial: endpoint.Dial) -> dict[str, str]:
    """What became of it, in one word, and what was said."""
    where = Endpoint(relay.host or "", relay.port, relay.mode, relay.ca)
    try:
        with endpoint.ending(endpoint.smtp(where, dial, address)) as client:
            if relay.username and relay.password:
                endpoint.login(client, relay.username, relay.password)
    except EndpointError as error:
        return {"state": WORDS.get(type(error), "greeting"), "said": str(error)}
    return {"state": "ok", "said": f"{where} took the login" if relay.username else f"{where} answers"}


def nameless(relay: Relay, seen_by: str) -> dict[str, str]:
    """What is said of a relay whose name leads nowhere."""
    return {"state": "name", "said": f"{relay.host} has no address for {seen_by}"}


def by_resolvers(site: Site, name: str) -> dict[str, str]:
    """Found by the site's resolvers, and asked from the server where there is a shell, else from here."""
    relay = site.relays[name]
    try:
        addresses = endpoint.resolve(relay.host or "", site.dns.resolvers)
    except NameMissingError:
        return nameless(relay, "the resolvers of params")
    if site.mail.over_ssh:
        return told(relay, addresses[0], host.connect(site).dial)
    found = told(relay, addresses[0], endpoint.local_dial)
    return found | {"said": f"{found['said']} ({HERE})"}
