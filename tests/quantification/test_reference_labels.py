"""References inside organ labels, the descending aorta, and the optional segmentation program."""

from __future__ import annotations

import sys
from types import ModuleType

import numpy as np
import pytest

from fusin.errors import InputError, MissingExtra, NotComputable
from fusin.imaging.volume import Grid, Region, Volume
from fusin.provenance import NoticeLog
from fusin.quantification.reference_labels import descending_aorta, references_from_labels, run_totalsegmentator

SPACING = (4.0, 4.0, 4.0)
SHAPE = (70, 50, 60)
GRID = Grid(shape=SHAPE, affine=np.array([[4, 0, 0, -118], [0, 4, 0, -98], [0, 0, 4, 0], [0, 0, 0, 1]], float))


def millimetres():
    k, j, i = np.meshgrid(*(np.arange(n) for n in SHAPE), indexing="ij")
    p = GRID.to_mm(np.stack([i, j, k], axis=-1))
    return p[..., 0], p[..., 1], p[..., 2]


X, Y, Z = millimetres()


def ball(centre, radius):
    return (X - centre[0]) ** 2 + (Y - centre[1]) ** 2 + (Z - centre[2]) ** 2 < radius**2


def region(name, mask):
    return Region.from_mask(name, GRID, mask)


def pet_of(parts, background=0.4, noise=0.03, seed=0):
    values = np.full(SHAPE, background)
    for mask, suv in parts:
        values[mask] = suv
    values += noise * np.random.default_rng(seed).standard_normal(SHAPE)
    return Volume(values=values.astype(np.float32), grid=GRID, unit="g/ml{SUVbw}")


def candy_cane():
    """Ascending part in front, arch on top, descending part behind and to the left, as in a chest."""
    up = ((X + 10) ** 2 + (Y + 30) ** 2 < 15**2) & (Z > 180) & (Z < 240)
    down = ((X - 22) ** 2 + (Y - 30) ** 2 < 13**2) & (Z < 240)
    t = np.clip((Y + 30) / 60, 0, 1)
    arch = ((X - (-10 + 32 * t)) ** 2 + (Z - 240) ** 2 < 13**2) & (Y > -42) & (Y < 42)
    return up | down | arch


def codes(log):
    return {n.code for n in log}


def test_the_descending_part_is_behind_below_the_arch_and_above_the_abdomen():
    part, known = descending_aorta(region("aorta", candy_cane()))
    mask = part.mask()
    assert known
    assert Y[mask].min() > 10.0
    assert Z[mask].max() < 232.0
    assert Z[mask].min() == pytest.approx(184.0 - 60.0, abs=8.0)


def test_the_descending_part_does_not_depend_on_how_the_array_is_stored():
    mask = candy_cane()
    affine = GRID.affine.copy()
    affine[:3, 3] += affine[:3, 2] * (SHAPE[0] - 1) + affine[:3, 0] * (SHAPE[2] - 1)
    affine[:3, [0, 2]] *= -1
    turned = Region.from_mask("aorta", Grid(shape=SHAPE, affine=affine), mask[::-1, :, ::-1])
    expected, _ = descending_aorta(region("aorta", mask))
    part, _ = descending_aorta(turned)
    assert np.array_equal(part.mask()[::-1, :, ::-1], expected.mask())


def test_an_aorta_without_an_ascending_part_is_used_with_a_doubt():
    tube = ((X - 22) ** 2 + (Y - 30) ** 2 < 13**2) & (Z < 150)
    log = NoticeLog()
    (reference,) = references_from_labels(pet_of([(tube, 1.6)]), [region("aorta", tube)], log=log)
    assert reference.mean == pytest.approx(1.6, abs=0.03)
    assert "REFERENCE_LEVEL_UNKNOWN" in codes(log)
    assert "level is not known" in reference.detail


def test_the_blood_pool_lies_wholly_in_the_descending_aorta():
    mask = candy_cane()
    log = NoticeLog()
    (reference,) = references_from_labels(pet_of([(mask, 1.6)]), [region("aorta", mask)], log=log)
    part, _ = descending_aorta(region("aorta", mask))
    assert reference.kind == "blood_pool"
    assert part.mask()[reference.region.mask()].all()
    assert reference.mean == pytest.approx(1.6, abs=0.03)
    assert reference.method == "labels"
    assert codes(log) == {"REFERENCE_PLACED"}


def test_the_left_ventricle_stands_in_for_an_aorta_that_is_too_thin():
    thin = ((X - 22) ** 2 + (Y - 30) ** 2 < 3**2) & (Z < 150)
    ventricle = ball((30, -20, 160), 28)
    log = NoticeLog()
    labels = [region("aorta", thin), region("heart_ventricle_left", ventricle)]
    (reference,) = references_from_labels(pet_of([(ventricle, 1.7)]), labels, log=log)
    assert reference.kind == "blood_pool"
    assert "heart_ventricle_left" in reference.detail
    assert {"REFERENCE_LABEL_UNUSABLE", "REFERENCE_LEVEL_UNKNOWN"} <= codes(log)


def test_the_liver_sphere_lies_in_the_right_lobe_away_from_a_lesion():
    liver = ball((-40, 0, 120), 75)
    lesion = ball((-70, 0, 120), 14)
    log = NoticeLog()
    pet = pet_of([(liver, 1.3), (lesion, 9.0)])
    (reference,) = references_from_labels(pet, [region("liver", liver)], log=log)
    assert liver[reference.region.mask()].all()
    assert not lesion[reference.region.mask()].any()
    assert reference.centre_mm is not None
    assert reference.centre_mm[0] < -40.0
    assert reference.mean == pytest.approx(1.3, abs=0.02)


def test_the_sphere_keeps_its_distance_from_the_labels_edge():
    liver = ball((-40, 0, 120), 60)
    pet = pet_of([(liver, 1.3)])
    (reference,) = references_from_labels(pet, [region("liver", liver)], log=NoticeLog())
    p = GRID.to_mm(reference.region.indices()[:, ::-1])
    assert np.sqrt(((p - (-40, 0, 120)) ** 2).sum(axis=1)).max() < 60.0 - 4.0


def test_marrow_is_taken_from_l3_before_l4_and_inside_the_cortex():
    l3, l4 = ball((0, 0, 150), 18), ball((0, 0, 110), 18)
    core = ball((0, 0, 150), 14)
    labels = [region("vertebrae_L4", l4), region("vertebrae_L3", l3)]
    (reference,) = references_from_labels(pet_of([(l3, 0.9), (core, 1.8)]), labels, log=NoticeLog())
    assert reference.kind == "marrow"
    assert core[reference.region.mask()].all()
    assert "vertebrae_L3" in reference.detail


def test_one_muscle_is_enough_and_both_adrenals_are_measured():
    gluteus, left, right = ball((50, 40, 40), 35), ball((40, 10, 180), 8), ball((-40, 10, 180), 7)
    pet = pet_of([(gluteus, 0.6), (left, 4.0), (right, 3.5)])
    labels = [
        region("Gluteus maximus-right", gluteus),
        region("adrenal_gland_left", left),
        region("adrenal_gland_right", right),
    ]
    references = references_from_labels(pet, labels, log=NoticeLog())
    assert [r.kind for r in references] == ["muscle", "adrenal", "adrenal"]
    assert [r.region.name for r in references[1:]] == ["adrenal_gland_left", "adrenal_gland_right"]
    assert references[1].mean == pytest.approx(4.0, abs=0.05)


def test_the_brain_sphere_avoids_midline_and_base():
    brain = ball((0, 0, 140), 70)
    (reference,) = references_from_labels(pet_of([(brain, 0.2)], noise=0.01), [region("brain", brain)], log=NoticeLog())
    assert reference.centre_mm is not None
    assert reference.centre_mm[0] < -10.0
    assert reference.centre_mm[2] > 140.0


def test_only_the_kinds_asked_for_are_placed_and_unknown_labels_are_left_alone():
    liver, spleen = ball((-50, 0, 120), 50), ball((70, 20, 120), 35)
    pet = pet_of([(liver, 1.3), (spleen, 5.0)])
    labels = [region("liver", liver), region("spleen", spleen), region("colon", ball((0, 0, 40), 20))]
    references = references_from_labels(pet, labels, log=NoticeLog(), kinds=("spleen",))
    assert [r.kind for r in references] == ["spleen"]


def test_a_cold_label_is_reported_and_gives_no_reference():
    spleen = ball((70, 20, 120), 35)
    log = NoticeLog()
    pet = pet_of([(np.ones(SHAPE, bool), 0.0)], background=0.0, noise=0.0)
    assert references_from_labels(pet, [region("spleen", spleen)], log=log) == ()
    assert codes(log) == {"REFERENCE_LABEL_UNUSABLE"}


def test_labels_on_another_grid_are_refused():
    other = Grid(shape=(20, 20, 20), affine=np.diag([5.0, 5.0, 5.0, 1.0]))
    label = Region.from_mask("liver", other, np.ones(other.shape))
    with pytest.raises(InputError):
        references_from_labels(pet_of([]), [label], log=NoticeLog())


def fake_program(monkeypatch, run):
    """Stand-in for the segmentation package, which needs weights that cannot be had here."""
    calls = {}
    package, config, api = ModuleType("totalsegmentator"), ModuleType("c"), ModuleType("a")
    config.setup_totalseg = lambda: calls.setdefault("setup", True)
    config.set_config_key = calls.__setitem__

    def totalsegmentator(ct, out, **options):
        calls["options"] = options
        run(out)

    api.totalsegmentator = totalsegmentator
    monkeypatch.setitem(sys.modules, "totalsegmentator", package)
    monkeypatch.setitem(sys.modules, "totalsegmentator.config", config)
    monkeypatch.setitem(sys.modules, "totalsegmentator.python_api", api)
    return calls


def test_the_program_is_asked_for_the_organs_with_its_statistics_off(monkeypatch, tmp_path, capsys):
    def run(out):
        sys.stdout.write("Using Device: cpu\n")
        (out / "liver.nii.gz").write_bytes(b"")

    calls = fake_program(monkeypatch, run)
    log = NoticeLog()
    ct = tmp_path / "ct"
    ct.mkdir()
    folder = run_totalsegmentator(ct, tmp_path / "out" / "labels", log=log, fast=True)
    assert folder == tmp_path / "out" / "labels"
    assert calls["send_usage_stats"] is False
    assert {"liver", "aorta", "kidney_left"} <= set(calls["options"]["roi_subset"])
    assert calls["options"]["fast"] is True
    assert capsys.readouterr().out == ""
    assert codes(log) == {"TOTALSEGMENTATOR_RUN"}


@pytest.mark.parametrize("failure", [SystemExit(1), RuntimeError("no weights"), None])
def test_a_program_that_fails_or_writes_nothing_is_an_answer_not_a_traceback(monkeypatch, tmp_path, failure):
    def run(out):
        if failure is not None:
            raise failure

    fake_program(monkeypatch, run)
    with pytest.raises(NotComputable, match="organ labels"):
        run_totalsegmentator(tmp_path, tmp_path / "out", log=NoticeLog())


def test_without_the_program_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "totalsegmentator", None)
    with pytest.raises(MissingExtra, match=r"fusin\[totalsegmentator\]"):
        run_totalsegmentator(tmp_path, tmp_path / "out", log=NoticeLog())


def test_a_ct_that_is_not_there_is_refused_first(tmp_path):
    with pytest.raises(InputError):
        run_totalsegmentator(tmp_path / "absent", tmp_path / "out", log=NoticeLog())
