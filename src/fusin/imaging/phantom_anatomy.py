"""Anatomy of the digital patient: ``phantom.toml`` turned into an ordered list of solids to paint."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal, get_args

import numpy as np

from fusin.errors import InputError
from fusin.imaging.phantom_shapes import Solid, primitives_of
from fusin.imaging.volume import FloatArray

__all__ = ["Arms", "LesionPlan", "Part", "Sex", "Tissue", "anatomy", "lesion_plans", "tissues"]

Sex = Literal["F", "M"]
Arms = Literal["down", "up"]
_SIDES = (("_left", False), ("_right", True))
_CORTEX_MM = 1.5
_CANAL_MM = 8.5
_RIB_STEPS = 22


@dataclass(frozen=True, slots=True, kw_only=True)
class Tissue:
    """What a part is made of.

    Attributes
    ----------
    name : key in ``phantom.toml``
    hu : Hounsfield units
    suv : SUVbw at about 60 min
    tag : ``"published"``, ``"derived"`` or ``"assumed"``
    source : where the uptake comes from, or why it is plausible
    """

    name: str
    hu: float
    suv: float
    tag: str
    source: str


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Part:
    """One solid of one tissue; `organs` are the labels that it belongs to.

    `coarse` marks the large envelopes, whose surface needs fewer sub-grid points; `ct_only` the couch, which a PET
    does not show.
    """

    organs: tuple[str, ...]
    tissue: Tissue
    solid: Solid
    coarse: bool = False
    ct_only: bool = False


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class LesionPlan:
    """One ellipsoidal lesion as planned.

    Attributes
    ----------
    site, coded_site : where it lies, in words and as a name of ``codes.toml``
    centre_mm, semi_axes_mm : (3,) LPS millimetres
    volume_ml : analytic volume
    suv : planted uptake
    """

    name: str
    site: str
    coded_site: str
    tissue: Tissue
    centre_mm: tuple[float, float, float]
    semi_axes_mm: tuple[float, float, float]
    suv: float
    solid: Solid

    @property
    def volume_ml(self) -> float:
        """Volume of the ellipsoid [mL]."""
        return 4.0 / 3.0 * math.pi * math.prod(self.semi_axes_mm) / 1000.0


@cache
def _table() -> Mapping[str, Any]:
    text = resources.files("fusin.imaging").joinpath("phantom.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


@cache
def tissues() -> Mapping[str, Tissue]:
    """Tissues by name, each with attenuation, uptake and the source of the uptake."""
    return {name: Tissue(name=name, **row) for name, row in _table()["tissue"].items()}


@cache
def anatomy(sex: Sex = "M", arms: Arms = "down") -> tuple[Part, ...]:
    """Return the parts of the normal patient in painting order; a later part replaces an earlier one.

    Raises
    ------
    InputError
        For an unknown sex or position of the arms.
    """
    for field, value, choices in (("sex", sex, get_args(Sex)), ("arms", arms, get_args(Arms))):
        if value not in choices:
            raise InputError("phantom", field, value, f"one of {choices}")
    parts: list[Part] = []
    for row in _table()["part"]:
        if row.get("sex", sex) != sex or row.get("arms", arms) != arms:
            continue
        builder = row.get("builder")
        if builder == "spine":
            parts += _spine()
        elif builder == "ribs":
            parts += _ribs()
        else:
            parts += _plain(row, sex, arms)
    return tuple(parts)


def lesion_plans(name: str) -> tuple[LesionPlan, ...]:
    """Lesions of one set: ``"lymphoma"`` or ``"adenoma"``.

    Raises
    ------
    InputError
        For a set that is not in ``phantom.toml``.
    """
    rows = [row for row in _table()["lesion"] if row["set"] == name]
    if not rows:
        raise InputError("phantom", "lesion set", name, f"one of {sorted({r['set'] for r in _table()['lesion']})}")
    return tuple(
        LesionPlan(
            name=row["name"],
            site=row["site"],
            coded_site=row["coded_site"],
            tissue=tissues()[row["tissue"]],
            centre_mm=_triple(row["at"]),
            semi_axes_mm=_triple(row["semi"]),
            suv=float(row["suv"]),
            solid=Solid.of(primitives_of([{"kind": "ellipsoid", **row}], {})),
        )
        for row in rows
    )


def _triple(values: Sequence[float]) -> tuple[float, float, float]:
    a, b, c = (float(v) for v in values)
    return a, b, c


def _plain(row: Mapping[str, Any], sex: Sex, arms: Arms) -> list[Part]:
    """Parts of one row: one per side, each followed by its core where it has one."""
    shapes = [s for s in row["shapes"] if s.get("sex", sex) == sex and s.get("arms", arms) == arms]
    layers = [(row["tissue"], 0.0)]
    if "core" in row:
        layers.append((row["core"]["tissue"], float(row["core"]["inset"])))
    organs = row.get("organs", ())
    parts = []
    for suffix, mirrored in _SIDES if row.get("sides", False) else (("", False),):
        for tissue, inset in layers:
            found = primitives_of(shapes, _table()["outline"], inset_mm=inset, mirrored=mirrored)
            parts.append(
                Part(
                    organs=tuple(f"{organ}{suffix}" for organ in organs),
                    tissue=tissues()[tissue],
                    solid=Solid.of(found),
                    coarse=bool(row.get("coarse", False)),
                    ct_only=bool(row.get("ct_only", False)),
                )
            )
    return parts


def _part(tissue: str, shapes: Sequence[Mapping[str, Any]], *organs: str, inset: float = 0.0) -> Part:
    solid = Solid.of(primitives_of(shapes, {}, inset_mm=inset))
    return Part(organs=organs, tissue=tissues()[tissue], solid=solid)


def _levels() -> list[dict[str, Any]]:
    spine = _table()["spine"]
    return [dict(zip(spine["columns"], row, strict=True)) for row in spine["rows"]]


def _spine() -> list[Part]:
    """Discs, vertebrae with cortical shell and marrow, sacrum, and the canal with the cord."""
    levels = _levels()
    column = [[0, v["y"], v["z"], 0.92 * v["half_depth"]] for v in levels]
    parts = [_part("disc", [{"kind": "tube", "path": column}])]
    for above, v, below in zip([levels[0], *levels[:-1]], levels, [*levels[1:], levels[-1]], strict=True):
        shapes = _vertebra(v, slope=(below["y"] - above["y"]) / max(above["z"] - below["z"], 1.0))
        organ = f"vertebrae_{v['level']}"
        parts.append(_part("cortical", shapes, organ))
        parts.append(_part("marrow", shapes, organ, inset=_CORTEX_MM))
    sacrum = [{"kind": "loft", "rows": _table()["spine"]["sacrum"]}]
    parts += [_part("cortical", sacrum, "sacrum"), _part("marrow", sacrum, "sacrum", inset=_CORTEX_MM)]
    canal = [[0, v["y"] + v["half_depth"] + _CANAL_MM, v["z"]] for v in levels]
    parts.append(_part("csf", [{"kind": "tube", "path": [[*p, _CANAL_MM - 0.5] for p in canal] + [[0, 80, -775, 5]]}]))
    # The cord ends at about L1; below it hangs the cauda, which is not drawn.
    cord = [[0, 14, -138, 7]] + [[*p, 5.2] for p, v in zip(canal, levels, strict=True) if v["level"] not in _BELOW_CORD]
    parts.append(_part("cord", [{"kind": "tube", "path": cord}], "spinal_cord"))
    return parts


_BELOW_CORD = ("L2", "L3", "L4", "L5")


def _vertebra(v: Mapping[str, Any], *, slope: float) -> list[dict[str, Any]]:
    """Body, pedicles, laminae, transverse and spinous processes of one vertebra."""
    y, z, w, d, h = v["y"], v["z"], v["half_width"], v["half_depth"], v["height"]
    back, pedicle = y + d, 0.26 * h
    arch_y = back + 2 * _CANAL_MM + 1
    shapes: list[dict[str, Any]] = [
        {
            "kind": "cylinder",
            "at": [0, y, z],
            "semi": [w, d],
            "half": 0.5 * h,
            "turn": [math.degrees(math.atan(slope)), 0, 0],
        }
    ]
    side = 0.78 * w
    facet = [side + 2, back + _CANAL_MM + 5, z]
    shapes += [
        {"kind": "tube", "mirror": True, "path": [[side, back - 4, z + 0.2 * h, pedicle], [*facet, pedicle + 1.5]]},
        {"kind": "tube", "mirror": True, "path": [[*facet, 4.2], [2, arch_y, z - 0.2 * h, 3.6]]},
        {"kind": "tube", "mirror": True, "path": [[*facet, 4.6], [v["transverse"], back + _CANAL_MM + 4, z + 1, 3.4]]},
        {"kind": "tube", "path": [[0, arch_y, z - 0.2 * h, 3.8], [0, y + v["spinous"], z - v["drop"], 4.2]]},
    ]
    return shapes


def _ribs() -> list[Part]:
    """Twelve pairs of ribs round the cage: cortex, marrow, and the cartilage to the breastbone."""
    ribs = _table()["ribs"]
    centres = {v["level"]: v for v in _levels()}
    parts = []
    for values in ribs["rows"]:
        row = dict(zip(ribs["columns"], values, strict=True))
        path = _rib_path(centres[row["level"]], row)
        angles = path[:, 3]
        bone = _tube(path[angles <= row["end"]], ribs["radius"])
        for suffix, mirrored in _SIDES:
            organ = f"rib{suffix}_{row['number']}"
            outer = Solid.of(primitives_of([bone], {}, mirrored=mirrored))
            inner = Solid.of(primitives_of([bone], {}, inset_mm=1.8, mirrored=mirrored))
            parts.append(Part(organs=(organ,), tissue=tissues()["cortical"], solid=outer))
            parts.append(Part(organs=(organ,), tissue=tissues()["marrow"], solid=inner))
            if row["cartilage"] > row["end"]:
                soft = _tube(path[angles >= row["end"]], ribs["radius"] - 0.6)
                solid = Solid.of(primitives_of([soft], {}, mirrored=mirrored))
                parts.append(Part(organs=("costal_cartilages",), tissue=tissues()["cartilage"], solid=solid))
    return parts


def _tube(path: FloatArray, radius: float) -> dict[str, Any]:
    return {"kind": "tube", "path": [[x, y, z, radius] for x, y, z, _ in path]}


def _rib_path(vertebra: Mapping[str, Any], row: Mapping[str, Any]) -> FloatArray:
    """(n, 4) points x, y, z of the left rib and the angle from the back midline [degrees]."""
    cage = np.asarray(sorted(_table()["ribs"]["cage"]), np.float64)
    first = 14.0
    angles = np.unique(np.append(np.linspace(first, row["cartilage"], _RIB_STEPS), row["end"]))
    share = (angles - first) / 154.0
    # Bone falls along the flank; cartilage climbs back towards the breastbone.
    fall = row["drop"] * np.minimum(share, (row["end"] - first) / 154.0) ** 1.15
    climb = 0.55 * row["drop"] * np.maximum(angles - row["end"], 0.0) / 60.0
    z = vertebra["z"] + 6.0 - fall + climb
    t = np.radians(angles)
    centre_y, half_width, front, back, exponent = (np.interp(z, cage[:, 0], cage[:, i]) for i in range(1, 6))
    depth = np.where(np.cos(t) > 0, back, front)
    x = half_width * np.abs(np.sin(t)) ** (2 / exponent)
    y = centre_y + np.sign(np.cos(t)) * depth * np.abs(np.cos(t)) ** (2 / exponent)
    head = [0.9 * vertebra["half_width"], vertebra["y"] + vertebra["half_depth"], vertebra["z"] + 6.0, 0.0]
    neck = [vertebra["transverse"], vertebra["y"] + vertebra["half_depth"] + 16.0, vertebra["z"] + 6.0, 1.0]
    keep = x > neck[0] + 6.0
    arc = np.column_stack([x, y, z, angles])[keep | (angles > 90.0)]
    return np.vstack([head, neck, arc])
