"""Stage 01 on plain Postfix: what a fresh host is told, and when nothing is."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

import pytest
from sites import make

from runbooklib.host import CommandChange
from runbooklib.params import Site
from runbooklib.results import Plan
from runbooklib.servers.postfix import bootstrap, checking, dovecot, layout
from runbooklib.servers.postfix.editing import Content, Parameter, PostfixChange, Service
from runbooklib.servers.postfix.state import PACKAGES, FileFact, Listener, State

BARE = State(os={"ID": "debian", "VERSION_CODENAME": "trixie", "PRETTY_NAME": "Debian 13"})


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    for name in ("mail.pem", "mail.key"):
        (tmp_path / name).write_text(name)
    monkeypatch.setenv("HI_PASSWORD", "correct horse")
    monkeypatch.setenv("OFFICE_SMTP", "battery staple")
    files = {"certificate": str(tmp_path / "mail.pem"), "key": str(tmp_path / "mail.key")}
    return make(mail={"server": "postfix", "tls": files})


def applied(site: Site, have: State, plan: Plan) -> State:
    """What would stand after the plan, so far as plans read it."""
    parameters, services, files = dict(have.parameters), dict(have.services), dict(have.files)
    for change in plan:
        if isinstance(change, Parameter) and change.value is not None:
            parameters[change.name] = change.value
        if isinstance(change, Service) and change.entry is not None:
            services[change.name] = change.entry
        if isinstance(change, Content) and change.content is not None:
            name = change.path.removeprefix(f"{site.mail.directory}/")
            digest = hashlib.sha256(change.content).hexdigest()
            files[name] = FileFact(digest, change.mode, change.owner, change.content.decode())
    return dataclasses.replace(
        have,
        syslog=True,
        packages=dict.fromkeys(PACKAGES, "1"),
        parameters=parameters,
        services=services,
        dovecot=(2, 4),
        files=files,
        mailboxes=frozenset(site.mailboxes),
        running=frozenset({"master", "dovecot", "opendmarc"}),
        enabled=frozenset({"postfix", "dovecot", "opendmarc"}),
        vmail=True,
    )


def test_a_bare_host_gets_everything_in_an_order_that_works(site: Site) -> None:
    targets = [c.target for c in bootstrap.plan(site, BARE) if not isinstance(c, Parameter | Service | Content)]
    assert targets[0].startswith("postfix, ")
    assert targets[1:] == [
        "service inetutils-syslogd",
        "user vmail",
        "mailbox hi@lantern.example",
        "Postfix and Dovecot",
        "service dovecot",
        "service opendmarc",
        "service postfix",
    ]


def test_a_host_that_has_it_needs_nothing_and_another_mailbox_is_one_more_step(site: Site) -> None:
    have = applied(site, BARE, bootstrap.plan(site, BARE))
    assert list(bootstrap.plan(site, have)) == []
    boxes = [*site.model_dump(mode="json")["domains"][0]["mailboxes"]]
    boxes.append({"address": "ada@lantern.example", "password": "env:HI_PASSWORD"})
    more = make(
        mail=site.mail.model_dump(mode="json", exclude_none=True),
        domains__0__mailboxes=[{k: v for k, v in box.items() if v} for box in boxes],
    )
    targets = [c.target.rpartition("/")[2] for c in bootstrap.plan(more, have)]
    assert targets == ["mailbox ada@lantern.example", "Postfix and Dovecot", "aliases", "mailboxes", "owners"]


def test_a_host_that_serves_already_is_left_alone(site: Site) -> None:
    serving = dataclasses.replace(BARE, parameters={"virtual_mailbox_domains": "hash:/etc/postfix/domains"})
    assert list(bootstrap.plan(site, serving)) == []
    assert bootstrap.plan(site, serving).refusals == ()


def test_a_port_held_by_another_program_is_said_before_anything_is_touched(site: Site) -> None:
    taken = dataclasses.replace(BARE, listeners=(Listener("*", 25, "docker-proxy"), Listener("127.0.0.1", 587, "x")))
    assert bootstrap.plan(site, taken).refusals == (
        "docker-proxy listens on port 25: stop it, or name in mail.server what serves mail here",
    )


def test_a_certificate_is_asked_for_where_the_host_has_only_the_one_for_tests() -> None:
    own = make(mail={"server": "postfix"})
    assert "mail.tls" in bootstrap.plan(own, BARE).refusals[0]
    snakeoil = {
        "smtpd_tls_cert_file": "/etc/ssl/certs/ssl-cert-snakeoil.pem",
        "smtpd_tls_key_file": "/etc/ssl/private/x",
    }
    assert bootstrap.plan(own, dataclasses.replace(BARE, parameters=snakeoil)).refusals
    real = {"smtpd_tls_cert_file": "/etc/ssl/m.pem", "smtpd_tls_key_file": "/etc/ssl/m.key"}
    there = dataclasses.replace(BARE, parameters=real)
    assert bootstrap.plan(own, there).refusals == ()
    assert "smtpd_tls_cert_file" not in layout.main_cf(own, real)
    assert "ssl_server_cert_file = /etc/ssl/m.pem" in dovecot.config(own, (2, 4), *layout.certificate_files(own, real))


def test_the_mail_server_that_goes_is_named(site: Site) -> None:
    exim = dataclasses.replace(BARE, packages={"exim4-daemon-light": "4.98"})
    assert bootstrap.plan(site, exim).changes[0].after == "installed; exim4-daemon-light goes"


@pytest.mark.parametrize(("systemd", "word"), [(True, "systemctl enable --now"), (False, "update-rc.d")])
def test_services_start_with_and_without_systemd(site: Site, *, systemd: bool, word: str) -> None:
    have = dataclasses.replace(BARE, systemd=systemd, syslog=systemd)
    commands = [c.argv for c in bootstrap.plan(site, have) if isinstance(c, CommandChange) and "service" in c.target]
    assert all(word in argv[2] for argv in commands)
    assert len(commands) == (3 if systemd else 4)


def test_no_plan_shows_a_password_or_carries_it_in_arguments(site: Site) -> None:
    plan = bootstrap.plan(site, BARE)
    argv = " ".join(word for c in plan if isinstance(c, CommandChange) for word in c.argv)
    assert "correct horse" not in str(plan) + json.dumps(plan.data()) + repr(plan) + argv


def test_each_mailbox_answers_itself_before_the_catch_all_also_where_params_do_not_name_it(site: Site) -> None:
    told = layout.maps(site, ["old@lantern.example"])
    aliases = told[layout.ALIASES].splitlines()[1:]
    assert {"hi@lantern.example hi@lantern.example", "old@lantern.example old@lantern.example"} < set(aliases)
    assert aliases[-1] == "@lantern.example hi@lantern.example"
    assert "root@mail.lantern.example hi@lantern.example" in aliases
    assert "old@lantern.example old@lantern.example" in told[layout.MAILBOXES]
    assert told[layout.REFUSED].splitlines()[1:] == ["leaked@lantern.example 550 5.1.1 User unknown"]


def test_who_may_send_as_whom(site: Site) -> None:
    owners = layout.owners(site, ["hi@lantern.example", "old@lantern.example"])
    assert owners["sales@lantern.example"] == owners["@lantern.example"] == "hi@lantern.example"
    assert owners["old@lantern.example"] == "old@lantern.example"


def test_no_login_on_port_25_and_none_before_tls(site: Site) -> None:
    parameters, services = layout.main_cf(site, {}), layout.master_cf(site)
    assert "smtpd_sasl_auth_enable" not in parameters
    assert parameters["smtpd_tls_auth_only"][0] == "yes"
    assert "permit_sasl" not in parameters["smtpd_relay_restrictions"][0]
    assert "smtpd_tls_security_level=encrypt" in services["submission/inet"][0]
    assert "smtpd_tls_wrappermode=yes" in services["submissions/inet"][0]
    for name in ("submission/inet", "submissions/inet"):
        assert "reject_authenticated_sender_login_mismatch" in services[name][0]
        assert "permit_sasl_authenticated,reject " in services[name][0]


@pytest.mark.parametrize(("kind", "words"), [("none", ""), ("dnsbl", "permit_mynetworks, reject_rbl_client zen")])
def test_a_block_list_is_asked_only_where_params_say_so(site: Site, kind: str, words: str) -> None:
    mail = site.mail.model_copy(update={"filter": kind})
    told = layout.main_cf(site.model_copy(update={"mail": mail}), {})["smtpd_recipient_restrictions"][0]
    assert told.startswith(words)
    assert bool(told) is bool(words)


@pytest.mark.parametrize(
    ("version", "own", "others"),
    [
        (
            (2, 3),
            ("ssl_cert = </c.pem", "disable_plaintext_auth = yes", "driver = passwd-file"),
            "dovecot_config_version",
        ),
        ((2, 4), ("ssl_server_cert_file = /c.pem", "auth_allow_cleartext = no", "passdb passwd-file {"), "ssl_cert ="),
    ],
)
def test_dovecot_is_told_in_its_own_grammar(
    site: Site, version: tuple[int, ...], own: tuple[str, ...], others: str
) -> None:
    text = dovecot.config(site, version, "/c.pem", "/c.key")
    assert all(line in text for line in (*own, "ssl = required", "private/dovecot-lmtp", "private/auth"))
    assert others not in text
    assert text.count("{") == text.count("}")


@pytest.mark.parametrize(
    ("codename", "line"), [("bookworm", "ssl_cert ="), ("noble", "ssl_cert ="), ("trixie", "ssl_server")]
)
def test_before_dovecot_is_installed_its_version_is_known_by_the_release(site: Site, codename: str, line: str) -> None:
    (step,) = [
        c for c in bootstrap.plan(site, State(os={"VERSION_CODENAME": codename})) if isinstance(c, PostfixChange)
    ]
    (told,) = [e.content for e in step.edits if isinstance(e, Content) and e.path == dovecot.CONFIG]
    assert told is not None
    assert line in told.decode()


DKIM, RSPAMD = "inet:127.0.0.1:8891", "inet:127.0.0.1:11332"


@pytest.mark.parametrize(
    ("standing", "first", "then"),
    [
        ("", checking.MILTER, f"{DKIM}, {checking.MILTER}"),
        (DKIM, f"{DKIM}, {checking.MILTER}", f"{DKIM}, {DKIM}, {checking.MILTER}"),
        (RSPAMD, f"{RSPAMD}, {checking.MILTER}", f"{RSPAMD}, {DKIM}, {checking.MILTER}"),
        (f"{DKIM}, {checking.MILTER}", f"{DKIM}, {checking.MILTER}", f"{DKIM}, {DKIM}, {checking.MILTER}"),
    ],
)
def test_opendmarc_stands_behind_whoever_looks_at_signatures(standing: str, first: str, then: str) -> None:
    made = checking.milters(standing)
    assert made == first
    assert checking.milters(made) == made
    assert checking.before(DKIM, made) == then


@pytest.mark.parametrize(("standing", "then"), [("", DKIM), (RSPAMD, f"{RSPAMD}, {DKIM}")])
def test_a_signer_stands_last_where_there_is_no_opendmarc(standing: str, then: str) -> None:
    assert checking.before(DKIM, standing) == then


def test_opendmarc_signs_its_results_with_the_name_of_the_host(site: Site) -> None:
    text = checking.config(site)
    assert text.count("mail.lantern.example") == 2
    assert "inet:8893@127.0.0.1" in text
