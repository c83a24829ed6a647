"""The page behind mailcow's button `Test` of a transport: a real message, told as HTML without a verdict."""

from __future__ import annotations

import re
from ipaddress import ip_address

from mailcow import relayhosts, transports
from mailcow.php import escaped, integer, is_email
from mailcow.phpmailer import Mailer
from mailcow.session import Session

SENDER, RECIPIENT = "relay@example.org", "null@hosted.mailcow.de"  # the page's own, where it is given none
COLOURS = {"2": "darkgreen", "3": "lightgreen", "4": "yellow", "5": "red"}
SMTP = 25


def page(session: Session, asked: dict[str, str], patience: float) -> str:
    """The page for one transport."""
    if not session.admin:
        return "Permission denied."
    identity, kind = integer(asked.get("transport_id")), asked.get("transport_type")
    row = relayhosts.details(session, identity) if kind == "sender-dependent" else None
    row = transports.details(session, identity) if kind == "transport-map" else row
    if row is None:
        return "Unknown transport."
    nexthop = row["hostname"] if kind == "sender-dependent" else row["nexthop"]
    before, host, port = _place(session, nexthop)
    mailer = Mailer(host, port, row["username"], row["password"], patience)
    sender, recipient = asked.get("mail_from", ""), asked.get("mail_rcpt", "")
    lines = mailer.send(sender if is_email(sender) else SENDER, recipient if is_email(recipient) else RECIPIENT)
    return before + "".join(_shown(line) for line in lines)


def _place(session: Session, nexthop: str) -> tuple[str, str, int]:
    """What is said about MX records, the host and the port; without brackets an MX is looked for first."""
    bare = re.sub(r"[\[\]]", "", nexthop)
    if nexthop.startswith("["):
        found = re.fullmatch(r"\[(.+)\]:(\d+)", nexthop)
        return ("", _address(found[1]), int(found[2])) if found else ("", _address(bare), SMTP)
    exchangers = session.backend.exchangers(bare)
    if exchangers:
        said = f'Using first matched primary MX for "{bare}": {exchangers[0]}<br>'
        return said, exchangers[0], SMTP
    said = f"No MX records for {bare} were found in DNS, skipping and using hostname as next-hop.<br>"
    host, colon, port = bare.rpartition(":")
    return said, *((host, int(port)) if colon and port.isdecimal() else (bare, SMTP))


def _address(host: str) -> str:
    try:
        return f"[{host}]" if ip_address(host).version == 6 else host  # noqa: PLR2004 - IPv6
    except ValueError:
        return host


def _shown(line: str) -> str:
    if found := re.search(r"SERVER -> CLIENT: ([2-5])\d\d.+", line):
        return f'<span style="color:{COLOURS[found[1]]};font-weight:bold">{escaped(line)}</span><br>'
    if re.search(r"CLIENT -> SERVER:.+", line):
        return f'<span style="color:#999;font-weight:bold">{escaped(line)}</span><br>'
    if re.match(r"(?!SERVER|CLIENT|Connection:|\)).+", line):
        return f"<span>&nbsp;&nbsp;&nbsp;&nbsp;↪ {escaped(line)}</span><br>"
    return f"{escaped(line)}<br>"
