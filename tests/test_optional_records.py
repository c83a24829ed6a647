"""Records by which mail programs set themselves up: wanted only where params name them, and never in anyone's way."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import sites
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from scripts import Authority

from runbooklib import records, zone
from runbooklib.params import ParamsError, Site
from runbooklib.records import RecordChange
from runbooklib.results import Checklist, Outcome, Plan, Status
from runbooklib.servers import dane

END = b"-----END PRIVATE KEY-----\n"
AUTHORITY, RESOLVER = "192.0.2.1", "192.0.2.53"
HEAD = "@ 3600 SOA ns1.lantern.example. h.lantern.example. 7 3600 600 86400 300\nmail 300 A 203.0.113.10\n"
ALL = ["autodiscover", "autoconfig", "srv"]
STANDING = """
autodiscover 300 CNAME mail.lantern.example.
autoconfig 300 CNAME Mail.Lantern.example.
_autodiscover._tcp 300 SRV 10 5 443 mail.lantern.example.
_imaps._tcp 300 SRV 0 1 993 mail.lantern.example.
_imap._tcp 300 SRV 10 1 143 mail.lantern.example.
_submissions._tcp 300 SRV 0 1 465 mail.lantern.example.
_submission._tcp 300 SRV 0 1 587 mail.lantern.example.
"""
MAILCOW = {"server": "mailcow", "url": "https://mail.lantern.example", "api_key": "env:COW_KEY"}


def site(*optional: str, **changes: Any) -> Site:
    dns = {"resolvers": [RESOLVER], "authoritative": [AUTHORITY], "optional": list(optional)}
    return sites.make(**{"mail": MAILCOW, "dns": dns, **changes})


def walked(text: str, *optional: str) -> tuple[Plan, Checklist]:
    """The part of stage 04 about them, not applied."""
    here = site(*optional)
    text = HEAD + text
    wire = zone.Literal({AUTHORITY: {"lantern.example": text}, RESOLVER: {"lantern.example": text}}, {RESOLVER})
    want = records.Desired(tuple(w for w in records.desired(here) if w.advisory and w.kind != "ptr"))
    seen = zone.observe(here, want, wire=wire)
    plan = records.diff(want, seen)
    return plan, records.verify(want, seen, plan)


def test_without_a_word_in_params_none_is_wanted() -> None:
    assert {w.kind for w in records.desired(site())} == {"address", "mx", "spf", "dmarc", "ptr"}


def test_each_word_brings_its_records() -> None:
    def names(word: str) -> set[str]:
        return {w.name.removesuffix(".lantern.example") for w in records.desired(site(word)) if not w.stage}

    assert names("autodiscover") == {"autodiscover", "_autodiscover._tcp"}
    assert names("autoconfig") == {"autoconfig"}
    assert names("srv") == {"_imaps._tcp", "_imap._tcp", "_submissions._tcp", "_submission._tcp"}


def test_tls_from_the_first_byte_is_preferred_and_an_unsure_port_not_promised() -> None:
    told = {w.name.partition(".")[0]: w.values[0] for w in records.desired(site("srv")) if w.kind == "service"}
    assert told["_imaps"] == "0 1 993 mail.lantern.example"
    assert told["_imap"] == "10 1 143 mail.lantern.example"
    plain = site("srv", mail={"server": "postfix", "tls": sites.GIVEN["mail"]["tls"]})
    assert "_imap._tcp.lantern.example" not in {w.name for w in records.desired(plain)}


def test_an_empty_zone_gets_them_after_the_names_they_lead_to() -> None:
    plan, checks = walked("", *ALL)
    assert [c.target.replace(".lantern.example", "") for c in plan] == [
        "autoconfig CNAME",
        "autodiscover CNAME",
        "_autodiscover._tcp SRV",
        "_imap._tcp SRV",
        "_imaps._tcp SRV",
        "_submission._tcp SRV",
        "_submissions._tcp SRV",
    ]
    assert {c.status for c in checks} == {Status.PENDING}


def test_standing_records_pass_whatever_their_priority() -> None:
    plan, checks = walked(STANDING, *ALL)
    assert not plan
    assert [c for c in checks if c.status is not Status.PASS] == []
    assert len(checks) == 8


@pytest.mark.parametrize(
    ("old", "new", "check", "status"),
    [
        (
            "autoconfig 300 CNAME Mail.Lantern.example.",
            "autoconfig 300 CNAME mail.other.example.",
            "dns.alias autoconfig.lantern.example",
            Status.WARN,
        ),
        (
            "autoconfig 300 CNAME Mail.Lantern.example.",
            "autoconfig 300 A 203.0.113.99",
            "dns.alias autoconfig.lantern.example",
            Status.WARN,
        ),
        (
            "autoconfig 300 CNAME Mail.Lantern.example.",
            'autoconfig 300 TXT "something"',
            "dns.alias autoconfig.lantern.example",
            Status.FAIL,
        ),
        ("993 mail.lantern", "993 mail.other", "dns.service _imaps._tcp.lantern.example", Status.WARN),
        ("SRV 0 1 993 mail.lantern.example.", "SRV 0 0 0 .", "dns.service _imaps._tcp.lantern.example", Status.WARN),
        ("993 mail", "9993 mail", "dns.service _imaps._tcp.lantern.example", Status.WARN),
    ],
)
def test_what_others_put_there_is_left_and_named(old: str, new: str, check: str, status: Status) -> None:
    assert old in STANDING
    plan, checks = walked(STANDING.replace(old, new), *ALL)
    assert not plan
    assert checks[check].status is status
    assert checks[check].fix


def test_they_are_written_as_zone_files_write_them() -> None:
    plan, _ = walked("", *ALL)
    changes = tuple(c for c in plan if isinstance(c, RecordChange))
    published = zone.publish(site(*ALL), Plan("DNS", changes))
    assert "autodiscover.lantern.example. 3600 IN CNAME mail.lantern.example." in str(published)
    assert "_imaps._tcp.lantern.example. 3600 IN SRV 0 1 993 mail.lantern.example." in str(published)
    assert isinstance(published, Outcome)


def test_pages_that_only_mailcow_has_are_not_promised_by_others() -> None:
    mail = sites.GIVEN["mail"]
    with pytest.raises(ParamsError, match="autoconfig lead to pages that only mailcow has"):
        site("autoconfig", mail=mail)
    assert site("srv", mail=mail).dns.optional == ("srv",)


# the key of the certificate, pinned

KEY, NEXT = "3 1 1 " + "ab" * 32, "3 1 1 " + "cd" * 32
PIN = records.Wanted("_25._tcp.mail.lantern.example", "TLSA", (KEY,), 3600, "", "", "", advisory=True)


def pinned(text: str) -> tuple[Plan, Checklist]:
    here, text = site("tlsa"), HEAD + text
    wire = zone.Literal({AUTHORITY: {"lantern.example": text}, RESOLVER: {"lantern.example": text}}, {RESOLVER})
    want = records.Desired((PIN,))
    seen = zone.observe(here, want, wire=wire)
    plan = records.diff(want, seen)
    return plan, records.verify(want, seen, plan)


def test_a_pin_is_added_beside_the_one_of_a_certificate_to_come() -> None:
    for standing in ("", f"_25._tcp.mail 300 TLSA {NEXT}\n"):
        (change,), checks = pinned(standing)
        assert isinstance(change, RecordChange)
        assert change.added == (KEY,)
        assert checks["dns.tlsa _25._tcp.mail.lantern.example"].status is Status.PENDING
    plan, checks = pinned(f"_25._tcp.mail 300 TLSA {NEXT}\n_25._tcp.mail 300 TLSA {KEY.upper()}\n")
    assert not plan
    assert checks["dns.tlsa _25._tcp.mail.lantern.example"].status is Status.PASS


def test_the_digest_is_the_one_openssl_makes(tmp_path: Path) -> None:
    Authority(tmp_path).serving("mail.lantern.example")
    pem = tmp_path / "mail.lantern.example.30.pem"
    script = f"openssl x509 -in {pem} -pubkey -noout | openssl pkey -pubin -outform DER | sha256sum"
    said = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout.split()[0]
    served = x509.load_pem_x509_certificate(pem.read_bytes().partition(END)[2])
    assert dane.digest(served.public_bytes(Encoding.DER)) == said
