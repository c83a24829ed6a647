"""environment.yml holds the packages of pyproject.toml, under conda-forge's names."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
CONDA_NAMES = {"docker": "docker-py", "pyyaml": "pyyaml"}
FIXED = {"jupyterlab", "papermill", "ipywidgets", "dnspython", "docker", "paramiko", "pandas"}


def split(requirement: str) -> tuple[str, str]:
    """A requirement's name, in lower case, and its versions."""
    name, versions = re.fullmatch(r"([\w-]+)\s*(.*)", requirement).groups()  # type: ignore[union-attr]
    return name.lower(), versions


def project() -> dict[str, str]:
    told = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return dict(split(r) for r in told["dependencies"]) | {"python": told["requires-python"]}


def test_the_two_files_ask_for_the_same() -> None:
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    asked = dict(split(r) for r in conda if isinstance(r, str) and r != "pip")
    assert asked == {CONDA_NAMES.get(name, name): versions for name, versions in project().items()}
    assert conda[-1] == {"pip": ["-e ."]}


def test_the_packages_that_must_be_used_are_asked_for_and_used() -> None:
    assert set(project()) >= FIXED
    texts = [p.read_text() for kind in ("runbooklib/**/*.py", "notebooks/*.ipynb") for p in ROOT.glob(kind)]
    for name in FIXED - {"jupyterlab"}:
        module = {"dnspython": "dns"}.get(name, name)
        assert any(re.search(rf"^\s*(import|from) {module}\b", text, re.MULTILINE) for text in texts), name


def test_every_dependency_says_why() -> None:
    lines = (ROOT / "pyproject.toml").read_text().split("dependencies = [")[1].split("]\n")[0].strip().splitlines()
    assert all("  # " in line for line in lines)
