"""Evidence of the zone: addresses, MX, SPF, reverse names: what a healthy site shows, and what each cause."""

from __future__ import annotations

from typing import Any

from runbooklib.diagnosis import Fact

ONE, TWO, SIX, RESOLVER = "198.51.100.1", "198.51.100.2", "2001:db8:53::2", "9.9.9.9"
HOST, DOMAIN = "mail.lantern.example", "lantern.example"
DELEGATION, RECURSOR = f"delegation {DOMAIN}", f"recursor {RESOLVER}"
WELL = {"word": "NOERROR", "note": "", "serial": 7}


def delegation(*words: str, **told: Any) -> dict[str, Any]:
    """The zone as its servers show it, each with a word, or the serial it holds; the third one has IPv6 alone."""
    heads = [WELL | ({"serial": int(w)} if w.isdigit() else {"word": w, "serial": None}) for w in words]
    servers = dict(zip((ONE, TWO, SIX), heads, strict=False))
    names = ["ns1.lantern.example", "ns2.lantern.example"]
    return {DELEGATION: {"zone": DOMAIN, "servers": servers, "parent": names, "child": names} | told}


def recursor(said: str = "NOERROR", note: str = "", **told: Any) -> dict[str, Any]:
    """A resolver that has this word on the zone."""
    return {
        RECURSOR: {"named": True, "word": "NOERROR", "zones": {DOMAIN: {"word": said, "note": note}}, "old": []} | told
    }


def exchanger(host: str, alias: str = "", *addresses: str) -> dict[str, Any]:
    return {
        f"mx {DOMAIN}": [host],
        f"exchangers {DOMAIN}": {host: {"alias": alias, "heard": True, "A": list(addresses), "AAAA": []}},
    }


def tree(**told: Any) -> dict[str, Any]:
    """The terms that the SPF record leads to."""
    costs = {"terms": ["include:_spf.relay.example"], "lookups": 1, "voids": 0, "problems": [], "unheard": []}
    return {f"spf-tree {DOMAIN}": costs | told}


def unseen(*names: str) -> dict[str, Any]:
    return {name: Fact(unseen="nobody could say") for name in names}


def old(said: list[str], stands: list[str]) -> dict[str, Any]:
    return {"name": DOMAIN, "type": "MX", "said": said, "stands": stands, "until": "2026-11-22T13:00:00Z"}


HEALTHY: dict[str, Any] = delegation("7", "7") | recursor() | exchanger(HOST, "", "203.0.113.10") | tree()
SPF = "v=spf1 include:_spf.relay.example ~all"
# Rule → the facts that differ; for every mail server, and for one that is in a container.
EVERYWHERE: dict[str, dict[str, Any]] = {
    "domain-unregistered": delegation("NXDOMAIN", zone="") | recursor("NXDOMAIN") | unseen(f"mx {DOMAIN}"),
    "lame-delegation": delegation("lame", "REFUSED") | recursor("SERVFAIL") | unseen(f"mx {DOMAIN}", f"spf {DOMAIN}"),
    "dns-server-silent": delegation("TIMEOUT", "unreachable") | recursor("SERVFAIL") | unseen(f"mx {DOMAIN}"),
    "dns-server-failing": delegation("SERVFAIL", "malformed") | recursor("SERVFAIL") | unseen(f"mx {DOMAIN}"),
    "nameserver-silent": delegation("7", "TIMEOUT"),
    "dnssec-bogus": recursor("bogus", "dnssec bogus"),
    "resolver-fails": recursor("SERVFAIL"),
    "resolver-silent": recursor("TIMEOUT", word="TIMEOUT") | unseen("ptr 203.0.113.10"),
    "stale-cache": recursor(old=[old(["10 old.example"], [f"10 {HOST}"])]),
    "serials-differ": delegation("7", "6"),
    "delegation-differs": delegation("7", "7", parent=["ns1.lantern.example", "ns.old.example"]),
    "address-missing": {f"address {HOST}": {"A": [], "AAAA": []}},
    "address-differs": {f"address {HOST}": {"A": ["203.0.113.99"], "AAAA": []}},
    "mx-missing": {f"mx {DOMAIN}": [], f"exchangers {DOMAIN}": {}},
    "mx-null": {f"mx {DOMAIN}": ["."], f"exchangers {DOMAIN}": {}},
    "mx-cname": exchanger("mx.lantern.example", HOST, "203.0.113.10"),
    "mx-at-relay": exchanger("smtp.relay.example", "", "198.51.100.5"),
    "mx-elsewhere": exchanger("mx.other.example"),
    "ptr-missing": {"ptr 203.0.113.10": []},
    "ptr-mismatch": {"ptr 203.0.113.10": ["static-10.cloud.example"]},
    "spf-missing": {f"spf {DOMAIN}": []},
    "spf-twice": {f"spf {DOMAIN}": [SPF, "v=spf1 -all"]} | tree(problems=["2 SPF records"]),
    "spf-without-relay": {f"spf {DOMAIN}": ["v=spf1 mx ~all"]} | tree(terms=["mx"]),
    "spf-lookups": tree(lookups=11, terms=[f"include:s{n}.example" for n in range(11)]),
    "spf-invalid": tree(problems=["include:gone.example: gone.example has no SPF record (NXDOMAIN)"]),
}
IN_A_CONTAINER: dict[str, dict[str, Any]] = {}
# What is there at once, and the causes that must be named, and no other.
TOGETHER: list[tuple[dict[str, Any], list[str]]] = [
    (EVERYWHERE["dnssec-bogus"] | EVERYWHERE["mx-missing"], ["dnssec-bogus", "mx-missing"]),
    (EVERYWHERE["resolver-silent"] | EVERYWHERE["spf-twice"], ["spf-twice", "resolver-silent"]),
    (delegation("7", "lame") | EVERYWHERE["mx-missing"], ["lame-delegation", "mx-missing"]),
    (EVERYWHERE["lame-delegation"] | recursor("bogus"), ["lame-delegation"]),
    (EVERYWHERE["stale-cache"] | EVERYWHERE["mx-elsewhere"], ["mx-elsewhere", "stale-cache"]),
    (EVERYWHERE["mx-cname"] | EVERYWHERE["spf-missing"], ["mx-cname", "spf-missing"]),
    (EVERYWHERE["nameserver-silent"] | EVERYWHERE["mx-null"], ["mx-null", "nameserver-silent"]),
]
# What is no fault.
NOTHING_WRONG: dict[str, dict[str, Any]] = {
    "a machine without IPv6 hears no nameserver there": delegation("7", "7", "unreachable"),
    "port 53 is closed from here, and resolvers find the zone": delegation("TIMEOUT", "TIMEOUT"),
    "this machine may not ask a public resolver": recursor("TIMEOUT", named=False, word="TIMEOUT")
    | {"recursor 192.0.2.53": recursor()[RECURSOR]},
    "the domain lies within another zone": recursor("NODATA") | delegation("TIMEOUT", zone="example"),
    "the parent was not asked": delegation("7", "7", parent=None, child=None),
    "the relay's mechanism stands in what the record includes": {f"spf {DOMAIN}": ["v=spf1 include:all.example ~all"]}
    | tree(terms=["include:all.example", "include:_spf.relay.example"]),
    "the relay's mechanism stands with its qualifier": {f"spf {DOMAIN}": ["V=spf1 +include:_SPF.relay.example ~all"]},
}
