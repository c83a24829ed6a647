"""Smarthosts: what must hold before one is trusted, what its provider says, and the records each needs in DNS."""

from runbooklib.relays.accounts import Account, Accounts
from runbooklib.relays.bounces import null_way
from runbooklib.relays.calls import ProviderError
from runbooklib.relays.confirming import confirm
from runbooklib.relays.following import fates
from runbooklib.relays.judging import account_checks
from runbooklib.relays.observing import observe
from runbooklib.relays.parting import leaving
from runbooklib.relays.planning import ApiChange, apply, plan
from runbooklib.relays.proof import prove
from runbooklib.relays.wanted import records

__all__ = [
    "Account",
    "Accounts",
    "ApiChange",
    "ProviderError",
    "account_checks",
    "apply",
    "confirm",
    "fates",
    "leaving",
    "null_way",
    "observe",
    "plan",
    "prove",
    "records",
]
