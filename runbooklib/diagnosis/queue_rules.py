"""Rules about what others answered: why messages wait in the queue, and why some bounced."""

from dataclasses import dataclass

from runbooklib.diagnosis import symptoms
from runbooklib.diagnosis.rules import Rule
from runbooklib.results import Status


@dataclass(frozen=True)
class Reply:
    """Words in an answer, or in Postfix's own reason, that give a cause away."""

    id: str
    pattern: str
    cause: str
    fix: str
    ref: str = ""


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
        "policy",
        r"^(?!.*not (verified|authorized)).*(5\.7\.(1|2[0-9]|509|515)\b|spam|blocked|listed)",
        "the recipient refuses on policy: authentication, reputation or content",
        "its answer names the reason; SPF, DKIM, DMARC and PTR first (04, 05)",
        "RFC 3463 3.8",
    ),
)


def _rules(reply: Reply) -> tuple[Rule, Rule]:
    """A message that waits is trouble now; one that bounced is lost, and only warns that it happened."""
    bounced = f"{reply.cause}; the message was given back to its sender"
    return (
        Rule(f"queue-{reply.id}", reply.cause, ("queue",), symptoms.waiting(reply.pattern), reply.fix, reply.ref),
        Rule(
            f"bounced-{reply.id}",
            bounced,
            ("log",),
            symptoms.bounced(reply.pattern),
            reply.fix,
            reply.ref,
            Status.WARN,
        ),
    )


QUEUE_RULES = tuple(rule for reply in REPLIES for rule in _rules(reply))
