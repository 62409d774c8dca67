"""The way to a test's host, with the real program at its other end; and artifacts to send there."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass, field
from pathlib import Path

from fleet import artifact
from fleet.aboard import envelope, program
from fleet.artifact import Artifact
from fleet.errors import LinkLost
from fleet.release import ABOARD
from tests.fleet.aboard.host import SIGNATURE, Built, Host


@dataclass(frozen=True)
class Completed:
    exit: int
    stdout: bytes = b""
    stderr: bytes = b""


@dataclass
class Link:
    """The way to a host, with the real program at its other end.

    Args:
        cut_after: bytes of input after which the link breaks.
        answer: what the host says instead, where it has no aboard.
    """

    host: Host
    name: str = "EC-TAA"
    cut_after: int | None = None
    answer: Completed | None = None
    orders: list[str] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)
    received: int = 0

    @property
    def traffic_bytes(self) -> int:
        return sum(self.sent) + self.received

    def run(
        self,
        argv: Sequence[str],
        stdin: bytes | Iterable[bytes] | None = None,
        *,
        timeout_s: float,
        on_line: Callable[[str], None] | None = None,
    ) -> Completed:
        assert tuple(argv[:3]) == ABOARD
        assert timeout_s >= 60
        self.orders.append(argv[3])
        data = stdin if isinstance(stdin, bytes) else b"".join(stdin or ())
        if self.answer:
            return self.answer
        whole = data if self.cut_after is None else data[: self.cut_after]
        self.sent.append(len(whole))
        out, errors = io.StringIO(), io.StringIO()
        with redirect_stderr(errors):
            code = program.main(argv[3:], self.host.world, io.BytesIO(whole), out)
        self.received += len(out.getvalue())
        if len(whole) < len(data):
            raise LinkLost(f"{self.name}: the link broke")
        for line in out.getvalue().splitlines():
            if on_line:
                on_line(line)
        return Completed(code, out.getvalue().encode(), errors.getvalue().encode())


def save(built: Built, folder: Path) -> Artifact:
    """The artifact as a build would have left it, with an envelope."""
    for file in built.manifest.files:
        (folder / "source").write_bytes(built.contents[file.sha256])
        artifact.keep(folder / "source", file.path, folder / "out")
    saved = artifact.save(built.manifest, folder / "out")
    return artifact.sealed(saved, envelope.pack(built.said().text(), SIGNATURE))
