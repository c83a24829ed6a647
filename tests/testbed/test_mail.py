"""The smarthost and the stranger: who may send, what is signed, what the recipient is told about it."""

from __future__ import annotations

import smtplib
import ssl

import pytest
from rehearsed import Rehearsed, message

AUTHOR, FRIEND, ECHO = "hi@lantern.example", "friend@stranger.example", "echo@stranger.example"


def publish_relay(testbed: Rehearsed) -> None:
    records = [
        ("@", "TXT", '"v=spf1 include:_spf.relay.example -all"'),
        ("relay._domainkey", "CNAME", "lantern-example.dkim.relay.example."),
        ("_dmarc", "TXT", '"v=DMARC1; p=reject"'),
    ]
    assert testbed.publish(*records) == "NOERROR"
    testbed.restart("resolver")  # forgets that there was nothing a moment ago


def test_an_unverified_domain_is_refused_at_mail_from(clean: Rehearsed) -> None:
    with clean.smtp(clean.state.relay, 587) as client:
        code, text = client.mail(AUTHOR)
    assert code == 550
    assert b"5.7.1 <hi@lantern.example>" in text
    assert b"The lantern.example domain is not verified" in text


@pytest.mark.parametrize("port", [587, 2525])
def test_the_relay_wants_a_login(testbed: Rehearsed, port: int) -> None:
    with testbed.smtp(testbed.state.relay, port, login=False) as client:
        assert client.mail(AUTHOR)[0] == 530
        client.rset()
        with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
            client.login(testbed.state.relay.username, "not the password")
    assert refused.value.smtp_code == 535


def test_the_relay_speaks_implicit_tls_on_465(testbed: Rehearsed) -> None:
    relay = testbed.state.relay
    context = testbed.tls()
    context.check_hostname = False  # by address here; the name is checked below
    with smtplib.SMTP_SSL(relay.ipv4, 465, context=context, timeout=20) as client:
        assert client.login(relay.username, relay.password)[0] == 235


def test_certificates_are_the_private_cas_alone(testbed: Rehearsed) -> None:
    with testbed.smtp(testbed.state.mx, 587):  # verified against the CA, for the name
        pass
    with smtplib.SMTP(testbed.state.mx.ipv4, 587, timeout=20) as client, pytest.raises(ssl.SSLCertVerificationError):
        client.starttls(context=ssl.create_default_context())


def test_a_verified_domain_is_relayed_signed_and_passes(clean: Rehearsed) -> None:
    publish_relay(clean)
    with clean.smtp(clean.state.relay, 587) as client:
        client.send_message(message(AUTHOR, FRIEND, "relayed"), AUTHOR, [FRIEND])
    arrived = clean.arrived("relayed")
    verdict = str(arrived["Authentication-Results"])
    assert verdict.startswith("mx.stranger.example;")
    assert "dkim=pass header.d=lantern.example header.s=relay" in verdict
    assert "spf=pass" in verdict
    assert "dmarc=pass" in verdict
    hops = arrived.get_all("Received", [])
    assert any("from smtp.relay.example" in hop and "using TLSv1.3 with cipher" in hop for hop in hops)
    assert any("by smtp.relay.example" in hop and "using TLSv1.3 with cipher" in hop for hop in hops)


def test_a_forged_sender_shows_spf_fail(clean: Rehearsed) -> None:
    publish_relay(clean)
    with clean.smtp(clean.state.mx, 25) as client:
        client.send_message(message(AUTHOR, FRIEND, "forged"), AUTHOR, [FRIEND])
    verdict = str(clean.arrived("forged")["Authentication-Results"])
    assert "spf=fail" in verdict
    assert "dkim=none" in verdict
    assert "dmarc=fail" in verdict


def test_the_stranger_relays_for_nobody(testbed: Rehearsed) -> None:
    with testbed.smtp(testbed.state.mx, 25) as client:
        client.mail(FRIEND)
        assert client.rcpt(AUTHOR)[0] == 554
        assert client.rcpt("nobody@stranger.example")[0] == 550


def test_the_reflector_answers_with_what_arrived(clean: Rehearsed) -> None:
    letter = message(FRIEND, ECHO, "mirror")
    with clean.smtp(clean.state.mx, 587) as client:
        client.send_message(letter)
    answer = clean.arrived("Re: mirror")
    assert answer["In-Reply-To"] == letter["Message-ID"]
    assert answer["Return-Path"] == f"<{ECHO}>"
    assert "d=stranger.example" in str(answer["DKIM-Signature"])
    assert "Subject: mirror" in answer.get_content()


def test_the_reflector_does_not_answer_machines(clean: Rehearsed) -> None:
    automatic = message(FRIEND, ECHO, "automatic")
    automatic["Auto-Submitted"] = "auto-generated"
    with clean.smtp(clean.state.mx, 587) as client:
        client.send_message(automatic)
        client.send_message(message(FRIEND, ECHO, "by hand"))
    clean.arrived("Re: by hand")
    with clean.imap() as box:
        assert box.search(None, "SUBJECT", '"automatic"')[1] == [b""]
