"""What a trial gets wrong, on disk and in ``besom show NAME``: read, pooled, shown, drawn."""

from __future__ import annotations

import base64
import copy
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from besom.errors import StudyError
from besom.report.export import best_trial
from besom.seam import N_WORST
from besom.store.mistakes import ClassMistakes, NumberMistakes, TagMistakes, read_mistakes
from besom.store.pooled_mistakes import pool_mistakes
from besom.store.storage import load_record
from besom.text.redacted import redactor
from mistakes_factory import classes, numbers, picture, tags, write, wrong
from records_factory import make_study
from reporting_world import store
from user_project import Project

RESULTS = Path("results")


@pytest.fixture
def best(project: Project) -> int:
    """The first trial of a study ``one`` in the results folder."""
    store(RESULTS, make_study(12, name="one"))
    return best_trial(load_record(RESULTS, "one")).number


# --- files ---


@pytest.mark.parametrize("found", [classes(), tags(), numbers()])
def test_a_file_is_read_as_it_was_written(tmp_path: Path, found: dict[str, Any]) -> None:
    mistakes = read_mistakes(write(tmp_path, "s", 1, found))
    assert mistakes is not None
    assert mistakes.n == found["n"]
    assert [w.example for w in mistakes.outputs[0].worst] == [
        entry["example"] for entry in found["outputs"][0]["worst"]
    ]


def _damaged() -> list[Any]:
    found = []
    for path, value in [
        (("format",), 2),
        (("n",), -1),
        (("outputs", 0, "kind"), "songs"),
        (("outputs", 0, "matrix"), [[1, 2], [3]]),
        (("outputs", 0, "worst", 0, "example"), "first"),
        (("outputs", 0, "worst", 0, "image"), "not base64!"),
        (("outputs", 0, "classes"), [1, 2, 3]),
    ]:
        damaged: Any = copy.deepcopy(classes())
        place = damaged
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value
        found.append(damaged)
    return [*found, [], "text", {}]


@pytest.mark.parametrize("found", _damaged())
def test_a_damaged_file_is_one_message_with_what_to_do(tmp_path: Path, found: Any) -> None:
    path = write(tmp_path, "s", 1, found)
    with pytest.raises(StudyError, match="makes it again") as refused:
        read_mistakes(path)
    assert str(path) in str(refused.value)


def test_a_picture_that_is_none_is_left_out(tmp_path: Path) -> None:
    found = classes()
    found["outputs"][0]["worst"][0]["image"] = "PHNjcmlwdD4="
    found["outputs"][0]["worst"][1]["image"] = picture(side=5000)  # of a few bytes
    mistakes = read_mistakes(write(tmp_path, "s", 1, found))
    assert mistakes is not None
    assert [wrong.image for wrong in mistakes.outputs[0].worst[:2]] == [b"", b""]


# --- folds ---


def pooled(tmp_path: Path, *parts: dict[str, Any]) -> Any:
    files = [tmp_path / f"part-{i}.json" for i in range(len(parts))]
    for file, part in zip(files, parts, strict=True):
        file.write_text(json.dumps(part))
    assert pool_mistakes(files, tmp_path / "all.json") == ""
    assert not any(file.exists() for file in files)
    mistakes = read_mistakes(tmp_path / "all.json")
    assert mistakes is not None
    return mistakes


def test_folds_are_one_matrix_and_their_worst_examples_one_list(tmp_path: Path) -> None:
    other = classes()
    other["outputs"][0]["worst"] = [wrong(90, "cow", "cat", 0.9)] * N_WORST
    found = pooled(tmp_path, classes(), other)
    (output,) = found.outputs
    assert isinstance(output, ClassMistakes)
    assert (found.n, output.n_wrong) == (20, 6)
    assert output.matrix == ((6, 2, 2), (0, 4, 2), (0, 0, 4))
    assert set(output.confusions) == {("cat", "dog", 2), ("cat", "cow", 2), ("dog", "cow", 2)}
    assert [w.example for w in output.worst] == [41] + [90] * (N_WORST - 1)
    assert "own best epoch" in found.note


def test_tags_and_numbers_of_folds_are_added_up(tmp_path: Path) -> None:
    output = pooled(tmp_path, tags(), tags()).outputs[0]
    assert isinstance(output, TagMistakes)
    assert output.tags == (("red", 4, 0, 0), ("tall", 2, 2, 0))
    output = pooled(tmp_path, numbers(4, 0.5), numbers(12, -1.5)).outputs[0]
    assert isinstance(output, NumberMistakes)
    assert output.bias == pytest.approx((4 * 0.5 - 12 * 1.5) / 16)
    assert output.mean_error == pytest.approx((4 * 0.5 + 12 * 1.5) / 16)
    assert output.rms_error == pytest.approx(((4 * 0.25 + 12 * 2.25) / 16) ** 0.5)
    assert len(output.points) == 16


def test_one_run_alone_stays_as_it_is(tmp_path: Path) -> None:
    assert pooled(tmp_path, classes()).note == ""


def test_a_fold_that_wrote_nothing_leaves_no_half_of_the_truth(tmp_path: Path) -> None:
    part = tmp_path / "part-0.json"
    part.write_text(json.dumps(classes()))
    assert pool_mistakes([part, tmp_path / "part-1.json"], tmp_path / "all.json") == ""
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_part_is_a_remark(tmp_path: Path) -> None:
    part = tmp_path / "part-0.json"
    part.write_text("{")
    assert "Trials count" in pool_mistakes([part], tmp_path / "all.json")
    assert list(tmp_path.iterdir()) == []


# --- besom show NAME ---


def test_show_prints_the_matrix_and_the_surest_mistakes_and_draws_them(
    project: Project, best: int
) -> None:
    path = write(RESULTS, "one", best, classes())
    said = project.done("show", "one")
    assert f"Trial {best} of one: 3 of 10 validation examples wrong (30.00 %)." in said
    for word in ("true \\ predicted", "Most confidently wrong", "97.0 %", "dog", "cow"):
        assert word in said
    picture = path.with_suffix(".png")
    assert said.splitlines()[-1] == str(picture)
    with Image.open(picture) as image:
        assert image.width > 800
    assert project.done("show", "one", "--trial", str(best)) == said


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (tags(), ["1 of 4 validation examples with a wrong tag", "wrongly given", "a tower"]),
        (numbers(), ["examples: mean error 0.5", "0.5 too high", "Furthest off", "row 1"]),
        (classes(0), ["the text of example 41"]),
    ],
)
def test_show_has_words_and_a_picture_for_every_kind(
    project: Project, best: int, found: dict[str, Any], words: list[str], tmp_path: Path
) -> None:
    write(RESULTS, "one", best, found)
    said = project.done("show", "one", "-o", str(tmp_path / "my.png"))
    assert all(word in " ".join(said.split()) for word in words), said
    assert (tmp_path / "my.png").is_file()


def test_a_damaged_picture_costs_that_picture(project: Project, best: int) -> None:
    found = classes()
    damaged = base64.b64decode(picture())[:40]
    found["outputs"][0]["worst"][0]["image"] = base64.b64encode(damaged).decode()
    write(RESULTS, "one", best, found)
    assert f"trial-{best}.png" in project.done("show", "one")


def test_each_output_has_a_picture_of_its_own(project: Project, best: int) -> None:
    found = classes()
    found["outputs"].append(numbers()["outputs"][0] | {"name": "price/€"})
    found["outputs"][0]["name"] = "kind"
    write(RESULTS, "one", best, found)
    said = project.done("show", "one").splitlines()
    assert [Path(line).name for line in said[-2:]] == [
        f"trial-{best}-kind.png",
        f"trial-{best}-price_.png",
    ]


def test_a_model_without_a_mistake_is_said_to_have_none(project: Project, best: int) -> None:
    found = classes()
    found["outputs"][0] |= {
        "n_wrong": 0,
        "matrix": [[3, 0, 0], [0, 3, 0], [0, 0, 4]],
        "confusions": [],
        "worst": [],
    }
    write(RESULTS, "one", best, found)
    assert "0 of 10 validation examples wrong" in project.done("show", "one")


def test_texts_of_examples_cannot_steer_the_terminal(project: Project, best: int) -> None:
    found = classes(0)
    found["outputs"][0]["worst"][0]["text"] = "\x1b[2J[bold]gone"
    write(RESULTS, "one", best, found)
    said = project.done("show", "one")
    assert "\x1b[2J" not in said
    assert "[bold]gone" in said


def test_what_was_not_kept_is_said_with_the_command_that_finds_it_out(
    project: Project, best: int
) -> None:
    done = project.besom("show", "one")
    assert done.exit_code == 2
    assert f"besom show one --trial {best} --retrain" in done.output
    write(RESULTS, "one", best, classes())
    other = next(t.number for t in load_record(RESULTS, "one").complete if t.number != best)
    done = project.besom("show", "one", "--trial", str(other))
    assert f"was not kept, only of trial {best}." in done.output


def test_why_nothing_can_be_shown_is_said(project: Project, best: int) -> None:
    write(RESULTS, "one", best, {"format": 1, "n": 0, "outputs": [], "why": "no labels"})
    done = project.besom("show", "one")
    assert (done.exit_code, "cannot be shown: no labels." in done.output) == (2, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--trial", "3"], "--trial and --retrain need a study"),
        (["one", "data=mnist"], "expected the name of one study, or overrides"),
        (["nobody"], "nobody"),
        (["one", "--trial", "99"], "no finished trial 99"),
    ],
)
def test_words_that_make_no_sense_together_are_refused(
    project: Project, best: int, words: list[str], said: str
) -> None:
    done = project.besom("show", *words)
    assert done.exit_code == 2
    assert said in " ".join(done.output.split())
    assert "Traceback" not in done.output


# --- redaction ---


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("path: /home/anna/secret data/x.npz\nseed: 1", "path: [redacted]/x.npz\nseed: 1"),
        ('File "/srv/work/My Code/model.py", line 3', 'File "[redacted]/model.py", line 3'),
        ("storage: postgresql://anna@db.acme.org:5432/x", "storage: postgresql://[redacted]/x"),
        ("its node gpu-7.cluster.internal was lost", "its node [redacted] was lost"),
        ("ray at 10.1.2.3:6379", "ray at [redacted]"),
        ("ray at fe80::1 or 2001:DB8:0:0:0:0:0:1", "ray at [redacted] or [redacted]"),
        ("at 10:42:07, a[1::2], std::vector", "at 10:42:07, a[1::2], std::vector"),
        ("data.path=/data/mnist", "data.path=[redacted]"),
        ("~/data/x.csv", "[redacted]/x.csv"),
        ("images × 1/255, val_loss 0.5/2, and/or", "images × 1/255, val_loss 0.5/2, and/or"),
        ("results/one/best.yaml", "results/one/best.yaml"),
        ("keras 3.12.0, tensorflow 2.20.0", "keras 3.12.0, tensorflow 2.20.0"),
        ("besom.training.models.mlp", "besom.training.models.mlp"),
    ],
)
def test_hosts_and_absolute_paths_go_and_nothing_else(text: str, left: str) -> None:
    assert redactor()(text) == left


def test_values_of_the_environment_go_wherever_they_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "abcdefghij")
    monkeypatch.setenv("MY_BUCKET", "s3-bucket-7")
    monkeypatch.setenv("GREETING", "whatever")
    redacted = redactor()("whatever: abcdefghij in xs3-bucket-7y")
    assert redacted == "whatever: [redacted] in x[redacted]y"


def test_long_words_of_the_environment_go_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_DATABASE", "correcthorsebattery")
    monkeypatch.setenv("STAGE", "production")
    assert redactor()("correcthorsebattery in production") == "[redacted] in production"


def test_this_machine_and_user_go_by_any_of_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "n7.cs.uni.edu")
    monkeypatch.setattr("pwd.getpwuid", lambda _: SimpleNamespace(pw_name="anna"))
    for name in ("USER", "LOGNAME"):
        monkeypatch.delenv(name, raising=False)
    redacted = redactor()("n7.cs.uni.edu, n7: anna's n70, hanna")
    assert redacted == "[redacted], [redacted]: [redacted]'s n70, hanna"
