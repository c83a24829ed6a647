"""Rules about the certificate that clients and other mail servers are shown."""

from dataclasses import replace

from runbooklib.diagnosis import certificate_symptoms as shown
from runbooklib.diagnosis.rules import Rule, Sureness, Symptom
from runbooklib.diagnosis.service_rules import RECREATE
from runbooklib.results import Status

UPLOAD = "01-bootstrap#apply"
CLIENT = (Symptom.CLIENT, Symptom.CANNOT_SEND)

NOT_LOADED_ON_HOST = Rule(
    id="certificate-not-loaded",
    cause="the certificate was renewed, and the mail server serves the old one still",
    needs=("certificates",),
    match=shown.not_loaded,
    fix="have Postfix and Dovecot read it again, as whatever renews it should do each time",
    ref="postfix(1) reload, doveadm(1) reload",
    excludes=("certificate-expired", "certificate-expiring"),
    command="postfix reload && doveadm reload",
    symptoms=CLIENT,
)
NOT_LOADED_IN_CONTAINER = replace(
    NOT_LOADED_ON_HOST,
    fix="make the container anew, which copies it; a single file mounted into a container is never seen anew, a folder "
    "is",
    ref="DMS#2239, DMS#4354",
    command=RECREATE,
)
CERTIFICATE_RULES = (
    Rule(
        id="certificate-expired",
        cause="the certificate has expired",
        needs=("tls",),
        match=shown.refused("expired"),
        fix="renew it where params name its file and that has expired too, then run stage 01, which uploads it",
        ref="RFC 5280 4.1.2.5",
        cell=UPLOAD,
        symptoms=CLIENT,
    ),
    Rule(
        id="certificate-name",
        cause="the certificate is for another name",
        needs=("tls",),
        match=shown.refused("wrong name"),
        fix="let params name a certificate for server.hostname, and run stage 01, which uploads it",
        ref="RFC 9525 6",
        cell=UPLOAD,
        symptoms=CLIENT,
    ),
    Rule(
        id="certificate-untrusted",
        cause="clients do not know the CA, or the chain is not whole",
        needs=("tls",),
        match=shown.refused("unknown CA"),
        fix="let params name the full chain of a known CA, or a private CA in mail.tls.ca, and run stage 01",
        ref="RFC 5280 6",
        cell=UPLOAD,
        symptoms=CLIENT,
    ),
    Rule(
        id="certificate-early",
        cause="the certificate is not valid yet, or a clock is wrong",
        needs=("tls",),
        match=shown.refused("not yet valid"),
        fix="set the clock that is wrong; else wait, or get another certificate",
        ref="RFC 5280 4.1.2.5",
        sureness=Sureness.LIKELY,
        observe="`date -u` here, on the server, and where the certificate was issued",
        symptoms=CLIENT,
    ),
    Rule(
        id="certificate-expiring",
        cause="the certificate expires soon",
        needs=("tls",),
        match=shown.expiring,
        fix="renew the file that params name, and run stage 01",
        ref="RFC 5280 4.1.2.5",
        status=Status.WARN,
        cell=UPLOAD,
        symptoms=CLIENT,
    ),
    Rule(
        id="starttls-missing",
        cause="the server offers no TLS: passwords would travel in clear text",
        needs=("tls",),
        match=shown.no_starttls,
        fix="run stage 01: it gives the server its certificate and switches TLS on",
        ref="RFC 8314 3.3, DMS#4354",
        cell=UPLOAD,
        symptoms=CLIENT,
    ),
)
# mailcow gets its certificate by itself: nothing is uploaded, its ACME client is what to look at.
FETCHED = tuple(
    replace(rule, cell="", fix="see why mailcow did not get one: `docker compose logs acme-mailcow` on the server")
    if rule.cell
    else rule
    for rule in CERTIFICATE_RULES
)
