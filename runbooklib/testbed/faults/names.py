"""Faults of the zone: where mail goes, who may send it, and what resolvers make of that."""

from __future__ import annotations

import re
import shlex
import socket
from collections.abc import Callable

import dns.exception
import dns.message
import dns.query
import dns.reversename

from runbooklib.diagnosis import Symptom
from runbooklib.testbed.faults.fault import Break, Fault, Mend
from runbooklib.testbed.faults.scene import Scene
from runbooklib.testbed.faults.shapes import Records, records

ZONE = "lantern.example"
KNOT, UNBOUND = "/testbed/knot.conf", "/testbed/unbound.conf"
CONTROL = f"knotc -c {KNOT}"
RELAYED = '"v=spf1 include:_spf.relay.example ~all"'
MANY = (
    '"v=spf1 include:_spf.relay.example mx a:mail.lantern.example mx:pier.example mx:harbour.example '
    "a:smtp.relay.example a:smtp.resend.example a:name.mxrouting.example a:mx.stranger.example "
    'include:resend.example include:mxrouting.example ~all"'
)
OLD_MX, LONG = "10 smtp.relay.example.", 3600


def _another_machine(scene: Scene) -> Records:
    return "mail", "A", [scene.state.relay.ipv4]


# Zones that others own, and that take no updates from us: the one above, and that of the addresses.


def others(zone_of: Callable[[Scene], str], change: Callable[[Scene], Records]) -> tuple[Break, Mend]:
    """Another rrset in a zone that its owner changes by hand at the name server."""

    def injure(scene: Scene) -> list[str]:
        name, kind, values = change(scene)
        return _replaced(scene, zone_of(scene), name, kind, values)

    def mend(scene: Scene, before: list[str]) -> None:
        name, kind, _ = change(scene)
        _replaced(scene, zone_of(scene), name, kind, before)

    return injure, mend


def _replaced(scene: Scene, zone: str, name: str, kind: str, values: list[str]) -> list[str]:
    """Gives the values that stood."""
    before = scene.standing(zone, name, kind)
    steps = [f"zone-begin {zone}", *([f"zone-unset {zone} {name} {kind}"] if before else [])]
    steps += [f"zone-set {zone} {name} 60 {kind} {shlex.quote(value)}" for value in values]
    scene.on("dns", "\n".join(f"{CONTROL} {step}" for step in (*steps, f"zone-commit {zone}")))
    scene.forget()
    return before


def _reverse(scene: Scene) -> str:
    return dns.reversename.from_address(scene.state.server.ipv4).to_text()


def _reverse_zone(scene: Scene) -> str:
    return _reverse(scene).partition(".")[2]


def _foreign_key(scene: Scene) -> Records:
    """A DS record whose digest is of no key of the zone."""
    (stands,) = scene.standing("example.", f"{ZONE}.", "DS")
    tag, algorithm, digest, _ = stands.split(maxsplit=3)
    return f"{ZONE}.", "DS", [f"{tag} {algorithm} {digest} {'AB' * 32}"]


# What the servers themselves do.


def _dropped(scene: Scene) -> str:
    """The name server's owner takes our zone out; the one above goes on delegating it there."""
    before = scene.edit("dns", KNOT, lambda text: re.sub(rf'  - domain: "{ZONE}\."\n(    .*\n)+', "", text))
    _reloaded(scene)
    return before


def _taken_in(scene: Scene, before: str) -> None:
    scene.write("dns", KNOT, before)
    _reloaded(scene)


def _reloaded(scene: Scene) -> None:
    scene.on("dns", f"{CONTROL} -b reload")
    scene.forget()


def _denied(scene: Scene) -> str:
    """The resolver drops what this machine asks; the server, which asks the same one, goes on being answered."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.connect((scene.state.resolver.ipv4, 53))
        own = asking.getsockname()[0]
    return _configured(scene, lambda text: text.replace("server:\n", f"server:\n  access-control: {own}/32 deny\n", 1))


def _configured(scene: Scene, change: Callable[[str], str]) -> str:
    before = scene.edit("resolver", UNBOUND, change)
    scene.forget()
    return before


def _as_it_was(scene: Scene, before: str) -> None:
    scene.write("resolver", UNBOUND, before)
    scene.forget()


def _cached(scene: Scene) -> str:
    """A wrong MX is asked for, and corrected at once; the resolver keeps it for the hour that its TTL allows."""
    before = _configured(scene, lambda text: re.sub(r"cache-max-ttl: \d+", f"cache-max-ttl: {LONG}", text))
    stood = scene.publish(ZONE, ("@", "MX", [OLD_MX]), ttl=LONG)
    scene.until(lambda: _remembers(scene, OLD_MX), "the old MX in the resolver's cache")
    scene.publish(ZONE, *stood, cached=True)
    return before


def _remembers(scene: Scene, value: str) -> bool:
    """What is asked while Unbound reads its settings again is lost."""
    try:
        answer = dns.query.udp(dns.message.make_query(ZONE, "MX"), scene.state.resolver.ipv4, timeout=1)
    except dns.exception.Timeout:
        return False
    return any(record.to_text() == value for rrset in answer.answer for record in rrset)


NAMES = (
    Fault(
        "mx-missing",
        "somebody deleted the MX record",
        "mx-missing",
        Symptom.CANNOT_RECEIVE,
        *records(ZONE, ("@", "MX", [])),
    ),
    Fault(
        "mx-cname",
        "the MX was pointed at an alias, for neatness",
        "mx-cname",
        Symptom.CANNOT_RECEIVE,
        *records(ZONE, ("mx", "CNAME", ["mail.lantern.example."]), ("@", "MX", ["10 mx.lantern.example."])),
    ),
    Fault(
        "mx-at-relay",
        "the relay's name was entered as the MX, as if it received too",
        "mx-at-relay",
        Symptom.CANNOT_RECEIVE,
        *records(ZONE, ("@", "MX", ["10 smtp.relay.example."])),
    ),
    Fault(
        "mx-elsewhere",
        "the MX of the host before was never taken out",
        "mx-elsewhere",
        Symptom.CANNOT_RECEIVE,
        *records(ZONE, ("@", "MX", ["10 mail.lantern.example.", "20 mx.stranger.example."])),
    ),
    Fault(
        "spf-twice",
        "a newsletter service had its customer add a second SPF record",
        "spf-twice",
        Symptom.JUNK,
        *records(ZONE, ("@", "TXT", [RELAYED, '"v=spf1 include:resend.example ~all"'])),
    ),
    Fault(
        "spf-without-relay",
        "the SPF record stayed as it was when mail began to leave through the relay",
        "spf-without-relay",
        Symptom.JUNK,
        *records(ZONE, ("@", "TXT", ['"v=spf1 mx ~all"'])),
    ),
    Fault(
        "spf-lookups",
        "one service after the other was added to the SPF record",
        "spf-lookups",
        Symptom.JUNK,
        *records(ZONE, ("@", "TXT", [MANY])),
    ),
    Fault(
        "address-wrong",
        "the mail server's name still leads to the machine before it",
        "address-differs",
        Symptom.CANNOT_RECEIVE,
        *records(ZONE, _another_machine),
    ),
    Fault(
        "ptr-missing",
        "the address came without a name, and nobody set one",
        "ptr-missing",
        Symptom.JUNK,
        *others(_reverse_zone, lambda scene: (_reverse(scene), "PTR", [])),
    ),
    Fault(
        "ptr-mismatch",
        "the address has the name that the provider gave it",
        "ptr-mismatch",
        Symptom.JUNK,
        *others(_reverse_zone, lambda scene: (_reverse(scene), "PTR", ["static-10.cloud.example."])),
    ),
    Fault(
        "stale-cache",
        "the MX was wrong, and is corrected; a resolver holds the old one for an hour",
        "stale-cache",
        Symptom.CANNOT_RECEIVE,
        _cached,
        _as_it_was,
    ),
    Fault(
        "dnssec-bogus",
        "the zone's keys were changed, and the registrar still has the old DS record",
        "dnssec-bogus",
        Symptom.CANNOT_RECEIVE,
        *others(lambda _: "example.", _foreign_key),
    ),
    Fault(
        "lame-delegation",
        "the name server's owner took the zone out, and the delegation still leads there",
        "lame-delegation",
        Symptom.CANNOT_RECEIVE,
        _dropped,
        _taken_in,
    ),
    Fault(
        "resolver-of-params-down",
        "a resolver that params name drops what this machine asks it",
        "resolver-silent",
        Symptom.SLOW,
        _denied,
        _as_it_was,
    ),
)
