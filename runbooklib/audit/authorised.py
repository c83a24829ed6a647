"""Who may send as a site's domains: each SPF record term by term, with what it means and what it costs a receiver."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from runbooklib import spf
from runbooklib.audit.sites import stub, subjects
from runbooklib.params import Site
from runbooklib.results import Table
from runbooklib.spf import LOOKUPS, Branch, Tree
from runbooklib.spf.tree import INDENT
from runbooklib.zone import Wire, together
from runbooklib.zone.questions import INTERNET


def senders(site: Site, wire: Wire = INTERNET) -> Table:
    """The SPF records that receivers judge this site's mail by, as they stand: a term a row, what it includes below."""
    rows = (row for tree in together([_trees(site, wire)])[0] for row in _rows(tree))
    return Table("who may send", ("name", "term", "lookups", "what it says"), tuple(rows))


async def _trees(site: Site, wire: Wire) -> list[Tree]:
    """One for each name that stands in MAIL FROM (RFC 7208 2.4)."""
    look = await stub(site, wire)
    names = dict.fromkeys(name for s in subjects(site) for name in s.return_paths or (s.domain,))
    return await asyncio.gather(*(spf.cost(look, name) for name in names))


def _rows(tree: Tree) -> Iterator[tuple[str, str, str, str]]:
    wrong = "; ".join((*tree.problems, *tree.unheard))
    yield tree.domain, "", f"{tree.lookups} of {LOOKUPS}", wrong or ("" if tree.record else "no SPF record")
    below = {branch.text: branch for branch in tree.root.branches}
    for term in tree.record.terms if tree.record else ():
        branch = below.get(term.text, Branch(term.text))
        yield "", term.text, str(branch.lookups), spf.meaning(term, tree.domain).means
        for depth, part in branch.walk():
            if depth:
                said = part.problem or part.unheard or part.note
                yield "", f"{INDENT * depth}{part.text}", str(part.lookups), said
