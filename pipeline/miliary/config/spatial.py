"""Settings of `miliary.spatial`."""

from __future__ import annotations

from dataclasses import dataclass

from miliary.config.fields import setting

_TOLD = "told in ARCHITECTURE.md"


@dataclass(frozen=True)
class SpatialSettings:
    """Statistics of how the nodules lie in the lungs."""

    simulations: int = setting(
        999, "simulated random patterns behind every envelope and the primary test",
        source="our convention, 199 for a quick look; measured: with 199 the tests rejected 4.5 to "
        f"5.2 % of random patterns of 300 in a lung mask, {_TOLD}",
    )  # fmt: skip
    empty_space_simulations: int = setting(
        199,
        "how many of them F and J are computed for",
        source=f"measured: F costs most, 0.03 to 0.04 s a pattern from 19,000 places, {_TOLD}",
    )
    covariate_simulations: int = setting(
        1999, "samples behind the tests of distances to pleura, fissure and vessel"
    )
    alpha: float = setting(0.05, "share of random patterns that may leave an envelope")
    min_nodules: int = setting(
        10, "fewer nodules in a lung, or in both, are not tested",
        source="a choice: the level holds at any number, but so few tell next to nothing",
    )  # fmt: skip
    max_radius_mm: float = setting(
        30.0, "longest distance of the summary functions", unit="mm",
        source="fixed before any curve is seen, or it could be chosen for its result; a secondary "
        "lobule is 10 to 25 mm (Webb 2006, doi 10.1148/radiol.2392041968)",
    )  # fmt: skip
    cluster_mm: float = setting(
        10.0, "crowding at this distance or less is clustering, farther off uneven density",
        unit="mm", source="a secondary lobule is 10 to 25 mm (RadLex RID1361): clusters lie within",
    )  # fmt: skip
    radius_step_mm: float = setting(0.5, "step of their radii", unit="mm")
    bin_mm: float = setting(
        0.1,
        "bins of distance, a whole part of the step",
        unit="mm",
        source="measured: K of random patterns in a lung mask spreads as with exact distances and "
        f"weights, within 0.4 %, at 30 mm 1 %, {_TOLD}",
    )
    min_shared: float = setting(
        0.05, "radii stop where the window shares less than this with itself, moved by as much"
    )
    lag_voxel_mm: float = setting(
        1.5, "set covariance and border distance are taken on voxels of about this size",
        unit="mm",
        source="measured: voxels of 1.4 to 1.6 mm instead of half the size change the covariance "
        f"of a lung mask by 1 % at most, near lag 0, in the root mean square 0.02 %, {_TOLD}",
    )  # fmt: skip
    directions: int = setting(1000, "directions over which the set covariance is averaged")
    hole_mm: float = setting(
        5.0, "holes of the window up to twice as wide, as vessels leave, are no border for G and F",
        unit="mm", source="a choice: vessels of the lung outside its hilum are narrower than 10 mm",
    )  # fmt: skip
    lattice_points: int = setting(
        2000,
        "places from which empty space is measured",
        source="our convention; measured: from 19,000 places F takes 0.03 to 0.04 s a pattern and "
        f"outweighs all else, so fewer, {_TOLD}",
    )
    max_empty: float = setting(
        0.95, "J is given where F is at most this", source="above it J is a quotient of noise"
    )
    move_mm: float = setting(
        2.0, "nodules outside the evaluable lung by no more than this are moved into it", unit="mm",
        source="a nodule of 2 mm that touches a vessel may be taken for a part of it",
    )  # fmt: skip
    shells_mm: tuple[float, ...] = setting(
        (2.5, 5.0, 10.0), "widths of the shells about pleura, fissure and vessel", unit="mm"
    )
    cluster_reach_mm: float = setting(
        30.0, "nodules nearer than this may belong to one cluster, and then say less", unit="mm",
        source="the longest distance of the summary functions",
    )  # fmt: skip
    reference_points: int = setting(3000, "places that tell how many near pairs to expect")
    density_sigma_mm: float = setting(
        20.0, "standard deviation of the Gaussian that smooths the map of density", unit="mm",
        source="a choice: wider than a secondary lobule, so that it shows regions; a place then "
        "averages over (4 pi sigma²)^(3/2) = 356 ml, 22 of 300 nodules in 4.8 litres, whose number "
        "is known within 21 %",
    )  # fmt: skip
    density_voxel_mm: float = setting(
        5.0, "voxels of that map have about this size", unit="mm",
        source="a quarter of the Gaussian: shifts a nodule by 2.5 mm at most along an axis",
    )  # fmt: skip

    def __post_init__(self) -> None:
        if not 0 < self.bin_mm <= self.radius_step_mm < self.max_radius_mm:
            raise ValueError(
                "bin_mm, radius_step_mm and max_radius_mm must be above 0 and rise, "
                f"got {self.bin_mm}, {self.radius_step_mm} and {self.max_radius_mm}"
            )
        parts = self.radius_step_mm / self.bin_mm, self.max_radius_mm / self.radius_step_mm
        if any(abs(part - round(part)) > 1e-6 for part in parts):
            raise ValueError(
                "radius_step_mm must hold a whole number of bin_mm, and max_radius_mm of "
                f"radius_step_mm, got {self.radius_step_mm}, {self.bin_mm}, {self.max_radius_mm}"
            )
        if min(self.simulations, self.covariate_simulations) < 19:
            raise ValueError(
                "simulations and covariate_simulations must be at least 19, "
                f"got {self.simulations} and {self.covariate_simulations}"
            )
        if min(self.density_sigma_mm, self.density_voxel_mm) <= 0:
            raise ValueError(
                "density_sigma_mm and density_voxel_mm must be above 0, "
                f"got {self.density_sigma_mm} and {self.density_voxel_mm}"
            )
        if not 0 <= self.empty_space_simulations <= self.simulations:
            raise ValueError(
                "empty_space_simulations must be 0 to simulations, "
                f"got {self.empty_space_simulations}"
            )
