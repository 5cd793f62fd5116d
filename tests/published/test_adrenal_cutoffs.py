"""Published adrenal cut-offs, evaluated with the operator that each paper prints, and their published accuracies.

Hu et al., JAMA Netw Open 2023 (n = 100); Zhang et al., J Clin Endocrinol Metab 2024, PMID 39626105 (n = 208); Ding et
al., Eur J Nucl Med Mol Imaging 2020, doi:10.1007/s00259-020-04722-0 (39 lesions); unilateral nodules study (n = 61);
adrenal masses study, PMID 34301781; 18F-AlF-NOTA-pentixafor study, doi:10.3389/fendo.2025.1533295;
18F-AlF-NOTA-pentixather study, PMID 39659571.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from fusin.evidence.catalogue import evidence
from fusin.imaging.volume import Grid, Region
from fusin.provenance import NoticeLog
from fusin.quantification.adrenal import adrenal_indices
from fusin.quantification.metrics import RegionMetrics
from fusin.quantification.references import ReferenceRegion

GRID = Grid(shape=(1, 1, 1), affine=np.diag([10.0, 10.0, 10.0, 1.0]))
# One liver of SUVmean 1 and glands against a partner of 1, so that each index is exactly the number set.
LIVER = ReferenceRegion(
    kind="liver", region=Region.from_mask("liver", GRID, np.ones((1, 1, 1))), mean=1.0, sd=0.1, voxels=1, volume_ml=1.0,
    mean_low=0.9, mean_high=1.1, method="given",
)  # fmt: skip

# id: verdict exactly at the cut-off (>= true, > false, no printed operator: none)
AT_THE_CUTOFF = {
    "adrenal-li-hu2023": True,
    "adrenal-li-jcem2024": True,
    "adrenal-li-jcem2024-specific": True,
    "adrenal-li-australia": True,
    "adrenal-suvmax-ding2020": True,
    "adrenal-lcr-ding2020": True,
    "adrenal-llr-ding2020": True,
    "adrenal-suvmax-masses": True,
    "adrenal-llr-masses": True,
    "adrenal-suvmax-nodules": False,
    "adrenal-suvmean-nodules": False,
    "adrenal-suvmax-alf-pentixafor": True,
    "adrenal-lar-alf-pentixafor": True,
    "adrenal-suvmax-alf-pentixather": None,
    "adrenal-lcr-alf-pentixather": None,
    "adrenal-llr-alf-pentixather": None,
}


def gland(suv_max, suv_mean=1.0):
    return RegionMetrics(name="adrenal", voxels=9, volume_ml=4.0, suv_max=suv_max, suv_mean=suv_mean)


def verdict(record_id, value):
    record = evidence(record_id)
    left = gland(20.0, value) if record.metric == "suv_mean" else gland(value)
    result = adrenal_indices(
        left,
        gland(1.0),
        LIVER,
        adjacent_left=gland(1.5),
        time_min=record.time_min,
        tracer=record.tracer,
        log=NoticeLog(),
    )
    found = next(c for c in result.cutoffs if c["id"] == record_id)
    assert found["value"] == value
    return found["verdict"]


@pytest.mark.parametrize("record_id", sorted(AT_THE_CUTOFF))
def test_operator_is_literal_exactly_at_the_cutoff(record_id):
    limit = evidence(record_id).value
    assert verdict(record_id, limit) is AT_THE_CUTOFF[record_id]
    assert verdict(record_id, math.nextafter(limit, math.inf)) is True
    assert verdict(record_id, math.nextafter(limit, 0.0)) is False


@pytest.mark.parametrize(
    ("record_id", "sensitivity", "specificity", "digits"),
    [
        ("adrenal-li-hu2023", 33 / 43, 57 / 57, 4),
        ("adrenal-li-jcem2024", 87 / 128, 73 / 80, 2),
        ("adrenal-li-jcem2024-specific", 78 / 128, 77 / 80, 2),
        ("adrenal-suvmax-ding2020", 22 / 25, 14 / 14, 4),
        ("adrenal-lcr-ding2020", 25 / 25, 13 / 14, 4),
        ("adrenal-suvmax-masses", 40 / 44, 29 / 34, 3),
        ("adrenal-llr-masses", 42 / 44, 30 / 34, 3),
        ("adrenal-suvmax-nodules", 27 / 42, 17 / 19, 2),
        ("adrenal-suvmax-alf-pentixafor", 62 / 78, 17 / 17, 4),
        ("adrenal-lar-alf-pentixafor", 65 / 78, 17 / 17, 4),
    ],
)
def test_recorded_accuracy_is_that_of_the_published_counts(record_id, sensitivity, specificity, digits):
    record = evidence(record_id)
    # Half a unit of the last printed digit, and a hair for specificities that sit on it (73/80 = 0.9125).
    tolerance = 0.5 * 10**-digits + 1e-3 * (digits == 2)
    assert record.sensitivity == pytest.approx(sensitivity, abs=tolerance)
    assert record.specificity == pytest.approx(specificity, abs=tolerance)


def test_the_youden_index_of_the_2024_comparison_is_reproduced():
    record = evidence("adrenal-li-jcem2024")
    assert record.sensitivity + record.specificity - 1 == pytest.approx(0.59, abs=0.005)


def test_an_index_between_both_published_cutoffs_splits_them():
    # 1.5 <= LI < 1.65: unilateral by the 2024 Youden cut-off, not by the 2023 one
    assert verdict("adrenal-li-jcem2024", 1.6) is True
    assert verdict("adrenal-li-hu2023", 1.6) is False


def test_mean_uptakes_of_adenoma_and_other_lesions_fall_on_either_side_of_ding():
    # Ding 2020: SUVmax 21.34 +- 9.41 in adenoma, 6.29 +- 2.10 in the others
    assert verdict("adrenal-suvmax-ding2020", 21.34) is True
    assert verdict("adrenal-suvmax-ding2020", 6.29) is False


def test_mean_uptakes_of_active_and_inactive_adenoma_fall_on_either_side():
    # PMID 34301781: active 16.3, inactive 4.4, hyperplasia 5.5
    assert [verdict("adrenal-suvmax-masses", x) for x in (16.3, 4.4, 5.5)] == [True, False, False]
