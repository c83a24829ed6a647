"""The running Postfix of a host, as every mail server shows itself to the other rooms."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from runbooklib import host
from runbooklib.host import Answer, Host
from runbooklib.params import Site
from runbooklib.servers import logs, queues
from runbooklib.servers.queues import Queue

FILES = ("/var/log/mail.log", "/var/log/maillog")
RSPAMD = "/var/log/rspamd/rspamd.log"
# The first that is there: where Postfix writes by itself, the usual files, the journal.
LOG = """for f in "$(postconf -h maillog_file 2>/dev/null)" /var/log/mail.log /var/log/maillog; do
  if [ -s "$f" ]; then exec tail -n "$1" "$f"; fi
done
if command -v journalctl >/dev/null; then exec journalctl --facility=mail -o short-iso --no-pager -q -n "$1"; fi"""
JOURNAL = """command -v journalctl >/dev/null || exit
exec journalctl --facility=mail -o short-iso --no-pager -q --since=-1d -n "$1\""""
LINES = 8000  # of the journal


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

    def history(self) -> str:
        """The logs of rspamd and of mail of the last day, rotated files included, as far as a bounded read reaches."""
        own = self.inside(("postconf", "-h", "maillog_file")).out.strip()
        run = partial(self.host.run, check=False)
        mail = logs.read(run, *filter(None, (own, *FILES))) or run(("sh", "-c", JOURNAL, "log", str(LINES))).out
        return logs.read(run, RSPAMD) + mail

    def queue(self) -> Queue:
        """What waits in the queue."""
        return queues.of(self.inside)

    def containers(self) -> list[Any]:
        """None: nothing of it runs in containers."""
        return []
