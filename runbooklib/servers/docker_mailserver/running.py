"""The running docker-mailserver, as every mail server shows itself to the other rooms."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from runbooklib import host
from runbooklib.host import Answer, Host
from runbooklib.params import Site
from runbooklib.servers import logs, queues
from runbooklib.servers.docker_mailserver import layout, state
from runbooklib.servers.docker_mailserver.state import Container, path
from runbooklib.servers.queues import Queue


@dataclass(frozen=True)
class Server:
    """docker-mailserver of one site."""

    site: Site

    @property
    def host(self) -> Host:
        return host.connect(self.site)

    def inside(self, argv: tuple[str, ...], stdin: str | None = None, timeout: float = 60) -> Answer:
        """A command where Postfix runs; its status is in the answer."""
        return self.host.run((*layout.INSIDE, *argv), stdin, timeout, check=False)

    def log(self, lines: int = 2000) -> str:
        """The end of the mail log."""
        log = path(self.site, "mail-logs/mail.log")
        return self.host.run(("tail", "-n", str(lines), log), check=False).out

    def history(self) -> str:
        """The logs of rspamd and of mail of the last day, rotated files included, as far as a bounded read reaches."""
        run = partial(self.host.run, check=False)
        return "".join(logs.read(run, path(self.site, f"mail-logs/{name}.log")) for name in ("rspamd", "mail"))

    def queue(self) -> Queue:
        """What waits in the queue."""
        return queues.of(self.inside)

    def containers(self) -> list[Container]:
        """The mail server's container, where there is one."""
        found = state.container(self.host.run(("docker", "inspect", layout.CONTAINER), check=False))
        return [found] if found else []
