"""Fetching an MTA-STS policy as a sending server does (RFC 8461 3.3).

PolicyError
└── SilentPolicyError  no connection, or no answer in time: nothing is known of the policy
"""

from __future__ import annotations

import asyncio
import ssl

import httpx

from runbooklib.mtasts import LARGEST
from runbooklib.results import RunbookError

PATIENCE = 20.0  # seconds in all; senders wait up to a minute


class PolicyError(RunbookError):
    """The policy is not served as it must be: senders act as if there were none."""


class SilentPolicyError(PolicyError):
    """No connection, or no answer in time."""


async def fetch(domain: str, trust: ssl.SSLContext | None = None) -> str:
    """The policy of a domain.

    Raises PolicyError.
    """
    return await read(f"https://mta-sts.{domain}/.well-known/mta-sts.txt", trust or ssl.create_default_context())


async def read(url: str, trust: ssl.SSLContext) -> str:
    """A policy from where it is served: the certificate is verified, no redirect followed, size and time bounded.

    Raises PolicyError.
    """
    try:
        async with asyncio.timeout(PATIENCE):
            return await _text(url, trust)
    except (TimeoutError, httpx.TimeoutException):
        raise SilentPolicyError(f"{url}: no answer within {PATIENCE:g} s") from None
    except (httpx.RequestError, httpx.InvalidURL) as error:
        raise _stopped(url, error) from None


async def _text(url: str, trust: ssl.SSLContext) -> str:
    async with (
        httpx.AsyncClient(verify=trust, trust_env=False, timeout=PATIENCE) as client,
        client.stream("GET", url) as answer,
    ):
        if answer.status_code != httpx.codes.OK:
            raise PolicyError(f"{url}: HTTP {answer.status_code}, where 200 is expected")
        return (await _body(url, answer)).decode("utf-8", "replace")


async def _body(url: str, answer: httpx.Response) -> bytes:
    body = b""
    async for part in answer.aiter_bytes():
        body += part
        if len(body) > LARGEST:
            raise PolicyError(f"{url}: more than {LARGEST} octets")
    return body


def _stopped(url: str, error: Exception) -> PolicyError:
    """A certificate that does not verify is an answer; no connection is none."""
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return PolicyError(f"{url}: the certificate does not verify: {str(error)[:120]}")
    return SilentPolicyError(f"{url}: {str(error)[:120] or type(error).__name__}")
