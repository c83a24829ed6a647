"""The picture of the ways: one lane for each subject, what went wrong where it did, hostile text as text."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Iterator
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
import sites
from hypothesis import given
from hypothesis import strategies as st
from letters import AT, CAME, MARKER, RELAYED, RESULTS, SUBMITTED, TAKEN, In, Out, Zone, zone

from runbooklib import credentials
from runbooklib.delivery.arriving import Arrived, Copy, Kind, Parcel, Trouble
from runbooklib.delivery.handover import Handed, Sent
from runbooklib.delivery.messages import Form, Letter, Letters, Route
from runbooklib.delivery.picture import Picture, picture
from runbooklib.delivery.proving import authenticated
from runbooklib.eml.picture import Lane, Leg, Mark, Station, draw
from runbooklib.maillog import Attempt
from runbooklib.results import MIME, Status

PASS, WARN, FAIL, UNKNOWN, PENDING = Status.PASS, Status.WARN, Status.FAIL, Status.UNKNOWN, Status.PENDING
SVG = "{http://www.w3.org/2000/svg}"

OUT = Letter(
    1, Route.OUTBOUND, "lantern.example", "hi@lantern.example", "friend@stranger.example",
    "friend@stranger.example", "hi@lantern.example",
)  # fmt: skip
HTML = replace(OUT, number=2, form=Form.HTML, answered_in="")
INBOUND = Letter(
    3, Route.INBOUND, "lantern.example", "friend@stranger.example", "hi@lantern.example", "hi@lantern.example"
)
BOUNCE = Letter(4, Route.BOUNCE, "lantern.example", "hi@lantern.example", "nobody@stranger.example")
DIRECT = Letter(
    5, Route.DIRECT, "lantern.example", "x@y.invalid", "hi@lantern.example", "hi@lantern.example", door="IPv4"
)
FORGED = Letter(6, Route.FORGED, "lantern.example", "x@example.com", "hi@lantern.example", "hi@lantern.example")
EVIL_TAKEN = TAKEN.replace("mx.stranger.example", "mx.evil.example")  # not the recipient's own
RELAY = "smtp.example.net[198.51.100.5]:587"


def handed(letter: Letter, fate: str = "accepted", said: str = "250 queued as X") -> Handed:
    return Handed(letter, fate, said, AT, "X", "TLSv1.3 Y")  # type: ignore[arg-type]


def attempt(status: str = "sent", said: str = "250 ok") -> Attempt:
    return Attempt("", "postfix/smtp", "friend@stranger.example", RELAY, "2.0.0", status, said)


def copy(letter: Letter, raw: bytes, after: float = 2.0, folder: str = "INBOX", kind: Kind = "message") -> Copy:
    return Copy(letter.number, kind, letter.lands, folder, AT + after, raw)


def out(letter: Letter = OUT, message: Out = Out(), after: float = 2.0, folder: str = "INBOX") -> Parcel:  # noqa: B008
    answer = copy(letter, b"", 3.25, kind="answer")
    return Parcel(handed(letter), (copy(letter, message.raw(), after, folder), answer), None, (attempt(),))


def drawn(*parcels: Parcel, look: Zone | None = None, troubles: dict[str, Trouble] | None = None) -> Picture:
    letters = Letters("20261121T201613Z", MARKER, tuple(p.letter for p in parcels))
    sent = Sent(letters, tuple(p.handed for p in parcels), applied=True)
    arrived = Arrived(sent, parcels, (), troubles or {}, 30)
    return picture(asyncio.run(authenticated(look or zone(), sites.make(), arrived)))


def parsed(svg: str) -> ET.Element:
    return ET.fromstring(svg)  # noqa: S314 - our own


def only(*parcels: Parcel, look: Zone | None = None, troubles: dict[str, Trouble] | None = None) -> Lane:
    (lane,) = drawn(*parcels, look=look, troubles=troubles).lanes
    return lane


def said(lane: Lane) -> dict[str, Status]:
    return {mark.said: mark.status for mark in lane.marks}


def test_a_message_that_went_well_shows_its_hosts_times_locks_and_who_vouches() -> None:
    lane = only(out())
    assert [(s.role, s.name, s.address) for s in lane.stations] == [
        ("this machine", "laptop", "192.0.2.77"),
        ("our server", "mail.lantern.example", "203.0.113.10"),
        ("relay", "smtp.example.net", "198.51.100.5"),
        ("recipient", "mx.stranger.example", ""),
    ]
    assert [(leg.status, leg.seconds, leg.tls, leg.secure) for leg in lane.legs] == [
        (PASS, 0, "", True), (PASS, 0, "TLSv1.3", True), (PASS, 0, "TLSv1.3", True),
    ]  # fmt: skip
    assert said(lane) == {
        "in INBOX after 2.0 s": PASS,
        "SPF pass": PASS,
        "DKIM pass (mail)": PASS,
        "DMARC aligned by SPF and DKIM": PASS,
        "answered after 3.2 s": PASS,
    }
    assert (lane.status, lane.trouble) == (PASS, "")


@pytest.mark.parametrize(
    ("parcel", "look", "mark", "status"),
    [
        (out(folder="Junk"), None, "in Junk after 2.0 s", WARN),
        (out(message=Out(taken=TAKEN.replace("198.51.100.5", "198.51.100.9"))), None, "SPF fail", FAIL),
        (out(message=Out(taken=EVIL_TAKEN)), None, "SPF not known", UNKNOWN),
        (out(message=Out(selectors=())), None, "DKIM none", FAIL),
        (out(message=Out(changed={"test message": "best message"})), None, "DKIM fail (mail)", FAIL),
        (
            out(message=Out(results=RESULTS.replace("dmarc=pass", "dmarc=fail"))),
            None,
            "the recipient says dmarc=fail",
            FAIL,
        ),
        (out(message=Out(sender="From: hi@other.example")), None, "DMARC: nothing aligned", FAIL),
        (out(), zone("_domainkey"), "DKIM temperror (mail)", UNKNOWN),
        (out(message=Out(taken=EVIL_TAKEN, selectors=())), None, "DMARC not known", UNKNOWN),
        (replace(out(), copies=out().copies[:1]), None, "no answer within 30 s", UNKNOWN),
        (replace(out(), copies=out().copies[:1], answer=handed(OUT, "refused")), None, "the answer was refused", FAIL),
        (replace(out(), copies=(*out().copies, out().copies[0])), None, "2 copies", WARN),
    ],
)
def test_each_mark_turns(parcel: Parcel, look: Zone | None, mark: str, status: Status) -> None:
    lane = only(parcel, look=look)
    assert said(lane)[mark] is status
    assert lane.status is not PASS


BARE = re.sub(r" \(using.*\)\n", "", TAKEN).replace("ESMTPS", "ESMTP")
LATE = TAKEN.replace("20:16:13", "20:14:13")
OLD = TAKEN.replace("TLSv1.3", "TLSv1")


@pytest.mark.parametrize(
    ("taken", "leg"),
    [
        (BARE, Leg(WARN, 0, "", secure=False)),
        (OLD, Leg(WARN, 0, "TLSv1", secure=True)),
        (LATE, Leg(WARN, -120, "TLSv1.3", secure=True, skewed=True)),
    ],
)
def test_the_leg_where_something_is_wrong_is_marked(taken: str, leg: Leg) -> None:
    assert only(out(message=Out(taken=taken))).legs[-1] == leg


def test_a_leg_in_clear_at_our_own_server_fails() -> None:
    bare = re.sub(r" \(using.*\)\n", "", RELAYED).replace("ESMTPSA", "ESMTPA")
    assert [leg.status for leg in only(out(message=Out(relayed=bare))).legs] == [PASS, FAIL, PASS]


def test_a_clock_that_is_off_by_a_little_is_shown_and_does_not_warn() -> None:
    leg = only(out(message=Out(taken=TAKEN.replace("20:16:13", "20:15:43")))).legs[-1]
    assert (leg.status, leg.skewed, leg.seconds) == (PASS, True, -30)


def lost(letter: Letter, fate: str = "accepted", *tries: Attempt, copies: tuple[Copy, ...] = ()) -> Parcel:
    return Parcel(handed(letter, fate), copies, None, tries)


@pytest.mark.parametrize(
    ("parcel", "statuses", "mark"),
    [
        (lost(OUT, "refused"), [FAIL], ("refused", FAIL)),
        (lost(OUT, "unknown"), [UNKNOWN, UNKNOWN], ("not there within 30 s", UNKNOWN)),
        (lost(OUT, "accepted"), [PASS, UNKNOWN], ("not there within 30 s", UNKNOWN)),
        (lost(OUT, "accepted", attempt("deferred")), [PASS, PENDING], ("not there within 30 s", UNKNOWN)),
        (lost(OUT, "accepted", attempt("bounced")), [PASS, FAIL], ("bounced", FAIL)),
        (lost(OUT, "accepted", attempt()), [PASS, PASS, UNKNOWN], ("not there within 30 s", UNKNOWN)),
        (
            lost(OUT, "accepted", attempt(), copies=(copy(OUT, b"Subject: Undelivered", kind="bounce"),)),
            [PASS, PASS, FAIL],
            ("bounced", FAIL),
        ),
        (lost(INBOUND, "accepted"), [PASS, UNKNOWN], ("not there within 30 s", UNKNOWN)),
        (lost(BOUNCE, "accepted", attempt("bounced")), [PASS, PASS], ("bounced, as it should be", PASS)),
        (lost(BOUNCE, "accepted", attempt()), [PASS, PASS, UNKNOWN], ("accepted; nobody lets us look further", PASS)),
        (lost(FORGED, "refused"), [PASS], ("refused, as it should be", PASS)),
    ],
)
def test_how_far_a_message_came_that_did_not_arrive(
    parcel: Parcel, statuses: list[Status], mark: tuple[str, Status]
) -> None:
    lane = only(parcel)
    assert [leg.status for leg in lane.legs] == statuses
    assert (lane.marks[0].said, lane.marks[0].status) == mark
    assert (lane.trouble == "") is (lane.status is PASS)


def test_a_mailbox_that_could_not_be_read_is_no_message_that_did_not_come() -> None:
    lane = only(lost(OUT, "accepted", attempt()), troubles={OUT.lands: Trouble("IMAP login refused")})
    assert said(lane)["the mailbox could not be read"] is UNKNOWN


def test_inbound_and_the_doors_end_at_our_server() -> None:
    inbound = Parcel(handed(INBOUND), (copy(INBOUND, In().raw()),))
    lane = only(inbound)
    assert [s.role for s in lane.stations] == ["this machine", "their server", "our server"]
    assert said(lane)["in INBOX after 2.0 s"] is PASS
    assert FAIL not in said(lane).values()
    bare = CAME.replace("with ESMTPS", "with ESMTP").replace(
        " (using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits))\n", ""
    )
    door = Parcel(handed(DIRECT), (copy(DIRECT, In(came=bare, before="").raw()),))
    direct = only(door)
    assert [s.role for s in direct.stations] == ["this machine", "our server"]
    assert list(direct.legs) == [Leg(PASS, 0, "", secure=False)]
    assert list(said(direct)) == ["in INBOX after 2.0 s"]


def test_a_reflector_that_answered_took_it_and_one_message_nobody_was_to_get_goes_nowhere() -> None:
    reflector = replace(OUT, route=Route.REFLECTOR, recipient="echo@stranger.example", lands="")
    answer = copy(reflector, b"", 3.25, kind="answer")
    lane = only(Parcel(handed(reflector), (answer,), None, (attempt(),)))
    assert [leg.status for leg in lane.legs] == [PASS, PASS, PASS]
    assert said(lane) == {"answered after 3.2 s": PASS}
    unsent = replace(handed(HTML, "unsent", "SMTPUTF8 is not offered"), verdict=PASS)
    lane = only(Parcel(unsent))
    assert (len(lane.stations), lane.legs) == (1, [])
    assert said(lane) == {"not sent": PASS}


def test_our_server_bears_the_name_that_it_wrote_itself() -> None:
    lanes = drawn(lost(BOUNCE, "refused"), out()).lanes
    assert [lane.stations[1].name for lane in lanes] == ["mail.lantern.example"] * 2


def test_a_forgery_in_the_inbox_warns_and_one_in_junk_is_right() -> None:
    for folder, status in (("INBOX", WARN), ("Junk", PASS)):
        lane = only(Parcel(handed(FORGED), (copy(FORGED, In(before="").raw(), folder=folder),)))
        assert lane.marks[0].status is status


def test_forms_of_one_message_share_a_lane_the_slowest_or_the_worst() -> None:
    lane = only(out(), out(HTML, after=9.0))
    assert (lane.title, lane.note) == (OUT.subject, "2 messages; the slowest: html 587")
    assert {"in INBOX after 9.0 s", "answered after 3.2 s"} <= set(said(lane))
    lane = only(out(folder="Junk"), out(HTML, after=9.0))
    assert (lane.status, lane.note) == (WARN, "2 messages; the worst: plain")
    assert len(drawn(out(), lost(INBOUND)).lanes) == 2


def test_a_long_way_keeps_its_ends_and_the_worst_between() -> None:
    others = [SUBMITTED.replace("laptop", f"h{i}.example").replace("mail.lantern", f"h{i + 1}") for i in (3, 2, 1)]
    more = "\n".join(others)
    lane = only(out(message=Out(submitted=more)))
    assert len(lane.stations) == 5
    assert len(lane.legs) == 4
    assert (lane.stations[0].role, lane.stations[-1].name) == ("this machine", "mx.stranger.example")


def test_nothing_sent_is_nothing_drawn() -> None:
    empty = drawn()
    assert empty.svg == ""
    assert set(empty._repr_mimebundle_()) == {"text/plain", "text/html", MIME}
    assert "nothing was sent" in str(empty)


EVIL = '<script>alert("1")</script>\x00\ud800&'


def test_hostile_text_stays_text() -> None:
    lane = Lane(EVIL, FAIL, (Station(EVIL, EVIL, EVIL),) * 2, (Leg(FAIL, tls=EVIL, secure=True),), (Mark(FAIL, EVIL),),
                EVIL, EVIL)  # fmt: skip
    svg = draw(EVIL, [lane])
    root = parsed(svg)
    assert not list(root.iter(f"{SVG}script"))
    assert "<script" not in svg
    message = Out(submitted=SUBMITTED.replace("laptop", "<script>alert(1)</script>"))
    assert "<script" not in drawn(out(message=message)).svg


@given(st.text(max_size=40), st.floats(allow_nan=False, allow_infinity=False, width=16))
def test_whatever_a_header_holds_the_picture_is_xml(text: str, seconds: float) -> None:
    lane = Lane(
        text, WARN, (Station(text, text), Station("", text)), (Leg(WARN, seconds, text, secure=True),), (), text
    )
    assert parsed(draw(text, [lane])).tag == f"{SVG}svg"


def test_the_picture_says_itself_to_who_cannot_see_it_and_loads_nothing() -> None:
    svg = drawn(out()).svg
    root = parsed(svg)
    assert root.get("role") == "img"
    assert [child.tag for child in root][:2] == [f"{SVG}title", f"{SVG}desc"]
    assert "mx.stranger.example" in (root[1].text or "")
    assert "SPF pass" in (root[1].text or "")
    assert not re.findall(r"href|url\(|@import|<image|<style|<use", svg)


def test_every_verdict_has_a_form_of_its_own() -> None:
    def forms(status: Status) -> tuple[str, ...]:
        return tuple(re.findall(r'<path d="([^"]+)" style="fill:#', draw("", [Lane("", status, (), ())])))

    assert len({forms(status) for status in Status}) == len(Status)


@pytest.fixture
def secret() -> Iterator[str]:
    credentials.learn("s3cr&t-in-a-header", "env:P")
    yield "s3cr&t-in-a-header"
    credentials.forget()


def test_a_secret_in_a_header_is_masked_before_anything_encodes_it(secret: str) -> None:
    seen = drawn(lost(OUT, "refused"), replace(lost(INBOUND), handed=handed(INBOUND, "refused", f"535 {secret} no")))
    bundle = seen._repr_mimebundle_()
    assert "‹env:P›" in bundle["image/svg+xml"]
    encoded = base64.b64decode(bundle["text/html"].partition("base64,")[2].partition('"')[0]).decode()
    assert encoded == bundle["image/svg+xml"] == bundle[MIME]["svg"]
    assert "s3cr" not in encoded
