"""The testbed as faults reach into it: a shell in every host, the zones, the mail a user sends."""

from __future__ import annotations

import base64
import email.utils
import shlex
import smtplib
import ssl
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from email.message import EmailMessage
from functools import cached_property
from pathlib import Path
from typing import Any

import dns.message
import dns.name
import dns.query
import dns.rdataset
import dns.rdatatype

from runbooklib import params
from runbooklib.params import Site
from runbooklib.records import TTL
from runbooklib.servers import queues
from runbooklib.testbed import engine, snapshots, world
from runbooklib.testbed.engine import TestbedError
from runbooklib.testbed.hosts import Plot
from runbooklib.testbed.state import State

PARAMS = "params/rehearsal-domains.yaml"  # three domains, a relay of each kind
HERE = "/opt/mail.lantern.example"  # docker-mailserver's folder on the server
MAIL = "mailserver"  # its container
FRIEND = "friend@stranger.example"
SECONDS = 30.0
GREETING = """left=300
until nc -w 2 127.0.0.1 587 </dev/null 2>/dev/null | grep -q ^220; do
  left=$((left - 1)); [ $left -gt 0 ]; sleep 0.2
done"""
SHOWN = 200  # characters of a script and of what it said, in an error


class SceneError(TestbedError):
    """A fault could not be injected or taken back."""


@dataclass(frozen=True)
class Scene:
    """A running testbed with a deployed site."""

    root: Path
    budget: float = 20.0  # seconds that a diagnosis may take

    @cached_property
    def state(self) -> State:
        return world.required(world.folder_of(self.root))

    @cached_property
    def plot(self) -> Plot:
        return world.plot_of(world.folder_of(self.root), self.state)

    @cached_property
    def site(self) -> Site:
        return params.load(PARAMS)

    def on(self, host: str, script: str, *words: str) -> str:
        """What a shell script prints inside a host of the testbed, with `words` as its arguments.

        Raises SceneError when it fails.
        """
        container = engine.client().containers.get(self.plot.container(host))
        status, output, errors = engine.run(container, ("sh", "-ec", script, "sh", *words))
        if status:
            said = (errors or output).decode(errors="replace")
            raise SceneError(f"{host}: {script[:SHOWN]!r} failed with {status}: {said[-SHOWN:]}")
        return output.decode(errors="replace")

    def server(self, script: str, *words: str) -> str:
        """The same on the server, beside sshd and the firewall, so that no fault keeps its mending out."""
        return self.on("server", script, *words)

    def mail(self, script: str, *words: str) -> str:
        """The same inside the mail server's container."""
        return self.server('docker exec "$@"', MAIL, "sh", "-ec", script, "sh", *words)

    def read(self, host: str, path: str) -> str:
        """A file of a host, as base64 so that its bytes stay what they are."""
        return self.on(host, 'base64 -w0 "$1"', path)

    def write(self, host: str, path: str, content: str) -> None:
        """Puts back what `read` gave, in place: owner, mode and inode stay."""
        self.on(host, 'printf %s "$2" | base64 -d > "$1"', path, content)

    def edit(self, host: str, path: str, change: Callable[[str], str]) -> str:
        """Changes a text file in place; gives what was there, for `write`."""
        before = self.read(host, path)
        text = base64.b64decode(before).decode()
        changed = change(text)
        if changed == text:
            raise SceneError(f"{host}: {path} is not what the fault expects, nothing was changed")
        self.write(host, path, base64.b64encode(changed.encode()).decode())
        return before

    def compose(self, *words: str) -> str:
        """Docker Compose on the server, such as `up -d --force-recreate`."""
        return self.server(f"cd {HERE} && docker compose {shlex.join(words)} 2>&1")

    def recreate(self) -> None:
        """A new container from what compose.yaml says now, greeting on 587."""
        self.compose("up", "-d", "--force-recreate", "--quiet-pull")
        self.await_mail()

    def await_mail(self, then: str = "") -> str:
        """Waits until the mail server greets on 587, asked from the server itself; what a script prints in it then."""
        return self.mail(f"{GREETING}\n{then}")

    # --- DNS -----------------------------------------------------------------------------------------------------

    def publish(
        self, zone: str, *changes: tuple[str, str, list[str]], ttl: int = TTL, cached: bool = False
    ) -> list[tuple[str, str, list[str]]]:
        """Replaces rrsets (name in the zone, type, values in presentation form), and gives the ones before.

        What the resolver remembers is forgotten, as if its time were over, unless it is to stay `cached`.
        """
        before = [(name, kind, self.standing(zone, name, kind)) for name, kind, _ in changes]
        rrsets = [
            (dns.name.from_text(name, None), dns.rdatatype.from_text(kind), values) for name, kind, values in changes
        ]
        origin = dns.name.from_text(zone)
        come = tuple(
            (name, dns.rdataset.from_text_list("IN", kind, ttl, values, origin=origin))
            for name, kind, values in rrsets
            if values
        )
        snapshots.replace(self.state.dns, zone, ((name, kind) for name, kind, _ in rrsets), come)
        if not cached:
            self.forget()
        return before

    def standing(self, zone: str, name: str, kind: str) -> list[str]:
        """The values an rrset has at the authoritative server now."""
        whole = dns.name.from_text(name, dns.name.from_text(zone))
        answer = dns.query.tcp(dns.message.make_query(whole, kind), self.state.dns.ipv4, timeout=5)
        return sorted(
            r.to_text() for rrset in answer.answer if rrset.name == whole and rrset.rdtype.name == kind for r in rrset
        )

    def forget(self) -> None:
        """Has the resolver forget what it knows, as time would."""
        snapshots.forget(self.root)

    # --- mail ----------------------------------------------------------------------------------------------------

    def send(self, sender: str, recipient: str = FRIEND, *, body: str = "Only a rehearsal.\n", port: int = 587) -> str:
        """A user's message through submission; gives the server's last words, a refusal included."""
        letter = EmailMessage()
        letter["From"], letter["To"], letter["Subject"] = sender, recipient, f"about {time.monotonic_ns():x}"
        letter["Date"], letter["Message-ID"] = email.utils.localtime(), email.utils.make_msgid(domain="lantern.example")
        letter.set_content(body)
        (box,) = [m for d in self.site.domains for m in d.mailboxes if m.address == sender]
        with smtplib.SMTP(timeout=SECONDS) as client:
            client.connect(self.state.server.ipv4, port)
            client._host = self.site.server.hostname  # type: ignore[attr-defined]  # noqa: SLF001 - the name TLS verifies
            client.starttls(context=ssl.create_default_context(cafile=self.state.ca))
            client.login(sender, box.password.reveal())
            try:
                client.send_message(letter, sender, [recipient])
            except smtplib.SMTPException as error:
                return str(error)
        return "250"

    def until(self, holds: Callable[[], object], what: str, seconds: float = SECONDS) -> None:
        """Waits for something that comes about by itself.

        Raises SceneError when it does not.
        """
        ends = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > ends:
                raise SceneError(f"{what} did not come about within {seconds:.0f} s")
            time.sleep(0.1)

    def waiting(self) -> list[dict[str, Any]]:
        """What the mail server's queue holds."""
        return queues.parse(self.mail("postqueue -j")).read

    def tried(self, pattern: str) -> Callable[[], object]:
        """For `until`: whether the mail log has a line, written from now on, that matches a grep -E pattern."""
        seen = int(self.mail("wc -l < /var/log/mail/mail.log"))
        script = f'tail -n +{seen + 1} /var/log/mail/mail.log | grep -cE -- "$1" || true'
        return lambda: int(self.mail(script, pattern))


def texts(values: Iterable[str]) -> list[str]:
    """TXT values in presentation form, cut into strings of at most 255 octets (RFC 1035 3.3.14)."""
    return [" ".join(f'"{value[at : at + 255]}"' for at in range(0, len(value), 255)) for value in values]
