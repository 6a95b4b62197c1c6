"""Kept evidence, judged by the rules as they are now, and how right that is."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
from _verdict_cases import PATTERNS, Case
from _verdict_evidence import Evidence

from miliary import pattern as patterns
from miliary.config import Config
from miliary.findings import Pattern, Verdict
from miliary.sizes import describe_sizes

LABELS = (*PATTERNS, "none")


@dataclass(frozen=True)
class Judged:
    """A case with what was said of it.

    Parameters
    ----------
    case : Case
        The truth.
    n : int
        Nodules found in the lungs that were looked at.
    pattern : Pattern
        Its name.
    verdict : Verdict
        The flag.
    """

    case: Case
    n: int
    pattern: Pattern
    verdict: Verdict

    @property
    def truth(self) -> str:
        """The label that is right."""
        return "none" if self.case.pattern == "metastases" else self.case.pattern

    @property
    def confident(self) -> bool:
        """Whether a distribution, or none, is named."""
        return self.pattern.label != "indeterminate"

    @property
    def right(self) -> bool:
        """Whether the label is the true one."""
        return self.pattern.label == self.truth


def judge(evidence: Evidence, config: Config | None = None) -> Judged:
    """Judge a case anew from what was kept of its analysis."""
    config = config or Config()
    counts = patterns.count_by_lung(
        evidence.nodules,
        SimpleNamespace(lungs=evidence.lungs),
        config.pattern,
        evidence.calibration,
    )
    nodules = evidence.nodules.take(np.isin(evidence.nodules.lung, evidence.described))
    size = describe_sizes(
        nodules.diameter_mm,
        nodules.diameter_se_mm,
        config.sizes,
        rng=np.random.default_rng(evidence.case.seed),
    )
    named = patterns.name_pattern(counts, evidence.sight, nodules, evidence.spatial, config.pattern)
    verdict = patterns.judge(
        evidence.sight,
        counts,
        size,
        evidence.spatial,
        named,
        config.pattern,
        uniform_cv=config.sizes.uniform_cv,
    )
    return Judged(evidence.case, len(nodules), named, verdict)
