"""Questions asked side by side until a deadline that holds: who hangs is left behind, and named with the time."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from queue import SimpleQueue
from typing import Any

from runbooklib.credentials import mask, mask_tree
from runbooklib.diagnosis import Fact

Probe = Callable[[], Any]  # a JSON-like value; raises where it cannot be seen
Question = tuple[str, Probe]  # the fact's name, and how it is found out


@dataclass(frozen=True)
class Source:
    """Questions to one place: found one by one, which may take time of its own, and some asked at once."""

    questions: Iterable[Question]
    at_once: int
    entrances: tuple[str, ...] = ("questions",)  # the facts that come first; not seen where nothing comes after them


class Asking:
    """Questions under way; its threads are daemons, so that one that hangs keeps no process from its end."""

    def __init__(self, sources: Sequence[Source], budget: float, advisory: Collection[str]) -> None:
        self.budget, self.ends, self.advisory = budget, time.monotonic() + budget, advisory
        self.asked = dict[str, float | None]()  # when each question was asked; None: it stands in line
        self.facts = dict[str, Fact]()
        self.searching = list(sources)
        self.changed = threading.Condition()
        for source in sources:
            _daemon(self._find, source)

    def outcome(self) -> dict[str, Fact]:
        """Every fact, once all are there or the time is over."""
        with self.changed:
            self.changed.wait_for(self._over, max(0.0, self.ends - time.monotonic()))
            facts = {name: self.facts.get(name) or self._late(name) for name in self.asked}
            return facts | {name: self._late(name) for name in self._shut()}

    def _over(self) -> bool:
        return not self.searching and len(self.facts) == len(self.asked)

    def _shut(self) -> Iterable[str]:
        """For each place that is still being entered the entrance at which that stands."""
        for source in self.searching:
            yield from itertools.islice((name for name in source.entrances if name not in self.asked), 1)

    def _late(self, name: str) -> Fact:
        began = self.asked.get(name)
        within = f"within the time budget of {self.budget:g} s"
        if name in self.asked and began is None:
            return self._unseen(name, f"not asked {within}, as others before it gave no answer")
        seconds = self.budget if began is None else time.monotonic() - began
        return replace(self._unseen(name, f"no answer {within}"), seconds=round(seconds, 3))

    def _find(self, source: Source) -> None:
        """Puts a place's questions in line, with as many daemons to ask them as it bears."""
        line = SimpleQueue[Question | None]()
        askers = 0
        try:
            for name, probe in source.questions:
                with self.changed:
                    self.asked[name] = None
                line.put((name, probe))
                if askers < source.at_once:
                    askers += 1
                    _daemon(self._ask, line)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a reason why something was not seen
            with self.changed:
                for name in list(self._shut())[:1]:
                    self.asked[name], self.facts[name] = self.ends, self._unseen(name, *_words(error))
        for _ in range(askers):
            line.put(None)
        with self.changed:
            self.searching.remove(source)
            self.changed.notify_all()

    def _ask(self, line: SimpleQueue[Question | None]) -> None:
        while (question := line.get()) and time.monotonic() < self.ends:
            name, probe = question
            began = time.monotonic()
            with self.changed:
                self.asked[name] = began
            told = self._told(name, probe)
            with self.changed:
                self.facts[name] = replace(told, seconds=round(time.monotonic() - began, 3))
                self.changed.notify_all()

    def _told(self, name: str, probe: Probe) -> Fact:
        try:
            return Fact(mask_tree(probe()))
        except Exception as error:  # noqa: BLE001 - an answer that nobody foresaw is one not understood
            return self._unseen(name, *_words(error))

    def _unseen(self, name: str, why: str, fix: str = "") -> Fact:
        return Fact(unseen=why, advisory=name.partition(" ")[0] in self.advisory, fix=fix)


def ask(sources: Sequence[Source], budget: float, advisory: Collection[str] = ()) -> dict[str, Fact]:
    """The facts within `budget` seconds; those of the `advisory` words stop nobody when they are not seen."""
    return Asking(sources, budget, advisory).outcome()


def once(probe: Probe) -> Probe:
    """The same probe for several facts that are views of its answer: the first who needs it asks."""
    lock, answer = threading.Lock(), Future[Any]()

    def told() -> Any:
        with lock:
            if not answer.done():
                try:
                    answer.set_result(probe())
                except Exception as error:  # noqa: BLE001 - raised again for whoever asks
                    answer.set_exception(error)
        return answer.result()

    return told


def _words(error: Exception) -> tuple[str, str]:
    return mask(str(error)) or type(error).__name__, mask(str(getattr(error, "fix", "")))


def _daemon(target: Callable[..., None], *arguments: object) -> None:
    threading.Thread(target=target, args=arguments, daemon=True).start()
