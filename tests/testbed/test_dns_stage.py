"""Stage 04 against Knot and Unbound: planned, published with TSIG, seen by a validating resolver, changed once."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from rehearsed import Rehearsed

from runbooklib import params, records, relays, zone
from runbooklib.params import Site
from runbooklib.records import Desired, Wanted
from runbooklib.results import Status
from runbooklib.testbed import world

PARAMS = Path(__file__).parents[2] / "params" / "rehearsal.yaml"
SELECTOR = "mail._domainkey.lantern.example"
SiteOf = Callable[..., Site]


@pytest.fixture
def site(clean: Rehearsed, monkeypatch: pytest.MonkeyPatch) -> SiteOf:
    """The rehearsal site, with other dns params where a test says so."""
    monkeypatch.setenv("RUNBOOK_TESTBED", str(world.folder_of(clean.root)))
    monkeypatch.setenv("WRONG", "d3JvbmcgbGlrZSB0aGUgb3RoZXI=")

    def made(**dns: Any) -> Site:
        given = dict(params.read(PARAMS))
        return params.load(given | {"dns": given["dns"] | dns})

    return made


@pytest.fixture(scope="module")
def key() -> Wanted:
    """What 03 would hand over: a public half that needs two TXT strings."""
    public = rsa.generate_private_key(65537, 2048).public_key()
    text = base64.b64encode(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()
    return Wanted(SELECTOR, "TXT", (f"v=DKIM1; h=sha256; k=rsa; p={text}",), 3600, "signs", "RFC 6376", "03-dkim")


def desired(site: Site, key: Wanted) -> Desired:
    reached = records.ipv6(site, str(site.server.ipv6))  # as if the log had shown a client over IPv6
    return records.desired(site, [key, reached], relays.records(site))


def serial(testbed: Rehearsed) -> str:
    (soa,) = testbed.texts("lantern.example", "SOA", testbed.state.dns.ipv4)
    return soa.split()[2]


def walk(site: Site, want: Desired, *, apply: bool) -> tuple[Any, Any, Any]:
    """The cells of the notebook."""
    zone.preflight(site).require()
    plan = records.diff(want, zone.observe(site, want))
    published = zone.publish(site, plan, apply=apply)
    return plan, published, records.verify(want, zone.observe(site, want, after=published, wait=60), plan)


def test_unapplied_the_zone_stays_and_everything_is_pending(clean: Rehearsed, site: SiteOf, key: Wanted) -> None:
    before = serial(clean)
    plan, published, verdict = walk(site(), desired(site(), key), apply=False)
    assert len(plan) == 7
    assert not published
    assert verdict.require().status is Status.PENDING
    assert serial(clean) == before


@pytest.mark.parametrize("authoritative", [None, []], ids=["by address", "by delegation"])
def test_applied_everything_passes_and_a_second_walk_changes_nothing(
    clean: Rehearsed, site: SiteOf, key: Wanted, authoritative: list[str] | None
) -> None:
    here = site() if authoritative is None else site(authoritative=authoritative)
    want = desired(here, key)
    before = serial(clean)
    _, published, verdict = walk(here, want, apply=True)
    assert published.serials == {"lantern.example": (int(before), int(serial(clean)))}
    assert {c.name: c.observed for c in verdict if c.status is not Status.PASS} == {}
    assert len(verdict) == 11
    after = serial(clean)
    plan, _, again = walk(here, want, apply=True)
    assert not plan
    assert again.status is Status.PASS
    assert serial(clean) == after


def test_the_key_arrives_whole_in_two_strings(clean: Rehearsed, site: SiteOf, key: Wanted) -> None:
    walk(site(), desired(site(), key), apply=True)
    (text,) = clean.texts(SELECTOR, "TXT")
    first, second = text.strip('"').split('" "')
    assert len(first) == 255
    assert first + second == key.values[0]


def test_an_existing_record_is_merged_and_neighbours_stay(clean: Rehearsed, site: SiteOf, key: Wanted) -> None:
    clean.publish(("@", "TXT", '"v=spf1 mx" " -all"'))
    clean.publish(("_dmarc", "TXT", '"v=DMARC1; p=reject"'))
    update = ("@", "MX", "10 mx.elsewhere.example.")
    clean.publish(update)
    _, _, verdict = walk(site(), desired(site(), key), apply=True)
    authority = clean.state.dns.ipv4
    assert clean.texts("lantern.example", "TXT", authority) == ['"v=spf1 mx include:_spf.relay.example -all"']
    reported = ['"v=DMARC1; p=reject; rua=mailto:hi@lantern.example"']
    assert clean.texts("_dmarc.lantern.example", "TXT", authority) == reported
    assert clean.texts("lantern.example", "MX", authority) == ["10 mx.elsewhere.example."]
    found = verdict["dns.mx lantern.example"]
    assert found.status is Status.WARN
    assert "mx.elsewhere.example receives" in found.observed


def test_a_zone_changed_meanwhile_is_not_overwritten(clean: Rehearsed, site: SiteOf, key: Wanted) -> None:
    want = desired(site(), key)
    plan = records.diff(want, zone.observe(site(), want))
    assert clean.publish(("@", "TXT", '"v=spf1 mx -all"')) == "NOERROR"
    before = serial(clean)
    with pytest.raises(zone.OvertakenError):
        zone.publish(site(), plan, apply=True)
    assert serial(clean) == before
    assert clean.texts("mail.lantern.example", "A", clean.state.dns.ipv4) == []


@pytest.mark.parametrize(
    ("key_params", "said"),
    [({"name": "nobody"}, "BADKEY"), ({"secret": "env:WRONG"}, "BADSIG"), ({"algorithm": "hmac-sha512"}, "BADKEY")],
)
def test_a_refused_key_is_a_red_row_before_anything_changes(
    clean: Rehearsed, site: SiteOf, key_params: dict[str, str], said: str
) -> None:
    before = serial(clean)
    rfc2136 = params.read(PARAMS)["dns"]["rfc2136"]
    here = site(rfc2136=rfc2136 | {"key": rfc2136["key"] | key_params})
    row = zone.preflight(here)["dns.update lantern.example"]
    assert row.status is Status.FAIL
    assert said in row.observed
    assert row.fix
    assert serial(clean) == before


def test_updates_sent_to_the_resolver_are_a_red_row(clean: Rehearsed, site: SiteOf) -> None:
    rfc2136 = params.read(PARAMS)["dns"]["rfc2136"] | {"server": clean.state.resolver.ipv4}
    row = zone.preflight(site(rfc2136=rfc2136))["dns.update lantern.example"]
    assert row.status in {Status.FAIL, Status.UNKNOWN}
    assert row.fix


def test_a_dead_resolver_is_unknown(site: SiteOf, clean: Rehearsed) -> None:
    nobody = clean.state.resolver.ipv4.rpartition(".")[0] + ".77"
    checks = zone.preflight(site(resolvers=[nobody]))
    assert checks["dns.resolvers"].status is Status.UNKNOWN
    assert checks["dns.authoritative lantern.example"].status is Status.PASS
