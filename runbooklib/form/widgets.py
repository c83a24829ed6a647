"""The form as JupyterLab shows it: questions on the left, the file and its problems on the right."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ipywidgets as w

from runbooklib.form import draft
from runbooklib.form.entries import GROUPS, Entry, Group
from runbooklib.params import ParamsError, problems, read
from runbooklib.places import project_root
from runbooklib.results import RunbookError

NOTHING = "an empty form"
GIVEN = "the site given"
MISSING = "field required"
MUTED = "var(--jp-ui-font-color2, #666)"
WRONG = "var(--jp-error-color1, #c62828)"
SMALL = "font-size:smaller;line-height:1.3"
GOOD = "var(--jp-success-color1, #2e7d32)"


def edit(site: Mapping[str, Any] | str) -> w.VBox:
    """The form, filled from a params file, from what is in one, or empty."""
    return Form(site).box


def sources() -> list[str]:
    """The params files to start from, relative to the project's root."""
    root = project_root()
    return [str(p.relative_to(root)) for p in sorted(root.glob("params/*.yaml"))]


class Question:
    """One entry: its input, and under it the hint or what is wrong."""

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.input = _input(entry)
        self.note = w.HTML(layout=w.Layout(margin="-2px 0 4px 9.2em"))
        self.box = w.VBox([self.input, self.note])

    def tell(self, wrong: str, meant: str, *, asked: bool) -> None:
        """Shows what is wrong, else the hint; an empty answer that another one settles shows that."""
        self.box.layout.display = None if asked else "none"
        if isinstance(self.input, w.Text):
            self.input.placeholder = meant or self.entry.example
        said, colour = (self.entry.hint, MUTED) if wrong in ("", MISSING) else (wrong, WRONG)
        mark = "<b>needed</b> · " if wrong == MISSING else ""
        self.note.value = f"<div style='color:{colour};{SMALL}'>{mark}{html.escape(said)}</div>"


def _input(entry: Entry) -> w.ValueWidget:
    look = {"description": entry.label, "style": {"description_width": "8.6em"}, "layout": w.Layout(width="98%")}
    if entry.kind == "tick":
        return w.Checkbox(value=False, indent=True, **look)
    if entry.kind == "choice":
        return w.Dropdown(options=[("", ""), *((c, c) for c in entry.choices)], value="", **look)
    return w.Text(continuous_update=True, **look)


class Form:
    """What was typed, the file it makes, and the one button."""

    def __init__(self, site: Mapping[str, Any] | str) -> None:
        self.base: Mapping[str, Any] = draft.EMPTY
        self.unread = ""  # why the file to start from could not be read
        self.given = site
        self.written: Path | None = None
        self.filling = False
        self.questions = {e.path: Question(e) for group in GROUPS for e in group.entries}
        self.start, self.path, self.replace, self.button = _controls(self.given)
        self.shown, self.verdict, self.said = w.HTML(), w.HTML(), w.HTML()
        self.box = self._laid_out()
        self._listen()
        self.fill()

    def _laid_out(self) -> w.VBox:
        left = w.VBox([*(self._group(g) for g in GROUPS if g.short), self._more()])
        save = w.HBox([self.path, self.replace, self.button], layout=w.Layout(flex_flow="row wrap"))
        right = w.VBox([self.verdict, save, self.said, self.shown], layout=w.Layout(align_self="flex-start"))
        columns = w.GridBox(
            [left, right], layout=w.Layout(grid_template_columns="minmax(0, 11fr) minmax(0, 10fr)", grid_gap="0 24px")
        )
        return w.VBox([self.start, columns])

    def _group(self, group: Group) -> w.VBox:
        heading = w.HTML(f"<b>{html.escape(group.title)}</b>")
        return w.VBox([heading, *(self.questions[e.path].box for e in group.entries)])

    def _more(self) -> w.Accordion:
        more = [g for g in GROUPS if not g.short]
        inner = [w.VBox([self.questions[e.path].box for e in g.entries]) for g in more]
        return w.Accordion(inner, titles=[g.title for g in more], selected_index=None, layout=w.Layout(margin="8px 0"))

    def _listen(self) -> None:
        for question in self.questions.values():
            question.input.observe(lambda _: self.refresh(), "value")
        for widget in (self.path, self.replace):
            widget.observe(lambda _: self.refresh(), "value")
        self.start.observe(lambda _: self.fill(), "value")
        self.button.on_click(lambda _: self.write())

    def values(self) -> dict[str, str | bool]:
        """What the inputs hold."""
        return {path: question.input.value for path, question in self.questions.items()}

    def mapping(self) -> dict[str, Any]:
        """What the file would hold under `site`."""
        return draft.build(self.base, self.values())

    def fill(self) -> None:
        """Starts again from the chosen file."""
        self.base, self.unread = draft.EMPTY, ""
        try:
            self.base = self._chosen()
        except ParamsError as error:
            self.unread = str(error)
        self.filling = True
        try:
            for path, value in draft.values(self.base).items():
                self.questions[path].input.value = value
        finally:
            self.filling = False
        self.refresh()

    def _chosen(self) -> Mapping[str, Any]:
        if self.start.value == NOTHING:
            return draft.EMPTY
        if isinstance(self.given, Mapping) and self.start.value == GIVEN:
            return self.given
        return read(self.start.value)

    def refresh(self) -> None:
        """Checks what was typed and shows what follows from it; while a file is being filled in, nothing."""
        if self.filling:
            return
        said, mapping = self.values(), self.mapping()
        meant, found = draft.derived(said), dict(problems(mapping))
        for path, question in self.questions.items():
            where = draft.dotted(draft.place(mapping, question.entry))
            question.tell(found.get(where, ""), meant.get(path, ""), asked=draft.asked(question.entry, said))
        self.path.placeholder = f"params/{mapping.get('name') or 'site'}.yaml"
        self.shown.value = _paper(draft.preview(mapping))
        self.verdict.value, self.said.value = _verdict(self.unread, found), ""
        self._permit(valid=not found)

    def _permit(self, *, valid: bool) -> None:
        try:
            path = self.target()
        except draft.DraftError as error:
            self.button.disabled, self.said.value = True, _wrong(error)
            return
        taken = draft.exists(path) and path != self.written
        self.replace.layout.display = None if taken else "none"
        self.button.disabled = not valid or (taken and not self.replace.value)

    def target(self) -> Path:
        """The file the button writes."""
        return draft.target(self.path.value or self.path.placeholder)

    def write(self) -> None:
        """Writes the file if it may be written, and says what to do with it."""
        try:
            path = self.target()
            draft.write(path, self.mapping(), replace=self.replace.value or path == self.written)
        except RunbookError as error:
            self.said.value = _wrong(error)
            return
        self.written, self.replace.value = path, False
        self.refresh()
        self.said.value = _next(path)


def _controls(given: Mapping[str, Any] | str) -> tuple[w.Dropdown, w.Text, w.Checkbox, w.Button]:
    first = GIVEN if isinstance(given, Mapping) else given
    options = list(dict.fromkeys([first, NOTHING, *sources()]))
    wide = {"description_width": "8.6em"}
    return (
        w.Dropdown(options=options, value=first, description="start from", style=wide),
        w.Text(description="file", continuous_update=True, style={"description_width": "3em"}),
        w.Checkbox(description="replace it", value=False, indent=False, layout=w.Layout(width="8em")),
        w.Button(description="Write", button_style="primary", icon="save", disabled=True),
    )


def _wrong(error: RunbookError) -> str:
    return f"<p style='color:{WRONG}'>{html.escape(str(error))}</p>"


def _verdict(unread: str, found: Mapping[str, str]) -> str:
    if unread:
        return f"<p style='color:{WRONG}'>{html.escape(unread)}</p>"
    if not found:
        return f"<p style='color:{GOOD}'><b>✓ valid</b></p>"
    rows = "".join(f"<li>{html.escape(said)}: {_places(found, said)}</li>" for said in dict.fromkeys(found.values()))
    return f"<b>{len(found)} to settle</b><ul style='margin:0 0 6px;padding-left:1.4em;line-height:1.4'>{rows}</ul>"


def _places(found: Mapping[str, str], said: str) -> str:
    return ", ".join(f"<code>{html.escape(path or 'site')}</code>" for path, s in found.items() if s == said)


def _paper(text: str) -> str:
    """The file's text with its comments dimmed."""
    dimmed = re.sub(r"(?m)(^|  )(# .*)$", rf"\1<span style='color:{MUTED}'>\2</span>", html.escape(text, quote=False))
    return f"<pre style='white-space:pre;overflow-x:auto;font-size:smaller;line-height:1.4'>{dimmed}</pre>"


def _next(path: Path) -> str:
    root = project_root()
    shown = html.escape(str(path.relative_to(root) if path.is_relative_to(root) else path))
    return (
        f"<p style='color:{GOOD}'>✓ wrote <code>{shown}</code></p>"
        f"<p>Look at the plan of every stage, changing nothing: <code>runbook run {shown}</code></p>"
    )
