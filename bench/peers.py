"""The engines that bench/embed_vs.py measures, each called as its users call it from Python.

Every engine's `embed(texts)` tokenizes and returns unit vectors, float32[len(texts)][dim]. An engine that can be timed without
tokenizing also has `prepare(texts)` and `run_alone`, which computes the prepared texts and drops the result. The package of an
engine is imported when the first such engine is made.
"""
import ctypes
import os
import pathlib
import time

import numpy as np

import libdipper

MAX_TOKENS = 256


class Library:
    """libdipper and its version."""

    def __init__(self, build):
        self.lib = libdipper.load(build)
        self.version = self.lib.dp_version().decode()


class Dipper:
    """Dipper through its C library: one call embeds all the texts."""

    def __init__(self, dipper, folder, precision, threads):
        self.name, self.setting, self.threads = f"Dipper {precision}", threads_words(threads), threads
        self.lib, self.runtime, self.model, self.error = dipper.lib, ctypes.c_void_p(), ctypes.c_void_p(), libdipper.Error()
        options = libdipper.RuntimeOptions(threads=threads)
        self.check(self.lib.dp_runtime_new(options, self.runtime, self.error))
        model = libdipper.ModelOptions(precision={"int8": 0, "fp32": 1}[precision])
        self.check(self.lib.dp_model_open(self.runtime, str(folder).encode(), model, self.model, self.error))
        self.dim = self.lib.dp_model_dim(self.model)

    def check(self, status):
        if status != 0:
            raise RuntimeError(f"Dipper: {self.error.message.decode()}")

    def begin(self):
        pass

    def embed(self, texts):
        out = np.empty((len(texts), self.dim), np.float32)
        self.check(self.lib.dp_embed(self.model, strings(texts), len(texts), None, out.ctypes.data, self.error))
        return out

    def tokenize(self, texts):
        """Returns the ids of all texts, one text after another, and the end of each text."""
        ids, ends = np.empty(len(texts) * MAX_TOKENS, np.int32), np.empty(len(texts), np.uintp)
        self.check(self.lib.dp_tokenize(self.model, strings(texts), len(texts), ids.ctypes.data, len(ids),
                                        ends.ctypes.data, self.error))
        return ids[:ends[-1]], ends

    def close(self):
        self.lib.dp_model_close(self.model)
        self.lib.dp_runtime_free(self.runtime)


def strings(texts):
    return (ctypes.c_char_p * len(texts))(*[text.encode() for text in texts])


def threads_words(threads):
    return f"{threads} thread{'s' if threads > 1 else ''}"


def load_tokenizer(folder):
    """The tokenizer of the `tokenizers` package: cuts texts where the model does, without padding."""
    import tokenizers
    tokenizer = tokenizers.Tokenizer.from_file(str(pathlib.Path(folder) / "tokenizer.json"))
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.no_padding()
    return tokenizer


class OnnxRuntime:
    """ONNX Runtime: `sessions` of `threads` threads each compute batches side by side.

    It tokenizes all texts at once, sorts them by length and pads each to the longest of its batch. numpy takes the mean over
    tokens and scales it to length 1.
    """

    def __init__(self, folder, precision, threads, batch=1, sessions=1):
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before the import: otherwise its builds report to their maker
        import onnxruntime
        from concurrent.futures import ThreadPoolExecutor
        self.name = f"ONNX Runtime {precision}"
        self.setting = (f"{sessions} sessions of " if sessions > 1 else "") + threads_words(threads)
        self.threads, self.batch, self.sessions = threads, batch, sessions
        self.tokenizer = load_tokenizer(folder)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        file = pathlib.Path(folder) / "onnx" / ("model.onnx" if precision == "fp32" else "model_int8.onnx")
        self.all = [onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
                    for _ in range(sessions)]
        self.pool = ThreadPoolExecutor(sessions) if sessions > 1 else None
        self.free = list(self.all)  # list.pop and list.append are atomic

    def begin(self):
        os.environ["TOKENIZERS_PARALLELISM"] = "true" if self.threads * self.sessions > 1 else "false"

    def feed(self, encodings):
        longest = max(len(e.ids) for e in encodings)
        ids, mask = np.zeros((2, len(encodings), longest), np.int64)
        for row, encoding in enumerate(encodings):
            ids[row, :len(encoding.ids)] = encoding.ids
            mask[row, :len(encoding.ids)] = 1
        return {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}

    def run(self, feed):
        session = self.free.pop()
        try:
            return session.run(["last_hidden_state"], feed)[0]
        finally:
            self.free.append(session)

    def vectors(self, feed):
        mask = feed["attention_mask"].astype(np.float32)
        mean = np.matmul(mask[:, None, :], self.run(feed))[:, 0] / mask.sum(1, keepdims=True)
        return mean / np.linalg.norm(mean, axis=1, keepdims=True)

    def each(self, work, items):
        return list(self.pool.map(work, items)) if self.pool else [work(item) for item in items]

    def batches(self, texts):
        """Returns the texts' order by length, and a feed for each batch in that order."""
        encodings = self.tokenizer.encode_batch_fast(texts)
        if len(texts) == 1:
            return [0], [self.feed(encodings)]
        order = sorted(range(len(texts)), key=lambda i: len(encodings[i].ids), reverse=True)
        return order, [self.feed([encodings[i] for i in order[at:at + self.batch]])
                       for at in range(0, len(order), self.batch)]

    def embed(self, texts):
        order, feeds = self.batches(texts)
        out = np.empty((len(texts), 384), np.float32)
        out[order] = np.concatenate(self.each(self.vectors, feeds))
        return out

    def prepare(self, texts):
        return self.batches(texts)[1]

    def run_alone(self, feeds):
        self.each(self.run, feeds)

    def close(self):
        self.all, self.free = [], []
        if self.pool:
            self.pool.shutdown()


class SentenceTransformers:
    def __init__(self, folder, threads, batch=1):
        import sentence_transformers
        import torch
        import transformers
        transformers.utils.logging.disable_progress_bar()
        self.name, self.setting, self.threads, self.batch = "sentence-transformers", threads_words(threads), threads, batch
        self.torch = torch
        self.model = sentence_transformers.SentenceTransformer(str(folder), device="cpu")

    def begin(self):
        os.environ["TOKENIZERS_PARALLELISM"] = "true" if self.threads > 1 else "false"
        self.torch.set_num_threads(self.threads)  # for the whole process

    def embed(self, texts):
        return self.model.encode(texts, batch_size=self.batch, normalize_embeddings=True, show_progress_bar=False)

    def close(self):
        pass


def settle():
    """Waits until the threads of the last engine sleep: some spin for a while after their work."""
    time.sleep(0.2)
