import json

import numpy as np
import pytest

from seedcorn.errors import InputError
from seedcorn.evidence import keep, kept
from seedcorn.wire import evidence_from, evidence_json
from tests.evidence.measurements import a_log, a_measurement, a_point


def test_what_is_kept_comes_back(tmp_path):
    log = a_log(
        arrival_s=[0.0, 0.5], input_tokens=[10, 20], output_tokens=[1, 5], first_token_s=[0.25, np.nan]
    )
    before = a_measurement(points=(a_point(concurrency=8),), log=log, kv_tokens=41_408)

    keep(before, tmp_path)

    [(_, after)] = kept(tmp_path)
    assert (after.key, after.engine, after.points, after.kv_tokens, after.source) == (
        before.key,
        before.engine,
        before.points,
        41_408,
        before.source,
    )
    assert after.log is not None
    np.testing.assert_array_equal(after.log.first_token_s, log.first_token_s)
    np.testing.assert_array_equal(after.log.input_tokens, log.input_tokens)


def test_keeping_twice_changes_nothing(tmp_path):
    first, is_new = keep(a_measurement(), tmp_path / "new" / "folder")
    stamp = first.stat().st_mtime_ns
    again, is_new_again = keep(a_measurement(), tmp_path / "new" / "folder")

    assert (again, is_new, is_new_again) == (first, True, False)
    assert again.stat().st_mtime_ns == stamp
    assert list(again.parent.iterdir()) == [first]


def test_different_measurements_lie_side_by_side(tmp_path):
    for clients in (1, 2, 4):
        keep(a_measurement(points=(a_point(concurrency=clients),)), tmp_path)

    assert [m.points[0].concurrency for _, m in kept(tmp_path)] != [None] * 3
    assert {m.points[0].concurrency for _, m in kept(tmp_path)} == {1, 2, 4}


def test_no_store_is_an_empty_one(tmp_path):
    assert kept(tmp_path / "nowhere") == ()


def test_a_file_that_was_changed_is_refused(tmp_path):
    path, _ = keep(a_measurement(), tmp_path)
    path.write_text(path.read_text().replace("0.19.0", "0.20.0"))

    with pytest.raises(InputError, match="content has changed"):
        kept(tmp_path)


def test_a_store_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(InputError, match="cannot make the evidence store"):
        keep(a_measurement(), tmp_path / "file" / "store")


@pytest.mark.parametrize(
    "change",
    [{"tp": 0}, {"model": None}, {"kind": "plan"}, {"seedcorn": 2}, {"points": "none"}, {"extra": 1}],
)
def test_a_document_that_breaks_its_schema_is_refused(change):
    data = {**json.loads(evidence_json(a_measurement())), **change}

    with pytest.raises(InputError, match=next(iter(change))):
        evidence_from(json.dumps(data).encode(), "here")
