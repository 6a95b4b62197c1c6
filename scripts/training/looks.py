"""The looks of the detector, trained one after the other, each on what the one before lets pass."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np

from miliary.model import Detector
from training.examples import LAST_FROM, glance_at, joined, left_open, run
from training.networks import (
    LAST_EPOCHS,
    LAST_HIDDEN,
    LAST_MEMBERS,
    fit,
    fit_dropping,
    loaded,
    named,
)
from training.scenes import Job
from training.sources import DISEASED, mark_unsure

#: Versions of a source that the first look is trained on, and the share of the nodules from some
#: size on that it has to let pass.
FIRST_VERSIONS = 2
FIRST_FROM_MM = 1.5
FIRST_PASSES = 0.99
FIRST_HIDDEN = (24,)
#: Versions of a source that the glance is trained on. It tells blobs that the thorough look gives
#: this probability from others, and has to let this share of those that it gives so much pass.
GLANCE_VERSIONS = 3
GLANCE_LABEL, GLANCE_LIKELY = 0.05, 0.1
GLANCE_PASSES = 0.998
GLANCE_HIDDEN = (32,)
#: Perceptrons whose logits are averaged.
MEMBERS = 2
HIDDEN = (128, 48)
#: Passes over the data: of the first look, of the glance, of the network that finds what is to be
#: left out.
FIRST_EPOCHS, GLANCE_EPOCHS, SCOUT_EPOCHS = 14, 16, 8
#: Versions of a source that the last look is trained on: every fifth is as it is with other
#: nodules, every fifth changed as for the thorough look, the others are bent; phantoms are not.
LAST_VERSIONS = {"rider-0117-lower": 25, "nlst-low-dose": 8, "lidc-0314": 55}
LAST_PHANTOM_VERSIONS = 3
LAST_DENSITY = 450.0
#: Others of phantoms weigh so much more: real scans have most of the versions, and what they teach
#: would otherwise find three times as much in phantoms as the thorough look does.
LAST_PHANTOM_WEIGHT = 2.0
#: Nodules up to these diameters weigh so much in it, before all are scaled to weigh 1 in the mean.
LAST_WEIGHTS = ((1.4, 0.7), (2.5, 1.5), (np.inf, 1.0))


def train(found, epochs: int) -> tuple[dict[str, np.ndarray], dict]:
    """Train the first and the thorough look; what they were trained on for the card."""
    healthy = [source for source in found if source[0] not in DISEASED]
    first = fit_first(healthy, FIRST_EPOCHS)
    looking = loaded(first)
    parts = run(thorough_jobs(healthy, looking))
    arrays = fit_thorough(parts, first, SCOUT_EPOCHS, 1)
    for source in found:
        if source[0] in DISEASED:
            mark_unsure(source[1], loaded(arrays))
            parts += run(thorough_jobs([source], looking))
    arrays = fit_thorough(parts, first, epochs, MEMBERS)
    labels = np.concatenate([part[1] for part in parts])
    card = {
        "trained_on": [part[3] for part in parts],
        "nodules": int(labels.sum()),
        "others": int((~labels).sum()),
        "hidden": HIDDEN,
        "epochs": epochs,
    }
    return arrays, card


def fit_first(found, epochs: int) -> dict[str, np.ndarray]:
    """Train the first look, and choose its limit so that it keeps nearly all nodules."""
    jobs = [
        Job(name, file, number, density, None)
        for name, file, versions, density in found
        for number in range(min(versions, FIRST_VERSIONS))
    ]
    features, labels, diameters = joined(run(jobs))
    arrays = named("first", fit(features, labels, FIRST_HIDDEN, epochs, 0))
    logits = loaded(arrays).first.logit(features)
    known = logits[diameters >= FIRST_FROM_MM]
    arrays["first_logit"] = np.float32(np.quantile(known, 1 - FIRST_PASSES))
    passed = (logits[~labels] >= arrays["first_logit"]).mean()
    print(f"first look: lets {passed:.3f} of the others pass", flush=True)
    return arrays


def fit_thorough(parts, first: dict[str, np.ndarray], epochs: int, members: int) -> dict:
    """Train the thorough look, several times from other random numbers, on two cores."""
    features, labels, _ = joined(parts)
    with ThreadPoolExecutor(2) as pool:
        fits = pool.map(lambda seed: fit(features, labels, HIDDEN, epochs, seed), range(members))
    arrays = dict(first)
    for member, fitted in enumerate(fits):
        arrays |= named(f"thorough{member}", fitted)
    return arrays


def thorough_jobs(sources, detector: Detector) -> list[Job]:
    return [
        Job(name, file, number, density, detector)
        for name, file, versions, density in sources
        for number in range(versions)
    ]


def fit_glance(found, arrays: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], dict]:
    """Train the glance of a detector and choose its limit; what passes goes to the card."""
    detector = loaded(arrays)
    jobs = [
        Job(name, file, number, density, detector)
        for name, file, versions, density in found
        for number in range(min(versions, GLANCE_VERSIONS))
    ]
    with ProcessPoolExecutor(2) as pool:
        features, probability = (
            np.concatenate(part) for part in zip(*pool.map(glance_at, jobs), strict=True)
        )
    features = features.astype(np.float32)
    fitted = fit(features, probability > GLANCE_LABEL, GLANCE_HIDDEN, GLANCE_EPOCHS, 0)
    arrays = {**arrays, **named("glance", fitted)}
    logit = loaded(arrays).glance.logit(features)
    limit = np.quantile(logit[probability > GLANCE_LIKELY], 1 - GLANCE_PASSES)
    arrays["glance_logit"] = np.float32(limit)
    passes = logit >= limit
    passed = {"of_all": float(passes.mean())}
    for least in (GLANCE_LABEL, GLANCE_LIKELY, 0.6):
        passed[f"of_those_from_{least}"] = float(passes[probability > least].mean())
    print("the glance lets pass:", passed, flush=True)
    return arrays, passed


def fit_last(found, arrays: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], dict]:
    """Train the last look of a detector; what it saw goes to the card."""
    detector = loaded(arrays)
    for name, file, *_ in found:
        if name in DISEASED and not np.load(file)["unsure"].any():
            mark_unsure(file, detector)
    jobs = [
        Job(name, file, number, LAST_DENSITY, detector, last=True)
        for name, file, *_ in found
        for number in range(LAST_VERSIONS.get(name, LAST_PHANTOM_VERSIONS))
    ]
    with ProcessPoolExecutor(2) as pool:
        parts = list(pool.map(left_open, jobs))
    phantom = [np.full(len(part[1]), "last: phantom" in part[3]) for part in parts]
    features, labels, diameters = joined(parts)
    weight = last_weights(labels, diameters, np.concatenate(phantom))
    arrays = {**arrays, "last_from": np.float32(LAST_FROM)}
    with ProcessPoolExecutor(2) as pool:
        wishes = [features] * LAST_MEMBERS, [labels] * LAST_MEMBERS, [weight] * LAST_MEMBERS
        for member, fitted in enumerate(pool.map(fit_dropping, *wishes, range(LAST_MEMBERS))):
            arrays |= named(f"last{member}", fitted)
    card = {
        "trained_on": [part[3] for part in parts],
        "nodules": int(labels.sum()),
        "others": int((~labels).sum()),
        "hidden": LAST_HIDDEN,
        "epochs": LAST_EPOCHS,
    }
    return arrays, card


def last_weights(labels, diameters, phantom) -> np.ndarray:
    """Weights of examples: nodules by diameter and 1 in the mean, others by where they are."""
    limits, values = (np.array(column) for column in zip(*LAST_WEIGHTS, strict=True))
    weight = values[np.searchsorted(limits, diameters)]
    others = np.where(phantom, LAST_PHANTOM_WEIGHT, 1.0)
    return np.where(labels, weight / weight[labels].mean(), others).astype(np.float32)
