"""Postfix's own view of its routes, read from the answers of programs that play postconf and postmap."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import pytest
from sites import make

from runbooklib import host
from runbooklib.host import Answer
from runbooklib.servers.effective import Effective, effective, questions

HOP, LOGIN = "[smtp.example.net]:587", "u:a long  password with spaces "
PARAMETERS = {
    "relayhost": HOP,
    "default_transport": "smtp",
    "sender_dependent_relayhost_maps": "pcre:/senders",
    "smtp_sasl_password_maps": "pcre:/logins",
    "smtp_tls_policy_maps": "inline:{ policies } static:may",
    "sender_dependent_default_transport_maps": "texthash:/no/such/file",
}
TABLES = {
    "pcre:/senders": {"@lantern.example": HOP, "<>": ""},
    "pcre:/logins": {HOP: LOGIN},
    "inline:{ policies }": {HOP: "secure match=smtp.example.net"},
    "texthash:/no/such/file": {"@lantern.example": "never asked"},
}
POSTMAP = """#!/bin/sh
while read -r key; do
  awk -F'\t' -v table="$3" -v key="$key" '$1 == table && $2 == key && $3 {{ print $2 "\t" $3 }}' {tables}
done
"""


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder in which postconf and postmap tell of PARAMETERS and TABLES."""
    tables = tmp_path / "tables"
    tables.write_text("".join(f"{t}\t{k}\t{v}\n" for t, told in TABLES.items() for k, v in told.items()))
    cases = "".join(f"  {name}) echo '{value}';;\n" for name, value in PARAMETERS.items())
    for name, script in {
        "postconf": f'#!/bin/sh\ncase "$2" in\n{cases}esac\n',
        "postmap": POSTMAP.format(tables=tables),
    }.items():
        (tmp_path / name).write_text(script)
        (tmp_path / name).chmod(0o755)
    return tmp_path


def asked(programs: Path) -> dict[str, Answer]:
    path = {"PATH": f"{programs}:{os.environ['PATH']}"}
    script = host.asking(questions(make()))
    said = subprocess.run(["sh", "-s"], input=script, capture_output=True, text=True, check=True, env=path)
    return host.parse_facts(said.stdout)


def test_each_table_is_asked_once_for_all_that_matters(programs: Path) -> None:
    have = effective(make(), asked(programs), {})
    assert (have.relayhost, have.transport) == (HOP, "smtp")
    assert have.senders == {"@lantern.example": HOP}
    assert have.transports == {}
    assert have.policies == dict.fromkeys(have.policies, "") | {HOP: "secure match=smtp.example.net"}
    assert have.logins == {HOP: hashlib.sha256(LOGIN.encode()).hexdigest()}


def test_where_no_postfix_answers_nothing_is_known() -> None:
    assert effective(make(), {}, {}) == Effective(policies=dict.fromkeys(effective(make(), {}, {}).policies, ""))
    gone = dict.fromkeys(questions(make()), Answer(127, "sh: postconf: not found"))
    assert effective(make(), gone, {}).transport == ""
