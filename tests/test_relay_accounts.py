"""Several relays at once, what became of messages at the provider, and how a provider's failure ends a stage."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from doubles import LOGIN, MANAGING, SENDING, Double, mxroute_state, resend_state, running
from sites import given, make

from runbooklib import credentials, relays
from runbooklib.answers import Answer, Question, Word
from runbooklib.delivery import Arrived, Handed, Letter, Letters, Sent
from runbooklib.delivery.arriving import Parcel
from runbooklib.delivery.messages import Route
from runbooklib.maillog import Attempt
from runbooklib.params import Site
from runbooklib.records import Wanted, compare, desired, diff
from runbooklib.records.observed import Observed
from runbooklib.relays.calls import UnavailableError
from runbooklib.results import GateError, Plan, Status

PIER, HARBOUR = "pier.example", "harbour.example"
FRIEND = "friend@stranger.example"
MARK = "20261121T120000Z-lantern"


@pytest.fixture
def both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Double, Double]]:
    for name, value in {"ADMIN": MANAGING, "SENDING": SENDING, "LOGIN": LOGIN, "OFFICE_SMTP": LOGIN}.items():
        monkeypatch.setenv(name, value)
    folders = [tmp_path / "resend", tmp_path / "mxroute"]
    for folder in folders:
        folder.mkdir()
    with running("resend", folders[0], resend_state()) as one, running("mxroute", folders[1], mxroute_state()) as two:
        yield one, two
    credentials.forget()


def site(resend: Double, mxroute: Double) -> Site:
    """Three domains, three relays."""
    boxes = {d: [{"address": f"post@{d}", "password": "env:HI_PASSWORD"}] for d in (PIER, HARBOUR)}
    one = {"provider": "resend", "api": resend.url, "ca": str(resend.ca)}
    two = {"provider": "mxroute", "api": mxroute.url, "ca": str(mxroute.ca), "host": "name.mxrouting.example"}
    two |= {"api_user": "lantern", "api_key": "env:ADMIN", "username": f"post@{HARBOUR}", "password": "env:LOGIN"}
    usual = given()
    domains = [{"name": d, "relay": r, "mailboxes": boxes[d]} for d, r in ((HARBOUR, "two"), (PIER, "one"))]
    made = {"one": one | {"api_key": "env:ADMIN", "password": "env:SENDING"}, "two": two}
    test = {"recipients": [{"address": FRIEND}], "reflector": "echo@stranger.example"}
    return make(domains=[*domains, *usual["domains"]], relays={**usual["relays"], **made}, test=test)


def test_each_domain_is_looked_up_where_it_sends(both: tuple[Double, Double]) -> None:
    here = site(*both)
    accounts = relays.observe(here)
    assert [(a.domain, a.relay, a.status) for a in accounts] == [(HARBOUR, "two", "absent"), (PIER, "one", "absent")]
    assert accounts.of("lantern.example") is None
    assert [c.target for c in relays.plan(here, accounts)] == [f"one {PIER}"]
    assert PIER in str(accounts)


def test_one_provider_s_bad_day_leaves_the_other_alone(both: tuple[Double, Double]) -> None:
    here = site(*both)
    both[1].fault(path="/", status=401, body={"success": False, "error": {"code": "UNAUTHORIZED"}}, times=99)
    checks = relays.account_checks(here, relays.observe(here))
    assert checks["relay.api two"].status is Status.FAIL
    assert checks["relay.api one"].status is Status.PASS


def test_a_plain_smarthost_has_no_account_and_its_records_come_from_params() -> None:
    here = make()
    accounts = relays.observe(here)
    assert (tuple(accounts), tuple(relays.account_checks(here, accounts)), bool(relays.plan(here, accounts))) == (
        (),
        (),
        False,
    )
    assert tuple(relays.confirm(here, accounts, apply=True, wait=900)) == ()


def test_a_change_whose_provider_does_not_answer_is_a_row_that_cannot_tell() -> None:
    def fail() -> None:
        raise UnavailableError("POST /domains: no answer within 15 s")

    change = relays.ApiChange(0, "one pier.example", "not known there", "added", "why", "", fail)
    with pytest.raises(GateError, match=r"apply one pier.example: unknown.*no answer within 15 s") as raised:
        relays.apply(make(), Plan("at the providers", (change,)), apply=True)
    assert "run again" in str(raised.value)


# what became of a message


def arrived(
    *letters: tuple[str, str], fate: str = "accepted", said: str = "sent", route: Route = Route.OUTBOUND
) -> Arrived:
    """Messages handed over, each with one delivery attempt in the log."""
    made = tuple(Letter(n, route, d, f"post@{d}", to) for n, (d, to) in enumerate(letters, 1))
    tries = (Attempt("", "smtp", FRIEND, "smtp.resend.com[203.0.113.9]:587", "2.0.0", said, "250 Ok"),)
    handed = tuple(Handed(letter, fate, "250 queued") for letter in made)  # type: ignore[arg-type]
    sent = Sent(Letters("run", MARK, made), handed, applied=True)
    return Arrived(sent, tuple(Parcel(h, attempts=tries) for h in handed))


def event(number: int, last: str, to: str = FRIEND) -> dict[str, object]:
    subject = f"runbook test {MARK}.{number}: outbound {PIER}"
    return {"id": f"e{number}", "to": [to], "from": f"post@{PIER}", "subject": subject, "last_event": last}


FATES = [
    ("delivered", Status.PASS),
    ("opened", Status.PASS),
    ("sent", Status.PENDING),
    ("queued", Status.PENDING),
    ("delivery_delayed", Status.PENDING),
    ("bounced", Status.FAIL),
    ("suppressed", Status.FAIL),
    ("complained", Status.FAIL),
    ("failed", Status.FAIL),
    ("vaporised", Status.UNKNOWN),
]


@pytest.mark.parametrize(("last", "means"), FATES)
def test_every_last_event_means_something(both: tuple[Double, Double], last: str, means: Status) -> None:
    both[0].set(emails=[event(10, "bounced"), event(1, last)])
    verdict = relays.fates(site(*both), arrived((PIER, FRIEND)), wait=0)
    check = verdict[f"relay.fate outbound {PIER} {FRIEND}"]
    assert check.status is means
    assert last in check.observed
    assert check.status is not Status.UNKNOWN or not check.blocks


@pytest.mark.parametrize(
    ("last", "means"),
    [
        ("bounced", Status.PASS),
        ("delivered", Status.FAIL),
        ("sent", Status.PENDING),
        ("suppressed", Status.FAIL),
        ("vaporised", Status.UNKNOWN),
    ],
)
def test_what_was_sent_to_bounce_has_to_bounce(both: tuple[Double, Double], last: str, means: Status) -> None:
    test_address = "bounced@resend.dev"
    both[0].set(emails=[event(1, last, test_address)], suppressions=[{"email": test_address, "reason": "bounce"}])
    (check,) = relays.fates(site(*both), arrived((PIER, test_address), route=Route.BOUNCE), wait=0)
    assert (check.name, check.status) == (f"relay.fate bounce {PIER}", means)
    assert check.expected == "bounced, says the provider"
    assert bool(check.fix) == (means is not Status.PASS)


def test_a_suppressed_recipient_fails_in_the_verdict_on_what_was_sent(both: tuple[Double, Double]) -> None:
    both[0].set(emails=[event(1, "suppressed")], suppressions=[{"email": FRIEND, "reason": "bounce"}])
    verdict = relays.fates(site(*both), arrived((PIER, FRIEND)), wait=0)
    assert verdict[f"relay.suppression one {FRIEND}"].status is Status.FAIL
    assert verdict[f"relay.fate outbound {PIER} {FRIEND}"].status is Status.FAIL


def test_a_message_still_under_way_is_looked_for_again(both: tuple[Double, Double]) -> None:
    both[0].set(emails=[event(1, "delivered")])
    both[0].fault(path="/emails", status=200, body={"data": [event(1, "sent")]})
    verdict = relays.fates(site(*both), arrived((PIER, FRIEND)), wait=30)
    assert verdict[f"relay.fate outbound {PIER} {FRIEND}"].status is Status.PASS


def test_a_message_nobody_there_knows_is_accepted_and_no_more(both: tuple[Double, Double]) -> None:
    verdict = relays.fates(site(*both), arrived((PIER, FRIEND)), wait=0)
    check = verdict[f"relay.fate outbound {PIER} {FRIEND}"]
    assert (check.status, check.blocks) == (Status.UNKNOWN, False)
    assert "accepted by the relay" in check.observed


def test_without_a_managing_key_the_fate_is_unknown_and_says_where_to_look(both: tuple[Double, Double]) -> None:
    here = site(*both)
    relay = here.relays["one"].model_copy(update={"api_key": None})
    keyless = here.model_copy(update={"relays": {**here.relays, "one": relay}})
    (check,) = relays.fates(keyless, arrived((PIER, FRIEND)), wait=0)
    assert (check.status, check.blocks) == (Status.UNKNOWN, False)
    assert "https://resend.com/emails" in check.fix


@pytest.mark.parametrize("seen", [{"said": "deferred"}, {"fate": "refused"}, {"fate": "unsent"}])
def test_what_never_left_is_not_asked_about(both: tuple[Double, Double], seen: dict[str, Any]) -> None:
    assert tuple(relays.fates(site(*both), arrived((PIER, FRIEND), **seen), wait=0)) == ()
    assert both[0].server.seen == []


def test_relays_that_tell_nothing_of_single_messages_get_no_rows(both: tuple[Double, Double]) -> None:
    assert tuple(relays.fates(site(*both), arrived((HARBOUR, FRIEND), ("lantern.example", FRIEND)), wait=0)) == ()


# the ownership record among the others

PROOF = Wanted("_da-verify-0.pier.example", "TXT", ("domain-verified",), 3600, "why", "ref", "02-relay")
QUESTION = Question(PROOF.name, "TXT")


def answer(*values: str) -> Answer:
    word = Word.NOERROR if values else Word.NXDOMAIN
    return Answer(QUESTION, "192.0.2.53", word, values=values, raw=tuple(f'"{v}"' for v in values))


@pytest.mark.parametrize(
    ("values", "means"), [((), Status.FAIL), (("other",), Status.FAIL), (("other", "domain-verified"), Status.PASS)]
)
def test_an_ownership_record_stands_among_others(values: tuple[str, ...], means: Status) -> None:
    assert compare(PROOF, answer(*values)).status is means


def test_an_ownership_record_is_added_and_nothing_taken_away() -> None:
    (change,) = diff(desired(make(), [PROOF]), Observed((answer("other"),), ("pier.example",)))
    assert (change.added, change.removed) == (("domain-verified",), ())  # type: ignore[attr-defined]
