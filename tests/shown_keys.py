"""Evidence of certificates, DKIM, DMARC: what a healthy site shows, and what each cause."""

from __future__ import annotations

from typing import Any

# Two public halves: ours, and one that somebody else made.
OURS = (
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEApbko6PjeYJ+Fr2mO943v/xoaJe39GprNxoc1Tqk9rIqwmDPs6/3HrSCa"
    "HfNwWpEQfl0QhdgffqeYnFwKO1p6FFehWVxEHyfpBypKdEx4matJofrQL6ZDLuWNftDRI7ioohwZ7hvydooVjq+A9VJug0GY6lGN"
    "/z3uK/pdFpgxeRR8AIRjEwvbi9KxuQLE06jWSeVJViOHqtS1gv8nhgf1YqOsYyaMeeAKkUaBup2F19nqWJbEVJoymSao/l1cZkOW"
    "FxHGTH2D4v4Omr625gDb8sXm97fwtTQFM4IFtscPAyhSJTmqY7XiG/6+uN7A86nX+ZjDpRrjeKdOQ+zcg/8k+wIDAQAB"
)
OTHER = (
    "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQCyY13zf9Z5VD/Lpzh1AvWeFM+J675QK1L24aRbqAhUeIQhoN2Lp78sOfEU6sVS"
    "0QtRlh2RQmfnjQ69cQkezmI8JenkTvCU19h6YAeZ2RIkLgktNifA4N5lvx1uDTn1b8sjyO3IVeReYSfRRYBFR4eiku3EmlZAE3so"
    "dbsnBOQjxQIDAQAB"
)
DOMAIN, NAME = "lantern.example", "mail._domainkey.lantern.example"
DKIM, DMARC, SPF, STRAYS = f"dkim {NAME}", f"dmarc {DOMAIN}", f"spf {DOMAIN}", f"strays {DOMAIN}"


def record(public: str) -> str:
    return f"v=DKIM1; h=sha256; k=rsa; p={public}"


def refused(reason: str) -> dict[str, Any]:
    return {"tls 993": {"refused": reason, "said": f"certificate refused, {reason}"}}


def signer(live: str = OURS, stored: str = OURS, selector: str = "mail", **told: Any) -> dict[str, Any]:
    """A signer as it shows itself; `told` is what else differs."""
    held = {"live": live, "stored": stored, "closed": told.pop("closed", "")}
    rows = {"wanted": "mail", "live": selector, "stored": selector}
    return {
        "signer": {"signs": {DOMAIN: rows}, "keys": {NAME: held}, "published": {}, "stale": False} | told,
    }


CERTIFICATE: dict[str, Any] = {
    "names": ["mail.lantern.example"],
    "issuer": "CN=a CA",
    "own": False,
    "days": 60,
    "chain": 1,
    "sha256": ["014951497680c504", "5feceb66ffc86f38"],
}
RENEWED = CERTIFICATE | {"days": 89, "sha256": ["a0c49fe4f2b92e74", "5feceb66ffc86f38"]}
HEALTHY: dict[str, Any] = {
    "tls 587": {"days": 60},
    "tls 993": {"days": 60},
    "keys": {NAME: record(OURS)},
    DKIM: [record(OURS)],
    DMARC: ["v=DMARC1; p=none"],
    STRAYS: {},
}
# What is seen of a server that lets us in: not of mailcow.
INSIDE: dict[str, Any] = signer() | {
    "certificates": {"465": CERTIFICATE, "993": CERTIFICATE, "file": CERTIFICATE},
}
# Rule → the facts that differ; for every mail server, for one that lets us in, and for one that is in a container.
EVERYWHERE: dict[str, dict[str, Any]] = {
    "certificate-expired": refused("expired"),
    "certificate-name": refused("wrong name"),
    "certificate-untrusted": refused("unknown CA"),
    "certificate-early": refused("not yet valid"),
    "certificate-expiring": {"tls 587": {"days": 3}},
    "starttls-missing": {"tls 587": {"refused": "no STARTTLS", "said": "STARTTLS is not offered"}},
    "dkim-missing": {DKIM: []},
    "dkim-misplaced": {DKIM: [], STRAYS: {f"{NAME}.{DOMAIN}": [record(OURS)]}},
    "dkim-broken-by-panel": {DKIM: [record(OURS)[:255]]},
    "dkim-wrong-key": {DKIM: [record(OTHER)]},
    "dmarc-missing": {DMARC: []},
    "dmarc-misplaced": {DMARC: [], STRAYS: {DOMAIN: ["v=DMARC1; p=none"]}},
    "dmarc-twice": {DMARC: ["v=DMARC1; p=none", "v=DMARC1; p=reject"]},
    "dmarc-malformed": {DMARC: ["v=DMARC1; p=rejct"]},
    "dmarc-unaligned": {DMARC: ["v=DMARC1; p=reject"], DKIM: [], SPF: []},
}
ON_A_HOST_OR_IN_A_CONTAINER: dict[str, dict[str, Any]] = {
    "certificate-not-loaded": {
        "certificates": {"465": CERTIFICATE | {"days": -2}, "993": CERTIFICATE, "file": RENEWED},
        "tls 465": {"refused": "expired", "said": "certificate refused, expired"},
    },
    "dkim-wrong-selector": signer(selector="s2024", published={f"s2024._domainkey.{DOMAIN}": []}),
    "dkim-not-live": {DKIM: [record(OTHER)], "keys": {NAME: record(OTHER)}} | signer(stored=OTHER),
    "dkim-next-key": signer(stored=OTHER),
    "dkim-unsigned": signer(selector=""),
    "dkim-unreadable": signer(closed="the signer may not read it (mode 600, root)"),
}
IN_A_CONTAINER: dict[str, dict[str, Any]] = {}
