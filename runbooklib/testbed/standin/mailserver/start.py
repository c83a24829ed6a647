"""The start script: check, configure once per container, start the services, then show the mail log."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from . import changes, dkim, dovecot, network, postfix, relays, settings, shutdown, srs, state, tls
from .databases import ACCOUNTS, CONFIG
from .journal import Journal

if TYPE_CHECKING:
    from .settings import Settings

RELEASE = "v15.1.0"
STARTED = Path("/CONTAINER_START")
MAIL_LOG = Path("/var/log/mail/mail.log")
GRACE_SECONDS, POLL_SECONDS = 120, 10


def main(_arguments: list[str]) -> int:
    """Run the container until the mail log's reader ends."""
    config = settings.from_environment(os.environ)
    journal = Journal("start-mailserver.sh", config["LOG_LEVEL"])
    journal.info(f"Welcome to docker-mailserver {RELEASE}")
    journal.info("Checking configuration")
    settings.write(config)
    if "." not in config["HOSTNAME"]:
        shutdown.now(journal, "Setting hostname/domainname is required")
    if STARTED.exists():
        journal.info("Container was restarted. Skipping most setup routines.")
    else:
        _configure(config, journal)
    STARTED.touch()
    state.sweep()
    return _run_services(config, journal)


def _configure(config: Settings, journal: Journal) -> None:
    journal.info("Configuring mail server")
    for name in settings.missing_services(os.environ):
        journal.warn(f"{name}=1 has no effect: this image does not hold that service")
    CONFIG.mkdir(exist_ok=True)
    CONFIG.chmod(CONFIG.stat().st_mode | 0o111)
    shutil.chown(dovecot.MAIL, dovecot.OWNER, dovecot.OWNER)
    dovecot.first_setup(config)
    _await_account(journal)
    changes.remember(config)
    postfix.first_setup(config)
    postfix.write_tables()
    dovecot.write_users(config, journal)
    _set_up_signing(config)
    tls.setup(config, journal)
    network.permit_neighbours(config, journal)
    if relays.configured(config):
        relays.first_setup(config, journal)
    postfix.override()
    dovecot.override()
    if config["ENABLE_SRS"] == "1":
        srs.setup(config)
    state.consolidate(srs=config["ENABLE_SRS"] == "1")
    _patch()


def _await_account(journal: Journal) -> None:
    for left in range(GRACE_SECONDS, 0, -POLL_SECONDS):
        if ACCOUNTS.lines():
            return
        journal.warn(
            f"You need at least one mail account to start Dovecot ({left}s left for account creation before shutdown)"
        )
        time.sleep(POLL_SECONDS)
    if not ACCOUNTS.lines():
        shutdown.now(
            journal,
            "Failed to start accounts provisioning because no accounts were provided - Dovecot could not be started!",
        )


def _set_up_signing(config: Settings) -> None:
    if config["ENABLE_OPENDKIM"] == "1":
        dkim.name_resolvers()
        dkim.copy()
    if config["ENABLE_OPENDMARC"] == "1":
        path = Path("/etc/opendmarc.conf")
        path.write_text(path.read_text().replace("HOSTNAME", config["HOSTNAME"]))


def _patch() -> None:
    patches = CONFIG / "user-patches.sh"
    if patches.exists():
        subprocess.run(["bash", str(patches)], check=False)


def _run_services(config: Settings, journal: Journal) -> int:
    MAIL_LOG.parent.mkdir(parents=True, exist_ok=True)
    MAIL_LOG.touch(mode=0o640)
    first_byte = MAIL_LOG.stat().st_size + 1
    journal.info("Starting daemons")
    subprocess.run(["supervisorctl", "start", *_services(config)], stdout=subprocess.DEVNULL, check=True)
    journal.info(f"{config['HOSTNAME']} is up and running")
    os.execvp("tail", ["tail", f"--bytes=+{first_byte}", "--follow=name", "--retry", str(MAIL_LOG)])  # noqa: S606


def _services(config: Settings) -> list[str]:
    milters = [name for name in ("opendkim", "opendmarc") if config[f"ENABLE_{name.upper()}"] == "1"]
    rewriting = ["postsrsd"] if config["ENABLE_SRS"] == "1" else []
    return ["cron", "rsyslog", "dovecot", *milters, "postfix", *rewriting, "changedetector"]
