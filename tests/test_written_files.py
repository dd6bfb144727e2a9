"""Files are written in one place, which follows no link; what is no plain file is neither read nor waited for."""

import ast
import os
import stat
from pathlib import Path

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure

from rnnjax.files import append_to, create_file, make_folder, new_file, remove, save_figure, write_text
from rnnjax.runs.checksums import check_seal, seal
from rnnjax.training import capacity
from rnnjax.untrusted import kind_of, open_plain

ROOT = Path(__file__).parent.parent
# The caches of prepared data write files of their own names, in the user's own cache folder.
ELSEWHERE = {"rnnjax/files.py", "rnnjax/data/arrow_cache.py", "rnnjax/data/plain_files.py"}
METHODS = {"write_text", "write_bytes", "touch", "symlink_to", "hardlink_to", "tofile"}
INTO = {"savefig", "to_csv", "to_json", "to_parquet"}
KINDS = {
    "a symbolic link": lambda path, target: path.symlink_to(target),
    "a pipe": lambda path, target: os.mkfifo(path),
    "a socket": lambda path, target: os.mknod(path, stat.S_IFSOCK | 0o600),
    "a folder": lambda path, target: path.mkdir(),
}


def writes(source: str) -> list[str]:
    """What of a source writes a file of a name, as `line: what`."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func).rpartition(".")[2]
        place = 1 if isinstance(node.func, ast.Name) else 0
        modes = [argument.value for argument in node.keywords if argument.arg == "mode"] + node.args[place : place + 1]
        mode = modes[0].value if modes and isinstance(modes[0], ast.Constant) else ""
        opened = name == "open" and isinstance(mode, str) and set(mode) & set("wax+")
        # Into a buffer in memory or an open file is no file of a name.
        into = name in INTO and node.args and ast.unparse(node.args[0]) != "file"
        by_name = name in METHODS and isinstance(node.func, ast.Attribute)
        if opened or into or by_name:
            found.append(f"{node.lineno}: {name}")
    return found


def test_every_file_is_written_in_one_place():
    sources = {
        str(path.relative_to(ROOT)): path
        for name in ("rnnjax", "experiments", "benchmarks")
        for path in (ROOT / name).rglob("*.py")
    }
    assert len(sources) > 100
    found = {name: writes(path.read_text(encoding="utf-8")) for name, path in sources.items() if name not in ELSEWHERE}
    assert {name: lines for name, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    "source",
    [
        "open('a', 'w')",
        "open('a', mode='ab')",
        "path.open('x')",
        "path.open('r+b')",
        "path.write_text('a')",
        "figure.savefig(path)",
        "table.to_csv(path)",
        "table.to_parquet(path, index=0)",
    ],
)
def test_a_write_is_seen(source):
    assert len(writes(source)) == 1


@pytest.mark.parametrize(
    "source",
    ["open('w')", "path.open('rb')", "write_text(path, 'a')", "table.to_csv(index=0)", "table.to_csv(file, index=0)"],
)
def test_what_is_no_write_is_not(source):
    assert writes(source) == []


@pytest.fixture
def user(tmp_path):
    """A user's file, to be reached by what is planted."""
    (tmp_path / "user").write_text("a user's")
    (tmp_path / "run").mkdir()
    yield tmp_path / "user"
    assert (tmp_path / "user").read_text() == "a user's"


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_is_written(kind, user, tmp_path):
    path = tmp_path / "run" / "file"
    KINDS[kind](path, user)
    assert kind_of(path) == kind
    with pytest.raises(ValueError, match=f"^{path}: expected a file, got {kind}$"):
        append_to(path)
    with pytest.raises(ValueError, match=f"^{path}: expected a file, got {kind}$"):
        open_plain(path, 10)
    with pytest.raises(FileExistsError):
        create_file(path)
    if kind == "a folder":
        with pytest.raises(IsADirectoryError, match=f"^{path}: expected a file, got a folder$"):
            write_text(path, "new")
    else:
        write_text(path, "new")
        assert (kind_of(path), path.read_text()) == ("a file", "new")
    assert os.listdir(tmp_path / "run") == ["file"]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "a folder"])
def test_a_folder_that_is_written_to(kind, user, tmp_path):
    (tmp_path / "theirs").mkdir()
    path = tmp_path / "run" / "folder"
    KINDS[kind](path, tmp_path / "theirs")
    for write in (
        lambda: make_folder(path),
        lambda: write_text(path / "file", "new"),
        lambda: append_to(path / "file"),
    ):
        with pytest.raises(ValueError, match=f"^{path}: expected a folder, got {kind}$"):
            write()
    remove(path)
    make_folder(path / "below")
    assert os.listdir(tmp_path / "theirs") == []


def test_a_hard_link_is_not_appended_to(user, tmp_path):
    path = tmp_path / "run" / "file"
    os.link(user, path)
    with pytest.raises(ValueError, match="file: expected a file without other hard links, got 2 links"):
        append_to(path)
    write_text(path, "new")
    for words in (b"a", b"b"):
        with append_to(path) as file:
            file.write(words)
    assert path.read_text() == "newab"


def test_what_fails_half_way_leaves_the_old_file_alone(tmp_path):
    write_text(tmp_path / "file", "old")

    def interrupted():
        with new_file(tmp_path / "file") as file:
            file.write(b"new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert os.listdir(tmp_path) == ["file"]
    assert (tmp_path / "file").read_text() == "old"


def test_a_file_of_another_size_is_not_read(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"bytes")
    seal(tmp_path)
    with (tmp_path / "file").open("ab") as file:
        file.truncate(10**9)
    with pytest.raises(ValueError, match=r"file: expected the bytes that were written, got others \(wrong size\)"):
        check_seal(tmp_path)
    monkeypatch.setattr(capacity.os, "sysconf", lambda name: 1000)
    with pytest.raises(ValueError, match=f"^{tmp_path}: expected at most 1,000,000 bytes, this machine's memory, got "):
        check_seal(tmp_path)
    with pytest.raises(ValueError, match=r"file: expected at most 999,999 bytes, got 1,000,000,000"):
        open_plain(tmp_path / "file", 999_999)


def test_a_figure_that_cannot_be_drawn_is_a_warning(tmp_path):
    def broken():
        raise RuntimeError("no such glyph\nand more")

    with pytest.warns(UserWarning, match=r"a\.png: not drawn: RuntimeError: no such glyph$"):
        assert save_figure(tmp_path / "a.png", broken) is None
    with pytest.warns(UserWarning, match=r"b\.png: not drawn: ValueError: "):
        save_figure(tmp_path / "b.png", lambda: Figure(figsize=(-1, 1)))
    assert not list(tmp_path.iterdir())


def test_texts_are_not_handed_to_tex(tmp_path):
    with mpl.rc_context({"text.usetex": True}):
        figure = Figure()
        figure.subplots().set_title("50%_")
        assert save_figure(tmp_path / "a.png", lambda: figure) is figure
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
