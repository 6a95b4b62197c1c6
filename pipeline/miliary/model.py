"""The trained part of the detector: what it looks at, and its weights, from one small file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import IO

import numpy as np
from scipy import special

from miliary.arrays import AnyArray, BoolArray, FloatArray
from miliary.kernels.rays import RaySpec

WEIGHTS_FILE = "detector.npz"


@dataclass(frozen=True)
class Look:
    """What is seen around a candidate.

    Parameters
    ----------
    rays : RaySpec
        What is measured along its rays.
    background_radius : int
        Which of the radii tells the level of the lung around.
    background_quantile : int
        Which of the shell quantiles does.
    """

    rays: RaySpec
    background_radius: int
    background_quantile: int


#: A tenth of the samples of the thorough look.
_GLANCE = Look(
    RaySpec(
        n_directions=46,
        radii_mm=(1.5, 2.5, 3.5, 5.0),
        shell_quantiles=(0, 0.15, 0.5, 0.85, 0.97, 1),
        ridge_quantiles=(0.3, 0.8, 0.95, 1),
        axis_quantiles=(0.5, 0.9, 1),
    ),
    background_radius=2,
    background_quantile=1,
)
_THOROUGH = Look(
    RaySpec(
        n_directions=184,
        radii_mm=(0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0),
        shell_quantiles=(0, 0.05, 0.15, 0.3, 0.5, 0.7, 0.85, 0.93, 0.97, 1),
        ridge_quantiles=(0.3, 0.6, 0.8, 0.9, 0.95, 0.98, 1),
        axis_quantiles=(0.5, 0.8, 0.9, 0.95, 1),
    ),
    background_radius=7,
    background_quantile=3,
)


@dataclass(frozen=True)
class FeatureSpec:
    """What the detector looks at; weights are worth nothing with another one.

    Parameters
    ----------
    sigmas_mm : tuple of float
        Scales of the blob response.
    min_laplacian_hu, min_curvature_hu : float
        What a candidate needs at least.
    merge_mm : float
        Maxima nearer than this are one candidate.
    cap_hu, outside_hu : float
        Brighter voxels are cut to `cap_hu`; what is not lung is set to `outside_hu` where blobs
        are looked for.
    glance, thorough : Look
        What is seen around a candidate at little cost, and in full.
    min_contrast_hu : float
        Contrasts are divided by at least this much.
    centre_sigma_mm : float
        Smoothing before the brightness of the middle is read.
    """

    sigmas_mm: tuple[float, ...] = (0.45, 0.6, 0.85, 1.2)
    min_laplacian_hu: float = 30.0
    min_curvature_hu: float = 10.0
    merge_mm: float = 0.7
    cap_hu: float = 60.0
    outside_hu: float = -850.0
    glance: Look = _GLANCE
    thorough: Look = _THOROUGH
    min_contrast_hu: float = 50.0
    centre_sigma_mm: float = 0.6


@dataclass(frozen=True, eq=False)
class Perceptron:
    """A small multilayer perceptron with rectified hidden layers and one logistic output.

    Parameters
    ----------
    mean, scale : (F,) float32
        Features are centred and divided by these.
    limit : float
        Scaled features are cut to this many units either side.
    weights : tuple of (A, B) float32
        Layer by layer.
    biases : tuple of (B,) float32
        Layer by layer.
    """

    mean: FloatArray
    scale: FloatArray
    limit: float
    weights: tuple[FloatArray, ...]
    biases: tuple[FloatArray, ...]

    def logit(self, features: FloatArray) -> FloatArray:
        """Logarithm of the odds of being a nodule.

        Parameters
        ----------
        features : (N, F) float32
            Features of N candidates.

        Returns
        -------
        (N,) float64
            Any number.

        Raises
        ------
        ValueError
            For another number of features than in training.
        """
        if features.shape[1] != len(self.mean):
            raise ValueError(
                f"the detector was trained on {len(self.mean)} features, got {features.shape[1]}"
            )
        layer = np.clip((features - self.mean) / self.scale, -self.limit, self.limit)
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            layer = np.maximum(layer @ weight + bias, 0)
        logit: FloatArray = (layer @ self.weights[-1] + self.biases[-1])[:, 0].astype(float)
        return logit


@dataclass(frozen=True, eq=False)
class Detector:
    """Two short looks that drop what is plainly no nodule, a thorough one, and a last.

    The last sees what the thorough one sees, but was trained on what that one leaves open alone.

    Parameters
    ----------
    first : Perceptron
        Sees what the blob itself tells.
    first_logit : float
        Blobs below it are dropped.
    glance : Perceptron
        Sees a few rays too.
    glance_logit : float
        Blobs below it are dropped.
    thorough : tuple of Perceptron
        See all rays; the mean of their logits counts.
    last : tuple of Perceptron
        See the same; the mean of their logits counts in place of those, where there are any.
    last_from : float
        Thorough probabilities above this are left open.
    """

    first: Perceptron
    first_logit: float
    glance: Perceptron
    glance_logit: float
    thorough: tuple[Perceptron, ...]
    last: tuple[Perceptron, ...] = ()
    last_from: float = 1.0

    def promising(self, blob_features: FloatArray) -> BoolArray:
        """Tell which blobs deserve a glance.

        Parameters
        ----------
        blob_features : (N, B) float32
            What N blobs tell of themselves.

        Returns
        -------
        (N,) bool
            False for what is plainly no nodule.
        """
        worth: BoolArray = self.first.logit(blob_features) >= self.first_logit
        return worth

    def still_promising(self, glance_features: FloatArray) -> BoolArray:
        """Tell which blobs deserve the thorough look.

        Parameters
        ----------
        glance_features : (N, G) float32
            What a glance at N blobs tells.

        Returns
        -------
        (N,) bool
            False for what is no nodule.
        """
        worth: BoolArray = self.glance.logit(glance_features) >= self.glance_logit
        return worth

    def probability(self, features: FloatArray) -> FloatArray:
        """Probability of being a nodule, after all looks.

        Parameters
        ----------
        features : (N, F) float32
            Features of N candidates.

        Returns
        -------
        (N,) float64
            0 to 1.
        """
        probability = self.thorough_probability(features)
        left_open = probability > self.last_from
        if self.last:
            probability[left_open] = _mean_probability(self.last, features[left_open])
        return probability

    def thorough_probability(self, features: FloatArray) -> FloatArray:
        """Probability of being a nodule, without the last look.

        Parameters
        ----------
        features : (N, F) float32
            Features of N candidates.

        Returns
        -------
        (N,) float64
            0 to 1.
        """
        return _mean_probability(self.thorough, features)


def _mean_probability(members: tuple[Perceptron, ...], features: FloatArray) -> FloatArray:
    """Probability (N,) by the mean of the logits."""
    logits = np.stack([member.logit(features) for member in members]).mean(axis=0)
    probability: FloatArray = special.expit(logits)
    return probability


@lru_cache(maxsize=1)
def load_detector() -> Detector:
    """Load the weights that come with the package.

    Returns
    -------
    Detector
        The trained detector.
    """
    place = resources.files("miliary") / "weights" / WEIGHTS_FILE
    with place.open("rb") as file:
        return read_detector(file)


def read_detector(file: IO[bytes]) -> Detector:
    """Read weights as `scripts/train_detector` writes them.

    Parameters
    ----------
    file : binary file
        An uncompressed or compressed `.npz`; the arrays of each perceptron stand behind its
        name and a dot: `first`, `glance`, `thorough0`, `thorough1` and so on, `last0` and so on.

    Returns
    -------
    Detector
        Ready to use.
    """
    with np.load(file, allow_pickle=False) as arrays:
        return Detector(
            first=_perceptron(arrays, "first"),
            first_logit=float(arrays["first_logit"]),
            glance=_perceptron(arrays, "glance"),
            glance_logit=float(arrays["glance_logit"]),
            thorough=_members(arrays, "thorough"),
            last=_members(arrays, "last"),
            last_from=float(arrays.get("last_from", 1.0)),
        )


def _members(arrays: Mapping[str, AnyArray], name: str) -> tuple[Perceptron, ...]:
    """Perceptrons `name0`, `name1` and so on."""
    n = sum(key.startswith(name) and key.endswith(".mean") for key in arrays)
    return tuple(_perceptron(arrays, f"{name}{k}") for k in range(n))


def _perceptron(arrays: Mapping[str, AnyArray], name: str) -> Perceptron:
    n_layers = sum(key.startswith(f"{name}.weight") for key in arrays)
    return Perceptron(
        mean=arrays[f"{name}.mean"].astype(np.float32),
        scale=arrays[f"{name}.scale"].astype(np.float32),
        limit=float(arrays[f"{name}.limit"]),
        weights=tuple(arrays[f"{name}.weight{k}"].astype(np.float32) for k in range(n_layers)),
        biases=tuple(arrays[f"{name}.bias{k}"].astype(np.float32) for k in range(n_layers)),
    )
