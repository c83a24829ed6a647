"""Faults of the mail server's container, of its settings and of what runs in it."""

from __future__ import annotations

from runbooklib.diagnosis import Symptom
from runbooklib.testbed.faults.boxes import BOXES
from runbooklib.testbed.faults.fault import Break, Fault, Mend
from runbooklib.testbed.faults.scene import HERE, MAIL, Scene
from runbooklib.testbed.faults.shapes import composed

CERTIFICATE, ACCOUNTS = f"{HERE}/certs/mail.pem", f"{HERE}/config/postfix-accounts.cf"
UNACCOUNTED = "need at least one mail account"


def _start(scene: Scene, _: object) -> None:
    scene.server(f"docker start {MAIL}")
    scene.await_mail()


def _without_certificate(scene: Scene) -> str:
    before = scene.read("server", CERTIFICATE)
    scene.server('rm "$1"', CERTIFICATE)
    scene.compose("up", "-d", "--force-recreate", "--quiet-pull")
    scene.until(lambda: "does not exist" in _log(scene), "the end of the container's start")
    return before


def _with_certificate(scene: Scene, before: str) -> None:
    scene.write("server", CERTIFICATE, before)
    scene.recreate()  # one that was cut off in its set-up has half of it twice


def _log(scene: Scene) -> str:
    return scene.server(f"docker logs {MAIL} 2>&1")


def _without_accounts(scene: Scene) -> str:
    before = scene.read("server", ACCOUNTS)
    scene.write("server", ACCOUNTS, "")
    scene.compose("up", "-d", "--force-recreate", "--quiet-pull")
    scene.until(lambda: UNACCOUNTED in _log(scene), "the wait for an account")
    return before


def _with_accounts(scene: Scene, before: str) -> None:
    scene.write("server", ACCOUNTS, before)
    scene.recreate()


def service(name: str, also: str = "") -> tuple[Break, Mend]:
    """A service stopped by supervisord's own command; `also` is started anew once it is back."""

    def injure(scene: Scene) -> None:
        scene.mail('supervisorctl stop "$1"', name)

    def mend(scene: Scene, _: object) -> None:
        scene.mail('supervisorctl start "$1" || true', name)
        if also:
            scene.mail('supervisorctl restart "$1"', also)
        scene.await_mail()

    return injure, mend


def _unhealthy() -> tuple[Break, Mend]:
    """Postfix stopped for so long that Docker has looked three times in vain."""
    stop, start = service("postfix")
    health = f"docker inspect -f '{{{{.State.Health.Status}}}}' {MAIL}"

    def injure(scene: Scene) -> None:
        stop(scene)
        scene.until(lambda: scene.server(health).strip() == "unhealthy", "the end of Docker's patience")

    return injure, start


CONTAINERS = (
    Fault(
        "container-stopped",
        "somebody stopped the mail server's container",
        "container-stopped",
        Symptom.CLIENT,
        lambda scene: scene.server(f"docker stop -t 3 {MAIL}"),
        _start,
    ),
    Fault(
        "crash-looping",
        "the certificate's file went away, and the container was made anew since",
        "certificate-file",
        Symptom.CLIENT,
        _without_certificate,
        _with_certificate,
    ),
    Fault(
        "no-accounts",
        "the list of mailboxes was emptied, and the container made anew",
        "no-account",
        Symptom.CLIENT,
        _without_accounts,
        _with_accounts,
    ),
    Fault(
        "setting-twice",
        "a setting was tried out in compose.yaml, where it overrules the env file to this day",
        "setting-twice",
        Symptom.CANNOT_SEND,
        *composed("    env_file:", "    environment:\n      SPOOF_PROTECTION: '0'\n    env_file:"),
    ),
    Fault(
        "wrong-hostname",
        "the container was given the name that the provider's panel shows",
        "hostname-wrong",
        Symptom.JUNK,
        *composed("hostname: mail.lantern.example", "hostname: vps4711.cloud.example"),
    ),
    Fault(
        "container-unhealthy",
        "the container runs, and Postfix in it has stopped",
        "postfix-down",
        Symptom.CANNOT_RECEIVE,
        *_unhealthy(),
    ),
    Fault(
        "dovecot-down",
        "Dovecot has stopped",
        "dovecot-down",
        Symptom.CLIENT,
        *service("dovecot", also="postfix"),
    ),
    *BOXES,
)
