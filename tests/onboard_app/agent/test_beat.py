"""What a heartbeat says, and that the hangar can read it."""

from __future__ import annotations

import json
from uuid import uuid4

import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from common.schema import Epoch
from hangar_app import heartbeat
from onboard_app.agent import beat


@pytest.fixture
def boot_id(tmp_path):
    path = tmp_path / "boot_id"
    path.write_text("2f6d1c1e-8d3b-4a52-9a35-5d1a4a1f0001\n")
    return path


@pytest.fixture
def make(services, boot_id):
    def body(syncing=False, engine=None):
        s = services
        s.settings.state_dir.mkdir(exist_ok=True)
        return beat.body(
            s.settings, engine or s.engine, s.store, syncing, s.clock(), boot_id=boot_id
        )

    return body


@pytest.mark.postgres
def test_the_hangar_can_read_it(make, fly, engine):
    with Session(engine) as session, session.begin():
        session.add_all(Epoch(stream=stream, epoch=uuid4()) for stream in ("use", "usr"))
    fly(
        phase="ground",
        flight="AFR34ZG",
        position={"lat": 43.629, "lon": 1.374},
        altitude_ft=475.0,
        ground_speed_kt=0.1,
        heading_deg=47.8,
    )
    read = heartbeat.parse(json.dumps(make(syncing=True)).encode())
    assert (read.node, read.phase, read.flight) == ("EC-TAA", "ground", "AFR34ZG")
    assert read.position.lat == 43.629
    assert read.position.heading_deg == 47.8
    assert set(read.up) == {"use", "usr"}
    assert set(read.down) == {"cat", "usr"}
    assert read.schema_version
    assert read.boot_id.startswith("2f6d1c1e")
    assert read.disk.free > 0
    assert read.syncing


@pytest.mark.postgres
def test_unknown_stays_unknown(make):
    body = make()
    assert (body["phase"], body["position"], body["flight"]) == ("unknown", None, None)


@pytest.mark.postgres
def test_a_broken_database_is_no_reason_to_be_silent(make, tmp_path, caplog):
    engine = create_engine(f"postgresql+psycopg2://nobody@/none?host={tmp_path}")
    body = make(engine=engine)
    assert body["node"] == "EC-TAA"
    assert "up" not in body
    assert heartbeat.parse(json.dumps(body).encode()).up == {}
    assert "the heartbeat goes without" in caplog.text


def test_releases_are_named_with_how_far_they_are_trusted(new_settings):
    settings = new_settings()
    for kind, version in (
        ("onboard", "20261123-aaa"),
        ("html5", "20261123-bbb"),
        ("maps-iberia", "20261123-ccc"),
    ):
        release = settings.state_dir / "releases" / kind / version
        release.mkdir(parents=True)
        settings.current_dir.mkdir(exist_ok=True)
        (settings.current_dir / kind).symlink_to(release)
    (settings.state_dir / "aboard").mkdir()
    kinds = {"onboard": {"20261123-aaa": {"stage": "trial"}}}
    (settings.state_dir / "aboard" / "state.json").write_text(
        json.dumps({"format": 1, "kinds": kinds})
    )
    assert beat.releases(settings, beat.records(settings)) == {
        "onboard": {"version": "20261123-aaa", "state": "trial"},
        "html5": {"version": "20261123-bbb", "state": "unknown"},
        "maps-iberia": {"version": "20261123-ccc", "state": "unknown"},
    }


def test_without_a_release_none_is_named(new_settings):
    settings = new_settings()
    assert beat.releases(settings, beat.records(settings)) == {}


@pytest.mark.parametrize(
    ("stages", "expected"),
    [
        ({"1": ("confirmed", "09:00")}, None),
        ({"1": ("confirmed", "09:00"), "2": ("rolled_back", "10:00")}, "2"),
        ({"1": ("rolled_back", "09:00"), "2": ("confirmed", "10:00")}, None),
        ({"1": ("confirmed", "09:00"), "2": ("trial", "10:00")}, None),
        ({"1": ("confirmed", "10:00"), "2": ("rolled_back", "10:00")}, None),
        ({"1": ("rolled_back", "09:00"), "2": ("rolled_back", "10:00")}, "2"),
        ({}, None),
    ],
)
def test_the_hangar_hears_what_was_returned_from_until_a_newer_one_is_good(
    new_settings, stages, expected
):
    settings = new_settings()
    (settings.state_dir / "aboard").mkdir(parents=True)
    versions = {
        version: {"stage": stage, "at": f"2026-01-01T{at}:00Z", "reason": "no such column" * 99}
        for version, (stage, at) in stages.items()
    }
    (settings.state_dir / "aboard" / "state.json").write_text(
        json.dumps({"format": 1, "kinds": {"onboard": versions}})
    )
    said = beat.returned(beat.records(settings))
    assert (said and said["version"]) == expected
    if said:
        assert said["kind"] == "onboard"
        assert said["reason"].startswith("no such column")
        assert len(said["reason"]) == beat.REASON
        body = json.dumps({"node": "EC-TAA", "at": "2026-01-02T03:04:05Z", "returned": said})
        assert heartbeat.parse(body.encode()).returned.version == expected
