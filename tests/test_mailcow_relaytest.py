"""mailcow's relay test, read strictly: only a 2yz right after the final dot passes, each failure has its row."""

from __future__ import annotations

import html
from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from runbooklib.results import Status
from runbooklib.servers.mailcow import relaytest
from runbooklib.servers.mailcow.relaytest import Line

FROM, TO = "info@example.org", "someone@example.net"
GREETING = (
    "Connection: opened",
    "SERVER -> CLIENT: 220 relay.example ESMTP",
    "CLIENT -> SERVER: EHLO localhost.localdomain",
    "SERVER -> CLIENT: 250-relay.example",
    "↪ 250-AUTH PLAIN LOGIN",
    "↪ 250 8BITMIME",
)
LOGIN = (
    "CLIENT -> SERVER: AUTH LOGIN",
    "SERVER -> CLIENT: 334 VXNlcm5hbWU6",
    "CLIENT -> SERVER: [credentials hidden]",
    "SERVER -> CLIENT: 334 UGFzc3dvcmQ6",
    "CLIENT -> SERVER: [credentials hidden]",
)
IN = (*GREETING, *LOGIN, "SERVER -> CLIENT: 235 2.7.0 Authentication successful")
MAIL = (f"CLIENT -> SERVER: MAIL FROM:<{FROM}>", "SERVER -> CLIENT: 250 2.1.0 Ok")
RCPT = (f"CLIENT -> SERVER: RCPT TO:<{TO}>", "SERVER -> CLIENT: 250 2.1.5 Ok")
DATA = (
    "CLIENT -> SERVER: DATA",
    "SERVER -> CLIENT: 354 End data with <CR><LF>.<CR><LF>",
    "CLIENT -> SERVER: Subject: A subject",
    "CLIENT -> SERVER: ",
    "CLIENT -> SERVER: This is our test body",
    "CLIENT -> SERVER: .",
)
BYE = ("CLIENT -> SERVER: QUIT", "SERVER -> CLIENT: 221 2.0.0 Bye", "Connection: closed")
TAKEN = "SERVER -> CLIENT: 250 2.0.0 Ok: queued as 4XSTUB01"
LINE = "[/web/inc/lib/SMTP.php line 388]"


def page(lines: Sequence[str]) -> str:
    """The lines as the page writes them."""
    return "".join(
        f'<span style="color:#999;font-weight:bold">{html.escape(x, quote=True)}</span><br>'
        if x.startswith(("SERVER", "CLIENT"))
        else f"{html.escape(x)}<br>".replace("↪ ", "&nbsp;&nbsp;&nbsp;&nbsp;↪ ")
        for x in lines
    )


def row(*lines: str) -> tuple[Status, str, str, str]:
    """Status, what was seen, what to do and which stage it waits for."""
    check = relaytest.judge("office", relaytest.parse(page(lines)), FROM, TO)
    assert check.name == "relay.test office"
    return check.status, check.observed, check.fix, check.waits_for


def test_a_message_that_was_taken_passes() -> None:
    status, seen, *_ = row(*IN, *MAIL, *RCPT, *DATA, TAKEN, *BYE)
    assert (status, seen) == (Status.PASS, "250 2.0.0 Ok: queued as 4XSTUB01")


def test_the_dialogue_is_read_out_of_its_html() -> None:
    options = "Connection: opening to h:587, options=array (<br><span>&nbsp;↪   &#039;ssl&#039; =&gt; </span><br>)<br>"
    said = '<span style="color:darkgreen">SERVER -&gt; CLIENT: 250 &lt;a@b&gt; &amp; Ok</span><BR/>'
    assert relaytest.parse(options + said).lines == (
        Line("", "Connection: opening to h:587, options=array ("),
        Line("", "↪ 'ssl' =>"),
        Line("", ")"),
        Line(relaytest.SERVER, "250 <a@b> & Ok"),
    )


@pytest.mark.parametrize(
    ("lines", "status", "seen", "fix", "waits_for"),
    [
        (
            (*GREETING, *LOGIN, "SERVER -> CLIENT: 535 5.7.8 Error: authentication failed",
             "↪ SMTP Error: Could not authenticate.", *BYE),
            Status.FAIL, "AUTH: 535 5.7.8", "relays.office.username", "",
        ),
        (
            (*GREETING, *LOGIN, "SERVER -> CLIENT: 454 4.7.0 Temporary authentication failure", *BYE),
            Status.UNKNOWN, "AUTH: 454", "relays.office.username", "",
        ),
        (
            (*GREETING, *LOGIN, "↪ SMTP Error: Could not authenticate."),
            Status.UNKNOWN, "Could not authenticate", "run again", "",
        ),
        (
            (f"↪ Connection failed. Error #2: Unable to connect to h:2599 (Connection refused) {LINE}",
             "↪ SMTP ERROR: Failed to connect to server: Connection refused (111)",
             "↪ SMTP connect() failed. https://github.com/PHPMailer"),
            Status.FAIL, "Connection refused", "587, 2525 or 2587", "",
        ),
        (
            ("↪ SMTP ERROR: Failed to connect to server: Connection timed out (110)", "↪ SMTP connect() failed."),
            Status.UNKNOWN, "timed out", "ask its provider", "",
        ),
        (
            ("↪ php_network_getaddresses: getaddrinfo for relay.invalid failed: Name or service not known (0)",),
            Status.FAIL, "relay.invalid", "relays.office.host", "",
        ),
        (
            ("↪ getaddrinfo for relay.example failed: Temporary failure in name resolution",),
            Status.UNKNOWN, "Temporary failure", "unbound-mailcow", "",
        ),
        (
            (*IN, *MAIL, *RCPT, *DATA, "SERVER -> CLIENT: 450 The example.org domain is not verified.", *BYE),
            Status.PENDING, "the message: 450", "04-dns", "04-dns",
        ),
        (
            (*IN, *MAIL, *RCPT, *DATA, "SERVER -> CLIENT: 550 The example.org domain is not verified.", *BYE),
            Status.PENDING, "the message: 550", "04-dns", "04-dns",
        ),
        (
            (*IN, *MAIL, *RCPT, *DATA, "SERVER -> CLIENT: 554 5.7.1 spam", *BYE),
            Status.FAIL, "the message: 554", "answer says why", "",
        ),
        (
            (*IN, MAIL[0], "SERVER -> CLIENT: 550 5.7.1 Sender address is not owned by the authenticated user", *BYE),
            Status.FAIL, f"MAIL FROM:<{FROM}>: 550", "log in at the relay with a mailbox", "",
        ),
        (
            (*IN, *MAIL, RCPT[0], "SERVER -> CLIENT: 450 4.2.0 Greylisted, please try again later", *BYE),
            Status.UNKNOWN, f"RCPT TO:<{TO}>: 450", "answer says why", "",
        ),
        (
            (*GREETING, MAIL[0], "SERVER -> CLIENT: 530 5.7.0 Authentication required", *BYE),
            Status.FAIL, "530", "name username and password", "",
        ),
        (
            ("Connection: opened", "SERVER -> CLIENT: 554 5.7.1 no service for you", *BYE),
            Status.FAIL, "the greeting: 554", "answer says why", "",
        ),
        (("Unknown transport.",), Status.FAIL, "Unknown transport.", "run again", ""),
        (("Permission denied.",), Status.FAIL, "Permission denied.", "mail.api_key", ""),
        ((), Status.UNKNOWN, "no dialogue", "run again", ""),
        (("<html>gateway timeout</html>",), Status.UNKNOWN, "no dialogue", "run again", ""),
        ((*IN, *MAIL, *RCPT, *DATA), Status.UNKNOWN, "no answer to the message", "run again", ""),
        ((*IN, *MAIL, *RCPT, *DATA, "SERVER -> CLIENT: "), Status.UNKNOWN, "an empty line", "run again", ""),
        ((*IN, *MAIL, *RCPT, *DATA, "SERVER -> CLIENT: 354 go on"), Status.UNKNOWN, "354 go on", "run again", ""),
        (
            ("Connection: opened", "SERVER -> CLIENT: ", "Connection: closing due to error", "Connection: closed",
             "↪ SMTP connect() failed."),
            Status.UNKNOWN, "closing due to error", "implicit TLS (465)", "",
        ),
    ],
)  # fmt: skip
def test_each_failure_has_its_row(lines: tuple[str, ...], status: Status, seen: str, fix: str, waits_for: str) -> None:
    found = row(*lines)
    assert (found[0], found[3]) == (status, waits_for)
    assert seen in found[1]
    assert fix in found[2]


def test_the_addresses_that_the_page_puts_in_by_itself_do_not_pass() -> None:
    mail = ("CLIENT -> SERVER: MAIL FROM:<relay@example.org>", MAIL[1])
    status, seen, *_ = row(*IN, *mail, *RCPT, *DATA, TAKEN, *BYE)
    assert (status, seen) == (Status.UNKNOWN, "the page asked with other addresses than it was given")


@pytest.mark.parametrize(
    "between",
    [("↪ SMTP NOTICE: EOF caught",), ("CLIENT -> SERVER: QUIT",), ("CLIENT -> SERVER: .", TAKEN)],
    ids=["a remark", "a command", "a second dot"],
)
def test_only_the_line_right_after_the_only_dot_counts(between: tuple[str, ...]) -> None:
    status, *_ = row(*IN, *MAIL, *RCPT, *DATA, *between, TAKEN, *BYE)
    assert status is Status.UNKNOWN


@pytest.mark.parametrize(
    ("address", "sure"),
    [
        ("info@example.org", True),
        ("first.last+tag@mail.example.org", True),
        ("a..b@example.org", False),
        (".a@example.org", False),
        ("a.@example.org", False),
        ("o'hara@example.org", False),
        ("a@localhost", False),
        ("a@example.123", False),
        ("a@-example.org", False),
        (f"{'a' * 65}@example.org", False),
        ("jörg@example.org", False),
        ("", False),
    ],
)
def test_only_addresses_that_the_page_takes_for_certain_are_asked_with(address: str, sure: bool) -> None:
    assert relaytest.askable(address) is sure


GOOD = (*IN, *MAIL, *RCPT, *DATA, TAKEN, *BYE)
ODD = ("", "2", "SERVER -> CLIENT: 2500", "SERVER -> CLIENT: 25", "CLIENT -> SERVER: ..", "SERVER -> CLIENT: 550 no")
OTHERS = st.none() | st.sampled_from([*GOOD, *ODD]) | st.text(max_size=8)


@given(st.dictionaries(st.integers(0, len(GOOD) - 1), OTHERS, max_size=6))
@example({GOOD.index(DATA[-1]): "CLIENT -> SERVER: .."})
@example({GOOD.index(TAKEN): None})
def test_a_damaged_dialogue_never_passes(damage: dict[int, str | None]) -> None:
    lines = [x for i, line in enumerate(GOOD) if (x := damage.get(i, line))]
    dialogue = relaytest.parse(page(lines))
    after = lines[lines.index(DATA[-1]) + 1 :][:1] if lines.count(DATA[-1]) == 1 else []
    sound = after and after[0].startswith("SERVER -> CLIENT: 2") and after[0] not in ODD
    check = relaytest.judge("office", dialogue, FROM, TO)
    assert check.status is not Status.PASS or (sound and {MAIL[0], RCPT[0]} <= set(lines))


@given(st.text())
def test_any_text_is_read_and_does_not_pass(text: str) -> None:
    assert relaytest.judge("office", relaytest.parse(text), FROM, TO).status is not Status.PASS
