"""mailcow's HTTP API, spoken to with one key: what an answer holds counts, never its status alone.

MailcowError
├── KeyRefusedError      401: mailcow does not know the key; it is not sent again, ten such answers ban this address
├── AddressRefusedError  401: the key is known, and may not be used from this address
├── ReadOnlyError        403: the key may only read
├── RefusedError         it understood and said no
├── NothingDoneError     it said success, and what was asked for is not there
├── RouteMissingError    404: this release has no such call
├── UntrustedError       the certificate is not one to trust: the key was not sent
├── EmptyError           200 and nothing: no key arrived, or its program broke off
├── UnavailableError     5xx, no answer in time, no connection
│   └── NotReadyError    it is starting: its web server answers, the parts behind it do not yet
└── MalformedError       an answer that is not mailcow's
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import quote

import httpx

from runbooklib import https
from runbooklib.credentials import Secret, learn, mask
from runbooklib.https import short
from runbooklib.params import Site
from runbooklib.results import RunbookError, Status
from runbooklib.servers.mailcow import answers
from runbooklib.servers.mailcow.answers import Entry

TIMEOUT = 30.0  # seconds for one answer; making a domain may restart its webmail first
PAUSES = (0.5, 1.5)  # seconds before a read is asked again
KEY = re.compile(r"^[A-Za-z0-9-]+$")  # mailcow drops every other character before it compares
STARTING = re.compile(r"connection to \w+ failed|502 bad gateway", re.IGNORECASE)


class MailcowError(RunbookError):
    """mailcow's API said no, or nothing usable; `status` tells *wrong* from *could not tell*, `fix` what to do."""

    status: ClassVar[Status] = Status.FAIL
    fix: str = "mailcow's own words say why"


class KeyRefusedError(MailcowError):
    """mailcow does not know the key."""

    fix = (
        "compare mail.api_key with System > Configuration > Access > API, or with API_KEY in mailcow.conf, and wait: "
        "ten refused keys within ten minutes ban this address"
    )


class AddressRefusedError(MailcowError):
    """The key is known, and may not be used from this address."""

    fix = (
        "add the address it names under System > Configuration > Access > API, or to API_ALLOW_FROM in mailcow.conf "
        "and run docker compose up -d"
    )


class ReadOnlyError(MailcowError):
    """The key may only read."""

    fix = "name the read-write key in mail.api_key; mailcow has one of each"


class RefusedError(MailcowError):
    """mailcow understood, and said no; `word` is its own word for the reason."""

    def __init__(self, message: str, word: str = "") -> None:
        super().__init__(message)
        self.word = word


class NothingDoneError(MailcowError):
    """mailcow said success, and what was asked for is not there."""

    fix = "run again; if it stays so, look at mailcow's log of its API (System > Information > Logs)"


class RouteMissingError(MailcowError):
    """mailcow, at least this release of it, has no such call."""

    fix = "mail.url names another program, or a mailcow older than the ones this was written for"


class UntrustedError(MailcowError):
    """The certificate is not one to trust."""

    fix = "somebody may stand in between, or mail.tls.ca does not name the CA that issued mailcow's certificate"


class EmptyError(MailcowError):
    """An answer without content, which mailcow gives where no key arrives and where its program breaks off."""

    status = Status.UNKNOWN
    fix = "a proxy may drop the header X-API-Key; else look at the log of php-fpm-mailcow"


class UnavailableError(MailcowError):
    """No usable answer; a change may have happened all the same."""

    status = Status.UNKNOWN
    fix = "run again: what was done is found, and the rest goes on from there"


class NotReadyError(UnavailableError):
    """mailcow's web server answers, the parts behind it do not yet."""

    fix = "wait some minutes and run again; `docker compose ps` on the server shows what does not run"


class MalformedError(MailcowError):
    """An answer that is not mailcow's."""

    status = Status.UNKNOWN
    fix = "is mail.url the address of mailcow's own pages, and does nothing answer in its place?"


_refused: dict[tuple[str, str], type[MailcowError]] = {}  # by URL and digest of the key, for this process


@dataclass
class Api:
    """The API of one mailcow; a key that was refused once is not sent again by this process."""

    base: str
    key: Secret
    ca: str | None = None
    pauses: tuple[float, ...] = PAUSES
    timeout: float = TIMEOUT

    def __post_init__(self) -> None:
        try:
            self._trust = https.trusting(self.ca)
        except https.UntrustedError as error:
            raise UntrustedError(str(error)) from None

    def front(self) -> None:
        """Whether the web server and what it needs are up, asked without the key, which costs nothing.

        The page itself may be shut to us. Raises NotReadyError, UnavailableError or UntrustedError.
        """
        answer = self._once("GET", "/", {})
        if answer.is_server_error:
            raise _unready(f"GET {self.base}/", answer)

    def items(self, *path: str) -> list[dict[str, Any]]:
        """A collection, or the one thing asked for; absent is empty."""
        body = self._read(path)
        if bad := answers.complaint(body):
            raise RefusedError(f"get/{'/'.join(path)}: {bad}", bad.word)
        found = answers.items(body)
        for each in found:
            _seal("/".join(path), each)
        return found

    def facts(self, *path: str) -> dict[str, Any]:
        """What is told of one thing; absent is empty."""
        return next(iter(self.items(*path)), {})

    def post(self, path: str, body: Mapping[str, Any] | Sequence[str]) -> tuple[Entry, ...]:
        """Writes once, and says what mailcow claims; after an unclear answer nobody knows whether it happened.

        Raises RefusedError where an entry says no, whatever else was done.
        """
        said = answers.entries(self._call("POST", path, json=body if isinstance(body, Mapping) else list(body)))
        if bad := answers.failed(said):
            raise RefusedError(f"{path}: {bad}", bad.word)
        if not answers.succeeded(said):
            raise MalformedError(f"{path}: an answer that names no success")
        return said

    def text(self, path: str, **query: str) -> str:
        """A page beside the API that knows the key too."""
        return self._checked("GET", path, self._key(), params=query).text

    def ask_again(self) -> None:
        """Forgets that the key was refused, for one more try after a long wait."""
        _refused.pop(self._identity, None)

    def _read(self, path: Sequence[str]) -> Any:
        """Asked again after 5xx and broken connections."""
        where = "get/" + "/".join(quote(part, safe="@") for part in path)
        for pause in self.pauses:
            try:
                return self._call("GET", where)
            except UnavailableError:
                time.sleep(pause)
        return self._call("GET", where)

    def _call(self, method: str, path: str, **what: Any) -> Any:
        where = f"{method} {path}"
        answer = self._checked(method, f"/api/v1/{path}", self._key(), **what)
        if not answer.content.strip():
            raise EmptyError(f"{where}: HTTP {answer.status_code} and nothing")
        try:
            return answer.json()
        except ValueError:
            kind = answer.headers.get("content-type", "no content type").partition(";")[0]
            raise MalformedError(f"{where}: HTTP {answer.status_code} with {kind} that is no JSON") from None

    @property
    def _identity(self) -> tuple[str, str]:
        return self.base, hashlib.sha256(self.key.reveal().encode()).hexdigest()

    def _key(self) -> dict[str, str]:
        """The header, unless mailcow has refused this key before or would read another in its place."""
        key = self.key.reveal()
        if not KEY.match(key):
            raise KeyRefusedError(f"{self.key} holds more than letters, digits and dashes: mailcow would drop the rest")
        if refused := _refused.get(self._identity):
            raise refused(f"{self.key} was refused before and is not sent again")
        return {"X-API-Key": key}

    def _checked(self, method: str, path: str, headers: Mapping[str, str], **what: Any) -> httpx.Response:
        """The answer, where its status says no more than that there is one."""
        answer = self._once(method, path, headers, **what)
        if answer.is_success:
            return answer
        error = _error(f"{method} {path}", answer)
        if isinstance(error, KeyRefusedError | AddressRefusedError):
            _refused[self._identity] = type(error)
        raise error

    def _once(self, method: str, path: str, headers: Mapping[str, str], **what: Any) -> httpx.Response:
        try:
            # One's own server is reached without the proxy that leads outside.
            url = f"{self.base}{path}"
            return https.exchange(method, url, self._trust, self.timeout, headers, direct=True, **what)
        except https.UntrustedError as error:
            raise UntrustedError(str(error)) from None
        except https.SilentError as error:
            raise UnavailableError(str(error)) from None


def of(site: Site) -> Api:
    """The API of the site's mailcow."""
    if site.mail.url is None or site.mail.api_key is None:
        raise AssertionError("params refuse a mailcow without url and api_key")
    return Api(site.mail.url, site.mail.api_key, site.mail.tls.ca)


def _seal(path: str, told: dict[str, Any]) -> None:
    """Relays' passwords come in clear, with their first letters beside them: masked from here on, and dropped."""
    told.pop("password_short", None)
    password = told.get("password")
    if isinstance(password, str) and mask(password) == password:
        learn(password, f"mailcow:{path}")


def _error(where: str, answer: httpx.Response) -> MailcowError:
    """What a status that is no success means, by mailcow's own words where it has some."""
    said, status = _said(answer), answer.status_code
    told = f"{where}: HTTP {status} {said}".rstrip()
    if answer.is_server_error:
        return _unready(where, answer)
    kind = next((kind for (code, words), kind in SAID.items() if code == status and words in said), MalformedError)
    return kind(told)


SAID: dict[tuple[int, str], type[MailcowError]] = {
    (400, "valid json"): MalformedError,
    (401, "authentication failed"): KeyRefusedError,
    (401, "api access denied for ip"): AddressRefusedError,
    (403, "read/write access denied"): ReadOnlyError,
    (404, "route not found"): RouteMissingError,
}


def _unready(where: str, answer: httpx.Response) -> UnavailableError:
    starting = answer.status_code == httpx.codes.BAD_GATEWAY or STARTING.search(answer.text)
    kind = NotReadyError if starting else UnavailableError
    return kind(f"{where}: HTTP {answer.status_code}")


def _said(answer: httpx.Response) -> str:
    try:
        body = answer.json()
    except ValueError:
        return ""
    return short(str(body.get("msg", ""))) if isinstance(body, Mapping) else ""
