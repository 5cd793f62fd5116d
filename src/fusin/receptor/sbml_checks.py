"""What to doubt in a model that can be read: units that do not agree, and starts below zero."""

from __future__ import annotations

import re
from importlib import import_module

from fusin.provenance import NoticeLog
from fusin.receptor.sbml_model import Model

__all__ = ["check_model"]

# Rules 10501 to 10599 of SBML are about units that are declared and do not agree; others say that some are not declared.
_UNITS = range(10501, 10600)
_CATEGORIES = (
    "GENERAL_CONSISTENCY", "IDENTIFIER_CONSISTENCY", "MATHML_CONSISTENCY", "SBO_CONSISTENCY", "OVERDETERMINED_MODEL",
    "MODELING_PRACTICE",
)  # fmt: skip
_LONGEST = 240


def check_model(text: str, model: Model, log: NoticeLog) -> None:
    """Record doubts about a model.

    Parameters
    ----------
    text : SBML
    model : the same, as read
    log : receives a warning for units that do not agree, and one for negative starts
    """
    found = _unit_mistakes(text)
    if found:
        more = f", and {len(found) - 1} more" if len(found) > 1 else ""
        log.warning("MODEL_UNITS", f"Units of the model do not agree: {found[0]}{more}", where=model.source)
    negative = [s.id for s in model.species if min(s.amount or 0.0, s.concentration or 0.0) < 0.0]
    if negative:
        log.warning(
            "NEGATIVE_START",
            f"The model starts with less than nothing of {', '.join(negative[:5])}",
            where=model.source,
        )


def _unit_mistakes(text: str) -> list[str]:
    libsbml = import_module("libsbml")
    document = libsbml.readSBMLFromString(text)
    for name in _CATEGORIES:
        document.setConsistencyChecks(getattr(libsbml, f"LIBSBML_CAT_{name}"), False)
    document.checkConsistency()
    errors = [document.getError(i) for i in range(document.getNumErrors())]
    return [_what(e.getMessage()) for e in errors if e.getErrorId() in _UNITS]


def _what(message: str) -> str:
    """The part of a message that is about this model, without the rule that it quotes."""
    words = re.sub(r".*?Reference: L\dV\d Section [\d.]+", "", " ".join(message.split())).strip() or " ".join(
        message.split()
    )
    return words[:_LONGEST].rstrip(". ")
