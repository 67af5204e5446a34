#!/usr/bin/env python3
"""Makes tests/data/embedding/minilm-cranfield.golden: what sentence-transformers answers for 425 Cranfield texts.

    make_embedding_golden.py MODEL_DIR CRANFIELD_DIR OUT_FILE

Texts: the 225 queries of cran.qry, then the first 200 documents (.W) of cran.all.1400, in file order, white
space folded to single spaces. Needs sentence-transformers (torch on the CPU), so it is run by hand and its
product is committed; `make check` never needs it.

File, little-endian: "DPGOLD1\\0", u32 texts, u32 dim, then per text: u16 tokens, u16 ids[tokens],
i16 vector[dim] = round(32768 * component). Vectors are normalised, so the rounding moves a cosine by less
than 1e-7.
"""
import re
import struct
import sys

import numpy as np
import torch
from sentence_transformers import SentenceTransformer


def cranfield_texts(path):
    texts, field = [], None
    with open(path, encoding="ascii") as lines:
        for line in lines:
            if line.startswith(".I"):
                texts.append([])
                field = None
            elif re.fullmatch(r"\.[TABWX]\s*", line):
                field = line[1]
            elif field == "W":
                texts[-1] += line.split()
    return [" ".join(words) for words in texts]


def main():
    model_dir, cranfield, out_path = sys.argv[1:4]
    texts = cranfield_texts(f"{cranfield}/cran.qry")
    assert len(texts) == 225
    texts += cranfield_texts(f"{cranfield}/cran.all.1400")[:200]

    torch.set_num_threads(2)
    model = SentenceTransformer(model_dir, device="cpu")
    assert model.max_seq_length == 256
    out = bytearray(b"DPGOLD1\0")
    with torch.no_grad():
        for number, text in enumerate(texts):
            # One at a time: no padding, so that nothing but the text decides the vector.
            vector = model.encode([text], normalize_embeddings=True)[0].astype(np.float64)
            ids = model.tokenizer(text, truncation=True, max_length=256)["input_ids"]
            if number == 0:
                out += struct.pack("<II", len(texts), len(vector))
            out += struct.pack(f"<H{len(ids)}H", len(ids), *ids)
            out += np.rint(vector * 32768).astype("<i2").tobytes()
    with open(out_path, "wb") as file:
        file.write(out)
    print(f"{len(texts)} texts, {len(out)} bytes")


if __name__ == "__main__":
    main()
