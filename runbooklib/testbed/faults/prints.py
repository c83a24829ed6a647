"""What stands in the testbed as lines of text, so that whether a fault was taken back exactly can be told."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from runbooklib.testbed.faults.scene import HERE, MAIL, Scene
from runbooklib.testbed.snapshots import PROVIDER_STATE, PROVIDERS

Prints = dict[str, frozenset[str]]  # host, or the mail server's container → lines

# Counters, process ids and what signing makes anew with each change are left out.
FIREWALL = "for t in iptables ip6tables; do $t-save 2>/dev/null | grep '^-A' | sed 's/^/firewall /'; done"
# What a link sends at once: a fault about packets too large changes it, and offloading hides it elsewhere.
PIECES = "ip -d -o link show dev eth0 | grep -o 'gso_max_segs [0-9]*'"
MOUNTS = 'cut -d" " -f2,3 /proc/mounts'
FILES = """find {0} -type f -exec sha256sum {{}} + 2>/dev/null || true
find {0} -printf "%p %m %u:%g %l\n" 2>/dev/null || true"""
INSIDE = f"""postconf -n; postconf -M; supervisorctl status | tr -s " " | cut -d" " -f1,2
{FILES.format("/etc/opendkim /etc/dms /etc/postfix /etc/dovecot")}; cat /etc/resolv.conf; {MOUNTS}"""
SERVER = f"""{FIREWALL}; {PIECES}; {FILES.format("/etc/ssh")}
nsenter -t "$(docker inspect -f '{{{{.State.Pid}}}}' {MAIL})" -n {PIECES}
find {HERE} -type f -not -path '{HERE}/mail-*' -printf '%p %m %u:%g\\n' -exec sha256sum {{}} +
docker inspect {MAIL} --format '{{{{.State.Status}}}} {{{{.HostConfig.PortBindings}}}} {{{{.Config.Hostname}}}}'
ip -o link | sed 's/^[0-9]*: //; s/@.*mtu/ mtu/; s/ qdisc.*//' | grep -v '^veth'
"""
DNS = "knotc -c /testbed/knot.conf zone-read -- | grep -vE ' (RRSIG|NSEC|SOA|NSEC3|DNSKEY|CDS|CDNSKEY) '"
# What a provider knows of its customer, keys among it, so no more than a digest; the mail it took goes on by itself.
LEDGER = f"""python3 - <<'END'
import hashlib, json
state = json.load(open("{PROVIDER_STATE}"))
for name in sorted(state.keys() - {{"emails"}}):
    print(name, hashlib.sha256(json.dumps(state[name], sort_keys=True).encode()).hexdigest())
END"""
OTHERS = {"relay": "/etc/opendkim", "resend": "", "mxroute": "", "mx": "/etc/rspamd", "resolver": ""}
SCRIPTS = {
    "server": SERVER,
    "dns": DNS,
    **{host: f"{FIREWALL}; {FILES.format(f'/etc/postfix /testbed {paths}')}" for host, paths in OTHERS.items()},
}
SCRIPTS |= {host: f"{SCRIPTS[host]}\n{LEDGER}" for host in PROVIDERS}


def taken(scene: Scene) -> Prints:
    """What stands now."""
    scripts: dict[str, Callable[[], str]] = {host: partial(scene.on, host, told) for host, told in SCRIPTS.items()}
    scripts[MAIL] = partial(scene.mail, INSIDE)
    with ThreadPoolExecutor(len(scripts)) as pool:
        said = pool.map(lambda script: script(), scripts.values())
        return {host: frozenset(text.splitlines()) for host, text in zip(scripts, said, strict=True)}


def differing(before: Prints, after: Prints) -> tuple[str, ...]:
    """What was and is not, or is and was not; a host a line."""
    return tuple(
        f"{host}: {' / '.join(sorted(before[host] ^ after[host]))[:200]}"
        for host in before
        if before[host] != after[host]
    )
