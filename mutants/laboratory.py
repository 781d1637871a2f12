"""Where faults are tried: a copy of the tree, the library with a fault in it, and the tests that
reach the fault's place.

Which test reaches which line is found out once, with a library that notes it (reached.c). A unit is
a case of a test program in one configuration.
"""
import collections
import concurrent.futures
import difflib
import hashlib
import importlib.machinery
import importlib.util
import os
import pathlib
import pickle
import queue
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time

PROJECT = pathlib.Path(__file__).resolve().parents[1]
WORK = PROJECT / "build" / "mutants"
# The first tree has the tests' programs; a fault is put into it or into one of its copies.
TREE = WORK / "tree"
MAP = WORK / "map.pickle"
SOURCES = ["src", "openssl", "headers", "packaging", "abi", "build.rs", "Cargo.toml", "Cargo.lock", "cbindgen.toml", "Makefile"]
TESTS = ["ctests", "include", "rpcgen"]
HOST = "x86_64-unknown-linux-gnu"
LIBRARIES = ["libevent-2.1.so.7", "libevent_openssl-2.1.so.7"]
# A library that is made again in seconds. The standard library wants more of an unwinder than the
# one that ours brings when nothing is optimized across crates: so it is linked with the compiler's.
QUICK = {"CARGO_PROFILE_RELEASE_LTO": "off", "CARGO_PROFILE_RELEASE_CODEGEN_UNITS": "64",
         "CARGO_PROFILE_RELEASE_OPT_LEVEL": "1", "CARGO_PROFILE_RELEASE_INCREMENTAL": "true"}
QUICK_MAKE = ["make", "-s", "shared", "STRIP=-Wl,-s -lgcc_s"]
# A library that notes which of its parts are reached.
NOTING = {"CARGO_PROFILE_RELEASE_LTO": "off", "CARGO_PROFILE_RELEASE_CODEGEN_UNITS": "16",
          "CARGO_PROFILE_RELEASE_OPT_LEVEL": "0", "CARGO_PROFILE_RELEASE_DEBUG": "line-tables-only",
          "CARGO_BUILD_TARGET": HOST,
          "RUSTFLAGS": "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=3 "
                       "-Cllvm-args=-sanitizer-coverage-trace-pc-guard -Cllvm-args=-sanitizer-coverage-pc-table "
                       "-Cllvm-args=-sanitizer-coverage-prune-blocks=0"}
PARALLEL = 6
# Faults whose tests run at the same time wait more than they compute; what compiles does not.
COMPILING = threading.Semaphore(2)

# `passed` and `output` are what the unit does with the library as it is.
Unit = collections.namedtuple("Unit", "program case configuration same digest status output seconds")
Outcome = collections.namedtuple("Outcome", "status output seconds")


def load_runner():
    """The runner of the C tests in the copy of the tree."""
    loader = importlib.machinery.SourceFileLoader("runner", str(TREE / "ctests" / "run"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("runner", loader))
    sys.dont_write_bytecode = True
    loader.exec_module(module)
    return module


def command(arguments, settings, seconds, tree=TREE):
    """Runs a command in a tree, with all that it starts ended when its time is over."""
    environment = {name: value for name, value in os.environ.items() if name not in ("CARGO_TARGET_DIR", "RUSTFLAGS")}
    process = subprocess.Popen(arguments, cwd=tree, env={**environment, **settings}, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)
    try:
        text, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return False, "time limit"
    return process.returncode == 0, text


def files_below(names, original=PROJECT):
    for name in names:
        top = original / name
        yield from sorted(path for path in ([top] if top.is_file() else top.rglob("*"))
                          if path.is_file() and "__pycache__" not in path.parts)


def digest_of(paths):
    whole = hashlib.sha256()
    for path in paths:
        whole.update(f"{path.relative_to(PROJECT)}\n".encode() + path.read_bytes())
    return whole.hexdigest()


def copy(names, tree=TREE, original=PROJECT):
    """Brings a tree up to date; files that are the same keep their time."""
    wanted = set()
    for path in files_below(names, original):
        target = tree / path.relative_to(original)
        wanted.add(target)
        if not target.exists() or target.read_bytes() != path.read_bytes():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            shutil.copy2(path, target)
            os.utime(target)
    for name in names:
        for old in [path for path in (tree / name).rglob("*") if path.is_file()]:
            if old not in wanted and "__pycache__" not in old.parts:
                old.unlink()


def before(tree):
    """Where the file with a fault in it is kept as it was: its name and its text."""
    return tree.with_suffix(".before")


def restore(tree):
    """Takes the fault out of a tree; also one that a run left there which was killed."""
    if before(tree).exists():
        file, _, text = before(tree).read_bytes().partition(b"\n")
        (tree / file.decode()).write_bytes(text)
        before(tree).unlink()


class Laboratory:
    """The trees, the tests in the first of them, and what they reach."""

    def __init__(self, keep_tree, at_once):
        TREE.mkdir(parents=True, exist_ok=True)
        restore(TREE)
        sources = digest_of(files_below(SOURCES))
        known = pickle.loads(MAP.read_bytes()) if MAP.exists() else None
        if known and known["sources"] != sources and not keep_tree:
            print("the sources have changed: what the tests reach is found out anew", flush=True)
            known = None
        if not known:
            copy(SOURCES)
        copy(TESTS)
        self.sources = known["sources"] if known else sources
        self.units = known["units"] if known else []
        self.reached = known["reached"] if known else {}
        self.runner = load_runner()
        built, text = command(QUICK_MAKE, QUICK, 1800)
        if not built:
            sys.exit(f"mutants: the unchanged tree does not build:\n{text}")
        self.clean = WORK / "clean"
        shutil.rmtree(self.clean, ignore_errors=True)
        shutil.copytree(TREE / "build" / "lib", self.clean, symlinks=True)
        self.find_reached()
        self.trees = queue.SimpleQueue()
        self.trees.put(TREE)
        for number in range(2, at_once + 1):
            self.trees.put(another_tree(number))

    def save(self):
        partial = MAP.with_suffix(".new")
        partial.write_bytes(pickle.dumps({"sources": self.sources, "units": self.units, "reached": self.reached}))
        partial.replace(MAP)

    # --- What the tests reach ---------------------------------------------------------------------

    def find_reached(self):
        """Runs those tests that are not known yet with the library that notes what they reach."""
        chosen = self.runner.buildable(self.runner.sources(), TREE / "build" / "lib")
        programs, broken = self.runner.build_all(chosen, PARALLEL, None)
        if broken:
            sys.exit("mutants: tests do not compile")
        digests = {str(program): self.runner.digest(program) for program in programs}
        current = [unit.program in digests and unit.digest == digests[unit.program] for unit in self.units]
        self.current = {number for number, is_current in enumerate(current) if is_current}
        known = {self.units[number].program for number in self.current}
        new = [program for program in programs if str(program) not in known]
        if not new:
            return
        noting = self.build_noting()
        lines = lines_of_parts(noting, new[0], self.runner)
        library = self.runner.Library("noting", str(noting), "", "")
        wanted = [(case, configuration) for program in new for case in self.runner.cases_of(program, library)
                  for configuration in self.runner.configurations(case)]
        print(f"finding out what {len(wanted)} runs of tests reach", flush=True)
        began = time.monotonic()

        def note(each):
            case, configuration = each
            with tempfile.TemporaryDirectory(prefix="reached-") as notes:
                outcome = self.run(str(case.program), case.name, configuration, noting, 60,
                                   extra={"MUTANTS_REACHED": f"{notes}/unit"})
                unit = Unit(str(case.program), case.name, configuration, case.kind == "same",
                            digests[str(case.program)], *outcome)
                touched = set()
                for library in LIBRARIES:
                    file = pathlib.Path(f"{notes}/unit.{library}.reached")
                    if file.exists() and library in lines:
                        for part in re.finditer(b"\1", file.read_bytes()):
                            touched.update(lines[library].get(part.start() - 1, ()))
            # What it does wrong only because that library is slow does not count.
            if not unit.status_is_good():
                unit = unit._replace(**self.run(unit.program, unit.case, configuration, self.clean, 60)._asdict())
            return unit, touched

        with concurrent.futures.ThreadPoolExecutor(PARALLEL) as pool:
            for done, (unit, touched) in enumerate(pool.map(note, wanted)):
                number = len(self.units)
                self.units.append(unit)
                self.current.add(number)
                for file, line in touched:
                    self.reached.setdefault(file, {}).setdefault(line, []).append(number)
                if done % 500 == 499:
                    print(f"{done + 1} runs, {time.monotonic() - began:.0f} s", flush=True)
        bad = [title(self.units[number]) for number in self.current if not self.units[number].status_is_good()]
        if bad:
            print(f"left out, for they fail with the unchanged library: {', '.join(bad)}", flush=True)
        self.save()

    def build_noting(self):
        """The library that notes; returns its directory."""
        built, text = command(["gcc", "-O1", "-fPIC", "-Wall", "-Wextra", "-Werror", "-c", str(PROJECT / "mutants/reached.c"),
                               "-o", str(WORK / "reached.o")], {}, 60)
        if built:
            built, text = command(["make", "-s", "shared", "BUILD=build/noting", f"CARGO_TARGET_DIR={TREE}/target/noting",
                                   f"ARCHIVE=target/noting/{HOST}/release/liblibevent_rs.a",
                                   f"STRIP={WORK}/reached.o -lgcc_s"], NOTING, 1800)
        if not built:
            sys.exit(f"mutants: the library that notes what is reached does not build:\n{text}")
        return TREE / "build" / "noting" / "lib"

    # --- Running tests ------------------------------------------------------------------------------

    def run(self, program, case, configuration, library, limit, extra=None, stop=None):
        """Runs one case; ended early, with the status None, when there is no need for it any more."""
        settings = {**self.runner.CONFIGURATIONS[configuration], **(extra or {})}
        one = self.runner.Library("ours", str(library), "", "")
        with tempfile.TemporaryDirectory(prefix="ctests-") as scratch:
            inside = pathlib.Path(scratch, "work")
            inside.mkdir()
            with open(f"{scratch}/out", "w+b") as out:
                began = time.monotonic()
                process = subprocess.Popen([program, case], stdin=subprocess.DEVNULL, stdout=out,
                                           stderr=subprocess.DEVNULL, cwd=inside, start_new_session=True,
                                           env=self.runner.environment(one, settings))
                status = wait(process, began + limit, stop)
                seconds = time.monotonic() - began
                out.seek(0)
                text = out.read(1 << 20)
        return Outcome(status, hashlib.sha256(text).hexdigest()[:16], seconds)

    def notices(self, unit, library, stop=None, patience=1):
        """Whether a unit does with this library what it should not."""
        limit = patience * (4 + 6 * unit.seconds)
        outcome = self.run(unit.program, unit.case, unit.configuration, library, limit, stop=stop)
        if outcome.status is None:
            return False
        return outcome.status != unit.status or unit.same and outcome.output != unit.output

    def killer(self, numbers, library):
        """The first of the units that notices the fault, twice, and passes without. The second time it
        has longer, for a machine that does other things too."""
        stop = threading.Event()
        found = []

        def attempt(number):
            unit = self.units[number]
            if stop.is_set() or not self.notices(unit, library, stop):
                return
            if not self.notices(unit, self.clean, patience=3) and self.notices(unit, library, patience=3):
                found.append(unit)
                stop.set()

        with concurrent.futures.ThreadPoolExecutor(PARALLEL) as pool:
            for _ in pool.map(attempt, numbers):
                pass
        return found[0] if found else None

    # --- Faults -------------------------------------------------------------------------------------

    def units_for(self, file, lines, folders, earlier):
        """The units that reach these lines, the likely ones first: all in the default configuration,
        in the others those of the area, and those that only reach the lines there."""
        by_line = self.reached.get(file, {})
        for reach in (1, 12):
            numbers = {number for line in range(min(lines) - reach, max(lines) + reach + 1)
                       for number in by_line.get(line, ())} & self.current
            if numbers:
                break
        if reach > 1:
            # A constant is never executed itself.
            numbers |= {number for number in self.current if folder_of(self.units[number]) in folders}
        plain = {(self.units[number].program, self.units[number].case) for number in numbers
                 if self.units[number].configuration == "epoll"}

        def rank(number):
            unit = self.units[number]
            killed = -earlier[pathlib.Path(unit.program).parent.name + "/" + pathlib.Path(unit.program).name]
            return unit.configuration != "epoll", killed, folder_of(unit) not in folders, unit.seconds

        return [number for number in sorted(numbers, key=rank)
                if self.units[number].status_is_good()
                and (self.units[number].configuration == "epoll" or folder_of(self.units[number]) in folders
                     or (self.units[number].program, self.units[number].case) not in plain)]

    def try_fault(self, file, diff, folders, scenarios, earlier):
        """What becomes of a fault: the verdict and by whom."""
        tree = self.trees.get()
        try:
            return self.try_fault_in(tree, file, diff, folders, scenarios, earlier)
        finally:
            restore(tree)
            self.trees.put(tree)

    def try_fault_in(self, tree, file, diff, folders, scenarios, earlier):
        source = tree / file
        text = source.read_bytes()
        before(tree).write_bytes(f"{file}\n".encode() + text)
        patched = subprocess.run(["patch", "-s", "-p1", "--no-backup-if-mismatch", "-r", "-", str(source)],
                                 input=diff, text=True, cwd=tree, capture_output=True)
        if patched.returncode:
            return "not viable", "does not apply"
        lines = changed_lines(text.decode(), source.read_text())
        with COMPILING:
            built, said = command(QUICK_MAKE, QUICK, 900, tree)
        if not built:
            errors = re.findall(r"^error.*", said, re.M)
            return "not viable", errors[0] if errors else "does not build"
        numbers = self.units_for(file, lines, folders, earlier)
        unit = self.killer(numbers, tree / "build" / "lib")
        if unit:
            return "killed", title(unit)
        with COMPILING:
            passed = not file.startswith("src/") or command(["cargo", "test", "--quiet", "--lib"], {}, 900, tree)[0]
        if not passed:
            return "killed", "unit tests"
        if not command(["ctests/syscalls/run"], {}, 600, tree)[0]:
            return "killed", "ctests/syscalls/run"
        refuse = ["ctests/faults/run", *scenarios]
        passed, said = command(refuse, {}, 900, tree)
        if not passed and command([*refuse, "--lib", str(self.clean)], {}, 900, tree)[0]:
            found = re.search(r"FOUND (\w+ \w+)", said)
            return "killed", f"ctests/faults/run, {found[1] if found else 'time limit'}"
        return "survived", f"{len(numbers)} runs reach it"


def another_tree(number):
    """A copy of the first tree, with what was built there."""
    tree = TREE.with_name(f"{TREE.name}-{number}")
    if not tree.exists():
        shutil.copytree(TREE, tree, symlinks=True, ignore=shutil.ignore_patterns("noting"))
    restore(tree)
    copy(SOURCES + TESTS, tree, TREE)
    built, text = command(QUICK_MAKE, QUICK, 1800, tree)
    if not built:
        sys.exit(f"mutants: the unchanged tree does not build a second time:\n{text}")
    return tree


def good(unit):
    return unit.status == 0 or unit.status == 77


Unit.status_is_good = good


def folder_of(unit):
    return pathlib.Path(unit.program).parent.name


def title(unit):
    return f"{folder_of(unit)}/{pathlib.Path(unit.program).name}/{unit.case} [{unit.configuration}]"


def wait(process, until, stop):
    """Waits for a process: its status, "time limit", or None when it was stopped before."""
    descriptor = os.pidfd_open(process.pid)
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    status = "time limit"
    while True:
        left = until - time.monotonic()
        if poll.poll(max(0, min(left, 0.1 if stop else left)) * 1000):
            status = "ended"
            break
        if left <= 0:
            break
        if stop and stop.is_set():
            status = None
            break
    os.close(descriptor)
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()
    return process.returncode if status == "ended" else status


def changed_lines(before, after):
    """The numbers of the lines of the one text that differ in the other."""
    numbers = set()
    matcher = difflib.SequenceMatcher(None, before.splitlines(), after.splitlines(), autojunk=False)
    for kind, first, last, _, _ in matcher.get_opcodes():
        if kind != "equal":
            numbers.update(range(first + 1, max(last, first + 1) + 1))
    return numbers


def lines_of_parts(directory, program, runner):
    """For each library, the lines of source of each of its parts."""
    with tempfile.TemporaryDirectory(prefix="reached-") as notes:
        libraries = ":".join(str(directory / library) for library in LIBRARIES if (directory / library).exists())
        subprocess.run([program, "--list"], stdout=subprocess.DEVNULL, check=True,
                       env={"LD_LIBRARY_PATH": str(directory), "LD_PRELOAD": libraries, "MUTANTS_REACHED": f"{notes}/unit",
                            "MUTANTS_PARTS": "1"})
        result = {}
        for library in LIBRARIES:
            file = pathlib.Path(f"{notes}/unit.{library}.parts")
            if file.exists():
                places = [place for place, in struct.iter_unpack("Q", file.read_bytes())]
                result[library] = lines_between(directory / library, places)
    return result


def lines_between(library, places):
    """The lines of the code between each place and the next."""
    listed = subprocess.run(["objdump", "--dwarf=decodedline", str(library)], capture_output=True, text=True, check=True)
    rows, file = [], None
    for line in listed.stdout.splitlines():
        if line.endswith(":") or line.endswith(":[++]"):
            file = line.removesuffix("[++]").removesuffix(":").removeprefix("CU: ").removeprefix("./")
            file = file.removeprefix(f"{TREE}/")
        else:
            row = re.match(r"\S+\s+(\d+)\s+0x([0-9a-f]+)", line)
            if row and file and file.startswith(("src/", "openssl/src/")):
                rows.append((int(row[2], 16), file, int(row[1])))
    if not rows:
        sys.exit(f"mutants: {library} does not say of which lines it was made")
    rows.sort()
    order = sorted(range(len(places)), key=places.__getitem__)
    lines = collections.defaultdict(set)
    at = -1
    for place, name, number in rows:
        while at + 1 < len(order) and places[order[at + 1]] <= place:
            at += 1
        if at >= 0:
            lines[order[at]].add((name, number))
    return lines
