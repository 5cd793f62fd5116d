"""Projections that are written and read again, and what is refused with one sentence."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest
from pydicom import dcmread

from fusin.errors import FusinError, InputError, NotComputable, StrictRefusal
from fusin.imaging.dicom_headers import InjectionHeader, StudyHeader
from fusin.imaging.nifti import write_nifti
from fusin.imaging.volume import Volume
from fusin.provenance import NoticeLog
from fusin.reconstruction.spect_acquisition import EnergyWindow, SpectAcquisition, decay_weights
from fusin.reconstruction.spect_dicom_write import write_nm_projections, write_quantitative_spect
from fusin.reconstruction.spect_files import read_spect
from fusin.reconstruction.spect_geometry import SpectGeometry

STUDY = StudyHeader(study_datetime=datetime(2026, 3, 2, 13, 0))
INJECTION = InjectionHeader(activity_mbq=7400.0, time=datetime(2026, 3, 1, 10, 0), half_life_s=574_300.8, nuclide="Lu-177",
                            radiopharmaceutical="Pentixather")  # fmt: skip
WINDOWS = (
    EnergyWindow("Lu-177 208", 187.2, 228.8),
    EnergyWindow("lower", 165.0, 187.2),
    EnergyWindow("upper", 228.8, 250.0),
)


def acquisition(
    *, views=12, rows=6, columns=10, seed=0, windows=WINDOWS, z=40.0, start=180.0, direction="CW", radii=None
):
    rng = np.random.default_rng(seed)
    geometry = SpectGeometry.circular(views=views, radius_mm=230.0, pixel_mm=4.8, row_mm=4.5, rows=rows, columns=columns,
                                      start_deg=start, direction=direction, first_row_mm=z)  # fmt: skip
    if radii is not None:
        geometry = replace(geometry, radii_mm=radii)
    counts = rng.poisson(40.0, (len(windows), views, rows, columns)).astype(np.float32)
    return SpectAcquisition(counts=counts, windows=windows, geometry=geometry, durations_s=np.full(views, 30.0), nuclide="Lu-177",
                            started=datetime(2026, 3, 2, 14, 0), frame_of_reference_uid="1.2.3.4")  # fmt: skip


def written(path, made=None, **more):
    return write_nm_projections(path, made or acquisition(), study=STUDY, injection=INJECTION, seed_uid="t", **more)


def changed(path, change):
    dataset = dcmread(path)
    change(dataset)
    dataset.save_as(path)
    return path


@pytest.mark.parametrize("heads", [1, 2, 3])
@pytest.mark.parametrize("direction", ["CW", "CC"])
def test_projections_come_back_as_they_were_written(tmp_path, heads, direction):
    """Counts, windows, angles, a non-circular orbit, rows, times and nuclide of one, two and three heads."""
    made = acquisition(direction=direction, radii=np.linspace(190, 260, 12))
    read = read_spect(written(tmp_path / "p.dcm", made, heads=heads), log=NoticeLog(strict=True))
    assert np.array_equal(read.counts, made.counts)
    assert read.windows == made.windows
    assert np.cos(np.deg2rad(read.geometry.angles_deg - made.geometry.angles_deg)) == pytest.approx(1.0)
    assert read.geometry.radii_mm == pytest.approx(made.geometry.radii_mm)
    assert read.geometry.first_row_mm == pytest.approx(40.0)
    assert (read.geometry.pixel_mm, read.geometry.row_mm) == pytest.approx((4.8, 4.5))
    assert (read.nuclide, read.started) == ("Lu-177", datetime(2026, 3, 2, 14, 0))
    assert read.view_time_s() == pytest.approx(30.0)
    assert read.starts_s.max() == pytest.approx(30.0 * (12 / heads - 1))


def test_a_head_without_a_start_of_its_own_takes_that_of_the_rotation(tmp_path):
    path = written(tmp_path / "p.dcm", detector_tags={"StartAngle": None})
    assert read_spect(path, log=NoticeLog()).geometry.angles_deg == pytest.approx(acquisition().geometry.angles_deg)


def test_a_second_head_without_a_start_stands_opposite_with_a_notice(tmp_path):
    path = written(tmp_path / "p.dcm", heads=2, detector_tags={"StartAngle": None})
    log = NoticeLog()
    found = read_spect(path, log=log).geometry.angles_deg
    assert found[6] - found[0] == pytest.approx(180.0)
    assert "HEADS_OPPOSED" in {n.code for n in log}
    with pytest.raises(StrictRefusal):
        read_spect(path, log=NoticeLog(strict=True))


def test_radii_may_stand_in_the_rotation_or_be_stated(tmp_path):
    path = written(
        tmp_path / "a.dcm", detector_tags={"RadialPosition": None}, rotation_tags={"RadialPosition": ["210"]}
    )
    assert read_spect(path, log=NoticeLog()).geometry.radii_mm == pytest.approx(np.full(12, 210.0))
    path = written(tmp_path / "b.dcm", detector_tags={"RadialPosition": None})
    with pytest.raises(NotComputable) as refused:
        read_spect(path, log=NoticeLog())
    assert refused.value.code == "RADIUS_MISSING"
    assert read_spect(path, log=NoticeLog(), radius_mm=222.0).geometry.radii_mm == pytest.approx(np.full(12, 222.0))


def test_frames_in_another_order_are_sorted_by_their_vectors(tmp_path):
    path = written(tmp_path / "p.dcm")
    order = np.random.default_rng(1).permutation(36)

    def shuffle(ds):
        ds.PixelData = np.ascontiguousarray(ds.pixel_array[order]).tobytes()
        for keyword in ("EnergyWindowVector", "DetectorVector", "AngularViewVector", "RotationVector"):
            setattr(ds, keyword, [getattr(ds, keyword)[i] for i in order])

    assert np.array_equal(read_spect(changed(path, shuffle), log=NoticeLog()).counts, acquisition().counts)


def test_beds_and_windows_in_files_of_their_own_become_one_acquisition(tmp_path):
    upper = acquisition(z=67.0, seed=1)
    written(tmp_path / "bed1.dcm", acquisition(z=40.0))
    for n in (0, 1, 2):
        one = replace(upper, counts=upper.counts[n : n + 1], windows=upper.windows[n : n + 1])
        written(tmp_path / f"bed2_{n}.dcm", one)
    read = read_spect(tmp_path, log=NoticeLog())
    assert read.counts.shape == (3, 24, 6, 10)
    assert sorted(set(read.geometry.first_row_mm.tolist())) == pytest.approx([40.0, 67.0])
    assert read.geometry.grid().shape == (12, 10, 10)


def _lose_view(ds):
    ds.NumberOfFrames = 35
    ds.PixelData = ds.PixelData[: 35 * 60 * 2]
    for keyword in ("EnergyWindowVector", "DetectorVector", "AngularViewVector", "RotationVector"):
        setattr(ds, keyword, list(getattr(ds, keyword))[:35])


def _lose_all_of_a_view(ds):
    keep = [i for i, v in enumerate(ds.AngularViewVector) if v != 5]
    ds.PixelData = np.ascontiguousarray(ds.pixel_array[keep]).tobytes()
    ds.NumberOfFrames = len(keep)
    for keyword in ("EnergyWindowVector", "DetectorVector", "AngularViewVector", "RotationVector"):
        setattr(ds, keyword, [list(getattr(ds, keyword))[i] for i in keep])


def _swap(ds):
    ds.PixelData = ds.pixel_array.byteswap().tobytes()


def _negative(ds):
    ds.PixelRepresentation = 1
    values = ds.pixel_array.astype(np.int16).copy()
    values[3, 2, 1] = -4
    ds.PixelData = values.tobytes()


def _set(**values):
    def change(ds):
        for keyword, value in values.items():
            if value is None:
                delattr(ds, keyword)
            else:
                setattr(ds, keyword, value)

    return change


def _rotation(**values):
    return lambda ds: _set(**values)(ds.RotationInformationSequence[0])


MISTAKES = {
    "reconstructed": (_set(ImageType=["ORIGINAL", "PRIMARY", "RECON TOMO", "EMISSION"]), "reconstructed"),
    "planar": (_set(ImageType=["ORIGINAL", "PRIMARY", "STATIC", "EMISSION"]), "planar"),
    "whole body": (_set(ImageType=["ORIGINAL", "PRIMARY", "WHOLE BODY", "EMISSION"]), "planar"),
    "transmission": (_set(ImageType=["ORIGINAL", "PRIMARY", "TOMO", "TRANSMISSION"]), "transmission"),
    "another class": (_set(SOPClassUID="1.2.840.10008.5.1.4.1.1.2"), "class"),
    "view missing in one window": (_lose_view, "lacks view 12"),
    "view missing in all windows": (_lose_all_of_a_view, "12 views"),
    "window table": (_set(NumberOfEnergyWindows=2), "states 2 windows and describes 3"),
    "windows undescribed": (
        lambda ds: (_set(NumberOfEnergyWindows=2)(ds), ds.EnergyWindowInformationSequence.pop()),
        "window 3",
    ),
    "vector length": (_set(DetectorVector=[1] * 7), "7 numbers"),
    "no views": (_set(AngularViewVector=None), "Angular View Vector"),
    "view twice": (lambda ds: _set(AngularViewVector=[1, 1, *list(ds.AngularViewVector)[2:]])(ds), "2 times"),
    "truncated": (lambda ds: _set(PixelData=ds.PixelData[:-400])(ds), "truncated"),
    "negative": (_negative, "negative"),
    "byte order": (_swap, "byte order"),
    "no rotation": (_set(RotationInformationSequence=None), "Rotation Information"),
    "no direction": (_rotation(RotationDirection=None), "Rotation Direction"),
    "no step": (_rotation(AngularStep=None), "Angular Step"),
    "step 0": (_rotation(AngularStep="0"), "is 0"),
    "no pixel spacing": (_set(PixelSpacing=None), "Pixel Spacing"),
    "pinhole": (lambda ds: setattr(ds.DetectorInformationSequence[0], "CollimatorType", "PINH"), "PINH"),
    "radius in cm": (lambda ds: setattr(ds.DetectorInformationSequence[0], "RadialPosition", ["23"]), "23 mm"),
    "radii too few": (
        lambda ds: setattr(ds.DetectorInformationSequence[0], "RadialPosition", ["230", "231"]),
        "2 radial",
    ),
}


@pytest.mark.parametrize("mistake", sorted(MISTAKES))
def test_each_mistake_of_a_file_gets_one_sentence_that_names_it(tmp_path, mistake):
    change, words = MISTAKES[mistake]
    path = changed(written(tmp_path / "p.dcm"), change)
    with pytest.raises((InputError, NotComputable)) as refused:
        read_spect(path, log=NoticeLog())
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("content", [b"", b"angle,counts\n0,1\n", b"\x5c\x01\x00\x00" + bytes(400)])
def test_files_of_another_kind_are_refused_by_name(tmp_path, content):
    (tmp_path / "p.csv").write_bytes(content)
    with pytest.raises(InputError, match="no DICOM file and no Interfile header"):
        read_spect(tmp_path / "p.csv", log=NoticeLog())
    with pytest.raises(InputError, match="Interfile headers of projections"):
        read_spect(tmp_path, log=NoticeLog())
    with pytest.raises(InputError, match="nothing"):
        read_spect(tmp_path / "absent.dcm", log=NoticeLog())


def test_a_reconstruction_beside_projections_is_left_out(tmp_path):
    written(tmp_path / "p.dcm")
    changed(written(tmp_path / "r.dcm"), MISTAKES["reconstructed"][0])
    log = NoticeLog()
    assert read_spect(tmp_path, log=log).counts.shape[1] == 12
    assert "NOT_PROJECTIONS" in {n.code for n in log}


def test_files_of_two_patients_positions_are_not_joined(tmp_path):
    written(tmp_path / "a.dcm")
    other = replace(acquisition(z=90.0), frame_of_reference_uid="1.2.3.5")
    written(tmp_path / "b.dcm", other)
    with pytest.raises(NotComputable, match="Frames of Reference"):
        read_spect(tmp_path, log=NoticeLog())


@pytest.mark.parametrize("seed", range(40))
def test_no_damage_ends_in_anything_but_a_sentence(tmp_path, seed):
    """Random bytes in the header and cuts of the file."""
    rng = np.random.default_rng(seed)
    data = bytearray(written(tmp_path / "p.dcm", acquisition(views=4, rows=3, columns=3)).read_bytes())
    for place in rng.integers(132, len(data), 6):
        data[place] = int(rng.integers(0, 256))
    (tmp_path / "p.dcm").write_bytes(bytes(data[: int(rng.integers(200, len(data) + 1))]))
    said, counts = "", np.zeros(1)
    try:
        counts = read_spect(tmp_path / "p.dcm", log=NoticeLog()).counts
    except FusinError as err:
        said = str(err)
    assert "\n" not in said
    assert (counts >= 0).all()


HEADER = """!INTERFILE :=
!imaging modality := nucmed
!version of keys := 3.3
name of data file := p.i33
!type of data := Tomographic
imagedata byte order := LITTLEENDIAN
number of energy windows := 1
energy window lower level [1] := 187.2
energy window upper level [1] := 228.8
!number format := unsigned integer
!number of bytes per pixel := 2
!number of projections := 8
!extent of rotation := 360
!process status := acquired
!direction of rotation := CW
start angle := 180
orbit := circular
Radius := 230 ; mm
!matrix size [1] := 10
!scaling factor (mm/pixel) [1] := 4.8
!matrix size [2] := 6
!scaling factor (mm/pixel) [2] := 4.5
!time per projection (sec) := 20
!END OF INTERFILE :=
"""


def interfile(folder, header=HEADER, dtype="<u2", values=None):
    values = np.random.default_rng(0).poisson(50.0, (8, 6, 10)) if values is None else values
    (folder / "p.i33").write_bytes(values.astype(dtype).tobytes())
    (folder / "p.h33").write_bytes(header.encode())
    return folder / "p.h33", values


def test_interfile_projections_are_read_with_their_geometry(tmp_path):
    path, values = interfile(tmp_path)
    log = NoticeLog()
    read = read_spect(path, log=log)
    assert np.array_equal(read.counts[0], values[:, ::-1])
    assert read.geometry.angles_deg == pytest.approx(360.0 - 45.0 * np.arange(8))
    assert read.geometry.radii_mm == pytest.approx(np.full(8, 230.0))
    assert read.windows[0].width_kev() == pytest.approx(41.6)
    assert "INTERFILE_ANGLE_ASSUMED" in {n.code for n in log}
    assert read.view_time_s() == 20.0
    stated = read_spect(path, log=NoticeLog(strict=True), zero_angle_deg=90.0)
    assert stated.geometry.angles_deg == pytest.approx(270.0 - 45.0 * np.arange(8))
    prone = read_spect(
        interfile(tmp_path, HEADER.replace("!type", "patient rotation := prone\n!type"))[0], log=NoticeLog()
    )
    assert prone.geometry.angles_deg == pytest.approx(180.0 - 45.0 * np.arange(8))


@pytest.mark.parametrize(
    ("dtype", "words", "size"),
    [("<f4", "short float", 4), (">i4", "signed integer", 4), ("<u1", "unsigned integer", 1)],
)
def test_interfile_numbers_of_each_kind_are_read(tmp_path, dtype, words, size):
    text = HEADER.replace("unsigned integer", words).replace("per pixel := 2", f"per pixel := {size}")
    text = text.replace("LITTLEENDIAN", "BIGENDIAN" if dtype[0] == ">" else "LITTLEENDIAN").replace("\n", "\r\n")
    path, values = interfile(tmp_path, text, dtype)
    assert np.array_equal(read_spect(path, log=NoticeLog()).counts[0], values[:, ::-1])


def test_radii_of_a_non_circular_orbit_stand_in_a_list(tmp_path):
    radii = ", ".join(str(200 + n) for n in range(8))
    path, _ = interfile(tmp_path, HEADER.replace("Radius := 230 ; mm", f"Radii := {{{radii}}}"))
    assert read_spect(path, log=NoticeLog()).geometry.radii_mm == pytest.approx(200.0 + np.arange(8))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("LITTLEENDIAN", "BIGENDIAN", "bytes swapped"),
        ("number of projections := 8", "number of projections := 9", "truncated"),
        ("number of projections := 8", "number of projections := 7", "longer than the header says"),
        ("p.i33", "q.i33", "exists"),
        ("acquired", "reconstructed", "reconstructed"),
        ("Tomographic", "Static", "static"),
        ("Radius := 230 ; mm", "", "radius"),
        ("CW", "left", "CW or CCW"),
        ("start angle := 180", "start angle := north", "number"),
        ("lower level [1] := 187.2", "lower level [1] := 300", "below"),
        ("unsigned integer", "complex", "number format"),
        ("matrix size [1] := 10", "matrix size [1] := -3", "positive"),
        ("!type of data", "!imaging modality := PT\n!type of data", "imaging modality"),
        ("!type of data", "!patient orientation := feet_in\n!type of data", "feet first"),
        ("rotation := 360", "rotation := 1000", "at most 360"),
        ("start angle := 180", "start angle := 180\nstart angle := 90", "one value"),
    ],
)  # fmt: skip
def test_each_mistake_of_an_interfile_header_gets_one_sentence(tmp_path, old, new, words):
    path, _ = interfile(tmp_path, HEADER.replace(old, new))
    with pytest.raises((InputError, NotComputable)) as refused:
        read_spect(path, log=NoticeLog())
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_negative_interfile_counts_are_refused(tmp_path):
    values = np.full((8, 6, 10), 3.0)
    values[2, 2, 2] = -1
    text = HEADER.replace("unsigned integer", "float").replace("per pixel := 2", "per pixel := 4")
    path, _ = interfile(tmp_path, text, "<f4", values)
    with pytest.raises(InputError, match="below 0"):
        read_spect(path, log=NoticeLog())


def test_a_window_is_found_by_name_number_and_energy():
    made = acquisition()
    assert [made.index(w) for w in ("lower", 2, "2", 170, 208.0, "Lu-177 208")] == [1, 1, 1, 1, 0, 0]
    for wrong in (None, "nothing", 500, 9):
        with pytest.raises(InputError, match="208"):
            made.index(wrong)


def test_decay_weights_refer_each_view_to_the_start():
    """Tc-99m over 30 minutes: the mean of exp(-lambda t) over each view, by hand."""
    made = replace(acquisition(), nuclide="Tc-99m", durations_s=np.full(12, 150.0), starts_s=150.0 * np.arange(12))
    geometry, nominal, words = decay_weights(made, NoticeLog())
    rate = np.log(2) / (6.0067 * 3600)
    edges = np.exp(-rate * 150.0 * np.arange(13))
    assert geometry.weights == pytest.approx((edges[:-1] - edges[1:]) / (rate * 150.0), rel=1e-4)
    assert nominal == 150.0
    assert "start of the acquisition" in words


def test_dose_from_images_reads_what_is_written_as_a_quantitative_spect(tmp_path):
    """Voxel values, time after injection, decay reference and nuclide as `fusin dose images` takes them."""
    from fusin.dosimetry.image_files import read_image_study
    from fusin.dosimetry.image_points import ImageOptions

    grid = acquisition().geometry.grid(frame_of_reference_uid="1.2.3.4")
    values = np.random.default_rng(0).uniform(0, 5e5, grid.shape).astype(np.float32)
    path = write_quantitative_spect(
        tmp_path / "q.dcm", Volume(values=values, grid=grid, unit="Bq/ml"), study=STUDY, injection=INJECTION, seed_uid="t",
        acquisition_start=datetime(2026, 3, 2, 14, 0), view_time_s=30.0, views=60, corrections=("ATTN", "SCAT", "DTIM"),
        decay="START", sentences=("Attenuation: CT.",),
    )  # fmt: skip
    labels = np.zeros(grid.shape, np.uint8)
    labels[2:5, 3:7, 3:7] = 1
    write_nifti(tmp_path / "regions.nii.gz", Volume(values=labels, grid=grid, unit="1"))
    log = NoticeLog()
    options = ImageOptions(calibration_u_percent=3.0, regions=tmp_path / "regions.nii.gz")
    study = read_image_study(path, options=options, log=log)
    point = study.points[0]
    assert np.abs(point.volume.values - values * 1e-6).max() < 0.51 * 5e5 / 65535 * 1e-6
    assert point.time_h == pytest.approx(28.0)
    assert study.nuclide == "Lu-177"
    assert point.duration_s == pytest.approx(1800.0)
    assert {n.code for n in log if n.severity == "adapted"} == set()
    header = dcmread(path)
    assert (header.Units, header.DecayCorrection, header.AcquisitionDate) == ("BQML", "START", "20260302")
    assert float(header.RescaleSlope) == float(header.RealWorldValueMappingSequence[0].RealWorldValueSlope)


@pytest.mark.parametrize(
    "wrong",
    [{"view_time_s": 0.0}, {"corrections": ("MAGIC",)}, {"decay": "ADMIN"}, {"views": 0}],
)
def test_a_quantitative_spect_that_would_state_nonsense_is_not_written(tmp_path, wrong):
    grid = acquisition().geometry.grid()
    given = {"study": STUDY, "injection": INJECTION, "acquisition_start": STUDY.study_datetime, "view_time_s": 30.0, "views": 60,
             "corrections": (), "decay": "NONE", "seed_uid": "t"}  # fmt: skip
    with pytest.raises(InputError):
        write_quantitative_spect(tmp_path / "q.dcm", Volume(values=np.ones(grid.shape, np.float32), grid=grid, unit="Bq/ml"),
                                 **{**given, **wrong})  # fmt: skip


@pytest.mark.parametrize("heads", [1, 2])
def test_the_axis_of_rotation_stands_where_two_heads_put_it(tmp_path, heads):
    made = acquisition()
    beside = replace(made, geometry=replace(made.geometry, axis_mm=(12.0, -25.0)))
    log = NoticeLog()
    read = read_spect(written(tmp_path / "p.dcm", beside, heads=heads), log=log)
    confirmed = heads == 2
    assert read.geometry.axis_mm == pytest.approx((12.0, -25.0) if confirmed else (0.0, 0.0), abs=1e-3)
    assert [n.code for n in log.notices] == ["AXIS_FROM_POSITIONS" if confirmed else "AXIS_POSITION_UNUSED"]


def test_a_position_that_nothing_confirms_is_left_aside_with_a_warning(tmp_path):
    path = written(tmp_path / "p.dcm", heads=2, detector_tags={"ImagePositionPatient": ["-300", "20", "40"]})
    log = NoticeLog()
    assert read_spect(path, log=log).geometry.axis_mm == (0.0, 0.0)
    assert [n.code for n in log.notices] == ["AXIS_POSITION_UNUSED"]


@pytest.mark.parametrize("axes", [["1", "0", "0", "0", "0", "-1"], ["-1", "0", "0", "0", "0", "-1"]])
def test_an_orientation_against_the_start_angle_is_told(tmp_path, axes):
    """The head starts in front of the patient (180 degrees), where columns grow to the left."""
    log = NoticeLog()
    read_spect(written(tmp_path / "p.dcm", detector_tags={"ImageOrientationPatient": axes}), log=log)
    codes = [n.code for n in log.notices]
    assert ("DETECTOR_ORIENTATION_DIFFERS" in codes) == (axes[0] == "-1")


@pytest.mark.parametrize(("step", "arc"), [("60", "360"), ("60", None), ("30", "180")])
def test_views_beyond_the_arc_are_refused(tmp_path, step, arc):
    path = written(tmp_path / "p.dcm", rotation_tags={"AngularStep": step, "ScanArc": arc})
    with pytest.raises(NotComputable, match=r"cover (720|360)"):
        read_spect(path, log=NoticeLog())


def test_lossless_compressed_counts_are_read(tmp_path):
    path, made = written(tmp_path / "p.dcm"), acquisition()
    dataset = dcmread(path)
    dataset.compress("1.2.840.10008.1.2.5")
    dataset.save_as(path)
    assert np.array_equal(read_spect(path, log=NoticeLog()).counts, made.counts)


def test_a_radius_that_contradicts_the_file_is_refused(tmp_path):
    path = written(tmp_path / "p.dcm")
    assert read_spect(path, log=NoticeLog(), radius_mm=230.0).geometry.radii_mm == pytest.approx(230.0)
    with pytest.raises(InputError, match="230 mm, as the file states"):
        read_spect(path, log=NoticeLog(), radius_mm=300.0)


@pytest.mark.parametrize("positioned", [True, False])
def test_beds_of_one_file_lie_apart_by_the_traverse_of_the_table(tmp_path, positioned):
    def two_beds(dataset):
        from copy import deepcopy

        first = dataset.RotationInformationSequence[0]
        second = deepcopy(first)
        for item, traverse in ((first, "63"), (second, "-63")):
            item.TableTraverse, item.NumberOfFramesInRotation, item.ScanArc = traverse, 6, "180"
        dataset.RotationInformationSequence = [first, second]
        dataset.NumberOfRotations = 2
        views = np.tile(np.arange(12), len(WINDOWS))
        dataset.RotationVector, dataset.AngularViewVector = (views // 6 + 1).tolist(), (views % 6 + 1).tolist()
        detector = dataset.DetectorInformationSequence[0]
        detector.RadialPosition = detector.RadialPosition[:6]
        if not positioned:
            del detector.ImagePositionPatient

    path = changed(written(tmp_path / "p.dcm"), two_beds)
    log = NoticeLog()
    rows = read_spect(path, log=log).geometry.first_row_mm
    assert rows[0] - rows[6] == pytest.approx(126.0)
    assert ("BED_SHIFT_ASSUMED" in {n.code for n in log.notices}) == positioned
