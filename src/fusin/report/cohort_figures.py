"""Figures of a cohort in one place: each takes a finished result and gives a `Figure`; none computes a result."""

from __future__ import annotations

from fusin.report.cohort_figures_accuracy import RocSeries, roc_plot
from fusin.report.cohort_figures_matrix import concordance_map, upset_plot
from fusin.report.cohort_figures_paired import bland_altman_plot, paired_plot
from fusin.report.cohort_figures_rates import ForestRow, forest_plot, forest_rows, rate_bars
from fusin.report.cohort_figures_survival import survival_plot, swimmer_plot, waterfall_plot
from fusin.report.plate import DOUBLE_MM, SINGLE_MM, Figure

__all__ = [
    "DOUBLE_MM",
    "SINGLE_MM",
    "Figure",
    "ForestRow",
    "RocSeries",
    "bland_altman_plot",
    "concordance_map",
    "forest_plot",
    "forest_rows",
    "paired_plot",
    "rate_bars",
    "roc_plot",
    "survival_plot",
    "swimmer_plot",
    "upset_plot",
    "waterfall_plot",
]
