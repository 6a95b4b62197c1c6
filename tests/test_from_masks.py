"""Lungs and nodules that were found elsewhere get the same description as those found here."""

from __future__ import annotations

import json

import numpy as np
import pytest
from numpy.testing import assert_allclose

import oracles_schema
from miliary.cli.main import main
from miliary.from_masks import describe_masks
from miliary.geometry import Geometry
from miliary.io.images import write_mask
from miliary.io.tables import read_csv, write_csv

SHAPE, SPACING_MM = (71, 83, 119), (1.45, 0.95, 0.9)
GEOMETRY = Geometry.aligned(SHAPE, SPACING_MM, (-130.0, -110.0, -300.0))


@pytest.fixture
def lungs():
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in SHAPE), indexing="ij")
    labels = np.zeros(SHAPE, np.uint8)
    for label, middle in ((1, -0.46), (2, 0.46)):
        labels[(z / 0.86) ** 2 + (y / 0.8) ** 2 + ((x - middle) / 0.38) ** 2 < 1] = label
    return labels


@pytest.fixture
def points(lungs, rng):
    places = np.argwhere(lungs > 0)
    return GEOMETRY.to_world(places[rng.choice(len(places), 240, replace=False)].astype(float))


def test_random_places_are_called_random_and_the_summary_is_as_described(lungs, points, rng):
    diameters = rng.normal(1.8, 0.1, len(points))
    found = describe_masks(lungs, GEOMETRY, points, diameters)
    summary = json.loads(json.dumps(found.to_dict(), default=float).replace("NaN", "null"))
    oracles_schema.check_summary(summary)
    assert found.pattern.label == "random"
    assert summary["size"]["uniform"] is True
    litres = (lungs > 0).sum() * GEOMETRY.voxel_ml / 1000
    in_zones = sum(zone["n"] for zone in summary["involvement"]["zones"] if zone["lung"] == "both")
    assert (in_zones, summary["detection"]["found"]) == (240, 240)
    assert sum(side["volume_ml"] for side in summary["lungs"].values()) == pytest.approx(
        1000 * litres
    )


def test_places_under_the_pleura_are_no_random_ones(lungs, points):
    near = describe_masks(lungs, GEOMETRY, points).nodules.pleura_mm < 8
    found = describe_masks(lungs, GEOMETRY, points[near])
    assert found.spatial.share("pleura", 5.0).ratio > 1.3
    assert found.pattern.label != "random"
    assert found.size.sentence == "No diameters were given."


def test_vessels_leave_the_window_and_lobes_are_named(lungs, points):
    vessels = np.zeros(SHAPE, bool)
    vessels[:, 40:43, 30:33] = True
    lobes = np.where(lungs == 1, 3, np.where(lungs == 2, 4, 0))
    found = describe_masks(lungs, GEOMETRY, points, vessel_mask=vessels, lobe_labels=lobes)
    right = found.anatomy.lung("right")
    assert right.evaluable_ml < right.volume_ml
    assert {item.zone for item in found.spatial.lobes if item.n} == {"RLL", "LUL"}
    assert set(found.nodules.lobe) == {"RLL", "LUL"}
    assert found.spatial.share("vessel") is not None
    assert describe_masks(lungs, GEOMETRY, points).spatial.share("vessel") is None


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros(SHAPE, np.uint8), r"1 in the right and 2 in the left lung, got \[\]"),
        (np.full(SHAPE, 5, np.uint8), r"got \[5\]"),
        (np.ones((3, 4, 5), np.uint8), r"shape of the grid \(71, 83, 119\), got \(3, 4, 5\)"),
    ],
)
def test_masks_that_cannot_be_are_refused(labels, message):
    with pytest.raises(ValueError, match=message):
        describe_masks(labels, GEOMETRY, np.zeros((0, 3)))


def test_the_command_reads_tables_and_label_images_alike(lungs, points, tmp_path, capsys):
    write_mask(tmp_path / "lungs.nii.gz", lungs, GEOMETRY)
    numbers = np.zeros(SHAPE, np.uint16)
    index = np.rint(GEOMETRY.to_index(points)).astype(int)
    numbers[tuple(index.T)] = np.arange(1, len(points) + 1)
    write_mask(tmp_path / "nodules.nii.gz", numbers, GEOMETRY)
    x, y, z = points.T
    write_csv(tmp_path / "nodules.csv", {"x_mm": x, "y_mm": y, "z_mm": z})
    tables = {}
    for name in ("nodules.csv", "nodules.nii.gz"):
        out = tmp_path / f"out-{name}"
        arguments = ["measure", str(tmp_path / "lungs.nii.gz"), str(tmp_path / name)]
        assert main([*arguments, "--out", str(out)]) == 0
        printed = capsys.readouterr().out.split()
        assert sorted(p.name for p in out.iterdir()) == sorted(
            p.rpartition("/")[2] for p in printed
        )
        oracles_schema.check_file(out / "summary.json")
        tables[name] = read_csv(out / "nodules.csv")
    for axis in ("x_mm", "y_mm", "z_mm"):
        first, second = (np.sort([float(v) for v in table[axis]]) for table in tables.values())
        assert_allclose(first, second, atol=2e-3)
    ball = np.cbrt(6 * np.prod(SPACING_MM) / np.pi)
    assert_allclose([float(v) for v in tables["nodules.nii.gz"]["diameter_mm"]], ball, rtol=1e-3)


def test_a_mask_on_another_grid_is_refused(lungs, points, tmp_path, capsys):
    write_mask(tmp_path / "lungs.nii.gz", lungs, GEOMETRY)
    moved = Geometry.aligned(SHAPE, SPACING_MM, (-120.0, -110.0, -300.0))
    write_mask(tmp_path / "lobes.nii.gz", lungs, moved)
    x, y, z = points.T
    write_csv(tmp_path / "n.csv", {"x_mm": x, "y_mm": y, "z_mm": z})
    arguments = ["measure", *(str(tmp_path / name) for name in ("lungs.nii.gz", "n.csv"))]
    status = main(
        [*arguments, "--out", str(tmp_path / "o"), "--lobes", str(tmp_path / "lobes.nii.gz")]
    )
    assert status == 1
    assert "must lie on the grid of the lungs" in capsys.readouterr().err
    assert not (tmp_path / "o").exists()
