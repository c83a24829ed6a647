"""Stage 03 and its part of 04 on a deployed server: a new key follows an old one, and the old one goes in time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import rehearsal
from rehearsal import FINGERPRINT, HERE
from rehearsed import Rehearsed

from runbooklib import records, relays, servers, zone
from runbooklib.params import Site
from runbooklib.records import RecordChange
from runbooklib.results import Checklist, Plan, Status, UnsafePlanError
from runbooklib.testbed import snapshots

DOMAIN = "lantern.example"
OLD, NEW = f"mail._domainkey.{DOMAIN}", f"s2._domainkey.{DOMAIN}"
KEYS, MEMORY = f"{HERE}/config/opendkim/keys/{DOMAIN}", f"{HERE}/config/runbook-retired.yaml"


@pytest.fixture
def server(spoilt: Rehearsed) -> Iterator[Rehearsed]:
    """The deployed server and its zone, both put back afterwards."""
    before = snapshots.published(spoilt.root)
    yield spoilt
    snapshots.reset_zone(spoilt.root, before)


def site(selector: str, size: int = 2048) -> Site:
    return rehearsal.site(domains__0__dkim={"selector": selector, "size": size})


def dkim(here: Site, *, apply: bool = True) -> tuple[Plan, Checklist]:
    """The cells of 03."""
    have, want = servers.observe(here), servers.records(here)
    seen = zone.observe(here, want)
    plan = servers.plan_keys(here, have, seen)
    done = servers.apply(here, plan, apply=apply)
    return plan, servers.verify_keys(here, done, seen, apply=apply, wait=60).require()


def dns(here: Site) -> tuple[Plan, Checklist]:
    """The cells of 04."""
    want = records.desired(here, servers.records(here), relays.records(here), unwanted=servers.unwanted(here))
    plan = records.diff(want, zone.observe(here, want))
    published = zone.publish(here, plan, apply=True)
    seen = zone.observe(here, want, after=published, wait=30)
    return plan, records.verify(want, seen, plan).require()


def targets(plan: Plan) -> list[str]:
    return [c.target.removeprefix(f"{HERE}/") for c in plan]


def signed_by(verdict: Checklist) -> str:
    """The selector of the one signature of the local message, which verified."""
    row = verdict[f"dkim.proof {DOMAIN}"]
    assert row.status is Status.PASS
    return row.observed.removesuffix(f" for {DOMAIN} verifies")


def published(server: Rehearsed, name: str) -> list[str]:
    return server.texts(name, "TXT", server.state.dns.ipv4)


def test_a_new_key_follows_the_old_one_and_goes_again_through_all_the_walks(server: Rehearsed) -> None:
    here, there = site("mail"), site("s2", 1024)
    value = published(server, OLD)
    _made_beside_the_old_one(server, there)
    assert targets(dns(there)[0]) == [f"{NEW} TXT"]
    _changed_over(server, there)
    assert published(server, OLD) == value
    _nothing_twice(server, there)
    _back_within_its_time(server, here)
    _taken_away_when_its_time_is_over(server, here)
    _nothing_twice(server, here)
    _never_again(server, there)


def _made_beside_the_old_one(server: Rehearsed, there: Site) -> None:
    container = server.ssh("docker inspect -f '{{.Id}}' mailserver")
    plan, verdict = dkim(there)
    assert targets(plan) == [f"DKIM key {NEW}"]
    waiting = verdict[f"dkim.signing {DOMAIN}"]
    assert (waiting.status, waiting.waits_for) == (Status.PENDING, "04-dns")
    assert signed_by(verdict) == "mail"
    short = verdict[f"dkim.key {NEW}"]
    assert (short.status, short.ref) == (Status.WARN, "RFC 8301 3.2")
    assert server.ssh("docker inspect -f '{{.Id}}' mailserver") == container


def _changed_over(server: Rehearsed, there: Site) -> None:
    plan, verdict = dkim(there)
    assert targets(plan) == ["config/runbook-retired.yaml", "config/opendkim/SigningTable", "container mailserver"]
    assert verdict[f"dkim.signing {DOMAIN}"].status is Status.PASS
    assert signed_by(verdict) == "s2"
    assert verdict[f"dkim.retired {OLD}"].observed.startswith("kept")
    assert "mail.private" in server.ssh(f"ls {KEYS}")


def _nothing_twice(server: Rehearsed, here: Site) -> None:
    before = server.ssh(FINGERPRINT)
    assert not dkim(here)[0]
    assert not dns(here)[0]
    assert server.ssh(FINGERPRINT) == before


def _back_within_its_time(server: Rehearsed, here: Site) -> None:
    plan, verdict = dkim(here)
    assert not plan.refusals
    assert signed_by(verdict) == "mail"
    assert verdict[f"dkim.retired {NEW}"].status is Status.PASS
    assert server.ssh(f"grep selector {MEMORY}").split() == ["selector:", "s2"]


def _taken_away_when_its_time_is_over(server: Rehearsed, here: Site) -> None:
    server.ssh(f"sed -i \"s/since: .*/since: '2026-01-01T00:00:00Z'/\" {MEMORY}")
    plan, verdict = dkim(here)
    assert targets(plan) == ["config/opendkim/KeyTable", f"DKIM key {NEW}"]
    assert signed_by(verdict) == "mail"
    assert server.ssh(f"ls {KEYS}").split() == ["mail.private", "mail.txt"]
    (removal,) = dns(here)[0]
    assert isinstance(removal, RecordChange)
    assert (removal.name, removal.added) == (NEW, ())
    assert published(server, NEW) == []
    assert published(server, OLD)


def _never_again(server: Rehearsed, there: Site) -> None:
    before = server.ssh(FINGERPRINT)
    with pytest.raises(UnsafePlanError, match="choose a new selector"):
        dkim(there)
    assert server.ssh(FINGERPRINT) == before


def test_an_ed25519_key_is_refused_and_the_image_says_why(deployed: Rehearsed) -> None:
    here = rehearsal.site(domains__0__dkim={"ed25519": "ed"})
    plan = servers.plan_keys(here, servers.observe(here), None)
    assert "one algorithm for all keys" in plan.refusals[0]
    rows = servers.verify_keys(here, servers.apply(here, plan, apply=False), apply=False, wait=1)
    assert rows[f"dkim.params {DOMAIN}"].status is Status.FAIL
    said = deployed.ssh(f"docker exec mailserver sh -c '{BESIDE_RSA}' 2>&1 || true")
    assert "EVP_PKEY_get1_RSA() failed" in said
    assert "SMFIS_TEMPFAIL" in said


# Both keys in one signer, as RFC 8463 3 would have it, and a message to sign: OpenDKIM's own test mode (-t).
BESIDE_RSA = """
mkdir -p -m 700 /srv/ed && cd /srv/ed
openssl genpkey -algorithm ed25519 -out ed.pem 2>/dev/null
opendkim-genkey -s rsa -d a.example && chmod 600 *
echo "ed a.example:ed:/srv/ed/ed.pem" >keys
echo "rsa a.example:rsa:/srv/ed/rsa.private" >>keys
echo "*@a.example ed" >rows
echo "*@a.example rsa" >>rows
printf "KeyTable file:/srv/ed/keys\\nSigningTable refile:/srv/ed/rows\\nMode s\\nMultipleSignatures yes\\n" >conf
printf "From: x@a.example\\r\\nSubject: two keys\\r\\n\\r\\nhello\\r\\n" >letter
opendkim -x conf -t letter -vvv
rm -r /srv/ed
"""
