"""Headless Chromium with one page, driven over a pair of pipes by its DevTools protocol: JSON messages that end with a zero byte."""

import base64
import fcntl
import io
import json
import os
import select
import subprocess
import tempfile
import time

import numpy
from PIL import Image

PATIENCE_SECONDS = 60


def _high(descriptor):
    """The same, with a number above those that programs expect something of."""
    number = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(descriptor)
    return number


class Chromium:
    """A context manager. What the page logs, throws and asks the network for is kept in `problems` and `requests`."""

    def __enter__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True)
        # The protocol's descriptors are 3 and 4, which none of these may be.
        commands, self._commands, self._messages, messages = map(_high, (*os.pipe(), *os.pipe()))
        script = f"exec 3<&{commands} 4>&{messages} {commands}<&- {messages}>&-; exec chromium \"$@\""
        arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                     "--disable-background-networking", "--disable-component-update", "--hide-scrollbars",
                     "--force-color-profile=srgb", "--remote-debugging-pipe", f"--user-data-dir={self._folder.name}", "about:blank"]
        self._log = tempfile.TemporaryFile()
        self._process = subprocess.Popen(["bash", "-c", script, "bash", *arguments], pass_fds=(commands, messages),
                                         stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log,
                                         env=os.environ | {"HOME": self._folder.name})
        os.close(commands)
        os.close(messages)
        self._received, self._number, self._session = b"", 0, None
        self.problems, self.requests = [], []
        try:
            target = next(target for target in self.call("Target.getTargets")["targetInfos"] if target["type"] == "page")
            self._session = self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)["sessionId"]
            for domain in ("Page", "Runtime", "Log", "Network"):
                self.call(f"{domain}.enable")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()
        os.close(self._commands)
        os.close(self._messages)
        self._log.close()
        self._folder.cleanup()

    def call(self, method, **parameters):
        """The result of a command; what happens meanwhile is noted."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self._note(answer)

    def _read(self):
        deadline = time.monotonic() + PATIENCE_SECONDS
        while b"\0" not in self._received:
            readable, _, _ = select.select([self._messages], [], [], max(deadline - time.monotonic(), 0))
            part = os.read(self._messages, 1 << 20) if readable else b""
            if not part:
                self._log.seek(0)
                raise RuntimeError("chromium says nothing; its log:\n" + self._log.read().decode(errors="replace"))
            self._received += part
        message, _, self._received = self._received.partition(b"\0")
        return json.loads(message)

    def _note(self, event):
        method, parameters = event.get("method"), event.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.problems.append(parameters["exceptionDetails"])
        elif method == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "warning", "assert"):
            self.problems.append(parameters["args"])
        elif method == "Log.entryAdded" and parameters["entry"]["level"] in ("error", "warning"):
            self.problems.append(parameters["entry"])
        elif method == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])

    def show(self, width, height, dark=False):
        """The size of the page in pixels, and what the person is said to prefer."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setEmulatedMedia",
                  features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def open(self, url):
        self.call("Page.navigate", url=url)

    def evaluate(self, expression):
        """The value of an expression of JavaScript, which may be a promise."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def wait_for(self, expression):
        """Until the expression is true; it may name what is not there yet."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self.evaluate(f"(() => {{ try {{ return !!({expression}); }} catch {{ return false; }} }})()"):
            if time.monotonic() > deadline:
                raise RuntimeError(f"never true: {expression}\n{self.problems}")
            time.sleep(0.02)

    def mouse(self, kind, x, y, **more):
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def click(self, x, y):
        for kind in ("mousePressed", "mouseReleased"):
            self.mouse(kind, x, y, button="left", clickCount=1)

    def press(self, key, code=None):
        text = {"text": key} if len(key) == 1 else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, code=code or key, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, code=code or key)

    def screenshot(self, path=None):
        """The page's pixels, [height, width, 3]; also written as a PNG where a path is given."""
        png = base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])
        if path:
            with open(path, "wb") as file:
                file.write(png)
        return numpy.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
