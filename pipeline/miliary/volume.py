"""A CT as the steps see it: Hounsfield units on one grid, and how it was acquired."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from miliary.arrays import AnyArray
from miliary.geometry import Geometry


@dataclass(frozen=True)
class Acquisition:
    """What the headers say of the scan: technical facts only, nothing of the patient.

    Parameters
    ----------
    slice_thickness_mm : float or None
        Nominal slice thickness; the distance between slices is the geometry's.
    kernel : str or None
        Convolution kernel, as the maker names it.
    manufacturer, model : str or None
        Maker and model of the scanner.
    kvp : float or None
        Tube voltage in kV.
    exposure_mas : float or None
        Exposure in mAs.
    contrast_agent : bool or None
        Whether a contrast agent is named.
    resampled : str or None
        Where and why slices were interpolated when the scan was read; None where none was.
    """

    slice_thickness_mm: float | None = None
    kernel: str | None = None
    manufacturer: str | None = None
    model: str | None = None
    kvp: float | None = None
    exposure_mas: float | None = None
    contrast_agent: bool | None = None
    resampled: str | None = None


@dataclass(frozen=True, eq=False)
class Volume:
    """A CT in Hounsfield units.

    The axes of the array are within 45 degrees of the patient's: z upwards (to the head), y to
    the back, x to the patient's left. Readers turn whatever they get into this order; the affine
    keeps the truth.

    Parameters
    ----------
    hu : (z, y, x) int16 or float32
        Hounsfield units; what was not scanned is -1024.
    geometry : Geometry
        Where the voxels are.
    acquisition : Acquisition
        What the headers say of the scan.
    case : str
        Pseudonymous name of the case.
    source : str
        Path of the input relative to what the user named.
    notes : tuple of str
        Sentences for a reader about what was odd in the input.
    provenance : tuple of (str, str)
        Facts about the input for `provenance.json`: hashes and counts, nothing of the patient.
    """

    hu: AnyArray
    geometry: Geometry
    acquisition: Acquisition = field(default_factory=Acquisition)
    case: str = "case"
    source: str = ""
    notes: tuple[str, ...] = ()
    provenance: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if self.hu.shape != self.geometry.shape:
            raise ValueError(
                f"hu must have the shape of its geometry {self.geometry.shape}, got {self.hu.shape}"
            )
        if self.hu.dtype not in (np.dtype(np.int16), np.dtype(np.float32)):
            raise ValueError(f"hu must be int16 or float32, got {self.hu.dtype}; convert it")

    @classmethod
    def from_array(
        cls,
        hu: AnyArray,
        spacing_mm: tuple[float, float, float],
        origin_mm: tuple[float, float, float] = (0.0, 0.0, 0.0),
    ) -> Volume:
        """Make a volume of a plain array whose axes are the patient's.

        Parameters
        ----------
        hu : (z, y, x) int or float
            Hounsfield units; z upwards, y to the back, x to the patient's left.
        spacing_mm : (3,) float
            Voxel size along z, y and x.
        origin_mm : (3,) float
            World point `(x, y, z)` (LPS) of the first voxel's centre.

        Returns
        -------
        Volume
            With int16 values kept as they are, and all others as float32.
        """
        kept = hu if hu.dtype == np.int16 else np.asarray(hu, np.float32)
        z, y, x = kept.shape
        return cls(kept, Geometry.aligned((z, y, x), spacing_mm, origin_mm))

    @property
    def slice_mm(self) -> float:
        """The larger of slice thickness and slice distance: what limits the resolution along z."""
        distance = float(self.geometry.spacing_mm[0])
        return max(distance, self.acquisition.slice_thickness_mm or 0.0)
