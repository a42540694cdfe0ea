"""What people write for bandwidths, times, sizes and ratios, as plain numbers.

Bandwidths become bits per second, times become seconds, sizes become bytes, energies become joules. Units are decimal
(1 MB/s = 8,000,000 bit/s), but for KiB and the like; "b" is bit, "B" byte.
A text needs a unit, since whoever writes "20" does not mean 20 bits a second; a number is in bits per second or seconds.
Standard library only, and little of it: this runs on the device.
"""

from __future__ import annotations

from cic.errors import UnitError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

BITS_PER_S = {
    "bps": 1.0, "bit/s": 1.0, "b/s": 1.0,
    "kbps": 1e3, "kbit/s": 1e3, "kb/s": 1e3,
    "mbps": 1e6, "mbit/s": 1e6, "mb/s": 1e6,
    "gbps": 1e9, "gbit/s": 1e9, "gb/s": 1e9,
}  # fmt: skip
BYTES_PER_S = {"B/s": 1.0, "kB/s": 1e3, "KB/s": 1e3, "MB/s": 1e6, "GB/s": 1e9}
BYTES = {"B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
WATTS = {"W": 1.0, "mW": 1e-3, "kW": 1e3}
JOULES = {"J": 1.0, "mJ": 1e-3, "uJ": 1e-6, "kJ": 1e3, "mWh": 3.6, "Wh": 3600.0}
SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
# A bit in three years, and a hundred times the fastest port there is: beyond these somebody mistook a unit.
SLOWEST_BPS, FASTEST_BPS = 1e-8, 1e14
LONGEST_S = 1e6
FACTORS = (1e-9, 1e9)
LARGEST = 1e30
# A larger number without a unit is likely one of bits a second.
_MOST_LIKELY_IN_MEGA = 1e5


def bits_per_second(bandwidth: float | int | str, what: str = "bandwidth") -> float:
    """A bandwidth in bit/s from a number (bit/s) or a text such as "18.88Mbps", "2.5 MB/s", "64kbit/s".

    Raises:
        UnitError: not a positive finite bandwidth, a text without a unit, or an unknown unit.
    """
    if isinstance(bandwidth, str):
        number, unit = _number_and_unit(bandwidth, what, 'write it like "18.88Mbps" or "2.5MB/s"')
        if unit in BYTES_PER_S:
            value = number * BYTES_PER_S[unit] * 8
        elif unit == "":
            written = bandwidth.strip()
            likely = ("Mbps", "kbps", "MB/s") if number < _MOST_LIKELY_IN_MEGA else ("bps",)
            raise UnitError(
                f"{what} {shown(bandwidth)} has no unit: {written[:20]} what? Write {_any_of(written, likely)} "
                "(b is bit, B is byte)"
            )
        elif "B" not in unit and unit.lower() in BITS_PER_S:
            value = number * BITS_PER_S[unit.lower()]
        else:
            known = ", ".join([*BITS_PER_S, *BYTES_PER_S])
            raise UnitError(
                f"{what} {shown(bandwidth)} has the unknown unit {unit[:20]!r}; known are {known} (b is bit, B is byte)"
            )
    else:
        value = _real(bandwidth, what)
    if not SLOWEST_BPS <= value <= FASTEST_BPS:
        raise UnitError(
            f"{what} {shown(bandwidth)} is {value:g} bit/s; it must be positive and between {SLOWEST_BPS:g} and {FASTEST_BPS:g}"
        )
    return value


def seconds(time: float | int | str, what: str = "time") -> float:
    """A time in seconds from a number (seconds) or a text such as "40ms".

    Raises:
        UnitError: negative, not finite, longer than 11 days, a text without a unit (but for 0), or an unknown unit.
    """
    if isinstance(time, str):
        number, unit = _number_and_unit(time, what, 'write it like "40ms" or "0.04s"')
        if number and not unit:
            written = time.strip()
            raise UnitError(f"{what} {shown(time)} has no unit: {written[:20]} what? Write {_any_of(written, ('ms', 's'))}")
        if unit and unit not in SECONDS:
            raise UnitError(f"{what} {shown(time)} has the unknown unit {unit[:20]!r}; known are {', '.join(SECONDS)}")
        value = number * SECONDS.get(unit, 1.0)
    else:
        value = _real(time, what)
    if not 0 <= value <= LONGEST_S:
        raise UnitError(f"{what} {shown(time)} is {value:g} s; it must lie between 0 and {LONGEST_S:g}")
    return value


def byte_count(size: str, what: str) -> int:
    """A number of bytes, rounded down, from a text such as "512MB" or "1.5 GiB".

    Raises:
        UnitError: not positive, not finite, a text without a unit, or an unknown unit.
    """
    value = _in_units(size, what, 'write it like "512MB"', BYTES, ("MB", "kB", "B"))
    if value < 1:
        raise UnitError(f"{what} {shown(size)} is less than a byte")
    return int(value)


def watts(power: str, what: str) -> float:
    """A power in watts from a text such as "4.2W" or "800mW".

    Raises:
        UnitError: not positive, not finite, a text without a unit, or an unknown unit.
    """
    return _in_units(power, what, 'write it like "4.2W"', WATTS, ("W", "mW"))


def joules(energy: float | int | str, what: str) -> float:
    """An energy in joules from a number (joules) or a text such as "500mJ".

    Raises:
        UnitError: not positive, not finite, a text without a unit, or an unknown unit.
    """
    if isinstance(energy, str):
        return _in_units(energy, what, 'write it like "500mJ"', JOULES, ("J", "mJ"))
    return positive(energy, what)


def factor(ratio: float | str, what: str = "factor") -> float:
    """A positive finite ratio, such as a slowdown; texts are refused.

    Raises:
        UnitError: otherwise.
    """
    value = _real(ratio, what)
    if not FACTORS[0] <= value <= FACTORS[1]:
        raise UnitError(f"{what} {shown(ratio)} must be positive and between {FACTORS[0]:g} and {FACTORS[1]:g}")
    return value


def positive(value: object, what: str, *, or_zero: bool = False) -> float:
    """A finite number above 0, or at least 0, of any size: what has no unit to be mistaken any more.

    Raises:
        UnitError: otherwise.
    """
    # Nothing but a float is as quick to check.
    number = value if type(value) is float else _real(value, what)
    if not (0.0 < number <= LARGEST or (or_zero and number == 0.0)):
        raise UnitError(f"{what} is {number:g}; it must be a finite number {'of at least' if or_zero else 'above'} 0")
    return number


def show_bandwidth(bits_per_s: float) -> str:
    """A short text for people: "18.9 Mbit/s"."""
    for unit, size in (("Gbit/s", 1e9), ("Mbit/s", 1e6), ("kbit/s", 1e3)):
        if bits_per_s >= size * 0.9995:
            return f"{bits_per_s / size:.3g} {unit}"
    return f"{bits_per_s:.3g} bit/s"


def show_seconds(time_s: float) -> str:
    """A short text for people: "12.3 ms"."""
    if time_s == 0:
        return "0 s"
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if time_s >= size * 0.9995:
            return f"{time_s / size:.3g} {unit}"
    return f"{time_s * 1e9:.3g} ns"


def show_joules(energy_j: float) -> str:
    """A short text for people: "320 mJ"."""
    for unit, size in (("kJ", 1e3), ("J", 1.0), ("mJ", 1e-3)):
        if energy_j >= size * 0.9995:
            return f"{energy_j / size:.3g} {unit}"
    return f"{energy_j * 1e6:.3g} uJ"


def show_bytes(size: float) -> str:
    """A short text for people: "602 kB"."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= scale * 0.9995:
            return f"{size / scale:.3g} {unit}"
    return f"{size:.0f} B"


def shown(value: object) -> str:
    """As `codegen.checked_json.shown`, which `import cic` need not load."""
    from codegen.checked_json import shown as text_of

    return text_of(value)


def _number_and_unit(text: str, what: str, advice: str) -> tuple[float, str]:
    stripped = text.strip()
    end = len(stripped)
    while end and not (stripped[end - 1].isdigit() or stripped[end - 1] == "."):
        end -= 1
    try:
        return float(stripped[:end]), stripped[end:].strip()
    except ValueError:
        raise UnitError(f"{what} {shown(text)} is not a number with a unit; {advice}") from None


def _in_units(text: str, what: str, advice: str, units: Mapping[str, float], likely: tuple[str, ...]) -> float:
    """A positive number in one of these units; likely: those that are proposed where there is none."""
    number, unit = _number_and_unit(text, what, advice)
    if not unit:
        written = text.strip()
        raise UnitError(f"{what} {shown(text)} has no unit: {written[:20]} what? Write {_any_of(written, likely)}")
    if unit not in units:
        raise UnitError(f"{what} {shown(text)} has the unknown unit {unit[:20]!r}; known are {', '.join(units)}")
    return positive(number * units[unit], f"{what} {shown(text)}")


def _any_of(number: str, units: tuple[str, ...]) -> str:
    """'"20Mbps", "20kbps" or "20MB/s"'."""
    *others, last = (f'"{number[:20]}{unit}"' for unit in units)
    return f"{', '.join(others)} or {last}" if others else last


def _real(value: object, what: str) -> float:
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        raise UnitError(f"{what} must be a number or a text with a unit, got {shown(value)}")
    try:
        return float(value)
    except Exception as error:
        # Whatever an object's own conversion raises: an array of several numbers, an int beyond all floats.
        raise UnitError(f"{what} must be one number, {shown(value)} cannot be made one: {error}") from error
