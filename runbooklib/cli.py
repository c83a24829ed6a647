"""The command `runbook`: exit status 0 all passed or only planned, 1 a gate failed, 2 wrong usage or invalid params."""

from __future__ import annotations

import argparse
import json
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


if __name__ == "__main__":
    sys.exit(main())
