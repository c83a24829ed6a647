"""Asking each relay's provider what it knows; a provider that fails becomes a row, never an exception."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from runbooklib.credentials import CredentialError
from runbooklib.params import Relay, Site
from runbooklib.relays import told
from runbooklib.relays.accounts import ABSENT, VERIFIED, Account, Accounts
from runbooklib.relays.calls import KeyRefusedError, MissingError, ProviderError, RestrictedKeyError
from runbooklib.relays.mxroute import Mailbox, Mxroute
from runbooklib.relays.resend import Domain, Resend
from runbooklib.results import Check, Status, passed

FREE = {"today": 100, "this month": 3000}  # Resend's free plan; only there the use of today is told
NEARLY = 0.8  # of an allowance
USAGE = "https://resend.com/settings/usage"
Found = tuple[list[Account], list[Check]]


def observe(site: Site) -> Accounts:
    """What the provider of each used relay says of the domains that send through it."""
    named = [
        (name, relay, LOOKS[relay.provider]) for name, relay in site.used_relays.items() if relay.provider in LOOKS
    ]
    if not named:
        return Accounts()
    with ThreadPoolExecutor(len(named)) as pool:
        found = list(pool.map(lambda one: one[2](site, one[0], one[1]), named))
    accounts = [account for some, _ in found for account in some]
    order = [d.name for d in site.domains]
    rows = tuple(check for _, some in found for check in some)
    return Accounts(tuple(sorted(accounts, key=lambda a: order.index(a.domain))), rows)


def _unasked(site: Site, name: str, problem: Check | None = None) -> list[Account]:
    return [Account(d.name, name, problem=problem) for d in site.domains if d.relay == name]


def _refused(name: str, error: ProviderError | CredentialError) -> Check:
    """Why the API could not be used: wrong, or could not tell."""
    status = error.status if isinstance(error, ProviderError) else Status.FAIL
    fix = error.fix if isinstance(error, ProviderError) else "mend the reference in relays.*.api_key"
    expected = "the provider's API answers the managing key"
    return Check(f"relay.api {name}", status, expected, str(error), fix, advisory=True)


def _resend(site: Site, name: str, relay: Relay) -> Found:
    """The team at Resend: by its managing key all of it, without one only what the sending key tells of itself."""
    rows = [*_key_scope(name, relay)]
    if relay.api_key is None:
        return _unasked(site, name), [*rows, *_unread(name)]
    try:
        team = Resend.of(relay, relay.api_key)
        listed = {d.name: d for d in team.domains()}
        accounts = [_resend_account(team, a, listed.get(a.domain)) for a in _unasked(site, name)]
        rows = [_answers(name), *rows, allowance(name, team.used), *suppressions(name, team, recipients(site))]
    except RestrictedKeyError as error:
        return _unasked(site, name), [replace(_refused(name, error), status=Status.WARN), *rows, *_unread(name)]
    except (ProviderError, CredentialError) as error:
        return _unasked(site, name, _refused(name, error)), rows
    return accounts, rows


def _answers(name: str) -> Check:
    return passed(f"relay.api {name}", "the provider's API answers the managing key", "it does")


def _resend_account(team: Resend, account: Account, listed: Domain | None) -> Account:
    """One domain; what is wrong with its answer is its own problem, not the team's."""
    if listed is None:
        return replace(account, managed=True, status=ABSENT)
    try:
        domain = team.get(listed.id)
        records = tuple(told.by_resend(account.relay, account.domain, domain.records))
    except KeyRefusedError:
        raise
    except ProviderError as error:
        problem = replace(_refused(account.relay, error), name=f"relay.domain {account.domain}")
        return replace(account, managed=True, problem=problem)
    return replace(
        account,
        managed=True,
        status=domain.status,
        records=records,
        id=domain.id,
        missing=lacking(domain),
        unneeded=tuple(told.unneeded(domain.records)),
        tracking=domain.tracking,
    )


def lacking(domain: Domain) -> tuple[str, ...]:
    """The records Resend does not see yet, each with its word for that."""
    seen = ((r, told.absolute(r.name, domain.name)) for r in domain.records if r.purpose in told.NEEDED)
    return tuple(f"{r.type} {name}: {r.status or 'not said'}" for r, name in seen if r.status != VERIFIED)


def _key_scope(name: str, relay: Relay) -> Iterator[Check]:
    """What the key on the server may do: one that manages domains is worth more to a thief than one that sends."""
    if relay.password is None:
        return
    check, expected = f"relay.key-scope {name}", "the key on the server may only send"
    try:
        Resend.of(relay, relay.password).domains()
    except RestrictedKeyError:
        yield passed(check, expected, "sending_access", "resend.com/docs/api-reference/errors")
    except (ProviderError, CredentialError) as error:
        status = Status.FAIL if isinstance(error, KeyRefusedError) else Status.UNKNOWN
        fix = getattr(error, "fix", "") or "put the key where params look for it, or let this stage's plan make it"
        yield Check(check, status, expected, str(error), fix, advisory=True)
    else:
        fix = "make a key with sending access for this domain and name it in relays.*.password"
        said = "full access: whoever reads the server's files can add and remove domains and keys of the whole team"
        yield Check(check, Status.WARN, expected, said, fix, "resend.com/docs/api-reference/api-keys")


def allowance(name: str, used: dict[str, int]) -> Check:
    """How much of the plan's mails is used, as far as the answers' headers tell."""
    check, expected, ref = (
        f"relay.allowance {name}",
        "some of the plan's allowance is left",
        "resend.com/docs rate-limit",
    )
    if not used:
        said = "no answer told how much is used"
        return Check(check, Status.UNKNOWN, expected, said, f"see {USAGE}", ref, advisory=True)
    limits = FREE if "today" in used else {}
    said = ", ".join(f"{n}{f' of {limits[p]}' if p in limits else ''} {p}" for p, n in used.items())
    share = max((used[p] / limits[p] for p in used if p in limits), default=0.0)
    if share >= 1:
        fix = f"wait until the day or month is over, or take a larger plan: {USAGE}"
        return Check(check, Status.FAIL, expected, f"{said}: further mail is refused", fix, ref)
    if share >= NEARLY:
        return Check(check, Status.WARN, expected, said, f"take a larger plan before it is used up: {USAGE}", ref)
    return passed(check, expected, said if limits else f"{said}; the plan's limit: {USAGE}", ref)


def _unread(name: str) -> Iterator[Check]:
    """What only a managing key can tell, and where a person sees it."""
    why, ref = "not known: no managing key", "resend.com/docs/dashboard"
    for what, expected, where in (
        ("allowance", "some of the plan's allowance is left", USAGE),
        ("suppression", "no test recipient is suppressed", "https://resend.com/suppressions"),
    ):
        yield Check(f"relay.{what} {name}", Status.UNKNOWN, expected, why, f"see {where}", ref, advisory=True)


def recipients(site: Site) -> list[str]:
    """Whom the test messages go to."""
    return [*(r.address for r in site.test.recipients), *filter(None, [site.test.reflector])]


def suppressions(name: str, team: Resend, addresses: Iterable[str]) -> Iterator[Check]:
    """Whether mail to each address is skipped in silence: it bounced hard, or its owner complained."""
    for address in addresses:
        check, expected = f"relay.suppression {name} {address}", f"{name} sends to {address}"
        ref = "resend.com/docs/api-reference/suppressions"
        try:
            held = team.suppression(address)
        except MissingError:
            fix = "see https://resend.com/suppressions"
            yield Check(check, Status.UNKNOWN, expected, "this API tells nothing of it", fix, ref, advisory=True)
            return
        if held is None:
            yield passed(check, expected, "not suppressed", ref)
            continue
        said = f"suppressed ({held.origin}{f', since {held.since}' if held.since else ''}): skipped without a word"
        fix = "find out why it bounced or complained, then take it off at https://resend.com/suppressions"
        yield Check(check, Status.FAIL, expected, said, fix, ref)


def _mxroute(site: Site, name: str, relay: Relay) -> Found:
    """The customer's account at MXRoute."""
    if relay.api_key is None:
        return _unasked(site, name), []
    try:
        customer = Mxroute.of(relay, relay.api_key)
        listed = customer.domains()
        found = [_mxroute_account(customer, a, listed) for a in _unasked(site, name)]
    except (ProviderError, CredentialError) as error:
        return _unasked(site, name, _refused(name, error)), []
    boxes = [m for _, some in found for m in some if m.address == relay.username]
    return [account for account, _ in found], [_answers(name), *(_sent(name, m) for m in boxes if m.limit)]


def _mxroute_account(customer: Mxroute, account: Account, listed: Iterable[str]) -> tuple[Account, list[Mailbox]]:
    """One domain, and its mailboxes there."""
    domain = account.domain
    try:
        if domain not in listed:
            proof = told.ownership(account.relay, domain, customer.ownership(domain))
            return replace(account, managed=True, status=ABSENT, records=(proof,)), []
        boxes = customer.mailboxes(domain)
        known = replace(
            account,
            managed=True,
            status=VERIFIED,
            records=tuple(told.by_mxroute(account.relay, domain, customer.values(domain))),
            hosting=customer.hosting(domain),
            mailboxes=tuple(m.address for m in boxes),
            catch_all=customer.catch_all(domain),
        )
    except KeyRefusedError:
        raise
    except ProviderError as error:
        problem = replace(_refused(account.relay, error), name=f"relay.domain {domain}")
        return replace(account, managed=True, problem=problem), []
    return known, boxes


def _sent(name: str, mailbox: Mailbox) -> Check:
    """How much of its day's allowance the login has used."""
    check, expected = f"relay.allowance {name}", f"{mailbox.address} may send more today"
    sent, limit = mailbox.sent or 0, mailbox.limit or 1
    said = f"{sent} of {limit} today; by the documentation also at most 300 an hour"
    status = Status.FAIL if sent >= limit else Status.WARN if sent >= NEARLY * limit else Status.PASS
    fix = "" if status is Status.PASS else "wait for tomorrow, or spread mail over more mailboxes"
    return Check(check, status, expected, said, fix, "mxroute docs, presales/limits")


Look = Callable[[Site, str, Relay], Found]
LOOKS: dict[str, Look] = {"resend": _resend, "mxroute": _mxroute}
