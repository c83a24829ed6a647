"""The running docker-mailserver, as every mail server shows itself to the other rooms."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from runbooklib import host
from runbooklib.host import Answer, Host
from runbooklib.params import Site
from runbooklib.servers.docker_mailserver import layout, state
from runbooklib.servers.docker_mailserver.state import Container, path


@dataclass(frozen=True)
class Server:
    """docker-mailserver of one site."""

    site: Site

    @property
    def host(self) -> Host:
        return host.connect(self.site)

    def inside(self, argv: tuple[str, ...], stdin: str | None = None, timeout: float = 60) -> Answer:
        """A command where Postfix runs; its status is in the answer."""
        return self.host.run(("docker", "exec", "-i", layout.CONTAINER, *argv), stdin, timeout, check=False)

    def log(self, lines: int = 2000) -> str:
        """The end of the mail log."""
        log = path(self.site, "mail-logs/mail.log")
        return self.host.run(("tail", "-n", str(lines), log), check=False).out

    def queue(self) -> list[dict[str, Any]]:
        """What waits in the queue, as `postqueue -j` says it."""
        return [json.loads(line) for line in self.inside(("postqueue", "-j")).out.splitlines() if line.startswith("{")]

    def containers(self) -> list[Container]:
        """The mail server's container, where there is one."""
        found = state.container(self.host.run(("docker", "inspect", layout.CONTAINER), check=False))
        return [found] if found else []
