#!/usr/bin/python3
"""Postfix policy service: MAIL FROM is taken only from a login, and only of a domain whose DNS vouches for us."""

import sys

import dns.exception
import dns.resolver

SPF = "include:_spf.relay.example"
SELECTOR = "relay._domainkey"


def main() -> None:
    """Answers requests until Postfix closes the connection (SMTPD_POLICY_README)."""
    attributes: dict[str, str] = {}
    for line in sys.stdin:
        name, sep, value = line.rstrip("\n").partition("=")
        if sep:
            attributes[name] = value
        else:
            print(f"action={action(attributes)}\n", flush=True)  # noqa: T201 - the protocol
            attributes = {}


def action(attributes: dict[str, str]) -> str:
    """What Postfix shall do with this MAIL FROM."""
    if not attributes.get("sasl_username"):
        return "530 5.7.0 Authentication required"
    domain = attributes.get("sender", "").rpartition("@")[2].lower()
    try:
        if not domain or is_verified(domain):
            return "DUNNO"
    except dns.exception.DNSException as error:
        return f"451 4.7.1 The {domain} domain could not be checked: {type(error).__name__}"
    return f"550 5.7.1 The {domain} domain is not verified. Please publish its SPF and {SELECTOR} records"


def is_verified(domain: str) -> bool:
    """Whether the domain's SPF includes ours and its DKIM name leads to our key."""
    spf = [text.split() for text in texts(domain) if text.lower().startswith("v=spf1")]
    return any(SPF in terms for terms in spf) and any("p=" in text for text in texts(f"{SELECTOR}.{domain}"))


def texts(name: str) -> list[str]:
    """The TXT records of a name, each joined; none when there are none."""
    try:
        answer = dns.resolver.resolve(name, "TXT", search=False)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return []
    return [b"".join(record.strings).decode("utf-8", "replace") for record in answer]


if __name__ == "__main__":
    main()
