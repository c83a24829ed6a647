"""Every fault by its id, and the pairs in which two are injected at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from runbooklib.testbed.faults.containers import CONTAINERS
from runbooklib.testbed.faults.delivering import DELIVERING
from runbooklib.testbed.faults.fault import Fault
from runbooklib.testbed.faults.keys import KEYS
from runbooklib.testbed.faults.names import NAMES
from runbooklib.testbed.faults.network import NETWORK
from runbooklib.testbed.faults.relaying import RELAYING
from runbooklib.testbed.faults.scene import SceneError

FAULTS: Mapping[str, Fault] = {
    fault.id: fault for area in (NETWORK, RELAYING, NAMES, KEYS, CONTAINERS, DELIVERING) for fault in area
}
# A few of each area that take little time, for continuous integration.
FAST: tuple[tuple[str, ...], ...] = (
    ("inbound-25-closed",),
    ("relay-login",),
    ("relay-certificate",),
    ("mx-missing",),
    ("spf-twice",),
    ("dkim-unreadable",),
    ("dmarc-malformed",),
    ("container-stopped",),
    ("quota-full",),
    ("policy-rejection",),
    ("dnsbl-listed", "mx-at-relay"),
)
PAIRS: tuple[tuple[str, str], ...] = (
    ("mx-missing", "egress-587"),
    ("spf-without-relay", "certificate-expired"),
    ("resolver-of-params-down", "mx-at-relay"),
    ("dovecot-down", "ptr-missing"),
    ("quota-full", "queue-stuck"),
    ("relay-login", "relay-unverified-domain"),
    ("disk-full", "spf-twice"),
    ("inbound-25-closed", "dkim-missing"),
    ("container-unhealthy", "spf-lookups"),
    ("dnsbl-listed", "mx-at-relay"),
)


def named(ids: Iterable[str]) -> list[Fault]:
    """The faults of these ids.

    Raises SceneError for one that does not exist.
    """
    wanted = list(ids)
    strange = [name for name in wanted if name not in FAULTS]
    if strange:
        raise SceneError(f"{', '.join(strange)}: no such fault; `runbook testbed faults` lists them")
    return [FAULTS[name] for name in wanted]


def every() -> list[list[Fault]]:
    """Each fault alone, then the pairs."""
    return [*([fault] for fault in FAULTS.values()), *(named(pair) for pair in PAIRS)]
