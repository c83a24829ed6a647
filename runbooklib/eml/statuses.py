"""What a status code of RFC 3463 and the words beside it mean, and what the sender's administrator can do.

The big receivers write finer codes of their own; what they document of them stands first, since it says more.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

GMAIL = "https://support.google.com/a/answer/3726730"
MICROSOFT = "https://learn.microsoft.com/exchange/mail-flow-best-practices/non-delivery-reports-in-exchange-online"
OUTLOOK = (
    "https://support.microsoft.com/topic/fix-ndr-error-550-5-7-515-in-outlook-com-34cfe8f8-6fbf-457e-9e8b-9e4dbaf4e0ef"
)
YAHOO = "https://senders.yahooinc.com/smtp-error-codes"
QQ = "https://service.mail.qq.com/cgi-bin/help?id=20022"
NETEASE = "http://mail.163.com/help/help_spam_16.htm"
LONGEST = 2000  # characters of a diagnostic that are read

RFC3463, REGISTRY = "RFC 3463", "IANA SMTP Enhanced Status Codes"


@dataclass(frozen=True)
class Meaning:
    """What a refusal says, and what to do about it."""

    means: str
    todo: str
    ref: str = RFC3463

    def __str__(self) -> str:
        return f"{self.means}: {self.todo}"


PTR = Meaning(
    "the sending address has no PTR record whose name leads back to it",
    "set the PTR at the host of that address; behind a relay it is the relay's to mend",
    GMAIL,
)
UNAUTHENTICATED = Meaning(
    "neither SPF nor DKIM passed, or the domain's DMARC policy forbids the message",
    "see delivery.spf, delivery.dkim and delivery.dmarc; publish what 04 plans",
    GMAIL,
)
SPF = Meaning(
    "SPF does not pass for MAIL FROM", "let the SPF record of the return path name the sending address (04)", GMAIL
)
RATE = Meaning(
    "too much mail at once from this address or domain", "send slower; the server tries again by itself", GMAIL
)
REPUTATION = Meaning(
    "the sending address has a bad name there",
    "behind a relay ask its support for another address; else look for compromised mailboxes, then ask for delisting",
    MICROSOFT,
)
SPAM = Meaning(
    "the content was taken for spam",
    "see delivery.content and the score; send less of the same, and no link shorteners",
)
LISTED = Meaning(
    "the sending address is on a blocklist",
    "see the DNSBL rows, and ask there for removal; a relay's is its own",
)
UNKNOWN_USER = Meaning("nobody there has this address", "correct the address, and do not send to it again")
POLICY = Meaning(
    "the receiver's policy refuses it", "read its words; often a blocklist, missing authentication, or content"
)

# Gmail gives codes of RFC 7372 a narrower meaning; all its replies end in gsmtp.
GOOGLE = re.compile(r"gsmtp|gmail|google", re.IGNORECASE)
GOOGLES: tuple[tuple[str, Meaning], ...] = (
    (r"4\.7\.23\b|5\.7\.25\b", PTR),
    (r"[45]\.7\.24\b.*spf record", Meaning(
        "the domain's SPF record has entries that Gmail takes for suspicious",
        "let it name only what sends: see delivery.truth and 04", GMAIL)),
    (r"[45]\.7\.26\b", UNAUTHENTICATED),
    (r"[45]\.7\.27\b", SPF),
    (r"[45]\.7\.28\b", RATE),
    (r"[45]\.7\.29\b", Meaning("the message came without TLS", "give the way out TLS (02)", GMAIL)),
    (r"[45]\.7\.30\b.*dkim|dkim.*[45]\.7\.30\b", Meaning(
        "no DKIM signature passed", "see delivery.dkim, and whether the key is in DNS (03, 04)", GMAIL)),
    (r"[45]\.7\.(?:31|40)\b.*dmarc", Meaning(
        "the From domain has no DMARC record", "publish one, p=none is enough (04)", GMAIL)),
    (r"[45]\.7\.32\b", Meaning(
        "the From domain is aligned with neither SPF nor DKIM", "see delivery.dmarc", GMAIL)),
)  # fmt: skip

# Words or codes a receiver documents as its own, tried in this order on "status diagnostic".
OWN: tuple[tuple[str, Meaning], ...] = (
    (r"5\.7\.515", Meaning(
        "Outlook.com wants SPF, DKIM and aligned DMARC of who sends it above 5,000 messages a day",
        "make all three pass: see delivery.rules.microsoft", OUTLOOK)),
    (r"5\.7\.509", Meaning(
        "DMARC failed and the domain's own policy is reject",
        "let SPF or DKIM pass under the From domain: see delivery.dmarc", MICROSOFT)),
    (r"5\.7\.(?:60[6-9]|6[1-4]\d)\b|banned sending ip", Meaning(
        "Microsoft has banned the sending address",
        "ask for removal at sender.office.com; behind a relay its support does", MICROSOFT)),
    (r"5\.7\.511\b", Meaning(
        "Microsoft has banned the sending address", "write to delist@microsoft.com and forward the bounce", MICROSOFT)),
    (r"5\.7\.800\b", Meaning(
        "Microsoft has banned the sending domain for spam",
        "find what was abused and stop it, then ask Microsoft's support", MICROSOFT)),
    (r"\bS(?:3140|3150|775|843)\b", REPUTATION),
    (r"5\.7\.708\b", REPUTATION),
    (r"\bTSS0?4\b|\bTS0[123]\b|unexpected volume or user complaints", Meaning(
        "Yahoo defers mail from this address: too much at once, complaints, or no good name yet",
        "wait, it is tried again; send less there; see that SPF, DKIM and DMARC pass", YAHOO)),
    (r"\bTSS(?:09|11)\b", Meaning(
        "Yahoo defers all mail from this address for good", "use another address; behind a relay ask it", YAHOO)),
    (r"yahoo requires all senders|5\.7\.9\b.*(?:policy reasons|unauthenticated)|\bPH01\b", Meaning(
        "Yahoo refuses it by policy: authentication failed, or its content or links", "see delivery.dmarc", YAHOO)),
    (r"\bBL2[13]\b|spamhaus", LISTED),
    (r"\bMI:SPF\b", Meaning(
        "SPF does not pass for MAIL FROM at NetEase", "let the return path's SPF name the address (04)", NETEASE)),
    (r"\b(?:MI|HL|RP):[A-Z]{2,4}\b",  # families: what limits an address, its good name, and what it sent of late
     Meaning("NetEase limits this address or sender: too much at once, or too many wrong addresses",
             "send slower, drop addresses that bounce, and try again after some hours", NETEASE)),
    (r"\bDT:(?!RBL)[A-Z]{2,4}\b", Meaning(
        "NetEase takes the content or its sender for spam", "see delivery.content; wait some minutes", NETEASE)),
    (r"\bDT:RBL\b", LISTED),
    (r"mail content denied|content rejected|spam is embedded|suspected spam(?! ip)", SPAM),
    (r"suspected spam ip|frequency limited", Meaning(
        "QQ Mail limits this address or domain", "send slower, and only what is asked for; try again tomorrow", QQ)),
    (r"(?:spf|dmarc) check failed", Meaning(
        "SPF or DMARC fails at QQ Mail", "see delivery.spf, delivery.dmarc, and 04's plan", QQ)),
    (r"gr[ea]y-?list", Meaning(
        "greylisted: a stranger is asked to come again", "wait; it is tried again after some minutes", "RFC 6647")),
    (r"\brbl\b|dnsbl|block ?list|blacklist|listed (?:at|in|on|by)", LISTED),
    (r"reverse dns|ptr record|iprev", PTR),
)  # fmt: skip

CODES: dict[str, Meaning] = {
    "1.0": UNKNOWN_USER,
    "1.1": UNKNOWN_USER,
    "1.2": Meaning("the part after the @ receives no mail", "correct the domain; see whether it has an MX record"),
    "1.3": Meaning("the address is not written as one", "correct the address"),
    "1.6": Meaning("the mailbox has moved and left no new address", "ask the recipient, and do not send to it again"),
    "1.7": Meaning("the sender's address is not written as one", "correct MAIL FROM"),
    "1.8": Meaning(
        "the sender's domain does not exist there, or cannot be answered",
        "see whether MAIL FROM's domain has an MX or address record (04)",
    ),
    "1.10": Meaning("the recipient's domain says that it takes no mail (null MX)", "correct the address", "RFC 7505"),
    "2.0": Meaning("something is wrong with the mailbox", "read the words; ask the recipient another way"),
    "2.1": Meaning("the mailbox is switched off, or takes no more for now", "ask the recipient another way"),
    "2.2": Meaning("the mailbox is full", "the recipient has to make room; the server tries again while it is 4.2.2"),
    "2.3": Meaning("the message is larger than this mailbox takes", "send it smaller, or a link to it"),
    "3.1": Meaning("the receiver's disk is full", "wait; it is theirs to mend"),
    "3.2": Meaning("the receiver takes no mail now", "wait; it is tried again"),
    "3.4": Meaning("the message is larger than the receiver takes", "send it smaller, or a link to it"),
    "4.1": Meaning(
        "nobody answers at the receiver",
        "see whether port 25 is open from what sends (01), and whether the receiver is up; it is tried again",
    ),
    "4.2": Meaning("the connection broke", "wait; it is tried again. When it stays so, look at MTU and firewalls"),
    "4.3": Meaning("DNS or the directory could not be asked", "see the server's resolver; it is tried again"),
    "4.4": Meaning(
        "no way to the receiver: its MX or address cannot be found, or no relay is set",
        "correct the domain; see relayhost and the sender's relay (02)",
    ),
    "4.5": Meaning("the receiver is overloaded", "wait; it is tried again"),
    "4.6": Meaning("the message goes in a circle", "see MX, forwards and relayhost: two servers hand it to each other"),
    "4.7": Meaning("it was tried until time was up", "see the last words before it; then send it again"),
    "5.3": Meaning("too many recipients at once", "send to fewer at a time"),
    "5.2": Meaning("the receiver did not understand a command", "see the words; often an address it cannot read"),
    "5.4": Meaning("a command's argument is refused", "see HELO and the addresses in the words"),
    "6.0": Meaning("the message's form is refused", "see delivery.format", "RFC 5322"),
    "6.7": Meaning(
        "the address has letters outside ASCII, which the receiver does not take",
        "write to an ASCII address of the recipient",
        "RFC 6531 3.5",
    ),
    "7.0": POLICY,
    "7.1": POLICY,
    "7.5": Meaning("the TLS or signature of the message was not accepted", "see delivery.tls and delivery.dkim"),
    "7.8": Meaning("the login was refused", "see the relay's user name and password (02)", REGISTRY),
    "7.20": Meaning("no DKIM signature passed", "see delivery.dkim", "RFC 7372 3.1"),
    "7.21": Meaning("no acceptable DKIM signature passed", "see delivery.dkim", "RFC 7372 3.1"),
    "7.22": Meaning("no DKIM signature of the author domain passed", "see delivery.dkim", "RFC 7372 3.1"),
    "7.23": Meaning(SPF.means, SPF.todo, "RFC 7372 3.2"),
    "7.24": Meaning("the SPF check ended in an error", "see dns.spf: too many lookups, or a mistake", "RFC 7372 3.2"),
    "7.25": Meaning(PTR.means, PTR.todo, "RFC 7372 3.3"),
    "7.26": Meaning("several checks of authentication failed", UNAUTHENTICATED.todo, "RFC 7372 3.4"),
    "7.27": Meaning("MAIL FROM's domain says that it sends no mail (null MX)", "see its MX record", "RFC 7505 4.2"),
    "7.30": Meaning("REQUIRETLS was asked for and is not offered", "see the relay's TLS", "RFC 8689"),
}

KINDS: dict[str, Meaning] = {
    "1": Meaning("the address is wrong", "correct it"),
    "2": Meaning("the mailbox does not take it", "ask the recipient another way"),
    "3": Meaning("the receiver's server does not take it", "wait, or ask its postmaster"),
    "4": Meaning("the network or routing failed", "see the words, and whether the receiver can be reached"),
    "5": Meaning("the two servers did not understand each other", "see the words"),
    "6": Meaning("the message's content cannot be converted", "send it in another form"),
    "7": POLICY,
}

LEVELS = {
    "2": Meaning("it was delivered", "nothing"),
    "4": Meaning("refused for now", "wait; it is tried again"),
    "5": Meaning("refused for good", "read the receiver's words"),
}
HELD_BACK = Meaning(
    "put off by the receiver's policy: greylisting, or too much at once",
    "wait; it is tried again. When it stays so, read its words",
)
NOTHING = Meaning("the receiver gave no code", "read its words")


def explain(status: str, diagnostic: str, by: str = "") -> Meaning:
    """What a status and the words beside it mean: by the own code of who said so, else by RFC 3463."""
    said = f"{status} {diagnostic[:LONGEST]}"
    known = (*GOOGLES, *OWN) if GOOGLE.search(f"{by} {diagnostic}") else OWN
    own = next((meaning for pattern, meaning in known if re.search(pattern, said, re.IGNORECASE)), None)
    level, _, code = status.partition(".")
    if level == "2":
        return LEVELS["2"]
    found = own or CODES.get(code) or KINDS.get(code.partition(".")[0]) or LEVELS.get(level) or NOTHING
    return HELD_BACK if found is POLICY and level == "4" else found
