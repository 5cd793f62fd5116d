"""Seeded builders of valid inputs, for fusin's own tests and for authors of plug-ins.

A test names only what it is about::

    folder = make_pet_series(tmp_path, units="CNTS", dialect="PHILIPS", tags={"PatientWeight": None})

Everything else is a sane default: 8 slices of 16 x 16, ``suv_pattern()`` as SUVbw, 70 kg, 150 MBq
Ga-68 injected one hour before the scan, decay-corrected to its start.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydicom import dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from fusin._ibsi_dro import IbsiDro, dro_volume, ibsi_dro, ibsi_dro_ids
from fusin._jpeg_lossless import encode_jpeg_lossless
from fusin.errors import InputError
from fusin.imaging.dicom_headers import InjectionHeader, StudyHeader
from fusin.imaging.dicom_write import (
    write_ct_series,
    write_enhanced_pet,
    write_legacy_enhanced_pet,
    write_nm,
    write_pet_series,
)
from fusin.imaging.volume import Grid, Volume

__all__ = [
    "SCANNER_HALF_LIFE_S",
    "TRANSFER_SYNTAXES",
    "IbsiDro",
    "PetSetup",
    "assert_same_geometry",
    "assert_volumes_close",
    "dro_volume",
    "hu_pattern",
    "ibsi_dro",
    "ibsi_dro_ids",
    "make_ct_series",
    "make_enhanced_pet",
    "make_grid",
    "make_legacy_enhanced_pet",
    "make_nac_series",
    "make_nm",
    "make_pet_series",
    "suv_pattern",
]

TRANSFER_SYNTAXES = {
    "implicit": ImplicitVRLittleEndian,
    "explicit": ExplicitVRLittleEndian,
    "big_endian": ExplicitVRBigEndian,
    "rle": RLELossless,
    "jpegls": JPEGLSLossless,
    "jpeg2000": JPEG2000Lossless,
    "jpeg_lossless": JPEGLosslessSV1,
}
"""Names of transfer syntaxes. The JPEG ones need the codecs of the extra ``compressed`` to read or write; the
encoder of JPEG 2000 wants at least 32 rows and columns."""

SCANNER_HALF_LIFE_S = {"F-18": 6586.2, "Ga-68": 4062.6, "Zr-89": 282276.0, "Cu-64": 45721.0, "Lu-177": 574300.8}
"""Half-lives in seconds as scanners write them into (0018,1075); a header's own value, not a reference."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PetSetup:
    """Patient and injection of a synthetic PET, in the words of a test.

    Attributes
    ----------
    weight_kg, height_m, sex : patient
    activity_mbq, nuclide, radiopharmaceutical : injection
    half_life_s : None takes ``SCANNER_HALF_LIFE_S``
    acquisition_start : start of the scan
    uptake_s : time between injection and scan in seconds
    """

    weight_kg: float = 70.0
    height_m: float | None = 1.70
    sex: str = "F"
    activity_mbq: float = 150.0
    nuclide: str = "Ga-68"
    radiopharmaceutical: str = "Pentixafor"
    half_life_s: float | None = None
    acquisition_start: datetime = datetime(2024, 1, 15, 10, 0)
    uptake_s: float = 3600.0

    def study(self) -> StudyHeader:
        """Study header of this patient; the study starts ten minutes before the scan."""
        start = self.acquisition_start - timedelta(minutes=10)
        return StudyHeader(weight_kg=self.weight_kg, height_m=self.height_m, sex=self.sex, study_datetime=start)

    def injection(self) -> InjectionHeader:
        """Injection header.

        Raises
        ------
        InputError
            For a nuclide without a default half-life when none is given.
        """
        half_life_s = self.half_life_s or SCANNER_HALF_LIFE_S.get(self.nuclide)
        if half_life_s is None:
            raise InputError("PET setup", "nuclide", self.nuclide, "half_life_s, or a nuclide with a default")
        return InjectionHeader(
            activity_mbq=self.activity_mbq,
            time=self.acquisition_start - timedelta(seconds=self.uptake_s),
            half_life_s=half_life_s,
            nuclide=self.nuclide,
            radiopharmaceutical=self.radiopharmaceutical,
        )


_SETUP_FIELDS = tuple(PetSetup.__dataclass_fields__)


def make_grid(
    shape: Sequence[int] = (8, 16, 16),
    *,
    spacing_mm: Sequence[float] = (4.0, 4.0, 3.0),
    origin_mm: Sequence[float] = (-30.0, -30.0, -100.0),
    directions: ArrayLike | None = None,
    frame_of_reference_uid: str = "",
) -> Grid:
    """Build a grid.

    Parameters
    ----------
    shape : (slices, rows, columns)
    spacing_mm : along (column, row, slice) axes in millimetres
    origin_mm : LPS millimetres of the centre of the first voxel
    directions : (3, 3), columns are the unit vectors of the column, row and slice axes; default: axial
    frame_of_reference_uid : empty to take that of the study
    """
    affine = np.eye(4)
    affine[:3, :3] = (np.eye(3) if directions is None else np.asarray(directions)) * np.asarray(spacing_mm)
    affine[:3, 3] = origin_mm
    slices, rows, columns = (int(n) for n in shape)
    return Grid(shape=(slices, rows, columns), affine=affine, frame_of_reference_uid=frame_of_reference_uid)


def suv_pattern(shape: Sequence[int] = (8, 16, 16), *, seed: int = 0) -> NDArray[np.float32]:
    """SUVbw of a test volume: noise around a level that tells the slices apart, and one hot block.

    Parameters
    ----------
    shape : (slices, rows, columns)
    seed : of the noise

    Returns
    -------
    float32; slice k lies around 1 + 0.1 k, the block in the middle is 10.0 exactly
    """
    slices, rows, columns = (int(n) for n in shape)
    noise = np.random.default_rng(seed).uniform(-0.05, 0.05, (slices, rows, columns))
    values = 1.0 + 0.1 * np.arange(slices)[:, None, None] + noise
    block = tuple(slice(n // 2, n // 2 + max(1, n // 8)) for n in (slices, rows, columns))
    values[block] = 10.0
    return values.astype(np.float32)


def hu_pattern(shape: Sequence[int] = (8, 16, 16), *, seed: int = 0) -> NDArray[np.int16]:
    """Hounsfield units of a test volume: air outside, soft tissue with noise inside.

    Parameters
    ----------
    shape : (slices, rows, columns)
    seed : of the noise
    """
    slices, rows, columns = (int(n) for n in shape)
    values = np.full((slices, rows, columns), -1000, dtype=np.int16)
    inside = (slice(None), slice(rows // 8, -(rows // 8) or None), slice(columns // 8, -(columns // 8) or None))
    values[inside] = np.random.default_rng(seed).integers(20, 61, values[inside].shape)
    return values


def _volume(values: ArrayLike | None, grid: Grid | None, unit: str, seed: int) -> Volume:
    if values is None:
        shape = grid.shape if grid else (8, 16, 16)
        values = hu_pattern(shape, seed=seed) if unit == "[hnsf'U]" else suv_pattern(shape, seed=seed)
    array = np.asarray(values)
    return Volume(values=array, grid=grid or make_grid(array.shape), unit=unit)


def _split(options: dict[str, Any]) -> tuple[PetSetup, dict[str, Any]]:
    """Separate fields of the setup from arguments of the writer, and fill in the headers."""
    setup = PetSetup(**{name: options.pop(name) for name in _SETUP_FIELDS if name in options})
    options.setdefault("study", setup.study())
    options.setdefault("injection", setup.injection())
    options.setdefault("acquisition_start", setup.acquisition_start)
    return setup, options


def make_pet_series(
    folder: Path,
    *,
    values: ArrayLike | None = None,
    grid: Grid | None = None,
    unit: str = "g/ml{SUVbw}",
    transfer_syntax: str = "explicit",
    seed: int = 0,
    **options: Any,
) -> Path:
    """Write a classic PET series and return its folder.

    Parameters
    ----------
    folder : created when absent
    values : (slices, rows, columns) in ``unit``; default: ``suv_pattern`` on the grid's shape
    grid : default: ``make_grid`` of the values' shape
    unit : ``"g/ml{SUVbw}"``, or ``"Bq/ml"`` decay-corrected to the scan start
    transfer_syntax : a name of ``TRANSFER_SYNTAXES``
    seed : of the pattern and of all UIDs
    **options : fields of ``PetSetup`` (``weight_kg=70.0``...), and arguments of ``write_pet_series``
        (``dialect``, ``units``, ``suv_type``, ``decay``, ``beds``, ``frame_duration_s``, ``slopes``,
        ``tags={"PatientWeight": None}`` to delete, ``injection_tags``, ``slice_tags``, ``study``...)

    Returns
    -------
    the folder

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> len(list(make_pet_series(Path(mkdtemp()), units="GML").glob("*.dcm")))
    8
    """
    options = _split(options)[1]
    syntax, compress = _syntax(transfer_syntax)
    volume = _volume(values, grid, unit, seed)
    seed_uid = options.pop("seed_uid", f"pet-{seed}")
    paths = write_pet_series(folder, volume, seed_uid=seed_uid, transfer_syntax=syntax, **options)
    if compress:
        _compress_jpeg_lossless(paths)
    return folder


def make_nac_series(folder: Path, *, seed: int = 0, **options: Any) -> Path:
    """Write a PET series without attenuation and scatter correction; parameters as ``make_pet_series``."""
    preset = {"description": "PET NAC", "series_number": 5, "attenuation_corrected": False, "seed_uid": f"nac-{seed}"}
    return make_pet_series(folder, seed=seed, **{**preset, **options})


def make_ct_series(
    folder: Path,
    *,
    values: ArrayLike | None = None,
    grid: Grid | None = None,
    transfer_syntax: str = "explicit",
    seed: int = 0,
    **options: Any,
) -> Path:
    """Write a CT series and return its folder; it shares study and frame of reference with ``make_pet_series``.

    Parameters
    ----------
    folder : created when absent
    values : (slices, rows, columns) Hounsfield units; default: ``hu_pattern``
    grid : default: ``make_grid`` of the values' shape
    transfer_syntax : a name of ``TRANSFER_SYNTAXES``
    seed : of the pattern and of all UIDs
    **options : arguments of ``write_ct_series``
    """
    syntax, compress = _syntax(transfer_syntax)
    options.setdefault("study", PetSetup().study())
    volume = _volume(values, grid, "[hnsf'U]", seed)
    paths = write_ct_series(folder, volume, seed_uid=f"ct-{seed}", transfer_syntax=syntax, **options)
    if compress:
        _compress_jpeg_lossless(paths)
    return folder


def make_enhanced_pet(
    folder: Path,
    *,
    values: ArrayLike | None = None,
    grid: Grid | None = None,
    unit: str = "g/ml{SUVbw}",
    seed: int = 0,
    **options: Any,
) -> Path:
    """Write one Enhanced PET object and return its path; options as ``PetSetup`` and ``write_enhanced_pet``."""
    options = _split(options)[1]
    volume = _volume(values, grid, unit, seed)
    return write_enhanced_pet(folder / "enhanced_pet.dcm", volume, seed_uid=f"enhanced-{seed}", **options)


def make_legacy_enhanced_pet(folder: Path, *, seed: int = 0, **options: Any) -> Path:
    """Write one Legacy Converted Enhanced PET object and return its path; options as ``make_pet_series``.

    The classic series it is converted from is left in ``folder / "classic"``.
    """
    classic = make_pet_series(folder / "classic", seed=seed, **options)
    slices = [dcmread(path) for path in sorted(classic.glob("*.dcm"))]
    return write_legacy_enhanced_pet(folder / "legacy_enhanced_pet.dcm", slices, seed_uid=f"legacy-{seed}")


def make_nm(
    folder: Path,
    *,
    values: ArrayLike | None = None,
    grid: Grid | None = None,
    unit: str = "{counts}",
    seed: int = 0,
    **options: Any,
) -> Path:
    """Write one multi-frame NM object and return its path; default: a Lu-177 SPECT in counts.

    Parameters
    ----------
    folder : created when absent
    values : (slices, rows, columns) in ``unit``; default: 100 times ``suv_pattern``
    grid : default: ``make_grid`` of the values' shape
    unit : ``"{counts}"`` or ``"Bq/ml"``
    seed : of the pattern and of all UIDs
    **options : fields of ``PetSetup`` and arguments of ``write_nm`` (``kind="TOMO"``...)
    """
    preset = {"nuclide": "Lu-177", "activity_mbq": 7400.0, "radiopharmaceutical": "Pentixather", "uptake_s": 86400.0}
    options = _split({**preset, **options})[1]
    if values is None:
        values = np.rint(100.0 * suv_pattern(grid.shape if grid else (8, 16, 16), seed=seed))
    return write_nm(folder / "nm.dcm", _volume(values, grid, unit, seed), seed_uid=f"nm-{seed}", **options)


def _syntax(name: str) -> tuple[str, bool]:
    """Transfer syntax for the writer, and whether the files are to be compressed afterwards."""
    if name not in TRANSFER_SYNTAXES:
        raise InputError("builder", "transfer_syntax", name, f"one of {sorted(TRANSFER_SYNTAXES)}")
    late = name == "jpeg_lossless"
    return str(TRANSFER_SYNTAXES["explicit" if late else name]), late


def _compress_jpeg_lossless(paths: Sequence[Path]) -> None:
    for path in paths:
        ds = dcmread(path)
        stored = ds.pixel_array
        ds.add_new(0x7FE00010, "OB", encapsulate([encode_jpeg_lossless(stored)]))
        ds["PixelData"].is_undefined_length = True
        ds.file_meta.TransferSyntaxUID = JPEGLosslessSV1
        ds.save_as(path, enforce_file_format=True)


def assert_same_geometry(a: Grid, b: Grid, *, tolerance_mm: float = 1e-3) -> None:
    """Fail unless two grids have the same voxels in the same frame of reference.

    Parameters
    ----------
    a, b : grids; an empty frame of reference agrees with any
    tolerance_mm : largest distance between corresponding voxel centres in millimetres
    """
    assert a.shape == b.shape, f"shapes differ: {a.shape} and {b.shape}"
    assert a.same_frame(b), f"frames differ: {a.frame_of_reference_uid} and {b.frame_of_reference_uid}"
    assert a.matches(b, tolerance_mm=tolerance_mm), f"voxels lie elsewhere:\n{a.affine}\n{b.affine}"


def assert_volumes_close(a: Volume, b: Volume, *, atol: float = 0.0, rtol: float = 1e-6) -> None:
    """Fail unless two volumes have the same geometry, unit and, within a tolerance, values.

    Parameters
    ----------
    a, b : volumes
    atol, rtol : as in ``numpy.testing.assert_allclose``
    """
    assert_same_geometry(a.grid, b.grid)
    assert a.unit == b.unit, f"units differ: {a.unit!r} and {b.unit!r}"
    np.testing.assert_allclose(a.values, b.values, atol=atol, rtol=rtol)
