"""Settings of `miliary.quality`."""

from __future__ import annotations

from dataclasses import dataclass

from miliary.config.fields import setting

_MEASURED = "60 scans of four phantoms, 10 to 60 HU, white to smooth noise: all within 9 %"


@dataclass(frozen=True)
class QualitySettings:
    """How noise and point spread are estimated from the scan itself."""

    noise_pleura_mm: float = setting(
        4.0,
        "noise of the lung is measured deeper than this under the pleura",
        unit="mm",
        source="half a cube and the blur of the wall",
    )
    noise_vessel_mm: float = setting(
        3.0,
        "and farther than this from vessels",
        unit="mm",
        source="half a cube and the blur of a vessel",
    )
    noise_cube_mm: float = setting(
        5.0,
        "side of the cubes of lung in which noise is measured",
        unit="mm",
        source="larger ones always hold a vessel: on a small phantom 7 mm read 25 % more at 10 HU",
    )
    tissue_cube_mm: float = setting(
        8.0,
        "side of the cubes of soft tissue in which its colour is measured",
        unit="mm",
        source="keeps 93 % of the deviation of white noise smoothed by 2.4 mm (FWHM)",
    )
    tissue_hu: tuple[float, float] = setting(
        (-10.0, 350.0),
        "mean of a cube of soft tissue: muscle, heart, liver, vessels with contrast",
        unit="HU",
    )
    n_cubes: int = setting(1500, "most cubes of each kind", source="they cost a tenth of a second")
    fine_quantile: float = setting(
        0.4, "quantile over cubes of lung of their finest detail", source=_MEASURED
    )
    tissue_quantile: float = setting(
        0.15,
        "quantile over cubes of tissue, most of which hold a boundary",
        source=_MEASURED,
    )
    default_psf_fwhm_mm: tuple[float, float, float] = setting(
        (1.2, 1.05, 1.05),
        "point spread (z, y, x) where too few edges allow an estimate",
        unit="mm",
        source="our convention: near the thin standard scan of the calculations in "
        "ARCHITECTURE.md, 1.1 mm along z and 1.0 mm in plane",
    )
    n_edges: int = setting(
        1200,
        "places of the pleura that are tried, one half of them facing along z",
        source="3000 change the estimate by 3 % at most on three real scans and four phantoms",
    )
    min_edges: int = setting(
        60,
        "good edges needed for an estimate, along z and in plane each",
        source="a deviation of 20 % among edges leaves the median 3 %",
    )
    edge_contrast_hu: float = setting(
        600.0,
        "least contrast of an edge used for the point spread",
        unit="HU",
        source="lung against soft tissue has 850 HU; partial edges have less",
    )
    edge_smoothing_mm: float = setting(
        1.0, "standard deviation of the Gaussian under which an edge gets its direction", unit="mm"
    )
    edge_reach_mm: float = setting(
        2.2,
        "voxels up to this distance on both sides of an edge take part",
        unit="mm",
        source="2.6 sigmas at a FWHM of 2 mm; from 2.0 to 3.0 mm the estimate rises by up to 4 %, "
        "along z on 2 mm slices by 9 %",
    )
    edge_width_mm: float = setting(
        1.8,
        "voxels up to this distance along an edge take part",
        unit="mm",
        source="1.4 to 2.2 mm change the estimate by 7 % at most",
    )
    edge_slices: float = setting(
        1.25,
        "both of these are at least this many of the longest side of a voxel",
        source="less leaves one slice of a thick-slice scan, in which no tilt can be seen",
    )
    edge_share: float = setting(
        0.5,
        "share of the edges, those with the least misfit, that are used",
        source="without it the median is up to 12 % wider on phantoms, by ribs, fat and vessels",
    )
    edge_quantile: float = setting(
        0.45,
        "share of these that are sharper than the estimate",
        source="edges are widened by anatomy, never sharpened: 0.35 reads 6 % too little on "
        "phantoms, 0.5 up to 6 % too much",
    )

    def __post_init__(self) -> None:
        for name in ("fine_quantile", "tissue_quantile", "edge_share", "edge_quantile"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name} must be between 0 and 1, got {getattr(self, name)}")
        if not min(self.default_psf_fwhm_mm) > 0:
            raise ValueError(
                "default_psf_fwhm_mm must be three positive lengths, "
                f"got {self.default_psf_fwhm_mm}"
            )
