"""The organizational domain as RFC 7489 has it: one label below a public suffix, by the list that browsers use."""

from __future__ import annotations

from functools import cache

from publicsuffixlist import PublicSuffixList


def registered(domain: str) -> str:
    """The domain that was registered with a registrar; a public suffix itself is its own (RFC 7489 3.2)."""
    return str(_suffixes().privatesuffix(domain) or domain)


@cache
def _suffixes() -> PublicSuffixList:
    """The list that came with its package: nothing is fetched."""
    return PublicSuffixList()
