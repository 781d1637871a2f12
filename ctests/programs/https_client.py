#!/usr/bin/env python3
"""The distribution's example https-client fetches from nginx over TLS: certificates, uploads, refusals."""
import contextlib
import os
import pathlib
import tempfile

import stock

EXAMPLES = pathlib.Path("/usr/share/doc/libevent-dev/examples")
SOURCES = [EXAMPLES / name for name in ("https-client.c", "hostcheck.c", "openssl_hostname_validation.c")]
# What these use of headers that are not installed.
HEADERS = {
    "openssl_hostname_validation.h": """#include <openssl/x509.h>
typedef enum { MatchFound, MatchNotFound, NoSANPresent, MalformedCertificate, Error } HostnameValidationResult;
HostnameValidationResult validate_hostname(const char *hostname, const X509 *server_cert);
""",
    "hostcheck.h": """enum { CURL_HOST_NOMATCH, CURL_HOST_MATCH };
int Curl_cert_hostcheck(const char *match_pattern, const char *hostname);
""",
}


@contextlib.contextmanager
def around():
    if not SOURCES[0].exists():
        stock.skip("libevent-dev has no examples")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        for header, text in HEADERS.items():
            (folder / header).write_text(text)
        program = stock.linked(folder / "https-client", SOURCES, f"-I{folder}", "-levent_openssl", "-levent", "-lssl", "-lcrypto")
        key, cert, _ = stock.certificate(folder)
        port = stock.free_port()
        (folder / "small").write_text("hello\n")
        (folder / "large").write_text("0123456789abcde\n" * 65536)
        (folder / "nginx.conf").write_text(f"""daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{ access_log off; client_max_body_size 64m; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {cert}; ssl_certificate_key {key}; root {folder};
location /length {{ return 200 "$content_length\\n"; }} }} }}
""")
        with stock.Program(["nginx", "-c", f"{folder}/nginx.conf", "-e", f"{folder}/error.log"]) as server:
            server.wait_for_port(port)
            yield program, cert, folder, port
            server.stop()


def fetch(swap, program, *arguments):
    """Exit status and output of the client."""
    with stock.Server([program, *arguments], swap) as client:
        return client.wait(), client.output()


def drive(swap, report, surroundings):
    program, cert, folder, port = surroundings
    url = f"https://localhost:{port}"
    status, said = fetch(swap, program, "-url", f"{url}/small", "-crt", str(cert))
    report.check("certificate", status == 0 and "looks good to me" in said and said.endswith("hello\n"),
                 f"status {status}, {said.splitlines()[-1] if said else 'nothing'}")
    status, said = fetch(swap, program, "-url", f"{url}/large", "-ignore-cert")
    report.check("much", status == 0 and said.count("0123456789abcde\n") == 65536, f"status {status}, {len(said):,} bytes")
    data = folder / "data"
    data.write_bytes(os.urandom(3_000_000))
    status, said = fetch(swap, program, "-url", f"{url}/small", "-ignore-cert", "-data", str(data))
    report.check("upload", status == 0 and "405" in said, f"3,000,000 bytes sent to a file that takes none: {said.splitlines()[0]}")
    status, said = fetch(swap, program, "-url", f"{url}/small")
    report.check("unknown", "hello" not in said, f"an unknown certificate is refused, status {status}")
    nobody = stock.free_port()
    status, said = fetch(swap, program, "-url", f"https://localhost:{nobody}/", "-ignore-cert")
    report.check("nobody", "some request failed" in said,
                 f"a port without a server: status {status}, {said.splitlines()[0] if said else 'nothing'}")


stock.main(drive, "gcc", "openssl", "nginx", around=around)
