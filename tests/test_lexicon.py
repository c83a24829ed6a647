"""Publishing through a provider's API: dns-lexicon against a stand-in of Cloudflare's, over HTTPS on loopback."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cloudflare
import pytest
import sites
from cloudflare import TOKEN, Cloudflare

from runbooklib import params, records, zone
from runbooklib.params import Site
from runbooklib.records import Desired, Observed, RecordChange, Wanted
from runbooklib.results import Plan, Status
from runbooklib.zone import OvertakenError, RefusedError, UnansweredError, lexicons
from runbooklib.zone.lexicons import LoginError, comparable

AUTHORITY, RESOLVER = "192.0.2.1", "192.0.2.53"
NAME = "mail._domainkey.lantern.example"
LONG = "v=DKIM1; k=rsa; p=" + "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A" * 12
SECTION = {"provider": "cloudflare", "secrets": {"auth_token": "env:CF_TOKEN"}}
DNS = {"publish": "lexicon", "lexicon": SECTION, "resolvers": [RESOLVER], "authoritative": [AUTHORITY]}


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloudflare]:
    """The stand-in, and nothing else to be reached."""
    stand_in = Cloudflare()
    monkeypatch.setenv("CF_TOKEN", TOKEN)
    with cloudflare.listening(stand_in, tmp_path) as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        yield stand_in


def site(**more: Any) -> Site:
    return sites.make(dns=DNS | more)


def seen(here: Site, want: Desired, api: Cloudflare) -> Observed:
    """What its name servers answer."""
    literal = zone.Literal({AUTHORITY: {"lantern.example": api.zone_text()}}, frozenset({RESOLVER}))
    return zone.observe(here, want, wire=literal)


def planned(here: Site, want: Desired, api: Cloudflare) -> Plan:
    return records.diff(want, seen(here, want, api))


def wanted(here: Site) -> Desired:
    key = Wanted(NAME, "TXT", (LONG,), 3600, "signs", "RFC 6376 3.6.2", "03-dkim")
    return records.desired(here, [key])


def change(**more: Any) -> RecordChange:
    given: dict[str, Any] = {
        "order": 0,
        "target": f"{more.get('name', NAME)} {more.get('type', 'TXT')}",
        "before": "",
        "after": "",
        "why": "",
        "name": NAME,
        "type": "TXT",
        "zone": "lantern.example",
        "ttl": 600,
    }
    return RecordChange(**given | more)


def written(api: Cloudflare) -> list[tuple[Any, ...]]:
    return sorted((r["type"], r["name"], r["content"], r["ttl"], r.get("priority")) for r in api.records.values())


def test_a_plan_is_published_whole_and_the_second_time_nothing_is_asked(api: Cloudflare) -> None:
    here = site()
    api.put("TXT", "lantern.example", "unrelated=1")
    want = wanted(here)
    published = zone.publish(here, planned(here, want, api), apply=True)
    assert [c.target for c in published.done] == [c.target for c in published.plan]
    assert ("MX", "lantern.example", "mail.lantern.example", 3600, 10) in written(api)
    assert ("TXT", NAME, LONG, 3600, None) in written(api)
    assert ("TXT", "lantern.example", "unrelated=1", 300, None) in written(api)
    assert not planned(here, want, api)
    api.asked.clear()
    assert not zone.publish(here, planned(here, want, api), apply=True)
    assert api.asked == []


def test_shown_only_nothing_is_asked(api: Cloudflare) -> None:
    here = site()
    assert not zone.publish(here, planned(here, wanted(here), api)).done
    assert api.asked == []


def test_one_value_takes_anothers_place_in_one_request(api: Cloudflare) -> None:
    at = api.put("TXT", "lantern.example", "v=spf1 a ~all", ttl=60)
    api.put("TXT", "lantern.example", "unrelated=1")
    old, new = '"v=spf1 a ~all"', "v=spf1 a include:spf.example.net ~all"
    here = {"name": "lantern.example", "removed": (old,), "added": (new,), "stands": (old, '"unrelated=1"')}
    lexicons.write(_target(), change(ttl=60, **here))
    assert api.writes == [f"PUT /client/v4/zones/z1/dns_records/{at}"]
    assert ("TXT", "lantern.example", new, 60, None) in written(api)


def test_an_mx_is_there_before_its_predecessor_goes(api: Cloudflare) -> None:
    api.put("MX", "lantern.example", "mx.old.example", priority=20)
    here = {"name": "lantern.example", "type": "MX", "removed": ("20 mx.old.example.",)}
    lexicons.write(_target(), change(added=("10 mail.lantern.example",), stands=("20 mx.old.example.",), **here))
    assert [line.split()[0] for line in api.writes] == ["POST", "DELETE"]
    assert written(api) == [("MX", "lantern.example", "mail.lantern.example", 600, 10)]


def test_an_mx_whose_ttl_alone_changes_is_left_to_the_panel(api: Cloudflare) -> None:
    api.put("MX", "lantern.example", "mx.old.example", priority=20)
    here = {"name": "lantern.example", "type": "MX", "stands": ("20 mx.old.example.",)}
    with pytest.raises(RefusedError, match=r"set it to 600 in the provider's panel"):
        lexicons.write(_target(), change(removed=("20 mx.old.example.",), added=("20 mx.old.example",), **here))
    assert api.writes == []


def test_a_ttl_alone(api: Cloudflare) -> None:
    api.put("TXT", NAME, f'"{LONG[:255]}" "{LONG[255:]}"', ttl=86400)
    stands = (f'"{LONG[:255]}" "{LONG[255:]}"',)
    lexicons.write(_target(), change(removed=stands, added=(LONG,), stands=stands))
    assert written(api) == [("TXT", NAME, LONG, 600, None)]


def test_what_is_retired_goes_and_nothing_else(api: Cloudflare) -> None:
    api.put("TXT", NAME, "v=DKIM1; p=QUJD")
    api.put("TXT", f"x{NAME}", "v=DKIM1; p=QUJD")
    lexicons.write(_target(), change(removed=('"v=DKIM1; p=QUJD"',), stands=('"v=DKIM1; p=QUJD"',), retired=True))
    assert [r["name"] for r in api.records.values()] == [f"x{NAME}"]


def test_half_a_plan_says_which_records_are_in_and_is_finished_by_the_next_run(api: Cloudflare) -> None:
    here = site()
    plan = planned(here, wanted(here), api)
    api.script = ["", "", 500]
    with pytest.raises(RefusedError, match=r"HTTP 500") as caught:
        zone.publish(here, plan, apply=True)
    first, second, third = (c.target for c in list(plan)[:3])
    assert f"already published: {first}, {second}" in caught.value.fix
    assert third not in caught.value.fix
    rest = planned(here, wanted(here), api)
    assert [c.target for c in rest] == [c.target for c in plan][2:]
    zone.publish(here, rest, apply=True)
    assert not planned(here, wanted(here), api)


def test_half_an_rrset_says_which_values_are_in(api: Cloudflare) -> None:
    api.script = ["", 500]
    with pytest.raises(RefusedError) as caught:
        lexicons.write(_target(), change(name="mail.lantern.example", type="A", added=("192.0.2.7", "192.0.2.8")))
    assert "of this rrset is already in: 192.0.2.7" in caught.value.fix


def test_what_changed_meanwhile_is_not_overwritten(api: Cloudflare) -> None:
    api.put("TXT", NAME, "v=DKIM1; p=QUJD")
    with pytest.raises(OvertakenError, match=r"nothing was written"):
        lexicons.write(_target(), change(added=(LONG,)))
    assert api.writes == []


def test_a_success_that_is_none_is_seen(api: Cloudflare) -> None:
    api.script = ["forget"]
    with pytest.raises(RefusedError, match=r"accepted, yet listed is nothing"):
        lexicons.write(_target(), change(added=(LONG,)))


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [(429, RefusedError, "too many requests"), (401, LoginError, "HTTP 401"), (502, RefusedError, "HTTP 502")],
)
def test_what_the_api_refuses(api: Cloudflare, status: int, kind: type[zone.ZoneError], said: str) -> None:
    api.script = [status]
    with pytest.raises(kind, match=said):
        lexicons.write(_target(), change(added=(LONG,)))


def test_a_wrong_token_is_named_by_its_reference(api: Cloudflare, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CF_TOKEN", "another_made_up_token")
    with pytest.raises(LoginError) as caught:
        lexicons.probe(_target(), "lantern.example")
    assert "auth_token (env:CF_TOKEN)" in str(caught.value)
    assert "another_made_up_token" not in str(caught.value)
    assert api.asked == ["GET /client/v4/zones"]


def test_a_zone_of_others(api: Cloudflare) -> None:
    lexicons.probe(_target(), "lantern.example")
    with pytest.raises(LoginError, match=r"No domain found"):
        lexicons.probe(_target(), "pier.example")
    assert api.writes == []


def test_preflight_logs_in_and_writes_nothing(api: Cloudflare, monkeypatch: pytest.MonkeyPatch) -> None:
    world = zone.Literal({AUTHORITY: {"lantern.example": api.zone_text()}}, frozenset({RESOLVER}))
    assert zone.preflight(site(), world)["dns.update lantern.example"].status is Status.PASS
    monkeypatch.setenv("CF_TOKEN", "another_made_up_token")
    row = zone.preflight(site(), world)["dns.update lantern.example"]
    assert (row.status, "HTTP 403" in row.observed) == (Status.FAIL, True)
    assert api.writes == []


def test_preflight_tells_silence_from_refusal(api: Cloudflare, monkeypatch: pytest.MonkeyPatch) -> None:
    world = zone.Literal({AUTHORITY: {"lantern.example": api.zone_text()}}, frozenset({RESOLVER}))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    assert zone.preflight(site(), world)["dns.update lantern.example"].status is Status.UNKNOWN


def test_a_list_in_pages_is_read_to_its_end(api: Cloudflare) -> None:
    api.page = 2
    for n in range(5):
        api.put("TXT", NAME, f"n={n}")
    stands = tuple(f'"n={n}"' for n in range(5))
    lexicons.write(_target(), change(removed=('"n=4"',), stands=stands))
    assert len(api.records) == 4


def test_silence_ends(api: Cloudflare, monkeypatch: pytest.MonkeyPatch) -> None:
    api.silent = threading.Event()
    monkeypatch.setattr(lexicons, "PATIENCE", 0.2)
    with pytest.raises(UnansweredError, match=r"it may be written all the same"):
        lexicons.probe(_target(), "lantern.example")
    api.silent.set()


def test_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CF_TOKEN", TOKEN)
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with pytest.raises(UnansweredError, match=r"ProxyError"):
        lexicons.probe(_target(), "lantern.example")


def test_a_provider_that_the_library_does_not_know(api: Cloudflare) -> None:
    with pytest.raises(RefusedError, match=r"no provider nobody"):
        lexicons.probe(_target().model_copy(update={"provider": "nobody"}), "lantern.example")
    assert api.asked == []


@pytest.mark.parametrize(
    ("kind", "text", "compares"),
    [
        ("TXT", "plain text", "plain text"),
        ("TXT", '"cut " "in two"', "cut in two"),
        ("TXT", '"unclosed', '"unclosed'),
        ("MX", "10 Mail.Example.org.", "mail.example.org"),
        ("MX", "mail.example.org", "mail.example.org"),
        ("CNAME", "Target.example.org.", "target.example.org"),
        ("SRV", "0 1 993 mail.example.org", "0 1 993 mail.example.org"),
        ("TLSA", "3 1 1 AB" + "00" * 31, "3 1 1 ab" + "00" * 31),
        ("AAAA", "2001:DB8:0::1", "2001:db8::1"),
    ],
)
def test_what_a_provider_lists_compares(kind: str, text: str, compares: str) -> None:
    assert comparable(kind, text) == compares


def test_a_section_is_needed_and_secrets_stand_apart() -> None:
    told = params.problems(sites.given(dns={"publish": "lexicon"}))
    assert any("needs a section lexicon" in said for _, said in told), told
    literal = {"publish": "lexicon", "lexicon": {"provider": "cloudflare", "options": {"auth_token": "abc"}}}
    assert any("expected under secrets" in said for _, said in params.problems(sites.given(dns=literal)))


def _target() -> params.Lexicon:
    found = site().dns.lexicon
    assert found
    return found
