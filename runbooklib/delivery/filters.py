"""Asks a spam filter for its score: the mail server's own where it runs one, else an rspamd that params name."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from runbooklib import https
from runbooklib.eml import score
from runbooklib.eml.score import Score, ScoreError
from runbooklib.host import Answer
from runbooklib.params import MAILCOW, Rspamd, Site

PATIENCE = 60.0  # seconds; a filter asks DNS lists of its own
# What answers first is what runs: rspamd's client finds nobody where rspamd is off, nor spamc without spamd; amavis
# has SpamAssassin within. Nothing is learned from the message, and no preferences are written.
SCAN = r"""m=$(mktemp) || exit 70; trap 'rm -f "$m"' EXIT; base64 -d >"$m"
rspamc -j -t 30 --ip="$1" --helo="$2" --hostname="$3" --from="$4" --rcpt="$5" <"$m" 2>/dev/null && exit
spamc -x -R <"$m" 2>/dev/null && exit
if [ "$6" = spamassassin ] || pgrep -f '[a]mavisd' >/dev/null 2>&1; then
  spamassassin -x -t --cf='bayes_auto_learn 0' <"$m"; exit
fi
exit 69"""
NONE = 69  # EX_UNAVAILABLE of sysexits.h, and what the shell ends with where no program is there


@dataclass(frozen=True)
class Sample:
    """A message as its recipient took it, with what SMTP said before it."""

    name: str
    raw: bytes = field(repr=False)
    address: str = ""
    helo: str = ""
    hostname: str = ""  # what the address's PTR says, where it leads back
    sender: str = ""
    recipient: str = ""


Filter = Callable[[Sample], Score]
Inside = Callable[[tuple[str, ...], str, float], Answer]  # runs a command where the mail server does


class NoFilterError(ScoreError):
    """Neither the server nor params have one."""


def find(site: Site, inside: Inside, sample: Sample) -> tuple[Filter, Score]:
    """The filter to ask, found by asking it about one message.

    Raises NoFilterError where there is none, HostError or ScoreError where it gives no answer.
    """
    if site.mail.server != MAILCOW:  # whose API runs no commands
        own = own_filter(site, inside)
        try:
            return own, own(sample)
        except NoFilterError:
            pass
    if site.test.rspamd is None:
        raise NoFilterError("the mail server runs no filter that we can ask, and params name no other")
    ask = remote(site.test.rspamd)
    return ask, ask(sample)


def own_filter(site: Site, inside: Inside) -> Filter:
    """The one that runs beside the mail server."""

    def ask(sample: Sample) -> Score:
        given = (sample.address, sample.helo, sample.hostname, sample.sender, sample.recipient, site.mail.filter)
        message = base64.b64encode(sample.raw).decode()
        answer = inside(("sh", "-c", SCAN, "scan", *given), message, PATIENCE)
        if answer.status == NONE:
            raise NoFilterError("the mail server runs none")
        if not answer.ok:
            raise ScoreError(f"the server's filter ended with status {answer.status}: {answer.err.strip()[-200:]}")
        return _read(answer.out)

    return ask


def _read(said: str) -> Score:
    return score.rspamd(said) if said.lstrip().startswith("{") else score.spamassassin(said)


def remote(rspamd: Rspamd) -> Filter:
    """An rspamd asked over HTTP (rspamd.com: protocol); one without TLS is near, so no proxy lies between."""
    trust, direct = https.trusting(rspamd.ca), urlsplit(rspamd.url).scheme == "http"
    url = f"{rspamd.url}/checkv2"

    def ask(sample: Sample) -> Score:
        headers = dict(_headers(sample)) | ({"Password": rspamd.password.reveal()} if rspamd.password else {})
        answer = https.exchange("POST", url, trust, PATIENCE, headers, direct=direct, content=sample.raw)
        if not answer.is_success:
            raise ScoreError(f"{url}: HTTP {answer.status_code} {https.short(answer.text)}")
        return score.rspamd(answer.text)

    return ask


def _headers(sample: Sample) -> Iterator[tuple[str, str]]:
    """The envelope; what no HTTP header can carry, an address outside ASCII say, is left out."""
    told = {"IP": sample.address, "Helo": sample.helo, "Hostname": sample.hostname, "From": sample.sender}
    for name, value in (told | {"Rcpt": sample.recipient}).items():
        if value and value.isascii() and value.isprintable():
            yield name, value
