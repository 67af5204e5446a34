"""Describes the machine of a benchmark, and how busy other programs kept it."""
import ctypes
import json
import os
import pathlib
import platform
import re
import subprocess
import time


def processor():
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def caches():
    """"L1d 48 KB, L2 2048 KB, L3 260 MB" of the first processor, if the system lists them."""
    found = []
    for index in sorted(pathlib.Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = ((index / name).read_text().strip() for name in ("level", "type", "size"))
        if kind != "Instruction":
            found.append(f"L{level}{'d' if kind == 'Data' and level == '1' else ''} {size}B")
    return ", ".join(found)


def system():
    try:
        name = platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        name = platform.system()
    return f"{name}, Linux {platform.release().split('-')[0]}"


def commit(top):
    done = subprocess.run(["git", "-C", str(top), "describe", "--always", "--dirty"], capture_output=True, text=True,
                          check=False)
    return done.stdout.strip()


def line(top):
    """The machine and the commit, as the first line of a page has them."""
    return f"{os.cpu_count()} processors, {processor()} ({caches()}), {system()}, commit {commit(top)}"


def memory(pid):
    """The resident memory of a process, MiB."""
    with open(f"/proc/{pid}/statm", encoding="ascii") as fields:
        return int(fields.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def peak(build, threads, seconds=3):
    """The result of `dipper bench peak` for the instruction set in use."""
    done = subprocess.run([str(pathlib.Path(build) / "dipper"), "bench", "peak", "--json", "--seconds", str(seconds),
                           "--threads", str(threads)], capture_output=True, text=True, check=True)
    return next(s for s in json.loads(done.stdout)["sets"] if s["used"])


def reading(megabytes, seconds=1.0):
    """The GB/s at which one thread reads a buffer in order, again and again: the fastest pass of memchr over zeros."""
    size, best = megabytes << 20, 0.0
    buffer = ctypes.create_string_buffer(size)
    ctypes.memset(buffer, 0, size)
    search = ctypes.CDLL(None).memchr
    search.restype, search.argtypes = ctypes.c_void_p, (ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t)
    end = time.monotonic() + seconds
    while best == 0.0 or time.monotonic() < end:
        begun = time.perf_counter()
        search(buffer, 1, size)
        best = max(best, size / (time.perf_counter() - begun) / 1e9)
    return best


def page(top, build):
    """The path of this machine's page, and the first lines that describe the machine there."""
    limits = peak(build, 1)
    name = re.sub(r"\(R\)|\(TM\)|@.*", "", processor()).strip()
    slug = re.sub(r"[^a-z0-9]+", "-", f"{name} {limits['name']}".lower())
    return pathlib.Path(top) / "docs/benchmarks/machines" / f"{slug}.md", f"""# {name}, {limits['name']}

{caches()}; {system()}. One thread at most: {limits['int8_gops_1_thread']:,.0f} GOPS of int8, {limits['fp32_gflops_1_thread']:,.0f} GFLOPS of fp32; it reads \
{reading(1):.0f} GB/s from 1 MB, {reading(32):.0f} GB/s from 32 MB and {reading(1024):.0f} GB/s from 1 GB.
"""


def write_between(page, begin, end, text):
    """Replaces what stands between the marks `begin` and `end` of a page."""
    head, rest = page.read_text(encoding="utf-8").split(begin)
    page.write_text(head + begin + text + end + rest.split(end)[1], encoding="utf-8")


def print_report(lines, page, begin, end):
    """Prints the lines of a report as they come, and then puts them between two marks of a page. page None: only prints."""
    kept = []
    for line in lines:
        print(line, flush=True)
        kept.append(line)
    if page:
        write_between(page, begin, end, "\n" + "\n".join(kept) + "\n\n")


class Others:
    """Measures the share of the machine that other programs use from now on."""

    def __init__(self):
        self.begin, self.at = self.busy(), time.monotonic()

    @staticmethod
    def busy():
        """Returns the seconds that the processors were busy, for all programs and for this one with its children."""
        with open("/proc/stat", encoding="utf-8") as lines:
            user, nice, kernel, _, _, irq, softirq, steal = map(int, lines.readline().split()[1:9])
        ours = os.times()
        ticks = user + nice + kernel + irq + softirq + steal
        return ticks / os.sysconf("SC_CLK_TCK"), ours.user + ours.system + ours.children_user + ours.children_system

    def share(self):
        everyone, ours = (now - then for now, then in zip(self.busy(), self.begin))
        return max(0.0, everyone - ours) / (time.monotonic() - self.at) / os.cpu_count()
