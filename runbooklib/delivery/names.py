"""What DNS says about the names in a message, each question asked once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Self

from runbooklib import authres, endpoint
from runbooklib.endpoint import NameMissingError


class Names:
    """Answers by name; every method raises ResolverError when nothing is known."""

    def __init__(self, texts: Callable[[str], Sequence[str]], mx: Callable[[str], Sequence[str]]) -> None:
        self.texts, self.mx = cache(texts), cache(mx)

    @classmethod
    def asked_of(cls, resolvers: Sequence[str]) -> Self:
        """Names as these resolvers know them."""
        return cls(partial(endpoint.texts, resolvers=resolvers), partial(_mx, resolvers))

    def dmarc(self, name: str) -> str | None:
        """The DMARC record at a name; several are as none (RFC 9989 4.7)."""
        found = [text for text in self.texts(f"_dmarc.{name}") if authres.parse_policy(text)]
        return found[0] if len(found) == 1 else None

    def dkim_key(self, name: bytes, timeout: float = 5) -> bytes | None:
        """The key record that dkimpy asks for."""
        del timeout  # the resolvers have their own
        found = [text for text in self.texts(name.decode("ascii", "replace").rstrip(".")) if "p=" in text]
        return found[0].encode() if found else None


def _mx(resolvers: Sequence[str], domain: str) -> list[str]:
    """The hosts that receive for a domain; without MX the domain itself (RFC 5321 5.1)."""
    try:
        found = endpoint.lookup(domain, "MX", resolvers)
    except NameMissingError:
        return [domain]
    return [record.to_text().split()[1].rstrip(".").lower() for record in found] or [domain]
