"""What a server needs before mailcow is installed there, and what stays to be done by hand after."""

from __future__ import annotations

from collections.abc import Iterator

from runbooklib.params import Site
from runbooklib.results import Check, Status, judged, passed
from runbooklib.servers.mailcow.installed import Installed

GIB = 1024 * 1024  # KiB
PORTS = (25, 80, 110, 143, 443, 465, 587, 993, 995, 4190)
MEMORY, LEAST_MEMORY = 6, 2
DISK, LEAST_DISK = 20, 8
FOREIGN = frozenset({"lxc", "openvz"})
REF = "docs.mailcow.email: Prerequisites"


def rows(have: Installed) -> Iterator[Check]:
    """Kind of machine, memory, disk and ports; of one that is installed only what may get scarce."""
    yield judged(
        "server.virtualization",
        have.virtual not in FOREIGN,
        "a machine of its own (KVM or real)",
        have.virtual or "it is",
        "mailcow does not run in LXC or OpenVZ: take a virtual machine with a kernel of its own",
        REF,
    )
    more = "take a larger server; SKIP_CLAMD=y and SKIP_FTS=y in mailcow.conf save the most"
    yield _enough("server.memory", have.memory, (LEAST_MEMORY, MEMORY), "of memory", more)
    if have.conf is None:
        room = "make room, or take a larger disk: the images alone take some 5 GiB"
        yield _enough("server.disk", have.disk, (LEAST_DISK, DISK), "free on disk", room)
        yield _ports(have)


def _enough(name: str, have: int, limits: tuple[int, int], what: str, fix: str) -> Check:
    """Less than the first limit does not work, less than the second not well."""
    least, wanted = limits
    expected, observed = f"{wanted} GiB {what}", f"{have / GIB:.1f} GiB"
    if not have:
        return Check(name, Status.UNKNOWN, expected, "not told", "look on the server", REF, advisory=True)
    if have >= wanted * GIB * 0.9:  # what is sold as 6 GiB shows a little less
        return passed(name, expected, observed, REF)
    return Check(name, Status.WARN if have >= least * GIB else Status.FAIL, expected, observed, fix, REF)


def _ports(have: Installed) -> Check:
    taken = {port: by for port, by in have.listening.items() if port in PORTS}
    said = ", ".join(f"{port} by {by}" for port, by in sorted(taken.items())) or "all free"
    fix = "stop and disable what listens there; a mail server that came with the system goes by apt-get purge"
    return judged("server.ports", not taken, f"{', '.join(map(str, PORTS))} free", said, fix, REF)


def standing(site: Site, have: Installed) -> Iterator[Check]:
    """Of an installed one: its release, and whether its administrator still has the password that everybody knows."""
    name, expected = "server.release", f"at {site.mail.tag}"
    if have.release == site.mail.tag:
        yield passed(name, expected, have.release)
    else:
        fix = "write its release into mail.tag; a newer one comes by ./update.sh on the server, never by these stages"
        yield Check(name, Status.WARN, expected, have.release or "at no release", fix)
    yield _administrator(site, have.default_admins)


def _administrator(site: Site, known: int | None) -> Check:
    name, expected = "server.admin", "nobody administers mailcow with the password of its documentation"
    fix = f"log in at {site.mail.url}/admin as admin with moohoo and change it now; a second factor is there, too"
    if known is None:
        return Check(name, Status.UNKNOWN, expected, "its database was not asked", fix, advisory=True)
    return judged(name, not known, expected, f"{known} may" if known else "none", fix)
