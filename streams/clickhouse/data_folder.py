"""Folders for chDB's data that outlive a process only on request."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from understudy.streams.errors import CommandError


@contextmanager
def data_folder(keep: Path | None, purpose: str) -> Iterator[Path]:
    """A folder for chDB's data: a new one to keep, or the one that `purpose` uses each time anew.

    `purpose` is a word for the folder's name, such as `demo`. When the work inside the context
    fails or is interrupted, the folder that is used again is removed. Raises `CommandError` when
    `keep` is not empty, or when another process of the same purpose and user runs.
    """
    if keep is not None:
        if keep.exists() and any(keep.iterdir()):
            raise CommandError(f"the folder {keep} is not empty; name a new one with --keep")
        yield keep.resolve()
        return
    folder = Path(tempfile.gettempdir()) / f"understudy-{purpose}-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    with _locked(folder, purpose):
        for old in folder.iterdir():
            shutil.rmtree(old) if old.is_dir() else old.unlink()
        try:
            yield folder
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise


@contextmanager
def _locked(folder: Path, purpose: str) -> Iterator[None]:
    """Lock the folder for this process. Raises `CommandError` when another one has it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise CommandError(
            f"another `understudy {purpose}` is running in {folder}; "
            "name a folder of your own with --keep"
        ) from None
    finally:
        os.close(descriptor)
