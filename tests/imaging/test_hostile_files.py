"""Whole files with damaged headers: audit and measure refuse in words or give a number, and never crash.

Hypothesis overwrites values, bytes and lengths of a small series on disk; whatever happens must be a FusinError.
"""

from __future__ import annotations

import contextlib
import json
import math
import shutil
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fusin.errors import FusinError
from fusin.imaging.audit import audit_catalogue
from fusin.imaging.masks import write_label_nifti
from fusin.imaging.plain_dicom import parse_plain
from fusin.imaging.series import scan
from fusin.imaging.volume import Region
from fusin.provenance import NoticeLog, canonical_json
from fusin.quantification.measuring import measure_study
from fusin.quantification.protocols import protocol
from fusin.quantification.study import open_study
from fusin.testing import make_enhanced_pet, make_grid, make_pet_series

PROTOCOL = protocol("oncology")
SHAPE = (3, 8, 8)
WEIRD = (
    "", " ", "0", "-1", "nan", "inf", "-inf", "1e308", "-1e308", "1e-320", "9" * 16, "1,5", "1\\2", "\\", "\\\\", "\x00\x00",
    "\x1b[2J", "é", "None", "00000000", "99999999", "20240230", "240000", "235960", "0928", "09:28:00", "1.2.3", "BQML",
    "GML", "CNTS", "START", "NONE", "ADMIN", "PT", "CT", "NM", "1\\0\\0\\0\\1\\0", "0\\0\\0\\0\\0\\0", "1e200\\1e200\\1e200",
    "nan\\nan\\nan", "65535", "4294967295", "-32768", "²", "0x10", "1_000", "+5", "1.2.840.10008.5.1.4.1.1.130",
)  # fmt: skip
KEYWORDS = (
    "SOPClassUID", "SOPInstanceUID", "StudyDate", "SeriesDate", "AcquisitionDate", "SeriesTime", "AcquisitionTime",
    "Modality", "Manufacturer", "SeriesDescription", "PatientName", "PatientSex", "PatientSize", "PatientWeight",
    "SliceThickness", "ActualFrameDuration", "StudyInstanceUID", "SeriesInstanceUID", "SeriesNumber", "InstanceNumber",
    "ImagePositionPatient", "ImageOrientationPatient", "FrameOfReferenceUID", "PixelSpacing", "CorrectedImage",
    "RescaleIntercept", "RescaleSlope", "Units", "DecayCorrection", "FrameReferenceTime", "ImageType", "SpecificCharacterSet",
    "NumberOfFrames", "TriggerTime", "TemporalPositionIdentifier", "TimezoneOffsetFromUTC", "DecayFactor", "SUVType",
)  # fmt: skip
INJECTION = (
    "RadiopharmaceuticalStartDateTime", "RadiopharmaceuticalStartTime", "RadionuclideTotalDose", "RadionuclideHalfLife",
    "Radiopharmaceutical",
)  # fmt: skip


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """(folder of a clean series, label map drawn on it)."""
    root = tmp_path_factory.mktemp("hostile")
    folder = make_pet_series(root / "pet", grid=make_grid(SHAPE))
    study = open_study(folder, NoticeLog(), with_ct=False)
    region = Region(name="block", grid=study.pet.grid, start=(0, 2, 2), crop=np.ones((3, 4, 4), dtype=bool))
    write_label_nifti(root / "r.nii", [region], study.pet.grid)
    return folder, root / "r.nii"


def assert_survives(folder, regions):
    """Audit and measure; anything that is no FusinError fails, and so does a number that is not finite.

    Warnings of pydicom about values are the expected noise of such files.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = audit_catalogue(scan(folder, NoticeLog()), protocol=PROTOCOL)
        except FusinError:
            return
        for entry in json.loads(canonical_json(found.to_json()))["series"]:
            factor = entry["factor_suvbw_per_bqml"]
            assert factor is None or (math.isfinite(factor) and factor > 0)
        try:
            measured = measure_study(folder, regions, NoticeLog())
        except FusinError:
            return
        assert json.loads(canonical_json(measured.to_json()))["regions"]


def copied(template, into):
    folder = Path(into) / "pet"
    shutil.copytree(template[0], folder)
    return folder


def overwrite(file, keyword, value):
    """Put text or bytes into an element, as damaged exports do, past pydicom's checks."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = pydicom.dcmread(file)
        target = dataset.RadiopharmaceuticalInformationSequence[0] if keyword in INJECTION else dataset
        tag = pydicom.datadict.tag_for_keyword(keyword)
        vr = pydicom.datadict.dictionary_VR(tag)
        data = value if isinstance(value, bytes) else value.encode("utf-8", "replace")
        data += b" " * (len(data) % 2)
        raw = pydicom.dataelem.RawDataElement(pydicom.tag.Tag(tag), vr, len(data), data, 0, False, True)
        target._dict[pydicom.tag.Tag(tag)] = raw
        # What pydicom cannot write leaves half a file, which is hostile too.
        with contextlib.suppress(TypeError, ValueError, LookupError, AttributeError):
            dataset.save_as(file)


CHANGES = st.lists(
    st.tuples(
        st.sampled_from(KEYWORDS + INJECTION),
        st.sampled_from(WEIRD) | st.binary(max_size=24),
        st.sampled_from(["one", "all"]),
    ),
    min_size=1,
    max_size=3,
)
FUZZ = settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))


@FUZZ
@given(changes=CHANGES)
def test_no_header_value_crashes_audit_or_measure(template, changes):
    with TemporaryDirectory() as into:
        folder = copied(template, into)
        files = sorted(folder.glob("*.dcm"))
        for keyword, value, scope in changes:
            for file in files if scope == "all" else files[:1]:
                overwrite(file, keyword, value)
        assert_survives(folder, template[1])


@pytest.mark.parametrize("keyword", KEYWORDS + INJECTION)
def test_no_single_element_crashes_whatever_stands_in_it(template, keyword, tmp_path):
    """Every odd value in every element that the rules look at, on all slices."""
    for number, value in enumerate(WEIRD[::3]):
        (tmp_path / str(number)).mkdir()
        folder = copied(template, tmp_path / str(number))
        for file in folder.glob("*.dcm"):
            overwrite(file, keyword, value)
        assert_survives(folder, template[1])
    assert number > 10


@FUZZ
@given(data=st.data())
def test_no_flipped_byte_crashes_audit_or_measure(template, data):
    """Bytes anywhere in the header: tags, lengths and values alike."""
    with TemporaryDirectory() as into:
        folder = copied(template, into)
        for file in sorted(folder.glob("*.dcm"))[: data.draw(st.integers(1, 3))]:
            content = bytearray(file.read_bytes())
            header = parse_plain(bytes(content), whole=True).pixel_offset
            for _ in range(data.draw(st.integers(1, 4))):
                content[data.draw(st.integers(128, header + 8))] = data.draw(st.integers(0, 255))
            file.write_bytes(content)
        assert_survives(folder, template[1])


@FUZZ
@given(cut=st.floats(0, 1), tail=st.binary(max_size=16))
def test_no_truncation_crashes_audit_or_measure(template, cut, tail):
    with TemporaryDirectory() as into:
        folder = copied(template, into)
        victim = sorted(folder.glob("*.dcm"))[1]
        content = victim.read_bytes()
        victim.write_bytes(content[: int(cut * len(content))] + tail)
        assert_survives(folder, template[1])


@settings(parent=FUZZ, max_examples=60)
@given(data=st.data())
def test_no_flipped_byte_of_an_enhanced_object_crashes(template, data, tmp_path_factory):
    with TemporaryDirectory() as into:
        path = make_enhanced_pet(Path(into), grid=make_grid(SHAPE))
        content = bytearray(path.read_bytes())
        for _ in range(data.draw(st.integers(1, 4))):
            content[data.draw(st.integers(128, len(content) - 1))] = data.draw(st.integers(0, 255))
        path.write_bytes(content)
        assert_survives(Path(into), template[1])


@settings(parent=FUZZ, max_examples=60)
@given(content=st.binary(max_size=400), preamble=st.booleans())
def test_no_noise_crashes_audit_or_measure(template, content, preamble):
    with TemporaryDirectory() as into:
        folder = copied(template, into)
        (folder / "noise").write_bytes((bytes(128) + b"DICM" if preamble else b"") + content)
        assert_survives(folder, template[1])


@settings(parent=FUZZ, max_examples=80)
@given(data=st.data())
def test_no_damaged_region_file_crashes_measure(template, data):
    with TemporaryDirectory() as into:
        content = bytearray(template[1].read_bytes())
        for _ in range(data.draw(st.integers(1, 6))):
            content[data.draw(st.integers(0, min(len(content), 360) - 1))] = data.draw(st.integers(0, 255))
        path = Path(into) / "r.nii"
        path.write_bytes(content)
        assert_survives(template[0], path)


@pytest.mark.parametrize("value", ["\x00SO_IR 192", "ISO_IR 9999", "\\ISO 2022 IR 87", "é"])
@pytest.mark.parametrize("keyword", ["SeriesDescription", "PatientName"])
def test_a_damaged_character_set_does_not_stop_the_audit(template, tmp_path, value, keyword):
    """The names of a patient and a series are no reason to have no SUV."""
    folder = copied(template, tmp_path)
    for file in folder.glob("*.dcm"):
        overwrite(file, keyword, "M\xfcller".encode("latin-1"))
        data = file.read_bytes()
        place, length = parse_plain(data, whole=True).elements[0x00080005]
        file.write_bytes(data[:place] + value.encode()[:length].ljust(length) + data[place + length :])
    assert_survives(folder, template[1])
