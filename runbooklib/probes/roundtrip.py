"""One round trip to the server from which several facts are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from runbooklib.host import Answer
from runbooklib.probes.asking import once
from runbooklib.probes.mailflow import UnseenError


class RoundTrip:
    """Answers that are asked for once, by whichever probe needs one first; the others wait for them."""

    def __init__(self, ask: Callable[[], Mapping[str, Answer]], silent: str) -> None:
        self.told, self.silent = once(ask), silent

    def all(self) -> Mapping[str, Answer]:
        """Every answer that there is.

        Raises again what asking raised.
        """
        told: Mapping[str, Answer] = self.told()
        return told

    def __getitem__(self, name: str) -> Answer:
        """An answer.

        Raises UnseenError where there is none, and again for each what asking raised.
        """
        told = self.all()
        if name not in told:
            raise UnseenError(self.silent)
        return told[name]
