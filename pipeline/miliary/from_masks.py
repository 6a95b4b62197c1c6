"""Sizes, distribution and verdict of nodules and lungs that were found elsewhere."""

from __future__ import annotations

import time

import numpy as np

from miliary import pattern as patterns
from miliary.analysis import Analysis
from miliary.anatomy import LOBES, SIDES, ZONES, Anatomy, Lung
from miliary.arrays import AnyArray, BoolArray, FloatArray, LabelArray
from miliary.conclude import conclude
from miliary.config import Config
from miliary.findings import Calibration, ImageQuality
from miliary.geometry import Geometry
from miliary.kernels.distance_image import Distances
from miliary.kernels.fields import depth_field, distance_field
from miliary.lungs.zones import depth_zones, thirds_of_height
from miliary.nodules import Nodules
from miliary.volume import Volume

_NOTE = (
    "Lungs and nodules were given, not found here: nothing is known of what was missed or of the "
    "image."
)


def describe_masks(
    lung_labels: LabelArray,
    geometry: Geometry,
    points_mm: FloatArray,
    diameter_mm: FloatArray | None = None,
    *,
    diameter_se_mm: FloatArray | None = None,
    vessel_mask: BoolArray | None = None,
    fissure_mask: BoolArray | None = None,
    lobe_labels: LabelArray | None = None,
    config: Config | None = None,
    seed: int = 0,
    case: str = "case",
) -> Analysis:
    """Describe how nodules lie in lungs, both of them found by something else.

    Parameters
    ----------
    lung_labels : (z, y, x) int
        1 right lung, 2 left lung; z upwards, y to the back, x to the patient's left.
    geometry : Geometry
        The grid of all images.
    points_mm : (N, 3) float
        Centres of the nodules, world `(x, y, z)` in mm (LPS).
    diameter_mm, diameter_se_mm : (N,) float or None
        Diameters and their standard errors; not described where unknown. Without standard errors
        they are taken to be exact.
    vessel_mask : (z, y, x) bool or None
        Vessels: left out of the window. Without them nothing is told of distances to vessels.
    fissure_mask : (z, y, x) bool or None
        Fissures, for the distances to them.
    lobe_labels : (z, y, x) int or None
        1 RUL, 2 RML, 3 RLL, 4 LUL, 5 LLL.
    config : Config or None
        Every setting; the defaults unless given.
    seed : int
        Seed of every random number.
    case : str
        Name of the case.

    Returns
    -------
    Analysis
        As of a scan; without an image, so that sensitivity, noise and point spread are unknown.

    Raises
    ------
    ValueError
        Where the shapes do not agree, or a lung has another label than 1 or 2.
    """
    config = Config() if config is None else config
    started = time.perf_counter()
    size_rng, spatial_rng = np.random.default_rng(seed).spawn(2)
    images = {"vessel_mask": vessel_mask, "fissure_mask": fissure_mask, "lobe_labels": lobe_labels}
    _check(lung_labels, geometry, images)
    anatomy = _anatomy(np.asarray(lung_labels, np.uint8), geometry, images, config)
    n = len(points_mm)
    diameters = np.full(n, np.nan) if diameter_mm is None else np.asarray(diameter_mm, float)
    errors = np.zeros(n) if diameter_se_mm is None else np.asarray(diameter_se_mm, float)
    nodules = _nodules(anatomy, np.asarray(points_mm, float), diameters, errors, config)
    calibration = Calibration((), (), (), 0)
    spacing = geometry.spacing_mm
    concluded = conclude(
        nodules,
        anatomy,
        patterns.Sight(float(spacing[0]), float(spacing[1:].max()), None),
        calibration,
        np.zeros(geometry.shape, np.uint8),
        config,
        rngs=(size_rng, spatial_rng),
    )
    unknown = float("nan")
    return Analysis(
        # No image was given: one value stands for all voxels and takes no room.
        volume=Volume(np.broadcast_to(np.int16(-1024), geometry.shape), geometry, case=case),
        config=config,
        seed=seed,
        quality=ImageQuality(unknown, (unknown, unknown, unknown), psf_estimated=False),
        anatomy=anatomy,
        nodules=nodules,
        calibration=calibration,
        size=concluded.size,
        described=concluded.described,
        spatial=concluded.spatial,
        pattern=concluded.pattern,
        miliary=concluded.miliary,
        notes=(_NOTE, *concluded.spatial.notes),
        seconds=(("describe", time.perf_counter() - started),),
    )


def _check(lung_labels: LabelArray, geometry: Geometry, images: dict[str, AnyArray | None]) -> None:
    for name, image in {"lung_labels": lung_labels, **images}.items():
        if image is not None and image.shape != geometry.shape:
            raise ValueError(
                f"{name} must have the shape of the grid {geometry.shape}, got {image.shape}"
            )
    found = set(np.unique(lung_labels).tolist()) - {0}
    if not found or not found <= set(SIDES.values()):
        raise ValueError(
            f"lung_labels must be 1 in the right and 2 in the left lung, got {sorted(found)}; "
            "label the lungs first"
        )


def _anatomy(
    labels: LabelArray, geometry: Geometry, images: dict[str, AnyArray | None], config: Config
) -> Anatomy:
    spacing = geometry.spacing_mm
    nothing = np.zeros(geometry.shape, bool)
    given = images["vessel_mask"]
    vessel = nothing if given is None else np.asarray(given, bool)
    evaluable = np.where(vessel, np.uint8(0), labels)
    volumes_ml = {
        side: [
            np.count_nonzero(image == label) * geometry.voxel_ml for image in (labels, evaluable)
        ]
        for side, label in SIDES.items()
    }
    fissure, lobes = images["fissure_mask"], images["lobe_labels"]
    pleura_mm = depth_field(labels, spacing)
    return Anatomy(
        box=(slice(0, labels.shape[0]), slice(0, labels.shape[1]), slice(0, labels.shape[2])),
        geometry=geometry,
        lung_labels=labels,
        evaluable_labels=evaluable,
        zone_labels=thirds_of_height(labels),
        vessel_mask=vessel,
        airway_mask=nothing,
        pleura_mm=pleura_mm,
        vessel_mm=distance_field(vessel, spacing),
        lungs=tuple(Lung(side, ml[0], ml[1]) for side, ml in volumes_ml.items() if ml[0] > 0),
        fissure_mask=None if fissure is None else np.asarray(fissure, bool),
        fissure_mm=None if fissure is None else distance_field(np.asarray(fissure, bool), spacing),
        lobe_labels=None if lobes is None else np.asarray(lobes, np.uint8),
        depth_labels=depth_zones(labels, pleura_mm, config.lungs.peripheral_mm),
    )


def _nodules(
    anatomy: Anatomy,
    points_mm: FloatArray,
    diameter_mm: FloatArray,
    diameter_se_mm: FloatArray,
    config: Config,
) -> Nodules:
    """Look up where each nodule lies; those outside of both lungs have none."""
    index = anatomy.geometry.to_index(points_mm)

    def name(image: LabelArray | None, names: dict[str, int]) -> AnyArray:
        table = np.array(["", *names])
        return table[np.zeros(len(index), int) if image is None else anatomy.at(image, index)]

    def distance(image: Distances | None) -> FloatArray:
        if image is None:
            return np.full(len(index), np.nan)
        return anatomy.distance_at(image, index)

    return Nodules(
        points_mm=points_mm.reshape(-1, 3),
        diameter_mm=diameter_mm,
        diameter_se_mm=diameter_se_mm,
        contrast_hu=np.full(len(index), np.nan),
        score=np.ones(len(index)),
        lung=name(anatomy.lung_labels, SIDES),
        lobe=name(anatomy.lobe_labels, LOBES),
        zone=name(anatomy.zone_labels, ZONES),
        pleura_mm=distance(anatomy.pleura_mm),
        fissure_mm=distance(anatomy.fissure_mm),
        vessel_mm=distance(anatomy.vessel_mm),
        micronodule=diameter_mm <= config.measure.micronodule_mm,
    )
