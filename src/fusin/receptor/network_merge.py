"""Merging SBML documents by name: what one document defines stands in for the placeholder of the same name in another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fusin.errors import InputError, MissingExtra, NotComputable

__all__ = ["merged_sbml"]

_LISTS = ("UnitDefinition", "Compartment", "Species", "Parameter", "Rule", "Reaction")


def merged_sbml(
    documents: Sequence[str],
    *,
    name: str,
    values: Mapping[str, float],
    units: Mapping[str, str],
    amounts: Mapping[str, float],
) -> str:
    """One SBML document out of several.

    A constant parameter without a rule is a placeholder where another document has a species, a rule or a varying
    parameter of the same id: the definition replaces it. The same compartment or unit may stand in several documents.

    Parameters
    ----------
    documents : SBML texts
    name : id of the merged model
    values : of constant parameters
    units : unit ids of parameters
    amounts : initial amounts of species

    Raises
    ------
    InputError
        When two documents define one id in two ways, or a value belongs to nothing.
    NotComputable
        When the result is no valid SBML.
    MissingExtra
        Without libsbml.
    """
    try:
        import libsbml
    except ImportError as err:
        raise MissingExtra("libsbml", "receptor", "merging layers of a network") from err
    parsed = [libsbml.readSBMLFromString(text) for text in documents]
    models = [document.getModel() for document in parsed]
    merged = libsbml.SBMLDocument(3, 2)
    target = merged.createModel()
    target.setId(name)
    target.setTimeUnits("second")
    target.setSubstanceUnits("item" if any(m.getSubstanceUnits() == "item" for m in models) else "dimensionless")
    # An extent is what a rate of one unit changes per second; amounts of species count in their own units.
    target.setExtentUnits(target.getSubstanceUnits())
    defined = {i for m in models for i in _definitions(m)}
    for model in models:
        _add(target, model, defined)
    _set_numbers(target, values, units, amounts)
    _name_modifiers(target)
    errors = merged.checkInternalConsistency()
    if errors:
        raise NotComputable(name, merged.getError(0).getShortMessage(), "layers that fit together", "MERGE")
    return str(libsbml.writeSBMLToString(merged))


def _definitions(model: Any) -> set[str]:
    """Ids that a document defines by more than a constant."""
    found = {s.getId() for s in model.getListOfSpecies()} | {r.getVariable() for r in model.getListOfRules()}
    return found | {p.getId() for p in model.getListOfParameters() if not p.getConstant()}


def _add(target: Any, model: Any, defined: set[str]) -> None:
    """Copy one document's elements, leaving out placeholders that another document defines."""
    own = _definitions(model)
    units = model.getSubstanceUnits()
    for kind in _LISTS:
        for element in getattr(model, f"getListOf{kind}{'' if kind == 'Species' else 's'}")():
            identity = element.getVariable() if kind == "Rule" else element.getId()
            if kind == "Parameter" and identity in defined - own:
                continue
            copy = element.clone()
            if kind == "Species":
                copy.setSubstanceUnits(units)
            if kind == "Compartment":
                copy.setUnits(model.getVolumeUnits() if identity == "medium" else "dimensionless")
            there = _known(target, kind, identity)
            if there is not None:
                if there.toSBML() != copy.toSBML():
                    raise InputError("layers", identity, "two definitions", "one definition for one id")
                continue
            getattr(target, f"add{kind}")(copy)


def _known(target: Any, kind: str, identity: str) -> Any:
    """What the merged model has under an id, or None."""
    if kind == "UnitDefinition":
        return target.getUnitDefinition(identity)
    return target.getRuleByVariable(identity) if kind == "Rule" else target.getElementBySId(identity)


def _set_numbers(
    target: Any, values: Mapping[str, float], units: Mapping[str, str], amounts: Mapping[str, float]
) -> None:
    for identity, value in values.items():
        parameter = target.getParameter(identity)
        if parameter is None:
            raise InputError("layers", identity, "no parameter of that name", "an id of the equations")
        parameter.setValue(value)
        parameter.setUnits(units[identity])
    for parameter in target.getListOfParameters():
        if parameter.getConstant() and not parameter.isSetValue():
            raise InputError("layers", parameter.getId(), "no value", "a record in its layer")
    for identity, amount in amounts.items():
        target.getSpecies(identity).setInitialAmount(amount)


def _name_modifiers(target: Any) -> None:
    """List species that drive a reaction without being used up by it, directly or through an assignment rule."""
    rules = {r.getVariable(): r.getMath() for r in target.getListOfRules()}
    for reaction in target.getListOfReactions():
        known = {r.getSpecies() for r in (*reaction.getListOfReactants(), *reaction.getListOfProducts())}
        for identity in sorted(_symbols(reaction.getKineticLaw().getMath(), rules)):
            if target.getSpecies(identity) is not None and identity not in known:
                reaction.createModifier().setSpecies(identity)


def _symbols(node: Any, rules: Mapping[str, Any]) -> set[str]:
    """Names in an expression, with assignment rules written out."""
    if node.isName() and node.getNumChildren() == 0:
        name = node.getName()
        return {name} | (_symbols(rules[name], rules) if name in rules else set())
    return {s for k in range(node.getNumChildren()) for s in _symbols(node.getChild(k), rules)}
