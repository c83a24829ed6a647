"""The form of 00-start: it shows a params file's short case, checks it as you type, and writes it."""

from runbooklib.form.widgets import edit

__all__ = ["edit"]
