"""Verb of the generator."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fusin.cli.options import JsonFlag, OutOption, StrictFlag, choice, finish
from fusin.errors import InputError

if TYPE_CHECKING:
    from fusin.radiopharmacy.generator_log import PlanRequest

__all__ = ["numbers", "register"]

LogFile = Annotated[
    Path | None, typer.Argument(help="Generator and log (TOML), or log alone (CSV).", show_default=False)
]
Ge68Option = Annotated[float | None, typer.Option("--ge68-mbq", help="68Ge of the generator at its reference [MBq].")]
CalibratedOption = Annotated[str | None, typer.Option("--calibrated", help="ISO time to which the 68Ge refers.")]
YieldOption = Annotated[
    str | None, typer.Option("--yield", help="Share of the 68Ga on the column: 0.7, or one for each elution: 0.7,0.68.")
]
YieldUOption = Annotated[float | None, typer.Option("--yield-u", help="Standard uncertainty of the yield.")]
Ge68UOption = Annotated[
    float | None, typer.Option("--ge68-u-percent", help="Relative standard uncertainty of the 68Ge [%].")
]
AtOption = Annotated[str | None, typer.Option("--elute-at", help="ISO times of elutions, separated by commas.")]
AtMinOption = Annotated[
    str | None, typer.Option("--elute-at-min", help="Minutes of elutions after the reference: 0,180,360.")
]
StartOption = Annotated[
    str | None, typer.Option("--start", help="68Ga before the first elution: equilibrium, or empty at the reference.")
]
Ga68Option = Annotated[
    float | None, typer.Option("--ga68-mbq", help="68Ga on the column at the reference, instead of --start [MBq].")
]
WantOption = Annotated[float | None, typer.Option("--want-mbq", help="68Ga wanted of the next elution [MBq].")]
WantAtOption = Annotated[
    str | None, typer.Option("--want-at", help="ISO time at which it is wanted; else as early as possible.")
]
WantAtMinOption = Annotated[
    float | None, typer.Option("--want-at-min", help="The same in minutes after the reference.")
]
LeadOption = Annotated[float, typer.Option("--want-lead-min", help="Minutes from the elution to that moment.")]
ChartOption = Annotated[str, typer.Option("--control", help="Control limits: regression or individuals.")]
MinimumOption = Annotated[float | None, typer.Option("--minimum-yield", help="Least yield, a fraction.")]
IdleOption = Annotated[
    float | None,
    typer.Option("--discard-after-idle-h", help="Your rule: discard the first eluate after so many hours."),
]
RetireOption = Annotated[
    str, typer.Option("--retire", help="Retirement rule: itm (250 elutions or 12 months) or none.")
]
RetireElutionsOption = Annotated[int | None, typer.Option("--retire-elutions", help="Retire after so many elutions.")]
RetireMonthsOption = Annotated[float | None, typer.Option("--retire-months", help="Retire after so many months.")]
CalibratorOption = Annotated[
    float | None, typer.Option("--calibrator-u-percent", help="Standard uncertainty of the activity meter [%].")
]
LimitOption = Annotated[float | None, typer.Option("--breakthrough-limit-percent", help="Your 68Ge limit [%].")]
LimitOfOption = Annotated[
    str | None, typer.Option("--breakthrough-limit-of", help="Its denominator: ge68_on_column or ga68_eluted.")
]


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("generator")(generator)


def generator(
    log_file: LogFile = None, out: OutOption = None, ge68_mbq: Ge68Option = None, calibrated: CalibratedOption = None,
    yields: YieldOption = None, yield_u: YieldUOption = None, ge68_u_percent: Ge68UOption = None,
    elute_at: AtOption = None, elute_at_min: AtMinOption = None, start: StartOption = None, ga68_mbq: Ga68Option = None,
    want_mbq: WantOption = None, want_at: WantAtOption = None, want_at_min: WantAtMinOption = None,
    want_lead_min: LeadOption = 0.0, control: ChartOption = "regression", minimum_yield: MinimumOption = None,
    discard_after_idle_h: IdleOption = None, retire: RetireOption = "", retire_elutions: RetireElutionsOption = None,
    retire_months: RetireMonthsOption = None, calibrator_u_percent: CalibratorOption = None,
    breakthrough_limit_percent: LimitOption = None, breakthrough_limit_of: LimitOfOption = None,
    strict: StrictFlag = False, as_json: JsonFlag = False,
) -> None:  # fmt: skip
    """68Ge/68Ga generator: elution history, measured yields with control limits, breakthrough, the next elution.

    \b
    Example: fusin generator fusin-demo/vial/generator.toml
    """
    from fusin.provenance import NoticeLog
    from fusin.radiopharmacy.generator_log import GeneratorOptions
    from fusin.report.generator_report import generator_report

    rules = {
        "minimum_yield": minimum_yield, "discard_after_idle_h": discard_after_idle_h, "retire_elutions": retire_elutions,
        "retire_months": retire_months, "calibrator_u_percent": calibrator_u_percent,
        "breakthrough_limit_percent": breakthrough_limit_percent, "breakthrough_limit_of": breakthrough_limit_of,
    }  # fmt: skip
    options = GeneratorOptions(
        ge68_mbq=ge68_mbq, calibrated=calibrated, yields=tuple(numbers(yields, "--yield")), yield_u=yield_u,
        ge68_u_percent=ge68_u_percent, elute_at=_times(elute_at, elute_at_min),
        start=choice(start, ("equilibrium", "empty"), "--start") if start else None, ga68_mbq=ga68_mbq, retire=retire,
        rules={k: v for k, v in rules.items() if v is not None},
        plan=_plan(want_mbq, want_at, want_at_min, want_lead_min),
    )  # fmt: skip
    kind = choice(control, ("regression", "individuals"), "--control")
    finish(generator_report(log_file, options=options, log=NoticeLog(strict=strict), chart=kind), out, as_json=as_json)


def numbers(text: str | None, option: str) -> list[float]:
    """Finite numbers from ``0,180,360``; blanks and semicolons separate too.

    Raises
    ------
    InputError
        For what is no number.
    """
    found = []
    for word in re.split(r"[,;\s]+", text.strip()) if text is not None else ():
        try:
            value = float(word)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise InputError(option, "number", word, "numbers with a decimal point, separated by commas")
        found.append(value)
    return found


def _times(clock: str | None, minutes: str | None) -> tuple[str | float, ...]:
    if clock is not None and minutes is not None:
        raise InputError("--elute-at", "option", "--elute-at-min too", "one of them")
    if minutes is not None:
        return tuple(numbers(minutes, "--elute-at-min"))
    return tuple(word.strip() for word in clock.replace(";", ",").split(",")) if clock is not None else ()


def _plan(
    want_mbq: float | None, want_at: str | None, want_at_min: float | None, lead_min: float
) -> PlanRequest | None:
    from fusin.radiopharmacy.generator_log import PlanRequest
    from fusin.radiopharmacy.moments import moment

    if want_at is not None and want_at_min is not None:
        raise InputError("--want-at", "option", "--want-at-min too", "one of them")
    if want_at is None and want_at_min is None and want_mbq is None:
        return None
    time = moment(want_at, "--want-at", "time") if want_at is not None else want_at_min
    if not 0.0 <= lead_min <= 1440.0:
        raise InputError("--want-lead-min", "minutes", lead_min, "minutes from 0 to 1440, in which 68Ga is there")
    return PlanRequest(time=time, wanted_mbq=want_mbq, lead_min=lead_min)
