"""Received headers as servers write them: TLS of each hop, where the recipient took it in, and whose clock is wrong."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from letters import DATE, KEPT, TAKEN

from runbooklib import eml
from runbooklib.eml import hops
from runbooklib.eml.border import own_fields
from runbooklib.eml.hops import Hop, timeline

# By the program that wrote it; below: HELO, address, its own lookup, by, protocol, TLS, where - is nothing.
WRITTEN = {
    "Postfix": """\
from mail.lantern.example (smtp.example.net [198.51.100.5])
 (using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)
 key-exchange X25519 server-signature RSA-PSS (2048 bits))
 (Client did not present a certificate)
 by mx.stranger.example (Postfix) with ESMTPS id 4F1A2B
mail.lantern.example 198.51.100.5 smtp.example.net mx.stranger.example ESMTPS TLSv1.3 TLS_AES_256_GCM_SHA384""",
    "Exim with HELO": """\
from smtp.example.net ([198.51.100.5] helo=mail.lantern.example)
 by mx.stranger.example with esmtps (TLS1.3) tls TLS_AES_256_GCM_SHA384
 (Exim 4.97) (envelope-from <a@lantern.example>) id 1rABCD-000123-XY for b@stranger.example
mail.lantern.example 198.51.100.5 smtp.example.net mx.stranger.example esmtps TLSv1.3 TLS_AES_256_GCM_SHA384""",
    "Exim without a name": """\
from [198.51.100.5] (helo=mail.lantern.example)
 by mx.stranger.example with esmtps (TLSv1.2:ECDHE-RSA-AES256-GCM-SHA384:256) (Exim 4.89) id 1rABCD
mail.lantern.example 198.51.100.5 - mx.stranger.example esmtps TLSv1.2 ECDHE-RSA-AES256-GCM-SHA384""",
    "Exim, HELO is its name": """\
from smtp.example.net ([198.51.100.5]:46792) by mx.stranger.example with esmtp (Exim 4.97) id 1rABCD
smtp.example.net 198.51.100.5 smtp.example.net mx.stranger.example esmtp -""",
    "Exchange Online": """\
from smtp.example.net (198.51.100.5) by
 AM5.mail.protection.outlook.com (10.152.16.152) with Microsoft SMTP
 Server (version=TLS1_3, cipher=TLS_AES_256_GCM_SHA384) id
 15.20.8182.11 via Frontend Transport
smtp.example.net 198.51.100.5 - am5.mail.protection.outlook.com Microsoft_SMTP_Server TLSv1.3 TLS_AES_256_GCM_SHA384""",
    "Exchange inside": """\
from AM6PR03.eurprd03.prod.outlook.com ([fe80::1956:d274:cab3:b4])
 by AM6PR03.eurprd03.prod.outlook.com ([fe80::1956:d274:cab3:b4%7]) with mapi id 15.20.7202.031
am6pr03.eurprd03.prod.outlook.com fe80::1956:d274:cab3:b4 - am6pr03.eurprd03.prod.outlook.com mapi -""",
    "Gmail": """\
from smtp.example.net (smtp.example.net. [198.51.100.5])
 by mx.google.com with ESMTPS id 4fb4d7 for <someone@gmail.com>
 (version=TLS1_3 cipher=TLS_AES_256_GCM_SHA384 bits=256/256)
smtp.example.net 198.51.100.5 smtp.example.net mx.google.com ESMTPS TLSv1.3 TLS_AES_256_GCM_SHA384""",
    "Gmail inside": """\
by 2002:a05:7300:5b98:b0:119:a8b7:1a14 with SMTP id rn24csp123456dyb
- - - 2002:a05:7300:5b98:b0:119:a8b7:1a14 SMTP -""",
    "Dovecot": """\
from mx.stranger.example ([198.51.100.6])
 by imap.stranger.example with LMTP id wB4pCF8 (envelope-from <>)
mx.stranger.example 198.51.100.6 - imap.stranger.example LMTP -""",
    "qmail": """\
from unknown (HELO mail.lantern.example) (198.51.100.5)
  by mx.stranger.example with SMTP
mail.lantern.example 198.51.100.5 unknown mx.stranger.example SMTP -""",
    "netqmail with TLS": """\
from smtp.example.net (198.51.100.5)
  by mx.stranger.example with (ECDHE-RSA-AES256-GCM-SHA384 encrypted) SMTP
smtp.example.net 198.51.100.5 - mx.stranger.example SMTP ECDHE-RSA-AES256-GCM-SHA384""",
    "qmail inside": """\
(qmail 12345 invoked by uid 89)
- - - - - -""",
    "Yahoo": """\
from 198.51.100.5 (EHLO smtp.example.net)
 by 10.197.33.69 with SMTPs (version=TLS1_3 cipher=TLS_AES_128_GCM_SHA256)
smtp.example.net 198.51.100.5 - 10.197.33.69 SMTPs TLSv1.3 TLS_AES_128_GCM_SHA256""",
    "OpenSMTPD": """\
from smtp.example.net (smtp.example.net [198.51.100.5])
 by mx.stranger.example (OpenSMTPD) with ESMTPS id ab12cd34 (TLSv1.3:TLS_AES_256_GCM_SHA384:256:NO)
smtp.example.net 198.51.100.5 smtp.example.net mx.stranger.example ESMTPS TLSv1.3 TLS_AES_256_GCM_SHA384""",
    "Sendmail": """\
from mail.lantern.example (smtp.example.net [198.51.100.5] (may be forged))
 by mx.stranger.example (8.18.1/8.18.1) with ESMTPS id 43JM65
 (version=TLSv1.2 cipher=ECDHE-RSA-AES256-GCM-SHA384 bits=256 verify=NOT)
mail.lantern.example 198.51.100.5 smtp.example.net mx.stranger.example ESMTPS TLSv1.2 ECDHE-RSA-AES256-GCM-SHA384""",
    "QQ": """\
from smtp.example.net ([198.51.100.5])
 by newxmmxszc6-1.qq.com (NewMX) with SMTP id 6010A8AD
smtp.example.net 198.51.100.5 - newxmmxszc6-1.qq.com SMTP -""",
    "Coremail (163)": """\
from smtp.example.net (unknown [198.51.100.5])
 by mx12 (Coremail) with SMTP id aMCowABH
smtp.example.net 198.51.100.5 unknown mx12 SMTP -""",
    "mox": """\
from smtp.example.net (smtp.example.net [198.51.100.5]) by mx.stranger.example
 via tcp with ESMTPS id x1 (TLS1.3 TLS_AES_128_GCM_SHA256) for <b@stranger.example>
smtp.example.net 198.51.100.5 smtp.example.net mx.stranger.example ESMTPS TLSv1.3 TLS_AES_128_GCM_SHA256""",
    "Haraka": """\
from smtp.example.net (smtp.example.net [198.51.100.5])
 by mx.stranger.example (Haraka) with ESMTPS id 1.1 envelope-from <a@lantern.example>
 tls TLS_AES_256_GCM_SHA384 (authenticated bits=0)
smtp.example.net 198.51.100.5 smtp.example.net mx.stranger.example ESMTPS TLS_AES_256_GCM_SHA384""",
    "Stalwart": """\
from smtp.example.net (smtp.example.net [198.51.100.5] (AS64496))
 (using TLSv1.3 with cipher TLS13_AES_256_GCM_SHA384)
 by mx.stranger.example (Stalwart SMTP) with ESMTPS id 1F
smtp.example.net 198.51.100.5 smtp.example.net mx.stranger.example ESMTPS TLSv1.3 TLS13_AES_256_GCM_SHA384""",
    "Mimecast": """\
from smtp.example.net (smtp.example.net [198.51.100.5]) by relay.mimecast.com with ESMTP with STARTTLS
 (version=TLSv1.3, cipher=TLS_AES_256_GCM_SHA384) id us-mta-1
smtp.example.net 198.51.100.5 smtp.example.net relay.mimecast.com ESMTP TLSv1.3 TLS_AES_256_GCM_SHA384""",
    "a HELO that claims TLS": """\
from TLSv1.3 (cipher=TLS_AES_256_GCM_SHA384.x [198.51.100.5]) by mx.stranger.example with ESMTP id 1
tlsv1.3 198.51.100.5 cipher=tls_aes_256_gcm_sha384.x mx.stranger.example ESMTP -""",
    "an address that claims TLS": """\
from a.example (a.example [198.51.100.5]) by mx.stranger.example with ESMTP id 1 for <TLSv1.3@x>
a.example 198.51.100.5 a.example mx.stranger.example ESMTP -""",
}


def header(program: str) -> str:
    """What it wrote, without the time."""
    return WRITTEN[program].rpartition("\n")[0]


@pytest.mark.parametrize("program", WRITTEN)
def test_what_each_program_writes_is_read(program: str) -> None:
    hop = hops.parse(f"{header(program)}; {DATE}")
    told = (hop.said, hop.address, hop.named, hop.by, hop.protocol.replace(" ", "_"), hop.tls)
    assert " ".join(word or "-" for word in told) == WRITTEN[program].rpartition("\n")[2]
    assert hop.time is not None


def test_an_ipv4_client_at_a_socket_for_both_is_an_ipv4_client() -> None:
    hop = hops.parse(f"from x (x [IPv6:::ffff:198.51.100.5]) by mx.stranger.example with ESMTP id 1; {DATE}")
    assert hop.address == "198.51.100.5"


@pytest.mark.parametrize(
    ("program", "secure"),
    [("Postfix", True), ("Exim, HELO is its name", False), ("Yahoo", True), ("netqmail with TLS", True),
     ("Mimecast", True), ("QQ", False), ("a HELO that claims TLS", False), ("an address that claims TLS", False)],
)  # fmt: skip
def test_whether_it_was_encrypted(program: str, secure: bool) -> None:
    assert hops.parse(f"{header(program)}; {DATE}").secure is secure


@pytest.mark.parametrize(("said", "outdated"), [("TLSv1", True), ("TLSv1.1", True), ("TLSv1.2", False), ("", False)])
def test_old_versions_are_told_apart(said: str, outdated: bool) -> None:
    hop = hops.parse(f"from a (a [198.51.100.5]) (using {said} with cipher X) by b with ESMTPS id 1; {DATE}")
    assert hop.outdated is outdated


@pytest.mark.parametrize(
    "stamp", ["21 Nov 2026 20:16:13 -0000", "Sat, 21 Nov 2026 20:16:13 GMT", "Sun, 22 Nov 2026 04:16:13 +0800 (CST)"]
)
def test_every_way_to_write_one_moment(stamp: str) -> None:
    assert hops.parse(f"by x.example; {stamp}").time == hops.parse(f"by x.example; {DATE}").time


def mail(*received: str) -> eml.Eml:
    """A message with these Received headers, the newest first."""
    return eml.read("".join(f"Received: {value}; {DATE}\r\n" for value in received).encode() + b"\r\n")


def address(found: Hop | None) -> str:
    return found.address if found else ""


OUTSIDE = "198.51.100.5"
FROM_US = "from mail.lantern.example (mail.lantern.example [203.0.113.10]) by smtp.example.net with ESMTPS id 1"
MICROSOFT = (
    "from DM6PR15.namprd15.prod.outlook.com (2603:10b6:408:c0::33) by DM5PR12.namprd12.prod.outlook.com with HTTPS",
    """from BN8NAM11FT037.eop-nam11.prod.protection.outlook.com (2603:10b6:408:c0:cafe::60)
 by BN8PR15.outlook.office365.com (2603:10b6:408:c0::33) with Microsoft SMTP Server id 15""",
    header("Exchange Online"),
    FROM_US,
)
FILTERED = (
    "from mx.filter.example (mx.filter.example [192.0.2.20]) by inner.stranger.example with ESMTPS id 3",
    f"from smtp.example.net (smtp.example.net [{OUTSIDE}]) by mx.filter.example with ESMTPS id 2",
    FROM_US,
)
RELAYED_THERE = (
    "from mail-sor-f41.google.com (mail-sor-f41.google.com. [209.85.220.41]) by mx.google.com with SMTPS id 2",
    "from mail.lantern.example (mail.lantern.example. [203.0.113.10]) by smtp.gmail.com with ESMTPSA id 1",
)
ONE = f"from smtp.example.net (smtp.example.net [{OUTSIDE}]) by"


@pytest.mark.parametrize(
    ("hosts", "received", "expected"),
    [
        (("mx.stranger.example",), (f"{ONE} mx.stranger.example with ESMTPS id 2", FROM_US), OUTSIDE),
        (("stranger.example",), (f"{ONE} mx9.stranger.example with ESMTPS id 2", FROM_US), OUTSIDE),
        (("gmail-smtp-in.l.google.com", "gmail.com"), (header("Gmail inside"), header("Gmail")), OUTSIDE),
        (("lantern-example.mail.protection.outlook.com",), MICROSOFT, OUTSIDE),
        (("mta5.am0.yahoodns.net", "yahoo.com"), (header("Yahoo"), FROM_US), OUTSIDE),
        (("163mx03.mxmail.netease.com", "163.com"), (header("Coremail (163)"), FROM_US), OUTSIDE),
        (("mx3.qq.com", "qq.com"), (header("QQ"), FROM_US), OUTSIDE),
        (("mx.filter.example", "stranger.example"), FILTERED, OUTSIDE),  # a filter of the recipient's before it
        (("mx.filter.example",), FILTERED, OUTSIDE),
        (("mx.nobody.example",), (f"{ONE} mx.stranger.example with ESMTPS id 2", FROM_US), ""),
        (("gmail.com",), RELAYED_THERE, "209.85.220.41"),  # Google relays for us, to a mailbox of its own
        ((), (header("Coremail (163)"),), ""),
        (("mx.stranger.example",), (), ""),
    ],
)
def test_where_the_recipient_took_it_in(hosts: tuple[str, ...], received: tuple[str, ...], expected: str) -> None:
    assert address(eml.border(mail(*received), hosts)) == expected


FORGED = "from good.example (good.example [192.0.2.99]) by mx.stranger.example with ESMTPS id 0"


@pytest.mark.parametrize(
    "client",
    [
        f"from mx.stranger.example (unknown [{OUTSIDE}]) by mx.stranger.example with ESMTP id 2",  # HELO with our name
        f"from a.stranger.example (evil.example [{OUTSIDE}]) by mx.stranger.example with ESMTP id 2",
        f"from a.stranger.example ([{OUTSIDE}]) by mx.stranger.example with ESMTP id 2",  # nothing looked up
        f"from [10.0.0.1] (unknown [{OUTSIDE}]) by mx.stranger.example with ESMTP id 2",
    ],
)
def test_a_client_that_borrows_the_recipients_name_is_foreign(client: str) -> None:
    assert address(eml.border(mail(client, FORGED), ("mx.stranger.example",))) == OUTSIDE


def test_a_gateway_of_docker_is_the_client_that_is_seen() -> None:
    hidden = "from mx.stranger.example (unknown [172.18.0.1]) by mail.lantern.example with ESMTPS id 2"
    assert address(eml.border(mail(hidden), ("mail.lantern.example",))) == "172.18.0.1"


def at(*seconds: float | None) -> list[Hop]:
    """Hops by a.example, b.example and so on, at these seconds after our own start."""
    named = zip("abcdefgh", seconds, strict=False)
    return [
        hops.parse(f"from x (x [192.0.2.1]) by {name}.example with ESMTPS id 1; {stamp(second)}")
        for name, second in named
    ]


def stamp(second: float | None) -> str:
    return "" if second is None else format_datetime(datetime.fromtimestamp(BEGAN + second, UTC))


BEGAN = 1795291200.0  # Sat, 21 Nov 2026 20:00:00 +0000


@pytest.mark.parametrize(
    ("seconds", "skews", "took"),
    [
        ((1, 3, 4), {}, [None, 2, 1]),
        ((1, 301, 4), {"b.example": 297}, [None, None, 3]),  # goes back relative to both neighbours
        ((301, 3, 4), {"a.example": 298}, [None, None, 1]),
        ((601, 700, 301), {"c.example": -399}, [None, 99, None]),
        ((1, 3, 3, 2), {}, [None, 2, 0, 0]),  # a second is what they are rounded to
        ((1, None, 5), {}, [None, None, 4]),
        ((1, 3600, 3601), {}, [None, 3599, 1]),  # slow, or two clocks wrong in the same way: nobody can tell
        ((), {}, []),
    ],
)
def test_whose_clock_is_wrong_is_told_by_the_others(
    seconds: tuple[float | None, ...], skews: dict[str, float], took: list[float | None]
) -> None:
    found = timeline(at(*seconds))
    assert dict(found.skews) == skews
    assert [step.seconds for step in found] == took


@pytest.mark.parametrize(
    ("seconds", "skews", "total"),
    [
        ((1, 3, 4), {}, 6),
        ((300, 301, 302), {"": -296}, 302),  # three servers agree: it is this machine
        ((300,), {"a.example": 294}, 6),
        ((-400, 3, 4), {"a.example": -400}, 6),
        ((1, 500, 4), {"b.example": 496}, 6),
    ],
)
def test_this_machines_own_clock_counts_too(seconds: tuple[float, ...], skews: dict[str, float], total: float) -> None:
    found = timeline(at(*seconds), BEGAN, BEGAN + 6)
    assert dict(found.skews) == skews
    assert found.total == total


def test_the_slowest_hop_and_the_words_for_a_skew() -> None:
    found = timeline(at(1, 3, 40, 41))
    assert found.slowest is not None
    assert (found.slowest.hop.by, found.slowest.seconds) == ("c.example", 37)
    assert [step.told for step in timeline(at(1, 301, 4)) if step.told] == ["the clock of b.example is 297 s ahead"]


def test_what_stands_above_the_border_is_the_recipients() -> None:
    raw = f"A: 1\r\n{KEPT}\r\nB: 2\r\n{TAKEN}\r\nC: 3\r\nReceived: {FROM_US}; {DATE}\r\nD: 4\r\n\r\n"
    found = eml.read(raw.replace("\r\n", "\n").replace("\n", "\r\n").encode())
    above, below = border_fields(found)
    assert (above, below) == (["a", "received", "b"], ["c"])


def border_fields(found: eml.Eml) -> tuple[list[str], list[str]]:
    above, below = own_fields(found, eml.border(found, ["mx.stranger.example"]))
    return [name for name, _ in above], [name for name, _ in below]
