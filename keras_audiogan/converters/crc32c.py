"""CRC-32C (Castagnoli), fast enough for checkpoints, in NumPy.

The register is linear over GF(2), so a message is cut into equal lanes that
advance together, and the lanes' registers are joined by a tree in which one
lane's register is advanced over the zeros that stand for the next lane.
"""

from __future__ import annotations

import numpy as np

_POLYNOMIAL = 0x82F63B78
_MAX_LANE_POWER = 10
_CHUNK = 1 << 22


def _advance(table: np.ndarray, register: np.ndarray) -> np.ndarray:
    """Advances registers over as many zero bytes as `table` is for."""
    return (
        table[0][register & 0xFF]
        ^ table[1][(register >> 8) & 0xFF]
        ^ table[2][(register >> 16) & 0xFF]
        ^ table[3][register >> 24]
    )


def _byte_table() -> np.ndarray:
    """Returns the (4, 256) table that advances over one zero byte."""
    table: np.ndarray = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        odd = (table & 1).astype(bool)
        table = (table >> 1) ^ np.where(odd, np.uint32(_POLYNOMIAL), 0)
        table = table.astype(np.uint32)
    values = np.arange(256, dtype=np.uint32)
    higher = [(values << np.uint32(8 * k)) >> np.uint32(8) for k in (1, 2, 3)]
    return np.stack([table, *higher])


# _ZEROS[k] advances over 2**k zero bytes; a table applied to its own entries
# advances twice as far.
_ZEROS = [_byte_table()]
while len(_ZEROS) < 48:
    _ZEROS.append(_advance(_ZEROS[-1], _ZEROS[-1]))


def _advance_bytes(register: np.ndarray, count: int) -> np.ndarray:
    for power in range(count.bit_length()):
        if count >> power & 1:
            register = _advance(_ZEROS[power], register)
    return register


def _chunk_register(data: np.ndarray) -> np.ndarray:
    """Returns the register after `data`, from an all-zero register."""
    # About as many steps along a lane as lanes: short data are fast as well.
    power = min(max(2, len(data).bit_length() // 2), _MAX_LANE_POWER)
    lane = 1 << power
    # Leading zeros leave an all-zero register alone.
    padded = np.concatenate([np.zeros(-len(data) % lane, np.uint8), data])
    words = padded.view("<u4").reshape(-1, lane // 4)
    registers = np.zeros(len(words), np.uint32)
    for word in np.ascontiguousarray(words.T):
        registers = _advance(_ZEROS[2], registers ^ word)
    while len(registers) > 1:
        if len(registers) % 2:
            registers = np.concatenate([np.zeros(1, np.uint32), registers])
        first, second = registers[0::2], registers[1::2]
        registers = _advance(_ZEROS[power], first) ^ second
        power += 1
    return registers


def crc32c(data: bytes | np.ndarray) -> int:
    """Returns the CRC-32C of `data` (RFC 3720, appendix B.4).

    Args:
        data: bytes, or an array, whose memory is read in C order.
    """
    if isinstance(data, np.ndarray):
        octets = np.ascontiguousarray(data).reshape(-1).view(np.uint8)
    else:
        octets = np.frombuffer(data, np.uint8)
    register = np.array([0xFFFFFFFF], np.uint32)
    for start in range(0, len(octets), _CHUNK):
        chunk = octets[start : start + _CHUNK]
        register = _advance_bytes(register, len(chunk))
        register = register ^ _chunk_register(chunk)
    return int(register[0]) ^ 0xFFFFFFFF


def masked_crc32c(data: bytes | np.ndarray) -> int:
    """Returns the masked CRC-32C that TensorFlow and LevelDB store."""
    crc = crc32c(data)
    rotated = (crc >> 15) | (crc << 17)
    return (rotated + 0xA282EAD8) & 0xFFFFFFFF
