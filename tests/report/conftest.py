"""A made-up case: ellipsoid lungs with tubes and bright balls, and numbers to go with them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from miliary.analyze import Analysis
from miliary.anatomy import Anatomy, Excluded, Fissure, Lung, RindMap
from miliary.config import Config
from miliary.findings import (
    Calibration,
    Criterion,
    Curve,
    DensityMap,
    Distribution,
    ImageQuality,
    Pattern,
    Preference,
    Sensitivity,
    Share,
    SizeSummary,
    Test,
    Verdict,
    ZoneDensity,
)
from miliary.geometry import Geometry
from miliary.nodules import Nodules
from miliary.volume import Acquisition, Volume

SHAPE, SPACING_MM = (47, 56, 77), (3.0, 3.5, 3.4)


#: Elements that HTML lets stand without an end.
VOID = {"meta", "img", "input", "br", "link", "hr"}


class Reader(HTMLParser):
    """Reads a page strictly: every element ends, in order; keeps what can be seen."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.visible = ""
        self.scripts: list[str] = []
        self.styles: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), f"{tag} repeats an attribute"
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> ends nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        last = self.open[-1] if self.open else ""
        if last == "script":
            self.scripts.append(data)
        elif last == "style":
            self.styles.append(data)
        else:
            self.visible += data + " "

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture
def read_page() -> type[Reader]:
    """Read a page strictly; gives its elements and its visible text."""
    return Reader


@pytest.fixture
def make_analysis(rng: np.random.Generator) -> Callable[..., Analysis]:
    """Make a case with so many nodules; keyword arguments replace parts of it."""

    def make(n: int = 120, **changes: Any) -> Analysis:
        hu, lungs = _phantom()
        return replace(made_up(hu, lungs, SPACING_MM, n, rng), **changes)

    return make


@functools.cache
def _phantom() -> tuple[np.ndarray, np.ndarray]:
    return phantom(SHAPE, np.random.default_rng(5))


def phantom(shape: tuple[int, int, int], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two ellipsoid lungs with some tubes, and their labels."""
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    lungs = np.zeros(shape, np.uint8)
    for label, middle in ((1, -0.46), (2, 0.46)):
        lungs[(z / 0.86) ** 2 + (y / 0.8) ** 2 + ((x - middle) / 0.38) ** 2 < 1] = label
    hu = np.where(lungs > 0, -860.0, np.where(x**2 + y**2 < 0.98, 40.0, -1000.0))
    for _ in range(30):
        at, way = rng.uniform(-0.6, 0.6, 3), rng.normal(size=3)
        way /= np.linalg.norm(way)
        off = np.stack([z, y, x]) - at[:, None, None, None]
        along = np.tensordot(way, off, 1)
        hu[((off**2).sum(0) - along**2 < 3e-4) & (np.abs(along) < 0.25) & (lungs > 0)] = -50
    return hu + rng.normal(0, 25, shape), lungs


def made_up(
    hu: np.ndarray,
    lungs: np.ndarray,
    spacing_mm: tuple[float, float, float],
    n: int,
    rng: np.random.Generator,
    index: np.ndarray | None = None,
) -> Analysis:
    """Fill a whole `Analysis` round an image and its lungs."""
    geometry = Geometry.aligned(hu.shape, spacing_mm, (-130.0, -110.0, -300.0))
    lungs = np.asarray(lungs, np.uint8)
    if index is None:
        places = np.argwhere(lungs > 0)
        index = places[rng.integers(0, len(places), n)] + rng.uniform(-0.4, 0.4, (n, 3))
        bright = np.zeros(hu.shape)
        z, y, x = np.rint(index).astype(int).T
        bright[z, y, x] = 900
        hu = hu + ndimage.gaussian_filter(bright, 0.5) * 3
    heights = np.linspace(0, 3, hu.shape[0], endpoint=False).astype(np.uint8)
    zones = np.where(lungs > 0, (3 - heights)[:, None, None], 0).astype(np.uint8)
    anatomy = Anatomy(
        box=tuple(slice(0, size) for size in hu.shape),
        geometry=geometry,
        lung_labels=lungs,
        evaluable_labels=lungs,
        zone_labels=zones,
        vessel_mask=np.zeros(hu.shape, bool),
        airway_mask=np.zeros(hu.shape, bool),
        pleura_mm=np.ones(hu.shape, np.float32),
        vessel_mm=np.ones(hu.shape, np.float32),
        lungs=_lungs(lungs, geometry.voxel_ml),
        notes=("The left lung base is cut by the scan.",),
        lobe_labels=np.where(lungs == 1, np.where(zones == 3, 1, 3), 0).astype(np.uint8),
        rinds=(RindMap("left", np.zeros((40, 3)), np.linspace(2.0, 9.0, 40)),),
        fissures=(
            Fissure("right_oblique", 0.82, 0.64, 151.0),
            Fissure("left_oblique", 0.05, 0.1, 160.0),
        ),
    )
    volume = Volume(
        np.clip(np.rint(hu), -1024, 3071).astype(np.int16),
        geometry,
        Acquisition(1.25, "B50f", "Maker & Sons", "Model <1>", 120.0, None, False),
        case="case-0a1b2c",
        source="SMITH_JOHN/series-1",
    )
    nodules = _nodules(anatomy, index, rng)
    return Analysis(
        volume=volume,
        config=Config(),
        seed=7,
        quality=ImageQuality(38.2, (1.3, 1.1, 1.1), True),
        anatomy=anatomy,
        nodules=nodules,
        calibration=_calibration(),
        size=_size(nodules),
        described=("right", "left"),
        spatial=_spatial(nodules, n, anatomy),
        pattern=Pattern(
            "random" if n else "none",
            (("random", 0.91), ("centrilobular", 0.05), ("perilymphatic", 0.04), ("none", 0.0)),
            ("Subpleural and fissural shares are as expected from this lung’s own volume.",),
        ),
        miliary=_verdict(n),
        notes=("Fissures were found on the right only.",),
        seconds=(("lungs", 4.21), ("detect", 11.03)),
    )


def _lungs(labels: np.ndarray, voxel_ml: float) -> tuple[Lung, ...]:
    ml = [float((labels == side).sum()) * voxel_ml for side in (1, 2)]
    return (
        Lung("right", ml[0], 0.93 * ml[0], hemithorax_ml=1.05 * ml[0]),
        Lung(
            "left",
            ml[1],
            0.9 * ml[1],
            (Excluded("rind or effusion", 0.1 * ml[1]),),
            ("Small effusion.",),
            hemithorax_ml=1.1 * ml[1],
            rind_mm=5.5,
        ),
    )


def _nodules(anatomy: Anatomy, index: np.ndarray, rng: np.random.Generator) -> Nodules:
    n = len(index)
    if not n:
        return Nodules.empty()
    diameter = np.clip(rng.normal(1.85, 0.25, n), 1.0, 4.0)
    diameter[:: max(n // 8, 1)] += 1.0
    names = np.array(["", "upper", "middle", "lower"])
    sides = np.array(["right", "right", "left"])
    return Nodules(
        points_mm=anatomy.geometry.to_world(index),
        diameter_mm=diameter,
        diameter_se_mm=rng.uniform(0.08, 0.25, n),
        contrast_hu=rng.normal(700, 60, n),
        score=rng.uniform(0.9, 1, n),
        lung=sides[anatomy.at(anatomy.lung_labels, index)],
        lobe=np.full(n, ""),
        zone=names[anatomy.at(anatomy.zone_labels, index)],
        pleura_mm=rng.uniform(0, 30, n),
        fissure_mm=np.full(n, np.nan),
        vessel_mm=rng.uniform(0, 9, n),
        micronodule=diameter <= 2.0,
    )


def _calibration() -> Calibration:
    diameters = (1.2, 1.5, 1.8, 2.1, 2.5, 3.0)
    rows = []
    for region, drop in (
        ("all", 0.0),
        ("subpleural", 0.12),
        ("perivascular", 0.2),
        ("interior", -0.05),
    ):
        for d in diameters:
            value = float(np.clip(1 / (1 + np.exp(-4 * (d - 1.6))) - drop, 0, 0.99))
            rows.append(Sensitivity(region, d, value, max(value - 0.07, 0), min(value + 0.06, 1)))
    bias = tuple((d, 0.12 * (1.6 - d) if d < 1.6 else -0.01) for d in diameters)
    sd = tuple((d, 0.3 / d) for d in diameters)
    return Calibration(tuple(rows), bias, sd, 300)


def _size(nodules: Nodules) -> SizeSummary:
    if not len(nodules):
        return SizeSummary(0, None, None, None, None, None, None, None, "Nothing was measured.")
    q1, q2, q3 = map(float, np.percentile(nodules.diameter_mm, [25, 50, 75]))
    sentence = "The spread of diameters beyond measurement error is small."
    return SizeSummary(len(nodules), q2, 0.15, 0.11, 0.08, 0.14, (q1, q3), True, sentence)


def _spatial(nodules: Nodules, n: int, anatomy: Anatomy) -> Distribution:
    if not n:
        density = _density(nodules, anatomy)
        return Distribution(0, None, None, None, (), (), (), (), density=density)
    curves = [_l_curve(lung) for lung in ("right", "both", "left")]
    curves += [
        _cdf("G", "both", 4.0),
        _cdf("pleura", "both", 12.0, 1.0),
        _cdf("vessel", "both", 3.0, 0.75),
    ]
    shares = (
        Share("pleura", 2.5, 0.21, 0.20, 1.05, 0.86, 1.27, 0.61, 0.5),
        Share("fissure", 2.5, 0.07, 0.05, 1.4, 0.9, 2.3, 0.12, 0.47),
        Share("vessel", 1.5, 0.11, 0.19, 0.58, 0.44, 0.75, 0.0002, 0.57),
        Share("fissure", 5.0, None, None, None, None, None, None, None),
    )
    zones = tuple(
        ZoneDensity(
            zone,
            lung,
            count := int(((nodules.zone == zone) & (nodules.lung == lung)).sum()),
            count / 0.8 if lung == "right" or zone != "lower" else None,
            1.1 if zone == "upper" else 0.96,
        )
        for lung in ("left", "right")
        for zone in ("lower", "middle", "upper")
    )
    tests = (
        Test("global_envelope_L_and_G", "both", 0.34, 0.012),
        Test("berman_z1_vessel", "right", 0.0004, -3.4),
        Test("kolmogorov_smirnov_fissure", "left", None, None),
    )
    return Distribution(
        n,
        0.34,
        0.98,
        False,
        tests,
        tuple(curves),
        shares,
        zones,
        ("Fixed n per lung.",),
        lobes=_lobes(nodules),
        preferences=(
            Preference("vessel", "both", n, 0.57, 0.51, 0.63),
            Preference("height", "right", n, 0.48, None, None),
            Preference("side", "both", 0, None, None, None),
        ),
        density=_density(nodules, anatomy),
    )


def _lobes(nodules: Nodules) -> tuple[ZoneDensity, ...]:
    n = int((nodules.lung == "right").sum())
    return (
        ZoneDensity("RUL", "right", n // 3, 61.0, 1.2, 40.0, 88.0, 0.9, 1.6),
        ZoneDensity("RLL", "right", n - n // 3, 47.0, 0.9, 30.0, 70.0, 0.7, 1.1),
    )


def _density(nodules: Nodules, anatomy: Anatomy) -> DensityMap:
    """Smooth the counts on voxels of twice the size, coarsely."""
    geometry = anatomy.geometry
    shape = tuple(-(-size // 2) for size in geometry.shape)
    at = np.rint(geometry.to_index(nodules.points_mm)).astype(int) // 2
    counts = np.zeros(shape)
    np.add.at(counts, tuple(np.clip(at, 0, np.array(shape) - 1).T), 1)
    inside = anatomy.lung_labels[::2, ::2, ::2] > 0
    per_ml = np.where(inside, ndimage.gaussian_filter(counts, 1.5), np.nan) / geometry.voxel_ml / 8
    voxel_mm = 2 * geometry.spacing_mm
    return DensityMap(per_ml, 0.4 * per_ml, voxel_mm, geometry.spacing_mm / 2, 10.0)


def _l_curve(lung: str) -> Curve:
    r = np.linspace(0, 30, 61)
    wave = {"both": 0.2, "right": 0.15, "left": 0.9}[lung] * np.sin(r / 4) * np.exp(-r / 15)
    half = 0.25 + 0.8 * np.exp(-r)
    observed = r + wave
    observed[0] = np.nan
    return Curve("L", lung, r, observed, r, r - half, r + half)


def _cdf(function: str, lung: str, scale: float, shift: float = 1.0) -> Curve:
    r = np.linspace(0, 4 * scale, 60)
    expected = 1 - np.exp(-((r / scale) ** 1.4))
    observed = 1 - np.exp(-((shift * r / scale) ** 1.4))
    half = 0.22 * np.sqrt(expected * (1 - expected)) + 1e-3
    return Curve(function, lung, r, observed, expected, expected - half, expected + half)


def _verdict(n: int) -> Verdict:
    if not n:
        words = "No nodule was found at the operating point."
        return Verdict("absent", None, (Criterion("numerous", False, 0.0, 30.0, words),))
    return Verdict(
        "present",
        "bilateral",
        (
            Criterion(
                "numerous",
                True,
                84.2,
                30.0,
                "84 nodules a litre, more than normal lungs show (30).",
            ),
            Criterion("small", True, 1.86, 3.0, "The median diameter is 1.86 mm, below 3 mm."),
            Criterion(
                "uniform",
                True,
                0.11,
                0.25,
                "Diameters differ by 11 % once measurement error is out.",
            ),
            Criterion(
                "random", True, 0.34, 0.05, "Placement cannot be told from random (p = 0.34)."
            ),
            Criterion(
                "no_vessel_preference",
                False,
                0.58,
                0.8,
                "Fewer nodules near vessels than expected.",
            ),
            Criterion("fissural", None, None, 0.5, "Fissures were not found on the left."),
        ),
    )
