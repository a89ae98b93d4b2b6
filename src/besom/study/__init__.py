"""The study: planned from a config, run by a coordinator, stored by Optuna."""

from besom.store.storage import load_record
from besom.study.plan import SweepPlan, make_plan
from besom.study.run import SweepOutcome, run_sweep

__all__ = ["SweepOutcome", "SweepPlan", "load_record", "make_plan", "run_sweep"]
