#!/usr/bin/env python3
"""A stock sslsplit intercepts TLS between curl and nginx, with certificates of its own: TLS server and client in one."""
import concurrent.futures
import contextlib
import os
import pathlib
import tempfile

import stock


@contextlib.contextmanager
def around():
    if "evdns_getaddrinfo" not in stock.run(["nm", "-D", str(stock.LIBRARIES / "libevent-2.1.so.7")]):
        stock.skip("it looks names up, and our library has no evdns_getaddrinfo")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        key, cert, _ = stock.certificate(folder)
        (folder / "ca").mkdir()
        ca = stock.certificate(folder / "ca")
        port = stock.free_port()
        (folder / "large").write_bytes(os.urandom(5_000_000))
        (folder / "small").write_text("hello\n")
        (folder / "nginx.conf").write_text(f"""daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 200; }}
http {{ access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f;
uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {cert}; ssl_certificate_key {key}; root {folder}; }} }}
""")
        with stock.Program(["nginx", "-c", f"{folder}/nginx.conf", "-e", f"{folder}/error.log"]) as server:
            server.wait_for_port(port)
            yield ca, folder, port
            server.stop()


def drive(swap, report, surroundings):
    (key, cert, _), folder, far = surroundings
    near = stock.free_port()
    with stock.Server(["sslsplit", "-D", "-u", "root", "-k", str(key), "-c", str(cert), "-l", f"{folder}/connections",
                       "https", "127.0.0.1", str(near), "127.0.0.1", str(far)], swap) as server:
        server.wait_for_port(near)
        curl = ["curl", "-sS", "--cacert", str(cert)]
        url = f"https://localhost:{near}"
        said = stock.run([*curl, *[f"{url}/small"] * 10])
        report.check("small", said == "hello\n" * 10, f"{said.count('hello')} of 10 files fetched")
        for version in "1.2", "1.3":
            fetched = folder / "fetched"
            stock.run([*curl, f"--tlsv{version}", "--tls-max", version, "-o", str(fetched), f"{url}/large"])
            report.check("large", fetched.read_bytes() == (folder / "large").read_bytes(),
                         f"{fetched.stat().st_size:,} bytes fetched, TLS {version}")
        with concurrent.futures.ThreadPoolExecutor(10) as pool:
            many = list(pool.map(lambda _: stock.run([*curl, f"{url}/small"]), range(30)))
        report.check("many", many == ["hello\n"] * 30, f"{many.count('hello' + chr(10))} of 30 files to 10 clients at a time")
        server.check_mapping(report)
        server.check_stop(report)


stock.main(drive, "sslsplit", "nginx", "curl", "openssl", around=around)
