"""What every host must do, whoever answers. Subclass it, and give a `host` and a `directory` on that host."""

from __future__ import annotations

import hashlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from pyvmiscsi.errors import BusyError, CommandError, DeadlineError
from pyvmiscsi.ports import Host

ODD_WORDS = (
    "plain",
    "",
    "two words",
    "it's",
    'say "hi"',
    "a!b !! !$",
    "$HOME `id` $(id)",
    "back\\slash \\n \\0101",
    "two\nlines\n",
    "100% ~ * ? [a] {b,c} # & ; | < > ( )",
    "grün",
    "-n",
)


class HostContract:
    """The laws of `ports.Host`."""

    # commands

    def test_runs_a_command_and_gives_its_output(self, host: Host) -> None:
        done = host.run(["echo", "hello"])

        assert (done.argv, done.status, done.stdout, done.stderr) == (("echo", "hello"), 0, b"hello\n", b"")

    def test_hands_every_word_over_as_it_is(self, host: Host) -> None:
        done = host.run(["printf", "%s|", *ODD_WORDS])

        assert done.text == "".join(f"{word}|" for word in ODD_WORDS)

    def test_keeps_bytes_that_are_no_text(self, host: Host) -> None:
        every_byte = bytes(range(256))

        assert host.run(["cat"], stdin=every_byte).stdout == every_byte

    def test_keeps_output_and_errors_apart(self, host: Host) -> None:
        done = host.script("echo out; echo err >&2")

        assert (done.stdout, done.stderr) == (b"out\n", b"err\n")

    def test_moves_much_data_in_all_three_directions_at_once(self, host: Host) -> None:
        data = hashlib.sha256(b"seed").digest() * (1 << 16)  # 2 MiB

        done = host.script(
            "cat; dd if=/dev/zero bs=65536 count=80 2>/dev/null | tr '\\0' x >&2", stdin=data, deadline=60
        )

        assert done.stdout == data
        assert done.stderr == b"x" * (80 * 65536)

    def test_does_not_mind_a_command_that_reads_no_input(self, host: Host) -> None:
        assert host.run(["true"], stdin=b"x" * (1 << 22), deadline=60).status == 0

    def test_refuses_a_status_that_was_not_expected_and_repeats_the_complaint(self, host: Host) -> None:
        with pytest.raises(
            CommandError, match=rf"host {host.name}: sh script 'look around': exit status 3: no such thing"
        ):
            host.script("# look around\necho no such thing >&2\nexit 3")

    def test_gives_a_status_that_was_expected(self, host: Host) -> None:
        assert host.run(["sh", "-c", "exit 3"], ok=(0, 3)).status == 3

    def test_shows_death_by_a_signal_as_128_and_its_number(self, host: Host) -> None:
        assert host.run(["sh", "-c", "kill -KILL $$"], ok=range(256)).status == 137

    def test_says_when_there_is_no_such_command(self, host: Host) -> None:
        with pytest.raises(CommandError, match="no-such-command"):
            host.run(["no-such-command"])

    def test_gives_up_at_the_deadline(self, host: Host) -> None:
        begun = time.monotonic()

        with pytest.raises(DeadlineError, match=r"sleep 60: not ended after 0\.5 s"):
            host.run(["sleep", "60"], deadline=0.5)

        assert time.monotonic() - begun < 50
        assert host.run(["echo", "still here"]).text == "still here\n"

    def test_finds_the_programs_of_the_system_whatever_the_profile_says(self, host: Host) -> None:
        path = host.script('echo "$PATH"').text.strip().split(":")

        assert {"/sbin", "/bin", "/usr/sbin", "/usr/bin"} <= set(path)

    def test_reads_messages_in_english(self, host: Host) -> None:
        assert host.script('echo "$LC_ALL"').text == "C\n"

    # scripts

    def test_runs_a_script_under_a_posix_shell_with_arguments(self, host: Host) -> None:
        done = host.script("for word; do printf '%s|' \"$word\"; done; echo $#", *ODD_WORDS)

        assert done.text == "".join(f"{word}|" for word in ODD_WORDS) + f"{len(ODD_WORDS)}\n"

    def test_gives_a_script_no_arguments_of_others(self, host: Host) -> None:
        assert host.script('echo "$#"').text == "0\n"

    def test_leaves_standard_input_to_the_script(self, host: Host) -> None:
        assert host.script("read -r first; echo got $first; cat", stdin=b"one\ntwo\n").text == "got one\ntwo\n"

    def test_runs_a_script_that_begins_with_a_dash_or_holds_here_documents(self, host: Host) -> None:
        assert host.script("cat <<'END'\n$HOME isn't !read\nEND\n").text == "$HOME isn't !read\n"

    # files

    def test_reads_back_what_it_wrote(self, host: Host, directory: str) -> None:
        data = bytes(range(256)) * 4096

        host.write_file(f"{directory}/a file", data)

        assert host.read_file(f"{directory}/a file") == data

    def test_writes_an_empty_file(self, host: Host, directory: str) -> None:
        host.write_file(f"{directory}/empty", b"")

        assert host.read_file(f"{directory}/empty") == b""

    def test_reads_nothing_where_there_is_no_file(self, host: Host, directory: str) -> None:
        assert host.read_file(f"{directory}/none") is None
        assert host.read_file(f"{directory}/none/deeper") is None

    def test_says_when_a_file_cannot_be_read(self, host: Host, directory: str) -> None:
        with pytest.raises(CommandError, match=f"read {directory}"):
            host.read_file(directory)

    def test_replaces_a_file_whole_and_leaves_nothing_beside_it(self, host: Host, directory: str) -> None:
        host.write_file(f"{directory}/conf", b"a long first text")

        host.write_file(f"{directory}/conf", b"short")

        assert host.read_file(f"{directory}/conf") == b"short"
        assert host.list_directory(directory) == ("conf",)

    def test_gives_a_file_the_mode_asked_for(self, host: Host, directory: str) -> None:
        host.write_file(f"{directory}/open", b"")
        host.write_file(f"{directory}/secret", b"", mode=0o600)
        host.create_file(f"{directory}/tool", b"", mode=0o755)

        modes = host.script('cd "$1" && ls -l', directory).text.splitlines()[1:]

        assert [line[:10] for line in modes] == ["-rw-r--r--", "-rw-------", "-rwxr-xr-x"]

    def test_does_not_write_over_a_directory_or_into_it(self, host: Host, directory: str) -> None:
        host.make_directory(f"{directory}/sub")

        with pytest.raises(CommandError, match="is a directory"):
            host.write_file(f"{directory}/sub", b"data")
        with pytest.raises(CommandError, match="is a directory"):
            host.create_file(f"{directory}/sub", b"data")

        assert host.list_directory(f"{directory}/sub") == ()

    def test_says_when_the_parent_is_missing(self, host: Host, directory: str) -> None:
        with pytest.raises(CommandError, match=f"write {directory}/none/conf"):
            host.write_file(f"{directory}/none/conf", b"data")

    def test_creates_a_file_only_where_there_is_none(self, host: Host, directory: str) -> None:
        assert host.create_file(f"{directory}/lock", b"first") is True
        assert host.create_file(f"{directory}/lock", b"second") is False
        assert host.read_file(f"{directory}/lock") == b"first"
        assert host.list_directory(directory) == ("lock",)

    def test_does_not_create_what_a_shell_has_made_with_noclobber(self, host: Host, directory: str) -> None:
        host.script('set -C; echo theirs >"$1"', f"{directory}/lock")

        assert host.create_file(f"{directory}/lock", b"ours") is False
        assert host.read_file(f"{directory}/lock") == b"theirs\n"

    def test_keeps_a_shell_with_noclobber_from_what_it_created(self, host: Host, directory: str) -> None:
        host.create_file(f"{directory}/lock", b"ours")

        theirs = host.script('set -C; (echo theirs >"$1") 2>/dev/null', f"{directory}/lock", ok=range(1, 256))

        assert theirs.status != 0
        assert host.read_file(f"{directory}/lock") == b"ours"

    def test_lets_one_of_many_create_a_file(self, host: Host, directory: str) -> None:
        together = threading.Barrier(6)

        def try_it(number: int) -> bool:
            together.wait()
            return host.create_file(f"{directory}/lock", str(number).encode())

        with ThreadPoolExecutor(6) as threads:
            won = list(threads.map(try_it, range(6)))

        assert won.count(True) == 1
        assert host.read_file(f"{directory}/lock") == str(won.index(True)).encode()
        assert host.list_directory(directory) == ("lock",)

    def test_removes_a_file_and_does_not_mind_when_there_is_none(self, host: Host, directory: str) -> None:
        host.write_file(f"{directory}/conf", b"")

        host.remove_file(f"{directory}/conf")
        host.remove_file(f"{directory}/conf")

        assert host.read_file(f"{directory}/conf") is None

    # directories

    def test_makes_a_directory_with_its_parents_and_does_not_mind_when_it_is_there(
        self, host: Host, directory: str
    ) -> None:
        host.make_directory(f"{directory}/a/b c")
        host.make_directory(f"{directory}/a/b c")

        assert host.list_directory(f"{directory}/a") == ("b c",)

    def test_lists_every_name_in_order(self, host: Host, directory: str) -> None:
        names = (".hidden", "..odd", "-dash", "a b", "b\nc", "zebra", "*")
        for name in names:
            host.write_file(f"{directory}/{name}", b"")
        host.script('ln -s nowhere "$1"/dangling', directory)

        assert host.list_directory(directory) == tuple(sorted((*names, "dangling")))

    def test_lists_nothing_where_there_is_no_directory(self, host: Host, directory: str) -> None:
        assert host.list_directory(f"{directory}/none") == ()

    def test_removes_an_empty_directory_and_does_not_mind_when_there_is_none(self, host: Host, directory: str) -> None:
        host.make_directory(f"{directory}/sub")

        host.remove_directory(f"{directory}/sub")
        host.remove_directory(f"{directory}/sub")

        assert host.list_directory(directory) == ()

    def test_refuses_to_remove_a_directory_that_holds_something(self, host: Host, directory: str) -> None:
        host.make_directory(f"{directory}/sub")
        host.write_file(f"{directory}/sub/.conf", b"kept")

        with pytest.raises(BusyError, match="not empty"):
            host.remove_directory(f"{directory}/sub")

        assert host.read_file(f"{directory}/sub/.conf") == b"kept"

    # threads

    def test_serves_many_threads_at_once(self, host: Host) -> None:
        def ask(number: int) -> str:
            return host.run(["echo", str(number)], deadline=60).text

        with ThreadPoolExecutor(24) as threads:
            answers = list(threads.map(ask, range(48)))

        assert answers == [f"{number}\n" for number in range(48)]

    def test_can_be_used_again_after_it_was_closed(self, host: Host) -> None:
        host.run(["true"])
        host.close()

        assert host.run(["echo", "again"]).text == "again\n"
