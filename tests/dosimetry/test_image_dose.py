"""Doses of regions and voxels from images: against hand calculations, limits, and what is refused or left out."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from fusin.dosimetry.biological import bed
from fusin.dosimetry.dvh import partial_volumes_ml
from fusin.dosimetry.image_dose import ImageDoseOptions, image_dose
from fusin.dosimetry.image_points import ImagePoint, ImageStudy, RegionNotes
from fusin.dosimetry.image_voxels import VoxelOptions
from fusin.dosimetry.priors import lognormal_prior
from fusin.dosimetry.quantitative_spect import Measured
from fusin.dosimetry.spheres import sphere_s
from fusin.dosimetry.time_activity_region import IntegrationOptions
from fusin.errors import InputError, NotComputable, StrictRefusal
from fusin.imaging.volume import Grid, Region, Volume
from fusin.nuclides import nuclide
from fusin.provenance import NoticeLog

SHAPE, SPACING = (24, 24, 24), 4.0
HALF_LIFE = nuclide("Lu-177").half_life_s / 3600.0
TIMES = (4.0, 24.0, 72.0, 144.0)
GRID = Grid(shape=SHAPE, affine=np.diag([SPACING] * 3 + [1.0]), frame_of_reference_uid="1.2.3")
MONO = IntegrationOptions(model="mono")


def ball(name, centre, radius_mm, grid=GRID):
    index = np.indices(grid.shape) * SPACING
    distance = np.sqrt(sum((i - c) ** 2 for i, c in zip(index, np.array(centre) * SPACING, strict=True)))
    return Region.from_mask(name, grid, distance <= radius_mm)


KIDNEY, LESION = ball("kidney", (11, 7, 11), 24.0), ball("lesion", (11, 18, 11), 11.0)


def concentration(t, *, kidney=0.5, lesion=1.0, rest=0.01):
    values = np.full(SHAPE, rest * 2 ** (-t / 90.0))
    values[KIDNEY.mask()] = kidney * 2 ** (-t / 41.0)
    values[LESION.mask()] = lesion * 2 ** (-t / 60.0)
    return values


def study_of(values=None, times=TIMES, frames=None, **more):
    points = []
    for k, t in enumerate(times):
        grid = GRID if frames is None else Grid(shape=SHAPE, affine=GRID.affine, frame_of_reference_uid=frames[k])
        image = concentration(t) if values is None else values[k]
        points.append(ImagePoint(volume=Volume(values=image, grid=grid, unit="MBq/ml"), time_h=t,
                                 u_relative=more.get("u", 0.0), where=f"image {k + 1}", correction="none"))  # fmt: skip
    more.pop("u", None)
    fields = {"nuclide": "Lu-177", "administered_mbq": 200.0, "injected": None, "regions": (KIDNEY, LESION), **more}
    return ImageStudy(points=tuple(points), **fields)


def doses(study, log=None, **more):
    return image_dose(
        study, options=ImageDoseOptions(**{"integration": MONO, **more}), log=NoticeLog() if log is None else log
    )


def named(found, name):
    return next(r for r in found.regions if r.dose.name == name)


def test_integral_and_self_dose_are_those_of_the_hand_calculation():
    one = named(doses(study_of(notes={"kidney": RegionNotes(mass_g=60.0, mass_u_g=3.0)})), "kidney")
    tia = 0.5 * KIDNEY.volume_ml * 41.0 / math.log(2.0)
    assert one.dose.integral.tia_mbq_h.value == pytest.approx(tia, rel=1e-9)
    assert one.dose.tiac_h.value == pytest.approx(tia / 200.0, rel=1e-9)
    # mGy per MBq s times 3600 s over 1000.
    assert one.dose.dose_gy.value == pytest.approx(tia * sphere_s("Lu-177", 60.0).s_mgy_per_mbq_s * 3.6, rel=1e-9)
    assert one.volume_ml == pytest.approx(KIDNEY.volume_ml)


def test_voxels_of_a_ball_agree_with_the_sphere_of_its_mass():
    """Doses of the same decays by the kernel of voxels and by the chord of a sphere; what other regions add is small."""
    found = doses(study_of(), voxels=VoxelOptions(photons="near", density_g_ml=1.0))
    for name, rel in (("kidney", 0.02), ("lesion", 0.03)):
        one = named(found, name)
        assert one.voxels.mean_gy.value == pytest.approx(one.dose.dose_gy.value, rel=rel)
    shares = found.voxels.dose.energy
    assert shares.in_grid + shares.left_grid + shares.beyond_kernel == pytest.approx(1.0, abs=1e-6)


def test_the_energy_of_the_dose_is_that_of_all_integrals():
    """Sum of dose times mass over sum of the integrals is the energy per decay that the kernel keeps in the grid."""
    found = doses(study_of())
    volume = GRID.voxel_volume_ml
    joule = float(found.voxels.dose.dose.values.sum()) * volume * 1.04e-3
    decays = float(found.voxels.tia.values.sum()) * volume * 3600.0 * 1e6
    regions = sum(r.dose.integral.tia_mbq_h.value for r in found.regions)
    assert regions + found.voxels.remainder.tia_mbq_h.value == pytest.approx(
        float(found.voxels.tia.values.sum()) * volume, rel=1e-9
    )
    kev = joule / decays / 1.602176634e-16
    # Electrons of 177Lu carry 147.9 keV (ICRP 107); a part of 35.1 keV of photons stays too.
    assert 147.0 * 0.97 < kev < 147.9 + 35.1


def test_the_interval_is_the_fit_and_the_links_in_quadrature():
    values = [concentration(t) * f for t, f in zip(TIMES, (1.03, 0.98, 1.02, 0.97), strict=True)]
    notes = {"kidney": RegionNotes(mass_g=60.0, mass_u_g=3.0, recovery=Measured(0.8, 0.04))}
    study = study_of(values, u=0.06, notes=notes, fwhm_mm=12.0)
    one = named(doses(study), "kidney")
    links = {r.quantity: r for r in one.links}
    s = sphere_s("Lu-177", 60.0)
    assert links["calibration"].contribution == pytest.approx(0.06)
    assert links["recovery"].contribution == pytest.approx(0.05)
    assert links["mass"].contribution == pytest.approx(0.05, rel=0.03)
    assert links["S value"].contribution == pytest.approx(s.u_relative)
    # The mass was measured apart, so that the outline acts through the counts alone.
    assert links["volume"].sensitivity == pytest.approx(links["volume through counts"].sensitivity)
    other = math.hypot(*(r.contribution for r in one.links if not r.part_of and r.quantity != "time-activity fit"))
    fit = math.log(one.fitted_mbq_h.high / one.fitted_mbq_h.value)
    shared = 1.959964 * math.sqrt(math.log1p(other**2))
    expected = math.exp(math.hypot(fit, shared))
    assert one.dose.dose_gy.high / one.dose.dose_gy.value == pytest.approx(expected, rel=1e-6)
    assert sum(r.share for r in one.links if not r.part_of) == pytest.approx(1.0)


def test_counts_and_mass_of_one_outline_cancel_in_part():
    """A wider outline holds more counts and more mass; both together move the dose less than the mass alone."""
    one = named(doses(study_of(fwhm_mm=12.0)), "kidney")
    links = {r.quantity: r.sensitivity for r in one.links}
    assert links["volume through counts"] > 0 > links["volume through mass"]
    assert links["volume"] == pytest.approx(links["volume through counts"] + links["volume through mass"])
    assert abs(links["volume"]) < abs(links["volume through mass"])


def test_bed_of_a_region_is_that_of_its_dose_and_curve_and_voxels_have_their_own():
    notes = {"kidney": RegionNotes(alpha_beta_gy=2.6, repair_half_time_h=2.8)}
    found = doses(study_of(notes=notes))
    one = named(found, "kidney")
    expected = bed(one.dose.dose_gy.value, [math.log(2) / 41.0], [1.0], 2.6, 2.8)
    assert one.bed_gy.value == pytest.approx(expected, rel=1e-6)
    assert one.eqd2_gy.value == pytest.approx(expected / (1 + 2 / 2.6), rel=1e-6)
    assert one.bed_gy.low < one.bed_gy.value < one.bed_gy.high
    inside = partial_volumes_ml(KIDNEY, GRID) > 0
    assert np.isfinite(found.bed.values[inside]).all()
    assert np.isnan(found.bed.values[~inside]).all()
    middle = (11, 7, 11)
    gray = float(found.voxels.dose.dose.values[middle])
    assert found.bed.values[middle] == pytest.approx(bed(gray, [math.log(2) / 41.0], [1.0], 2.6, 2.8), rel=1e-6)
    assert one.voxels.bed_histogram.mean > one.voxels.histogram.mean
    assert named(found, "lesion").bed_gy is None


@pytest.mark.parametrize("method", ["trapezoid", "mono"])
def test_dose_rates_give_nearly_the_dose_of_integrated_activity(method):
    def total(via):
        found = doses(study_of(), voxels=VoxelOptions(method=method, via=via, photons="near"))
        return float(np.asarray(found.voxels.dose.dose.values).sum())

    assert total("dose-rate") == pytest.approx(total("activity"), rel=0.02)


def test_dose_rates_with_the_region_method_are_refused():
    with pytest.raises(InputError, match="--voxel-method trapezoid or mono"):
        doses(study_of(), voxels=VoxelOptions(via="dose-rate"))


def test_a_region_that_rises_is_named_and_the_others_stand():
    values = [concentration(t) for t in TIMES]
    for k, image in enumerate(values):
        image[LESION.mask()] = 1.0 + k
    log = NoticeLog()
    found = doses(study_of(values), log)
    assert len(found.failed) == 1
    assert "the activity rises" in found.failed[0]
    assert named(found, "kidney").dose.dose_gy is not None
    assert "REGION_NOT_INTEGRATED" in [n.code for n in named(found, "lesion").dose.notices]
    with pytest.raises(NotComputable, match="the activity rises"):
        doses(study_of(values, regions=(LESION,)))


def test_images_in_different_frames_with_their_own_outlines_give_regions_but_no_voxels():
    frames = ("1.2.3", "1.2.4", "1.2.5", "1.2.6")
    study = study_of(frames=frames, regions=())
    points = tuple(
        replace(p, regions=(Region.from_mask("kidney", p.volume.grid, KIDNEY.mask()),)) for p in study.points
    )
    log = NoticeLog()
    found = doses(replace(study, points=points), log)
    assert named(found, "kidney").dose.dose_gy is not None
    assert "different frames of reference" in found.voxel_reason
    assert "NO_VOXEL_DOSE" in [n.code for n in log]


def test_marrow_and_blood_have_an_integral_and_voxels_but_no_sphere():
    notes = {"lesion": RegionNotes(kind="blood")}
    marrow = ball("vertebra L3", (11, 7, 11), 20.0)
    log = NoticeLog()
    found = doses(study_of(regions=(marrow, LESION), notes=notes), log)
    one, blood = named(found, "vertebra L3"), named(found, "lesion")
    assert (one.kind, blood.kind) == ("marrow", "blood")
    assert one.dose.dose_gy is None
    assert "fusin dose marrow" in one.dose.dose_reason
    assert one.voxels is not None
    assert blood.dose.dose_gy is None
    assert "MARROW_VOXEL_DOSE" in [n.code for n in log]


def test_one_image_needs_prior_knowledge_and_takes_it():
    one_image = study_of(times=TIMES[1:2], random_u=0.05)
    with pytest.raises(NotComputable):
        doses(one_image)
    priors = (lognormal_prior(mean_h=41.0, sd_h=4.0, regions=("kidney", "lesion")),)
    log = NoticeLog()
    found = doses(one_image, log, integration=IntegrationOptions(model="map"), priors=priors)
    tia = 0.5 * KIDNEY.volume_ml * 41.0 / math.log(2.0)
    one = named(found, "kidney")
    assert one.dose.integral.tia_mbq_h.low < tia < one.dose.integral.tia_mbq_h.high
    assert found.voxels.remainder.model == "physical decay"
    assert "REMAINDER_BY_PHYSICAL_DECAY" in [n.code for n in log]


def test_density_of_the_ct_divides_the_dose_and_needs_its_curve():
    dense = np.full(SHAPE, 0, dtype=np.int16)
    dense[KIDNEY.mask()] = 1000
    ct = Volume(values=dense, grid=GRID, unit="[hnsf'U]")
    log = NoticeLog()
    plain = doses(study_of(ct=ct), log, voxels=VoxelOptions(density_g_ml=1.0))
    assert "CT_WITHOUT_CURVE" in [n.code for n in log]
    curve = ((-1000.0, 0.0), (0.0, 1.0), (1000.0, 2.0))
    heavy = doses(study_of(ct=ct), voxels=VoxelOptions(density_g_ml=1.0, ct_curve=curve))
    middle = (11, 7, 11)
    ratio = heavy.voxels.dose.dose.values[middle] / plain.voxels.dose.dose.values[middle]
    assert ratio == pytest.approx(0.5, rel=1e-9)
    with pytest.raises(InputError, match="a CT in the frame of the images"):
        doses(study_of(), voxels=VoxelOptions(ct_curve=curve))


def test_regions_alone_cost_no_voxels():
    found = doses(study_of(), voxels=None)
    assert found.voxels is None
    assert found.voxel_reason == "not asked for"
    assert named(found, "kidney").voxels is None


def test_mistakes_are_answered_in_one_sentence():
    with pytest.raises(InputError, match="a file of regions"):
        doses(study_of(regions=()))
    with pytest.raises(InputError, match="a positive mass"):
        doses(study_of(notes={"kidney": RegionNotes(mass_g=0.0)}))
    with pytest.raises(InputError, match="together, or neither"):
        doses(study_of(notes={"kidney": RegionNotes(alpha_beta_gy=2.6)}))
    with pytest.raises(InputError, match="0 to below 100"):
        doses(study_of(), density_u_percent=100.0)
    with pytest.raises(InputError, match="a positive number of MBq"):
        doses(study_of(administered_mbq=0.0))
    with pytest.raises(NotComputable, match="need"):
        doses(study_of(times=TIMES[:2]), integration=IntegrationOptions(model="bi"))


def test_strict_mode_is_not_swallowed_by_the_plainer_method_of_the_remainder(monkeypatch):
    from fusin.dosimetry import image_voxels

    def refuse(*_args, **_more):
        raise StrictRefusal("x", "y", "z", "CODE")

    monkeypatch.setattr(image_voxels, "integrate_region", refuse)
    with pytest.raises(StrictRefusal):
        doses(study_of())


def test_intervals_hold_the_true_dose_in_simulation():
    """Calibration, recovery and each image err by draws of what is stated; 95 % intervals hold the truth about that often."""
    rng = np.random.default_rng(7)
    truth = 0.5 * KIDNEY.volume_ml * 41.0 / math.log(2.0) * sphere_s("Lu-177", 60.0).s_mgy_per_mbq_s * 3.6
    held, runs = 0, 300
    for _ in range(runs):
        shared = math.exp(rng.normal(0.0, 0.06)) * 0.8
        values = [concentration(t) * shared * math.exp(rng.normal(0.0, 0.05)) for t in TIMES]
        recovery = Measured(0.8 * math.exp(rng.normal(0.0, 0.05)), 0.04)
        mass = 60.0 * math.exp(rng.normal(0.0, 0.04))
        notes = {"kidney": RegionNotes(mass_g=mass, mass_u_g=0.04 * mass, recovery=recovery)}
        study = study_of(values, u=0.06, notes=notes, regions=(KIDNEY,), random_u=0.05)
        dose = named(doses(study, voxels=None), "kidney").dose.dose_gy
        held += dose.low <= truth <= dose.high
    # Three binomial standard errors about 0.95.
    assert abs(held / runs - 0.95) < 3.0 * math.sqrt(0.95 * 0.05 / runs), held / runs


@pytest.mark.parametrize("method", ["mono", "region"])
@pytest.mark.parametrize("via", ["activity", "dose-rate"])
def test_voxels_hold_the_recovery_of_their_region_whatever_the_method(method, via):
    if (method, via) == ("region", "dose-rate"):
        via = "activity"
    notes = {"kidney": RegionNotes(recovery=Measured(0.8, 0.04))}
    options = VoxelOptions(method=method, via=via, photons="near", density_g_ml=1.0)
    one = named(doses(study_of(notes=notes), voxels=options), "kidney")
    assert one.voxels.mean_gy.value == pytest.approx(one.dose.dose_gy.value, rel=0.03)
    assert one.voxels.mean_gy.low is not None


def test_a_mean_of_voxels_that_miss_their_curve_has_no_interval_and_says_why():
    """Trapezoids from zero lose what was there before the first image at 48 h."""
    times = (48.0, 72.0, 96.0, 144.0)
    log = NoticeLog()
    one = named(doses(study_of(times=times), log, voxels=VoxelOptions(method="trapezoid")), "kidney")
    assert one.voxels.mean_gy.low is None
    assert "no interval: the voxels and the curve" in one.voxels.mean_gy.note
    assert "VOXEL_SUM_DIFFERS" in [n.code for n in log]


def test_activity_that_rises_outside_of_all_regions_costs_no_voxel_its_dose():
    # A bladder that fills, or scatter: physical decay beyond the last image bounds it.
    plain, rising = [concentration(t) for t in TIMES], [concentration(t, rest=0.0) for t in TIMES]
    outside = ~(KIDNEY.mask() | LESION.mask())
    for image, value in zip(rising, (0.001, 0.0015, 0.002, 0.003), strict=True):
        image[outside] = value
    log = NoticeLog()
    found = doses(study_of(rising), log=log)
    assert {n.code for n in log} >= {"REMAINDER_BY_PHYSICAL_DECAY"}
    assert "NO_VOXEL_DOSE" not in {n.code for n in log}
    t, a = np.array((0.0, *TIMES)), np.array((0.0, 0.001, 0.0015, 0.002, 0.003))
    own = (np.trapezoid(a, t) + 0.003 * HALF_LIFE / math.log(2.0)) * np.count_nonzero(outside) * GRID.voxel_volume_ml
    assert found.voxels.integral.sums[""] == pytest.approx(own, rel=1e-6)
    one, two = (named(doses(study_of(v)), "kidney").voxels.mean_gy.value for v in (plain, rising))
    assert two == pytest.approx(one, rel=0.02)


def test_a_distributing_image_with_nothing_outside_of_the_regions_gives_nothing_there():
    values = [concentration(t, rest=0.01 if t == 4.0 else 0.0) for t in TIMES]
    log = NoticeLog()
    found = doses(study_of(values), log=log)
    assert "REMAINDER_WITHOUT_ACTIVITY" in {n.code for n in log}
    assert found.voxels is not None
    assert found.voxels.integral.sums["kidney"] == pytest.approx(
        named(found, "kidney").dose.integral.tia_mbq_h.value, rel=1e-9
    )


@pytest.mark.parametrize(("method", "via"), [("region", "activity"), ("trapezoid", "activity"), ("mono", "dose-rate")])
def test_voxels_without_a_value_get_no_dose_and_keep_that_of_all_others(method, via):
    whole = [concentration(t) for t in TIMES]
    masked = [v.copy() for v in whole]
    for image in masked[:2]:
        image[:2] = np.nan
    log = NoticeLog()
    options = VoxelOptions(method=method, via=via)
    found, full = doses(study_of(masked), log=log, voxels=options), doses(study_of(whole), voxels=options)
    assert "VOXELS_WITHOUT_ACTIVITY_VALUE" in {n.code for n in log}
    dose = found.voxels.dose.dose.values
    assert np.isnan(dose[:2]).all()
    assert np.isfinite(dose[2:]).all()
    assert np.isnan(found.voxels.tia.values[:2]).all()
    # What lies in the other slices outside of all regions keeps its activity, and with it nearly its dose.
    assert dose[4:] == pytest.approx(full.voxels.dose.dose.values[4:], rel=0.02)


def test_an_alpha_emitter_says_what_its_dose_assumes():
    log = NoticeLog()
    doses(study_of(nuclide="Ac-225"), log=log, voxels=None)
    assert {"PROGENY_STAYS", "ALPHA_WITHOUT_RBE"} <= {n.code for n in log}
