"""Imports the Python modules beside agent.yaml, anew at each load.

A module takes its own name in `sys.modules`, so that the files beside agent.yaml can import each other. It never takes
the name of another module: `redis.py` beside agent.yaml is imported under a name of its own, and the rest of the
server keeps its Redis client.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

PREFIX = "beside_agent_yaml_"
"""Precedes the name of a module whose own name is taken."""


class ModuleFolder:
    """The modules of a folder. It enters the import system with the first `fresh`, and leaves it with `close`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # Submodules come first, because Python would find them too and might take an outdated compiled file.
        self._submodules, self._top = _Finder(self, top_level=False), _Finder(self, top_level=True)

    def close(self) -> None:
        """Forget the modules. Functions of theirs that are in use stay usable."""
        if self._top in sys.meta_path:
            self._forget()
            sys.meta_path.remove(self._submodules)
            sys.meta_path.remove(self._top)

    @contextmanager
    def fresh(self) -> Iterator[None]:
        """Within the block, `load` runs every module anew. If the block raises, the earlier modules come back."""
        if self._top not in sys.meta_path:
            sys.meta_path.insert(0, self._submodules)
            sys.meta_path.append(self._top)
        before = self._forget()
        importlib.invalidate_caches()
        try:
            yield
        except BaseException:
            self._forget()
            sys.modules.update(before)
            raise

    def source(self, module: str) -> Path:
        """The source of the top-level module or package of the dotted name `module`, or where it would be."""
        top = module.partition(".")[0]
        return _source(self.folder, top) or self.folder / f"{top}.py"

    def load(self, module: str) -> ModuleType:
        """Import the module by its dotted name: from the folder, or else as an installed one.

        Raises what the module raises.
        """
        top, dot, rest = module.partition(".")
        if _source(self.folder, top) and not self._is_own(top) and _is_taken(top):
            module = f"{PREFIX}{top}{dot}{rest}"
        return importlib.import_module(module)

    def files(self) -> set[Path]:
        """The source files of the modules that are loaded."""
        return {Path(each.__file__) for each in self._modules().values() if each.__file__}

    def spec(self, name: str, folder: Path) -> ModuleSpec | None:
        """The spec of the module `name`, whose source is directly in `folder`; None if there is none."""
        source = _source(folder, name.rpartition(".")[2].removeprefix(PREFIX))
        if source is None:
            return None
        inside = [str(source.parent)] if source.name == "__init__.py" else None
        return spec_from_file_location(
            name, source, loader=_SourceLoader(name, str(source), self), submodule_search_locations=inside
        )

    def _is_own(self, name: str) -> bool:
        module = sys.modules.get(name)
        loader = getattr(getattr(module, "__spec__", None), "loader", None)
        return isinstance(loader, _SourceLoader) and loader.owner is self

    def _modules(self) -> dict[str, ModuleType]:
        return {name: sys.modules[name] for name in list(sys.modules) if self._is_own(name)}

    def _forget(self) -> dict[str, ModuleType]:
        modules = self._modules()
        for name in modules:
            sys.modules.pop(name, None)
        return modules

    def owns_package(self, name: str) -> bool:
        """Whether the top-level package of the dotted name is one of the folder's."""
        return self._is_own(name.partition(".")[0])


class _SourceLoader(SourceFileLoader):
    """Compiles the source at each import: a compiled file counts as current for a second after an edit."""

    def __init__(self, name: str, path: str, owner: ModuleFolder) -> None:
        super().__init__(name, path)
        self.owner = owner

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        # A package may have no __init__.py.
        source = self.get_data(path) if Path(path).exists() else b""
        code: CodeType = self.source_to_code(source, path)
        return code


class _Finder(MetaPathFinder):
    """Finds the top-level modules of the folder, or the submodules of its packages."""

    def __init__(self, modules: ModuleFolder, *, top_level: bool) -> None:
        self._modules = modules
        self._top_level = top_level

    def find_spec(self, name: str, path: Sequence[str] | None, target: Any = None) -> ModuleSpec | None:
        if self._top_level:
            return self._modules.spec(name, self._modules.folder) if path is None else None
        if path is None or not self._modules.owns_package(name):
            return None
        return self._modules.spec(name, Path(path[0]))


def _source(folder: Path, name: str) -> Path | None:
    """The source of the module `name` in `folder`. That of a package without __init__.py need not exist."""
    package, file = folder / name, folder / f"{name}.py"
    if (package / "__init__.py").is_file():
        return package / "__init__.py"
    if file.is_file():
        return file
    return package / "__init__.py" if package.is_dir() and any(package.glob("*.py")) else None


def _is_taken(name: str) -> bool:
    if name in sys.modules or name in sys.builtin_module_names:
        return True
    found = PathFinder.find_spec(name)
    return found is not None and found.loader is not None
