"""Names that tell cases apart and tell nothing of the patient."""

from __future__ import annotations

import hashlib
import os
import re
import uuid
from collections.abc import Iterable
from pathlib import Path

#: Stands in when `MILIARY_CASE_KEY` is not set. It is public: whoever knows a UID can then find
#: its case. Set the variable to a secret of yours where that matters.
_DEFAULT_KEY = "miliary"

_UID_LIKE = re.compile(r"\d+(\.\d+){4,}")

#: Words of made-up patients; they tell nothing and would hide the folders of our own phantoms.
_NEUTRAL = frozenset({"phantom", "miliary", "patient", "anonymous", "anon", "test", "case"})


def hashed(*parts: str, digits: int = 10) -> str:
    """Hash text with the key of this installation.

    Parameters
    ----------
    *parts : str
        What to hash, in order.
    digits : int
        Hexadecimal digits wanted; even.

    Returns
    -------
    str
        The same for the same parts and the same `MILIARY_CASE_KEY`.
    """
    digest = hashlib.blake2b(key=_key(), digest_size=digits // 2)
    for part in parts:
        digest.update(len(part).to_bytes(4, "big") + part.encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def hashed_file(paths: Iterable[Path], *, digits: int = 10) -> str:
    """Hash the contents of files with the key of this installation.

    Parameters
    ----------
    paths : iterable of Path
        Files, in order.
    digits : int
        Hexadecimal digits wanted; even.

    Returns
    -------
    str
        The same for the same bytes.
    """
    digest = hashlib.blake2b(key=_key(), digest_size=digits // 2)
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def uid_of(*parts: str) -> str:
    """Make a UID under 2.25, the root for UUIDs, out of text.

    Parameters
    ----------
    *parts : str
        What it stands for; no key goes in, so that phantoms are the same everywhere.

    Returns
    -------
    str
        The same for the same parts.
    """
    digest = hashlib.blake2b("\0".join(parts).encode(), digest_size=16).digest()
    return f"2.25.{uuid.UUID(bytes=digest, version=5).int}"


def masked_path(path: str, secrets: Iterable[str]) -> str:
    """Hide the parts of a path that hold a UID, or one of the words that name a patient.

    Parameters
    ----------
    path : str
        A relative path with `/` between its parts.
    secrets : iterable of str
        Name and id of the patient as the headers have them.

    Returns
    -------
    str
        The path, with `#` and a short hash in place of each such part.
    """
    words = {word for secret in secrets for word in _words(secret)}
    return "/".join(_masked(part, words) for part in path.split("/"))


def _masked(part: str, words: set[str]) -> str:
    telling = _UID_LIKE.search(part) or any(word in part.lower() for word in words)
    return f"#{hashed(part, digits=8)}" if telling else part


def _words(secret: str) -> list[str]:
    """Split a name or id; words under three letters would hide half of all paths."""
    text = secret.lower().strip()
    if text.isdigit():
        return [text] if len(text) > 3 else []
    words = [word for word in re.split(r"[\s^=,._-]+", text) if len(word) > 2]
    return [
        word for word in words if word not in _NEUTRAL and not (word.isdigit() and len(word) < 5)
    ]


def _key() -> bytes:
    # blake2b takes keys of up to 64 bytes; a longer secret is hashed down first.
    secret = os.environ.get("MILIARY_CASE_KEY", _DEFAULT_KEY).encode()
    return hashlib.blake2b(secret, digest_size=32).digest()
