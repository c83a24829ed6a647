"""Where DMARC reports go, and whether a destination elsewhere has agreed (RFC 9990 4, RFC 7489 7.1)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from runbooklib import taglists
from runbooklib.answers import Answer
from runbooklib.dmarc.suffixes import registered
from runbooklib.results import Status
from runbooklib.taglists import TagError

URI = re.compile(
    r"([a-z][a-z0-9+.-]*):((?:(?![!,])[!-~])+)(?:!(\d{1,18}[kmgt]?))?", re.IGNORECASE
)  # no comma, no blank
MAILBOX = re.compile(r"[^@/?#]+@((?:[a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63})(?:\?[^#]*)?", re.IGNORECASE)
HOST = re.compile(r"//(?:[^@/?#]*@)?([a-z0-9_.-]+)(?:[:/?#].*)?", re.IGNORECASE)
MOST = 100  # destinations that are looked at: nobody writes more, and the text may be hostile
LONGEST_NAME = 253  # characters (RFC 1035 2.3.4: 255 octets on the wire)


@dataclass(frozen=True)
class Destination:
    """One URI of rua= or ruf=."""

    uri: str
    host: str  # of the address, lower case
    limit: str = ""  # the largest report, e.g. 10m: RFC 7489 6.2; RFC 9989 has none and reporters ignore it

    @property
    def mail(self) -> bool:
        """Whether reports go there by mail, the only way every receiver knows."""
        return self.uri.lower().startswith("mailto:")


@dataclass(frozen=True)
class Agreement:
    """Whether one destination takes the reports of a domain."""

    name: str  # asked for its TXT record
    status: Status
    said: str


def parse_uris(text: str) -> tuple[tuple[Destination, ...], tuple[str, ...]]:
    """The destinations of a list, and what is wrong with the others."""
    found: list[Destination] = []
    wrong: list[str] = []
    for uri in text.split(",")[:MOST] if text else ():
        read = _destination(uri.strip(" \t"))
        if read:
            found.append(read)
        else:
            wrong.append(f"{uri.strip()[:60]!a} is no URI such as mailto:reports@example.org (RFC 9989 4.6)")
    return tuple(found), tuple(wrong)


def _destination(text: str) -> Destination | None:
    uri = URI.fullmatch(text)
    if not uri:
        return None
    scheme, rest, limit = uri.groups()
    found = (MAILBOX if scheme.lower() == "mailto" else HOST).fullmatch(rest)
    return Destination(f"{scheme}:{rest}", found[1].lower(), (limit or "").lower()) if found else None


def external(
    domain: str, destinations: Iterable[Destination], organizational: Callable[[str], str] = registered
) -> dict[str, str]:
    """The names that must hold a record before reports about `domain` leave for another organization, by host.

    `domain` is where the policy was found; `organizational` says which domains are of one organization.
    """
    own = organizational(domain)
    hosts = dict.fromkeys(d.host for d in destinations if d.host != domain)
    return {host: f"{domain}._report._dmarc.{host}" for host in hosts if organizational(host) != own}


def agreement(host: str, name: str, answer: Answer | None) -> Agreement:
    """Whether `host` takes the reports, by what `name` holds; without an answer nothing is known."""
    if len(name) > LONGEST_NAME:
        return Agreement(name, Status.FAIL, f"{name[:40]}… is too long a name: nobody can agree there")
    if answer is None or not answer.heard:
        return Agreement(name, Status.UNKNOWN, f"TXT {name}: {answer.word if answer else 'not asked'}")
    agreed = [tags for value in answer.values if (tags := _agreed(value))]
    if not agreed:
        return Agreement(name, Status.FAIL, f"TXT {name}: {answer.word if not answer.values else 'no v=DMARC1'}")
    moved = [d.host for tags in agreed for d in parse_uris(tags.get("rua", ""))[0] if d.host != host]
    if moved:  # RFC 9990 4: reports then go to neither
        return Agreement(name, Status.FAIL, f"TXT {name} sends them on to {moved[0]}, which is not {host}")
    return Agreement(name, Status.PASS, f"TXT {name}: v=DMARC1")


def _agreed(value: str) -> dict[str, str]:
    """The tags of a record that agrees: v=DMARC1 first (RFC 9990 4)."""
    try:
        tags = taglists.tags(value)
    except TagError:
        return {}
    return tags if next(iter(tags.items()), None) == ("v", "DMARC1") else {}
