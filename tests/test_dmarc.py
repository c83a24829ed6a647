"""DMARC: records, the tree walk beside the public suffix list, report destinations, alignment."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runbooklib import dmarc
from runbooklib.answers import Answer, Question, Word
from runbooklib.dmarc import DmarcError, Found
from runbooklib.results import Status


def answer(name: str, *values: str, word: Word | None = None) -> Answer:
    said = word or (Word.NOERROR if values else Word.NXDOMAIN)
    return Answer(Question(name, "TXT"), "192.0.2.53", said, values=values)


@pytest.mark.parametrize(
    ("record", "policy"),
    [
        ("v=DMARC1; p=reject; aspf=s; adkim=s", "reject"),
        ("v=DMARC1;p=none", "none"),
        ("v=DMARC1; p=Quarantine ;", "quarantine"),
        ("v = DMARC1 ; p = reject ; ", "reject"),
        ("v=DMARC1; p=nonsense", "none"),
        ("v=DMARC1", "none"),
        ("v=DMARC1; none", "none"),  # what cannot be read is left out (RFC 9989 4.7)
        ("v=DMARC1; p=reject; rua=mailto:ä@lantern.example", "reject"),
        ("p=none; v=DMARC1", None),
        ("v=DMARC1; p=none; p=reject", None),
        ("v=DMARC10; p=none", None),
        ("v=dmarc1; p=none", None),
        ("v=spf1 -all", None),
        ("", None),
    ],
)
def test_a_receiver_takes_what_it_can_read(record: str, policy: str | None) -> None:
    found = dmarc.accepted(record)
    assert (found.policy if found else None) == policy


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ("v=DMARC1; p=nonsense", "p=nonsense"),
        ("v=DMARC1; p=", "p= is no value"),
        ("v=DMARC1; p=none; sp=rejct; adkim=strict", "sp=rejct is no value of sp (RFC 9989 4.8); adkim=strict"),
        ("v=DMARC1; p=none; np=x", "np=x"),
        ("v=DMARC1; p=none; psd=maybe", "psd=maybe"),
        ("v=DMARC1; p=none; t=1", "t=1"),
        ("v=DMARC1; p=none; fo=2", "fo=2"),
        ("v=DMARC1; p=none; pct=101", "RFC 7489 6.3"),
        ("v=DMARC1; p=none; rua=hi@lantern.example", "rua: 'hi@lantern.example' is no URI"),
        ("v=DMARC1; p=none; rua=mailto:hi", "rua"),
        ("v=DMARC1; p=none; rua=mailto:a@b.example, c@d.example", "'c@d.example'"),
        ("v=DMARC1; p=none; ruf=mailto:a!b@c.example", "ruf"),
        ("v=DMARC1; p=none; p=none", "stands twice"),
        ("v=DMARC1; none", "no tag"),
        ("v=DMARC1 p=none", "begins with v=DMARC1"),
        ("v=DMARC1; p=none; n=\ufffd", "no tag"),
    ],
)
def test_strictly_every_broken_tag_is_named(record: str, said: str) -> None:
    with pytest.raises(DmarcError) as error:
        dmarc.parse(record)
    assert said in str(error.value)


def test_every_tag_is_read() -> None:
    found = dmarc.parse(
        "v=DMARC1; p=reject; sp=quarantine; np=reject; psd=n; t=y; adkim=s; aspf=S; fo=0:1:d:s; pct=50; rf=afrf;"
        " ri=86400; rua=mailto:a@lantern.example!10m, https://reports.example/x; ruf=mailto:b%40c@d.example;"
    )
    assert (found.policy, found.subdomain_policy, found.missing_policy) == ("reject", "quarantine", "reject")
    assert (found.public_suffix, found.testing, found.strict_dkim, found.strict_spf) == ("n", True, True, True)
    assert (found.percentage, found.retired) == (50, ("pct", "rf", "ri"))
    assert [(d.uri, d.host, d.limit, d.mail) for d in found.aggregate] == [
        ("mailto:a@lantern.example", "lantern.example", "10m", True),
        ("https://reports.example/x", "reports.example", "", False),
    ]
    assert [d.host for d in found.failure] == ["d.example"]


def test_a_tag_that_nobody_knows_and_a_missing_p_are_no_errors() -> None:
    found = dmarc.parse("v=DMARC1; rua=mailto:a@lantern.example; x_1=y")
    assert (found.policy, found.subdomain_policy, found.missing_policy, found.percentage) == ("none",) * 3 + (100,)


def test_what_is_written_is_read_again() -> None:
    text = "v=DMARC1; p=reject; rua=mailto:a@lantern.example; pct=5"
    assert str(dmarc.parse(text)) == text
    assert dmarc.parse(str(dmarc.parse(text))) == dmarc.parse(text)
    raised = dmarc.parse("v=DMARC1; p=none; sp=none").raised_to(dmarc.parse(text))
    assert str(raised) == "v=DMARC1; p=reject; sp=none"


TREE = {
    "lantern.example": "v=DMARC1; p=none",
    "own.lantern.example": "v=DMARC1; p=none; psd=n",
    "public.example": "v=DMARC1; p=none; psd=y",
    "strict.example": "v=DMARC1; p=none; aspf=s; adkim=s",
    "above.public.example": "v=DMARC1; p=reject",
}


@pytest.mark.parametrize(
    ("domain", "organizational"),
    [
        ("lantern.example", "lantern.example"),
        ("a.b.send.lantern.example", "lantern.example"),
        ("x.own.lantern.example", "own.lantern.example"),  # psd=n ends the walk
        ("a.shop.public.example", "shop.public.example"),  # one below a public suffix
        ("public.example", "public.example"),
        ("nobody.test", "nobody.test"),  # no record anywhere: itself
        ("1.2.3.4.5.6.7.8.lantern.example", "lantern.example"),  # longer than eight labels
        ("", ""),
    ],
)
def test_the_tree_walk_finds_the_organizational_domain(domain: str, organizational: str) -> None:
    assert dmarc.organizational(domain, TREE.get) == organizational


def selected(domain: str, tree: Mapping[str, str]) -> str:
    """RFC 9989 4.10.2 by its three rules, over all that a walk retrieves."""
    retrieved: list[tuple[str, str]] = []
    for name in (name.removeprefix("_dmarc.") for name in dmarc.walk(domain)):
        if name in tree:
            retrieved.append((name, tree[name][-1]))
        if retrieved and retrieved[-1] in {(name, "n"), (name, "y")}:
            break
    ends = [name for name, flag in retrieved if flag == "n"]
    suffixes = [name for name, flag in retrieved if flag == "y" and name != domain]
    if ends:
        return ends[0]
    if suffixes:
        return next(d for d in (domain[i:] for i in range(len(domain))) if d.partition(".")[2] == suffixes[0])
    return min((name for name, _ in retrieved), key=lambda name: name.count("."), default=domain)


NODES = ["e", "d.e", "c.d.e", "b.c.d.e", "a.b.c.d.e"]


@settings(max_examples=60)
@given(
    st.sampled_from(NODES),
    st.dictionaries(st.sampled_from(NODES), st.sampled_from([f"v=DMARC1; psd={flag}" for flag in "ynu"])),
)
def test_the_walk_comes_to_what_the_three_rules_select(domain: str, tree: dict[str, str]) -> None:
    assert dmarc.organizational(domain, tree.get) == selected(domain, tree)


def test_a_walk_that_begins_at_a_public_suffix_ends_there() -> None:
    higher = {"example": "v=DMARC1; p=none", "public.example": "v=DMARC1; psd=y"}
    assert dmarc.organizational("public.example", higher.get) == "public.example"


def test_the_walk_asks_at_most_eight_names() -> None:
    assert dmarc.walk("a.b.c.d.e.f.g.h.i.j.mail.example.com") == (
        "_dmarc.a.b.c.d.e.f.g.h.i.j.mail.example.com",
        "_dmarc.g.h.i.j.mail.example.com",
        "_dmarc.h.i.j.mail.example.com",
        "_dmarc.i.j.mail.example.com",
        "_dmarc.j.mail.example.com",
        "_dmarc.mail.example.com",
        "_dmarc.example.com",
        "_dmarc.com",
    )
    assert len(dmarc.walk("1.2.3.4.5.6.7.8")) == 8
    assert len(dmarc.walk("2.3.4.5.6.7.8")) == 7


def discovered(domain: str, /, *, exists: bool = True, **records: str | tuple[str, ...] | Word) -> dmarc.Discovery:
    """What is discovered where these names (`_` for a dot) hold these records, a Word stands for no answer."""
    answers = {name: answer(name) for name in dmarc.asked(domain)}
    for key, told in records.items():
        name = f"_dmarc.{key.replace('_', '.')}"
        values = (told,) if isinstance(told, str) and not isinstance(told, Word) else told
        answers[name] = answer(name, word=told) if isinstance(told, Word) else answer(name, *values)
    return dmarc.discover(domain, answers, exists=exists)


def told(found: Found) -> tuple[str, str, str]:
    return found.policy, found.at, found.organizational


REJECT = "v=DMARC1; p=reject; sp=quarantine; np=none"


def test_without_any_record_none_applies_and_both_agree() -> None:
    found = discovered("lantern.example")
    assert told(found.walked) == told(found.listed) == ("", "", "lantern.example")
    assert (found.known, found.differences) == (True, ())


def test_the_domains_own_record_counts() -> None:
    found = discovered("lantern.example", lantern_example=REJECT)
    assert told(found.walked) == told(found.listed) == ("reject", "lantern.example", "lantern.example")
    assert found.differences == ()


def test_a_subdomain_inherits_sp_and_one_that_does_not_exist_np() -> None:
    found = discovered("a.lantern.example", lantern_example=REJECT)
    assert told(found.walked) == told(found.listed) == ("quarantine", "lantern.example", "lantern.example")
    missing = discovered("a.lantern.example", exists=False, lantern_example=REJECT)
    assert (missing.walked.policy, missing.listed.policy) == ("none", "quarantine")
    assert missing.differences == (
        "policy under RFC 9989: none (_dmarc.lantern.example), under RFC 7489: quarantine (_dmarc.lantern.example)",
    )


def test_what_stands_between_domain_and_organization_is_no_policy() -> None:
    found = discovered("a.b.lantern.example", b_lantern_example=REJECT, lantern_example="v=DMARC1; p=none")
    assert told(found.walked) == told(found.listed) == ("none", "lantern.example", "lantern.example")


def test_psd_n_begins_an_organization_that_the_list_does_not_know() -> None:
    found = discovered(
        "a.b.lantern.example", b_lantern_example="v=DMARC1; p=reject; psd=n", lantern_example="v=DMARC1; p=none"
    )
    assert told(found.walked) == ("reject", "b.lantern.example", "b.lantern.example")
    assert told(found.listed) == ("none", "lantern.example", "lantern.example")
    assert found.differences[0] == (
        "organizational domain b.lantern.example by the tree walk of RFC 9989, "
        "lantern.example by the public suffix list of RFC 7489"
    )
    assert len(found.differences) == 2


def test_psd_y_lends_its_policy_to_what_has_none() -> None:
    found = discovered("lantern.example", example="v=DMARC1; p=reject; psd=y")
    assert told(found.walked) == ("reject", "example", "lantern.example")
    assert told(found.listed) == ("", "", "lantern.example")
    assert found.differences == ("policy under RFC 9989: reject (_dmarc.example), under RFC 7489: none applies",)


def test_a_record_at_a_suffix_of_the_list_makes_the_suffix_the_organization() -> None:
    found = discovered("lantern.github.io", github_io="v=DMARC1; p=reject")
    assert (found.walked.organizational, found.listed.organizational) == ("github.io", "lantern.github.io")
    assert (found.walked.policy, found.listed.policy) == ("reject", "")


def test_of_several_records_rfc_9989_goes_on_and_rfc_7489_stops() -> None:
    found = discovered("a.lantern.example", a_lantern_example=("v=DMARC1; p=none", REJECT), lantern_example=REJECT)
    assert (found.walked.policy, found.listed.policy) == ("quarantine", "")
    assert found.several == ("_dmarc.a.lantern.example",)
    assert len(found.differences) == 1


def test_other_texts_at_the_name_do_not_count() -> None:
    found = discovered("lantern.example", lantern_example=("v=spf1 -all", "v=DMARC1; p=reject"))
    assert (found.walked.policy, found.listed.policy, found.several) == ("reject", "reject", ())


@pytest.mark.parametrize(
    ("record", "walked", "listed"),
    [
        ("v=DMARC1; p=rejct", "", ""),  # RFC 9989 4.10.1: without reports DMARC does not apply
        ("v=DMARC1; p=rejct; rua=mailto:a@lantern.example", "none", "none"),
        ("v=DMARC1; p=reject; sp=x; rua=mailto:a@lantern.example", "none", "none"),
        ("v=DMARC1; p=reject; np=x", "", "reject"),  # np= is unknown to RFC 7489
        ("v=DMARC1; sp=reject", "none", ""),  # p= was required
        ("v=DMARC1; rua=mailto:a@lantern.example", "none", "none"),
    ],
)
def test_policies_nobody_knows(record: str, walked: str, listed: str) -> None:
    found = discovered("lantern.example", lantern_example=record)
    assert (found.walked.policy, found.listed.policy) == (walked, listed)
    assert bool(found.differences) is (walked != listed)


@pytest.mark.parametrize("word", [Word.SERVFAIL, Word.TIMEOUT, Word.BOGUS, Word.LAME, Word.REFUSED])
def test_an_answer_not_heard_is_never_none(word: Word) -> None:
    found = discovered("lantern.example", lantern_example=word)
    assert (found.walked.known, found.listed.known, found.differences) == (False, False, ())
    assert found.walked.unheard == found.listed.unheard == ("_dmarc.lantern.example",)
    assert str(found.walked) == "not known: no answer for _dmarc.lantern.example"


def test_only_what_decides_has_to_be_heard() -> None:
    own = discovered("lantern.example", lantern_example=REJECT, example=Word.SERVFAIL)
    assert (own.known, own.walked.policy, own.walked.organizational) == (True, "reject", "")
    assert own.differences == ()  # the organization is not known, so nothing is said of it
    ended = discovered("a.lantern.example", lantern_example="v=DMARC1; psd=n", example=Word.SERVFAIL)
    assert (ended.known, ended.walked.organizational) == (True, "lantern.example")
    above = discovered("a.lantern.example", lantern_example=REJECT, example=Word.TIMEOUT)
    assert (above.walked.known, above.listed.known, above.listed.policy) == (False, True, "quarantine")
    assert above.walked.unheard == ("_dmarc.example",)


def test_what_was_not_asked_was_not_heard() -> None:
    assert dmarc.discover("lantern.example", {}).known is False


@pytest.mark.parametrize(
    ("record", "said"),
    [("v=DMARC1; p=reject; t=y", "t=y: RFC 9989"), ("v=DMARC1; p=reject; pct=20", "pct=20: RFC 7489")],
)
def test_words_only_one_rfc_knows_are_a_difference(record: str, said: str) -> None:
    (difference,) = discovered("lantern.example", lantern_example=record).differences
    assert difference.startswith(said)
    assert discovered("lantern.example", lantern_example=record.replace("reject", "none")).differences == ()


def test_asking_goes_out_side_by_side_and_discovers() -> None:
    under_way: set[str] = set()
    most = 0

    async def look(name: str, type: str) -> Answer:  # noqa: A002 - the protocol's word
        nonlocal most
        assert type == "TXT"
        under_way.add(name)
        most = max(most, len(under_way))
        await asyncio.sleep(0)
        under_way.discard(name)
        return answer(name, REJECT) if name == "_dmarc.lantern.example" else answer(name)

    found = asyncio.run(dmarc.ask(look, "a.b.lantern.example"))
    assert (found.walked.policy, most) == ("quarantine", 4)


def test_a_registered_name_far_above_is_asked_too() -> None:
    long = "1.2.3.4.5.6.7.8.9.lantern.example"
    assert dmarc.asked(long) == dmarc.walk(long)
    assert dmarc.registered("a.b.lantern.co.uk") == "lantern.co.uk"
    assert dmarc.registered("co.uk") == "co.uk"
    assert dmarc.registered("lantern.xn--fiqs8s") == "lantern.xn--fiqs8s"


RUA = dmarc.parse(
    "v=DMARC1; p=none; rua=mailto:a@lantern.example,mailto:b@in.lantern.example,mailto:c@reports.example,"
    "mailto:d@reports.example,https://other.example:8443/x?y"
).aggregate


def test_only_other_organizations_are_asked_whether_they_agree() -> None:
    assert dmarc.external("lantern.example", RUA) == {
        "reports.example": "lantern.example._report._dmarc.reports.example",
        "other.example": "lantern.example._report._dmarc.other.example",
    }
    assert dmarc.external("shop.lantern.example", RUA[:2]) == {}
    assert list(dmarc.external("lantern.example", RUA[:2], lambda name: name)) == ["in.lantern.example"]


@pytest.mark.parametrize(
    ("held", "status"),
    [
        (("v=DMARC1",), Status.PASS),
        (("v=DMARC1;",), Status.PASS),
        (("other", "v=DMARC1; rua=mailto:x@reports.example"), Status.PASS),
        (("v=DMARC1; rua=mailto:x@elsewhere.example",), Status.FAIL),
        (("v=DMARC2",), Status.FAIL),
        (("a=b; v=DMARC1",), Status.FAIL),
        ((), Status.FAIL),
        (Word.NODATA, Status.FAIL),
        (Word.SERVFAIL, Status.UNKNOWN),
        (Word.TIMEOUT, Status.UNKNOWN),
        (None, Status.UNKNOWN),
    ],
)
def test_whether_a_destination_agrees(held: tuple[str, ...] | Word | None, status: Status) -> None:
    name = "lantern.example._report._dmarc.reports.example"
    said = answer(name, word=held) if isinstance(held, Word) else None if held is None else answer(name, *held)
    assert dmarc.agreement("reports.example", name, said).status is status


def test_nobody_can_agree_at_a_name_that_is_too_long() -> None:
    name = f"{'a.' * 110}example._report._dmarc.reports.example"
    assert dmarc.agreement("reports.example", name, None).status is Status.FAIL


@pytest.mark.parametrize(
    ("author", "spf", "dkim", "said"),
    [
        ("lantern.example", "send.lantern.example", [], "SPF (send.lantern.example)"),
        ("lantern.example", "", ["lantern.example"], "DKIM (lantern.example)"),
        ("lantern.example", "lantern.example", ["lantern.example"], "SPF (lantern.example) and DKIM (lantern.example)"),
        ("lantern.example", "relay.example", ["relay.example"], "nothing"),
        ("strict.example", "send.strict.example", ["mail.strict.example"], "nothing"),
        ("strict.example", "strict.example", [], "SPF (strict.example)"),
        ("lantern.example", "", ["lantern.example", "lantern.example"], "DKIM (lantern.example)"),
        ("nobody.test", "send.nobody.test", [], "nothing"),
    ],
)
def test_alignment(author: str, spf: str, dkim: list[str], said: str) -> None:
    found = dmarc.align(author, spf, dkim, TREE.get)
    assert str(found) == said
    assert bool(found) == (said != "nothing")
    assert found.difference == ""


def test_where_the_two_rfcs_align_differently_that_is_said() -> None:
    own = dmarc.align("a.own.lantern.example", "lantern.example", ["own.lantern.example"], TREE.get)
    assert str(own) == "DKIM (own.lantern.example)"
    assert own.difference == (
        "aligned by SPF (lantern.example) and DKIM (own.lantern.example) under RFC 7489, "
        "by DKIM (own.lantern.example) under RFC 9989"
    )
    suffix = dmarc.align("a.github.io", "b.github.io", [], {"github.io": "v=DMARC1; p=none"}.get)
    assert (str(suffix), suffix.difference[:32]) == ("SPF (b.github.io)", "aligned by nothing under RFC 748")


PIECES = [
    "v=DMARC1;",
    "p=none;",
    "p=reject",
    ";",
    "=",
    "sp=x;",
    "rua=",
    "mailto:a@b.example",
    "!10m",
    ",",
    "é",
    " ",
    "psd=y;",
    "t=y",
]
TEXTS = st.text(max_size=40) | st.lists(st.sampled_from(PIECES), max_size=9).map("".join)


@settings(deadline=None, max_examples=40)
@given(TEXTS)
def test_no_text_raises_anything_but_its_own_error(text: str) -> None:
    with contextlib.suppress(DmarcError):
        record = dmarc.parse(text)
        assert dmarc.parse(str(record)) == record
        assert dmarc.accepted(text) == record
    found = discovered("lantern.example", lantern_example=text)
    assert found.known
    assert dmarc.agreement("reports.example", "x", answer("x", text)).status in {Status.PASS, Status.FAIL}


@settings(deadline=None, max_examples=20)
@given(st.text("a.-é\0", max_size=30), st.sampled_from(["v=DMARC1; psd=y", "v=DMARC1; p=reject", ""]))
def test_no_name_raises(domain: str, text: str) -> None:
    found = dmarc.discover(domain, {name: answer(name, text) for name in dmarc.asked(domain)})
    assert found.known
    assert len(dmarc.walk(domain)) <= 8
    dmarc.align(domain, domain, [domain], lambda _: text)


HOSTILE: dict[str, Callable[[], str]] = {
    "a megabyte": lambda: "v=DMARC1; p=" + "x" * 1_000_000,
    "10,000 tags": lambda: "v=DMARC1; " + "; ".join(f"t{i}=x" for i in range(10_000)),
    "tags that repeat": lambda: "v=DMARC1; " + "p=none;" * 9_000,
    "many destinations": lambda: "v=DMARC1; p=none; rua=" + "mailto:a@b.example," * 3_000,
    "a long host": lambda: "v=DMARC1; p=none; rua=mailto:a@" + "a." * 30_000 + "!",
    "blanks": lambda: "v=DMARC1; p" + " " * 60_000 + "!",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_texts_cost_little(name: str) -> None:
    text, began = HOSTILE[name](), time.process_time()
    with contextlib.suppress(DmarcError):
        dmarc.parse(text)
    found = dmarc.accepted(text)
    assert found is None or len(found.aggregate) <= 100
    assert time.process_time() - began < 0.5
