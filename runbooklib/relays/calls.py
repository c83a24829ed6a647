"""Calls to a provider's HTTP API: no faster than it allows, retried where that is safe, every answer read strictly.

ProviderError
├── KeyRefusedError     the key is unknown, inactive or suspended
├── RestrictedKeyError  the key is real and may only send
├── ForbiddenError      403 for another reason
├── MissingError        404
├── ConflictError       409, or the name is taken
├── InvalidError        400 or 422: the request is not what the API wants
├── RateLimitedError    429, also after waiting as long as it asked for
├── UntrustedError      the certificate is not one to trust: the key was not sent
├── UnavailableError    5xx, no answer in time, no connection
└── MalformedError      an answer that is not what the API documents
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import httpx

from runbooklib import https
from runbooklib.https import short
from runbooklib.params import Relay
from runbooklib.results import RunbookError, Status

TIMEOUT = 15.0  # seconds for one answer
PAUSES = (0.5, 1.5)  # seconds before a read is asked again
LONGEST_WAIT = 60.0  # seconds; both providers count per second or per minute


class ProviderError(RunbookError):
    """A provider's API said no, or nothing usable; `status` tells *wrong* from *could not tell*."""

    status: ClassVar[Status] = Status.FAIL
    fix: ClassVar[str] = "the provider's own words say why"


class KeyRefusedError(ProviderError):
    """The key is unknown, inactive or suspended."""

    fix = "make a new key in the provider's dashboard and name it in relays.*.api_key"


class RestrictedKeyError(ProviderError):
    """The key is real, and may only send mail."""

    fix = "name a key with full access in api_key, or leave api_key out and follow the dashboard's steps"


class ForbiddenError(ProviderError):
    """Refused, though the key is known."""


class MissingError(ProviderError):
    """What was asked for is not there."""


class ConflictError(ProviderError):
    """It is there already, or another customer has it."""


class InvalidError(ProviderError):
    """The provider does not take the values."""


class RateLimitedError(ProviderError):
    """Too many requests, even after waiting as asked."""

    status = Status.UNKNOWN
    fix = "run again later; other programs may be using up the same limit"


class UntrustedError(ProviderError):
    """The API's certificate is not one to trust."""

    fix = "somebody may stand in between, or `ca` does not name the CA of a private API"


class UnavailableError(ProviderError):
    """No usable answer: 5xx, silence, or no connection; a change may have happened all the same."""

    status = Status.UNKNOWN
    fix = "run again: what was done is found, and the rest goes on from there"


class MalformedError(ProviderError):
    """An answer that is not what the API documents."""

    status = Status.UNKNOWN
    fix = "something between here and the provider may have answered in its place; else its API has changed"


@dataclass(frozen=True)
class Reply:
    """An answer with status 2xx: its JSON (None when empty) and its headers."""

    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Api:
    """One provider's API, spoken to with one key."""

    base: str
    headers: Mapping[str, str] = field(repr=False)
    ca: str | None = None
    pauses: tuple[float, ...] = PAUSES
    timeout: float = TIMEOUT
    own: bool = False  # an API of one's own is reached without the proxy that leads outside
    sleep: Callable[[float], None] = time.sleep

    def __post_init__(self) -> None:
        try:
            self._trust = https.trusting(self.ca)
        except https.UntrustedError as error:
            raise UntrustedError(str(error)) from None
        self._free = float("-inf")  # when the provider's window takes requests again

    def get(self, path: str, **query: str) -> Reply:
        """Reads; asked again after 5xx and broken connections."""
        return self._call("GET", path, (*self.pauses, None), params=query)

    def change(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Reply:
        """Changes something, once: after an unclear answer nobody knows whether it happened."""
        return self._call(method, path, (None,), json=dict(body or {}))

    def _call(self, method: str, path: str, pauses: tuple[float | None, ...], **what: Any) -> Reply:
        for pause in pauses:
            try:
                return self._patiently(method, path, **what)
            except UnavailableError:
                if pause is None:
                    raise
                self.sleep(pause)
        raise AssertionError("the last pause is None")

    def _patiently(self, method: str, path: str, **what: Any) -> Reply:
        """One request; 429 says that it was not looked at, so it may be repeated whatever it asks for."""
        answer = self._once(method, path, **what)
        for _ in self.pauses:
            wait = _seconds(answer.headers.get("retry-after", ""))
            if answer.status_code != httpx.codes.TOO_MANY_REQUESTS or wait is None:
                break
            self.sleep(wait)
            answer = self._once(method, path, **what)
        return _read(answer, f"{method} {path}")

    def _once(self, method: str, path: str, **what: Any) -> httpx.Response:
        self.sleep(max(0.0, self._free - time.monotonic()))
        url, timeout = f"{self.base}{path}", self.timeout
        try:
            answer = https.exchange(method, url, self._trust, timeout, self.headers, direct=self.own, **what)
        except https.UntrustedError as error:
            raise UntrustedError(str(error)) from None
        except https.SilentError as error:
            raise UnavailableError(str(error)) from None
        self._keep_pace(answer.headers)
        return answer

    def _keep_pace(self, headers: Mapping[str, str]) -> None:
        """Waits out the window that this answer was the last of (draft-ietf-httpapi-ratelimit-headers-06)."""
        reset = _seconds(headers.get("ratelimit-reset", ""))
        if headers.get("ratelimit-remaining") == "0" and reset is not None:
            self._free = time.monotonic() + reset


def open_api(relay: Relay, usual: str, headers: Mapping[str, str]) -> Api:
    """The API of a relay's provider, or the one params name in its place."""
    return Api(relay.api or usual, headers, relay.ca, own=relay.api is not None)


def _seconds(retry_after: str) -> float | None:
    """How long to wait (RFC 9110 10.2.3, in seconds); None: not said, or longer than we wait."""
    wait = float(retry_after) if retry_after.isdigit() else LONGEST_WAIT + 1
    return wait if wait <= LONGEST_WAIT else None


def _read(answer: httpx.Response, where: str) -> Reply:
    body = _json(answer)
    if answer.is_success and body is not MALFORMED:
        return Reply(body, answer.headers)
    if answer.is_success or answer.is_redirect:
        kind = answer.headers.get("content-type", "no content type").partition(";")[0]
        raise MalformedError(f"{where}: HTTP {answer.status_code} with {kind} that is no JSON")
    code, said = _told(body)
    raise _error(answer.status_code, code, said)(f"{where}: HTTP {answer.status_code} {short(f'{code} {said}')}")


MALFORMED = object()


def _json(answer: httpx.Response) -> Any:
    try:
        return answer.json() if answer.content else None
    except ValueError:
        return MALFORMED


def _told(body: Any) -> tuple[str, str]:
    """Code and message of an error, as Resend (`name`) or MXRoute (`error.code`) writes it."""
    told = body.get("error", body) if isinstance(body, dict) else {}
    told = told if isinstance(told, dict) else {}
    return str(told.get("name") or told.get("code") or ""), str(told.get("message") or "")


TAKEN = "registered already"  # Resend says so with 403
KEYS = {"missing_api_key", "invalid_api_key", "suspended_api_key", "UNAUTHORIZED"}
STATUSES: dict[int, type[ProviderError]] = {
    400: InvalidError,
    401: KeyRefusedError,
    403: ForbiddenError,
    404: MissingError,
    409: ConflictError,
    422: InvalidError,
    429: RateLimitedError,
}


def _error(status: int, code: str, said: str) -> type[ProviderError]:
    if code == "restricted_api_key" and "not active" not in said:
        return RestrictedKeyError
    if code in KEYS or code == "restricted_api_key" or (status == 403 and "API key is" in said):  # noqa: PLR2004
        return KeyRefusedError
    if TAKEN in said:
        return ConflictError
    usual = UnavailableError if status >= 500 else InvalidError  # noqa: PLR2004 - RFC 9110 15.6
    return STATUSES.get(status, usual)
