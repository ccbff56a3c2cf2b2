"""A fault in an attack, brought into every process of a command through a folder on PYTHONPATH."""

from __future__ import annotations

from pathlib import Path

HOOK = '''
import importlib.abc, importlib.util, sys

class Replacer(importlib.abc.MetaPathFinder):
    """Gives PGD another `perturb` when it is imported."""

    def find_spec(self, name, path, target=None):
        if name != "training.attacks.pgd":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        load = spec.loader.exec_module

        def load_and_replace(module):
            import stranger
            load(module)
            module.PGD.perturb = stranger.perturb

        spec.loader.exec_module = load_and_replace
        return spec

sys.meta_path.insert(0, Replacer())
'''
FAULT = """
def perturb(self, model, batch, threat, generator):
    return batch.video.flatten(1) @ batch.audio.flatten(1)
"""
MISTAKE = """
from preprocessing.errors import DataError

def perturb(self, model, batch, threat, generator):
    raise DataError("clip 'x' is not what its record says")
"""


def write_plugin(folder: Path, source: str) -> Path:
    """The folder for PYTHONPATH whose `stranger.perturb` takes the place of PGD's."""
    folder.mkdir(parents=True)
    (folder / "sitecustomize.py").write_text(HOOK)
    (folder / "stranger.py").write_text(source)
    return folder
