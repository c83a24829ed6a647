"""What MXRoute takes by SMTP: senders its customer controls, and what it hosts itself it keeps.

That MAIL FROM must belong to the customer is said by its SMTP page; how the refusal reads is not documented.
"""

from __future__ import annotations

import uuid
from email.utils import getaddresses

from provider.rules import LOGIN, Letter, Refusal, State, Taken, domain_of, noted


def login(state: State, name: str, password: str) -> str:
    """The full address of a mailbox."""
    pairs = {(account["address"].lower(), account["password"]) for account in state["accounts"]}
    return name.lower() if (name.lower(), password) in pairs else ""


def sender(state: State, identity: str, address: str) -> Refusal | None:
    """An address of a domain that was added, as a mailbox there or covered by a catch-all; and bounces."""
    if not identity:
        return Refusal(*LOGIN)
    domain = domain_of(address)
    if address and domain not in state["domains"]:
        return Refusal(550, f"You are not authorized to send from {domain}: add the domain first")
    if address and not _received(state, address):
        return Refusal(550, f"Sender verify failed: {address}")
    return None


def _received(state: State, address: str) -> bool:
    """Whether a mailbox of the customer gets mail to that address."""
    accounts = [account for account in state["accounts"] if domain_of(account["address"]) == domain_of(address)]
    return any(a.get("catch_all") or a["address"].lower() == address.lower() for a in accounts)


def recipient(state: State, identity: str, address: str) -> Refusal | None:
    """Anybody; at a domain with local mail hosting on only those who have a mailbox here."""
    if not identity:
        return Refusal(*LOGIN)
    if _hosted(state, address) and not _received(state, address):
        return Refusal(550, "No such user here")
    return None


def _hosted(state: State, address: str) -> bool:
    return bool(state["domains"].get(domain_of(address), {}).get("mail_hosting"))


def content(state: State, letter: Letter) -> Refusal | None:
    """Nothing more is looked at: the author of a forwarded message may be anybody."""
    del state, letter
    return None


def take(state: State, letter: Letter) -> Taken:
    """As it is; mail to a domain hosted here is swallowed, whatever its MX says."""
    swallowed = tuple(address for address in letter.recipients if _hosted(state, address))
    event = "hosted here" if len(swallowed) == len(letter.recipients) else "sent"
    made = noted(letter, identity=str(uuid.uuid4()), message_id=letter.first("Message-ID"), event=event)
    state["emails"].append(made)
    for account in state["accounts"]:
        if account["address"].lower() == letter.identity:
            account["sent"] = account.get("sent", 0) + len(letter.recipients)
    author = domain_of(([address for _, address in getaddresses(letter.all("From"))] or [""])[0])
    return Taken(letter.sender, swallowed, {}, author if author in state["domains"] else "")
