"""A message that went out through the relay, and one that came in, as their receivers keep them; tests bend them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

import dkim
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from runbooklib.delivery.names import Names

DATE = "Sat, 21 Nov 2026 20:16:13 +0000"
AT = 1795292173.0  # the same moment
MARKER = "20261121T201613Z-lantern"


@cache
def key() -> tuple[bytes, str]:
    """A private key as PEM, and its public half as a DKIM record."""
    private = rsa.generate_private_key(65537, 2048)
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    lines = "".join(public.splitlines()[1:-1])
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    return pem, f"v=DKIM1; k=rsa; p={lines}"


def zone(**changes: str | None) -> Names:
    """What DNS says; `_` in a keyword stands for nothing, values replace records by their first label."""
    texts = {
        "mail._domainkey.lantern.example": key()[1],
        "relay._domainkey.lantern.example": key()[1],
        "_dmarc.lantern.example": "v=DMARC1; p=none",
        "_dmarc.stranger.example": "v=DMARC1; p=reject",
    }
    first = {name.partition(".")[0]: name for name in texts if "lantern" in name}
    texts |= {first[label]: text for label, text in changes.items() if text is not None}
    gone = {first[label] for label, text in changes.items() if text is None}
    return Names(lambda name: [texts[name]] if name in texts and name not in gone else [], _mx)


def _mx(domain: str) -> list[str]:
    return [{"stranger.example": "mx.stranger.example", "lantern.example": "mail.lantern.example"}[domain]]


RESULTS = """Authentication-Results: mx.stranger.example;
 dkim=pass header.d=lantern.example header.s=mail;
 spf=pass smtp.mailfrom=hi@lantern.example;
 dmarc=pass (policy=none) header.from=lantern.example"""
SUBMITTED = f"""Received: from laptop (unknown [192.0.2.77])
 by mail.lantern.example (Postfix) with ESMTPSA id 9EAA32F83C2
 for <friend@stranger.example>; {DATE}"""
RELAYED = f"""Received: from mail.lantern.example (mail.lantern.example [203.0.113.10])
 (using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits))
 by smtp.example.net (Postfix) with ESMTPSA id C60332F61DD; {DATE}"""
TAKEN = f"""Received: from smtp.example.net (smtp.example.net [198.51.100.5])
 (using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits))
 by mx.stranger.example (Postfix) with ESMTPS id D93C52F64A7
 for <friend@stranger.example>; {DATE}"""
KEPT = f"""Received: from mx.stranger.example by mx.stranger.example with LMTP id x
 for <friend@stranger.example>; {DATE}"""


@dataclass(frozen=True)
class Out:
    """An outbound message at its recipient; each part can be replaced, an empty one left out."""

    path: str = "Return-Path: <hi@lantern.example>"
    kept: str = KEPT
    results: str = RESULTS
    taken: str = TAKEN
    relayed: str = RELAYED
    submitted: str = SUBMITTED
    sender: str = "From: hi@lantern.example"
    date: str = f"Date: {DATE}"
    ident: str = f"Message-ID: <{MARKER}.1@lantern.example>"
    selectors: tuple[str, ...] = ("mail",)
    body: str = "Hello,\n\nthis is a test message.\n"
    changed: Mapping[str, str] = field(default_factory=dict)  # after signing

    def raw(self) -> bytes:
        headers = [self.sender, "To: friend@stranger.example", f"Subject: runbook test {MARKER}.1: outbound"]
        letter = "\n".join([*filter(None, [*headers, self.date, self.ident]), "", self.body]).replace("\n", "\r\n")
        signed = letter.encode()
        for selector in self.selectors:
            fields = [b"from", b"to", b"subject"]
            signed = dkim.sign(signed, selector.encode(), b"lantern.example", key()[0], include_headers=fields) + signed
        for old, new in self.changed.items():
            signed = signed.replace(old.encode(), new.encode())
        above = "\n".join(filter(None, [self.path, self.kept, self.results, self.taken, self.relayed, self.submitted]))
        return above.replace("\n", "\r\n").encode() + b"\r\n" + signed


CAME = f"""Received: from mx.stranger.example (mx.stranger.example [198.51.100.6])
 (using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits))
 by mail.lantern.example (Postfix) with ESMTPS id B4AC126729C
 for <probe-x@lantern.example>; {DATE}"""


@dataclass(frozen=True)
class In:
    """A message from outside in our mailbox."""

    to: str = "X-Original-To: probe-x@lantern.example"
    results: str = "Authentication-Results: mail.lantern.example; dmarc=pass header.from=stranger.example"
    spf: str = "Received-SPF: Pass (mailfrom) client-ip=198.51.100.6; envelope-from=friend@stranger.example"
    came: str = CAME
    before: str = f"Received: from laptop (unknown [192.0.2.77])\n by mx.stranger.example with ESMTPSA id x; {DATE}"

    def raw(self) -> bytes:
        headers = ["From: friend@stranger.example", f"Subject: runbook test {MARKER}.3: inbound", f"Date: {DATE}"]
        lines = [*filter(None, [self.to, self.results, self.spf, self.came, self.before]), *headers, "", "Hello\n"]
        return "\n".join(lines).replace("\n", "\r\n").encode()
