"""Keeps every process of the tests from making what no test needs; imported before all that would."""

from __future__ import annotations

import sys

# jsonschema, which nbformat imports, compiles some forty grammars for IRIs where this package is found: two seconds.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
