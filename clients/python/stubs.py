"""Keepsake's contract for Python: made from ../../proto when this module is loaded.

A backend of your own generates the same once, with `python -m grpc_tools.protoc`, and ships it.
"""

import atexit
import shutil
import sys
import tempfile
from pathlib import Path

import grpc
import grpc_tools
from grpc_tools import protoc

PROTO = Path(__file__).resolve().parents[2] / "proto"


def _generate():
    folder = tempfile.mkdtemp(prefix="keepsake-stubs-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    well_known = Path(grpc_tools.__file__).parent / "_proto"
    files = sorted(str(path) for path in PROTO.rglob("*.proto"))
    paths = [f"-I{PROTO}", f"-I{well_known}"]
    if protoc.main(["protoc", *paths, f"--python_out={folder}", f"--grpc_python_out={folder}", *files]):
        raise RuntimeError(f"protoc refused {PROTO}")
    sys.path.insert(0, folder)


_generate()

from keepsake.v1 import context_pb2, memory_service_pb2, memory_service_pb2_grpc, turn_pb2  # noqa: E402

__all__ = ["Memory", "context_pb2", "memory_service_pb2", "turn_pb2"]


class Memory(memory_service_pb2_grpc.MemoryServiceStub):
    """MemoryService over one channel; `metadata=self.key` goes with each call."""

    def __init__(self, address, api_key):
        self.key = (("authorization", f"Bearer {api_key}"),)
        self.channel = grpc.insecure_channel(address, options=[
            ("grpc.max_receive_message_length", 64 << 20),
        ])
        super().__init__(grpc.intercept_channel(self.channel, _Key(self.key)))

    def close(self):
        self.channel.close()


class _Key(grpc.UnaryUnaryClientInterceptor):
    def __init__(self, key):
        self.key = key

    def intercept_unary_unary(self, proceed, details, request):
        metadata = tuple(details.metadata or ()) + self.key
        return proceed(details._replace(metadata=metadata), request)
