"""A params file in the making: what was typed becomes a mapping, and that commented YAML; only `write` touches disk."""

from __future__ import annotations

import copy
import math
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import yaml

from runbooklib.credentials import FORM
from runbooklib.form.entries import ENTRIES, PROVIDERS, RELAY, Entry, Values, server
from runbooklib.params import DOCKER_MAILSERVER, UNKNOWN_KEY, Domain, Mail, Model, ParamsError, Server, Site, problems
from runbooklib.places import project_root
from runbooklib.results import RunbookError

FILE_NAME = re.compile(r"(~/)?[A-Za-z0-9_./@ -]{1,200}\.ya?ml")
EMPTY: dict[str, Any] = {
    "server": {},
    "mail": {"server": DOCKER_MAILSERVER, "tls": {}, "filter": "dnsbl"},
    "domains": [{"mailboxes": [{}], "dmarc": {"policy": "none"}}],
    "dns": {"publish": "by-hand"},
}
SECRET_KEYS = {"password", "api_key", "secret", "secrets"}  # a test compares them with the model
NOT_SHOWN = "‹not shown: write env:NAME, file:PATH or keyring:SERVICE/USER›"
SECTION_NAMES = {"smtp": "smarthost"}
HEAD = "# Written by the form of 00-start. Secrets are references: the values stay where the references point.\n"


class DraftError(RunbookError):
    """The file cannot be written there; nothing was touched."""


def steps(path: str) -> list[str | int]:
    """`domains[0].name` as the keys and indices that lead there."""
    return [int(i) if i else key for key, i in re.findall(r"([^.\[\]]+)|\[(\d+)\]", path)]


def dotted(path: list[str | int]) -> str:
    """The same the other way, as problems name it."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")


def value_at(node: Any, path: list[str | int]) -> Any:
    """What stands there; None where nothing does or the way there has another shape."""
    for step in path:
        fits = isinstance(node, dict) if isinstance(step, str) else isinstance(node, list) and step < len(node)
        if not fits:
            return None
        node = node.get(step) if isinstance(step, str) else node[step]
    return node


def put(node: Any, path: list[str | int], value: Any) -> None:
    """Sets a value, making the sections on the way."""
    for step, following in pairwise(path):
        inner = value_at(node, [step])
        if not isinstance(inner, dict if isinstance(following, str) else list):
            inner = {} if isinstance(following, str) else []
            _set(node, step, inner)
        node = inner
    _set(node, path[-1], value)


def _set(node: Any, step: str | int, value: Any) -> None:
    if isinstance(step, int) and step >= len(node):
        node.append(value)
    else:
        node[step] = value


def drop(node: Any, path: list[str | int]) -> None:
    """Takes a value away, and every section that this leaves empty."""
    for end in range(len(path), 0, -1):
        parent = value_at(node, path[: end - 1])
        emptied = end == len(path) or value_at(node, path[:end]) in ({}, [])
        if not emptied or value_at(node, path[:end]) is None:
            return
        del parent[path[end - 1]]


def section(base: Mapping[str, Any], provider: str) -> str:
    """The name under relays: the one the domain uses if it is this provider's, else a free or fitting one."""
    relays, used = base.get("relays"), value_at(base, steps(RELAY))
    known = {k: value_at(v, ["provider"]) for k, v in relays.items()} if isinstance(relays, dict) else {}
    if isinstance(used, str) and known.get(used) == provider:
        return used
    name = SECTION_NAMES.get(provider, provider)
    names = (name if n == 1 else f"{name}-{n}" for n in count(1))
    return next(n for n in names if known.get(n, provider) == provider)


def place(base: Mapping[str, Any], entry: Entry) -> list[str | int]:
    """Where the entry's value stands in this file."""
    found = steps(entry.path)
    return [found[0], section(base, str(found[1])), *found[2:]] if found[0] == "relays" else found


def values(base: Mapping[str, Any]) -> dict[str, str | bool]:
    """What the form shows for a file."""
    return {entry.path: _shown(base, entry) for entry in ENTRIES}


def _shown(base: Mapping[str, Any], entry: Entry) -> str | bool:
    found = value_at(base, place(base, entry))
    if entry.kind == "tick":
        return found is True
    if entry.path == RELAY and found != "direct":
        found = value_at(base, ["relays", str(found), "provider"])
    said = "" if found is None or isinstance(found, dict | list) else str(found)
    return said if entry.kind != "choice" or said in entry.choices else ""


def asked(entry: Entry, said: Values) -> bool:
    """Whether the entry applies to what has been said so far."""
    return known(entry, said) and (entry.when is None or entry.when(said))


def known(entry: Entry, said: Values) -> bool:
    """Whether the chosen mail server knows the entry at all."""
    return not entry.servers or server(said) in entry.servers


def derived(said: Values) -> dict[str, str]:
    """What an empty answer means, where another answer tells."""
    domain = str(said.get("domains[0].name", "")).strip()
    hostname = str(said.get("server.hostname", "")).strip() or (f"mail.{domain}" if domain else "")
    return {
        "name": domain.partition(".")[0],
        "server.hostname": hostname,
        "server.host": str(said.get("server.ipv4", "")).strip(),
        "mail.directory": f"/opt/{hostname}" if hostname and server(said) == DOCKER_MAILSERVER else "",
    }


def build(base: Mapping[str, Any], said: Values) -> dict[str, Any]:
    """The file's mapping with what was said in it; what was not changed stays as it was."""
    built: dict[str, Any] = copy.deepcopy(dict(base))
    before, meant = values(base), derived(said)
    for entry in (e for e in ENTRIES if asked(e, said)):
        value = _clean(said.get(entry.path, ""))
        value = meant.get(entry.path, "") if value == "" else value
        if value != before[entry.path]:
            _answer(built, base, entry, value)
    for entry in (e for e in ENTRIES if not known(e, said)):
        drop(built, steps(entry.path))  # left from another mail server, and refused with this one
    if server(said) != DOCKER_MAILSERVER and value_at(built, ["mail", "tls"]) == {}:
        drop(built, ["mail", "tls"])
    for path, model in (("server", Server), ("mail", Mail), ("domains[0]", Domain)):
        if isinstance(value_at(built, steps(path)), dict):
            put(built, steps(path), _ordered(value_at(built, steps(path)), model))
    return _ordered(built, Site)


def _ordered(node: dict[str, Any], model: type[Model]) -> dict[str, Any]:
    """The keys as the model has them, so that a new file reads like the documentation."""
    known = [k for k in model.model_fields if k in node]
    return {k: node[k] for k in [*known, *(k for k in node if k not in known)]}


def _clean(value: str | bool) -> str | bool:
    return value.strip() if isinstance(value, str) else value


def _answer(built: dict[str, Any], base: Mapping[str, Any], entry: Entry, value: str | bool) -> None:
    where = place(base, entry)
    if value in ("", False):
        drop(built, where)
    elif entry.path == RELAY:
        _choose_relay(built, base, str(value))
    else:
        put(built, where, int(value) if entry.kind == "number" and re.fullmatch("[0-9]{1,6}", str(value)) else value)


def _choose_relay(built: dict[str, Any], base: Mapping[str, Any], provider: str) -> None:
    name = "direct" if provider == "direct" else section(base, provider)
    put(built, steps(RELAY), name)
    if provider in PROVIDERS[:-1]:
        put(built, ["relays", name, "provider"], provider)


def text(mapping: Mapping[str, Any]) -> str:
    """The params file as YAML, each value the form asks for with its hint as a comment."""
    lines = _dump(mapping).removesuffix("\n").split("\n")
    hints = {tuple(place(mapping, e)): e.hint for e in ENTRIES}
    tree = yaml.compose("\n".join(lines), Loader=yaml.SafeLoader)
    for path, line in _leaves(tree, ()):
        hint = hints.get(path[1:])
        if hint:
            lines[line] = f"{lines[line]}  # {hint}"
    return HEAD + re.sub(r"\n(?=  \w)", "\n\n", "\n".join(lines)).replace("\n\n", "\n", 1) + "\n"


class _Dumper(yaml.SafeDumper):
    """PyYAML reads NEL and its like back as something else unless they are escaped."""

    def represent_str(self, data: str) -> yaml.ScalarNode:
        style = '"' if re.search("[\x85\u2028\u2029]", data) else None
        return self.represent_scalar("tag:yaml.org,2002:str", data, style)


_Dumper.add_representer(str, _Dumper.represent_str)


def _dump(mapping: Mapping[str, Any]) -> str:
    written: str = yaml.dump(
        {"site": dict(mapping)}, None, _Dumper, sort_keys=False, allow_unicode=True, width=math.inf
    )
    return written


def _leaves(node: Any, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], int]]:
    """The path and line of every value that begins and ends on one line."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _leaves(value, (*path, str(key.value)))
    elif isinstance(node, yaml.SequenceNode):
        for i, value in enumerate(node.value):
            yield from _leaves(value, (*path, i))
    elif node.start_mark.line == node.end_mark.line:
        yield path, node.start_mark.line


def preview(mapping: Mapping[str, Any]) -> str:
    """The text as it may be shown: a secret that is no reference stays out, and so does what no key explains."""
    shown = _hidden(mapping)
    for path in (steps(path) for path, said in problems(mapping) if said == UNKNOWN_KEY):
        if value_at(shown, path) is not None:
            put(shown, path, NOT_SHOWN)
    return text(shown)


def _hidden(node: Any, key: object = None) -> Any:
    if isinstance(node, Mapping):
        return {k: _hidden(v, key if key in SECRET_KEYS else k) for k, v in node.items()}
    if key in SECRET_KEYS and node is not None and not (isinstance(node, str) and FORM.match(node)):
        return NOT_SHOWN
    return [_hidden(v) for v in node] if isinstance(node, list) else node


def target(path: str) -> Path:
    """Where a path typed into the form leads: from the project's root, unless it says more.

    Raises DraftError when it is no name for a params file.
    """
    if not FILE_NAME.fullmatch(path.strip()):
        raise DraftError("the file's name ends in .yaml and has letters, digits, dots, dashes and slashes only")
    return project_root() / Path(path.strip()).expanduser()


def exists(path: Path) -> bool:
    """Whether something is there already, as far as this user can tell."""
    try:
        return path.exists()
    except OSError:
        return False


def write(path: Path, mapping: Mapping[str, Any], *, replace: bool = False) -> None:
    """Writes the file whole or not at all, readable by its owner only.

    Raises ParamsError when it is not valid, DraftError when it must not or cannot be written.
    """
    written = text(mapping)
    wrong = problems(yaml.safe_load(written)["site"])
    if wrong:
        raise ParamsError(str(path), wrong)
    if exists(path) and not replace:
        raise DraftError(f"{path} exists and was left as it is: tick “replace it” or choose another name")
    try:
        _store(path, written)
    except OSError as error:
        raise DraftError(f"{path} cannot be written: {error.strerror}") from None


def _store(path: Path, written: str) -> None:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # made with mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(written)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
