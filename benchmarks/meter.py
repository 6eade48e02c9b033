"""How often and how long XLA has compiled in this process, by JAX's own reports."""

from __future__ import annotations

from typing import Any


class Meter:
    """Totals since it was made; needs jax."""

    def __init__(self) -> None:
        import jax

        self.totals = {"compilations": 0.0, "compile_seconds": 0.0, "from_cache": 0.0}
        jax.monitoring.register_event_listener(self._event)
        jax.monitoring.register_event_duration_secs_listener(self._duration)

    def __call__(self) -> dict[str, float]:
        return dict(self.totals)

    def _event(self, event: str, **_: Any) -> None:
        if event == "/jax/compilation_cache/cache_hits":
            self.totals["from_cache"] += 1

    def _duration(self, event: str, duration_secs: float, **_: Any) -> None:
        if event == "/jax/core/compile/backend_compile_duration":  # a load from the cache included
            self.totals["compilations"] += 1
            self.totals["compile_seconds"] += duration_secs
