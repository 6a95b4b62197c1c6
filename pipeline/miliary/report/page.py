"""The page of one case: everything a reader needs, in one file that asks for nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from miliary import __version__
from miliary.analysis import Analysis
from miliary.analysis.summary import describe_density
from miliary.findings import Curve
from miliary.kernels.slabs import on_threads
from miliary.report import figures, maps, slabs, tables, views
from miliary.report.context import describe_context
from miliary.report.slabs import Frame, Slab
from miliary.report.svg import chart_uri
from miliary.report.svg_scene import scene_uri
from miliary.report.templating import content_security_policy, environment
from miliary.report.words import describe_curve, headline, interval, number, short, with_unit

_DISTANCES = ("pleura", "vessel", "fissure")
_DISTANCE_TITLES = {
    "pleura": "Distance to the pleura",
    "vessel": "Distance to vessels",
    "fissure": "Distance to fissures",
}
#: The functions of the small panels; the mark correlation stands with the sizes.
_FUNCTIONS = ("K", "g", "G", "F", "J")
_LUNGS = {"both": "both lungs", "right": "right lung", "left": "left lung"}
#: What the pictures may take together before they are packed again, smaller: a page is at most
#: 3 MB, its figures and text take up to 1 MB of it with 3,000 nodules.
_SLAB_BYTES = 1_700_000
_LEAST_QUALITY = 20


def render_report(analysis: Analysis, provenance: Mapping[str, object]) -> str:
    """Write the page of one case.

    Parameters
    ----------
    analysis : Analysis
        The case, whatever was found in it.
    provenance : mapping of str to object
        Versions, hashes and timings to be listed at the end; nested mappings are laid out flat.

    Returns
    -------
    str
        A complete HTML page. It needs no other file, holds nothing of the patient but pixels
        of the lungs, and every text in it is escaped.
    """
    frame = slabs.frame_lungs(analysis, analysis.config.report)
    template = environment().get_template("report.html.j2")
    return template.render(
        policy=content_security_policy("style.css", "slabs.js"),
        version=__version__,
        case=analysis.volume.case,
        verdict=analysis.miliary,
        headline=headline(analysis.miliary.flag, analysis.miliary.extent),
        summary=views.summarise_criteria(analysis.miliary.criteria),
        facts=views.key_facts(analysis),
        pattern=analysis.pattern,
        context=describe_context(analysis.pattern.label),
        slabs=_axial(analysis, frame),
        slab_mm=analysis.config.report.slab_mm,
        viewer=analysis.config.report.viewer,
        coronal=_coronal(analysis, frame),
        distances=[_distance(analysis, structure) for structure in _DISTANCES],
        placement=_placement(analysis),
        functions=_functions(analysis),
        sizes=_sizes(analysis),
        size=analysis.size,
        spatial=analysis.spatial,
        likeness=_likeness(analysis),
        zones=tables.region_rows(analysis.spatial.zones),
        lobes=tables.region_rows(analysis.spatial.lobes),
        shares=tables.share_rows(analysis.spatial.shares),
        preferences=tables.preference_rows(analysis.spatial.preferences),
        calibration=analysis.calibration,
        calibration_pictures=_calibration(analysis),
        notes=views.all_notes(analysis),
        anatomy=_anatomy(analysis),
        lungs=tables.lung_rows(analysis),
        fissures=tables.fissure_rows(analysis),
        acquisition=tables.acquisition_rows(analysis),
        parameters=tables.parameter_rows(analysis.config),
        provenance=tables.flat_rows(provenance),
        seconds=analysis.seconds,
        seed=analysis.seed,
    )


def _axial(analysis: Analysis, frame: Frame) -> list[dict[str, Any]]:
    settings = analysis.config.report
    made = slabs.axial_slabs(frame, settings)
    keys = slabs.key_levels(frame, made, analysis.anatomy.lung_labels, settings.key_levels)
    uris = _packed(made, settings.picture_quality)
    return [
        _slab_view(slab, uri, analysis, "below the top of the lungs", key=place in keys)
        for place, (slab, uri) in enumerate(zip(made, uris, strict=True))
    ]


def _packed(made: list[Slab], quality: int) -> list[str]:
    """Pack the pictures: coarser, then smaller, until they are no more than a page can bear."""
    pixels = [slab.pixels for slab in made]

    def pack() -> list[str]:
        return on_threads(lambda picture: slabs.jpeg_uri(picture, quality), pixels)

    uris = pack()
    while sum(map(len, uris)) > _SLAB_BYTES:
        if quality > _LEAST_QUALITY:
            quality = max(quality // 2, _LEAST_QUALITY)
        else:
            pixels = [slabs.shrink(picture) for picture in pixels]
        uris = pack()
    return uris


def _slab_view(
    slab: Slab, uri: str, analysis: Analysis, where: str, *, key: bool
) -> dict[str, Any]:
    micro = analysis.accepted.micronodule[slab.rows]
    numbers = analysis.accepted_numbers[slab.rows]
    return {
        "uri": uri,
        "key": key,
        "height": slab.pixels.shape[0],
        "width": slab.pixels.shape[1],
        "depth": number(round(slab.depth_mm)),
        "where": f"{number(round(slab.depth_mm))} mm {where}",
        "n": len(slab.rows),
        "rings": [
            (int(k), f"{x:.1f}", f"{y:.1f}", f"{r:.1f}", bool(small))
            for k, (x, y, r), small in zip(numbers, slab.rings_px, micro, strict=True)
        ],
    }


def _coronal(analysis: Analysis, frame: Frame) -> dict[str, Any]:
    settings = analysis.config.report
    middle = slabs.fullest_level(frame, analysis.anatomy.lung_labels)
    slab = slabs.make_slab(frame, 1, middle, settings)
    uri = slabs.jpeg_uri(slab.pixels, settings.picture_quality)
    return {
        "slab": _slab_view(slab, uri, analysis, "behind the front of the lungs", key=True),
        "pictures": _coronal_pictures(analysis) if len(analysis.accepted) else [],
    }


def _coronal_pictures(analysis: Analysis) -> list[views.Picture]:
    settings, n = analysis.config.report, len(analysis.accepted)
    return [
        views.Picture(
            scene_uri(maps.show_nodules(analysis, settings)),
            "All nodules",
            "Seen from the front; the grey is depth of evaluable lung, the bar 50 mm.",
            f"The lungs from the front with a dot for each of {n} nodules.",
        ),
        views.Picture(
            scene_uri(maps.show_density(analysis, settings)),
            "Nodules per litre",
            _density_caption(analysis),
            "Map of the number of nodules per litre of lung, from the front; "
            "the tables of zones and lobes hold the same by numbers.",
        ),
    ]


def _density_caption(analysis: Analysis) -> str:
    density = describe_density(analysis.spatial.density, analysis.anatomy)
    if density is None:
        return "Not assessable in this scan."
    words = (
        f"Smoothed over {short(density['sigma_mm'])} mm, averaged from front to back. In nine "
        f"tenths of the lung {interval(density['low_per_l'], density['high_per_l'])} a litre"
    )
    if density["peak"] is None:
        return f"{words}."
    peak, error = density["peak"]["per_l"], density["peak"]["error_per_l"]
    return f"{words}; most at one place {number(peak)} ± {number(error)}."


def _distance(analysis: Analysis, structure: str) -> views.Picture:
    found = views.chosen_curves(analysis.spatial.curves, [structure])
    title = _DISTANCE_TITLES[structure]
    if not found:
        return views.Picture("", title, "Not assessable in this scan.", "")
    lung = found[0].lung
    where = "" if lung == "both" else f": {_LUNGS.get(lung, lung)}"
    return _curve_picture(found[0], title + where)


def _placement(analysis: Analysis) -> list[views.Picture]:
    return [
        _curve_picture(curve, f"Pairs, L(r) − r: {_LUNGS.get(curve.lung, curve.lung)}")
        for curve in views.chosen_curves(analysis.spatial.curves, ["L"])
    ]


def _functions(analysis: Analysis) -> list[views.Picture]:
    """The other summary functions of the lungs together, or of the one there is."""
    found = views.chosen_curves(analysis.spatial.curves, _FUNCTIONS)
    return [
        _curve_picture(curve, f"{curve.function}(r)")
        for curve in found
        if curve.lung == found[0].lung
    ]


def _likeness(analysis: Analysis) -> views.Picture | None:
    found = views.chosen_curves(analysis.spatial.curves, ["kmm"])
    title = "Sizes of near nodules, compared with chance"
    return _curve_picture(found[0], title) if found else None


def _anatomy(analysis: Analysis) -> list[views.Picture]:
    if not analysis.anatomy.lungs:
        return []
    lungs = "; ".join(
        f"{lung.side} lung {with_unit(lung.volume_ml, 'ml')} aerated, "
        f"{with_unit(lung.evaluable_ml, 'ml')} evaluable"
        for lung in analysis.anatomy.lungs
    )
    return [
        views.Picture(
            scene_uri(maps.show_anatomy(analysis, analysis.config.report, plane)),
            f"What was taken for what, {plane}",
            f"The {plane} slice with most lung. Lobes, where known, are tinted and named.",
            f"Outlines of lungs, lobes and fissures on a {plane} slice: {lungs}.",
        )
        for plane in ("coronal", "axial")
    ]


def _curve_picture(curve: Curve, title: str) -> views.Picture:
    uri = chart_uri(figures.curve_chart(curve))
    return views.Picture(uri, title, describe_curve(curve), views.curve_alt(curve))


def _sizes(analysis: Analysis) -> views.Picture | None:
    if not len(analysis.accepted):
        return None
    size = analysis.size
    return views.Picture(
        chart_uri(figures.size_chart(analysis.accepted, size)),
        "Diameters",
        "The curve is what nodules of one size would show through measurement error alone.",
        f"Histogram of {size.n} diameters: median {number(size.median_mm)} mm, middle half "
        f"{interval(*(size.iqr_mm or (None, None)))} mm.",
    )


def _calibration(analysis: Analysis) -> list[views.Picture]:
    calibration = analysis.calibration
    if not calibration.sensitivity:
        return []
    pictures = [
        views.Picture(
            chart_uri(figures.sensitivity_chart(calibration)),
            "Share found",
            f"Of {number(calibration.injected)} simulated nodules put into this very scan.",
            "Share of simulated nodules found, by diameter and region; the table below holds "
            "the same by numbers.",
        )
    ]
    if calibration.size_bias_mm and calibration.size_sd_mm:
        pictures.append(
            views.Picture(
                chart_uri(figures.size_error_chart(calibration)),
                "Error of diameter",
                "Median error; bars are one robust standard deviation.",
                "Measured minus true diameter of simulated nodules, by diameter.",
            )
        )
    return pictures
