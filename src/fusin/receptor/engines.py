"""Opening a model with an engine by its name, and one experiment on it: what is given, when it starts, how long it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fusin.errors import InputError
from fusin.provenance import NoticeLog
from fusin.receptor.network import MODELS, doubts_of
from fusin.receptor.quantities import Quantity, find_symbol, parse_quantity, time_in_model, value_in_model
from fusin.receptor.roadrunner_engine import RoadRunnerSimulator
from fusin.receptor.sbml_checks import check_model
from fusin.receptor.sbml_model import Model
from fusin.receptor.sbml_read import model_from_sbml, read_sbml_text
from fusin.receptor.scipy_engine import Tolerances
from fusin.receptor.simulation import EngineName, Simulator, TimeCourse

__all__ = ["Experiment", "OpenModel", "open_model", "run_experiment"]


_REST_DAYS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """What is done to a model; quantities carry their own units.

    Attributes
    ----------
    until : end
    points : number of rows
    dose : species to quantity at time 0, in place of what the model has
    block : the same for antagonists; they are there already while the model is equilibrated
    setting : parameters, compartments or species that are changed from the beginning
    equilibrate : time before 0 in which the model comes to rest without the dose; None for none, or, where parameters of a
        shipped model are changed, for 30 days
    amounts : species as amounts
    tolerances : of the integration
    seed : of the order of simultaneous events
    """

    until: Quantity
    points: int = 181
    dose: Mapping[str, Quantity] = field(default_factory=dict)
    block: Mapping[str, Quantity] = field(default_factory=dict)
    setting: Mapping[str, Quantity] = field(default_factory=dict)
    equilibrate: Quantity | None = None
    amounts: bool = False
    tolerances: Tolerances = field(default_factory=Tolerances)
    seed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class OpenModel:
    """A model that is loaded, with its engine.

    Attributes
    ----------
    name : file, or name of a shipped model
    path : None for a shipped model
    own : in our own equations
    roadrunner : in libRoadRunner, where asked for
    """

    name: str
    path: Path | None
    own: Simulator
    roadrunner: RoadRunnerSimulator | None

    @property
    def model(self) -> Model:
        """The model."""
        return self.own.model

    @property
    def engine(self) -> Any:
        """What integrates: both engines have the same method ``run``."""
        return self.own if self.roadrunner is None else self.roadrunner


def open_model(
    source: str, *, engine: EngineName = "scipy", compiled: bool | None = None, log: NoticeLog | None = None
) -> OpenModel:
    """Read a model once.

    Parameters
    ----------
    source : file, or name of a shipped model
    engine : ``scipy`` or ``roadrunner``
    compiled : of our own engine; see `Simulator`
    log : receives doubts about a file; those about shipped models stand on their page

    Raises
    ------
    InputError, Unsupported, MissingExtra
        As in `fusin.receptor.sbml_read.read_model`.
    """
    text, name = read_sbml_text(source)
    own = Simulator(model_from_sbml(text, where=name), compiled=compiled)
    path = Path(source) if Path(source).is_file() else None
    if log is not None and path is not None:
        check_model(text, own.model, log)
    roadrunner = RoadRunnerSimulator(text, own) if engine == "roadrunner" else None
    return OpenModel(name if path else name.removesuffix(".xml"), path, own, roadrunner)


def run_experiment(
    opened: OpenModel, experiment: Experiment, *, log: NoticeLog, changed: Mapping[str, float] | None = None
) -> TimeCourse:
    """A time course of an experiment.

    Parameters
    ----------
    opened : model with its engine
    experiment : what is done
    log : receives notices
    changed : further values by identifier, in the model's units; they stand before those of the experiment

    Raises
    ------
    InputError
        For names or quantities that the model cannot take.
    NotComputable
        When the integration fails.
    """
    model = opened.model
    until = time_in_model(experiment.until, model, "--until")
    settings = {**values_of_settings(opened, experiment, log), **(changed or {})}
    doses = _doses(opened, experiment.dose, "--dose", settings, log)
    blocks = _doses(opened, experiment.block, "--block", settings, log)
    twice = sorted(set(doses) & set(blocks))
    if twice:
        raise InputError("--block", "option", f"{twice[0]} in --dose and --block", "each species in one of them")
    if opened.path is None and opened.name in MODELS:
        doubts_of(opened.name, given=[*doses, *blocks], changed=settings, log=log)
    common: dict[str, Any] = {
        "until": until, "points": experiment.points, "amounts": experiment.amounts, "tolerances": experiment.tolerances,
        "seed": experiment.seed, "log": log,
    }  # fmt: skip
    dosed = {**doses, **{k: v for k, v in (changed or {}).items() if k in doses}}
    before = _time_before(opened, experiment, settings, log)
    if before == 0.0:
        found: TimeCourse = opened.engine.run(changed={**settings, **blocks, **dosed}, **common)
        return found
    # A rest that nobody asked for must not give a blocker time that the same run without other parameters does not give it.
    present = blocks if experiment.equilibrate is not None else {}
    y, p = _equilibrated(opened, {**settings, **present}, before, experiment, log)
    _put(opened.own, {**blocks, **dosed}, y, p)
    rested: TimeCourse = opened.engine.run(start=(y, p), **common)
    return rested


def _time_before(opened: OpenModel, experiment: Experiment, settings: Mapping[str, float], log: NoticeLog) -> float:
    """How long the model runs before time 0; a shipped model with other parameters comes to rest first."""
    if experiment.equilibrate is not None:
        time = time_in_model(experiment.equilibrate, opened.model, "--equilibrate")
        if not time >= 0:
            raise InputError("--equilibrate", "time", time, "a time of at least 0")
        return time
    shipped = opened.path is None and opened.name in MODELS
    if not shipped or not set(settings) & {p.id for p in opened.model.parameters}:
        return 0.0
    log.info(
        "RESTED_FIRST",
        f"Other parameters have another state of rest, so that the model runs {_REST_DAYS:g} days before time 0",
        where=opened.name,
    )
    return time_in_model(parse_quantity(f"{_REST_DAYS}d", "--equilibrate"), opened.model, "--equilibrate")


def values_of_settings(opened: OpenModel, experiment: Experiment, log: NoticeLog) -> dict[str, float]:
    """Values of ``--set`` in the model's units; see `run_experiment`."""
    return _doses(opened, experiment.setting, "--set", {}, log, parameters=True)


def _doses(
    opened: OpenModel, given: Mapping[str, Quantity], option: str, settings: Mapping[str, float], log: NoticeLog,
    *, parameters: bool = False,
) -> dict[str, float]:  # fmt: skip
    model = opened.model
    if not given:
        return {}
    symbols = {find_symbol(model, name, option=option, parameters=parameters): q for name, q in given.items()}
    y, p = opened.own.start(settings, log)
    places = opened.own.equations.places
    arrays = {"y": y, "p": p}
    sizes = {
        c.id: float(arrays[places[c.id][0]][places[c.id][1]]) if c.id in places else float("nan")
        for c in model.compartments
    }
    found = {s: value_in_model(q, s, model, option=option, sizes=sizes) for s, q in symbols.items()}
    for symbol, value in found.items():
        if value < 0 and symbol in opened.own.equations.species:
            raise InputError(f"{option} {symbol}", "quantity", value, "an amount or a concentration of at least 0")
    return found


def _equilibrated(
    opened: OpenModel, changed: Mapping[str, float], time: float, experiment: Experiment, log: NoticeLog
) -> tuple[Any, Any]:
    own = opened.own
    y, p = own.start(changed, log)
    found = own.problem.run(np.array([0.0, time]), y, p, tolerances=experiment.tolerances, seed=experiment.seed)
    return found.y[:, -1].copy(), (found.p if found.p.ndim == 1 else found.p[:, -1]).copy()


def _put(own: Simulator, doses: Mapping[str, float], y: Any, p: Any) -> None:
    """Change species of a state that has come to rest."""
    equations = own.equations
    arrays = {"y": y, "p": p}
    for name, value in doses.items():
        stored = f"$store:{name}"
        key = stored if stored in equations.places else name
        if key not in equations.places:
            raise InputError(
                own.model.source, name, "a species that a rule governs", "a species without an assignment rule"
            )
        factor = 1.0
        if key == stored:
            array, place = equations.places[equations.species[name].compartment]
            factor = float(arrays[array][place])
        array, place = equations.places[key]
        arrays[array][place] = value * factor
