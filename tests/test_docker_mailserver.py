"""docker-mailserver's plans: what a bare server needs, and that a server that has it needs nothing."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from pathlib import Path

import pytest
from sites import make

from runbooklib.host import Answer, CommandChange, FileChange
from runbooklib.params import Site
from runbooklib.results import Plan
from runbooklib.servers import materials
from runbooklib.servers.docker_mailserver import bootstrap, layout, state, switching
from runbooklib.servers.docker_mailserver.state import Container, FileFact, State
from runbooklib.servers.engine import Engine
from runbooklib.servers.standing import Standing

BARE = State(Engine({"ID": "debian", "VERSION_ID": "13", "PRETTY_NAME": "Debian 13"}, systemd=True))
READY = Engine(BARE.engine.os, systemd=True, version="28.0", installed=True, compose="2.35", enabled=True)
PUBLIC = "v=DKIM1; h=sha256; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQ"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    certificate, key = tmp_path / "mail.pem", tmp_path / "mail.key"
    certificate.write_text("CERT")
    key.write_text("KEY")
    monkeypatch.setenv("HI_PASSWORD", "correct horse")
    monkeypatch.setenv("OFFICE_SMTP", "battery staple")
    return make(mail__tls={"certificate": str(certificate), "key": str(key)})


def applied(site: Site, have: State, plan: Plan) -> State:
    """What would stand after the plan, so far as plans read it."""
    files = dict(have.files)
    prefix = site.mail.directory + "/"
    for change in plan:
        if isinstance(change, FileChange):
            text = change.content.decode()
            files[change.path.removeprefix(prefix)] = FileFact(
                hashlib.sha256(change.content).hexdigest(), change.mode, change.owner, text
            )
    label = re.search(rf"{layout.DIGEST}: '?([0-9a-f]+)", files[layout.COMPOSE].text or "")
    assert label
    keys = {(d.name, d.dkim.selector): PUBLIC for d in site.domains}
    return State(
        engine=READY,
        files=files,
        folders=frozenset(state.FOLDERS),
        container=Container("c" * 64, site.mail.image, "running", "healthy", 0, label[1]),
        image=True,
        mailboxes=frozenset(site.mailboxes),
        keys=keys,
        live=frozenset(keys),
    )


def routes(site: Site, have: State) -> Plan:
    """The switch of every domain, mail without a sender by the same relay."""
    return switching.plan(site, Standing(have, {}), "office", {}, ())


def test_a_bare_server_gets_everything_in_an_order_that_works(site: Site) -> None:
    targets = [c.target for c in bootstrap.plan(site, BARE)]
    wanted = [
        "Docker Engine",
        "Docker service",
        "docker-mailserver:15",  # before any file: an image that cannot be had leaves nothing half done
        "compose.yaml",
        "mailbox hi@",
        "DKIM key",
        "container",
    ]
    places = [next(i for i, t in enumerate(targets) if want in t) for want in wanted]
    assert places == sorted(places)


def test_a_server_that_has_it_needs_nothing(site: Site) -> None:
    have = applied(site, BARE, bootstrap.plan(site, BARE))
    assert list(bootstrap.plan(site, have)) == []


def test_the_switch_to_the_relay_settles_and_01_leaves_it_alone(site: Site) -> None:
    have = applied(site, BARE, bootstrap.plan(site, BARE))
    switch = routes(site, have)
    assert [c.target.rpartition("/")[2] for c in switch] == [
        "postfix-sasl-password.cf",
        "compose.yaml",
        "postfix-main.cf",
        "mailserver.env",
        "container mailserver",  # stopped: no mail may leave by the new map before the new policy holds
        "postfix-relaymap.cf",
        "container mailserver",
    ]
    after = applied(site, have, switch)
    assert not routes(site, after)
    assert list(bootstrap.plan(site, after)) == []


def test_a_relays_own_ca_makes_01_and_02_agree_on_the_container(site: Site, tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    ca.write_text("CA")
    relays = {"office": site.relays["office"].model_copy(update={"ca": str(ca)})}
    private = site.model_copy(update={"relays": relays})
    have = applied(private, BARE, bootstrap.plan(private, BARE))
    after = applied(private, have, routes(private, have))
    assert layout.RELAY_CA in after.files
    assert not bootstrap.plan(private, after)
    assert not routes(private, after)


def test_no_plan_shows_a_password(site: Site) -> None:
    have = applied(site, BARE, bootstrap.plan(site, BARE))
    for plan in (bootstrap.plan(site, BARE), routes(site, have)):
        shown = str(plan) + json.dumps(plan.data()) + repr(plan)
        assert "correct horse" not in shown
        assert "battery staple" not in shown
        assert all("correct horse" not in " ".join(c.argv) for c in plan if isinstance(c, CommandChange))


def test_logins_are_for_root_only(site: Site) -> None:
    have = applied(site, BARE, bootstrap.plan(site, BARE))
    login = next(c for c in routes(site, have) if c.target.endswith(layout.LOGINS))
    assert isinstance(login, FileChange)
    assert login.mode == 0o600


def test_a_mailbox_is_added_in_the_running_container_and_seeded_where_none_runs(site: Site) -> None:
    have = applied(site, BARE, bootstrap.plan(site, BARE))
    lost = dataclasses.replace(have, mailboxes=frozenset())
    (added,) = bootstrap.plan(site, lost)
    assert isinstance(added, CommandChange)
    assert added.argv[:3] == ("docker", "exec", "-i")
    seeded = next(c for c in bootstrap.plan(site, BARE) if c.target.startswith("mailbox"))
    assert isinstance(seeded, CommandChange)
    assert "--entrypoint" in seeded.argv


def test_an_administrators_own_lines_stay(site: Site) -> None:
    own = FileFact("d", 0o644, "root:root", "# mine\nmessage_size_limit = 1\n")
    have = dataclasses.replace(BARE, files={layout.MAIN_CF: own})
    written = next(c for c in bootstrap.plan(site, have) if c.target.endswith(layout.MAIN_CF))
    assert isinstance(written, FileChange)
    assert written.content.startswith(b"# mine\nmessage_size_limit = 1\n# >>> 01-bootstrap")


def test_an_alias_of_other_hands_that_disagrees_stops_the_plan(site: Site) -> None:
    theirs = FileFact("d", 0o644, "root:root", "sales@lantern.example bob@lantern.example\n")
    plan = bootstrap.plan(site, dataclasses.replace(BARE, files={layout.VIRTUAL: theirs}))
    assert plan.refusals
    assert "sales@lantern.example" in plan.refusals[0]


def test_an_alias_of_other_hands_that_agrees_is_not_written_twice(site: Site) -> None:
    theirs = FileFact("d", 0o644, "root:root", "sales@lantern.example hi@lantern.example\n")
    plan = bootstrap.plan(site, dataclasses.replace(BARE, files={layout.VIRTUAL: theirs}))
    written = next(c for c in plan if c.target.endswith(layout.VIRTUAL))
    assert isinstance(written, FileChange)
    assert written.content.count(b"sales@") == 1
    assert not plan.refusals


def test_refusals_are_read_again_unless_the_container_is_made_anew(site: Site) -> None:
    have = applied(site, BARE, bootstrap.plan(site, BARE))
    domain = site.domains[0].model_copy(update={"refuse": ()})
    other = site.model_copy(update={"domains": (domain,)})
    assert [c.target.rpartition("/")[2] for c in bootstrap.plan(other, have)] == ["refuse.cf", "Postfix"]
    settings = other.model_copy(update={"mail": other.mail.model_copy(update={"filter": "dnsbl"})})
    targets = [c.target for c in bootstrap.plan(settings, have)]
    assert "container mailserver" in targets
    assert "Postfix" not in targets


def test_a_container_that_may_run_with_what_another_hand_wrote_is_made_anew(site: Site) -> None:
    have = applied(site, BARE, bootstrap.plan(site, BARE))
    edited = have.files[layout.MAIN_CF]
    other = dataclasses.replace(edited, digest="0" * 64, text=(edited.text or "").replace("vmailbox-self", "other"))
    plan = bootstrap.plan(site, dataclasses.replace(have, files={**have.files, layout.MAIN_CF: other}))
    assert [change.target for change in plan] == [state.path(site, layout.MAIN_CF), "container mailserver"]
    last = list(plan)[-1]
    assert isinstance(last, CommandChange)
    assert last.argv[-1] == "--force-recreate"


def test_a_stopped_container_is_brought_up(site: Site) -> None:
    have = applied(site, BARE, bootstrap.plan(site, BARE))
    assert have.container
    stopped = dataclasses.replace(have, container=dataclasses.replace(have.container, state="exited"))
    assert [c.target for c in bootstrap.plan(site, stopped)] == ["container mailserver"]


def test_01_makes_the_first_key_of_a_domain_and_leaves_the_next_to_03(site: Site) -> None:
    have = applied(site, BARE, bootstrap.plan(site, BARE))
    older = dataclasses.replace(have, keys={("lantern.example", "older"): PUBLIC}, live=frozenset())
    assert not bootstrap.plan(site, older)
    unreadable = dataclasses.replace(have, keys={}, private=frozenset({("lantern.example", "mail")}))
    assert not bootstrap.plan(site, unreadable)
    keyless = bootstrap.plan(site, dataclasses.replace(have, keys={}))
    assert [c.target for c in keyless] == ["DKIM key mail._domainkey.lantern.example", "container mailserver"]


def test_a_missing_certificate_file_is_named(site: Site) -> None:
    tls = site.mail.tls.model_copy(update={"certificate": "nowhere/mail.pem"})
    broken = site.model_copy(update={"mail": site.mail.model_copy(update={"tls": tls})})
    with pytest.raises(materials.MaterialError, match=r"nowhere/mail\.pem"):
        bootstrap.plan(broken, BARE)


INSPECT = json.dumps(
    [
        {
            "Id": "f" * 64,
            "State": {"Status": "running", "Health": {"Status": "healthy"}},
            "RestartCount": 2,
            "Config": {"Image": "x:15.1.0", "Labels": {layout.DIGEST: "abc"}},
        }
    ]
)
# From a run of 15.1.0: opendkim-genkey's file, two quoted strings in parentheses.
MAIL_TXT = """example.test/mail.txt:mail._domainkey\tIN\tTXT\t( "v=DKIM1; h=sha256; k=rsa; "
example.test/mail.txt:\t  "p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A"
example.test/mail.txt:\t  "MIIBCgKCAQEAuTywCj4+" )  ; ----- DKIM key mail for example.test"""


LIVE_TABLES = """mail._domainkey.example.test example.test:mail:/etc/opendkim/keys/example.test/mail.private
s2026._domainkey.other.test other.test:s2026:/etc/opendkim/keys/other.test/s2026.private
--
*@example.test mail._domainkey.example.test
*@other.test s2026._domainkey.other.test"""


def test_the_servers_answers_become_a_state() -> None:
    digest = "a" * 64
    facts = {
        "container": Answer(0, INSPECT),
        "image": Answer(0, "sha256:1"),
        "mailboxes": Answer(0, "hi@example.test\nbob@example.test"),
        "folders": Answer(0, "config\ncerts"),
        "keys": Answer(0, MAIL_TXT),
        "on disk": Answer(0, f"{digest}  example.test/mail.private"),
        "live": Answer(0, f"{digest}  example.test/mail.private"),
        "live tables": Answer(0, LIVE_TABLES),
        f"file {layout.ENV}": Answer(0, f"644 root:root\n{digest}  -\nQT0xCg=="),
        f"file {layout.LOGINS}": Answer(0, f"600 root:root\n{digest}  -"),
        f"file {layout.MAIN_CF}": Answer(1, "stat: cannot stat"),
    }
    have = state.parse(facts)
    assert have.container == Container("f" * 64, "x:15.1.0", "running", "healthy", 2, "abc")
    assert have.text(layout.ENV) == "A=1\n"
    assert have.text(layout.MAIN_CF) is None
    assert have.files[layout.LOGINS].mode == 0o600
    assert have.keys["example.test", "mail"].endswith("p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAuTywCj4+")
    assert have.live == have.private == {("example.test", "mail")}
    assert have.signing == {"example.test": "mail"}


def test_a_key_on_disk_that_differs_from_the_signers_is_not_live() -> None:
    facts = {
        "on disk": Answer(0, f"{'a' * 64}  example.test/mail.private"),
        "live": Answer(0, f"{'b' * 64}  example.test/mail.private"),
    }
    assert state.parse(facts).live == frozenset()
