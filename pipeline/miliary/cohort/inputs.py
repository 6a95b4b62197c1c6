"""Telling whether an input is the one that a result was made of."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import miliary
from miliary.cohort.rows import Task
from miliary.config import config_hash
from miliary.io.sources import Archive


@dataclass(frozen=True)
class Manifest:
    """The files of a series, in the order of its slices.

    Parameters
    ----------
    files, n_bytes : int
        How many, and their length together.
    hash : str
        The same for the same bytes, wherever they lie and whatever their names.
    """

    files: int
    n_bytes: int
    hash: str


def input_stamp(task: Task) -> str:
    """Give what changes with the files of a series, without reading them.

    Parameters
    ----------
    task : Task
        With the series.

    Returns
    -------
    str
        Of sizes and times of change, in the order of the slices; empty where a file is gone.
        Copies of the same files have another one: then `read_manifest` tells.
    """
    digest = hashlib.blake2b(digest_size=16)
    try:
        for source in task.info.files:
            status = source.path.stat()
            digest.update(f"{status.st_size} {status.st_mtime_ns} {source.member}\n".encode())
    except OSError:
        return ""
    return digest.hexdigest()


def read_manifest(task: Task) -> Manifest:
    """Read all files of a series.

    Parameters
    ----------
    task : Task
        With the series, and the caps to read it by.

    Returns
    -------
    Manifest
        Their number, length and hash.
    """
    # Processors have instructions for this one: a third of the time of BLAKE2.
    digest, n_bytes = hashlib.sha256(), 0
    with Archive(task.config.read) as archive:
        for source in task.info.files:
            with archive.open(source) as file:
                while block := file.read(1 << 20):
                    digest.update(block)
                    n_bytes += len(block)
    return Manifest(len(task.info.files), n_bytes, digest.hexdigest())


def run_key(task: Task) -> str:
    """Name what a result, or a failure, depends on.

    Parameters
    ----------
    task : Task
        A case.

    Returns
    -------
    str
        16 hexadecimal digits of version, configuration, seed, options and input.
    """
    parts = (*wanted_facts(task).values(), task.dicom, input_stamp(task))
    return hashlib.blake2b(repr(parts).encode(), digest_size=8).hexdigest()


def wanted_facts(task: Task) -> dict[str, Any]:
    """Give what the provenance of a result must say for it to be kept.

    Parameters
    ----------
    task : Task
        A case.

    Returns
    -------
    dict
        Without the input, which takes longer.
    """
    return {
        "version": miliary.__version__,
        "config_hash": config_hash(task.config),
        "seed": task.seed,
    }


def still_good(task: Task, facts: dict[str, Any], *, thorough: bool) -> bool:
    """Tell whether a result is what a task would make again.

    Parameters
    ----------
    task : Task
        A case.
    facts : dict
        Provenance of the result; empty where there is none.
    thorough : bool
        Whether to read files whose times have changed, and not to take them for changed.

    Returns
    -------
    bool
        True where input, configuration, version and seed agree.
    """
    if any(facts.get(name) != value for name, value in wanted_facts(task).items()):
        return False
    if task.wants_dicom and not facts.get("dicom"):
        return False
    if facts.get("input_stamp") and facts["input_stamp"] == input_stamp(task):
        return True
    return thorough and facts.get("input_hash") == read_manifest(task).hash
