"""Activities of regions: exact volumes on any grid, recovery, and the split of uncertainty."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusin.dosimetry.image_points import CONCENTRATION, ImagePoint, ImageStudy, RegionNotes
from fusin.dosimetry.image_regions import region_curve, region_share, sphere_recovery, study_regions
from fusin.dosimetry.quantitative_spect import Measured, RecoveryCurve
from fusin.dosimetry.uncertainty import edge_fraction, volume_u_relative
from fusin.errors import InputError, NotComputable
from fusin.imaging.volume import Grid, Region, Volume
from fusin.provenance import NoticeLog


def grid_of(shape, spacing, origin=(0.0, 0.0, 0.0), frame="1.2"):
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = origin
    return Grid(shape=shape, affine=affine, frame_of_reference_uid=frame)


SPECT = grid_of((16, 16, 16), (4.8, 4.8, 4.8))


def study(values, *, regions=(), own=None, u=0.05, times=(4.0, 24.0, 72.0), notes=None, **more):
    points = tuple(
        ImagePoint(
            volume=Volume(values=np.asarray(v, dtype=np.float32), grid=SPECT, unit=CONCENTRATION),
            time_h=t,
            u_relative=u,
            where=f"SPECT {t:g} h",
            correction="",
            regions=() if own is None else (own[i],),
            counts_per_mbq=more.get("counts"),
        )
        for i, (v, t) in enumerate(zip(values, times, strict=True))
    )
    kept = {k: v for k, v in more.items() if k != "counts"}
    return ImageStudy(points=points, nuclide="Lu-177", administered_mbq=200.0, injected=None, regions=tuple(regions),
                      notes=notes or {}, **kept)  # fmt: skip


def box(name="kidney", grid=SPECT, first=4, end=9):
    mask = np.zeros(grid.shape, bool)
    mask[first:end, first:end, first:end] = True
    return Region.from_mask(name, grid, mask)


def levels(*numbers):
    return [np.full(SPECT.shape, n) for n in numbers]


def test_a_region_on_the_images_own_voxels_takes_them_whole():
    share = region_share(box(), SPECT)
    assert share.volume_ml == pytest.approx(np.full(125, SPECT.voxel_volume_ml))
    assert share.outside == 0.0


@pytest.mark.parametrize("spacing", [0.9, 1.7, 4.8, 7.3, 13.0])
def test_a_region_keeps_its_volume_and_its_place_on_a_grid_of_any_spacing(spacing):
    """Even activity gives volume times concentration; a linear one gives that of the centroid."""
    n = int(50 / spacing)
    fine = grid_of((n, n, n), (spacing,) * 3, (11.3, 12.1, 9.7))
    region = Region.from_mask("r", fine, np.ones(fine.shape))
    share = region_share(region, SPECT)
    assert share.volume_ml.sum() == pytest.approx(region.volume_ml, rel=1e-9)
    assert share.outside == 0.0
    place = (share.index[:, ::-1] * share.volume_ml[:, None]).sum(axis=0) / share.volume_ml.sum()
    # Voxels are even within, so that a face that cuts one moves the place by less than the cut part.
    assert place * 4.8 == pytest.approx(region.centroid_mm(), abs=0.12 * 4.8)


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(*[st.floats(0.7, 12.0)] * 3),
    st.tuples(*[st.floats(8.0, 14.0)] * 3),
    st.tuples(*[st.sampled_from((-1, 1))] * 3),
)
def test_whatever_the_spacing_offset_and_direction_a_linear_image_gives_its_value_at_the_centroid(
    spacing, first, signs
):
    """Exact where faces are shared, and else to the square of a voxel that a face cuts."""
    shape = tuple(max(2, int(45.0 / s)) for s in spacing[::-1])
    affine = np.diag([s * d for s, d in zip(spacing, signs, strict=True)] + [1.0])
    reach = np.array([n * s for n, s in zip(shape[::-1], spacing, strict=True)])
    affine[:3, 3] = np.where(np.array(signs) < 0, np.array(first) + reach, first)
    region = Region.from_mask("r", Grid(shape=shape, affine=affine, frame_of_reference_uid="1.2"), np.ones(shape))
    share = region_share(region, SPECT)
    total = share.volume_ml.sum()
    assert total == pytest.approx(region.volume_ml * (1.0 - share.outside), rel=1e-6)
    assert share.outside == 0.0
    place = (share.index[:, ::-1] * share.volume_ml[:, None]).sum(axis=0) / total * 4.8
    assert place == pytest.approx(region.centroid_mm(), abs=4.8**2 / (8.0 * float(reach.min())) + 1e-6)


def test_a_turned_outline_keeps_its_volume_and_its_place():
    angle = np.deg2rad(20.0)
    affine = np.eye(4)
    affine[:3, :3] = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]) * 3.1
    affine[:3, 3] = (30.0, 18.0, 20.0)
    turned = Grid(shape=(8, 8, 8), affine=affine, frame_of_reference_uid="1.2")
    region = Region.from_mask("r", turned, np.ones(turned.shape))
    share = region_share(region, SPECT)
    assert share.volume_ml.sum() == pytest.approx(region.volume_ml, rel=1e-9)
    place = (share.index[:, ::-1] * share.volume_ml[:, None]).sum(axis=0) / share.volume_ml.sum()
    assert place * 4.8 == pytest.approx(region.centroid_mm(), abs=0.3)


def test_voxels_three_times_as_long_that_share_their_faces_with_the_images_are_split_evenly():
    coarse = grid_of((4, 4, 4), (14.4,) * 3, (4.8, 4.8, 4.8))
    mask = np.zeros(coarse.shape, bool)
    mask[1, 1, 1] = True
    share = region_share(Region.from_mask("r", coarse, mask), SPECT)
    assert share.index.min() == 3
    assert share.index.max() == 5
    assert share.volume_ml == pytest.approx(np.full(27, SPECT.voxel_volume_ml))


def test_activity_is_concentration_times_volume():
    found = region_curve(study(levels(0.5, 0.4, 0.1), regions=[box()]), box(), log=NoticeLog())
    assert found.curve.activity_mbq == pytest.approx(np.array([0.5, 0.4, 0.1]) * box().volume_ml, rel=1e-6)
    assert found.volume_ml == pytest.approx(box().volume_ml)


def test_without_random_uncertainty_the_scatter_of_the_points_has_to_tell():
    found = region_curve(study(levels(0.5, 0.4, 0.1), regions=[box()]), box(), log=NoticeLog())
    assert found.curve.uncertainty_mbq is None
    assert found.budget == {"calibration": 0.05}
    assert found.shared_u == 0.05


def test_one_outline_is_wrong_at_all_times_alike():
    """Gear 2018: u(C)/C = phi/2 u(V)/V, shared by all times where one outline is used."""
    found = region_curve(
        study(levels(0.5, 0.4, 0.1), regions=[box()], fwhm_mm=11.0, random_u=0.03), box(), log=NoticeLog()
    )
    volume = box().volume_ml
    u = volume_u_relative(volume_ml=volume, voxel_mm=4.8, fwhm_mm=11.0)
    radius = math.cbrt(3000.0 * volume / (4.0 * math.pi))
    assert found.volume_u == pytest.approx(u)
    assert found.budget["outline"] == pytest.approx(edge_fraction(radius, 11.0) / 2.0 * u)
    assert found.shared_u == pytest.approx(math.hypot(0.05, found.budget["outline"]))
    assert found.curve.uncertainty_mbq == pytest.approx(0.03 * found.curve.activity_mbq)


def test_an_outline_on_a_sharper_image_is_more_certain():
    """The volume has the resolution of the CT it was drawn on, its counts that of the SPECT."""
    images = study(levels(0.5, 0.4, 0.1), regions=[box()], fwhm_mm=11.0, outline_fwhm_mm=1.0)
    found = region_curve(images, box(), log=NoticeLog())
    volume = box().volume_ml
    radius = math.cbrt(3000.0 * volume / (4.0 * math.pi))
    assert found.volume_u == pytest.approx(volume_u_relative(volume_ml=volume, voxel_mm=4.8, fwhm_mm=1.0))
    assert found.budget["outline"] == pytest.approx(edge_fraction(radius, 11.0) / 2.0 * found.volume_u)


def test_outlines_drawn_on_each_image_err_independently():
    own = [box(), box(first=3, end=8), box(first=5, end=10)]
    found = region_curve(study(levels(0.5, 0.4, 0.1), own=own, fwhm_mm=11.0), "kidney", log=NoticeLog())
    assert "outline" not in found.budget
    assert found.outlines == 3
    assert found.curve.uncertainty_mbq / found.curve.activity_mbq == pytest.approx(np.full(3, found.budget["random"]))
    assert study_regions(study(levels(0.5, 0.4, 0.1), own=own)) == ("kidney",)


def test_known_counts_add_their_poisson_share():
    found = region_curve(
        study(levels(0.5, 0.4, 0.001), regions=[box()], random_u=0.02, counts=5000.0), box(), log=NoticeLog()
    )
    counts = found.curve.activity_mbq * 5000.0
    expected = np.sqrt(0.02**2 + 1.0 / counts)
    assert found.curve.uncertainty_mbq / found.curve.activity_mbq == pytest.approx(expected)


def test_a_stated_recovery_divides_and_brings_its_uncertainty():
    notes = {"kidney": RegionNotes(recovery=Measured(0.8, 0.04))}
    log = NoticeLog()
    found = region_curve(study(levels(0.5, 0.4, 0.1), regions=[box()], notes=notes), box(), log=log)
    assert found.curve.activity_mbq == pytest.approx(found.uncorrected_mbq / 0.8)
    assert found.budget["recovery"] == pytest.approx(0.05)
    assert [n.code for n in log] == ["RECOVERY_APPLIED"]


def test_a_recovery_curve_partly_undoes_what_the_outline_does():
    """A larger outline holds more counts and is corrected less: the two act against each other."""
    curve = RecoveryCurve(b1_ml=3.0, b2=1.1, covariance=np.diag([0.01, 0.002]), low_ml=0.5, high_ml=200.0)
    plain = region_curve(study(levels(1.0, 0.8, 0.2), regions=[box()], fwhm_mm=11.0), box(), log=NoticeLog())
    found = region_curve(
        study(levels(1.0, 0.8, 0.2), regions=[box()], fwhm_mm=11.0, recovery=curve), box(), log=NoticeLog()
    )
    r = curve.at(box().volume_ml)
    radius = math.cbrt(3000.0 * box().volume_ml / (4.0 * math.pi))
    net = edge_fraction(radius, 11.0) / (2.0 * r.value) - 1.1 * (1.0 - r.value)
    assert found.curve.activity_mbq == pytest.approx(plain.curve.activity_mbq / r.value)
    assert found.budget["outline"] == pytest.approx(abs(net) * found.volume_u)
    assert found.budget["recovery"] == pytest.approx(r.relative)


def test_a_small_region_without_recovery_is_named_with_its_loss():
    log = NoticeLog()
    region_curve(study(levels(0.5, 0.4, 0.1), regions=[box()], fwhm_mm=11.0), box(), log=log)
    assert [n.code for n in log] == ["RECOVERY_NOT_APPLIED"]
    assert "64 % of its activity" in next(iter(log)).message
    log = NoticeLog()
    tiny = box(first=4, end=5)
    curve = RecoveryCurve(b1_ml=3.0, b2=1.1, covariance=np.zeros((2, 2)), low_ml=0.5, high_ml=200.0)
    region_curve(study(levels(0.5, 0.4, 0.1), regions=[tiny], recovery=curve), tiny, log=log)
    assert [n.code for n in log] == ["RECOVERY_APPLIED", "RECOVERY_EXTRAPOLATED"]


def test_the_share_that_a_blur_leaves_in_a_sphere_is_that_of_a_simulation():
    rng = np.random.default_rng(0)
    volume, fwhm, n = 10.0, 11.0, 400_000
    radius, sigma = math.cbrt(3000.0 * volume / (4.0 * math.pi)), fwhm / 2.3548200450309493
    inside = rng.normal(size=(n, 3))
    inside *= radius * rng.random((n, 1)) ** (1 / 3) / np.linalg.norm(inside, axis=1, keepdims=True)
    kept = (np.linalg.norm(inside + rng.normal(scale=sigma, size=(n, 3)), axis=1) < radius).mean()
    assert sphere_recovery(volume, fwhm) == pytest.approx(kept, abs=3e-3)
    assert sphere_recovery(volume, 0.0) == 1.0
    assert sphere_recovery(1e6, 1.0) == pytest.approx(1.0, abs=5e-3)


def test_a_sliver_beyond_the_image_is_scaled_up_with_a_warning_and_more_is_refused():
    wide = grid_of((300, 10, 10), (4.0, 4.0, 0.25), (10.0, 10.0, -2.6))
    region = Region.from_mask("liver", wide, np.ones(wide.shape))
    log = NoticeLog()
    found = region_curve(study(levels(0.5, 0.4, 0.1), regions=[region]), region, log=log)
    assert "REGION_PARTLY_OUTSIDE" in [n.code for n in log]
    assert found.curve.activity_mbq[0] == pytest.approx(0.5 * region.volume_ml, rel=1e-6)
    out = Region.from_mask("liver", grid_of((30, 10, 10), (4.0,) * 3), np.ones((30, 10, 10)))
    with pytest.raises(NotComputable, match=r"the activity of liver in SPECT 4 h .* outside of the image") as caught:
        region_curve(study(levels(0.5, 0.4, 0.1), regions=[out]), out, log=NoticeLog())
    assert caught.value.code == "REGION_OUTSIDE_IMAGE"


def test_regions_that_cannot_be_measured_are_refused_by_name():
    gap = levels(0.5, 0.4, 0.1)
    gap[1][6] = np.nan
    cases = {
        "REGION_WITHOUT_VOXELS": (levels(0.5, 0.4, 0.1), Region.from_mask("kidney", SPECT, np.zeros(SPECT.shape))),
        "REGION_WITHOUT_ACTIVITY": (levels(0.5, 0.0, 0.1), box()),
        "REGION_OUTSIDE_IMAGE": (gap, box()),
        "FRAMES_DIFFER": (levels(0.5, 0.4, 0.1), box(grid=grid_of((16,) * 3, (4.8,) * 3, frame="9.9"))),
    }
    for code, (values, region) in cases.items():
        with pytest.raises(NotComputable) as caught:
            region_curve(study(values, regions=[region]), region, log=NoticeLog())
        assert caught.value.code == code
        assert "kidney" in str(caught.value)
    own = [box(), box("spleen"), box()]
    with pytest.raises(NotComputable, match="SPECT 24 h has no outline of it") as caught:
        region_curve(study(levels(0.5, 0.4, 0.1), own=own), "kidney", log=NoticeLog())
    assert caught.value.code == "REGION_NOT_ON_IMAGE"
    with pytest.raises(InputError, match="Frame of Reference"):
        region_share(box(grid=grid_of((16,) * 3, (4.8,) * 3, frame="9.9")), SPECT)
