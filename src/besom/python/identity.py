"""What a function is: its source without comments and layout, and the plain values that it uses.

A pickle of the same function differs from one process to the next, so it is no identity. Source and
values tell whether a study can go on, and what has changed if it cannot. Functions of the same
module or notebook that a function uses belong to it.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import linecache
import textwrap
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

#: A longer value is stored by its hash.
_LONGEST = 200

_PLAIN = (type(None), bool, int, float, complex, str, bytes, np.generic)


@dataclass(frozen=True)
class Identity:
    """What a function or class is.

    Attributes:
        source: its source, normalised; None where Python has none, as for code given to ``exec``.
        values: what it uses beside its arguments: plain values, and the sources of functions.
    """

    source: str | None
    values: Mapping[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Eight hex digits."""
        text = repr((self.source, sorted(self.values.items())))
        return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()

    def changed_since(self, before: Identity) -> str:
        """What is not as it was, as the end of a sentence; empty if nothing is."""
        if None in (self.source, before.source):
            return "has no source to compare (define it in a file or notebook cell)"
        if self.source != before.source:
            return "has changed since"
        names = dict.fromkeys([*before.values, *self.values])
        changed = [n for n in names if before.values.get(n) != self.values.get(n)]
        if not changed:
            return ""
        was, now = (i.values.get(changed[0], "not there") for i in (before, self))
        short = max(len(was), len(now)) < 60 and "\n" not in was + now
        return f"uses {changed[0]}, which " + (
            f"was {was} and is {now}" if short else "has changed since"
        )


def identity_of(thing: Any) -> Identity:
    """The identity of a function, class, partial or callable object."""
    values: dict[str, str] = {}
    thing = _without_partials(thing, values)
    if not isinstance(thing, type | types.FunctionType | types.MethodType):
        if callable(thing) and not isinstance(thing, types.BuiltinFunctionType):
            values["its attributes"] = _value(getattr(thing, "__dict__", {}))
            thing = type(thing)
        else:
            return Identity(_name(thing), values)
    if isinstance(thing, types.MethodType):
        values["its attributes"] = _value(getattr(thing.__self__, "__dict__", {}))
    node = _node_of(thing)
    seen = {id(thing)}
    _collect(thing, values, seen)
    return Identity(None if node is None else ast.unparse(_bare(node)), values)


def _without_partials(thing: Any, values: dict[str, str]) -> Any:
    while isinstance(thing, partial):
        values |= {f"argument {i + 1}": _value(v) for i, v in enumerate(thing.args)}
        values |= {f"argument {k!r}": _value(v) for k, v in thing.keywords.items()}
        thing = thing.func
    return thing


def _collect(thing: Any, values: dict[str, str], seen: set[int]) -> None:
    """Add what a function or class uses: closures and globals, and in turn what these use."""
    home = getattr(thing, "__module__", None)
    for name, used in uses(thing):
        if isinstance(used, types.ModuleType):
            values[name] = used.__name__
        elif isinstance(used, type | types.FunctionType):
            if used.__module__ != home:
                values[name] = _name(used)
            elif id(used) not in seen:
                seen.add(id(used))
                node = _node_of(used)
                values[name] = _name(used) if node is None else ast.unparse(_bare(node))
                _collect(used, values, seen)
        else:
            values[name] = _value(used)


def uses(thing: Any) -> Iterator[tuple[str, Any]]:
    """What a function, or a class's methods, use beside their arguments: each name and its value.

    A name that is not there yet, or is a builtin, is left out.
    """
    if isinstance(thing, type):
        for member in vars(thing).values():
            inner = getattr(member, "__func__", getattr(member, "fget", member))
            if isinstance(inner, types.FunctionType):
                yield from uses(inner)
        for base in thing.__bases__:
            if base is not object:
                yield base.__name__, base
        return
    function = getattr(thing, "__func__", thing)
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    for name, cell in cells:
        try:
            yield name, cell.cell_contents
        except ValueError:  # not set yet
            continue
    for name in sorted(_globals_read(function.__code__)):
        if name in function.__globals__:
            yield name, function.__globals__[name]
    for value in (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()):
        if isinstance(value, types.FunctionType | type):
            yield value.__name__, value


def _globals_read(code: types.CodeType) -> set[str]:
    inner = (c for c in code.co_consts if isinstance(c, types.CodeType))
    return set(code.co_names).union(*map(_globals_read, inner))


def _value(value: Any) -> str:
    """A value as text that is the same whenever the value is."""
    if isinstance(value, np.ndarray) and value.dtype != object:
        digest = hashlib.blake2b(np.ascontiguousarray(value).tobytes(), digest_size=8).hexdigest()
        return f"an array of {value.dtype}, {value.shape}, {digest}"
    if isinstance(value, type | types.FunctionType):
        return _name(value)
    text = _text(value)
    if text is None:
        return f"a {_name(type(value))}"
    if len(text) > _LONGEST:
        return f"{text[:40]}... {hashlib.blake2b(text.encode(), digest_size=8).hexdigest()}"
    return text


def _text(value: Any) -> str | None:
    """Plain data as text; None: it is not plain."""
    if isinstance(value, _PLAIN):
        return repr(value.item() if isinstance(value, np.generic) else value)
    if isinstance(value, Mapping):
        items = [(_value(k), _value(v)) for k, v in value.items()]
        return "{" + ", ".join(f"{k}: {v}" for k, v in items) + "}"
    if isinstance(value, list | tuple):
        inner = ", ".join(map(_value, value))
        return f"[{inner}]" if isinstance(value, list) else f"({inner})"
    if isinstance(value, set | frozenset):
        return "{" + ", ".join(sorted(map(_value, value))) + "}"
    return None


def _name(thing: Any) -> str:
    own = getattr(thing, "__qualname__", type(thing).__qualname__)
    return f"{getattr(thing, '__module__', None) or type(thing).__module__}.{own}"


# --- source ---------------------------------------------------------------------------------------


def _node_of(thing: Any) -> ast.AST | None:
    """Where a function or class is defined, as the file or notebook cell now has it."""
    function = getattr(thing, "__func__", thing)
    code = _code_of(function)
    if code is None:
        return _class_without_code(function)
    linecache.checkcache(code.co_filename)
    try:
        tree = ast.parse("".join(linecache.getlines(code.co_filename)))
    except (SyntaxError, ValueError):
        return None
    name = str(function.__qualname__).rpartition(".")[2]
    if name == "<lambda>":
        return _lambda(tree, code)
    kinds = ast.ClassDef if isinstance(function, type) else (ast.FunctionDef, ast.AsyncFunctionDef)
    named = [n for n in ast.walk(tree) if isinstance(n, kinds) and n.name == name]
    return min(named, key=lambda node: _distance(node, code), default=None)


def _class_without_code(thing: Any) -> ast.AST | None:
    try:
        return ast.parse(textwrap.dedent(inspect.getsource(thing)))
    except (OSError, TypeError, SyntaxError):
        return None


def _code_of(thing: Any) -> types.CodeType | None:
    if not isinstance(thing, type):
        return getattr(thing, "__code__", None)
    own = (getattr(m, "__func__", m) for m in vars(thing).values())
    codes = [f.__code__ for f in own if isinstance(f, types.FunctionType)]
    return next((c for c in codes if Path(c.co_filename).name != "<string>"), None)


def _distance(node: Any, code: types.CodeType) -> int:
    """How far a definition is from where the code was: of several of one name, the nearest."""
    first: int = min([node.lineno, *(d.lineno for d in node.decorator_list)])
    if first <= code.co_firstlineno <= node.end_lineno:
        return 0
    return abs(first - code.co_firstlineno)


def _lambda(tree: ast.AST, code: types.CodeType) -> ast.AST | None:
    """The innermost lambda of the same parameters that holds everything of the code."""
    known = [p for p in code.co_positions() if None not in p and p[2:] != (0, 0)]
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    holding = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Lambda)
        and names == tuple(a.arg for a in (*node.args.args, *node.args.kwonlyargs))
        and known
        and all(_holds(node, position) for position in known)
    ]
    return max(holding, key=lambda node: (node.lineno, node.col_offset), default=None)


def _holds(node: ast.Lambda, position: Any) -> bool:
    line, end_line, column, end_column = position
    begins = (node.lineno, node.col_offset) <= (line, column)
    return begins and (end_line, end_column) <= (node.end_lineno, node.end_col_offset)


class _Bare(ast.NodeTransformer):
    """Removes docstrings: they change nothing."""

    def _bare(self, node: Any) -> Any:
        self.generic_visit(node)
        first = node.body[0]
        is_text = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
        if is_text and isinstance(first.value.value, str):
            node.body = node.body[1:] or [ast.Pass()]
        return node

    visit_FunctionDef = visit_AsyncFunctionDef = visit_ClassDef = _bare  # noqa: N815


def _bare(node: ast.AST) -> ast.AST:
    bare: ast.AST = _Bare().visit(ast.parse(ast.unparse(node)))
    return bare
