"""STIR's axes in patient coordinates: each position of the patient against the same image with its axes reversed."""

from __future__ import annotations

import numpy as np
import pytest

from fusin.errors import InputError, Unsupported
from fusin.provenance import NoticeLog
from fusin.reconstruction.interfile_header import InterfileHeader
from fusin.reconstruction.pet import PetSinogramProjector
from fusin.reconstruction.pet_geometry import CylindricalScanner, Segment, SinogramGeometry, TofBins
from fusin.reconstruction.pet_interfile import read_sinogram, write_sinogram
from fusin.reconstruction.pet_position import as_filed, from_head, placed, position_of, turned

# Signs of (x, y, z) from STIR's axes to left, posterior, superior: UCL/STIR, DiscretisedDensity.inl.
SIGNS = {"HFS": (1, 1, -1), "HFP": (-1, -1, -1), "FFS": (-1, 1, 1), "FFP": (1, -1, 1)}
RING = {"crystals": 16, "rings": 4, "radius_mm": 90.0, "ring_pitch_mm": 5.0, "tilt_deg": 7.0}
BLOCKS = {"blocks": 4, "crystal_pitch_mm": 30.0}
GEOMETRIES = {
    "span 3": SinogramGeometry.of_span(CylindricalScanner(**RING), bins=7, span=3),
    "blocks": SinogramGeometry.of_span(CylindricalScanner(**RING, **BLOCKS), bins=6, mashing=2),
    "time of flight": SinogramGeometry.of_span(
        CylindricalScanner(**RING), bins=7, tof=TofBins(count=5, width_ps=150.0, resolution_ps=200.0)
    ),
    "one side": SinogramGeometry(scanner=CylindricalScanner(**RING), bins=5, segments=(Segment(0, 0), Segment(1, 1))),
}


@pytest.mark.parametrize("position", SIGNS)
@pytest.mark.parametrize("name", GEOMETRIES)
def test_a_reversed_image_on_the_scanner_s_axes_gives_the_counts_of_the_patient(name, position):
    filed = GEOMETRIES[name]
    patient = placed(filed, position, (0.0, 0.0, 0.0))
    image = np.random.default_rng(0).random(filed.grid(pixel_mm=12.0, columns=9).shape, np.float32)
    x, y, z = SIGNS[position]
    grid = filed.grid(pixel_mm=12.0, columns=9)
    on_scanner = PetSinogramProjector(filed, grid).forward(np.ascontiguousarray(image[::z, ::y, ::x]))
    found = PetSinogramProjector(patient, grid).forward(image)
    stored = turned(found, patient, filed) if from_head(patient) else found
    np.testing.assert_allclose(stored, on_scanner, rtol=1e-5, atol=1e-3)
    again = as_filed(patient)
    assert again.segments == filed.segments
    np.testing.assert_allclose(again.ends_mm, filed.ends_mm, atol=1e-9)


@pytest.mark.parametrize("position", ["", *SIGNS])
def test_a_written_position_is_read_again(tmp_path, position):
    geometry = GEOMETRIES["one side"]
    geometry = placed(geometry, position, (0.0, 0.0, 0.0)) if position else geometry
    values = np.random.default_rng(1).random(geometry.data_shape, np.float32)
    log = NoticeLog(strict=True)
    found = read_sinogram(write_sinogram(tmp_path / "a.hs", geometry, values)[0], log=log)
    np.testing.assert_array_equal(found.values, values)
    assert found.geometry.position == (position or "HFS")
    assert found.geometry.segments == geometry.segments
    np.testing.assert_allclose(found.geometry.ends_mm, geometry.ends_mm, atol=1e-9)


def header(tmp_path, *lines):
    path = tmp_path / "h.hs"
    path.write_text("\n".join(["!INTERFILE :=", "name of data file := h.s", *lines, ""]))
    return InterfileHeader(path)


@pytest.mark.parametrize(
    ("lines", "stated", "found"),
    [
        (["!patient orientation := head_in", "!patient rotation := prone"], "", "HFP"),
        (["!patient orientation := feet_in", "!patient rotation := supine"], "FFS", "FFS"),
        (["!patient orientation := feet_in"], "", "FFS"),
        (["!patient orientation := other", "!patient rotation := unknown"], "FFP", "FFP"),
        ([], "", "HFS"),
    ],
)
def test_the_position_is_that_of_the_header_or_the_stated_one(tmp_path, lines, stated, found):
    assert position_of(header(tmp_path, *lines), stated, NoticeLog()) == found


@pytest.mark.parametrize(
    ("lines", "stated", "words"),
    [
        (["patient orientation := head_in"], "FFS", "HFS, as the header says"),
        (["patient orientation := sideways"], "", "head_in, feet_in"),
        (["patient rotation := left"], "", "left side"),
        ([], "head first", "HFS, HFP, FFS, FFP"),
    ],
)
def test_positions_that_cannot_be_are_refused(tmp_path, lines, stated, words):
    with pytest.raises((InputError, Unsupported), match=words):
        position_of(header(tmp_path, *lines), stated, NoticeLog())
