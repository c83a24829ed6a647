"""Octets to a server and back: a few UDP sockets that many questions share, and TCP for what is too long for them."""

from __future__ import annotations

import asyncio
import secrets
import socket
import struct
from contextlib import suppress

import dns.exception
import dns.inet

from runbooklib.zone.octets import answers

SOCKETS = 8  # to one server at once; each has its own random source port (RFC 5452 9.2)
WORN = 100  # questions a socket asks before another port takes its place
BATCH = 32  # datagrams read in one turn of the loop
LARGEST = 65535


class Datagrams:
    """Sockets by event loop and server; one without a question under way is closed at once, so none is left over."""

    def __init__(self) -> None:
        self.sent = 0
        self.open: dict[tuple[asyncio.AbstractEventLoop, str, int], list[_Socket]] = {}

    async def ask(self, octets: bytes, server: str, port: int, patience: float) -> bytes:
        """The reply to a question within `patience` seconds; raises dns.exception.Timeout or OSError."""
        key = asyncio.get_running_loop(), server, port
        sockets = self.open.get(key, [])
        chosen = _chosen(sockets, *key)
        self.open[key] = sockets
        self.sent += 1
        try:
            return await chosen.ask(octets, patience)
        finally:
            if not chosen.waiting:
                chosen.close()
                sockets.remove(chosen)
            if not sockets:
                self.open.pop(key, None)


def _chosen(sockets: list[_Socket], loop: asyncio.AbstractEventLoop, server: str, port: int) -> _Socket:
    """The one with the fewest questions under way, or a new one."""
    fresh = [s for s in sockets if s.asked < WORN]
    if len(fresh) >= SOCKETS:
        return min(fresh, key=_busy)
    sockets.append(_Socket(loop, server, port))
    return sockets[-1]


def _busy(one: _Socket) -> int:
    return len(one.waiting)


class _Socket:
    """One UDP socket, connected: the kernel drops what does not come from the server's address and port."""

    def __init__(self, loop: asyncio.AbstractEventLoop, server: str, port: int) -> None:
        self.loop = loop
        self.asked = 0
        self.waiting: dict[bytes, tuple[asyncio.Future[bytes], bytes]] = {}
        self._socket = socket.socket(dns.inet.af_for_address(server), socket.SOCK_DGRAM)
        self._socket.setblocking(False)  # noqa: FBT003 - the library's signature
        try:
            self._socket.connect(dns.inet.low_level_address_tuple((server, port)))
        except OSError:
            self._socket.close()
            raise
        loop.add_reader(self._socket, self._readable)

    async def ask(self, octets: bytes, patience: float) -> bytes:
        future: asyncio.Future[bytes] = self.loop.create_future()
        number = self._number()
        self.asked += 1
        self.waiting[number] = future, octets
        timer = self.loop.call_later(patience, _late, future)
        try:
            with suppress(BlockingIOError):  # no room in the kernel: lost, like any other datagram
                self._socket.send(number + octets[2:])
            return await future
        finally:
            timer.cancel()
            del self.waiting[number]

    def close(self) -> None:
        self.loop.remove_reader(self._socket)
        self._socket.close()

    def _number(self) -> bytes:
        """A random id that no question under way here has."""
        number = secrets.token_bytes(2)
        while number in self.waiting:
            number = secrets.token_bytes(2)
        return number

    def _readable(self) -> None:
        for _ in range(BATCH):
            try:
                octets = self._socket.recv(LARGEST)
            except BlockingIOError:
                return
            except OSError as error:  # ICMP says that nobody listens there
                self._refused(error)
                return
            self._heard(octets)

    def _heard(self, octets: bytes) -> None:
        """A reply ends the waiting of its question; what is not one changes nothing (RFC 5452 9.1)."""
        future, asked = self.waiting.get(octets[:2], (None, b""))
        if future and not future.done() and answers(asked, octets):
            future.set_result(octets)

    def _refused(self, error: OSError) -> None:
        for future, _ in self.waiting.values():
            if not future.done():
                future.set_exception(OSError(error.errno, error.strerror))


def _late(future: asyncio.Future[bytes]) -> None:
    if not future.done():
        future.set_exception(dns.exception.Timeout)


async def stream(octets: bytes, server: str, port: int, patience: float) -> bytes:
    """The reply to a question over TCP (RFC 7766); raises dns.exception.Timeout, OSError or EOFError."""
    try:
        async with asyncio.timeout(patience):
            return await _streamed(octets, server, port)
    except TimeoutError:
        raise dns.exception.Timeout from None


async def _streamed(octets: bytes, server: str, port: int) -> bytes:
    number = secrets.token_bytes(2)
    reader, writer = await asyncio.open_connection(server, port)
    try:
        writer.write(struct.pack("!H", len(octets)) + number + octets[2:])
        reply = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
    finally:
        writer.close()
    if reply[:2] != number or not answers(octets, reply):
        raise EOFError("a reply to something else")
    return reply
