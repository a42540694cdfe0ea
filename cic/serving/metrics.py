"""What a server counts, as Prometheus reads it (text format 0.0.4): written by hand, for it is a page of text.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields

from cic.protocol.answer import ServerTimes

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_STAGES = tuple(each.name for each in fields(ServerTimes))
# Seconds, from a lookup to a large model on a small server.
_BOUNDS = tuple(round(factor * 10.0**power, 7) for power in range(-5, 2) for factor in (1, 2.5, 5))
_STAGE_SECONDS = "cic_stage_seconds"


@dataclass
class _Histogram:
    """counts: of values up to each bound, and above the last, each value once."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(_BOUNDS) + 1))
    total: float = 0.0

    def observe(self, seconds: float) -> None:
        self.counts[bisect_left(_BOUNDS, seconds)] += 1
        self.total += seconds


@dataclass
class Metrics:
    """Counted in the event loop alone. requests: by model and status; the model is empty if there is none of that name."""

    requests: Counter[tuple[str, int]] = field(default_factory=Counter)
    request_bytes: Counter[str] = field(default_factory=Counter)
    answer_bytes: Counter[str] = field(default_factory=Counter)
    in_flight: int = 0
    _stages: defaultdict[tuple[str, str], _Histogram] = field(default_factory=lambda: defaultdict(_Histogram))

    def answered(self, model: str, times: ServerTimes, request_bytes: int, answer_bytes: int) -> None:
        """Count an inference: how long each of its stages took, and the bytes of its bodies."""
        for stage in _STAGES:
            self._stages[model, stage].observe(getattr(times, stage) / 1e6)
        self.request_bytes[model] += request_bytes
        self.answer_bytes[model] += answer_bytes

    def page(self, gauges: Mapping[str, tuple[str, float]], build: Mapping[str, str]) -> str:
        """All of it as text. gauges: by name, what each is and its present value. build: labels of the one that is built so."""
        gauges = {"cic_in_flight": ("Requests whose header is here and whose answer is not sent.", self.in_flight), **gauges}
        lines = [
            *_head("cic_build_info", "gauge", "What serves; always 1."),
            f"cic_build_info{_labels(build)} 1",
            *_head("cic_requests_total", "counter", "Requests by model and status of HTTP."),
            *(
                f"cic_requests_total{_labels({'model': model, 'status': str(status)})} {count}"
                for (model, status), count in sorted(self.requests.items())
            ),
        ]
        for name, (about, value) in gauges.items():
            lines += [*_head(name, "gauge", about), f"{name} {value:g}"]
        for name, about, counted in (
            ("cic_request_bytes_total", "Bytes of bodies of inferences that were answered.", self.request_bytes),
            ("cic_answer_bytes_total", "Bytes of bodies of their answers.", self.answer_bytes),
        ):
            lines += [*_head(name, "counter", about)]
            lines += [f"{name}{_labels({'model': model})} {count}" for model, count in sorted(counted.items())]
        lines += [*_head(_STAGE_SECONDS, "histogram", "What an inference took on the server, by stage."), *self._buckets()]
        return "\n".join(lines) + "\n"

    def _buckets(self) -> Iterator[str]:
        for (model, stage), histogram in sorted(self._stages.items()):
            labels = {"model": model, "stage": stage.removesuffix("_us")}
            below = 0
            for bound, count in zip((*_BOUNDS, None), histogram.counts, strict=True):
                below += count
                shown = "+Inf" if bound is None else f"{bound:g}"
                yield f"{_STAGE_SECONDS}_bucket{_labels({**labels, 'le': shown})} {below}"
            yield f"{_STAGE_SECONDS}_sum{_labels(labels)} {histogram.total:.6f}"
            yield f"{_STAGE_SECONDS}_count{_labels(labels)} {below}"


def _head(name: str, kind: str, about: str) -> tuple[str, str]:
    return f"# HELP {name} {about}", f"# TYPE {name} {kind}"


def _labels(labels: Mapping[str, str]) -> str:
    texts = {key: value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n") for key, value in labels.items()}
    return "{" + ",".join(f'{key}="{text}"' for key, text in texts.items()) + "}"
