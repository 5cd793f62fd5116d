"""The digital patient: shapes against closed forms, blur and noise against theory, anatomy against anatomy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import binary_erosion, gaussian_filter
from scipy.special import erf, gamma

from fusin.errors import InputError
from fusin.imaging.codes import site_of
from fusin.imaging.phantom import TRUTH_ORGANS, Acquisition, DigitalPatient, Subject, make_patient, write_patient
from fusin.imaging.phantom_anatomy import anatomy, lesion_plans, tissues
from fusin.imaging.phantom_paint import add_pet_noise, blurred
from fusin.imaging.phantom_shapes import Solid, coverage_of, primitives_of
from fusin.imaging.volume import Grid, Region
from fusin.provenance import NoticeLog

QUICK = (6.0, 6.0, 6.0)
FWHM = 2.0 * math.sqrt(2.0 * math.log(2.0))
CLEAN = Acquisition(noise=0.0, ct_noise_hu=0.0)
SHARP = Acquisition(psf_fwhm_mm=0.0, noise=0.0, ct_noise_hu=0.0)


@pytest.fixture(scope="module")
def clean() -> DigitalPatient:
    return make_patient(spacing_mm=QUICK, acquisition=CLEAN)


@pytest.fixture(scope="module")
def noisy() -> DigitalPatient:
    return make_patient(spacing_mm=QUICK)


@pytest.fixture(scope="module")
def adenoma() -> DigitalPatient:
    return make_patient(spacing_mm=QUICK, acquisition=CLEAN, adenoma=True, slices=110)


def cube(pitch: float, half_mm: float) -> Grid:
    """Cubic grid about the origin whose voxel centres do not lie on the shapes' planes of symmetry."""
    count = 2 * math.ceil(half_mm / pitch) + 1
    affine = np.diag([pitch, pitch, pitch, 1.0])
    affine[:3, 3] = -0.5 * (count - 1) * pitch + 0.37 * pitch
    return Grid(shape=(count, count, count), affine=affine)


def volume_ml(shapes: list[dict], *, pitch: float = 3.0, samples: int = 6, **more) -> float:
    grid = cube(pitch, 70.0)
    found = coverage_of(Solid.of(primitives_of(shapes, {}, **more)), grid, samples=(samples,) * 3)
    assert found is not None
    return float(found.share.sum(dtype=np.float64)) * grid.voxel_volume_ml


def sphere_solid(radius: float, at: tuple[float, float, float] = (0, 0, 0)) -> Solid:
    return Solid.of(primitives_of([{"kind": "ellipsoid", "at": at, "semi": [radius] * 3}], {}))


def eroded_mean(patient: DigitalPatient, name: str, steps: int) -> float:
    """Mean of the PET far enough inside an organ that blurring brings in nothing from outside."""
    region = patient.organs[name]
    inner = binary_erosion(region.crop, iterations=steps)
    assert inner.any(), name
    return float(patient.pet.values[region.box][inner].mean(dtype=np.float64))


# --------------------------------------------------------------------------------------------------- solids

SOLIDS = {
    "turned ellipsoid": (
        [{"kind": "ellipsoid", "at": [3, -2, 5], "semi": [30, 18, 11], "turn": [20, -35, 50]}],
        4 / 3 * math.pi * 30 * 18 * 11,
    ),
    "capsule": (
        [{"kind": "tube", "path": [[-20, 5, 0, 12], [20, -5, 30, 12]]}],
        math.pi * 144 * math.hypot(40, 10, 30) + 4 / 3 * math.pi * 12**3,
    ),
    "elliptic cylinder": (
        [{"kind": "cylinder", "at": [0, 0, 0], "semi": [22, 14], "half": 25, "turn": [30, 10, 0]}],
        math.pi * 22 * 14 * 50,
    ),
    # Integral of pi a(t) b(t): the product of two straight lines.
    "tapered cylinder": (
        [{"kind": "cylinder", "at": [0, 0, 0], "semi": [30, 20], "top": [12, 10], "half": 25}],
        math.pi * 50 * (30 * 20 + (30 * 10 + 12 * 20) / 2 + 12 * 10) / 3,
    ),
    "turned box": ([{"kind": "box", "at": [1, 2, 3], "half": [20, 12, 30], "turn": [15, 25, 35]}], 8 * 20 * 12 * 30),
    "torus": (
        [{"kind": "torus", "at": [0, 0, 0], "major": 35, "minor": 9, "turn": [40, 0, 0]}],
        2 * math.pi**2 * 35 * 81,
    ),
    "half sphere": (
        [
            {"kind": "ellipsoid", "at": [0, 0, 0], "semi": [30, 30, 30]},
            {"kind": "half_space", "op": "intersect", "normal": [1, 2, -1], "offset": 0},
        ],
        2 / 3 * math.pi * 30**3,
    ),
    "sphere less a sphere": (
        [
            {"kind": "ellipsoid", "at": [0, 0, 0], "semi": [30, 30, 30]},
            {"kind": "ellipsoid", "op": "subtract", "at": [5, 0, 0], "semi": [15, 15, 15]},
        ],
        4 / 3 * math.pi * (30**3 - 15**3),
    ),
    "two halves of a superellipse prism": (
        [{"kind": "loft", "rows": [[-30, 0, 0, 40, 20, 30, 15, 3.0], [30, 0, 0, 40, 20, 30, 15, 3.0]]}],
        # A quarter of |x/a|^n + |y/b|^n <= 1 has the area a b gamma(1 + 1/n)^2 / gamma(1 + 2/n).
        60 * (40 + 20) * (30 + 15) * gamma(4 / 3) ** 2 / gamma(5 / 3),
    ),
}


@pytest.mark.parametrize("name", SOLIDS)
def test_voxelised_volume_equals_the_closed_form(name):
    shapes, expected_mm3 = SOLIDS[name]
    assert volume_ml(shapes) == pytest.approx(expected_mm3 / 1000.0, rel=4e-3)


@pytest.mark.parametrize("name", SOLIDS)
def test_stepping_along_rows_misses_nothing_that_single_voxels_find(name):
    # A grid one voxel wide leaves nothing to step over.
    solid = Solid.of(primitives_of(SOLIDS[name][0], {}))
    grid = cube(3.0, 60.0)
    rows = np.zeros(grid.shape, np.float32)
    cover = coverage_of(solid, grid, samples=(5, 5, 5))
    rows[cover.box] = cover.share
    for column in range(grid.shape[2]):
        affine = grid.affine.copy()
        affine[0, 3] += column * 3.0
        single = coverage_of(solid, Grid(shape=(*grid.shape[:2], 1), affine=affine), samples=(5, 5, 5))
        alone = np.zeros((*grid.shape[:2], 1), np.float32)
        if single is not None:
            alone[single.box] = single.share
        np.testing.assert_allclose(alone[:, :, 0], rows[:, :, column], atol=0.02)


@pytest.mark.parametrize("name", SOLIDS)
def test_the_mirror_image_has_the_same_shape_on_the_other_side(name):
    shapes, _ = SOLIDS[name]
    affine = np.diag([3.0, 3.0, 3.0, 1.0])
    affine[:3, 3] = -72.0
    grid = Grid(shape=(49, 49, 49), affine=affine)
    masks = []
    for mirrored in (False, True):
        cover = coverage_of(Solid.of(primitives_of(shapes, {}, mirrored=mirrored)), grid, samples=(4, 4, 4))
        full = np.zeros(grid.shape, np.float32)
        full[cover.box] = cover.share
        masks.append(full)
    np.testing.assert_allclose(masks[0][:, :, ::-1], masks[1], atol=1e-6)


def test_an_inset_shrinks_a_sphere_by_its_width():
    ball = [{"kind": "ellipsoid", "at": [0, 0, 0], "semi": [30, 30, 30]}]
    assert volume_ml(ball, inset_mm=5.0) == pytest.approx(4 / 3 * math.pi * 25**3 / 1000, rel=4e-3)


def test_an_inset_grows_what_is_subtracted():
    shell = [*SOLIDS["sphere less a sphere"][0]]
    expected = 4 / 3 * math.pi * (28**3 - 17**3) / 1000
    assert volume_ml(shell, inset_mm=2.0) == pytest.approx(expected, rel=4e-3)


@settings(max_examples=15, deadline=None)
@given(
    semi=st.tuples(*[st.floats(4.0, 30.0)] * 3),
    at=st.tuples(*[st.floats(-20.0, 20.0)] * 3),
    turn=st.tuples(*[st.floats(-180.0, 180.0)] * 3),
)
def test_ellipsoids_keep_their_volume_wherever_and_however_they_lie(semi, at, turn):
    found = volume_ml([{"kind": "ellipsoid", "at": at, "semi": semi, "turn": turn}], samples=8)
    assert found == pytest.approx(4 / 3 * math.pi * math.prod(semi) / 1000, rel=0.01)


def test_a_solid_outside_the_slices_covers_nothing():
    assert coverage_of(sphere_solid(5.0, (500, 0, 0)), cube(3.0, 30.0), samples=(2, 2, 2)) is None


def test_a_solid_must_begin_with_something_to_cut():
    cut = {"kind": "ellipsoid", "op": "subtract", "at": [0, 0, 0], "semi": [3, 3, 3]}
    with pytest.raises(InputError, match="first one a union"):
        Solid.of(primitives_of([cut], {}))


def test_a_pinched_loft_is_refused():
    with pytest.raises(InputError, match="exponent"):
        primitives_of([{"kind": "loft", "rows": [[0, 0, 0, 9, 9, 9, 9, 1.5], [9, 0, 0, 9, 9, 9, 9, 2.0]]}], {})


# ------------------------------------------------------------------------------------------- blur and noise


def blurred_sphere_centre(radius: float, fwhm: float) -> float:
    """Value at the centre of a unit sphere under a Gaussian: the Maxwell distribution within the radius."""
    t = radius / (fwhm / FWHM)
    return float(erf(t / math.sqrt(2)) - math.sqrt(2 / math.pi) * t * math.exp(-t * t / 2))


@pytest.mark.parametrize("radius", [4.0, 6.0, 9.0, 12.0])
def test_centre_of_a_blurred_sphere_has_the_closed_form_recovery(radius):
    pitch = 1.0
    affine = np.diag([pitch, pitch, pitch, 1.0])
    affine[:3, 3] = -25.0
    grid = Grid(shape=(51, 51, 51), affine=affine)
    cover = coverage_of(sphere_solid(radius), grid, samples=(8, 8, 8))
    image = np.zeros(grid.shape, np.float32)
    image[cover.box] = cover.share
    centre = float(blurred(image, (pitch,) * 3, 5.5)[25, 25, 25])
    # A voxel holds its own mean, which adds pitch^2 / 12 to the variance of the Gaussian.
    effective = math.sqrt(5.5**2 + FWHM**2 * pitch**2 / 12)
    assert centre == pytest.approx(blurred_sphere_centre(radius, effective), abs=1e-3)


@pytest.mark.parametrize("radius", [6.0, 9.0, 12.0])
def test_scanner_voxels_show_the_recovery_of_a_fine_reference(radius):
    fine, pitch = 0.5, (4.0, 4.0, 3.0)
    half = 36.0
    axis = np.arange(-half + fine / 2, half, fine)
    r2 = axis[:, None, None] ** 2 + axis[None, :, None] ** 2 + axis[None, None, :] ** 2
    reference = gaussian_filter((r2 <= radius**2).astype(np.float32), 5.5 / FWHM / fine)
    reference = reference.reshape(24, 6, 18, 8, 18, 8).mean(axis=(1, 3, 5))
    affine = np.diag([*pitch, 1.0])
    affine[:3, 3] = [-34.0, -34.0, -34.5]
    grid = Grid(shape=(24, 18, 18), affine=affine)
    image = np.zeros(grid.shape, np.float32)
    cover = coverage_of(sphere_solid(radius), grid, samples=(8, 8, 8))
    image[cover.box] = cover.share
    found = blurred(image, pitch, 5.5)
    assert float(found.max()) == pytest.approx(float(reference.max()), rel=0.01)
    assert np.abs(found - reference).max() < 0.03


@pytest.mark.parametrize("pitch", [1.5, 4.07, 6.0])
def test_the_sampled_gaussian_has_the_exact_variance_and_keeps_the_sum(pitch):
    image = np.zeros((31, 31, 31), np.float32)
    image[15, 15, 15] = 1.0
    spread = blurred(image, (pitch,) * 3, 5.5).astype(np.float64)
    offset = (np.arange(31) - 15) * pitch
    assert spread.sum() == pytest.approx(1.0, abs=1e-5)
    for axis in range(3):
        profile = spread.sum(axis=tuple(a for a in range(3) if a != axis))
        assert (profile * offset**2).sum() == pytest.approx((5.5 / FWHM) ** 2, rel=2e-3)


def test_without_a_width_nothing_is_blurred():
    image = np.random.default_rng(0).random((4, 5, 6), dtype=np.float32)
    assert blurred(image, (2.0, 2.0, 2.0), 0.0) is image


@settings(max_examples=8, deadline=None)
@given(suv=st.floats(0.05, 30.0), noise=st.floats(0.02, 0.4), fwhm=st.sampled_from([0.0, 5.5, 8.0]))
def test_noise_keeps_the_mean_and_its_variance_grows_with_the_activity(suv, noise, fwhm):
    values = np.full((60, 60, 60), suv, np.float32)
    add_pet_noise(values, (4.0, 4.0, 3.0), noise=noise, fwhm_mm=fwhm, rng=np.random.default_rng(7))
    inner = values[:, 8:-8, 8:-8].astype(np.float64)
    # Correlated voxels count as fewer independent ones: about one per 100 mm^3 at 5.5 mm.
    independent = inner.size / (1.0 if fwhm == 0.0 else 15.0 * (fwhm / 5.5) ** 3)
    assert inner.mean() == pytest.approx(suv, abs=5.0 * noise * math.sqrt(suv / independent))
    # The tail of the log-normal makes the sampled variance itself uncertain where the noise is as large as the signal.
    relative = noise / math.sqrt(suv)
    assert inner.var() == pytest.approx(noise**2 * suv, rel=0.08 + 0.6 * relative)
    assert inner.min() > 0.0


def test_neighbouring_voxels_share_their_noise_as_a_gaussian_filter_makes_them():
    values = np.full((90, 90, 90), 100.0, np.float32)
    add_pet_noise(values, (2.0, 2.0, 1.5), noise=0.1, fwhm_mm=5.5, rng=np.random.default_rng(1))
    part = values[:, 10:-10, 10:-10].astype(np.float64) - 100.0
    sigma = 5.5 / FWHM
    for axis, pitch in ((0, 1.5), (2, 2.0)):
        a, b = part.take(range(part.shape[axis] - 1), axis), part.take(range(1, part.shape[axis]), axis)
        # White noise through a Gaussian filter has the autocorrelation exp(-d^2 / 4 sigma^2).
        expected = math.exp(-(pitch**2) / (4 * sigma**2))
        assert (a * b).mean() / part.var() == pytest.approx(expected, abs=0.03)


def test_air_stays_without_activity_under_noise(clean, noisy):
    air = clean.pet.values == 0.0
    assert air.mean() > 0.5
    assert noisy.pet.values[air].max() == 0.0
    assert noisy.pet.values.min() == 0.0


def test_equal_seeds_give_equal_images_and_other_seeds_do_not():
    a, b, c = (make_patient(spacing_mm=(12.0, 12.0, 12.0), seed=s) for s in (5, 5, 6))
    np.testing.assert_array_equal(a.pet.values, b.pet.values)
    np.testing.assert_array_equal(a.ct.values, b.ct.values)
    assert a.pet.frame_of_reference_uid == b.pet.frame_of_reference_uid != c.pet.frame_of_reference_uid
    assert np.any(a.pet.values != c.pet.values)
    assert np.any(a.ct.values != c.ct.values)


@pytest.mark.parametrize("name", ["liver", "spleen", "heart", "brain"])
def test_noise_does_not_move_the_mean_of_an_organ(clean, noisy, name):
    region = clean.organs[name]
    before = region.values_in(clean.pet).mean(dtype=np.float64)
    after = region.values_in(noisy.pet).mean(dtype=np.float64)
    assert after == pytest.approx(before, rel=0.01)


@pytest.mark.parametrize("field", ["psf_fwhm_mm", "noise", "noise_fwhm_mm", "ct_noise_hu"])
@pytest.mark.parametrize("value", [-0.1, math.nan, math.inf])
def test_impossible_degradations_are_refused(field, value):
    with pytest.raises(InputError, match=field):
        Acquisition(**{field: value})


# -------------------------------------------------------------------------------------------------- uptake

# Median SUVmean of 90 patients (doi:10.1007/s11307-022-01717-1), the range is that of the 90.
PUBLISHED = {
    "spleen": (5.2, 2.44, 10.55),
    "kidney_left": (3.27, 1.52, 17.4),
    "kidney_right": (3.27, 1.52, 17.4),
    "heart": (1.66, 0.88, 2.89),
    "liver": (1.28, 0.73, 2.45),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_large_organs_show_the_published_median(clean, name):
    median, low, high = PUBLISHED[name]
    steps = 1 if name.startswith("kidney") else 2
    assert eroded_mean(clean, name, steps) == pytest.approx(median, rel=0.02)
    whole = clean.organs[name].values_in(clean.pet).mean()
    assert low < whole < high


def test_marrow_shows_the_published_median_inside_a_vertebra():
    # L3 only: 12 slices of 3 mm around z = -660.
    patient = make_patient(spacing_mm=(3.0, 3.0, 3.0), slices=236, ct_spacing_mm=(9.0, 9.0, 9.0), acquisition=CLEAN)
    assert eroded_mean(patient, "vertebrae_L3", 3) == pytest.approx(1.76, rel=0.03)
    # Waldeyer's ring, mean SUVmax of 26 patients with glioma.
    assert patient.organs["waldeyer_ring"].values_in(patient.pet).max() == pytest.approx(7.41, abs=0.35)
    # Non-functioning adrenals, SUVmax 4.4 +- 1.7 (PMID 34301781).
    for side in ("left", "right"):
        assert patient.organs[f"adrenal_gland_{side}"].values_in(patient.pet).max() == pytest.approx(4.4, abs=0.4)


def test_the_bladder_is_the_hottest_organ_and_adrenals_stand_out(clean):
    hottest = {n: float(r.values_in(clean.pet).max()) for n, r in clean.organs.items() if r.voxels}
    # The prostate touches the bladder and receives its spill, but never more than it.
    assert max(hottest, key=hottest.__getitem__) == "urinary_bladder"
    assert hottest["adrenal_gland_left"] > 1.5 * eroded_mean(clean, "liver", 2)


def test_no_more_activity_is_in_the_body_than_was_injected(clean):
    # Sum of SUV x mass over body weight is the share of the (decay-corrected) injected activity in the field of view.
    grams = clean.pet.values.sum(dtype=np.float64) * clean.pet.voxel_volume_ml
    assert 0.4 < grams / (clean.weight_kg * 1000.0) < 0.95


def test_every_uptake_says_where_it_comes_from():
    assert {t.tag for t in tissues().values()} == {"published", "derived", "assumed"}
    assert all(t.source for t in tissues().values())
    published = {t.name: t.suv for t in tissues().values() if "01717" in t.source}
    assert published == {
        "marrow": 1.76,
        "blood": 1.66,
        "heart_muscle": 1.66,
        "liver": 1.28,
        "spleen": 5.2,
        "kidney": 3.27,
    }


# ------------------------------------------------------------------------------------------------- anatomy

# Volumes of a healthy adult in mL with generous limits.
ADULT_ML = {
    "liver": (1000, 2000),
    "spleen": (100, 315),
    "kidney_left": (110, 210),
    "kidney_right": (110, 210),
    "heart": (450, 850),
    "brain": (1150, 1600),
    "lung_left": (1000, 2600),
    "lung_right": (1000, 3000),
    "urinary_bladder": (80, 500),
    "adrenal_gland_left": (3, 8),
    "adrenal_gland_right": (3, 8),
    "pancreas": (40, 120),
    "thyroid_gland": (8, 25),
    "prostate": (15, 40),
    "heart_ventricle_left": (50, 160),
}


@pytest.mark.parametrize("name", ADULT_ML)
def test_organs_have_the_size_of_an_adult(clean, name):
    low, high = ADULT_ML[name]
    assert low < clean.organs[name].attributes["occupancy_ml"] < high


@pytest.mark.parametrize("name", ["liver", "spleen", "kidney_left", "brain", "heart"])
def test_voxels_of_an_organ_add_up_to_its_volume(clean, name):
    region = clean.organs[name]
    assert region.volume_ml == pytest.approx(region.attributes["occupancy_ml"], rel=0.05)


def centre(patient: DigitalPatient, name: str) -> np.ndarray:
    return patient.organs[name].centroid_mm()


def test_left_is_plus_x_and_the_organs_lie_on_their_side(clean):
    assert centre(clean, "spleen")[0] > 60
    assert centre(clean, "liver")[0] < -30
    assert centre(clean, "heart_ventricle_left")[0] > 20
    assert centre(clean, "gallbladder")[0] < -20
    assert centre(clean, "stomach")[0] > 15
    for organ in ("kidney", "adrenal_gland", "lung", "femur", "hip", "humerus", "scapula", "parotid_gland"):
        assert centre(clean, f"{organ}_left")[0] > 0 > centre(clean, f"{organ}_right")[0]
    # The liver pushes the right kidney down.
    assert centre(clean, "kidney_right")[2] < centre(clean, "kidney_left")[2]


def test_the_head_is_up_and_the_body_follows_in_order(clean):
    order = ["brain", "waldeyer_ring", "thyroid_gland", "heart", "liver", "urinary_bladder", "femur_left"]
    heights = [centre(clean, name)[2] for name in order]
    assert heights == sorted(heights, reverse=True)
    spine = [f"vertebrae_{level}{n}" for level, count in (("C", 7), ("T", 12), ("L", 5)) for n in range(1, count + 1)]
    levels = [centre(clean, name)[2] for name in [*spine, "sacrum"]]
    assert levels == sorted(levels, reverse=True)
    assert clean.pet.grid.to_mm([0, 0, clean.pet.shape[0] - 1])[2] > 0 > clean.pet.grid.to_mm([0, 0, 0])[2]


def test_the_back_is_plus_y(clean):
    assert centre(clean, "sternum")[1] < centre(clean, "heart")[1] < centre(clean, "vertebrae_T8")[1]
    assert centre(clean, "kidney_left")[1] > centre(clean, "pancreas")[1]
    assert centre(clean, "urinary_bladder")[1] < centre(clean, "sacrum")[1]


def test_the_descending_aorta_runs_left_of_the_midline_in_front_of_the_spine(clean):
    # Below the arch and above the diaphragm, behind the heart.
    points = clean.pet.grid.to_mm(clean.organs["aorta"].indices()[:, ::-1])
    chest = points[(points[:, 2] < -420) & (points[:, 2] > -530) & (points[:, 1] > 20)]
    assert len(chest) > 20
    assert chest[:, 0].mean() == pytest.approx(25, abs=6)
    assert np.all(chest[:, 0] > 5)
    assert chest[:, 1].mean() < centre(clean, "vertebrae_T8")[1]
    assert chest[:, 1].mean() > centre(clean, "heart")[1]
    vena_cava = clean.pet.grid.to_mm(clean.organs["inferior_vena_cava"].indices()[:, ::-1])
    assert vena_cava[:, 0].mean() < 0


def test_no_voxel_belongs_to_two_organs(clean):
    nested = {"heart_ventricle_left"}
    count = np.zeros(clean.pet.shape, np.int16)
    for name, region in clean.organs.items():
        if name not in nested:
            count[region.box] += region.crop
    assert count.max() == 1


def test_hounsfield_units_are_those_of_the_tissue(clean):
    found = {}
    for name in ("liver", "spleen", "heart", "lung_left", "brain", "urinary_bladder"):
        low, high = clean.organs[name].indices().min(axis=0), clean.organs[name].indices().max(axis=0)
        middle = clean.pet.grid.to_mm(((low + high) / 2)[::-1])
        if name == "lung_left":
            middle = np.array([95.0, -20.0, -420.0])
        c, r, s = np.rint(clean.ct.grid.to_index(middle)).astype(int)
        found[name] = int(np.median(clean.ct.values[s - 1 : s + 2, r - 1 : r + 2, c - 1 : c + 2]))
    assert found == {"liver": 60, "spleen": 50, "heart": 45, "lung_left": -810, "brain": 36, "urinary_bladder": 6}
    assert clean.ct.values.dtype == np.int16
    assert clean.ct.values[-1].min() == -1000
    assert clean.ct.values.max() > 700


def test_the_couch_lies_under_the_back_on_the_ct_only(clean):
    grid = clean.ct.grid
    c, r, s = np.rint(grid.to_index([0.0, 150.0, -450.0])).astype(int)
    assert -950 < clean.ct.values[s, r, c] < -880
    c, r, s = np.rint(clean.pet.grid.to_index([0.0, 156.0, -450.0])).astype(int)
    assert clean.pet.values[s, r, c] < 0.01


def test_ct_noise_has_the_width_asked_for_and_no_bias(clean, noisy):
    difference = noisy.ct.values.astype(float) - clean.ct.values
    assert difference.std() == pytest.approx(12.0, rel=0.03)
    assert abs(difference.mean()) < 0.2


def test_pet_and_ct_share_their_frame_and_their_extent(clean):
    pet, ct = clean.pet.grid, clean.ct.grid
    assert pet.frame_of_reference_uid == ct.frame_of_reference_uid != ""
    for grid in (pet, ct):
        low, high = grid.to_mm([0, 0, -0.5])[2], grid.to_mm([0, 0, grid.shape[0] - 0.5])[2]
        assert (low, high) == pytest.approx((-985.0, 17.0), abs=1e-6)
    assert pet.spacing_mm[0] * pet.shape[2] == pytest.approx(814.56, rel=0.01)
    assert ct.spacing_mm[0] * ct.shape[2] == pytest.approx(500.0, rel=0.01)


def test_arms_and_sex_change_what_they_should():
    parts = {(sex, arms): anatomy(sex, arms) for sex in ("F", "M") for arms in ("down", "up")}
    names = {key: {n for p in value for n in p.organs} for key, value in parts.items()}
    assert "prostate" in names["M", "down"] - names["F", "down"]
    assert "uterus" in names["F", "up"] - names["M", "up"]

    def top(key):
        return max(p.solid.bounds()[5] for p in parts[key] if "humerus_left" in p.organs)

    assert top(("M", "up")) > -20 > -300 > top(("M", "down"))


@pytest.mark.parametrize("choice", [{"sex": "X"}, {"arms": "crossed"}])
def test_an_unknown_anatomy_is_refused(choice):
    with pytest.raises(InputError, match=next(iter(choice))):
        make_patient(spacing_mm=(20.0, 20.0, 20.0), **choice)


# ------------------------------------------------------------------------------------------------- lesions


def test_there_are_lesions_in_nodes_bone_and_soft_tissue(clean):
    names = [lesion.name for lesion in clean.lesions]
    assert len(names) == len(set(names)) == 11
    for start in ("cervical", "mediastinal", "axillary", "retroperitoneal", "iliac", "bone", "portal", "gluteal"):
        assert any(name.startswith(start) for name in names), start
    assert sum(name.startswith("bone") for name in names) == 2
    for lesion in clean.lesions:
        assert site_of(lesion.region.attributes["site"]) is not None


@pytest.mark.parametrize("plan", [*lesion_plans("lymphoma"), *lesion_plans("adenoma")], ids=lambda plan: plan.name)
def test_the_analytic_volume_of_a_lesion_is_what_is_rasterised(plan):
    affine = np.diag([4.0728, 4.0728, 3.0, 1.0])
    affine[:3, 3] = np.array(plan.centre_mm) - [81.0, 80.0, 61.0]
    grid = Grid(shape=(42, 41, 41), affine=affine)
    cover = coverage_of(plan.solid, grid, samples=(8, 8, 8))
    assert cover.share.sum(dtype=np.float64) * grid.voxel_volume_ml == pytest.approx(plan.volume_ml, rel=5e-3)
    assert plan.volume_ml == pytest.approx(4 / 3 * math.pi * math.prod(plan.semi_axes_mm) / 1000, rel=1e-12)


def test_the_region_of_a_lesion_has_its_centre_and_about_its_volume(clean):
    for lesion in clean.lesions:
        assert np.linalg.norm(lesion.region.centroid_mm() - lesion.centre_mm) < 2.5
        # Few voxels hold a small lesion: the count is uncertain by about the square root of its surface voxels.
        surface = 4.84 * (lesion.volume_ml / lesion.region.grid.voxel_volume_ml) ** (2 / 3)
        assert lesion.region.voxels == pytest.approx(
            lesion.volume_ml / lesion.region.grid.voxel_volume_ml, abs=1.0 + math.sqrt(surface)
        )


def test_lesions_and_organs_do_not_share_voxels(clean):
    for lesion in clean.lesions:
        taken = lesion.region.mask()
        for name, region in clean.organs.items():
            assert not np.any(taken[region.box] & region.crop), (lesion.name, name)


def test_planted_uptake_is_uniform_before_blurring():
    patient = make_patient(spacing_mm=(4.0, 4.0, 3.0), slices=150, ct_spacing_mm=(12.0, 12.0, 12.0), acquisition=SHARP)
    for lesion in (x for x in patient.lesions if x.region.voxels and x.centre_mm[2] > -420):
        inner = binary_erosion(np.pad(lesion.region.crop, 1))[1:-1, 1:-1, 1:-1]
        values = patient.pet.values[lesion.region.box][inner]
        np.testing.assert_allclose(values, lesion.suv, rtol=1e-5)
        # Partial volume keeps the activity: the lesion replaces what was there.
        assert lesion.region.values_in(patient.pet).max() == pytest.approx(lesion.suv, rel=1e-5)


def test_a_small_lesion_loses_more_to_blurring_than_a_large_one(clean):
    recovery = {x.name: float(x.region.values_in(clean.pet).max()) / x.suv for x in clean.lesions}
    assert recovery["inguinal_left"] < 0.8 < recovery["mediastinal_upper"] <= 1.0 + 1e-6
    assert recovery["gluteal_right"] > 0.97


def test_the_touching_pair_touches_in_one_point():
    pair = {p.name: p for p in lesion_plans("lymphoma") if p.name.startswith("mediastinal")}
    a, b = pair["mediastinal_upper"], pair["mediastinal_lower"]
    assert math.dist(a.centre_mm, b.centre_mm) == pytest.approx(a.semi_axes_mm[0] + b.semi_axes_mm[0], abs=1e-3)


def test_the_adenoma_replaces_the_lymphoma_and_lateralises(adenoma):
    (lesion,) = adenoma.lesions
    assert lesion.name == "adrenal_adenoma_left"
    assert lesion.centre_mm[0] > 0
    left = float(lesion.region.values_in(adenoma.pet).max())
    right = float(adenoma.organs["adrenal_gland_right"].values_in(adenoma.pet).max())
    # Lateralisation index >= 1.65 (Hu 2023) and SUVmax >= 11.18 (Ding 2020) call this an adenoma.
    assert left / right > 1.65
    assert left > 11.18
    gap = math.dist(lesion.centre_mm, adenoma.organs["adrenal_gland_left"].centroid_mm())
    assert gap < 25.0


def test_a_patient_can_be_without_lesions():
    patient = make_patient(spacing_mm=(12.0, 12.0, 12.0), lesions=False)
    assert patient.lesions == ()
    with pytest.raises(InputError, match="adenoma"):
        make_patient(spacing_mm=(12.0, 12.0, 12.0), lesions=False, adenoma=True)


def test_an_unknown_set_of_lesions_is_refused():
    with pytest.raises(InputError, match="lymphoma"):
        lesion_plans("sarcoma")


@pytest.mark.parametrize("grid", [{"spacing_mm": (0.0, 4.0, 4.0)}, {"shape": (0, 20, 20)}, {"slices": -1}])
def test_a_grid_without_voxels_is_refused(grid):
    with pytest.raises(InputError, match="phantom"):
        make_patient(**grid)


def test_organs_below_the_last_slice_are_there_and_empty():
    patient = make_patient(spacing_mm=(10.0, 10.0, 10.0), slices=30)
    assert patient.pet.shape[0] == 30
    assert patient.organs["urinary_bladder"].voxels == 0
    assert patient.organs["brain"].voxels > 500
    assert {x.name for x in patient.lesions if x.region.voxels} == {"cervical_left"}


def test_a_given_shape_is_kept():
    patient = make_patient(spacing_mm=(9.0, 9.0, 9.0), shape=(20, 60, 50), ct_shape=(19, 41, 43))
    assert patient.pet.shape == (20, 60, 50)
    assert patient.ct.shape == (19, 41, 43)


# ------------------------------------------------------------------------------------------------- writing


def dice(a: Region, b: Region) -> float:
    both = np.count_nonzero(a.mask() & b.mask())
    return 2.0 * both / (a.voxels + b.voxels)


@pytest.fixture(scope="module")
def small() -> DigitalPatient:
    return make_patient(spacing_mm=(8.0, 8.0, 8.0), seed=2)


@pytest.mark.parametrize("dialect", ["SIEMENS", "GE", "PHILIPS"])
def test_a_written_patient_reads_back_as_the_same_suv_and_ct(small, tmp_path, dialect):
    from fusin.imaging.series import scan
    from fusin.imaging.suv import compute_suv

    written = write_patient(tmp_path / "patient", small, dialect=dialect)
    log = NoticeLog(strict=True)
    series = {s.modality: s for s in scan(written.folder, log).series}
    pet = series["PT"].load(log)
    suv = compute_suv(series["PT"], pet, log).volume
    assert suv.grid.matches(small.pet.grid)
    # 15 bits per slice: half a step is at most 28 x 2 / 65534.
    assert np.abs(suv.values - small.pet.values).max() < 1e-3
    ct = series["CT"].load(log)
    assert ct.grid.matches(small.ct.grid)
    np.testing.assert_array_equal(ct.values, small.ct.values)


def test_written_truth_reads_back_voxel_by_voxel(small, tmp_path):
    from fusin.imaging.masks import read_regions

    written = write_patient(tmp_path / "patient", small)
    log = NoticeLog()
    truth = {x.name: x.region for x in small.lesions} | dict(small.organs)
    lesions = read_regions(written.seg, grid=small.pet.grid, log=log)
    contours = read_regions(written.rtstruct, grid=small.pet.grid, log=log)
    organs = read_regions(written.organs, grid=small.pet.grid, log=log)
    drawn = {x.name for x in small.lesions}
    assert {r.name for r in lesions} == {r.name for r in contours} == drawn
    assert {r.name for r in organs} == set(TRUTH_ORGANS)
    for region in (*lesions, *contours, *organs):
        assert dice(region, truth[region.name]) == 1.0, region.name


def test_equal_patients_give_equal_files(small, tmp_path):
    a, b = (write_patient(tmp_path / name, small) for name in ("a", "b"))
    for first in sorted(p for p in a.folder.rglob("*") if p.is_file()):
        second = b.folder / first.relative_to(a.folder)
        assert first.read_bytes() == second.read_bytes(), first.name


def test_a_healthy_patient_is_written_without_lesion_objects(tmp_path):
    patient = make_patient(spacing_mm=(16.0, 16.0, 16.0), lesions=False)
    written = write_patient(tmp_path / "healthy", patient, organs=())
    assert (written.seg, written.rtstruct, written.organs) == (None, None, None)
    assert sorted(p.name for p in written.folder.iterdir()) == ["CT", "PET"]


def test_nothing_is_written_over_or_left_half_done(small, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "note.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match="empty folder"):
        write_patient(tmp_path / "full", small)
    with pytest.raises(InputError, match="appendix"):
        write_patient(tmp_path / "new", small, organs=("appendix",))
    with pytest.raises(InputError, match="dialect"):
        write_patient(tmp_path / "new", small, dialect="ACME")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["full"]


def test_the_header_holds_the_subject(small, tmp_path):
    from pydicom import dcmread

    subject = Subject(weight_kg=91.5, identifier="P-7", injected_mbq=120.0)
    patient = make_patient(spacing_mm=(20.0, 20.0, 20.0), sex="F", subject=subject, lesions=False)
    written = write_patient(tmp_path / "p", patient, organs=())
    header = dcmread(sorted(written.pet.iterdir())[0])
    assert (header.PatientID, header.PatientSex, float(header.PatientWeight)) == ("P-7", "F", 91.5)
    item = header.RadiopharmaceuticalInformationSequence[0]
    assert float(item.RadionuclideTotalDose) == 120e6
    assert item.RadionuclideCodeSequence[0].CodeMeaning == "^68^Gallium"
    assert patient.weight_kg == 91.5
    assert patient.height_m == subject.height_m
