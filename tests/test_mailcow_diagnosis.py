"""06 on mailcow's double: a healthy one gives no finding; each of its own failure modes is named from what it tells."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import cowsites
import pytest
from cows import Cow

from runbooklib.diagnosis import Evidence, Fact, diagnose
from runbooklib.params import Site
from runbooklib.probes import mailcow
from runbooklib.probes.gathering import expectations
from runbooklib.results import Checklist, RunbookError, Status

DOMAIN, BOX, SALES = "lantern.example", "hi@lantern.example", "sales@lantern.example"
HOP, USER, PASSWORD = "[smtp.example.net]:587", "u", "office-secret"
KEY_RECORD = f"dkim._domainkey.{DOMAIN}"
QUEUE_ID = "4cK2Qx1Yz0z9s1"
TAKEN = "relay=mx.stranger.example[198.51.100.6]:25, delay=1, dsn=2.0.0, status=sent (250 2.0.0 Ok)"


class Herd:
    """A mailcow as stages 01 and 02 leave it, and the hands of whoever breaks it."""

    def __init__(self, cow: Cow) -> None:
        self.cow, self.api = cow, cowsites.client(cow)
        self.site = cowsites.site(cow)
        self.api.post("add/domain", {"domain": DOMAIN})
        password = {"password": "hi-Passw0rd", "password2": "hi-Passw0rd"}
        self.api.post("add/mailbox", {"local_part": "hi", "domain": DOMAIN, "name": "hi", "active": "1", **password})
        for address in (SALES, f"@{DOMAIN}", f"postmaster@{DOMAIN}", f"abuse@{DOMAIN}"):
            self.alias(address)
        self.relayhost(hostname=HOP)
        self.assign("1")

    def alias(self, address: str, **more: str) -> None:
        told = {"address": address, "goto": BOX, "active": "1", "sender_allowed": "1"} | more
        self.api.post("add/alias", {k: v for k, v in told.items() if v})

    def relayhost(self, **told: str) -> None:
        self.api.post("add/relayhost", {"username": USER, "password": PASSWORD, **told})

    def assign(self, row: str) -> None:
        self.api.post("edit/domain", {"items": [DOMAIN], "attr": {"relayhost": row}})

    def edit(self, what: str, item: str, **told: str) -> None:
        self.api.post(f"edit/{what}", {"items": [item], "attr": told})

    def logged(self, *lines: tuple[str, str]) -> None:
        """Lines of Postfix's log, as they come one after the other; mailcow keeps the newest first."""
        now = str(int(time.time()))
        told = [{"time": now, "priority": "info", "program": program, "message": text} for program, text in lines]
        self.cow.behind.lines["postfix"] = told[::-1]

    def left(self, sender: str, login: str = "") -> None:
        """A message that Postfix gave to a stranger's server."""
        by = f", sasl_method=PLAIN, sasl_username={login}" if login else ""
        self.logged(
            ("postfix/submission/smtpd", f"{QUEUE_ID}: client=unknown[192.0.2.9]{by}"),
            ("postfix/qmgr", f"{QUEUE_ID}: from=<{sender}>, size=900, nrcpt=1 (queue active)"),
            ("postfix/smtp", f"{QUEUE_ID}: to=<you@stranger.example>, {TAKEN}"),
        )

    def evidence(self, site: Site | None = None) -> Evidence:
        asked = mailcow.probes(site or self.site)
        facts = {name: outcome(probe) for name, probe in asked if not name.startswith("relay ")}
        return Evidence(expectations(self.site), facts)

    def found(self, site: Site | None = None) -> Checklist:
        return diagnose(self.evidence(site))


def outcome(probe: Callable[[], Any]) -> Fact:
    try:
        return Fact(probe())
    except RunbookError as error:
        return Fact(unseen=str(error), advisory=True)


@pytest.fixture
def herd(monkeypatch: pytest.MonkeyPatch) -> Iterator[Herd]:
    with cowsites.grazing(monkeypatch) as cow:
        made = Herd(cow)
        made.logged(("postfix/smtpd", "connect from unknown[192.0.2.9]"))
        yield made


def names(found: Checklist) -> set[str]:
    return {c.name for c in found if c.status in {Status.FAIL, Status.WARN}}


def test_a_healthy_mailcow_gives_no_finding_and_one_reason_for_what_an_api_cannot_tell(herd: Herd) -> None:
    found = herd.found()
    assert names(found) == set()
    assert [c.name for c in found if c.status is Status.UNKNOWN] == ["evidence.machine"]
    assert "mail.tag" in found["evidence.machine"].observed
    assert found["diagnosis.nothing-found"].status is Status.PASS


def test_what_is_seen_of_it(herd: Herd) -> None:
    seen = herd.evidence()
    assert seen["api"]["version"] == "2026-07a"
    assert seen["routes"] == {DOMAIN: HOP}
    assert [(row["hop"], row["fits"]) for row in seen["transports"]] == [(HOP, True)]
    assert seen["ways"][SALES] == {"hop": HOP, "crossed": False}
    assert list(seen["keys"]) == [KEY_RECORD]
    assert set(seen["containers"].values()) == {"running"}
    assert PASSWORD not in str(seen.saved())


BREAKS: dict[str, Callable[[Herd], None]] = {
    "relay-implicit-tls": lambda herd: herd.edit("relayhost", "1", hostname="[smtp.example.net]:465"),
    "relay-login-differs": lambda herd: herd.edit("relayhost", "1", password="another-secret"),
    "relay-inactive": lambda herd: herd.edit("relayhost", "1", active="0"),
    "relay-without-port": lambda herd: herd.edit("relayhost", "1", hostname="smtp.example.net"),
    "relay-route": lambda herd: herd.assign("0"),
    "sender-foreign": lambda herd: herd.left("boss@other.example", BOX),
    "sent-on": lambda herd: herd.left("stranger@other.example"),
    "domain-relayed": lambda herd: herd.edit("domain", DOMAIN, backupmx="1"),
    "alias-inactive": lambda herd: herd.edit("alias", "2", active="0"),
    "container-down": lambda herd: herd.cow.behind.states.update({"dovecot-mailcow": "exited"}),
    "domain-missing": lambda herd: herd.cow.store.run("DELETE FROM domain"),
}


@pytest.mark.parametrize("cause", BREAKS)
def test_its_own_failure_modes_are_named(herd: Herd, cause: str) -> None:
    BREAKS[cause](herd)
    assert names(herd.found()) == {f"diagnosis.{cause}"}


def test_a_domain_that_is_not_made_yet_explains_a_login_that_is_not_either(herd: Herd) -> None:
    herd.cow.store.run("DELETE FROM domain")
    seen = herd.evidence()
    refused = Fact({"state": "login", "said": "535 5.7.8 authentication failed"})
    found = diagnose(Evidence(seen.site, {**seen.facts, "relay office": refused}), apply=False)
    assert names(found) == set()
    assert found["diagnosis.domain-missing"].status is Status.PENDING
    assert "explains: relay-login" in found["diagnosis.domain-missing"].observed


def test_a_password_with_a_colon_that_the_api_escaped(herd: Herd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OFFICE_SMTP", "office:secret")
    herd.relayhost(hostname=HOP, password="office:secret")
    herd.assign("2")
    assert names(herd.found()) == {"diagnosis.relay-password-escaped"}
    herd.edit("relayhost", "2", password="office:secret")
    assert names(herd.found()) == set()


def test_a_mailbox_and_its_domain_with_a_transport_each(herd: Herd) -> None:
    herd.relayhost(hostname="[other.example]:587", username="v")
    herd.edit("mailbox", BOX, relayhost="2")
    found = herd.found()
    assert names(found) == {"diagnosis.relay-crossed"}
    assert "[other.example]:587" in found["diagnosis.relay-crossed"].observed


def test_a_transport_map_that_overrules(herd: Herd) -> None:
    herd.api.post("add/transport", {"destination": "gmail.com", "nexthop": "[other.example]:587", "active": "1"})
    found = herd.found()
    assert names(found) == {"diagnosis.transport-overrules"}
    assert "gmail.com" in found["diagnosis.transport-overrules"].observed


def test_an_alias_that_may_not_send_is_named_with_the_refusal(herd: Herd) -> None:
    herd.alias("shop@lantern.example", sender_allowed="")
    site = cowsites.site(herd.cow, domains__0__aliases={"shop@lantern.example": BOX, SALES: BOX})
    said = "NOQUEUE: reject: RCPT from unknown[192.0.2.9]: 553 5.7.1 <{0}>: Sender address rejected: not owned by user"
    herd.logged(("postfix/submission/smtpd", said.format("shop@lantern.example")))
    assert names(herd.found(site)) == {"diagnosis.alias-may-not-send"}
    herd.logged(("postfix/submission/smtpd", said.format("boss@lantern.example")))
    assert names(herd.found()) == {"diagnosis.sender-not-owned"}


def test_a_wait_in_the_queue_has_its_reason(herd: Herd) -> None:
    said = "connect to mx.stranger.example[198.51.100.6]:25: Connection timed out"
    herd.cow.behind.waiting = [
        {
            "queue_name": "deferred",
            "queue_id": QUEUE_ID,
            "arrival_time": int(time.time()) - 90,
            "message_size": 900,
            "sender": BOX,
            "recipients": [{"address": "you@stranger.example", "delay_reason": said}],
        }
    ]
    assert names(herd.found()) == {"diagnosis.queue-port-25"}


@pytest.mark.parametrize(("change", "cause"), [("key", "api-key-refused"), ("address", "api-address-refused")])
def test_a_key_that_is_not_taken_is_sent_once(herd: Herd, change: str, cause: str) -> None:
    asked = herd.cow.asked("GET", "/api/v1/get/")
    herd.cow.without_keys() if change == "key" else herd.cow.with_keys("192.0.2.1")
    assert names(herd.found()) == {f"diagnosis.{cause}"}
    assert herd.cow.asked("GET", "/api/v1/get/") == asked + 1


def test_a_certificate_of_an_unknown_ca_stops_the_key(herd: Herd) -> None:
    asked = herd.cow.asked("GET", "/api/v1/get/")
    mail = {"server": "mailcow", "url": herd.cow.url, "api_key": "env:COW_KEY"}
    assert names(herd.found(cowsites.site(herd.cow, mail=mail))) == {"diagnosis.api-untrusted"}
    assert herd.cow.asked("GET", "/api/v1/get/") == asked


@pytest.mark.parametrize(
    ("conf", "told"),
    [
        ("WATCHDOG_NOTIFY_EMAIL=me@stranger.example\nWATCHDOG_NOTIFY_WEBHOOK=\n", ("me@stranger.example", False)),
        (
            'WATCHDOG_NOTIFY_EMAIL="me@x.example"\nWATCHDOG_NOTIFY_WEBHOOK=https://x.example/secret',
            ("me@x.example", True),
        ),
        ("#WATCHDOG_NOTIFY_EMAIL=me@stranger.example\nUSE_WATCHDOG=y\n", ("", False)),
    ],
)
def test_whom_the_watchdog_tells(conf: str, told: tuple[str, bool]) -> None:
    assert mailcow.notified(conf) == told


def test_an_answer_without_content(herd: Herd) -> None:
    herd.cow.script(status=200, body="")
    assert names(herd.found()) == {"diagnosis.api-empty"}


def test_a_mailcow_that_does_not_answer_is_unknown_not_wrong(herd: Herd) -> None:
    herd.cow.script(drop=True, times=9)
    found = herd.found()
    assert names(found) == set()
    assert found["evidence.api"].status is Status.UNKNOWN
