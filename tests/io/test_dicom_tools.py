"""Programs that share no code with this one read the DICOM results, in every orientation."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import oracles_io as made
from miliary.anatomy import Lung
from miliary.config.reading import ReadSettings
from miliary.geometry import Geometry
from miliary.io.images import write_mask
from miliary.io.reading import read_series
from miliary.io.segmentation import write_nodule_map, write_segmentation
from miliary.io.series import find_inputs
from miliary.io.source_images import source_images
from miliary.io.structured_report import write_structured_report
from miliary.io.tables import write_markups
from miliary.io.write_dicom import write_series
from miliary.nodules import Nodules
from miliary.volume import Volume

SETTINGS = ReadSettings()
#: Axes of the written stack, as axes of the chest (z, y, x), and which of them run backwards.
ORIENTATIONS = {
    "head first": ((0, 1, 2), ()),
    "feet first": ((0, 1, 2), (0, 2)),
    "prone": ((0, 1, 2), (1, 2)),
    "coronal": ((1, 0, 2), (1,)),
    "sagittal": ((2, 0, 1), (1,)),
    "oblique": ((0, 1, 2), ()),
}
#: NIfTI holds its affine as float32, DICOM as decimal text.
TOLERANCE_MM = 2e-3
POINTS = 6


def tool(name):
    """Find a program on the path or beside this Python; skip the test without it."""
    found = shutil.which(
        name, path=os.pathsep.join([os.environ["PATH"], Path(sys.executable).parent.as_posix()])
    )
    if found is None:
        pytest.skip(f"needs {name}")
    return found


def chest(orientation):
    """A chest whose stack lies in the patient as asked for."""
    axes, backwards = ORIENTATIONS[orientation]
    volume = made.chest(shape=(19, 23, 29))
    affine = volume.geometry.affine.copy()
    if orientation == "oblique":
        a, b = np.radians([9.0, -6.0])
        about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
        about_z = np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])
        affine[:3, :3] = about_z @ about_x @ affine[:3, :3]
    hu, turned = volume.hu.transpose(axes), affine.copy()
    turned[:3, :3] = affine[:3, list(axes)]
    for axis in backwards:
        hu = np.flip(hu, axis)
        turned[:3, 3] += turned[:3, axis] * (hu.shape[axis] - 1)
        turned[:3, axis] *= -1
    return Volume(np.ascontiguousarray(hu), Geometry(hu.shape, turned), volume.acquisition)


@pytest.fixture(params=ORIENTATIONS)
def case(request, tmp_path, rng):
    """A series in some orientation as it was read, and labels on a part of it."""
    write_series(tmp_path / "ct", chest(request.param), seed=1)
    (info,) = find_inputs([tmp_path / "ct"], SETTINGS)
    volume = read_series(info, SETTINGS)
    box = tuple(slice(2, n - 1) for n in volume.geometry.shape)
    shape = volume.geometry.crop(box).shape
    labels = np.zeros(shape, np.uint8)
    half = shape[2] // 2
    labels[1:-3, 2:-1, 1 : half - 1], labels[2:-1, 1:-4, half + 1 : -1] = 1, 2
    return info, volume, box, labels, (labels > 0) & (rng.random(shape) < 0.03)


def complaints(path):
    """What dciodvfy finds wrong with an object."""
    done = subprocess.run(
        [tool("dciodvfy"), str(path)], capture_output=True, text=True, check=False
    )
    said = done.stdout + done.stderr
    return [line for line in said.splitlines() if line.startswith(("Error", "Abort"))]


def nodules(volume):
    index = np.array([[5, 6, 7], [8, 9, 10], [4, 12, 20]], float)
    rows = np.array([1.2, 1.8, 2.4])
    return Nodules(
        volume.geometry.to_world(index), rows, *(rows,) * 2, score=np.full(3, 0.9),
        lung=np.array(["right", "right", "left"]), lobe=np.array(["RUL", "", "LLL"]),
        zone=np.array(["upper", "lower", "lower"]), pleura_mm=rows, fissure_mm=rows,
        vessel_mm=rows, micronodule=rows < 2,
    )  # fmt: skip


def segmentation(case, path):
    info, _, box, labels, micronodules = case
    return write_segmentation(
        path,
        info,
        source_images(info, SETTINGS),
        lung_labels=labels,
        micronodules=micronodules,
        box=box,
    )


def report(case, path):
    info, volume, *_ = case
    return write_structured_report(
        path, info, source_images(info, SETTINGS), nodules(volume), flag="present",
        pattern="random", lungs=(Lung("right", 2.0, 1.9), Lung("left", 1.0, 0.9)), min_score=0.5,
        max_nodules=10,
    )  # fmt: skip


@pytest.mark.parametrize("write", [segmentation, report])
def test_dciodvfy_finds_no_error(case, tmp_path, write):
    assert complaints(write(case, tmp_path / "result.dcm")) == []


def world_points(image, value=1):
    """World points (LPS) of the voxels of a NIfTI image that have a value."""
    at = np.argwhere(np.asarray(image.dataobj) == value)
    points = at @ image.affine[:3, :3].T + image.affine[:3, 3]
    return points * [-1, -1, 1]


def assert_same_points(found, wanted):
    """Compare points in any order, each to the tolerance of the affine."""
    assert found.shape == wanted.shape
    order = [points[np.lexsort(np.round(points, 1).T)] for points in (found, wanted)]
    assert_allclose(*order, atol=TOLERANCE_MM)


def test_dcmqi_reads_every_voxel_back_where_it_was(case, tmp_path):
    _, volume, box, labels, micronodules = case
    path = segmentation(case, tmp_path / "seg.dcm")
    program = tool("segimage2itkimage")
    subprocess.run(
        [program, "--inputDICOM", str(path), "--outputDirectory", str(tmp_path), "-t", "nifti"],
        check=True, capture_output=True,
    )  # fmt: skip
    grid = volume.geometry.crop(box)
    for number, mask in enumerate((labels == 1, labels == 2, micronodules), start=1):
        image = nibabel.load(tmp_path / f"{number}.nii.gz")
        found = np.count_nonzero(np.asarray(image.dataobj))
        assert found == np.count_nonzero(mask)
        wanted = grid.to_world(np.argwhere(mask).astype(float))
        value = int(np.asarray(image.dataobj).max())
        assert_same_points(world_points(image, value), wanted)


def test_dcmqi_reads_the_measurements_back(case, tmp_path):
    path = report(case, tmp_path / "sr.dcm")
    out = tmp_path / "sr.json"
    program = tool("tid1500reader")
    subprocess.run(
        [program, "--inputDICOM", str(path), "--outputMetadata", str(out)],
        check=True, capture_output=True,
    )  # fmt: skip
    groups = json.loads(out.read_text())["Measurements"]
    names = [group["TrackingIdentifier"] for group in groups]
    assert names == ["All nodules", "Right lung", "Left lung", *(f"Nodule {i}" for i in (1, 2, 3))]
    values = [float(group["measurementItems"][0]["value"]) for group in groups]
    assert values == [3, 2, 1, 1.2, 1.8, 2.4]


def test_the_nifti_mask_lies_where_the_segmentation_lies(case, tmp_path):
    _, volume, box, labels, _ = case
    image = nibabel.load(write_mask(tmp_path / "l.nii.gz", labels, volume.geometry, box=box))
    points = made.segment_points(segmentation(case, tmp_path / "seg.dcm"), 1)
    assert_same_points(world_points(image, 1), points)


def test_markups_and_groups_of_the_report_lie_where_the_segmentation_lies(case, tmp_path):
    info, volume, box, labels, _ = case
    found = nodules(volume)
    index = np.rint(volume.geometry.crop(box).to_index(found.points_mm)).astype(int)
    marked = np.zeros(labels.shape, bool)
    marked[tuple(index.T)] = True
    path = segmentation((info, volume, box, labels, marked), tmp_path / "seg.dcm")
    written = json.loads(write_markups(tmp_path / "n.mrk.json", found).read_text("utf-8"))
    (markup,) = written["markups"]
    assert markup["coordinateSystem"] == "LPS"
    points = np.array([point["position"] for point in markup["controlPoints"]])
    assert_same_points(points, made.segment_points(path, 3))
    sr = pydicom.dcmread(report(case, tmp_path / "sr.dcm"))
    assert_same_points(np.array(graphic_points(sr)), points)


def graphic_points(dataset):
    """Every point of a structured report that lies in space."""
    found = []
    for item in dataset.get("ContentSequence", []):
        if item.ValueType == "SCOORD3D":
            found.append(np.array(item.GraphicData, float))
        found += graphic_points(item)
    return found


def test_derived_objects_refer_to_each_source_image(case, tmp_path):
    sources = {str(pydicom.dcmread(p).SOPInstanceUID) for p in (tmp_path / "ct").iterdir()}
    series = str(pydicom.dcmread(next((tmp_path / "ct").iterdir())).SeriesInstanceUID)
    seg = pydicom.dcmread(segmentation(case, tmp_path / "seg.dcm"))
    referred = seg.ReferencedSeriesSequence[0]
    assert str(referred.SeriesInstanceUID) == series
    assert {str(i.ReferencedSOPInstanceUID) for i in referred.ReferencedInstanceSequence} == sources
    sr = pydicom.dcmread(report(case, tmp_path / "sr.dcm"))
    evidence = sr.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
    assert {str(i.ReferencedSOPInstanceUID) for i in evidence.ReferencedSOPSequence} == sources


def test_the_map_of_nodules_keeps_each_number(case, tmp_path):
    info, _, box, labels, _ = case
    numbers = np.zeros(labels.shape, np.uint16)
    numbers[3, 3:5, 4], numbers[6, 5, 8:11], numbers[9, 9, 9] = 1, 2, 300
    images = source_images(info, SETTINGS)
    path = write_nodule_map(tmp_path / "map.dcm", info, images, nodule_labels=numbers, box=box)
    read = pydicom.dcmread(path)
    assert read.SegmentationType == "LABELMAP"
    assert [int(item.SegmentNumber) for item in read.SegmentSequence if item.SegmentNumber] == [
        1,
        2,
        300,
    ]
    counts = np.bincount(read.pixel_array.ravel(), minlength=301)
    assert_array_equal(counts[[1, 2, 300]], [2, 3, 1])
