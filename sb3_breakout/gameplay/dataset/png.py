"""The PNG files of a dataset: screens with a palette, and validation on reading."""

import struct
import zlib
from itertools import starmap

import cv2
import numpy as np
from ale_py import ALEInterface

from sb3_breakout.gameplay.dataset.layout import LARGEST_SIDE, DamagedDataset, read_file

SIGNATURE = b"\x89PNG\r\n\x1a\n"
PALETTE = 3  # PNG's colour type
HEADER = SIGNATURE + b"\0\0\0\rIHDR"  # what precedes width, height, bits per value and colour type
CHANNELS = {0: 1, 2: 3, 3: 3}  # of PNG's colour types: grey, RGB, palette
SHORTEST = 45  # bytes: signature, header, end
END_OF_FILE = b"IEND\xaeB`\x82"


class ScreenEncoder:
    """
    Encodes the screens of a game as PNG files with a palette: the emulator's own colour indices take a third of the bytes of
    RGB and a quarter of the time. Readers expand them to RGB (Pillow: ``Image.open(path).convert("RGB")``).

    :param ale: the emulator
    """

    def __init__(self, ale: ALEInterface) -> None:
        self._ale = ale
        height, width = ale.getScreenDims()
        self._header = struct.pack(">IIBBBBB", width, height, 8, PALETTE, 0, 0, 0)
        self._rows = np.zeros((height, width + 1), dtype=np.uint8)  # the first byte of each row is the filter type: none
        self._palette = np.zeros((256, 3), dtype=np.uint8)
        self._unseen = np.ones(256, dtype=np.uint8)

    def encode(self) -> bytes:
        """:return: the content of a PNG file of the current screen"""
        screen = self._ale.getScreen()  # (height, width) uint8
        if cv2.LUT(screen, self._unseen).any():
            self._palette[screen] = self._ale.getScreenRGB()
            self._unseen[screen] = 0
        self._rows[:, 1:] = screen
        pixels = zlib.compress(self._rows.tobytes(), 2)
        chunks = {b"IHDR": self._header, b"PLTE": self._palette.tobytes(), b"IDAT": pixels, b"IEND": b""}
        return SIGNATURE + b"".join(starmap(_chunk, chunks.items()))


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def read(path: str, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """
    :param path: a PNG file
    :param shape: the expected shape; without one, no side may be longer than 1024 pixels
    :return: (height, width, 1) or, in RGB, (height, width, 3), uint8
    :raises DamagedDataset: if the file cannot be read, is broken or has another shape, naming it
    """
    content = read_file(path)
    # OpenCV would fill in the missing part of a truncated file
    whole = len(content) > SHORTEST and content.startswith(HEADER) and content.endswith(END_OF_FILE)
    if whole:
        _check_header(path, content, shape)
    picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED) if whole else None
    if picture is None:
        raise DamagedDataset(f"{path} is not a complete PNG file ({len(content)} bytes).")
    return picture[:, :, np.newaxis] if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def _check_header(path: str, content: bytes, shape: tuple[int, ...] | None) -> None:
    """Check the header before decompression: a small file may claim to be a large picture."""
    width, height, bits, colour = struct.unpack_from(">IIBB", content, len(HEADER))
    claimed = (height, width, CHANNELS.get(colour))
    if bits != 8 or claimed[2] is None or max(height, width) > LARGEST_SIDE or shape not in (None, claimed):
        expected = f"{shape}" if shape else f"(height, width, 1 or 3) up to {LARGEST_SIDE}"
        raise DamagedDataset(
            f"{path} has {bits} bits, PNG colour type {colour}, shape {claimed}; expected 8 bits and {expected}."
        )
