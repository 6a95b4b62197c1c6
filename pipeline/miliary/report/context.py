"""What the literature associates with a distribution: context for a reader, never a diagnosis."""

from __future__ import annotations

from dataclasses import dataclass

#: Read as pages or abstracts, on 2026-11-22; of the fourth the table of contents alone.
_SOURCES = {
    "commonvein": "thecommonvein.net, miliary pattern",
    "kanne": "J. P. Kanne, Miliary pattern, thoracickey.com",
    "miliary-sarcoidosis": "Sarcoidosis Vasc Diffuse Lung Dis 2020; 37: 53–65 (PMC7569537)",
    "james": "D. G. James and L. S. Carstairs, Miliary diseases of the lungs",
    "assistant": "Radiology Assistant, Basics of HRCT interpretation (chestmedicine.org)",
    "centrilobular": "Egypt J Radiol Nucl Med 2022, doi 10.1186/s43055-022-00891-0, table 4",
}

#: By distribution: category, what is described, where.
_DESCRIBED: dict[str, tuple[tuple[str, str, tuple[str, ...]], ...]] = {
    "random": (
        (
            "Infection",
            "miliary tuberculosis; disseminated fungal disease such as histoplasmosis or "
            "coccidioidomycosis; viral pneumonia",
            ("commonvein", "kanne"),
        ),
        (
            "Tumour",
            "haematogenous metastases, as of thyroid, kidney or melanoma",
            ("commonvein", "kanne"),
        ),
        (
            "Infiltrative",
            "amyloidosis; alveolar microlithiasis",
            ("commonvein", "kanne"),
        ),
        (
            "Immune-related",
            "hypersensitivity pneumonitis; sarcoidosis, rarely: 9 of 26 cases published as miliary "
            "had no nodules at the fissures",
            ("commonvein", "miliary-sarcoidosis"),
        ),
        ("Circulatory", "haemosiderosis", ("james",)),
        ("Dust", "silicosis, coal worker’s pneumoconiosis, talcosis", ("kanne",)),
        ("Drugs", "BCG immunotherapy of the bladder", ("kanne",)),
        ("Unknown", "cases without a cause that was found", ()),
    ),
    "centrilobular": (
        (
            "Infection",
            "viral and fungal bronchiolitis; active granulomatous infection spread by the airways",
            ("centrilobular",),
        ),
        ("Immune-related", "hypersensitivity pneumonitis", ("centrilobular",)),
        (
            "Smoke, toxins",
            "respiratory bronchiolitis of smokers; bronchiolitis obliterans after toxic inhalation",
            ("centrilobular",),
        ),
        ("Unknown", "cases without a cause that was found", ()),
    ),
    "perilymphatic": (
        ("Immune-related", "sarcoidosis, most often", ("assistant",)),
        ("Dust", "silicosis, coal worker’s pneumoconiosis", ("assistant",)),
        ("Tumour", "lymphangitic spread of carcinoma", ("assistant",)),
        ("Unknown", "cases without a cause that was found", ()),
    ),
}

_NEXT = (
    "What usually follows such a finding, whoever the patient is: history, exposures and "
    "examination; laboratory tests; earlier and further imaging; tissue or cultures where these "
    "leave it open."
)
_NEXT_SOURCES = ("kanne",)


@dataclass(frozen=True)
class Association:
    """What is described with a distribution, in one category.

    Parameters
    ----------
    category : str
        Such as `Infection`.
    described : str
        Conditions.
    marks : str
        Numbers of the sources, as `1, 2`; empty without one.
    """

    category: str
    described: str
    marks: str


@dataclass(frozen=True)
class Context:
    """What stands beside a named distribution.

    Parameters
    ----------
    associations : tuple of Association
        By category.
    next_steps : str
        What usually follows.
    next_marks : str
        Its sources.
    sources : tuple of str
        In the order of their numbers.
    """

    associations: tuple[Association, ...]
    next_steps: str
    next_marks: str
    sources: tuple[str, ...]


def describe_context(label: str) -> Context | None:
    """Give what the literature associates with a distribution.

    Parameters
    ----------
    label : str
        Label of the pattern.

    Returns
    -------
    Context or None
        None where no distribution is named: there is nothing to put into context.
    """
    rows = _DESCRIBED.get(label)
    if rows is None:
        return None
    keys = list(dict.fromkeys([key for row in rows for key in row[2]] + list(_NEXT_SOURCES)))

    def marks(cited: tuple[str, ...]) -> str:
        return ", ".join(str(keys.index(key) + 1) for key in cited)

    return Context(
        tuple(Association(category, text, marks(cited)) for category, text, cited in rows),
        _NEXT,
        marks(_NEXT_SOURCES),
        tuple(_SOURCES[key] for key in keys),
    )
