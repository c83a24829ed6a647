"""The `setup` command: finds the subcommand, shows usage, turns failures into log lines and exit statuses."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from . import account_commands, alias_commands, relay_commands, settings, signing_commands, usages
from .failures import Failed, usage_only
from .journal import Journal

if TYPE_CHECKING:
    from collections.abc import Callable

    Command = Callable[[list[str], Journal], None]

MAIL_LOG = Path("/var/log/mail/mail.log")


def main(arguments: list[str]) -> int:
    """Run one command: 0 done, 1 failed, 2 no such command."""
    if not arguments or arguments[0] == "help":
        sys.stdout.write(usages.overview())
        return 0
    for length in (2, 1):
        if (command := COMMANDS.get(" ".join(arguments[:length]))) is not None:
            return _run(*command, arguments[length:])
    sys.stderr.write(
        f"The command '{' '.join(arguments)}' is invalid.\nUse `setup help` to get an overview of all commands.\n"
    )
    return 2


def _run(script: str, command: Command, arguments: list[str]) -> int:
    journal = Journal(script, os.environ.get("LOG_LEVEL", settings.DEFAULTS["LOG_LEVEL"]))
    if arguments[:1] == ["help"]:
        sys.stdout.write(usages.USAGES[script].text(script))
        return 0
    try:
        command(arguments, journal)
    except Failed as failure:
        if failure.usage:
            sys.stdout.write(usages.USAGES[script].text(script))
            sys.stdout.flush()
        if failure.message:
            journal.error(failure.message)
            journal.error("Aborting")
        return 1
    return 0


def _fail2ban(_arguments: list[str], _journal: Journal) -> None:
    raise Failed("Fail2ban not running")


def _login(arguments: list[str], _journal: Journal) -> None:
    """Run the first argument as a shell command; further ones are lost."""
    if not arguments:
        raise usage_only()
    sys.exit(subprocess.run(["bash", "-c", arguments[0]], check=False).returncode)


def _show_mail_log(_arguments: list[str], _journal: Journal) -> None:
    sys.stdout.write(MAIL_LOG.read_text(errors="replace"))


COMMANDS: dict[str, tuple[str, Command]] = {
    "email add": ("addmailuser", account_commands.add),
    "email update": ("updatemailuser", account_commands.update),
    "email del": ("delmailuser", account_commands.delete),
    "email list": ("listmailuser", account_commands.show),
    "email restrict": ("restrict-access", account_commands.restrict),
    "quota set": ("setquota", account_commands.set_quota),
    "quota del": ("delquota", account_commands.delete_quota),
    "alias add": ("addalias", alias_commands.add),
    "alias del": ("delalias", alias_commands.delete),
    "alias list": ("listalias", alias_commands.show),
    "relay add-domain": ("addrelayhost", relay_commands.add_domain),
    "relay add-auth": ("addsaslpassword", relay_commands.add_login),
    "relay exclude-domain": ("excluderelayhost", relay_commands.exclude_domain),
    "config dkim": ("open-dkim", signing_commands.make),
    "fail2ban": ("fail2ban", _fail2ban),
    "debug login": ("debug", _login),
    "debug show-mail-logs": ("debug", _show_mail_log),
}
