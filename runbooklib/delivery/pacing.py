"""When each message of a run is handed over: no faster than a provider and a recipient's server should see them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from runbooklib.delivery.drafts import unreal
from runbooklib.delivery.messages import Letter
from runbooklib.params import Site

PAUSE = 2.0  # seconds between two messages to one recipient domain
RATES = {"resend": 2.0}  # messages a second; Resend takes 5 requests of a whole team, others of it among them


def times(site: Site, letters: Iterable[Letter]) -> dict[int, float]:
    """By number: seconds after the start; the testbed's own addresses get all at once."""
    free: defaultdict[str, float] = defaultdict(float)
    found = {}
    for letter in letters:
        pauses = dict(_pauses(site, letter))
        at = found[letter.number] = max((free[what] for what in pauses), default=0.0)
        free |= {what: at + pause for what, pause in pauses.items()}
    return found


def _pauses(site: Site, letter: Letter) -> Iterator[tuple[str, float]]:
    """What has to rest after this message, and for how long."""
    if unreal(site, letter.recipient):
        return
    yield f"to {letter.recipient.rpartition('@')[2]}", PAUSE
    relay = None if letter.inbound else site.relay_of(site.domain(letter.domain))
    if relay and relay.provider in RATES:
        yield f"by {relay.provider}", 1 / RATES[relay.provider]
