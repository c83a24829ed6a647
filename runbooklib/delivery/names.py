"""What DNS says about the names in a message, asked once each of the site's resolvers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from runbooklib import authres, endpoint
from runbooklib.endpoint import NameMissingError


class Names:
    """Cached answers; every method raises ResolverError when nothing is known."""

    def __init__(self, resolvers: Sequence[str]) -> None:
        self.resolvers = tuple(resolvers)
        self.texts = cache(self._texts)

    def _texts(self, name: str) -> tuple[str, ...]:
        return tuple(endpoint.texts(name, self.resolvers))

    def mx(self, domain: str) -> list[str]:
        """The hosts that receive for a domain; without MX the domain itself (RFC 5321 5.1)."""
        try:
            found = endpoint.lookup(domain, "MX", self.resolvers)
        except NameMissingError:
            return [domain]
        return [record.to_text().split()[1].rstrip(".").lower() for record in found] or [domain]

    def dmarc(self, name: str) -> str | None:
        """The DMARC record at a name; several are as none (RFC 9989 4.7)."""
        found = [text for text in self.texts(f"_dmarc.{name}") if authres.parse_policy(text)]
        return found[0] if len(found) == 1 else None

    def dkim_key(self, name: bytes, timeout: float = 5) -> bytes | None:
        """The key record that dkimpy asks for."""
        del timeout  # the resolvers have their own
        found = [text for text in self.texts(name.decode("ascii", "replace").rstrip(".")) if "p=" in text]
        return found[0].encode() if found else None
