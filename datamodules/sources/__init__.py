"""Sources: one file a published data set, its layout and its card. Every module of this folder is imported."""

from importlib import import_module
from pkgutil import iter_modules

from datamodules.source import SOURCES

for _module in iter_modules(__path__, f"{__name__}."):
    import_module(_module.name)
globals().update({name: SOURCES.get(name) for name in SOURCES.names()})
