"""The trained part of the detector: what it looks at, and its weights, from one small file."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import IO

import numpy as np
from scipy import special

from miliary.arrays import FloatArray

WEIGHTS_FILE = "detector.npz"


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
    n_directions : int
        Rays a candidate.
    radii_mm : tuple of float
        Distances along the rays.
    shell_quantiles, ridge_quantiles : tuple of float
        Order statistics over the directions of values, and of running minima along the rays.
    background_radius : int
        Which of the radii tells the level of the lung around.
    background_quantile : int
        Which of the shell quantiles does.
    min_contrast_hu : float
        Contrasts are divided by at least this much.
    component_sigma_mm : float
        Smoothing before components are labelled.
    component_levels_hu : tuple of float
        Levels at which they are.
    """

    sigmas_mm: tuple[float, ...] = (0.6, 0.85, 1.2)
    min_laplacian_hu: float = 30.0
    min_curvature_hu: float = 10.0
    merge_mm: float = 0.9
    cap_hu: float = 60.0
    outside_hu: float = -850.0
    n_directions: int = 184
    radii_mm: tuple[float, ...] = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0)
    shell_quantiles: tuple[float, ...] = (0, 0.05, 0.15, 0.3, 0.5, 0.7, 0.85, 0.93, 0.97, 1)
    ridge_quantiles: tuple[float, ...] = (0.3, 0.6, 0.8, 0.9, 0.95, 0.98, 1)
    background_radius: int = 7
    background_quantile: int = 3
    min_contrast_hu: float = 50.0
    component_sigma_mm: float = 0.6
    component_levels_hu: tuple[float, ...] = (-800, -700, -600, -500, -400, -300, -200)


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

    def probability(self, features: FloatArray) -> FloatArray:
        """Probability of being a nodule.

        Parameters
        ----------
        features : (N, F) float32
            Features of N candidates.

        Returns
        -------
        (N,) float64
            0 to 1.

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
        logit = (layer @ self.weights[-1] + self.biases[-1])[:, 0].astype(float)
        probability: FloatArray = special.expit(logit)
        return probability


@lru_cache(maxsize=1)
def load_detector() -> Perceptron:
    """Load the weights that come with the package.

    Returns
    -------
    Perceptron
        The trained detector.
    """
    place = resources.files("miliary") / "weights" / WEIGHTS_FILE
    with place.open("rb") as file:
        return read_perceptron(file)


def read_perceptron(file: IO[bytes]) -> Perceptron:
    """Read weights as `scripts/train_detector` writes them.

    Parameters
    ----------
    file : binary file
        An uncompressed or compressed `.npz`.

    Returns
    -------
    Perceptron
        Ready to use.
    """
    with np.load(file, allow_pickle=False) as arrays:
        n_layers = sum(name.startswith("weight") for name in arrays.files)
        return Perceptron(
            mean=arrays["mean"],
            scale=arrays["scale"],
            limit=float(arrays["limit"]),
            weights=tuple(arrays[f"weight{k}"].astype(np.float32) for k in range(n_layers)),
            biases=tuple(arrays[f"bias{k}"] for k in range(n_layers)),
        )
