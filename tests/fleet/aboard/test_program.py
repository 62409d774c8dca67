"""The program on a host: how it is started, what it prints, how it ends."""

from __future__ import annotations

import ast
import io
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import fleet.aboard
from fleet.aboard import program
from fleet.aboard.steps import Step
from fleet.aboard.stream import MAGIC, MANIFEST, pack
from tests.fleet.aboard.host import Host, build, memory
from tests.fleet.aboard.signing import Signer, signer, trust

SOURCE = Path(fleet.aboard.__file__).parent
PAGES = build(1, "html5", {"templates/index.html": b"<p>", "static/app.css": b"p{}"})


@pytest.fixture(scope="module")
def eva() -> Signer:
    return signer()


@pytest.fixture
def placed(eva: Signer) -> Iterator[Path]:
    """The folder as the role places it: the plain files, under another name, and whom to trust."""
    with tempfile.TemporaryDirectory(dir=memory()) as root:
        folder = Path(root) / "opt/turnaround/aboard"
        # With what was compiled of them, which each of these processes would do anew.
        shutil.copytree(SOURCE, folder)
        trust(Path(root), eva)
        yield folder


def aboard(
    placed: Path, *arguments: str, stdin: bytes = b"", by_name: bool = False
) -> tuple[int, list[dict[str, object]], str]:
    start = ["-m", "aboard"] if by_name else [str(placed)]
    done = subprocess.run(
        [sys.executable, "-S", *start, "--root", str(placed.parents[2]), *arguments],
        input=stdin,
        capture_output=True,
        check=False,
        cwd="/",
        env={"PATH": "/usr/bin:/bin", **({"PYTHONPATH": str(placed.parent)} if by_name else {})},
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return done.returncode, lines, done.stderr.decode()


@pytest.mark.parametrize("by_name", [False, True], ids=["folder", "name"])
def test_an_artifact_is_taken_in_step_by_step(placed: Path, by_name: bool, eva: Signer) -> None:
    sealed = eva.seal(PAGES)
    code, (offer,), _ = aboard(placed, "offer", stdin=PAGES.head(sealed), by_name=by_name)
    assert (code, offer["current"], len(offer["missing"])) == (0, None, 2)  # type: ignore[arg-type]
    frames = PAGES.frames(sealed=sealed)
    code, lines, _ = aboard(placed, "accept", stdin=frames, by_name=by_name)
    assert code == 0
    assert " ".join(str(line["step"]) for line in lines[:-1]) == (
        "receive unpack flush place stage setup trial beside switch link restart health confirm drain clean"
    )
    assert lines[-1]["result"] == "confirmed"
    code, (listed,), _ = aboard(placed, "list", by_name=by_name)
    assert listed["kinds"]["html5"]["current"] == PAGES.version  # type: ignore[index]


@pytest.mark.parametrize(
    ("arguments", "stdin", "code", "said"),
    [
        (["offer"], b"garbage that is long enough", 65, "the stream starts with"),
        (["offer"], MAGIC + pack(MANIFEST, b"{}"), 65, "format: expected 2"),
        (["accept"], b"garbage that is long enough", 65, "the stream starts with"),
        (["accept"], PAGES.frames()[:-10], 65, "expected the signature of a key in"),
        (["accept"], MAGIC + pack(MANIFEST, PAGES.manifest.dump()), 4, "the stream was cut"),
        (["issue"], b"{}", 65, "the order: expected a JSON object"),
        (["record"], b"nothing", 65, "the order: expected a JSON object"),
        (["audit", "--last", "many"], b"", 64, "expected 0 to 10000, found 'many'"),
        (["rollback", "html5"], b"", 4, "no good release of html5"),
        (["rollback", "../etc"], b"", 64, "no kind of release"),
        (["explode"], b"", 64, "invalid choice"),
        ([], b"", 64, "required"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_it_ends_with_a_sentence_and_the_right_code(
    placed: Path, arguments: list[str], stdin: bytes, code: int, said: str
) -> None:
    found, lines, errors = aboard(placed, *arguments, stdin=stdin)
    assert found == code
    assert said in errors
    assert "Traceback" not in errors
    assert code == 64 or (lines[-1]["result"] in ("failed", "refused") and lines[-1]["reason"])


def test_what_nobody_foresaw_is_told_like_any_failure(
    host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    def breaks(step: Step) -> None:
        raise ZeroDivisionError("one by none")

    out = io.StringIO()
    world = replace(host.world, at=breaks)
    code = program.main(["accept"], world, io.BytesIO(PAGES.frames()), out)
    told = json.loads(out.getvalue().splitlines()[-1])
    assert (code, told["result"]) == (4, "failed")
    assert "ZeroDivisionError: one by none" in told["reason"]
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_the_audit_log_needs_no_release(placed: Path) -> None:
    order = {
        "who": "eva@desk",
        "what": "deploy",
        "kind": "hangar",
        "version": "1",
        "targets": ["hangar"],
    }
    code, (issued,), _ = aboard(placed, "issue", stdin=json.dumps(order).encode())
    ended = {
        "who": "eva@desk",
        "what": "deploy",
        "ended": "released",
        "targets": {"hangar": "released"},
    }
    ended |= {"counters": [issued["counter"]]}
    assert (code, aboard(placed, "record", stdin=json.dumps(ended).encode())[0]) == (0, 0)
    code, (told,), _ = aboard(placed, "audit", "--last", "1")
    assert (code, told["entries"][0]["ended"]) == (0, "released")  # type: ignore[index]


def test_a_link_that_breaks_after_the_stream_does_not_stop_it(placed: Path, eva: Signer) -> None:
    process = subprocess.Popen(
        [sys.executable, "-S", str(placed), "--root", str(placed.parents[2]), "accept"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin and process.stdout and process.stderr
    process.stdout.close()
    process.stderr.close()
    process.stdin.write(PAGES.frames(sealed=eva.seal(PAGES)))
    process.stdin.close()
    assert process.wait(20) == 0
    assert aboard(placed, "list")[1][0]["kinds"]["html5"]["current"] == PAGES.version  # type: ignore[index]


def test_it_imports_nothing_but_the_standard_library() -> None:
    for path in SOURCE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                named = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                named = [node.module or ""]
            else:
                continue
            for name in named:
                assert name.partition(".")[0] in sys.stdlib_module_names, f"{path.name}: {name}"
