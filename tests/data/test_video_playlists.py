"""Files that name a video instead of holding one are refused, whatever they are called."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kaname.data.seeking import index_of
from kaname.data.video import VideoWriter, frame_count, frames
from kaname.errors import InputError

LISTS = {
    "ffconcat": "ffconcat version 1.0\nfile 'secret.mp4'\n",
    "an absolute ffconcat": "ffconcat version 1.0\nfile '{folder}/secret.mp4'\n",
    "a playlist of HLS": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nsecret.mp4\n#EXT-X-ENDLIST\n",
    "a description of a stream": "v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n",
    "IMF": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period/></MPD>',
    "subtitles": "1\n00:00:00,000 --> 00:00:01,000\nwords\n",
}


@pytest.mark.parametrize("kind", LISTS)
@pytest.mark.parametrize("name", ["x.mp4", "x.ts", "x.mkv"])
def test_a_list_is_no_video(tmp_path: Path, kind: str, name: str) -> None:
    with VideoWriter(tmp_path / "secret.mp4") as writer:
        for number in range(3):
            writer.write(np.full((32, 48, 3), 80 * number, np.uint8), number / 10)
    path = tmp_path / name
    path.write_text(LISTS[kind].format(folder=tmp_path))
    for read in (lambda: list(frames(path)), lambda: index_of(path)):
        with pytest.raises(InputError) as refused:
            read()
        assert str(path) in str(refused.value) and "\n" not in str(refused.value)
    assert frame_count(path) == 1, "what cannot be read has no length"
    assert len(list(frames(tmp_path / "secret.mp4"))) == 3
