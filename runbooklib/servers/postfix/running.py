"""The running Postfix of a host, as every mail server shows itself to the other rooms."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from runbooklib import host
from runbooklib.host import Answer, Host
from runbooklib.params import Site

# The first that is there: where Postfix writes by itself, the usual files, the journal.
LOG = """for f in "$(postconf -h maillog_file 2>/dev/null)" /var/log/mail.log /var/log/maillog; do
  if [ -s "$f" ]; then exec tail -n "$1" "$f"; fi
done
if command -v journalctl >/dev/null; then exec journalctl --facility=mail -o short-iso --no-pager -q -n "$1"; fi"""


@dataclass(frozen=True)
class Server:
    """Postfix of one site."""

    site: Site

    @property
    def host(self) -> Host:
        return host.connect(self.site)

    def inside(self, argv: tuple[str, ...], stdin: str | None = None, timeout: float = 60) -> Answer:
        """A command where Postfix runs; its status is in the answer."""
        return self.host.run(argv, stdin, timeout, check=False)

    def log(self, lines: int = 2000) -> str:
        """The end of the mail log."""
        return self.inside(("sh", "-c", LOG, "log", str(lines))).out

    def queue(self) -> list[dict[str, Any]]:
        """What waits in the queue, as `postqueue -j` says it."""
        return [json.loads(line) for line in self.inside(("postqueue", "-j")).out.splitlines() if line.startswith("{")]

    def containers(self) -> list[Any]:
        """None: nothing of it runs in containers."""
        return []
