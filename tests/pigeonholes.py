"""The folders of the small mail server on loopback: LIST, SEARCH and FETCH as IMAP has them (RFC 3501)."""

from __future__ import annotations

import email
import re
from email.policy import default
from typing import Any

QUOTED = re.compile(r'SUBJECT "([^"]*)"')
POSTMAN = re.compile(r"mailer-daemon|postmaster", re.IGNORECASE)


def listed(client: Any, _: str) -> str:
    """Every folder with what the server marks it as (RFC 6154)."""
    for name in ("INBOX", *client.office.folders):
        client.say(f'* LIST (\\HasNoChildren {client.office.marks.get(name, "")}) "/" "{name}"')
    return "OK done"


def held(client: Any, name: str) -> list[bytes] | None:
    """What lies in a folder; None where there is no such folder."""
    plain = name.strip('"')
    messages: list[bytes] | None = client.office.messages if plain == "INBOX" else client.office.folders.get(plain)
    return messages


def by_uid(client: Any, rest: str) -> str:
    """UID SEARCH and UID FETCH; a message's UID is a hundred more than its number."""
    verb, _, args = rest.partition(" ")
    client.office.asked.append(verb)
    return _search(client, args) if verb == "SEARCH" else _fetch(client, args)


def _search(client: Any, keys: str) -> str:
    office = client.office
    if office.breaks:
        office.breaks -= 1
        raise EOFError
    quoted = QUOTED.search(keys)
    if quoted and office.search in {"BAD", "NO"}:
        return f"{office.search} no such search"
    wanted = [] if quoted and office.search == "nothing" else client.folder
    found = [str(n + 100) for n, raw in enumerate(wanted, 1) if not quoted or _matches(raw, quoted[1])]
    client.say(" ".join(["* SEARCH", *found]))
    return "OK done"


def _matches(raw: bytes, token: str) -> bool:
    message = email.message_from_bytes(raw, policy=default)
    bounced = POSTMAN.search(str(message["From"])) and token.encode() in raw
    return token in str(message["Subject"]) or bool(bounced)


def _fetch(client: Any, args: str) -> str:
    uids, _, what = args.partition(" ")
    for number in (int(uid) - 100 for uid in uids.split(",")):
        raw: bytes = client.folder[number - 1]
        if "SUBJECT" in what:
            raw = b"\r\n".join(re.findall(rb"^Subject:.*$", raw, re.MULTILINE)) + b"\r\n"
        before, after = (
            (b"", b" UID %d" % (number + 100)) if client.office.uid_last else (b"UID %d " % (number + 100), b"")
        )
        if "INTERNALDATE" in what:
            before += client.office.dated.encode()
        client.wfile.write(b"* %d FETCH (%sBODY[] {%d}\r\n%s%s)\r\n" % (number, before, len(raw), raw, after))
    return "OK done"
