"""Makes Python sources small: what is not reachable, not executed or only for readers is left out."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence

Name = tuple[str, str]
_DEFINES = (ast.FunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign, ast.Import, ast.ImportFrom)


def shake(sources: Mapping[str, str], roots: Sequence[Name]) -> dict[str, str]:
    """Return the sources with only what the roots reach.

    Args:
        sources: text of each module; they import each other as `from require.remote import NAME`
            or `from require.remote.NAME import …`.
        roots: (module, top-level name) pairs; one that a module does not have is passed over.

    Returns:
        Text of each module that is reached, without docstrings, comments and annotations.

    Example:
        >>> shake({"a": "def x(): return y\\ny = 1\\nz = 2"}, [("a", "x")])
        {'a': 'def x():\\n    return y\\ny = 1'}
    """
    modules = {name: _Module(text) for name, text in sources.items()}
    kept: set[Name] = set()
    waiting = [root for root in roots if root[1] in modules[root[0]].defines]
    while waiting:
        name = waiting.pop()
        if name in kept:
            continue
        kept.add(name)
        waiting += [each for each in _reached(modules, name) if each not in kept]
    return {
        name: module.text({each for owner, each in kept if owner == name})
        for name, module in modules.items()
        if any(owner == name for owner, _ in kept)
    }


class _Module:
    """One module: its top-level statements by the names they define."""

    def __init__(self, text: str) -> None:
        tree = _Strip().visit(ast.parse(text))
        self.body: list[ast.stmt] = tree.body
        self.defines: dict[str, ast.stmt] = {}
        for statement in self.body:
            for name in _defined(statement):
                self.defines[name] = statement

    def text(self, names: set[str]) -> str:
        wanted = [self.defines[name] for name in names]
        body = [each for each in self.body if each in wanted or not isinstance(each, _DEFINES)]
        return ast.unparse(ast.Module([_fewer(each, names) for each in body], []))


def _defined(statement: ast.stmt) -> Iterator[str]:
    if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
        yield statement.name
    elif isinstance(statement, ast.Assign):
        yield from (each.id for each in statement.targets if isinstance(each, ast.Name))
    elif isinstance(statement, (ast.Import, ast.ImportFrom)):
        yield from ((each.asname or each.name).partition(".")[0] for each in statement.names)


def _fewer(statement: ast.stmt, names: set[str]) -> ast.stmt:
    """Leave out of an import what is not used."""
    if not isinstance(statement, (ast.Import, ast.ImportFrom)):
        return statement
    used = [e for e in statement.names if (e.asname or e.name).partition(".")[0] in names]
    if isinstance(statement, ast.Import):
        return ast.Import(used)
    return ast.ImportFrom(statement.module, used, statement.level)


def _reached(modules: Mapping[str, _Module], name: Name) -> Iterator[Name]:
    """Yield what the statement that defines a name mentions, here and in other modules."""
    module, own = name
    statement = modules[module].defines[own]
    if isinstance(statement, ast.ImportFrom):
        origin = (statement.module or "").removeprefix("require.remote").lstrip(".")
        for each in statement.names:
            if (each.asname or each.name) == own and origin in modules:
                yield origin, each.name
        return
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and node.id in modules[module].defines:
            yield module, node.id
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id in modules
            and node.attr in modules[node.value.id].defines
        ):
            yield node.value.id, node.attr


class _Strip(ast.NodeTransformer):
    """Takes out docstrings, annotations and what only annotations need."""

    def visit_Module(self, node: ast.Module) -> ast.Module:
        self.generic_visit(node)
        node.body = _without_docstring(node.body)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        self.generic_visit(node)
        node.returns = None
        node.body = _without_docstring(node.body) or [ast.Pass()]
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        self.generic_visit(node)
        node.body = _without_docstring(node.body) or [ast.Pass()]
        return node

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.stmt | None:
        self.generic_visit(node)
        if node.value is None:
            return None
        return ast.copy_location(ast.Assign([node.target], node.value), node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.ImportFrom | None:
        return None if node.module in ("__future__", "typing") else node


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    first = body[0] if body else None
    if (
        isinstance(first, ast.Expr)
        and isinstance(first.value, ast.Constant)
        and isinstance(first.value.value, str)
    ):
        return body[1:]
    return body
