"""The digital therapy patient: what was planted is what the images hold, and it lies where the publication says."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fusin.dosimetry.digital_therapy_patient import TherapyStudy, make_therapy_patient, sharp_image, therapy_facts
from fusin.dosimetry.digital_therapy_truth import true_regions, truth_document
from fusin.dosimetry.nuclide_exchange import exchange_half_life_h
from fusin.dosimetry.spheres import sphere_s
from fusin.dosimetry.voxels import voxel_dose
from fusin.errors import InputError
from fusin.imaging.volume import Volume
from fusin.provenance import NoticeLog

QUIET = TherapyStudy(noise=0.0, calibration_u=0.0)


@pytest.fixture(scope="module")
def patient():
    return make_therapy_patient(seed=0)


@pytest.fixture(scope="module")
def quiet():
    return make_therapy_patient(seed=0, study=QUIET)


@pytest.fixture(scope="module")
def truth(patient):
    return {r.name: r for r in true_regions(patient)}


def content_mbq(volume):
    return float(np.sum(volume.values, dtype=np.float64)) * volume.voxel_volume_ml


def test_equal_seeds_give_equal_voxels_and_another_seed_another_noise(patient):
    again, other = make_therapy_patient(seed=0), make_therapy_patient(seed=1)
    assert all(np.array_equal(a.values, b.values) for a, b in zip(patient.spect, again.spect, strict=True))
    assert not np.array_equal(patient.spect[0].values, other.spect[0].values)
    assert other.calibration_factor != patient.calibration_factor


def test_a_sharp_image_holds_the_activity_of_all_compartments():
    sharp = make_therapy_patient(seed=0, study=TherapyStudy(noise=0.0, calibration_u=0.0, blur=0.0))
    for index, volume in enumerate(sharp.spect):
        planted = sum(
            part.activity_mbq(sharp.times_h[index], duration_h=sharp.duration_s / 3600.0)
            for part in sharp.compartments.values()
        )
        assert content_mbq(volume) == pytest.approx(planted, rel=1e-5)


def test_blur_moves_activity_and_loses_none_but_at_the_edge_of_the_field_of_view(quiet):
    planted = sum(p.activity_mbq(24.0, duration_h=0.5) for p in quiet.compartments.values())
    assert content_mbq(quiet.spect[0]) == pytest.approx(planted, rel=0.01)


def test_noise_keeps_the_mean_of_large_organs(patient, quiet):
    """Poisson noise has no bias; that of the images must not make one."""
    liver = next(r for r in patient.regions if r.name == "liver").mask()
    inside = liver.reshape(88, 64, 2, 80, 2).all(axis=(2, 4))
    for noisy, clean in zip(patient.spect, quiet.spect, strict=True):
        ratio = noisy.values[inside].mean() / clean.values[inside].mean() / patient.calibration_factor
        assert ratio == pytest.approx(1.0, abs=0.015)


def test_noise_of_a_voxel_grows_where_fewer_decays_were_counted(patient, quiet):
    liver = next(r for r in patient.regions if r.name == "liver").mask()
    inside = liver.reshape(88, 64, 2, 80, 2).all(axis=(2, 4))
    facts = therapy_facts()["spect"]
    for index in (0, 3):
        clean = quiet.spect[index].values[inside]
        seen = float(np.std(patient.spect[index].values[inside] / clean / patient.calibration_factor))
        assert seen == pytest.approx(facts["noise"] * math.sqrt(facts["noise_mbq_ml"] / clean.mean()), rel=0.1)


def test_calibration_errors_have_the_stated_spread():
    """The interval of an analysis is honest only when the truth errs as much as is stated."""
    study = TherapyStudy(times_h=(24.0,), noise=0.0, blur=0.0)
    logs = [math.log(make_therapy_patient(seed=s, study=study).calibration_factor) for s in range(60)]
    stated = therapy_facts()["spect"]["calibration_u_percent"] / 100.0
    assert float(np.std(logs)) == pytest.approx(stated, rel=0.25)
    assert abs(float(np.mean(logs))) < 3.0 * stated / math.sqrt(60)


def test_the_time_integral_is_that_of_the_curve(patient):
    time = np.concatenate([[0.0], np.geomspace(1e-3, 3000.0, 200001)])
    for part in patient.compartments.values():
        values = sum(a * 2.0 ** (-time / t) for a, t in zip(part.amplitudes_mbq, part.half_lives_h, strict=True))
        assert part.tia_mbq_h == pytest.approx(float(np.trapezoid(values, time)), rel=2e-4)


def test_the_mean_over_an_acquisition_is_that_of_the_curve(patient):
    part = patient.compartments["left kidney"]
    fine = np.mean([part.activity_mbq(24.0 + h) for h in (np.arange(2000) + 0.5) / 4000.0])
    assert part.activity_mbq(24.0, duration_h=0.5) == pytest.approx(float(fine), rel=1e-7)


def test_doses_lie_at_the_published_medians(truth, patient):
    """Haenscheid 2022 (abstract): 0.91, 0.71, 0.58 and 0.47 Gy/GBq for kidneys, liver, spleen and marrow."""
    per_gbq = {name: r.dose_gy / (patient.administered_mbq / 1000.0) for name, r in truth.items()}
    published = {"left kidney": 0.91, "liver": 0.71, "spleen": 0.58, "lumbar marrow": 0.47}
    for name, value in published.items():
        assert per_gbq[name] == pytest.approx(value, rel=0.05), name


def test_half_lives_and_uptake_lie_in_the_published_ranges(truth, patient):
    """Haenscheid 2022 (abstract): T_eff 41, 109, 86, 92 h; largest uptake per kidney 0.6 to 5.1 %."""
    assert {n: truth[n].t_eff_h for n in ("left kidney", "liver", "spleen", "lumbar marrow")} == {
        "left kidney": 41.0, "liver": 109.0, "spleen": 86.0, "lumbar marrow": 92.0,
    }  # fmt: skip
    for side in ("left kidney", "right kidney"):
        largest = max(patient.compartments[side].activity_mbq(t) for t in np.linspace(0.1, 24, 200))
        assert 0.6 <= 100.0 * largest / patient.administered_mbq <= 5.1


def test_lesions_would_get_published_doses_of_90y(truth, patient):
    """Haenscheid 2022 (abstract): 1.5 to 18.2 Gy/GBq of 90Y in tumours and extramedullary lesions."""
    for one in (r for r in truth.values() if r.kind == "lesion"):
        t_y = exchange_half_life_h(one.t_eff_h, "Lu-177", "Y-90")
        s_y, s_lu = (sphere_s(n, one.mass_g).s_mgy_per_mbq_s for n in ("Y-90", "Lu-177"))
        dose = one.dose_gy / (patient.administered_mbq / 1000.0) * (s_y * t_y) / (s_lu * one.t_eff_h)
        assert 1.5 <= dose <= 18.2, one.name


def test_activity_rises_at_first(patient):
    """The abstract says that activity increases during the first day in most tissues."""
    for name in ("liver", "spleen", "lumbar marrow", "lesion gluteal"):
        part = patient.compartments[name]
        assert part.activity_mbq(0.0) == pytest.approx(0.0, abs=1e-12)
        assert part.activity_mbq(1.0) < part.activity_mbq(5.0)


def test_true_doses_agree_with_voxels_of_the_sharp_activity(patient, truth):
    """Another way to the same number: convolution of the noiseless activity, far from edges."""
    sharp = sharp_image({p.name: p.tia_mbq_h for p in patient.compartments.values()})
    activity = Volume(values=sharp.values, grid=sharp.grid, unit="MBq.h/ml")
    found = voxel_dose(activity, nuclide="Lu-177", log=NoticeLog(), density_g_ml=1.05).dose.values
    for name in ("liver", "spleen", "left kidney"):
        # Whole voxels inside, and none that its electrons leave through a neighbour.
        from scipy.ndimage import binary_erosion

        inside = binary_erosion(patient.shares[name] > 0.999, iterations=1)
        assert float(found[inside].mean()) == pytest.approx(truth[name].dose_gy, rel=0.02), name


def test_true_doses_are_those_of_spheres_within_the_photons_of_neighbours(truth):
    for one in truth.values():
        if one.kind == "marrow":
            continue
        sphere = sphere_s("Lu-177", one.mass_g).s_mgy_per_mbq_s * one.tia_mbq_h * 3.6
        assert 0.99 * sphere <= one.dose_gy <= 1.05 * sphere, one.name


def test_recovery_falls_with_the_volume_and_corrects_the_images(quiet):
    by_volume = sorted(
        (quiet.compartments[n].volume_ml, r) for n, r in quiet.recovery.items() if n.startswith("lesion")
    )
    assert [r for _, r in by_volume] == sorted(r for _, r in by_volume)
    assert all(0.2 < r < 1.0 for r in quiet.recovery.values())
    for name in ("left kidney", "right kidney", "liver", "spleen"):
        mask = next(r for r in quiet.regions if r.name == name).mask().reshape(88, 64, 2, 80, 2).mean(axis=(2, 4))
        seen = float((quiet.spect[1].values * mask).sum()) * quiet.grid.voxel_volume_ml / quiet.recovery[name]
        assert seen == pytest.approx(quiet.compartments[name].activity_mbq(48.0, duration_h=0.5), rel=0.03), name


def test_the_truth_names_the_organ_that_binds(patient):
    plan = truth_document(patient)["plan"]
    others = sorted(plan["activity_gbq"].values())
    assert plan["binding"] == "left kidney"
    assert others[1] > 1.2 * others[0], "no near tie, which noise would decide"


def test_slow_uptake_makes_activity_increase_during_the_first_day():
    slow = make_therapy_patient(study=TherapyStudy(times_h=(4.0, 24.0), uptake=4.0, noise=0.0))
    part = slow.compartments["liver"]
    assert part.activity_mbq(4.0) < part.activity_mbq(24.0)


@pytest.mark.parametrize(
    ("field", "value"),
    [("noise", -0.1), ("calibration_u", math.nan), ("blur", math.inf), ("times_h", (24.0, 4.0)), ("times_h", (-1.0,))],
)
def test_a_choice_out_of_range_is_refused(field, value):
    with pytest.raises(InputError, match=field):
        TherapyStudy(**{field: value})


def test_uptake_slower_than_clearance_is_refused():
    with pytest.raises(InputError, match="uptake"):
        make_therapy_patient(study=TherapyStudy(uptake=100.0))


def test_a_negative_seed_is_refused():
    with pytest.raises(InputError, match="seed"):
        make_therapy_patient(seed=-1)
