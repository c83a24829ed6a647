"""A mail server that refuses nothing, put back to the byte; and what becomes of all that it is asked."""

from __future__ import annotations

import time

from runbooklib.delivery import abuse, asking, bans, questions
from runbooklib.params import Site
from runbooklib.results import Status

READ = 60  # seconds in which smtpd and Dovecot, reloaded, read their settings on a busy machine
KEPT = "/srv/postfix-kept"
ANY_2_3 = "passdb {\n driver = static\n args = nopassword=y\n}"
ANY_2_4 = "passdb static {\n fields {\n nopassword = yes\n }\n}"  # Dovecot's new way to write it
# Behind a catch-all VRFY has nothing to tell; the others need no more than TLS and the right password.
GOOD = {"delivery.accounts 25", "delivery.implicit-tls 465", "delivery.login 465"}


def opened(any_password: str) -> str:
    """Everything that a good server refuses is let through, all at once; in this order Postfix reloads but once."""
    return f"""rm -rf {KEPT}; cp -a /etc/postfix {KEPT}
postconf -e mynetworks="198.18.0.0/15 [2001:db8::]/32" smtpd_forbid_bare_newline=no
postconf -e smtpd_banner="nobody ESMTP" smtpd_milters= smtpd_sasl_auth_enable=yes
postconf -e smtpd_tls_auth_only=no smtpd_relay_restrictions="permit_mynetworks, reject_unauth_destination"
postconf -e smtpd_recipient_restrictions="permit_mynetworks" smtpd_sender_restrictions= smtpd_data_restrictions=
postconf -P submission/inet/smtpd_tls_security_level=may submission/inet/smtpd_client_restrictions=
postconf -P submission/inet/smtpd_sender_restrictions= submission/inet/smtpd_relay_restrictions=permit_mynetworks,reject
touch -d "1 minute ago" /etc/postfix/main.cf; postfix reload
cp -p /etc/dovecot/dovecot.conf {KEPT}/; echo "{any_password}" >>/etc/dovecot/dovecot.conf; doveadm reload"""


CLOSED = f"""cp -a {KEPT}/main.cf {KEPT}/master.cf /etc/postfix/
cp -p {KEPT}/dovecot.conf /etc/dovecot/; rm -rf {KEPT}; doveadm reload
touch -d "1 minute ago" /etc/postfix/main.cf; postfix reload"""


def asked(site: Site) -> dict[str, Status]:
    """What becomes of all questions."""
    answers = asking.ask_all(site, questions.plan(site), limits=bans.Bans("nobody"))
    return {row.name: row.status for answer in answers for row in abuse.judge(site, answer)}


def doubted(site: Site) -> dict[str, Status]:
    """The checks that a server does not pass for certain: of a good one, none."""
    told = asked(site)
    assert told, "nothing was asked"
    return {name: status for name, status in told.items() if status is not Status.PASS}


def good(site: Site) -> set[str]:
    """The checks that a server which refuses nothing does not fail; for a moment it may answer as before."""
    until = time.monotonic() + READ
    while True:
        left = {name for name, status in asked(site).items() if status is not Status.FAIL}
        if left <= GOOD or time.monotonic() > until:
            return left
