"""Scans as a comparison sees them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from miliary.arrays import AnyArray, FloatArray
from miliary.findings import Sensitivity

#: What the summary calls a pleural rind among the parts of a hemithorax that cannot be judged.
_RIND = "rind or effusion"


def no_points() -> FloatArray:
    """Give the places of no nodule.

    Returns
    -------
    (0, 3) float
        No rows.
    """
    return np.empty((0, 3))


@dataclass(frozen=True, eq=False)
class RindRecord:
    """Thickness of the pleural rind of one lung, point by point.

    Parameters
    ----------
    points_mm : (N, 3) float
        Places on the surface of the aerated lung, world `(x, y, z)` in mm (LPS).
    thickness_mm : (N,) float
        Shortest way from each through the rind.
    """

    points_mm: FloatArray
    thickness_mm: FloatArray


@dataclass(frozen=True, eq=False)
class LungRecord:
    """One lung of one scan.

    Parameters
    ----------
    side : str
        `right` or `left`.
    volume_ml, evaluable_ml : float
        Aerated lung, and the part of it in which nodules can be seen.
    diameter_mm : (N,) float
        Of the nodules that the operating point accepts, the bias measured in the scan taken out.
    zone : (N,) str
        Zone of each: `upper`, `middle`, `lower`.
    zones_ml : tuple of (zone, ml)
        Evaluable volume of each zone, as far as known.
    points_mm : (N, 3) float
        Centres of the nodules, world (LPS); of length 0 where they are not known.
    excluded : tuple of (reason, ml)
        What of the hemithorax cannot be judged, and why.
    hemithorax_ml : float or None
        Everything inside the pleura.
    rind : RindRecord or None
        Its pleural rind; None where there is none or it was not kept.
    septa_cm2_per_ml : float or None
        Area of the septa that are seen, a volume of lung; None where it is not known.
    """

    side: str
    volume_ml: float
    evaluable_ml: float
    diameter_mm: FloatArray
    zone: AnyArray
    zones_ml: tuple[tuple[str, float], ...] = ()
    points_mm: FloatArray = field(default_factory=no_points)
    excluded: tuple[tuple[str, float], ...] = ()
    hemithorax_ml: float | None = None
    rind: RindRecord | None = None
    septa_cm2_per_ml: float | None = None

    @property
    def rind_ml(self) -> float:
        """Volume of pleural rind or effusion."""
        return sum(ml for reason, ml in self.excluded if reason == _RIND)

    @property
    def evaluable_share(self) -> float | None:
        """Part of the hemithorax in which nodules can be seen; None where it is unknown."""
        return self.evaluable_ml / self.hemithorax_ml if self.hemithorax_ml else None

    def count(self, zone: str = "all") -> int:
        """Count the nodules.

        Parameters
        ----------
        zone : str
            A zone, or `all`.

        Returns
        -------
        int
            Their number.
        """
        return len(self.zone) if zone == "all" else int(np.count_nonzero(self.zone == zone))

    def evaluable(self, zone: str = "all") -> float | None:
        """Give the evaluable volume.

        Parameters
        ----------
        zone : str
            A zone, or `all`.

        Returns
        -------
        float or None
            In ml; None where unknown.
        """
        return self.evaluable_ml if zone == "all" else dict(self.zones_ml).get(zone)


@dataclass(frozen=True, eq=False)
class CaseRecord:
    """One scan, as far as a comparison needs it; what is unknown is None.

    Parameters
    ----------
    name : str
        Pseudonymous name of the case.
    lungs : tuple of LungRecord
        Those found, right first.
    sensitivity : tuple of Sensitivity
        Of the whole lungs, diameters increasing; empty when not calibrated.
    median_mm : float or None
        Median diameter of the nodules of the lungs involved.
    pattern, flag : str
        As in `summary.json`.
    extent : str or None
        `bilateral`, `right`, `left`.
    numerous_per_l : float or None
        Limit that the scan was judged with.
    spacing_mm : (3,) float or None
        Voxel size along z, y and x.
    slice_thickness_mm, noise_hu : float or None
        Nominal thickness, standard deviation of the noise.
    kernel : str or None
        As the maker names it.
    settings_hash : str
        Equal for scans analysed by one version with one configuration; empty where unknown.
    exposure_mas : float or None
        Dose of the tube.
    patient : str
        Mark by which different patients are told apart; empty where unknown.
    day : int or None
        Day of the scan; only differences of days of one patient mean something.
    size_sd_mm : tuple of (diameter_mm, value)
        Spread of the errors of measured diameters.
    injected : int
        Nodules put in to calibrate the scan.
    """

    name: str
    lungs: tuple[LungRecord, ...]
    sensitivity: tuple[Sensitivity, ...] = ()
    median_mm: float | None = None
    pattern: str = "indeterminate"
    flag: str = "indeterminate"
    extent: str | None = None
    numerous_per_l: float | None = None
    spacing_mm: tuple[float, float, float] | None = None
    slice_thickness_mm: float | None = None
    noise_hu: float | None = None
    kernel: str | None = None
    settings_hash: str = ""
    exposure_mas: float | None = None
    patient: str = ""
    day: int | None = None
    size_sd_mm: tuple[tuple[float, float], ...] = ()
    injected: int = 0

    def lung(self, side: str) -> LungRecord | None:
        """Give one lung, or None where it was not found or cannot be judged.

        Parameters
        ----------
        side : str
            `right` or `left`.

        Returns
        -------
        LungRecord or None
            The lung.
        """
        return next((x for x in self.lungs if x.side == side and x.evaluable_ml > 0), None)

    def side(self, side: str) -> LungRecord | None:
        """Give one lung even where it cannot be judged; None where it was not found.

        Parameters
        ----------
        side : str
            `right` or `left`.

        Returns
        -------
        LungRecord or None
            The lung.
        """
        return next((x for x in self.lungs if x.side == side), None)
