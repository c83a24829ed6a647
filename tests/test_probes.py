"""What 06 sees from outside, against small real servers, and what it reads of a log."""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
import sites
from scripts import START_TLS, Authority, Script

from runbooklib import maillog
from runbooklib.endpoint import Endpoint, GreetingError, UnreachableError
from runbooklib.probes import mailflow, outside, postfix
from runbooklib.probes.gathering import expectations

HOST = "mail.lantern.example"
HELLO = ["220 hi", "250-x\n250 STARTTLS"]
BOUNCED = "status=bounced (host r[192.0.2.1] said: 550 5.7.1 not verified)"
TLS = [*HELLO, "220 go ahead", START_TLS, "250 x"]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


def nobody() -> int:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        return int(closed.getsockname()[1])


def test_an_open_port_says_its_banner_and_a_refused_one_that_it_is() -> None:
    with Script(HELLO) as script:
        seen = outside.port(Endpoint(HOST, script.port, "starttls"), "127.0.0.1")
    assert seen == {"state": "open", "banner": "220 hi"}
    assert outside.port(Endpoint(HOST, nobody(), "starttls"), "127.0.0.1")["state"] == "refused"


def test_the_days_a_certificate_has_left(authority: Authority) -> None:
    with Script(TLS, authority.serving(HOST, 12)) as script:
        seen = outside.tls(Endpoint(HOST, script.port, "starttls", authority.pem), "127.0.0.1")
    assert seen == {"days": 11}  # whole days


@pytest.mark.parametrize(("name", "days", "reason"), [(HOST, -1, "expired"), ("x.example", 9, "wrong name")])
def test_why_a_client_refuses_a_certificate(authority: Authority, name: str, days: int, reason: str) -> None:
    with Script(TLS, authority.serving(name, days)) as script:
        seen = outside.tls(Endpoint(HOST, script.port, "starttls", authority.pem), "127.0.0.1")
    assert seen["refused"] == reason


def test_a_certificate_of_an_unknown_ca(authority: Authority, tmp_path: Path) -> None:
    with Script(TLS, Authority(tmp_path, "other").serving(HOST)) as script:
        seen = outside.tls(Endpoint(HOST, script.port, "starttls", authority.pem), "127.0.0.1")
    assert seen["refused"] == "unknown CA"


def test_no_tls_is_told_apart_from_no_answer() -> None:
    with Script(["220 hi", "250 x"]) as script:
        assert outside.tls(Endpoint(HOST, script.port, "starttls"), "127.0.0.1")["refused"] == "no STARTTLS"
    with Script(HELLO) as script:
        assert outside.tls(Endpoint(HOST, script.port, "implicit"), "127.0.0.1")["refused"] == "no TLS"
    with Script(["421 busy"]) as script, pytest.raises(GreetingError):
        outside.tls(Endpoint(HOST, script.port, "starttls"), "127.0.0.1")
    with pytest.raises(UnreachableError):
        outside.tls(Endpoint(HOST, nobody(), "starttls"), "127.0.0.1")


def test_port_25_is_tried_only_where_params_allow_it() -> None:
    assert 25 not in {where.port for where in outside.endpoints(sites.make())}
    assert 25 in {where.port for where in outside.endpoints(sites.make(test={"smtp25": True}))}


def test_only_what_is_recent_and_notable_of_a_log_is_kept() -> None:
    now = datetime(2026, 11, 21, 20, 0, tzinfo=UTC)
    lines = [
        "2026-11-21T19:00:00+00:00 mail postfix/smtpd[1]: warning: an hour ago",
        "2026-11-21T19:59:00+00:00 mail postfix/smtpd[1]: connect from unknown[192.0.2.1]",
        "2026-11-21T19:59:00+00:00 mail opendkim[1]: 8B89B23E915: no signing table match for 'x@other.example'",
        "Nov 21 01:00:00 mail dovecot: imap: Error: no year and no zone, so taken for recent",
        f"2026-11-21T19:59:00+00:00 mail postfix/smtp[1]: 8B89B23E915: to=<a@b.example>, relay=r, dsn=5.7.1, {BOUNCED}",
    ]
    seen = mailflow.digest(maillog.parse("\n".join(lines)), now - timedelta(minutes=15))
    assert [line.partition(":")[0] for line in seen["lines"]] == ["opendkim", "dovecot"]
    assert seen["bounced"] == {"host r[192.0.2.1] said: 550 5.7.1 not verified": 1}


@pytest.mark.parametrize(
    ("stamp", "kept"),
    [("Nov 21 21:59:00", True), ("Nov 21 21:01:00", False), ("Nov 21 20:59:00", False), ("Dec 31 23:59:00", False)],
)
def test_a_stamp_without_a_year_is_read_in_the_servers_own_time(stamp: str, kept: bool) -> None:
    since, zone = datetime(2026, 11, 21, 20, 45, tzinfo=UTC), timezone(timedelta(hours=1))
    [event] = maillog.parse(f"{stamp} mail postfix/smtpd[1]: warning: x")
    assert bool(mailflow.recent([event], since, zone)) == kept
    assert mailflow.recent([event], since) == [event]


CONFIGURED = """\
alias_maps = hash:/etc/aliases
virtual_alias_maps = texthash:/etc/postfix/runbook/aliases, pcre:/etc/postfix/rules
smtp_sasl_password_maps = lmdb:/etc/postfix/logins proxy:mysql:/etc/postfix/sql.cf
smtpd_milters = inet:localhost:8891, { unix:opendmarc/opendmarc.sock, default_action=accept } inet:other.example:11332
virtual_transport = lmtp:unix:private/dovecot-lmtp
smtpd_sasl_type = dovecot
submission/inet/smtpd_sasl_path = private/auth
"""


def test_the_files_that_postfix_is_told_to_use() -> None:
    assert postfix.files(CONFIGURED) == {
        "/etc/aliases.db": "hash:/etc/aliases",
        "/etc/postfix/runbook/aliases": "texthash:/etc/postfix/runbook/aliases",
        "/etc/postfix/rules": "pcre:/etc/postfix/rules",
        "/etc/postfix/logins.lmdb": "lmdb:/etc/postfix/logins",
    }


def test_whether_somebody_listens_where_postfix_turns_to() -> None:
    paths = ["/var/spool/postfix/private/auth", "private/smtp", "/run/opendmarc.sock"]
    assert postfix.hearing(postfix.wanted(CONFIGURED), paths, [25, 8891]) == {
        "milter inet:localhost:8891": True,
        "milter unix:opendmarc/opendmarc.sock": False,  # another host's milter is not looked for here
        "lmtp unix:private/dovecot-lmtp": False,
        "login unix:private/auth": True,
    }


def test_more_than_a_warning() -> None:
    said = "postconf: warning: x.cf: unused parameter: y=z\npostmap: fatal: bad numeric configuration: a = b"
    assert postfix.fatal(said) == ["postmap: fatal: bad numeric configuration: a = b"]


def test_each_server_has_its_ports() -> None:
    assert [where.port for where in outside.endpoints(sites.make())] == [143, 465, 587, 993]
    plain = sites.make(mail={"server": "postfix"}, test={"smtp25": True})
    assert [where.port for where in outside.endpoints(plain)] == [25, 587, 993]


def test_what_rules_expect_comes_from_params() -> None:
    told = expectations(sites.make())
    assert told["domains"] == [
        {
            "name": "lantern.example",
            "next_hop": "[smtp.example.net]:587",
            "spf": "include:spf.example.net",
            "spf_at": "lantern.example",
        }
    ]
    own_path = expectations(sites.make(relays__office__return_path="send"))
    assert own_path["domains"][0]["spf_at"] == "send.lantern.example"  # such a relay is judged at its return path
    assert expectations(sites.make(domains__0__relay="direct"))["domains"][0]["next_hop"] == ""
