"""How much each nodule counts: its score, brought to the false positives of this scan."""

from __future__ import annotations

import numpy as np
from scipy import special

from miliary.arrays import FloatArray
from miliary.kernels.roots import find_root

#: Scores are kept this far from 0 and 1, where their log odds end.
_SURE = 1e-6

#: At least this part of the nodules is taken for true: more false ones leave nothing to weigh.
_LEAST_TRUE = 0.05

#: Log odds by which scores can be moved: from anything to 0 or 1.
_REACH = 40.0


def weigh_nodules(score: FloatArray, expected_false: float | None) -> FloatArray:
    """Give each nodule the probability that it is one, in this scan.

    Scores are probabilities at the prevalence of the detector's training. Here their log odds
    are moved by one number, so that what is missing from 1 adds up to the false positives that
    the calibration expects among these nodules: the order of the scores is the detector's, the
    level is the scan's.

    Parameters
    ----------
    score : (N,) float
        Scores, 0 to 1.
    expected_false : float or None
        Number of false positives to expect among them; None where it is not known.

    Returns
    -------
    (N,) float
        Weights from 0 to 1; ones where nothing is known of false positives.
    """
    scores = np.asarray(score, float)
    if len(scores) == 0 or not expected_false or expected_false <= 0:
        return np.ones(len(scores))
    false = min(expected_false, (1.0 - _LEAST_TRUE) * len(scores))
    logits = special.logit(np.clip(scores, _SURE, 1.0 - _SURE))

    def surplus(move: float) -> float:
        return float(special.expit(-(logits + move)).sum() - false)

    move = find_root(surplus, -_REACH, _REACH)
    weights: FloatArray = special.expit(logits + move)
    return weights
