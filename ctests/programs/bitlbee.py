#!/usr/bin/env python3
"""A stock bitlbee connects 60 IRC users to a Jabber server, where a friend answers each of them."""
import contextlib
import pathlib
import random
import re
import socket
import tempfile
import threading

import stock

USERS = 60
FEATURES = ("<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' from='localhost' id='1' "
            "version='1.0'><stream:features>{}</stream:features>")
LOGIN = "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms>"
SESSION = ("<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>"
           "<session xmlns='urn:ietf:params:xml:ns:xmpp-session'/>")
PIECE = re.compile(r"\s*(<\?xml[^>]*>|<stream:stream[^>]*>|</stream:stream>|<(\w+)[^>]*/>|<(\w+)[^>]*>.*?</\3>)", re.DOTALL)
FRIEND = "friend@localhost"


def answers(stanza):
    """What a Jabber server that has one user, with one friend, answers to a piece of XML."""
    kind = re.match(r"<([\w:]+)", stanza)[1]
    number = re.search(r"""\bid=['"]([^'"]*)""", stanza)
    result = "<iq type='result' id='%s' to='me@localhost/x'>" % (number[1] if number else "")
    if kind == "auth":
        return "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"
    if "xmpp-bind" in stanza:
        return f"{result}<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>me@localhost/x</jid></bind></iq>"
    if "jabber:iq:roster" in stanza:
        return (f"{result}<query xmlns='jabber:iq:roster'><item jid='{FRIEND}' name='friend' subscription='both'/></query></iq>"
                f"<presence from='{FRIEND}/y' to='me@localhost/x'/>")
    if kind == "iq" and "result" not in stanza:
        return f"{result}</iq>"
    if kind == "message" and (said := re.search(r"<body>(.*?)</body>", stanza)):
        return f"<message from='{FRIEND}/y' to='me@localhost/x' type='chat'><body>you said {said[1]}</body></message>"
    return ""


def serve(client):
    """One user's connection, piece of XML by piece."""
    text, logged_in = "", False
    with contextlib.closing(client):
        while data := client.recv(65536):
            text += data.decode()
            while piece := PIECE.match(text):
                text = text[piece.end():]
                stanza = piece[1]
                if stanza.startswith("<stream:stream"):
                    client.sendall(FEATURES.format(SESSION if logged_in else LOGIN).encode())
                elif stanza == "</stream:stream>":
                    client.sendall(stanza.encode())
                    return
                elif not stanza.startswith("<?"):
                    logged_in |= stanza.startswith("<auth")
                    client.sendall(answers(stanza).encode())


@contextlib.contextmanager
def jabber_server():
    """Its address: bitlbee connects to certain ports only, but to any address."""
    address = "127." + ".".join(str(random.randrange(2, 250)) for _ in range(3))
    with socket.create_server((address, 5222)) as listener:
        def accept():
            with contextlib.suppress(OSError):
                while True:
                    threading.Thread(target=serve, args=[listener.accept()[0]], daemon=True).start()
        threading.Thread(target=accept, daemon=True).start()
        yield address


class User(stock.Line):
    def __init__(self, port, name):
        super().__init__(port)
        self.say(f"NICK {name}", f"USER {name} {name} localhost :{name}")
        self.until(" 376 ")

    def say(self, *lines):
        self.send("".join(f"{line}\r\n" for line in lines).encode())

    def until(self, text):
        """The first line with the text."""
        while text not in (line := self.line().decode()):
            if not line and not self.input.peek(1):
                raise stock.Broken(f"bitlbee closed the connection before it said {text}")
        return line


def order(user, words, answer):
    user.say(f"PRIVMSG &bitlbee :{words}")
    return user.until(answer)


def check_talk(report, user, address):
    order(user, "register secret", "successfully created")
    order(user, "account add jabber me@localhost password", "successfully added")
    for words in f"server {address}", "port 5222", "tls off":
        order(user, f"account jabber set {words}", f"= `{words.split()[1]}'")
    order(user, "account jabber on", "Logged in")
    user.until("friend")
    answers = []
    for number in range(20):
        user.say(f"PRIVMSG friend :line {number}")
        answers.append(user.until(":you said").endswith(f":you said line {number}"))
    report.check("talk", all(answers), f"{sum(answers)} of {len(answers)} lines come back from the friend")
    long = "x" * 400
    user.say(*[f"PRIVMSG friend :{long}"] * 50)
    lines = [user.until(":you said") for _ in range(3)]
    report.check("long", all(len(line) > 400 for line in lines), f"{len(lines[0])} bytes in a line")


def drive(swap, report):
    port = stock.free_port()
    with tempfile.TemporaryDirectory() as folder, jabber_server() as jabber:
        settings = pathlib.Path(folder, "bitlbee.conf")
        settings.write_text("[settings]\n[defaults]\n")
        command = ["bitlbee", "-D", "-n", "-v", "-i", "127.0.0.1", "-p", str(port),
                   "-c", str(settings), "-d", folder, "-P", f"{folder}/pid"]
        with stock.Server(command, swap) as server:
            server.wait_for_port(port)
            print(f"bitlbee, our library {server.swap}")
            server.check_mapping(report)
            first, *others = users = [User(port, f"user{number}") for number in range(USERS)]
            for user in users:
                user.say("PING :here")
            pongs = sum("here" in user.until("PONG") for user in users)
            report.check("users", pongs == USERS, f"{pongs} of {USERS} users have an answer")
            check_talk(report, first, jabber)
            said = order(first, "save", "Configuration saved")
            report.check("saved", pathlib.Path(folder, "user0.xml").exists(), said.rpartition(":")[2])
            for user in others[::2]:
                user.say("QUIT")
                user.until("ERROR")
            first.say("QUIT :that is all")
            report.check("quit", "that is all" in first.until("ERROR"), f"{len(others[::2]) + 1} users have left, {len(others[1::2])} stay")
            server.check_stop(report)


stock.main(drive, "bitlbee")
