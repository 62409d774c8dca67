"""Secrets: whose comes over whose, who can open which, and that every fault is told without a value."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleet.age import new_identity
from fleet.errors import Exit, UsageError
from fleet.inventory import load
from fleet.recipients import read_recipients
from fleet.secrets import read_level
from fleet.view import describe, listing
from tests.fleet.safe import Safe


@pytest.fixture
def safe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Safe:
    monkeypatch.delenv("TURNAROUND_KEYS", raising=False)
    return Safe(tmp_path)


def refused(safe: Safe, host: str = "EC-TAA", name: str = "modem_pin") -> UsageError:
    with pytest.raises(UsageError) as caught:
        safe.secret(host, name)
    assert caught.value.exit_code == Exit.USAGE
    return caught.value


def test_a_secret_of_the_host_comes_over_its_groups_and_those_over_all(safe: Safe) -> None:
    for level in ("all", "group-iberia", "group-aircraft", "host-EC-TAA"):
        safe.put(level, "modem_pin", f"of {level}")
        safe.put(level, f"only_{level.replace('-', '_')}", "some text")
    seen = {
        host: safe.secret(host, "modem_pin").reveal() for host in ("hangar", "EC-TAA", "EC-TAB")
    }
    assert seen == {
        "hangar": "of all",
        "EC-TAA": "of host-EC-TAA",
        "EC-TAB": "of group-aircraft",
    }
    assert safe.secret("EC-TAB", "only_group_iberia").reveal() == "some text"
    refused(safe, "EC-TAB", "only_host_EC_TAA")


@pytest.mark.parametrize(
    "value", ["4711", "é ü\n\n  :#'\"", "a\nb\n", "-----BEGIN x\n" * 900, "\0\r\n…"]
)
def test_any_text_comes_back_as_it_was(safe: Safe, value: str) -> None:
    safe.put("all", "text", value)
    assert safe.secret("EC-TAA", "text").reveal() == value
    assert value not in safe.file("all").read_text()


def test_names_and_levels_are_shown_without_a_key_and_values_never(safe: Safe) -> None:
    safe.put("all", "modem_pin", "value of all")
    safe.put("host-EC-TAA", "modem_pin", "value of host")
    safe.use("no key at all")
    host = safe.load().hosts["EC-TAA"]
    lines = describe(host, explain=True)
    assert f"  modem_pin is a secret    # host EC-TAA ({safe.file('host-EC-TAA')}:5)" in lines
    assert f"    over    # all ({safe.file('all')}:5)" in lines
    assert "  modem_pin is a secret" in describe(host, explain=False)
    assert '"secrets": {"modem_pin": "host EC-TAA"}' in listing([host], as_json=True)[0]
    assert "value of" not in f"{lines} {host!r} {safe.load()!r}"


class TestWhatIsRefused:
    def test_one_that_is_missing_says_where_and_how_to_set_it(self, safe: Safe) -> None:
        safe.put("all", "modem_pins", "4711")
        error = refused(safe)
        assert error.what == (
            f"{safe.path}:9: expected the secret modem_pin for EC-TAA, which a role needs, found "
            "none (did you mean modem_pins?)"
        )
        assert "./inv secrets.edit --level host-EC-TAA --name modem_pin" in error.remedy

    def test_a_variable_is_no_secret(self, safe: Safe) -> None:
        error = refused(safe, name="airline")
        assert f"found the variable of all ({safe.path}:2)" in error.what

    def test_without_a_key_it_says_how_to_make_one(self, safe: Safe) -> None:
        safe.put("all", "modem_pin", "4711")
        (safe.folder / "keys/age.key").unlink()
        error = refused(safe)
        assert f"no key to open secrets with at {safe.folder}/keys/age.key" in error.what
        assert "secrets.keygen" in error.remedy

    def test_a_key_that_may_not_read_the_level_is_named_with_those_that_may(
        self, safe: Safe
    ) -> None:
        safe.put("all", "modem_pin", "4711")
        other, public = new_identity()
        safe.use(other)
        error = refused(safe)
        assert error.what.startswith(f"{safe.file('all')}:5: modem_pin of all cannot be read with")
        assert public in error.what
        assert error.what.endswith("it is encrypted to eva only")
        assert "secrets.rekey" in error.remedy

    def test_a_reader_reads_its_levels_only(self, safe: Safe) -> None:
        key, public = new_identity()
        eva = f'eva: {{key: {safe.public}, reads: ["*"]}}\n'
        safe.recipients(f"{eva}hangar: {{key: {public}, reads: [all, group-airc*]}}\n")
        safe.put("all", "wifi", "1111")
        safe.put("group-aircraft", "modem_pin", "2222")
        safe.put("host-EC-TAA", "own", "3333")
        safe.use(key)
        assert safe.secret("EC-TAA", "wifi").reveal() == "1111"
        assert safe.secret("EC-TAA", "modem_pin").reveal() == "2222"
        assert "own of host EC-TAA cannot be read" in refused(safe, name="own").what

    @pytest.mark.parametrize("line", range(6, 12))
    def test_a_message_that_was_changed_is_refused(self, safe: Safe, line: int) -> None:
        safe.put("all", "modem_pin", "4711")
        lines = safe.file("all").read_text().splitlines(keepends=True)
        lines[line] = lines[line][:4] + ("A" if lines[line][4] != "A" else "B") + lines[line][5:]
        safe.file("all").write_text("".join(lines))
        error = refused(safe)
        assert f"{safe.file('all')}:5: modem_pin of all cannot be opened" in error.what
        assert "from git again" in error.remedy

    @pytest.mark.parametrize(
        ("level", "name"), [("all", "pin"), ("host-EC-TAA", "modem_pin")], ids=["name", "level"]
    )
    def test_a_message_that_was_moved_is_refused(self, safe: Safe, level: str, name: str) -> None:
        safe.put("all", "modem_pin", "4711")
        text = safe.file("all").read_text()
        safe.file(level).write_text(text.replace("modem_pin:", f"{name}:"))
        assert "was written for another place" in refused(safe, name=name).what

    @pytest.mark.parametrize(
        ("mode", "text", "said"),
        [
            (0o640, None, "expected a file that nobody but its owner may read, found mode 0640"),
            (0o604, None, "found mode 0604"),
            (0o600, "", ": expected a private key (AGE-SECRET-KEY-1…), found none"),
            (0o600, "# only\n\n", "found none"),
            (0o600, "# one\nsomething pr1vate\n", ":2: expected a private key"),
            (0o600, "\udcff", "cannot be read: it is no text"),
        ],
    )
    def test_a_wrong_file_of_keys(self, safe: Safe, mode: int, text: str | None, said: str) -> None:
        safe.put("all", "modem_pin", "4711")
        path = safe.folder / "keys/age.key"
        path.write_bytes((safe.key if text is None else text).encode(errors="surrogateescape"))
        path.chmod(mode)
        error = refused(safe)
        assert f"{path}" in error.what
        assert said in error.what
        assert "pr1vate" not in str(error)

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("eva: s3cret\n", ":1: expected a key and what it reads, found something else"),
            (
                "eva: {key: AGE-SECRET-s3cret}\n",
                ":1: expected an age public key (age1…), found some",
            ),
            ("eva: {kee: x}\n", ":1: expected one of key, reads, found 'kee'"),
            ("eva: {key: PUBLIC}\n", ":1: expected reads for eva, found none"),
            (
                "eva: {key: PUBLIC, reads: all}\n",
                ":1: expected a list of levels, found something else",
            ),
            (
                "eva:\n  key: PUBLIC\n  reads: [group-air]\n",
                ":3: expected all, group-NAME, host-NAME or a pattern of some, found 'group-air' "
                "(did you mean group-aircraft?)",
            ),
            ("eva: {key: age1eva, reads: []}\n", ":1: expected an age public key (age1…), found"),
            ("e v: {key: PUBLIC, reads: []}\n", ":1: expected a name of letters, digits and"),
            ("- eva\n", ":1: expected people and machines by name, found a list"),
            ("eva: [\n", ":2: expected YAML, found"),
        ],
    )
    def test_wrong_recipients_are_found_when_the_inventory_is_read(
        self, safe: Safe, text: str, said: str
    ) -> None:
        safe.recipients(text.replace("PUBLIC", safe.public))
        with pytest.raises(UsageError) as caught:
            safe.load()
        assert f"{safe.folder}/secrets/recipients.yml{said}" in caught.value.what
        assert "s3cret" not in str(caught.value)

    @pytest.mark.parametrize(
        ("file", "text", "said"),
        [
            ("grup-aircraft", "", ":1: expected a level of this inventory"),
            ("host-EC-TAC", "", "found 'host-EC-TAC' (did you mean host-EC-TAB?)"),
            ("all", "", ":1: expected a key readers, found none"),
            (
                "all",
                "readers: {}\nsecrets:\n  pin: s3cret\n",
                ":3: expected an age message for pin",
            ),
            ("all", "readers: {}\nsecrets: s3cret\n", ":2: expected secrets by name, found some"),
            ("all", "readers: {}\nsecrets: {pin: *s3cret }\n", ":2: expected YAML, found: "),
            ("all", "readers: {}\nsecrets: {pin: !s3cret!a b}\n", ":2: expected YAML, found: "),
            ("all", "readers: {}\nsecrets: {pin: [s3cret]}\n", ":2: expected an age message for"),
            (
                "all",
                "readers: {eva: AGE-SECRET-s3cret}\nsecrets: {}\n",
                ":1: expected an age public",
            ),
            ("all", "readers: {}\nsecrets: {a-b: s3cret}\n", "expected a name of letters, digits"),
            (
                "all",
                "readers: {}\nsecrets: [s3cret]\n",
                ":2: expected secrets by name, found a list",
            ),
        ],
    )
    def test_a_wrong_file_is_found_and_what_stands_there_is_not_shown(
        self, safe: Safe, file: str, text: str, said: str
    ) -> None:
        safe.file(file).write_text(text)
        with pytest.raises(UsageError) as caught:
            safe.load()
        assert f"{safe.file(file)}:" in caught.value.what
        assert said in caught.value.what
        assert "s3cret" not in str(caught.value)

    def test_a_name_is_a_secret_or_a_variable_and_never_both(self, safe: Safe) -> None:
        safe.put("host-EC-TAA", "modem_pin", "4711")
        safe.path.write_text(
            safe.path.read_text().replace("hangar: {}", "hangar: {vars: {modem_pin: 1}}")
        )
        with pytest.raises(UsageError) as caught:
            safe.load()
        assert caught.value.what == (
            f"{safe.file('host-EC-TAA')}:5: expected a secret's name that no variable has, found "
            f"modem_pin, a variable of group hangar ({safe.path}:6)"
        )


def test_an_inventory_without_secrets_needs_no_folder(safe: Safe) -> None:
    (safe.folder / "secrets/recipients.yml").unlink()
    (safe.folder / "secrets").rmdir()
    assert load(safe.path).hosts["EC-TAA"].secrets == {}


NEVER_A_TRACEBACK = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
SCRAPS = st.lists(
    st.sampled_from(
        ["eva", ": ", "{", "}", "key", "reads", "age1", '["*"]', "\n", "  ", "- ", "&a", "*a", "|"]
    )
    | st.text(max_size=4),
    max_size=12,
).map("".join)


@NEVER_A_TRACEBACK
@given(raw=st.binary(max_size=60) | SCRAPS.map(lambda text: text.encode(errors="replace")))
def test_whatever_stands_in_the_files_is_a_usage_error_at_worst(safe: Safe, raw: bytes) -> None:
    path = safe.file("all")
    path.write_bytes(raw)
    for look in (read_level, lambda path: read_recipients(path, ["all"])):
        with contextlib.suppress(UsageError):
            look(path)[1].stop()


@NEVER_A_TRACEBACK
@given(data=st.data())
def test_a_damaged_message_never_opens_to_anything_else(safe: Safe, data: st.DataObject) -> None:
    if not safe.file("all").exists():
        safe.put("all", "modem_pin", "the value itself")
    good = safe.file("all").read_bytes()
    at = data.draw(st.integers(0, len(good) - 1))
    cut = data.draw(st.integers(0, 3))
    safe.file("all").write_bytes(good[:at] + data.draw(st.binary(max_size=3)) + good[at + cut :])
    try:
        assert safe.secret("EC-TAA", "modem_pin").reveal() == "the value itself"
    except UsageError as error:
        assert "the value itself" not in str(error)
    finally:
        safe.file("all").write_bytes(good)


@NEVER_A_TRACEBACK
@given(raw=st.binary(max_size=80) | st.text("AGE-SECRTKY1#\n qpzry", max_size=80).map(str.encode))
def test_whatever_stands_in_the_file_of_keys_is_a_usage_error_at_worst(
    safe: Safe, raw: bytes
) -> None:
    if not safe.file("all").exists():
        safe.put("all", "modem_pin", "4711")
    (safe.folder / "keys/age.key").write_bytes(raw)
    refused(safe)
