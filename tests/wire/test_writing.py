import resource
from contextlib import contextmanager

import pytest

from seedcorn.errors import InputError
from seedcorn.wire import json_bytes, write_text_atomically


def test_a_file_is_written_and_replaced(tmp_path):
    path = tmp_path / "plan.json"

    write_text_atomically(path, "old\n")
    write_text_atomically(path, b"new\n")

    assert path.read_text() == "new\n"
    assert [p.name for p in tmp_path.iterdir()] == ["plan.json"]


def test_a_link_is_followed(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "plan.json")

    write_text_atomically(tmp_path / "link", "x")

    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "plan.json").read_text() == "x"


@contextmanager
def a_full_disk(limit_bytes):
    """Writing past ``limit_bytes`` of any file fails, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_write_that_fails_half_way_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "plan.json"
    write_text_atomically(path, "old\n")

    with a_full_disk(100), pytest.raises(InputError, match=r"cannot write .*plan\.json: File too large"):
        write_text_atomically(path, "new\n" * 100)

    assert path.read_text() == "old\n"
    assert [p.name for p in tmp_path.iterdir()] == ["plan.json"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("none/plan.json", "No such file or directory"),
        ("file/plan.json", "Not a directory"),
        ("folder", "it is not a regular file; give the name of a file"),
        ("x" * 300, "File name too long"),
    ],
)
def test_a_place_that_cannot_be_written_is_named(tmp_path, name, reason):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()

    with pytest.raises(InputError) as caught:
        write_text_atomically(tmp_path / name, "x")

    assert str(caught.value) == f"cannot write {tmp_path / name}: {reason}"


def test_json_is_for_people_and_diff():
    assert json_bytes({"b": 1.0, "a": ["é"]}) == '{\n  "b": 1.0,\n  "a": [\n    "é"\n  ]\n}\n'.encode()
