"""Multi-frame objects and volume files."""

from __future__ import annotations

import numpy as np
import pydicom
import SimpleITK as sitk  # noqa: N813
from pydicom.uid import LegacyConvertedEnhancedCTImageStorage

import oracles_io as made
from bad_folders.making import row
from miliary.volume import Volume

_ORDER = np.random.default_rng(5).permutation(made.SHAPE[0])


@row("enhanced multi-frame, frames shuffled", "OK", listed=True)
def enhanced(folder):
    made.enhanced(folder, made.chest(), _ORDER)
    return [made.chest()]


@row("legacy converted enhanced", "OK")
def legacy(folder):
    made.enhanced(folder, made.chest(), _ORDER)
    dataset = pydicom.dcmread(folder / "multi.dcm")
    dataset.SOPClassUID = LegacyConvertedEnhancedCTImageStorage
    dataset.file_meta.MediaStorageSOPClassUID = LegacyConvertedEnhancedCTImageStorage
    dataset.save_as(folder / "multi.dcm")
    return [made.chest()]


@row("enhanced, one frame missing", "E_MISSING_SLICES")
def enhanced_gap(folder):
    made.enhanced(folder, made.chest(), np.delete(_ORDER, 4))
    return []


@row("enhanced, two phases told apart by time", "OK", "OK")
def enhanced_phases(folder):
    made.enhanced(folder, made.chest(), np.arange(19))
    dataset = pydicom.dcmread(folder / "multi.dcm")
    frames = []
    for phase in (1, 2):
        for group in dataset.PerFrameFunctionalGroupsSequence:
            time, frame = pydicom.Dataset(), pydicom.Dataset()
            time.TemporalPositionIndex = phase
            frame.PlanePositionSequence = group.PlanePositionSequence
            frame.FrameContentSequence = [time]
            frames.append(frame)
    truths = [made.chest(1), made.chest(2)]
    dataset.PerFrameFunctionalGroupsSequence, dataset.NumberOfFrames = frames, len(frames)
    stored = np.concatenate([truth.hu for truth in truths]) + 1024
    dataset.PixelData = stored.astype("<i2").tobytes()
    dataset.save_as(folder / "multi.dcm")
    return truths


@row("enhanced, another rescale in every frame", "OK")
def enhanced_rescale(folder):
    made.enhanced(folder, made.chest(), np.arange(19))
    dataset = pydicom.dcmread(folder / "multi.dcm")
    del dataset.SharedFunctionalGroupsSequence[0].PixelValueTransformationSequence
    for index, group in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        rescale = pydicom.Dataset()
        rescale.RescaleSlope, rescale.RescaleType = "1", "HU"
        rescale.RescaleIntercept = str(-1024 + index)
        group.PixelValueTransformationSequence = [rescale]
    stored = made.chest().hu + 1024 - np.arange(19)[:, None, None]
    dataset.PixelData = stored.astype("<i2").tobytes()
    dataset.save_as(folder / "multi.dcm")
    return [made.chest()]


@row("enhanced, more frames claimed than there are", "E_UNREADABLE")
def enhanced_claims(folder):
    made.enhanced(folder, made.chest(), _ORDER)
    dataset = pydicom.dcmread(folder / "multi.dcm")
    dataset.NumberOfFrames = 200_000
    dataset.save_as(folder / "multi.dcm")
    return []


def _image(volume: Volume, dtype: type = np.int16) -> sitk.Image:
    image = sitk.GetImageFromArray(volume.hu.astype(dtype))
    image.SetSpacing([float(v) for v in volume.geometry.spacing_mm[::-1]])
    image.SetOrigin([float(v) for v in volume.geometry.affine[:3, 3]])
    image.SetDirection([float(v) for v in volume.geometry.axes[:, ::-1].ravel()])
    return image


@row("NIfTI of turned axes, with a mask beside it", "OK", "SKIP_NOT_CT")
def nifti(folder):
    turned = made.reoriented(made.chest(), (2, 0, 1), (True, False, True))
    sitk.WriteImage(_image(turned, np.float32), folder / "ct.nii.gz")
    mask = Volume((made.chest().hu < -400).astype(np.int16), made.chest().geometry)
    sitk.WriteImage(_image(mask, np.uint8), folder / "lungs.nii.gz")
    return [made.chest()]


@row("NRRD", "OK")
def nrrd(folder):
    sitk.WriteImage(
        _image(made.reoriented(made.chest(), (0, 1, 2), (True,) * 3)), folder / "a.nrrd"
    )
    return [made.chest()]


@row("MetaImage in two files", "OK")
def meta_image(folder):
    sitk.WriteImage(_image(made.chest()), folder / "ct.mhd")
    return [made.chest()]


@row("NIfTI cut short", "E_PIXELS")
def nifti_cut(folder):
    sitk.WriteImage(_image(made.chest()), folder / "ct.nii")
    content = (folder / "ct.nii").read_bytes()
    (folder / "ct.nii").write_bytes(content[: len(content) // 2])
    return []


@row("NIfTI without orientation", "E_NO_GEOMETRY")
def nifti_unplaced(folder):
    sitk.WriteImage(_image(made.chest()), folder / "ct.nii")
    content = bytearray((folder / "ct.nii").read_bytes())
    # qform_code and sform_code: neither says how the axes lie, so left may be right.
    content[252:256] = bytes(4)
    (folder / "ct.nii").write_bytes(content)
    return []


@row("NIfTI of pixels of 1 m", "E_NOT_PLAUSIBLE", as_stored=True)
def nifti_metres(folder):
    image = _image(made.chest())
    image.SetSpacing((1000.0, 1000.0, 1000.0))
    sitk.WriteImage(image, folder / "ct.nii")
    return []
