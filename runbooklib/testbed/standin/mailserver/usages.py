"""The usage texts of the `setup` command."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

OVERVIEW = Path(__file__).with_name("setup.txt")

TEMPLATE = """\
{script}(8)

USAGE
    ./setup.sh {synopsis}

OPTIONS
    Generic Program Information
        help       Print the usage information.

DESCRIPTION
{description}
{examples}
EXIT STATUS
    Exit status is 0 if command was successful. If wrong arguments are provided
    or arguments contain errors, the script will exit early with exit status 1.

"""


@dataclass(frozen=True)
class Usage:
    """What one command's usage says; paragraphs and examples are already wrapped."""

    synopsis: str
    description: str
    examples: str = ""

    def text(self, script: str) -> str:
        """The whole text, headings in colour."""
        examples = f"\nEXAMPLES\n{_indent(self.examples)}\n" if self.examples else ""
        plain = TEMPLATE.format(
            script=script, synopsis=self.synopsis, description=_indent(self.description), examples=examples
        )
        return coloured(plain)


def overview() -> str:
    """The usage of `setup` itself."""
    return coloured(OVERVIEW.read_text())


def coloured(text: str) -> str:
    """The text with its headings in colour."""
    return re.sub(r"^(\S.*)$", "\x1b[96m\\1\x1b[0m", text, flags=re.MULTILINE)


def _indent(text: str) -> str:
    return "\n".join(f"    {line}" if line else "" for line in text.splitlines())


USAGES = {
    "addmailuser": Usage(
        "email add <MAIL ACCOUNT> [<PASSWORD>]",
        "Add a new mail account (email address).\n\n"
        "To avoid a password being logged in the command history of your shell,\n"
        "you may omit it, you'll be prompted to input the password instead.",
        "./setup.sh email add user@example.com\n"
        "    Create the email account 'user@example.com'.\n\n"
        "    You will be prompted to input a password afterwards since no password was supplied.",
    ),
    "updatemailuser": Usage(
        "email update <MAIL ACCOUNT> [<PASSWORD>]",
        "Change the password of a mail account; without one on the command line, it is asked for.",
    ),
    "delmailuser": Usage(
        "email del [ OPTIONS... ] <MAIL ACCOUNT> [ <MAIL ACCOUNT>... ]",
        "Remove mail accounts, their quotas, and their address from all aliases.\n\n"
        "    -y    Delete the mailbox data too, without asking.",
    ),
    "listmailuser": Usage("email list", "List all mail accounts with their quota and aliases."),
    "restrict-access": Usage(
        "email restrict <add|del|list> <send|receive> [<EMAIL ADDRESS>]",
        "Forbid a mail account to send or to receive.",
    ),
    "addalias": Usage(
        "alias add <EMAIL ADDRESS> <RECIPIENT>", "Add an alias, or a further recipient to one that exists."
    ),
    "delalias": Usage(
        "alias del <EMAIL ADDRESS> <RECIPIENT>", "Remove a recipient from an alias, and the alias with its last."
    ),
    "listalias": Usage("alias list", "List all aliases."),
    "setquota": Usage(
        "quota set <MAIL ACCOUNT> [<QUOTA>]",
        "Set a quota (storage limit) for an existing mail account.\n\n"
        "The quota value is in bytes. You may use a unit suffix for convenience,\n"
        "such as 10M for 10 MebiBytes (MiB). A value of 0 opts out of enforcing quota.",
        "./setup.sh quota set user@example.com 5G\n"
        "    The account 'user@example.com' is restricted to a 5GiB storage limit.",
    ),
    "delquota": Usage("quota del <MAIL ACCOUNT>", "Remove the quota of a mail account."),
    "open-dkim": Usage(
        "config dkim [ keysize <SIZE> ] [ selector <NAME> ] [ domain <DOMAIN>[,<DOMAIN>...] ]",
        "Make DKIM keys for the domains of all accounts and aliases, or for those named.\n\n"
        "    keysize     1024, 2048 (default) or 4096\n"
        "    selector    mail by default\n"
        "    domain      separated by commas",
    ),
    "addsaslpassword": Usage(
        "relay add-auth <SENDER DOMAIN> <USERNAME> [<PASSWORD>]",
        "Set the login a sender domain's mail is relayed with.",
    ),
    "addrelayhost": Usage(
        "relay add-domain <SENDER DOMAIN> <RELAY HOST> [<RELAY PORT>]",
        "Add a relay-host where mail sent from mail accounts of the provided\n"
        "domain will be relayed through to their destination.\n\n"
        "If a port is not provided it will default to 25.\n\n"
        "If the relay-host requires authentication, use the 'setup relay add-auth'\n"
        "command after adding the relay-host.",
        "./setup.sh relay add-domain example.com relay.service.test 587\n"
        "    Any mail submitted from your '@example.com' accounts will be sent via\n"
        "    relay using the relay-host service at 'relay.service.test:587'.",
    ),
    "excluderelayhost": Usage(
        "relay exclude-domain <SENDER DOMAIN>", "Keep mail of a sender domain away from the default relay."
    ),
    "fail2ban": Usage("fail2ban [<ban|unban> <IP>|log|status]", "Show and edit the addresses that are banned."),
    "debug": Usage("debug <login|show-mail-logs> [<COMMANDS>]", "Look into the running container."),
}
