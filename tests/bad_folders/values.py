"""Series whose values are not what they seem."""

from __future__ import annotations

import numpy as np
import pydicom
from pydicom.encaps import encapsulate, generate_frames

import oracles_io as made
from bad_folders.making import ALL, FROM_TENTH, row, set_tags, sound, store
from miliary.io.write_dicom import write_series
from miliary.volume import Volume

_UNSIGNED_12 = {"BitsStored": 12, "HighBit": 11, "PixelRepresentation": 0}
_TOP_ROWS = 4


@row("12 bits, unsigned", "OK", listed=True)
def twelve_bits(folder):
    truth = sound(folder)
    set_tags(folder, **_UNSIGNED_12)
    return truth


@row("slope that is not whole", "OK", listed=True)
def float_slope(folder):
    truth = sound(folder)
    store(folder, lambda stored, _: stored * 2)
    set_tags(folder, RescaleSlope="0.5")
    return truth


@row("negative slope", "OK")
def negative_slope(folder):
    truth = sound(folder)
    store(folder, lambda stored, _: -stored)
    set_tags(folder, RescaleSlope="-1")
    return truth


@row("another intercept in every slice", "OK", listed=True)
def intercepts(folder):
    truth = sound(folder)
    store(folder, lambda stored, i: stored - i)

    def edit(dataset: pydicom.Dataset, i: int) -> None:
        dataset.RescaleIntercept = str(-1024 + i)

    made.change(folder, edit, only=ALL)
    return truth


@row("another slope in every slice", "OK")
def slopes(folder):
    truth = sound(folder)
    store(folder, lambda stored, i: stored * 2 ** (i % 3))

    def edit(dataset: pydicom.Dataset, i: int) -> None:
        dataset.RescaleSlope = str(2.0 ** -(i % 3))

    made.change(folder, edit, only=ALL)
    return truth


@row("garbage in the bits above those stored", "OK", listed=True)
def high_bits(folder):
    truth = sound(folder)
    set_tags(folder, **_UNSIGNED_12)
    garbage = np.random.default_rng(3).integers(0, 16, made.SHAPE) << 12
    store(folder, lambda stored, i: stored + garbage[i])
    return truth


@row("signed and unsigned slices mixed", "OK")
def mixed_signs(folder):
    truth = sound(folder)
    set_tags(folder, slice(0, None, 2), PixelRepresentation=0)
    return truth


@row("no rescale tags", "W_NO_RESCALE", listed=True)
def no_rescale(folder):
    write_series(folder, made.chest(), seed=1, intercept_hu=0)
    set_tags(folder, RescaleSlope=None, RescaleIntercept=None, RescaleType=None)
    return [made.chest()]


@row("no rescale tags in half of the slices", "E_NO_RESCALE")
def half_rescaled(folder):
    sound(folder)
    set_tags(folder, FROM_TENTH, RescaleSlope=None, RescaleIntercept=None)
    return []


@row("slope 0 in one slice", "E_SLOPE0", listed=True)
def slope_zero(folder):
    sound(folder)
    set_tags(folder, slice(3, 4), RescaleSlope=0)
    return []


@row("slope 0 in all slices", "E_SLOPE0")
def slopes_zero(folder):
    sound(folder)
    set_tags(folder, RescaleSlope=0)
    return []


@row("padding of -2000", "OK", listed=True)
def padding(folder):
    (truth,) = _with_padding(folder, intercept_hu=0, value=-2000, tag=-2000)
    return [truth]


@row("padding that would be bone", "OK")
def padding_as_bone(folder):
    return _with_padding(folder, intercept_hu=1500, value=-1000, tag=-1000)


@row("padding written with the wrong sign", "OK")
def padding_unsigned(folder):
    return _with_padding(folder, intercept_hu=1500, value=-1000, tag=64536)


@row("padding as a range", "OK")
def padding_range(folder):
    truth = _with_padding(folder, intercept_hu=1500, value=-1000, tag=-1010)

    def edit(dataset: pydicom.Dataset, _: int) -> None:
        dataset.add_new("PixelPaddingRangeLimit", "SS", -990)

    made.change(folder, edit, only=ALL)
    return truth


def _with_padding(folder, *, intercept_hu: int, value: int, tag: int) -> list[Volume]:
    write_series(folder, made.chest(), seed=1, intercept_hu=intercept_hu)

    def spoil(stored: np.ndarray, _: int) -> np.ndarray:
        stored[:_TOP_ROWS] = value
        return stored

    store(folder, spoil)

    def edit(dataset: pydicom.Dataset, _: int) -> None:
        dataset.add_new("PixelPaddingValue", "SS" if tag < 0 else "US", tag)

    made.change(folder, edit, only=ALL)
    truth = made.chest()
    truth.hu[:, :_TOP_ROWS] = -1024
    return [truth]


@row("MONOCHROME1", "W_MONO1_NOT_INVERTED", listed=True)
def monochrome1(folder):
    return sound(folder, PhotometricInterpretation="MONOCHROME1")


@row("a dual-energy map, not HU", "E_NOT_HU", as_stored=True)
def other_unit(folder):
    sound(folder)
    set_tags(folder, RescaleType="Z_EFF")
    return []


@row(
    "stored values without the tags to rescale them",
    "W_NO_RESCALE",
    reads="E_NOT_HU",
    as_stored=True,
)
def stored_only(folder):
    sound(folder)
    set_tags(folder, RescaleSlope=None, RescaleIntercept=None, RescaleType=None)
    return []


@row("values of 8 bits, for display", "OK", reads="E_NOT_HU", as_stored=True)
def display_values(folder):
    sound(folder)
    store(folder, lambda stored, _: stored / 8)
    return []


@row("truncated pixels", "E_PIXELS", listed=True)
def truncated(folder):
    sound(folder)
    path = folder / "0011.dcm"
    path.write_bytes(path.read_bytes()[:-300])
    return []


@row("truncated header", "E_MISSING_SLICES", "E_NO_GEOMETRY")
def truncated_header(folder):
    sound(folder)
    path = folder / "0011.dcm"
    path.write_bytes(path.read_bytes()[:700])
    return []


@row("a slice without pixels", "E_PIXELS")
def no_pixels(folder):
    sound(folder)
    set_tags(folder, slice(4, 5), PixelData=None)
    return []


@row("a coded slice that breaks off", "OK", reads="E_PIXELS")
def broken_code(folder):
    write_series(folder, made.chest(), seed=1, coding="jpeg-ls")

    def edit(dataset: pydicom.Dataset, _: int) -> None:
        frame = next(generate_frames(dataset.PixelData, number_of_frames=1))
        dataset.PixelData = encapsulate([frame[:-400]])

    made.change(folder, edit, only=slice(4, 5))
    return []


@row("a colour picture among the slices", "E_PIXELS")
def colour(folder):
    sound(folder)

    def edit(dataset: pydicom.Dataset, _: int) -> None:
        dataset.SamplesPerPixel, dataset.PlanarConfiguration = 3, 0
        dataset.PhotometricInterpretation = "RGB"
        dataset.BitsAllocated = dataset.BitsStored = 8
        dataset.HighBit, dataset.PixelRepresentation = 7, 0
        dataset.PixelData = bytes(dataset.Rows * dataset.Columns * 3 + 1)

    made.change(folder, edit, only=slice(4, 5))
    return []


@row("a rescale that is no number", "E_RESCALE")
def rescale_text(folder):
    sound(folder)
    for path in folder.glob("*.dcm"):
        path.write_bytes(path.read_bytes().replace(b"-1024 ", b"minus "))
    return []
