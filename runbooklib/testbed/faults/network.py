"""Faults of the way between: firewalls, lost and too large packets, addresses, who finds names."""

from __future__ import annotations

from runbooklib.diagnosis import Symptom
from runbooklib.diagnosis.network_rules import SMALL
from runbooklib.testbed.faults.fault import Fault
from runbooklib.testbed.faults.scene import MAIL, Scene
from runbooklib.testbed.faults.shapes import composed, shell

NOBODY = "192.0.2.53"  # RFC 5737: a documentation address, at which nobody answers
MARK = '-m comment --comment "testbed fault"'
BOTH, IPV4, IPV6 = "iptables ip6tables", "iptables", "ip6tables"
NUMBERS = "25,143,465,587,993"
# Offloading would hand packets to the firewall in larger pieces than ever reach a wire.
PIECES = f"""ip link set dev eth0 gso_max_segs COUNT
nsenter -t "$(docker inspect -f '{{{{.State.Pid}}}}' {MAIL})" -n ip link set dev eth0 gso_max_segs COUNT
"""
SINGLE, AS_EVER = PIECES.replace("COUNT", "1"), PIECES.replace("COUNT", "65535")
UNCLAMP = f"""for t in {BOTH}; do for c in PREROUTING POSTROUTING; do
  while $t -w -t mangle -D $c {SMALL} 2>/dev/null; do :; done
done; done
"""
DNAT = r"""for t in iptables ip6tables; do
  $t-save -t nat | sed -n "s/^-A \(DOCKER .* -j DNAT .*\)/$t \1/p"
done"""

INSIDE = f"""nsenter -t "$(docker inspect -f '{{{{.State.Pid}}}}' {MAIL})" -m"""
FILL = f"""{INSIDE} mount -t tmpfs -o size=256k,mode=755,uid=5000,gid=5000 tmpfs /var/mail
{INSIDE} sh -c 'cat /dev/zero > /var/mail/full 2>/dev/null || true'"""
EMPTY = f"{INSIDE} sh -c 'umount /var/mail || umount -l /var/mail'"
# CLOCK_REALTIME has no namespace: libfaketime gives what sshd starts another time, and sshd itself none.
DROP_IN = "/etc/ssh/sshd_config.d/clock.conf"
FAKE = "printf 'SetEnv LD_PRELOAD=%s FAKETIME=-1d\\n' $(find /usr/lib -name libfaketime.so.1)"
# It starts itself anew, and is not there for a moment.
NEW_SESSIONS = """sshd=$(cat /run/sshd.pid); sessions=$(ps -o pid= --ppid "$sshd" || true)
kill -HUP "$sshd"; sleep 0.3; until ss -ltnH | grep -q ':22 '; do sleep 0.1; done
kill $sessions 2>/dev/null || true"""


def wall(rule: str, match: str, verdict: str = "DROP", families: str = BOTH) -> tuple[str, str]:
    """A firewall rule at the head of its chain, and its end; `rule` has {} for what is done with it."""
    script = f"for t in {families}; do $t -w {rule} {match} {MARK} -j {verdict}; done\n"
    return script.format("-I"), script.format("-D")


OUT, IN, THROUGH = "-t mangle {} POSTROUTING -o eth0", "-t mangle {} PREROUTING -i eth0", "{} FORWARD -i eth0"
EGRESS = wall(OUT, "-p tcp --dport 587", families=IPV4)
INBOUND = wall(IN, "-p tcp --dport 25")
LOSS = wall(IN, "-m statistic --mode nth --every 8 --packet 7")
LARGE = wall(OUT, "-p tcp -m multiport --dports 465,587,2587 -m length --length 1400:65535")
DEAF = wall(THROUGH, f"-p tcp -m multiport --dports {NUMBERS}", "REJECT --reject-with tcp-reset", IPV6)


def _forget_nat(scene: Scene) -> list[str]:
    rules = scene.server(DNAT).splitlines()
    for rule in rules:
        table, _, words = rule.partition(" ")
        scene.server(f"{table} -w -t nat -D {words}")
    return rules


def _remember_nat(scene: Scene, rules: list[str]) -> None:
    """Docker has made them anew, perhaps for another address of the container, where it was restarted since."""
    if not scene.server(DNAT).strip():
        for rule in rules:
            table, _, words = rule.partition(" ")
            scene.server(f"{table} -w -t nat -A {words}")


NETWORK = (
    Fault(
        "egress-587",
        "the provider drops what leaves for port 587",
        "relay-unreachable",
        Symptom.CANNOT_SEND,
        *shell("server", *EGRESS),
    ),
    Fault(
        "inbound-25-closed",
        "the provider's firewall drops what comes for port 25",
        "port-filtered",
        Symptom.CANNOT_RECEIVE,
        *shell("server", *INBOUND),
    ),
    Fault(
        "port-not-published",
        "port 993 was taken out of compose.yaml",
        "port-not-published",
        Symptom.CLIENT,
        *composed("    - 993:993\n", ""),
    ),
    Fault(
        "packet-loss",
        "every eighth packet to the server gets lost",
        "packet-loss",
        Symptom.SLOW,
        *shell("server", *LOSS),
    ),
    Fault(
        "mtu",
        "a tunnel on the way to the relays takes no packets of full size, and nobody says so",
        "mtu-black-hole",
        Symptom.SLOW,
        *shell("server", SINGLE + LARGE[0], LARGE[1] + UNCLAMP + AS_EVER),
    ),
    Fault(
        "aaaa-without-listener",
        "the mail ports are closed over IPv6, though DNS has an AAAA record",
        "aaaa-without-listener",
        Symptom.CANNOT_RECEIVE,
        *shell("server", *DEAF),
    ),
    Fault(
        "client-address-lost",
        "somebody flushed Docker's NAT rules, so its proxy hands clients over",
        "client-address-lost",
        Symptom.JUNK,
        _forget_nat,
        _remember_nat,
    ),
    Fault(
        "resolver-broken",
        "compose.yaml names a resolver that is gone",
        "resolver-overridden",
        Symptom.CANNOT_SEND,
        *composed("    hostname:", f"    dns: [{NOBODY}]\n    hostname:"),
    ),
    Fault(
        "disk-full",
        "the disk that holds the mailboxes ran full",
        "disk-full",
        Symptom.CANNOT_RECEIVE,
        *shell("server", FILL, EMPTY),
    ),
    Fault(
        "clock-skew",
        "the server's clock is a day behind, as every program sees it that SSH starts",
        "clock-wrong",
        Symptom.JUNK,
        *shell("server", f"{FAKE} > {DROP_IN}\n{NEW_SESSIONS}", f"rm {DROP_IN}\n{NEW_SESSIONS}"),
    ),
)
