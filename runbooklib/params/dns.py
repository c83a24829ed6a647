"""How a site's records are published, and whom to ask what stands."""

from __future__ import annotations

import re
from functools import partial
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from runbooklib.params.fields import IP, Duration, Name, Port, Reference, Text, matching, refuse
from runbooklib.params.model import Model


class TsigKey(Model):
    """A key that signs updates (RFC 8945)."""

    name: Text
    algorithm: Literal["hmac-sha256", "hmac-sha384", "hmac-sha512"] = "hmac-sha256"
    secret: Reference


class Rfc2136(Model):
    """Where dynamic updates go."""

    server: IP
    port: Port = 53
    key: TsigKey


SECRET = re.compile(r"token|secret|pass|key|credential", re.IGNORECASE)


class Lexicon(Model):
    """A DNS provider's API through dns-lexicon: its name there, and the options of that provider."""

    provider: Annotated[
        Text, AfterValidator(partial(matching, re.compile(r"^[a-z0-9]+$"), "a name that dns-lexicon knows"))
    ]
    options: dict[str, Text] = Field(default_factory=dict)  # of that provider, as the manual names them
    secrets: dict[str, Reference] = Field(default_factory=dict)  # the same for those that log in, e.g. auth_token

    @model_validator(mode="after")
    def _by_reference(self) -> Self:
        literal = ", ".join(name for name in self.options if SECRET.search(name))
        if literal:
            raise refuse("literal_secret", f"options.{literal}: expected under secrets, as env:NAME or file:PATH")
        return self


BLOCKLISTS = ("zen.spamhaus.org", "bl.spamcop.net")  # of addresses
DOMAIN_BLOCKLISTS = ("dbl.spamhaus.org",)


class MtaSts(Model):
    """What senders that know MTA-STS may do for want of TLS; it is asked for by dns.optional."""

    mode: Literal["testing", "enforce"] = "testing"  # enforce: only once everything is proved that it rests on
    max_age: Duration = "7d"  # how long senders keep the policy
    host: Name | None = None  # the web server that shows it; None: the mail host


class Dns(Model):
    """How records are published, and whom to ask what stands."""

    publish: Literal["by-hand", "rfc2136", "lexicon"] = "by-hand"
    rfc2136: Rfc2136 | None = None
    lexicon: Lexicon | None = None
    resolvers: tuple[IP, ...] = ("9.9.9.9", "1.1.1.1", "8.8.8.8")
    authoritative: tuple[IP, ...] = ()
    ttl: Annotated[int, Field(ge=60, le=604800)] | None = None  # seconds, of what is added or corrected; None: kept
    largest_share: Annotated[float, Field(ge=0, le=1)] = 0.3  # of the rrsets known of a zone, that a plan may drop
    blocklists: tuple[Name, ...] = BLOCKLISTS  # asked for the server's addresses
    domain_blocklists: tuple[Name, ...] = DOMAIN_BLOCKLISTS  # asked for the mail domains and the host's name
    # Records that mail passes without: what mail programs look for, and what makes senders insist on TLS.
    optional: tuple[Literal["autodiscover", "autoconfig", "srv", "tlsa", "mta-sts", "tls-rpt", "caa"], ...] = ()
    sends_nothing: tuple[Name, ...] = ()  # names that no mail comes from: v=spf1 -all
    receives_nothing: tuple[Name, ...] = ()  # those of them that nobody may write to either: a null MX

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.publish == "rfc2136" and self.rfc2136 is None:
            raise refuse("section", "publish: rfc2136 needs a section rfc2136 with server and key")
        if self.publish == "lexicon" and self.lexicon is None:
            raise refuse("section", "publish: lexicon needs a section lexicon with provider and options")
        if not self.resolvers:
            raise refuse("resolvers", "expected at least one resolver")
        return self
