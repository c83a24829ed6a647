"""Every check of a domain and of a mail host as DNS shows them: a stable id, what it looks at, and who says so."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """One check; `peers` names the checkers that have it, too."""

    id: str
    looks_at: str
    ref: str
    peers: tuple[str, ...] = ()


MOX, MIAB, MAILCOW, INTERNET_NL, CHECKDMARC = "mox", "Mail-in-a-Box", "mailcow", "internet.nl", "checkdmarc"

ZONE = (
    Entry("dns.zone", "a zone holds the domain", "RFC 1034 4.2.1", (CHECKDMARC,)),
    Entry("dns.ns.count", "two nameservers or more", "RFC 2182 5", (MIAB, CHECKDMARC)),
    Entry("dns.ns.names", "each nameserver's name has addresses and is no alias", "RFC 2181 10.3", (MIAB,)),
    Entry("dns.ns.answers", "each nameserver answers with authority", "RFC 1912 2.8", (MIAB,)),
    Entry(
        "dns.ns.parent",
        "the parent names the nameservers that the zone names, glue included",
        "RFC 1034 4.2.2",
        (MIAB,),
    ),
    Entry("dns.ns.ipv6", "nameservers that IPv4 reaches, and IPv6 where it is used", "RFC 3901 4", (INTERNET_NL,)),
    Entry("dns.soa.serial", "all nameservers hold the same serial", "RFC 1912 2.2", (MIAB,)),
    Entry(
        "dns.dnssec", "signatures validate, or the zone is unsigned", "RFC 4033 5", (MOX, MIAB, INTERNET_NL, CHECKDMARC)
    ),
    Entry("dns.dnssec.algorithm", "DS records of an algorithm and digest that are not deprecated", "RFC 9904", (MIAB,)),
    Entry("dns.wildcard", "made-up names do not answer", "RFC 4592 2.1"),
    Entry("dns.alias", "the mail domain itself is no CNAME", "RFC 2181 10.1"),
    Entry("dns.names.doubled", "no record whose name holds the zone's name twice", "RFC 1035 5.1"),
    Entry("dns.names.stripped", "no record that lost its underscore", "RFC 8552 1"),
    Entry("dns.web.address", "the domain's own address is public, where it has one", "RFC 6890", (MIAB,)),
    Entry("dns.caa", "CAA records can be read and leave an authority for the mail host", "RFC 8659 4", (INTERNET_NL,)),
)
RECEIVING = (
    Entry("dns.mx", "mail has a place to go", "RFC 5321 5.1", (MOX, MIAB, MAILCOW, CHECKDMARC)),
    Entry("dns.mx.null", "a null MX stands alone and only where nothing is received", "RFC 7505 3", (MOX, INTERNET_NL)),
    Entry("dns.mx.name", "each MX is the name of a host, no address and no alias", "RFC 2181 10.3", (CHECKDMARC,)),
    Entry("dns.mx.address", "each MX has an address that the world can reach", "RFC 5321 5.1", (MOX, CHECKDMARC)),
    Entry(
        "dns.mx.ipv6", "whether IPv6 reaches an MX; a host with IPv4 alone is as good", "RFC 5321 5.2", (INTERNET_NL,)
    ),
    Entry("dns.mx.ours", "the MX is this site's host", "RFC 5321 5.1", (MOX, MIAB, MAILCOW)),
    Entry("dns.mx.dnssec", "MX rrset and host addresses validate, as DANE needs", "RFC 7672 2.2", (MOX, INTERNET_NL)),
    Entry(
        "dns.dane", "TLSA records can be used by senders", "RFC 7672 3.1", (MOX, MIAB, MAILCOW, INTERNET_NL, CHECKDMARC)
    ),
    Entry(
        "dns.mta-sts.record", "one MTA-STS record that can be read", "RFC 8461 3.1", (MOX, MIAB, MAILCOW, CHECKDMARC)
    ),
    Entry(
        "dns.mta-sts.policy", "the policy is served and can be read", "RFC 8461 3.2", (MOX, MIAB, MAILCOW, CHECKDMARC)
    ),
    Entry("dns.mta-sts.mx", "the policy lists every MX and nothing else", "RFC 8461 4.1", (MOX, CHECKDMARC)),
    Entry("dns.mta-sts.age", "the policy lives longer than a day", "RFC 8461 3.2", (MOX,)),
    Entry("dns.tls-rpt", "one TLS-RPT record that can be read", "RFC 8460 3", (MOX, MAILCOW, CHECKDMARC)),
    Entry("dns.srv", "service records lead to a host that has addresses", "RFC 6186 3", (MOX, MAILCOW)),
    Entry("dns.autoconfig", "names where mail programs look lead somewhere", "RFC 1034 3.6.2", (MOX, MAILCOW)),
)
SPF = (
    Entry("dns.spf.record", "SPF where MAIL FROM points", "RFC 7208 3", (MOX, MIAB, MAILCOW, INTERNET_NL, CHECKDMARC)),
    Entry("dns.spf.single", "one SPF record", "RFC 7208 4.5", (CHECKDMARC,)),
    Entry("dns.spf.syntax", "every term can be read", "RFC 7208 12", (MOX, CHECKDMARC)),
    Entry("dns.spf.lookup-limit", "at most ten terms that ask DNS", "RFC 7208 4.6.4", (CHECKDMARC,)),
    Entry("dns.spf.void-limit", "at most two questions without an answer", "RFC 7208 4.6.4", (CHECKDMARC,)),
    Entry(
        "dns.spf.targets",
        "what is included or redirected to is an SPF record, and no loop",
        "RFC 7208 5.2",
        (CHECKDMARC,),
    ),
    Entry("dns.spf.ending", "how it ends, for those whom nothing names", "RFC 7208 5.1", (INTERNET_NL, CHECKDMARC)),
    Entry("dns.spf.ptr", "no ptr, which many receivers ignore", "RFC 7208 5.5", (CHECKDMARC,)),
    Entry("dns.spf.size", "the answer fits a datagram", "RFC 7208 3.4", (CHECKDMARC,)),
    Entry("dns.spf.breadth", "it does not let half the world send", "RFC 7208 11.4"),
    Entry("dns.spf.cdn", "`a` and `mx` name mail hosts, not a proxying CDN", "RFC 7208 5.3"),
    Entry("dns.spf.sends", "the addresses that send pass", "RFC 7208 2.6", (MOX,)),
)
DKIM = (
    Entry("dns.dkim.published", "keys are published", "RFC 6376 3.6.2.1", (MOX, MIAB, MAILCOW, INTERNET_NL)),
    Entry("dns.dkim.single", "one record a selector", "RFC 6376 3.6.2.2"),
    Entry("dns.dkim.syntax", "the record can be read; v= may be missing", "RFC 6376 3.6.1", (MOX, MAILCOW)),
    Entry("dns.dkim.key", "the key is whole and long enough", "RFC 8301 3.2", (MOX, MAILCOW)),
    Entry("dns.dkim.testing", "the key is not marked as a test", "RFC 6376 3.6.1"),
)
DMARC = (
    Entry(
        "dns.dmarc.record",
        "a DMARC policy, own or inherited",
        "RFC 9989 4.10",
        (MOX, MIAB, MAILCOW, INTERNET_NL, CHECKDMARC),
    ),
    Entry("dns.dmarc.single", "one DMARC record", "RFC 9989 4.10", (CHECKDMARC,)),
    Entry("dns.dmarc.syntax", "every tag can be read", "RFC 9989 4.8", (MOX, CHECKDMARC)),
    Entry("dns.dmarc.policy", "what it asks of receivers", "RFC 9989 4.7", (MOX, INTERNET_NL, CHECKDMARC)),
    Entry("dns.dmarc.subdomains", "subdomains are not weaker by sp= or np=", "RFC 9989 4.7", (MOX,)),
    Entry("dns.dmarc.reports", "someone reads the aggregate reports", "RFC 9990 3", (MOX, CHECKDMARC)),
    Entry("dns.dmarc.authorised", "report addresses elsewhere have agreed", "RFC 9990 4", (MOX, CHECKDMARC)),
    Entry("dns.dmarc.rfcs", "RFC 9989 and RFC 7489 come to the same policy and organizational domain", "RFC 9989 4.10"),
    Entry("dns.dmarc.retired", "no tag that RFC 9989 removed decides", "RFC 9989 C.5", (CHECKDMARC,)),
)
HOST = (
    Entry(
        "dns.host.address",
        "the mail host's name leads to its addresses and nowhere else",
        "RFC 5321 4.1.1.1",
        (MIAB, MAILCOW),
    ),
    Entry("dns.host.spf", "the HELO name passes SPF where the host itself sends", "RFC 7208 2.3", (MOX,)),
    Entry("dns.ptr", "each address has a name", "RFC 1912 2.1", (MOX, MIAB, MAILCOW)),
    Entry("dns.ptr.confirmed", "that name leads back to the address", "RFC 8601 3", (MOX, MIAB)),
    Entry("dns.ptr.host", "the name is the one the server says in HELO", "RFC 5321 4.1.4", (MIAB, MAILCOW)),
    Entry("dns.ptr.generic", "the name is not a provider's numbered one", "RFC 1912 2.1"),
    Entry("dns.dnsbl", "no blocklist holds the address", "RFC 5782 2.1", (MOX, MIAB)),
    Entry("dns.dnsbl.domain", "no blocklist holds the domain", "RFC 5782 3", (MIAB,)),
    Entry("dns.dnsbl.health", "the blocklist lists its test entry and not 127.0.0.1", "RFC 5782 5", (MOX,)),
)
CATALOGUE = {entry.id: entry for group in (ZONE, RECEIVING, SPF, DKIM, DMARC, HOST) for entry in group}
