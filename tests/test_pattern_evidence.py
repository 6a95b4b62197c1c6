"""The evidence for a distribution: what nodules weigh, what is counted, and Bayes' rule over it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import integrate, special, stats

import oracles_pattern as made
from miliary.config.pattern import PatternSettings
from miliary.nodules import Nodules
from miliary.pattern import name_pattern
from miliary.pattern.clues import Count, gather_clues, log_likelihood
from miliary.pattern.weigh import weigh_nodules

SETTINGS = PatternSettings()


def name(scene, counts=made.BOTH):
    return name_pattern(counts, made.CLEAR, scene.nodules, scene.distribution, SETTINGS)


def test_weights_add_up_to_what_is_true_and_keep_the_order_of_the_scores(rng):
    score = rng.uniform(0.6, 1.0, 80)
    weights = weigh_nodules(score, 17.5)
    assert_allclose(np.sum(1 - weights), 17.5, rtol=1e-6)
    assert_array_equal(np.argsort(weights), np.argsort(score))
    # One number moves all log odds: the same for every nodule.
    moved = np.log(weights / (1 - weights)) - np.log(score / (1 - score))
    assert_allclose(moved, moved[0])


def test_weights_without_false_positives_are_one_and_never_all_nought():
    for unknown in (None, 0.0):
        assert_array_equal(weigh_nodules(np.array([0.7, 0.9]), unknown), [1.0, 1.0])
    assert len(weigh_nodules(np.empty(0), 3.0)) == 0
    assert_allclose(weigh_nodules(np.array([0.7, 0.9, 1.0, 0.0]), 99.0).sum(), 0.05 * 4)


def test_clues_hold_the_counts_that_can_be_counted(rng):
    scene = made.scene(101, pleura=1.3, fissure=0.7, vessel=1.1, pairs=3.0)
    weights = rng.uniform(0.5, 1.0, 101)
    found = gather_clues(scene.nodules, weights, scene.distribution, 2.0, SETTINGS)
    rows = list(zip(weights, scene.nodules.pleura_mm, scene.nodules.vessel_mm, strict=True))
    n = sum(w for w, _, _ in rows)
    near = sum(w for w, pleura, _ in rows if pleura < 5)
    truth = {
        "subpleural": (near, n, 0.25),
        "touching": (sum(w for w, pleura, _ in rows if pleura < 2.5), near, 0.12 / 0.25),
        "vascular": (sum(w for w, _, vessel in rows if vessel < 2.5), n, 0.25),
    }
    counts = {count.name: count for count in found}
    for called, (some, of, expected) in truth.items():
        count = counts[called]
        assert_allclose((count.found, count.of, count.expected), (some, of, expected))
    pairs = 0.5 * n**2 * (4 / 3 * np.pi * 5.0**3) / 2e6
    assert_allclose(counts["clustering"].expected, pairs)
    assert_allclose(counts["clustering"].found, 3.0 * pairs)


def test_likelihood_of_a_share_is_the_binomial_averaged_over_patients():
    count = Count("subpleural", 12.0, 60.0, 0.3, "Made up.")
    other = replace(count, found=30.0)

    def brute(k, mean, purity):
        def at(move):
            odds = np.exp(np.log(0.3 / 0.7) + move)
            share = (1 - purity) * 0.3 + purity * odds / (1 + odds)
            return stats.binom.pmf(k, 60, share) * stats.t.pdf((move - mean) / 0.4, 4.0) / 0.4

        return integrate.quad(at, -8, 8, points=[mean], limit=200)[0]

    for mean in (-1.5, 0.0, 0.8):
        for purity in (1.0, 0.5):
            # The binomial coefficient is left out; it is the same under every distribution.
            ratio = log_likelihood(count, mean, 0.4, purity, freedom=4.0) - log_likelihood(
                other, mean, 0.4, purity, freedom=4.0
            )
            ways = np.log(special.comb(60, 12) / special.comb(60, 30))
            truth = np.log(brute(12, mean, purity) / brute(30, mean, purity)) - ways
            assert_allclose(ratio, truth, atol=2e-3)


def test_likelihood_of_pairs_is_the_poisson_averaged_over_patients():
    few, many = (Count("clustering", k, None, 2.5, "Made up.") for k in (2.0, 14.0))

    def brute(k, purity):
        def at(move):
            mean = 2.5 * (1 + purity**2 * (np.exp(move) - 1))
            return stats.poisson.pmf(k, mean) * stats.t.pdf((move - 1.4) / 0.6, 4.0)

        return integrate.quad(at, -8, 8, points=[1.4], limit=200)[0]

    for purity in (1.0, 0.5):
        one, other = (log_likelihood(c, 1.4, 0.6, purity, freedom=4.0) for c in (few, many))
        ways = -special.gammaln(3) + special.gammaln(15)
        truth = np.log(brute(2, purity) / brute(14, purity)) - ways
        assert_allclose(one - other, truth, atol=2e-3)


def test_probabilities_are_bayes_rule_over_every_form_of_every_distribution():
    scene = made.scene(90, pleura=0.8, fissure=1.2, vessel=1.2, pairs=2.0)
    weights = weigh_nodules(scene.nodules.score, sum(count.false for count in made.BOTH))
    found = gather_clues(scene.nodules, weights, scene.distribution, 4.0, SETTINGS)
    false, mild = SETTINGS.false_share, SETTINGS.mild_share
    forms = {
        "random": ((0, 1.0), (3, false)),
        "centrilobular": ((1, 1.0), (1, mild)),
        "perilymphatic": ((2, 1.0), (2, mild)),
    }
    chances = {
        label: sum(
            np.prod(
                [
                    np.exp(
                        log_likelihood(
                            count,
                            getattr(SETTINGS, f"{count.name}_means")[k],
                            getattr(SETTINGS, f"{count.name}_spreads")[k],
                            purity,
                            freedom=SETTINGS.freedom,
                        )
                    )
                    for count in found
                ]
            )
            for k, purity in both
        )
        for label, both in forms.items()
    }
    scores = dict(name(scene).scores)
    for label, chance in chances.items():
        assert_allclose(scores[label], chance / sum(chances.values()), rtol=1e-6)


def contaminated(scene, share, *, score, rng):
    """The scene with so large a share of false positives added, all at vessels."""
    n = len(scene.nodules)
    k = round(share / (1 - share) * n)
    false = replace(
        made.nodules_in(k, 0),
        score=rng.uniform(*score, k),
        pleura_mm=rng.uniform(2.0, 40.0, k),
        fissure_mm=rng.uniform(2.0, 40.0, k),
        vessel_mm=rng.uniform(0.0, 1.5, k),
    )
    both = {
        field: np.concatenate([getattr(scene.nodules, field), getattr(false, field)])
        for field in Nodules.__dataclass_fields__
    }
    return made.Scene(Nodules(**both), replace(scene.distribution, n=n + k))


@pytest.mark.parametrize("share", [0.1, 0.2, 0.3])
@pytest.mark.parametrize("told", [True, False], ids=["expected", "unexpected"])
@pytest.mark.parametrize(
    ("label", "lies"),
    [
        ("random", {}),
        ("centrilobular", {"pleura": 0.08, "fissure": 0.1, "vessel": 1.6, "pairs": 8.0}),
        (
            "perilymphatic",
            {"pleura": 1.6, "touching": 1.7, "fissure": 2.8, "vessel": 1.2, "pairs": 4.0},
        ),
    ],
)
def test_false_positives_at_vessels_do_not_flip_the_call(label, lies, told, share, rng):
    clean = made.scene(160, **{"fissure": 1.0, **lies})
    mixed = contaminated(clean, share, score=(0.6, 0.95), rng=rng)
    counts = made.BOTH
    if told:
        expected = (len(mixed.nodules) - 160) / 2
        counts = tuple(replace(count, n=count.n + 40, false=expected) for count in made.BOTH)
    assert name(clean).label == label
    assert name(mixed, counts).label == label


@pytest.mark.parametrize(
    ("n", "lies", "label"),
    [
        (100, {}, "random"),
        (3000, {}, "random"),
        (100, {"pleura": 0.05, "fissure": 0.0, "vessel": 2.0, "pairs": 10.0}, "centrilobular"),
        # Placed by other code, that knows pleura alone: no vessel, no fissure is favoured.
        (150, {"pleura": 0.05, "fissure": 0.5, "vessel": 0.9, "pairs": 30.0}, "centrilobular"),
        (150, {"pleura": 3.5, "fissure": 0.5, "vessel": 0.4, "pairs": 8.0}, "perilymphatic"),
        # In small lungs most nodules of any kind are near the pleura; fissures tell then.
        (100, {"pleura": 1.2, "touching": 1.6, "fissure": 4.0, "pairs": 4.0}, "perilymphatic"),
        # Half of the nodules at random: a mild form, not to be called random.
        (300, {"pleura": 1.5, "touching": 1.4, "fissure": 2.2, "pairs": 1.6}, "perilymphatic"),
    ],
)
def test_golden_table_of_distributions(n, lies, label):
    assert name(made.scene(n, **{"fissure": 1.0, **lies})).label == label
