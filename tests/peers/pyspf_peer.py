"""pyspf behind its own seam, the module function DNSLookup, and what to repair in it where it leaves RFC 7208.

A repair proves an explanation: with it pyspf says what we say, without it something else.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from random_spf import Case
from zones import Zones
from zones import name as named

from runbooklib.answers import Question

PTR = "a PTR or its names could not be asked: no match, not temperror (RFC 7208 5.5)"
VOID = "voids are counted by term, not by question (RFC 7208 4.6.4)"
RECURSION = "a domain that includes itself is an error when it comes to that, not before (RFC 7208 4.6.2)"
MX = "a host behind the matching one decides nothing any more (RFC 7208 5.4)"
REASONS = (PTR, VOID, RECURSION, MX)


def load(source: Path) -> ModuleType:
    """The module as released; it is older than some of Python's warnings."""
    spec = importlib.util.spec_from_file_location("pyspf", source / "spf.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with warnings.catch_warnings(action="ignore"):
        spec.loader.exec_module(module)
    return module


def judge(peer: ModuleType, case: Case, repairs: frozenset[str] = frozenset()) -> tuple[str, str]:
    """What pyspf makes of a case: result, and the explanation of a fail or the reason of an error."""
    peer.DNSLookup = asking(peer, Zones(case.zone))
    query = repaired(peer, repairs)(i=case.ip, s=case.sender, h=case.helo, strict=True)
    query.set_default_explanation("")
    result, _, said = query.check()
    return result, said


def asking(peer: ModuleType, zones: Zones) -> Callable[..., Iterator[Any]]:
    """The zones in pyspf's own shape."""

    def lookup(name: str, kind: str, *_: object) -> Iterator[Any]:
        answer = zones.answer(Question(name, kind), named(name), ())
        if not answer.heard:
            raise peer.TempError(str(answer.word))
        for value in answer.values:
            yield (name, kind), SHAPES.get(kind, str)(value)

    return lookup


def _exchange(value: str) -> tuple[int, str]:
    preference, host = value.split(" ", 1)
    return int(preference), host


SHAPES: dict[str, Callable[[str], Any]] = {"TXT": lambda value: (value.encode(),), "MX": _exchange}


@cache
def repaired(peer: ModuleType, repairs: frozenset[str]) -> type[Any]:
    """The class of its queries, with some of its ways mended."""
    return type("Query", (Mended, peer.query), {"peer": peer, "repairs": repairs})


class Mended:
    """What is put before the class of pyspf's queries; each repair is one of the reasons."""

    peer: ModuleType
    repairs: frozenset[str]
    whole = False  # inside something that counts its voids itself

    def dns(self, name: str, qtype: str, cnames: Any = None, ignore_void: bool = False) -> list[Any]:
        return list(super().dns(name, qtype, cnames, ignore_void or self.whole))

    def once(self, ask: Callable[[], list[Any]]) -> list[Any]:
        """One void at most, if nothing is found."""
        found = self.uncounted(ask)
        if VOID in self.repairs and not self.whole and not found:
            self.void_lookups += 1
            if self.void_lookups > self.peer.MAX_VOID_LOOKUPS:
                raise self.peer.PermError("void")
        return found

    def uncounted(self, ask: Callable[[], Any]) -> Any:
        outer, self.whole = self.whole, VOID in self.repairs
        try:
            return ask()
        finally:
            self.whole = outer

    def dns_mx(self, domain: str) -> Any:
        return self.hosts(domain) if MX in self.repairs else self.once(lambda: super(Mended, self).dns_mx(domain))

    def hosts(self, domain: str) -> Iterator[Any]:
        """The addresses host by host, each asked when the one before it did not match."""
        found = []
        for _, host in sorted(self.dns(domain, "MX", ignore_void=True)):
            found += self.dns(host, self.A, ignore_void=True)
            yield from found
        self.once(lambda: found)

    def cidrmatch(self, addresses: Any, length: int) -> bool:
        return any(super(Mended, self).cidrmatch([address], length) for address in addresses)

    def getp(self) -> str:
        """No term of its own."""
        return str(self.uncounted(super().getp))

    def validated_ptrs(self) -> list[Any]:
        named: list[Any] = []

        def ask() -> list[Any]:
            named.extend(self.sound() if PTR in self.repairs else super(Mended, self).validated_ptrs())
            return named or self.reverse()

        self.once(ask)
        return named

    def reverse(self) -> list[Any]:
        try:
            return list(self.dns_ptr(self.i))
        except self.peer.TempError:
            return ["could not be asked"] if PTR in self.repairs else []

    def sound(self) -> list[Any]:
        return [name for name in self.reverse()[: self.peer.MAX_PTR] if self.leads_back(name)]

    def leads_back(self, name: str) -> bool:
        try:
            return self.cidrmatch(self.dns_a(name, self.A), self.cidrmax)
        except self.peer.TempError:
            return False

    def validate_mechanism(self, mech: str) -> Any:
        try:
            return super().validate_mechanism(mech)
        except self.peer.PermError as error:
            if RECURSION not in self.repairs or "trivial recursion" not in error.msg:
                raise
        target = self.expand_domain(self.peer.parse_mechanism(mech, self.d)[1])
        return mech, "include", target, 0, self.peer.RESULTS.get(mech[0], "pass")
