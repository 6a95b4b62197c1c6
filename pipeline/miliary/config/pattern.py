"""Settings of `miliary.pattern`."""

from __future__ import annotations

from dataclasses import dataclass

from miliary.config.fields import setting

_FACTS = "facts/detection-and-distribution.md"


@dataclass(frozen=True)
class PatternSettings:
    """From evidence to the pattern and the miliary flag."""

    max_slice_mm: float = setting(
        1.5,
        "thicker or farther apart slices do not show nodules of 2 mm",
        unit="mm",
        source=f"{_FACTS} section 4: 2.5 mm slices keep 29 to 47 % of the contrast at 1.5 to 2 mm",
    )
    numerous_per_l: float = setting(
        30.0,
        "numerous means more than so many nodules in a litre of evaluable lung",
        unit="per litre",
        source="three times the detector's false positives; readers mark at most 81 nodules under "
        "3 mm a scan, some 18 a litre, in 1,035 LIDC scans (clusters of two readers or more)",
    )
    small_mm: float = setting(
        3.0,
        "largest median diameter that is still miliary",
        unit="mm",
        source="Hansell 2008, doi 10.1148/radiol.2462070712: miliary is 3 mm or less",
    )
    min_nodules: int = setting(
        50,
        "fewer nodules do not bear a call of the pattern",
        source=f"{_FACTS} section 3: at 50 the power against centrilobular is 0.76, at 30 0.22",
    )
    min_probability: float = setting(
        0.8, "a pattern is named from this probability on", source="our convention"
    )
    shell_mm: float = setting(
        5.0,
        "shell under the pleura whose share tells the pattern",
        unit="mm",
        source=f"{_FACTS} section 3: centrilobular nodules lie 5 to 10 mm from the pleura",
    )
    log_ratio_random: tuple[float, float] = setting(
        (0.0, 0.15),
        "log of observed over expected share there when random: mean and spread",
        source=f"{_FACTS} section 3: as expected; the spread allows for uneven sensitivity",
    )
    log_ratio_centrilobular: tuple[float, float] = setting(
        (-1.45, 0.6),
        "the same for centrilobular nodules",
        source=f"{_FACTS} section 3, power table: 5 % where 21.5 % are expected",
    )
    log_ratio_perilymphatic: tuple[float, float] = setting(
        (0.85, 0.4),
        "the same for perilymphatic nodules",
        source=f"{_FACTS} section 3, power table: 45 to 60 % where 21.5 % are expected",
    )
    clustered_odds: tuple[float, float, float] = setting(
        (0.15, 0.8, 0.9),
        "probability of close pairs beyond chance when random, centrilobular, perilymphatic",
        source="our convention: 0.05 by the level of the test, more for an uneven sensitivity",
    )
    min_subpleural_ratio: float = setting(
        0.5,
        "the pleura is involved when its share is at least this part of the expected",
        source="between centrilobular (0.23) and random (1), section 3 of the facts page",
    )
    max_preference_ratio: float = setting(
        1.6,
        "more than this times the expected share is a preference for a structure",
        source="between random (1) and mild perilymphatic (2.1), section 3 of the facts page",
    )
    vascular_shell_mm: float = setting(
        2.5,
        "shell round the vessels whose share tells a preference for them",
        unit="mm",
        source="a nodule of 2 mm there nearly touches the vessel",
    )
