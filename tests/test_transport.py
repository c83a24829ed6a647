"""Octets to a server and back: strays, spoofs, boxes on the way, and replies made to be misread."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runbooklib.answers import Answer, Question, Word
from runbooklib.zone import octets
from runbooklib.zone.questions import AVOIDED, Internet, ask
from runbooklib.zone.reading import read, value

T = TypeVar("T")
NAME = "lantern.example"
SHORT = ['"v=spf1 -all"']
LONG, LONGER = ([f'"{n} {"x" * 200}"' for n in range(count)] for count in (4, 9))
PATIENCE = 60  # seconds, of which none is waited for: see Leaping


class Leaping(asyncio.SelectorEventLoop):
    """An event loop whose clock leaps over the waiting for what was lost; what is on its way has all the time."""

    ahead = 0.0

    def time(self) -> float:
        return super().time() + self.ahead


def run(work: Coroutine[Any, Any, T]) -> T:
    """As asyncio.run, on a clock that leaps."""
    with asyncio.Runner(loop_factory=Leaping) as runner:
        return runner.run(work)


@dataclass
class Path:
    """A name server on loopback, and what the path to it does; `heard` is how each question came."""

    texts: list[str] = field(default_factory=lambda: SHORT)
    drops_edns: bool = False
    drops_long: bool = False  # datagrams over 512 octets
    drops_datagrams: bool = False
    tcp: bool = True
    before: Callable[[bytes], list[bytes]] = lambda _: []  # what comes before the reply
    rcode: dns.rcode.Rcode = dns.rcode.NOERROR
    error: dns.edns.EDEOption | None = None
    heard: list[str] = field(default_factory=list)
    ports: set[int] = field(default_factory=set)

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[Internet]:
        transport, server = await self._bound()
        try:
            yield Internet(transport.get_extra_info("sockname")[1], PATIENCE)
        finally:
            transport.close()
            if server:
                server.close()
            await asyncio.sleep(0)

    async def _bound(self) -> tuple[asyncio.DatagramTransport, asyncio.Server | None]:
        """Both on one port: what is free for TCP another test may hold for UDP."""
        server = await asyncio.start_server(self._talk, "127.0.0.1", 0) if self.tcp else None
        where = server.sockets[0].getsockname() if server else ("127.0.0.1", 0)
        try:
            transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: _Listening(self), where)
        except OSError:
            other = await self._bound()
            if server:
                server.close()
            return other
        return transport, server

    def by_datagram(self, wire: bytes) -> list[bytes]:
        query = dns.message.from_wire(wire)
        self.heard.append("edns" if query.edns >= 0 else "plain")
        reply = self._reply(query).to_wire(max_size=65535)
        if len(reply) > (query.payload or 512):
            reply = self._cut(query)
        drops_edns, drops_long = self.drops_edns and query.edns >= 0, self.drops_long and len(reply) > 512
        if self.drops_datagrams or drops_edns or drops_long:
            asyncio.get_running_loop().ahead += PATIENCE
            return []
        return [*self.before(wire), reply]

    def _cut(self, query: dns.message.Message) -> bytes:
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.TC | dns.flags.AA
        return reply.to_wire()

    def _reply(self, query: dns.message.Message) -> dns.message.Message:
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.AA
        reply.set_rcode(self.rcode)
        if self.error and query.edns >= 0:
            reply.use_edns(options=[self.error])
        if self.rcode == dns.rcode.NOERROR:
            reply.answer.append(dns.rrset.from_text_list(query.question[0].name, 300, "IN", "TXT", self.texts))
        return reply

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        query = dns.message.from_wire(await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big")))
        self.heard.append("tcp")
        reply = self._reply(query).to_wire(max_size=65535)
        writer.write(struct.pack("!H", len(reply)) + reply)
        writer.close()

    def ask(self, times: int = 1, *, recursive: bool = False) -> list[Answer]:
        """The same question some times, one after the other."""

        async def asked() -> list[Answer]:
            async with self.open() as wire:
                question = Question(NAME, "TXT")
                found = [await ask(wire, question, "127.0.0.1", recursive=recursive) for _ in range(times)]
                assert not wire.datagrams.open, "a socket is left over"
                return found

        return run(asked())


@dataclass
class _Listening(asyncio.DatagramProtocol):
    path: Path

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.path.ports.add(addr[1])
        for reply in self.path.by_datagram(data):
            self.transport.sendto(reply, addr)


def forged(wire: bytes, *, number: int = 0, name: str = NAME, kind: str = "TXT", response: bool = True) -> bytes:
    """A datagram that would poison: its id off by `number`, or about another question."""
    query = dns.message.from_wire(wire)
    asked = dns.message.make_query(name, kind, id=(query.id + number) % 65536)
    reply = dns.message.make_response(asked)
    reply.flags |= dns.flags.AA
    reply.answer.append(dns.rrset.from_text(asked.question[0].name, 300, "IN", "TXT", '"poison"'))
    if not response:
        reply.flags &= ~dns.flags.QR
    return reply.to_wire()


@pytest.mark.parametrize(
    "stray",
    [
        lambda wire: forged(wire, number=1),
        lambda wire: forged(wire, name="other.example"),
        lambda wire: forged(wire, kind="A"),
        lambda wire: forged(wire, response=False),
        lambda wire: wire[:2],
        lambda wire: wire[:2] + b"\xff" * 40,
        lambda wire: forged(wire)[:4] + b"\0\0" + forged(wire)[6:],
        lambda _: b"",
    ],
    ids=["id", "name", "type", "no-reply", "short", "noise", "no-question", "empty"],
)
def test_a_stray_datagram_is_not_taken_for_the_reply(stray: Callable[[bytes], bytes]) -> None:
    path = Path(before=lambda wire: [stray(wire)] * 3)
    assert path.ask()[0].values == ("v=spf1 -all",)
    assert path.heard == ["edns"]


def test_a_reply_from_another_port_is_not_heard() -> None:
    """The right id and question, from the wrong source: the socket is connected."""

    async def asked() -> Answer:
        spoofing = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        path = Path()
        with spoofing:

            def spoof(wire: bytes) -> list[bytes]:
                for port in path.ports:
                    spoofing.sendto(forged(wire), ("127.0.0.1", port))
                return []

            path.before = spoof
            async with path.open() as wire:
                return await ask(wire, Question(NAME, "TXT"), "127.0.0.1", recursive=False)

    assert run(asked()).values == ("v=spf1 -all",)


def test_truncated_is_asked_again_over_tcp() -> None:
    path = Path(texts=LONGER)
    assert len(path.ask()[0].values) == len(LONGER)
    assert path.heard == ["edns", "tcp"]


def test_truncated_without_tcp_says_so_and_shows_no_half() -> None:
    answer = Path(texts=LONGER, tcp=False).ask()[0]
    assert (answer.word, answer.note, answer.values) == (Word.MALFORMED, "truncated, and no answer over TCP", ())


@pytest.mark.parametrize(
    ("path", "ways"),
    [
        (Path(drops_edns=True), ["edns", "plain"]),
        (Path(texts=LONG, drops_long=True), ["edns", "plain", "tcp"]),
        (Path(drops_datagrams=True), ["edns", "plain", "tcp"]),
    ],
    ids=["EDNS", "512 octets", "UDP"],
)
def test_boxes_on_the_way(path: Path, ways: list[str]) -> None:
    assert path.ask()[0].word is Word.NOERROR
    assert path.heard == ways


def test_a_path_that_drops_edns_is_soon_asked_without() -> None:
    path = Path(drops_edns=True)
    assert {a.word for a in path.ask(AVOIDED + 2)} == {Word.NOERROR}
    assert path.heard == ["edns", "plain"] * AVOIDED + ["plain"] * 2


def test_nothing_at_all_is_a_timeout_after_two_tries() -> None:
    path = Path(drops_datagrams=True, tcp=False)
    assert path.ask()[0].word is Word.TIMEOUT
    assert path.heard == ["edns", "plain"]


def test_a_closed_port_is_unreachable_at_once() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    answer = asyncio.run(ask(Internet(port, 5), Question(NAME, "A"), "127.0.0.1", recursive=False))
    assert (answer.word, answer.note) == (Word.UNREACHABLE, "Connection refused")


@pytest.mark.parametrize("server", ["", "ns1.lantern.example", "2001:db8::1%nowhere"])
def test_no_address_is_unreachable_or_malformed_and_nothing_is_raised(server: str) -> None:
    answer = asyncio.run(ask(Internet(53, 0.1), Question(NAME, "A"), server, recursive=False))
    assert not answer.heard


def test_many_questions_share_sockets_and_each_gets_its_own_reply() -> None:
    async def asked() -> tuple[list[Answer], set[int]]:
        path = Path()
        async with path.open() as wire:
            questions = [Question(f"d{n}.example", "TXT") for n in range(150)]
            return await asyncio.gather(*(ask(wire, q, "127.0.0.1", recursive=False) for q in questions)), path.ports

    answers, ports = run(asked())
    assert [a.question.name for a in answers] == [f"d{n}.example" for n in range(150)]
    assert {a.word for a in answers} == {Word.NOERROR}
    assert 3 <= len(ports) <= 40  # random ports, worn and replaced, yet far fewer than questions


# words of resolvers


@pytest.mark.parametrize(
    ("code", "said", "word", "note"),
    [
        (7, "for lantern.example", Word.BOGUS, "signature expired: for lantern.example"),
        (6, "", Word.BOGUS, "dnssec bogus"),
        (22, "at 192.0.2.1", Word.SERVFAIL, "no reachable authority: at 192.0.2.1"),
        (6, "\x1b[2J" + "x" * 500, Word.BOGUS, "dnssec bogus: \ufffd[2J" + "x" * 116),
    ],
)
def test_extended_errors(code: int, said: str, word: Word, note: str) -> None:
    error = dns.edns.EDEOption(code, said)
    answer = Path(rcode=dns.rcode.SERVFAIL, error=error).ask(recursive=True)[0]
    assert (answer.word, answer.note) == (word, note)


def test_a_resolver_that_reached_nobody_is_not_asked_about_signatures() -> None:
    path = Path(rcode=dns.rcode.SERVFAIL, error=dns.edns.EDEOption(23, "192.0.2.1:53"))
    assert path.ask(recursive=True)[0].word is Word.SERVFAIL
    assert path.heard == ["edns"]


def test_what_a_filter_says_is_not_what_stands_there() -> None:
    answer = Path(rcode=dns.rcode.NXDOMAIN, error=dns.edns.EDEOption(17)).ask(recursive=True)[0]
    assert (answer.word, answer.note) == (Word.REFUSED, "filtered")


@dataclass
class Doubted:
    """A resolver whose replies come from a script: SERVFAIL, or what stands there."""

    script: list[dns.rcode.Rcode]
    flags: list[int] = field(default_factory=list)

    async def exchange(self, query: dns.message.Message, server: str) -> dns.message.Message:
        del server
        self.flags.append(query.flags & dns.flags.CD)
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.AD
        reply.set_rcode(self.script.pop(0))
        return reply


FAILED, THERE, ABSENT = dns.rcode.SERVFAIL, dns.rcode.NOERROR, dns.rcode.NXDOMAIN


@pytest.mark.parametrize(
    ("script", "word"),
    [
        ([FAILED, THERE, FAILED], Word.BOGUS),
        ([FAILED, ABSENT, FAILED], Word.BOGUS),
        ([FAILED, THERE, THERE], Word.NODATA),  # it was slow, its signatures are in order
        ([FAILED, FAILED], Word.SERVFAIL),
        ([THERE], Word.NODATA),
    ],
)
def test_bogus_is_told_from_a_server_that_failed(script: list[dns.rcode.Rcode], word: Word) -> None:
    wire = Doubted(list(script))
    answer = asyncio.run(ask(wire, Question(NAME, "A"), "192.0.2.53", recursive=True))
    assert answer.word is word
    assert wire.flags == [0, dns.flags.CD, 0][: len(script)]
    assert answer.secure is (word is Word.NODATA)


def test_an_authority_is_not_asked_about_signatures_and_never_secure() -> None:
    answer = asyncio.run(ask(Doubted([FAILED]), Question(NAME, "A"), "192.0.2.1", recursive=False))
    assert (answer.word, answer.secure) == (Word.SERVFAIL, False)


# octets


def test_a_question_is_what_dnspython_would_write() -> None:
    for name in [NAME, "LANTERN.example.", ".", "_dmarc.büro.example", "a\\.b.example", "x" * 63 + ".example"]:
        for edns in (True, False):
            ours = octets.query(name, "TXT", dns.flags.RD, edns=edns)
            theirs = dns.message.make_query(name, "TXT", id=0, use_edns=edns, payload=octets.PAYLOAD)
            assert dns.message.from_wire(ours) == theirs
            assert dns.message.from_wire(ours).to_wire().lower() == theirs.to_wire().lower()
        assert octets.without_edns(octets.query(name, "TXT", 0, edns=True)) == octets.query(name, "TXT", 0, edns=False)


@pytest.mark.parametrize("name", ["a..b", "x" * 64 + ".example", ".".join(["x" * 60] * 5), "\udcff.example"])
def test_what_is_no_name_is_refused_by_the_answer(name: str) -> None:
    answer = asyncio.run(ask(Internet(), Question(name, "A"), "127.0.0.1", recursive=False))
    assert answer.word is Word.MALFORMED


SECTIONS = "id 7\nopcode QUERY\nrcode NOERROR\nflags QR AA\n;QUESTION\n{name}. IN {kind}\n{rest}"
SEEDS = [
    dns.message.from_text(SECTIONS.format(name=NAME, kind=kind, rest=rest)).to_wire()
    for kind, rest in [
        ("TXT", f';ANSWER\n{NAME}. 300 IN CNAME a.example.\na.example. 60 IN TXT "v=spf1" " -all"'),
        ("MX", f";ANSWER\n{NAME}. 300 IN MX 10 mx.{NAME}.\n{NAME}. 300 IN MX 0 ."),
        ("A", f";AUTHORITY\n{NAME}. 900 IN SOA ns.{NAME}. h.{NAME}. 1 2 3 4 300"),
        ("TLSA", f";ANSWER\n{NAME}. 300 IN TLSA 3 1 1 {'ab' * 32}"),
    ]
]


def test_replies_are_read_as_dnspython_reads_them() -> None:
    alias, exchangers, absent, _ = (
        read(Question(NAME, kind), "192.0.2.1", wire, recursive=False)
        for wire, kind in zip(SEEDS, ["TXT", "MX", "A", "TLSA"], strict=True)
    )
    assert (alias.values, alias.raw, alias.chain, alias.ttl) == (
        ("v=spf1 -all",),
        ('"v=spf1" " -all"',),
        ("a.example",),
        60,
    )
    assert exchangers.values == ("0 .", f"10 mx.{NAME}")
    assert (absent.word, absent.ttl, absent.zone) == (Word.NODATA, 300, NAME)


@settings(max_examples=150)
@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(0, 120), st.integers(0, 255)), max_size=6),
    st.integers(0, 140),
)
def test_broken_octets_are_malformed_and_never_more(wire: bytes, hits: list[tuple[int, int]], end: int) -> None:
    broken = bytearray(wire)
    for at, octet in hits:
        broken[at % len(broken)] = octet
    for kind in ("TXT", "MX", "A"):
        answer = read(Question(NAME, kind), "192.0.2.1", bytes(broken[: max(end, 12)]), recursive=False)
        assert isinstance(answer.word, Word)


def test_common_types_are_read_as_dnspython_would() -> None:
    texts = {
        "A": ["192.0.2.1"],
        "AAAA": ["2001:db8::1", "::ffff:192.0.2.1", "::"],
        "NS": ["NS1.Example.", "."],
        "PTR": ["a\\.b.example."],
        "MX": ["10 Mail.example.", "0 ."],
        "TXT": ['"v=spf1 -all"', '"a" "b"', '""', '"quo\\"te" "back\\\\slash"', '"\\000\\255"', '"caf\\195\\169"'],
        "SRV": ["0 1 465 mail.example."],
        "CAA": ['0 issue "letsencrypt.org"'],
    }
    for kind, shown in texts.items():
        reply = dns.message.make_response(dns.message.make_query(NAME, kind))
        reply.flags |= dns.flags.AA
        reply.answer.append(dns.rrset.from_text_list(f"{NAME}.", 60, "IN", kind, shown))
        rdatas = sorted(reply.answer[0], key=value)
        answer = read(Question(NAME, kind), "192.0.2.1", reply.to_wire(), recursive=False)
        assert answer.values == tuple(value(r) for r in rdatas)
        assert [r.lower() for r in answer.raw] == [r.to_text().lower() for r in rdatas]


def test_rdata_that_end_elsewhere_than_they_say_are_malformed() -> None:
    for kind, rdata in [("NS", b"\1a\0\0"), ("NS", b"\1a"), ("MX", b"\0\1"), ("MX", b"\0\1\1a\0\0"), ("A", b"\1")]:
        head = struct.pack("!6H", 7, 0x8400, 1, 1, 0, 0)
        number = dns.rdatatype.from_text(kind)
        wire = head + b"\1a\0" + struct.pack("!HH", number, 1)
        wire += b"\xc0\x0c" + struct.pack("!HHIH", number, 1, 60, len(rdata)) + rdata
        assert read(Question("a", kind), "192.0.2.1", wire, recursive=False).word is Word.MALFORMED


def test_pointers_that_lead_in_circles_end() -> None:
    header = struct.pack("!6H", 7, 0x8400, 1, 1, 0, 0)
    question = b"\1a\0" + struct.pack("!HH", 16, 1)
    for owner in (b"\xc0\x13", b"\xc0\xff", b"\1a\xc0\x13"):
        wire = header + question + owner + struct.pack("!HHIH", 16, 1, 0, 0)
        with pytest.raises(dns.exception.DNSException):
            octets.parse(wire)
