"""One step of a running Postfix: what it takes, what it says, and what it never carries in the open."""

from __future__ import annotations

import io
import tarfile

import pytest

from runbooklib.host import Answer
from runbooklib.results import Plan
from runbooklib.servers.postfix import editing
from runbooklib.servers.postfix.editing import Content, PostfixChange, RefusedError, parameter, service, together

HERE = "/etc/postfix/runbook"
LOGIN = Content(0, "logins", "absent", "new", "", path=f"{HERE}/logins", content=b"[r]:587 u:canary-word\n", mode=0o600)


class Shell:
    """A host that gives one answer and keeps what it was handed."""

    def __init__(self, answer: Answer) -> None:
        self.answer, self.argv, self.stdin = answer, (), b""

    def run(self, argv: tuple[str, ...], stdin: bytes, timeout: float, *, check: bool) -> Answer:
        assert timeout > 0
        assert not check
        self.argv, self.stdin = argv, stdin
        return self.answer


def step(*parts: editing.Part, **more: tuple[str, ...]) -> PostfixChange:
    first = together(30, parts, HERE, **more)[0]
    assert isinstance(first, PostfixChange)
    return first


@pytest.mark.parametrize(
    ("standing", "value", "shown"),
    [
        (None, "yes", ("default", "yes")),
        ("no", "yes", ("no", "yes")),
        ("no", None, ("no", "default")),
        (None, "", ("default", "empty")),
        ("yes", "yes", None),
        ("a,  b", "a, b", None),  # as postconf shows a value that stands over several lines
        (None, None, None),
        ("", "", None),
    ],
)
def test_a_parameter_is_shown_old_and_new_and_left_where_it_stands_so(
    standing: str | None, value: str | None, shown: tuple[str, str] | None
) -> None:
    rows = parameter(standing, "smtpd_tls_auth_only", value, "why")
    assert [(r.before, r.after) for r in rows] == ([shown] if shown else [])
    assert all(r.target == "main.cf: smtpd_tls_auth_only" for r in rows)


def test_a_service_is_compared_word_by_word() -> None:
    assert not service(
        "lmtp       unix  -  -  y  -  -  lmtp flags=O", "lmtp/unix", "lmtp unix - - y - - lmtp flags=O", ""
    )
    (row,) = service(None, "lmtp/unix", "lmtp unix - - y - - lmtp flags=O", "")
    assert (row.before, row.target) == ("absent", "master.cf: lmtp/unix")


def test_the_step_stands_before_its_parts_and_alone_does_everything() -> None:
    rows = together(30, [LOGIN, *parameter(None, "relayhost", "[r]:587", "")], HERE)
    assert [type(c).__name__ for c in Plan("p", rows)] == ["PostfixChange", "Content", "Parameter"]
    assert rows[0].undo == f"sh {HERE}/before/undo"
    assert together(30, [], HERE) == ()


def test_what_is_written_is_quoted_for_the_shell() -> None:
    text = step(*parameter(None, "smtpd_banner", "it's $mail_name; rm -rf /", "")).writing()
    assert """postconf -e 'smtpd_banner=it'"'"'s $mail_name; rm -rf /'""" in text


def test_taking_out_is_said_by_none() -> None:
    away = Content(0, "old", "there", "gone", "", path=f"{HERE}/old")
    text = step(*parameter("x", "relayhost", None, ""), *service("x", "a/unix", None, ""), away).writing()
    assert "postconf -X relayhost" in text
    assert "postconf -MX a/unix" in text
    assert f"rm -f {HERE}/old" in text


@pytest.mark.parametrize(
    ("value", "opened"),
    [
        ("texthash:/a/b, hash:/c", ["texthash:/a/b", "hash:/c"]),
        ("check_recipient_access nosuch:/a, permit", ["nosuch:/a"]),
        ("proxy:lmdb:/a", ["lmdb:/a"]),
        ("pipemap:{texthash:/a, pcre:/b}", ["texthash:/a", "pcre:/b"]),
        ("lmtp:unix:/run/x", []),
        ("inet:127.0.0.1:8891", []),
    ],
)
def test_every_table_a_value_names_is_opened_before_the_reload(value: str, opened: list[str]) -> None:
    text = step(*parameter(None, "virtual_alias_maps", value, "")).writing()
    assert [line.split(" ", 1)[1] for line in text.splitlines() if line.startswith("opens ")] == opened


def test_no_secret_stands_in_arguments_or_in_what_is_shown() -> None:
    change, shell = step(LOGIN), Shell(Answer(0, ""))
    change.do(shell)  # type: ignore[arg-type]
    assert "canary" not in " ".join(shell.argv) + repr(change) + str(Plan("p", (change, *change.edits)))
    with tarfile.open(fileobj=io.BytesIO(shell.stdin)) as tar:
        held = {m.name: (m.mode, tar.extractfile(m).read()) for m in tar.getmembers()}  # type: ignore[union-attr]
    assert held["0"] == (0o600, b"[r]:587 u:canary-word\n")
    assert [name for name, (_, content) in held.items() if b"canary" in content] == ["0"]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (
            Answer(editing.REFUSED, "postfix: fatal: no such thing\r\n"),
            "what stood before is back: postfix: fatal: no such",
        ),
        (Answer(2, "", "tar: short read"), "nothing was changed: tar: short read"),
    ],
)
def test_a_refusal_says_what_postfix_said_and_what_became_of_the_old(answer: Answer, words: str) -> None:
    with pytest.raises(RefusedError) as refused:
        step(LOGIN).do(Shell(answer))  # type: ignore[arg-type]
    assert words in str(refused.value)


def test_checks_of_others_stand_beside_postfixs_own_and_then_comes_after() -> None:
    change = step(LOGIN, checks=("doveconf -n >/dev/null",), then=("doveadm reload",))
    text = change.writing()
    assert text.index("postfix check") < text.index("doveconf -n")
    assert {n: c for n, c, _ in change._entries()}["then"] == b"set -e\ndoveadm reload\n"
