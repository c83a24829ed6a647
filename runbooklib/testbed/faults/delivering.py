"""Faults at the recipient's: what is put off, refused as too large, by policy, or because an address is listed.

Mail leaves by a relay, which alone hears a stranger's answer; so that the mail server hears it too, the relay asks the
recipient's server before it takes a recipient, as Exim's callouts at many hosters do.
"""

from __future__ import annotations

from typing import Any

from runbooklib.audit.blocklists import reversed_name
from runbooklib.diagnosis import Symptom
from runbooklib.testbed.faults.fault import Act, Break, Fault, Mend
from runbooklib.testbed.faults.scene import FRIEND, Scene
from runbooklib.testbed.faults.shapes import settings

HI = "hi@lantern.example"
LISTS = "dnsbl.example"
ASKING = (  # what is found out is remembered in memory, for a second
    "smtpd_recipient_restrictions = reject_unverified_recipient",
    "unverified_recipient_reject_code = 550",
    "address_verify_map =",
    "address_verify_poll_delay = 1s",
    "address_verify_negative_refresh_time = 1s",
)
LARGE = 40_000  # octets of a message that is too large where the limit is half of that
ZONE = (
    f"knotc -c /testbed/knot.conf zone-begin {LISTS} >/dev/null; {{}} "
    f"knotc -c /testbed/knot.conf zone-commit {LISTS} >/dev/null"
)


def _answering(reply: str) -> tuple[Break, Mend]:
    """The stranger's server answers every recipient so, and the relay passes that on."""
    return settings(mx=(f"smtpd_recipient_restrictions = check_client_access static:{{{reply}}}",), relay=ASKING)


def _listed() -> tuple[Break, Mend]:
    """The mail server's addresses in a blocklist that the relay asks."""
    ask, forgive = settings(relay=(f"smtpd_recipient_restrictions = reject_rbl_client {LISTS}",))

    def injure(scene: Scene) -> Any:
        _publish(scene, "zone-set", "60 A 127.0.0.2")
        return ask(scene)

    def mend(scene: Scene, before: Any) -> None:
        _publish(scene, "zone-unset", "A")
        forgive(scene, before)

    return injure, mend


def _publish(scene: Scene, verb: str, record: str) -> None:
    server = scene.site.server
    names = [reversed_name(address, LISTS) for address in (server.ipv4, server.ipv6) if address]
    each = "".join(f"knotc -c /testbed/knot.conf {verb} {LISTS} {name}. {record};" for name in names)
    scene.on("dns", ZONE.format(each))
    scene.forget()


def _meet(body: str = "Only a rehearsal.\n") -> Act:
    """A message to the stranger, and its first outcome in the log."""

    def meet(scene: Scene) -> None:
        tried = scene.tried(f"to=<{FRIEND}>.* status=")
        scene.send(HI, body=body)
        scene.until(tried, "an attempt to deliver to the stranger")

    return meet


DELIVERING = (
    Fault(
        "greylisting",
        "the recipient's server has strangers come again later, and the relay passes that on",
        "queue-greylisted",
        Symptom.SLOW,
        *_answering("450 4.2.0 Greylisted, please come again in 300 seconds"),
        meet=_meet(),
    ),
    Fault(
        "policy-rejection",
        "the recipient's server refuses mail by policy",
        "bounced-policy",
        Symptom.BOUNCED,
        *_answering("550 5.7.1 Refused by policy: this network has a bad reputation here"),
        meet=_meet(),
    ),
    Fault(
        "dnsbl-listed",
        "the server's address stands on a blocklist, and the relay refuses who is on it",
        "dnsbl-listed",
        Symptom.BOUNCED,
        *_listed(),
        meet=_meet(),
    ),
    Fault(
        "oversized",
        "a user sends more than the next server takes",
        "bounced-oversized",
        Symptom.BOUNCED,
        *settings(relay=(f"message_size_limit = {LARGE // 2}",)),
        meet=_meet("Much too much.\n" * (LARGE // 15)),
    ),
)
