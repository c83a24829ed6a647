"""Three Postfix configurations as people leave them, put on the testbed's server, and what changed in them."""

from __future__ import annotations

from pathlib import Path

from rehearsed import Rehearsed

from runbooklib.testbed import hosts

FIXTURES = Path(__file__).parent / "fixtures" / "postfix"
NAMES = ("boxed", "handmade", "rspamd")
KEPT = "/srv/postfix.tar"  # /etc/postfix as the package leaves it
INSTALL = f"""apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \\
  postfix postfix-lmdb postfix-sqlite >/dev/null 2>&1; hostname -f >/etc/mailname; tar -C /etc/postfix -cpf {KEPT} ."""
CLEAR = f"postfix stop 2>/dev/null; find /etc/postfix -mindepth 1 -delete; tar -C /etc/postfix -xpf {KEPT}"
# Tables are compiled where they lie; those of a kind that is read as it stands are left.
COMPILE = """cd /etc/postfix && for t in $(grep -ohE '\\b(hash|lmdb):/etc/postfix/[a-z_]+' main.cf | sort -u); do
  postmap "$t" || exit 1; done; postalias "$(postconf -h alias_database)" """
SUMS = "cd /etc/postfix && find . -type f -not -path './runbook/*' -exec sha256sum {} + | sort -k2"


def install(testbed: Rehearsed) -> None:
    """Postfix on a bare server, stopped."""
    testbed.ssh(INSTALL)


def place(testbed: Rehearsed, name: str) -> None:
    """Has the server's Postfix one of the configurations, its tables compiled, running."""
    testbed.ssh(CLEAR)
    testbed.container("server").put_archive("/etc/postfix", hosts._archive(FIXTURES / name))
    testbed.ssh(f"{COMPILE} && postfix start >/dev/null 2>&1 </dev/null")


def settings(testbed: Rehearsed) -> dict[str, str]:
    """What main.cf and master.cf mean, by parameter and by name/type of service."""
    parameters = testbed.ssh("postconf -n 2>/dev/null").splitlines()
    services = testbed.ssh("postconf -M 2>/dev/null").splitlines()
    found = {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in parameters)}
    return found | {"/".join(line.split()[:2]): " ".join(line.split()) for line in services}


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    """What is new, gone or another."""
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def without(text: str, names: set[str]) -> list[str]:
    """The lines that belong to none of these parameters or services (by first word), comments between them kept.

    That the last line gets its end where something follows it is no change of it.
    """
    kept, ours = [], False
    for line in text.removesuffix("\n").split("\n"):
        if line.strip() and not line.lstrip().startswith("#"):
            if not line[0].isspace():
                ours = line.replace("=", " ").split()[0] in names
            if ours:
                continue
        kept.append(line)
    return kept
