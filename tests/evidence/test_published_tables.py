"""Published numbers of five fact sheets: complete, cited, transcribed twice, and never a default when unverified."""

from __future__ import annotations

import math
from collections import Counter

import pytest

from fusin.errors import NotComputable
from fusin.evidence.catalogue import Count, Record, all_records, default_value, evidence
from fusin.evidence.query import topics

PUBLISHED = [r for r in all_records() if r.kind == "published"]

# Second transcription, from the sheets: id -> (k, n, value)
RATES = {
    "werner2017-pentixafor-lesions": (69, 348, None),
    "werner2017-fdg-lesions": (127, 348, None),
    "werner2017-dotatoc-lesions": (244, 348, None),
    "werner2017-dotatoc-lesions-g2": (117, 120, None),
    "werner2017-fdg-lesions-g3": (103, 113, None),
    "weich2021-pentixafor-lesions": (42, 107, None),
    "weich2021-fdg-lesions": (102, 107, None),
    "lapa2016-patients": (8, 10, None),
    "linde2021-pentixafor-lesions": (21, 26, None),
    "linde2021-fdg-lesions": (19, 26, None),
    "luo2019-any-fdg": (10, 17, 58.8),
    "luo2019-marrow-pentixafor": (16, 17, 94.1),
    "luo2019-node-pentixafor": (13, 17, 76.5),
    "luo2019-node-fdg": (2, 17, 11.8),
    "dreher2023-scans": (103, 152, 67.8),
    "werner2019-visible": (10, 19, 52.6),
    "bluemel2017-suitable": (21, 30, 70),
    "glioma-patients": (25, 26, 96.2),
    "glioma-lesions": (27, 28, 96.4),
    "malt2019-patients": (33, 36, 91.7),
    "malt2021-npv": (26, 28, 92.9),
    "malt2021-accuracy": (64, 66, 97.0),
    "iowa-ihc-nec": (16, 21, None),
    "iowa-ihc-other-net": (0, 25, None),
    "duell2021-biopsy": (16, 18, None),
    "ozkan2019-fdg": (16, 24, None),
    "yin2024-pet-sensitivity": (17, 19, 89.47),
    "yin2024-avs-accuracy": (22, 26, 84.62),
    "jnm116544-ct85-npv": (6, 23, 26.1),
    "jnm116544-pet85-accuracy": (78, 85, 91.8),
    "jnm116544-avs17-ppv": (10, 12, 83.3),
    "hu2023-li-sensitivity": (33, 43, 76.7),
    "jcem2024-li150-specificity": (73, 80, 91),
    "ding2020-visual-accuracy": (36, 39, 92.3),
    "masses-llr-specificity": (30, 34, 88.2),
    "nodules-suvmax-sensitivity": (27, 42, 64.3),
    "zheng2025-unilateral": (63, 73, 86.3),
    "alf-pentixafor-lar-sensitivity": (65, 78, 83.33),
    "alf-pentixather-specificity": (22, 24, 91.7),
    "maurer2019-aki": (1, 22, None),
    "buck2023-tls": (1, 4, None),
}
# id -> (value, low, high, unit, tag)
NUMBERS = {
    "haenscheid-dose-kidney-lu": (0.91, 0.38, 3.47, "Gy/GBq", "V"),
    "haenscheid-dose-marrow-lu": (0.47, 0.14, 2.33, "Gy/GBq", "V"),
    "haenscheid-dose-spleen-y": (1.66, 0.97, 6.69, "Gy/GBq", "V"),
    "haenscheid-dose-kidney-y": (3.75, 1.48, 12.2, "Gy/GBq", "V"),
    "haenscheid-teff-liver": (109, None, None, "h", "V"),
    "haenscheid-uptake-kidney": (2.2, 0.6, 5.1, "%", "V"),
    "dreher2023-tbr": (4.4, 1.05, 24.98, "", "V"),
    "cns2022-tnr-pentixafor": (21.93, None, None, "", "V"),
    "acc41-trb": (1.004, 1.0001, 1.007, "", "V"),
    "acc41-pm": (2.03, 1.03, 4.02, "", "V"),
    "herrmann2015-activity-3": (6.3, None, None, "GBq", "V"),
    "buck2023-dose": (33.2, None, None, "Gy", "V"),
    "pentixafor-effective-dose": (0.0155, None, None, "mSv/MBq", "M"),
    "dotatoc-effective-dose": (0.023, None, None, "mSv/MBq", "V"),
    "daniel2023-yield": (87.0, None, None, "%", "V"),
    "daniel2023-ge68": (1.48e-5, None, None, "%", "V"),
    "daniel2023-batch2-itlc": (99.2, None, None, "%", "V"),
    "daniel2023-batch3-half-life": (64.4, None, None, "min", "V"),
    "daniel2023-batch1-specific": (11.7, None, None, "MBq/ug", "V"),
    "limit-pentixafor-ph": (None, 5.0, 8.0, "", "V"),
    "limit-pentixafor-bubble": (3450, None, None, "mbar", "V"),
    "limit-psma-half-life": (None, 64.4, 71.2, "min", "V"),
    "limit-hepes-volume": (200, None, None, "ug", "M"),
    "itg-yield": (80, 72.0, 95.1, "%", "V"),
    "pentixafor-ic50": (24.8, None, None, "nM", "M"),
    "pentixafor-ic50-guide": (2.7, None, None, "nM", "U"),
    "cu-pentixather-ic50": (14.9, None, None, "nM", "V"),
    "pentixather-logp": (-1.76, None, None, "", "V"),
    "daudi-dota-tumour": (16.2, None, None, "%ID/g", "V"),
    "daudi-nota-tumour": (1.7, None, None, "%ID/g", "V"),
    "daudi-lu-ratio-blood": (499, None, None, "", "V"),
    "coggins-kd-cxcr4": (40, None, None, "nM", "V"),
    "coggins-kint-c4b": (4.7e-3, None, None, "1/s", "V"),
    "coggins-total-ackr3": (1.5e6, None, None, "1/cell", "V"),
    "ray-kd-cxcr4-dimer": (150, None, None, "nM", "V"),
    "pycno-koff": (0.368, None, None, "1/min", "V"),
    "siebinga-sstr2-liver": (7.80, None, None, "nmol", "V"),
    "nist-misra1d-b1": (437.36970754, None, None, "", "V"),
    "drc-ryegrass-e": (3.0579550, 2.67053, 3.44538, "", "V"),
    "trial-nct06125028": (148, None, None, "", "V"),
}


@pytest.mark.parametrize("record_id", sorted(RATES))
def test_rates_agree_with_a_second_transcription(record_id):
    r = evidence(record_id)
    assert (r.k, r.n, r.value) == RATES[record_id]


@pytest.mark.parametrize("record_id", sorted(NUMBERS))
def test_numbers_agree_with_a_second_transcription(record_id):
    r = evidence(record_id)
    assert (r.value, r.low, r.high, r.unit, r.tag) == NUMBERS[record_id]


def test_every_topic_of_the_five_sheets_is_covered():
    counts = Counter(r.topic for r in PUBLISHED)
    assert len(PUBLISHED) >= 500
    least = {
        "detection": 50, "comparison": 24, "accuracy": 80, "uptake": 45, "dosimetry": 28, "trial": 17, "batch": 27,
        "qc-limit": 45, "synthesis": 19, "affinity": 13, "biodistribution": 23, "receptor": 43, "pk": 18,
        "assay-reference": 27, "generator": 7, "safety": 4, "prognosis": 8, "response": 2,
    }  # fmt: skip
    assert {t: n for t, n in least.items() if counts[t] < n} == {}
    assert set(counts) <= set(topics())


def test_every_published_record_has_source_topic_and_metric():
    for r in PUBLISHED:
        assert r.source, r.id
        assert r.topic, r.id
        assert r.metric, r.id
        assert r.doi or r.pmid or r.url or not r.is_default_grade, r.id
        assert r.k is not None or r.value is not None or r.counts or r.low is not None or r.tag == "U" or r.p, r.id


def test_no_unverified_number_is_a_default():
    unverified = [r for r in PUBLISHED if r.tag in "USM"]
    assert len(unverified) >= 30
    for r in unverified:
        with pytest.raises(NotComputable):
            default_value(r.id)


def test_printed_percentages_are_those_of_their_counts():
    for r in PUBLISHED:
        if r.k is not None and r.n is not None and r.value is not None and r.unit == "%":
            # JCEM 2024 prints whole per cents, from which the counts were found; the others print one digit or more
            tolerance = 0.5 if r.id.startswith("jcem2024") else 0.051
            assert abs(r.value - 100 * r.k / r.n) <= tolerance, r.id


def test_cells_of_paired_tables_sum_to_their_n():
    tables = [r for r in PUBLISHED if r.counts and r.metric != "lesions"]
    assert len(tables) >= 12
    for r in tables:
        assert sum(c.k for c in r.counts) == r.n, r.id


def test_batches_of_daniel_2023_give_the_printed_means_and_50_ug_of_precursor():
    # Daniel et al. 2023, doi:10.1186/s41181-023-00187-2: ITLC mean 99.1; precursor 50 ug in each batch by division
    values = {r.id: r.value for r in PUBLISHED if r.topic == "batch"}
    itlc = [values[f"daniel2023-batch{i}-itlc"] for i in (1, 2, 3)]
    assert sum(itlc) / 3 == pytest.approx(99.10)
    for i in (1, 2, 3):
        ug = values[f"daniel2023-batch{i}-activity"] / values[f"daniel2023-batch{i}-specific"]
        assert ug == pytest.approx(50, abs=0.2)
    rows = ("itlc", "itlc-impurity-a", "itlc-impurity-b")
    sums = [math.fsum(values[f"daniel2023-batch{i}-{row}"] for row in rows) for i in (1, 2, 3)]
    assert sums == pytest.approx([99.99, 100.61, 99.99])


def test_ratio_of_90y_to_177lu_is_that_of_the_printed_medians():
    for organ in ("kidney", "liver", "spleen", "marrow"):
        ratio = evidence(f"haenscheid-dose-{organ}-y").value / evidence(f"haenscheid-dose-{organ}-lu").value
        assert ratio == pytest.approx(evidence(f"haenscheid-ratio-{organ}").value, abs=0.005)


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"k": 3}, "k events need n"),
        ({"k": 3, "n": 2}, "no more events"),
        ({"metric": ""}, "topic and metric"),
        ({"p": 1.5}, "less than or equal"),
    ],
)
def test_an_impossible_published_number_is_refused(fields, complaint):
    with pytest.raises(ValueError, match=complaint):
        Record.model_validate({"id": "a", "title": "t", "kind": "published", "topic": "x", "metric": "m", "source": "s",
                               "tag": "V", **fields})  # fmt: skip


def test_a_count_is_never_negative():
    with pytest.raises(ValueError, match="greater than or equal"):
        Count(name="both", k=-1)
