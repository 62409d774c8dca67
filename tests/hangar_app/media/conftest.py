from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def ffmpeg() -> str:
    """ffmpeg, installed at its first use."""
    if shutil.which("ffmpeg") is None:
        from fleet import packages

        packages.ensure(["ffmpeg"], purpose="packaging films")
    return "ffmpeg"


@pytest.fixture(scope="session")
def clip(ffmpeg: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film of six seconds with sound, 320x240, so that it spans two segments."""
    file = tmp_path_factory.mktemp("clip") / "clip.mp4"
    sources = ["-f", "lavfi", "-i", "testsrc=size=320x240:rate=10:duration=6"]
    sources += ["-f", "lavfi", "-i", "sine=frequency=440:duration=6"]
    command = [ffmpeg, "-v", "error", *sources, "-pix_fmt", "yuv420p", "-preset", "ultrafast"]
    subprocess.run([*command, "-shortest", str(file)], check=True)
    return file
