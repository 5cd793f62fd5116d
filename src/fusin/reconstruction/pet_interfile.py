"""PET sinograms with Interfile headers as STIR, SIRF and vendors' converters write them, read and written.

What is read is turned into patient coordinates by how the patient lay (:mod:`fusin.reconstruction.pet_position`). Timing bins of a
file are turned too: its positive ones lie nearer to the first crystal.

References
----------
Thielemans K et al., Phys Med Biol 2012;57:867 (STIR) · UCL/STIR, examples/samples/PET_Interfile_header.hs and
PET_TOF_Interfile_header_Signa_PETMR.hs; UCL/STIR,
src/recon_buildblock/ProjMatrixByBin.cxx (sign of the timing bins).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fusin.errors import InputError, Unsupported
from fusin.files import write_bytes_atomically
from fusin.provenance import NoticeLog
from fusin.reconstruction.interfile_header import InterfileHeader, read_values
from fusin.reconstruction.pet_geometry import CylindricalScanner, Segment, SinogramGeometry, TofBins
from fusin.reconstruction.pet_position import as_filed, from_head, placed, position_lines, position_of, turned
from fusin.reconstruction.projector import FloatImage

__all__ = ["PetSinogram", "read_geometry", "read_sinogram", "write_sinogram"]

_MM_PER_CM = 10.0
_TANGENTIAL, _AXIAL, _VIEW, _SEGMENT, _TIMING = "tangential", "axial", "view", "segment", "timing"
_ALIGNED_MM = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PetSinogram:
    """Values of a sinogram and its geometry.

    Attributes
    ----------
    geometry : of the bins
    values : of the geometry's ``data_shape``, float32
    kind : what the header says they are, such as ``Emission``
    duration_s : of the acquisition; None where not stated
    inputs : header and binary file
    """

    geometry: SinogramGeometry
    values: FloatImage
    kind: str
    duration_s: float | None
    inputs: tuple[Path, ...]


def read_sinogram(
    path: Path, *, log: NoticeLog, position: str = "", centre_mm: tuple[float, float, float] | None = None
) -> PetSinogram:
    """Read a header and its binary file.

    Parameters
    ----------
    path : of the header
    log : receives notices
    position : HFS, HFP, FFS or FFP, where the header does not say
    centre_mm : middle of the scanner in patient coordinates; the origin, with a notice, without it

    Raises
    ------
    InputError
        For keys that are missing or contradict each other, a missing or truncated binary file, negative values, a wrong byte order.
    Unsupported
        For counts that were corrected already, and scanners that are no cylinder or ring of flat blocks.
    """
    header = InterfileHeader(path)
    filed, axes = _described(header)
    geometry = _placed(header, filed, position, centre_mm, log)
    views, bins = geometry.views, geometry.bins
    timing = 1 if geometry.tof is None else geometry.tof.count
    said = f"{timing} timing bins, {geometry.planes} planes, {views} views and {bins} bins" if geometry.tof else (
        f"{geometry.planes} planes, {views} views and {bins} bins")  # fmt: skip
    stored = read_values(header, timing * geometry.planes * views * bins, said=said)
    values = _sorted(stored, filed, axes)
    return PetSinogram(
        geometry=geometry, values=turned(values, filed, geometry) if from_head(geometry) else values,
        kind=header.text("PET data type") or "Emission",
        duration_s=_duration(header), inputs=(path, header.data_path()),
    )  # fmt: skip


def read_geometry(
    path: Path, *, log: NoticeLog, position: str = "", centre_mm: tuple[float, float, float] | None = None
) -> tuple[SinogramGeometry, float | None]:
    """Read a header alone: the geometry of a scanner for list mode, and the time of the acquisition where it is stated [s].

    Parameters
    ----------
    path : of the header; its binary file need not exist
    log : receives notices
    position, centre_mm : as for `read_sinogram`

    Raises
    ------
    InputError, Unsupported
        As `read_sinogram`.
    """
    header = InterfileHeader(path)
    geometry, _ = _described(header)
    return _placed(header, geometry, position, centre_mm, log), _duration(header)


def _placed(
    header: InterfileHeader, filed: SinogramGeometry, position: str, centre_mm: tuple[float, float, float] | None, log: NoticeLog
) -> SinogramGeometry:  # fmt: skip
    way = position_of(header, position, log)
    if filed.bin_mm is not None:
        log.adapted("SINOGRAM_ARC_CORRECTED", f"the data are arc corrected, to bins of {filed.bin_mm:.4g} mm: resampled counts are "
                    "not independent, so that intervals come out too narrow", where=header.where, used=filed.bin_mm)  # fmt: skip
    if centre_mm is None:
        log.info("SCANNER_MIDDLE_ASSUMED", "the middle of the scanner was taken as the origin of the patient coordinates",
                 where=header.where, used=[0.0, 0.0, 0.0])  # fmt: skip
    return placed(filed, way, centre_mm or (0.0, 0.0, 0.0))


def _duration(header: InterfileHeader) -> float | None:
    found = header.number("image duration (sec)[1]", "image duration (sec) [1]", "image duration (sec)")
    # Writers that do not know the time put 0 or -1.
    return found if found is not None and found > 0 else None


def _described(header: InterfileHeader) -> tuple[SinogramGeometry, tuple[str, ...]]:
    """Geometry of a header, and the names of its axes."""
    for key in ("type of data", "imaging modality"):
        kind = header.text(key).lower()
        if kind and not kind.startswith(("pet", "pt")):
            raise InputError(header.where, key, kind[:40], "PET")
    corrections = header.text("applied corrections").lower()
    arc_corrected = "arccorrect" in corrections.replace("_", "").replace(" ", "")
    made = sorted(w for w in ("attenuation", "scatter", "random", "normali") if w in corrections)
    if made:
        raise Unsupported(
            "a PET reconstruction",
            f"the data of {header.where} are corrected already: {corrections.strip('{} ')[:60]}",
            "counts as they were detected, with the corrections in the model",
            "SINOGRAM_CORRECTED",
        )
    axes, sizes = _axes(header)
    segments = _segments(header, sizes)
    scanner = _scanner(header)
    views, bins = sizes[_VIEW], sizes[_TANGENTIAL]
    half = scanner.crystals // 2
    if half % views:
        raise InputError(
            header.where, "matrix size of view", views, f"a divisor of {half}, half of the {scanner.crystals} crystals"
        )
    geometry = SinogramGeometry(
        scanner=scanner,
        bins=bins,
        segments=segments,
        mashing=half // views,
        tof=_tof(header, sizes),
        bin_mm=_bin_mm(header) if arc_corrected else None,
    )
    planes = header.wholes(f"matrix size [{axes.index(_AXIAL) + 1}]")
    if planes != geometry.planes_of_segment:
        raise InputError(header.where, "axial coordinate", list(planes), f"the planes {list(geometry.planes_of_segment)} that "
                         f"{scanner.rings} rings have in these segments")  # fmt: skip
    return geometry, axes


def _axes(header: InterfileHeader) -> tuple[tuple[str, ...], dict[str, int]]:
    """Names of the axes, the fastest first, and their lengths; that of the planes stands for the segments."""
    count = header.whole("number of dimensions", default=4)
    known = (_TANGENTIAL, _AXIAL, _VIEW, _SEGMENT, _TIMING)
    names: list[str] = []
    sizes: dict[str, int] = {}
    for k in range(1, min(count, 5) + 1):
        label = header.text(f"matrix axis label [{k}]").lower()
        name = next((n for n in known if label.startswith(n)), "")
        if not name or name in names:
            raise InputError(header.where, f"matrix axis label [{k}]", label or "nothing",
                             "tangential coordinate, axial coordinate, view, segment and timing positions, each once")  # fmt: skip
        names.append(name)
        if name != _AXIAL:
            sizes[name] = header.whole(f"matrix size [{k}]")
    orders = [
        (_TANGENTIAL, a, b, _SEGMENT, *t) for a, b in ((_AXIAL, _VIEW), (_VIEW, _AXIAL)) for t in ((), (_TIMING,))
    ]
    if tuple(names) not in orders:
        raise InputError(header.where, "matrix axis label", names, "tangential coordinate first, then view and axial coordinate in "
                         "either order, then segment, then timing positions")  # fmt: skip
    return tuple(names), sizes


def _bin_mm(header: InterfileHeader) -> float:
    """Width of arc-corrected bins."""
    names = ("effective central bin size (cm)", "default bin size (cm)")
    return _MM_PER_CM * header.positive(*names)


def _segments(header: InterfileHeader, sizes: dict[str, int]) -> tuple[Segment, ...]:
    low, high = (
        header.wholes("minimum ring difference per segment"),
        header.wholes("maximum ring difference per segment"),
    )
    if len(low) != sizes[_SEGMENT] or len(high) != sizes[_SEGMENT]:
        raise InputError(header.where, "ring difference per segment", f"{len(low)} minima and {len(high)} maxima",
                         f"one of each for the {sizes[_SEGMENT]} segments")  # fmt: skip
    return tuple(Segment(a, b) for a, b in zip(low, high, strict=True))


def _scanner(header: InterfileHeader) -> CylindricalScanner:
    radius = 0.5 * header.positive("inner ring diameter (cm)") + (
        header.number("average depth of interaction (cm)") or 0.0
    )
    low = header.number("energy window lower level[1]", "energy window lower level")
    high = header.number("energy window upper level[1]", "energy window upper level")
    blocks, pitch, per, gap = _blocks(header)
    pitch_mm = _MM_PER_CM * header.positive("distance between rings (cm)")
    return CylindricalScanner(
        crystals=header.whole("number of detectors per ring"), rings=header.whole("number of rings"),
        radius_mm=_MM_PER_CM * radius, ring_pitch_mm=pitch_mm, tilt_deg=header.number("view offset (degrees)") or 0.0,
        blocks=blocks, crystal_pitch_mm=pitch, rings_per_block=per, ring_gap_mm=gap,
        energy_resolution=header.number("energy resolution") or None,
        energy_window_kev=None if low is None or high is None else (low, high),
        name=header.text("scanner type", "originating system") or "unknown",
    )  # fmt: skip


def _blocks(header: InterfileHeader) -> tuple[int, float | None, int, float]:
    """(blocks in a ring, crystal pitch, rings per block, gap) where crystals lie on flat blocks."""
    names = ("scanner geometry (BlocksOnCylindrical/Cylindrical/Generic)", "scanner geometry")
    shape = header.text(*names).lower() or "cylindrical"
    if shape == "cylindrical":
        return 0, None, 0, 0.0
    per_bucket = header.whole("number of blocks per bucket in transaxial direction", default=1)
    if shape != "blocksoncylindrical" or per_bucket != 1:
        raise Unsupported("a PET reconstruction", f"{header.where}: scanner {shape}, {per_bucket} blocks in a bucket",
                          "a cylinder, or flat blocks one by one", "SCANNER_SHAPE")  # fmt: skip
    per_ring = header.whole("number of crystals per block in transaxial direction")
    crystals = header.whole("number of detectors per ring")
    if crystals % per_ring:
        raise InputError(
            header.where, "number of crystals per block in transaxial direction", per_ring, f"a divisor of {crystals}"
        )
    along = header.whole("number of crystals per block in axial direction")
    pitch = header.positive("distance between rings (cm)")
    between = header.number("distance between blocks in axial direction (cm)")
    gap = 0.0 if between is None else _MM_PER_CM * (between - along * pitch)
    return (crystals // per_ring, _MM_PER_CM * header.positive("distance between crystals in transaxial direction (cm)"), along,
            gap if gap > _ALIGNED_MM else 0.0)  # fmt: skip


def _tof(header: InterfileHeader, sizes: dict[str, int]) -> TofBins | None:
    if _TIMING not in sizes or sizes[_TIMING] == 1:
        return None
    width = header.positive("size of unmashed TOF time bins (ps)") * header.whole("TOF mashing factor", default=1)
    resolution = header.positive("TOF timing resolution (ps)")
    return TofBins(count=sizes[_TIMING], width_ps=width, resolution_ps=resolution)


def _sorted(stored: FloatImage, geometry: SinogramGeometry, axes: tuple[str, ...]) -> FloatImage:
    """Values of the file in the order of the geometry."""
    timing = 1 if geometry.tof is None else geometry.tof.count
    out = np.empty((geometry.views, timing, geometry.bins, geometry.planes), np.float32)
    # STIR's positive timing bins lie nearer to the first crystal, ours to the second.
    blocks = stored.reshape(timing, -1)[::-1]
    first = 0
    for where, planes in zip(geometry.segment_slices(), geometry.planes_of_segment, strict=True):
        size = planes * geometry.views * geometry.bins
        block = blocks[:, first : first + size]
        if axes.index(_AXIAL) < axes.index(_VIEW):
            out[..., where] = block.reshape(timing, geometry.views, planes, geometry.bins).transpose(1, 0, 3, 2)
        else:
            out[..., where] = block.reshape(timing, planes, geometry.views, geometry.bins).transpose(2, 0, 3, 1)
        first += size
    return out.reshape(geometry.data_shape)


def write_sinogram(
    path: Path,
    geometry: SinogramGeometry,
    values: FloatImage,
    *,
    kind: str = "Emission",
    duration_s: float | None = None,
) -> tuple[Path, Path]:
    """Write a header and, beside it, a binary file of little-endian floats that STIR and `read_sinogram` read.

    Parameters
    ----------
    path : of the header, ``.hs``; the binary file has the same name with ``.s``
    geometry : of the sinogram; the format has no place for its middle, which the reader has to be told
    values : of the geometry's ``data_shape``
    kind : PET data type
    duration_s : of the acquisition

    Raises
    ------
    InputError
        For values of another shape, or a path that is no ``.hs``.
    """
    if path.suffix.lower() != ".hs":
        raise InputError(path.name, "name", path.suffix, "a header with the ending .hs")
    if tuple(values.shape) != geometry.data_shape:
        raise InputError(path.name, "values", tuple(values.shape), f"the shape {geometry.data_shape} of the sinogram")
    filed = as_filed(geometry)
    timing = 1 if geometry.tof is None else geometry.tof.count
    stored = turned(values, geometry, filed) if from_head(geometry) else values
    held = np.asarray(stored, dtype="<f4").reshape(geometry.views, timing, geometry.bins, geometry.planes)
    parts = [
        held[:, t, :, where].transpose(0, 2, 1).tobytes()
        for t in reversed(range(timing))
        for where in filed.segment_slices()
    ]
    binary = path.with_suffix(".s")
    write_bytes_atomically(binary, b"".join(parts))
    write_bytes_atomically(
        path,
        "\n".join(_header_lines(filed, binary.name, kind, duration_s, position_lines(geometry))).encode(
            "ascii", "replace"
        ),
    )
    return path, binary


def _header_lines(
    geometry: SinogramGeometry, binary: str, kind: str, duration_s: float | None, position: list[str]
) -> list[str]:
    def braces(numbers: object) -> str:
        return "{ " + ", ".join(str(n) for n in numbers) + " }"  # type: ignore[attr-defined]

    tof = geometry.tof
    lines = [
        "!INTERFILE  :=", "!imaging modality := PT", f"name of data file := {binary}",
        f"originating system := {geometry.scanner.name}", "!version of keys := STIR4.0", "!GENERAL DATA :=",
        "!GENERAL IMAGE DATA :=",
        "!type of data := PET", *position,
        "imagedata byte order := LITTLEENDIAN", "!PET STUDY (General) :=", f"!PET data type := {kind}",
        f"applied corrections := {braces(['None' if geometry.bin_mm is None else 'arc correction'])}",
        "!number format := float", "!number of bytes per pixel := 4",
        f"number of dimensions := {4 if tof is None else 5}",
    ]  # fmt: skip
    if tof is not None:
        lines += ["matrix axis label [5] := timing positions", f"!matrix size [5] := {tof.count}"]
    lines += [
        "matrix axis label [4] := segment", f"!matrix size [4] := {len(geometry.segments)}", "matrix axis label [3] := view",
        f"!matrix size [3] := {geometry.views}", "matrix axis label [2] := axial coordinate",
        f"!matrix size [2] := {braces(geometry.planes_of_segment)}", "matrix axis label [1] := tangential coordinate",
        f"!matrix size [1] := {geometry.bins}",
    ]  # fmt: skip
    if tof is not None:
        lines.append("TOF mashing factor := 1")
    lines += [
        f"minimum ring difference per segment := {braces(s.low for s in geometry.segments)}",
        f"maximum ring difference per segment := {braces(s.high for s in geometry.segments)}",
        *_scanner_lines(geometry), "number of time frames := 1",
    ]  # fmt: skip
    if geometry.bin_mm is not None:
        lines.append(f"effective central bin size (cm) := {geometry.bin_mm / _MM_PER_CM!r}")
    if duration_s is not None:
        lines.append(f"image duration (sec)[1] := {duration_s!r}")
    return [*lines, "!END OF INTERFILE :=", ""]


def _scanner_lines(geometry: SinogramGeometry) -> list[str]:
    scanner, tof = geometry.scanner, geometry.tof
    lines = [
        "Scanner parameters:=", f"Scanner type := {scanner.name}", f"Number of rings := {scanner.rings}",
        f"Number of detectors per ring := {scanner.crystals}",
        f"Inner ring diameter (cm) := {2 * scanner.radius_mm / _MM_PER_CM!r}",
        "Average depth of interaction (cm) := 0", f"Distance between rings (cm) := {scanner.ring_pitch_mm / _MM_PER_CM!r}",
        f"View offset (degrees) := {scanner.tilt_deg!r}", f"Maximum number of non-arc-corrected bins := {geometry.bins}",
    ]  # fmt: skip
    if scanner.blocks and scanner.crystal_pitch_mm is not None:
        per = scanner.rings_per_block or scanner.rings
        block_cm = (per * scanner.ring_pitch_mm + scanner.ring_gap_mm) / _MM_PER_CM
        lines += [
            "Scanner geometry (BlocksOnCylindrical/Cylindrical/Generic) := BlocksOnCylindrical",
            "Number of blocks per bucket in transaxial direction := 1", f"Number of crystals per block in axial direction := {per}",
            f"Number of crystals per block in transaxial direction := {scanner.crystals // scanner.blocks}",
            f"Distance between crystals in transaxial direction (cm) := {scanner.crystal_pitch_mm / _MM_PER_CM!r}",
            f"Distance between blocks in axial direction (cm) := {block_cm!r}",
        ]  # fmt: skip
    if tof is not None:
        lines += [f"Maximum number of (unmashed) TOF time bins := {tof.count}",
                  f"Size of unmashed TOF time bins (ps) := {tof.width_ps!r}",
                  f"TOF timing resolution (ps) := {tof.resolution_ps!r}"]  # fmt: skip
    if scanner.energy_resolution is not None:
        lines += [f"Energy resolution := {scanner.energy_resolution!r}", "Reference energy (in keV) := 511"]
    lines.append("end scanner parameters:=")
    if scanner.energy_window_kev is not None:
        low, high = scanner.energy_window_kev
        lines += [
            "number of energy windows:=1",
            f"energy window lower level[1] := {low!r}",
            f"energy window upper level[1] := {high!r}",
        ]
    return lines
