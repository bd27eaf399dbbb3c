"""Where compiled kernels are kept. Each test is a fresh process, which compiles one small kernel."""

import os
import subprocess
import sys
from pathlib import Path

import seedcorn.replay

RUN_ONE_KERNEL = "from seedcorn.replay.kernels.gaps import bin_of; print(bin_of(0.5))"


def run_with(code=RUN_ONE_KERNEL, **environment):
    inherited = {key: value for key, value in os.environ.items() if key != "NUMBA_CACHE_DIR"}
    return subprocess.run(
        [sys.executable, "-c", code],
        env=inherited | environment,
        capture_output=True,
        text=True,
        check=True,
    )


def test_kernels_are_kept_in_the_users_cache_under_a_hash_of_their_sources(tmp_path):
    run_with(XDG_CACHE_HOME=str(tmp_path))

    (kept,) = (tmp_path / "seedcorn" / "kernels").iterdir()
    assert len(kept.name) == 16 and int(kept.name, 16) >= 0
    assert list(kept.rglob("*bin_of*.nbi"))


def test_numba_cache_dir_comes_first_and_kernels_are_under_the_hash_there_too(tmp_path):
    run_with(NUMBA_CACHE_DIR=str(tmp_path / "numba"), XDG_CACHE_HOME=str(tmp_path / "xdg"))

    (kept,) = (tmp_path / "numba").iterdir()
    assert len(kept.name) == 16 and int(kept.name, 16) >= 0
    assert list(kept.rglob("*bin_of*.nbi"))
    assert not (tmp_path / "xdg").exists()


def test_kernels_run_where_nothing_can_be_written(tmp_path):
    not_a_folder = tmp_path / "file"
    not_a_folder.write_text("")

    done = run_with(XDG_CACHE_HOME=str(not_a_folder))

    assert done.stdout.strip().isdigit()
    assert "compiled anew in every process" in done.stderr
    assert not list(Path(seedcorn.replay.__file__).parent.rglob("*.nbi"))


def test_it_is_known_whether_a_router_has_been_compiled(tmp_path):
    code = (
        "from seedcorn.domain.workload import Router\n"
        "from seedcorn.jit import is_compiled\n"
        "from seedcorn.replay import kernels_are_compiled\n"
        "from seedcorn.replay.kernels.gaps import bin_of\n"
        "print(kernels_are_compiled(), kernels_are_compiled(Router.POWER_OF_TWO), is_compiled(bin_of))\n"
        "bin_of(0.5)\n"
        "print(is_compiled(bin_of))"
    )

    done = run_with(code, XDG_CACHE_HOME=str(tmp_path))

    assert done.stdout.split() == ["False", "False", "False", "True"]
