#!/usr/bin/env python3
"""bench/export_onnx.py MODEL_DIR OUT: writes a BERT model folder's weights as ONNX files, fp32 and int8.

    python3 -m venv build/onnx-venv
    build/onnx-venv/bin/pip install -r bench/requirements-onnx.txt
    build/onnx-venv/bin/python bench/export_onnx.py models/all-MiniLM-L6-v2 build/onnx/all-MiniLM-L6-v2

OUT becomes a model folder of its own, for `dipper … --model OUT --engine onnx` and for measuring ONNX Runtime:

    OUT/onnx/model.onnx        fp32; inputs input_ids, attention_mask, token_type_ids: int64[batch, sequence];
                               output last_hidden_state: float[batch, sequence, hidden]
    OUT/onnx/model_int8.onnx   the same by onnxruntime's dynamic quantisation, weights int8 per channel
    OUT/*.json, OUT/1_Pooling/config.json …   the folder's own configuration and tokenizer

No torch: the script reads model.safetensors itself, and builds the graph of the BERT encoder with `onnx`. The graph has the
same nodes as those of PyTorch's older exporter, because ONNX Runtime's optimizer knows these. The script then loads both files with
all optimizations and fails unless they took effect: in fp32 one Attention, one BiasGelu and two LayerNormalization
per layer (SkipLayerNormalization is made only for graphs of a fixed length), in int8 no matrix product left in fp32
but those of attention.

The script quantises this graph, not one that was fused before. On AVX-512 VNNI, with a single thread, int8 models from
fused graphs (QAttention, SkipLayerNormalization, EmbedLayerNormalization) took 4 % longer for 12 tokens and 17 % longer
for 176. An fp32 model that onnxruntime.transformers had fused was no faster than one that is fused when it is loaded. So
the benchmark measures ONNX Runtime at its best.
"""
import argparse
import collections
import json
import os
import shutil
import struct
import tempfile

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before the import: else its builds send reports to their maker

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

OPSET = 11  # ONNX Runtime's attention fusion was made for the graphs of exporters that wrote this version
MASKED = -10000.0  # added to the score of a masked token, as in the official export


def read_safetensors(path):
    """name → array. The format: u64 length of a JSON header, the header, the bytes it points into."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data = file.read()
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        if entry["dtype"] not in ("F32", "F16", "I64"):
            raise SystemExit(f"{path}: tensor {name} is {entry['dtype']}; F32 and F16 are read")
        begin, end = entry["data_offsets"]
        kind = {"F32": np.float32, "F16": np.float16, "I64": np.int64}[entry["dtype"]]
        tensors[name] = np.frombuffer(data[begin:end], kind).reshape(entry["shape"])
    return tensors


class Graph:
    """Collects nodes and constants; every method returns the name of its result."""

    def __init__(self):
        self.nodes, self.constants = [], {}

    def constant(self, name, value):
        self.constants.setdefault(name, numpy_helper.from_array(np.array(value, order="C"), name))
        return name

    def integers(self, *values):
        return self.constant("ints_" + "_".join(str(v) for v in values), np.array(values, np.int64))

    def scalar(self, value, kind=np.float32):
        return self.constant(f"scalar_{np.dtype(kind).name}_{value}", np.array(value, kind))

    def node(self, op, inputs, name, **attributes):
        self.nodes.append(helper.make_node(op, inputs, [name], name=f"{op}:{name}", **attributes))
        return name


def embeddings(g, weights, epsilon):
    """word + token type + position, then a norm."""
    shape = g.node("Shape", ["input_ids"], "ids_shape")
    length = g.node("Gather", [shape, g.scalar(1, np.int64)], "ids_length", axis=0)
    order = g.node("Range", [g.scalar(0, np.int64), length, g.scalar(1, np.int64)], "order")
    order = g.node("Unsqueeze", [order], "order_row", axes=[0])
    order = g.node("Expand", [order, shape], "position_ids")
    tables = {}
    for kind, ids in (("word", "input_ids"), ("token_type", "token_type_ids"), ("position", order)):
        name = f"embeddings.{kind}_embeddings.weight"
        tables[kind] = g.node("Gather", [g.constant(name, weights[name]), ids], f"{kind}_rows", axis=0)
    rows = g.node("Add", [tables["word"], tables["token_type"]], "word_and_type")
    rows = g.node("Add", [rows, tables["position"]], "embedded")
    return norm(g, weights, "embeddings.LayerNorm", rows, epsilon)


def norm(g, weights, name, x, epsilon):
    """(x - mean) / √(variance + epsilon) · gamma + beta, in the primitives that become one LayerNormalization."""
    gamma = g.constant(name + ".weight", weights[name + ".weight"])
    beta = g.constant(name + ".bias", weights[name + ".bias"])
    mean = g.node("ReduceMean", [x], name + ".mean", axes=[-1])
    centred = g.node("Sub", [x, mean], name + ".centred")
    square = g.node("Pow", [centred, g.scalar(2.0)], name + ".square")
    variance = g.node("ReduceMean", [square], name + ".variance", axes=[-1])
    variance = g.node("Add", [variance, g.scalar(epsilon)], name + ".above_zero")
    deviation = g.node("Sqrt", [variance], name + ".deviation")
    unit = g.node("Div", [centred, deviation], name + ".unit")
    scaled = g.node("Mul", [unit, gamma], name + ".scaled")
    return g.node("Add", [scaled, beta], name + ".out")


def dense(g, weights, name, x):
    weight = g.constant(name + ".weight_t", weights[name + ".weight"].T)
    product = g.node("MatMul", [x, weight], name + ".product")
    return g.node("Add", [product, g.constant(name + ".bias", weights[name + ".bias"])], name + ".out")


def gelu(g, x, prefix):
    """x/2 · (1 + erf(x/√2))"""
    scaled = g.node("Div", [x, g.scalar(float(np.float32(np.sqrt(2))))], prefix + ".gelu_scaled")
    erf = g.node("Erf", [scaled], prefix + ".gelu_erf")
    one = g.node("Add", [erf, g.scalar(1.0)], prefix + ".gelu_shifted")
    product = g.node("Mul", [x, one], prefix + ".gelu_product")
    return g.node("Mul", [product, g.scalar(0.5)], prefix + ".gelu")


def attention(g, weights, prefix, x, mask, heads, hidden):
    split = {}
    for part, order in (("query", (0, 2, 1, 3)), ("key", (0, 2, 3, 1)), ("value", (0, 2, 1, 3))):
        name = f"{prefix}.attention.self.{part}"
        rows = dense(g, weights, name, x)
        rows = g.node("Reshape", [rows, g.integers(0, 0, heads, hidden // heads)], name + ".heads")
        split[part] = g.node("Transpose", [rows], name + ".turned", perm=order)
    scores = g.node("MatMul", [split["query"], split["key"]], prefix + ".scores")
    scores = g.node("Div", [scores, g.scalar(float(np.float32(np.sqrt(hidden // heads))))], prefix + ".scaled")
    scores = g.node("Add", [scores, mask], prefix + ".masked")
    shares = g.node("Softmax", [scores], prefix + ".shares", axis=3)
    context = g.node("MatMul", [shares, split["value"]], prefix + ".context")
    context = g.node("Transpose", [context], prefix + ".context_turned", perm=(0, 2, 1, 3))
    context = g.node("Reshape", [context, g.integers(0, 0, hidden)], prefix + ".context_rows")
    return dense(g, weights, prefix + ".attention.output.dense", context)


def mask_of(g):
    """(1 - mask) · MASKED, one row for all heads and queries."""
    mask = g.node("Unsqueeze", ["attention_mask"], "mask_1", axes=[1])
    mask = g.node("Unsqueeze", [mask], "mask_2", axes=[2])
    mask = g.node("Cast", [mask], "mask_float", to=TensorProto.FLOAT)
    mask = g.node("Sub", [g.scalar(1.0), mask], "mask_out")
    return g.node("Mul", [mask, g.scalar(MASKED)], "mask_added")


def make_model(weights, config):
    """The encoder as an ONNX model, not yet optimised."""
    g = Graph()
    epsilon, hidden, heads = config["layer_norm_eps"], config["hidden_size"], config["num_attention_heads"]
    x = embeddings(g, weights, epsilon)
    mask = mask_of(g)
    for layer in range(config["num_hidden_layers"]):
        prefix = f"encoder.layer.{layer}"
        out = attention(g, weights, prefix, x, mask, heads, hidden)
        x = norm(g, weights, prefix + ".attention.output.LayerNorm",
                 g.node("Add", [out, x], prefix + ".attention_sum"), epsilon)
        out = dense(g, weights, prefix + ".intermediate.dense", x)
        out = dense(g, weights, prefix + ".output.dense", gelu(g, out, prefix))
        x = norm(g, weights, prefix + ".output.LayerNorm", g.node("Add", [out, x], prefix + ".ffn_sum"), epsilon)
    g.nodes[-1].output[0] = "last_hidden_state"

    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch_size", "sequence_length"])
              for name in ("input_ids", "attention_mask", "token_type_ids")]
    output = helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT,
                                           ["batch_size", "sequence_length", hidden])
    graph = helper.make_graph(g.nodes, "bert", inputs, [output], list(g.constants.values()))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8,
                              producer_name="dipper bench/export_onnx.py")
    onnx.checker.check_model(model, full_check=True)
    return model


def optimised(path, out):
    """Loads `path` as a user would, writes the optimised graph to `out`; returns how often each operator is in it."""
    options = ort.SessionOptions()
    options.optimized_model_filepath = out
    options.log_severity_level = 3
    ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return collections.Counter(node.op_type for node in onnx.load(out).graph.node)


def expect(what, operators, wanted):
    missing = {op: (operators[op], n) for op, n in wanted.items() if operators[op] != n}
    if missing:
        raise SystemExit(f"{what}: ONNX Runtime's fusions did not take effect, found and wanted: {missing};"
                         f" all operators: {dict(operators)}")


def copy_configuration(source, out):
    for folder, _, files in os.walk(source):
        for name in files:
            if name.endswith(".json") or name == "vocab.txt":
                target = os.path.join(out, os.path.relpath(folder, source))
                os.makedirs(target, exist_ok=True)
                shutil.copyfile(os.path.join(folder, name), os.path.join(target, name))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", help="a folder with config.json and model.safetensors of a BERT encoder")
    parser.add_argument("out")
    arguments = parser.parse_args()

    with open(f"{arguments.model}/config.json", encoding="utf-8") as file:
        config = json.load(file)
    if config["model_type"] != "bert" or config["hidden_act"] != "gelu":
        raise SystemExit(f"{arguments.model}: only BERT with GELU is exported here")
    weights = {name.removeprefix("bert."): tensor.astype(np.float32)
               for name, tensor in read_safetensors(f"{arguments.model}/model.safetensors").items()}
    layers = config["num_hidden_layers"]

    copy_configuration(arguments.model, arguments.out)
    os.makedirs(f"{arguments.out}/onnx", exist_ok=True)
    fp32, int8 = (f"{arguments.out}/onnx/model{suffix}.onnx" for suffix in ("", "_int8"))
    onnx.save(make_model(weights, config), fp32)
    quantize_dynamic(fp32, int8, per_channel=True, weight_type=QuantType.QInt8)
    with tempfile.TemporaryDirectory() as scratch:
        operators = optimised(fp32, f"{scratch}/fp32.onnx")
        print(fp32, "optimised:", dict(operators))
        expect(fp32, operators, {"Attention": layers, "BiasGelu": layers, "LayerNormalization": 2 * layers + 1,
                                 "MatMul": 3 * layers, "Softmax": 0, "Erf": 0})
        operators = optimised(int8, f"{scratch}/int8.onnx")
        print(int8, "optimised:", dict(operators))
        expect(int8, operators, {"DynamicQuantizeMatMul": 3 * layers, "MatMulIntegerToFloat": 3 * layers,
                                 "MatMul": layers, "Gelu": layers, "Erf": 0})


if __name__ == "__main__":
    main()
