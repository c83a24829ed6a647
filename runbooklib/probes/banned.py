"""Whom fail2ban keeps out, where there is one."""

from __future__ import annotations

from runbooklib.host import Answer
from runbooklib.probes.mailflow import UnseenError

# A line a jail that reads a log of mail: its name and the addresses it bans.
SCRIPT = r"""command -v fail2ban-client >/dev/null || exit 0
said=$(fail2ban-client ping 2>&1) || { case "$said" in *ermission*) echo "$said"; exit 1;; esac; exit 0; }
for j in $(fail2ban-client status | sed -n 's/.*Jail list:[[:space:]]*//p' | tr -d ,); do
  echo "$j $(fail2ban-client status "$j" | sed -n 's/.*Banned IP list:[[:space:]]*//p')"
done"""
MOST = 200  # addresses of a jail


def bans(told: Answer) -> dict[str, list[str]]:
    """The banned addresses of each jail that bans some; none where nothing bans.

    Raises UnseenError where fail2ban does not answer us.
    """
    if not told.ok:
        raise UnseenError(f"fail2ban: {told.out.strip() or 'no answer'}")
    jails = {
        jail: addresses.split()[:MOST] for jail, _, addresses in (ln.partition(" ") for ln in told.out.splitlines())
    }
    return {jail: addresses for jail, addresses in jails.items() if addresses}
