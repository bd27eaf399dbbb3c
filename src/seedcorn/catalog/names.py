"""Names: what people type and clusters report, resolved to what the catalogue calls a thing.

A name is compared without case and separators, and "80GB" is "80G". ``index.json`` maps each such
key to the catalogue names it may mean, so that one look-up reads one catalogue file. A key with
several meanings is an error that lists them: nothing is ever picked for you.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from importlib.resources import files

from seedcorn.errors import AmbiguousName, UnknownName

BRANDS: Mapping[str, Sequence[str]] = {
    "nvidia": ("tesla", "geforce"),
    "amd": ("instinct", "radeon"),
    "intel": ("habana",),
    "google": ("cloud",),
    "aws": ("amazon",),
    "huawei": ("ascend",),
    "cambricon": (),
    "hygon": ("dcu",),
    "biren": (),
    "moorethreads": ("mtt",),
    "enflame": ("cloudblazer",),
    "kunlunxin": ("baidu", "kunlun"),
    "iluvatar": ("tiangai", "zhikai"),
    "metax": ("xiyun",),
    "thead": ("alibaba",),
    "tencent": (),
    "zhonghao": (),
}
"""Vendor, as chip names begin, → brands that may stand between it and the product's name."""


def key(name: str) -> str:
    """A name without case, separators and the B of GB.

    >>> key("NVIDIA H100 80GB HBM3") == key("nvidia_h100-80g_hbm3")
    True
    """
    return re.sub(r"(\d)gb", r"\1g", re.sub(r"[^a-z0-9]", "", name.casefold()))


def chip_keys(name: str, title: str, aliases: Iterable[str]) -> set[str]:
    """Every key of a chip: name, title and aliases, with and without vendor and brand in front.

    A title that explains itself in brackets is for reading, not for typing.
    """
    vendor = name.split("-")[0]
    brands = BRANDS.get(vendor, ())
    spellings = (name, *aliases) if "(" in title else (name, title, *aliases)
    in_front = re.compile(f"^({'|'.join((vendor, *brands))})+")
    bare = {in_front.sub("", key(spelling)) for spelling in spellings} - {""}
    return {v + b + rest for rest in bare for v in ("", vendor) for b in ("", *brands)}


def model_keys(name: str, aliases: Iterable[str]) -> set[str]:
    """Every key of a model: its Hugging Face id and aliases, with and without the organisation."""
    organisation = name.split("/")[0]
    bare = {spelling.split("/")[-1] for spelling in (name, *aliases)}
    return {key(before + one) for one in bare for before in ("", organisation)}


def index_of(keys: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    """Key → names that it may mean, sorted, from the keys of each name."""
    index: dict[str, list[str]] = {}
    for name in sorted(keys):
        for one in sorted(keys[name]):
            index.setdefault(one, []).append(name)
    return dict(sorted(index.items()))


@cache
def load_index() -> Mapping[str, Mapping[str, Sequence[str]]]:
    """The generated index: ``chips`` and ``models``, each from key to names."""
    text = (files("seedcorn.catalog") / "index.json").read_text(encoding="utf-8")
    index: dict[str, dict[str, list[str]]] = json.loads(text)
    return index


def resolve(kind: str, name: str, index: Mapping[str, Sequence[str]]) -> str:
    """The one catalogue name that ``name`` means.

    Raises:
        AmbiguousName: It means several, all listed.
        UnknownName: It means none; the nearest that exist are listed.
    """
    meant = index.get(key(name), ())
    if len(meant) == 1:
        return meant[0]
    if meant:
        raise AmbiguousName(kind, name, meant)
    unknown = UnknownName(kind, name, _nearest(key(name), index))
    unknown.add_note(f"'seedcorn {kind}s' lists them all; a file of your own works too")
    raise unknown


def _nearest(typed: str, index: Mapping[str, Sequence[str]]) -> list[str]:
    """Names to suggest: those that hold all that was typed, then those that look alike."""
    holding = [one for one in index if len(typed) >= 3 and typed in one]
    alike = get_close_matches(typed, index, n=8, cutoff=0.7)
    return list(dict.fromkeys(name for one in (*holding, *alike) for name in index[one]))[:4]
