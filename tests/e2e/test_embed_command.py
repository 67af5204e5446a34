"""`dipper embed`: a text on each line of input, an embedding on each line of output."""
import functools
import json
import math
import os
import re
import signal
import struct
import threading

import pytest

from program import read_line

LINE_MAX = 4 << 20  # the longest line that the command takes, in bytes
TEXTS = ["hello world", "How do birds stay aloft?", "naïve café 🙂", "heat conduction in composite slabs"]


def vectors(run, *arguments, texts=TEXTS, **kwargs):
    done = run("embed", *arguments, input="".join(t + "\n" for t in texts), **kwargs)
    return [json.loads(line) for line in done.stdout.splitlines()]


def cosine(a, b):
    dot = sum(x * y for x, y in zip(a, b))
    return dot / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


def test_embed_answers_384_numbers_and_the_tokens(run):
    (answer,) = vectors(run, texts=["hello world"])
    assert list(answer) == ["embedding", "tokens"]
    assert len(answer["embedding"]) == 384 and answer["tokens"] == 4
    assert all(isinstance(x, float) for x in answer["embedding"])
    assert abs(math.hypot(*answer["embedding"]) - 1) < 1e-5


def test_embed_answers_in_order_whatever_the_batch(run):
    texts = [f"{TEXTS[i % 4]} {i}" for i in range(1200)]  # more than two batches
    answers = vectors(run, texts=texts)
    assert len(answers) == len(texts)
    for i in (0, 1, 511, 512, 1199):
        assert vectors(run, texts=[texts[i]]) == [answers[i]]


def test_embed_answers_as_sentence_transformers(run, source, test_data, monkeypatch):
    """The 225 questions of Cranfield have cosines of at least 0.998."""
    monkeypatch.syspath_prepend(str(source / "examples" / "cranfield"))
    import cranfield
    golden = (test_data / "embedding" / "minilm-cranfield.golden").read_bytes()
    assert golden[:8] == b"DPGOLD1\0"
    at, questions = 16, cranfield.queries()
    answers = vectors(run, texts=questions)
    worst = 1.0
    for answer in answers:
        (tokens,) = struct.unpack_from("<H", golden, at)
        at += 2 + 2 * tokens
        wanted = struct.unpack_from("<384h", golden, at)
        at += 2 * 384
        assert answer["tokens"] == tokens
        worst = min(worst, cosine(answer["embedding"], wanted))
    print(f"worst cosine over {len(answers)} texts: {worst:.5f}")
    assert len(answers) == 225 and worst >= 0.998


def test_embed_prints_the_same_bytes_on_any_threads_and_instruction_set(run):
    text = "".join(t + "\n" for t in TEXTS)
    wanted = run("embed", input=text).stdout
    assert run("embed", "--threads", "1", input=text).stdout == wanted
    assert run("embed", "--threads=2", input=text).stdout == wanted
    assert run("embed", input=text, env={"DIPPER_THREADS": 2}).stdout == wanted
    tried = []
    for isa in ("scalar", "avx2", "avxvnni", "avx512vnni", "neon", "dotprod", "i8mm"):
        done = run("embed", input=text, env={"DIPPER_SIMD": isa}, status=None)
        if done.returncode == 2:
            assert isa != "scalar" and isa in done.stderr, done.stderr  # this machine lacks the instruction set
            continue
        assert done.stdout == wanted, isa
        tried.append(isa)
    print("instruction sets:", *tried)
    assert "scalar" in tried


def test_embed_refuses_an_unknown_instruction_set(run):
    done = run("embed", input="x\n", env={"DIPPER_SIMD": "sse9"}, status=2)
    assert "DIPPER_SIMD" in done.stderr and "sse9" in done.stderr and "scalar" in done.stderr


def test_embed_without_normalizing_keeps_the_direction(run):
    (plain,), (raw,) = vectors(run, texts=TEXTS[:1]), vectors(run, "--no-normalize", texts=TEXTS[:1])
    assert abs(math.hypot(*raw["embedding"]) - 1) > 0.01
    assert cosine(plain["embedding"], raw["embedding"]) > 0.999999


def test_embed_says_when_a_text_was_cut(run):
    short, long = vectors(run, texts=["word " * 254, "word " * 255])
    assert "truncated" not in short and short["tokens"] == 256
    assert long["truncated"] is True and long["tokens"] == 256
    assert long["embedding"] == short["embedding"]


def test_embed_answers_unusable_lines_in_their_place(run):
    lines = [b"good", b"", b"x" * (LINE_MAX + 1), b"also good", b"\r", b"last, without an end of line"]
    done = run("embed", input="\n".join(line.decode() for line in lines))
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert ["error" in a for a in answers] == [False, True, True, False, True, False]
    assert "empty" in answers[1]["error"]
    assert str(LINE_MAX) in answers[2]["error"] and "line 3" in answers[2]["error"]
    assert "3 lines" in done.stderr


def test_embed_takes_crlf_and_any_bytes(run, dipper):
    (plain,) = vectors(run, texts=["hello world"])
    assert vectors(run, texts=["hello world\r"]) == [plain]
    answers = vectors(run, texts=["bad \udcff\udcfe bytes", "nul \0 byte", "lone \udced\udca0\udc80 surrogate"])
    assert all(len(a["embedding"]) == 384 for a in answers)


def test_embed_of_empty_input_prints_nothing(run):
    assert run("embed", input="").stdout == ""


def test_embed_jsonl_takes_texts_with_newlines(run):
    answers = vectors(run, "--jsonl", texts=['{"text":"hello\\nworld"}', '{"other":[1,{"text":"x"}],"text":"hello world"}',
                                             '{"text":"\\ud83d\\ude42"}'])
    plain, emoji = vectors(run, texts=["hello world", "🙂"])
    assert answers == [plain, plain, emoji]


@pytest.mark.parametrize("line, says", [
    ("", "expected an object"),
    ("nonsense", "expected an object"),
    ('{"text":"unfinished', "closing quote"),
    ('{"text":7}', "string"),
    ('{"text":null}', "string"),
    ('{"text":["a"]}', "string"),
    ('{"texts":"a"}', '"text"'),
    ('{"text":""}', "empty"),
    ('["text","a"]', "object"),
    ('"a"', "object"),
    ('{"text":"a"} {"text":"b"}', "after|end|more"),
    ('{"text":"a","text":"b"}', "twice"),
    ('{"text":"\\ud83d"}', "surrogate|escape"),
    pytest.param("[" * 100000, "object", id="arrays"),
    pytest.param('{"a":' + "[" * 100000, "deep|nest", id="nested deep"),
    ('{"text":"' + "\udcff" + '"}', "UTF-8"),
])
def test_embed_jsonl_answers_an_unusable_line_by_its_error_and_goes_on(run, line, says):
    first, middle, last = vectors(run, "--jsonl", texts=['{"text":"hello world"}', line, '{"text":"hello world"}'])
    assert list(middle) == ["error"]
    assert re.search(says, middle["error"]), middle
    assert first == last and len(first["embedding"]) == 384


def test_embed_answers_a_line_before_the_next_is_written(run, start):
    wanted = vectors(run)
    process = start("embed")
    for text, answer in zip(TEXTS, wanted):
        process.stdin.write(text.encode() + b"\n")
        process.stdin.flush()
        assert read_line(process) == answer
    process.stdin.close()
    assert process.wait(60) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_embed_ends_at_a_signal_while_it_waits_for_input(start, number):
    process = start("embed")
    process.stdin.write(b"hello\n")
    process.stdin.flush()
    read_line(process)
    process.send_signal(number)
    assert process.wait(60) == -number  # the signal ends the program, so that a loop in a shell ends too
    assert process.stdout.read() == b""


def test_embed_ends_when_its_reader_has_gone(start):
    process = start("embed")
    process.stdout.close()
    process.stdin.write(b"hello\n" * 10)
    process.stdin.close()
    assert process.wait(60) == -signal.SIGPIPE  # as other filters do
    assert process.stderr.read() == b""


def test_embed_ends_when_printing_fails_before_the_input_ends(start):
    with open("/dev/full", "wb") as full:
        process = start("embed", stdout=full)
    process.stdin.write(b"a line\n")
    process.stdin.flush()  # the input stays open, so printing fails while the program waits for a line
    assert process.wait(60) == 1
    assert b"cannot write standard output" in process.stderr.read()


def test_embed_with_closed_streams(start):
    """Files that the program opens must not take the places of closed streams."""
    def closing(fd):
        return start("embed", preexec_fn=lambda: os.close(fd))

    no_output = closing(1)
    _, said = no_output.communicate(b"hello\n", 60)
    assert no_output.returncode == 1 and b"standard output" in said
    no_input = closing(0)
    out, said = no_input.communicate(timeout=60)
    assert no_input.returncode == 1 and out == b"" and said


def peak_memory(process, parts, answers):
    """Writes the parts to the program and waits for its answers. Returns its largest resident size in KiB."""
    def feed():
        for part in parts:
            process.stdin.write(part)
        process.stdin.flush()

    feeder = threading.Thread(target=feed)
    feeder.start()
    for _ in range(answers):
        assert process.stdout.readline().endswith(b"\n")
    feeder.join()
    with open(f"/proc/{process.pid}/status", encoding="ascii") as status:
        peak = int(re.search(r"^VmHWM:\s*(\d+) kB$", status.read(), re.M).group(1))
    process.stdin.close()
    assert process.stdout.read() == b"" and process.wait(60) == 0
    return peak


def test_embed_has_constant_memory(start):
    """64 MB of input need no more memory than 10 MB. Both have texts of 3 MB, lines without a
    text, lines that are too long, and short lines."""
    one_of_each = [b'{"text":"' + b"word " * 600000 + b'"}\n', b'{"b":"' + b"x" * (3 << 20) + b'"}\n',
                   b"x" * (LINE_MAX + 1000) + b"\n"]
    # The address sanitizer, if it is built in, keeps freed memory for a while; these options limit how much.
    env = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1:thread_local_quarantine_size_kb=64"}
    start_embed = functools.partial(start, "embed", "--jsonl", env=env, stderr=None)
    small = peak_memory(start_embed(), one_of_each + [b'{"text":"hi"}\n'] * 600, 603)
    large = peak_memory(start_embed(), one_of_each * 6 + [b'{"text":"hi"}\n'] * 3000, 3018)
    print(f"{small} KiB at most for 10 MB, {large} KiB for 64 MB")
    assert large < small + 8 * 1024


def test_embed_takes_no_positions(run):
    done = run("embed", "some text", status=2)
    assert "standard input" in done.stderr and "some text" in done.stderr


def test_a_signal_that_was_ignored_stays_so(start):
    """A shell starts background jobs with SIGINT ignored, because Ctrl-C is not meant for them."""
    process = start("embed", preexec_fn=lambda: [signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)])
    for text in (b"one\n", b"two\n"):
        process.stdin.write(text)
        process.stdin.flush()
        assert len(read_line(process)["embedding"]) == 384
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
    process.stdin.close()
    assert process.wait(60) == 0
