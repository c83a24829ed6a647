"""Messages that somebody saved, judged as those that arrived: for recipients that give us no login."""

from __future__ import annotations

from runbooklib import places
from runbooklib.answers import Lookup
from runbooklib.eml import saved as keeping
from runbooklib.eml import source
from runbooklib.eml.source import SourceError
from runbooklib.params import Site
from runbooklib.results import Check, Checklist, Status
from runbooklib.zone import Stub, together
from runbooklib.zone.questions import INTERNET
from runbooklib.zone.resolvers import resolvers

TITLE = "saved messages"


def saved(site: Site) -> Checklist:
    """Every message that params name under test.saved, with what DNS says now."""
    return together([judged(Stub(INTERNET, resolvers(site)), site)])[0]


async def judged(look: Lookup, site: Site) -> Checklist:
    """The same with DNS as it is given."""
    rows = [row for path in site.test.saved for row in await _file(look, path)]
    return Checklist(TITLE, tuple(rows))


async def _file(look: Lookup, path: str) -> tuple[Check, ...]:
    where = places.locate(path)
    try:
        found = source.read(where.read_bytes())
    except OSError as error:
        return (_unread(path, error.strerror or str(error), "correct test.saved in params, or save the message there"),)
    except SourceError as error:
        return (_unread(path, str(error), "save the whole message: Show original, View source, or Save as .eml"),)
    return (await keeping.judge(look, found, where.name)).checks.checks


def _unread(path: str, said: str, fix: str) -> Check:
    return Check(f"delivery.source {path}", Status.UNKNOWN, "a saved message", said, fix, advisory=True)
