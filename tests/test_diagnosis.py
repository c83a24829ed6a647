"""Each rule of 06 turns red on evidence of its cause; a healthy site gives none; saved evidence is as good as new."""

from __future__ import annotations

import json
from typing import Any

import pytest

from runbooklib.diagnosis import RULES, Evidence, Fact, diagnose
from runbooklib.diagnosis.findings import findings
from runbooklib.results import Checklist, GateError, Status

HOP = "[smtp.relay.example]:587"
KEY = "v=DKIM1; k=rsa; p=MIIBIjAN"
SITE = {
    "name": "lantern",
    "hostname": "mail.lantern.example",
    "ipv4": "203.0.113.10",
    "ipv6": None,
    "domains": [
        {
            "name": "lantern.example",
            "next_hop": HOP,
            "spf": "include:_spf.relay.example",
            "spf_at": "lantern.example",
        }
    ],
}
CONTAINER = {"state": "running", "health": "healthy", "restarts": 0}
HEALTHY: dict[str, Any] = {
    "ssh": "ok",
    "containers": [CONTAINER],
    "startup": ["INFO start-mailserver.sh: mail.lantern.example is up and running"],
    "services": {"postfix": "RUNNING", "dovecot": "RUNNING", "opendkim": "RUNNING"},
    "listeners": [25, 143, 465, 587, 993],
    "postfix": {"mynetworks": "127.0.0.0/8 [::1]/128"},
    "resolver": "NOERROR",
    "queue": {"count": 0, "oldest": 0, "reasons": {}},
    "log": {"lines": [], "bounced": {}},
    "routes": {"lantern.example": HOP},
    "relay smarthost": {"state": "ok", "said": "took the login"},
    "keys": {"mail._domainkey.lantern.example": KEY},
    "disk": {"/": 40},
    "memory": {"available": 900, "total": 2000},
    "clock": 0.2,
    "port 25": {"state": "open", "banner": "220 mail.lantern.example ESMTP"},
    "port 587": {"state": "open", "banner": "220 mail.lantern.example ESMTP"},
    "tls 587": {"days": 60},
    "tls 993": {"days": 60},
    "address mail.lantern.example": {"A": ["203.0.113.10"], "AAAA": []},
    "ptr 203.0.113.10": ["mail.lantern.example"],
    "mx lantern.example": ["mail.lantern.example"],
    "spf lantern.example": ["v=spf1 include:_spf.relay.example ~all"],
    "dkim mail._domainkey.lantern.example": [KEY],
    "dmarc lantern.example": ["v=DMARC1; p=none"],
}


def evidence(**unseen: str) -> Evidence:
    facts = {name: Fact(value) for name, value in HEALTHY.items()}
    return Evidence(SITE, facts | {name: Fact(unseen=why) for name, why in unseen.items()})


def seen(changes: dict[str, Any]) -> Evidence:
    facts = {name: value if isinstance(value, Fact) else Fact(value) for name, value in (HEALTHY | changes).items()}
    return Evidence(SITE, facts)


def stopped(line: str) -> dict[str, Any]:
    return {"containers": [CONTAINER | {"state": "restarting"}], "startup": [line]}


def waits(said: str) -> dict[str, Any]:
    return {"queue": {"count": 1, "oldest": 90, "reasons": {said: 1}}}


def gave_back(said: str) -> dict[str, Any]:
    return {"log": {"lines": [], "bounced": {said: 2}}}


def logged(line: str) -> dict[str, Any]:
    return {"log": {"lines": [line], "bounced": {}}}


def refused(reason: str) -> dict[str, Any]:
    return {"tls 993": {"refused": reason, "said": f"certificate refused, {reason}"}}


def relay(state: str) -> dict[str, Any]:
    return {"relay smarthost": {"state": state, "said": "smtp.relay.example:587"}}


REPLIES = {
    "login": "SASL authentication failed; server smtp.relay.example[198.51.100.5] said: 535 5.7.8 Error",
    "no-login": "host smtp.relay.example[198.51.100.5] said: 530 5.7.0 Authentication required",
    "not-verified": "host smtp said: 550 5.7.1 <hi@lantern.example>: The lantern.example domain is not verified.",
    "wrappermode": 'SMTPS wrappermode (TCP port 465) requires setting "smtp_tls_wrappermode = yes"',
    "tls": "TLS is required, but was not offered by host smtp.relay.example[198.51.100.5]",
    "certificate": "Server certificate not verified",
    "port-25": "connect to mx.stranger.example[198.51.100.6]:25: Connection timed out",
    "unreachable": "connect to smtp.relay.example[198.51.100.5]:587: Connection refused",
    "name": "Host or domain name not found. Name service error for name=smtp.relay.example type=A: Host not found",
    "policy": "host mx.stranger.example said: 550 5.7.26 Unauthenticated email is not accepted",
}

FAULTS: dict[str, dict[str, Any]] = {
    "not-deployed": {"containers": []},
    "no-account": stopped("WARN  start-mailserver.sh: You need at least one mail account to start Dovecot (90s left)"),
    "certificate-file": stopped("ERROR start-mailserver.sh: TLS Setup [SSL_TYPE=manual] | File x does not exist!"),
    "hostname-invalid": stopped("ERROR start-mailserver.sh: Setting hostname/domainname is required"),
    "container-restarting": {"containers": [CONTAINER | {"restarts": 4}]},
    "container-stopped": {"containers": [CONTAINER | {"state": "exited"}]},
    "container-unhealthy": {"containers": [CONTAINER | {"health": "unhealthy"}]},
    "service-down": {"services": {"postfix": "RUNNING", "dovecot": "FATAL"}},
    "listener-missing": {"listeners": [25, 143, 465, 587]},
    "port-closed": {"port 587": {"state": "dropped", "banner": ""}},
    "disk-full": {"disk": {"/": 97}},
    "disk-filling": {"disk": {"/": 88}},
    "memory-low": {"memory": {"available": 20, "total": 500}},
    "clock-wrong": {"clock": -86400.0},
    "certificate-expired": refused("expired"),
    "certificate-name": refused("wrong name"),
    "certificate-untrusted": refused("unknown CA"),
    "certificate-expiring": {"tls 587": {"days": 3}},
    "starttls-missing": {"tls 587": {"refused": "no STARTTLS", "said": "STARTTLS is not offered"}},
    "resolver-broken": {"resolver": "SERVFAIL"},
    "relay-name": relay("name"),
    "relay-unreachable": relay("unreachable"),
    "relay-greeting": relay("greeting"),
    "relay-tls": relay("tls"),
    "relay-certificate": relay("certificate"),
    "relay-login": relay("login"),
    "relay-route": {"routes": {"lantern.example": ""}},
    "dkim-unsigned": logged("opendkim: 8B89B23E915: no signing table match for 'x@other.example'"),
    "dkim-unreadable": logged("opendkim: key data is not secure: /etc can be read or written by other users"),
    "login-service-lost": logged("postfix/submission/smtpd: fatal: no SASL authentication mechanisms")
    | {"tls 587": Fact(unseen="connected, then said nothing in time")},
    "hostname-is-domain": logged("postfix/trivial-rewrite: warning: do not list domain x in BOTH mydestination and y"),
    "null-sender-refused": logged("postfix/smtp: warning: 501 Invalid MAIL FROM address provided"),
    "open-relay": {"postfix": {"mynetworks": "127.0.0.0/8 172.16.0.0/12"}},
    "address-missing": {"address mail.lantern.example": {"A": [], "AAAA": []}},
    "address-differs": {"address mail.lantern.example": {"A": ["203.0.113.99"], "AAAA": []}},
    "mx-missing": {"mx lantern.example": []},
    "mx-elsewhere": {"mx lantern.example": ["smtp.relay.example"]},
    "spf-missing": {"spf lantern.example": []},
    "spf-twice": {"spf lantern.example": ["v=spf1 include:_spf.relay.example ~all", "v=spf1 -all"]},
    "spf-without-relay": {"spf lantern.example": ["v=spf1 mx ~all"]},
    "dkim-missing": {"dkim mail._domainkey.lantern.example": []},
    "dkim-differs": {"dkim mail._domainkey.lantern.example": ["v=DKIM1; k=rsa; p=MIIBIjAO"]},
    "dmarc-missing": {"dmarc lantern.example": []},
    "dmarc-wrong": {"dmarc lantern.example": ["v=DMARC1; p=none", "v=DMARC1; p=reject"]},
    "ptr-differs": {"ptr 203.0.113.10": ["static-10.cloud.example"]},
    **{f"queue-{name}": waits(said) for name, said in REPLIES.items()},
    **{f"bounced-{name}": gave_back(said) for name, said in REPLIES.items()},
}


def names(found: Checklist) -> list[str]:
    return [check.name for check in found if check.status is not Status.PASS]


def test_a_healthy_site_gives_no_finding_and_says_what_was_looked_at() -> None:
    found = diagnose(evidence())
    assert found.status is Status.PASS
    assert f"{len(RULES)} rules on {len(HEALTHY)} facts" in found["diagnosis.nothing-found"].observed


def test_every_rule_has_a_fault_that_turns_it_red() -> None:
    assert {rule.id for rule in RULES} == set(FAULTS)
    assert len(RULES) == len(FAULTS)


@pytest.mark.parametrize("fault", FAULTS)
def test_the_cause_is_named_alone(fault: str) -> None:
    found = diagnose(seen(FAULTS[fault]))
    assert names(found) == [f"diagnosis.{fault}"]
    row = found[f"diagnosis.{fault}"]
    assert row.status in {Status.FAIL, Status.WARN}
    assert row.fix


@pytest.mark.parametrize("fault", FAULTS)
def test_saved_evidence_gives_the_same_findings(fault: str) -> None:
    now = seen(FAULTS[fault])
    later = Evidence.read(json.loads(json.dumps(now.saved())))
    assert diagnose(later) == diagnose(now)


def test_a_stopped_container_explains_its_closed_ports_and_what_nobody_could_ask_it() -> None:
    changes = FAULTS["container-stopped"] | {"port 587": {"state": "refused", "banner": ""}}
    dark = {name: Fact(unseen="no container") for name in ("services", "listeners", "resolver", "tls 587", "queue")}
    found = diagnose(Evidence(SITE, {**seen(changes).facts, **dark}))
    assert names(found) == ["diagnosis.container-stopped"]
    assert "explains: port-closed" in found["diagnosis.container-stopped"].observed


def test_two_independent_causes_are_both_named() -> None:
    found = diagnose(seen(FAULTS["relay-login"] | FAULTS["mx-missing"] | FAULTS["queue-login"]))
    assert names(found) == ["diagnosis.relay-login", "diagnosis.mx-missing"]


def test_what_was_not_seen_is_unknown_and_stops_unless_it_is_advisory() -> None:
    with pytest.raises(GateError, match=r"evidence\.queue: unknown"):
        diagnose(evidence(queue="no answer within the time budget")).require()
    dark = Evidence(SITE, {**evidence().facts, "port 25": Fact(unseen="smtp25 is false", advisory=True)})
    assert diagnose(dark).require().status is Status.UNKNOWN


def test_nothing_found_is_not_claimed_for_what_was_not_seen() -> None:
    found = diagnose(evidence(queue="timeout"))
    assert f"on {len(HEALTHY) - 1} facts" in found["diagnosis.nothing-found"].observed


def test_without_apply_a_bare_server_and_an_empty_zone_are_pending() -> None:
    bare = FAULTS["not-deployed"] | {name: [] for name in HEALTHY if name.startswith(("mx", "spf", "dkim", "dmarc"))}
    dark = {name: Fact(unseen="no container") for name in ("services", "listeners", "routes", "log", "queue")}
    found = diagnose(Evidence(SITE, {**seen(bare).facts, **dark}), apply=False)
    assert found.status is Status.PENDING
    assert {check.waits_for for check in found} == {"01-bootstrap", "04-dns"}
    with pytest.raises(GateError):
        diagnose(Evidence(SITE, {**seen(bare).facts, **dark})).require()


def test_without_apply_what_no_plan_would_mend_still_fails() -> None:
    assert diagnose(seen(FAULTS["relay-login"]), apply=False).status is Status.FAIL


def test_a_cause_is_never_its_own_shadow_and_no_two_hide_each_other() -> None:
    for rule in RULES:
        assert not rule.shadows(rule)
        assert not [other.id for other in RULES if rule.shadows(other) and other.shadows(rule)]


def test_what_the_log_says_of_a_port_that_answers_again_does_not_count() -> None:
    assert not findings(seen(logged("postfix/submission/smtpd: fatal: no SASL authentication mechanisms")))


def test_old_lines_of_a_container_that_runs_well_do_not_count() -> None:
    assert not findings(seen({"startup": FAULTS["no-account"]["startup"]}))
