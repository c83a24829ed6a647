"""What we say of DKIM signatures beside what OpenDKIM says, on signed and bent messages; it reads keys from a file."""

from __future__ import annotations

import asyncio
import io
import re
import tarfile
from collections.abc import Mapping

import pytest
from dkimletters import DOMAIN, keys, letters
from rehearsed import Rehearsed

from runbooklib.answers import Answer, Question, Word
from runbooklib.eml import signatures
from runbooklib.results import Status

FOLDER = "/tmp/verified"  # noqa: S108 - inside a container of the testbed
VERDICT = re.compile(rf"^opendkim: {FOLDER}/(\d+): (.*)$", re.MULTILINE)
# What we say where OpenDKIM says the opposite, each by the rule that explains it.
DIFFERENCES = {
    "rsa-sha1 is no signature any more (RFC 8301 3.1); OpenDKIM 2.11 is of 2015": {"key sha1": False},
    "a second From is never hidden by a signature over one (RFC 5322 3.6, RFC 6376 8.15)": {
        "a second From above, relaxed/relaxed": False,
        "a second From above, simple/simple": False,
    },
    "dkimpy does not read a blank before the colon, which RFC 5322 4.5.8 calls obsolete": {
        "a blank before the colon, relaxed/relaxed": False,
    },
    "a milter is not told whether a blank follows the colon; OpenDKIM puts one": {
        "no colon blank, simple/simple": True,
        "no colon blank, simple/relaxed": True,
    },
    "l= beyond the body leaves nothing unsigned; OpenDKIM holds the signer to RFC 6376 3.5": {
        "l= beyond the body": True
    },
}


@pytest.fixture(scope="module")
def told(testbed: Rehearsed) -> dict[str, tuple[bool, str]]:
    """OpenDKIM's verdict on every message, and its words, from one call; a header it cannot read it passes over."""
    made = letters()
    zone = "".join(f"{selector}._domainkey.{DOMAIN} {value}\n" for selector, value in keys().items())
    files = {"keys": zone.encode(), "conf": f"TestDNSData {FOLDER}/keys\n".encode()}
    files |= {str(i): raw for i, raw in enumerate(made.values())}
    box = testbed.container("mx")
    assert box.exec_run(["mkdir", "-p", FOLDER]).exit_code == 0
    box.put_archive(FOLDER, _archive(files))
    paths = ",".join(f"{FOLDER}/{i}" for i in range(len(made)))
    _, said = testbed.inside("mx", "opendkim", "-x", f"{FOLDER}/conf", "-t", paths)
    assert testbed.inside("mx", "rm", "-r", FOLDER)[0] == 0
    words = dict(VERDICT.findall(said))
    assert len(words) >= len(made) - 1, said[-500:]
    return {name: (words.get(str(i), "").endswith(" succeeded"), words.get(str(i), "")) for i, name in enumerate(made)}


def _archive(files: Mapping[str, bytes]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o644
            tar.addfile(info, io.BytesIO(content))
    return made.getvalue()


async def _look(name: str, type: str) -> Answer:  # noqa: A002 - the field's word
    selector, _, domain = name.partition("._domainkey.")
    held = domain == DOMAIN and selector in keys()
    values = (keys()[selector],) if held else ()
    return Answer(Question(name, type), "", Word.NOERROR if held else Word.NXDOMAIN, values=values)


@pytest.fixture(scope="module")
def ours() -> dict[str, tuple[bool, str]]:
    found = {name: asyncio.run(signatures.verify(_look, raw)) for name, raw in letters().items()}
    return {name: (made[0].status is Status.PASS, made[0].said) for name, made in found.items()}


def test_two_verifiers_differ_only_by_named_rules(
    ours: dict[str, tuple[bool, str]], told: dict[str, tuple[bool, str]]
) -> None:
    differing = {name: good for name, (good, _) in ours.items() if good is not told[name][0]}
    explained = {name: good for rule in DIFFERENCES.values() for name, good in rule.items()}
    assert differing == explained, [(name, ours[name], told[name]) for name in differing.keys() ^ explained.keys()]


def test_the_messages_tell_verifiers_apart(told: dict[str, tuple[bool, str]]) -> None:
    reasons = {words.rpartition("failed: ")[2] for good, words in told.values() if not good}
    assert sum(good for good, _ in told.values()) > 60
    assert len(reasons) > 15, reasons
