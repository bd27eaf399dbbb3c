"""Chips and the pools they come in."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

ChipName = NewType("ChipName", str)
PoolName = NewType("PoolName", str)


class Dtype(StrEnum):
    """Number format of weights and matrix multiplications."""

    FP32 = "fp32"
    BF16 = "bf16"
    FP16 = "fp16"
    FP8 = "fp8"
    INT8 = "int8"
    FP4 = "fp4"

    @property
    def bytes_per_element(self) -> float:
        """Bytes one weight takes."""
        return {"fp32": 4.0, "bf16": 2.0, "fp16": 2.0, "fp8": 1.0, "int8": 1.0, "fp4": 0.5}[self.value]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chip:
    """One accelerator as scheduled. ``None`` means unpublished: it is never guessed.

    Attributes:
        family: Architecture family, which names the efficiency curves it shares (``hopper``).
        memory_bytes: On-package memory, as published.
        driver_memory_bytes: What of it the driver offers, where known; engines count in it. Published
            "80 GB" of HBM are 80 GiB less what the firmware keeps.
        bf16_flop_per_s: Dense peak with FP32 accumulation; likewise the other formats. ``None``
            for a format means the chip does not have it, or that nobody published it.
        link_bytes_per_s: Scale-up link, one direction, all links of one chip together.
        scale_up_domain: Chips that share those links; 1 where there are none.
        host_bytes_per_s: Host interface (PCIe), one direction.
    """

    name: ChipName
    vendor: str
    title: str
    family: str
    memory_bytes: int | None = None
    driver_memory_bytes: int | None = None
    memory_bytes_per_s: float | None = None
    fp32_flop_per_s: float | None = None
    bf16_flop_per_s: float | None = None
    fp16_flop_per_s: float | None = None
    fp8_flop_per_s: float | None = None
    int8_flop_per_s: float | None = None
    fp4_flop_per_s: float | None = None
    link_name: str | None = None
    link_bytes_per_s: float | None = None
    scale_up_domain: int = 1
    host_bytes_per_s: float | None = None
    tdp_w: float | None = None

    def peak_flop_per_s(self, dtype: Dtype) -> float | None:
        """Dense peak in ``dtype``, or ``None`` where the chip has no such format that we know of."""
        return {
            Dtype.FP32: self.fp32_flop_per_s,
            Dtype.BF16: self.bf16_flop_per_s,
            Dtype.FP16: self.fp16_flop_per_s,
            Dtype.FP8: self.fp8_flop_per_s,
            Dtype.INT8: self.int8_flop_per_s,
            Dtype.FP4: self.fp4_flop_per_s,
        }[dtype]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Identical nodes in one place.

    Attributes:
        chips: Chips owned, ``spare`` included.
        network_bytes_per_s: Per chip, between nodes, one direction.
        spare: Chips kept free for failures; never planned with.
        price: What one free chip-hour is worth, in reference-chip hours; ``None``: what it could train.
    """

    name: PoolName
    chip: Chip
    chips: int
    chips_per_node: int
    network_bytes_per_s: float | None = None
    spare: int = 0
    price: float | None = None

    def __post_init__(self) -> None:
        assert self.chips > 0, f"pool {self.name} has {self.chips} chips"
        assert self.chips_per_node > 0
        assert 0 <= self.spare <= self.chips

    @property
    def usable_chips(self) -> int:
        """Chips a plan may use."""
        return self.chips - self.spare
