"""Ways of computing many independent networks at once; all give the same outputs up to rounding.

A backend takes stacked parameters, (K, *shape) each, and inputs (N, *input_shape), and gives outputs (K, N, *output
shape). Which one is fastest depends on network and device: ``benchmarks/ensemble.py`` measures it.
"""

from collections.abc import Callable, Sequence
from typing import Any

from empirical.device import construct, import_torch
from empirical.networks import Network, Part, build
from theory.component import one_of
from theory.errors import SettingError

Forward = Callable[[Sequence[Any], Any], Any]


def loop(network: Network, input_shape: Sequence[int], channels: int) -> Forward:
    """One network after the other, each by torch's own modules: slow, and the reference of the others."""
    torch = import_torch()
    module = build(network, tuple(input_shape), channels)
    names = [name for name, _ in module.named_parameters()]

    def forward(parameters: Sequence[Any], x: Any) -> Any:
        copies = zip(*parameters, strict=True)
        return torch.stack(
            [torch.func.functional_call(module, dict(zip(names, copy, strict=True)), (x,)) for copy in copies]
        )

    return forward


def vmap(network: Network, input_shape: Sequence[int], channels: int) -> Forward:
    """Torch's own modules, by ``torch.func.vmap``: for every layer that there is."""
    torch = import_torch()
    module = build(network, tuple(input_shape), channels)
    names = [name for name, _ in module.named_parameters()]

    def one(copy: Sequence[Any], x: Any) -> Any:
        return torch.func.functional_call(module, dict(zip(names, copy, strict=True)), (x,))

    return lambda parameters, x: torch.func.vmap(one, in_dims=(0, None))(tuple(parameters), x)


def grouped(network: Network, input_shape: Sequence[int], channels: int) -> Forward:
    """One batched product or grouped convolution per layer, for layers that name one.

    Raises:
        SettingError: If a layer names none.
    """
    bind = stacked_maps(network, input_shape, channels)

    def forward(parameters: Sequence[Any], x: Any) -> Any:
        return network.forward(bind(parameters), _copies(x, len(parameters[0]))).transpose(0, 1)

    return forward


def layer_by_layer(
    network: Network, input_shape: Sequence[int], channels: int
) -> Callable[[Sequence[Any], Any], tuple[Any, list[Any]]]:
    """As ``grouped``, and besides the outputs what each layer gives before its activation, (N, K, channels, *positions) each.

    Raises:
        SettingError: If a layer names no stacked form.
    """
    bind = stacked_maps(network, input_shape, channels)

    def forward(parameters: Sequence[Any], x: Any) -> tuple[Any, list[Any]]:
        seen: list[Any] = []

        def watched(apply: Callable[[Any], Any]) -> Callable[[Any], Any]:
            def look(value: Any) -> Any:
                seen.append(apply(value))
                return seen[-1]

            return look

        maps = [watched(apply) for apply in bind(parameters)]
        return network.forward(maps, _copies(x, len(parameters[0]))).transpose(0, 1), seen

    return forward


def stacked_maps(
    network: Network, input_shape: Sequence[int], channels: int
) -> Callable[[Sequence[Any]], list[Callable[[Any], Any]]]:
    """From stacked parameters to what each layer computes, (N, K, …) to (N, K, …).

    Raises:
        SettingError: If a layer names no stacked form.
    """
    parts = network.parts(tuple(input_shape), channels)
    stacks = [found for part in parts if (found := stack(part)) is not None]
    if len(stacks) < len(parts):
        message = f"backend must be 'vmap' or 'loop' for {network.layer}, which names no stacked form, but it is 'grouped'. Change it."
        raise SettingError(message)
    biased = [part.layer.bias_shape(part.input_shape, part.channels) is not None for part in parts]

    def bind(parameters: Sequence[Any]) -> list[Callable[[Any], Any]]:
        values = iter(parameters)
        return [
            _bound(apply, next(values), next(values) if bias else None)
            for apply, bias in zip(stacks, biased, strict=True)
        ]

    return bind


def _copies(x: Any, count: int) -> Any:
    """Inputs (N, …) shown to each of so many copies, (N, K, …)."""
    return x[:, None].expand(len(x), count, *x.shape[1:])


def stack(part: Part) -> Callable[..., Any] | None:
    """The stacked form of a layer, or None."""
    named = part.layer.torch_stack(part.input_shape, part.channels)
    return None if named is None else construct(named)


def _bound(apply: Callable[..., Any], weight: Any, bias: Any) -> Callable[[Any], Any]:
    return lambda x: apply(x, weight, bias)


BACKENDS: dict[str, Callable[[Network, Sequence[int], int], Forward]] = {"grouped": grouped, "vmap": vmap, "loop": loop}


def backend(name: str, network: Network, input_shape: Sequence[int], channels: int) -> Forward:
    """The backend of a name; "auto" is grouped where every layer has a stacked form, else vmap.

    Raises:
        SettingError: If there is none of that name, or it does not take this network.
    """
    one_of("backend", name, ("auto", *BACKENDS))
    if name == "auto":
        parts = network.parts(tuple(input_shape), channels)
        name = "grouped" if all(stack(part) is not None for part in parts) else "vmap"
    return BACKENDS[name](network, input_shape, channels)
