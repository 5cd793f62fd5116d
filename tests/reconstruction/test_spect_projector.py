"""The SPECT projector against closed forms: transpose, attenuation, width by distance, orbits, beds, threads."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import curve_fit

from fusin.errors import InputError
from fusin.imaging.volume import Grid, Volume
from fusin.reconstruction.collimator import FWHM_PER_SIGMA, CollimatorResponse
from fusin.reconstruction.projector import Projector, adjoint_mismatch
from fusin.reconstruction.spect import SpectGeometry, SpectProjector

# sigma = 0.0246 d + 0.07 cm, the response of the facts sheet
RESPONSE = CollimatorResponse.linear(slope=0.0246 * FWHM_PER_SIGMA, intercept_mm=0.7 * FWHM_PER_SIGMA)


def geometry(**more):
    given = {"views": 8, "radius_mm": 250.0, "pixel_mm": 4.8, "rows": 20, "columns": 32, "start_deg": 7.0}
    return SpectGeometry.circular(**{**given, **more})


def cylinder(grid, radius_mm, value, centre=(0.0, 0.0)):
    _, row, column = np.indices(grid.shape)
    x = grid.affine[0, 3] + column * grid.affine[0, 0] - centre[0]
    y = grid.affine[1, 3] + row * grid.affine[1, 1] - centre[1]
    return (value * (np.hypot(x, y) < radius_mm)).astype(np.float32)


def mu_map(grid, radius_mm=70.0, mu_per_cm=0.135):
    return Volume(values=cylinder(grid, radius_mm, mu_per_cm), grid=grid, unit="1/cm")


def uneven():
    """A non-circular, shifted, two-bed orbit with views of different durations and a bed at half a row."""
    rng = np.random.default_rng(3)
    return SpectGeometry(
        angles_deg=rng.uniform(0, 360, 10), radii_mm=rng.uniform(90, 260, 10), pixel_mm=4.8, row_mm=3.3, rows=14, columns=30,
        first_row_mm=np.where(np.arange(10) < 5, 0.0, 10.5 * 3.3), bin_shift_mm=rng.uniform(-3, 3, 10), axis_mm=(2.0, -5.0),
        weights=rng.uniform(0.5, 2, 10), direction="CW",
    )  # fmt: skip


def fitted_width(profile):
    x = np.arange(profile.size)
    middle = float((profile * x).sum() / profile.sum())
    found, _ = curve_fit(
        lambda x, a, m, s: a * np.exp(-0.5 * ((x - m) / s) ** 2), x, profile, [profile.max(), middle, 1.5]
    )
    return abs(found[2]) * FWHM_PER_SIGMA


@pytest.mark.parametrize("made", [geometry(), geometry(rows=40, row_mm=2.4, start_deg=0.0), uneven()])
@pytest.mark.parametrize("attenuated", [True, False])
@pytest.mark.parametrize("response", [RESPONSE, None])
def test_the_back_projector_is_the_transpose_for_zero_mean_vectors(made, attenuated, response):
    """Vectors without negative values hide a transpose that is 5 % off; these do not."""
    grid = made.grid()
    projector = SpectProjector(made, grid, mu_map(grid) if attenuated else None, response)
    assert isinstance(projector, Projector)
    assert adjoint_mismatch(projector, rng=np.random.default_rng(0)) < 1e-7
    exact = SpectProjector(made, grid, mu_map(grid) if attenuated else None, response, double=True)
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal(exact.image_shape), rng.standard_normal(exact.data_shape)
    one, other = float((exact.forward(x) * y).sum()), float((x * exact.back(y)).sum())
    assert one == pytest.approx(other, rel=1e-11, abs=1e-9)


def test_the_scalar_products_themselves_agree_to_a_millionth():
    made = geometry(views=16)
    projector = SpectProjector(made, None, mu_map(made.grid()), RESPONSE)
    rng = np.random.default_rng(5)
    x = rng.standard_normal(projector.image_shape).astype(np.float32)
    y = rng.standard_normal(projector.data_shape).astype(np.float32)
    one = float(np.vdot(projector.forward(x).astype(float), y.astype(float)))
    other = float(np.vdot(x.astype(float), projector.back(y).astype(float)))
    assert abs(one - other) < 1e-6 * abs(one)


def test_subsets_of_views_add_up_to_all_views():
    made = uneven()
    projector = SpectProjector(made, None, None, RESPONSE)
    image = np.random.default_rng(2).random(projector.image_shape, dtype=np.float32)
    whole = projector.forward(image)
    parts = [np.arange(k, made.views, 3) for k in range(3)]
    for part in parts:
        assert projector.forward(image, part) == pytest.approx(whole[part], rel=1e-6)
    total = sum(projector.back(whole[part], part) for part in parts)
    assert total == pytest.approx(projector.back(whole), rel=1e-5)


@pytest.mark.parametrize("angle", [0.0, 31.0, 45.0, 90.0, 122.5])
def test_a_cylinder_lets_pass_what_exp_of_its_chord_says(angle):
    """A source on the axis behind 100 mm of water at 208 keV: exp(-0.135 / cm * 10 cm) within 0.5 %."""
    made = SpectGeometry.circular(views=1, radius_mm=300, pixel_mm=4.8, rows=4, columns=65, start_deg=angle)
    grid = made.grid()
    fine = grid.shape[2]
    # The share of each voxel that lies inside of the cylinder, so that its radius is 100 mm and not that of a staircase.
    offset = (np.arange(8) - 3.5) / 8 * 4.8
    x = ((np.arange(fine) - (fine - 1) / 2) * 4.8)[:, None] + offset
    inside = np.hypot(x[None, :, None, :], x[:, None, :, None]) < 100.0
    share = inside.mean(axis=(2, 3))
    mu = Volume(values=np.broadcast_to(0.135 * share, grid.shape).astype(np.float32), grid=grid, unit="1/cm")
    image = np.zeros(grid.shape, np.float32)
    image[2, fine // 2, fine // 2] = 1.0
    bare, covered = (SpectProjector(made, grid, m, RESPONSE).forward(image) for m in (None, mu))
    assert float(covered.sum() / bare.sum()) == pytest.approx(np.exp(-1.35), rel=0.005)


def test_an_attenuated_uniform_cylinder_has_the_mean_transmission_of_its_chord():
    """Along the middle ray of a cylinder filled with activity: (1 - exp(-mu L)) / (mu L)."""
    made = SpectGeometry.circular(views=2, radius_mm=300, pixel_mm=2.4, rows=4, columns=129, start_deg=0, arc_deg=90)
    grid = made.grid()
    full, mu = cylinder(grid, 100.0, 1.0), mu_map(grid, 100.0, 0.15)
    ratio = SpectProjector(made, grid, mu).forward(full)[:, 2, 64] / SpectProjector(made, grid).forward(full)[:, 2, 64]
    chord_cm = 0.24 * float(full[2, 64].sum())
    assert ratio == pytest.approx([(1 - np.exp(-0.15 * chord_cm)) / (0.15 * chord_cm)] * 2, rel=0.005)


@pytest.mark.parametrize("angle", [0.0, 90.0, 33.0, 45.0, 200.0])
@pytest.mark.parametrize("depth_mm", [120.0, 0.0, -130.0])
def test_the_width_of_a_point_is_that_of_the_collimator_within_one_percent(angle, depth_mm):
    """The bilinear turning would widen points by up to 10 % at oblique angles if its blur were not taken out."""
    made = SpectGeometry.circular(views=1, radius_mm=300, pixel_mm=4.8, rows=41, columns=65, start_deg=angle)
    projector = SpectProjector(made, None, None, RESPONSE)
    sine, cosine = np.sin(np.deg2rad(angle)), np.cos(np.deg2rad(angle))
    across, along = [], []
    centre = 32 + depth_mm / 4.8 * np.array([cosine, sine])
    for row in range(round(centre[0]) - 2, round(centre[0]) + 3):
        for column in range(round(centre[1]) - 2, round(centre[1]) + 3):
            image = np.zeros(projector.image_shape, np.float32)
            image[20, row, column] = 1.0
            view = projector.forward(image)[0].astype(float)
            depth = 4.8 * ((column - 32) * sine + (row - 32) * cosine)
            expected = float(RESPONSE.fwhm_mm(300.0 - depth)) / 4.8
            across.append(fitted_width(view.sum(axis=0)) / expected)
            along.append(fitted_width(view.sum(axis=1)) / expected)
    assert np.mean(across) == pytest.approx(1.0, abs=0.01)
    assert np.mean(along) == pytest.approx(1.0, abs=0.01)


def test_projections_of_images_without_negative_voxels_have_none():
    """The narrowest of three levels has a negative share; the sum of the three must not."""
    made = SpectGeometry.circular(views=24, radius_mm=180, pixel_mm=4.8, rows=15, columns=48, start_deg=3.0)
    projector = SpectProjector(made, None, None, RESPONSE)
    image = np.zeros(projector.image_shape, np.float32)
    image[7, ::5, ::5] = 1.0
    view = projector.forward(image)
    assert float(view.min()) > -1e-8 * float(view.max())


def test_without_attenuation_every_view_keeps_the_counts():
    made = geometry(views=12, columns=48, rows=40)
    projector = SpectProjector(made, None, None, RESPONSE)
    image = cylinder(projector.grid, 60.0, 1.0)
    image[:15], image[-15:] = 0.0, 0.0
    assert projector.forward(image).sum(axis=(1, 2)) == pytest.approx(np.full(12, image.sum()), rel=2e-3)


@pytest.mark.parametrize(("angle", "column"), [(0.0, "low"), (180.0, "high"), (90.0, "middle")])
def test_bins_run_from_left_to_right_of_someone_who_looks_from_the_detector(angle, column):
    """DICOM: 0 degrees at the back; a source in the patient's left is on the left of a view from behind."""
    made = SpectGeometry.circular(views=1, radius_mm=250, pixel_mm=4.0, rows=3, columns=33, start_deg=angle)
    projector = SpectProjector(made)
    image = np.zeros(projector.image_shape, np.float32)
    image[1, 16, 26] = 1.0  # +x, the patient's left
    found = int(projector.forward(image)[0, 1].argmax())
    assert found == {"low": 6, "high": 26, "middle": 16}[column]


def test_at_ninety_degrees_the_detector_stands_at_the_patients_left():
    made = SpectGeometry.circular(views=2, radius_mm=250, pixel_mm=4.0, rows=3, columns=33, start_deg=90, arc_deg=360)
    grid = made.grid()
    image = np.zeros(grid.shape, np.float32)
    image[1, 16, 28] = 1.0
    near, far = SpectProjector(made, grid, mu_map(grid, 60.0, 0.15)).forward(image).sum(axis=(1, 2))
    assert near > 3 * far


def test_the_direction_of_rotation_turns_the_order_of_the_views():
    one, other = geometry(direction="CC", start_deg=10.0), geometry(direction="CW", start_deg=10.0)
    assert other.angles_deg == pytest.approx(20.0 - one.angles_deg)
    image = np.random.default_rng(0).random(one.grid().shape, dtype=np.float32)
    same = SpectGeometry.circular(views=8, radius_mm=250.0, pixel_mm=4.8, rows=20, columns=32, start_deg=10.0 - 315.0)
    forward = SpectProjector(other, None, None, RESPONSE).forward(image)
    assert forward[::-1] == pytest.approx(SpectProjector(same, None, None, RESPONSE).forward(image), rel=1e-5, abs=1e-5)


def test_a_radius_of_each_view_acts_on_that_view_alone():
    """Non-circular orbits: a detector that stands twice as near sees a narrower point."""
    radii = np.array([180.0, 360.0])
    made = SpectGeometry(
        angles_deg=np.array([0.0, 180.0]), radii_mm=radii, pixel_mm=4.8, row_mm=4.8, rows=21, columns=41
    )
    projector = SpectProjector(made, None, None, RESPONSE)
    image = np.zeros(projector.image_shape, np.float32)
    image[10, 20, 20] = 1.0
    widths = [fitted_width(view.sum(axis=0).astype(float)) * 4.8 for view in projector.forward(image)]
    assert widths == pytest.approx(RESPONSE.fwhm_mm(radii), rel=0.01)


def test_a_shift_of_the_centre_of_rotation_moves_the_bins():
    made = SpectGeometry(angles_deg=np.zeros(1), radii_mm=np.array([200.0]), pixel_mm=4.0, row_mm=4.0, rows=3, columns=33,
                         bin_shift_mm=np.array([8.0]))  # fmt: skip
    projector = SpectProjector(made)
    image = np.zeros(projector.image_shape, np.float32)
    image[1, 16, 16] = 1.0
    assert int(projector.forward(image)[0, 1].argmax()) == 14


def test_two_beds_see_their_part_of_one_image():
    """A joint image of both beds: each row has the activity of its own z, also at half a row."""
    rows, z = 16, np.array([0.0, 12.5 * 4.0])
    made = SpectGeometry(angles_deg=np.zeros(2), radii_mm=np.array([200.0]), pixel_mm=4.0, row_mm=4.0, rows=rows, columns=9,
                         first_row_mm=z)  # fmt: skip
    projector = SpectProjector(made)
    assert projector.image_shape == (29, 9, 9)
    image = np.broadcast_to(np.arange(29.0, dtype=np.float32)[:, None, None], (29, 9, 9)).copy()
    first, second = projector.forward(image)[:, :, 4] / 9
    assert first == pytest.approx(np.arange(16.0))
    assert second[:-1] == pytest.approx(12.5 + np.arange(15))
    assert adjoint_mismatch(projector, rng=np.random.default_rng(0)) < 1e-7


def test_rows_at_the_edge_of_a_bed_see_activity_beyond_it():
    one = geometry(rows=16, first_row_mm=0.0)
    both = SpectGeometry(angles_deg=np.zeros(2), radii_mm=np.array([250.0]), pixel_mm=4.8, row_mm=4.8, rows=16, columns=32,
                         first_row_mm=np.array([0.0, 16 * 4.8]))  # fmt: skip
    joint = SpectProjector(both, None, None, RESPONSE).forward(np.ones(both.grid().shape, np.float32))
    alone = SpectProjector(one, None, None, RESPONSE).forward(np.ones(one.grid().shape, np.float32), np.array([0]))
    assert joint[0, -1, 16] > 1.5 * alone[0, -1, 16]
    assert joint[0, -1, 16] == pytest.approx(joint[0, 8, 16], rel=0.01)


def test_the_number_of_threads_changes_no_bit():
    import numba

    made = geometry(views=10, rows=70)
    projector = SpectProjector(made, None, mu_map(made.grid()), RESPONSE)
    image = np.random.default_rng(4).random(projector.image_shape, dtype=np.float32)
    most = numba.get_num_threads()
    results = []
    try:
        for threads in {1, most}:
            numba.set_num_threads(threads)
            data = projector.forward(image)
            results.append((data.tobytes(), projector.back(data).tobytes()))
    finally:
        numba.set_num_threads(most)
    assert len(set(results)) == 1


def test_nothing_behind_the_collimator_is_seen():
    made = SpectGeometry.circular(views=1, radius_mm=50, pixel_mm=4.0, rows=3, columns=41)
    image = np.zeros(made.grid().shape, np.float32)
    image[1, 36, 20] = 1.0  # 64 mm behind the patient's axis; the collimator stands at 50 mm
    assert not SpectProjector(made).forward(image).any()


def test_a_map_on_another_grid_or_frame_is_refused_with_what_would_do():
    made = geometry()
    moved = made.grid().affine.copy()
    moved[0, 3] += 10.0
    other = Grid(shape=made.grid().shape, affine=moved)
    with pytest.raises(InputError, match="resample it"):
        SpectProjector(made, None, mu_map(other))
    elsewhere = Grid(shape=made.grid().shape, affine=made.grid().affine, frame_of_reference_uid="1.2.3")
    with pytest.raises(InputError, match="registration"):
        SpectProjector(made, made.grid(frame_of_reference_uid="1.2.4"), mu_map(elsewhere))


@pytest.mark.parametrize("value", [-0.1, float("nan"), 40.0])
def test_values_that_are_no_attenuation_coefficients_are_refused(value):
    made = geometry()
    values = np.full(made.grid().shape, 0.1, np.float32)
    values[3, 4, 5] = value
    with pytest.raises(InputError, match="1/cm"):
        SpectProjector(made, None, Volume(values=values, grid=made.grid(), unit="1/cm"))


@pytest.mark.parametrize(
    "wrong",
    [{"pixel_mm": 0.0}, {"radius_mm": -1.0}, {"radius_mm": float("nan")}, {"direction": "LEFT"}, {"rows": 0}],
)
def test_a_geometry_that_cannot_be_is_refused(wrong):
    with pytest.raises(InputError):
        geometry(**wrong)


def test_images_data_and_views_of_another_shape_are_refused():
    projector = SpectProjector(geometry())
    with pytest.raises(InputError, match="shape"):
        projector.forward(np.ones((3, 3, 3), np.float32))
    with pytest.raises(InputError, match="shape"):
        projector.back(np.ones((8, 3, 3), np.float32))
    with pytest.raises(InputError, match="indices"):
        projector.forward(np.ones(projector.image_shape, np.float32), np.array([8]))
