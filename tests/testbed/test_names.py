"""The testbed's DNS: signed from its own root, updated only with the key, still when nobody touches it."""

from __future__ import annotations

import time

import dns.exception
import dns.flags
import dns.query
import dns.reversename
import dns.tsig
import dns.update
import dns.xfr
import dns.zone
import pytest
from rehearsed import ANSWER, Rehearsed

from runbooklib.testbed import snapshots


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (".", "SOA"),
        ("mail.lantern.example", "A"),
        ("smtp.relay.example", "AAAA"),
        ("feedback-smtp.resend.example", "A"),
        ("mxrouting.example", "TXT"),
        ("no-such-name", "A"),
    ],
)
def test_answers_are_validated(testbed: Rehearsed, name: str, kind: str) -> None:
    assert testbed.ask(name, kind).flags & dns.flags.AD


@pytest.mark.parametrize("version", ["ipv4", "ipv6"])
def test_the_server_has_its_ptr_from_the_start(testbed: Rehearsed, version: str) -> None:
    reverse = dns.reversename.from_address(getattr(testbed.state.server, version)).to_text()
    assert testbed.texts(reverse, "PTR") == ["mail.lantern.example."]


def test_the_zone_starts_empty(clean: Rehearsed) -> None:
    zone = transferred(clean, signed=True)
    kinds = {rdataset.rdtype.name for node in zone.nodes.values() for rdataset in node.rdatasets}
    assert kinds == {"SOA", "NS", "DNSKEY", "NSEC", "RRSIG"}


def transferred(testbed: Rehearsed, *, signed: bool) -> dns.zone.Zone:
    zone = dns.zone.Zone("lantern.example")
    query, _ = dns.xfr.make_query(zone, keyring=testbed.key if signed else None)
    dns.query.inbound_xfr(testbed.state.dns.ipv4, zone, query, timeout=ANSWER)
    return zone


def test_a_transfer_needs_the_key(testbed: Rehearsed) -> None:
    with pytest.raises(dns.exception.DNSException):
        transferred(testbed, signed=False)


def test_an_update_needs_the_key(clean: Rehearsed) -> None:
    record = ("mail", "A", clean.state.server.ipv4)
    assert clean.publish(record, signed=False) in {"REFUSED", "NOTAUTH"}  # Knot says NOTAUTH, BIND REFUSED
    assert clean.texts("mail.lantern.example", "A", clean.state.dns.ipv4) == []
    assert clean.publish(record) == "NOERROR"
    assert clean.texts("mail.lantern.example", "A", clean.state.dns.ipv4) == [clean.state.server.ipv4]


def test_an_update_is_signed_and_seen_through_the_resolver_within_seconds(clean: Rehearsed) -> None:
    assert clean.texts("mail.lantern.example", "A") == []
    clean.publish(("mail", "A", clean.state.server.ipv4))
    deadline = time.monotonic() + 10  # what does not exist is remembered for two seconds
    while not clean.texts("mail.lantern.example", "A") and time.monotonic() < deadline:
        time.sleep(0.2)
    answer = clean.ask("mail.lantern.example", "A")
    assert answer.flags & dns.flags.AD, answer
    assert clean.texts("mail.lantern.example", "A") == [clean.state.server.ipv4]


def serial(testbed: Rehearsed) -> int:
    (soa,) = testbed.texts("lantern.example", "SOA", testbed.state.dns.ipv4)
    return int(soa.split()[2])


def test_reset_zone_takes_back_what_was_published_and_nothing_else(clean: Rehearsed) -> None:
    clean.publish(("mail", "A", "198.18.0.1"), ("@", "MX", "10 mail.lantern.example."), ("@", "TXT", '"v=spf1 -all"'))
    before = serial(clean)
    snapshots.reset_zone(clean.root)
    assert clean.texts("mail.lantern.example", "A", clean.state.dns.ipv4) == []
    assert clean.texts("lantern.example", "MX", clean.state.dns.ipv4) == []
    assert clean.texts("lantern.example", "NS", clean.state.dns.ipv4) == ["ns1.example.", "ns2.example."]
    after = serial(clean)
    assert after == before + 1
    snapshots.reset_zone(clean.root)
    assert serial(clean) == after


@pytest.mark.parametrize("zone", ["pier.example", "harbour.example"])
def test_the_other_sites_zones_are_updated_and_put_back_alike(clean: Rehearsed, zone: str) -> None:
    assert clean.publish(("@", "TXT", '"v=spf1 -all"'), zone=zone) == "NOERROR"
    before = snapshots.published(clean.root)
    snapshots.reset_zone(clean.root)
    assert clean.texts(zone, "TXT", clean.state.dns.ipv4) == []
    snapshots.reset_zone(clean.root, before)
    assert clean.texts(zone, "TXT", clean.state.dns.ipv4) == ['"v=spf1 -all"']


def test_other_zones_take_no_update(testbed: Rehearsed) -> None:
    update = dns.update.UpdateMessage("stranger.example", keyring=testbed.key)
    update.add("x", 60, "A", "198.18.0.1")
    with pytest.raises(dns.tsig.PeerBadKey):
        dns.query.tcp(update, testbed.state.dns.ipv4, timeout=ANSWER)


def test_a_restarted_name_server_keeps_what_was_published(clean: Rehearsed) -> None:
    clean.publish(("mail", "A", clean.state.server.ipv4))
    clean.restart("dns")
    until = time.monotonic() + 60  # it listens before it has loaded its zones
    while not (found := clean.texts("mail.lantern.example", "A", clean.state.dns.ipv4)) and time.monotonic() < until:
        time.sleep(0.1)
    assert found == [clean.state.server.ipv4]
