"""What stands beside a named distribution: context with sources, never a diagnosis."""

from __future__ import annotations

import re

import pytest

from miliary.pattern import CLASSES
from miliary.report.context import describe_context


@pytest.mark.parametrize("label", CLASSES)
def test_every_association_names_a_source_that_is_listed(label):
    context = describe_context(label)
    numbers = range(1, len(context.sources) + 1)
    cited = set()
    for row in context.associations:
        marks = [int(mark) for mark in re.findall(r"\d+", row.marks)]
        assert marks or row.category == "Unknown"
        cited |= set(marks)
    cited |= {int(mark) for mark in re.findall(r"\d+", context.next_marks)}
    assert cited == set(numbers)


def test_the_random_distribution_has_every_category_of_the_differential():
    categories = [row.category for row in describe_context("random").associations]
    assert categories == [
        "Infection", "Tumour", "Infiltrative", "Immune-related", "Circulatory", "Dust", "Drugs",
        "Unknown",
    ]  # fmt: skip


@pytest.mark.parametrize("label", ["none", "indeterminate", "not_assessable"])
def test_without_a_named_distribution_there_is_no_context(label):
    assert describe_context(label) is None


@pytest.mark.parametrize("label", CLASSES)
def test_nothing_is_said_of_the_patient(label):
    context = describe_context(label)
    said = " ".join(row.described for row in context.associations) + context.next_steps
    assert not re.search(r"\b(diagnos|consistent with|suggests|this patient|recommend)", said)
