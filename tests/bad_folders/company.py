"""Sound series in bad company."""

from __future__ import annotations

import shutil
import zipfile

import pydicom
from pydicom.uid import SecondaryCaptureImageStorage

import oracles_io as made
from bad_folders.making import beside, row, set_tags, sound


@row("two series of one study", "OK", "OK", listed=True)
def two_series(folder):
    truths = [*sound(folder, 1), made.chest(2, (14, 23, 29))]
    made.write(folder / "b", 2, volume=truths[1])
    first = pydicom.dcmread(folder / "0001.dcm")
    set_tags(folder / "b", StudyInstanceUID=first.StudyInstanceUID)
    for path in (folder / "b").glob("*.dcm"):
        path.rename(folder / f"b{path.name}")
    (folder / "b").rmdir()
    return truths


@row("two patients in one folder", "OK", "OK")
def two_patients(folder):
    truths = sound(folder / "b", 2)
    for path in (folder / "b").glob("*.dcm"):
        path.rename(folder / f"x{path.name}")
    (folder / "b").rmdir()
    return sound(folder, 1) + truths


@row("localizer under the same UID", "OK", "SKIP_LOCALIZER", listed=True)
def localizer_inside(folder):
    truth = sound(folder)
    scout = beside(folder)
    scout.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    scout.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
    scout.save_as(folder / "0000.dcm")
    return truth


@row("localizer under the same UID that does not say so", "OK", "SKIP_TOO_FEW")
def localizer_unnamed(folder):
    truth = sound(folder)
    scout = beside(folder)
    scout.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
    scout.save_as(folder / "0000.dcm")
    return truth


@row("localizer as a series of its own", "OK", "SKIP_LOCALIZER", listed=True)
def localizer_apart(folder):
    truth = sound(folder)
    scout = beside(folder)
    scout.ImageType, scout.SeriesInstanceUID = ["ORIGINAL", "PRIMARY", "LOCALIZER"], "1.2.3"
    scout.save_as(folder / "0000.dcm")
    return truth


@row("secondary capture beside it", "OK", "SKIP_NOT_CT", listed=True)
def capture(folder):
    truth = sound(folder)
    shot = beside(folder)
    shot.SOPClassUID = shot.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    shot.SeriesInstanceUID = "1.2.3"
    shot.save_as(folder / "0000.dcm")
    return truth


@row("the same file twice", "W_DUP_FILES", listed=True)
def copy(folder):
    truth = sound(folder)
    shutil.copy(folder / "0003.dcm", folder / "copy.dcm")
    return truth


@row("zero-byte file beside it", "OK", listed=True)
def empty_file(folder):
    (folder / "empty.dcm").write_bytes(b"")
    return sound(folder)


@row("junk files beside it", "OK", listed=True)
def junk(folder):
    (folder / "junk.dcm").write_bytes(bytes(range(256)) * 20)
    (folder / "notes.txt").write_text("not DICOM")
    return sound(folder)


@row("symlink loop", "OK", listed=True)
def symlink_loop(folder):
    (folder / "loop").symlink_to(folder, target_is_directory=True)
    return sound(folder)


@row("folders in folders", "OK", listed=True)
def nested(folder):
    truth = sound(folder)
    for index, path in enumerate(sorted(folder.glob("*.dcm"))):
        place = folder / "a" / f"b{index % 3}" / f"c{index % 4}"
        place.mkdir(parents=True, exist_ok=True)
        path.rename(place / path.name)
    return truth


@row("zip", "OK", listed=True)
def zipped(folder):
    truth = sound(folder / "a")
    with zipfile.ZipFile(folder / "scan.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in (folder / "a").glob("*"):
            archive.write(path, path.name)
    shutil.rmtree(folder / "a")
    return truth


@row("DICOMDIR that leads nowhere", "OK", listed=True)
def dicomdir(folder):
    truth = sound(folder / "IMAGES")
    made.dicomdir(folder / "DICOMDIR", ["IMAGES", "GONE"])
    return truth


@row("the whole series twice, in two folders", "W_DUP_FILES")
def twice(folder):
    truth = sound(folder / "a")
    shutil.copytree(folder / "a", folder / "b")
    return truth


@row("one series over three folders", "OK")
def scattered(folder):
    truth = sound(folder)
    for index, path in enumerate(sorted(folder.glob("*.dcm"))):
        place = folder / f"CD{index // 8}"
        place.mkdir(exist_ok=True)
        path.rename(place / path.name)
    return truth


@row("projections of the highest values beside it", "OK", "SKIP_PROJECTION")
def projections(folder):
    truth = sound(folder / "a")
    made.write(folder / "b", 2, StudyInstanceUID="1.2.3")
    set_tags(folder / "a", StudyInstanceUID="1.2.3")
    set_tags(folder / "b", ImageType=["DERIVED", "SECONDARY", "AXIAL", "MIP"])
    return truth


@row("a cut file beside it", "W_UNREADABLE_FILES")
def cut_file(folder):
    truth = sound(folder)
    (folder / "cut.dcm").write_bytes((folder / "0004.dcm").read_bytes()[:200])
    return truth


@row("a thick series beside the thin one", "OK", "OK")
def thick_beside(folder):
    truths = sound(folder / "thin")
    thick = made.chest(2, (12, 23, 29))
    thick.geometry.affine[2, 0] = 5.0
    made.write(folder / "thick", 2, volume=thick, SliceThickness="5", StudyInstanceUID="1.2.3")
    set_tags(folder / "thin", StudyInstanceUID="1.2.3")
    return [*truths, thick]
