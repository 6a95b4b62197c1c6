"""The case folder: everything the contract names, whole or not at all."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import nibabel
import numpy as np
import pydicom
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import oracles_cli
from miliary import case_folder
from miliary.case_files import CURVE_COLUMNS, draw_nodules
from miliary.case_folder import write_case
from miliary.config import Config
from miliary.config.reading import ReadSettings
from miliary.errors import CaseFolderError
from miliary.io.case_places import is_case_folder
from miliary.io.images import read_mask
from miliary.io.reading import read_series
from miliary.io.series import find_inputs
from miliary.nodules import NODULE_COLUMNS
from miliary.report.page import render_report
from oracles_cli import SHAPE

ALWAYS = {
    "summary.json", "nodules.csv", "curves.csv", "report.html", "provenance.json",
    "nodules.mrk.json", "density.nii.gz", "lobes.nii.gz", "lungs.nii.gz",
    "vessels.nii.gz", "airways.nii.gz", "nodules.nii.gz", "thumbnail.webp", "rinds.csv",
}  # fmt: skip


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    folder = oracles_cli.write_series(tmp_path_factory.mktemp("scan") / "dicom")
    return find_inputs([folder], ReadSettings())[0]


@pytest.fixture(scope="module")
def analysis(series):
    return oracles_cli.fake_analyze(read_series(series, ReadSettings()), Config(), seed=3)


@pytest.fixture(autouse=True)
def quick_report(monkeypatch):
    """The page takes a second and has its own tests; one test here writes it for real."""
    monkeypatch.setattr(case_folder, "render_report", oracles_cli.fake_page)


def names(folder):
    return {path.name for path in folder.iterdir()}


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_case_holds_every_file_of_the_contract(analysis, tmp_path, monkeypatch):
    monkeypatch.setattr(case_folder, "render_report", render_report)
    folder = write_case(analysis, tmp_path / "out" / "case-1")
    assert names(folder) == ALWAYS
    assert names(tmp_path / "out") == {"case-1"}
    assert tuple(rows(folder / "nodules.csv")[0]) == NODULE_COLUMNS
    assert tuple(rows(folder / "curves.csv")[0]) == CURVE_COLUMNS
    assert len(rows(folder / "nodules.csv")) == len(analysis.nodules)
    n_points = sum(len(curve.r_mm) for curve in analysis.spatial.curves)
    assert len(rows(folder / "curves.csv")) == n_points
    assert json.loads((folder / "summary.json").read_text())["detection"]["found"] == 30
    assert "config_hash" in (folder / "report.html").read_text().replace(" ", "_").lower()


def test_nothing_found_is_a_whole_case_with_empty_tables(analysis, tmp_path):
    nothing = oracles_cli.fake_analyze(analysis.volume, analysis.config, n=0)
    folder = write_case(nothing, tmp_path / "case-1")
    assert names(folder) == ALWAYS
    assert (folder / "curves.csv").read_text() == ",".join(CURVE_COLUMNS) + "\n"
    assert rows(folder / "nodules.csv") == []


def test_images_that_the_anatomy_has_are_written(analysis, tmp_path):
    fissures = analysis.anatomy.lung_labels == 1
    anatomy = replace(analysis.anatomy, lobe_labels=None, fissure_mask=fissures)
    folder = write_case(replace(analysis, anatomy=anatomy), tmp_path / "case-1")
    assert names(folder) == ALWAYS - {"lobes.nii.gz"} | {"fissures.nii.gz"}
    assert_array_equal(read_mask(folder / "fissures.nii.gz")[0], fissures)


def test_the_density_lies_where_the_lungs_lie(analysis, tmp_path):
    folder = write_case(analysis, tmp_path / "case-1")
    image = nibabel.load(folder / "density.nii.gz")
    per_l = image.get_fdata()
    # NIfTI counts x and y the other way round.
    world = (np.argwhere(np.isfinite(per_l)) @ image.affine[:3, :3].T) + image.affine[:3, 3]
    index = np.rint(analysis.volume.geometry.to_index(world * [-1, -1, 1])).astype(int)
    inside = analysis.anatomy.lung_labels[tuple(np.clip(index, 0, np.array(SHAPE) - 1).T)]
    # Its voxels are twice the size: those that the border cuts may have their centre outside.
    assert np.mean(inside > 0) > 0.8
    expected = 1000 * np.nanmax(analysis.spatial.density.per_ml)
    assert np.nanmax(per_l) == pytest.approx(expected, rel=1e-5)
    peak = json.loads((folder / "summary.json").read_text())["density"]["peak"]
    assert peak["per_l"] == pytest.approx(expected, rel=1e-5)
    brightest = world[np.nanargmax(per_l[np.isfinite(per_l)])] * [-1, -1, 1]
    assert_allclose([peak["x_mm"], peak["y_mm"], peak["z_mm"]], brightest, atol=2e-3)


def test_masks_overlay_the_scan(analysis, tmp_path):
    folder = write_case(analysis, tmp_path / "case-1")
    labels, geometry = read_mask(folder / "lungs.nii.gz")
    assert_array_equal(labels, analysis.anatomy.lung_labels)
    # NIfTI holds its affine as float32.
    assert_allclose(geometry.affine, analysis.volume.geometry.affine, atol=1e-4)


def test_each_nodule_is_a_ball_round_its_centre(analysis):
    labels = draw_nodules(analysis.nodules, analysis.anatomy)
    geometry = analysis.anatomy.geometry
    assert set(np.unique(labels)) == set(range(31))
    assert labels.dtype == np.uint16
    centre = np.rint(geometry.to_index(analysis.nodules.points_mm)).astype(int)
    assert_array_equal(labels[tuple(centre.T)], np.arange(1, 31))


def test_a_large_nodule_fills_its_volume(analysis):
    one = analysis.nodules.take(np.array([0]))
    middle = np.array(analysis.anatomy.geometry.shape)[None] / 2
    point = analysis.anatomy.geometry.to_world(middle)
    large = replace(one, points_mm=point, diameter_mm=np.array([60.0]))
    drawn = (draw_nodules(large, analysis.anatomy) == 1).sum() * analysis.anatomy.geometry.voxel_ml
    # Voxels of 0.135 ml, a ball of 113 ml: a percent or two of its edge is left to chance.
    assert drawn == pytest.approx(np.pi / 6 * 60.0**3 / 1000, rel=0.02)


def test_nodules_beyond_the_grid_are_left_out(analysis):
    far = replace(analysis.nodules, points_mm=analysis.nodules.points_mm + 1000.0)
    assert not draw_nodules(far, analysis.anatomy).any()


def test_dicom_results_stand_beside_the_others(analysis, series, tmp_path):
    folder = write_case(analysis, tmp_path / "case-1", series=series, dicom=True)
    assert names(folder) == ALWAYS | {"findings.seg.dcm", "findings.sr.dcm"}


def test_a_map_of_the_nodules_is_written_on_request(analysis, series, tmp_path):
    settings = replace(analysis.config.report, nodule_map=True)
    asked = replace(analysis, config=replace(analysis.config, report=settings))
    folder = write_case(asked, tmp_path / "case-1", series=series, dicom=True)
    segments = pydicom.dcmread(folder / "nodules.seg.dcm").SegmentSequence
    numbers = [int(item.SegmentNumber) for item in segments if item.SegmentNumber]
    assert numbers == list(range(1, 31))


def test_candidates_that_are_kept_are_no_dicom_findings(analysis, series, tmp_path):
    config = replace(analysis.config, detect=replace(analysis.config.detect, keep_all=True))
    n = len(analysis.nodules)
    below = replace(analysis.nodules, score=np.zeros(n), micronodule=np.ones(n, bool))
    kept = replace(analysis, config=config, nodules=below)
    folder = write_case(kept, tmp_path / "case-1", series=series, dicom=True)
    segments = pydicom.dcmread(folder / "findings.seg.dcm").SegmentSequence
    assert [segment.SegmentLabel for segment in segments] == ["Right lung", "Left lung"]
    assert "Nodule 1" not in str(pydicom.dcmread(folder / "findings.sr.dcm"))
    assert len(rows(folder / "nodules.csv")) == n


def test_accepted_nodules_keep_the_numbers_of_the_table(analysis, tmp_path):
    config = replace(analysis.config, detect=replace(analysis.config.detect, keep_all=True))
    score = np.where(np.arange(len(analysis.nodules)) % 3 == 1, 0.9, 0.1)
    kept = replace(analysis, config=config, nodules=replace(analysis.nodules, score=score))
    folder = write_case(kept, tmp_path / "case-1")
    told = [int(row["nodule"]) for row in rows(folder / "nodules.csv") if float(row["score"]) > 0.5]
    assert kept.accepted_numbers.tolist() == told


def test_dicom_results_need_the_series(analysis, tmp_path):
    with pytest.raises(ValueError, match="needs the series that was read, got None"):
        write_case(analysis, tmp_path / "case-1", dicom=True)


def test_provenance_tells_how_and_nothing_of_whom_or_where(analysis, series, tmp_path):
    folder = write_case(analysis, tmp_path / "case-1", provenance={"input_hash": "abc"})
    facts = json.loads((folder / "provenance.json").read_text())
    assert facts["input"]["slices"] == str(oracles_cli.SHAPE[0])
    assert facts["input_hash"] == "abc"
    assert facts["seed"] == 3
    assert facts["libraries"]["numpy"] == np.__version__
    assert facts["config"]["read"]["min_slices"] == 10
    assert str(tmp_path.parts[1]) + "/" not in json.dumps(facts)


@pytest.mark.parametrize("part", ["write_tables", "write_mask", "render_report", "swap_in"])
@pytest.mark.parametrize("error", [OSError(28, "No space left"), KeyboardInterrupt(), ValueError()])
def test_a_failure_leaves_nothing_and_keeps_what_was_there(
    analysis, tmp_path, monkeypatch, part, error
):
    write_case(analysis, tmp_path / "before")

    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(case_folder, part, fail)
    expected = CaseFolderError if isinstance(error, OSError) else type(error)
    for name in ("before", "new"):
        with pytest.raises(expected):
            write_case(analysis, tmp_path / name)
    assert names(tmp_path) == {"before"}
    assert names(tmp_path / "before") == ALWAYS


def test_a_case_of_ours_is_replaced_with_all_that_it_held(analysis, tmp_path):
    folder = write_case(analysis, tmp_path / "case-1")
    (folder / "stale.txt").write_text("of an earlier version")
    write_case(analysis, folder)
    assert names(folder) == ALWAYS
    assert names(tmp_path) == {"case-1"}


def test_an_empty_folder_is_filled(analysis, tmp_path):
    (tmp_path / "case-1").mkdir()
    assert is_case_folder(write_case(analysis, tmp_path / "case-1"))


@pytest.mark.parametrize("content", ["notes.txt", "provenance.json"])
def test_a_folder_of_somebody_else_is_refused(analysis, tmp_path, content):
    folder = tmp_path / "case-1"
    folder.mkdir()
    (folder / content).write_text('{"tool": "another"}')
    with pytest.raises(CaseFolderError, match="new, empty or one that miliary wrote, got 'case-1'"):
        write_case(analysis, folder)
    assert names(folder) == {content}


def test_analysis_saves_itself(analysis, tmp_path):
    assert is_case_folder(analysis.save(tmp_path / "case-1"))
