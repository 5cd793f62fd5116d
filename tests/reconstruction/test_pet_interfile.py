"""PET sinograms with Interfile headers: round trips, other people's headers, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fusin.errors import FusinError, InputError, StrictRefusal, Unsupported
from fusin.provenance import NoticeLog
from fusin.reconstruction.pet_geometry import CylindricalScanner, Segment, SinogramGeometry, TofBins
from fusin.reconstruction.pet_interfile import read_sinogram, write_sinogram

SCANNER = CylindricalScanner(
    crystals=16, rings=3, radius_mm=100.5, ring_pitch_mm=4.25, tilt_deg=-5.23, energy_resolution=0.145,
    energy_window_kev=(430.0, 610.0), name="bench scanner",
)  # fmt: skip
SMALL = SinogramGeometry.of_span(SCANNER, bins=5, span=3)
# As STIR writes headers: keys in its order and spelling, with its blanks, comments and capitals.
STIR_HEADER = """!INTERFILE  :=
; a comment := not a key
!imaging modality := PT
name of data file := stir.s
originating system := Siemens mMR
!version of keys := STIR4.0
!GENERAL DATA :=
!type of data := PET
imagedata byte order := {order}
!PET STUDY (General) :=
!PET data type := Emission
applied corrections := {{None}}
!number format := {format}
!number of bytes per pixel := {size}
number of dimensions := 4
matrix axis label [4] := segment
!matrix size [4] := 3
matrix axis label [{view}] := view
!matrix size [{view}] := 8
matrix axis label [{axial}] := axial coordinate
!matrix size [{axial}] := {{ 1,5,1}}
matrix axis label [1] := tangential coordinate
!matrix size [1] := 5
minimum ring difference per segment := {{ -2,-1,2}}
maximum ring difference per segment := {{ -2,1,2}}
Scanner parameters:=
Scanner type := Siemens mMR
Number of rings                          := 3
Number of detectors per ring             := 16
Inner ring diameter (cm)                 := 65.6
Average depth of interaction (cm)        := 0.7
Distance between rings (cm)              := 0.40625
View offset (degrees)                    := 0
Energy resolution := 0.145
end scanner parameters:=
number of time frames := 1
image duration (sec)[1] := 60
!END OF INTERFILE :=
"""
DEFAULTS = {"order": "LITTLEENDIAN", "format": "float", "size": 4, "view": 3, "axial": 2}


def stir_file(folder, values, dtype="<f4", header=STIR_HEADER, **changes):
    (folder / "stir.s").write_bytes(np.asarray(values).astype(dtype).tobytes())
    path = folder / "stir.hs"
    path.write_text(header.format(**(DEFAULTS | changes)), encoding="ascii")
    return path


def read(path):
    return read_sinogram(path, log=NoticeLog())


GEOMETRIES = {
    "span 1": SinogramGeometry.of_span(SCANNER, bins=5),
    "span 3 mashed": SinogramGeometry.of_span(SCANNER, bins=5, span=3, mashing=2),
    "time of flight": SinogramGeometry.of_span(
        SCANNER, bins=4, span=3, tof=TofBins(count=3, width_ps=312.5, resolution_ps=390.0)
    ),
    "segments of its own": SinogramGeometry(scanner=SCANNER, bins=3, segments=(Segment(-1, 1), Segment(2, 2))),
    "blocks with gaps": SinogramGeometry.of_span(
        CylindricalScanner(crystals=16, rings=4, radius_mm=90.0, ring_pitch_mm=5.0, blocks=4, crystal_pitch_mm=30.0,
                           rings_per_block=2, ring_gap_mm=2.5),
        bins=5,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", GEOMETRIES)
def test_what_was_written_is_read_again(tmp_path, name):
    geometry = GEOMETRIES[name]
    values = np.random.default_rng(0).random(geometry.data_shape, np.float32)
    header, _ = write_sinogram(tmp_path / "a.hs", geometry, values, duration_s=62.5)
    found = read(header)
    np.testing.assert_array_equal(found.values, values)
    assert found.duration_s == 62.5
    assert found.geometry.segments == geometry.segments
    assert found.geometry.tof == geometry.tof
    assert found.geometry.mashing == geometry.mashing
    np.testing.assert_allclose(found.geometry.ends_mm, geometry.ends_mm, atol=1e-9)
    np.testing.assert_allclose(found.geometry.scanner.rings_z_mm, geometry.scanner.rings_z_mm, atol=1e-9)
    assert found.geometry.scanner.energy_window_kev == geometry.scanner.energy_window_kev


def test_stir_puts_the_bins_fastest_then_planes_then_views_then_segments(tmp_path):
    stored = np.arange(8 * 5 * 7)
    found = read(stir_file(tmp_path, stored))
    segments = [stored[:40].reshape(8, 1, 5), stored[40:240].reshape(8, 5, 5), stored[240:].reshape(8, 1, 5)]
    # The first ring of the file is that nearest to the head, and the first plane of ours that nearest to the feet.
    expected = np.concatenate([s[:, ::-1] for s in segments[::-1]], axis=1)
    np.testing.assert_array_equal(found.values, expected.transpose(0, 2, 1))
    assert found.geometry.scanner.radius_mm == pytest.approx(335.0)
    assert found.geometry.scanner.ring_pitch_mm == pytest.approx(4.0625)
    assert found.duration_s == 60.0


def test_files_by_view_before_plane_are_read(tmp_path):
    stored = np.arange(8 * 5 * 7)
    found = read(stir_file(tmp_path, stored, view=2, axial=3))
    np.testing.assert_array_equal(found.values[:, :, 5:0:-1], stored[40:240].reshape(5, 8, 5).transpose(1, 2, 0))


@pytest.mark.parametrize(
    ("dtype", "changes"),
    [
        (">f4", {"order": "BIGENDIAN"}),
        ("<f8", {"size": 8}),
        ("<i2", {"format": "signed integer", "size": 2}),
        (">u2", {"format": "unsigned integer", "size": 2, "order": "BIGENDIAN"}),
        ("<u4", {"format": "unsigned integer"}),
        ("u1", {"format": "unsigned integer", "size": 1}),
    ],
)
def test_number_formats_and_byte_orders(tmp_path, dtype, changes):
    stored = np.random.default_rng(1).poisson(9, 280)
    found = read(stir_file(tmp_path, stored, dtype, **changes))
    assert found.values.sum() == stored.sum()


@pytest.mark.parametrize(
    ("dtype", "changes"),
    [("<f4", {"order": "BIGENDIAN"}), (">f4", {}), ("<i2", {"format": "signed integer", "size": 2, "order": "BIGENDIAN"}),
     (">u4", {"format": "unsigned integer"})],
)  # fmt: skip
def test_a_wrong_byte_order_is_refused(tmp_path, dtype, changes):
    stored = np.random.default_rng(2).poisson(9, 280)
    with pytest.raises(InputError, match="bytes swapped"):
        read(stir_file(tmp_path, stored, dtype, **changes))


def test_truncated_and_too_long_files_are_refused(tmp_path):
    with pytest.raises(InputError, match="truncated"):
        read(stir_file(tmp_path, np.ones(279)))
    with pytest.raises(InputError, match="longer"):
        read(stir_file(tmp_path, np.ones(281)))


def test_negative_counts_are_refused(tmp_path):
    values = np.ones(280)
    values[7] = -1.0
    with pytest.raises(InputError, match="below 0"):
        read(stir_file(tmp_path, values))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("name of data file := stir.s", "name of data file := gone.s", "binary file that exists"),
        ("!type of data := PET", "!type of data := Tomographic", "PET"),
        ("{{ 1,5,1}}", "{{ 1,4,1}}", "axial coordinate"),
        ("{{ -2,-1,2}}", "{{ -2,-1}}", "ring difference per segment"),
        ("{{ -2,1,2}}", "{{ -2,1,9}}", "segments"),
        (":= 16\n", ":= 15\n", "even number"),
        (":= 16\n", ":= 22\n", "divisor"),
        ("Inner ring diameter (cm)                 := 65.6", "", "inner ring diameter"),
        ("Distance between rings (cm)              := 0.40625", "Distance between rings (cm) := ?", "number"),
        ("label [1] := tangential", "label [1] := energy", "axis label"),
        ("matrix size [1] := 5", "matrix size [1] := 0", "whole number"),
        ("matrix size [1] := 5", "matrix size [1] := 99", "bins"),
        ("!number format := {format}", "!number format := text", "number format"),
        ("imagedata byte order := {order}", "imagedata byte order := MIDDLE", "BIGENDIAN or LITTLEENDIAN"),
        ("!INTERFILE  :=", "", "INTERFILE"),
    ],
)
def test_each_fault_of_a_header_gets_one_sentence(tmp_path, old, new, said):
    assert old in STIR_HEADER
    with pytest.raises(InputError) as caught:
        read(stir_file(tmp_path, np.ones(280), header=STIR_HEADER.replace(old, new)))
    assert said.lower() in str(caught.value).lower()
    assert "\n" not in str(caught.value)


def test_free_scanners_are_refused(tmp_path):
    free = STIR_HEADER.replace("Energy resolution", "Scanner geometry := Generic\nEnergy resolution")
    with pytest.raises(Unsupported, match="generic"):
        read(stir_file(tmp_path, np.ones(280), header=free))


def test_the_assumed_axes_are_noticed_and_refused_in_strict_mode(tmp_path):
    path = stir_file(tmp_path, np.ones(280))
    log = NoticeLog()
    read_sinogram(path, log=log)
    assert sorted(n.code for n in log) == ["SCANNER_MIDDLE_ASSUMED", "SINOGRAM_AXES_ASSUMED"]
    with pytest.raises(StrictRefusal):
        read_sinogram(path, log=NoticeLog(strict=True))
    log = NoticeLog(strict=True)
    found = read_sinogram(path, log=log, position="FFS", centre_mm=(1.0, 2.0, 3.0)).geometry
    assert (found.position, found.centre_mm, len(log.notices)) == ("FFS", (1.0, 2.0, 3.0), 0)


def test_writing_refuses_other_shapes_and_names(tmp_path):
    with pytest.raises(InputError, match="values"):
        write_sinogram(tmp_path / "a.hs", SMALL, np.ones((1, 2, 3), np.float32))
    with pytest.raises(InputError, match=r"\.hs"):
        write_sinogram(tmp_path / "a.txt", SMALL, np.ones(SMALL.data_shape, np.float32))


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_damaged_headers_never_end_in_a_traceback(tmp_path, data):
    """Lines dropped, doubled or with other values: read, or refused by an error of our own."""
    lines = STIR_HEADER.format(**DEFAULTS).splitlines()
    k = data.draw(st.integers(1, len(lines) - 1))
    key = lines[k].split(":=")[0]
    value = data.draw(st.sampled_from(["", "0", "-1", "1e9", "nan", "inf", "{}", "{1", "x", "\xff", "3.5", "{ 1,2,3}"]))
    lines[k] = data.draw(st.sampled_from(["", f"{key}:= {value}", lines[k] + "\n" + lines[k]]))
    (tmp_path / "stir.s").write_bytes(np.ones(280, "<f4").tobytes())
    path = tmp_path / "stir.hs"
    path.write_text("\n".join(lines), encoding="latin-1")
    try:
        found = read(path).values.sum()
    except FusinError:
        found = 280.0
    assert found == 280.0


@pytest.mark.parametrize("made", ["attenuation", "Scatter, decay", "{randoms}", "normalisation"])
def test_counts_that_were_corrected_before_are_refused(tmp_path, made):
    header = STIR_HEADER.replace("{{None}}", "{{" + made.strip("{}") + "}}")
    with pytest.raises(Unsupported, match="corrected already"):
        read(stir_file(tmp_path, np.ones(280), header=header))


def test_positive_timing_bins_of_stir_lie_nearer_to_the_first_crystal(tmp_path):
    """UCL/STIR, ProjMatrixByBin.cxx: the place along a line is counted from its middle towards the first point."""
    geometry = GEOMETRIES["time of flight"]
    values = np.zeros(geometry.data_shape, np.float32)
    values[:, 2] = 1.0
    header, binary = write_sinogram(tmp_path / "a.hs", geometry, values)
    stored = np.fromfile(binary, "<f4").reshape(3, -1)
    assert stored.sum(axis=1).tolist() == [values.sum(), 0.0, 0.0]
    assert geometry.tof.edges_mm[2] > 0
    np.testing.assert_array_equal(read(header).values, values)


def test_a_header_of_another_modality_is_refused(tmp_path):
    for key in ("imaging modality := PT", "type of data := PET"):
        header = STIR_HEADER.replace(key, key.split(":=")[0] + ":= nucmed")
        with pytest.raises(InputError, match="nucmed"):
            read(stir_file(tmp_path, np.ones(280), header=header))
