"""``besom confirm``: the leaderboard's first ones and the baseline, trained again on fresh seeds.

A sweep picks the best of many single runs; part of what it picks is luck. Here seeds that had no
say in the picking tell config from luck, on images that had none either.
"""

from besom.rerun.confirm.confirm_plan import ConfirmPlan, make_confirm_plan
from besom.rerun.confirm.confirm_run import ConfirmOutcome, run_confirm
from besom.rerun.confirm.result import Confirmation, ConfirmRow, Status

__all__ = [
    "ConfirmOutcome",
    "ConfirmPlan",
    "ConfirmRow",
    "Confirmation",
    "Status",
    "make_confirm_plan",
    "run_confirm",
]
