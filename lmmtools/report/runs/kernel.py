"""The kernel a run executes in: this Python, one BLAS thread, talking over files instead of TCP ports."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lmmtools.processors import ONE_THREAD

__all__ = ["KERNEL_ENVIRONMENT", "Kernel", "kernel_options"]

# Sets are shown in the same order in every run. A kernel takes its environment from the process that starts it.
# A crash says where it happened.
KERNEL_ENVIRONMENT = ONE_THREAD | {"PYTHONHASHSEED": "0", "PYTHONFAULTHANDLER": "1"}
# What compiled code writes goes to the log, where it survives a crash; a cell would show it sooner or later.
_KERNEL_FLAGS = ("--IPKernelApp.capture_fd_output=False",)
_LONGEST_SOCKET = 100  # characters; macOS allows 104 and Linux 108 for the path of a Unix socket


@dataclass
class Kernel:
    """What papermill needs to start a kernel, and what was learned when the kernel had ended.

    Attributes
    ----------
    options : Mapping
        Keyword arguments of ``papermill.execute_notebook``.
    exit_code : int or None
        Of a kernel that ended by itself; negative is the number of the signal that killed it.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    exit_code: int | None = None

    @property
    def death(self) -> str:
        """How the kernel died, as the end of a sentence."""
        code = self.exit_code
        if code is None or code == -signal.SIGKILL:
            killed = "" if code is None else " it was killed from outside (SIGKILL);"
            return f"{killed} too little memory is the usual reason"
        if code < 0:
            name = next((one.name for one in signal.Signals if one == -code), f"signal {-code}")
            return f" it crashed ({name}: {signal.strsignal(-code)})"
        return f" it left with exit code {code}"


@contextmanager
def kernel_options(log: Path, *, warm: bool = False) -> Iterator[Kernel]:
    """Give what papermill needs to start a kernel, and clear its connection files afterwards.

    Kernels started at the same time race for TCP ports; sockets in a folder of their own cannot.
    The kernel is always the running Python: a kernel of the same name installed elsewhere is not asked.

    Parameters
    ----------
    log : Path
        The file that takes what the process itself writes, past the notebook: what is left of a crash.
    warm : bool
        Whether the kernel is forked from a process that has imported the stack, where the system can.
    """
    from ipykernel.kernelspec import get_kernel_dict
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager

    folder = Path(tempfile.mkdtemp(prefix="lmm", dir=_socket_root()))
    kernel = Kernel()
    provisioner = _provisioner(warm)

    class OneKernel(AsyncKernelManager):
        """A manager of one kernel, which is this Python, and whose files are in one folder."""

        def __init__(self, **kwargs: Any) -> None:
            transport = "tcp" if sys.platform == "win32" else "ipc"
            super().__init__(connection_file=str(folder / "k.json"), transport=transport, **kwargs)

        @property
        def kernel_spec(self) -> KernelSpec:
            spec = get_kernel_dict()
            return KernelSpec(**(spec | {"argv": [*spec["argv"], *_KERNEL_FLAGS]}))

        async def _async_start_kernel(self, **kwargs: Any) -> None:
            if provisioner is not None:
                self.provisioner = provisioner(kernel_id="run", kernel_spec=self.kernel_spec, parent=self)
            # The settings and start-up files that a user has for IPython are no part of a study.
            env = {**(kwargs.pop("env", None) or os.environ), "IPYTHONDIR": str(folder / "ipython")}
            with log.open("ab") as file:
                await super()._async_start_kernel(stdout=file, stderr=file, env=env, **kwargs)

        async def _async_is_alive(self) -> bool:
            alive = await super()._async_is_alive()
            if not alive and self.has_kernel:
                kernel.exit_code = await self.provisioner.poll()
            return alive

        start_kernel = _async_start_kernel
        is_alive = _async_is_alive

    kernel.options = {"kernel_name": "python3", "language": "python", "kernel_manager_class": OneKernel}
    try:
        yield kernel
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _provisioner(warm: bool) -> Any:
    """Return what starts a warm kernel; None for jupyter_client's own, a new process."""
    if not warm:
        return None
    from lmmtools.report.runs.warm import WarmProvisioner, can_fork

    return WarmProvisioner if can_fork() else None


def _socket_root() -> str | None:
    """Return the folder for sockets: the usual temporary one unless its path is too long for a socket."""
    usual = tempfile.gettempdir()
    if len(usual) + len("/lmmXXXXXXXX/k-ipc-5") <= _LONGEST_SOCKET or not os.access("/tmp", os.W_OK):
        return None
    return "/tmp"
