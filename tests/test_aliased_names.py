"""Names at which a CNAME stands are judged by what it leads to: zones as literals."""

from __future__ import annotations

import pytest
import sites
from test_records import AUTHORITY, GOOD, HEAD, KEY, OTHER_KEY, RELAY_ZONE, RESOLVER, REVERSE, changed, key, row

from runbooklib import records, relays, zone
from runbooklib.answers import Word
from runbooklib.params import Site
from runbooklib.records import Desired
from runbooklib.results import Checklist, Plan, Status

TLS_RPT = "v=TLSRPTv1; rua=mailto:hi@lantern.example"
TLS_ALIAS = "_smtp._tls 300 CNAME t.host.example."
EU, US = (f"feedback-smtp.{region}.amazonses.com." for region in ("eu-west-1", "us-east-1"))


def site() -> Site:
    """It sends through a relay with a return path of its own, and asks for TLS reports."""
    dns = {"resolvers": [RESOLVER], "authoritative": [AUTHORITY], "optional": ["tls-rpt"]}
    relay = {"provider": "resend", "region": "eu-west-1", "password": "env:X"}
    return sites.make(dns=dns, relays={"office": relay}, domains__0__tls_rpt="hi@lantern.example")


def wanted() -> Desired:
    return records.desired(site(), [key()], relays.records(site()))


def walked(own: str, hosted: str = "", lost: str = "") -> tuple[Plan, Checklist]:
    """The stage where `own` stands beside the host's address, `hosted` in the zone of a provider."""
    text = f"{HEAD}mail 300 A 203.0.113.10\n{own}"
    world = {"lantern.example": text, **REVERSE, **RELAY_ZONE, "host.example": f"@ 60 SOA a. h. 1 2 3 4 60\n{hosted}"}
    outages = {(RESOLVER, lost): Word.TIMEOUT} if lost else {}
    wire = zone.Literal({AUTHORITY: {"lantern.example": text}, RESOLVER: world}, frozenset({RESOLVER}), outages)
    seen = zone.observe(site(), wanted(), wire=wire)
    plan = records.diff(wanted(), seen)
    return plan, records.verify(wanted(), seen, plan)


ALIASES = [
    (TLS_ALIAS, f't 60 TXT "{TLS_RPT}"', "dns.tls-rpt", Status.PASS),
    (TLS_ALIAS, 't 60 TXT "v=TLSRPTv1; rua=mailto:x@host.example"', "dns.tls-rpt", Status.WARN),
    (TLS_ALIAS, "", "dns.tls-rpt", Status.FAIL),
    ("mail._domainkey 300 CNAME k.host.example.", f'k 60 TXT "v=DKIM1; p={KEY}"', "dns.dkim mail", Status.PASS),
    ("mail._domainkey 300 CNAME k.host.example.", f'k 60 TXT "v=DKIM1; p={OTHER_KEY}"', "dns.dkim mail", Status.FAIL),
    ("send 300 CNAME s.host.example.", f"s 60 MX 10 {EU}", "dns.mx send", Status.PASS),
    ("send 300 CNAME s.host.example.", 's 60 TXT "v=spf1 include:amazonses.com ~all"', "dns.spf send", Status.PASS),
    ("send 300 CNAME s.host.example.", 's 60 TXT "v=spf1 include:amazonses.com ~all"', "dns.mx send", Status.FAIL),
]


@pytest.mark.parametrize(("own", "hosted", "check", "status"), ALIASES)
def test_an_alias_is_judged_by_what_stands_behind_it(own: str, hosted: str, check: str, status: Status) -> None:
    plan, checks = walked(own, hosted)
    found = row(checks, check)
    assert found.status is status
    assert found.observed.startswith("CNAME ")
    assert bool(found.fix) is (status is not Status.PASS)
    assert not any(c.target.startswith(found.name.split()[1] + " ") for c in plan)
    assert not plan.refusals
    assert "_dmarc.lantern.example TXT" in {c.target for c in plan}


def test_what_stands_behind_an_alias_is_its_keepers_to_change() -> None:
    _, checks = walked("send 300 CNAME s.host.example.")
    assert "whoever keeps s.host.example has to publish" in row(checks, "dns.mx send").fix
    assert "flattening" not in row(checks, "dns.mx send").fix


def test_an_alias_whose_end_nobody_can_see_is_unknown() -> None:
    _, checks = walked(TLS_ALIAS, lost="_smtp._tls.lantern.example")
    assert row(checks, "dns.tls-rpt").status is Status.UNKNOWN


def test_the_mail_host_is_no_alias_and_a_wildcard_none_of_a_name() -> None:
    plan, _ = walked("* 300 CNAME parking.host.example.")
    assert {"send.lantern.example MX", "_smtp._tls.lantern.example TXT"} <= {c.target for c in plan}
    text = changed(GOOD, "mail 300 A 203.0.113.10", "mail 300 CNAME cdn.host.example.")
    wire = zone.Literal({AUTHORITY: {"lantern.example": HEAD + text}, RESOLVER: REVERSE}, frozenset({RESOLVER}))
    seen = zone.observe(site(), wanted(), wire=wire)
    checks = records.verify(wanted(), seen, records.diff(wanted(), seen))
    assert "no MX may name" in row(checks, "dns.address").fix
