#!/usr/bin/env python3
"""A stock remctl-shell runs commands and passes on their input, output, errors and exit status."""
import concurrent.futures
import os
import pathlib
import tempfile

import stock

TIMES = 30
SIZE = 2_000_000

COMMAND = f"""#!/bin/sh
case $1 in
answer) shift; printf '<%s>' "$@"; echo "to stderr" >&2; exit 3;;
much) head -c {SIZE} /dev/zero | tr '\\0' x;;
filter) tr a-z A-Z;;
close) exec >&- 2>&-; exit 5;;
killed) kill -KILL $$;;
wait) echo "waiting for $2"; read line < "$2"; echo "$line";;
esac
"""


def drive(swap, report):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        script, settings, pipe = folder / "command", folder / "settings", folder / "pipe"
        script.write_text(COMMAND)
        script.chmod(0o755)
        settings.write_text(f"do filter {script} stdin=last ANYUSER\ndo ALL {script} ANYUSER\n")
        os.mkfifo(pipe)

        def shell(command, **options):
            identity = {"SSH_CONNECTION": "127.0.0.1 1 127.0.0.1 2", "REMCTL_USER": "somebody"}
            return stock.Server(["remctl-shell", "-S", "-q", "-f", settings, "-c", command], swap, env=identity, **options)

        def outcome(command):
            """Status and output, with the two streams apart."""
            with tempfile.TemporaryFile("w+") as errors, shell(command, stderr=errors) as program:
                status = program.wait()
                errors.seek(0)
                return status, program.output(), errors.read()

        with shell(f"do wait {pipe}") as program:
            print(f"remctl-shell, our library {program.swap}")
            program.wait_for_output(f"waiting for {pipe}\n")
            program.check_mapping(report)
            pipe.write_text("went on\n")
            status = program.wait()
            report.check("patience", status == 0 and program.output().endswith("\nwent on\n"),
                         f"output seen before the command went on; status {status}")

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            outcomes = set(pool.map(outcome, ["do answer one 'two three' \"\""] * TIMES))
        report.check("answers", outcomes == {(3, "<one><two three><>", "to stderr\n")}, f"{TIMES} commands: {outcomes}")
        status, output, _ = outcome("do much")
        report.check("much output", (status, output) == (0, "x" * SIZE), f"{len(output):,} bytes")
        words = "some input " * 5000
        status, output, _ = outcome(f"do filter '{words}'")
        report.check("input", (status, output) == (0, words.upper()), f"{len(output):,} bytes came back in capitals")
        statuses = [outcome(command)[0] for command in ("do close", "do killed", "other thing")]
        report.check("statuses", statuses == [5, 255, 255], f"{statuses} of closed output, a signal, no such command")


stock.main(drive, "remctl-shell")
