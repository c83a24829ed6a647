"""The name server of the benchmarks, a process of its own: answers written beforehand, 20 ms after each question.

Run as `python authority.py ADDRESS PORT DOMAINS`; says `ready`, ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import dns.name
import dns.rcode
import dns.rdata
import dns.rdatatype
from made_up import zones

ROUND_TRIP = 0.02  # seconds
TTL = 300
HEADER = 12  # octets before the question
OPT = b"\0" + struct.pack("!HHIH", 41, 1232, 0, 0)
SO_RCVBUFFORCE, ROOM = 33, 8 * 1024 * 1024  # asm-generic/socket.h


@contextlib.contextmanager
def serving(address: str, port: int, domains: int) -> Iterator[None]:
    """The server in a process of its own."""
    argv = [sys.executable, __file__, address, str(port), str(domains)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parent) as process:
        assert process.stdout
        assert process.stdout.readline() == b"ready\n", f"no name server at {address} port {port}"
        try:
            yield
        finally:
            process.terminate()


@dataclass
class Zones:
    """Replies by question, each written when it is first asked for."""

    records: dict[str, dict[str, list[str]]]
    replies: dict[bytes, bytes] = field(default_factory=dict)
    above: set[str] = field(default_factory=set)  # every name that exists, empty ones included (RFC 8020)

    def __post_init__(self) -> None:
        for name in self.records:
            labels = name.split(".")
            self.above |= {".".join(labels[n:]) for n in range(len(labels))}

    def reply(self, query: bytes) -> bytes:
        written = self.replies.get(query[2:])
        if written is None:
            written = self.replies[query[2:]] = self._written(query)
        return query[:2] + written

    def _written(self, query: bytes) -> bytes:
        """All after the id: by hand, as a library would be slower than what is measured."""
        end = query.index(b"\0", HEADER) + 5
        name = b".".join(_labels(query[HEADER:end])).decode("ascii").lower()
        kind = dns.rdatatype.to_text(dns.rdatatype.RdataType.make(int.from_bytes(query[end - 4 : end - 2], "big")))
        answer, authority, rcode = self._answered(name, kind)
        edns = query[10:12] != b"\0\0"
        flags = struct.pack("!BB", 0x84 | query[2] & 1, 0x80 | rcode)  # QR, AA, RD as asked; RA
        counts = struct.pack("!4H", 1, len(answer), len(authority), edns)
        whole = flags + counts + query[HEADER:end] + b"".join(answer + authority) + (OPT if edns else b"")
        if len(whole) + 2 <= (1232 if edns else 512):
            return whole
        return bytes((flags[0] | 2, flags[1])) + struct.pack("!4H", 1, 0, 0, 0) + query[HEADER:end]  # TC

    def _answered(self, name: str, kind: str) -> tuple[list[bytes], list[bytes], int]:
        """RFC 1034 4.3.2, wildcards and aliases included; every alias here leads to a name held here."""
        here = self.records.get(name) or self._wild(name)
        if kind in here:
            return [_record(name, kind, v) for v in here[kind]], [], dns.rcode.NOERROR
        if "CNAME" in here:
            alias = here["CNAME"][0]
            answer, authority, rcode = self._answered(alias.rstrip("."), kind)
            return [_record(name, "CNAME", alias), *answer], authority, rcode
        apex = self._apex(name, kind)
        rcode = dns.rcode.NOERROR if here or name in self.above else dns.rcode.NXDOMAIN
        return [], [_record(apex, "SOA", self.records[apex]["SOA"][0])], rcode

    def _wild(self, name: str) -> dict[str, list[str]]:
        """RFC 4592 3.3.1: the wildcard below the closest name that exists."""
        if name in self.above:
            return {}
        while name not in self.above and name:
            name = name.partition(".")[2]
        return self.records.get(f"*.{name}", {})

    def _apex(self, name: str, kind: str) -> str:
        name = name.partition(".")[2] if kind == "DS" else name  # RFC 4035 3.1.4.1: the parent holds it
        while "SOA" not in self.records.get(name, {}):
            if not name:
                return "example"
            name = name.partition(".")[2]
        return name


def _labels(octets: bytes) -> Iterator[bytes]:
    at = 0
    while length := octets[at]:
        yield octets[at + 1 : at + 1 + length]
        at += 1 + length


def _record(name: str, kind: str, value: str) -> bytes:
    rdata = _rdata(kind, value)
    fixed = struct.pack("!HHIH", dns.rdatatype.from_text(kind), 1, TTL, len(rdata))
    return dns.name.from_text(name).to_wire() + fixed + rdata


@lru_cache(maxsize=5000)
def _rdata(kind: str, value: str) -> bytes:
    if kind == "TXT":
        octets = value.encode()
        return b"".join(bytes((len(part),)) + part for n in range(0, len(octets), 255) if (part := octets[n : n + 255]))
    return dns.rdata.from_text("IN", kind, value).to_wire()


@dataclass
class Datagrams(asyncio.DatagramProtocol):
    """Answers each question after the round trip."""

    zones: Zones

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self.transport = transport
        self.loop = asyncio.get_running_loop()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.loop.call_later(ROUND_TRIP, self.transport.sendto, self.zones.reply(data), addr)


async def serve(address: str, port: int, domains: int) -> None:
    """Until standard input ends."""
    held = Zones(zones(domains))
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: Datagrams(held), (address, port))
    with contextlib.suppress(OSError):  # more room than others may have: losses would be measured as waiting
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, ROOM)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            while head := await reader.readexactly(2):
                query = await reader.readexactly(struct.unpack("!H", head)[0])
                await asyncio.sleep(ROUND_TRIP)
                reply = held.reply(query)
                writer.write(struct.pack("!H", len(reply)) + reply)
        writer.close()

    await asyncio.start_server(talk, address, port)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await loop.run_in_executor(None, sys.stdin.buffer.read)


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
