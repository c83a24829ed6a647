"""The two providers with an API on the first day: what they know of their customer."""

from __future__ import annotations

import secrets
from typing import Any

from runbooklib.testbed.authority import DkimKey
from runbooklib.testbed.hosts import NAMES, Plot
from runbooklib.testbed.state import Provider

BLOG = "blog.lantern.example"  # added in MXRoute's panel by its owner, who left the local mail hosting on
DAILY = 100  # messages, Resend's free plan


def password() -> str:
    """A new password, as strong as MXRoute's API wants a mailbox's."""
    return f"Tb7{secrets.token_urlsafe(18)}"


def resend(plot: Plot) -> Provider:
    """A team at Resend: a key that manages domains, and one that only sends."""
    return _provider(plot, "resend", "resend", f"re_{password()}", "", f"re_{password()}")


def mxroute(plot: Plot) -> Provider:
    """A customer of MXRoute: the panel's user with a key, and a mailbox to log in as."""
    return _provider(plot, "mxroute", f"no-reply@{BLOG}", password(), "lantern", password())


def _provider(plot: Plot, host: str, username: str, login: str, api_user: str, api_key: str) -> Provider:
    ipv4, ipv6 = plot.addresses.ipv4(host), plot.addresses.ipv6(host)
    return Provider(ipv4, ipv6, NAMES[host], username, login, f"https://{ipv4}", api_user, api_key)


def resend_seed(provider: Provider, key: DkimKey) -> dict[str, Any]:
    """What stands in Resend's state file before anybody asked for anything: two keys, no domain."""
    managing = {"id": "managing", "name": "managing", "token": provider.api_key, "permission": "full_access"}
    sending = {"id": "sending", "name": "sending", "token": provider.password, "permission": "sending_access"}
    return {
        "domains": {},
        "keys": [managing, sending],
        "emails": [],
        "suppressions": [],
        "selector": "resend",
        "dkim_public": key.public,
        "pool": "resend.example",
        "feedback": "feedback-smtp.resend.example",
        "quota": {"daily": DAILY, "used": 0, "used_month": 0},
        "script": [],
    }


def mxroute_seed(provider: Provider, key: DkimKey) -> dict[str, Any]:
    """What stands in MXRoute's state file before anybody asked for anything: a domain made in the panel."""
    return {
        "server": provider.name,
        "username": provider.api_user,
        "domains": {BLOG: {"status": "verified", "mail_hosting": True}},
        "keys": [{"id": "panel", "token": provider.api_key}],
        "accounts": [{"address": provider.username, "password": provider.password, "catch_all": False}],
        "emails": [],
        "selector": "x",
        "dkim_public": key.public,
        "pool": "mxrouting.example",
        "script": [],
    }
