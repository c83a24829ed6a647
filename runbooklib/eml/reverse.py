"""FCrDNS of the address a message came from: it has a name, and the name leads back (RFC 8601 3, iprev)."""

from __future__ import annotations

import asyncio
import ipaddress
from dataclasses import dataclass

from runbooklib.answers import Answer, Lookup

MOST = 10  # names of one address that are followed (RFC 7208 4.6.4 has the same limit)


@dataclass(frozen=True)
class Reverse:
    """What DNS says of an address and back."""

    address: str
    names: tuple[str, ...] = ()  # where the PTR records lead
    confirmed: tuple[str, ...] = ()  # those of them that lead back to the address
    silent: str = ""  # an answer that was not heard, where nothing is confirmed without it

    @property
    def known(self) -> bool:
        return bool(self.confirmed) or not self.silent

    def __str__(self) -> str:
        if self.confirmed:
            return f"{self.address} is {', '.join(self.confirmed)}"
        if self.silent:
            return f"no answer: {self.silent}"
        if self.names:
            return f"{self.address} is {', '.join(self.names)}, which does not lead back to it"
        return f"{self.address} has no PTR record"


async def confirm(look: Lookup, address: str) -> Reverse:
    """Asks for the address's names, and for the addresses of each."""
    client = ipaddress.ip_address(address)
    pointer = await look(client.reverse_pointer, "PTR")
    if not pointer.heard:
        return Reverse(address, silent=_silent(pointer))
    names = tuple(name.rstrip(".").lower() for name in pointer.values[:MOST])
    kind = "AAAA" if client.version == 6 else "A"  # noqa: PLR2004 - IPv6
    answers = await asyncio.gather(*(look(name, kind) for name in names))
    back = tuple(name for name, answer in zip(names, answers, strict=True) if _leads_to(answer, address))
    return Reverse(address, names, back, next((_silent(a) for a in answers if not a.heard), ""))


def _leads_to(answer: Answer, address: str) -> bool:
    return any(ipaddress.ip_address(value) == ipaddress.ip_address(address) for value in answer.values)


def _silent(answer: Answer) -> str:
    return f"{answer.question.name} {answer.question.type}: {answer.shown}"
