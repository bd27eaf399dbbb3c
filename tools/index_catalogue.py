"""Write the catalogue's index of names, after a chip or model file was added or its aliases changed.

::

    python tools/index_catalogue.py
"""

import json
from pathlib import Path

import seedcorn.catalog
from seedcorn.catalog import chips, models
from seedcorn.catalog.names import chip_keys, index_of, model_keys


def index() -> dict[str, dict[str, list[str]]]:
    """Key → names, of chips and of models, from the files themselves."""
    return {
        "chips": index_of(
            {str(c.chip.name): chip_keys(c.chip.name, c.chip.title, c.aliases) for c in chips()}
        ),
        "models": index_of({str(m.model.name): model_keys(m.model.name, m.aliases) for m in models()}),
    }


if __name__ == "__main__":
    target = Path(seedcorn.catalog.__file__).parent / "index.json"
    target.write_text(json.dumps(index(), indent=0) + "\n", encoding="utf-8")
