"""Postfix in the container: its parameters, its tables, the user's overrides."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from . import maps
from .databases import ACCOUNTS, ALIASES, CONFIG, valid_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .settings import Settings

FOLDER = Path("/etc/postfix")
MAIN = FOLDER / "main.cf"
VHOST = FOLDER / "vhost"
VIRTUAL = FOLDER / "virtual"
VMAILBOX = FOLDER / "vmailbox"
REGEXP = FOLDER / "regexp"

# Mozilla's intermediate list of AEAD ciphers, which is all `modern` leaves below TLS 1.3.
AEAD = (
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"
    "DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384"
)
PROTOCOLS = {"modern": "!SSLv2,!SSLv3,!TLSv1,!TLSv1.1", "intermediate": "!SSLv2,!SSLv3"}


def set_parameters(parameters: Mapping[str, str]) -> None:
    """Set main.cf parameters in one go."""
    _run(["postconf", *(f"{name} = {value}" for name, value in parameters.items())])
    _cool_down()


def set_service_parameters(parameters: Iterable[str]) -> None:
    """Set master.cf parameters, each as `service/type/name = value`."""
    _run(["postconf", "-P", *parameters])


def parameter(name: str) -> str:
    """The value main.cf gives, not expanded."""
    return _run(["postconf", "-h", name]).strip()


def first_setup(settings: Settings) -> None:
    """Set everything in main.cf that depends on the environment, except TLS and relays."""
    set_parameters(_identity(settings) | _limits(settings) | _tls_level(settings) | _filters(settings))
    Path("/etc/mailname").write_text(f"{settings['HOSTNAME']}\n")
    _write_local_aliases(settings)
    _restrict_listed_addresses()


# Only the codes that mean *listed*: Spamhaus answers 127.255.255.x to a resolver it does not serve.
BLOCKLISTS = "zen.spamhaus.org=127.0.0.[2..11]*3 bl.mailspike.net=127.0.0.[2;10..14] b.barracudacentral.org*2"


def _identity(settings: Settings) -> dict[str, str]:
    return {
        "myhostname": settings["HOSTNAME"],
        "mydomain": settings["DOMAINNAME"],
        "inet_protocols": settings["POSTFIX_INET_PROTOCOLS"],
    }


def _limits(settings: Settings) -> dict[str, str]:
    return {
        "message_size_limit": settings["POSTFIX_MESSAGE_SIZE_LIMIT"],
        "mailbox_size_limit": settings["POSTFIX_MAILBOX_SIZE_LIMIT"],
        "virtual_mailbox_limit": settings["POSTFIX_MAILBOX_SIZE_LIMIT"],
    }


def _tls_level(settings: Settings) -> dict[str, str]:
    protocols = PROTOCOLS[settings["TLS_LEVEL"]]
    return {
        "smtpd_tls_protocols": protocols,
        "smtpd_tls_mandatory_protocols": protocols,
        "smtp_tls_protocols": protocols,
    } | ({"tls_high_cipherlist": AEAD} if settings["TLS_LEVEL"] == "modern" else {})


def _filters(settings: Settings) -> dict[str, str]:
    wanted = {
        "dkim_milter": "inet:localhost:8891" if settings["ENABLE_OPENDKIM"] == "1" else "",
        "dmarc_milter": "inet:localhost:8893" if settings["ENABLE_OPENDMARC"] == "1" else "",
        "smtpd_recipient_restrictions": _recipient_restrictions(settings),
    }
    if settings["ENABLE_DNSBL"] == "1":
        wanted |= {"postscreen_dnsbl_action": "enforce", "postscreen_dnsbl_sites": BLOCKLISTS}
    if settings["SPOOF_PROTECTION"] == "1":
        wanted |= {
            "mua_sender_restrictions": "reject_authenticated_sender_login_mismatch, $dms_smtpd_sender_restrictions",
            "smtpd_sender_login_maps": (
                "unionmap:{ texthash:/etc/postfix/virtual, hash:/etc/aliases, "
                "pcre:/etc/postfix/maps/sender_login_maps.pcre, pcre:/etc/postfix/regexp }"
            ),
        }
    return wanted


def _recipient_restrictions(settings: Settings) -> str:
    restrictions = parameter("smtpd_recipient_restrictions")
    gate = "reject_unauth_destination"
    if settings["ENABLE_POLICYD_SPF"] == "1" and "policyd-spf" not in restrictions:
        restrictions = restrictions.replace(gate, f"{gate}, check_policy_service unix:private/policyd-spf")
    if settings["ENABLE_QUOTAS"] == "1":
        # A second start of a half-made container adds it again, as in docker-mailserver.
        restrictions += ", check_policy_service inet:localhost:65265"
    return restrictions


def _write_local_aliases(settings: Settings) -> None:
    extra = CONFIG / "postfix-aliases.cf"
    own = extra.read_text() if extra.exists() else ""
    Path("/etc/aliases").write_text(f"root: {settings['POSTMASTER_ADDRESS']}\n{own}")
    _run(["newaliases"])


def _restrict_listed_addresses() -> None:
    for direction in ("send", "receive"):
        if access_list(direction).exists():
            restrict(direction)


def access_list(direction: str) -> Path:
    """The file of addresses that may not send, or receive."""
    return CONFIG / f"postfix-{direction}-access.cf"


def restrict(direction: str) -> None:
    """Make Postfix ask the access list of this direction before anything else."""
    subject = {"send": "sender", "receive": "recipient"}[direction]
    name, check = f"smtpd_{subject}_restrictions", f"check_{subject}_access texthash:{access_list(direction)}"
    if check not in (present := parameter(name)):
        set_parameters({name: f"{check}, {present}"})


def write_tables() -> None:
    """Write the tables that accounts and aliases make."""
    known, others = maps.accounts(ACCOUNTS.lines()), maps.aliases(ALIASES.lines())
    _write(VHOST, maps.domains(known, others))
    _write(VMAILBOX, maps.vmailbox(known))
    if ALIASES.path.exists():
        shutil.copyfile(ALIASES.path, VIRTUAL)
    else:
        VIRTUAL.write_text("")
    _write_patterns()


def _write_patterns() -> None:
    source = CONFIG / "postfix-regexp.cf"
    REGEXP.write_text(source.read_text() if source.exists() else "")
    if source.exists() and str(REGEXP) not in (present := parameter("virtual_alias_maps")):
        set_parameters({"virtual_alias_maps": f"{present} pcre:{REGEXP}"})


def override() -> None:
    """Apply the user's postfix-main.cf and postfix-master.cf."""
    main, master = CONFIG / "postfix-main.cf", CONFIG / "postfix-master.cf"
    if main.exists():
        with MAIN.open("a") as file:
            file.write(f"\n{main.read_text()}\n")
        # Each parameter once, the user's value: postconf would otherwise change the first of two lines.
        MAIN.write_text(_run(["postconf", "-n"]))
        _cool_down()
    if master.exists():
        set_service_parameters(valid_lines(master.read_text()))


def reload() -> None:
    """Have the running Postfix read its files again."""
    subprocess.run(["postfix", "reload"], capture_output=True, check=False)


def write_secret(path: Path, lines: Iterable[str]) -> None:
    """Write a table only root may read."""
    path.touch(mode=0o600)
    path.chmod(0o600)
    _write(path, lines)


def _write(path: Path, lines: Iterable[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines))


def _cool_down() -> None:
    """Date main.cf back: every Postfix program pauses until that file has rested for two seconds."""
    past = time.time() - 60
    os.utime(MAIN, (past, past))


def _run(argv: list[str]) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout
