"""Pulling from the registries of the world, where one answers; where none does, soon giving up."""

from __future__ import annotations

import docker
from docker.errors import DockerException
from requests import RequestException

from runbooklib.testbed.engine import Say, seldom

SILENCE = 15  # seconds without a sign of progress after which a registry counts as out of reach


def pull(name: str, say: Say) -> str:
    """The name of the image once it is pulled, or nothing when no registry gives it; tried once."""
    say(f"trying to pull {name}")
    try:
        _pull(name, say)
    except (DockerException, RequestException) as error:
        say(f"  not to be had: {str(error)[:120]}")
        return ""
    return name


def _pull(name: str, say: Say) -> None:
    repository, _, label = name.rpartition(":")
    now_and_then = seldom(say)
    api = docker.APIClient(version="auto", timeout=SILENCE)
    for event in api.pull(repository, tag=label, stream=True, decode=True):
        if "error" in event:
            raise DockerException(event["error"])
        now_and_then(f"{name}: {event.get('status', '')} {event.get('progress', '')}")
