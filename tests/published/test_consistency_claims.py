"""Published tables of CXCR4 studies, checked against themselves.

Werner et al., Theranostics 2017;7:1489, table 3 (PMC5436508); primary aldosteronism table of a JNM article (highwire
116544); adrenocortical carcinoma study, n = 41 (hazard ratios of overall survival); Hänscheid et al. (Gy/GBq medians);
proportions of Hu et al., JAMA Netw Open 2023; treated-patient mini-series of 2015 and 2023.
"""

from __future__ import annotations

import pytest

from fusin.cohort.arithmetic import (
    TwoByTwo,
    check_hazard_ratio,
    check_quotient,
    check_truth_vector,
    detect_interval_method,
)
from fusin.cohort.consistency import check_document, check_lesion_matrix
from fusin.cohort.findings import Printed
from fusin.cohort.lesion_matrix import MatrixRow, solve_lesion_matrix

WERNER = (
    MatrixRow(name="G1", only=(104, 0, 0), pairs=(11, 0, 0)),
    MatrixRow(name="G2", only=(107, 3, 0), pairs=(10, 3, 3)),
    MatrixRow(name="G3", only=(0, 47, 9), pairs=(11, 12, 56)),
)
TRACERS = ("SSTR", "FDG", "CXCR4")

# block: tp, tn, fp, fn, then measure: (printed value, low, high, method)
JNM = {
    "CT n=85": (
        (55, 6, 7, 17),
        {
            "sensitivity": ("76.4", "65.4", "84.7", "wilson"),
            "specificity": ("46.2", "23.3", "70.9", "wilson"),
            "accuracy": ("71.8", "62.2", "81.3", "wald"),
            "ppv": ("88.7", "78.5", "94.4", "wilson"),
            "npv": ("26.1", "12.5", "46.5", "wilson"),
        },
    ),
    "PET n=85": (
        (70, 8, 1, 6),
        {
            "sensitivity": ("92.1", "86.0", "98.2", "wald"),
            "specificity": ("88.9", "68.3", "100", "wald"),
            "accuracy": ("91.8", "85.9", "97.6", "wald"),
            "ppv": ("98.6", "95.9", "100", "wald"),
            "npv": ("57.1", "31.2", "83.1", "wald"),
        },
    ),
    "AVS n=17": (
        (10, 2, 2, 3),
        {
            "sensitivity": ("76.9", "49.7", "91.8", "wilson"),
            "specificity": ("50.0", "15.0", "85.0", "wilson"),
            "accuracy": ("70.6", "48.9", "92.2", "wald"),
            "ppv": ("83.3", "55.2", "95.3", "wilson"),
            "npv": ("40.0", "11.8", "77.0", "wilson"),
        },
    ),
    "PET n=17": (
        (11, 3, 1, 2),
        {
            "sensitivity": ("84.6", "57.8", "95.7", "wilson"),
            "specificity": ("75.0", "30.0", "95.4", "wilson"),
            "accuracy": ("82.4", "64.2", "100", "wald"),
            "ppv": ("91.7", "76.0", "100", "wald"),
            "npv": ("60.0", "23.1", "88.2", "wilson"),
        },
    ),
}
CELLS = [(block, measure) for block, (_, measures) in JNM.items() for measure in measures]


def printed(text):
    return Printed.parse(text, where="test", field="number")


def block(name):
    tp, tn, fp, fn = JNM[name][0]
    return TwoByTwo(name=name, tp=tp, fp=fp, fn=fn, tn=tn)


def test_werner_has_one_integer_solution():
    one = solve_lesion_matrix(WERNER, tracers=TRACERS, totals={"FDG": 127, "CXCR4": 69}).unique
    assert one is not None
    assert one.triple == {"G1": 0, "G2": 3, "G3": 11}
    assert one.lesions == {"G1": 115, "G2": 120, "G3": 113}
    assert one.totals == {"SSTR": 244, "FDG": 127, "CXCR4": 69}
    assert one.total_lesions == 348
    assert [tuple(row.values()) for row in one.by_tracer.values()] == [(115, 11, 0), (117, 13, 3), (12, 103, 66)]


def test_werner_exclusive_cells_are_those_of_the_sheet():
    one = solve_lesion_matrix(WERNER, tracers=TRACERS, totals={"FDG": 127, "CXCR4": 69}).unique
    assert one is not None
    filled = {row: {name: n for name, n in cells.items() if n} for row, cells in one.exclusive.items()}
    assert filled == {
        "G1": {"SSTR": 104, "SSTR+FDG": 11},
        "G2": {"SSTR": 107, "FDG": 3, "SSTR+FDG": 7, "SSTR+FDG+CXCR4": 3},
        "G3": {"FDG": 47, "CXCR4": 9, "SSTR+CXCR4": 1, "FDG+CXCR4": 45, "SSTR+FDG+CXCR4": 11},
    }


def test_the_guides_total_of_245_somatostatin_lesions_is_found_to_be_off_by_one():
    found = check_lesion_matrix("Werner", WERNER, tracers=TRACERS, totals={"SSTR": 245, "FDG": 127, "CXCR4": 69})
    assert found.severity == "conflict"
    assert "SSTR would be 244" in found.sentence
    assert "FDG would be" not in found.sentence


@pytest.mark.parametrize(("name", "measure"), CELLS)
def test_jnm_interval_is_reproduced_by_the_method_of_the_sheet(name, measure):
    value, low, high, method = JNM[name][1][measure]
    k, n = block(name).parts()[measure]
    assert printed(value).admits(100 * k / n)
    matches = detect_interval_method(k, n, printed(low), printed(high), percent=True, tolerance=0.05)
    assert method in [m.method for m in matches if m.matches]
    assert next(m for m in matches if m.method == method).distance <= 0.1


def test_jnm_rows_of_the_same_85_patients_do_not_share_one_truth():
    found = check_truth_vector("85 patients", [block("CT n=85"), block("PET n=85")])
    assert found.severity == "conflict"
    assert found.values["margins"] == {"CT n=85": [72, 13], "PET n=85": [76, 9]}
    small = check_truth_vector("17 patients", [block("AVS n=17"), block("PET n=17")])
    assert small.severity == "ok"


def test_jnm_document_reports_the_conflict_first_and_the_two_methods():
    claims = []
    for name, (_, measures) in JNM.items():
        t = block(name)
        claim = {"name": name, "subjects": name.split()[1], "tp": t.tp, "fp": t.fp, "fn": t.fn, "tn": t.tn}
        for measure, (value, low, high, _) in measures.items():
            claim |= {measure: value, f"{measure}_low": low, f"{measure}_high": high}
        claims.append(claim)
    result = check_document({"title": "JNM", "two_by_two": claims}, tolerance=0.05)
    assert result.findings[0].check == "truth vector"
    assert result.findings[0].severity == "conflict"
    mixed = [f.claim for f in result.flagged if f.check == "interval methods"]
    assert mixed == ["CT n=85", "AVS n=17", "PET n=17"]
    assert len(result.flagged) == 4


@pytest.mark.parametrize(
    ("name", "ratio", "low", "high", "p", "z_p", "severity"),
    [
        ("peritoneal metastases", "2.03", "1.03", "4.02", "0.04", 0.042, "ok"),
        # The interval is not symmetric by a hair (0.85-4.05 has its middle at 1.8554), which is noted; p agrees.
        ("liver metastases", "1.85", "0.9", "4.1", "0.11", 0.112, "note"),
        ("TRB per 10 mL", "1.004", "1.0001", "1.007", "0.005", 0.023, "suspect"),
    ],
)
def test_acc_hazard_ratios_agree_with_their_p_except_trb(name, ratio, low, high, p, z_p, severity):
    found = check_hazard_ratio(name, printed(ratio), printed(low), printed(high), p=printed(p))
    assert found.severity == severity
    assert found.values["z_p"] == pytest.approx(z_p, abs=0.0005)


@pytest.mark.parametrize(
    ("organ", "y90", "lu177", "ratio"),
    [
        ("kidney", "3.75", "0.91", "4.12"),
        ("liver", "1.61", "0.71", "2.27"),
        ("spleen", "1.66", "0.58", "2.86"),
        ("marrow", "1.06", "0.47", "2.26"),
        ("23 Gy with Lu-177", "23", "0.91", "25.3"),
        ("23 Gy with Y-90", "23", "3.75", "6.1"),
    ],
)
def test_dose_quotients_of_the_dosimetry_sheet_agree(organ, y90, lu177, ratio):
    found = check_quotient(organ, printed(y90), printed(lu177), printed(ratio))
    assert found.severity == "ok"
    assert printed(ratio).admits(found.values["quotient"])


def test_hu_interval_is_clopper_pearson():
    # 33 of 43 printed as 0.61-0.88; 57 of 57 as 0.94-1.00: Wilson gives 0.62-0.87 and 0.94-1.00
    sensitivity = detect_interval_method(33, 43, printed("0.61"), printed("0.88"), percent=False)
    assert [m.method for m in sensitivity if m.matches] == ["clopper-pearson"]
    specificity = detect_interval_method(57, 57, printed("0.94"), printed("1.00"), percent=False)
    assert "clopper-pearson" in [m.method for m in specificity if m.matches]


@pytest.mark.parametrize(
    ("percent", "n", "counts"),
    [
        ("65.2", 23, [15]),  # bilateral-lesion paper: the n that was guessed
        ("65.2", 46, [30]),
        ("67.8", 152, [103]),  # Dreher 2023: 103 of 152 scans
        ("94.1", 17, [16]),  # Luo 2019, bone marrow
        ("76.5", 17, [13]),
        ("11.8", 17, [2]),
    ],
)
def test_published_percentages_are_integer_counts(percent, n, counts):
    found = check_document({"percentage": [{"name": "x", "percent": percent, "n": n}]}).findings[0]
    assert (found.severity, found.values["counts"]) == ("ok", counts)


def test_a_percentage_of_another_denominator_is_no_integer_count():
    found = check_document({"percentage": [{"name": "concordance", "percent": "65.2", "n": 20}]}).findings[0]
    assert found.severity == "conflict"
    assert "nearest, 13, is 65 %" in found.sentence


def test_mini_series_of_treated_patients_add_up():
    # first three patients: 1 woman and 2 men; T-cell lymphoma: allogeneic 3, autologous 1 of 4; myeloma: 10 cycles in 8
    sums = [
        {"name": "first patients", "parts": [1, 2], "total": 3},
        {"name": "transplants", "parts": [3, 1], "total": 4},
        {"name": "cycles", "parts": ["7", "3"], "total": "10"},
        {"name": "wrong", "parts": [7, 1], "total": 10},
    ]
    result = check_document({"sum": sums})
    assert [f.claim for f in result.flagged] == ["wrong"]
