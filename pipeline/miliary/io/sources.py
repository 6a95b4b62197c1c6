"""Where bytes come from: files under folders, single files, members of zips."""

from __future__ import annotations

import io
import os
import threading
import zipfile
from collections import Counter, OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from miliary.config.reading import ReadSettings
from miliary.errors import InputError

_MB = 1 << 20

#: Zips kept open: a tree may hold thousands, and a process may open some thousand files.
_OPEN_ZIPS = 8

#: Buffer over a member: headers are read in small steps, some of them backwards.
_MEMBER_BUFFER = 1 << 18


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
    """Opens sources; keeps some zips open in between, for their list of members is slow to read.

    Parameters
    ----------
    settings : ReadSettings
        Caps on sizes.
    """

    def __init__(self, settings: ReadSettings) -> None:
        self._max_bytes = int(settings.max_file_mb * _MB)
        self._max_zip_bytes = int(settings.max_zip_mb * _MB)
        self._zips: OrderedDict[Path, zipfile.ZipFile] = OrderedDict()
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
        """Open a source for reading; a member is unpacked while it is read.

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
        # A member's stated size may be a lie, but no more than that is ever unpacked.
        if self.size(source) > self._max_bytes:
            raise OSError(f"a file must be at most {self._max_bytes} bytes")
        if not source.is_member:
            return source.path.open("rb")
        opened = self._opened(source.path)
        member = opened.open(opened.infolist()[source.member])
        return io.BufferedReader(member, _MEMBER_BUFFER)  # type: ignore[type-var]

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

    def _opened(self, path: Path) -> zipfile.ZipFile:
        with self._lock:
            if path not in self._zips:
                self._zips[path] = zipfile.ZipFile(path)
            self._zips.move_to_end(path)
            while len(self._zips) > _OPEN_ZIPS:
                # Members that are being read keep the file open until they are done.
                self._zips.popitem(last=False)[1].close()
            return self._zips[path]


def walk(inputs: list[Path], counts: Counter[str]) -> Iterator[tuple[Path, str]]:
    """Give every regular file under the inputs once, in a fixed order.

    Parameters
    ----------
    inputs : list of Path
        Folders and files; a file named DICOMDIR stands for its folder.
    counts : Counter of str
        Gains what was passed over: folders that cannot be opened, and links to folders.

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
        # The paths in a DICOMDIR are not to be trusted: whatever lies beside it is looked at.
        folder = given.parent if given.name.upper() == "DICOMDIR" and given.is_file() else given
        base = folder if folder.is_dir() else folder.parent
        for path in _files(folder, counts):
            status = os.stat(path)
            if (status.st_dev, status.st_ino) not in seen:
                seen.add((status.st_dev, status.st_ino))
                yield path, path.relative_to(base).as_posix()


def _files(given: Path, counts: Counter[str]) -> Iterator[Path]:
    if given.is_file():
        yield given
        return

    def closed(_: OSError) -> None:
        counts["folder(s) that cannot be opened"] += 1

    # Links to folders are not followed: they may lead round in circles, or out of the input.
    for folder, folders, names in os.walk(given, onerror=closed, followlinks=False):
        folders.sort()
        linked = sum(os.path.islink(os.path.join(folder, name)) for name in folders)
        counts["link(s) to folders, not followed"] += linked
        for name in sorted(names):
            path = Path(folder, name)
            if path.is_file():
                yield path
