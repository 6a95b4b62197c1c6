"""Settings of `miliary.pattern`."""

from __future__ import annotations

from dataclasses import dataclass

from miliary.config.fields import setting

_TOLD = "told in ARCHITECTURE.md"


@dataclass(frozen=True)
class PatternSettings:
    """From evidence to the pattern and the miliary flag."""

    max_slice_mm: float = setting(
        1.5,
        "thicker or farther apart slices do not show nodules of 2 mm",
        unit="mm",
        source="own calculation: a blurred ball of 1.5 to 2 mm keeps 49 to 74 % of its contrast in "
        f"slices of 1.25 mm, 29 to 47 % in slices of 2.5 mm, {_TOLD}",
    )
    max_pixel_mm: float = setting(
        1.0,
        "wider pixels do not show nodules of 2 mm apart from vessels",
        unit="mm",
        source="measured: on phantoms with pixels of 1.2 mm an earlier detector made 98 to 120 "
        "false positives a litre, at 1.0 mm fewer than half as many",
    )
    min_sensitivity: float = setting(
        0.3,
        "a scan that shows a smaller share of nodules of 2 mm put into it cannot be judged",
        source="our convention: below it most of what could be seen is missed",
    )
    numerous_per_l: float = setting(
        40.0,
        "numerous means more than so many nodules in a litre of evaluable lung",
        unit="per litre",
        source="four times the detector's false positives; readers mark at most 81 nodules under "
        "3 mm a scan, some 18 a litre, in 1,035 scans of LIDC-IDRI (clusters of two readers or "
        "more; doi 10.7937/k9/tcia.2015.lo9ql9sx)",
    )
    small_mm: float = setting(
        3.0,
        "largest median diameter that is still miliary",
        unit="mm",
        source="AJRS 2013;2:513: nodules of miliary tuberculosis measure up to 3 mm; commonly "
        "stated, unverified: the Fleischner glossary of 2008 has the same limit",
    )
    min_nodules: int = setting(
        50,
        "fewer nodules do not bear a call of the pattern",
        source="own calculation: the power of a binomial test against centrilobular is 0.76 at 50, "
        f"0.22 at 30, {_TOLD}",
    )
    min_probability: float = setting(
        0.8, "a pattern is named from this probability on", source="our convention"
    )
    shell_mm: float = setting(
        5.0,
        "shell under the pleura whose share tells the pattern",
        unit="mm",
        source="Radiology Assistant, and hrct.health-ecomm.com: the most peripheral centrilobular "
        "nodules are centred 5 to 10 mm from pleura or fissure",
    )
    log_ratio_random: tuple[float, float] = setting(
        (0.0, 0.15),
        "log of observed over expected share there when random: mean and spread",
        source="Radiology Assistant, and hrct.health-ecomm.com: random nodules touch the pleura "
        "without subpleural predominance, so as expected; the spread, our convention, allows for "
        "uneven sensitivity",
    )
    log_ratio_centrilobular: tuple[float, float] = setting(
        (-1.45, 0.6),
        "the same for centrilobular nodules",
        source="own calculation: 5 % supposed in the shell of pleura and fissure where 21.5 % are "
        f"expected, {_TOLD}; the spread is our convention",
    )
    log_ratio_perilymphatic: tuple[float, float] = setting(
        (0.85, 0.4),
        "the same for perilymphatic nodules",
        source="own calculation: 45 to 60 % supposed where 21.5 % are expected, "
        f"{_TOLD}; the spread is our convention",
    )
    clustered_odds: tuple[float, float, float] = setting(
        (0.15, 0.8, 0.9),
        "probability of close pairs beyond chance when random, centrilobular, perilymphatic",
        source="our convention: 0.05 by the level of the test, more for an uneven sensitivity",
    )
    min_subpleural_ratio: float = setting(
        0.5,
        "the pleura is involved when its share is at least this part of the expected",
        source="own calculation: between centrilobular (5 of 21.5 %: 0.23) and random (1), "
        f"{_TOLD}",
    )
    max_preference_ratio: float = setting(
        1.6,
        "more than this times the expected share is a preference for a structure",
        source="own calculation: between random (1) and mild perilymphatic (45 of 21.5 %: 2.1), "
        f"{_TOLD}",
    )
    vascular_shell_mm: float = setting(
        2.5,
        "shell round the vessels whose share tells a preference for them",
        unit="mm",
        source="a nodule of 2 mm there nearly touches the vessel",
    )

    def __post_init__(self) -> None:
        for name in ("min_probability", "min_sensitivity"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be from 0 to 1, got {getattr(self, name)}")
