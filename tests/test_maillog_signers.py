"""Who got in and who signed what users sent last, as Postfix, Dovecot, OpenDKIM and rspamd write it."""

from __future__ import annotations

import pytest

from runbooklib import maillog

AT = "2026-11-21T19:5"


def lines(*texts: str) -> list[maillog.Event]:
    """Each text with its program before it, a second after the last."""
    stamped = (text if text[:2] == "20" else f"{AT}{at:01}:00+00:00 mail {text}" for at, text in enumerate(texts))
    return maillog.parse("\n".join(stamped))


HI, RIP = "hi@lantern.example", "rip=192.0.2.9, lip=203.0.113.10"
WRONG = f"dovecot: imap-login: Disconnected: Connection closed (auth failed, 1 attempts in 2 secs): user=<{HI}>, {RIP}"
NEWER = f"dovecot: imap-login: Login aborted: Logged out (auth failed, 3 attempts in 9 secs): user=<{HI}>, {RIP}"
OWN_FILE = f"{AT}0:00+00:00 imap-login: Info: Disconnected (auth failed, 1 attempts): user=<{HI}>, {RIP}"
SUBMISSION = "postfix/submission/smtpd[9]: warning: x[192.0.2.9]: SASL PLAIN authentication failed: generic failure, "
SUBMISSION += f"sasl_username={HI}"
CAME_IN = f"dovecot: imap-login: Login: user=<{HI}>, method=PLAIN, {RIP}"
CAME_BY_587 = f"postfix/submission/smtpd[9]: AAAAAA1: client=x[192.0.2.9], sasl_method=PLAIN, sasl_username={HI}"
LOGINS: dict[str, tuple[tuple[str, ...], list[tuple[str, int]]]] = {
    "Dovecot 2.3": ((WRONG, WRONG), [(HI, 2)]),
    "Dovecot 2.4": ((NEWER,), [(HI, 1)]),
    "Dovecot's own file": ((OWN_FILE,), [(HI, 1)]),
    "Postfix": ((SUBMISSION,), [(HI, 1)]),
    "it got in at last": ((WRONG, CAME_IN), []),
    "it got in at last to send": ((SUBMISSION, CAME_BY_587), []),
    "it got in before": ((CAME_IN, WRONG), [(HI, 1)]),
    "nobody tried a name": ((WRONG.replace(HI, ""),), []),
}


@pytest.mark.parametrize("case", LOGINS)
def test_who_was_refused_and_has_not_got_in_since(case: str) -> None:
    told, wanted = LOGINS[case]
    found = maillog.shut_out(lines(*told))
    assert [(refused.user, refused.count) for refused in found] == wanted
    assert all(refused.clients == ["192.0.2.9"] for refused in found)


A, B = "AAAAAA1", "BBBBBB2"
START = "opendkim[1]: OpenDKIM Filter v2.11.0 starting (args: -f)"
BROUGHT = f"postfix/submission/smtpd[9]: {A}: client=x[192.0.2.9], sasl_method=PLAIN, sasl_username={HI}"
FROM = f"postfix/qmgr[9]: {A}: from=<{HI}>, size=900, nrcpt=1 (queue active)"
SIGNED = f"opendkim[1]: {A}: DKIM-Signature field added (s=mail, d=lantern.example)"
LEFT = f"postfix/smtp[9]: {A}: to=<you@b.example>, relay=b[192.0.2.1]:587, delay=1, dsn=2.0.0, status=sent (250 ok)"
THROUGH = f"postfix/smtp-amavis/smtp[9]: {A}: to=<you@b.example>, relay=127.0.0.1[127.0.0.1]:10024, delay=1, "
THROUGH += f"dsn=2.0.0, status=sent (250 2.0.0 from MTA: 250 2.0.0 Ok: queued as {B})"
AGAIN = (FROM.replace(A, B), LEFT.replace(A, B))
SCANNED = f"2026-11-21 19:55:00 #24(rspamd_proxy) <5d1a2b>; task; rspamd_task_write_log: id: <x@y>, qid: <{A}>, "
RSPAMD = f"{SCANNED}(default: F (no action): [-1/15] [DKIM_SIGNED(0.00){{lantern.example:s=rsa;}},ARC_NA(0.00){{}}])"
SENT: dict[str, tuple[tuple[str, ...], list[tuple[str, list[str], bool]]]] = {
    "signed": ((START, BROUGHT, SIGNED, FROM, LEFT), [("lantern.example", ["mail"], True)]),
    "not signed": ((START, BROUGHT, FROM, LEFT), [("lantern.example", [], True)]),
    "nobody tells who signs": ((BROUGHT, FROM, LEFT), [("lantern.example", [], False)]),
    "signed before a filter queued it anew": (
        (START, BROUGHT, SIGNED, FROM, THROUGH, *AGAIN),
        [("lantern.example", ["mail"], True)],
    ),
    "sent before the signer was started anew": ((BROUGHT, FROM, LEFT, START), []),
    "a stranger's, that is sent on": ((START, BROUGHT.partition(", sasl")[0], FROM, LEFT), []),
    "it waits": ((START, BROUGHT, FROM, LEFT.replace("status=sent", "status=deferred")), []),
    "signed by rspamd": ((BROUGHT, RSPAMD, FROM, LEFT), [("lantern.example", ["rsa"], True)]),
    "passed on by rspamd": ((BROUGHT, f"{SCANNED}ip: 192.0.2.9", FROM, LEFT), [("lantern.example", [], True)]),
    "another message was signed since": (
        (START, BROUGHT, FROM, LEFT, *(text.replace(A, B) for text in (BROUGHT, SIGNED, FROM, LEFT))),
        [("lantern.example", ["mail"], True)],
    ),
}


@pytest.mark.parametrize("case", SENT)
def test_the_newest_message_of_a_domain_tells_who_signs_now(case: str) -> None:
    told, wanted = SENT[case]
    found = maillog.last_sent(lines(*told))
    assert [(each.domain, [selector for _, selector in each.signed], each.heard) for each in found] == wanted
