"""A message as it arrived: its way, who vouches for it, what its reader sees (RFC 5321, RFC 5322).

Bytes in, values out; DNS is asked through an injected lookup.
"""

from runbooklib.eml.authentication import Authentication, authenticate, trusted
from runbooklib.eml.border import border
from runbooklib.eml.judging import judge
from runbooklib.eml.reading import Eml, ascii_domain, read

__all__ = ["Authentication", "Eml", "ascii_domain", "authenticate", "border", "judge", "read", "trusted"]
