"""The mail server program: which of the three it is, how it is reached, and what only it is asked for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from runbooklib.params.fields import Directory, ImageName, Name, OwnUrl, Reference, Text, matching, refuse
from runbooklib.params.model import Model

DOCKER_MAILSERVER: Literal["docker-mailserver"] = "docker-mailserver"
MAILCOW: Literal["mailcow"] = "mailcow"
POSTFIX: Literal["postfix"] = "postfix"
DEFAULTS: dict[object, dict[str, Any]] = {
    DOCKER_MAILSERVER: {"image": "ghcr.io/docker-mailserver/docker-mailserver:15.1.0"},
    MAILCOW: {"directory": "/opt/mailcow-dockerized", "tls": {}},
    POSTFIX: {"directory": "/etc/postfix/runbook", "tls": {}},
}
REPOSITORY = "https://github.com/mailcow/mailcow-dockerized"
EVERY = {"server", "directory", "tls"}
OWN = {  # beside those
    DOCKER_MAILSERVER: {"image", "filter", "message_size_limit"},
    MAILCOW: {"url", "api_key", "tag", "repository"},
    POSTFIX: {"filter", "message_size_limit"},
}
RELEASE = re.compile(r"^20\d\d-\d\d[a-z]?$")


class Tls(Model):
    """The server's certificate: files on this machine, uploaded; or one that the server has and renews by itself."""

    mode: Literal["manual", "existing"] = "manual"
    certificate: Text = ""  # PEM, full chain
    key: Text = ""
    ca: Text | None = None  # PEM of a private CA that issued it; None: a public one
    issuer: Name | None = None  # the CA's name in CAA records; None: known by who issued the certificate
    key_kept: bool = False  # whether a renewal keeps the key; what a TLSA record pins is the key
    next_key: Text | None = None  # PEM on this machine of the key, public half or certificate to come

    @model_validator(mode="before")
    @classmethod
    def _mode(cls, given: Any) -> Any:
        if isinstance(given, Mapping) and not {"certificate", "key", "mode"} & set(given):
            return {"mode": "existing", **given}
        return given

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.mode == "manual" and not (self.certificate and self.key):
            raise refuse("tls", "mode manual needs certificate and key, files on this machine")
        if self.mode == "existing" and (self.certificate or self.key):
            raise refuse("tls", "mode existing leaves the server its own certificate: take certificate and key out")
        return self


class Mail(Model):
    """The mail server program and where it lives on the server."""

    server: Literal["docker-mailserver", "mailcow", "postfix"] = DOCKER_MAILSERVER
    image: ImageName = ""
    directory: Directory
    tls: Tls
    filter: Literal["none", "dnsbl", "spamassassin"] = "none"  # what looks at inbound mail before it is accepted
    message_size_limit: Annotated[int, Field(ge=1_000_000)] = 10_240_000  # bytes; larger ones are refused in SMTP
    url: OwnUrl | None = None  # where mailcow's pages and API are
    api_key: Reference | None = None  # read and write
    tag: Annotated[Text, AfterValidator(partial(matching, RELEASE, "a release of mailcow such as 2026-07a"))] | None = (
        None  # the release stage 01 installs over SSH; None: an existing mailcow is adopted through its API alone
    )
    repository: Text = REPOSITORY  # what git clones it from

    @model_validator(mode="before")
    @classmethod
    def _defaults(cls, given: Any) -> Any:
        known = DEFAULTS.get(given.get("server", DOCKER_MAILSERVER)) if isinstance(given, Mapping) else None
        return (
            {**known, **{key: value for key, value in given.items() if (key, value) != ("image", "")}}
            if known
            else given
        )

    @field_validator("image")
    @classmethod
    def _pinned(cls, image: str) -> str:
        tag = image.rpartition("/")[2].partition(":")[2]
        if not tag or tag.startswith(("latest", "edge")):
            raise refuse("pinned", "expected an image pinned to a release such as …:15.1.0; latest and edge move")
        return image

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        others = type(self).model_fields.keys() - OWN[self.server] - EVERY
        foreign = sorted(n for n in others if getattr(self, n) != type(self).model_fields[n].default)
        if foreign:
            raise refuse("server", f"{', '.join(foreign)}: not for server: {self.server}")
        if self.server == MAILCOW and not (self.url and self.api_key):
            raise refuse("mailcow", "server: mailcow needs url and api_key, its API's address and a read-write key")
        if self.server == MAILCOW and self.tls.mode == "manual":
            raise refuse("tls", "mailcow gets and renews its own certificate: leave certificate and key out")
        if self.server == DOCKER_MAILSERVER and self.tls.mode == "existing":
            raise refuse("tls", "docker-mailserver needs certificate and key, files on this machine")
        if self.server == POSTFIX and self.filter == "spamassassin":
            raise refuse("filter", "server: postfix knows the filters none and dnsbl")
        return self

    @model_serializer(mode="wrap")
    def _told(self, whole: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """What this server is asked for, and nothing of the others."""
        told: dict[str, Any] = whole(self)
        return {name: value for name, value in told.items() if name in OWN[self.server] | EVERY}

    @property
    def over_ssh(self) -> bool:
        """Whether there is a shell on the server; a mailcow that was only adopted is reached by its API alone."""
        return self.server != MAILCOW or self.tag is not None
