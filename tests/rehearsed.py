"""A running testbed as the tests speak with it: DNS, SMTP, IMAP and SSH as a client would, and a look inside."""

from __future__ import annotations

import email.policy
import email.utils
import imaplib
import smtplib
import socket
import ssl
import time
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from functools import cached_property
from pathlib import Path

import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.tsig
import dns.update
import paramiko
from docker.models.containers import Container

from runbooklib.testbed import engine, hosts, world
from runbooklib.testbed.hosts import Plot
from runbooklib.testbed.state import Account, State

# Seconds on a busy machine; what comes sooner is not waited for.
SERVING, ARRIVAL, ANSWER = 180, 60, 20


@dataclass(frozen=True)
class Rehearsed:
    """The testbed of one folder."""

    root: Path
    state: State

    @property
    def plot(self) -> Plot:
        return world.plot_of(world.folder_of(self.root), self.state)

    def container(self, host: str) -> Container:
        return engine.client().containers.get(self.plot.container(host))

    def restart(self, host: str) -> None:
        """Restarts a host that forgets nothing but what it had in memory, and waits until it answers."""
        container = self.container(host)
        container.restart(timeout=5)
        hosts.await_answer(self.plot, host, container)

    def inside(self, host: str, *argv: str) -> tuple[int, str]:
        """Exit status and output of a command inside a host."""
        status, output, errors = engine.run(self.container(host), argv)
        return status, (output + errors).decode()

    def ask(self, name: str, kind: str, server: str | None = None) -> dns.message.Message:
        query = dns.message.make_query(name, kind, want_dnssec=True)
        query.flags |= dns.flags.AD
        return dns.query.udp(query, server or self.state.resolver.ipv4, timeout=ANSWER)

    def texts(self, name: str, kind: str, server: str | None = None) -> list[str]:
        answer = self.ask(name, kind, server).answer
        return sorted(r.to_text() for rrset in answer if rrset.rdtype.name == kind for r in rrset)

    @cached_property
    def key(self) -> dns.tsig.Key:
        tsig = self.state.dns.tsig
        return dns.tsig.Key(tsig.name, tsig.secret, tsig.algorithm)

    def publish(self, *records: tuple[str, str, str], signed: bool = True, zone: str = "lantern.example") -> str:
        """What the name server answers to an update."""
        update = dns.update.UpdateMessage(zone, keyring=self.key if signed else None)
        for name, kind, text in records:
            update.replace(name, 60, kind, text)
        return dns.rcode.to_text(dns.query.tcp(update, self.state.dns.ipv4, timeout=ANSWER).rcode())

    def tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.state.ca)

    def smtp(self, account: Account, port: int, *, login: bool = True) -> smtplib.SMTP:
        client = _Smtp(account, port)
        client.ehlo("client.lantern.example")
        if port != smtplib.SMTP_PORT:
            client.starttls(context=self.tls())
        if login and port != smtplib.SMTP_PORT:
            client.login(account.username, account.password)
        return client

    def imap(self) -> imaplib.IMAP4:
        mx = self.state.mx
        client = imaplib.IMAP4(mx.ipv4, 143)
        client.host = mx.name  # the name the certificate must show
        client.starttls(self.tls())
        client.login(mx.username, mx.password)
        client.select()
        return client

    def arrived(self, subject: str) -> EmailMessage:
        """The message with that subject in the stranger's mailbox, waited for."""
        parsed = message_from_bytes(self.arrived_bytes(subject), policy=email.policy.default)
        assert isinstance(parsed, EmailMessage)
        return parsed

    def arrived_bytes(self, subject: str) -> bytes:
        """The same as it came."""
        until = time.monotonic() + ARRIVAL
        with self.imap() as client:
            while time.monotonic() < until:
                client.noop()
                found = client.search(None, "SUBJECT", f'"{subject}"')[1][0].split()
                if found:
                    raw = client.fetch(found[-1], "(RFC822)")[1][0]
                    assert isinstance(raw, tuple)
                    return bytes(raw[1])
                time.sleep(0.2)
        raise AssertionError(f"no message {subject!r} arrived within {ARRIVAL} s")

    def await_mail(self) -> None:
        """Waits until the deployed server greets on 587: Postfix is the last that its container starts."""
        until = time.monotonic() + SERVING
        while not self._greets():
            assert time.monotonic() < until, f"the mail server does not greet within {SERVING} s"
            time.sleep(0.2)

    def _greets(self) -> bool:
        try:
            smtplib.SMTP(self.state.server.ipv4, 587, timeout=5).quit()
        except (OSError, smtplib.SMTPException):
            return False
        return True

    def ssh(self, command: str) -> str:
        """The output of a command on the server, over SSH with its key pinned; fails with the command."""
        with self.ssh_client() as client:
            _, output, errors = client.exec_command(command, timeout=120)
            text, complaint = output.read().decode(), errors.read().decode()
            assert output.channel.recv_exit_status() == 0, f"{command}: {text}{complaint}"
        return text

    def ssh_client(self) -> paramiko.SSHClient:
        """A login; sshd on a busy machine may hang up on one, so it is asked once more."""
        try:
            return self._ssh_client()
        except (paramiko.SSHException, EOFError, OSError):
            time.sleep(1)
            return self._ssh_client()

    def _ssh_client(self) -> paramiko.SSHClient:
        server = self.state.server
        client = paramiko.SSHClient()
        client.set_missing_host_key_policy(_Pinned(server.host_key))
        client.connect(
            server.ipv4,
            username="root",
            key_filename=server.ssh_key,
            look_for_keys=False,
            allow_agent=False,
            timeout=ANSWER,
            banner_timeout=ARRIVAL,
        )
        return client


class _Smtp(smtplib.SMTP):
    """Connects to an address and expects a certificate for the name."""

    def __init__(self, account: Account, port: int) -> None:
        super().__init__(timeout=20)
        self.connect(account.ipv4, port)
        self._host = account.name


class _Pinned(paramiko.MissingHostKeyPolicy):
    def __init__(self, fingerprint: str) -> None:
        self.fingerprint = fingerprint

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        del client
        assert key.fingerprint == self.fingerprint, f"{hostname} shows another key"


def message(sender: str, recipient: str, subject: str) -> EmailMessage:
    """A small letter."""
    letter = EmailMessage()
    letter["From"], letter["To"], letter["Subject"] = sender, recipient, subject
    letter["Date"] = email.utils.localtime()
    letter["Message-ID"] = email.utils.make_msgid(domain=sender.partition("@")[2])
    letter.set_content("Only a rehearsal.\n")
    return letter


def reaches(address: str, port: int, timeout: float = 2) -> bool:
    """Whether this machine gets a TCP connection."""
    try:
        socket.create_connection((address, port), timeout=timeout).close()
    except OSError:
        return False
    return True
