"""Rules about what stands between the mail server and its relays: name, port, TLS, login, sender, provider.

DMS#n names an issue of docker-mailserver.
"""

from runbooklib.diagnosis import relay_symptoms as relays
from runbooklib.diagnosis.rules import DNS, RELAY, Rule, Sureness, Symptom
from runbooklib.results import Status

SENDING = (Symptom.CANNOT_SEND, Symptom.SLOW)
REFUSED = (Symptom.CANNOT_SEND, Symptom.BOUNCED)
APPLY = "02-relay#apply"
RETRY = "what waits is then tried again by itself, or at once by `postqueue -f`"


def told(*replies: str) -> tuple[str, ...]:
    """The rules about an answer that messages got: while they wait, and once they came back."""
    return tuple(f"{kind}-{reply}" for reply in replies for kind in ("queue", "bounced"))


MISLED = told("not-verified", "not-owned", "no-login", "login", "policy", "port-25")  # what others' relays say to us

RELAY_RULES = (
    Rule(
        id="relay-name",
        cause="the relay's name has no address",
        needs=("relay",),
        match=relays.state("name"),
        fix=f"ask the provider whether its name changed, correct relays.*.host and run stage 02; {RETRY}",
        ref="RFC 5321 5.1",
        explains=("queue",),
        entails=told("name"),
        symptoms=REFUSED,
    ),
    Rule(
        id="relay-name-unanswered",
        cause="the server's resolver gives no answer for the relay's name",
        needs=("relay",),
        match=relays.state("unanswered"),
        fix=f"mend the delegation or DNSSEC where it is broken, or wait for the provider to do so; {RETRY}",
        ref="RFC 8499 7, RFC 4035 4.7",
        explains=("queue",),
        entails=told("name"),
        sureness=Sureness.LIKELY,
        observe="whether other resolvers know the name: `dig @9.9.9.9`, once more with +cd",
        symptoms=SENDING,
    ),
    Rule(
        id="relay-unreachable",
        cause="the relay's port cannot be reached from the server",
        needs=("relay",),
        match=relays.state("unreachable"),
        fix="open outbound traffic to it, or name another of the relay's ports (587, 2525) in params and run stage "
        f"02; {RETRY}",
        ref="DMS#598, DMS#3488",
        explains=("queue",),
        entails=told("unreachable"),
        symptoms=SENDING,
    ),
    Rule(
        id="relay-greeting",
        cause="the relay connects and then will not talk",
        needs=("relay",),
        match=relays.state("greeting"),
        fix="its reply says why; a 4xx passes by itself, a 5xx may mean that it has blocked the server's address",
        ref="RFC 5321 3.1",
        explains=("queue",),
        sureness=Sureness.LIKELY,
        observe="what the relay says on another of its ports, and on its provider's status page",
        symptoms=SENDING,
    ),
    Rule(
        id="relay-tls",
        cause="port and TLS mode of the relay do not belong together",
        needs=("relay",),
        match=relays.state("tls"),
        fix="587 with tls: starttls, or 465 with tls: implicit; then stage 02",
        ref="RFC 8314 3, DMS#1018, DMS#4136",
        explains=("queue",),
        symptoms=SENDING,
    ),
    Rule(
        id="relay-certificate",
        cause="the relay's certificate is not to be trusted",
        needs=("relay",),
        match=relays.state("certificate"),
        fix="do not weaken TLS: one that has expired is the provider's to renew; else check relays.*.host, and "
        f"relays.*.ca where its CA is private; {RETRY}",
        ref="RFC 3207 4.1, RFC 9525 6",
        explains=("queue",),
        entails=told("certificate"),
        symptoms=SENDING,
    ),
    Rule(
        id="relay-login",
        cause="the relay refuses the user or password that params name",
        needs=("relay",),
        match=relays.login_refused,
        fix="see in the provider's panel which login is right, correct relays.*.username and password, and run stage "
        f"02; {RETRY}",
        ref="RFC 4954 4",
        explains=("queue",),
        entails=told("login", "no-login"),
        excludes=("relay-login-differs", "relay-login-missing"),
        symptoms=SENDING,
    ),
    Rule(
        id="relay-domain-unknown",
        cause="the provider does not know the domain",
        needs=("provider",),
        match=relays.unknown_there,
        fix="run stage 02, which adds it where the API lets it, and then stage 04, which publishes what proves it",
        ref="resend.com/docs/api-reference/domains, api.mxroute.com POST /domains",
        explains=("queue",),
        entails=(*told("not-verified"), "relay-login"),  # the login may be a mailbox of it, still to be made there
        excludes=("relay-domain-unverified",),
        mended_by=RELAY,
        symptoms=REFUSED,
    ),
    Rule(
        id="relay-domain-unverified",
        cause="the relay has not verified the domain, so it takes no mail from it",
        needs=("relay",),
        match=relays.unverified,
        fix="run stage 04: it publishes the records the relay looks for, and has it look again",
        ref="resend.com/docs/dashboard/domains/introduction, DMS#2967",
        explains=("queue",),
        entails=told("not-verified", "policy"),
        mended_by=DNS,
        cell="04-dns#confirm",
        symptoms=REFUSED,
    ),
    Rule(
        id="relay-sender-not-owned",
        cause="the relay's login may not send as this address",
        needs=("relay",),
        match=relays.refused_as("not owned"),
        fix="let the login send for all addresses of the domain in the provider's panel (MXRoute: make it the domain's "
        "catch-all there; Resend: a key of this domain), or name a login that may in params and run stage 02",
        ref="RFC 6409 6.1",
        entails=told("not-owned", "policy", "not-verified"),
        symptoms=REFUSED,
    ),
    Rule(
        id="relay-rate-limit",
        cause="the relay takes no more mail for now: its allowance is used up",
        needs=("relay",),
        match=relays.limited,
        fix="wait until the allowance is renewed, or take a larger plan; a script or a stolen password may be what "
        f"used it up, so look at who sent; {RETRY}",
        ref="RFC 5321 4.2.1, RFC 3463 3.5",
        explains=("queue",),
        entails=told("limit", "policy", "greylisted"),
        symptoms=(Symptom.CANNOT_SEND, Symptom.SLOW, Symptom.BOUNCED),
    ),
    Rule(
        id="relay-refuses",
        cause="the relay refuses our sender, in words that none of these rules know",
        needs=("relay",),
        match=relays.refused_otherwise,
        fix="its answer says why",
        ref="RFC 5321 4.2.2",
        explains=("queue",),
        entails=told("policy"),
        sureness=Sureness.LIKELY,
        observe="the same domain in the provider's panel, and its status page",
        symptoms=REFUSED,
    ),
    Rule(
        id="recipient-suppressed",
        cause="the provider holds the recipient on its suppression list, and drops what is sent there",
        needs=("provider",),
        match=relays.suppressed,
        fix="find out why it bounced or complained, then take it off the list in the provider's panel",
        ref="resend.com/docs/api-reference/suppressions",
        symptoms=(Symptom.CANNOT_SEND,),
    ),
    Rule(
        id="provider-key-refused",
        cause="the provider's API refuses the managing key: it has expired, or was deleted",
        needs=("provider",),
        match=relays.key_refused,
        fix="make a new key in the provider's panel and name it in relays.*.api_key; mail goes on leaving until then",
        ref="resend.com/docs/api-reference/errors, api.mxroute.com UNAUTHORIZED",
        status=Status.WARN,
        symptoms=(Symptom.CANNOT_SEND,),
    ),
    Rule(
        id="relay-route",
        cause="a domain's mail leaves by another way than the params say",
        needs=("routes",),
        match=relays.routes_differ,
        fix="run stage 02",
        ref="DMS#1393",
        explains=("queue",),
        entails=MISLED,
        mended_by=RELAY,
        cell=APPLY,
        symptoms=REFUSED,
    ),
)
# Where Postfix's own tables can be read.
TABLE_RULES = (
    Rule(
        id="relay-not-assigned",
        cause="no line of the sender map names the domain, so its mail leaves by the way of everybody else",
        needs=("sending",),
        match=relays.not_assigned,
        fix=f"run stage 02; {RETRY}",
        ref="postconf(5) sender_dependent_relayhost_maps",
        explains=("queue",),
        entails=MISLED,
        excludes=("relay-route",),
        mended_by=RELAY,
        cell=APPLY,
        symptoms=REFUSED,
    ),
    Rule(
        id="relay-implicit-tls",
        cause="Postfix begins TLS another way than the relay does at that port",
        needs=("sending",),
        match=relays.tls_other_way,
        fix=f"run stage 02: 587 goes with STARTTLS, 465 with TLS at once; {RETRY}",
        ref="RFC 8314 3.3, DMS#1018, DMS#2601",
        explains=("queue",),
        entails=told("wrappermode", "tls"),
        excludes=("relay-route",),
        mended_by=RELAY,
        cell=APPLY,
        symptoms=SENDING,
    ),
    Rule(
        id="relay-login-differs",
        cause="the server holds another login for the relay than params name",
        needs=("sending",),
        match=relays.login_held("another"),
        fix=f"run stage 02; {RETRY}",
        ref="SASL_README",
        explains=("queue",),
        entails=told("login"),
        mended_by=RELAY,
        cell=APPLY,
        symptoms=SENDING,
    ),
    Rule(
        id="relay-login-missing",
        cause="Postfix does not log in at the relay: no login line has exactly the next hop as its key",
        needs=("sending",),
        match=relays.login_held("none"),
        fix=f"run stage 02: key and next hop must agree to the last bracket; {RETRY}",
        ref="DMS#4130, DMS#4638",
        explains=("queue",),
        entails=told("no-login"),
        mended_by=RELAY,
        cell=APPLY,
        symptoms=REFUSED,
    ),
    Rule(
        id="null-sender-refused",
        cause="the relay that bounces leave by refuses them, as their envelope sender is empty",
        needs=("sending",),
        match=relays.null_refused,
        fix="run stage 02: it lets mail without a sender leave by a relay that takes it, or keeps it for postmaster",
        ref="RFC 5321 4.5.5, DMS#2403",
        cell=APPLY,
        symptoms=(Symptom.BOUNCED,),
    ),
)
