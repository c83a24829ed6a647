"""What people paste: bounces, answers and log lines as servers really write them, and what is said of each."""

from __future__ import annotations

import time

import bounces
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shown_mailflow import ARRIVED

from runbooklib.diagnosis import Evidence, Fact, diagnose
from runbooklib.diagnosis.pasted import pasted
from runbooklib.results import Checklist, Status

GMAIL = """550-5.7.26 Your email has been blocked because the sender is unauthenticated. Gmail requires all senders to
550-5.7.26 authenticate with either SPF or DKIM. Authentication results: DKIM = did not pass
550 5.7.26 SPF [lantern.example] with ip: [203.0.113.10] = did not pass. a1-20020a - gsmtp"""
POSTFIX = """This is the mail system at host mail.lantern.example.

I'm sorry to have to inform you that your message could not be delivered to one or more recipients.

<you@stranger.example>: host mx.stranger.example[198.51.100.6] said: 550 5.1.1
    <you@stranger.example>: Recipient address rejected: User unknown (in reply to
    RCPT TO command)"""
OUTLOOK = """Your message to you@outlook.example couldn't be delivered.

Remote server returned '550 5.7.515 Access denied, sending domain lantern.example doesn't meet the required
authentication level.'"""
EXIM = """A message that you sent could not be delivered to one or more of its recipients.

  you@stranger.example
    host mx.stranger.example [198.51.100.6]
    SMTP error from remote mail server after RCPT TO:<you@stranger.example>:
    554 5.7.1 Service unavailable; Client host [203.0.113.10] blocked using zen.spamhaus.org"""
QQ = """您的邮件被退回

收件人：you@qq.example
host mx3.qq.com[203.0.113.200] said: 550 Ip frequency limited [abcDEF IP: 203.0.113.10]. https://service.mail.qq.com"""
LOG = """Nov 21 19:59:00 mail postfix/qmgr[9]: AAAAAA1: from=<hi@lantern.example>, size=900, nrcpt=1 (queue active)
Nov 21 19:59:01 mail postfix/smtp[9]: AAAAAA1: to=<you@stranger.example>, relay=none, delay=30, delays=0/0/30/0, \
dsn=4.4.1, status=deferred (connect to mx.stranger.example[198.51.100.6]:25: Connection timed out)"""
SENT = LOG.replace("deferred (connect to mx.stranger.example[198.51.100.6]:25: Connection timed out)", "sent (250 ok)")
BY_GMAIL = bounces.GROUP.replace("mx.stranger.example", "gmail-smtp-in.l.google.com").replace("5.1.1", "5.7.27")
BY_GMAIL = BY_GMAIL.partition("Diagnostic-Code")[0] + "Diagnostic-Code: smtp; 550-5.7.27 SPF did not pass"
# What is pasted → the rule, what is said of it, what to do, and where that is written.
PASTES: dict[str, tuple[str, str, str, str, str]] = {
    "Gmail's answer of many lines": (GMAIL, "refused", "neither SPF nor DKIM passed", "04", "support.google.com"),
    "Gmail, no PTR": (
        "550-5.7.25 [203.0.113.10] The IP address sending this message does not have a PTR record setup. - gsmtp",
        *("refused", "no PTR record", "set the PTR", "support.google.com"),
    ),
    "Gmail, SPF": (
        "421-4.7.27 Your email has been rate limited because SPF authentication didn't pass. - gsmtp",
        *("put-off", "SPF does not pass", "SPF record", "support.google.com"),
    ),
    "Gmail, named by nothing but the server": (
        bounces.standard(BY_GMAIL).decode(),
        *("refused", "SPF does not pass", "SPF record", "support.google.com"),
    ),
    "the same code of anybody else": ("550 5.7.27 SPF did not pass", "refused", "null MX", "MX record", "RFC 7505"),
    "Outlook.com": (OUTLOOK, "refused", "above 5,000", "make all three pass", "support.microsoft.com"),
    "Microsoft, DMARC": (
        "550 5.7.509: Access denied, sending domain lantern.example does not pass DMARC verification",
        *("refused", "own policy is reject", "DKIM pass", "learn.microsoft.com"),
    ),
    "QQ": (QQ, "refused", "QQ Mail limits", "send slower", "service.mail.qq.com"),
    "NetEase, content": (
        "554 DT:SPM 163 smtp11,D8CowADHs5 1795 https://mail.163.com/help/help_spam_16.htm?ip=203.0.113.10",
        *("refused", "NetEase takes the content", "delivery.content", "mail.163.com"),
    ),
    "NetEase, SPF": (
        "550 MI:SPF 163 mx44,xwEYrAB3 http://mail.163.com",
        "refused",
        "SPF does not pass",
        "04",
        "163.com",
    ),
    "NetEase, a family": ("451 MI:DMC 163 mx5,x", "put-off", "NetEase limits", "send slower", "163.com"),
    "NetEase, another": ("421 HL:REP 163 mx5,x", "put-off", "NetEase limits", "send slower", "163.com"),
    "NetEase, a code nobody lists": ("550 RP:XYZ 163 mx5,x", "refused", "NetEase limits", "send slower", "163.com"),
    "a bounce as it arrived": (
        bounces.standard().decode(),
        "refused",
        "nobody there",
        "correct the address",
        "RFC 3463",
    ),
    "its text from Postfix": (POSTFIX, "refused", "nobody there has this address", "correct the address", "RFC 3463"),
    "its text from Exim": (EXIM, "refused", "on a blocklist", "removal", "RFC 3463"),
    "the login": (
        "(SASL authentication failed; server smtp.relay.example[198.51.100.5] said: 535 5.7.8 Error)",
        *("refused", "the relay refuses the login", "stage 02", "RFC 4954"),
    ),
    "a line of the log": (LOG, "put-off", "which the provider drops", "stage 02", "DMS#598"),
    "greylisted": ("450 4.2.0 Greylisted, come again", "put-off", "greylisted", "wait", "RFC 6647"),
    "a code alone": ("552 5.3.4", "refused", "larger than", "smaller", "RFC"),
    "a log in which all went well": (SENT, "unread", "nothing failed", "paste one of these", "RFC 3464"),
    "something else": (
        "It does not work since we moved to port 587 yesterday.",
        "unread",
        "no bounce",
        "paste one",
        "RFC",
    ),
    "nothing": ("", "unread", "no bounce", "paste one", "RFC 3464"),
}


# What differs in a message that arrived → the rule, and what it says.
LETTERS: dict[str, tuple[tuple[str, str], str, str]] = {
    "all passed": (("", ""), "unread", "in which nothing failed: mx.stranger.example says spf=pass"),
    "its signature failed": (
        ("dkim=pass", "dkim=fail"),
        "unauthentic",
        "says dkim=fail for lantern.example",
    ),
    "SPF did not pass": (("spf=pass", "spf=softfail"), "unauthentic", "says spf=softfail for lantern.example"),
    "another selector": (("s=mail; h", "s=old; h"), "unauthentic", "signed with s=old, params say mail"),
    "another's signature": (("d=lantern.example; s", "d=relay.example; s"), "unauthentic", "no signature of lantern"),
    "nobody judged it": (("Authentication-Results", "X-Was"), "unread", "failed: signed with s=mail d=lantern.example"),
    "it quotes an answer": (("Hello.", "550 5.1.1 no such user"), "refused", "550 5.1.1 no such user"),
}


@pytest.mark.parametrize("case", LETTERS)
def test_a_message_is_told_by_who_signed_it_and_who_believed_it(case: str) -> None:
    change, rule, said = LETTERS[case]
    site = {"name": "", "hostname": "", "ipv4": None, "ipv6": None, "ports": []}
    domain = {"name": "lantern.example", "selector": "mail", "next_hop": "", "spf": "", "spf_at": ""}
    fact = Fact(pasted(ARRIVED.replace(*change) if change[0] else ARRIVED))
    checks = [c for c in diagnose(Evidence(site | {"domains": [domain]}, {"pasted": fact})) if "pasted" in c.name]
    assert [check.name for check in checks] == [f"diagnosis.pasted-{rule}"]
    assert said in checks[0].observed
    assert checks[0].fix


def found(text: str) -> Checklist:
    return diagnose(Evidence.alone("pasted", Fact(pasted(text))))


@pytest.mark.parametrize("case", PASTES)
def test_a_paste_is_explained(case: str) -> None:
    text, rule, said, fix, ref = PASTES[case]
    checks = [check for check in found(text) if check.name.startswith("diagnosis.")]
    assert [check.name for check in checks] == [f"diagnosis.pasted-{rule}"]
    assert checks[0].status is (Status.FAIL if rule == "refused" else Status.WARN)
    assert (said in checks[0].observed, fix in checks[0].fix, ref in checks[0].ref) == (True, True, True), checks[0]


def test_it_is_told_for_whom_and_by_whom() -> None:
    [told] = pasted(POSTFIX)["told"]
    assert (told["to"], told["by"], told["status"], told["final"]) == (
        "you@stranger.example",
        "mx.stranger.example",
        "5.1.1",
        True,
    )
    [told] = pasted(LOG)["told"]
    assert (told["to"], told["by"]) == ("stranger.example", "mx.stranger.example[198.51.100.6]:25")


def test_what_is_refused_in_the_same_words_is_told_once_and_no_more_than_some() -> None:
    assert len(pasted(f"{EXIM}\n\n" * 9)["told"]) == 1
    many = "\n\n".join(f"<a{n}@b.example>: 550 5.1.1 no {n}" for n in range(99))
    assert len(pasted(many)["told"]) == 20


@settings(max_examples=25)
@given(st.text(), st.sampled_from([POSTFIX, LOG, bounces.standard().decode(), GMAIL]))
def test_no_text_raises(text: str, known: str) -> None:
    for paste in (text, text + known, known.replace("5", text)):
        found(paste)


@pytest.mark.parametrize(
    "piece", ["550 ", "a@b.c ", "\n550-", "host a.b ", "said: <", "5.1.1 \n\n", "Nov 21 ", "{", "a" * 99]
)
def test_time_grows_with_length_alone(piece: str) -> None:
    text = piece * (60_000 // len(piece))
    began = time.process_time()
    pasted(text)
    assert time.process_time() - began < 1.5
