"""Stage 01 on docker-mailserver 15 in a container: what takes the server from what stands to what the params say.

What it does and does not do is in its documentation and scripts at tag v15.1.0; the traps that shaped this file:
mailboxes and DKIM keys are seeded before the first start (a server without an account shuts down, with status 0,
after 120 s), DKIM keys and postfix-main.cf reach only a new container, and a catch-all swallows real mailboxes
unless each is answered with itself first.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from runbooklib.host import CommandChange, FileChange
from runbooklib.params import Domain, Site
from runbooklib.results import Change, Plan
from runbooklib.servers import addresses, blocks, dane, engine, materials
from runbooklib.servers.docker_mailserver import layout, quotas
from runbooklib.servers.docker_mailserver.state import FOLDERS, Container, State, path

BOOTSTRAP = "01-bootstrap"
SECRET_MODE = 0o600


def plan(site: Site, have: State, pins: dane.Pins = dane.standing) -> Plan:
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
    reasons = (*_refusals(site, have), *dane.unlisted(site, have.files.get(layout.KEY), pins))
    return Plan(f"mail server on {site.server.hostname}", tuple(changes), reasons)


def bootstrap_files(site: Site, have: State) -> dict[str, bytes]:
    """The files of stage 01, with the blocks of other stages and the administrator's own lines kept."""
    stage = BOOTSTRAP
    files = {
        layout.ENV: blocks.with_block(have.text(layout.ENV) or "", stage, layout.environment(site)),
        layout.MAIN_CF: blocks.with_block(have.text(layout.MAIN_CF) or "", stage, layout.main_cf(site)),
        layout.PATCHES: blocks.with_block(have.text(layout.PATCHES) or "#!/bin/bash\n", stage, layout.patches()),
        layout.VIRTUAL: blocks.with_block(have.text(layout.VIRTUAL) or "", stage, _virtual(site, have)),
        layout.REFUSE: blocks.with_block(have.text(layout.REFUSE) or "", stage, layout.refusals(site)) or "# nobody\n",
        layout.SELF: "/^([^\\/]+)\\/([^\\/]+)\\/$/  $2@$1\n",
    }
    for relative, lines in quotas.files(site).items():
        old = have.text(relative) or ""
        if lines or blocks.block(old, stage):
            files[relative] = blocks.with_block(old, stage, lines)
    return with_compose(site, have, {name: text.encode() for name, text in files.items()})


def with_compose(site: Site, have: State, files: dict[str, bytes]) -> dict[str, bytes]:
    """The files and the compose.yaml whose label stands for them and for those of other stages."""
    standing = {name: fact.digest for name, fact in have.files.items()}
    digests = standing | {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    return files | {layout.COMPOSE: layout.compose(site, digests).encode()}


def _virtual(site: Site, have: State) -> list[str]:
    """Our alias lines; one that stands outside of our block already is the administrator's."""
    theirs = {line.split()[0] for line in blocks.outside(have.text(layout.VIRTUAL) or "", BOOTSTRAP)}
    return [f"{alias} {target}" for alias, target in addresses.aliases(site).items() if alias not in theirs]


def _refusals(site: Site, have: State) -> list[str]:
    """Reasons not to go on: an alias of other hands that sends elsewhere than the params say."""
    theirs = dict(
        line.split(None, 1)
        for line in blocks.outside(have.text(layout.VIRTUAL) or "", BOOTSTRAP)
        if len(line.split()) > 1
    )
    return [
        f"{layout.VIRTUAL} sends {alias} to {theirs[alias].strip()}, params say {target}: make them agree"
        for alias, target in addresses.aliases(site).items()
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
        content = materials.material(source)
        if not same(have, relative, content, mode):
            before = "another" if relative in have.files else "absent"
            why = f"TLS for {site.server.hostname}"
            target = path(site, relative)
            changes.append(FileChange(21, target, before, f"as {source}", why, path=target, content=content, mode=mode))
    return changes


def same(have: State, relative: str, content: bytes, mode: int) -> bool:
    """Whether a file stands with this content and mode."""
    fact = have.files.get(relative)
    return fact is not None and fact.digest == hashlib.sha256(content).hexdigest() and fact.mode == mode


def files_changes(site: Site, have: State, want: Mapping[str, bytes], why: str = "") -> list[Change]:
    """A change for each text file that differs."""
    changes: list[Change] = []
    for relative, content in want.items():
        if same(have, relative, content, mode(relative)):
            continue
        old, target = have.text(relative), path(site, relative)
        after = blocks.difference(old, content.decode())
        before = "absent" if old is None else f"{len(old.splitlines())} lines"
        reason = why or REASONS[relative]
        change = FileChange(22, target, before, after, reason, path=target, content=content, mode=mode(relative))
        changes.append(change)
    return changes


def mode(relative: str) -> int:
    """Of a text file of ours: the one that is run may be."""
    return 0o755 if relative == layout.PATCHES else 0o644


def text_change(
    site: Site, have: State, relative: str, text: str, order: int, why: str, said: str = ""
) -> list[Change]:
    """A change for a text file that differs; `said` tells what it means better than its lines do."""
    old = have.text(relative)
    if text == (old or ""):
        return []
    target = path(site, relative)
    before = "absent" if old is None else f"{len(old.splitlines())} lines"
    after = said or blocks.difference(old, text) or "empty"
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
        return (*layout.INSIDE, "setup")
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
    # Edited by another hand since: whoever did so may have made the container anew from it, under the old label.
    edited = any(not same(have, f, want[f], mode(f)) for f in layout.NEEDS_NEW_CONTAINER if f in want)
    unchanged = made_so and same(have, layout.COMPOSE, want[layout.COMPOSE], 0o644) and not edited
    if current and current.state == "running" and unchanged and not new_key:
        return []
    force = current is not None and (new_key or bool(made_so and edited))
    why = "may run with what another hand wrote into the files above" if made_so and edited and not new_key else ""
    return [up(site, current, force=force, why=why)]


def up(site: Site, current: Container | None, *, force: bool, why: str = "") -> Change:
    """The change that makes or replaces the container."""
    argv: tuple[str, ...] = ("docker", "compose", "-f", path(site, layout.COMPOSE), "up", "-d", "--quiet-pull")
    reason = why or ("DKIM keys are read by a new container only" if force else "runs what the files above say")
    before = f"{current.state}, {current.id[:12]}" if current else "absent"
    after = "a new container" if current else "running"
    if force:
        argv = (*argv, "--force-recreate")
    return CommandChange(50, f"container {layout.CONTAINER}", before, after, reason, argv=argv)
