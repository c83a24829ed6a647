"""Evidence as a stranger may see it: what leads to people is taken out, what leads to causes stays.

Taken out: local parts of addresses that are not in the params (person-1@gmail.com; the same person has the same number
throughout), login names and folders without a domain, Message-IDs, subjects and display names, the last part of
addresses of machines that are not the site's, its relays' or in the records, the host names of such clients, and
whatever has the name or the shape of a password, an API key, a private key, a login in a URL or an exchange of SASL.

Left in: the site's own names, addresses and mailboxes as the params have them, all domains, public keys and records,
server names, private addresses, queue ids, times, and what servers answered. Pure; done twice it changes nothing more.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from runbooklib.diagnosis.evidence import Evidence, Fact

GONE = "‹taken out›"
# RFC 5321 2.4: only the host that is named after the @ may read a local part; these are everybody's (RFC 2142).
ROLES = {"postmaster", "mailer-daemon", "abuse", "hostmaster", "webmaster", "security", "double-bounce", "root"}
# Facts that are public, or the site's own settings: what they name are servers.
PUBLIC = {"address", "ptr", "mx", "exchangers", "spf", "spf-tree", "dkim", "dmarc", "strays", "delegation", "recursor"}
PUBLIC |= {"resolver", "postfix", "routes", "sending", "relay", "provider", "transports", "port", "port6", "tls"}
PUBLIC |= {"blocklist", "published", "path"}

# A word and = before a local part belong to the log, but for BATV and SRS, of which that word is all that stays.
ADDRESS = re.compile(
    r"(?<![\w.+&~#$%!*^?{}|-])((?:[A-Za-z_]{2,20}\d?=)?)"
    r"(\"(?:[^\"\\\r\n]|\\.){1,64}\"|[\w.+&~#$%!*^?{}|-][\w.+&~#$%!*^?{}|'=-]{0,319})"
    r"@((?:[^\W_][\w-]{0,62}\.){1,10}[^\W\d_][\w-]{1,62})"
)
MESSAGE_ID = re.compile(
    r"\b((?:resent-)?(?:message|msg)-?id)([=:]\s?)(<[^<>\s]{1,998}>|[^<>\s,;]{1,998})", re.IGNORECASE
)
HEADER = re.compile(
    r"\b(header (?:Subject|From|To|Cc|Reply-To|Sender|Thread-Topic):) .*?(?= from \S+\[|; (?:from|milter)|$)"
    r"|\b((?:subject|fromname|display_name)[=:]) ?(?!/?(?:CN|C|O|OU) ?=)"
    r"(?:\"[^\"]*\"|<[^>]*>|'[^']*'|.*?(?=; |, \w+=|$))",
    re.IGNORECASE,
)
# Names of accounts that stand without a domain, as Dovecot and SASL write them.
ACCOUNT = re.compile(
    r"(\b(?:sasl_username|user|login|username)=<?|\b(?:orig_to|to|from)=<)([^@\s<>,;()]{1,128})(?=[>,;)\s]|$)"
)
SESSION = re.compile(r"\b((?:imap|pop3|lmtp|lda|managesieve|passwd-file|sql|ldap)\()([^@\s,()]{1,128})(?=[,)])")
MAILBOX = re.compile(r"(/var/(?:v?mail(?:/vhosts)?)/[\w-]+(?:\.[\w-]+)+/)([^/\s'\",;:)]{1,128})")
FOLDER = re.compile(r"\b(mailbox|folder) ('(?!INBOX')[^']{1,255}'|\"(?!INBOX\")[^\"]{1,255}\")", re.IGNORECASE)
CLIENT = re.compile(r"(\bfrom |\bclient=|\bhelo=<?)([\w.-]{1,255})(\[[\da-fA-F.:]{2,45}\])")
IP = re.compile(
    r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}(?![\w.]*\w)"
    # RFC 4291 2.2: the last four octets may be written as those of IPv4.
    r"|(?:[\da-fA-F]{0,4}:){2,7}(?:\d{1,3}(?:\.\d{1,3}){3}(?![\w.]*\w)|[\da-fA-F]{0,4}(?![\w:]|\.\d)))"
)
# As a blocklist is asked (RFC 5782 2.1 and 2.4): a client's address backwards, before the list's name.
REVERSED = re.compile(r"(?<![\w.])((?:\d{1,3}\.){4}|(?:[\da-f]\.){32})(?=[A-Za-z])")
PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)
# How the names of settings end that hold a secret; `spf=pass:` is none of them.
NAMING = (
    r"(?:(?:dn|bind|root|db)?(?:pass(?:word|wd|phrase)|(?<!=)pass|pwd?)|secret|credentials?|token|authorization"
    r"|(?:api|auth|access|secret|private|encryption)[-_ ]?key)"
)
SETTING = re.compile(rf"(?:.*[^A-Za-z])?{NAMING}", re.IGNORECASE | re.DOTALL)
# Its value: inside quotes, which are escaped where JSON is told in JSON, to their end; else one word.
SECRET = re.compile(
    rf"((?<![A-Za-z]){NAMING}(?:\\?[\"'])?\s?[=:]\s?)(?!\\?[\"']?‹)"
    r"(?:(\\?[\"'])(?:(?!\2)(?:[^\\]|\\.?))*+(\2)?|(?:(?:bearer|basic) )?[^\s,;'\")\]}]+)",
    re.IGNORECASE | re.DOTALL,
)
SASL_TABLE = re.compile(r"(\bsasl_passwd\s?[=:]\s?+)(?![\"'‹])[^\n]+", re.IGNORECASE)  # [host]:port user:password
USERINFO = re.compile(r"\b([a-z][a-z\d+.-]{1,20}://)[^\s/‹]{1,512}@", re.IGNORECASE)  # RFC 3986 3.2.1
SASL = re.compile(r"\b(AUTH (?:PLAIN|LOGIN|XOAUTH2) |\+OK |334 )([A-Za-z0-9+/]{8,}={0,2})")
KEY_SHAPES = re.compile(r"\b(?:re_[A-Za-z0-9_]{16,}|xkeysib-[\w-]{20,}|SG\.[\w-]{16,}\.[\w-]{16,}|AKIA[0-9A-Z]{16})\b")
# RFC 1918, 3927, 4193, 4291, 6598: addresses that lead to nobody, and that rules look for.
V4 = ("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16")
OWN_NETS = tuple(ipaddress.ip_network(net) for net in (*V4, "::/127", "fc00::/7", "fe80::/10"))
SHORTEST = 6  # characters of an address a@b.cd, or of an IP address that is not private
NEAR = {4: 24, 6: 48}  # bits that stay of an address


@dataclass
class Pseudonyms:
    """Who is whom in one bundle; it remembers, so that the same is the same again."""

    known: frozenset[str]  # addresses of people that params name
    hosts: frozenset[str]  # IP addresses of the site, its relays and the records
    numbers: dict[str, dict[str, str]] = field(default_factory=dict)

    def name(self, kind: str, real: str) -> str:
        """The name of one person, message or folder; those that have one keep it."""
        if re.fullmatch(rf"{kind}-\d+", real):
            return real
        given = self.numbers.setdefault(kind, {})
        return given.setdefault(real, f"{kind}-{len(given) + 1}")

    def text(self, text: str) -> str:
        """A text as a stranger may see it."""
        if len(text) < SHORTEST:
            return text
        text = self._secrets(text)
        text = HEADER.sub(lambda m: f"{m[1] or m[2]} {GONE}", text)
        text = MESSAGE_ID.sub(lambda m: f"{m[1]}{m[2]}<{self.name('message', m[3].strip('<>'))}>", text)
        text = ADDRESS.sub(self._address, text)
        text = MAILBOX.sub(self._mailbox, text)
        for pattern in (ACCOUNT, SESSION):
            text = pattern.sub(lambda m: m[1] + self._account(m[2]), text)
        text = FOLDER.sub(lambda m: f"{m[1]} '{self.name('folder', m[2][1:-1])}'", text)
        text = CLIENT.sub(self._client, text)
        text = REVERSED.sub(lambda m: self._reversed(m[1]), text)
        return IP.sub(lambda m: self._ip(m[0]), text)

    def tree(self, value: Any) -> Any:
        """`text` for every string inside a JSON-like value, the names of its parts too."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(name)): self.part(str(name), part) for name, part in value.items()}
        return [self.tree(part) for part in value] if isinstance(value, list | tuple) else value

    def part(self, name: str, value: Any) -> Any:
        """What stands under a name, of which nothing is left where the name is a secret's."""
        return _emptied(value) if SETTING.fullmatch(name) else self.tree(value)

    def fact(self, name: str, fact: Fact) -> tuple[str, Fact]:
        """A fact, its name and the reason why it was not seen included."""
        return self.text(name), replace(fact, value=self.tree(fact.value), unseen=self.text(fact.unseen))

    def _secrets(self, text: str) -> str:
        text = PRIVATE_KEY.sub(GONE, text) if "PRIVATE KEY" in text else text
        text = SASL_TABLE.sub(lambda m: f"{m[1]}{GONE}", text)
        text = SECRET.sub(lambda m: f"{m[1]}{m[2] or ''}{GONE}{m[3] or ''}", text)
        text = USERINFO.sub(lambda m: f"{m[1]}{GONE}@", text)
        return KEY_SHAPES.sub(GONE, SASL.sub(lambda m: f"{m[1]}{GONE}", text))

    def _address(self, found: re.Match[str]) -> str:
        word, local, domain = found.groups()
        whole = f"{local}@{domain}".lower()
        if whole in self.known or local.lower() in ROLES:
            return found[0]
        return f"{word}{self._person(local, whole)}@{domain}"

    def _person(self, local: str, whole: str) -> str:
        return self.name("person", local if re.fullmatch(r"person-\d+", local) else whole)

    def _account(self, name: str) -> str:
        return name if name.lower() in ROLES or self._local(name) else self.name("person", name.lower())

    def _local(self, name: str) -> bool:
        return any(known.partition("@")[0] == name.lower() for known in self.known)

    def _mailbox(self, found: re.Match[str]) -> str:
        domain = found[1].rstrip("/").rpartition("/")[2].lower()
        whole = f"{found[2]}@{domain}".lower()
        known = whole in self.known or found[2].lower() in ROLES
        return found[0] if known else found[1] + self._person(found[2], whole)

    def _client(self, found: re.Match[str]) -> str:
        address = found[3].strip("[]")
        plain = found[2] in {"unknown", "localhost", "client"} or self._ip(address) == address
        return found[0] if plain else f"{found[1]}client{found[3]}"

    def _reversed(self, labels: str) -> str:
        parts = labels.rstrip(".").split(".")[::-1]
        v6 = len(parts) > 4  # noqa: PLR2004 - the octets of an IPv4 address
        text = ":".join("".join(parts[n : n + 4]) for n in range(0, 32, 4)) if v6 else ".".join(parts)
        try:
            near = ipaddress.ip_address(self._ip(str(ipaddress.ip_address(text))))
        except ValueError:
            return labels
        return near.reverse_pointer.removesuffix("ip6.arpa").removesuffix("in-addr.arpa")

    def _ip(self, text: str) -> str:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return text
        mapped = getattr(address, "ipv4_mapped", None)  # RFC 4291 2.5.5.2
        if mapped:
            return f"::ffff:{self._ip(str(mapped))}"
        if text.lower() in self.hosts or any(address in net for net in OWN_NETS if net.version == address.version):
            return text
        return str(ipaddress.ip_network((address, NEAR[address.version]), strict=False).network_address)


def _emptied(value: Any) -> Any:
    """The same with no word left in it but those that hide one already."""
    if isinstance(value, Mapping):
        return {name: _emptied(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_emptied(part) for part in value]
    return value if not isinstance(value, str) or not value or value.startswith("‹") else GONE


def redacted(evidence: Evidence) -> Evidence:
    """The evidence with people taken out; every rule finds in it what it finds in the whole."""
    names = pseudonyms(evidence)
    return replace(evidence, facts=dict(names.fact(name, fact) for name, fact in evidence.facts.items()))


def pseudonyms(evidence: Evidence) -> Pseudonyms:
    """Pseudonyms that spare what the params and the public records name."""
    known = {text.lower() for text in _strings(evidence.site) if ADDRESS.fullmatch(text)}
    public = [fact.value for name, fact in evidence.facts.items() if name.partition(" ")[0] in PUBLIC]
    names = [name for name in evidence.facts if name.partition(" ")[0] in PUBLIC]
    hosts = {found.lower() for text in _strings([evidence.site, public, names]) for found in IP.findall(text)}
    return Pseudonyms(frozenset(known), frozenset(hosts))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from _strings([*value.keys(), *value.values()])
    elif isinstance(value, Iterable):
        for part in value:
            yield from _strings(part)
