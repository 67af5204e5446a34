#!/usr/bin/env python3
"""Compares Dipper's tokenizer with the `tokenizers` package, both on one thread: equal ids, and the ratio of speeds.

    scripts/venv --golden && ninja -C build bench/bench_tokenizer
    build/venv/bin/python bench/tokenizer_vs.py [--build build] [--rounds 15]

It calls the package's three functions: encode, text by text; encode_batch; and encode_batch_fast, which omits the offsets.
Rounds alternate. A figure is the minimum processor time of a round, which other programs disturb least. The script exits
with 1 if any id differs.
"""
import argparse
import json
import os
import pathlib
import random
import struct
import subprocess
import sys
import tempfile
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
import tokenizers  # noqa: E402

SOURCE = pathlib.Path(__file__).resolve().parent.parent
DATA = SOURCE / "tests" / "data"
sys.path.insert(0, str(SOURCE / "examples" / "cranfield"))

# Ranges of letters, for texts of many scripts; the weights make Latin words the most frequent.
SCRIPTS = [
    (8, "abcdefghijklmnopqrstuvwxyz"), (2, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"), (4, "àâäçéèêëîïôöùûüßñãõåæøœ"),
    (2, "ĂĐĄĆĘŁŃŚŹŻČĎĚŇŘŠŤŮŽİı"), (3, "абвгдеёжзийклмнопрстуфхцчшщъыьэюя"), (2, "αβγδεζηθικλμνξοπρστυφχψωάέήίόύώ"),
    (2, "".join(map(chr, range(0x4E00, 0x9FA5, 37)))), (2, "".join(map(chr, range(0xAC00, 0xD7A3, 41)))),
    (1, "".join(map(chr, range(0x3041, 0x30FF)))), (1, "".join(map(chr, range(0x0621, 0x0652)))),
    (1, "".join(map(chr, range(0x0905, 0x094D)))), (1, "".join(map(chr, range(0x0E01, 0x0E3A)))),
    (1, "".join(map(chr, range(0x1F600, 0x1F64F)))), (1, "e\u0301a\u0300o\u0308n\u0303"),
]
MARKS = [" ", " ", " ", " ", ", ", ". ", "、", " – ", "\u00a0", "\n", "'"]


def scripts_texts(count=400, words=80):
    """Texts with words of many scripts, the same in every run."""
    rng = random.Random(7)
    pools = [(pool, weight) for weight, pool in SCRIPTS]
    choices, weights = [p for p, _ in pools], [w for _, w in pools]
    texts = []
    for _ in range(count):
        parts = []
        for pool in rng.choices(choices, weights, k=words):
            parts.append("".join(rng.choices(pool, k=rng.randint(1, 9))))
            parts.append(rng.choice(MARKS))
        texts.append("".join(parts))
    return texts


def nasty_texts():
    """The difficult corpus of the tests, without invalid UTF-8, which a Python string cannot hold."""
    with open(DATA / "tokenizer" / "nasty.jsonl", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return [row["text"] * row.get("repeat", 1) for row in rows if "text" in row]


def corpora():
    import cranfield
    return {
        "Cranfield documents": [text for _, _, text in cranfield.documents()],
        "Cranfield queries": cranfield.queries(),
        "many scripts": scripts_texts(),
        "difficult texts": nasty_texts(),
    }


class Ours:
    def __init__(self, program, tokenizer, texts, folder):
        self.folder = folder
        path = folder / "texts"
        path.write_bytes(b"".join(struct.pack("<I", len(t)) + t for t in (text.encode() for text in texts)))
        self.process = subprocess.Popen([program, tokenizer, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            sys.exit("tokenizer_vs: bench_tokenizer ended")
        return answer.split()

    def run(self):
        return int(self.ask("run")[0]) * 1e-9

    def ids(self):
        path = self.folder / "ids"
        self.ask(f"ids {path}")
        data = path.read_bytes()
        at, ids = 0, []
        while at < len(data):
            (count,) = struct.unpack_from("<I", data, at)
            ids.append(list(struct.unpack_from(f"<{count}i", data, at + 4)))
            at += 4 + 4 * count
        return ids

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def timed(work):
    began = time.thread_time()
    work()
    return time.thread_time() - began


def compare(name, texts, args):
    package = tokenizers.Tokenizer.from_file(str(args.tokenizer))
    package.no_truncation()
    package.no_padding()
    with tempfile.TemporaryDirectory() as folder:
        ours = Ours(args.build / "bench" / "bench_tokenizer", args.tokenizer, texts, pathlib.Path(folder))
        expected, found = [e.ids for e in package.encode_batch(texts)], ours.ids()
        wrong = sum(a != b for a, b in zip(expected, found)) + abs(len(expected) - len(found))
        ways = {
            "ours": ours.run,
            "encode": lambda: timed(lambda: [package.encode(t) for t in texts]),
            "encode_batch": lambda: timed(lambda: package.encode_batch(texts)),
            "encode_batch_fast": lambda: timed(lambda: package.encode_batch_fast(texts)),
        }
        least = {way: float("inf") for way in ways}
        for _ in range(args.rounds):
            for way, run in ways.items():
                least[way] = min(least[way], run())
        ours.close()
    size = sum(len(t.encode()) for t in texts)
    tokens = sum(map(len, expected))
    print(f"\n{name}: {len(texts)} texts, {size / 1e6:.2f} MB, {tokens} tokens; {wrong} texts differ")
    for way, seconds in least.items():
        times = "" if way == "ours" else f"   {seconds / least['ours']:6.1f} × our time"
        print(f"  {way:<18} {seconds * 1e3:9.3f} ms   {size / seconds / 1e6:7.1f} MB/s   "
              f"{tokens / seconds / 1e6:7.2f} M tokens/s{times}")
    return wrong


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    options.add_argument("--build", type=pathlib.Path, default=SOURCE / "build", help="build folder (default build)")
    options.add_argument("--tokenizer", type=pathlib.Path,
                         default=DATA / "tokenizers" / "bert-base-uncased" / "tokenizer.json")
    options.add_argument("--rounds", type=int, default=15)
    args = options.parse_args()
    print(f"tokenizers {tokenizers.__version__}, {args.tokenizer}, least of {args.rounds} interleaved rounds, "
          "processor time of one thread")
    wrong = sum(compare(name, texts, args) for name, texts in corpora().items())
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
