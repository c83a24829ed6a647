"""What stage 01 sets on a fresh host, as text: main.cf, master.cf and the maps; pure functions of the site."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from runbooklib.params import Site
from runbooklib.servers import addresses

MAILBOXES, ALIASES, OWNERS, REFUSED = "mailboxes", "aliases", "owners", "refused"
CERTIFICATE, KEY, USERS, MARK = "tls.pem", "tls.key", "users", "01-bootstrap"
HEADING = "# Written by mail-runbooks, stage 01-bootstrap; its next run shows what it would change here.\n"
MARKED = (
    HEADING + "# This host was set up by it: without this file it is taken for one of other hands and left alone.\n"
)
SENDERS, TRANSPORTS, POLICIES, LOGINS = "senders", "transports", "policies", "logins"  # of stage 02
RELAY_CA, RETIRED = "relay-ca.pem", "runbook-retired.yaml"
LMTP, AUTH = "private/dovecot-lmtp", "private/auth"
# Return codes of lists only: 127.255.255.x is how Spamhaus says that it does not answer this resolver.
BLOCKLIST = "zen.spamhaus.org=127.0.0.[2..11]"
LOCAL_NETWORKS = "127.0.0.0/8 [::1]/128"
Setting = tuple[str, str]  # value, why


def table(site: Site, name: str) -> str:
    """A map of ours as Postfix names it; texthash needs no compiling and is read again at a reload."""
    return f"texthash:{site.mail.directory}/{name}"


def main_cf(site: Site, standing: Mapping[str, str]) -> dict[str, Setting]:
    """The parameters of a fresh host, each with its reason; `standing` are those that main.cf sets today."""
    names = ", ".join(d.name for d in site.domains)
    return {
        "myhostname": (
            site.server.hostname,
            "HELO name, the name of the certificate and of the PTR (RFC 5321 4.1.1.1)",
        ),
        "mydestination": ("$myhostname, localhost.$mydomain, localhost", "no mail domain is local: no 550 by accident"),
        "mynetworks": (LOCAL_NETWORKS, "only this host relays without a login"),
        "inet_interfaces": ("all", "mail comes from everywhere"),
        "inet_protocols": ("all" if site.server.ipv6 else "ipv4", "as params name addresses"),
        "recipient_delimiter": ("+", "hi+tag@ reaches hi@"),
        "message_size_limit": (str(site.mail.message_size_limit), "larger ones are refused in SMTP (RFC 1870)"),
        "mailbox_size_limit": ("0", "local mailboxes hold what message_size_limit lets in"),
        "virtual_mailbox_domains": (names, "the mail domains"),
        "virtual_mailbox_maps": (table(site, MAILBOXES), "their mailboxes; others get 550 5.1.1"),
        "virtual_alias_maps": (table(site, ALIASES), "aliases, catch-alls, postmaster@ and abuse@ (RFC 5321 4.5.1)"),
        "virtual_transport": (f"lmtp:unix:{LMTP}", "Dovecot stores mail"),
        "lmtp_destination_recipient_limit": ("1", "X-Original-To can name only one address"),
        **_restrictions(site),
        **_tls(site, standing),
        "smtpd_sasl_type": ("dovecot", "Dovecot knows the passwords"),
        "smtpd_sasl_path": (AUTH, "where it is asked, inside the queue's folder"),
        "smtpd_sender_login_maps": (table(site, OWNERS), "who may send as whom"),
        "smtpd_forbid_bare_newline": ("yes", "no message hides behind a bare LF (SMTP smuggling)"),
    }


def _restrictions(site: Site) -> dict[str, Setting]:
    relay = f"check_recipient_access {table(site, REFUSED)}, permit_mynetworks, reject_unauth_destination"
    filtering = f"permit_mynetworks, reject_rbl_client {BLOCKLIST}" if site.mail.filter == "dnsbl" else ""
    return {
        "smtpd_relay_restrictions": (relay, "refused addresses first; nobody relays through port 25"),
        "smtpd_recipient_restrictions": (filtering, f"mail.filter: {site.mail.filter}"),
    }


def _tls(site: Site, standing: Mapping[str, str]) -> dict[str, Setting]:
    certificate, key = certificate_files(site, standing)
    files = {
        "smtpd_tls_cert_file": (certificate, f"TLS for {site.server.hostname}"),
        "smtpd_tls_key_file": (key, f"TLS for {site.server.hostname}"),
    }
    return (files if site.mail.tls.mode == "manual" else {}) | {
        "smtpd_tls_security_level": ("may", "STARTTLS is offered to every server (RFC 3207 4)"),
        "smtpd_tls_auth_only": ("yes", "no password in clear (RFC 8314 3.3)"),
    }


def certificate_files(site: Site, standing: Mapping[str, str]) -> tuple[str, str]:
    """Certificate and key on the server: uploaded, or those that Postfix names today."""
    if site.mail.tls.mode == "manual":
        return f"{site.mail.directory}/{CERTIFICATE}", f"{site.mail.directory}/{KEY}"
    return standing.get("smtpd_tls_cert_file", ""), standing.get("smtpd_tls_key_file", "")


def master_cf(site: Site) -> dict[str, Setting]:
    """The services of a fresh host beside Debian's own, by name/type."""
    login = [
        "smtpd_sasl_auth_enable=yes",
        "smtpd_client_restrictions=",
        "smtpd_helo_restrictions=",
        "smtpd_sender_restrictions=reject_authenticated_sender_login_mismatch",
        "smtpd_recipient_restrictions=",
        f"smtpd_relay_restrictions=check_recipient_access,{table(site, REFUSED)},permit_sasl_authenticated,reject",
        "milter_macro_daemon_name=ORIGINATING",
    ]
    starttls, implicit = "smtpd_tls_security_level=encrypt", "smtpd_tls_wrappermode=yes"
    return {
        "submission/inet": (_submission("submission", starttls, login), "587, STARTTLS before login (RFC 6409)"),
        "submissions/inet": (
            _submission("submissions", implicit, login),
            "465, TLS from the first byte (RFC 8314 3.3)",
        ),
        "lmtp/unix": ("lmtp unix - - y - - lmtp flags=O", "X-Original-To keeps the address written to (lmtp(8))"),
    }


def _submission(name: str, tls: str, login: Iterable[str]) -> str:
    options = " ".join(f"-o {option}" for option in (f"syslog_name=postfix/{name}", tls, *login))
    return f"{name} inet n - y - - smtpd {options}"


def maps(site: Site, standing: Iterable[str]) -> dict[str, str]:
    """The maps; `standing` are the mailboxes on the server, which go on where params do not name them."""
    boxes = sorted({*site.mailboxes, *standing})
    return {
        MAILBOXES: _lines({box: box for box in boxes}),
        ALIASES: _lines(_aliases(site, boxes)),
        OWNERS: _lines(owners(site, boxes)),
        REFUSED: _lines({a: "550 5.1.1 User unknown" for d in site.domains for a in d.refuse}),
    }


def _aliases(site: Site, boxes: Iterable[str]) -> dict[str, str]:
    """Postfix asks aliases before mailboxes: each mailbox stands first as itself, or the catch-all would swallow it."""
    host, reader = site.server.hostname, addresses.owner(site, site.domains[0])
    local = {f"{name}@{host}": reader for name in ("root", *addresses.REQUIRED_LOCAL_PARTS)}
    declared = addresses.aliases(site)
    return {box: box for box in boxes if box not in declared} | local | declared


def owners(site: Site, boxes: Iterable[str]) -> dict[str, str]:
    """Who may send as an address: its mailbox, an alias's targets; the owner of a catch-all as any unused address."""
    targets = {alias: _local(site, told) for alias, told in addresses.aliases(site).items()}
    return {box: box for box in boxes} | {alias: boxes for alias, boxes in targets.items() if boxes}


def _local(site: Site, targets: str) -> str:
    return ",".join(target for target in targets.split(",") if target in site.mailboxes)


def _lines(entries: Mapping[str, str]) -> str:
    return HEADING + "".join(f"{key} {value}\n" for key, value in entries.items())
