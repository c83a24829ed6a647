"""Certificates: which files each SSL_TYPE names, and what Postfix and Dovecot are told."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from . import dovecot, postfix, shutdown
from .databases import CONFIG

if TYPE_CHECKING:
    from .journal import Journal
    from .settings import Settings

COPIES = Path("/etc/dms/tls")
LETSENCRYPT = Path("/etc/letsencrypt/live")
INSECURE = "!! INSECURE !! SSL configured with plain text access - DO NOT USE FOR PRODUCTION DEPLOYMENT"

NO_TLS_SERVICES = (
    "submission/inet/smtpd_tls_security_level = none",
    "submissions/inet/smtpd_tls_security_level = none",
    "submissions/inet/smtpd_tls_wrappermode = no",
)


def setup(settings: Settings, journal: Journal) -> None:
    """Serve TLS as SSL_TYPE says; files that are not there end the container."""
    kinds = {"": _none, "manual": _manual, "letsencrypt": _letsencrypt, "self-signed": _self_signed, "custom": _custom}
    kind = kinds.get(settings["SSL_TYPE"])
    if kind is None:
        shutdown.now(journal, f"TLS Setup [SSL_TYPE={settings['SSL_TYPE']}] | SSL_TYPE appears to be misconfigured")
    kind(settings, journal)


def sources(settings: Settings) -> list[Path]:
    """The files whose change means a new certificate."""
    if settings["SSL_TYPE"] == "manual":
        variables = ("SSL_KEY_PATH", "SSL_CERT_PATH", "SSL_ALT_KEY_PATH", "SSL_ALT_CERT_PATH")
        return [Path(settings[name]) for name in variables if settings[name]]
    if settings["SSL_TYPE"] == "letsencrypt":
        names = ("fullchain.pem", "cert.pem", "chain.pem", "privkey.pem", "key.pem")
        return [LETSENCRYPT / domain / name for domain in _letsencrypt_domains(settings) if domain for name in names]
    return []


def _none(_settings: Settings, journal: Journal) -> None:
    journal.warn(INSECURE)
    postfix.set_parameters({"smtpd_tls_security_level": "none"})
    postfix.set_service_parameters(NO_TLS_SERVICES)
    dovecot.set_no_tls()


def _manual(settings: Settings, journal: Journal) -> None:
    key, certificate = Path(settings["SSL_KEY_PATH"]), Path(settings["SSL_CERT_PATH"])
    _demand("manual", (key, certificate), journal)
    pairs = [_copy(key, certificate, "")]
    if settings["SSL_ALT_KEY_PATH"] and settings["SSL_ALT_CERT_PATH"]:
        alternative = Path(settings["SSL_ALT_KEY_PATH"]), Path(settings["SSL_ALT_CERT_PATH"])
        _demand("manual", alternative, journal)
        pairs.append(_copy(*alternative, "fallback_"))
    _serve(settings, pairs)


def _copy(key: Path, certificate: Path, prefix: str) -> tuple[Path, Path]:
    COPIES.mkdir(parents=True, exist_ok=True)
    copies = COPIES / f"{prefix}key", COPIES / f"{prefix}cert"
    for source, target, mode in zip((key, certificate), copies, (0o600, 0o644), strict=True):
        target.touch(mode=mode)
        shutil.copyfile(source, target)
    return copies


def _letsencrypt_domains(settings: Settings) -> tuple[str, str, str]:
    return settings["SSL_DOMAIN"], settings["HOSTNAME"], settings["DOMAINNAME"]


def _letsencrypt(settings: Settings, journal: Journal) -> None:
    tried = _letsencrypt_domains(settings)
    for domain in filter(None, tried):
        folder = LETSENCRYPT / domain
        key = next((path for path in (folder / "privkey.pem", folder / "key.pem") if path.exists()), None)
        if key and (folder / "fullchain.pem").exists():
            _serve(settings, [(key, folder / "fullchain.pem")])
            return
    names = ", ".join(f"'{domain}'" for domain in tried)
    shutdown.now(
        journal,
        f"Cannot find a valid DOMAIN for '{LETSENCRYPT}/<DOMAIN>/', tried: {names}",
        "_find_letsencrypt_domain | LETSENCRYPT_DOMAIN appears to be misconfigured, please verify.",
    )


def _self_signed(settings: Settings, journal: Journal) -> None:
    folder, name = CONFIG / "ssl", settings["HOSTNAME"]
    key, certificate, authority = folder / f"{name}-key.pem", folder / f"{name}-cert.pem", folder / "demoCA/cacert.pem"
    _demand("self-signed", (key, certificate, authority), journal)
    postfix.set_parameters({"smtpd_tls_CAfile": str(authority), "smtp_tls_CAfile": str(authority)})
    _serve(settings, [(key, certificate)])


def _custom(settings: Settings, journal: Journal) -> None:
    both = CONFIG / "ssl" / f"{settings['HOSTNAME']}-full.pem"
    _demand("custom", (both,), journal)
    _serve(settings, [(both, both)])


def _demand(kind: str, paths: tuple[Path, ...], journal: Journal) -> None:
    if not all(path.is_file() for path in paths):
        shutdown.now(journal, f"TLS Setup [SSL_TYPE={kind}] | File {' or '.join(map(str, paths))} does not exist!")


def _serve(settings: Settings, pairs: list[tuple[Path, Path]]) -> None:
    chain = " ".join(f"{key} {certificate}" if key != certificate else str(key) for key, certificate in pairs)
    postfix.set_parameters({"smtpd_tls_chain_files": chain, "smtpd_tls_security_level": "may"})
    dovecot.set_tls(*pairs[0], settings["TLS_LEVEL"])
