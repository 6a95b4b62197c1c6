"""The small network against scikit-learn, and its file."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import special

from miliary.detect import describe_around, describe_blobs, find_candidates
from miliary.model import Detector, FeatureSpec, Perceptron, load_detector
from oracles_detect import SHAPE, SPACING, linear_detector, linear_perceptron


def test_a_network_of_two_neurons_by_hand():
    detector = Perceptron(
        mean=np.array([10.0, 0.0], np.float32),
        scale=np.array([5.0, 1.0], np.float32),
        limit=4.0,
        weights=(np.array([[1.0, -1.0], [0.0, 2.0]], np.float32), np.array([[3.0], [1.0]])),
        biases=(np.array([0.0, 0.5], np.float32), np.array([-2.0])),
    )
    # (15 - 10) / 5 = 1: hidden max(1, 0) and max(-1 + 2*1 + 0.5, 0); logit 3 + 1.5 - 2.
    expected = 2.5
    assert_allclose(detector.logit(np.array([[15.0, 1.0]], np.float32)), [expected])
    # A value far out is cut to 4 units: logit 3*4 + max(-4 + 0.5, 0) - 2.
    expected = 10.0
    assert_allclose(detector.logit(np.array([[1e6, 0.0]], np.float32)), [expected])


def test_probabilities_match_scikit_learn(rng):
    network = pytest.importorskip("sklearn.neural_network")
    features = rng.normal(0, 1, (60, 5)).astype(np.float32)
    target = (features[:, 0] * features[:, 1] > 0).astype(int)
    trained = network.MLPClassifier((7, 4), solver="lbfgs", max_iter=2000, random_state=3)
    trained.fit(features, target)
    detector = Perceptron(
        np.zeros(5, np.float32),
        np.ones(5, np.float32),
        1e6,
        tuple(trained.coefs_),
        tuple(trained.intercepts_),
    )
    expected = trained.predict_proba(features)[:, 1]
    assert_allclose(special.expit(detector.logit(features)), expected, atol=1e-5)


def test_extreme_logits_are_0_and_1_without_a_warning():
    detector = linear_detector(1, 1, 0)
    found = detector.probability(np.array([[-1e6], [0.0], [1e6]], np.float32))
    assert_allclose(found, [0.0, 0.5, 1.0], atol=1e-300)


def test_no_candidates_have_no_probabilities_and_other_features_are_refused():
    detector = linear_detector(2, 4, 2)
    assert detector.probability(np.empty((0, 4), np.float32)).shape == (0,)
    with pytest.raises(ValueError, match="trained on 4 features, got 3"):
        detector.probability(np.empty((2, 3), np.float32))
    with pytest.raises(ValueError, match="trained on 2 features, got 3"):
        detector.promising(np.empty((2, 3), np.float32))


def test_short_looks_pass_what_reaches_their_limits_and_the_thorough_one_takes_the_mean():
    first, glance = linear_perceptron(1, 0), linear_perceptron(2, 1)
    members = (linear_perceptron(2, 0), linear_perceptron(2, 1))
    detector = Detector(first, 1.5, glance, 0.5, members)
    seen = detector.promising(np.array([[1.4], [1.5], [2.0]], np.float32))
    assert seen.tolist() == [False, True, True]
    glanced = detector.still_promising(np.array([[9.0, 0.4], [0.0, 0.5]], np.float32))
    assert glanced.tolist() == [False, True]
    found = detector.probability(np.array([[1.0, 3.0]], np.float32))
    assert_allclose(found, special.expit(2.0))


def test_the_last_look_judges_alone_what_the_thorough_one_leaves_open():
    members = (linear_perceptron(2, 1), linear_perceptron(2, 1, mean=2.0))
    thorough = linear_detector(1, 2, 0)
    detector = replace(thorough, last=members, last_from=0.5)
    features = np.array([[-1.0, 5.0], [0.0, 5.0], [1.0, 4.0], [2.0, -3.0]], np.float32)
    # The means of 4 and 2, and of -3 and -5; a thorough probability of 0.5 is not above the limit.
    expected = special.expit([-1.0, 0.0, 3.0, -4.0])
    assert_allclose(detector.probability(features), expected)
    assert_allclose(detector.thorough_probability(features), special.expit(features[:, 0]))
    assert_allclose(thorough.probability(features), special.expit(features[:, 0]))
    assert detector.probability(features[:0]).shape == (0,)


def test_the_weights_of_the_package_fit_its_features():
    detector = load_detector()
    image = np.full(SHAPE, -850, np.float32)
    inside = np.ones(SHAPE, bool)
    _, own = describe_blobs(image, inside, SPACING, FeatureSpec())
    blobs, features = find_candidates(image, inside, SPACING, FeatureSpec())
    spec = FeatureSpec()
    glanced = describe_around(image, SPACING, blobs, own, spec, spec.glance)
    assert len(detector.thorough) >= 1
    assert len(detector.last) >= 1
    assert 0 < detector.last_from < 0.1
    looks = [(own, detector.first), (glanced, detector.glance)]
    looks += [(features, look) for look in (*detector.thorough, *detector.last)]
    for seen, look in looks:
        assert seen.shape == (0, len(look.mean))
        sizes = [len(look.mean), *(weight.shape[1] for weight in look.weights)]
        assert [weight.shape[0] for weight in look.weights] == sizes[:-1]
        assert [len(bias) for bias in look.biases] == sizes[1:]
        assert sizes[-1] == 1
        for column in (look.mean, look.scale, *look.weights, *look.biases):
            assert np.isfinite(column).all()
        assert (look.scale > 0).all()
    assert load_detector() is detector


def test_the_spec_is_frozen_and_its_indices_point_into_it():
    spec = FeatureSpec()
    for look in (spec.glance, spec.thorough):
        assert look.background_radius < len(look.rays.radii_mm)
        assert look.background_quantile < len(look.rays.shell_quantiles)
    looks = ("glance", "thorough")
    numbers = [getattr(spec, f.name) for f in fields(spec) if f.name not in looks]
    assert all(isinstance(number, int | float | tuple) for number in numbers)
    with pytest.raises(AttributeError):
        spec.merge_mm = 2.0
