"""What of a run lies in a mailbox: found by one search a look, wherever filters put it, and nothing of others' read."""

from __future__ import annotations

import imaplib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path

import pytest
from letters import MARKER
from postoffice import PostOffice
from scripts import Authority

from runbooklib import endpoint
from runbooklib.credentials import Secret
from runbooklib.delivery import folders
from runbooklib.delivery.folders import Folder
from runbooklib.delivery.searching import Box, literals
from runbooklib.endpoint import Endpoint

HI = "hi@lantern.example"


def letter(number: int = 1, marker: str = MARKER, **headers: str) -> bytes:
    """A test message of a run."""
    message = EmailMessage()
    message["From"], message["To"] = headers.pop("author", "friend@stranger.example"), HI
    message["Subject"] = headers.pop("subject", f"runbook test {marker}.{number}: inbound")
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    message.set_content("Hello")
    return message.as_bytes().replace(b"\n", b"\r\n")


BOUNCE = letter(author="MAILER-DAEMON@x.example", subject="Undelivered Mail") + letter(7)


@pytest.fixture
def ca(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def office(ca: Authority, monkeypatch: pytest.MonkeyPatch) -> Iterator[PostOffice]:
    monkeypatch.setenv("HI_PASSWORD", "hi-Passw0rd")
    with PostOffice(ca.serving("mail.lantern.example"), {HI: "hi-Passw0rd"}) as office:
        yield office


@contextmanager
def opened(office: PostOffice, ca: Authority, marker: str = MARKER) -> Iterator[Box]:
    where = Endpoint("mail.lantern.example", office.imaps, "implicit", ca.pem)
    with endpoint.leaving(endpoint.imap(where, endpoint.local_dial, "127.0.0.1")) as client:
        endpoint.imap_login(client, HI, Secret("env:HI_PASSWORD"))
        yield Box(client, HI, marker, time.time())


@pytest.fixture
def box(office: PostOffice, ca: Authority) -> Iterator[Box]:
    with opened(office, ca) as found:
        yield found


def test_a_look_is_one_search_and_fetches_only_what_is_new_of_this_run(office: PostOffice, box: Box) -> None:
    office.messages += [letter(1), letter(2, "20261121T201613Z-other"), letter(subject="lunch"), letter(3)]
    assert [(c.number, c.kind) for c in box.new()] == [(1, "message"), (3, "message")]
    assert office.asked == ["SEARCH", "FETCH"]
    assert box.new() == []
    assert office.asked == ["SEARCH", "FETCH", "SEARCH"]
    office.messages.append(letter(1, In_Reply_To="<x@lantern.example>"))
    assert [(c.number, c.kind) for c in box.new()] == [(1, "answer")]


def test_two_runs_at_once_do_not_read_each_others_messages(office: PostOffice, ca: Authority) -> None:
    names = ("20261121T201613Z-lan", "20261121T201613Z-lantern")  # one begins as the other
    office.messages += [letter(n, marker) for n, marker in enumerate(names, 1)]
    for number, marker in enumerate(names, 1):
        with opened(office, ca, marker) as box:
            assert [copy.number for copy in box.new() if copy.number] == [number]


@pytest.mark.parametrize(("name", "mark"), [("Werbung", "\\Junk"), ("Bulk Mail", ""), ("&V4NXPpCuTvY-", "")])
def test_what_a_filter_disliked_is_found(office: PostOffice, ca: Authority, name: str, mark: str) -> None:
    office.folders, office.marks = {"Work": [], name: [letter()]}, {name: mark}
    with opened(office, ca) as box:
        (copy,) = box.new()
    assert (copy.number, copy.junk, copy.folder) == (1, True, folders.decode(name))


def test_what_a_rule_filed_away_is_found_at_last_and_what_its_owner_wrote_is_not(
    office: PostOffice, ca: Authority
) -> None:
    office.folders, office.marks = {"Work": [letter()], "Sent": [letter(2)]}, {"Sent": "\\Sent"}
    with opened(office, ca) as box:
        assert box.new() == []
        assert [(c.number, c.folder, c.junk) for c in box.elsewhere()] == [(1, "Work", False)]


def test_a_folder_that_was_made_for_the_message_is_found(office: PostOffice, ca: Authority) -> None:
    with opened(office, ca) as box:
        office.folders = {"Junk": [letter()]}
        assert box.new() == []
        assert [(c.number, c.folder, c.junk) for c in box.elsewhere()] == [(1, "Junk", True)]


@pytest.mark.parametrize("refusal", ["BAD", "NO"])
def test_where_search_is_refused_subjects_are_read(office: PostOffice, box: Box, refusal: str) -> None:
    office.search = refusal
    office.messages += [letter(subject="lunch"), letter(5)]
    assert [copy.number for copy in box.new()] == [5]
    assert box.new() == []


def test_where_search_finds_nothing_subjects_are_read_now_and_then(office: PostOffice, box: Box) -> None:
    office.search, office.uid_last = "nothing", True
    office.messages += [letter(subject="lunch"), letter(5)]
    assert box.new() == []
    box.next_peek = 0
    assert [copy.number for copy in box.new()] == [5]
    office.messages.append(letter(6))
    assert [copy.number for copy in box.new()] == [6]  # from now on it is not trusted any more


def test_a_search_that_finds_everything_is_trusted(office: PostOffice, box: Box) -> None:
    office.messages += [letter(5), letter(subject="lunch")]
    box.next_peek = 0
    assert [copy.number for copy in box.new()] == [5]
    assert not box.blind


def test_bounces_are_found_by_what_they_hold(office: PostOffice, box: Box) -> None:
    office.messages.append(BOUNCE)
    assert [(copy.number, copy.kind) for copy in box.new()] == [(7, "bounce")]


def test_a_connection_that_ends_is_told(office: PostOffice, box: Box) -> None:
    office.breaks = 1
    with pytest.raises((imaplib.IMAP4.abort, OSError)):
        box.new()


@pytest.mark.parametrize(
    ("line", "folder"),
    [
        (b'(\\HasNoChildren) "/" INBOX', Folder("INBOX", "INBOX", frozenset({"\\hasnochildren"}), "/")),
        ((b'() "/" {4}', b'Sp"m'), Folder('"Sp\\"m"', 'Sp"m', frozenset(), "/")),
        (b'(\\Junk) "." "INBOX.a\\\\b"', Folder('"INBOX.a\\\\b"', "INBOX.a\\b", frozenset({"\\junk"}), ".")),
        (b"() NIL spam", Folder("spam", "spam", frozenset(), "")),
    ],
)
def test_folders_as_servers_list_them(line: bytes | tuple[bytes, bytes], folder: Folder) -> None:
    assert folders.parse([line]) == (folder,)


def test_what_holds_no_messages_or_is_no_folder_is_left_out() -> None:
    assert folders.parse([b'(\\Noselect) "/" Archive', b"nonsense", None]) == ()


@pytest.mark.parametrize(
    ("name", "junk"),
    [
        ("INBOX.Spam", True), ("[Gmail]/Spam", True), ("Junk E-mail", True), ("Courrier indésirable", True),
        ("INBOX", False), ("Spam rules", False), ("Junkyard", False),
    ],
)  # fmt: skip
def test_junk_by_name(name: str, junk: bool) -> None:
    assert Folder(name, name, delimiter="." if "." in name else "/").junk is junk


@pytest.mark.parametrize(
    ("written", "read"), [("a&-b", "a&b"), ("&Jjo-!", "☺!"), ("&bad", "&bad"), ("&*-", "&*-"), ("&AA-", "&AA-")]
)
def test_modified_utf_7(written: str, read: str) -> None:
    assert folders.decode(written) == read


def test_a_message_is_told_from_its_number_wherever_the_server_writes_it() -> None:
    parts = [(b"1 (UID 5 BODY[] {2}", b"ab"), b")", (b"2 (BODY[] {2}", b"cd"), b" UID 6)", b"3 (FLAGS ())"]
    assert list(literals(parts)) == [(5, b"ab", 0.0), (6, b"cd", 0.0)]


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ('INTERNALDATE "17-Jul-1996 02:44:25 -0700" ', 837596665.0),  # RFC 9051 2.3.3: of the server's own zone
        ('INTERNALDATE " 7-Jul-1996 09:44:25 +0000" ', 836732665.0),
        ("", 0.0),
        ('INTERNALDATE "17-Foo-1996 02:44:25 -0700" ', 0.0),
        ('INTERNALDATE "17-Jul-0000 02:44:25 -0700" ', 0.0),
    ],
)
def test_when_a_message_came_is_told_by_its_mailbox(
    office: PostOffice, ca: Authority, told: str, expected: float
) -> None:
    office.dated, office.messages = told, [letter()]
    with opened(office, ca) as box:
        (found,) = box.new()
    assert found.stored == expected
    after = [(b"1 (UID 5 BODY[] {2}", b"ab"), f" {told.strip()})".encode()]
    assert [stored for _, _, stored in literals(after)] == [expected]
