"""A backend in plain http.server. Every question is printed as a line of JSON; the answer is what the
client's data asks for:

    {"status": 200, "body": {...}}   this answer (a body that is text is sent as it is)
    {"large": 1000}                  a name of so many bytes
    {"then": "hang"}                 none, until the other end leaves; then {"left": true} is printed
    {"then": "cut"}                  none, and the connection ends

Usage: backend.py PORT [CERTIFICATE KEY]
"""

import base64
import json
import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


speaking = threading.Lock()


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
        data = question.get("data")
        if "b64data" in question:
            data = json.loads(base64.b64decode(question["b64data"]))
        self.answer(data or {})

    def answer(self, asked):
        if asked.get("then") == "hang":
            self.connection.settimeout(None)
            self.connection.recv(1)
            say({"left": True})
        if "then" in asked:
            self.close_connection = True
            return
        body = asked.get("body", {"result": {"user": "somebody"}})
        if "large" in asked:
            body = {"result": {"user": "x" * asked["large"]}}
        body = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(asked.get("status", 200))
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
