"""What mail testers look at in a message's body: its parts, links, images, sizes and attachments.

All of it warns at most, since every receiver weighs it in its own way; only broken MIME fails.
"""

from __future__ import annotations

import codecs
import ipaddress
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email import errors, message_from_bytes
from email.message import Message
from functools import cached_property

from runbooklib.dmarc import registered
from runbooklib.eml import fields, markup, parts
from runbooklib.eml.fields import Header
from runbooklib.eml.folding import folded
from runbooklib.eml.markup import Link, Page
from runbooklib.eml.reading import Eml
from runbooklib.results import Check, Status

CLIPPED = 102 * 1024  # octets of HTML from which Gmail shows a link to the rest
LARGE = 10_240_000  # octets: Postfix's message_size_limit by default
LARGEST = 25 * 1024 * 1024  # octets: what Gmail and Outlook.com take, transfer encoding included
READ = 300_000  # characters of a part that are looked through
SPARSE = 0.1  # of an HTML part that is text; below it filters see a hull around images
HULL = 2000  # octets of HTML below which the share says nothing
SHOUTED = 8  # letters of a subject from which capitals are shouting
# What Gmail and Outlook refuse as attachments, and documents with macros.
DANGEROUS = re.compile(
    r"\.(?:ade|adp|apk|appx|bat|cab|chm|cmd|com|cpl|diagcab|dll|dmg|ex_|exe|hta|img|ins|iso|isp|jar|jse?|lib|lnk|mde|msc"
    r"|ms[ip]|msix|mst|nsh|pif|ps1|scr|sct|shb|sys|vb|vb[es]|vhd|vxd|ws[cfh]|xll|docm|dotm|xlsm|xltm|pptm)$",
    re.IGNORECASE,
)
SHORTENERS = re.compile(
    r"^(?:www\.)?(?:bit\.ly|t\.co|goo\.gl|tinyurl\.com|ow\.ly|is\.gd|buff\.ly|cutt\.ly|rebrand\.ly|t\.ly|rb\.gy"
    r"|shorturl\.at|s\.id|lnkd\.in|tiny\.cc|dwz\.cn|t\.cn|url\.cn|suo\.im)$"
)
URL = re.compile(r"https?://[^\s<>\"')\]]+", re.IGNORECASE)
HOST = re.compile(r"^(?:https?://)?((?:[\w-]+\.)+[a-z]{2,})(?:[/:?#]|$)", re.IGNORECASE)
REPLY = re.compile(r"^\s*(?:re|aw|sv|回复|答复)\s*[::]", re.IGNORECASE)
BROKEN = {
    errors.StartBoundaryNotFoundDefect: "a multipart whose boundary never comes",
    errors.CloseBoundaryNotFoundDefect: "a boundary that is never closed",
    errors.NoBoundaryInMultipartDefect: "a multipart without a boundary",
    errors.MultipartInvariantViolationDefect: "a multipart without parts",
    errors.InvalidBase64PaddingDefect: "base64 without its padding",
    errors.InvalidBase64CharactersDefect: "base64 with other characters in it",
    errors.InvalidBase64LengthDefect: "base64 cut short",
    errors.InvalidMultipartContentTransferEncodingDefect: "a transfer encoding around a multipart",
}


@dataclass(frozen=True)
class Content:
    """A message's body taken apart."""

    mail: Eml

    @cached_property
    def header(self) -> Header:
        return fields.read(self.mail.raw)

    @cached_property
    def parts(self) -> tuple[Message, ...]:
        """Every part, with what the parser found wrong with it."""
        return tuple(message_from_bytes(self.mail.raw).walk())

    @cached_property
    def bodies(self) -> tuple[Message, ...]:
        """The parts that are read, not attached."""
        leaves = (p for p in self.parts if not p.is_multipart() and p.get_content_maintype() == "text")
        return tuple(p for p in leaves if p.get_content_disposition() != "attachment")

    def texts(self, kind: str) -> list[str]:
        return [parts.text(p) for p in self.bodies if p.get_content_subtype() == kind]

    @cached_property
    def pages(self) -> tuple[Page, ...]:
        return tuple(markup.read(text[:READ]) for text in self.texts("html"))

    @cached_property
    def links(self) -> tuple[Link, ...]:
        plain = (Link(url.rstrip(".,;:!?"), "") for said in self.texts("plain") for url in URL.findall(said[:READ]))
        return (*(link for page in self.pages for link in page.links), *plain)


@dataclass(frozen=True)
class Class:
    """One class of findings."""

    id: str
    look: Callable[[Content], Iterator[str]]
    fix: str
    worst: Status = Status.WARN
    ref: str = ""


def judge(mail: Eml, about: str) -> list[Check]:
    """What there is nothing to say about in one row, and one for each class of findings."""
    content = Content(mail)
    rows = (_row(kind, list(kind.look(content)), about) for kind in CLASSES)
    return folded(f"delivery.content {about}", "nothing a mail tester objects to", rows)


def _row(kind: Class, found: list[str], about: str) -> Check:
    name, expected = f"delivery.content.{kind.id} {about}", "nothing a mail tester objects to"
    if not found:
        return Check(name, Status.PASS, expected, kind.id, ref=kind.ref)
    return Check(name, kind.worst, expected, "; ".join(dict.fromkeys(found)), kind.fix, kind.ref)


# what each class looks at


def _mime(content: Content) -> Iterator[str]:
    for part in content.parts:
        parts.decoded(part)  # a transfer encoding shows its defects when it is undone
        yield from (said for kind, said in BROKEN.items() if any(type(d) is kind for d in part.defects))


def _text(content: Content) -> Iterator[str]:
    plain, pages = "".join(content.texts("plain")).strip(), content.pages
    if pages and not plain:
        yield "HTML without a text part beside it"
    if not plain and not any(page.text or page.images for page in pages):
        yield "nothing to read"


def _html(content: Content) -> Iterator[str]:
    for source, page in zip(content.texts("html"), content.pages, strict=True):
        if page.broken:
            yield "HTML that cannot be read to its end"
        if READ > len(source) > HULL and len(page.text) < SPARSE * len(source):
            yield f"only {100 * len(page.text) // len(source)} % of the HTML is text"


def _images(content: Content) -> Iterator[str]:
    seen = [image for page in content.pages for image in page.images if not image.tiny]
    bare = [image for image in seen if image.alt is None]
    if bare:
        yield f"{len(bare)} of {len(seen)} images without alt"
    if seen and sum(len(page.text) for page in content.pages) < 100 * len(seen):
        yield f"{len(seen)} images and hardly any text"


def _tracking(content: Content) -> Iterator[str]:
    sources = [image.source for page in content.pages for image in page.images if image.tiny]
    hosts = dict.fromkeys(markup.split(source)[1] for source in sources)
    yield from (f"an image nobody sees, fetched from {host}" for host in hosts if host)


def _links(content: Content) -> Iterator[str]:
    for link in content.links:
        if link.scheme == "http":
            yield f"a link without TLS: {link.target[:60]}"
        if link.scheme in {"javascript", "data", "file", "vbscript"}:
            yield f"a link that is none: {link.scheme}:"
        if _is_address(link.host):
            yield f"a link to an address: {link.host}"
        if SHORTENERS.match(link.host):
            yield f"a shortened link: {link.host}"
        shown = HOST.match(link.text)
        if shown and link.host and registered(shown[1].lower()) != registered(link.host):
            yield f"a link that says {shown[1]} and leads to {link.host}"


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _size(content: Content) -> Iterator[str]:
    whole, pages = len(content.mail.raw), max(map(len, content.texts("html")), default=0)
    if pages > CLIPPED:
        yield f"{pages // 1024} KB of HTML: Gmail clips from 102 KB on"
    if whole > LARGEST:
        yield f"{whole >> 20} MB: Gmail and Outlook.com take 25 MB"
    elif whole > LARGE:
        yield f"{whole >> 20} MB: many servers take 10 MB"


def _attachments(content: Content) -> Iterator[str]:
    names = map(parts.filename, content.parts)
    yield from (f"an attachment that Gmail or Outlook refuses: {n[-60:]}" for n in names if DANGEROUS.search(n))


def _subject(content: Content) -> Iterator[str]:
    said = fields.decoded(content.header.first("Subject"))
    letters = [c for c in said if c.isalpha()]
    if not said.strip():
        yield "no subject"
    if len(letters) >= SHOUTED and all(c.isupper() for c in letters):
        yield "a subject in capitals"
    if re.search(r"[!?$]{3,}", said):
        yield "a subject that shouts"
    if REPLY.match(said) and not content.header.of("In-Reply-To") and not content.header.of("References"):
        yield "a subject with Re: that answers nothing"


def _charset(content: Content) -> Iterator[str]:
    for part in content.bodies:
        told, octets = parts.charset(part), parts.decoded(part)
        try:
            codecs.lookup(told)
            octets.decode(told)
        except LookupError:
            yield f"a charset nobody knows: {told[:40]}"
        except ValueError:
            yield f"text that is not {told}, which it says it is"


CLASSES = (
    Class("mime", _mime, "see what writes it, and whether something on the way cut it", Status.FAIL, "RFC 2046 5.1"),
    Class("text", _text, "send text/plain beside the HTML, in multipart/alternative", ref="RFC 2046 5.1.4"),
    Class("html", _html, "write more text, or less markup around it"),
    Class("images", _images, "give each image an alt text, and say in words what it shows"),
    Class("tracking", _tracking, "switch off open tracking at the relay (Resend: the domain's settings)"),
    Class("links", _links, "link with https, to the host that is shown, without shorteners or click tracking"),
    Class("size", _size, "send less, or a link to it"),
    Class("attachments", _attachments, "send another type, or a link to it"),
    Class("subject", _subject, "write a subject as a person would"),
    Class("charset", _charset, "write UTF-8 and say so", ref="RFC 2045 5.2"),
)
