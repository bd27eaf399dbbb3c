"""The main job, in order: resolve → offers → plan → replay → tighten → plan.

The only package that knows both the planner and the replay.
"""

from seedcorn.study.offers import Progress
from seedcorn.study.planning import plan_scenario, replay_plan
from seedcorn.study.predict import ServingQuestion, TrainingQuestion, predict_serving, predict_training
from seedcorn.study.proof import pools_replayed
from seedcorn.study.resolve import resolve
from seedcorn.study.selling import quote, sale_of
from seedcorn.study.single import replay_single
from seedcorn.study.wanted import wanted
from seedcorn.study.what_if import WhatIf, sweep
from seedcorn.study.worth import node_worth

__all__ = [
    "Progress",
    "ServingQuestion",
    "TrainingQuestion",
    "WhatIf",
    "node_worth",
    "plan_scenario",
    "pools_replayed",
    "predict_serving",
    "predict_training",
    "quote",
    "replay_plan",
    "replay_single",
    "resolve",
    "sale_of",
    "sweep",
    "wanted",
]
