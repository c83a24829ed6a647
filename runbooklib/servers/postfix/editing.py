"""One change of a running Postfix, done as a whole or not at all: backed up, written, checked, then reloaded.

Postfix's programs read main.cf whenever one of them starts, so half a change would already act. A step is one script
on the server that ends with everything in place or with everything as it was, also when the connection breaks.
"""

from __future__ import annotations

import io
import re
import shlex
import tarfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from runbooklib.host import Host, HostError
from runbooklib.results import Change

# Tables that `postmap -q` can open as they stand; one that is missing stops Postfix's programs, not `postfix check`.
TABLE = re.compile(r"\b(?!unix:|file:)[a-z]+:/[^\s,{}]+")
RELOAD = "if postfix status >/dev/null 2>&1; then postfix reload; fi"
REFUSED = 65  # the script's status where a check said no and what stood before is back
UNPACK = 'umask 077; d=$(mktemp -d) && trap \'rm -rf "$d"\' EXIT && tar -C "$d" -xpf - && sh "$d/do" "$d"'
# What stood before goes to before/: the files themselves, with owner, mode and time, and the names of absent ones.
UNDO = """#!/bin/sh
# Written by mail-runbooks: puts back what stood before its last change of this Postfix.
set -e
cd "$(dirname "$0")"
(cd files && find . ! -type d) | sed 's/^[.]//' | while IFS= read -r f; do
  cp -a "files$f" "$f.restored" && mv -f "$f.restored" "$f"
done
while IFS= read -r f; do rm -f "$f"; done <absent
[ "$1" = files ] || sh ./then
"""
STEP = """set -e
new=$1 keep={directory}/before
[ -d {directory} ] || install -d -m 0755 {directory}
rm -rf "$keep.new"; mkdir -p "$keep.new/files"; : >"$keep.new/absent"
save() {{
  if [ ! -e "$1" ]; then echo "$1" >>"$keep.new/absent"; return; fi
  mkdir -p "$keep.new/files${{1%/*}}"; cp -a "$1" "$keep.new/files$1"
}}
config=$(postconf -h config_directory)
for f in "$config/main.cf" "$config/master.cf" {paths}; do save "$f"; done
# What `postconf` leaves behind when it does not like what it was given.
for f in "$config/main.cf.tmp" "$config/master.cf.tmp"; do save "$f"; done
cp "$new/undo" "$new/then" "$keep.new"; rm -rf "$keep"; mv "$keep.new" "$keep"
step=write
fall_back() {{
  case $step in
    write) sh "$keep/undo" files; {reload};;
    then) sh "$keep/undo";;
  esac >/dev/null 2>&1 || echo "and could not be put back, which stands in $keep"
}}
trap fall_back EXIT
said=$(sh -e "$new/write" "$new" </dev/null 2>&1) || {{ echo "$said"; exit {refused}; }}
step=then
# To a file: a service that starts here keeps what it was given as its output.
sh "$keep/then" </dev/null >"$new/said" 2>&1 || {{ cat "$new/said"; exit {refused}; }}
step=
"""
WRITE = """new=$1
put() {{ (umask 022; mkdir -p "$(dirname "$2")"); cp -a "$new/$1" "$2.written"; mv -f "$2.written" "$2"; }}
# `postfix` speaks to a terminal only; its words are why somebody reads this.
spoken() {{ if command -v script >/dev/null; then script -qec "$1" /dev/null; else sh -c "$1"; fi; }}
opens() {{
  said=$(postmap -q runbook@localhost "$1" 2>&1 >/dev/null) || true
  case $said in *fatal:*|*error:*) echo "$said"; return 1;; esac
}}
{writes}
postconf -n >/dev/null
postconf -M >/dev/null
spoken 'postfix check'
{checks}
"""


class RefusedError(HostError):
    """The new configuration was refused by Postfix's own check, and what stood before is back."""

    check = "postfix.check"


@dataclass(frozen=True)
class Part(Change):
    """One line of a step; it is done by the PostfixChange that stands before it."""

    def do(self, host: Host) -> None:
        """Nothing is left to do: alone it would be half a change."""

    def files(self) -> tuple[str, ...]:
        """What will be another file afterwards, besides main.cf and master.cf."""
        return ()

    def commands(self, number: int) -> tuple[str, ...]:
        """The shell's words for it; `number` names what `content` put into the archive."""
        raise NotImplementedError

    def opened(self) -> tuple[str, ...]:
        """The tables Postfix opens because of it."""
        return ()


@dataclass(frozen=True)
class Parameter(Part):
    """A parameter of main.cf; None takes it out, so that Postfix's default holds."""

    name: str = ""
    value: str | None = None

    def commands(self, number: int) -> tuple[str, ...]:
        del number
        if self.value is None:
            return (f"postconf -X {shlex.quote(self.name)}",)
        return (f"postconf -e {shlex.quote(f'{self.name}={self.value}')}",)

    def opened(self) -> tuple[str, ...]:
        return tuple(TABLE.findall(self.value or ""))


@dataclass(frozen=True)
class Service(Part):
    """A service of master.cf, by name/type; None takes it out."""

    name: str = ""
    entry: str | None = None

    def commands(self, number: int) -> tuple[str, ...]:
        del number
        if self.entry is None:
            return (f"postconf -MX {shlex.quote(self.name)}",)
        return (f"postconf -M {shlex.quote(f'{self.name}={self.entry}')}",)

    def opened(self) -> tuple[str, ...]:
        return tuple(TABLE.findall(self.entry or ""))


@dataclass(frozen=True)
class Content(Part):
    """A file that will be written whole; None takes it away."""

    path: str = ""
    content: bytes | None = field(default=None, repr=False)
    mode: int = 0o644
    owner: str = "root:root"

    def files(self) -> tuple[str, ...]:
        return (self.path,)

    def commands(self, number: int) -> tuple[str, ...]:
        path = shlex.quote(self.path)
        if self.content is None:
            return (f"rm -f {path}",)
        return (f"chown {shlex.quote(self.owner)} $new/{number}", f"put {number} {path}")


@dataclass(frozen=True)
class PostfixChange(Change):
    """Parts that go live together; a check that says no leaves the very bytes that stood before."""

    directory: str = ""
    edits: tuple[Part, ...] = ()
    checks: tuple[str, ...] = ()  # shell commands beside Postfix's own
    then: tuple[str, ...] = (RELOAD,)
    timeout: float = 120.0
    fix: str = "correct what it says, in params or on the server, and run this stage again"

    def do(self, host: Host) -> None:
        """Raises RefusedError when a check says no."""
        answer = host.run(("sh", "-c", UNPACK), self.archive(), self.timeout, check=False)
        if answer.ok:
            return
        said = (answer.out + answer.err).replace("\r", "").strip()[-2000:]
        back = "nothing was changed" if answer.status != REFUSED else "what stood before is back"
        raise RefusedError(f"the new configuration was refused, {back}: {said}")

    def archive(self) -> bytes:
        """Everything the server needs for the step, as a tar: nothing of it stands in a process's arguments."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            for name, content, mode in self._entries():
                entry = tarfile.TarInfo(name)
                entry.size, entry.mode, entry.mtime = len(content), mode, int(time.time())
                tar.addfile(entry, io.BytesIO(content))
        return buffer.getvalue()

    def _entries(self) -> Iterable[tuple[str, bytes, int]]:
        yield "do", self.script().encode(), 0o600
        yield "write", self.writing().encode(), 0o600
        yield "undo", UNDO.encode(), 0o700
        yield "then", "\n".join(("set -e", *self.then, "")).encode(), 0o600
        for number, part in enumerate(self.edits):
            if isinstance(part, Content) and part.content is not None:
                yield str(number), part.content, part.mode

    def script(self) -> str:
        """The step around what is written: backup before, reload or restore after."""
        paths = shlex.join(path for part in self.edits for path in part.files())
        return STEP.format(directory=shlex.quote(self.directory), paths=paths, reload=RELOAD, refused=REFUSED)

    def writing(self) -> str:
        """What is written and then checked; it holds no secret."""
        opened = dict.fromkeys(table for part in self.edits for table in part.opened())
        return WRITE.format(
            writes="\n".join(line for n, part in enumerate(self.edits) for line in part.commands(n)),
            checks="\n".join((*(f"opens {shlex.quote(table)}" for table in opened), *self.checks)),
        )


def together(
    order: int,
    parts: Iterable[Part],
    directory: str,
    *,
    checks: Sequence[str] = (),
    then: Sequence[str] = (RELOAD,),
    target: str = "Postfix",
    why: str = "one step: backed up, written, checked; a check that says no leaves everything as it was",
) -> tuple[Change, ...]:
    """The step and, after it, a row for each of its parts; no part, no step."""
    rows = tuple(replace(part, order=order + 1) for part in parts)
    if not rows:
        return ()
    undo = f"sh {PurePosixPath(directory) / 'before/undo'}"
    after = f"{len(rows)} changes, checked, then reloaded"
    step = PostfixChange(
        order, target, "as it runs", after, why, undo, directory=directory, edits=rows, checks=(*checks,), then=(*then,)
    )
    return (step, *rows)


def parameter(standing: str | None, name: str, value: str | None, why: str) -> tuple[Parameter, ...]:
    """The change of a parameter from what main.cf says, None where it says nothing; no change where it says so."""
    if standing == value or (standing is not None and value is not None and standing.split() == value.split()):
        return ()
    default = "default"
    return (
        Parameter(
            0, f"main.cf: {name}", _shown(standing, default), _shown(value, default), why, name=name, value=value
        ),
    )


def service(standing: str | None, name: str, entry: str | None, why: str) -> tuple[Service, ...]:
    """The change of a service of master.cf, by name/type as in submission/inet; none where it stands so."""
    if (standing or "").split() == (entry or "").split():
        return ()
    return (
        Service(
            0, f"master.cf: {name}", _shown(standing, "absent"), _shown(entry, "absent"), why, name=name, entry=entry
        ),
    )


def _shown(value: str | None, absent: str) -> str:
    return absent if value is None else " ".join(value.split()) or "empty"
