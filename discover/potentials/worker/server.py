"""The worker's loop: loads one model, then answers batches of structures until its socket closes.

Its first message says whether the model is loaded: `{"status": "ready", "elements", "device",
"versions"}`, or `{"status": "failed", "reason"}`. From then on it answers each message with one.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
import threading
import time
import traceback
from typing import BinaryIO, cast

from . import models
from .framing import FramingError, read_message, write_message
from .structures import pack_answers, unpack

_WATCH_SECONDS = 1.0


def main(arguments: list[str] | None = None) -> int:
    """Serve on an inherited socket; 0 when it was closed, 1 where there is no model, 2 on garbage."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--socket", type=int, required=True, help="file descriptor, inherited")
    parser.add_argument("--parent", type=int, required=True, help="process to end with")
    parser.add_argument("--family", required=True)
    parser.add_argument("--model", required=True)
    chosen = parser.parse_args(arguments)
    threading.Thread(target=_end_with, args=(chosen.parent,), daemon=True).start()
    with socket.socket(fileno=chosen.socket) as connection:
        stream = cast("BinaryIO", connection.makefile("rwb"))
        try:
            return _serve(stream, chosen.family, chosen.model)
        except (BrokenPipeError, ConnectionResetError):
            return 0


def _serve(stream: BinaryIO, family: str, name: str) -> int:
    try:
        model = models.load(family, name)
    except Exception as error:  # noqa: BLE001 - a model's package may raise anything
        traceback.print_exc()
        reason = f"{type(error).__name__}: {error}"
        write_message(stream, {"status": "failed", "reason": reason})
        return 1
    ready = {
        "status": "ready",
        "elements": sorted(model.elements),
        "device": model.device,
        "versions": model.versions,
    }
    write_message(stream, ready)
    while True:
        try:
            structures = unpack(read_message(stream).arrays)
        except EOFError:
            return 0
        except FramingError as error:
            print(f"worker: {error}", file=sys.stderr)  # noqa: T201
            return 2
        problems, arrays = pack_answers(models.evaluate(model, structures), structures)
        write_message(stream, {"problems": problems}, arrays)


def _end_with(parent: int) -> None:
    """End this process as soon as its parent is gone, even in the middle of a long evaluation."""
    while os.getppid() == parent:
        time.sleep(_WATCH_SECONDS)
    os._exit(0)
