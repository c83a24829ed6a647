"""What a run's summary calls the mail server."""

from __future__ import annotations

import sites

from runbooklib import software
from runbooklib.params import Site
from runbooklib.results import passed

COW = {"server": "mailcow", "url": "https://mail.lantern.example", "api_key": "env:K"}
MAIL: dict[str, dict[str, str]] = {
    "adopted": COW,
    "installed": COW | {"tag": "2026-07a"},
    "host": {"server": "postfix"},
}


def site(name: str) -> Site:
    return sites.make(mail=MAIL[name], domains__0__refuse=[])


def test_an_image_is_itself() -> None:
    assert software.named(sites.make()) == "ghcr.io/docker-mailserver/docker-mailserver:15.1.0"


def test_a_mailcow_is_where_it_stands() -> None:
    assert software.named(site("adopted")) == "mailcow at https://mail.lantern.example"
    assert software.named(site("installed")) == "mailcow 2026-07a at https://mail.lantern.example"
    seen = [passed("mailcow.version", "a release", "2026-05"), passed("mailcow.version", "a release", "2026-07a")]
    assert software.named(site("adopted"), seen) == "mailcow 2026-07a at https://mail.lantern.example"


def test_a_host_has_the_version_that_stage_01_saw() -> None:
    assert software.named(site("host")) == "Postfix on the host"
    seen = [passed("server.host", "a host", "fresh; Postfix 3.10.5")]
    assert software.named(site("host"), seen) == "Postfix 3.10.5 on the host"
