"""Settings of `miliary.lungs`."""

from __future__ import annotations

from dataclasses import dataclass

from miliary.config.fields import setting

_LOOKED_AT = (
    "looked at on the scans lidc-0314, nlst-low-dose and rider-0117-lower, named in ARCHITECTURE.md"
)


@dataclass(frozen=True)
class LungSettings:
    """How lungs, their sides and the large airways are found."""

    coarse_mm: float = setting(
        1.5,
        "voxel size of the grid on which lungs are first found",
        unit="mm",
        source="measured: a prototype on this grid took 2 to 4 CPU s on two scans and reached Dice "
        "0.99 on a phantom, told in ARCHITECTURE.md",
    )
    air_hu: float = setting(
        -400.0, "aerated lung is below, on the coarse grid", unit="HU", source=_LOOKED_AT
    )
    outside_air_hu: float = setting(-940.0, "air round the body is below", unit="HU")
    outside_air_share: float = setting(
        0.5,
        "a region at the sides of the image with a smaller share of such air is lung",
        source="a mean failed on lidc-0314 when smoothed or with noise of 100 HU",
    )
    open_lung_ml: float = setting(
        100.0,
        "smallest part of a lung that a small field of view joins to the air outside",
        unit="ml",
    )
    open_lung_hu: float = setting(-920.0, "its mean is above", unit="HU", source=_LOOKED_AT)
    open_lung_share: float = setting(0.9, "share of it with the body before and behind")
    min_region_ml: float = setting(
        15.0, "smaller separate regions of air are no lung", unit="ml", source=_LOOKED_AT
    )
    closing_mm: float = setting(
        8.0,
        "gaps up to twice this width, such as vessels of the hilum, are lung",
        unit="mm",
        source="near the 9 mm of the prototype that was measured, told in ARCHITECTURE.md",
    )
    margin_closing_mm: float = setting(
        3.0,
        "the same at the refined boundary: juxtapleural nodules up to this radius stay inside",
        unit="mm",
    )
    shell_mm: float = setting(
        3.0,
        "the boundary is refined within this distance of the coarse one",
        unit="mm",
        source="two coarse voxels; measured: a coarse boundary was off by 2.2 mm at most on a "
        "phantom, told in ARCHITECTURE.md",
    )
    smoothing_mm: float = setting(
        0.7, "standard deviation of the Gaussian under which it is refined", unit="mm"
    )
    wall_hu: float = setting(40.0, "soft tissue: the boundary is midway to lung", unit="HU")
    split_share: float = setting(
        0.2, "smallest share of the air that is a lung when joined lungs are parted"
    )
    crop_margin_mm: float = setting(10.0, "margin of the crop round the lungs", unit="mm")

    trachea_area_mm2: tuple[float, float] = setting(
        (30.0, 700.0), "area of an axial section of the trachea", unit="mm2"
    )
    trachea_length_mm: float = setting(15.0, "shortest trachea to start from", unit="mm")
    trachea_reach_mm: float = setting(45.0, "its distance from the midline", unit="mm")
    airway_hu: tuple[float, ...] = setting(
        (-960.0, -940.0, -920.0, -900.0, -880.0, -860.0, -840.0, -820.0),
        "limits under which the airways are grown, until they leak",
        unit="HU",
    )
    airway_max_ml: float = setting(120.0, "largest airway tree, else it leaked", unit="ml")
    airway_max_growth: float = setting(1.6, "largest growth from limit to limit, else it leaked")
    airway_cut_mm: float = setting(
        2.5, "bronchi narrower than twice this stay in the lung", unit="mm", source=_LOOKED_AT
    )
    airway_wall_mm: float = setting(1.6, "thickness of the wall cut out with it", unit="mm")

    gas_hu: float = setting(-930.0, "gas of stomach and bowel is below", unit="HU")
    gas_ml: tuple[float, float] = setting((1.5, 1000.0), "volume of a pocket", unit="ml")
    gas_soft_share: float = setting(
        0.6, "share of a pocket's surroundings that is soft tissue, else it is a bulla"
    )

    cut_cm2: float = setting(
        8.0, "a lung with a larger section in the first or last slice is cut off", unit="cm2"
    )
    asymmetry_ratio: float = setting(
        0.6, "a lung smaller than this share of the other is noted as small"
    )
    min_ratio: float = setting(
        0.25, "a lung smaller than this share of the other is not judged: collapsed or encased"
    )
    min_volume_ml: float = setting(
        60.0, "a smaller lung that the scan covers is not judged", unit="ml"
    )
    lump_hu: float = setting(-200.0, "dense tissue inside a lung is above", unit="HU")
    lump_radius_mm: float = setting(
        8.5,
        "dense tissue that holds a ball of this radius is mass or consolidation, not vessel",
        unit="mm",
        source="wider than a descending pulmonary artery (16 mm)",
    )
