"""The images that a DICOM result refers to: their whole headers, in the order of the scan."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pydicom

from miliary.arrays import AnyArray
from miliary.config.reading import ReadSettings
from miliary.errors import SeriesError
from miliary.io.orient import Turn, patient_turn
from miliary.io.scan import quiet_pydicom
from miliary.io.series import SeriesInfo
from miliary.io.sources import Archive


@dataclass(frozen=True, eq=False)
class SourceImages:
    """Source headers with everything of the patient; for DICOM results only.

    Parameters
    ----------
    datasets : list of pydicom.Dataset
        One a slice in the order of the stack, or one multi-frame object.
    frames : (n,) int
        Which slice of the stack each frame of the result refers to.
    turn : Turn
        Takes the stack to the array of the volume.
    """

    datasets: list[pydicom.Dataset]
    frames: AnyArray
    turn: Turn

    def as_frames(self, array: AnyArray) -> AnyArray:
        """Bring an array of the volume into the order and orientation of the source frames.

        Parameters
        ----------
        array : (z, y, x) array
            On the grid of the volume.

        Returns
        -------
        (frames, rows, columns) array
            As the source images lie.
        """
        return self.turn.undone(array)[self.frames]


def source_images(info: SeriesInfo, settings: ReadSettings) -> SourceImages:
    """Read the whole headers of a series again.

    Parameters
    ----------
    info : SeriesInfo
        A usable DICOM series.
    settings : ReadSettings
        As it was found with.

    Returns
    -------
    SourceImages
        Headers without pixels.

    Raises
    ------
    SeriesError
        Where the series is not DICOM, or a part of several multi-frame objects.
    """
    judged = info.stack
    if judged is None or judged.affine is None:
        raise SeriesError(
            f"DICOM results need a DICOM input, got a {info.kind} file; leave out --dicom",
            code="E_NO_SOURCE",
        )
    if judged.resampling is not None:
        raise SeriesError(
            "DICOM results need slices as they were scanned, got resampled ones; leave out --dicom",
            code="E_NO_SOURCE",
        )
    sources = list(dict.fromkeys(item.source for item in judged.slices))
    if len(sources) not in (1, len(judged.slices)):
        raise SeriesError(
            f"DICOM results need one file a slice, or one in all, got {len(sources)} files of "
            f"{len(judged.slices)} slices; leave out --dicom",
            code="E_NO_SOURCE",
        )
    datasets = []
    with Archive(settings) as archive, quiet_pydicom():
        for source in sources:
            with archive.open(source) as file:
                datasets.append(pydicom.dcmread(file, stop_before_pixels=True, force=True))
    # The stack runs along the normal; frames of one object may lie in any order.
    order = [item.frame for item in judged.slices] if len(sources) == 1 else []
    frames = np.argsort(order) if order else np.arange(len(sources))
    return SourceImages(datasets, frames, patient_turn(judged.affine))
