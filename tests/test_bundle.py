"""An evidence bundle: what is written can be read again, tells no stranger of people, and may be broken in any way."""

from __future__ import annotations

import json
import re
import time
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_diagnosis import CASES, DOCKER, FAULTS, HEALTHY, about, evidence, logged, names, seen

from runbooklib import archive, report, runs
from runbooklib.diagnosis import Evidence, Fact, bundle, diagnose, facts, keeping
from runbooklib.diagnosis.bundle import BundleError
from runbooklib.diagnosis.redaction import GONE, Pseudonyms, redacted
from runbooklib.results import MIME, Checklist, Status

HEAD = {"bundle": bundle.FORMAT, "version": bundle.VERSION, "taken": "2026-11-22T12:00:00Z", "site": about(DOCKER)}
EACH_ONCE = [(server, fault) for server, fault in CASES if server == DOCKER or fault not in FAULTS[DOCKER]]
WHO = Pseudonyms(frozenset({"hi@lantern.example"}), frozenset({"203.0.113.10"}))


def written(path: Path, *lines: str) -> Path:
    path.write_text("".join(f"{line}\n" for line in (json.dumps(HEAD), *lines)))
    return path


def verdicts(found: Checklist) -> list[tuple[str, Status, str]]:
    """What was found and what mends it, whoever it is about."""
    return [(check.name, check.status, re.sub(r"[\w.+-]+@", "SOMEBODY@", check.fix)) for check in found]


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    facts_seen = {**evidence().facts, "tls 25": Fact(unseen="no answer", advisory=True, seconds=2.5, fix="wait")}
    now = Evidence(about(DOCKER), facts_seen, "2026-11-22T12:00:00Z")
    assert bundle.read(bundle.write(now, tmp_path / "e.jsonl")) == redacted(now)


def test_a_bundle_is_for_its_owner_s_eyes_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    path.write_text("old")
    path.chmod(0o644)
    bundle.write(evidence(), path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["e.jsonl"]


def test_a_place_that_cannot_be_written_is_an_error_of_ours(tmp_path: Path) -> None:
    for path in (tmp_path / "none" / "e.jsonl", Path("/dev/null")):
        with pytest.raises(BundleError, match=r"written|no file"):
            bundle.write(evidence(), path)
    assert Path("/dev/null").is_char_device()


@pytest.mark.parametrize(("server", "fault"), EACH_ONCE)
def test_the_rules_find_the_same_in_redacted_evidence(server: str, fault: str) -> None:
    now = seen(FAULTS[server][fault], server)
    assert verdicts(diagnose(redacted(now))) == verdicts(diagnose(now))


@pytest.mark.parametrize("server", HEALTHY)
def test_what_is_redacted_stays_as_it_is(server: str) -> None:
    once = redacted(evidence(server))
    assert redacted(once) == once
    assert not [name for name in once.facts if name not in HEALTHY[server]]


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("to=<Ann.Lee@gmail.com>, ann.lee@gmail.com bob@x.example", "to=<person-1@gmail.com>, person-1@gmail.com "),
        ("sasl_username=bob@x.example", "sasl_username=person-1@x.example"),
        ("user hi@lantern.example, sender Hi@lantern.example", "user hi@lantern.example, sender Hi@lantern.example"),
        ("hi+shop@lantern.example", "person-1@lantern.example"),
        ("from=<SRS0=ab=cd=gmail.com=ann@lantern.example>", "from=<SRS0=person-1@lantern.example>"),
        ("from=<> to=<postmaster@lantern.example>", "from=<> to=<postmaster@lantern.example>"),
        ("from=<ann>, user=<bob>, imap(ann)<7>", "from=<person-1>, user=<person-2>, imap(person-1)<7>"),
        ("/var/mail/lantern.example/ann/cur: Permission denied", "/var/mail/lantern.example/person-1/cur: Perm"),
        ("message-id=<1.ann@host.example>", "message-id=<message-1>"),
        (
            "warning: header Subject: Dear Ann from unknown[10.0.0.9]; x",
            f"header Subject: {GONE} from unknown[10.0.0.9]",
        ),
        ("header From: Ann Lee <ann@x.example> from a[10.0.0.9];", f"header From: {GONE} from a[10.0.0.9];"),
        ("stored mail into mailbox 'Love letters'", "stored mail into mailbox 'folder-1'"),
        ("connect from dsl-9.isp.example[192.0.2.77]", "connect from client[192.0.2.0]"),
        ("connect from unknown[192.0.2.77]", "connect from unknown[192.0.2.0]"),
        ("rip=2001:db8:7:8::9, lip=172.18.0.2", "rip=2001:db8:7::, lip=172.18.0.2"),
        ("from x[172.18.0.1], 203.0.113.10 is listed", "from x[172.18.0.1], 203.0.113.10 is listed"),
        ("record for 77.2.0.192.zen.lists.example: x", "record for 0.2.0.192.zen.lists.example: x"),
        ("10.113.0.203.lists.example 1.0.0.10.in-addr.arpa", "10.113.0.203.lists.example 1.0.0.10.in-addr.arpa"),
        (f"{'9.' * 4}{'0.' * 16}7.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", f"{'0.' * 20}7.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"),
        ("password=hunter2x, api_key: re_abc Authorization: Bearer ey.x", f"password={GONE}, api_key: {GONE}"),
        (
            "RELAY_PASSWORD=hunter2 LDAP_BIND_PW=h DOVECOT_DNPASS=h",
            f"PASSWORD={GONE} LDAP_BIND_PW={GONE} DOVECOT_DNPASS={GONE}",
        ),
        ("SASL_PASSWD: [relay.example]:587 hi:hunter2", f"SASL_PASSWD: {GONE}"),
        ('{"password":"hunter2", "a": 1}', f'{{"password":"{GONE}", "a": 1}}'),
        ('{\\"password\\":\\"hunter2\\",\\"a\\":1}', f'{{\\"password\\":\\"{GONE}\\",\\"a\\":1}}'),
        (
            "password='x', secret = \"two words\"; auth_key=x",
            f"password='{GONE}', secret = \"{GONE}\"; auth_key={GONE}",
        ),
        ("ldap://cn=admin:hunter2@ldap.example/dc=x", f"ldap://{GONE}@ldap.example/dc=x"),
        ("spf=pass: no; dkim=pass tokens: 3 compass=1", "spf=pass: no; dkim=pass tokens: 3 compass=1"),
        ("sasl_password_maps = texthash:/etc/postfix/x", "sasl_password_maps = texthash:/etc/postfix/x"),
        ('"joe doe"@gmail.com "a" "b c"@x.example', 'person-1@gmail.com "a" person-2@x.example'),
        ("unknown[::ffff:192.0.2.77]: x", "unknown[::ffff:192.0.2.0]: x"),
        ("::ffff:203.0.113.10 and ::ffff:10.0.0.9", "::ffff:203.0.113.10 and ::ffff:10.0.0.9"),
        ("AUTH PLAIN AGhpAGh1bnRlcjJ4", f"AUTH PLAIN {GONE}"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----", GONE),
        ("said: 550-5.7.26 at 12:30:01 v=DKIM1; k=rsa; p=MIIB", "said: 550-5.7.26 at 12:30:01 v=DKIM1; k=rsa; p=MIIB"),
    ],
)
def test_what_a_stranger_does_not_learn_and_what_stays(said: str, shown: str) -> None:
    names_of = Pseudonyms(WHO.known, WHO.hosts)
    told = names_of.text(said)
    assert shown in told
    assert names_of.text(told) == told


@given(st.text(st.characters(codec="utf-8"), max_size=80))
def test_any_text_can_be_redacted_and_is_then_as_it_stays(text: str) -> None:
    names_of = Pseudonyms(WHO.known, WHO.hosts)
    once = names_of.text(text)
    assert names_of.text(once) == once


def test_one_long_hostile_line_takes_no_longer_than_its_length() -> None:
    for piece in (
        "a",
        "a@",
        "a.",
        "1.",
        "::",
        "header Subject: ",
        "message-id=",
        "passwd=",
        "p='",
        "password='\\\"",
        '"',
        "a://b",
    ):
        began = time.process_time()
        Pseudonyms(WHO.known, WHO.hosts).text(piece * (20_000 // len(piece)))
        assert time.process_time() - began < 2, piece


def test_what_params_and_records_name_is_no_stranger() -> None:
    told = redacted(seen(logged("connect from mail.lantern.example[203.0.113.10]: relay=r[198.51.100.5]:587")))
    assert told["log"]["lines"] == ["connect from mail.lantern.example[203.0.113.10]: relay=r[198.51.100.0]:587"]


@pytest.mark.parametrize("name", ["LDAP_BIND_PW", "RELAY_PASSWORD", "AUTH_KEY", "X_API_KEY", "SRS_SECRET", "token"])
def test_nothing_is_left_under_the_name_of_a_secret(name: str) -> None:
    told = redacted(seen({"environment": {name: {"mailserver.env": "hunter2", "running": "‹hidden 1›"}}}))
    assert told["environment"] == {name: {"mailserver.env": GONE, "running": "‹hidden 1›"}}
    assert redacted(told) == told


def test_keys_of_facts_and_reasons_are_redacted_too() -> None:
    quota, dark = Fact({"ann@x.example": 9}), Fact(unseen="bob@x.example: no such user")
    told = redacted(Evidence(about(DOCKER), {"quota ann@x.example": quota, "q": dark}))
    assert told["quota person-1@x.example"] == {"person-1@x.example": 9}
    assert told.facts["q"].unseen == "person-2@x.example: no such user"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the file is empty"),
        ("site:\n  name: lantern\n", "is no evidence bundle: expected a first line"),
        ("[1, 2]\n", "is no evidence bundle"),
        ("{" * 5000 + "\n", "is no evidence bundle"),
        (json.dumps(HEAD | {"version": 7}), "another version: expected 1, saw 7"),
        (json.dumps(HEAD | {"site": {"name": "x"}}), "does not tell what the site should be like"),
        (json.dumps(HEAD | {"site": about(DOCKER) | {"server": "exchange"}}), "does not tell"),
        (json.dumps(HEAD | {"site": about(DOCKER) | {"domains": [1]}}), "does not tell"),
    ],
)
def test_what_is_no_bundle_is_refused_with_what_was_expected(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "x"
    path.write_text(text)
    with pytest.raises(BundleError, match=said):
        bundle.read(path)


def test_a_file_that_is_not_there_is_said_to_be_so(tmp_path: Path) -> None:
    assert not bundle.is_bundle(tmp_path / "none")
    with pytest.raises(BundleError, match="cannot be read"):
        bundle.read(tmp_path / "none")


def test_a_bundle_is_known_by_what_is_in_it(tmp_path: Path) -> None:
    assert bundle.is_bundle(bundle.write(evidence(), tmp_path / "params.yaml"))
    (tmp_path / "e.jsonl").write_text("site: {}\n")
    assert not bundle.is_bundle(tmp_path / "e.jsonl")


@pytest.mark.parametrize(
    ("line", "name", "said"),
    [
        ('{"fact": "queue", "value": {"count": 1', "queue", "line 2 of the bundle is no JSON"),
        ("nonsense", "line 2", "no JSON"),
        ("[" * 100_000, "line 2", "no JSON"),
        ('["queue"]', "line 2", "is no fact"),
        ('{"fact": "queue"}', "queue", "has no value"),
        ('{"fact": "queue", "value": "' + "x" * bundle.LONGEST + '"}', "queue", r"larger than 4 MiB \(4\.0 MiB\)"),
    ],
)
def test_a_broken_fact_is_one_thing_not_seen(tmp_path: Path, line: str, name: str, said: str) -> None:
    path = written(tmp_path / "e.jsonl", line, '{"fact": "clock", "value": -86400.0}')
    found = bundle.read(path)
    assert found["clock"] == -86400.0
    assert re.search(said, found.facts[name].unseen)
    assert "diagnosis.clock-wrong" in names(diagnose(found))


def test_a_bundle_of_many_gigabytes_takes_neither_memory_nor_more_time_than_there_is(tmp_path: Path) -> None:
    path = written(tmp_path / "e.jsonl", '{"fact": "clock", "value": -86400.0}')
    with path.open("r+b") as file:
        file.truncate(64 * 2**30)  # a hole: one line that never ends
    began = time.monotonic()
    tracemalloc.start()
    found = bundle.read(path, seconds=1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert time.monotonic() - began < 20  # the hole would take a minute
    assert peak < 4 * bundle.LONGEST
    assert found["clock"] == -86400.0
    assert "time to read the bundle was over" in found.facts["bundle"].unseen
    assert any("bundle" in check.name for check in diagnose(found))


def test_more_lines_than_anybody_has_facts_are_not_taken_in(tmp_path: Path) -> None:
    found = bundle.read(written(tmp_path / "e.jsonl", *["x"] * (2000)), most=1000)
    assert "more than 1000 lines" in found.facts["bundle"].unseen
    assert len(found.facts) == 1001


def test_a_fact_too_large_to_keep_leaves_its_reason() -> None:
    flood = Evidence(about(DOCKER), {"log": Fact({"lines": ["x" * (bundle.LONGEST + 1)]}, advisory=True)})
    (fact,) = bundle.bounded(flood).facts.values()
    assert (fact.value, fact.advisory, "larger than 4 MiB" in fact.unseen) == (None, True, True)


def test_facts_of_a_shape_that_no_rule_knows_stop_nobody() -> None:
    odd = {"queue": [1], "log": "x", "containers": {"a": 1}, "disk": 7, "mx lantern.example": 3, "clock": "now"}
    found = diagnose(seen(odd))
    row = found["evidence.shape"]
    assert row.status is Status.UNKNOWN
    assert "clock-wrong" in row.observed
    assert str(Evidence(about(DOCKER), {name: Fact(value) for name, value in odd.items()}))


def test_a_hostile_line_moves_no_cursor_and_runs_nothing() -> None:
    line = "opendkim: no signing table match for 'a\x1b[2J\u202e\r\n; rm -rf /" + "x" * 9000
    found = diagnose(seen(logged(line)))
    shown = f"{found}{seen(logged(line))}"
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\u202e]", shown)
    assert max(map(len, shown.splitlines())) < 2000


def test_the_server_s_clock_wrong_by_a_day_is_named_and_the_rest_still_told() -> None:
    found = diagnose(seen({"clock": 86400.0} | FAULTS[DOCKER]["mx-missing"]))
    assert names(found) == ["diagnosis.clock-wrong", "diagnosis.mx-missing"]


def test_no_permission_for_docker_is_one_row_with_its_fix() -> None:
    said = "`docker {}` ended with status 1: permission denied while trying to connect to the Docker daemon socket"
    found = diagnose(evidence(**{word: said.format(word) for word in ("containers", "startup", "services", "queue")}))
    (row,) = [check for check in found if check.status is Status.UNKNOWN]
    assert "Docker on the server refuses the user" in row.observed
    assert all(word in row.observed for word in ("containers", "startup", "services", "queue"))
    assert "group docker" in row.fix
    assert not row.advisory


def test_half_the_probes_timing_out_are_one_row_that_names_them_and_the_rules_not_tried() -> None:
    dark = list(HEALTHY[DOCKER])[::2]
    found = diagnose(evidence(**dict.fromkeys(dark, "no answer within the time budget of 20 s")))
    rows = [check for check in found if check.status is Status.UNKNOWN]
    assert len(rows) == 1
    assert all(name in rows[0].observed for name in dark[:5])
    assert "and " in rows[0].observed
    assert "not fully tried" in rows[0].observed


def test_missing_logs_are_one_row_and_their_rules_are_not_said_to_have_found_nothing() -> None:
    found = diagnose(evidence(log="no mail log"))
    assert "dkim-unsigned" in found["evidence.log"].observed or "bounced-" in found["evidence.log"].observed
    assert "not fully tried, as facts are missing" in found["diagnosis.nothing-found"].observed


def test_where_nothing_was_seen_nothing_is_said_to_be_well() -> None:
    dark = Evidence(about(DOCKER), {name: Fact(unseen="SSH: refused") for name in HEALTHY[DOCKER]})
    assert {check.status for check in diagnose(dark)} == {Status.UNKNOWN}


def test_the_table_speaks_the_field_s_words_with_what_was_not_seen_first() -> None:
    told = str(
        Evidence(about(DOCKER), {**evidence().facts, "tls 25": Fact(unseen="no answer", seconds=8.2)}, "2026-11-22")
    )
    heading, columns, first = told.splitlines()[:3]
    assert heading.endswith("facts seen at 2026-11-22")
    assert columns.split() == ["about", "fact", "value", "took"]
    assert first.split() == ["TLS", "tls", "25", "not", "seen:", "no", "answer", "8.2", "s"]
    assert ": 220 mail.lantern.example ESMTP" in told
    timed = {"state": "open", "banner": "220 hi", "connected": 0.012}
    assert facts.short("port 25", timed) == "open, 12 ms: 220 hi"
    assert not set("{}") & set(told)


@pytest.mark.parametrize("server", HEALTHY)
def test_no_value_of_any_server_shows_braces(server: str) -> None:
    shown = {name: facts.short(name, value) for name, value in HEALTHY[server].items()}
    assert all(text and len(text) <= facts.SHORT and not {"{", "}"} & set(text) for text in shown.values())


@pytest.mark.parametrize("server", HEALTHY)
def test_every_fact_has_a_place_in_the_table(server: str) -> None:
    assert not [name for name in HEALTHY[server] if facts.kind(name) == facts.OTHER]


def test_yes_and_no_are_no_numbers() -> None:
    told = facts.short(
        "x", {"yes": True, "no": False, "one": 1, "zero": 0, "nothing": None, "empty": "", "deep": [[1], [2]]}
    )
    assert told == "yes yes, no no, one 1, zero 0, nothing none, empty none, deep 2"


def test_a_run_keeps_its_evidence_beside_its_notebooks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(keeping.FOLDER, raising=False)
    assert not keeping.keep(evidence()).file
    monkeypatch.setenv(keeping.FOLDER, str(tmp_path))
    assert [keeping.keep(evidence()).file for _ in range(2)] == ["evidence.jsonl", "evidence.2.jsonl"]
    assert bundle.read(tmp_path / "evidence.2.jsonl") == redacted(evidence())
    assert not {"{", "}"} & set(str(keeping.keep(evidence())))
    monkeypatch.setenv(keeping.FOLDER, str(tmp_path / "gone"))
    kept = keeping.keep(evidence())
    assert (kept.file, "cannot be written" in kept.said) == ("", True)


def test_the_report_links_the_evidence_that_a_stage_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(keeping.FOLDER, str(tmp_path))
    outputs = [{"output_type": "display_data", "data": {MIME: keeping.keep(evidence()).data()}}]
    cells = [{"cell_type": "code", "id": "bundle", "outputs": outputs}]
    (tmp_path / "06.ipynb").write_text(json.dumps({"cells": cells}))
    assert archive.read(tmp_path / "06.ipynb").files == ("evidence.jsonl",)
    walk = runs.Walk("06-troubleshoot", 1, "06.ipynb", files=("evidence.jsonl", "javascript:alert(1)", "../x"))
    run = runs.Run("r", "lantern", apply=True, image="i", started="b", ended="e", walks=(walk,))
    page = report.render(json.loads(json.dumps(run.data())))
    assert '<a href="evidence.jsonl">evidence.jsonl</a>' in page
    assert "alert(1)" not in page
    assert "../x" not in page


def test_a_run_remembers_which_files_its_stages_left(tmp_path: Path) -> None:
    walk = runs.Walk("06-troubleshoot", 1, "06.ipynb", files=("evidence.jsonl",))
    run = runs.Run("r", "lantern", apply=True, image="i", started="b", ended="e", walks=(walk,))
    (tmp_path / "checks.json").write_text(json.dumps(run.data()))
    assert runs.read(tmp_path) == run
