"""What signs: the keys and tables that the running signer has, beside those that are stored for its next start.

The fact `signer` is

    signs      domain → the selector params want, the one that signs now (`live`), the one a new start would (`stored`)
    keys       record name → public halves, `live` and `stored`, and why the signer may not use it (`closed`)
    published  record name → the TXT values at names that sign and are not those of params
    stale      whether the signer runs and started before its tables were written
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from runbooklib import endpoint
from runbooklib.endpoint import EndpointError
from runbooklib.host import Answer
from runbooklib.params import Site
from runbooklib.probes.mailflow import UnseenError
from runbooklib.probes.roundtrip import RoundTrip
from runbooklib.servers.docker_mailserver import layout
from runbooklib.servers.keys import record_name
from runbooklib.servers.opendkim import KEYS, Tables
from runbooklib.servers.postfix import ring
from runbooklib.servers.postfix import state as postfix
from runbooklib.servers.postfix.ring import Ring

LIVE, STORED = "/etc/opendkim", f"{layout.CONFIG}/opendkim"
PUBLIC = (
    'cd {}/keys && for f in */*.private; do echo "$f $(openssl pkey -in $f -pubout -outform DER 2>/dev/null '
    '| base64 -w0)"; done'
)
AS_SIGNER = "setpriv --reuid=opendkim --regid=opendkim --init-groups"
OTHERS = 0o007  # RequireSafeKeys: nobody else may read or write it (opendkim.conf(5))
COMMANDS = {
    "live keys": f"cat {LIVE}/KeyTable",
    "live rows": f"cat {LIVE}/SigningTable",
    "stored keys": f"cat {STORED}/KeyTable",
    "stored rows": f"cat {STORED}/SigningTable",
    "live halves": PUBLIC.format(LIVE),
    "stored halves": PUBLIC.format(STORED),
    "modes": f"cd {KEYS} && stat -c '%n %a %U' */*.private",
    "readable": f'cd {KEYS} && for f in */*.private; do {AS_SIGNER} test -r "{KEYS}/$f" && echo "$f"; done; true',
}
Keys = dict[str, dict[str, str]]


def in_container(site: Site, answers: RoundTrip) -> dict[str, Any]:
    """The signer of docker-mailserver: its own copy of keys and tables, and the ones a new container will copy."""
    told = {name: answers[name] for name in COMMANDS}
    if not told["live keys"].ok:
        raise UnseenError("OpenDKIM's tables in the container cannot be read")
    signs = selectors(site, tables(told, "live"), tables(told, "stored"))
    return {"signs": signs, "keys": held(told), "published": _published(site, signs), "stale": False}


def tables(told: Mapping[str, Answer], which: str) -> Tables:
    """One of the two pairs of tables."""
    keys, rows = (told[f"{which} {part}"] for part in ("keys", "rows"))
    return Tables(keys.out + "\n" if keys.ok else "", rows.out + "\n" if rows.ok else "")


def selectors(site: Site, live: Tables, stored: Tables) -> dict[str, dict[str, str]]:
    """For each domain who should sign, who does, and who would after a new start."""
    return {
        domain.name: {
            "wanted": domain.dkim.selector,
            "live": live.signer(domain.name),
            "stored": stored.signer(domain.name),
        }
        for domain in site.domains
    }


def held(told: Mapping[str, Answer]) -> Keys:
    """The keys of each file, by the name under which their public halves are published."""
    live, stored = _halves(told["live halves"]), _halves(told["stored halves"])
    closed = _closed(told["modes"], told["readable"])
    return {
        record_name(domain, selector): {
            "live": live.get((domain, selector), ""),
            "stored": stored.get((domain, selector), ""),
            "closed": closed.get((domain, selector), ""),
        }
        for domain, selector in sorted({*live, *stored})
    }


def _halves(answer: Answer) -> dict[tuple[str, str], str]:
    found = re.findall(r"^([^/\s*]+)/(\S+)\.private(?: (\S*))?$", answer.out, re.MULTILINE)
    return {(domain, selector): public for domain, selector, public in found}


def _closed(modes: Answer, readable: Answer) -> dict[tuple[str, str], str]:
    """Why OpenDKIM refuses a key: it may not read it, or others may."""
    may, told = set(readable.out.split()), dict[tuple[str, str], str]()
    for file, mode, owner in re.findall(r"^(\S+\.private) (\d+) (\S+)$", modes.out, re.MULTILINE):
        domain, _, name = file.partition("/")
        told[domain, name.removesuffix(".private")] = refusal(mode, owner, readable=file in may)
    return told


def refusal(mode: str, owner: str, *, readable: bool) -> str:
    """Why a signer will not use a private half with this mode and owner; empty where it will."""
    if not readable:
        return f"the signer may not read it (mode {mode}, {owner})"
    return f"others may read or write it (mode {mode}, {owner})" if int(mode, 8) & OTHERS else ""


def on_host(site: Site) -> dict[str, Any]:
    """The signer of a host with plain Postfix, OpenDKIM or rspamd."""
    found = ring.observe(site, postfix.observe(site))
    if found.kind not in {ring.OPENDKIM, ring.RSPAMD}:
        raise UnseenError(found.closed or "nothing signs on this host")
    told = of_ring(site, found)
    return told | {"published": _published(site, told["signs"])}


def of_ring(site: Site, found: Ring) -> dict[str, Any]:
    """The same of a host: what is stored is what a signer has that started since."""
    keys = {
        record_name(*key): {"live": half.public, "stored": half.public, "closed": _on_host(found.kind, half.mode)}
        for key, half in found.halves.items()
    }
    return {"signs": selectors(site, found.tables, found.tables), "keys": keys, "stale": found.stale}


def _on_host(kind: str, mode: str) -> str:
    return refusal(mode, "its file", readable=True) if kind == ring.OPENDKIM and mode else ""


def _published(site: Site, signs: Mapping[str, Mapping[str, str]]) -> dict[str, list[str]]:
    """What DNS has at the names that sign instead of those of params; a name that nobody could tell of is left out."""
    other = (record_name(domain, rows["live"]) for domain, rows in signs.items() if rows["live"] != rows["wanted"])
    return dict(_texts(site, [name for name in other if not name.startswith("._")]))


def _texts(site: Site, names: Iterable[str]) -> Iterable[tuple[str, list[str]]]:
    for name in names:
        try:
            yield name, endpoint.texts(name, site.dns.resolvers)
        except EndpointError:
            continue
