"""A PostgreSQL server of our own: in a temporary folder, on a socket that only we know, gone afterwards."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FOLDERS = ("/usr/lib/postgresql", "/usr/pgsql")
"""Where Debian and its kin, and PGDG's packages for others, keep servers; one folder for each version."""


def binaries() -> Path:
    """The folder of the newest server on this machine."""
    found = [path for folder in FOLDERS for path in Path(folder).glob("*/bin") if (path / "initdb").exists()]
    on_path = shutil.which("initdb")
    if on_path is not None:
        found.append(Path(on_path).resolve().parent)
    assert found, "no PostgreSQL server is installed: run tools/install-test-services"
    return max(found, key=lambda path: int(path.parent.name) if path.parent.name.isdigit() else 0)


def user() -> str | None:
    """Whom the server runs as, since it refuses root; ``None``: as we do."""
    if os.geteuid() != 0:
        return None
    return "postgres" if "postgres" in {entry.pw_name for entry in pwd.getpwall()} else "nobody"


@contextmanager
def running_server() -> Iterator[str]:
    """Yields the URL of an empty database; stops the server in the end."""
    folder = Path(tempfile.mkdtemp(prefix="seedcorn-pg-", dir="/tmp"))  # a socket's path is at most 107 bytes
    owner = user()
    if owner is not None:
        shutil.chown(folder, owner)
    try:
        _run(
            folder,
            "initdb",
            "-D",
            folder / "data",
            "-A",
            "trust",
            "-U",
            "seedcorn",
            "-E",
            "UTF8",
            "--no-sync",
        )
        settings = f"-k {folder} -c listen_addresses='' -c fsync=off -c max_connections=20"
        _run(folder, "pg_ctl", "-D", folder / "data", "-l", folder / "log", "-o", settings, "-w", "start")
        try:
            yield f"postgresql://seedcorn@/postgres?host={folder}"
        finally:
            _run(folder, "pg_ctl", "-D", folder / "data", "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder)


def _run(folder: Path, program: str, *words: object) -> None:
    done = subprocess.run(
        [binaries() / program, *map(str, words)],
        user=user(),
        cwd=folder,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
        stdout=subprocess.PIPE
        if program == "initdb"
        else subprocess.DEVNULL,  # a server would keep a pipe open
        stderr=subprocess.STDOUT,
        check=False,
        text=True,
    )
    assert done.returncode == 0, f"{program}: {done.stdout}"
