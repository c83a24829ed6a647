"""MTA-STS and TLS-RPT: the file first, then the record; `enforce` only once all that it rests on is proved."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
import sites
from hypothesis import given, settings
from hypothesis import strategies as st

from runbooklib import mtasts, probes, records, tlsrpt, zone
from runbooklib.answers import Answer, Question, Word
from runbooklib.audit.policies import PolicyError, SilentPolicyError
from runbooklib.mtasts import Policy
from runbooklib.params import Site
from runbooklib.probes.policies import failures, kept_out
from runbooklib.records import Served, Wanted, transport
from runbooklib.results import Check, Status

AUTHORITY, RESOLVER = "192.0.2.1", "192.0.2.53"
HEAD = "@ 3600 SOA ns1.lantern.example. h.lantern.example. 7 3600 600 86400 300\nmail 300 A 203.0.113.10\n"
HOST, DOMAIN = "mail.lantern.example", "lantern.example"
TESTING, ENFORCE = Policy("testing", (HOST,), 604800), Policy("enforce", (HOST,), 604800)
READY = Served(TESTING, "", (HOST,), {}, 0)


def site(mode: str = "testing", **changes: Any) -> Site:
    dns = {"resolvers": [RESOLVER], "authoritative": [AUTHORITY], "optional": ["mta-sts", "tls-rpt"]}
    return sites.make(**{"dns": dns, "domains__0__mta_sts": {"mode": mode}, **changes})


def record(policy: Policy) -> str:
    return f"v=STSv1; id={transport.identifier(policy)};"


def judged(wanted: Wanted, text: str = "") -> tuple[tuple[str, ...], Check]:
    """What would be published, and the row."""
    zones = {AUTHORITY: {DOMAIN: HEAD + text}, RESOLVER: {DOMAIN: HEAD + text}}
    want = records.Desired((wanted,))
    seen = zone.observe(site(), want, wire=zone.Literal(zones, {RESOLVER}))
    plan = records.diff(want, seen)
    return tuple(c.after for c in plan), records.verify(want, seen, plan)[wanted.check]


def of_kind(kind: str, here: Site, served: Served | None = None) -> Wanted:
    told = {DOMAIN: served} if served else None
    return next(w for w in transport.wanted(here, told) if w.kind == kind)


def test_each_word_of_params_brings_its_records() -> None:
    def names(*words: str) -> list[str]:
        dns = {"resolvers": [RESOLVER], "optional": list(words)}
        return [f"{w.name} {w.type}" for w in records.desired(sites.make(dns=dns)) if w.advisory and w.type != "PTR"]

    assert names() == []
    assert names("mta-sts") == [f"mta-sts.{DOMAIN} CNAME", f"_mta-sts.{DOMAIN} TXT"]
    assert names("tls-rpt") == [f"_smtp._tls.{DOMAIN} TXT"]


# TLS-RPT


@pytest.mark.parametrize(
    ("changes", "rua"),
    [
        ({}, f"postmaster@{DOMAIN}"),
        ({"domains__0__dmarc": {"rua": f"dmarc@{DOMAIN}"}}, f"dmarc@{DOMAIN}"),
        ({"domains__0__tls_rpt": f"tls@{DOMAIN}"}, f"tls@{DOMAIN}"),
    ],
)
def test_reports_go_to_whom_params_name(changes: dict[str, Any], rua: str) -> None:
    wanted = of_kind("tls-rpt", site(**changes))
    assert [d.uri for d in tlsrpt.parse(wanted.values[0]).destinations] == [f"mailto:{rua}"]


OURS = f"v=TLSRPTv1; rua=mailto:postmaster@{DOMAIN}"


@pytest.mark.parametrize(
    ("standing", "status", "planned"),
    [
        ([], Status.PENDING, True),
        ([OURS], Status.PASS, False),
        (["something else"], Status.PENDING, True),
        ([f"v=TLSRPTv1;rua=https://reports.example.net/x,mailto:postmaster@{DOMAIN}"], Status.PASS, False),
        (["v=TLSRPTv1; rua=mailto:x@reports.example.net"], Status.WARN, False),
        (["v=TLSRPTv1; rua=nowhere"], Status.FAIL, False),
        ([OURS, "v=TLSRPTv1; rua=mailto:x@reports.example.net"], Status.FAIL, False),
    ],
)
def test_a_record_of_others_for_reports_is_left_and_named(standing: list[str], status: Status, planned: bool) -> None:
    text = "".join(f'_smtp._tls 300 TXT "{value}"\n' for value in standing)
    after, row = judged(of_kind("tls-rpt", site()), text)
    assert (row.status, bool(after)) == (status, planned)
    assert bool(row.fix) == (status is not Status.PASS)


# the record and the file


@pytest.mark.parametrize(
    ("served", "standing", "status", "planned"),
    [
        (None, "", Status.UNKNOWN, ""),
        (None, record(TESTING), Status.PASS, ""),
        (Served(said="HTTP 404"), "", Status.PENDING, ""),
        (Served(said="HTTP 404"), record(TESTING), Status.WARN, ""),
        (Served(said="no answer", silent=True), "", Status.UNKNOWN, ""),
        (Served(said="no answer", silent=True), record(TESTING), Status.UNKNOWN, ""),
        (Served(TESTING), "", Status.PENDING, record(TESTING)),
        (Served(TESTING), record(TESTING), Status.PASS, ""),
        (Served(TESTING), "v=STSv1; id=20260101", Status.PENDING, record(TESTING)),  # of a policy of before
        (Served(Policy("testing", ("mx.other.example",), 86400)), record(ENFORCE), Status.PENDING, ""),
    ],
)
def test_the_record_follows_the_file(served: Served | None, standing: str, status: Status, planned: str) -> None:
    text = f'_mta-sts 300 TXT "{standing}"\n' if standing else ""
    after, row = judged(of_kind("mta-sts", site(), served), text)
    assert (row.status, after) == (status, (planned,) if planned else ())
    assert bool(row.fix) == (status is not Status.PASS)
    assert not row.blocks


def test_two_records_count_as_none() -> None:
    text = f'_mta-sts 300 TXT "{record(TESTING)}"\n_mta-sts 300 TXT "v=STSv1; id=1"\n'
    after, row = judged(of_kind("mta-sts", site(), Served(TESTING)), text)
    assert (row.status, after) == (Status.FAIL, ())


def test_the_id_changes_with_the_policy_and_only_with_it() -> None:
    ids = {transport.identifier(p) for p in (TESTING, ENFORCE, Policy("testing", ("mx.other.example",), 604800))}
    assert len(ids) == 3
    again = mtasts.parse_policy(str(TESTING).replace("\r\n", "\n"))
    assert transport.identifier(again) == transport.identifier(TESTING)
    assert mtasts.parse_record(record(TESTING)).id == transport.identifier(TESTING)


# enforce


@pytest.mark.parametrize(
    ("served", "mode", "status", "said"),
    [
        (READY, "enforce", Status.PASS, "agree"),
        (Served(ENFORCE, "", (HOST,)), "enforce", Status.PASS, "agree"),
        (Served(ENFORCE, "", (HOST,), {}, 2), "enforce", Status.WARN, "2 failed"),  # never taken back by itself
        (Served(said="HTTP 404"), "testing", Status.PENDING, "HTTP 404"),
        (Served(said="no answer", silent=True), "testing", Status.UNKNOWN, "no answer"),
        (Served(TESTING, "", (HOST,), {}, None), "testing", Status.PENDING, "no reports"),
        (Served(TESTING, "", (HOST,), {}, 3), "testing", Status.PENDING, "3 failed"),
        (Served(TESTING, "", (HOST, "mx2.example"), {}, 0), "testing", Status.PENDING, "not list the MX mx2.example"),
        (
            Served(Policy("testing", (HOST, "old.example"), 9), "", (HOST,), {}, 0),
            "testing",
            Status.PENDING,
            "old.exam",
        ),
        (Served(TESTING, "", (), {}, 0), "testing", Status.PENDING, "no MX is known"),
        (Served(TESTING, "", (HOST,), {HOST: "expired"}, 0), "testing", Status.PENDING, "expired"),
        (Served(Policy("none", (), 86400)), "testing", Status.PENDING, "says none"),
    ],
)
def test_what_is_in_the_way_of_enforce_is_named(served: Served, mode: str, status: Status, said: str) -> None:
    here = site("enforce")
    assert transport.policy(here, here.domains[0], served).mode == mode
    row = transport.waiting(here.domains[0], served)
    assert row
    assert (row.status, said in row.observed, bool(row.fix)) == (status, True, status is not Status.PASS)


def test_testing_is_what_it_starts_with_and_nobody_waits_for_more() -> None:
    here = site()
    assert transport.policy(here, here.domains[0], READY).mode == "testing"
    assert transport.waiting(here.domains[0], READY) is None


@pytest.mark.parametrize(
    ("there", "admitted"),
    [
        (None, True),
        (TESTING, True),
        (ENFORCE, True),
        (Policy("testing", ("old.example",), 9), True),
        (Policy("enforce", ("*.lantern.example",), 9), True),
        (Policy("enforce", ("old.example",), 86400), False),
    ],
)
def test_mail_is_not_led_to_a_host_that_an_enforced_policy_lacks(there: Policy | None, admitted: bool) -> None:
    assert (transport.admits(there, HOST) == "") is admitted


# fetched


async def served(domain: str) -> str:
    assert domain == DOMAIN
    return str(TESTING)


async def silent(domain: str) -> str:
    raise SilentPolicyError(f"{domain}: no answer")


def test_the_file_to_serve_is_shown_with_who_serves_it() -> None:
    shown = probes.policies(site(), get=silent)
    ((address, whose, text),) = shown.files
    assert address == f"https://mta-sts.{DOMAIN}/.well-known/mta-sts.txt"
    assert HOST in whose
    assert mtasts.parse_policy(text) == TESTING
    assert shown.served[DOMAIN].silent
    assert "version: STSv1" in str(shown)
    mail = {"server": "mailcow", "url": f"https://{HOST}", "api_key": "env:KEY"}
    assert probes.policies(site(mail=mail), get=silent).files[0][1].startswith("mailcow")


def test_what_is_fetched_takes_the_place_of_what_params_alone_know() -> None:
    here = site()
    told = probes.policies(here, get=served)
    want = records.desired(here, told)
    (found,) = [w for w in want if w.kind == "mta-sts"]
    assert (found.values, found.held) == ((record(TESTING),), None)
    (unasked,) = [w for w in records.desired(here) if w.kind == "mta-sts"]
    assert unasked.held
    waiting = records.desired(
        site("enforce"), probes.policies(site("enforce", dns__resolvers=["192.0.2.53"]), get=silent)
    )
    assert [n.name for n in waiting.notes] == [f"dns.mta-sts.enforce {DOMAIN}"]
    nothing = records.Observed(())
    row = records.verify(waiting, nothing, records.diff(waiting, nothing))[f"dns.mta-sts.enforce {DOMAIN}"]
    assert (row.status, row.blocks) == (Status.UNKNOWN, False)


def test_nobody_is_asked_where_params_do_not_name_it() -> None:
    async def never(domain: str) -> str:
        raise AssertionError(domain)

    assert len(probes.policies(sites.make(), get=never)) == 0


def report(domain: str, failed: int) -> tlsrpt.Report:
    told = {
        "organization-name": "Stranger",
        "date-range": {"start-datetime": "2026-11-20T00:00:00Z", "end-datetime": "2026-11-20T23:59:59Z"},
        "policies": [
            {
                "policy": {"policy-type": "sts", "policy-domain": domain},
                "summary": {"total-successful-session-count": 5, "total-failure-session-count": failed},
            }
        ],
    }
    return tlsrpt.parse_report(json.dumps(told))


@pytest.mark.parametrize(
    ("reports", "failed"),
    [
        (None, None),
        ([], None),
        ([("other.example", 3)], None),
        ([(DOMAIN, 0)], 0),
        ([(DOMAIN, 0), (DOMAIN, 2)], 2),
    ],
)
def test_reports_are_counted_for_their_domain(reports: list[tuple[str, int]] | None, failed: int | None) -> None:
    assert failures(DOMAIN, [report(*r) for r in reports] if reports is not None else None) == failed


HOSTILE = st.text(max_size=60) | st.sampled_from(
    [
        *("v=STSv1;", "v=STSv1; id=1", "v=STSv1; id=" + "9" * 40),
        *(OURS, "v=TLSRPTv1; rua=", "v=TLSRPTv1;;;", "v=spf1 %{", "v=spf1"),
        *('0 issue "letsencrypt.org"', '0 issue ";"', "0 issue", '128 tbs "x"'),
    ]
)
QUIET = site(dns={"optional": ["mta-sts", "tls-rpt"], "sends_nothing": ["www.lantern.example"]})
WANTED = [w for w in records.desired(QUIET) if w.advisory and w.type == "TXT"]
WANTED.append(Wanted(HOST, "CAA", ('0 issue "letsencrypt.org"',), 3600, "", "", ""))


@settings(max_examples=25)
@given(st.lists(HOSTILE, max_size=4))
def test_any_answer_compares_without_surprise_and_what_others_put_there_stays(values: list[str]) -> None:
    for want in WANTED:
        answer = Answer(Question(*want.asked), AUTHORITY, Word.NOERROR, values=tuple(values))
        compared = records.compare(want, answer)
        if compared.values is not None:
            ours = "v=STSv1" if want.kind == "mta-sts" else "nothing of ours"
            assert [v for v in values if v not in compared.values and not v.startswith(ours)] == []
            assert records.compare(want, replace(answer, values=compared.values)).good


# an MX that is to move


async def enforced_elsewhere(domain: str) -> str:
    assert domain == DOMAIN
    return str(Policy("enforce", ("old.example",), 86400))


async def enforced_here(domain: str) -> str:
    assert domain == DOMAIN
    return str(ENFORCE)


async def not_found(domain: str) -> str:
    raise PolicyError(f"{domain}: HTTP 404")


async def nobody(domain: str) -> str:
    raise AssertionError(domain)


ANNOUNCED, WEB = '_mta-sts 300 TXT "v=STSv1; id=1"\n', "mta-sts 300 CNAME mail.lantern.example.\n"


@pytest.mark.parametrize(
    ("text", "get", "status", "said"),
    [
        (ANNOUNCED + WEB, served, Status.PASS, ""),
        (ANNOUNCED + WEB, enforced_here, Status.PASS, ""),
        (ANNOUNCED + WEB, enforced_elsewhere, Status.FAIL, "lists old.example, not mail.lantern.example"),
        (ANNOUNCED + WEB, silent, Status.UNKNOWN, "no answer"),
        (ANNOUNCED + WEB, not_found, Status.UNKNOWN, "HTTP 404"),
        (ANNOUNCED, silent, Status.UNKNOWN, "no answer"),
        (WEB, enforced_elsewhere, Status.FAIL, "lists old.example"),  # what is kept outlives its record
        (WEB, enforced_here, Status.PASS, ""),
        (WEB, not_found, Status.PASS, ""),
        (WEB, silent, Status.UNKNOWN, "no answer"),
        ('_mta-sts 300 TXT "something else"\n', nobody, Status.PASS, ""),
    ],
)
def test_senders_that_keep_a_policy_are_thought_of_before_an_mx_moves(
    text: str, get: Any, status: Status, said: str
) -> None:
    here = site()
    found, why = kept_out(here, here.domains[0], get, zone.Literal({AUTHORITY: {DOMAIN: HEAD + text}}))
    assert found is status
    assert said in why


def test_where_no_authority_answers_nobody_knows_of_a_policy() -> None:
    here = site()
    wire = zone.Literal({AUTHORITY: {DOMAIN: HEAD}}, outages={(AUTHORITY, "*"): Word.TIMEOUT})
    assert kept_out(here, here.domains[0], nobody, wire)[0] is Status.UNKNOWN
