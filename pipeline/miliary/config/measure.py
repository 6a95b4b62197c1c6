"""Settings of `miliary.measure`."""

from __future__ import annotations

from dataclasses import dataclass

from miliary.config.fields import setting


@dataclass(frozen=True)
class MeasureSettings:
    """Size of nodules by a fitted ball."""

    micronodule_mm: float = setting(
        2.0,
        "a nodule of at most this diameter is a micronodule",
        unit="mm",
        source="the project's definition, near < 2 mm of beta.thecommonvein.net (miliary pattern); "
        "others: < 3 mm, and < 4 mm in NLST (both after Radiopaedia, pulmonary nodule)",
    )
    min_diameter_mm: float = setting(
        0.6,
        "smallest diameter the fit may give",
        unit="mm",
        source="own calculation: a blurred ball of 0.6 mm keeps 7 % of its contrast in a thin "
        "standard scan, told in ARCHITECTURE.md",
    )
    max_diameter_mm: float = setting(
        15.0, "largest diameter the fit may give", unit="mm", source="beyond it a fit is no ball's"
    )
    tissue_hu: float = setting(
        30.0,
        "what solid nodules are made of: mean of the prior",
        unit="HU",
        source="our convention: soft tissue, some 850 HU denser than lung, the contrast that the "
        "calculations in ARCHITECTURE.md take",
    )
    tissue_sd_hu: float = setting(
        60.0,
        "standard deviation of that prior",
        unit="HU",
        source="our convention: 850 HU of contrast give or take 7 %; own calculation: with "
        "contrast times volume fixed, that is 0.03 mm of diameter at 1.5 mm",
    )
    margin_mm: float = setting(
        1.2,
        "voxels this far outside the ball take part in the fit",
        unit="mm",
        source="beyond it lie the next vessels; 1.5 voxels of a usual scan",
    )
    outlier_hu: float = setting(
        30.0,
        "residuals above this, of vessels beside the ball, lose their weight; above one standard "
        "deviation of the noise where that is more",
        unit="HU",
        source="balls put into three phantoms: errors above 0.5 mm in 6 % at 150 HU, 5 % at 100, "
        "3 % at 50, 1 to 2 % at 30",
    )
    min_noise_hu: float = setting(
        5.0,
        "noise is taken for no less in a fit, and for this where it cannot be measured",
        unit="HU",
        source="a model of a ball is not truer than this in a real lung",
    )
    n_steps: int = setting(25, "most steps of a fit", source="balls in noise rest after 6 to 12")
    blur_nodules: int = setting(
        60,
        "most nodules, the likeliest ones, that are asked how blurred the scan shows them",
        source="each tells it within 6 %, so many within 1 %, on phantoms and lidc-0314; 7 ms each",
    )
    blur_least: int = setting(
        10, "fewer do not tell", source="ten of them leave 2 %, no more than edges are off"
    )
    blur_largest_mm: float = setting(
        3.5,
        "larger nodules are not asked",
        unit="mm",
        source="the larger, the less their shape is that of a ball",
    )
    blur_misfit_hu: float = setting(
        30.0,
        "nor are those that fit no ball: root mean square of the residuals, 1.4 standard "
        "deviations of the noise where that is more",
        unit="HU",
        source="at 30 HU of noise 0.7 to 1.2 deviations for nodules, 1.0 to 1.5 for false ones; a "
        "real nodule is no ball: with 13 HU in rider-0117-lower noise alone left 17 of 116",
    )
    blur_agree: float = setting(
        0.12,
        "robust standard deviation of the logarithm of what they say, above which they disagree",
        source="nodules: 0.05 to 0.06 on phantoms and lidc-0314, 0.08 in rider-0117-lower; false "
        "ones of three scans without nodules put in: 0.15 to 0.2",
    )
    blur_prior: float = setting(
        0.075,
        "standard deviation, as a part, of the point spread that edges tell",
        source="it is to be within 15 % of the truth",
    )

    def __post_init__(self) -> None:
        if not self.blur_least >= 1:
            raise ValueError(f"blur_least must be at least 1, got {self.blur_least}")
        if not self.blur_nodules >= 0:
            raise ValueError(f"blur_nodules must be 0 or more, got {self.blur_nodules}")
