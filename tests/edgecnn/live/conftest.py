"""A real Chromium, driven by its DevTools protocol, for the tests of the page."""

import asyncio
import base64
import importlib.util
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

if "staged" not in sys.modules:  # tests have no packages: `from staged import ...` finds it here
    _found = importlib.util.spec_from_file_location("staged", Path(__file__).with_name("staged.py"))
    sys.modules["staged"] = importlib.util.module_from_spec(_found)
    _found.loader.exec_module(sys.modules["staged"])
from staged import until


class Tab:
    """A page in the browser, with what its console said and which requests it made."""

    def __init__(self, chromium, session, context):
        self._chromium, self._session, self._context = chromium, session, context
        self.requests, self.complaints = [], []
        self.downloads = None
        chromium.tabs[session] = self
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.command(f"{domain}.enable")

    def command(self, method, **given):
        return self._chromium.command(method, self._session, **given)

    def hear(self, method, told):
        if method == "Network.requestWillBeSent":
            self.requests.append(told["request"]["url"])
        elif method == "Network.webSocketCreated":
            self.requests.append(told["url"])
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(told["exceptionDetails"]))
        elif method == "Log.entryAdded" and told["entry"]["level"] in ("warning", "error"):
            self.complaints.append(told["entry"]["text"])
        elif method == "Runtime.consoleAPICalled":
            self.complaints.append(json.dumps(told["args"]))

    def open(self, url):
        """Go to a page, and wait until it is there."""
        self.command("Page.navigate", url=url)
        self.until("document.readyState === 'complete' && location.protocol === 'http:'")

    def does(self, script):
        """What an expression (or a promise) gives."""
        told = self.command("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    def until(self, script, seconds=15.0):
        """Wait until an expression is true; on the way to a page there is no document yet."""
        asked = {"expression": f"Boolean(document.documentElement && ({script}))", "returnByValue": True}
        assert until(
            lambda: self.command("Runtime.evaluate", **asked)["result"].get("value") is True, seconds=seconds
        ), f"never true: {script}"

    def save_downloads(self, folder):
        self._chromium.command(
            "Browser.setDownloadBehavior",
            behavior="allow",
            downloadPath=str(folder),
            browserContextId=self._context,
        )

    def screenshot(self, path, *, width, height, dark=False, phone=False, whole=False):
        scale = 2 if phone else 1
        self.size(width, height, dark=dark, scale=scale, phone=phone)
        time.sleep(0.8)
        shot = self.command("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        Path(path).write_bytes(base64.b64decode(shot["data"]))

    def size(self, width, height, *, dark=False, scale=1, phone=False):
        self.command(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=scale, mobile=phone,
        )  # fmt: skip
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.command("Emulation.setEmulatedMedia", features=scheme)

    def close(self):
        self._chromium.command("Target.disposeBrowserContext", browserContextId=self._context)
        del self._chromium.tabs[self._session]


class Chromium:
    """A headless browser of its own. Chrome DevTools Protocol: https://chromedevtools.github.io/devtools-protocol/."""

    def __init__(self, program, folder):
        self._log = (folder / "chromium.log").open("wb")
        options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--mute-audio"]
        options += ["--disable-background-networking", "--disable-dev-shm-usage", "--hide-scrollbars"]
        options += ["--remote-debugging-port=0", f"--user-data-dir={folder / 'profile'}", "about:blank"]
        self._process = subprocess.Popen([program, *options], stdout=self._log, stderr=subprocess.STDOUT)
        told = folder / "profile" / "DevToolsActivePort"
        assert until(lambda: told.exists() and len(told.read_text().split()) == 2, seconds=40), "no Chromium"
        port, path = told.read_text().split()
        self._loop = asyncio.new_event_loop()
        self._loop.run_until_complete(self._connect(f"ws://127.0.0.1:{port}{path}"))
        self._last = 0
        self.tabs = {}

    async def _connect(self, url):
        import aiohttp

        self._http = aiohttp.ClientSession()
        self._socket = await self._http.ws_connect(url, max_msg_size=0)

    def command(self, method, session=None, **given):
        return self._loop.run_until_complete(asyncio.wait_for(self._command(method, session, given), 30))

    async def _command(self, method, session, given):
        self._last += 1
        words = {"id": self._last, "method": method, "params": given}
        await self._socket.send_json(words if session is None else {**words, "sessionId": session})
        while True:
            told = await self._socket.receive_json()
            if told.get("id") == self._last:
                assert "error" not in told, f"{method}: {told['error']}"
                return told["result"]
            if told.get("sessionId") in self.tabs:
                self.tabs[told["sessionId"]].hear(told["method"], told["params"])

    def tab(self):
        context = self.command("Target.createBrowserContext")["browserContextId"]
        made = self.command("Target.createTarget", url="about:blank", browserContextId=context)
        told = self.command("Target.attachToTarget", targetId=made["targetId"], flatten=True)
        return Tab(self, told["sessionId"], context)

    def close(self):
        self._loop.run_until_complete(self._socket.close())
        self._loop.run_until_complete(self._http.close())
        self._loop.close()
        self._process.terminate()
        self._process.wait(10)
        self._log.close()


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    """A browser for all tests, or a skip that says why there is none."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium: apt-get install chromium")
    browser = Chromium(program, tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.close()


@pytest.fixture
def tab(chromium):
    """A fresh page with cookies of its own."""
    fresh = chromium.tab()
    yield fresh
    fresh.close()
