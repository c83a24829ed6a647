"""Containers for the fidelity cases: a network without a way out, a resolver, relays, a client, servers by profile."""

from __future__ import annotations

import re
import secrets
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import docker
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from docker.errors import APIError
from docker.types import EndpointConfig, IPAMConfig, IPAMPool

from runbooklib.testbed import engine, images

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from docker.models.containers import Container

RESOLVER_COMMAND = ["unbound", "-d", "-c", "/etc/unbound/cases.conf"]
ANSI = re.compile(r"\x1b\[[0-9;]*m")
READY = "is up and running"
PASSWORD = "Secret123pw"
CONFIG = "/tmp/docker-mailserver"  # noqa: S108  docker-mailserver's documented mount point

RESOLVER_CONFIG = """\
server:
  interface: 0.0.0.0
  access-control: 0.0.0.0/0 allow
  username: ""
  chroot: ""
  directory: "/etc/unbound"
  pidfile: ""
  local-zone: "." static
{data}
remote-control:
  control-enable: yes
  control-interface: /run/unbound.ctl
"""


@dataclass(frozen=True)
class Answer:
    """What a command printed, colours removed, and its exit status."""

    stdout: str
    stderr: str
    status: int


@dataclass(frozen=True)
class Profile:
    """How one server is set up before its first start."""

    accounts: Sequence[str] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    seeds: Sequence[Sequence[str]] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    hostname: str = "mail.alder.example"
    ready: bool = True


class NotInTimeError(Exception):
    """A container did not get as far as it should in time."""


def eventually(holds: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait until it holds."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise NotInTimeError(what)
        time.sleep(0.25)


class World:
    """Everything the cases need, made on entering and gone on leaving."""

    def __init__(self, image: str, profiles: Mapping[str, Profile], folder: Path) -> None:
        self.image, self.profiles, self.folder = image, profiles, folder
        self.docker = docker.from_env(max_pool_size=30)
        self.docker.api.trust_env = False  # cases are asked in threads, and pytest changes the environment meanwhile
        self.name = f"fidelity-{secrets.token_hex(4)}"
        self.labels = {"mail-runbooks.test": self.name}
        self.pool = ThreadPoolExecutor(6)
        self.starting: dict[str, Future[Container]] = {}

    def __enter__(self) -> Self:
        """Start everything; servers go on starting in the background, in the order of their profiles."""
        self.peers, self.services = images.ensure(self.docker, (images.STANDIN, images.SERVICES), print)
        self._make_network()
        self.authority = Authority(self.folder / "ca", (RELAY_NAME, "mail.alder.example"))
        self.hash = self._hash()
        self._start_resolver()
        self.starting["client"] = self.pool.submit(self._start_client)
        for name, profile in self.profiles.items():
            image = self.peers if name in RELAYS else self.image
            self.starting[name] = self.pool.submit(self.start, name, profile, image)
        return self

    def __exit__(self, *_: object) -> None:
        """Remove every container and the network."""
        self.pool.shutdown(cancel_futures=True)
        for container in self.docker.containers.list(all=True, filters={"label": f"mail-runbooks.test={self.name}"}):
            container.remove(force=True, v=True)
        self.network.remove()
        self.docker.close()

    def container(self, name: str) -> Container:
        """A container by name, started and ready."""
        return self.starting[name].result()

    def run(self, name: str, command: str) -> Answer:
        """Run a shell command in a container, without standard input."""
        return execute(self.container(name), command)

    def config(self, name: str) -> Path:
        """A server's config volume on this machine."""
        return self.folder / name / "config"

    def logs(self, name: str) -> str:
        """What `docker logs` shows, colours removed."""
        return plain(self.container(name).logs())

    def seed(self, config: Path, words: Sequence[str], stdin: str = "") -> Answer:
        """Run `setup` in a throw-away container, before any server."""
        script = f"printf '{stdin}' | setup \"$@\""
        container = self.docker.containers.create(
            self.image,
            ["-c", script, "sh", *words],
            entrypoint="sh",
            volumes=bind(config, CONFIG),
            network_mode="none",
            labels=self.labels,
        )
        container.start()
        status = container.wait()["StatusCode"]
        answer = Answer(plain(container.logs(stderr=False)), plain(container.logs(stdout=False)), status)
        container.remove()
        return answer

    def start(self, name: str, profile: Profile, image: str) -> Container:
        """Start a server on fresh volumes."""
        config = self.config(name)
        config.mkdir(parents=True)
        if profile.accounts:
            lines = (f"{address}|{self.hash}\n" for address in profile.accounts)
            (config / "postfix-accounts.cf").write_text("".join(lines))
        for path, text in profile.files.items():
            (config / path).write_text(text)
            (config / path).chmod(0o600)
        for words in profile.seeds:
            assert self.seed(config, words).status == 0
        return self.create(name, profile, image)

    def create(self, name: str, profile: Profile, image: str) -> Container:
        """Make a container on the server's volumes, whatever they hold, and await its readiness."""
        volumes = bind(self.config(name), CONFIG) | bind(self.authority.folder, "/certs", "ro")
        for part in ("mail-data:/var/mail", "mail-state:/var/mail-state", "mail-logs:/var/log/mail"):
            source, target = part.split(":")
            (self.folder / name / source).mkdir(exist_ok=True)
            volumes |= bind(self.folder / name / source, target)
        env = {"ENABLE_AMAVIS": "0", "ENABLE_UPDATE_CHECK": "0"} | dict(profile.env)
        container = self._create(name, image, None, volumes=volumes, environment=env, hostname=profile.hostname)
        container.start()
        if profile.ready:
            await_ready(container)
        return container

    def address(self, name: str) -> str:
        """The fixed address of a container."""
        return f"{self.prefix}.{ADDRESSES.get(name) or 20 + list(self.profiles).index(name)}"

    def _create(self, name: str, image: str, command: list[str] | None, **options: Any) -> Container:
        return self.docker.containers.create(
            image,
            command,
            name=f"{self.name}-{name}-{secrets.token_hex(2)}",
            labels=self.labels,
            network=self.name,
            networking_config={self.name: self._endpoint(name)},
            dns=[self.address("resolver")],
            **options,
        )

    def _endpoint(self, name: str) -> EndpointConfig:
        return EndpointConfig("1.41", aliases=[name], ipv4_address=self.address(name))

    def _make_network(self) -> None:
        for _ in range(20):
            self.prefix = f"10.{secrets.randbelow(100) + 100}.{secrets.randbelow(256)}"
            pool = IPAMConfig(pool_configs=[IPAMPool(subnet=f"{self.prefix}.0/24", gateway=f"{self.prefix}.1")])
            try:
                self.network = self.docker.networks.create(self.name, internal=True, ipam=pool, labels=self.labels)
            except APIError:
                continue
            return
        raise NotInTimeError("no free subnet")

    def _hash(self) -> str:
        argv = ["pw", "-s", "SHA512-CRYPT", "-p", PASSWORD]
        printed = self.docker.containers.run(
            self.image, argv, entrypoint="doveadm", remove=True, network_mode="none", labels=self.labels
        )
        return str(printed.decode().strip())

    def _start_resolver(self) -> None:
        data = "".join(f"  local-data: '{record}'\n" for record in self._records())
        path = self.folder / "cases.conf"
        path.write_text(RESOLVER_CONFIG.format(data=data))
        self._create(
            "resolver", self.services, RESOLVER_COMMAND, volumes=bind(path, "/etc/unbound/cases.conf", "ro")
        ).start()

    def _records(self) -> list[str]:
        client, relay = self.address("client"), self.address("relay")
        return [
            # Without it a negative answer cannot be told from a broken one.
            ". SOA resolver. hostmaster.birch.example. 1 3600 600 86400 60",
            f"mail.birch.example. A {client}",
            "birch.example. MX 10 mail.birch.example.",
            f'birch.example. TXT "v=spf1 ip4:{client} -all"',
            'forged.example. TXT "v=spf1 -all"',
            "forged.example. MX 10 mail.birch.example.",
            f"{RELAY_NAME}. A {relay}",
            f"cedar.example. MX 10 {RELAY_NAME}.",
            f"plain.cedar.example. A {self.address('plain-relay')}",
            "alder.example. MX 10 mail.alder.example.",
            "hazel.example. MX 10 mail.alder.example.",
        ]

    def _start_client(self) -> Container:
        container = self._create("client", self.peers, ["infinity"], entrypoint="sleep", hostname="mail.birch.example")
        container.start()
        return container


RELAY_NAME = "smtp.cedar.example"
RELAYS = ("relay", "plain-relay")
ADDRESSES = {"resolver": 2, "client": 3, "relay": 4, "plain-relay": 5}


class Authority:
    """A certificate authority and one certificate of it."""

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self.folder = folder
        folder.mkdir()
        key, issuer = ec.generate_private_key(ec.SECP256R1()), common_name("fidelity authority")
        own = certificate(issuer, issuer, key.public_key(), x509.BasicConstraints(ca=True, path_length=0))
        self._write("ca.pem", own.sign(key, hashes.SHA256()))
        self.key, self.issuer, self.names = key, issuer, names
        self.issue()

    def issue(self) -> int:
        """Write a new key and certificate over the old; its serial number."""
        key = ec.generate_private_key(ec.SECP256R1())
        alternatives = x509.SubjectAlternativeName([x509.DNSName(name) for name in self.names])
        made = certificate(common_name(self.names[0]), self.issuer, key.public_key(), alternatives)
        signed = made.sign(self.key, hashes.SHA256())
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (self.folder / "mail.key").write_bytes(private)
        self._write("mail.pem", signed)
        return signed.serial_number

    def _write(self, name: str, made: x509.Certificate) -> None:
        (self.folder / name).write_bytes(made.public_bytes(serialization.Encoding.PEM))


def common_name(name: str) -> x509.Name:
    """A subject of one common name."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, extension: x509.ExtensionType
) -> x509.CertificateBuilder:
    """A certificate for a month, still to be signed."""
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=30))
        .add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
    )


def await_ready(container: Container, seconds: float = 180) -> None:
    """Wait for the last line of the start script and for the listeners."""
    since = started(container)
    eventually(lambda: READY in plain(container.logs(since=since)), seconds, f"{container.name}: {READY}")
    eventually(lambda: listens(container), 60, f"{container.name}: listeners")


def listens(container: Container) -> bool:
    """Whether the mail ports are open."""
    shown = execute(container, "ss -ltn").stdout
    return all(f":{port} " in shown for port in (25, 143, 465, 587))


def started(container: Container) -> datetime:
    """When the container was started last."""
    container.reload()
    return datetime.fromisoformat(container.attrs["State"]["StartedAt"][:19])


def execute(container: Container, command: str) -> Answer:
    """Run a shell command in a container, without standard input."""
    status, out, err = engine.run(container, ["sh", "-c", command])
    return Answer(plain(out), plain(err), status)


def plain(printed: bytes) -> str:
    """Text without colours."""
    return ANSI.sub("", printed.decode(errors="replace"))


def bind(source: Path, target: str, mode: str = "rw") -> dict[str, dict[str, str]]:
    """A volume of the Docker SDK's kind."""
    return {str(source): {"bind": target, "mode": mode}}
