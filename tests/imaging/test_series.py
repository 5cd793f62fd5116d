"""Finding and loading series: every container, every encoding, every defect named."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.fileset import FileSet

from fusin.errors import Ambiguous, InputError, Unsupported
from fusin.imaging.select_series import choose_ct, choose_pet
from fusin.imaging.series import scan
from fusin.imaging.suv import compute_suv
from fusin.provenance import NoticeLog
from fusin.testing import (
    TRANSFER_SYNTAXES,
    make_ct_series,
    make_enhanced_pet,
    make_grid,
    make_legacy_enhanced_pet,
    make_nm,
    make_pet_series,
    suv_pattern,
)


def codes(log: NoticeLog) -> set[str]:
    return {notice.code for notice in log}


def one(folder: Path, log: NoticeLog | None = None):
    log = log if log is not None else NoticeLog()
    catalogue = scan(folder, log)
    assert len(catalogue.series) == 1
    return catalogue.series[0]


@pytest.mark.parametrize("syntax", sorted(TRANSFER_SYNTAXES))
@pytest.mark.parametrize("make", [make_pet_series, make_ct_series])
def test_every_transfer_syntax_gives_the_same_volume(tmp_path, syntax, make):
    """PET keeps its per-slice slopes, CT its int16; the codec must not matter."""
    grid = make_grid((4, 32, 32))
    log = NoticeLog()
    plain = one(make(tmp_path / "plain", grid=grid)).load(log)
    other = one(make(tmp_path / "other", grid=grid, transfer_syntax=syntax)).load(log)
    assert other.values.dtype == plain.values.dtype
    np.testing.assert_array_equal(other.values, plain.values)


@pytest.mark.parametrize("syntax", ["explicit", "implicit"])
@pytest.mark.parametrize("make", [make_pet_series, make_ct_series])
def test_our_reader_and_pydicom_give_identical_arrays(tmp_path, syntax, make):
    series = one(make(tmp_path, transfer_syntax=syntax))
    assert all(instance.plain for instance in series.instances)
    log = NoticeLog()
    fast, slow = series.load(log), series.load(log, plain=False)
    assert fast.values.dtype == slow.values.dtype
    np.testing.assert_array_equal(fast.values, slow.values)


def test_nested_sequences_and_long_private_blocks_are_skipped_by_our_reader(tmp_path):
    folder = make_pet_series(tmp_path)
    for file in folder.glob("*.dcm"):
        dataset = pydicom.dcmread(file)
        item = pydicom.Dataset()
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = "1", "99X", "deep"
        outer = pydicom.Dataset()
        outer.ConceptNameCodeSequence = [item, item]
        dataset.PurposeOfReferenceCodeSequence = [outer]
        dataset["PurposeOfReferenceCodeSequence"].is_undefined_length = True
        outer["ConceptNameCodeSequence"].is_undefined_length = True
        item.is_undefined_length_sequence_item = True
        dataset.add_new(0x00290010, "LO", "SIEMENS CSA HEADER")
        dataset.add_new(0x00291010, "OB", b"\x07" * 40_000)
        dataset.save_as(file)
    series = one(folder)
    assert all(instance.plain for instance in series.instances)
    log = NoticeLog()
    np.testing.assert_array_equal(series.load(log).values, series.load(log, plain=False).values)


def test_a_file_without_preamble_is_read(tmp_path):
    folder = make_pet_series(tmp_path, transfer_syntax="implicit")
    expected = one(folder).load(NoticeLog()).values
    for file in folder.glob("*.dcm"):
        data = file.read_bytes()
        meta_length = int.from_bytes(data[140:144], "little")
        file.write_bytes(data[144 + meta_length :])
    series = one(folder)
    np.testing.assert_array_equal(series.load(NoticeLog()).values, expected)


def test_a_zip_archive_a_dicomdir_and_a_nested_folder_give_the_same_volume(tmp_path):
    folder = make_pet_series(tmp_path / "flat")
    plain = one(folder).load(NoticeLog())
    archive = tmp_path / "export.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        for number, file in enumerate(sorted(folder.glob("*.dcm"))):
            out.write(file, f"a/b{number % 3}/IM{number}")
    disc = tmp_path / "disc"
    fileset = FileSet()
    for file in folder.glob("*.dcm"):
        fileset.add(pydicom.dcmread(file))
    fileset.write(disc)
    for path in (archive, disc, disc / "DICOMDIR"):
        np.testing.assert_array_equal(one(path).load(NoticeLog()).values, plain.values)
    inside = tmp_path / "mail"
    inside.mkdir()
    archive.rename(inside / "export.zip")
    np.testing.assert_array_equal(one(inside).load(NoticeLog()).values, plain.values)


def test_a_file_that_a_dicomdir_names_and_nobody_finds_is_named(tmp_path):
    folder = make_pet_series(tmp_path / "flat")
    fileset = FileSet()
    for file in folder.glob("*.dcm"):
        fileset.add(pydicom.dcmread(file))
    fileset.write(tmp_path / "disc")
    victim = sorted(p for p in (tmp_path / "disc").rglob("*") if p.is_file() and p.name != "DICOMDIR")[3]
    victim.unlink()
    log = NoticeLog()
    one(tmp_path / "disc" / "DICOMDIR", log)
    assert any(n.code == "DICOMDIR_FILE_MISSING" and victim.name in n.message for n in log)


@pytest.mark.parametrize("syntax", ["explicit", "implicit", "big_endian"])
def test_truncated_empty_and_foreign_files_are_named_and_not_fatal(tmp_path, syntax):
    folder = make_pet_series(tmp_path, transfer_syntax=syntax)
    files = sorted(folder.glob("*.dcm"))
    whole = files[-1].read_bytes()
    files[-1].write_bytes(whole[:-100])
    (folder / "cut_header.dcm").write_bytes(whole[:700])
    (folder / "empty.dcm").touch()
    (folder / "notes.txt").write_text("not DICOM")
    log = NoticeLog()
    catalogue = scan(folder, log)
    named = {(n.code, n.where) for n in log}
    assert ("TRUNCATED_FILE", files[-1].name) in named
    assert ("EMPTY_FILE", "empty.dcm") in named
    assert any(where == "cut_header.dcm" and code in ("TRUNCATED_FILE", "UNREADABLE_FILE") for code, where in named)
    assert any(n.code == "NOT_DICOM" and "notes.txt" in n.message for n in log)
    assert len(catalogue.series[0].instances) == 7


@pytest.mark.parametrize("part", range(30))
def test_a_file_cut_off_anywhere_never_crashes_the_scan(tmp_path, part):
    whole = sorted(make_pet_series(tmp_path / "src").glob("*.dcm"))[0].read_bytes()
    (tmp_path / "cut.dcm").write_bytes(whole[: len(whole) * part // 30])
    log = NoticeLog()
    with pytest.raises(InputError, match="DICOM folder"):
        scan(tmp_path / "cut.dcm", log)
    assert len(log) == 1


def test_a_missing_path_and_an_empty_folder_are_refused_in_one_sentence(tmp_path):
    with pytest.raises(InputError, match="nothing there"):
        scan(tmp_path / "nowhere", NoticeLog())
    with pytest.raises(InputError, match="no files"):
        scan(tmp_path, NoticeLog())


def test_an_encrypted_or_broken_archive_is_refused(tmp_path):
    broken = tmp_path / "broken.zip"
    broken.write_bytes(b"PK\x03\x04 this is no archive")
    log = NoticeLog()
    (tmp_path / "in").mkdir()
    broken.rename(tmp_path / "in" / "broken.zip")
    with pytest.raises(InputError):
        scan(tmp_path / "in", log)
    assert any(n.code == "UNREADABLE_FILE" for n in log)


@pytest.mark.parametrize("corrected", [True, False])
def test_enhanced_pet_gives_the_same_suv_as_classic(tmp_path, corrected):
    make_enhanced_pet(tmp_path, **({} if corrected else {"decay": "NONE"}))
    log = NoticeLog()
    series = choose_pet(scan(tmp_path, log), log)
    assert series.enhanced
    found = compute_suv(series, series.load(log), log)
    np.testing.assert_allclose(found.volume.values, suv_pattern(), rtol=2e-3, atol=5e-4)


def test_legacy_converted_enhanced_pet_gives_the_same_suv_as_classic(tmp_path):
    path = make_legacy_enhanced_pet(tmp_path)
    log = NoticeLog()
    series = choose_pet(scan(path, log), log)
    found = compute_suv(series, series.load(log), log)
    np.testing.assert_allclose(found.volume.values, suv_pattern(), rtol=2e-3, atol=5e-4)


def test_a_reconstructed_nm_object_is_a_volume_and_projections_are_not(tmp_path):
    log = NoticeLog()
    series = one(make_nm(tmp_path / "recon"))
    volume = series.load(log)
    np.testing.assert_allclose(volume.values, np.rint(100 * suv_pattern()), atol=0.5)
    projections = one(make_nm(tmp_path / "tomo", kind="TOMO"))
    with pytest.raises(Unsupported, match="projections"):
        projections.load(log)


def test_the_pet_of_several_is_chosen_by_uid_number_or_description(tmp_path):
    make_pet_series(tmp_path / "a", description="WB 3mm", series_number=7, seed=1)
    make_pet_series(tmp_path / "b", description="WB 5mm PSF", series_number=8, seed=2)
    log = NoticeLog()
    catalogue = scan(tmp_path, log)
    with pytest.raises(Ambiguous, match="WB 5mm PSF"):
        choose_pet(catalogue, log)
    by_number = choose_pet(catalogue, log, wanted="8")
    assert by_number is choose_pet(catalogue, log, wanted="psf") is choose_pet(catalogue, log, wanted=by_number.uid)
    with pytest.raises(InputError, match="--series"):
        choose_pet(catalogue, log, wanted="no such")
    assert choose_pet(catalogue, log, referenced_uid=by_number.uid) is by_number


def test_the_ct_with_the_longest_overlap_is_chosen(tmp_path):
    make_pet_series(tmp_path / "pet")
    make_ct_series(tmp_path / "short", grid=make_grid((3, 16, 16)), seed=1)
    make_ct_series(tmp_path / "long", grid=make_grid((9, 16, 16)), description="CT WB", seed=2)
    log = NoticeLog()
    catalogue = scan(tmp_path, log)
    ct = choose_ct(catalogue, choose_pet(catalogue, log), log)
    assert ct is not None
    assert ct.description == "CT WB"


def test_a_ct_outside_int16_becomes_float_and_keeps_its_values(tmp_path):
    folder = make_ct_series(tmp_path)
    for file in folder.glob("*.dcm"):
        dataset = pydicom.dcmread(file)
        dataset.RescaleSlope = "1.5"
        dataset.save_as(file)
    series = one(folder)
    assert series.load(NoticeLog()).values.dtype == np.float32
    np.testing.assert_array_equal(series.load(NoticeLog()).values, series.load(NoticeLog(), plain=False).values)


def test_progress_is_reported_to_the_end(tmp_path):
    folder = make_pet_series(tmp_path)
    seen: list[tuple[int, int]] = []
    series = scan(folder, NoticeLog(), progress=lambda done, total: seen.append((done, total))).series[0]
    assert seen[-1] == (8, 8)
    series.load(NoticeLog(), progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (8, 8)


def test_a_damaged_member_of_an_archive_is_named_and_the_others_are_read(tmp_path):
    files = sorted(make_pet_series(tmp_path / "src").glob("*.dcm"))
    archive = tmp_path / "export.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        for file in files:
            out.write(file, file.name)
    with zipfile.ZipFile(archive) as made:
        victim = made.infolist()[-1]
    raw = bytearray(archive.read_bytes())
    start = victim.header_offset + 30 + len(victim.filename)
    raw[start + 20 : start + 60] = bytes(40)
    archive.write_bytes(bytes(raw))
    log = NoticeLog()
    catalogue = scan(archive, log)
    assert len(catalogue.series[0].instances) == 7
    assert any(
        n.code in ("UNREADABLE_FILE", "TRUNCATED_FILE", "NOT_DICOM") and victim.filename in n.message for n in log
    )
