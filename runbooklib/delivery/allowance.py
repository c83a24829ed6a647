"""How many recipients a run costs at each relay, and which part of the provider's allowance that is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from runbooklib.delivery.messages import Letter, Route
from runbooklib.params import Site
from runbooklib.results import UnsafePlanError

PART = 10  # a run takes at most a tenth: tests must not cost people their own mail
UNTOLD = 10  # recipients by a relay whose allowance nobody named
PERIODS = {"h": "an hour", "d": "a day"}


@dataclass(frozen=True)
class Use:
    """What a run takes of one relay's allowance; every recipient counts."""

    relay: str  # its name under relays
    recipients: int
    allowance: str = ""  # as params have it, e.g. 100/d

    @property
    def most(self) -> int:
        """What a run may take."""
        return int(self.allowance.partition("/")[0]) // PART if self.allowance else UNTOLD

    @property
    def excessive(self) -> bool:
        return self.recipients > self.most

    def __str__(self) -> str:
        counted = f"{self.recipients} recipient{'' if self.recipients == 1 else 's'}"
        if not self.allowance:
            return f"{counted}; its allowance is not known, so {UNTOLD} at most"
        count, _, period = self.allowance.partition("/")
        share = 100 * self.recipients / int(count)
        return f"{counted}, {share:.2g} % of its allowance of {count} {PERIODS[period]}; a run takes a tenth at most"

    @property
    def fix(self) -> str:
        """What to do about too many."""
        known = "what your plan allows" if self.allowance else "what its provider allows, such as 300/h"
        return f"leave test.matrix or recipients out, or set relays.{self.relay}.allowance to {known}"


def uses(site: Site, letters: Iterable[Letter]) -> tuple[Use, ...]:
    """What the letters cost at each relay; a domain that sends directly has no provider who counts."""
    costs = [cost for letter in letters for cost in _costs(site, letter)]
    told = {name: relay.allowance or "" for name, relay in site.relays.items()}
    return tuple(Use(name, costs.count(name), told[name]) for name in told if name in costs)


def _costs(site: Site, letter: Letter) -> list[str]:
    """The relays that one letter passes, once for each recipient: its own, or what sends its copy on to others."""
    if not letter.inbound:
        return [site.domain(letter.domain).relay]
    onward = site.forwards.get(f"@{letter.domain}", ()) if letter.route is Route.CATCH_ALL else ()
    return [site.forward_route] * len(onward)


def refuse_excess(site: Site, letters: Iterable[Letter]) -> None:
    """Raises UnsafePlanError where a run would take more than its part of an allowance."""
    excess = [f"  - relays.{use.relay}: {use}: {use.fix}" for use in uses(site, letters) if use.excessive]
    if excess:
        raise UnsafePlanError("nothing is sent, it would be too much:\n" + "\n".join(excess))
