"""Sound series in unusual dress: all of them must come out."""

from __future__ import annotations

import shutil

import pydicom
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

import oracles_io as made
from bad_folders.making import ALL, recoded, row, set_tags, shift, sound, tilted_axes
from miliary.io.write_dicom import write_series


@row("a clean series", "OK", listed=True)
def clean(folder):
    return sound(folder)


@row("no file endings, names shuffled", "OK", listed=True)
def no_endings(folder):
    truth = sound(folder)
    for index, path in enumerate(sorted(folder.glob("*"))):
        path.rename(folder / f"IM{(index * 7) % 19:03d}")
    return truth


@row("prone", "OK", listed=True)
def prone(folder):
    write_series(folder, made.reoriented(made.chest(), (0, 1, 2), (False, True, True)), seed=1)
    return [made.chest()]


@row("slices numbered from the head down", "OK", listed=True)
def head_down(folder):
    write_series(folder, made.reoriented(made.chest(), (0, 1, 2), (True, False, False)), seed=1)
    return [made.chest()]


@row("oblique to all axes", "OK", listed=True)
def oblique(folder):
    volume = tilted_axes(made.chest(), 12.0, -7.0)
    write_series(folder, volume, seed=1)
    return [volume]


@row("coronal", "OK")
def coronal(folder):
    write_series(folder, made.reoriented(made.chest(), (1, 0, 2), (False, True, False)), seed=1)
    return [made.chest()]


@row("sagittal", "OK")
def sagittal(folder):
    write_series(folder, made.reoriented(made.chest(), (2, 0, 1), (True, True, False)), seed=1)
    return [made.chest()]


@row("positions off by 0.01 mm", "OK", listed=True)
def jitter(folder):
    truth = sound(folder)
    shift(folder, lambda i: (0.01 * (-1) ** i, -0.01 * (-1) ** i, 0.01 * (-1) ** i), ALL)
    return truth


@row("numbers, thickness and locations in the header lie", "OK")
def lying_numbers(folder):
    truth = sound(folder)
    set_tags(folder, SliceThickness="7", SpacingBetweenSlices="-3", SliceLocation="0")
    set_tags(folder, InstanceNumber="1", GantryDetectorTilt="15")
    return truth


@row("all instances bear one UID", "OK")
def one_instance_uid(folder):
    truth = sound(folder)
    set_tags(folder, SOPInstanceUID="1.2.3")
    return truth


@row("no series UID, two folders", "OK", "OK")
def no_series_uid(folder):
    truths = sound(folder / "a", 1) + sound(folder / "b", 2)
    for part in ("a", "b"):
        set_tags(folder / part, SeriesInstanceUID=None)
    return truths


@row("no preamble, no file meta", "OK", listed=True)
def no_preamble(folder):
    truth = sound(folder)
    for path in folder.glob("*"):
        bare = pydicom.Dataset()
        bare.update(pydicom.dcmread(path))
        with path.open("wb") as file:
            pydicom.dcmwrite(file, bare, implicit_vr=True, little_endian=True)
    return truth


@row("implicit little endian", "OK")
def implicit(folder):
    truth = sound(folder)
    recoded(folder, ImplicitVRLittleEndian)
    return truth


@row("big endian", "OK")
def big_endian(folder):
    truth = sound(folder)
    recoded(folder, ExplicitVRBigEndian)
    return truth


@row("deflated", "OK")
def deflated(folder):
    truth = sound(folder)
    recoded(folder, DeflatedExplicitVRLittleEndian)
    return truth


@row("RLE", "OK")
def rle(folder):
    write_series(folder, made.chest(), seed=1, coding="rle")
    return [made.chest()]


@row("JPEG-LS", "OK")
def jpeg_ls(folder):
    write_series(folder, made.chest(), seed=1, coding="jpeg-ls")
    return [made.chest()]


@row("JPEG lossless", "OK")
def jpeg_lossless(folder):
    truth = sound(folder)
    made.coded_by_gdcm(folder, "JPEG")
    return truth


@row("JPEG 2000 lossless", "OK")
def jpeg_2000(folder):
    truth = sound(folder)
    made.coded_by_gdcm(folder, "JPEG2000")
    return truth


@row("every other slice compressed", "OK")
def two_codings(folder):
    truth = sound(folder)
    write_series(folder / "b", made.chest(), seed=1, coding="rle")
    for path in sorted((folder / "b").glob("*"))[::2]:
        shutil.copy(path, folder / path.name)
    shutil.rmtree(folder / "b")
    return truth
