"""Whether each domain's DKIM key fits, is sealed, is what the running signer uses, and signs a real message."""

from __future__ import annotations

import secrets
import shlex
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from runbooklib import host, signing
from runbooklib.host import HostError
from runbooklib.params import Site
from runbooklib.records import Observed
from runbooklib.records.texts import dkim_key
from runbooklib.results import Check, Checklist, Outcome, Status, judged
from runbooklib.servers import docker_mailserver as dms
from runbooklib.servers import layout, rotation
from runbooklib.servers.docker_mailserver import Server, State
from runbooklib.servers.doors import planned, until_ready
from runbooklib.servers.retired import KEY
from runbooklib.servers.rotation import Turn, record_name

TITLE = "DKIM"
USUAL, LONG = 2048, 4096  # bits


@dataclass(frozen=True)
class Half:
    """What the server says of a private half: its file's mode, and the public half computed from it."""

    mode: str = ""
    public: str = ""


def verify(site: Site, done: Outcome, seen: Observed | None, *, apply: bool, wait: float) -> Checklist:
    """Whether each domain's key is there, fits its private half, is what the signer uses, and signs a message."""
    checks = [until_ready(site, wait)] if done.applied else []
    have, now = dms.observe(site), datetime.now(UTC)
    if have.container is None:
        said = "no mail server yet"
        missing = Check("dkim.key", Status.PENDING, "a key for each domain", said, waits_for="01-bootstrap")
        return Checklist(TITLE, (missing,))
    refused = tuple(_refused(name, why) for name, why in rotation.refusals(site, have, now).items())
    if done.plan and not done.applied:
        return Checklist(TITLE, (*refused, planned("dkim.key", "a live key for each domain")))
    halves = _halves(site, have)
    for turn in rotation.turns(site, have, seen):
        checks += key_rows(turn, have, halves)
        checks.append(signing_row(turn, have))
        if turn.target and (turn.domain.name, turn.target) in have.keys:
            checks.append(_proof(site, turn, have, apply=apply, wait=wait))
    return Checklist(TITLE, (*checks, *refused, *retired_rows(have, now)))


def _refused(domain: str, why: str) -> Check:
    return Check(f"dkim.params {domain}", Status.FAIL, "params that can be carried out", why, "change dkim in params")


def _halves(site: Site, have: State) -> dict[tuple[str, str], Half]:
    """The private half of every key there is."""
    folder = dms.path(site, layout.DKIM_KEYS)
    commands = {}
    for domain, selector in have.private:
        file = shlex.quote(f"{folder}/{domain}/{selector}.private")
        commands[f"{domain}/{selector}"] = f"stat -c %a {file} && openssl pkey -in {file} -pubout -outform DER | base64"
    answers = host.connect(site).facts(commands) if commands else {}
    found = {}
    for name, answer in answers.items():
        domain, _, selector = name.partition("/")
        mode, *public = answer.out.splitlines() or [""]
        found[domain, selector] = Half(mode, "".join(public))
    return found


def key_rows(turn: Turn, have: State, halves: Mapping[tuple[str, str], Half]) -> Iterator[Check]:
    """The key of params and, while it is another, the one that signs."""
    for selector in dict.fromkeys([turn.wanted, turn.target]):
        key = turn.domain.name, selector
        name, public = record_name(*key), have.keys.get(key, "")
        wanted = turn.domain.dkim.size if selector == turn.wanted else 0
        yield size_row(name, public, wanted)
        if public:
            yield from _half_rows(name, public, halves.get(key, Half()))
            if selector == turn.target:
                yield _live_row(name, live=key in have.live)


def size_row(name: str, public: str, wanted: int) -> Check:
    """The key and its length (RFC 8301 3.2: 1024 bits at least, 2048 should be; verifiers know up to 4096)."""
    bits, expected = signing.bits(public) if public else 0, f"an RSA key of {wanted} bits" if wanted else "an RSA key"
    if not public:
        return Check(f"dkim.key {name}", Status.FAIL, expected, "none", "run 03-dkim with apply")
    status, said, fix = Status.PASS, f"RSA, {bits} bits", ""
    if bits < USUAL:
        status, fix = Status.WARN, "rotate: set another dkim.selector and dkim.size 2048 in params"
        said += ": the least verifiers accept, and some no longer do"
    elif wanted and bits != wanted:
        status, fix = Status.WARN, "rotate: set another dkim.selector in params"
        said += ": kept, a key that signs is never replaced in passing"
    elif bits >= LONG:
        said += (
            f": a record of {len(public)} characters, more than the 512 octets of an old UDP answer (RFC 1035 2.3.4)"
        )
    return Check(f"dkim.key {name}", status, expected, said, fix, "RFC 8301 3.2")


def _half_rows(name: str, public: str, half: Half) -> Iterator[Check]:
    fits = dkim_key(public).public == half.public
    yield judged(
        f"dkim.pair {name}",
        fits,
        "public and private halves belong together",
        "they do" if fits else "they do not",
        "rotate to a new selector: this pair can only produce signatures that fail",
        "RFC 6376 3.6.1",
    )
    yield judged(
        f"dkim.permissions {name}",
        bool(half.mode) and not int(half.mode, 8) & 0o077,
        "the private half readable by root only",
        half.mode or "not there",
        "chmod 600 it",
    )


def _live_row(name: str, *, live: bool) -> Check:
    return judged(
        f"dkim.live {name}",
        live,
        "the running signer holds this key",
        "it does" if live else "it holds another or none: keys reach only a new container",
        "run 03-dkim with apply",
    )


def signing_row(turn: Turn, have: State) -> Check:
    """Which key signs; an old one goes on until every resolver shows the new one."""
    name, expected = f"dkim.signing {turn.domain.name}", f"{turn.wanted} signs"
    if turn.waits:
        said = f"{turn.signs} signs still; {turn.wanted} not yet: {turn.unseen}"
        fix = "04-dns publishes it; once every resolver in dns.resolvers shows it, this stage changes over"
        return Check(name, Status.PENDING, expected, said, fix, "RFC 6376 3.1", waits_for="04-dns")
    signs = have.signing.get(turn.domain.name, "")
    said = f"{signs or 'no key'} signs"
    return judged(name, signs == turn.wanted, expected, said, "run 03-dkim with apply", "RFC 6376 3.1")


def retired_rows(have: State, now: datetime) -> Iterator[Check]:
    """Until when each old key is kept, so that mail on its way verifies and going back is possible."""
    for entry in have.retired:
        if entry.kind != KEY or entry.due(now):
            continue
        until, there = f"{entry.until:%Y-%m-%d %H:%MZ}", (entry.domain, entry.selector) in have.keys
        name, expected = f"dkim.retired {record_name(entry.domain, entry.selector)}", f"kept until {until}"
        if there:
            yield Check(name, Status.PASS, expected, f"kept; its end is planned after {until}")
        else:
            fix = "nothing to do but to leave its record in DNS; going back needs a new selector"
            yield Check(name, Status.WARN, expected, "its files are gone from the server", fix)


def _proof(site: Site, turn: Turn, have: State, *, apply: bool, wait: float) -> Check:
    """One message to a local mailbox, verified with the server's own public half (DNS comes in 04)."""
    name = f"dkim.proof {turn.domain.name}"
    expected = f"a local message carries a signature by {turn.target} that verifies"
    if not apply:
        return Check(name, Status.PENDING, expected, "no message is sent without apply", "run again with apply")
    own = [a for a in site.mailboxes if a.endswith(f"@{turn.domain.name}")]
    sender, box = next(iter(own), f"postmaster@{turn.domain.name}"), next(iter(site.mailboxes))
    token = f"runbook-{secrets.token_hex(8)}"
    try:
        raw = _through(site, sender, box, token, wait)
    except HostError as error:
        return Check(name, Status.UNKNOWN, expected, str(error), "look at the mail log")
    if raw is None:
        return Check(name, Status.UNKNOWN, expected, f"{token} did not arrive at {box} in time", "look at the mail log")
    return signature_row(name, expected, turn, raw, have.keys)


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


def signature_row(name: str, expected: str, turn: Turn, raw: bytes, keys: Mapping[tuple[str, str], str]) -> Check:
    """Whether the key that should sign did, by the public halves on the server."""
    made = list(signing.signatures(raw, {record_name(*key): public for key, public in keys.items()}))
    if not made:
        fix = "the signer's table holds no row for this sender, or the key is not live: run 03-dkim with apply"
        return Check(name, Status.FAIL, expected, "no DKIM-Signature header", fix, "RFC 6376 5")
    ours = any(s.good and (s.domain, s.selector) == (turn.domain.name, turn.target) for s in made)
    said = ", ".join(f"{s.selector} for {s.domain} {'verifies' if s.good else 'does not verify'}" for s in made)
    return judged(name, ours, expected, said, "the live key is another than in config/opendkim/keys: run 03-dkim")
