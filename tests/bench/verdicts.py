"""What checkdmarc and we say of the same domains under the same name, and why where that differs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from runbooklib.results import Checklist, Status

NAMES = {  # what checkdmarc calls it, and which of our checks say the same
    "spf": (
        *("dns.spf.record", "dns.spf.single", "dns.spf.syntax", "dns.spf.targets"),
        *("dns.spf.lookup-limit", "dns.spf.void-limit"),
    ),
    "dmarc": ("dns.dmarc.record", "dns.dmarc.single", "dns.dmarc.syntax"),
    "smtp_tls_reporting": ("dns.tls-rpt",),
    "mx": ("dns.mx", "dns.mx.null", "dns.mx.name", "dns.mx.address"),
}
# By name, ours and theirs: a reason where the two mean different things by it.
REASONS = {
    ("smtp_tls_reporting", True, False): "no TLS-RPT record: not used, which is no fault; checkdmarc calls it invalid",
    ("mx", False, True): "an MX that is an alias or has no address: wrong here, a warning there",
    ("mx", True, False): "a null MX: sound here, an error there",
    ("dmarc", False, True): "an unreadable p=: no policy here (RFC 9989 4.7 heeds it as none only with rua=), "
    "a policy with a warning there",
}


def ours(found: Checklist) -> dict[str, bool]:
    """Whether nothing under a name is wrong."""
    wrong = {c.name.split()[0] for c in found if c.status is Status.FAIL}
    return {name: not wrong & set(ids) for name, ids in NAMES.items()}


def theirs(found: Mapping[str, Any]) -> dict[str, bool]:
    """The same as checkdmarc has it."""
    valid = {name: bool(found[name].get("valid")) for name in ("spf", "dmarc", "smtp_tls_reporting")}
    return valid | {"mx": "error" not in found["mx"]}


def differences(pairs: Iterable[tuple[str, Mapping[str, bool], Mapping[str, bool]]]) -> Iterator[str]:
    """One line for each way to differ: of a domain's name, what we say and what they do; with its reason."""
    found: dict[tuple[str, bool, bool], list[str]] = {}
    for domain, mine, other in pairs:
        for name in NAMES:
            if mine[name] != other[name]:
                found.setdefault((name, mine[name], other[name]), []).append(domain)
    for (name, mine_, other_), domains in found.items():
        reason = REASONS.get((name, mine_, other_), "UNEXPLAINED")
        yield f"{name}: {_word(mine_)} here, {_word(other_)} there ({', '.join(domains)}): {reason}"


def _word(sound: bool) -> str:
    return "sound" if sound else "wrong"
