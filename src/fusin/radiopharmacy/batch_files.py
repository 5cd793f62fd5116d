"""Reading a batch record (TOML) with the raw files and chromatogram documents that it names."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

from fusin.errors import InputError
from fusin.provenance import NoticeLog, jsonable
from fusin.radiopharmacy.batch import (
    Activity,
    Batch,
    Conditional,
    Deviation,
    DoseLimit,
    ExpiryRequest,
    FixedLimit,
    HalfLifeInput,
    Instrument,
    LineInput,
    People,
    Precursor,
    RawFile,
    Reagent,
    Result,
    Role,
    Times,
)
from fusin.radiopharmacy.batch_fields import BatchFields, Clock
from fusin.radiopharmacy.limits import Measured, read_measured

__all__ = ["batch_from_text", "read_batch"]

_MOST_BYTES = 5_000_000
_MOST_RAW_BYTES = 200_000_000
_ROLES = ("starting", "product", "residual", "waste")


def read_batch(path: Path, log: NoticeLog) -> Batch:
    """Read a batch record; files that it names lie beside it.

    Raises
    ------
    InputError
        For a file that is absent, too large, not UTF-8, no TOML, or holds what cannot be; which table, which field.
    """
    if not path.is_file():
        raise InputError(path.name, "file", "nothing", "a batch record (.toml) that exists")
    if path.stat().st_size > _MOST_BYTES:
        raise InputError(path.name, "file", f"{path.stat().st_size} bytes", "a batch record of less than 5 MB")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as err:
        raise InputError(path.name, "text", f"byte {err.object[err.start]:#04x} at {err.start}", "UTF-8 text") from err
    return batch_from_text(text, where=path.name, folder=path.parent, log=log)


def batch_from_text(text: str, *, where: str, folder: Path | None, log: NoticeLog) -> Batch:
    """Read a batch record from TOML text.

    Parameters
    ----------
    text : the document
    where : its name for messages
    folder : in which raw files lie; None refuses records that name one
    log : receives adaptations
    """
    try:
        document = tomllib.loads(text.replace("\r\n", "\n"), parse_float=Decimal)
    except (tomllib.TOMLDecodeError, RecursionError) as err:
        raise InputError(where, "TOML", str(err).splitlines()[0], _toml_needed(text, str(err))) from err
    top = BatchFields(document, where, Clock(), log)
    top.take("notes")
    head = top.below("batch")
    product, label = top.below("product"), top.below("label")
    balance = top.below("mass_balance")
    batch = Batch(
        where=where, number=head.text("number", required=True), product=head.text("product", required=True),
        specification=head.text("specification", required=True), specification_file=head.text("specification_file"),
        specification_sha256=head.text("specification_sha256").lower(), recipe=head.text("recipe"),
        zone=head.text("zone"), activities=_activities(top), results=_results(top, folder), precursor=_precursor(top),
        reagents=_reagents(top), instruments=_instruments(top), deviations=_deviations(top), people=_people(top),
        times=_times(top), expiry=_expiry(top), parameters=_parameters(top),
        volume_ml=product.number("volume_ml"), max_injected_volume_ml=product.number("max_injected_volume_ml"),
        ethanol_g_ml=product.number("ethanol_g_ml", positive=False), declared_mbq=label.activity_mbq(required=False),
        declared_time=label.time("time", required=label.has("activity_mbq"), why="the moment of the activity on the label"),
        mass_balance_tolerance_percent=balance.number("tolerance_percent"), half_life=_half_life(top, folder),
        lines=_lines(top), conditional=_conditional(top), document=cast(dict[str, Any], jsonable(document)),
    )  # fmt: skip
    for table in (head, product, label, balance, top):
        table.finish()
    _consistent(batch)
    return batch


def _toml_needed(text: str, trouble: str) -> str:
    """What would do; an unquoted decimal comma is the usual mistake of a table that was typed."""
    line = re.search(r"at line (\d+)", trouble)
    lines = text.splitlines()
    if line and int(line[1]) <= len(lines) and re.search(r"=\s*[+-]?\d+,\d", lines[int(line[1]) - 1]):
        return "a decimal point in that line, or the number in quotes"
    return "a readable TOML document"


def _activities(top: BatchFields) -> tuple[Activity, ...]:
    found = []
    for row in top.tables("activity"):
        name, role = row.text("name"), row.text("role", required=True)
        if role not in _ROLES:
            raise InputError(row.where, "role", role, "one of " + ", ".join(_ROLES))
        row.rename(f"({name or role})")
        value = row.activity_mbq()
        time = row.time(
            "time", required=True, why="the reference time of this activity: without it the number means nothing"
        )
        assert value is not None
        assert time is not None
        found.append(
            Activity(
                name=name or role, role=cast(Role, role), activity_mbq=value, time=time,
                u_percent=row.number("u_percent", positive=False), instrument=row.text("instrument"),
            )
        )  # fmt: skip
        row.finish()
    return tuple(found)


def _results(top: BatchFields, folder: Path | None) -> tuple[Result, ...]:
    found: list[Result] = []
    for row in top.tables("result"):
        test = row.text("test", required=True)
        row.rename(test)
        if any(r.test == test for r in found):
            raise InputError(
                row.where, "test", test, "one result per test; a repeat is a change with a reason in the record"
            )
        raw, key = _raw(row, folder), row.text("key")
        lod = row.number("lod", positive=False)
        value = row.take("value")
        if key:
            if raw is None or value is not None:
                raise InputError(
                    row.where, "key", key, "a raw_file (JSON) that holds the value, and no value of its own"
                )
            value = _from_document(raw, key, row.where)
        if value is None:
            raise InputError(
                row.where, "value", "nothing", "a value; leave the whole [[result]] out while it is pending"
            )
        measured, comma = read_measured(value, where=row.where, field="value", lod=lod)
        if comma:
            row._log.adapted(
                "BATCH_DECIMAL_COMMA", f"value: {value} was read with a decimal comma", where=row.where, raw=str(value),
                used=measured.text(),
            )  # fmt: skip
        found.append(_result(row, test, measured, raw, key))
        row.finish()
    return tuple(found)


def _result(row: BatchFields, test: str, measured: Measured, raw: RawFile | None, key: str) -> Result:
    return Result(
        test=test, measured=measured, unit=row.text("unit"), u=row.number("u"), reference_time=row.time("reference_time"),
        time=row.time("time"), analyst=row.text("analyst"), instrument=row.text("instrument"), raw=raw, key=key,
    )  # fmt: skip


def _raw(row: BatchFields, folder: Path | None) -> RawFile | None:
    name, stated = row.text("raw_file"), row.text("raw_sha256").lower()
    if not name:
        return None
    path = None if folder is None else folder / name
    if path is None or not path.is_file():
        raise InputError(row.where, "raw_file", name, "a file beside the batch record")
    if path.stat().st_size > _MOST_RAW_BYTES:
        raise InputError(row.where, "raw_file", f"{path.stat().st_size} bytes", "a raw file of less than 200 MB")
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    return RawFile(name=name, sha256=digest, size=len(content), stated=stated, content=content)


def _from_document(raw: RawFile, key: str, where: str) -> Any:
    """The value at ``rcp_percent`` or ``peaks.product.percent`` of a chromatogram's JSON; a list is asked by ``name``."""
    try:
        node: Any = json.loads(raw.content.decode("utf-8-sig"), parse_float=Decimal)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as err:
        raise InputError(where, "raw_file", raw.name, "a JSON document, because a key is given") from err
    for part in key.split("."):
        if isinstance(node, list):
            named = [n for n in node if isinstance(n, dict) and str(n.get("name")) == part]
            node = named[0] if len(named) == 1 else None
        else:
            node = node.get(part) if isinstance(node, dict) else None
        if node is None:
            raise InputError(where, "key", key, f"a key of {raw.name}; {part!r} is not there, or is null")
    if isinstance(node, bool) or not isinstance(node, (int, Decimal)):
        raise InputError(where, "key", key, f"a key of {raw.name} that holds a number")
    # A computed number carries binary noise in its last digits; twelve are what it means.
    return Decimal(f"{Decimal(node):.12g}")


def _precursor(top: BatchFields) -> Precursor:
    row = top.below("precursor")
    found = Precursor(
        name=row.text("name"), lot=row.text("lot"), amount_ug=row.number("amount_ug"),
        molar_mass_g_mol=row.number("molar_mass_g_mol"), expiry=row.day("expiry"),
    )  # fmt: skip
    row.finish()
    return found


def _reagents(top: BatchFields) -> tuple[Reagent, ...]:
    found = []
    for row in top.tables("reagent"):
        name = row.text("name", required=True)
        row.rename(name)
        found.append(Reagent(name=name, lot=row.text("lot"), expiry=row.day("expiry")))
        row.finish()
    return tuple(found)


def _instruments(top: BatchFields) -> tuple[Instrument, ...]:
    found = []
    for row in top.tables("instrument"):
        key = row.text("id", required=True)
        row.rename(key)
        found.append(Instrument(id=key, name=row.text("name") or key, calibration_due=row.day("calibration_due")))
        row.finish()
    return tuple(found)


def _deviations(top: BatchFields) -> tuple[Deviation, ...]:
    found = []
    for number, row in enumerate(top.tables("deviation"), start=1):
        key = row.text("id") or str(number)
        status = row.text("status", required=True)
        if status not in ("open", "closed"):
            raise InputError(row.where, "status", status, "open or closed")
        closed = status == "closed"
        found.append(
            Deviation(
                id=key, text=row.text("text", required=True), closed=closed,
                reason=row.text("reason", required=closed), closed_by=row.text("closed_by", required=closed),
            )
        )  # fmt: skip
        row.finish()
    return tuple(found)


def _people(top: BatchFields) -> People:
    row = top.below("people")
    found = People(maker=row.text("maker"), analyst=row.text("analyst"), releaser=row.text("releaser"))
    row.finish()
    return found


def _times(top: BatchFields) -> Times:
    row = top.below("times")
    found = Times(
        start_of_synthesis=row.time("start_of_synthesis"), end_of_synthesis=row.time("end_of_synthesis"),
        decision=row.time("decision"), released=row.time("released"), sterility_started=row.time("sterility_started"),
    )  # fmt: skip
    row.finish()
    return found


def _parameters(top: BatchFields) -> dict[str, Any]:
    values = top.take("process")
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise InputError(top.where, "process", type(values).__name__, "a table of parameters as the process was run")
    return {str(k): v for k, v in values.items()}


def _half_life(top: BatchFields, folder: Path | None) -> HalfLifeInput | None:
    if not top.has("half_life"):
        return None
    row = top.below("half_life")
    times: list[datetime] = []
    values: list[Decimal] = []
    live: list[Decimal | None] = []
    for reading in row.tables("reading"):
        time = reading.time("time", required=True, why="the moment of this reading")
        counts = reading.number("counts", positive=False)
        value = reading.activity_mbq(required=counts is None, positive=True)
        if counts is not None and value is not None:
            raise InputError(reading.where, "counts", "counts and an activity", "one of them")
        seconds = reading.number("live_time_s", required=counts is not None)
        assert time is not None
        times.append(time)
        values.append(counts if counts is not None else cast(Decimal, value))
        live.append(seconds if counts is not None else None)
        reading.finish()
    background, background_u = _background(row, counted=any(v is not None for v in live))
    found = HalfLifeInput(
        times=tuple(times), values=tuple(values), live_times_s=tuple(live), background=background, background_u=background_u,
        repeatability_percent=row.number("repeatability_percent"), raw=_raw(row, folder),
    )  # fmt: skip
    row.finish()
    return found


def _background(row: BatchFields, *, counted: bool) -> tuple[Decimal, Decimal]:
    """The background of all readings and its standard uncertainty; a counted one brings its own (Poisson)."""
    counts = row.number("background_counts", positive=False)
    seconds = row.number("background_live_time_s", required=counts is not None)
    value = row.number("background_per_s" if counted else "background_mbq", positive=False)
    u = row.number("background_u", positive=False)
    if counts is None or seconds is None:
        if seconds is not None:
            raise InputError(row.where, "background_counts", "nothing", "the counts in background_live_time_s")
        if value and u is None:
            row._log.warning(
                "BACKGROUND_TAKEN_AS_EXACT",
                f"the background of {value} has no background_u: its error does not widen the interval of the half-life",
                where=row.where, used=float(value),
            )  # fmt: skip
        return value or Decimal(0), u or Decimal(0)
    if not counted or value is not None or u is not None:
        needed = "background_per_s with background_u, or background_counts" if counted else "background_mbq"
        raise InputError(row.where, "background_counts", str(counts), needed)
    # A count of zero has an uncertainty, too.
    return counts / seconds, max(counts, Decimal(1)).sqrt() / seconds


def _lines(top: BatchFields) -> LineInput | None:
    if not top.has("spectrum"):
        return None
    row = top.below("spectrum")
    measured, tolerance = row.numbers("lines_kev"), row.number("tolerance_kev", required=True)
    row.finish()
    if not measured or any(v <= 0 for v in measured):
        raise InputError(
            row.where, "lines_kev", [str(v) for v in measured], "measured lines in keV, such as [511, 1077]"
        )
    assert tolerance is not None
    return LineInput(measured_kev=measured, tolerance_kev=tolerance)


def _expiry(top: BatchFields) -> ExpiryRequest:
    row = top.below("expiry")
    doses = row.number("doses")
    if doses is not None and doses != int(doses):
        raise InputError(row.where, "doses", str(doses), "a whole number")
    dose_limits = []
    for one in row.tables("dose_limit"):
        per_ml, most = one.number("per_ml", required=True, positive=False), one.number("per_dose", required=True)
        assert per_ml is not None
        assert most is not None
        dose_limits.append(
            DoseLimit(
                name=one.text("name", required=True), per_ml=per_ml, per_dose=most, unit=one.text("unit", required=True),
                reason=one.text("reason"),
            )
        )  # fmt: skip
        one.finish()
    fixed = []
    for one in row.tables("limit"):
        time = one.time("time", required=True)
        assert time is not None
        fixed.append(
            FixedLimit(name=one.text("name", required=True), time=time, reason=one.text("reason", required=True))
        )
        one.finish()
    found = ExpiryRequest(
        stability_h=row.number("stability_h"), stability_source=row.text("stability_source"),
        doses=None if doses is None else int(doses), dose_mbq=row.number("dose_mbq"), in_use_h=row.number("in_use_h"),
        first_puncture=row.time("first_puncture"), dose_limits=tuple(dose_limits), fixed=tuple(fixed),
    )  # fmt: skip
    row.finish()
    return found


def _conditional(top: BatchFields) -> Conditional | None:
    if not top.has("conditional"):
        return None
    row = top.below("conditional")
    tests = row.take("tests")
    if not (isinstance(tests, list) and tests and all(isinstance(t, str) for t in tests)):
        raise InputError(row.where, "tests", str(tests)[:60], 'the tests that could not be done, such as ["endotoxin"]')
    found = Conditional(
        tests=tuple(tests), reason=row.text("reason", required=True), approved_by=row.text("approved_by", required=True),
        reserve_sample=row.text("reserve_sample", required=True),
    )  # fmt: skip
    row.finish()
    return found


def _consistent(batch: Batch) -> None:
    """What single fields cannot know: times in order, one product volume, instruments that exist."""
    times = batch.times
    if times.start_of_synthesis and times.end_of_synthesis and times.end_of_synthesis < times.start_of_synthesis:
        raise InputError(
            f"{batch.where}: times", "end_of_synthesis", times.end_of_synthesis.isoformat(),
            f"a time after start_of_synthesis ({times.start_of_synthesis.isoformat()})",
        )  # fmt: skip
    for name, later in (
        ("decision", times.decision), ("released", times.released), ("sterility_started", times.sterility_started),
    ):  # fmt: skip
        if later and times.end_of_synthesis and later < times.end_of_synthesis:
            raise InputError(
                f"{batch.where}: times", name, later.isoformat(),
                f"a time after end_of_synthesis ({times.end_of_synthesis.isoformat()})",
            )  # fmt: skip
    if len(batch.of_role("product")) > 1:
        raise InputError(f"{batch.where}: activity", "role", "several products", "one activity with the role product")
    known = {i.id for i in batch.instruments}
    for what, used in [(f"activity ({a.name})", a.instrument) for a in batch.activities] + [
        (f"result {r.test}", r.instrument) for r in batch.results
    ]:
        if used and used not in known:
            raise InputError(
                f"{batch.where}: {what}", "instrument", used, "the id of an [[instrument]] with its calibration_due"
            )
