"""The pure parts of the stand-in mail server."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbooklib.testbed.standin.mailserver import changes, commands, journal, maps, settings, sizes, usages
from runbooklib.testbed.standin.mailserver.databases import Database
from runbooklib.testbed.standin.mailserver.maps import Account, Alias

ADMIN = Account("admin@alder.example", "{SHA512-CRYPT}$6$x")
BOB = Account("bob@alder.example", "{SHA512-CRYPT}$6$y")
ADMIN_LINE = "admin@alder.example:{SHA512-CRYPT}$6$x:5000:5000::/var/mail/alder.example/admin/home::"
WORDS = st.text("abcdefgh.+-", min_size=1, max_size=8)
ADDRESSES = st.builds("{}@{}.example".format, WORDS, st.sampled_from(["alder", "birch", "cedar"]))
VHOSTS = st.lists(st.sampled_from(["alder.example", "birch.example", "cedar.example"]), unique=True)


@pytest.mark.skipif(shutil.which("numfmt") is None, reason="GNU coreutils' numfmt is what docker-mailserver asks")
@pytest.mark.parametrize(
    "kibibytes", [0, 1, 3, 9, 10, 99, 1000, 1023, 1024, 1025, 10_239, 10_240, 5_242_880, 1_048_575, 10**9]
)
def test_sizes_are_those_of_numfmt(kibibytes: int) -> None:
    printed = subprocess.run(
        ["numfmt", "--to=iec", str(kibibytes * 1024)], capture_output=True, text=True, check=True
    ).stdout
    assert sizes.iec(str(kibibytes)) == printed.strip()


def test_no_limit_is_a_tilde() -> None:
    assert sizes.iec("-") == "~"


def test_log_line_has_its_level_in_colour_and_column() -> None:
    line = journal.line("INFO", "addmailuser", "done", datetime(2026, 11, 21, 17, 9, 9, tzinfo=UTC))
    assert line == "2026-11-21 17:09:09+00:00 \x1b[94mINFO \x1b[0m addmailuser: done"


@pytest.mark.parametrize(
    ("hostname", "domain"),
    [("mail.alder.example", "alder.example"), ("alder.example", "alder.example"), ("a.b.c.example", "b.c.example")],
)
def test_domain_is_the_host_name_without_its_first_label(hostname: str, domain: str) -> None:
    assert settings.domain_of(hostname) == domain


def test_settings_take_values_from_files(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("s3cret\n")
    found = settings.from_environment(
        {
            "OVERRIDE_HOSTNAME": "mail.alder.example",
            "RELAY_PASSWORD__FILE": str(tmp_path / "password"),
            "UNKNOWN": "x",
        }
    )
    assert found["RELAY_PASSWORD"] == "s3cret"
    assert found["POSTMASTER_ADDRESS"] == "postmaster@alder.example"
    assert found["SSL_TYPE"] == ""
    assert "UNKNOWN" not in found


def test_services_that_are_missing_are_named_by_default_too() -> None:
    assert settings.missing_services({}) == ["ENABLE_AMAVIS"]
    assert settings.missing_services({"ENABLE_AMAVIS": "0", "ENABLE_RSPAMD": "1"}) == ["ENABLE_RSPAMD"]


# Tables


def test_userdb_line_carries_the_quota() -> None:
    (line,) = maps.userdb([ADMIN], {"admin@alder.example": "5G"})
    assert line == f"{ADMIN_LINE}userdb_quota_rule=*:bytes=5G"


def test_alias_of_one_account_becomes_a_user_with_its_password() -> None:
    made, refused = maps.alias_users(
        [ADMIN, BOB],
        [
            Alias("info@alder.example", "admin@alder.example,bob@alder.example"),
            Alias("far@alder.example", "someone@birch.example"),
            Alias("@alder.example", "admin@alder.example"),
            Alias("bob@alder.example", "bob@alder.example"),
        ],
        {},
    )
    assert made == [ADMIN_LINE.replace("admin@", "@", 1)]
    assert refused == ["bob@alder.example"]


@given(st.lists(ADDRESSES, unique=True))
def test_every_account_has_a_mailbox_a_user_and_its_domain(addresses: list[str]) -> None:
    known = [Account(address, "{X}x") for address in addresses]
    assert [line.split()[0] for line in maps.vmailbox(known)[1:]] == addresses
    assert [line.split(":")[0] for line in maps.userdb(known, {})] == addresses
    assert maps.domains(known, []) == sorted({address.split("@")[1] for address in addresses})


@given(VHOSTS, VHOSTS, VHOSTS)
def test_relay_host_serves_every_domain_not_mentioned(hosted: list[str], mapped: list[str], out: list[str]) -> None:
    own = [f"@{domain} [own.example]:587" for domain in mapped]
    lines = maps.relayhosts([*own, *(f"@{domain} " for domain in out)], hosted, "[relay.example]:25")
    assert lines[: len(own)] == own
    served = {line.split()[0].removeprefix("@") for line in lines[len(own) :]}
    assert served == set(hosted) - set(mapped) - set(out)
    assert all(line.endswith("    [relay.example]:25") for line in lines[len(own) :])


def test_environments_login_needs_both_halves() -> None:
    assert maps.logins(["@a.example u:p"], "[r.example]:587", "user", "") == ["@a.example u:p"]
    assert maps.logins([], "[r.example]:587", "user", "pass") == ["[r.example]:587    user:pass"]


# Databases


@given(st.lists(st.tuples(ADDRESSES, WORDS)))
def test_last_value_put_is_the_one_held(tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, str]]) -> None:
    database = Database(tmp_path_factory.mktemp("databases") / "x.cf", "|")
    for key, value in pairs:
        database.put(key, value)
    assert sorted(database.lines()) == sorted(f"{key}|{value}" for key, value in dict(pairs).items())


def test_comments_are_no_entries_and_stay(tmp_path: Path) -> None:
    database = Database(tmp_path / "x.cf", " ")
    database.path.write_text("# kept\n\na@x b")
    database.put("c@x", "d")
    database.drop("a@x")
    assert database.path.read_text() == "# kept\n\nc@x d\n"
    assert database.lines() == ["c@x d"]


def test_beginning_of_a_key_matches_and_a_dot_is_any_character(tmp_path: Path) -> None:
    database = Database(tmp_path / "x.cf", "|")
    database.append("admin@alder.example", "x")
    assert database.begins("adm")
    assert database.begins("admin@alder-example".replace("-", "."))
    assert not database.begins("dmin")
    assert not database.has("adm")


# The change detector and `setup`


def test_deleted_file_is_no_changed_file() -> None:
    assert changes.changed({"a": "1", "b": "2"}, {"a": "1"}) == set()
    assert changes.changed({"a": "1"}, {"a": "2", "b": "3"}) == {"a", "b"}


def test_every_command_has_a_usage() -> None:
    assert {script for script, _ in commands.COMMANDS.values()} == usages.USAGES.keys()
