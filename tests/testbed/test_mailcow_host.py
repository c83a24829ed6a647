"""The testbed's mailcow: what its API writes, its Postfix, Dovecot and rspamd follow at once, as mailcow's do."""

from __future__ import annotations

import imaplib
import json
import re
import smtplib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from rehearsed import Rehearsed, message

from runbooklib import params
from runbooklib.delivery import webmail
from runbooklib.params import Site
from runbooklib.results import Status
from runbooklib.testbed import snapshots, world
from runbooklib.testbed.state import Account

HARBOUR, POST, ADA = "harbour.example", "post@harbour.example", "ada@harbour.example"
FRIEND, AT = "friend@stranger.example", "@stranger.example"
PASSWORD = "Harbour-Passw0rd"
SOGO = 588
DOMAIN = {"id": "d-harbour", "return_path": "send", "region": "us-east-1", "records": []}
PATIENCE = 60  # seconds for what Postfix does after it answered
A, B, C = ("[relay-a.example]:587", "[relay-b.example]:587", "[relay-c.example]:587")


@dataclass
class Harbour:
    """mailcow with one domain and two mailboxes, asked through its API and its doors."""

    testbed: Rehearsed
    client: httpx.Client

    def get(self, path: str) -> Any:
        return self.client.get(f"/api/v1/get/{path}").json()

    def write(self, path: str, body: Any) -> None:
        said = self.client.post(f"/api/v1/{path}", json=body).json()
        assert {entry["type"] for entry in said} == {"success"}, said

    def relay(self, hostname: str, username: str, password: str) -> str:
        """The number of a new row."""
        self.write("add/relayhost", {"hostname": hostname, "username": username, "password": password})
        return str(self.get("relayhost/all")[-1]["id"])

    def assign(self, number: str, mailbox: str = "") -> None:
        items = [mailbox or HARBOUR]
        self.write(f"edit/{'mailbox' if mailbox else 'domain'}", {"items": items, "attr": {"relayhost": number}})

    def answers(self, sender: str) -> tuple[str, str]:
        """What the two maps say to a sender: transport and login."""
        return self._postmap("next_hops", sender), self._postmap("logins", sender)

    def _postmap(self, table: str, key: str) -> str:
        place = f"sqlite:/opt/testbed/mailcow/sql/{table}.cf"
        return self.testbed.inside("mailcow", "postmap", "-q", key, place)[1].strip()

    def site(self) -> Site:
        """The rehearsal site on it, with this domain alone, which the smarthost sends for."""
        given, other = (params.read(f"params/rehearsal-{name}.yaml") for name in ("mailcow", "postfix"))
        domain = given["domains"][0] | {"relay": "smarthost"}
        return params.load(given | {"domains": [domain], "relays": other["relays"]})

    def door(self, port: int) -> smtplib.SMTP:
        mailcow = self.testbed.state.mailcow
        account = Account(mailcow.ipv4, mailcow.ipv6, mailcow.name, POST, PASSWORD)
        if port != SOGO:
            return self.testbed.smtp(account, port)
        client = smtplib.SMTP(mailcow.ipv4, port, timeout=20)
        client.login(POST, PASSWORD)
        return client

    def send(self, subject: str, sender: str = POST, to: str = FRIEND, port: int = 587) -> str:
        """What became of a message: the last word about its recipient."""
        letter = message(sender, to, subject)
        with self.door(port) as client:
            client.send_message(letter)
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            lines = [line["message"] for line in self.get("logs/postfix/200")]
            number = next((line.split(":")[0] for line in lines if f"message-id={letter['Message-ID']}" in line), "?")
            told = [line for line in lines if line.startswith(f"{number}: to=<")]
            if told:
                return str(told[0])
            time.sleep(0.2)
        raise AssertionError(f"nothing was said about {subject!r} within {PATIENCE} s")

    def inbox(self, username: str) -> list[str]:
        """The subjects in a mailbox."""
        mailcow = self.testbed.state.mailcow
        client = imaplib.IMAP4(mailcow.ipv4, 143)
        client.host = mailcow.name
        client.starttls(self.testbed.tls())
        with client:
            client.login(username, PASSWORD)
            if client.select()[1] == [b"0"]:
                return []
            found = client.fetch("1:*", "(BODY[HEADER.FIELDS (SUBJECT)])")[1]
            return [part[1].decode().removeprefix("Subject: ").strip() for part in found if isinstance(part, tuple)]


@pytest.fixture
def harbour(clean: Rehearsed, monkeypatch: pytest.MonkeyPatch) -> Iterator[Harbour]:
    monkeypatch.setenv("RUNBOOK_TESTBED", str(world.folder_of(clean.root)))
    mailcow = clean.state.mailcow
    headers = {"X-API-Key": mailcow.api_key}
    with httpx.Client(base_url=mailcow.url, headers=headers, verify=clean.tls(), timeout=30) as client:
        made = Harbour(clean, client)
        made.write("add/domain", {"domain": HARBOUR})
        for address in (POST, ADA):
            box = {"local_part": address.partition("@")[0], "domain": HARBOUR, "quota": 100}
            made.write("add/mailbox", box | {"password": PASSWORD, "password2": PASSWORD})
        yield made


def test_what_the_api_makes_receives_and_what_it_forbids_is_refused(harbour: Harbour) -> None:
    sales, silent = f"sales@{HARBOUR}", f"silent@{HARBOUR}"
    harbour.write("add/alias", {"address": sales, "goto": ADA, "active": 1})
    harbour.write("add/alias", {"address": silent, "goto": ADA})
    harbour.send("to an alias", to=sales)
    with pytest.raises(smtplib.SMTPRecipientsRefused, match="User unknown"):
        harbour.send("to an inactive alias", to=silent)
    with pytest.raises(smtplib.SMTPRecipientsRefused, match="not owned by user"):
        harbour.send("by an alias that may not send", sender=sales, to=ADA)
    harbour.write("add/alias", {"address": f"@{HARBOUR}", "goto": POST, "active": 1})
    assert "status=sent" in harbour.send("to whoever", to=f"whoever@{HARBOUR}")
    assert (harbour.inbox(ADA), harbour.inbox(POST)) == (["to an alias"], ["to whoever"])
    known = snapshots.accounts(harbour.testbed.root)
    snapshots.reset_accounts(harbour.testbed.root)
    assert harbour.get("domain/all") == {}
    snapshots.reset_accounts(harbour.testbed.root, known)
    assert harbour.get(f"domain/{HARBOUR}")["mboxes_in_domain"] == 2
    assert harbour.inbox(POST) == []


def test_the_maps_answer_as_mailcows_do(harbour: Harbour) -> None:
    """The table of the transcripts' appendix B: transport and login look in opposite order."""
    a, b = harbour.relay(A, "userA", "pwA"), harbour.relay(B, "userB", "pwB")
    harbour.write("add/alias", {"address": f"of-ada@{HARBOUR}", "goto": ADA, "active": 1})
    harbour.assign(a)
    harbour.assign(b, ADA)
    assert harbour.answers(POST) == (f"smtp:{A}", "userA:pwA")
    assert harbour.answers(ADA) == (f"smtp:{B}", "userA:pwA")
    assert harbour.answers(f"of-ada@{HARBOUR}") == (f"smtp:{B}", "userA:pwA")
    assert harbour.answers(f"anything@{HARBOUR}") == (f"smtp:{A}", "userA:pwA")
    assert harbour.answers("stranger@other.example") == ("smtp:", "")
    harbour.assign("0")
    assert harbour.answers(POST) == ("smtp:", "")
    assert harbour.answers(ADA) == (f"smtp:{B}", "userB:pwB")
    c = harbour.relay(C, "user:C", "p:C")
    harbour.assign(c)
    assert harbour.answers(POST) == (f"smtp:{C}", r"user\:C:p\\:C")
    harbour.write("edit/relayhost", {"items": [c], "attr": {"active": 0}})
    assert harbour.answers(POST) == ("smtp:", "")
    harbour.write("edit/tls_policy", {"items": [ADA], "attr": {"tls_enforce_out": "1"}})
    assert harbour.answers(ADA) == (f"smtp_enforced_tls:{B}", "userB:pwB")


def _verify(harbour: Harbour) -> None:
    """The smarthost and Resend trust the domain, and its own key stands in its zone."""
    key = harbour.get(f"dkim/{HARBOUR}")["dkim_txt"]
    records = [
        ("@", "TXT", '"v=spf1 include:_spf.relay.example include:resend.example ~all"'),
        ("relay._domainkey", "CNAME", "harbour-example.dkim.relay.example."),
        ("dkim._domainkey", "TXT", f'"{key[:200]}" "{key[200:]}"'),
    ]
    assert harbour.testbed.publish(*records, zone=HARBOUR) == "NOERROR"
    every = snapshots.accounts(harbour.testbed.root)
    state = json.loads(every["resend"])
    state["keys"][1]["token"] = "pw:B"
    state["domains"] = {HARBOUR: {"status": "verified", **DOMAIN}}
    snapshots.reset_accounts(harbour.testbed.root, every | {"resend": json.dumps(state).encode()})


def test_each_sender_leaves_by_its_relay_with_the_login_the_maps_give(harbour: Harbour) -> None:
    """The deliveries of the transcripts' appendix B, to the testbed's relays; a webmail's takes the relay too.

    Each goes to another recipient: Postfix remembers for 30 s by which way it sent the last one.
    """
    _verify(harbour)
    relay = harbour.testbed.state.relay
    smarthost = harbour.relay(f"[{relay.name}]:587", relay.username, relay.password)
    resend = harbour.relay("[smtp.resend.example]:2587", "resend", "pw:B")
    harbour.write("add/alias", {"address": f"b@{HARBOUR}", "goto": POST, "active": 1, "sender_allowed": 1})
    harbour.assign(smarthost)
    verified = {"dest": f"[{relay.name}]:587", "policy": "secure", "parameters": f"match={relay.name}", "active": 1}
    harbour.write("add/tls-policy-map", verified)

    said = harbour.send("from webmail", port=SOGO)
    assert re.search(r"relay=smtp\.relay\.example\[.*status=sent \(250", said)
    lines = harbour.get("logs/postfix/200")
    assert any(e["program"] == "postfix/sogo/smtpd" and "sasl_username=post@" in e["message"] for e in lines)
    assert any("Verified TLS connection established to smtp.relay.example" in e["message"] for e in lines)
    [row] = webmail.rows(harbour.site())
    assert (row.name, row.status) == (f"send.webmail {HARBOUR}", Status.PASS)
    arrived = harbour.testbed.arrived("from webmail")
    assert re.search(r"dkim=pass header\.d=harbour\.example header\.s=dkim", arrived["Authentication-Results"])

    harbour.assign(resend, POST)
    assert re.search(
        r"dsn=5\.7\.8, status=bounced .*535 ", harbour.send("host of one, login of the other", to=f"one{AT}")
    )
    harbour.assign("0")
    assert re.search(r"dsn=5\.7\.8, status=bounced .*535 ", harbour.send("a colon escaped twice", to=f"two{AT}"))
    harbour.write("edit/relayhost", {"items": [resend], "attr": {"password": "pw:B"}})
    assert re.search(r"relay=smtp\.resend\.example\[.*status=sent \(250", harbour.send("as it is"))


def test_the_relay_test_speaks_to_the_relay_that_is_stored(harbour: Harbour) -> None:
    relay = harbour.testbed.state.relay
    number = harbour.relay(f"[{relay.name}]:587", relay.username, relay.password)
    asked = {"transport_id": number, "transport_type": "sender-dependent", "mail_from": POST, "mail_rcpt": FRIEND}
    page = harbour.client.get("/inc/ajax/transport_check.php", params=asked).text
    assert "235 2.7.0 Authentication successful" in page
    assert "Sender address rejected: The harbour.example domain is not verified" in page
    assert harbour.get("mailq/all") == []
