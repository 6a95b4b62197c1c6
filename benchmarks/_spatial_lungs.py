"""A real lung mask, patterns drawn in it by code of its own, and the tests of these patterns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import cc3d
import edt
import nibabel as nib
import numpy as np
from scipy import ndimage

from miliary.config.spatial import SpatialSettings
from miliary.kernels.covariates import CovariateStatistics
from miliary.spatial import Window
from miliary.spatial.clustering import Clusters, Placed
from miliary.spatial.covariates import bin_points, bin_window, covariate_tests, preference
from miliary.spatial.involvement import compare_sides, shell_shares
from miliary.spatial.marks import correlate_sizes
from miliary.spatial.randomness import judge_randomness
from miliary.spatial.regions import zone_densities
from miliary.spatial.simulate import count_pattern, count_patterns
from miliary.spatial.trends import size_trends

#: Voxels taken together along z, y, x: 0.70 x 0.46 x 0.46 mm become 2.1 x 1.8 x 1.8 mm.
COARSER = (3, 4, 4)
#: Deeper than this, right and left lung are apart.
CORE_MM = 12.0
SETTINGS = SpatialSettings(
    simulations=199, empty_space_simulations=0, covariate_simulations=199, lattice_points=100
)
BOTH = np.arange(2)
Array = np.ndarray
Generator = np.random.Generator


@dataclass
class Lungs:
    """Labels (1 right, 2 left), spacing, covariates and zones of a real chest."""

    labels: Array
    spacing_mm: Array
    images: dict[str, Array]
    zones: Array

    @property
    def shares(self) -> Array:
        """Share of the volume in each lung."""
        volume = np.bincount(self.labels.ravel(), minlength=3)[1:]
        return volume / volume.sum()


def read_lungs(folder: Path) -> Lungs:
    """Read the masks of a Med-RAD case, on axes to the head, the back and the left."""

    def load(name: str) -> tuple[Array, Array]:
        image = nib.as_closest_canonical(nib.load(folder / f"{name}.nii.gz"))
        mask = (np.asarray(image.dataobj) > 0).transpose(2, 1, 0)[:, ::-1, ::-1]
        cut = tuple(slice(0, n // f * f) for n, f in zip(mask.shape, COARSER, strict=True))
        blocks = mask[cut].reshape([m for n, f in zip(mask.shape, COARSER, strict=True)
                                    for m in (n // f, f)])  # fmt: skip
        return blocks.mean(axis=(1, 3, 5)), np.array(image.header.get_zooms()[::-1], float)

    lung, spacing = load("pleuralBoundary")
    lung -= load("bronchialTree")[0]
    vessel, fissure = load("vessels")[0] > 0.25, load("fissures")[0] > 0.1
    spacing = spacing * COARSER
    sides = _sides(lung > 0.5, spacing)

    def far(mask: Array) -> Array:
        return edt.edt(mask, anisotropy=tuple(spacing)).astype(np.float32)

    images = {"pleura": far(sides > 0), "fissure": far(~fissure), "vessel": far(~vessel)}
    zones = np.zeros(sides.shape, np.uint8)
    for label in (1, 2):
        z = np.flatnonzero((sides == label).any(axis=(1, 2)))
        third = 3 - np.clip((np.arange(len(sides)) - z[0]) * 3 // np.ptp(z), 0, 2)
        zones[sides == label] = np.broadcast_to(third[:, None, None], sides.shape)[sides == label]
    labels = np.where(vessel, 0, sides).astype(np.uint8)
    steps = np.indices(labels.shape, dtype=np.float32)[:2] * spacing[:2, None, None, None]
    images |= {"height": steps[0].astype(np.float32), "depth": steps[1].astype(np.float32)}
    return Lungs(labels, spacing, images, zones)


def _sides(lung: Array, spacing: Array) -> Array:
    """Label the right lung 1, the left 2: where they are joined, the nearer core decides."""
    core = edt.edt(lung, anisotropy=tuple(spacing)) > CORE_MM
    cores = cc3d.largest_k(core, k=2, connectivity=6)
    x = [np.argwhere(cores == part)[:, 2].mean() for part in (1, 2)]
    _, nearest = ndimage.distance_transform_edt(cores == 0, sampling=spacing, return_indices=True)
    owner = cores[tuple(nearest)]
    return np.where(lung, 1 + (owner == int(np.argmax(x)) + 1), 0).astype(np.uint8)


def gradient(lungs: Lungs) -> Array:
    """A sensitivity of 0.95 at the base, 0.5 at the apex, a third less near vessels."""
    z = np.linspace(0.95, 0.5, lungs.labels.shape[0], dtype=np.float32)[:, None, None]
    near = np.where(lungs.images["vessel"] < 4.0, 2 / 3, 1.0).astype(np.float32)
    return np.ascontiguousarray(z * near)


class Site:
    """Draws patterns in one window: uniform candidates, kept or not one by one."""

    def __init__(self, lungs: Lungs, chance: Array | None = None) -> None:
        self.lungs = lungs
        self.voxels = [np.argwhere(lungs.labels == label) for label in (1, 2)]
        self.chance = chance

    def draw(
        self, n: tuple[int, int], rng: Generator, *, apart_mm: float = 0.0,
        weight: Callable[[Array], Array] | None = None,
    ) -> Array:  # fmt: skip
        """Draw points until each lung has its number; a later point too near is refused."""
        lungs = []
        for voxels, wanted in zip(self.voxels, n, strict=True):
            kept = np.empty((0, 3))
            while len(kept) < wanted:
                index = voxels[rng.integers(len(voxels), size=4 * wanted)]
                chance = np.ones(len(index))
                if self.chance is not None:
                    chance = self.chance[tuple(index.T)]
                if weight is not None:
                    chance = chance * weight(index)
                index = index[rng.random(len(index)) < chance]
                points = (index + rng.uniform(-0.5, 0.5, index.shape)) * self.lungs.spacing_mm
                if not apart_mm:
                    kept = np.vstack([kept, points])
                    continue
                for point in points:
                    # Without any point kept yet, none is near.
                    if (((kept - point) ** 2).sum(axis=1) < apart_mm**2).any():
                        continue
                    kept = np.vstack([kept, point])
            lungs.append(kept[:wanted])
        return np.concatenate(lungs)

    def clusters(self, n: tuple[int, int], rng: Generator, mean: float, sigma_mm: float) -> Array:
        """Draw a Thomas process until each lung has its number: parents outside it too."""
        lungs = []
        for label, voxels, wanted in zip((1, 2), self.voxels, n, strict=True):
            kept: list[Array] = []
            low, high = (f(voxels, axis=0) * self.lungs.spacing_mm for f in (np.min, np.max))
            while len(kept) < wanted:
                parent = rng.uniform(low - 4 * sigma_mm, high + 4 * sigma_mm)
                children = parent + rng.normal(0, sigma_mm, (rng.poisson(mean), 3))
                index = np.rint(children / self.lungs.spacing_mm).astype(int)
                inside = ((index >= 0) & (index < self.lungs.labels.shape)).all(axis=1)
                index, children = index[inside], children[inside]
                kept += list(children[self.lungs.labels[tuple(index.T)] == label])
            lungs.append(np.array(kept[:wanted]))
        return np.concatenate(lungs)


def _behind(own: CovariateStatistics, null: CovariateStatistics) -> CovariateStatistics:
    """Put the statistics of a pattern before those of the simulations."""
    return CovariateStatistics(
        *(np.append(getattr(own, k), getattr(null, k)[1:]) for k in ("z1", "z2", "ks", "auc"))
    )


class Bench:
    """The tests of patterns that share their simulations: the numbers in the lungs are the same."""

    def __init__(
        self, lungs: Lungs, n: tuple[int, int], *, chance: Array | None, apart_mm: float
    ) -> None:
        self.lungs, self.n, self.apart = lungs, n, apart_mm
        self.window = Window(lungs.labels, lungs.spacing_mm, chance)
        self.strata = np.repeat([0, 1], n)
        binned = (bin_window(k, v, self.window, SETTINGS) for k, v in lungs.images.items())
        self.binned = [covariate for covariate in binned if covariate is not None]

    def simulate(self, rng: Generator) -> None:
        """Draw new simulations by the package's own code."""
        points, _ = self.window.sample(np.array(self.n), rng)
        self.counts = count_patterns(
            points, self.strata, self.window, SETTINGS, min_separation_mm=self.apart, rng=rng
        )
        placed = Placed(points, self.strata, np.zeros(len(points), bool))
        self.null = [
            bin_points(covariate, placed, self.window, SETTINGS, clusters=None, rng=rng)
            for covariate in self.binned
        ]

    def primary(self, points: Array) -> tuple[dict[str, float], bool]:
        """Test for randomness; tells too whether the pattern is called clustered."""
        one = count_pattern(points, self.strata, self.window, SETTINGS)
        names = ("pairs", "seen", "lost", "nearest_mm", "empty_seen", "empty_lost")
        joined = {k: np.concatenate([getattr(one, k), getattr(self.counts, k)[1:]]) for k in names}
        counts = replace(one, **joined)
        found = judge_randomness(
            counts, {"both": BOTH}, self.window, SETTINGS, min_separation_mm=self.apart
        )
        p = {test.name: test.p for test in found.tests}
        return p, bool((found.crowded_mm <= SETTINGS.cluster_mm).any())

    def covariates(
        self, points: Array, rng: Generator, *, clustered: bool
    ) -> tuple[dict[str, float], dict[str, bool]]:
        """Test every covariate; p-values, and which intervals hold the truth of randomness."""
        placed = Placed(points, self.strata, np.zeros(len(points), bool))
        clusters = Clusters.of(placed, self.window, SETTINGS) if clustered else None
        p, covered = {}, {}
        few = replace(SETTINGS, covariate_simulations=19)
        for binned, null in zip(self.binned, self.null, strict=True):
            made = bin_points(binned, placed, self.window, few, clusters=clusters, rng=rng)
            # With the few left in, a p of 5 % would not exist: 10 of 219 are 4.6 %.
            own = replace(made, counts=made.counts[:1]).statistics(BOTH)
            made = replace(made, counts=np.concatenate([made.counts[:1], null.counts[1:]]))
            # Ten patterns share their simulations, and these their statistics.
            made._compared[BOTH.tobytes()] = _behind(own, null.statistics(BOTH))
            tests = covariate_tests(made, "both", BOTH, ("Z1", "Z2", "KS"), min_n=10)
            p |= {test.name: test.p for test in tests}
            effect = preference(made, "both", BOTH, SETTINGS)
            covered[f"AUC {made.name}"] = effect.low <= 0.5 <= effect.high
            if made.name in ("pleura", "fissure", "vessel"):
                for share in shell_shares(made, BOTH, SETTINGS):
                    name = f"{share.structure} within {share.within_mm:g} mm"
                    p[name] = share.p
                    covered[name] = share.low <= 1 <= share.high
        effect = 1.0 if clusters is None else clusters.number_effect()
        zones = zone_densities(
            self.lungs.zones, placed, self.window, SETTINGS, number_effect=effect
        )
        covered |= {f"zone {z.zone} {z.lung}": z.ratio_low <= 1 <= z.ratio_high for z in zones[:3]}
        return p, covered

    def sizes(self, points: Array, sizes: Array, rng: Generator) -> dict[str, float]:
        """Test whether sizes depend on place."""
        placed = Placed(points, self.strata, np.zeros(len(points), bool))
        near = correlate_sizes(sizes, placed, self.window, SETTINGS, rng=rng)[0]
        values = {k: self.window.at(v, points) for k, v in self.lungs.images.items()}
        tests, _ = size_trends(sizes, values, placed, self.window, SETTINGS, rng=rng)
        return {test.name: np.nan if test.p is None else test.p for test in (near, *tests)}

    def side(self, n: int, rng: Generator) -> float:
        """Test a number whose lungs are chosen at random."""
        visible = np.array([stratum.visible_mm3 for stratum in self.window.strata])
        right = rng.binomial(n, visible[0] / visible.sum())
        strata = np.repeat([0, 1], [right, n - right])
        placed = Placed(np.zeros((n, 3)), strata, np.zeros(n, bool))
        return compare_sides(placed, self.window, SETTINGS, clusters=None, rng=rng)[0][0].p
