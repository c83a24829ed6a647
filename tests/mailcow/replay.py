"""The transcripts' requests, sent again in their order, and what came back beside what mailcow printed then.

What varies is marked in the data: <moment>, <key>, numbers such as <relayhost 4>, made-up domains such as <org>, which
here carry the run's id, and the relays, which stand on loopback or nowhere.
"""

from __future__ import annotations

import html
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from herds import TRIED, Herd, encoded

CASES: list[dict[str, Any]] = json.loads((Path(__file__).parent / "transcripts.json").read_text())
# In the order of their names in the transcripts, so that lists keep theirs.
DOMAINS = (
    "absent",
    "org",
    "form",
    "gmail",
    "gmx",
    "min",
    "nodkim",
    "nokey",
    "quota",
    "ro",
    "sogo",
    "upper",
    "x",
    "yahoo",
)
PAGE = {"<page recipient>": "null@hosted.mailcow.de", "<page sender>": "relay@example.org"}
VARYING = {
    "<moment>": r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d",
    "<key>": r"[A-Za-z0-9+/\\]{100,}=*",
    "<epoch>": r"\d+",
    "<date>": r"\w{3}, [\d ]?\d \w{3} \d{4} [\d:]{8} [+-]\d{4}",
    "<token>": r"\w+",
    "<why>": r"[\w ]+",
    "<remote>": r"[\w.:]+",
}
ABSENT = 2147483600  # a number no row has
EVERYBODY = re.compile(r"/get/(domain|alias|relayhost|transport|tls-policy-map)/all$")
IDENTITY = {"relayhost": "relayhost", "transport": "transport", "tls-policy-map": "policy"}
MADE_BY = {"add/relayhost": "relayhost", "add/transport": "transport", "add/tls-policy-map": "policy"}


@dataclass
class Replay:
    """One pass over all cases."""

    herd: Herd
    ports: dict[int, int]  # of the relays here; empty: none listens
    numbers: dict[str, list[int]] = field(default_factory=lambda: {"alias": [], **{k: [] for k in IDENTITY.values()}})
    problems: dict[int, str] = field(default_factory=dict)
    skipped: dict[int, str] = field(default_factory=dict)
    older: dict[str, set[int]] = field(default_factory=dict)  # rows that were there before

    def run(self) -> Replay:
        assert self.herd.get(f"relayhost/{ABSENT}") == {}
        self.older = {route: {row["id"] for row in self._rows(route)} for route in IDENTITY}
        for case in CASES:
            self._before(case)
            reason = self._unfit(case)
            if reason:
                self.skipped[case["number"]] = reason
                continue
            problem = self._send(case)
            if problem:
                self.problems[case["number"]] = problem
        return self

    def _unfit(self, case: dict[str, Any]) -> str:
        real = case.get("real", "")
        if case.get("key") == "ro" and not self.herd.ro_key:
            return "needs a read-only key: MAILCOW_API_KEY_RO"
        if self.herd.double is None and real and real != "shape":
            return f"not on a real mailcow: {real}"
        unsure = self.herd.double is None and case.get("key") in {"wrong", "lower"}
        return TRIED if unsure and not self.herd.may_try() else ""

    def _before(self, case: dict[str, Any]) -> None:
        """Rows that the transcripts made between two numbers."""
        if "before" in case:
            self._note(body := self.filled(case["before"]), "add/relayhost")
            self.herd.ask("POST", "/api/v1/add/relayhost", json=json.loads(body))
            self._learn("add/relayhost")

    def _send(self, case: dict[str, Any]) -> str:
        body, route = self.filled(case.get("body", "")), case["path"].removeprefix("/api/v1/")
        if route.startswith("add/"):
            self._note(body.removeprefix("attr="), route)
        path, _, query = self.filled(case["path"]).partition("?")
        answer = self.herd.ask(
            case["method"],
            path,
            self._key(case),
            params=dict(pair.split("=") for pair in query.split("&")) if query else None,
            content=body.encode() if body else None,
            headers=self._headers(case),
        )
        self._learn(route, answer.text)
        return self._difference(case, answer.status_code, answer.headers.get("content-type", ""), answer.text)

    def _key(self, case: dict[str, Any]) -> str:
        kind = case.get("key", "rw")
        return {
            "rw": self.herd.key,
            "ro": self.herd.ro_key,
            "none": "",
            "wrong": "WRONG0-WRONG0-WRONG0-WRONG0-WRONG0",
            "lower": self.herd.key.lower(),
        }[kind]

    def _headers(self, case: dict[str, Any]) -> dict[str, str]:
        name, _, value = case.get("header", "").partition(": ")
        kind = {"Content-Type": case["content_type"]} if "content_type" in case else {}
        return kind | ({name: value} if name else {})

    def _note(self, text: str, route: str) -> None:
        """Into the ledger, before it is made."""
        try:
            body = json.loads(text)
        except ValueError:
            return
        if route in {"add/domain", "add/dkim", "add/dkim_duplicate"}:
            for name in (body.get("domain"), body.get("domains"), *body.get("to_domain", [])):
                if name and self.herd.run in name.lower():
                    self.herd.ledger.note("domain", name.strip().lower())
        elif route == "add/relayhost" and body.get("hostname"):
            names = body["hostname"], body.get("username", "")
            if self.herd.double is None or self.herd.run in "".join(names):  # a relay here without a login has no id
                self.herd.ledger.note("relayhost", *names)
        elif route == "add/transport":
            for name in body["destination"].split(" "):
                self.herd.ledger.note("transport", name)
        elif route == "add/tls-policy-map":
            self.herd.ledger.note("policy", body["dest"])

    def _learn(self, route: str, text: str = "") -> None:
        """The numbers of what was made: an alias's is told, others are looked for."""
        if route == "add/alias":
            self.numbers["alias"] += [int(n) for n in re.findall(r'"alias_added","[^"]*","(\d+)"', text)]
        elif route in MADE_BY:
            known, kind = self.numbers[MADE_BY[route]], route.removeprefix("add/")
            ours = [row for row in self._rows(kind) if self.herd.double or self.herd.run in json.dumps(row)]
            known += [row["id"] for row in ours if row["id"] not in {*known, *self.older[kind]}]

    def _rows(self, route: str) -> list[dict[str, Any]]:
        found = self.herd.get(f"{route}/all")
        return found if isinstance(found, list) else []

    def filled(self, text: str) -> str:
        """A request, or an answer as it would be here, what varies still marked."""
        for name in DOMAINS:
            text = text.replace(f"<{name}>", self.domain(name))
        for name in ("not", "a", "domain"):
            text = text.replace(f"<{name}>", f"{name}-{self.herd.run}")
        for mark, word in (PAGE | self._places()).items():
            text = text.replace(mark, word)
        text = re.sub(r"<sink>:(\d+)", lambda m: self._relay(int(m[1])), text)
        text = re.sub(r"\[<sink>\]:(\d+)", lambda m: self._relay(int(m[1]), brackets=True), text)
        return re.sub(r'"?<(relayhost|alias|transport|policy) (\d+)>"?', self._number, text)

    def _places(self) -> dict[str, str]:
        run = self.herd.run
        return {
            "<UPPER>": self.domain("upper").title(),
            "<hostname>": self.herd.double.hostname if self.herd.double else "",
            "[<sink2>]": f"[{self.herd.relay('relay2')}]",
            "<plain>": self.herd.relay(),
            "<unresolved>": f"relay-{run}.invalid",
            "<relayuser>": f"relayuser-{run}",
            "<absent id>": str(ABSENT),
        }

    def domain(self, name: str) -> str:
        """A letter keeps the transcripts' order."""
        return self.herd.domain(f"{chr(97 + DOMAINS.index(name))}-{name}")

    def _relay(self, port: int, *, brackets: bool = False) -> str:
        nobody = port == 2599
        host = "127.0.0.1" if self.ports or nobody else self.herd.relay()
        here = self.ports.get(port, 1 if nobody else port)
        return f"[{host}]:{here}" if brackets else f"{host}:{here}"

    def _number(self, match: re.Match[str]) -> str:
        known = self.numbers[match[1]]
        number = str(known[int(match[2]) - 1]) if int(match[2]) <= len(known) else "<unknown>"
        return match[0].replace(f"<{match[1]} {match[2]}>", number)

    def _difference(self, case: dict[str, Any], status: int, kind: str, text: str) -> str:
        if (status, kind.lower()) != (case["status"], case["type"].lower()):
            return f"{status} {kind}, not {case['status']} {case['type']}: {text[:500]}"
        if self.herd.double is None and case.get("real") == "shape":
            same = type(json.loads(text)) is type(_loaded(case))
            return "" if same else f"of another shape: {text[:500]}"
        seen = rendered(text) if "rendered" in case else self._ours(case["path"], text)
        wanted = self.filled(case.get("answer", case.get("starts", case.get("rendered"))))
        pattern = re.escape(wanted)
        for mark, varying in VARYING.items():
            pattern = pattern.replace(re.escape(mark), varying)
        match = re.match(pattern, seen) if "starts" in case else re.fullmatch(pattern, seen)
        return "" if match else f"expected\n{wanted}\nbut it was\n{seen}"

    def _ours(self, path: str, text: str) -> str:
        """A list without what others have; nothing left reads as nothing there."""
        listed = EVERYBODY.search(path)
        rows = json.loads(text) if listed and text else None
        if not isinstance(rows, list) or listed is None:
            return text
        kind = listed[1]
        if kind in IDENTITY:
            mine = [row for row in rows if row["id"] in self.numbers[IDENTITY[kind]]]
        else:
            names = {self.domain(name) for name in DOMAINS}
            mine = [row for row in rows if row["domain_name" if kind == "domain" else "domain"] in names]
        return encoded(mine) if mine else "{}"


def _loaded(case: dict[str, Any]) -> Any:
    return {} if "starts" in case else json.loads(case["answer"])


def rendered(page: str) -> str:
    """The relay test's page as text, without its options and the message's header."""
    lines = [html.unescape(re.sub(r"<[^>]+>", "", line)) for line in page.split("<br>")]
    kept, options = [], False
    for line in lines:
        options = options or line.startswith("Connection: opening to ")
        if not options and not re.match(r"CLIENT -> SERVER: [A-Z][\w-]+: ", line):
            kept.append(line)
        options = options and line != ")"
    return "\n".join(kept).rstrip("\n")
