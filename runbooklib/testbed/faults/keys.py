"""Faults of DKIM keys, on their way from the server's disk to DNS, and of the DMARC policy that rests on them."""

from __future__ import annotations

import base64
import re
from typing import Any

from runbooklib.diagnosis import Symptom
from runbooklib.testbed import authority
from runbooklib.testbed.faults.certificates import CERTIFICATES
from runbooklib.testbed.faults.fault import Fault
from runbooklib.testbed.faults.scene import HERE, Scene, texts
from runbooklib.testbed.faults.shapes import Records, records

ZONE, LABEL = "lantern.example", "mail._domainkey"
STORED, LIVE = f"{HERE}/config/opendkim", "/etc/opendkim"
HALVES = (f"{STORED}/keys/{ZONE}/mail.private", f"{STORED}/keys/{ZONE}/mail.txt")
TABLES = ("KeyTable", "SigningTable")
PRIVATE = f"{LIVE}/keys/{ZONE}/mail.private"
REREAD = """supervisorctl restart opendkim >/dev/null
for _ in $(seq 100); do ss -ltnH 'sport = :8891' | grep -q . && exit; sleep 0.1; done; exit 1"""
RENAMED = """s/^mail\\._domainkey\\.lantern\\.example lantern\\.example:mail:/\
s2024._domainkey.lantern.example lantern.example:s2024:/
s/^\\*@lantern\\.example .*/*@lantern.example s2024._domainkey.lantern.example/"""


def _cut(scene: Scene) -> Records:
    """The record as a panel keeps it that takes one string of 255 octets."""
    return LABEL, "TXT", texts([_text(scene, LABEL)[:255]])


def _text(scene: Scene, name: str) -> str:
    (value,) = scene.standing(ZONE, name, "TXT")
    return "".join(re.findall(r'"([^"]*)"', value))


def _foreign(_: Scene) -> Records:
    return LABEL, "TXT", texts([authority.dkim_key().record])


def _rename(scene: Scene) -> dict[str, Any]:
    """The signer's tables, on the server and in the container, name a selector that was never published."""
    before = {name: scene.read("server", f"{STORED}/{name}") for name in TABLES}
    scene.server('cd "$1" && sed -i -e "$2" KeyTable SigningTable', STORED, RENAMED)
    _reread(scene)
    return before


def _restore(scene: Scene, before: dict[str, Any]) -> None:
    for name in TABLES:
        scene.write("server", f"{STORED}/{name}", before[name])
    _reread(scene)


def _reread(scene: Scene) -> None:
    """Has the running signer use the stored tables, as a new container would, in less time."""
    scene.mail(f"for t in {' '.join(TABLES)}; do cat /tmp/docker-mailserver/opendkim/$t > {LIVE}/$t; done; {REREAD}")


def _replace(scene: Scene) -> dict[str, Any]:
    """A new key, stored and published, while the signer goes on with the old one."""
    before: dict[str, Any] = {path: scene.read("server", path) for path in HALVES}
    fresh = authority.dkim_key()
    zone_file = f"{LABEL}\tIN\tTXT\t( {' '.join(texts([fresh.record]))} )\n"
    for path, content in zip(HALVES, (fresh.private, zone_file), strict=True):
        scene.write("server", path, base64.b64encode(content.encode()).decode())
    before["records"] = scene.publish(ZONE, (LABEL, "TXT", texts([fresh.record])))
    return before


def _take_back(scene: Scene, before: dict[str, Any]) -> None:
    """The old key everywhere; OpenDKIM reads it with each message."""
    for path in HALVES:
        scene.write("server", path, before[path])
    stored = "/tmp/docker-mailserver/opendkim/keys"  # noqa: S108 - where the image has its configuration
    scene.mail(f'cd {LIVE}/keys/{ZONE} && for f in *; do cat "{stored}/{ZONE}/$f" > "$f"; done')
    scene.publish(ZONE, *((name, kind, values) for name, kind, values in before["records"]))


def _close(scene: Scene) -> str:
    """Root's own file, as a copy by hand leaves it."""
    before = scene.mail(f"stat -c '%a %u:%g' {PRIVATE}").strip()
    scene.mail(f"chown root:root {PRIVATE}; chmod 600 {PRIVATE}")
    return before


def _open(scene: Scene, before: str) -> None:
    mode, owner = before.split()
    scene.mail(f"chown {owner} {PRIVATE}; chmod {mode} {PRIVATE}")


def _appended(scene: Scene) -> Records:
    """A whole name entered where the panel appends the zone."""
    return f"_dmarc.{ZONE}", "TXT", scene.standing(ZONE, "_dmarc", "TXT")


KEYS = (
    *CERTIFICATES,
    Fault(
        "dkim-missing",
        "the server's DKIM record was deleted",
        "dkim-missing",
        Symptom.JUNK,
        *records(ZONE, (LABEL, "TXT", [])),
    ),
    Fault(
        "dkim-wrong-key",
        "the DKIM record of another server was published",
        "dkim-wrong-key",
        Symptom.JUNK,
        *records(ZONE, _foreign),
    ),
    Fault(
        "dkim-broken-by-panel",
        "the DNS panel cut the DKIM record after 255 characters",
        "dkim-broken-by-panel",
        Symptom.JUNK,
        *records(ZONE, _cut),
    ),
    Fault(
        "dkim-wrong-selector",
        "somebody renamed the selector in the signer's tables alone",
        "dkim-wrong-selector",
        Symptom.JUNK,
        _rename,
        _restore,
    ),
    Fault(
        "dkim-not-live",
        "a new DKIM key was made and published, and the container was only restarted",
        "dkim-not-live",
        Symptom.JUNK,
        _replace,
        _take_back,
    ),
    Fault(
        "dkim-unreadable",
        "a private key was copied into the container as root's own",
        "dkim-unreadable",
        Symptom.CANNOT_SEND,
        _close,
        _open,
    ),
    Fault(
        "dmarc-malformed",
        "a semicolon was forgotten in the DMARC record",
        "dmarc-malformed",
        Symptom.JUNK,
        *records(ZONE, ("_dmarc", "TXT", texts(["v=DMARC1 p=none rua=mailto:hi@lantern.example"]))),
    ),
    Fault(
        "dmarc-misplaced",
        "the DMARC record was entered with its whole name, to which the panel appended the zone",
        "dmarc-misplaced",
        Symptom.JUNK,
        *records(ZONE, _appended, ("_dmarc", "TXT", [])),
    ),
    Fault(
        "dmarc-unaligned",
        "p=reject was published before there were SPF and DKIM to pass",
        "dmarc-unaligned",
        Symptom.BOUNCED,
        *records(
            "harbour.example",  # whose relay takes mail of a domain without looking into its zone
            ("_dmarc", "TXT", texts(["v=DMARC1; p=reject; rua=mailto:post@harbour.example"])),
            ("@", "TXT", []),
            (LABEL, "TXT", []),
            ("x._domainkey", "TXT", []),  # the relay's own
        ),
    ),
)
