"""What 06 sees from outside, against small real servers, and what it reads of a log."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import sites
from scripts import SILENCE, START_TLS, Authority, Script

from runbooklib.endpoint import Endpoint, GreetingError, UnreachableError
from runbooklib.probes import outside, postfix
from runbooklib.probes.gathering import expectations

HOST = "mail.lantern.example"
HELLO = ["220 hi", "250-x\n250 STARTTLS"]
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
    assert (seen["state"], seen["banner"]) == ("open", "220 hi")
    assert 0 <= seen["connected"] <= seen["greeted"]
    assert outside.port(Endpoint(HOST, nobody(), "starttls"), "127.0.0.1")["state"] == "refused"


def test_what_this_machine_cannot_try_is_no_state_of_the_port() -> None:
    with pytest.raises(UnreachableError, match="unreachable"):  # no route leads to a group of hosts over TCP
        outside.port(Endpoint(HOST, 587, "starttls"), "224.0.0.1")


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
    with (
        Script([*HELLO, "220 go ahead", SILENCE]) as script,
        pytest.raises(GreetingError, match="no TLS answer in time"),
    ):
        outside.tls(Endpoint(HOST, script.port, "starttls"), "127.0.0.1", 0.3)
    with pytest.raises(UnreachableError):
        outside.tls(Endpoint(HOST, nobody(), "starttls"), "127.0.0.1")


def test_port_25_is_tried_only_where_params_allow_it() -> None:
    assert 25 not in {where.port for where in outside.endpoints(sites.make())}
    assert 25 in {where.port for where in outside.endpoints(sites.make(test={"smtp25": True}))}


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
    (domain,) = told["domains"]
    assert (
        domain.items()
        >= {
            "name": "lantern.example",
            "relay": "office",
            "next_hop": "[smtp.example.net]:587",
            "spf": "include:spf.example.net",
            "spf_at": "lantern.example",
        }.items()
    )
    assert told["addresses"] == ["hi@lantern.example", "leaked@lantern.example", "sales@lantern.example"]
    own_path = expectations(sites.make(relays__office__return_path="send"))
    assert own_path["domains"][0]["spf_at"] == "send.lantern.example"  # such a relay is judged at its return path
    assert expectations(sites.make(domains__0__relay="direct"))["domains"][0]["next_hop"] == ""
