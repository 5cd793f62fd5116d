"""SUV and regions of real PET scans end to end: soft-tissue sarcoma and single slices with awkward headers.

Ten sarcoma patients of the IBSI validation data (doi:10.1148/radiol.231319; images CC BY 3.0, The Cancer Imaging
Archive) carry a consensus of up to eight teams for each feature; STS_001 is also there as its raw GE series. Two single
slices of ACRIN-FLT (CC BY 3.0) have an empty manufacturer and no radiopharmaceutical. A GE planar image (MIT) is no SPECT.
"""

from __future__ import annotations

import csv
import tarfile
from pathlib import Path

import numpy as np
import pytest

from fusin.errors import FusinError, StrictRefusal
from fusin.imaging.select_series import choose_pet
from fusin.imaging.series import scan
from fusin.imaging.suv import plan_suv
from fusin.imaging.suv_header import read_suv_header
from fusin.imaging.suv_time import reference_times
from fusin.provenance import NoticeLog
from fusin.quantification.measuring import measure_study

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
STS = DATA / "pet" / "sts_ibsi"
RAW = DATA / "pet" / "sts001_raw" / "sts_images_raw_STS_001_FDG_PET.tar.xz"
ACRIN = DATA / "pet" / "acrin_flt_siemens_single_slices"
PLANAR = DATA / "spect" / "nm_planar_ge"
PATIENTS = [f"STS_{i:03d}" for i in range(1, 11)]
RAW_FACTOR = 2.429029766e-4
pytestmark = pytest.mark.xdist_group("sts-study")
needs_sts = pytest.mark.skipif(not STS.is_dir() or not RAW.exists(), reason=f"public data absent: {STS}")


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    root = tmp_path_factory.mktemp("sts")
    for name, archive in {"sts": STS / "public_STS_001-010_PET.tar.xz", "raw": RAW}.items():
        with tarfile.open(archive) as packed:
            packed.extractall(root / name, filter="data")
    return root


def find(root, *parts):
    found = [p for p in root.rglob(parts[-1]) if p.is_dir() and p.parts[-len(parts) :] == parts]
    assert len(found) == 1, found
    return found[0]


@pytest.fixture(scope="module")
def measured(unpacked):
    """Patient to (metrics of the mass, study) of every IBSI copy."""
    found = {}
    for patient in PATIENTS:
        image = find(unpacked / "sts", patient, "PET", "image")
        result = measure_study(image, find(unpacked / "sts", patient, "PET", "mask"), NoticeLog())
        (mass,) = [m for m in result.metrics if m.name.startswith("GTV_Mass")]
        found[patient] = (mass, result)
    return found


@pytest.fixture(scope="module")
def raw(unpacked):
    result = measure_study(
        find(unpacked / "raw", "FDG_PET", "image"), find(unpacked / "raw", "FDG_PET", "mask"), NoticeLog()
    )
    (mass,) = [m for m in result.metrics if m.name == "GTV_Mass"]
    return mass, result


@pytest.fixture(scope="module")
def published():
    """(patient, tag) to the consensus."""
    with (STS / "public_reference.csv").open() as stream:
        return {(row["id"], row["tag"]): float(row["consensus"]) for row in csv.DictReader(stream)}


@needs_sts
@pytest.mark.parametrize("patient", PATIENTS)
def test_voxel_counts_are_those_of_the_teams(measured, published, patient):
    assert measured[patient][0].voxels == published[patient, "int_mask_vox_count_init_roi"]


@needs_sts
@pytest.mark.parametrize("patient", PATIENTS)
@pytest.mark.parametrize(
    ("tag", "field"), [("int_mask_mean_int_init_roi", "suv_mean"), ("int_mask_max_int_init_roi", "suv_max")]
)
def test_means_and_maxima_are_those_of_the_teams(measured, published, patient, tag, field):
    consensus = published[patient, tag]
    # The table prints six significant digits at most.
    assert getattr(measured[patient][0], field) == pytest.approx(consensus, rel=1e-4)


@needs_sts
def test_every_patient_of_the_table_was_measured(published):
    assert {patient for patient, _ in published} == set(PATIENTS)


@needs_sts
def test_the_raw_series_has_the_published_factor(raw):
    assert raw[1].series["factor_suvbw_per_bqml"] == pytest.approx(RAW_FACTOR, rel=1e-6)


@needs_sts
def test_the_raw_series_has_the_published_mass(raw):
    mass = raw[0]
    assert mass.voxels == 5095
    assert mass.suv_max == pytest.approx(7.91067, rel=1e-5)


def cropped(volume, grid):
    """Values of a volume on a grid that was cut out of its own."""
    index = volume.grid.to_index(grid.affine[:3, 3])
    assert np.abs(index - np.rint(index)).max() < 0.01
    column, row, k = np.rint(index).astype(int)
    slices, rows, columns = grid.shape
    return volume.values[k : k + slices, row : row + rows, column : column + columns].astype(np.float64)


@needs_sts
def test_the_published_copy_of_the_raw_series_was_truncated_to_its_slopes(raw, measured):
    """IBSI's copy stores SUV with a slope for each slice and cuts instead of rounding: raw - copy in [0, 1] steps.

    0.01 of a step is allowed: a step is 1/32767 of the slice's maximum, and both volumes are float32 (6e-8 relative).
    """
    ours, copy = raw[1].study, measured["STS_001"][1].study
    same = cropped(ours.pet, copy.pet.grid)
    steps = np.array([frame.slope for frame in copy.pet_series.frames])[:, None, None]
    difference = (same - copy.pet.values) / steps
    assert difference.min() > -0.01
    assert difference.max() < 1.01
    # Rounding to the nearest step could not leave more than half of one.
    assert difference.max() > 0.9


@needs_sts
def test_the_raw_mean_agrees_with_the_consensus_within_the_truncation(raw, measured, published):
    """Ours 2.5551845, consensus 2.5551338 on the truncated copy: apart by less than one step, and upwards."""
    mass, result = raw
    assert mass.suv_mean == pytest.approx(2.5551845, abs=2e-7)
    step = max(frame.slope for frame in measured["STS_001"][1].study.pet_series.frames)
    for tag, value in (("mean", mass.suv_mean), ("min", mass.suv_min)):
        assert 0 <= value - published["STS_001", f"int_mask_{tag}_int_init_roi"] <= step
    assert result.series["rule"].startswith("BQML/START")


@pytest.mark.skipif(not ACRIN.is_dir(), reason=f"public data absent: {ACRIN}")
@pytest.mark.parametrize(("name", "seconds"), [("1.dcm", 0.0), ("2.dcm", 1.0)])
def test_the_reference_time_of_real_siemens_slices_follows_from_their_frame_reference_time(name, seconds):
    """Expected 0.000 s and 1.000 s from SeriesTime (README of the data); the order of the files is theirs."""
    log = NoticeLog()
    (series,) = scan(ACRIN / name, log).series
    header = read_suv_header(series)
    # Both slices lack the radiopharmaceutical; 18F's half-life enters only by the mean count time of the frame.
    moment = reference_times(header, 6586.2, NoticeLog()).times[0]
    assert (moment - header.series_start).total_seconds() == pytest.approx(seconds, abs=5e-3)


@pytest.mark.skipif(not ACRIN.is_dir(), reason=f"public data absent: {ACRIN}")
@pytest.mark.parametrize("name", ["1.dcm", "2.dcm"])
def test_real_slices_with_a_bare_injection_time_are_adapted_and_refused_in_strict_mode(name):
    log = NoticeLog()
    series = choose_pet(scan(ACRIN / name, log), log)
    plan_suv(series, log)
    assert "INJECTION_DATE_FROM_SERIES" in {n.code for n in log if n.severity == "adapted"}
    with pytest.raises(StrictRefusal):
        plan_suv(series, NoticeLog(strict=True))


@pytest.mark.skipif(not PLANAR.is_dir(), reason=f"public data absent: {PLANAR}")
def test_a_planar_image_is_refused_as_a_volume():
    log = NoticeLog()
    with pytest.raises(FusinError, match=r"planar|projection|place in the patient") as caught:
        choose_pet(scan(PLANAR, log), log).require_stack()
    assert caught.value.exit_code == 3
