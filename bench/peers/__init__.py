"""The peers, one file each: what to install, and how the library is called at its best."""

import importlib
import pkgutil

from ours import METHODS

MODULES = [importlib.import_module(f"peers.{info.name}") for info in pkgutil.iter_modules(__path__)]
CONTENDERS = [contender for module in MODULES for contender in module.CONTENDERS]


def contender_named(task, name):
    return next(contender for contender in (*CONTENDERS, *METHODS) if (contender.task, contender.name) == (task, name))
