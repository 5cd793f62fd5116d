"""The accuracy table of a primary aldosteronism study in J Nucl Med (highwire 116544): 20 intervals by two methods.

The paper mixes Wilson intervals with Wald intervals cut at 100 % in one table and names neither. Each is reproduced here
within 0.1 point by the method that made it, and by that one only wherever the two differ.
"""

from __future__ import annotations

import pytest

from fusin.stats.proportions import proportion

# block: TP, TN, FP, FN, then per measure (percent, low, high, method)
BLOCKS = {
    "CT, 85 patients": (55, 6, 7, 17, {
        "sensitivity": (76.4, 65.4, 84.7, "wilson"), "specificity": (46.2, 23.3, 70.9, "wilson"),
        "accuracy": (71.8, 62.2, 81.3, "wald"), "ppv": (88.7, 78.5, 94.4, "wilson"),
        "npv": (26.1, 12.5, 46.5, "wilson"),
    }),
    "PET, 85 patients": (70, 8, 1, 6, {
        "sensitivity": (92.1, 86.0, 98.2, "wald"), "specificity": (88.9, 68.3, 100.0, "wald"),
        "accuracy": (91.8, 85.9, 97.6, "wald"), "ppv": (98.6, 95.9, 100.0, "wald"), "npv": (57.1, 31.2, 83.1, "wald"),
    }),
    "AVS, 17 patients": (10, 2, 2, 3, {
        "sensitivity": (76.9, 49.7, 91.8, "wilson"), "specificity": (50.0, 15.0, 85.0, "wilson"),
        "accuracy": (70.6, 48.9, 92.2, "wald"), "ppv": (83.3, 55.2, 95.3, "wilson"),
        "npv": (40.0, 11.8, 77.0, "wilson"),
    }),
    "PET, 17 patients": (11, 3, 1, 2, {
        "sensitivity": (84.6, 57.8, 95.7, "wilson"), "specificity": (75.0, 30.0, 95.4, "wilson"),
        "accuracy": (82.4, 64.2, 100.0, "wald"), "ppv": (91.7, 76.0, 100.0, "wald"),
        "npv": (60.0, 23.1, 88.2, "wilson"),
    }),
}  # fmt: skip


def counts(tp, tn, fp, fn):
    return {
        "sensitivity": (tp, tp + fn), "specificity": (tn, tn + fp), "accuracy": (tp + tn, tp + tn + fp + fn),
        "ppv": (tp, tp + fp), "npv": (tn, tn + fn),
    }  # fmt: skip


ROWS = [
    pytest.param(*counts(*block[:4])[measure], *printed, id=f"{name}, {measure}")
    for name, block in BLOCKS.items()
    for measure, printed in block[4].items()
]


def percent(estimate):
    return [100.0 * number for number in (estimate.value, estimate.low, estimate.high)]


def test_the_table_has_twenty_intervals():
    assert len(ROWS) == 20


@pytest.mark.parametrize(("k", "n", "value", "low", "high", "method"), ROWS)
def test_interval_is_reproduced_within_a_tenth_of_a_point(k, n, value, low, high, method):
    assert percent(proportion(k, n, method=method)) == pytest.approx([value, low, high], abs=0.1)


@pytest.mark.parametrize(("k", "n", "value", "low", "high", "method"), ROWS)
def test_the_other_method_does_not_reproduce_it(k, n, value, low, high, method):
    other = proportion(k, n, method="wald" if method == "wilson" else "wilson")
    assert percent(other)[1:] != pytest.approx([low, high], abs=0.1)


def test_every_clipped_interval_of_the_table_is_marked_as_such():
    clipped = [row.values for row in ROWS if row.values[4] == 100.0]
    assert len(clipped) == 4
    assert all("clipped" in proportion(k, n, method="wald").note for k, n, *_ in clipped)
