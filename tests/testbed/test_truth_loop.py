"""The relay's truth, closed: what a real message shows is published as the table says, and the next message passes."""

from __future__ import annotations

import asyncio
import time
from email.utils import format_datetime, localtime

import dkim
import sites
from letters import key
from rehearsed import Rehearsed
from test_relays_of_the_testbed import AUTHOR, FRIEND, VERIFIED, known, session, teach

from runbooklib.delivery import Handed, Letter, Letters, Sent, Truth
from runbooklib.delivery.arriving import Arrived, Copy, Parcel
from runbooklib.delivery.comparing import compared
from runbooklib.delivery.messages import Route
from runbooklib.delivery.proving import authenticated
from runbooklib.params import Site
from runbooklib.records import quoted
from runbooklib.results import Status
from runbooklib.zone import Internet, Stub

DOMAIN = "lantern.example"
LETTER = Letter(1, Route.OUTBOUND, DOMAIN, AUTHOR, FRIEND, lands=FRIEND)
RELAY = {"provider": "resend", "password": "env:K", "spf": "include:resend.example"}


def seen(testbed: Rehearsed, site: Site, subject: str) -> Truth:
    """What one message through the relay says of it, with what DNS says after it arrived."""
    lines = [f"From: {AUTHOR}", f"To: {FRIEND}", f"Subject: {subject}", f"Date: {format_datetime(localtime())}"]
    handed = "\r\n".join([*lines, f"Message-ID: <{subject}@{DOMAIN}>", "", "Only a rehearsal.", ""]).encode()
    ours = dkim.sign(handed, b"mail", DOMAIN.encode(), key()[0], include_headers=[b"from", b"to", b"subject"])
    with session(testbed, testbed.state.resend, 587) as client:
        client.sendmail(AUTHOR, [FRIEND], ours + handed)
    copy = Copy(1, "message", FRIEND, "INBOX", time.time(), testbed.arrived_bytes(subject))
    told = Handed(LETTER, "accepted", "250 Ok", time.time(), raw=handed)
    arrived = Arrived(Sent(Letters("r", "m", (LETTER,)), (told,), applied=True), (Parcel(told, (copy,)),))
    return asyncio.run(_compared(testbed, site, arrived))


async def _compared(testbed: Rehearsed, site: Site, arrived: Arrived) -> Truth:
    state = testbed.state  # the resolver would remember what did not stand yet
    look = Stub(Internet(), [state.resolver.ipv4], [state.dns.ipv4])
    return await compared(look, site, await authenticated(look, site, arrived))


def statuses(found: Truth) -> dict[str, Status]:
    return {check.name.split()[0].removeprefix("relay.truth."): check.status for check in found.checks}


def test_a_provider_s_changed_return_path_is_found_published_and_passes(clean: Rehearsed) -> None:
    public = known(clean, "resend")["dkim_public"]
    keys = ("mail._domainkey", "TXT", quoted(key()[1])), ("resend._domainkey", "TXT", quoted(f"p={public}"))
    assert clean.publish(*keys, ("_dmarc", "TXT", quoted("v=DMARC1; p=none"))) == "NOERROR"
    teach(clean, "resend", domains={DOMAIN: VERIFIED | {"return_path": "bounce"}})
    site = sites.make(relays__office=RELAY, server__ipv4=clean.state.server.ipv4)

    before = seen(clean, site, "truth-before")
    assert statuses(before)["spf"] is statuses(before)["return-path"] is Status.FAIL
    assert statuses(before)["dkim"] is statuses(before)["signature"] is Status.PASS
    told = {fact.what: fact for fact in before.facts}
    path, record = told["return path"], told[f"SPF at bounce.{DOMAIN}"]
    assert (path.where, path.old, path.new) == ("relays.office.return_path", "send", "bounce")
    assert (record.old, record.new) == ("nothing", "v=spf1 include:resend.example ~all")
    assert "Message-ID" in told["changed on the way"].seen

    assert clean.publish(("bounce", "TXT", quoted(record.new))) == "NOERROR"
    mended = sites.make(relays__office=RELAY | {"return_path": path.new}, server__ipv4=clean.state.server.ipv4)
    after = seen(clean, mended, "truth-after")
    assert set(statuses(after).values()) == {Status.PASS}, str(after)
