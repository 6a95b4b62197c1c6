"""Going through everything under the inputs: slices, volume files, and a count of the rest."""

from __future__ import annotations

import warnings
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from miliary.config.reading import ReadSettings
from miliary.io.headers import PARSE_ERRORS, NotCtError, NotDicomError, SliceHeader, read_headers
from miliary.io.sources import Archive, Source, walk
from miliary.io.volume_files import VOLUME_ENDINGS, VolumeFile, inspect_volume

_BROKEN = "file(s) that cannot be read"


@dataclass(frozen=True, eq=False)
class Scan:
    """What lies under the inputs.

    Parameters
    ----------
    headers : list of SliceHeader
        Slices of CT.
    volumes : list of VolumeFile
        Volume files.
    counts : Counter of str
        Files that are something else, by what they are.
    broken : Counter of str
        DICOM files that cannot be read, by their folder.
    """

    headers: list[SliceHeader]
    volumes: list[VolumeFile]
    counts: Counter[str]
    broken: Counter[str]

    def counts_sentence(self) -> str:
        """Say how many files were something else, and what.

        Returns
        -------
        str
            Part of a sentence.
        """
        parts = [f"{count} {what}" for what, count in sorted(self.counts.items()) if what]
        return ", ".join(parts) if parts else "no file at all"


def scan_inputs(inputs: Sequence[Path], settings: ReadSettings) -> Scan:
    """Read the headers of every file under the inputs.

    Parameters
    ----------
    inputs : sequence of Path
        Folders and files.
    settings : ReadSettings
        Caps.

    Returns
    -------
    Scan
        Slices and volumes, and a count of the rest.
    """
    scan = Scan([], [], Counter(), Counter())
    # What pydicom warns of in bad tags is judged here, or does not matter.
    with Archive(settings) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for path, relative in walk([Path(given) for given in inputs]):
            _scan_file(path, relative, archive, scan, settings)
    return scan


def _scan_file(
    path: Path, relative: str, archive: Archive, scan: Scan, settings: ReadSettings
) -> None:
    if path.name.lower().endswith(VOLUME_ENDINGS):
        scan.volumes.append(inspect_volume(path, relative, settings))
        return
    sources = [Source(path, relative=relative)]
    try:
        if _is_zip(path):
            sources = archive.members(path, relative)
    except (zipfile.BadZipFile, OSError):
        scan.counts["file(s) that cannot be opened"] += 1
        return
    for source in sources:
        what = _scan_source(source, archive, scan.headers, settings)
        scan.counts[what] += 1
        scan.broken[source.folder] += what == _BROKEN


def _is_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


def _scan_source(
    source: Source, archive: Archive, headers: list[SliceHeader], settings: ReadSettings
) -> str:
    """Add the slices of one file; name what it is where it is something else."""
    try:
        with archive.open(source) as file:
            max_bytes = int(settings.max_file_mb * 2**20)
            headers += read_headers(file, source, max_bytes=max_bytes)
    except NotDicomError:
        return "file(s) that are not DICOM"
    except NotCtError:
        return "DICOM file(s) that are not CT images"
    except (*PARSE_ERRORS, zipfile.BadZipFile, RuntimeError):
        return _BROKEN
    return ""
