"""What is asked on the server of a docker-mailserver and in its container, in as few round trips as can be.

Every command costs a session, and one in the container much of its engine's time besides. So what may hang stands apart
from what only lies there, and each program that may has a time of its own.
"""

from __future__ import annotations

import shlex

from runbooklib import host
from runbooklib.params import Site
from runbooklib.probes import banned, machine, mailboxes, network, signer
from runbooklib.probes.roundtrip import RoundTrip
from runbooklib.servers import effective
from runbooklib.servers.docker_mailserver import layout, state
from runbooklib.servers.docker_mailserver.state import path

# The log of a container that is well tells of mail, not of its start; and it may be long.
STARTUP = f"""[ "$(docker inspect -f '{{{{.State.Status}}}} {{{{with .State.Health}}}}{{{{.Status}}}}{{{{end}}}}' \
  {layout.CONTAINER})" = "running healthy" ] || docker logs --tail 200 {layout.CONTAINER}"""
POSTFIX = (
    *("mynetworks", "myhostname", "mydestination", "relayhost", "defer_transports"),
    *("message_size_limit", "queue_minfree"),
)
SECONDS = 4  # for a program in the container that may hang
SILENCE = 10.0  # seconds after which something hangs that nothing ends, as a disk does that is gone
LYING = {
    "listeners": "ss -ltnH",
    "postfix": f"postconf -x {' '.join(POSTFIX)}",
    "mtu": network.INNER,
    **state.LIVE,
    **signer.COMMANDS,
}
ASKED = {
    "services": f"timeout {SECONDS} supervisorctl status",
    "mailboxes": mailboxes.MAILBOXES,
    "aliases": mailboxes.ALIASES,
    "quotas": mailboxes.QUOTAS,
    "bans": f"timeout {SECONDS} sh -c {shlex.quote(banned.SCRIPT)}",
}
UNANSWERED = "the container does not answer"


def around(site: Site) -> RoundTrip:
    """What is asked of the server about the container; its engine comes last, as it may hang."""
    commands = {
        "compose": f"cat {shlex.quote(path(site, layout.COMPOSE))}",
        "file": f"cat {shlex.quote(path(site, layout.ENV))}",
        "mtu": network.outer(site),
        **state.ring(site),
        "startup": STARTUP,
    }
    return RoundTrip(lambda: host.connect(site).heard(commands, (), SILENCE), "the server does not answer")


def lying(site: Site) -> RoundTrip:
    """What is read in the container."""
    return RoundTrip(lambda: host.connect(site).heard(LYING, layout.INSIDE, SILENCE), UNANSWERED)


def asked(site: Site) -> RoundTrip:
    """What programs in the container say, each in a time of its own; its disks come last, as nothing ends a `df`."""
    commands = ASKED | effective.questions(site) | {"disk": machine.WITHIN}
    return RoundTrip(lambda: host.connect(site).heard(commands, layout.INSIDE, SILENCE), UNANSWERED)


def resolved(site: Site) -> RoundTrip:
    """What the container's resolver answers: of the root's name servers, and of each relay's addresses."""
    commands = {"resolver": "dig +time=2 +tries=2 +noall +comments . NS"} | {
        f"relay {name}": f"dig +time=2 +tries=1 +noall +comments +answer {shlex.quote(site.relays[name].host or '')} A"
        for name in site.used_relays
    }
    return RoundTrip(lambda: host.connect(site).heard(commands, layout.INSIDE, SILENCE, abreast=True), UNANSWERED)
