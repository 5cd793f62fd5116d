"""SUV volumes as DICOM Parametric Map objects: float32 values with their unit, readable without SUV rules.

A Real World Value Mapping on the PET slices themselves is not used: by the standard its slope maps stored values,
while PET slices have a rescale slope each, so one SUV factor per series cannot be stated there.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
from highdicom import VOILUTTransformation
from highdicom.pm import ParametricMap, RealWorldValueMapping
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from fusin.errors import InputError
from fusin.imaging.codes import Concept, code
from fusin.imaging.derived_objects import (
    RESEARCH_USE,
    SourceImages,
    derived_uid,
    describe_source,
    equipment,
    fitted_text,
)
from fusin.imaging.frame_groups import Frame, save_with_frames
from fusin.imaging.volume import Volume
from fusin.provenance import NoticeLog, versions

__all__ = ["write_parametric_map"]


def write_parametric_map(
    path: Path | str,
    volume: Volume,
    *,
    source: Sequence[Dataset],
    log: NoticeLog,
    quantity: str = "suvbw",
    series_description: str = "",
    series_number: int = 901,
    window: tuple[float, float] = (0.0, 10.0),
    created: datetime | None = None,
) -> Path:
    """Write a volume as a Parametric Map with 32-bit floating point pixels.

    The stored values are the volume's own; the Real World Value Mapping is the identity and names quantity and unit.

    Parameters
    ----------
    path : file to write; replaced atomically
    volume : values on the grid of the source; NaN marks slices or voxels without a value and is kept
    source : headers of the slices from which the volume was made, or one Enhanced multi-frame header
    log : receives notices
    quantity : name of the quantity in ``codes.toml``; the unit is the volume's
    series_description : at most 64 characters; names quantity, fusin and research use when empty
    series_number : positive
    window : lower and upper value of the recommended display window, in the volume's unit
    created : creation time, now when None; equal inputs with an equal time give equal bytes

    Raises
    ------
    InputError
        Infinite values, no value at all, an unknown unit or quantity, an empty window, or a source that does not
        fit the grid.

    References
    ----------
    DICOM PS3.3 sections A.75 and C.7.6.16.2.11.
    """
    values = np.ascontiguousarray(volume.values, dtype="<f4")
    lowest, highest = _value_range(values)
    if window[1] <= window[0]:
        raise InputError("parametric map", "window", window, "an upper value above the lower one")
    images = describe_source(source, volume.grid, log=log)
    created = created or datetime.now()
    concept = code(quantity)
    description = series_description or f"fusin {versions()['fusin']} {concept.meaning} (research use only)"
    data = values.tobytes()
    identity = derived_uid(images.series_uid, description, created.isoformat(), concept.value, data)
    ds = _skeleton(images, _mapping(concept, code(volume.unit), lowest, highest), volume.unit, window, identity)
    ds.SeriesNumber, ds.SeriesDescription = series_number, fitted_text(description, "SeriesDescription", log)
    # Type 2C: required, possibly empty, wherever the body part could be one of a pair; a whole-body PET has no side.
    ds.Laterality = ""
    return save_with_frames(
        ds, Path(path), source=images, frames=[Frame(index) for index in range(volume.shape[0])],
        derivation="pixel_by_pixel_multiplication", pixels=("FloatPixelData", "OF", data), created=created,
    )  # fmt: skip


def _value_range(values: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> tuple[float, float]:
    """Lowest and highest value; NaN is skipped."""
    if np.isinf(values).any():
        raise InputError("parametric map", "values", "an infinite value", "finite numbers, or NaN where there is none")
    if np.isnan(values).all():
        raise InputError("parametric map", "values", "no value at all", "at least one number")
    return float(np.nanmin(values)), float(np.nanmax(values))


def _mapping(quantity: Concept, unit: Concept, lowest: float, highest: float) -> RealWorldValueMapping:
    """Identity from stored to real world values, with quantity and unit."""
    return RealWorldValueMapping(
        lut_label=quantity.meaning[:16],
        lut_explanation=f"{quantity.meaning}, stored as it is",
        unit=Code(unit.value, unit.scheme, unit.meaning),
        value_range=(lowest, highest),
        slope=1.0,
        intercept=0.0,
        quantity_definition=Code(quantity.value, quantity.scheme, quantity.meaning),
    )


def _skeleton(
    images: SourceImages, mapping: RealWorldValueMapping, unit: str, window: tuple[float, float], identity: str
) -> Dataset:
    """Parametric map with all modules but an empty frame in place of the real ones."""
    return ParametricMap(
        source_images=[images.anchor()],
        pixel_array=np.zeros((1, *images.grid.shape[1:]), dtype=np.float32),
        series_instance_uid=derived_uid("PM series", identity),
        series_number=1,
        sop_instance_uid=derived_uid("PM", identity),
        instance_number=1,
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[mapping],
        voi_lut_transformations=[
            VOILUTTransformation(
                window_center=(window[0] + window[1]) / 2,
                window_width=window[1] - window[0],
                window_explanation=unit,
            )
        ],
        content_description=RESEARCH_USE,
        content_label="SUV",
        **equipment(),
    )
