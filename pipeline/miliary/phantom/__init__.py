"""Synthetic chest CT with known truth: anatomy, vessel trees, disease and scanner."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from miliary.phantom.patient import make_patient, scan_patient
from miliary.phantom.spec import (
    PATTERNS,
    ChestSpec,
    DiseaseSpec,
    NoduleSpec,
    PhantomSpec,
    ScannerSpec,
)
from miliary.phantom.truth import Phantom, Tissue, TrueNodules

__all__ = [
    "PATTERNS",
    "ChestSpec",
    "DiseaseSpec",
    "NoduleSpec",
    "Phantom",
    "PhantomSpec",
    "ScannerSpec",
    "Tissue",
    "TrueNodules",
    "make_phantom",
    "make_serial_phantoms",
]


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
    patient_rng, noise_rng = rng.spawn(2)
    return scan_patient(make_patient(spec, patient_rng), noise_rng)


def make_serial_phantoms(visits: Sequence[PhantomSpec]) -> list[Phantom]:
    """Scan one patient several times.

    Anatomy and places are those of the first visit's seed, whatever the later ones wish; every
    scan has noise of its own. A visit with fewer nodules than another shows the first of its
    nodules, so that a growing number keeps the old ones in place.

    Parameters
    ----------
    visits : sequence of PhantomSpec
        One a scan, oldest first, with as many populations of nodules each: breath, scanner,
        numbers and disease may change.

    Returns
    -------
    list of Phantom
        One a visit.

    Raises
    ------
    ValueError
        Without a visit, or where the populations differ in number or pattern.
    """
    if not visits:
        raise ValueError("visits must hold at least one scan, got none")
    patterns = {tuple(wish.pattern for wish in visit.nodules) for visit in visits}
    if len(patterns) > 1:
        raise ValueError(f"every visit must have the same patterns, got {sorted(patterns)}")
    patient_rng, noise_rng = np.random.default_rng(visits[0].seed).spawn(2)
    most = [
        max(group, key=lambda wish: wish.n_nodules)
        for group in zip(*(v.nodules for v in visits), strict=True)
    ]
    first = PhantomSpec(
        visits[0].seed, visits[0].scanner, visits[0].chest, visits[0].disease, tuple(most)
    )
    patient = make_patient(first, patient_rng)
    return [
        scan_patient(patient, one_rng, visit)
        for visit, one_rng in zip(visits, noise_rng.spawn(len(visits)), strict=True)
    ]
