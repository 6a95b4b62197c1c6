"""What a phantom is asked to be, and what it then is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from miliary.arrays import AnyArray, BoolArray, FloatArray, LabelArray
from miliary.volume import Volume

PATTERNS = ("none", "random", "centrilobular", "perilymphatic", "metastases")
DISEASED = ("both", "right", "left")

#: Size of an adult chest in full inspiration along z, y and x: what `scale` 1 needs to be seen.
CHEST_MM = (300.0, 262.0, 372.0)


@dataclass(frozen=True)
class PhantomSpec:
    """The wishes for a synthetic chest CT.

    Parameters
    ----------
    shape : (3,) int
        Voxels along z, y and x.
    spacing_mm : (3,) float
        Voxel size along z, y and x in mm.
    scale : float or None
        Size of the chest as a part of an adult's (lungs of about 4.5 litres); None is the
        largest that fits into the field of view, 1 at most. Vessels keep their true calibre
        and spacing whatever the scale: a smaller lung has fewer of them.
    pattern : str
        `none`, `random`, `centrilobular`, `perilymphatic` or `metastases`.
    n_nodules : int
        How many nodules; metastases are few (some ten).
    diameter_mm, diameter_sd_mm : float
        Mean and standard deviation of the normal distribution of diameters in mm, cut at
        0.6 mm. Metastases instead are spread evenly from 3 to 15 mm.
    lungs : str
        Which lungs bear nodules: `both`, `right` or `left`.
    nodule_hu : float
        Attenuation of nodules in HU.
    noise_hu : float
        Standard deviation of the noise in HU.
    noise_peak_per_mm : float
        Frequency at which the in-plane noise power has its peak, in 1/mm: about 0.25 for a
        soft kernel, 0.5 and more for a sharp one.
    psf_fwhm_mm : (3,) float
        Full width at half maximum of the whole point spread along z, y and x in mm.
    vessel_tip_radius_mm : float
        Radius of the last vessels grown, in mm; the others follow by Murray's law.
    vessel_tip_spacing_mm : float
        Distance between the tips of one tree, in mm.
    incomplete_fissures : bool
        Whether parts of the fissures are missing, as in most people.
    seed : int
        Seed of the default random generator: the same seed gives the same phantom bit for bit.
    """

    shape: tuple[int, int, int] = (100, 192, 192)
    spacing_mm: tuple[float, float, float] = (1.0, 0.9, 0.9)
    scale: float | None = None
    pattern: str = "random"
    n_nodules: int = 200
    diameter_mm: float = 1.8
    diameter_sd_mm: float = 0.2
    lungs: str = "both"
    nodule_hu: float = 30.0
    noise_hu: float = 30.0
    noise_peak_per_mm: float = 0.35
    psf_fwhm_mm: tuple[float, float, float] = (1.1, 1.0, 1.0)
    vessel_tip_radius_mm: float = 0.3
    vessel_tip_spacing_mm: float = 7.0
    incomplete_fissures: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        if self.pattern not in PATTERNS:
            raise ValueError(f"pattern must be one of {PATTERNS}, got {self.pattern!r}")
        if self.lungs not in DISEASED:
            raise ValueError(f"lungs must be one of {DISEASED}, got {self.lungs!r}")
        for name in ("shape", "spacing_mm", "psf_fwhm_mm"):
            if len(getattr(self, name)) != 3 or not min(getattr(self, name)) > 0:
                raise ValueError(
                    f"{name} must be three positive numbers, got {getattr(self, name)}"
                )
        for name in ("n_nodules", "diameter_sd_mm", "noise_hu"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        for name in ("diameter_mm", "vessel_tip_radius_mm", "vessel_tip_spacing_mm"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        if self.scale is not None and not 0.2 <= self.scale <= 1.5:
            raise ValueError(f"scale must be from 0.2 to 1.5, got {self.scale}")

    @property
    def chest_scale(self) -> float:
        """Size of the chest as a part of an adult's, never None."""
        if self.scale is not None:
            return self.scale
        field_mm = np.array(self.shape) * self.spacing_mm
        return float(np.clip((field_mm / CHEST_MM).min(), 0.2, 1.0))

    @property
    def psf_sigma_mm(self) -> tuple[float, float, float]:
        """Standard deviations of the point spread along z, y and x in mm."""
        z, y, x = (width / np.sqrt(8 * np.log(2)) for width in self.psf_fwhm_mm)
        return float(z), float(y), float(x)


@dataclass(frozen=True, eq=False)
class TrueNodules:
    """The nodules that a phantom holds, one row each.

    Parameters
    ----------
    points_mm : (N, 3) float
        Centres `(x, y, z)` in mm (LPS).
    diameter_mm : (N,) float
        Diameters of the balls.
    lung : (N,) str
        `right` or `left`.
    """

    points_mm: FloatArray
    diameter_mm: FloatArray
    lung: AnyArray

    def __len__(self) -> int:
        return len(self.points_mm)

    def columns(self) -> dict[str, AnyArray]:
        """Give the columns of `truth.csv` by name, in order.

        Returns
        -------
        dict of str to (N,) array
            x_mm, y_mm, z_mm, diameter_mm, lung.
        """
        x, y, z = self.points_mm.reshape(-1, 3).T
        places = {"x_mm": x, "y_mm": y, "z_mm": z}
        return {**places, "diameter_mm": self.diameter_mm, "lung": self.lung}


@dataclass(frozen=True, eq=False)
class Phantom:
    """A synthetic chest CT with everything that is known of it.

    Parameters
    ----------
    spec : PhantomSpec
        What was asked for.
    volume : Volume
        The scan, int16.
    nodules : TrueNodules
        The nodules in it.
    lung_labels : (z, y, x) uint8
        1 right lung, 2 left lung, with the vessels, airways and nodules inside the pleura.
    lobe_labels : (z, y, x) uint8
        1 RUL, 2 RML, 3 RLL, 4 LUL, 5 LLL.
    vessel_mask : (z, y, x) bool
        Voxels of which arteries and veins fill a quarter or more, after the point spread.
    airway_mask : (z, y, x) bool
        Air in trachea and bronchi, half of the voxel or more.
    fissure_mask : (z, y, x) bool
        Voxels whose centre lies within 0.75 mm of a fissure, where the fissure is there.
    """

    spec: PhantomSpec
    volume: Volume
    nodules: TrueNodules
    lung_labels: LabelArray
    lobe_labels: LabelArray
    vessel_mask: BoolArray
    airway_mask: BoolArray
    fissure_mask: BoolArray
