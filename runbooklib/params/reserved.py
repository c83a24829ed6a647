"""Recipients of test mail that nobody is: names that are nobody's, own addresses that nobody has, one named twice.

Mail to them would leave for hosts whose owners never asked for it, or bounce.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runbooklib.params.site import Site

# RFC 2606 2 and 3, RFC 6761 6
RESERVED = ("test", "example", "invalid", "localhost", "example.com", "example.net", "example.org")


def reserved(name: str) -> bool:
    """Whether a name is set aside for tests and documents."""
    return any(name == top or name.endswith(f".{top}") for top in RESERVED)


def problems(site: Site) -> Iterator[str]:
    """Every test recipient that cannot exist, or stands twice."""
    named = {f"recipients[{i}].address": r.address for i, r in enumerate(site.test.recipients)}
    named |= {f"recipients[{i}].smtputf8": r.smtputf8 for i, r in enumerate(site.test.recipients) if r.smtputf8}
    yield from _twice(named)
    named |= {"reflector": site.test.reflector} if site.test.reflector else {}
    own, rehearsal = {d.name for d in site.domains}, reserved(site.server.hostname)
    for what, address in named.items():
        domain = address.rpartition("@")[2]
        if domain in own and not site.takes(address):
            yield f"test.{what}: {address}: no mailbox, alias or catch-all of {domain} takes it: name one that does"
        elif reserved(domain) and not rehearsal:  # a site in such a name is a rehearsal or a document
            yield (
                f"test.{what}: {address}: {domain} is reserved (RFC 2606), so nobody reads mail there: "
                "name an address that somebody reads"
            )


def _twice(named: Mapping[str, str]) -> Iterator[str]:
    """Two letters to one address would be one and the same to whoever counts them."""
    first = dict[str, str]()
    for what, address in named.items():
        other = first.setdefault(address.lower(), what)
        if other != what:
            yield f"test.{what}: {address} stands in test.{other} already: name it once"
