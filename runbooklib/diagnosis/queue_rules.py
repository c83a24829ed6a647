"""Rules about what others answered: why messages wait in the queue, and why some bounced."""

from dataclasses import dataclass, replace

from runbooklib.diagnosis import symptoms
from runbooklib.diagnosis.rules import Rule, Sureness, Symptom
from runbooklib.results import Status


@dataclass(frozen=True)
class Reply:
    """Words in an answer, or in Postfix's own reason, that give a cause away."""

    id: str
    pattern: str
    cause: str
    fix: str
    ref: str = ""
    sureness: Sureness = Sureness.CERTAIN
    observe: str = ""  # where it is not certain
    cell: str = ""  # where a stage mends it as params are
    passing: bool = False  # it mends itself: what waits is tried again
    usual: bool = False  # people mistype addresses on every site: what came back for it is told to who asks


# The first that matches says what an answer is; more general words come later.
REPLIES = (
    Reply(
        "login",
        r"SASL authentication failed(?!.*no compatible)|\b535\b",
        "the relay refuses the login",
        "correct the relay's login, run stage 02; what waits is then tried again",
        "RFC 4954 4",
    ),
    Reply(
        "mechanism",
        r"no compatible authentication mechanisms|no mechanism available|no worthy mechs",
        "the relay offers no way to log in that Postfix takes there, though another program may log in",
        "use a port where the relay offers PLAIN or LOGIN, which many do after STARTTLS only; mailcow takes no others "
        "unless smtp_sasl_mechanism_filter in its extra.cf says so",
        "RFC 4954 4, mailcow#6557",
    ),
    Reply(
        "no-login",
        r"\b530\b.*auth|authentication required",
        "Postfix did not log in: no login line has exactly the next hop as its key",
        "run stage 02: key and next hop must agree to the last bracket",
        "DMS#4130, DMS#4638",
        cell="02-relay#apply",
    ),
    Reply(
        "not-verified",
        r"(?<!certificate )not verified|not authorized to send",
        "the relay does not accept this sender domain",
        "verify the domain at the relay: its records come with stage 04; forwards need another way",
        "DMS#2967",
    ),
    Reply(
        "wrappermode",
        r"wrappermode",
        "Postfix speaks STARTTLS to a port of implicit TLS",
        "use port 587 of the relay, then stage 02",
        "DMS#1018, DMS#2601, mailcow#2881",
    ),
    Reply(
        "tls",
        r"TLS is required, but was not offered",
        "the relay offers no TLS on this port, and no login may go there in clear text",
        "use a port with STARTTLS, then stage 02",
        "DMS#3842",
    ),
    Reply(
        "certificate",
        r"certificate not (verified|trusted)|certificate verification failed",
        "the relay's certificate cannot be verified",
        "check the relay's name and CA (02); do not weaken TLS",
        "DMS#1143",
    ),
    Reply(
        "port-25",
        r"\]:25: (Connection timed out|Network is unreachable)",
        "mail leaves directly on port 25, which the provider drops",
        "let the domain leave by a relay: run stage 02",
        "DMS#598, DMS#2920, mailcow#5278, mailcow#4199",
    ),
    Reply(
        "unreachable",
        r"\]:(?!25:)\d+: (Connection timed out|Connection refused|No route to host|Network is unreachable)",
        "the relay cannot be reached",
        "check its host and port, and outbound traffic to it",
        "DMS#1891",
    ),
    Reply(
        "name",
        r"Host or domain name not found|Name service error",
        "a name cannot be resolved: the next hop's, or the recipient's",
        "see the server's resolver, then the name itself",
        "DMS#2921",
    ),
    Reply(
        "greylisted",
        r"gr[ea]y-?list",
        "the recipient's server greylists: who comes for the first time is asked to come again",
        "wait: it is tried again by itself, and taken after some minutes",
        "RFC 6647 2",
        passing=True,
    ),
    Reply(
        "listed",
        symptoms.LISTED,
        "whoever hands the mail over is on a blocklist that the receiver asks",
        "the answer names address and list: find out there why, stop what caused it, then ask to be taken off; where "
        "the address is a relay's, tell its support",
        "RFC 5782 2.1",
    ),
    Reply(
        "oversized",
        r"\b5\.3\.4\b|\b5\.2\.3\b|exceeds (?:size|fixed|the maximum)|message (?:is )?too (?:big|large)"
        r"|message size exceeds|size limit exceeded",
        "the message is larger than the next server takes",
        "send it smaller, or a link to it; base64 makes attachments larger by a third",
        "RFC 1870 6.1, RFC 3463 3.4",
    ),
    Reply(
        "limit",
        r"rate ?limit|too many (?:messages|connections|emails|recipients)|\bquota exceeded\b"
        r"|daily.{0,20}(?:quota|limit)|limit (?:reached|exceeded)|frequency limited|\b4\.7\.28\b",
        "so much mail is not taken at once",
        "wait and send slower: what waits is tried again; see who sent so much",
        "RFC 3463 3.8",
        Sureness.LIKELY,
        "who sent how much: the from= lines of the mail log",
        passing=True,
    ),
    Reply(
        "not-owned",
        r"not owned by user|sender.{0,40}(?:not permitted|not allowed|mismatch)|send ?as ?denied|5\.7\.60\b",
        "the login may not send as this address",
        "let the relay's login send for the domain in the provider's panel, or name another login and run stage 02",
        "RFC 6409 6.1",
    ),
    Reply(
        "policy",
        r"\b[45]\.7\.(?:0|1|9|2\d|3\d|40|509|515|6[0-4]\d|708)\b|spam|blocked|policy|unauthenticated",
        "the recipient refuses on policy: authentication, reputation or content",
        "its answer names the reason; SPF, DKIM, DMARC and PTR first (04, 05)",
        "RFC 3463 3.8",
        Sureness.LIKELY,
        "what the answer says, given to `runbook diagnose --pasted`",
    ),
    Reply(
        "unknown-user",
        r"\b[45]\.1\.(?:1|6|10)\b|user unknown|unknown user|no such (?:user|recipient|mailbox)"
        r"|(?:user|mailbox|recipient|account) (?:\S+ )?(?:not found|does ?n[o']t exist|unavailable|is disabled)",
        "nobody there has this address",
        "correct the address, and take it out of lists and address books",
        "RFC 3463 3.2",
        usual=True,
    ),
)


def _rules(at: int, reply: Reply) -> tuple[Rule, Rule]:
    """A message that waits is trouble now; one that bounced is lost, and only warns that it happened."""
    others = "|".join(f"(?:{r.pattern})" for r in REPLIES[:at])
    waits = Rule(
        id=f"queue-{reply.id}",
        cause=reply.cause,
        needs=("queue",),
        match=symptoms.waiting(reply.pattern, others),
        fix=reply.fix,
        ref=reply.ref,
        cell=reply.cell,
        status=Status.WARN if reply.passing else Status.FAIL,
        sureness=reply.sureness,
        observe=reply.observe,
        symptoms=(Symptom.SLOW, Symptom.CANNOT_SEND),
    )
    bounced = replace(
        waits,
        id=f"bounced-{reply.id}",
        cause=f"{reply.cause}; the message was given back to its sender",
        needs=("log",),
        match=symptoms.bounced(reply.pattern, others),
        status=Status.WARN,
        symptoms=(Symptom.BOUNCED, Symptom.CANNOT_SEND),
        asked=reply.usual,
    )
    return waits, bounced


BY_SPF = r"\b5\.7\.(?:23|27)\b|\bSPF\b"  # RFC 7372 3.2, and Gmail's
KNOWN = "|".join(f"(?:{reply.pattern})" for reply in REPLIES)
QUEUE_RULES = (
    *(rule for at, reply in enumerate(REPLIES) for rule in _rules(at, reply)),
    Rule(
        "dnsbl-listed",
        "the server's address is on a blocklist that those who take its mail ask",
        ("blocklist",),
        symptoms.listed_and_minded,
        "look the address up at the list's own site: it says why; stop what caused it (a stolen password, a script), "
        "then ask there to be taken off",
        "RFC 5782 2.1",
        entails=("queue-listed", "bounced-listed", "relay-refuses", "queue-policy", "bounced-policy"),
        excludes=("dnsbl-listed-unseen",),
        symptoms=(Symptom.BOUNCED, Symptom.CANNOT_SEND, Symptom.JUNK),
    ),
    Rule(
        "dnsbl-listed-unseen",
        "the server's address is on a blocklist; mail leaves by relays, so that only they see it",
        ("blocklist",),
        symptoms.listed,
        "look the address up at the list's own site, and ask there to be taken off before any mail leaves directly",
        "RFC 5782 2.1",
        Status.WARN,
        symptoms=(Symptom.JUNK,),
    ),
    Rule(
        "queue-other",
        "mail waits, for a reason that none of these rules know",
        ("queue",),
        symptoms.waiting(r"", rf"{KNOWN}|^deferred transport$"),  # which has a rule of its own
        "the words of whoever put it off say why; it is tried again by itself",
        "RFC 5321 4.5.4.1",
        Status.WARN,
        sureness=Sureness.POSSIBLE,
        observe="the whole answer in the mail log, by the message's queue id",
        symptoms=(Symptom.SLOW, Symptom.CANNOT_SEND),
    ),
    Rule(
        "bounced-other",
        "mail was given back to its sender, for a reason that none of these rules know",
        ("log",),
        symptoms.bounced(r"", KNOWN),
        "the words of whoever refused it say why; send it again once that is mended",
        "RFC 3463",
        Status.WARN,
        sureness=Sureness.POSSIBLE,
        observe="the whole answer in the mail log, by the message's queue id, given to `runbook diagnose --pasted`",
        symptoms=(Symptom.BOUNCED, Symptom.CANNOT_SEND),
    ),
    Rule(
        "queue-untried",
        "mail waits and nobody has answered yet: Postfix hangs at its next hop, or does not come to it",
        ("queue",),
        symptoms.untried,
        "speak to the next hop as its port wants (TLS at once on 465, STARTTLS on 587: stage 02), then `postqueue -f`",
        "DMS#1018, DMS#1428, qmgr(8)",
        sureness=Sureness.LIKELY,
        observe="the processes of Postfix (is there a qmgr?), and what the port of the next hop greets with",
        symptoms=(Symptom.CANNOT_SEND, Symptom.SLOW),
    ),
    Rule(
        "queue-flood",
        "one sender fills the queue, as a stolen password or a form on a web site does",
        ("queue",),
        symptoms.flooded,
        "set the mailbox's password anew at once and see who logged in as it (sasl_username in the mail log); then "
        "delete what waits of that sender: postsuper -d with the queue ids that `postqueue -j` names",
        "postsuper(1)",
        entails=("queue-untried",),
        sureness=Sureness.LIKELY,
        observe="some of the messages (`postcat -q`): whether that sender wrote them; a newsletter looks alike",
        symptoms=(Symptom.SLOW, Symptom.CANNOT_SEND, Symptom.BOUNCED),
    ),
    Rule(
        "forward-refused",
        "mail that is sent on under its stranger's own sender is refused, as SPF of that sender names other servers",
        ("queue", "log"),
        symptoms.forwarded(BY_SPF),
        "rewrite the sender of what is forwarded (SRS: ENABLE_SRS=1 on docker-mailserver), or read it here by IMAP",
        "DMS#518, DMS#611, RFC 7208 D.1",
        Status.WARN,
        excludes=("queue-policy", "bounced-policy", "queue-not-verified", "bounced-not-verified"),
        sureness=Sureness.LIKELY,
        observe="whether the recipient is the target of a forward (aliases in params, sieve scripts)",
        symptoms=(Symptom.BOUNCED, Symptom.CANNOT_SEND),
    ),
)
