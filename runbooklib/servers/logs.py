"""The newest end of a log on a server, through the files it was rotated into; never a whole log."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from runbooklib.host import Answer

OCTETS = 1_000_000  # of the newest end
MINUTES = 1440  # a rotated file that was written last before that is not read
MARK = "\x1c"  # between files; no log holds it
# The first of the named files that is there, then what it was rotated into, the newest first; nothing precedes a
# compressed file, as that is read until seconds or octets are over.
SCRIPT = """left=$1; minutes=$2; shift 2
for base do [ -f "$base" ] && break; done
{ echo "$base"; ls -t -- "$base"[.-]* 2>/dev/null; } | while read -r f && [ "$left" -gt 0 ]; do
  [ -f "$f" ] || continue
  [ "$f" = "$base" ] || [ -n "$(find "$f" -mmin "-$minutes")" ] || break
  printf '\\034'
  case "$f" in
    *.gz) timeout 5 zcat -- "$f" | tail -c "$left"; break;;
    *.xz) timeout 5 xzcat -- "$f" | tail -c "$left"; break;;
    *.zst) timeout 5 zstdcat -- "$f" | tail -c "$left"; break;;
  esac
  tail -c "$left" -- "$f"
  left=$((left - $(wc -c < "$f")))
done"""


def read(run: Callable[[Sequence[str]], Answer], *files: str) -> str:
    """The end of the first of these logs that is there, oldest line first; empty where there is none."""
    return joined(run(("sh", "-c", SCRIPT, "log", str(OCTETS), str(MINUTES), *files)).out)


def joined(told: str) -> str:
    """Files as they came, the newest first, each begun by a mark, as one log."""
    files = told.split(MARK)[:0:-1]
    return "".join(text if text.endswith("\n") or not text else f"{text}\n" for text in files)
