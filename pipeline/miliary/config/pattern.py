"""Settings of `miliary.pattern`."""

from __future__ import annotations

from dataclasses import dataclass

from miliary.config.fields import setting

_TOLD = "told in ARCHITECTURE.md"
_FITTED = "fitted by `benchmarks/verdict.py fit`, told in ARCHITECTURE.md"

#: What is counted to tell distributions apart; each has settings `..._means` and `..._spreads`.
CLUES = ("subpleural", "touching", "fissural", "vascular", "clustering")


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
        30.0,
        "numerous means more than so many nodules in a litre of evaluable lung, without the false "
        "positives to be expected in this scan",
        unit="per litre",
        source="our convention: above what readers mark, at most 81 nodules under 3 mm a scan, "
        "some 18 a litre, in 1,035 scans of LIDC-IDRI (clusters of two readers or more; doi "
        "10.7937/k9/tcia.2015.lo9ql9sx)",
    )
    max_false_per_l: float = setting(
        60.0,
        "more false positives than this are not taken out, whatever the calibration expects",
        unit="per litre",
        source="measured: some 10 a litre in usual scans, 43 at pixels of 1.0 mm; the calibration "
        "expects more where nodules are dense",
    )
    small_mm: float = setting(
        3.0,
        "largest median diameter that is still miliary",
        unit="mm",
        source="AJRS 2013;2:513: nodules of miliary tuberculosis measure up to 3 mm; commonly "
        "stated, unverified: the Fleischner glossary of 2008 has the same limit",
    )
    min_nodules: int = setting(
        30,
        "fewer nodules, false positives taken out, do not bear a call of the pattern",
        source="measured: of detected phantoms and insertions thinned to 30 nodules 97 % "
        f"and more of what was called was right, {_TOLD}",
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
    contact_mm: float = setting(
        2.5,
        "nodules within this of pleura, fissure or vessel nearly touch it",
        unit="mm",
        source="half of a nodule of 2 mm, the error of its place and of the surface, and a margin",
    )
    rosette_mm: float = setting(
        5.0,
        "pairs nearer than this tell of rosettes and clusters",
        unit="mm",
        source="our convention: well inside a secondary lobule of 10 to 25 mm (Webb 2006, doi "
        "10.1148/radiol.2392041968), and wider than two nodules that touch",
    )
    subpleural_means: tuple[float, float, float, float] = setting(
        (0.0, -3.0, 1.0, -0.8),
        "log odds of lying within `shell_mm` of the pleura, over random: of random, centrilobular, "
        "perilymphatic nodules, and of false positives",
        source=_FITTED,
    )
    subpleural_spreads: tuple[float, float, float, float] = setting(
        (0.25, 1.0, 1.2, 0.8), "how much that differs between patients", source=_FITTED
    )
    touching_means: tuple[float, float, float, float] = setting(
        (-0.2, 0.3, 1.5, 0.0),
        "the same for lying within `contact_mm` of it, among those",
        source=_FITTED,
    )
    touching_spreads: tuple[float, float, float, float] = setting(
        (0.3, 0.8, 0.6, 0.6), "how much that differs between patients", source=_FITTED
    )
    fissural_means: tuple[float, float, float, float] = setting(
        (0.0, -1.5, 1.0, -0.3),
        "the same within `contact_mm` of a fissure",
        source=_FITTED,
    )
    fissural_spreads: tuple[float, float, float, float] = setting(
        (0.3, 1.2, 1.0, 0.8), "how much that differs between patients", source=_FITTED
    )
    vascular_means: tuple[float, float, float, float] = setting(
        (0.0, 0.9, 0.2, 3.0),
        "the same within `contact_mm` of a vessel",
        source=_FITTED,
    )
    vascular_spreads: tuple[float, float, float, float] = setting(
        (0.3, 0.9, 0.6, 1.0), "how much that differs between patients", source=_FITTED
    )
    clustering_means: tuple[float, float, float, float] = setting(
        (0.0, 2.5, 1.4, 0.7),
        "log of the number of pairs within `rosette_mm`, over random",
        source=_FITTED,
    )
    clustering_spreads: tuple[float, float, float, float] = setting(
        (0.25, 0.8, 0.6, 0.7), "how much that differs between patients", source=_FITTED
    )
    freedom: float = setting(
        4.0,
        "degrees of freedom of Student's t, by which those differ from patient to patient",
        source="our convention: heavy tails, since patients are not phantoms",
    )
    mild_share: float = setting(
        0.5,
        "part of the nodules that follows a distribution in its mild form, others lying at random",
        source="our convention: so that half a perilymphatic distribution is not called random",
    )
    false_share: float = setting(
        0.3,
        "part of the nodules that is false where a random distribution is contaminated",
        source="our convention: the most that a call should bear",
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

    def __post_init__(self) -> None:
        for name in ("min_probability", "min_sensitivity", "mild_share", "false_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be from 0 to 1, got {getattr(self, name)}")
        for clue in CLUES:
            if min(getattr(self, f"{clue}_spreads")) <= 0:
                raise ValueError(
                    f"{clue}_spreads must be above 0, got {getattr(self, f'{clue}_spreads')}"
                )
        if self.contact_mm >= self.shell_mm:
            raise ValueError(
                f"contact_mm must be below shell_mm ({self.shell_mm:g}), got {self.contact_mm:g}"
            )
