"""Why a provider refused a login or a folder, in its own words: what they mean, and what to do."""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass

from runbooklib.results import Status


@dataclass(frozen=True)
class Reason:
    """Words that providers use, whether they say something of the secret at all, and the cure."""

    words: re.Pattern[str]
    fix: str
    status: Status | None = None  # None: as the answer's code says


def _reason(words: str, fix: str, status: Status | None = None) -> Reason:
    return Reason(re.compile(words, re.IGNORECASE), fix, status)


# The first that matches. Some providers say one sentence for every cause, which proves none of them.
REASONS = (
    _reason(
        r"application[- ]specific password|app[- ]password|InvalidSecondFactor",
        "this provider wants an app password: turn 2-step verification on there, make one, and name it in password:",
        Status.FAIL,
    ),
    _reason(
        r"account is abnormal.*system is busy",
        "QQ says this of a wrong authorisation code, of IMAP/SMTP not turned on, and of too many logins: make a new "
        "code in its web settings, and wait some minutes before the next try",
        Status.UNKNOWN,
    ),
    _reason(
        r"authori[sz](ation|ed) code|授权码",
        "this provider wants an authorisation code instead of the account's password: its web mail's settings show "
        "one where IMAP/SMTP is turned on",
        Status.FAIL,
    ),
    _reason(
        r"SmtpClientAuthentication is disabled",
        "an administrator of that Microsoft 365 turns SMTP AUTH on for the mailbox (authenticated SMTP, under its "
        "e-mail apps)",
        Status.FAIL,
    ),
    _reason(
        r"basic authentication is (disabled|not)|5\.7\.139",
        "Microsoft takes no passwords any more: use preset: outlook or microsoft365 with oauth:, an access token",
        Status.FAIL,
    ),
    _reason(
        r"unsafe login",
        "this provider wants a client to say who it is (RFC 2971): use preset: 163, 126 or yeah, or identify: true",
        Status.FAIL,
    ),
    _reason(
        r"web browser|web login required|WEBALERT",
        "log in there by a web browser once and confirm that it was you; then try again",
    ),
    _reason(
        r"IMAP (access )?is (disabled|not enabled)|not enabled for IMAP|service is not open",
        "turn IMAP on in that mailbox's web settings",
        Status.FAIL,
    ),
    # RFC 9051 7.1: UNAVAILABLE, INUSE and LIMIT say nothing of the password.
    _reason(
        r"\[(UNAVAILABLE|INUSE|LIMIT|OVERQUOTA|SERVERBUG)\]|too many|rate limit|temporar|throttl",
        "the provider puts this client off: wait some minutes, then run again",
        Status.UNKNOWN,
    ),
)


def reason(said: str) -> Reason | None:
    """What a provider's words mean; None where they are none of the known ones."""
    return next((r for r in REASONS if r.words.search(said)), None)


EXPIRED = (
    "fetch a new access token into {reference}: they last about an hour, and have to be for this account and for "
    "IMAP and SMTP"
)
STATUSES = {"400", "401", "invalid_token"}


def challenge(text: str | bytes) -> str:
    """What a server says of a token it refused: JSON with a status and the scope it wants (RFC 7628 3.2.2).

    Over SMTP it comes in base64 (RFC 4954 4).
    """
    try:
        told = json.loads(_plain(text))
    except ValueError:
        told = None
    if not isinstance(told, dict):
        return ""
    status, scope = str(told.get("status", "")), str(told.get("scope", ""))
    words = f"status {status}" + (" (expired, revoked or no token)" if status in STATUSES else "")
    return words + (f"; it wants the scope {scope}" if scope else "")


def _plain(text: str | bytes) -> str:
    raw = text.encode() if isinstance(text, str) else text
    if raw.lstrip()[:1] != b"{":
        try:
            raw = base64.b64decode(raw, validate=True)
        except binascii.Error:
            return ""
    return raw.decode(errors="replace")
