"""Settings of `miliary.compare`."""

from __future__ import annotations

from dataclasses import dataclass

from miliary.config.fields import setting


@dataclass(frozen=True)
class CompareSettings:
    """What changed between scans of one patient."""

    confidence: float = setting(
        0.95,
        "confidence of every interval, and of a change that is called one",
        source="convention; the sensitivities of a scan are told with 95 % intervals as well",
    )
    continuity: float = setting(
        0.5,
        "added to every count for the ratio as found, so that the ratio to none has a logarithm",
        source="Haldane-Anscombe correction; covers 95 to 97 % from 10 nodules on in "
        "tests/kernels/test_rates.py, more below",
    )
    draws: int = setting(4000, "draws behind every interval of corrected ratios")
    seed: int = setting(0, "of these draws: the same scans give the same intervals")
    false_per_l: float = setting(
        12.0,
        "nodules a litre expected to be none, taken from what each scan finds",
        unit="1/l",
        source="measured by benchmarks/serial.py on 19 phantom patients, seeds 9070 to 9097, with "
        "weights 8cba8aeaec: 12.4; what a scan itself tells of it was less near the truth",
    )
    false_sd: float = setting(
        0.35,
        "standard deviation of the logarithm of that rate from patient to patient",
        source="as false_per_l: 0.31, and 0.4 on the first eight",
    )
    false_shared: float = setting(
        0.4,
        "part of them that are the same things in two scans of one patient",
        source="as false_per_l: 0.38 stand at the same place; the same branchings of vessels",
    )
    found_shared: float = setting(
        0.62,
        "correlation between finding a nodule in one scan and in another",
        source="as false_per_l, on nodules that stayed: a nodule beside a vessel stays there",
    )
    shift: float = setting(
        0.35,
        "by how much the log odds of finding a nodule are higher than those of a ball put in",
        source="as false_per_l, where balls are found somewhat less often than nodules of their "
        "size: 0.19 to 0.40; the same in two scans, so that only a difference of sensitivity lets "
        "it through",
    )
    shift_sd: float = setting(
        0.1, "standard deviation of that shift, the same in both scans", source="as false_per_l"
    )
    model_sd: float = setting(
        0.18,
        "the same of each scan by itself, beyond its own error",
        source="as false_per_l: 0.19; of nodules of known size 0.16, so it is mostly their sizes",
    )
    min_sensitivity: float = setting(
        0.1,
        "scans that find a smaller share of the nodules are not compared",
        source="our convention: one nodule would stand for more than ten",
    )
    min_nodules: int = setting(
        20,
        "fewest nodules whose median diameter is used",
        source="the error of a median of 20 covers 94 % in tests/kernels/test_rates.py",
    )
    stray_sizes: float = setting(
        0.05,
        "part of what is found whose sizes say nothing: false positives, misfits",
        source="as false_per_l: 12 in a litre among 200 or more nodules",
    )
    usual_diameter_mm: float = setting(
        2.0,
        "diameter at which sensitivities are read when neither scan has enough nodules",
        unit="mm",
        source="the limit of a micronodule",
    )
    size_margin_mm: float = setting(
        0.1,
        "a change of the median diameter surely above this is one of the nodules; below, it may "
        "come from which of them a scan shows",
        unit="mm",
        source="as false_per_l: medians of the same nodules in a poorer scan rose by up to 0.1 mm",
    )
    rind_angles: int = setting(24, "cells round the lung of the map of the rind")
    rind_heights: int = setting(10, "cells of its height")
    rind_least_mm: float = setting(
        3.0, "a rind as thick as this counts as going round", unit="mm",
        source="our convention: above the 2 mm by which intercostal muscle is taken for rind",
    )  # fmt: skip
    rind_ratio: float = setting(
        1.2, "a rind of so many times the volume, and thicker, is called thicker",
        source="our convention: twice the 10 % to which volumes are measured in phantoms",
    )  # fmt: skip
    rind_step_mm: float = setting(
        1.5, "a mean thickness that differs by more is another", unit="mm",
        source="our convention: above the 1 mm to which thickness is measured in phantoms",
    )  # fmt: skip
    align_mm: float = setting(
        3.0, "lungs are aligned on voxels of this size, vessels on half of it", unit="mm",
        source="measured: Dice 0.98 and more on phantoms, a second a lung (benchmarks/serial.py)",
    )  # fmt: skip
    align_vessel_points: int = setting(
        200, "fewest points on the middle lines of vessels that refine an alignment"
    )
    match_wrong: float = setting(
        0.05, "single nodules are matched where the chance of a wrong match is at most this",
        source="the issue's own limit",
    )  # fmt: skip
    match_error_mm: float = setting(
        2.0, "scans that fit worse are not matched nodule by nodule", unit="mm",
        source="own calculation: vessels 5 to 7 mm apart lie that near to each other by chance",
    )  # fmt: skip
    match_least_mm: float = setting(
        0.5, "least standard deviation of an alignment along an axis", unit="mm",
        source="half a voxel of the finest usual scans",
    )  # fmt: skip
    match_neighbours: int = setting(4, "neighbours that tell how dense nodules are round a place")
    slice_ratio: float = setting(
        1.25,
        "slices thicker or farther apart by more than this factor are warned of",
        source="our convention: the step from 1 to 1.25 mm passes, that to 2.5 mm does not; own "
        "calculation: a blurred ball of 1.5 to 2 mm then keeps 29 to 47 % of its contrast, told in "
        "ARCHITECTURE.md",
    )
    noise_ratio: float = setting(
        1.25,
        "noise higher by more than this factor is warned of",
        source="as much as 1.6 times the dose makes, noise going with its square root",
    )
    dose_ratio: float = setting(
        1.6, "exposures that differ by more than this factor are warned of",
        source="noise goes with the square root of the dose: noise_ratio squared",
    )  # fmt: skip
    volume_ratio: float = setting(
        1.15,
        "lung volumes that differ by more than this factor are warned of",
        source="our convention: nodules a litre change as much by breath alone",
    )
