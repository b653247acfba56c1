"""A backend in plain http.server. Every question is printed as a line of JSON; the answer is what the
client's data asks for:

    {"status": 200, "body": {...}}   this answer (a body that is text is sent as it is)
    {"large": 1000}                  a name of so many bytes
    {"then": "hang"}                 none, until the other end leaves; then {"left": true} is printed
    {"then": "cut"}                  none, and the connection ends
    {"lives": 2}                     a session goes on for so many seconds

A question at /refresh has no data: there the user's name is a list of such answers in JSON, one for each
time that is asked about the same session; the last one counts from then on.

Usage: backend.py PORT [CERTIFICATE KEY]
"""

import base64
import json
import ssl
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


speaking = threading.Lock()
# How often was asked about each session.
asked = {}


def say(line):
    with speaking:
        print(json.dumps(line), flush=True)


class Backend(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        question = json.loads(body)
        headers = [[name.lower(), value] for name, value in self.headers.items()]
        say({"path": self.path, "port": self.client_address[1], "headers": headers,
             "question": question, "text": body.decode()})
        if self.path == "/refresh":
            answers = json.loads(question["user"])
            asked[question["client"]] = nth = asked.get(question["client"], 0) + 1
            return self.answer(answers[min(nth, len(answers)) - 1])
        data = question.get("data")
        if "b64data" in question:
            data = json.loads(base64.b64decode(question["b64data"]))
        self.answer(data or {})

    def answer(self, wanted):
        if wanted.get("then") == "hang":
            self.connection.settimeout(None)
            self.connection.recv(1)
            say({"left": True})
        if "then" in wanted:
            self.close_connection = True
            return
        body = wanted.get("body", {"result": {"user": "somebody"}})
        if "lives" in wanted:
            body = {"result": {"expire_at": int(time.time()) + wanted["lives"]}}
            body["result"].update(wanted.get("with", {}))
        if "large" in wanted:
            body = {"result": {"user": "x" * wanted["large"]}}
        body = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(wanted.get("status", 200))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        pass


server = Server(("127.0.0.1", int(sys.argv[1])), Backend)
if len(sys.argv) > 2:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[2], sys.argv[3])
    server.socket = context.wrap_socket(server.socket, server_side=True)
say({"listens": server.server_address[1]})
server.serve_forever()
