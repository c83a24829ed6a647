"""What a receiver says about authentication (RFC 8601): header text in, values out.

Nothing here raises on hostile input.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

PAIR = re.compile(r'([A-Za-z0-9_.-]+)(?:\s*/\s*\d+)?\s*=\s*("(?:\\.|[^"\\])*"|[^\s;]+)')
CLIENT = re.compile(r"(?:sender IP is|designates?|discourages use of) \[?([0-9A-Fa-f.:]+)")  # in SPF's comment
NAMELESS = re.compile(r"\s*(?:spf|dkim|dmarc|arc|compauth)\s*=")


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
    """An Authentication-Results value; what cannot be read is left out (RFC 8601 2.2).

    Exchange Online writes none of its own name: its first part is a method already.
    """
    head, *infos = _split(uncommented(value))
    if NAMELESS.match(head):
        head, infos = "", [head, *infos]
    words = head.replace('"', " ").split()
    methods = (_method(info) for info in infos)
    seen = CLIENT.search(value)
    return Results(
        words[0].lower() if words else "", tuple(_of_client(m, seen[1] if seen else "") for m in methods if m)
    )


def _of_client(method: Method, address: str) -> Method:
    """An SPF result with the address it is about, which most receivers only say in a comment."""
    if method.name != "spf" or not address or "smtp.client-ip" in method.properties:
        return method
    return replace(method, properties=method.properties | {"smtp.client-ip": address})


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
