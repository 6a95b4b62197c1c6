"""A patient: anatomy and nodules that stay the same from scan to scan."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from miliary.arrays import FloatArray
from miliary.phantom.chest import Chest, Plan, make_chest
from miliary.phantom.disease import Lesions, place_nodules
from miliary.phantom.frame import Frame
from miliary.phantom.growth import Tree
from miliary.phantom.lobules import Lobules, SeptumField, make_lobules
from miliary.phantom.noise import coloured_noise, shoulder_streaks
from miliary.phantom.point_spread import PointSpread
from miliary.phantom.scene import Images, Scene, render
from miliary.phantom.site import make_site
from miliary.phantom.spec import NoduleSpec, PhantomSpec
from miliary.phantom.trees import Trees, grow_trees
from miliary.phantom.truth import Phantom, TrueNodules
from miliary.phantom.tubes import Tubes
from miliary.volume import Acquisition, Volume

#: Where the shoulders begin, and over how much height, in chest mm.
_SHOULDER_Z, _SHOULDER_WIDTH = 212.0, 9.0


@dataclass(frozen=True, eq=False)
class Patient:
    """Everything of a patient that a scanner looks at.

    Parameters
    ----------
    spec : PhantomSpec
        What was asked for.
    plan : Plan
        What is random in the chest.
    chest : Chest
        The chest in the first scan's grid.
    lobules : Lobules
        Secondary lobules there.
    trees : Trees
        Vessels and airways there.
    lesions : tuple of Lesions
        Populations of nodules there.
    """

    spec: PhantomSpec
    plan: Plan
    chest: Chest
    lobules: Lobules
    trees: Trees
    lesions: tuple[Lesions, ...]


def make_patient(spec: PhantomSpec, rng: np.random.Generator) -> Patient:
    """Make a patient.

    Parameters
    ----------
    spec : PhantomSpec
        The wishes.
    rng : numpy.random.Generator
        Source of randomness. Plan, lobules, trees and nodules have generators of their own, so
        that patients of one seed differ only in what was asked to differ.

    Returns
    -------
    Patient
        The patient.
    """
    plan_rng, lobule_rng, tree_rng, *nodule_rngs = rng.spawn(3 + len(spec.nodules))
    plan = Plan.draw(plan_rng)
    chest = make_chest(spec, plan)
    lobules = make_lobules(chest, spec.chest.lobule_mm, lobule_rng)
    trees = grow_trees(chest, lobules, spec.chest, tree_rng)
    lesions = tuple(
        place_nodules(make_site(chest, lobules, trees, spec, wish.lungs), wish, nodule_rng)
        for wish, nodule_rng in zip(spec.nodules, nodule_rngs, strict=True)
    )
    return Patient(spec, plan, chest, lobules, trees, lesions)


def scan_patient(
    patient: Patient, rng: np.random.Generator, spec: PhantomSpec | None = None
) -> Phantom:
    """Scan a patient.

    Parameters
    ----------
    patient : Patient
        The patient.
    rng : numpy.random.Generator
        Source of the noise.
    spec : PhantomSpec, optional
        Another scan of the same patient: another scanner or breath, other disease, or fewer
        nodules, of which the first are taken. The patient's own wishes where it is left out.

    Returns
    -------
    Phantom
        The scan and its truth.
    """
    spec = patient.spec if spec is None else spec
    chest = patient.chest if spec == patient.spec else make_chest(spec, patient.plan)
    move = _Move(patient.chest.frame, chest.frame)
    lesions = Lesions.join(
        [
            _seen(part, made, wish, move, chest)
            for part, made, wish in zip(
                patient.lesions, patient.spec.nodules, spec.nodules, strict=True
            )
        ]
    )
    lobules = replace(patient.lobules, seeds_mm=move(patient.lobules.seeds_mm))
    scene = Scene(spec, chest, move.trees(patient.trees), SeptumField(lobules, chest), lesions)
    images = render(scene, _noise(spec, chest, rng))
    return _told(spec, chest, lesions, images)


@dataclass(frozen=True, eq=False)
class _Move:
    """From the grid points of one scan of a patient to those of another."""

    before: Frame
    after: Frame

    def __call__(self, points_mm: FloatArray) -> FloatArray:
        if self.before is self.after:
            return points_mm
        return self.after.to_grid(self.before.to_chest(points_mm))

    def tubes(self, tubes: Tubes) -> Tubes:
        """Move tubes, which keep their calibre."""
        return Tubes(self(tubes.start_mm), self(tubes.end_mm), tubes.radius_mm)

    def tree(self, tree: Tree) -> Tree:
        """Move the branches of a tree."""
        return replace(tree, start_mm=self(tree.start_mm), end_mm=self(tree.end_mm))

    def trees(self, trees: Trees) -> Trees:
        """Move everything tubular."""
        return Trees(
            self.tree(trees.arteries),
            self.tree(trees.veins),
            self.tubes(trees.artery_tubes),
            self.tubes(trees.vein_tubes),
            self.tubes(trees.lumen),
            self.tubes(trees.wall),
        )


def _seen(
    lesions: Lesions, made: NoduleSpec, wish: NoduleSpec, move: _Move, chest: Chest
) -> Lesions:
    """Give the first nodules of a population in another scan: moved, grown, still in lung."""
    first = lesions.take(np.arange(min(wish.n_nodules, len(lesions.diameter_mm))))
    moved = replace(
        first,
        centres_mm=move(first.centres_mm),
        stem_mm=move(first.stem_mm),
        diameter_mm=first.diameter_mm * (wish.diameter_mm / made.diameter_mm),
    )
    # What breath or a rind has moved out of the lung is neither drawn nor in the truth.
    return moved.take(np.flatnonzero(chest.sample(chest.depth_mm, moved.centres_mm) > 0))


def _noise(spec: PhantomSpec, chest: Chest, rng: np.random.Generator) -> FloatArray:
    """Noise of the dose and kernel, and streaks between the shoulders."""
    scanner = spec.scanner
    noise_rng, streak_rng = rng.spawn(2)
    noise = coloured_noise(
        scanner.shape,
        scanner.spacing_mm,
        scanner.noise_sd_hu,
        scanner.noise_peak_per_mm,
        PointSpread.of(scanner).slice_sigma_mm,
        noise_rng,
    )
    if scanner.streaks_hu:
        streaks = shoulder_streaks(scanner.shape, scanner.spacing_mm, streak_rng)
        lines = [np.arange(n) * s for n, s in zip(scanner.shape, scanner.spacing_mm, strict=True)]
        z = chest.frame.axes((lines[0], lines[1], lines[2]))[0]
        # Photons are few where both shoulders lie in their way: streaks end below them.
        shoulder = 1.0 / (1.0 + np.exp((_SHOULDER_Z - z) / _SHOULDER_WIDTH))
        noise += np.float32(scanner.streaks_hu) * shoulder.astype(np.float32) * streaks
    return noise


def _told(spec: PhantomSpec, chest: Chest, lesions: Lesions, images: Images) -> Phantom:
    """Put image and truth together."""
    geometry = chest.frame.geometry(spec)
    index_zyx = lesions.centres_mm / np.array(spec.scanner.spacing_mm)
    lung = np.where(chest.is_right(lesions.centres_mm), "right", "left")
    patterns = "-".join(dict.fromkeys(wish.pattern for wish in spec.nodules)) or "none"
    return Phantom(
        spec,
        Volume(
            images.hu,
            geometry,
            Acquisition(slice_thickness_mm=spec.scanner.psf_fwhm_mm[0], kernel="phantom"),
            case=f"phantom-{patterns}-{spec.seed}",
        ),
        TrueNodules(geometry.to_world(index_zyx), lesions.diameter_mm, lung, lesions.pattern),
        images.tissue_labels,
        images.lung_labels,
        images.hemithorax_labels,
        images.lobe_labels,
        images.fissure_mask,
    )
