"""Evidence of the machine, the container and its services: what a healthy site shows, and what each cause."""

from __future__ import annotations

from typing import Any

CONTAINER = {"state": "running", "health": "healthy", "restarts": 0, "exit": 0, "oom": False, "mounts": ["/certs"]}
SETTINGS = {
    "PERMIT_DOCKER": {"mailserver.env": "none", "running": "none"},
    "SPOOF_PROTECTION": {"mailserver.env": "1", "running": "1"},
    "SSL_CERT_PATH": {"mailserver.env": "/certs/mail.pem", "running": "/certs/mail.pem"},
    "RELAY_PASSWORD": {"mailserver.env": "‹hidden 1›", "running": "‹hidden 1›"},
    "hostname": {"compose.yaml": "mail.lantern.example", "running": "mail.lantern.example"},
    "TZ": {},  # given in words whose meaning only Compose knows
}
POSTFIX = {
    "mynetworks": "127.0.0.0/8 [::1]/128",
    "myhostname": "mail.lantern.example",
    "mydestination": "mail.lantern.example, localhost.lantern.example, localhost",
    "defer_transports": "",
}
RUNNING = {
    "mailserver": "RUNNING",
    "changedetector": "RUNNING",
    "dovecot": "RUNNING",
    "opendkim": "RUNNING",
    "postfix": "RUNNING",
}
TAKEN = "driver failed programming external connectivity on endpoint mailserver: Error starting userland proxy: "
TAKEN += "listen tcp4 0.0.0.0:25: bind: address already in use"
HEALTHY: dict[str, Any] = {
    "engine": "running",
    "environment": SETTINGS,
    "diverted": {},
    "quotas": {"ada@lantern.example": {"used": 10, "limit": 200}},
}


def container(**told: Any) -> dict[str, Any]:
    return {"containers": [CONTAINER | told]}


def gave_up(line: str) -> dict[str, Any]:
    """What a container shows that ends while it starts."""
    lines = ["INFO  start-mailserver.sh: Checking configuration", line, "ERROR start-mailserver.sh: Shutting down"]
    return container(state="restarting", health="unhealthy", restarts=5) | {"startup": lines}


def setting(name: str, **places: str) -> dict[str, Any]:
    files = {"env": "mailserver.env", "compose": "compose.yaml"}
    return {"environment": SETTINGS | {name: {files.get(place, place): value for place, value in places.items()}}}


def postfix(**told: str) -> dict[str, Any]:
    return {"postfix": POSTFIX | told}


# Rule → the facts that differ; for every mail server, and for one that is in a container.
EVERYWHERE: dict[str, dict[str, Any]] = {}
ON_A_HOST_OR_IN_A_CONTAINER: dict[str, dict[str, Any]] = {
    "queue-held": {"queue": {"count": 2, "oldest": 90, "held": 2, "groups": []}},
    "queue-deferred": postfix(defer_transports="smtp"),
}
IN_A_CONTAINER: dict[str, dict[str, Any]] = ON_A_HOST_OR_IN_A_CONTAINER | {
    "engine-stopped": {"engine": "stopped"},
    "port-taken": container(state="created", health="none", exit=128, error=TAKEN),
    "not-deployed": {"containers": []},
    "no-account": container(health="starting")
    | {"startup": ["WARN  start-mailserver.sh: You need at least one mail account to start Dovecot (90s left)"]},
    "certificate-file": gave_up("ERROR start-mailserver.sh: TLS Setup [SSL_TYPE=manual] | File x does not exist!"),
    "hostname-invalid": gave_up("ERROR start-mailserver.sh: Setting hostname/domainname is required"),
    "container-out-of-memory": container(state="exited", exit=137, oom=True),
    "process-out-of-memory": container(oom=True),
    "container-restarting": gave_up("ERROR start-mailserver.sh: something nobody has met before"),
    "container-stopped": container(state="exited"),
    "container-paused": container(state="paused"),
    "container-unhealthy": container(health="unhealthy") | {"listeners": None},
    "healthcheck-broken": container(health="unhealthy", checked="/bin/sh: 1: dms-healthcheck: not found"),
    "setting-twice": setting("SPOOF_PROTECTION", env="1", compose="0", running="0"),
    "settings-outdated": setting("SPOOF_PROTECTION", env="0", running="1"),
    "certificate-mounted-alone": container(mounts=["/certs/mail.pem"]),
    "postfix-down": {"services": RUNNING | {"postfix": "FATAL"}, "listeners": [143, 993]},
    "dovecot-down": {"services": RUNNING | {"dovecot": "STOPPED"}, "listeners": [25, 465, 587]},
    "service-down": {"services": RUNNING | {"opendkim": "EXITED"}},
    "listener-missing": {"listeners": [25, 143, 465, 587]},
    "hostname-is-domain": postfix(myhostname="lantern.example", mydestination="lantern.example, localhost"),
    "hostname-wrong": postfix(myhostname="server.cloud.example"),
    "docker-permitted": setting("PERMIT_DOCKER", env="network", running="network")
    | postfix(mynetworks="127.0.0.0/8 [::1]/128 172.16.0.0/12"),
    "open-relay": postfix(mynetworks="0.0.0.0/0 [::]/0"),
    "catch-all-swallows": {
        "diverted": {"ada@lantern.example": {"to": ["hi@lantern.example"], "by": "@lantern.example"}}
    },
    "quota-full": {"quotas": {"ada@lantern.example": {"used": 197, "limit": 200}}},
    "quota-filling": {"quotas": {"ada@lantern.example": {"used": 181, "limit": 200}}},
}
