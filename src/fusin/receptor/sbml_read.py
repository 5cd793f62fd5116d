"""Reading models: SBML of every level, and Antimony, into our own objects; what cannot be simulated is refused by its name."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from importlib import import_module, resources
from pathlib import Path
from typing import Any

from fusin.errors import InputError, MissingExtra, Unsupported
from fusin.receptor.expressions import Expr, Num, Sym, mul, neg, symbols
from fusin.receptor.sbml_math import MathReader
from fusin.receptor.sbml_model import Assignment, Compartment, Event, Model, Parameter, Participant, Reaction, Species
from fusin.receptor.sbml_units import declared_units

__all__ = ["antimony_to_sbml", "model_from_sbml", "read_model", "read_sbml_text", "shipped_models"]

_BAD_SYMBOLS = 5
_ANTIMONY = (".ant", ".txt", ".antimony")
_DECLARATION = re.compile(r"\s*(<\?xml\s[^>]*\?>)?")


def shipped_models() -> tuple[str, ...]:
    """Names of the models that come with fusin."""
    folder = resources.files("fusin.receptor").joinpath("models")
    names = (p.name for p in folder.iterdir()) if folder.is_dir() else ()
    return tuple(sorted(name.removesuffix(".xml") for name in names if name.endswith(".xml")))


def read_model(source: str | Path) -> Model:
    """A model from a file, or one that comes with fusin.

    Parameters
    ----------
    source : SBML file (any level), Antimony file, or a name of `shipped_models`

    Raises
    ------
    InputError
        When there is no such model, or the file is none.
    Unsupported
        When it uses a construct that is not simulated.
    MissingExtra
        When libSBML or Antimony is not installed.
    """
    text, name = read_sbml_text(source)
    return model_from_sbml(text, where=name)


def read_sbml_text(source: str | Path) -> tuple[str, str]:
    """The SBML of a model, translated where it is Antimony, and the name of its source; see `read_model`."""
    path = Path(source)
    if not path.is_file():
        known = {name.casefold(): name for name in shipped_models()}
        name = known.get(str(source).casefold())
        if name is None:
            choices = f", or a model that comes with fusin ({', '.join(known.values())})" if known else ""
            found = "a folder" if path.is_dir() else "no such file"
            raise InputError(path.name or str(source), "model", found, f"a file of SBML or Antimony{choices}")
        text = resources.files("fusin.receptor").joinpath("models", f"{name}.xml").read_text(encoding="utf-8")
        return text, f"{name}.xml"
    text = _text_of(path)
    if not text.lstrip("\ufeff \t\r\n").startswith("<") and path.suffix.casefold() in _ANTIMONY:
        return antimony_to_sbml(text, where=path.name), path.name
    return _declared(text), path.name


def _text_of(path: Path) -> str:
    data = path.read_bytes()
    if b"<" not in data[:4096] and path.suffix.casefold() not in _ANTIMONY:
        raise InputError(path.name, "model", "no XML", "a file of SBML, or of Antimony with the ending .ant")
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as err:
        head = data[:200].lower()
        if b"encoding=" in head and b"utf" not in head:
            return data.decode("latin-1")
        raise InputError(path.name, "model", "bytes that are no text", "a file of SBML or Antimony in UTF-8") from err


def antimony_to_sbml(text: str, *, where: str) -> str:
    """SBML of a model in Antimony.

    Raises
    ------
    InputError
        With the place of the first mistake.
    """
    antimony = _imported("antimony", "a model in Antimony")
    antimony.clearPreviousLoads()
    if antimony.loadAntimonyString(text) < 0:
        raise InputError(where, "Antimony", _one_line(antimony.getLastError()), "a model without that mistake")
    return str(antimony.getSBMLString(antimony.getMainModuleName()))


def model_from_sbml(text: str, *, where: str) -> Model:
    """A model from the text of an SBML file; see `read_model`.

    Parameters
    ----------
    text : XML
    where : name of its source, for messages
    """
    libsbml = _imported("libsbml", "a model in SBML")
    document = libsbml.readSBMLFromString(text)
    _refuse_errors(document, libsbml, where)
    _refuse_packages(document, where)
    model = document.getModel()
    if model is None:
        raise InputError(where, "SBML", "no model", "a file with one model")
    return _Reader(model, document.getLevel(), where).model()


def _declared(text: str) -> str:
    """The text with the declaration that libSBML wants, on the same lines.

    Its parser takes a declared encoding for true, while the text is decoded already, and refuses a declaration without one.
    """
    found = _DECLARATION.match(text)
    head = found[0] if found else ""
    return '<?xml version="1.0" encoding="UTF-8"?>' + "\n" * head.count("\n") + text[len(head) :]


def _imported(package: str, purpose: str) -> Any:
    try:
        return import_module(package)
    except ImportError as err:
        wheel = {"libsbml": "python-libsbml"}.get(package, package)
        raise MissingExtra(wheel, "receptor", purpose) from err


def _refuse_errors(document: Any, libsbml: Any, where: str) -> None:
    for i in range(document.getNumErrors()):
        error = document.getError(i)
        if error.getSeverity() >= libsbml.LIBSBML_SEV_ERROR:
            found = f"line {error.getLine()}: {_one_line(error.getMessage())}"
            raise InputError(where, "SBML", found, "a valid file of SBML")


def _refuse_packages(document: Any, where: str) -> None:
    if document.getLevel() < 3:
        return
    packages = [(p.getPackageName(), p.getURI()) for p in map(document.getPlugin, range(document.getNumPlugins()))]
    packages += [
        (document.getUnknownPackagePrefix(i), document.getUnknownPackageURI(i))
        for i in range(document.getNumUnknownPackages())
    ]
    for name, uri in packages:
        # libSBML holds the mathematics of Level 3 Version 2 as a package, and so do some files of Version 1.
        if name != "l3v2extendedmath" and document.getPackageRequired(uri):
            raise _unsupported(
                where, f'the package "{name}", which it marks as required', "a model without this package"
            )


def _unsupported(where: str, construct: str, needed: str) -> Unsupported:
    return Unsupported("the simulation", f"{where} uses {construct}", needed, "SBML_UNSUPPORTED")


def _one_line(text: str) -> str:
    words = " ".join(text.split())
    end = words.find(". ")
    return (words if end < 0 else words[:end])[:200]


def _number(is_set: bool, value: float) -> float | None:
    return float(value) if is_set and not math.isnan(value) else None


class _Reader:
    """Turns one libSBML model into ours."""

    def __init__(self, model: Any, level: int, where: str) -> None:
        self._model, self._level, self._where = model, level, where
        functions: dict[str, tuple[tuple[str, ...], Any]] = {}
        for one in model.getListOfFunctionDefinitions():
            node = one.getMath()
            count = node.getNumChildren() if node is not None else 0
            formals = tuple(node.getChild(i).getName() for i in range(count - 1)) if node is not None else ()
            functions[one.getId()] = (formals, node.getChild(count - 1) if count else None)
        self._math = MathReader(functions, where)

    def model(self) -> Model:
        model = self._model
        reactions, local, references = self._reactions()
        rules, rates = self._rules()
        made = Model(
            id=model.getId(),
            name=model.getName(),
            source=self._where,
            compartments=tuple(self._compartment(c) for c in model.getListOfCompartments()),
            species=tuple(self._one_species(s) for s in model.getListOfSpecies()),
            parameters=tuple(self._parameter(p) for p in model.getListOfParameters()) + references + local,
            reactions=reactions,
            initial=self._initial(),
            rules=rules,
            rates=rates,
            events=tuple(self._event(e, n) for n, e in enumerate(model.getListOfEvents(), start=1)),
            units=declared_units(model, self._level),
        )
        _check_names(made)
        return made

    def _read(self, holder: Any, renamed: Mapping[str, Expr] | None = None) -> Expr | None:
        """Formula of an element; None where it has none, as Level 3 Version 2 permits."""
        if holder is None or not holder.isSetMath():
            return None
        return self._math.read(holder.getMath(), renamed)

    def _compartment(self, one: Any) -> Compartment:
        return Compartment(
            id=one.getId(),
            name=one.getName(),
            size=_number(one.isSetSize() or self._level == 1, one.getSize()),
            dimensions=one.getSpatialDimensionsAsDouble(),
            constant=one.getConstant(),
        )

    def _one_species(self, one: Any) -> Species:
        home = self._model.getCompartment(one.getCompartment())
        if home is None:
            raise InputError(self._where, f"species {one.getId()}", one.getCompartment(), "a compartment of the model")
        factor = one.getConversionFactor() or (self._model.getConversionFactor() if self._level > 2 else "")
        return Species(
            id=one.getId(),
            name=one.getName(),
            compartment=one.getCompartment(),
            amount=_number(one.isSetInitialAmount(), one.getInitialAmount()),
            concentration=_number(one.isSetInitialConcentration(), one.getInitialConcentration()),
            # A point has no size, so that only amounts make sense in it.
            only_substance=one.getHasOnlySubstanceUnits() or home.getSpatialDimensionsAsDouble() == 0,
            boundary=one.getBoundaryCondition(),
            constant=one.getConstant(),
            conversion_factor=factor or None,
        )

    def _parameter(self, one: Any) -> Parameter:
        value = _number(one.isSetValue(), one.getValue())
        return Parameter(id=one.getId(), name=one.getName(), value=value, constant=one.getConstant())

    def _reactions(self) -> tuple[tuple[Reaction, ...], tuple[Parameter, ...], tuple[Parameter, ...]]:
        reactions, local, references = [], list[Parameter](), list[Parameter]()
        for one in self._model.getListOfReactions():
            if self._level < 4 and one.isSetFast() and one.getFast():
                raise _unsupported(self._where, f"the fast reaction {one.getId()}", "a model without fast reactions")
            parts = [self._participant(r, -1.0, references) for r in one.getListOfReactants()]
            parts += [self._participant(r, 1.0, references) for r in one.getListOfProducts()]
            law = one.getKineticLaw()
            renamed: dict[str, Expr] = {}
            for p in _local_parameters(law, self._level):
                name = f"{one.getId()}.{p.getId()}"
                renamed[p.getId()] = Sym(name)
                value = _number(p.isSetValue(), p.getValue())
                local.append(Parameter(id=name, name=p.getName(), value=value, constant=True, role="local"))
            rate = self._read(law, renamed)
            reactions.append(Reaction(id=one.getId(), name=one.getName(), rate=rate, participants=tuple(parts)))
        return tuple(reactions), tuple(local), tuple(references)

    def _participant(self, one: Any, sign: float, references: list[Parameter]) -> Participant:
        if self._model.getSpecies(one.getSpecies()) is None:
            raise InputError(self._where, "reaction", one.getSpecies(), "a species of the model")
        number: Expr
        stated = _number(not math.isnan(one.getStoichiometry()), one.getStoichiometry())
        if self._level > 2 and one.isSetId():
            references.append(
                Parameter(
                    id=one.getId(), name=one.getName(), value=stated, constant=one.getConstant(), role="reference"
                )
            )
            number = Sym(one.getId())
        elif self._level == 2 and one.isSetStoichiometryMath():
            number = self._read(one.getStoichiometryMath()) or Num(1.0)
        else:
            number = Num((1.0 if stated is None else stated) / (one.getDenominator() if self._level == 1 else 1.0))
        return Participant(one.getSpecies(), neg(number) if sign < 0 else mul(number))

    def _initial(self) -> tuple[Assignment, ...]:
        pairs = ((one.getSymbol(), self._read(one)) for one in self._model.getListOfInitialAssignments())
        return tuple(Assignment(name, formula) for name, formula in pairs if formula is not None)

    def _rules(self) -> tuple[tuple[Assignment, ...], tuple[Assignment, ...]]:
        rules, rates = list[Assignment](), list[Assignment]()
        for one in self._model.getListOfRules():
            if one.isAlgebraic():
                if one.isSetMath():
                    raise _unsupported(self._where, "an algebraic rule", "a model without algebraic rules")
                continue
            formula = self._read(one)
            if formula is not None:
                (rates if one.isRate() else rules).append(Assignment(one.getVariable(), formula))
        return tuple(rules), tuple(rates)

    def _event(self, one: Any, number: int) -> Event:
        trigger, modern = one.getTrigger(), self._level > 2
        pairs = ((a.getVariable(), self._read(a)) for a in one.getListOfEventAssignments())
        return Event(
            id=one.getId() or f"event {number}",
            trigger=self._read(trigger) or Num(0.0),
            delay=self._read(one.getDelay()) if one.isSetDelay() else None,
            priority=self._read(one.getPriority()) if modern and one.isSetPriority() else None,
            initially=bool(trigger.getInitialValue()) if modern and trigger is not None else True,
            persistent=bool(trigger.getPersistent()) if modern and trigger is not None else True,
            at_trigger=bool(one.getUseValuesFromTriggerTime()),
            assignments=tuple(Assignment(v, m) for v, m in pairs if m is not None),
        )


def _local_parameters(law: Any, level: int) -> Iterable[Any]:
    if law is None:
        return ()
    found: Iterable[Any] = law.getListOfLocalParameters() if level > 2 else law.getListOfParameters()
    return found


def _check_names(model: Model) -> None:
    """Refuse symbols that nothing defines, and identifiers that stand twice."""
    defined = list(model.ids())
    twice = sorted({name for name in defined if defined.count(name) > 1}) if len(set(defined)) < len(defined) else []
    if twice:
        raise InputError(
            model.source, "identifiers", ", ".join(twice[:_BAD_SYMBOLS]) + " twice", "each identifier once"
        )
    known = {*defined, "$time"}
    used: set[str] = set()
    for formula in _formulas(model):
        used |= {name.removeprefix("$rate:") for name in symbols(formula)}
    used |= {a.variable for a in (*model.initial, *model.rules, *model.rates)}
    used |= {a.variable for e in model.events for a in e.assignments}
    used |= {s.conversion_factor for s in model.species if s.conversion_factor}
    unknown = sorted(used - known)
    if unknown:
        found = ", ".join(unknown[:_BAD_SYMBOLS])
        raise InputError(model.source, "symbols", found, "symbols that the model defines")


def _formulas(model: Model) -> Iterable[Expr]:
    for reaction in model.reactions:
        if reaction.rate is not None:
            yield reaction.rate
        yield from (p.stoichiometry for p in reaction.participants)
    yield from (a.math for a in (*model.initial, *model.rules, *model.rates))
    for event in model.events:
        yield from (f for f in (event.trigger, event.delay, event.priority) if f is not None)
        yield from (a.math for a in event.assignments)
