"""The kernel a run executes in: this Python, one BLAS thread, talking over files instead of TCP ports."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["KERNEL_ENVIRONMENT", "kernel_options"]

# Two runs at a time on two cores: a second BLAS thread in each only makes them wait for one another.
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
# Sets are shown in the same order in every run. A kernel takes its environment from the process that starts it.
KERNEL_ENVIRONMENT = dict.fromkeys(_THREADS, "1") | {"PYTHONHASHSEED": "0"}
_LONGEST_SOCKET = 100  # characters; macOS allows 104 and Linux 108 for the path of a Unix socket


@contextmanager
def kernel_options() -> Iterator[dict[str, object]]:
    """Give what papermill needs to start a kernel, and clear its connection files afterwards.

    Kernels started at the same time race for TCP ports; sockets in a folder of their own cannot.
    The kernel is always the running Python: a kernel of the same name installed elsewhere is not asked.
    """
    from ipykernel.kernelspec import get_kernel_dict
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager

    folder = Path(tempfile.mkdtemp(prefix="lmm", dir=_socket_root()))

    class OneKernel(AsyncKernelManager):
        """A manager of one kernel, which is this Python, and whose files are in one folder."""

        def __init__(self, **kwargs: Any) -> None:
            transport = "tcp" if sys.platform == "win32" else "ipc"
            super().__init__(connection_file=str(folder / "k.json"), transport=transport, **kwargs)

        @property
        def kernel_spec(self) -> KernelSpec:
            return KernelSpec(**get_kernel_dict())

    try:
        yield {"kernel_name": "python3", "language": "python", "kernel_manager_class": OneKernel}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _socket_root() -> str | None:
    """Return the folder for sockets: the usual temporary one unless its path is too long for a socket."""
    usual = tempfile.gettempdir()
    if len(usual) + len("/lmmXXXXXXXX/k-ipc-5") <= _LONGEST_SOCKET or not os.access("/tmp", os.W_OK):
        return None
    return "/tmp"
