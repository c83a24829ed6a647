"""dovecot.conf of a fresh host, in the grammar of Dovecot 2.3 and of 2.4, which read nothing of each other's.

It stands in the place of Debian's own and leaves conf.d out: there users are those of the system, by PAM.
"""

from __future__ import annotations

from runbooklib.params import Site
from runbooklib.servers.postfix import layout

CONFIG, USER, MAIL = "/etc/dovecot/dovecot.conf", "vmail", "/var/mail/vhosts"
NEW_GRAMMAR = (2, 4)
# Debian's releases whose packages bring 2.3, where none is installed yet to ask.
OLD_RELEASES = {"bullseye", "bookworm", "jammy", "noble"}
HEADING = layout.HEADING + "# Settings of your own belong into local.conf beside it, which is read last.\n"
FOLDERS = {"Drafts": "\\Drafts", "Sent": "\\Sent", "Junk": "\\Junk", "Trash": "\\Trash"}  # RFC 6154


def version_of(text: str) -> tuple[int, ...]:
    """The numbers of what `dovecot --version` says; empty where there are none."""
    first = text.partition(" ")[0].split(".")
    return tuple(int(part) for part in first[:2]) if len(first) > 1 and all(p.isdigit() for p in first[:2]) else ()


def config(site: Site, version: tuple[int, ...], certificate: str, key: str) -> str:
    """The whole file; TLS before any password, mailboxes of one user, LMTP and logins for Postfix."""
    write = _new if version >= NEW_GRAMMAR else _old
    return HEADING + write(site, certificate, key) + _services() + "!include_try local.conf\n"


def _old(site: Site, certificate: str, key: str) -> str:
    users = f"{site.mail.directory}/{layout.USERS}"
    return f"""!include_try /usr/share/dovecot/protocols.d/*.protocol
hostname = {site.server.hostname}
ssl = required
ssl_cert = <{certificate}
ssl_key = <{key}
ssl_min_protocol = TLSv1.2
disable_plaintext_auth = yes
auth_mechanisms = plain login
auth_username_format = %Lu
recipient_delimiter = +
first_valid_uid = 100
mail_uid = {USER}
mail_gid = {USER}
mail_home = {MAIL}/%d/%n
mail_location = maildir:~/Maildir
passdb {{
  driver = passwd-file
  args = scheme=SHA512-CRYPT username_format=%u {users}
}}
userdb {{
  driver = passwd-file
  args = username_format=%u {users}
}}
protocol lmtp {{
  mail_plugins = $mail_plugins sieve
}}
{_inbox()}"""


def _new(site: Site, certificate: str, key: str) -> str:
    users = f"{site.mail.directory}/{layout.USERS}"
    return f"""dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
!include_try /usr/share/dovecot/protocols.d/*.protocol
hostname = {site.server.hostname}
ssl = required
ssl_server_cert_file = {certificate}
ssl_server_key_file = {key}
ssl_min_protocol = TLSv1.2
auth_allow_cleartext = no
auth_mechanisms = plain login
auth_username_format = %{{user | lower}}
recipient_delimiter = +
first_valid_uid = 100
mail_uid = {USER}
mail_gid = {USER}
mail_driver = maildir
mail_home = {MAIL}/%{{user | domain}}/%{{user | username}}
mail_path = ~/Maildir
passdb passwd-file {{
  passwd_file_path = {users}
  default_password_scheme = SHA512-CRYPT
}}
userdb passwd-file {{
  passwd_file_path = {users}
}}
protocol lmtp {{
  mail_plugins {{
    sieve = yes
  }}
}}
sieve_script personal {{
  driver = file
  path = ~/sieve
  active_path = ~/.dovecot.sieve
}}
{_inbox()}"""


def _inbox() -> str:
    folders = "".join(
        f"  mailbox {name} {{\n    auto = subscribe\n    special_use = {use}\n  }}\n" for name, use in FOLDERS.items()
    )
    return f"namespace inbox {{\n  inbox = yes\n{folders}}}\n"


def _services() -> str:
    """The two sockets inside Postfix's queue, its own user's only; the same words in both grammars."""
    queue = "/var/spool/postfix"
    return f"""service lmtp {{
  unix_listener {queue}/{layout.LMTP} {{
    mode = 0600
    user = postfix
    group = postfix
  }}
}}
service auth {{
  unix_listener {queue}/{layout.AUTH} {{
    mode = 0660
    user = postfix
    group = postfix
  }}
}}
"""
