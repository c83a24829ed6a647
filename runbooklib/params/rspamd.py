"""An rspamd that scores messages on request, where the mail server has none of its own."""

from __future__ import annotations

from typing import Any

from pydantic import model_validator

from runbooklib.params.fields import OwnUrl, Reference, Text
from runbooklib.params.model import Model


class Rspamd(Model):
    """Its controller, as in http://127.0.0.1:11334 or a mailcow's https://mail.example.org/rspamd."""

    url: OwnUrl
    password: Reference | None = None  # None: it trusts the address we come from
    ca: Text | None = None  # PEM of a private CA; None: the public ones

    @model_validator(mode="before")
    @classmethod
    def _address(cls, given: Any) -> Any:
        """The address may stand alone."""
        return {"url": given} if isinstance(given, str) else given
