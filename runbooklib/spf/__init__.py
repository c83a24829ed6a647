"""SPF as a language (RFC 7208), in five questions.

What does a record say?  `parse(text)` reads strictly, `explain(record, owner)` puts it into words, `ending` and
`breadth` judge what lets too many send.
What must be added?      `stands.merged(wanted, owner)` adds what is lacking, by meaning: an address inside a network
that passes already is not added, no qualifier becomes stricter by the way. `of(mechanisms)` is a first record.
Who passes?              `await evaluate(look, ip, sender, helo)` is check_host(): all of RFC 7208, bounded whatever
stands in DNS. It never raises; what could not be asked is temperror.
What does it cost?       `await cost(look, domain)` is the tree of terms that ask DNS, against the limit of ten.
Where is DNS?            Both take an `answers.Lookup`, so that they run on the real one as well as on a literal.
"""

from runbooklib.spf.advice import Advice, breadth, ending, explain, meaning
from runbooklib.spf.evaluation import evaluate
from runbooklib.spf.outcome import Evaluation, Result
from runbooklib.spf.record import Spf, is_spf, of, parse
from runbooklib.spf.session import LOOKUPS, VOIDS
from runbooklib.spf.terms import SpfError, Term
from runbooklib.spf.tree import Branch, Tree, cost

__all__ = [
    "LOOKUPS",
    "VOIDS",
    "Advice",
    "Branch",
    "Evaluation",
    "Result",
    "Spf",
    "SpfError",
    "Term",
    "Tree",
    "breadth",
    "cost",
    "ending",
    "evaluate",
    "explain",
    "is_spf",
    "meaning",
    "of",
    "parse",
]
