"""``seedcorn predict``: how fast would it be, and how sure are we? One question, or a table of them."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from seedcorn.cli.evidence import Store, kept_measurements
from seedcorn.cli.output import note_compilation, print_page, progress_shown, warn
from seedcorn.domain.hardware import Dtype
from seedcorn.domain.prediction import Load
from seedcorn.domain.workload import EngineName, EngineSettings
from seedcorn.errors import InputError, SeedcornError
from seedcorn.units import bytes_per_s

if TYPE_CHECKING:
    from seedcorn.study import ServingQuestion, TrainingQuestion
    from seedcorn.wire.questions import Questions

MOST_TOKENS = 10_000_000
"""Of a prompt or an answer: ten times the longest context that is sold."""
MOST_CLIENTS = 100_000
MOST_CHIPS = 10_000_000

AsJson = Annotated[bool, typer.Option("--json", help="Print the document instead of a table.")]
Csv = Annotated[
    Path | None,
    typer.Option(
        "--csv",
        help="A table of questions: a row each, columns named as the options; "
        "options given beside it fill empty cells.",
    ),
]
Out = Annotated[Path | None, typer.Option("--out", help="With --csv: write the answered table here.")]
Text = str | None
Options = Mapping[str, str]
"""What was asked, as written, by option."""
Choice = TypeVar("Choice", bound=StrEnum)


def register(app: typer.Typer) -> None:
    """Add the group of commands to the application."""
    predict = typer.Typer(
        name="predict",
        help="Predict latency and throughput, each with its 90 % interval and what it rests on.",
        no_args_is_help=True,
    )
    predict.command("serve")(serve)
    predict.command("train")(train)
    app.add_typer(predict)


def serve(
    model: Annotated[Text, typer.Option(help="A model in the catalogue or a config.json.")] = None,
    chip: Annotated[Text, typer.Option(help="A chip in the catalogue or a file of specs.")] = None,
    chips: Annotated[Text, typer.Option(help="Chips in all; default: one replica's.")] = None,
    tp: Annotated[Text, typer.Option(help="Tensor parallelism; default: the least that fits.")] = None,
    dtype: Annotated[Text, typer.Option(help="Number format; default: as published.")] = None,
    engine: Annotated[
        Text, typer.Option(help="Serving engine: vllm (the default), sglang, trtllm or mindie.")
    ] = None,
    max_num_seqs: Annotated[Text, typer.Option(help="Sequences per step.")] = None,
    max_num_batched_tokens: Annotated[Text, typer.Option(help="Tokens per step.")] = None,
    input_tokens: Annotated[Text, typer.Option("--input", help="Prompt tokens of a request.")] = None,
    output_tokens: Annotated[Text, typer.Option("--output", help="Output tokens of a request.")] = None,
    concurrency: Annotated[Text, typer.Option(help="Clients, each with one request under way.")] = None,
    rate: Annotated[Text, typer.Option(help="Requests per second, Poisson, instead of clients.")] = None,
    store: Store = None,
    table: Csv = None,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """TTFT, TPOT and output tokens/s of a model on a chip, by replay of the load.

    Exits 1 if it does not fit or does not keep up.
    """
    given = {
        "model": model,
        "chip": chip,
        "chips": chips,
        "tp": tp,
        "dtype": dtype,
        "engine": engine,
        "max-num-seqs": max_num_seqs,
        "max-num-batched-tokens": max_num_batched_tokens,
        "input": input_tokens,
        "output": output_tokens,
        "concurrency": concurrency,
        "rate": rate,
    }
    from seedcorn.report.prediction import serving_page
    from seedcorn.study import predict_serving
    from seedcorn.wire import prediction_json
    from seedcorn.wire.prediction import SERVING_COLUMNS, serving_cells

    measurements = kept_measurements(store)
    note_compilation()

    def one(options: Options) -> None:
        prediction = predict_serving(serving_question(options), measurements)
        if as_json:
            typer.echo(prediction_json(prediction), nl=False)
        else:
            print_page(serving_page(prediction))

    def cells(options: Options) -> Mapping[str, str]:
        return serving_cells(predict_serving(serving_question(options), measurements))

    _answer(table, given, one, cells, SERVING_COLUMNS, out, as_json)


def train(
    model: Annotated[Text, typer.Option(help="A model in the catalogue or a config.json.")] = None,
    params: Annotated[Text, typer.Option(help="Parameters instead of a model, such as 70e9.")] = None,
    active_params: Annotated[
        Text, typer.Option(help="Parameters one token passes; default: all of them.")
    ] = None,
    chip: Annotated[Text, typer.Option(help="A chip in the catalogue or a file of specs.")] = None,
    chips: Annotated[Text, typer.Option(help="Chips of the gang.")] = None,
    seq: Annotated[Text, typer.Option(help="Tokens of one sequence.")] = None,
    dtype: Annotated[Text, typer.Option(help="Number format; default: bf16.")] = None,
    network: Annotated[
        Text, typer.Option(help='Per chip, between nodes, one direction; default: "400 Gb/s".')
    ] = None,
    table: Csv = None,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Tokens/s, FLOP/s per chip and MFU of the best layout for a gang of chips.

    Exits 1 if nothing fits.
    """
    given = {
        "model": model,
        "params": params,
        "active-params": active_params,
        "chip": chip,
        "chips": chips,
        "seq": seq,
        "dtype": dtype,
        "network": network,
    }
    from seedcorn.report.prediction import training_page
    from seedcorn.study import predict_training
    from seedcorn.wire import prediction_json
    from seedcorn.wire.prediction import TRAINING_COLUMNS, training_cells

    def one(options: Options) -> None:
        prediction = predict_training(training_question(options))
        if as_json:
            typer.echo(prediction_json(prediction), nl=False)
        else:
            print_page(training_page(prediction))

    def cells(options: Options) -> Mapping[str, str]:
        return training_cells(predict_training(training_question(options)))

    _answer(table, given, one, cells, TRAINING_COLUMNS, out, as_json)


def _answer(
    table: Path | None,
    given: Mapping[str, Text],
    one: Callable[[Options], None],
    cells: Callable[[Options], Mapping[str, str]],
    columns: Sequence[str],
    out: Path | None,
    as_json: bool,
) -> None:
    """Answer one question, or a table of them."""
    from seedcorn.wire import write_text_atomically
    from seedcorn.wire.questions import ERROR, answered_csv, option_of, read_questions

    options = {name: text for name, text in given.items() if text is not None}
    if table is None:
        if out is not None:
            raise InputError("--out goes with --csv: one answer is printed")
        one(options)
        return
    if as_json:
        raise InputError("--json is for one question: --csv answers with a table")
    questions = read_questions(table)
    for column in questions.columns:
        if option_of(column) not in given and column not in (*columns, ERROR):
            warn(f"{table}: column {column!r} is no option of this command, and is kept as it is")
    answers = _answers(questions, options, cells)
    text = answered_csv(questions, answers, columns)
    if out is None:
        typer.echo(text, nl=False)
    else:
        write_text_atomically(out, text)
    unanswered = sum(ERROR in answer for answer in answers)
    if unanswered:
        warn(f"{unanswered:,} of {len(answers):,} rows have no answer: column {ERROR!r} says why")


def _answers(
    questions: "Questions", given: Options, cells: Callable[[Options], Mapping[str, str]]
) -> list[Mapping[str, str]]:
    """The cells that answer each row, or why there are none."""
    from seedcorn.wire.questions import ERROR, options_of

    found: list[Mapping[str, str]] = []
    with progress_shown() as progress:
        for done, row in enumerate(questions.rows, start=1):
            try:
                found.append(cells({**given, **options_of(row)}))
            except SeedcornError as error:
                found.append({ERROR: str(error)})
            progress("questions", done, len(questions.rows))
    return found


def serving_question(options: Options) -> "ServingQuestion":
    """The question that options, by name, ask.

    Raises:
        InputError: One is missing, contradicts another or has no such value.
    """
    from seedcorn.study import ServingQuestion

    engine = EngineSettings(engine=_one_of(EngineName, options, "engine") or EngineName.VLLM)
    return ServingQuestion(
        model=_needed(options, "model"),
        chip=_needed(options, "chip"),
        chips=_count(options, "chips", MOST_CHIPS),
        tp=_count(options, "tp", MOST_CHIPS),
        dtype=_one_of(Dtype, options, "dtype"),
        engine=replace(
            engine,
            max_num_seqs=_count(options, "max-num-seqs", MOST_CLIENTS) or engine.max_num_seqs,
            max_num_batched_tokens=_count(options, "max-num-batched-tokens", MOST_TOKENS)
            or engine.max_num_batched_tokens,
        ),
        load=_load(options),
    )


def _load(options: Options) -> Load:
    concurrency, rate_per_s = _count(options, "concurrency", MOST_CLIENTS), _positive(options, "rate")
    if (concurrency is None) == (rate_per_s is None):
        raise InputError(f"give one of concurrency and rate; got {'both' if concurrency else 'neither'}")
    return Load(
        input_tokens=_needed_count(options, "input", MOST_TOKENS),
        output_tokens=_needed_count(options, "output", MOST_TOKENS),
        concurrency=concurrency,
        rate_per_s=rate_per_s,
    )


def training_question(options: Options) -> "TrainingQuestion":
    """The question that options, by name, ask.

    Raises:
        InputError: One is missing, contradicts another or has no such value.
    """
    from seedcorn.study import TrainingQuestion

    model, params = options.get("model"), _positive(options, "params")
    if (model is None) == (params is None):
        raise InputError(f"give one of model and params; got {'both' if model else 'neither'}")
    active = _positive(options, "active-params")
    if active is not None and (params is None or active > params):
        raise InputError(f"active-params ({active:g}) goes with params and is at most that; got {params}")
    return TrainingQuestion(
        model=model,
        params=params,
        active_params=active,
        chip=_needed(options, "chip"),
        chips=_needed_count(options, "chips", MOST_CHIPS),
        sequence_length=_needed_count(options, "seq", MOST_TOKENS),
        dtype=_one_of(Dtype, options, "dtype") or Dtype.BF16,
        network_bytes_per_s=bytes_per_s(options["network"]) if "network" in options else None,
    )


def _needed(options: Options, name: str) -> str:
    if name not in options:
        raise InputError(f"{name} is missing: give --{name}, or with --csv a column of that name")
    return options[name]


def _needed_count(options: Options, name: str, most: int) -> int:
    _needed(options, name)
    count = _count(options, name, most)
    assert count is not None
    return count


def _count(options: Options, name: str, most: int) -> int | None:
    """A whole number from 1 to ``most``."""
    if name not in options:
        return None
    try:
        number = int(options[name].replace(",", ""))
    except ValueError:
        number = 0
    if not 1 <= number <= most:
        raise InputError(f"{name}: expected a whole number from 1 to {most:,}, got {options[name]!r}")
    return number


def _positive(options: Options, name: str) -> float | None:
    """A finite number above 0."""
    if name not in options:
        return None
    try:
        number = float(options[name].replace(",", ""))
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number > 0):
        raise InputError(f"{name}: expected a number above 0, got {options[name]!r}")
    return number


def _one_of(choices: type[Choice], options: Options, name: str) -> Choice | None:
    if name not in options:
        return None
    if options[name] not in list(choices):
        raise InputError(f"{name}: expected one of {', '.join(choices)}, got {options[name]!r}")
    return choices(options[name])
