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
        "added to every count, so that the ratio to none has a logarithm",
        source="Haldane-Anscombe correction; covers 95 to 97 % from 10 nodules on in "
        "tests/kernels/test_rates.py, more below",
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
    usual_diameter_mm: float = setting(
        2.0,
        "diameter at which sensitivities are read when neither scan has enough nodules",
        unit="mm",
        source="the limit of a micronodule",
    )
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
    volume_ratio: float = setting(
        1.15,
        "lung volumes that differ by more than this factor are warned of",
        source="our convention: nodules a litre change as much by breath alone",
    )
