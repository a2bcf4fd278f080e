"""A small cloud of data files that tests of the model edit and compile."""

import json
import shutil
from pathlib import Path

import pytest

from cloudos.model.compile import compile_file
from cloudos.model.problems import Problems

TREE = Path(__file__).with_name("fixtures") / "tree"
CLOUD = "inventory/lab/cloud.yml"


class Tree:
    """A copy of the fixture; `edit` replaces text in one of its files, `compile` and `mistakes` compile it."""

    def __init__(self, root: Path):
        self.root = root
        self.options = json.loads((root / "options.json").read_text())

    def edit(self, file: str, old: str, new: str) -> None:
        path = self.root / file
        text = path.read_text()
        assert text.count(old) == 1, f"{old!r} is not in {file} exactly once"
        path.write_text(text.replace(old, new))

    def line(self, file: str, text: str) -> str:
        """ "file:line" of the first line with a text."""
        path = self.root / file
        numbers = [number for number, line in enumerate(path.read_text().splitlines(), 1) if text in line]
        return f"{path}:{numbers[0]}"

    def compile(self, facts=None, options=None):
        return compile_file(self.root / CLOUD, facts, options, self.root)

    def mistakes(self, facts=None) -> list[str]:
        """The report's lines."""
        with pytest.raises(Problems) as caught:
            self.compile(facts, self.options)
        return str(caught.value).splitlines()


@pytest.fixture
def tree(tmp_path) -> Tree:
    shutil.copytree(TREE, tmp_path / "tree")
    return Tree(tmp_path / "tree")
