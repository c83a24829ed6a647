"""A real rspamd, asked about a message with the envelope its recipient saw."""

from __future__ import annotations

from rehearsed import Rehearsed

from runbooklib.delivery.filters import Sample, remote
from runbooklib.params import Rspamd
from runbooklib.results import Status

DATE = "Sun, 22 Nov 2026 09:00:00 +0000"
MESSAGE = f"""\
Received: from mx.stranger.example (mx.stranger.example [192.0.2.1])
\tby mail.lantern.example with ESMTPS id 1 for <hi@lantern.example>; {DATE}
From: friend@stranger.example
To: hi@lantern.example
Subject: a word
Date: {DATE}
Message-ID: <1@stranger.example>

A word.
""".replace("\n", "\r\n").encode()


def test_the_envelope_decides_what_spf_says(testbed: Rehearsed) -> None:
    host, sender = "mx.stranger.example", "friend@stranger.example"
    ask, own = remote(Rspamd(url=testbed.state.mx.rspamd)), testbed.state.mx.ipv4
    good = ask(Sample("good", MESSAGE, own, host, host, sender, "hi@lantern.example"))
    forged = ask(Sample("forged", MESSAGE, testbed.state.server.ipv4, host, "", sender, "hi@lantern.example"))
    assert good.status is Status.PASS, good
    assert "R_SPF_ALLOW" in {symbol.name for symbol in good.symbols}
    assert "R_SPF_FAIL" in {symbol.name for symbol in forged.symbols}
    assert forged.points > good.points
