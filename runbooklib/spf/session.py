"""One evaluation: whose mail it is about, and its questions, counted and bounded (RFC 7208 4.6.4)."""

from __future__ import annotations

import asyncio
import ipaddress
import time
from dataclasses import dataclass, field

from runbooklib.answers import Answer, Lookup
from runbooklib.spf import macros
from runbooklib.spf.outcome import EndError, Result

LOOKUPS, VOIDS, NAMES = 10, 2, 10  # RFC 7208 4.6.4
PATIENCE = 20.0  # seconds a whole check may take (same)
LONGEST_HELO, LONGEST_SENDER = 255, 320  # octets; SMTP takes less (RFC 5321 4.5.3.1)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True)
class Client:
    """Who connects, and in whose name."""

    ip: Address
    local: str
    domain: str  # of the identity that is checked, A-labels
    helo: str
    receiver: str = ""
    now: float = field(default_factory=time.time)

    @classmethod
    def of(cls, ip: str, sender: str, helo: str, receiver: str = "") -> Client:
        """The identity MAIL FROM, or HELO where that is empty (RFC 7208 2.4).

        Raises EndError where there is no domain to check (4.3).
        """
        if len(sender) > LONGEST_SENDER:
            raise EndError(Result.NONE, "the sender is longer than any address")
        local, _, domain = (sender or helo).rpartition("@")
        try:
            address = ipaddress.ip_address(ip.partition("%")[0])
        except ValueError:
            raise EndError(Result.NONE, f"{ip[:60]!a} is no IP address") from None
        mapped = getattr(address, "ipv4_mapped", None)  # RFC 7208 5: a mapped address is an IPv4 client
        return cls(mapped or address, local or "postmaster", checked(domain), helo[-LONGEST_HELO:], receiver)

    @property
    def version(self) -> str:
        """The type of the address records to compare with."""
        return "A" if self.ip.version == 4 else "AAAA"  # noqa: PLR2004 - IPv4

    def values(self, domain: str) -> dict[str, str]:
        """What the macro letters stand for in a record of `domain` (RFC 7208 7.2), all but p."""
        nibbles = ".".join(self.ip.exploded.replace(":", "")).upper()
        four = self.version == "A"
        return {
            "s": f"{self.local}@{self.domain}",
            "l": self.local,
            "o": self.domain,
            "d": domain,
            "i": str(self.ip) if four else nibbles,
            "v": "in-addr" if four else "ip6",
            "h": self.helo,
            "c": str(self.ip),
            "r": self.receiver or "unknown",
            "t": str(int(self.now)),
        }


def checked(domain: str) -> str:
    """The domain in A-labels.

    Raises EndError where it is malformed, a literal, or no name of several labels (RFC 7208 4.3).
    """
    plain = domain.removesuffix(".")
    if len(plain) <= macros.LONGEST_NAME and not plain.isascii():
        try:
            plain = plain.encode("idna").decode()  # RFC 8616 4
        except UnicodeError:
            plain = ""
    if "." not in plain or plain.startswith("[") or not macros.well_formed(plain):
        raise EndError(Result.NONE, f"{domain[:60]!a} is no domain name that could hold a record")
    return plain


def addresses(answer: Answer) -> list[Address]:
    """The addresses in an answer; what is none is left out."""
    found = []
    for value in answer.values:
        try:
            found.append(ipaddress.ip_address(value))
        except ValueError:
            continue
    return found


def exchangers(answer: Answer) -> list[str]:
    """The hosts in an MX answer by preference, without the one that stands for none (RFC 7505 3)."""
    told = sorted((int(p) if p.isdecimal() else 0, host) for p, _, host in (v.partition(" ") for v in answer.values))
    return [host for _, host in told if host not in {"", "."}]


@dataclass
class Session:
    """The questions of one evaluation."""

    look: Lookup
    client: Client
    lookups: int = 0
    voids: int = 0
    started: float = field(default_factory=time.monotonic)

    def count(self, term: str) -> None:
        """One more term that asks DNS.

        Raises EndError when it is one too many.
        """
        self.lookups += 1
        if self.lookups > LOOKUPS:
            raise EndError(Result.PERMERROR, f"{term} is the eleventh term that asks DNS: the limit is {LOOKUPS}")

    def void(self, term: str) -> None:
        """One more term that got nothing; several questions of one term count once, as the RFC counts terms."""
        self.voids += 1
        if self.voids > VOIDS:
            raise EndError(Result.PERMERROR, f"{term} is the third term that finds nothing: the limit is {VOIDS}")

    async def ask(self, name: str, kind: str) -> Answer:
        """What DNS says.

        Raises EndError when it says nothing (RFC 7208 5): nobody can tell then.
        """
        answer = await self.try_to_ask(name, kind)
        if not answer.heard:
            raise EndError(Result.TEMPERROR, f"{name} {kind}: {answer.shown}")
        return answer

    async def try_to_ask(self, name: str, kind: str) -> Answer:
        """What DNS says, if anything."""
        if time.monotonic() - self.started > PATIENCE:
            raise EndError(Result.TEMPERROR, f"the questions took longer than {PATIENCE:.0f} seconds")
        return await self.look(name, kind)

    async def validated(self) -> tuple[str, ...] | None:
        """The client's names that lead back to it (RFC 7208 5.5), None when it has no name at all."""
        answer = await self.try_to_ask(self.client.ip.reverse_pointer, "PTR")
        if answer.heard and not answer.values:
            return None
        names = answer.values[:NAMES] if answer.heard else ()
        back = await asyncio.gather(*(self.try_to_ask(n, self.client.version) for n in names))
        return tuple(n for n, a in zip(names, back, strict=True) if a.heard and self.client.ip in addresses(a))

    async def name(self, text: str, domain: str, term: str = "") -> str:
        """The name that a domain-spec in a record of `domain` stands for; empty when there is no such name."""
        return macros.name(text, await self.values(text, domain, term))

    async def values(self, text: str, domain: str, term: str = "") -> dict[str, str]:
        """What the macros of `text` stand for; the question for p counts as a lookup of `term` (RFC 7208 4.6.4)."""
        values = self.client.values(domain)
        if "p" not in macros.letters(text):
            return values
        if term:
            self.count(f"%{{p}} in {term}")
        return values | {"p": preferred(await self.validated() or (), domain)}


def preferred(names: tuple[str, ...], domain: str) -> str:
    """The validated name that p stands for: the domain, else one below it, else any (RFC 7208 7.3)."""
    lower = domain.lower()
    below = [n for n in names if n.endswith(f".{lower}")]
    return lower if lower in names else next(iter([*below, *names]), "unknown")
