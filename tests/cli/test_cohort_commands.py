"""The verbs of the cohort from the outside: JSON contracts, published fixtures, files, and one sentence for each mistake."""

from __future__ import annotations

import csv
import io
import json

import pytest

from fusin.report.demo_cohort import write_demo_tables

ESTIMATE = {"value", "low", "high", "method", "k", "n"}
FILES = {"report.html", "results.json", "tables"}


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """Folder with the tables of the demonstration."""
    folder = tmp_path_factory.mktemp("cohort")
    write_demo_tables(folder)
    return folder


@pytest.fixture
def table(tmp_path):
    """Write a table from its lines."""

    def write(text, name="table.csv"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


# ------------------------------------------------------------------------------------------- compare


def counts(both, first_only, second_only, neither):
    return ("--both", both, "--first-only", first_only, "--second-only", second_only, "--neither", neither)


@pytest.mark.parametrize(
    ("cells", "corrected", "exact"),
    [((10, 7, 0, 0), 0.0233, 0.0156), ((9, 7, 1, 0), 0.0771, 0.0703), ((2, 11, 0, 4), 0.0026, 0.00098)],
)
def test_compare_gives_both_p_values_of_luo_2019(fusin, cells, corrected, exact):
    """Luo 2019, 17 patients: the printed p is that of the corrected chi2."""
    found = fusin("compare", *counts(*cells), "--unit", "patient", "--json").document()
    assert found["mcnemar"]["chi2_corrected"] == pytest.approx(corrected, abs=5e-5)
    assert found["mcnemar"]["exact"] == pytest.approx(exact, abs=5e-5)
    assert found["mcnemar"]["default"] in found["mcnemar"]
    assert {"mcnemar", "rates", "kappa", "notices"} <= set(found)
    assert set(found["rates"]["first"]) >= ESTIMATE


def test_compare_gives_kappa_and_exact_p_of_yin_2024(fusin):
    found = fusin("compare", *counts(13, 4, 2, 7), "--unit", "patient", "--json").document()
    assert found["kappa"]["value"] == pytest.approx(0.5155, abs=5e-5)
    assert found["mcnemar"]["exact"] == pytest.approx(0.6875)


def test_compare_of_a_finding_table_holds_the_contract_and_what_the_tracers_share(fusin, cohort, tmp_path):
    out = tmp_path / "out"
    arguments = ("--first", "CXCR4", "--second", "FDG", "--by", "grade", "--ihc", cohort / "ihc.csv", "--out", out)
    ran = fusin("compare", cohort / "findings.csv", *arguments, "--json")
    found = ran.document()
    assert ran.code == 0
    assert {"mcnemar", "rates", "kappa", "strata", "values", "detection", "shared", "ihc", "outputs"} <= set(found)
    assert found["gee"] is not None
    assert found["counts"]["n"] == sum(found["counts"][c] for c in ("both", "first_only", "second_only", "neither"))
    assert {p.name for p in out.iterdir()} == FILES | {"figures"}
    assert json.loads((out / "results.json").read_text()) == found
    written = {str(p.relative_to(out)) for p in out.rglob("*") if p.is_file()}
    assert written == set(found["outputs"].values())
    assert {".csv", ".md", ".html"} <= {p.suffix for p in (out / "tables").iterdir()}
    assert (out / "figures" / "shared-lesions.svg").read_text().startswith("<?xml")


def test_compare_of_a_table_of_counts_compares_each_row(fusin, cohort):
    found = fusin("compare", cohort / "luo2019.csv", "--first", "CXCR4", "--second", "FDG", "--json").document()
    assert [t["label"] for t in found["tables"]] == ["any site", "bone marrow", "lymph node"]
    assert [round(t["mcnemar"]["chi2_corrected"], 3) for t in found["tables"]] == [0.023, 0.077, 0.003]


def test_limits_of_agreement_of_repeated_scans_enclose_their_bias(fusin, cohort):
    found = fusin("compare", cohort / "repeated_scans.csv", "--agreement", "suv_max", "--json").document()
    agreement = found["agreement"]
    assert agreement["lower"]["value"] < agreement["bias"]["value"] < agreement["upper"]["value"]
    assert len(agreement["mean"]) == found["counts"]["n"]


def test_compare_plans_a_study(fusin):
    ran = fusin("compare", "--plan-first-only", "0.2", "--plan-second-only", "0.05", "--json")
    plan = ran.document()["plan"]
    assert plan["power"] >= 0.8
    assert abs(plan["n"] - plan["connor"]) < 10


def test_compare_for_a_person_prints_tables_and_names_the_test(fusin):
    ran = fusin("compare", *counts(10, 7, 0, 0), "--unit", "patient")
    assert "McNemar" in ran.out
    assert "Paired detection" in ran.out
    assert ran.err == ""


ROWS = "patient,lesion,tracer,detected,suv_max\nP1,L1,A,yes,5.1\nP1,L1,B,no,\n"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (ROWS.replace("detected", "seen"), ("columns", "detected")),
        (ROWS + "P1,L1,A,yes,5.1\n", ("row 3", "row 1")),
        (ROWS.replace("P1,L1,A,yes,5.1", "P1,L1,A,maybe,5.1"), ("row 1", "detected")),
        (ROWS.replace("5.1", '"5,123"'), ("suv_max", "comma")),
        (ROWS.replace("5.1", "-5.1"), ("row 1", "suv_max")),
    ],
    ids=["missing column", "duplicated lesion", "no word for seen", "decimal comma", "negative"],
)
def test_a_bad_finding_table_is_refused_with_row_and_column(fusin, table, text, parts):
    ran = fusin("compare", table(text))
    assert ran.code == 3
    assert all(part in ran.refusal for part in parts)
    assert ran.out == ""


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        ((), 3, "four counts"),
        (("--both", "3"), 3, "--first-only"),
        ((*counts(1, 1, 1, 1), "--interval", "exact"), 3, "clopper-pearson"),
        ((*counts(0, 0, 0, 0),), 3, "at least one unit"),
        (("--both", "-1"), 2, "--both"),
        (("missing.csv",), 3, "missing.csv"),
        (("--plan-first-only", "20", "--plan-second-only", "0.05"), 3, "fraction"),
        ((*counts(1, 1, 1, 1), "--unit", "scan"), 3, "patient"),
        (("table.csv", "--tracer", "FDG"), 3, "folders"),
    ],
)
def test_a_mistake_of_compare_is_one_sentence(fusin, arguments, code, part):
    ran = fusin("compare", *arguments)
    assert ran.code == code
    assert part in ran.refusal


def test_three_tracers_need_two_names(fusin, cohort):
    ran = fusin("compare", cohort / "findings.csv")
    assert (ran.code, "--first" in ran.refusal) == (3, True)
    ran = fusin("compare", cohort / "findings.csv", "--first", "CXCR4", "--second", "PSMA")
    assert "PSMA" in ran.refusal


def test_strict_refuses_what_would_be_adapted(fusin, table):
    text = ROWS.replace("5.1", '"5,1"')
    assert fusin("compare", table(text), "--json").code == 0
    ran = fusin("compare", table(text), "--strict")
    assert (ran.code, "strict" in ran.refusal) == (3, True)


# ------------------------------------------------------------------------------------------ accuracy


@pytest.mark.parametrize(
    ("cells", "interval", "measure", "percent"),
    [
        ((55, 17, 7, 6), "wilson", "sensitivity", (76.4, 65.4, 84.7)),
        ((55, 17, 7, 6), "wald", "accuracy", (71.8, 62.2, 81.3)),
        ((70, 6, 1, 8), "wald", "ppv", (98.6, 95.9, 100.0)),
        ((11, 2, 1, 3), "wilson", "npv", (60.0, 23.1, 88.2)),
        ((33, 10, 0, 57), "clopper-pearson", "specificity", (100.0, 93.7, 100.0)),
    ],
)
def test_accuracy_reproduces_published_intervals(fusin, cells, interval, measure, percent):
    """A series of 85 (highwire 116544), which mixes Wilson and clipped Wald, and Hu 2023."""
    tp, fn, fp, tn = cells
    arguments = ("--tp", tp, "--fn", fn, "--fp", fp, "--tn", tn, "--interval", interval)
    found = fusin("accuracy", *arguments, "--json").document()
    assert set(found[measure]) >= ESTIMATE
    assert [100 * found[measure][k] for k in ("value", "low", "high")] == pytest.approx(percent, abs=0.1)
    assert {"sensitivity", "specificity", "ppv", "npv", "accuracy", "notices"} <= set(found)


def test_accuracy_of_rows_has_flow_and_roc(fusin, cohort, tmp_path):
    out = tmp_path / "out"
    arguments = ("--reference", "histology", "--test", "CXCR4 PET", "--cut-off", "4", "--out", out, "--json")
    found = fusin("accuracy", cohort / "accuracy.csv", *arguments).document()
    assert found["flow"]["analysed"] == found["counts"]["n"]
    assert 0.5 < found["marker"]["auc"]["value"] <= 1.0
    assert ">= 4" in found["marker"]["fixed"]
    assert (out / "figures" / "roc.svg").is_file()


def test_a_reference_that_contains_the_test_is_named_as_bias(fusin, cohort):
    arguments = ("--reference", "PET or vein sampling", "--test", "CXCR4 PET", "--reference-contains", "CXCR4 PET")
    found = fusin("accuracy", cohort / "accuracy.csv", *arguments, "--json").document()
    assert "INCORPORATION_BIAS" in {n["code"] for n in found["notices"]}


def test_studies_are_pooled(fusin, cohort):
    found = fusin("accuracy", cohort / "studies.csv", "--json").document()
    assert len(found["studies"]) == found["pooled"]["studies"] == 4
    assert found["pooled"]["sensitivity"]["low"] < found["pooled"]["sensitivity"]["value"]


def test_accuracy_plans_a_study(fusin):
    shares = ("--plan-sensitivity", "0.9", "--plan-specificity", "0.85", "--plan-prevalence", "0.4")
    plan = fusin("accuracy", *shares, "--json").document()["plan"]
    assert plan["n"] == 87
    assert plan["with_condition"] == 35


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("study,tp,fn,fp,tn,n\nX,10,2,1,5,17\n", ("row 1", "n")),
        ("study,tp,fn,fp,tn\nX,10.5,2,1,5\n", ("row 1", "tp")),
        ("study,tp,fn,fp,tn,sensitivity\nX,10,2,1,5,83.3\n", ("row 1", "sensitivity")),
        ("study,tp,fn,fp,tn,sensitivity\nX,10,2,1,5,0.9\n", ("X", "sensitivity", "0.833")),
        ("patient,result\nP1,positive\n", ("columns", "reference")),
        ("patient,result,reference\nP1,positive,ill\n", ("row 1", "reference")),
        ("patient,result,reference\nP1,positive,positive\nP1,negative,negative\n", ("P1",)),
    ],
    ids=["sum", "broken count", "percent for fraction", "printed share", "missing column", "no word", "patient twice"],
)
def test_a_bad_accuracy_table_is_refused_with_row_and_column(fusin, table, text, parts):
    ran = fusin("accuracy", table(text), "--reference", "histology")
    assert ran.code == 3
    assert all(part in ran.refusal for part in parts)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ((), "four counts"),
        (("--tp", "1", "--fn", "1"), "--fp"),
        (("--tp", "1", "--fn", "1", "--fp", "1", "--tn", "1", "--cut-off", "4"), "marker"),
        (("--tp", "0", "--fn", "0", "--fp", "0", "--tn", "0"), "at least one unit"),
        (("--plan-sensitivity", "90", "--plan-specificity", "0.8", "--plan-prevalence", "0.5"), "0.9, not 90"),
    ],
)
def test_a_mistake_of_accuracy_is_one_sentence(fusin, arguments, part):
    ran = fusin("accuracy", *arguments)
    assert ran.code == 3
    assert part in ran.refusal


# ------------------------------------------------------------------------------- subtype and outcome


def test_subtype_counts_opposite_sides_apart(fusin, cohort, tmp_path):
    arguments = (
        "--avs",
        cohort / "avs.csv",
        "--verdicts",
        cohort / "ct_verdicts.csv",
        "--paso",
        cohort / "surgery.csv",
    )
    options = ("--selectivity", "avs-si-basal-2", "--out", tmp_path / "out", "--json")
    found = fusin("subtype", cohort / "adrenal_pet.csv", *arguments, *options).document()
    assert {"patients", "avs", "concordance", "paso", "notices"} <= set(found)
    pairs = {(c["first"], c["second"]): c for c in found["concordance"]}
    assert set(pairs) == {("ct", "pet"), ("ct", "avs"), ("pet", "avs")}
    for pair in pairs.values():
        parts = ("concordant", "opposite_sides", "one_does_not_lateralise")
        assert sum(pair[p] for p in parts) == pair["comparable"]
    assert (tmp_path / "out" / "figures" / "concordance-pet-avs.svg").is_file()


def test_subtype_without_a_verified_selectivity_threshold_is_indeterminate(fusin, cohort):
    found = fusin("subtype", "--avs", cohort / "avs.csv", "--json").document()
    assert {r["verdict"] for r in found["avs"]} == {"indeterminate"}
    assert all("name one by id" in r["reason"] for r in found["avs"])


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ((), "PET table"),
        (("--verdicts", "v.csv", "--selectivity", "avs-si-basal-2"), "--avs"),
        (("--prefer", "middle"), "early"),
        (("--normaliser", "renin"), "metanephrine"),
    ],
)
def test_a_mistake_of_subtype_is_one_sentence(fusin, arguments, part):
    ran = fusin("subtype", *arguments)
    assert ran.code == 3
    assert part in ran.refusal


def test_an_unknown_threshold_is_refused(fusin, cohort):
    ran = fusin("subtype", "--avs", cohort / "avs.csv", "--selectivity", "avs-si-9")
    assert ran.code == 3
    assert "avs-si-9" in ran.refusal


def test_outcome_has_survival_prognosis_response_and_toxicity(fusin, cohort, tmp_path):
    tables = ("--response", cohort / "response.csv", "--toxicity", cohort / "toxicity.csv")
    options = (
        "--marker",
        "suv_max",
        "--cut",
        "median",
        "--cross",
        "lugano,percist",
        "--repeatability",
        "suv_peak=-20,25",
    )
    out = tmp_path / "out"
    found = fusin("outcome", cohort / "follow_up.csv", *tables, *options, "--out", out, "--json").document()
    assert set(found["survival"]) == {"pfs", "os"}
    assert found["survival"]["pfs"]["n_events"] >= found["survival"]["os"]["n_events"]
    assert {p["endpoint"] for p in found["prognosis"]} == {"pfs", "os"}
    assert all(p["optimistic"] for p in found["prognosis"])
    assert len(found["response"]["changes"]) == 26
    assert found["toxicity"][0]["treated"] == 60
    names = {p.stem for p in (out / "figures").iterdir()}
    assert {"swimmer", "waterfall-suv-peak", "survival-os", "hazard-ratios"} <= names


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ((), "follow-up"),
        (("--cut", "middle"), "median"),
        (("--cross", "lugano"), "two of"),
        (("--repeatability", "suv_peak=25"), "low,high"),
        (("--repeatability", "suv=-1,1"), "suv_peak"),
        (("--endpoint", "ttp"), "pfs"),
        (("--step", "0"), "above 0"),
        (("--response", "r.csv", "--marker", "suv_max"), "follow-up table"),
        (("f.csv", "--cut", "median"), "--marker"),
        (("f.csv", "--cross", "lugano,percist"), "--response"),
    ],
)
def test_a_mistake_of_outcome_is_one_sentence(fusin, arguments, part):
    ran = fusin("outcome", *arguments)
    assert ran.code == 3
    assert part in ran.refusal


def test_a_cut_off_needs_its_source(fusin, cohort):
    arguments = ("--marker", "suv_max", "--cut", "6")
    ran = fusin("outcome", cohort / "follow_up.csv", *arguments)
    assert (ran.code, "source" in ran.refusal) == (3, True)
    assert fusin("outcome", cohort / "follow_up.csv", *arguments, "--cut-source", "earlier cohort", "--json").code == 0


def test_toxicity_without_those_treated_is_refused(fusin, cohort):
    ran = fusin("outcome", "--toxicity", cohort / "toxicity.csv")
    assert (ran.code, "treated" in ran.refusal) == (3, True)


# ----------------------------------------------------------------------------------------- all verbs


def test_a_second_run_leaves_nothing_of_the_first(fusin, cohort, tmp_path):
    out = tmp_path / "out"
    fusin("accuracy", cohort / "accuracy.csv", "--reference", "histology", "--out", out)
    assert (out / "figures" / "roc.svg").is_file()
    (out / "mine.txt").write_text("kept")
    fusin("accuracy", "--tp", 9, "--fn", 1, "--fp", 1, "--tn", 9, "--out", out)
    assert not (out / "figures" / "roc.svg").exists()
    assert (out / "mine.txt").read_text() == "kept"


def test_an_output_that_is_a_file_is_refused(fusin, tmp_path):
    (tmp_path / "out").write_text("precious")
    ran = fusin("accuracy", "--tp", 9, "--fn", 1, "--fp", 1, "--tn", 9, "--out", tmp_path / "out")
    assert (ran.code, "--out" in ran.refusal) == (3, True)
    assert (tmp_path / "out").read_text() == "precious"


def test_the_same_tables_give_the_same_files(fusin, cohort, tmp_path):
    for name in ("one", "two"):
        fusin("compare", cohort / "luo2019.csv", "--out", tmp_path / name)
    files = [p.relative_to(tmp_path / "one") for p in (tmp_path / "one").rglob("*") if p.is_file()]
    assert files
    assert all((tmp_path / "one" / f).read_bytes() == (tmp_path / "two" / f).read_bytes() for f in files)


def test_a_written_table_can_be_read_by_programs(fusin, tmp_path):
    fusin("accuracy", "--tp", 9, "--fn", 1, "--fp", 1, "--tn", 9, "--out", tmp_path / "out")
    text = (tmp_path / "out" / "tables" / "accuracy.csv").read_text()
    rows = {r["measure"]: r for r in csv.DictReader(io.StringIO(text))}
    assert float(rows["sensitivity"]["value"]) == 0.9
    assert rows["sensitivity"]["method"] == "Wilson"


def reading(folder, tracer, *lesions):
    """Folder of ``fusin read`` with lesions (number, x in mm, SUVmax) of patient P1."""
    folder.mkdir()
    series = {"patient_id": "P1", "radiopharmaceutical": tracer, "study_date": "20260101", "series_uid": "1.2"}
    found = [
        {"number": n, "status": "candidate", "centroid_mm": [x, 0.0, 0.0], "volume_ml": 2.0, "suv_max": suv, "tbrs": [],
         "site": "liver"}
        for n, x, suv in lesions
    ]  # fmt: skip
    (folder / "reading.json").write_text(json.dumps({"series": series, "lesions": found}))
    return folder


def test_compare_matches_the_lesions_of_two_readings(fusin, tmp_path):
    one = reading(tmp_path / "one", "Pentixafor", (1, 0.0, 5.0), (2, 80.0, 6.0))
    two = reading(tmp_path / "two", "FDG", (1, 3.0, 9.0))
    out = tmp_path / "out"
    found = fusin("compare", one, two, "--out", out, "--json").document()
    assert found["tracers"] == {"first": "Pentixafor", "second": "FDG"}
    assert (found["counts"]["both"], found["counts"]["first_only"], found["counts"]["second_only"]) == (1, 1, 0)
    assert {"CANDIDATES_AS_FINDINGS", "SCANS_TAKEN_AS_ALIGNED"} <= {n["code"] for n in found["notices"]}
    assert (out / "tables" / "lesion-matches.csv").is_file()
    assert fusin("compare", one, two, "--strict").code == 3
