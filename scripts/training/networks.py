"""Small perceptrons: trained by scikit-learn, or here where hidden values are left out."""

from __future__ import annotations

import io
import warnings
from itertools import pairwise

import numpy as np
from scipy import special

from miliary.model import Detector, read_detector

#: Scaled numbers are cut to this many units either side.
LIMIT = 6.0
LAST_HIDDEN, LAST_EPOCHS, LAST_MEMBERS = (192, 64), 12, 4
#: Examples a step, share of hidden values left out, largest step and steps up to it, decay.
LAST_BATCH, LAST_DROPPED, LAST_RATE, LAST_WARM, LAST_DECAY = 512, 0.2, 1.5e-3, 200, 1e-3
#: A perceptron without weights.
NOTHING = {"mean": np.zeros(0), "scale": np.ones(0), "limit": np.float32(LIMIT)}


def fit(features: np.ndarray, labels: np.ndarray, hidden, epochs: int, seed: int) -> dict:
    """Train one perceptron; its arrays by name."""
    from sklearn.neural_network import MLPClassifier

    mean, scale = features.mean(axis=0), features.std(axis=0) + 1e-6
    scaled = np.clip((features - mean) / scale, -LIMIT, LIMIT)
    network = MLPClassifier(
        hidden,
        alpha=3e-3,
        batch_size=256,
        learning_rate_init=1e-3,
        max_iter=epochs,
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the number of epochs is chosen, not waited for
        network.fit(scaled, labels)
    arrays = {"mean": mean, "scale": scale, "limit": np.float32(LIMIT)}
    for k, (weight, bias) in enumerate(zip(network.coefs_, network.intercepts_, strict=True)):
        arrays[f"weight{k}"] = weight.astype(np.float16)
        arrays[f"bias{k}"] = bias.astype(np.float32)
    return arrays


def fit_dropping(features, labels, weight, seed: int) -> dict:
    """Train one perceptron whose hidden values are left out at random; its arrays by name."""
    rng = np.random.default_rng(seed)
    mean, scale = features.mean(axis=0), features.std(axis=0) + np.float32(1e-6)
    scaled = np.clip((features - mean) / scale, -LIMIT, LIMIT)
    sizes = (scaled.shape[1], *LAST_HIDDEN, 1)
    values = [
        rng.uniform(-1, 1, shape).astype(np.float32) / np.float32(np.sqrt(n))
        for n, m in pairwise(sizes)
        for shape in ((n, m), (m,))
    ]
    step, moments = 0, [(np.zeros_like(value), np.zeros_like(value)) for value in values]
    per_epoch = len(labels) // LAST_BATCH
    for _ in range(LAST_EPOCHS):
        order = rng.permutation(len(labels))[: per_epoch * LAST_BATCH]
        for rows in order.reshape(per_epoch, LAST_BATCH):
            slopes = gradients(values, scaled[rows], labels[rows], weight[rows], rng)
            step += 1
            turn = np.cos(np.pi * (step - 1) / (LAST_EPOCHS * per_epoch))
            rate = LAST_RATE * min(1, (step - 1) / LAST_WARM) * 0.5 * (1 + turn)
            descend(values, slopes, moments, step, np.float32(rate))
    arrays = {"mean": mean, "scale": scale, "limit": np.float32(LIMIT)}
    for k in range(len(values) // 2):
        arrays[f"weight{k}"] = values[2 * k].astype(np.float16)
        arrays[f"bias{k}"] = values[2 * k + 1]
    return arrays


def gradients(values, seen, labels, weight, rng) -> list[np.ndarray]:
    """Of the weighted logistic loss by every weight and bias, on one batch."""
    layers, left = [seen], []
    for k in range(0, len(values) - 2, 2):
        hidden = np.maximum(layers[-1] @ values[k] + values[k + 1], 0)
        left.append((rng.random(hidden.shape, np.float32) >= LAST_DROPPED) & (hidden > 0))
        layers.append(hidden * left[-1] / np.float32(1 - LAST_DROPPED))
    logit = (layers[-1] @ values[-2] + values[-1])[:, 0]
    back = ((special.expit(logit) - labels) * weight / len(labels))[:, None].astype(np.float32)
    slopes: list[np.ndarray] = []
    for k in range(len(layers) - 1, -1, -1):
        slopes[:0] = [layers[k].T @ back, back.sum(axis=0)]
        if k:
            back = back @ values[2 * k].T * left[k - 1] / np.float32(1 - LAST_DROPPED)
    return slopes


def descend(values, slopes, moments, step: int, rate) -> None:
    """One step of Adam with decay apart from the slope, in place."""
    for value, slope, (first, second) in zip(values, slopes, moments, strict=True):
        first += np.float32(0.1) * (slope - first)
        second += np.float32(0.001) * (slope**2 - second)
        size = np.sqrt(second / np.float32(1 - 0.999**step)) + np.float32(1e-8)
        value *= 1 - rate * np.float32(LAST_DECAY)
        value -= rate / np.float32(1 - 0.9**step) * first / size


def named(name: str, arrays: dict) -> dict:
    return {f"{name}.{key}": value for key, value in arrays.items()}


def loaded(arrays: dict[str, np.ndarray]) -> Detector:
    """The detector as the package will load it; looks that are not trained yet drop nothing."""
    missing = {} if "glance.mean" in arrays else named("glance", NOTHING)
    limits = {"first_logit": np.float32(-np.inf), "glance_logit": np.float32(-np.inf)}
    buffer = io.BytesIO()
    np.savez(buffer, **(limits | missing | arrays))
    buffer.seek(0)
    return read_detector(buffer)
