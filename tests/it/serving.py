"""What the backends of these tests have in common: a server in plain http.server that says what happens on
its output, a line of JSON each, the first of them where it listens.
"""

import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

speaking = threading.Lock()


def say(line):
    # Without the lock, lines of several threads come as one.
    with speaking:
        print(json.dumps(line), flush=True)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def read_body(self):
        return self.rfile.read(int(self.headers["Content-Length"]))

    def reply(self, status, body=""):
        """With a body that is text, or goes out as JSON."""
        body = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def cut(self):
        """Ends the connection without an answer."""
        self.close_connection = True

    def wait_until_left(self):
        self.connection.settimeout(None)
        self.connection.recv(1)

    def log_message(self, format, *args):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        pass


def listen(port, handler, certificate_and_key):
    """A server that listens, over TLS if there is a certificate, and has said so."""
    server = Server(("127.0.0.1", port), handler)
    if certificate_and_key:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate_and_key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    say({"listens": server.server_address[1]})
    return server
