"""A film: one video file that becomes an HLS ladder of fragmented MP4 and a poster frame.

Every rung has a forced keyframe where a segment begins, so that a player changes rungs at any
segment; baseline and main profile and AAC, so that every phone in the cabin can play it. The ladder
is for a cabin's Wi-Fi shared by a hundred seats, not for a living room.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from hangar_app.media import poster
from hangar_app.media.rendition import MediaError, Rendition, refuse_size

SEGMENT_SECONDS = 4
# A playlist or a concat list would make ffmpeg open other files and addresses on the uploader's
# behalf: only containers that hold their own pictures are read, and only from the disk.
INPUT = (
    *("-protocol_whitelist", "file"),
    *("-format_whitelist", "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,asf,flv,ogg"),
)


@dataclass(frozen=True)
class Rung:
    """One quality of the ladder: height in pixels, rates in kbit/s."""

    name: str
    height: int
    video_kbit: int
    audio_kbit: int
    profile: str


LADDER = (
    Rung("240p", 240, 400, 64, "baseline"),
    Rung("480p", 480, 1200, 96, "main"),
    Rung("720p", 720, 2500, 96, "main"),
)


@dataclass(frozen=True)
class Limits:
    """How much of a film is taken: size in bytes, lengths in seconds of film and of work."""

    size: int = 4_000_000_000
    film_seconds: float = 4 * 3600
    work_seconds: float = 4 * 3600
    probe_seconds: float = 30


@dataclass(frozen=True)
class Probe:
    """What ffprobe says of a film: seconds, pixels, and whether there is sound."""

    seconds: float
    width: int
    height: int
    sound: bool


def rungs_for(height: int) -> tuple[Rung, ...]:
    """The rungs that are not higher than the film; the lowest is always made.

    Example:
        >>> [rung.name for rung in rungs_for(480)]
        ['240p', '480p']
    """
    return tuple(rung for rung in LADDER if rung is LADDER[0] or rung.height <= height)


def parse_probe(text: str) -> Probe:
    """Reads the JSON of `ffprobe -show_format -show_streams`.

    Raises:
        MediaError: when there is no moving picture in it, or no length.
    """
    answer = json.loads(text or "{}")
    streams = answer.get("streams", [])
    pictures = [
        stream
        for stream in streams
        if stream.get("codec_type") == "video"
        and not stream.get("disposition", {}).get("attached_pic")
    ]
    if not pictures:
        raise MediaError("There is no picture in this file: no video track was found in it.")
    try:
        seconds = float(answer["format"]["duration"])
        width, height = int(pictures[0]["width"]), int(pictures[0]["height"])
    except (KeyError, ValueError) as error:
        raise MediaError(
            f"The film does not say how long or how large it is ({error}). It is cut or damaged."
        ) from error
    if seconds <= 0 or width <= 0 or height <= 0:
        raise MediaError(f"The film has {seconds:g} s of {width}x{height} pixels: nothing to see.")
    sound = any(stream.get("codec_type") == "audio" for stream in streams)
    return Probe(seconds, width, height, sound)


def probe(upload: Path, limits: Limits) -> Probe:
    """Asks ffprobe what `upload` is.

    Raises:
        MediaError: when it is no film, or longer than the limits allow.
    """
    refuse_size(upload, limits.size, "film")
    out = _run(
        [
            "ffprobe",
            "-v",
            "error",
            *INPUT,
            "-of",
            "json",
            "-show_format",
            "-show_streams",
            str(upload),
        ],
        limits.probe_seconds,
        "looked at",
    )
    found = parse_probe(out)
    if found.seconds > limits.film_seconds:
        raise MediaError(
            f"The film is {found.seconds / 3600:.1f} h long; at most "
            f"{limits.film_seconds / 3600:.0f} h are taken."
        )
    return found


def package_command(upload: Path, into: Path, found: Probe) -> list[str]:
    """The ffmpeg call that writes the whole ladder in one pass over the film.

    Source: RFC 8216bis (HLS), Apple's authoring specification for the forced keyframes.
    """
    rungs = rungs_for(found.height)
    splits = "".join(f"[s{index}]" for index in range(len(rungs)))
    graph = f"[0:v:0]split={len(rungs)}{splits};" + ";".join(
        f"[s{index}]scale=-2:{rung.height},format=yuv420p[v{index}]"
        for index, rung in enumerate(rungs)
    )
    command = ["ffmpeg", "-nostdin", "-v", "error", "-y", *INPUT, "-i", str(upload)]
    command += ["-filter_complex", graph]
    for index in range(len(rungs)):
        command += ["-map", f"[v{index}]"]
        if found.sound:
            command += ["-map", "0:a:0"]
    for index, rung in enumerate(rungs):
        command += [
            *(f"-c:v:{index}", "libx264", f"-profile:v:{index}", rung.profile),
            *(f"-b:v:{index}", f"{rung.video_kbit}k"),
            *(f"-maxrate:v:{index}", f"{rung.video_kbit * 11 // 10}k"),
            *(f"-bufsize:v:{index}", f"{rung.video_kbit * 2}k"),
        ]
        if found.sound:
            command += [f"-c:a:{index}", "aac", f"-b:a:{index}", f"{rung.audio_kbit}k"]
    if found.sound:
        command += ["-ac", "2"]
    names = (
        f"v:{index},a:{index},name:{rung.name}" if found.sound else f"v:{index},name:{rung.name}"
        for index, rung in enumerate(rungs)
    )
    return [
        *command,
        *("-preset", "veryfast", "-sc_threshold", "0"),
        *("-force_key_frames", f"expr:gte(t,n_forced*{SEGMENT_SECONDS})"),
        *("-f", "hls", "-hls_time", str(SEGMENT_SECONDS), "-hls_playlist_type", "vod"),
        # A rung is one file, of which a player asks for parts: a hundred films in files of four seconds are
        # half a million rows, links and lines of a manifest for each aircraft.
        *("-hls_segment_type", "fmp4", "-hls_flags", "independent_segments+single_file"),
        *("-hls_segment_filename", str(into / "%v" / "film.m4s"), "-master_pl_name", "master.m3u8"),
        *("-var_stream_map", " ".join(names)),
        str(into / "%v" / "index.m3u8"),
    ]


def render(upload: Path, into: Path, limits: Limits | None = None) -> list[Rendition]:
    """Packages a film into `into` and returns what belongs to the item, the poster first.

    Args:
        upload: the film, in any format that ffmpeg reads.
        into: an empty folder.
        limits: how much is taken.

    Raises:
        MediaError: when it is no film, is damaged, too large, too long or too slow to package.

    Example:
        render(Path("bunny.mp4"), Path("/tmp/out"))
        # [Rendition("poster", "poster.jpg", …), Rendition("hls", "hls/master.m3u8", …), …]
    """
    limits = limits or Limits()
    found = probe(upload, limits)
    hls = into / "hls"
    hls.mkdir(parents=True)
    _run(package_command(upload, hls, found), limits.work_seconds, "packaged")
    still = into / "still.png"
    at = f"{found.seconds * 0.1:.3f}"
    _run(
        [
            *("ffmpeg", "-nostdin", "-v", "error", "-y", "-ss", at),
            *(*INPUT, "-i", str(upload), "-frames:v", "1", str(still)),
        ],
        limits.probe_seconds,
        "given a poster",
    )
    with Image.open(still) as picture:
        poster.write(picture, into / "poster.jpg")
    files = sorted(file for file in hls.rglob("*") if file.is_file())
    master = hls / "master.m3u8"
    if master not in files or not any(file.suffix == ".m4s" for file in files):
        raise MediaError("ffmpeg wrote no segments for this film: it is cut or damaged.")
    return [
        Rendition("poster", "poster.jpg", into / "poster.jpg"),
        *(Rendition("hls", file.relative_to(into).as_posix(), file) for file in files),
    ]


def _run(command: list[str], seconds: float, doing: str) -> str:
    """Runs one of ffmpeg's programs; its last words become the editor's message."""
    try:
        done = subprocess.run(command, capture_output=True, timeout=seconds, check=False)
    except FileNotFoundError as error:
        raise MediaError(
            f"{command[0]} is not installed on this host, so no film can be {doing}. "
            "Converge the hangar."
        ) from error
    except subprocess.TimeoutExpired as error:
        raise MediaError(
            f"The film could not be {doing} within {seconds:.0f} s and was given up."
        ) from error
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise MediaError(f"The film cannot be {doing}; ffmpeg says: {lines[-1][:300]}")
    return done.stdout.decode(errors="replace")
