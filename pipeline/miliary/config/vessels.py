"""Settings of `miliary.vessels`."""

from __future__ import annotations

from dataclasses import dataclass

from miliary.config.fields import setting

_MEASURED = (
    "measured: 1,000 nodules of 1.8 mm put into the scan lidc-0314, named in ARCHITECTURE.md"
)
_PHANTOM = (
    "measured: of 101 nodules of 1.8 mm at most 1 mm from a vessel of a phantom, 5 % have their "
    "centre in the mask; 11 % with 60 HU at every scale and 350 HU for what is bright"
)
_BESIDE = "measured: benchmarks/anatomy.py, on phantoms of other seeds than it names"


@dataclass(frozen=True)
class VesselSettings:
    """How vessels are found, and told from nodules."""

    ceiling_hu: float = setting(
        100.0,
        "denser tissue is cut down to this before filtering: vessels with contrast and without "
        "are one",
        unit="HU",
    )
    scales_mm: tuple[float, ...] = setting(
        (0.8, 1.3, 2.2), "scales of the tube response, for vessels of 1.5 to 6 mm", unit="mm"
    )
    contrast_hu: tuple[float, ...] = setting(
        (60.0, 300.0, 500.0),
        "a vessel is denser than lung by, blurred at each scale: what is thin is not looked for at "
        "coarse scales, where a nodule beside it would be one with it",
        unit="HU",
        source=_PHANTOM,
    )
    low_hu: float = setting(
        45.0, "tube response that continues a vessel", unit="HU", source=_MEASURED
    )
    high_hu: float = setting(
        70.0,
        "tube response that makes a vessel; one of 1.6 mm gives 80 to 100",
        unit="HU",
        source=_MEASURED + "; 50 to 120 differ by 0.03 % of the lung",
    )
    low_noise: float = setting(
        2.5, "the lower response is at least this many standard deviations of its noise"
    )
    end_penalty: float = setting(
        2.0,
        "how much curvature along a tube takes from its response; a blob has none left",
        source=_MEASURED,
    )
    bright_hu: float = setting(
        450.0,
        "what is denser than lung by more is vessel without further proof",
        unit="HU",
        source=_PHANTOM,
    )
    blob_ratio: float = setting(
        0.35,
        "a nodule: its smallest curvature is at least this share of the largest",
        source=_MEASURED,
    )
    blob_hu: float = setting(35.0, "and at least this", unit="HU", source=_MEASURED)
    nodule_scale_mm: float = setting(
        1.5, "looked for at scales up to this, those of nodules of 1 to 3 mm", unit="mm"
    )
    fine_blob_mm: float = setting(
        0.5,
        "scale at which a nodule beside a vessel is looked for: coarser, the two are one",
        unit="mm",
        source=_BESIDE,
    )
    fine_blob_steps: float = setting(0.6, "but at least this many voxels")
    fine_blob_wide_mm: float = setting(
        1.3,
        "and only beside what is dense on this scale: a thin vessel alone is beaded by the grid, "
        "and swallows no nodule",
        unit="mm",
    )
    fine_blob_wide_hu: float = setting(
        170.0,
        "that is denser than lung by this, as vessels with a radius of 0.9 mm are: those under "
        "0.8 mm took 1 of 204 nodules beside them",
        unit="HU",
        source=_BESIDE,
    )
    beside_mm: float = setting(
        1.5,
        "how far the middle of a nodule lies from the inside of the vessel beside it",
        unit="mm",
    )
    fine_blob_ratio: float = setting(
        0.3, "at that scale its smallest curvature is at least this share", source=_BESIDE
    )
    fine_blob_hu: float = setting(25.0, "and at least this", unit="HU", source=_BESIDE)
    blob_radius_mm: float = setting(
        1.2, "a nodule's surroundings taken out of the vessels", unit="mm", source=_MEASURED
    )
    thick_mm: float = setting(
        1.2,
        "what is bright and deeper than this is the junction of large vessels, not a nodule",
        unit="mm",
    )
    rim_mm: float = setting(0.8, "thickness of the rim of a large vessel", unit="mm")
    min_branch_mm: float = setting(
        5.0, "a shorter branch beyond the rim is a nodule that leans on the vessel", unit="mm"
    )
    min_length_mm: float = setting(10.0, "a shorter piece is no vessel", unit="mm")
    max_fill: float = setting(
        0.06,
        "a piece that fills more of the cube of its diagonal is a lump; a ball fills 0.1",
    )
