"""Settings of `miliary.fissures`."""

from __future__ import annotations

from dataclasses import dataclass

from miliary.config.fields import setting

_TRIED = "tried on phantoms of seeds 0 to 9 and on drawn sheets of real fissure masks"


@dataclass(frozen=True)
class FissureSettings:
    """How fissures are found, and lobes named by them."""

    sigma_mm: float = setting(
        1.0, "standard deviation of the Gaussian under which sheets are looked for", unit="mm"
    )
    sigma_steps: float = setting(
        0.75, "and at least this many voxels, along the longest side of a voxel"
    )
    psf_mm: float = setting(
        0.5,
        "standard deviation of a fissure's profile before smoothing: point spread and thickness",
        unit="mm",
    )
    lattice_mm: float = setting(
        1.5, "sheets are looked for at voxels no farther apart than this", unit="mm", source=_TRIED
    )
    margin_mm: float = setting(
        3.0, "nearer to the pleura nothing is taken for a fissure", unit="mm", source=_TRIED
    )
    vessel_margin_mm: float = setting(
        1.0, "nearer to a vessel nothing is taken for a fissure", unit="mm"
    )
    cap_hu: float = setting(
        -400.0, "what is brighter is no fissure and cut down to this", unit="HU", source=_TRIED
    )
    min_strength_hu: float = setting(
        8.0, "curvature across a sheet, times the square of the scale", unit="HU", source=_TRIED
    )
    min_strength_noise: float = setting(
        1.5, "and at least this many times what half of the lung shows", source=_TRIED
    )
    max_second: float = setting(
        0.5, "largest curvature along a sheet as a share of that across it", source=_TRIED
    )
    support_mm: float = setting(
        5.0,
        "standard deviation of the Gaussian under which sheets that face one way support each "
        "other, and others take from it",
        unit="mm",
        source=_TRIED,
    )
    support_shares: tuple[float, float] = setting(
        (0.15, 0.45),
        "share of a whole sheet's support from which a point counts, and from which it does fully",
        source=_TRIED,
    )
    apart_mm: float = setting(
        4.0, "evidence for the horizontal fissure is farther than this from the oblique", unit="mm"
    )
    explained_weight: float = setting(
        0.3,
        "what sheets of a first oblique fissure count for a second try",
        source="lobes of a real lung, in which the horizontal fissure passed for the oblique",
    )
    n_shapes: int = setting(3000, "shapes drawn from the prior to start from")
    prior_spread: float = setting(
        1.3,
        "how much wider than in the atlas shapes are drawn: ours are placed by boxes round the "
        "lungs, the atlas by affine registration",
    )
    shift_share: float = setting(
        0.06, "further shift and tilt, as a share of the lung's box", source=_TRIED
    )
    start_reach_mm: float = setting(
        6.0, "evidence nearer than this speaks for a drawn shape", unit="mm", source=_TRIED
    )
    max_turn_deg: float = setting(
        45.0, "a sheet that faces another way by more is not of this fissure", unit="degrees"
    )
    node_mm: float = setting(3.0, "distance of the nodes of a fitted surface", unit="mm")
    stiffness: float = setting(
        20.0,
        "weight of a surface's bending against one node's evidence",
        source=_TRIED,
    )
    pull: float = setting(
        0.0003, "how a surface without evidence is drawn back to the prior's shape", unit="1/mm2"
    )
    reaches_mm: tuple[float, ...] = setting(
        (10.0, 8.0, 6.0, 4.0, 3.0, 2.0, 1.5),
        "evidence counts within this distance of the surface, step by step",
        unit="mm",
        source=_TRIED,
    )
    seen_mm: float = setting(
        1.2, "a surface is seen where a sheet lies this near", unit="mm", source=_TRIED
    )
    moved_mm: tuple[float, ...] = setting(
        (-24.0, -18.0, -12.0, -8.0, 8.0, 12.0, 18.0, 24.0),
        "a surface is held against itself moved by this much along its height",
        unit="mm",
    )
    sure_share: float = setting(
        0.4, "a fissure is sure when this much more of it is seen than of the moved ones"
    )
    sure_area_cm2: float = setting(
        15.0, "and when at least this much of it is seen", unit="cm2", source=_TRIED
    )
    min_confidence: float = setting(
        0.5, "a fissure of less confidence bounds no lobe and has no distances"
    )
    septa_pleura_mm: float = setting(
        4.0, "septa are looked for farther from the pleura and the bronchi than this", unit="mm"
    )
    septa_vessel_mm: float = setting(2.0, "and from vessels", unit="mm")
    septa_fissure_mm: float = setting(3.0, "and from fissures", unit="mm")
    septa_blur_mm: float = setting(
        0.8, "standard deviation of the Gaussian under which septa are looked for", unit="mm"
    )
    septa_hu: float = setting(
        60.0,
        "curvature across a septum, times the square of the scale",
        unit="HU",
        source="tried on phantoms 9401 and 9402: of what is brighter 9 in 10 parts are septa",
    )
    septa_second: float = setting(
        0.4, "largest curvature along it, as a share of that across it", source="as septa_hu"
    )
    septa_noise_hu: float = setting(
        60.0, "septa are not measured in noisier scans", unit="HU",
        source="as septa_hu: at 80 HU a third of what is counted is noise",
    )  # fmt: skip
    septa_slice_mm: float = setting(
        1.5, "nor in thicker slices", unit="mm", source="our convention: thin slices"
    )
    septa_least_ml: float = setting(20.0, "nor where there is less lung to look at", unit="ml")
