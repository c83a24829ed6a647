"""The site model: what it takes, what it refuses, and that it says everything at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st
from sites import given, make

from runbooklib import credentials
from runbooklib.params import ParamsError, load

ROOT = Path(__file__).parents[1]


def problems(site: Any) -> dict[str, str]:
    with pytest.raises(ParamsError) as refused:
        load(site)
    return dict(refused.value.problems)


EXAMPLES = sorted(path.name for path in (ROOT / "params").glob("example-*.yaml"))


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_are_in_order_and_shown_whole(name: str) -> None:
    site = load(ROOT / "params" / name)
    told = str(site.summary())
    assert site.server.hostname in told
    assert load(site) is site


def test_everything_wrong_is_said_at_once_each_with_its_path() -> None:
    site = given(
        server__hostname="not a name",
        server__ipv6="203.0.113.1",
        mail__image="mailserver:latest",
        domains__0__mailboxes__0__password="hunter2-hunter2",
        relays__office__prot=587,
        dns={"publish": "rfc2136"},
    )
    said = problems(site)
    assert set(said) == {
        "server.hostname",
        "server.ipv6",
        "mail.image",
        "domains[0].mailboxes[0].password",
        "relays.office.prot",
        "dns",
    }
    assert "hunter2" not in str(said)


@pytest.mark.parametrize(
    ("changes", "path", "words"),
    [
        ({"server__ipv4": 198}, "server.ipv4", "quote it"),
        ({"server__hostname": True}, "server.hostname", "quote it"),
        ({"server__ipv4": "2001:db8::1"}, "server.ipv4", "saw one of IPv6"),
        ({"server__ssh": {"host_key": "aa:bb"}}, "server.ssh.host_key", "SHA256:"),
        ({"server__hostname": "lantern.example"}, "", "also a mail domain"),
        ({"mail__directory": "opt/mail"}, "mail.directory", "absolute path"),
        ({"mail__server": "sendmail"}, "mail.server", "docker-mailserver"),
        ({"domains": []}, "domains", "at least 1"),
        ({"domains__0__relay": "ofice"}, "", "'ofice' is not one of direct, office"),
        ({"domains__0__catch_all": "no@lantern.example"}, "", "is not a mailbox of this site"),
        ({"domains__0__refuse": ["hi@lantern.example"]}, "domains[0]", "more than one of"),
        ({"domains__0__refuse": ["x@other.example"]}, "domains[0]", "is not in lantern.example"),
        ({"domains__0__mailboxes": []}, "", "at least one mailbox"),
        ({"domains__0__dkim": {"size": 512}}, "domains[0].dkim.size", "1024"),
        ({"relays__office__username": "a:b"}, "relays.office", "colon"),
        ({"relays__office__password": None}, "relays.office", "username and password together"),
        ({"relays__office__port": 70000}, "relays.office.port", "65535"),
        ({"relays__office__provider": "mailgun"}, "relays.office.provider", "resend"),
        ({"dns": {"resolvers": ["dns.google"]}}, "dns.resolvers[0]", "IP address"),
        ({"name": "../up"}, "name", "lower-case"),
        ({"nam": "x"}, "nam", "not a known key"),
    ],
)
def test_what_is_wrong_is_refused_with_path_and_reason(changes: dict[str, Any], path: str, words: str) -> None:
    said = problems(given(**changes))
    assert words in said.get(path, ""), said


@pytest.mark.parametrize("text", ["- a\n- b\n", "{}", "site: 5", "site: {}\nmore: 1", "site: [unclosed", "\x00"])
def test_a_file_of_another_shape_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(text)
    assert problems(path)
    assert problems(tmp_path / "missing.yaml") == {"": "cannot be read: No such file or directory"}


def test_a_yaml_error_does_not_show_the_line_it_stands_in(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("site:\n  password: hunter2-hunter2: x: y\n")
    assert "hunter2" not in str(problems(path))


def test_a_site_survives_its_own_dump() -> None:
    site = make()
    assert load(site.model_dump(mode="json", exclude_none=True)) == site
    assert "env:OFFICE_SMTP" in json.dumps(site.model_dump(mode="json"))


def test_loading_learns_the_secrets_and_a_missing_one_waits_for_its_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OFFICE_SMTP", "open sesame")
    monkeypatch.delenv("HI_PASSWORD", raising=False)
    make()
    assert credentials.mask("it is open sesame") == "it is ‹env:OFFICE_SMTP›"
    credentials.forget()


def test_implicit_tls_follows_the_port() -> None:
    modes = {port: make(relays__office__port=port).relays["office"].mode for port in (465, 587, 2465, 2525)}
    assert modes == {465: "implicit", 587: "starttls", 2465: "implicit", 2525: "starttls"}


def test_presets_fill_in_what_a_provider_is_known_by() -> None:
    site = make(relays__office={"provider": "resend", "password": "env:K", "api_key": "env:A"})
    relay = site.relays["office"]
    assert (relay.host, relay.username, relay.return_path) == ("smtp.resend.com", "resend", "send")


@pytest.mark.parametrize("spf", ["include:spf.example.net", "a mx include:spf.example.net", "ip4:192.0.2.0/24"])
def test_a_relay_names_its_pool_by_one_mechanism_or_more(spf: str) -> None:
    assert load(given(relays__office__spf=spf)).relays["office"].spf == spf


@pytest.mark.parametrize("spf", ["-all", "include:x.example ~all", "include:", "redirect=x.example", "x.example", " "])
def test_what_would_break_the_spf_record_is_refused(spf: str) -> None:
    assert problems(given(relays__office__spf=spf))["relays.office.spf"].startswith("expected SPF mechanisms")


@settings(max_examples=40)
@drawn(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda v: st.lists(v) | st.dictionaries(st.text(), v)
    )
)
def test_whatever_stands_under_site_gives_problems_and_never_another_error(node: Any) -> None:
    site = given()
    site["domains"] = node
    assert problems(site)


@drawn(st.text(min_size=1, max_size=40))
def test_a_literal_secret_is_refused_and_never_repeated(secret: str) -> None:
    if credentials.FORM.match(secret):
        return
    said = problems(given(relays__office__password=secret))
    assert said["relays.office.password"].startswith("a secret is never written here")


@pytest.mark.parametrize("path", sorted((ROOT / "params").glob("rehearsal*.yaml")), ids=lambda path: path.stem)
def test_rehearsals_use_testbed_references_only(path: Path) -> None:
    text = path.read_text()
    assert "env:" not in text
    assert "198.18" not in text
    site = yaml.safe_load(text)["site"]
    assert site["server"]["host"] in {"testbed:server.ipv4", "testbed:mailcow.ipv4"}
