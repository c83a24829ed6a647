"""Mozilla's client configuration 1.1, which Thunderbird, K-9, Evolution and KMail read; pure.

The format is written down in draft-bucksch-autoconfig and at wiki.mozilla.org, Thunderbird:Autoconfiguration.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from xml.etree import ElementTree as ET

from runbooklib.autoconfig.services import AutoconfigError, Mode, Protocol, Service

MEDIA = "application/xml"
SOCKETS: Mapping[Mode, str] = {"implicit": "SSL", "starttls": "STARTTLS"}
ELEMENTS: Mapping[Protocol, str] = {"imap": "incomingServer", "smtp": "outgoingServer"}
PASSWORD = "password-cleartext"  # noqa: S105 - PLAIN, inside TLS


def write(domain: str, services: Iterable[Service]) -> str:
    """The file of a domain."""
    root = ET.Element("clientConfig", version="1.1")
    provider = ET.SubElement(root, "emailProvider", id=domain)
    for name in ("domain", "displayName", "displayShortName"):
        ET.SubElement(provider, name).text = domain
    for service in services:
        _server(provider, service)
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _server(provider: ET.Element, service: Service) -> None:
    server = ET.SubElement(provider, ELEMENTS[service.protocol], type=service.protocol)
    told = {
        "hostname": service.host,
        "port": str(service.port),
        "socketType": SOCKETS[service.tls],
        "username": service.username,
        "authentication": PASSWORD,
    }
    for name, text in told.items():
        ET.SubElement(server, name).text = text


def read(text: str) -> tuple[Service, ...]:
    """The services a program finds in it.

    Raises AutoconfigError.
    """
    try:
        root = ET.fromstring(text.encode())  # noqa: S314 - we wrote it
    except ET.ParseError as error:
        raise AutoconfigError(f"it is no XML: {error}") from None
    found = tuple(_service(s, protocol) for protocol, name in ELEMENTS.items() for s in root.iter(name))
    missing = [ELEMENTS[p] for p in ELEMENTS if p not in {s.protocol for s in found}]
    if missing:
        raise AutoconfigError(f"it names no {' and no '.join(missing)}")
    return found


def _service(server: ET.Element, protocol: Protocol) -> Service:
    told = {child.tag: (child.text or "").strip() for child in server}
    modes = {socket: mode for mode, socket in SOCKETS.items()}
    if server.get("type") != protocol or told.get("socketType") not in modes:
        raise AutoconfigError(f"{server.get('type')} with socketType {told.get('socketType', 'none')}: without TLS")
    if not told.get("hostname") or not told.get("port", "").isdigit():
        raise AutoconfigError(f"{protocol} without hostname and port")
    mode = modes[told["socketType"]]
    return Service(protocol, told["hostname"], int(told["port"]), mode, told.get("username", ""))
