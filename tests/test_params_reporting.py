"""Addresses for reports: in a domain of the site, somebody has to have them."""

from __future__ import annotations

from typing import Any

import pytest
import sites

from runbooklib.params import ParamsError, reporting

OTHER = {"name": "pier.example", "relay": "office", "dmarc": {"rua": "reports@lantern.example"}}


@pytest.mark.parametrize(
    ("address", "changes"),
    [
        ("hi@lantern.example", {}),
        ("sales@lantern.example", {}),
        ("postmaster@lantern.example", {}),
        ("made-up@lantern.example", {"domains__0__catch_all": "hi@lantern.example"}),
        ("reports@example.org", {}),
    ],
    ids=["mailbox", "alias", "automatic", "catch-all", "elsewhere"],
)
@pytest.mark.parametrize("what", ["dmarc", "tls_rpt"])
def test_an_address_that_somebody_has_is_taken(what: str, address: str, changes: dict[str, Any]) -> None:
    told = {"rua": address} if what == "dmarc" else address
    here = sites.make(**{"domains__0__catch_all": None, **changes, f"domains__0__{what}": told})
    assert not list(reporting.problems(here))


@pytest.mark.parametrize(
    ("address", "catch_all"),
    [("nobody@lantern.example", None), ("leaked@lantern.example", "hi@lantern.example")],
    ids=["nobody's", "refused"],
)
@pytest.mark.parametrize(("what", "said"), [("dmarc", "dmarc.rua"), ("tls_rpt", "tls_rpt")])
def test_an_address_that_nobody_has_is_refused(what: str, said: str, address: str, catch_all: str | None) -> None:
    told = {"rua": address} if what == "dmarc" else address
    with pytest.raises(ParamsError, match=rf"domains\[0\].{said}: {address} is no mailbox, alias or catch-all"):
        sites.make(**{"domains__0__catch_all": catch_all, f"domains__0__{what}": told})


def test_reports_on_one_domain_may_go_to_another_of_the_site_where_somebody_has_them() -> None:
    both = [{**sites.GIVEN["domains"][0], "catch_all": None}, OTHER]
    with pytest.raises(ParamsError, match=r"domains\[1\].dmarc.rua: reports@lantern.example"):
        sites.make(domains=both)
    taken = {**both[0], "aliases": {"reports@lantern.example": "hi@lantern.example"}}
    assert sites.make(domains=[taken, OTHER]).domains[1].dmarc.rua == "reports@lantern.example"
