"""Each rule of 06 turns red on evidence of its cause; a healthy site gives none; saved evidence is as good as new."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from runbooklib.diagnosis import RULES, Evidence, Fact, diagnose
from runbooklib.diagnosis.dns_rules import DNS_RULES
from runbooklib.diagnosis.findings import findings
from runbooklib.diagnosis.queue_rules import QUEUE_RULES
from runbooklib.diagnosis.server_rules import SERVER_RULES
from runbooklib.params import DOCKER_MAILSERVER, MAILCOW, POSTFIX
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
DOCKER, COW, HOST = DOCKER_MAILSERVER, MAILCOW, POSTFIX
AROUND: dict[str, Any] = {
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
ROW = {"id": "1", "hop": HOP, "username": "u", "hangs": False, "escaped": False, "fits": True}
HELD = {"relayhost": "1", "dangles": False, "relayed": False}
MAY = {"active": True, "sender": True}
HEALTHY: dict[str, dict[str, Any]] = {
    DOCKER: AROUND
    | {
        "ssh": "ok",
        "containers": [CONTAINER],
        "startup": ["INFO start-mailserver.sh: mail.lantern.example is up and running"],
        "services": {"postfix": "RUNNING", "dovecot": "RUNNING", "opendkim": "RUNNING"},
        "listeners": [25, 143, 465, 587, 993],
        "postfix": {"mynetworks": "127.0.0.0/8 [::1]/128"},
        "resolver": "NOERROR",
    },
    COW: AROUND
    | {
        "api": {"state": "ok", "said": "mailcow 2026-07a", "version": "2026-07a"},
        "containers": {"postfix-mailcow": "running", "dovecot-mailcow": "running"},
        "domains": {"lantern.example": HELD},
        "transports": [ROW],
        "ways": {"hi@lantern.example": {"hop": HOP, "crossed": False}},
        "aliases": {"sales@lantern.example": MAY, "@lantern.example": {"active": True, "sender": False}},
        "overruling": {},
        "alias domains": ["lantern.test.example"],
        "foreign": [],
        "watchdog": {"email": "", "webhook": False, "port 25": "not tried"},
    },
    HOST: AROUND
    | {
        "ssh": "ok",
        "services": {"postfix": "RUNNING", "dovecot": "RUNNING"},
        "listeners": [22, 25, 587, 993],
        "sockets": {
            "milter inet:localhost:8891": True,
            "lmtp unix:private/dovecot-lmtp": True,
            "login unix:private/auth": True,
        },
        "configuration": [],
        "tables": [],
        "postfix": {"mynetworks": "127.0.0.0/8 [::1]/128"},
        "resolver": "NOERROR",
    },
}
EVERY_SERVERS = (*SERVER_RULES, *QUEUE_RULES, *DNS_RULES)
PORTS = {DOCKER: [25, 143, 465, 587, 993], COW: [25, 465, 587, 993], HOST: [25, 587, 993]}


def about(server: str) -> dict[str, Any]:
    return SITE | {"server": server, "ports": PORTS[server]}


def evidence(server: str = DOCKER, **unseen: str) -> Evidence:
    facts = {name: Fact(value) for name, value in HEALTHY[server].items()}
    return Evidence(about(server), facts | {name: Fact(unseen=why) for name, why in unseen.items()})


def seen(changes: dict[str, Any], server: str = DOCKER) -> Evidence:
    told = HEALTHY[server] | changes
    facts = {name: value if isinstance(value, Fact) else Fact(value) for name, value in told.items()}
    return Evidence(about(server), facts)


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
    "mechanism": "SASL authentication failed; server smtp.relay.example[198.51.100.5] offered no compatible "
    "authentication mechanisms for this type of connection security level",
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


def refused_by_api(state: str) -> dict[str, Any]:
    return {"api": {"state": state, "said": "GET get/status/version: HTTP 401"}}


def transport(**told: Any) -> dict[str, Any]:
    return {"transports": [ROW | told]}


NOT_OWNED = "postfix/submission/smtpd: NOQUEUE: reject: RCPT from unknown[192.0.2.9]: 553 5.7.1 <{}>: Sender address "
NOT_OWNED += "rejected: not owned by user hi@lantern.example; from=<{}> to=<you@stranger.example>"
MILTER_REJECT = (
    "postfix/cleanup: 4F: milter-reject: END-OF-MESSAGE from x[::1]: 4.7.1 Service unavailable - try again later"
)
FOREIGN = {"sender": "x@other.example", "login": "", "relay": "mx.stranger.example[198.51.100.6]:25", "status": "sent"}

EVERYWHERE: dict[str, dict[str, Any]] = {
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
    "relay-name": relay("name"),
    "relay-unreachable": relay("unreachable"),
    "relay-greeting": relay("greeting"),
    "relay-tls": relay("tls"),
    "relay-certificate": relay("certificate"),
    "relay-login": relay("login"),
    "relay-route": {"routes": {"lantern.example": ""}},
    "null-sender-refused": logged("postfix/smtp: warning: 501 Invalid MAIL FROM address provided"),
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
ON_A_HOST_OR_IN_A_CONTAINER: dict[str, dict[str, Any]] = {
    "resolver-broken": {"resolver": "SERVFAIL"},
    "dkim-unsigned": logged("opendkim: 8B89B23E915: no signing table match for 'x@other.example'"),
    "dkim-unreadable": logged("opendkim: key data is not secure: /etc can be read or written by other users"),
    "login-service-lost": logged("postfix/submission/smtpd: fatal: no SASL authentication mechanisms")
    | {"tls 587": Fact(unseen="connected, then said nothing in time")},
    "hostname-is-domain": logged("postfix/trivial-rewrite: warning: do not list domain x in BOTH mydestination and y"),
    "open-relay": {"postfix": {"mynetworks": "127.0.0.0/8 172.16.0.0/12"}},
}
FAULTS: dict[str, dict[str, dict[str, Any]]] = {
    DOCKER: EVERYWHERE
    | ON_A_HOST_OR_IN_A_CONTAINER
    | {
        "not-deployed": {"containers": []},
        "no-account": stopped(
            "WARN  start-mailserver.sh: You need at least one mail account to start Dovecot (90s left)"
        ),
        "certificate-file": stopped("ERROR start-mailserver.sh: TLS Setup [SSL_TYPE=manual] | File x does not exist!"),
        "hostname-invalid": stopped("ERROR start-mailserver.sh: Setting hostname/domainname is required"),
        "container-restarting": {"containers": [CONTAINER | {"restarts": 4}]},
        "container-stopped": {"containers": [CONTAINER | {"state": "exited"}]},
        "container-unhealthy": {"containers": [CONTAINER | {"health": "unhealthy"}]},
        "service-down": {"services": {"postfix": "RUNNING", "dovecot": "FATAL"}},
        "listener-missing": {"listeners": [25, 143, 465, 587]},
    },
    COW: EVERYWHERE
    | {
        "not-deployed": refused_by_api("absent"),
        "api-key-refused": refused_by_api("key"),
        "api-address-refused": refused_by_api("address"),
        "api-empty": refused_by_api("empty"),
        "api-untrusted": refused_by_api("certificate"),
        "container-down": {"containers": {"postfix-mailcow": "exited"}},
        "domain-missing": {"domains": {}},
        "relay-implicit-tls": transport(hop="[smtp.relay.example]:465", hangs=True),
        "relay-password-escaped": transport(escaped=True, fits=False),
        "relay-login-differs": transport(fits=False),
        "relay-crossed": {"ways": {"hi@lantern.example": {"hop": "[other.example]:587", "crossed": True}}},
        "relay-inactive": {"domains": {"lantern.example": HELD | {"dangles": True}}, "routes": {"lantern.example": ""}},
        "relay-without-port": transport(hop="smtp.relay.example")
        | {"routes": {"lantern.example": "smtp.relay.example"}},
        "sender-foreign": {"foreign": [FOREIGN | {"login": "hi@lantern.example"}]},
        "sent-on": {"foreign": [FOREIGN]},
        "domain-relayed": {"domains": {"lantern.example": HELD | {"relayed": True}}},
        "transport-overrules": {"overruling": {"stranger.example": "[other.example]:587"}},
        "watchdog-unheard": {"watchdog": {"email": "me@stranger.example", "webhook": False, "port 25": "dropped"}},
        "alias-inactive": {"aliases": {"sales@lantern.example": {"active": False, "sender": True}}},
        "alias-may-not-send": {"aliases": {"sales@lantern.example": {"active": True, "sender": False}}}
        | logged(NOT_OWNED.format("sales@lantern.example", "sales@lantern.example")),
        "sender-not-owned": logged(NOT_OWNED.format("boss@lantern.example", "boss@lantern.example")),
        "release-too-old": {"api": {"state": "ok", "said": "mailcow 2018-11", "version": "2018-11"}}
        | waits(REPLIES["login"]),
    },
    HOST: EVERYWHERE
    | ON_A_HOST_OR_IN_A_CONTAINER
    | {
        "not-deployed": {"services": {"postfix": "absent"}},
        "configuration-broken": {
            "configuration": ["postconf: fatal: main.cf, line 7: missing '=' after attribute name"]
        },
        "service-down": {"services": {"postfix": "RUNNING", "dovecot": "failed"}},
        "table-missing": {"tables": ["hash:/etc/postfix/virtual: there is no /etc/postfix/virtual.db"]},
        "table-unusable": logged(
            "postfix/smtpd: warning: hash:/etc/postfix/virtual is unavailable. open database /x.db"
        ),
        "milter-down": {"sockets": {"milter inet:localhost:8891": False}}
        | logged("postfix/smtpd: warning: connect to Milter service inet:localhost:8891: Connection refused"),
        "milter-rejects": logged(MILTER_REJECT),
        "lmtp-down": {"sockets": {"lmtp unix:private/dovecot-lmtp": False}},
        "login-socket-down": {"sockets": {"login unix:private/auth": False}},
        "listener-missing": {"listeners": [25, 587]},
        "sender-not-owned": logged(NOT_OWNED.format("boss@lantern.example", "boss@lantern.example")),
    },
}
CASES = [(server, fault) for server, faults in FAULTS.items() for fault in faults]


def names(found: Checklist) -> list[str]:
    return [check.name for check in found if check.status is not Status.PASS]


@pytest.mark.parametrize("server", HEALTHY)
def test_a_healthy_site_gives_no_finding_and_says_what_was_looked_at(server: str) -> None:
    found = diagnose(evidence(server))
    assert found.status is Status.PASS
    looked = f"{len(RULES[server])} rules on {len(HEALTHY[server])} facts"
    assert looked in found["diagnosis.nothing-found"].observed


@pytest.mark.parametrize("server", FAULTS)
def test_every_rule_has_a_fault_that_turns_it_red(server: str) -> None:
    assert {rule.id for rule in RULES[server]} == set(FAULTS[server])
    assert len(RULES[server]) == len(FAULTS[server])


@pytest.mark.parametrize(("server", "fault"), CASES)
def test_the_cause_is_named_alone(server: str, fault: str) -> None:
    found = diagnose(seen(FAULTS[server][fault], server))
    assert names(found) == [f"diagnosis.{fault}"]
    row = found[f"diagnosis.{fault}"]
    assert row.status in {Status.FAIL, Status.WARN}
    assert row.fix


@pytest.mark.parametrize(("server", "fault"), CASES)
def test_saved_evidence_gives_the_same_findings(server: str, fault: str) -> None:
    now = seen(FAULTS[server][fault], server)
    later = Evidence.read(json.loads(json.dumps(now.saved())))
    assert diagnose(later) == diagnose(now)


def test_a_stopped_container_explains_its_closed_ports_and_what_nobody_could_ask_it() -> None:
    changes = FAULTS[DOCKER]["container-stopped"] | {"port 587": {"state": "refused", "banner": ""}}
    dark = {name: Fact(unseen="no container") for name in ("services", "listeners", "resolver", "tls 587", "queue")}
    found = diagnose(Evidence(about(DOCKER), {**seen(changes).facts, **dark}))
    assert names(found) == ["diagnosis.container-stopped"]
    assert "explains: port-closed" in found["diagnosis.container-stopped"].observed


def test_two_independent_causes_are_both_named() -> None:
    found = diagnose(seen(FAULTS[DOCKER]["relay-login"] | FAULTS[DOCKER]["mx-missing"] | FAULTS[DOCKER]["queue-login"]))
    assert names(found) == ["diagnosis.relay-login", "diagnosis.mx-missing"]


def test_what_was_not_seen_is_unknown_and_stops_unless_it_is_advisory() -> None:
    with pytest.raises(GateError, match=r"evidence\.queue: unknown"):
        diagnose(evidence(queue="no answer within the time budget")).require()
    dark = Evidence(about(DOCKER), {**evidence().facts, "port 25": Fact(unseen="smtp25 is false", advisory=True)})
    assert diagnose(dark).require().status is Status.UNKNOWN


def test_nothing_found_is_not_claimed_for_what_was_not_seen() -> None:
    found = diagnose(evidence(queue="timeout"))
    assert f"on {len(HEALTHY[DOCKER]) - 1} facts" in found["diagnosis.nothing-found"].observed


def test_without_apply_a_bare_server_and_an_empty_zone_are_pending() -> None:
    bare = FAULTS[DOCKER]["not-deployed"] | {
        name: [] for name in HEALTHY[DOCKER] if name.startswith(("mx", "spf", "dkim", "dmarc"))
    }
    dark = {name: Fact(unseen="no container") for name in ("services", "listeners", "routes", "log", "queue")}
    found = diagnose(Evidence(about(DOCKER), {**seen(bare).facts, **dark}), apply=False)
    assert found.status is Status.PENDING
    assert {check.waits_for for check in found} == {"01-bootstrap", "04-dns"}
    with pytest.raises(GateError):
        diagnose(Evidence(about(DOCKER), {**seen(bare).facts, **dark})).require()


def test_without_apply_what_no_plan_would_mend_still_fails() -> None:
    assert diagnose(seen(FAULTS[DOCKER]["relay-login"]), apply=False).status is Status.FAIL


def test_a_cause_is_never_its_own_shadow_and_no_two_hide_each_other() -> None:
    for rules in RULES.values():
        for rule in rules:
            assert not rule.shadows(rule)
            assert not [other.id for other in rules if rule.shadows(other) and other.shadows(rule)]


def test_no_rule_speaks_of_another_mail_servers_parts() -> None:
    foreign = {
        DOCKER: "mailcow.conf|systemctl",
        COW: "docker logs|mailserver|supervisorctl|systemctl",
        HOST: "[Dd]ocker",
    }
    for server, words in foreign.items():
        own = [rule for rule in RULES[server] if rule not in EVERY_SERVERS]
        assert not [rule.id for rule in own if re.search(words, f"{rule.cause} {rule.fix}")]


def test_evidence_of_a_time_that_knew_one_mail_server_is_about_that() -> None:
    assert Evidence({k: v for k, v in about(COW).items() if k != "server"}).server == DOCKER


def test_what_the_log_says_of_a_port_that_answers_again_does_not_count() -> None:
    assert not findings(seen(logged("postfix/submission/smtpd: fatal: no SASL authentication mechanisms")))


def test_what_postmap_says_to_whoever_asks_it_is_no_trouble_of_mail() -> None:
    line = "postfix/postmap: fatal: open database /etc/postfix/transport.db: No such file or directory"
    assert not findings(seen(logged(line), HOST))


def test_old_lines_of_a_container_that_runs_well_do_not_count() -> None:
    assert not findings(seen({"startup": FAULTS[DOCKER]["no-account"]["startup"]}))
