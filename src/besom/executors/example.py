"""Trial functions without Keras: what documentation runs, and a pattern for your own."""

from __future__ import annotations

from besom.seam import Report, TrialConfig, TrialResult


def parabola(config: TrialConfig, report: Report) -> TrialResult:
    """Halve the distance of ``config["x"]`` to 0 in each of ``config["epochs"]`` epochs."""
    x, losses = float(config["x"]), list[float]()
    for epoch in range(1, int(config.get("epochs", 1)) + 1):
        x /= 2
        losses.append(x * x)
        if report(epoch, {"loss": losses[-1]}):
            break
    return TrialResult(history={"loss": losses})


def bowl(config: TrialConfig, report: Report) -> TrialResult:
    """Score ``model.dropout`` by how near it is to 0.3, in one epoch."""
    score = 1.0 - (float(config["model"]["dropout"]) - 0.3) ** 2
    report(1, {"val_accuracy": score})
    return TrialResult(history={"val_accuracy": [score]}, best_epoch=1)
