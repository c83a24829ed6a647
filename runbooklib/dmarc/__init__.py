"""DMARC as a language: records, whose policy holds for a domain, and what aligns (RFC 9989, RFC 7489)."""

from runbooklib.dmarc.alignment import Alignment, align, alignments
from runbooklib.dmarc.destinations import Agreement, Destination, agreement, external, parse_uris
from runbooklib.dmarc.discovery import Discovery, Found, ask, asked, discover
from runbooklib.dmarc.record import POLICIES, DmarcError, Record, accepted, is_dmarc, parse
from runbooklib.dmarc.suffixes import registered
from runbooklib.dmarc.walk import Published, organizational, walk

__all__ = [
    "POLICIES",
    "Agreement",
    "Alignment",
    "Destination",
    "Discovery",
    "DmarcError",
    "Found",
    "Published",
    "Record",
    "accepted",
    "agreement",
    "align",
    "alignments",
    "ask",
    "asked",
    "discover",
    "external",
    "is_dmarc",
    "organizational",
    "parse",
    "parse_uris",
    "registered",
    "walk",
]
