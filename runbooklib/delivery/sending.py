"""Hands test messages over side by side, each at its time, and remembers what each service answered."""

from __future__ import annotations

import smtplib
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from runbooklib import endpoint
from runbooklib.credentials import CredentialError
from runbooklib.delivery import doors, ledger, logins, pacing
from runbooklib.delivery.allowance import refuse_excess
from runbooklib.delivery.forms import compose
from runbooklib.delivery.handover import BROKEN, Handed, Sent, broken
from runbooklib.delivery.messages import Account, Letter, Letters, Route, post
from runbooklib.delivery.transfer import AT_ONCE, POSTSCREEN, transfer, unsent
from runbooklib.endpoint import EndpointError
from runbooklib.params import Site
from runbooklib.results import Status

STRANGE = {Route.DIRECT, Route.FORGED}  # by port 25, where a postscreen greets new clients after 6 s: they start first


def send(site: Site, plan: Letters, *, apply: bool) -> Sent:
    """Hands every message of the plan over that this run did not before, side by side; `apply` false sends nothing."""
    if not apply or not plan:
        return Sent(plan)
    refuse_excess(site, plan)
    before = ledger.earlier(site, plan)
    rest = [letter for letter in plan if letter.number not in before]
    due, started = pacing.times(site, rest), time.monotonic()
    in_turn = sorted(rest, key=lambda letter: (due[letter.number], letter.route not in STRANGE))

    def in_time(letter: Letter) -> Handed:
        time.sleep(max(started + due[letter.number] - time.monotonic(), 0))
        began = time.time()
        try:
            handed = _hand_over(site, plan, letter)
        except Exception as error:  # noqa: BLE001 - the others are handed over all the same, and must be known
            handed = Handed(letter, "unknown", broken(error), fix=BROKEN)
        return replace(handed, at=began)

    # One message a connection: several on one took as long, and a connection that breaks costs one message.
    with ThreadPoolExecutor(min(AT_ONCE, len(rest) or 1)) as pool:
        now = {h.letter.number: h for h in pool.map(in_time, in_turn)}
    handed = tuple((before | now)[letter.number] for letter in plan)
    ledger.ended(plan, handed)
    return Sent(plan, handed, applied=True)


def _hand_over(site: Site, plan: Letters, letter: Letter) -> Handed:
    message = compose(site, plan, letter)
    if letter.route in STRANGE:
        return replace(doors.hand_over(site, letter, message), raw=message)
    handed = submit(site, post(site, letter), letter, letter.sender, letter.recipient, message)
    return replace(handed, raw=message)


def submit(site: Site, post: Account, letter: Letter, sender: str, recipient: str, message: bytes) -> Handed:
    """Submits one message as its sender."""
    try:
        with endpoint.ending(_client(site, post)) as client:
            logins.of(site).smtp(client, post.endpoint.host, post.username, post.password)
            if not recipient.isascii() and not client.has_extn("smtputf8"):
                return _not_offered(letter, post)
            return transfer(client, letter, sender, recipient, message)
    except CredentialError as error:
        return Handed(letter, "unsent", str(error))
    except EndpointError as error:
        return unsent(letter, error)


def _not_offered(letter: Letter, post: Account) -> Handed:
    """RFC 6531 3.2: a client that is not offered SMTPUTF8 does not send such an address; nobody has to offer it."""
    said = f"not sent: {post.endpoint} offers no SMTPUTF8, so nobody here can write to {letter.recipient}"
    return Handed(letter, "unsent", f"{said} (smtputf8_enable in Postfix's main.cf)", verdict=Status.PASS)


def _client(site: Site, post: Account) -> smtplib.SMTP:
    def attempt(address: str) -> smtplib.SMTP:
        return endpoint.smtp(post.endpoint, endpoint.local_dial, address, POSTSCREEN)

    return endpoint.first(post.addresses(site), attempt)
