"""A server's DKIM key: its public half from the forms it is handed around in, and its size."""

from __future__ import annotations

import base64
import re

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from runbooklib.records.texts import TagError, dkim_key

QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')


def public_text(text: str) -> str:
    """The record's value as one joined string, from zone-file form, quoted strings or one plain line.

    Raises TagError where no key is in it.
    """
    strings = QUOTED.findall(text)
    joined = "".join(strings) if strings else " ".join(text.split())
    value = re.sub(r"\\(.)", r"\1", joined).strip()
    if not dkim_key(value).readable:
        raise TagError("p= holds no base64: the key was cut short, or quotes and blanks got into it")
    return value


def bits(value: str) -> int:
    """The size of the RSA key in a record's value, 0 where it holds another kind or none."""
    try:
        key = load_der_public_key(base64.b64decode(dkim_key(value).public))
    except ValueError:
        return 0
    return key.key_size if isinstance(key, rsa.RSAPublicKey) else 0
