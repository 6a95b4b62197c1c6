"""Series whose slices do not make a grid."""

from __future__ import annotations

import numpy as np
import pydicom

import oracles_io as made
from bad_folders.making import (
    ALL,
    FROM_TENTH,
    STEP_MM,
    row,
    second_phase,
    set_tags,
    shift,
    sound,
)
from miliary.volume import Volume


@row("slices missing at the end", "OK", listed=True)
def end_missing(folder):
    (volume,) = sound(folder)
    for path in sorted(folder.glob("*.dcm"))[-2:]:
        path.unlink()
    box = (slice(0, 17), *(slice(0, n) for n in volume.hu.shape[1:]))
    # Nothing can tell this: what is there must be right.
    return [Volume(volume.hu[box], volume.geometry.crop(box))]


@row("one slice missing", "E_MISSING_SLICES", listed=True)
def one_missing(folder):
    sound(folder)
    sorted(folder.glob("*.dcm"))[7].unlink()
    return []


@row("five slices missing here and there", "E_MISSING_SLICES")
def several_missing(folder):
    sound(folder)
    for i in (3, 4, 5, 10, 14):
        sorted(folder.glob("00*.dcm"))[i].rename(folder / f"gone{i}.txt")
    for path in folder.glob("gone*"):
        path.unlink()
    return []


@row("slices of one phase, of two acquisitions that follow each other", "OK")
def two_acquisitions(folder):
    truth = sound(folder)
    set_tags(folder, FROM_TENTH, AcquisitionNumber=2)
    return truth


@row(
    "two phases at the same places, same UID, nothing tells them apart",
    "E_OVERLAPPING_PHASES",
    listed=True,
)
def two_phases(folder):
    second_phase(folder)
    return []


@row("two phases told apart by the acquisition number", "OK", "OK")
def phases_by_acquisition(folder):
    return second_phase(folder, AcquisitionNumber=2)


@row("two phases told apart by the temporal position", "OK", "OK")
def phases_by_time(folder):
    truths = second_phase(folder, TemporalPositionIdentifier=2)
    for path in folder.glob("0*.dcm"):
        dataset = pydicom.dcmread(path)
        dataset.TemporalPositionIdentifier = 1
        dataset.save_as(path)
    return truths


@row("two phases, shifted by a part of the slice distance", "E_VARIABLE_SPACING")
def phases_shifted(folder):
    second_phase(folder)
    for path in folder.glob("b*.dcm"):
        dataset = pydicom.dcmread(path)
        made.move(dataset, 0, 0, 0.3)
        dataset.save_as(path)
    return []


@row("two different slices at one place", "E_DUP_POSITIONS")
def coincident(folder):
    sound(folder)
    shift(folder, lambda _: (0, 0, STEP_MM), slice(4, 5))
    return []


@row("gantry tilt of 15 degrees", "E_GANTRY_TILT", listed=True)
def tilt(folder):
    sound(folder)
    shift(folder, lambda i: (0, STEP_MM * np.tan(np.radians(15)) * i, 0), ALL)
    return []


@row("variable spacing: 1.25 mm, then 2.2 mm", "E_VARIABLE_SPACING", listed=True)
def variable(folder):
    sound(folder)
    shift(folder, lambda i: (0, 0, 0.95 * (i - 9)), FROM_TENTH)
    return []


@row("spacing that drifts", "E_VARIABLE_SPACING")
def drift(folder):
    sound(folder)
    shift(folder, lambda i: (0, 0, 0.004 * i * i), ALL)
    return []


@row("one slice shifted sideways by 1.5 mm", "E_SHIFTED_SLICES")
def one_sideways(folder):
    sound(folder)
    shift(folder, lambda _: (1.5, 0, 0), slice(5, 6))
    return []


@row("no image positions", "E_NO_GEOMETRY", listed=True)
def no_position(folder):
    sound(folder)
    set_tags(folder, ImagePositionPatient=None)
    return []


@row("one slice without a position", "E_NO_GEOMETRY")
def one_without_position(folder):
    sound(folder)
    set_tags(folder, slice(4, 5), ImagePositionPatient=None)
    return []


@row("no orientation", "E_NO_GEOMETRY")
def no_orientation(folder):
    sound(folder)
    set_tags(folder, ImageOrientationPatient=None)
    return []


@row("no pixel spacing", "E_NO_GEOMETRY")
def no_pixel_spacing(folder):
    sound(folder)
    set_tags(folder, PixelSpacing=None)
    return []


@row("decimal commas", "E_NO_GEOMETRY")
def decimal_commas(folder):
    sound(folder)
    for path in folder.glob("*.dcm"):
        path.write_bytes(path.read_bytes().replace(b"0.7\\0.8 ", b"0,7\\0,8 "))
    return []


@row("axes that are not at right angles", "E_NO_GEOMETRY")
def skewed(folder):
    sound(folder)
    set_tags(folder, ImageOrientationPatient=[1, 0, 0, 0.2, 0.98, 0])
    return []


@row("one slice of another orientation", "E_MISSING_SLICES", "SKIP_TOO_FEW")
def one_turned(folder):
    sound(folder)
    set_tags(folder, slice(6, 7), ImageOrientationPatient=[0, 1, 0, 0, 0, -1])
    return []


@row("two pixel spacings, half and half", "E_MIXED_SPACING", "SKIP_TOO_FEW", listed=True)
def mixed_spacing(folder):
    sound(folder)
    set_tags(folder, FROM_TENTH, PixelSpacing=[0.9, 0.9])
    return []


@row("two matrices, half and half", "E_MIXED_SPACING", "SKIP_TOO_FEW", listed=True)
def mixed_matrix(folder):
    sound(folder)

    def edit(dataset: pydicom.Dataset, _: int) -> None:
        dataset.PixelData = dataset.pixel_array[:20].tobytes()
        dataset.Rows = 20

    made.change(folder, edit, only=FROM_TENTH)
    return []


@row("two frames of reference under one UID", "E_MIXED_FRAMES")
def mixed_frames(folder):
    sound(folder)
    set_tags(folder, FROM_TENTH, FrameOfReferenceUID="1.2.3.4")
    return []


@row("two patients under the same UIDs, one above the other", "OK", "OK")
def chimera(folder):
    first = sound(folder)
    upper = made.chest(2)
    upper.geometry.affine[2, 3] += 19 * STEP_MM
    made.write(folder / "b", 1, volume=upper, PatientID="OTHER", PatientName="Other^One")
    for path in (folder / "b").glob("*.dcm"):
        path.rename(folder / f"b{path.name}")
    (folder / "b").rmdir()
    for path in folder.glob("b*.dcm"):
        dataset = pydicom.dcmread(path)
        dataset.SOPInstanceUID += ".7"
        dataset.save_as(path)
    return [*first, upper]


@row("pixels of 1 m", "E_NOT_PLAUSIBLE", as_stored=True)
def metre_pixels(folder):
    sound(folder)
    set_tags(folder, PixelSpacing=["1000", "1000"])
    return []


@row("slices half a metre apart", "E_NOT_PLAUSIBLE", as_stored=True)
def metre_steps(folder):
    sound(folder)
    shift(folder, lambda i: (0, 0, 500 * i), ALL)
    return []


@row("six slices", "SKIP_TOO_FEW", as_stored=True)
def few(folder):
    sound(folder)
    for path in sorted(folder.glob("*.dcm"))[6:]:
        path.unlink()
    return []


@row("a localizer alone", "SKIP_LOCALIZER", as_stored=True)
def localizer_alone(folder):
    sound(folder)
    set_tags(folder, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    return []


@row("distances of 0.625 mm, written to 0.1 mm", "E_VARIABLE_SPACING")
def rounded(folder):
    # Which slice lies where is not known to less than 0.05 mm: more than the tolerance.
    sound(folder)

    def edit(dataset: pydicom.Dataset, i: int) -> None:
        x, y, _ = dataset.ImagePositionPatient
        dataset.ImagePositionPatient = [x, y, round(0.625 * i, 1)]

    made.change(folder, edit, only=ALL)
    return []
