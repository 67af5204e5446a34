#!/usr/bin/env python3
"""Writes tests/data/tokenizer/: what the `tokenizers` package makes of texts, for tests/embed/test_tokenizer.c.

    scripts/venv --golden
    build/venv/bin/python tests/golden/make_tokenizer_golden.py

Ids are written out where a mismatch should be easy to see, and as digests (the first 16 hexadecimal digits of
the SHA-256 of the ids as little-endian 32-bit integers, or of the text's UTF-8) where there are many. Running
this script again gives the same bytes.

cranfield.tsv    d|q <tab> number <tab> then per tokenizer: count <tab> digest
nasty.jsonl      {"name", "text" or "hex" (bytes that need not be UTF-8), "repeat", "ids" or "digest": {tokenizer: …}}
characters.tsv   every Unicode scalar value, 4,096 to a line: first <tab> digests of the normalized text under each
                 of NORMALIZERS, of the ids of the splitting tokenizer, and of the ids of each real tokenizer
custom.jsonl     {"tokenizer": a small tokenizer.json, "cases": [{"text", "max", "overlap", "ids" or "windows"}]}
SHA256SUMS       of the inputs, so that a test can tell a changed input from a changed behaviour
"""
import hashlib
import json
import os
import pathlib
import random
import re
import struct

os.environ["TOKENIZERS_PARALLELISM"] = "false"
from tokenizers import Tokenizer, normalizers  # noqa: E402

DATA = pathlib.Path(__file__).resolve().parent.parent / "data"
OUT = DATA / "tokenizer"
TOKENIZERS = ["bert-base-uncased", "bert-base-chinese", "bert-base-multilingual-cased"]

# clean_text, handle_chinese_chars, strip_accents, lowercase
NORMALIZERS = [(1, 1, 1, 1), (1, 1, 0, 0), (0, 0, 0, 0), (0, 1, 1, 0), (1, 0, 0, 1), (0, 0, 1, 1)]


def digest(data):
    return hashlib.sha256(data).hexdigest()[:16]


def digest_ids(ids):
    return digest(struct.pack(f"<{len(ids)}i", *ids))


def real_tokenizers():
    return {n: Tokenizer.from_file(str(DATA / "tokenizers" / n / "tokenizer.json")) for n in TOKENIZERS}


def write_lines(name, lines):
    (OUT / name).write_bytes("".join(line + "\n" for line in lines).encode())


def dump(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


# ---- Cranfield: the text of a record is all of it but its first line (".I" and the number) ----

def cranfield_texts(name):
    raw = (DATA / "cranfield" / name).read_bytes().decode()
    return [r.split("\n", 1)[1] for r in re.split(r"(?m)^\.I ", raw)[1:]]


def make_cranfield(tokenizers):
    lines = []
    for kind, name in (("d", "cran.all.1400"), ("q", "cran.qry")):
        for number, text in enumerate(cranfield_texts(name), 1):
            row = [kind, str(number)]
            for t in tokenizers.values():
                ids = t.encode(text).ids
                row += [str(len(ids)), digest_ids(ids)]
            lines.append("\t".join(row))
    write_lines("cranfield.tsv", lines)


# ---- the nasty corpus ----

WRITTEN = {
    "empty": "",
    "one space": " ",
    "white space only": " \t\r\n\v\f\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2000\u200a\u2028\u2029\u202f\u205f\u3000",
    "white space inside": "a\tb\nc\rd\ve\ff\x85g\xa0h\u1680i\u2003j\u2028k\u2029l\u202fm\u205fn\u3000o\ufeffp\u180eq",
    "plain": "The quick brown fox jumps over the lazy dog.",
    "mixed case": "UNBELIEVABLE McDonald's iPhone eBay LaTeX",
    "punctuation": "Hello, world! (don't) [x] {y} <z> a-b a_b a--b \"q\" `t` ~!@#$%^&*()_+-=[]{}|;':\",./<>?\\",
    "ascii symbols": "$100 + 5% = £105 ^caret ~tilde `tick` |pipe| <tag>",
    "unicode punctuation": "“quoted” ‘single’ – en — em … ellipsis « guillemets » ‹ › „ ‚ ¿ ¡ § ¶ † ‡ • · ′ ″ ‰ ‱ ※ ‼ ⁇",
    "new punctuation": "⸺ ⸻ ⸼ ⸽ ⹀ ⹁ ⹂ ⹃ ⹄ ⹏ ⹒ \u2e53 \u2e5d \U00011fff \U00016e97 \U0001e95e \U00011ef7 \U0001144b",
    "precomposed accents": "café naïve Ångström Zürich señor façade crème brûlée Đặng Nguyễn Łódź Øresund ßtraße ÆŒæœ",
    "combining accents": "cafe\u0301 nai\u0308ve A\u030angstro\u0308m a\u0300\u0301\u0302\u0303\u0304\u0305 x\u0323\u0307 x\u0307\u0323",
    "marks first": "\u0301abc \u0301 \u0301\u0302 a \u20dd b\u20dd \u0903x \u093e",
    "zalgo": "Z\u0351\u036b\u0343\u036a\u0302\u036b\u033d\u034f\u0334\u0319\u0324\u031e\u0349\u035a\u032fA\u034c\u0365\u0333L\u0313\u0317G\u0342\u0329\u0356O\u0308\u0347\u032c",
    "mark order": "a\u302e\u0301\u302f b\u302f\u302e c\U0001d165\U0001d16d d\U0001d16d\U0001d165 e\U0001d16e\u302e\U0001d165\u0323\u302f f\u0f71\u0f74 g\u0f74\u0f71",
    "marks across dropped": "a\u0323\x00\u0301b e\ufffd\u0301 o\u200d\u0308 u\u00ad\u0308 \u302f\x01\u302e",
    "new marks": "a\u08d3b a\u0898b a\u1acfb a\u1abfb a\U00010ec0b a\U0001193db a\u0c3cb a\u1dfab a\U0001e4efb a\u0cf3b",
    "cjk": "机器学习和自然语言处理。東京都は日本の首都です。한국어 텍스트",
    "cjk without spaces": "深度learning模型2024年abc中文def",
    "cjk extensions": "㐀㒀䶵 𠀀𠮷𪛖 𪜀𫜴 𫝀𫠝 𫠠𬺡 \U0002ceb0\U0002ebe0 \U00030000\U0003134a \U00031350 \u9fff\u9ffe\U0002a6de\U0002b739",
    "cjk compatibility": "豈更車賈滑 \ufa0e\ufa1f\ufa70\ufad9 \U0002f800\U0002f9ff\U0002fa1d ⺀⻳ ⼀⿕ 〆〇〡〩",
    "kana": "ひらがな カタカナ ｶﾀｶﾅ がぎぐ ガギグ か\u3099 ハ\u309a ー々〻ゝゞヽヾ ㍿㌔㎏ 〜・「」、。",
    "hangul": "안녕하세요 대한민국 가각갂힣 \u1100\u1161\u11a8 \u1112\u1175\u11c2 ㄱㄴㄷ \ua960\ud7b0\ud7cb ﾡﾢ",
    "thai": "สวัสดีครับ ภาษาไทยไม่มีช่องว่าง กำ น้ำ เก่ง ๑๒๓ ฿",
    "lao khmer burmese": "ສະບາຍດີ ພາສາລາວ ភាសាខ្មែរ មករា မြန်မာဘာသာ ကျေးဇူး",
    "tibetan": "བོད་སྐད། \u0f43\u0f4d\u0f52\u0f57\u0f5c \u0f69 \u0f73\u0f75\u0f76\u0f78\u0f81",
    "arabic": "مرحبا بالعالم العَرَبِيَّة لا إله ١٢٣ ۱۲۳ ـــ ﷲ ﷺ ﻻ أإآؤئ \u0600\u061c\u06dd\u08e2",
    "hebrew": "שלום עולם שָׁלוֹם יִשְׂרָאֵל ״׳ \ufb1d\ufb2a\ufb4f",
    "devanagari": "नमस्ते दुनिया हिन्दी क्षत्रिय ज्ञान क़ख़ग़ज़ ॐ ।॥ १२३",
    "indic": "বাংলা ড়ঢ়য় ਪੰਜਾਬੀ ਖ਼ ગુજરાતી ଓଡ଼ିଆ தமிழ் తెలుగు ಕನ್ನಡ മലയാളം සිංහල",
    "georgian and armenian": "ᲡᲐᲥᲐᲠᲗᲕᲔᲚᲝ საქართველო ႠႡႢ Հայաստան ՀԱՅ և ՟՜՛",
    "greek": "Ελλάδα ΕΛΛΆΔΑ ΣΊΣΥΦΟΣ σίσυφος ὈΔΥΣΣΕΎΣ ᾳ ᾼ ᾂ ΐ ΰ ῗ ϐϑϕϖ Ω Å",
    "cyrillic": "Россия ёлка ЁЛКА йод ЙОД Київ Ґанок ӐӒӖ Ҋҋ ꙀꙊ \u0483\u0487 ѳѵѷ",
    "turkish": "İstanbul ISPARTA ılık İİ i\u0307 I\u0307 ĞÜŞÖÇ ğüşöç",
    "lithuanian": "Ė ė I\u0307\u0301 i\u0307\u0301 Į\u0307\u0301 į\u0307\u0303",
    "german": "Straße STRASSE ẞ GROẞ",
    "ligatures": "ﬀ ﬁ ﬂ ﬃ ﬄ ﬅ ﬆ ĳ Ĳ ǆ ǅ Ǆ ǉ ǈ Ǉ œ Œ æ ﬓ ﬗ",
    "full width": "Ｆｕｌｌ Ｗｉｄｔｈ ＡＢＣ １２３ ！＂＃＄％＆（）［］ ｶﾞ ￥￦￠￡ ｡｢｣､･",
    "mathematical": "𝐀𝐁𝐂 𝑎𝑏𝑐 𝔸𝔹 ℂℝℤ 𝟘𝟙𝟚 x² y³ H₂O ½ ⅓ ∑∏∫√ ≤≥≠ ≮ ∄ ⫝̸ ⇒ ⇔",
    "letter-like": "№ ™ ℠ ® © ℃ ℉ ℓ ℮ ① ⑩ ⓐ Ⓐ ⒈ ㊀ 🄰 🅐 ⅷ Ⅷ ↀ Ↄ",
    "superscripts": "ᵃᵇᶜ ⁱⁿ ₐₑₒ ª º ʰʷ ˈ ˌ ː ˠ",
    "emoji": "😀 😂😍👍 ❤ ❤️ ☺︎ ☺️ ⌚ ⏰ 🇩🇪🇫🇷 #️⃣ 1️⃣ ©️",
    "emoji joined": "👨\u200d👩\u200d👧\u200d👦 🏳️\u200d🌈 👩🏽\u200d🚀 🧑\u200d💻 🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    "new emoji": "🫠 🫨 🪿 🫎 🪭 🫩 🪾 \U0001fae9 \U0001fadc \U0001fac8",
    "control": "a\x00b a\x01b a\x08b a\x0eb a\x1bb a\x7fb a\x80b a\x9fb \x00\x01\x02 x\x1f\x1ey",
    "format": "a\u00adb a\u200bb a\u200cb a\u200db a\u200eb a\u2060b a\u2061b a\u2066b a\ufeffb a\u061cb a\u180eb a\U000e0001b a\U0001d173b a\u0600b a\U000110bdb a\U000110cdb a\U00013430b",
    "variation selectors": "a\ufe00b a\ufe0fb 葛\U000e0100 a\u180bb a\u180fb",
    "private use": "a\ue000b a\uf8ffb a\U000f0000b a\U000ffffdb a\U00100000b a\U0010fffdb \ue123",
    "unassigned": "a\u0378b a\u0379b a\u05ffb a\u2fe0b a\U0001f0ffb a\U0002ffffb a\U000e0fffb \u0378",
    "noncharacters": "a\ufdd0b a\ufdefb a\ufffeb a\uffffb a\U0001fffeb a\U0001ffffb a\U0010ffffb \uffff",
    "replacement": "a\ufffdb \ufffd \ufffd\ufffd a\ufffcb",
    "100 in a word": "a" * 100 + " b",
    "101 in a word": "a" * 101 + " b",
    "100 wide in a word": "é" * 100 + " b",
    "101 wide in a word": "é" * 101 + " b",
    "100 after stripping": "e\u0301" * 100,
    "101 after stripping": "e\u0301" * 101,
    "100 jamo": "가" * 50 + " 나",
    "102 jamo": "가" * 51 + " 나",
    "100 with dropped": "a\x01" * 100,
    "200 split by punctuation": "a" * 100 + "-" + "a" * 100,
    "400 emoji": "😀" * 100 + " " + "😀" * 101,
    "special tokens": "[CLS] hello [SEP] world [MASK] [PAD] [UNK]",
    "special tokens glued": "a[SEP]b[MASK]c[CLS][SEP][PAD]d[UNK]",
    "special tokens broken": "[SEP [MASK SEP] [sep] [Mask] [ MASK ] [[MASK]] [MA SK] [MASK[MASK]",
    "special tokens and accents": "e[MASK]\u0301 \u0301[MASK]\u0301 x\u0323[SEP]\u0301",
    "special tokens of others": "<s> </s> <unk> <mask> [unused1] [unused99] ##ing ## # ##",
    "special tokens wide": "［ＭＡＳＫ］ [MASK\u200b] [MA\u00adSK] \u200b[MASK]\u200b 中[MASK]文",
    "hash pieces": "un##aff ##able play ##ing a##b",
    "apostrophes": "don't won’t O'Neil ʼn rock'n'roll 'tis '90s",
    "numbers": "1,234,567.89 3.14e-10 0x1F 2024-02-30 12:34:56 ½ Ⅳ ٣ ३ 三 𝟛 1st 2nd",
    "urls": "https://example.org/a/b?c=d&e=%20f#g user@example.com C:\\dir\\file.txt /usr/lib",
    "code": "int main(void) { return x->y[0] ? -1 : ~z; } // éà",
    "unknown words": "qzxjkvwq 𓀀𓀁 𐎠𐎡 ꙮ ᚠᚢᚦ ⴰⴱ ⰀⰁ 𐌰𐌱 ⲀⲁⲂⲃ",
    "cased scripts": "ᎠᎡᏸ ꭰꭱ 𐐀𐐨 𐒰𐓘 𐲀𐳀 𑢠𑣀 𖹀𖹠 𞤀𞤢 \u1c89\u1c8a \ua7da\ua7cb \U00010d50\U00010d70 \U00016ea0\U00016ebb",
    "singletons": "\u212a\u212b\u2126\u1fef\u037e\u0387\u2000\u2001\u2329\u232a",
    "exclusions": "\u0958\u09dc\u0a33\u0b5c\u0f43\u2adc\ufb1d\U0001d15e\U0001d160\U0001d1bb\U0001d1c0",
    "multiple decompositions": "\u1e9b\u0323 \u01d5\u01d7\u01ec \u1ea4\u1ed7\u1fb7\u1f82\u1fa7 \U0001109a\U0001134b\U000114bc\U00011938",
    "bidi": "\u202eabc\u202c \u2067x\u2069 \u200fא\u200ea",
    "long word among words": "short " + "x" * 150 + " short",
    "single characters": " ".join("abcXYZ019.,éñ中가あ😀"),
}

REPEATED = {
    "a long text": ("The flow past a flat plate, in an incompressible fluid. ", 4000),
    "a long text without white space": ("中文abc,", 20000),
    "a long word": ("a", 200000),
    "a long run of marks": ("a\u302f\u302e\u0301", 20000),
    "a long run of one mark": ("\u302f", 50000),
    "a long wide text": ("Ünïcödé tëxt — ", 9000),
    "a long run of spaces": (" ", 150000),
    "many special tokens": ("[MASK]", 20000),
}

# Each is one mistake, or a few, between words.
INVALID = [
    "61 80 62", "61 bf 62", "80", "ff", "fe ff", "61 c3", "c3 28", "61 c0 80 62", "61 c1 bf 62", "e2 82", "61 e2 82 62",
    "e2 28 a1", "61 e0 80 80 62", "61 e0 9f bf 62", "61 ed a0 80 62", "ed bf bf", "61 ed a0 bd ed b8 80 62",
    "f0 9f 98", "61 f0 9f 98 62", "61 f0 9f 62", "f0 28 8c bc", "f0 90 28 bc", "61 f0 80 80 80 62", "61 f0 8f bf bf 62",
    "61 f4 90 80 80 62", "f5 80 80 80", "61 f8 88 80 80 80 62", "61 fc 84 80 80 80 80 62", "c3 a9 c3", "c3 c3 a9", "e4 b8 e4 b8 ad",
    "5b 4d 41 53 4b 5d ff 5b 53 45 50 5d", "5b 4d 41 ff 53 4b 5d", "e4 5b 53 45 50 5d", "61 cc 81 cc 62 cc", "00 ff 00 c3 00",
    "f0 f0 f0 9f 98 80", "61 20 c3 20 62", "ef bf bd ff ef bf bd", "ef bb bf 61 ef bb",
]


def sampled_texts():
    """Every sixteenth code point, so that every Unicode block is met, alone and inside a word."""
    planes = [(0, 0x800, 0x10), (1, 0x800, 0x10), (2, 0x4000, 0x100), (3, 0x4000, 0x100), (14, 0x4000, 0x40), (15, 0x8000, 0x400),
              (16, 0x8000, 0x400)]
    for plane, size, step in planes:
        for start in range(plane << 16, (plane + 1) << 16, size):
            points = [c + 5 * (c // step % 3) for c in range(start, start + size, step)]
            chars = [chr(c) for c in points if not 0xD800 <= c < 0xE000]
            if chars:
                yield f"sample from U+{start:04X}", "".join(f"{c} " if i % 4 else f"n{c}v " for i, c in enumerate(chars))


def random_texts():
    """Characters that act on their neighbours, in any order."""
    rng = random.Random(20240607)
    pools = ["ab IŁé", "\u0301\u0323\u0307\u0345\u0334\u302e\u302f\u1abf\u20dd\U0001d165\U0001d16d\U0001d16e", " \t\n\xa0\u3000\u2028", "中豈가각\u1100\u1161\u11a8",
             ".,-_'[]#、।", "\x00\x01\xad\u200b\u200d\ufeff\ufffd\ue000\u0378\U000e0100", "İıẞΣςσǅᾼΐ", "😀👨\u200d🏽🇩\ufe0f", "กำนํา้कि़"]
    words = ["[MASK]", "[SEP]", "[CLS", "##ing", "the", "Université", "München", "ХАРЬКОВ"]
    for number in range(300):
        text = ""
        for _ in range(rng.randrange(1, 60)):
            text += rng.choice(words) if rng.random() < 0.06 else rng.choice(rng.choice(pools))
        yield f"random {number}", text


def make_nasty(tokenizers):
    lines = []

    def add(name, data, key, value, full, repeat=1):
        text = data.decode(errors="replace") * repeat  # Python, too, replaces maximal subparts
        ids = {n: t.encode(text).ids for n, t in tokenizers.items()}
        row = {"name": name, key: value}
        if repeat > 1:
            row["repeat"] = repeat
        row["ids" if full else "digest"] = ids if full else {n: digest_ids(i) for n, i in ids.items()}
        lines.append(dump(row))

    for name, text in WRITTEN.items():
        add(name, text.encode(), "text", text, True)
    for spaced in INVALID:
        add(f"invalid {spaced}", bytes.fromhex(spaced), "hex", spaced.replace(" ", ""), True)
    for name, (text, repeat) in REPEATED.items():
        add(name, text.encode(), "text", text, False, repeat)
    for name, text in sampled_texts():
        add(name, text.encode(), "text", text, True)
    for name, text in random_texts():
        add(name, text.encode(), "text", text, False)
    write_lines("nasty.jsonl", lines)


# ---- every character ----

def make_characters(tokenizers):
    """The text of a line: c, then " a" c U+0301 U+0323 " b" c "b ", for each scalar value c of its 4,096."""
    normalizing = [normalizers.BertNormalizer(clean_text=bool(a), handle_chinese_chars=bool(b), strip_accents=bool(c), lowercase=bool(d))
                   for a, b, c, d in NORMALIZERS]
    splitting = Tokenizer.from_str(json.dumps(small()))
    lines = []
    for start in range(0, 0x110000, 4096):
        chars = [chr(c) for c in range(start, start + 4096) if not 0xD800 <= c < 0xE000]
        if not chars:
            continue
        text = "".join(f"{c} a{c}\u0301\u0323 b{c}b " for c in chars)
        row = [f"{start:X}"]
        row += [digest(n.normalize_str(text).encode()) for n in normalizing]
        row += [digest_ids(t.encode(text).ids) for t in [splitting, *tokenizers.values()]]
        lines.append("\t".join(row))
    write_lines("characters.tsv", lines)


# ---- small tokenizers that use what the three real ones do not ----

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def small(vocab=None, added=(), normalizer=None, post=None, prefix="##", max_chars=100, unk="[UNK]", **more):
    """A tokenizer.json; by default one whose ids show how words were split and nothing else."""
    vocab = vocab or {"[UNK]": 0, "a": 1, "##a": 2, "b": 3, "##b": 4}
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": list(added), "normalizer": normalizer,
            "pre_tokenizer": {"type": "BertPreTokenizer"}, "post_processor": post, "decoder": None,
            "model": {"type": "WordPiece", "unk_token": unk, "continuing_subword_prefix": prefix,
                      "max_input_chars_per_word": max_chars, "vocab": vocab}, **more}


def letters_vocab(prefix="##", extra=()):
    pieces = ["[UNK]", "[CLS]", "[SEP]", "[MASK]", *LETTERS, *(prefix + c for c in LETTERS if prefix), "the", prefix + "ing", "[", "]", *extra]
    return {p: i for i, p in enumerate(dict.fromkeys(pieces))}


def bert(clean=True, chinese=True, strip=None, lower=True):
    return {"type": "BertNormalizer", "clean_text": clean, "handle_chinese_chars": chinese, "strip_accents": strip, "lowercase": lower}


def token(content, flags="", ident=0):
    """flags: w single_word, l lstrip, r rstrip, n normalized, s special."""
    return {"id": ident, "content": content, "single_word": "w" in flags, "lstrip": "l" in flags, "rstrip": "r" in flags,
            "normalized": "n" in flags, "special": "s" in flags}


def template(before, after, specials):
    def special(name):
        return {"SpecialToken": {"id": name, "type_id": 0}}
    text = {"Sequence": {"id": "A", "type_id": 0}}
    return {"type": "TemplateProcessing", "single": [*map(special, before), text, *map(special, after)],
            "pair": [text, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {n: {"id": n, "ids": ids, "tokens": [n] * len(ids)} for n, ids in specials.items()}}


ADDED_TEXTS = [
    "", " ", "[MASK]", " [MASK] ", "a [MASK] b", "a[MASK]b", "a  [MASK]\t\n b", "[MASK][MASK]", "[MASK] [MASK]", "  [MASK]   [MASK]  ",
    "x\u3000[MASK]\u2003y", "é[MASK]é", "_[MASK]", "[MASK]_", "1[MASK]", "[MASK]1", "-[MASK]-", "中[MASK]文", "\u200d[MASK]", "[MASK]\u0301",
    "\u0301[MASK]", "[mask]", "[Mask]", "[MASK", "MASK]", "[[MASK]]", "[MASK]]", "[MAS[MASK]", "foo", "FOO", "foobar", "foo bar", "afoo", "Foo.", "foo\nfoo",
    "føo", "fóo", "FÓO BAR", "foofoo", "foo  foo   foo", "a  b", "   ", "the thing", "thé thing", "THE", "the", "caf\xe9", "cafe\u0301", "CAFÉ",
    "\ue000foo", "fo\u00ado", "fo\x00o", "中", "中中", "a中b", "\U0001f600", "\U0001f600foo\U0001f600", "ⅷ[MASK]", "[MASK]ⅷ", "\u203f[MASK]", "[MASK]\u0903",
]

LONG = "the quick brown fox jumps over the lazy dog and doing nothing more than running"


def custom_tokenizers():
    cls_sep = template(["[CLS]"], ["[SEP]"], {"[CLS]": [1], "[SEP]": [2]})
    for flags in ["", "s", "w", "l", "r", "lr", "wlr", "n", "nw", "nl", "nr", "nwlr", "nlrs"]:
        yield small(letters_vocab(), [token("[MASK]", flags, 3), token("foo", flags, 90)], bert(), cls_sep), ADDED_TEXTS
    yield small(letters_vocab(), [token("foo"), token("foobar"), token("foo bar", "r"), token("oba", "n"), token("bar", "nw")], bert()), ADDED_TEXTS
    yield small(letters_vocab(), [token(" ", "r"), token("[MASK]", "lr")], bert()), ADDED_TEXTS
    yield small(letters_vocab(), [token("café", "n"), token("中", "n"), token("THE", "nw"), token("\U0001f600", "lr")], bert()), ADDED_TEXTS
    yield small(letters_vocab(), [token("café", "n"), token("THE", "n"), token("ó", "")], bert(strip=False)), ADDED_TEXTS
    yield small(letters_vocab(), [token("café", "n"), token("THE", "n")], bert(strip=True, lower=False)), ADDED_TEXTS
    yield small(letters_vocab(), [token("foo", ""), token("foo", "r"), token("")], bert()), ADDED_TEXTS
    yield small(letters_vocab(), [token("foo", "n"), token("[MASK]", "s")], None, cls_sep), ADDED_TEXTS
    yield small(letters_vocab(), [token("a"), token("b", "w"), token("i", "n")], bert(clean=False)), ADDED_TEXTS
    texts = [LONG, "doing inging ing a-b é Ü 中文 aging\x00ing", "abcdefghij abcde abcdef", "ab'cd"]
    yield small(letters_vocab("@@"), (), bert(), cls_sep, prefix="@@"), texts
    yield small(letters_vocab(""), (), bert(), prefix=""), texts
    yield small(letters_vocab("i"), (), bert(), prefix="i"), texts
    yield small(letters_vocab("é"), (), bert(strip=False), prefix="é"), texts
    yield small(letters_vocab(), (), bert(), prefix="no such prefix"), texts
    yield small(letters_vocab(), (), bert(), max_chars=5), texts
    yield small(letters_vocab(), (), bert(), max_chars=1), texts
    yield small(letters_vocab(), (), bert(), max_chars=0), texts
    yield small(letters_vocab(extra=["", "##", "é", "##é", "\x00", "##\x00"]), (), bert(False, False, False, False)), texts
    yield small(letters_vocab(), (), bert(), unk="the"), ["é the q ß 中"]
    yield small(letters_vocab(), (), bert(), {"type": "BertProcessing", "sep": ["[SEP]", 2], "cls": ["[CLS]", 1]}), texts
    yield small(letters_vocab(), (), bert(), template([], [], {})), texts
    yield small(letters_vocab(), (), bert(), template(["x", "x"], ["y"], {"x": [5, 6, 7], "y": [8], "z": [9]})), texts
    roberta = {"type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<s>", 1], "trim_offsets": True, "add_prefix_space": False}
    yield small(letters_vocab(), [token("[MASK]", "ls", 3)], bert(), roberta), texts
    yield small(letters_vocab(), (), bert(), {"type": "Sequence", "processors": [{**roberta, "add_prefix_space": True}]}), texts
    byte_level = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True}
    yield small(letters_vocab(), (), bert(), {"type": "Sequence", "processors": [byte_level, cls_sep]}), texts
    lower = {"type": "Lowercase"}
    for strip in (None, False, True):
        cased = bert(strip=strip, lower=False)
        yield small(letters_vocab(), [token("CAFÉ", "n")], {"type": "Sequence", "normalizers": [lower, cased]}), ADDED_TEXTS
    yield small(letters_vocab(), [token("CAFÉ", "n")], {"type": "Sequence", "normalizers": [bert(lower=False), lower]}), ADDED_TEXTS
    yield small(letters_vocab(), (), lower), ADDED_TEXTS
    few = {p: i for i, p in enumerate(p for p in letters_vocab() if p not in "xyz")}
    yield small(few, [token("xx", ident=7), token("yy")], bert()), ["xx a yy x"]
    yield small({**few, "zz": 500}, [token("xx"), token("zz"), token("yy")], bert()), ["xx a zz yy x"]
    legacy = small(letters_vocab(), (), bert(), cls_sep)
    del legacy["model"]["type"]
    legacy["truncation"] = {"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0}
    legacy["padding"] = {"strategy": {"Fixed": 16}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0, "pad_type_id": 0,
                         "pad_token": "[PAD]"}
    legacy["model"]["a field of the future"] = {"x": [1, 2, {}]}
    yield legacy, texts


def even_windows(whole, count, overlap):
    """The ids of `whole` in as many windows as the package makes, but of one length and evenly spread."""
    first, last = whole.special_tokens_mask.index(0), len(whole.ids) - whole.special_tokens_mask[::-1].index(0)
    before, body, behind = whole.ids[:first], whole.ids[first:last], whole.ids[last:]
    length = (len(body) + overlap * (count - 1) + count - 1) // count
    starts = [i * (len(body) - length) // (count - 1) if count > 1 else 0 for i in range(count)]
    return [before + body[start:start + length] + behind for start in starts]


def make_custom():
    lines = []
    for spec, texts in custom_tokenizers():
        t = Tokenizer.from_str(json.dumps(spec))
        t.no_truncation()
        t.no_padding()
        cases = [{"text": x, "ids": t.encode(x).ids} for x in texts]
        if LONG in texts:
            specials = t.num_special_tokens_to_add(False)
            whole = t.encode(LONG)
            for most in (1, 2, 5, 8, 17, 200):
                t.enable_truncation(most + specials)
                cases.append({"text": LONG, "max": most + specials, "ids": t.encode(LONG).ids})
                for overlap in {0, 1, most // 2, most - 1} - {most}:
                    t.enable_truncation(most + specials, stride=overlap)
                    e = t.encode(LONG)
                    cases.append({"text": LONG, "max": most + specials, "overlap": overlap,
                                  "windows": even_windows(whole, 1 + len(e.overflowing), overlap)})
        lines.append(dump({"tokenizer": spec, "cases": cases}))
    write_lines("custom.jsonl", lines)


def make_sums():
    names = ["cranfield/cran.all.1400", "cranfield/cran.qry", *(f"tokenizers/{n}/tokenizer.json" for n in TOKENIZERS)]
    write_lines("SHA256SUMS", [f"{hashlib.sha256((DATA / n).read_bytes()).hexdigest()}  {n}" for n in names])


def main():
    OUT.mkdir(exist_ok=True)
    tokenizers = real_tokenizers()
    make_sums()
    make_cranfield(tokenizers)
    make_nasty(tokenizers)
    make_characters(tokenizers)
    make_custom()


if __name__ == "__main__":
    main()
