"""Opening a study: which series, which CT, which facts, and what is refused in words."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

import numpy as np
import pydicom
import pytest

from fusin.errors import Ambiguous, InputError, NotComputable, StrictRefusal
from fusin.imaging.suv import SuvOptions
from fusin.provenance import NoticeLog
from fusin.quantification.study import StudyOptions, input_files, open_study
from fusin.testing import make_ct_series, make_nac_series, make_pet_series, suv_pattern

PATTERN = suv_pattern()


def codes(log):
    return {n.code for n in log}


def opened(path, **options):
    log = NoticeLog(strict=options.get("strict", False))
    return open_study(path, log, options=StudyOptions(**options)), log


def make_gated(folder, phases=3):
    """One series of several time points, each at its own acquisition time with its own level."""
    start = datetime(2024, 1, 15, 10, 0)
    for k in range(phases):
        part = make_pet_series(
            folder / f"{k}", values=(k + 1.0) * PATTERN, acquisition_start=start + timedelta(minutes=5 * k), seed=k
        )
        for file in part.glob("*.dcm"):
            dataset = pydicom.dcmread(file)
            dataset.SeriesInstanceUID, dataset.FrameOfReferenceUID = "1.2.3.4", "1.2.3.5"
            dataset.StudyInstanceUID, dataset.SeriesTime = "1.2.3.6", "100000"
            dataset.save_as(file)
    return folder


def test_the_volume_is_suv_and_the_ct_lies_on_the_pet_grid(tmp_path):
    make_pet_series(tmp_path / "pet")
    make_ct_series(tmp_path / "ct")
    study, _ = opened(tmp_path)
    assert study.pet.unit == "g/ml{SUVbw}"
    np.testing.assert_allclose(study.pet.values, PATTERN, rtol=2e-3, atol=5e-4)
    assert study.ct.grid.matches(study.pet.grid)
    assert study.ct.values.dtype == np.int16


def test_a_study_without_ct_says_so(tmp_path):
    study, log = opened(make_pet_series(tmp_path))
    assert study.ct is None
    assert "NO_CT" in codes(log)


def test_a_ct_that_cannot_be_read_is_named_and_the_pet_is_used(tmp_path):
    make_pet_series(tmp_path / "pet")
    make_ct_series(tmp_path / "ct", transfer_syntax="rle")
    for file in (tmp_path / "ct").glob("*.dcm"):
        dataset = pydicom.dcmread(file)
        dataset.PixelData = pydicom.encaps.encapsulate([b"\x01\x02\x03\x04"])
        dataset.save_as(file)
    study, log = opened(tmp_path)
    assert study.ct is None
    assert "CT_NOT_USED" in codes(log)


def test_the_nac_series_is_set_aside(tmp_path):
    make_pet_series(tmp_path / "ac")
    make_nac_series(tmp_path / "nac", values=9 * PATTERN)
    study, log = opened(tmp_path)
    np.testing.assert_allclose(study.pet.values, PATTERN, rtol=2e-3, atol=5e-4)
    assert "NAC_SET_ASIDE" in codes(log)


def test_a_nac_series_alone_is_refused(tmp_path):
    with pytest.raises(NotComputable) as caught:
        opened(make_nac_series(tmp_path))
    assert caught.value.code == "NO_CORRECTED_PET"


def test_two_pet_series_are_refused_with_their_names(tmp_path):
    make_pet_series(tmp_path / "a", description="PET one", series_number=3)
    make_pet_series(tmp_path / "b", description="PET two", series_number=4, seed_uid="other")
    with pytest.raises(Ambiguous, match=r"PET one.*PET two.*--series"):
        opened(tmp_path)


@pytest.mark.parametrize("wanted", ["PET two", "4", "two"])
def test_a_choice_among_two_pet_series_is_obeyed(tmp_path, wanted):
    make_pet_series(tmp_path / "a", description="PET one", series_number=3)
    make_pet_series(tmp_path / "b", description="PET two", series_number=4, seed_uid="other")
    study, _ = opened(tmp_path, series=wanted)
    assert study.facts["description"] == "PET two"


def test_a_choice_that_fits_nothing_lists_what_is_there(tmp_path):
    with pytest.raises(InputError, match="PET AC"):
        opened(make_pet_series(tmp_path, description="PET AC"), series="absent")


def test_choosing_a_ct_as_pet_is_refused(tmp_path):
    make_pet_series(tmp_path / "pet")
    make_ct_series(tmp_path / "ct", description="low dose")
    with pytest.raises(InputError, match=r"low dose \[CT.*PET AC"):
        opened(tmp_path, series="low dose")


def test_a_description_that_pet_and_ct_share_means_the_pet(tmp_path):
    make_pet_series(tmp_path / "pet", description="WB")
    make_ct_series(tmp_path / "ct", description="WB")
    assert opened(tmp_path, series="WB")[0].pet_series.modality == "PT"


def test_a_4d_series_without_a_phase_is_refused(tmp_path):
    with pytest.raises(Ambiguous, match="--phase 1 to 3"):
        opened(make_gated(tmp_path))


@pytest.mark.parametrize("phase", [1, 2, 3])
def test_a_phase_of_a_4d_series_is_read_with_its_own_times(tmp_path, phase):
    study, _ = opened(make_gated(tmp_path), phase=phase)
    values = study.pet.values / PATTERN
    assert values.std() / values.mean() < 0.01
    stored = study.pet_series.load(NoticeLog(), phase=phase - 1)
    np.testing.assert_allclose(study.pet.values, stored.values * study.plan.factors[0], rtol=1e-5)


def test_the_facts_of_a_phase_are_its_own(tmp_path):
    """Uptake time and first moment of phase 3 lie ten minutes after those of phase 1."""
    make_gated(tmp_path)
    first, third = (opened(tmp_path, phase=k)[0] for k in (1, 3))
    assert third.facts["uptake_time_min"] >= first.facts["uptake_time_min"]


@pytest.mark.parametrize("phase", [0, 4, -1])
def test_a_phase_that_is_not_there_is_refused(tmp_path, phase):
    with pytest.raises(InputError, match="1 to 3"):
        opened(make_gated(tmp_path), phase=phase)


def test_phase_two_of_a_3d_series_is_refused(tmp_path):
    with pytest.raises(InputError, match="phase"):
        opened(make_pet_series(tmp_path), phase=2)


def test_a_missing_slice_stays_without_values_and_is_named(tmp_path):
    folder = make_pet_series(tmp_path)
    files = sorted(folder.glob("*.dcm"), key=lambda f: float(pydicom.dcmread(f).ImagePositionPatient[2]))
    files[3].unlink()
    study, log = opened(folder)
    assert "MISSING_SLICES" in codes(log)
    assert np.isnan(study.pet.values[3]).all()
    rest = [0, 1, 2, 4, 5, 6, 7]
    np.testing.assert_allclose(study.pet.values[rest], PATTERN[rest], rtol=2e-3, atol=5e-4)


def test_a_missing_slice_is_refused_in_strict_mode(tmp_path):
    folder = make_pet_series(tmp_path)
    files = sorted(folder.glob("*.dcm"), key=lambda f: float(pydicom.dcmread(f).ImagePositionPatient[2]))
    files[3].unlink()
    with pytest.raises(StrictRefusal) as caught:
        opened(folder, strict=True)
    assert caught.value.code == "MISSING_SLICES"


def test_facts_hold_what_the_contract_promises(tmp_path):
    study, _ = opened(make_pet_series(tmp_path))
    promised = {
        "series_uid", "description", "modality", "manufacturer", "model", "patient_id", "study_date",
        "radiopharmaceutical", "nuclide", "activity_mbq", "injection_time", "uptake_time_min", "weight_kg", "units",
        "rule", "factor_suvbw_per_bqml", "slices", "spacing_mm",
    }  # fmt: skip
    assert promised <= set(study.facts)
    assert study.facts["uptake_time_min"] == pytest.approx(60.0)
    assert study.facts["activity_mbq"] == pytest.approx(150.0)
    assert study.facts["nuclide"] == "Ga-68"


def test_a_fact_that_the_header_lacks_is_none(tmp_path):
    study, _ = opened(make_pet_series(tmp_path, tags={"PatientID": None, "Manufacturer": ""}))
    assert study.facts["patient_id"] is None
    assert study.facts["manufacturer"] is None


def test_the_norm_changes_the_unit(tmp_path):
    study, _ = opened(make_pet_series(tmp_path), suv=SuvOptions(norm="lbm-janmahasatian"))
    assert study.pet.unit == "g/ml{SUVlbm}"


def test_a_doubtful_uptake_time_reaches_the_reader(tmp_path):
    _, log = opened(make_pet_series(tmp_path, uptake_s=3 * 3600.0))
    assert "UPTAKE_OUTSIDE_PROTOCOL" in codes(log)


def test_a_protocol_changes_what_is_doubted(tmp_path):
    _, log = opened(make_pet_series(tmp_path, uptake_s=600.0), protocol="aldosteronism-early")
    assert "UPTAKE_OUTSIDE_PROTOCOL" not in codes(log)


def test_an_unknown_protocol_is_refused_before_reading(tmp_path):
    with pytest.raises(InputError, match="oncology"):
        opened(tmp_path / "absent", protocol="nonsense")


def test_input_files_have_digests_and_uids(tmp_path):
    folder = make_pet_series(tmp_path)
    study, _ = opened(folder)
    found = {i.path: i for i in input_files(study)}
    for file in folder.glob("*.dcm"):
        assert found[file.name].sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
        assert found[file.name].uid == pydicom.dcmread(file).SOPInstanceUID


def test_two_extra_files_of_the_same_name_are_both_recorded(tmp_path):
    study, _ = opened(make_pet_series(tmp_path / "pet"))
    extra = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        extra.append(tmp_path / name / "mask.nii")
        extra[-1].write_text(name)
    digests = {i.sha256 for i in input_files(study, tuple(extra))}
    assert {hashlib.sha256(file.read_bytes()).hexdigest() for file in extra} <= digests


def test_progress_names_its_stages(tmp_path):
    make_pet_series(tmp_path / "pet")
    make_ct_series(tmp_path / "ct")
    seen = []
    open_study(tmp_path, NoticeLog(), progress=lambda stage, done, total: seen.append((stage, done, total)))
    assert {stage for stage, _, _ in seen} == {"reading headers", "reading PET", "reading CT"}
    assert all(done <= total for _, done, total in seen)


def test_headers_of_the_source_are_in_slice_order(tmp_path):
    study, _ = opened(make_pet_series(tmp_path))
    heights = [float(d.ImagePositionPatient[2]) for d in study.source_headers()]
    assert heights == sorted(heights)
