"""Code on the page, taken from the files that run: never pasted, never a line number."""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import marimo as mo

from minigrad.tape import Primitive

ROOTS = ("kernels", "minigrad", "infogan", "docs")


@dataclass(frozen=True)
class Excerpt:
    """A piece of a source file: `text` is what stands in `file` (relative to the project) under `name`."""

    file: str
    name: str
    text: str


def extract(thing: Any) -> Excerpt:
    """The source of a function, method or class; of a rule, its forward and its products.

    Raises `TypeError` for what has no Python source.
    """
    if isinstance(thing, Primitive):
        return _rule(thing)
    found = inspect.unwrap(thing)
    return Excerpt(
        _relative(inspect.getsourcefile(found)), found.__qualname__, textwrap.dedent(inspect.getsource(found)).rstrip()
    )


def show(*things: Any) -> mo.Html:
    """Each excerpt as a code block with its name and file above it."""
    return mo.md("\n\n".join(_block(extract(thing)) for thing in things))


def _block(excerpt: Excerpt) -> str:
    return f"`{excerpt.name}` · {excerpt.file}\n\n```python\n{excerpt.text}\n```"


def _rule(rule: Primitive) -> Excerpt:
    """The statements of a rule's module that define the rule and give it its products."""
    module = sys.modules[rule.forward.__module__]
    source = inspect.getsource(module)
    lines = source.splitlines()
    parts = []
    for statement in ast.parse(source).body:
        defines = isinstance(statement, ast.FunctionDef) and getattr(module, statement.name, None) is rule
        if defines or _gives_products(statement, rule, module):
            first = min([statement.lineno, *(d.lineno for d in getattr(statement, "decorator_list", []))])
            parts.append("\n".join(lines[first - 1 : statement.end_lineno]))
    return Excerpt(_relative(module.__file__), rule.name, "\n\n\n".join(parts))


def _gives_products(statement: ast.stmt, rule: Primitive, module: Any) -> bool:
    """Whether `statement` is `NAME.defvjp(…)` and NAME is the rule."""
    call = statement.value if isinstance(statement, ast.Expr) else None
    if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "defvjp"):
        return False
    owner = call.func.value
    return isinstance(owner, ast.Name) and getattr(module, owner.id, None) is rule


def _relative(file: str | None) -> str:
    """A path as the project writes it, wherever the project lies."""
    parts = Path(file or "").parts
    start = max((i for i, part in enumerate(parts[:-1]) if part in ROOTS), default=len(parts) - 1)
    while start and parts[start - 1] in ROOTS:
        start -= 1
    return "/".join(parts[start:])
