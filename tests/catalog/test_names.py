"""Names that people type and clusters report."""

import csv
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedcorn.catalog import chips, find_chip, find_model, models
from seedcorn.catalog.names import chip_keys, index_of, load_index, model_keys
from seedcorn.errors import AmbiguousName, InputError, UnknownName

MEASUREMENTS = Path(__file__).parents[2] / ".." / "shared" / "data" / "measurements"
needs_measurements = pytest.mark.skipif(
    not MEASUREMENTS.is_dir(), reason="the shared measurements are not beside this checkout"
)


def names_in(table: str, column: str) -> set[str]:
    with (MEASUREMENTS / table).open(encoding="utf-8", newline="") as file:
        return {row[column] for row in csv.DictReader(file)}


def outcome(find: Callable[[str], object], name: str) -> str:
    try:
        find(name)
    except AmbiguousName:
        return "ambiguous"
    except UnknownName:
        return "unknown"
    return "found"


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("H800", "nvidia-h800-sxm"),
        ("h800-sxm", "nvidia-h800-sxm"),
        ("NVIDIA-H800", "nvidia-h800-sxm"),
        ("NVIDIA-H800-PCIe", "nvidia-h800-pcie"),
        ("nvidia_h100_80gb_hbm3", "nvidia-h100-sxm"),
        ("NVIDIA H100 80GB HBM3", "nvidia-h100-sxm"),
        ("NVIDIA-H100-80GB-HBM3", "nvidia-h100-sxm"),
        ("NVIDIA H100 PCIe", "nvidia-h100-pcie"),
        ("NVIDIA H200", "nvidia-h200-sxm"),
        ("NVIDIA-H20", "nvidia-h20-96gb"),
        ("NVIDIA H20-3e", "nvidia-h20-141gb"),
        ("A800-SXM4-80GB", "nvidia-a800-sxm4-80gb"),
        ("NVIDIA-A800-SXM4-80GB", "nvidia-a800-sxm4-80gb"),
        ("NVIDIA-A800-80GB-PCIe", "nvidia-a800-pcie-80gb"),
        ("A100-SXM4-80GB", "nvidia-a100-sxm4-80gb"),
        ("NVIDIA A100 80GB PCIe", "nvidia-a100-pcie-80gb"),
        ("nvidia_a100-sxm4-40gb", "nvidia-a100-sxm4-40gb"),
        ("Tesla V100-SXM2-32GB", "nvidia-v100-sxm2-32gb"),
        ("Tesla T4", "nvidia-t4"),
        ("RTX 4090", "nvidia-rtx-4090"),
        ("NVIDIA-GeForce-RTX-4090", "nvidia-rtx-4090"),
        ("NVIDIA-L20", "nvidia-l20"),
        ("L20", "nvidia-l20"),
        ("910B3", "huawei-ascend-910b3"),
        ("Ascend910B3", "huawei-ascend-910b3"),
        ("ascend910b4", "huawei-ascend-910b4"),
        ("Ascend910C", "huawei-ascend-910c"),
        ("Atlas 300I Duo", "huawei-ascend-310p-300i-duo"),
        ("MI300X", "amd-mi300x"),
        ("AMD_Instinct_MI300X_OAM", "amd-mi300x"),
        ("TPU-v5e", "google-tpu-v5e"),
        ("tpu-v5-lite-podslice", "google-tpu-v5e"),
        ("NVIDIA-L20-SHARED", "nvidia-l20"),
    ],
)
def test_a_chip_is_found_by_what_people_type_and_clusters_report(spelling, name):
    assert find_chip(spelling).chip.name == name


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("Qwen/Qwen3-32B", "Qwen/Qwen3-32B"),
        ("qwen3-32b", "Qwen/Qwen3-32B"),
        ("llama-3.1-70b", "meta-llama/Llama-3.1-70B"),
        ("meta-llama/Meta-Llama-3.1-70B-Instruct", "meta-llama/Llama-3.1-70B"),
        ("DeepSeek-R1", "deepseek-ai/DeepSeek-R1"),
        ("Hunyuan-Large", "tencent/Tencent-Hunyuan-Large"),
        ("hunyuan-a13b", "tencent/Hunyuan-A13B-Instruct"),
        ("Hunyuan-7B", "tencent/Hunyuan-7B-Instruct"),
        ("Mixtral 8x7B", "mistralai/Mixtral-8x7B-v0.1"),
        ("GLM-4.5", "zai-org/GLM-4.5"),
        ("llama2-70b", "meta-llama/Llama-2-70b-hf"),
    ],
)
def test_a_model_is_found_by_its_id_and_short_names(spelling, name):
    assert find_model(spelling).model.name == name


@pytest.mark.parametrize(
    ("spelling", "candidates"),
    [
        ("A100", 4),
        ("A100-40G", 2),
        ("A800", 2),
        ("V100", 4),
        ("H100", 3),
        ("910B", 4),
        ("Ascend-910B", 4),
        ("Gaudi3", 4),
        ("MetaX C500", 2),
    ],
)
def test_a_name_of_several_chips_is_refused_with_all_of_them(spelling, candidates):
    with pytest.raises(AmbiguousName) as caught:
        find_chip(spelling)

    assert len(caught.value.candidates) == candidates
    assert all(find_chip(candidate).chip.name == candidate for candidate in caught.value.candidates)


def test_two_makers_of_an_r200_are_told_apart_by_their_names():
    with pytest.raises(AmbiguousName):
        find_chip("R200")

    assert find_chip("NVIDIA R200").chip.vendor == "NVIDIA"
    assert find_chip("Kunlunxin R200").chip.name == "kunlunxin-r200"


@pytest.mark.parametrize(
    ("find", "spelling", "near"),
    [
        (find_chip, "H880", "nvidia-h800-sxm"),
        (find_chip, "910B5", "huawei-ascend-910b1"),
        (find_chip, "Ascend310P", "huawei-ascend-310p-300i-duo"),  # the chip is on other cards too
        (find_model, "Qwen3-33B", "Qwen/Qwen3-32B"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(find, spelling, near):
    with pytest.raises(UnknownName) as caught:
        find(spelling)

    assert near in caught.value.suggestions


def test_a_brand_of_another_maker_does_not_resolve():
    assert outcome(find_chip, "AMD H800") == "unknown"


@pytest.mark.parametrize("name", ["NVIDIA-A100-SXM4-80GB-MIG-1g.10gb", "nvidia-h800-mig-3g.40gb"])
def test_a_slice_of_a_chip_is_not_the_chip(name):
    with pytest.raises(InputError, match=r"is a slice \(MIG\).*only whole chips"):
        find_chip(name)


@given(
    name=st.sampled_from([chip.chip.name for chip in chips()]),
    separator=st.sampled_from(["-", "_", " ", ""]),
    change=st.sampled_from([str.upper, str.lower, str.title]),
)
def test_case_and_separators_never_matter(name, separator, change):
    assert find_chip(change(name).replace("-", separator)).chip.name == name


def test_every_chip_and_model_is_found_by_its_own_name():
    assert all(find_chip(chip.chip.name) == chip for chip in chips())
    assert all(find_model(model.model.name) == model for model in models())


def test_the_index_is_in_step_with_the_files():
    keys = {str(c.chip.name): chip_keys(c.chip.name, c.chip.title, c.aliases) for c in chips()}
    ids = {str(m.model.name): model_keys(m.model.name, m.aliases) for m in models()}

    assert load_index() == {"chips": index_of(keys), "models": index_of(ids)}, (
        "run tools/index_catalogue.py: a file was added or its aliases changed"
    )


@needs_measurements
def test_chips_of_the_measurements_resolve_or_are_truly_something_else():
    names = names_in("inference.csv", "chip") | names_in("training.csv", "chip")
    by_outcome = {name: outcome(find_chip, name) for name in names}

    assert {name for name, was in by_outcome.items() if was == "ambiguous"} == {
        "A100",  # no form factor or memory stated
        "A100-40G",  # PCIe or SXM4
        "A100-40GB",
        "A800",
        "Ascend-910B",  # B1 to B4
        "Ascend910B",
        "GH200",  # 96 or 144 GB
        "H100",
        "MetaX C500",  # OAM or PCIe
    }
    assert {name for name, was in by_outcome.items() if was == "unknown"} == {
        # chips that the catalogue does not hold
        "3070 8GB",
        "3080 10GB",
        "4070 Ti 12GB",
        "4080 16GB",
        "A800-40G",
        "Intel-Max-1550",
        "Jetson AGX Orin 64G",
        "RTX 5000 Ada 32GB",
        "RTX A6000 48GB",
        "RTX-3090",
        "SN40L",
        # not one chip, or not a whole one
        "AMD Instinct MI300X 192GB HBM3 (x32), AMD Instinct MI325X 256GB HBM3e (x16)",
        "AMD Instinct MI325X 256GB HBM3E (x16), AMD Instinct MI300X 192GB HBM3 (x8)",
        "H100-SXM(50% power cap)",
        "H200-SXM(virt)",
        "NVIDIA (type/count unpublished)",
        "unspecified(CUDA or NPU)",
    }


@needs_measurements
def test_most_measurements_are_of_models_in_the_catalogue():
    with (MEASUREMENTS / "inference.csv").open(encoding="utf-8", newline="") as file:
        rows = Counter(row["model"] for row in csv.DictReader(file))

    found = sum(number for name, number in rows.items() if outcome(find_model, name) == "found")

    assert found / rows.total() > 0.6
