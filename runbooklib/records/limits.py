"""What an SPF record to be published would cost receivers: past the limit, no mail of the domain passes by it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from runbooklib.records.observed import Observed
from runbooklib.records.rules import Comparison
from runbooklib.results import Check, Status
from runbooklib.spf import LOOKUPS, Tree

CLOSE = LOOKUPS - 1  # terms that ask DNS: one or none is left, and an include may grow by itself
REF = "RFC 7208 4.6.4"
CHEAPER = "name addresses instead of names, and drop what no longer sends"


def bearable(name: str, have: Observed) -> bool:
    """Whether the record to be published at a name is known to stay within the limit."""
    tree = have.cost_of(name)
    return tree is None or not (tree.unheard or tree.lookups > LOOKUPS)


def measured(name: str, compared: Comparison, have: Observed) -> Comparison:
    """What is said of a record that is not published because of its cost, or because nobody could tell it."""
    tree = have.cost_of(name)
    if tree is None or bearable(name, have):
        return compared
    if tree.lookups > LOOKUPS:
        fix = f"not planned: over {LOOKUPS} receivers answer permerror, whoever sends ({REF}); {_cheaper(tree)}"
        return replace(compared, said=f"{compared.said}; {_cost(tree)}", fix=fix)
    said = f"{compared.said}; with what is wanted {_least(tree)}, without {'; '.join(tree.unheard)}"
    fix = f"not planned, as it may pass {LOOKUPS} lookups ({REF}): run again when that name answers, or drop its term"
    return replace(compared, status=Status.UNKNOWN, said=said, fix=fix)


def close(have: Observed) -> Iterator[Check]:
    """The row of each record to be published that leaves hardly any room."""
    for tree in have.costs:
        if bearable(tree.domain, have) and tree.lookups >= CLOSE:
            expected = f"fewer than {CLOSE} terms that ask DNS, {LOOKUPS} is the limit"
            check = f"dns.spf.cost {tree.domain}"
            yield Check(check, Status.WARN, expected, _cost(tree), _cheaper(tree), REF)


def _least(tree: Tree) -> str:
    return f"{tree.lookups} of {LOOKUPS} lookups"


def _cost(tree: Tree) -> str:
    """The tree, each term with what it costs with all below it."""
    terms = (f"{'  ' * (depth - 1)}{branch.text} {branch.lookups}" for depth, branch in tree.root.walk() if depth)
    return "\n".join([f"with what is wanted {_least(tree)}:", *terms])


def _cheaper(tree: Tree) -> str:
    dearest = max(tree.root.branches, key=lambda branch: branch.lookups)
    return f"{CHEAPER}: {dearest.text} costs {dearest.lookups}; or give the relay a return path of its own"
