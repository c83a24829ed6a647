"""A DNS provider's API through dns-lexicon: one rrset after the other, each as it was seen before, and read back.

ZoneError
├── LoginError        the provider does not know the credentials, or holds no such zone for them
└── …                 those of `updates`: UnansweredError, OvertakenError, RefusedError
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

import dns.exception
import dns.rdata

from runbooklib.credentials import mask
from runbooklib.params import Lexicon
from runbooklib.records import RecordChange
from runbooklib.zone.reading import value
from runbooklib.zone.updates import OvertakenError, RefusedError, UnansweredError, ZoneError

if TYPE_CHECKING:
    from lexicon.interfaces import Provider

PATIENCE = 60.0  # seconds for one call; dns-lexicon itself waits for ever
DENIED, TOO_MANY = {401, 403}, 429  # RFC 9110 15.5, RFC 6585 4
# The providers of dns-lexicon 3.25 that take an MX's preference as the option `priority`; the others in the content.
PREFERENCE_APART = {
    *(
        "arvancloud",
        "cloudflare",
        "cloudns",
        "conoha",
        "desec",
        "dnsimple",
        "dnsservices",
        "dynu",
        "easyname",
        "euserv",
    ),
    *("exoscale", "gransy", "henet", "hostingde", "httpnet", "infoblox", "inwx", "mythicbeasts", "namecom", "netcup"),
    *("online", "plesk", "porkbun", "regfish", "safedns", "vultr", "yandex", "zonomi"),
}

T = TypeVar("T")


class LoginError(ZoneError):
    """The provider refuses the credentials, or holds no such zone for them."""


@dataclass(frozen=True)
class Held:
    """One record as the provider lists it."""

    id: str
    value: str  # in the form in which values compare
    ttl: int


def probe(target: Lexicon, zone: str) -> None:
    """Logs in and finds the zone; nothing is written.

    Raises ZoneError.
    """
    with _errors(target, zone):
        _call(target, zone, bool)


def write(target: Lexicon, change: RecordChange) -> None:
    """Makes the rrset what the change says; where a value takes another's place the record is changed, never missing.

    Raises LoginError, UnansweredError, OvertakenError, RefusedError; the text says what of it is in.
    """
    written: list[str] = []
    with _errors(target, change.zone, written):
        held = _listed(target, change)
        _require_unchanged(target, change, held)
        gone = {comparable(change.type, text) for text in change.removed}
        for old, new in _pairs([h for h in held if h.value in gone], change.added):
            _put(target, change, old, new)
            written.append(new or f"{old.value if old else ''} removed")
        _require_written(target, change, _listed(target, change))


def _pairs(old: Sequence[Held], new: Sequence[str]) -> Iterator[tuple[Held | None, str]]:
    """What goes with what takes its place; the same value with another TTL is a pair, too."""
    left = list(old)
    for text in new:
        same = next((h for h in left if h.value == text), None)
        taken = same or next((h for h in left if h.value not in new), None)
        if taken:
            left.remove(taken)
        yield taken, text
    yield from ((h, "") for h in left)


def _put(target: Lexicon, change: RecordChange, old: Held | None, new: str) -> None:
    """One record changed, made or deleted; an MX is made before its predecessor goes, as no update keeps both parts."""
    kind, content = change.type, _content(target, change.type, new)
    if old and new and kind != "MX":
        _write(target, change, new, lambda api: api.update_record(old.id, kind, change.name, content))
        return
    if old and old.value == comparable(kind, new):
        saw = "an MX whose TTL alone is to change"
        raise RefusedError(_expected(target, change), saw, f"set it to {change.ttl} in the provider's panel, run again")
    if new:
        _write(target, change, new, lambda api: api.create_record(kind, change.name, content))
    if old:
        _write(target, change, new, lambda api: api.delete_record(old.id, kind, change.name))


def _content(target: Lexicon, kind: str, text: str) -> str:
    """A value as dns-lexicon takes it: TXT unquoted, names without final dot."""
    return text.partition(" ")[2] if kind == "MX" and target.provider in PREFERENCE_APART else text


def comparable(kind: str, text: str) -> str:
    """A provider's content, or zone file text, in the form in which values compare; an MX by its host alone.

    Providers give TXT with quotes or without, names with a final dot or without, and leave out an MX's preference.
    """
    if kind == "TXT" and not text.startswith('"'):
        return text
    if kind == "MX":
        return text.rsplit(maxsplit=1)[-1].rstrip(".").lower()
    try:
        return value(dns.rdata.from_text("IN", kind, text))
    except dns.exception.DNSException:
        return text.rstrip(".").lower()


def _require_unchanged(target: Lexicon, change: RecordChange, held: Iterable[Held]) -> None:
    """The provider's own list is what the servers answered when the plan was made."""
    stands, listed = {comparable(change.type, t) for t in change.stands}, {h.value for h in held}
    if stands != listed:
        saw = f"{change.target}: {' and '.join(sorted(listed)) or 'nothing'}"
        fix = "someone changed it since it was read, or the zone lives elsewhere: nothing was written, run again"
        raise OvertakenError(_expected(target, change), saw, fix)


def _require_written(target: Lexicon, change: RecordChange, held: Iterable[Held]) -> None:
    """A success that is none: some APIs answer 200 to what they do not keep."""
    gone = {comparable(change.type, t) for t in change.removed}
    new = {comparable(change.type, t) for t in change.added}
    listed = {h.value for h in held}
    if not new <= listed or listed & (gone - new):
        saw = f"accepted, yet listed is {' and '.join(sorted(listed)) or 'nothing'}"
        raise RefusedError(_expected(target, change), saw, "look at the zone in the provider's panel")


def _listed(target: Lexicon, change: RecordChange) -> list[Held]:
    """The rrset; filtered once more, as some APIs filter by nothing."""
    records = _call(target, change.zone, lambda api: api.list_records(change.type, change.name))
    return [
        Held(str(r["id"]), comparable(change.type, str(r["content"])), int(r.get("ttl") or 0))
        for r in records
        if str(r["name"]).rstrip(".").lower() == change.name and r["type"] == change.type
    ]


def _write(target: Lexicon, change: RecordChange, new: str, work: Callable[[Any], bool]) -> None:
    preference = new.partition(" ")[0] if change.type == "MX" and new else ""
    if not _call(target, change.zone, work, ttl=change.ttl, priority=preference):
        raise RefusedError(_expected(target, change), "its API answered no", "look at the zone in the provider's panel")


def _call(target: Lexicon, zone: str, work: Callable[[Provider], T], **settings: int | str) -> T:
    """What `work` gives, logged in; dns-lexicon sets TTL and preference for a login, not for a record."""
    own = {**target.options, **{name: secret.reveal() for name, secret in target.secrets.items()}}
    given: dict[str, Any] = {"provider_name": target.provider, "domain": zone, target.provider: own}
    given |= {name: said for name, said in settings.items() if said}

    def job() -> T:
        provider = _provider(target.provider, given)
        provider.authenticate()
        try:
            return work(provider)
        finally:
            provider.cleanup()

    return _within(job)


def _provider(name: str, given: Mapping[str, Any]) -> Provider:
    """The library's class for a provider.

    Its own client would fetch the list of public suffixes from the web first, to guess the zone that we know.
    """
    from lexicon.config import ConfigResolver  # noqa: PLC0415 - slow to load, and of use only where it publishes

    module = f"lexicon._private.providers.{name}"
    try:
        found: type[Provider] = import_module(module).Provider
    except ImportError as error:
        extra = f"it needs more packages: pip install 'dns-lexicon[{name}]'"
        saw, fix = f"no provider {name}", "see dns-lexicon's list of providers"
        fix = fix if error.name == module else extra
        raise RefusedError("a provider that dns-lexicon knows", saw, fix) from None
    return found(ConfigResolver().with_dict(dict(given)))  # type: ignore[no-untyped-call]


def _within(job: Callable[[], T]) -> T:
    """The result of a job, waited for no longer than PATIENCE.

    Raises TimeoutError, or what the job raises.
    """
    ended: list[Callable[[], T]] = []

    def run() -> None:
        try:
            result = job()
        except Exception as error:  # noqa: BLE001 - raised again where it is waited for
            ended.append(partial(_throw, error))
        else:
            ended.append(lambda: result)

    thread = threading.Thread(target=run, daemon=True)  # one that hangs must not hold up the end of the program
    thread.start()
    thread.join(PATIENCE)
    if not ended:
        raise TimeoutError
    return ended[0]()


def _throw(error: Exception) -> Any:
    raise error


@contextmanager
def _errors(target: Lexicon, zone: str, written: Sequence[str] = ()) -> Iterator[None]:
    """Whatever dns-lexicon and its providers raise, as one of ours; no secret in it."""
    from lexicon.exceptions import AuthenticationError  # noqa: PLC0415 - as above

    expected = f"{target.provider} to keep {zone or 'a zone'}"
    try:
        yield
    except ZoneError as error:
        raise type(error)(error.expected, error.saw, error.fix + _partly(written)) from None
    except AuthenticationError as error:
        raise LoginError(expected, mask(str(error)), _credentials(target) + _partly(written)) from None
    except TimeoutError:
        raise UnansweredError(expected, f"no answer in {PATIENCE:.0f} s", UNSURE + _partly(written)) from None
    except Exception as error:  # noqa: BLE001 - dns-lexicon's providers raise bare exceptions
        raise _said(target, expected, error, _partly(written)) from None


UNSURE = "it may be written all the same: look into the provider's panel, run again"


def _said(target: Lexicon, expected: str, error: Exception, done: str) -> ZoneError:
    """By the HTTP status where there is one; an error without is one of the network (requests' are OSErrors)."""
    status = getattr(getattr(error, "response", None), "status_code", 0)
    if status in DENIED:
        return LoginError(expected, f"HTTP {status}", _credentials(target) + done)
    if status == TOO_MANY:
        return RefusedError(expected, "HTTP 429: too many requests", f"run again in some minutes{done}")
    if not status and isinstance(error, OSError):
        return UnansweredError(expected, type(error).__name__, f"{UNSURE}{done}")
    saw = f"HTTP {status}" if status else mask(f"{type(error).__name__}: {error}")
    return RefusedError(expected, saw, f"look at the zone in the provider's panel{done}")


def _credentials(target: Lexicon) -> str:
    named = ", ".join(f"{name} ({secret})" for name, secret in target.secrets.items()) or "none"
    return f"check dns.lexicon.secrets, {named}: may they edit this zone?"


def _expected(target: Lexicon, change: RecordChange) -> str:
    return f"{target.provider} to hold {change.target} as planned"


def _partly(written: Sequence[str]) -> str:
    return f"; of this rrset is already in: {', '.join(written)}" if written else ""
