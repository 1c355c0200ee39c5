"""Makes `benchmarks/planted_truth` importable without the other benchmarks, whose names are common ones."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "benchmarks" / "planted_truth"

spec = spec_from_file_location("planted_truth", FOLDER / "__init__.py", submodule_search_locations=[str(FOLDER)])
assert spec is not None and spec.loader is not None
sys.modules["planted_truth"] = module_from_spec(spec)
spec.loader.exec_module(sys.modules["planted_truth"])
