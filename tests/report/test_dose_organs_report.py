"""Organ, marrow, budget, record and scan reports: from files to documents, tables and figures."""

from __future__ import annotations

import json
import math

import pytest

from fusin.dosimetry.synthetic_organs import PATIENT_G, TRUE_TIA_MBQ_H
from fusin.errors import FusinError, InputError, MissingValue
from fusin.provenance import NoticeLog
from fusin.report.demo_organs import run_part
from fusin.report.dose_marrow_report import bed_report, budget_report, marrow_report
from fusin.report.dose_organs_report import OrganOptions, organs_report
from fusin.report.dose_record_report import exposure_report, record_report
from fusin.report.job_output import write_job


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dose")
    return folder, run_part(folder)


def organs(folder, name="organs.csv", **more):
    more.setdefault("nuclide", "Lu-177")
    more.setdefault("s_tables", (folder / "s_values.csv",))
    more.setdefault("spheres", ("lesion",))
    return organs_report(folder / name, options=OrganOptions(**more), log=NoticeLog())


def named(output):
    return {o["name"]: o for o in output.document["organs"]}


def test_the_demonstration_finds_the_doses_that_it_was_made_with(demo):
    """Truth: TIA x sphere S of the patient's mass; the made-up model differs in its masses, so that rescaling is tested too."""
    from fusin.dosimetry.spheres import sphere_s

    folder, _ = demo
    found = named(organs(folder, administered_mbq=200.0))
    for name, tia in TRUE_TIA_MBQ_H.items():
        truth = tia * sphere_s("Lu-177", PATIENT_G[name]).s_mgy_per_mbq_s * 3.6
        assert found[name]["dose_gy"]["low"] < truth < found[name]["dose_gy"]["high"]
    assert found["kidneys"]["dose_mgy_per_mbq"] == pytest.approx(1000 * found["kidneys"]["dose_gy"]["value"] / 200)


def test_every_figure_and_table_of_the_demonstration_is_written(demo, tmp_path):
    _, output = demo
    written = write_job(output, tmp_path)
    assert {"figures/organs-organ-doses.svg", "figures/budget-budget.svg", "figures/record-course.svg"} <= set(
        written.values()
    )
    assert len(output.figures()) == 4
    document = json.loads((tmp_path / "results.json").read_text())
    assert document["exposure"]["tag"] == "M"


def test_self_and_cross_add_up_and_the_parts_of_the_uncertainty_too(demo):
    folder, _ = demo
    for one in organs(folder, s_u_percent=3.0).document["organs"]:
        assert one["self_gy"] + one["cross_gy"] == pytest.approx(one["dose_gy"]["value"], rel=1e-9)
        assert sum(p["gy"] for p in one["by_source"]) == pytest.approx(one["dose_gy"]["value"], rel=1e-9)
        assert math.sqrt(sum(u * u for u in one["u_parts_percent"].values())) == pytest.approx(one["u_percent"])


def test_a_lesion_needs_no_s_table_and_activities_over_time_are_integrated(demo, tmp_path):
    times = "region,time_h,activity_mbq,mass_g\n" + "".join(
        f"lesion,{t},{100 * 2 ** (-t / 60):.5f},25\n" for t in (4, 24, 72, 120, 168)
    )
    path = tmp_path / "times.csv"
    path.write_text(times)
    (one,) = organs_report(path, options=OrganOptions(nuclide="Lu-177", spheres=("lesion",)), log=NoticeLog()).document[
        "organs"
    ]
    from fusin.dosimetry.spheres import sphere_s

    expected = 100 * 60 / math.log(2) * sphere_s("Lu-177", 25.0).s_mgy_per_mbq_s * 3.6
    assert one["dose_gy"]["value"] == pytest.approx(expected, rel=1e-3)


def test_the_json_of_the_curves_is_an_input_and_its_curve_gives_the_bed(demo, tmp_path):
    from fusin.dosimetry.biological import bed

    region = {"name": "kidneys", "tia_mbq_h": {"value": 480.0, "low": 430.0, "high": 540.0}, "mass_g": 270.0,
              "parameters": {"lambda_1_per_h": 0.0169, "lambda_2_per_h": 0.5, "a_1_mbq": 8.3, "a_2_mbq": -8.3}}  # fmt: skip
    path = tmp_path / "results.json"
    path.write_text(json.dumps({"nuclide": "Lu-177", "administered_mbq": 200.0, "regions": [region]}))
    folder, _ = demo
    output = organs_report(path, options=OrganOptions(s_tables=(folder / "s_values.csv",), biology=folder / "biology.toml"),
                           log=NoticeLog())  # fmt: skip
    kidneys = named(output)["kidneys"]
    expected = bed(kidneys["dose_gy"]["value"], [0.0169, 0.5], [8.3, -8.3], 2.6, 2.8)
    assert kidneys["bed_gy"]["value"] == pytest.approx(expected)
    assert "PyTheranostics" in kidneys["biology"]["citation"]


def test_spheres_approximate_organs_when_that_is_asked_for(demo):
    folder, _ = demo
    output = organs(folder, s_tables=(), approximate=True, body_mass_g=72000.0)
    assert output.document["approximate"]
    assert "S_VALUES_APPROXIMATE" in [n.code for n in output.notices]


def test_a_case_of_olinda_gets_the_coefficients(demo, tmp_path):
    folder, _ = demo
    template = tmp_path / "own.cas"
    template.write_text(
        "[BEGIN NUCLIDES]\nI-131|\n[END NUCLIDES]\n[BEGIN KINETIC DATA]\nKidneys|0\nLiver|0\nSpleen|0\n[END KINETIC DATA]\n"
    )
    output = organs(folder, administered_mbq=200.0, olinda=template)
    kidneys = next(line for line in output.files["case.cas"].splitlines() if line.startswith("Kidneys"))
    row = next(r for r in (folder / "organs.csv").read_text().splitlines() if r.startswith("kidneys"))
    assert float(kidneys.split("|")[1]) == pytest.approx(float(row.split(",")[1]) / 200.0, rel=1e-5)


@pytest.mark.parametrize(
    "more",
    [
        {"spheres": ()}, {"spheres": ("toe",)}, {"s_tables": ()}, {"approximate": True}, {"masses": ("kidneys",)},
        {"masses": ("kidneys=0",)}, {"masses": ("kidneys=big",)}, {"sources": ("toe=Kidneys",)}, {"nuclide": None},
        {"nuclide": "Lu-1"}, {"administered_mbq": -1.0}, {"mass_u_percent": -5.0, "masses": ("kidneys=100",)},
        {"reference_masses": ("kidneys=999",)}, {"organs": ("toe",)}, {"nuclide": "Ga-68"},
    ],
)  # fmt: skip
def test_options_that_cannot_be_used_are_refused_in_one_sentence(demo, more):
    folder, _ = demo
    with pytest.raises(FusinError) as caught:
        organs(folder, **more)
    assert "\n" not in str(caught.value)


def test_a_patient_mass_without_the_mass_of_the_model_names_what_is_missing(demo, tmp_path):
    folder, _ = demo
    bare = tmp_path / "bare.csv"
    bare.write_text(
        "target [mGy/(MBq s)],kidneys,liver,spleen\nkidneys,8e-5,1e-8,1e-8\nliver,1e-8,1.4e-5,1e-8\nspleen,1e-8,1e-8,1.5e-4\n"
    )
    with pytest.raises(MissingValue, match="--reference-mass"):
        organs(folder, s_tables=(bare,))
    masses = tmp_path / "masses.csv"
    masses.write_text("organ,mass_g\nkidneys,300\nliver,1700\nspleen,160\n")
    assert named(organs(folder, s_tables=(bare,), reference_masses=(str(masses),)))["liver"]["reference_mass_g"] == 1700


@pytest.mark.parametrize(
    "text", ["{}", "[]", "x", '{"regions": [{}]}', '{"regions": [{"name": "a", "tia_mbq_h": 3}]}', '{"regions": []}']
)
def test_json_that_is_no_result_is_refused(tmp_path, text):
    path = tmp_path / "r.json"
    path.write_text(text)
    with pytest.raises(InputError):
        organs_report(path, options=OrganOptions(nuclide="Lu-177"), log=NoticeLog())


def test_marrow_document_tells_the_components_and_what_is_left(demo):
    folder, _ = demo
    found = marrow_report(folder / "marrow.toml", log=NoticeLog()).document
    parts = {c["name"]: c["dose_gy"]["value"] for c in found["components"]}
    assert sum(parts.values()) == pytest.approx(found["dose_gy"]["value"])
    assert found["blood_ratio"] == pytest.approx(0.19 / 0.59)
    specific = parts["specific"] * 2 ** (-14 * 24 / 92)
    assert specific < found["residual_gy"] < specific + parts["cross"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("hematocrit = 0.41", "hematocrit = 41"), ('rmecff = "sgouros-1993"', ""), ('rmecff = "sgouros-1993"', 'rmecff = "mine"'),
        ("density_g_ml = 1.06", ""), ("share = 0.067", "share = 6.7"), ("total_g = 1170", ""), ("[energy]", "[energie]"),
        ("electron_absorbed_fraction = 0.57", "electron_absorbed_fraction = 57"), ('nuclide = "Lu-177"', ""), ("t_eff_h = 92", ""),
        ('source = "example: active marrow of a reference adult"', ""), ("tia_mbq_h = 92", "tia_mbq_h = -92"),
        ("tia_mbq_h = 92", "tia_mbq_h = 0.01"),
    ],
)  # fmt: skip
def test_every_mistake_in_a_marrow_case_is_one_sentence(demo, tmp_path, old, new):
    folder, _ = demo
    path = tmp_path / "marrow.toml"
    text = (folder / "marrow.toml").read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(FusinError) as caught:
        marrow_report(path, log=NoticeLog())
    assert "\n" not in str(caught.value)


def test_bed_with_exchanged_nuclide_is_that_of_the_sheet():
    found = bed_report(dose_gy=23.0, alpha_beta_gy=2.6, repair_half_time_h=2.8, t_eff_h=(41.0,), weights=(), from_nuclide="Lu-177",
                       to_nuclide="Y-90", log=NoticeLog()).document  # fmt: skip
    assert found["t_eff_h"][0] == pytest.approx(29.654, rel=1e-4)
    assert found["bed_gy"] == pytest.approx(40.554, abs=2e-3)
    assert found["eqd2_gy"] == pytest.approx(22.922, abs=2e-3)


@pytest.mark.parametrize(
    "more", [{"t_eff_h": ()}, {"t_eff_h": (41.0, 3.0)}, {"t_eff_h": (0.0,)}, {"to_nuclide": "Y-90"}, {"weights": (-1.0,)},
             {"alpha_beta_gy": 0.0}, {"dose_gy": -1.0}, {"t_eff_h": (200.0,), "from_nuclide": "Lu-177", "to_nuclide": "Y-90"}],
)  # fmt: skip
def test_a_bed_that_nothing_has_is_refused(more):
    fields = {"dose_gy": 23.0, "alpha_beta_gy": 2.6, "repair_half_time_h": 2.8, "t_eff_h": (41.0,), "weights": (),
              "from_nuclide": None, "to_nuclide": None, **more}  # fmt: skip
    with pytest.raises(FusinError):
        bed_report(**fields, log=NoticeLog())


def test_budget_document_holds_both_ways_and_they_agree(demo):
    folder, _ = demo
    for one in budget_report(folder / "budget.toml", draws=20000, seed=0, log=NoticeLog()).document["doses"]:
        assert one["monte_carlo"]["agrees"]
        assert one["monte_carlo"]["u_percent"] == pytest.approx(one["u_percent"], rel=0.1)
        assert sum(r["variance_percent"] for r in one["rows"] if r["variance_percent"] is not None) == pytest.approx(
            100.0
        )


@pytest.mark.parametrize(
    ("old", "new"),
    [("volume_ml = 25", "volume_ml = 0"), ("outline_fwhm_mm = 6.0", ""), ("b2 = 0.92", ""), ("fit_u_percent", "fit_percent"),
     ('name = "kidneys"', 'name = "lesion"'), ("dose_gy = 1.10", "")],
)  # fmt: skip
def test_every_mistake_in_a_chain_is_one_sentence(demo, tmp_path, old, new):
    folder, _ = demo
    path = tmp_path / "budget.toml"
    path.write_text((folder / "budget.toml").read_text().replace(old, new))
    with pytest.raises(InputError) as caught:
        budget_report(path, draws=2000, seed=0, log=NoticeLog())
    assert "\n" not in str(caught.value)


def test_record_document_and_figure_show_sums_and_grades(demo):
    folder, _ = demo
    output = record_report(folder / "record.toml", log=NoticeLog())
    kidneys = next(o for o in output.document["organs"] if o["name"] == "kidneys")
    assert kidneys["cumulative_gy"][-1]["value"] == pytest.approx(17.5)
    assert [t["grade"] for t in output.document["toxicity"]] == [4, 1]
    (figure,) = output.figures()
    assert figure.svg.count('class="course"') == 2
    assert 'data-gy="17.5"' in figure.svg
    assert "grade 4" in figure.svg


def test_the_scan_is_never_computed_without_naming_its_coefficients():
    with pytest.raises(InputError):
        exposure_report(administered_mbq=150.0, name="", log=NoticeLog())
    found = exposure_report(administered_mbq=150.0, name="herrmann-2015-unverified", log=NoticeLog()).document
    assert found["effective_msv"]["value"] == pytest.approx(2.3)
    assert found["effective_msv"]["note"]
