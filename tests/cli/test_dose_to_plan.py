"""From a table of activities over organ doses to a plan, by the command line alone; and what users mistype on the way."""

from __future__ import annotations

import json
import math

import pytest

from fusin.cli.app import main
from fusin.dosimetry.spheres import sphere_s
from fusin.nuclides import nuclide

LU, Y = (math.log(2.0) / (nuclide(n).half_life_s / 3600.0) for n in ("Lu-177", "Y-90"))
# Biological rates [1/h]; uptake and clearance of an organ and a lesion.
TRUTH = {"liver": (0.004, 0.30, 13.0, 1700.0), "lesion": (0.0045, 0.11, 1.1, 14.0)}
TIMES = (1.5, 4.0, 12.0, 24.0, 48.0, 96.0, 144.0)
LIMIT = "liver<=30 p=0.05: example"


@pytest.fixture
def fusin(monkeypatch, capsys):
    """Runs a command and gives its exit code, document and messages."""

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["fusin", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as leave:
            code = int(leave.code or 0)
        found = capsys.readouterr()
        return code, found.out, found.err

    return run


@pytest.fixture
def times(tmp_path):
    """Activities of 177Lu with a scatter of 1 %."""
    rows = ["region,time_h,activity_mbq,uncertainty_mbq,mass_g,mass_u_g"]
    for name, (slow, fast, amplitude, mass) in TRUTH.items():
        for i, t in enumerate(TIMES):
            seen = amplitude * (math.exp(-(slow + LU) * t) - math.exp(-(fast + LU) * t)) * (1.0 + 0.01 * (-1) ** i)
            rows.append(f"{name},{t},{seen},{0.02 * seen},{mass},{0.05 * mass}")
    path = tmp_path / "TIMES.csv"
    path.write_text("\n".join(rows), encoding="utf-8")
    return path


@pytest.fixture
def doses(fusin, times, tmp_path):
    """The document of organ doses, made of that of the curves."""
    code, out, err = fusin(
        "dose", times, "--nuclide", "Lu-177", "--administered-mbq", 200, "--model", "uptake-bi", "--json"
    )
    assert code == 0, err
    curves = tmp_path / "curves.json"
    curves.write_text(out, encoding="utf-8")
    code, out, err = fusin(
        "dose", "organs", curves, "--approximate", "--body-mass-g", 72000, "--sphere", "lesion", "--json"
    )
    assert code == 0, err
    path = tmp_path / "organs.json"
    path.write_text(out, encoding="utf-8")
    return path


def organ(path, name):
    return next(o for o in json.loads(path.read_text(encoding="utf-8"))["organs"] if o["name"] == name)


@pytest.mark.parametrize("name", TRUTH)
def test_organ_doses_hand_on_half_life_curve_and_mass(doses, name):
    slow, fast, _, mass = TRUTH[name]
    found = organ(doses, name)
    assert found["t_eff_h"]["value"] == pytest.approx(math.log(2.0) / (slow + LU), rel=0.03)
    assert found["t_eff_h"]["low"] < found["t_eff_h"]["value"] < found["t_eff_h"]["high"]
    assert found["curve"]["rates_per_h"] == pytest.approx([slow + LU, fast + LU], rel=0.15)
    assert found["curve"]["weights"][0] == pytest.approx(-found["curve"]["weights"][1])
    assert found["mass_g"] == mass
    assert found["u_parts_percent"]["mass"] == pytest.approx(5.0, abs=0.3)


@pytest.mark.parametrize("name", TRUTH)
def test_a_plan_exchanges_the_whole_curve_for_yttrium(fusin, doses, name):
    """Integral of the true curve with the decay of 90Y over that with 177Lu, times the energies that a sphere absorbs."""
    code, out, err = fusin("plan", doses, "--limit", LIMIT, "--nuclide", "Y-90", "--json")
    assert code == 0, err
    found = json.loads(out)
    seen = (
        next(o for o in found["organs"] if o["name"] == name)["dose_gy"]["value"]
        / found["activity_gbq"]["Y-90"]["value"]
    )
    slow, fast, _, mass = TRUTH[name]
    ratio = (1 / (slow + Y) - 1 / (fast + Y)) / (1 / (slow + LU) - 1 / (fast + LU))
    energy = sphere_s("Y-90", mass).absorbed_kev / sphere_s("Lu-177", mass).absorbed_kev
    with_lu = organ(doses, name)["dose_gy"]["value"] / 0.2
    assert seen / with_lu == pytest.approx(ratio * energy, rel=0.015)
    codes = {n["code"] for n in found["notices"]}
    assert "DOSE_BY_EXCHANGE" in codes
    assert "SLOWEST_COMPONENT_ALONE" not in codes


def test_a_plan_computes_bed_from_a_document_of_organ_doses(fusin, doses):
    words = "liver<=30 bed p=0.05 ab=2.5 repair=2.5: example"
    code, out, err = fusin("plan", doses, "--limit", words, "--json")
    assert code == 0, err
    found = json.loads(out)
    assert found["binding"] == "liver"
    assert 10.0 < next(o for o in found["organs"] if o["name"] == "liver")["dose_gy"]["value"] < 30.0


def test_a_table_of_integrals_hands_on_its_half_lives(fusin, tmp_path):
    table = tmp_path / "tia.csv"
    table.write_text(
        "region,tia_mbq_h,u_percent,mass_g,t_eff_h,t_eff_h_u_percent\nliver,900,5,1700,80,6\n", encoding="utf-8"
    )
    code, out, err = fusin("dose", "organs", table, "--nuclide", "Lu-177", "--administered-mbq", 200, "--approximate",
                           "--body-mass-g", 72000, "--json")  # fmt: skip
    assert code == 0, err
    path = tmp_path / "organs.json"
    path.write_text(out, encoding="utf-8")
    assert organ(path, "liver")["t_eff_h"]["value"] == 80
    code, out, err = fusin("plan", path, "--limit", LIMIT, "--nuclide", "Y-90", "--json")
    assert code == 0, err
    assert json.loads(out)["activity_gbq"]["Y-90"]["value"] > 0


def test_a_dose_of_actinium_says_what_it_assumes(fusin, times):
    code, out, err = fusin("dose", times, "--nuclide", "Ac-225", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert [n["code"] for n in found["notices"]].count("PROGENY_STAYS") == 1
    assert "ALPHA_WITHOUT_RBE" in {n["code"] for n in found["notices"]}


def test_a_plan_with_an_alpha_emitter_says_what_it_assumes(fusin, doses):
    code, out, err = fusin("plan", doses, "--limit", LIMIT, "--nuclide", "Ac-225", "--json")
    assert code == 0, err
    assert {"PROGENY_STAYS", "ALPHA_WITHOUT_RBE"} <= {n["code"] for n in json.loads(out)["notices"]}


def study(**fields):
    entry = {"name": "a", "tia_mbq_h": {"value": 3}, **fields}
    return json.dumps({"nuclide": "Lu-177", "administered_mbq": 200, "regions": [entry]})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (study(t_eff_h=5), "t_eff_h"),
        (study(t_eff_h={"value": "40"}), "t_eff_h.value"),
        (study(parameters=[1, 2]), "parameters"),
        (study(mass_g=5, mass_u_g="x"), "mass_u_g"),
        (study(mass_g=-2), "mass_g"),
        ('{"nuclide": "Lu-177", "administered_mbq": "200", "regions": [{"name": "a"}]}', "administered_mbq"),
    ],
)
def test_a_document_with_a_wrong_field_is_refused_by_name(fusin, tmp_path, text, words):
    path = tmp_path / "results.json"
    path.write_text(text, encoding="utf-8")
    code, _, err = fusin("dose", "organs", path, "--approximate", "--body-mass-g", 70000, "--administered-mbq", 200)
    assert code == 3
    assert words in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("curve", [3, {}, {"rates_per_h": [1], "weights": "x"}, {"rates_per_h": [1], "weights": []},
                                   {"rates_per_h": [-1], "weights": [1]}, {"rates_per_h": [1], "weights": [-1]}])  # fmt: skip
def test_a_plan_refuses_a_curve_that_is_none(fusin, tmp_path, curve):
    dose = {"value": 1.0, "low": 0.8, "high": 1.25}
    path = tmp_path / "organs.json"
    path.write_text(json.dumps({"nuclide": "Lu-177", "administered_mbq": 200,
                                "organs": [{"name": "liver", "dose_gy": dose, "curve": curve}]}), encoding="utf-8")  # fmt: skip
    code, _, err = fusin("plan", path, "--limit", LIMIT)
    assert code == 3
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("dose", "{times}", "--nuclide", "Lu-177", "--interval", "bootstrap", "--seed", "-1"),
        (
            "dose",
            "organs",
            "{times}",
            "--nuclide",
            "Lu-177",
            "--approximate",
            "--body-mass-g",
            "72000",
            "--s-u-percent",
            "nan",
        ),
        (
            "dose",
            "organs",
            "{times}",
            "--nuclide",
            "Lu-177",
            "--approximate",
            "--body-mass-g",
            "72000",
            "--s-u-percent",
            "-5",
        ),
        ("dose", "sphere", "--nuclide", "Ac-225", "--mass-g", "-1"),
        ("dose", "kernel", "--nuclide", "Ac-225", "--spacing-mm", "4", "--part", "alphas"),
    ],
)
def test_what_users_mistype_gets_one_sentence(fusin, times, arguments):
    code, _, err = fusin(*(a.replace("{times}", str(times)) for a in arguments))
    assert code == 3
    assert err.startswith("fusin: ")
    assert err.count("\n") == 1
