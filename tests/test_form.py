"""The form: nothing typed raises, nothing invalid is written, no literal secret is shown."""

from __future__ import annotations

import copy
import itertools
import stat
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from runbooklib import params
from runbooklib.credentials import Secret
from runbooklib.form import draft
from runbooklib.form.entries import ENTRIES, RELAY, SERVER
from runbooklib.form.widgets import NOTHING, Form, Question

ROOT = Path(__file__).resolve().parents[1]
FINGERPRINT = "SHA256:" + "A" * 43
CANARY = "c4nary-PASSWORD-zz"
SAID: dict[str, str | bool] = {
    "domains[0].name": "lantern.example",
    "server.ipv4": "203.0.113.10",
    "server.ssh.host_key": FINGERPRINT,
    "mail.tls.certificate": "certs/mail.pem",
    "mail.tls.key": "certs/mail.key",
    "domains[0].mailboxes[0].address": "hi@lantern.example",
    "domains[0].mailboxes[0].password": "env:HI_PASSWORD",
    RELAY: "resend",
    "relays.resend.password": "env:RESEND_KEY",
}
SERVERS = get_args(params.Mail.model_fields["server"].annotation)
COW = {"mail.url": "https://mail.lantern.example", "mail.api_key": "env:MAILCOW_API_KEY"}
REFERENCES = [e.path for e in ENTRIES if e.kind == "reference"]
TYPED = st.one_of(st.text(max_size=40), st.sampled_from([str(v) for v in SAID.values()]))


def answers(**more: str | bool) -> dict[str, str | bool]:
    return draft.values(draft.EMPTY) | SAID | more


def written(mapping: dict[str, Any]) -> Any:
    return yaml.safe_load(draft.text(mapping))["site"]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "params").mkdir()
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def form(*said: dict[str, str | bool]) -> Form:
    made = Form(draft.EMPTY)
    for path, value in (pair for answer in said for pair in answer.items()):
        made.questions[path].input.value = value
    return made


def test_the_short_case_is_a_valid_site() -> None:
    site = params.load(draft.build(draft.EMPTY, answers()))
    assert (site.name, site.server.hostname, site.server.host) == ("lantern", "mail.lantern.example", "203.0.113.10")
    assert (site.mail.directory, site.relays["resend"].host) == ("/opt/mail.lantern.example", "smtp.resend.com")
    assert site.mailboxes["hi@lantern.example"].password == Secret("env:HI_PASSWORD")


def test_the_short_case_of_a_mailcow_that_is_there_asks_for_no_ssh_and_no_certificate() -> None:
    built = draft.build(draft.EMPTY, answers(**{SERVER: "mailcow"}, **COW))
    assert built["mail"] == {"server": "mailcow", "url": COW["mail.url"], "api_key": COW["mail.api_key"]}
    site = params.load(built)
    assert (site.mail.over_ssh, site.domains[0].dkim.selector) == (False, "dkim")
    installed = params.load(draft.build(draft.EMPTY, answers(**{SERVER: "mailcow", "mail.tag": "2026-07a"}, **COW)))
    assert installed.mail.over_ssh


@pytest.mark.parametrize("own", [True, False])
def test_plain_postfix_takes_a_certificate_or_keeps_the_one_it_has(own: bool) -> None:
    gone = {} if own else {"mail.tls.certificate": "", "mail.tls.key": ""}
    site = params.load(draft.build(draft.EMPTY, answers(**{SERVER: "postfix"}, **gone)))
    assert (site.mail.server, site.mail.tls.mode) == ("postfix", "manual" if own else "existing")
    assert site.mail.directory == "/etc/postfix/runbook"


@pytest.mark.parametrize(("before", "after"), [*itertools.permutations(SERVERS, 2)])
def test_changing_the_mail_server_leaves_nothing_that_the_new_one_refuses(before: str, after: str) -> None:
    base = draft.build(draft.EMPTY, answers(**{SERVER: before}, **COW))
    changed = draft.values(base) | {SERVER: after} | COW | {p: SAID[p] for p in SAID if p.startswith("mail.tls.")}
    assert params.load(draft.build(base, changed)).mail.server == after


def test_every_entry_names_a_place_the_model_knows() -> None:
    for provider, server in itertools.product(("resend", "mxroute", "smtp"), SERVERS):
        filled = answers(**{e.path: "x" for e in ENTRIES if e.kind in ("text", "reference")}, **{RELAY: provider})
        filled |= {"dns.publish": "rfc2136", SERVER: server}
        found = params.problems(draft.build(draft.EMPTY, filled))
        assert [path for path, said in found if said == params.UNKNOWN_KEY] == []


def test_the_secret_keys_are_the_models_references() -> None:
    assert set(_reference_fields(params.Site)) == draft.SECRET_KEYS


def _reference_fields(model: type[BaseModel]) -> list[str]:
    found = []
    for name, info in model.model_fields.items():
        inner = _types(info.annotation)
        found += [name] if Secret in inner else []
        found += [f for t in inner if isinstance(t, type) and issubclass(t, BaseModel) for f in _reference_fields(t)]
    return found


def _types(annotation: Any) -> list[Any]:
    return [annotation, *(t for inner in get_args(annotation) for t in _types(inner))]


def test_an_untouched_form_changes_nothing() -> None:
    for path in sorted(ROOT.glob("params/*.yaml")):
        base = params.read(path)
        assert draft.build(base, draft.values(base)) == base
        assert written(draft.build(base, draft.values(base))) == base


def test_what_the_form_does_not_ask_for_is_kept() -> None:
    base = params.read(ROOT / "params/rehearsal.yaml")
    built = draft.build(base, draft.values(base) | {"server.hostname": "mx.lantern.example"})
    assert built["server"]["hostname"] == "mx.lantern.example"
    built["server"]["hostname"] = base["server"]["hostname"]
    assert built == base


def test_an_emptied_answer_takes_its_section_with_it() -> None:
    base = draft.build(draft.EMPTY, answers(**{"test.recipients[0].address": "you@example.org"}))
    assert base["test"] == {"recipients": [{"address": "you@example.org"}]}
    assert "test" not in draft.build(base, draft.values(base) | {"test.recipients[0].address": ""})


def test_a_known_provider_of_the_recipient_needs_no_servers() -> None:
    at = "test.recipients[0]"
    said = answers(**{f"{at}.address": "you@163.com", f"{at}.preset": "163", f"{at}.password": "env:THEIR_CODE"})
    hidden = {e.path for e in ENTRIES if e.path.startswith(f"{at}.imap.")}
    assert hidden
    assert not any(draft.asked(e, said) for e in ENTRIES if e.path in hidden)
    them = params.load(written(draft.build(draft.EMPTY, said))).test.recipients[0]
    assert (them.imap and them.imap.host, them.submission and them.submission.port) == ("imap.163.com", 465)
    plain = said | {f"{at}.preset": ""}
    assert [e.path for e in ENTRIES if e.path.startswith(at) and not draft.asked(e, plain)] == [
        f"{at}.password",
        f"{at}.oauth",
    ]


def test_another_provider_gets_a_section_of_its_own() -> None:
    base = draft.build(draft.EMPTY, answers())
    changed = draft.values(base) | {RELAY: "smtp", "relays.smtp.host": "smtp.example.net", "relays.smtp.port": "465"}
    built = draft.build(base, changed)
    assert built["domains"][0]["relay"] == "smarthost"
    assert built["relays"]["smarthost"] == {"provider": "smtp", "host": "smtp.example.net", "port": 465}
    assert built["relays"]["resend"] == base["relays"]["resend"]
    assert params.load(built).relays["smarthost"].mode == "implicit"


def test_a_relay_keeps_the_name_it_has() -> None:
    base = {"domains": [{"relay": "office"}], "relays": {"office": {"provider": "smtp", "host": "a.example"}}}
    built = draft.build(base, draft.values(base) | {"relays.smtp.host": "b.example"})
    assert built["relays"] == {"office": {"provider": "smtp", "host": "b.example"}}


def test_a_taken_name_is_not_taken_over() -> None:
    base = {"domains": [{"relay": "direct"}], "relays": {"resend": {"provider": "smtp", "host": "a.example"}}}
    built = draft.build(base, draft.values(base) | {RELAY: "resend"})
    assert built["relays"] == {"resend": {"provider": "smtp", "host": "a.example"}, "resend-2": {"provider": "resend"}}


def test_answers_that_are_not_asked_for_are_not_written() -> None:
    built = draft.build(draft.EMPTY, answers(**{RELAY: "direct", "dns.rfc2136.server": "203.0.113.53"}))
    assert "relays" not in built
    assert built["dns"] == {"publish": "by-hand"}


def test_every_value_that_is_asked_for_is_explained_in_the_file() -> None:
    text = draft.text(draft.build(draft.EMPTY, answers()))
    assert "hostname: mail.lantern.example  # MX target" in text
    assert "password: env:RESEND_KEY  # all that reaches the server" in text


def test_problems_come_all_at_once_each_with_its_path() -> None:
    said = answers(**{"server.ipv4": "203.0.113.300", "relays.resend.password": CANARY, "server.ssh.port": "ssh"})
    found = dict(params.problems(draft.build(draft.EMPTY, said)))
    assert {"server.ipv4", "relays.resend.password", "server.ssh.port"} <= set(found)
    assert "env:NAME" in found["relays.resend.password"]


@settings(max_examples=15)  # each makes a whole file
@given(st.dictionaries(st.sampled_from([e.path for e in ENTRIES if e.kind not in ("choice", "tick")]), TYPED))
def test_whatever_is_typed_makes_a_file_that_reads_back(typed: dict[str, str]) -> None:
    mapping = draft.build(draft.EMPTY, answers(**typed))
    assert written(mapping) == mapping
    assert yaml.safe_load(draft.preview(mapping))["site"].keys() == mapping.keys()


@settings(max_examples=20)
@given(st.sampled_from(REFERENCES), st.sampled_from(["", "env ", "password:", "\u2028", "’", "#"]), st.booleans())
def test_a_literal_secret_is_neither_shown_nor_written(path: str, before: str, known: bool) -> None:
    said = answers(**{path: before + CANARY, "dns.publish": "rfc2136"})
    if path.startswith("relays."):
        said[RELAY] = path.split(".")[1]
    base = draft.EMPTY if known else draft.build(draft.EMPTY, said)
    mapping = draft.build(base, said)
    found = params.problems(mapping)
    assert found
    assert CANARY not in draft.preview(mapping) + repr(found)


@pytest.mark.parametrize("where", ["pasword", "mail.pasword", "relays.resend.key", "domains[0].mailboxes[0].pw"])
def test_a_secret_under_an_unknown_key_is_not_shown(where: str) -> None:
    mapping = draft.build(draft.EMPTY, answers())
    draft.put(mapping, draft.steps(where), CANARY)
    assert CANARY not in draft.preview(mapping) + repr(params.problems(mapping))


NODES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "relay", "provider", "mailboxes", "password", "tls", "é"]), inner)
    ),
    max_leaves=12,
)


@settings(max_examples=20)
@given(
    st.dictionaries(st.sampled_from(["name", "server", "mail", "domains", "relays", "dns", "test"]), NODES), st.data()
)
def test_any_file_can_be_opened_and_edited(base: dict[str, Any], data: st.DataObject) -> None:
    before = copy.deepcopy(base)
    choices = draft.values(base)
    path = data.draw(st.sampled_from([e.path for e in ENTRIES if e.kind == "text"]))
    built = draft.build(base, choices | {path: data.draw(TYPED), RELAY: data.draw(st.sampled_from(["smtp", "direct"]))})
    assert base == before
    params.problems(built)
    assert written(built) == built


@pytest.mark.parametrize("odd", [[], {}, [{}], 7, None, True, "x"])
@pytest.mark.parametrize(
    "where", ["domains", "domains[0]", RELAY, "relays", "relays.smarthost", "relays.smarthost.provider"]
)
def test_odd_shapes_where_sections_are_looked_up(where: str, odd: object) -> None:
    base: dict[str, Any] = copy.deepcopy(dict(params.read(ROOT / "params/example-resend.yaml")))
    draft.put(base, draft.steps(where), odd)
    built = draft.build(base, draft.values(base) | {"relays.smtp.host": "b.example", RELAY: "smtp"})
    assert params.problems(base)
    assert written(built) == built


def test_the_file_is_private_and_valid(project: Path) -> None:
    path = project / "params/lantern.yaml"
    draft.write(path, draft.build(draft.EMPTY, answers()))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert params.load(path).name == "lantern"
    assert [p.name for p in path.parent.iterdir()] == ["lantern.yaml"]


def test_an_invalid_file_is_never_written(project: Path) -> None:
    with pytest.raises(params.ParamsError, match=r"relays\.resend\.password"):
        draft.write(project / "params/a.yaml", draft.build(draft.EMPTY, answers(**{"relays.resend.password": CANARY})))
    assert list((project / "params").iterdir()) == []


def test_an_existing_file_stays_unless_told(project: Path) -> None:
    path = project / "params/lantern.yaml"
    path.write_text("mine")
    mapping = draft.build(draft.EMPTY, answers())
    with pytest.raises(draft.DraftError, match="left as it is"):
        draft.write(path, mapping)
    assert path.read_text() == "mine"
    draft.write(path, mapping, replace=True)
    assert params.load(path).name == "lantern"


def test_a_place_that_cannot_be_written_says_so(project: Path) -> None:
    with pytest.raises(draft.DraftError, match="cannot be written"):
        draft.write(project / "nowhere/a.yaml", draft.build(draft.EMPTY, answers()))


@pytest.mark.parametrize("name", ["", "a", "a.txt", "~bob/a.yaml", "a\0.yaml", "x" * 300 + ".yaml"])
def test_a_name_that_is_no_params_file_is_refused(name: str) -> None:
    with pytest.raises(draft.DraftError):
        draft.target(name)


def test_the_button_wakes_when_all_is_settled(project: Path) -> None:
    made = form()
    assert made.button.disabled
    assert "field required" in made.verdict.value
    for path, value in SAID.items():
        made.questions[path].input.value = value
    assert not made.button.disabled
    assert "valid" in made.verdict.value
    made.button.click()
    assert params.load(project / "params/lantern.yaml").server.hostname == "mail.lantern.example"
    assert "wrote" in made.said.value


def test_another_file_needs_the_tick_and_its_own_does_not(project: Path) -> None:
    (project / "params/lantern.yaml").write_text("mine")
    made = form(SAID)
    assert made.button.disabled
    made.write()
    assert (project / "params/lantern.yaml").read_text() == "mine"
    made.replace.value = True
    made.button.click()
    made.questions["domains[0].catch_all"].input.value = "hi@lantern.example"
    assert not made.button.disabled
    made.button.click()
    assert params.load(project / "params/lantern.yaml").domains[0].catch_all == "hi@lantern.example"


@pytest.mark.usefixtures("project")
def test_a_typed_literal_shows_the_models_words_beside_its_field() -> None:
    made = form(SAID | {"relays.resend.password": CANARY})
    question: Question = made.questions["relays.resend.password"]
    assert "a secret is never written here" in question.note.value
    assert made.button.disabled
    everything = made.shown.value + made.verdict.value + made.said.value
    assert CANARY not in everything + "".join(q.note.value for q in made.questions.values())


@pytest.mark.usefixtures("project")
def test_only_the_chosen_relays_questions_show() -> None:
    made = form({RELAY: "mxroute"})
    hidden = {path for path, q in made.questions.items() if q.box.layout.display == "none"}
    assert "relays.resend.password" in hidden
    assert "relays.mxroute.host" not in hidden
    assert "dns.rfc2136.server" in hidden


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("said", "shown", "hidden"),
    [
        ({}, {"mail.image", "server.ssh.key", "mail.tls.key"}, {"mail.url", "mail.tag"}),
        ({SERVER: "postfix"}, {"server.ssh.key", "mail.tls.key", "mail.filter"}, {"mail.image", "mail.url"}),
        (
            {SERVER: "mailcow"},
            {"mail.url", "mail.tag"},
            {"mail.image", "server.ssh.key", "mail.tls.key", "mail.filter"},
        ),
        ({SERVER: "mailcow", "mail.tag": "2026-07a"}, {"mail.url", "server.ssh.key"}, {"mail.image", "mail.tls.key"}),
    ],
)
def test_only_the_chosen_mail_servers_questions_show(said: dict[str, str], shown: set[str], hidden: set[str]) -> None:
    made = form(said)
    out = {path for path, q in made.questions.items() if q.box.layout.display == "none"}
    assert hidden <= out
    assert not shown & out


def test_starting_from_another_file_fills_the_form(project: Path) -> None:
    draft.write(project / "params/lantern.yaml", draft.build(draft.EMPTY, answers()))
    made = Form("params/lantern.yaml")
    assert made.questions["domains[0].name"].input.value == "lantern.example"
    made.start.value = NOTHING
    assert made.questions["domains[0].name"].input.value == ""


def test_a_file_that_cannot_be_read_is_said_not_raised(project: Path) -> None:
    (project / "params/broken.yaml").write_text("site: [")
    for name in ("params/broken.yaml", "params/none.yaml"):
        made = Form(name)
        assert name in made.verdict.value
        assert made.button.disabled


@settings(max_examples=6)  # each makes the whole form
@given(st.sampled_from([e.path for e in ENTRIES if e.kind not in ("choice", "tick")]), st.text(max_size=60))
def test_typing_into_the_widgets_never_raises(path: str, typed: str) -> None:
    made = form({path: typed})
    made.path.value = typed
    made.write()
    assert "wrote" not in made.said.value
