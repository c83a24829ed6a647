"""Client settings: what the files say, and that each of their settings turns red where the server does otherwise."""

from __future__ import annotations

import base64
import plistlib
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from postoffice import PostOffice
from scripts import Authority
from sites import make

from runbooklib import credentials, zone
from runbooklib.answers import Word
from runbooklib.autoconfig import AutoconfigError, File, Files, files, settings, verify
from runbooklib.autoconfig.verifying import judge
from runbooklib.params import Site
from runbooklib.results import MIME, Check, Checklist, Status

HOST, HI, ADA = "mail.lantern.example", "hi@lantern.example", "ada@harbour.example"
RESOLVER, SERVER = "192.0.2.53", "192.0.2.1"
MAILCOW = {"server": "mailcow", "url": "https://mail.lantern.example", "api_key": "env:MAILCOW_API_KEY"}
SRV = """_imaps._tcp 60 SRV 0 1 993 mail.lantern.example.
_imap._tcp 60 SRV 10 1 143 mail.lantern.example.
_submissions._tcp 60 SRV 0 1 465 mail.lantern.example.
_submission._tcp 60 SRV 0 1 587 mail.lantern.example.
"""


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(autouse=True)
def passwords(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("HI_PASSWORD", "hi-Passw0rd")
    monkeypatch.setenv("ADA_PASSWORD", "ada-Passw0rd")
    monkeypatch.setenv("MAILCOW_API_KEY", "AAAAAA-BBBBBB")
    yield
    credentials.forget()


def two_domains(**changes: Any) -> Site:
    """A second domain on the same server."""
    domains = [
        {"name": "lantern.example", "relay": "office", "mailboxes": [{"address": HI, "password": "env:HI_PASSWORD"}]},
        {"name": "harbour.example", "relay": "office", "mailboxes": [{"address": ADA, "password": "env:ADA_PASSWORD"}]},
    ]
    return make(domains=domains, **changes)


@dataclass(frozen=True)
class World:
    """A mail server and the DNS beside it, as a test bends them."""

    ca: Authority
    host: str = HOST  # whose certificate is shown
    days: int = 30
    passwords: dict[str, str] = field(default_factory=lambda: {HI: "hi-Passw0rd", ADA: "ada-Passw0rd"})
    office: dict[str, Any] = field(default_factory=dict)
    zone: str = SRV
    outages: dict[tuple[str, str], Any] = field(default_factory=dict)

    @contextmanager
    def running(self) -> Iterator[PostOffice]:
        with PostOffice(self.ca.serving(self.host, self.days), self.passwords, **self.office) as office:
            yield office

    def look(self) -> zone.Stub:
        text = f"@ 60 SOA ns h 1 2 3 4 60\n@ 60 NS ns\nns 60 A {SERVER}\n{self.zone}"
        told = zone.Literal({SERVER: {"lantern.example": text}}, resolvers={RESOLVER}, outages=self.outages)
        return zone.Stub(told, [RESOLVER])

    def verdict(self, site: Site, written: Files | None = None) -> Checklist:
        with self.running() as office:
            return self.judged(site, office, written)

    def judged(self, site: Site, office: PostOffice, written: Files | None = None) -> Checklist:
        def dial(address: str, port: int, timeout: float) -> socket.socket:
            del address
            if port not in office.ports:
                raise ConnectionRefusedError
            return socket.create_connection(("127.0.0.1", office.ports[port]), timeout)

        trusting = site.model_copy(update={"mail": site.mail.model_copy(update={"tls": self._tls(site)})})
        return judge(trusting, written or files(site), self.look(), dial, apply=True)

    def _tls(self, site: Site) -> Any:
        return site.mail.tls.model_copy(update={"ca": self.ca.pem})


def test_the_table_says_what_a_person_types_into_a_mail_program() -> None:
    rows = [row[:4] for row in settings(make()).rows]
    assert rows == [
        ("read mail (IMAP)", HOST, "993", "TLS from the first byte (SSL/TLS)"),
        ("read mail (IMAP)", HOST, "143", "STARTTLS"),
        ("send mail (SMTP)", HOST, "465", "TLS from the first byte (SSL/TLS)"),
        ("send mail (SMTP)", HOST, "587", "STARTTLS"),
    ]
    assert HI in str(settings(make()))


def test_a_postfix_that_was_there_before_need_not_have_every_port() -> None:
    site = make(mail={"server": "postfix"})
    assert [row[2] for row in settings(site).rows] == ["993", "587", "465"]
    assert [s.port for s in _file(site, ".mobileconfig").services()] == [993, 587]


def test_where_mailcow_tells_programs_itself_that_is_said() -> None:
    site = make(mail=MAILCOW)
    assert "mailcow tells programs by itself" in str(settings(site))
    assert "nowhere: mailcow shows one of its own" in str(files(site).table())
    assert "on a web server of yours" in str(files(make()).table())


def _file(site: Site, ending: str) -> File:
    return next(file for file in files(site) if file.name.endswith(ending))


def test_thunderbird_s_file_is_as_its_format_says() -> None:
    root = ET.fromstring(_file(make(), ".xml").text.encode())  # noqa: S314 - our own
    assert (root.tag, root.get("version"), root[0].get("id")) == ("clientConfig", "1.1", "lantern.example")
    assert [e.tag for e in root[0]] == [
        *("domain", "displayName", "displayShortName"),
        *("incomingServer", "incomingServer", "outgoingServer", "outgoingServer"),
    ]
    assert {e.tag: e.text for e in root[0][3]} == {
        "hostname": HOST,
        "port": "993",
        "socketType": "SSL",
        "username": "%EMAILADDRESS%",
        "authentication": "password-cleartext",
    }


def test_apple_s_profile_is_the_same_each_time_and_holds_no_password() -> None:
    site = make()
    text = _file(site, ".mobileconfig").text
    assert text == _file(site, ".mobileconfig").text
    profile = plistlib.loads(text.encode())
    (account,) = profile["PayloadContent"]
    assert (profile["PayloadType"], account["PayloadType"]) == ("Configuration", "com.apple.mail.managed")
    assert account["PayloadUUID"] != profile["PayloadUUID"]
    assert profile["PayloadIdentifier"] == "example.lantern.mail"
    assert not {"EmailAddress", "IncomingPassword", "OutgoingPassword"} & set(account)
    assert (account["IncomingMailServerPortNumber"], account["OutgoingMailServerPortNumber"]) == (993, 465)


def test_each_domain_has_profiles_of_its_own() -> None:
    named = [(file.domain, file.name) for file in files(two_domains())]
    assert len(named) == len(set(named)) == 4
    uuids = [plistlib.loads(f.text.encode())["PayloadUUID"] for f in files(two_domains()) if "mobile" in f.name]
    assert len(set(uuids)) == 2


def test_the_files_can_be_downloaded_from_the_notebook() -> None:
    shown = files(make())
    page = shown._repr_mimebundle_()["text/html"]
    for file in shown:
        data = base64.b64encode(file.text.encode()).decode()
        assert f'download="{file.name}" href="data:{file.media};base64,{data}"' in page
        assert file.text in str(shown)
    assert "<clientConfig" not in page  # shown as text
    assert shown._repr_mimebundle_()[MIME]["kind"] == "table"


def test_settings_that_are_true_pass(ca: Authority) -> None:
    site = two_domains(dns={"optional": ["srv"]})
    world = World(ca, zone=SRV)
    with world.running() as office:
        rows = world.judged(site, office)
        assert sorted(office.logins) == sorted([HI] * 4 + [ADA] * 4)  # one login a service
    # Nobody publishes anything for the second domain.
    assert [c.name for c in rows if c.status is not Status.PASS] == ["autoconfig.names harbour.example"]
    assert [c.name for c in rows if "login" in c.name] == [f"autoconfig.login {HI}", f"autoconfig.login {ADA}"]
    assert rows[NAMES].observed == "all 4 do"
    assert len(rows) == 2 + 4 + 2 + 2


def worst(rows: Checklist, name: str) -> Check:
    return next(c for c in rows if c.name.startswith(name))


IMAPS, SUBMISSIONS = f"autoconfig.imaps {HOST}:993", f"autoconfig.submissions {HOST}:465"
IMAP, SUBMISSION = f"autoconfig.imap {HOST}:143", f"autoconfig.submission {HOST}:587"
LOGIN, NAMES, FILES = f"autoconfig.login {HI}", "autoconfig.names lantern.example", "autoconfig.files lantern.example"


@pytest.mark.parametrize(
    ("bent", "name", "status", "words"),
    [
        ({"host": "other.example"}, IMAPS, Status.FAIL, "wrong name"),
        ({"host": "other.example"}, IMAP, Status.FAIL, "wrong name"),
        ({"host": "other.example"}, SUBMISSION, Status.FAIL, "wrong name"),
        ({"days": -1}, SUBMISSIONS, Status.FAIL, "expired"),
        ({"host": "other.example"}, LOGIN, Status.UNKNOWN, "no service could be spoken to"),
        ({"office": {"closed": frozenset({993})}}, IMAPS, Status.FAIL, "refused"),
        ({"office": {"closed": frozenset({465})}}, SUBMISSIONS, Status.FAIL, "refused"),
        ({"office": {"closed": frozenset({143})}}, IMAP, Status.WARN, "refused"),
        ({"office": {"closed": frozenset({143})}}, LOGIN, Status.PASS, "not tried: imap 143"),
        ({"office": {"starttls": False}}, IMAP, Status.FAIL, "STARTTLS is not offered"),
        ({"office": {"starttls": False}}, SUBMISSION, Status.FAIL, "STARTTLS is not offered"),
        ({"passwords": {HI: "another"}}, LOGIN, Status.FAIL, "imaps 993: IMAP login as hi@lantern.example"),
        ({"passwords": {HI: "another"}, "office": {"says_no": "[UNAVAILABLE] later"}}, LOGIN, Status.UNKNOWN, "later"),
        ({"zone": SRV.replace("993", "9993")}, NAMES, Status.WARN, "9993"),
        ({"zone": SRV.replace("465 mail", "465 old")}, NAMES, Status.WARN, "old"),
        ({"zone": SRV + "_submission._tcp 60 SRV 0 1 587 x\n"}, NAMES, Status.WARN, "x"),
        ({"zone": "x 60 A 192.0.2.1\n"}, NAMES, Status.PENDING, "NXDOMAIN"),
        ({"outages": {(RESOLVER, "*"): Word.SERVFAIL}}, NAMES, Status.UNKNOWN, "SERVFAIL"),
    ],
)
def test_each_claim_turns_red(ca: Authority, bent: dict[str, Any], name: str, status: Status, words: str) -> None:
    site = make(dns={"optional": ["srv"]})
    row = worst(replace(World(ca), **bent).verdict(site), name)
    assert (row.status, words in row.observed) == (status, True), row
    assert bool(row.fix) is (status is not Status.PASS)


def test_a_name_nobody_answers_for_does_not_stop_the_stage(ca: Authority) -> None:
    rows = World(ca, outages={(RESOLVER, "*"): Word.TIMEOUT}).verdict(make(dns={"optional": ["srv"]}))
    assert rows.require() is rows


@pytest.mark.parametrize(
    ("records", "status"),
    [
        ("autoconfig 60 CNAME mail\nmail 60 A 203.0.113.10\n", Status.PASS),
        ("autoconfig 60 CNAME mail\nmail 60 A 203.0.113.99\n", Status.WARN),
        ("mail 60 A 203.0.113.10\n", Status.PENDING),
    ],
)
def test_the_names_of_mailcow_s_pages_lead_to_it(ca: Authority, records: str, status: Status) -> None:
    site = make(mail=MAILCOW, dns={"optional": ["autoconfig"]})
    row = worst(World(ca, zone=records).verdict(site), NAMES)
    assert row.status is status
    assert row.waits_for == ("04-dns" if status is Status.PENDING else "")


def bend(site: Site, old: str, new: str) -> Files:
    """The files with some words replaced."""
    written = files(site)
    assert any(old in file.text for file in written)
    return Files(tuple(replace(file, text=file.text.replace(old, new)) for file in written))


@pytest.mark.parametrize(
    ("old", "new", "name", "words"),
    [
        ("<port>993</port>", "<port>9930</port>", f"autoconfig.imaps {HOST}:9930", "refused"),
        ("<integer>465</integer>", "<integer>4650</integer>", f"autoconfig.submission {HOST}:4650", "refused"),
        ("<port>143</port>", "<port>587</port>", f"autoconfig.imap {HOST}:587", "connected, then"),
        ("<socketType>STARTTLS<", "<socketType>plain<", FILES, "without TLS"),
        ("<port>993</port>", "<port></port>", FILES, "without hostname and port"),
        ("</clientConfig>", "", FILES, "no XML"),
        ("outgoingServer", "otherServer", FILES, "names no outgoingServer"),
        ("<true/>", "<false/>", FILES, "UseSSL is not true"),
        ("</plist>", "", FILES, "no profile"),
        (
            "<key>OutgoingPasswordSame",
            "<key>IncomingPassword</key><string>hunter2</string><key>OutgoingPasswordSame",
            FILES,
            "holds a password",
        ),
    ],
)
def test_what_is_tried_is_what_the_files_say(ca: Authority, old: str, new: str, name: str, words: str) -> None:
    site = make()
    row = worst(World(ca).verdict(site, bend(site, old, new)), name)
    assert words in row.observed, row
    assert row.status in {Status.FAIL, Status.UNKNOWN, Status.WARN}
    assert row.status is Status.FAIL or name != FILES


def test_the_user_name_of_the_file_logs_in(ca: Authority) -> None:
    site, world = make(), World(ca)
    with world.running() as office:
        row = worst(world.judged(site, office, bend(site, "%EMAILADDRESS%", "somebody")), LOGIN)
        assert "somebody" in office.logins
    assert row.status is Status.FAIL


def test_nobody_is_banned_by_wrong_passwords(ca: Authority) -> None:
    more = [{"name": f"d{n}.example", "relay": "office", "mailboxes": [box(n)]} for n in range(4)]
    site, world = make(domains=more), World(ca, passwords={})
    with world.running() as office:
        rows = world.judged(site, office)
        assert len(office.logins) == 2
    told = [c.status for c in rows if "login" in c.name]
    assert told == [Status.FAIL, Status.FAIL, Status.UNKNOWN, Status.UNKNOWN]


def box(number: int) -> dict[str, str]:
    return {"address": f"me@d{number}.example", "password": "env:HI_PASSWORD"}


def test_a_password_that_is_nowhere_says_nothing_of_the_server(ca: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HI_PASSWORD")
    row = worst(World(ca).verdict(make()), LOGIN)
    assert (row.status, "env:HI_PASSWORD is not set" in row.observed) == (Status.UNKNOWN, True)


def test_without_apply_nobody_is_spoken_to() -> None:
    rows = verify(make(), apply=False)
    assert [c.status for c in rows] == [Status.PASS] + [Status.PENDING] * 5


def test_a_file_of_neither_kind_is_told() -> None:
    with pytest.raises(AutoconfigError, match="no profile"):
        replace(_file(make(), ".mobileconfig"), text="<plist/>").services()
