#!/usr/bin/python3
"""The API of the testbed's MXRoute, as the OpenAPI description of it states it: domains, mailboxes, DNS values.

Read from its state: {"server", "keys": [{"user", "token"}], "selector", "dkim_public", "pool", "verification_key"};
"limits": {"read", "write"}, requests a minute, may be other than usual.
"""

from __future__ import annotations

import re
import secrets
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# What all providers share stands beside this program's folder, wherever that is.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from provider.ledger import Ledger
from provider.lookups import Lookups
from provider.serving import Answer, RefusedError, Request, Routes, Window, arguments, run

READS, WRITES = 100, 20  # a minute
STRONG = (re.compile("[A-Z]"), re.compile("[a-z]"), re.compile("[0-9]"), re.compile(".{8}"))
OWNED = "domain-verified"  # what the ownership record holds

ROUTES = Routes()
State = dict[str, Any]


@dataclass
class Api:
    """One customer's account."""

    ledger: Ledger
    lookups: Lookups = field(default_factory=Lookups)

    def __post_init__(self) -> None:
        limits = self.ledger.read().get("limits", {})
        self.reads = Window(limits.get("read", READS), 60.0)
        self.writes = Window(limits.get("write", WRITES), 60.0)

    def __call__(self, request: Request) -> Answer:
        limits: dict[str, str] = {}
        try:
            limits = self._limit(request)
            self._authorize(request)
            answer = ROUTES.answer(self, request, "NOT_FOUND", "Resource not found")
        except RefusedError as refused:
            error = {"code": refused.code, "message": refused.message}
            return Answer(refused.status, {"success": False, "error": error}, {**limits, **refused.headers})
        body = None if answer.body is None else {"success": True, "data": answer.body}
        return Answer(answer.status, body, limits)

    def _limit(self, request: Request) -> dict[str, str]:
        window = self.reads if request.method == "GET" else self.writes
        taken, left, reset = window.take()
        limits = {"X-RateLimit-Limit": str(window.limit), "X-RateLimit-Remaining": str(left)}
        if not taken:
            said = "Too many requests. Please try again later."
            raise RefusedError(429, "RATE_LIMITED", said, {**limits, "Retry-After": str(reset)})
        return limits

    def _authorize(self, request: Request) -> None:
        state = self.ledger.read()
        server, user, token = (request.headers.get(f"x-{name}", "") for name in ("server", "username", "api-key"))
        key = next((k for k in state.get("keys", []) if k["token"] == token), None)
        if not key or user != key.get("user", user) or server != state.get("server", server) or not (server and user):
            raise RefusedError(401, "UNAUTHORIZED", "Invalid API credentials")


def held(state: State, domain: str) -> State:
    """The domain's entry."""
    found = state.get("domains", {}).get(domain.lower())
    if found is None:
        raise RefusedError(404, "NOT_FOUND", "Domain not found")
    entry: State = found
    return entry


def verification_key(api: Api) -> str:
    """The account's ownership key, made when it is first asked for."""
    with api.ledger.change() as state:
        return str(state.setdefault("verification_key", f"_da-verify-{secrets.token_hex(16)}"))


def ownership(key: str) -> State:
    return {"type": "TXT", "name": key, "value": OWNED}


@ROUTES.add("GET", "/verification-key")
def get_verification_key(api: Api, _: Request) -> Answer:
    key = verification_key(api)
    said = "Add this TXT record to your domain before adding it to your account"
    return Answer(200, {"key": key, "record": ownership(key), "description": said})


@ROUTES.add("GET", "/domains")
def list_domains(api: Api, _: Request) -> Answer:
    return Answer(200, sorted(api.ledger.read().get("domains", {})))


@ROUTES.add("POST", "/domains")
def create_domain(api: Api, request: Request) -> Answer:
    name = _text(request, "domain").lower()
    if name in api.ledger.read().get("domains", {}):
        raise RefusedError(409, "CONFLICT", "Domain already exists")
    if OWNED not in api.lookups.values(f"{verification_key(api)}.{name}", "TXT"):
        raise RefusedError(422, "BUSINESS_ERROR", "Domain verification required")
    with api.ledger.change() as state:
        state.setdefault("domains", {})[name] = {"status": "verified", "mail_hosting": True}
    return Answer(201, {"domain": name, "ssl_enabled": False})


@ROUTES.add("GET", "/domains/{domain}")
def get_domain(api: Api, _: Request, domain: str) -> Answer:
    entry = held(api.ledger.read(), domain)
    told = {"domain": domain, "mail_hosting": entry.get("mail_hosting", True), "ssl_enabled": False, "pointers": []}
    return Answer(200, told)


@ROUTES.add("DELETE", "/domains/{domain}")
def remove_domain(api: Api, _: Request, domain: str) -> Answer:
    with api.ledger.change() as state:
        held(state, domain)
        del state["domains"][domain.lower()]
    return Answer(204)


@ROUTES.add("PATCH", "/domains/{domain}/mail-status")
def set_mail_status(api: Api, request: Request, domain: str) -> Answer:
    enabled = _body(request).get("enabled")
    if not isinstance(enabled, bool):
        raise RefusedError(400, "VALIDATION_ERROR", "enabled is required")
    with api.ledger.change() as state:
        held(state, domain)["mail_hosting"] = enabled
    return Answer(200, {"domain": domain, "mail_hosting": enabled})


@ROUTES.add("GET", "/domains/{domain}/dns")
def get_dns(api: Api, _: Request, domain: str) -> Answer:
    key = verification_key(api)
    state = api.ledger.read()
    held(state, domain)
    public = state.get("dkim_public", "")
    value = public if "p=" in public else f"v=DKIM1; k=rsa; p={public}"
    dkim = {"type": "TXT", "name": f"{state.get('selector', 'x')}._domainkey", "value": value}
    spf = {"type": "TXT", "name": "@", "value": f"v=spf1 include:{state.get('pool', 'mxroute.com')} -all"}
    exchange = {"priority": 10, "hostname": state.get("server", "name.mxrouting.net"), "description": "Primary"}
    return Answer(200, {"mx_records": [exchange], "spf": spf, "dkim": dkim, "verification": ownership(key)})


@ROUTES.add("GET", "/domains/{domain}/email-accounts")
def list_accounts(api: Api, _: Request, domain: str) -> Answer:
    state = api.ledger.read()
    held(state, domain)
    return Answer(200, [_account(a) for a in _accounts(state, domain)])


@ROUTES.add("POST", "/domains/{domain}/email-accounts")
def create_account(api: Api, request: Request, domain: str) -> Answer:
    address, password = f"{_text(request, 'username')}@{domain}".lower(), _text(request, "password")
    if not all(pattern.search(password) for pattern in STRONG):
        said = "Password must be 8+ characters with upper case, lower case and a number"
        raise RefusedError(400, "VALIDATION_ERROR", said)
    with api.ledger.change() as state:
        held(state, domain)
        if any(a["address"] == address for a in state.setdefault("accounts", [])):
            raise RefusedError(409, "CONFLICT", "Email account already exists")
        state["accounts"].append({"address": address, "password": password, "catch_all": False})
    return Answer(201, {"username": address.partition("@")[0], "email": address})


@ROUTES.add("DELETE", "/domains/{domain}/email-accounts/{user}")
def remove_account(api: Api, _: Request, domain: str, user: str) -> Answer:
    with api.ledger.change() as state:
        held(state, domain)
        state["accounts"] = [a for a in state.get("accounts", []) if a["address"] != f"{user}@{domain}"]
    return Answer(204)


@ROUTES.add("GET", "/domains/{domain}/catch-all")
def get_catch_all(api: Api, _: Request, domain: str) -> Answer:
    state = api.ledger.read()
    own = next((a["address"] for a in _accounts(state, domain) if a.get("catch_all")), None)
    address = own or held(state, domain).get("catch_all")
    return Answer(200, {"type": "address" if address else "fail", "address": address})


@ROUTES.add("PATCH", "/domains/{domain}/catch-all")
def set_catch_all(api: Api, request: Request, domain: str) -> Answer:
    kind, address = _text(request, "type"), _body(request).get("address")
    if kind not in {"fail", "blackhole", "address"} or (kind == "address") != bool(address):
        raise RefusedError(400, "VALIDATION_ERROR", "type must be fail, blackhole, or address with an address")
    with api.ledger.change() as state:
        entry = held(state, domain)
        entry["catch_all"] = address
        for account in _accounts(state, domain):
            account["catch_all"] = account["address"] == address
    return Answer(200, {"type": kind, "address": address})


def _accounts(state: State, domain: str) -> list[State]:
    return [a for a in state.get("accounts", []) if a["address"].endswith(f"@{domain.lower()}")]


def _account(account: State) -> State:
    told = {"username": account["address"].partition("@")[0], "email": account["address"], "quota": 1024}
    return told | {
        "usage": 0.0,
        "limit": account.get("limit", 9600),
        "sent": account.get("sent", 0),
        "suspended": False,
    }


def _body(request: Request) -> State:
    if not isinstance(request.body, dict):
        raise RefusedError(400, "VALIDATION_ERROR", "The request body is not valid JSON")
    return request.body


def _text(request: Request, name: str) -> str:
    value = _body(request).get(name)
    if not isinstance(value, str) or not value:
        raise RefusedError(400, "VALIDATION_ERROR", f"{name} is required")
    return value


if __name__ == "__main__":
    asked = arguments(__doc__ or "")
    run(Api(Ledger(asked.state), Lookups(asked.resolver)), asked)
