"""DKIM keys and policies in evidence: what a panel does to a key, which cause explains which, what is left alone."""

from __future__ import annotations

from typing import Any

import pytest
import shown_keys
import sites
from shown_keys import CERTIFICATE, DKIM, DMARC, DOMAIN, NAME, OTHER, OURS, RENEWED, SPF, STRAYS, record, signer
from test_diagnosis import COW, DOCKER, HOST, seen

from runbooklib.diagnosis import Fact, damage
from runbooklib.diagnosis.findings import findings
from runbooklib.host import Answer
from runbooklib.probes import certificates
from runbooklib.probes.signer import held, of_ring, refusal, selectors, tables
from runbooklib.servers.keys import Half
from runbooklib.servers.opendkim import Tables
from runbooklib.servers.postfix.ring import Ring
from runbooklib.testbed import authority

WHOLE, OLD = record(OURS), f"old._domainkey.{DOMAIN}"
DAMAGED = {
    "cut after one string": ([WHOLE[:255]], "it is cut after 255 characters, as one string of DNS holds 255"),
    "cut elsewhere": ([WHOLE[:300]], "it is cut after 300 characters"),
    "quoted": ([f'"{WHOLE}"'], "quotation marks got into it"),
    "quoted in two": ([f'"{WHOLE[:255]}" "{WHOLE[255:]}"'], "quotation marks and blanks got into it"),
    "escaped": ([WHOLE.replace(";", "\\;")], "backslashes got into it"),
    "small letters": ([WHOLE.lower().replace("dkim1", "DKIM1")], "capital letters became small ones"),
    "in pieces": ([WHOLE[:255], WHOLE[255:]], "its strings stand as 2 records"),
    "another key": ([record(OTHER)], ""),
    "two keys": ([WHOLE, record(OTHER)], ""),
    "revoked": (["v=DKIM1; p="], ""),
    "no key": (["v=spf1 -all"], ""),
    "nothing": ([], ""),
    "unharmed": ([WHOLE], ""),
    "without v=": ([f"k=rsa; p={OURS}"], ""),
    "with blanks, which verifiers pass over": ([WHOLE.replace(OURS, f"{OURS[:99]} {OURS[99:]}")], ""),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_what_a_panel_did_to_a_key_is_said(case: str) -> None:
    published, said = DAMAGED[case]
    assert damage.damage(published, OURS) == said


GOOD = {"unharmed", "without v=", "with blanks, which verifiers pass over"}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_key_is_not_ours(case: str) -> None:
    assert damage.good(DAMAGED[case][0], OURS) is (case in GOOD)


CAUSES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "a key that was revoked is another": ({DKIM: ["v=DKIM1; k=rsa; p="]}, ["dkim-wrong-key"]),
    "a new key that DNS lacks, too": ({DKIM: [record(OTHER)]} | signer(live=OURS, stored=""), ["dkim-wrong-key"]),
    "a stored and published key signs nothing": ({DKIM: [record(OTHER)]} | signer(stored=OTHER), ["dkim-not-live"]),
    "another selector that DNS has": (
        signer(selector="old", keys={OLD: {"live": OURS, "stored": OURS}}, published={OLD: [WHOLE]}),
        [],
    ),
    "a relay's key that is gone": ({f"dkim relay._domainkey.{DOMAIN}": []}, ["dkim-missing"]),
    "p=reject while DKIM passes": ({DMARC: ["v=DMARC1; p=reject"], SPF: []}, ["spf-missing"]),
    "p=reject while SPF passes": ({DMARC: ["v=DMARC1; p=reject"], DKIM: []}, ["dkim-missing"]),
    "p=reject while a relay signs": (
        {DMARC: ["v=DMARC1; p=reject"], DKIM: [], SPF: [], f"dkim relay._domainkey.{DOMAIN}": [WHOLE]},
        ["dkim-missing", "spf-missing"],
    ),
    "p=reject while nothing signs": (
        {DMARC: ["v=DMARC1; p=quarantine"], DKIM: [], SPF: []} | signer(selector=""),
        ["dmarc-unaligned"],
    ),
    "p=reject that is only tried": (
        {DMARC: ["v=DMARC1; p=reject; t=y"], DKIM: [], SPF: []},
        ["dkim-missing", "spf-missing"],
    ),
    "a wildcard's SPF is no policy": ({DMARC: ["v=spf1 -all"]}, ["dmarc-missing"]),
    "something else beside the policy": ({DMARC: ["v=DMARC1; p=none", "dmarc=off"]}, []),
    "a policy that does not begin as one": ({DMARC: ["p=none; v=DMARC1"]}, ["dmarc-malformed"]),
    "a stray beside the policy": ({STRAYS: {DOMAIN: ["v=DMARC1; p=none"]}}, []),
    "one daemon has the new certificate": (
        {"certificates": {"465": RENEWED, "993": CERTIFICATE, "file": RENEWED}},
        ["certificate-not-loaded"],
    ),
    "an older file than what is served": ({"certificates": {"465": RENEWED, "993": RENEWED, "file": CERTIFICATE}}, []),
    "a second certificate in the file is served": (
        {"certificates": {"465": CERTIFICATE, "file": RENEWED | {"sha256": RENEWED["sha256"] + CERTIFICATE["sha256"]}}},
        [],
    ),
    "a signer that nobody could ask": ({"signer": None}, []),
}


@pytest.mark.parametrize("case", CAUSES)
def test_a_cause_is_named_without_what_follows_from_it(case: str) -> None:
    changes, wanted = CAUSES[case]
    assert sorted(finding.rule.id for finding in findings(seen(changes, DOCKER))) == sorted(wanted)


def test_of_a_server_that_lets_nobody_in_the_stored_keys_are_compared() -> None:
    assert [f.rule.id for f in findings(seen({DKIM: [record(OTHER)]}, COW))] == ["dkim-wrong-key"]


def test_a_signer_that_has_not_read_its_tables_is_named() -> None:
    assert [f.rule.id for f in findings(seen(signer(stale=True), HOST))] == ["dkim-not-live"]


def test_what_is_served_is_said_of_a_certificate_that_clients_refuse() -> None:
    over = CERTIFICATE | {"days": -2}
    told = {"465": CERTIFICATE, "993": over, "file": over}
    (finding,) = findings(seen({"certificates": told, "tls 993": {"refused": "expired", "said": "x"}}))
    assert "for mail.lantern.example, by CN=a CA, over for 2 days, 1 more in the chain" in finding.signs[0].said
    assert finding.signs[0].about == "993"
    assert "expired too" not in finding.signs[0].said
    (finding,) = findings(
        seen({"certificates": told | {"params": over}, "tls 993": {"refused": "expired", "said": "x"}})
    )
    assert "the file that params name has expired too" in finding.signs[0].said


def answers(**texts: str) -> dict[str, Answer]:
    """What the container says to the signer's questions; a question that is not named fails."""
    names = (
        "live keys",
        "live rows",
        "stored keys",
        "stored rows",
        "live halves",
        "stored halves",
        "modes",
        "readable",
    )
    return {
        name: Answer(0, texts[key]) if (key := name.replace(" ", "_")) in texts else Answer(1, "") for name in names
    }


def test_keys_are_told_by_record_name_with_why_the_signer_may_not_use_them() -> None:
    told = answers(
        live_halves=f"{DOMAIN}/mail.private {OURS}\npier.example/mail.private {OTHER}",
        stored_halves=f"{DOMAIN}/mail.private {OTHER}\nbroken.example/mail.private ",
        modes=f"{DOMAIN}/mail.private 600 root\npier.example/mail.private 644 opendkim",
        readable="pier.example/mail.private",
    )
    assert held(told) == {
        "mail._domainkey.broken.example": {"live": "", "stored": "", "closed": ""},
        NAME: {"live": OURS, "stored": OTHER, "closed": "the signer may not read it (mode 600, root)"},
        "mail._domainkey.pier.example": {
            "live": OTHER,
            "stored": "",
            "closed": "others may read or write it (mode 644, opendkim)",
        },
    }


def test_a_folder_without_keys_holds_none() -> None:
    assert held(answers(live_halves="*/*.private ")) == {}


@pytest.mark.parametrize(("mode", "refused"), [("600", False), ("700", False), ("640", False), ("604", True)])
def test_a_key_that_others_may_read_is_refused(mode: str, *, refused: bool) -> None:
    assert bool(refusal(mode, "opendkim", readable=True)) is refused


def test_who_signs_is_read_from_the_running_signers_tables() -> None:
    told = answers(
        live_keys=f"old._domainkey.{DOMAIN} {DOMAIN}:old:/etc/opendkim/keys/{DOMAIN}/old.private",
        live_rows=f"*@{DOMAIN} old._domainkey.{DOMAIN}",
    )
    signs = selectors(sites.make(), tables(told, "live"), tables(told, "stored"))
    assert signs[DOMAIN] == {"wanted": "mail", "live": "old", "stored": ""}


def test_a_host_is_told_of_in_the_same_words() -> None:
    halves = {(DOMAIN, "mail"): Half("604", OURS)}
    told = of_ring(sites.make(), Ring("opendkim", tables=Tables().with_key(DOMAIN, "mail"), halves=halves, stale=True))
    assert told["signs"][DOMAIN] == {"wanted": "mail", "live": "mail", "stored": "mail"}
    assert told["keys"][NAME]["closed"] == "others may read or write it (mode 604, its file)"
    assert told["stale"] is True
    by_rspamd = of_ring(sites.make(), Ring("rspamd", halves=halves))
    assert (by_rspamd["keys"][NAME]["closed"], by_rspamd["stale"]) == ("", False)


def test_a_certificate_is_described_by_its_first_block() -> None:
    ca = authority.create()
    told = certificates.described(f"depth=1\n{ca.issue('mail.lantern.example').certificate}")
    assert (told["names"], told["own"], told["chain"]) == (["mail.lantern.example"], False, 1)
    assert told["issuer"] == "CN=mail-runbooks testbed CA"
    assert told["days"] in {89, 90}
    assert told["begun"] >= 0
    assert told["left"] // 86400 in {89, 90}
    assert certificates.described(ca.pem)["own"] is True
    assert certificates.described(ca.pem)["names"] == []


DAY, YEAR = 86400, 365 * 86400
CLOCK, EXPIRED, EARLY = "clock-wrong", "certificate-expired", "certificate-early"


@pytest.mark.parametrize(
    ("skew", "reason", "begun", "left", "found"),
    [
        (-DAY, "expired", YEAR, -3600, [CLOCK]),  # by the server's clock it is good: ours may be a day ahead
        (-DAY, "expired", YEAR, -2 * DAY, [CLOCK, EXPIRED]),  # over by both
        (DAY, "expired", YEAR, -3600, [CLOCK, EXPIRED]),
        (DAY, "not yet valid", -3600, YEAR, [CLOCK]),  # made by the server's own clock
        (DAY, "not yet valid", -2 * DAY, YEAR, [CLOCK, EARLY]),
        (-DAY, "not yet valid", -3600, YEAR, [CLOCK, EARLY]),
        (0.0, "expired", YEAR, -3600, [EXPIRED]),
    ],
)
def test_a_wrong_clock_explains_a_certificate_that_is_good_by_the_other(
    skew: float, reason: str, begun: int, left: int, found: list[str]
) -> None:
    served = CERTIFICATE | {"days": left // DAY, "begun": begun, "left": left}
    told = {"clock": skew, "certificates": {"465": served, "993": served}}
    refused = {f"tls {port}": {"refused": reason, "said": f"certificate refused, {reason}"} for port in (587, 993)}
    assert [each.rule.id for each in findings(seen(told | refused))] == found


def test_a_wrong_clock_takes_no_blame_for_dates_that_were_not_seen() -> None:
    told = shown_keys.EVERYWHERE["certificate-expired"] | {"clock": -float(DAY), "certificates": Fact(unseen="no")}
    assert [each.rule.id for each in findings(seen(told))] == [CLOCK, EXPIRED]
