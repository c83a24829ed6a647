"""Rules about DKIM keys, from the server's disk to DNS, and about the DMARC policy that rests on them."""

from dataclasses import replace

from runbooklib.diagnosis import policy_symptoms as policy
from runbooklib.diagnosis import signing_symptoms as signing
from runbooklib.diagnosis.rules import DNS, Rule, Sureness, Symptom
from runbooklib.results import Status

PUBLISH, SIGN = "04-dns#apply", "03-dkim#apply"
JUNK = (Symptom.JUNK, Symptom.BOUNCED)
SEND = (Symptom.CANNOT_SEND, Symptom.JUNK)

SENT = ("dkim-sent-unsigned", "dkim-sent-otherwise")
# Of a signer that can be looked into: OpenDKIM in docker-mailserver and on a host, rspamd on a host.
SIGNER_RULES = (
    Rule(
        id="dkim-wrong-selector",
        cause="mail is signed with a selector that DNS does not have, so no signature can be verified",
        needs=("signer", "dkim"),
        match=signing.dkim_wrong_selector,
        fix="run stage 03: its tables name the selector of params again, or keep the old key until DNS has the new one",
        ref="RFC 6376 3.6.2.1",
        entails=SENT,
        cell=SIGN,
        symptoms=JUNK,
    ),
    Rule(
        id="dkim-not-live",
        cause="the running signer still has an older key or table than is stored, and DNS has the stored key",
        needs=("signer", "dkim"),
        match=signing.dkim_not_live,
        fix="run stage 03: a new start of the signer reads its keys, and in a container that is a new container",
        ref="opendkim(8), DMS#788",
        entails=("dkim-wrong-key", *SENT),
        cell=SIGN,
        symptoms=JUNK,
    ),
    Rule(
        id="dkim-next-key",
        cause="the key that is stored is not the one that signs, and DNS does not have it",
        needs=("signer", "dkim"),
        match=signing.dkim_next_key,
        fix="before anything restarts the signer, put the key that signs back in its place; a new key wants a new "
        "dkim.selector in params, then 03, 04, 03",
        ref="RFC 6376 3.1",
        status=Status.WARN,
        symptoms=JUNK,
    ),
    Rule(
        id="dkim-unsigned",
        cause="a mail domain has no row in the running signer's table, so its mail leaves unsigned",
        needs=("signer",),
        match=signing.unsigned,
        fix="run stage 03",
        ref="opendkim.conf(5) SigningTable, DMS#788, DMS#4431",
        entails=("dkim-not-live", *SENT),
        cell=SIGN,
        symptoms=JUNK,
    ),
)
UNREADABLE_IN_CONTAINER = Rule(
    id="dkim-unreadable",
    cause="OpenDKIM refuses a private key: it may not read it, or others may; mail waits or leaves unsigned",
    needs=("signer",),
    match=signing.unreadable,
    fix="give the container's copy of the keys to OpenDKIM alone",
    ref="opendkim.conf(5) RequireSafeKeys, DMS#3163",
    command="docker exec mailserver sh -c 'chown -R opendkim:opendkim /etc/opendkim && "
    "chmod -R u=rwX,go= /etc/opendkim/keys'",
    entails=SENT,
    symptoms=SEND,
)
UNREADABLE_ON_HOST = replace(
    UNREADABLE_IN_CONTAINER,
    fix="give the keys to OpenDKIM alone",
    command="chown -R opendkim:opendkim /etc/opendkim/keys && chmod -R u=rwX,go= /etc/opendkim/keys",
)
KEY_RULES = (
    Rule(
        id="dmarc-unaligned",
        cause="DMARC asks receivers to turn away what nothing authenticates: all that the domain sends",
        needs=("dmarc", "spf", "dkim"),
        match=policy.dmarc_unaligned,
        fix="publish the records of SPF and DKIM first (04); until they stand, let the policy be p=none",
        ref="RFC 9989 5.3, RFC 9989 7.4",
        sureness=Sureness.LIKELY,
        observe="dmarc= in the Authentication-Results of a message that arrived (05)",
        entails=(
            "dkim-missing",
            "dkim-wrong-key",
            "dkim-broken-by-panel",
            "dkim-wrong-selector",
            "dkim-unsigned",
            "spf-missing",
            "spf-twice",
            "spf-without-relay",
        ),
        cell=PUBLISH,
        symptoms=(Symptom.BOUNCED, Symptom.CANNOT_SEND, Symptom.JUNK),
    ),
    Rule(
        id="dkim-misplaced",
        cause="the DKIM key stands at another name than verifiers ask, as panels append the zone by themselves",
        needs=("dkim", "strays"),
        match=signing.dkim_misplaced,
        fix="run stage 04, which publishes it in its place, and remove the other by hand",
        ref="RFC 6376 3.6.2.1",
        excludes=("dkim-missing",),
        cell=PUBLISH,
        symptoms=JUNK,
    ),
    Rule(
        id="dkim-missing",
        cause="a signature's key is not in DNS, so it cannot be verified",
        needs=("dkim",),
        match=signing.dkim_missing,
        fix="run stage 04",
        ref="RFC 6376 3.6.2",
        mended_by=DNS,
        cell=PUBLISH,
        symptoms=JUNK,
    ),
    Rule(
        id="dkim-broken-by-panel",
        cause="a DNS panel damaged the DKIM key as it was entered, so every signature fails",
        needs=("dkim", "keys"),
        match=signing.dkim_broken,
        fix="run stage 04, which publishes it whole; by hand, enter it as one line without quotation marks",
        ref="RFC 6376 3.6.1, DMS#1035, DMS#855",
        cell=PUBLISH,
        symptoms=JUNK,
    ),
    Rule(
        id="dkim-wrong-key",
        cause="DNS holds another DKIM key than the server signs with, so every signature fails",
        needs=("dkim", "keys"),
        match=signing.dkim_wrong_key,
        fix="replace the record by the one that stages 03 and 04 show, by hand, since somebody else may sign with what "
        "stands there; or set another dkim.selector in params, and run 03 and 04",
        ref="RFC 6376 3.6.1, DMS#929",
        symptoms=JUNK,
    ),
    Rule(
        id="dkim-sent-unsigned",
        cause="the newest message of a domain left without its signature",
        needs=("log",),
        match=signing.sent_unsigned,
        fix="run stage 03, which proves the running signer on a message",
        ref="RFC 6376 3.3, DMS#4484",
        status=Status.WARN,
        sureness=Sureness.LIKELY,
        observe="the signer's lines in the log about that message, and its From: another domain's is not signed",
        symptoms=JUNK,
    ),
    Rule(
        id="dkim-sent-otherwise",
        cause="mail went out signed with a selector that DNS does not have, so no signature of it can be verified",
        needs=("log",),
        match=signing.sent_otherwise,
        fix="run stage 03: what signs has the selector of params again, or the old key until DNS has the new one",
        ref="RFC 6376 3.6.2.1",
        cell=SIGN,
        symptoms=JUNK,
    ),
    Rule(
        id="dmarc-misplaced",
        cause="the DMARC policy stands where no receiver looks for it",
        needs=("dmarc", "strays"),
        match=policy.dmarc_misplaced,
        fix="run stage 04, which publishes it at _dmarc, and remove the other by hand",
        ref="RFC 9989 4.10",
        excludes=("dmarc-missing",),
        cell=PUBLISH,
        symptoms=JUNK,
    ),
    Rule(
        id="dmarc-missing",
        cause="no DMARC policy: large receivers refuse or junk such mail",
        needs=("dmarc",),
        match=policy.dmarc_missing,
        fix="run stage 04",
        ref="RFC 9989 4.7",
        mended_by=DNS,
        cell=PUBLISH,
        symptoms=JUNK,
    ),
    Rule(
        id="dmarc-twice",
        cause="two DMARC policies are none: receivers take neither",
        needs=("dmarc",),
        match=policy.dmarc_twice,
        fix="leave the one that is meant, and remove the other by hand",
        ref="RFC 9989 4.10",
        symptoms=JUNK,
    ),
    Rule(
        id="dmarc-malformed",
        cause="the DMARC record cannot be read as it was meant",
        needs=("dmarc",),
        match=policy.dmarc_malformed,
        fix="correct it by hand, since only you know what was meant; stage 04 shows what would do",
        ref="RFC 9989 4.7",
        symptoms=JUNK,
    ),
)
