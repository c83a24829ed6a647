"""What mail programs look for to set themselves up; params name it, mail needs none of it."""

from __future__ import annotations

from collections.abc import Iterator

from runbooklib.params import POSTFIX, Site
from runbooklib.records.wanted import TTL, Wanted

# RFC 6186 3.4: among the ways to one service, priority is preference; RFC 8314 3: TLS from the first byte first.
FIRST, THEN = 0, 10
SERVICES = {"_imaps": (FIRST, 993), "_imap": (THEN, 143), "_submissions": (FIRST, 465), "_submission": (THEN, 587)}


def wanted(site: Site) -> Iterator[Wanted]:
    """The records that params ask for."""
    host, asked = site.server.hostname, site.dns.optional
    for name in (domain.name for domain in site.domains):
        for label in ("autodiscover", "autoconfig"):
            if label in asked:
                why = "mail programs find their settings there"
                yield Wanted(f"{label}.{name}", "CNAME", (host,), TTL, why, "RFC 1034 3.6.2", "", advisory=True)
        if "autodiscover" in asked:
            yield _service("_autodiscover", 443, name, host, "Outlook finds its settings there", "RFC 2782")
        if "srv" in asked:
            why, ref = "mail programs find the server there", "RFC 6186 3, RFC 8314 5.1"
            for label, (priority, port) in _offered(site).items():
                yield _service(label, port, name, host, why, ref, priority)


def _offered(site: Site) -> dict[str, tuple[int, int]]:
    """A Dovecot that was there before us may have no STARTTLS on 143, and nothing is promised or denied there."""
    unsure = {"_imap"} if site.mail.server == POSTFIX else set()
    return {label: way for label, way in SERVICES.items() if label not in unsure}


def _service(label: str, port: int, domain: str, host: str, why: str, ref: str, priority: int = FIRST) -> Wanted:
    name, value = f"{label}._tcp.{domain}", f"{priority} 1 {port} {host}"
    return Wanted(name, "SRV", (value,), TTL, why, ref, "", advisory=True)
