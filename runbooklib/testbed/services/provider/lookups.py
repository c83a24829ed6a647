"""What a provider sees in DNS when it verifies a domain; nothing is remembered between two looks."""

from __future__ import annotations

from dataclasses import dataclass, field

import dns.exception
import dns.resolver


@dataclass(frozen=True)
class Lookups:
    """Questions to the system's resolvers, or to one `address[:port]`."""

    at: str | None = None
    seconds: float = 3.0
    resolver: dns.resolver.Resolver = field(init=False)

    def __post_init__(self) -> None:
        resolver = dns.resolver.Resolver(configure=self.at is None)
        if self.at:
            address, _, port = self.at.partition(":")
            resolver.nameservers, resolver.port = [address], int(port or 53)
        resolver.lifetime = self.seconds
        object.__setattr__(self, "resolver", resolver)

    def values(self, name: str, kind: str) -> list[str]:
        """TXT joined; names in lower case without final dot; none where nobody answers."""
        try:
            answer = self.resolver.resolve(f"{name.rstrip('.')}.", kind, search=False)
        except dns.exception.DNSException:
            return []
        if kind == "TXT":
            return [b"".join(record.strings).decode("utf-8", "replace") for record in answer]
        return [record.to_text().lower().rstrip(".") for record in answer]
