"""Whether each domain's DKIM key fits, is sealed, is what the running signer uses, and signs a real message."""

from __future__ import annotations

import email
import email.policy
import secrets
import time

import dkim

from runbooklib import host, signing
from runbooklib.host import HostError
from runbooklib.params import Site
from runbooklib.records.texts import dkim_key
from runbooklib.results import Check, Checklist, Outcome, Status, judged
from runbooklib.servers import docker_mailserver as dms
from runbooklib.servers import layout
from runbooklib.servers.docker_mailserver import Server
from runbooklib.servers.doors import planned, until_ready


def verify(site: Site, done: Outcome, *, apply: bool, wait: float) -> Checklist:
    """Whether each domain's key is there, fits its private half, is what the signer uses, and signs a message."""
    title = "DKIM"
    checks = [until_ready(site, wait)] if done.applied else []
    have = dms.observe(site)
    if have.container is None:
        missing = Check(
            "dkim.key", Status.PENDING, "a key for each domain", "no mail server yet", waits_for="01-bootstrap"
        )
        return Checklist(title, (missing,))
    if done.plan and not done.applied:
        return Checklist(title, (planned("dkim.key", "a live key for each domain"),))
    halves = _private_halves(site)
    for domain in site.domains:
        key, name = (domain.name, domain.dkim.selector), f"{domain.dkim.selector}._domainkey.{domain.name}"
        public = have.keys.get(key, "")
        checks += _key_rows(name, public, halves.get(key, ("", "")), live=key in have.live, size=domain.dkim.size)
        if public:
            checks.append(_signed(site, domain.name, public, apply=apply, wait=wait))
    return Checklist(title, tuple(checks))


def _private_halves(site: Site) -> dict[tuple[str, str], tuple[str, str]]:
    """For each domain's key: the mode of the private file and the public half computed from it."""
    folder = dms.path(site, "config/opendkim/keys")
    commands = {}
    for domain in site.domains:
        file = f"{folder}/{domain.name}/{domain.dkim.selector}.private"
        commands[f"{domain.name}/{domain.dkim.selector}"] = (
            f"stat -c %a {file} && openssl pkey -in {file} -pubout -outform DER | base64 -w0"
        )
    answers = host.connect(site).facts(commands)
    return {
        (d, s): (lines[0], lines[1])
        for name, answer in answers.items()
        if answer.ok and len(lines := answer.out.splitlines()) > 1
        for d, _, s in [name.partition("/")]
    }


def _key_rows(name: str, public: str, private: tuple[str, str], *, live: bool, size: int) -> list[Check]:
    if not public:
        fix = "run 03-dkim with apply"
        return [Check(f"dkim.key {name}", Status.FAIL, f"an RSA key of {size} bits", "none", fix)]
    mode, half = private
    seen = signing.bits(public)
    return [
        Check(
            f"dkim.key {name}",
            Status.PASS if seen == size else Status.WARN,
            f"RSA, {size} bits",
            f"RSA, {seen} bits" + ("" if seen == size else ": kept, a key that signs is never replaced in passing"),
            "" if seen == size else "rotate to a new selector",
            "RFC 8301 3.2",
        ),
        judged(
            f"dkim.pair {name}",
            dkim_key(public).public == half,
            "public and private halves belong together",
            "they do" if dkim_key(public).public == half else "they do not",
            "rotate to a new selector: this pair can only produce signatures that fail",
            "RFC 6376 3.6.1",
        ),
        judged(
            f"dkim.permissions {name}",
            bool(mode) and not int(mode, 8) & 0o077,
            "the private half readable by root only",
            mode or "not there",
            "chmod 600 it",
        ),
        judged(
            f"dkim.live {name}",
            live,
            "the running signer uses this key",
            "it does" if live else "it uses another or none: keys reach only a new container",
            "run 03-dkim with apply",
        ),
    ]


def _signed(site: Site, domain: str, public: str, *, apply: bool, wait: float) -> Check:
    """One message to a local mailbox, verified with the server's own public half (DNS comes in 04)."""
    name, expected = f"dkim.proof {domain}", "a local message carries a signature that verifies"
    if not apply:
        return Check(name, Status.PENDING, expected, "no message is sent without apply", "run again with apply")
    own = [a for a in site.mailboxes if a.endswith(f"@{domain}")]
    sender, box = (
        (own or [layout.owner(site, next(d for d in site.domains if d.name == domain))])[0],
        next(iter(site.mailboxes)),
    )
    if not own:
        sender = f"postmaster@{domain}"
    token = f"runbook-{secrets.token_hex(8)}"
    try:
        raw = _through(site, sender, box, token, wait)
    except HostError as error:
        return Check(name, Status.UNKNOWN, expected, str(error), "look at the mail log")
    if raw is None:
        return Check(name, Status.UNKNOWN, expected, f"{token} did not arrive at {box} in time", "look at the mail log")
    return _verified(name, expected, domain, raw, public)


def _through(site: Site, sender: str, box: str, token: str, wait: float) -> bytes | None:
    """Hands a message to the server's own sendmail and reads it from the mailbox."""
    server = Server(site)
    text = (
        f"From: {sender}\nTo: {box}\nSubject: DKIM proof {token}\n\n"
        f"Sent by 03-dkim to see whether the running signer signs. It may be deleted.\n"
    )
    sent = server.inside(("sendmail", "-f", sender, box), text)
    if not sent.ok:
        raise HostError(f"sendmail on the server refused the message: {sent.err or sent.out}")
    deadline = time.monotonic() + max(min(wait, 60), 5)
    fetch = ("doveadm", "fetch", "-u", box, "text", "mailbox", "INBOX", "subject", token)
    while time.monotonic() < deadline:
        answer = server.inside(fetch)
        if answer.ok and token in answer.out:
            return answer.out.partition("\n")[2].rstrip("\f\n").replace("\r\n", "\n").encode() + b"\n"
        time.sleep(0.5)
    return None


def _verified(name: str, expected: str, domain: str, raw: bytes, public: str) -> Check:
    signatures = email.message_from_bytes(raw, policy=email.policy.compat32).get_all("DKIM-Signature") or []
    if not signatures:
        fix = "the signer's table holds no row for this sender, or the key is not live: run 03-dkim with apply"
        return Check(name, Status.FAIL, expected, "no DKIM-Signature header", fix, "RFC 6376 5")
    wire = raw.replace(b"\n", b"\r\n")  # signatures are over CRLF lines (RFC 6376 3.4)
    message = dkim.DKIM(wire)
    ours = any(
        message.verify(idx=i, dnsfunc=lambda *_, **__: public.encode()) and message.domain == domain.encode()
        for i in range(len(signatures))
    )
    observed = f"signatures: {len(signatures)}; {'verified' if ours else 'none verifies'} for {domain}"
    return judged(
        name, ours, expected, observed, "the live key differs from config/opendkim/keys: run 03-dkim with apply"
    )
