"""A PostgreSQL server of our own: in a temporary folder, on a socket that only we know, gone afterwards."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def binaries() -> Path:
    """The folder of the server on the PATH, or of the newest one that Debian and its kin keep beside it."""
    on_path = shutil.which("initdb")
    if on_path is not None:
        return Path(on_path).resolve().parent
    found = list(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    assert found, "no PostgreSQL server is installed: run tools/install-test-services"
    return max(found, key=lambda path: int(path.parts[-3])).parent


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
