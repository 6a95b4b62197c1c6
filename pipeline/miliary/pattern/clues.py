"""What speaks for a distribution: shares near structures, and close pairs, as counts.

Each clue is a count with what would be expected at random, in this lung, as this scan shows it.
A distribution says how far it moves that expectation, on a log scale, and how much this move
differs from patient to patient; the chance of the count is then summed over the moves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from miliary.arrays import FloatArray
from miliary.config.pattern import PatternSettings
from miliary.findings import Distribution
from miliary.nodules import Nodules

#: Moves over which chances are summed: wide enough for "none at all" and "all of them".
_MOVES = np.linspace(-8.0, 8.0, 641)

#: Expected shares are kept this far from 0 and 1, where their log odds end.
_SURE = 1e-4

#: Shares are kept this far from 0 and 1 in logarithms.
_TINY = 1e-12

#: A count of none or all is moved by this for the number that is shown.
_HALF = 0.5

_PLACES = {"pleura": "the pleura", "fissure": "a fissure", "vessel": "a vessel"}


@dataclass(frozen=True)
class Count:
    """A number of nodules or pairs beside its expectation.

    Parameters
    ----------
    name : str
        Name of the clue, as its settings are called.
    found : float
        How many there are; nodules count by their weight.
    of : float or None
        Of how many; None for pairs, which have no upper end.
    expected : float
        How many would be at random: a share of `of`, or a number of pairs.
    sentence : str
        The same in words.
    """

    name: str
    found: float
    of: float | None
    expected: float
    sentence: str

    @property
    def move(self) -> float:
        """By how much what was found is moved from expectation: log odds ratio, or log ratio."""
        if self.of is None:
            return float(np.log((self.found + _HALF) / (self.expected + _HALF)))
        rest = self.of - self.found
        return float(np.log((self.found + _HALF) / (rest + _HALF)) - _logit(self.expected))

    def chances(self, purity: float) -> FloatArray:
        """Give the log probability of the count at each move, up to a constant.

        Parameters
        ----------
        purity : float
            Part of the nodules that is moved; the others lie at random.

        Returns
        -------
        (M,) float
            Binomial for shares, Poisson for pairs; weighted counts are taken as they are.
        """
        if self.of is None:
            # Of two nodules both must be moved.
            mean = self.expected * (1.0 + purity**2 * np.expm1(_MOVES))
            chances: FloatArray = self.found * np.log(mean) - mean
            return chances
        moved = special.expit(_logit(self.expected) + _MOVES)
        share = np.clip((1.0 - purity) * self.expected + purity * moved, _TINY, 1.0 - _TINY)
        return np.asarray(self.found * np.log(share) + (self.of - self.found) * np.log1p(-share))


def _logit(share: float) -> float:
    return float(special.logit(np.clip(share, _SURE, 1.0 - _SURE)))


def log_likelihood(
    count: Count, mean: float, spread: float, purity: float, *, freedom: float
) -> float:
    """Give the log probability of a count under a distribution, up to a constant.

    Parameters
    ----------
    count : Count
        What was found.
    mean, spread : float
        Centre and scale of the moves under this distribution.
    purity : float
        Part of the nodules that follows the distribution; the others lie at random.
    freedom : float
        Degrees of freedom of Student's t, by which moves are spread: few leave room for
        patients that are unlike those the numbers come from.

    Returns
    -------
    float
        Summed over the moves.
    """
    prior = -0.5 * (freedom + 1.0) * np.log1p(((_MOVES - mean) / spread) ** 2 / freedom)
    return float(special.logsumexp(count.chances(purity) + prior) - special.logsumexp(prior))


def gather_clues(
    nodules: Nodules,
    weights: FloatArray,
    distribution: Distribution,
    litres: float,
    settings: PatternSettings,
) -> tuple[Count, ...]:
    """Count what tells one distribution from another.

    Parameters
    ----------
    nodules : Nodules
        Those of the lungs that are looked at.
    weights : (N,) float
        How much each counts.
    distribution : Distribution
        What is expected in these lungs.
    litres : float
        Their volume.
    settings : PatternSettings
        Shells and reach.

    Returns
    -------
    tuple of Count
        Those that this scan can tell; none without nodules.
    """
    if len(nodules) == 0:
        return ()
    touching = settings.contact_mm
    shells = (
        ("subpleural", "pleura", settings.shell_mm, np.inf),
        # Of those near the pleura only: what the wider shell has told is not told again.
        ("touching", "pleura", touching, settings.shell_mm),
        ("fissural", "fissure", touching, np.inf),
        ("vascular", "vessel", touching, np.inf),
    )
    found = [
        _share(name, structure, (within, among), nodules, weights, distribution)
        for name, structure, within, among in shells
    ]
    found.append(_pairs(weights, distribution, litres, settings))
    return tuple(count for count in found if count is not None)


def _share(
    name: str,
    structure: str,
    shells_mm: tuple[float, float],
    nodules: Nodules,
    weights: FloatArray,
    distribution: Distribution,
) -> Count | None:
    """Count the nodules in a shell among those in a wider one; None where it is unknown."""
    within, among = shells_mm
    distance: FloatArray = getattr(nodules, f"{structure}_mm")
    looked_at = distance < among
    expected = _expected(distribution, structure, within)
    around = _expected(distribution, structure, among)
    if not expected or not around or not looked_at.any():
        return None
    expected /= around
    found = float(weights[distance < within].sum())
    of = float(weights[looked_at].sum())
    whose = "the nodules" if np.isinf(among) else f"those within {among:g} mm"
    sentence = (
        f"{found / of:.0%} of {whose} lie within {within:g} mm of {_PLACES[structure]}; "
        f"{expected:.0%} would at random, with what this scan shows where."
    )
    return Count(name, found, of, expected, sentence)


def _expected(distribution: Distribution, structure: str, within_mm: float) -> float | None:
    if np.isinf(within_mm):
        return 1.0
    share = distribution.share(structure, within_mm)
    return None if share is None else share.expected


def _pairs(
    weights: FloatArray, distribution: Distribution, litres: float, settings: PatternSettings
) -> Count | None:
    """Count pairs of nodules as near as in a rosette; None where K was not told there."""
    curve = next((curve for curve in distribution.curves if curve.function == "K"), None)
    if curve is None or len(curve.r_mm) == 0 or litres <= 0:
        return None
    k = int(np.abs(curve.r_mm - settings.rosette_mm).argmin())
    observed, random = curve.observed[k], curve.expected[k]
    if not (np.isfinite(observed) and random > 0):
        return None
    # Two nodules make a true pair as likely as both are true.
    n = float(weights.sum())
    expected = 0.5 * n**2 * float(random) / (1e6 * litres)
    ratio = float(observed / random)
    sentence = (
        f"Pairs of nodules within {settings.rosette_mm:g} mm of each other are {ratio:.1f} times "
        "as many as at random."
    )
    return Count("clustering", expected * ratio, None, expected, sentence)
