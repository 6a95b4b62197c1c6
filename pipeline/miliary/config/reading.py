"""Settings of reading: what counts as a sound series, which one is chosen, and the caps."""

from __future__ import annotations

from dataclasses import dataclass

from miliary.config.fields import setting

#: What can be resampled where it is allowed: gaps, uneven distances, gantry tilt.
ALLOWED = ("missing", "variable", "tilt")


@dataclass(frozen=True)
class ReadSettings:
    """Finding, judging, choosing and reading series.

    Parameters
    ----------
    min_slices : int
        Fewest slices of a series.
    step_tolerance : float
        Largest deviation of a slice distance from the median one, as a share of it.
    coincident_mm : float
        Distance below which two slices are at one position.
    tilt_deg : float
        Largest angle between the line through the slices' first voxels and the slice normal.
    shift_mm : float
        Largest sideways deviation of one slice from that line.
    same_direction : float
        Largest difference between direction cosines, and between pixel sizes in mm, of one grid.
    allow : tuple of str
        What is not refused but resampled onto an even grid: `missing`, `variable`, `tilt`.
    max_gap_mm : float
        Longest distance between two slices that is interpolated over where that is allowed.
    pixel_mm, step_mm : (2,) float
        Ranges of pixel sizes and of slice distances that a CT of the chest can have.
    position_mm : float
        Largest coordinate that a position can have.
    chest_mm, part_mm : float
        Lengths that a series must cover to be taken for a whole chest, and to be looked at before
        thicker but longer ones.
    thin_mm : float
        Largest slice thickness and distance that shows nodules of 2 mm.
    thickness_band_mm : float
        Thicknesses in one band of this width count as equal when a series is chosen.
    sharp_kernels : tuple of str
        Regular expressions of sharp (lung) kernels, matched at the start of the kernel's name.
    air_hu, tissue_hu : (2,) float
        Ranges in which a part of the voxels must lie for values to be taken for HU.
    least_share : float
        The smallest such part.
    max_rows : int
        Cap on the rows and columns of a slice.
    max_slices : int
        Cap on the slices of a series.
    max_file_mb : float
        Cap on one file, one zip member, and one inflated header.
    max_zip_mb : float
        Cap on all members of one zip together.
    max_volume_mb : float
        Cap on the voxels of one series.
    decode_seconds : float
        Longest time that one compressed slice may take.
    decode_mb : float
        Most memory that a decoder may take.
    threads : int
        Compressed slices decoded side by side.
    mask_paths : bool
        Hide folder and file names that hold a patient's name or id, or a UID.
    """

    min_slices: int = setting(
        10, "fewest slices of a series", source="judgement: localizers and captures have fewer"
    )
    step_tolerance: float = setting(
        0.05,
        "largest deviation of a slice distance from the median one, as a share of it",
        source="measured: a prototype loader with this limit was right on 34 of 35 made folders, "
        "told in ARCHITECTURE.md",
    )
    coincident_mm: float = setting(
        1e-3,
        "two slices nearer than this are at one position",
        unit="mm",
        source="measured: the same prototype loader",
    )
    tilt_deg: float = setting(
        0.2,
        "largest angle between the line of slices and their normal",
        unit="degrees",
        source="0.2 degrees move the last of 300 mm by 1 mm, about one voxel",
    )
    shift_mm: float = setting(
        0.5,
        "largest sideways deviation of one slice from that line",
        unit="mm",
        source="below one pixel of a chest CT (0.5 to 0.9 mm)",
    )
    same_direction: float = setting(
        1e-3,
        "largest difference of direction cosines, and of pixel sizes in mm, within one grid",
        source="0.06 degrees, the tolerance of Geometry",
    )
    allow: tuple[str, ...] = setting(
        (),
        "resample instead of refusing: any of missing, variable, tilt",
        source="choice: by default nothing is analysed that was not scanned",
    )
    max_gap_mm: float = setting(
        10.0,
        "longest distance between two slices that is interpolated over where allowed",
        unit="mm",
        source="judgement: what lies in a longer gap cannot be guessed",
    )
    pixel_mm: tuple[float, float] = setting(
        (0.05, 10.0),
        "range of pixel sizes",
        unit="mm",
        source="judgement: a field of 50 mm on 1024 pixels, to a coarse phantom",
    )
    step_mm: tuple[float, float] = setting(
        (0.05, 20.0),
        "range of slice distances",
        unit="mm",
        source="judgement: high-resolution series skip 10 to 20 mm; nothing is scanned finer",
    )
    position_mm: float = setting(
        1e5,
        "largest coordinate of a position",
        unit="mm",
        source="judgement: tables move by two metres; more is a damaged header",
    )
    chest_mm: float = setting(
        200.0,
        "length that a series must cover to be taken for a whole chest",
        unit="mm",
        source="judgement: lungs of adults are 200 to 300 mm high in inspiration",
    )
    part_mm: float = setting(
        60.0,
        "length that a thin series must cover to be preferred to a thick one",
        unit="mm",
        source="judgement: a quarter of the lungs",
    )
    thin_mm: float = setting(
        1.5,
        "thicker or farther apart slices do not show nodules of 2 mm",
        unit="mm",
        source="as pattern.max_slice_mm",
    )
    thickness_band_mm: float = setting(
        0.5,
        "thicknesses within one band of this width count as equal when a series is chosen",
        unit="mm",
        source="judgement: a kernel matters more than 0.4 mm of thickness",
    )
    sharp_kernels: tuple[str, ...] = setting(
        (
            "LUNG|BONE|EDGE|CHEST",
            "[BIHU]R?[5-8][0-9]",
            "B[LR][5-7][0-9]",
            "QR[5-7]",
            "FC(3[0-5]|5[0-9]|8[0-9])",
            "[CDEL]$|Y[A-D]",
        ),
        "sharp (lung) kernels: regular expressions matched at the start of the name",
        source="makers' names: GE, Siemens, Canon/Toshiba, Philips; judgement where it ends",
    )
    air_hu: tuple[float, float] = setting(
        (-1100.0, -500.0), "air and lung", unit="HU", source="definition of the Hounsfield scale"
    )
    tissue_hu: tuple[float, float] = setting(
        (-200.0, 300.0), "soft tissue and fat", unit="HU", source="definition of the scale"
    )
    least_share: float = setting(
        0.01, "part of the voxels that must lie in each of the two", source="judgement"
    )
    max_rows: int = setting(
        4096,
        "cap on rows and columns",
        source="judgement: eight times the usual 512; a header of 2 kB can claim 65535",
    )
    max_slices: int = setting(
        5000,
        "cap on the slices of a series",
        source="judgement: ten times a thin chest scan; a header of 2 kB can claim 200,000",
    )
    max_file_mb: float = setting(
        2048.0, "cap on one file, one zip member, one inflated header", unit="MB"
    )
    max_zip_mb: float = setting(8192.0, "cap on the members of one zip together", unit="MB")
    max_volume_mb: float = setting(4096.0, "cap on the voxels of one series", unit="MB")
    decode_seconds: float = setting(
        30.0,
        "longest time that one compressed slice may take to decode",
        unit="s",
        source="measured: the slowest coding takes 0.15 s for 512 x 512",
    )
    decode_mb: float = setting(
        1024.0,
        "most memory that a decoder may take",
        unit="MB",
        source="judgement: ten times what a slice of 4096 x 4096 takes",
    )
    threads: int = setting(
        2,
        "compressed slices decoded side by side, each in a process of its own",
        source="measured: 275 JPEG-LS slices of 512 x 512 took 1.6 s with two, 4.3 s with one",
    )
    mask_paths: bool = setting(
        True, "hide path parts that hold a patient's name or id, or a UID, in tables and sentences"
    )

    def __post_init__(self) -> None:
        if self.min_slices < 2:
            raise ValueError(f"min_slices must be at least 2, got {self.min_slices}")
        if not 0 < self.step_tolerance < 0.5:
            raise ValueError(f"step_tolerance must be in 0 to 0.5, got {self.step_tolerance}")
        if self.threads < 1:
            raise ValueError(f"threads must be at least 1, got {self.threads}")
        unknown = [name for name in self.allow if name not in ALLOWED]
        if unknown:
            raise ValueError(f"allow must be any of {', '.join(ALLOWED)}, got {unknown[0]!r}")
