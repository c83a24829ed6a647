"""One line of a benchmark's table, and how it is shown."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

TIMES = 3  # repetitions; the median counts


@dataclass(frozen=True)
class Figure:
    """Ours beside a peer's or a bound's; the ratio is ours divided by theirs."""

    name: str
    ours: float
    peer: float
    peer_name: str
    ratio: float
    unit: str


def figure(name: str, ours: float, peer: float, peer_name: str, unit: str) -> Figure:
    """With its ratio."""
    return Figure(name, _short(ours), _short(peer), peer_name, _short(ours / peer), unit)


def _short(number: float) -> float:
    """Three digits that count."""
    return float(f"{number:.3g}")


def seconds(work: Callable[[], object]) -> float:
    """How long it takes once."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def compare(name: str, ours: Callable[[], object], peer: Callable[[], object], peer_name: str) -> Figure:
    """Both by turns, so that what else the machine does falls on both; the first turn does not count."""
    turns = [(seconds(ours), seconds(peer)) for _ in range(1 + TIMES)][1:]
    mine, other = (statistics.median(times) for times in zip(*turns, strict=True))
    return figure(name, mine, other, peer_name, "s")


def table(measured: Iterable[Figure]) -> str:
    """As Markdown."""
    lines = ["| what | ours | peer | ratio | peer's name |", "|---|---|---|---|---|"]
    lines += [
        f"| {f.name} | {f.ours:g} {f.unit} | {f.peer:g} {f.unit} | {f.ratio:g} | {f.peer_name} |" for f in measured
    ]
    return "\n".join(lines)
