"""Writing a volume as a DICOM series: for phantoms and sample data, never for patients."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    JPEGLSLossless,
    RLELossless,
)

from miliary.arrays import FloatArray, IntArray
from miliary.io.identity import uid_of
from miliary.volume import Volume

#: Codings of the pixels, all lossless.
CODINGS = {"none": ExplicitVRLittleEndian, "rle": RLELossless, "jpeg-ls": JPEGLSLossless}


def write_series(
    folder: str | Path,
    volume: Volume,
    *,
    seed: int,
    coding: str = "none",
    intercept_hu: int = -1024,
    tags: Mapping[str, Any] | None = None,
) -> list[Path]:
    """Write a volume as a series of CT slices.

    Parameters
    ----------
    folder : path
        Made where it is missing.
    volume : Volume
        What to write; the affine is kept whatever the orientation.
    seed : int
        Makes the UIDs: the same seed gives the same files, byte for byte.
    coding : str
        `none`, `rle` or `jpeg-ls`.
    intercept_hu : int
        Rescale intercept; stored values are HU less this.
    tags : mapping of str to value or None
        Elements to add or replace, by keyword, in every slice.

    Returns
    -------
    list of Path
        The files, in the order of the volume's slices.
    """
    if coding not in CODINGS:
        raise ValueError(f"coding must be one of {', '.join(CODINGS)}, got {coding!r}")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    common = _common(volume, seed, intercept_hu)
    paths = []
    for index, plane in enumerate(volume.hu):
        dataset = _slice(common, volume, index, seed)
        for keyword, value in (tags or {}).items():
            setattr(dataset, keyword, value)
        dataset.PixelData = _stored(plane, intercept_hu).tobytes()
        if coding != "none":
            dataset.compress(CODINGS[coding], generate_instance_uid=False)
        paths.append(folder / f"{index + 1:04d}.dcm")
        dataset.save_as(paths[-1], enforce_file_format=True)
    return paths


def _common(volume: Volume, seed: int, intercept_hu: int) -> Dataset:
    """Fill in what all slices share."""
    dataset = _study(seed)
    _fill_scan(dataset, volume)
    _fill_pixels(dataset, volume, intercept_hu)
    return dataset


def _study(seed: int) -> Dataset:
    """Begin with a study whose patient is made up."""
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.ImageType = ["DERIVED", "PRIMARY", "AXIAL"]
    dataset.SOPClassUID = CTImageStorage
    # A fixed date: the same seed must give the same bytes.
    dataset.StudyDate = dataset.SeriesDate = dataset.AcquisitionDate = "20260101"
    dataset.ContentDate = "20260101"
    dataset.StudyTime = dataset.SeriesTime = dataset.AcquisitionTime = "120000"
    dataset.ContentTime = "120000"
    dataset.AccessionNumber = ""
    dataset.Modality = "CT"
    dataset.ReferringPhysicianName = ""
    dataset.StudyDescription = dataset.SeriesDescription = "Synthetic chest, not a patient"
    dataset.PatientName = f"Phantom^Miliary {seed}"
    dataset.PatientID = f"PHANTOM-{seed}"
    dataset.PatientBirthDate = dataset.PatientSex = ""
    dataset.BodyPartExamined = "CHEST"
    dataset.PatientPosition = "HFS"
    dataset.StudyInstanceUID = uid_of("phantom", str(seed), "study")
    dataset.SeriesInstanceUID = uid_of("phantom", str(seed), "series")
    dataset.FrameOfReferenceUID = uid_of("phantom", str(seed), "frame")
    dataset.PositionReferenceIndicator = ""
    dataset.StudyID = "1"
    dataset.SeriesNumber = dataset.AcquisitionNumber = 1
    return dataset


def _fill_scan(dataset: Dataset, volume: Volume) -> None:
    """Say how and where the scan was taken."""
    acquisition = volume.acquisition
    z_mm, y_mm, x_mm = volume.geometry.spacing_mm
    dataset.Manufacturer = acquisition.manufacturer or "miliary phantom"
    dataset.ManufacturerModelName = acquisition.model or "miliary phantom"
    dataset.SliceThickness = _decimal(acquisition.slice_thickness_mm or z_mm)
    dataset.KVP = _decimal(acquisition.kvp or 120.0)
    if acquisition.exposure_mas is not None:
        dataset.Exposure = round(acquisition.exposure_mas)
    dataset.ConvolutionKernel = acquisition.kernel or "PHANTOM"
    across, down = volume.geometry.axes[:, 2], volume.geometry.axes[:, 1]
    dataset.ImageOrientationPatient = [_decimal(value) for value in (*across, *down)]
    dataset.PixelSpacing = [_decimal(y_mm), _decimal(x_mm)]


def _fill_pixels(dataset: Dataset, volume: Volume, intercept_hu: int) -> None:
    """Say how voxels are stored, and which window shows lungs."""
    _, dataset.Rows, dataset.Columns = volume.hu.shape
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit = 15
    dataset.PixelRepresentation = 1
    dataset.RescaleIntercept = str(intercept_hu)
    dataset.RescaleSlope = "1"
    dataset.RescaleType = "HU"
    dataset.WindowCenter, dataset.WindowWidth = "-600", "1500"


def _slice(common: Dataset, volume: Volume, index: int, seed: int) -> Dataset:
    dataset = Dataset()
    dataset.update(common)
    position: FloatArray = volume.geometry.to_world(np.array([[index, 0.0, 0.0]]))[0]
    dataset.ImagePositionPatient = [_decimal(value) for value in position]
    dataset.SliceLocation = _decimal(float(position @ volume.geometry.axes[:, 0]))
    dataset.InstanceNumber = index + 1
    dataset.SOPInstanceUID = uid_of("phantom", str(seed), f"slice {index}")
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = CTImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


def _stored(plane: FloatArray | IntArray, intercept_hu: int) -> IntArray:
    limits = np.iinfo(np.int16)
    values = np.rint(plane.astype(np.float32) - intercept_hu)
    return np.clip(values, limits.min, limits.max).astype("<i2")


def _decimal(value: float) -> str:
    """Write a number in at most the 16 characters of a DICOM decimal string."""
    number = float(value) + 0.0
    for digits in range(15, 0, -1):
        text = f"{number:.{digits}g}"
        if len(text) <= 16:
            return text
    raise ValueError(f"a number must fit a DICOM decimal string, got {value}")
