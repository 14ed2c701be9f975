"""``kaname landmark crawl`` with the real gallery-dl, against a gallery on this machine."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from apps.booru import Entry, entries, picture, serving
from kaname.apps.gallery_dl import find_program
from kaname.errors import InputError

KEY = "a-Key/that+nobody=may&see"
Fetch = Callable[..., list[int]]


@pytest.mark.parametrize("source", ["safebooru", "danbooru"])
def test_the_limit_is_exact_and_the_next_run_goes_on(source: str, fetch: Fetch, tmp_path: Path) -> None:
    """Posts that are added meanwhile move nothing, and come when the older ones are through."""
    with serving([*entries(*range(1, 9)), *entries(20, tags="solo")]) as booru:
        assert fetch(booru, source=source, limit=3) == [6, 7, 8]
        booru.entries += entries(30, 31)
        assert fetch(booru, source=source, limit=3) == [3, 4, 5]
        assert fetch(booru, source=source, limit=10) == [1, 2, 30, 31]
    facts = json.loads((tmp_path / "raw" / f"{source}_7.png.json").read_text())
    page = "posts/7" if source == "danbooru" else "index.php?page=post&s=view&id=7"
    rating = "g" if source == "danbooru" else "general"
    artist = "some_artist" if source == "danbooru" else None
    tags = ["animal_ears", "solo", *([artist] if artist else [])]
    assert facts == {
        "source": source, "id": 7, "url": f"{booru.root}/files/7.png", "page": f"{booru.root}/{page}",
        "artist": artist, "tags": tags, "rating": rating,
    }  # fmt: skip
    assert (tmp_path / "raw" / f"{source}_7.png").read_bytes() == picture(7)


def test_artists_stand_on_the_pages_of_posts(fetch: Fetch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the lists do not name them; one page that does not come ends the asking."""

    def artists() -> list[str | None]:
        return [json.loads(path.read_text())["artist"] for path in sorted((tmp_path / "raw").glob("*.json"))]

    with serving([*entries(2, 3), *entries(1, artist="")]) as booru:
        assert fetch(booru, limit=3, artists=True) == [1, 2, 3]
        assert artists() == [None, "some_artist", "some_artist"]
        assert "the artists of 1 images are not known" in capsys.readouterr().out
        booru.entries += entries(4, 5, 6)
        booru.troubles["view"], booru.forever = [503], {"view"}
        booru.asked.clear()
        assert fetch(booru, limit=3, artists=True) == [4, 5, 6]
    assert artists()[3:] == [None] * 3 and sum("s=view" in path for path in booru.asked) < 3
    assert "the artists of 3 images are not known" in capsys.readouterr().out


def test_a_search_at_its_end_says_so(fetch: Fetch, capsys: pytest.CaptureFixture[str]) -> None:
    with serving(entries(1, 2)) as booru:
        assert fetch(booru, limit=5) == [1, 2]
        assert "only 2 of 5: the search has no further posts" in capsys.readouterr().out
        assert fetch(booru, limit=5) == []
        assert "nothing new" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("source", "page"), [("safebooru", 100), pytest.param("danbooru", 200, marks=pytest.mark.slow)]
)
def test_pages_are_asked_for_by_post_id(source: str, page: int, fetch: Fetch) -> None:
    """An empty answer in the middle is no end; nothing is asked for by the number of a page."""
    ids = range(1, 2 * page + 20)
    others = [Entry(number, b"", rating="q") for number in ids if number not in (5, page + 5)]
    with serving([*others, *entries(5, page + 5)]) as booru:
        booru.troubles["list"] = ["", "", "empty", "", "empty", ""]
        assert fetch(booru, source=source, limit=2) == [5, page + 5]
        asked = booru.lists()
    assert not [path for path in asked if re.search(r"[?&](pid=[1-9]|page=b?\d)", path)]
    assert any(f"id%3A%3C{page + 20}" in path for path in asked)


def test_pages_that_stay_empty_end(fetch: Fetch, capsys: pytest.CaptureFixture[str]) -> None:
    """gallery-dl alone would ask for ever, because the gallery says that there are posts."""
    with serving(entries(*range(1, 4)) + [Entry(number, b"", rating="q") for number in range(4, 200)]) as booru:
        booru.troubles["list"], booru.forever = ["", "empty"], {"list"}
        assert fetch(booru, limit=1) == []
        assert len(booru.lists()) < 20
    assert "only 0 of 1" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("source", ["safebooru", "danbooru"])
def test_a_site_that_does_not_know_ids(source: str, fetch: Fetch) -> None:
    with serving(entries(*range(1, 6)), knows_ids=False) as booru:
        assert fetch(booru, source=source, limit=2) == [4, 5]
        assert fetch(booru, source=source, limit=2) == [2, 3]


@pytest.mark.slow
def test_a_danbooru_that_counts_ids_as_tags(fetch: Fetch) -> None:
    with serving(entries(*range(1, 5))) as booru:
        assert fetch(booru, source="danbooru", limit=2) == [3, 4]
        booru.troubles["list"] = [422, ""]
        assert fetch(booru, source="danbooru", limit=2) == [1, 2]


def test_files_that_cannot_be_used(fetch: Fetch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Broken and small files are rejected and listed, copies listed; the limit counts what was kept."""
    image = cv2.imdecode(np.frombuffer(picture(7, side=300), np.uint8), cv2.IMREAD_COLOR)
    near = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 60])[1].tobytes()
    big = {"size": (308, 300)}
    posts = [
        Entry(9, picture(9, side=300)[:2000], **big), Entry(8, b"<html>no picture</html>", **big),
        Entry(7, picture(7, side=300), **big), Entry(6, picture(6, ending="jpg", side=300), ending="png", **big),
        Entry(5, picture(6, ending="jpg", side=300), ending="jpg", **big), Entry(4, near, ending="jpg", **big),
        Entry(13, picture(3, side=80), **big), Entry(12, picture(2)), Entry(11, b"GIF89a", ending="gif", **big),
        Entry(14, b"", rating="s", **big), Entry(10, picture(10, side=300), **big),
    ]  # fmt: skip
    with serving(posts) as booru:
        assert fetch(booru, limit=5, min_size=200) == [4, 5, 6, 7, 10]
    out = capsys.readouterr().out
    raw = tmp_path / "raw"
    assert sorted(path.name for path in (raw / ".rejected").iterdir()) == [
        "safebooru_13.png", "safebooru_8.png", "safebooru_9.png"
    ]  # fmt: skip
    assert "rejected: safebooru_9.png: the image is damaged or truncated" in out
    assert "rejected: safebooru_8.png: not an image that can be read" in out
    assert "rejected: safebooru_13.png: 80 x 88, smaller than 200 pixels" in out
    assert (raw / "safebooru_6.jpg").is_file(), "the ending tells the kind of file"
    for words in ("1 of a rating beyond safe", "1 smaller than 200 pixels", "1 not still pictures"):
        assert words in out
    assert "duplicate: safebooru_5.jpg is the same file as safebooru_6.jpg" in out
    assert re.search(r"near duplicate: safebooru_4\.jpg and safebooru_7\.png \(\d+ of 512 bits\)", out)
    assert out.count("duplicate: ") == 2
    assert not (raw / ".crawl" / "incoming").exists()


def test_troubles_that_pass(fetch: Fetch, capsys: pytest.CaptureFixture[str]) -> None:
    """A request that fails is asked again; a file that never comes is listed and made up for."""
    with serving(entries(*range(1, 6))) as booru:
        booru.troubles |= {"list": [429, 500, "slow", ""], "5": [429, ""], "4": [404], "3": [500, 500, ""]}
        booru.forever = {"4"}
        assert fetch(booru, limit=2, timeout=0.7, retries=3) == [3, 5]
    assert "not downloaded: post 4: 404 Not Found" in capsys.readouterr().out
    assert sum("/files/4." in path for path in booru.asked) == 1, "what is gone is not asked for again"
    assert sum("/files/3." in path for path in booru.asked) == 3


def test_what_failed_is_tried_again_by_the_next_run(fetch: Fetch, capsys: pytest.CaptureFixture[str]) -> None:
    with serving(entries(*range(1, 5))) as booru:
        booru.troubles |= {"4": [500, ""], "3": [404]}
        assert fetch(booru, limit=1, retries=0) == [2]
        assert "not downloaded: post 4: 500 Internal Server Error" in capsys.readouterr().out
        assert fetch(booru, limit=5, retries=0) == [1, 4]


@pytest.mark.parametrize(
    ("source", "answer", "words"),
    [
        ("gelbooru", 429, "answers 429 Too Many Requests (2 tries)"),
        ("danbooru", 503, "answers 503 Service Unavailable (2 tries)"),
        ("gelbooru", "slow", "cannot be reached: "),
        ("danbooru", 403, "refuses: 403 Forbidden; check the key and the user"),
        ("danbooru", 422, "refuses this search: 422 Unprocessable"),
        ("safebooru", 404, "answers 404 Not Found; check --root"),
    ],
)
def test_troubles_that_stay(source: str, answer: int | str, words: str, fetch: Fetch, tmp_path: Path) -> None:
    """One clear line, without the key that stands in gallery-dl's own."""
    with serving(entries(1)) as booru:
        booru.troubles["list"], booru.forever = [answer], {"list"}
        with pytest.raises(InputError) as error:
            fetch(booru, source=source, user_id="4711", api_key=KEY, timeout=0.5)
    text = str(error.value)
    assert words in text and booru.root in text and "\n" not in text
    assert KEY not in text and "api_key" not in text and "Key" not in text
    assert not (tmp_path / "raw").exists()


def test_a_site_that_is_not_there(fetch: Fetch) -> None:
    with serving([]) as booru:
        pass
    with pytest.raises(InputError, match=r"cannot be reached: .*refused"):
        fetch(booru, retries=0)


def test_files_that_all_fail_end_the_crawl(fetch: Fetch, capsys: pytest.CaptureFixture[str]) -> None:
    with serving(entries(*range(1, 31))) as booru:
        booru.troubles |= {str(number): [404] for number in range(19, 29)}
        with pytest.raises(InputError, match=r"10 files of .* in a row failed: 404 Not Found; try again later"):
            fetch(booru, limit=30)
        assert sum("/files/" in path for path in booru.asked) < 20
        assert "2 new images" in capsys.readouterr().out, "what came before counts"
        assert fetch(booru, limit=30) == list(range(1, 29)), "nothing was given up"


def test_after_a_kill(fetch: Fetch, tmp_path: Path) -> None:
    """Images that the archive does not know yet, and one that was downloaded but not looked at."""
    with serving(entries(1, 2, 3, 4)) as booru:
        assert fetch(booru, limit=2) == [3, 4]
        hidden = tmp_path / "raw" / ".crawl"
        (hidden / "archive.json").unlink()
        (hidden / "incoming").mkdir()
        (hidden / "incoming" / "safebooru_2.png").write_bytes(picture(2))
        booru.asked.clear()
        assert fetch(booru, limit=2) == [1, 2]
        assert [path for path in booru.asked if "/files/" in path] == ["/files/1.png"]


@pytest.mark.parametrize(
    ("url", "module"),
    [
        ("https://gelbooru.com/index.php?page=post&s=list&tags=solo+id%3A%3C9", "gelbooru"),
        ("https://safebooru.org/index.php?page=post&s=list&tags=solo", "safebooru"),
        ("https://danbooru.donmai.us/posts?tags=solo", "danbooru"),
    ],
)
def test_the_addresses_belong_to_the_modules(url: str, module: str) -> None:
    words = [find_program(), "--config-ignore", "--extractor-info", url]
    told = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert f'"{module}" / "tag"' in told


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"source": "safeboru"}, "unknown --source 'safeboru'; did you mean safebooru"),
        ({"source": "gelbooru"}, "give --api-key and --user-id, or set GELBOORU_API_KEY and GELBOORU_USER_ID"),
        ({"source": "gelbooru", "api_key": KEY}, "gelbooru answers only with an API key and a user"),
        ({"source": "safebooru", "api_key": KEY}, "only one of API key and user"),
        ({"source": "danbooru", "tags": "a b c rating:g"}, "at most 2 tags without an account, got 3"),
        ({"tags": "  "}, "--tags names no tag"),
        ({"tags": "solo -id:5"}, "--tags holds '-id:5'"),
        ({"root": "example.org"}, "--root 'example.org' is not an address"),
        ({"root": "https://me:secret@example.org"}, "--root holds a user or a password"),
        ({"limit": 0}, "--limit must lie in 1..1000000, got 0"),
        ({"pause": -1}, "--pause must lie in 0..1000000, got -1"),
    ],
)
def test_refused_before_the_first_request(options: dict[str, Any], words: str, fetch: Fetch) -> None:
    with serving(entries(1)) as booru:
        with pytest.raises(InputError, match=re.escape(words)) as error:
            fetch(booru, **options)
        assert not booru.asked and KEY not in str(error.value) and "secret" not in str(error.value)


def test_danbooru_takes_more_tags_with_an_account(fetch: Fetch) -> None:
    with serving(entries(1, tags="a b c"), key=("me", KEY)) as booru:
        assert fetch(booru, source="danbooru", tags="a b c", user_id="me", api_key=KEY, limit=1) == [1]


def test_no_result(fetch: Fetch, tmp_path: Path) -> None:
    with serving(entries(1)) as booru, pytest.raises(InputError, match="no post with the tags 'nothing'"):
        fetch(booru, tags="nothing")
    assert not (tmp_path / "raw").exists()


def test_gallery_dl_is_missing(fetch: Fetch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with serving(entries(1)) as booru, pytest.raises(InputError, match="gallery-dl is not installed; pip install"):
        fetch(booru)


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX knows them")
def test_a_crawl_in_the_background_ends_too(fetch: Fetch) -> None:
    """A shell's background jobs ignore SIGINT; gallery-dl has to hear it all the same."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with serving(entries(*range(1, 4)) + [Entry(number, b"", rating="q") for number in range(4, 200)]) as booru:
            booru.troubles["list"], booru.forever = ["", "empty"], {"list"}
            assert fetch(booru, limit=1) == []
            assert len(booru.lists()) < 40
    finally:
        signal.signal(signal.SIGINT, before)
