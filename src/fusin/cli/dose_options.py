"""Options that the verbs of a dose share: curves, priors, uncertainties."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fusin.cli.options import choice
from fusin.errors import InputError

if TYPE_CHECKING:
    from fusin.dosimetry.priors import Prior
    from fusin.dosimetry.time_activity_region import IntegrationOptions

__all__ = [
    "MODELS",
    "AdministeredOption",
    "AverageOption",
    "CommonOption",
    "DecayOption",
    "IntervalOption",
    "LevelOption",
    "MassOption",
    "ModelOption",
    "NuclideOption",
    "PriorGsdOption",
    "PriorOption",
    "ResamplesOption",
    "SeedOption",
    "StartOption",
    "TailLimitOption",
    "TailOption",
    "TeffOption",
    "TeffSdOption",
    "UncertaintyOption",
    "WeightsOption",
    "integration_options",
    "percent",
    "priors",
    "share",
    "word",
]

MODELS = ("auto", "mono", "bi", "uptake-bi", "tri", "trapezoid", "haenscheid", "madsen", "map")

NuclideOption = Annotated[str, typer.Option("--nuclide", help="Nuclide, such as Lu-177.")]
AdministeredOption = Annotated[float | None, typer.Option("--administered-mbq", help="Administered activity.")]
ModelOption = Annotated[
    str,
    typer.Option(
        "--model", help="auto (AICc), mono, uptake-bi, bi, tri, trapezoid; one scan: haenscheid, madsen; map (prior)."
    ),
]
WeightsOption = Annotated[
    str | None,
    typer.Option(
        "--weights", help="none, relative (1/activity^2) or given (uncertainty_mbq); given where all rows have one."
    ),
]
AverageOption = Annotated[
    bool, typer.Option("--average/--no-average", help="With auto: average the models, or take the best one.")
]
IntervalOption = Annotated[str, typer.Option("--interval", help="gum (propagation) or bootstrap (parametric).")]
ResamplesOption = Annotated[int, typer.Option("--resamples", help="Draws of the bootstrap.")]
SeedOption = Annotated[int, typer.Option("--seed", help="Of the bootstrap.")]
LevelOption = Annotated[float, typer.Option("--level", help="Level of the intervals.")]
TailOption = Annotated[str, typer.Option("--tail", help="Of trapezoids: physical or fitted.")]
StartOption = Annotated[str, typer.Option("--start", help="Of trapezoids before the first time: zero or flat.")]
TailLimitOption = Annotated[float, typer.Option("--tail-limit", help="Warn of a larger share beyond the last time.")]
DecayOption = Annotated[
    str | None,
    typer.Option("--decay-correction", help="To which moment activities were corrected: none, start or admin."),
]
PriorOption = Annotated[
    list[str] | None,
    typer.Option(
        "--prior", help="population, a table of half-lives (TOML), or the JSON of an earlier cycle. Repeatable."
    ),
]
PriorGsdOption = Annotated[
    float | None, typer.Option("--prior-gsd", help="Further spread of the priors, geometric SD (1.1 between cycles).")
]
TeffOption = Annotated[float | None, typer.Option("--t-eff-h", help="Effective half-life of every region.")]
TeffSdOption = Annotated[float | None, typer.Option("--t-eff-sd-h", help="Its standard deviation.")]
UncertaintyOption = Annotated[
    float | None, typer.Option("--uncertainty-percent", help="Standard uncertainty of every activity.")
]
CommonOption = Annotated[
    float, typer.Option("--common-percent", help="Standard uncertainty that all activities share (calibration).")
]
MassOption = Annotated[float | None, typer.Option("--mass-u-percent", help="Standard uncertainty of every mass.")]


def integration_options(
    *, model: str, weights: str | None, average: bool, interval: str, resamples: int, seed: int, level: float, tail: str,
    start: str, tail_limit: float, common_percent: float,
) -> IntegrationOptions:  # fmt: skip
    """Options of curves from texts.

    Raises
    ------
    InputError
        For a word or number that is none of the allowed ones.
    """
    from fusin.dosimetry.time_activity_region import IntegrationOptions

    return IntegrationOptions(
        model=choice(model, MODELS, "--model"), weights=word(weights, ("none", "relative", "given"), "--weights"),
        average=average, resamples=resamples, seed=seed,
        interval=choice(interval, ("gum", "bootstrap"), "--interval"), level=share(level, "--level"),
        tail=choice(tail, ("physical", "fitted"), "--tail"), start=choice(start, ("zero", "flat"), "--start"),
        tail_limit=share(tail_limit, "--tail-limit"), common_u=percent(common_percent, "--common-percent"),
    )  # fmt: skip


def word(text: str | None, allowed: tuple[str, ...], option: str) -> Any:
    """One of the allowed words, or None."""
    return None if text is None else choice(text, allowed, option)


def share(value: float, option: str) -> float:
    """A fraction between 0 and 1.

    Raises
    ------
    InputError
        For a percentage.
    """
    if not 0.0 < value < 1.0:
        raise InputError(option, "share", value, "a fraction between 0 and 1 (0.95, not 95)")
    return value


def percent(value: float, option: str) -> float:
    """A percentage as a fraction.

    Raises
    ------
    InputError
        For a number below 0, or 100 and above.
    """
    if not 0.0 <= value < 100.0:
        raise InputError(option, "percentage", value, "a percentage from 0 to below 100")
    return value / 100.0


def priors(
    named: list[str], nuclide: str, t_eff_h: float | None, t_eff_sd_h: float | None, gsd: float | None
) -> tuple[tuple[Prior, ...], tuple[Path, ...]]:
    """Priors in the order of the options, and the files they came from."""
    from fusin.dosimetry.priors import Prior, lognormal_prior, population_priors, read_priors
    from fusin.nuclides import nuclide as nuclide_of

    if t_eff_h is not None and named:
        raise InputError("--t-eff-h", "option", "--prior beside it", "one statement of the half-life")
    if t_eff_sd_h is not None and t_eff_h is None:
        raise InputError("--t-eff-sd-h", "option", "no half-life", "--t-eff-h with it")
    found: list[Prior] = []
    files: list[Path] = []
    for name in named:
        if name == "population":
            found += population_priors()
        else:
            files.append(Path(name))
            found += read_priors(Path(name), nuclide_of(nuclide).name if nuclide else "")
    if t_eff_h is not None and t_eff_sd_h is not None:
        found.append(lognormal_prior(mean_h=t_eff_h, sd_h=t_eff_sd_h))
    elif t_eff_h is not None:
        if not 0 < t_eff_h < float("inf"):
            raise InputError("--t-eff-h", "effective half-life", t_eff_h, "a positive number of hours")
        found.append(
            Prior(id="given", regions=(), nuclide="", median_h=t_eff_h, gsd=None, source="given by the user", tag="O")
        )
    if gsd is not None:
        found = [p.widened(gsd) for p in found]
    return tuple(found), tuple(files)
