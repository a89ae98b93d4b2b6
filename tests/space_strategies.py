"""Search spaces that hypothesis makes up, in every form that a user can write them in."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import assume
from hypothesis import strategies as st

from besom.space import Lists
from besom.space.domains import Choice, Range
from besom.space.lists import LengthOf
from besom.space.spec import read_values
from space_world import GROUPS

Body = st.SearchStrategy[Any]

floats = st.floats(1e-6, 1e3, allow_nan=False).map(lambda x: float(f"{x:.4g}"))
#: Among them what YAML, JSON or Hydra would read as something else, were it not quoted.
texts = st.sampled_from(
    [
        "relu",
        "tanh",
        "gelu",
        "1e-3",
        "0.5",
        "007",
        "null",
        "true",
        "on",
        "",
        "über",
        "[1, 2]",
        "a,b",
    ]
)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | floats | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner),
    max_leaves=5,
)


@st.composite
def int_ranges(draw: st.DrawFn, lowest: int = 1) -> dict[str, Any]:
    """A range of ints, plain, stepped or log."""
    low, n = draw(st.integers(lowest, 64)), draw(st.integers(0, 20))
    if draw(st.booleans()):
        return {"type": "int", "low": low, "high": low + n, "log": low > 0 and draw(st.booleans())}
    step = draw(st.integers(1, 9))
    return {"low": low, "high": low + n * step, "step": step}


@st.composite
def float_ranges(draw: st.DrawFn) -> dict[str, Any]:
    """A range of floats, plain, stepped or log; written in decimals, as people write them."""
    if draw(st.booleans()):
        low, high = sorted([draw(floats), draw(floats)])
        return {"type": "float", "low": low, "high": high, "log": draw(st.booleans())}
    digits = draw(st.integers(0, 4))
    low, step, n = draw(st.integers(-99, 99)), draw(st.integers(1, 99)), draw(st.integers(0, 30))
    scaled = [float(f"{x}e-{digits}") for x in (low, low + n * step, step)]
    return {"type": "float", **dict(zip(("low", "high", "step"), scaled, strict=True))}


def label(value: Any) -> Any:
    """What Optuna stores for a choice: it takes True for 1, and equal labels for one choice."""
    return json.dumps(value, sort_keys=True) if isinstance(value, list | dict) else value


def choices(values: Body) -> st.SearchStrategy[list[Any]]:
    """Lists of choices that Optuna can tell apart."""
    return st.lists(values, min_size=1, max_size=4, unique_by=label)


def grammar_choices(values: Body) -> st.SearchStrategy[str]:
    """Choices in Hydra's grammar, with and without the word."""
    written = st.lists(values, min_size=2, max_size=4, unique_by=label).map(
        lambda items: ",".join(map(in_grammar, items))
    )
    # Hydra's own functions take no null.
    return written | written.filter(lambda text: "null" not in text).map("shuffle({})".format)


def in_grammar(value: Any) -> str:
    """A value as Hydra's grammar has it: texts in quotes."""
    if isinstance(value, str):
        return "'" + value.replace("'", "\\'") + "'"
    return (
        "[" + ",".join(map(in_grammar, value)) + "]" if isinstance(value, list) else label_of(value)
    )


def label_of(value: Any) -> str:
    """A scalar as JSON has it, which is as Hydra has it."""
    return json.dumps(value)


@st.composite
def grammar_ints(draw: st.DrawFn) -> str:
    """Ints in Hydra's grammar."""
    low, n, step = draw(st.integers(1, 64)), draw(st.integers(1, 20)), draw(st.integers(1, 5))
    return draw(
        st.sampled_from(
            [
                f"range({low},{low + n})",
                f"range({low},{low + n * step},{step})",
                f"range({low + n},{low},-1)",
                f"int(interval({low},{low + n}))",
                f"tag(log,int(interval({low},{low + n})))",
                f"tag(log, range({low}, {low + n}))",
            ]
        )
    )


@st.composite
def grammar_floats(draw: st.DrawFn) -> str:
    """Floats in Hydra's grammar."""
    low, high = sorted([draw(floats), draw(floats)])
    assume(low < high)
    start, n = draw(st.integers(-9, 9)), draw(st.integers(1, 12))
    stepped = f"range({start / 10},{(start + n) / 10},0.1)"
    return draw(
        st.sampled_from([f"interval({low},{high})", f"tag(log,interval({low},{high}))", stepped])
    )


def lists(elements: Body, shapes: Sequence[str]) -> Body:
    """Lists of a sampled length (or a fixed one), with elements of their own or one for all."""
    lengths = st.tuples(st.integers(0, 2), st.integers(1, 3)).map(
        lambda n: {"low": n[0], "high": n[0] + n[1]}
    ) | st.sampled_from([2, [1, 3], "range(1,4)"])
    shaped = st.sampled_from([{"shape": shape} for shape in shapes] + [{}])
    return st.tuples(lengths, elements, shaped).map(
        lambda parts: {"length": parts[0], "each": parts[1], **parts[2]}
    )


@st.composite
def structs(draw: st.DrawFn, shapes: Sequence[str] = ("any", "constant")) -> dict[str, Any]:
    """Lists of mappings of entries, some of which depend on others of the same element."""
    kinds = draw(st.sampled_from([["dense"], ["dense", "conv"], "dense,conv"]))
    each: dict[str, Any] = {"kind": kinds, "units": draw(int_ranges() | grammar_ints())}
    if draw(st.booleans()):
        both = {"dense": float_ranges() | choices(floats), "conv": choices(floats | st.none())}
        for kind, body in both.items():
            each[f"rate@{kind}"] = {**as_mapping(draw(body)), "when": {"kind": kind}}
    if draw(st.booleans()):
        when = draw(conditions("units", each["units"]))
        each["kernel"] = {**draw(lists(choices(st.integers(1, 9)), ["any"])), "when": when}
        if draw(st.booleans()):
            each["strides"] = {"length": "kernel.length", "each": draw(choices(st.booleans()))}
    order = draw(st.permutations(sorted(each)))
    return draw(lists(st.just({key: each[key] for key in order}), shapes))


numbers_in_lists = lists(
    int_ranges() | choices(st.integers(1, 99)) | grammar_ints(),
    ["any", "constant", "decreasing", "increasing"],
)
ENTRIES: dict[str, Body] = {
    "model": choices(st.sampled_from(["mlp", "cnn"])) | st.sampled_from(["mlp,cnn", "glob(*)"]),
    "optimizer": choices(st.sampled_from(GROUPS["optimizer"])),
    "model.dropout": float_ranges() | choices(floats | st.none()) | grammar_floats(),
    "model.activation": choices(texts | st.none()) | grammar_choices(texts | st.none()),
    "model.batch_norm": choices(st.booleans()),
    "model.hidden_units": numbers_in_lists | choices(st.lists(st.integers(1, 99), max_size=3)),
    "model.layers": structs(),
    "optimizer.learning_rate": float_ranges() | choices(st.integers(1, 9) | floats)
    | grammar_floats(),
    "optimizer.momentum": float_ranges() | grammar_choices(floats),
    "trainer.batch_size": int_ranges() | choices(st.integers(1, 512)) | grammar_ints(),
    "trainer.epochs": int_ranges() | grammar_ints(),
    "trainer.metrics": lists(choices(texts), ["any", "constant"]),
    "trainer.patience": choices(plain),
    "trainer.class_weight": choices(plain),
    "seed": int_ranges(0) | choices(st.integers(0, 2**31)) | grammar_ints(),
}  # fmt: skip
#: What only one option has; the base options of these spaces are mlp and sgd.
GUARDS = {
    "model.hidden_units": {"model": "mlp"},
    "model.layers": {"model": "mlp"},
    "optimizer.momentum": {"optimizer": "sgd"},
}
#: What each option of the optimizer may bring along, keys relative to it.
OWN: dict[str, dict[str, Body]] = {
    "adam": {"learning_rate": float_ranges(), "beta_1": choices(floats)},
    "sgd": {"learning_rate": grammar_floats(), "momentum": float_ranges()},
    "rmsprop": {"learning_rate": choices(floats), "rho": float_ranges()},
}


@dataclass(frozen=True)
class Spec:
    """A space as a user writes it.

    Attributes:
        entries: ``sweep.space``.
        own: the ``space:`` of each optimizer's YAML.
    """

    entries: dict[str, Any]
    own: dict[str, dict[str, Any]]


@st.composite
def conditions(draw: st.DrawFn, path: str, entry: Any) -> dict[str, Any]:
    """A condition on an entry that some of its values meet."""
    body = read_values(entry, GROUPS.get(path))
    name = path
    if isinstance(body, Lists):
        name, body = f"{path}.length", body.length
        assert not isinstance(body, LengthOf)
    if isinstance(body, Choice):
        return {name: draw(st.lists(st.sampled_from(body.values), min_size=1, max_size=2))}
    bound = draw(st.sampled_from([body.low, body.high]))
    return {name: draw(st.sampled_from([{"min": bound}, {"max": bound}, bound]))}


@st.composite
def own_spaces(draw: st.DrawFn) -> dict[str, dict[str, Any]]:
    """What each optimizer brings along; a condition in it reads what stands beside it."""
    own = {
        option: {key: draw(body) for key, body in keys.items() if draw(st.booleans())}
        or {"learning_rate": [0.1, 0.2]}
        for option, keys in OWN.items()
    }
    if "momentum" in own["sgd"] and draw(st.booleans()):
        when = draw(conditions("momentum", own["sgd"]["momentum"]))
        own["sgd"]["nesterov"] = {"choices": [True, False], "when": when}
    return own


@st.composite
def specs(draw: st.DrawFn, paths: Sequence[str] = tuple(ENTRIES), follows: bool = True) -> Spec:
    """A space over the world of the tests; an entry may depend on any that come earlier in a
    hidden order, which is not the order they are written in. With ``follows`` there may be a list
    that has the length of another."""
    chosen = draw(st.permutations(sorted(paths)))[: draw(st.integers(1, len(paths)))]
    bodies = {path: draw(ENTRIES[path]) for path in sorted(chosen)}
    spec: dict[str, Any] = {}
    for path in chosen:
        when: dict[str, Any] = {}
        for _ in range(draw(st.integers(0, 2)) if spec else 0):
            outer = draw(st.sampled_from(sorted(bodies.keys() & spec.keys())))
            when |= draw(conditions(outer, bodies[outer]))
        if draw(st.integers(0, 5)) == 0:
            when["trainer.loss"] = "sparse_categorical_crossentropy"
        for group, option in GUARDS.get(path, {}).items():
            if group in bodies:
                assume(option in read_values(bodies[group], GROUPS[group]).values)  # type: ignore[union-attr]
                when[group] = option
        body = bodies[path]
        spec[path] = {**as_mapping(body), "when": when} if when else body
    if follows and "model.hidden_units" in spec and draw(st.booleans()):
        spec["model.rates"] = {"length": "model.hidden_units.length", "each": draw(float_ranges())}
    own: dict[str, dict[str, Any]] = {}
    if "optimizer" in spec and draw(st.booleans()):
        own = draw(own_spaces())
        spec["optimizer"] = {**as_mapping(spec["optimizer"]), "with_own_spaces": True}
    left_out = draw(st.lists(st.sampled_from(sorted(paths)), max_size=2))
    spec |= {path: None for path in left_out if path not in spec}
    return Spec({path: spec[path] for path in draw(st.permutations(sorted(spec)))}, own)


def as_mapping(body: Any) -> dict[str, Any]:
    """An entry in the form that takes more keys; Hydra's grammar takes the place of choices."""
    if isinstance(body, dict):
        return body
    if isinstance(body, list):
        return {"choices": body}
    read = read_values(body, GROUPS["model"])
    if isinstance(read, Choice):
        return {"choices": body}
    assert isinstance(read, Range)
    numbers = {"low": read.low, "high": read.high, "log": read.log, "step": read.step}
    return {
        "type": "int" if read.is_int else "float",
        **{k: v for k, v in numbers.items() if v is not None},
    }
