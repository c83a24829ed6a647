"""Every stage on a mailcow that is reached through its API alone, once, applied."""

from __future__ import annotations

from pathlib import Path

import rehearsal
from rehearsed import Rehearsed

PARAMS = Path(__file__).parents[2] / "params" / "rehearsal-mailcow.yaml"
# What an API cannot tell, and what a person has to send first.
UNTOLD = {"server.public-ipv4", "relay.direct-25", "evidence.machine"}
UNTOLD |= {f"send.webmail {domain}" for domain in ("harbour.example", "pier.example")}


def test_every_stage_on_a_mailcow(clean: Rehearsed, tmp_path: Path) -> None:
    ran = rehearsal.run(clean, tmp_path, "--apply", params=PARAMS)
    assert ran.status == 0, ran.output
    rows = [row for walk in ran.last.values() for row in walk["checks"]]
    assert not [row for row in rows if row["status"] in {"fail", "pending"}]
    assert {row["name"] for row in rows if row["status"] == "unknown"} == UNTOLD
    assert list(ran.last) == ["01-bootstrap", "02-relay", "03-dkim", "04-dns", "05-send", "06-troubleshoot"]
    routes = {row["name"]: row["observed"] for row in rows if row["name"].startswith("relay.route ")}
    assert "name.mxrouting.example" in routes["relay.route harbour.example"]
    assert "smtp.resend.example" in routes["relay.route pier.example"]
