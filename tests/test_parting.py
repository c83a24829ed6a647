"""What stays of a relay that is left, and which way mail without a sender takes."""

from __future__ import annotations

from typing import Any

import pytest
from sites import make

from runbooklib.params import Site
from runbooklib.relays.bounces import null_way
from runbooklib.relays.parting import leaving
from runbooklib.results import Check, Checklist, Status

OFFICE, HARBOUR = "[smtp.example.net]:587", "[name.mxrouting.net]:587"
RELAYS: dict[str, Any] = {
    "office": {
        "provider": "smtp",
        "host": "smtp.example.net",
        "spf": "include:spf.example.net",
        "dkim": [{"selector": "office", "cname": "lantern.dkim.example.net"}],
        "retire_after": "3d",
    },
    "harbour": {"provider": "mxroute", "host": "name.mxrouting.net"},
}


def site(relay: str) -> Site:
    return make(relays=RELAYS, domains__0__relay=relay)


def test_the_relay_that_is_left_is_known_by_its_next_hop() -> None:
    (left,) = leaving(site("harbour"), {"lantern.example": OFFICE})
    assert (left.relay, left.domain, left.period) == ("office", "lantern.example", "3d")
    assert left.spf == ("include:spf.example.net",)
    assert left.records == (("office._domainkey.lantern.example", "CNAME", "lantern.dkim.example.net"),)


@pytest.mark.parametrize(
    ("relay", "hop"),
    [("office", OFFICE), ("office", ""), ("office", "[elsewhere.example]:25"), ("direct", "")],
    ids=["no switch", "the first time", "one that params do not name", "always direct"],
)
def test_nothing_is_left(relay: str, hop: str) -> None:
    assert leaving(site(relay), {"lantern.example": hop}) == ()


def test_to_send_directly_leaves_the_relay_too() -> None:
    (left,) = leaving(site("direct"), {"lantern.example": OFFICE})
    assert left.relay == "office"


TAKEN, REFUSED, SILENT = (Status.PASS, "250 Ok"), (Status.PASS, "refused: 501"), (Status.UNKNOWN, "451 later")


def proofs(direct: str, **null: tuple[Status, str]) -> Checklist:
    rows = [Check("relay.direct-25", Status.PASS, "closed", direct)]
    rows += [Check(f"relay.null-sender {name}", said[0], "known", said[1]) for name, said in null.items()]
    return Checklist("proofs", tuple(rows))


@pytest.mark.parametrize(
    ("seen", "way"),
    [
        (proofs("open to 192.0.2.1", office=TAKEN), "direct"),
        (proofs("dropped", office=TAKEN), "office"),
        (proofs("dropped", office=REFUSED), "postmaster"),
        (proofs("dropped", office=SILENT), "postmaster"),
        (Checklist("proofs"), "postmaster"),
    ],
)
def test_mail_without_a_sender_takes_the_first_way_that_is_proved(seen: Checklist, way: str) -> None:
    assert null_way(site("office"), seen, HARBOUR) == way


def test_mailcow_has_no_other_way_than_directly() -> None:
    mail = {"server": "mailcow", "url": "https://mail.lantern.example", "api_key": "env:COW_KEY"}
    adopted = make(relays=RELAYS, domains__0__relay="office", mail=mail)
    assert null_way(adopted, proofs("dropped", office=TAKEN), "direct") == "direct"


def test_a_relay_that_could_not_be_asked_keeps_what_it_has() -> None:
    assert null_way(site("office"), proofs("dropped", office=SILENT), OFFICE) == "office"
    assert null_way(site("office"), proofs("dropped", office=REFUSED), OFFICE) == "postmaster"
