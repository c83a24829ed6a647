"""The testbed's Resend and MXRoute: what their SMTP services take, make of a message, and remember."""

from __future__ import annotations

import json
import smtplib
import ssl
import time
from email.message import EmailMessage
from typing import Any

import httpx
import pytest
from rehearsed import Rehearsed, message

from runbooklib.testbed import snapshots
from runbooklib.testbed.state import Account

AUTHOR, FRIEND, NOBODY = "hi@lantern.example", "friend@stranger.example", "nobody@stranger.example"
BLOG, BOX = "blog.lantern.example", "no-reply@blog.lantern.example"
VERIFIED = {"id": "d-lantern", "status": "verified", "return_path": "send", "region": "us-east-1", "records": []}
PATIENCE = 60  # seconds for what Postfix does after it answered


def known(testbed: Rehearsed, host: str) -> dict[str, Any]:
    """What a provider remembers."""
    state: dict[str, Any] = json.loads(snapshots.accounts(testbed.root)[host])
    return state


def teach(testbed: Rehearsed, host: str, **changes: Any) -> None:
    """Has a provider know other things from now on."""
    every = snapshots.accounts(testbed.root)
    snapshots.reset_accounts(testbed.root, every | {host: json.dumps(json.loads(every[host]) | changes).encode()})


def session(testbed: Rehearsed, account: Account, port: int, *, login: bool = True) -> smtplib.SMTP:
    """A connection secured as the port asks for, the certificate checked against the name."""
    secured = testbed.tls()
    if port in {465, 2465}:
        client: smtplib.SMTP = _Implicit(account, port, secured)
    else:
        client = testbed.smtp(account, port, login=False)
        if port == smtplib.SMTP_PORT:  # which the helper leaves as strangers use it
            client.starttls(context=secured)
    if login:
        client.login(account.username, account.password)
    return client


class _Implicit(smtplib.SMTP_SSL):
    """TLS from the first byte, to an address that must show a name."""

    def __init__(self, account: Account, port: int, context: ssl.SSLContext) -> None:
        super().__init__(context=context, timeout=20)
        self._host = account.name
        self.connect(account.ipv4, port)


def events(testbed: Rehearsed, host: str) -> list[str]:
    """The last event of each message, once none is on its way."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        seen = [email["last_event"] for email in known(testbed, host)["emails"]]
        if "sent" not in seen:
            return seen
        time.sleep(0.2)
    raise AssertionError(f"still on its way after {PATIENCE} s: {seen}")


@pytest.fixture
def verified(clean: Rehearsed) -> Rehearsed:
    """Resend trusts lantern.example, and its zone says so."""
    key = known(clean, "resend")["dkim_public"]
    records = [
        ("send", "MX", "10 feedback-smtp.resend.example."),
        ("send", "TXT", '"v=spf1 include:resend.example ~all"'),
        ("resend._domainkey", "TXT", f'"p={key[:200]}" "{key[200:]}"'),
        ("_dmarc", "TXT", '"v=DMARC1; p=reject"'),
    ]
    assert clean.publish(*records) == "NOERROR"
    teach(clean, "resend", domains={"lantern.example": VERIFIED})
    return clean


@pytest.mark.parametrize(
    ("host", "port"),
    [
        ("relay", 25),
        *(("resend", p) for p in (25, 465, 587, 2465, 2587)),
        *(("mxroute", p) for p in (25, 465, 587, 2525)),
    ],
)
def test_a_login_is_taken_on_every_port_the_provider_documents(testbed: Rehearsed, host: str, port: int) -> None:
    with session(testbed, getattr(testbed.state, host), port) as client:
        assert client.noop()[0] == 250


@pytest.mark.parametrize("host", ["resend", "mxroute"])
def test_a_wrong_login_is_refused(testbed: Rehearsed, host: str) -> None:
    account = getattr(testbed.state, host)
    with session(testbed, account, 587, login=False) as client:
        assert client.mail(AUTHOR)[0] == 530
        client.rset()
        for user, password in ((account.username, "wrong"), ("someone", account.password)):
            with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
                client.login(user, password)
            assert refused.value.smtp_code == 535


@pytest.mark.parametrize("host", ["resend", "mxroute"])
def test_the_api_shows_a_certificate_for_its_address(testbed: Rehearsed, host: str) -> None:
    account = getattr(testbed.state, host)
    panel = {"X-Server": account.name, "X-Username": account.api_user, "X-API-Key": account.api_key}
    headers = {"Authorization": f"Bearer {account.api_key}"} | panel
    answer = httpx.get(f"{account.api}/domains", headers=headers, verify=testbed.tls())
    assert answer.status_code == 200
    assert "data" in answer.json()


def test_resend_takes_a_login_for_a_domain_it_has_not_verified_and_refuses_its_mail(clean: Rehearsed) -> None:
    with session(clean, clean.state.resend, 587) as client:
        code, text = client.mail(AUTHOR)
        assert (code, text.split(b".")[0]) == (550, b"The lantern")
        assert b"domain is not verified. Please, add and verify your domain on https://resend.com/domains" in text
        assert client.mail("")[0] == 501


def test_a_key_made_a_moment_ago_works_for_the_domain_it_is_bound_to_alone(clean: Rehearsed) -> None:
    key = {"id": "bound", "token": "re_bound", "permission": "sending_access", "domain_id": "d-pier"}
    domains = {"lantern.example": VERIFIED, "pier.example": VERIFIED | {"id": "d-pier"}}
    teach(clean, "resend", keys=[key], domains=domains)
    with session(clean, clean.state.resend, 587, login=False) as client:
        client.login("resend", "re_bound")
        assert client.mail("post@pier.example")[0] == 250
        client.rset()
        assert client.mail(AUTHOR) == (550, b"This API key is not authorized to send emails from lantern.example")


def test_resend_rewrites_signs_and_says_what_became_of_it(verified: Rehearsed) -> None:
    letter = message(AUTHOR, FRIEND, f"through resend {'x' * 60}")
    letter.replace_header("Date", "Fri, 20 Nov 2026 12:00:00 +0000")
    with session(verified, verified.state.resend, 587) as client:
        client.send_message(letter, AUTHOR, [FRIEND])
    arrived = verified.arrived("through resend")
    verdict = str(arrived["Authentication-Results"])
    assert "dkim=pass header.d=lantern.example header.s=resend" in verdict
    assert "dkim=pass header.d=resend.example header.s=ses" in verdict
    assert "spf=pass" in verdict
    assert "dmarc=pass" in verdict
    assert str(arrived["Return-Path"]).endswith("@send.lantern.example>")
    assert str(arrived["Message-ID"]).endswith("@email.resend.example>")
    assert arrived["Message-ID"] != letter["Message-ID"]
    assert arrived["Date"].datetime > letter["Date"].datetime
    assert arrived["X-Signed-For"] is None
    (email,) = known(verified, "resend")["emails"]
    assert (email["message_id"], email["subject"]) == (arrived["Message-ID"], letter["Subject"])
    assert events(verified, "resend") == ["delivered"]
    assert known(verified, "resend")["quota"]["used"] == 1


def test_resend_refuses_a_foreign_author_and_a_second_signature(verified: Rehearsed) -> None:
    forwarded, twice = message(FRIEND, FRIEND, "forwarded"), message(AUTHOR, FRIEND, "twice")
    for selector in ("mail", "ed"):
        twice.add_header("DKIM-Signature", f"v=1; d=lantern.example; s={selector}; b=")
    with session(verified, verified.state.resend, 587) as client:
        assert refused(client, forwarded) == (
            554,
            b"Message rejected: Email address is not verified. The following identities failed the check: "
            + FRIEND.encode(),
        )
        assert refused(client, twice) == (554, b"Transaction failed: Duplicate header 'DKIM-Signature'")
    assert known(verified, "resend")["emails"] == []


def refused(client: smtplib.SMTP, letter: EmailMessage) -> tuple[int, bytes]:
    """The answer at the end of DATA."""
    with pytest.raises(smtplib.SMTPDataError) as answer:
        client.send_message(letter, AUTHOR, [FRIEND])
    said = answer.value.smtp_error
    return answer.value.smtp_code, said if isinstance(said, bytes) else said.encode()


def test_who_is_suppressed_gets_nothing_and_nobody_says_so(verified: Rehearsed) -> None:
    teach(verified, "resend", suppressions=[{"email": FRIEND, "reason": "complaint", "created_at": "2026-11-20"}])
    with session(verified, verified.state.resend, 587) as client:
        assert client.send_message(message(AUTHOR, FRIEND, "skipped"), AUTHOR, [FRIEND]) == {}
        teach(verified, "resend", suppressions=[])
        client.send_message(message(AUTHOR, FRIEND, "after"), AUTHOR, [FRIEND])
    verified.arrived("after")
    assert events(verified, "resend") == ["suppressed", "delivered"]
    with verified.imap() as box:
        assert box.search(None, "SUBJECT", '"skipped"')[1] == [b""]


def test_a_bounce_reaches_the_list_of_suppressions_and_not_the_author(verified: Rehearsed) -> None:
    with session(verified, verified.state.resend, 587) as client:
        client.send_message(message(AUTHOR, NOBODY, "to nobody"), AUTHOR, [NOBODY])
    assert events(verified, "resend") == ["bounced"]
    assert [held["email"] for held in known(verified, "resend")["suppressions"]] == [NOBODY]
    assert verified.inside("resend", "postqueue", "-j") == (0, "")


def test_a_strangers_bounce_ends_at_the_return_path(verified: Rehearsed) -> None:
    with session(verified, verified.state.resend, 587) as client:
        client.send_message(message(AUTHOR, FRIEND, "bounced later"), AUTHOR, [FRIEND])
    path = str(verified.arrived("bounced later")["Return-Path"]).strip("<>")
    assert events(verified, "resend") == ["delivered"]
    with session(verified, verified.state.resend, 25, login=False) as client:
        client.mail("")
        assert client.rcpt(AUTHOR)[0] == 550
        assert client.rcpt(path)[0] == 250
        assert client.data(b"Subject: Undelivered\r\n\r\n")[0] == 250
    assert events(verified, "resend") == ["bounced"]


def test_the_daily_limit_is_an_answer_for_now(verified: Rehearsed) -> None:
    teach(verified, "resend", quota={"daily": 2, "used": 2})
    with session(verified, verified.state.resend, 587) as client:
        assert client.mail(AUTHOR) == (454, b"Throttling failure: Daily message quota exceeded")


def test_mxroute_takes_its_customers_addresses_alone(clean: Rehearsed) -> None:
    with session(clean, clean.state.mxroute, 587) as client:
        assert client.mail(BOX)[0] == 250
        client.rset()
        assert client.mail(AUTHOR)[0] == 550
        assert client.mail(f"post@{BLOG}") == (550, f"Sender verify failed: post@{BLOG}".encode())
        (account,) = known(clean, "mxroute")["accounts"]
        teach(clean, "mxroute", accounts=[account | {"catch_all": True}])
        assert client.mail(f"post@{BLOG}")[0] == 250


def test_mxroute_swallows_mail_to_what_it_hosts_itself(clean: Rehearsed) -> None:
    with session(clean, clean.state.mxroute, 587) as client:
        client.mail(BOX)
        assert client.rcpt(f"reader@{BLOG}") == (550, b"No such user here")
        client.rset()
        client.send_message(message(BOX, BOX, "to myself"), BOX, [BOX])
        assert events(clean, "mxroute") == ["hosted here"]
        teach(clean, "mxroute", domains={BLOG: {"status": "verified", "mail_hosting": False}}, emails=[])
        client.send_message(message(BOX, BOX, "to its MX"), BOX, [BOX])
    assert events(clean, "mxroute") == ["bounced"]  # it has no MX today


def test_mxroute_signs_for_its_customer_and_passes_on_what_others_wrote_unsigned(clean: Rehearsed) -> None:
    key = known(clean, "mxroute")["dkim_public"]
    records = [
        ("blog", "TXT", '"v=spf1 include:mxrouting.example -all"'),
        ("x._domainkey.blog", "TXT", f'"v=DKIM1; k=rsa; p={key[:200]}" "{key[200:]}"'),
        ("_dmarc.blog", "TXT", '"v=DMARC1; p=reject"'),
    ]
    assert clean.publish(*records) == "NOERROR"
    with session(clean, clean.state.mxroute, 465) as client:
        client.send_message(message(BOX, FRIEND, "a comment"), BOX, [FRIEND])
        client.send_message(message("someone@elsewhere.example", FRIEND, "forwarded"), BOX, [FRIEND])
    arrived, forwarded = clean.arrived("a comment"), clean.arrived("forwarded")
    verdict = str(arrived["Authentication-Results"])
    assert f"dkim=pass header.d={BLOG} header.s=x" in verdict
    assert "spf=pass" in verdict
    assert "dmarc=pass" in verdict
    assert arrived["Return-Path"] == f"<{BOX}>"
    assert any("from name.mxrouting.example" in hop for hop in arrived.get_all("Received", []))
    assert forwarded["DKIM-Signature"] is None
