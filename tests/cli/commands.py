"""Run a command as a user would, in this process."""

import sys
from dataclasses import dataclass

import pytest

from seedcorn.cli import main


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str


def run(capsys: pytest.CaptureFixture[str], *words: object) -> Ran:
    """Run ``seedcorn WORDS``."""
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as ended:
        patch.setattr(sys, "argv", ["seedcorn", *map(str, words)])
        capsys.readouterr()
        main()
    captured = capsys.readouterr()
    return Ran(code=int(ended.value.code or 0), out=captured.out, err=captured.err)
