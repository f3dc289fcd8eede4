"""A real kernel that runs single cells, as a notebook's frontend does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jupyter_client.manager import KernelManager

from tests.support.notebook_kernel import kernel_environment

SECONDS = 60.0


class CellError(Exception):
    """A cell raised; the message is that of its error.

    Parameters
    ----------
    message : str
    shown : str
        The traceback below the cell, without colours.
    """

    def __init__(self, message: str, shown: str) -> None:
        super().__init__(message)
        self.shown = shown


class Cells:
    """Runs cells in a kernel.

    Parameters
    ----------
    client : BlockingKernelClient
    """

    def __init__(self, client: Any) -> None:
        self._client = client

    def run(self, source: str, cell_id: str | None = None) -> str:
        """Run a cell and return what it showed as text; with an id as JupyterLab sends it."""
        content = {
            "code": source,
            "silent": False,
            "store_history": True,
            "user_expressions": {},
            "allow_stdin": False,
            "stop_on_error": True,
        }
        metadata = {} if cell_id is None else {"cellId": cell_id}
        message = self._client.session.msg("execute_request", content, metadata=metadata)
        self._client.shell_channel.send(message)
        shown: list[str] = []
        error = None
        while True:
            reply = self._client.get_iopub_msg(timeout=SECONDS)
            if reply["parent_header"].get("msg_id") != message["header"]["msg_id"]:
                continue
            kind, content = reply["msg_type"], reply["content"]
            if kind == "stream":
                shown.append(content["text"])
            elif kind in ("execute_result", "display_data"):
                shown.append(content["data"].get("text/plain", "") + "\n")
            elif kind == "error":
                traceback = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(content["traceback"]))
                error = CellError(f"{content['ename']}: {content['evalue']}", traceback)
            elif kind == "status" and content["execution_state"] == "idle":
                break
        if error is not None:
            raise error
        return "".join(shown)


@contextmanager
def kernel(place: Path) -> Iterator[Cells]:
    """A kernel that runs in a folder, offline and without keys."""
    with kernel_environment(place):
        manager = KernelManager(kernel_name="python3")
        manager.start_kernel(cwd=str(place))
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=SECONDS)
        yield Cells(client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
