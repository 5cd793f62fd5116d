"""Cells of a table turned into text, numbers and flags, column by column; the first bad cell is refused by row."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fusin.errors import InputError
from fusin.provenance import NoticeLog

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["Cells"]

_EMPTY = frozenset({"", "na", "n/a", "nan", "<na>"})
_NOTHING = _EMPTY | {"null", "none", "nat"}
_NOT_KNOWN = frozenset({"unknown", "missing", "not done", "not available", "not assessed"})
_YES = frozenset({"yes", "y", "true", "1", "1.0", "positive", "pos", "detected", "+", "ja"})
_NO = frozenset({"no", "n", "false", "0", "0.0", "negative", "neg", "not detected", "-", "−", "nein"})
_PLAIN_FLAGS = frozenset({"yes", "no", "true", "false", "1", "0", "1.0", "0.0"})
_COMMA = re.compile(r"[+-]?\d+,\d+(?:[eE][+-]?\d+)?")
_LONGEST = 80
_MOST_WHOLE = 1e15
_HUGE_EXPONENT = re.compile(r"[eE][+-]?\d{5,}")
_THOUSANDS = re.compile(r"[+-]?\d{1,3},\d{3}")


class Cells:
    """The cells of one table.

    Parameters
    ----------
    frame : the table as it stands, index from 0
    where : its name for messages
    log : receives a notice for each column whose spelling was normalised
    """

    def __init__(self, frame: pd.DataFrame, where: str, log: NoticeLog) -> None:
        self._frame, self._where, self._log = frame.copy(deep=False), where, log

    def settle_decimal_commas(self, names: Sequence[str]) -> None:
        """Turn decimal commas into points where all numbers of the table leave one reading.

        Raises
        ------
        InputError
            When commas and points stand in one table, or when each comma could separate thousands.
        """
        from pandas.api.types import is_numeric_dtype

        texts = {n: self._texts(n) for n in names if n in self._frame.columns and not is_numeric_dtype(self._frame[n])}
        commas = {n: t.str.fullmatch(_COMMA).to_numpy(dtype=bool, na_value=False) for n, t in texts.items()}
        if not any(c.any() for c in commas.values()):
            return
        name = next(n for n, c in commas.items() if c.any())
        row = int(commas[name].argmax())
        points = [
            n for n, t in texts.items() if t.str.contains(".", regex=False).to_numpy(dtype=bool, na_value=False).any()
        ]
        if points:
            raise self._bad(name, row, f"a decimal point, as column {points[0]} has")
        if all(texts[n][c].str.fullmatch(_THOUSANDS).all() for n, c in commas.items() if c.any()):
            raise self._bad(name, row, "a decimal point; the comma could be decimal or separate thousands")
        total = sum(int(c.sum()) for c in commas.values())
        self._log.adapted(
            "DECIMAL_COMMA",
            f"{total} numbers have a decimal comma, read as a decimal point; none of them can be thousands throughout",
            where=self._where,
            raw=texts[name][row],
            used=texts[name][row].replace(",", "."),
        )
        for n, comma in commas.items():
            self._frame[n] = texts[n].where(~comma, texts[n].str.replace(",", ".", regex=False)).astype(object)

    def labels(self, name: str, *, required: bool, check_case: bool) -> pd.Series[Any]:
        """Text without surrounding blanks; identifiers that were read as numbers become text again.

        Raises
        ------
        InputError
            For an empty cell of a required column.
        """
        text = self._texts(name)
        text = text.mask(text.str.lower().isin(_EMPTY))
        if required and text.isna().any():
            raise self._bad(name, int(text.isna().to_numpy().argmax()), "a value in every row")
        if check_case:
            self._warn_of_case(name, text)
        return text

    def numbers(
        self, name: str, dtype: str, least: float | None, most: float | None, *, required: bool
    ) -> pd.Series[Any]:
        """Finite numbers within their limits.

        Raises
        ------
        InputError
            For text (``<20``, ``5 g/ml``, ``12 %``), broken counts, values outside the limits (a percentage where a
            fraction is due) and an empty cell of a required column.
        """
        import pandas as pd

        column = self._frame[name]
        if pd.api.types.is_bool_dtype(column.dtype):
            raise self._bad(name, 0, "a number")
        if pd.api.types.is_numeric_dtype(column.dtype):
            values = pd.to_numeric(column).astype("float64")
        else:
            text = self._without_nothing(name)
            # An exponent of ten digits ends the interpreter in pandas 2.3 (segmentation fault in its parser).
            text = text.mask(text.str.contains(_HUGE_EXPONENT, na=False), "no number")
            values = pd.to_numeric(text.astype(object), errors="coerce").astype("float64")
            self._refuse_first(name, (text.notna() & values.isna()).to_numpy(dtype=bool), "a plain number")
        numbers = values.to_numpy()
        with np.errstate(invalid="ignore"):
            self._refuse_first(name, np.isinf(numbers), "a finite number")
            if most == 1.0:
                self._refuse_first(name, numbers > 1.0, "a fraction from 0 to 1; this looks like a percentage")
            if least is not None:
                self._refuse_first(name, numbers < least, f"at least {least:g}")
            if most is not None:
                self._refuse_first(name, numbers > most, f"at most {most:g}")
            if dtype == "Int64":
                self._refuse_first(name, ~np.isnan(numbers) & (numbers != np.round(numbers)), "a whole number")
                self._refuse_first(name, np.abs(numbers) > _MOST_WHOLE, f"a whole number up to {_MOST_WHOLE:g}")
        if required:
            self._refuse_first(name, np.isnan(numbers), "a value in every row")
        return values.astype("Int64") if dtype == "Int64" else values

    def flags(self, name: str) -> pd.Series[Any]:
        """True, False or missing; the usual spellings of yes and no are understood, with a notice.

        Raises
        ------
        InputError
            For another word, and for a lone dash, which may mean no or not done.
        """
        import pandas as pd

        column = self._frame[name]
        if pd.api.types.is_bool_dtype(column.dtype):
            return column.astype("boolean")
        lower = self._without_nothing(name).str.lower()
        seen = set(lower.dropna().unique())
        if not seen & {"+"}:
            self._refuse_first(name, lower.isin({"-", "−"}).to_numpy(dtype=bool), "yes or no; a dash may mean either")
        unknown = seen - _YES - _NO
        if unknown:
            self._refuse_first(name, lower.isin(unknown).to_numpy(dtype=bool), "yes or no")
        odd = sorted(seen - _PLAIN_FLAGS)
        if odd:
            self._log.info(
                "SPELLING_NORMALISED", f"column {name}: {', '.join(odd)} read as yes or no", where=self._where, raw=odd
            )
        out = pd.Series(pd.NA, index=lower.index, dtype="boolean")
        out[lower.isin(_YES).to_numpy(dtype=bool)] = True
        out[lower.isin(_NO).to_numpy(dtype=bool)] = False
        return out

    def words(self, name: str, words: Sequence[tuple[str, Sequence[str]]]) -> pd.Series[Any]:
        """One of a few words, whatever its spelling, with a notice when it was spelt otherwise.

        Raises
        ------
        InputError
            For a word that stands for none of them.
        """
        meaning = {s.lower(): word for word, spellings in words for s in (word, *spellings)}
        lower = self._without_nothing(name).str.lower().str.removesuffix(".0")
        seen = set(lower.dropna().unique())
        self._refuse_first(
            name,
            (lower.notna() & ~lower.isin(set(meaning))).to_numpy(dtype=bool),
            "one of " + ", ".join(w for w, _ in words),
        )
        if "-" in seen and "+" not in seen:
            self._refuse_first(name, lower.isin({"-"}).to_numpy(dtype=bool), "a word; a dash may mean no or not done")
        plain = {word.lower() for word, _ in words}
        odd = sorted(seen - plain)
        if odd:
            used = ", ".join(f"{s} as {meaning[s]}" for s in odd)
            self._log.info("SPELLING_NORMALISED", f"column {name}: {used}", where=self._where, raw=odd)
        return lower.map(meaning).astype("string")

    def _texts(self, name: str) -> pd.Series[Any]:
        """Column as stripped text; whole floats lose their ``.0`` because 17.0 is patient 17."""
        import pandas as pd

        column = self._frame[name]
        if pd.api.types.is_float_dtype(column.dtype):
            present = column.dropna()
            if (present == present.round()).all():
                column = column.astype("Int64")
        return column.astype("string").str.strip()

    def _without_nothing(self, name: str) -> pd.Series[Any]:
        text = self._texts(name)
        lower = text.str.lower()
        said = lower.isin(_NOT_KNOWN)
        if said.any():
            words = sorted(set(lower[said]))
            self._log.info(
                "SPELLING_NORMALISED",
                f"column {name}: {', '.join(words)} read as missing",
                where=self._where,
                raw=words,
            )
        return text.mask(said | lower.isin(_NOTHING))

    def _warn_of_case(self, name: str, text: pd.Series[Any]) -> None:
        spelt: dict[str, list[str]] = {}
        for label in text.dropna().unique():
            spelt.setdefault(" ".join(str(label).casefold().split()), []).append(str(label))
        for variants in spelt.values():
            if len(variants) > 1:
                self._log.warning(
                    "LABELS_DIFFER_IN_CASE",
                    f"column {name}: {' and '.join(sorted(variants))} count as different",
                    where=self._where,
                )

    def _refuse_first(self, name: str, bad: NDArray[np.bool_], needed: str) -> None:
        if bad.any():
            raise self._bad(name, int(bad.argmax()), needed)

    def _bad(self, name: str, row: int, needed: str) -> InputError:
        found = self._frame[name].iloc[row]
        shown = found.item() if hasattr(found, "item") else found
        if isinstance(shown, str) and len(shown) > _LONGEST:
            # A quotation mark that is never closed takes the rest of the file into its cell.
            shown = shown[:_LONGEST] + "..."
        return InputError(f"{self._where} row {row + 1}", name, shown, needed)
