"""Rules about what our own server refuses: mail for the site, its users' mail, their logins and their addresses.

Strangers are refused all day on every server that is well. What concerns nobody of the site is therefore told only to
who asks for the symptom; without that a rule speaks only where the server itself is at fault.
"""

from dataclasses import dataclass

from runbooklib.diagnosis import refusal_symptoms as refusal
from runbooklib.diagnosis import symptoms
from runbooklib.diagnosis.rules import BOOTSTRAP, Rule, Sureness, Symptom
from runbooklib.results import Status

MEND = "01-bootstrap#apply"
FULL = r"\b4\.3\.1\b"
TROUBLED = r"\b[45]\.3\.[05]\b|Service unavailable - try again later"
BLIND = r"open resolver|public resolver|127\.255\.255\.\d+"
NOT_OWN = r"not owned by user|not logged in"
UNKNOWN, RELAYING = refusal.UNKNOWN.pattern, refusal.RELAYING.pattern


@dataclass(frozen=True)
class Refusing:
    """What our server says to strangers whom it does not take mail from, and is right to, unless they are wanted."""

    id: str
    pattern: str
    cause: str
    fix: str
    ref: str


# The first that matches says what it is.
STRANGERS = (
    Refusing(
        "sender-domain",
        r"\b[45]\.1\.8\b|\b5\.7\.27\b|Domain not found|does not accept mail",
        "mail is refused since its sender's domain has no address, no MX, or takes no mail",
        "ask the sender to correct the domain; where it does exist, see the server's resolver",
        "postconf(5) reject_unknown_sender_domain",
    ),
    Refusing(
        "helo",
        r"Helo command rejected|need fully-qualified hostname|HELO",
        "mail is refused for the name by which the sender's server greets",
        "ask its postmaster to greet by a full name that has an address; or allow that client in an access table",
        "postconf(5) smtpd_helo_restrictions",
    ),
    Refusing(
        "listed",
        symptoms.LISTED,
        "mail is refused since the sender's server is on a blocklist that this server asks",
        "ask the sender to be taken off the list; or allow that client in an access table",
        "RFC 5782 2.1",
    ),
    Refusing(
        "greylisted",
        r"gr[ea]y-?list",
        "mail of who comes for the first time is put off by this server's own greylisting",
        "wait: it comes again; allow senders that come from many addresses, or switch greylisting off",
        "RFC 6647 2",
    ),
    Refusing(
        "unknown-user",
        UNKNOWN,
        "mail is refused for addresses that do not exist here",
        "correct the address, or declare it in params as a mailbox or alias and run stage 01",
        "RFC 3463 3.2",
    ),
)


def _stranger(at: int, one: Refusing) -> Rule:
    said = "|".join(f"(?:{other.pattern})" for other in STRANGERS[:at])
    return Rule(
        f"received-{one.id}",
        one.cause,
        ("log",),
        symptoms.rejected(one.pattern, "|".join(filter(None, (said, BLIND)))),
        one.fix,
        one.ref,
        Status.WARN,
        sureness=Sureness.POSSIBLE,
        observe="whether the address that misses mail is the one of these lines (`grep reject:` in the mail log)",
        symptoms=(Symptom.CANNOT_RECEIVE,),
        asked=True,
    )


KNOWN = "|".join(f"(?:{p})" for p in (*(one.pattern for one in STRANGERS), FULL, TROUBLED, BLIND, NOT_OWN, RELAYING))
NOT_OWNED = Rule(
    id="sender-not-owned",
    cause="someone writes under an address that is not theirs to send from",
    needs=("log",),
    match=symptoms.rejected(NOT_OWN),
    fix="let them send as the address they log in with, or make it theirs: an alias in params that leads to their "
    "mailbox, then stage 01",
    ref="postconf(5) reject_sender_login_mismatch, SPOOF_PROTECTION",
    status=Status.WARN,
    sureness=Sureness.LIKELY,
    observe="whether the user in these lines is the one who cannot send",
    symptoms=(Symptom.CANNOT_SEND,),
    asked=True,
)
GATEWAY_BANNED = Rule(
    id="gateway-banned",
    cause="fail2ban bans the address behind which all clients, or the server itself, appear: nobody gets in",
    needs=("bans",),
    match=refusal.banned_gateway,
    fix="lift the ban, then let the container see clients under their own addresses (IPv6 in Docker, or no AAAA)",
    ref="DMS#523, DMS#3473",
    command="docker exec mailserver fail2ban-client unban {about}",
    symptoms=(Symptom.CLIENT, Symptom.CANNOT_RECEIVE, Symptom.CANNOT_SEND),
)
CLIENT_BANNED = Rule(
    id="client-banned",
    cause="fail2ban bans addresses after refused logins; a user's own may be among them",
    needs=("bans",),
    match=refusal.banned,
    fix="lift the ban of an address that is a user's, and correct the password in all their programs",
    ref="jail.conf(5)",
    status=Status.WARN,
    sureness=Sureness.POSSIBLE,
    observe="under which address the user comes, as a page that shows it says",
    symptoms=(Symptom.CLIENT, Symptom.CANNOT_SEND),
    asked=True,
)
REFUSAL_RULES = (
    Rule(
        id="received-full",
        cause="Postfix takes no mail for want of room in its queue",
        needs=("log",),
        match=symptoms.rejected(FULL),
        fix="free space where the queue is: Postfix wants one and a half times the largest message it takes",
        ref="RFC 3463 3.4, postconf(5) queue_minfree",
        status=Status.WARN,
        sureness=Sureness.LIKELY,
        observe="`df` where the queue is: nothing was taken in since",
        symptoms=(Symptom.CANNOT_RECEIVE, Symptom.CANNOT_SEND),
    ),
    Rule(
        id="received-troubled",
        cause="the server puts off or refuses mail for a fault of its own: a table, a policy service or a milter",
        needs=("log",),
        match=symptoms.rejected(TROUBLED, FULL),
        fix="mend what the warning before it names, or start that service again",
        ref="RFC 3463 3.4",
        status=Status.WARN,
        sureness=Sureness.LIKELY,
        observe="the warnings of the mail log before that line",
        symptoms=(Symptom.CANNOT_RECEIVE, Symptom.CANNOT_SEND, Symptom.SLOW),
    ),
    Rule(
        id="received-blind-list",
        cause="a blocklist refuses to answer this server's resolver, and Postfix takes that for a listing of everybody",
        needs=("log",),
        match=symptoms.rejected(BLIND),
        fix="ask by a resolver of your own in place of a public one, or take the list out of the restrictions",
        ref="RFC 5782 2.1",
        status=Status.WARN,
        sureness=Sureness.LIKELY,
        observe="what the list answers for 127.0.0.1 by the server's resolver (`dig 1.0.0.127.LIST`): nothing is right",
        symptoms=(Symptom.CANNOT_RECEIVE,),
    ),
    Rule(
        id="received-domain-unknown",
        cause="the server does not know that a domain of the site is its own",
        needs=("log",),
        match=refusal.own_domain,
        fix="run stage 01: it makes the domain's mailboxes, by which the server knows it",
        ref="postconf(5) virtual_mailbox_domains",
        status=Status.WARN,
        sureness=Sureness.LIKELY,
        observe="whether it is refused still: stage 01 asks port 25 for every address of params",
        mended_by=BOOTSTRAP,
        cell=MEND,
        symptoms=(Symptom.CANNOT_RECEIVE,),
    ),
    Rule(
        id="received-mailbox-unknown",
        cause="mail for a mailbox or alias of params is refused: the server does not know it",
        needs=("log",),
        match=refusal.own_mailbox,
        fix="run stage 01: it makes the mailboxes and aliases that params declare",
        ref="RFC 3463 3.2",
        status=Status.WARN,
        sureness=Sureness.LIKELY,
        observe="whether it is refused still: stage 01 asks port 25 for every address of params",
        mended_by=BOOTSTRAP,
        cell=MEND,
        excludes=("received-unknown-user",),
        symptoms=(Symptom.CANNOT_RECEIVE,),
    ),
    *(_stranger(at, one) for at, one in enumerate(STRANGERS)),
    Rule(
        id="received-refused",
        cause="mail is refused by this server, for a reason that none of these rules know",
        needs=("log",),
        match=symptoms.rejected("", KNOWN),
        fix="the words say why; where they are right, the sender has to mend it",
        ref="RFC 5321 4.2.1",
        status=Status.WARN,
        sureness=Sureness.POSSIBLE,
        observe="whether the address that misses mail is the one of these lines (`grep reject:` in the mail log)",
        symptoms=(Symptom.CANNOT_RECEIVE, Symptom.CLIENT, Symptom.CANNOT_SEND),
        asked=True,
    ),
    Rule(
        id="sender-without-login",
        cause="somebody sends as a domain of the site without logging in; others are written to with a login only",
        needs=("log",),
        match=refusal.own_sender,
        fix="let the program use port 465 or 587 with the mailbox's address and password; forgers are refused alike",
        ref="RFC 6409 4.3",
        status=Status.WARN,
        sureness=Sureness.POSSIBLE,
        observe="whether the client's address in these lines is a user's",
        symptoms=(Symptom.CANNOT_SEND, Symptom.CLIENT),
        asked=True,
    ),
    Rule(
        id="client-login-refused",
        cause="a user's login is refused: wrong password, or not the whole address of a mailbox",
        needs=("log",),
        match=refusal.login,
        fix="log in with the mailbox's whole address (an alias cannot); where the password is forgotten, set a new one",
        ref="RFC 4954 4",
        status=Status.WARN,
        sureness=Sureness.LIKELY,
        observe="whether the address it came from is the user's: others guess passwords for the same names",
        symptoms=(Symptom.CLIENT, Symptom.CANNOT_SEND),
        asked=True,
    ),
)
