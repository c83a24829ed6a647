"""The DNS tree walk (RFC 9989 4.10): which names it asks, and the organizational domain it comes to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from runbooklib.answers import Answer
from runbooklib.dmarc.record import Record, accepted, is_dmarc

Published = Callable[[str], "str | None"]  # the one DMARC record at _dmarc.<name>, or None

MOST_LABELS = 8  # RFC 9989 4.10: longer names are walked from their last seven labels


@dataclass(frozen=True)
class Held:
    """What was found at one name."""

    record: Record | None = None  # only where there is exactly one
    heard: bool = True
    count: int = 0


Holding = Callable[[str], Held]  # by the name without its _dmarc label


def walk(domain: str) -> tuple[str, ...]:
    """The names whose TXT records the walk asks for, longest first; eight at most."""
    return tuple(f"_dmarc.{name}" for name in names(domain))


def names(domain: str) -> tuple[str, ...]:
    """The domains the walk passes."""
    labels = domain.split(".")
    shorter = labels[1:] if len(labels) < MOST_LABELS else labels[-(MOST_LABELS - 1) :]
    return (domain, *(".".join(shorter[i:]) for i in range(len(shorter))))


def held(answer: Answer | None) -> Held:
    """What an answer to `_dmarc.<name>` TXT says; several records are all discarded (RFC 9989 4.10)."""
    if answer is None or not answer.heard:
        return Held(heard=False)
    found = [value for value in answer.values if is_dmarc(value)]
    return Held(accepted(found[0]) if len(found) == 1 else None, count=len(found))


def told(published: Published) -> Holding:
    """The same from a function that gives the text of a record, and raises where nothing was heard."""
    return lambda name: Held(accepted(published(name) or ""))


def climb(domain: str, holding: Holding) -> Iterator[tuple[str, Held]]:
    """What the walk meets, up to a record that says where an organization begins or ends (psd=)."""
    for name in names(domain):
        found = holding(name)
        yield name, found
        if found.record and found.record.public_suffix != "u":
            return


def organizational(domain: str, published: Published) -> str:
    """The organizational domain by the tree walk (RFC 9989 4.10.2)."""
    return walked(domain, told(published))


def walked(domain: str, holding: Holding) -> str:
    """The organizational domain, empty where an answer on the way was not heard: it might have changed it."""
    found = domain
    for name, here in climb(domain, holding):
        if not here.heard:
            return ""
        if here.record and here.record.public_suffix == "y" and name != domain:
            return below(domain, name)
        found = name if here.record else found
    return found


def below(domain: str, suffix: str) -> str:
    """The domain one label below `suffix` that `domain` is or lies in."""
    return ".".join(domain.split(".")[-(suffix.count(".") + 2) :])
