"""What stands on the server of a docker-mailserver, read in one round trip, and in one into its container."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from runbooklib import host, signing
from runbooklib.domainkeys import KeyRecordError
from runbooklib.host import Answer
from runbooklib.params import Site
from runbooklib.results import Shown, Table
from runbooklib.servers import engine, files, retired
from runbooklib.servers.docker_mailserver import layout
from runbooklib.servers.engine import Engine
from runbooklib.servers.files import FileFact
from runbooklib.servers.opendkim import Tables
from runbooklib.servers.retired import Retired

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
SIEVE = "config/*.sieve mail-data/*/*/home/.dovecot.sieve mail-data/*/*/home/sieve/*.sieve"
REDIRECT = re.compile(r'\bredirect\b[^;"]*"([^"\s]+@[^"\s]+)"', re.IGNORECASE)  # RFC 5228 4.2
FOLDERS = ("config", "certs", "mail-data", "mail-state", "mail-logs")
LIVE = {  # the signer's own copy of keys and tables, in the container
    "live": "cd /etc/opendkim/keys && sha256sum */*.private",
    "live tables": "cd /etc/opendkim && cat KeyTable && echo -- && cat SigningTable",
}


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
    """What stands on the server."""

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
    server = host.connect(site)
    return parse(server.facts(engine.FACTS | _commands(site)) | server.facts(LIVE, layout.INSIDE))


def ring(site: Site) -> dict[str, str]:
    """Of that what tells of the keys and, beside `LIVE`, which of them signs."""
    files = (f"file {relative}" for relative in (layout.RETIRED, layout.KEY_TABLE, layout.SIGNING_TABLE))
    commands = _commands(site)
    return {name: commands[name] for name in ("keys", *files, "container")}


def _commands(site: Site) -> dict[str, str]:
    here = site.mail.directory
    commands = {
        "container": f"docker inspect {layout.CONTAINER}",
        "image": f"docker image inspect -f '{{{{.Id}}}}' {site.mail.image}",
        "mailboxes": f"cut -d'|' -f1 {here}/{layout.ACCOUNTS}",
        "folders": f"cd {here} && ls -d {' '.join(FOLDERS)}",
        "redirects": f'cd {here} && for f in {SIEVE}; do test -f "$f" && grep -h redirect "$f"; done; true',
        "keys": f"cd {here}/config/opendkim/keys && grep -H '' */*.txt",
        "on disk": f"cd {here}/config/opendkim/keys && sha256sum */*.private",
    }
    for relative in (*TEXTS, *SEALED):
        commands[f"file {relative}"] = files.question(f"{here}/{relative}", text=relative in TEXTS)
    return commands


def parse(facts: Mapping[str, Answer]) -> State:
    """The state, from the answers of the server; what was not answered is absent."""
    lines = {n: a.out.splitlines() if a.ok else [] for n, a in facts.items()}
    on_disk = _digests(facts["on disk"].out if "on disk" in facts else "")
    live = _digests(facts["live"].out if "live" in facts else "")
    return State(
        engine=engine.parse(facts),
        files={r: f for r in (*TEXTS, *SEALED) if (f := files.answered(lines.get(f"file {r}", [])))},
        folders=frozenset(lines.get("folders", [])),
        container=container(facts.get("container")),
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


def container(answer: Answer | None) -> Container | None:
    """The container, from what `docker inspect` answered."""
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
        except KeyRecordError:
            continue  # an unreadable half is no key: the plan and the checks treat it as absent
    return found
