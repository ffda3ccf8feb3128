"""Requests to an identity provider: to trusted addresses only, and each answer is limited in bytes and in time."""

import asyncio
import ipaddress
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from errno import errorcode

import httpx

MOST_CAUSES = 8


class UnusableAnswer(ValueError):  # noqa: N818 - says what was answered
    """An answer of a provider that cannot be used. Its message is for the log and has no part of the answer."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """The status and the body of an answer."""

    status: int
    body: bytearray


async def fetch(
    client: httpx.AsyncClient,
    method: str,
    url: str | httpx.URL,
    *,
    seconds: float,
    most_bytes: int,
    headers: Mapping[str, str],
    content: str | None = None,
) -> Fetched:
    """Send a request and return its answer; a redirect is not followed.

    Raises TimeoutError after `seconds` in total, UnusableAnswer for a body of more than `most_bytes`, or
    httpx.HTTPError.
    """
    body = bytearray()
    # httpx limits each read but not the whole: a server that sends single bytes could keep the request open for hours.
    async with (
        asyncio.timeout(seconds),
        client.stream(
            method,
            url,
            content=content,
            # Compression is neither requested nor decoded: a small response must not decompress into a large one.
            headers={**headers, "Accept-Encoding": "identity"},
            follow_redirects=False,
        ) as response,
    ):
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > most_bytes:
                raise UnusableAnswer("the answer is too large")
    return Fetched(response.status_code, body)


def reason_of(error: BaseException) -> str:
    """Return for the log why there is no usable answer: the type of an exception, and what its cause has a code for.

    The messages of libraries can quote URLs and answers.
    """
    if isinstance(error, UnusableAnswer):
        return str(error)
    cause: BaseException | None = error
    for _ in range(MOST_CAUSES):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"{type(error).__name__}, {cause.verify_message.partition(',')[0]}"
        if isinstance(cause, OSError) and cause.errno is not None and cause.errno in errorcode:
            return f"{type(error).__name__}, {errorcode[cause.errno]}"
        cause = None if cause is None else cause.__cause__ or cause.__context__
    return type(error).__name__


def provider_url(url: str) -> httpx.URL:
    """Return the parsed URL. Raises ValueError, without the URL, unless it is https, or http on a loopback address."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        parsed = httpx.URL()
    encrypted = parsed.scheme == "https" and parsed.host
    if parsed.userinfo or not (encrypted or (parsed.scheme == "http" and _is_loopback(parsed.host))):
        raise ValueError("the URL must use https, or http on a loopback address, without credentials")
    return parsed


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
