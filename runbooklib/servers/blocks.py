"""Text files that an administrator may add to: one block a stage is ours, what stands outside our blocks stays."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable


def with_block(text: str, owner: str, lines: Iterable[str]) -> str:
    """The text with the lines between the owner's two marks replaced, appended where there are none."""
    first, last = f"# >>> {owner} (managed by mail-runbooks; edit outside of these marks)", f"# <<< {owner}"
    body = [*lines]
    block = "\n".join([first, *body, last]) + "\n" if body else ""
    marked = re.compile(rf"^# >>> {re.escape(owner)} .*?^# <<< {re.escape(owner)}\n?", re.MULTILINE | re.DOTALL)
    if marked.search(text):
        return marked.sub(lambda _: block, text, count=1)
    if not block:
        return text
    return text + ("\n" if text and not text.endswith("\n") else "") + block


def block(text: str, owner: str) -> list[str]:
    """The lines between the owner's marks."""
    found = re.search(rf"^# >>> {re.escape(owner)} .*?\n(.*?)^# <<< {re.escape(owner)}", text, re.MULTILINE | re.DOTALL)
    return found[1].splitlines() if found else []


def outside(text: str, owner: str) -> list[str]:
    """The lines that are not the owner's, comments and empty ones left out."""
    rest = with_block(text, owner, ()).splitlines()
    return [line for line in rest if line.strip() and not line.lstrip().startswith("#")]


def difference(old: str | None, new: str) -> str:
    """What changes in a text file, in a few lines."""
    if old is None:
        return f"new, {len(new.splitlines())} lines"
    lines = list(difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=0))[2:]
    kept = [line for line in lines if not line.startswith("@@")]
    return "\n".join([*kept[:12], *(["…"] if len(kept) > 12 else [])])  # noqa: PLR2004 - a plan is read by people
