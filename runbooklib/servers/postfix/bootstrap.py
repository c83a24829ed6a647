"""Stage 01 on a host: a fresh one is set up, one that serves already is left as it is."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from runbooklib.host import CommandChange
from runbooklib.params import Mailbox, Site
from runbooklib.results import Change, Plan
from runbooklib.servers import dane
from runbooklib.servers.addresses import owner
from runbooklib.servers.blocks import difference
from runbooklib.servers.materials import material
from runbooklib.servers.postfix import checking, dovecot, editing, layout
from runbooklib.servers.postfix.editing import Content, Part
from runbooklib.servers.postfix.state import PACKAGES, RIVALS, SYSLOG, State, path

PROGRAMS = {"dovecot": "dovecot", "opendmarc": "opendmarc", "postfix": "master"}  # service -> its process
PORTS = (25, 143, 465, 587, 993)
OURS = {"master", "dovecot", "imap-login", "auth"}  # the programs that listen there where all is well
INSTALL = "apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=120"
# Debian asks what kind of site this is; this answer leaves main.cf with its usual defaults.
DEBCONF = """postfix postfix/main_mailer_type select Internet Site
postfix postfix/mailname string {hostname}
"""
RELOAD_DOVECOT = 'if kill -0 "$(cat /run/dovecot/master.pid 2>/dev/null)" 2>/dev/null; then doveadm reload; fi'
# The password comes by standard input and never stands in an argument; a mailbox that is there keeps its own.
MAKE_MAILBOX = """set -e
[ -d "${1%/*}" ] || install -d -m 0755 "${1%/*}"
[ -e "$1" ] || install -m 0640 -o root -g dovecot /dev/null "$1"
hash=$(doveadm pw -s SHA512-CRYPT)
cut -d: -f1 "$1" | grep -qxF "$2" || printf '%s:%s::::::\\n' "$2" "$hash" >>"$1\""""
# To a file: a service keeps what it was given as its output, and the command would never end.
START = """update-rc.d "$1" defaults >/dev/null && said=$(mktemp) || exit 1
service "$1" start </dev/null >"$said" 2>&1 || { cat "$said"; exit 1; }
rm -f "$said\""""
MAKE_USER = f"""id {dovecot.USER} >/dev/null 2>&1 || useradd --system --user-group --no-create-home \\
  --home-dir {dovecot.MAIL} --shell /usr/sbin/nologin {dovecot.USER}
install -d -m 0700 -o {dovecot.USER} -g {dovecot.USER} {dovecot.MAIL}"""


def plan(site: Site, have: State, pins: dane.Pins = dane.standing) -> Plan:
    """Everything that takes a fresh host to what the params say, in order; nothing on one that serves already."""
    title = f"mail server on {site.server.hostname}"
    if not have.fresh:
        return Plan(title)
    changes = [
        *_packages(site, have),
        *_syslog(have),
        *_user(have),
        *_mailboxes(site, have),
        *_configuration(site, have),
        *_services(have),
    ]
    reasons = (*_refusals(site, have), *dane.unlisted(site, have.files.get(layout.KEY), pins))
    return Plan(title, tuple(changes), reasons)


def _refusals(site: Site, have: State) -> Iterator[str]:
    """Reasons not to begin."""
    for port in PORTS:
        program = have.listening(port)
        if program and program not in OURS and not have.marked:
            yield f"{program} listens on port {port}: stop it, or name in mail.server what serves mail here"
    if not certificate(site, have):
        yield "mail.tls: this host has no certificate yet: name certificate and key, files on this machine"


def certificate(site: Site, have: State) -> tuple[str, str] | None:
    """Where certificate and key are on the host; None where there is nothing but Debian's own for tests."""
    names = layout.certificate_files(site, have.parameters)
    return names if all(names) and not any("snakeoil" in name for name in names) else None


def _packages(site: Site, have: State) -> list[Change]:
    wanted = (*PACKAGES, *(() if have.syslog else (SYSLOG,)))
    missing = [name for name in wanted if name not in have.packages]
    if not missing:
        return []
    gone = ", ".join(name for name in RIVALS if name in have.packages)
    told = f"installed; {gone} goes" if gone else "installed"
    answers = DEBCONF.format(hostname=site.server.hostname)
    script = f"printf %s '{answers}' | debconf-set-selections && apt-get update -qq && {INSTALL} {' '.join(missing)}"
    argv = ("env", "DEBIAN_FRONTEND=noninteractive", "sh", "-c", script)
    why = f"the packages of {have.os.get('PRETTY_NAME', 'this system')}"
    return [
        CommandChange(10, ", ".join(missing), "absent", told, why, undo="apt-get purge them", argv=argv, timeout=900)
    ]


def _syslog(have: State) -> list[Change]:
    if have.syslog:
        return []
    why = "without a log nobody knows what became of a message"
    return [_service(12, SYSLOG, "nobody writes what is logged", why, systemd=have.systemd)]


def _user(have: State) -> list[Change]:
    if have.vmail:
        return []
    argv, why = ("sh", "-c", MAKE_USER), "one user owns all mailboxes, and nobody logs in as it"
    return [CommandChange(15, f"user {dovecot.USER}", "absent", f"made, with {dovecot.MAIL}", why, argv=argv)]


def _mailboxes(site: Site, have: State) -> list[Change]:
    return [_mailbox(site, mailbox) for name, mailbox in site.mailboxes.items() if name not in have.mailboxes]


def _mailbox(site: Site, mailbox: Mailbox) -> Change:
    return CommandChange(
        25,
        f"mailbox {mailbox.address}",
        "absent",
        f"made, password from {mailbox.password}",
        "declared in params; a password is set when the mailbox is made and not again",
        argv=("sh", "-c", MAKE_MAILBOX, "mailbox", path(site, layout.USERS), mailbox.address),
        password=mailbox.password,
    )


def _configuration(site: Site, have: State) -> tuple[Change, ...]:
    """main.cf, master.cf, the maps and Dovecot's file, all in one step."""
    parts: list[Part] = [*_certificates(site, have), *_files(site, have)]
    for name, (value, why) in layout.main_cf(site, have.parameters).items():
        parts += editing.parameter(have.parameters.get(name), name, value, why)
    parts += _milters(have)
    for name, (entry, why) in layout.master_cf(site).items():
        parts += editing.service(have.services.get(name), name, entry, why)
    checks, then = ("doveconf -n >/dev/null",), (RELOAD_DOVECOT, checking.RESTART, editing.RELOAD)
    return editing.together(30, parts, site.mail.directory, checks=checks, then=then, target="Postfix and Dovecot")


def _milters(have: State) -> tuple[Part, ...]:
    standing = have.parameters.get("smtpd_milters")
    return editing.parameter(
        standing, "smtpd_milters", checking.milters(standing or ""), "OpenDMARC looks at what comes in"
    )


def _certificates(site: Site, have: State) -> Iterator[Content]:
    if site.mail.tls.mode != "manual":
        return
    given = {layout.KEY: (site.mail.tls.key, 0o600), layout.CERTIFICATE: (site.mail.tls.certificate, 0o644)}
    for name, (source, mode) in given.items():
        content = material(source)
        if not same(have, name, content, mode):
            before, target = "another" if name in have.files else "absent", path(site, name)
            why = f"TLS for {site.server.hostname}"
            yield Content(0, target, before, f"as {source}", why, path=target, content=content, mode=mode)


def same(have: State, name: str, content: bytes, mode: int) -> bool:
    """Whether a file stands with this content and mode."""
    fact = have.files.get(name)
    return fact is not None and (fact.digest, fact.mode) == (hashlib.sha256(content).hexdigest(), mode)


def _files(site: Site, have: State) -> Iterator[Content]:
    version = have.dovecot or _expected(have)
    names = certificate(site, have) or ("", "")
    texts = {
        **layout.maps(site, have.mailboxes),
        dovecot.CONFIG: dovecot.config(site, version, *names),
        checking.CONFIG: checking.config(site),
        layout.MARK: layout.MARKED,
    }
    for name, text in texts.items():
        if same(have, name, text.encode(), 0o644):
            continue
        old, target = have.text(name), path(site, name)
        before = "absent" if old is None else f"{len(old.splitlines())} lines"
        after = difference(old, text) if old and old.startswith(layout.HEADING) else f"{len(text.splitlines())} lines"
        yield Content(0, target, before, after, _reason(site, name), path=target, content=text.encode())


def _expected(have: State) -> tuple[int, ...]:
    """The version of Dovecot that the system's packages will bring."""
    return (2, 3) if have.os.get("VERSION_CODENAME") in dovecot.OLD_RELEASES else dovecot.NEW_GRAMMAR


def _reason(site: Site, name: str) -> str:
    return {
        layout.MAILBOXES: "the mailboxes, for Postfix",
        layout.ALIASES: f"aliases, catch-alls, root@{site.server.hostname}: read by {owner(site, site.domains[0])}",
        layout.OWNERS: "nobody sends as another; a catch-all's owner as any unused address",
        layout.REFUSED: "addresses answered 550 5.1.1 in spite of a catch-all",
        dovecot.CONFIG: "mailboxes, IMAP, logins; TLS before any password",
        checking.CONFIG: "SPF and DMARC of what comes in are looked at (RFC 9989)",
        layout.MARK: "says that stage 01 set this host up",
    }[name]


def _services(have: State) -> list[Change]:
    told = {name: program in have.running for name, program in PROGRAMS.items()}
    return [
        _service(
            50, name, f"{'running' if runs else 'not running'}, {_boot(have, name)}", _why(have), systemd=have.systemd
        )
        for name, runs in told.items()
        if not runs or name not in have.enabled
    ]


def _boot(have: State, name: str) -> str:
    return "started at boot" if name in have.enabled else "not started at boot"


def _why(have: State) -> str:
    return f"mail must come back after a restart ({'systemd' if have.systemd else 'init scripts'})"


def _service(order: int, name: str, before: str, why: str, *, systemd: bool) -> Change:
    argv = ("sh", "-c", f"systemctl enable --now {name}" if systemd else START, "start", name)
    return CommandChange(order, f"service {name}", before, "running, started at boot", why, argv=argv)
