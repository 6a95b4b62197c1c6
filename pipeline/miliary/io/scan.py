"""Going through everything under the inputs: slices, volume files, and a count of the rest."""

from __future__ import annotations

import logging
import warnings
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from miliary.config.reading import ReadSettings
from miliary.errors import InputError
from miliary.io.dicom_file import PARSE_ERRORS, NotDicomError
from miliary.io.headers import NotCtError, SliceHeader, read_headers
from miliary.io.sources import Archive, Source, walk
from miliary.io.volume_files import VOLUME_ENDINGS, VolumeFile, inspect_volume

_BROKEN = "file(s) that cannot be read"

#: Several phases may lie in one file, each of as many slices as a series may have.
_PHASES_A_FILE = 4

#: Most that is inflated of a deflated file to come to its pixels: a header of 5000 frames takes
#: some 15 MB.
_MAX_HEADER_BYTES = 1 << 26


@dataclass(eq=False)
class Scan:
    """What lies under the inputs.

    Parameters
    ----------
    headers : list of SliceHeader
        Slices of CT.
    volumes : list of VolumeFile
        Volume files.
    foreign : dict
        DICOM objects that are no CT, by study and series.
    refused : list of (str, str, str)
        Zips that cannot be used: path, code and reason.
    counts : Counter of str
        Files that are something else, by what they are.
    broken : Counter of str
        DICOM files that cannot be read, by their folder.
    """

    headers: list[SliceHeader] = field(default_factory=list)
    volumes: list[VolumeFile] = field(default_factory=list)
    foreign: dict[tuple[str, str], list[tuple[Source, NotCtError]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    refused: list[tuple[str, str, str]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    broken: Counter[str] = field(default_factory=Counter)

    def counts_sentence(self) -> str:
        """Say how many files were something else, and what.

        Returns
        -------
        str
            Part of a sentence.
        """
        parts = [f"{n} {what}" for what, n in sorted(self.counts.items()) if what and n]
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
    scan = Scan()
    with Archive(settings) as archive, quiet_pydicom():
        for path, relative in walk([Path(given) for given in inputs], scan.counts):
            if path.name.lower().endswith(VOLUME_ENDINGS):
                scan.volumes.append(inspect_volume(path, relative, settings))
            else:
                _scan_file(Source(path, relative=relative), archive, scan, settings)
    return scan


@contextmanager
def quiet_pydicom() -> Iterator[None]:
    """Keep pydicom from telling of odd tags: they are judged here, or do not matter.

    Yields
    ------
    None
        Meanwhile it neither warns nor logs; a log could quote what names the patient.
    """
    logger = logging.getLogger("pydicom")
    before = logger.disabled
    logger.disabled = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.disabled = before


def _scan_file(source: Source, archive: Archive, scan: Scan, settings: ReadSettings) -> None:
    what = _scan_source(source, archive, scan, settings)
    if what != "zip":
        _count(source, what, scan)
        return
    try:
        members = archive.members(source.path, source.relative)
    except InputError as error:
        scan.refused.append((source.relative, error.code, f"{error}."))
    except (zipfile.BadZipFile, *PARSE_ERRORS):
        _count(source, _BROKEN, scan)
    else:
        for member in members:
            what = _scan_source(member, archive, scan, settings)
            _count(member, "zip(s) inside a zip, not unpacked" if what == "zip" else what, scan)


def _count(source: Source, what: str, scan: Scan) -> None:
    scan.counts[what] += 1
    if what == _BROKEN:
        scan.broken[source.folder] += 1


def _scan_source(source: Source, archive: Archive, scan: Scan, settings: ReadSettings) -> str:
    """Add the slices of one file; name what it is where it is something else."""
    try:
        with archive.open(source) as file:
            if file.peek(4)[:4] == b"PK\x03\x04":  # type: ignore[attr-defined]
                return "zip"
            scan.headers += read_headers(
                file,
                source,
                file_bytes=archive.size(source),
                max_bytes=min(int(settings.max_file_mb * 2**20), _MAX_HEADER_BYTES),
                max_frames=_PHASES_A_FILE * settings.max_slices,
            )
    except NotDicomError:
        return "file(s) that are not DICOM"
    except NotCtError as error:
        scan.foreign[error.study_uid, error.series_uid].append((source, error))
        return "DICOM file(s) that are not CT images"
    except (*PARSE_ERRORS, zipfile.BadZipFile, RuntimeError):
        return _BROKEN
    return ""
