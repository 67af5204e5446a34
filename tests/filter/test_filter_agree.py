"""Filters and orders over random rows agree with a second reading of their rules, written here in Python's own values."""
import datetime
import json
import random
import re
import subprocess
import uuid
from fractions import Fraction

import pytest

ROWS, FILTERS, ROUNDS = 40, 120, 40
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
SCALARS = ["string", "int", "uint", "float", "bool", "uuid", "datetime"]
TYPES = SCALARS + ["[]" + t for t in SCALARS]
NUMBERS = {"int", "uint", "float"}

INTS = [-(2**63), -(2**53) - 1, -3, -1, 0, 1, 2, 3, 2**53, 2**53 + 1, 2**63 - 1]
UINTS = [0, 1, 2, 3, 2**53, 2**53 + 1, 2**63, 2**64 - 1]
FLOATS = [-1e300, -1.5, -1.0, -0.0, 0.0, 0.1, 1.0, 1.5, 2.0, 2.0**53, 2.0**63, 2.0**64, 1e300]
STRINGS = ["", "a", "A", "ab", "b", "é", "z\n\"\\", "\u0000", "\U0001f600", "\uffff", "a" * 300, "1", "null"]
UUIDS = [uuid.UUID(int=n) for n in (0, 1, 2**127, 2**128 - 1, 0x769C134D07B84225954AB6CC5FFC320C)]
TIMES = [EPOCH + datetime.timedelta(milliseconds=ms) for ms in (-62135596800000, -1, 0, 1, 1709251200000, 253402300799999)]


def spell_text(rng, text):
    """A JSON string with some of its characters as escapes."""
    out = json.dumps(text, ensure_ascii=rng.random() < 0.5)
    return out.replace("a", "\\u0061") if rng.random() < 0.2 else out


def spell_whole(rng, n):
    way = rng.random()
    if way < 0.8 or abs(n) >= 10**19:
        return str(n)
    return f"{n}.0" if way < 0.9 or n == 0 else f"{n}0e-1" if abs(n) < 10**17 else str(n)


def spell_time(rng, t):
    if rng.random() < 0.3 and t.year not in (1, 9999):
        zone = datetime.timezone(datetime.timedelta(minutes=rng.choice([-570, -60, 0, 330])))
        return t.astimezone(zone).isoformat()
    plain = t.replace(tzinfo=None).isoformat(sep=rng.choice("T "), timespec="milliseconds")
    return f"{t.year:04d}" + plain[4:] + rng.choice(["", "Z", "999"])


def make(rng, kind):
    """A value of a scalar type: (Python's, JSON's)."""
    if kind == "string":
        v = rng.choice(STRINGS)
        return v, spell_text(rng, v)
    if kind in ("int", "uint"):
        v = rng.choice(INTS if kind == "int" else UINTS)
        return v, spell_whole(rng, v)
    if kind == "float":
        v = rng.choice(FLOATS + [float(rng.choice(INTS))])
        return v, rng.choice([repr(v), f"{v:.25e}"])
    if kind == "bool":
        v = rng.random() < 0.5
        return v, json.dumps(v)
    if kind == "uuid":
        v = rng.choice(UUIDS)
        return v, json.dumps(rng.choice([str(v), str(v).upper(), v.hex]))
    v = rng.choice(TIMES)
    return v, json.dumps(spell_time(rng, v))


def make_value(rng, kind):
    if not kind.startswith("[]"):
        return make(rng, kind)
    items = [make(rng, kind[2:]) for _ in range(rng.choice([0, 1, 1, 2, 3]))]
    return [v for v, _ in items], "[" + rng.choice([",", " , "]).join(t for _, t in items) + "]"


def key(v):
    """Sorts as the rules say: null, false, true, numbers by value, texts by code points."""
    if v is None:
        return (0,)
    if isinstance(v, bool):
        return (1, v)
    if isinstance(v, (int, float, Fraction)):
        return (2, Fraction(v))
    if isinstance(v, uuid.UUID):
        return (3, str(v))
    if isinstance(v, datetime.datetime):
        return (3, v.isoformat(), v)
    return (3, v)


def order(a, b):
    if isinstance(a, datetime.datetime) and isinstance(b, datetime.datetime):
        return (a > b) - (a < b)
    return (key(a) > key(b)) - (key(a) < key(b))


COMPARE = {"Lt": lambda o: o < 0, "Lte": lambda o: o <= 0, "Gt": lambda o: o > 0, "Gte": lambda o: o >= 0}


class Filters:
    """Makes filters: the JSON, and a function of (row, incoming) that says whether it matches."""

    def __init__(self, rng, schema, id_kind):
        self.rng, self.schema, self.id_kind = rng, schema, id_kind
        self.valid = True

    def literal(self, kind):
        """An operand for an attribute of this scalar type; now and then of another type."""
        rng = self.rng
        other = kind
        if rng.random() < 0.02:
            other = rng.choice(SCALARS)
        elif kind in NUMBERS:
            other = rng.choice(["int", "uint", "float"])
        value, text = make(rng, other)
        if kind in NUMBERS and other in NUMBERS:
            exact = Fraction(text)
            whole = kind != "float" and exact.denominator == 1 and abs(exact) < 2**64
            value = exact if whole else float(value)
        elif other == "string" and kind in ("uuid", "datetime"):
            self.valid = False
        elif kind == "string" and other in ("uuid", "datetime"):
            value = json.loads(text)
        elif other != kind:
            self.valid = False
        return value, text

    def reference(self, kind, array):
        """{"$ref_new": …} to an attribute that compares with the type, or None."""
        fits = [n for n, t in self.schema.items()
                if t.startswith("[]") == array and (t.removeprefix("[]") == kind or {t.removeprefix("[]"), kind} <= NUMBERS)]
        if not fits or self.rng.random() > 0.15:
            return None
        name = self.rng.choice(fits)
        return (lambda row, new: new.get(name) if new else None), json.dumps({"$ref_new": name})

    def one(self, kind):
        made = self.reference(kind, False)
        if made:
            return made
        value, text = self.literal(kind)
        return (lambda row, new: value), text

    def leaf(self):
        rng = self.rng
        if rng.random() < 0.1:
            return self.leaf_of_id()
        name = rng.choice(list(self.schema))
        kind = self.schema[name]
        array, item = kind.startswith("[]"), kind.removeprefix("[]")
        ops = ["Eq", "NotEq", "In", "NotIn"]
        ops += ["Contains", "NotContains", "ContainsAny", "NotContainsAny"] if array else []
        ops += ["Any" + c for c in COMPARE] if array else list(COMPARE)
        op = rng.choice(ops)
        if op.startswith("Not"):
            text, match = self.comparison(name, kind, item, array, op.removeprefix("Not"))
            return text.replace(json.dumps(op.removeprefix("Not")), json.dumps(op), 1), lambda row, new: not match(row, new)
        return self.comparison(name, kind, item, array, op)

    def leaf_of_id(self):
        def literal():
            value, text = make(self.rng, self.id_kind)
            return value, str(value) if self.id_kind == "uint" else text
        op = self.rng.choice(["Eq", "In", *COMPARE])
        if op == "In":
            items = [literal() for _ in range(3)]
            return f'["id","In",[{",".join(t for _, t in items)}]]', lambda row, new: row["id"] in [v for v, _ in items]
        if self.rng.random() < 0.2:
            text, value = self.rng.choice([("null", lambda new: None), ('{"$ref_new":"id"}', lambda new: new and new["id"])])
        else:
            own, text = literal()
            value = lambda new: own  # noqa: E731
        fits = COMPARE.get(op, lambda o: o == 0)
        return f'["id","{op}",{text}]', lambda row, new: fits(order(row["id"], value(new)))

    def comparison(self, name, kind, item, array, op):
        rng, quoted = self.rng, json.dumps([name, op])[:-1]
        if op in ("Eq", *COMPARE) and rng.random() < 0.15:
            value, text = (lambda row, new: None), "null"
        elif op == "Eq" and array:
            value, text = self.reference(item, True) or self.listed(item, references=False)
        elif op in ("Eq", "Contains", *COMPARE) or op.startswith("Any"):
            value, text = self.one(item)
        elif array and rng.random() < 0.1:
            one, text = self.one(item)
            value = lambda row, new: [v for v in [one(row, new)] if v is not None]  # noqa: E731
        else:
            value, text = self.reference(item, True) or self.listed(item, references=True)

        def match(row, new):
            have, want = row.get(name), value(row, new)
            if op == "Eq" and array:
                if have is None or want is None:
                    return have is None and want is None
                return len(have) == len(want) and all(order(a, b) == 0 for a, b in zip(have, want))
            if op == "Eq":
                return order(have, want) == 0
            if op in COMPARE:
                return COMPARE[op](order(have, want))
            if op.startswith("Any"):
                return want is not None and any(COMPARE[op[3:]](order(v, want)) for v in have or [])
            if op == "Contains":
                return any(order(v, want) == 0 for v in have or [])
            wanted = want if want is not None else []
            values = (have or []) if array else [have]
            return any(order(v, w) == 0 for v in values for w in wanted)
        return f"{quoted},{text}]", match

    def listed(self, item, references):
        items = []
        for _ in range(self.rng.choice([0, 1, 2, 5, 30])):
            if self.rng.random() < 0.05 and references:
                items.append(((lambda row, new: None), "null"))
            elif references:
                items.append(self.one(item))
            else:
                value, text = self.literal(item)
                items.append(((lambda row, new, value=value: value), text))
        return (lambda row, new: [v(row, new) for v, _ in items]), "[" + ",".join(t for _, t in items) + "]"

    def tree(self, depth=0):
        way = self.rng.random()
        if depth > 4 or way < 0.55:
            return self.leaf()
        if way < 0.7:
            text, match = self.tree(depth + 1)
            return f'["Not",{text}]', lambda row, new: not match(row, new)
        parts = [self.tree(depth + 1) for _ in range(self.rng.choice([0, 1, 2, 3]))]
        name, every = ("And", all) if way < 0.85 else ("Or", any)
        return f'["{name}",[{",".join(t for t, _ in parts)}]]', lambda row, new: every(m(row, new) for _, m in parts)


@pytest.fixture(scope="module")
def tool(build):
    subprocess.run(["ninja", "-C", str(build), "tests/filter_tool"], check=True, stdout=subprocess.DEVNULL)
    return build / "tests" / "filter_tool"


def make_row(rng, schema):
    values, texts = {}, []
    for name, kind in schema.items():
        way = rng.random()
        if way < 0.2:
            continue
        if way < 0.3:
            texts.append(f"{json.dumps(name)}: null")
            continue
        values[name], text = make_value(rng, kind)
        texts.append(f"{json.dumps(name)}: {text}")
    rng.shuffle(texts)
    return values, "{" + ", ".join(texts) + "}"


@pytest.mark.parametrize("seed", range(4))
def test_filters_agree_with_their_rules(tool, seed):
    rng = random.Random(seed)
    lines, wanted = [], []
    for _ in range(ROUNDS // 4):
        schema = {f"a{i}": t for i, t in enumerate(rng.sample(TYPES, 7))} | {'odd "ä\\': "int", "b": rng.choice(TYPES)}
        id_kind = rng.choice(["uint", "string", "uuid"])
        lines.append(json.dumps({"schema": schema | {"id": id_kind}}))
        schema = schema | {"id": id_kind}
        rows = []
        for _ in range(ROWS):
            own_id = make(rng, id_kind)
            while own_id[0] == "" or len(str(own_id[0])) > 100:
                own_id = make(rng, id_kind)
            attributes = {n: t for n, t in schema.items() if n != "id"}
            values, text = make_row(rng, attributes)
            new, new_text = make_row(rng, attributes) if rng.random() < 0.9 else (None, "null")
            id_text = str(own_id[0]) if id_kind == "uint" else own_id[1]
            lines.append(f'{{"id": {id_text}, "row": {text}, "incoming": {new_text}}}')
            rows.append((values | {"id": own_id[0]}, None if new is None else new | {"id": own_id[0]}))
        for name, kind in schema.items():
            if name != "id" and not kind.startswith("[]"):
                lines.append(json.dumps({"order": name}))
                numbers = sorted(range(ROWS), key=lambda i, n=name: key(rows[i][0].get(n)))
                wanted.append((lines[-1], " ".join(map(str, numbers))))
        for _ in range(FILTERS):
            filters = Filters(rng, {n: t for n, t in schema.items() if n != "id"}, id_kind)
            text, match = filters.tree()
            lines.append(f'{{"filter": {text}}}')
            wanted.append((text, "".join(str(int(match(*row))) for row in rows) if filters.valid else "error"))
    out = subprocess.run([tool], input="\n".join(lines) + "\n", stdout=subprocess.PIPE, check=True, encoding="utf-8").stdout
    found = out.splitlines()
    assert len(found) == len(wanted)
    for (text, want), have in zip(wanted, found):
        assert have.startswith("error: ") if want == "error" else have == want, f"{text}\nwanted {want}\nfound  {have}"
    matched = sum(have.count("1") for (_, want), have in zip(wanted, found) if want and not have.startswith("error"))
    assert matched > 1000


LETTERS = ["a", "b", "A", "B", "1", "_", " ", "-", "/", "\n", "é", "É", "\U0001f600"]


def make_regex(rng, depth=0):
    """A regular expression that means the same in Python's re and here."""
    way = rng.random()
    if depth > 3 or way < 0.45:
        return rng.choice([re.escape(rng.choice(LETTERS)) if rng.random() < 0.4 else rng.choice("abAB1_"), ".", "[ab]", "[^ab]", "[A-b]",
                           "[^\\w]", "[\\s_-]", r"\d", r"\D", r"\w", r"\W", r"\s", r"\S", r"\b", r"\B", "^", "é"])
    if way < 0.65:
        return "".join(make_regex(rng, depth + 1) for _ in range(rng.choice([2, 3])))
    if way < 0.8:
        return "(" + "|".join(make_regex(rng, depth + 1) for _ in range(rng.choice([1, 2, 3]))) + ")"
    group = rng.choice(["(?:", "(", "(?i:", "(?s:", "(?m:"])
    return group + make_regex(rng, depth + 1) + ")" + rng.choice(["", "*", "+", "?", "*?", "{2}", "{1,3}", "{0,2}", "{2,}", "{0}"])


def make_glob(rng, depth=0):
    """A glob, and the same as a regular expression of Python."""
    parts, glob = [], []
    for _ in range(rng.choice([0, 1, 2, 3])):
        way = rng.random()
        if way < 0.4:
            c = rng.choice("abAB1_é")
            parts.append(("\\" * (rng.random() < 0.2) + c, c))
        elif way < 0.7:
            parts.append(rng.choice([("?", "."), ("*", ".*"), ("[ab]", "[ab]"), ("[!ab]", "[^ab]"), ("[A-b]", "[A-b]"), ("\\*", r"\*")]))
        elif depth < 2:
            made = [make_glob(rng, depth + 1) for _ in range(rng.choice([1, 2, 3]))]
            full = [m for m in made if m[0]]
            if len(full) == len(made):
                parts.append(("{" + ",".join(g for g, _ in made) + "}", "(?:" + "|".join(r for _, r in made) + ")"))
    for one in parts:
        if not (glob and glob[-1][0] == "*" and one[0] == "*"):
            glob.append(one)
    return "".join(g for g, _ in glob), "".join(r for _, r in glob)


def test_patterns_agree_with_pythons(tool):
    rng = random.Random(16)
    # No text is empty: there Python's \B never matches.
    texts = ["".join(rng.choice(LETTERS) for _ in range(rng.choice([1, 1, 2, 3, 5, 8]))) for _ in range(60)]
    option = {"regex": True, "glob": True}
    lines = [json.dumps({"schema": {"id": "uint", "s": {"type": "string", **option}, "l": {"type": "[]string", **option}}})]
    for i, text in enumerate(texts):
        spelled = spell_text(rng, text)
        lines.append(f'{{"id": {i}, "row": {{"s": {spelled}, "l": ["\\u0001", {spelled}]}}}}')
    wanted = []
    for _ in range(400):
        regex = make_regex(rng)
        compiled = re.compile(regex, re.ASCII)
        folds = re.compile("[éÉ\\[]").search(regex) and "(?i" in regex
        if not folds:  # Python's re.ASCII folds no letters beyond ASCII
            lines.append(json.dumps({"filter": ["s", "Regex", regex]}))
            wanted.append((lines[-1], [bool(compiled.search(t)) for t in texts]))
        glob, regex = make_glob(rng)
        for operator, flags in (("Glob", re.S), ("IGlob", re.S | re.I)):
            matched = [bool(re.fullmatch(regex, t, flags)) for t in texts]
            lines.append(json.dumps({"filter": ["s", operator, glob]}))
            wanted.append((lines[-1], matched))
            lines.append(json.dumps({"filter": ["l", "Not" + operator, glob]}))
            wanted.append((lines[-1], [not m and not re.fullmatch(regex, "\x01", flags) for m in matched]))
    out = subprocess.run([tool], input="\n".join(lines) + "\n", stdout=subprocess.PIPE, check=True, encoding="utf-8").stdout
    for (text, want), have in zip(wanted, out.splitlines(), strict=True):
        assert have == "".join(str(int(w)) for w in want), text
    assert sum(sum(want) for _, want in wanted) > 1000


WORDS = ["zebra", "zebras", "zeb", "owl", "owls", "fox"]


def tokens_of(text, stop):
    """(word, its number) of each word of a text in ASCII, without stop words."""
    return [(w, i) for i, w in enumerate(re.findall("[a-z0-9]+", text.lower())) if w not in stop]


def match_tokens(op, query, prefix, values, stop):
    """The rules of the operators over tokens, word by word."""
    wanted = tokens_of(" ".join(query), stop)
    elements = [tokens_of(v, stop) for v in values or []]
    if not wanted:
        return False

    def fits(number, token):
        word = wanted[number][0]
        return token == word or (prefix and number == len(wanted) - 1 and token.startswith(word))
    if op != "ContainsTokenSequence":
        have = [token for element in elements for token, _ in element]
        return (any if op == "ContainsAnyToken" else all)(any(fits(n, t) for t in have) for n in range(len(wanted)))
    first = wanted[0][1]
    return any(all(any(at == start + place - first and fits(n, t) for t, at in element) for n, (_, place) in enumerate(wanted))
               for element in elements for _, start in element)


@pytest.mark.parametrize("seed", range(2))
def test_tokens_agree_with_their_rules(tool, seed):
    rng = random.Random(seed)
    plain, dropping = {"full_text_search": True}, {"full_text_search": {"remove_stopwords": True}}
    lines = [json.dumps({"schema": {"id": "uint", "s": {"type": "string", **plain}, "l": {"type": "[]string", **plain},
                                    "d": {"type": "string", **dropping}}})]
    stop = {"the", "and"}

    def sentence(words):
        return "".join(rng.choice([" ", ", ", "\n", " \" "]) + rng.choice([w, w.upper()]) for w in words)
    rows = []
    for i in range(80):
        row = {"s": sentence(rng.choices(WORDS, k=rng.choice([0, 1, 3, 8, 20]))),
               "l": [sentence(rng.choices(WORDS, k=rng.choice([0, 1, 2, 4]))) for _ in range(rng.choice([0, 1, 2, 3]))],
               "d": sentence(rng.choices(WORDS + ["the", "and"], k=rng.choice([1, 3, 8, 20])))}
        rows.append({n: v for n, v in row.items() if rng.random() < 0.95})
        lines.append(json.dumps({"id": i, "row": rows[-1]}))
    wanted = []
    for _ in range(500):
        name, op = rng.choice("sld"), rng.choice(["ContainsAllTokens", "ContainsAnyToken", "ContainsTokenSequence"])
        words = rng.choices(WORDS + (["the"] if name == "d" else []), k=rng.choice([0, 1, 1, 2, 2, 3, 4]))
        query, prefix = ([sentence([w]) for w in words], rng.random() < 0.3)
        operand = query if rng.random() < 0.4 else " ".join(query)
        lines.append(json.dumps({"filter": [name, op, operand] + ([{"last_as_prefix": prefix}] if prefix or rng.random() < 0.3 else [])}))
        values = [[row[name]] if isinstance(row.get(name), str) else row.get(name) for row in rows]
        wanted.append("".join(str(int(match_tokens(op, query, prefix, v, stop if name == "d" else ()))) for v in values))
    out = subprocess.run([tool], input="\n".join(lines) + "\n", stdout=subprocess.PIPE, check=True, encoding="utf-8").stdout
    for line, want, have in zip(lines[1 + len(rows):], wanted, out.splitlines(), strict=True):
        assert have == want, f"{line}\nwanted {want}\nfound  {have}"
    assert 1000 < "".join(wanted).count("1") < 500 * len(rows) - 1000


def nearest(query, text):
    """The least distance between the query and a part of the text, by trying all parts."""
    def distance(part):
        row = list(range(len(query) + 1))
        for i, c in enumerate(part):
            row, before = [i + 1], row
            for j, q in enumerate(query):
                row.append(min(before[j] + (c != q), before[j + 1] + 1, row[j] + 1))
        return row[-1]
    return min(distance(text[i:j]) for i in range(len(text) + 1) for j in range(i, min(len(text), i + len(query) + 2) + 1))


def test_fuzzy_agrees_with_its_rule(tool):
    rng = random.Random(17)
    lines = [json.dumps({"schema": {"id": "uint", "s": {"type": "string", "fuzzy": True}}})]
    texts = ["".join(rng.choices("abAB\n\u00e9", weights=[6, 6, 1, 1, 1, 1], k=rng.choice([0, 8, 14, 20]))) for _ in range(60)]
    lines += [f'{{"id": {i}, "row": {{"s": {spell_text(rng, text)}}}}}' for i, text in enumerate(texts)]
    wanted = []
    for _ in range(100):
        distance, sensitive = rng.randint(0, 2), rng.random() < 0.5
        least = 3 * (distance + 1)
        query = "".join(rng.choices("abAB\u00e9", weights=[6, 6, 1, 1, 1], k=least + rng.randint(-1, 2)))
        lines.append(json.dumps({"filter": ["s", "Fuzzy", query, {"case_sensitive": sensitive, "max_edit_distance": [
            {"min_query_chars": least, "distance": distance}]}]}))
        found = [len(query) >= least and nearest(query if sensitive else query.lower(), t if sensitive else t.lower()) <= distance for t in texts]
        wanted.append("".join(str(int(f)) for f in found))
    out = subprocess.run([tool], input="\n".join(lines) + "\n", stdout=subprocess.PIPE, check=True, encoding="utf-8").stdout
    for line, want, have in zip(lines[1 + len(texts):], wanted, out.splitlines(), strict=True):
        assert have == want, f"{line}\nwanted {want}\nfound  {have}"
    assert 500 < "".join(wanted).count("1") < 5000


TEXT_OPERATORS = {"Glob": ["*"], "NotGlob": ["*"], "IGlob": ["*"], "NotIGlob": ["*"], "Regex": [""], "ContainsAllTokens": ["aaa"],
                  "ContainsAnyToken": ["aaa"], "ContainsTokenSequence": ["aaa"],
                  "Fuzzy": ["aaa", {"max_edit_distance": [{"min_query_chars": 3, "distance": 0}]}]}


@pytest.mark.parametrize("kind", TYPES + ["id", "missing"])
def test_each_operator_of_each_type(tool, kind):
    """Which operators a type takes, and what they say of a row with a value and of one without."""
    rng = random.Random(kind)
    array, item = kind.startswith("[]"), kind.removeprefix("[]")
    texts = item == "string"
    options = {"filterable": True} | ({"regex": True, "glob": True, "fuzzy": True, "full_text_search": True} if texts else {})
    schema = {} if kind in ("id", "missing") else {"x": {"type": kind, **options}}
    name = "id" if kind == "id" else "x"
    one = ["aaa", '"aaa"'] if texts else [7, "7"] if kind in ("id", "missing") else list(make(rng, item))
    value = f"[{one[1]}]" if array else one[1]
    full = "{}" if not schema else f'{{"x": {value}}}'
    lines = [json.dumps({"schema": {"id": "uint"} | schema}), f'{{"id": 7, "row": {full}}}', '{"id": 8, "row": {}}']
    wanted = []

    def expect(op, operand, answer):
        lines.append(f'{{"filter": ["{name}", "{op}", {operand}]}}')
        wanted.append((lines[-1], answer))
    has = "1" if schema or kind == "id" else "0"
    known = bool(schema) or kind == "id"
    expect("Eq", value, has + "0")
    expect("NotEq", value, str(1 - int(has)) + "1")
    expect("Eq", "null", "11" if not known else "00" if kind == "id" else "01")
    expect("NotEq", "null", "00" if not known else "11" if kind == "id" else "10")
    expect("In", f"[{one[1]}]", has + "0")
    expect("NotIn", f"[{one[1]}]", str(1 - int(has)) + "1")
    for op, answer in (("Lt", "0" if known else "1"), ("Lte", "1"), ("Gt", "0"), ("Gte", has)):
        null = "1" if op in ("Lt", "Lte") else "0"
        null = {"Lt": "0", "Lte": "0", "Gt": "1", "Gte": "1"}[op] if kind == "id" else null
        expect(op, one[1], "error" if array else answer + null)
        expect("Any" + op, one[1], answer + "0" if array else "error" if known else "00")
    for op in ("Contains", "ContainsAny"):
        operand = one[1] if op == "Contains" else f"[{one[1]}]"
        expect(op, operand, "10" if array else "error" if known else "00")
        expect("Not" + op, operand, "01" if array else "error" if known else "11")
    for op, operands in TEXT_OPERATORS.items():
        found = "01" if op.startswith("Not") else "10"
        found = found if known else ("11" if op.startswith("Not") else "00")
        expect(op, json.dumps(operands)[1:-1], found if texts or not known else "error")
        expect(op, "7", "error")
    out = subprocess.run([tool], input="\n".join(lines) + "\n", stdout=subprocess.PIPE, check=True, encoding="utf-8").stdout
    for (line, want), have in zip(wanted, out.splitlines(), strict=True):
        assert have.startswith("error: ") if want == "error" else have == want, f"{line}\nwanted {want}\nfound  {have}"
