"""Settings of `miliary.calibrate`."""

from __future__ import annotations

from dataclasses import dataclass

from miliary.config.fields import setting


@dataclass(frozen=True)
class CalibrateSettings:
    """Nodules put into the scan itself, to learn how well it shows them."""

    n_nodules: int = setting(
        600,
        "nodules put in; 0 leaves calibration out",
        source="a share of 0.7 from 150 in a region has a standard error of 0.04",
    )
    diameters_mm: tuple[float, ...] = setting(
        (1.2, 1.4, 1.6, 1.8, 2.0, 2.5, 3.0),
        "their diameters",
        unit="mm",
        source="from what is hardly seen to what is hardly missed at 30 HU of noise; between 1.2 "
        "and 1.6 mm sensitivity rises from a fifth to four fifths",
    )
    separation_mm: float = setting(
        3.0,
        "distance to what was found already",
        unit="mm",
        source="twice the distance at which a candidate counts as found",
    )
    depth_mm: float = setting(
        0.4,
        "so far from the pleura a centre lies at least, to all sides",
        unit="mm",
        source="our convention, that of `miliary phantom` and ../shared/eval too: what is centred "
        "on the pleura is no nodule of the lung",
    )
    subpleural_mm: float = setting(
        3.0,
        "nearer to the pleura is the subpleural region",
        unit="mm",
        source="our convention; commonly stated, unverified: the outer 3 to 5 mm hold no vessel",
    )
    fissural_mm: float = setting(
        2.0,
        "nearer to a fissure is the fissural region",
        unit="mm",
        source="a nodule of 2 mm there lies within its own diameter of the fissure",
    )
    perivascular_mm: float = setting(
        2.0,
        "nearer to a vessel's surface is the perivascular region",
        unit="mm",
        source="a nodule of 2 mm there lies within its own diameter of the vessel",
    )
    reach_mm: float = setting(
        1.5,
        "found means: an accepted candidate as near as this",
        unit="mm",
        source="our convention: what `miliary score` takes for a match unless told otherwise",
    )
    lung_limit_hu: float = setting(
        -600.0,
        "away from the pleura, nodules are put where the smoothed image is darker",
        unit="HU",
        source="brighter is vessel or wall, where a nodule is no ball in lung any more",
    )
    smoothing_mm: float = setting(
        0.8, "that smoothing", unit="mm", source="takes most of the noise, leaves vessels of 1.5 mm"
    )
    level_reach_mm: float = setting(
        4.0,
        "the level of the lung is taken from so far around",
        unit="mm",
        source="several hundred voxels, a lobule at most",
    )
    patch_mm: float = setting(
        9.0,
        "balls are looked for in patches that reach so far to all sides",
        unit="mm",
        source="near_mm and the 6 mm that the detector looks round a candidate",
    )
    near_mm: float = setting(
        3.0,
        "candidates so near to a ball along each axis are looked at",
        unit="mm",
        source="reach_mm, and as much again for those that suppress each other",
    )
    tail_logits: float = setting(
        2.5,
        "false positives are told from candidates so far below the operating point, in log odds",
        source="as tail_fall; 2 and 3 tell it as well",
    )
    tail_fall: float = setting(
        0.93,
        "usual fall of the number of false candidates, for each unit of their log odds in "
        "logarithms",
        source="measured: its mean in 133 development phantoms of 0.3 to 0.8 litres, with and "
        "without nodules, and the left lung of lidc-0314",
    )
    tail_spread: float = setting(
        0.1,
        "standard deviation of the logarithm of that fall from scan to scan",
        source="as tail_fall: numbers told are off by little more than chance up to 0.1, by half "
        "as much again at 0.2, and by five times as much where nothing is known of the fall",
    )
    ridge: float = setting(
        0.5,
        "weight that holds the fitted effects of regions and single diameters near 0",
        source="a region tells itself apart once some ten nodules of it speak for it",
    )
    size_width: float = setting(
        0.15,
        "errors of size are taken together over diameters: standard deviation of the logarithm",
        source="a ball's neighbours in size, 0.2 to 0.3 mm away, count two thirds",
    )

    def __post_init__(self) -> None:
        if not self.size_width > 0:
            raise ValueError(f"size_width must be above 0, got {self.size_width}")
        for name in ("tail_logits", "tail_fall", "tail_spread"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}")
        if not self.depth_mm >= 0:
            raise ValueError(f"depth_mm must be 0 or more, got {self.depth_mm}")
