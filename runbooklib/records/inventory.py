"""All that should stand in DNS for a site."""

from __future__ import annotations

from collections.abc import Iterable

from runbooklib.params import Site
from runbooklib.records import addresses, mail, policies, setup, silence, transport
from runbooklib.records.unwanted import Unwanted, still
from runbooklib.records.wanted import Desired, Wanted


def desired(site: Site, *others: Iterable[Wanted], unwanted: Iterable[Unwanted] = ()) -> Desired:
    """What the site itself wants, and what server and relays tell of it; the same rrset is wanted once.

    What they tell takes the place of what params alone know: an SPF record in a provider's words, an AAAA record that
    the server's log speaks for. `unwanted` is what keys and relays left behind; what is wanted again, or still, is not
    among it.
    """
    told = [w for some in others for w in some]
    named = {(w.name, w.type) for w in told}
    before = (*addresses.wanted(site), *mail.wanted(site))
    after = (*policies.wanted(site), *addresses.reverse(site), *setup.wanted(site), *transport.wanted(site))
    after += tuple(silence.wanted(site))
    every = [w for w in (*before, *told, *after) if (w.name, w.type) not in named or w in told or _beside(w)]
    wanted = tuple(dict.fromkeys(every))
    notes = tuple(note for some in others if isinstance(some, Desired) for note in some.notes)
    return Desired(wanted, still(unwanted, wanted), site.dns.ttl, site.dns.largest_share, notes)


def _beside(wanted: Wanted) -> bool:
    """Whether it is needed beside what others tell of the name: SPF is merged from all who send."""
    return wanted.kind == "spf" and wanted.stage == "05-send"
