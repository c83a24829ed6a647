"""Asks the server each question of a plan, from this machine, side by side; no message is ever begun."""

from __future__ import annotations

import secrets
import smtplib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

import dns.reversename

from runbooklib import endpoint, servers
from runbooklib.credentials import CredentialError, Secret
from runbooklib.delivery import bans, logins
from runbooklib.delivery.doors import literal, own_address
from runbooklib.delivery.handover import BROKEN, broken
from runbooklib.delivery.questions import SMTP_PORT, SUBMISSION, Envelope, Kind, Question
from runbooklib.delivery.transfer import POSTSCREEN, tls
from runbooklib.endpoint import Dial, Endpoint, EndpointError, LoginError, NameMissingError, NoStartTlsError, Tls, reply
from runbooklib.params import MAILCOW, Site
from runbooklib.results import RunbookError, Status
from runbooklib.servers.mailcow import api

A_TIME = 3  # refusals on one connection: mailcow's Postfix waits 10 s after each further one and hangs up after five
PATIENCE = 15.0  # seconds for an answer
LOGINS = {Kind.SENDS_AS, Kind.LOGIN}
TAKEN, NO_AUTH, REFUSED = "taken", "no AUTH", "refused"
LINE = 4096
LOOPBACK = IPv4Network("127.0.0.0/8")  # RFC 1122 3.2.1.3 (g)
NO_PERMISSION = 77  # sysexits(3), as doveadm-auth(1) says that a login failed


@dataclass(frozen=True)
class Asked:
    """What was answered, in the order asked; or why it could not be asked, and what that means."""

    question: Question
    replies: tuple[str, ...] = ()
    trouble: str = ""
    status: Status = Status.UNKNOWN  # of the trouble
    fix: str = ""

    @property
    def said(self) -> str:
        """Each different answer once."""
        return self.trouble or "; ".join(dict.fromkeys(self.replies))


class _Wrong(Secret):
    """A password that nobody has."""

    def reveal(self) -> str:
        return secrets.token_hex()  # no dash in front, which doveadm would take for an option


WRONG = _Wrong("env:NOBODYS")


def ask_all(
    site: Site, questions: Sequence[Question], dial: Dial = endpoint.local_dial, limits: bans.Bans | None = None
) -> tuple[Asked, ...]:
    """The answers, as many as what bans leaves room for; never raises what a service says."""
    if not questions:
        return ()
    limits = limits or bans.observe(site)
    allowed = list(bans.within(questions, limits))
    late = {Kind.PASSWORD} if _from_here(site) else set[Kind]()
    with ThreadPoolExecutor(min(limits.at_once, len(allowed))) as pool:
        first = {q.name: pool.submit(_unless, site, q, why, dial) for q, why in allowed if q.kind not in late}
        # A wrong password comes after the right ones: Dovecot lets every login from here wait then.
        wait([first[q.name] for q, _ in allowed if q.kind in LOGINS] if late else ())
        last = {q.name: pool.submit(_unless, site, q, why, dial) for q, why in allowed if q.kind in late}
    return tuple((first | last)[question.name].result() for question, _ in allowed)


def _from_here(site: Site) -> bool:
    """Whether a wrong password has to be tried from this machine, as nobody may ask on the server."""
    return site.mail.server == MAILCOW


def _unless(site: Site, question: Question, why_not: str, dial: Dial) -> Asked:
    """A question's answers, or why it may not be asked."""
    if why_not:
        return Asked(question, trouble=why_not, fix="let it ignore this machine (ignoreip), then run again")
    if question.ipv6 and not own_address(_address(site, question)):
        return Asked(question, trouble="not asked: this machine has no way to IPv6", fix="run 05 from one that has")
    return ask(site, question, dial)


def ask(site: Site, question: Question, dial: Dial = endpoint.local_dial) -> Asked:
    """One question's answers, those included that came before something broke."""
    heard: list[str] = []
    try:
        heard.extend(ASKED[question.kind](site, question, dial))
    except EndpointError as error:
        return Asked(question, tuple(heard), str(error), error.status, error.fix)
    except CredentialError as error:
        return Asked(question, tuple(heard), str(error), Status.FAIL)
    except RunbookError as error:  # no shell, or no way to it
        return Asked(question, tuple(heard), str(error))
    except (smtplib.SMTPException, OSError) as error:
        return Asked(question, tuple(heard), f"broke off: {error}", fix="run again; the mail log says why")
    except Exception as error:  # noqa: BLE001 - one strange answer must not lose the others
        return Asked(question, tuple(heard), broken(error), fix=BROKEN)
    return Asked(question, tuple(heard))


@contextmanager
def _client(site: Site, question: Question, mode: Tls, dial: Dial) -> Iterator[smtplib.SMTP]:
    """SMTP at a port of the server; our name is our address, since submission and port 25 take it alike."""
    where, address = _at(site, question.port, mode), _address(site, question)
    patience = POSTSCREEN if question.port == SMTP_PORT else PATIENCE
    with endpoint.ending(endpoint.smtp(where, dial, address, patience, literal(own_address(address)))) as client:
        yield client


def _log_in(site: Site, client: smtplib.SMTP, box: str, password: Secret) -> None:
    logins.of(site).smtp(client, site.server.hostname, box, password)


def _address(site: Site, question: Question) -> str:
    return (question.ipv6 and site.server.ipv6) or site.server.ipv4


def _at(site: Site, port: int, mode: Tls) -> Endpoint:
    return Endpoint(site.server.hostname, port, mode, site.mail.tls.ca)


def _relaying(site: Site, question: Question, dial: Dial) -> Iterator[str]:
    """RFC 5321 3.6.2: whether mail between strangers is taken, a few forms a connection."""
    mode: Tls = "none" if question.port == SMTP_PORT else "starttls"
    for some in _a_few(question.envelopes):
        with _client(site, question, mode, dial) as client:
            yield from (_envelope(client, each) for each in some)


def _a_few(envelopes: Sequence[Envelope]) -> list[Sequence[Envelope]]:
    """As many as one connection bears."""
    return [envelopes[start : start + A_TIME] for start in range(0, len(envelopes), A_TIME)]


def _envelope(client: smtplib.SMTP, envelope: Envelope) -> str:
    """What is said to an envelope, byte for byte as it stands there, which smtplib's own commands would tidy up."""
    code, said = client.docmd("MAIL", f"FROM:<{envelope.sender}>")
    if not _completed(code):
        return f"MAIL FROM: {reply(code, said)}"
    code, said = client.docmd("RCPT", f"TO:<{envelope.recipient}>")
    with suppress(OSError):  # who hangs up now has answered
        client.rset()
    return TAKEN if _completed(code) else reply(code, said)


def _completed(code: int) -> bool:
    """RFC 5321 4.2.1; smtplib's word for a line that is no reply is -1."""
    return 200 <= code <= 299  # noqa: PLR2004


def _refused(site: Site, question: Question, dial: Dial) -> Iterator[str]:
    with _client(site, question, "none", dial) as client:
        yield _envelope(client, Envelope("", "", question.about))


def _sends_as(site: Site, question: Question, dial: Dial) -> Iterator[str]:
    for some in _a_few(question.envelopes):
        with _client(site, question, "starttls", dial) as client:
            _log_in(site, client, question.box, site.mailboxes[question.box].password)
            yield from (_envelope(client, each) for each in some)


def _clear(site: Site, question: Question, dial: Dial) -> Iterator[str]:
    """What EHLO offers before TLS; then on submission whether MAIL is taken so, on port 25 what TLS adds."""
    with _client(site, question, "none", dial) as client:
        yield _auth(client)
        if question.port == SUBMISSION:
            yield reply(*client.docmd("MAIL", f"FROM:<{question.box}>"))
            return
    try:
        with _client(site, question, "starttls", dial) as client:
            yield _auth(client)
    except NoStartTlsError as error:
        yield str(error)


def _auth(client: smtplib.SMTP) -> str:
    offered = dict.fromkeys(client.esmtp_features.get("auth", "").split())
    return f"AUTH {' '.join(offered)}" if client.has_extn("auth") else NO_AUTH


def _implicit(site: Site, question: Question, dial: Dial) -> Iterator[str]:
    with _client(site, question, "implicit", dial) as client:
        yield tls(client)


def _login(site: Site, question: Question, dial: Dial) -> Iterator[str]:
    with _client(site, question, "implicit", dial) as client:
        _log_in(site, client, question.box, site.mailboxes[question.box].password)
        yield TAKEN


def _password(site: Site, question: Question, dial: Dial) -> Iterator[str]:
    """A wrong password, asked of Dovecot on the server: nothing bans us for it, nor has the next login wait."""
    if _from_here(site):
        yield from _wrong_login(site, question, dial)
        return
    argv = ("doveadm", "auth", "test", "-x", f"rip={_nobodys_address()}", question.box, WRONG.reveal())
    answer = servers.of(site).inside(argv)
    if answer.status in {0, NO_PERMISSION}:
        yield TAKEN if answer.ok else f"{REFUSED}: {' '.join(answer.out.split())}"
    else:
        yield f"doveadm could not tell: {' '.join((answer.err or answer.out).split())}"


def _nobodys_address() -> str:
    """Of the loopback network, another one each time.

    Dovecot has each further wrong password of an address wait twice as long, up to 15 s, and counts those that come
    from nowhere as one address.
    """
    return str(IPv4Address(int(LOOPBACK.network_address) + secrets.randbelow(LOOPBACK.num_addresses)))


def _wrong_login(site: Site, question: Question, dial: Dial) -> Iterator[str]:
    """One login with a wrong password; a service that could not check it says nothing about it."""
    with _client(site, question, "starttls", dial) as client:
        try:
            _log_in(site, client, question.box, WRONG)
        except LoginError as error:
            if error.status is not Status.FAIL or not client.has_extn("auth"):
                raise
            yield f"{REFUSED}: {error}"
        else:
            yield TAKEN


def _greeting(site: Site, question: Question, dial: Dial) -> Iterator[str]:
    """Banner, the first line of EHLO's reply, and the names of the address, each told only where it leads back."""
    where, address = _at(site, question.port, "none"), site.server.ipv4
    with endpoint.connect(where, dial, address, POSTSCREEN) as sock, sock.makefile("rb") as lines:
        yield _reply(lines.readline)
        sock.sendall(f"EHLO {literal(own_address(address))}\r\n".encode())
        yield _reply(lines.readline)
        sock.sendall(b"QUIT\r\n")
    yield _names(site, address)


def _reply(readline: Callable[[int], bytes]) -> str:
    """The first line of a reply that says something, once its last has come (RFC 5321 4.2.1)."""
    said: list[str] = []
    while not said or said[-1][3:4] == "-":
        line = readline(LINE)
        if not line:
            raise smtplib.SMTPServerDisconnected("the server hung up")
        said.append(line.decode(errors="replace").strip())
    return next((line for line in said if line[4:]), said[-1])


def _names(site: Site, address: str) -> str:
    """The PTR names of an address that have it as theirs (RFC 8499 calls it forward-confirmed)."""
    reverse = dns.reversename.from_address(address).to_text()
    try:
        found = [r.to_text().rstrip(".").lower() for r in endpoint.lookup(reverse, "PTR", site.dns.resolvers)]
        confirmed = [name for name in found if address in endpoint.resolve(name, site.dns.resolvers)]
    except NameMissingError as error:
        return str(error)
    except EndpointError as error:
        return f"?{error}"
    return " ".join(confirmed) or f"PTR {', '.join(found) or 'none'}, which does not lead back"


def _accounts(site: Site, question: Question, dial: Dial) -> Iterator[str]:
    """VRFY of somebody and of nobody."""
    nobody = f"runbook-{secrets.token_hex(6)}@{question.box.rpartition('@')[2]}"
    with _client(site, question, "none", dial) as client:
        for address in (question.box, nobody):
            yield reply(*client.docmd("VRFY", address)).replace(address, "…")


# Postfix's word for the whole server, then for single services of master.cf.
NEWLINES = "postconf mail_version smtpd_forbid_bare_newline 2>/dev/null; postconf -P | grep forbid_bare_newline || true"


def _smuggling(site: Site, question: Question, dial: Dial) -> Iterator[str]:
    """What Postfix is set to: a probe would have to send a message. mailcow tells its release alone."""
    del question, dial
    if site.mail.server == MAILCOW:
        yield f"mailcow = {api.of(site).facts('status', 'version').get('version', '')}"
        return
    yield from servers.of(site).inside(("sh", "-c", NEWLINES)).out.splitlines()


Asking = Callable[[Site, Question, Dial], Iterator[str]]
ASKED: Mapping[Kind, Asking] = {
    Kind.OPEN_RELAY: _relaying,
    Kind.REFUSED: _refused,
    Kind.SENDS_AS: _sends_as,
    Kind.CLEAR: _clear,
    Kind.IMPLICIT: _implicit,
    Kind.LOGIN: _login,
    Kind.PASSWORD: _password,
    Kind.GREETING: _greeting,
    Kind.ACCOUNTS: _accounts,
    Kind.SMUGGLING: _smuggling,
}
