"""What a foreign network is, as a digest: weights, buffers and source."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path as File

import torch
from torch import Tensor, nn

from bench.files import digest_of, sha256
from bench.models.adapters.foreign import Foreign
from bench.models.adapters.tabulated import Tabulated


def state(factory: str, foreign: Foreign, networks: nn.Module) -> str:
    """Digest of a factory's source and of what it gave: weights, buffers and table of the path.

    The source is that of the factory's module and of the classes of its networks, torch's own left
    out: their versions are in every digest.
    """
    table = foreign.path.knots if isinstance(foreign.path, Tabulated) else None
    modules = {factory.partition(":")[0], getattr(foreign.function, "__module__", None) or ""}
    modules |= {type(module).__module__ for module in networks.modules()}
    return digest_of(
        {
            "source": {name: _source(name) for name in sorted(modules) if _is_foreign(name)},
            "weights": {
                name: _content(tensor)
                for kind in (networks.named_parameters(), networks.named_buffers())
                for name, tensor in kind
            },
            "path": None if table is None else _content(table),
            "prediction": foreign.prediction,
        }
    )


def _is_foreign(name: str) -> bool:
    return name.split(".")[0] not in ("", "torch", "builtins", "bench")


def _source(name: str) -> str | None:
    file = getattr(sys.modules.get(name), "__file__", None)
    return sha256(File(file)) if file else None


def _content(tensor: Tensor) -> str:
    plain = tensor.detach().cpu().contiguous().reshape(-1)
    digest = hashlib.sha256(f"{plain.dtype} {list(tensor.shape)} ".encode())
    digest.update(plain.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
