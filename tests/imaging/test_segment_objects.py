"""SEG objects: what is written is what highdicom reads, in place, and what dciodvfy accepts."""

from __future__ import annotations

import tarfile
from datetime import datetime
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest
from highdicom.color import CIELabColor
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from source_headers import (
    FRAME,
    SERIES,
    enhanced_header,
    make_grid,
    on_grid,
    pet_headers,
    through_disk,
    validation_errors,
)

from fusin.errors import InputError, Unsupported
from fusin.imaging.segment_objects import PALETTE, segment_codes, write_seg
from fusin.imaging.volume import Grid, Region
from fusin.provenance import NoticeLog

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
CREATED = datetime(2026, 1, 6, 9, 30)


def box(grid: Grid, name: str, start: tuple[int, int, int], size: tuple[int, int, int], **more) -> Region:
    return Region(name=name, grid=grid, start=start, crop=np.ones(size, bool), **more)


def random_region(grid: Grid, name: str, seed: int, fill: float = 0.3) -> Region:
    return Region.from_mask(name, grid, np.random.default_rng(seed).random(grid.shape) < fill)


def write(path: Path, regions: list[Region], source=None, **more) -> NoticeLog:
    log = NoticeLog()
    headers = pet_headers(regions[0].grid) if source is None else source
    assert write_seg(path, regions, source=headers, log=log, **more) == path
    return log


def masks_of(path: Path, grid: Grid) -> np.ndarray:
    seg = hd.seg.segread(path)
    return on_grid(seg.get_volume(rescale_fractional=False), grid) > 0


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("angles", [(0.0, 0.0, 0.0), (12.0, -7.0, 3.0), (90.0, 0.0, 0.0), (-35.0, 20.0, 170.0)])
def test_masks_come_back_at_the_same_place_in_every_orientation(tmp_path, angles, reverse):
    grid = make_grid(angles=angles, reverse=reverse)
    regions = [random_region(grid, "lesion 1", 1), random_region(grid, "lesion 2", 2)]
    write(tmp_path / "a.dcm", regions)
    masks = masks_of(tmp_path / "a.dcm", grid)
    for number, region in enumerate(regions):
        np.testing.assert_array_equal(masks[..., number], region.mask())
    assert validation_errors(tmp_path / "a.dcm") == []


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shape=st.tuples(st.integers(2, 6), st.integers(1, 9), st.integers(1, 9)),
    seeds=st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=4),
    fill=st.sampled_from([0.02, 0.3, 1.0]),
    kind=st.sampled_from(["binary", "fractional"]),
    omit=st.booleans(),
)
def test_any_masks_round_trip_even_where_frames_do_not_end_on_a_byte(tmp_path, shape, seeds, fill, kind, omit):
    grid = make_grid(shape)
    regions = [random_region(grid, f"lesion {n}", seed, fill) for n, seed in enumerate(seeds)]
    write(tmp_path / "a.dcm", regions, kind=kind, omit_empty_frames=omit)
    masks = masks_of(tmp_path / "a.dcm", grid)
    for number, region in enumerate(regions):
        np.testing.assert_array_equal(masks[..., number], region.mask())


def skewed(grid: Grid, axis: int, by_mm: float) -> Grid:
    """The grid with one of its axes displaced along the columns."""
    affine = grid.affine.copy()
    affine[0, axis] += by_mm
    return Grid(shape=grid.shape, affine=affine, frame_of_reference_uid=FRAME)


def test_a_tilted_stack_keeps_the_position_of_each_slice(tmp_path):
    grid = skewed(make_grid(), 2, 0.05)
    write(tmp_path / "a.dcm", [random_region(grid, "lesion 1", 1)])
    ds = pydicom.dcmread(tmp_path / "a.dcm")
    found = [f.PlanePositionSequence[0].ImagePositionPatient for f in ds.PerFrameFunctionalGroupsSequence]
    np.testing.assert_allclose(found, [grid.to_mm([0, 0, k]) for k in range(7)], atol=1e-9)
    measures = ds.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    assert float(measures.SpacingBetweenSlices) == pytest.approx(3.0)
    assert validation_errors(tmp_path / "a.dcm") == []


def test_pixels_that_are_no_rectangles_are_refused(tmp_path):
    grid = skewed(make_grid(), 1, 0.5)
    with pytest.raises(Unsupported) as caught:
        write(tmp_path / "a.dcm", [random_region(grid, "lesion 1", 1)])
    assert caught.value.code == "GRID_SHEARED"


def test_overlapping_regions_keep_all_their_voxels(tmp_path):
    grid = make_grid()
    regions = [box(grid, "liver", (1, 1, 1), (4, 6, 6)), box(grid, "lesion 1", (2, 2, 2), (2, 2, 2))]
    write(tmp_path / "a.dcm", regions)
    masks = masks_of(tmp_path / "a.dcm", grid)
    assert masks[..., 0].sum() == 4 * 6 * 6
    assert masks[..., 1].sum() == 8
    assert pydicom.dcmread(tmp_path / "a.dcm").SegmentsOverlap == "YES"


def test_a_label_map_holds_the_segment_numbers_and_refuses_overlap(tmp_path):
    grid = make_grid()
    regions = [box(grid, "liver", (1, 1, 1), (2, 3, 3)), box(grid, "spleen", (3, 5, 5), (2, 2, 2))]
    write(tmp_path / "a.dcm", regions, kind="labelmap")
    labels = on_grid(hd.seg.segread(tmp_path / "a.dcm").get_volume(combine_segments=True), grid)
    np.testing.assert_array_equal(labels, regions[0].mask() * 1 + regions[1].mask() * 2)
    overlapping = [regions[0], box(grid, "spleen", (1, 1, 1), (1, 1, 1))]
    with pytest.raises(Unsupported) as caught:
        write(tmp_path / "b.dcm", overlapping, kind="labelmap")
    assert caught.value.code == "REGIONS_OVERLAP"
    assert not (tmp_path / "b.dcm").exists()


@pytest.mark.parametrize("kind", ["binary", "fractional"])
@pytest.mark.parametrize("omit", [True, False])
def test_objects_pass_the_validator(tmp_path, kind, omit):
    grid = make_grid((3, 5, 7))
    regions = [box(grid, "lesion 1", (1, 1, 1), (1, 2, 2), attributes={"site": "kidney_left"}),
               box(grid, "adrenal_gland_right", (0, 3, 3), (2, 1, 1))]  # fmt: skip
    write(tmp_path / "a.dcm", regions, kind=kind, omit_empty_frames=omit)
    assert validation_errors(tmp_path / "a.dcm") == []


def test_one_segment_alone_passes_the_validator_and_reads_back(tmp_path):
    grid = make_grid()
    region = box(grid, "lesion 1", (2, 2, 2), (3, 3, 3))
    write(tmp_path / "a.dcm", [region])
    np.testing.assert_array_equal(masks_of(tmp_path / "a.dcm", grid)[..., 0], region.mask())
    assert validation_errors(tmp_path / "a.dcm") == []


def test_by_default_every_slice_occurs_and_no_segment_has_a_gap(tmp_path):
    grid = make_grid((9, 8, 8))
    gapped = np.zeros(grid.shape, bool)
    gapped[[2, 5], 3, 3] = True
    regions = [box(grid, "lesion 1", (4, 1, 1), (1, 2, 2)), Region.from_mask("lesion 2", grid, gapped)]
    write(tmp_path / "a.dcm", regions)
    frames = pydicom.dcmread(tmp_path / "a.dcm").PerFrameFunctionalGroupsSequence
    places = [(f.SegmentIdentificationSequence[0].ReferencedSegmentNumber, f.FrameContentSequence[0].DimensionIndexValues[1])
              for f in frames]  # fmt: skip
    assert places == [(1, i) for i in range(1, 10)] + [(2, i) for i in (3, 4, 5, 6)]


def test_all_frames_are_written_on_demand(tmp_path):
    grid = make_grid()
    write(tmp_path / "a.dcm", [random_region(grid, "lesion 1", 1), box(grid, "lesion 2", (1, 1, 1), (1, 1, 1))],
          omit_empty_frames=False)  # fmt: skip
    assert pydicom.dcmread(tmp_path / "a.dcm").NumberOfFrames == 2 * grid.shape[0]


def test_a_region_without_voxels_is_a_segment_without_voxels(tmp_path):
    grid = make_grid()
    empty = Region.from_mask("spleen", grid, np.zeros(grid.shape))
    write(tmp_path / "a.dcm", [empty, box(grid, "liver", (1, 1, 1), (1, 1, 1))])
    masks = masks_of(tmp_path / "a.dcm", grid)
    assert masks[..., 0].sum() == 0
    assert masks[..., 1].sum() == 1
    assert validation_errors(tmp_path / "a.dcm") == []


def test_segments_say_what_they_are_without_a_diagnosis(tmp_path):
    grid = make_grid()
    regions = [
        box(grid, "lesion 1", (1, 1, 1), (1, 1, 1), tracking_uid="1.2.3.4", attributes={"site": "liver"}),
        box(grid, "kidney_left", (2, 1, 1), (1, 1, 1)),
        box(grid, "GTV_Mass", (3, 1, 1), (1, 1, 1), attributes={"algorithm_type": "MANUAL"}),
        box(grid, "aorta ring", (4, 1, 1), (1, 1, 1), attributes={"code": "blood_pool"}),
    ]
    write(tmp_path / "a.dcm", regions, algorithm_name="seeded threshold")
    one, two, three, four = hd.seg.segread(tmp_path / "a.dcm").SegmentSequence
    assert (one.segmented_property_type.meaning, one.segment_label, one.tracking_uid) == (
        "Lesion",
        "lesion 1",
        "1.2.3.4",
    )
    assert one.AnatomicRegionSequence[0].CodeMeaning == "Liver"
    assert (one.SegmentAlgorithmType, one.SegmentAlgorithmName) == ("AUTOMATIC", "seeded threshold")
    assert two.segmented_property_category.meaning == "Anatomical Structure"
    kind = two.SegmentedPropertyTypeCodeSequence[0]
    assert kind.CodeMeaning == "Kidney"
    assert kind.SegmentedPropertyTypeModifierCodeSequence[0].CodeMeaning == "Left"
    assert (three.segmented_property_type.meaning, three.SegmentAlgorithmType) == ("Tissue", "MANUAL")
    assert "SegmentationAlgorithmIdentificationSequence" not in three
    assert four.segmented_property_type.meaning == "Descending aorta"


def test_tracking_uids_are_unique_and_stay_the_same_in_a_second_run(tmp_path):
    grid = make_grid()
    regions = [box(grid, f"lesion {i}", (1, i, 1), (1, 1, 1)) for i in range(3)]
    uids = []
    for name in ("a.dcm", "b.dcm"):
        write(tmp_path / name, regions)
        uids.append([d.TrackingUID for d in pydicom.dcmread(tmp_path / name).SegmentSequence])
    assert uids[0] == uids[1]
    assert len(set(uids[0])) == 3


def test_display_colours_are_the_palette_or_the_regions_own(tmp_path):
    grid = make_grid()
    regions = [box(grid, "lesion 1", (1, 1, 1), (1, 1, 1)),
               box(grid, "lesion 2", (2, 1, 1), (1, 1, 1), attributes={"colour": (10, 200, 30)})]  # fmt: skip
    write(tmp_path / "a.dcm", regions)
    found = [d.RecommendedDisplayCIELabValue for d in pydicom.dcmread(tmp_path / "a.dcm").SegmentSequence]
    assert found == [list(CIELabColor.from_rgb(*rgb).value) for rgb in (PALETTE[0], (10, 200, 30))]


def test_equal_inputs_give_equal_bytes_and_a_changed_voxel_another_uid(tmp_path):
    grid = make_grid()
    region = random_region(grid, "lesion 1", 5)
    changed = region.mask()
    changed[0, 0, 0] = ~changed[0, 0, 0]
    for name, mask in (("a.dcm", region.mask()), ("b.dcm", region.mask()), ("c.dcm", changed)):
        write(tmp_path / name, [Region.from_mask("lesion 1", grid, mask)], created=CREATED)
    assert (tmp_path / "a.dcm").read_bytes() == (tmp_path / "b.dcm").read_bytes()
    a, c = (pydicom.dcmread(tmp_path / n) for n in ("a.dcm", "c.dcm"))
    assert a.SOPInstanceUID != c.SOPInstanceUID
    assert (a.ContentDate, a.ContentTime) == ("20260106", "093000.000000")


def test_every_frame_refers_to_the_slice_it_was_drawn_on(tmp_path):
    grid = make_grid()
    write(
        tmp_path / "a.dcm", [box(grid, "lesion 1", (2, 1, 1), (1, 1, 1)), box(grid, "lesion 2", (4, 1, 1), (2, 1, 1))]
    )
    ds = pydicom.dcmread(tmp_path / "a.dcm")
    for frame in ds.PerFrameFunctionalGroupsSequence:
        index = frame.FrameContentSequence[0].DimensionIndexValues[1] - 1
        image = frame.DerivationImageSequence[0].SourceImageSequence[0]
        assert image.ReferencedSOPInstanceUID == f"{SERIES}.{index + 1}"
        np.testing.assert_allclose(frame.PlanePositionSequence[0].ImagePositionPatient, grid.to_mm([0, 0, index]))
    assert ds.ReferencedSeriesSequence[0].SeriesInstanceUID == SERIES
    assert len(ds.ReferencedSeriesSequence[0].ReferencedInstanceSequence) == grid.shape[0]
    measures = ds.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    assert (float(measures.SliceThickness), float(measures.SpacingBetweenSlices)) == (3.0, 3.0)
    assert ds.FrameOfReferenceUID == FRAME


@pytest.mark.parametrize("implicit", [True, False])
def test_sources_may_come_in_any_transfer_syntax(tmp_path, implicit):
    grid = make_grid((4, 6, 6), angles=(10.0, 0.0, 0.0))
    region = random_region(grid, "lesion 1", 3)
    write(tmp_path / "a.seg", [region], through_disk(pet_headers(grid), tmp_path, implicit=implicit))
    np.testing.assert_array_equal(masks_of(tmp_path / "a.seg", grid)[..., 0], region.mask())
    assert validation_errors(tmp_path / "a.seg") == []


def test_missing_type_2_attributes_are_written_empty_and_named(tmp_path):
    missing = ("AccessionNumber", "StudyID", "PatientBirthDate", "PatientSex", "StudyTime", "ReferringPhysicianName",
               "PatientName", "PatientID", "Manufacturer")  # fmt: skip
    grid = make_grid()
    log = write(tmp_path / "a.dcm", [random_region(grid, "lesion 1", 1)],
                pet_headers(grid, **dict.fromkeys(missing)))  # fmt: skip
    (notice,) = [n for n in log if n.code == "DICOM_BLANK_FILLED"]
    assert set(notice.raw) == set(missing) - {"Manufacturer"}
    ds = pydicom.dcmread(tmp_path / "a.dcm")
    assert ds.AccessionNumber == ds.StudyID == ds.PatientBirthDate == ""
    assert validation_errors(tmp_path / "a.dcm") == []


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_values_that_dicom_does_not_allow_are_left_out_and_named(tmp_path):
    grid = make_grid()
    headers = pet_headers(grid, PatientSex="W", PatientAge="old", StudyDate="5.1.2026")
    log = write(tmp_path / "a.dcm", [random_region(grid, "lesion 1", 1)], headers)
    assert sorted(n.raw for n in log if n.code == "DICOM_VALUE_LEFT_OUT") == ["5.1.2026", "W", "old"]
    assert validation_errors(tmp_path / "a.dcm") == []


def test_names_outside_ascii_survive_whatever_the_source_encoding(tmp_path):
    grid = make_grid()
    headers = pet_headers(grid, SpecificCharacterSet="ISO_IR 100", PatientName="Müller^Zoë")
    write(tmp_path / "a.dcm", [box(grid, "Läsion β", (1, 1, 1), (1, 1, 1))],
          through_disk(headers, tmp_path, implicit=True))  # fmt: skip
    ds = pydicom.dcmread(tmp_path / "a.dcm")
    assert (str(ds.PatientName), ds.SegmentSequence[0].SegmentLabel) == ("Müller^Zoë", "Läsion β")
    assert ds.SpecificCharacterSet == "ISO_IR 192"


def test_an_enhanced_source_is_referred_to_by_frame_number_whatever_its_frame_order(tmp_path):
    grid = make_grid((4, 6, 6))
    region = random_region(grid, "lesion 1", 9)
    write(tmp_path / "a.dcm", [region], [enhanced_header(grid, [2, 0, 3, 1])])
    np.testing.assert_array_equal(masks_of(tmp_path / "a.dcm", grid)[..., 0], region.mask())
    groups = pydicom.dcmread(tmp_path / "a.dcm").PerFrameFunctionalGroupsSequence
    numbers = [g.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber for g in groups]
    assert numbers == [2, 4, 1, 3]
    assert validation_errors(tmp_path / "a.dcm") == []


def test_a_slice_without_source_is_written_without_reference(tmp_path):
    grid = make_grid((20, 4, 4))
    headers = pet_headers(grid)
    del headers[7]
    region = random_region(grid, "lesion 1", 4)
    log = write(tmp_path / "a.dcm", [region], headers)
    assert [n.code for n in log if n.code == "SOURCE_SLICES_DIFFER"]
    np.testing.assert_array_equal(masks_of(tmp_path / "a.dcm", grid)[..., 0], region.mask())
    assert validation_errors(tmp_path / "a.dcm") == []


def test_a_clinical_trial_is_carried_over_completely(tmp_path):
    grid = make_grid()
    trial = {"ClinicalTrialSponsorName": "S", "ClinicalTrialProtocolID": "P", "ClinicalTrialSubjectID": "07"}
    write(tmp_path / "a.dcm", [random_region(grid, "lesion 1", 4)], pet_headers(grid, **trial))
    ds = pydicom.dcmread(tmp_path / "a.dcm")
    assert ds.ClinicalTrialSubjectID == "07"
    assert validation_errors(tmp_path / "a.dcm") == []


def test_sources_of_another_place_or_frame_are_refused(tmp_path):
    grid = make_grid()
    region = random_region(grid, "lesion 1", 1)
    elsewhere = pet_headers(make_grid(origin=(0.0, 0.0, 0.0)))
    with pytest.raises(InputError, match="Image Position"):
        write(tmp_path / "a.dcm", [region], elsewhere)
    with pytest.raises(InputError, match="Frame of Reference"):
        write(tmp_path / "a.dcm", [region], pet_headers(grid, FrameOfReferenceUID="1.2.3"))
    with pytest.raises(InputError, match="Rows"):
        write(tmp_path / "a.dcm", [region], pet_headers(make_grid((7, 9, 12))))
    with pytest.raises(InputError, match="headers"):
        write(tmp_path / "a.dcm", [region], [])
    with pytest.raises(InputError, match="StudyInstanceUID"):
        write(tmp_path / "a.dcm", [region], pet_headers(grid, StudyInstanceUID=None))
    assert list(tmp_path.iterdir()) == []


def test_regions_that_cannot_be_written_are_refused(tmp_path):
    grid = make_grid()
    source = pet_headers(grid)
    with pytest.raises(InputError, match="regions"):
        write_seg(tmp_path / "a.dcm", [], source=source, log=NoticeLog())
    with pytest.raises(InputError, match="name"):
        write(tmp_path / "a.dcm", [random_region(grid, "  ", 1)])
    with pytest.raises(InputError, match="resample"):
        write(tmp_path / "a.dcm", [random_region(grid, "a", 1), random_region(make_grid((3, 9, 11)), "b", 1)])
    with pytest.raises(InputError, match="code"):
        segment_codes(box(grid, "a", (0, 0, 0), (1, 1, 1), attributes={"code": "no such thing"}))


def test_a_long_name_is_fitted_and_the_change_is_named(tmp_path):
    grid = make_grid()
    name = "lesion \\ " + "x" * 80
    log = write(tmp_path / "a.dcm", [box(grid, name, (1, 1, 1), (1, 1, 1))])
    label = pydicom.dcmread(tmp_path / "a.dcm").SegmentSequence[0].SegmentLabel
    assert (len(label), label[:9]) == (64, "lesion / ")
    assert [n.raw for n in log if n.code == "DICOM_TEXT_FITTED"] == [name]


def test_research_use_is_stated(tmp_path):
    grid = make_grid()
    write(tmp_path / "a.dcm", [random_region(grid, "lesion 1", 1)])
    ds = pydicom.dcmread(tmp_path / "a.dcm")
    assert "esearch use only" in ds.ContentDescription
    assert "research use only" in ds.SeriesDescription


def test_ten_lesions_on_400_slices_take_less_than_four_megabytes(tmp_path):
    grid = make_grid((400, 200, 200))
    rng = np.random.default_rng(0)
    regions = [box(grid, f"lesion {i}", tuple(map(int, rng.integers(10, 190, 3))), (6, 6, 6)) for i in range(10)]
    source = pet_headers(grid)
    write(tmp_path / "a.dcm", regions, source)
    assert (tmp_path / "a.dcm").stat().st_size < 4_000_000


def _dro_headers(folder: Path) -> list[pydicom.Dataset]:
    archive = DATA / "pet" / "ibsi_suv_dro" / "DRO_public.tar.xz"
    if not archive.exists():
        pytest.skip("the IBSI-SUV reference objects are not here")
    with tarfile.open(archive) as tar:
        members = [m for m in tar if "DRO_0_0" in m.name and m.name.endswith(".dcm") and "/PT/" in m.name]
        for number, member in enumerate(members):
            (folder / f"{number}.dcm").write_bytes(tar.extractfile(member).read())
    headers = [pydicom.dcmread(p, stop_before_pixels=True) for p in folder.glob("*.dcm")]
    return sorted(headers, key=lambda ds: float(ds.ImagePositionPatient[2]))


def grid_of(headers: list[pydicom.Dataset]) -> Grid:
    first = headers[0]
    across, down = (np.array(first.ImageOrientationPatient[i : i + 3], float) for i in (0, 3))
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = across * float(first.PixelSpacing[1]), down * float(first.PixelSpacing[0])
    step = np.cross(across, down) * float(first.get("SliceThickness") or 1.0)
    if len(headers) > 1:
        step = np.subtract(headers[1].ImagePositionPatient, first.ImagePositionPatient).astype(float)
    affine[:3, 2] = step
    affine[:3, 3] = np.array(first.ImagePositionPatient, float)
    return Grid(shape=(len(headers), first.Rows, first.Columns), affine=affine)


def test_a_reference_object_of_ibsi_suv_gives_a_valid_seg(tmp_path):
    headers = _dro_headers(tmp_path)
    grid = grid_of(headers)
    region = random_region(grid, "lesion 1", 1, 0.01)
    write(tmp_path / "a.seg", [region], headers)
    np.testing.assert_array_equal(masks_of(tmp_path / "a.seg", grid)[..., 0], region.mask())
    # The reference objects themselves use one UID for study and frame of reference; a derived object must keep both.
    found = [line for line in validation_errors(tmp_path / "a.seg") if "same value as FrameOfReferenceUID" not in line]
    assert found == []


@pytest.mark.parametrize("name", ["1.dcm", "2.dcm"])
def test_real_siemens_slices_give_a_valid_seg(tmp_path, name):
    path = DATA / "pet" / "acrin_flt_siemens_single_slices" / name
    if not path.exists():
        pytest.skip("the ACRIN slices are not here")
    headers = [pydicom.dcmread(path, stop_before_pixels=True)]
    grid = grid_of(headers)
    region = random_region(grid, "liver", 1, 0.1)
    write(tmp_path / "a.seg", [region], headers)
    stored = hd.seg.segread(tmp_path / "a.seg").get_pixels_by_source_instance([headers[0].SOPInstanceUID])
    np.testing.assert_array_equal(stored[..., 0] > 0, region.mask())
    assert validation_errors(tmp_path / "a.seg") == []
