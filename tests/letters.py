"""A message that went out through the relay, and one that came in, as their receivers keep them; tests bend them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

import dkim
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from runbooklib.answers import Answer, Question, Word

DATE = "Sat, 21 Nov 2026 20:16:13 +0000"
AT = 1795292173.0  # the same moment
MARKER = "20261121T201613Z-lantern"


def key() -> tuple[bytes, str]:
    """The private key that everything here is signed with, as PEM, and its public half as a DKIM record."""
    return pair(2048)


@cache
def pair(bits: int) -> tuple[bytes, str]:
    """The same of another size."""
    private = rsa.generate_private_key(65537, bits)
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    lines = "".join(public.splitlines()[1:-1])
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    return pem, f"v=DKIM1; k=rsa; p={lines}"


TEXTS = {
    "lantern.example": "v=spf1 ip4:198.51.100.5 -all",
    "send.lantern.example": "v=spf1 ip4:198.51.100.5 -all",
    "mail._domainkey.lantern.example": "",
    "relay._domainkey.lantern.example": "",
    "_dmarc.lantern.example": "v=DMARC1; p=none",
    "stranger.example": "v=spf1 ip4:198.51.100.6 -all",
    "_dmarc.stranger.example": "v=DMARC1; p=reject",
}
HOSTS = {"stranger.example": "10 mx.stranger.example", "lantern.example": "10 mail.lantern.example"}
POINTERS = {"5.100.51.198.in-addr.arpa": "smtp.example.net", "6.100.51.198.in-addr.arpa": "mx.stranger.example"}
ADDRESSES = {"smtp.example.net": "198.51.100.5", "mx.stranger.example": "198.51.100.6"}


@dataclass
class Zone:
    """A Lookup over one text and one exchanger a name; what is silent answers nothing."""

    texts: Mapping[str, str]
    silent: tuple[str, ...] = ()  # parts of names, or * for all
    asked: list[Question] = field(default_factory=list)

    async def __call__(self, name: str, type: str) -> Answer:  # noqa: A002 - the field's word
        question = Question(name, type)
        self.asked.append(question)
        if any(part in name or part == "*" for part in self.silent):
            return Answer(question, "192.0.2.53", Word.TIMEOUT)
        held = {"TXT": self.texts, "MX": HOSTS, "PTR": POINTERS, "A": ADDRESSES}.get(type, {})
        if name not in held:
            return Answer(question, "192.0.2.53", Word.NXDOMAIN)
        return Answer(question, "192.0.2.53", Word.NOERROR, values=(held[name],), ttl=300)


def zone(*silent: str, at: Mapping[str, str] | None = None, **changes: str | None) -> Zone:
    """What DNS says; a keyword replaces the record of that first label, None takes it away, `at` goes by whole name."""
    keys = {name: key()[1] for name, text in TEXTS.items() if not text}
    texts = TEXTS | keys | dict(at or {})
    first = {name.partition(".")[0]: name for name in TEXTS if name.endswith("lantern.example")}
    texts |= {first[label]: text for label, text in changes.items() if text is not None}
    gone = {first[label] for label, text in changes.items() if text is None}
    return Zone({name: text for name, text in texts.items() if name not in gone}, silent)


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


@cache
def signed(letter: bytes, selector: str) -> bytes:
    """The letter under a signature; remembered, since dkimpy reckons in Python and most tests sign the same letter."""
    fields = [b"from", b"to", b"subject"]
    return dkim.sign(letter, selector.encode(), b"lantern.example", key()[0], include_headers=fields) + letter


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
        out = letter.encode()
        for selector in self.selectors:
            out = signed(out, selector)
        for old, new in self.changed.items():
            out = out.replace(old.encode(), new.encode())
        above = "\n".join(filter(None, [self.path, self.kept, self.results, self.taken, self.relayed, self.submitted]))
        return above.replace("\n", "\r\n").encode() + b"\r\n" + out


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
