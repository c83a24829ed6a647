"""Faults of the certificate that the mail server shows."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from runbooklib.diagnosis import Symptom
from runbooklib.testbed import authority, world
from runbooklib.testbed.authority import Authority, Pair
from runbooklib.testbed.faults.fault import Break, Fault, Mend
from runbooklib.testbed.faults.scene import HERE, Scene

NAME = "mail.lantern.example"
FILES = {"certificate": f"{HERE}/certs/mail.pem", "key": f"{HERE}/certs/mail.key"}
PORTS = (465, 993)  # a port of Postfix and one of Dovecot
# What the container's change detector does by itself some seconds later.
LOAD = """cat /certs/mail.key > /etc/dms/tls/key; cat /certs/mail.pem > /etc/dms/tls/cert
postfix reload 2>/dev/null; doveadm reload"""


def _own(scene: Scene) -> Authority:
    """The testbed's CA."""
    folder = world.folder_of(scene.root)
    return authority.kept((folder / "ca.pem").read_text(), (folder / "ca.key").read_text())


def _stranger(_: Scene) -> Authority:
    """A CA that nobody knows."""
    return authority.create()


def _install(scene: Scene, pair: Pair) -> None:
    for part, path in FILES.items():
        scene.write("server", path, base64.b64encode(getattr(pair, part).encode()).decode())
    scene.mail(LOAD)
    scene.until(lambda: all(_shown(scene, port) in pair.certificate for port in PORTS), "the certificate at each port")


def _shown(scene: Scene, port: int) -> str:
    return ssl.get_server_certificate((scene.state.server.ipv4, port), timeout=5).strip()


def _other(
    signed_by: Callable[[Scene], Authority], name: str = NAME, lifetime: timedelta = authority.LIFETIME
) -> tuple[Break, Mend]:
    """Another certificate than params name, as if somebody had put it there."""

    def injure(scene: Scene) -> None:
        _install(scene, signed_by(scene).issue(name, lifetime=lifetime))

    def mend(scene: Scene, _: None) -> None:
        server = scene.state.server
        _install(scene, Pair(Path(server.certificate).read_text(), Path(server.certificate_key).read_text()))

    return injure, mend


CERTIFICATES = (
    Fault(
        "certificate-expired",
        "nobody renewed the certificate",
        "certificate-expired",
        Symptom.CLIENT,
        *_other(_own, lifetime=-timedelta(days=2)),
    ),
    Fault(
        "certificate-name",
        "the web server's certificate was installed for mail",
        "certificate-name",
        Symptom.CLIENT,
        *_other(_own, name="www.lantern.example"),
    ),
    Fault(
        "certificate-untrusted",
        "somebody signed the certificate with a CA of their own",
        "certificate-untrusted",
        Symptom.CLIENT,
        *_other(_stranger),
    ),
)
