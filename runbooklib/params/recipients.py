"""The recipients of test mail, and the mail providers whose servers are known by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, model_validator

from runbooklib.credentials import Secret
from runbooklib.params.fields import Address, HostName, Port, Reference, Text, TokenReference, Utf8Address, refuse
from runbooklib.params.model import Model

Preset = Annotated[
    Literal["gmail", "qq", "163", "126", "yeah", "outlook", "microsoft365", "yahoo", "icloud", "fastmail"],
    BeforeValidator(lambda given: str(given) if isinstance(given, int) else given),  # YAML reads 163 as a number
]
IMAPS, SUBMISSION, SUBMISSIONS = 993, 587, 465  # RFC 8314 7.3, RFC 6409, RFC 8314 7.3


class Login(Model):
    """A mail service of a recipient, read or submitted to as its user."""

    host: HostName
    port: Port
    username: Text
    password: Reference | None = None
    oauth: TokenReference | None = None  # an OAuth access token instead, for XOAUTH2
    identify: bool = False  # whether IMAP's ID command is sent even where it is not offered (RFC 2971)
    ca: Text | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.password is None) == (self.oauth is None):
            raise refuse("login", "expected either password or oauth, an access token")
        return self

    @property
    def secret(self) -> Secret:
        """What opens it; a token where it is one."""
        found = self.oauth or self.password
        assert found is not None  # noqa: S101 - the model holds one of them
        return found


@dataclass(frozen=True)
class Provider:
    """How a provider's mailboxes are reached, and what they are opened with."""

    imap: str
    smtp: str
    password: str  # what it wants as password; empty where it takes none
    domains: tuple[str, ...] = ()
    port: int = SUBMISSIONS
    tokens: bool = False  # whether it takes OAuth tokens
    local_part: bool = False  # whether IMAP wants only what stands before the @
    identify: bool = False


APP = "an app password: turn 2-step verification on in the account's security settings, then make one there"
CODE = "an authorisation code: turn IMAP/SMTP on in the web mail's settings, which then show one"
GMAIL, ICLOUD = ("gmail.com", "googlemail.com"), ("icloud.com", "me.com", "mac.com")
OUTLOOK = ("outlook.com", "hotmail.com", "live.com", "msn.com")
OAUTH = "an access token with the scopes IMAP.AccessAsUser.All and SMTP.Send, named by oauth: env:… (it lasts an hour)"
PROVIDERS: Mapping[str, Provider] = {
    "gmail": Provider("imap.gmail.com", "smtp.gmail.com", APP, GMAIL, SUBMISSION, tokens=True),
    "qq": Provider("imap.qq.com", "smtp.qq.com", CODE, ("qq.com", "foxmail.com")),
    # NetEase answers SELECT with "Unsafe Login" until a client has said who it is.
    "163": Provider("imap.163.com", "smtp.163.com", CODE, ("163.com",), identify=True),
    "126": Provider("imap.126.com", "smtp.126.com", CODE, ("126.com",), identify=True),
    "yeah": Provider("imap.yeah.net", "smtp.yeah.net", CODE, ("yeah.net",), identify=True),
    "outlook": Provider("outlook.office365.com", "smtp-mail.outlook.com", "", OUTLOOK, SUBMISSION, tokens=True),
    "microsoft365": Provider("outlook.office365.com", "smtp.office365.com", "", (), SUBMISSION, tokens=True),
    "yahoo": Provider("imap.mail.yahoo.com", "smtp.mail.yahoo.com", APP, ("yahoo.com", "ymail.com"), tokens=True),
    "icloud": Provider("imap.mail.me.com", "smtp.mail.me.com", APP, ICLOUD, SUBMISSION, local_part=True),
    "fastmail": Provider("imap.fastmail.com", "smtp.fastmail.com", APP, ("fastmail.com", "fastmail.fm"), tokens=True),
}


class Recipient(Model):
    """Someone outside who gets the test message; with logins we can look and write back.

    A preset stands for `imap` and `submission` of a provider that is known; what is written out beside it counts.
    """

    address: Address
    smtputf8: Utf8Address | None = None  # another address of theirs, with letters outside ASCII (RFC 6531)
    preset: Preset | None = None
    password: Reference | None = None  # with a preset: an app password, or an authorisation code
    oauth: TokenReference | None = None  # with a preset: an access token
    imap: Login | None = None
    submission: Login | None = None

    @model_validator(mode="before")
    @classmethod
    def _preset(cls, given: Any) -> Any:
        """Fills in the provider's servers; what else is wrong is told by the fields."""
        if not isinstance(given, Mapping) or not isinstance(given.get("address"), str):
            return given
        provider = PROVIDERS.get(str(given.get("preset")))
        named = [name for name in ("password", "oauth") if given.get(name) is not None]
        if provider is None or len(named) != 1 or (named == ["password"] and not provider.password):
            return given
        return {**_logins(provider, given["address"], {named[0]: given[named[0]]}), **_written(given)}

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.preset is None and (self.password or self.oauth):
            hint = f"preset: {self.known}" if self.known else f"a preset of {', '.join(PROVIDERS)}"
            raise refuse("preset", f"a secret alone names no server: add {hint}, or write imap: and submission: out")
        if self.preset is not None:
            self._accepted(PROVIDERS[self.preset])
        return self

    def _accepted(self, provider: Provider) -> None:
        if (self.password is None) == (self.oauth is None):
            raise refuse("preset", f"{self.preset} needs {provider.password or OAUTH}")
        if self.password and not provider.password:
            raise refuse("preset", f"{self.preset} takes no passwords any more, app passwords included: get {OAUTH}")
        if self.oauth and not provider.tokens:
            raise refuse("preset", f"{self.preset} takes no OAuth tokens; it needs {provider.password}")

    @property
    def known(self) -> str:
        """The preset that the address is likely to belong to; empty where none does."""
        domain = self.address.rpartition("@")[2]
        return next((name for name, provider in PROVIDERS.items() if domain in provider.domains), "")

    @property
    def advice(self) -> str:
        """What to write into params so that its mail can be read."""
        if not self.known:
            return "add its imap: login, or look there by hand"
        wanted = PROVIDERS[self.known].password
        return f"add preset: {self.known} and " + (f"password:, {wanted}" if wanted else OAUTH)


def _written(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value is not None}


def _logins(provider: Provider, address: str, secret: Mapping[str, Any]) -> dict[str, Any]:
    reader = address.rpartition("@")[0] if provider.local_part else address
    told = {"identify": True} if provider.identify else {}
    return {
        "imap": {"host": provider.imap, "port": IMAPS, "username": reader, **secret, **told},
        "submission": {"host": provider.smtp, "port": provider.port, "username": address, **secret},
    }
