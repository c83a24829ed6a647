"""Bounces as different servers write them; tests read them and bend them."""

from __future__ import annotations

import base64

WORDS = "This is the mail system at host mail.lantern.example. I could not deliver your message."
GROUP = """Final-Recipient: rfc822; nobody@stranger.example
Original-Recipient: rfc822;nobody@stranger.example
Action: failed
Status: 5.1.1
Remote-MTA: dns; mx.stranger.example
Diagnostic-Code: smtp; 550 5.1.1 <nobody@stranger.example>: Recipient address
    rejected: User unknown"""
ABOUT = """Reporting-MTA: dns; mail.lantern.example
X-Postfix-Queue-ID: 9EAA32F83C2
Arrival-Date: Sat, 21 Nov 2026 20:16:13 +0000 (UTC)"""
OURS = """Return-Path: <hi@lantern.example>
From: hi@lantern.example
To: nobody@stranger.example
Message-ID: <m.1@lantern.example>
Subject: =?utf-8?q?runbook_h=C3=A9?="""


def standard(*groups: str, about: str = ABOUT, kind: str = "message/delivery-status", copy: str = OURS) -> bytes:
    """A multipart/report as RFC 3464 has it."""
    report = "\n\n".join([about, *(groups or (GROUP,))])
    return f"""From: MAILER-DAEMON@mail.lantern.example (Mail Delivery System)
Subject: Undelivered Mail Returned to Sender
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain; charset=us-ascii

{WORDS}

--b
Content-Type: {kind}

{report}

--b
Content-Type: message/rfc822

{copy}

Hello
--b--
""".encode()


def encoded() -> bytes:
    """The same with the report in base64, as some gateways do it against RFC 2046 5.2."""
    report = base64.encodebytes(f"{ABOUT}\n\n{GROUP}\n".encode()).decode()
    head = "Content-Type: multipart/report; boundary=b\n\n--b\nContent-Type: message/delivery-status\n"
    return f"{head}Content-Transfer-Encoding: base64\n\n{report}\n--b--\n".encode()


QMAIL = f"""Return-Path: <>
From: MAILER-DAEMON@q.example
Subject: failure notice

Hi. This is the qmail-send program at q.example.
I'm afraid I wasn't able to deliver your message to the following addresses.

<nobody@stranger.example>:
198.51.100.6 does not like recipient.
Remote host said: 550 5.1.1 no such user
Giving up on 198.51.100.6.

--- Below this line is a copy of the message.

{OURS}

Hello
""".encode()

EXIM = f"""From: Mail Delivery System <Mailer-Daemon@e.example>
X-Failed-Recipients: nobody@stranger.example,
  full@stranger.example
Subject: Mail delivery failed: returning message to sender

A message that you sent could not be delivered to one or more of its
recipients. This is a permanent error. The following address(es) failed:

  nobody@stranger.example
    host mx.stranger.example [198.51.100.6]
    SMTP error from remote mail server after RCPT TO:<nobody@stranger.example>:
    550 5.1.1 User unknown
  full@stranger.example
    mailbox is full

------ This is a copy of the message, including all the headers. ------

{OURS}

Hello
""".encode()

GMAIL = b"""From: Mail Delivery Subsystem <mailer-daemon@googlemail.com>
Subject: Delivery Status Notification (Failure)

** Address not found **

Your message wasn't delivered to nobody@stranger.example because the address couldn't be found.

The response was:

550 5.1.1 The email account that you tried to reach does not exist. x - gsmtp
"""

QQ = b"""From: PostMaster <postmaster@qq.com>
Subject: =?utf-8?b?57O757uf6YCA5L+h?=
Content-Type: text/plain; charset=utf-8

nobody@stranger.example

550 Mailbox not found. http://service.mail.qq.com/cgi-bin/help?id=20022
"""

# RFC 8098: a read receipt looks much like it.
RECEIPT = b"""Content-Type: multipart/report; report-type=disposition-notification; boundary=b

--b
Content-Type: message/disposition-notification

Final-Recipient: rfc822; nobody@stranger.example
Disposition: manual-action/MDN-sent-manually; displayed
--b--
"""
