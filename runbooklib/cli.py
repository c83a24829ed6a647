"""The command `runbook`: exit status 0 all passed or only planned, 1 a gate failed, 2 wrong usage or invalid params."""

from __future__ import annotations

import argparse
import asyncio
import gc
import ipaddress
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from runbooklib import params, places
from runbooklib.results import RunbookError, table_text

OK, GATE, USAGE, INTERRUPTED = 0, 1, 2, 130  # 130: a shell's 128 + SIGINT


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; its exit status."""
    asked = _parser().parse_args(arguments)
    try:
        status: int = asked.command(asked)
    except RunbookError as error:
        _complain(error)
        return USAGE
    except KeyboardInterrupt:
        _complain("interrupted")
        return INTERRUPTED
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="runbook", description=__doc__, allow_abbrev=False)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    init = commands.add_parser("init", help="write a commented params file to start from")
    init.add_argument("path", type=Path, metavar="PATH")
    init.set_defaults(command=_init)

    check = commands.add_parser("check", help="check a params file; nothing is touched")
    check.add_argument("params", metavar="PARAMS")
    check.add_argument("--json", action="store_true", help="the problems as JSON")
    check.set_defaults(command=_check)

    _add_run(commands.add_parser("run", help="execute the stages against a site", allow_abbrev=False))

    report = commands.add_parser("report", help="write a run's report.html again from its checks.json")
    report.add_argument("run", type=Path, metavar="RUN", help="the run's folder")
    report.add_argument("--json", action="store_true", help="print checks.json too")
    report.set_defaults(command=_report)

    _add_dns(
        commands.add_parser("dns", help="audit what DNS says of sites, or of thousands of domains", allow_abbrev=False)
    )
    _add_eml(commands.add_parser("eml", help="judge a saved or pasted message", allow_abbrev=False))
    _add_diagnose(commands.add_parser("diagnose", help="find the cause of trouble, now or in saved evidence"))
    _add_testbed(commands.add_parser("testbed", help="the rehearsal world in local containers"))
    return parser


def _add_run(run: argparse.ArgumentParser) -> None:
    run.add_argument("params", metavar="PARAMS")
    run.add_argument("--apply", action="store_true", help="make the changes; without it they are only shown")
    run.add_argument("--stage", action="append", default=[], metavar="NAME", help="only this stage; may be repeated")
    run.add_argument("--from", dest="start", default="", metavar="NAME", help="this stage and those after it")
    run.add_argument("--resume", default="", metavar="RUN", help="go on with an earlier run, by its id or folder")
    run.add_argument("--runs", type=Path, default=Path("runs"), metavar="DIR", help="where runs are archived")
    run.add_argument("--json", action="store_true", help="print checks.json; the progress goes to standard error")
    run.set_defaults(command=_run)


def _add_dns(dns: argparse.ArgumentParser) -> None:
    dns.add_argument("params", metavar="PARAMS", nargs="*", help="params files: their records, domains and hosts")
    dns.add_argument("--domains", type=Path, metavar="FILE", help="a list: a domain a line, DKIM selectors after it")
    dns.add_argument("--selector", action="append", default=[], metavar="NAME", help="a DKIM selector of every domain")
    dns.add_argument("--resolver", action="append", default=[], type=_address, metavar="ADDRESS", help="ask it")
    dns.add_argument(
        "--authoritative", action="append", default=[], type=_address, metavar="ADDRESS", help="ask it first, or alone"
    )
    dns.add_argument("--port", type=_count, default=53, help="where they listen")
    dns.add_argument("--abreast", type=_count, default=30, metavar="N", help="domains under way at once")
    dns.add_argument("--per-server", type=_count, default=50, metavar="N", help="questions under way at one server")
    dns.add_argument("--policies", action="store_true", help="fetch MTA-STS policies too, which are web pages")
    dns.add_argument("--summary", action="store_true", help="one line a domain")
    dns.add_argument("--format", choices=("table", "json", "csv"), default="table", help="json: one object a line")
    dns.add_argument("--json", dest="format", action="store_const", const="json", help="the same as --format json")
    dns.set_defaults(command=_dns)


def _add_eml(eml: argparse.ArgumentParser) -> None:
    eml.add_argument("file", metavar="FILE", help="a message as its mailbox holds it, or its pasted source; - reads it")
    eml.add_argument("--receiver", default="", metavar="HOST", help="the server that took it in; else its newest hop's")
    eml.add_argument("--resolver", action="append", default=[], type=_address, metavar="ADDRESS", help="ask it")
    eml.add_argument("--port", type=_count, default=53, help="where it listens")
    eml.add_argument("--json", action="store_true", help="the hops and checks as JSON")
    eml.set_defaults(command=_eml)


def _add_diagnose(diagnose: argparse.ArgumentParser) -> None:
    diagnose.description = (
        "Gathers evidence of a site and names the causes it shows, likeliest first; changes nothing. A bundle is "
        "evidence that was saved, here or elsewhere: rules read it without access to the site."
    )
    diagnose.epilog = (
        "A saved bundle holds no secrets, no subjects, display names or message ids; people's addresses that params do "
        "not name are pseudonyms (person-1@gmail.com), and of strangers' IP addresses the last part is 0. It does hold "
        "the site's own names, addresses and mailboxes, all mail domains, records, and what servers answered."
    )
    diagnose.add_argument("source", nargs="?", default="", metavar="PARAMS|BUNDLE", help="a site, or saved evidence")
    diagnose.add_argument("--symptom", type=_symptom, metavar="WORDS", help="what people notice")
    diagnose.add_argument("--pasted", default="", metavar="FILE", help="a bounce or lines of a log; - reads them")
    diagnose.add_argument("--save", default="", metavar="FILE", help="keep the evidence as a bundle, redacted")
    diagnose.add_argument("--budget", type=_seconds, default=20.0, metavar="SECONDS", help="the time there is")
    diagnose.add_argument("--json", action="store_true", help="the findings as JSON")
    diagnose.set_defaults(command=_diagnose)


def _symptom(text: str) -> str:
    from runbooklib.diagnosis.rules import Symptom, SymptomError  # noqa: PLC0415 - as below

    try:
        return str(Symptom.named(text) or "")
    except SymptomError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")
    return seconds


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no IP address") from None


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 upward")
    return int(text)


def _add_testbed(testbed: argparse.ArgumentParser) -> None:
    verbs = testbed.add_subparsers(required=True, metavar="VERB")
    up = verbs.add_parser("up", help="start it; nothing happens when it runs")
    up.add_argument("--egress-25", action="store_true", help="leave the server's way out to port 25 open")
    up.set_defaults(command=_testbed_up)
    verbs.add_parser("down", help="remove everything it made").set_defaults(command=_testbed_down)
    status = verbs.add_parser("status", help="what runs")
    status.add_argument("--json", action="store_true")
    status.set_defaults(command=_testbed_status)
    load = verbs.add_parser("load", help="put a mail server image of this machine into its registry")
    load.add_argument("image", metavar="IMAGE")
    load.set_defaults(command=_testbed_load)
    faults = verbs.add_parser("faults", help="what can be broken in it on purpose")
    faults.add_argument("--json", action="store_true")
    faults.set_defaults(command=_testbed_faults)
    broken = verbs.add_parser("break", help="break one thing in it")
    broken.add_argument("fault", metavar="FAULT")
    broken.set_defaults(command=_testbed_break)
    verbs.add_parser("mend", help="take back everything that was broken").set_defaults(command=_testbed_mend)
    exam = verbs.add_parser("exam", help="break, diagnose and mend each fault, and the named pairs", allow_abbrev=False)
    exam.add_argument("faults", metavar="FAULT[+FAULT]", nargs="*", help="only these; by default all")
    exam.add_argument("--json", type=Path, metavar="FILE", help="write what was graded there too")
    exam.set_defaults(command=_testbed_exam)


def _say(line: object) -> None:
    print(line, flush=True)  # noqa: T201 - what a command says


def _complain(line: object) -> None:
    print(line, file=sys.stderr)  # noqa: T201 - what a command says


def _init(asked: argparse.Namespace) -> int:
    example = places.project_root() / "params" / "example-resend.yaml"
    try:
        with asked.path.open("x", encoding="utf-8") as file:
            file.write(example.read_text(encoding="utf-8"))
    except OSError as error:
        _complain(f"{asked.path}: {error.strerror}; nothing was written")
        return USAGE
    _say(f"{asked.path} written: fill it in, then `runbook check {asked.path}`")
    return OK


def _check(asked: argparse.Namespace) -> int:
    problems: list[tuple[str, str]] = []
    try:
        site = params.load(asked.params)
    except params.ParamsError as error:
        problems = error.problems
        if not asked.json:
            raise
    if asked.json:
        _say(json.dumps({"params": asked.params, "problems": problems}))
    else:
        _say(f"{asked.params}: {site.name} is in order: {', '.join(d.name for d in site.domains)}")
    return USAGE if problems else OK


def _run(asked: argparse.Namespace) -> int:
    site, given = params.load(asked.params), params.read(asked.params)
    from runbooklib import runs, stages  # noqa: PLC0415 - jupyter's libraries take a second that `check` need not spend

    chosen = stages.choose(stages.find(stages.folder()), asked.stage, asked.start)
    out = sys.stderr if asked.json else sys.stdout
    if asked.resume:
        place = runs.resume(site, asked.runs, asked.resume, asked.apply)
    else:
        place = runs.begin(site, asked.runs, asked.apply)
    place = runs.execute(place, given, chosen, out)
    print(runs.summary(place, asked.params), file=out)
    if asked.json:
        _say((place.folder / "checks.json").read_text(encoding="utf-8").rstrip())
    return INTERRUPTED if place.run.interrupted else GATE if place.run.raised else OK


def _report(asked: argparse.Namespace) -> int:
    from runbooklib import runs  # noqa: PLC0415 - as above

    place = runs.Place(asked.run, runs.read(asked.run))
    place.save()
    _say(json.dumps(place.run.data()) if asked.json else str(asked.run / "report.html"))
    return OK


def _dns(asked: argparse.Namespace) -> int:
    if bool(asked.params) == bool(asked.domains):
        _complain("runbook dns: name either params files or --domains FILE")
        return USAGE
    from runbooklib import zone  # noqa: PLC0415 - what asks DNS takes half a second to load
    from runbooklib.audit import lists, looking, telling  # noqa: PLC0415 - as above

    gc.freeze()  # what is loaded stays: the collector need not look through it again with every thousand answers
    gc.set_threshold(50_000, 20, 20)  # and seldom through the answers, of which few refer to each other
    look = looking.Look(
        zone.Internet(asked.port), asked.resolver, asked.authoritative, asked.abreast, asked.per_server, asked.policies
    )
    if asked.domains:
        text = lists.read(asked.domains)
        found = [look.listed(text, asked.selector)]
    else:
        found = [look.site(site) for site in [params.load(path) for path in asked.params]]
    tally = asyncio.run(telling.told(found, telling.teller(asked.format, sys.stdout, summary=asked.summary)))
    _complain(f"{tally}; {look.asked} questions")
    return GATE if tally.blocked else OK


def _eml(asked: argparse.Namespace) -> int:
    from runbooklib import zone  # noqa: PLC0415 - as above
    from runbooklib.eml import saved, source  # noqa: PLC0415 - as above

    try:
        octets = sys.stdin.buffer.read() if asked.file == "-" else Path(asked.file).read_bytes()
    except OSError as error:
        _complain(f"{asked.file}: {error.strerror}")
        return USAGE
    about = "stdin" if asked.file == "-" else Path(asked.file).name
    look = zone.Stub(zone.Internet(asked.port), asked.resolver or params.Dns().resolvers)
    found = asyncio.run(saved.judge(look, source.read(octets), about, asked.receiver))
    if asked.json:
        _say(json.dumps({"receiver": found.receiver, "way": found.way.data(), **found.checks.data()}))
    else:
        _say(f"{found.way}\n\n{found.checks}")
    return GATE if any(check.blocks for check in found.checks) else OK


def _diagnose(asked: argparse.Namespace) -> int:
    from runbooklib import diagnosing  # noqa: PLC0415 - as above

    told = diagnosing.diagnose(asked.source, asked.pasted, asked.symptom or "", asked.save, asked.budget)
    _say(json.dumps(told.data()) if asked.json else told)
    return GATE if told.blocked else OK


def _testbed_up(asked: argparse.Namespace) -> int:
    from runbooklib.testbed import world  # noqa: PLC0415 - Docker's library is not needed elsewhere

    world.up(places.project_root(), _say, egress_25=asked.egress_25)
    return OK


def _testbed_down(_asked: argparse.Namespace) -> int:
    from runbooklib.testbed import world  # noqa: PLC0415 - as above

    world.down(places.project_root(), _say)
    return OK


def _testbed_status(asked: argparse.Namespace) -> int:
    from runbooklib.testbed import world  # noqa: PLC0415 - as above

    hosts = world.status(places.project_root())
    image = places.testbed_state()["image"] if hosts else {}
    rows = [asdict(host) for host in hosts]
    if asked.json:
        _say(json.dumps({"image": image, "hosts": rows}))
    elif not rows:
        _say("no testbed is up")
    else:
        _say(table_text("", tuple(rows[0]), [[str(v) for v in row.values()] for row in rows]))
        _say(f"mail server image: {image['reference']} ({image['source']}: {image['description']})")
    return OK


def _testbed_load(asked: argparse.Namespace) -> int:
    from runbooklib.testbed import world  # noqa: PLC0415 - as above

    _say(f"the registry holds {world.load(places.project_root(), asked.image, _say).description}")
    return OK


def _testbed_faults(asked: argparse.Namespace) -> int:
    from runbooklib.testbed import faults  # noqa: PLC0415 - as above

    rows = [(f.id, f.what, f"diagnosis.{f.cause}", f.symptom.value) for f in faults.FAULTS.values()]
    words = ("fault", "what happened", "should be named", "symptom")
    _say(
        json.dumps([dict(zip(words, row, strict=True)) for row in rows]) if asked.json else table_text("", words, rows)
    )
    return OK


def _testbed_break(asked: argparse.Namespace) -> int:
    from runbooklib.testbed import faults  # noqa: PLC0415 - as above

    (fault,) = faults.named([asked.fault])
    faults.break_(faults.Scene(places.project_root()), fault)
    _say(f"{fault.id}: {fault.what}; `runbook testbed mend` takes it back")
    return OK


def _testbed_mend(_asked: argparse.Namespace) -> int:
    from runbooklib.testbed import faults  # noqa: PLC0415 - as above

    mended = faults.mend(faults.Scene(places.project_root()))
    _say(f"mended: {', '.join(mended)}" if mended else "nothing was broken")
    return OK


def _testbed_exam(asked: argparse.Namespace) -> int:
    from runbooklib.testbed import faults  # noqa: PLC0415 - as above
    from runbooklib.testbed.faults import exam  # noqa: PLC0415 - as above

    groups = [faults.named(words.split("+")) for words in asked.faults] or faults.every()
    scene = faults.Scene(places.project_root())
    found = exam.whole(scene, groups, _say)
    if asked.json:
        asked.json.write_text(found.json(), encoding="utf-8")
    _say(f"{found.table()}\n{found.score()}")
    return OK if found.passed else GATE


if __name__ == "__main__":
    sys.exit(main())
