"""What may be claimed: intervals, paired tests, selection correction, races, and the claim itself.

Pure functions of numbers and records. Four kinds of luck are kept apart: that of the validation
examples (``distributions``, ``paired``), that of having been picked as the best (``selection``),
that of the seed (``seeds``, ``racing``), that of having been stopped early (``fidelity``);
``random_effects`` puts that of the seed and that of the examples together.
``docs/what-may-i-claim.md`` says in plain words what each number means.
"""

from besom.statistics.claim import BaselineGain, Claim, Row
from besom.statistics.claim_text import gained
from besom.statistics.correctness import (
    ScoredRow,
    alike,
    correctness_matrix,
    has_predictions,
    ranked,
    same_examples,
    same_images,
    scored,
    table_of,
    unpacked,
)
from besom.statistics.distributions import Interval, proportion_standard_error, wilson_interval
from besom.statistics.fidelity import (
    PruningCost,
    RankAgreement,
    agreement_by_epoch,
    pruning_cost,
    rank_agreement,
)
from besom.statistics.kinds import DrawnScores, mcnemar, p_values, standard_error
from besom.statistics.make_claim import claim, score
from besom.statistics.paired import (
    PairedGain,
    PairedTests,
    compare_with_first,
    holm,
    paired_gain,
)
from besom.statistics.racing import Race, race
from besom.statistics.random_effects import RightBySeed, gain_for_new_images, image_error
from besom.statistics.ranking import knee, pareto_front, ranks
from besom.statistics.seeds import (
    Estimate,
    Gain,
    SeedScores,
    add_image_error,
    gain_over,
    mean_interval,
    within_a_share,
)
from besom.statistics.selection import Selection, correct_for_selection
from besom.statistics.stopping import (
    N_MORE,
    Prospect,
    expected_gain,
    fewest_trials,
    prospect_of,
)

__all__ = [
    "N_MORE",
    "BaselineGain",
    "Claim",
    "DrawnScores",
    "Estimate",
    "Gain",
    "Interval",
    "PairedGain",
    "PairedTests",
    "Prospect",
    "PruningCost",
    "Race",
    "RankAgreement",
    "RightBySeed",
    "Row",
    "ScoredRow",
    "SeedScores",
    "Selection",
    "add_image_error",
    "agreement_by_epoch",
    "alike",
    "claim",
    "compare_with_first",
    "correct_for_selection",
    "correctness_matrix",
    "expected_gain",
    "fewest_trials",
    "gain_for_new_images",
    "gain_over",
    "gained",
    "has_predictions",
    "holm",
    "image_error",
    "knee",
    "mcnemar",
    "mean_interval",
    "p_values",
    "paired_gain",
    "pareto_front",
    "proportion_standard_error",
    "prospect_of",
    "pruning_cost",
    "race",
    "rank_agreement",
    "ranked",
    "ranks",
    "same_examples",
    "same_images",
    "score",
    "scored",
    "standard_error",
    "table_of",
    "unpacked",
    "wilson_interval",
    "within_a_share",
]
