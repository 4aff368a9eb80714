"""The page that maps AGT's calls to ours has every public one of the installed AGT, and no other."""

from __future__ import annotations

import ast
import re
from importlib.util import find_spec
from pathlib import Path

PAGE = Path(__file__).parents[3] / 'docs' / 'coming-from-agt.md'
MODULES = ('entra', 'entra_agent_id', 'entra_graph', 'entra_verifier')


def public_calls(module: str) -> set[str]:
    """Read and not imported: one of them needs packages that nobody here uses."""
    spec = find_spec(f'agentmesh.identity.{module}')
    assert spec is not None
    assert spec.origin is not None
    found: set[str] = set()
    for node in ast.parse(Path(spec.origin).read_text('utf-8')).body:
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith('_'):
            continue
        found.add(node.name)
        if isinstance(node, ast.ClassDef):
            functions = (inner for inner in node.body if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef))
            found |= {f'{node.name}.{inner.name}' for inner in functions if not inner.name.startswith('_')}
    return found


def test_the_page_maps_every_public_call_and_no_other() -> None:
    text = PAGE.read_text('utf-8')
    calls = text[text.index('## Calls') : text.index('## Cases')]
    documented = set(re.findall(r'^\| `([\w.]+)` \|', calls, re.MULTILINE))
    there: set[str] = set().union(*(public_calls(module) for module in MODULES))
    assert documented == there
