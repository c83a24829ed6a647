"""The files of docker-mailserver on the server, as text: pure functions of the site and of what stands there.

A file that an administrator may add to carries one block a stage; what stands outside our blocks stays.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from ipaddress import IPv6Address, IPv6Network

import yaml

from runbooklib.params import Site

CONTAINER = "mailserver"
INSIDE = ("docker", "exec", "-i", CONTAINER)  # what leads a command into it
CONFIG = "/tmp/docker-mailserver"  # noqa: S108 - where the image expects its configuration
CERTIFICATE, KEY = "certs/mail.pem", "certs/mail.key"
COMPOSE, ENV, MAIN_CF = "compose.yaml", "mailserver.env", "config/postfix-main.cf"
PATCHES, VIRTUAL, SELF, REFUSE = (
    "config/user-patches.sh",
    "config/postfix-virtual.cf",
    "config/vmailbox-self.pcre",
    "config/refuse.cf",
)
LOGINS, RELAY_CA, ACCOUNTS = "config/postfix-sasl-password.cf", "config/relay-ca.pem", "config/postfix-accounts.cf"
RELAY_MAP, RETIRED = "config/postfix-relaymap.cf", "config/runbook-retired.yaml"
DOVECOT, QUOTAS, QUOTA_RECIPIENTS = "config/dovecot.cf", "config/dovecot-quotas.cf", "config/quota-recipients"
DKIM_KEYS = "config/opendkim/keys"
KEY_TABLE, SIGNING_TABLE = "config/opendkim/KeyTable", "config/opendkim/SigningTable"
NEEDS_NEW_CONTAINER = (ENV, MAIN_CF, PATCHES, RELAY_CA, DOVECOT)
DIGEST = "org.mail-runbooks.configuration"


def compose(site: Site, digests: Mapping[str, str]) -> str:
    """compose.yaml; its label changes with every file that only a new container reads, so that `up -d` makes one."""
    digest = hashlib.sha256(" ".join(digests.get(path, "-") for path in NEEDS_NEW_CONTAINER).encode()).hexdigest()
    service: dict[str, object] = {
        "image": site.mail.image,
        "container_name": CONTAINER,
        "hostname": site.server.hostname,
        "env_file": ENV,
        "ports": ["25:25", "143:143", "465:465", "587:587", "993:993"],
        "volumes": [
            "./mail-data:/var/mail",
            "./mail-state:/var/mail-state",
            "./mail-logs:/var/log/mail",
            f"./config:{CONFIG}",
            "./certs:/certs:ro",  # the folder, not the files: a file replaced by rename would never be seen
        ],
        "restart": "always",
        "stop_grace_period": "1m",
        "healthcheck": {
            "test": "ss --listening --ipv4 --tcp | grep --silent ':smtp' || exit 1",
            "interval": "5s",
            "timeout": "3s",
            "retries": 3,
            "start_period": "2m",
        },
        "labels": {DIGEST: digest[:16]},
    }
    told: dict[str, object] = {"services": {CONTAINER: service}}
    if site.server.ipv6:
        # Without IPv6 in the network, IPv6 clients arrive as the bridge's gateway and SPF refuses good mail.
        told["networks"] = {"default": {"enable_ipv6": True, "ipam": {"config": [{"subnet": str(ula(site))}]}}}
    return "# Written by mail-runbooks, stage 01-bootstrap; its next run shows what it would change here.\n" + str(
        yaml.safe_dump(told, sort_keys=False)
    )


def ula(site: Site) -> IPv6Network:
    """A unique local /64 for the container network, the same at every run (RFC 4193 3.2)."""
    digest = hashlib.sha256(site.server.hostname.encode()).digest()
    return IPv6Network((IPv6Address(b"\xfd" + digest[:7] + bytes(8)), 64))


def environment(site: Site) -> list[str]:
    """Our lines of mailserver.env: plain VAR=VALUE, never quoted, never a secret."""
    spamassassin = int(site.mail.filter == "spamassassin")
    return [
        f"POSTMASTER_ADDRESS=postmaster@{site.domains[0].name}",
        "SSL_TYPE=manual",
        "SSL_CERT_PATH=/certs/mail.pem",
        "SSL_KEY_PATH=/certs/mail.key",
        "ENABLE_OPENDKIM=1",
        "ENABLE_OPENDMARC=1",
        "ENABLE_POLICYD_SPF=1",
        f"ENABLE_AMAVIS={spamassassin}",
        f"ENABLE_SPAMASSASSIN={spamassassin}",
        f"ENABLE_DNSBL={int(site.mail.filter == 'dnsbl')}",
        "ENABLE_UPDATE_CHECK=0",
        "PERMIT_DOCKER=none",
        "SPOOF_PROTECTION=1",
        "ENABLE_QUOTAS=1",  # its policy service refuses mail for a full mailbox at RCPT
        f"POSTFIX_MESSAGE_SIZE_LIMIT={site.mail.message_size_limit}",
        *srs(site),
    ]


def srs(site: Site) -> list[str]:
    """The lines that have Postfix put a name of ours into the MAIL FROM of what is sent on to others.

    Without them a forward carries the author's MAIL FROM from an address that the author's SPF does not name. Our own
    domains are excluded: Postfix rewrites every sender, also those of mail that starts here.
    """
    if not site.srs_domain:
        return []
    own = ",".join([site.server.hostname, *(d.name for d in site.domains)])
    return [
        "ENABLE_SRS=1",
        "SRS_SENDER_CLASSES=envelope_sender",  # the author address stays, which DKIM and DMARC are about
        f"SRS_DOMAINNAME={site.srs_domain}",
        f"SRS_EXCLUDE_DOMAINS={own}",
    ]


def main_cf(site: Site) -> list[str]:
    """Our lines of postfix-main.cf that receiving and sending need.

    Aliases are asked before mailboxes, so a catch-all would swallow every mailbox: the pipemap answers each
    mailbox with itself first. A refused address gets its 550 before any alias is looked at. Who owns an address may
    send as it, below it (hi+tag@) and, reading the catch-all, as what is nobody else's; docker-mailserver's own map
    gives every address to itself, which leaves only mailboxes and aliases.
    """
    refuse = f"check_recipient_access texthash:{CONFIG}/refuse.cf"
    themselves = f"pipemap:{{texthash:/etc/postfix/vmailbox, pcre:{CONFIG}/vmailbox-self.pcre}}"
    lines = [
        f"smtpd_relay_restrictions = {refuse}, permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination",
        "lmtp_destination_recipient_limit = 1",  # X-Original-To can name only one address
        f"smtpd_sender_login_maps = {themselves} texthash:/etc/postfix/virtual",
    ]
    if any(d.catch_all for d in site.domains):
        lines.append(f"virtual_alias_maps = {themselves} texthash:/etc/postfix/virtual")
    return lines


def patches() -> list[str]:
    """The line of user-patches.sh that keeps the address written to visible in the delivered message."""
    return ["postconf -F 'lmtp/unix/command = lmtp flags=O'  # lmtp(8), since Postfix 3.5: prepends X-Original-To"]


def refusals(site: Site) -> list[str]:
    """The access(5) lines that answer 550 5.1.1 for refused addresses."""
    return [f"{address} 550 5.1.1 User unknown" for domain in site.domains for address in domain.refuse]
