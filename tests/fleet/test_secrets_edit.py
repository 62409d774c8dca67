"""Setting secrets: what is written, who can read it then, and that two editors lose nothing."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from fleet.aboard import disk
from fleet.age import new_identity
from fleet.errors import FleetError, UsageError
from fleet.secrets_edit import check_place, keygen, listing, put, rekey
from tests.fleet.safe import Safe


@pytest.fixture
def safe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Safe:
    monkeypatch.delenv("TURNAROUND_KEYS", raising=False)
    return Safe(tmp_path)


class TestSetting:
    def test_it_needs_no_private_key_and_leaves_the_others_as_they_are(self, safe: Safe) -> None:
        safe.put("all", "one", "value one")
        before = safe.file("all").read_text()
        (safe.folder / "keys/age.key").unlink()
        assert safe.put("all", "two", "value two") == "two of all is set; eva can read it"
        assert safe.file("all").read_text().startswith(before)
        safe.use(safe.key)
        assert [safe.secret("hangar", name).reveal() for name in ("one", "two")] == [
            "value one",
            "value two",
        ]

    def test_an_empty_value_removes_it_and_the_last_one_its_file(self, safe: Safe) -> None:
        safe.put("all", "one", "value one")
        safe.put("all", "two", "value two")
        assert safe.put("all", "one", "").startswith("one of all is removed")
        assert list(safe.load().hosts["hangar"].secrets) == ["two"]
        safe.put("all", "two", "")
        assert not safe.file("all").exists()
        with pytest.raises(UsageError, match="there is no two to remove"):
            safe.put("all", "two", "")

    @pytest.mark.parametrize(
        ("level", "name", "said"),
        [
            ("al", "pin", "--level: expected all, group-NAME or host-NAME of .*found 'al'"),
            ("group-../../x", "pin", "--level: expected all"),
            ("host-EC-TAC", "pin", r"\(did you mean host-EC-TA[AB]\?\)"),
            ("all", "a b", "--name: expected letters, digits and _, found 'a b'"),
            ("all", "airline", r"--name: expected a name that no variable has.*inventory.yml:2\)"),
        ],
    )
    def test_a_wrong_place_is_refused(self, safe: Safe, level: str, name: str, said: str) -> None:
        with pytest.raises(UsageError, match=said):
            check_place(safe.load(), level, name)

    @pytest.mark.parametrize("value", ["123", "x" * 65537])
    def test_what_is_too_short_to_be_masked_or_too_long_is_refused(
        self, safe: Safe, value: str
    ) -> None:
        with pytest.raises(UsageError, match="expected a value of 4 to 65536 bytes") as caught:
            safe.put("all", "pin", value)
        assert value not in str(caught.value)
        assert not safe.file("all").exists()

    def test_a_level_that_nobody_may_read_says_how_to_begin(self, safe: Safe) -> None:
        (safe.folder / "secrets/recipients.yml").unlink()
        with pytest.raises(UsageError, match=r"nobody may read all\n.*secrets\.keygen"):
            safe.put("all", "pin", "4711")

    def test_values_for_some_are_not_mixed_with_values_for_others(self, safe: Safe) -> None:
        safe.put("all", "one", "value one")
        _, public = new_identity()
        safe.recipients(
            f'eva: {{key: {safe.public}, reads: ["*"]}}\nhub: {{key: {public}, reads: [all]}}\n'
        )
        with pytest.raises(UsageError, match=r"is encrypted to eva, and .* eva, hub may read all"):
            safe.put("all", "two", "value two")
        assert [(row.name, row.stale) for row in listing(safe.load())] == [("one", True)]

    def test_two_editors_of_two_secrets_lose_nothing(self, safe: Safe) -> None:
        stale = safe.load()
        editors = [
            threading.Thread(target=put, args=(stale, "all", f"secret_{number}", "some value"))
            for number in range(8)
        ]
        for editor in editors:
            editor.start()
        for editor in editors:
            editor.join()
        assert sorted(safe.load().hosts["hangar"].secrets) == [f"secret_{n}" for n in range(8)]

    @pytest.mark.parametrize("value", ["theirs", ""])
    def test_two_editors_of_one_secret_do_not_overwrite_each_other(
        self, safe: Safe, value: str
    ) -> None:
        safe.put("all", "pin", "first")
        stale = safe.load()
        safe.put("all", "pin", value)
        with pytest.raises(FleetError, match="pin was changed by somebody else meanwhile"):
            put(stale, "all", "pin", "mine")

    def test_a_power_cut_leaves_the_old_or_the_new_and_nothing_in_clear(
        self, safe: Safe, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        safe.put("all", "pin", "the former")
        seen: list[bytes] = []

        def cut(descriptor: int) -> None:
            seen.extend(path.read_bytes() for path in safe.folder.rglob("*") if path.is_file())
            raise OSError(5, "power cut")

        monkeypatch.setattr(disk.os, "fsync", cut)
        with pytest.raises(FleetError, match="cannot be written: power cut"):
            safe.put("all", "pin", "the newer one")
        assert b"AGE ENCRYPTED" in b"".join(seen)
        assert b"the newer one" not in b"".join(seen)
        assert safe.secret("hangar", "pin").reveal() == "the former"
        assert not list((safe.folder / "secrets").glob(".*"))


class TestRekey:
    def test_a_new_reader_can_read_and_one_who_left_no_longer(self, safe: Safe) -> None:
        for level in ("all", "host-EC-TAA"):
            safe.put(level, "pin", f"of {level}")
        untouched = safe.file("host-EC-TAA").read_text()
        key, public = new_identity()
        text = f'eva: {{key: {safe.public}, reads: ["host-*"]}}\n'
        safe.recipients(f"{text}hub: {{key: {public}, reads: [all]}}\n")
        assert rekey(safe.load()) == [
            "all: hub can read it now, eva no longer; but git's history still opens to that: "
            "give its secrets new values"
        ]
        assert safe.file("host-EC-TAA").read_text() == untouched
        with pytest.raises(UsageError, match="encrypted to hub only"):
            safe.secret("hangar", "pin")
        safe.use(key)
        assert safe.secret("hangar", "pin").reveal() == "of all"
        assert rekey(safe.load()) == []

    def test_a_key_that_is_replaced_opens_with_the_new_one(self, safe: Safe) -> None:
        safe.put("all", "pin", "4711")
        key, public = new_identity()
        safe.recipients(f'eva: {{key: {public}, reads: ["*"]}}\n')
        assert "eva can read it now, eva's former key no longer" in rekey(safe.load())[0]
        safe.use(key)
        assert safe.secret("hangar", "pin").reveal() == "4711"

    def test_what_our_key_cannot_read_changes_nothing_at_all(self, safe: Safe) -> None:
        key, public = new_identity()
        eva = f'eva: {{key: {safe.public}, reads: ["*"]}}\n'
        safe.recipients(f"{eva}hub: {{key: {public}, reads: [all]}}\n")
        for level in ("all", "host-EC-TAA"):
            safe.put(level, "pin", f"of {level}")
        safe.recipients(f'hub: {{key: {public}, reads: ["*"]}}\n')
        safe.use(key)
        before = safe.file("all").read_text()
        with pytest.raises(UsageError, match="pin of host EC-TAA cannot be read with"):
            rekey(safe.load())
        assert safe.file("all").read_text() == before

    def test_a_level_is_never_left_without_a_reader(self, safe: Safe) -> None:
        safe.put("all", "pin", "4711")
        safe.recipients(f"eva: {{key: {safe.public}, reads: []}}\n")
        with pytest.raises(UsageError, match="nobody may read all any more"):
            rekey(safe.load())


class TestKeygen:
    def test_the_key_is_its_owners_alone_and_fits_its_public_half(self, safe: Safe) -> None:
        (safe.folder / "keys/age.key").unlink()
        path, public = keygen(safe.load())
        assert path.stat().st_mode & 0o777 == 0o600
        safe.recipients(f'eva: {{key: {public}, reads: ["*"]}}\n')
        safe.put("all", "pin", "4711")
        assert safe.secret("hangar", "pin").reveal() == "4711"

    def test_one_that_is_there_is_never_replaced(self, safe: Safe) -> None:
        with pytest.raises(UsageError, match="there is a key at"):
            keygen(safe.load())
        assert (safe.folder / "keys/age.key").read_text() == safe.key

    def test_a_power_cut_leaves_no_half_of_one(
        self, safe: Safe, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (safe.folder / "keys/age.key").unlink()

        def cut(descriptor: int) -> None:
            modes = {path.stat().st_mode & 0o777 for path in (safe.folder / "keys").iterdir()}
            raise OSError(5, f"power cut, {modes == {0o600}}")

        with monkeypatch.context() as patched:
            patched.setattr(disk.os, "fsync", cut)
            with pytest.raises(FleetError, match="cannot be written: power cut, True"):
                keygen(safe.load())
        keygen(safe.load())

    def test_the_folder_of_keys_is_made_private(
        self, safe: Safe, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TURNAROUND_KEYS", str(safe.folder / "new/keys"))
        path, _ = keygen(safe.load())
        assert os.stat(path.parent).st_mode & 0o777 == 0o700
