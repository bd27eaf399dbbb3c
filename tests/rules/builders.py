"""Chips and buyers for tests."""

from datetime import date

from seedcorn.rules import Buyer, Judgement, RuledChip, judge, rulebook

GB = 1e9
IN_CHINA = Buyer(destination="CN", headquarters="CN")


def a_chip(
    *,
    tpp: float | None = 1000.0,
    die_area_mm2: float | None = 500.0,
    io: float | None = 0.0,
    dram: float | None = 0.0,
    vendor: str = "Maker",
    designer: str = "US",
    for_datacenters: bool | None = True,
    name: str = "a-chip",
) -> RuledChip:
    """A chip of this TPP, transfer rate and DRAM bandwidth (GB/s); ``None`` is unpublished."""
    return RuledChip(
        name=name,
        vendor=vendor,
        designer=designer,
        op_per_s={} if tpp is None else {"int8": tpp / 8 * 1e12},
        die_area_mm2=die_area_mm2,
        link_bytes_per_s=None if io is None else io * GB,
        host_bytes_per_s=0.0,
        dram_bytes_per_s=None if dram is None else dram * GB,
        marketed_for_datacenter=for_datacenters,
    )


def judged(chip: RuledChip, on: str, buyer: Buyer = IN_CHINA, *, with_unenforced: bool = False) -> Judgement:
    return judge(chip, rulebook(), buyer, on=date.fromisoformat(on), with_unenforced=with_unenforced)
