#!/usr/bin/env python3
"""Makes tests/data/onnx: a random BERT of a few thousand weights as safetensors and as ONNX files, with its vectors.

    make_onnx_golden.py OUT_DIR        (with the packages of bench/requirements-onnx.txt)

OUT_DIR/tiny is a model folder: two layers, 16 dimensions, 24 tokens, a vocabulary of words and letters. Its onnx/ has

    model.onnx                  the usual graph (bench/export_onnx.py): three int64 inputs, last_hidden_state
    model_int8.onnx             its dynamic quantisation, which depends on a text's neighbours
    sentence.onnx               two int32 inputs; token_embeddings, and sentence_embedding as mean pooling gives it
    only_sentence.onnx          the same with sentence_embedding alone
    outside.onnx                the same as model.onnx, its weights in outside.onnx_data
    ids_only.onnx               a graph of input_ids alone: rows of the embedding table, its output's name unknown
    bad_*.onnx                  graphs that the engine must refuse, each named for why

OUT_DIR/expected.json: texts, their token ids, and their normalised vectors for each pooling, computed here with
numpy in double precision: neither ONNX Runtime's nor Dipper's arithmetic.
"""
import importlib.util
import json
import math
import os
import pathlib
import struct
import sys

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

TOP = pathlib.Path(__file__).resolve().parents[2]
LAYERS, HIDDEN, HEADS, INTERMEDIATE, POSITIONS, MAX_TOKENS = 2, 16, 2, 24, 32, 24
WORDS = ["cat", "dog", "wing", "heat", "salt", "pepper", "flow", "river", "boat", "sail", "wind", "star"]
LETTERS = "abcdefghijklmnopqrstuvwxyz"
VOCAB = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *LETTERS, *("##" + c for c in LETTERS), *WORDS]
TEXTS = ["cat", "dog sail", "The river flows; boats sail.", "heat", "salt pepper salt pepper salt pepper", "wind wind",
         "star of the sea", "a cat, a dog and a boat on the river under the stars, in the wind, with salt and pepper"]
CONFIG = {"model_type": "bert", "hidden_act": "gelu", "hidden_size": HIDDEN, "num_hidden_layers": LAYERS,
          "num_attention_heads": HEADS, "intermediate_size": INTERMEDIATE, "vocab_size": len(VOCAB),
          "max_position_embeddings": POSITIONS, "layer_norm_eps": 1e-12, "pad_token_id": 0,
          "position_embedding_type": "absolute"}


def exporter():
    spec = importlib.util.spec_from_file_location("export_onnx", TOP / "bench" / "export_onnx.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# ---- the model ----

def make_weights():
    random = np.random.default_rng(20)
    weights = {}

    def matrix(name, rows, columns):
        weights[name] = (random.standard_normal((rows, columns)) / math.sqrt(columns)).astype(np.float32)

    def vector(name, size, around=0.0):
        weights[name] = (around + 0.1 * random.standard_normal(size)).astype(np.float32)

    def norm(name):
        vector(name + ".weight", HIDDEN, 1.0)
        vector(name + ".bias", HIDDEN)

    matrix("embeddings.word_embeddings.weight", len(VOCAB), HIDDEN)
    matrix("embeddings.position_embeddings.weight", POSITIONS, HIDDEN)
    matrix("embeddings.token_type_embeddings.weight", 2, HIDDEN)
    norm("embeddings.LayerNorm")
    for layer in range(LAYERS):
        prefix = f"encoder.layer.{layer}."
        for name, rows, columns in (("attention.self.query", HIDDEN, HIDDEN), ("attention.self.key", HIDDEN, HIDDEN),
                                    ("attention.self.value", HIDDEN, HIDDEN),
                                    ("attention.output.dense", HIDDEN, HIDDEN),
                                    ("intermediate.dense", INTERMEDIATE, HIDDEN), ("output.dense", HIDDEN, INTERMEDIATE)):
            matrix(prefix + name + ".weight", rows, columns)
            vector(prefix + name + ".bias", rows)
        norm(prefix + "attention.output.LayerNorm")
        norm(prefix + "output.LayerNorm")
    return weights


def write_safetensors(path, weights):
    header, data = {}, b""
    for name, tensor in weights.items():
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [len(data), len(data) + tensor.nbytes]}
        data += tensor.tobytes()
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def write_folder(folder, weights):
    (folder / "onnx").mkdir(parents=True, exist_ok=True)
    (folder / "1_Pooling").mkdir(exist_ok=True)
    write_safetensors(folder / "model.safetensors", weights)
    modules = [{"idx": i, "name": str(i), "path": path, "type": "sentence_transformers.models." + kind}
               for i, (path, kind) in enumerate((("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")))]
    special = [{"id": i, "content": VOCAB[i], "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
                "special": True} for i in range(4)]
    tokenizer = {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": special,
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None,
                       "lowercase": True},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]}, "decoder": None,
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": {word: i for i, word in enumerate(VOCAB)}}}
    for name, content in (("config.json", CONFIG), ("modules.json", modules), ("tokenizer.json", tokenizer),
                          ("sentence_bert_config.json", {"max_seq_length": MAX_TOKENS, "do_lower_case": False}),
                          ("1_Pooling/config.json", {"word_embedding_dimension": HIDDEN, "pooling_mode_mean_tokens": True})):
        (folder / name).write_text(json.dumps(content) + "\n", encoding="utf-8")


# ---- the oracle ----

def tokens_of(text):
    """WordPiece over these texts, which are ASCII words, spaces and punctuation that the vocabulary lacks."""
    ids = [VOCAB.index("[CLS]")]
    word = ""
    for c in text.lower() + " ":
        if c.isalpha():
            word += c
            continue
        while word:
            prefix = "" if word[0] != "#" else "##"
            rest = word[len(prefix):]
            cut = next(n for n in range(len(rest), 0, -1) if prefix + rest[:n] in VOCAB)
            ids.append(VOCAB.index(prefix + rest[:cut]))
            word = "##" + rest[cut:] if rest[cut:] else ""
        if not c.isspace():
            ids.append(VOCAB.index("[UNK]"))
    return ids[:MAX_TOKENS - 1] + [VOCAB.index("[SEP]")]


def hidden_states(weights, ids):
    """BERT in double precision, one text."""
    w = {name: tensor.astype(np.float64) for name, tensor in weights.items()}

    def norm(name, x):
        centred = x - x.mean(-1, keepdims=True)
        return centred / np.sqrt((centred ** 2).mean(-1, keepdims=True) + 1e-12) * w[name + ".weight"] + w[name + ".bias"]

    def dense(name, x):
        return x @ w[name + ".weight"].T + w[name + ".bias"]

    x = w["embeddings.word_embeddings.weight"][ids] + w["embeddings.position_embeddings.weight"][:len(ids)]
    x = norm("embeddings.LayerNorm", x + w["embeddings.token_type_embeddings.weight"][0])
    size = HIDDEN // HEADS
    for layer in range(LAYERS):
        prefix = f"encoder.layer.{layer}."
        q, k, v = (dense(prefix + "attention.self." + part, x) for part in ("query", "key", "value"))
        context = np.empty_like(x)
        for head in range(HEADS):
            part = slice(head * size, (head + 1) * size)
            scores = np.exp(q[:, part] @ k[:, part].T / math.sqrt(size))
            context[:, part] = scores / scores.sum(-1, keepdims=True) @ v[:, part]
        x = norm(prefix + "attention.output.LayerNorm", x + dense(prefix + "attention.output.dense", context))
        inner = dense(prefix + "intermediate.dense", x)
        inner = inner / 2 * (1 + np.vectorize(math.erf)(inner / math.sqrt(2)))
        x = norm(prefix + "output.LayerNorm", x + dense(prefix + "output.dense", inner))
    return x


def write_expected(path, weights):
    poolings = {"mean": lambda h: h.mean(0), "cls": lambda h: h[0], "max": lambda h: h.max(0), "last": lambda h: h[-1]}
    answers = []
    for text in TEXTS:
        ids = tokens_of(text)
        states = hidden_states(weights, ids)
        vectors = {name: pool(states) for name, pool in poolings.items()}
        answers.append({"text": text, "ids": ids,
                        "vectors": {name: [round(float(x), 9) for x in v / np.linalg.norm(v)] for name, v in vectors.items()}})
    path.write_text("[\n" + ",\n".join(json.dumps(answer) for answer in answers) + "\n]\n", encoding="utf-8")


# ---- more graphs ----

def value(name, kind, *shape):
    return helper.make_tensor_value_info(name, kind, shape)


def save(folder, name, nodes, inputs, outputs, constants=()):
    graph = helper.make_graph(nodes, name, inputs, outputs, list(constants))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(folder / f"{name}.onnx"))


def with_sentence(model, only):
    """Two int32 inputs, and mean pooling within the graph."""
    model = onnx.ModelProto.FromString(model.SerializeToString())
    graph = model.graph
    node = helper.make_node
    ids, mask = (value(name, TensorProto.INT32, "texts", "tokens") for name in ("input_ids", "attention_mask"))
    before = [node("Cast", ["input_ids"], ["ids64"], to=TensorProto.INT64), node("Cast", ["attention_mask"], ["mask64"], to=TensorProto.INT64),
              node("Mul", ["ids64", "zero"], ["types64"])]
    renamed = {"input_ids": "ids64", "attention_mask": "mask64", "token_type_ids": "types64", "last_hidden_state": "token_embeddings"}
    for inner in graph.node:
        inner.input[:] = [renamed.get(name, name) for name in inner.input]
        inner.output[:] = [renamed.get(name, name) for name in inner.output]
    after = [node("Cast", ["attention_mask"], ["weights2"], to=TensorProto.FLOAT), node("Unsqueeze", ["weights2"], ["weights"], axes=[2]),
             node("Mul", ["token_embeddings", "weights"], ["weighted"]), node("ReduceSum", ["weighted"], ["sum"], axes=[1], keepdims=0),
             node("ReduceSum", ["weights"], ["count"], axes=[1], keepdims=0), node("Div", ["sum", "count"], ["sentence_embedding"])]
    nodes = before + list(graph.node) + after
    outputs = [] if only else [value("token_embeddings", TensorProto.FLOAT, "texts", "tokens", HIDDEN)]
    outputs.append(value("sentence_embedding", TensorProto.FLOAT, "texts", HIDDEN))
    constants = list(graph.initializer) + [numpy_helper.from_array(np.array(0, np.int64), "zero")]
    made = helper.make_model(helper.make_graph(nodes, "sentence", [ids, mask], outputs, constants),
                             opset_imports=model.opset_import, ir_version=8)
    onnx.checker.check_model(made, full_check=True)
    return made


def write_odd_graphs(folder, table):
    """Graphs of one node or two: rows of the embedding table."""
    node = helper.make_node
    words = numpy_helper.from_array(table, "table")
    flow, i64 = TensorProto.FLOAT, TensorProto.INT64
    ids, mask = value("input_ids", i64, "texts", "tokens"), value("attention_mask", i64, "texts", "tokens")
    rows = value("last_hidden_state", flow, "texts", "tokens", HIDDEN)
    gather = node("Gather", ["table", "input_ids"], ["last_hidden_state"])

    save(folder, "ids_only", [node("Gather", ["table", "input_ids"], ["rows"])], [ids],
         [value("rows", flow, "texts", "tokens", HIDDEN)], [words])
    save(folder, "bad_input_name", [gather], [ids, value("position_ids", i64, "texts", "tokens")], [rows], [words])
    save(folder, "bad_no_ids", [node("Gather", ["table", "attention_mask"], ["last_hidden_state"])], [mask], [rows], [words])
    save(folder, "bad_input_type", [node("Cast", ["input_ids"], ["ids"], to=i64), node("Gather", ["table", "ids"], ["last_hidden_state"])],
         [value("input_ids", flow, "texts", "tokens")], [rows], [words])
    save(folder, "bad_input_rank", [node("Unsqueeze", ["input_ids", "axis"], ["ids"]), node("Gather", ["table", "ids"], ["last_hidden_state"])],
         [value("input_ids", i64, "tokens")], [rows], [words, numpy_helper.from_array(np.array([0], np.int64), "axis")])
    save(folder, "bad_fixed_tokens", [gather], [value("input_ids", i64, "texts", 8)],
         [value("last_hidden_state", flow, "texts", 8, HIDDEN)], [words])
    save(folder, "bad_fixed_texts", [gather], [value("input_ids", i64, 3, "tokens")],
         [value("last_hidden_state", flow, 3, "tokens", HIDDEN)], [words])
    save(folder, "bad_output_type", [node("Gather", ["table", "input_ids"], ["rows"]), node("Cast", ["rows"], ["last_hidden_state"], to=TensorProto.FLOAT16)],
         [ids], [value("last_hidden_state", TensorProto.FLOAT16, "texts", "tokens", HIDDEN)], [words])
    save(folder, "bad_outputs", [node("Gather", ["table", "input_ids"], ["rows"]), node("Identity", ["rows"], ["others"])], [ids],
         [value("rows", flow, "texts", "tokens", HIDDEN), value("others", flow, "texts", "tokens", HIDDEN)], [words])
    save(folder, "bad_small_table", [gather], [ids], [rows], [numpy_helper.from_array(table[:4], "table")])
    save(folder, "bad_not_finite", [node("Gather", ["table", "input_ids"], ["rows"]), node("Log", ["rows"], ["last_hidden_state"])],
         [ids], [rows], [words])
    save(folder, "bad_shape", [gather, node("Transpose", ["last_hidden_state"], ["token_embeddings"], perm=[1, 0, 2])], [ids],
         [value("token_embeddings", flow, "texts", "tokens", HIDDEN)], [words])


def main():
    out = pathlib.Path(sys.argv[1])
    folder = out / "tiny"
    weights = make_weights()
    write_folder(folder, weights)
    write_expected(out / "expected.json", weights)
    model = exporter().make_model(weights, CONFIG)
    graphs = folder / "onnx"
    onnx.save(model, str(graphs / "model.onnx"))
    quantize_dynamic(str(graphs / "model.onnx"), str(graphs / "model_int8.onnx"), per_channel=True, weight_type=QuantType.QInt8)
    onnx.save(with_sentence(model, only=False), str(graphs / "sentence.onnx"))
    onnx.save(with_sentence(model, only=True), str(graphs / "only_sentence.onnx"))
    (graphs / "outside.onnx_data").unlink(missing_ok=True)
    onnx.save(model, str(graphs / "outside.onnx"), save_as_external_data=True, location="outside.onnx_data", size_threshold=1024)
    write_odd_graphs(graphs, weights["embeddings.word_embeddings.weight"])


if __name__ == "__main__":
    main()
