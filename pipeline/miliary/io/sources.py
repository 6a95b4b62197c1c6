"""Where bytes come from: files under folders, single files, members of zips."""

from __future__ import annotations

import io
import os
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from miliary.config.reading import ReadSettings
from miliary.errors import InputError

_MB = 1 << 20


@dataclass(frozen=True)
class Source:
    """One file, or one member of a zip.

    Parameters
    ----------
    path : Path
        The file or the zip.
    member : int
        Which member of the zip, by its order; -1 for the file itself.
    relative : str
        Path relative to the input it was found under; a member's name is not used.
    """

    path: Path
    member: int = -1
    relative: str = "."

    @property
    def is_member(self) -> bool:
        """Whether it lies in a zip."""
        return self.member >= 0

    @property
    def folder(self) -> str:
        """Where it lies relative to the input: the zip, or the folder of the file."""
        return self.relative if self.is_member else (os.path.dirname(self.relative) or ".")


class Archive:
    """Opens sources; keeps the zips open in between, for their list of members is slow to read.

    Parameters
    ----------
    settings : ReadSettings
        Caps on sizes.
    """

    def __init__(self, settings: ReadSettings) -> None:
        self._max_bytes = int(settings.max_file_mb * _MB)
        self._max_zip_bytes = int(settings.max_zip_mb * _MB)
        self._zips: dict[Path, zipfile.ZipFile] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Archive:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for opened in self._zips.values():
            opened.close()
        self._zips.clear()

    def open(self, source: Source) -> BinaryIO:
        """Open a source for reading; a member is unpacked into memory.

        Parameters
        ----------
        source : Source
            What to open.

        Returns
        -------
        binary file
            At its beginning; the caller closes it.

        Raises
        ------
        OSError
            Where it cannot be read, or is larger than the cap.
        """
        if not source.is_member:
            if source.path.stat().st_size > self._max_bytes:
                raise OSError(f"the file must be at most {self._max_bytes} bytes")
            return source.path.open("rb")
        return io.BytesIO(self._member_bytes(source))

    def size(self, source: Source) -> int:
        """Give the unpacked size of a source in bytes.

        Parameters
        ----------
        source : Source
            What to look at.

        Returns
        -------
        int
            Bytes.
        """
        if not source.is_member:
            return source.path.stat().st_size
        return self._opened(source.path).infolist()[source.member].file_size

    def members(self, path: Path, relative: str) -> list[Source]:
        """List the files in a zip.

        Parameters
        ----------
        path : Path
            The zip.
        relative : str
            Its path relative to the input.

        Returns
        -------
        list of Source
            One for each member that is a file.

        Raises
        ------
        InputError
            Where the members together would be larger than the cap.
        """
        infos = self._opened(path).infolist()
        total = sum(info.file_size for info in infos)
        if total > self._max_zip_bytes:
            raise InputError(
                f"the members of a zip must take at most {self._max_zip_bytes // _MB} MB together, "
                f"got {total // _MB} MB; unpack it, or raise read.max_zip_mb",
                code="E_TOO_BIG",
            )
        return [Source(path, i, relative) for i, info in enumerate(infos) if not info.is_dir()]

    def _member_bytes(self, source: Source) -> bytes:
        opened = self._opened(source.path)
        with opened.open(opened.infolist()[source.member]) as member:
            # The size that the zip states may be a lie: read no more than the cap, and see.
            content = member.read(self._max_bytes + 1)
        if len(content) > self._max_bytes:
            raise OSError(f"the member must be at most {self._max_bytes} bytes")
        return content

    def _opened(self, path: Path) -> zipfile.ZipFile:
        with self._lock:
            if path not in self._zips:
                self._zips[path] = zipfile.ZipFile(path)
            return self._zips[path]


def walk(inputs: list[Path]) -> Iterator[tuple[Path, str]]:
    """Give every regular file under the inputs once, in a fixed order.

    Parameters
    ----------
    inputs : list of Path
        Folders and files.

    Yields
    ------
    (Path, str)
        The file, and its path relative to its input (a file's to its folder).

    Raises
    ------
    InputError
        For an input that does not exist.
    """
    seen: set[tuple[int, int]] = set()
    for given in inputs:
        if not given.exists():
            raise InputError(
                f"an input must be a folder or a file, got {given}, which does not exist; "
                "check the path"
            )
        base = given if given.is_dir() else given.parent
        for path in _files(given):
            status = os.stat(path)
            if (status.st_dev, status.st_ino) not in seen:
                seen.add((status.st_dev, status.st_ino))
                yield path, path.relative_to(base).as_posix()


def _files(given: Path) -> Iterator[Path]:
    if given.is_file():
        yield given
        return
    # Links to folders are not followed: they may lead round in circles.
    for folder, folders, names in os.walk(given, followlinks=False):
        folders.sort()
        for name in sorted(names):
            path = Path(folder, name)
            if path.is_file():
                yield path
