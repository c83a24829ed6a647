"""Who gets the reports that receivers send: an address in a mail domain of the site must be somebody's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runbooklib.params.site import Site

AUTOMATIC = ("postmaster", "abuse")  # every mail domain has these (RFC 5321 4.5.1, RFC 2142 4 and 2)


def problems(site: Site) -> Iterator[str]:
    """Every address for reports that nobody has."""
    for i, domain in enumerate(site.domains):
        for what, address in {"dmarc.rua": domain.dmarc.rua, "tls_rpt": domain.tls_rpt}.items():
            if address and not _somebodys(site, address):
                yield (
                    f"domains[{i}].{what}: {address} is no mailbox, alias or catch-all of this site, so its reports "
                    "would bounce: name one that is, or make it an alias"
                )


def _somebodys(site: Site, address: str) -> bool:
    """Whether the address is taken here, or elsewhere, which is not ours to know."""
    local, _, name = address.rpartition("@")
    domain = next((d for d in site.domains if d.name == name), None)
    if domain is None:
        return True
    own = {*site.mailboxes, *domain.aliases}
    return address not in domain.refuse and (address in own or local in AUTOMATIC or domain.catch_all is not None)
