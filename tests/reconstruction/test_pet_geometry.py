"""Scanners and sinograms: crystals, views, segments and planes."""

from __future__ import annotations

import numpy as np
import pytest

from fusin.errors import InputError
from fusin.reconstruction.pet_geometry import CylindricalScanner, Segment, SinogramGeometry, TofBins, span_segments

SMALL = CylindricalScanner(crystals=48, rings=5, radius_mm=200.0, ring_pitch_mm=6.0)


def test_span_11_of_the_biograph_mmr_has_the_planes_that_its_sinograms_have():
    """UCL/STIR examples/Siemens-mMR/template_span11.hs: 127, 115, 93, 71, 49, 27 planes in segments 0 to 5."""
    scanner = CylindricalScanner(crystals=504, rings=64, radius_mm=335.0, ring_pitch_mm=4.0625)
    geometry = SinogramGeometry.of_span(scanner, bins=344, span=11, max_ring_difference=60)
    assert geometry.planes_of_segment == (127, 115, 115, 93, 93, 71, 71, 49, 49, 27, 27)
    assert geometry.data_shape == (252, 344, 837)
    # Defrise: 64^2 pairs less those with differences of 61, 62 and 63.
    assert geometry.pairs_per_plane.sum() == 64**2 - 2 * (3 + 2 + 1)


def test_segments_of_span_2_have_the_planes_of_the_ge_signa():
    """UCL/STIR examples/samples/PET_TOF_Interfile_header_Signa_PETMR.hs: 89 planes for -1..1, 85 for 2..3, 1 for 44."""
    scanner = CylindricalScanner(crystals=448, rings=45, radius_mm=320.0, ring_pitch_mm=5.56)
    geometry = SinogramGeometry(scanner=scanner, bins=357, segments=(Segment(-1, 1), Segment(2, 3), Segment(44, 44)))
    assert geometry.planes_of_segment == (89, 85, 1)


def test_lines_lie_at_the_sine_of_half_the_angle_between_their_crystals():
    geometry = SinogramGeometry.of_span(SMALL, bins=21)
    middle = geometry.ends_mm.mean(axis=2)
    distance = np.hypot(middle[..., 0], middle[..., 1])
    expected = 200.0 * np.abs(np.sin(np.arange(-10, 11) * np.pi / 48))
    np.testing.assert_allclose(distance, np.broadcast_to(expected, distance.shape), atol=1e-9)


def test_every_pair_of_crystals_is_met_once():
    geometry = SinogramGeometry.of_span(SMALL, bins=47)
    pairs = np.sort(geometry.crystal_pairs.reshape(-1, 2), axis=1)
    assert len(np.unique(pairs, axis=0)) == len(pairs) == 24 * 47
    assert (pairs[:, 0] != pairs[:, 1]).all()


@pytest.mark.parametrize("span", [1, 3, 5, 9])
def test_every_pair_of_rings_counts_in_one_plane(span):
    geometry = SinogramGeometry.of_span(SMALL, bins=5, span=span)
    planes, pairs = geometry.ring_pairs
    largest = max(s.high for s in geometry.segments)
    wanted = {(a, b) for a in range(5) for b in range(5) if abs(a - b) <= largest}
    assert {tuple(p) for p in pairs.tolist()} == wanted
    assert len(pairs) == len(wanted)
    assert geometry.pairs_per_plane.min() >= 1
    assert planes.max() == geometry.planes - 1


def test_crystals_of_a_block_lie_on_a_straight_line():
    scanner = CylindricalScanner(
        crystals=48, rings=2, radius_mm=200.0, ring_pitch_mm=6.0, blocks=8, crystal_pitch_mm=20.0
    )
    block = scanner.crystals_xy_mm[6:12]
    steps = np.diff(block, axis=0)
    np.testing.assert_allclose(steps, np.broadcast_to(steps[0], steps.shape), atol=1e-9)
    assert np.linalg.norm(steps[0]) == pytest.approx(20.0)
    assert np.linalg.norm(block.mean(axis=0)) == pytest.approx(200.0)


def test_many_narrow_blocks_are_a_circle():
    circle = CylindricalScanner(crystals=48, rings=1, radius_mm=200.0, ring_pitch_mm=6.0, tilt_deg=4.0)
    blocks = CylindricalScanner(
        crystals=48, rings=1, radius_mm=200.0, ring_pitch_mm=6.0, tilt_deg=4.0, blocks=48, crystal_pitch_mm=26.0
    )
    np.testing.assert_allclose(circle.crystals_xy_mm, blocks.crystals_xy_mm, atol=1e-9)


def test_gaps_between_axial_blocks_move_the_rings():
    scanner = CylindricalScanner(
        crystals=8, rings=4, radius_mm=100.0, ring_pitch_mm=5.0, rings_per_block=2, ring_gap_mm=3.0
    )
    np.testing.assert_allclose(scanner.rings_z_mm, [-9.0, -4.0, 4.0, 9.0])
    assert not scanner.even_rings


def test_time_of_flight_moves_a_point_by_half_the_way_of_light():
    """390 ps FWHM are 58.5 mm along the line: c / 2 = 0.1499 mm/ps."""
    tof = TofBins(count=3, width_ps=100.0, resolution_ps=390.0)
    assert tof.sigma_mm * 2.3548200 == pytest.approx(58.46, abs=0.01)
    np.testing.assert_allclose(tof.edges_mm, np.array([-1.5, -0.5, 0.5, 1.5]) * 14.9896229)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"crystals": 47}, "crystals"),
        ({"crystals": 48.0}, "crystals"),
        ({"rings": 0}, "rings"),
        ({"radius_mm": float("nan")}, "radius_mm"),
        ({"ring_pitch_mm": -1.0}, "ring_pitch_mm"),
        ({"blocks": 7, "crystal_pitch_mm": 4.0}, "blocks"),
        ({"blocks": 8}, "crystal_pitch_mm"),
        ({"ring_gap_mm": 2.0}, "ring_gap_mm"),
        ({"tilt_deg": float("inf")}, "tilt_deg"),
    ],
)
def test_impossible_scanners_are_refused_in_one_sentence(changes, field):
    with pytest.raises(InputError) as caught:
        CylindricalScanner(**({"crystals": 48, "rings": 5, "radius_mm": 200.0, "ring_pitch_mm": 6.0} | changes))
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"bins": 48}, "bins"),
        ({"mashing": 5}, "mashing"),
        ({"segments": ()}, "segments"),
        ({"segments": (Segment(5, 5),)}, "segments"),
        ({"segments": (Segment(0, 0), Segment(-1, 1))}, "segments"),
        ({"segments": (Segment(-1, 2),)}, "segments"),
        ({"segments": (Segment(2, 1),)}, "segments"),
    ],
)
def test_impossible_sinograms_are_refused(changes, field):
    with pytest.raises(InputError) as caught:
        SinogramGeometry(**({"scanner": SMALL, "bins": 21, "segments": (Segment(0, 0),)} | changes))
    assert caught.value.field == field


def test_a_span_that_does_not_fit_is_refused():
    with pytest.raises(InputError, match="odd"):
        span_segments(5, 2)
    with pytest.raises(InputError, match="multiple of the span"):
        span_segments(64, 11, 59)
