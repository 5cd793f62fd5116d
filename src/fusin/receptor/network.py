"""The signalling network: layers in Antimony, parameters as records with their sources, and one SBML document of both.

Equations stand in ``models/layer_*.ant``, numbers in ``models/layer_*.toml``. What is not measured says so: each parameter
carries its source, its status and the range in which it may lie.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal

from fusin.errors import InputError, MissingExtra, NotComputable
from fusin.provenance import NoticeLog

__all__ = [
    "DEFAULT_LAYERS",
    "LAYERS",
    "MODELS",
    "RELATIVE",
    "Layer",
    "NodeWords",
    "ParameterRecord",
    "Shipped",
    "doubts_of",
    "network_sbml",
    "read_layer",
    "records_of",
    "resting_state",
    "shipped_sbml",
]

Status = Literal["measured", "fitted-in-source", "borrowed", "assumed"]
_STATUS = ("measured", "fitted-in-source", "borrowed", "assumed")

LAYERS: Mapping[str, str] = {
    "A": "layer_a_receptor",
    "B": "layer_b_gprotein",
    "C": "layer_c_pi3k",
    "D": "layer_d_erk",
    "E": "layer_e_calcium",
    "F": "layer_f_stat",
}
"""Letter of a layer and the stem of its files."""

DEFAULT_LAYERS = "ABCDE"
"""Layer F is off: its evidence is weak."""

RELATIVE = "relative, uncalibrated for CXCR4"


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterRecord:
    """One number of a model and how far it can be trusted.

    Attributes
    ----------
    id : name in the model
    value : in ``unit``
    unit : id of a unit of the model
    meaning : in words
    source : where the value comes from
    status : measured, fitted-in-source, borrowed (from another receptor or model) or assumed
    low, high : plausible range, in ``unit``
    layer : letter
    """

    id: str
    value: float
    unit: str
    meaning: str
    source: str
    status: Status
    low: float
    high: float
    layer: str

    def to_json(self) -> dict[str, Any]:
        """Return the record as a JSON-ready mapping."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class NodeWords:
    """Species that a figure shows as one node, in words, and which of them are the active form."""

    label: str
    species: tuple[str, ...]
    active: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Layer:
    """One module of the network.

    Attributes
    ----------
    letter, title : A to F, in words
    calibration : what its numbers are worth
    source : of its structure
    antimony : its equations
    parameters : records by id
    cells : totals of receptors and arrestin per cell [molecules] by the name of a cell
    nodes : what a figure shows as one node
    """

    letter: str
    title: str
    calibration: str
    source: str
    antimony: str
    parameters: Mapping[str, ParameterRecord]
    cells: Mapping[str, Mapping[str, float]]
    nodes: tuple[NodeWords, ...]


@dataclass(frozen=True, slots=True)
class Shipped:
    """A model that comes with fusin: the layers in it, the cell, and a title."""

    layers: str
    cell: str
    title: str


MODELS: Mapping[str, Shipped] = {
    "cxcr4": Shipped("A", "cxcr4", "CXCR4, arrestin and antagonists in cells without ACKR3"),
    "cxcr4-ackr3": Shipped("A", "dual", "CXCR4, ACKR3, arrestin and antagonists"),
    "ackr3": Shipped("A", "ackr3", "ACKR3 and arrestin in cells without CXCR4"),
    "cxcr4-pathway": Shipped(DEFAULT_LAYERS, "cxcr4", "CXCR4 with Gi, PI3K, ERK and calcium"),
    "cxcr4-pathway-stat": Shipped("ABCDEF", "cxcr4", "CXCR4 with Gi, PI3K, ERK, calcium and STAT3"),
}
"""Names that ``fusin receptor simulate`` knows; each is ``models/NAME.xml``."""


def _text(name: str) -> str:
    return resources.files("fusin.receptor").joinpath("models", name).read_text(encoding="utf-8")


@cache
def read_layer(letter: str) -> Layer:
    """One layer with its equations and records.

    Raises
    ------
    InputError
        For a letter that is no layer, and for a record without a status or outside of its own range.
    """
    if letter not in LAYERS:
        raise InputError("layers", "layer", letter, "letters out of " + "".join(LAYERS))
    stem = LAYERS[letter]
    raw = tomllib.loads(_text(f"{stem}.toml"))
    records: dict[str, ParameterRecord] = {}
    for row in raw["parameter"]:
        record = ParameterRecord(**row, layer=letter)
        where = f"{stem}.toml"
        if record.status not in _STATUS:
            raise InputError(where, f"status of {record.id}", record.status, "one of " + ", ".join(_STATUS))
        if not record.low <= record.value <= record.high:
            raise InputError(where, record.id, record.value, f"a value from {record.low:g} to {record.high:g}")
        records[record.id] = record
    return Layer(
        letter=letter,
        title=str(raw["title"]),
        calibration=str(raw["calibration"]),
        source=str(raw["source"]),
        antimony=_text(f"{stem}.ant"),
        parameters=records,
        cells={
            str(name): {key: float(v) for key, v in cell.items() if key != "title"}
            for name, cell in raw.get("cells", {}).items()
        },
        nodes=tuple(
            NodeWords(str(n["label"]), tuple(n["species"]), tuple(n.get("active", n["species"]))) for n in raw["node"]
        ),
    )


def records_of(name: str) -> dict[str, ParameterRecord]:
    """Records of all parameters of a shipped model, by id.

    Raises
    ------
    InputError
        For a name that is no shipped model.
    """
    return {key: record for letter in _shipped(name).layers for key, record in read_layer(letter).parameters.items()}


def _shipped(name: str) -> Shipped:
    if name not in MODELS:
        raise InputError("model", "name", name, "one of " + ", ".join(MODELS))
    return MODELS[name]


def shipped_sbml(name: str) -> str:
    """SBML text of a shipped model, as generated from its layers.

    Raises
    ------
    InputError
        For a name that is no shipped model.
    """
    _shipped(name)
    return _text(f"{name}.xml")


def doubts_of(name: str, *, given: Iterable[str], changed: Iterable[str], log: NoticeLog) -> None:
    """Record what a reader of a simulation of a shipped model must know.

    Parameters
    ----------
    name : of the model
    given : species that were dosed
    changed : parameters that the user has stated
    """
    layers = _shipped(name).layers
    stated = set(changed)
    relative = [x for x in layers if read_layer(x).calibration == RELATIVE]
    if relative:
        log.info("LAYERS_RELATIVE", f"layers {', '.join(relative)} are {RELATIVE}: directions and times, no magnitudes",
                 where=name)  # fmt: skip
    records = records_of(name)
    for ligand in given:
        record = records.get(f"KD_{ligand}")
        if record is not None and record.status == "assumed" and record.id not in stated:
            log.warning(
                "AFFINITY_ASSUMED",
                f"the KD of {ligand} is not settled: {record.value:.3g} nM is the middle of {record.low:g} to "
                f"{record.high:g} nM on a log scale; state {record.id} to use another",
                where=name, used=record.value,
            )  # fmt: skip


def resting_state(totals: Mapping[str, float], values: Mapping[str, float]) -> dict[str, float]:
    """Steady state of layer A without ligand [molecules per cell].

    Every pool is a multiple of its receptor and of free arrestin, so one equation for free arrestin is left. It rises
    with free arrestin and is bracketed by nothing and by all of it.

    Parameters
    ----------
    totals : R4 and R7 (all CXCR4, all ACKR3), Be and Bp (all endogenous and all labelled arrestin)
    values : parameters of layer A by id

    Raises
    ------
    NotComputable
        When a receptor would never come back, so that all of it ends up inside.
    """
    from scipy.optimize import brentq

    v = values
    if min(v["k_rec_R4"], v["k_rec_R7"], v["k_off_R7"]) <= 0:
        raise NotComputable("resting state", "a receptor that goes in never comes back", "rates above 0", "NO_REST")
    a4 = v["kf_B_R4"] / (v["kf_B_R4"] * v["KD_B_R4"] + v["k_int_R4"])
    a7 = v["kf_B_R7"] / (v["kf_B_R7"] * v["KD_B_R7"] + v["k_int_R7"])
    held7 = v["k_int_R7"] / v["k_off_R7"]

    def r4(free: float) -> float:
        return totals["R4"] / (1.0 + a4 * free * (1.0 + v["k_int_R4"] / v["k_rec_R4"]))

    def r7(free: float) -> float:
        return totals["R7"] / (1.0 + a7 * free * (1.0 + held7 + v["k_int_R7"] / v["k_rec_R7"]))

    arrestin = totals["Be"] + totals["Bp"]

    def surplus(free: float) -> float:
        return free + a4 * free * r4(free) + a7 * free * r7(free) * (1.0 + held7) - arrestin

    free = float(brentq(surplus, 0.0, arrestin, xtol=1e-12 * arrestin, rtol=1e-15)) if arrestin else 0.0
    bound4, bound7 = a4 * free * r4(free), a7 * free * r7(free)
    state = {"R4": r4(free), "R7": r7(free), "R4i": bound4 * v["k_int_R4"] / v["k_rec_R4"]}
    state["R7ii"] = bound7 * v["k_int_R7"] / v["k_rec_R7"]
    for kind in ("Be", "Bp"):
        share = totals[kind] / arrestin if arrestin else 0.0
        state |= {kind: free * share, f"R4{kind}": bound4 * share, f"R7{kind}": bound7 * share}
        state[f"R7i{kind}"] = bound7 * held7 * share
    return state


def network_sbml(
    layers: str = DEFAULT_LAYERS, *, cell: str = "cxcr4", values: Mapping[str, float] | None = None
) -> str:
    """SBML of some layers, merged by name, with their parameters and the resting state of a cell.

    Parameters
    ----------
    layers : letters out of A to F, each once
    cell : ``cxcr4``, ``dual`` or ``ackr3``; layer A alone uses it
    values : parameters that replace those of the records

    Raises
    ------
    InputError
        For an unknown layer, cell or parameter.
    MissingExtra
        Without antimony or libsbml.
    """
    from fusin.receptor.network_merge import merged_sbml

    if not layers or len(set(layers)) != len(layers):
        raise InputError("layers", "letters", layers, "letters out of " + "".join(LAYERS) + ", each once")
    found = [read_layer(letter) for letter in sorted(layers)]
    records = {key: record for layer in found for key, record in layer.parameters.items()}
    for name in values or {}:
        if name not in records:
            raise InputError("parameter", "name", name, "a parameter of the layers " + layers)
    numbers = {key: record.value for key, record in records.items()} | dict(values or {})
    state: dict[str, float] = {}
    if "A" in layers:
        cells = read_layer("A").cells
        if cell not in cells:
            raise InputError("cell", "name", cell, "one of " + ", ".join(cells))
        state |= resting_state(cells[cell], numbers)
    if "E" in layers:
        state |= _calcium_at_rest(numbers)
    return merged_sbml(
        [_translated(layer) for layer in found],
        name="cxcr4_" + "".join(sorted(layers)),
        values=numbers,
        units={key: record.unit for key, record in records.items()},
        amounts=state,
    )


CALCIUM_TOTAL = 2.0
"""Free calcium of a cell of layer E in micromolar of its cytosol (Li and Rinzel 1994)."""


def _calcium_at_rest(values: Mapping[str, float]) -> dict[str, float]:
    """Steady state of layer E without beta-gamma: release equals uptake, and the channel is where calcium keeps it."""
    from scipy.optimize import brentq

    v = values
    ip3 = v["k_ip3_basal"] / v["k_ip3_off"]

    def opened(ca: float) -> float:
        q = v["d_2"] * (ip3 + v["d_1"]) / (ip3 + v["d_3"])
        return q / (q + ca)

    def net(ca: float) -> float:
        m = ip3 / (ip3 + v["d_1"]) * ca / (ca + v["d_5"])
        store = (CALCIUM_TOTAL - ca) / v["c_ER"]
        leak = v["v_leak"] + v["v_channel"] * (m * opened(ca)) ** 3
        return v["c_ER"] * leak * (store - ca) - v["v_pump"] * ca**2 / (v["K_pump"] ** 2 + ca**2)

    ca = float(brentq(net, 0.0, CALCIUM_TOTAL, xtol=1e-15, rtol=1e-15))
    share = opened(ca)
    return {"IP3": ip3, "Ca": ca, "CaER": CALCIUM_TOTAL - ca, "channel": share, "channel_shut": 1.0 - share}


def _translated(layer: Layer) -> str:
    """SBML of one layer's equations.

    Raises
    ------
    MissingExtra
        Without antimony.
    """
    try:
        import antimony
    except ImportError as err:
        raise MissingExtra("antimony", "receptor", "a network made of other layers") from err
    antimony.clearPreviousLoads()
    if antimony.loadAntimonyString(layer.antimony) < 0:
        raise NotComputable(f"layer {layer.letter}", str(antimony.getLastError()), "readable Antimony", "ANTIMONY")
    return str(antimony.getSBMLString(antimony.getMainModuleName()))
