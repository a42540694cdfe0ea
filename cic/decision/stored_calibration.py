"""What calibrating changed in a splitting model: op times as they were predicted, and what the halves of its cuts took.

Part of the graph line, which deciding does not read. Standard library only.
"""

from __future__ import annotations

from cic.decision.frozen import Frozen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from codegen.checked_json import Fields


class StoredCodecTime(Frozen):
    """What a tensor under a codec was predicted to take. encode_ns, decode_ns: on the device and on the server."""

    __slots__ = ("codec", "decode_ns", "encode_ns", "tensor")
    tensor: str
    codec: str
    encode_ns: int
    decode_ns: int


class MeasuredCut(Frozen):
    """A cut that was run. codecs: as in the table. Of either side what was predicted and what was measured, in ns: the device
    runs the head and encodes, the server decodes, runs the tail and encodes the answer."""

    __slots__ = (
        "codecs",
        "id",
        "measured_device_ns",
        "measured_server_ns",
        "predicted_device_ns",
        "predicted_server_ns",
    )
    id: str
    codecs: tuple[str, ...]
    predicted_device_ns: int
    measured_device_ns: int
    predicted_server_ns: int
    measured_server_ns: int


class StoredCalibration(Frozen):
    """date: in ISO 8601. device, server: where halves ran, and with which engines. repetitions: of each cut.

    device_ns, server_ns: what was predicted of each op, in the order of the graph. codecs: of each form that was corrected.
    cuts: those that were run.
    """

    __slots__ = (
        "codecs",
        "cuts",
        "date",
        "device",
        "device_engine",
        "device_ns",
        "repetitions",
        "server",
        "server_engine",
        "server_ns",
    )
    date: str
    device: str
    device_engine: str
    server: str
    server_engine: str
    repetitions: int
    device_ns: tuple[int, ...]
    server_ns: tuple[int, ...]
    codecs: tuple[StoredCodecTime, ...]
    cuts: tuple[MeasuredCut, ...]


def read_calibration(fields: Fields, ops: int) -> StoredCalibration:
    """The calibration in a graph of so many ops. Raises ValueError, naming the field."""
    calibration = StoredCalibration(
        date=fields.text("date"),
        device=fields.text("device"),
        device_engine=fields.text("device_engine"),
        server=fields.text("server"),
        server_engine=fields.text("server_engine"),
        repetitions=fields.count("repetitions", least=1),
        device_ns=fields.counts("device_ns"),
        server_ns=fields.counts("server_ns"),
        codecs=tuple(_codec_time(each) for each in fields.objects("codecs")),
        cuts=tuple(_measured(each) for each in fields.objects("cuts")),
    )
    for side, times in (("device_ns", calibration.device_ns), ("server_ns", calibration.server_ns)):
        if len(times) != ops:
            raise ValueError(f"{fields.path(side)} has {len(times)} times for {ops} ops")
    return calibration


def _codec_time(fields: Fields) -> StoredCodecTime:
    return StoredCodecTime(
        tensor=fields.text("tensor"),
        codec=fields.text("codec"),
        encode_ns=fields.count("encode_ns"),
        decode_ns=fields.count("decode_ns"),
    )


def _measured(fields: Fields) -> MeasuredCut:
    return MeasuredCut(
        id=fields.text("id"),
        codecs=fields.texts("codecs"),
        predicted_device_ns=fields.count("predicted_device_ns"),
        measured_device_ns=fields.count("measured_device_ns"),
        predicted_server_ns=fields.count("predicted_server_ns"),
        measured_server_ns=fields.count("measured_server_ns"),
    )
