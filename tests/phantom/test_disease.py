"""The placement of nodules; the patterns in the finished image are in test_phantom."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.spatial import KDTree

from miliary.config.spatial import SpatialSettings
from miliary.phantom.disease import Lesions, place_nodules
from miliary.phantom.patient import make_patient
from miliary.phantom.patterns import CENTRILOBULAR_MM, PERILYMPHATIC_MM
from miliary.phantom.site import make_site
from miliary.phantom.spec import NoduleSpec, PhantomSpec
from miliary.spatial import Window, describe_distribution

SPEC = PhantomSpec.of(shape=(130, 140, 180), spacing_mm=(1.0, 0.9, 0.9), scale=0.42, pattern="none")
#: Patterns tried, and how many of them a test at 5 % may reject: 1 of 2,000 such runs has more.
PATTERNS_TRIED, MOST_REJECTED = 60, 10


@pytest.fixture(scope="module")
def patient():
    return make_patient(SPEC, np.random.default_rng(6))


@pytest.fixture(scope="module")
def site(patient):
    return make_site(patient.chest, patient.lobules, patient.trees, SPEC, "both")


def place(site, seed=1, **wishes):
    return place_nodules(site, NoduleSpec(**wishes), np.random.default_rng(seed))


def heights(site, lesions):
    return site.chest.frame.to_chest(lesions.centres_mm)[:, 0]


def border_mm(site, points):
    pleura = site.chest.sample(site.chest.true_depth_mm, points)
    return np.minimum(pleura, site.chest.fissure_offset_mm(points))


def test_centres_are_not_allowed_in_vessels_or_outside(site):
    tubes = site.trees.artery_tubes
    wide = tubes.radius_mm > 0.8
    assert not site.allowed(tubes.start_mm[wide]).any()
    assert not site.allowed(np.zeros((1, 3))).any()
    assert site.allowed(np.empty((0, 3))).shape == (0,)


@pytest.mark.parametrize("pattern", ["random", "centrilobular", "perilymphatic", "metastases"])
def test_every_centre_is_allowed_and_as_many_as_asked_for(site, pattern):
    lesions = place(site, pattern=pattern, n_nodules=60)
    assert lesions.centres_mm.shape == (60, 3)
    assert site.allowed(lesions.centres_mm).all()
    assert set(lesions.pattern) == {pattern}


def test_no_pattern_is_no_nodules(site):
    lesions = place(site, pattern="none")
    assert lesions.centres_mm.shape == lesions.stem_mm.shape == (0, 3)
    assert lesions.diameter_mm.shape == (0,)
    assert len(lesions.buds) == 0


def test_fewer_random_nodules_are_the_first_of_more(site):
    few, many = (place(site, n_nodules=n) for n in (40, 90))
    assert_array_equal(few.centres_mm, many.centres_mm[:40])


def test_random_places_pass_the_envelope_test_at_its_nominal_rate(site):
    grid = np.argwhere(np.ones(site.chest.depth_mm.shape)) * site.chest.step_mm
    allowed = site.allowed(grid).reshape(site.chest.depth_mm.shape)
    window = Window(allowed.astype(np.uint8), np.full(3, site.chest.step_mm))
    settings = SpatialSettings(
        simulations=99, empty_space_simulations=0, covariate_simulations=99, max_radius_mm=15.0,
        lattice_points=300, directions=200, reference_points=2000,
    )  # fmt: skip
    p = []
    for seed in range(PATTERNS_TRIED):
        points = place(site, seed=seed, n_nodules=60).centres_mm
        found = describe_distribution(
            points, window, distances_mm={}, zone_labels=np.zeros(allowed.shape, np.uint8),
            settings=settings, rng=np.random.default_rng(seed),
        )  # fmt: skip
        p.append(found.csr_p)
    assert 0 < np.sum(np.array(p) <= 0.05) <= MOST_REJECTED


@pytest.mark.parametrize("gradient", [4.0, 0.25])
def test_random_nodules_are_denser_at_the_base_by_the_gradient_asked_for(site, gradient):
    plain, graded = (
        heights(site, place(site, n_nodules=4000, gradient=g)) for g in (1.0, gradient)
    )
    inside = np.argwhere(site.chest.depth_mm > 0) * site.chest.step_mm
    z = site.chest.frame.to_chest(inside)[:, 0]
    weight = gradient ** (-(plain - z.min()) / np.ptp(z))
    assert_allclose(graded.mean(), np.average(plain, weights=weight), atol=2.5)
    assert abs(graded.mean() - plain.mean()) > 10


def test_centrilobular_nodules_keep_away_from_borders_and_lie_in_rosettes(site):
    lesions = place(site, pattern="centrilobular", n_nodules=120)
    assert border_mm(site, lesions.centres_mm).min() > CENTRILOBULAR_MM
    lobe = site.chest.lobes_at(lesions.centres_mm)
    to_seed = site.lobules.nearest(lesions.centres_mm, lobe, 1)[0][:, 0]
    random = place(site, n_nodules=500).centres_mm
    other = site.lobules.nearest(random, site.chest.lobes_at(random), 1)[0][:, 0]
    assert np.median(to_seed) < 0.6 * np.median(other)
    row = site.lobules.nearest(lesions.centres_mm, lobe, 1)[1][:, 0]
    assert np.bincount(row).max() >= 3


def test_some_rosettes_hang_on_filled_bronchioles(site):
    lesions = place(site, pattern="centrilobular", n_nodules=120)
    assert 0.1 < len(lesions.buds) / 120 < 0.8
    assert_array_equal(lesions.buds.end_mm, lesions.centres_mm[lesions.stem_radius_mm > 0])
    assert len(place(site, n_nodules=60).buds) == 0


def test_perilymphatic_nodules_lie_along_the_lymphatics_in_clusters(site):
    lesions = place(site, pattern="perilymphatic", n_nodules=400)
    random = place(site, n_nodules=400)
    points = lesions.centres_mm
    at_border = border_mm(site, points) < PERILYMPHATIC_MM
    # A little over a third at the pleura and a quarter at fissures.
    assert 0.5 < at_border.mean() < 0.75
    inner = points[~at_border]
    septum = site.lobules.septum_mm(inner, site.chest.lobes_at(inner)) < PERILYMPHATIC_MM / 2
    axes, radius = site.axes, site.axes_radius_mm
    distance, row = axes.query(inner, k=8)
    bundle = ((distance - radius[row]) < 3.0).any(axis=1)
    assert (septum | bundle).mean() > 0.95

    def neighbour_mm(found):
        return np.median(KDTree(found.centres_mm).query(found.centres_mm, k=2)[0][:, 1])

    assert neighbour_mm(lesions) < 0.7 * neighbour_mm(random)


def test_metastases_are_of_unequal_size(site):
    diameter = place(site, pattern="metastases", n_nodules=12).diameter_mm
    assert 3.0 <= diameter.min() < 7.0 < diameter.max() <= 15.0


@pytest.mark.parametrize("name", ["normal", "lognormal", "uniform"])
def test_diameters_have_the_mean_and_spread_asked_for(site, name):
    lesions = place(
        site, n_nodules=3000, diameter_mm=2.0, diameter_sd_mm=0.3, diameter_distribution=name
    )
    assert_allclose(lesions.diameter_mm.mean(), 2.0, atol=0.03)
    assert_allclose(lesions.diameter_mm.std(), 0.3, rtol=0.06)


def test_any_sizes_can_be_given(site):
    lesions = place(site, n_nodules=900, diameters_mm=(1.0, 1.0, 3.0))
    assert set(lesions.diameter_mm) == {1.0, 3.0}
    assert_allclose((lesions.diameter_mm == 1.0).mean(), 2 / 3, atol=0.06)


def test_sizes_can_differ_from_base_to_apex(site):
    lesions = place(site, n_nodules=2000, diameter_sd_mm=0.0, diameter_gradient=0.5)
    z = heights(site, lesions)
    assert np.corrcoef(z, lesions.diameter_mm)[0, 1] > 0.95
    assert lesions.diameter_mm.max() / lesions.diameter_mm.min() > 1.7


@pytest.mark.parametrize("side", ["right", "left"])
def test_one_lung_alone_can_be_ill(patient, side):
    site = make_site(patient.chest, patient.lobules, patient.trees, SPEC, side)
    right = patient.chest.is_right(place(site, n_nodules=50).centres_mm)
    assert (right == (side == "right")).all()


def test_no_nodule_lies_in_a_lobe_without_air(patient):
    spec = SPEC.but(consolidated_lobe="LLL")
    site = make_site(patient.chest, patient.lobules, patient.trees, spec, "left")
    assert set(patient.chest.lobes_at(place(site, n_nodules=50).centres_mm)) == {4}


def test_populations_are_joined_and_taken_row_by_row(site):
    one, two = place(site, n_nodules=5), place(site, pattern="centrilobular", n_nodules=7)
    both = Lesions.join([one, two])
    assert_array_equal(
        both.take(np.array([1, 6])).centres_mm, [one.centres_mm[1], two.centres_mm[1]]
    )


def test_too_many_nodules_for_the_lungs_is_an_error(patient):
    tiny = SPEC.but(shape=(20, 20, 20), scale=0.2)
    small = make_patient(tiny, np.random.default_rng(1))
    site = make_site(small.chest, small.lobules, small.trees, tiny, "both")
    with pytest.raises(ValueError, match="room for 5 centrilobular nodules, found"):
        place(site, pattern="centrilobular", n_nodules=5)
