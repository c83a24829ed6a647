"""Plans that refuse to do harm: what they would drop, double, weaken or tighten, and what stands in their way."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
import sites
from hypothesis import given, settings
from hypothesis import strategies as st
from test_mx_takeover import TAKEN
from test_records import AUTHORITY, GOOD, KEY, OTHER_KEY, RESOLVER, changed, row, site, walked, wanted, world

from runbooklib import dmarc, records, spf, zone
from runbooklib.answers import Answer, Question, Word
from runbooklib.params import ParamsError
from runbooklib.records import Desired, Observed, RecordChange, Unwanted, Wanted, safety
from runbooklib.records.comparison import RULES
from runbooklib.records.planned import STEPS
from runbooklib.records.texts import unquoted
from runbooklib.results import Plan, Status, UnsafePlanError
from runbooklib.zone.updates import rdata_text

NOTHING = Observed((), ("lantern.example",))


def text_change(before: Iterable[str], after: Iterable[str], name: str = "lantern.example") -> RecordChange:
    """A change of TXT values at a name, as the planner would make it."""
    old, new = list(before), list(after)
    return RecordChange(
        *(0, f"{name} TXT", "", "", ""),
        name=name,
        type="TXT",
        zone="lantern.example",
        removed=tuple(records.quoted(v) for v in old if v not in new),
        added=tuple(v for v in new if v not in old),
        stands=tuple(map(records.quoted, old)),
    )


def refused(change: RecordChange, have: Observed = NOTHING) -> tuple[str, ...]:
    return safety.refusals([change], Desired(()), have)


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        (["v=spf1 mx ~all"], ["v=spf1 mx ~all", "v=spf1 a ~all"], "second SPF"),
        (["v=spf1 mx ~all", "x"], ["x"], "would drop 1 values and add 0"),
        (["v=spf1 mx ~all"], ["v=spf1 mx -all"], "~all → -all"),
        (["v=spf1 ?mx ~all"], ["v=spf1 -mx ~all"], "?mx → -mx"),
        (["v=spf1 mx ~all"], ["v=spf1 mx a ~all"], ""),
        (["v=spf1 mx -all"], ["v=spf1 mx ~all"], ""),
        (["v=spf1 inclood:x"], ["v=spf1 mx -all"], ""),
        ([], ["v=spf1 -all"], ""),
    ],
)
def test_an_spf_record_is_neither_doubled_nor_dropped_nor_tightened(
    before: list[str], after: list[str], reason: str
) -> None:
    said = refused(text_change(before, after))
    assert bool(said) is bool(reason)
    assert reason in "".join(said)


@pytest.mark.parametrize(("hosts", "refuses"), [(["10 mx.example.net"], True), (["0 ."], False), ([], False)])
def test_the_first_spf_record_of_a_name_that_receives_ends_in_softfail(hosts: list[str], refuses: bool) -> None:
    word = Word.NOERROR if hosts else Word.NODATA
    answer = Answer(Question("lantern.example", "MX"), AUTHORITY, word, values=tuple(hosts))
    said = refused(text_change([], ["v=spf1 mx -all"]), Observed((answer,)))
    assert bool(said) is refuses


WEAKER = [
    ("v=DMARC1; p=reject", "v=DMARC1; p=quarantine", "p reject → quarantine"),
    ("v=DMARC1; p=reject", "v=DMARC1; p=reject; sp=none", "sp reject → none"),
    ("v=DMARC1; p=reject; np=reject", "v=DMARC1; p=reject; np=none", "np reject → none"),
    ("v=DMARC1; p=reject", "v=DMARC1; p=reject; pct=20", "pct 100 → 20"),
    ("v=DMARC1; p=reject", "v=DMARC1; p=reject; t=y", "t=y"),
    ("v=DMARC1; p=none; adkim=s", "v=DMARC1; p=none", "adkim strict → relaxed"),
    ("v=DMARC1; p=none; aspf=s", "v=DMARC1; p=none; aspf=r", "aspf strict → relaxed"),
    ("v=DMARC1; p=none", "", "second DMARC"),
    ("v=DMARC1; p=none", "something", "take away"),
    ("v=DMARC1; p=none; sp=reject", "v=DMARC1; p=reject", ""),
    ("v=DMARC1; p=none; t=y", "v=DMARC1; p=quarantine; adkim=s", ""),
]


@pytest.mark.parametrize(("before", "after", "reason"), WEAKER)
def test_a_dmarc_policy_is_weakened_by_no_tag(before: str, after: str, reason: str) -> None:
    new = [before, "v=DMARC1; p=reject"] if "second" in reason else [after]
    said = refused(text_change([before], new, "_dmarc.lantern.example"))
    assert bool(said) is bool(reason)
    assert reason in "".join(said)


def test_a_large_share_of_a_zone_is_not_dropped_unless_params_allow_it() -> None:
    old = [f"old{i}._domainkey.lantern.example" for i in range(5)]
    texts = "".join(f'old{i}._domainkey 300 TXT "v=DKIM1; p={KEY}"\n' for i in range(5))
    gone = tuple(Unwanted(name, "TXT", (f"v=DKIM1; p={KEY}",), "a retired key") for name in old)
    for share, count in ((0.3, 1), (0.9, 0)):
        here = site(dns={"resolvers": [RESOLVER], "authoritative": [AUTHORITY], "largest_share": share})
        want = replace(wanted(here), unwanted=gone)
        plan = records.diff(want, zone.observe(here, want, wire=world(GOOD + texts)))
        assert len(plan) == 5
        assert len(plan.refusals) == count
        assert not count or "would drop 5 of the 11 rrsets known, more than 30%" in plan.refusals[0]


def test_a_retired_key_of_a_small_zone_is_no_large_share() -> None:
    name = "old._domainkey.lantern.example"
    want = replace(wanted(site()), unwanted=(Unwanted(name, "TXT", (f"v=DKIM1; p={KEY}",), "a retired key"),))
    text = f'{GOOD}old._domainkey 300 TXT "v=DKIM1; p={KEY}"\n'
    plan = records.diff(want, zone.observe(site(), want, wire=world(text)))
    assert len(plan) == 1
    assert not plan.refusals


def test_every_reason_is_named_at_once_and_nothing_is_published() -> None:
    text = changed(
        GOOD, f'mail._domainkey 300 TXT "v=DKIM1; p={KEY}', f'mail._domainkey 300 TXT "v=DKIM1; p={OTHER_KEY}'
    )
    plan, _ = walked(changed(text, "CNAME lantern-example.dkim.relay.example.", "CNAME other.dkim.example.net."))
    assert len(plan.refusals) == 2
    with pytest.raises(UnsafePlanError, match=r"(?s)mail\._domainkey.*relay\._domainkey"):
        plan.refuse_unsafe()


@pytest.mark.parametrize("apply", [False, True])
def test_nobody_is_given_a_refused_plan_to_type(apply: bool) -> None:
    text = changed(GOOD, "CNAME lantern-example.dkim.relay.example.", "CNAME other.dkim.example.net.")
    plan, _ = walked(changed(text, "_dmarc 300", ";"))
    assert plan
    with pytest.raises(UnsafePlanError) if apply else contextlib.nullcontext():
        shown = zone.publish(site(), plan, apply)
        assert shown.by_hand == ()
        assert "publish by hand" not in str(shown)


@pytest.mark.parametrize(("ttl", "kept", "new"), [(None, 300, 3600), (900, 900, 900)])
def test_ttls_are_kept_unless_params_say_one(ttl: int | None, kept: int, new: int) -> None:
    here = site(dns={"resolvers": [RESOLVER], "authoritative": [AUTHORITY], "ttl": ttl})
    text = changed(changed(GOOD, "include:spf.example.net ~all", "mx ~all"), "_dmarc 300", ";")
    plan, _ = walked(text, here)
    assert {c.target: c.ttl for c in plan if isinstance(c, RecordChange)} == {
        "lantern.example TXT": kept,
        "_dmarc.lantern.example TXT": new,
    }


def test_a_share_is_a_share() -> None:
    with pytest.raises(ParamsError):
        site(dns={"largest_share": 30})


# DMARC from above, reports to others.

BLOG = {"name": "blog.lantern.example", "relay": "office", "dmarc": {"policy": "none"}}


def nested(**more: Any) -> Any:
    return site(domains=[BLOG | more, sites.GIVEN["domains"][0]])


def test_strict_alignment_from_above_is_carried_into_a_record_of_its_own() -> None:
    plan, checks = walked(changed(GOOD, "p=none", "p=none; adkim=s"), nested())
    (change,) = [c for c in plan if c.target == "_dmarc.blog.lantern.example TXT"]
    assert change.after == "v=DMARC1; p=none; adkim=s"
    assert "adkim=s" in row(checks, "dns.dmarc _dmarc.blog").expected


def test_a_stricter_policy_of_its_own_is_published_below_another() -> None:
    ours = Wanted("_dmarc.blog.lantern.example", "TXT", ("v=DMARC1; p=reject",), 3600, "", "", "05-send")
    want = Desired((ours,))
    (change,) = records.diff(want, zone.observe(nested(), want, wire=world(changed(GOOD, "p=none", "p=quarantine"))))
    assert change.after == "v=DMARC1; p=reject"


def test_where_the_policy_above_cannot_be_heard_nothing_is_published() -> None:
    here = nested()
    lost = {(RESOLVER, "_dmarc.lantern.example"): Word.SERVFAIL}
    wire = replace(world(GOOD), outages=lost)
    seen = zone.observe(here, wanted(here), wire=wire)
    plan = records.diff(wanted(here), seen)
    assert not plan.touches("_dmarc.blog")
    assert plan.touches("blog.lantern.example MX")
    found = row(records.verify(wanted(here), seen, plan), "dns.dmarc _dmarc.blog")
    assert (found.status, "_dmarc.lantern.example" in found.observed) == (Status.UNKNOWN, True)


def test_a_domain_inside_a_larger_zone_is_published_there() -> None:
    plan, _ = walked(changed(GOOD, "p=none", "p=reject"), nested())
    assert {c.zone for c in plan if isinstance(c, RecordChange)} == {"lantern.example"}
    assert not plan.touches("_dmarc.blog")  # inherited


def test_a_return_path_below_such_a_domain_is_published_there_too() -> None:
    here = site(
        domains=[BLOG, sites.GIVEN["domains"][0]], relays={"office": {"provider": "resend", "password": "env:X"}}
    )
    plan, _ = walked(GOOD, here)
    paths = {c.target: c.zone for c in plan if isinstance(c, RecordChange) and "send." in c.target}
    assert paths == {
        f"send.{domain}lantern.example {kind}": "lantern.example" for domain in ("", "blog.") for kind in ("MX", "TXT")
    }


def test_every_kind_of_record_has_its_step() -> None:
    assert {*RULES, "alias"} - {"ptr"} == set(STEPS)


def test_reports_are_added_to_a_record_that_has_others() -> None:
    here = site(domains__0__dmarc={"rua": "dmarc@lantern.example"})
    text = changed(GOOD, "p=none", "p=reject; rua=mailto:x@lantern.example")
    (change,) = walked(text, here)[0]
    assert change.after == "v=DMARC1; p=reject; rua=mailto:x@lantern.example,mailto:dmarc@lantern.example"
    assert not walked(changed(GOOD, "p=none", "p=reject; rua=MAILTO:dmarc@lantern.example"), here)[0]


CONSENT = "dns.report lantern.example._report._dmarc.reports.example"


@pytest.mark.parametrize(
    ("zone_text", "status"),
    [
        ("", Status.WARN),
        ('lantern.example._report._dmarc 60 TXT "v=DMARC1"', Status.PASS),
        ('*._report._dmarc 60 TXT "v=DMARC1;"', Status.PASS),
        ('lantern.example._report._dmarc 60 TXT "no"', Status.WARN),
        ('lantern.example._report._dmarc 60 TXT "v=DMARC1; rua=mailto:x@third.example"', Status.WARN),
    ],
)
def test_reports_to_others_need_their_consent(zone_text: str, status: Status) -> None:
    here = site(domains__0__dmarc={"rua": "x@reports.example"})
    text = changed(GOOD, "p=none", "p=none; rua=mailto:x@reports.example")
    wire = world(text)
    zones = {**wire.servers[RESOLVER], "reports.example": f"@ 60 SOA a. h. 1 2 3 4 60\n{zone_text}"}
    seen = zone.observe(here, wanted(here), wire=replace(wire, servers={**wire.servers, RESOLVER: zones}))
    plan = records.diff(wanted(here), seen)
    assert not plan
    found = row(records.verify(wanted(here), seen, plan), CONSENT)
    assert found.status is status
    assert status is Status.PASS or "no reports will come" in found.fix


def test_a_consent_that_cannot_be_heard_is_unknown_and_stops_nobody() -> None:
    here = site(domains__0__dmarc={"rua": "x@reports.example"})
    text = changed(GOOD, "p=none", "p=none; rua=mailto:x@reports.example")
    found = row(walked(text, here, **{"192_0_2_53": Word.TIMEOUT})[1], CONSENT)
    assert (found.status, found.advisory) == (Status.UNKNOWN, True)


def test_a_consent_in_a_zone_of_the_site_is_published() -> None:
    other = {"name": "other.example", "relay": "office", "aliases": {"x@other.example": "hi@lantern.example"}}
    here = site(domains=[sites.GIVEN["domains"][0] | {"dmarc": {"rua": "x@other.example"}}, other])
    (consent,) = [w for w in wanted(here) if w.kind == "report"]
    assert (consent.name, consent.foreign) == ("lantern.example._report._dmarc.other.example", False)
    for own in ("x@lantern.example", "x@reports.lantern.example"):
        assert not [w for w in wanted(site(domains__0__dmarc={"rua": own})) if w.kind == "report"]


# Names that are aliases, and panels that misplace records.


def test_a_mail_domain_that_is_an_alias_is_told_the_ways_out_and_others_go_on() -> None:
    text = changed(GOOD, "_dmarc", "blog 300 CNAME shop.example.net.\n_dmarc")
    plan, checks = walked(text, nested())
    assert not plan.refusals
    assert {c.target for c in plan} >= {"_dmarc.blog.lantern.example TXT"}
    assert not {c.target for c in plan} & {"blog.lantern.example MX", "blog.lantern.example TXT"}
    mx, record = row(checks, "dns.mx blog"), row(checks, "dns.spf blog")
    assert (mx.status, record.status) == (Status.FAIL, Status.FAIL)
    assert "RFC 2181 10.1" in mx.fix
    assert all(
        way in mx.fix for way in ("A and AAAA records of shop.example.net", "ALIAS", "mail.blog.lantern.example")
    )
    assert record.fix == "as for dns.mx blog.lantern.example"


@pytest.mark.parametrize(
    ("behind", "status"), [("v=DMARC1; p=reject", Status.PASS), ("v=DMARC2; p=reject", Status.FAIL), ("", Status.FAIL)]
)
def test_a_policy_behind_an_alias_is_its_keepers_and_judged_where_it_stands(behind: str, status: Status) -> None:
    wire = world(changed(GOOD, '_dmarc 300 TXT "v=DMARC1; p=none"', "_dmarc 300 CNAME lantern.dmarc.example."))
    held = f'lantern 60 TXT "{behind}"' if behind else ""
    zones = {**wire.servers[RESOLVER], "dmarc.example": f"@ 60 SOA a. h. 1 2 3 4 60\n{held}"}
    want = wanted(site())
    seen = zone.observe(site(), want, wire=replace(wire, servers={**wire.servers, RESOLVER: zones}))
    plan = records.diff(want, seen)
    assert not plan
    checks = records.verify(want, seen, plan)
    found = row(checks, "dns.dmarc _dmarc")
    assert found.observed.startswith("CNAME lantern.dmarc.example")
    assert found.status is status
    assert ("whoever keeps lantern.dmarc.example" in found.fix) is (status is Status.FAIL)


MISPLACED = [
    ("_dmarc 300", "_dmarc.lantern.example 300", "dns.dmarc", "_dmarc.lantern.example.lantern.example", "enter _dmarc"),
    ("_dmarc 300", "dmarc 300", "dns.dmarc", "it stands at dmarc.lantern.example", "underscore"),
    ("mail._domainkey 300", "mail.domainkey 300", "dns.dkim mail", "mail.domainkey.lantern.example", "underscore"),
    ("@ 300 MX", "lantern.example 300 MX", "dns.mx", "lantern.example.lantern.example", "enter @"),
]


@pytest.mark.parametrize(("old", "new", "check", "name", "advice"), MISPLACED)
def test_a_record_that_a_panel_misplaced_is_found_and_named(
    old: str, new: str, check: str, name: str, advice: str
) -> None:
    plan, checks = walked(changed(GOOD, old, new))
    found = row(checks, check)
    assert len(plan) == 1
    assert found.status is Status.PENDING
    assert name in found.observed
    assert advice in found.observed


def test_nobody_asks_for_misplaced_records_where_none_lacks() -> None:
    seen = zone.observe(site(), wanted(site()), wire=world(GOOD))
    assert not [a for a in seen if "dmarc.lantern.example.lantern" in a.question.name]
    lacking = zone.observe(site(), wanted(site()), wire=world(changed(GOOD, "_dmarc 300", ";")))
    assert [a.recursive for a in lacking if a.question.name == "_dmarc.lantern.example.lantern.example"] == [False]


QUOTED = [
    ('"v=DMARC1; p=none"', '"\\"v=DMARC1; p=none\\""', "dns.dmarc", False),
    ('"v=spf1 include:spf.example.net ~all"', '"\\"v=spf1 include:spf.example.net ~all\\""', "dns.spf", False),
    (f'"v=DKIM1; p={KEY}"', f'"v=DKIM1; p={KEY[:30]}\\" \\"{KEY[30:]}"', "dns.dkim mail", True),
]


@pytest.mark.parametrize(("old", "new", "check", "corrected"), QUOTED)
def test_quotation_marks_inside_a_value_are_named(old: str, new: str, check: str, corrected: bool) -> None:
    plan, checks = walked(changed(GOOD, old, new))
    found = row(checks, check)
    assert bool(plan) is corrected
    assert "quotation marks" in found.observed
    assert found.status is (Status.PENDING if corrected else Status.FAIL)


def test_a_key_in_pieces_is_put_together() -> None:
    pieces = f'mail._domainkey 300 TXT "{KEY[20:]}"\nmail._domainkey 300 TXT "v=DKIM1; p={KEY[:20]}"'
    plan, _ = walked(changed(GOOD, f'mail._domainkey 300 TXT "v=DKIM1; p={KEY}"', pieces))
    (change,) = plan
    assert isinstance(change, RecordChange)
    assert (len(change.removed), len(change.added)) == (2, 1)
    assert not plan.refusals


def test_a_key_beside_another_is_no_key_in_pieces() -> None:
    several = (f'"v=DKIM1; p={KEY}"', f'"p={OTHER_KEY}"', f'"{KEY[40:]}"')
    rrset = "".join(f"mail._domainkey 300 TXT {text}\n" for text in several)
    plan, checks = walked(changed(GOOD, f'mail._domainkey 300 TXT "v=DKIM1; p={KEY}"\n', rrset))
    assert not plan
    assert "3 TXT records" in row(checks, "dns.dkim mail").observed


def test_an_spf_record_whose_strings_lost_their_blank_is_shown_whole() -> None:
    text = changed(GOOD, '"v=spf1 include:spf.example.net ~all"', '"v=spf1 include:spf.example.net" "~all"')
    plan, checks = walked(text)
    assert not plan
    assert "enter it as v=spf1 include:spf.example.net ~all" in row(checks, "dns.spf").fix


@pytest.mark.parametrize("text", ["*._domainkey 300 TXT nothing", "* 300 CNAME parking.example.net."])
def test_what_only_a_wildcard_says_does_not_stand_at_the_name(text: str) -> None:
    zone_text = changed(GOOD, f'mail._domainkey 300 TXT "v=DKIM1; p={KEY}"', text)
    (change,) = walked(zone_text)[0]
    assert isinstance(change, RecordChange)
    assert (change.target, change.stands, change.removed) == ("mail._domainkey.lantern.example TXT", (), ())


def test_mail_that_others_receive_by_a_wildcard_stays_with_them() -> None:
    text = changed(GOOD, "_dmarc", "* 3600 MX 10 mx.example.net.\n_dmarc")
    assert not walked(text, nested())[0].touches("blog.lantern.example MX")
    seen = zone.observe(nested(take_over_mx=True), wanted(nested(take_over_mx=True)), wire=world(text))
    (change,) = [
        c for c in records.diff(wanted(nested(take_over_mx=True)), seen) if "blog.lantern.example MX" in c.target
    ]
    assert isinstance(change, RecordChange)
    assert (change.ttl, change.stands, change.added) == (300, (), ("10 mx.example.net",))
    assert "delete it" in change.undo


def test_what_two_want_of_one_rrset_is_one_change() -> None:
    both = [
        Wanted("lantern.example", "TXT", (f"v=spf1 {term} ~all",), 3600, term, "RFC 7208 3", "05-send")
        for term in ("ip4:203.0.113.10", "include:spf.example.net")
    ]
    answer = Answer(Question("lantern.example", "TXT"), AUTHORITY, Word.NOERROR, values=("x",), raw=('"x"',))
    (change,) = records.diff(Desired(tuple(both)), Observed((answer,), ("lantern.example",)))
    assert isinstance(change, RecordChange)
    assert change.added == ("v=spf1 ip4:203.0.113.10 include:spf.example.net ~all",)
    assert change.removed == ()


# Any zone: a plan is stable, and touches nothing that is not its own.

Zone = dict[tuple[str, str], dict[str, str]]  # rrsets: values and their zone file form
CHOICES: dict[tuple[str, str], list[str]] = {
    ("mail.lantern.example", "A"): ["203.0.113.10", "203.0.113.99"],
    ("lantern.example", "MX"): ["10 mail.lantern.example", "5 mx.example.net", "0 ."],
    ("lantern.example", "TXT"): [
        *("v=spf1 mx -all", "v=spf1 include:spf.example.net ~all", "v=spf1 ?include:spf.example.net +all"),
        *('"v=spf1 mx -all"', "v=spf1 inclood", "site-verification=a", "v=spf1 redirect=_spf.example.net"),
    ],
    ("mail._domainkey.lantern.example", "TXT"): [
        *(f"v=DKIM1; p={KEY}", f"k=rsa; p={KEY[:40]} {KEY[40:]}", f"p={OTHER_KEY}", "v=DKIM1; p=", "p=%"),
        *(f"v=DKIM1; p={KEY[:40]}", KEY[40:]),
    ],
    ("relay._domainkey.lantern.example", "CNAME"): ["lantern-example.dkim.relay.example", "old.dkim.example.net"],
    ("_dmarc.lantern.example", "TXT"): [
        *("v=DMARC1; p=none", "v=DMARC1; p=reject; sp=none; adkim=s", "v=DMARC1; p=quarantine; pct=5; t=y"),
        *("v=DMARC1; p=nothing", "hello", '"v=DMARC1; p=reject"'),
    ],
    ("www.lantern.example", "TXT"): ["v=spf1 -all", "hello"],
}
ZONES = st.fixed_dictionaries({key: st.sets(st.sampled_from(values)) for key, values in CHOICES.items()})


def made(texts: dict[tuple[str, str], set[str]]) -> Zone:
    return {key: {v: rdata_text(key[1], v) for v in sorted(values)} for key, values in texts.items() if values}


def looked_at(held: Zone, want: Desired) -> Observed:
    """What a server that holds these rrsets answers."""
    return Observed(tuple(_answer(held, Question(*w.asked)) for w in want if not w.elsewhere), ("lantern.example",))


def _answer(held: Zone, question: Question) -> Answer:
    alias = tuple(held.get((question.name, "CNAME"), {}))[:1]
    rrset = {} if alias else held.get((question.name, question.type), {})
    word = Word.NOERROR if rrset else Word.NXDOMAIN
    values, raw = tuple(rrset), tuple(rrset.values())
    return Answer(question, AUTHORITY, word, values=values, raw=raw, chain=alias, ttl=300)


def applied(held: Zone, plan: Plan) -> Zone:
    """The zone once the server took the plan, whose prerequisites it checks."""
    after = {key: dict(rrset) for key, rrset in held.items()}
    for change in plan:
        assert isinstance(change, RecordChange)
        rrset = after.setdefault((change.name, change.type), {})
        assert set(rrset.values()) == set(change.stands)
        assert set(change.removed) <= set(change.stands)
        kept = {v: raw for v, raw in rrset.items() if raw not in change.removed}
        after[change.name, change.type] = kept | {v: rdata_text(change.type, v) for v in change.added}
    return after


@settings(deadline=None, max_examples=30)
@given(ZONES, st.booleans())
def test_a_plan_is_stable_and_leaves_alone_what_is_not_its_own(
    texts: dict[tuple[str, str], set[str]], moving: bool
) -> None:
    want = wanted(site(domains__0__take_over_mx=moving))
    held = made({key: set(list(v)[:1]) if key[1] == "CNAME" else v for key, v in texts.items()})
    plan = records.diff(want, looked_at(held, want), TAKEN)
    after = applied(held, plan)
    assert not safety.refusals([c for c in plan if isinstance(c, RecordChange)], want, looked_at(held, want))
    _only_its_own(held, after, moving=moving)
    assert records.diff(want, looked_at(after, want), TAKEN).changes == ()


def _only_its_own(held: Zone, after: Zone, *, moving: bool) -> None:
    """What went is a record of the kind that was corrected; addresses, keys in use and others' MX stay."""
    for (name, kind), rrset in held.items():
        for value in rrset.keys() - after[name, kind].keys():
            assert kind in {"TXT", "MX"}
            if name == "lantern.example" and kind == "TXT":
                assert spf.is_spf(value)
            if name.startswith("_dmarc"):
                assert dmarc.is_dmarc(value)
            assert kind == "TXT" or value == "0 ." or moving
            assert value != f"p={OTHER_KEY}"


@settings(deadline=None, max_examples=30)
@given(st.text(max_size=300))
def test_a_text_comes_back_from_its_zone_file_form(text: str) -> None:
    assert unquoted(records.quoted(text)) == text.encode("utf-8", "backslashreplace").decode()
