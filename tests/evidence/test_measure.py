"""A live server is measured on the loopback: what it does is known, so what is measured can be judged."""

import json
import socket

import pytest

from tests.cli.commands import run
from tests.evidence.server import TPOT_S, TTFT_S, Completions, serving

SETUP = ("--model", "llama-3.1-8b", "--chip", "h100-sxm", "--dtype", "bf16", "--engine-version", "0.19.0")
SMALL = ("--input", "60", "--output", "10", "--requests-per-client", "3")


@pytest.fixture
def store(monkeypatch, tmp_path):
    monkeypatch.setenv("SEEDCORN_EVIDENCE", str(tmp_path / "store"))
    return tmp_path / "store"


def measure(capsys, url, *words):
    return run(capsys, "evidence", "measure", url, *SETUP, *SMALL, *words)


def test_a_server_is_measured_and_the_result_kept(capsys, store):
    completions = Completions()
    with serving(completions) as url:
        ran = measure(capsys, url, "--concurrency", "1", "--concurrency", "4", "--json")

    assert ran.code == 0, ran.err
    document = json.loads(ran.out)
    assert (document["engine"], document["engine_version"], document["chip"]) == (
        "vllm",
        "0.19.0",
        "nvidia-h100-sxm",
    )
    assert [point["concurrency"] for point in document["points"]] == [1, 4]
    assert [point["num_requests"] for point in document["points"]] == [3, 12]
    for point in document["points"]:
        assert point["input_tokens"] == pytest.approx(60, abs=2)  # the server counts two tokens a word
        assert point["output_tokens"] == 10
        assert TTFT_S <= point["ttft_s"]["mean"] < TTFT_S + 0.2  # a busy machine is late, never early
        assert 0.9 * TPOT_S <= point["tpot_s"]["mean"] < TPOT_S + 0.03
    assert completions.most_under_way == 4
    assert completions.requests == 1 + 3 + 12  # one to warm up and to count words
    assert len(list(store.iterdir())) == 1


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("refuses", "answers 503 Service Unavailable: busy"),
        ("stalls", "sent nothing for 500 ms"),
        ("only keeps alive", "sent nothing for 500 ms"),
        ("garbles", "sends no JSON object"),
        ("no events", "streams no server-sent events"),
        ("hangs up", "hung up in the middle"),
        ("is silent", "streamed no token"),
        ("does not count", "reports no token counts"),
        ("never ends", "far more than the tokens asked for"),
    ],
)
def test_a_server_that_fails_in_the_middle_leaves_nothing(capsys, store, fault, message):
    with serving(Completions(fault)) as url:
        ran = measure(capsys, url, "--concurrency", "2", "--timeout", "500 ms")

    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err
    assert not store.exists()


def test_a_key_is_sent_and_never_shown(capsys, store, monkeypatch):
    monkeypatch.setenv("THE_KEY", "sk-secret-123")
    completions = Completions("refuses")
    with serving(completions) as url:
        ran = measure(capsys, url, "--concurrency", "2", "--api-key-env", "THE_KEY")

    assert completions.keys == {"Bearer sk-secret-123"}
    assert "busy, your key is" in ran.err
    assert "sk-secret" not in ran.err + ran.out


def test_of_several_models_one_must_be_named(capsys, store):
    with serving(Completions(models=("a", "b"))) as url:
        without = measure(capsys, url, "--concurrency", "1")
        named = measure(capsys, url, "--concurrency", "1", "--served-model", "b")

    assert "lists 2 models (a, b): say which with --served-model" in without.err
    assert named.code == 0


def test_nobody_listens(capsys, store):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        ran = measure(capsys, f"http://127.0.0.1:{taken.getsockname()[1]}")

    assert (ran.code, store.exists()) == (2, False)
    assert "refused" in ran.err


@pytest.mark.parametrize(
    ("url", "words", "message"),
    [
        ("localhost:8000", (), "expected a URL"),
        ("ftp://localhost", (), "expected a URL"),
        ("http://me:secret@localhost:8000", (), "--api-key-env"),
        ("http://localhost:99999", (), "ort"),
        ("http://localhost", ("--timeout", "0 s"), "a duration above 0"),
        ("http://localhost", ("--api-key-env", "NO_SUCH_VARIABLE"), "no variable 'NO_SUCH_VARIABLE'"),
        ("http://localhost", ("--chip", "no-such-chip"), "unknown chip"),
    ],
)
def test_wrong_options_are_told_before_anything_is_sent(capsys, store, url, words, message):
    ran = measure(capsys, url, *words)

    assert (ran.code, store.exists()) == (2, False)
    assert message in ran.err
    assert "secret@" not in ran.err
