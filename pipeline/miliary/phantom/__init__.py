"""Synthetic chest CT with known truth: anatomy, vessel trees, disease and scanner."""

from __future__ import annotations

import numpy as np

from miliary.geometry import Geometry
from miliary.phantom.chest import Chest, make_chest
from miliary.phantom.disease import make_site, place_nodules
from miliary.phantom.scanner import coloured_noise
from miliary.phantom.scene import Scene, render
from miliary.phantom.spec import PATTERNS, Phantom, PhantomSpec, TrueNodules
from miliary.phantom.trees import grow_trees
from miliary.volume import Acquisition, Volume

__all__ = ["PATTERNS", "Phantom", "PhantomSpec", "TrueNodules", "make_phantom"]


def make_phantom(spec: PhantomSpec, rng: np.random.Generator | None = None) -> Phantom:
    """Make a synthetic chest CT.

    Parameters
    ----------
    spec : PhantomSpec
        What it shall be.
    rng : numpy.random.Generator, optional
        Source of randomness; one from the seed of the wishes when it is left out.

    Returns
    -------
    Phantom
        The scan and all that is known of it. Anatomy, nodules and noise have generators of
        their own, so that scans of one seed differ only in what was asked to differ.
    """
    rng = np.random.default_rng(spec.seed) if rng is None else rng
    anatomy_rng, disease_rng, noise_rng = rng.spawn(3)
    chest = make_chest(spec.shape, spec.spacing_mm, spec.chest_scale, anatomy_rng)
    trees = grow_trees(chest, spec.vessel_tip_spacing_mm, spec.vessel_tip_radius_mm, anatomy_rng)
    site = make_site(chest, trees, spec.lungs)
    centres_mm, diameters_mm = place_nodules(site, spec, disease_rng)
    noise_hu = coloured_noise(
        spec.shape,
        spec.spacing_mm,
        spec.noise_hu,
        spec.noise_peak_per_mm,
        spec.psf_sigma_mm[0],
        noise_rng,
    )
    images = render(Scene(spec, chest, trees, centres_mm, diameters_mm), noise_hu)
    geometry = _centred(spec, chest)
    lung = np.where(chest.lobes_at(centres_mm) <= 3, "right", "left")
    index_zyx = centres_mm / np.array(spec.spacing_mm)
    return Phantom(
        spec,
        Volume(
            images.hu,
            geometry,
            Acquisition(slice_thickness_mm=spec.psf_fwhm_mm[0], kernel="phantom"),
            case=f"phantom-{spec.pattern}-{spec.seed}",
        ),
        TrueNodules(geometry.to_world(index_zyx), diameters_mm, lung),
        images.lung_labels,
        images.lobe_labels,
        images.vessel_mask,
        images.airway_mask,
        images.fissure_mask,
    )


def _centred(spec: PhantomSpec, chest: Chest) -> Geometry:
    """Grid whose world zero is the zero of the chest."""
    z, y, x = (-chest.origin_mm).tolist()
    return Geometry.aligned(spec.shape, spec.spacing_mm, (x, y, z))
