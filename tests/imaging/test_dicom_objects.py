"""Damage ends in InputError, whatever pydicom raises, and nothing is warned about on the way."""

import struct

import pytest
from geometry_builders import make_grid, source_headers

from fusin.errors import InputError
from fusin.imaging.dicom_objects import read_object, sop_class_of

CT = "1.2.840.10008.5.1.4.1.1.2"


@pytest.fixture
def ct_file(tmp_path):
    path = tmp_path / "ct.dcm"
    source_headers(make_grid())[0].save_as(path, enforce_file_format=True)
    return path


def test_the_dataset_is_handed_on(ct_file):
    assert read_object(ct_file, (CT,), "a CT", lambda dataset: dataset.PatientID) == "P1"
    assert sop_class_of(ct_file) == CT


def test_another_class_is_named(ct_file):
    with pytest.raises(InputError) as caught:
        read_object(ct_file, ("1.2.3",), "a wish", lambda dataset: dataset)
    assert (caught.value.found, caught.value.needed) == (CT, "a wish")


@pytest.mark.parametrize("error", [struct.error("x"), KeyError("x"), AttributeError("x"), EOFError("x")])
def test_whatever_is_stumbled_over_counts_as_damage(ct_file, error):
    def stumble(dataset):
        raise error

    with pytest.raises(InputError, match="undamaged"):
        read_object(ct_file, (CT,), "a CT", stumble)


def test_text_is_no_dicom(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("plain words " * 50)
    assert sop_class_of(path) == ""
    with pytest.raises(InputError):
        read_object(path, (CT,), "a CT", lambda dataset: dataset)
