"""Makes the smallest models that `fastembed:FOLDER` takes, for tests: an embedder, which is a table of
eight numbers a token, and a reranker, which adds up a number a token.

    pip install numpy onnx
    python tiny.py [FOLDER]          [default: tests/models; they are its folders tiny and tiny-reranker]

A text is cut at white space; a word that the vocabulary lacks is [UNK], and the word `strange` has no
numbers. They take 16 tokens of a text. To the reranker `key` and `pot` are worth 4 and 2, `train` -1.
"""

import json
import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

WIDTH, TOKENS = 8, 16
WORDS = "[PAD] [UNK] [CLS] [SEP] strange key pot blue train friday query: passage: the cat".split()
WORTH = {"key": 4, "pot": 2, "train": -1, "strange": np.nan, "[PAD]": 1000}


def tensor(name, kind, *widths):
    return helper.make_tensor_value_info(name, kind, ["texts", *widths])


def build(name, nodes, constants, outputs):
    inputs = [tensor(name, TensorProto.INT64, "tokens") for name in ("input_ids", "attention_mask")]
    graph = helper.make_graph(nodes, name, inputs, outputs, constants)
    opset = [helper.make_opsetid("", 17)]
    whole = helper.make_model(graph, opset_imports=opset, ir_version=8, producer_name="keepsake")
    onnx.checker.check_model(whole, full_check=True)
    return whole.SerializeToString(deterministic=True)


def embedder():
    table = np.random.RandomState(7).standard_normal((len(WORDS), WIDTH)).astype(np.float32)
    table[WORDS.index("strange")] = np.nan
    table[WORDS.index("[PAD]")] = 1000
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["last_hidden_state"], axis=0),
        helper.make_node("Identity", ["attention_mask"], ["mask"]),
    ]
    states = tensor("last_hidden_state", TensorProto.FLOAT, "tokens", WIDTH)
    outputs = [states, tensor("mask", TensorProto.INT64, "tokens")]
    return build("tiny", nodes, [numpy_helper.from_array(table, "table")], outputs)


def reranker():
    worth = np.array([WORTH.get(word, 0) for word in WORDS], np.float32)
    axes = np.array([1], np.int64)
    nodes = [
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Gather", ["worth", "input_ids"], ["each"], axis=0),
        helper.make_node("Mul", ["each", "mask"], ["masked"]),
        helper.make_node("ReduceSum", ["masked", "axes"], ["logits"], keepdims=1),
    ]
    constants = [numpy_helper.from_array(worth, "worth"), numpy_helper.from_array(axes, "axes")]
    return build("tiny-reranker", nodes, constants, [tensor("logits", TensorProto.FLOAT, 1)])


def tokenizer():
    ids = {word: place for place, word in enumerate(WORDS)}
    marks = [{"SpecialToken": {"id": mark, "type_id": 0}} for mark in ("[CLS]", "[SEP]")]
    single = [marks[0], {"Sequence": {"id": "A", "type_id": 0}}, marks[1]]
    pair = [*single, {"Sequence": {"id": "B", "type_id": 0}}, marks[1]]
    known = {t: {"id": t, "ids": [ids[t]], "tokens": [t]} for t in ("[CLS]", "[SEP]")}
    post = {"single": single, "pair": pair, "special_tokens": known}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": {"type": "Lowercase"},
        "pre_tokenizer": {"type": "WhitespaceSplit"},
        "post_processor": {"type": "TemplateProcessing", **post},
        "decoder": None,
        "model": {"type": "WordLevel", "unk_token": "[UNK]", "vocab": ids},
    }


def write(folder, model):
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        "tokenizer.json": tokenizer(),
        "config.json": {"model_type": "tiny", "pad_token_id": 0, "max_position_embeddings": TOKENS},
        "special_tokens_map.json": {},
        "tokenizer_config.json": {"pad_token": "[PAD]", "model_max_length": 512},
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    (folder / "model.onnx").write_bytes(model)


def main():
    root = pathlib.Path(__file__).parent.parent.parent
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else root / "tests/models"
    write(folder / "tiny", embedder())
    write(folder / "tiny-reranker", reranker())


if __name__ == "__main__":
    main()
