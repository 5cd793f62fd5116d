"""Running the command as a user does, in this process: standard output, standard error and exit code apart."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest


class Ran(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str

    def document(self) -> Any:
        """The one JSON document on standard output; anything else there fails."""
        return json.loads(self.out)

    @property
    def refusal(self) -> str:
        """The one sentence of a refusal, after ``fusin:``."""
        lines = self.err.strip().splitlines()
        assert len(lines) == 1, f"not one line: {self.err}"
        assert lines[0].startswith("fusin: "), lines[0]
        assert "Traceback" not in self.err
        return lines[0].removeprefix("fusin: ")


@pytest.fixture
def fusin(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Run ``fusin`` with arguments; an exception that is no exit fails the test, as a traceback would the user."""

    def run(*arguments: object) -> Ran:
        from fusin.cli.app import main

        monkeypatch.setattr("sys.argv", ["fusin", *map(str, arguments)])
        capsys.readouterr()
        try:
            main()
        except SystemExit as leave:
            code = leave.code if isinstance(leave.code, int) else int(leave.code is not None)
        else:
            code = 0
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return run
