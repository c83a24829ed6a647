"""What is said of a message that went out: its seals, its time, its TLS; each row turns red on the matching fault."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from arcletters import sealed
from letters import AT, DATE, RELAYED, SUBMITTED, TAKEN, In, Out, Zone, zone
from test_delivery import ACCEPTED, CATCH_ALL, copy, judge, parcel, proven, site, status

from runbooklib.delivery import outgoing
from runbooklib.delivery.arriving import Parcel
from runbooklib.delivery.cases import Case
from runbooklib.delivery.paths import path
from runbooklib.delivery.proving import Proven, prove
from runbooklib.results import Check, Status

PASS, WARN, FAIL, UNKNOWN = Status.PASS, Status.WARN, Status.FAIL, Status.UNKNOWN


def row(found: Parcel, what: str, look: Zone | None = None) -> Check:
    """The one row about it."""
    rows = [c for c in judge(found, look) if c.name.startswith(f"delivery.{what} ")]
    assert len(rows) == 1, rows
    return rows[0]


def later(minutes: int, header: str) -> str:
    return header.replace("20:16:13", f"20:{16 + minutes}:13")


@pytest.mark.parametrize(
    ("message", "expected", "words", "fix"),
    [
        (Out(), PASS, "2 s until it was there; slowest 0 s to", ""),
        (Out(relayed=later(5, RELAYED)), WARN, "the clock of smtp.example.net is +300 s off", "nothing of ours"),
        (Out(submitted=later(-5, SUBMITTED)), WARN, "the clock of mail.lantern.example is -300 s off", "by NTP"),
        (Out(submitted=later(5, SUBMITTED), relayed=later(5, RELAYED), taken=later(5, TAKEN),
             kept=later(5, Out().kept)), WARN, "the clock of this machine is -298 s off", "by NTP"),
        (Out(submitted=later(-1, SUBMITTED).replace("15:13", "15:20")), PASS, "2 s until", ""),  # 53 s are borne
        (Out(kept="", taken=TAKEN.replace(DATE, "never"), relayed="", submitted=""), UNKNOWN, "no hop says when", ""),
    ],
)  # fmt: skip
def test_how_long_it_took_and_whose_clock_is_wrong(message: Out, expected: Status, words: str, fix: str) -> None:
    found = row(parcel(message), "time")
    assert (found.status, words in found.observed, fix in found.fix) == (expected, True, True), found


def test_the_table_of_the_way_names_the_wrong_clock() -> None:
    found = path(proven(parcel(Out(relayed=later(5, RELAYED)))).arrived)
    assert [r[7] for r in found.rows if r[4] == "smtp.example.net"] == ["the clock of smtp.example.net is 300 s ahead"]


@pytest.mark.parametrize(
    ("look", "bent", "expected", "words"),
    [
        (zone(), (b"", b""), PASS, "every seal holds; sealed by lantern.example; the first of them found spf=pass"),
        (zone(), (b"cv=none", b"cv=pass"), WARN, "arc=fail: ARC-Seal[1] did not validate"),
        (zone("_domainkey"), (b"", b""), UNKNOWN, "arc=temperror"),
    ],
)  # fmt: skip
def test_a_broken_chain_warns_and_no_more(look: Zone, bent: tuple[bytes, bytes], expected: Status, words: str) -> None:
    raw = sealed(Out().raw()).replace(*bent) if bent[0] else sealed(Out().raw())
    found = row(parcel(None, copies=(copy(raw),)), "arc", look)
    assert (found.status, words in found.observed, found.blocks) == (expected, True, False), found.observed


def test_without_a_chain_there_is_no_row_about_one() -> None:
    assert not [c for c in judge(parcel()) if c.name.startswith("delivery.arc")]


@pytest.mark.parametrize(("version", "expected"), [("TLSv1", WARN), ("TLSv1.1", WARN), ("TLSv1.2", PASS)])
def test_an_old_version_of_tls_warns(version: str, expected: Status) -> None:
    assert status(judge(parcel(Out(taken=TAKEN.replace("TLSv1.3", version)))), "tls") is expected


@pytest.mark.parametrize(
    ("message", "look", "expected", "words"),
    [
        (Out(), zone("_dmarc"), PASS, "aligned by SPF and DKIM"),
        (Out(), zone("_domainkey"), PASS, "aligned by SPF; SPF (lantern.example)"),
        (Out(selectors=()), zone("lantern.example"), UNKNOWN, "SPF: lantern.example TXT: TIMEOUT"),
        (Out(results=Out().results.replace("dmarc=pass", "dmarc=temperror")), zone(), UNKNOWN, "dmarc=temperror"),
    ],
)
def test_what_dns_did_not_say_is_unknown_where_it_decides(
    message: Out, look: Zone, expected: Status, words: str
) -> None:
    found = row(parcel(message), "dmarc", look)
    assert (found.status, words in found.observed) == (expected, True), found.observed


def test_a_null_return_path_is_a_rewritten_one() -> None:
    found = row(parcel(Out(path="Return-Path: <>")), "envelope")
    assert (found.status, found.observed) == (WARN, "rewritten to the null return path <>")


def test_what_was_not_authenticated_is_unknown_and_not_silently_left_out() -> None:
    arrived = proven(parcel()).arrived
    (only,) = outgoing.rows(Case(site(), Proven(arrived), parcel()), copy(Out().raw()))
    assert only.status is UNKNOWN


def test_the_proof_shows_one_row_a_message() -> None:
    shown = proven(parcel()).table()
    assert shown.rows == (
        (
            "SPF and DKIM",
            "outbound lantern.example friend@stranger.example",
            "198.51.100.5",
            "pass (lantern.example)",
            "pass (mail, lantern.example)",
            "",
            "dkim=pass, spf=pass, dmarc=pass",
        ),
    )
    nothing = proven(parcel(None, copies=()))
    assert (nothing.table().rows, nothing.data()["kind"]) == ((), "table")
    assert nothing.of(parcel()) is None


def test_proving_works_inside_a_notebook_whose_loop_runs_already() -> None:
    arrived = proven(parcel(None, copies=())).arrived

    async def cell() -> Proven:
        return prove(site(), arrived)

    assert asyncio.run(cell()) == prove(site(), arrived) == Proven(arrived)


def test_our_own_server_takes_in_what_comes_from_outside() -> None:
    came = Parcel(replace(ACCEPTED, letter=CATCH_ALL), (replace(copy(In().raw()), number=3, at=AT + 1),))
    proof = proven(came).of(came)
    assert proof is not None
    assert proof.border is not None
    assert (proof.border.address, proof.border.by) == ("198.51.100.6", "mail.lantern.example")
