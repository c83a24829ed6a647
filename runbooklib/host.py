"""One SSH connection to the server: commands, files, facts, and sockets opened from there."""

from __future__ import annotations

import base64
import hashlib
import logging
import shlex
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

import paramiko

from runbooklib.credentials import Secret
from runbooklib.params import Server, Site
from runbooklib.places import locate
from runbooklib.results import Change, Check, Checklist, Outcome, Plan, RunbookError, Status, judged, passed, say, show

logging.getLogger("paramiko").addHandler(logging.NullHandler())  # what it logs, our errors say in better words

CONNECT_SECONDS = 10.0
PAUSE = 1.0  # seconds before a server that hung up is asked again
OPEN_PROHIBITED, OPEN_CONNECT_FAILED = 1, 2  # RFC 4254 5.1
HUNG_UP = {ConnectionResetError, EOFError}
DATA = bytes([94])  # SSH_MSG_CHANNEL_DATA (RFC 4254 9)
MOST = 32 * 2**20  # octets of one command's output; a log that grew by a loop must not fill the memory here
SESSIONS = 8  # side by side on one connection; sshd's MaxSessions allows 10 where nobody changed it
MARK = "--runbook-fact--"
# The length is compared before the rename: a connection that breaks half-way must not leave half a file in place.
WRITE = """set -e; mkdir -p "$(dirname "$1")"; umask 077; t=$(mktemp "$1.XXXXXX"); trap 'rm -f "$t"' EXIT HUP INT TERM
cat >"$t"; [ "$(wc -c <"$t")" -eq "$2" ] || { echo "short write" >&2; exit 74; }
chmod "$3" "$t"; chown "$4" "$t"; mv -f "$t" "$1"; trap - EXIT"""
# A command that ends while we still send to it ends the whole connection: our octets cross its CLOSE, and sshd hangs up
# on whoever sends to a channel that is gone. So exactly as many are read as we send, and no EOF (RFC 4254 5.3) follows.
FED = """n=$1; shift; head -c "$n" | { "$@"; s=$?; cat >/dev/null; exit "$s"; }"""


class HostError(RunbookError):
    """The server could not be used over SSH; `check` names the claim that broke, `fix` what to do."""

    check, fix = "host.ssh", ""

    def __init__(self, message: str, fix: str = "") -> None:
        super().__init__(message)
        self.fix = fix or self.fix


class UnreachableError(HostError):
    """No SSH server answered."""

    check = "host.ssh.reach"


class HungUpError(UnreachableError):
    """Somebody took the connection and hung up before we were logged in."""


class HostKeyError(HostError):
    """The server showed another key than the pinned or known one, or none is known."""

    check = "host.ssh.host-key"


class LoginError(HostError):
    """SSH refused our key."""

    check = "host.ssh.login"


class CommandError(HostError):
    """A command on the server ended with a status that it should not have."""

    check = "host.command"


class LateError(CommandError):
    """A command did not end in time; `heard` is what it had said by then."""

    def __init__(self, message: str, heard: str) -> None:
        super().__init__(message)
        self.heard = heard


class TooLongError(HostError):
    """A command said more than is read; the rest was cut off, so that nobody takes a part for the whole."""

    check = "host.command"


@dataclass(frozen=True)
class Answer:
    """What a command said."""

    status: int
    out: str
    err: str = ""

    @property
    def ok(self) -> bool:
        return self.status == 0


@dataclass
class Host:
    """A live connection; commands run as root, by `sudo -n` where the login is another user."""

    client: paramiko.SSHClient
    prefix: tuple[str, ...] = ()
    most: int = MOST
    sessions: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(SESSIONS))

    @property
    def alive(self) -> bool:
        transport = self.client.get_transport()
        return transport is not None and transport.is_active()

    @property
    def address(self) -> str:
        """By which address SSH reached it; empty without a connection."""
        transport = self.client.get_transport()
        return str(transport.getpeername()[0]) if transport else ""

    def run(
        self, argv: Sequence[str], stdin: bytes | str | None = None, timeout: float = 60, *, check: bool = True
    ) -> Answer:
        """Runs one command.

        Raises CommandError when it fails and `check` is set, LateError when it says nothing for `timeout` seconds and
        does not end; TooLongError when it says more than `most` octets.
        """
        out = bytearray()
        try:
            data = stdin.encode() if isinstance(stdin, str) else stdin or b""
            status, err = self._exchange(argv, data, timeout, out)
        except TimeoutError:
            late = f"`{_short(argv)}` did not end within {timeout:.0f} s"
            raise LateError(late, out.decode(errors="replace")) from None
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise UnreachableError(f"the SSH connection broke during `{_short(argv)}`: {error}") from None
        answer = Answer(status, out.decode(errors="replace"), err.decode(errors="replace"))
        if check and not answer.ok:
            said = (answer.err or answer.out).strip()[-2000:]
            raise CommandError(f"`{_short(argv)}` ended with status {answer.status}: {said}")
        return answer

    def _exchange(self, argv: Sequence[str], stdin: bytes, timeout: float, output: bytearray) -> tuple[int, bytes]:
        """The status and what came on stderr; `output` takes what comes on stdout, as it comes."""
        command = (*self.prefix, "env", "LC_ALL=C", *argv)
        fed = shlex.join(("sh", "-c", FED, "fed", str(len(stdin)), *command))
        transport = self.client.get_transport()
        if transport is None:
            raise EOFError("not connected")
        with self.sessions, session(transport) as channel:
            channel.settimeout(timeout)
            channel.exec_command(fed if stdin else f"{shlex.join(command)} </dev/null")
            errors = bytearray()
            reader = threading.Thread(target=_drain, args=(channel.recv_stderr, errors), daemon=True)
            reader.start()
            feeder = threading.Thread(target=_feed, args=(channel, stdin), daemon=True)
            feeder.start()
            while chunk := channel.recv(65536):
                output += chunk
                if len(output) > self.most:
                    raise TooLongError(f"`{_short(argv)}` said more than {self.most} octets and was cut off there")
            reader.join(timeout)
            feeder.join(timeout)
            return channel.recv_exit_status(), bytes(errors)

    def read(self, path: str) -> str | None:
        """The file's text, or None where there is none."""
        answer = self.run(["cat", path], check=False)
        return answer.out if answer.ok else None

    def write(self, path: str, content: bytes | str, mode: int = 0o644, owner: str = "root:root") -> None:
        """Writes a whole file or leaves the old one: to a temporary name beside it, then renamed."""
        data = content.encode() if isinstance(content, str) else content
        self.run(["sh", "-c", WRITE, "write", path, str(len(data)), f"{mode:o}", owner], data)

    def facts(self, commands: Mapping[str, str], through: Sequence[str] = (), timeout: float = 60) -> dict[str, Answer]:
        """Many shell commands in one round trip, each with its own status; `through` leads into a container."""
        return parse_facts(self.run([*through, "sh", "-s"], asking(commands), timeout, check=not through).out)

    def heard(
        self, commands: Mapping[str, str], through: Sequence[str] = (), silence: float = 60, *, abreast: bool = False
    ) -> dict[str, Answer]:
        """The same for evidence: what was said before a silence of so many seconds is not lost with what hangs then."""
        try:
            return parse_facts(
                self.run([*through, "sh", "-s"], asking(commands, abreast=abreast), silence, check=not through).out
            )
        except LateError as error:
            return parse_facts(error.heard)

    def dial(self, address: str, port: int, timeout: float = CONNECT_SECONDS) -> socket.socket:
        """A TCP connection made from the server, as a socket here (RFC 4254 7.2).

        Raises TimeoutError, ConnectionRefusedError or OSError as a local connection would.
        """
        transport = self.client.get_transport()
        if transport is None:
            raise ConnectionError("not connected")
        started = time.monotonic()
        try:
            channel = transport.open_channel("direct-tcpip", (address, port), ("127.0.0.1", 0), timeout=timeout)
        except paramiko.SSHException as error:
            if (code := _why_refused(transport, error)) is not None:
                raise _refusal(code, address, port, time.monotonic() - started) from None
            raise TimeoutError(f"{address} port {port}: no answer within {timeout:.0f} s ({error})") from None
        ours, theirs = socket.socketpair()
        for work in (_to_channel, _from_channel):
            threading.Thread(target=work, args=(theirs, channel), daemon=True).start()
        ours.settimeout(timeout)
        return ours


class Orderly(paramiko.Transport):
    """Sends no octets on a channel after its CLOSE, for which sshd would end the whole connection.

    paramiko puts them into a message under the channel's lock and sends it after letting go; a CLOSE may come between.
    """

    def _send_message(self, data: paramiko.Message) -> None:
        head = data.asbytes()[:5]  # messages of channels come here one by one
        if head[:1] != DATA or int.from_bytes(head[1:], "big") in self._open():
            super()._send_message(data)  # type: ignore[misc] # not in its stubs

    def _open(self) -> set[int]:
        """The numbers that the server gave to the channels we have not closed."""
        known: list[paramiko.Channel] = self._channels.values()  # type: ignore[attr-defined]
        return {channel.remote_chanid for channel in known if channel.active and not channel.closed}


def session(transport: paramiko.Transport) -> paramiko.Channel:
    """A session; sshd refuses one more than MaxSessions, and counts one for a moment after we closed it."""
    for pause in (0.1, 0.3, 1.0, 2.0):
        try:
            return transport.open_session(timeout=CONNECT_SECONDS)
        except paramiko.SSHException as error:
            if _why_refused(transport, error) != OPEN_CONNECT_FAILED:
                raise
            time.sleep(pause)
    return transport.open_session(timeout=CONNECT_SECONDS)


def _why_refused(transport: paramiko.Transport, error: paramiko.SSHException) -> int | None:
    """The reason code of a refused channel; None where none was refused.

    paramiko keeps one refusal for a whole connection: of channels refused at the same moment all but one learn only
    that theirs was not opened.
    """
    if isinstance(error, paramiko.ChannelException):
        return error.code
    return OPEN_CONNECT_FAILED if transport.is_active() and "Unable to open channel" in str(error) else None


def _refusal(code: int, address: str, port: int, seconds: float) -> OSError:
    """The server's sshd says only *connect failed*; the time it took tells a refusal from silence."""
    if code == OPEN_PROHIBITED:
        return PermissionError("sshd on the server forbids forwarding: let it, with AllowTcpForwarding local")
    if seconds > CONNECT_SECONDS / 2:
        return TimeoutError(f"{address} port {port}: no answer")
    return ConnectionRefusedError(f"{address} port {port}: refused")


def _short(argv: Sequence[str]) -> str:
    text = shlex.join(argv)
    return text if len(text) <= 120 else text[:117] + "…"  # noqa: PLR2004 - a line of a terminal


ENDED = (OSError, EOFError)  # paramiko says the second when the whole connection goes


def _drain(receive: Callable[[int], bytes], into: bytearray) -> None:
    with suppress(*ENDED):
        while chunk := receive(65536):
            into += chunk[: MOST - len(into)]  # read to its end all the same: who waits for a reader never ends


def _feed(channel: paramiko.Channel, data: bytes) -> None:
    with suppress(*ENDED):  # the connection may break before all is sent; who reads the output learns of it
        channel.sendall(data)


def _to_channel(theirs: socket.socket, channel: paramiko.Channel) -> None:
    """The only one who sends, EOF and CLOSE too: what crosses a CLOSE of our own ends the whole connection."""
    with suppress(*ENDED):
        while data := theirs.recv(65536):
            channel.sendall(data)
    channel.close()
    theirs.close()


def _from_channel(theirs: socket.socket, channel: paramiko.Channel) -> None:
    with suppress(*ENDED):
        while data := channel.recv(65536):
            theirs.sendall(data)
    with suppress(OSError):
        theirs.shutdown(socket.SHUT_RDWR)


def asking(commands: Mapping[str, str], *, abreast: bool = False) -> str:
    """The script that runs the commands and marks what each says, one after the other.

    Or `abreast`, for answers of fewer than 4,096 octets: a pipe takes those whole (pipe(7), PIPE_BUF).
    """
    each = (
        f'{{ o=$( ( {command}\n) 2>&1 ); s=$?; printf "%s\\n%s\\n%s %s\\n" "{MARK}{name}" "$o" "{MARK}" "$s"; }}'
        for name, command in commands.items()
    )
    return " &\n".join([*each, "wait"]) if abreast else "\n".join(each)


def parse_facts(text: str) -> dict[str, Answer]:
    """The named answers in what the facts script printed; a cut-off last one is left out."""
    found: dict[str, Answer] = {}
    name, lines = "", list[str]()
    for line in text.splitlines():
        if line.startswith(f"{MARK} "):
            found[name] = Answer(int(line.removeprefix(f"{MARK} ")), "\n".join(lines))
        elif line.startswith(MARK):
            name, lines = line.removeprefix(MARK), []
        else:
            lines.append(line)
    return found


class _Pinned(paramiko.MissingHostKeyPolicy):
    """Accepts the one pinned key; without a pin, nothing that known_hosts does not know."""

    def __init__(self, pin: str | None) -> None:
        self.pin = pin

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        del client
        shown = fingerprint(key.asbytes())
        if self.pin is None:
            raise HostKeyError(
                f"no host key is known for {hostname}; it shows {key.get_name()} {shown}",
                "compare it with `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` on the server's console, "
                "then write it into server.ssh.host_key or known_hosts",
            )
        if shown != self.pin:
            raise HostKeyError(
                f"expected host key {self.pin}, saw {shown}",
                "do not go on: either the server was reinstalled (then compare on its console and pin the new key) "
                "or someone stands in between",
            )


def fingerprint(blob: bytes) -> str:
    """A public key's fingerprint as OpenSSH prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


_open: dict[Server, Host] = {}
_opening = threading.Lock()


def connect(site: Site) -> Host:
    """The connection to the site's server, opened once and again when it broke.

    Raises UnreachableError, HostKeyError or LoginError.
    """
    with _opening:  # many ask at once after a break; sshd turns away a crowd of logins (MaxStartups)
        known = _open.get(site.server)
        if known is None or not known.alive:
            known = _open[site.server] = _connect_again(site.server)
        return known


def _connect_again(server: Server) -> Host:
    """Asks once more where sshd hung up, as it does at random among many logins (sshd_config(5) MaxStartups)."""
    with suppress(HungUpError):
        return _connect(server)
    time.sleep(PAUSE)
    return _connect(server)


def _connect(server: Server) -> Host:
    client = paramiko.SSHClient()
    if server.ssh.host_key is None:
        client.load_system_host_keys()
    client.set_missing_host_key_policy(_Pinned(server.ssh.host_key))
    where = f"{server.host} port {server.ssh.port}"
    key = server.ssh.key and str(locate(server.ssh.key))
    try:
        client.connect(
            server.host,
            server.ssh.port,
            server.ssh.user,
            key_filename=key or None,
            allow_agent=key is None,
            look_for_keys=key is None,
            timeout=CONNECT_SECONDS,
            banner_timeout=CONNECT_SECONDS,
            auth_timeout=CONNECT_SECONDS,
            transport_factory=Orderly,  # type: ignore[arg-type] # it takes what a Transport takes
        )
    except HostKeyError:
        raise
    except paramiko.BadHostKeyException as error:
        shown = fingerprint(error.key.asbytes())
        raise HostKeyError(f"{where}: known_hosts holds another key than the one shown, {shown}") from None
    except paramiko.AuthenticationException as error:
        raise LoginError(
            f"{where}: user {server.ssh.user} was refused ({error})",
            "put the public half of server.ssh.key into that user's ~/.ssh/authorized_keys",
        ) from None
    except FileNotFoundError:
        raise LoginError(
            f"the SSH key {server.ssh.key} does not exist here", "name another in server.ssh.key"
        ) from None
    except (paramiko.SSHException, OSError, EOFError) as error:
        # Of what comes before its banner paramiko keeps no more than the context.
        kind = HungUpError if {type(error), type(error.__context__)} & HUNG_UP else UnreachableError
        fix = "check server.host, the server's firewall and that sshd runs"
        raise kind(f"{where}: no SSH server answered: {error or type(error).__name__}", fix) from None
    return Host(client, () if server.ssh.user == "root" else ("sudo", "-n", "--"))


def preflight(site: Site) -> Checklist:
    """Whether the server lets us in, by the key we know, as root, and is a system we know how to work on."""
    title = f"SSH to {site.server.host}"
    try:
        host = connect(site)
        facts = host.facts({"uid": "id -u", "os": "cat /etc/os-release"})
    except HostError as error:
        words = {"host.ssh.reach": Status.UNKNOWN}.get(error.check, Status.FAIL)
        return Checklist(title, (_refused(site, error, words),))
    release = os_release(facts["os"].out)
    system = release.get("PRETTY_NAME", "unknown")
    known = {"debian", "ubuntu"} & {release.get("ID", ""), *release.get("ID_LIKE", "").split()}
    return Checklist(
        title,
        (
            passed("host.ssh.host-key", "the pinned or known host key", site.server.ssh.host_key or "known_hosts"),
            passed("host.ssh.login", f"login as {site.server.ssh.user}", "accepted"),
            judged(
                "host.root",
                facts["uid"].out.strip() == "0",
                "commands run as root",
                f"user id {facts['uid'].out.strip() or facts['uid'].err}",
                "log in as root, or give the user sudo without a password",
            ),
            judged("host.os", bool(known), "Debian or Ubuntu", system, "use a Debian or Ubuntu server"),
        ),
    )


def _refused(site: Site, error: HostError, status: Status) -> Check:
    if isinstance(error, CommandError):
        fix = f"log in as root, or let {site.server.ssh.user} use sudo without a password"
        return Check("host.root", Status.FAIL, "commands run as root", str(error), fix)
    return Check(error.check, status, f"an SSH login at {site.server.host}", str(error), error.fix)


def os_release(text: str) -> dict[str, str]:
    """The fields of /etc/os-release."""
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {key: value.strip("\"'") for key, _, value in pairs}


@dataclass(frozen=True)
class FileChange(Change):
    """A file that will be written whole."""

    path: str = ""
    content: bytes = field(default=b"", repr=False)
    mode: int = 0o644
    owner: str = "root:root"

    def do(self, host: Host) -> None:
        host.write(self.path, self.content, self.mode, self.owner)


@dataclass(frozen=True)
class CommandChange(Change):
    """A command that will be run; `password` goes to its standard input twice, as `setup` asks for it."""

    argv: tuple[str, ...] = ()
    password: Secret | None = None
    timeout: float = 600.0
    fix: str = ""  # what to do when it fails, where the command's own words do not say

    def do(self, host: Host) -> None:
        stdin = f"{self.password.reveal()}\n" * 2 if self.password else None
        host.run(self.argv, stdin, self.timeout)


def apply(site: Site, plan: Plan, *, apply: bool) -> Outcome:
    """Does on the server what the plan says, or shows it; see `stepwise`."""
    return stepwise(plan, lambda change: change.do(connect(site)), apply=apply)  # type: ignore[attr-defined]


def stepwise(plan: Plan, do: Callable[[Change], None], *, apply: bool) -> Outcome:
    """Every step of a plan, in order, each done by `do`, up to one that says it is not possible yet.

    With `apply` false, held, or nothing to do, touches nothing. Raises UnsafePlanError before anything is touched,
    GateError with the row of the step that broke; what is done before it stays done.
    """
    if not plan or not apply or plan.held:
        return Outcome(plan)
    plan.refuse_unsafe()
    done = list[Change]()
    for change in plan:
        say(f"{change.target}: {change.after}")
        try:
            do(change)
        except RunbookError as error:
            row, so_far = _broken(change, error, len(done), len(plan)), Outcome(plan, tuple(done), applied=True)
            if row.status is Status.PENDING:
                return replace(so_far, waits=row)
            show(so_far)
            Checklist(plan.title, (row,)).require()
        done.append(change)
    return Outcome(plan, tuple(done), applied=True)


def _broken(change: Change, error: RunbookError, done: int, of: int) -> Check:
    """Why a step broke; an error that cannot tell wrong from unknown counts as wrong."""
    usual = "mend what the server says and run this stage again: it goes on from here"
    fix = getattr(change, "fix", "") or getattr(error, "fix", "") or usual
    said = f"step {done + 1} of {of} broke, those before it are done: {error}"
    status, stage = getattr(error, "status", Status.FAIL), getattr(error, "waits_for", "")
    return Check(f"apply {change.target}", status, change.after, said, fix, waits_for=stage)
