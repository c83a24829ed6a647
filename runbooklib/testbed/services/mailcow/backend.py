"""What mailcow asks its other containers: logs, the queue, their state; and DNS."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

NAMES = (
    *("unbound", "mysql", "redis", "clamd", "rspamd", "php-fpm", "sogo", "dovecot", "postfix", "postfix-tlspol"),
    *("memcached", "nginx", "acme", "netfilter", "watchdog", "dockerapi", "olefy", "ofelia"),
)


class Backend:
    """Nothing behind the API, as when it runs alone in a test: no mail, no log, every container said to run."""

    def log(self, service: str) -> list[dict[str, str]]:
        """Lines of postfix or dovecot, the newest first, in the shape of mailcow's lists in Redis."""
        del service
        return []

    def queue(self) -> list[dict[str, Any]]:
        """What `postqueue -j` prints."""
        return []

    def containers(self) -> dict[str, str]:
        """Each container's state."""
        return {f"{name}-mailcow": "running" for name in NAMES}

    def exchangers(self, name: str) -> list[str]:
        """The MX hosts of a name, the best first."""
        del name
        return []

    def forget(self, maildir: str) -> None:
        """A mailbox or domain is gone: what it received goes too."""

    def sign(self, keys: Iterable[dict[str, str]]) -> None:
        """The keys for DKIM as they are now: domain, selector, private half."""

    def keypair(self, bits: int) -> tuple[str, str]:
        """An RSA key: PEM, and the public half in base64."""
        with TemporaryDirectory() as folder:
            private = Path(folder) / "key"
            _openssl("genrsa", "-out", str(private), str(bits))
            public = _openssl("rsa", "-in", str(private), "-pubout").splitlines()
            return private.read_text().strip(), "".join(line for line in public if not line.startswith("-"))


def _openssl(*arguments: str) -> str:
    argv: Sequence[str] = ("openssl", *arguments)
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout
