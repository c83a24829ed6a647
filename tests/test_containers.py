"""docker-mailserver's own probes and rules: what its answers become, and which of two findings stands for both."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import shown_containers
import shown_relays
import sites
from shown_containers import IN_A_CONTAINER, RUNNING, container, postfix, setting
from test_diagnosis import names, seen

from runbooklib.diagnosis import diagnose, findings
from runbooklib.host import Answer, HostError
from runbooklib.probes import composed, docker_mailserver, inside, mailboxes, signer
from runbooklib.probes.mailflow import UnseenError
from runbooklib.probes.roundtrip import RoundTrip
from runbooklib.servers import effective

SERVICE = """services:
  mailserver:
    image: registry.example/dms:15
    container_name: mailserver
    hostname: mail.lantern.example
    environment: {environment}
"""
INSPECTED: dict[str, Any] = {
    "Config": {"Env": ["SPOOF_PROTECTION=1", "PATH=/bin"], "Hostname": "mail.lantern.example", "Image": "dms:15"},
    "State": {
        "Status": "running",
        "Health": {"Status": "unhealthy", "Log": [{"Output": "first"}, {"Output": "last\n"}]},
    },
    "RestartCount": 2,
    "Mounts": [{"Destination": "/var/mail"}, {"Destination": "/certs"}],
}
CLOSED = {"state": "refused", "banner": ""}
STARTUP = shown_containers.gave_up("ERROR start-mailserver.sh: TLS Setup [SSL_TYPE=manual] | File x does not exist!")


def gave_back(recipients: str, relay: str) -> dict[str, Any]:
    group = {"said": "552 5.2.2 Quota exceeded", "status": "bounced", "count": 1, "senders": ["pier.example"]}
    return {"log": {"lines": [], "groups": [group | {"recipients": [recipients], "relay": relay}]}}


TOGETHER: dict[str, tuple[dict[str, Any], list[str]]] = {
    "a closed port follows from the service that should listen": (
        IN_A_CONTAINER["postfix-down"] | container(health="unhealthy") | {"port 587": CLOSED},
        ["postfix-down"],
    ),
    "a closed port of another service does not": (
        {"services": RUNNING | {"dovecot": "STOPPED"}, "listeners": [25, 465, 587], "port 25": CLOSED},
        ["dovecot-down", "port-filtered"],
    ),
    "two services are two causes": (
        {"services": RUNNING | {"dovecot": "FATAL", "opendkim": "FATAL"}, "listeners": [25, 465, 587]},
        ["dovecot-down", "service-down"],
    ),
    "what ends the start explains that it starts again": (STARTUP, ["certificate-file"]),
    "a setting not taken up explains what the container does by the old one": (
        setting("hostname", compose="mail.lantern.example", running="old.example") | postfix(myhostname="old.example"),
        ["settings-outdated"],
    ),
    "and nothing else": (
        setting("SPOOF_PROTECTION", env="0", running="1") | postfix(myhostname="old.example"),
        ["settings-outdated", "hostname-wrong"],
    ),
    "a network trusted by a setting that stands twice": (
        setting("PERMIT_DOCKER", env="none", compose="host", running="host") | postfix(mynetworks="172.18.0.0/16"),
        ["setting-twice"],
    ),
    "what came for a full mailbox was given back": (
        IN_A_CONTAINER["quota-full"] | gave_back("lantern.example", "mail.lantern.example[/var/run/dovecot/lmtp]"),
        ["quota-full"],
    ),
    "what came for another domain's is another thing": (
        IN_A_CONTAINER["quota-full"] | gave_back("pier.example", "mail.lantern.example[/var/run/dovecot/lmtp]"),
        ["quota-full", "bounced-limit"],
    ),
    "a process was killed for want of memory, and the relay refuses the login": (
        container(oom=True) | shown_relays.EVERYWHERE["relay-login"],
        ["process-out-of-memory", "relay-login"],
    ),
    "one that was killed itself explains the rest": (
        container(oom=True, health="unhealthy") | {"listeners": [], "services": RUNNING | {"postfix": "EXITED"}},
        ["container-out-of-memory"],
    ),
    "a network trusted by hand beside one that a setting opened": (
        setting("PERMIT_DOCKER", env="network", running="network") | postfix(mynetworks="198.51.100.0/25"),
        ["docker-permitted"],
    ),
    "a full mailbox and a queue that stands": (
        IN_A_CONTAINER["quota-full"] | IN_A_CONTAINER["queue-deferred"],
        ["quota-full", "queue-deferred"],
    ),
}


@pytest.mark.parametrize("case", TOGETHER)
def test_what_is_shown_of_several(case: str) -> None:
    changes, expected = TOGETHER[case]
    assert sorted(names(diagnose(seen(changes)))) == sorted(f"diagnosis.{name}" for name in expected)


@pytest.mark.parametrize(
    "well",
    [
        container(restarts=7),  # it restarted once, and has come to its end of starting since
        container(restarts=7, health="no health check"),
        container(health="starting")
        | {"startup": [*STARTUP["startup"], "INFO mail.lantern.example is up and running"]},
        container(health="unhealthy"),  # of a moment that is over: port 25 has its listener
        {"services": RUNNING | {"postfix": "STARTING"}},
        {"environment": {}},
        {"diverted": {"ada@lantern.example": {"to": ["ada@elsewhere.example"], "by": "ada@lantern.example"}}},
        {"quotas": {"ada@lantern.example": {"used": 0, "limit": 0}}},
        {"postfix": {}},
    ],
)
def test_what_is_no_trouble(well: dict[str, Any]) -> None:
    assert not findings(seen(well))


def test_the_command_names_the_service_that_stopped() -> None:
    (found,) = findings(seen(IN_A_CONTAINER["service-down"]))
    assert found.commands == ("docker exec mailserver supervisorctl restart opendkim",)


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ("{A: 1, B: two, C: null}", {"A": "1", "B": "two"}),
        ("[A=1, B=two=2, C]", {"A": "1", "B": "two=2"}),
        ("{A: '${HOME}'}", {"A": None}),
        ("{}", {}),
    ],
)
def test_the_environment_of_a_service(environment: str, told: dict[str, str | None]) -> None:
    service = composed.service(SERVICE.format(environment=environment))
    also = {"hostname": "mail.lantern.example", "image": "registry.example/dms:15"}
    assert composed.in_compose(service) == told | also


@pytest.mark.parametrize("text", ["", "services: {}", "services: []", "a: [", "services:\n  web: {image: x}\n"])
def test_a_compose_file_without_the_service_was_not_seen(text: str) -> None:
    with pytest.raises(UnseenError, match="no service mailserver"):
        composed.service(text)


def test_an_env_file_is_read_as_compose_reads_it() -> None:
    text = "# A=0\nA=1\nB = two\n\nexport C=3\nA=last\nD='quoted'\nE\n"
    assert composed.in_file(text) == {"A": "last", "B": "two", "C": "3", "D": None}


SECRETS = ["RELAY_PASSWORD", "LDAP_BIND_PW", "AUTH_KEY", "DOVECOT_DNPASS", "SRS_SECRET", "LDAP_SERVER_HOST", "ENABLED"]


@pytest.mark.parametrize("name", SECRETS)
def test_settings_are_compared_by_place_and_what_may_be_a_secret_is_a_number(name: str) -> None:
    runs = composed.running(INSPECTED)
    told = composed.compared({name: "ldap://u:first@h", "X": None}, {name: "second"}, runs)
    hidden = {"mailserver.env": "‹hidden 1›", "compose.yaml": "‹hidden 2›", "running": "‹hidden 3›"}
    assert told == {name: hidden, "X": {}}
    (found, *_) = findings(seen({"environment": told}))
    assert (found.rule.id, found.signs[0].about) == ("setting-twice", name)
    assert "first" not in str(diagnose(seen({"environment": told})))


@pytest.mark.parametrize("name", ["SPOOF_PROTECTION", "ENABLE_SRS", "SSL_KEY_PATH", "POSTFIX_MESSAGE_SIZE_LIMIT", "TZ"])
def test_a_harmless_setting_is_told_as_it_is(name: str) -> None:
    runs = composed.running(INSPECTED)
    assert composed.compared({name: "1"}, {}, runs)[name]["mailserver.env"] == "1"


def test_the_container_as_docker_tells_of_it() -> None:
    told = docker_mailserver.container(INSPECTED)
    assert (told["state"], told["health"], told["checked"], told["restarts"]) == ("running", "unhealthy", "last", 2)
    assert told["mounts"] == ["/certs", "/var/mail"]


def answers(name: str, status: int, out: str) -> RoundTrip:
    return RoundTrip(lambda: {name: Answer(status, out)}, "silent")


@pytest.mark.parametrize(
    ("status", "out", "engine", "containers"),
    [
        (127, "sh: docker: not found", "absent", []),
        (1, "[]\nError: No such object: mailserver", "running", []),
        (1, "Cannot connect to the Docker daemon at unix:///var/run/docker.sock", "stopped", None),
        (1, "permission denied while trying to connect to the Docker daemon socket", None, None),
    ],
)
def test_no_container_is_not_the_same_as_none_that_could_be_seen(
    status: int, out: str, engine: str | None, containers: list[Any] | None
) -> None:
    told = answers("container", status, out)
    for probe, expected in ((docker_mailserver.engine, engine), (docker_mailserver.containers, containers)):
        if expected is None:
            with pytest.raises(UnseenError):
                probe(told)
        else:
            assert probe(told) == expected


def test_the_services_meant_to_run() -> None:
    out = "postfix  RUNNING  pid 9\nclamav  STOPPED  Not started\ndovecot  FATAL  Exited too quickly\n"
    told = docker_mailserver.services(answers("services", 3, out))
    assert told == {"postfix": "RUNNING", "dovecot": "FATAL"}
    for status, said in ((4, "unix:///dev/shm/supervisor.sock no such file\n"), (124, "")):  # of timeout(1)
        with pytest.raises(UnseenError, match="no such file" if said else "supervisorctl gave no answer"):
            docker_mailserver.services(answers("services", status, said))


SITE = sites.make(relays__office={"provider": "smtp", "host": "smtp.example.net", "spf": "a"})
ASKED: dict[str, Callable[[RoundTrip], Any]] = {
    "services": docker_mailserver.services,
    "listeners": docker_mailserver.listeners,
    "postfix": docker_mailserver.postfix,
    "aliases": docker_mailserver.diverted,
    "quotas": docker_mailserver.quotas,
    "bans": docker_mailserver.bans,
    "resolver": docker_mailserver.resolver,
    "relay office": partial(docker_mailserver.relay, SITE, "office"),
    "default transport": partial(docker_mailserver.outgoing, SITE),
    "live keys": partial(signer.in_container, SITE),
}


@pytest.mark.parametrize("name", ASKED)
def test_a_part_that_hung_is_a_fact_not_seen_and_takes_no_other_along(name: str) -> None:
    said = dict.fromkeys([*ASKED, *signer.COMMANDS, "mailboxes"], Answer(0, "")) | {
        "default transport": Answer(0, "smtp"),
        "quotas": Answer(0, "Username"),
    }
    told = RoundTrip(lambda: {key: answer for key, answer in said.items() if key != name}, "silent")
    for other, probe in ASKED.items():
        if other != name:
            probe(told)
    with pytest.raises(UnseenError):
        ASKED[name](told)


@pytest.mark.parametrize(
    ("status", "said", "word"),
    [
        (0, ";; ->>HEADER<<- opcode: QUERY, status: SERVFAIL, id: 1", "SERVFAIL"),
        (9, ";; no servers could be reached", "nothing"),
        (127, "sh: 3: dig: not found", None),
        (124, "", None),
    ],
)
def test_a_resolver_that_is_silent_is_not_one_that_nobody_could_ask(status: int, said: str, word: str | None) -> None:
    if word is None:
        with pytest.raises(UnseenError):
            docker_mailserver.resolver(answers("resolver", status, said))
    else:
        assert docker_mailserver.resolver(answers("resolver", status, said)) == word


TABLES = """old._domainkey.lantern.example lantern.example:old:/etc/opendkim/keys/lantern.example/old.private
--
*@lantern.example old._domainkey.lantern.example"""
HALVES = """lantern.example/mail.txt:mail._domainkey IN TXT ( "v=DKIM1; k=rsa; p=QUJD" )
lantern.example/old.txt:old._domainkey IN TXT ( "v=DKIM1; k=rsa; p=REVG" )"""
RUNS = json.dumps([INSPECTED | {"Id": "f", "Config": INSPECTED["Config"] | {"Labels": {}}}])
ON_THE_SERVER = {"container": Answer(0, RUNS), "keys": Answer(0, HALVES)}
IN_THE_CONTAINER = {
    "live": Answer(0, f"{'a' * 64}  lantern.example/old.private"),
    "live tables": Answer(0, TABLES),
}


def told_of(answers: dict[str, Answer]) -> RoundTrip:
    return RoundTrip(lambda: answers, "silent")


@pytest.mark.parametrize(
    ("within", "named"),
    [(IN_THE_CONTAINER, ["mail._domainkey.lantern.example", "old._domainkey.lantern.example"]),
     ({}, ["mail._domainkey.lantern.example"])],
)  # fmt: skip
def test_the_keys_are_those_of_params_and_those_that_sign(within: dict[str, Answer], named: list[str]) -> None:
    assert list(docker_mailserver.keys(SITE, told_of(ON_THE_SERVER), told_of(within))) == named


def test_keys_of_a_container_that_nobody_could_look_at_were_not_seen() -> None:
    with pytest.raises(UnseenError, match="silent"):
        docker_mailserver.keys(SITE, told_of({"keys": Answer(0, HALVES)}), told_of(IN_THE_CONTAINER))


@pytest.mark.parametrize(
    ("inner", "told"), [({"mtu": Answer(0, "1400")}, {"outer": 1500, "inner": 1400}), ({}, {"outer": 1500})]
)
def test_the_packets_of_a_container_that_does_not_run_are_left_out(
    inner: dict[str, Answer], told: dict[str, int]
) -> None:
    assert docker_mailserver.mtu(told_of({"mtu": Answer(0, "1500")}), told_of(inner)) == told


def test_every_program_that_may_hang_has_a_time_of_its_own() -> None:
    commands = inside.ASKED | effective.questions(SITE)
    assert [name for name, command in commands.items() if "timeout" not in command] == [
        *("mailboxes", "relayhost", "default transport")  # which read files
    ]


def test_a_round_trip_is_made_once_and_its_failure_is_told_to_each() -> None:
    asked = list[str]()

    def ask() -> dict[str, Answer]:
        asked.append("once")
        raise HostError("the connection broke")

    told = RoundTrip(ask, "silent")
    for name in ("one", "other"):
        with pytest.raises(HostError, match="broke"):
            told[name]
    assert asked == ["once"]
    with pytest.raises(UnseenError, match="silent"):
        answers("one", 0, "")["other"]


NEXT = mailboxes.NEXT
THEMSELVES = "ada@x.example\tada@x.example\nhi@x.example\thi@x.example\n"
CATCH_ALL = "@x.example\thi@x.example\nsales@x.example\tada@x.example\n"


@pytest.mark.parametrize(
    ("told", "diverted"),
    [
        (f"{THEMSELVES}{NEXT}\n{CATCH_ALL}{NEXT}\n", {}),
        (f"{CATCH_ALL}{NEXT}\n", {"ada@x.example": {"to": ["hi@x.example"], "by": "@x.example"}}),
        (f"{CATCH_ALL}ada@x.example\tada@x.example, b@y.example\n{NEXT}\n", {}),
        ("ada@x.example\tb@x.example\nb@x.example\tc@y.example\n", {
            "ada@x.example": {"to": ["c@y.example"], "by": "ada@x.example"}
        }),
        ("", {}),
    ],
)  # fmt: skip
def test_whose_mail_it_really_is(told: str, diverted: dict[str, Any]) -> None:
    assert mailboxes.diverted(["ada@x.example", "hi@x.example"], told) == diverted


def test_how_full_mailboxes_are() -> None:
    head = "Username\tQuota name\tType\tValue\tLimit\t%\n"
    rows = "a@x\tUser quota\tSTORAGE\t293\t200\t146\na@x\tUser quota\tMESSAGE\t1\t-\t0\n"
    others = "b@x\tUser quota\tSTORAGE\t5\t-\t0\n@x\tUser quota\tSTORAGE\t0\t200\t0\n"
    assert mailboxes.quotas(["a@x", "b@x"], head + rows + others, ok=True) == {"a@x": {"used": 293, "limit": 200}}
    assert mailboxes.quotas(["a@x"], "Error: Unknown command 'quota'", ok=False) == {}
    with pytest.raises(UnseenError, match="auth-userdb"):
        mailboxes.quotas(["a@x"], "Error: connect(/run/dovecot/auth-userdb) failed", ok=False)
