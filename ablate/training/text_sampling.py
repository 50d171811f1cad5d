"""Text sampled from a network, which reads what it has written so far, symbol by symbol."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from ablate.training.network import Network


def sample_text(
    network: Network, characters: Sequence[str], generator: np.random.Generator, length: int, temperature: float
) -> str:
    """Draw `length` characters, each from the network's softmax at a temperature, the first from all but the last.

    The text ends early where an output is not finite, since nothing can be drawn from it.

    Args:
        characters: one for each class; input and output are both over them. The last stands for unknown ones.
        temperature: above 0; what the pre-activations are divided by, so that less than 1 keeps to the likely.
    """
    symbol = int(generator.integers(len(characters) - 1))
    symbols, state, lengths = [symbol], None, np.ones(1, np.int64)
    for _ in range(length - 1):
        x = torch.zeros(1, 1, len(characters))
        x[0, 0, symbol] = 1
        z = network.forward(x, lengths, training=False, state=state)[0, 0].numpy().astype(np.float64) / temperature
        if not np.isfinite(z).all():
            break
        state = network.last_state()
        # The largest of the pre-activations with Gumbel noise is a draw from their softmax.
        symbol = int(np.argmax(z + generator.gumbel(size=len(z))))
        symbols.append(symbol)
    return "".join(characters[symbol] for symbol in symbols)
