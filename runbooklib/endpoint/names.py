"""What DNS says of a name, asked of the site's resolvers and of no others."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.resolver
from dns.rdata import Rdata
from dns.rdtypes.ANY.TXT import TXT

from runbooklib.endpoint.errors import NameMissingError, ResolverError


def resolve(name: str, resolvers: Sequence[str], timeout: float = 5) -> list[str]:
    """The addresses of `name`, A before AAAA, asked of these resolvers only; an address is itself.

    Raises NameMissingError or ResolverError; one family is enough when the other cannot be learnt.
    """
    if _is_address(name):
        return [name]
    found = [record.to_text() for record in lookup(name, "A", resolvers, timeout)]
    try:
        found += [record.to_text() for record in lookup(name, "AAAA", resolvers, timeout)]
    except ResolverError:
        if not found:
            raise
    if not found:
        raise NameMissingError(f"{name} has neither an A nor an AAAA record")
    return found


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def lookup(name: str, kind: str, resolvers: Sequence[str], timeout: float = 5) -> list[Rdata]:
    """The records of one type, asked of these resolvers only; none is an empty list.

    Raises NameMissingError (NXDOMAIN) or ResolverError (nothing is known).
    """
    asked = dns.resolver.Resolver(configure=False)
    asked.nameservers, asked.lifetime = list(resolvers), timeout
    try:
        whole = dns.name.from_text(name.rstrip(".") + ".")
    except (dns.exception.DNSException, UnicodeError):  # from a header anyone may write: an empty or too long label
        raise NameMissingError(f"{name[:80]!a} is no name, so it does not exist") from None
    try:
        answer = asked.resolve(whole, kind, raise_on_no_answer=False)
    except dns.resolver.NXDOMAIN:
        raise NameMissingError(f"{name} does not exist (NXDOMAIN)") from None
    except (dns.resolver.NoNameservers, dns.exception.Timeout) as error:
        silent = isinstance(error, dns.exception.Timeout)
        said = "no answer in time" if silent else "no usable answer (SERVFAIL or REFUSED)"
        raise ResolverError(f"{name} {kind}: {said} from {', '.join(resolvers)}") from None
    return list(answer.rrset or ())


def validated(name: str, kind: str, resolvers: Sequence[str], timeout: float = 5, port: int = 53) -> bool:
    """Whether a resolver says that it validated the answer, be it that there is none (AD, RFC 6840 5.7, 5.8).

    Raises ResolverError when none says anything.
    """
    query = dns.message.make_query(name.rstrip(".") + ".", kind)
    query.flags |= dns.flags.AD
    heard = False
    for resolver in resolvers:
        try:
            reply, _ = dns.query.udp_with_fallback(query, resolver, timeout, port)
        except (dns.exception.DNSException, OSError):
            continue
        heard = heard or reply.rcode() in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}
        if reply.flags & dns.flags.AD:
            return True
    if not heard:
        raise ResolverError(f"{name} {kind}: no usable answer from {', '.join(resolvers)}")
    return False


def texts(name: str, resolvers: Sequence[str], timeout: float = 5) -> list[str]:
    """The TXT records of a name, each joined from its strings; a name that is not there has none.

    Raises ResolverError.
    """
    try:
        found = lookup(name, "TXT", resolvers, timeout)
    except NameMissingError:
        return []
    return [b"".join(record.strings).decode(errors="replace") for record in found if isinstance(record, TXT)]
