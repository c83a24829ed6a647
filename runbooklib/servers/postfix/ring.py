"""The DKIM keys on a host and who signs with them: OpenDKIM by its tables or its one key, rspamd by its settings."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from runbooklib import host
from runbooklib.host import Answer
from runbooklib.params import Site
from runbooklib.servers.keys import Half
from runbooklib.servers.opendkim import KEYS, Tables
from runbooklib.servers.postfix.state import State
from runbooklib.servers.retired import Retired

OPENDKIM, RSPAMD = "opendkim", "rspamd"
CONF, KEY_TABLE, SIGNING_TABLE = "/etc/opendkim.conf", "/etc/opendkim/KeyTable", "/etc/opendkim/SigningTable"
TRUSTED = "/etc/opendkim/TrustedHosts"
SOCKET = "inet:8891@127.0.0.1"  # TCP: a socket's file would have to lie inside the chroot of smtpd
MILTER = "inet:127.0.0.1:8891"  # the same in Postfix's words
STARTED = 'p=$(pgrep -xo opendkim) && echo $(($(date +%s) - $(ps -o etimes= -p "$p")))'
BOX = "Mail-in-a-Box makes the keys of its domains itself and writes OpenDKIM's tables anew: add the domain there"
ONE_KEY = "OpenDKIM signs with one KeyFile for all: give it KeyTable and SigningTable (refile:), or name what signs"
PATTERNS = "OpenDKIM's SigningTable and KeyTable are no files that a line can be added to (refile:)"
RSPAMD_OWN = "rspamd signs on this host: give it the key (rspamadm dkim_keygen, local.d/dkim_signing.conf)"
FOREIGN = "{} signs on this host, and its keys are not read here: let OpenDKIM or rspamd sign"
Located = tuple[str, str, str]  # domain, selector, the private half's file


@dataclass(frozen=True)
class Ring:
    """The keys by domain and selector, and which of them sign."""

    kind: str = ""  # who signs; empty: nobody does
    closed: str = ""  # why no key can be added to what signs here
    tables: Tables = field(default_factory=Tables)
    files: tuple[str, str] = (KEY_TABLE, SIGNING_TABLE)
    conf: str = ""  # opendkim.conf
    halves: Mapping[tuple[str, str], Half] = field(default_factory=dict)
    fresh: bool = False  # the running signer knows what is stored
    stale: bool = False  # it started before that was stored; one that does not run is neither
    retired: tuple[Retired, ...] = ()

    @property
    def keys(self) -> Mapping[tuple[str, str], str]:
        """The public halves, as records."""
        return {key: f"v=DKIM1; h=sha256; k=rsa; p={h.public}" for key, h in self.halves.items() if h.public}

    @property
    def private(self) -> frozenset[tuple[str, str]]:
        """Those whose private half is there."""
        return frozenset(self.halves)

    @property
    def live(self) -> frozenset[tuple[str, str]]:
        """Those the running signer holds."""
        return frozenset(self.keys) if self.fresh else frozenset()

    @property
    def signing(self) -> Mapping[str, str]:
        """For each domain the selector the running signer signs with."""
        domains = {domain for domain, _ in self.live}
        return {domain: selector for domain in sorted(domains) if (selector := self.signs(domain))}

    def signs(self, domain: str) -> str:
        """The selector that signs a domain's mail; empty for none."""
        selector = self.tables.signer(domain)
        return selector if self.kind and (domain, selector) in self.keys else ""


def settings(text: str) -> dict[str, str]:
    """What opendkim.conf sets, by lower-case name."""
    lines = (line.split(None, 1) for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#"))
    return {words[0].lower(): words[1].strip() for words in lines if len(words) == len(("name", "value"))}


def observe(site: Site, have: State) -> Ring:
    """The keys on the host; nothing of a private half is read but its public one."""
    kind = next((name for name in (OPENDKIM, RSPAMD, *have.signers) if name in have.signers), "")
    if kind == RSPAMD:
        return _of_rspamd(site, have)
    if kind not in {"", OPENDKIM}:
        return Ring(kind, FOREIGN.format(kind), retired=have.retired)
    server = host.connect(site)
    told = server.facts({"conf": f"cat {CONF}", "box": "test -e /etc/mailinabox.conf"})
    conf = told["conf"].out if told["conf"].ok else ""
    found, files, closed = _tables(settings(conf)) if kind else (Tables(), (KEY_TABLE, SIGNING_TABLE), "")
    table, rows = files
    more = server.facts(
        {
            "keys": f"cat {shlex.quote(table)}",
            "rows": f"cat {shlex.quote(rows)}",
            "changed": f"stat -c %Y {shlex.quote(table)} {shlex.quote(rows)} {CONF} | sort -n | tail -n 1",
            "started": STARTED,
            "kept": f"ls {KEYS}/*/*.private",
        }
    )
    tables = found if found.keys else _read(more, patterns=not closed)
    halves = _halves(site, [*_located(tables), *_kept(more["kept"])])
    closed = BOX if told["box"].ok else closed
    newer = _newer(more) if kind else None
    return Ring(kind, closed, tables, files, conf, halves, newer is True, newer is False, have.retired)


def _tables(given: Mapping[str, str]) -> tuple[Tables, tuple[str, str], str]:
    """What opendkim.conf says of keys: the files of its tables, or a table made of its one key; and what is closed."""
    key, rows = given.get("keytable", ""), given.get("signingtable", "")
    if "keyfile" in given and not key:
        domain = given.get("domain", "")
        one = f"one {domain}:{given.get('selector', '')}:{given['keyfile']}\n"
        return Tables(one, f"*@{domain} one\n"), (KEY_TABLE, SIGNING_TABLE), ONE_KEY
    files = _file(key), _file(rows)
    if not all(files):
        return Tables(), (KEY_TABLE, SIGNING_TABLE), PATTERNS if key or rows else ""
    return Tables(), files, "" if rows.startswith("refile:") else PATTERNS


def _file(dataset: str) -> str:
    """The file behind a data set of opendkim(8); empty where it is none."""
    path = re.sub(r"^(refile|file):", "", dataset)
    return path if path.startswith("/") else ""


def _read(told: Mapping[str, Answer], *, patterns: bool) -> Tables:
    """The two tables; where SigningTable holds plain names, each is read as everybody of that domain."""
    keys, rows = (told[name].out + "\n" if told[name].ok and told[name].out else "" for name in ("keys", "rows"))
    return Tables(keys, rows if patterns else re.sub(r"^(?=[\w.-]+\s)", "*@", rows, flags=re.MULTILINE))


def _located(tables: Tables) -> list[Located]:
    rows = (line.split() for line in tables.keys.splitlines())
    values = [row[1].split(":", 2) for row in rows if len(row) > 1 and not row[0].startswith("#")]
    return [(v[0], v[1], v[2]) for v in values if len(v) == len(("domain", "selector", "file")) and v[2][:1] == "/"]


def _kept(answer: Answer) -> list[Located]:
    """Private halves in our folder, whether a table names them or not."""
    found = re.findall(rf"^({KEYS}/([^/\s]+)/(\S+)\.private)$", answer.out, re.MULTILINE) if answer.ok else []
    return [(domain, selector, file) for file, domain, selector in found]


def _halves(site: Site, located: Iterable[Located]) -> dict[tuple[str, str], Half]:
    commands = {}
    for domain, selector, file in dict.fromkeys(located):
        name = shlex.quote(file)
        commands[f"{domain} {selector}"] = (
            f"stat -L -c %a {name} && openssl pkey -in {name} -pubout -outform DER 2>/dev/null | base64 -w0"
        )
    answers = host.connect(site).facts(commands) if commands else {}
    found = {}
    for key, answer in answers.items():
        domain, _, selector = key.partition(" ")
        if answer.ok:
            mode, *public = answer.out.splitlines()
            found[domain, selector] = Half(mode, "".join(public))
    return found


def _newer(told: Mapping[str, Answer]) -> bool | None:
    """Whether OpenDKIM started after its tables were written: it reads them only then. None where it does not run."""
    started, changed = (told[name].out.strip() for name in ("started", "changed"))
    if not (started.isdigit() and changed.isdigit()):
        return None
    return int(started) + 1 >= int(changed)  # ps counts whole seconds


def _of_rspamd(site: Site, have: State) -> Ring:
    """What rspamd's module dkim_signing has for the domains of params."""
    told = host.connect(site).facts({"module": "rspamadm configdump -j dkim_signing 2>/dev/null"})["module"]
    located = rspamd_keys(told.out, [d.name for d in site.domains]) if told.ok else []
    halves = _halves(site, located)
    tables = Tables()
    for domain, selector in halves:
        tables = tables.with_key(domain, selector)
    return Ring(
        RSPAMD, RSPAMD_OWN, tables, halves=halves, fresh="rspamd" in " ".join(have.running), retired=have.retired
    )


def rspamd_keys(text: str, domains: Iterable[str]) -> list[Located]:
    """Which key rspamd takes for each domain: what is set for it, else the path and selector for all."""
    try:
        told: dict[str, Any] = json.loads(text)
    except ValueError:
        return []
    found = []
    for name in domains:
        own = told.get("domain", {}).get(name, {})
        selector = own.get("selector") or told.get("selector", "dkim")
        path = own.get("path") or told.get("path", "/var/lib/rspamd/dkim/$domain.$selector.key")
        found.append((name, selector, path.replace("$domain", name).replace("$selector", selector)))
    return found if told.get("enabled", True) else []
