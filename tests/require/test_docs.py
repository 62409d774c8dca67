"""What the documentation shows of testing a role is true."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

DOC = Path(__file__).resolve().parents[2] / "docs/engine.md"


def test_the_examples_of_testing_without_a_host_run_as_they_stand() -> None:
    section = DOC.read_text().partition("## Testing your roles without a host\n")[2]
    blocks = re.findall(r"^```python\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 4
    names: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, str(DOC), "exec"), names)
    assert names["counting"].trips == 1
    assert len(names["cut"].calls) > 2, "it was called again"
