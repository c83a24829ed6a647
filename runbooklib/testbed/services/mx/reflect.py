#!/usr/bin/python3
"""The reflector: answers a message with what arrived of it, as the checking addresses on the Internet do."""

import email
import email.policy
import email.utils
import subprocess
import sys
from email.message import EmailMessage

ADDRESS = "echo@stranger.example"


def main() -> None:
    """Reads the message Postfix pipes in, with its envelope sender as argument, and answers its author.

    The author, as a person would: the envelope sender may be the return path of a provider.
    """
    received = email.message_from_binary_file(sys.stdin.buffer, policy=email.policy.SMTP)
    author = email.utils.parseaddr(str(received["Reply-To"] or received["From"]))[1]
    manual = str(received.get("Auto-Submitted", "no")).lower() == "no"
    if sys.argv[1] and author and manual:  # RFC 3834 2: never answer a machine
        message = answer(received, author).as_bytes(policy=email.policy.default)
        subprocess.run(["/usr/sbin/sendmail", "-i", "-f", ADDRESS, "--", author], input=message, check=True)


def answer(received: EmailMessage, author: str) -> EmailMessage:
    """The reply: every header that arrived, as text."""
    reply = EmailMessage()
    reply["From"] = f"Reflector <{ADDRESS}>"
    reply["To"] = author
    reply["Subject"] = f"Re: {received.get('Subject', '')}"
    reply["Date"] = email.utils.localtime()
    reply["Message-ID"] = email.utils.make_msgid(domain="stranger.example")
    reply["Auto-Submitted"] = "auto-replied"
    if received["Message-ID"]:
        reply["In-Reply-To"] = reply["References"] = str(received["Message-ID"]).strip()
    lines = "\n".join(f"{name}: {value}" for name, value in received.raw_items())
    reply.set_content(f"This is what arrived:\n\n{lines}\n")
    return reply


if __name__ == "__main__":
    main()
