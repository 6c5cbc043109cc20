"""Either a video file is complete, or an error says why there is none."""

from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest

from sb3_breakout.video.encoder import VideoEncoder, count_pictures, open_video


@pytest.mark.parametrize("size", [(161, 256), (160, 255), (0, 256), (160, -2)])
def test_sizes_that_yuv420p_cannot_have_are_refused(tmp_path, size):
    with pytest.raises(ValueError, match=f"must be positive and even .* received {size[0]}x{size[1]}"):
        with open_video(tmp_path / "game.mp4", *size, fps=30):
            pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("picture", [np.zeros((16, 16, 3)), np.zeros((16, 18, 3), np.uint8), np.zeros((16, 16), np.uint8)])
def test_pictures_of_another_kind_are_refused(tmp_path, picture):
    with pytest.raises(ValueError, match=r"must be \(16, 16, 3\) uint8, received"):
        with open_video(tmp_path / "game.mp4", 16, 16, 30) as video:
            video.write(picture)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full")
def test_a_full_disk_is_an_error_that_says_so():
    encoder = VideoEncoder(Path("/dev/full"), 16, 16, 30)
    try:
        encoder.write(np.zeros((16, 16, 3), np.uint8))
        with pytest.raises(OSError, match=r"could not write /dev/full .*No space left on device"):
            encoder.finish()
    finally:
        encoder.stop()


FFMPEG = {
    "stops": ("echo no such codec >&2; exit 3", r"could not write .*game.mp4.* \(exit code 3\): no such codec"),
    "is killed": ("kill -9 $$", r"could not write .*game.mp4.* \(exit code -9\)"),
    "writes nothing": ("cat > /dev/null", "ffmpeg wrote 0 of 20 pictures to .*game.mp4"),
}


@pytest.mark.parametrize(("does", "fault"), FFMPEG.values(), ids=FFMPEG)
def test_an_encoder_that_fails_is_an_error_that_says_why(tmp_path, monkeypatch, does, fault):
    broken = tmp_path / "ffmpeg"
    broken.write_text(f"#!/bin/sh\n{does}\n")
    broken.chmod(0o755)
    monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", lambda: str(broken))
    with pytest.raises(OSError, match=fault):
        with open_video(tmp_path / "game.mp4", 160, 256, 30) as video:
            for _ in range(20):  # more than fit into the pipe
                video.write(np.zeros((256, 160, 3), np.uint8))
    assert list(tmp_path.iterdir()) == [broken]


def test_a_file_that_lacks_pictures_is_an_error(tmp_path):
    """The index at the start of a file gives the number of pictures. Only reading them shows that the file was cut off."""
    path = tmp_path / "noise.mp4"
    noise = np.random.default_rng(0).integers(256, size=(30, 64, 64, 3), dtype=np.uint8)
    with open_video(path, 64, 64, 30, lossless=True) as video:
        for picture in noise:
            video.write(picture)
    assert count_pictures(path) == 30
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert 10 < count_pictures(path) < 20
    path.write_bytes(b"")
    assert count_pictures(path) == 0


def test_a_video_without_pictures_is_an_error(tmp_path):
    with pytest.raises(OSError, match="could not write"):
        with open_video(tmp_path / "game.mp4", 16, 16, 30):
            pass
    assert list(tmp_path.iterdir()) == []
