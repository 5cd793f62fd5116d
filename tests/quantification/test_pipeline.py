"""The main job on the digital patient: what is planted is found and measured, what is normal is left alone."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from blurred_truth import expected

from fusin.errors import InputError, NotComputable, StrictRefusal
from fusin.imaging.masks import read_regions
from fusin.provenance import NoticeLog, canonical_json
from fusin.quantification.pipeline import ReadOptions, read_study, read_volume
from fusin.quantification.references import reference_shape
from fusin.quantification.rules import named_threshold
from fusin.quantification.study import StudyOptions
from fusin.quantification.tables import lesion_table, reference_table
from fusin.report.demo import compare_with_truth

pytestmark = pytest.mark.xdist_group("phantom-read")

VOXEL_MM = 5
PAIR = ("mediastinal_upper", "mediastinal_lower")
ORGANS = (
    "liver",
    "spleen",
    "kidney_left",
    "kidney_right",
    "heart",
    "aorta",
    "brain",
    "urinary_bladder",
    "waldeyer_ring",
)
SINGLE = (
    "cervical_left", "axillary_right", "retroperitoneal_left", "iliac_right", "inguinal_left", "bone_t10",
    "bone_iliac_left", "portal_hepatic", "gluteal_right",
)  # fmt: skip
# Uptake planted into the organs that references stand for (phantom.toml, published medians); the brain's is assumed.
PLANTED = {"blood_pool": 1.66, "liver": 1.28, "spleen": 5.2, "marrow": 1.76, "brain": 0.22, "muscle": 0.65}
HOME = {"blood_pool": "aorta", "liver": "liver", "spleen": "spleen", "brain": "brain"}


def holder(reading, truth):
    """The candidate that holds the centre of a planted lesion's region, None when it was missed."""
    inside = {tuple(i) for i in truth.region.indices().tolist()}
    shares = {
        lesion.number: len(inside & {tuple(i) for i in lesion.region.indices().tolist()}) for lesion in reading.lesions
    }
    best = max(shares, key=lambda n: shares[n], default=None)
    return next((x for x in reading.lesions if x.number == best and shares[best]), None)


def planted(phantom, name):
    return next(lesion for lesion in phantom.patient.lesions if lesion.name == name)


def ideal(phantom, reading, name, background):
    truth = planted(phantom, name)
    return expected(
        truth.semi_axes_mm,
        truth.suv,
        background=background,
        threshold=reading.threshold["suv"],
        fwhm_mm=phantom.patient.acquisition.psf_fwhm_mm,
        voxel_mm=VOXEL_MM,
    )


def rounding_ml(volume_ml):
    """Two SD of cutting a surface into voxels, and one voxel for the place of the grid.

    A sphere of this volume meets A / h^2 voxels, each of which is counted whole or not at all: SD 0.29 of a voxel each.
    """
    area = math.pi ** (1 / 3) * (6.0 * 1000.0 * volume_ml) ** (2 / 3)
    return VOXEL_MM**3 / 1000.0 * (1.0 + 2.0 * 0.29 * math.sqrt(area / VOXEL_MM**2))


def reread(phantom, **options):
    log = NoticeLog()
    return read_study(phantom.written.folder, log, options=ReadOptions(**options))[0], log


def again(case, phantom, **options):
    """Read the opened study again with other options, without reading a file."""
    log = NoticeLog()
    return read_volume(case.study, log, options=ReadOptions(labels=phantom.written.organs, **options)), log


def test_every_planted_lesion_above_the_threshold_is_found_with_labels(phantom, labelled):
    compared = compare_with_truth(labelled.reading, phantom.patient)
    assert compared.found == len(compared.matches) == len(phantom.patient.lesions)
    assert compared.extra == ()


@pytest.mark.parametrize("organ", ORGANS)
def test_no_physiological_organ_is_called_a_lesion_with_labels(phantom, labelled, organ):
    """A candidate's hottest voxel lies in no normal organ."""
    grid = labelled.reading.pet.grid
    mask = phantom.patient.organs[organ].mask()
    for lesion in labelled.reading.lesions:
        column, row, k = np.rint(grid.to_index(lesion.metrics.max_mm)).astype(int)
        assert not mask[k, row, column], f"{lesion.identity} lies in the {organ}"


@pytest.mark.parametrize("name", SINGLE)
def test_volume_lies_between_the_ideal_ones_in_fat_and_in_blood(phantom, labelled, name):
    """The surroundings of a lesion are between fat (0.5 with blurring) and blood (1.7), which moves its edge."""
    found = holder(labelled.reading, planted(phantom, name)).metrics.volume_ml
    low = ideal(phantom, labelled.reading, name, 0.5).volume_ml
    high = ideal(phantom, labelled.reading, name, 1.7).volume_ml
    assert low - rounding_ml(low) <= found <= high + rounding_ml(high)


def test_two_touching_lesions_have_the_volume_of_both_together(phantom, labelled):
    holders = {holder(labelled.reading, planted(phantom, name)).number for name in PAIR}
    total = sum(x.metrics.volume_ml for x in labelled.reading.lesions if x.number in holders)
    low = sum(ideal(phantom, labelled.reading, name, 0.5).volume_ml for name in PAIR)
    high = sum(ideal(phantom, labelled.reading, name, 1.7).volume_ml for name in PAIR)
    assert low - rounding_ml(low) <= total <= high + rounding_ml(high)


@pytest.mark.parametrize("name", SINGLE)
def test_suv_max_is_the_blurred_planted_one_within_three_sd_of_the_noise(phantom, labelled, name):
    """The variance of a voxel is proportional to its uptake: SD = 0.13 sqrt(SUV)."""
    ideal_max = ideal(phantom, labelled.reading, name, 1.0).suv_max
    found = holder(labelled.reading, planted(phantom, name)).metrics.suv_max
    assert found == pytest.approx(ideal_max, abs=3.0 * phantom.patient.acquisition.noise * math.sqrt(ideal_max))


@pytest.mark.parametrize("name", SINGLE)
def test_suv_mean_above_the_threshold_is_the_ideal_one_within_a_tenth(phantom, labelled, name):
    """Ten voxels at SD 0.25 leave 2 % of noise; where the grid falls on a small lesion moves its mean by more."""
    found = holder(labelled.reading, planted(phantom, name)).metrics.suv_mean
    assert found == pytest.approx(ideal(phantom, labelled.reading, name, 1.0).suv_mean, rel=0.10)


@pytest.mark.parametrize("name", SINGLE)
def test_tbr_against_blood_is_the_planted_one_after_blurring(phantom, labelled, name):
    """SUVmax within 3 SD of its noise, the blood pool mean within 10 % of what is planted (1 x 2 cm: 12 voxels)."""
    ideal_max = ideal(phantom, labelled.reading, name, 1.0).suv_max
    noise = 3.0 * phantom.patient.acquisition.noise / math.sqrt(ideal_max)
    ratio = holder(labelled.reading, planted(phantom, name)).tbr("blood_pool")
    assert ratio.value == pytest.approx(ideal_max / PLANTED["blood_pool"], rel=math.hypot(noise, 0.10))
    assert ratio.low < ratio.value < ratio.high


@pytest.mark.parametrize("kind", sorted(PLANTED))
def test_references_show_the_planted_uptake_of_their_organ(labelled, kind):
    """Within 15 %, and within 0.05 for the cold brain: noise of a few resolution elements, and blurring at the edge."""
    found = next(r for r in labelled.reading.references if r.kind == kind)
    assert found.mean == pytest.approx(PLANTED[kind], rel=0.15, abs=0.05)


@pytest.mark.parametrize("kind", sorted(PLANTED))
def test_references_placed_without_labels_show_the_planted_uptake(unlabelled, kind):
    found = next(r for r in unlabelled.reading.references if r.kind == kind)
    assert found.method == "automatic"
    assert found.mean == pytest.approx(PLANTED[kind], rel=0.15, abs=0.05)


@pytest.mark.parametrize(("kind", "organ"), sorted(HOME.items()))
def test_references_placed_without_labels_lie_inside_the_true_organ(phantom, unlabelled, kind, organ):
    found = next(r for r in unlabelled.reading.references if r.kind == kind)
    truth = phantom.patient.organs[organ].mask()
    assert found.region.mask()[truth].sum() >= 0.9 * found.voxels


def test_marrow_placed_without_labels_lies_in_a_lumbar_vertebra(phantom, unlabelled):
    found = next(r for r in unlabelled.reading.references if r.kind == "marrow")
    vertebrae = sum(phantom.patient.organs[f"vertebrae_L{n}"].mask() for n in (2, 3, 4, 5)).astype(bool)
    assert found.region.mask()[vertebrae].sum() >= 0.9 * found.voxels


def test_without_labels_all_planted_lesions_are_still_found(phantom, unlabelled):
    compared = compare_with_truth(unlabelled.reading, phantom.patient)
    assert compared.found == len(compared.matches)


def test_without_labels_only_small_normal_structures_are_left_among_the_candidates(phantom, unlabelled):
    """Spleen, kidneys and bladder are set aside; Waldeyer's ring and the adrenals need labels, and are candidates."""
    compared = compare_with_truth(unlabelled.reading, phantom.patient)
    small = ("waldeyer_ring", "adrenal_gland_left", "adrenal_gland_right")
    known = sum(phantom.patient.organs[name].mask() for name in small).astype(bool)
    extra = [x for x in unlabelled.reading.lesions if x.number in compared.extra]
    assert extra
    assert all(lesion.region.mask()[known].any() for lesion in extra)
    aside = {lesion.site for lesion in unlabelled.reading.physiological}
    assert {"spleen", "kidney_left", "kidney_right", "urinary_bladder"} <= aside


def test_what_a_heuristic_sets_aside_is_said_to_be_so(unlabelled):
    assert unlabelled.reading.excluded
    assert sum(n.code == "PHYSIOLOGICAL_HEURISTIC" for n in unlabelled.log) == len(unlabelled.reading.excluded)


@pytest.fixture(scope="module")
def stricter(phantom, labelled):
    return again(labelled, phantom, threshold="fixed:4.5")[0]


def test_a_lesion_keeps_its_identity_when_the_threshold_changes(labelled, stricter):
    before = {lesion.identity for lesion in labelled.reading.lesions}
    after = {lesion.identity for lesion in stricter.lesions}
    assert after
    assert after <= before


def test_a_higher_threshold_gives_no_larger_lesion(labelled, stricter):
    volumes = {lesion.identity: lesion.metrics.volume_ml for lesion in labelled.reading.lesions}
    assert all(lesion.metrics.volume_ml <= volumes[lesion.identity] for lesion in stricter.lesions)


@pytest.mark.parametrize("rule", ["percent-max-41", "gradient", "majority-2", "van-dalen:5.5"])
def test_a_contour_rule_draws_lesions_again_and_keeps_their_identity(phantom, labelled, rule):
    drawn, _ = again(labelled, phantom, contour=rule)
    assert {x.identity for x in drawn.lesions} == {x.identity for x in labelled.reading.lesions}
    assert drawn.threshold["contour"] == rule
    before = {x.identity: x.region.voxels for x in labelled.reading.lesions}
    assert any(x.region.voxels != before[x.identity] for x in drawn.lesions)


def test_a_contour_of_half_the_maximum_is_near_the_planted_volume_of_a_large_lesion(phantom, labelled):
    """At 3 times the resolution the 50 % contour of a uniform body is its edge (here within two layers' rounding)."""
    drawn, _ = again(labelled, phantom, contour="percent-max-50")
    truth = planted(phantom, "gluteal_right")
    found = holder(drawn, truth).metrics.volume_ml
    assert found == pytest.approx(truth.volume_ml, abs=2 * rounding_ml(truth.volume_ml))


def test_given_lesions_are_measured_and_no_search_is_made(phantom, labelled):
    given, _ = again(labelled, phantom, lesions=phantom.written.seg)
    assert [x.status for x in given.lesions] == ["given"] * len(phantom.patient.lesions)
    assert given.threshold["rule"] is None
    assert given.physiological == ()
    voxels = {lesion.name: lesion.region.voxels for lesion in phantom.patient.lesions}
    assert {x.region.name: x.region.voxels for x in given.lesions} == voxels


def test_given_lesions_as_contours_are_those_of_the_segmentation_within_their_edge(phantom, labelled):
    given, _ = again(labelled, phantom, lesions=phantom.written.rtstruct)
    voxels = {lesion.name: lesion.region.voxels for lesion in phantom.patient.lesions}
    assert {x.region.name for x in given.lesions} == set(voxels)
    for lesion in given.lesions:
        assert lesion.region.voxels == pytest.approx(voxels[lesion.region.name], rel=0.25, abs=2)


def test_a_point_places_a_reference_of_the_stated_shape(phantom, labelled):
    at = (f"liver={-90},{0},{-570}", "blood_pool=26,34,-465")
    found, _ = again(labelled, phantom, at=at)
    liver, blood = (next(r for r in found.references if r.kind == kind) for kind in ("liver", "blood_pool"))
    assert (liver.method, blood.method) == ("point", "point")
    sphere = reference_shape("liver")
    assert liver.volume_ml == pytest.approx(math.pi / 6 * sphere.diameter_mm**3 / 1000, rel=0.15)
    np.testing.assert_allclose(liver.centre_mm, (-90, 0, -570), atol=VOXEL_MM / 2)


@pytest.mark.parametrize("text", ["liver=0,0,9999", "liver=nan,0,0"])
def test_a_point_outside_of_the_image_is_refused(phantom, labelled, text):
    with pytest.raises(InputError):
        again(labelled, phantom, at=(text,))


def test_a_box_leaves_out_what_lies_in_it(phantom, labelled):
    truth = planted(phantom, "bone_t10")
    corners = [*(c - 25 for c in truth.centre_mm), *(c + 25 for c in truth.centre_mm)]
    found, _ = again(labelled, phantom, exclude=("user=" + ",".join(map(str, corners)),))
    assert holder(found, truth) is None
    assert len(found.lesions) == len(labelled.reading.lesions) - 1
    assert "user" in {lesion.site for lesion in found.physiological}


@pytest.fixture(scope="module")
def pet_only(phantom):
    """A reading of the PET alone: nothing places a reference, so that there is no threshold."""
    log = NoticeLog()
    reading, study = read_study(phantom.written.pet, log)
    return reading, study, log


def test_without_a_ct_there_is_no_automatic_reference_and_no_search(pet_only):
    reading, study, log = pet_only
    assert study.ct is None
    assert reading.references == ()
    assert {n.code for n in log} >= {"NO_CT", "NO_THRESHOLD"}


def test_without_a_search_the_burden_is_unknown_and_not_zero(pet_only):
    reading = pet_only[0]
    document = json.loads(canonical_json(reading.to_json()))
    assert reading.burden.lesions is None
    assert set(document["burden"].values()) == {None}
    assert document["lesions"] == []


def test_without_a_search_no_rule_that_asks_for_lesions_gives_a_verdict(pet_only):
    """A scan in which nobody looked is not a negative scan."""
    verdicts = {rule.rule_id: rule.verdict for rule in pet_only[0].readout.rules}
    assert verdicts
    assert False not in verdicts.values()


def test_without_a_search_the_score_is_unknown(pet_only):
    assert pet_only[0].readout.score is None


def test_a_search_that_finds_nothing_has_a_burden_of_zero(phantom, labelled):
    reading, _ = again(labelled, phantom, threshold="fixed:500")
    assert reading.burden.lesions == 0
    assert reading.burden.tumour_volume_ml == 0


def test_a_fixed_threshold_searches_without_any_reference(phantom):
    reading, _ = read_study(phantom.written.pet, NoticeLog(), options=ReadOptions(threshold="fixed:4"))
    assert reading.burden.lesions == len(reading.lesions) > 0


def test_no_auto_uses_only_what_was_given(phantom, labelled):
    log = NoticeLog()
    reading = read_volume(labelled.study, log, options=ReadOptions(automatic=False, at=("liver=-90,0,-570",)))
    assert [r.kind for r in reading.references] == ["liver"]
    assert reading.burden.lesions is None


def test_a_drawn_reference_beats_a_point_and_a_label(phantom, labelled, tmp_path):
    from fusin.imaging.masks import write_label_nifti

    liver = next(r for r in labelled.reading.references if r.kind == "liver").region
    path = tmp_path / "liver.nii"
    write_label_nifti(path, [liver], labelled.reading.pet.grid)
    found, _ = again(labelled, phantom, references=(("liver", path),), at=("liver=-80,0,-570",))
    chosen = next(r for r in found.references if r.kind == "liver")
    assert chosen.method == "given"
    assert chosen.voxels == liver.voxels
    assert "liver.nii" in {i.path for i in found.provenance.inputs}


def test_strict_reading_of_a_clean_study_is_allowed(phantom):
    options = ReadOptions(study=StudyOptions(strict=True), labels=phantom.written.organs)
    reading, _ = read_study(phantom.written.folder, NoticeLog(strict=True), options=options)
    assert reading.lesions
    assert not [n for n in reading.notices if n.severity == "adapted"]


def test_strict_reading_refuses_an_adaptation(tmp_path):
    from fusin.testing import make_pet_series

    folder = make_pet_series(tmp_path, tags={"PatientWeight": "70000"})
    with pytest.raises(StrictRefusal) as caught:
        read_study(folder, NoticeLog(strict=True), options=ReadOptions(study=StudyOptions(strict=True)))
    assert caught.value.code == "WEIGHT_IN_GRAMS"


def test_reading_rules_need_body_weight_norm(labelled):
    study = replace(labelled.study, pet=replace(labelled.study.pet, unit="g/ml{SUVlbm}"))
    with pytest.raises(InputError, match="norm"):
        read_volume(study, NoticeLog())


@pytest.mark.parametrize(
    "options", [{"threshold": "nonsense"}, {"contour": "nonsense"}, {"at": ("liver",)}, {"exclude": ("box=1,2",)}]
)
def test_mistyped_options_are_refused_before_any_file_is_read(tmp_path, options):
    with pytest.raises(InputError, match="--"):
        read_study(tmp_path / "absent", NoticeLog(), options=ReadOptions(**options))


@pytest.mark.parametrize("option", ["labels", "lesions"])
def test_absent_region_files_are_refused_before_any_file_is_read(tmp_path, option):
    with pytest.raises(InputError, match="nothing there"):
        read_study(tmp_path, NoticeLog(), options=ReadOptions(**{option: tmp_path / "absent.dcm"}))


def test_the_same_input_gives_the_same_bytes(phantom, labelled):
    """Tables and JSON of a second reading from disk are equal byte for byte."""
    other, _ = reread(phantom, labels=phantom.written.organs)
    assert canonical_json(other.to_json()) == canonical_json(labelled.reading.to_json())
    for make in (lesion_table, reference_table):
        assert make(other).to_csv() == make(labelled.reading).to_csv()


def test_provenance_holds_the_digest_of_every_input(phantom, labelled):
    inputs = {i.path: i for i in labelled.reading.provenance.inputs}
    files = [*phantom.written.pet.iterdir(), *phantom.written.ct.iterdir(), phantom.written.organs]
    assert len(inputs) == len(files)
    for file in files:
        name = file.relative_to(phantom.written.folder).as_posix()
        assert inputs[name].sha256 == hashlib.sha256(file.read_bytes()).hexdigest()


def test_provenance_holds_parameters_methods_and_versions(labelled):
    found = labelled.reading.provenance
    assert found.parameters["threshold"] == "blood-pool"
    assert found.parameters["search"]["min_volume_ml"] == 0.3
    assert any(m.id.startswith("threshold-") for m in found.methods)
    assert {"fusin", "numpy", "pydicom"} <= set(found.versions)


def test_the_reading_names_every_key_of_its_contract(labelled):
    document = labelled.reading.to_json()
    assert set(document) == {
        "series", "references", "threshold", "lesions", "physiological", "burden", "readout", "adrenal", "outputs",
        "notices", "provenance",
    }  # fmt: skip
    json.loads(canonical_json(document))


def test_lesions_are_ranked_by_peak_and_numbered(labelled):
    peaks = [x.metrics.suv_peak for x in labelled.reading.lesions]
    assert peaks == sorted(peaks, reverse=True)
    assert [x.number for x in labelled.reading.lesions] == list(range(1, len(peaks) + 1))


def test_burden_is_the_sum_of_the_candidates(labelled):
    burden, lesions = labelled.reading.burden, labelled.reading.lesions
    assert burden.lesions == len(lesions)
    assert burden.tumour_volume_ml == pytest.approx(sum(x.metrics.volume_ml for x in lesions))
    assert burden.total_lesion_uptake == pytest.approx(sum(x.metrics.total_lesion_uptake for x in lesions))


def test_adrenal_indices_need_adrenal_labels(unlabelled):
    log = NoticeLog()
    reading = read_volume(unlabelled.study, log, options=ReadOptions(adrenals=True))
    assert reading.adrenal is None
    assert "ADRENALS_NOT_LABELLED" in {n.code for n in log}


def test_labels_of_another_grid_are_brought_onto_the_pet(phantom, labelled):
    labels = read_regions(phantom.written.organs, grid=labelled.reading.pet.grid, log=NoticeLog())
    assert all(region.grid.matches(labelled.reading.pet.grid) for region in labels)
    assert {"liver", "spleen", "aorta"} <= {region.name for region in labels}


def test_a_threshold_without_its_reference_names_what_to_do(phantom):
    with pytest.raises(NotComputable, match="--at spleen"):
        named_threshold("spleen:1", (), phantom.patient.pet)
