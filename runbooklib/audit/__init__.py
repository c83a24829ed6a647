"""What DNS says of a domain and of a mail host: every check that the peers have, and the traps they fall into."""

from runbooklib.audit.authorised import senders
from runbooklib.audit.catalogue import CATALOGUE, Entry
from runbooklib.audit.gathering import domain, host
from runbooklib.audit.policies import PolicyError, fetch
from runbooklib.audit.sites import machine, site, subjects
from runbooklib.audit.subject import Machine, Subject

__all__ = [
    "CATALOGUE",
    "Entry",
    "Machine",
    "PolicyError",
    "Subject",
    "domain",
    "fetch",
    "host",
    "machine",
    "senders",
    "site",
    "subjects",
]
