"""Whether strangers can deliver a domain's mail to this server, before its MX is led here; nothing is sent."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace

from runbooklib import endpoint
from runbooklib.answers import Answer, Question
from runbooklib.endpoint import Endpoint, EndpointError, Reply
from runbooklib.params import Domain, Site
from runbooklib.probes.policies import kept_out
from runbooklib.records import Observed, Wanted, reception_row
from runbooklib.records.rules.receiving import NOBODY, host, others
from runbooklib.results import Check, Checklist, Status

SMTP = 25
SECONDS = 20.0  # a postscreen greets a new client after 6 s
BLOCKED = "blocked using"  # postscreen, of a client on a DNS blocklist, as many private lines are
REF = "RFC 5321 4.1.1.3"
OUTSIDE = (
    "walk 04-dns from a machine outside that may speak to port 25, with test.smtp25: true, or change the MX yourself"
)


Admission = Callable[[Site, Domain], tuple[Status, str]]


def reception(site: Site, have: Observed, port: int = SMTP, policy: Admission = kept_out) -> Checklist:
    """A row for each domain that is to take over the MX of others or gets its first; asks nobody where there is none.

    Whom nobody delivered to until now needs no proof but that no policy of earlier days shuts the new host out.
    """
    moving = [d for d in site.domains if d.take_over_mx and _received_elsewhere(site, d, have)]
    first = [d for d in site.domains if _received_nowhere(d, have)]
    rows = [_row(site, d, port, policy) for d in moving] + [_first(site, d, policy) for d in first]
    return Checklist("can strangers deliver here", tuple(rows))


def _received_elsewhere(site: Site, domain: Domain, have: Observed) -> bool:
    ours = Wanted(domain.name, "MX", (f"10 {site.server.hostname}",), 0, "", "", "")
    return any(others(ours, a) for a in _heard(domain, have))


def _received_nowhere(domain: Domain, have: Observed) -> bool:
    heard = _heard(domain, have)
    return bool(heard) and all(host(v) == NOBODY for a in heard for v in a.values)


def _heard(domain: Domain, have: Observed) -> list[Answer]:
    about = Question(domain.name, "MX")
    return [a for a in have if a.question == about and a.heard and not a.recursive]


def _first(site: Site, domain: Domain, policy: Admission) -> Check:
    expected = f"no MTA-STS policy that senders keep leaves {site.server.hostname} out"
    return _admitted(Check(reception_row(domain.name), Status.PASS, expected, "none does"), *policy(site, domain))


def _row(site: Site, domain: Domain, port: int, policy: Admission) -> Check:
    takes, refuses = _addresses(site, domain)
    kinds = f"postmaster and the {len(takes) - 1} addresses of params"
    expected = f"port 25 of {site.server.hostname} takes {kinds} and refuses {len(refuses)} others"
    row = Check(reception_row(domain.name), Status.UNKNOWN, expected, "", ref=REF)
    if not site.test.smtp25:
        return replace(row, observed="test.smtp25 is false: this machine may not speak to port 25", fix=OUTSIDE)
    try:
        given = _asked(site, [*takes, *refuses], port)
    except EndpointError as error:
        return replace(row, status=error.status, observed=str(error), fix=error.fix)
    except OSError as error:
        return replace(row, observed=f"the dialogue broke: {error}", fix="run again")
    judged = _judged(row, takes, refuses, given)
    return _admitted(judged, *policy(site, domain)) if judged.status is Status.PASS else judged


def _admitted(row: Check, status: Status, said: str) -> Check:
    """The row of a host that would take the mail, where senders may not bring it for an MTA-STS policy."""
    if status is Status.PASS:
        return row
    fix = "list this host in the policy, give its record a new id, and run again"
    if status is Status.UNKNOWN:
        fix = f"let https://mta-sts.{row.name.split()[-1]} show its policy, or take the name out of DNS, and run again"
    return replace(row, status=status, observed=said, fix=fix, ref="RFC 8461 5")


def _addresses(site: Site, domain: Domain) -> tuple[list[str], list[str]]:
    """Whom the new host has to take, and whom to refuse; a made-up address tells whether it takes just anybody."""
    takes = [f"postmaster@{domain.name}", *(m.address for m in domain.mailboxes), *domain.aliases]
    reports = [a for d in site.domains for a in (d.dmarc.rua, d.tls_rpt) if a]
    takes += [a for a in reports if a.rpartition("@")[2] == domain.name]
    made_up = f"runbook-{secrets.token_hex(6)}@{domain.name}"
    refuses = list(domain.refuse)
    (takes if domain.catch_all else refuses).append(made_up)
    return list(dict.fromkeys(takes)), refuses


def _asked(site: Site, recipients: list[str], port: int) -> dict[str, Reply]:
    """The answer to each RCPT TO after the null sender, whom no sender policy stops; MAIL FROM's where that is refused.

    Raises EndpointError, and OSError where the dialogue breaks.
    """
    where = Endpoint(site.server.hostname, port, "none")
    with endpoint.ending(endpoint.smtp(where, endpoint.local_dial, site.server.ipv4, SECONDS)) as client:
        sender = _reply("MAIL FROM:<>", client.mail(""))
        if not sender.taken:
            return dict.fromkeys(recipients, sender)
        return {address: _reply(f"RCPT TO:<{address}>", client.rcpt(address)) for address in recipients}


def _reply(command: str, said: tuple[int, bytes]) -> Reply:
    return Reply(command, said[0], endpoint.reply(*said))


def _judged(row: Check, takes: list[str], refuses: list[str], given: Mapping[str, Reply]) -> Check:
    if blocked := next((r for r in given.values() if BLOCKED in r.text), None):
        return replace(row, observed=str(blocked), fix=f"this machine is on a blocklist, which says nothing: {OUTSIDE}")
    wrong = [str(given[a]) for a in takes if given[a].status is Status.FAIL]
    wrong += [f"{given[a].command}: {given[a].text}" for a in refuses if given[a].taken]
    unsure = [str(r) for r in given.values() if r.status is Status.UNKNOWN]
    if wrong:
        fix = "01-bootstrap makes what params name; mail would be lost, so the MX stays until this passes"
        return replace(row, status=Status.FAIL, observed=_shown(wrong), fix=fix)
    if unsure:
        return replace(row, observed=_shown(unsure), fix="the server puts us off, which says nothing: run again later")
    return replace(row, status=Status.PASS, observed=f"{len(takes)} taken, {len(refuses)} refused")


def _shown(said: list[str]) -> str:
    """Each different answer once."""
    return "; ".join(dict.fromkeys(said))
