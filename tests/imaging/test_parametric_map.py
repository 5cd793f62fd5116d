"""Parametric maps: the same float32 values at the same place, with unit and quantity, accepted by dciodvfy."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import pydicom
import pytest
from highdicom.pm.sop import pmread
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from source_headers import SERIES, enhanced_header, make_grid, on_grid, pet_headers, through_disk, validation_errors

from fusin.errors import InputError
from fusin.imaging.parametric_map import write_parametric_map
from fusin.imaging.volume import Grid, Volume
from fusin.provenance import NoticeLog


def suv_volume(grid: Grid, seed: int = 0) -> Volume:
    values = np.random.default_rng(seed).gamma(1.0, 1.5, grid.shape).astype(np.float32)
    return Volume(values=values, grid=grid, unit="g/ml{SUVbw}")


def write(path: Path, volume: Volume, source=None, **more) -> NoticeLog:
    log = NoticeLog()
    headers = pet_headers(volume.grid) if source is None else source
    assert write_parametric_map(path, volume, source=headers, log=log, **more) == path
    return log


def values_of(path: Path, grid: Grid) -> np.ndarray:
    return on_grid(pmread(path).get_volume(dtype=np.float32), grid)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shape=st.tuples(st.integers(2, 6), st.integers(1, 7), st.integers(1, 7)),
    seed=st.integers(0, 2**32 - 1),
    angle=st.sampled_from([0.0, 25.0, -90.0]),
    reverse=st.booleans(),
)
def test_values_and_place_come_back_exactly(tmp_path, shape, seed, angle, reverse):
    volume = suv_volume(make_grid(shape, angles=(angle, 5.0, 0.0), reverse=reverse), seed)
    write(tmp_path / "a.dcm", volume)
    np.testing.assert_array_equal(values_of(tmp_path / "a.dcm", volume.grid), volume.values)


@pytest.mark.parametrize("implicit", [True, False])
def test_objects_pass_the_validator(tmp_path, implicit):
    volume = suv_volume(make_grid((4, 5, 6), angles=(10.0, 0.0, 0.0)))
    headers = through_disk(pet_headers(volume.grid), tmp_path, implicit=implicit)
    write(tmp_path / "a.pm", volume, headers)
    np.testing.assert_array_equal(values_of(tmp_path / "a.pm", volume.grid), volume.values)
    assert validation_errors(tmp_path / "a.pm") == []


def test_the_real_world_mapping_is_the_identity_and_names_suvbw_and_its_unit(tmp_path):
    volume = suv_volume(make_grid())
    write(tmp_path / "a.dcm", volume)
    ds = pydicom.dcmread(tmp_path / "a.dcm")
    (mapping,) = ds.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence
    unit = mapping.MeasurementUnitsCodeSequence[0]
    assert (unit.CodeValue, unit.CodingSchemeDesignator) == ("g/ml{SUVbw}", "UCUM")
    quantity = mapping.QuantityDefinitionSequence[0].ConceptCodeSequence[0]
    assert (quantity.CodeValue, quantity.CodingSchemeDesignator) == ("126401", "DCM")
    assert (mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept) == (1.0, 0.0)
    assert mapping.DoubleFloatRealWorldValueLastValueMapped == float(volume.values.max())
    assert ds.ContentQualification == "RESEARCH"
    assert "research use only" in ds.SeriesDescription


def test_a_source_without_type_2_attributes_will_do(tmp_path):
    missing = ("AccessionNumber", "StudyID", "PatientBirthDate", "PatientSex", "ReferringPhysicianName", "StudyDate")
    volume = suv_volume(make_grid())
    log = write(tmp_path / "a.dcm", volume, pet_headers(volume.grid, **dict.fromkeys(missing)))
    assert [n.code for n in log] == ["DICOM_BLANK_FILLED"]
    assert validation_errors(tmp_path / "a.dcm") == []


def test_an_enhanced_source_is_referred_to_by_frame(tmp_path):
    volume = suv_volume(make_grid((3, 5, 6)))
    write(tmp_path / "a.dcm", volume, [enhanced_header(volume.grid, [1, 2, 0])])
    np.testing.assert_array_equal(values_of(tmp_path / "a.dcm", volume.grid), volume.values)
    ds = pydicom.dcmread(tmp_path / "a.dcm")
    images = [g.DerivationImageSequence[0].SourceImageSequence[0] for g in ds.PerFrameFunctionalGroupsSequence]
    assert [i.ReferencedFrameNumber for i in images] == [3, 1, 2]
    assert {i.ReferencedSOPInstanceUID for i in images} == {f"{SERIES}.1"}
    assert validation_errors(tmp_path / "a.dcm") == []


def test_voxels_without_a_value_stay_without_a_value(tmp_path):
    volume = suv_volume(make_grid())
    values = volume.values.copy()
    values[2] = np.nan
    write(tmp_path / "a.dcm", Volume(values=values, grid=volume.grid, unit=volume.unit))
    np.testing.assert_array_equal(values_of(tmp_path / "a.dcm", volume.grid), values)


def test_other_quantities_carry_their_own_unit(tmp_path):
    grid = make_grid()
    volume = Volume(values=np.ones(grid.shape, np.float32), grid=grid, unit="ml")
    write(tmp_path / "a.dcm", volume, quantity="volume")
    mapping = pydicom.dcmread(tmp_path / "a.dcm").SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence[0]
    assert mapping.MeasurementUnitsCodeSequence[0].CodeValue == "ml"


@pytest.mark.parametrize(
    ("fill", "unit", "window", "field"),
    [
        (np.inf, "g/ml{SUVbw}", (0.0, 10.0), "values"),
        (np.nan, "g/ml{SUVbw}", (0.0, 10.0), "values"),
        (1.0, "furlong", (0.0, 10.0), "name"),
        (1.0, "g/ml{SUVbw}", (3.0, 3.0), "window"),
    ],
)
def test_what_cannot_be_stated_is_refused_and_leaves_no_file(tmp_path, fill, unit, window, field):
    grid = make_grid()
    volume = Volume(values=np.full(grid.shape, fill, np.float32), grid=grid, unit=unit)
    with pytest.raises(InputError) as caught:
        write(tmp_path / "a.dcm", volume, window=window)
    assert caught.value.field == field
    assert list(tmp_path.iterdir()) == []


def test_equal_inputs_give_equal_bytes(tmp_path):
    volume = suv_volume(make_grid())
    for name in ("a.dcm", "b.dcm"):
        write(tmp_path / name, volume, created=datetime(2026, 1, 6, 9, 30))
    assert (tmp_path / "a.dcm").read_bytes() == (tmp_path / "b.dcm").read_bytes()


def test_a_whole_body_volume_of_400_slices_comes_back(tmp_path):
    grid = make_grid((400, 200, 200))
    volume = suv_volume(grid)
    source = pet_headers(grid)
    write(tmp_path / "a.dcm", volume, source)
    np.testing.assert_array_equal(values_of(tmp_path / "a.dcm", grid), volume.values)
