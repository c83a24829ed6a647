"""Stage 01 afterwards: whether Postfix and Dovecot run and answer at their doors as the params say."""

from __future__ import annotations

import smtplib
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from runbooklib import endpoint, host
from runbooklib.endpoint import Endpoint, EndpointError
from runbooklib.params import Site, Tls
from runbooklib.results import Check, Checklist, Outcome, Status, judged, passed
from runbooklib.servers import doors
from runbooklib.servers.doors import PORTS, planned
from runbooklib.servers.postfix import layout
from runbooklib.servers.postfix.bootstrap import PROGRAMS
from runbooklib.servers.postfix.running import Server
from runbooklib.servers.postfix.state import PACKAGES, State, observe
from runbooklib.servers.recipients import ALIAS, MADE_UP, OPEN_RELAY, POSTSCREEN_SECONDS, REFUSED, STRANGER, replies

ANYBODY = "203.0.113.25"  # RFC 5737: nobody's address, which mynetworks names only where it names everybody's
APPLY = "run 01-bootstrap with apply"


def verify(site: Site, done: Outcome, wait: float) -> Checklist:
    """Whether the mail server is up and does what the params say; `pending` where the plan is not applied."""
    title = f"mail server on {site.server.hostname}"
    have = observe(site)
    if done.plan and not done.applied:
        held = [planned("server.plan", f"{len(done.plan)} changes applied")]
        return Checklist(title, tuple(held + (_standing(site, have) if have.marked else [])))
    ready = until_ready(site, wait)
    have = observe(site)
    checks = [ready, *_standing(site, have)]
    if ready.status is Status.PASS:
        with ThreadPoolExecutor() as pool:
            parts = pool.map(lambda prove: prove(site, have), (_certificates, logins, recipients))
            checks += [check for part in parts for check in part]
    return Checklist(title, tuple(checks))


def until_ready(site: Site, wait: float) -> Check:
    """Polls until every port is listened on and every program runs."""
    deadline, have = time.monotonic() + max(wait, 1), observe(site)
    ports, programs = _expected(have)
    expected = f"{' and '.join(programs)} running, ports {', '.join(map(str, ports))} open"
    while missing := _missing(have):
        if time.monotonic() > deadline:
            said = "".join(f"\n{line}" for line in _complaints(site))
            fix = "read the mail log; `postfix check` and `doveconf -n` say what they do not like"
            return Check(
                "server.ready", Status.FAIL, expected, f"not within {wait:.0f} s: {', '.join(missing)}{said}", fix
            )
        time.sleep(1)
        have = observe(site)
    return passed("server.ready", expected, "all there", "master(8)")


def _expected(have: State) -> tuple[tuple[int, ...], dict[str, str]]:
    """The ports and programs that must be there; a server of other hands may keep its mailboxes otherwise."""
    return (PORTS, PROGRAMS) if have.fresh else ((25, 587), {"postfix": PROGRAMS["postfix"]})


def _missing(have: State) -> list[str]:
    """What is not there yet; a port open to this host alone is not open."""
    ports, programs = _expected(have)
    silent = [f"port {port}" for port in ports if not have.listening(port)]
    return silent + [service for service, program in programs.items() if program not in have.running]


def _certificates(site: Site, have: State) -> list[Check]:
    """The certificates shown; a server of other hands has its own, and need not have every door."""
    if have.fresh:
        return doors.certificates(site)
    own = site.mail.model_copy(update={"tls": Tls(mode="existing", ca=site.mail.tls.ca)})
    rows = doors.certificates(site.model_copy(update={"mail": own}))
    return [row for row in rows if int(row.name.rpartition(".")[2]) in have.ports]


def _complaints(site: Site) -> list[str]:
    """The last words of the log that may say why."""
    lines = Server(site).log(200).splitlines()
    return [line for line in lines if any(word in line for word in ("fatal:", "panic:", "Fatal:", "Error:"))][-3:]


def _standing(site: Site, have: State) -> list[Check]:
    """What the facts alone prove."""
    rows = [_kind(have), _complained(have), doors.redirects(site, have.redirects), *_boot(have)]
    if not have.fresh:
        return [*rows, _signer(have)]
    missing = [name for name in PACKAGES if name not in have.packages]
    said = f"missing {', '.join(missing)}" if missing else "all there"
    return [
        *rows,
        judged("server.packages", not missing, "Postfix, Dovecot and OpenDKIM", said, APPLY),
        doors.mailboxes(site, have.mailboxes),
        doors.filtering(site),
        _newlines(have),
    ]


def _kind(have: State) -> Check:
    """Whose host this is, which decides what stage 01 does."""
    version = have.packages.get("postfix", "").partition("-")[0]
    said = f"{have.kind}; Postfix {version}" if version else have.kind
    return passed("server.host", "a host that is fresh, or serves already", said)


def _complained(have: State) -> Check:
    said = "\n".join(have.complaints[:5])
    fix = "correct main.cf; a parameter nobody reads is often a slip of the pen" if said else ""
    return Check(
        "server.complaints",
        Status.WARN if said else Status.PASS,
        "`postconf -n` warns of nothing",
        said or "nothing",
        fix,
    )


def _boot(have: State) -> Iterator[Check]:
    for service in _expected(have)[1]:
        enabled = service in have.enabled
        fix = f"{APPLY}, or `systemctl enable {service}`: mail must come back after a restart"
        yield judged(f"server.boot {service}", enabled, "started at boot", str(enabled).lower(), fix)


def _signer(have: State) -> Check:
    said = ", ".join(have.signers) or "no milter is named in main.cf or master.cf"
    return Check("server.signer", Status.PASS, "who signs mail here today", said, ref="milter-protocol")


def _newlines(have: State) -> Check:
    value = have.parameters.get("smtpd_forbid_bare_newline", "")
    fix = f"{APPLY}: a bare LF lets a stranger smuggle a second message in"
    return judged(
        "server.bare-newline",
        value not in {"", "no"},
        "refused or normalized",
        value or "not set",
        fix,
        "RFC 5321 2.3.8",
    )


def logins(site: Site, have: State) -> list[Check]:
    """Where a login is offered: never before TLS, and on port 25 not at all."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda port: _login(site, port, have), (25, 587)))


def _login(site: Site, port: int, have: State) -> Check:
    name, expected = f"server.login.{port}", "no AUTH before TLS" if port != smtplib.SMTP_PORT else "no AUTH"
    try:
        where = Endpoint(site.server.hostname, port, "none", None)
        with closing(endpoint.smtp(where, host.connect(site).dial, "127.0.0.1", POSTSCREEN_SECONDS)) as client:
            offered, refused = client.has_extn("auth"), endpoint.reply(*client.mail(""))
    except (EndpointError, smtplib.SMTPException, OSError) as error:
        return Check(name, Status.UNKNOWN, expected, str(error), "look at the mail log for what refused the connection")
    good = not offered and (port == smtplib.SMTP_PORT or refused.startswith("530"))
    said = f"{'AUTH offered' if offered else 'no AUTH'}, MAIL FROM in clear: {refused}"
    fix = "smtpd_tls_auth_only = yes, and on 587 smtpd_tls_security_level = encrypt: passwords go in clear"
    row = judged(name, good, expected, said, fix, "RFC 8314 3.3")
    return row if have.fresh or row.status is Status.PASS else replace(row, status=Status.WARN)


def recipients(site: Site, have: State) -> list[Check]:
    """The answers of port 25, with what to do on this kind of host about a wrong one."""
    # A server of other hands takes any recipient from its own loopback; ours refuses unknown ones there, too, and
    # asks no block list about it.
    address = doors.LOOPBACK if have.fresh else have.address
    rows = doors.recipients(site, *fixes(site, have), address)
    told = rows if have.fresh else [_theirs(site, row, have) for row in rows]
    return [*(row for row in told if not row.name.startswith(OPEN_RELAY)), _open_relay(site, have)]


def _open_relay(site: Site, have: State) -> Check:
    """Whether port 25 takes mail for others, asked from the host's own address: the loopback may relay."""
    name, expected = f"{OPEN_RELAY} {STRANGER}", "5… or 4…, a refusal"
    try:
        where, dial = Endpoint(site.server.hostname, 25, "none", None), host.connect(site).dial
        with closing(endpoint.smtp(where, dial, have.address, POSTSCREEN_SECONDS)) as client:
            answer = replies(client, [STRANGER])[STRANGER]
    except (EndpointError, smtplib.SMTPException, OSError) as error:
        return Check(name, Status.UNKNOWN, expected, str(error), "look at the mail log for what refused the connection")
    fix = fixes(site, have)[0][OPEN_RELAY]
    if answer.startswith("2") and trusted(have.address, have.networks) and not trusted(ANYBODY, have.networks):
        said = f"{answer}: but {have.address}, where this was asked from, is in mynetworks"
        return Check(name, Status.UNKNOWN, expected, said, "ask from outside; stage 06 does", advisory=True)
    return judged(name, not answer.startswith("2"), expected, answer, fix, "RFC 5321 7.9")


def trusted(address: str, networks: Iterable[str]) -> bool:
    """Whether mynetworks names an address; tables in it are not looked at."""
    plain = (network.replace("[", "").replace("]", "") for network in networks if ":/" not in network)
    return any(ip_address(address) in found for network in plain if (found := _network(network)))


def _network(text: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


def _theirs(site: Site, row: Check, have: State) -> Check:
    """What an answer of a server of other hands proves: its limit is its own, a deferral or a trusted asker nothing."""
    if row.name == "server.size" and row.status is Status.FAIL:
        fix = (
            f"set message_size_limit = {site.mail.message_size_limit} in main.cf, or mail.message_size_limit in params"
        )
        return replace(row, status=Status.WARN, fix=fix)
    if row.name.startswith("server.rcpt") and row.observed.startswith("4"):
        return replace(row, status=Status.UNKNOWN, fix="it defers strangers (greylisting?): ask again in ten minutes")
    if row.name.startswith("server.rcpt") and row.observed.startswith("2") and trusted(have.address, have.networks):
        said = f"{row.observed}: but {have.address}, where this was asked from, is in mynetworks"
        return replace(row, status=Status.UNKNOWN, observed=said, fix="send it a message from outside", advisory=True)
    return row


def fixes(site: Site, have: State) -> tuple[dict[str, str], str]:
    """What to do about a wrong answer, by the name of its check, and for mailboxes."""
    relay = "the server accepts mail for others: look at mynetworks and smtpd_relay_restrictions at once"
    if have.fresh:
        here = site.mail.directory
        return {
            OPEN_RELAY: relay,
            REFUSED: f"{APPLY}; {here}/{layout.REFUSED} holds them",
        }, f"{APPLY}; {here} holds the maps"
    theirs = "this host served before, so stage 01 makes nothing here"
    return {
        OPEN_RELAY: relay,
        ALIAS: f"{theirs}: make the alias where this server keeps them ({_kept(have, 'virtual_alias_maps')})",
        MADE_UP: f"{theirs}: make the catch-all there ({_kept(have, 'virtual_alias_maps')}), or take it out of params",
        REFUSED: f"{theirs}: refuse the address by check_recipient_access, or take it out of params",
    }, f"{theirs}: make the mailbox where this server keeps them ({_kept(have, 'virtual_mailbox_maps')})"


def _kept(have: State, name: str) -> str:
    return f"{name} = {have.parameters.get(name) or 'not set'}"
