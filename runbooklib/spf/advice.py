"""What the words of an SPF record mean to those who publish it, and what they may not have meant."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from runbooklib.results import Status, Table
from runbooklib.spf.record import Spf
from runbooklib.spf.terms import Term

BROAD = {4: 16, 6: 32}  # shorter prefixes are more than one sender's network
LIMITLESS = {4: 8, 6: 16}  # shorter ones are a share of the world
BITS = {4: 32, 6: 128}


@dataclass(frozen=True)
class Advice:
    """One term: what it says, whether that is sound, and what to do otherwise."""

    term: str
    means: str
    status: Status = Status.PASS
    fix: str = ""


SOFTER = "end it in ~all"
ENDINGS = {
    "-": Advice(
        "-all",
        "receivers may refuse mail from any other address outright, forwarded mail too, before they look at DKIM",
    ),
    "~": Advice(
        "~all",
        "mail from any other address is suspect, not refused: DKIM and the DMARC policy decide, "
        "so that forwarded mail with a good signature arrives",
    ),
    "?": Advice(
        "?all",
        "nothing is said about any other address: it may send as if there were no record",
        Status.WARN,
        SOFTER,
    ),
    "+": Advice("+all", "the whole world may send as this domain, and passes", Status.FAIL, SOFTER),
}
OPEN = Advice(
    "", "no all and no redirect=: nothing is said about any other address (RFC 7208 4.7)", Status.WARN, SOFTER
)


def ending(record: Spf) -> Advice:
    """What the record says of those whom nothing in it names (RFC 7208 5.1)."""
    if record.all:
        return ENDINGS[record.all.qualifier]
    if record.redirect:
        return Advice(record.redirect.text, f"the record of {record.redirect.value} decides about all others")
    return OPEN


def breadth(record: Spf) -> tuple[Advice, ...]:
    """The terms that let more pass than anybody's own network (RFC 7208 11.4)."""
    return tuple(advice for term in record.tested if (advice := _breadth(term)))


def _breadth(term: Term) -> Advice | None:
    broad = [(v, length) for v, length in _prefixes(term) if term.qualifier == "+" and length < BROAD[v]]
    if not broad:
        return None
    fix = "name the addresses that send, or include the record of who runs them"
    status = Status.FAIL if any(length < LIMITLESS[v] for v, length in broad) else Status.WARN
    return Advice(term.text, " and ".join(f"{_many(v, length)} may send" for v, length in broad), status, fix)


def _prefixes(term: Term) -> list[tuple[int, int]]:
    """IP version and prefix length of what it matches."""
    if term.network:
        return [(term.network.version, term.network.prefixlen)]
    return [(4, term.prefix4), (6, term.prefix6)] if term.name in {"a", "mx"} else []


def _many(version: int, length: int) -> str:
    if length == BITS[version]:
        return "1 address"
    return f"{2 ** (32 - length):,} addresses" if version == 4 else f"a /{length} of IPv6"  # noqa: PLR2004 - IPv4


def meaning(term: Term, owner: str) -> Advice:
    """What one term of the record of `owner` says."""
    if term.name == "all" and term.qualifier:
        return ENDINGS[term.qualifier]
    if not term.qualifier:
        return Advice(term.text, MODIFIERS.get(term.name, "no known modifier: receivers skip it (RFC 7208 6)"))
    said = MECHANISMS[term.name](term, term.named(owner))
    who = f"{_effect(term.qualifier)}: {said}"
    if term.name == "ptr":
        return Advice(term.text, who, Status.WARN, "name addresses by ip4: and ip6:, or hosts by a: (RFC 7208 5.5)")
    return _breadth(term) or Advice(term.text, who)


def _effect(qualifier: str) -> str:
    return {"+": "may send", "-": "may not send", "~": "suspect", "?": "nothing is said of"}[qualifier]


def _network(term: Term, name: str) -> str:
    del name
    size = _many(*_prefixes(term)[0])
    return f"{size}, without a lookup; to be changed by hand when the sender moves"


MODIFIERS = {
    "redirect": "where nothing matches, the record of that name is the record; 1 lookup and its own",
    "exp": "a text for those who are refused; not counted as a lookup",
}
MECHANISMS: dict[str, Callable[[Term, str], str]] = {
    "a": lambda _, name: (
        f"the addresses of {name} as they are then: 1 lookup; follows a move, also to a CDN's addresses"
    ),
    "mx": lambda _, name: f"the hosts that receive for {name}: 1 lookup; follows a move; a relay is not among them",
    "ip4": _network,
    "ip6": _network,
    "include": lambda _, name: f"whoever passes {name}: its owner keeps the list; 1 lookup and those of that record",
    "exists": lambda _, name: f"whomever the zone of {name} knows: 1 lookup, which tells that zone who sends what",
    "ptr": lambda _, name: f"clients whose reverse name is in {name}: slow, and skipped by many receivers; 1 lookup",
}


def explain(record: Spf, owner: str) -> Table:
    """Every term with what it means, for the one who publishes the record."""
    told = [meaning(term, owner) for term in record.terms]
    told += [] if record.all or record.redirect else [OPEN]
    rows = tuple((a.term or "(no ending)", a.means, a.fix) for a in told)
    return Table(f"what the SPF record of {owner} says", ("term", "means", "better"), rows)
