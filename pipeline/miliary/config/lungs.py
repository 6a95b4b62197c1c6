"""Settings of `miliary.lungs`."""

from __future__ import annotations

from dataclasses import dataclass

from miliary.config.fields import setting

_LOOKED_AT = (
    "looked at on the scans lidc-0314, nlst-low-dose and rider-0117-lower, named in ARCHITECTURE.md"
)
_RIND = (
    "measured: rinds of 5, 12 and 16 mm on phantoms had 0.71 to 0.94 of that surface above 5 mm, "
    "lungs without one there and in three real scans 0.04 to 0.28"
)
_BODIES = (
    "tried on phantoms with rinds of 3 to 15 mm on either side, seeds 9201, 9411 and 9601 to 9606; "
    "measured on others by benchmarks/serial.py"
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
    island_ml: float = setting(
        3.0, "but regions from this size are, close to a lung and as dense", unit="ml"
    )
    island_hu: tuple[float, float] = setting(
        (-900.0, -650.0), "mean of such a region: gas is thinner, stool denser", unit="HU"
    )
    island_reach_mm: float = setting(
        40.0,
        "how near to a lung all of such a region lies",
        unit="mm",
        source="measured: the one on a phantom 35 mm, a pocket of bowel on lidc-0314 86 mm",
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

    wall_reach_mm: float = setting(
        2.0, "walls of bronchi are looked for this far from their air", unit="mm"
    )
    wall_least_hu: float = setting(-600.0, "and are denser than", unit="HU")

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

    veins_below_mm: float = setting(
        50.0,
        "the inferior pulmonary veins lie this far below the carina, our convention",
        unit="mm",
    )
    veins_below_share: float = setting(
        0.2, "but at most this share of the taller lung's height: a small or cut-off chest"
    )
    peripheral_mm: float = setting(
        20.0, "lung this near to the pleura is peripheral, our convention", unit="mm"
    )

    rind_hu: float = setting(
        -10.0, "a rind or effusion is denser, fat is not; on the coarse grid", unit="HU"
    )
    rind_reach_mm: float = setting(45.0, "thickest layer that is looked for", unit="mm")
    rind_rise_mm: float = setting(
        2.6,
        "between lung and a layer that takes longer to become dense lies fat",
        unit="mm",
        source=_RIND,
    )
    rind_least_mm: float = setting(
        5.0, "a thicker layer between lung and ribs is no muscle", unit="mm", source=_RIND
    )
    rind_share: float = setting(
        0.4,
        "share of the surface towards the ribs with such a layer, from which the lung has a rind",
        source=_RIND,
    )
    rind_outlier: float = setting(
        2.5, "a layer this many times as thick as usual is something else: heart, liver"
    )
    rind_beyond: float = setting(
        1.8,
        "the same for a ray that does not look at ribs, of the rays nearby that do",
        source=_BODIES,
    )
    rind_in_layer: float = setting(
        0.5,
        "a body of soft tissue is rind when more of it lies in the layer that rays tell of",
        source=_BODIES,
    )
    rind_thickest: float = setting(
        1.8, "a body deeper than this many times the layer is an organ", source=_BODIES
    )
    rind_flat: float = setting(
        1.2,
        "a body that leans on a rind is as flat: no deeper than so many times the layer, as in "
        "sheets pleura lies on pleura",
        source=_BODIES,
    )
    rind_on_ribs: float = setting(
        0.1, "such a body is rind when more than this share of it leans on the ribs", source=_BODIES
    )
    rind_ribs_mm: float = setting(8.0, "that is, lies this near to them", unit="mm", source=_BODIES)
    organ_least_mm: float = setting(
        12.0, "a body of less depth is no organ because of its depth", unit="mm", source=_BODIES
    )
    organ_in_layer: float = setting(
        0.3,
        "of an organ no larger share lies in the layer; a flat body with more is rind",
        source=_BODIES,
    )
    rind_closing_mm: float = setting(4.0, "gaps of a rind up to twice this are rind", unit="mm")
    rind_lobe_mm: float = setting(
        20.0, "what lies deeper than this beside a rind is a lobe, else it is rind", unit="mm"
    )
    rind_margin_mm: float = setting(
        2.0, "soft tissue this near to a rind is rind: corners that no ray meets", unit="mm"
    )
    rib_closing_mm: float = setting(
        9.0, "gaps between ribs up to twice this are chest wall", unit="mm"
    )

    collapse_ratio: float = setting(
        0.9, "a side with less air than this share of the usual one is looked at for collapse"
    )
    collapse_share: float = setting(
        0.6, "share of a part of the tissue that lies where the other lung, mirrored, lies"
    )
    collapse_weak_share: float = setting(0.3, "the same for a part that leans on such a one")
    collapse_lean: float = setting(0.1, "share of its surface with which a part leans on another")
    collapse_touch: float = setting(
        0.03, "share of its surroundings that is lung or rind: the heart lies in fat"
    )
    collapse_open: float = setting(
        0.25, "share of its surroundings that is tissue too, from which it is no closed lobe"
    )
    collapse_below: float = setting(
        0.5, "share of it under lung, from which an open part is liver or spleen"
    )
    collapse_closing_mm: float = setting(4.0, "bronchi in it up to twice this wide", unit="mm")
    collapse_ml: float = setting(30.0, "smaller ones are not told", unit="ml")
