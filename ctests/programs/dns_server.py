#!/usr/bin/env python3
"""A DNS server made with the library answers dig, kdig and host."""
import re
import tempfile

import stock


def lines(text):
    return sorted(line for line in text.splitlines() if line)


def dig(port, *arguments):
    return lines(stock.run(["dig", "@127.0.0.1", "-p", str(port), "+short", "+timeout=5", "+tries=1", *arguments]))


def drive(swap, report):
    with tempfile.TemporaryDirectory() as folder:
        program = stock.compiled("dns_server.c", folder)
        port = stock.free_port()
        with stock.Server([program, str(port)], swap) as server:
            server.wait_for_output("ready")
            for arguments, wanted in (
                    (["host.test", "A"], ["10.0.0.1", "10.0.0.2"]), (["HOST.Test", "AAAA"], ["fd00::1"]),
                    (["alias.test", "A"], ["10.0.0.1", "10.0.0.2", "host.test."]), (["test", "MX"], ["10 mail.test."]),
                    (["test", "TXT"], ['"hello" "world"']), (["test", "NS"], ["ns.test."]), (["-x", "10.0.0.1"], ["host.test."]),
                    (["late.test", "A"], ["10.0.0.9"]), (["absent.test", "A"], [])):
                found = dig(port, *arguments)
                report.check("dig", found == wanted, f"{' '.join(arguments)}: {' '.join(found) or 'nothing'}")
            whole = stock.run(["dig", "@127.0.0.1", "-p", str(port), "+noall", "+comments", "absent.test"])
            report.check("dig", "NXDOMAIN" in whole and "aa rd ra" in whole, "the absent name is absent, with all flags")
            cut = stock.run(["dig", "@127.0.0.1", "-p", str(port), "+ignore", "+noedns", "many.test"])
            count = len(re.findall(r"^many\.test\..*\bA\b", cut, re.M))
            report.check("dig", " tc" in cut and count > 20, f"{count} of 100 addresses fit, and the answer says that it is cut")
            refused = stock.run(["dig", "@127.0.0.1", "-p", str(port), "+noall", "+comments", "www.example.com"])
            report.check("dig", "REFUSED" in refused, "other zones are refused")
            update = stock.run(["dig", "@127.0.0.1", "-p", str(port), "+noall", "+comments", "+opcode=notify", "host.test"])
            report.check("dig", "NOTIMP" in update, "what is no query is not implemented")
            many = [word for number in range(500) for word in (f"n{number}.test", "A")]
            found = dig(port, *many)
            report.check("dig", found == ["10.0.0.1"] * 500 + ["10.0.0.2"] * 500, f"{len(found)} addresses of 500 names")
            found = lines(stock.run(["kdig", "@127.0.0.1", "-p", str(port), "+short", "host.test", "A", "test", "TXT", "alias.test", "AAAA"]))
            report.check("kdig", found == ['"hello" "world"', "10.0.0.1", "10.0.0.2", "fd00::1", "host.test."], " ".join(found))
            found = lines(stock.run(["host", "-p", str(port), "host.test", "127.0.0.1"]))
            report.check("host", "host.test has address 10.0.0.1" in found and "host.test has IPv6 address fd00::1" in found
                         and "host.test mail is handled by 10 mail.test." in found, f"{len(found)} lines")
            found = lines(stock.run(["host", "-p", str(port), "10.0.0.1", "127.0.0.1"]))
            report.check("host", "1.0.0.10.in-addr.arpa domain name pointer host.test." in found, "the name of an address")
            server.check_mapping(report)
            server.check_stop(report)


stock.main(drive, "gcc", "dig", "kdig", "host")
