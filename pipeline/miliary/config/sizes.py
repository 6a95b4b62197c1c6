"""Settings of `miliary.sizes`."""

from __future__ import annotations

from dataclasses import dataclass

from miliary.config.fields import setting


@dataclass(frozen=True)
class SizeSettings:
    """Uniformity of size."""

    uniform_cv: float = setting(
        0.30,
        "sizes count as uniform below this coefficient of variation, error taken out",
        source="our convention: no published number was found; 1.5 to 2.7 mm holds most of 2 mm",
    )
    min_nodules: int = setting(
        20,
        "fewest nodules of which uniformity is told",
        source="the 95 % interval of a CV of 0.3 from 20 is 0.23 to 0.44",
    )
    max_error_share: float = setting(
        0.8,
        "above this share of measurement variance in the total nothing is told",
        source="then the true spread is the small difference of two large numbers",
    )
    n_bootstrap: int = setting(999, "resamples for the interval", source="Monte Carlo error 0.7 %")
