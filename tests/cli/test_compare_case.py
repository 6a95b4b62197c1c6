"""The case, small: three DICOM folders of an encased left lung and a right one that fills."""

from __future__ import annotations

import json

import numpy as np
import pytest

from miliary.cli import compare as module
from miliary.cli.common import Parser
from miliary.cli.phantom import write_visits
from miliary.io.images import read_mask
from miliary.phantom import PhantomSpec, Tissue

#: Statistics of the distribution are not what is looked at here.
QUICK = ("spatial.simulations=19", "spatial.empty_space_simulations=19",
         "spatial.covariate_simulations=19", "spatial.min_nodules=100000")  # fmt: skip
COURSE = ((0, 3.5, 0.1), (70, 5.0, 0.15), (190, 6.5, 0.2))
#: Rinds of a few voxels in a chest of half the size: adults' are measured in benchmarks/serial.py.
RIND_TOLERANCE = 0.25


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What the command says of three scans, and their folders."""
    folder = tmp_path_factory.mktemp("case")
    base = PhantomSpec.of(
        seed=9311, shape=(110, 108, 146), spacing_mm=(1.2, 1.0, 1.0), pattern="random",
        diameter_mm=2.4, lungs="right", encased_lung="left",
    )  # fmt: skip
    visits = [base.but(n_nodules=n, rind_mm=mm, volume_loss=loss) for n, mm, loss in COURSE]
    write_visits(folder / "scans", visits)
    scans = [folder / "scans" / f"visit-{k}" for k in (1, 2, 3)]
    parser = Parser()
    module.add_arguments(parser)
    words = [str(scan / "dicom") for scan in scans] + ["--out", str(folder / "told")]
    assert (
        module.execute(parser.parse_args([*words, *(w for q in QUICK for w in ("--set", q))])) == 0
    )
    return json.loads((folder / "told" / "comparison.json").read_text()), scans


def test_the_right_lung_fills_and_is_newly_involved(told):
    said, _ = told
    right = {(r["earlier"], r["later"]): r for r in said["lungs"] if r["lung"] == "right"}
    assert [right[pair]["verdict"] for pair in ((0, 1), (1, 2), (0, 2))] == ["more"] * 3
    assert [right[pair]["newly_involved"] for pair in ((0, 1), (1, 2))] == [True, False]
    (change,) = [
        c for c in said["changes"]
        if (c["earlier"], c["later"], c["lung"], c["zone"]) == (1, 2, "right", "all")
    ]  # fmt: skip
    assert change["count"]["low"] <= 190 / 70 <= change["count"]["high"]


def test_the_left_lung_is_not_judged_and_why_is_said(told):
    said, _ = told
    left = [row for row in said["lungs"] if row["lung"] == "left"]
    assert {row["verdict"] for row in left} == {"not assessable"}
    assert all("ml aerated" in row["sentence"] for row in left)
    assert all("of rind or effusion" in row["sentence"] for row in left)


def test_the_rind_has_its_volume_and_grows_thicker(told):
    said, scans = told
    for case, scan in zip(said["cases"], scans, strict=True):
        tissue, grid = read_mask(scan / "tissues.nii.gz")
        true_ml = np.count_nonzero(tissue == Tissue.RIND) * grid.voxel_ml
        assert case["lungs"]["left"]["rind_ml"] == pytest.approx(true_ml, rel=RIND_TOLERANCE)
        assert case["lungs"]["right"]["rind_ml"] == 0
    last = said["rinds"][-1]
    assert (last["earlier"], last["later"], last["lung"]) == (0, 2, "left")
    assert last["verdict"] == "thicker"
    assert last["now"]["mean_mm"] > last["before"]["mean_mm"] + 1
