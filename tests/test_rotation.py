"""A DKIM key's life: made once, followed by another when the world knows it, kept a while, taken away."""

from __future__ import annotations

import dataclasses
import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sites import given as params_given
from sites import make

from runbooklib.answers import Answer, Question, Word
from runbooklib.host import CommandChange, FileChange
from runbooklib.params import Site
from runbooklib.records import Desired, Observed
from runbooklib.results import Plan, Status
from runbooklib.servers import keys, retired
from runbooklib.servers.docker_mailserver import layout, rotation
from runbooklib.servers.docker_mailserver.state import Container, FileFact, State
from runbooklib.servers.engine import Engine
from runbooklib.servers.opendkim import Tables

NOW = datetime(2026, 11, 21, 23, 0, tzinfo=UTC)
DOMAIN = "lantern.example"
RESOLVERS = ("192.0.2.1", "192.0.2.2")
HERE = "/opt/mail.lantern.example/"


def site(selector: str = "mail", **changes: Any) -> Site:
    return make(domains__0__dkim={"selector": selector, **changes})


def public(selector: str) -> str:
    """A record value like no other's; its base64 decodes."""
    return f"v=DKIM1; h=sha256; k=rsa; p={hashlib.sha256(selector.encode()).hexdigest()}"


def deployed(*selectors: str) -> State:
    """A running server with these keys, the first of them signing."""
    tables = Tables()
    for selector in selectors:
        tables = tables.with_key(DOMAIN, selector)
    keys = {(DOMAIN, s): public(s) for s in selectors}
    container = Container("c" * 64, "image", "running", "healthy", 0, "")
    have = State(Engine({}, systemd=True), container=container, keys=keys, private=frozenset(keys))
    return renewed(written(written(have, layout.KEY_TABLE, tables.keys), layout.SIGNING_TABLE, tables.rows))


def written(have: State, relative: str, text: str) -> State:
    fact = FileFact(hashlib.sha256(text.encode()).hexdigest(), 0o644, "root:root", text)
    return dataclasses.replace(have, files={**have.files, relative: fact})


def renewed(have: State) -> State:
    """With a new container, which reads keys and tables."""
    signer_of = have.tables.signer(DOMAIN)
    signing = {DOMAIN: signer_of} if (DOMAIN, signer_of) in have.keys else {}
    return dataclasses.replace(have, live=frozenset(have.keys), signing=signing)


def applied(have: State, plan: Plan, until: int = 99) -> State:
    """What stands after the plan's steps up to an order, as docker-mailserver would have it."""
    for change in plan:
        if change.order > until:
            break
        if isinstance(change, FileChange):
            have = written(have, change.path.removeprefix(HERE), change.content.decode())
        elif isinstance(change, CommandChange) and "dkim" in change.argv:
            have = _made(have, change.argv[-1], change.argv[-3])  # … selector NAME domain NAME
        elif isinstance(change, CommandChange) and "rm" in change.argv:
            gone = (DOMAIN, change.argv[-1].rpartition("/")[2].removesuffix(".txt"))
            keys = {k: v for k, v in have.keys.items() if k != gone}
            have = dataclasses.replace(have, keys=keys, private=frozenset(keys))
        elif isinstance(change, CommandChange) and "--force-recreate" in change.argv:
            have = renewed(have)
    return have


def _made(have: State, domain: str, selector: str) -> State:
    tables = have.tables.with_key(domain, selector)
    keys = {**have.keys, (domain, selector): public(selector)}
    have = dataclasses.replace(have, keys=keys, private=frozenset(keys))
    return written(written(have, layout.KEY_TABLE, tables.keys), layout.SIGNING_TABLE, tables.rows)


def shown(*selectors: str, lacking: str = "", silent: str = "") -> Observed:
    """DNS with these keys published; one resolver remembers an absence, or says nothing."""
    answers = []
    for selector in selectors:
        question = Question(keys.record_name(DOMAIN, selector), "TXT")
        for server in RESOLVERS:
            word = Word.NXDOMAIN if server == lacking else Word.TIMEOUT if server == silent else Word.NOERROR
            values = (public(selector),) if word is Word.NOERROR else ()
            answers.append(Answer(question, server, word, recursive=True, values=values))
    return Observed(tuple(answers))


def plan(site: Site, have: State, seen: Observed | None = None, now: datetime = NOW) -> Plan:
    return rotation.plan(site, have, seen, now)


def targets(plan: Plan) -> list[str]:
    return [c.target.removeprefix(HERE) for c in plan]


def names(want: Desired) -> list[str]:
    return [w.name.partition(".")[0] for w in want]


def signing_status(site: Site, have: State, seen: Observed | None) -> tuple[Status, str, str]:
    (turn,) = keys.turns(site, have, seen)
    row = keys.signing_row(turn, have)
    return row.status, row.observed, row.waits_for


def test_a_key_that_signs_is_left_alone_whatever_else_params_say() -> None:
    have = deployed("mail")
    for again in (site(), site(size=4096), site(retire_after="1d")):
        assert not plan(again, have, shown("mail"))
        assert not plan(again, have, None)


def test_the_first_walk_makes_the_key_and_the_old_one_goes_on() -> None:
    have = deployed("mail")
    first = plan(site("s2"), have)
    assert targets(first) == ["DKIM key s2._domainkey.lantern.example"]
    after = applied(have, first)
    assert after.signs(DOMAIN) == "mail"
    assert renewed(after).signs(DOMAIN) == "mail", "a container made anew for another reason signs as before"
    assert signing_status(site("s2"), after, None) == (
        Status.PENDING,
        "mail signs still; s2 not yet: it is not published yet",
        "04-dns",
    )
    assert not plan(site("s2"), after)
    assert names(keys.records(site("s2"), after, NOW)) == ["s2", "mail"]


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (shown("s2", lacking=RESOLVERS[1]), "192.0.2.2 says NXDOMAIN, cached until "),
        (shown("s2", silent=RESOLVERS[0]), "192.0.2.1 TIMEOUT"),
        (shown("mail"), "it is not published yet"),
    ],
)
def test_while_one_resolver_does_not_show_the_new_key_the_old_one_signs(seen: Observed, said: str) -> None:
    have = deployed("mail", "s2")
    assert not plan(site("s2"), have, seen)
    status, observed, waits_for = signing_status(site("s2"), have, seen)
    assert (status, waits_for) == (Status.PENDING, "04-dns")
    assert f"s2 not yet: {said}" in observed


def test_another_key_under_the_new_name_is_not_ours_to_sign_with() -> None:
    have = deployed("mail", "s2")
    foreign = dataclasses.replace(shown("s2").answers[0], values=(public("elsewhere"),))
    assert not plan(site("s2"), have, Observed((foreign,)))


def test_when_every_resolver_shows_it_the_signer_changes_over_and_the_old_key_is_remembered() -> None:
    have, seen = deployed("mail", "s2"), shown("s2")
    switch = plan(site("s2"), have, seen)
    assert targets(switch) == [layout.RETIRED, layout.SIGNING_TABLE, "container mailserver"]
    assert next(iter(switch)).after == f"mail._domainkey.{DOMAIN} is kept until 2026-11-28 23:00Z"
    after = applied(have, switch)
    assert after.signs(DOMAIN) == "s2"
    assert after.text(layout.SIGNING_TABLE) == f"*@{DOMAIN} s2._domainkey.{DOMAIN}\n"
    (entry,) = after.retired
    assert (entry.selector, entry.since, entry.period, entry.public) == ("mail", NOW, "7d", public("mail"))
    assert not plan(site("s2"), after, seen)
    assert signing_status(site("s2"), after, seen)[:2] == (Status.PASS, "s2 signs")


@pytest.mark.parametrize("cut_off_after", [42, 43])
def test_a_switch_cut_off_goes_on_where_it_was(cut_off_after: int) -> None:
    have, seen = deployed("mail", "s2"), shown("s2")
    half = applied(have, plan(site("s2"), have, seen), until=cut_off_after)
    assert half.signs(DOMAIN) == "mail"
    assert signing_status(site("s2"), half, seen)[0] is Status.FAIL
    done = applied(half, plan(site("s2"), half, seen))
    assert done.signs(DOMAIN) == "s2"
    assert [e.selector for e in done.retired] == ["mail"]
    assert not plan(site("s2"), done, seen)


def test_a_switch_cut_off_can_be_taken_back_too() -> None:
    have, seen = deployed("mail", "s2"), shown("s2", "mail")
    half = applied(have, plan(site("s2"), have, seen), until=43)
    back = plan(site("mail"), half, seen)
    assert targets(back) == [layout.RETIRED, layout.SIGNING_TABLE]
    after = applied(half, back)
    assert renewed(after).signs(DOMAIN) == "mail"
    assert after.retired == ()


def rotated() -> State:
    """A server where s2 has followed mail."""
    have = deployed("mail", "s2")
    return applied(have, plan(site("s2"), have, shown("s2")))


def test_the_old_key_stays_for_its_time_and_is_taken_away_after() -> None:
    have, seen = rotated(), shown("s2")
    last, over = NOW + timedelta(days=7, seconds=-1), NOW + timedelta(days=7)
    assert not plan(site("s2"), have, seen, last)
    assert names(keys.records(site("s2"), have, last)) == ["s2", "mail"]
    end = plan(site("s2"), have, seen, over)
    assert targets(end) == [layout.KEY_TABLE, f"DKIM key mail._domainkey.{DOMAIN}"]
    assert names(keys.records(site("s2"), have, over)) == ["s2"]
    after = applied(have, end)
    assert [s for _, s in after.keys] == ["s2"]
    assert renewed(after).signs(DOMAIN) == "s2"
    assert not plan(site("s2"), after, seen, over)


def test_the_row_says_until_when_the_old_key_is_kept() -> None:
    have = rotated()
    (row,) = keys.retired_rows(have, NOW)
    assert (row.status, row.expected) == (Status.PASS, "kept until 2026-11-28 23:00Z")
    (lost,) = keys.retired_rows(dataclasses.replace(have, keys={}), NOW)
    assert lost.status is Status.WARN
    assert not list(keys.retired_rows(have, NOW + timedelta(days=8)))


def test_going_back_within_the_time_signs_with_the_old_key_again() -> None:
    have, seen = rotated(), shown("s2", "mail")
    back = plan(site("mail"), have, seen)
    assert not back.refusals
    assert f"mail._domainkey.{DOMAIN} signs again" in next(iter(back)).after
    after = applied(have, back)
    assert after.signs(DOMAIN) == "mail"
    assert [e.selector for e in after.retired] == ["s2"]
    assert not plan(site("mail"), after, seen)


def test_a_selector_whose_time_is_over_is_never_used_again() -> None:
    over = NOW + timedelta(days=7)
    ended = applied(rotated(), plan(site("s2"), rotated(), shown("s2"), over))
    refused = plan(site("mail"), ended, None, over)
    assert refused.refusals
    assert "mail was retired on 2026-11-21" in refused.refusals[0]
    assert plan(site("mail"), rotated(), shown("mail"), over).refusals
    assert not plan(site("s3"), ended, None, over).refusals


def test_an_old_key_that_signs_still_is_not_refused_whatever_its_time() -> None:
    have, seen = deployed("mail", "s2"), shown("s2")
    half = applied(have, plan(site("s2"), have, seen), until=42)
    assert not plan(site("mail"), half, seen, NOW + timedelta(days=30)).refusals
    later = plan(site("s2"), half, seen, NOW + timedelta(days=30))
    assert "rm" not in {c.argv[0] for c in later if isinstance(c, CommandChange)}
    (entry,) = applied(half, later).retired
    assert entry.since == NOW + timedelta(days=30), "its time begins when it stops signing"


def test_where_nothing_signs_the_key_of_params_does_at_once() -> None:
    lost = dataclasses.replace(deployed("mail"), live=frozenset(), signing={})
    (renew,) = plan(site(), lost)
    assert isinstance(renew, CommandChange)
    assert "--force-recreate" in renew.argv
    added = plan(site("s1"), dataclasses.replace(deployed(), files={}))
    assert targets(added) == [f"DKIM key s1._domainkey.{DOMAIN}", "container mailserver"]


def test_a_stopped_container_does_not_let_the_new_key_slip_in() -> None:
    have = deployed("mail")
    assert have.container
    stopped = dataclasses.replace(
        applied(have, plan(site("s2"), have)),
        container=dataclasses.replace(have.container, state="exited"),
        live=frozenset(),
        signing={},
    )
    assert not plan(site("s2"), stopped)
    assert signing_status(site("s2"), stopped, None)[0] is Status.PENDING


def test_one_domain_changes_over_while_another_gets_its_first_key() -> None:
    given = params_given()
    new = {"name": "pier.example", "relay": "office", "dkim": {"selector": "s9"}}
    given["domains"] = [given["domains"][0] | {"dkim": {"selector": "s2"}}, new]
    both = make(domains=given["domains"])
    have = deployed("mail", "s2")
    after = applied(have, plan(both, have, shown("s2")))
    assert (after.tables.signer(DOMAIN), after.tables.signer("pier.example")) == ("s2", "s9")


def test_a_private_half_without_a_readable_public_one_is_no_reason_to_try_for_ever() -> None:
    have = dataclasses.replace(deployed("mail"), keys={})
    refused = plan(site(), have)
    assert "without a readable public half" in refused.refusals[0]


def test_ed25519_is_refused_with_the_reason() -> None:
    refused = plan(site(ed25519="ed"), deployed("mail"))
    assert "one algorithm for all keys" in refused.refusals[0]


def test_without_a_mail_server_nothing_is_planned() -> None:
    none = dataclasses.replace(deployed(), container=None)
    assert plan(site(), none).held == "known after 01-bootstrap"


def test_keys_nobody_named_are_left_alone() -> None:
    have = deployed("mail", "mine")
    over = NOW + timedelta(days=400)
    assert not plan(site(), have, shown("mail"), over)


def test_what_is_remembered_of_relays_stays() -> None:
    relay = retired.Retired(retired.RELAY, DOMAIN, NOW, relay="office")
    have = written(deployed("mail", "s2"), layout.RETIRED, retired.text([relay]))
    after = applied(have, plan(site("s2"), have, shown("s2")))
    assert {e.kind for e in after.retired} == {"key", "relay"}


SELECTORS = st.sampled_from(["mail", "s2", "s3"])
STEPS = st.tuples(SELECTORS, st.sets(SELECTORS), st.integers(40, 60), st.integers(0, 9))


@given(st.lists(STEPS, max_size=8))
def test_whatever_happens_no_key_signs_that_the_world_does_not_know(
    steps: list[tuple[str, set[str], int, int]],
) -> None:
    """Each step: params name a selector, DNS shows some of the keys, a walk is cut off somewhere, days pass."""
    have, now, known = deployed("mail"), NOW, {"mail"}
    for selector, asked, cut_off_after, days in steps:
        now += timedelta(days=days)
        published = {s for _, s in have.keys if s in asked}
        seen = shown(*sorted(published))
        known |= published
        walk = plan(site(selector), have, seen, now)
        have = have if walk.refusals else applied(have, walk, until=cut_off_after)
        assert have.signs(DOMAIN) in known
        assert renewed(have).signs(DOMAIN) in known, "a container made anew for another reason"
        assert (DOMAIN, have.signs(DOMAIN)) in have.keys, "a key that signs is never taken away"
        if not walk.refusals:
            whole = applied(have, plan(site(selector), have, seen, now))
            assert not plan(site(selector), whole, seen, now), "nothing is changed twice"
