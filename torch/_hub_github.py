"""Repositories of GitHub for ``torch.hub``: which are trusted, and a copy of each branch in the folder of downloads."""

from __future__ import annotations

import json
import os
import shutil
import sys
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_TRUSTED_REPO_OWNERS = ("facebookresearch", "facebookincubator", "pytorch", "fairinternal")
_PAGE = 100  # entries of GitHub's answers


class Repository:
    """``owner/name`` or ``owner/name:branch-or-tag``. ValueError for another form.

    Without a branch it is ``main``, or ``master`` where there is no ``main``; without a network, that of the copy.
    """

    def __init__(self, text: str, downloads: str) -> None:
        place, *branch = text.split(":")
        owner, name = place.split("/")
        self.owner, self.name, self.downloads = owner, name, downloads
        (self.branch,) = branch or [self._default_branch()]

    def _default_branch(self) -> str:
        try:
            with urllib.request.urlopen(f"https://github.com/{self.owner}/{self.name}/tree/main/"):
                return "main"
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return "master"
            raise
        except urllib.error.URLError as error:
            for branch in ("main", "master"):
                if os.path.exists(os.path.join(self.downloads, f"{self.owner}_{self.name}_{branch}")):
                    return branch
            raise RuntimeError(
                f"It looks like there is no internet connection and the repo could not be found in the cache "
                f"({self.downloads})"
            ) from error

    @property
    def folder(self) -> str:
        """The folder of the copy."""
        # a branch's name may be a path
        return os.path.join(self.downloads, f"{self.owner}_{self.name}_{self.branch.replace('/', '_')}")

    # ---- trust

    def check_trust(self, trust: Any) -> None:
        """Ask the user about a repository that is not trusted yet, unless ``trust`` answers.

        Exception for one that is not trusted after that, ValueError for an answer that is none.
        """
        listed = Path(self.downloads, "trusted_list")
        listed.touch()
        known = listed.read_text(encoding="utf-8").splitlines()
        short = f"{self.owner}_{self.name}"
        # copies that are there have been run before
        copies = {entry.name for entry in os.scandir(self.downloads) if entry.is_dir()}
        trusted = short in known or os.path.basename(self.folder) in copies or self.owner in _TRUSTED_REPO_OWNERS
        if trust is False or (trust == "check" and not trusted):
            answer = input(
                f"The repository {short} does not belong to the list of trusted repositories and as such cannot be "
                "downloaded. Do you trust this repository and wish to add it to the trusted list of repositories (y/N)?"
            )
            if answer.lower() in ("y", "yes"):
                trusted = True if short in known else None
            elif answer.lower() in ("", "n", "no"):
                raise Exception("Untrusted repository.")
            else:
                raise ValueError(f"Unrecognized response {answer}.")
        elif trust is True:
            trusted = True if trusted else None
        if trusted is None:
            with listed.open("a", encoding="utf-8") as file:
                file.write(short + "\n")

    # ---- the copy

    def copy(self, *, reload: bool, trust: Any, verbose: bool, validate: bool) -> str:
        """The folder with the repository's files, which are downloaded if they are not there, or on ``reload``."""
        self.check_trust(trust)
        if not reload and os.path.exists(self.folder):
            if verbose:
                sys.stdout.write(f"Using cache found in {self.folder}\n")
            return self.folder
        if validate:
            self._validate()
        archive = os.path.join(self.downloads, self.branch.replace("/", "_") + ".zip")
        _remove(archive)
        self._download(archive, verbose)
        with zipfile.ZipFile(archive) as packed:
            top = packed.infolist()[0].filename.split("/")[0]
            extracted = os.path.join(self.downloads, top)
            _remove(extracted)
            extract_zip(packed, self.downloads)
        _remove(archive)
        _remove(self.folder)
        shutil.move(extracted, self.folder)
        return self.folder

    def _download(self, archive: str, verbose: bool) -> None:
        from torch.hub import download_url_to_file

        url = f"https://github.com/{self.owner}/{self.name}/zipball/{self.branch}"
        if verbose:
            sys.stdout.write(f'Downloading: "{url}" to {archive}\n')
        try:
            download_url_to_file(url, archive, progress=False)
        except urllib.error.HTTPError as error:
            if error.code != 300:
                raise
            # a branch and a tag of one name: the branch is meant
            import warnings

            warnings.warn(
                f"The ref {self.branch} is ambiguous. Perhaps it is both a tag and a branch in the repo? Torchhub will "
                "now assume that it's a branch. You can disambiguate tags and branches by explicitly passing "
                "refs/heads/branch_name or refs/tags/tag_name as the ref. That might require using "
                "skip_validation=True.",
                stacklevel=5,
            )
            full = f"https://github.com/{self.owner}/{self.name}/zipball/refs/heads/{self.branch}"
            download_url_to_file(full, archive, progress=False)

    def _validate(self) -> None:
        """ValueError for a commit that is on no branch and no tag: it could be anybody's."""
        for entry in self._entries():
            if self.branch == entry["name"] or entry["commit"]["sha"].startswith(self.branch):
                return
        raise ValueError(
            f"Cannot find {self.branch} in https://github.com/{self.owner}/{self.name}. If it's a commit from a forked "
            "repo, please call hub.load() with forked repo directly."
        )

    def _entries(self) -> Iterator[Any]:
        headers = {"Accept": "application/vnd.github.v3+json"}
        if token := os.environ.get("GITHUB_TOKEN"):
            headers["Authorization"] = f"token {token}"
        for kind in ("branches", "tags"):
            page = 1
            while True:
                url = f"https://api.github.com/repos/{self.owner}/{self.name}/{kind}?per_page={_PAGE}&page={page}"
                with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
                    entries = json.loads(answer.read().decode())
                yield from entries
                if len(entries) < _PAGE:
                    break
                page += 1


def extract_zip(packed: zipfile.ZipFile, folder: str) -> None:
    """Extract all files; ValueError for a name that leads out of the folder."""
    root = os.path.realpath(folder)
    for name in packed.namelist():
        target = os.path.realpath(os.path.join(root, name))
        if os.path.commonpath([root, target]) != root:
            raise ValueError(f"Archive entry '{name}' would be extracted outside of {folder}")
    packed.extractall(folder)


def _remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.remove(path)
