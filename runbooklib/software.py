"""What summaries and reports call the mail server that was worked on."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable

from runbooklib.params import DOCKER_MAILSERVER, MAILCOW, Site
from runbooklib.places import testbed_state
from runbooklib.results import Check, RunbookError

# The rows of stage 01 that tell a version, and where in their words.
MAILCOW_ROW = ("mailcow.version", re.compile(r"(20\d\d-\d\d\w?)"))
POSTFIX_ROW = ("server.host", re.compile(r"Postfix (\d[\d.]*)"))


def named(site: Site, checks: Iterable[Check] = ()) -> str:
    """The mail server, with its version as params name it or a run's checks have told it."""
    if site.mail.server == DOCKER_MAILSERVER:
        return _image(site)
    if site.mail.server == MAILCOW:
        version = _told(checks, *MAILCOW_ROW) or site.mail.tag or ""
        return " ".join(filter(None, ("mailcow", version, f"at {site.mail.url}")))
    return " ".join(filter(None, ("Postfix", _told(checks, *POSTFIX_ROW), "on the host")))


def _told(checks: Iterable[Check], name: str, version: re.Pattern[str]) -> str:
    found = [told[1] for check in checks if check.name == name and (told := version.search(check.observed))]
    return found[-1] if found else ""


def _image(site: Site) -> str:
    """The image; in a rehearsal, what the testbed really holds under that name."""
    if not site.rehearsed:
        return site.mail.image
    with contextlib.suppress(RunbookError, KeyError):
        held = testbed_state()["image"]
        return f"{site.mail.image} ({held['source']}: {held['description']})"
    return site.mail.image
