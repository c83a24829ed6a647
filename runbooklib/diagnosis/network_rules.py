"""Rules about the way between: ports, firewalls, addresses, what gets lost, and who finds names.

DMS#n names an issue of docker-mailserver.
"""

from runbooklib.diagnosis import network_symptoms as network
from runbooklib.diagnosis.rules import BOOTSTRAP, Rule, Sureness, Symptom
from runbooklib.results import Status

APPLY = f"{BOOTSTRAP}#apply"
INWARD = (Symptom.CLIENT, Symptom.CANNOT_RECEIVE)
UP = 'until [ "$(docker inspect -f {{.State.Running}} mailserver)" = true ]; do sleep 0.5; done'
RESTART_DOCKER = f"service docker restart; timeout 60 sh -c '{UP}'"
# Postfix asks for the name of whoever connects before it greets.
NAMES = ("relay", "queue", "path", "tls")
# MSS 1200 and 40 octets of headers are less than any path of the internet must carry (RFC 8200 5: 1280). Both ends are
# told so: the peer in the SYN that leaves, we ourselves in the answer that comes in.
SMALL = "-p tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss 1200"
CLAMP = (
    "for t in iptables ip6tables; do for c in PREROUTING POSTROUTING; do "
    f"$t -w -t mangle -C $c {SMALL} 2>/dev/null || $t -w -t mangle -A $c {SMALL}; done; done"
)
SMALLER = (
    "agree on smaller packets, as here, and let the firewall do so after each start; or let ICMP *fragmentation "
    "needed* and *packet too big* pass"
)


NETWORK_RULES = (
    Rule(
        id="port-filtered",
        cause="a firewall on the way closes a mail port that the server listens on",
        needs=("port", "listeners"),
        match=network.filtered,
        fix="open it in the provider's panel and in the server's firewall; some providers open 25 only when asked",
        ref="RFC 2979",
        explains=("tls",),
        excludes=("port-closed",),
        sureness=Sureness.LIKELY,
        observe="`tcpdump -ni any port NUMBER` on the server while this machine connects: what comes in there was let "
        "through by the provider; what does not may be kept back by this machine's own network, too",
        symptoms=INWARD,
    ),
    Rule(
        id="port-closed",
        cause="a mail port cannot be reached from outside",
        needs=("port",),
        match=network.closed,
        fix="see that the server listens there (01), and open it in the provider's and the server's firewall",
        ref="RFC 9293 3.10.7.1",
        explains=("tls",),
        sureness=Sureness.LIKELY,
        observe="the same port from a machine of another network (`nc -vz HOST PORT`): where that gets in, the network "
        "here keeps back what goes to this port; and `ss -ltn` on the server",
        symptoms=INWARD,
    ),
    Rule(
        id="port-silent",
        cause="a mail port takes connections, and no service speaks there",
        needs=("port",),
        match=network.mute,
        fix="see the service's lines in the mail log, and restart it; a proxy in front may have lost what is behind",
        ref="RFC 5321 3.1",
        explains=("tls",),
        symptoms=INWARD,
    ),
    Rule(
        id="aaaa-without-listener",
        cause="DNS sends clients to an IPv6 address at which the mail server does not answer",
        needs=("address", "port", "port6"),
        match=network.deaf_over_ipv6,
        fix="open the mail ports over IPv6 (firewall, Docker's IPv6), or take server.ipv6 out of params and the AAAA "
        "record out of DNS (04)",
        ref="RFC 5321 5.2",
        symptoms=(Symptom.CANNOT_RECEIVE, Symptom.CLIENT, Symptom.SLOW),
    ),
    Rule(
        id="packet-loss",
        cause="packets get lost between this machine and the server, so everything is slow",
        needs=("segments",),
        match=network.losing,
        fix="show the provider an `mtr` in both directions; an overloaded server or a full uplink does the same",
        ref="RFC 9293 3.8.1",
        entails=("relay-name-unanswered", "relay-greeting", "resolver-broken"),
        sureness=Sureness.LIKELY,
        observe="`mtr` from here to the server and from the server to the relay: both show the same hop, or the loss "
        "is this machine's own",
        symptoms=(Symptom.SLOW, Symptom.CLIENT),
    ),
    Rule(
        id="mtu-black-hole",
        cause="large packets vanish on the way to the relay, so connections stall once more than a few words are said",
        needs=("path",),
        match=network.stalling,
        fix=SMALLER,
        ref="RFC 2923 2.1, RFC 4821",
        command=CLAMP,
        explains=("relay", "queue"),
        symptoms=(Symptom.SLOW, Symptom.CANNOT_SEND),
    ),
    Rule(
        id="mtu-black-hole-here",
        cause="large packets vanish between the server and this machine",
        needs=("port", "tls"),
        match=network.stalling_here,
        fix=SMALLER,
        ref="RFC 2923 2.1, RFC 4821",
        command=CLAMP,
        explains=("tls",),
        sureness=Sureness.LIKELY,
        observe="whether `ping -M do -s 1472` to the server is answered, and with which smaller size it is",
        symptoms=(Symptom.SLOW, Symptom.CLIENT),
    ),
)
# Where the mail server is in a container.
BRIDGE_RULES = (
    Rule(
        id="port-not-published",
        cause="the mail server listens in its container, and Docker leads nobody there",
        needs=("published", "listeners", "port"),
        match=network.unpublished,
        fix="run stage 01: it writes the port into compose.yaml and makes the container anew",
        ref="docker-port(1)",
        explains=("tls",),
        excludes=("port-closed",),
        cell=APPLY,
        symptoms=INWARD,
    ),
    Rule(
        id="client-address-lost",
        cause="Docker hides who comes: SPF, blocklists and bans judge its gateway in place of the sender",
        needs=("clients",),
        match=network.gateway_comes,
        fix="restart Docker, which makes its NAT rules anew: without them its proxy hands clients over; over IPv6 the "
        "container's network needs IPv6, too (01)",
        ref="DMS#1438, DMS#3573, DMS#523",
        command=RESTART_DOCKER,
        symptoms=(Symptom.CANNOT_RECEIVE, Symptom.JUNK, Symptom.CLIENT),
    ),
    Rule(
        id="mtu-differs",
        cause="the container makes larger packets than the way out takes, which works while ICMP comes through",
        needs=("mtu",),
        match=network.too_large,
        fix="set com.docker.network.driver.mtu of its network to that of the way out",
        ref="RFC 2923 2.1",
        status=Status.WARN,
        symptoms=(Symptom.SLOW, Symptom.CANNOT_SEND),
    ),
    Rule(
        id="resolver-overridden",
        cause="the container is told to ask name servers that do not answer",
        needs=("resolver", "published"),
        match=network.resolver_overridden,
        fix="run stage 01: its compose.yaml has no `dns:`, so that the container asks the server's resolvers",
        ref="DMS#2921, DMS#1744",
        explains=NAMES,
        entails=("port-silent",),
        excludes=("resolver-broken",),
        cell=APPLY,
        symptoms=(Symptom.CANNOT_SEND, Symptom.CANNOT_RECEIVE, Symptom.SLOW),
    ),
)
