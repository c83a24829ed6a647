"""What params say of the three mail servers, and what each of them refuses."""

from __future__ import annotations

from typing import Any

import pytest
from sites import given

from runbooklib.params import ParamsError, load

COW = {"server": "mailcow", "url": "https://mail.lantern.example", "api_key": "env:MAILCOW_API_KEY"}
FILES = {"certificate": "certs/mail.pem", "key": "certs/mail.key"}


def said(mail: dict[str, Any], **changes: Any) -> str:
    with pytest.raises(ParamsError) as refused:
        load(given(mail=mail, **changes))
    return str(refused.value)


def test_the_short_case_of_each() -> None:
    cow = load(given(mail=COW))
    assert (cow.mail.tls.mode, cow.mail.directory, cow.mail.over_ssh) == ("existing", "/opt/mailcow-dockerized", False)
    assert load(given(mail=COW | {"tag": "2026-07a"})).mail.over_ssh
    plain = load(given(mail={"server": "postfix", "tls": FILES}))
    assert (plain.mail.tls.mode, plain.mail.directory, plain.mail.image) == ("manual", "/etc/postfix/runbook", "")
    assert load(given(mail={"server": "postfix"})).mail.tls.mode == "existing"


def test_mailcows_selector_is_the_one_it_makes_by_itself() -> None:
    assert load(given(mail=COW)).domains[0].dkim.selector == "dkim"
    assert load(given(mail=COW, domains__0__dkim={"selector": "own"})).domains[0].dkim.selector == "own"
    assert load(given()).domains[0].dkim.selector == "mail"


def test_ssh_connects_to_the_address_of_mail_where_nothing_else_is_named() -> None:
    site = given()
    del site["server"]["host"]
    assert load(site).server.host == site["server"]["ipv4"]


@pytest.mark.parametrize("mail", [COW, COW | {"tag": "2026-07a"}, {"server": "postfix", "tls": FILES}])
def test_a_site_of_any_server_survives_its_own_dump(mail: dict[str, Any]) -> None:
    site = load(given(mail=mail))
    assert load(site.model_dump(mode="json", exclude_none=True)) == site


@pytest.mark.parametrize(
    ("mail", "words"),
    [
        (COW | {"image": "mailcow:1"}, "image: not for server: mailcow"),
        (COW | {"filter": "dnsbl"}, "filter: not for server: mailcow"),
        (COW | {"tag": "latest"}, "a release of mailcow such as 2026-07a"),
        (COW | {"tls": FILES}, "gets and renews its own certificate"),
        (COW | {"api_key": "AAAAAA-BBBBBB"}, "a secret is never written here"),
        (COW | {"url": "http://mail.lantern.example"}, "such as https://api.example.org"),
        ({"server": "mailcow", "url": COW["url"]}, "needs url and api_key"),
        ({"server": "postfix", "url": COW["url"]}, "url: not for server: postfix"),
        ({"server": "postfix", "filter": "spamassassin"}, "the filters none and dnsbl"),
        ({"server": "postfix", "tls": {"certificate": "certs/mail.pem"}}, "needs certificate and key"),
        ({"server": "docker-mailserver", "directory": "/opt/mail"}, "tls: field required"),
        ({"server": "docker-mailserver", "directory": "/opt/mail", "tls": {}}, "needs certificate and key"),
        ({"server": "docker-mailserver", "directory": "/opt/mail", "tls": FILES, "tag": "2026-07a"}, "tag: not for"),
        ({"server": "postfix", "tls": {"mode": "existing", **FILES}}, "take certificate and key out"),
    ],
)
def test_what_does_not_fit_a_server_is_refused_with_its_reason(mail: dict[str, Any], words: str) -> None:
    assert words in said(mail)


def test_mailcow_takes_no_relay_that_begins_with_tls() -> None:
    words = said(COW, relays__office__port=465)
    assert "relays.office: mailcow speaks no implicit TLS to a relay (port 465)" in words
    assert "587, 2525 or 2587" in words


@pytest.mark.parametrize("mail", [COW, {"server": "postfix"}])
def test_forwards_need_a_server_that_gives_them_a_name_of_ours(mail: dict[str, Any]) -> None:
    out = {"away@lantern.example": "someone@example.org"}
    assert "MAIL FROM" in said(mail, domains__0__aliases=out, domains__0__forward="direct")


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080", "http://127.77.0.1", "http://[::1]:80", "http://10.0.0.5"])
def test_without_tls_only_where_nobody_else_listens(url: str) -> None:
    assert load(given(mail=COW | {"url": url + "/"})).mail.url == url
    assert "such as https" in said(COW | {"url": "http://9.9.9.9"})


def test_plain_postfix_takes_no_quota() -> None:
    boxes = [{"address": "hi@lantern.example", "password": "env:HI_PASSWORD", "quota": "5G"}]
    assert "quota of hi@lantern.example" in said({"server": "postfix", "tls": FILES}, domains__0__mailboxes=boxes)
