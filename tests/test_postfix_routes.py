"""Stage 02 on plain Postfix: what stands in its tables, what is put in front of it, and what cannot be overruled."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sites import make

from runbooklib.host import Answer, CommandChange
from runbooklib.params import Site
from runbooklib.results import Plan, Status
from runbooklib.servers import nexthops, retired
from runbooklib.servers.postfix import layout, overruling, relaying, routing, sending, switching, tables
from runbooklib.servers.postfix.editing import Content, Parameter, PostfixChange, Service
from runbooklib.servers.postfix.sending import Sending
from runbooklib.servers.postfix.state import FileFact, State
from runbooklib.servers.postfix.tables import Lookup
from runbooklib.servers.retired import Retired
from runbooklib.servers.standing import Queued, Standing

HERE = "/etc/postfix/runbook"
OFFICE, HARBOUR, OLD = "[smtp.example.net]:587", "[smtp.harbour.example]:465", "[old.example]:587"
MARKED = {layout.MARK: FileFact("", 0o644, "root:root", "")}
NOW = datetime.now(UTC)
DEFAULTS = {
    sending.RELAYHOST: "",
    sending.TRANSPORT: "smtp",
    sending.SASL: "noplaintext, noanonymous",
    sending.CA_FILE: "",
    sending.CA_PATH: "/etc/ssl/certs",
    sending.QUEUE: "/var/spool/postfix",
}


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HI_PASSWORD", "correct horse")
    monkeypatch.setenv("OFFICE_SMTP", "battery staple")
    monkeypatch.setenv("OTHER_SMTP", "another word")


def relay(host: str, **more: Any) -> dict[str, Any]:
    return {"provider": "smtp", "host": host, "username": "u", "password": "env:OFFICE_SMTP", **more}


def site(**changes: Any) -> Site:
    relays = {
        "office": relay("smtp.example.net"),
        "harbour": relay("smtp.harbour.example", port=465),
        "second": relay("smtp.example.net", username="v", password="env:OTHER_SMTP"),
    }
    return make(mail={"server": "postfix", "tls": {"mode": "existing"}}, relays=relays, **changes)


def two(first: str, second: str) -> Site:
    """A site of two domains."""
    (given,) = site().model_dump()["domains"]
    other = {"name": "pier.example", "relay": second, "mailboxes": []}
    return site(domains=[given | {"relay": first}, other])


def standing_host(ours: bool = True, parameters: Mapping[str, str] | None = None, **answers: Lookup) -> Sending:
    """A Postfix that runs: set up by stage 01, or serving others."""
    own = dict(parameters or {}) if ours else {"virtual_mailbox_domains": "other.example"} | dict(parameters or {})
    have = State(packages={"postfix": "3.10"}, parameters=own, files=MARKED if ours else {})
    values = DEFAULTS | {name: value for name, value in own.items() if name in DEFAULTS}
    return Sending(have, HERE, values, answers)


def maps(**told: Mapping[str, str]) -> Lookup:
    """Tables by their names, with what each answers."""
    return Lookup(tuple(f"hash:/etc/postfix/{name}" for name in told), tuple(told.values()))


def applied(have: Sending, plan: Plan) -> Sending:
    """What stands after the plan, as Postfix would have it."""
    parameters, services, files = dict(have.host.parameters), dict(have.host.services), dict(have.host.files)
    jailed = have.jailed
    for step in (c for c in plan if isinstance(c, PostfixChange)):
        for part in step.edits:
            if isinstance(part, Parameter):
                parameters[part.name] = part.value or ""
            elif isinstance(part, Service):
                services[part.name] = part.entry or ""
            elif isinstance(part, Content):
                data = part.content or b""
                digest = hashlib.sha256(data).hexdigest()
                files[part.path.removeprefix(f"{HERE}/")] = FileFact(digest, part.mode, part.owner, data.decode())
                jailed = digest if part.path == have.jail else jailed
    host = dataclasses.replace(have.host, parameters=parameters, services=services, files=files)
    values = have.values | {name: value for name, value in parameters.items() if name in DEFAULTS}
    lookups = {name: _lookup(have, parameters, files, name) for name in sending.FILES}
    return dataclasses.replace(have, host=host, values=values, lookups=lookups, jailed=jailed)


def _lookup(have: Sending, parameters: Mapping[str, str], files: Mapping[str, FileFact], name: str) -> Lookup:
    """The parameter's tables; ours as the file says it, logins as digests."""
    others = have.others(name)
    known = dict(zip(others.tables, others.answers, strict=True))
    text = files[sending.FILES[name]].text if sending.FILES[name] in files else ""
    own = dict(line.split(" ", 1) for line in (text or "").splitlines())
    if name == sending.LOGINS:
        own = {key: hashlib.sha256(login.encode()).hexdigest() for key, login in own.items()}
    found = tables.split(parameters.get(name, ""))
    return Lookup(found, tuple(known.get(table, own) for table in found))


def plan(site: Site, have: Sending, null: str = "direct", **more: Any) -> Plan:
    seen = sending.effective(site, have)
    today = {d.name: seen.hop(d.name) for d in site.domains}
    queued, waiting, leaving = more.get("queued", ()), more.get("waiting", {}), more.get("leaving", ())
    return switching.plan(site, Standing(have, today, seen.way("<>"), queued), null, waiting, leaving)


def rows(site: Site, have: Sending, null: str = "direct") -> dict[str, Status]:
    return {c.name: c.status for c in routing.rows(site, have, null, {})}


def text(have: Sending, name: str) -> str:
    return have.host.text(name) or ""


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", ()),
        ("hash:/a, texthash:/b\n  pcre:/c", ("hash:/a", "texthash:/b", "pcre:/c")),
        ("inline:{ {a = b, c}, {d=e} }, static:x", ("inline:{ {a = b, c}, {d=e} }", "static:x")),
        ("proxy:mysql:/etc/m.cf lmdb:/x", ("proxy:mysql:/etc/m.cf", "lmdb:/x")),
    ],
)
def test_the_tables_of_a_parameter_are_split_as_postfix_does(value: str, expected: tuple[str, ...]) -> None:
    assert tables.split(value) == expected


def test_ours_stands_in_front_once() -> None:
    assert tables.in_front(None, "texthash:/o") == "texthash:/o"
    assert tables.in_front("hash:/a,  hash:/b", "texthash:/o") == "texthash:/o, hash:/a,  hash:/b"
    assert tables.in_front("hash:/a, texthash:/o", "texthash:/o") == "hash:/a, texthash:/o"


def test_tables_are_asked_in_their_order_and_rules_for_whole_addresses_only() -> None:
    found = Lookup(
        ("pcre:/r", "hash:/a", "hash:/b"),
        ({"@d.example": "rule", "x@d.example": "rule"}, {"@d.example": "first"}, {"@d.example": "last", "k": "b"}),
    )
    assert found.find("@d.example") == "first"
    assert (found.find("k"), found.where("k"), found.find("nobody")) == ("b", "hash:/b", "")
    assert found.whole("d.example") == {"x@d.example": "rule"}
    assert found.without("hash:/a").find("@d.example") == "last"


def test_what_postmap_says_is_read_and_a_table_that_does_not_open_is_told() -> None:
    answers = [
        Answer(0, "@d.example\t[r.example]:587\npostmap: warning: x\ty"),
        Answer(1, "postmap: fatal: open /b.db"),
    ]
    found = tables.lookup(("hash:/a", "hash:/b"), answers)
    assert found.answers == ({"@d.example": "[r.example]:587"}, {})
    assert found.unread == ("fatal: open /b.db",)


def test_a_fresh_host_gets_login_and_policy_before_its_route_and_then_is_still() -> None:
    have, here = standing_host(), site()
    first = plan(here, have, "office")
    steps = [c for c in first if isinstance(c, PostfixChange)]
    named = [{getattr(p, "name", "") or p.path.rpartition("/")[2] for p in s.edits} for s in steps]  # type: ignore[attr-defined]
    assert named[0] >= {"logins", "policies", sending.LOGINS, sending.POLICIES, sending.SASL, "smtp_sasl_auth_enable"}
    assert named[1] == {"senders", sending.SENDERS, sending.RELAYHOST}
    after = applied(have, first)
    assert text(after, layout.SENDERS) == f"@lantern.example {OFFICE}\n<> {OFFICE}\n"
    assert text(after, layout.POLICIES) == f"{OFFICE} secure match=smtp.example.net\n"
    assert after.host.files[layout.LOGINS].mode == 0o600
    assert after.value(sending.RELAYHOST) == OFFICE
    assert not plan(here, after, "office")
    assert set(rows(here, after, "office").values()) == {Status.PASS}


def test_a_plan_shows_no_password() -> None:
    shown = str(plan(site(), standing_host(), "office")) + repr(plan(site(), standing_host(), "office"))
    assert "battery staple" not in shown
    assert f"login for {OFFICE}" in shown


def test_a_host_that_serves_others_keeps_relayhost_and_the_tables_that_stand() -> None:
    standing = maps(sender_relay={"@shop.example": OLD})
    given = {sending.SENDERS: "hash:/etc/postfix/sender_relay", sending.RELAYHOST: OLD}
    have = standing_host(ours=False, parameters=given, **{sending.SENDERS: standing})
    first = plan(site(), have, "office")
    after = applied(have, first)
    assert after.host.parameters[sending.RELAYHOST] == OLD
    assert after.host.parameters[sending.SENDERS] == f"texthash:{HERE}/senders, hash:/etc/postfix/sender_relay"
    assert text(after, layout.SENDERS) == f"@lantern.example {OFFICE}\n"  # bounces of all go as they went
    assert after.maps(sending.SENDERS).find("@shop.example") == OLD
    assert not plan(site(), after, "office")
    seen = rows(site(), after, "office")
    assert seen["relay.route null-sender"] is Status.PASS
    assert set(seen.values()) == {Status.PASS}


def test_bounces_that_cannot_leave_directly_get_a_way_on_a_host_of_others() -> None:
    have = standing_host(ours=False)
    assert f"<> {OFFICE}" in text(applied(have, plan(site(), have, "office")), layout.SENDERS)
    assert "<>" not in text(applied(have, plan(site(), have, "postmaster")), layout.SENDERS)


@pytest.mark.parametrize(
    ("parameter", "told", "said"),
    [
        (sending.SENDERS, {"ceo@lantern.example": OLD}, f"ceo@lantern.example leaves by {OLD}"),
        (sending.SENDERS, {"ceo@lantern.example": "DUNNO"}, "ceo@lantern.example leaves by direct"),
        (sending.SENDERS, {f"{sending.NOBODY}@lantern.example": OLD}, "everybody at lantern.example leaves by"),
        (sending.TRANSPORTS, {"ceo@lantern.example": "slow:"}, "ceo@lantern.example takes the transport slow:"),
        (sending.LOGINS, {"ceo@lantern.example": "0" * 64}, "ceo@lantern.example logs in as somebody else"),
        (sending.BY_RECIPIENT, {"*": "smtp:[gate.example]"}, "everybody leaves by smtp:[gate.example]"),
    ],
)
def test_what_beats_the_domains_line_is_refused_and_told(parameter: str, told: dict[str, str], said: str) -> None:
    have = standing_host(ours=False, **{parameter: maps(theirs=told)})
    (refusal,) = plan(site(), have).refusals
    assert said in refusal
    assert "hash:/etc/postfix/theirs" in refusal
    assert any(n.startswith("relay.overruled") and s is Status.FAIL for n, s in rows(site(), have).items())


def test_what_master_cf_sets_for_the_smtp_client_beats_main_cf() -> None:
    have = standing_host(ours=False)
    entry = "smtp unix - - y - - smtp -o smtp_fallback_relay= -o { smtp_sasl_password_maps = hash:/x }"
    host = dataclasses.replace(have.host, services={"smtp/unix": entry})
    (refusal,) = plan(site(), dataclasses.replace(have, host=host)).refusals
    assert "another smtp_sasl_password_maps (-o of smtp/unix in master.cf" in refusal


def test_an_address_that_others_lead_the_same_way_is_no_contradiction() -> None:
    have = standing_host(ours=False, **{sending.SENDERS: maps(theirs={"ceo@lantern.example": OFFICE})})
    assert not plan(site(), have).refusals


def test_a_domain_cannot_leave_directly_where_a_relay_stands_for_everybody() -> None:
    have = standing_host(ours=False, parameters={sending.RELAYHOST: OLD})
    (refusal,) = plan(two("office", "direct"), have).refusals
    assert f"@pier.example leaves by {OLD}" in refusal
    assert not plan(two("office", "direct"), standing_host(ours=False)).refusals


def test_a_table_that_cannot_be_read_is_unknown_and_nothing_is_changed() -> None:
    unread = Lookup(("hash:/gone",), ({},), ("fatal: open database /gone.db",))
    have = standing_host(ours=False, **{sending.SENDERS: unread})
    assert "cannot be read" in plan(site(), have).refusals[0]
    assert rows(site(), have)["relay.tables"] is Status.UNKNOWN


def test_without_the_sasl_module_nothing_is_changed() -> None:
    have = dataclasses.replace(standing_host(), plain=False)
    assert "libsasl2-modules" in plan(site(), have, "office").refusals[0]


def test_tls_from_the_first_byte_takes_a_transport_of_its_own() -> None:
    have, here = standing_host(), two("office", "harbour")
    after = applied(have, plan(here, have))
    assert after.host.services["smtps-relay/unix"] == relaying.SERVICE
    assert text(after, layout.TRANSPORTS) == "@pier.example smtps-relay:\n"
    assert not plan(here, after)
    assert set(rows(here, after).values()) == {Status.PASS}


def test_a_default_transport_of_others_is_overruled_for_our_domains_only() -> None:
    given = {sending.TRANSPORT: "smtp:[gate.example]:25"}
    have = standing_host(ours=False, parameters=given)
    after = applied(have, plan(site(), have))
    assert text(after, layout.TRANSPORTS) == "@lantern.example smtp:\n"
    assert after.host.parameters[sending.TRANSPORT] == "smtp:[gate.example]:25"


def test_two_logins_on_one_next_hop_are_told_apart_by_the_sender() -> None:
    have, here = standing_host(), two("office", "second")
    after = applied(have, plan(here, have))
    assert set(text(after, layout.LOGINS).splitlines()) >= {
        "@pier.example v:another word",
        f"{OFFICE} u:battery staple",
    }
    assert after.host.parameters["smtp_sender_dependent_authentication"] == "yes"
    assert set(rows(here, after).values()) == {Status.PASS}


def test_others_at_the_same_relay_go_on_logging_in_as_themselves() -> None:
    theirs = maps(sasl={OFFICE: hashlib.sha256(b"them:their word").hexdigest()})
    given = {sending.LOGINS: "hash:/etc/postfix/sasl", sending.RELAYHOST: OFFICE}
    have = standing_host(ours=False, parameters=given, **{sending.LOGINS: theirs})
    after = applied(have, plan(site(), have, "office"))
    assert text(after, layout.LOGINS) == "@lantern.example u:battery staple\n"
    assert after.maps(sending.LOGINS).where(OFFICE) == "hash:/etc/postfix/sasl"
    assert set(rows(site(), after, "office").values()) == {Status.PASS}


def test_mail_without_a_sender_that_nobody_takes_is_read_by_postmaster() -> None:
    have = standing_host()
    after = applied(have, plan(site(), have, "postmaster"))
    assert text(after, layout.TRANSPORTS) == f"<> {nexthops.NOWHERE}\n"
    assert after.host.parameters["2bounce_notice_recipient"] == "postmaster@lantern.example"
    assert rows(site(), after, "postmaster")["relay.route null-sender"] is Status.PASS


def test_a_private_ca_holds_for_its_relay_alone_inside_and_outside_of_the_chroot(tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    ca.write_text("a certificate\n")
    have, here = standing_host(), site(relays__office__ca=str(ca))
    after = applied(have, plan(here, have, "office"))
    assert text(after, layout.POLICIES).rstrip().endswith(f"tafile={HERE}/relay-ca.pem")
    assert {layout.RELAY_CA, f"/var/spool/postfix{HERE}/relay-ca.pem"} <= set(after.host.files)
    assert sending.CA_FILE not in after.host.parameters
    assert not plan(here, after, "office")
    assert set(rows(here, after, "office").values()) == {Status.PASS}
    emptied = dataclasses.replace(after, jailed="")
    assert rows(here, emptied, "office")["relay.private-ca"] is Status.FAIL
    assert applied(emptied, plan(here, emptied, "office")) == after


def test_without_any_ca_the_systems_own_is_named() -> None:
    have = standing_host()
    bare = dataclasses.replace(have, values=have.values | {sending.CA_PATH: ""})
    after = applied(bare, plan(site(), bare, "office"))
    assert after.host.parameters[sending.CA_FILE] == relaying.SYSTEM_CAS
    assert not plan(site(), after, "office")


LEFT = Retired(retired.RELAY, "lantern.example", NOW.replace(microsecond=0), relay="office", next_hop=OFFICE)


def test_a_switch_keeps_the_login_of_what_is_left_and_back_is_the_same_way() -> None:
    have, after_site = standing_host(), site(domains__0__relay="harbour")
    sent = applied(have, plan(site(), have, "office"))
    moved = applied(sent, plan(after_site, sent, "harbour", leaving=(LEFT,)))
    assert f"@lantern.example {HARBOUR}" in text(moved, layout.SENDERS)
    assert OFFICE in text(moved, layout.LOGINS)
    assert moved.host.retired == (LEFT,)
    assert not plan(after_site, moved, "harbour")
    back = applied(moved, plan(site(), moved, "office"))
    assert back.host.retired == ()
    assert text(back, layout.SENDERS) == text(sent, layout.SENDERS)
    assert HARBOUR not in text(back, layout.LOGINS)
    past = dataclasses.replace(LEFT, since=LEFT.since - timedelta(days=8))
    files = {**moved.host.files, layout.RETIRED: FileFact("", 0o644, "root:root", retired.text([past]))}
    later = dataclasses.replace(moved, host=dataclasses.replace(moved.host, files=files))
    assert OFFICE not in text(applied(later, plan(after_site, later, "harbour")), layout.LOGINS)


def test_queued_mail_is_tried_again_when_a_route_moves_and_only_then() -> None:
    waits, have = (Queued("hi@lantern.example", NOW, "connection refused"),), standing_host()
    first = plan(site(), have, "office", queued=waits)
    assert isinstance(first.changes[-1], CommandChange)
    assert "postqueue -f" in first.changes[-1].argv[-1]
    assert not plan(site(), applied(have, first), "office", queued=waits)


def test_a_domain_that_waits_keeps_its_way_and_does_not_hold_up_the_other() -> None:
    have, here = standing_host(ours=False, parameters={sending.RELAYHOST: OLD}), two("office", "harbour")
    assert (
        plan(here, have, waiting={"lantern.example": "04-dns", "pier.example": "04-dns"}).held == "known after 04-dns"
    )
    first = plan(here, have, waiting={"pier.example": "04-dns"})
    assert not first.held
    assert text(applied(have, first), layout.SENDERS) == f"@lantern.example {OFFICE}\n"


def test_before_there_is_a_mail_server_the_plan_is_held() -> None:
    bare = Standing(Sending(State(), HERE), {}, there=False)
    assert switching.plan(site(), bare, "direct", {}, ()).held == "known after 01-bootstrap"


def test_rows_turn_red_when_the_tables_say_otherwise() -> None:
    have, here = standing_host(), site()
    after = applied(have, plan(here, have, "office"))
    bare = rows(here, have, "office")
    assert [bare[f"relay.{n}"] for n in ("route lantern.example", "tls-policy office", "login-map office")] == [
        Status.FAIL
    ] * 3
    loose = dataclasses.replace(after.host.files[layout.LOGINS], mode=0o644)
    host = dataclasses.replace(after.host, files={**after.host.files, layout.LOGINS: loose})
    assert rows(here, dataclasses.replace(after, host=host), "office")["relay.login-files"] is Status.FAIL


def test_entries_for_recipients_are_told() -> None:
    have = standing_host(ours=False, **{sending.BY_RECIPIENT: maps(transport={})})
    told = {c.name: c.observed for c in overruling.rows(site(), relaying.wanted(site(), have, "direct", {}), have, {})}
    assert "hash:/etc/postfix/transport" in told["relay.transport-maps"]
