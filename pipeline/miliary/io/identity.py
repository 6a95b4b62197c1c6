"""Names that tell cases apart and tell nothing of the patient."""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
import uuid
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

#: Stands in when `MILIARY_CASE_KEY` is not set. It is public: whoever knows a UID can then find
#: its case. Set the variable to a secret of yours where that matters.
_DEFAULT_KEY = "miliary"

#: Shifted days wrap round after some 2,700 years: those of one patient are never so far apart.
_SHIFTED_DAYS = 1_000_000

_UID_LIKE = re.compile(r"\d+(\.\d+){4,}|(?=[\d.]{20})\d+(\.\d+)+")

#: Words of made-up patients; they tell nothing and would hide the folders of our own phantoms.
_NEUTRAL = frozenset({"phantom", "miliary", "patient", "anonymous", "anon", "test", "case", "ct"})

_ENDING = re.compile(r"(\.[a-z]{2,4}){0,2}$", re.IGNORECASE)


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


def patient_mark(secrets: Sequence[str]) -> str:
    """Make a mark by which scans of different patients are told apart.

    Parameters
    ----------
    secrets : sequence of str
        Id, names and birth date of the patient as the headers have them, the id first.

    Returns
    -------
    str
        Four hexadecimal digits: so few that many patients share each, and it leads back to none of
        them; two patients share one in 65,536 times. Empty where nothing tells the patient.
    """
    known = _patient(secrets)
    return hashed("patient", *known, digits=4) if known else ""


def shifted_day(day: int | None, secrets: Sequence[str]) -> int | None:
    """Shift the day of a scan by a number of days that is the patient's own.

    Parameters
    ----------
    day : int or None
        Day of the scan.
    secrets : sequence of str
        As `patient_mark` takes them.

    Returns
    -------
    int or None
        A day whose distance to other scans of the patient is true, and which tells no date to who
        does not know the key and the patient. None for an unknown day or patient.
    """
    known = _patient(secrets)
    if day is None or not known:
        return None
    return (day + int(hashed("day", *known, digits=12), 16)) % _SHIFTED_DAYS


def _patient(secrets: Sequence[str]) -> tuple[str, ...]:
    """Give the patient's id or, without one, what else names him."""
    words = tuple(" ".join(_folded(secret).split()) for secret in secrets[:5])
    return words[:1] if words[:1] != ("",) else tuple(filter(None, words))


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
        Id, name, birth date and the like of the patient as the headers have them.

    Returns
    -------
    str
        The path, printable, with `#` and a short hash in place of each such part.
    """
    words = _all_words(tuple(secrets))
    return "/".join(_masked(part, _tells(part, words)) for part in path.split("/"))


def printable(text: str) -> str:
    """Take out of a text what a terminal or a table could take for more than text.

    Parameters
    ----------
    text : str
        Any, even what is no valid text at all.

    Returns
    -------
    str
        With `?` for control characters, marks of direction and lone halves of characters.
    """
    return "".join(char if char.isprintable() else "?" for char in text)


def _masked(part: str, hidden: bool) -> str:
    if not hidden:
        return printable(part)
    ending = _ENDING.search(part)
    return f"#{hashed(part, digits=8)}{ending.group() if ending else ''}"


@lru_cache(maxsize=64)
def _all_words(secrets: tuple[str, ...]) -> frozenset[str]:
    """Gather the words of a patient, once for all files of a series."""
    return frozenset(word for secret in secrets for word in _words(secret))


def _tells(part: str, words: frozenset[str]) -> bool:
    if _UID_LIKE.search(part):
        return True
    plain = _folded(part)
    tokens = set(re.split(r"[\W_]+", plain))
    # Of a short word only the whole counts: it is a part of half of all names.
    return any(word in plain if len(word) > 3 else word in tokens for word in words)


def _folded(text: str) -> str:
    """Give a text without accents and capitals: paths are often written without them."""
    parts = unicodedata.normalize("NFKD", text.casefold())
    return "".join(char for char in parts if not unicodedata.combining(char))


def _words(secret: str) -> list[str]:
    """Split a name, an id or a date into the words that would give it away in a path."""
    text = _folded(secret).strip()
    if re.fullmatch(r"(19|20)\d{6}", text):
        return _dates(text)
    if text.isdigit():
        return [text] if len(text) > 2 else []
    words = [word for word in re.split(r"[\W_]+", text) if len(word) > 1]
    return [
        word for word in words if word not in _NEUTRAL and not (word.isdigit() and len(word) < 5)
    ]


def _dates(day: str) -> list[str]:
    year, month, date = day[:4], day[4:6], day[6:]
    orders = ((year, month, date), (date, month, year), (month, date, year))
    return [mark.join(order) for order in orders for mark in ("", "-", ".", "_")]


def _key() -> bytes:
    # blake2b takes keys of up to 64 bytes; a longer secret is hashed down first.
    secret = os.environ.get("MILIARY_CASE_KEY", _DEFAULT_KEY).encode()
    return hashlib.blake2b(secret, digest_size=32).digest()
