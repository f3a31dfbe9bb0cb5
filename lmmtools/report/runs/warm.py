"""Kernels forked from a process that has already imported what reports need; Linux and other systems with fork only.

The parent is multiprocessing's fork server: it imports and never runs anything of a notebook, so that what a run
sees is what an import leaves behind. Each kernel is a child of its own and ends with its run.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from multiprocessing.process import BaseProcess
from typing import Any

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning import LocalProvisioner

__all__ = ["WarmProvisioner", "can_fork", "preload"]

_SELF = "lmmtools.report.runs.warm"
# What a report's kernel imports on its way; what cannot be imported here is imported, or missed, in the run.
_STACK = (
    "ipykernel.kernelapp",
    "ipykernel.ipkernel",
    "matplotlib_inline.backend_inline",
    "matplotlib.figure",
    "matplotlib.backends.backend_svg",
    "scipy.stats",
    "statsmodels.regression.mixed_linear_model",
)


def can_fork() -> bool:
    """Whether this system forks safely: macOS has fork, and libraries there that do not survive it."""
    return sys.platform not in ("win32", "darwin") and "forkserver" in multiprocessing.get_all_start_methods()


class WarmProvisioner(LocalProvisioner):
    """Starts a kernel by a fork of the warm process instead of a new Python."""

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Fork a kernel and give it the arguments that the command has for a new one."""
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([f"{_SELF}_stack"])
        log = kwargs.get("stderr")
        process = context.Process(
            target=_serve,
            args=(cmd[cmd.index("-f") :], str(kwargs.get("cwd") or os.getcwd()), dict(kwargs.get("env") or {})),
            kwargs={"log": getattr(log, "name", None)},
        )
        process.start()
        self.process = _Process(process)
        self.pid = self.pgid = process.pid
        self.cwd = kwargs.get("cwd")
        return self.connection_info


class _Process:
    """A forked process with the methods of ``subprocess.Popen`` that jupyter_client calls."""

    stdin = stdout = stderr = None

    def __init__(self, process: BaseProcess) -> None:
        self._process = process
        self.pid = process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self) -> int | None:
        self._process.join()
        return self._process.exitcode

    def send_signal(self, signum: int) -> None:
        if self._process.exitcode is None and self.pid:
            os.kill(self.pid, signum)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)


def preload() -> None:
    """Import the stack; called once, in the process that kernels are forked from."""
    import gc
    import warnings

    # As ipykernel does before a notebook imports matplotlib, which reads it while it is imported.
    os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    interrupted = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the study, which then ends this process
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # third parties' deprecations, which a notebook does not see either
        for name in _STACK:
            with suppress(Exception):  # the run that needs it says so
                import_module(name)
        package = import_module("lmmtools")
        for name in package.__all__:
            with suppress(Exception):
                getattr(package, name)
    signal.signal(signal.SIGINT, interrupted)
    gc.freeze()  # what is shared with the children stays shared: their collector does not touch it


def _serve(arguments: list[str], cwd: str, env: Mapping[str, str], *, log: str | None) -> None:
    """Be a kernel: in the forked child, with the run's folder, environment and random state of its own."""
    import random

    import numpy as np
    from ipykernel.kernelapp import IPKernelApp

    os.setsid()
    if log:
        target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(target, 1)
        os.dup2(target, 2)
    os.chdir(cwd)
    os.environ.update(env)
    random.seed()  # siblings are forked from one state
    np.random.seed()  # noqa: NPY002 - the state that notebooks written the old way draw from
    sys.argv = ["ipykernel_launcher", *arguments]
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # A parent is named so that ipykernel takes itself for a kernel that a program started.
    IPKernelApp.launch_instance(argv=sys.argv[1:], parent_handle=os.getppid())


def _end_with_parent() -> None:
    """End this kernel and what it started when the process that asked for it is gone.

    The fork server, which is the parent the system knows, waits for its children and would outlive it with them.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.killpg(0, signal.SIGKILL)
