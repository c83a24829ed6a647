"""DNS: thousands of made-up domains behind 20 ms of round trip, beside checkdmarc and beside bare dnspython."""

from __future__ import annotations

import asyncio
import gc
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import dns.asyncquery
import dns.message
import dns.nameserver
import dns.resolver
import made_up
import verdicts
from authority import ROUND_TRIP, serving
from figures import TIMES, Figure, figure, seconds

from runbooklib import zone
from runbooklib.audit import Subject, domain, many
from runbooklib.results import Checklist

ADDRESS, PORT = "127.0.0.53", 5353
THOUSAND, SAMPLE = 1000, 20
PER_SERVER, ABREAST = 128, 30
TURNS = 2  # by turns with the bare loop; a first one warms the server
COLD = "d00002.example"  # its SPF record includes one that includes two: a chain of three lookups
CHAIN = 3
LIMIT, QUESTIONS, MEMORY = 8.0, 20, 200  # seconds a thousand, questions a domain, MB at ten thousand


class Noted(zone.Internet):
    """Keeps every question it carries."""

    def __init__(self) -> None:
        super().__init__(PORT)
        self.questions: list[bytes] = []

    async def carry(self, octets: bytes, server: str) -> bytes:
        self.questions.append(octets)
        return await super().carry(octets, server)


def figures(say: Callable[[str], None]) -> list[Figure]:
    """All of them, at a name server of their own."""
    gc.freeze()  # as the command does
    gc.set_threshold(50_000, 20, 20)  # as well
    with serving(ADDRESS, PORT, 10 * THOUSAND):
        thousand, rate = _thousand(say)
        return [_beside_checkdmarc(thousand.ours / THOUSAND, say), thousand, *rate, _cold(say), *_memory(say)]


def _thousand(say: Callable[[str], None]) -> tuple[Figure, list[Figure]]:
    """A thousand domains audited, and the same questions by a bare loop, by turns."""
    turns = []
    for _ in range(1 + TURNS):
        wire = Noted()
        ours = seconds(lambda: asyncio.run(_audited(wire, made_up.names(THOUSAND))))  # noqa: B023 - called at once
        asked = [dns.message.from_wire(o) for o in wire.questions]
        turns.append((ours, seconds(lambda: asyncio.run(_bare(asked))), len(asked)))  # noqa: B023 - as above
    ours, bare, count = (statistics.median(times) for times in zip(*turns[1:], strict=True))
    say(f"{THOUSAND} domains: {ours:.2f} s, {count / THOUSAND:.1f} questions a domain; bare loop {bare:.2f} s")
    return figure("a thousand domains audited", ours, LIMIT, "the goal, at most", "s"), [
        figure("questions a domain", count / THOUSAND, QUESTIONS, "the goal, at most", ""),
        figure("questions a second, audit included", count / ours, count / bare, "bare dnspython loop", "/s"),
    ]


async def _audited(wire: zone.Wire, names: Iterable[str]) -> list[Checklist]:
    stub = zone.Stub(wire, [], [ADDRESS], per_server=PER_SERVER)
    return [found async for found in many.each(stub, map(_subject, names), ABREAST)]


def _subject(name: str) -> Subject:
    return Subject(name, selectors=(made_up.SELECTOR,), rehearsed=True)


async def _bare(asked: list[dns.message.Message]) -> None:
    """What dnspython alone does with the same names and types."""
    waiting = iter(asked)

    async def one_after_the_other() -> None:
        for message in waiting:
            question = message.question[0]
            query = dns.message.make_query(question.name, question.rdtype, use_edns=True, payload=1232, flags=0)
            await dns.asyncquery.udp(query, ADDRESS, port=PORT, timeout=10)

    await asyncio.gather(*(one_after_the_other() for _ in range(PER_SERVER)))


def _beside_checkdmarc(ours: float, say: Callable[[str], None]) -> Figure:
    """Domains without MTA-STS, whose policy checkdmarc would fetch from a web server that does not exist."""
    import checkdmarc  # noqa: PLC0415 - only `make bench` has it

    sample = [name for n, name in enumerate(made_up.names(2 * SAMPLE)) if n % 5][:SAMPLE]
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers = [dns.nameserver.Do53Nameserver(ADDRESS, PORT)]
    found: list[Any] = []

    def check() -> None:
        given = {"resolver": resolver, "nameservers": resolver.nameservers, "bimi_selector": None}
        found.extend(checkdmarc.check_domains(sample, **given))

    theirs = seconds(check) / SAMPLE
    mine = {c.title: verdicts.ours(c) for c in asyncio.run(_audited(zone.Internet(PORT), sample))}
    for line in verdicts.differences((t["domain"], mine[t["domain"]], verdicts.theirs(t)) for t in found):
        say(line)
    return figure("one domain of many", ours, theirs, "checkdmarc, one after the other", "s")


def _cold(say: Callable[[str], None]) -> Figure:
    """One domain whose answers the name server holds ready and we do not."""

    async def once() -> float:
        stub = zone.Stub(zone.Internet(PORT), [], [ADDRESS])
        began = time.perf_counter()
        await domain(stub, _subject(COLD))
        return time.perf_counter() - began

    times = [asyncio.run(once()) for _ in range(1 + 5 * TIMES)][1:]
    took = statistics.median(times)
    say(f"one domain, cold: {took * 1000:.0f} ms; {CHAIN} lookups that depend on each other")
    chain = CHAIN * ROUND_TRIP
    return figure("one domain, cold", took * 1000, chain * 1000, "its longest chain of lookups", "ms")


def _memory(say: Callable[[str], None]) -> list[Figure]:
    """The command itself, on a list of a thousand and of ten thousand."""
    peaks = [_peak(THOUSAND), _peak(10 * THOUSAND)]
    say(f"peak memory: {peaks[0]:.0f} MB at {THOUSAND} domains, {peaks[1]:.0f} MB at {10 * THOUSAND}")
    return [
        figure("memory at ten thousand domains", peaks[1], MEMORY, "the goal, less than", "MB"),
        figure("memory at ten thousand domains", peaks[1], peaks[0], "ours at a thousand", "MB"),
    ]


def _peak(count: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder) / "domains"
        listed.write_text("\n".join(made_up.names(count)))
        argv = [sys.executable, "-m", "runbooklib.cli", "dns", "--domains", str(listed), "--json"]
        argv += ["--authoritative", ADDRESS, "--port", str(PORT), "--per-server", str(PER_SERVER)]
        with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            peak = 0
            while process.poll() is None:
                peak = max(peak, _resident(process.pid))
                time.sleep(0.05)
    assert process.returncode in {0, 1}, f"runbook dns ended with {process.returncode}"
    return peak / 1024


def _resident(pid: int) -> int:
    """The most it has held so far, in kB; getrusage would tell what this process held as it forked."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")), 0)
