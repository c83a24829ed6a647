"""`runbook dns`: lists of domains, what is told of them and in which form, and the status it ends with."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import dns.tsig
import pytest
import sites
from nameserver import Nameserver

from runbooklib import zone
from runbooklib.audit import Subject, lists, many, telling
from runbooklib.audit.looking import Look
from runbooklib.cli import GATE, OK, USAGE, main
from runbooklib.results import Check, Checklist, Status

SERVER = "192.0.2.1"
PARKED = """\
@ 60 SOA ns h 1 2 3 4 60
@ 60 NS ns.lantern.example.
@ 60 NS ns2.lantern.example.
@ 60 MX 0 .
@ 60 TXT "v=spf1 -all"
_dmarc 60 TXT "v=DMARC1; p=reject"
"""
LIST = """
# ours
lantern.example mail S1   # and its selectors
Bücher.example.
lantern.example           # again

straße.example
"""


# lists


def test_a_list_is_read_in_a_labels_each_domain_once() -> None:
    lists.check(LIST)
    assert list(lists.subjects(LIST, ["k1", "mail"])) == [
        Subject("lantern.example", selectors=("mail", "s1", "k1")),
        Subject("xn--bcher-kva.example", selectors=("k1", "mail")),
        Subject("xn--strae-oqa.example", selectors=("k1", "mail")),
    ]


def test_every_bad_line_is_named_at_once() -> None:
    names = ["example.org", "localhost", "hi@example.org", "https://example.org", "-a.example", "a..example"]
    long = ["a_b.example", "x" * 64 + ".example", ".".join(["x" * 60] * 5)]
    text = "\n".join([*names, *long, "xn--\u00fc.example", "ok.example sel/ector"])
    with pytest.raises(lists.DomainListError) as refused:
        lists.check(text)
    assert [line.partition(":")[0] for line in str(refused.value).splitlines()] == [f"line {n}" for n in range(2, 12)]
    assert "'hi@example.org' is no domain such as example.org" in str(refused.value)
    assert "'sel/ector' is no DKIM selector" in str(refused.value)


def test_an_empty_list_and_one_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    with pytest.raises(lists.DomainListError, match="no domain in it"):
        lists.check("# nothing\n")
    with pytest.raises(lists.DomainListError, match="No such file"):
        lists.read(tmp_path / "missing")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(lists.DomainListError, match="is not UTF-8"):
        lists.read(tmp_path / "binary")


# many


def world(*names: str) -> zone.Literal:
    return zone.Literal({SERVER: dict.fromkeys(names, PARKED)})


def test_domains_are_taken_from_the_list_only_as_there_is_room() -> None:
    names = [f"d{n}.example" for n in range(12)]
    taken: list[str] = []

    def taking() -> Iterator[Subject]:
        for name in names:
            taken.append(name)
            yield Subject(name)

    async def told() -> list[tuple[str, int]]:
        stub = zone.Stub(world(*names), [], [SERVER])
        return [(found.title, len(taken)) async for found in many.each(stub, taking(), abreast=3)]

    found = asyncio.run(told())
    assert sorted(title for title, _ in found) == sorted(names)
    assert all(ahead <= done + 6 for done, (_, ahead) in enumerate(found, 1))


# forms

FOUND = Checklist(
    "lantern.example",
    (
        Check("dns.mx lantern.example", Status.PASS, "a place", "10 mail", ref="RFC 5321 5.1"),
        Check("dns.spf.record lantern.example", Status.FAIL, "SPF", '=HYPERLINK("x")', "publish it", "RFC 7208 3"),
        Check("dns.caa lantern.example", Status.UNKNOWN, "CAA", "timeout", advisory=True),
    ),
)
QUIET = Checklist("quiet.example", (Check("dns.mx quiet.example", Status.PASS, "a place", "10 mail"),))


def said(form: str, *found: Checklist, summary: bool = False) -> str:
    out = io.StringIO()

    async def one() -> telling.Tally:
        async def each() -> AsyncIterator[Checklist]:
            for checklist in found:
                yield checklist

        return await telling.told([each()], telling.teller(form, out, summary=summary))

    asyncio.run(one())
    return out.getvalue()


def test_a_table_has_the_status_first_and_failures_on_top() -> None:
    lines = said("table", FOUND, QUIET).splitlines()
    assert lines[0] == "lantern.example"
    assert [line.split()[0] for line in lines[2:5]] == ["fail", "unknown", "pass"]


def test_a_summary_is_one_line_a_domain() -> None:
    assert said("table", FOUND, QUIET, summary=True).splitlines() == [
        "fail     lantern.example                  fail: dns.spf.record; unknown: dns.caa",
        "pass     quiet.example",
    ]


def test_json_is_one_object_a_line() -> None:
    first, second = map(json.loads, said("json", FOUND, QUIET).splitlines())
    assert (first["domain"], first["status"], second["status"]) == ("lantern.example", "fail", "pass")
    assert first["checks"][1]["fix"] == "publish it"


def test_csv_is_whole_and_no_cell_is_a_formula() -> None:
    written = telling.Csv(out := io.StringIO(), chunk=2)
    for found in (FOUND, QUIET, FOUND):
        written.tell(found)
    written.end()
    rows = list(csv.DictReader(io.StringIO(out.getvalue())))
    assert [row["status"] for row in rows] == ["pass", "fail", "unknown", "pass", "pass", "fail", "unknown"]
    assert (rows[1]["check"], rows[1]["about"], rows[1]["observed"]) == (
        "dns.spf.record",
        "lantern.example",
        '\'=HYPERLINK("x")',
    )


def test_csv_of_nothing_is_its_heading() -> None:
    assert said("csv").strip() == ",".join(telling.COLUMNS)


@pytest.mark.parametrize(
    ("status", "advisory", "blocked"),
    [
        (Status.FAIL, False, True),
        (Status.UNKNOWN, False, True),
        (Status.UNKNOWN, True, False),
        (Status.PENDING, False, False),
        (Status.WARN, False, False),
    ],
)
def test_what_blocks(status: Status, advisory: bool, blocked: bool) -> None:
    tally = telling.Tally()
    tally.add(QUIET)
    tally.add(Checklist("x", (Check("a", status, "", "", advisory=advisory),)))
    assert tally.blocked is blocked
    assert str(tally) == f"2 audited: 1 {status}, 1 pass"


# sites


def test_a_site_is_told_records_domains_and_host() -> None:
    site = sites.make(dns={"resolvers": [SERVER], "authoritative": [SERVER]})
    wire = zone.Literal({SERVER: {"lantern.example": PARKED}})

    async def told() -> list[Checklist]:
        look = Look(wire, authoritative=[SERVER])
        found = [checklist async for checklist in look.site(site)]
        assert look.asked > 10
        return found

    found = asyncio.run(told())
    assert [c.title for c in found] == [f"records of {site.name}", "lantern.example", site.server.hostname]
    assert found[1]["dns.mx.ours lantern.example"].status is Status.FAIL


# the command


@pytest.fixture
def nameserver() -> Iterator[Nameserver]:
    key = dns.tsig.Key("update.", "c2VjcmV0", "hmac-sha256.")
    text = PARKED + "ns 60 A 9.9.9.9\nns2 60 A 149.112.112.112\n"
    with Nameserver("lantern.example.", text, key) as server:
        yield server


def run(nameserver: Nameserver, tmp_path: Path, text: str, *options: str) -> int:
    (tmp_path / "list").write_text(text)
    place = ["--authoritative", "127.0.0.1", "--port", str(nameserver.port), "--domains", str(tmp_path / "list")]
    return main(["dns", *place, *options])


def test_a_parked_domain_passes(nameserver: Nameserver, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(nameserver, tmp_path, "lantern.example", "--summary") == OK
    heard = capsys.readouterr()
    assert heard.out.split()[1] == "lantern.example"
    assert heard.err.startswith("1 audited: 1 ")
    assert heard.err.rstrip().endswith(" questions")


def test_a_failure_ends_with_1(nameserver: Nameserver, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(nameserver, tmp_path, "nobody.lantern.example", "--json") == GATE
    assert json.loads(capsys.readouterr().out)["status"] == "fail"


@pytest.mark.parametrize(
    "options",
    [
        ["dns"],
        ["dns", "params/x.yaml", "--domains", "list"],
        ["dns", "--domains", "missing"],
        ["dns", "params/missing.yaml"],
    ],
)
def test_wrong_usage_ends_with_2(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(options) == USAGE
    assert capsys.readouterr().err


@pytest.mark.parametrize("options", [["--resolver", "ns1.example"], ["--abreast", "0"], ["--format", "xml"]])
def test_options_that_cannot_be_are_refused(options: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["dns", "--domains", "list", *options])
    assert ended.value.code == USAGE
