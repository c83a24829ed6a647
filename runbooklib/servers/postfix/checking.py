"""What comes in is checked on a fresh host: SPF and DMARC by OpenDMARC, behind OpenDKIM, whose results it reads."""

from __future__ import annotations

from runbooklib.params import Site
from runbooklib.servers.postfix import layout

CONFIG = "/etc/opendmarc.conf"
ADDRESS = "127.0.0.1:8893"  # TCP: a socket's file would have to lie inside the chroot of smtpd
# Without it mail comes in unchecked, which is better than not at all.
MILTER = f"{{ inet:{ADDRESS}, default_action=accept }}"
RESTART = "if pgrep -x opendmarc >/dev/null; then service opendmarc restart; fi"


def config(site: Site) -> str:
    """opendmarc.conf; a domain that publishes p=reject is taken at its word."""
    name = site.server.hostname
    return f"""{layout.HEADING}AuthservID                  {name}
TrustedAuthservIDs          {name}
Socket                      inet:{ADDRESS.partition(":")[2]}@{ADDRESS.partition(":")[0]}
SPFIgnoreResults            true
SPFSelfValidate             true
IgnoreAuthenticatedClients  true
RejectFailures              true
Syslog                      true
UserID                      opendmarc
UMask                       0002
PidFile                     /run/opendmarc/opendmarc.pid
PublicSuffixList            /usr/share/publicsuffix/public_suffix_list.dat
"""


def milters(standing: str) -> str:
    """smtpd_milters with OpenDMARC after what stands there; as it is where it has its place."""
    if ADDRESS in standing:
        return standing
    return f"{standing}, {MILTER}" if standing else MILTER


def before(signer: str, standing: str) -> str:
    """The same with a signer in front of OpenDMARC, which looks for its results; behind everything else."""
    others, own, rest = standing.partition(MILTER)
    return ", ".join(part for part in (others.strip(", "), signer, f"{own}{rest}".strip(", ")) if part)
