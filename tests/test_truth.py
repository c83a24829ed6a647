"""What a relay really does against what DNS and params say: each disagreement turns red, with what to publish."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import sites
from letters import AT, DATE, MARKER, TAKEN, Out, Zone, key, zone

from runbooklib.delivery.arriving import Arrived, Copy, Parcel
from runbooklib.delivery.comparing import Truth, compared, truth
from runbooklib.delivery.facts import Fact
from runbooklib.delivery.handover import Handed, Sent
from runbooklib.delivery.judging import judge
from runbooklib.delivery.messages import Letter, Letters, Route
from runbooklib.delivery.proposals import authorising
from runbooklib.delivery.proving import Proven, authenticated
from runbooklib.params import Site
from runbooklib.results import MIME, Status

PASS, WARN, FAIL, UNKNOWN = Status.PASS, Status.WARN, Status.FAIL, Status.UNKNOWN
US, HI, FRIEND = "lantern.example", "hi@lantern.example", "friend@stranger.example"
LETTER = Letter(1, Route.OUTBOUND, US, HI, FRIEND, FRIEND, HI)
HANDED = Handed(LETTER, "accepted", "250 2.0.0 Ok: queued as 9EAA32F83C2", AT, "9EAA32F83C2", "TLSv1.3 X")
POOL = {"spf.example.net": "v=spf1 ip4:198.51.100.0/29 -all"}
SIGNS = {"relays__office__dkim": [{"selector": "relay", "value": key()[1]}]}
RESEND = {"provider": "resend", "password": "env:K"}
SEND = "Return-Path: <0100@send.lantern.example>"


def site(**changes: Any) -> Site:
    return sites.make(**changes)


def proven(
    at: Site, look: Zone, *messages: Out, signers: tuple[tuple[str, str], ...] = (), handed: bytes = b""
) -> Proven:
    letters = [replace(LETTER, number=i) for i in range(1, len(messages) + 1)]
    parcels = [
        Parcel(
            replace(HANDED, letter=letter, raw=handed),
            (Copy(letter.number, "message", FRIEND, "INBOX", AT, message.raw()),),
            signers=signers,
        )
        for letter, message in zip(letters, messages, strict=True)
    ]
    sent = Sent(Letters("r", MARKER, tuple(letters)), tuple(p.handed for p in parcels), applied=True)
    return asyncio.run(authenticated(look, at, Arrived(sent, tuple(parcels))))


def seen(
    *messages: Out, at: Site | None = None, look: Zone | None = None, signers: tuple[tuple[str, str], ...] = ()
) -> Truth:
    where, dns = at or site(), look or zone(at=POOL)
    return asyncio.run(compared(dns, where, proven(where, dns, *messages, signers=signers)))


def fact(found: Truth, what: str) -> Fact:
    return next(f for f in found.facts if f.check and f.check.name.startswith(f"relay.truth.{what} "))


def statuses(found: Truth) -> dict[str, Status]:
    return {c.name.split()[0].removeprefix("relay.truth."): c.status for c in found.checks}


def moved(address: str, **changes: Any) -> Out:
    """A message that another address handed over."""
    return Out(taken=TAKEN.replace("198.51.100.5", address), **changes)


def test_where_dns_and_params_are_right_nothing_is_to_be_changed() -> None:
    found = seen(Out())
    assert statuses(found) == dict.fromkeys(["verdict", "senders", "spf", "return-path", "signature", "dkim"], PASS)
    assert all(c.name.endswith(" office lantern.example") for c in found.checks)
    assert not [f for f in found.facts if f.new or f.where]
    assert fact(found, "verdict").seen == "aligned by SPF and DKIM under RFC 9989, by SPF and DKIM under RFC 7489"
    told = {f.what: f.seen for f in found.facts}
    assert told["HELO names"] == "smtp.example.net"
    assert told["TLS to the recipient"] == "TLSv1.3 TLS_AES_256_GCM_SHA384"


@pytest.mark.parametrize(
    ("what", "message", "changes", "records", "expected"),
    [
        # an address of the pool that SPF does not name
        ("spf", moved("198.51.100.9"), {}, {}, FAIL),
        ("spf", Out(), {}, {"lantern": None}, FAIL),
        ("spf", Out(), {}, {"lantern": "v=spf1 ip4:198.51.100.5 ip4:1.2.3 -all"}, FAIL),
        ("spf", Out(path="", results=""), {}, {}, UNKNOWN),
        # ours where a relay should send, and a stranger's where we should
        ("senders", moved("203.0.113.10"), {}, {}, FAIL),
        ("senders", Out(), {"domains__0__relay": "direct"}, {}, FAIL),
        ("senders", moved("203.0.113.10"), {"domains__0__relay": "direct"}, {}, PASS),
        ("senders", Out(taken=""), {}, {}, UNKNOWN),
        # another return path than params say
        ("return-path", Out(path=SEND), {}, {}, WARN),
        ("return-path", Out(path=SEND), {"relays__office__return_path": "send"}, {}, PASS),
        ("return-path", Out(path=SEND), {"relays__office__return_path": "bounce"}, {"send": None}, FAIL),
        ("return-path", Out(), {"relays__office__return_path": "send"}, {}, WARN),
        ("return-path", Out(path="Return-Path: <x@bounces.example.net>"), {}, {}, FAIL),
        ("return-path", Out(path="", results=""), {}, {}, UNKNOWN),
        # our signature: stripped, broken, and one that another stands in for
        ("signature", Out(selectors=()), {}, {}, FAIL),
        ("signature", Out(selectors=("relay",)), SIGNS, {}, WARN),
        ("signature", Out(changed={"test message": "best message"}), {}, {}, FAIL),
        ("signature", Out(), {}, {"mail": None}, FAIL),
        # the relay's: none though one is expected, another selector, a key that is not there
        ("dkim", Out(), SIGNS, {}, WARN),
        ("dkim", Out(selectors=()), SIGNS, {}, FAIL),
        ("dkim", Out(selectors=("mail", "relay")), SIGNS, {}, PASS),
        ("dkim", Out(selectors=("mail", "relay")), {}, {}, WARN),
        ("dkim", Out(selectors=("mail", "relay")), {}, {"relay": None}, WARN),
        ("dkim", Out(selectors=("relay",)), SIGNS, {"relay": None}, FAIL),
        # the verdict
        ("verdict", Out(selectors=()), {}, {}, WARN),  # SPF alone does not survive forwarding
        ("verdict", moved("198.51.100.9"), {}, {}, PASS),  # DKIM alone does
        ("verdict", moved("198.51.100.9", selectors=()), {}, {}, FAIL),
        ("verdict", Out(sender="From: hi@other.example"), {}, {}, FAIL),
        ("verdict", Out(path="", results="", selectors=()), {}, {}, UNKNOWN),
    ],
)
def test_each_disagreement_turns_red(
    what: str, message: Out, changes: dict[str, Any], records: Mapping[str, str | None], expected: Status
) -> None:
    check = fact(seen(message, at=site(**changes), look=zone(at=POOL, **records)), what).check
    assert check
    assert check.status is expected, str(check)
    assert bool(check.fix) is (expected is not PASS)


def test_a_silent_dns_is_unknown_never_wrong() -> None:
    found = seen(Out(), look=zone("*"))
    assert statuses(found) == {
        "verdict": UNKNOWN, "senders": PASS, "spf": UNKNOWN, "return-path": PASS, "signature": UNKNOWN, "dkim": PASS,
    }  # fmt: skip
    unheard = seen(Out(), look=zone("mail._domainkey", at=POOL))
    assert fact(unheard, "verdict").seen.startswith("aligned by SPF under RFC 9989")
    assert statuses(unheard)["verdict"] is UNKNOWN, "a signature may align that nobody could verify"
    signed = seen(Out(selectors=("relay",)), at=site(**SIGNS), look=zone("relay._domainkey", at=POOL))
    assert statuses(signed)["dkim"] is UNKNOWN


def published(found: Truth) -> tuple[str, str, str]:
    shown = fact(found, "spf")
    return shown.where, shown.old, shown.new


def test_the_record_to_publish_names_the_pool_first_and_stays_as_loose_as_it_was() -> None:
    standing = "v=spf1 a:old.example ?all"
    found = seen(Out(), look=zone(at=POOL, lantern=standing))
    assert published(found) == (
        "lantern.example TXT", standing, "v=spf1 a:old.example include:spf.example.net ?all",
    )  # fmt: skip
    assert standing in str(found), "old and new stand in the table"


def test_an_address_outside_the_named_pool_is_added_beside_it() -> None:
    found = seen(Out(), moved("198.51.100.77"), look=zone(at=POOL))
    assert published(found)[1:] == (
        "v=spf1 ip4:198.51.100.5 -all",
        "v=spf1 ip4:198.51.100.5 include:spf.example.net ip4:198.51.100.77 -all",
    )
    assert fact(found, "spf").check.observed.count("pass") == 1  # type: ignore[union-attr]


def test_without_a_record_a_first_one_is_proposed() -> None:
    found = seen(Out(), look=zone(at=POOL, lantern=None))
    assert published(found) == ("lantern.example TXT", "nothing", "v=spf1 include:spf.example.net ~all")


def test_a_broken_record_is_a_person_s_to_correct() -> None:
    found = seen(Out(), look=zone(at=POOL, lantern="v=spf1 ip4:1.2.3 -all"))
    check = fact(found, "spf").check
    assert published(found)[2] == ""
    assert check
    assert "it should hold v=spf1 include:spf.example.net" in check.fix


def test_our_own_address_is_never_added_where_a_relay_should_send() -> None:
    found = seen(moved("203.0.113.10"))
    assert statuses(found)["senders"] is FAIL
    assert published(found)[2] == ""
    assert "203.0.113.10" not in str(fact(found, "spf").new)


def test_a_relay_s_own_return_path_is_not_ours_to_publish() -> None:
    found = seen(Out(path="Return-Path: <x@bounces.example.net>"))
    check = fact(found, "spf").check
    assert check
    assert (check.status, fact(found, "spf").where) == (FAIL, "")
    assert "the relay's own" in check.fix
    good = seen(
        Out(path="Return-Path: <x@bounces.example.net>"),
        look=zone(at=POOL | {"bounces.example.net": "v=spf1 ip4:198.51.100.5 -all"}),
    )
    assert (statuses(good)["spf"], statuses(good)["return-path"], statuses(good)["verdict"]) == (PASS, WARN, PASS)


def test_a_provider_s_pool_is_known_without_params() -> None:
    at = site(relays__office=RESEND)
    amazon = {"amazonses.com": "v=spf1 ip4:198.51.100.0/24 -all"}
    found = seen(Out(path=SEND), at=at, look=zone(at=amazon, send="v=spf1 -all"))
    assert published(found) == (
        "send.lantern.example TXT", "v=spf1 -all", "v=spf1 include:amazonses.com -all",
    )  # fmt: skip
    author = next(f for f in found.facts if f.what == "SPF at lantern.example")
    assert (author.check, author.told) == (None, "198.51.100.5: pass")


def test_a_return_path_that_the_provider_changed_is_set_in_params_and_published() -> None:
    at = site(relays__office=RESEND)
    amazon = {"amazonses.com": "v=spf1 ip4:198.51.100.0/24 -all"}
    found = seen(Out(path="Return-Path: <0100@post.lantern.example>"), at=at, look=zone(at=amazon))
    path = fact(found, "return-path")
    assert (path.where, path.old, path.new) == ("relays.office.return_path", "send", "post")
    assert path.check
    assert path.check.status is FAIL
    assert published(found) == ("post.lantern.example TXT", "nothing", "v=spf1 include:amazonses.com ~all")


def test_another_selector_than_params_name_is_told_old_and_new() -> None:
    found = seen(
        Out(selectors=("mail", "relay")),
        at=site(relays__office__dkim=[{"selector": "s1", "cname": "s1.dkim.example.net"}]),
    )
    shown = fact(found, "dkim")
    assert (shown.where, shown.old, shown.new) == ("relays.office.dkim", "s1", "relay")
    assert "s1._domainkey.lantern.example: NXDOMAIN" in shown.told
    assert "relay._domainkey.lantern.example: a key of 2048 bits" in shown.told


@pytest.mark.parametrize(("selectors", "expected"), [(("mail",), WARN), (("mail", "relay"), WARN), ((), FAIL)])
def test_a_key_that_params_tell_and_dns_lacks_is_told_to_publish(selectors: tuple[str, ...], expected: Status) -> None:
    found = seen(Out(selectors=selectors), at=site(**SIGNS), look=zone(at=POOL, relay=None))
    shown = fact(found, "dkim")
    assert (shown.where, shown.old, shown.new) == ("relay._domainkey.lantern.example TXT", "NXDOMAIN", key()[1])
    assert shown.check
    assert shown.check.status is expected
    assert shown.new in shown.check.fix


def test_who_should_not_have_sent_is_not_let_in() -> None:
    found = seen(Out(), at=site(domains__0__relay="direct"), look=zone(at=POOL, lantern="v=spf1 -all"))
    assert (statuses(found)["senders"], statuses(found)["spf"], published(found)[2]) == (FAIL, FAIL, "")


def test_how_a_resumed_run_s_messages_left_is_not_known() -> None:
    told = {f.what: f.seen for f in seen(Out()).facts}
    assert told["changed on the way"].startswith("not known")


def test_who_lost_our_signature_is_said_where_the_log_knows() -> None:
    knows = fact(seen(Out(selectors=()), signers=((US, "mail"),)), "signature")
    guesses = fact(seen(Out(selectors=())), "signature")
    assert "the relay strips it" in knows.seen
    assert "the log does not say" in guesses.seen


@pytest.mark.parametrize(
    ("domain", "path", "records", "said", "expected"),
    [
        # psd=n ends the tree walk below what the public suffix list takes for the organization
        ("own.lantern.example", "lantern.example", {"_dmarc.own.lantern.example": "v=DMARC1; p=none; psd=n"},
         "aligned by none under RFC 9989, by SPF under RFC 7489", FAIL),
        # a suffix of the list whose owner publishes a record without psd=y
        ("one.github.io", "two.github.io", {"_dmarc.github.io": "v=DMARC1; p=none"},
         "aligned by SPF under RFC 9989, by none under RFC 7489", WARN),
    ],
)  # fmt: skip
def test_both_rfcs_are_told(domain: str, path: str, records: dict[str, str], said: str, expected: Status) -> None:
    box = {"address": f"hi@{domain}", "password": "env:P"}
    at = site(domains=[{"name": domain, "relay": "office", "mailboxes": [box]}])
    look = zone(at=POOL | records | {path: "v=spf1 ip4:198.51.100.5 -all"})
    message = Out(sender=f"From: hi@{domain}", path=f"Return-Path: <hi@{path}>", selectors=())
    whole = proven(at, look, message)
    handed = replace(HANDED, letter=replace(LETTER, domain=domain))
    parcel = replace(whole.arrived.parcels[0], handed=handed)
    found = asyncio.run(compared(look, at, replace(whole, arrived=replace(whole.arrived, parcels=(parcel,)))))
    verdict = fact(found, "verdict")
    assert verdict.seen == said
    assert statuses(found)["verdict"] is expected


def test_the_worst_message_decides() -> None:
    found = seen(Out(), Out(selectors=()))
    assert fact(found, "verdict").seen.startswith("aligned by SPF under RFC 9989")
    turns = seen(moved("198.51.100.9"), Out(selectors=()))
    assert "SPF or DKIM by turns" in fact(turns, "verdict").seen
    assert statuses(turns)["verdict"] is WARN
    assert statuses(seen(Out(), moved("198.51.100.9", selectors=())))["verdict"] is FAIL


def test_what_the_way_changed_added_and_removed_is_told() -> None:
    handed = (
        f"From: hi@lantern.example\r\nTo: friend@stranger.example\r\nSubject: runbook\r\n test {MARKER}.1: outbound\r\n"
        f"Date: {DATE}\r\nMessage-ID: <{MARKER}.1@lantern.example>\r\nResend-Idempotency-Key: r-1\r\n\r\nHello\r\n"
    )
    message = Out(
        changed={
            "this is": "that is",
            f"<{MARKER}.1@lantern": "<0100@eu",
            "Subject: runbook": "Feedback-ID: 1\r\nSubject: runbook",
        }
    )
    at, look = site(), zone(at=POOL)
    found = asyncio.run(compared(look, at, proven(at, look, message, handed=handed.encode())))
    told = next(f for f in found.facts if f.what == "changed on the way")
    assert told.seen == "changed Message-ID, the body; added Feedback-ID; removed Resend-Idempotency-Key"


def test_what_did_not_arrive_says_nothing_and_stops_nobody() -> None:
    sent = Sent(Letters("r", MARKER, (LETTER,)), (HANDED,), applied=True)
    lost = Proven(Arrived(sent, (Parcel(HANDED),)))
    told = truth(site(), lost)
    (check,) = told.checks
    assert (check.name, check.status, check.blocks) == ("relay.truth.verdict office lantern.example", UNKNOWN, False)
    unsent = Proven(Arrived(Sent(Letters("r", MARKER, (LETTER,)))))
    assert [check in judge(site(), each, told) for each in (lost, unsent)] == [True, False]


def test_the_table_is_shown_and_read() -> None:
    found = seen(moved("198.51.100.9"))
    shown = found._repr_mimebundle_()
    assert shown[MIME]["kind"] == "table"
    assert "ip4:198.51.100.9" in shown["text/html"]
    assert "nothing is known" in str(Truth())


def test_a_record_that_no_term_can_mend_says_why() -> None:
    full = "v=spf1 " + " ".join(f"include:s{i}.example.net" for i in range(10)) + " -all"
    included = {f"s{i}.example.net": "v=spf1 -all" for i in range(10)}
    look = zone(at=POOL | included, lantern=full)
    mended = asyncio.run(authorising(look, US, ["198.51.100.5"], ["include:spf.example.net"]))
    assert mended.new.endswith("include:s9.example.net ip4:198.51.100.5 -all"), "the eleventh lookup is one too many"
    silent = asyncio.run(authorising(zone("lantern"), US, ["198.51.100.5"], []))
    assert (silent.new, "not known" in silent.why) == ("", True)
    many = zone(at={f"s{i}.example.net": "v=spf1 include:s0.example.net -all" for i in range(12)}, lantern=full)
    broken = asyncio.run(authorising(many, US, ["2001:db8::5"], []))
    assert broken.new == ""
    assert "permerror" in broken.why
