"""Hatchling's build hook: the kernels are compiled whenever the package is built or installed.

An editable install compiles into the source tree. A wheel gets its own compilation, and the name of the platform. Where
no C compiler works, the build asks for one from the package registry.
"""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any, cast

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.builders.wheel import WheelBuilder


def _load(name: str) -> ModuleType:
    """Load a file of this folder, which is no package."""
    path = Path(__file__).with_name(f"{name}.py")
    spec = spec_from_file_location(f"cogfit_building_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


kernels = _load("kernels")


class Hook(BuildHookInterface[BuilderConfig]):
    """Compiles the kernels for a wheel or an editable install."""

    def dependencies(self) -> list[str]:
        """What the build needs beside hatchling: a compiler, where there is none."""
        try:
            return [] if kernels.find_compiler() else [kernels.ZIG]
        except kernels.BuildError as error:
            raise SystemExit(f"cogfit: {error}") from None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and say where the result goes."""
        try:
            compiler = kernels.needed_compiler()
            if version == "editable":
                kernels.compile_kernels(compiler)
                return
            self._folder = TemporaryDirectory(prefix="cogfit-wheel-", ignore_cleanup_errors=True)
            library = Path(self._folder.name) / "kernels.bin"
            kernels.compile_kernels(compiler, library)
        except kernels.BuildError as error:
            raise SystemExit(f"cogfit: {error}") from None
        build_data["force_include"][str(library)] = "cogfit/native/kernels.bin"
        build_data["pure_python"] = False
        # Any Python 3 can load the library, on this platform only.
        platform = cast(WheelBuilder, self.build_config.builder).get_best_matching_tag().rpartition("-")[2]
        build_data["tag"] = f"py3-none-{platform}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove the compilation that the wheel holds by now."""
        if version != "editable":
            self._folder.cleanup()
