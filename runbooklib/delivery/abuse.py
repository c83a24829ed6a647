"""What our server must refuse, and what it must let its own users do, judged by its answers at RCPT."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from runbooklib.delivery import denials
from runbooklib.delivery.asking import NO_AUTH, REFUSED, TAKEN, Asked
from runbooklib.delivery.questions import CAUGHT, SMTP_PORT, Envelope, Kind, Question, classic, outside
from runbooklib.params import DOCKER_MAILSERVER, MAILCOW, Site
from runbooklib.results import Check, Status, judged

EXPECTED = {
    Kind.OPEN_RELAY: "mail between strangers is refused, however it is addressed",
    Kind.REFUSED: "RCPT TO: 550 5.1.1",
    Kind.SENDS_AS: "as itself, its aliases and what its catch-all takes, and as nobody else",
    Kind.CLEAR: "no AUTH before TLS",
    Kind.IMPLICIT: "TLS from the first byte",
    Kind.PASSWORD: "a wrong password is refused",
    Kind.LOGIN: "the password of params opens it",
    Kind.GREETING: "the server's name in banner and EHLO, and its address leads back to it",
    Kind.ACCOUNTS: "VRFY does not tell who has a mailbox",
    Kind.SMUGGLING: "a bare LF ends no message",
}
REFERENCES = {
    Kind.OPEN_RELAY: "RFC 5321 3.6.2, 7.9",
    Kind.REFUSED: "RFC 3463 3.2",
    Kind.SENDS_AS: "RFC 6409 6.1",
    Kind.CLEAR: "RFC 8314 3.3, RFC 4954 4",
    Kind.IMPLICIT: "RFC 8314 3.3",
    Kind.PASSWORD: "RFC 4954 6",
    Kind.LOGIN: "RFC 8314 3.3",
    Kind.GREETING: "RFC 5321 4.1.1.1, 4.3.1",
    Kind.ACCOUNTS: "RFC 5321 3.5.3, 7.3",
    Kind.SMUGGLING: "RFC 5321 2.3.8, 4.1.1.4",
}
RELAYING = "the server takes mail for others: look at mynetworks and smtpd_relay_restrictions at once"
NOT_ASKED = {Kind.SMUGGLING, Kind.IMPLICIT, Kind.LOGIN}  # of these a silence says nothing that would stop a stage
NEWLINES_SINCE = "2023-12a"  # mailcow's release whose main.cf has smtpd_forbid_bare_newline = yes
VERSION = re.compile(r"\d+\.\d+")


def judge(site: Site, asked: Asked) -> list[Check]:
    """The rows of one question: wrong, right, or not to be told."""
    row = Check(
        asked.question.name, Status.UNKNOWN, EXPECTED[asked.question.kind], "", ref=REFERENCES[asked.question.kind]
    )
    if not asked.trouble:
        return list(JUDGED[asked.question.kind](site, row, asked))
    # What was heard before it broke may be enough to be wrong, never to be right.
    heard = list(JUDGED[asked.question.kind](site, row, asked)) if asked.question.kind is Kind.OPEN_RELAY else []
    return [found for found in heard if found.status is Status.FAIL] or [_untold(row, asked)]


def pending(question: Question) -> Check:
    """The row of a question that was not asked yet."""
    expected, ref = EXPECTED[question.kind], REFERENCES[question.kind]
    return Check(question.name, Status.PENDING, expected, "not asked: apply is False", ref=ref)


def _untold(row: Check, asked: Asked) -> Check:
    advisory = asked.trouble.startswith("not asked") or asked.question.kind in NOT_ASKED
    return replace(row, status=asked.status, observed=asked.trouble, fix=asked.fix, advisory=advisory)


def _good(row: Check, observed: str) -> Check:
    return replace(row, status=Status.PASS, observed=observed)


def _bad(row: Check, observed: str, fix: str, status: Status = Status.FAIL) -> Check:
    return replace(row, status=status, observed=observed, fix=fix)


def _relaying(site: Site, row: Check, asked: Asked) -> Iterator[Check]:
    """Taken at a name of our own, an odd address may only have met the catch-all."""
    answers, port = list(zip(asked.question.envelopes, asked.replies, strict=False)), asked.question.port
    taken = [envelope for envelope, said in answers if said == TAKEN]
    denied = [envelope for envelope, said in answers if denials.of_relaying(said, port)]
    others = [(e, said) for e, said in answers if e not in taken + denied]
    unheard = [(e.form, said) for e, said in others if denials.unheard(said) and not denials.of_sender(said)]
    if relayed := [envelope for envelope in taken if not _caught(site, envelope)]:
        yield _bad(row, f"taken: {'; '.join(map(_shown, relayed))}", RELAYING)
    elif unheard:
        yield _unheard(row, unheard, _counted(site, asked, len(denied)))
    elif not any(outside(site, envelope) for envelope in denied):
        fix = "no answer was about relaying: see smtpd_relay_restrictions"
        yield _bad(row, asked.said, fix, Status.UNKNOWN)
    elif taken:
        fix = "see whether it lies in the catch-all's mailbox, or went on; allow_percent_hack = no is safer"
        yield _bad(row, f"taken: {'; '.join(map(_shown, taken))}", fix, Status.WARN)
    else:
        reasons = [f"refused for another reason: {_each((e.form, said) for e, said in others)}"] if others else []
        yield _good(row, "; ".join([_counted(site, asked, len(denied)), *reasons]))


def _unheard(row: Check, answers: Sequence[tuple[str, str]], known: str) -> Check:
    """Nothing is known of what was answered for another reason; what keeps this machine out need not stop it."""
    fixes = list(dict.fromkeys(denials.unheard(said) for _, said in answers))
    observed = f"not known of {_each(answers)}; {known}"
    return replace(row, observed=observed, fix="; ".join(fixes), advisory=fixes == [denials.KEPT_OUT])


def _put_off(row: Check, observed: str, *replies: str) -> Check | None:
    """Nothing is known where a reply is about the moment, or about this machine."""
    fix = next(filter(None, map(denials.todo, replies)), "")
    return replace(row, observed=observed, fix=fix, advisory=fix == denials.KEPT_OUT) if fix else None


def _each(answers: Iterable[tuple[str, str]]) -> str:
    """What was asked, and each different answer once."""
    about, said = zip(*answers, strict=True)
    return f"{', '.join(about)}: {'; '.join(dict.fromkeys(said))}"


def _caught(site: Site, envelope: Envelope) -> bool:
    local, _, domain = envelope.recipient.strip('"').rpartition("@")
    return any(d.name == domain and d.catch_all for d in site.domains) and not local.startswith("@")


def _shown(envelope: Envelope) -> str:
    return f"{envelope.form} (<{envelope.sender}> to <{envelope.recipient}>)"


def _counted(site: Site, asked: Asked, denied: int) -> str:
    possible, done = len(classic(site)), len(asked.replies)
    whole = asked.question.port == SMTP_PORT and not asked.question.ipv6
    fewer = f"; {possible - done} of {possible} were not asked, which would have us banned"
    said = f": {asked.said}" if done == 1 else ""
    return f"{denied} form{'s' * (denied != 1)} denied{said}{fewer * (whole and done < possible)}"


def _refused(site: Site, row: Check, asked: Asked) -> Iterator[Check]:
    said = asked.said if asked.said.startswith("MAIL FROM") else f"RCPT TO: {asked.said}"
    if put_off := _put_off(row, said, said):
        yield put_off
    elif said.startswith("MAIL FROM"):
        fix = "RFC 5321 4.5.5: the null sender has to be taken; then the address can be asked about"
        yield replace(row, observed=said, fix=fix)
    else:
        listed = any(asked.question.about in domain.refuse for domain in site.domains)
        fix = "it writes the addresses in refuse to the server" if listed else "without a catch-all nobody takes it"
        fix = f"run stage 01: {fix}"
        yield judged(row.name, said.startswith(row.expected), row.expected, said, fix, row.ref)


def _sends_as(site: Site, row: Check, asked: Asked) -> Iterator[Check]:
    answers = list(zip(asked.question.envelopes, asked.replies, strict=False))
    stolen = [_as(e) for e, said in answers if said == TAKEN and not e.may]
    refused = [(e, said) for e, said in answers if said != TAKEN]
    unheard = [(_as(e), said) for e, said in refused if denials.unheard(said)]
    kept = [(e, said) for e, said in refused if e.may and not denials.unheard(said)]
    missed = f"not as {', '.join(f'{_as(e)}: {said}' for e, said in kept)}"
    allowed = "as " + ", ".join(_as(e) for e, said in answers if said == TAKEN)
    if stolen:
        yield _bad(row, f"also as {', '.join(stolen)}", _owners(site))
    elif not all(e.form == CAUGHT for e, _ in kept):
        yield _bad(row, missed, "run stage 01: it lets mailboxes send as their aliases")
    elif unheard:
        yield _unheard(row, unheard, allowed)
    elif kept:
        fix = "who reads the catch-all cannot answer under the address that was written to: run stage 01"
        yield _bad(row, missed, fix, Status.WARN)
    else:
        yield _good(row, allowed)


def _as(envelope: Envelope) -> str:
    return f"{envelope.form} ({envelope.sender})"


def _owners(site: Site) -> str:
    return {
        DOCKER_MAILSERVER: "SPOOF_PROTECTION=1 in mailserver.env: run stage 01",
        MAILCOW: "see the mailbox's `allow to send as` in mailcow",
    }.get(site.mail.server, "let submission reject_authenticated_sender_login_mismatch, with smtpd_sender_login_maps")


def _clear(site: Site, row: Check, asked: Asked) -> Iterator[Check]:
    del site
    first, then = asked.replies
    fix = "smtpd_tls_auth_only = yes, and on 587 smtpd_tls_security_level = encrypt: passwords go in clear"
    if asked.question.port == SMTP_PORT:
        yield judged(row.name, first == NO_AUTH, row.expected, f"{first} in clear; in TLS: {then}", fix, row.ref)
        return
    row, said = replace(row, expected=f"{row.expected}, and no MAIL"), f"{first}; MAIL FROM in clear: {then}"
    put_off = _put_off(row, said, then) if first == NO_AUTH else None
    good = first == NO_AUTH and then.startswith("5")  # RFC 3207 4: 530
    yield put_off or judged(row.name, good, row.expected, said, fix, row.ref)


def _implicit(site: Site, row: Check, asked: Asked) -> Iterator[Check]:
    del site
    yield _good(row, asked.said)


def _login(site: Site, row: Check, asked: Asked) -> Iterator[Check]:
    del site
    yield _good(row, f"{asked.question.box}: {asked.said}")


def _password(site: Site, row: Check, asked: Asked) -> Iterator[Check]:
    del site
    if not asked.said.startswith((REFUSED, TAKEN)):
        fix = "ask whoever checks passwords there (testsaslauthd(8), `doveadm auth test`)"
        yield replace(row, observed=asked.said, fix=fix, advisory=True)
        return
    fix = "any password opens this mailbox: look for nopassword or a static passdb in Dovecot at once"
    yield judged(row.name, asked.said.startswith(REFUSED), row.expected, asked.said, fix, row.ref)


def _greeting(site: Site, row: Check, asked: Asked) -> Iterator[Check]:
    host = site.server.hostname.lower()
    banner, ehlo, names = asked.replies
    said = f"{banner}; {ehlo}; {site.server.ipv4} is {names.removeprefix('?')}"
    wrong = [w for w, line in (("the banner", banner), ("EHLO", ehlo)) if _name(line) != host]
    if put_off := _put_off(row, said, banner, ehlo):
        yield put_off
    elif wrong:
        yield _bad(row, said, f"{' and '.join(wrong)} must begin with {host}: myhostname in main.cf")
    elif names.startswith("?"):
        yield replace(row, observed=said, fix="see whether dns.resolvers answer", advisory=True)
    elif host not in names.split():
        yield _bad(row, said, f"have the PTR of {site.server.ipv4} name {host}; 04 says whose it is", Status.WARN)
    elif VERSION.search(banner.replace(host, "")):
        yield _bad(row, said, "take the version out of smtpd_banner: it tells attackers what to try", Status.WARN)
    else:
        yield _good(row, said)


def _name(line: str) -> str:
    return (line[4:].split() or [""])[0].lower()


def _accounts(site: Site, row: Check, asked: Asked) -> Iterator[Check]:
    del site
    somebody, nobody = asked.replies
    fix = "disable_vrfy_command = yes: spammers collect the addresses that answer"
    said = f"somebody: {somebody}; nobody: {nobody}"
    if put_off := _put_off(row, said, somebody, nobody):
        yield put_off
    elif somebody == nobody:
        yield _good(row, f"the same for everybody: {somebody}")
    else:
        yield _bad(row, said, fix, Status.WARN)


def _smuggling(site: Site, row: Check, asked: Asked) -> Iterator[Check]:
    """Postfix's own word, and that of every service that is set apart from it."""
    del site
    told = dict(line.split(" = ", 1) for line in asked.replies if " = " in line)
    if release := told.get("mailcow"):
        yield _released(row, release)
        return
    values = {name: value for name, value in told.items() if "forbid_bare_newline" in name and "exclu" not in name}
    shown = ", ".join(f"{name} = {value}" for name, value in values.items()) or "not known to it"
    said = f"Postfix {told.get('mail_version', '?')}: {shown}"
    fix = "smtpd_forbid_bare_newline = yes; before 3.5.23, 3.6.13, 3.7.9 and 3.8.4 Postfix does not know it: update"
    if "mail_version" not in told:
        fix = "ask `postconf smtpd_forbid_bare_newline` there"
        yield replace(row, observed="Postfix did not say", fix=fix, advisory=True)
    else:
        good = bool(values) and all(v in {"yes", "normalize", "reject"} for v in values.values())
        yield judged(row.name, good, row.expected, said, fix, row.ref)


def _released(row: Check, release: str) -> Check:
    """The same of a mailcow, whose releases are named by year and month."""
    said = f"mailcow {release}; what data/conf/postfix/extra.cf says is not seen"
    fix = f"update mailcow: its Postfix refuses them since {NEWLINES_SINCE}"
    return judged(row.name, release >= NEWLINES_SINCE, row.expected, said, fix, row.ref)


Judging = Callable[[Site, Check, Asked], Iterator[Check]]
JUDGED: Mapping[Kind, Judging] = {
    Kind.OPEN_RELAY: _relaying,
    Kind.REFUSED: _refused,
    Kind.SENDS_AS: _sends_as,
    Kind.CLEAR: _clear,
    Kind.IMPLICIT: _implicit,
    Kind.LOGIN: _login,
    Kind.PASSWORD: _password,
    Kind.GREETING: _greeting,
    Kind.ACCOUNTS: _accounts,
    Kind.SMUGGLING: _smuggling,
}
