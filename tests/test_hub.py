"""torch.hub: folders, repositories (GitHub's answers are made up here), and downloads from a server of this process."""

import functools
import hashlib
import http.server
import io
import json
import threading
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

import pytest

import torch

HUBCONF = '''
dependencies = ["math"]
import neighbour

def model(x=1, *, y=2):
    "What the model is."
    return neighbour.FACTOR * x + y

class Other:
    pass

def _hidden():
    pass
'''


@pytest.fixture
def downloads(tmp_path):
    before = torch.hub.get_dir()
    torch.hub.set_dir(tmp_path / "hub")
    yield tmp_path / "hub"
    torch.hub.set_dir(before)


def make_repository(folder):
    folder.mkdir(parents=True)
    (folder / "hubconf.py").write_text(HUBCONF)
    (folder / "neighbour.py").write_text("FACTOR = 10\n")
    return str(folder)


def test_folders(tmp_path):
    folder = make_repository(tmp_path / "repo")
    assert torch.hub.load(folder, "model", 3, source="local", y=4) == 34
    assert torch.hub.list(folder) == ["Other", "model"]
    assert torch.hub.help(folder, "model") == "What the model is."


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda d: torch.hub.load(d, "none", source="local"), RuntimeError, "Cannot find callable none in hubconf"),
        (lambda d: torch.hub.load(d, 3, source="local"), ValueError, "model should be a string of function name"),
        (lambda d: torch.hub.load(d, "m", source="x"), ValueError, 'Unknown source: "x". Allowed values: "github" | '),
        (lambda d: torch.hub.load("/none", "m", source="local"), FileNotFoundError, "'/none/hubconf.py'"),
        (lambda d: torch.hub.load("no_slash", "m"), ValueError, r"not enough values to unpack (expected 2, got 1)"),
        (lambda d: torch.hub.load("a/b/c", "m"), ValueError, r"too many values to unpack"),
    ],
)
def test_what_is_refused(tmp_path, downloads, call, error, message):
    with pytest.raises(error) as told:
        call(make_repository(tmp_path / "repo"))
    assert message in str(told.value)


def test_missing_dependencies(tmp_path):
    (tmp_path / "hubconf.py").write_text("dependencies = ['no_such_a', 'no_such_b']\ndef model(): pass\n")
    with pytest.raises(RuntimeError, match="Missing dependencies: no_such_a, no_such_b"):
        torch.hub.load(str(tmp_path), "model", source="local")


class Answer(io.BytesIO):
    headers: dict = {}


class GitHub:
    """What github.com says about repositories that all have the branches main and v1/x."""

    def __init__(self):
        self.asked, self.online, self.main = [], True, True

    def archive(self):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as file:
            file.writestr("owner-name-abc/hubconf.py", HUBCONF)
            file.writestr("owner-name-abc/neighbour.py", "FACTOR = 10\n")
        return packed.getvalue()

    def open(self, request, *args, **kwargs):
        url = request if isinstance(request, str) else request.full_url
        headers = {} if isinstance(request, str) else request.headers
        self.asked.append((url, headers.get("Authorization")))
        if not self.online:
            raise urllib.error.URLError("no network")
        if url.endswith("/tree/main/") and not self.main:
            raise urllib.error.HTTPError(url, 404, "Not Found", {}, None)
        if "/branches?" in url:
            branches = [{"name": name, "commit": {"sha": "0123abcd"}} for name in ("main", "master", "v1/x")]
            return Answer(json.dumps(branches).encode())
        if "/tags?" in url:
            return Answer(b"[]")
        return Answer(self.archive() if "/zipball/" in url else b"")

    def urls(self):
        return [url for url, _ in self.asked]


@pytest.fixture
def github(monkeypatch):
    made = GitHub()
    monkeypatch.setattr(urllib.request, "urlopen", made.open)
    return made


def answers(monkeypatch, text):
    questions = []
    monkeypatch.setattr("builtins.input", lambda question="": questions.append(question) or text)
    return questions


def test_repositories_are_downloaded_once(downloads, github, capsys):
    assert torch.hub.load("owner/name", "model", 2, trust_repo=True) == 22
    assert (downloads / "owner_name_main" / "hubconf.py").exists()
    assert not list(downloads.glob("*.zip"))
    assert github.urls()[-1] == "https://github.com/owner/name/zipball/main"
    github.asked.clear()
    assert torch.hub.load("owner/name:main", "model", 2) == 22
    assert github.asked == []
    assert f"Using cache found in {downloads / 'owner_name_main'}" in capsys.readouterr().out
    torch.hub.load("owner/name:main", "model", force_reload=True, verbose=False)
    assert "https://github.com/owner/name/zipball/main" in github.urls() and capsys.readouterr().out == ""


def test_branches(downloads, github, monkeypatch):
    monkeypatch.setenv("GITHUB_TOKEN", "secret")
    torch.hub.load("owner/name:v1/x", "model", trust_repo=True)
    assert (downloads / "owner_name_v1_x").is_dir()
    assert {token for url, token in github.asked if "api.github.com" in url} == {"token secret"}
    torch.hub.load("owner/name:0123", "model")
    with pytest.raises(ValueError, match="Cannot find fork in https://github.com/owner/name. If it's a commit from a"):
        torch.hub.load("owner/name:fork", "model")
    torch.hub.load("owner/name:fork", "model", skip_validation=True)
    github.main = False
    torch.hub.load("owner/name", "model")
    assert (downloads / "owner_name_master").is_dir()


def test_without_a_network(downloads, github):
    torch.hub.load("owner/name", "model", trust_repo=True)
    github.online = False
    assert torch.hub.load("owner/name", "model") == 12
    with pytest.raises(RuntimeError, match="no internet connection and the repo could not be found in the cache"):
        torch.hub.load("owner/other", "model")


def test_trust(downloads, github, monkeypatch):
    questions = answers(monkeypatch, "n")
    with pytest.raises(Exception, match=r"Untrusted repository\."):
        torch.hub.load("owner/name", "model")
    assert questions[0].startswith("The repository owner_name does not belong to the list of trusted repositories")
    assert not (downloads / "owner_name_main").exists()
    answers(monkeypatch, "perhaps")
    with pytest.raises(ValueError, match=r"Unrecognized response perhaps\."):
        torch.hub.load("owner/name", "model")
    answers(monkeypatch, "y")
    torch.hub.load("owner/name", "model")
    assert (downloads / "trusted_list").read_text() == "owner_name\n"
    questions = answers(monkeypatch, "n")
    torch.hub.load("owner/name", "model", force_reload=True)
    torch.hub.load("pytorch/vision", "model")
    assert questions == []
    with pytest.raises(Exception, match="Untrusted"):
        torch.hub.load("owner/name", "model", trust_repo=False)


def test_archives_stay_in_their_folder(downloads, github, monkeypatch):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr("top/hubconf.py", HUBCONF)
        file.writestr("../outside.py", "")
    monkeypatch.setattr(github, "archive", packed.getvalue)
    with pytest.raises(ValueError, match="outside"):
        torch.hub.load("owner/name", "model", trust_repo=True)
    assert not (downloads.parent / "outside.py").exists()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def server(tmp_path):
    folder = tmp_path / "served"
    folder.mkdir()
    torch.save({"weight": torch.arange(3.0)}, folder / "model.pth")
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{running.server_port}"
    running.shutdown()
    running.server_close()


def test_weights_from_an_address(server, downloads, capsys):
    folder, address = server
    found = torch.hub.load_state_dict_from_url(f"{address}/model.pth", progress=False)
    assert found["weight"].tolist() == [0, 1, 2]
    path = downloads / "checkpoints" / "model.pth"
    assert capsys.readouterr().out == f'Downloading: "{address}/model.pth" to {path}\n'
    (folder / "model.pth").unlink()
    assert torch.hub.load_state_dict_from_url(f"{address}/model.pth")["weight"].tolist() == [0, 1, 2]
    assert torch.utils.model_zoo.load_url(f"{address}/model.pth", weights_only=True)["weight"].tolist() == [0, 1, 2]


def test_names_with_digits_of_the_hash(server, tmp_path):
    folder, address = server
    digest = hashlib.sha256((folder / "model.pth").read_bytes()).hexdigest()
    for digits in (digest[:8], "00000000"):
        (folder / f"model-{digits}.pth").write_bytes((folder / "model.pth").read_bytes())
    kept = tmp_path / "kept"
    torch.hub.load_state_dict_from_url(f"{address}/model-{digest[:8]}.pth", str(kept), check_hash=True)
    with pytest.raises(RuntimeError, match=f'invalid hash value .expected "00000000", got "{digest}".'):
        torch.hub.load_state_dict_from_url(f"{address}/model-00000000.pth", str(kept), check_hash=True)
    assert [p.name for p in kept.iterdir()] == [f"model-{digest[:8]}.pth"]
    torch.hub.load_state_dict_from_url(f"{address}/model-00000000.pth", str(kept), file_name="other.pth")
    assert (kept / "other.pth").exists()


def test_archives_of_one_file(server, tmp_path):
    folder, address = server
    torch.save({"weight": torch.ones(2)}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    with zipfile.ZipFile(folder / "packed.zip", "w") as packed:
        packed.write(tmp_path / "old.pth", "old.pth")
    assert torch.hub.load_state_dict_from_url(f"{address}/packed.zip", str(tmp_path))["weight"].tolist() == [1, 1]


def test_progress_and_files(server, tmp_path, capsys):
    folder, address = server
    torch.hub.download_url_to_file(f"{address}/model.pth", str(tmp_path / "copy"))
    assert capsys.readouterr().err == ""  # no terminal; tests/test_progress.py has one
    torch.hub.download_url_to_file((folder / "model.pth").as_uri(), str(tmp_path / "copy"), progress=False)
    assert (tmp_path / "copy").read_bytes() == (folder / "model.pth").read_bytes()
    assert capsys.readouterr().err == ""


def test_nothing_is_left_of_a_download_that_fails(server, tmp_path, monkeypatch):
    _, address = server
    kept = tmp_path / "kept"
    kept.mkdir()
    with pytest.raises(urllib.error.HTTPError):
        torch.hub.download_url_to_file(f"{address}/none", str(kept / "x"), progress=False)

    class Broken(Answer):
        def read(self, count=-1):
            raise ConnectionResetError

    monkeypatch.setattr(urllib.request, "urlopen", lambda *args, **kwargs: Broken(b"x"))
    with pytest.raises(ConnectionResetError):
        torch.hub.download_url_to_file(f"{address}/model.pth", str(kept / "x"), progress=False)
    assert list(kept.iterdir()) == []


def test_the_folder_of_downloads(monkeypatch, downloads):
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    monkeypatch.setenv("TORCH_HOME", "/somewhere")
    assert torch.hub.get_dir() == "/somewhere/hub"
    monkeypatch.delenv("TORCH_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert torch.hub.get_dir() == "/cache/torch/hub"
    torch.hub.set_dir("~/models")
    assert torch.hub.get_dir() == str(Path.home() / "models")
