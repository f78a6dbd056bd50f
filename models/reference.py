"""all-MiniLM-L6-v2 in numpy, f64 throughout: what the other scripts and their tests compare with.

It reads the wheel that minilm/make.py reads, and refuses another one. Nothing here is fast.
"""

import pathlib
import sys
import zipfile

import numpy as np
import safetensors.numpy

sys.path.insert(0, str(pathlib.Path(__file__).parent / "minilm"))
import make as minilm  # noqa: E402

LAYERS, HEADS, WIDTH, EPSILON = minilm.LAYERS, minilm.HEADS, minilm.WIDTH, minilm.EPSILON


def load(path):
    """Gives the tensors as published (f32) and the vocabulary, one token a line."""
    wheel = zipfile.ZipFile(path)
    tensors = safetensors.numpy.load(minilm.read(wheel, "model.safetensors"))
    return tensors, minilm.read(wheel, "vocab.txt")


def erf(x):
    """Abramowitz and Stegun 7.1.26: off by 1.5e-7 at the most, as f32 is."""
    t = 1 / (1 + 0.3275911 * np.abs(x))
    series = 1.061405429
    for factor in (-1.453152027, 1.421413741, -0.284496736, 0.254829592):
        series = series * t + factor
    return np.sign(x) * (1 - series * t * np.exp(-x * x))


class Reference:
    """The model over texts of one length: ids in, the states of the last layer out."""

    def __init__(self, tensors):
        self.tensors = {name: tensor.astype(np.float64) for name, tensor in tensors.items()}

    def dense(self, x, name):
        return x @ self.tensors[f"{name}.weight"].T + self.tensors[f"{name}.bias"]

    def norm(self, x, name):
        x = x - x.mean(-1, keepdims=True)
        x = x / np.sqrt((x * x).mean(-1, keepdims=True) + EPSILON)
        return x * self.tensors[f"{name}.weight"] + self.tensors[f"{name}.bias"]

    def states(self, ids):
        """ids: texts × tokens, all of one length, with their marks."""
        tensors = self.tensors
        x = tensors["embeddings.word_embeddings.weight"][ids]
        x = x + tensors["embeddings.position_embeddings.weight"][: ids.shape[1]]
        x = x + tensors["embeddings.token_type_embeddings.weight"][0]
        x = self.norm(x, "embeddings.LayerNorm")
        for place in range(LAYERS):
            x = self.layer(x, f"encoder.layer.{place}")
        return x

    def layer(self, x, source):
        texts, tokens, _ = x.shape

        def heads(part):
            split = self.dense(x, f"{source}.attention.self.{part}")
            return split.reshape(texts, tokens, HEADS, -1).transpose(0, 2, 1, 3)

        query, key, value = heads("query"), heads("key"), heads("value")
        scores = query @ key.transpose(0, 1, 3, 2) / np.sqrt(WIDTH // HEADS)
        shares = np.exp(scores - scores.max(-1, keepdims=True))
        shares = shares / shares.sum(-1, keepdims=True)
        mixed = (shares @ value).transpose(0, 2, 1, 3).reshape(texts, tokens, WIDTH)
        x = x + self.dense(mixed, f"{source}.attention.output.dense")
        x = self.norm(x, f"{source}.attention.output.LayerNorm")
        wide = self.dense(x, f"{source}.intermediate.dense")
        wide = wide * 0.5 * (1 + erf(wide / np.sqrt(2)))
        x = x + self.dense(wide, f"{source}.output.dense")
        return self.norm(x, f"{source}.output.LayerNorm")

    def vectors(self, ids):
        """The mean of the last layer over all tokens, of length 1."""
        mean = self.states(ids).mean(1)
        return mean / np.linalg.norm(mean, axis=-1, keepdims=True)
