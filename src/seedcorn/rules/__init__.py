"""Dated export rules as data, and a small evaluator: what do they say of this chip, buyer and date?"""

from seedcorn.rules.chip import RuledChip
from seedcorn.rules.judge import judge
from seedcorn.rules.judgement import NOT_ADVICE, Buyer, DieArea, Judgement
from seedcorn.rules.law import Citation, Outcome, Signal
from seedcorn.rules.reading import rulebook
from seedcorn.rules.rulebook import Rulebook

__all__ = [
    "NOT_ADVICE",
    "Buyer",
    "Citation",
    "DieArea",
    "Judgement",
    "Outcome",
    "Rulebook",
    "RuledChip",
    "Signal",
    "judge",
    "rulebook",
]
