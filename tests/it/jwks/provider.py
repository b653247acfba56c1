"""An identity provider in plain http.server: publishes key sets. What it publishes is said on its input, a
line of JSON each, and acknowledged by the same line on its output:

    {"path": "/keys", "body": {...}}   these keys from now on (a body that is text is sent as it is)
    {"path": "/keys", "status": 500}   this status
    {"path": "/keys", "then": "cut"}   the connection ends without an answer
    {"path": "/keys", "then": "hang"}  no answer, until something else is said of the path

Every request is printed as {"asked": path}.

Usage: provider.py PORT [CERTIFICATE KEY]
"""

import json
import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

told = {}
changed = threading.Condition()


speaking = threading.Lock()


def say(line):
    with speaking:
        print(json.dumps(line), flush=True)


class Provider(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        say({"asked": self.path})
        with changed:
            changed.wait_for(lambda: told.get(self.path, {}).get("then") != "hang")
            answer = told.get(self.path, {"status": 404})
        if "then" in answer:
            self.close_connection = True
            return
        body = answer.get("body", {})
        body = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(answer.get("status", 200))
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


server = Server(("127.0.0.1", int(sys.argv[1])), Provider)
if len(sys.argv) > 2:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[2], sys.argv[3])
    server.socket = context.wrap_socket(server.socket, server_side=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
say({"listens": server.server_address[1]})
for line in sys.stdin:
    answer = json.loads(line)
    with changed:
        told[answer["path"]] = answer
        changed.notify_all()
    say({"told": answer["path"]})
