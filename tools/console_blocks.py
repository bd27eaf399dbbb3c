"""Run every ```console block of the docs and compare, or rewrite, what it shows.

    python tools/console_blocks.py            exit 1 if a page shows what its commands do not print
    python tools/console_blocks.py --write    put what they print into the pages

A block holds commands (``$ seedcorn …``) and below each what it prints. Pages run in a folder of their
own that holds ``examples/``; blocks of a page run in order, so that one may use a file that an earlier
one wrote. Words must match; numbers that stand alone may differ by 5 %, since a machine's last digit may
move a search.
A line ``…`` stands for any number of lines; ``[exit 1]`` after an output says that the command ends so.
"""

import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TOLERANCE_SHARE = 0.05
SKIPPED_LINES = "…"

_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NUMBER = re.compile(r"(?<![\w.,-])[+-]?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?(?![\w-])")


@dataclass(frozen=True, slots=True)
class Shown:
    """One command of a page and the output that the page shows."""

    command: str
    output: str


def pages() -> list[Path]:
    """Every page that may hold blocks."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def shown_in(block: str) -> Iterator[Shown]:
    """The commands of a block."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield Shown(command=command, output=output.rstrip("\n"))


def printed(command: str, folder: Path) -> str:
    """What ``command`` prints to stdout and stderr, with a line for an exit code that is not 0."""
    words = shlex.split(command)
    scripts = Path(sys.executable).parent
    environment = {**os.environ, "COLUMNS": "140", "NO_COLOR": "1", "PATH": f"{scripts}:{os.environ['PATH']}"}
    done = subprocess.run(
        words,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    lines = [line.rstrip() for line in done.stdout.splitlines() if not line.endswith(" …")]  # progress
    if done.returncode != 0:
        lines.append(f"[exit {done.returncode}]")
    return "\n".join(lines)


def matches(shown: str, got: str) -> bool:
    """Whether ``got`` is what the page shows: words alike, numbers within the tolerance."""
    return _lines_match([line.rstrip() for line in shown.splitlines()], got.splitlines())


def _lines_match(shown: list[str], got: list[str]) -> bool:
    if not shown:
        return not got
    if shown[0] == SKIPPED_LINES:
        return any(_lines_match(shown[1:], got[skipped:]) for skipped in range(len(got) + 1))
    return bool(got) and _line_matches(shown[0], got[0]) and _lines_match(shown[1:], got[1:])


def _line_matches(shown: str, got: str) -> bool:
    if _words(shown) != _words(got) or shown.startswith("[exit"):
        return shown == got
    return all(map(_close, _NUMBER.findall(shown), _NUMBER.findall(got)))


def _words(line: str) -> str:
    """``line`` with every number as # and every run of blanks as one."""
    return re.sub(r"[ \t]+", " ", _NUMBER.sub("#", line))


def _close(shown: str, got: str) -> bool:
    a, b = float(shown.replace(",", "")), float(got.replace(",", ""))
    return abs(a - b) <= TOLERANCE_SHARE * max(abs(a), abs(b))


def rewritten(page: str, folder: Path) -> str:
    """The page with every block's output as printed now."""

    def block(match: re.Match[str]) -> str:
        parts = []
        for shown in shown_in(match[1]):
            output = _as_long_as(shown.output, printed(shown.command, folder))
            parts.append(f"$ {shown.command}\n{output}".rstrip("\n") + "\n")
        return "```console\n" + "".join(parts) + "```"

    return _BLOCK.sub(block, page)


def _as_long_as(shown: str, got: str) -> str:
    """``got``, cut where the page cuts it: as shown if that still holds, else at the page's first ``…``."""
    lines = shown.splitlines()
    if SKIPPED_LINES not in lines:
        return got
    if matches(shown, got):
        return shown
    return "\n".join([*got.splitlines()[: lines.index(SKIPPED_LINES)], SKIPPED_LINES])


def differences(page: str, folder: Path) -> Iterator[str]:
    """For every command whose output is not what the page shows: both."""
    for match in _BLOCK.finditer(page):
        for shown in shown_in(match[1]):
            got = printed(shown.command, folder)
            if not matches(shown.output, got):
                yield f"$ {shown.command}\n--- the page shows\n{shown.output}\n--- it prints\n{got}"


def main() -> int:
    """Check or rewrite every page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true", help="rewrite the pages")
    write = parser.parse_args().write
    wrong = 0
    for path in pages():
        page = path.read_text(encoding="utf-8")
        if not _BLOCK.search(page):
            continue
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "examples").symlink_to(ROOT / "examples")
            if write:
                path.write_text(rewritten(page, Path(folder)), encoding="utf-8")
                continue
            for difference in differences(page, Path(folder)):
                wrong += 1
                print(f"{path.relative_to(ROOT)}:\n{difference}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
