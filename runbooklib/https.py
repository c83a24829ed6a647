"""One HTTP request to an API: its certificate verified, what stopped it told apart, its words fit to be shown.

HttpsError
├── UntrustedError  the certificate is not one to trust: nothing was sent
└── SilentError     no connection, or no answer in time: a change may have happened all the same
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping
from functools import cache
from typing import Any

import httpx

from runbooklib import endpoint
from runbooklib.credentials import mask
from runbooklib.results import RunbookError

SHOWN = 200  # characters of somebody else's words


class HttpsError(RunbookError):
    """A request that got no answer."""


class UntrustedError(HttpsError):
    """The certificate is not one to trust, or the file of the CA to trust cannot be read."""


class SilentError(HttpsError):
    """No connection, or no answer in time."""


def trusting(ca: str | None) -> ssl.SSLContext:
    """TLS that trusts this CA file, or the public CAs when there is none.

    Raises UntrustedError when the file cannot be read.
    """
    try:
        return endpoint.context(ca) if ca else _public()
    except OSError as error:
        raise UntrustedError(f"{ca} holds no certificate that can be read: {error.strerror}") from None


@cache
def _public() -> ssl.SSLContext:
    """Read once, as it takes over a hundred certificates; apart from mail's, since httpx sets ALPN in it."""
    return endpoint.context(None)


def exchange(
    method: str,
    url: str,
    trust: ssl.SSLContext,
    timeout: float,
    headers: Mapping[str, str],
    *,
    direct: bool = False,
    **what: Any,
) -> httpx.Response:
    """One request and whatever answer it gets within the time; `direct` goes past the proxy that leads outside.

    Raises UntrustedError or SilentError.
    """
    where, until = f"{method} {url}", time.monotonic() + timeout
    try:
        with (
            httpx.Client(verify=trust, timeout=timeout, trust_env=not direct) as client,
            client.stream(method, url, headers=dict(headers), **what) as answer,
        ):
            return _whole(answer, until)
    except httpx.TimeoutException:
        raise SilentError(f"{where}: no answer within {timeout:g} s") from None
    except httpx.TransportError as error:
        if _untrusted(error):
            raise UntrustedError(f"{where}: certificate refused: {short(str(error))}") from None
        raise SilentError(f"{where}: {short(str(error)) or type(error).__name__}") from None


def _whole(answer: httpx.Response, until: float) -> httpx.Response:
    """The answer with all of its body; httpx's own limit is for each part, and one that trickles may take for ever."""
    parts = list[bytes]()
    for part in answer.iter_bytes():
        parts.append(part)
        if time.monotonic() > until:
            raise httpx.ReadTimeout("the answer did not end")
    headers = [(name, value) for name, value in answer.headers.multi_items() if name not in DECODED]
    return httpx.Response(answer.status_code, headers=headers, content=b"".join(parts), request=answer.request)


DECODED = {"content-encoding", "content-length", "transfer-encoding"}  # no longer true of what was read


def _untrusted(error: BaseException) -> bool:
    """Whether a broken certificate stands somewhere behind an error."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLCertVerificationError):
            return True
        seen = seen.__cause__ or seen.__context__
    return "CERTIFICATE_VERIFY_FAILED" in str(error)


def short(text: str) -> str:
    """Somebody else's words in one line, without anything secret that they repeat."""
    line = mask(" ".join("".join(c if c.isprintable() else " " for c in text).split()))
    return line if len(line) <= SHOWN else line[: SHOWN - 1] + "…"
