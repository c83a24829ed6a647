"""Mailboxes elsewhere: what a preset stands for, and how providers' own ways to log in are kept and told."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sites import given

from runbooklib import credentials
from runbooklib.credentials import Token
from runbooklib.params import ParamsError, Recipient, load
from runbooklib.params.recipients import PROVIDERS

SERVERS = [
    ("me@gmail.com", "gmail", "imap.gmail.com:993 me@gmail.com", "smtp.gmail.com:587 me@gmail.com"),
    ("1@qq.com", "qq", "imap.qq.com:993 1@qq.com", "smtp.qq.com:465 1@qq.com"),
    ("me@163.com", "163", "imap.163.com:993 me@163.com", "smtp.163.com:465 me@163.com"),
    ("me@126.com", "126", "imap.126.com:993 me@126.com", "smtp.126.com:465 me@126.com"),
    ("me@yeah.net", "yeah", "imap.yeah.net:993 me@yeah.net", "smtp.yeah.net:465 me@yeah.net"),
    ("me@live.com", "outlook", "outlook.office365.com:993 me@live.com", "smtp-mail.outlook.com:587 me@live.com"),
    ("me@own.org", "microsoft365", "outlook.office365.com:993 me@own.org", "smtp.office365.com:587 me@own.org"),
    ("me@yahoo.com", "yahoo", "imap.mail.yahoo.com:993 me@yahoo.com", "smtp.mail.yahoo.com:465 me@yahoo.com"),
    ("me@icloud.com", "icloud", "imap.mail.me.com:993 me", "smtp.mail.me.com:587 me@icloud.com"),
    ("me@fastmail.com", "fastmail", "imap.fastmail.com:993 me@fastmail.com", "smtp.fastmail.com:465 me@fastmail.com"),
]
NETEASE = {"163", "126", "yeah"}


def recipient(**them: Any) -> Recipient:
    return load(given(test={"recipients": [them]})).test.recipients[0]


def problems(**them: Any) -> str:
    with pytest.raises(ParamsError) as refused:
        recipient(**them)
    return str(refused.value)


def secret(preset: str) -> dict[str, str]:
    return {"password": "env:THEIRS"} if PROVIDERS[preset].password else {"oauth": "env:TOKEN"}


@pytest.mark.parametrize(("address", "preset", "imap", "submission"), SERVERS)
def test_a_preset_stands_for_both_services(address: str, preset: str, imap: str, submission: str) -> None:
    them = recipient(address=address, preset=preset, **secret(preset))
    assert them.imap
    assert them.submission
    assert f"{them.imap.host}:{them.imap.port} {them.imap.username}" == imap
    assert f"{them.submission.host}:{them.submission.port} {them.submission.username}" == submission
    assert str(them.imap.secret) == str(them.submission.secret) == next(iter(secret(preset).values()))
    assert them.imap.identify is (preset in NETEASE)


def test_every_preset_is_in_the_table() -> None:
    assert {preset for _, preset, _, _ in SERVERS} == set(PROVIDERS)


def test_a_token_stays_one() -> None:
    them = recipient(address="me@live.com", preset="outlook", oauth="env:TOKEN")
    assert them.imap
    assert them.imap.secret == Token("env:TOKEN")


def test_yaml_reads_a_preset_of_digits_as_a_number() -> None:
    them = recipient(address="me@163.com", preset=163, password="env:CODE")
    assert (them.preset, them.imap and them.imap.host) == ("163", "imap.163.com")


def test_what_is_written_out_beside_a_preset_counts() -> None:
    own = {"host": "imap.own.org", "port": 143, "username": "me", "password": "env:OTHER"}
    them = recipient(address="me@gmail.com", preset="gmail", password="env:THEIRS", imap=own)
    assert them.imap
    assert (them.imap.host, str(them.imap.secret)) == ("imap.own.org", "env:OTHER")
    assert them.submission
    assert them.submission.host == "smtp.gmail.com"


@pytest.mark.parametrize(
    ("them", "words"),
    [
        ({"address": "me@live.com", "preset": "outlook", "password": "env:P"}, "takes no passwords any more"),
        ({"address": "me@own.org", "preset": "microsoft365", "password": "env:P"}, "SMTP.Send"),
        ({"address": "me@qq.com", "preset": "qq", "oauth": "env:T"}, "takes no OAuth tokens"),
        ({"address": "me@qq.com", "preset": "qq"}, "needs an authorisation code"),
        ({"address": "me@gmail.com", "preset": "gmail"}, "needs an app password"),
        ({"address": "me@gmail.com", "preset": "gmail", "password": "env:P", "oauth": "env:T"}, "needs an app"),
        ({"address": "me@gmail.com", "password": "env:P"}, "add preset: gmail"),
        ({"address": "me@own.org", "oauth": "env:T"}, "add a preset of gmail, qq"),
        ({"address": "me@gmail.com", "preset": "gmial", "password": "env:P"}, "'gmail'"),
        ({"address": "me@gmail.com", "preset": "gmail", "password": "hunter2-hunter2"}, "never written here"),
        ({"address": "me@live.com", "preset": "outlook", "oauth": "eyJ0eXAi-literal"}, "never written here"),
        (
            {"address": "me@own.org", "imap": {"host": "imap.own.org", "port": 993, "username": "me"}},
            "either password or oauth",
        ),
    ],
)
def test_what_cannot_work_is_refused_with_what_to_do(them: dict[str, Any], words: str) -> None:
    said = problems(**them)
    assert words in said
    assert "hunter2" not in said
    assert "eyJ0" not in said


@pytest.mark.parametrize(("address", "preset", "imap", "submission"), SERVERS)
def test_the_archived_site_is_taken_again(address: str, preset: str, imap: str, submission: str) -> None:
    del imap, submission
    site = load(given(test={"recipients": [{"address": address, "preset": preset, **secret(preset)}]}))
    for dump in (site.model_dump(mode="json"), site.model_dump(mode="json", exclude_none=True), site.model_dump()):
        assert load(dump) == site
    assert str(load(site.model_dump(mode="json")).test.recipients[0].imap) == str(site.test.recipients[0].imap)


def test_the_summary_shows_references_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "ya29.0123456789-secret")
    site = load(given(test={"recipients": [{"address": "me@live.com", "preset": "outlook", "oauth": "env:TOKEN"}]}))
    told = str(site.summary()) + json.dumps(site.model_dump(mode="json")) + repr(site)
    assert "env:TOKEN" in told
    assert "ya29" not in told
    credentials.forget()


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("me@gmail.com", "preset: gmail and password:, an app password"),
        ("me@hotmail.com", "preset: outlook and an access token"),
        ("me@own.org", "look there by hand"),
    ],
)
def test_a_recipient_nobody_can_look_into_is_told_the_preset(address: str, words: str) -> None:
    assert words in recipient(address=address).advice
