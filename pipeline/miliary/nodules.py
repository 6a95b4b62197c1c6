"""Tables of what was found: candidates of the detector, and nodules with their sizes."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from miliary.arrays import AnyArray, BoolArray, FloatArray

if TYPE_CHECKING:
    import pandas as pd

#: The columns of `nodules.csv`, in their order. The contract fixes them.
NODULE_COLUMNS = (
    "nodule",
    "x_mm",
    "y_mm",
    "z_mm",
    "diameter_mm",
    "diameter_se_mm",
    "contrast_hu",
    "score",
    "lung",
    "lobe",
    "zone",
    "pleura_mm",
    "fissure_mm",
    "vessel_mm",
    "micronodule",
)


@dataclass(frozen=True, eq=False)
class Candidates:
    """Places that may be nodules, each with the probability that it is one.

    Parameters
    ----------
    index_zyx : (N, 3) float
        Centres, as indices into the crop of the anatomy.
    sigma_mm : (N,) float
        Scale at which the response was strongest.
    response_hu : (N,) float
        Scale-normalised blob response there.
    score : (N,) float
        Probability of being a nodule, 0 to 1.
    """

    index_zyx: FloatArray
    sigma_mm: FloatArray
    response_hu: FloatArray
    score: FloatArray

    def __len__(self) -> int:
        return len(self.index_zyx)

    def take(self, chosen: AnyArray) -> Candidates:
        """Keep some of the rows.

        Parameters
        ----------
        chosen : (N,) bool or (M,) int
            Which ones.

        Returns
        -------
        Candidates
            Those rows, in the order asked for.
        """
        return Candidates(**{f.name: getattr(self, f.name)[chosen] for f in fields(self)})

    def join(self, others: Candidates) -> Candidates:
        """Put other rows behind these.

        Parameters
        ----------
        others : Candidates
            Candidates of the same scan.

        Returns
        -------
        Candidates
            These rows, then the others.
        """
        columns = [f.name for f in fields(self)]
        pairs = {name: (getattr(self, name), getattr(others, name)) for name in columns}
        return Candidates(**{name: np.concatenate(pair) for name, pair in pairs.items()})


@dataclass(frozen=True, eq=False)
class Nodules:
    """Nodules with their places and sizes, one row each; nothing found is a table of length 0.

    Parameters
    ----------
    points_mm : (N, 3) float
        Centres `(x, y, z)` in mm (LPS).
    diameter_mm, diameter_se_mm : (N,) float
        Diameter of the fitted ball and its standard error.
    contrast_hu : (N,) float
        Fitted contrast to the lung around it.
    score : (N,) float
        Probability of being a nodule.
    lung : (N,) str
        `right` or `left`.
    lobe : (N,) str
        RUL, RML, RLL, LUL, LLL, or empty where unknown.
    zone : (N,) str
        `upper`, `middle` or `lower`.
    pleura_mm, fissure_mm, vessel_mm : (N,) float
        Distance of the centre to the nearest surface of each; NaN where unknown.
    micronodule : (N,) bool
        Whether the diameter is at most the configured limit.
    """

    points_mm: FloatArray
    diameter_mm: FloatArray
    diameter_se_mm: FloatArray
    contrast_hu: FloatArray
    score: FloatArray
    lung: AnyArray
    lobe: AnyArray
    zone: AnyArray
    pleura_mm: FloatArray
    fissure_mm: FloatArray
    vessel_mm: FloatArray
    micronodule: BoolArray

    def __len__(self) -> int:
        return len(self.points_mm)

    @classmethod
    def empty(cls) -> Nodules:
        """Make the table of a scan in which nothing was found.

        Returns
        -------
        Nodules
            Of length 0.
        """
        text, number = np.empty(0, "U6"), np.empty(0)
        return cls(
            np.empty((0, 3)),
            *(number,) * 4,
            *(text,) * 3,
            *(number,) * 3,
            micronodule=np.empty(0, bool),
        )

    def take(self, chosen: AnyArray) -> Nodules:
        """Keep some of the rows.

        Parameters
        ----------
        chosen : (N,) bool or (M,) int
            Which ones.

        Returns
        -------
        Nodules
            Those rows, in the order asked for.
        """
        return Nodules(**{f.name: getattr(self, f.name)[chosen] for f in fields(self)})

    def columns(self) -> dict[str, AnyArray]:
        """Give the columns of `nodules.csv` by name, in order.

        Returns
        -------
        dict of str to (N,) array
            `NODULE_COLUMNS`; `nodule` counts from 1.
        """
        x, y, z = self.points_mm.reshape(-1, 3).T
        places = {"nodule": np.arange(1, len(self) + 1), "x_mm": x, "y_mm": y, "z_mm": z}
        return {
            name: places[name] if name in places else getattr(self, name) for name in NODULE_COLUMNS
        }

    def to_frame(self) -> pd.DataFrame:
        """Give the table as a pandas DataFrame with the columns of `nodules.csv`.

        Returns
        -------
        pandas.DataFrame
            One row a nodule.

        Raises
        ------
        ImportError
            Where pandas is not installed: it is an extra, `pip install miliary[frames]`.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError(
                "to_frame needs pandas, which is not installed; "
                "pip install 'miliary[frames]', or use columns()"
            ) from error
        return pd.DataFrame(self.columns())
