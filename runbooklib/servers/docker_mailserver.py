"""docker-mailserver 15 in a container: observe, plan, verify.

What it does and does not do is in its documentation and scripts at tag v15.1.0; the traps that shaped this file:
mailboxes and DKIM keys are seeded before the first start (a server without an account shuts down, with status 0,
after 120 s), DKIM keys and postfix-main.cf reach only a new container, and a catch-all swallows real mailboxes
unless each is answered with itself first.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from runbooklib import host, signing
from runbooklib.host import Answer, CommandChange, FileChange, Host
from runbooklib.params import Domain, Site
from runbooklib.places import locate
from runbooklib.records.texts import TagError
from runbooklib.results import Change, Plan, RunbookError, Shown, Table
from runbooklib.servers import engine, layout, quotas, retired
from runbooklib.servers.engine import Engine
from runbooklib.servers.opendkim import Tables
from runbooklib.servers.retired import Retired

BOOTSTRAP = "01-bootstrap"
TEXTS = (
    layout.COMPOSE,
    layout.ENV,
    layout.MAIN_CF,
    layout.PATCHES,
    layout.VIRTUAL,
    layout.SELF,
    layout.REFUSE,
    layout.RELAY_MAP,
    layout.RETIRED,
    layout.DOVECOT,
    layout.QUOTAS,
    layout.QUOTA_RECIPIENTS,
    layout.KEY_TABLE,
    layout.SIGNING_TABLE,
)
SEALED = (layout.CERTIFICATE, layout.KEY, layout.LOGINS, layout.RELAY_CA)
SECRET_MODE = 0o600
SIEVE = "config/*.sieve mail-data/*/*/home/.dovecot.sieve mail-data/*/*/home/sieve/*.sieve"
REDIRECT = re.compile(r'\bredirect\b[^;"]*"([^"\s]+@[^"\s]+)"', re.IGNORECASE)  # RFC 5228 4.2
FOLDERS = ("config", "certs", "mail-data", "mail-state", "mail-logs")


@dataclass(frozen=True)
class FileFact:
    """A file on the server: its text where it holds no secret, else only its digest."""

    digest: str
    mode: int
    owner: str
    text: str | None = None


@dataclass(frozen=True)
class Container:
    """The mail server's container."""

    id: str
    image: str
    state: str
    health: str
    restarts: int
    digest: str  # of the configuration it was made with


@dataclass(frozen=True)
class State(Shown):
    """What stands on the server, read in one round trip."""

    engine: Engine
    files: Mapping[str, FileFact] = field(default_factory=dict)
    folders: frozenset[str] = frozenset()
    container: Container | None = None
    image: bool = False
    mailboxes: frozenset[str] = frozenset()
    keys: Mapping[tuple[str, str], str] = field(default_factory=dict)  # (domain, selector) -> public half
    private: frozenset[tuple[str, str]] = frozenset()  # keys whose private half is there
    live: frozenset[tuple[str, str]] = frozenset()  # keys the running signer holds, equal to those on disk
    redirects: frozenset[str] = frozenset()  # where users' Sieve scripts send mail on to
    signing: Mapping[str, str] = field(default_factory=dict)  # domain -> selector the running signer signs with

    def text(self, path: str) -> str | None:
        """A file's text, None where there is no file."""
        return self.files[path].text if path in self.files else None

    @property
    def retired(self) -> tuple[Retired, ...]:
        """The keys and relays that were left, as the server remembers them."""
        return retired.parse(self.text(layout.RETIRED) or "")

    @property
    def tables(self) -> Tables:
        """OpenDKIM's tables as the next container will read them."""
        return Tables(self.text(layout.KEY_TABLE) or "", self.text(layout.SIGNING_TABLE) or "")

    def signs(self, domain: str) -> str:
        """The selector that signs a domain's mail: now, or, where nothing runs, once it does; empty for none."""
        if self.container and self.container.state == "running":
            return self.signing.get(domain, "")
        selector = self.tables.signer(domain)
        return selector if (domain, selector) in self.keys else ""

    def parts(self) -> tuple[str, tuple[str, ...], list[tuple[str, ...]]]:
        told = {
            "system": self.engine.os.get("PRETTY_NAME", "unknown"),
            "init": "systemd" if self.engine.systemd else "init scripts",
            "Docker Engine": self.engine.version or self.engine.said or "absent",
            "Docker Compose": self.engine.compose or "absent",
            "image": "present" if self.image else "absent",
            "container": f"{self.container.state}, {self.container.health}" if self.container else "absent",
            "mailboxes": ", ".join(sorted(self.mailboxes)) or "none",
            "DKIM keys": ", ".join(f"{s}._domainkey.{d}" for d, s in sorted(self.keys)) or "none",
            "signs today": ", ".join(f"{s}._domainkey.{d}" for d, s in sorted(self.signing.items())) or "nothing",
            "files": ", ".join(sorted(self.files)) or "none",
        }
        return "on the server", ("what", "is"), list(told.items())

    def data(self) -> dict[str, Any]:
        title, columns, rows = self.parts()
        return Table(title, columns, tuple(rows)).data()


def path(site: Site, relative: str) -> str:
    """Where a file of ours is on the server."""
    return str(PurePosixPath(site.mail.directory) / relative)


def observe(site: Site) -> State:
    """What stands on the server; nothing is installed or refreshed for asking."""
    return parse(host.connect(site).facts(engine.FACTS | _commands(site)))


def _commands(site: Site) -> dict[str, str]:
    here = site.mail.directory
    name = layout.CONTAINER
    commands = {
        "container": f"docker inspect {name}",
        "image": f"docker image inspect -f '{{{{.Id}}}}' {site.mail.image}",
        "mailboxes": f"cut -d'|' -f1 {here}/{layout.ACCOUNTS}",
        "folders": f"cd {here} && ls -d {' '.join(FOLDERS)}",
        "redirects": f'cd {here} && for f in {SIEVE}; do test -f "$f" && grep -h redirect "$f"; done; true',
        "keys": f"cd {here}/config/opendkim/keys && grep -H '' */*.txt",
        "on disk": f"cd {here}/config/opendkim/keys && sha256sum */*.private",
        "live": f"docker exec {name} sh -c 'cd /etc/opendkim/keys && sha256sum */*.private'",
        "live tables": f"docker exec {name} sh -c 'cd /etc/opendkim && cat KeyTable && echo -- && cat SigningTable'",
    }
    for relative in (*TEXTS, *SEALED):
        show = f"base64 -w0 {here}/{relative}" if relative in TEXTS else "true"
        commands[f"file {relative}"] = f"stat -c '%a %U:%G' {here}/{relative} && sha256sum <{here}/{relative} && {show}"
    return commands


def parse(facts: Mapping[str, Answer]) -> State:
    """The state, from the answers of the server; what was not answered is absent."""
    lines = {n: a.out.splitlines() if a.ok else [] for n, a in facts.items()}
    on_disk = _digests(facts["on disk"].out if "on disk" in facts else "")
    live = _digests(facts["live"].out if "live" in facts else "")
    return State(
        engine=engine.parse(facts),
        files={r: f for r in (*TEXTS, *SEALED) if (f := _file(lines.get(f"file {r}", [])))},
        folders=frozenset(lines.get("folders", [])),
        container=_container(facts.get("container")),
        image="image" in facts and facts["image"].ok,
        mailboxes=frozenset(filter(None, lines.get("mailboxes", []))),
        keys=_keys(facts["keys"].out if "keys" in facts else ""),
        redirects=frozenset(REDIRECT.findall("\n".join(lines.get("redirects", [])))),
        private=frozenset(on_disk),
        live=frozenset(key for key, digest in live.items() if on_disk.get(key) == digest),
        signing=_signing("\n".join(lines.get("live tables", [])), live),
    )


def _signing(text: str, held: Iterable[tuple[str, str]]) -> dict[str, str]:
    """For each domain the selector whose row decides, where the signer holds that key."""
    keys, _, rows = text.partition("\n--\n")
    tables, own = Tables(keys, rows), set(held)
    signers = {domain: tables.signer(domain) for domain, _ in own}
    return {domain: selector for domain, selector in signers.items() if (domain, selector) in own}


def _file(lines: list[str]) -> FileFact | None:
    if len(lines) < 2:  # noqa: PLR2004 - mode and owner, digest
        return None
    mode, owner = lines[0].split()
    text = base64.b64decode(lines[2]).decode(errors="replace") if len(lines) > 2 else ""  # noqa: PLR2004
    return FileFact(lines[1].split()[0], int(mode, 8), owner, text)


def _container(answer: Answer | None) -> Container | None:
    if answer is None or not answer.ok:
        return None
    told = json.loads(answer.out)[0]
    state = told["State"]
    return Container(
        id=told["Id"],
        image=told["Config"]["Image"],
        state=state["Status"],
        health=state.get("Health", {}).get("Status", "no health check"),
        restarts=told["RestartCount"],
        digest=(told["Config"].get("Labels") or {}).get(layout.DIGEST, ""),
    )


def _digests(text: str) -> dict[tuple[str, str], str]:
    found = re.findall(r"^([0-9a-f]{64})  ([^/\s]+)/(\S+)\.private$", text, re.MULTILINE)
    return {(domain, selector): digest for digest, domain, selector in found}


def _keys(text: str) -> dict[tuple[str, str], str]:
    """The public halves, from `grep -H ''` over the .txt files."""
    texts: dict[tuple[str, str], str] = {}
    for name, line in re.findall(r"^([^/\s]+/[^:]+)\.txt:(.*)$", text, re.MULTILINE):
        domain, _, selector = name.partition("/")
        texts[domain, selector] = texts.get((domain, selector), "") + line + "\n"
    found = {}
    for key, zone_text in texts.items():
        try:
            found[key] = signing.public_text(zone_text)
        except TagError:
            continue  # an unreadable half is no key: the plan and the checks treat it as absent
    return found


def plan(site: Site, have: State) -> Plan:
    """Everything that takes the server from what stands to what the params say, in order."""
    want = bootstrap_files(site, have)
    anew = container_change(site, have, want)
    changes = [
        *engine.installation(have.engine, ipv6=site.server.ipv6 is not None),
        *_folders(site, have),
        *_certificates(site, have),
        *files_changes(site, have, want),
        *_image(site, have),
        *_mailboxes(site, have),
        *_quotas(site, have),
        *_first_keys(site, have),
        *(anew or _refusals_read(have, want)),
    ]
    return Plan(f"mail server on {site.server.hostname}", tuple(changes), tuple(_refusals(site, have)))


def bootstrap_files(site: Site, have: State) -> dict[str, bytes]:
    """The files of stage 01, with the blocks of other stages and the administrator's own lines kept."""
    stage = BOOTSTRAP
    files = {
        layout.ENV: layout.with_block(have.text(layout.ENV) or "", stage, layout.environment(site)),
        layout.MAIN_CF: layout.with_block(have.text(layout.MAIN_CF) or "", stage, layout.main_cf(site)),
        layout.PATCHES: layout.with_block(have.text(layout.PATCHES) or "#!/bin/bash\n", stage, layout.patches()),
        layout.VIRTUAL: layout.with_block(have.text(layout.VIRTUAL) or "", stage, _virtual(site, have)),
        layout.REFUSE: layout.with_block(have.text(layout.REFUSE) or "", stage, layout.refusals(site)) or "# nobody\n",
        layout.SELF: "/^([^\\/]+)\\/([^\\/]+)\\/$/  $2@$1\n",
    }
    for relative, lines in quotas.files(site).items():
        old = have.text(relative) or ""
        if lines or layout.block(old, stage):
            files[relative] = layout.with_block(old, stage, lines)
    return with_compose(site, have, {name: text.encode() for name, text in files.items()})


def with_compose(site: Site, have: State, files: dict[str, bytes]) -> dict[str, bytes]:
    """The files and the compose.yaml whose label stands for them and for those of other stages."""
    standing = {name: fact.digest for name, fact in have.files.items()}
    digests = standing | {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    return files | {layout.COMPOSE: layout.compose(site, digests).encode()}


def _virtual(site: Site, have: State) -> list[str]:
    """Our alias lines; one that stands outside of our block already is the administrator's."""
    theirs = {line.split()[0] for line in layout.outside(have.text(layout.VIRTUAL) or "", BOOTSTRAP)}
    return [f"{alias} {target}" for alias, target in layout.aliases(site).items() if alias not in theirs]


def _refusals(site: Site, have: State) -> list[str]:
    """Reasons not to go on: an alias of other hands that sends elsewhere than the params say."""
    theirs = dict(
        line.split(None, 1)
        for line in layout.outside(have.text(layout.VIRTUAL) or "", BOOTSTRAP)
        if len(line.split()) > 1
    )
    return [
        f"{layout.VIRTUAL} sends {alias} to {theirs[alias].strip()}, params say {target}: make them agree"
        for alias, target in layout.aliases(site).items()
        if alias in theirs and theirs[alias].strip() != target
    ]


def _folders(site: Site, have: State) -> list[Change]:
    missing = [name for name in FOLDERS if name not in have.folders]
    if not missing:
        return []
    argv = ("install", "-d", "-m", "0755", *(path(site, name) for name in missing))
    why = "configuration, certificates, mail, state and logs outlive the container"
    return [CommandChange(20, site.mail.directory, "absent", ", ".join(missing), why, argv=argv)]


def _certificates(site: Site, have: State) -> list[Change]:
    """The key before the certificate: both are in place within one poll of the change detector."""
    given = {layout.KEY: (site.mail.tls.key, SECRET_MODE), layout.CERTIFICATE: (site.mail.tls.certificate, 0o644)}
    changes: list[Change] = []
    for relative, (source, mode) in given.items():
        content = material(source)
        if not same(have, relative, content, mode):
            before = "another" if relative in have.files else "absent"
            why = f"TLS for {site.server.hostname}"
            target = path(site, relative)
            changes.append(FileChange(21, target, before, f"as {source}", why, path=target, content=content, mode=mode))
    return changes


def material(source: str) -> bytes:
    """A file of this machine that params name.

    Raises MaterialError when it cannot be read.
    """
    try:
        return locate(source).read_bytes()
    except OSError as error:
        raise MaterialError(
            f"{source} cannot be read here ({error.strerror}): name an existing file in params"
        ) from None


class MaterialError(RunbookError):
    """A file named in params, which is to be uploaded, cannot be read."""


def same(have: State, relative: str, content: bytes, mode: int) -> bool:
    """Whether a file stands with this content and mode."""
    fact = have.files.get(relative)
    return fact is not None and fact.digest == hashlib.sha256(content).hexdigest() and fact.mode == mode


def files_changes(site: Site, have: State, want: Mapping[str, bytes], why: str = "") -> list[Change]:
    """A change for each text file that differs."""
    changes: list[Change] = []
    for relative, content in want.items():
        mode = 0o755 if relative == layout.PATCHES else 0o644
        if same(have, relative, content, mode):
            continue
        old, target = have.text(relative), path(site, relative)
        after = layout.difference(old, content.decode())
        before = "absent" if old is None else f"{len(old.splitlines())} lines"
        reason = why or REASONS[relative]
        changes.append(FileChange(22, target, before, after, reason, path=target, content=content, mode=mode))
    return changes


def text_change(
    site: Site, have: State, relative: str, text: str, order: int, why: str, said: str = ""
) -> list[Change]:
    """A change for a text file that differs; `said` tells what it means better than its lines do."""
    old = have.text(relative)
    if text == (old or ""):
        return []
    target = path(site, relative)
    before = "absent" if old is None else f"{len(old.splitlines())} lines"
    after = said or layout.difference(old, text) or "empty"
    return [FileChange(order, target, before, after, why, path=target, content=text.encode())]


def _refusals_read(have: State, want: Mapping[str, bytes]) -> list[Change]:
    """Postfix reads its texthash maps when it starts; a container that is made anew needs no telling."""
    if layout.REFUSE not in have.files or same(have, layout.REFUSE, want[layout.REFUSE], 0o644):
        return []
    argv = ("docker", "exec", layout.CONTAINER, "postfix", "reload")
    return [CommandChange(52, "Postfix", "old refusals", "reloaded", "maps are read at start", argv=argv)]


REASONS = {
    layout.COMPOSE: "the container: image, ports, volumes",
    layout.ENV: "docker-mailserver's settings",
    layout.MAIN_CF: "Postfix settings that docker-mailserver leaves to its administrator",
    layout.PATCHES: "the address written to stays visible as X-Original-To",
    layout.VIRTUAL: "aliases, catch-alls, postmaster@ and abuse@ (RFC 5321 4.5.1, RFC 2142)",
    layout.REFUSE: "addresses answered 550 5.1.1 in spite of a catch-all",
    layout.SELF: "each mailbox keeps its own mail beside a catch-all",
    layout.DOVECOT: "a full mailbox refuses in SMTP what reaches it by an alias, too",
    layout.QUOTA_RECIPIENTS: "whose quota counts for a catch-all and for an alias of several",
}


def _image(site: Site, have: State) -> list[Change]:
    if have.image:
        return []
    argv = ("docker", "pull", "--quiet", site.mail.image)
    fix = "check mail.image, and that the server reaches the registry and trusts its certificate"
    why = "the mail server's image"
    return [CommandChange(19, site.mail.image, "absent", "pulled", why, argv=argv, timeout=1800, fix=fix)]


def _setup(site: Site, have: State) -> tuple[str, ...]:
    """How `setup` is called: in the running container, else in a throw-away one on the same configuration."""
    if have.container and have.container.state == "running":
        return ("docker", "exec", "-i", layout.CONTAINER, "setup")
    mount = f"{path(site, 'config')}:{layout.CONFIG}"
    return ("docker", "run", "--rm", "-i", "-v", mount, "--entrypoint", "setup", site.mail.image)


def _mailboxes(site: Site, have: State) -> list[Change]:
    return [
        CommandChange(
            40,
            f"mailbox {address}",
            "absent",
            f"made, password from {mailbox.password}",
            "declared in params; a password is set when the mailbox is made and not again",
            argv=(*_setup(site, have), "email", "add", address),
            password=mailbox.password,
        )
        for address, mailbox in site.mailboxes.items()
        if address not in have.mailboxes
    ]


def _quotas(site: Site, have: State) -> list[Change]:
    differing = quotas.differing(site, have.text(layout.QUOTAS) or "")
    return [
        CommandChange(
            42,
            f"quota {address}",
            old or "none",
            new,
            "a full mailbox refuses mail in SMTP",
            undo=f"setup quota set {address} {old}" if old else f"setup quota del {address}",
            argv=(*_setup(site, have), "quota", "set", address, new),
        )
        for address, (old, new) in differing.items()
    ]


def _first_keys(site: Site, have: State) -> list[Change]:
    """Keys of domains that have none; beside an older key only stage 03 makes another."""
    keyed = {domain for domain, _ in (*have.private, *have.keys)}
    return [make_key(site, have, d) for d in site.domains if d.name not in keyed]


def make_key(site: Site, have: State, domain: Domain) -> Change:
    """The change that makes a domain's DKIM key; an existing one is never replaced."""
    words = (
        "config",
        "dkim",
        "keysize",
        str(domain.dkim.size),
        "selector",
        domain.dkim.selector,
        "domain",
        domain.name,
    )
    name = f"{domain.dkim.selector}._domainkey.{domain.name}"
    why = "signs this domain's mail (RFC 6376)"
    argv = (*_setup(site, have), *words)
    return CommandChange(41, f"DKIM key {name}", "absent", f"RSA {domain.dkim.size}", why, argv=argv)


def container_change(site: Site, have: State, want: Mapping[str, bytes]) -> list[Change]:
    """`up -d` when there is no container, it does not run, or it was made with another configuration."""
    digest = re.search(rf"{re.escape(layout.DIGEST)}: '?([0-9a-f]+)'?", want[layout.COMPOSE].decode())
    current = have.container
    new_key = bool(_first_keys(site, have))
    made_so = current and digest and current.digest == digest[1]
    unchanged = made_so and same(have, layout.COMPOSE, want[layout.COMPOSE], 0o644)
    if current and current.state == "running" and unchanged and not new_key:
        return []
    force = new_key and current is not None
    return [up(site, current, force=force)]


def up(site: Site, current: Container | None, *, force: bool, why: str = "") -> Change:
    """The change that makes or replaces the container."""
    argv: tuple[str, ...] = ("docker", "compose", "-f", path(site, layout.COMPOSE), "up", "-d", "--quiet-pull")
    reason = why or ("DKIM keys are read by a new container only" if force else "runs what the files above say")
    before = f"{current.state}, {current.id[:12]}" if current else "absent"
    after = "a new container" if current else "running"
    if force:
        argv = (*argv, "--force-recreate")
    return CommandChange(50, f"container {layout.CONTAINER}", before, after, reason, argv=argv)


@dataclass(frozen=True)
class Server:
    """docker-mailserver of one site, as every mail server shows itself to the other rooms."""

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
        found = _container(self.host.run(("docker", "inspect", layout.CONTAINER), check=False))
        return [found] if found else []
