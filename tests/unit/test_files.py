"""Atomic files: complete or absent."""

from __future__ import annotations

import os

import pytest

from tinyfactory.errors import TinyFactoryError
from tinyfactory.utils.files import AtomicFile, disk_errors


def write(path, text="new"):
    with AtomicFile(path, text=True) as new:
        new.file.write(text)


def test_an_error_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "notes.txt"
    write(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write(path, "half" * 10_000 + "\ud800")
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_disk_that_cannot_sync_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "notes.txt"
    write(path, "old")

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TinyFactoryError, match="No space left"), disk_errors(path):
        write(path)
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_link_keeps_pointing_to_the_same_place(tmp_path):
    (tmp_path / "there").mkdir()
    link = tmp_path / "link.txt"
    link.symlink_to(tmp_path / "there" / "notes.txt")
    write(link)
    assert link.is_symlink() and (tmp_path / "there" / "notes.txt").read_text() == "new"


def test_line_ends_are_written_as_they_are(tmp_path):
    write(tmp_path / "notes.txt", "a\r\nb\n")
    assert (tmp_path / "notes.txt").read_bytes() == b"a\r\nb\n"
