"""One word of an SPF record: read strictly (RFC 7208 12), compared with another by what it matches."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field

from runbooklib.results import RunbookError

MODIFIER = re.compile(r"([a-z][a-z0-9_.-]*)=(.*)", re.IGNORECASE | re.DOTALL)
DIRECTIVE = re.compile(r"([+?~-]?)(all|include|a|mx|ptr|ip4|ip6|exists)(?::(.*?))?((?:/\d+)?(?://\d+)?)", re.IGNORECASE)
TRANSFORMED = r"(?:0*[1-9]\d*)?r?[.+,/_=-]*"  # RFC 7208 7.3: the number of parts is not zero
EXPANSION = rf"%(?:\{{[slodiphv]{TRANSFORMED}\}}|[%_-])"  # 7.2: c, r and t are for explanations
EXPLAINING = rf"%(?:\{{[slodiphcrtv]{TRANSFORMED}\}}|[%_-])"
VISIBLE = "[!-$&-~]"
DOMAIN_SPEC = re.compile(rf"(?:{EXPANSION}|{VISIBLE})*", re.IGNORECASE)
MACRO_STRING = re.compile(rf"(?:{EXPLAINING}|{VISIBLE})*", re.IGNORECASE)  # RFC 7208 7.1
TOP_LABEL = re.compile(r".*\.(?=[a-z0-9-]*[a-z-])[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.?", re.IGNORECASE)
ENDS_EXPANDED = re.compile(rf".*{EXPANSION}", re.IGNORECASE)
NEEDS_DOMAIN = {"include", "exists", "ip4", "ip6"}
RANKS = "-~?+"  # from refusing to allowing

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class SpfError(RunbookError):
    """A text is no SPF record, or its syntax is broken: receivers answer permerror."""


@dataclass(frozen=True)
class Term:
    """One word of a record; equal when it means the same, however it was written."""

    text: str = field(compare=False)
    name: str  # of the mechanism or modifier, in lower case
    value: str = ""
    qualifier: str = ""  # + - ~ ?, empty for a modifier
    prefix4: int = 32
    prefix6: int = 128
    network: Network | None = field(default=None, compare=False)  # of ip4 and ip6

    def named(self, owner: str) -> str:
        """The name it is about, where `owner` holds the record."""
        return owner.lower().rstrip(".") if owner and self.value in {"", "%{d}"} else self.value or "%{d}"

    def covers(self, other: Term, owner: str = "") -> bool:
        """Whether it matches whatever `other` matches, qualifiers aside."""
        if self.network and other.network:
            return _within(other.network, self.network)
        return self._akin(other, owner) and self.prefix4 <= other.prefix4 and self.prefix6 <= other.prefix6

    def meets(self, other: Term, owner: str = "") -> bool:
        """Whether both certainly match some client, as far as the words tell."""
        if self.network and other.network:
            return _within(other.network, self.network) or _within(self.network, other.network)
        return self._akin(other, owner)

    def allows_less(self, other: Term) -> bool:
        """Whether a client it matches is worse off than one `other` matches."""
        return RANKS.index(self.qualifier) < RANKS.index(other.qualifier)

    def _akin(self, other: Term, owner: str) -> bool:
        return self.name == other.name and not self.network and self.named(owner) == other.named(owner)


def _within(one: Network, other: Network) -> bool:
    return one.version == other.version and one.prefixlen >= other.prefixlen and (one.network_address in other)


def term(word: str) -> Term:
    """The meaning of one word.

    Raises SpfError when it has none.
    """
    directive = DIRECTIVE.fullmatch(word)
    if directive:
        qualifier, name, value, prefixes = directive.groups()
        return _directive(word, qualifier or "+", name.lower(), value, prefixes)
    modifier = MODIFIER.fullmatch(word)
    if not modifier:
        raise SpfError(f"{_shown(word)} is no mechanism or modifier (RFC 7208 12)")
    return _modifier(word, modifier[1].lower(), modifier[2])


def _directive(word: str, qualifier: str, name: str, value: str | None, prefixes: str) -> Term:
    if value == "" or (value is None and name in NEEDS_DOMAIN) or (value is not None and name == "all"):
        raise SpfError(f"{_shown(word)}: the mechanism {name} is not written so (RFC 7208 5)")
    if prefixes and name not in {"a", "mx", "ip4", "ip6"}:
        raise SpfError(f"{_shown(word)}: {name} takes no prefix length (RFC 7208 5)")
    if name in {"ip4", "ip6"}:
        return _network(word, qualifier, name, value or "", prefixes)
    if value is not None:
        _require_domain(word, value)
    four, _, six = prefixes.partition("//")
    prefix4, prefix6 = _prefix(word, four.lstrip("/"), 32), _prefix(word, six, 128)
    return Term(word, name, _folded(value or ""), qualifier, prefix4, prefix6)


def _network(word: str, qualifier: str, name: str, value: str, prefixes: str) -> Term:
    longest = 32 if name == "ip4" else 128
    if prefixes.startswith("//"):
        raise SpfError(f"{_shown(word)}: one slash before the prefix length (RFC 7208 5.6)")
    length = _prefix(word, prefixes.removeprefix("/"), longest)
    try:
        network = ipaddress.ip_network(f"{value}/{length}", strict=False)
    except ValueError:
        raise SpfError(f"{_shown(word)}: no {name} network (RFC 7208 5.6)") from None
    if network.max_prefixlen != longest or "%" in value:
        raise SpfError(f"{_shown(word)}: no {name} network (RFC 7208 5.6)")
    return Term(word, name, str(network), qualifier, network=network)


def _modifier(word: str, name: str, value: str) -> Term:
    if name in {"redirect", "exp"}:
        _require_domain(word, value)
    elif not MACRO_STRING.fullmatch(value):
        raise SpfError(f"{_shown(word)}: not a macro string (RFC 7208 7.1)")
    return Term(word, name, _folded(value))


def _require_domain(word: str, value: str) -> None:
    """domain-spec: a macro string that ends in a top label or an expansion (RFC 7208 7.1)."""
    ends_well = TOP_LABEL.fullmatch(value) or ENDS_EXPANDED.fullmatch(value)
    if not DOMAIN_SPEC.fullmatch(value) or not ends_well:
        raise SpfError(f"{_shown(word)}: {_shown(value)} is no domain (RFC 7208 7.1)")


def _prefix(word: str, digits: str, longest: int) -> int:
    if not digits:
        return longest
    if (digits.startswith("0") and digits != "0") or len(digits) > len("128") or int(digits) > longest:
        raise SpfError(f"{_shown(word)}: no prefix length (RFC 7208 5.6)")
    return int(digits)


def _folded(value: str) -> str:
    """Names compare without case and final dot; the case of a macro letter means escaping (RFC 7208 7.3)."""
    return value if "%" in value else value.lower().rstrip(".")


def _shown(word: str) -> str:
    short = word if len(word) <= 60 else word[:57] + "…"  # noqa: PLR2004 - what fits a table's cell
    return ascii(short)
