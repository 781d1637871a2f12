#!/usr/bin/env python3
"""A server made with stock libevhtp echoes and streams to curl, over HTTP and HTTPS, with and without threads."""
import concurrent.futures
import contextlib
import os
import pathlib
import tempfile

import stock

HERE = pathlib.Path(__file__).resolve().parent
PIECES = "".join(f"piece {n}\n" for n in range(1000))


@contextlib.contextmanager
def around():
    if not pathlib.Path("/usr/include/evhtp/evhtp.h").exists():
        stock.skip("libevhtp-dev is not installed")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        program = stock.linked(folder / "evhtp", [HERE / "evhtp.c"], "-I/usr/include/evhtp", "-levhtp", "-levent_openssl", "-levent",
                                 "-levent_pthreads", "-lssl", "-lcrypto", "-lpthread")
        (folder / "data").write_bytes(os.urandom(2_000_000))
        yield program, stock.certificate(folder), folder


def check(report, title, url, cert, folder):
    curl = ["curl", "-sS", "--cacert", str(cert)]
    data, back = folder / "data", folder / "back"
    right = 0
    for _ in range(3):
        stock.run([*curl, "--data-binary", f"@{data}", "-H", "Expect:", "-o", str(back), f"{url}/echo"])
        right += back.read_bytes() == data.read_bytes()
    pieces = stock.run([*curl, f"{url}/chunks"])
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        many = list(pool.map(lambda n: stock.run([*curl, "-d", f"message {n}", f"{url}/echo"]), range(30)))
    report.check(title, right == 3 and pieces == PIECES and many == [f"message {n}" for n in range(30)],
                 f"{right} of 3 uploads came back, {pieces.count('piece')} pieces, "
                 f"{sum(text.startswith('message') for text in many)} of 30 small ones")


def drive(swap, report, surroundings):
    program, (key, cert, _), folder = surroundings
    for scheme, files in ("http", []), ("https", [str(key), str(cert)]):
        for threads in 0, 2:
            port = stock.free_port()
            with stock.Server([program, str(port), str(threads), *files], swap) as server:
                server.wait_for_port(port)
                check(report, f"{scheme}, {threads}", f"{scheme}://localhost:{port}", cert, folder)
                server.check_mapping(report)
                server.check_stop(report)


stock.main(drive, "gcc", "openssl", "curl", around=around)
