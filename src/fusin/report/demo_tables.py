"""Tables of the demonstration that the synthetic cohort does not hold: response, toxicity, surgery, screening, claims."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from fusin.cohort.synthetic import SyntheticCohort

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CLAIMS", "PAIRED", "STUDIES", "demo_tables"]

CLAIMS = """title = "Published numbers of CXCR4 studies"

[[hazard_ratio]]
name = "ACC: peritoneal metastases"
ratio = "2.03"
low = "1.03"
high = "4.02"
p = "0.04"

[[hazard_ratio]]
name = "ACC: TRB per 10 mL"
ratio = "1.004"
low = "1.0001"
high = "1.007"
p = "0.005"

[[two_by_two]]
name = "CT"
subjects = "85 patients with primary aldosteronism"
n = 85
tp = 55
tn = 6
fp = 7
fn = 17
sensitivity = "76.4"
sensitivity_low = "65.4"
sensitivity_high = "84.7"

[[two_by_two]]
name = "PET"
subjects = "85 patients with primary aldosteronism"
n = 85
tp = 70
tn = 8
fp = 1
fn = 6
sensitivity = "92.1"
sensitivity_low = "86.0"
sensitivity_high = "98.2"

[[lesion_matrix]]
name = "Three tracers by grade"
tracers = ["SSTR", "FDG", "CXCR4"]
totals = { SSTR = 245, FDG = 127, CXCR4 = 69 }
rows = [
  { name = "G1", only = [104, 0, 0], pairs = [11, 0, 0] },
  { name = "G2", only = [107, 3, 0], pairs = [10, 3, 3] },
  { name = "G3", only = [0, 47, 9], pairs = [11, 12, 56] },
]
"""
"""Numbers as printed: Theranostics 2017;7:1489; a series of 41 ACC; a series of 85 with primary aldosteronism."""

PAIRED = "label,both,first_only,second_only,neither\nany site,10,7,0,0\nbone marrow,9,7,1,0\nlymph node,2,11,0,4\n"
"""Detection in 17 patients with CXCR4 PET (first) and FDG PET (second), by site: Luo 2019."""

STUDIES = """study,tp,fn,fp,tn
"Hu 2023, LI >= 1.65",33,10,0,57
"JCEM 2024, LI >= 1.65",78,50,3,77
"Ding 2020, visual",25,0,3,11
"PMID 34301781, LLR >= 2.5",42,2,4,30
"""
"""Counts of published studies of primary aldosteronism; their index tests differ, which a real pooling would not mix."""

_SCREENED = {
    "birth_date": "1960-05-05", "sex": "female", "childbearing_potential": "no", "breastfeeding": "no", "allergy": "no",
    "diagnosis": "splenic MZL", "diagnosis_basis": "biopsy", "prior_therapy": "no", "contraception": "yes",
    "egfr_ml_min_1_73m2": 74.0,
}  # fmt: skip
_CHANGES: tuple[dict[str, Any], ...] = (
    {}, {"sex": "male", "childbearing_potential": None, "breastfeeding": None}, {"diagnosis": "DLBCL"}, {"allergy": "yes"},
    {"diagnosis": None}, {"prior_therapy": "yes"}, {"birth_date": "2012-03-01"}, {"egfr_ml_min_1_73m2": None},
    {"diagnosis": "nodal MZL"}, {"diagnosis_basis": None}, {"diagnosis": "extranodal MZL"}, {"egfr_ml_min_1_73m2": 22.0},
)  # fmt: skip


def demo_tables(cohort: SyntheticCohort) -> dict[str, pd.DataFrame]:
    """All tables of the demonstration by file stem; the same cohort gives the same tables."""
    rng = np.random.default_rng([cohort.seed, 7])
    return {
        "findings": cohort.findings,
        "patients": cohort.patients,
        "ihc": cohort.ihc,
        "repeated_scans": _repeated(cohort, rng),
        "accuracy": cohort.accuracy,
        "adrenal_pet": cohort.adrenal_pet,
        "avs": cohort.avs,
        "ct_verdicts": cohort.subtype,
        "surgery": _surgery(cohort, rng),
        "follow_up": cohort.follow_up,
        "response": _response(cohort, rng),
        "toxicity": _toxicity(cohort, rng),
        "screening": _screening(),
    }


def _repeated(cohort: SyntheticCohort, rng: np.random.Generator) -> pd.DataFrame:
    """The same lesions scanned twice with one tracer; the repetition differs by about 10 %."""
    import pandas as pd

    seen = cohort.findings[cohort.findings["suv_max"].notna()]
    first = seen[seen["tracer"] == cohort.design.tracers[0].name].head(30)
    columns = ["patient", "lesion", "tracer", "detected", "suv_max"]
    again = first.assign(tracer="scan 2", suv_max=np.round(first["suv_max"] * rng.lognormal(0.0, 0.1, len(first)), 2))
    return pd.concat([first.assign(tracer="scan 1"), again], ignore_index=True)[columns]


def _response(cohort: SyntheticCohort, rng: np.random.Generator) -> pd.DataFrame:
    """Two scans of the patients with uptake; categories follow the change as a reader would enter them."""
    import pandas as pd

    treated = cohort.follow_up[cohort.follow_up["suv_max"] > 4.0].head(26)
    rows: list[dict[str, Any]] = []
    for patient, start, suv in zip(treated["patient"], treated["start_date"], treated["suv_max"], strict=True):
        volume, ratio = float(rng.lognormal(3.2, 0.8)), float(rng.lognormal(-0.5, 0.6))
        category = "CMR" if ratio < 0.25 else "PMR" if ratio < 0.7 else "NMR" if ratio < 1.25 else "PMD"
        day = date.fromisoformat(start)
        for when, factor in ((day, 1.0), (day + timedelta(days=int(rng.integers(60, 100))), ratio)):
            rows.append(
                {
                    "patient": patient, "date": when.isoformat(), "ctv_ml": round(volume * factor, 1),
                    "tlu_g": round(0.5 * suv * volume * factor**1.3, 1), "suv_peak": round(0.85 * suv * factor**0.5, 2),
                    "lugano": category if factor != 1.0 else None,
                    "percist": {"NMR": "SMD"}.get(category, category) if factor != 1.0 else None,
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def _toxicity(cohort: SyntheticCohort, rng: np.random.Generator) -> pd.DataFrame:
    import pandas as pd

    shares = {"Platelet count decreased": 0.7, "Neutrophil count decreased": 0.6, "Anaemia": 0.5, "Nausea": 0.3,
              "Creatinine increased": 0.1}  # fmt: skip
    rows = [
        {"patient": p, "term": term, "grade": int(rng.integers(1, 5 if share > 0.4 else 3)), "cycle": 1}
        for p in cohort.follow_up["patient"]
        for term, share in shares.items()
        if rng.random() < share
    ]
    return pd.DataFrame(rows)


def _surgery(cohort: SyntheticCohort, rng: np.random.Generator) -> pd.DataFrame:
    """Adrenalectomy of the patients with true unilateral disease; most are cured, a few are incompletely documented."""
    import pandas as pd

    truth = cohort.adrenal_truth
    operated = truth[truth["subtype"] != "bilateral"]["patient"]
    rows = []
    for number, patient in enumerate(operated):
        cured = rng.random() < 0.7
        rows.append(
            {
                "patient": patient, "sbp_before_mmhg": int(rng.normal(160, 10)), "dbp_before_mmhg": int(rng.normal(95, 6)),
                "sbp_after_mmhg": int(rng.normal(125 if cured else 150, 6)), "dbp_after_mmhg": int(rng.normal(80, 5)),
                "ddd_before": 3.0, "ddd_after": None if number % 9 == 8 else (0.0 if cured else 2.0),
                "normal_bp_after": "yes" if cured else "no", "hypokalaemia_after": "no",
                "arr_raised_after": "no" if cured or number % 4 else "yes",
                "confirmatory_test": "not-done", "months_after": int(rng.integers(6, 13)),
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def _screening() -> pd.DataFrame:
    """A patient who meets the rules of a lymphoma trial, and the same with one thing different."""
    import pandas as pd

    return pd.DataFrame([{"id": f"S{i:02d}", **_SCREENED, **change} for i, change in enumerate(_CHANGES, start=1)])
