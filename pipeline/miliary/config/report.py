"""Settings of `miliary.report`."""

from __future__ import annotations

from dataclasses import dataclass, fields

from miliary.config.fields import setting


@dataclass(frozen=True)
class ReportSettings:
    """How the page for people shows a case; nothing here changes a result."""

    slab_mm: float = setting(
        10.0,
        "thickness of the sliding maximum intensity projections",
        unit="mm",
        source="Zheng 2020, CMPB: a detector of nodules found most in slabs of 10 mm, 90.0 % at 8 "
        "false positives, against 82.8 % in slices of 1 mm",
    )
    slab_step_mm: float = setting(
        5.0,
        "distance between neighbouring projections; half the thickness, so that no nodule "
        "is seen only at an edge",
        unit="mm",
    )
    max_slabs: int = setting(
        40, "most projections on a page; the step grows where the lungs would need more"
    )
    key_levels: int = setting(6, "levels shown as small pictures, and in print")
    window_center_hu: float = setting(-600.0, "centre of the lung window", unit="HU")
    window_width_hu: float = setting(1500.0, "width of the lung window", unit="HU")
    picture_px: int = setting(520, "largest width of a projection", unit="pixel")
    picture_quality: int = setting(
        75,
        "JPEG quality of the projections, 1 to 100",
        source="as near to the image as WebP of quality 72 (35.5 dB) in a 400x512x512 scan: 40 "
        "projections take 0.56 MB in place of 0.36, and 8 ms in place of 160",
    )
    margin_mm: float = setting(5.0, "border left round the lungs", unit="mm")
    ring_mm: float = setting(2.5, "gap between a nodule and the ring round it", unit="mm")
    nodule_map: bool = setting(
        False,
        "with --dicom, write nodules.seg.dcm too: each nodule a segment of a label map, which "
        "few viewers know yet",
    )

    viewer: bool = setting(
        False,
        "write viewer.html too: the lungs' part of the scan in three planes, with masks and "
        "nodules; it holds the images of the patient (`miliary run --viewer` sets this)",
    )
    viewer_quality: int = setting(
        92,
        "WebP quality of the viewer's slices, 1 to 100",
        source="lidc-0314 and nlst-low-dose: grey values off by 11 HU (root mean square) at a "
        "noise of 50 to 100 HU, 2 bits a voxel; without loss 5 to 6 bits",
    )
    viewer_megavoxels: int = setting(
        100,
        "most voxels of the viewer, in millions; more are averaged in blocks",
        source="judgement: a browser holds two bytes a voxel; the lungs of 512 x 512 x 400 voxels "
        "take 60 to 80 million",
    )

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            free = isinstance(value, bool) or item.name == "window_center_hu"
            if not free and not value > 0:
                raise ValueError(f"{item.name} must be above 0, got {value}")
        for name in ("picture_quality", "viewer_quality"):
            if getattr(self, name) > 100:
                raise ValueError(f"{name} must be at most 100, got {getattr(self, name)}")
