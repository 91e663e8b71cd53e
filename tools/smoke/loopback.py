"""A proxy on its own port that passes requests on to the emulator's gateway."""

import http.server
import threading
import urllib.error
import urllib.request

# The emulator starts a process for each concurrent request, which takes a second. A few warm processes are faster than many.
AT_ONCE = 3


class Loopback:
    def __init__(self, upstream):
        turns = threading.BoundedSemaphore(AT_ONCE)

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "content-length")}
                request = urllib.request.Request(f"{upstream}{self.path}", body, headers, method="POST")
                try:
                    with turns, urllib.request.urlopen(request, timeout=30) as answer:
                        status = answer.status
                except urllib.error.HTTPError as error:
                    status = error.code
                except OSError:
                    status = 502
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()
