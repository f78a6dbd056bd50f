"""A Keepsake server of its own for a check: started on a folder, stopped by SIGTERM."""

import re
import subprocess
import threading
from pathlib import Path
from queue import Empty, Queue

from stubs import Memory

START_SECONDS_MAX = 60
# Keepsake promises to be gone 10 seconds after SIGTERM.
STOP_SECONDS_MAX = 10


class Server:
    """A process of `keepsake serve` on any free port."""

    def __init__(self, binary, folder):
        self.folder = Path(folder)
        self.process = subprocess.Popen(
            [binary, "serve", "--data", str(folder), "--listen", "127.0.0.1:0"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        found = Queue()
        threading.Thread(target=self._read, args=(found,), daemon=True).start()
        try:
            self.address = found.get(timeout=START_SECONDS_MAX)
        except Empty:
            self.process.kill()
            raise RuntimeError("the server printed no address") from None
        if self.address is None:
            raise RuntimeError(f"the server ended:\n{''.join(self.printed)}")

    def _read(self, found):
        """Waits for the address, and reads on so that the server never waits for us."""
        self.printed = []
        for line in self.process.stdout:
            self.printed.append(line)
            address = re.search(r"127\.0\.0\.1:\d+", line)
            if address and found is not None:
                found.put(address[0])
                found = None
        if found is not None:
            found.put(None)

    def connect(self):
        """A client with the development key."""
        return Memory(self.address, (self.folder / "dev.key").read_text().strip())

    def stop(self):
        self.process.terminate()
        status = self.process.wait(timeout=STOP_SECONDS_MAX)
        assert status == 0, f"the server ended with {status}:\n{''.join(self.printed)}"
