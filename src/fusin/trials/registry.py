"""Import of ClinicalTrials.gov API v2 records: registry facts, criteria text verbatim, and a draft of rules.

Only age and sex become rules, because only they are structured in the registry; the criteria text is kept word for word
and handed to a person. The network is an argument: ``transport(url) -> bytes``.

References
----------
ClinicalTrials.gov REST API, OpenAPI description, version 2.0.3.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote

from fusin.errors import InputError, NotComputable
from fusin.provenance import NoticeLog
from fusin.trials.criteria import Criteria, split_criteria
from fusin.trials.rules import Rule, Trial

__all__ = ["API", "RegistryStudy", "Transport", "draft_toml", "draft_trial", "fetch_study", "read_studies"]

API = "https://clinicaltrials.gov/api/v2/studies/"
Transport: TypeAlias = Callable[[str], bytes]

_OWN_KEYS = frozenset(
    {"protocolSection", "resultsSection", "annotationSection", "documentSection", "derivedSection", "hasResults"}
)
_V1_KEYS = frozenset({"FullStudiesResponse", "FullStudies", "StudyFieldsResponse", "Study", "ProtocolSection"})
_STATUS = frozenset(
    {
        "ACTIVE_NOT_RECRUITING", "COMPLETED", "ENROLLING_BY_INVITATION", "NOT_YET_RECRUITING", "RECRUITING",
        "SUSPENDED", "TERMINATED", "WITHDRAWN", "AVAILABLE", "NO_LONGER_AVAILABLE", "TEMPORARILY_NOT_AVAILABLE",
        "APPROVED_FOR_MARKETING", "WITHHELD", "UNKNOWN",
    }
)  # fmt: skip
_PHASES = frozenset({"NA", "EARLY_PHASE1", "PHASE1", "PHASE2", "PHASE3", "PHASE4"})
_AGE = re.compile(r"^(\d+) (Year|Month|Week|Day)s?$")


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryStudy:
    """What the registry says about one study.

    Attributes
    ----------
    nct_id, title, acronym, sponsor, codes : names
    study_type, phases, status : registry terms; ``phases`` is empty for observational studies
    planned, enrolled : participants, by the registry's enrolment type
    started, ended : dates as printed (``2017-09`` has no day)
    minimum_age, maximum_age : number and unit (``years``, ``months``, ``weeks``, ``days``); None without a limit
    sex : ``ALL``, ``FEMALE``, ``MALE`` or empty
    criteria_text : the criteria word for word, with the backslashes of the record
    criteria : the same, unescaped and split
    """

    nct_id: str
    title: str
    acronym: str
    sponsor: str
    codes: tuple[str, ...]
    study_type: str
    phases: tuple[str, ...]
    status: str
    status_as_of: str
    planned: int | None
    enrolled: int | None
    started: str
    ended: str
    minimum_age: tuple[int, str] | None
    maximum_age: tuple[int, str] | None
    sex: str
    criteria_text: str
    criteria: Criteria


def read_studies(source: Path | Mapping[str, Any], log: NoticeLog) -> tuple[RegistryStudy, ...]:
    """Read the studies of a v2 JSON file, or of its parsed content: one study or a list answer.

    Raises
    ------
    InputError
        For unreadable JSON, a record of the old API v1, or a record without an NCT number.
    """
    where = str(source.name) if isinstance(source, Path) else "registry record"
    data: Any = source
    if isinstance(source, Path):
        try:
            data = json.loads(source.read_text(encoding="utf-8-sig"))
        except (OSError, UnicodeDecodeError, json.JSONDecodeError) as err:
            raise InputError(where, "JSON", str(err), "a readable JSON file of the ClinicalTrials.gov API v2") from err
    found = tuple(_study(record, where, log) for record in _records(data, where))
    if not found:
        raise InputError(where, "studies", "none", "at least one study")
    return found


def fetch_study(nct_id: str, log: NoticeLog, *, transport: Transport | None = None) -> RegistryStudy:
    """Fetch one study from the registry.

    Parameters
    ----------
    nct_id : NCT number, in any case
    log : notices
    transport : takes an address and returns the body; urllib with a time limit of 30 s when None

    Raises
    ------
    InputError
        For what is no NCT number, or an answer that is no v2 record.
    NotComputable
        When the registry cannot be reached or does not know the study.
    """
    wanted = nct_id.strip().upper()
    if not re.match(r"^NCT\d{8}$", wanted):
        raise InputError("registry", "NCT number", nct_id, "NCT and 8 digits")
    body = (transport or _urllib)(API + quote(wanted) + "?format=json")
    try:
        data = json.loads(body)
    except (UnicodeDecodeError, json.JSONDecodeError) as err:
        raise InputError("registry", "answer", body[:60], "JSON of the ClinicalTrials.gov API v2") from err
    study = read_studies(data, log)[0]
    if study.nct_id != wanted:
        log.warning("TRIAL_ID_REDIRECTED", f"{wanted} is an alias: the registry answered {study.nct_id}", where=wanted)
    return study


def draft_trial(study: RegistryStudy) -> Trial:
    """Return a draft: registry facts, rules for age and sex, everything else as text for a person to transcribe.

    No patient is eligible by a draft; the best verdict is indeterminate.
    """
    return Trial.model_validate(
        {
            "id": study.nct_id,
            "title": study.title,
            "acronym": study.acronym,
            "sponsor": study.sponsor,
            "codes": study.codes,
            "study_type": study.study_type,
            "phases": study.phases,
            "status": study.status,
            "status_as_of": study.status_as_of,
            "enrolled": study.enrolled,
            "planned": study.planned,
            "started": study.started,
            "ended": study.ended,
            "verified": True,
            "transcription": "draft",
            "sources": (f"https://clinicaltrials.gov/study/{study.nct_id}",),
            "rules": tuple(_draft_rules(study)),
            "to_transcribe": study.criteria.items,
        }
    )


def draft_toml(study: RegistryStudy) -> str:
    """Return a draft as a trial file, with the criteria text in comments beside the rules.

    A person turns ``to_transcribe`` into rules, empties it, and sets ``transcription`` to ``key criteria``.
    """
    one = draft_trial(study)
    head = one.model_dump(exclude={"rules", "claims"}, exclude_defaults=True)
    lines = ["[trial]", *(f"{key} = {_toml(value)}" for key, value in head.items())]
    for rule in one.rules:
        fields = rule.model_dump(exclude_defaults=True)
        lines += ["", "[[rule]]", *(f"{key} = {_toml(value)}" for key, value in fields.items())]
    lines += ["", "# Criteria as registered:", *(f"# {line}".rstrip() for line in study.criteria.text.splitlines())]
    return "\n".join(lines) + "\n"


def _draft_rules(study: RegistryStudy) -> Iterator[Rule]:
    for name, limit, op in (("minimum", study.minimum_age, ">="), ("maximum", study.maximum_age, "<=")):
        if limit:
            yield Rule.model_validate(
                {
                    "id": f"{name}-age", "field": "age", "op": op, "value": limit[0], "unit": limit[1],
                    "source_line": f"{name}Age {limit[0]} {limit[1]}", "verified": True,
                }
            )  # fmt: skip
    if study.sex in ("FEMALE", "MALE"):
        yield Rule.model_validate(
            {
                "id": "sex", "field": "sex", "op": "==", "value": study.sex.lower(),
                "source_line": f"sex {study.sex}", "verified": True,
            }
        )  # fmt: skip


def _records(data: Any, where: str) -> Iterator[Mapping[str, Any]]:
    if not isinstance(data, Mapping):
        raise InputError(
            where, "JSON", type(data).__name__, "an object with protocolSection, or a list answer of API v2"
        )
    old = sorted(_V1_KEYS & set(data))
    if old:
        needed = "API v2 (protocolSection, camelCase); the old API was switched off, so fetch the record anew"
        raise InputError(where, "API version", f"{old[0]}, a record of the old API v1 (PascalCase)", needed)
    if "studies" in data:
        for record in data["studies"]:
            yield from _records(record, where)
    elif "protocolSection" in data:
        yield data
    else:
        raise InputError(where, "JSON", ", ".join(sorted(data))[:80], "protocolSection, or a list answer of API v2")


def _study(record: Mapping[str, Any], where: str, log: NoticeLog) -> RegistryStudy:
    modules = record["protocolSection"]
    ident, status = modules.get("identificationModule", {}), modules.get("statusModule", {})
    design, eligibility = modules.get("designModule", {}), modules.get("eligibilityModule", {})
    nct = str(ident.get("nctId", ""))
    if not re.match(r"^NCT\d{8}$", nct):
        raise InputError(where, "nctId", nct, "NCT and 8 digits")
    for key in sorted(set(record) - _OWN_KEYS):
        log.info("TRIAL_KEY_FOREIGN", f"{nct}: {key} is not the registry's and is not kept", where=nct, raw=key)
    study_type = str(design.get("studyType", ""))
    enrolment = design.get("enrollmentInfo", {})
    count = enrolment.get("count")
    actual = enrolment.get("type") == "ACTUAL"
    text = str(eligibility.get("eligibilityCriteria", ""))
    return RegistryStudy(
        nct_id=nct,
        title=str(ident.get("briefTitle") or ident.get("officialTitle") or nct),
        acronym=str(ident.get("acronym", "")),
        sponsor=str(modules.get("sponsorCollaboratorsModule", {}).get("leadSponsor", {}).get("name", "")),
        codes=_codes(ident),
        study_type=study_type,
        phases=_phases(design, study_type, nct, log),
        status=_status(str(status.get("overallStatus", "")), nct, log),
        status_as_of=str(status.get("statusVerifiedDate", "")),
        planned=None if actual else count,
        enrolled=count if actual else None,
        started=str(status.get("startDateStruct", {}).get("date", "")),
        ended=str(status.get("completionDateStruct", {}).get("date", "")),
        minimum_age=_age(eligibility, "minimumAge", nct, log),
        maximum_age=_age(eligibility, "maximumAge", nct, log),
        sex=str(eligibility.get("sex", "")).upper(),
        criteria_text=text,
        criteria=split_criteria(text, log, where=nct),
    )


def _codes(ident: Mapping[str, Any]) -> tuple[str, ...]:
    own = ident.get("orgStudyIdInfo", {}).get("id")
    others = [info.get("id") for info in ident.get("secondaryIdInfos", ())]
    return tuple(str(c) for c in (own, *others) if c)


def _status(text: str, nct: str, log: NoticeLog) -> str:
    if text in _STATUS or not text:
        return text
    plain = re.sub(r"[^A-Z]+", "_", text.upper()).strip("_")
    if plain in _STATUS:
        message = f"{nct}: status {text!r} is a mirror's spelling of {plain}"
        log.adapted("TRIAL_STATUS_SPELLING", message, where=nct, raw=text, used=plain)
        return plain
    log.warning("TRIAL_STATUS_UNKNOWN", f"{nct}: status {text!r} is no term of the registry", where=nct, raw=text)
    return ""


def _phases(design: Mapping[str, Any], study_type: str, nct: str, log: NoticeLog) -> tuple[str, ...]:
    phases = tuple(str(p) for p in design.get("phases", ()))
    unknown = [p for p in phases if p not in _PHASES]
    if unknown:
        raise InputError(nct, "phases", unknown[0], "one of " + ", ".join(sorted(_PHASES)))
    if not phases and study_type == "INTERVENTIONAL":
        log.warning("TRIAL_PHASE_MISSING", f"{nct}: an interventional study without phases", where=nct)
    return phases


def _age(eligibility: Mapping[str, Any], key: str, nct: str, log: NoticeLog) -> tuple[int, str] | None:
    text = str(eligibility.get(key, "")).strip()
    if text in ("", "N/A"):
        return None
    match = _AGE.match(text)
    if match is None:
        log.warning("TRIAL_AGE_UNREADABLE", f"{nct}: {key} {text!r} is not read: no rule for it", where=nct, raw=text)
        return None
    return int(match.group(1)), match.group(2).lower() + "s"


def _toml(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    # JSON and TOML write strings, numbers and booleans alike; DEL is the one character that TOML escapes beyond JSON.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _urllib(url: str) -> bytes:
    from urllib.error import HTTPError, URLError
    from urllib.request import Request, urlopen

    try:
        with urlopen(Request(url, headers={"Accept": "application/json"}), timeout=30) as answer:
            body: bytes = answer.read()
            return body
    except HTTPError as err:
        raise NotComputable("the registry record", f"{url} answered {err.code}", "a registered NCT number") from err
    except (URLError, TimeoutError) as err:
        raise NotComputable("the registry record", f"{url}: {err}", "a network, or the record as a file") from err
