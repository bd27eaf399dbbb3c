"""Models: a ``config.json`` each, its provenance beside it as TOML, by Hugging Face id."""

from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from importlib.resources import files
from pathlib import Path

from seedcorn.catalog.config import read_config
from seedcorn.catalog.files import read_document
from seedcorn.catalog.names import load_index, resolve
from seedcorn.domain.model import ModelSpec

PATH_STARTS = ("/", "./", "../", "~")


class Origin(StrEnum):
    """How the catalogue came by a configuration."""

    VERBATIM = "verbatim"
    FROM_MEMORY = "from memory of the published configuration"
    LOCAL = "your file"


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogModel:
    """A model and who says so.

    Attributes:
        model: What the layers above compute with.
        origin: Whether the configuration is a copy, was written from memory, or is the user's.
        source: Where it was found, and how it was checked.
        licence: Of the configuration file, not of the model's weights.
        params_source: Who published ``model.total_params`` and ``model.active_params``.
    """

    model: ModelSpec
    origin: Origin
    source: str
    licence: str
    params_source: str
    aliases: tuple[str, ...]


def find_model(name_or_path: str) -> CatalogModel:
    """The model of this Hugging Face id or short name, or of this ``config.json``.

    A path ends in ``.json`` or begins with ``/``, ``./``, ``../`` or ``~``; a folder stands for the
    ``config.json`` inside.

    Raises:
        UnknownName, AmbiguousName: With the nearest names, or with the candidates.
        InputError: The file is no config.json of an architecture that is modelled; says why.
    """
    if name_or_path.endswith(".json") or name_or_path.startswith(PATH_STARTS):
        return _local(Path(name_or_path).expanduser())
    return _bundled(resolve("model", name_or_path, load_index()["models"]))


def models() -> tuple[CatalogModel, ...]:
    """Every model of the catalogue, by id."""
    folder = files("seedcorn.catalog") / "models"
    stems = (file.name.removesuffix(".toml") for file in folder.iterdir() if file.name.endswith(".toml"))
    return tuple(_bundled(stem.replace("--", "/")) for stem in sorted(stems, key=str.casefold))


def _local(path: Path) -> CatalogModel:
    file = path / "config.json" if path.is_dir() else path
    folder_or_stem = file.resolve().parent.name if file.name == "config.json" else file.stem
    document = read_document(file)
    beside = file.parent / "hf_quant_config.json"  # NVIDIA's ModelOpt says the format there
    if beside.is_file():
        quantisation = read_document(beside).table_of("quantization")
        document = replace(document, values={**document.values, "quantization_config": quantisation})
    return CatalogModel(
        model=read_config(document, folder_or_stem),
        origin=Origin.LOCAL,
        source=str(file),
        licence="",
        params_source="",
        aliases=(),
    )


@cache
def _bundled(name: str) -> CatalogModel:
    folder = files("seedcorn.catalog") / "models"
    stem = name.replace("/", "--")
    about = read_document(folder / f"{stem}.toml")
    config = read_document(folder / f"{stem}.json")
    total, active = (about.values.get(key) for key in ("total_params", "active_params"))
    assert isinstance(total, float | None) and isinstance(active, float | None)
    return CatalogModel(
        model=read_config(config, name, total_params=total, active_params=active),
        origin=Origin(about.text_of("origin")),
        source=about.text_of("source"),
        licence=about.text_of("licence"),
        params_source=about.text_of("params_source", ""),
        aliases=about.texts_of("aliases"),
    )
