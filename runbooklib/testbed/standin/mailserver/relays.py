"""The outbound relay: what the environment and the config volume make of Postfix's smtp client settings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from . import maps, postfix
from .databases import LOGINS, RELAYS, valid_lines

if TYPE_CHECKING:
    from .journal import Journal
    from .settings import Settings

RELAYHOST_MAP = Path("/etc/postfix/relayhost_map")
SASL_PASSWD = Path("/etc/postfix/sasl_passwd")


def configured(settings: Settings) -> bool:
    """Whether any relay is configured; logins alone do not count."""
    return RELAYS.path.exists() or bool(settings["DEFAULT_RELAY_HOST"] or settings["RELAY_HOST"])


def first_setup(settings: Settings, journal: Journal) -> None:
    """Configure the relay of a new container: the only time DEFAULT_RELAY_HOST is read."""
    if settings["DEFAULT_RELAY_HOST"]:
        postfix.set_parameters({"relayhost": settings["DEFAULT_RELAY_HOST"]})
    refresh(settings, journal)


def refresh(settings: Settings, journal: Journal) -> None:
    """Write the relay tables from their sources; a setting made once is never taken back."""
    if configured(settings):
        _write_logins(settings, journal)
        _write_relayhosts(settings)


def _write_logins(settings: Settings, journal: Journal) -> None:
    user, password = settings["RELAY_USER"], settings["RELAY_PASSWORD"]
    if not LOGINS.path.exists() and not (user and password):
        journal.warn(f"Missing relay-host mapped credentials provided via ENV, or from {LOGINS.path}")
        return
    next_hop = settings["DEFAULT_RELAY_HOST"] or _relay(settings)
    postfix.write_secret(SASL_PASSWD, maps.logins(LOGINS.lines(), next_hop, user, password))
    postfix.set_parameters(
        {
            "smtp_sasl_auth_enable": "yes",
            "smtp_sasl_password_maps": f"texthash:{SASL_PASSWD}",
            "smtp_sasl_security_options": "noanonymous",
            "smtp_tls_security_level": "encrypt",
        }
        | ({"smtp_sender_dependent_authentication": "yes"} if LOGINS.path.exists() else {})
    )


def _write_relayhosts(settings: Settings) -> None:
    vhosts = valid_lines(postfix.VHOST.read_text())
    postfix.write_secret(RELAYHOST_MAP, maps.relayhosts(RELAYS.lines(), vhosts, _relay(settings)))
    postfix.set_parameters({"sender_dependent_relayhost_maps": f"texthash:{RELAYHOST_MAP}"})


def _relay(settings: Settings) -> str:
    return f"[{settings['RELAY_HOST']}]:{settings['RELAY_PORT']}" if settings["RELAY_HOST"] else ""
