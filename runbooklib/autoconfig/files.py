"""The files that set mail programs up: shown, to be downloaded, and with the place they belong to."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from runbooklib.autoconfig import apple, thunderbird
from runbooklib.autoconfig.services import Service, offered
from runbooklib.params import MAILCOW, Site
from runbooklib.results import Shown, Table

PATH = "mail/config-v1.1.xml"


@dataclass(frozen=True)
class File:
    """One file of one domain."""

    name: str
    domain: str
    media: str
    place: str
    text: str

    def services(self) -> tuple[Service, ...]:
        """What a program finds in it.

        Raises AutoconfigError.
        """
        found: tuple[Service, ...] = READERS[self.media].read(self.text)
        return found

    def html(self) -> str:
        """A link that downloads it, and its text to unfold."""
        data = base64.b64encode(self.text.encode()).decode()
        name, text = html.escape(self.name), html.escape(self.text)
        link = f'<a download="{name}" href="data:{self.media};base64,{data}">download</a>'
        return f"<details><summary>{name} ({link})</summary><pre>{text}</pre></details>"


READERS: Mapping[str, ModuleType] = {thunderbird.MEDIA: thunderbird, apple.MEDIA: apple}


@dataclass(frozen=True)
class Files(Shown):
    """The files of a site."""

    files: tuple[File, ...]

    def __iter__(self) -> Iterator[File]:
        return iter(self.files)

    def parts(self) -> tuple[str, Sequence[str], Sequence[Sequence[str]]]:
        return self.table().parts()

    def data(self) -> dict[str, Any]:
        return self.table().data()

    def table(self) -> Table:
        """One row a file."""
        rows = tuple((file.name, file.domain, file.place) for file in self)
        return Table("files that set mail programs up; no password stands in them", ("file", "for", "belongs"), rows)

    def __str__(self) -> str:
        return "\n\n".join([super().__str__(), *(f"{file.name}:\n{file.text}" for file in self)])

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        bundle = super()._repr_mimebundle_(include, exclude)
        return bundle | {"text/html": bundle["text/html"] + "".join(file.html() for file in self)}


def files(site: Site) -> Files:
    """For each domain with mailboxes one file for Thunderbird and its like, and one for Apple's devices."""
    return Files(tuple(file for d in site.domains if d.mailboxes for file in _of(site, d.name)))


def _of(site: Site, domain: str) -> Iterator[File]:
    services, web = offered(site), f"https://autoconfig.{domain}/{PATH}"
    known = f"https://{domain}/.well-known/autoconfig/{PATH}"
    place = f"at {web} or {known}, on a web server of yours"
    handed = "to the device by mail or from a web page; it is not signed, which the device says"
    if site.mail.server == MAILCOW:
        place = f"nowhere: mailcow shows one of its own at {web}"
        handed += f"; mailcow makes one for each mailbox, too: https://{site.server.hostname}/mobileconfig.php"
    xml = thunderbird.write(domain, services)
    yield File(f"{domain}.config-v1.1.xml", domain, thunderbird.MEDIA, place, xml)
    yield File(f"{domain}.mobileconfig", domain, apple.MEDIA, handed, apple.write(domain, services))
