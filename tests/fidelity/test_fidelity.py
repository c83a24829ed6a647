"""How true the mail server image is to docker-mailserver 15.1.0."""

from __future__ import annotations

import re
import socket
import ssl
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, cast

import pytest
from cryptography import x509
from fidelity_cases import CASES, STAMP, Case
from fidelity_profiles import PROFILES
from fidelity_world import Answer, World, await_ready, eventually, execute, plain

if TYPE_CHECKING:
    from collections.abc import Iterator


def complaints(case: Case, answer: Answer) -> list[str]:
    """What in an answer is not as the case has it."""
    found = []
    if case.status is not None and answer.status != case.status:
        found.append(f"status {answer.status}, not {case.status}")
    for name, pattern in (("stdout", case.stdout), ("stderr", case.stderr)):
        if not re.search(pattern, getattr(answer, name), re.MULTILINE):
            found.append(f"{name} does not match {pattern}")
    if case.absent and re.search(case.absent, answer.stdout, re.MULTILINE):
        found.append(f"stdout matches {case.absent}")
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.ref}: {case.name}")
def test_case_can_turn_red(case: Case) -> None:
    assert complaints(case, Answer("something else\n==\nhdr.subject: own\n==\n", "", 99))


# First, because the container waits for 120 seconds only (T§1, T§2)


def test_account_added_during_the_wait_is_enough(world: World) -> None:
    container = world.container("late-account")
    eventually(lambda: b"120s left" in container.logs(), 60, "the wait for an account")
    healthcheck = 'ss --listening --ipv4 --tcp | grep --silent ":smtp" || exit 1'
    assert execute(container, healthcheck).status == 1
    listing = execute(container, "setup email list")
    assert (listing.status, "'/tmp/docker-mailserver/postfix-accounts.cf' does not exist" in listing.stderr) == (
        1,
        True,
    )
    assert execute(container, "setup email add admin@alder.example pw12345").status == 0
    # At the next look, ten seconds later at most, and the start itself.
    await_ready(container, 110)
    assert execute(container, healthcheck).status == 0


# The table


@pytest.fixture(scope="module")
def answers(world: World, request: pytest.FixtureRequest) -> Iterator[dict[str, Future[Answer]]]:
    """The selected cases' answers: those of one server in order, the servers side by side."""
    found: dict[str, Future[Answer]] = {}
    cases = [case for item in request.session.items if (case := selected(item))]
    with ThreadPoolExecutor(8) as pool:
        for server in dict.fromkeys(case.server for case in cases):
            own = [case for case in cases if case.server == server]
            found |= {case.name: Future() for case in own}
            pool.submit(answer_in_order, world, own, found)
        yield found


def selected(item: pytest.Item) -> Case | None:
    """The case of an item of the table that is to be run."""
    if isinstance(item, pytest.Function) and item.originalname == test_command_answers_as_in_the_transcripts.__name__:
        return cast("Case", item.callspec.params["case"])
    return None


def answer_in_order(world: World, cases: list[Case], found: dict[str, Future[Answer]]) -> None:
    """Run one server's cases; a case that cannot be run leaves its reason."""
    for case in cases:
        try:
            found[case.name].set_result(answer_of(world, case))
        except Exception as reason:  # noqa: BLE001  raised where the answer is asked for
            found[case.name].set_exception(reason)


def answer_of(world: World, case: Case) -> Answer:
    """Run a case's command, again while the answer is not yet right and there is time."""
    for named in world.starting.keys() & set(re.findall(r"[a-z-]+", f"{case.prepare} {case.command}")):
        world.container(named)  # who is asked over the network serves by then
    if case.prepare:
        world.run(case.server, case.prepare)
    end = time.monotonic() + case.within
    while complaints(case, answer := world.run(case.server, case.command)) and time.monotonic() < end:
        time.sleep(0.5)
    return answer


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.ref}: {case.name}")
def test_command_answers_as_in_the_transcripts(answers: dict[str, Future[Answer]], case: Case) -> None:
    answer = answers[case.name].result()
    assert not complaints(case, answer), f"{complaints(case, answer)}\n{answer.stdout}\n{answer.stderr}"


def test_cases_have_names_of_their_own() -> None:
    assert len({case.name for case in CASES}) == len(CASES)


def test_output_is_coloured_without_a_terminal(world: World) -> None:
    _, printed = world.container("main").exec_run(["setup", "email", "add", "admin@alder.example", "x"])
    assert re.search(rb"\x1b\[[0-9;]*m", cast("bytes", printed))


# Seeding a config volume before the first start (T§14)


def test_account_is_seeded_before_the_first_start(world: World) -> None:
    config = world.folder / "seeded"
    config.mkdir()
    answer = world.seed(config, ["email", "add", "admin@alder.example"], stdin="pw12345\\npw12345\\n")
    assert answer == Answer("\n\n", "", 0)
    accounts = config / "postfix-accounts.cf"
    assert re.fullmatch(r"admin@alder\.example\|\{SHA512-CRYPT\}\$6\$\S+\n", accounts.read_text())
    assert accounts.stat().st_mode & 0o777 == 0o644
    answer = world.seed(config, ["config", "dkim"])
    assert (answer.status, answer.stderr) == (0, "")
    assert re.fullmatch(
        rf"{STAMP}INFO  open-dkim: Creating DKIM private key \S+/keys/alder.example/mail.private\'\n", answer.stdout
    )
    private = config / "opendkim/keys/alder.example/mail.private"
    assert private.stat().st_mode & 0o777 == 0o600
    assert private.read_text().startswith("-----BEGIN PRIVATE KEY-----\n")


def test_accounts_are_not_listed_without_a_server(world: World) -> None:
    answer = world.seed(world.config("main"), ["email", "list"])
    assert answer.status == 1
    assert "ERROR listmailuser: This command is only compatible with 'ACCOUNT_PROVISIONER=FILE'\n" in answer.stderr


def test_no_key_is_made_without_a_domain(world: World) -> None:
    config = world.folder / "empty"
    config.mkdir()
    answer = world.seed(config, ["config", "dkim"])
    assert (answer.status, answer.stdout) == (0, "")
    assert re.fullmatch(rf"{STAMP}WARN  open-dkim: No entries found, no keys to make\n", answer.stderr)


# Starting


def test_log_of_a_start(world: World) -> None:
    shown = plain(world.container("main").logs(stderr=False))
    steps = "".join(
        rf"{STAMP}INFO  start-mailserver.sh: {step}\n"
        for step in (
            "Welcome to docker-mailserver v15.1.0",
            "Checking configuration",
            "Configuring mail server",
            "Starting daemons",
            "mail.alder.example is up and running",
        )
    )
    assert re.match(rf"{steps}\d{{4}}-\d\d-\d\dT\S+ mail \S+: ", shown)


def test_log_warns_without_tls(world: World) -> None:
    shown = plain(world.container("plain").logs(stdout=False))
    assert re.search(
        rf"^{STAMP}WARN  start-mailserver.sh: !! INSECURE !! SSL configured with plain text access "
        "- DO NOT USE FOR PRODUCTION DEPLOYMENT$",
        shown,
        re.MULTILINE,
    )


def test_log_warns_of_a_relay_without_login(world: World) -> None:
    shown = plain(world.container("no-login").logs(stdout=False))
    assert (
        "WARN  start-mailserver.sh: Missing relay-host mapped credentials provided via ENV, or from "
        "/tmp/docker-mailserver/postfix-sasl-password.cf\n" in shown
    )


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("short-name", ["Setting hostname/domainname is required"]),
        ("no-certificate", ["TLS Setup [SSL_TYPE=manual] | File /nope/k.pem or /nope/c.pem does not exist!"]),
        (
            "no-letsencrypt",
            [
                (
                    "Cannot find a valid DOMAIN "
                    "for '/etc/letsencrypt/live/<DOMAIN>/', tried: '', 'mail.alder.example', "
                    "'alder.example'"
                ),
                "_find_letsencrypt_domain | LETSENCRYPT_DOMAIN appears to be misconfigured, please verify.",
            ],
        ),
        (
            "no-self-signed",
            [
                (
                    "TLS Setup [SSL_TYPE=self-signed] | File /tmp/docker-mailserver/ssl/mail.alder.example-key.pem or "
                    "/tmp/docker-mailserver/ssl/mail.alder.example-cert.pem or "
                    "/tmp/docker-mailserver/ssl/demoCA/cacert.pem does not exist!"
                )
            ],
        ),
        (
            "no-interface",
            [
                "Detecting the container IP address failed",
                "Network Setup [docker_permit] | NETWORK_INTERFACE appears to be misconfigured, please verify.",
            ],
        ),
    ],
)
def test_failed_start_exits_with_status_0(world: World, name: str, lines: list[str]) -> None:
    container = world.container(name)
    assert container.wait(timeout=60)["StatusCode"] == 0
    shown = plain(container.logs(stdout=False))
    expected = "".join(rf"{STAMP}ERROR start-mailserver.sh: {re.escape(line)}\n" for line in [*lines, "Shutting down"])
    assert re.search(expected + r"\Z", shown), shown
    supervisor = plain(container.logs(stderr=False))
    assert "WARN exited: mailserver (exit status 1; not expected)" in supervisor
    assert "WARN received SIGTERM indicating exit request" in supervisor


# Restarting and recreating (T§7, T§9c)


def test_key_goes_live_in_a_new_container_only(world: World) -> None:
    container = world.container("no-login")
    assert execute(container, "setup config dkim").status == 0
    container.restart(timeout=60)
    await_ready(container)
    shown = plain(container.logs())
    assert "INFO  start-mailserver.sh: Container was restarted. Skipping most setup routines.\n" in shown
    assert execute(container, "ls /etc/opendkim/keys").stdout == ""
    container.remove(force=True)
    fresh = world.create("no-login", PROFILES["no-login"], world.image)
    assert execute(fresh, "ls /etc/opendkim/keys/alder.example").stdout == "mail.private\nmail.txt\n"


# Certificates (T§11)


def test_renewed_certificate_is_served_without_a_restart(world: World) -> None:
    address = world.address("implicit-tls")
    world.container("implicit-tls")
    renewed = world.authority.issue()
    assert serial(address) != renewed
    eventually(lambda: serial(address) == renewed, 60, "the new certificate")


def serial(address: str) -> int:
    """The serial number of the certificate on port 993; 0 while a reload is under way."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection((address, 993), 5) as plain_socket,
            context.wrap_socket(plain_socket) as connection,
        ):
            return x509.load_der_x509_certificate(connection.getpeercert(binary_form=True) or b"").serial_number
    except OSError:
        return 0


# The greeting (T§15)


def test_new_client_waits_six_seconds_for_the_greeting(world: World) -> None:
    world.container("pipemap")
    start = time.monotonic()
    with socket.create_connection((world.address("pipemap"), 25), 20) as connection:
        lines = connection.makefile("rb")
        assert lines.readline() == b"220-mail.alder.example ESMTP\r\n"
        assert lines.readline() == b"220 mail.alder.example ESMTP\r\n"
        assert time.monotonic() - start > 5


# No account at all (T§1, T§9): started first, judged last


def test_container_without_account_gives_up_after_120_seconds(world: World) -> None:
    container = world.container("no-account")
    assert container.wait(timeout=150)["StatusCode"] == 0
    shown = plain(container.logs(stdout=False))
    waits = "".join(
        rf"{STAMP}WARN  start-mailserver.sh: You need at least one mail account to start Dovecot "
        rf"\({left}s left for account creation before shutdown\)\n"
        for left in range(120, 0, -10)
    )
    assert re.fullmatch(
        rf"{waits}{STAMP}ERROR start-mailserver.sh: Failed to start accounts provisioning because no accounts were "
        rf"provided - Dovecot could not be started!\n{STAMP}ERROR start-mailserver.sh: Shutting down\n",
        shown,
    ), shown
