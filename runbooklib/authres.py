"""What a receiver says about authentication (RFC 8601), and what aligns with the author domain (RFC 9989).

Pure: header text in, values out; DNS comes in as a function. Nothing here raises on hostile input.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from runbooklib.records.texts import Policy, TagError, is_dmarc, tags

Published = Callable[[str], "str | None"]  # the DMARC record at _dmarc.<name>, or None

PAIR = re.compile(r'([A-Za-z0-9_.-]+)(?:\s*/\s*\d+)?\s*=\s*("(?:\\.|[^"\\])*"|[^\s;]+)')


@dataclass(frozen=True)
class Method:
    """One method's result with its properties, e.g. dkim=pass header.d=example.org."""

    name: str
    result: str
    reason: str = ""
    properties: dict[str, str] = field(default_factory=dict)

    def domain(self, *names: str) -> str:
        """The domain of the first of these properties that is there, lower case."""
        found = next((self.properties[n] for n in names if n in self.properties), "")
        return found.rpartition("@")[2].rstrip(".").lower()


@dataclass(frozen=True)
class Results:
    """One Authentication-Results header: who says so, and what."""

    authserv_id: str
    methods: tuple[Method, ...] = ()

    def of(self, name: str) -> tuple[Method, ...]:
        return tuple(m for m in self.methods if m.name == name)


def parse(value: str) -> Results:
    """An Authentication-Results value; what cannot be read is left out (RFC 8601 2.2)."""
    head, *infos = _split(uncommented(value))
    words = head.replace('"', " ").split()
    methods = (_method(info) for info in infos)
    return Results(words[0].lower() if words else "", tuple(m for m in methods if m))


def _method(info: str) -> Method | None:
    pairs = [(key.lower(), _unquoted(value)) for key, value in PAIR.findall(info)]
    if not pairs or "." in pairs[0][0]:
        return None
    (name, result), *rest = pairs
    told = dict(rest)
    return Method(name, result.lower(), told.pop("reason", ""), told)


def _unquoted(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if len(value) > 1 and value[0] == value[-1] == '"' else value


def uncommented(text: str) -> str:
    """The text without its comments, which nest and may stand anywhere between words (RFC 5322 3.2.2)."""
    kept, depth, quoted, escaped = [], 0, False, False
    for char in text:
        if escaped or char == "\\":
            escaped = not escaped
        elif char == '"' and not depth:
            quoted = not quoted
        elif not quoted and char == "(":
            depth += 1
            kept.append(" ")  # a comment separates words
        elif not quoted and char == ")" and depth:
            depth -= 1
            continue
        if not depth:
            kept.append(char)
    return "".join(kept)


def _split(text: str) -> list[str]:
    """The parts between semicolons that stand outside quotes."""
    parts, quoted, start = [], False, 0
    for i, char in enumerate(text):
        if char == '"':
            quoted = not quoted
        elif char == ";" and not quoted:
            parts.append(text[start:i])
            start = i + 1
    return [*parts, text[start:]]


def parse_received_spf(value: str) -> Method:
    """A Received-SPF header as the method it stands for (RFC 7208 9.1); postfix-policyd-spf writes these."""
    plain = uncommented(value)
    told = {key.lower(): _unquoted(text) for key, text in PAIR.findall(plain)}
    named = {"envelope-from": "smtp.mailfrom", "helo": "smtp.helo", "client-ip": "smtp.client-ip"}
    words = plain.split()
    result = words[0].lower() if words else "none"
    return Method("spf", result, "", {named[k]: v for k, v in told.items() if k in named})


def parse_policy(record: str) -> Policy | None:
    """A DMARC record, or None when it is none or malformed, which is the same to receivers (RFC 9989 4.7)."""
    try:
        return Policy(tags(record)) if is_dmarc(record) else None
    except TagError:
        return None


MOST_LABELS = 8  # RFC 9989 4.10: longer names are walked from their last seven labels


def _walk(domain: str) -> list[str]:
    labels = domain.split(".")
    shorter = labels[1:] if len(labels) < MOST_LABELS else labels[-(MOST_LABELS - 1) :]
    return [domain] + [".".join(shorter[i:]) for i in range(len(shorter))]


def organizational(domain: str, published: Published) -> str:
    """The organizational domain, by the DNS tree walk of RFC 9989 4.10."""
    found = domain
    for name in _walk(domain):
        policy = parse_policy(published(name) or "")
        if policy is None:
            continue
        public_suffix = policy.tags.get("psd", "u").lower()
        if public_suffix == "n":
            return name
        if public_suffix == "y" and name != domain:
            return _below(domain, name)
        found = name
    return found


def _below(domain: str, suffix: str) -> str:
    return ".".join(domain.split(".")[-(suffix.count(".") + 2) :])


@dataclass(frozen=True)
class Alignment:
    """Which authenticated domains align with the author domain; DMARC passes when there is any."""

    author: str
    spf: str = ""  # the MAIL FROM domain that passed and aligns
    dkim: tuple[str, ...] = ()  # the signing domains that passed and align

    def __bool__(self) -> bool:
        return bool(self.spf or self.dkim)

    def __str__(self) -> str:
        said = [f"SPF ({self.spf})"] * bool(self.spf) + [f"DKIM ({', '.join(self.dkim)})"] * bool(self.dkim)
        return " and ".join(said) or "nothing"


def align(author: str, spf: str, dkim: Iterable[str], published: Published) -> Alignment:
    """What aligns with the author domain, of the MAIL FROM domain and signing domains that passed (RFC 9989 4.4)."""
    walked = organizational(author, published)
    policy = parse_policy(published(author) or "") or parse_policy(published(walked) or "") or Policy({})

    def aligned(domain: str, tag: str) -> bool:
        strict = policy.tags.get(tag) == "s"
        return domain == author or (not strict and organizational(domain, published) == walked)

    return Alignment(
        author,
        spf if spf and aligned(spf, "aspf") else "",
        tuple(d for d in dict.fromkeys(dkim) if aligned(d, "adkim")),
    )
