"""What a phantom is asked to be: one section for each thing that can be asked.

Every wish is declared like a setting of the configuration, with meaning, unit and source;
`miliary phantom --config FILE` reads them from TOML.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from miliary.config.fields import setting

PATTERNS = ("none", "random", "centrilobular", "perilymphatic", "metastases")
SIDES = ("both", "right", "left")
LOBES = ("RUL", "RML", "RLL", "LUL", "LLL")
DISTRIBUTIONS = ("normal", "lognormal", "uniform")
SLICE_PROFILES = ("gaussian", "box")

#: Size of an adult chest in full inspiration along z, y and x: what `scale` 1 needs to be seen.
CHEST_MM = (300.0, 262.0, 372.0)

_OURS = "our convention"


def _one_of(spec: Any, name: str, known: tuple[str, ...]) -> None:
    value = getattr(spec, name)
    if value not in known:
        raise ValueError(f"{name} must be one of {known}, got {value!r}")


def _within(spec: Any, name: str, low: float, high: float) -> None:
    value = getattr(spec, name)
    if not low <= value <= high:
        limits = "not be negative" if high == np.inf else f"be from {low} to {high}"
        raise ValueError(f"{name} must {limits}, got {value}")


def _positive(spec: Any, name: str) -> None:
    value = getattr(spec, name)
    if not value > 0:
        raise ValueError(f"{name} must be positive, got {value}")


@dataclass(frozen=True)
class ScannerSpec:
    """How the chest is imaged: grid, point spread and noise."""

    shape: tuple[int, int, int] = setting(
        (100, 192, 192), "voxels along z, y and x: the field of view", source="small and quick"
    )
    spacing_mm: tuple[float, float, float] = setting(
        (1.0, 0.9, 0.9), "voxel size along z, y and x", unit="mm", source=_OURS
    )
    rotation_deg: tuple[float, float, float] = setting(
        (0.0, 0.0, 0.0),
        "the grid's turn against the patient about z, y and x: an oblique reconstruction",
        unit="degrees",
        source=_OURS,
    )
    psf_fwhm_mm: tuple[float, float, float] = setting(
        (1.1, 1.0, 1.0),
        "full width at half maximum of the whole point spread along z, y and x",
        unit="mm",
        source="estimated in lidc-0314 (sharp kernel, slices of 1 mm) by `miliary.quality`",
    )
    edge_enhancement: float = setting(
        0.0,
        "how much the kernel sharpens edges in plane: 0 not at all, 0.3 like a lung kernel, 1 most",
        source=_OURS,
    )
    slice_profile: str = setting(
        "gaussian",
        "sensitivity along z: gaussian, or box (flat over the slice's thickness)",
        source="spiral interpolation makes bell-shaped profiles, sequential scans flat ones",
    )
    noise_hu: float = setting(
        30.0, "standard deviation of the noise in HU at the reference dose", unit="HU", source=_OURS
    )
    dose: float = setting(
        1.0, "dose as a multiple of the reference: noise falls with its root", source="Poisson"
    )
    noise_peak_per_mm: float = setting(
        0.35,
        "frequency at which the in-plane noise power has its peak: about 0.25 for a soft kernel, "
        "0.5 and more for a sharp one",
        unit="1/mm",
        source=_OURS,
    )
    streaks_hu: float = setting(
        0.0,
        "standard deviation of streaks from side to side between the shoulders",
        unit="HU",
        source=_OURS,
    )

    def __post_init__(self) -> None:
        for name in ("shape", "spacing_mm", "psf_fwhm_mm"):
            if len(getattr(self, name)) != 3 or not min(getattr(self, name)) > 0:
                raise ValueError(
                    f"{name} must be three positive numbers, got {getattr(self, name)}"
                )
        _one_of(self, "slice_profile", SLICE_PROFILES)
        _within(self, "noise_hu", 0.0, np.inf)
        _within(self, "streaks_hu", 0.0, np.inf)
        _within(self, "edge_enhancement", 0.0, 1.0)
        _positive(self, "dose")
        _positive(self, "noise_peak_per_mm")

    @property
    def noise_sd_hu(self) -> float:
        """Standard deviation of the noise at this dose, in HU."""
        return self.noise_hu / float(np.sqrt(self.dose))


@dataclass(frozen=True)
class ChestSpec:
    """The patient: size, breath, fissures, vessels and lobules."""

    scale: float = setting(
        0.0,
        "size as a part of an adult's (lungs of about 4.5 litres); 0 is the largest that fits "
        "into the field of view. Vessels and lobules keep their true size: a smaller lung has "
        "fewer of them",
        source=_OURS,
    )
    breath: float = setting(
        1.0, "height of the lungs as a part of that in full inspiration", source=_OURS
    )
    incomplete_fissures: bool = setting(
        True, "whether parts of the fissures are missing", source="as in most people"
    )
    lobule_mm: float = setting(
        16.0,
        "width of the secondary lobules: the cube root of their volume",
        unit="mm",
        source="1.0 to 2.5 cm across (Webb 2006, doi 10.1148/radiol.2392041968)",
    )
    vessel_tip_spacing_mm: float = setting(
        7.0,
        "distance between the last arteries, inside the lobules",
        unit="mm",
        source="acini are some 6 to 10 mm across (Webb 2006, doi 10.1148/radiol.2392041968)",
    )
    vessel_tip_radius_mm: float = setting(
        0.3,
        "radius of the last vessels grown; the others follow by Murray's law",
        unit="mm",
        source="the smallest that CT shows",
    )
    septum_mm: float = setting(
        0.1,
        "thickness of the septa between lobules, where they are seen",
        unit="mm",
        source="Webb 2006, doi 10.1148/radiol.2392041968",
    )
    table: bool = setting(True, "whether a table is in the picture", source=_OURS)
    arms: bool = setting(False, "whether the arms lie beside the chest", source=_OURS)

    def __post_init__(self) -> None:
        if self.scale and not 0.2 <= self.scale <= 1.5:
            raise ValueError(f"scale must be from 0.2 to 1.5, or 0 to fit, got {self.scale}")
        _within(self, "breath", 0.6, 1.1)
        _within(self, "septum_mm", 0.0, 5.0)
        _within(self, "lobule_mm", 8.0, 30.0)
        _positive(self, "vessel_tip_spacing_mm")
        _positive(self, "vessel_tip_radius_mm")


@dataclass(frozen=True)
class DiseaseSpec:
    """What is ill besides the nodules: lung, septa, pleura."""

    ground_glass_share: float = setting(0.0, "part of the lung under ground glass", source=_OURS)
    ground_glass_hu: float = setting(
        250.0, "by how much it is denser than lung", unit="HU", source=_OURS
    )
    septal_thickening_mm: float = setting(
        0.0, "thickness of thickened septa", unit="mm", source=_OURS
    )
    septal_share: float = setting(0.6, "part of the septa that is thickened", source=_OURS)
    encased_lung: str = setting(
        "none", "lung in a pleural rind and shrunken: none, right or left", source=_OURS
    )
    rind_mm: float = setting(
        12.0, "mean thickness of the rind", unit="mm", source="more than 10 mm is called thick"
    )
    volume_loss: float = setting(
        0.3,
        "how far the diaphragm has risen and the mediastinum moved to the encased lung, 0 to 1",
        source=_OURS,
    )
    consolidated_lobe: str = setting(
        "none", "lobe without air but in its bronchi: none, RUL, RML, RLL, LUL or LLL", source=_OURS
    )

    def __post_init__(self) -> None:
        _one_of(self, "encased_lung", ("none", "right", "left"))
        _one_of(self, "consolidated_lobe", ("none", *LOBES))
        for name in ("ground_glass_share", "septal_share", "volume_loss"):
            _within(self, name, 0.0, 1.0)
        _within(self, "septal_thickening_mm", 0.0, 5.0)
        _within(self, "ground_glass_hu", 0.0, 800.0)
        _positive(self, "rind_mm")


@dataclass(frozen=True)
class NoduleSpec:
    """One population of nodules; a mixture has several."""

    pattern: str = setting(
        "random", "none, random, centrilobular, perilymphatic or metastases", source=_OURS
    )
    n_nodules: int = setting(200, "how many; metastases are few, some ten", source=_OURS)
    diameter_mm: float = setting(1.8, "mean diameter", unit="mm", source=_OURS)
    diameter_sd_mm: float = setting(
        0.2, "standard deviation of the diameters, cut at 0.6 mm", unit="mm", source=_OURS
    )
    diameter_distribution: str = setting(
        "normal",
        "normal, lognormal, or uniform (of that mean and standard deviation); metastases are "
        "always spread evenly from 3 to 15 mm",
        source=_OURS,
    )
    diameters_mm: tuple[float, ...] = setting(
        (),
        "diameters to draw from instead, each as often as it stands here",
        unit="mm",
        source=_OURS,
    )
    diameter_gradient: float = setting(
        1.0, "mean diameter at the lungs' base over that at their apex", source=_OURS
    )
    lungs: str = setting("both", "which lungs bear them: both, right or left", source=_OURS)
    gradient: float = setting(
        1.0,
        "density at the lungs' base over that at their apex: 2 is basal, 0.5 apical",
        source=_OURS,
    )
    nodule_hu: float = setting(30.0, "attenuation", unit="HU", source=_OURS)
    edge_mm: float = setting(
        0.0,
        "standard deviation of a Gaussian blur of their edges: 0 is sharp",
        unit="mm",
        source=_OURS,
    )

    def __post_init__(self) -> None:
        _one_of(self, "pattern", PATTERNS)
        _one_of(self, "lungs", SIDES)
        _one_of(self, "diameter_distribution", DISTRIBUTIONS)
        for name in ("n_nodules", "diameter_sd_mm", "edge_mm"):
            _within(self, name, 0.0, np.inf)
        for name in ("diameter_mm", "gradient", "diameter_gradient"):
            _positive(self, name)
        if self.diameters_mm and not min(self.diameters_mm) > 0:
            raise ValueError(f"diameters_mm must be positive, got {min(self.diameters_mm)}")


@dataclass(frozen=True)
class PhantomSpec:
    """The wishes for a synthetic chest CT.

    Parameters
    ----------
    seed : int
        Seed of all randomness: the same wishes give the same phantom bit for bit.
    scanner : ScannerSpec
        Grid, point spread, noise.
    chest : ChestSpec
        The patient.
    disease : DiseaseSpec
        What is ill besides nodules.
    nodules : tuple of NoduleSpec
        Populations of nodules.
    """

    seed: int = 0
    scanner: ScannerSpec = field(default_factory=ScannerSpec)
    chest: ChestSpec = field(default_factory=ChestSpec)
    disease: DiseaseSpec = field(default_factory=DiseaseSpec)
    nodules: tuple[NoduleSpec, ...] = (NoduleSpec(),)

    @classmethod
    def of(cls, **wishes: Any) -> PhantomSpec:
        """Wish without naming sections: every name stands in one of them only.

        Parameters
        ----------
        **wishes
            Names and values, such as `shape=(60, 90, 90), pattern="random", noise_hu=20.0`.

        Returns
        -------
        PhantomSpec
            With one population of nodules.
        """
        return cls().but(**wishes)

    def but(self, **wishes: Any) -> PhantomSpec:
        """Give these wishes with some changed; those for nodules change every population.

        Parameters
        ----------
        **wishes
            Names and values, as `of` takes them.

        Returns
        -------
        PhantomSpec
            The changed wishes.

        Raises
        ------
        ValueError
            For a name that no section has, or a value that cannot be.
        """
        unknown = set(wishes) - WISHES.keys()
        if unknown:
            raise ValueError(f"wishes must be known names, got {sorted(unknown)}")

        def part(section: str) -> dict[str, Any]:
            return {name: value for name, value in wishes.items() if WISHES[name] == section}

        return PhantomSpec(
            seed=wishes.get("seed", self.seed),
            scanner=replace(self.scanner, **part("scanner")),
            chest=replace(self.chest, **part("chest")),
            disease=replace(self.disease, **part("disease")),
            nodules=tuple(replace(group, **part("nodules")) for group in self.nodules),
        )

    @property
    def chest_scale(self) -> float:
        """Size of the chest as a part of an adult's, never 0."""
        if self.chest.scale:
            return self.chest.scale
        field_mm = np.array(self.scanner.shape) * self.scanner.spacing_mm
        return float(np.clip((field_mm / CHEST_MM).min(), 0.2, 1.0))


#: Every wish by name, with the section that it stands in.
WISHES: dict[str, str] = {
    "seed": "",
    **{item.name: "scanner" for item in fields(ScannerSpec)},
    **{item.name: "chest" for item in fields(ChestSpec)},
    **{item.name: "disease" for item in fields(DiseaseSpec)},
    **{item.name: "nodules" for item in fields(NoduleSpec)},
}
