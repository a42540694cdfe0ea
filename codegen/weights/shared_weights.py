"""Weights stored once, however many halves use them: `weights/<SHA-256>.bin` in a bundle, and halves without their weights.

In a half's *plain* file, `head.ts`, the bytes of its weights lie as they are, in a zip archive uncompressed. Its *bare*
file, `head.ts.bare`, is the plain file with the bytes of its large weights taken out, and compressed (zlib, RFC 1950): what
is left is program text, of which a `.pt2` file has ten thousand bytes a layer. The manifest says where each weight belongs,
so the plain file comes back byte for byte. Halves of different cuts have equal weights wherever they have the same layers:
freezing folds batch norm into a convolution by the same arithmetic everywhere.

Nothing here knows tensors, and nothing is handed out that does not match the manifest's digests. Standard library only.
"""

from __future__ import annotations

import hashlib
import io
import mmap
import re
import zipfile
import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import IO, Any, TypeVar, cast

from codegen.errors import CodegenError
from codegen.files.atomic import replacing
from codegen.files.digest import file_sha256
from codegen.manifest import WEIGHTS_FOLDER, BareFile, FileRecord, Manifest, WeightPlace

SMALLEST_BYTES = 4096
"""Smaller weights stay where they are: a file of its own takes a whole block on most disks."""

_LOCAL_HEADER_BYTES = 30
_DIGEST_BYTES = 32

Content = TypeVar("Content")


@dataclass(frozen=True)
class SharedHalf:
    """The files of one half, checked: `bare` is what its bare file has uncompressed, `record` the record of its plain one."""

    directory: Path
    record: FileRecord
    places: tuple[WeightPlace, ...]
    sizes: tuple[int, ...]
    bare: bytes

    @property
    def path(self) -> Path:
        """Where the plain file would be."""
        return self.directory / self.record.path

    def weight(self, sha256: str) -> bytearray:
        """Return the content of one weight file, checked."""
        size = next(size for place, size in zip(self.places, self.sizes, strict=True) if place.sha256 == sha256)
        return read_checked(self.directory, FileRecord(weight_path(sha256), size, sha256))

    def plain(self) -> Iterator[bytes | bytearray]:
        """Return the plain file, piece by piece."""
        for _, read in self._pieces(self.weight):
            yield read()

    def plain_file(self, weight: Callable[[str], memoryview]) -> IO[bytes]:
        """Return the plain file to read and seek in, put together as it is read; `weight` has the contents by digest."""
        return cast(IO[bytes], io.BufferedReader(_PlainFile(self._pieces(weight), self.record.bytes)))

    def image(self) -> mmap.mmap:
        """Return the plain file with zeros for its weights, which take no memory."""
        image = _Image(-1, self.record.bytes)
        for begin, part in self._bare_parts():
            image[begin : begin + len(part)] = part
        return image

    def archive(self) -> zipfile.ZipFile:
        """Return the plain file as a zip archive in which weights read as zeros, which take no memory."""
        return zipfile.ZipFile(cast(IO[bytes], self.image()))

    def places_by_record(self) -> dict[str, WeightPlace]:
        """Return the weights by the names of the archive's records they are the contents of."""
        with self.archive() as archive:
            starts = {_content_offset(archive, entry): entry.filename for entry in archive.infolist()}
        return {starts[place.offset]: place for place in self.places}

    def _bare_parts(self) -> Iterator[tuple[int, bytes]]:
        """Yield where each part between weights begins in the plain file, and the part: one more than there are weights."""
        taken = end = 0
        for place, size in zip(self.places, self.sizes, strict=True):
            part = self.bare[taken : taken + place.offset - end]
            yield end, part
            taken, end = taken + len(part), place.offset + size
        yield end, self.bare[taken:]

    def _pieces(self, weight: Callable[[str], Content]) -> Iterator[tuple[int, Callable[[], bytes | Content]]]:
        """Yield where each piece of the plain file begins, and what reads it."""
        for (begin, part), place in zip_longest(self._bare_parts(), self.places):
            yield begin, partial(bytes, part)
            if place is not None:
                yield place.offset, partial(weight, place.sha256)


class _PlainFile(io.RawIOBase):
    """Pieces as one file; of those that are weights there is never more than one in memory on its account."""

    def __init__(self, pieces: Iterator[tuple[int, Callable[[], bytes | memoryview]]], size: int) -> None:
        self._starts, self._reads = zip(*pieces, strict=True)
        self._size, self._position = size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, target: Any) -> int:
        """Read at most to the end of a piece, as raw files may."""
        if self._position >= self._size:
            return 0
        index = bisect_right(self._starts, self._position) - 1
        begin = self._position - self._starts[index]
        out = memoryview(target).cast("B")
        content = memoryview(self._reads[index]())[begin : begin + len(out)]
        out[: len(content)] = content
        self._position += len(content)
        return len(content)


class _Image(mmap.mmap):
    """Memory that exists once it is written to, as a file that `zipfile` accepts."""

    def seekable(self) -> bool:
        return True


def lift(directory: Path, record: FileRecord, spans: Sequence[tuple[int, int]]) -> tuple[FileRecord, dict[str, int]]:
    """Move the weights of a plain file into the store and put the bare file in its place.

    spans: offset and size of the bytes of each weight, in the order of the file; small ones stay.
    Returns the new record and the size of each weight by digest; the old record and nothing if there is none to move.
    """
    path = directory / record.path
    spans = [(offset, size) for offset, size in spans if size >= SMALLEST_BYTES]
    if not spans:
        return record, {}
    (directory / WEIGHTS_FOLDER).mkdir(exist_ok=True)
    places, sizes, end = [], {}, 0
    pieces, compressor = [], zlib.compressobj()
    bare_path = path.with_name(f"{path.name}.bare")
    with path.open("rb") as plain:
        for offset, size in [*spans, (record.bytes, 0)]:
            pieces.append(compressor.compress(plain.read(offset - end)))
            end = offset + size
            if size:
                weight = plain.read(size)
                sha256 = hashlib.sha256(weight).hexdigest()
                _store(directory, sha256, weight)
                places.append(WeightPlace(offset, sha256))
                sizes[sha256] = size
    pieces.append(compressor.compress(_digest_of_places(places)))
    bare = b"".join([*pieces, compressor.flush()])
    bare_path.write_bytes(bare)
    path.unlink()
    name, digest = bare_path.relative_to(directory).as_posix(), hashlib.sha256(bare).hexdigest()
    return replace(record, bare=BareFile(name, len(bare), digest, tuple(places))), sizes


def open_half(directory: Path, manifest: Manifest, record: FileRecord) -> SharedHalf:
    """Return the files of a half with shared weights; CodegenError if its bare file is not as recorded, or does not fit."""
    bare = record.bare
    assert bare is not None, "a plain file is read as it is"
    compressed = read_checked(directory, FileRecord(bare.path, bare.bytes, bare.sha256))
    sizes = tuple(manifest.weights[place.sha256] for place in bare.weights)
    content = _decompressed(directory / bare.path, compressed, record.bytes - sum(sizes) + _DIGEST_BYTES)
    if content[-_DIGEST_BYTES:] != _digest_of_places(bare.weights):
        raise CodegenError(
            f"{directory / bare.path} had other weights, or at other places, than the manifest says; the manifest is damaged or"
            " was changed; emit the model again"
        )
    return SharedHalf(directory, record, bare.weights, sizes, content[:-_DIGEST_BYTES])


def write_plain(half: SharedHalf, path: Path) -> None:
    """Write the plain file of a half to `path`; CodegenError if it does not get the digest the manifest has of it."""
    digest = hashlib.sha256()
    with replacing(path) as temporary:
        with temporary.open("wb") as file:
            for piece in half.plain():
                file.write(piece)
                digest.update(piece)
        if digest.hexdigest() != half.record.sha256:
            raise CodegenError(
                f"{path} put together has SHA-256 {digest.hexdigest()}, the manifest says {half.record.sha256}; the"
                " manifest is damaged or was changed; emit the model again"
            )


def read_checked(directory: Path, record: FileRecord) -> bytearray:
    """Return the content of a file whose size and SHA-256 are as recorded; else CodegenError.

    What is returned is what was checked, whatever happens to the file meanwhile.
    """
    path = check_size(directory, record)
    content = bytearray(record.bytes)
    with path.open("rb") as file:
        file.readinto(content)
    _check_digest(path, hashlib.sha256(content).hexdigest(), record)
    return content


def check_file(directory: Path, record: FileRecord) -> Path:
    """Return the path of a file whose size and SHA-256 are as recorded; else CodegenError."""
    path = check_size(directory, record)
    _check_digest(path, file_sha256(path), record)
    return path


def check_size(directory: Path, record: FileRecord) -> Path:
    """Return the path of a file that is there and has the recorded size; else CodegenError."""
    path = directory / record.path
    if not path.is_file():
        raise CodegenError(f"{path} is missing; emit the model again")
    size = path.stat().st_size
    if size != record.bytes:
        raise CodegenError(f"{path} has {size} bytes, the manifest says {record.bytes}; it is damaged, emit again")
    return path


def weight_path(sha256: str) -> str:
    """Return where in a bundle the weight of a digest is."""
    return f"{WEIGHTS_FOLDER}/{sha256}.bin"


def _check_digest(path: Path, digest: str, record: FileRecord) -> None:
    if digest != record.sha256:
        raise CodegenError(
            f"{path} has SHA-256 {digest}, the manifest says {record.sha256}; it is damaged or was changed, and is not"
            " loaded; emit the model again"
        )


def stored_spans(path: Path, weight_records: str) -> Sequence[tuple[int, int]]:
    """Return offset and size of each uncompressed record of a zip archive whose name fits the regular expression."""
    with zipfile.ZipFile(path) as archive:
        return sorted(
            (_content_offset(archive, entry), entry.file_size)
            for entry in archive.infolist()
            if entry.compress_type == zipfile.ZIP_STORED and re.fullmatch(weight_records, entry.filename.partition("/")[2])
        )


def _content_offset(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> int:
    """Contents follow a local header with name and padding, whose lengths differ from those in the directory."""
    file = archive.fp
    assert file is not None, "the archive is open"
    file.seek(entry.header_offset)
    header = file.read(_LOCAL_HEADER_BYTES)
    name_bytes, padding_bytes = int.from_bytes(header[26:28], "little"), int.from_bytes(header[28:30], "little")
    return entry.header_offset + _LOCAL_HEADER_BYTES + name_bytes + padding_bytes


def _digest_of_places(places: Sequence[WeightPlace]) -> bytes:
    """What a bare file ends with: who changes the manifest alone cannot exchange two weights of one size."""
    text = "".join(f"{place.offset} {place.sha256}\n" for place in places)
    return hashlib.sha256(text.encode()).digest()


def _decompressed(path: Path, compressed: bytes | bytearray, size: int) -> bytes:
    """Return the content of a bare file, which with the weights makes up the plain file."""
    reader = zlib.decompressobj()
    try:
        content = reader.decompress(compressed, size + 1)  # no more than that in memory, and 0 would mean all
    except zlib.error as error:
        raise CodegenError(f"{path} is damaged: {error}; emit the model again") from error
    if len(content) != size or not reader.eof:
        found = len(content) if reader.eof else f"more than {len(content) - 1}"
        raise CodegenError(
            f"{path} and its weights do not make up the plain file: it has {found} bytes uncompressed, the manifest leaves"
            f" {size} to it; the manifest is damaged or was changed; emit the model again"
        )
    return content


def _store(directory: Path, sha256: str, weight: bytes) -> None:
    path = directory / weight_path(sha256)
    if not path.exists():
        path.write_bytes(weight)
