"""What must hold before a relay is trusted with mail, proved from the server itself."""

from __future__ import annotations

import smtplib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

from runbooklib import endpoint, host
from runbooklib.endpoint import Endpoint, EndpointError
from runbooklib.host import Host
from runbooklib.params import Relay, Site
from runbooklib.results import Check, Checklist, Status, passed

DIRECT_SECONDS = 3  # time for one repeated SYN (RFC 6298 2.1); a cloud's filter drops without a word
NOT_VERIFIED = ("not verified", "not authorized", "verify your domain")


def prove(site: Site, current: Mapping[str, str]) -> Checklist:
    """Port, certificate, login and sender of every relay, and whether port 25 is closed; nothing is sent.

    `current` names the next hop each domain leaves by today, empty where it leaves by none.
    """
    server = host.connect(site)
    with ThreadPoolExecutor() as pool:
        direct = pool.submit(_direct, site, server)
        relays = [pool.submit(_relay, site, server, name, current) for name in site.used_relays]
        checks = [direct.result(), *(check for future in relays for check in future.result())]
    return Checklist("relays, seen from the server", tuple(checks))


def _direct(site: Site, server: Host) -> Check:
    """Whether the server itself may speak to the port 25 of a stranger."""
    name, expected = "relay.direct-25", "outbound port 25 closed, as clouds have it: mail leaves by the relay"
    ref = "providers' terms; RFC 5068 3.2"
    stranger = _stranger(site)
    if not stranger:
        why = "no recipient in test.recipients whose MX could be tried"
        return Check(name, Status.UNKNOWN, expected, why, "add one", ref, advisory=True)
    script = f"timeout {DIRECT_SECONDS} bash -c 'exec 3<>/dev/tcp/{stranger}/25'"
    status = server.run(("sh", "-c", script), check=False).status
    words = {0: "open", 124: f"dropped: no answer from {stranger} within {DIRECT_SECONDS} s"}
    seen = words.get(status, f"refused by {stranger} or on the way there")
    if status == 0:
        return passed(name, expected, f"open to {stranger}: the relay is a choice here, not a need", ref)
    return passed(name, expected, seen, ref)


def _stranger(site: Site) -> str:
    """An address of the first test recipient's MX; empty where none can be found out."""
    for recipient in site.test.recipients:
        domain = recipient.address.rpartition("@")[2]
        try:
            answers = endpoint.lookup(domain, "MX", site.dns.resolvers)
            exchange = min(answers, key=lambda rdata: int(getattr(rdata, "preference", 0)))
            return endpoint.resolve(str(getattr(exchange, "exchange", domain)).rstrip("."), site.dns.resolvers)[0]
        except (EndpointError, ValueError):
            continue
    return ""


def _relay(site: Site, server: Host, name: str, current: Mapping[str, str]) -> list[Check]:
    relay = site.relays[name]
    where = Endpoint(relay.host or "", relay.port, relay.mode, relay.ca)
    addresses = server.run(("getent", "ahostsv4", where.host), check=False).out.split()[:1]
    expected = f"{where.host} resolves on the server"
    if not addresses:
        fix = "correct relays.*.host, or mend the server's resolver"
        return [Check(f"relay.name {name}", Status.FAIL, expected, "no address", fix)]
    rows = [passed(f"relay.name {name}", expected, addresses[0])]
    try:
        client = endpoint.smtp(where, server.dial, addresses[0])
    except EndpointError as error:
        return [
            *rows,
            Check(f"relay.port {name}", error.status, f"{where} answers, its certificate valid", str(error), error.fix),
        ]
    with closing(client):
        tls = f"verified TLS by {'STARTTLS' if relay.mode == 'starttls' else 'implicit TLS'} at {where}"
        rows.append(
            passed(f"relay.port {name}", f"{where} answers, its certificate valid", tls, "RFC 3207, RFC 8314 3.3")
        )
        login = _login(name, relay, client)
        rows.append(login)
        if login.status is Status.PASS:
            rows += [_sender(site, name, domain, client, current.get(domain, "")) for domain in _domains(site, name)]
    return rows


def _domains(site: Site, relay: str) -> list[str]:
    return [d.name for d in site.domains if d.relay == relay]


def _login(name: str, relay: Relay, client: smtplib.SMTP) -> Check:
    check, expected = f"relay.login {name}", f"login as {relay.username}" if relay.username else "no login asked for"
    if relay.username is None or relay.password is None:
        return passed(check, expected, "the relay knows us by address")
    try:
        endpoint.login(client, relay.username, relay.password)
    except EndpointError as error:
        return Check(check, error.status, expected, str(error), error.fix, "RFC 4954 6")
    return passed(check, expected, "accepted", "RFC 4954 6")


def _sender(site: Site, name: str, domain: str, client: smtplib.SMTP, hop: str) -> Check:
    """MAIL FROM and RCPT TO as a real message would say them, then RSET: nothing is sent."""
    check, expected = f"relay.sender {domain}", f"{name} accepts MAIL FROM this domain"
    sender = next((a for a in site.mailboxes if a.endswith(f"@{domain}")), f"postmaster@{domain}")
    try:
        code, said = client.mail(sender)
        if code < 400 and site.test.recipients:  # noqa: PLR2004 - RFC 5321 4.2.1: 4yz and 5yz refuse
            code, said = client.rcpt(site.test.recipients[0].address)
        client.rset()
    except (smtplib.SMTPException, OSError) as error:
        return Check(check, Status.UNKNOWN, expected, f"the dialogue broke: {error}", "run again", "RFC 5321 4.1.1")
    answer = endpoint.reply(code, said)
    if code < 400:  # noqa: PLR2004
        return passed(check, expected, answer, "RFC 5321 4.1.1")
    if any(words in answer for words in NOT_VERIFIED) and not hop:
        # Nothing is wrong yet: the relay trusts a domain only when its DNS stands.
        fix = "04-dns publishes what the relay wants to see; then 02 is walked again"
        return Check(check, Status.PENDING, expected, answer, fix, "RFC 5321 4.1.1", waits_for="04-dns")
    fix = "see the relay's answer: publish its records (04-dns), or use a sender it allows; the route stays as it is"
    status = Status.FAIL if code >= 500 else Status.UNKNOWN  # noqa: PLR2004 - RFC 5321 4.2.1: 4yz may pass later
    return Check(check, status, expected, answer, fix, "RFC 5321 4.1.1")
