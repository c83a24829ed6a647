#!/usr/bin/python3
"""The API of the testbed's Resend, as its documentation states it: domains, keys, mails, suppressions.

Read from its state: {"selector": name, or a list for the CNAME form, "dkim_public", "pool", "feedback", "keys"}.
"""

from __future__ import annotations

import secrets
import sys
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

# What all providers share stands beside this program's folder, wherever that is.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from provider.ledger import Ledger
from provider.lookups import Lookups
from provider.serving import Answer, RefusedError, Request, Routes, Window, arguments, run

REGIONS = ("us-east-1", "eu-west-1", "sa-east-1", "ap-northeast-1")
MOMENT = 1.0  # seconds a verification takes at least
PATIENCE = 72 * 3600  # seconds after which records not found mean failed
PER_SECOND = 5  # requests, over all keys of a team

ROUTES = Routes()
State = dict[str, Any]


@dataclass
class Api:
    """One team's account."""

    ledger: Ledger
    lookups: Lookups = field(default_factory=Lookups)
    moment: float = MOMENT
    window: Window = field(default_factory=lambda: Window(PER_SECOND, 1.0))

    def __call__(self, request: Request) -> Answer:
        limits: dict[str, str] = {}
        try:
            limits = self._limit()
            self._authorize(request)
            answer = ROUTES.answer(self, request, "not_found", "The requested endpoint does not exist.")
        except RefusedError as refused:
            body = {"statusCode": refused.status, "name": refused.code, "message": refused.message}
            return Answer(refused.status, body, {**limits, **refused.headers})
        return Answer(answer.status, answer.body, {**limits, **self._usage()})

    def _limit(self) -> dict[str, str]:
        taken, left, reset = self.window.take()
        limits = {"ratelimit-limit": str(self.window.limit), "ratelimit-remaining": str(left)}
        limits["ratelimit-reset"] = str(reset)
        if not taken:
            said = "Too many requests. Please limit the number of requests per second."
            raise RefusedError(429, "rate_limit_exceeded", said, {**limits, "retry-after": str(reset)})
        return limits

    def _usage(self) -> dict[str, str]:
        """Used, not left; the daily one stands only in answers to teams on the free plan."""
        quota = self.ledger.read().get("quota", {})
        names = {"x-resend-daily-quota": quota.get("used"), "x-resend-monthly-quota": quota.get("used_month")}
        return {name: str(used) for name, used in names.items() if used is not None}

    def _authorize(self, request: Request) -> None:
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind != "Bearer" or not token:
            raise RefusedError(401, "missing_api_key", "Missing API key in the authorization header.")
        key = next((k for k in self.ledger.read().get("keys", []) if k["token"] == token), None)
        if key is None:
            raise RefusedError(403, "invalid_api_key", "API key is invalid")
        if key["permission"] != "full_access" and (request.method, request.path) != ("POST", "/emails"):
            raise RefusedError(401, "restricted_api_key", "This API key is restricted to only send emails")

    def settle(self, name: str) -> None:
        """Ends a verification that has taken its moment: looks into DNS, record by record."""
        domain = self.ledger.read()["domains"][name]
        waited = time.time() - domain.get("since", time.time())
        if domain["status"] != "pending" or waited < self.moment:
            return
        found = [self._stands(name, record) for record in domain["records"]]
        late = waited > PATIENCE
        with self.ledger.change() as state:
            domain = state["domains"][name]
            for record, stands in zip(domain["records"], found, strict=True):
                record["status"] = "verified" if stands else "failed" if late else "pending"
            domain["status"] = "verified" if all(found) else "failed" if late else "pending"

    def _stands(self, domain: str, record: State) -> bool:
        name = f"{record['name']}.{zone_of(domain)}"
        seen = self.lookups.values(name, record["type"])
        if record["type"] == "MX":
            return f"{record['priority']} {record['value'].lower().rstrip('.')}" in seen
        if record["type"] == "CNAME":
            return record["value"].lower().rstrip(".") in seen
        wanted = record["value"].strip('"')
        if "p=" in wanted:
            return any(public(v) == public(wanted) for v in seen)
        pool = wanted.split()[1]
        return any(v.startswith("v=spf1 ") and pool in v.split() for v in seen)


def public(text: str) -> str:
    """The p= of a DKIM record, or the text itself."""
    return "".join(text.partition("p=")[2].partition(";")[0].split()) or text


def zone_of(domain: str) -> str:
    """The zone a domain's record names are relative to; in the testbed it has two labels."""
    return ".".join(domain.split(".")[-2:])


def relative(name: str, domain: str) -> str:
    """A record's name as the API tells it: without the zone."""
    return f"{name}.{domain}".removesuffix(f".{zone_of(domain)}")


def wanted(state: State, name: str, region: str, return_path: str) -> list[State]:
    """The records a new domain needs."""
    common = {"ttl": "Auto", "status": "not_started"}
    path = {"record": "SPF", "name": relative(return_path, name), **common}
    feedback = state.get("feedback", f"feedback-smtp.{region}.amazonses.com")
    spf = f'"v=spf1 include:{state.get("pool", "amazonses.com")} ~all"'
    return [
        {**path, "type": "MX", "value": feedback, "priority": 10},
        {**path, "type": "TXT", "value": spf},
        *({"record": "DKIM", **key, **common} for key in _keys(state, name)),
    ]


def _keys(state: State, name: str) -> list[State]:
    """One TXT record, or where there are several selectors the CNAMEs of Amazon SES."""
    selectors = state.get("selector", "resend")
    if isinstance(selectors, str):
        value = state.get("dkim_public", "")
        value = value if "p=" in value else f"p={value}"
        return [{"name": relative(f"{selectors}._domainkey", name), "type": "TXT", "value": value}]
    pool = state.get("pool", "amazonses.com")
    return [
        {"name": relative(f"{s}._domainkey", name), "type": "CNAME", "value": f"{s}.dkim.{pool}."} for s in selectors
    ]


def now() -> str:
    return datetime.now(UTC).isoformat(sep=" ")


def page(request: Request, rows: list[State]) -> Answer:
    """One page of a list, by the cursor the client gives."""
    limit = int(request.query.get("limit", 20))
    ids = [row["id"] for row in rows]
    start = ids.index(request.query["after"]) + 1 if request.query.get("after") in ids else 0
    return Answer(200, {"object": "list", "has_more": len(rows) > start + limit, "data": rows[start : start + limit]})


def shown(name: str, domain: State, *, whole: bool) -> State:
    """A domain as the API tells it."""
    told = {"id": domain["id"], "name": name, "status": domain["status"], "region": domain["region"]}
    told |= {key: domain[key] for key in ("created_at", "open_tracking", "click_tracking") if key in domain}
    told["capabilities"] = {"sending": "enabled", "receiving": "disabled"}
    return told | ({"object": "domain", "records": domain["records"]} if whole else {})


def named(state: State, domain_id: str) -> str:
    """The name of the domain with that id."""
    for name, domain in state.get("domains", {}).items():
        if domain["id"] == domain_id:
            return str(name)
    raise RefusedError(404, "not_found", "Domain not found")


@ROUTES.add("GET", "/domains")
def list_domains(api: Api, request: Request) -> Answer:
    domains = api.ledger.read().get("domains", {})
    return page(request, [shown(name, domain, whole=False) for name, domain in domains.items()])


@ROUTES.add("POST", "/domains")
def create_domain(api: Api, request: Request) -> Answer:
    asked = _body(request, "name")
    name, region = asked["name"].lower(), asked.get("region", REGIONS[0])
    if region not in REGIONS:
        raise RefusedError(422, "invalid_parameter", f"The `region` must be one of {', '.join(REGIONS)}.")
    with api.ledger.change() as state:
        if name in state.setdefault("domains", {}):
            said = f"The `{name}` domain has been registered already."
            raise RefusedError(403, "validation_error", said)
        path = asked.get("custom_return_path", "send")
        made = {"id": str(uuid.uuid4()), "status": "not_started", "region": region, "return_path": path}
        made |= {key: bool(asked.get(key, False)) for key in ("open_tracking", "click_tracking")}
        made |= {"created_at": now(), "records": wanted(state, name, region, path)}
        state["domains"][name] = made
    return Answer(201, shown(name, made, whole=True))


@ROUTES.add("GET", "/domains/{domain_id}")
def get_domain(api: Api, _: Request, domain_id: str) -> Answer:
    name = named(api.ledger.read(), domain_id)
    api.settle(name)
    return Answer(200, shown(name, api.ledger.read()["domains"][name], whole=True))


@ROUTES.add("PATCH", "/domains/{domain_id}")
def update_domain(api: Api, request: Request, domain_id: str) -> Answer:
    with api.ledger.change() as state:
        domain = state["domains"][named(state, domain_id)]
        domain |= {k: bool(v) for k, v in _body(request).items() if k in {"open_tracking", "click_tracking"}}
    return Answer(200, {"object": "domain", "id": domain_id})


@ROUTES.add("DELETE", "/domains/{domain_id}")
def remove_domain(api: Api, _: Request, domain_id: str) -> Answer:
    with api.ledger.change() as state:
        del state["domains"][named(state, domain_id)]
    return Answer(200, {"object": "domain", "id": domain_id, "deleted": True})


@ROUTES.add("POST", "/domains/{domain_id}/verify")
def verify_domain(api: Api, _: Request, domain_id: str) -> Answer:
    with api.ledger.change() as state:
        domain = state["domains"][named(state, domain_id)]
        domain |= {"status": "pending", "since": time.time()}
        for record in domain["records"]:
            record["status"] = "pending"
    return Answer(200, {"object": "domain", "id": domain_id})


@ROUTES.add("GET", "/api-keys")
def list_keys(api: Api, request: Request) -> Answer:
    keys = api.ledger.read().get("keys", [])
    return page(request, [{k: key.get(k) for k in ("id", "name", "created_at", "last_used_at")} for key in keys])


@ROUTES.add("POST", "/api-keys")
def create_key(api: Api, request: Request) -> Answer:
    asked = _body(request, "name")
    made = {"id": str(uuid.uuid4()), "token": f"re_{secrets.token_urlsafe(24)}", "name": asked["name"]}
    made |= {"permission": asked.get("permission", "full_access"), "domain_id": asked.get("domain_id")}
    with api.ledger.change() as state:
        state.setdefault("keys", []).append({**made, "created_at": now()})
    return Answer(201, {"id": made["id"], "token": made["token"]})


@ROUTES.add("DELETE", "/api-keys/{key_id}")
def remove_key(api: Api, _: Request, key_id: str) -> Answer:
    with api.ledger.change() as state:
        state["keys"] = [k for k in state.get("keys", []) if k["id"] != key_id]
    return Answer(200)


@ROUTES.add("GET", "/emails")
def list_emails(api: Api, request: Request) -> Answer:
    return page(request, [{"object": "email", **e} for e in reversed(api.ledger.read().get("emails", []))])


@ROUTES.add("GET", "/emails/{email_id}")
def get_email(api: Api, _: Request, email_id: str) -> Answer:
    for email in api.ledger.read().get("emails", []):
        if email["id"] == email_id:
            return Answer(200, {"object": "email", **email})
    raise RefusedError(404, "not_found", "Email not found")


@ROUTES.add("GET", "/suppressions")
def list_suppressions(api: Api, request: Request) -> Answer:
    rows = [_suppression(s) for s in api.ledger.read().get("suppressions", [])]
    origin = request.query.get("origin")
    return page(request, [row for row in rows if origin in {None, row["origin"]}])


@ROUTES.add("GET", "/suppressions/{which}")
def get_suppression(api: Api, _: Request, which: str) -> Answer:
    for suppressed in map(_suppression, api.ledger.read().get("suppressions", [])):
        if which.lower() in {suppressed["id"], suppressed["email"]}:
            return Answer(200, {"object": "suppression", **suppressed})
    raise RefusedError(404, "not_found", "Suppression not found")


@ROUTES.add("DELETE", "/suppressions/{which}")
def remove_suppression(api: Api, _: Request, which: str) -> Answer:
    with api.ledger.change() as state:
        state["suppressions"] = [s for s in state.get("suppressions", []) if s["email"].lower() != which.lower()]
    return Answer(200, {"object": "suppression", "id": which, "deleted": True})


def _suppression(held: State) -> State:
    email = held["email"].lower()
    made = str(uuid.uuid5(uuid.NAMESPACE_DNS, email))
    origin = held.get("reason", "bounce")
    return {
        "id": made,
        "email": email,
        "origin": origin,
        "source_id": None,
        "created_at": held.get("created_at", now()),
    }


def _body(request: Request, *required: str) -> State:
    body = request.body
    if not isinstance(body, dict):
        raise RefusedError(400, "validation_error", "The request body is not valid JSON.")
    for name in required:
        if not isinstance(body.get(name), str) or not body[name]:
            raise RefusedError(422, "missing_required_field", f"Missing `{name}` field.")
    return body


if __name__ == "__main__":
    asked = arguments(__doc__ or "")
    run(Api(Ledger(asked.state), Lookups(asked.resolver)), asked)
