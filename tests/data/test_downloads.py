"""Downloads from a server on this machine: resumed, verified, and refused in one line."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bench.data import downloads
from bench.data.downloads import Remote, cache, fetch
from bench.errors import InputError

CONTENT = bytes(range(256)) * 4096  # 1 MiB
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Mirror:
    """A server; ``broken`` paths end after that many bytes, once for each entry."""

    url: str
    files: dict[str, bytes] = field(default_factory=dict)
    broken: dict[str, list[int]] = field(default_factory=dict)
    status: dict[str, list[int]] = field(default_factory=dict)
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    ranges: bool = True

    def remote(self, *paths: str, sha256: str = DIGEST, name: str = "file.gz") -> Remote:
        return Remote(name, sha256, tuple(self.url + path for path in paths))


def handler(mirror: Mirror) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            mirror.asked.append((self.path, wanted))
            if mirror.status.get(self.path):
                self.send_error(mirror.status[self.path].pop(0))
                return
            content = mirror.files.get(self.path)
            if content is None:
                self.send_error(404)
                return
            start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
            if not mirror.ranges:
                start = 0
            if start >= len(content):
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            ends = mirror.broken.get(self.path)
            self.wfile.write(content[start : start + ends.pop(0)] if ends else content[start:])

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    monkeypatch.setattr(downloads, "PAUSE", 0.0)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    made = Mirror("")
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(made))
    made.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_file_is_brought_once_and_verified(mirror: Mirror, tmp_path: Path) -> None:
    mirror.files["/a"] = CONTENT
    folder = tmp_path / "new" / "folder"
    for _ in range(2):
        (path,) = fetch([mirror.remote("/a")], folder)
        assert path == folder / "file.gz"
        assert path.read_bytes() == CONTENT
    assert mirror.asked == [("/a", None)]
    assert [found.name for found in folder.iterdir()] == ["file.gz"]


def test_an_interrupted_transfer_goes_on_where_it_ended(mirror: Mirror, tmp_path: Path) -> None:
    mirror.files["/a"] = CONTENT
    mirror.broken["/a"] = [400_000, 300_000]
    (path,) = fetch([mirror.remote("/a")], tmp_path)
    assert path.read_bytes() == CONTENT
    assert mirror.asked == [("/a", None), ("/a", "bytes=400000-"), ("/a", "bytes=700000-")]


def test_an_interrupted_run_goes_on_where_it_ended(mirror: Mirror, tmp_path: Path) -> None:
    mirror.files["/a"] = CONTENT
    (tmp_path / "file.gz.part").write_bytes(CONTENT[:1000])
    (path,) = fetch([mirror.remote("/a")], tmp_path)
    assert path.read_bytes() == CONTENT
    assert mirror.asked == [("/a", "bytes=1000-")]


def test_all_that_was_missing_is_the_new_name(mirror: Mirror, tmp_path: Path) -> None:
    mirror.files["/a"] = CONTENT
    (tmp_path / "file.gz.part").write_bytes(CONTENT)
    (path,) = fetch([mirror.remote("/a")], tmp_path)
    assert path.read_bytes() == CONTENT


def test_a_mirror_without_ranges_starts_over(mirror: Mirror, tmp_path: Path) -> None:
    mirror.files["/a"], mirror.ranges = CONTENT, False
    mirror.broken["/a"] = [400_000]
    (path,) = fetch([mirror.remote("/a")], tmp_path)
    assert path.read_bytes() == CONTENT
    assert mirror.asked == [("/a", None), ("/a", "bytes=400000-")]


def test_a_part_of_something_else_is_thrown_away(mirror: Mirror, tmp_path: Path) -> None:
    mirror.files["/a"] = CONTENT
    (tmp_path / "file.gz.part").write_bytes(b"of another file")
    (path,) = fetch([mirror.remote("/a")], tmp_path)
    assert path.read_bytes() == CONTENT
    assert mirror.asked == [("/a", "bytes=15-"), ("/a", None)]


@pytest.mark.parametrize("first", ["/missing", "/other"])
def test_the_next_mirror_helps_where_one_has_not_the_file(
    first: str, mirror: Mirror, tmp_path: Path
) -> None:
    mirror.files |= {"/other": CONTENT[1:], "/a": CONTENT}
    (path,) = fetch([mirror.remote(first, "/a")], tmp_path)
    assert path.read_bytes() == CONTENT
    assert mirror.asked == [(first, None), ("/a", None)]


def test_the_next_mirror_goes_on_with_what_has_arrived(mirror: Mirror, tmp_path: Path) -> None:
    mirror.files |= {"/slow": CONTENT, "/a": CONTENT}
    mirror.broken["/slow"] = [1000] * downloads.ATTEMPTS
    (path,) = fetch([mirror.remote("/slow", "/a")], tmp_path)
    assert path.read_bytes() == CONTENT
    assert mirror.asked[-1] == ("/a", "bytes=3000-")


def test_a_server_that_is_busy_is_asked_again(mirror: Mirror, tmp_path: Path) -> None:
    mirror.files["/a"] = CONTENT
    mirror.status["/a"] = [503]
    (path,) = fetch([mirror.remote("/a")], tmp_path)
    assert path.read_bytes() == CONTENT


def test_a_wrong_digest_leaves_no_file(mirror: Mirror, tmp_path: Path) -> None:
    mirror.files["/a"] = CONTENT[1:]
    found = hashlib.sha256(CONTENT[1:]).hexdigest()
    with pytest.raises(InputError, match=f"has SHA-256 {found}.*put here by hand") as error:
        fetch([mirror.remote("/a")], tmp_path)
    assert str(tmp_path) in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_without_a_network_one_line_says_what_to_put_where(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(downloads, "PAUSE", 0.0)
    here = b"brought by hand"
    (tmp_path / "c").write_bytes(here)
    nowhere = ("http://127.0.0.1:9/",)  # the port of a service that no machine runs any more
    remotes = [
        Remote("a", "1" * 64, nowhere),
        Remote("b", "2" * 64, nowhere),
        Remote("c", hashlib.sha256(here).hexdigest(), nowhere),
    ]
    with pytest.raises(InputError) as error:
        fetch(remotes, tmp_path)
    line = str(error.value)
    assert "\n" not in line
    assert line.startswith(f"{tmp_path}: cannot download a (")
    assert re.findall(r"(\w) \(SHA-256 (\w)\2{63}\)", line) == [("a", "1"), ("b", "2")]


def test_a_file_put_there_by_hand_must_be_the_one(tmp_path: Path) -> None:
    (tmp_path / "file.gz").write_bytes(b"another")
    found = hashlib.sha256(b"another").hexdigest()
    with pytest.raises(InputError, match=rf"file\.gz: has SHA-256 {found}, not {DIGEST}; delete"):
        fetch([Remote("file.gz", DIGEST, ())], tmp_path)


def test_the_cache_is_where_the_user_keeps_caches(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache("fashion") == tmp_path / "genpath-bench" / "fashion"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache("fashion") == tmp_path / ".cache" / "genpath-bench" / "fashion"
