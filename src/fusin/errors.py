"""Everything fusin refuses, as one small tree.

::

    FusinError                exit 1
    |-- InputError            exit 3   a file or a value cannot be used
    |-- NotComputable         exit 3   the data cannot answer the question
    |   |-- MissingValue               a field that the method needs is absent
    |   |-- InvalidValue               a field is there and holds something impossible
    |   |-- Unsupported                a unit, object or construct outside the method
    |   |-- Ambiguous                  several readings are possible and none is safe
    |   |-- Refused                    a step that rules do not permit
    |   `-- StrictRefusal              ``strict=True`` met an adaptation
    |-- MissingExtra          exit 2   an optional package is not installed
    `-- PartlyFailed          exit 4   some items of a batch failed

Constructor arguments equal ``args`` and are positional, so errors survive process pools.
"""

from __future__ import annotations

__all__ = [
    "Ambiguous",
    "FusinError",
    "InputError",
    "InvalidValue",
    "MissingExtra",
    "MissingValue",
    "NotComputable",
    "PartlyFailed",
    "Refused",
    "StrictRefusal",
    "Unsupported",
]


class FusinError(Exception):
    """Base of all errors that fusin raises on purpose."""

    exit_code = 1


class InputError(FusinError):
    """A file or a value is unusable.

    Parameters
    ----------
    where : file, series or table row
    field : the field, column or tag
    found : what stood there (small and picklable)
    needed : what would do
    """

    exit_code = 3

    def __init__(self, where: str, field: str, found: object, needed: str) -> None:
        super().__init__(where, field, found, needed)
        self.where, self.field, self.found, self.needed = where, field, found, needed

    def __str__(self) -> str:
        return f"{self.where}: {self.field}: found {self.found!r}, need {self.needed}"


class NotComputable(FusinError):
    """The data cannot answer.

    Parameters
    ----------
    what : the quantity asked for, for example ``"SUV"``
    because : why it cannot be had, with the value found
    needed : what would do
    code : short stable identifier of the reason, upper snake case
    """

    exit_code = 3

    def __init__(self, what: str, because: str, needed: str, code: str = "NOT_COMPUTABLE") -> None:
        super().__init__(what, because, needed, code)
        self.what, self.because, self.needed, self.code = what, because, needed, code

    def __str__(self) -> str:
        return f"{self.what} cannot be computed: {self.because}; need {self.needed}"


class MissingValue(NotComputable):
    """A field that the method needs is absent or empty."""


class InvalidValue(NotComputable):
    """A field is present and holds something impossible."""


class Unsupported(NotComputable):
    """A unit, object or construct lies outside the method."""


class Ambiguous(NotComputable):
    """Several readings are possible and choosing one would be a guess."""


class Refused(NotComputable):
    """A step that rules do not permit, such as releasing what one has made."""

    def __str__(self) -> str:
        return f"{self.what} is refused: {self.because}; need {self.needed}"


class StrictRefusal(NotComputable):
    """In strict mode an adaptation was needed and is refused."""


class MissingExtra(FusinError):
    """An optional package is needed and absent.

    Parameters
    ----------
    package : the importable name
    extra : the fusin extra that brings it
    purpose : what it is needed for
    """

    exit_code = 2

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(package, extra, purpose)
        self.package, self.extra, self.purpose = package, extra, purpose

    def __str__(self) -> str:
        return f"{self.purpose} needs {self.package}: pip install 'fusin[{self.extra}]'"


class PartlyFailed(FusinError):
    """Some items of a batch failed and the others were delivered.

    Parameters
    ----------
    failed : one sentence per failed item
    done : number of items delivered
    """

    exit_code = 4

    def __init__(self, failed: tuple[str, ...], done: int) -> None:
        super().__init__(failed, done)
        self.failed, self.done = failed, done

    def __str__(self) -> str:
        return f"{len(self.failed)} failed, {self.done} done: " + "; ".join(self.failed)
