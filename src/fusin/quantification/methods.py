"""The methods behind the numbers of a reading, each with the citation that a report prints."""

from __future__ import annotations

from fusin.provenance import Method

__all__ = ["METRICS_METHODS", "READING_METHODS"]

METRICS_METHODS = (
    Method(
        "ibsi-1-statistics",
        "Zwanenburg A et al. The Image Biomarker Standardization Initiative. Radiology 2020;295:328 "
        "(intensity statistics, local and global intensity peak)",
    ),
    Method(
        "suvpeak-exact-1ml",
        "SUVpeak of a 1 mL sphere with exact partial-voxel weights, highest over the voxels of the region; definitions "
        "compared in Vanderhoek M, Perlman SB, Jeraj R. J Nucl Med 2012;53:4 (PMC3308343)",
    ),
    Method("percist-peak", "Wahl RL et al. From RECIST to PERCIST. J Nucl Med 2009;50 Suppl 1:122S"),
    Method(
        "cxcr4-tv-tlu",
        "CXCR4 tumour volume (voxel volume) and total lesion uptake (SUVmean x volume), as used for Pentixafor in "
        "Mol Imaging Biol 2022, doi:10.1007/s11307-022-01717-1",
    ),
)
READING_METHODS = (
    *METRICS_METHODS,
    Method(
        "tbr-resel-interval",
        "Tumour-to-background ratio with a 95 % interval by the delta method on the logarithm; standard errors count "
        "resolution elements, not voxels (fusin, docs/methods.md)",
    ),
    Method(
        "candidate-search",
        "Threshold, 26-connected components, prominence-based split, exclusion of physiological organs "
        "(fusin, docs/methods.md); candidates are proposals for a reader",
    ),
)
