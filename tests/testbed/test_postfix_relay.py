"""Stages 02 and 03 on plain Postfix itself: beside what others wrote, from one relay to another and back."""

from __future__ import annotations

import copy
import time
from pathlib import Path
from typing import Any

import postfixes
import pytest
from postfixes import SUMS, changed, settings
from rehearsed import Rehearsed

from runbooklib import params, servers
from runbooklib.params import Site
from runbooklib.results import Checklist, UnsafePlanError
from runbooklib.servers.postfix import ring
from runbooklib.testbed import world

PARAMS = Path(__file__).parents[2] / "params" / "rehearsal-postfix.yaml"
HERE = "/etc/postfix/runbook"
MORE = (
    "apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "
    "postfix-pcre libsasl2-modules opendkim opendkim-tools inetutils-syslogd >/dev/null 2>&1; "
    "service inetutils-syslogd start >/dev/null 2>&1 </dev/null"
)
LOG = "/var/log/mail.log"
NOTHING_WAITS = Checklist("")
OURS = {
    "relayhost",
    "sender_dependent_relayhost_maps",
    "sender_dependent_default_transport_maps",
    "smtp_sasl_auth_enable",
    "smtp_sasl_password_maps",
    "smtp_sasl_tls_security_options",
    "smtp_sender_dependent_authentication",
    "smtp_tls_CAfile",
    "smtp_tls_policy_maps",
    "smtps-relay/unix",
}
# Who has a way of their own there, and what Postfix says when their mail takes it: no such relay is in the testbed.
OTHERS = {
    "handmade": ("kay@harbour-club.example", "name=smtp.provider.example"),
    "rspamd": ("till@shop.example", "name=smtp.shop-relay.example"),
}


@pytest.fixture(scope="module", autouse=True)
def _installed(bare: Rehearsed) -> None:
    """A server with Postfix, of which every test makes its own."""
    bare.ssh(MORE)
    postfixes.install(bare)


@pytest.fixture(autouse=True)
def _here(testbed: Rehearsed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNBOOK_TESTBED", str(world.folder_of(testbed.root)))


def site(**changes: Any) -> Site:
    """The rehearsal site on plain Postfix, its relay changed."""
    given = copy.deepcopy(params.read(str(PARAMS)))
    given["relays"]["smarthost"] |= changes
    return params.load(given)


def shared() -> Site:
    """With a second domain, which has a login of its own at the same next hop."""
    given = copy.deepcopy(params.read(str(PARAMS)))
    given["relays"]["second"] = given["relays"]["smarthost"] | {"username": "somebody", "spf": None, "dkim": []}
    given["domains"].append({"name": "pier.example", "relay": "second", "mailboxes": []})
    return params.load(given)


def switched(here: Site, null: str = "smarthost") -> None:
    """Stage 02 applied and proved; a second plan is empty."""
    done = servers.apply(here, servers.plan_routes(here, servers.routes(here), NOTHING_WAITS, null), apply=True)
    servers.verify_routes(here, done, NOTHING_WAITS, null, wait=20).require()
    assert not servers.plan_routes(here, servers.routes(here), NOTHING_WAITS, null)


def said(testbed: Rehearsed, sender: str, expected: str) -> None:
    """Waits until the mail log says this of a message by this sender."""
    testbed.ssh(f": >{LOG}; printf 'Subject: way\\n\\n.\\n' | sendmail -f {sender} friend@stranger.example")
    until, log = time.monotonic() + 60, ""
    while expected not in log:
        assert time.monotonic() < until, f"nothing says {expected!r}:\n{log}"
        time.sleep(0.3)
        log = testbed.ssh(f"cat {LOG}")


@pytest.mark.parametrize("name", postfixes.NAMES)
def test_a_host_that_serves_others_keeps_their_way_and_every_other_byte(testbed: Rehearsed, name: str) -> None:
    postfixes.place(testbed, name)
    sums, before = testbed.ssh(SUMS), settings(testbed)
    switched(site())
    assert changed(before, settings(testbed)) <= OURS - {"relayhost"}
    now = testbed.ssh(SUMS).splitlines()
    assert {line.split()[1] for line in set(now) ^ set(sums.splitlines())} <= {"./main.cf", "./master.cf"}
    if name in OTHERS:
        said(testbed, *OTHERS[name])
        said(testbed, "hi@lantern.example", "relay=smtp.relay.example[")
    testbed.ssh(f"sh {HERE}/undo-routes/before/undo && sh {HERE}/undo-login/before/undo")
    assert testbed.ssh(SUMS) == sums


@pytest.fixture
def known(clean: Rehearsed) -> Rehearsed:
    """The relay knows the domain: what it asks for is published."""
    found = (
        ("@", "TXT", '"v=spf1 include:_spf.relay.example -all"'),
        (
            "relay._domainkey",
            "CNAME",
            "lantern-example.dkim.relay.example.",
        ),
    )
    assert clean.publish(*found) == "NOERROR"
    return clean


def test_from_one_relay_to_another_with_tls_from_the_first_byte_and_back(known: Rehearsed) -> None:
    postfixes.place(known, "handmade")
    switched(site())
    known.ssh(f"cp -a {HERE} /srv/runbook")
    said(known, "hi@lantern.example", "]:587, ")
    switched(site(port=465))
    assert known.ssh(f"postmap -q @lantern.example texthash:{HERE}/transports").strip() == "smtps-relay:"
    said(known, "hi@lantern.example", "]:465, ")
    assert "status=sent" in known.ssh(f"grep ']:465, ' {LOG}")
    said(known, *OTHERS["handmade"])
    switched(shared())
    assert known.ssh(f"postmap -q @pier.example texthash:{HERE}/logins").startswith("somebody:")
    switched(site())
    known.ssh(f"for f in senders logins policies; do cmp {HERE}/$f /srv/runbook/$f || exit 1; done")


KINDS = {
    "hash": "a@lantern.example [one.example]:25",
    "lmdb": "b@lantern.example [two.example]:25",
    "pcre": "/^hi@lantern/ [three.example]:25",
}


def test_lines_for_single_mailboxes_are_found_in_tables_of_every_kind(testbed: Rehearsed) -> None:
    postfixes.place(testbed, "handmade")
    tables = ["inline:{{c@lantern.example=[four.example]:25}}"]
    for kind, line in KINDS.items():
        table = f"{kind}:/etc/postfix/of_{kind}"
        testbed.ssh(f"echo '{line}' >/etc/postfix/of_{kind}; test {kind} = pcre || postmap {table}")
        tables.append(table)
    testbed.ssh(f"postconf -e 'sender_dependent_relayhost_maps = {', '.join(tables)}'; postfix reload 2>&1")
    sums = testbed.ssh(SUMS)
    plan = servers.plan_routes(site(), servers.routes(site()), NOTHING_WAITS, "smarthost")
    told = "\n".join(plan.refusals)
    for who, hop in (("a", "one"), ("b", "two"), ("hi", "three"), ("c", "four")):
        assert f"{who}@lantern.example leaves by [{hop}.example]:25" in told
    with pytest.raises(UnsafePlanError):
        servers.apply(site(), plan, apply=True)
    assert testbed.ssh(SUMS) == sums


THEIRS = """install -d -o opendkim -g opendkim /etc/opendkim /srv/keys; rm -f /etc/opendkim/*Table
openssl genpkey -algorithm RSA -out /srv/keys/club.pem 2>/dev/null; chmod 600 /srv/keys/club.pem
chown opendkim /srv/keys/club.pem
echo 'club harbour-club.example:club:/srv/keys/club.pem' >/etc/opendkim/KeyTable
printf '# the club\\n*@harbour-club.example club\\n' >/etc/opendkim/SigningTable
cat >/etc/opendkim.conf <<.
Mode sv
Syslog yes
SyslogSuccess yes
UserID opendkim
PidFile /run/opendkim/opendkim.pid
Socket inet:8891@127.0.0.1
KeyTable refile:/etc/opendkim/KeyTable
SigningTable refile:/etc/opendkim/SigningTable
.
postconf -e smtpd_milters=inet:localhost:8891 'non_smtpd_milters=$smtpd_milters'; postfix reload 2>&1
service opendkim restart >/dev/null 2>&1 </dev/null"""
KAY = "kay@harbour-club.example"


def test_an_opendkim_of_others_gets_our_key_beside_theirs_and_no_second_signer(testbed: Rehearsed) -> None:
    postfixes.place(testbed, "handmade")
    testbed.ssh(THEIRS)
    sums, conf = testbed.ssh(SUMS), testbed.ssh("cat /etc/opendkim.conf")
    have = servers.observe(site())
    done = servers.apply(site(), servers.plan_keys(site(), have, None), apply=True)
    assert [c.target for c in done.done if "main.cf" in c.target] == []
    found = ring.observe(site(), servers.observe(site()))
    assert found.signing == {"harbour-club.example": "club", "lantern.example": "mail"}
    assert not servers.plan_keys(site(), servers.observe(site()), None)
    assert (testbed.ssh(SUMS), testbed.ssh("cat /etc/opendkim.conf")) == (sums, conf)
    assert testbed.ssh("head -n 2 /etc/opendkim/SigningTable") == "# the club\n*@harbour-club.example club\n"
    testbed.ssh(f": >{LOG}; printf 'From: {KAY}\\n\\n.\\n' | sendmail -f {KAY} root")
    signed = "DKIM-Signature field added (s=club"
    testbed.ssh(f"for i in $(seq 50); do grep -q '{signed}' {LOG} && exit; sleep 0.2; done; exit 1")
