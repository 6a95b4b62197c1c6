"""Segmentations and reports say in DICOM what was found, on the grid of the source."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813
from numpy.testing import assert_allclose, assert_array_equal

import oracles_io as made
from miliary.anatomy import Lung
from miliary.config.reading import ReadSettings
from miliary.errors import SeriesError
from miliary.geometry import Geometry
from miliary.io.segmentation import write_segmentation
from miliary.io.series import find_inputs
from miliary.io.source_images import source_images
from miliary.io.structured_report import write_structured_report
from miliary.io.write_dicom import write_series
from miliary.nodules import Nodules
from miliary.volume import Volume

SETTINGS = ReadSettings()
BOX = (slice(2, 17), slice(3, 20), slice(1, 27))


def _labels(rng):
    labels = np.zeros((15, 17, 26), np.uint8)
    labels[1:12, 2:13, 2:11], labels[1:13, 3:12, 15:24] = 1, 2
    micronodules = (labels > 0) & (rng.random(labels.shape) < 0.02)
    return labels, micronodules


def _sorted(points):
    rounded = np.round(points, 3) + 0.0
    return rounded[np.lexsort(rounded.T)]


def _segmented(path, info, labels, micronodules):
    images = source_images(info, SETTINGS)
    return write_segmentation(
        path, info, images, lung_labels=labels, micronodules=micronodules, box=BOX
    )


@pytest.mark.parametrize("kind", ["axial", "flipped", "multi-frame"])
def test_segments_lie_where_the_masks_lie(tmp_path, rng, kind):
    volume, folder = made.chest(), tmp_path / "ct"
    if kind == "multi-frame":
        folder.mkdir()
        made.enhanced(folder, volume, rng.permutation(19))
    elif kind == "flipped":
        affine = volume.geometry.affine.copy()
        affine[:3, 3] += affine[:3, 1] * 22
        affine[:3, 1] *= -1
        write_series(folder, Volume(volume.hu[:, ::-1], Geometry(made.SHAPE, affine)), seed=1)
    else:
        made.write(folder)
    (info,) = find_inputs([folder], SETTINGS)
    labels, micronodules = _labels(rng)
    path = _segmented(tmp_path / "f.dcm", info, labels, micronodules)
    grid = volume.geometry.crop(BOX)
    for number, mask in enumerate((labels == 1, labels == 2, micronodules), start=1):
        wanted = grid.to_world(np.argwhere(mask).astype(float))
        assert_array_equal(_sorted(made.segment_points(path, number)), _sorted(wanted))
    ds = pydicom.dcmread(path)
    assert [item.SegmentLabel for item in ds.SegmentSequence] == [
        "Right lung",
        "Left lung",
        "Micronodules",
    ]
    assert str(ds.PatientName).startswith("Phantom")
    kind_code = ds.SegmentSequence[0].SegmentedPropertyTypeCodeSequence[0]
    modifier = kind_code.SegmentedPropertyTypeModifierCodeSequence[0]
    assert (kind_code.CodeValue, modifier.CodeMeaning) == ("39607008", "Right")


def test_empty_segments_are_left_out(tmp_path, rng):
    (info,) = find_inputs([made.write(tmp_path / "ct")], SETTINGS)
    labels, none = np.where(_labels(rng)[0] == 2, 2, 0), np.zeros((15, 17, 26), bool)
    path = _segmented(tmp_path / "f.dcm", info, labels, none)
    assert [s.SegmentLabel for s in pydicom.dcmread(path).SegmentSequence] == ["Left lung"]
    with pytest.raises(ValueError, match="three empty masks"):
        _segmented(path, info, labels * 0, none)


def test_a_volume_file_has_no_dicom_results(tmp_path):
    sitk.WriteImage(sitk.GetImageFromArray(made.chest().hu), str(tmp_path / "ct.nii.gz"))
    (info,) = find_inputs([tmp_path], SETTINGS)
    with pytest.raises(SeriesError, match="need a DICOM input, got a volume file"):
        write_structured_report(
            tmp_path / "r.dcm",
            info,
            source_images(info, SETTINGS),
            Nodules.empty(),
            flag="absent",
            pattern="none",
            lungs=(),
            min_score=0.5,
            max_nodules=5,
        )


def _number(item):
    return float(item.MeasuredValueSequence[0].NumericValue)


def _items(item, name):
    for child in item.get("ContentSequence", []):
        concept = child.get("ConceptNameCodeSequence")
        if concept and concept[0].CodeMeaning == name:
            yield child
        yield from _items(child, name)


def test_a_report_holds_summary_and_the_best_nodules(tmp_path):
    (info,) = find_inputs([made.write(tmp_path / "ct")], SETTINGS)
    n = 6
    rows = np.arange(n, dtype=float)
    nodules = Nodules(
        np.c_[rows, rows + 1, rows + 2],
        1 + rows / 2,
        *(rows,) * 2,
        score=np.array([0.1, 0.9, 0.2, 0.8, 0.3, 0.4]),
        lung=np.array(["right", "left"] * 3),
        lobe=np.array(["", "LUL", "", "", "", ""]),
        zone=np.array(["upper"] * n),
        pleura_mm=rows,
        fissure_mm=rows,
        vessel_mm=rows,
        micronodule=rows < 3,
    )
    path = write_structured_report(
        tmp_path / "r.dcm",
        info,
        source_images(info, SETTINGS),
        nodules,
        flag="present",
        pattern="centrilobular",
        lungs=(Lung("right", 2001.26, 1900.0), Lung("left", 1500.0, 1400.0)),
        min_score=0.25,
        max_nodules=2,
    )
    ds = pydicom.dcmread(path)
    counts = [_number(item) for item in _items(ds, "Number of lesions")]
    # Two of the six are below the operating point, both in the right lung.
    assert counts == [n - 2, 1, 3]
    assert [_number(item) for item in _items(ds, "Volume")] == [2001.3, 1500.0]
    (distribution,) = _items(ds, "Distribution Descriptor")
    assert distribution.ConceptCodeSequence[0].CodeValue == "112156"
    sites = [item.ConceptCodeSequence[0].CodeValue for item in _items(ds, "Finding Site")]
    lung, upper_lobe, upper_zone = "39607008", "45653009", "281392002"
    assert sites == [lung, lung, lung, upper_lobe, upper_zone]
    (pattern,) = _items(ds, "Miliary pattern")
    assert pattern.ConceptCodeSequence[0].CodeMeaning == "Present"
    diameters = [float(i.MeasuredValueSequence[0].NumericValue) for i in _items(ds, "Diameter")]
    assert diameters == [2.75, 1.5, 2.5]
    points = [item.GraphicData for item in _items(ds, "Image Region")]
    assert_allclose(points, nodules.points_mm[[1, 3]])
    names = [item.TextValue for item in _items(ds, "Tracking Identifier")]
    assert names == ["All nodules", "Right lung", "Left lung", "Nodule 2", "Nodule 4"]
    assert (ds.CompletionFlag, ds.VerificationFlag) == ("COMPLETE", "UNVERIFIED")


def test_an_unknown_flag_is_refused(tmp_path):
    (info,) = find_inputs([made.write(tmp_path / "ct")], SETTINGS)
    with pytest.raises(ValueError, match="got 'maybe'"):
        write_structured_report(
            tmp_path / "r.dcm",
            info,
            source_images(info, SETTINGS),
            Nodules.empty(),
            flag="maybe",
            pattern="none",
            lungs=(),
            min_score=0.5,
            max_nodules=5,
        )
