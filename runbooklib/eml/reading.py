"""Raw bytes as a message, whatever they hold: nothing a stranger writes raises."""

from __future__ import annotations

from dataclasses import dataclass, field
from email import message_from_bytes
from email.headerregistry import Address, HeaderRegistry
from email.message import EmailMessage
from email.policy import default
from functools import cached_property
from typing import Any

from runbooklib.eml import hops
from runbooklib.eml.hops import Hop

MOST_HOPS = 100  # RFC 5321 6.3: what passes more servers is taken for a loop
LONGEST = 16_384  # octets of a header that is parsed: the standard library's parser is quadratic


class Forgiving(HeaderRegistry):
    """Headers as the default policy parses them; one that its parser breaks on is plain text."""

    def __call__(self, name: str, value: str) -> Any:
        """The header as a value."""
        plain = value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        if len(value) > LONGEST:
            return plain
        try:
            return super().__call__(name, plain)
        except Exception:  # noqa: BLE001 - it raises a dozen kinds on hostile text, RecursionError among them
            return plain


POLICY = default.clone(header_factory=Forgiving())


@dataclass(frozen=True)
class Eml:
    """One message as it arrived."""

    raw: bytes = field(repr=False)

    @cached_property
    def message(self) -> EmailMessage:
        """Its parts and headers."""
        return message_from_bytes(self.raw, policy=POLICY)

    @cached_property
    def fields(self) -> tuple[tuple[str, str], ...]:
        """Its headers from the top: names in lower case, values unfolded but not decoded."""
        return tuple((name.lower(), _unfolded(value)) for name, value in self.message.raw_items())

    def all(self, name: str) -> tuple[str, ...]:
        """The values of every header of that name, from the top."""
        return tuple(value for n, value in self.fields if n == name.lower())

    @cached_property
    def hops(self) -> tuple[Hop, ...]:
        """The way it took, oldest hop first; the newest hundred."""
        return tuple(hops.parse(value) for value in reversed(self.all("received")[:MOST_HOPS]))

    @cached_property
    def author(self) -> str:
        """The domain of the one From address, or nothing where there is not exactly one (RFC 9989 4.1)."""
        if len(self.all("from")) != 1:
            return ""
        addresses: tuple[Address, ...] = getattr(self.message["From"], "addresses", ())
        return ascii_domain(addresses[0].domain) if len(addresses) == 1 else ""

    @cached_property
    def return_path(self) -> str | None:
        """MAIL FROM as the last server wrote it down (RFC 5321 4.4): empty for a bounce, None where nobody did."""
        found = self.all("return-path")
        return found[0].strip().strip("<>").strip() if found else None


def read(raw: bytes) -> Eml:
    """The message in these bytes."""
    return Eml(raw)


def ascii_domain(domain: str) -> str:
    """A domain as DNS is asked for it: lower case, A-labels (RFC 8616 4), no final dot."""
    plain = domain.strip().rstrip(".").lower()
    if plain.isascii():
        return plain
    try:
        return plain.encode("idna").decode()
    except UnicodeError:
        return plain


def _unfolded(value: Any) -> str:
    """RFC 5322 2.2.3."""
    text = str(value).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return text.replace("\r", "").replace("\n", "").strip()
