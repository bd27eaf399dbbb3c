"""Measure a live server that speaks OpenAI's completions protocol: closed loops of clients, streamed answers.

Each client is a thread with a connection per request, as load generators do. Nothing is retried: a server
that refuses, stalls, streams something else or hangs up ends the measurement with the reason, and there is
then nothing to keep. Token counts are the server's own (``usage``), not a guess of ours.
"""

import http.client
import json
import random
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from seedcorn.domain.measurement import BenchmarkPoint
from seedcorn.domain.workload import Statistic
from seedcorn.errors import InputError
from seedcorn.evidence.found import Driver, Found, a_point
from seedcorn.units import format_seconds

MOST_LINE_BYTES = 1 << 20
"""Of one streamed event; an event of a completion is a few hundred bytes."""

WORDS = ("seed", "corn", "field", "rain", "barn", "plough", "harvest", "sun", "soil", "wind")
"""Prompts are made of these: some 1.1 tokens a word in common vocabularies, and the first answer says how many."""

TOOL = "live server"

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Where to ask, and how long to wait for the next byte.

    Attributes:
        url: ``http://host:port``, with or without ``/v1``.
        model: Name it serves under; ``None``: the only one it lists.
        api_key: Sent as a bearer token, shown nowhere.
    """

    url: str
    model: str | None = None
    api_key: str | None = field(default=None, repr=False)
    timeout_s: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Closed loops to run, one after another, with requests of one size."""

    concurrency: tuple[int, ...] = (1, 8, 32)
    requests_per_client: int = 5
    input_tokens: int = 1024
    output_tokens: int = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """One request, measured on the client's clock."""

    sent_s: float
    first_token_s: float
    last_token_s: float
    input_tokens: int
    output_tokens: int


def measure(server: Server, plan: Plan, progress: Progress) -> Found:
    """Run the plan against the server.

    Raises:
        InputError: No server speaks the protocol there, or it fails in the middle; says how.
    """
    model = server.model or _only_model(server)
    words = _words_for(server, model, plan)
    points = [_closed_loop(server, model, plan, words, clients, progress) for clients in plan.concurrency]
    return Found(tool=TOOL, points=tuple(points))


def _closed_loop(
    server: Server, model: str, plan: Plan, words: int, concurrency: int, progress: Progress
) -> BenchmarkPoint:
    """One benchmark; the first failure stops every client."""
    total = concurrency * plan.requests_per_client
    failed, one_at_a_time = threading.Event(), threading.Lock()
    answers: list[_Answer] = []

    def client() -> None:
        for _ in range(plan.requests_per_client):
            if failed.is_set():
                return
            try:
                answer = _ask(server, model, _prompt(words), plan.output_tokens)
            except InputError:
                failed.set()
                raise
            with one_at_a_time:
                answers.append(answer)
                progress(f"measuring {concurrency} clients", len(answers), total)

    with ThreadPoolExecutor(max_workers=concurrency) as clients:
        for done in [clients.submit(client) for _ in range(concurrency)]:
            done.result()
    return _point(f"{server.url} with {concurrency} clients", answers, concurrency)


def _point(where: str, answers: list[_Answer], concurrency: int) -> BenchmarkPoint:
    ttft_s = np.array([answer.first_token_s - answer.sent_s for answer in answers])
    tpot_s = np.array(
        [(a.last_token_s - a.first_token_s) / (a.output_tokens - 1) for a in answers if a.output_tokens > 1]
    )
    duration_s = max(answer.last_token_s for answer in answers) - min(answer.sent_s for answer in answers)
    output_tokens = sum(answer.output_tokens for answer in answers)
    return a_point(
        where,
        driver=Driver(concurrency=concurrency),
        asked=Driver(),
        num_requests=len(answers),
        failed=0,
        input_tokens=sum(answer.input_tokens for answer in answers) / len(answers),
        output_tokens=output_tokens / len(answers),
        ttft_s=_statistics(ttft_s),
        tpot_s=_statistics(tpot_s),
        output_tokens_per_s=output_tokens / duration_s if duration_s > 0 else None,
    )


def _statistics(values_s: NDArray[np.float64]) -> dict[Statistic, float | None]:
    if values_s.shape[0] == 0:
        return {}
    p50_s, p99_s = np.percentile(values_s, [50, 99]).tolist()
    return {Statistic.MEAN: float(values_s.mean()), Statistic.P50: p50_s, Statistic.P99: p99_s}


def _words_for(server: Server, model: str, plan: Plan) -> int:
    """Words that make a prompt of the asked length, by what the server counts in a first one, which also warms it up."""
    tried = max(plan.input_tokens, 16)
    answer = _ask(server, model, _prompt(tried), plan.output_tokens)
    return max(round(plan.input_tokens * tried / answer.input_tokens), 1)


def _prompt(words: int) -> str:
    """Never the same twice, so that no prefix is found in a cache."""
    return " ".join(random.choices(WORDS, k=words))  # noqa: S311  # nobody is kept from guessing it


def _only_model(server: Server) -> str:
    """The model that the server lists, if it is one."""
    with _response(server, "GET", "/models") as response:
        listed = _json(server, response.read(MOST_LINE_BYTES))
    models = listed.get("data")
    names = [m.get("id") for m in models if isinstance(m, dict)] if isinstance(models, list) else []
    if len(names) != 1 or not isinstance(names[0], str):
        raise InputError(
            f"{server.url} lists {len(names)} models ({', '.join(map(str, names)) or 'none'}): "
            "say which with --served-model"
        )
    return names[0]


def _ask(server: Server, model: str, prompt: str, output_tokens: int) -> _Answer:
    """One completion, streamed, of exactly ``output_tokens`` where the server can be told so (vLLM, SGLang)."""
    body = {
        "model": model,
        "prompt": prompt,
        "max_tokens": output_tokens,
        "temperature": 0,
        "ignore_eos": True,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    sent_s = time.perf_counter()
    first_token_s = last_token_s = 0.0
    usage: object = None
    with _response(server, "POST", "/completions", body) as response:
        for event in _events(server, response, most=4 * output_tokens + 64):
            usage = event.get("usage") or usage
            if _has_text(event):
                last_token_s = time.perf_counter()
                first_token_s = first_token_s or last_token_s
    if not first_token_s:
        raise InputError(f"{server.url} streamed no token")
    counts = usage if isinstance(usage, dict) else {}
    tokens_in, tokens_out = counts.get("prompt_tokens"), counts.get("completion_tokens")
    if not isinstance(tokens_in, int) or not isinstance(tokens_out, int) or min(tokens_in, tokens_out) < 1:
        raise InputError(
            f"{server.url} reports no token counts (usage) at the end of its stream, got {usage!r:.80}"
        )
    return _Answer(
        sent_s=sent_s,
        first_token_s=first_token_s,
        last_token_s=last_token_s,
        input_tokens=tokens_in,
        output_tokens=tokens_out,
    )


def _has_text(event: Mapping[str, object]) -> bool:
    choices = event.get("choices")
    return (
        isinstance(choices, list)
        and bool(choices)
        and isinstance(choices[0], dict)
        and bool(choices[0].get("text"))
    )


def _events(server: Server, response: http.client.HTTPResponse, *, most: int) -> Iterator[dict[str, object]]:
    """The JSON of each server-sent event up to ``[DONE]``; comments that keep a connection alive say nothing."""
    heard_s = time.monotonic()
    for _ in range(most):
        line = response.readline(MOST_LINE_BYTES)
        if not line:
            raise InputError(f"{server.url} hung up in the middle of an answer")
        if not line.strip() or line.startswith(b":"):
            if time.monotonic() - heard_s > server.timeout_s:
                raise TimeoutError
            continue
        heard_s = time.monotonic()
        if not line.startswith(b"data:"):
            raise InputError(f"{server.url} streams no server-sent events: {line[:60]!r}")
        data = line.removeprefix(b"data:").strip()
        if data == b"[DONE]":
            return
        yield _json(server, data)
    raise InputError(f"{server.url} streams on after {most:,} lines, far more than the tokens asked for")


def _json(server: Server, data: bytes) -> dict[str, object]:
    try:
        found = json.loads(data)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise InputError(f"{server.url} sends no JSON object: {data[:60]!r}")
    return found


@contextmanager
def _response(
    server: Server, method: str, path: str, body: Mapping[str, object] | None = None
) -> Iterator[http.client.HTTPResponse]:
    """The response to one request on a connection of its own; every way it may fail is an ``InputError``."""
    connection = _connection(server)
    headers = {"Content-Type": "application/json", "Accept": "text/event-stream, application/json"}
    if server.api_key is not None:
        headers["Authorization"] = f"Bearer {server.api_key}"
    try:
        content = None if body is None else json.dumps(body).encode()
        connection.request(method, _path(server) + path, body=content, headers=headers)
        with connection.getresponse() as response:
            if response.status != http.client.OK:
                raise InputError(
                    f"{server.url} answers {response.status} {response.reason}: {_excerpt(server, response)}"
                )
            yield response
    except TimeoutError:
        raise InputError(
            f"{server.url} sent nothing for {format_seconds(server.timeout_s)}; --timeout waits longer"
        ) from None
    except (OSError, http.client.HTTPException) as error:
        raise InputError(f"{server.url}: {error or type(error).__name__}") from None
    finally:
        connection.close()


def _connection(server: Server) -> http.client.HTTPConnection:
    url = urlsplit(server.url)
    if url.scheme not in ("http", "https") or url.hostname is None:
        raise InputError(f"expected a URL such as http://localhost:8000, got {server.url!r}")
    if url.username is not None or url.password is not None:
        raise InputError("a URL with a password in it would be shown and kept: give a key with --api-key-env")
    try:
        port = url.port
    except ValueError as error:
        raise InputError(f"{server.url}: {error}") from None
    if url.scheme == "http":
        return http.client.HTTPConnection(url.hostname, port, timeout=server.timeout_s)
    context = ssl.create_default_context()
    return http.client.HTTPSConnection(url.hostname, port, timeout=server.timeout_s, context=context)


def _path(server: Server) -> str:
    """The API's root: ``/v1``, given or not."""
    path = urlsplit(server.url).path.rstrip("/")
    return path if path.endswith("/v1") else f"{path}/v1"


def _excerpt(server: Server, response: http.client.HTTPResponse) -> str:
    """The start of an error's text, without the key that some servers repeat in it."""
    text = " ".join(response.read(300).decode(errors="replace").split())
    return text.replace(server.api_key, "***") if server.api_key else text
