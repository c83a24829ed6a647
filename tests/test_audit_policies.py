"""An MTA-STS policy is fetched as a sending server fetches it."""

from __future__ import annotations

import asyncio

import pytest
from scripts import Authority, Script

from runbooklib.audit import PolicyError, policies
from runbooklib.audit.policies import SilentPolicyError
from runbooklib.https import trusting

POLICY = "version: STSv1\nmode: testing\nmx: mail.lantern.example\nmax_age: 604800\n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


def answer(status: str = "200 OK", body: str = POLICY, *headers: str) -> str:
    length = len(body.replace("\n", "\r\n")) + 2
    return "\n".join([f"HTTP/1.1 {status}", f"Content-Length: {length}", *headers, "", body])


def read(authority: Authority, reply: str, host: str = "localhost") -> str:
    with Script([reply], tls=authority.serving(host), implicit=True) as server:
        return asyncio.run(policies.read(f"https://localhost:{server.port}/", trusting(authority.pem)))


def test_a_policy(authority: Authority) -> None:
    assert "mode: testing" in read(authority, answer())


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (answer("404 Not Found"), "HTTP 404"),
        (answer("301 Moved Permanently", POLICY, "Location: https://localhost/"), "HTTP 301"),  # RFC 8461 3.3
        (answer(body="x" * 70000), "more than 65536 octets"),
    ],
)
def test_what_is_no_policy_is_wrong(authority: Authority, reply: str, said: str) -> None:
    with pytest.raises(PolicyError, match=said) as raised:
        read(authority, reply)
    assert not isinstance(raised.value, SilentPolicyError)


def test_a_certificate_of_another_name_is_wrong(authority: Authority) -> None:
    with pytest.raises(PolicyError, match="does not verify") as raised:
        read(authority, answer(), "other.example")
    assert not isinstance(raised.value, SilentPolicyError)


def test_silence_proves_nothing(authority: Authority) -> None:
    with Script([]) as server:
        port = server.port
    with pytest.raises(SilentPolicyError):
        asyncio.run(policies.read(f"https://localhost:{port}/", trusting(authority.pem)))
