"""Reports in a real mailbox: the stranger's Dovecot, read as the mailbox's owner, left as they were."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sites
from rehearsed import Rehearsed
from test_reports import message, xml

from runbooklib import reports, zone
from runbooklib.params import Site
from runbooklib.testbed import world

FRIEND = "friend@stranger.example"
NOBODY = zone.Literal({})  # the policy that stands is heard from nobody: then it counts as none


@pytest.fixture(autouse=True)
def values(testbed: Rehearsed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where testbed: values are looked up."""
    monkeypatch.setenv("RUNBOOK_TESTBED", str(world.folder_of(testbed.root)))


def stranger(testbed: Rehearsed) -> Site:
    """The stranger as a site that asks for reports."""
    mx = testbed.state.mx
    domain: dict[str, Any] = {
        "name": "stranger.example",
        "relay": "direct",
        "mailboxes": [{"address": FRIEND, "password": "testbed:mx.password"}],
        "dmarc": {"policy": "quarantine", "rua": FRIEND},
    }
    here = sites.given(domains=[domain], server__hostname="mx.stranger.example", server__ipv4=mx.ipv4)
    here["mail"]["tls"]["ca"] = "testbed:ca"
    return sites.load(here)


def test_two_weeks_of_reports_prove_a_rung_and_stay_unread(clean: Rehearsed) -> None:
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    begins = [int((midnight - timedelta(days=n)).timestamp()) for n in range(14, 0, -1)]
    with clean.imap() as client:
        for begin in begins:
            data = xml(begin=begin).replace(b"lantern.example</domain><p>", b"stranger.example</domain><p>")
            client.append("INBOX", "", "", message(("text/xml", "report.xml", data)).as_bytes())
        here = stranger(clean)
        heard = reports.read(here, wire=NOBODY)
        client.select("INBOX", readonly=True)
        assert client.uid("SEARCH", "UNSEEN")[1] == client.uid("SEARCH", "ALL")[1]
    assert (len(heard.aggregate), heard.troubles, heard.unreadable) == (14, {}, ())
    (policy,) = (w for w in reports.records(here, heard) if w.name == "_dmarc.stranger.example")
    assert policy.values[0].startswith("v=DMARC1; p=quarantine")


def test_a_wrong_password_is_a_trouble_that_names_no_secret(clean: Rehearsed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WRONG", "not-the-password")
    here = stranger(clean).model_dump()
    here["domains"][0]["mailboxes"][0]["password"] = "env:WRONG"
    heard = reports.read(sites.load(here), wire=NOBODY)
    assert list(heard.troubles) == [FRIEND]
    assert "not-the-password" not in heard.troubles[FRIEND]
