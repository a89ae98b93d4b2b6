"""``besom confirm``: the leaderboard's first ones and the baseline, trained again on fresh seeds.

A sweep picks the best of many single runs; part of what it picks is luck. Here seeds that had no
say in the picking tell config from luck, on images that had none either.
"""

from besom.rerun.confirm.confirm_plan import ConfirmPlan, make_confirm_plan
from besom.rerun.confirm.result import Confirmation, Row, Status
from besom.rerun.confirm.confirm_run import ConfirmOutcome, run_confirm

__all__ = [
    "ConfirmOutcome",
    "ConfirmPlan",
    "Confirmation",
    "Row",
    "Status",
    "make_confirm_plan",
    "run_confirm",
]
