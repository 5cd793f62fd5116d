"""A result is there completely or not at all."""

import pytest

from fusin.files import write_bytes_atomically


def test_a_file_replaces_an_older_one_and_leaves_nothing_beside_it(tmp_path):
    path = tmp_path / "deep" / "a.bin"
    write_bytes_atomically(path, b"old")
    assert write_bytes_atomically(path, b"new") == path
    assert [p.name for p in path.parent.iterdir()] == ["a.bin"]
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o400


def test_a_failure_keeps_the_older_file(tmp_path):
    path = tmp_path / "a.bin"
    write_bytes_atomically(path, b"old")
    with pytest.raises(TypeError):
        write_bytes_atomically(path, "text")
    assert [p.name for p in tmp_path.iterdir()] == ["a.bin"]
    assert path.read_bytes() == b"old"
