"""The files of docker-mailserver, as pure text."""

from __future__ import annotations

import ipaddress
import string

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from sites import make

from runbooklib.servers import addresses, blocks
from runbooklib.servers.docker_mailserver import layout

LINES = st.lists(st.text(string.ascii_letters + string.digits + " =@.{}:", min_size=1, max_size=30), max_size=5)


@given(before=LINES, ours=LINES, again=LINES)
def test_a_block_is_replaced_and_every_other_line_stays(before: list[str], ours: list[str], again: list[str]) -> None:
    text = "".join(f"{line}\n" for line in before)
    first = blocks.with_block(text, "01-bootstrap", ours)
    both = blocks.with_block(first, "02-relay", ["relayhost = x"])
    second = blocks.with_block(both, "01-bootstrap", again)
    assert blocks.block(second, "01-bootstrap") == again
    assert blocks.block(second, "02-relay") == ["relayhost = x"]
    kept = blocks.with_block(blocks.with_block(second, "01-bootstrap", ()), "02-relay", ())
    assert kept == text


@given(ours=LINES)
def test_writing_the_same_block_twice_changes_nothing(ours: list[str]) -> None:
    once = blocks.with_block("# mine\nx = 1\n", "01-bootstrap", ours)
    assert blocks.with_block(once, "01-bootstrap", ours) == once


def test_a_block_is_appended_after_a_last_line_without_end() -> None:
    text = blocks.with_block("x = 1", "01-bootstrap", ["y = 2"])
    assert text.startswith("x = 1\n# >>> 01-bootstrap")


def test_compose_changes_its_label_with_what_only_a_new_container_reads() -> None:
    site = make()
    texts = [layout.compose(site, {path: digest}) for path in layout.NEEDS_NEW_CONTAINER for digest in ("a", "b")]
    assert len(set(texts)) == len(texts)
    assert layout.compose(site, {layout.VIRTUAL: "a"}) == layout.compose(site, {layout.VIRTUAL: "b"})


def test_compose_holds_what_the_contract_asks_for() -> None:
    service = yaml.safe_load(layout.compose(make(), {}))["services"]["mailserver"]
    assert service["hostname"] == "mail.lantern.example"
    assert service["restart"] == "always"
    assert "./certs:/certs:ro" in service["volumes"]  # a folder: single files replaced by rename are never seen
    assert {"25:25", "465:465", "587:587", "993:993"} <= set(service["ports"])


def test_ipv6_clients_keep_their_address_where_the_server_has_one() -> None:
    assert "networks" not in yaml.safe_load(layout.compose(make(), {}))
    site = make(server__ipv6="2001:db8::10")
    network = yaml.safe_load(layout.compose(site, {}))["networks"]["default"]
    assert network["enable_ipv6"] is True
    subnet = ipaddress.ip_network(network["ipam"]["config"][0]["subnet"])
    assert subnet.prefixlen == 64
    assert subnet.subnet_of(ipaddress.ip_network("fd00::/8"))


def test_the_environment_is_plain_and_holds_no_secret() -> None:
    lines = layout.environment(make())
    assert all(line.count("=") >= 1 and '"' not in line and "'" not in line for line in lines)
    assert "SSL_TYPE=manual" in lines  # empty means password logins in clear text
    assert not [line for line in lines if "PASSWORD" in line]


def test_aliases_bring_postmaster_and_abuse_and_end_with_the_catch_all() -> None:
    found = addresses.aliases(make())
    assert found["postmaster@lantern.example"] == found["abuse@lantern.example"] == "hi@lantern.example"
    assert list(found)[-1] == "@lantern.example"


def test_a_mailbox_called_postmaster_gets_no_alias() -> None:
    boxes = [{"address": "postmaster@lantern.example", "password": "env:P"}]
    site = make(domains__0__mailboxes=boxes, domains__0__aliases={}, domains__0__catch_all=None)
    assert "postmaster@lantern.example" not in addresses.aliases(site)
    assert addresses.aliases(site)["abuse@lantern.example"] == "postmaster@lantern.example"


@pytest.mark.parametrize(
    ("catch_all", "present"),
    [("hi@lantern.example", True), (None, False)],
)
def test_mailboxes_are_answered_first_only_beside_a_catch_all(catch_all: str | None, *, present: bool) -> None:
    lines = layout.main_cf(make(domains__0__catch_all=catch_all))
    assert any(line.startswith("virtual_alias_maps = pipemap:") for line in lines) is present


def test_who_sends_as_what_is_asked_of_mailboxes_then_of_aliases_and_the_catch_all() -> None:
    (line,) = [line for line in layout.main_cf(make()) if line.startswith("smtpd_sender_login_maps")]
    assert line.index("/etc/postfix/vmailbox,") < line.index("/etc/postfix/virtual")


def test_refused_addresses_answer_550_5_1_1() -> None:
    assert layout.refusals(make()) == ["leaked@lantern.example 550 5.1.1 User unknown"]


def test_differences_are_short() -> None:
    assert blocks.difference(None, "a\nb\n") == "new, 2 lines"
    assert blocks.difference("a\nb\n", "a\nc\n") == "-b\n+c"
    assert blocks.difference("", "x\n" * 40).endswith("…")
