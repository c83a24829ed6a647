"""Mailboxes in mailcow: made with the password of params, which is not set again; quotas as params say."""

from __future__ import annotations

import re
from collections.abc import Iterator

from runbooklib.credentials import CredentialError
from runbooklib.params import Mailbox, Site
from runbooklib.results import Change, Check, Status
from runbooklib.servers.mailcow.aliases import ours
from runbooklib.servers.mailcow.domains import mebibytes
from runbooklib.servers.mailcow.state import MEBIBYTE, ON, State
from runbooklib.servers.mailcow.writes import Write

MAILBOXES, QUOTAS = 54, 55  # the steps of a plan
HASHED = re.compile(r"^\{[A-Za-z0-9.-]+\}")  # Dovecot's schemes; mailcow stores such a text as the hash itself
WHY = "declared in params; a password is set when the mailbox is made and not again"
KINDS = {  # of characters that a password policy may ask for
    "chars": (r"[A-Za-z]", "a letter"),
    "numbers": (r"\d", "a digit"),
    "special_chars": (r"[^A-Za-z\d]", "a character that is neither letter nor digit"),
    "lowerupper": (r"(?s)(?=.*[a-z]).*[A-Z]", "a small and a capital letter"),
}


def changes(site: Site, have: State) -> Iterator[Change]:
    """The mailboxes to make, and quotas to set."""
    for address, mailbox in site.mailboxes.items():
        there = have.mailboxes.get(address)
        if there is None and not _aliased(site, have, address):
            yield _made(mailbox)
        elif there and mailbox.quota and mebibytes(mailbox.quota) != there.quota:
            yield _quota(mailbox, there.quota)


def _aliased(site: Site, have: State, address: str) -> bool:
    """Whether an alias that stays has the address; one of ours goes first."""
    there = have.aliases.get(address)
    return there is not None and not ours(site, there)


def _made(mailbox: Mailbox) -> Write:
    local, _, domain = mailbox.address.rpartition("@")
    quota = {"quota": mebibytes(mailbox.quota)} if mailbox.quota else {}  # else as mailcow's template says
    shown = {"quota": mebibytes(mailbox.quota) * MEBIBYTE} if mailbox.quota else {}
    return Write(
        MAILBOXES,
        f"mailbox {mailbox.address}",
        "absent",
        f"made, password from {mailbox.password}" + (f", quota {mailbox.quota}" if mailbox.quota else ""),
        WHY,
        "delete it in mailcow: its mail goes with it",
        path="add/mailbox",
        body=quota
        | {
            "local_part": local,
            "domain": domain,
            "name": mailbox.address,
            "password": mailbox.password,
            "password2": mailbox.password,
            "active": ON,
            "force_pw_update": 0,
            "tls_enforce_in": 0,
            "tls_enforce_out": 0,
        },
        read=("mailbox", "all", domain),
        shows=shown | {"username": mailbox.address, "active": ON},
    )


def _quota(mailbox: Mailbox, standing: int) -> Write:
    wanted = mebibytes(str(mailbox.quota))
    return Write(
        QUOTAS,
        f"quota of {mailbox.address}",
        f"{standing} MiB" if standing else "none",
        f"{wanted} MiB",
        "full, a mailbox refuses mail in SMTP",
        f"set {standing} MiB again",
        path="edit/mailbox",
        body={"items": [mailbox.address], "attr": {"quota": wanted}},
        read=("mailbox", "all", mailbox.address.rpartition("@")[2]),
        shows={"username": mailbox.address, "quota": wanted * MEBIBYTE},
    )


def refusals(site: Site, have: State) -> Iterator[str]:
    """Addresses that are taken otherwise, and passwords that mailcow would refuse or misread."""
    for address, mailbox in site.mailboxes.items():
        if address in have.mailboxes:
            continue
        if _aliased(site, have, address):
            yield f"{address} is an alias in mailcow, params declare a mailbox: make them agree"
        elif problem := _unfit(mailbox, have):
            yield problem


def _unfit(mailbox: Mailbox, have: State) -> str:
    try:
        problem = password_problem(mailbox.password.reveal(), have)
    except CredentialError as error:
        return f"the password of {mailbox.address} is not to be had: {error}"
    return f"the password of {mailbox.address} ({mailbox.password}) {problem}" if problem else ""


def password_problem(password: str, have: State) -> str:
    """Why mailcow would not take a password, or not as it is; empty where it would."""
    if HASHED.match(password):
        return "begins with a name in braces, which mailcow takes for a hash: choose another"
    if len(password) < have.policy.get("length", 0):
        return f"is shorter than the {have.policy['length']} characters that mailcow's password policy asks for"
    lacking = [said for kind, (form, said) in KINDS.items() if have.policy.get(kind) and not re.search(form, password)]
    return f"lacks {', '.join(lacking)}, which mailcow's password policy asks for" if lacking else ""


def row(site: Site, have: State) -> Check:
    """The mailboxes of params, with what is there beside them."""
    missing = sorted(set(site.mailboxes) - set(have.mailboxes))
    others = sorted(set(have.mailboxes) - set(site.mailboxes))
    off = sorted(a for a in site.mailboxes if a in have.mailboxes and have.mailboxes[a].active != ON)
    barred = sorted(
        f"{a} ({', '.join(b.barred)})" for a, b in have.mailboxes.items() if a in site.mailboxes and b.barred
    )
    said = {"missing": missing, "switched off": off, "without": barred, "not in params, left alone": others}
    observed = "; ".join([f"{len(have.mailboxes)} there", *(f"{k} {', '.join(v)}" for k, v in said.items() if v)])
    fix = (
        "run with apply" if missing else "somebody switched that off: switch it on in mailcow, or take it out of params"
    )
    wrong = bool(missing or off or barred)
    status = Status.FAIL if wrong else Status.PASS
    return Check("server.mailboxes", status, ", ".join(site.mailboxes), observed, fix if wrong else "")
