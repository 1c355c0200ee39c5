"""Which object parts does a CNN use, where, and how much of its decision rests on them?

Names load on first use, so that ``partscope --help`` needs no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from partscope.errors import DataError, DivergedError, PartscopeError, PerformerError, RunError, SettingsError
from partscope.figure_settings import FieldSettings, FigureSettings
from partscope.settings import (
    CacheSettings,
    DataSettings,
    DiagnoseSettings,
    ExplainerSettings,
    FitSettings,
    Job,
    PerformerSettings,
    resolve,
)
from partscope.train_settings import TrainJob, TrainSettings
from partscope.version import __version__

if TYPE_CHECKING:
    from partscope.data import PhotoSet, Sample, load_photos
    from partscope.figures import Drawn, draw_figure
    from partscope.frontier import sweep_eta
    from partscope.nets import Explainer
    from partscope.performers import Features, Performer, load_performer
    from partscope.report import open_diagnosis, write_comparison, write_report
    from partscope.run import Event, diagnose, fit
    from partscope.seeds import repeat_seeds
    from partscope.train_run import TrainEvent, train_performer

_LATER = {
    "Drawn": "partscope.figures",
    "Event": "partscope.run",
    "Explainer": "partscope.nets",
    "Features": "partscope.performers",
    "Performer": "partscope.performers",
    "PhotoSet": "partscope.data",
    "Sample": "partscope.data",
    "TrainEvent": "partscope.train_run",
    "diagnose": "partscope.run",
    "draw_figure": "partscope.figures",
    "fit": "partscope.run",
    "load_performer": "partscope.performers",
    "load_photos": "partscope.data",
    "open_diagnosis": "partscope.report",
    "repeat_seeds": "partscope.seeds",
    "sweep_eta": "partscope.frontier",
    "train_performer": "partscope.train_run",
    "write_comparison": "partscope.report",
    "write_report": "partscope.report",
}


def __getattr__(name: str) -> object:
    if name not in _LATER:
        raise AttributeError(f"module 'partscope' has no attribute '{name}'")
    return getattr(import_module(_LATER[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)


__all__ = [
    "CacheSettings",
    "DataError",
    "DataSettings",
    "DiagnoseSettings",
    "DivergedError",
    "Drawn",
    "Event",
    "Explainer",
    "ExplainerSettings",
    "Features",
    "FieldSettings",
    "FigureSettings",
    "FitSettings",
    "Job",
    "PartscopeError",
    "Performer",
    "PerformerError",
    "PerformerSettings",
    "PhotoSet",
    "RunError",
    "Sample",
    "SettingsError",
    "TrainEvent",
    "TrainJob",
    "TrainSettings",
    "__version__",
    "diagnose",
    "draw_figure",
    "fit",
    "load_performer",
    "load_photos",
    "open_diagnosis",
    "repeat_seeds",
    "resolve",
    "sweep_eta",
    "train_performer",
    "write_comparison",
    "write_report",
]
