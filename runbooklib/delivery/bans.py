"""What bans an address that was refused too often, so that asking does not shut out the one who asks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from runbooklib import servers
from runbooklib.delivery.doors import own_address
from runbooklib.delivery.questions import Kind, Question
from runbooklib.delivery.transfer import AT_ONCE
from runbooklib.params import MAILCOW, Site
from runbooklib.results import RunbookError

USUAL_RETRIES, USUAL_WINDOW = 5, 600  # fail2ban's own defaults, jail.conf(5)
MEMORY = 3600  # seconds; who remembers refusals for longer would count those of several runs
MAIL = re.compile(r"postfix|dovecot|sasl|smtp|imap|mail", re.IGNORECASE)
CONNECTIONS = re.compile(r"^connections (\d+)$", re.MULTILINE)

# How many connections one client may have; then a line a jail: its name, maxretry, findtime and whom it ignores.
LIMITS = r"""echo "connections $(postconf -h smtpd_client_connection_count_limit 2>/dev/null)"
command -v fail2ban-client >/dev/null && fail2ban-client ping >/dev/null 2>&1 || exit 0
for j in $(fail2ban-client status | sed -n 's/.*Jail list:[[:space:]]*//p' | tr -d ,); do
  echo "$j $(fail2ban-client get "$j" maxretry) $(fail2ban-client get "$j" findtime)" \
    $(fail2ban-client get "$j" ignoreip)
done"""


@dataclass(frozen=True)
class Bans:
    """How many refusals a run may cause; None where nothing counts them. How many connections it may have at once."""

    said: str
    room: int | None = None
    at_once: int = AT_ONCE


def observe(site: Site) -> Bans:
    """What bans on the server, by fail2ban's own word."""
    if site.mail.server == MAILCOW:
        # Its netfilter counts wrong logins, ten in 600 s; refused recipients it does not.
        return Bans("mailcow bans after ten wrong logins in 600 s")
    try:
        answer = servers.of(site).inside(("sh", "-c", LIMITS))
    except RunbookError as error:
        return Bans(f"it is not known who bans here ({error})", room(USUAL_RETRIES, USUAL_WINDOW))
    return parse(answer.out, own_address(site.server.ipv4))


def parse(told: str, own: str) -> Bans:
    """The strictest of the jails that read a mail log and do not ignore us."""
    jails, at_once = [line.split() for line in told.splitlines()], _at_once(told)
    strict = [(*_counted(jail), jail[0]) for jail in jails if _counts(jail, own)]
    if not strict:
        return Bans("nothing bans who is refused", at_once=at_once)
    retries, window, name = min(strict, key=lambda jail: (room(*jail[:2]), jail[0]))
    return Bans(f"fail2ban's jail {name} bans after {retries} refusals in {window} s", room(retries, window), at_once)


def _at_once(told: str) -> int:
    """Half of what the server lets one client have, so that others behind our address get in; 0 is no limit."""
    found = CONNECTIONS.search(told)
    limit = int(found[1]) if found else 0
    return max(min(AT_ONCE, limit // 2), 1) if limit else AT_ONCE


def _counts(jail: Sequence[str], own: str) -> bool:
    return bool(jail and MAIL.search(jail[0])) and not _ignored(own, jail[3:])


def _counted(jail: Sequence[str]) -> tuple[int, int]:
    """Retries and window; fail2ban's own where it did not tell both, since the jail counts all the same."""
    retries, window = jail[1:3] if len(jail[1:3]) == 2 else ("", "")  # noqa: PLR2004 - a pair
    told = retries.isdecimal() and window.isdecimal()
    return (int(retries), int(window)) if told else (USUAL_RETRIES, USUAL_WINDOW)


def _ignored(own: str, told: Sequence[str]) -> bool:
    return any(ip_address(own) in network for network in map(_network, told) if network) if own else False


def _network(text: str) -> IPv4Network | IPv6Network | None:
    """fail2ban takes host names, too, and puts words around its list."""
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


def room(retries: int, window: int) -> int:
    """So many that two runs within the window stay below the limit; none where runs of days ago still count."""
    return max((retries - 1) // 2, 0) if window <= MEMORY else 0


def within(questions: Sequence[Question], bans: Bans) -> Iterator[tuple[Question, str]]:
    """The questions that may be asked, cut to the room there is, and why not where one may not."""
    left = bans.room
    for question in questions:
        cut = question
        if left is not None and question.refusals > left:
            if question.kind is not Kind.OPEN_RELAY or not left:
                yield question, f"not asked: {bans.said}"
                continue
            cut = replace(question, envelopes=question.envelopes[:left])
        yield cut, ""
        left = None if left is None else left - cut.refusals
