"""DICOM SEG files written by highdicom, an independent implementation, in all types and encodings."""

import warnings

import numpy as np
import pydicom
import pytest
from geometry_builders import FRAME, make_grid, source_headers
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)

from fusin.errors import InputError
from fusin.imaging.segread import read_seg
from fusin.provenance import NoticeLog

ODD = (5, 9, 11)  # 99 pixels per frame: bits run on over byte and frame borders


def write(path, pixels, grid, kind, *, labels, syntax=ExplicitVRLittleEndian, omit=True, **more):
    """Segmentation of a grid by highdicom; ``pixels`` as its constructor takes them."""
    hd = pytest.importorskip("highdicom")
    from pydicom.sr.codedict import codes

    described = [
        hd.seg.SegmentDescription(
            segment_number=i, segment_label=label, segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
            segmented_property_type=codes.SCT.Neoplasm, algorithm_type=hd.seg.SegmentAlgorithmTypeValues.MANUAL,
            tracking_uid=generate_uid(entropy_srcs=[label]), tracking_id=label,
        )
        for i, label in enumerate(labels, start=1)
    ]  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        seg = hd.seg.Segmentation(
            source_images=source_headers(grid), pixel_array=pixels, segmentation_type=kind, segment_descriptions=described,
            series_instance_uid=generate_uid(), series_number=5, sop_instance_uid=generate_uid(), instance_number=1,
            manufacturer="m", manufacturer_model_name="n", software_versions="1", device_serial_number="2",
            transfer_syntax_uid=syntax, omit_empty_frames=omit, **more,
        )  # fmt: skip
        seg.save_as(path)
    return path


def place(region, grid):
    """Full mask of a region on the source grid, of which its own grid holds some slices."""
    offset = grid.to_index(region.grid.affine[:3, 3])
    assert np.allclose(offset, np.round(offset), atol=1e-5)
    assert np.allclose(region.grid.affine[:3, :3], grid.affine[:3, :3], atol=1e-6)
    k = round(float(offset[2]))
    full = np.zeros(grid.shape, bool)
    full[k : k + region.grid.shape[0]] = region.mask()
    return full


def random_masks(shape, n, *, seed=0, density=0.3):
    return np.random.default_rng(seed).random((*shape, n)) < density


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), angles=st.tuples(*[st.floats(-180, 180)] * 3), omit=st.booleans())
def test_overlapping_bits_come_back_identical_on_oblique_grids(tmp_path_factory, seed, angles, omit):
    grid = make_grid(ODD, angles=angles)
    masks = random_masks(ODD, 3, seed=seed)
    masks[0] = masks[-1] = masks[2] = False
    path = write(tmp_path_factory.mktemp("s") / "s.dcm", masks, grid, "BINARY", labels=["a", "b", "c"], omit=omit)
    regions = read_seg(path, log=NoticeLog())
    assert [r.name for r in regions] == ["a", "b", "c"]
    assert regions[0].grid.shape[0] == (3 if omit else 5)
    assert all(np.array_equal(place(r, grid), masks[..., i]) for i, r in enumerate(regions))


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless, JPEG2000Lossless])
@pytest.mark.parametrize("kind", ["FRACTIONAL", "LABELMAP"])
def test_bytes_come_back_identical_in_every_encoding(tmp_path, kind, syntax):
    if syntax == JPEG2000Lossless:
        pytest.importorskip("openjpeg")
    shape = (3, 33, 35)
    grid = make_grid(shape)
    labels = np.random.default_rng(1).integers(0, 3, shape).astype(np.uint8)
    pixels = labels if kind == "LABELMAP" else np.stack([labels == 1, labels == 2], axis=-1).astype(float)
    regions = read_seg(
        write(tmp_path / "s.dcm", pixels, grid, kind, labels=["one", "two"], syntax=syntax), log=NoticeLog()
    )
    assert all(np.array_equal(place(r, grid), labels == r.label) for r in regions)
    assert all(r.attributes["segmentation_type"] == kind for r in regions)


def test_a_deflated_file_is_read(tmp_path):
    grid = make_grid(ODD)
    masks = random_masks(ODD, 1)
    path = write(tmp_path / "s.dcm", masks, grid, "BINARY", labels=["a"])
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.save_as(path)
    (region,) = read_seg(path, log=NoticeLog())
    assert np.array_equal(place(region, grid), masks[..., 0])


def test_deflated_frames_are_read(tmp_path):
    # PS3.5 A.4.13 compresses each frame by itself, bits padded to whole bytes per frame.
    import zlib

    from pydicom.encaps import encapsulate

    grid = make_grid(ODD)
    masks = random_masks(ODD, 1)
    path = write(tmp_path / "s.dcm", masks, grid, "BINARY", labels=["a"], omit=False)
    dataset = pydicom.dcmread(path)
    frames = []
    for frame in dataset.pixel_array:
        pack = zlib.compressobj(wbits=-15)
        frames.append(pack.compress(np.packbits(frame, bitorder="little").tobytes()) + pack.flush())
    dataset.PixelData = encapsulate([f + b"\0" * (len(f) % 2) for f in frames])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = JPEGLSLossless  # pydicom does not know the syntax; its name is put in below
    dataset.save_as(path)
    path.write_bytes(path.read_bytes().replace(b"1.2.840.10008.1.2.4.80", b"1.2.840.10008.1.2.8.1\0", 1))
    (region,) = read_seg(path, log=NoticeLog())
    assert np.array_equal(place(region, grid), masks[..., 0])


def test_sixteen_bit_label_maps_and_palettes_are_read(tmp_path):
    hd = pytest.importorskip("highdicom")
    grid = make_grid((3, 20, 20))
    labels = np.arange(1200).reshape(grid.shape) % 301
    names = [f"segment {i}" for i in range(1, 301)]
    path = write(tmp_path / "w.dcm", labels.astype(np.uint16), grid, "LABELMAP", labels=names)
    assert pydicom.dcmread(path).BitsAllocated == 16
    regions = read_seg(path, log=NoticeLog())
    assert [r.name for r in regions] == names
    assert all(np.array_equal(place(r, grid), labels == r.label) for r in regions[::50])
    colours = [
        hd.PaletteColorLUT(first_mapped_value=0, lut_data=np.arange(3, dtype=np.uint8), color=c)
        for c in ("red", "green", "blue")
    ]
    table = hd.PaletteColorLUTTransformation(*colours, palette_color_lut_uid=generate_uid())
    few = (labels % 3).astype(np.uint8)
    path = write(tmp_path / "p.dcm", few, grid, "LABELMAP", labels=["a", "b"], palette_color_lut_transformation=table)
    assert pydicom.dcmread(path).PhotometricInterpretation == "PALETTE COLOR"
    assert all(np.array_equal(place(r, grid), few == r.label) for r in read_seg(path, log=NoticeLog()))


def test_fractions_are_cut_at_the_threshold_and_the_threshold_is_told(tmp_path):
    grid = make_grid(ODD)
    fraction = np.random.default_rng(2).random((*ODD, 1))
    path = write(tmp_path / "s.dcm", fraction, grid, "FRACTIONAL", labels=["p"])
    stored = np.round(fraction[..., 0] * 255)
    for threshold in (0.1, 0.5, 0.9, 1.0):
        log = NoticeLog()
        (region,) = read_seg(path, log=log, threshold=threshold)
        assert np.array_equal(place(region, grid), stored >= threshold * 255)
        assert [(n.code, n.used) for n in log if n.code != "SEGMENT_EMPTY"] == [("SEG_FRACTIONAL_THRESHOLD", threshold)]
    with pytest.raises(InputError, match="threshold"):
        read_seg(path, log=NoticeLog(), threshold=0.0)


def test_frames_in_any_order_and_segments_without_frames_are_fine(tmp_path):
    grid = make_grid(ODD)
    masks = random_masks(ODD, 3)
    masks[..., 1] = False
    path = write(tmp_path / "s.dcm", masks, grid, "BINARY", labels=["a", "none", "c"])
    dataset = pydicom.dcmread(path)
    order = np.random.default_rng(0).permutation(dataset.NumberOfFrames)
    frames = dataset.pixel_array[order]
    groups = list(dataset.PerFrameFunctionalGroupsSequence)
    dataset.PerFrameFunctionalGroupsSequence = [groups[i] for i in order]
    dataset.PixelData = np.packbits(frames.ravel(), bitorder="little").tobytes() + b"\0"
    dataset.save_as(path)
    log = NoticeLog()
    regions = read_seg(path, log=log)
    assert [r.voxels for r in regions] == masks.sum(axis=(0, 1, 2)).tolist()
    assert all(np.array_equal(place(r, grid), masks[..., i]) for i, r in enumerate(regions) if i != 1)
    assert [n.code for n in log] == ["SEGMENT_EMPTY"]


def test_labels_numbers_and_codes_are_kept(tmp_path):
    grid = make_grid(ODD)
    path = write(tmp_path / "s.dcm", random_masks(ODD, 1), grid, "BINARY", labels=["Läsion, hepatic (1)"])
    (region,) = read_seg(path, log=NoticeLog())
    assert (region.name, region.label, region.source) == ("Läsion, hepatic (1)", 1, str(path))
    assert region.tracking_uid == generate_uid(entropy_srcs=["Läsion, hepatic (1)"])
    assert region.attributes["property"] == "Neoplasm"
    assert region.attributes["algorithm"] == "MANUAL"
    assert region.grid.frame_of_reference_uid == FRAME


def _short_pixels(dataset):
    dataset.PixelData = dataset.PixelData[:20]


def _no_position(dataset):
    del dataset.PerFrameFunctionalGroupsSequence[1].PlanePositionSequence


def _unknown_segment(dataset):
    dataset.PerFrameFunctionalGroupsSequence[0].SegmentIdentificationSequence[0].ReferencedSegmentNumber = 9


def _uneven(dataset):
    place = dataset.PerFrameFunctionalGroupsSequence[1].PlanePositionSequence[0]
    place.ImagePositionPatient = [-50, -70, -298.4]


def _no_groups(dataset):
    del dataset.PerFrameFunctionalGroupsSequence


def _strange_type(dataset):
    dataset.SegmentationType = "SURFACE"


def _another_class(dataset):
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.128"


def _twice(dataset):
    first, second = dataset.PerFrameFunctionalGroupsSequence[:2]  # both of segment 1
    second.PlanePositionSequence = first.PlanePositionSequence


DAMAGE = [_short_pixels, _no_position, _unknown_segment, _uneven, _no_groups, _strange_type, _another_class, _twice]


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_objects_are_refused(tmp_path, damage):
    grid = make_grid(ODD)
    path = write(tmp_path / "s.dcm", random_masks(ODD, 2), grid, "BINARY", labels=["a", "b"])
    dataset = pydicom.dcmread(path)
    damage(dataset)
    dataset.save_as(path)
    with pytest.raises(InputError) as caught:
        read_seg(path, log=NoticeLog())
    assert caught.value.where == str(path)


def test_truncated_files_are_refused(tmp_path):
    grid = make_grid(ODD)
    data = write(tmp_path / "s.dcm", random_masks(ODD, 2), grid, "BINARY", labels=["a", "b"]).read_bytes()
    cut = tmp_path / "cut.dcm"
    for size in range(0, len(data), len(data) // 60):
        cut.write_bytes(data[:size])
        with pytest.raises(InputError):
            read_seg(cut, log=NoticeLog())
