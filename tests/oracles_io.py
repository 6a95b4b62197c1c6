"""Small CT series, sound and spoilt, made on the fly; and slow twins of the readers."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pydicom

from miliary.config.reading import ReadSettings
from miliary.geometry import Geometry
from miliary.io.series import find_inputs
from miliary.io.write_dicom import write_series
from miliary.volume import Acquisition, Volume

SHAPE, SPACING_MM, ORIGIN_MM = (19, 23, 29), (1.25, 0.7, 0.8), (-11.5, 7.25, -130.5)


def chest(seed: int = 1, shape: tuple[int, int, int] = SHAPE) -> Volume:
    """Two air-filled boxes of unequal size in tissue, with noise: no symmetry to hide a flip."""
    rng = np.random.default_rng(seed)
    hu = rng.normal(40, 20, shape)
    z, y, x = shape
    hu[2 : z - 5, 4 : y - 3, 3 : x // 2 - 1] -= 890
    hu[3 : z - 2, 6 : y - 4, x // 2 + 2 : x - 2] -= 890
    geometry = Geometry.aligned(shape, SPACING_MM, ORIGIN_MM)
    acquisition = Acquisition(slice_thickness_mm=1.25, kernel="LUNG", manufacturer="miliary")
    return Volume(np.rint(hu).astype(np.int16), geometry, acquisition=acquisition)


def write(folder: Path, seed: int = 1, *, volume: Volume | None = None, **tags: object) -> Path:
    """Write a sound series."""
    if volume is not None or tags:
        write_series(folder, volume or chest(seed), seed=seed, tags=tags)
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in _written(seed).items():
        (folder / name).write_bytes(content)
    return folder


@cache
def _written(seed: int) -> dict[str, bytes]:
    """The files of a sound series: most tests spoil one of the same two."""
    with tempfile.TemporaryDirectory() as folder:
        return {
            path.name: path.read_bytes() for path in write_series(folder, chest(seed), seed=seed)
        }


def change(folder: Path, edit: Callable[[pydicom.Dataset, int], None], *, only: slice) -> None:
    """Edit some of the files of a series in their order."""
    paths = sorted(folder.glob("*.dcm"))
    for index in range(len(paths))[only]:
        dataset = pydicom.dcmread(paths[index])
        edit(dataset, index)
        dataset.save_as(paths[index])


def move(dataset: pydicom.Dataset, x_mm: float, y_mm: float, z_mm: float) -> None:
    """Shift the position of a slice."""
    x, y, z = (float(value) for value in dataset.ImagePositionPatient)
    dataset.ImagePositionPatient = [x + x_mm, y + y_mm, z + z_mm]


def value_at(folder: Path, point_mm: np.ndarray) -> float:
    """Look up the HU at a world point by hand: the standard's equation, file by file."""
    best, value = np.inf, np.nan
    for path in folder.glob("*.dcm"):
        ds = pydicom.dcmread(path)
        across, down = np.reshape([float(v) for v in ds.ImageOrientationPatient], (2, 3))
        offset = point_mm - np.array(ds.ImagePositionPatient, float)
        distance = abs(offset @ np.cross(across, down))
        if distance < best:
            column = offset @ across / float(ds.PixelSpacing[1])
            row = offset @ down / float(ds.PixelSpacing[0])
            stored = ds.pixel_array[round(row), round(column)]
            best, value = distance, stored * float(ds.RescaleSlope) + float(ds.RescaleIntercept)
    return value


def enhanced(folder: Path, volume: Volume, order: np.ndarray) -> Path:
    """Write a multi-frame object with frames in any order, by hand."""
    from pydicom.dataset import Dataset
    from pydicom.sequence import Sequence
    from pydicom.uid import EnhancedCTImageStorage

    template = pydicom.dcmread(sorted(write(folder / "t", volume=volume).glob("*.dcm"))[0])
    for path in (folder / "t").glob("*"):
        path.unlink()
    positions = volume.geometry.to_world(np.array([[i, 0, 0] for i in order], float))
    frames = []
    for position in positions:
        place, frame = Dataset(), Dataset()
        place.ImagePositionPatient = [float(v) for v in position]
        frame.PlanePositionSequence = Sequence([place])
        frames.append(frame)
    shared, measures, plane, rescale = Dataset(), Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = template.PixelSpacing, 1.25
    plane.ImageOrientationPatient = template.ImageOrientationPatient
    rescale.RescaleSlope, rescale.RescaleIntercept, rescale.RescaleType = "1", "-1024", "HU"
    shared.PixelMeasuresSequence = Sequence([measures])
    shared.PlaneOrientationSequence = Sequence([plane])
    shared.PixelValueTransformationSequence = Sequence([rescale])
    for name in ("PixelSpacing", "ImageOrientationPatient", "ImagePositionPatient"):
        delattr(template, name)
    for name in ("RescaleSlope", "RescaleIntercept", "RescaleType", "SliceThickness"):
        delattr(template, name)
    template.SOPClassUID = EnhancedCTImageStorage
    template.file_meta.MediaStorageSOPClassUID = EnhancedCTImageStorage
    template.SharedFunctionalGroupsSequence = Sequence([shared])
    template.PerFrameFunctionalGroupsSequence = Sequence(frames)
    template.NumberOfFrames = len(order)
    template.PixelData = (volume.hu[order] + 1024).astype("<i2").tobytes()
    template.save_as(folder / "multi.dcm")
    (folder / "t").rmdir()
    return folder


def coded_by_gdcm(folder: Path, compressor: str) -> None:
    """Code the pixels of a series by another writer: `JPEG` (lossless) or `JPEG2000`."""
    import SimpleITK as sitk  # noqa: N813

    writer = sitk.ImageFileWriter()
    writer.SetImageIO("GDCMImageIO")
    writer.UseCompressionOn()
    writer.SetCompressor(compressor)
    for path in folder.glob("*.dcm"):
        dataset = pydicom.dcmread(path)
        writer.SetFileName(str(folder / "coded.tmp.dcm"))
        writer.Execute(sitk.GetImageFromArray(dataset.pixel_array[None]))
        coded = pydicom.dcmread(folder / "coded.tmp.dcm")
        dataset.PixelData = coded.PixelData
        dataset["PixelData"].VR = "OB"
        dataset["PixelData"].is_undefined_length = True
        dataset.file_meta.TransferSyntaxUID = coded.file_meta.TransferSyntaxUID
        dataset.save_as(path)
    (folder / "coded.tmp.dcm").unlink()


def dicomdir(path: Path, leads_to: list[str]) -> None:
    """Write a DICOMDIR with one record."""
    from pydicom.uid import ExplicitVRLittleEndian, MediaStorageDirectoryStorage

    record, directory = pydicom.Dataset(), pydicom.Dataset()
    record.DirectoryRecordType, record.ReferencedFileID = "IMAGE", leads_to
    directory.SOPClassUID = MediaStorageDirectoryStorage
    directory.DirectoryRecordSequence = [record]
    directory.file_meta = pydicom.dataset.FileMetaDataset()
    directory.file_meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
    directory.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    directory.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    directory.save_as(path, enforce_file_format=True)


def segment_points(path, number):
    """World points of a segment's voxels, straight from the frames of the file."""
    ds = pydicom.dcmread(path)
    shared = ds.SharedFunctionalGroupsSequence[0]
    across, down = np.reshape(
        np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float), (2, 3)
    )
    row_mm, column_mm = (float(v) for v in shared.PixelMeasuresSequence[0].PixelSpacing)
    points = []
    frames = ds.pixel_array.reshape(-1, ds.Rows, ds.Columns)
    for frame, groups in zip(frames, ds.PerFrameFunctionalGroupsSequence, strict=True):
        if groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber == number:
            origin = np.array(groups.PlanePositionSequence[0].ImagePositionPatient, float)
            rows, columns = np.nonzero(frame)
            points.append(
                origin + np.outer(rows * row_mm, down) + np.outer(columns * column_mm, across)
            )
    return np.concatenate(points)


def verdicts(folder: Path) -> list[str]:
    """The code of each series in a folder, sorted."""
    return sorted(info.code for info in find_inputs([folder], ReadSettings()))


def spoil_phases(folder: Path) -> None:
    """Put another phase under the same identifiers."""
    write(folder / "b", seed=2)
    uid = pydicom.dcmread(folder / "0001.dcm").SeriesInstanceUID
    study = pydicom.dcmread(folder / "0001.dcm").StudyInstanceUID

    def rename(ds: pydicom.Dataset, _index: int) -> None:
        ds.SeriesInstanceUID, ds.StudyInstanceUID, ds.PatientID = uid, study, "PHANTOM-1"

    change(folder / "b", rename, only=slice(None))


def spoil_few(folder: Path) -> None:
    """Leave six slices."""
    for path in sorted(folder.glob("*.dcm"))[6:]:
        path.unlink()


def reoriented(volume: Volume, axes: tuple[int, int, int], flips: tuple[bool, ...]) -> Volume:
    """The same patient scanned along other axes: another array, the same world."""
    hu, affine = volume.hu.transpose(axes), volume.geometry.affine.copy()
    affine[:3, :3] = affine[:3, axes]
    for axis, flip in enumerate(flips):
        if flip:
            affine[:3, 3] += affine[:3, axis] * (hu.shape[axis] - 1)
            affine[:3, axis] *= -1
            hu = np.flip(hu, axis)
    return Volume(np.ascontiguousarray(hu), Geometry(hu.shape, affine), volume.acquisition)
