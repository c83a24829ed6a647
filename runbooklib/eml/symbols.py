"""What the symbols of spam filters mean to whoever sends, and what to change."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from runbooklib.eml.rspamd import RSPAMD
from runbooklib.eml.spamassassin import SPAMASSASSIN

# Families with a member for each list or program.
FAMILIES = (
    (r"(RBL|RECEIVED)_\w*BLOCKED\w*|(RCVD_IN|URIBL|DBL|SURBL|DNSWL|DWL)_\w*BLOCKED\w*|DBL_PROHIBIT|URIBL_DBL_ERROR",
     "a list that gave the filter no answer: too many questions, or asked through a public resolver",
     "nothing about the message; give the filter's host a resolver of its own"),
    (r"RBL_\w+|RCVD_IN_\w+",
     "a DNSBL holds the sending address",
     "the dns.dnsbl rows name the lists; behind a relay ask it for another pool, else ask the list for removal"),
    (r"RECEIVED_\w+",
     "a DNSBL holds an address that the message came through before",
     "see where it was submitted: a home connection's address is in Spamhaus's PBL by right and does no harm"),
    (r"(DBL|URIBL|SURBL|\w+_SURBL|SEM_URIBL|RSPAMD_URIBL|PHISHED|PH)_?\w*|MSBL_EBL\w*|RSPAMD_EMAILBL",
     "a list holds a domain or address that the text names",
     "take the link out, or ask the list why: a shortener or a tracking host is often the one that is listed"),
    (r"FUZZY_\w+|PYZOR_CHECK|DCC_CHECK|RAZOR2_\w+",
     "others have reported mail with the same text",
     "write another text: a bare test message, as everybody sends, is known as bulk"),
    (r"FORGED_MUA_\w+|FORGED_OUTLOOK_\w+|FORGED_IMS\w*|RATWARE_\w+|FORGED_X_MAILER|OLD_X_MAILER",
     "the headers name a mail program that does not write such headers",
     "leave X-Mailer and User-Agent out, or let a real program write the message"),
    (r"SUSPICIOUS_BOUNDARY\w*|MIME_BOUND_\w+|TBIRD_SUSP_MIME_BDRY",
     "a MIME boundary as bulk mailers write it",
     "let a MIME library choose the boundary"),
    (r"HTML_SHORT_LINK_IMG_\d|HTML_IMAGE_ONLY_\d+|HTML_IMAGE_RATIO_\d+|R_EMPTY_IMAGE|R_SUSPICIOUS_IMAGES",
     "pictures in the place of text",
     "say in text what the picture says"),
    (r"HEADER_\w+_EMPTY_DELIMITER",
     "no blank between a header's name and its value",
     "write one, as every program does"),
    (r"FORGED_GENERIC_RECEIVED\d?|FAKE_RECEIVED_\w+|FORGED_MSGID_\w+|STRONGMAIL|R_RCVD_SPAMBOTS",
     "headers as only spam programs write them",
     "see delivery.path: who wrote them"),
    (r"\w+_EXCESS_(BASE64|QP)",
     "a header is encoded though it holds nothing but ASCII",
     "encode only headers with other letters (RFC 2047)"),
    (r"DATE_IN_PAST\w*|DATE_IN_FUTURE\w*",
     "Date is far from when the message came in",
     "set the clock of whoever writes it (NTP), and see in delivery.path where it waited"),
    (r"HFILTER_(HOSTNAME|HELO)_\d|HELO_DYNAMIC_\w+|RDNS_DYNAMIC|FSL_HELO_\w+",
     "the sending host's name looks like a home connection's",
     "give the address a PTR that a person chose, such as mail.example.org, and say HELO with it"),
    (r"FREEMAIL_\w+",
     "an address of a freemail service in From or Reply-To",
     "write, and take answers, under the site's own domain"),
    (r"BAYES_(SPAM|[5-9]\d+)",
     "the filter's own learning takes the text for spam",
     "write a text that people would write; a filter learns by what its users file as spam"),
    (r"SUBJ_\w+|SUBJECT_\w+|GAPPY_SUBJECT|LONG_SUBJ|URL_IN_SUBJECT",
     "a subject as spam has it",
     "write a short subject in plain words"),
    (r"(BLACKLIST|BLOCKLIST)_\w+",
     "authentication failed for a domain that always passes",
     "let SPF and DKIM pass under the From domain: relay.truth says which is short"),
)  # fmt: skip


@dataclass(frozen=True)
class Told:
    """One symbol, for whoever sends."""

    means: str
    fix: str
    anyway: bool = False  # worth a row where it costs no points: elsewhere it does
    ref: str = ""


def explain(name: str, described: str = "") -> Told:
    """What a symbol means and what to change; of an unknown one what the filter itself says."""
    if told := TABLE.get(name):
        return told
    for pattern, means, fix in FAMILIES:
        if re.fullmatch(pattern, name):
            return Told(_with(means, described), fix)
    return Told(described or "not described by the filter", f"see {name} in the filter's own documentation")


def _with(means: str, described: str) -> str:
    return f"{means} ({described})" if described else means


def _spread(rows: Iterable[tuple[str, ...]]) -> dict[str, Told]:
    """A table whose first column may name several symbols; a `!` before one is for `anyway`."""
    found = {}
    for names, means, fix, *ref in rows:
        for name in names.split():
            found[name.lstrip("!")] = Told(means, fix, name.startswith("!"), "".join(ref))
    return found


TABLE = _spread((*SPAMASSASSIN, *RSPAMD))  # of a name that both have, rspamd's is the older meaning
