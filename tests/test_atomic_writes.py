"""Outputs are written by one module: nobody else writes a file under its final name, or renames one."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("preprocessing", "training", "evaluation", "pipeline")
HOME = ("preprocessing/storage/atomic_file.py", "preprocessing/storage/atomic_folder.py")
METHODS = {
    *("write_text", "write_bytes", "rename", "renames", "touch", "hardlink_to", "symlink_to"),
    *("savefig", "write_table", "to_parquet"),
}
FUNCTIONS = {
    *("copytree", "copyfile", "copy2", "save_file", "mkstemp", "mkdtemp", "NamedTemporaryFile"),
    *("torch.save", "np.save", "json.dump", "pickle.dump", "wavfile.write", "shutil.copy", "shutil.move", "os.rename"),
}
"""Calls that write a file or give it a name."""
ALLOWED = {
    ("evaluation/prediction/videos.py", "opened", "open"): "into a temporary folder",
    ("pipeline/served_model.py", "_of_bytes", "write_bytes"): "the same",
    ("training/checkpoint.py", "copy_for_use", "copyfile"): "into the folder that `replacing_folder` gave",
    ("training/checkpoint.py", "save", "save_file"): "into the folder that `replacing_folder` gave",
    ("training/checkpoint.py", "save", "torch.save"): "the same",
    ("training/checkpoint.py", "save", "write_text"): "the same",
    ("training/run_folder.py", "keep_best_and_last", "copytree"): "into the folder that `replacing_folder` gave",
    ("evaluation/stored/row_table.py", "write", "write_table"): "into the file that `replacing` gave",
    ("evaluation/stored/kept_tables.py", "add", "write_table"): "the same",
    ("evaluation/stored/perturbations.py", "write_perturbations", "write_table"): "the same",
    ("evaluation/reporting/picture_style.py", "save", "savefig"): "into memory, or into the file that `replacing` gave",
    ("evaluation/perceptibility/movies.py", "encode_flac", "open"): "into memory",
    ("evaluation/perceptibility/movies.py", "encode_movie", "open"): "into memory",
    ("preprocessing/decoding/child.py", "encode_flac", "open"): "into memory",
    ("preprocessing/storage/sample_builder.py", "npy", "np.save"): "into memory",
    ("preprocessing/datasets/demo/clips.py", "encode_clip", "wavfile.write"): "into a temporary folder",
    ("pipeline/cluster.py", "local_ray", "mkdtemp"): "a folder for sockets, removed when Ray stops",
}


def writes(tree: ast.AST, function: str = "") -> Iterator[tuple[str, str, int]]:
    """Function, what it calls, and line of everything below `tree` that writes a file or renames one."""
    for node in ast.iter_child_nodes(tree):
        inside = node.name if isinstance(node, ast.FunctionDef) else function
        if isinstance(node, ast.Call) and (name := written_by(node)):
            yield inside, name, node.lineno
        yield from writes(node, inside)


def written_by(call: ast.Call) -> str | None:
    """The name of the call if it writes a file."""
    dotted = ast.unparse(call.func)
    name = dotted.rpartition(".")[2]
    is_method = isinstance(call.func, ast.Attribute)
    values = [*call.args, *(keyword.value for keyword in call.keywords)]
    if dotted in FUNCTIONS:
        return dotted
    if name in FUNCTIONS or (is_method and name in METHODS):
        return name
    if is_method and name == "replace" and len(values) == 1 and dotted != "dataclasses.replace":
        return name  # a path's: a text's takes two values
    return name if name == "open" and any(map(is_mode_to_write, values)) else None


def is_mode_to_write(value: ast.expr) -> bool:
    """True for `"w"`, `"ab"`, `"r+"` and the like."""
    return isinstance(value, ast.Constant) and re.fullmatch(r"(?=.*[wax+])[rwaxbt+]{1,3}", str(value.value)) is not None


def test_only_one_module_writes_files_and_renames_them() -> None:
    found = {
        (str(file.relative_to(ROOT)), function, name)
        for package in PACKAGES
        for file in (ROOT / package).rglob("*.py")
        if str(file.relative_to(ROOT)) not in HOME
        for function, name, _ in writes(ast.parse(file.read_text()))
    }
    assert found - ALLOWED.keys() == set(), "write through preprocessing.storage.atomic_file"
    assert ALLOWED.keys() - found == set(), "these exceptions are no longer needed"


def test_the_check_sees_what_it_is_for() -> None:
    source = """
def wrong(path, text, other):
    path.write_text(text)
    path.rename(other)
    path.replace(other)
    with path.open("w", encoding="utf-8") as stream:
        pass
    with open(path, mode="ab") as stream:
        pass
    torch.save({}, path)

def right(path, text):
    write_text(path, text.replace("a", "b"))
    with path.open("rb") as stream:
        return dataclasses.replace(stream)
"""
    assert [(function, name) for function, name, _ in writes(ast.parse(source))] == [
        ("wrong", name) for name in ("write_text", "rename", "replace", "open", "open", "torch.save")
    ]
