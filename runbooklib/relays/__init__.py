"""Smarthosts: what must hold before one is trusted, what its provider says, and the records each needs in DNS."""

from runbooklib.host import apply
from runbooklib.relays.accounts import Account, Accounts
from runbooklib.relays.calls import ProviderError
from runbooklib.relays.confirming import confirm
from runbooklib.relays.envelope import takes_null_sender
from runbooklib.relays.following import fates
from runbooklib.relays.judging import account_checks
from runbooklib.relays.observing import observe
from runbooklib.relays.planning import ApiChange, plan
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
    "observe",
    "plan",
    "prove",
    "records",
    "takes_null_sender",
]
