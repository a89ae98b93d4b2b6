"""The outputs of a built model: how they are named, and in which nest they come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras

from besom.errors import ConfigError, did_you_mean
from besom.text.counting import counted, listed
from besom.training.data.examples import Examples, Stream
from besom.training.data.nests import is_nest, leaves, map_nest
from besom.training.epochs.batches import first_batch


@dataclass(frozen=True)
class Outputs:
    """What a built model returns.

    Attributes:
        nest: of tensors, symbolic ones if the model has them.
        names: of each leaf of ``nest``, in its order, as Keras names their losses and metrics; a
            lone output's name is not used.
    """

    nest: Any
    names: tuple[str, ...]

    @classmethod
    def of(cls, model: Any, part: Examples | Stream) -> Outputs | None:
        """Of a built model; one whose layers are not known to Keras is called on some examples.

        Returns:
            None where it cannot be called on its inputs alone.
        """
        if (symbolic := symbolic_outputs(model)) is not None:
            names = list(symbolic) if isinstance(symbolic, Mapping) else None
            return cls(symbolic, tuple(names or getattr(model, "output_names", ["output"])))
        try:
            nest = model(first_batch(part, 2)[0], training=False)
        except Exception:  # what is wrong with it is said where a step is tried
            return None
        return cls(nest, tuple(nest) if isinstance(nest, Mapping) else cls._numbered(nest))

    @staticmethod
    def _numbered(nest: Any) -> tuple[str, ...]:
        return tuple(f"output_{i + 1}" for i, _ in enumerate(leaves(nest)))

    @property
    def shapes(self) -> list[tuple[int | None, ...]]:
        """The shape of each output, its first dimension the batch's."""
        return [tuple(leaf.shape) for leaf in leaves(self.nest)]

    @property
    def shape(self) -> Any:
        """The nest of shapes."""
        return map_nest(lambda leaf: tuple(leaf.shape), self.nest)

    @property
    def are_several(self) -> bool:
        """Whether there is more than one."""
        return len(self.names) > 1

    def by_name(self, values: Any, what: str) -> dict[str, Any]:
        """Values by output: a mapping whose keys are the outputs' names, or a list in their order.

        Raises:
            ConfigError: a name that no output has, or too few or many values.
        """
        if isinstance(values, Mapping):
            for name in values:
                if name not in self.names:
                    raise ConfigError(
                        f"{what} names the output {name!r}, which the model does not have."
                        + did_you_mean(str(name), self.names)
                    )
            return dict(values)
        if len(values) != len(self.names):
            raise ConfigError(
                f"{what} is a list of {len(values)}, but the model has "
                f"{counted(len(self.names), 'output')}: {listed(self.names)}. Give a mapping by "
                "output."
            )
        return dict(zip(self.names, values, strict=True))

    def arranged(self, nest: Any, what: str) -> Any:
        """Labels or weights in the nest of the model's outputs, from whatever nest they come in.

        Raises:
            ConfigError: an output has none, or there is no such output.
        """
        if nest is None or (not is_nest(nest) and not is_nest(self.nest)):
            return nest
        if not is_nest(nest):
            raise ConfigError(
                f"The model has {counted(len(leaves(self.nest)), 'output')}, but an example has "
                f"one label: "
                f"give {what} by output ({listed(self.names)}) in the data, or the model one "
                "output, or its own train_step."
            )
        given = self._named(nest, what)
        if missing := [name for name in self.names if name not in given]:
            raise ConfigError(
                f"The model's output {missing[0]!r} has no {what} in the data, which has "
                f"{listed(list(given))}."
            )
        if not is_nest(self.nest):
            return given[self.names[0]]
        if isinstance(self.nest, Mapping) and all(not is_nest(v) for v in self.nest.values()):
            return {name: given[name] for name in self.nest}
        parts = iter(self.names)
        return map_nest(lambda _: given[next(parts)], self.nest)

    def _named(self, nest: Any, what: str) -> dict[str, Any]:
        if isinstance(nest, Mapping):
            known = self.names
            if extra := [name for name in nest if name not in known]:
                if len(known) == len(nest) == 1:
                    return {known[0]: nest[extra[0]]}
                raise ConfigError(
                    f"The data has {what} for {extra[0]!r}, which is no output of the model."
                    + did_you_mean(str(extra[0]), known)
                )
            return dict(nest)
        parts = leaves(nest)
        if len(parts) != len(self.names):
            raise ConfigError(
                f"The data has {what} for {counted(len(parts), 'output')}, but the model has "
                f"{counted(len(self.names), 'output')}: {listed(self.names)}."
            )
        return dict(zip(self.names, parts, strict=True))


def symbolic_outputs(model: Any) -> Any | None:
    """The nest of a model's outputs, where Keras knows them without calling it; else None."""
    try:
        return model.output
    except (AttributeError, ValueError):
        outputs = getattr(model, "outputs", None)
        return outputs[0] if isinstance(outputs, list) and len(outputs) == 1 else None


def is_linear(model: Any, tensor: Any) -> bool:
    """Whether an output is that of a Dense layer without an activation: logits, of classes."""
    for layer in getattr(model, "layers", ()):
        try:
            own = layer.output
        except (AttributeError, ValueError):  # a layer used twice has several
            continue
        if own is tensor:
            activation = getattr(layer, "activation", None)
            return isinstance(layer, keras.layers.Dense) and activation in (
                None,
                keras.activations.linear,
            )
    return False
