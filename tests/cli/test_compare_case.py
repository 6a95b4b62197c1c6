"""The case, small: three DICOM folders of an encased left lung and a right one that fills."""

from __future__ import annotations

import json

import pytest

from miliary.cli import compare as module
from miliary.cli.common import Parser
from miliary.cli.phantom import write_visits
from miliary.phantom import PhantomSpec

#: Statistics of the distribution are not what is looked at here.
QUICK = ("spatial.simulations=19", "spatial.empty_space_simulations=19",
         "spatial.covariate_simulations=19", "spatial.min_nodules=100000")  # fmt: skip
COURSE = ((0, 3.5, 0.1), (70, 5.0, 0.15), (190, 6.5, 0.2))


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What the command says of three scans."""
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
    return json.loads((folder / "told" / "comparison.json").read_text())


def test_the_right_lung_fills_and_is_newly_involved(told):
    right = {(r["earlier"], r["later"]): r for r in told["lungs"] if r["lung"] == "right"}
    assert [right[pair]["verdict"] for pair in ((0, 1), (1, 2), (0, 2))] == ["more"] * 3
    assert [right[pair]["newly_involved"] for pair in ((0, 1), (1, 2))] == [True, False]
    (change,) = [
        c for c in told["changes"]
        if (c["earlier"], c["later"], c["lung"], c["zone"]) == (1, 2, "right", "all")
    ]  # fmt: skip
    assert change["count"]["low"] <= 190 / 70 <= change["count"]["high"]


def test_the_left_lung_is_not_judged_and_why_is_said(told):
    left = [row for row in told["lungs"] if row["lung"] == "left"]
    assert {row["verdict"] for row in left} == {"not assessable"}
    assert all("ml aerated" in row["sentence"] for row in left)
    assert all("of rind or effusion" in row["sentence"] for row in left)


def test_the_rind_is_told_of_the_left_lung_alone(told):
    """How much of it: in a chest of half the size too little lung is left to measure it from."""
    assert all(case["lungs"]["left"]["rind_ml"] > 0 for case in told["cases"])
    assert all(case["lungs"]["right"]["rind_ml"] == 0 for case in told["cases"])
    assert {row["lung"] for row in told["rinds"]} == {"left"}
    assert all(row["verdict"] in row["sentence"] for row in told["rinds"])
