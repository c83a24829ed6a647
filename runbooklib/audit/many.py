"""Many domains: audited a few at a time, each told as soon as it is done, so that memory does not grow with them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from itertools import islice

from runbooklib.audit.gathering import domain
from runbooklib.audit.subject import Subject
from runbooklib.audit.transport import Fetch
from runbooklib.results import Checklist
from runbooklib.zone import Stub

ABREAST = 30  # domains under way at once


async def each(
    stub: Stub, subjects: Iterable[Subject], abreast: int = ABREAST, fetch: Fetch | None = None
) -> AsyncIterator[Checklist]:
    """The audit of each domain, in the order they are done; `subjects` are taken as there is room for them."""
    waiting = iter(subjects)
    underway = {_started(stub, subject, fetch) for subject in islice(waiting, abreast)}
    while underway:
        done, underway = await asyncio.wait(underway, return_when=asyncio.FIRST_COMPLETED)
        underway |= {_started(stub, subject, fetch) for subject in islice(waiting, len(done))}
        for task in done:
            yield task.result()


def _started(stub: Stub, subject: Subject, fetch: Fetch | None) -> asyncio.Task[Checklist]:
    return asyncio.create_task(domain(stub, subject, fetch))
