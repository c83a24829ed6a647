"""Each rule of 06 turns red on evidence of its cause; a healthy site gives none; saved evidence is as good as new."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import shown_containers
import shown_keys
import shown_lines
import shown_mailflow
import shown_names
import shown_network
import shown_relays

from runbooklib.diagnosis import RULES, Evidence, Fact, Sureness, diagnose
from runbooklib.diagnosis.certificate_rules import CERTIFICATE_RULES
from runbooklib.diagnosis.dns_rules import DNS_RULES
from runbooklib.diagnosis.findings import findings
from runbooklib.diagnosis.key_rules import KEY_RULES
from runbooklib.diagnosis.network_rules import NETWORK_RULES
from runbooklib.diagnosis.queue_rules import QUEUE_RULES
from runbooklib.diagnosis.relay_rules import RELAY_RULES, TABLE_RULES
from runbooklib.diagnosis.server_rules import SERVER_RULES
from runbooklib.params import DOCKER_MAILSERVER, MAILCOW, POSTFIX
from runbooklib.results import Checklist, GateError, Status

HOP = "[smtp.relay.example]:587"
SITE = {
    "name": "lantern",
    "hostname": "mail.lantern.example",
    "ipv4": "203.0.113.10",
    "ipv6": "2001:db8::10",
    "domains": [
        {
            "name": "lantern.example",
            "relay": "smarthost",
            "next_hop": HOP,
            "spf": "include:_spf.relay.example",
            "spf_at": "lantern.example",
            "selector": "mail",
            "takes": ["hi@lantern.example", "ada@lantern.example"],
        }
    ],
}
CONTAINER = {"state": "running", "health": "healthy", "restarts": 0}
AREAS = (shown_network, shown_relays, shown_names, shown_keys, shown_containers, shown_mailflow, shown_lines)
DOCKER, COW, HOST = DOCKER_MAILSERVER, MAILCOW, POSTFIX
AROUND: dict[str, Any] = {
    "routes": {"lantern.example": HOP},
    "disk": {"/": {"percent": 40, "free": 600 * 2**20}},
    "memory": {"available": 900, "total": 2000},
    "clock": 0.2,
    "address mail.lantern.example": {"A": ["203.0.113.10"], "AAAA": []},
    "ptr 203.0.113.10": ["mail.lantern.example"],
    "mx lantern.example": ["mail.lantern.example"],
    "spf lantern.example": ["v=spf1 include:_spf.relay.example ~all"],
}
ROW = {"id": "1", "hop": HOP, "username": "u", "hangs": False, "escaped": False, "fits": True}
HELD = {"relayhost": "1", "dangles": False, "relayed": False}
MAY = {"active": True, "sender": True}
for area in AREAS:
    AROUND |= area.HEALTHY
HEALTHY: dict[str, dict[str, Any]] = {
    DOCKER: AROUND
    | shown_keys.INSIDE
    | shown_lines.INSIDE
    | shown_network.IN_BRIDGE
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
    | shown_keys.INSIDE
    | shown_lines.INSIDE
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
EVERY_SERVERS = (*NETWORK_RULES, *CERTIFICATE_RULES, *SERVER_RULES, *RELAY_RULES, *QUEUE_RULES, *KEY_RULES, *DNS_RULES)
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


def waits(said: str) -> dict[str, Any]:
    return shown_mailflow.waits(said)


def logged(line: str) -> dict[str, Any]:
    return {"log": {"lines": [line], "groups": []}}


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
    "disk-full": {"disk": {"/": {"percent": 97, "free": 9_000_000}}},
    "disk-filling": {"disk": {"/": {"percent": 88, "free": 10**9}}},
    "memory-low": {"memory": {"available": 20, "total": 500}},
    "clock-wrong": {"clock": -86400.0},
}
ON_A_HOST_OR_IN_A_CONTAINER: dict[str, dict[str, Any]] = {
    "resolver-broken": {"resolver": "SERVFAIL"},
    "service-rests": logged("postfix/submission/smtpd: fatal: no SASL authentication mechanisms")
    | {"tls 587": Fact(unseen="connected, then said nothing in time")},
    "hostname-is-domain": logged("postfix/trivial-rewrite: warning: do not list domain x in BOTH mydestination and y"),
    "open-relay": {"postfix": {"mynetworks": "127.0.0.0/8 198.51.100.0/25"}},
    "neighbours-trusted": {"postfix": {"mynetworks": "127.0.0.0/8 172.16.0.0/12"}},
}
for area in AREAS:
    EVERYWHERE |= area.EVERYWHERE
ON_A_HOST_OR_IN_A_CONTAINER |= shown_lines.ON_A_HOST_OR_IN_A_CONTAINER
ON_A_HOST_OR_IN_A_CONTAINER |= shown_containers.ON_A_HOST_OR_IN_A_CONTAINER
ON_A_HOST_OR_IN_A_CONTAINER |= shown_relays.ON_A_HOST_OR_IN_A_CONTAINER | shown_keys.ON_A_HOST_OR_IN_A_CONTAINER
FAULTS: dict[str, dict[str, dict[str, Any]]] = {
    DOCKER: EVERYWHERE
    | ON_A_HOST_OR_IN_A_CONTAINER
    | {rule: shown for area in AREAS for rule, shown in area.IN_A_CONTAINER.items()},
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
        | waits(shown_mailflow.REPLIES["login"]),
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
        "certificate-unusable": logged(
            'postfix/submission/smtpd: warning: cannot get RSA certificate from file "/x.pem": disabling TLS support'
        )
        | {"tls 587": {"refused": "no STARTTLS", "said": "STARTTLS refused: 454 4.7.0 TLS not available"}},
        "hostname-wrong": {"postfix": {"myhostname": "server.cloud.example"}},
        "sender-not-owned": logged(NOT_OWNED.format("boss@lantern.example", "boss@lantern.example")),
    },
}
CASES = [(server, fault) for server, faults in FAULTS.items() for fault in faults]


def asked(server: str, fault: str) -> str:
    """The symptom by which somebody asks for a rule that is told to nobody else."""
    (rule,) = [rule for rule in RULES[server] if rule.id == fault]
    return rule.symptoms[0] if rule.asked else ""


def names(found: Checklist) -> list[str]:
    return [check.name for check in found if check.status is not Status.PASS]


@pytest.mark.parametrize("server", HEALTHY)
def test_a_healthy_site_gives_no_finding_and_says_what_was_looked_at(server: str) -> None:
    found = diagnose(evidence(server))
    assert found.status is Status.PASS
    own = [rule for rule in RULES[server] if not rule.asked and rule.needs != ("pasted",)]
    looked = f"{len(own)} rules on {len(HEALTHY[server])} facts"
    assert looked in found["diagnosis.nothing-found"].observed


@pytest.mark.parametrize("server", FAULTS)
def test_every_rule_has_a_fault_that_turns_it_red(server: str) -> None:
    assert {rule.id for rule in RULES[server]} == set(FAULTS[server])
    assert len(RULES[server]) == len(FAULTS[server])


@pytest.mark.parametrize(("server", "fault"), CASES)
def test_the_cause_is_named_alone(server: str, fault: str) -> None:
    found = diagnose(seen(FAULTS[server][fault], server), symptom=asked(server, fault))
    assert names(found) == [f"diagnosis.{fault}"]
    row = found[f"diagnosis.{fault}"]
    assert row.status in {Status.FAIL, Status.WARN, Status.PENDING}
    assert row.fix


@pytest.mark.parametrize("case", shown_relays.TOGETHER)
def test_a_relay_s_trouble_is_named_by_what_tells_it_best(case: str) -> None:
    changes, expected = shown_relays.TOGETHER[case]
    assert names(diagnose(seen(changes))) == [f"diagnosis.{name}" for name in expected]


@pytest.mark.parametrize(("server", "fault"), CASES)
def test_saved_evidence_gives_the_same_findings(server: str, fault: str) -> None:
    now, symptom = seen(FAULTS[server][fault], server), asked(server, fault)
    later = Evidence.read(json.loads(json.dumps(now.saved())))
    assert diagnose(later, symptom=symptom) == diagnose(now, symptom=symptom)


@pytest.mark.parametrize("server", HEALTHY)
def test_what_strangers_are_refused_all_day_is_told_to_nobody_who_does_not_ask(server: str) -> None:
    usual = seen({"log": shown_lines.digest(*shown_lines.USUAL)}, server)
    found = diagnose(usual)
    assert found.status is Status.PASS
    assert "in the log since 2026-11-21T19:40" in found["diagnosis.nothing-found"].observed
    asking = {"diagnosis.received-sender-domain", "diagnosis.received-unknown-user", "diagnosis.received-refused"}
    assert set(names(diagnose(usual, symptom="cannot receive"))) == {*asking, "diagnosis.received-listed"}


def test_a_stopped_container_explains_its_closed_ports_and_what_nobody_could_ask_it() -> None:
    changes = FAULTS[DOCKER]["container-stopped"] | {"port 587": {"state": "refused", "banner": ""}}
    dark = {name: Fact(unseen="no container") for name in ("services", "listeners", "resolver", "tls 587", "queue")}
    found = diagnose(Evidence(about(DOCKER), {**seen(changes).facts, **dark}))
    assert names(found) == ["diagnosis.container-stopped"]
    assert "explains: port-closed" in found["diagnosis.container-stopped"].observed


def test_a_dmarc_record_that_receivers_read_in_different_ways_is_named_with_the_tag() -> None:
    found = diagnose(seen({"dmarc lantern.example": ["v=DMARC1; p=rejct"]}))
    assert names(found) == ["diagnosis.dmarc-malformed"]
    assert "p=rejct is no value of p (RFC 9989 4.8)" in found["diagnosis.dmarc-malformed"].observed


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
        name: [] for name in HEALTHY[DOCKER] if name.startswith(("mx ", "spf ", "dkim ", "dmarc "))
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


def test_whatever_a_rule_explains_or_excludes_there_is() -> None:
    known = {rule.id for rules in RULES.values() for rule in rules}
    for rules in RULES.values():
        for rule in rules:
            assert known >= {*rule.entails, *rule.excludes}, rule.id


def test_every_rule_says_where_it_stands_written_and_what_decides_where_it_is_not_certain() -> None:
    every = [rule for rules in RULES.values() for rule in rules]
    assert not [rule.id for rule in every if not rule.ref]
    assert not [rule.id for rule in every if (rule.sureness is Sureness.CERTAIN) == bool(rule.observe)]
    assert not [rule.id for rule in every if rule.cell and rule.command]


def test_no_rule_speaks_of_another_mail_servers_parts() -> None:
    foreign = {
        DOCKER: "mailcow.conf|systemctl",
        COW: "docker logs|mailserver|supervisorctl|systemctl",
        HOST: "[Dd]ocker",
    }
    for server, words in foreign.items():
        own = [rule for rule in RULES[server] if rule not in (*EVERY_SERVERS, *TABLE_RULES)]
        assert not [rule.id for rule in own if re.search(words, f"{rule.cause} {rule.fix}")]


def test_evidence_of_a_time_that_knew_one_mail_server_is_about_that() -> None:
    assert Evidence({k: v for k, v in about(COW).items() if k != "server"}).server == DOCKER


def test_what_the_log_says_of_a_port_that_answers_again_does_not_count() -> None:
    assert not findings(seen(logged("postfix/submission/smtpd: fatal: no SASL authentication mechanisms")))


def test_what_the_log_says_of_a_port_that_nobody_listens_at_does_not_count() -> None:
    died = logged("postfix/submission/smtpd: fatal: no SASL authentication mechanisms")
    closed = shown_network.port(587, "refused") | {"tls 587": Fact(unseen="connection refused"), "listeners": [25]}
    assert "service-rests" not in [one.rule.id for one in findings(seen(died | closed, HOST))]


@pytest.mark.parametrize("server", [HOST, DOCKER])
def test_a_silent_port_follows_from_a_service_that_died_as_it_began(server: str) -> None:
    died = logged("postfix/smtpd: fatal: bad numerical configuration: message_size_limit = many")
    found = findings(seen(died | shown_network.port(25, "silent"), server))
    assert [(one.rule.id, one.following) for one in found] == [("service-rests", ("port-silent",))]


def test_what_postmap_says_to_whoever_asks_it_is_no_trouble_of_mail() -> None:
    line = "postfix/postmap: fatal: open database /etc/postfix/transport.db: No such file or directory"
    assert not findings(seen(logged(line), HOST))


def test_old_lines_of_a_container_that_runs_well_do_not_count() -> None:
    assert not findings(seen({"startup": FAULTS[DOCKER]["no-account"]["startup"]}))
