"""What a pickle asks of its reader's memory and time, checked before the reader has it.

Of a few bytes Python's own reader may make a table of gigabytes (by the number of a memo)
or work for ever (for the hash of a tuple of tuples, each of which holds the one before
twice). Here the operations of a pickle are followed without making anything.
"""

from __future__ import annotations

import io
import pickletools
from typing import IO, Any

from weaknas.errors import InputError

# The keys of tables are tuples of a few values, and shapes of fewer.
_MOST_IN_A_TUPLE = 1_000
_CHUNK = 1 << 18
_LARGEST_READ = 1 << 24

_MARK, _STOP, _POP, _DUP = b"(.02"
_GET, _BINGET, _LONG_BINGET = b"ghj"
_PUT, _BINPUT, _LONG_BINPUT = b"pqr"
_MEMOIZE = 0x94
_TUPLES = frozenset({ord("t"), 0x85, 0x86, 0x87, 0x91})  # the last: frozensets
_OTHERS = frozenset({0x82, 0x83, 0x84, 0x97, 0x98})  # of registries and of other streams

# By operation: all its bytes, 0 where its argument says; bytes of the length of that
# argument, or lines if negative; values taken from the stack, -1 for those above the mark
# and -2 for them and one below; values put there.
_SIZE, _LENGTH, _TAKES, _PUTS = ([0] * 256 for _ in range(4))
for _operation in pickletools.opcodes:
    _code, _names = ord(_operation.code), [kind.name for kind in _operation.stack_before]
    _argument = 0 if _operation.arg is None else _operation.arg.n
    _SIZE[_code] = 1 + _argument if _argument >= 0 else 0
    _LENGTH[_code] = {-1: -1, -2: 1, -3: 4, -4: 4, -5: 8}.get(_argument, 0)
    if _operation.arg is not None and _operation.arg.name.endswith("_pair"):
        _LENGTH[_code] = -2
    _TAKES[_code] = -1 - _names.index("mark") if "mark" in _names else len(_names)
    _PUTS[_code] = len(_operation.stack_after)
# What is one value, and takes none.
_SINGLE = frozenset(
    code for code in range(256) if (_TAKES[code], _PUTS[code]) == (0, 1) and code not in _OTHERS
) - frozenset({_MARK, _GET, _BINGET, _LONG_BINGET})


class CheckedPickles:
    """Pickles one after the other in a stream, each checked before it is handed out.

    Parameters
    ----------
    stream : buffered binary stream
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._data = b""  # read and not checked
        #: Bytes that were checked.
        self.passed = 0

    def next(self) -> io.BufferedReader:
        """Return a stream of the next pickle, which ends behind its last byte.

        Reading it raises what `check` does.
        """
        self._stack: list[int] = []  # how many values each value stands for
        self._marks: list[int] = []
        self._memo: dict[int, int] = {}
        self._is_done = False
        # The reader is fast on streams that it can peek into.
        return io.BufferedReader(_Stream(self), 1 << 20)

    def take(self, count: int) -> bytes:
        """Return the bytes behind the last pickle as they are.

        Raises
        ------
        EOFError
            When the stream ends before.
        """
        self._fill(count)
        taken, self._data = self._data[:count], self._data[count:]
        return taken

    def check(self) -> bytes:
        """Return the next whole operations, checked; none behind the end of a pickle.

        Raises
        ------
        InputError
            When the pickle asks for too much, or for what is not read.
        EOFError, IndexError, KeyError, ValueError
            When it is damaged.
        """
        if self._is_done:
            return b""
        self._fill(1)
        place = self._follow_all()
        checked, self._data = self._data[:place], self._data[place:]
        self.passed += place
        return checked

    # -- inside -------------------------------------------------------------------

    def _fill(self, count: int) -> None:
        """Read on until there are so many bytes that are not checked."""
        parts, size = [self._data], len(self._data)
        while size < count:
            parts.append(self._stream.read(min(max(_CHUNK, count - size), _LARGEST_READ)))
            if not parts[-1]:
                raise EOFError(f"it ends early, after {self.passed + size} bytes")
            size += len(parts[-1])
        self._data = b"".join(parts)

    def _follow_all(self) -> int:
        """Follow the operations that are there, at least one; return where they end."""
        data, stack, memo, place = self._data, self._stack, self._memo, 0
        while place < len(data):
            code = data[place]
            end = place + (_SIZE[code] or self._measure(data, place))
            if end > len(data):
                if place:
                    break
                self._fill(end)
                data = self._data
                continue
            # Most common first: tables of millions of numbers are read.
            if code in _SINGLE:
                stack.append(1)
            elif code == _BINGET:
                stack.append(memo[data[place + 1]])
            elif code == _BINPUT:
                memo[data[place + 1]] = stack[-1]
            elif code == _MEMOIZE:
                memo[len(memo)] = stack[-1]
            elif code == _MARK:
                self._marks.append(len(stack))
            else:
                self._follow(code, data[place + 1 : end])
            place = end
            if code == _STOP:
                self._is_done = True
                break
        return place

    def _measure(self, data: bytes, place: int) -> int:
        """Return the bytes of an operation whose argument says how many; what is known of them."""
        length = _LENGTH[data[place]]
        if not length:
            raise ValueError(f"there is no operation {data[place]:#04x}")
        if length > 0:
            stated = data[place + 1 : place + 1 + length]
            size = 1 + length
            return size + int.from_bytes(stated, "little") if len(stated) == length else size
        end = place
        for _ in range(-length):
            end = data.find(b"\n", end + 1)
            if end < 0:
                return len(data) - place + 1
        return end + 1 - place

    def _follow(self, code: int, argument: bytes) -> None:
        """Do to the stack, and to the memo, what an operation does."""
        stack = self._stack
        if code in _OTHERS:
            raise InputError(f"asks for the operation {code:#04x}, which is not read")
        if code == _LONG_BINGET:
            stack.append(self._memo[int.from_bytes(argument, "little")])
        elif code == _GET:
            stack.append(self._memo[int(argument)])
        elif code in (_LONG_BINPUT, _PUT):
            number = int(argument) if code == _PUT else int.from_bytes(argument, "little")
            # Each takes two bytes at least; Python's reader makes a table that long.
            if not 0 <= number <= self.passed + len(self._data):
                raise ValueError(f"a value has the number {number}, and there are not as many")
            self._memo[number] = stack[-1]
        elif code == _DUP:
            stack.append(stack[-1])
        elif code == _POP and self._marks and self._marks[-1] == len(stack):
            self._marks.pop()
        else:
            self._replace(code)

    def _replace(self, code: int) -> None:
        """Take values from the stack and put one of them, or what is made of them, there."""
        stack, takes = self._stack, _TAKES[code]
        first = self._marks.pop() if takes < 0 else len(stack) - takes
        if first < 0:
            raise ValueError("it takes a value where there is none")
        values = stack[first:]
        del stack[first:]
        if code in _TUPLES:
            stack.append(1 + sum(values))
            if stack[-1] > _MOST_IN_A_TUPLE:
                raise InputError(
                    f"a tuple in it stands for more than {_MOST_IN_A_TUPLE:,} values, which"
                    " nothing that is read here has"
                )
        elif takes >= -1 and _PUTS[code]:
            stack.append(1)


class _Stream(io.RawIOBase):
    """One pickle."""

    def __init__(self, pickles: CheckedPickles) -> None:
        self._pickles, self._checked = pickles, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._checked:
            self._checked = self._pickles.check()
        count = min(len(buffer), len(self._checked))
        buffer[:count], self._checked = self._checked[:count], self._checked[count:]
        return count
