"""Chips: facts against the table they came from and against data sheets; a user's own file."""

import csv
from pathlib import Path

import pytest

from seedcorn.catalog import Kind, chips, find_chip, number
from seedcorn.catalog.facts import FIELDS
from seedcorn.errors import InputError

TABLE = Path(__file__).parents[2] / ".." / "shared" / "data" / "chips" / "chips.csv"
GB, TB, TFLOP = 1e9, 1e12, 1e12


@pytest.mark.parametrize(
    ("name", "attribute", "value"),
    [
        # NVIDIA H100 data sheet: 989.4 TFLOP/s dense, 3.35 TB/s, NVLink 900 GB/s both ways, PCIe 128 GB/s both ways
        ("H100-SXM", "bf16_flop_per_s", 989.5 * TFLOP),
        ("H100-SXM", "fp8_flop_per_s", 1979 * TFLOP),
        ("H100-SXM", "memory_bytes", 80 * GB),
        ("H100-SXM", "memory_bytes_per_s", 3.35 * TB),
        ("H100-SXM", "link_bytes_per_s", 450 * GB),
        ("H100-SXM", "host_bytes_per_s", 64 * GB),
        # export variants differ in the link (H800, A800) or in compute (H20)
        ("H800", "link_bytes_per_s", 200 * GB),
        ("A800-SXM4-80GB", "link_bytes_per_s", 200 * GB),
        ("H20", "bf16_flop_per_s", 148 * TFLOP),
        ("H20", "memory_bytes_per_s", 4 * TB),
        # NVIDIA Ada whitepaper: 165.2 with FP32 accumulation, 330.3 with FP16
        ("RTX 4090", "fp16_flop_per_s", 165.2 * TFLOP),
        ("RTX 4090", "bf16_flop_per_s", 165.2 * TFLOP),
        ("RTX 4090", "link_bytes_per_s", None),
        ("RTX 4090", "scale_up_domain", 1),
        # no such number format
        ("Tesla T4", "bf16_flop_per_s", None),
        ("V100-PCIE-32GB", "bf16_flop_per_s", None),
        ("A100-SXM4-80GB", "fp8_flop_per_s", None),
        ("910B3", "fp8_flop_per_s", None),
        ("910B3", "bf16_flop_per_s", 313 * TFLOP),
        # Atlas 300I Duo, Huawei product page: 96 GB, 408 GB/s, 280 TOPS INT8 a card of two chips
        ("Atlas 300I Duo", "memory_bytes", 48 * GB),
        ("Atlas 300I Duo", "memory_bytes_per_s", 204 * GB),
        ("Atlas 300I Duo", "int8_flop_per_s", 140 * TFLOP),
    ],
)
def test_a_chip_is_what_its_data_sheet_says(name, attribute, value):
    assert getattr(find_chip(name).chip, attribute) == value


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("H20", "hopper"),
        ("A10", "ampere"),
        ("L40S", "ada"),
        ("T4", "turing"),
        ("B200", "blackwell"),
        ("RTX 5090", "blackwell-rtx"),
        ("910B3", "ascend-910b"),
        ("MI300X", "cdna3"),
        ("V100-PCIE-32GB", "volta"),
    ],
)
def test_a_chip_belongs_to_its_architecture(name, family):
    assert find_chip(name).chip.family == family


def test_no_chip_has_a_format_that_its_architecture_lacks():
    without_fp8 = {"volta", "turing", "ampere", "cdna", "cdna2", "ascend-910a", "ascend-910b"}
    without_bf16 = {"volta", "turing", "ascend-910a", "ascend-310p"}

    for entry in chips():
        assert entry.chip.family not in without_fp8 or entry.chip.fp8_flop_per_s is None, entry.chip.name
        assert entry.chip.family not in without_bf16 or entry.chip.bf16_flop_per_s is None, entry.chip.name


def test_every_value_has_its_provenance():
    facts = [(entry, fact) for entry in chips() for fact in entry.facts.values()]

    assert len(chips()) == 122
    for entry, fact in facts:
        assert fact.sources, f"{entry.chip.name} {fact.field} cites nobody"
        assert all(entry.sources[key].trust for key in fact.sources), entry.chip.name


def test_what_no_vendor_published_is_no_vendor_value():
    assert find_chip("910B3").facts["bf16"].kind is Kind.ESTIMATED
    assert find_chip("nvidia-b30a").facts["bf16"].kind is Kind.ESTIMATED
    assert find_chip("H800").facts["bf16"].kind is Kind.VENDOR


@pytest.mark.skipif(not TABLE.is_file(), reason="the shared table of chips is not beside this checkout")
def test_no_figure_of_the_table_was_lost_or_changed():
    columns = {
        "memory_gb": ("memory", GB),
        "memory_bandwidth_gbs": ("memory_bandwidth", GB),
        "total_dram_bw_gbs": ("total_dram_bandwidth", GB),
        "interconnect_gbs": ("link_bandwidth", GB),
        "host_io_gbs": ("host_bandwidth", GB),
        "tdp_w": ("tdp", 1),
        "scale_up_domain": ("scale_up_domain", 1),
        "dies": ("dies", 1),
        **{column: (column, TFLOP) for column in ("fp64", "fp64_matrix", "fp32", "tf32")},
        **{f"{dtype}_dense": (dtype, TFLOP) for dtype in ("fp16", "bf16", "fp8", "int8", "int4", "fp4")},
    }
    with TABLE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))

    assert {row["id"] for row in rows} == {entry.chip.name for entry in chips()}
    for row in rows:
        facts = find_chip(row["id"]).facts
        for column, (field, unit) in columns.items():
            if field == "fp16" and "fp16_fp16_accumulate" in facts:
                field = "fp16_fp16_accumulate"
            expected = pytest.approx(float(row[column]) * unit, rel=1e-12) if row[column] else None
            assert (number(facts[field]) if field in facts else None) == expected, (row["id"], column)
        texts = {"memory_type": "memory_type", "announced": "announced", "software_backends": "software"}
        for column, field in texts.items():
            assert (facts[field].value if field in facts else "") == row[column]


TOML = """\
name = "my-chip"
vendor = "Us"
family = "hopper"

[sources]
bench = "our own benchmark, 2026-11"

[facts]
memory = "64 GB"
memory_bandwidth = { value = "2 TB/s", kind = "measured", sources = ["bench"] }
bf16 = "400 TFLOP/s"
"""

YAML = """\
name: my-chip
vendor: Us
family: hopper
sources:
  bench: our own benchmark, 2026-11
facts:
  memory: 64 GB
  memory_bandwidth: {value: 2 TB/s, kind: measured, sources: [bench]}
  bf16: 400 TFLOP/s
  announced: 2026-01-31
"""


@pytest.mark.parametrize(("suffix", "text"), [("toml", TOML), ("yaml", YAML)])
def test_a_file_of_specs_stands_for_a_chip(tmp_path, suffix, text):
    file = tmp_path / f"mine.{suffix}"
    file.write_text(text, encoding="utf-8")

    mine = find_chip(str(file))

    assert mine.chip.name == mine.chip.title == "my-chip"
    assert mine.chip.memory_bytes == 64 * GB
    assert mine.chip.bf16_flop_per_s == 400 * TFLOP
    assert mine.facts["memory"].kind is Kind.ESTIMATED, "a bare value has no provenance"
    assert mine.facts["memory_bandwidth"].kind is Kind.MEASURED


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ('memory = "64 GB"', 'memroy = "64 GB"', ":9", "unknown key 'memroy'; did you mean 'memory'"),
        ('memory = "64 GB"', "memory = 64", ":9", "such as '80 GB', got 64"),
        ('memory = "64 GB"', 'memory = "64"', ":9", "has no unit"),
        ('memory = "64 GB"', 'memory = "0 GB"', ":9", "leave out what is unknown"),
        ('bf16 = "400 TFLOP/s"', 'bf16 = "400 TFLOPS"', ":11", "unknown unit 'TFLOPS'"),
        ('"measured"', '"guessed"', ":10", "kind must be one of vendor, measured, estimated"),
        ('["bench"]', '["blog"]', ":10", r"which has bench; got \['blog'\]"),
        ("kind = ", "knid = ", ":10", "unknown key 'knid'; did you mean 'kind'"),
        ('family = "hopper"', "", "", "family is missing"),
        ('vendor = "Us"', "vendor = 3", ":2", "expected a text, got 3"),
        ('name = "my-chip"', "name = ", ":1:8", "not TOML"),
        (TOML, "", "", "name is missing"),
    ],
)
def test_a_mistake_in_a_file_of_specs_is_placed(tmp_path, old, new, line, message):
    file = tmp_path / "mine.toml"
    file.write_text(TOML.replace(old, new), encoding="utf-8")

    with pytest.raises(InputError, match=message) as caught:
        find_chip(str(file))

    assert caught.value.where == f"{file}{line}"


@pytest.mark.parametrize(
    ("text", "message"), [("[1, 2]", "expected keys and values"), ("a: [", "not YAML"), ("", "empty")]
)
def test_a_yaml_file_that_is_no_mapping_is_refused(tmp_path, text, message):
    file = tmp_path / "mine.yaml"
    file.write_text(text, encoding="utf-8")

    with pytest.raises(InputError, match=message):
        find_chip(str(file))


def test_the_reference_page_shows_a_chip_file_and_every_field(tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "reference" / "catalogue.md").read_text(encoding="utf-8")
    example = page.split("```toml\n")[1].split("```")[0]
    (tmp_path / "example.toml").write_text(example, encoding="utf-8")

    assert find_chip(str(tmp_path / "example.toml")).chip.bf16_flop_per_s == 400 * TFLOP
    assert [field for field in FIELDS if f"`{field}`" not in page] == []


def test_a_file_that_is_not_there_is_named():
    with pytest.raises(InputError, match=r"nowhere\.toml: no such file"):
        find_chip("nowhere.toml")


def test_driver_offers_gibibytes_less_what_firmware_keeps():
    """25,250,627,584 bytes: device_total_memory of the vLLM run on an RTX 4090 (LLMServingSim)."""
    assert find_chip("RTX 4090").chip.driver_memory_bytes == pytest.approx(25_250_627_584, rel=0.001)


def test_what_a_driver_offers_is_unknown_where_ecc_takes_a_part():
    assert find_chip("L40S").chip.driver_memory_bytes is None
