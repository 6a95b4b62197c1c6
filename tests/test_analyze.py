"""The whole way on small phantoms, and every step alone on plain arrays as in the contract."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import miliary
from miliary.analyze import calibrate
from miliary.config import load_config
from miliary.config.measure import MeasureSettings
from miliary.config.sizes import SizeSettings
from miliary.config.spatial import SpatialSettings
from miliary.errors import AnatomyError
from miliary.findings import ImageQuality
from miliary.nodules import Nodules

#: Small numbers where they only cost time.
QUICK = (
    "spatial.empty_space_simulations=9",
    "spatial.simulations=99",
    "spatial.covariate_simulations=99",
    "spatial.lattice_points=300",
    "sizes.n_bootstrap=99",
    "calibrate.n_nodules=60",
)
SHAPE, SPACING_MM = (100, 128, 184), (1.25, 1.0, 1.0)
N_TRUE, DIAMETER_MM = 100, 2.5

#: Measured on this phantom: 0.84 and 43. Its pixels of 1 mm are coarser than what the detector
#: learnt from, and there it makes four times as many false positives as on usual scans.
LEAST_SENSITIVITY, MOST_FALSE_PER_L = 0.75, 80.0

#: The keys of `summary.json` that the contract names.
SUMMARY_KEYS = {
    "acquisition": {
        "spacing_mm", "slice_thickness_mm", "kernel", "manufacturer", "noise_hu", "psf_fwhm_mm",
    },
    "lungs": {"right", "left"},
    "detection": {"found", "sensitivity"},
    "size": {"median_mm", "cv", "cv_corrected", "iqr_mm", "uniform"},
    "randomness": {"csr_p", "clark_evans", "tests"},
    "involvement": {"subpleural", "fissural", "vascular", "zones"},
    "pattern": {"label", "scores", "reasons"},
    "miliary": {"flag", "extent", "criteria"},
}  # fmt: skip
ROW_KEYS = {
    ("detection", "sensitivity"): {"diameter_mm", "value", "low", "high", "region"},
    ("randomness", "tests"): {"name", "p", "statistic", "lung"},
    ("involvement", "zones"): {"zone", "per_l", "ratio"},
    ("miliary", "criteria"): {"name", "met", "value", "limit", "sentence"},
}


def phantom(pattern, n=N_TRUE, seed=5):
    spec = miliary.PhantomSpec.of(
        shape=SHAPE, spacing_mm=SPACING_MM, pattern=pattern, n_nodules=n,
        diameter_mm=DIAMETER_MM, seed=seed,
    )  # fmt: skip
    return miliary.make_phantom(spec)


def analyze(scan, *overrides, seed=1, progress=None):
    config = load_config(overrides=[*QUICK, *overrides])
    return miliary.analyze(scan.volume, config, seed=seed, progress=progress)


@pytest.fixture(scope="module")
def sick():
    return phantom("random")


@pytest.fixture(scope="module")
def healthy():
    return phantom("none", 0)


@pytest.fixture(scope="module")
def steps():
    return []


@pytest.fixture(scope="module")
def found(sick, steps):
    return analyze(sick, progress=lambda step, done: steps.append((step, done)))


@pytest.fixture(scope="module")
def nothing(healthy):
    """No candidate is that likely: a scan in which nothing is found, and not calibrated."""
    return analyze(healthy, "detect.threshold=1.0", "calibrate.n_nodules=0")


@pytest.fixture(scope="module")
def unharmed(healthy):
    return analyze(healthy)


def assert_plain(node):
    """Only what JSON knows, and no number that it does not."""
    if isinstance(node, dict):
        assert all(type(key) is str for key in node)
        for value in node.values():
            assert_plain(value)
    elif isinstance(node, list | tuple):
        for value in node:
            assert_plain(value)
    else:
        assert node is None or type(node) in (bool, int, float, str), (node, type(node))
        json.dumps(node, allow_nan=False)


def test_random_nodules_are_found(found, sick, record_property):
    litres = np.count_nonzero(sick.lung_labels) * sick.volume.geometry.voxel_ml / 1000
    result = miliary.score(
        found.nodules.points_mm,
        found.nodules.diameter_mm,
        sick.nodules.points_mm,
        sick.nodules.diameter_mm,
        reach_mm=1.5,
        lung_litres=litres,
    )
    record_property("sensitivity", float(result.sensitivity))
    record_property("false_per_litre", float(result.false_per_litre))
    told = f"{len(result.missed)} missed, {len(result.false)} false"
    assert result.sensitivity >= LEAST_SENSITIVITY, told
    assert result.false_per_litre <= MOST_FALSE_PER_L, told
    assert abs(result.size_bias_mm) < 0.15
    assert_allclose(found.size.median_mm, DIAMETER_MM, atol=0.2)


def test_calibration_says_what_the_truth_says(found, sick):
    row = next(
        r for r in found.calibration.sensitivity if (r.region, r.diameter_mm) == ("all", 2.5)
    )
    reach = miliary.score(
        found.nodules.points_mm,
        found.nodules.diameter_mm,
        sick.nodules.points_mm,
        sick.nodules.diameter_mm,
        reach_mm=1.5,
        lung_litres=None,
    )
    # Balls are put beside vessels and not into them, as nodules of the phantom may be.
    assert row.low - 0.1 <= reach.sensitivity <= row.high + 0.05
    assert found.calibration.injected > 20


def test_random_nodules_are_a_miliary_pattern_in_both_lungs(found):
    assert found.pattern.label == "random"
    assert (found.miliary.flag, found.miliary.extent) == ("present", "bilateral")


def test_the_call_does_not_hang_on_the_patient():
    # In this one 84 % more nodules lie at vessels than expected: chance, in 0.3 litres of lung.
    found = analyze(phantom("random", seed=3))
    assert found.pattern.label == "random"
    assert (found.miliary.flag, found.miliary.extent) == ("present", "bilateral")


def test_lungs_without_nodules_are_not_miliary(unharmed):
    assert unharmed.miliary.flag in ("absent", "indeterminate")
    assert unharmed.miliary.extent is None


def test_what_was_measured_in_the_scan_is_what_was_put_in(found, sick):
    assert_allclose(found.quality.noise_hu, sick.spec.scanner.noise_hu, rtol=0.25)
    assert_allclose(found.quality.psf_fwhm_mm, sick.spec.scanner.psf_fwhm_mm, rtol=0.25)


def test_progress_names_the_steps_in_order_with_the_share_done(found, steps):
    names, shares = zip(*steps, strict=True)
    assert names == tuple(name for name, _ in found.seconds)
    assert shares[0] == 0
    assert (np.diff(shares) > 0).all()
    assert shares[-1] < 1
    assert all(seconds > 0 for _, seconds in found.seconds)


def test_the_same_seed_gives_the_same_result_bit_for_bit(unharmed, healthy):
    again = analyze(healthy)
    assert again.to_dict() == unharmed.to_dict()
    for name, column in unharmed.nodules.columns().items():
        assert_array_equal(again.nodules.columns()[name], column)
    for one, other in zip(unharmed.spatial.curves, again.spatial.curves, strict=True):
        assert_array_equal(one.observed, other.observed)
        assert_array_equal(one.high, other.high)


def test_another_seed_puts_other_balls_in(unharmed, healthy):
    settings = replace(unharmed.config, calibrate=replace(unharmed.config.calibrate, n_nodules=24))
    hu = healthy.volume.hu[unharmed.anatomy.box]
    one, again, other = (
        calibrate(
            hu, unharmed.anatomy, unharmed.nodules, unharmed.quality, settings,
            np.random.default_rng(seed),
        )[0]
        for seed in (1, 1, 2)
    )  # fmt: skip
    assert one == again
    assert one != other


def test_a_scan_without_nodules_is_done(nothing):
    assert len(nothing.nodules) == nothing.spatial.n == 0
    assert nothing.miliary.flag == "absent"
    assert nothing.pattern.label == "none"
    assert nothing.calibration.injected == 0
    summary = nothing.to_dict()
    assert summary["detection"]["found"] == 0
    assert summary["size"]["median_mm"] is None
    assert summary["randomness"]["csr_p"] is None


@pytest.mark.parametrize("case", ["found", "nothing", "unharmed"])
def test_summary_has_every_key_of_the_contract_and_is_json(case, request):
    summary = request.getfixturevalue(case).to_dict()
    assert set(summary) >= {"schema", "case", "notes", *SUMMARY_KEYS}
    for key, names in SUMMARY_KEYS.items():
        assert set(summary[key]) >= names
    for (key, rows), names in ROW_KEYS.items():
        assert all(set(row) >= names for row in summary[key][rows])
    for lung in summary["lungs"].values():
        assert set(lung) >= {"volume_ml", "evaluable_ml", "excluded"}
    for name in ("subpleural", "fissural", "vascular"):
        shell = summary["involvement"][name]
        assert set(shell) >= {"observed", "expected", "ratio", "low", "high", "p"}
    assert set(summary["pattern"]["scores"]) == {
        "random", "centrilobular", "perilymphatic", "none"
    }  # fmt: skip
    assert_plain(summary)
    assert json.loads(json.dumps(summary, allow_nan=False))["case"] == summary["case"]


def test_kept_candidates_do_not_count_as_found(found):
    doubtful = replace(found.nodules.take(np.arange(3)), score=np.full(3, 0.2))
    both = Nodules(
        **{
            name: np.concatenate([getattr(found.nodules, name), getattr(doubtful, name)])
            for name in Nodules.__dataclass_fields__
        }
    )
    kept = replace(found, nodules=both).to_dict()
    assert kept["detection"]["found"] == len(found.nodules) == len(both) - 3


def test_table_has_one_row_a_nodule(found):
    frame = found.nodules.to_frame()
    assert len(frame) == len(found.nodules)
    assert list(frame["nodule"]) == list(range(1, len(frame) + 1))
    assert set(frame["lung"]) == {"right", "left"}
    # The patient's left is where x grows.
    assert frame.x_mm[frame.lung == "left"].min() > frame.x_mm[frame.lung == "right"].max() - 10


def test_analysis_is_saved_as_a_case_folder(nothing, tmp_path):
    folder = nothing.save(tmp_path / "case")
    names = {path.name for path in folder.iterdir()}
    assert names >= {"summary.json", "nodules.csv", "curves.csv", "report.html", "lungs.nii.gz"}
    written = json.loads((folder / "summary.json").read_text("utf-8"))
    assert set(written) == set(nothing.to_dict())
    assert (folder / "nodules.csv").read_text("utf-8").count("\n") == 1


def test_a_volume_without_lungs_is_refused():
    block = as_volume(np.full((60, 64, 64), 40, np.int16))
    with pytest.raises(AnatomyError, match="lung"):
        miliary.analyze(block)


def as_volume(hu):
    return miliary.Volume(hu, miliary.Geometry.aligned(hu.shape, (1.5, 1.5, 1.5)))


def test_every_step_works_alone_on_plain_arrays(sick, found, rng):
    anatomy = miliary.segment(sick.volume)
    assert_array_equal(anatomy.lung_labels, found.anatomy.lung_labels)
    hu, spacing = sick.volume.hu[anatomy.box], anatomy.geometry.spacing_mm

    candidates = miliary.detect(hu, anatomy.inside_lung, spacing, found.config.detect)
    assert len(candidates) == len(found.nodules)

    first = candidates.take(np.arange(6))
    quality = ImageQuality(30.0, (1.1, 1.0, 1.0), psf_estimated=False)
    nodules = miliary.measure(hu, anatomy, first, quality, MeasureSettings())
    assert_allclose(nodules.points_mm, found.nodules.points_mm[:6], atol=0.2)

    size = miliary.describe_sizes(
        rng.normal(1.8, 0.1, 60), np.full(60, 0.05), SizeSettings(n_bootstrap=99), rng=rng
    )
    assert size.uniform is True

    window = miliary.Window(anatomy.evaluable_labels, spacing, None)
    settings = SpatialSettings(
        simulations=39, empty_space_simulations=0, covariate_simulations=39, lattice_points=100
    )
    lies = miliary.describe_distribution(
        anatomy.geometry.to_grid_mm(found.nodules.points_mm),
        window,
        distances_mm={"pleura": anatomy.pleura_mm},
        zone_labels=anatomy.zone_labels,
        settings=settings,
        rng=rng,
    )
    # False ones in the wall of the heart or the chest lie outside of the window.
    assert lies.n >= 0.95 * len(found.nodules)
    assert lies.share("pleura", 5.0).ratio > 0.5
