"""Thresholds of vein sampling and PASO, transcribed a second time from the pages that were read.

J Endocr Soc 2021;5(10):bvab122, table 1; Radiol Oncol 2020;54:409; J Clin Endocrinol Metab 2019;104(6):1900 and 104(12):5867;
J Clin Endocrinol Metab 2025;110(9):e2985; the plasma metanephrine study of 49 procedures; J Renin Angiotensin Aldosterone
Syst 2023, 5732812, table 1; secondary pages (tag S) and general knowledge (tag M).
"""

from __future__ import annotations

import pytest

from fusin.errors import NotComputable
from fusin.evidence.catalogue import default_catalogue, default_value, evidence

# Each id with metric, operator, value, low, high, n, condition and tag.
SECOND = {
    "avs-si-cosyntropin-3": ("si", ">=", 3.0, None, None, None, "cosyntropin", "V"),
    "avs-si-cosyntropin-5": ("si", ">=", 5.0, None, None, None, "cosyntropin", "V"),
    "avs-si-reproducible": ("si", ">=", 2.75, None, None, None, "", "S"),
    "avs-si-basal-2": ("si", ">=", 2.0, 1.1, 3.0, None, "basal", "M"),
    "avs-li-cosyntropin-4": ("li", ">", 4.0, None, None, 26, "cosyntropin", "V"),
    "avs-li-cosyntropin-3": ("li", ">", 3.0, None, None, None, "cosyntropin", "V"),
    "avs-li-cosyntropin-bilateral": ("li", "<=", 3.0, None, None, None, "cosyntropin", "V"),
    "avs-li-4": ("li", ">=", 4.0, None, None, 222, "", "V"),
    "avs-li-4-bilateral": ("li", "<", 4.0, None, None, 222, "", "V"),
    "avs-li-trial-reference": ("li", ">=", 4.0, None, None, 29, "basal and cosyntropin", "V"),
    "avs-li-basal-2": ("li", ">", 2.0, None, None, None, "basal", "S"),
    "avs-li-below-2": ("li", "<", 2.0, None, None, None, "", "S"),
    "avs-li-grey-zone": ("li", None, None, 2.0, 4.0, None, "", "S"),
    "avs-csi-1": ("csi", "<", 1.0, None, None, None, "", "V"),
    "avs-metanephrine-12": ("metanephrine_ratio", ">=", 12.0, None, None, 117, "cosyntropin", "V"),
    "avs-metanephrine-645": ("metanephrine_ratio", ">", 6.45, None, None, 58, "cosyntropin", "V"),
    "avs-li-metanephrine-4": ("li", ">", 4.0, None, None, 26, "cosyntropin", "V"),
    "avs-cure-basal-3": ("li", ">", 3.0, None, None, None, "basal", "S"),
    "avs-cure-cosyntropin-2": ("li", ">", 2.0, None, None, None, "cosyntropin", "S"),
    "avs-ct-discordance-li2": ("ct_avs_discordance", None, 0.22, None, None, 342, "", "V"),
    "avs-ct-discordance-li5": ("ct_avs_discordance", None, 0.28, None, None, 342, "", "V"),
    "paso-sbp": ("sbp_change", ">=", 20.0, None, None, None, "", "V"),
    "paso-dbp": ("dbp_change", ">=", 10.0, None, None, None, "", "V"),
    "paso-ddd": ("ddd_change", ">=", 0.5, None, None, None, "", "V"),
    "paso-aldosterone-fall": ("aldosterone_fall", ">=", 0.5, None, None, None, "", "V"),
    "paso-follow-up": ("follow_up", None, None, 6.0, 12.0, None, "", "S"),
    "paso-score": ("paso_score", ">", 16.0, None, None, None, "", "S"),
}


@pytest.mark.parametrize("record_id", sorted(SECOND))
def test_threshold_agrees_with_a_second_transcription(record_id):
    r = evidence(record_id)
    assert (r.metric, r.op, r.value, r.low, r.high, r.n, r.condition, r.tag) == SECOND[record_id]


def test_every_threshold_is_transcribed_twice():
    assert {r.id for r in default_catalogue().select("aldosteronism")} == set(SECOND)


@pytest.mark.parametrize("record_id", sorted(i for i, row in SECOND.items() if row[-1] in "SM"))
def test_no_unverified_threshold_is_a_default(record_id):
    with pytest.raises(NotComputable):
        default_value(record_id)
