"""Stage 03 on plain Postfix: a key made once, a new one that signs once the world knows it, the old one kept.

A new selector takes three walks: the key is made beside the one that signs; stage 04 publishes it; when every resolver
shows it, OpenDKIM changes over. The old key stays for `retire_after`, then it is taken away.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from runbooklib.host import CommandChange, FileChange
from runbooklib.params import Domain, Site
from runbooklib.records import Observed
from runbooklib.results import Change, Plan
from runbooklib.servers import keys, retired
from runbooklib.servers.blocks import difference
from runbooklib.servers.keys import Turn
from runbooklib.servers.opendkim import KEYS, Tables
from runbooklib.servers.postfix import bootstrap, checking, editing, layout, ring, state
from runbooklib.servers.postfix.editing import Content, Part
from runbooklib.servers.postfix.ring import Ring
from runbooklib.servers.postfix.state import State
from runbooklib.servers.retired import Retired

TITLE, BEFORE = "DKIM keys", "01-bootstrap"
INSTALL, MAKE, REMEMBER, SIGN, REMOVE = 10, 41, 42, 43, 60
PACKAGES = ("opendkim", "opendkim-tools")
MILTERS = ("smtpd_milters", "non_smtpd_milters")  # mail from outside and by login; mail by sendmail(1)
SAME = {"$smtpd_milters", "${smtpd_milters}", "$(smtpd_milters)"}
# The private half is written by nobody else and never over another one; OpenDKIM demands that only its user reads it.
MAKE_KEY = """set -e; umask 077; f="$1/$2.private"; [ ! -e "$f" ]
install -d -m 0750 -o opendkim -g opendkim "${1%/*}" "$1"
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:"$3" -out "$f.new" 2>/dev/null
chown opendkim:opendkim "$f.new"; chmod 0600 "$f.new"; mv -n "$f.new" "$f\""""
RESTART = "service opendkim restart </dev/null >/dev/null 2>&1; sleep 0.5; pgrep -x opendkim >/dev/null"
ENABLE = "if [ -d /run/systemd/system ]; then systemctl -q enable opendkim; else update-rc.d opendkim defaults; fi"
CONF = f"""# Written by mail-runbooks, stage 03-dkim; its next run shows what it would change here.
Syslog                yes
SyslogSuccess         yes
UMask                 007
UserID                opendkim
PidFile               /run/opendkim/opendkim.pid
Socket                {ring.SOCKET}
Mode                  sv
Canonicalization      relaxed/simple
SignatureAlgorithm    rsa-sha256
# Relays write these anew: a signature over them would not survive.
OmitHeaders           *,+Date,+Message-ID
OversignHeaders       From
KeyTable              refile:{ring.KEY_TABLE}
SigningTable          refile:{ring.SIGNING_TABLE}
InternalHosts         refile:{ring.TRUSTED}
ExternalIgnoreList    refile:{ring.TRUSTED}
{{nameservers}}"""
TRUSTED = "127.0.0.1\n::1\nlocalhost\n"


def conf(host: State) -> str:
    """opendkim.conf; by itself libunbound walks from the root, which a firewall or a resolver of one's own forbids."""
    told = ",".join(host.nameservers)
    return CONF.format(nameservers=f"Nameservers           {told}\n" if told else "")


def plan(site: Site, host: State, have: Ring, seen: Observed | None, now: datetime | None = None) -> Plan:
    """Keys that are missing, the change to a key that is known by now, and the end of one whose time is over."""
    if not host.there:
        return Plan(TITLE, held=f"known after {BEFORE}")
    now = now or datetime.now(UTC)
    steps, before = keys.turns(site, have, seen), have.retired
    refused = refusals(site, have, seen, now)
    if have.closed:
        return Plan(TITLE, refusals=tuple(refused.values()))
    over = [e for e in before if keys.over(e, steps, now)]
    changes = [
        *_install(host),
        *(_make_key(t.domain) for t in steps if not t.made),
        *_memory(site, before, keys.entries(have, before, steps, now)),
        *_signer(site, host, have, steps, over),
        *(_removal(e) for e in over if (e.domain, e.selector) in have.keys),
    ]
    return Plan(TITLE, tuple(changes), tuple(refused.values()))


def refusals(site: Site, have: Ring, seen: Observed | None, now: datetime) -> dict[str, str]:
    """For each domain whose params no plan can carry out the reason; a signer of others is asked to do its part."""
    said = keys.refusals(site, have, now)
    for turn in keys.turns(site, have, seen):
        if have.closed and turn.signs != turn.wanted:
            today = f"{turn.signs} signs" if turn.signs else "nothing signs"
            hint = f"; or name {turn.signs} as dkim.selector in params" if turn.signs else ""
            said[turn.domain.name] = f"{turn.domain.name}: params want {turn.wanted}, {today}: {have.closed}{hint}"
    return said


def _install(host: State) -> list[Change]:
    missing = [name for name in PACKAGES if name not in host.packages]
    if not missing:
        return []
    script = f"apt-get update -qq && {bootstrap.INSTALL} {' '.join(missing)}"
    argv, why = ("env", "DEBIAN_FRONTEND=noninteractive", "sh", "-c", script), "nobody signs mail on this host yet"
    undo = f"apt-get purge {' '.join(missing)}"
    return [CommandChange(INSTALL, ", ".join(missing), "absent", "installed", why, undo, argv=argv, timeout=900)]


def _make_key(domain: Domain) -> Change:
    name = keys.record_name(domain.name, domain.dkim.selector)
    words = (f"{KEYS}/{domain.name}", domain.dkim.selector, str(domain.dkim.size))
    argv, why = ("sh", "-c", MAKE_KEY, "key", *words), "signs this domain's mail (RFC 6376)"
    return CommandChange(MAKE, f"DKIM key {name}", "absent", f"RSA {domain.dkim.size}", why, argv=argv)


def _memory(site: Site, before: Iterable[Retired], entries: Iterable[Retired]) -> list[Change]:
    """Written before the signer changes over: cut off in between, the next walk still knows the old key."""
    old, new = [*before], [*entries]
    if retired.text(old) == retired.text(new):
        return []
    target, content = state.path(site, layout.RETIRED), retired.text(new).encode()
    said = keys.news(old, new) or "what is over is forgotten"
    return [FileChange(REMEMBER, target, "as it was", said, keys.MEMORY, path=target, content=content)]


def _signer(site: Site, host: State, have: Ring, steps: Iterable[Turn], over: Iterable[Retired]) -> tuple[Change, ...]:
    """The tables, OpenDKIM's settings where it is ours to set up, and its place among the milters: one step."""
    turns = [*steps]
    parts: list[Part] = [*_tables(have, turns, over)]
    if not have.kind:
        parts += _settings(host, have)
        parts += _milters(host)
    elif have.conf.startswith(CONF.partition("\n")[0]):
        parts += [*_conf(host, have), *_milters(host)]
    behind = [t for t in turns if not t.waits and t.made and not keys.signs_live(have, t.domain.name, t.wanted)]
    then = (ENABLE, RESTART, *(() if have.kind else (editing.RELOAD,)))
    why = "one step: backed up, written, checked; a signer that does not start puts everything back"
    if behind and not parts:
        argv, said = ("sh", "-c", f"{ENABLE} && {RESTART}"), "OpenDKIM reads its tables when it starts"
        return (
            CommandChange(
                SIGN, "service opendkim", "runs with older tables or not at all", "restarted", said, argv=argv
            ),
        )
    directory = f"{site.mail.directory}/undo-signer"
    checks = (f"opendkim -n -x {ring.CONF}",)
    return editing.together(SIGN, parts, directory, checks=checks, then=then, target="OpenDKIM", why=why)


def _tables(have: Ring, steps: Iterable[Turn], over: Iterable[Retired]) -> Iterator[Part]:
    made, turns = have.tables, [*steps]
    for turn in (t for t in turns if not t.made):
        made = made.with_key(turn.domain.name, turn.wanted)
    want: Tables = keys.tables(made, have, turns, over)
    for path, old, new in zip(have.files, (have.tables.keys, have.tables.rows), (want.keys, want.rows), strict=True):
        if new != old:
            yield _content(path, old, new, keys.ROWS)


def _settings(host: State, have: Ring) -> Iterator[Part]:
    """OpenDKIM's own settings, where it has signed nothing for this Postfix yet."""
    yield from _conf(host, have)
    yield _content(ring.TRUSTED, "", TRUSTED, "mail from here is signed, mail from outside only with a login")


def _conf(host: State, have: Ring) -> Iterator[Part]:
    want = conf(host)
    if have.conf.strip() != want.strip():
        before = f"{len(have.conf.splitlines())} lines, which sign nothing for Postfix" if have.conf else "absent"
        after, why = f"ours, {len(want.splitlines())} lines", "which keys sign for whom, and where Postfix finds it"
        yield Content(0, ring.CONF, before, after, why, path=ring.CONF, content=want.encode())


def _content(path: str, old: str, new: str, why: str) -> Content:
    before = f"{len(old.splitlines())} lines" if old else "absent"
    return Content(0, path, before, difference(old or None, new), why, path=path, content=new.encode())


def _milters(host: State) -> Iterator[Part]:
    """The signer after what stands there, so that it signs what the others made; only OpenDMARC reads its results."""
    for name in MILTERS:
        value = host.parameters.get(name)
        standing = set((value or "").replace(",", " ").split())
        if not standing & {ring.MILTER, *SAME}:  # twice among the milters it would sign twice
            joined = checking.before(ring.MILTER, value or "")
            yield from editing.parameter(value, name, joined, "OpenDKIM signs; what stands there goes on")


def _removal(entry: Retired) -> Change:
    file = f"{KEYS}/{entry.domain}/{entry.selector}.private"
    why = f"retired on {entry.since:%Y-%m-%d}; mail signed with it has arrived or bounced"
    target = f"DKIM key {keys.record_name(entry.domain, entry.selector)}"
    return CommandChange(REMOVE, target, "kept", "removed from the server", why, argv=("rm", "-f", "--", file))
