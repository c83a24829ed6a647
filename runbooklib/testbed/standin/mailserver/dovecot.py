"""Dovecot in the container: its users, its TLS and quota settings."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from . import maps
from .databases import ACCOUNTS, ALIASES, CONFIG, QUOTAS

if TYPE_CHECKING:
    from .journal import Journal
    from .settings import Settings

USERDB = Path("/etc/dovecot/userdb")
SNIPPETS = Path("/etc/dovecot/conf.d")
MAIL = Path("/var/mail")
OWNER = 5000

QUOTA = """\
mail_plugins = $mail_plugins quota
protocol imap {{
  mail_plugins = $mail_plugins imap_quota
}}
plugin {{
  quota = count:User quota
  quota_vsizes = yes
  quota_rule = *:storage={mailbox}
  quota_rule2 = Trash:storage=+50M
  quota_grace = 10%%
  quota_max_mail_size = {message}
  quota_status_success = DUNNO
  quota_status_nouser = DUNNO
  quota_status_overquota = "552 5.2.2 Mailbox is full"
}}
service quota-status {{
  executable = quota-status -p postfix
  client_limit = 1
  inet_listener {{
    address = 127.0.0.1
    port = 65265
  }}
}}
"""
TLS = """\
ssl = required
ssl_cert = <{certificate}
ssl_key = <{key}
ssl_min_protocol = {oldest}
ssl_prefer_server_ciphers = yes
"""
NO_TLS = """\
ssl = no
disable_plaintext_auth = no
service imap-login {
  inet_listener imaps {
    port = 0
  }
}
"""


def first_setup(settings: Settings) -> None:
    """Write the settings that depend on the environment, except TLS."""
    SNIPPETS.mkdir(exist_ok=True)
    _snippet("15-lda", f"postmaster_address = {settings['POSTMASTER_ADDRESS']}\nhostname = {settings['HOSTNAME']}\n")
    if settings["ENABLE_QUOTAS"] == "1":
        QUOTAS.path.touch()
        message, mailbox = (_megabytes(settings[f"POSTFIX_{what}_SIZE_LIMIT"]) for what in ("MESSAGE", "MAILBOX"))
        _snippet("90-quota", QUOTA.format(message=message, mailbox=mailbox))


def _megabytes(limit: str) -> str:
    """Bytes as docker-mailserver tells them to Dovecot: below a million no limit at all."""
    whole = int(limit) // 1_000_000
    return f"{whole}M" if whole else "0"


def override() -> None:
    """Take the user's dovecot.cf."""
    if (CONFIG / "dovecot.cf").exists():
        shutil.copyfile(CONFIG / "dovecot.cf", "/etc/dovecot/local.conf")


def set_tls(key: Path, certificate: Path, level: str) -> None:
    """Serve TLS and nothing else, apart from STARTTLS on 143."""
    oldest = {"modern": "TLSv1.2", "intermediate": "TLSv1"}[level]
    _snippet("10-ssl", TLS.format(certificate=certificate, key=key, oldest=oldest))


def set_no_tls() -> None:
    """Serve passwords in the clear: what an empty SSL_TYPE means."""
    _snippet("10-ssl", NO_TLS)


def write_users(settings: Settings, journal: Journal) -> None:
    """Write the user table and the mail folders of accounts."""
    known, limits = maps.accounts(ACCOUNTS.lines()), maps.quotas(QUOTAS.lines())
    made, refused = list[str](), list[str]()
    if settings["ENABLE_QUOTAS"] == "1":
        made, refused = maps.alias_users(known, maps.aliases(ALIASES.lines()), limits)
    for address in refused:
        journal.warn(f"Alias '{address}' will not be added to '{USERDB}' twice")
    USERDB.touch(mode=0o640)
    shutil.chown(USERDB, "root", "dovecot")
    USERDB.write_text("".join(f"{line}\n" for line in maps.userdb(known, limits) + made))
    for account in known:
        _make_mail_folder(MAIL / account.maildir)


def _make_mail_folder(folder: Path) -> None:
    for path in (folder.parent, folder, folder / "home"):
        if not path.exists():
            path.mkdir(mode=0o755)
            os.chown(path, OWNER, OWNER)


def reload() -> None:
    """Have the running Dovecot read its files again."""
    subprocess.run(["dovecot", "reload"], capture_output=True, check=False)


def _snippet(name: str, text: str) -> None:
    (SNIPPETS / f"{name}.conf").write_text(text)
