"""Faults between the mail server and its relays."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from runbooklib.diagnosis import Symptom
from runbooklib.testbed.faults.accounts import told
from runbooklib.testbed.faults.fault import Act, Break, Fault, Mend
from runbooklib.testbed.faults.scene import FRIEND, HERE, Scene
from runbooklib.testbed.faults.shapes import settings

LOGINS, LINES = f"{HERE}/config/postfix-sasl-password.cf", f"{HERE}/config/postfix-relaymap.cf"
RETIRED = f"{HERE}/config/runbook-retired.yaml"  # stage 02 notes there what a domain left
HI, POST = "hi@lantern.example", "post@pier.example"
HOP = "[smtp.relay.example]:587"
USERS = "/testbed/users"
TLS = ("/testbed/tls.key", "/testbed/tls.pem")
ZONE = (
    "knotc -c /testbed/knot.conf zone-begin relay.example >/dev/null; {} "
    "knotc -c /testbed/knot.conf zone-commit relay.example >/dev/null"
)
ADDRESSES = "knotc -c /testbed/knot.conf zone-read relay.example smtp {} | sed 's/^[^]]*] //'"


def _meet(sender: str) -> Act:
    """A message to the stranger, and its first outcome in the log."""

    def meet(scene: Scene) -> None:
        tried = scene.tried(f"to=<{FRIEND}>.* status=")
        scene.send(sender)
        scene.until(tried, f"an attempt to deliver mail of {sender}")

    return meet


def _map(path: str, copy: str, change: str, by: str) -> tuple[Break, Mend]:
    """One line of a map on the server, written otherwise; its container takes that up by itself."""

    def injure(scene: Scene) -> dict[str, str]:
        before = scene.edit("server", path, lambda text: re.sub(change, by, text, count=1, flags=re.MULTILINE))
        _taken(scene, path, copy)
        return {"map": before, "retired": _noted(scene)}

    def mend(scene: Scene, before: dict[str, str]) -> None:
        scene.write("server", path, before["map"])
        _note(scene, before["retired"])
        _taken(scene, path, copy)

    return injure, mend


def _taken(scene: Scene, path: str, copy: str) -> None:
    """Waits for the container's change detector."""
    wanted = scene.server('sha256sum < "$1"', path)
    scene.until(lambda: scene.mail('sha256sum < "$1"', copy) == wanted, f"{path} in the container")


def _noted(scene: Scene) -> str:
    return scene.server('[ ! -e "$1" ] || base64 -w0 "$1"', RETIRED)


def _note(scene: Scene, before: str) -> None:
    scene.server('[ -z "$2" ] && rm -f "$1" || printf %s "$2" | base64 -d > "$1"', RETIRED, before)


_logins = partial(_map, LOGINS, "/etc/postfix/sasl_passwd")
_lines = partial(_map, LINES, "/etc/postfix/relayhost_map")


def _other_password(scene: Scene) -> str:
    return scene.edit("relay", USERS, lambda text: text.replace("{PLAIN}", "{PLAIN}not-"))


def _same_password(scene: Scene, before: str) -> None:
    scene.write("relay", USERS, before)


def _other_certificate(scene: Scene) -> list[str]:
    """Another host's, of the CA that params name: only the name is wrong."""
    before = [scene.read("relay", path) for path in TLS]
    _show(scene, [scene.read("resend", path) for path in TLS])
    return before


def _show(scene: Scene, pair: list[str]) -> None:
    for path, content in zip(TLS, pair, strict=True):
        scene.write("relay", path, content)
    scene.on("relay", "postfix reload 2>&1")


def _no_addresses(scene: Scene) -> list[str]:
    before = [scene.on("dns", ADDRESSES.format(kind)).strip() for kind in ("A", "AAAA")]
    unset = "".join(f"knotc -c /testbed/knot.conf zone-unset relay.example smtp {kind};" for kind in ("A", "AAAA"))
    scene.on("dns", ZONE.format(unset))
    scene.forget()
    return before


def _addresses(scene: Scene, before: list[str]) -> None:
    scene.on("dns", ZONE.format("".join(f"knotc -c /testbed/knot.conf zone-set relay.example {r};" for r in before)))
    scene.forget()


def _not_found(domain: dict[str, Any]) -> dict[str, Any]:
    records = [record | {"status": "failed"} for record in domain["records"]]
    return domain | {"status": "failed", "records": records}


def _null_refused() -> tuple[Break, Mend]:
    """Stage 02 finds another way for mail without a sender, so that line of the map is put back too."""
    restrictions = "check_sender_access inline:{ {<> = 501 Invalid MAIL FROM address provided} }"
    refuse, take = settings(
        relay=(f"smtpd_sender_restrictions = {restrictions}, check_policy_service unix:private/verified",)
    )

    def injure(scene: Scene) -> dict[str, Any]:
        return {"relay": refuse(scene), "map": scene.read("server", LINES)}

    def mend(scene: Scene, before: dict[str, Any]) -> None:
        take(scene, before["relay"])
        if scene.read("server", LINES) != before["map"]:
            scene.write("server", LINES, before["map"])
            _taken(scene, LINES, "/etc/postfix/relayhost_map")

    return injure, mend


RELAYING = (
    Fault(
        "relay-login",
        "a relay's password was changed and nobody told the server",
        "relay-login",
        Symptom.CANNOT_SEND,
        _other_password,
        _same_password,
        meet=_meet(HI),
    ),
    Fault(
        "relay-login-map",
        "somebody mistyped the relay's password on the server",
        "relay-login-differs",
        Symptom.CANNOT_SEND,
        *_logins(r"^(\[smtp\.relay\.example\]:587 [^:]+):", r"\1:not-"),
        meet=_meet(HI),
    ),
    Fault(
        "relay-unverified-domain",
        "Resend looked for a domain's records, did not find them and verifies it no more",
        "relay-domain-unverified",
        Symptom.CANNOT_SEND,
        *told("resend", "domains", "pier.example", change=_not_found),
    ),
    Fault(
        "relay-rate-limit",
        "a relay takes one message a minute from each client",
        "relay-rate-limit",
        Symptom.SLOW,
        *settings(relay=("smtpd_client_message_rate_limit = 1",)),
    ),
    Fault(
        "relay-implicit-tls",
        "a domain's route names port 465, which Postfix meets with STARTTLS",
        "relay-implicit-tls",
        Symptom.CANNOT_SEND,
        *_lines(r"^(@lantern\.example \S+:)587$", r"\g<1>465"),
    ),
    Fault(
        "relay-certificate",
        "a relay shows the certificate of another host",
        "relay-certificate",
        Symptom.CANNOT_SEND,
        _other_certificate,
        _show,
        meet=_meet(HI),
    ),
    Fault(
        "relay-name",
        "a relay's name has no address any more",
        "relay-name",
        Symptom.CANNOT_SEND,
        _no_addresses,
        _addresses,
    ),
    Fault(
        "sender-not-owned",
        "a relay lets its login send as one mailbox of the domain and no other",
        "relay-sender-not-owned",
        Symptom.CANNOT_SEND,
        *settings(
            relay=(
                "smtpd_sender_login_maps = inline:{ {hi@lantern.example = lantern} {ada@lantern.example = ada} }",
                "smtpd_sender_restrictions = reject_sender_login_mismatch, check_policy_service unix:private/verified",
            )
        ),
    ),
    Fault(
        "relay-not-assigned",
        "a domain was forgotten in the sender map, so its mail leaves by another domain's relay",
        "relay-not-assigned",
        Symptom.BOUNCED,
        *_lines(r"^@pier\.example .*\n", ""),
    ),
    Fault(
        "recipient-suppressed",
        "a recipient called a message spam, and Resend drops what is sent there",
        "recipient-suppressed",
        Symptom.CANNOT_SEND,
        *told("resend", "suppressions", change=lambda held: [*held, {"email": FRIEND, "reason": "complaint"}]),
    ),
    Fault(
        "null-sender-refused",
        "a relay refuses mail without a sender, so bounces and receipts do not leave",
        "null-sender-refused",
        Symptom.BOUNCED,
        *_null_refused(),
    ),
    Fault(
        "api-key-expired",
        "the key that manages domains at Resend was deleted there",
        "provider-key-refused",
        Symptom.CANNOT_SEND,
        *told("resend", "keys", change=lambda keys: [key for key in keys if key["permission"] != "full_access"]),
    ),
)
