"""A device that is not here: what a GPU asks of code, where there is none.

Its tensors hold their values in the memory of the CPU, and are computed there, but say that they are on device "far".
Code that would fail on a GPU fails on it: an operation on near and far tensors together is refused (but for near ones
without dimensions, as CUDA has it), and whatever needs a value here, for which a GPU would be waited for, is noted in
`WAITS`, and so is what is sent there without `non_blocking`. What only a GPU has stays untried: its kernels, its
memory, its speed.

torch is told of the device for good (its "PrivateUse1"), so that whoever wants it calls it in a process of its own.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor
from torch.utils import backend_registration
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

ROOT = Path(__file__).parent.parent
WAITS: list[str] = []
"""For each value that was needed here: the operation, and the file and function of the suite that asked for it."""
WAITING = {
    "_local_scalar_dense", "nonzero", "masked_select", "equal", "_unique2", "unique_dim", "unique_consecutive",
    "repeat_interleave",
}  # fmt: skip
"""Operations whose result, or its shape, is a value. Indices that are masks are another way to it."""


class Mismatch(RuntimeError):
    """Near and far tensors in one operation."""


class FarTensor(Tensor):
    """A tensor on the device; `held` are its values."""

    held: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, held: Tensor) -> FarTensor:
        made = Tensor._make_wrapper_subclass(
            cls, held.shape, strides=held.stride(), storage_offset=held.storage_offset(), dtype=held.dtype,
            device=torch.device("far", 0),
        )  # fmt: skip
        made.held = held
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return carried_out(func, args, kwargs or {})


def is_far(value: Any) -> bool:
    return isinstance(value, FarTensor)


def carried_out(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """One operation on tensors of which some are far, or are to be."""
    name = func._schema.name.removeprefix("aten::")
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    far = [tensor for tensor in tensors if is_far(tensor)]
    near = [tensor for tensor in tensors if not is_far(tensor) and tensor.dim()]
    if far and near and name != "copy_":
        raise Mismatch(f"{name}: far tensors, and near ones of shapes {[tuple(tensor.shape) for tensor in near]}")
    device = kwargs.get("device")
    goes_far = bool(far) if device is None else torch.device(device).type == "far"
    if goes_far and not far and name == "_to_copy" and not kwargs.get("non_blocking"):
        WAITS.append(f"upload {asked_for()}")
    if far and waits(name, args, goes_far):
        WAITS.append(f"{name} {asked_for()}")
    if device is not None:
        kwargs = {**kwargs, "device": torch.device("cpu")}
    held, held_too = tree_map(lambda leaf: leaf.held if is_far(leaf) else leaf, (args, kwargs))
    found = func(*held, **held_too)
    if not goes_far:
        return found
    known = {id(tensor.held): tensor for tensor in far}  # what was changed in place is what it was

    def sent(leaf: Any) -> Any:
        return known[id(leaf)] if id(leaf) in known else FarTensor(leaf) if isinstance(leaf, Tensor) else leaf

    return tree_map(sent, found)


def waits(name: str, args: Any, goes_far: bool) -> bool:
    if name.startswith("index"):
        masks = [leaf for leaf in tree_leaves(args[1]) if isinstance(leaf, Tensor) and leaf.dtype == torch.bool]
        return bool(masks)
    return name in WAITING or (name == "_to_copy" and not goes_far) or (name == "copy_" and not is_far(args[0]))


def asked_for() -> str:
    """File and function of the innermost frame that is the suite's own."""
    frame: FrameType | None = sys._getframe()
    while frame and not frame.f_code.co_filename.startswith((f"{ROOT}/model", f"{ROOT}/evaluate")):
        frame = frame.f_back
    return f"{Path(frame.f_code.co_filename).name} {frame.f_code.co_name}" if frame else "-"


class Far(TorchDispatchMode):
    """`with Far():` there is such a device."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        device = kwargs.get("device")
        if any(map(is_far, tree_leaves((args, kwargs)))) or (device and torch.device(device).type == "far"):
            return carried_out(func, args, kwargs)
        return func(*args, **kwargs)


class Module(backend_registration._DummyBackendModule):
    """What torch.far is. Autocasting is asked for its types, also where it is off; on, it is not to be had here."""

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16]


KEPT: list[Any] = []


def register() -> None:
    """Tell torch of the device, once, and what it calls where no mode is asked, as in torch.tensor(1, device="far")."""
    if KEPT:
        return
    backend_registration._setup_privateuseone_for_python_backend("far", backend_module=Module())

    def empty(size: Any, *, dtype: Any = None, **_: Any) -> Tensor:
        return FarTensor(torch.empty(size, dtype=dtype))

    def empty_strided(size: Any, stride: Any, *, dtype: Any = None, **_: Any) -> Tensor:
        return FarTensor(torch.empty_strided(size, stride, dtype=dtype))

    def copy_from(source: Any, target: Any, non_blocking: bool = False) -> Any:
        pair = [tensor.held if is_far(tensor) else tensor for tensor in (target, source)]
        pair[0].copy_(pair[1])
        return target

    library = torch.library.Library("aten", "IMPL")
    KEPT.append(library)  # what it holds goes with it
    for name, made in (("empty.memory_format", empty), ("empty_strided", empty_strided), ("_copy_from", copy_from)):
        library.impl(name, made, "PrivateUse1")
