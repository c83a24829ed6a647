"""Whether what mail programs are told is true: the files are read back, and each of their settings is tried."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from runbooklib import endpoint
from runbooklib.answers import Lookup
from runbooklib.autoconfig import naming, trying
from runbooklib.autoconfig.files import File, Files, files
from runbooklib.autoconfig.services import AutoconfigError, Service
from runbooklib.endpoint import Dial
from runbooklib.params import Site
from runbooklib.results import Check, Checklist, Status, passed
from runbooklib.zone import Stub, together
from runbooklib.zone.questions import INTERNET
from runbooklib.zone.resolvers import resolvers

TITLE = "what mail programs are told"


def verify(site: Site, *, apply: bool) -> Checklist:
    """Tries every setting of the files against the running server; with `apply` false only reads the files and DNS.

    Nothing is changed, and each domain's first mailbox logs in once at each service.
    """
    return judge(site, files(site), Stub(INTERNET, resolvers(site)), endpoint.local_dial, apply=apply)


def judge(site: Site, written: Files, look: Lookup, dial: Dial, *, apply: bool) -> Checklist:
    """The same for files, DNS and a way to the server as they are given."""
    told = _told(written)
    rows = [_files_row(domain, [f for f in written if f.domain == domain]) for domain in told]
    rows += list(_tried(site, told, dial)) if apply else list(_planned(site, told))
    rows += together([naming.rows(look, site, told)])[0]
    return Checklist(TITLE, tuple(rows))


def _told(written: Files) -> dict[str, list[Service]]:
    """The services that each domain's files name, those that programs begin with first."""
    found: dict[str, list[Service]] = {}
    for file in written:
        named = found.setdefault(file.domain, [])
        named += [s for s in _services(file) if s not in named and _asked(s) not in named]
    return found


def _services(file: File) -> tuple[Service, ...]:
    try:
        return file.services()
    except AutoconfigError:
        return ()


def _asked(service: Service) -> Service:
    """The same service where the program is told the user name instead of asking for it."""
    return Service(service.protocol, service.host, service.port, service.tls)


def _files_row(domain: str, written: Sequence[File]) -> Check:
    """Whether a domain's files can be read back, and are fit to be handed out."""
    name, expected = f"autoconfig.files {domain}", "name an IMAP and an SMTP service inside TLS, and no password"
    troubles = list(filter(None, map(_trouble, written)))
    if troubles:
        return Check(name, Status.FAIL, expected, "; ".join(troubles), "make them anew; do not hand these out")
    return passed(name, expected, f"{' and '.join(file.name for file in written)} do")


def _trouble(file: File) -> str:
    try:
        file.services()
    except AutoconfigError as error:
        return f"{file.name}: {error}"
    return ""


def _tried(site: Site, told: Mapping[str, Sequence[Service]], dial: Dial) -> Iterator[Check]:
    troubles = trying.connected(site, _every(told), dial)
    yield from trying.service_rows(troubles)
    yield from trying.login_rows(site, told, troubles, dial)


def _planned(site: Site, told: Mapping[str, Sequence[Service]]) -> Iterator[Check]:
    names = [f"autoconfig.{service}" for service in _every(told)]
    names += [f"autoconfig.login {site.domain(domain).mailboxes[0].address}" for domain in told]
    for name in names:
        yield Check(name, Status.PENDING, "works", "not tried: apply is False", "run again with apply")


def _every(told: Mapping[str, Sequence[Service]]) -> list[Service]:
    return list(dict.fromkeys(service for named in told.values() for service in named))
